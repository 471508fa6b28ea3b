/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rate_limit.h: token buckets under a clock that we hold (F2). */
#include "policy/access/rate_limit.h"
#include "tests/unit/runner.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SECOND UINT64_C(1000000)

static void burst_then_rate(void)
{
    const struct rate rate = {20, SECOND, 60};
    struct rate_bucket b = {0};
    uint64_t now = 5 * SECOND, passed = 0;
    for (int i = 0; i < 100; i++)
        passed += rate_limit_take(&b, &rate, 1, now);
    CU_ASSERT_EQUAL(passed, 60);
    CU_ASSERT_FALSE(rate_limit_take(&b, &rate, 1, now + 49999));
    CU_ASSERT_TRUE(rate_limit_take(&b, &rate, 1, now + 50000));
    CU_ASSERT_FALSE(rate_limit_take(&b, &rate, 1, now + 50000));
    CU_ASSERT_TRUE(rate_limit_take(&b, &rate, 60, now + 100 * SECOND));
    CU_ASSERT_FALSE(rate_limit_take(&b, &rate, 1, now + 100 * SECOND));
}

/* Asked every microsecond, a slow rate still brings exactly what it says. */
static void nothing_lost(void)
{
    static const struct rate rates[] = {
        {1, 60 * SECOND, 1}, {20, SECOND, 1}, {3, 7 * SECOND, 2}, {7, SECOND, 1}, {333, SECOND, 5},
    };
    for (size_t i = 0; i < COUNT(rates); i++) {
        struct rate_bucket b = {0};
        uint64_t passed = 0, span = 3 * rates[i].period_us;
        while (rate_limit_take(&b, &rates[i], 1, 0))
            ;
        uint64_t stride = span / 2000000 + 1;
        for (uint64_t now = 0; now <= span; now += stride)
            passed += rate_limit_take(&b, &rates[i], 1, now);
        CU_ASSERT_TRUE(passed <= 3 * rates[i].amount);
        CU_ASSERT_TRUE(passed + 1 >= 3 * rates[i].amount);
    }
}

static void unlimited(void)
{
    const struct rate rate = {0};
    struct rate_bucket b = {0};
    CU_ASSERT_TRUE(rate_limit_take(&b, &rate, UINT64_MAX, 0));
    CU_ASSERT_TRUE(rate_limit_allows(&b, &rate, UINT64_MAX, 0));
    CU_ASSERT_EQUAL(rate_limit_ready_us(&b, &rate, 7, 42), 42);
    CU_ASSERT_FALSE(b.used);
}

static void more_than_burst(void)
{
    const struct rate rate = {100, SECOND, 100};
    struct rate_bucket b = {0};
    CU_ASSERT_TRUE(rate_limit_take(&b, &rate, 150, 0)); /* full: passes, and owes 50 */
    CU_ASSERT_FALSE(rate_limit_take(&b, &rate, 1, SECOND / 2));
    CU_ASSERT_TRUE(rate_limit_take(&b, &rate, 1, SECOND / 2 + 10000));
    CU_ASSERT_FALSE(rate_limit_take(&b, &rate, 150, SECOND)); /* not full */
    CU_ASSERT_TRUE(rate_limit_take(&b, &rate, UINT64_MAX, 10 * SECOND));
    CU_ASSERT_FALSE(rate_limit_take(&b, &rate, 1, 11 * SECOND)); /* a debt of a full bucket, not more */
    CU_ASSERT_TRUE(rate_limit_take(&b, &rate, 1, 11 * SECOND + 10000));
}

static void taking_nothing(void)
{
    const struct rate rate = {1, SECOND, 1};
    struct rate_bucket b = {0};
    CU_ASSERT_TRUE(rate_limit_take(&b, &rate, 0, 0));
    CU_ASSERT_TRUE(rate_limit_take(&b, &rate, 1, 0));
    CU_ASSERT_TRUE(rate_limit_take(&b, &rate, 0, 0));
}

