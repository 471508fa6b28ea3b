/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rates.h: several windows of one kind, and buckets that workers share (F2, F3). */
#include "policy/access/rates.h"

#include "tests/unit/runner.h"

#include <pthread.h>

#define S UINT64_C(1000000)
#define HOUR (3600 * S)

static struct rates two_windows(void)
{
    struct rates rates = {0};
    rates.of[RATE_PUBLISHES][0] = (struct rate){.amount = 20, .period_us = S, .burst = 60};
    rates.of[RATE_PUBLISHES][1] = (struct rate){.amount = 1000, .period_us = HOUR, .burst = 1000};
    return rates;
}

/* What a second of trying as often as it goes lets through, in steps of 10 ms. */
static uint32_t pass_own(struct rate_buckets *b, const struct rates *rates, uint64_t *now_us,
                         uint32_t seconds)
{
    uint32_t passed = 0;
    for (uint32_t step = 0; step < seconds * 100; step++, *now_us += S / 100)
        while (rate_buckets_take(b, rates, RATE_PUBLISHES, 1, *now_us))
            passed++;
    return passed;
}

static uint32_t pass_shared(struct shared_buckets *b, const struct rates *rates, uint64_t *now_us,
                            uint32_t seconds)
{
    uint32_t passed = 0;
    for (uint32_t step = 0; step < seconds * 100; step++, *now_us += S / 100)
        while (shared_buckets_take(b, rates, RATE_PUBLISHES, 1, *now_us))
            passed++;
    return passed;
}

static void all_windows_hold(void)
{
    struct rates rates = two_windows();
    struct rate_buckets own = {0};
    struct shared_buckets shared = {0};
    uint64_t own_us = 5 * S, shared_us = 5 * S;
    uint32_t n = pass_own(&own, &rates, &own_us, 10);
    CU_ASSERT(n >= 250 && n <= 261); /* the burst and 20 a second */
    n = pass_shared(&shared, &rates, &shared_us, 10);
    CU_ASSERT(n >= 250 && n <= 261);
    n = pass_own(&own, &rates, &own_us, 90);
    CU_ASSERT(n >= 740 && n <= 785); /* then the hour's amount is used up */
    n = pass_shared(&shared, &rates, &shared_us, 90);
    CU_ASSERT(n >= 740 && n <= 785);
    CU_ASSERT_FALSE(rate_buckets_allow(&own, &rates, RATE_PUBLISHES, 1, own_us));
    uint64_t ready_us = rate_buckets_ready_us(&own, &rates, RATE_PUBLISHES, 1, own_us);
    CU_ASSERT(ready_us > own_us && ready_us <= own_us + HOUR / 1000);
    CU_ASSERT_TRUE(rate_buckets_allow(&own, &rates, RATE_PUBLISHES, 1, ready_us));
    CU_ASSERT_FALSE(rate_buckets_allow(&own, &rates, RATE_PUBLISHES, 1, ready_us - 1));
    ready_us = shared_buckets_ready_us(&shared, &rates, RATE_PUBLISHES, 1, shared_us);
    CU_ASSERT(ready_us > shared_us && ready_us <= shared_us + HOUR / 1000);
    CU_ASSERT_TRUE(shared_buckets_allow(&shared, &rates, RATE_PUBLISHES, 1, ready_us));
    CU_ASSERT_FALSE(shared_buckets_allow(&shared, &rates, RATE_PUBLISHES, 1, ready_us - 1));
}

/* A take that one window refuses takes nothing of the others. */
static void all_or_nothing(void)
{
    struct rates rates = {0};
    rates.of[RATE_PINGS][0] = (struct rate){.amount = 100, .period_us = S, .burst = 3};
    rates.of[RATE_PINGS][1] = (struct rate){.amount = 1, .period_us = HOUR, .burst = 1};
    struct rate_buckets own = {0};
    struct shared_buckets shared = {0};
    CU_ASSERT_TRUE(rate_buckets_take(&own, &rates, RATE_PINGS, 1, S));
    CU_ASSERT_TRUE(shared_buckets_take(&shared, &rates, RATE_PINGS, 1, S));
    for (int i = 0; i < 10; i++) {
        CU_ASSERT_FALSE(rate_buckets_take(&own, &rates, RATE_PINGS, 1, S));
        CU_ASSERT_FALSE(shared_buckets_take(&shared, &rates, RATE_PINGS, 1, S));
    }
    rates.of[RATE_PINGS][1].amount = 0;
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_TRUE(rate_buckets_take(&own, &rates, RATE_PINGS, 1, S));
        CU_ASSERT_TRUE(shared_buckets_take(&shared, &rates, RATE_PINGS, 1, S));
    }
    CU_ASSERT_FALSE(rate_buckets_take(&own, &rates, RATE_PINGS, 1, S));
    CU_ASSERT_FALSE(shared_buckets_take(&shared, &rates, RATE_PINGS, 1, S));
}

