/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings of a map from CoAP paths to MQTT topics (E8). */
#include "config/policy_draft.h"

#include <string.h>

static void set_map_path(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct topic_map *map = into;
    if (value->text[0] != '/' || value->text[1] == '\0')
        schema_refuse(
            read, value,
            "a path begins with '/' and names at least one segment; write for example \"/t/{kind}\"");
    else
        map->path = value->text + 1;
}

#define MAP(member) SCHEMA_INTO(struct topic_map, member)

static const struct schema_key map_keys[] = {
    {.name = "path", .type = SCHEMA_TEXT, .required = true, .example = "\"/t/{kind}\"", .set = set_map_path},
    {.name = "topic",
     .type = SCHEMA_TEXT,
     .required = true,
     .example = "\"fleet/${id}/${kind}\"",
     MAP(topic)},
    {.name = "retain", .type = SCHEMA_FLAG, .fallback = "false", MAP(retain)},
};

const struct schema_table policy_map_keys = {.what = "map", SCHEMA_KEYS(map_keys)};

void *policy_next_map(struct schema_read *read, const config_setting_t *setting, void *into)
{
    struct draft_role *role = into;
    if (role->maps_n == TOPIC_MAPS_MAX) {
        schema_error(read, load_origin(read->load, setting), "a role has at most 256 maps; remove some");
        return NULL;
    }
    void *maps = schema_grow(read, setting, role->maps, role->maps_n, &role->maps_room, sizeof(*role->maps));
    if (maps == NULL)
        return NULL;
    role->maps = maps;
    struct topic_map *map = &role->maps[role->maps_n++];
    struct config_origin origin = load_origin(read->load, setting);
    map->file = origin.file;
    map->line = origin.line;
    return map;
}
