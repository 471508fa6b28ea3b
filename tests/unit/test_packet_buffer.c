/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pool of half packets (D1, decision 2): bounded, no overlap, all comes back together. */
#include "gateway/packet_buffer.h"
#include "tests/unit/runner.h"

#include <stdbool.h>
#include <string.h>

#define BLOCKS 512

struct block {
    uint8_t *at;
    uint32_t bytes, capacity;
    uint8_t mark;
};

static uint32_t random_next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static bool intact(const struct block *b)
{
    for (uint32_t i = 0; i < b->capacity; i++)
        if (b->at[i] != b->mark)
            return false;
    return true;
}

static void blocks_do_not_overlap(void)
{
    static struct block blocks[BLOCKS];
    struct packet_buffers *pool = packet_buffers_create(4 << 20);
    uint32_t seed = 1, refused = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
    memset(blocks, 0, sizeof(blocks));
    for (uint32_t step = 0; step < 20000; step++) {
        struct block *b = &blocks[random_next(&seed) % BLOCKS];
        if (b->at != NULL) {
            CU_ASSERT_TRUE(intact(b));
            packet_buffer_put(pool, b->at);
            b->at = NULL;
            continue;
        }
        b->bytes = (random_next(&seed) % 64) << (random_next(&seed) % 12);
        b->at = packet_buffer_get(pool, b->bytes, &b->capacity);
        if (b->at == NULL) {
            refused++;
            continue;
        }
        CU_ASSERT_TRUE(b->capacity >= b->bytes && ((uintptr_t)b->at & 63) == 0);
        b->mark = (uint8_t)step;
        memset(b->at, b->mark, b->capacity);
    }
    CU_ASSERT_TRUE(refused > 0); /* the bound was met */
    for (int i = 0; i < BLOCKS; i++)
        if (blocks[i].at != NULL) {
            CU_ASSERT_TRUE(intact(&blocks[i]));
            packet_buffer_put(pool, blocks[i].at);
        }
    CU_ASSERT_EQUAL(packet_buffers_used(pool), 0);
    /* Everything has grown together again. */
    uint32_t capacity;
    for (int i = 0; i < 4; i++)
        CU_ASSERT_PTR_NOT_NULL(packet_buffer_get(pool, PACKET_BUFFER_MAX, &capacity));
    CU_ASSERT_PTR_NULL(packet_buffer_get(pool, 1, &capacity));
    packet_buffers_destroy(pool);
}

static void limits(void)
{
    uint32_t capacity = 0;
    struct packet_buffers *pool = packet_buffers_create(1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
    CU_ASSERT_PTR_NULL(packet_buffer_get(pool, PACKET_BUFFER_MAX + 1, &capacity));
    CU_ASSERT_PTR_NULL(packet_buffer_get(pool, UINT32_MAX, &capacity));
    void *smallest = packet_buffer_get(pool, 0, &capacity);
    CU_ASSERT_PTR_NOT_NULL(smallest);
    CU_ASSERT_EQUAL(capacity, 64);
    CU_ASSERT_PTR_NULL(packet_buffer_get(pool, PACKET_BUFFER_MAX, &capacity));
    packet_buffer_put(pool, smallest);
    CU_ASSERT_PTR_NOT_NULL(packet_buffer_get(pool, PACKET_BUFFER_MAX, &capacity));
    CU_ASSERT_EQUAL(packet_buffers_used(pool), PACKET_BUFFER_MAX);
    packet_buffers_destroy(pool);
    CU_ASSERT_PTR_NULL(packet_buffers_create(0));
    packet_buffers_destroy(NULL);
}

static const struct unit_test tests[] = {
    {"blocks do not overlap", blocks_do_not_overlap},
    {"limits", limits},
};

int main(void)
{
    return unit_run("packet_buffer", tests, sizeof(tests) / sizeof(tests[0]));
}
