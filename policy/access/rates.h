/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rates by kind, each in up to three windows that all must hold ("20/s burst 60" and "1000/h"), and the
 * buckets that go with them (F2, F3).
 *
 * `struct rates` is immutable policy. Buckets are state and outlive reloads: `struct rate_buckets` belongs to
 * one worker (a client, a source), `struct shared_buckets` to all workers at once (a role, a listener). The
 * latter keep, for each window, the time until which what was taken is paid for (the "theoretical arrival
 * time" of GCRA) in one atomic word, so that workers share them without a lock. In both a changed rate takes
 * effect at the next take and refills nothing, and n above the burst passes a full bucket and leaves a debt
 * of one burst at most.
 */
#ifndef POLICY_ACCESS_RATES_H
#define POLICY_ACCESS_RATES_H

#include "policy/access/rate_limit.h"

#include <stdatomic.h>

#define RATE_WINDOWS 3

enum rate_kind {
    RATE_PUBLISHES = 0,
    RATE_BYTES, /* from the client */
    RATE_SUBSCRIBES,
    RATE_PINGS,
    RATE_CONNECTS,
    RATE_REQUESTS, /* CoAP */
    RATE_KINDS,
};

/* What to do with what is over a rate (F2). */
enum policy_over_limit {
    POLICY_DELAY = 0,  /* it waits: TCP back pressure, nothing lost */
    POLICY_DROP,       /* QoS 0 is dropped, a PINGREQ answered here; all else waits */
    POLICY_DISCONNECT, /* 0x96 */
    POLICY_QUOTA,      /* QoS 0 is dropped; QoS 1 and 2 and SUBSCRIBE are refused with 0x97 (3.x: acknowledged
                          and dropped, 0x80), a PINGREQ answered here */
    POLICY_QUARANTINE, /* 0x96, and the client is refused for quarantine_us */
};

/* Windows of a kind are filled from the first; amount 0 ends them. */
struct rates {
    struct rate of[RATE_KINDS][RATE_WINDOWS];
    enum policy_over_limit over;
    uint64_t quarantine_us;
};

/* All zero: full. */
struct rate_buckets {
    struct rate_bucket of[RATE_WINDOWS][RATE_KINDS]; /* first windows lie together */
    uint64_t unpaid_bytes;                           /* taken from the client, not yet from a bucket */
};

struct shared_buckets {
    _Atomic uint64_t paid_until[RATE_WINDOWS][RATE_KINDS]; /* 1/65536 us */
    _Atomic uint64_t unpaid_bytes;
};

static inline bool rates_limit(const struct rates *rates, enum rate_kind kind)
{
    return rates->of[kind][0].amount != 0;
}

/* Takes n tokens of all windows of a kind and answers true, or takes none. */
bool rate_buckets_take(struct rate_buckets *buckets, const struct rates *rates, enum rate_kind kind,
                       uint64_t n, uint64_t now_us);
/* Whether take would succeed; changes nothing. */
bool rate_buckets_allow(const struct rate_buckets *buckets, const struct rates *rates, enum rate_kind kind,
                        uint64_t n, uint64_t now_us);
/* When take will succeed: now_us when it would already. */
uint64_t rate_buckets_ready_us(const struct rate_buckets *buckets, const struct rates *rates,
                               enum rate_kind kind, uint64_t n, uint64_t now_us);

/* The same, from any worker. */
bool shared_buckets_take(struct shared_buckets *buckets, const struct rates *rates, enum rate_kind kind,
                         uint64_t n, uint64_t now_us);
bool shared_buckets_allow(const struct shared_buckets *buckets, const struct rates *rates,
                          enum rate_kind kind, uint64_t n, uint64_t now_us);
uint64_t shared_buckets_ready_us(const struct shared_buckets *buckets, const struct rates *rates,
                                 enum rate_kind kind, uint64_t n, uint64_t now_us);

#endif
