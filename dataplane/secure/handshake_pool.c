/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/handshake_pool.h"

#include "dataplane/secure/crypto_offload.h"
#include "dataplane/secure/tls_handshake.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS_MAX 64u
#define WORKERS_MAX 64u
#define SLOTS_MAX 65536u
#define CACHE_LINE 64

/* One producer, one consumer; indexes run freely and wrap. */
struct ring {
    _Alignas(CACHE_LINE) atomic_uint head; /* next to take: the consumer's */
    _Alignas(CACHE_LINE) atomic_uint tail; /* next to fill: the producer's */
    _Alignas(CACHE_LINE) struct tls_job **slots;
};

struct lane {
    struct ring to_thread;
    struct ring to_worker;
};

/* A worker's view: only that worker touches it. */
struct pool_worker {
    _Alignas(CACHE_LINE) uint32_t under_way;
    uint32_t next_thread;
    uint32_t *load; /* jobs per thread */
};

struct pool_thread {
    _Alignas(CACHE_LINE) atomic_int sleeping; /* the futex: 1 while it sleeps or is about to */
    pthread_t id;
    bool started;
    uint32_t number;
    struct handshake_pool *pool;
};

struct handshake_pool {
    uint32_t threads;
    uint32_t workers;
    uint32_t mask;
    atomic_uint joined;
    atomic_bool stop;
    struct lane *lanes; /* [thread][worker] */
    struct pool_worker *worker;
    struct pool_thread *thread;
    struct tls_job **slots;
};

/* ---- rings --------------------------------------------------------------------------------------------- */

static bool ring_put(struct ring *ring, uint32_t mask, struct tls_job *job)
{
    unsigned int tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (tail - atomic_load_explicit(&ring->head, memory_order_acquire) > mask)
        return false;
    ring->slots[tail & mask] = job;
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return true;
}

static struct tls_job *ring_take(struct ring *ring, uint32_t mask)
{
    unsigned int head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (head == atomic_load_explicit(&ring->tail, memory_order_acquire))
        return NULL;
    struct tls_job *job = ring->slots[head & mask];
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return job;
}

static struct lane *lane(struct handshake_pool *pool, uint32_t thread, uint32_t worker)
{
    return &pool->lanes[(size_t)thread * pool->workers + worker];
}

/* ---- threads ------------------------------------------------------------------------------------------- */

