/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/packet_buffer.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

#define UNIT_SHIFT 6 /* the smallest block: 64 bytes */
#define ORDERS 19    /* 64 bytes to 16 MiB */
#define MIB_ORDER 14 /* of 1 MiB, of which a pool has a whole number */

/* Of the first unit of a block; 0 for all other units. */
#define STATE_FREE 0x40
#define STATE_USED 0x80
#define STATE_ORDER 0x1F

/* Lies in the free block itself. */
struct link {
    struct link *next;
    struct link *previous;
};

struct packet_buffers {
    uint8_t *memory;
    uint8_t *state; /* one per unit */
    uint32_t units;
    uint64_t used;
    struct link free[ORDERS]; /* heads of rings */
};

static size_t reserved_bytes(const struct packet_buffers *pool)
{
    return ((size_t)pool->units << UNIT_SHIFT) + pool->units;
}

static void put_free(struct packet_buffers *pool, uint32_t unit, unsigned int order);

/* In blocks as large as can be, the largest first, so that each begins at a multiple of its size; the first
 * ones are given out first. */
static void cut(struct packet_buffers *pool)
{
    uint32_t end = pool->units;
    for (unsigned int order = MIB_ORDER; order < ORDERS; order++) {
        uint32_t units = UINT32_C(1) << order;
        while (end != 0 && ((end & units) != 0 || order == ORDERS - 1)) {
            end -= units;
            put_free(pool, end, order);
        }
    }
}

struct packet_buffers *packet_buffers_create(uint64_t bytes)
{
    uint64_t mib = (bytes + (1U << 20) - 1) >> 20;
    struct packet_buffers *pool = calloc(1, sizeof(*pool));
    if (pool == NULL || mib == 0 || mib > UINT32_MAX >> MIB_ORDER) {
        free(pool);
        return NULL;
    }
    pool->units = (uint32_t)mib << MIB_ORDER;
    void *memory = mmap(NULL, reserved_bytes(pool), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        free(pool);
        return NULL;
    }
    pool->memory = memory;
    pool->state = pool->memory + ((size_t)pool->units << UNIT_SHIFT);
    for (int order = 0; order < ORDERS; order++)
        pool->free[order] = (struct link){&pool->free[order], &pool->free[order]};
    cut(pool);
    return pool;
}

void packet_buffers_destroy(struct packet_buffers *pool)
{
    if (pool == NULL)
        return;
    munmap(pool->memory, reserved_bytes(pool));
    free(pool);
}

static uint8_t *address_of(const struct packet_buffers *pool, uint32_t unit)
{
    return pool->memory + ((size_t)unit << UNIT_SHIFT);
}

static uint32_t unit_of(const struct packet_buffers *pool, const void *at)
{
    return (uint32_t)((size_t)((const uint8_t *)at - pool->memory) >> UNIT_SHIFT);
}

static void put_free(struct packet_buffers *pool, uint32_t unit, unsigned int order)
{
    struct link *link = (void *)address_of(pool, unit);
    struct link *head = &pool->free[order];
    *link = (struct link){.next = head->next, .previous = head};
    head->next->previous = link;
    head->next = link;
    pool->state[unit] = (uint8_t)(STATE_FREE | order);
}

static void take_free(struct packet_buffers *pool, uint32_t unit)
{
    struct link *link = (void *)address_of(pool, unit);
    link->next->previous = link->previous;
    link->previous->next = link->next;
    pool->state[unit] = 0;
}

static unsigned int order_for(uint32_t bytes)
{
    unsigned int order = 0;
    while ((UINT32_C(1) << (order + UNIT_SHIFT)) < bytes)
        order++;
    return order;
}

void *packet_buffer_get(struct packet_buffers *pool, uint32_t bytes, uint32_t *capacity)
{
    if (bytes > PACKET_BUFFER_MAX)
        return NULL;
    unsigned int wanted = order_for(bytes), order = wanted;
    while (order < ORDERS && pool->free[order].next == &pool->free[order])
        order++;
    if (order == ORDERS)
        return NULL;
    uint32_t unit = unit_of(pool, pool->free[order].next);
    take_free(pool, unit);
    while (order > wanted) {
        order--;
        put_free(pool, unit + (UINT32_C(1) << order), order);
    }
    pool->state[unit] = (uint8_t)(STATE_USED | wanted);
    *capacity = UINT32_C(1) << (wanted + UNIT_SHIFT);
    pool->used += *capacity;
    return address_of(pool, unit);
}

void packet_buffer_put(struct packet_buffers *pool, void *at)
{
    uint32_t unit = unit_of(pool, at);
    assert(unit < pool->units && (pool->state[unit] & STATE_USED) != 0);
    unsigned int order = pool->state[unit] & STATE_ORDER;
    pool->used -= UINT64_C(1) << (order + UNIT_SHIFT);
    pool->state[unit] = 0;
    for (; order < ORDERS - 1; order++) {
        uint32_t buddy = unit ^ UINT32_C(1) << order;
        if (buddy >= pool->units || pool->state[buddy] != (STATE_FREE | order))
            break;
        take_free(pool, buddy);
        unit &= ~(UINT32_C(1) << order);
    }
    put_free(pool, unit, order);
}

uint64_t packet_buffers_used(const struct packet_buffers *pool)
{
    return pool->used;
}
