/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Timers: a hierarchical wheel with 1 ms slots; O(1) to start, restart and stop; one wheel per worker.
 *
 * A timer is embedded in the object it belongs to, which stops it before it goes away (slab objects: in their
 * one release function), so a timer cannot outlive its object and needs no handle. Time is the microseconds
 * of the worker's loop and never read here. Timers fire at or after their time, never early, in
 * timer_wheel_advance; the callback may start or stop any timer, also its own.
 */
#ifndef DATAPLANE_TIMER_WHEEL_H
#define DATAPLANE_TIMER_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    struct timer *next;
    struct timer **link; /* what points at us; NULL when stopped */
    uint64_t due_us;
    void (*fire)(struct timer *timer, uint64_t now_us);
};

struct timer_wheel;

struct timer_wheel *timer_wheel_create(uint64_t now_us);
void timer_wheel_destroy(struct timer_wheel *wheel);
/* Starts, or moves, a timer whose `fire` is set. */
void timer_start(struct timer_wheel *wheel, struct timer *timer, uint64_t due_us);
void timer_stop(struct timer_wheel *wheel, struct timer *timer);
static inline bool timer_running(const struct timer *timer)
{
    return timer->link != NULL;
}
/* Fires what is due. At most `budget` timers in one call, so that a mass expiry is spread over loops; answers
 * how many fired. */
uint32_t timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_us, uint32_t budget);
/* When the next timer may be due at the earliest (may be early, never late); UINT64_MAX when none runs. */
uint64_t timer_wheel_next_us(const struct timer_wheel *wheel);

#endif
