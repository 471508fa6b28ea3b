/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a name to a number, built once from the operator's names (devices, roles, ids of rules) and then read
 * by any thread. A find looks at no more slots than the worst add did, whatever name a peer sends.
 */
#ifndef POLICY_ACCESS_NAME_INDEX_H
#define POLICY_ACCESS_NAME_INDEX_H

#include "policy/bytes.h"

#define NAME_INDEX_NONE UINT32_MAX

struct name_slot;

struct name_index {
    struct name_slot *slots;
    uint32_t mask;
    uint32_t probes;
    size_t bytes;
};

/* Room for n names; false when memory is not to be had. */
bool name_index_init(struct name_index *index, uint32_t n);
void name_index_fini(struct name_index *index);
/* Adds a name, which is borrowed, or answers the number that the same name already has: NAME_INDEX_NONE when
 * it was added. No more than n names may be added. */
uint32_t name_index_add(struct name_index *index, struct bytes name, uint32_t number);
/* NAME_INDEX_NONE when it is not there. */
uint32_t name_index_find(const struct name_index *index, struct bytes name);

#endif
