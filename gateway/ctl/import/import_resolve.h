/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From lists of which the first entry that fits decides to rules of which every deny wins (H5).
 *
 * For each action, from the last entry of a list to the first: a deny takes all grants below it that it
 * covers away and joins the denies; a grant takes the denies below it away that it covers, and those that
 * have nothing left to deny besides what it grants. That is exact. What is left over is a grant above a deny
 * that covers it in part: then the deny stays, so less is allowed, and it is told. Where the broker judges
 * subscriptions and deliveries apart, what can be delivered is the meet of both.
 *
 * Levels with variables are compared as texts: whether "${user}" is "bob" is not known, so it may be, where
 * that keeps a deny, and is not, where it would drop one. Pure, but for what it tells.
 */
#ifndef GATEWAY_CTL_IMPORT_IMPORT_RESOLVE_H
#define GATEWAY_CTL_IMPORT_IMPORT_RESOLVE_H

#include "gateway/ctl/import/import.h"
#include "policy/bytes.h"

/* Fills role->rules and role->trim. False, told, when there is too much of it. */
bool import_resolve(struct import_run *run, struct import_role *role);
/* Whether some topic may be matched by both. */
bool import_filters_meet(const char *a, const char *b);

/* A topic, with the values of one client: what the broker says (the lists), and what the rules say.
 * IMPORT_RECEIVE is whether it can be delivered at all. */
struct import_client {
    const char *client_id, *user; /* user NULL: none */
};
bool import_broker_allows(const struct import_role *role, uint8_t action, const char *topic,
                          const struct import_client *client);
bool import_rules_allow(const struct import_role *role, uint8_t action, const char *topic,
                        const struct import_client *client);
/* Whether an entry's filter matches a topic for this client. */
bool import_filter_matches(const char *filter, const char *topic, const struct import_client *client);

#endif
