/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/name_cache.h"
#include "tests/unit/runner.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct thing {
    atomic_int refs;
};

static atomic_int alive;

static void *share(void *value)
{
    struct thing *thing = value;
    atomic_fetch_add(&thing->refs, 1);
    return thing;
}

static void drop(void *value)
{
    struct thing *thing = value;
    if (atomic_fetch_sub(&thing->refs, 1) == 1) {
        atomic_fetch_sub(&alive, 1);
        free(thing);
    }
}

static const struct name_cache_type type = {share, drop};

static struct thing *new_thing(void)
{
    struct thing *thing = malloc(sizeof(*thing));
    CU_ASSERT_PTR_NOT_NULL_FATAL(thing);
    atomic_init(&thing->refs, 1);
    atomic_fetch_add(&alive, 1);
    return thing;
}

static void test_get_put_take(void)
{
    struct name_cache *cache = name_cache_create(4, &type);
    CU_ASSERT_PTR_NOT_NULL_FATAL(cache);
    CU_ASSERT_PTR_NULL(name_cache_get(cache, "a"));
    CU_ASSERT_PTR_NULL(name_cache_take(cache, "a"));
    struct thing *a = new_thing();
    CU_ASSERT_TRUE(name_cache_put(cache, "a", a, true));
    CU_ASSERT_PTR_EQUAL(name_cache_get(cache, "a"), a);
    CU_ASSERT_EQUAL(atomic_load(&a->refs), 2);
    drop(a);
    CU_ASSERT_PTR_NULL(name_cache_get(cache, "A"));
    CU_ASSERT_PTR_NULL(name_cache_get(cache, ""));
    struct thing *b = new_thing();
    CU_ASSERT_TRUE(name_cache_put(cache, "a", b, false)); /* in place of the old one, which goes */
    CU_ASSERT_EQUAL(atomic_load(&alive), 1);
    CU_ASSERT_PTR_EQUAL(name_cache_take(cache, "a"), b);
    CU_ASSERT_PTR_NULL(name_cache_get(cache, "a"));
    drop(b);
    CU_ASSERT_EQUAL(atomic_load(&alive), 0);
    name_cache_destroy(cache);
    name_cache_destroy(NULL);
    CU_ASSERT_PTR_NULL(name_cache_create(0, &type));
}

static void test_eviction(void)
{
    char name[16];
    struct name_cache *cache = name_cache_create(8, &type);
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        name_cache_put(cache, name, new_thing(), true);
    }
    drop(name_cache_get(cache, "n0")); /* used: n1 is the oldest now */
    name_cache_put(cache, "n8", new_thing(), true);
    CU_ASSERT_EQUAL(atomic_load(&alive), 8);
    CU_ASSERT_PTR_NULL(name_cache_get(cache, "n1"));
    void *kept = name_cache_get(cache, "n0");
    CU_ASSERT_PTR_NOT_NULL(kept);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        name_cache_put(cache, name, new_thing(), true);
    }
    CU_ASSERT_EQUAL(atomic_load(&alive), 9); /* eight, and the one that we hold */
    drop(kept);
    name_cache_destroy(cache);
    CU_ASSERT_EQUAL(atomic_load(&alive), 0);
}

static void test_long_names(void)
{
    char name[140];
    struct name_cache *cache = name_cache_create(4, &type);
    memset(name, 'x', sizeof(name));
    name[139] = 0;
    CU_ASSERT_FALSE(name_cache_put(cache, name, new_thing(), true));
    CU_ASSERT_EQUAL(atomic_load(&alive), 0);
    name[128] = 0;
    CU_ASSERT_TRUE(name_cache_put(cache, name, new_thing(), true));
    CU_ASSERT_EQUAL(atomic_load(&alive), 1);
    name_cache_destroy(cache);
    CU_ASSERT_EQUAL(atomic_load(&alive), 0);
}

static void *hammer(void *cache)
{
    char name[16];
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof(name), "n%d", i * 7 % 40);
        void *value = i % 3 == 0   ? name_cache_get(cache, name)
                      : i % 3 == 1 ? name_cache_take(cache, name)
                                   : NULL;
        if (value != NULL)
            drop(value);
        else
            name_cache_put(cache, name, new_thing(), i % 2 == 0);
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[3];
    struct name_cache *cache = name_cache_create(16, &type);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, hammer, cache), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT(atomic_load(&alive) <= 16);
    name_cache_destroy(cache);
    CU_ASSERT_EQUAL(atomic_load(&alive), 0);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"get, put, take", test_get_put_take},
        {"least recently used goes first", test_eviction},
        {"names of any length", test_long_names},
        {"threads", test_threads},
    };
    return unit_run("name_cache", tests, sizeof(tests) / sizeof(tests[0]));
}
