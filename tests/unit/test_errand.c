/* SPDX-License-Identifier: GPL-2.0-or-later */
/* errand.h: work behind all others (G2, B6), while the control thread goes on writing events down. */
#include "gateway/errand.h"

#include "tests/unit/runner.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>

struct seen {
    pthread_t caller, worker;
    int policy, nice;
    atomic_uint turns;
    bool own_thread; /* meanwhile ran on the caller's */
    bool done;
};

/* Ends once the caller has been twice at what it does meanwhile. */
static void work(void *of)
{
    struct seen *seen = of;
    seen->worker = pthread_self();
    seen->policy = sched_getscheduler(0);
    seen->nice = getpriority(PRIO_PROCESS, 0);
    while (atomic_load(&seen->turns) < 2)
        sched_yield();
    seen->done = true;
}

static void meanwhile(void *of)
{
    struct seen *seen = of;
    seen->own_thread = pthread_equal(pthread_self(), seen->caller);
    atomic_fetch_add(&seen->turns, 1);
}

static void behind_all_others(void)
{
    struct seen seen = {.caller = pthread_self()};
    int policy = sched_getscheduler(0), nice = getpriority(PRIO_PROCESS, 0);
    errand_run(work, &seen, meanwhile, &seen);
    CU_ASSERT_TRUE(seen.done);
    CU_ASSERT_TRUE(seen.own_thread);
    CU_ASSERT_FALSE(pthread_equal(seen.worker, seen.caller));
    CU_ASSERT_EQUAL(seen.policy, SCHED_BATCH);
    CU_ASSERT_EQUAL(seen.nice, nice > 10 ? nice : 10);
    CU_ASSERT_EQUAL(sched_getscheduler(0), policy);
    CU_ASSERT_EQUAL(getpriority(PRIO_PROCESS, 0), nice);
}

static void nothing_meanwhile(void)
{
    struct seen seen = {.turns = 2};
    for (int i = 0; i < 100; i++) {
        seen.done = false;
        errand_run(work, &seen, NULL, NULL);
        CU_ASSERT_TRUE(seen.done);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"G2: a thread of its own, behind all others, and what is done meanwhile", behind_all_others},
        {"nothing to be done meanwhile", nothing_meanwhile},
    };
    return unit_run("errand", tests, sizeof(tests) / sizeof(tests[0]));
}
