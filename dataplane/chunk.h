/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Buffers for what must wait: send queues, out-of-order segments, half packets, TLS input. A pool per worker,
 * fixed at creation, last in first out so that the hot ones stay in cache. Two sizes would fragment; larger
 * needs link chunks. An idle connection holds none (decision 2).
 */
#ifndef DATAPLANE_CHUNK_H
#define DATAPLANE_CHUNK_H

#include <stdint.h>

#define CHUNK_BYTES 2032

struct chunk {
    struct chunk *next;
    uint32_t start; /* first byte of data[] in use */
    uint32_t end;   /* one past the last */
    uint8_t data[CHUNK_BYTES];
};

struct chunk_pool;

struct chunk_pool *chunk_pool_create(uint32_t capacity);
void chunk_pool_destroy(struct chunk_pool *pool);
/* An empty chunk (next NULL, start = end = 0; data not cleared), or NULL when the pool is exhausted. */
struct chunk *chunk_get(struct chunk_pool *pool);
void chunk_put(struct chunk_pool *pool, struct chunk *chunk);
uint32_t chunk_pool_free(const struct chunk_pool *pool);
uint32_t chunk_pool_capacity(const struct chunk_pool *pool);

#endif
