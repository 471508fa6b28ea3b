/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/client_shares.h"

#include "dataplane/siphash.h"

#include <stdlib.h>
#include <sys/mman.h>

#define WAYS 64
#define USERS_MASK UINT64_C(0xFFFF)
#define TRIES 1000

struct bucket {
    _Atomic uint32_t making;      /* a worker makes a place */
    _Atomic uint64_t words[WAYS]; /* name and users; 0: empty */
    struct client_share shares[WAYS];
};

struct client_shares {
    struct siphash_key secret;
    uint32_t mask; /* of buckets */
    struct bucket *buckets;
};

static size_t bytes_of_buckets(const struct client_shares *shares)
{
    return ((size_t)shares->mask + 1) * sizeof(struct bucket);
}

struct client_shares *client_shares_create(uint32_t clients, const uint8_t secret[16])
{
    struct client_shares *shares = calloc(1, sizeof(*shares));
    if (shares == NULL)
        return NULL;
    uint64_t places = WAYS;
    while (places < 2 * (uint64_t)clients)
        places *= 2;
    shares->secret = siphash_key_of(secret);
    shares->mask = (uint32_t)(places / WAYS - 1);
    void *at = mmap(NULL, bytes_of_buckets(shares), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        free(shares);
        return NULL;
    }
    shares->buckets = at;
    return shares;
}

void client_shares_destroy(struct client_shares *shares)
{
    if (shares == NULL)
        return;
    munmap(shares->buckets, bytes_of_buckets(shares));
    free(shares);
}

/* ---- places ------------------------------------------------------------------------------------------- */

/* One more user of the place that has the name. */
static struct client_share *join(struct bucket *bucket, uint64_t name)
{
    for (uint32_t i = 0; i < WAYS; i++) {
        uint64_t word = atomic_load(&bucket->words[i]);
        while ((word & ~USERS_MASK) == name && (word & USERS_MASK) != USERS_MASK)
            if (atomic_compare_exchange_weak(&bucket->words[i], &word, word + 1))
                return &bucket->shares[i];
    }
    return NULL;
}

/* A place that is empty or that nobody refers to, rather not of one that is in quarantine; emptied. */
static uint32_t empty(struct bucket *bucket)
{
    for (int round = 0; round < 3; round++)
        for (uint32_t i = 0; i < WAYS; i++) {
            uint64_t word = atomic_load(&bucket->words[i]);
            if (round == 0 && word == 0)
                return i;
            bool spare = round == 2 || atomic_load(&bucket->shares[i].quarantined_until_us) == 0;
            if (round != 0 && spare && (word & USERS_MASK) == 0 &&
                atomic_compare_exchange_strong(&bucket->words[i], &word, 0))
                return i;
        }
    return WAYS;
}

static void clear(struct client_share *share)
{
    for (uint32_t w = 0; w < RATE_WINDOWS; w++)
        for (uint32_t kind = 0; kind < RATE_KINDS; kind++)
            atomic_store(&share->rates.paid_until[w][kind], 0);
    atomic_store(&share->rates.unpaid_bytes, 0);
    atomic_store(&share->quarantined_until_us, 0);
    atomic_store(&share->sessions, 0);
}

/* Nobody can find the place before its word is written. */
static struct client_share *make(struct bucket *bucket, uint64_t name)
{
    struct client_share *share = join(bucket, name);
    if (share != NULL)
        return share;
    uint32_t at = empty(bucket);
    if (at == WAYS)
        return NULL;
    clear(&bucket->shares[at]);
    atomic_store(&bucket->words[at], name | 1);
    return &bucket->shares[at];
}

struct client_share *client_shares_acquire(struct client_shares *shares, struct bytes name)
{
    uint64_t hash = siphash_2_4(shares->secret, name.at, name.len);
    struct bucket *bucket = &shares->buckets[(uint32_t)hash & shares->mask];
    hash &= ~USERS_MASK;
    hash = hash == 0 ? USERS_MASK + 1 : hash;
    for (uint32_t tries = 0; tries < TRIES; tries++) {
        struct client_share *share = join(bucket, hash);
        uint32_t nobody = 0;
        if (share != NULL)
            return share;
        if (!atomic_compare_exchange_strong(&bucket->making, &nobody, 1))
            continue;
        share = make(bucket, hash);
        atomic_store(&bucket->making, 0);
        return share;
    }
    return NULL;
}

void client_shares_release(struct client_shares *shares, struct client_share *share)
{
    size_t offset = (size_t)((const uint8_t *)share - (const uint8_t *)shares->buckets);
    struct bucket *bucket = &shares->buckets[offset / sizeof(struct bucket)];
    atomic_fetch_sub(&bucket->words[share - bucket->shares], 1);
}

/* ---- sessions ----------------------------------------------------------------------------------------- */

bool client_share_open(struct client_share *share, uint32_t most)
{
    uint32_t n = atomic_load(&share->sessions);
    do {
        if (n >= most)
            return false;
    } while (!atomic_compare_exchange_weak(&share->sessions, &n, n + 1));
    return true;
}

void client_share_close(struct client_share *share)
{
    atomic_fetch_sub(&share->sessions, 1);
}
