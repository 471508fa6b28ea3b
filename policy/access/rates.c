/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/access/rates.h"

#define EACH_WINDOW(w, rates, kind)                                                                          \
    for (uint32_t w = 0; w < RATE_WINDOWS && (rates)->of[kind][w].amount != 0; w++)

/* ---- of one worker ------------------------------------------------------------------------------------ */

bool rate_buckets_allow(const struct rate_buckets *buckets, const struct rates *rates, enum rate_kind kind,
                        uint64_t n, uint64_t now_us)
{
    EACH_WINDOW(w, rates, kind)
    if (!rate_limit_allows(&buckets->of[w][kind], &rates->of[kind][w], n, now_us))
        return false;
    return true;
}

bool rate_buckets_take(struct rate_buckets *buckets, const struct rates *rates, enum rate_kind kind,
                       uint64_t n, uint64_t now_us)
{
    if (rates->of[kind][1].amount == 0)
        return rate_limit_take(&buckets->of[0][kind], &rates->of[kind][0], n, now_us);
    if (!rate_buckets_allow(buckets, rates, kind, n, now_us))
        return false;
    EACH_WINDOW(w, rates, kind)
    (void)rate_limit_take(&buckets->of[w][kind], &rates->of[kind][w], n, now_us);
    return true;
}

uint64_t rate_buckets_ready_us(const struct rate_buckets *buckets, const struct rates *rates,
                               enum rate_kind kind, uint64_t n, uint64_t now_us)
{
    uint64_t ready_us = now_us;
    EACH_WINDOW(w, rates, kind)
    {
        uint64_t at_us = rate_limit_ready_us(&buckets->of[w][kind], &rates->of[kind][w], n, now_us);
        ready_us = at_us > ready_us ? at_us : ready_us;
    }
    return ready_us;
}

/* ---- of all workers ----------------------------------------------------------------------------------- */

#define UNITS_PER_US 65536
/* Beyond this (a year) nothing is told apart: far from where sums of a few could overflow. */
#define SPAN_MAX (UINT64_C(1) << 61)

/* What n tokens take of the time; at least one unit, or they would be free. */
static uint64_t span_of(const struct rate *rate, uint64_t n)
{
    unsigned __int128 period = rate->period_us == 0 ? 1 : rate->period_us;
    unsigned __int128 span = period * UNITS_PER_US * n / rate->amount;
    if (span > SPAN_MAX)
        return SPAN_MAX;
    return span == 0 && n != 0 ? 1 : (uint64_t)span;
}

/* A window as it is now: what is taken of it lies between `now` and `until`. */
struct window {
    uint64_t now;
    uint64_t until;
    uint64_t full; /* span of a burst */
    uint64_t cost;
};

static struct window look(uint64_t until, const struct rate *rate, uint64_t n, uint64_t now_us)
{
    uint64_t now = now_us > SPAN_MAX / UNITS_PER_US ? SPAN_MAX : now_us * UNITS_PER_US;
    struct window window = {.now = now, .full = span_of(rate, rate->burst == 0 ? 1 : rate->burst)};
    uint64_t most = now + 2 * window.full;
    window.cost = span_of(rate, n);
    /* A debt is of a full bucket at most, also one from before the rate was another. */
    window.until = until < now ? now : until > most ? most : until;
    return window;
}

/* How far `until` may be ahead for the cost to pass: what is above a burst passes a full bucket. */
static uint64_t latest(const struct window *window)
{
    return window->cost > window->full ? window->now : window->now + (window->full - window->cost);
}

bool shared_buckets_allow(const struct shared_buckets *buckets, const struct rates *rates,
                          enum rate_kind kind, uint64_t n, uint64_t now_us)
{
    return shared_buckets_ready_us(buckets, rates, kind, n, now_us) == now_us;
}

static bool take_window(_Atomic uint64_t *at, const struct rate *rate, uint64_t n, uint64_t now_us,
                        uint64_t *added)
{
    uint64_t before = atomic_load_explicit(at, memory_order_relaxed), after;
    do {
        struct window window = look(before, rate, n, now_us);
        if (window.until > latest(&window))
            return false;
        uint64_t most = window.now + 2 * window.full;
        after = window.until + window.cost > most ? most : window.until + window.cost;
        *added = after - window.until;
    } while (!atomic_compare_exchange_weak_explicit(at, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

bool shared_buckets_take(struct shared_buckets *buckets, const struct rates *rates, enum rate_kind kind,
                         uint64_t n, uint64_t now_us)
{
    uint64_t added[RATE_WINDOWS];
    EACH_WINDOW(w, rates, kind)
    {
        if (take_window(&buckets->paid_until[w][kind], &rates->of[kind][w], n, now_us, &added[w]))
            continue;
        while (w-- > 0) /* what others took in between stays taken */
            atomic_fetch_sub_explicit(&buckets->paid_until[w][kind], added[w], memory_order_relaxed);
        return false;
    }
    return true;
}

uint64_t shared_buckets_ready_us(const struct shared_buckets *buckets, const struct rates *rates,
                                 enum rate_kind kind, uint64_t n, uint64_t now_us)
{
    uint64_t ready_us = now_us;
    EACH_WINDOW(w, rates, kind)
    {
        uint64_t until = atomic_load_explicit(&buckets->paid_until[w][kind], memory_order_relaxed);
        struct window window = look(until, &rates->of[kind][w], n, now_us);
        if (window.until <= latest(&window))
            continue;
        uint64_t wait_us = (window.until - latest(&window) + UNITS_PER_US - 1) / UNITS_PER_US;
        ready_us = now_us + wait_us > ready_us ? now_us + wait_us : ready_us;
    }
    return ready_us;
}
