/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/access/rate_limit.h"

#define UNIT 65536
/* Twice a burst in units must fit an int64_t; 2^45 tokens are 32 TiB. */
#define BURST_MAX (UINT64_C(1) << 45)

static int64_t burst_units(const struct rate *rate)
{
    uint64_t burst = rate->burst == 0 ? 1 : rate->burst;
    return (int64_t)((burst > BURST_MAX ? BURST_MAX : burst) * UNIT);
}

static uint64_t amount_units(const struct rate *rate)
{
    return (rate->amount > BURST_MAX ? BURST_MAX : rate->amount) * UNIT;
}

static uint64_t period_us(const struct rate *rate)
{
    return rate->period_us == 0 ? 1 : rate->period_us;
}

/* Credits what `elapsed` brings. The remainder of the division is kept, so that a slow rate asked often loses
 * nothing. */
static void credit(struct rate_bucket *bucket, const struct rate *rate, uint64_t elapsed_us)
{
    int64_t full = burst_units(rate);
    uint64_t wanted = (uint64_t)(full - bucket->level);
    uint64_t amount = amount_units(rate), period = period_us(rate), product, gained;
    if (!__builtin_mul_overflow(elapsed_us, amount, &product) &&
        !__builtin_add_overflow(product, bucket->remainder, &product)) {
        gained = product / period;
        bucket->remainder = product % period;
    } else {
        unsigned __int128 wide = (unsigned __int128)elapsed_us * amount + bucket->remainder;
        unsigned __int128 quotient = wide / period;
        gained = quotient > UINT64_MAX ? UINT64_MAX : (uint64_t)quotient;
        bucket->remainder = (uint64_t)(wide % period);
    }
    if (gained >= wanted) {
        bucket->level = full;
        bucket->remainder = 0;
    } else {
        bucket->level += (int64_t)gained;
    }
}

/* The bucket as it is now, with the rate as it is now. */
static struct rate_bucket refreshed(const struct rate_bucket *bucket, const struct rate *rate,
                                    uint64_t now_us)
{
    struct rate_bucket now = *bucket;
    int64_t full = burst_units(rate);
    if (!now.used) {
        now = (struct rate_bucket){.updated_us = now_us, .level = full, .used = true};
        return now;
    }
    if (now.remainder >= period_us(rate)) /* the period became shorter */
        now.remainder = 0;
    if (now.level < -full) /* a debt from before the burst became smaller */
        now.level = -full;
    if (now.level >= full) { /* full, or the burst became smaller */
        now.level = full;
        now.remainder = 0;
    } else if (now_us > now.updated_us) {
        credit(&now, rate, now_us - now.updated_us);
    }
    if (now_us > now.updated_us)
        now.updated_us = now_us;
    return now;
}

/* What n costs, at most two full buckets, and the level that lets it pass. */
static int64_t cost_units(const struct rate *rate, uint64_t n, int64_t *needed)
{
    int64_t full = burst_units(rate);
    int64_t cost = n > (uint64_t)(2 * full) / UNIT ? 2 * full : (int64_t)(n * UNIT);
    *needed = cost > full ? full : cost;
    return cost;
}

bool rate_limit_take(struct rate_bucket *bucket, const struct rate *rate, uint64_t n, uint64_t now_us)
{
    if (rate->amount == 0)
        return true;
    int64_t needed, cost = cost_units(rate, n, &needed);
    *bucket = refreshed(bucket, rate, now_us);
    if (bucket->level < needed)
        return false;
    bucket->level -= cost;
    return true;
}

bool rate_limit_allows(const struct rate_bucket *bucket, const struct rate *rate, uint64_t n, uint64_t now_us)
{
    if (rate->amount == 0)
        return true;
    int64_t needed;
    cost_units(rate, n, &needed);
    return refreshed(bucket, rate, now_us).level >= needed;
}

uint64_t rate_limit_ready_us(const struct rate_bucket *bucket, const struct rate *rate, uint64_t n,
                             uint64_t now_us)
{
    if (rate->amount == 0)
        return now_us;
    int64_t needed;
    cost_units(rate, n, &needed);
    struct rate_bucket now = refreshed(bucket, rate, now_us);
    if (now.level >= needed)
        return now_us;
    unsigned __int128 missing =
        (unsigned __int128)(uint64_t)(needed - now.level) * period_us(rate) - now.remainder;
    unsigned __int128 wait_us = (missing + amount_units(rate) - 1) / amount_units(rate);
    return wait_us > UINT64_MAX - now_us ? UINT64_MAX : now_us + (uint64_t)wait_us;
}
