/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/timer_wheel.h"

#include "tests/unit/runner.h"

#include <string.h>

struct probe {
    struct timer timer;
    struct timer_wheel *wheel;
    uint64_t fired_us;
    uint32_t fired;
    uint64_t again_us;   /* restart by this much from inside the callback */
    struct timer *stops; /* stop this one from inside the callback */
};

static void fire(struct timer *timer, uint64_t now_us)
{
    struct probe *p = (struct probe *)timer;
    p->fired++;
    p->fired_us = now_us;
    if (p->again_us != 0)
        timer_start(p->wheel, timer, now_us + p->again_us);
    if (p->stops != NULL)
        timer_stop(p->wheel, p->stops);
}

static void fires_at_or_after_its_time(void)
{
    static const uint64_t dues[] = {0,
                                    1,
                                    999,
                                    1000,
                                    1001,
                                    63000,
                                    64000,
                                    65000,
                                    4095000,
                                    4096000,
                                    4097123,
                                    262144000,
                                    UINT64_C(86400000000),
                                    UINT64_C(40000000000000)};
    for (size_t i = 0; i < sizeof(dues) / sizeof(dues[0]); i++) {
        for (uint64_t start = 0; start < 5; start++) {
            uint64_t now = start * 63777;
            struct timer_wheel *wheel = timer_wheel_create(now);
            struct probe p = {.timer = {.fire = fire}, .wheel = wheel};
            uint64_t due = now + dues[i];
            CU_ASSERT_EQUAL(timer_wheel_next_us(wheel), UINT64_MAX);
            timer_start(wheel, &p.timer, due);
            CU_ASSERT(timer_running(&p.timer));
            /* Sleeping until the wheel says so never oversleeps by more than the two ticks of rounding. */
            while (p.fired == 0) {
                uint64_t next = timer_wheel_next_us(wheel);
                CU_ASSERT_FATAL(next != UINT64_MAX);
                CU_ASSERT_FATAL(next <= due + 2000);
                now = next > now ? next : now;
                timer_wheel_advance(wheel, now, UINT32_MAX);
            }
            CU_ASSERT(p.fired_us >= due && p.fired_us <= due + 2000);
            CU_ASSERT_FALSE(timer_running(&p.timer));
            timer_wheel_destroy(wheel);
        }
    }
}

static void a_jump_of_hours_fires_everything_once(void)
{
    enum { N = 1000 };
    struct timer_wheel *wheel = timer_wheel_create(12345);
    static struct probe p[N];
    memset(p, 0, sizeof(p));
    for (uint32_t i = 0; i < N; i++) {
        p[i].timer.fire = fire;
        p[i].wheel = wheel;
        timer_start(wheel, &p[i].timer, 12345 + (uint64_t)i * i * 3001);
    }
    CU_ASSERT_EQUAL(timer_wheel_advance(wheel, UINT64_C(36000000000), UINT32_MAX), N);
    for (uint32_t i = 0; i < N; i++)
        CU_ASSERT_EQUAL(p[i].fired, 1);
    CU_ASSERT_EQUAL(timer_wheel_next_us(wheel), UINT64_MAX);
    timer_wheel_destroy(wheel);
}

static void the_budget_spreads_a_mass_expiry(void)
{
    enum { N = 100 };
    struct timer_wheel *wheel = timer_wheel_create(0);
    struct probe p[N];
    memset(p, 0, sizeof(p));
    for (uint32_t i = 0; i < N; i++) {
        p[i].timer.fire = fire;
        p[i].wheel = wheel;
        timer_start(wheel, &p[i].timer, 5000);
    }
    uint32_t total = 0;
    for (uint32_t round = 0; round < 10; round++) {
        uint32_t n = timer_wheel_advance(wheel, 50000, 10);
        CU_ASSERT_EQUAL(n, 10);
        total += n;
        if (total < N)
            CU_ASSERT(timer_wheel_next_us(wheel) <= 50000);
    }
    CU_ASSERT_EQUAL(total, N);
    CU_ASSERT_EQUAL(timer_wheel_advance(wheel, 50000, 10), 0);
    timer_wheel_destroy(wheel);
}

