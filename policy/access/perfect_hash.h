/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hash without collisions over a set of keys that is known in advance: hash, then displace by what the
 * key's bucket says. A lookup reads two bytes of the displacements and then exactly one slot, whether the key
 * is in the set or not, so that nobody who sends keys can make it slower. The keys are hashes themselves;
 * whoever finds a slot compares what is in it. Pure, but for the memory that building borrows.
 */
#ifndef POLICY_ACCESS_PERFECT_HASH_H
#define POLICY_ACCESS_PERFECT_HASH_H

#include "policy/access/hash.h"

struct perfect_hash {
    const uint16_t *displacement;
    uint32_t buckets_n;
    uint32_t slots_n;
};

/* How many there are for n keys. */
static inline uint32_t perfect_hash_slots(uint32_t n)
{
    return n + n / 8 + 1;
}

static inline uint32_t perfect_hash_buckets(uint32_t n)
{
    return n / 4 + 1;
}

static inline uint32_t perfect_hash_reduce(uint32_t value, uint32_t n)
{
    return (uint32_t)(((uint64_t)value * n) >> 32);
}

static inline uint32_t perfect_hash_bucket(const struct perfect_hash *hash, uint64_t key)
{
    return perfect_hash_reduce((uint32_t)key, hash->buckets_n);
}

static inline uint32_t perfect_hash_displaced(const struct perfect_hash *hash, uint64_t key, uint32_t by)
{
    uint64_t mixed = (key ^ (by * HASH_ODD_1)) * HASH_ODD_2;
    return perfect_hash_reduce((uint32_t)(mixed >> 32), hash->slots_n);
}

/* The slot of a key; a key that is not in the set is given one too. */
static inline uint32_t perfect_hash_slot(const struct perfect_hash *hash, uint64_t key)
{
    return perfect_hash_displaced(hash, key, hash->displacement[perfect_hash_bucket(hash, key)]);
}

/* Finds displacements (perfect_hash_buckets(n) of them) that give each of n keys a slot of its own. False
 * when two keys are the same, when there are none, or when memory is not to be had (`*out_of_memory`). */
bool perfect_hash_build(const uint64_t *keys, uint32_t n, uint16_t *displacement, bool *out_of_memory);

#endif
