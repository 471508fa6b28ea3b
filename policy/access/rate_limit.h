/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Token buckets in integer arithmetic (F2). A `struct rate` is immutable policy ("20/s burst 60"), a `struct
 * rate_bucket` is state that survives reloads: a changed rate takes effect at the next take and never refills
 * the bucket. Time may stand still or jump, but is never taken to go back. Pure.
 */
#ifndef POLICY_ACCESS_RATE_LIMIT_H
#define POLICY_ACCESS_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct rate {
    uint64_t amount;    /* tokens per period; 0: unlimited */
    uint64_t period_us; /* one second for "/s", 60 for "/min", ... */
    uint64_t burst;     /* most tokens at once; at least 1 */
};

/* All zero: a new bucket, which is filled at its first use. */
struct rate_bucket {
    uint64_t updated_us;
    int64_t level;      /* in 1/65536 tokens; below 0: a debt, of a full bucket at most */
    uint64_t remainder; /* of the last division, so that asking often loses nothing */
    bool used;
};

/* Takes n tokens and answers true, or takes none. n above burst passes when the bucket is full and leaves the
 * excess as a debt, of a full bucket at most. */
bool rate_limit_take(struct rate_bucket *bucket, const struct rate *rate, uint64_t n, uint64_t now_us);
/* Whether take would succeed; changes nothing. */
bool rate_limit_allows(const struct rate_bucket *bucket, const struct rate *rate, uint64_t n,
                       uint64_t now_us);
/* When n tokens will be there: now_us when they are already. */
uint64_t rate_limit_ready_us(const struct rate_bucket *bucket, const struct rate *rate, uint64_t n,
                             uint64_t now_us);

#endif
