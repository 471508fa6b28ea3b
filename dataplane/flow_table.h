/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From flow key to an index: open addressing, SipHash-1-3 keyed with a secret so that nobody outside can
 * choose collisions (a seeded CRC would not do: which keys collide does not depend on its seed), fixed
 * capacity, O(1). One per worker and transport. Lookups come in two steps so that a burst can prefetch: hash,
 * then find.
 */
#ifndef DATAPLANE_FLOW_TABLE_H
#define DATAPLANE_FLOW_TABLE_H

#include "dataplane/address.h"

#define FLOW_TABLE_NONE UINT32_MAX

struct flow_table;

struct flow_table *flow_table_create(uint32_t capacity, const uint8_t secret[16]);
void flow_table_destroy(struct flow_table *table);
uint32_t flow_table_hash(const struct flow_table *table, const struct flow_key *key);
void flow_table_prefetch(const struct flow_table *table, uint32_t hash);
/* The second step for a burst: what the first brought into the cache says where the key lies. */
void flow_table_prefetch_key(const struct flow_table *table, uint32_t hash);
/* The value, or FLOW_TABLE_NONE. */
uint32_t flow_table_find(const struct flow_table *table, const struct flow_key *key, uint32_t hash);
/* The table's own copy of the key, valid until the flow is removed, or NULL. */
const struct flow_key *flow_table_key(const struct flow_table *table, const struct flow_key *key,
                                      uint32_t hash);
/* 0, -EEXIST, or -ENOSPC. */
int flow_table_insert(struct flow_table *table, const struct flow_key *key, uint32_t hash, uint32_t value);
/* Gives a flow that is there another value; 0, or -ENOENT. */
int flow_table_set(struct flow_table *table, const struct flow_key *key, uint32_t hash, uint32_t value);
/* 0, or -ENOENT. */
int flow_table_remove(struct flow_table *table, const struct flow_key *key, uint32_t hash);
uint32_t flow_table_used(const struct flow_table *table);

#endif
