/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/flow_table.h"
#include "dataplane/siphash.h"

#include "tests/unit/runner.h"

#include <errno.h>

static const uint8_t secret[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static struct flow_key key_of(uint32_t i)
{
    return (struct flow_key){.local = ip_address_v4(0x0a140001),
                             .remote = ip_address_v4(0x0a140000 + i / 60000),
                             .local_port = 1883,
                             .remote_port = (uint16_t)(1024 + i % 60000),
                             .interface = 1,
                             .protocol = 6};
}

/* The SipHash paper's appendix A (2-4), and the reference implementation's second vector. */
static void siphash_matches_its_vectors(void)
{
    uint8_t message[15];
    for (uint8_t i = 0; i < sizeof(message); i++)
        message[i] = i;
    struct siphash_key key = siphash_key_of(secret);
    CU_ASSERT_EQUAL(siphash_2_4(key, message, 15), UINT64_C(0xa129ca6149be45e5));
    CU_ASSERT_EQUAL(siphash_2_4(key, message, 0), UINT64_C(0x726fdb47dd0e0e31));
    CU_ASSERT_EQUAL(siphash_2_4(key, message, 8), UINT64_C(0x93f5f5799a932462));
}

static void finds_what_was_inserted_and_nothing_else(void)
{
    struct flow_table *t = flow_table_create(4, secret);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    for (uint32_t i = 0; i < 4; i++) {
        struct flow_key k = key_of(i);
        CU_ASSERT_EQUAL(flow_table_insert(t, &k, flow_table_hash(t, &k), i + 100), 0);
        CU_ASSERT_EQUAL(flow_table_insert(t, &k, flow_table_hash(t, &k), 7), -EEXIST);
    }
    struct flow_key k = key_of(9);
    CU_ASSERT_EQUAL(flow_table_insert(t, &k, flow_table_hash(t, &k), 9), -ENOSPC);
    CU_ASSERT_EQUAL(flow_table_find(t, &k, flow_table_hash(t, &k)), FLOW_TABLE_NONE);
    CU_ASSERT_PTR_NULL(flow_table_key(t, &k, flow_table_hash(t, &k)));
    CU_ASSERT_EQUAL(flow_table_remove(t, &k, flow_table_hash(t, &k)), -ENOENT);
    CU_ASSERT_EQUAL(flow_table_set(t, &k, flow_table_hash(t, &k), 1), -ENOENT);
    k = key_of(2);
    CU_ASSERT_EQUAL(flow_table_find(t, &k, flow_table_hash(t, &k)), 102);
    const struct flow_key *own = flow_table_key(t, &k, flow_table_hash(t, &k));
    CU_ASSERT_PTR_NOT_NULL_FATAL(own);
    CU_ASSERT(own != &k && memcmp(own, &k, sizeof(k)) == 0);
    CU_ASSERT_EQUAL(flow_table_set(t, &k, flow_table_hash(t, &k), 55), 0);
    CU_ASSERT_EQUAL(flow_table_find(t, &k, flow_table_hash(t, &k)), 55);
    /* Every field distinguishes. */
    struct flow_key other[6] = {k, k, k, k, k, k};
    other[0].local = ip_address_v4(1);
    other[1].remote = ip_address_v4(1);
    other[2].local_port++;
    other[3].remote_port += 1000;
    other[4].interface++;
    other[5].protocol = 17;
    for (int i = 0; i < 6; i++)
        CU_ASSERT_EQUAL(flow_table_find(t, &other[i], flow_table_hash(t, &other[i])), FLOW_TABLE_NONE);
    flow_table_destroy(t);
}

static uint8_t model_in[5000];

/* Removal shifts probes back: after heavy churn everything that is in is found, also with forced collisions.
 */
static void agrees_with_a_model_under_collisions(void)
{
    memset(model_in, 0, sizeof(model_in));
    struct flow_table *t = flow_table_create(3000, secret);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    uint64_t seed = 1;
    uint32_t n = 0;
    for (uint32_t step = 0; step < 200000; step++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint32_t i = (uint32_t)(seed >> 33) % 5000;
        struct flow_key k = key_of(i);
        /* A handful of homes for all, some at the end of the array so that runs wrap around it. */
        uint32_t hash = (flow_table_hash(t, &k) % 40) * 11 - 100;
        CU_ASSERT_EQUAL_FATAL(flow_table_find(t, &k, hash), model_in[i] ? i : FLOW_TABLE_NONE);
        if (model_in[i]) {
            CU_ASSERT_EQUAL_FATAL(flow_table_remove(t, &k, hash), 0);
            model_in[i] = 0;
            n--;
        } else if (n < 300) {
            CU_ASSERT_EQUAL_FATAL(flow_table_insert(t, &k, hash, i), 0);
            model_in[i] = 1;
            n++;
        }
        CU_ASSERT_EQUAL_FATAL(flow_table_used(t), n);
    }
    flow_table_destroy(t);
}

static void holds_its_whole_capacity(void)
{
    enum { N = 100000 };
    struct flow_table *t = flow_table_create(N, secret);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    uint32_t good = 0;
    for (uint32_t i = 0; i < N; i++) {
        struct flow_key k = key_of(i);
        good += flow_table_insert(t, &k, flow_table_hash(t, &k), i) == 0;
    }
    CU_ASSERT_EQUAL(good, N);
    good = 0;
    for (uint32_t i = 0; i < N; i++) {
        struct flow_key k = key_of(i);
        flow_table_prefetch(t, flow_table_hash(t, &k));
        good += flow_table_find(t, &k, flow_table_hash(t, &k)) == i;
    }
    CU_ASSERT_EQUAL(good, N);
    flow_table_destroy(t);
    CU_ASSERT_PTR_NULL(flow_table_create(0, secret));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"SipHash-2-4 matches the paper's vectors", siphash_matches_its_vectors},
        {"finds what was inserted and nothing else", finds_what_was_inserted_and_nothing_else},
        {"agrees with a model under forced collisions", agrees_with_a_model_under_collisions},
        {"holds its whole capacity", holds_its_whole_capacity},
    };
    return unit_run("flow_table", tests, sizeof(tests) / sizeof(tests[0]));
}
