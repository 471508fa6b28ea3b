/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Large buckets are placed first, while slots are plenty; see Belazzougui, Botelho, Dietzfelbinger, "Hash,
 * displace, and compress" (2009). */
#include "policy/access/perfect_hash.h"

#include <stdlib.h>

/* Four keys to a bucket on the average; one this large does not come of good keys. */
#define BUCKET_MAX 64

struct build {
    struct perfect_hash hash;
    const uint64_t *keys;
    uint32_t *first; /* of each bucket in `member`, and one past the last */
    uint32_t *member;
    uint32_t *order; /* buckets, large ones first */
    uint8_t *taken;
};

static void sort_into_buckets(struct build *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        b->first[perfect_hash_bucket(&b->hash, b->keys[i]) + 1]++;
    for (uint32_t i = 0; i < b->hash.buckets_n; i++)
        b->first[i + 1] += b->first[i];
    /* Fills each bucket from its end, with its end standing one place higher meanwhile. */
    for (uint32_t i = n; i-- > 0;)
        b->member[--b->first[perfect_hash_bucket(&b->hash, b->keys[i]) + 1]] = i;
    for (uint32_t i = 0; i < b->hash.buckets_n; i++)
        b->first[i] = b->first[i + 1];
    b->first[b->hash.buckets_n] = n;
}

static uint32_t bucket_size(const struct build *b, uint32_t bucket)
{
    return b->first[bucket + 1] - b->first[bucket];
}

static bool sort_by_size(struct build *b)
{
    uint32_t place[BUCKET_MAX + 2] = {0};
    for (uint32_t i = 0; i < b->hash.buckets_n; i++) {
        if (bucket_size(b, i) > BUCKET_MAX)
            return false;
        place[BUCKET_MAX - bucket_size(b, i) + 1]++;
    }
    for (uint32_t i = 0; i <= BUCKET_MAX; i++)
        place[i + 1] += place[i];
    for (uint32_t i = 0; i < b->hash.buckets_n; i++)
        b->order[place[BUCKET_MAX - bucket_size(b, i)]++] = i;
    return true;
}

/* Takes the slots that a bucket's keys fall into when displaced by `by`; none when they clash. */
static bool settle(struct build *b, uint32_t bucket, uint32_t by)
{
    uint32_t done = b->first[bucket], slot;
    for (; done < b->first[bucket + 1]; done++) {
        slot = perfect_hash_displaced(&b->hash, b->keys[b->member[done]], by);
        if (b->taken[slot])
            break;
        b->taken[slot] = 1;
    }
    if (done == b->first[bucket + 1])
        return true;
    while (done-- > b->first[bucket])
        b->taken[perfect_hash_displaced(&b->hash, b->keys[b->member[done]], by)] = 0;
    return false;
}

static bool displace(struct build *b, uint16_t *displacement)
{
    for (uint32_t i = 0; i < b->hash.buckets_n; i++) {
        uint32_t by = 0;
        while (by <= UINT16_MAX && !settle(b, b->order[i], by))
            by++;
        if (by > UINT16_MAX)
            return false;
        displacement[b->order[i]] = (uint16_t)by;
    }
    return true;
}

bool perfect_hash_build(const uint64_t *keys, uint32_t n, uint16_t *displacement, bool *out_of_memory)
{
    struct build b = {
        .hash = {.displacement = displacement,
                 .buckets_n = perfect_hash_buckets(n),
                 .slots_n = perfect_hash_slots(n)},
        .keys = keys,
    };
    b.first = calloc(b.hash.buckets_n + 1U, sizeof(*b.first));
    b.member = calloc(n + 1U, sizeof(*b.member));
    b.order = calloc(b.hash.buckets_n, sizeof(*b.order));
    b.taken = calloc(b.hash.slots_n, sizeof(*b.taken));
    *out_of_memory = b.first == NULL || b.member == NULL || b.order == NULL || b.taken == NULL;
    bool built = false;
    if (!*out_of_memory) {
        sort_into_buckets(&b, n);
        built = sort_by_size(&b) && displace(&b, displacement);
    }
    free(b.first);
    free(b.member);
    free(b.order);
    free(b.taken);
    return built;
}
