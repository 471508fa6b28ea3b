/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mosquitto's acl_file, as version 2.0 reads and asks it (H5).
 *
 * A line is "topic [read|write|readwrite|deny] TOPIC", "pattern ..." alike, "user NAME", or a comment that
 * begins with '#' in the first column; blanks at the end do not count, so a topic may hold blanks but not end
 * in one, and needs its access word then. Topics before the first user are for clients without a user name.
 * The broker asks, for a message: the denials of the client's own section, then its grants, then the
 * denials of the patterns, then their grants. So a section's grant beats a pattern's denial. Patterns are not
 * asked for clients whose user name or client identifier holds '+', '#' or '/'; one with %u not for clients
 * without a user name. Every SUBSCRIBE is granted, and what is delivered is asked for each message.
 */
#ifndef GATEWAY_CTL_IMPORT_MOSQUITTO_ACL_H
#define GATEWAY_CTL_IMPORT_MOSQUITTO_ACL_H

#include "gateway/ctl/import/import.h"

struct mosquitto_acl_section {
    const char *user; /* NULL: clients without one */
    uint32_t line;
    struct import_entries entries;
};

struct mosquitto_acl {
    const char *file;
    struct mosquitto_acl_section *sections; /* only those that hold a topic, as the broker counts them */
    uint32_t sections_n, sections_room;
    struct import_entries patterns; /* %c and %u replaced, see import.h */
};

/* `text` is cut up. All that is wrong is told; false when anything was. */
bool mosquitto_acl_parse(struct import_run *run, char *text, const char *file, struct mosquitto_acl *acl);
/* What the broker would ask for such a client, in its order: of a section (NULL: none) and the patterns.
 * `user` NULL: it has no user name. */
bool mosquitto_acl_lists(struct import_run *run, const struct mosquitto_acl *acl,
                         const struct mosquitto_acl_section *section, const char *user, bool anonymous,
                         struct import_entries *lists);

#endif
