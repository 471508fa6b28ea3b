/* SPDX-License-Identifier: GPL-2.0-or-later */
/* name_index.h, perfect_hash.h and store.h: what the policy's tables are made of (G4). */
#include "policy/access/name_index.h"

#include "policy/access/perfect_hash.h"
#include "policy/access/store.h"
#include "tests/unit/runner.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void names(void)
{
    enum { N = 5000 };
    static char text[2 * N][16];
    struct name_index index;
    CU_ASSERT_TRUE_FATAL(name_index_init(&index, N));
    CU_ASSERT_EQUAL(name_index_find(&index, bytes_of_text("x")), NAME_INDEX_NONE);
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < 2 * N; i++)
        snprintf(text[i], sizeof(text[i]), "device-%u", i);
    for (uint32_t i = 0; i < N; i++)
        wrong += name_index_add(&index, bytes_of_text(text[i]), i) != NAME_INDEX_NONE;
    for (uint32_t i = 0; i < N; i++) {
        wrong += name_index_add(&index, bytes_of_text(text[i]), i + 1) != i; /* there already */
        wrong += name_index_find(&index, bytes_of_text(text[i])) != i;
        wrong += name_index_find(&index, bytes_of_text(text[N + i])) != NAME_INDEX_NONE;
        wrong += name_index_find(&index, bytes_of(text[i], strlen(text[i]) - 1)) == i;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_TRUE(index.probes < 64);
    name_index_fini(&index);
    CU_ASSERT_TRUE_FATAL(name_index_init(&index, 0));
    CU_ASSERT_EQUAL(name_index_find(&index, bytes_of(NULL, 0)), NAME_INDEX_NONE);
    name_index_fini(&index);
    CU_ASSERT_TRUE_FATAL(name_index_init(&index, 1));
    CU_ASSERT_EQUAL(name_index_add(&index, bytes_of(NULL, 0), 7),
                    NAME_INDEX_NONE); /* the empty name is one */
    CU_ASSERT_EQUAL(name_index_find(&index, bytes_of_text("")), 7);
    name_index_fini(&index);
}

static uint64_t key_of(uint64_t i)
{
    return hash_bytes((const uint8_t *)&i, sizeof(i), 1);
}

/* Every key has a slot of its own, for few keys and for many. */
static void perfect(void)
{
    static const uint32_t sizes[] = {0, 1, 2, 3, 7, 100, 4097, 100000};
    for (size_t s = 0; s < COUNT(sizes); s++) {
        uint32_t n = sizes[s], wrong = 0;
        uint64_t *keys = calloc(n + 1U, sizeof(*keys));
        uint16_t *displacement = calloc(perfect_hash_buckets(n), sizeof(*displacement));
        uint8_t *taken = calloc(perfect_hash_slots(n), 1);
        CU_ASSERT_TRUE_FATAL(keys != NULL && displacement != NULL && taken != NULL);
        for (uint32_t i = 0; i < n; i++)
            keys[i] = key_of(i);
        bool out_of_memory;
        CU_ASSERT_TRUE(perfect_hash_build(keys, n, displacement, &out_of_memory));
        const struct perfect_hash hash = {displacement, perfect_hash_buckets(n), perfect_hash_slots(n)};
        for (uint32_t i = 0; i < n; i++) {
            uint32_t slot = perfect_hash_slot(&hash, keys[i]);
            wrong += slot >= hash.slots_n || taken[slot]++ > 0;
            wrong +=
                perfect_hash_slot(&hash, key_of(i + UINT64_C(1000000))) >= hash.slots_n; /* strangers too */
        }
        CU_ASSERT_EQUAL(wrong, 0);
        if (n > 1) {
            keys[n - 1] = keys[0]; /* no displacement parts two keys that are one */
            CU_ASSERT_FALSE(perfect_hash_build(keys, n, displacement, &out_of_memory));
            CU_ASSERT_FALSE(out_of_memory);
        }
        free(keys);
        free(displacement);
        free(taken);
    }
}

static void same(void)
{
    uint8_t a[80], b[80];
    uint32_t wrong = 0;
    for (size_t len = 0; len <= 64; len++)
        for (size_t at = 0; at <= len; at++) {
            memset(a, 'x', sizeof(a));
            memset(b, 'x', sizeof(b));
            b[at] = 'y'; /* at == len: just behind */
            wrong += hash_same(a, b, len) != (at == len);
            wrong += at < len && hash_bytes(a, len, 1) == hash_bytes(b, len, 1);
        }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_NOT_EQUAL(hash_bytes(a, 5, 1), hash_bytes(a, 6, 1));
    CU_ASSERT_NOT_EQUAL(hash_bytes(a, 5, 1), hash_bytes(a, 5, 2));
}

static void stores(void)
{
    struct store store = {0};
    int failed = 0;
    const char *small = store_text(&store, "text", &failed);
    uint64_t *large = store_take(&store, (size_t)1 << 20);
    CU_ASSERT_PTR_NOT_NULL_FATAL(large);
    CU_ASSERT_EQUAL((uintptr_t)large % _Alignof(max_align_t), 0);
    large[(1 << 17) - 1] = 1;
    uint32_t wrong = 0;
    for (int i = 0; i < 100000; i++)
        wrong += strcmp(store_text(&store, "another", &failed), "another") != 0;
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_STRING_EQUAL(small, "text");
    CU_ASSERT_PTR_NULL(store_text(&store, NULL, &failed));
    CU_ASSERT_FALSE(failed);
    CU_ASSERT_TRUE(store.bytes >= 1 << 20);
    store_free(&store);
    CU_ASSERT_EQUAL(store.bytes, 0);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"names", names},
        {"perfect hashes", perfect},
        {"short texts: equality and hashes", same},
        {"stores", stores},
    };
    return unit_run("name_index", tests, COUNT(tests));
}
