/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/slab.h"

#include "tests/unit/runner.h"

#include <stdbool.h>
#include <string.h>

static void gives_zeroed_objects_up_to_capacity(void)
{
    struct slab *slab = slab_create(3, 40);
    CU_ASSERT_PTR_NOT_NULL_FATAL(slab);
    CU_ASSERT_EQUAL(slab_capacity(slab), 3);
    uint8_t *o[3];
    static const uint8_t zero[40];
    for (int i = 0; i < 3; i++) {
        o[i] = slab_alloc(slab);
        CU_ASSERT_PTR_NOT_NULL_FATAL(o[i]);
        CU_ASSERT_EQUAL((uintptr_t)o[i] % 64, 0);
        CU_ASSERT_EQUAL(memcmp(o[i], zero, 40), 0);
        memset(o[i], 0xab, 40);
    }
    CU_ASSERT_PTR_NULL(slab_alloc(slab));
    CU_ASSERT_EQUAL(slab_used(slab), 3);
    slab_free(slab, o[1]);
    CU_ASSERT_EQUAL(slab_used(slab), 2);
    uint8_t *again = slab_alloc(slab);
    CU_ASSERT_PTR_EQUAL(again, o[1]);
    CU_ASSERT_EQUAL(memcmp(again, zero, 40), 0);
    slab_destroy(slab);
}

static void a_stale_handle_resolves_to_nothing(void)
{
    struct slab *slab = slab_create(2, 64);
    CU_ASSERT_PTR_NOT_NULL_FATAL(slab);
    void *a = slab_alloc(slab);
    struct slab_handle old = slab_handle_of(slab, a);
    CU_ASSERT_NOT_EQUAL(old.generation, 0);
    CU_ASSERT_PTR_EQUAL(slab_resolve(slab, old), a);
    CU_ASSERT_PTR_EQUAL(slab_at(slab, old.index), a);
    CU_ASSERT_PTR_EQUAL(slab_object(slab, old.index), a);
    slab_free(slab, a);
    CU_ASSERT_PTR_NULL(slab_resolve(slab, old));
    CU_ASSERT_PTR_NULL(slab_at(slab, old.index));
    void *b = slab_alloc(slab);
    CU_ASSERT_PTR_EQUAL(b, a);
    CU_ASSERT_PTR_NULL(slab_resolve(slab, old));
    CU_ASSERT_PTR_EQUAL(slab_resolve(slab, slab_handle_of(slab, b)), b);
    CU_ASSERT_PTR_NULL(slab_resolve(slab, (struct slab_handle){0, 0}));
    CU_ASSERT_PTR_NULL(slab_resolve(slab, (struct slab_handle){7, 1}));
    CU_ASSERT_PTR_NULL(slab_at(slab, UINT32_MAX));
    slab_destroy(slab);
}

static void a_sweep_sees_each_object_and_may_free(void)
{
    struct slab *slab = slab_create(100, 8);
    CU_ASSERT_PTR_NOT_NULL_FATAL(slab);
    uint32_t *o[100];
    for (uint32_t i = 0; i < 100; i++) {
        o[i] = slab_alloc(slab);
        *o[i] = i;
    }
    for (uint32_t i = 0; i < 100; i += 3)
        slab_free(slab, o[i]);
    uint32_t seen = 0, at = 0;
    for (uint32_t *p; (p = slab_next(slab, &at)) != NULL; seen++) {
        CU_ASSERT_NOT_EQUAL(*p % 3, 0);
        slab_free(slab, p);
    }
    CU_ASSERT_EQUAL(seen, 66);
    CU_ASSERT_EQUAL(slab_used(slab), 0);
    CU_ASSERT_PTR_NULL(slab_next(slab, &at));
    slab_destroy(slab);
}

static void refuses_senseless_sizes(void)
{
    CU_ASSERT_PTR_NULL(slab_create(0, 8));
    CU_ASSERT_PTR_NULL(slab_create(8, 0));
    CU_ASSERT_PTR_NULL(slab_create(UINT32_MAX, 8));
    slab_destroy(NULL);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"gives zeroed objects up to its capacity", gives_zeroed_objects_up_to_capacity},
        {"a stale handle resolves to nothing (architecture, decision 4)", a_stale_handle_resolves_to_nothing},
        {"a sweep sees each object and may free it", a_sweep_sees_each_object_and_may_free},
        {"refuses senseless sizes", refuses_senseless_sizes},
    };
    return unit_run("slab", tests, sizeof(tests) / sizeof(tests[0]));
}