static void futex(atomic_int *word, int operation, int value)
{
    syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void wake(struct pool_thread *thread)
{
    /* Pairs with the exchange in rest(): either it sees the job, or we see that it sleeps. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&thread->sleeping, memory_order_relaxed) == 0)
        return;
    if (atomic_exchange(&thread->sleeping, 0) == 1)
        futex(&thread->sleeping, FUTEX_WAKE, 1);
}

/* One job of each worker that has any. */
static bool serve(struct pool_thread *thread)
{
    struct handshake_pool *pool = thread->pool;
    bool any = false;
    for (uint32_t i = 0; i < pool->workers; i++) {
        struct lane *from = lane(pool, thread->number, i);
        struct tls_job *job = ring_take(&from->to_thread, pool->mask);
        if (job == NULL)
            continue;
        any = true;
        if (job->run != NULL)
            job->run(job);
        else
            tls_job_run(job);
        ring_put(&from->to_worker, pool->mask, job); /* has room: see handshake_pool_submit */
        if (atomic_load_explicit(&pool->stop, memory_order_relaxed))
            break;
    }
    return any;
}

static void rest(struct pool_thread *thread)
{
    atomic_store(&thread->sleeping, 1);
    atomic_thread_fence(memory_order_seq_cst);
    if (serve(thread) || atomic_load(&thread->pool->stop)) {
        atomic_store(&thread->sleeping, 0);
        return;
    }
    crypto_offload_wipe_thread();
    while (atomic_load(&thread->sleeping) == 1)
        futex(&thread->sleeping, FUTEX_WAIT, 1);
}

static void *run(void *argument)
{
    struct pool_thread *thread = argument;
    while (!atomic_load(&thread->pool->stop))
        if (!serve(thread))
            rest(thread);
    crypto_offload_wipe_thread();
    return NULL;
}

/* ---- the pool ------------------------------------------------------------------------------------------ */

static void place_rings(struct handshake_pool *pool)
{
    size_t per_ring = (size_t)pool->mask + 1;
    struct tls_job **next = pool->slots;
    for (size_t i = 0; i < (size_t)pool->threads * pool->workers; i++) {
        pool->lanes[i].to_thread.slots = next;
        pool->lanes[i].to_worker.slots = next + per_ring;
        next += 2 * per_ring;
    }
}

static void *zeroed(size_t n, size_t size)
{
    size_t bytes = (n * size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    void *p = aligned_alloc(CACHE_LINE, bytes);
    if (p != NULL)
        __builtin_memset(p, 0, bytes);
    return p;
}

static bool allocate(struct handshake_pool *pool)
{
    size_t lanes = (size_t)pool->threads * pool->workers;
    pool->lanes = zeroed(lanes, sizeof(*pool->lanes));
    pool->worker = zeroed(pool->workers, sizeof(*pool->worker));
    pool->thread = zeroed(pool->threads, sizeof(*pool->thread));
    pool->slots = calloc(lanes * 2 * ((size_t)pool->mask + 1), sizeof(*pool->slots));
    if (pool->lanes == NULL || pool->worker == NULL || pool->thread == NULL || pool->slots == NULL)
        return false;
    for (uint32_t i = 0; i < pool->workers; i++)
        if ((pool->worker[i].load = calloc(pool->threads, sizeof(uint32_t))) == NULL)
            return false;
    place_rings(pool);
    return true;
}

struct handshake_pool *handshake_pool_create(uint32_t threads, uint32_t workers, uint32_t queue_slots)
{
    if (threads == 0 || threads > THREADS_MAX || workers == 0 || workers > WORKERS_MAX || queue_slots == 0 ||
        queue_slots > SLOTS_MAX)
        return NULL;
    struct handshake_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return NULL;
    uint32_t slots = 1;
    while (slots < queue_slots)
        slots *= 2;
    pool->threads = threads;
    pool->workers = workers;
    pool->mask = slots - 1;
    bool good = allocate(pool);
    for (uint32_t i = 0; good && i < threads; i++) {
        struct pool_thread *thread = &pool->thread[i];
        thread->number = i;
        thread->pool = pool;
        good = pthread_create(&thread->id, NULL, run, thread) == 0;
        thread->started = good;
        if (good)
            pthread_setname_np(thread->id, "sp-handshake");
    }
    if (good)
        return pool;
    handshake_pool_destroy(pool);
    return NULL;
}

void handshake_pool_destroy(struct handshake_pool *pool)
{
    if (pool == NULL)
        return;
    atomic_store(&pool->stop, true);
    for (uint32_t i = 0; pool->thread != NULL && i < pool->threads; i++) {
        if (!pool->thread[i].started)
            continue;
        wake(&pool->thread[i]);
        pthread_join(pool->thread[i].id, NULL);
    }
    for (uint32_t i = 0; pool->worker != NULL && i < pool->workers; i++)
        free(pool->worker[i].load);
    free(pool->lanes);
    free(pool->worker);
    free(pool->thread);
    free(pool->slots);
    free(pool);
}

int handshake_pool_join(struct handshake_pool *pool)
{
    unsigned int number = atomic_fetch_add(&pool->joined, 1);
    if (number < pool->workers)
        return (int)number;
    atomic_fetch_sub(&pool->joined, 1);
    return -1;
}

uint32_t handshake_pool_slots(const struct handshake_pool *pool)
{
    return pool->mask + 1;
}

bool handshake_pool_submit(struct handshake_pool *pool, int worker, struct tls_job *job)
{
    struct pool_worker *me = &pool->worker[worker];
    /* With no more jobs under way than a ring has slots, no ring can be full, in either direction. */
    if (me->under_way > pool->mask)
        return false;
    uint32_t best = me->next_thread;
    for (uint32_t i = 1; i < pool->threads; i++) {
        uint32_t other = (me->next_thread + i) % pool->threads;
        if (me->load[other] < me->load[best])
            best = other;
    }
    me->next_thread = (best + 1) % pool->threads;
    job->pool_thread = best;
    if (!ring_put(&lane(pool, best, (uint32_t)worker)->to_thread, pool->mask, job))
        return false;
    me->load[best]++;
    me->under_way++;
    wake(&pool->thread[best]);
    return true;
}

struct tls_job *handshake_pool_collect(struct handshake_pool *pool, int worker)
{
    struct pool_worker *me = &pool->worker[worker];
    for (uint32_t i = 0; me->under_way > 0 && i < pool->threads; i++) {
        if (me->load[i] == 0)
            continue;
        struct tls_job *job = ring_take(&lane(pool, i, (uint32_t)worker)->to_worker, pool->mask);
        if (job == NULL)
            continue;
        me->load[i]--;
        me->under_way--;
        return job;
    }
    return NULL;
}
