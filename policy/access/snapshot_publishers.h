/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose clients one policy allows to publish what another did not, where clients of other roles may subscribe
 * to it (G2). From the two policies alone, whoever is connected.
 *
 * Roles are compared by name; one that is new compares with nothing. A rule is told when its filter, with its
 * conditions, is not within what the role's allows let through before, or when a deny that cut into it went;
 * unless a deny of the next policy covers it. A variable is the same value before and after, unless the role
 * fills it another way; against another role's rule, and against denies that went, it is any single level.
 *
 * Where the exact answer would cost too much the rule is told: what is told may be harmless, what is not told
 * gives nothing new. Not looked at: roles' order, devices that are new, subscribers of the same role,
 * whether a deny keeps the subscriber from it, and topics that begin with '$' in roles that only observe.
 */
#ifndef POLICY_ACCESS_SNAPSHOT_PUBLISHERS_H
#define POLICY_ACCESS_SNAPSHOT_PUBLISHERS_H

#include "policy/access/snapshot.h"

#define NEW_PUBLISHERS_KEPT 16
#define NEW_PUBLISHERS_MAX 4096

enum new_publisher_why {
    NEW_PUBLISHER_RULE = 0,
    NEW_PUBLISHER_ROLE,    /* the role is new */
    NEW_PUBLISHER_CLIENTS, /* the role takes other clients than before; once a role */
};

/* Borrowed from the policy that comes. */
struct new_publisher {
    enum new_publisher_why why;
    const struct policy_role *role;
    const struct acl_rule *rule;          /* NULL: the role only observes, it may publish anything */
    const struct policy_role *subscriber; /* NULL: perhaps one, it would take too long to know */
    const struct acl_rule *subscription;  /* NULL: the subscriber's role only observes */
};

struct new_publishers {
    uint32_t n;
    bool stopped; /* at NEW_PUBLISHERS_MAX: there may be more */
    struct new_publisher first[NEW_PUBLISHERS_KEPT];
};

/* False when memory is not to be had. Any thread; costs about as much as compiling both policies. */
bool snapshot_new_publishers(const struct snapshot *before, const struct snapshot *after,
                             struct new_publishers *found);

#endif
