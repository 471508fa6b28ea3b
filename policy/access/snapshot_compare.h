/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one policy changes of another, counted for people (G2): roles by name, rules by role and id, devices
 * by id. Where something is written and in which order makes no difference, but for the order of roles. Any
 * thread; costs about as much as a pass over both.
 */
#ifndef POLICY_ACCESS_SNAPSHOT_COMPARE_H
#define POLICY_ACCESS_SNAPSHOT_COMPARE_H

#include "policy/access/snapshot.h"

struct snapshot_count {
    uint32_t added, removed, changed;
};

struct snapshot_changes {
    struct snapshot_count roles; /* changed: who gets it, modes and caps; not its rules or limits */
    struct snapshot_count rules;
    struct snapshot_count devices;
    uint32_t limits;      /* roles whose limits are others */
    bool roles_reordered; /* another role may be the first that matches */
};

/* False when memory is not to be had. */
bool snapshot_compare(const struct snapshot *before, const struct snapshot *after,
                      struct snapshot_changes *changes);

#endif
