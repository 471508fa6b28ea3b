/* SPDX-License-Identifier: GPL-2.0-or-later */
/* client_shares.h: the limits of a client hold for all workers together (F3). */
#include "gateway/client_table.h"

#include "tests/unit/runner.h"

#include <pthread.h>

#define THREADS 4
#define MESSAGES 20000
#define CLIENTS 500

static const uint8_t secret[16] = "0123456789abcdef";
static const struct rates rates = {
    .of[RATE_PUBLISHES][0] = {.amount = 1, .period_us = UINT64_C(3600000000), .burst = 1000}};

static void same_for_all(void)
{
    struct client_shares *shares = client_shares_create(100, secret);
    CU_ASSERT_PTR_NOT_NULL_FATAL(shares);
    struct client_share *a = client_shares_acquire(shares, bytes_of_text("a"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    CU_ASSERT_PTR_EQUAL(client_shares_acquire(shares, bytes_of_text("a")), a);
    CU_ASSERT_PTR_NOT_EQUAL(client_shares_acquire(shares, bytes_of_text("b")), a);
    CU_ASSERT_TRUE(client_share_open(a, 2) && client_share_open(a, 2));
    CU_ASSERT_FALSE(client_share_open(a, 2));
    client_share_close(a);
    CU_ASSERT_TRUE(client_share_open(a, 2));
    client_shares_destroy(shares);
}

/* What nobody refers to is kept, until its place is needed. */
static void kept_and_given_up(void)
{
    struct client_shares *shares = client_shares_create(1, secret); /* one bucket of 64 */
    struct client_share *first = client_shares_acquire(shares, bytes_of_text("first"));
    CU_ASSERT_TRUE(shared_buckets_take(&first->rates, &rates, RATE_PUBLISHES, 1000, 1));
    client_shares_release(shares, first);
    CU_ASSERT_PTR_EQUAL(client_shares_acquire(shares, bytes_of_text("first")), first);
    CU_ASSERT_FALSE(shared_buckets_take(&first->rates, &rates, RATE_PUBLISHES, 1, 1));
    for (uint32_t i = 1; i < 64; i++)
        CU_ASSERT_PTR_NOT_NULL(client_shares_acquire(shares, bytes_of(&i, sizeof(i))));
    CU_ASSERT_PTR_NULL(client_shares_acquire(shares, bytes_of_text("one too many")));
    client_shares_release(shares, first);
    struct client_share *other = client_shares_acquire(shares, bytes_of_text("other"));
    CU_ASSERT_PTR_EQUAL(other, first);
    CU_ASSERT_TRUE(shared_buckets_take(&other->rates, &rates, RATE_PUBLISHES, 1000, 1));
    client_shares_destroy(shares);
}

/* A worker that forgets a client gives its reference back; the last one empties nothing. */
static void through_the_tables(void)
{
    struct client_shares *shares = client_shares_create(4, secret);
    struct client_table *one = client_table_create(2, secret, shares),
                        *two = client_table_create(2, secret, shares);
    struct client *a = client_table_get(one, bytes_of_text("a")),
                  *same = client_table_get(two, bytes_of_text("a"));
    CU_ASSERT_TRUE(a != same && a->share != NULL && a->share == same->share);
    CU_ASSERT_TRUE(shared_buckets_take(&a->share->rates, &rates, RATE_PUBLISHES, 1000, 1));
    (void)client_table_get(one, bytes_of_text("b"));
    (void)client_table_get(one, bytes_of_text("c")); /* in the place of a */
    CU_ASSERT_PTR_NULL(client_table_find(one, bytes_of_text("a")));
    a = client_table_get(one, bytes_of_text("a"));
    CU_ASSERT_PTR_EQUAL(a->share, same->share);
    CU_ASSERT_FALSE(shared_buckets_take(&a->share->rates, &rates, RATE_PUBLISHES, 1, 1));
    client_table_destroy(one);
    client_table_destroy(two);
    client_shares_destroy(shares);
}

/* ---- workers at once ---------------------------------------------------------------------------------- */

static struct client_shares *fought_over;
static struct client_share *seen[THREADS][CLIENTS];
static _Atomic uint32_t passed, opened;
static pthread_barrier_t line;

static void *work(void *owner)
{
    size_t worker = (size_t)(uintptr_t)owner;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        if (i % 50 == 0)
            pthread_barrier_wait(&line);
        for (int tries = 0; tries < 1000 && seen[worker][i] == NULL; tries++)
            seen[worker][i] = client_shares_acquire(fought_over, bytes_of(&i, sizeof(i)));
    }
    struct client_share *share = seen[worker][0];
    for (uint32_t i = 0; i < MESSAGES; i++) {
        if (shared_buckets_take(&share->rates, &rates, RATE_PUBLISHES, 1, 1))
            atomic_fetch_add(&passed, 1);
        if (client_share_open(share, 2)) {
            if (atomic_fetch_add(&opened, 1) >= 2)
                atomic_store(&passed, UINT32_MAX / 2); /* more than two at once */
            atomic_fetch_sub(&opened, 1);
            client_share_close(share);
        }
    }
    for (uint32_t i = 0; i < CLIENTS; i++)
        client_shares_release(fought_over, seen[worker][i]);
    return NULL;
}

/* Each client has one place whoever comes first, and a bucket pays out once. */
static void workers_at_once(void)
{
    pthread_t thread[THREADS];
    fought_over = client_shares_create(CLIENTS, secret);
    pthread_barrier_init(&line, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, work, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    unsigned int differ = 0;
    for (uint32_t i = 0; i < CLIENTS; i++)
        for (size_t worker = 0; worker < THREADS; worker++)
            differ += seen[worker][i] == NULL || seen[worker][i] != seen[0][i];
    CU_ASSERT_EQUAL(differ, 0);
    CU_ASSERT_EQUAL(atomic_load(&passed), 1000);
    CU_ASSERT_EQUAL(atomic_load(&seen[0][0]->sessions), 0);
    pthread_barrier_destroy(&line);
    client_shares_destroy(fought_over);
}

static const struct unit_test tests[] = {
    {"the same for all workers (F3)", same_for_all},
    {"kept and given up", kept_and_given_up},
    {"through the tables of two workers (F3)", through_the_tables},
    {"workers at once (F3)", workers_at_once},
};

int main(void)
{
    return unit_run("client_shares", tests, sizeof(tests) / sizeof(tests[0]));
}
