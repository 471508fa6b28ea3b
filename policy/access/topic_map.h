/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the path of a CoAP request to the topic of a MQTT message (E8): "/t/{kind}" to "fleet/${id}/${kind}".
 *
 * A path is compared segment by segment: a segment of a map is literal, or "{name}", which takes any one
 * segment that may stand in a topic (template.h: not empty, no '+', '#', '/', '$' in front or control
 * character) and gives it that name. The topic is a template of those names and of the role's variables. The
 * first map of a role whose path fits decides; a variable without a value, or an unsafe one, makes it fit
 * nothing. Pure; nothing is allocated.
 */
#ifndef POLICY_ACCESS_TOPIC_MAP_H
#define POLICY_ACCESS_TOPIC_MAP_H

#include "policy/access/acl.h"

#define TOPIC_MAPS_MAX 256
#define TOPIC_MAP_CAPTURES_MAX 8
#define TOPIC_MAP_BYTES_MAX 1024

struct topic_map {
    const char *file;
    uint32_t line;
    const char *path;  /* without its leading '/' */
    const char *topic; /* template */
    bool retain;       /* what is published is retained */
};

/* NULL when well formed, else a static sentence. Variables that are no captures are for the caller. */
const char *topic_map_check(const struct topic_map *map);
/* Whether the path of the map captures this name. */
bool topic_map_captures(const struct topic_map *map, struct bytes name);
/* The topic for `path` by the first map that fits, in `to` of TOPIC_MAP_BYTES_MAX: its length, or 0 when none
 * fits. `acl` and `values` are those of the role; `*which` is the map. */
size_t topic_map_apply(const struct topic_map *maps, uint32_t n, const struct acl *acl,
                       const struct acl_values *values, struct bytes path, uint8_t *to,
                       const struct topic_map **which);

#endif
