/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/byte_queue.h"
#include "tests/unit/runner.h"

#include <string.h>

static uint64_t seed = 88172645463325252u;

static uint32_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 13);
}

/* Appends and drops of random sizes against a plain array. */
static void test_order(void)
{
    enum { TOTAL = 300000 };
    static uint8_t model[TOTAL];
    static uint8_t out[TOTAL];
    struct chunk_pool *pool = chunk_pool_create(64);
    struct byte_queue queue = {0};
    size_t from = 0, to = 0;
    int bad = 0;
    for (size_t i = 0; i < TOTAL; i++)
        model[i] = (uint8_t)next_random();
    while (from < TOTAL) {
        size_t n = next_random() % 5000;
        n = n < TOTAL - to ? n : TOTAL - to;
        size_t room = byte_queue_room(&queue, pool, 40000);
        n = n < room ? n : room;
        bad += byte_queue_append(&queue, pool, model + to, n) != n;
        to += n;
        bad += queue.bytes != to - from;
        byte_queue_peek(&queue, out, to - from);
        bad += memcmp(out, model + from, to - from) != 0;
        size_t together;
        const uint8_t *front = byte_queue_front(&queue, &together);
        bad += together > to - from ||
               (to > from && (together == 0 || memcmp(front, model + from, together) != 0));
        n = next_random() % 5000;
        n = n < to - from ? n : to - from;
        byte_queue_drop(&queue, pool, n);
        from += n;
    }
    CU_ASSERT_EQUAL(bad, 0);
    CU_ASSERT_EQUAL(chunk_pool_free(pool), 64);
    CU_ASSERT_PTR_NULL(queue.head);
    CU_ASSERT_PTR_NULL(queue.tail);
    chunk_pool_destroy(pool);
}

static void test_bounds(void)
{
    static uint8_t much[4 * CHUNK_BYTES];
    struct chunk_pool *pool = chunk_pool_create(2);
    struct byte_queue queue = {0};
    size_t n;
    CU_ASSERT_PTR_NULL(byte_queue_front(&queue, &n));
    CU_ASSERT_EQUAL(n, 0);
    CU_ASSERT_EQUAL(byte_queue_room(&queue, pool, 100), 100);
    CU_ASSERT_EQUAL(byte_queue_room(&queue, pool, sizeof(much)), 2 * CHUNK_BYTES);
    CU_ASSERT_EQUAL(byte_queue_append(&queue, pool, much, 10), 10);
    CU_ASSERT_EQUAL(byte_queue_room(&queue, pool, 10), 0);
    CU_ASSERT_EQUAL(byte_queue_room(&queue, pool, 5), 0);
    CU_ASSERT_EQUAL(byte_queue_append(&queue, pool, much, sizeof(much)),
                    2 * CHUNK_BYTES - 10); /* all there is */
    CU_ASSERT_EQUAL(queue.bytes, 2 * CHUNK_BYTES);
    CU_ASSERT_EQUAL(byte_queue_append(&queue, pool, much, 1), 0);
    CU_ASSERT_EQUAL(byte_queue_append(&queue, pool, NULL, 0), 0);
    byte_queue_clear(&queue, pool);
    CU_ASSERT_EQUAL(queue.bytes, 0);
    CU_ASSERT_EQUAL(chunk_pool_free(pool), 2);
    byte_queue_clear(&queue, pool);
    chunk_pool_destroy(pool);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"bytes come out in order", test_order},
        {"limits and an exhausted pool", test_bounds},
    };
    return unit_run("byte_queue", tests, sizeof(tests) / sizeof(tests[0]));
}
