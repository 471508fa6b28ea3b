/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Eight levels of 64 slots. A timer sits at the level of the highest six-bit digit in which its tick differs
 * from the present one, in the slot of that digit. So no slot of the present digits is ever occupied, the
 * lowest occupied level holds the earliest timer, and one bitmap per level finds it without walking.
 */
#include "dataplane/timer_wheel.h"

#include <assert.h>
#include <stdlib.h>

#define TICK_US 1000u
#define LEVELS 8u
#define DIGIT_BITS 6u
#define SLOTS (1u << DIGIT_BITS)
#define LAST_TICK ((UINT64_C(1) << (LEVELS * DIGIT_BITS)) - 1)

struct timer_wheel {
    uint64_t tick; /* slots up to this one have been or are being fired */
    uint64_t occupied[LEVELS];
    struct timer *slots[LEVELS * SLOTS];
};

static uint64_t present_tick(uint64_t now_us)
{
    uint64_t tick = now_us / TICK_US;
    return tick < LAST_TICK ? tick : LAST_TICK - 1;
}

struct timer_wheel *timer_wheel_create(uint64_t now_us)
{
    struct timer_wheel *wheel = calloc(1, sizeof(*wheel));
    if (wheel != NULL)
        wheel->tick = present_tick(now_us);
    return wheel;
}

void timer_wheel_destroy(struct timer_wheel *wheel)
{
    free(wheel);
}

static uint64_t tick_of(uint64_t due_us)
{
    uint64_t tick = due_us / TICK_US + (due_us % TICK_US != 0);
    return tick < LAST_TICK ? tick : LAST_TICK;
}

static void link_timer(struct timer_wheel *wheel, struct timer *timer, uint64_t tick)
{
    unsigned int level =
        tick == wheel->tick ? 0 : (unsigned int)(63 - __builtin_clzll(tick ^ wheel->tick)) / DIGIT_BITS;
    unsigned int digit = (unsigned int)(tick >> (level * DIGIT_BITS)) & (SLOTS - 1);
    struct timer **slot = &wheel->slots[level * SLOTS + digit];

    timer->next = *slot;
    timer->link = slot;
    if (timer->next != NULL)
        timer->next->link = &timer->next;
    *slot = timer;
    wheel->occupied[level] |= UINT64_C(1) << digit;
}

void timer_stop(struct timer_wheel *wheel, struct timer *timer)
{
    struct timer **link = timer->link;
    if (link == NULL)
        return;
    *link = timer->next;
    if (timer->next != NULL)
        timer->next->link = link;
    else if (link >= wheel->slots && link < wheel->slots + LEVELS * SLOTS) {
        size_t slot = (size_t)(link - wheel->slots);
        wheel->occupied[slot / SLOTS] &= ~(UINT64_C(1) << (slot % SLOTS));
    }
    timer->next = NULL;
    timer->link = NULL;
}

void timer_start(struct timer_wheel *wheel, struct timer *timer, uint64_t due_us)
{
    assert(timer->fire != NULL);
    timer_stop(wheel, timer);
    timer->due_us = due_us;
    uint64_t tick = tick_of(due_us);
    /* The present slot may be firing: what is due already waits for the next one. */
    link_timer(wheel, timer, tick > wheel->tick ? tick : wheel->tick + 1);
}

/* The next tick at which a slot fires or is spread over the level below; UINT64_MAX when none. */
static uint64_t next_tick(const struct timer_wheel *wheel)
{
    for (unsigned int level = 0; level < LEVELS; level++) {
        if (wheel->occupied[level] == 0)
            continue;
        uint64_t digit = (uint64_t)__builtin_ctzll(wheel->occupied[level]);
        unsigned int shift = level * DIGIT_BITS;
        uint64_t above = wheel->tick >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS);
        return above | (digit << shift);
    }
    return UINT64_MAX;
}

/* Spreads the slots that begin at the present tick over lower levels, the highest first. */
static void cascade(struct timer_wheel *wheel)
{
    for (unsigned int level = LEVELS - 1; level > 0; level--) {
        unsigned int digit = (unsigned int)(wheel->tick >> (level * DIGIT_BITS)) & (SLOTS - 1);
        if ((wheel->occupied[level] >> digit & 1u) == 0)
            continue;
        struct timer *timer = wheel->slots[level * SLOTS + digit];
        wheel->slots[level * SLOTS + digit] = NULL;
        wheel->occupied[level] &= ~(UINT64_C(1) << digit);
        while (timer != NULL) {
            struct timer *next = timer->next;
            uint64_t tick = tick_of(timer->due_us);
            link_timer(wheel, timer, tick > wheel->tick ? tick : wheel->tick);
            timer = next;
        }
    }
}

uint32_t timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_us, uint32_t budget)
{
    uint64_t target = present_tick(now_us);
    uint32_t fired = 0;

    for (;;) {
        struct timer **slot = &wheel->slots[wheel->tick & (SLOTS - 1)];
        while (*slot != NULL) {
            if (fired == budget)
                return fired;
            struct timer *timer = *slot;
            timer_stop(wheel, timer);
            fired++;
            timer->fire(timer, now_us);
        }
        uint64_t tick = next_tick(wheel);
        if (tick > target)
            break;
        wheel->tick = tick;
        cascade(wheel);
    }
    if (wheel->tick < target)
        wheel->tick = target;
    return fired;
}

uint64_t timer_wheel_next_us(const struct timer_wheel *wheel)
{
    uint64_t tick = next_tick(wheel);
    return tick == UINT64_MAX ? UINT64_MAX : tick * TICK_US;
}
