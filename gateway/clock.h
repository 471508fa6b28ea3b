/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The worker's clock: microseconds since some moment before the worker started, from the time-stamp counter.
 * No system call; monotonic on one core and, with an invariant TSC, across cores. Wall time is only added
 * when an event is written. It is looked at about once a second: a box may start long before its clock is
 * set, and a counter goes seconds wrong in a day.
 */
#ifndef GATEWAY_CLOCK_H
#define GATEWAY_CLOCK_H

#include <rte_cycles.h>
#include <stdint.h>
#include <time.h>

struct loop_clock {
    uint64_t base_tsc;
    uint64_t us_per_tsc_q32; /* microseconds per cycle, 32 fractional bits */
    uint64_t wall_at_base_us;
};

/* What CLOCK_REALTIME says now belongs to this loop time. */
static inline void loop_clock_follow(struct loop_clock *clock, uint64_t now_us)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock->wall_at_base_us = (uint64_t)wall.tv_sec * 1000000 + (uint64_t)wall.tv_nsec / 1000 - now_us;
}

static inline void loop_clock_init(struct loop_clock *clock)
{
    clock->us_per_tsc_q32 = (UINT64_C(1000000) << 32) / rte_get_tsc_hz();
    /* Start well above zero, so that "now minus something" does not wrap in code that compares times. */
    clock->base_tsc = rte_rdtsc() - rte_get_tsc_hz() * 10;
    loop_clock_follow(clock, 10000000);
}

static inline uint64_t loop_clock_us(const struct loop_clock *clock, uint64_t tsc)
{
    return (uint64_t)(((unsigned __int128)(tsc - clock->base_tsc) * clock->us_per_tsc_q32) >> 32);
}

static inline uint64_t loop_clock_wall_us(const struct loop_clock *clock, uint64_t now_us)
{
    return clock->wall_at_base_us + now_us;
}

#endif