/* n above the burst passes a full bucket and leaves a debt of one burst at most. */
static void shared_debt(void)
{
    struct rates rates = {0};
    struct shared_buckets shared = {0};
    rates.of[RATE_BYTES][0] = (struct rate){.amount = 100, .period_us = S, .burst = 100};
    CU_ASSERT_TRUE(shared_buckets_take(&shared, &rates, RATE_BYTES, UINT64_C(1) << 40, 10 * S));
    CU_ASSERT_FALSE(shared_buckets_allow(&shared, &rates, RATE_BYTES, 1, 11 * S));
    CU_ASSERT_EQUAL(shared_buckets_ready_us(&shared, &rates, RATE_BYTES, 1, 11 * S), 11 * S + S / 100);
    CU_ASSERT_TRUE(shared_buckets_take(&shared, &rates, RATE_BYTES, 1, 12 * S));
    CU_ASSERT_FALSE(shared_buckets_allow(&shared, &rates, RATE_BYTES, 101, 12 * S));
    CU_ASSERT_TRUE(shared_buckets_allow(&shared, &rates, RATE_BYTES, 101, 20 * S));
}

/* A changed rate refills nothing, and a debt does not outlive it. */
static void shared_reload(void)
{
    struct rates rates = {0};
    struct shared_buckets shared = {0};
    rates.of[RATE_CONNECTS][0] = (struct rate){.amount = 1, .period_us = HOUR, .burst = 1};
    CU_ASSERT_TRUE(shared_buckets_take(&shared, &rates, RATE_CONNECTS, 1, S));
    CU_ASSERT_FALSE(shared_buckets_take(&shared, &rates, RATE_CONNECTS, 1, 2 * S));
    rates.of[RATE_CONNECTS][0] = (struct rate){.amount = 10, .period_us = S, .burst = 10};
    CU_ASSERT_FALSE(shared_buckets_take(&shared, &rates, RATE_CONNECTS, 1, 2 * S));
    CU_ASSERT(shared_buckets_ready_us(&shared, &rates, RATE_CONNECTS, 1, 2 * S) <= 4 * S);
}

static void unlimited_and_extremes(void)
{
    struct rates rates = {0};
    struct shared_buckets shared = {0};
    CU_ASSERT_TRUE(shared_buckets_take(&shared, &rates, RATE_BYTES, UINT64_MAX, UINT64_MAX));
    static const struct rate extremes[] = {
        {.amount = UINT64_C(1) << 40, .period_us = 1, .burst = UINT64_C(1) << 40},
        {.amount = 1, .period_us = UINT64_MAX, .burst = UINT64_MAX},
        {.amount = UINT64_MAX, .period_us = UINT64_MAX, .burst = 1},
        {.amount = 1, .period_us = 0, .burst = 0}};
    static const uint64_t times[] = {0, 1, S, UINT64_C(1) << 45, UINT64_MAX / 2, UINT64_MAX};
    for (size_t e = 0; e < sizeof(extremes) / sizeof(extremes[0]); e++) {
        shared = (struct shared_buckets){0};
        rates.of[RATE_BYTES][0] = extremes[e];
        for (size_t t = 0; t < sizeof(times) / sizeof(times[0]); t++) {
            (void)shared_buckets_take(&shared, &rates, RATE_BYTES, 1, times[t]);
            (void)shared_buckets_take(&shared, &rates, RATE_BYTES, UINT64_MAX, times[t]);
            (void)shared_buckets_ready_us(&shared, &rates, RATE_BYTES, UINT64_MAX, times[t]);
        }
    }
    CU_PASS("nothing overflowed");
}

#define THREADS 4
#define TRIES 20000

static struct shared_buckets crowded;
static struct rates crowded_rates;

static void *crowd(void *owner)
{
    uint32_t *passed = owner;
    for (uint32_t i = 0; i < TRIES; i++)
        *passed += shared_buckets_take(&crowded, &crowded_rates, RATE_PUBLISHES, 1, S);
    return NULL;
}

/* At one instant, exactly a burst passes, whoever takes it. */
static void shared_by_threads(void)
{
    pthread_t threads[THREADS];
    uint32_t passed[THREADS] = {0}, sum = 0;
    crowded_rates.of[RATE_PUBLISHES][0] = (struct rate){.amount = 1, .period_us = HOUR, .burst = 5000};
    for (int i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, crowd, &passed[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        sum += passed[i];
    }
    CU_ASSERT_EQUAL(sum, 5000);
}

static const struct unit_test tests[] = {
    {"all windows hold (F2)", all_windows_hold},
    {"all or nothing (F2)", all_or_nothing},
    {"a shared debt is of one burst", shared_debt},
    {"a changed rate refills nothing shared (F2)", shared_reload},
    {"unlimited, and extremes", unlimited_and_extremes},
    {"shared by threads (F3)", shared_by_threads},
};

int main(void)
{
    return unit_run("rates", tests, sizeof(tests) / sizeof(tests[0]));
}
