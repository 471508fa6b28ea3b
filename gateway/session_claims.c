/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/session_claims.h"

#include "dataplane/siphash.h"

#include <stdatomic.h>
#include <stdlib.h>

#define WAYS 8
#define OWNER_MASK UINT64_C(0x7F)
#define CONTESTED UINT64_C(0x80)
#define KEY_MASK (~UINT64_C(0xFF))

struct session_claims {
    struct siphash_key secret;
    uint32_t mask; /* of buckets */
    _Atomic uint32_t contests;
    _Atomic uint64_t words[]; /* fingerprint, contested, worker + 1; 0: free */
};

/* Two claims a session are half a claim a bucket: that one has more than eight is out of all likelihood. */
struct session_claims *session_claims_create(uint32_t sessions, const uint8_t secret[16])
{
    uint32_t buckets = 64;
    while (buckets / 4 < sessions && buckets < (UINT32_C(1) << 26))
        buckets *= 2;
    struct session_claims *claims =
        calloc(1, sizeof(*claims) + (size_t)buckets * WAYS * sizeof(claims->words[0]));
    if (claims == NULL)
        return NULL;
    claims->secret = siphash_key_of(secret);
    claims->mask = buckets - 1;
    return claims;
}

void session_claims_destroy(struct session_claims *claims)
{
    free(claims);
}

uint64_t session_claims_key(const struct session_claims *claims, struct bytes space, struct bytes name)
{
    struct siphash_key key = claims->secret;
    key.k0 ^= siphash_2_4(claims->secret, space.at, space.len);
    uint64_t hash = siphash_2_4(key, name.at, name.len);
    return hash == 0 ? 1 : hash;
}

/* The bucket is chosen by bits that the fingerprint leaves out and some that it has. */
static _Atomic uint64_t *bucket_of(struct session_claims *claims, uint64_t key)
{
    return &claims->words[((uint32_t)key & claims->mask) * (size_t)WAYS];
}

static bool same(uint64_t word, uint64_t key)
{
    return word != 0 && ((word ^ key) & KEY_MASK) == 0;
}

/* The first place that holds the key, or WAYS. */
static uint32_t find(_Atomic uint64_t *bucket, uint64_t key)
{
    uint32_t i = 0;
    while (i < WAYS && !same(atomic_load(&bucket[i]), key))
        i++;
    return i;
}

/* True when another place than `at` holds the key: before it or behind it, for places come free in between.
 */
static bool held_elsewhere(_Atomic uint64_t *bucket, uint64_t key, uint32_t at)
{
    for (uint32_t i = 0; i < WAYS; i++)
        if (i != at && same(atomic_load(&bucket[i]), key))
            return true;
    return false;
}

enum claim_result session_claims_take(struct session_claims *claims, uint64_t key, uint32_t worker,
                                      bool contest)
{
    _Atomic uint64_t *bucket = bucket_of(claims, key);
    uint64_t word = (key & KEY_MASK) | (worker + 1);
    uint32_t held = find(bucket, key);
    if (held < WAYS) {
        uint64_t holder = atomic_load(&bucket[held]);
        if (contest && same(holder, key) &&
            atomic_compare_exchange_strong(&bucket[held], &holder, holder | CONTESTED))
            atomic_fetch_add(&claims->contests, 1);
        return CLAIM_TAKEN;
    }
    for (uint32_t i = 0; i < WAYS; i++) {
        uint64_t free_word = 0;
        if (!atomic_compare_exchange_strong(&bucket[i], &free_word, word))
            continue;
        /* Each of two who do this at once writes before it looks, so that one at least sees the other. */
        if (!held_elsewhere(bucket, key, i))
            return CLAIM_HELD;
        atomic_store(&bucket[i], 0);
        return CLAIM_TAKEN;
    }
    return CLAIM_REFUSED;
}

/* The place that this worker holds, or WAYS. */
static uint32_t find_own(_Atomic uint64_t *bucket, uint64_t key, uint32_t worker)
{
    for (uint32_t i = 0; i < WAYS; i++) {
        uint64_t word = atomic_load(&bucket[i]);
        if (same(word, key) && (word & OWNER_MASK) == worker + 1)
            return i;
    }
    return WAYS;
}

void session_claims_release(struct session_claims *claims, uint64_t key, uint32_t worker)
{
    _Atomic uint64_t *bucket = bucket_of(claims, key);
    uint32_t at = find_own(bucket, key, worker);
    if (at < WAYS)
        atomic_store(&bucket[at], 0);
}

uint32_t session_claims_contests(const struct session_claims *claims)
{
    return atomic_load_explicit(&claims->contests, memory_order_relaxed);
}

bool session_claims_contested(const struct session_claims *claims, uint64_t key, uint32_t worker)
{
    _Atomic uint64_t *bucket = bucket_of((struct session_claims *)(uintptr_t)claims, key);
    uint32_t at = find_own(bucket, key, worker);
    return at < WAYS && (atomic_load(&bucket[at]) & CONTESTED) != 0;
}
