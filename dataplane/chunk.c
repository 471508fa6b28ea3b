/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/chunk.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

struct chunk_pool {
    struct chunk *all;
    struct chunk *free;
    uint32_t capacity;
    uint32_t touched; /* chunks below it have been given out at least once */
    uint32_t free_n;
};

struct chunk_pool *chunk_pool_create(uint32_t capacity)
{
    if (capacity == 0)
        return NULL;
    struct chunk_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return NULL;
    void *all = mmap(NULL, capacity * sizeof(struct chunk), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) {
        free(pool);
        return NULL;
    }
    pool->all = all;
    pool->capacity = capacity;
    pool->free_n = capacity;
    return pool;
}

void chunk_pool_destroy(struct chunk_pool *pool)
{
    if (pool == NULL)
        return;
    munmap(pool->all, pool->capacity * sizeof(struct chunk));
    free(pool);
}

struct chunk *chunk_get(struct chunk_pool *pool)
{
    struct chunk *chunk = pool->free;
    if (chunk != NULL)
        pool->free = chunk->next;
    else if (pool->touched < pool->capacity)
        chunk = &pool->all[pool->touched++];
    else
        return NULL;
    pool->free_n--;
    chunk->next = NULL;
    chunk->start = 0;
    chunk->end = 0;
    return chunk;
}

void chunk_put(struct chunk_pool *pool, struct chunk *chunk)
{
    assert(pool->free_n < pool->capacity);
    assert(chunk >= pool->all && chunk < pool->all + pool->touched);
    chunk->next = pool->free;
    pool->free = chunk;
    pool->free_n++;
}

uint32_t chunk_pool_free(const struct chunk_pool *pool)
{
    return pool->free_n;
}

uint32_t chunk_pool_capacity(const struct chunk_pool *pool)
{
    return pool->capacity;
}
