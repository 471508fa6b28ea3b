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
    CU_ASSERT_PTR_NOT_NULL(packet_buffer_get(pool, 4 << 20, &capacity));
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
    CU_ASSERT_PTR_NULL(packet_buffer_get(pool, 1 << 20, &capacity));
    packet_buffer_put(pool, smallest);
    CU_ASSERT_PTR_NOT_NULL(packet_buffer_get(pool, 1 << 20, &capacity));
    CU_ASSERT_EQUAL(packet_buffers_used(pool), 1 << 20);
    packet_buffers_destroy(pool);
    CU_ASSERT_PTR_NULL(packet_buffers_create(0));
    packet_buffers_destroy(NULL);
}

/* A pool is cut into the largest blocks that fit, whatever its size, and every MiB of it can be had. */
static void pools_of_any_size(void)
{
    static const uint32_t sizes_mib[] = {1, 2, 3, 5, 7, 15, 16, 17, 31, 48, 63};
    for (size_t i = 0; i < sizeof(sizes_mib) / sizeof(sizes_mib[0]); i++) {
        uint32_t mib = sizes_mib[i], largest = 16, capacity, n = 0;
        struct packet_buffers *pool = packet_buffers_create((uint64_t)mib << 20);
        uint8_t *blocks[64];
        CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
        for (int round = 0; round < 2; round++) {
            while (largest > mib)
                largest /= 2;
            uint8_t *at = packet_buffer_get(pool, largest << 20, &capacity);
            CU_ASSERT_PTR_NOT_NULL_FATAL(at);
            CU_ASSERT_EQUAL(capacity, largest << 20);
            packet_buffer_put(pool, at);
            for (n = 0; n < mib; n++) {
                blocks[n] = packet_buffer_get(pool, 1 << 20, &capacity);
                CU_ASSERT_PTR_NOT_NULL_FATAL(blocks[n]);
                blocks[n][0] = blocks[n][(1 << 20) - 1] = (uint8_t)n;
            }
            CU_ASSERT_PTR_NULL(packet_buffer_get(pool, 1, &capacity));
            for (n = 0; n < mib; n++) {
                CU_ASSERT_EQUAL(blocks[n][0], n);
                CU_ASSERT_EQUAL(blocks[n][(1 << 20) - 1], n);
            }
            for (n = 0; n < mib; n++) {
                packet_buffer_put(pool, blocks[round == 0 ? n : mib - 1 - n]);
            }
            CU_ASSERT_EQUAL(packet_buffers_used(pool), 0);
        }
        packet_buffers_destroy(pool);
    }
}

static const struct unit_test tests[] = {
    {"pools of any size", pools_of_any_size},
    {"blocks do not overlap", blocks_do_not_overlap},
    {"limits", limits},
};

int main(void)
{
    return unit_run("packet_buffer", tests, sizeof(tests) / sizeof(tests[0]));
}
