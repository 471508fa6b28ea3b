/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/chunk.h"

#include "tests/unit/runner.h"

#include <string.h>

static void is_bounded_and_counts(void)
{
    struct chunk_pool *pool = chunk_pool_create(4);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
    struct chunk *c[4];
    CU_ASSERT_EQUAL(chunk_pool_capacity(pool), 4);
    for (uint32_t i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(chunk_pool_free(pool), 4 - i);
        c[i] = chunk_get(pool);
        CU_ASSERT_PTR_NOT_NULL_FATAL(c[i]);
        memset(c[i]->data, (int)i, CHUNK_BYTES);
    }
    CU_ASSERT_PTR_NULL(chunk_get(pool));
    for (uint32_t i = 0; i < 4; i++)
        CU_ASSERT(c[i]->data[0] == i && c[i]->data[CHUNK_BYTES - 1] == i);
    for (uint32_t i = 0; i < 4; i++)
        chunk_put(pool, c[i]);
    CU_ASSERT_EQUAL(chunk_pool_free(pool), 4);
    chunk_pool_destroy(pool);
}

static void gives_the_hottest_first_and_empty(void)
{
    struct chunk_pool *pool = chunk_pool_create(8);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
    struct chunk *a = chunk_get(pool), *b = chunk_get(pool);
    a->start = 3;
    a->end = 9;
    a->next = b;
    chunk_put(pool, b);
    chunk_put(pool, a);
    struct chunk *again = chunk_get(pool);
    CU_ASSERT_PTR_EQUAL(again, a);
    CU_ASSERT(again->next == NULL && again->start == 0 && again->end == 0);
    CU_ASSERT_PTR_EQUAL(chunk_get(pool), b);
    chunk_pool_destroy(pool);
}

static void refuses_nothing_at_all(void)
{
    CU_ASSERT_PTR_NULL(chunk_pool_create(0));
    chunk_pool_destroy(NULL);
    CU_ASSERT_EQUAL(sizeof(struct chunk), 2048);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"is bounded and counts", is_bounded_and_counts},
        {"gives the hottest first, and empty", gives_the_hottest_first_and_empty},
        {"refuses a pool of none; a chunk is 2 KiB", refuses_nothing_at_all},
    };
    return unit_run("chunk", tests, sizeof(tests) / sizeof(tests[0]));
}