/* F2, traps 1.6: levels survive a reload; a changed rate neither refills nor forgets. */
static void rate_changes(void)
{
    const struct rate slow = {1, SECOND, 10}, fast = {1000, SECOND, 1000}, small = {1, SECOND, 2};
    struct rate_bucket b = {0};
    CU_ASSERT_TRUE(rate_limit_take(&b, &slow, 10, 0));
    CU_ASSERT_FALSE(rate_limit_take(&b, &fast, 1, 0)); /* not refilled */
    CU_ASSERT_TRUE(rate_limit_take(&b, &fast, 1, 1000));
    struct rate_bucket full = {0};
    CU_ASSERT_TRUE(rate_limit_take(&full, &slow, 0, 0));
    CU_ASSERT_TRUE(rate_limit_take(&full, &small, 2, 0)); /* 10 became 2 */
    CU_ASSERT_FALSE(rate_limit_take(&full, &small, 1, 0));
    struct rate_bucket debt = {0};
    CU_ASSERT_TRUE(rate_limit_take(&debt, &fast, 2000, 0)); /* owes 1000 */
    CU_ASSERT_FALSE(rate_limit_take(&debt, &small, 1, 2 * SECOND));
    CU_ASSERT_TRUE(rate_limit_take(&debt, &small, 1, 3 * SECOND)); /* owed 2 at most since then */
    /* A remainder of a long period must not become credit under a short one. */
    const struct rate day = {1, 86400 * SECOND, 1}, quick = {1, 3, 1};
    struct rate_bucket odd = {0};
    CU_ASSERT_TRUE(rate_limit_take(&odd, &day, 1, 0));
    CU_ASSERT_FALSE(rate_limit_take(&odd, &day, 1, SECOND));
    CU_ASSERT_EQUAL(rate_limit_ready_us(&odd, &quick, 1, SECOND), SECOND + 3);
    CU_ASSERT_FALSE(rate_limit_take(&odd, &quick, 1, SECOND + 2));
    CU_ASSERT_TRUE(rate_limit_take(&odd, &quick, 1, SECOND + 3));
}

static void odd_clocks(void)
{
    const struct rate rate = {10, SECOND, 10};
    struct rate_bucket b = {0};
    CU_ASSERT_TRUE(rate_limit_take(&b, &rate, 10, 100 * SECOND));
    CU_ASSERT_FALSE(rate_limit_take(&b, &rate, 1, 50 * SECOND)); /* back: no time has passed */
    CU_ASSERT_FALSE(rate_limit_take(&b, &rate, 1, 100 * SECOND));
    CU_ASSERT_TRUE(rate_limit_take(&b, &rate, 10, UINT64_MAX)); /* a jump fills, and overflows nothing */
    CU_ASSERT_FALSE(rate_limit_take(&b, &rate, 1, UINT64_MAX));
}

static void extremes(void)
{
    const struct rate huge = {UINT64_MAX, 1, UINT64_MAX}, odd = {UINT64_MAX, UINT64_MAX, 0}, zero = {1, 0, 1};
    struct rate_bucket b = {0};
    CU_ASSERT_TRUE(rate_limit_take(&b, &huge, UINT64_MAX, 0));
    CU_ASSERT_FALSE(rate_limit_take(&b, &huge, 1, 0));
    CU_ASSERT_TRUE(rate_limit_take(&b, &huge, UINT64_MAX, UINT64_MAX));
    struct rate_bucket c = {0};
    CU_ASSERT_TRUE(rate_limit_take(&c, &odd, 1, 0)); /* a burst of 0 counts as 1 */
    CU_ASSERT_FALSE(rate_limit_take(&c, &odd, 1, 0));
    CU_ASSERT_TRUE(rate_limit_ready_us(&c, &odd, 1, 7) > 7);
    struct rate_bucket d = {0};
    CU_ASSERT_TRUE(rate_limit_take(&d, &zero, 1, 0));
    CU_ASSERT_TRUE(rate_limit_take(&d, &zero, 1, 1));
}

/* ready_us names the first moment at which take succeeds, and allows agrees with take. */
static void ready(void)
{
    static const struct rate rates[] = {
        {20, SECOND, 60}, {1, 60 * SECOND, 3}, {7, SECOND, 5}, {65536, SECOND, 65536}};
    uint64_t seed = 1;
    for (size_t i = 0; i < COUNT(rates); i++) {
        struct rate_bucket b = {0};
        uint64_t now = 1000;
        for (int step = 0; step < 2000; step++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
            uint64_t n = 1 + (seed >> 33) % (2 * rates[i].burst);
            uint64_t at = rate_limit_ready_us(&b, &rates[i], n, now);
            CU_ASSERT_TRUE(at >= now);
            if (at > now)
                CU_ASSERT_FALSE(rate_limit_allows(&b, &rates[i], n, at - 1));
            CU_ASSERT_TRUE(rate_limit_allows(&b, &rates[i], n, at));
            CU_ASSERT_TRUE(rate_limit_take(&b, &rates[i], n, at));
            now = at;
        }
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"a burst, then the rate", burst_then_rate},
        {"asking often loses nothing", nothing_lost},
        {"amount 0 is unlimited", unlimited},
        {"more than the burst leaves a debt", more_than_burst},
        {"taking nothing", taking_nothing},
        {"a changed rate does not refill (traps 1.6)", rate_changes},
        {"clocks that stand, jump or go back", odd_clocks},
        {"extreme values", extremes},
        {"ready_us, allows and take agree", ready},
    };
    return unit_run("rate_limit", tests, COUNT(tests));
}