static void callbacks_may_start_and_stop(void)
{
    struct timer_wheel *wheel = timer_wheel_create(0);
    struct probe victim = {.timer = {.fire = fire}, .wheel = wheel};
    struct probe periodic = {.timer = {.fire = fire}, .wheel = wheel, .again_us = 1, .stops = &victim.timer};
    timer_start(wheel, &victim.timer, 10000);
    timer_start(wheel, &periodic.timer, 3000);
    /* A timer that restarts in the past of a late loop must not spin inside one call for ever. */
    CU_ASSERT_EQUAL(timer_wheel_advance(wheel, 20000, UINT32_MAX), 1);
    CU_ASSERT_EQUAL(periodic.fired, 1);
    CU_ASSERT_EQUAL(victim.fired, 0);
    CU_ASSERT_FALSE(timer_running(&victim.timer));
    CU_ASSERT(timer_running(&periodic.timer));
    timer_stop(wheel, &periodic.timer);
    timer_stop(wheel, &periodic.timer);
    CU_ASSERT_EQUAL(timer_wheel_next_us(wheel), UINT64_MAX);
    timer_wheel_destroy(wheel);
}

/* Against a plain array: 20,000 random operations. */
static void agrees_with_a_model(void)
{
    enum { N = 200 };
    struct timer_wheel *wheel = timer_wheel_create(1);
    static struct probe p[N];
    static uint64_t due[N]; /* 0: not running */
    memset(p, 0, sizeof(p));
    memset(due, 0, sizeof(due));
    uint64_t now = 1, seed = 42;
    for (uint32_t step = 0; step < 20000; step++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint32_t i = (uint32_t)(seed >> 33) % N;
        uint32_t shift = (uint32_t)(seed >> 20) % 30;
        uint64_t delta = (seed >> 34) & ((UINT64_C(1) << shift) - 1);
        p[i].timer.fire = fire;
        p[i].wheel = wheel;
        switch ((seed >> 60) % 4) {
        case 0:
        case 1:
            due[i] = now + delta + 1;
            p[i].fired = 0;
            timer_start(wheel, &p[i].timer, due[i]);
            break;
        case 2:
            due[i] = 0;
            timer_stop(wheel, &p[i].timer);
            break;
        default:
            now += delta / 16;
            timer_wheel_advance(wheel, now, UINT32_MAX);
            for (uint32_t k = 0; k < N; k++) {
                if (due[k] != 0 && p[k].fired != 0) {
                    CU_ASSERT_FATAL(due[k] <= now && p[k].fired == 1);
                    due[k] = 0;
                    p[k].fired = 0;
                }
                /* Late by a tick of rounding at most, and never lost. */
                CU_ASSERT_FATAL(due[k] == 0 || due[k] + 2000 > now);
                CU_ASSERT_FATAL((due[k] != 0) == timer_running(&p[k].timer));
            }
        }
    }
    timer_wheel_destroy(wheel);
}

static void the_end_of_time_is_harmless(void)
{
    struct timer_wheel *wheel = timer_wheel_create(UINT64_MAX);
    struct probe p = {.timer = {.fire = fire}, .wheel = wheel};
    timer_start(wheel, &p.timer, UINT64_MAX);
    timer_wheel_advance(wheel, UINT64_MAX, 10);
    timer_stop(wheel, &p.timer);
    timer_wheel_destroy(wheel);
    wheel = timer_wheel_create(0);
    p.wheel = wheel;
    timer_start(wheel, &p.timer, UINT64_MAX);
    timer_wheel_advance(wheel, UINT64_MAX / 2, 10);
    CU_ASSERT_EQUAL(p.fired, 0);
    timer_wheel_destroy(wheel);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"fires at or after its time, never early", fires_at_or_after_its_time},
        {"a jump of hours fires everything once", a_jump_of_hours_fires_everything_once},
        {"the budget spreads a mass expiry", the_budget_spreads_a_mass_expiry},
        {"callbacks may start and stop timers", callbacks_may_start_and_stop},
        {"agrees with a model over random operations", agrees_with_a_model},
        {"the end of time is harmless", the_end_of_time_is_harmless},
    };
    return unit_run("timer_wheel", tests, sizeof(tests) / sizeof(tests[0]));
}
