/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/password_pool.h"

#include "dataplane/secure/secret_memory.h"

#include <pthread.h>
#include <rte_ring.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define THREADS_MAX 16U
#define WORKERS_MAX 64U
#define JOBS_MAX 65536U

#define AHEAD 4U        /* for each thread: jobs of a worker that are with the threads */
#define SHARE_LEAST 16U /* with fewer jobs than this a line may have all of them */

/* A worker's own. */
struct desk {
    struct password_job *jobs;
    struct password_job *spare;
    struct rte_ring *answers;
    uint32_t ahead;                  /* with the threads */
    uint32_t held[FAIR_QUEUE_LINES]; /* jobs of each line, wherever they are */
    struct fair_queue queue;
};

struct password_pool {
    uint32_t threads_n;
    uint32_t workers_n;
    uint32_t jobs_n;
    atomic_bool stop;
    sem_t waiting; /* counts what is in the ring */
    bool has_waiting;
    struct rte_ring *requests;
    struct desk *desks;
    pthread_t threads[THREADS_MAX];
};

/* ---- threads --------------------------------------------------------------------------------------------
 */

static void serve(struct password_pool *pool, struct password_job *job)
{
    bool good = password_matches(&job->hash, job->password, job->password_len);
    job->good = good && !job->decoy;
    explicit_bzero(job->password, sizeof(job->password));
    job->password_len = 0;
    rte_ring_mp_enqueue(pool->desks[job->worker].answers, job); /* has room for all that there are */
}

static void *run(void *argument)
{
    struct password_pool *pool = argument;
    void *job;
    for (;;) {
        while (sem_wait(&pool->waiting) != 0)
            continue;
        if (atomic_load(&pool->stop))
            return NULL;
        if (rte_ring_mc_dequeue(pool->requests, &job) == 0)
            serve(pool, job);
    }
}

/* ---- birth and death ------------------------------------------------------------------------------------
 */

static struct rte_ring *make_ring(uint32_t entries, unsigned int flags)
{
    uint32_t slots = 2;
    while (slots <= entries) /* one slot of a ring stays empty */
        slots *= 2;
    size_t bytes = (size_t)rte_ring_get_memsize(slots);
    struct rte_ring *ring = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(bytes, RTE_CACHE_LINE_SIZE));
    if (ring != NULL && rte_ring_init(ring, "passwords", slots, flags) == 0)
        return ring;
    free(ring);
    return NULL;
}

static bool make_desk(struct password_pool *pool, uint32_t worker)
{
    struct desk *desk = &pool->desks[worker];
    desk->jobs = secret_memory_alloc(pool->jobs_n * sizeof(*desk->jobs));
    desk->answers = make_ring(pool->jobs_n, RING_F_SC_DEQ);
    uint8_t secret[16];
    if (getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret))
        return false;
    fair_queue_init(&desk->queue, secret);
    explicit_bzero(secret, sizeof(secret));
    for (uint32_t i = 0; desk->jobs != NULL && i < pool->jobs_n; i++) {
        desk->jobs[i].worker = worker;
        desk->jobs[i].next = desk->spare;
        desk->spare = &desk->jobs[i];
    }
    return desk->jobs != NULL && desk->answers != NULL;
}

struct password_pool *password_pool_create(uint32_t threads, uint32_t workers, uint32_t jobs)
{
    if (threads == 0 || threads > THREADS_MAX || workers == 0 || workers > WORKERS_MAX || jobs == 0 ||
        jobs > JOBS_MAX)
        return NULL;
    struct password_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return NULL;
    pool->workers_n = workers;
    pool->jobs_n = jobs;
    pool->has_waiting = sem_init(&pool->waiting, 0, 0) == 0;
    pool->requests = make_ring(workers * jobs, 0);
    pool->desks = calloc(workers, sizeof(*pool->desks));
    bool good = pool->has_waiting && pool->requests != NULL && pool->desks != NULL;
    for (uint32_t i = 0; good && i < workers; i++)
        good = make_desk(pool, i);
    for (uint32_t i = 0; good && i < threads; i++) {
        good = pthread_create(&pool->threads[i], NULL, run, pool) == 0;
        if (good) {
            pthread_setname_np(pool->threads[i], "sp-password");
            pool->threads_n++;
        }
    }
    if (good)
        return pool;
    password_pool_destroy(pool);
    return NULL;
}

void password_pool_destroy(struct password_pool *pool)
{
    if (pool == NULL)
        return;
    atomic_store(&pool->stop, true);
    for (uint32_t i = 0; i < pool->threads_n; i++)
        sem_post(&pool->waiting);
    for (uint32_t i = 0; i < pool->threads_n; i++)
        pthread_join(pool->threads[i], NULL);
    for (uint32_t i = 0; pool->desks != NULL && i < pool->workers_n; i++) {
        secret_memory_free(pool->desks[i].jobs, pool->jobs_n * sizeof(*pool->desks[i].jobs));
        free(pool->desks[i].answers);
    }
    if (pool->has_waiting)
        sem_destroy(&pool->waiting);
    free(pool->desks);
    free(pool->requests);
    free(pool);
}

/* ---- what workers call ----------------------------------------------------------------------------------
 */

static uint32_t share(const struct password_pool *pool)
{
    return pool->jobs_n < SHARE_LEAST ? pool->jobs_n : pool->jobs_n / 4;
}

/* The threads always have something to do, and never so much that who comes new has long to wait. */
static void hand_over(struct password_pool *pool, struct desk *desk)
{
    while (desk->ahead < AHEAD * pool->threads_n) {
        struct fair_queue_entry *entry = fair_queue_take(&desk->queue);
        if (entry == NULL)
            return;
        struct password_job *job = (void *)((char *)entry - offsetof(struct password_job, entry));
        desk->ahead++;
        rte_ring_mp_enqueue(pool->requests, job); /* has room for all that there are */
        sem_post(&pool->waiting);
    }
}

struct password_job *password_pool_take(struct password_pool *pool, uint32_t worker,
                                        const struct ip_address *source)
{
    struct desk *desk = &pool->desks[worker];
    struct password_job *job = desk->spare;
    uint16_t line = fair_queue_line(&desk->queue, source);
    if (job == NULL || desk->held[line] >= share(pool))
        return NULL;
    desk->spare = job->next;
    desk->held[line]++;
    job->entry.line = line;
    return job;
}

void password_pool_submit(struct password_pool *pool, struct password_job *job)
{
    struct desk *desk = &pool->desks[job->worker];
    fair_queue_put(&desk->queue, &job->entry, false);
    hand_over(pool, desk);
}

struct password_job *password_pool_collect(struct password_pool *pool, uint32_t worker)
{
    struct desk *desk = &pool->desks[worker];
    void *job;
    if (rte_ring_sc_dequeue(desk->answers, &job) != 0)
        return NULL;
    desk->ahead--;
    hand_over(pool, desk);
    return job;
}

void password_pool_give_back(struct password_pool *pool, struct password_job *job)
{
    struct desk *desk = &pool->desks[job->worker];
    uint32_t worker = job->worker;
    desk->held[job->entry.line]--;
    explicit_bzero(job, sizeof(*job));
    job->worker = worker;
    job->next = desk->spare;
    desk->spare = job;
}
