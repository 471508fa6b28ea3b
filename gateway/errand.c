/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/errand.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ERRAND_NICE 10
#define SLICE_NS 100000U
#define MEANWHILE_NS 20000000L

struct errand {
    void (*work)(void *of);
    void *of;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done; /* under the lock */
};

/* As sched_setattr(2) has it; the C library knows neither. */
struct sched_attributes {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns; /* since Linux 6.12 the slice, for this policy too */
    uint64_t deadline_ns;
    uint64_t period_ns;
};

static void stand_behind(void)
{
    int nice = getpriority(PRIO_PROCESS, 0); /* of this thread; -1 where it may not be asked, which is less */
    const struct sched_attributes attributes = {.size = sizeof(attributes),
                                                .policy = SCHED_BATCH,
                                                .nice = nice > ERRAND_NICE ? nice : ERRAND_NICE,
                                                .runtime_ns = SLICE_NS};
    (void)syscall(SYS_sched_setattr, 0, &attributes, 0U);
}

static void *run(void *user)
{
    struct errand *errand = user;
    stand_behind();
    errand->work(errand->of);
    pthread_mutex_lock(&errand->lock);
    errand->done = true;
    pthread_cond_signal(&errand->changed);
    pthread_mutex_unlock(&errand->lock);
    return NULL;
}

static void wait_done(struct errand *errand, void (*meanwhile)(void *owner), void *owner)
{
    pthread_mutex_lock(&errand->lock);
    while (!errand->done) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += MEANWHILE_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        int result = 0;
        while (!errand->done && result == 0)
            result = pthread_cond_timedwait(&errand->changed, &errand->lock, &until);
        if (errand->done || meanwhile == NULL)
            continue;
        pthread_mutex_unlock(&errand->lock);
        meanwhile(owner);
        pthread_mutex_lock(&errand->lock);
    }
    pthread_mutex_unlock(&errand->lock);
}

void errand_run(void (*work)(void *of), void *of, void (*meanwhile)(void *owner), void *owner)
{
    struct errand errand = {.work = work, .of = of};
    pthread_condattr_t monotonic;
    pthread_t thread;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&errand.lock, NULL);
    pthread_cond_init(&errand.changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&thread, NULL, run, &errand) == 0) {
        wait_done(&errand, meanwhile, owner);
        pthread_join(thread, NULL);
    } else {
        work(of);
    }
    pthread_cond_destroy(&errand.changed);
    pthread_mutex_destroy(&errand.lock);
}
