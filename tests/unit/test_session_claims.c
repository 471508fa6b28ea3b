/* SPDX-License-Identifier: GPL-2.0-or-later */
/* session_claims.h: one worker at a time (C3). */
#include "gateway/session_claims.h"

#include "tests/unit/runner.h"

#include <pthread.h>
#include <stdatomic.h>

static const uint8_t secret[16] = "0123456789abcdef";

static void one_at_a_time(void)
{
    struct session_claims *claims = session_claims_create(100, secret);
    CU_ASSERT_PTR_NOT_NULL_FATAL(claims);
    uint64_t a = session_claims_key(claims, bytes_of_text("broker"), bytes_of_text("truck-001"));
    uint64_t b = session_claims_key(claims, bytes_of_text("cloud"), bytes_of_text("truck-001"));
    CU_ASSERT(a != 0 && a != b);
    CU_ASSERT_EQUAL(session_claims_take(claims, a, 0, false), CLAIM_HELD);
    CU_ASSERT_EQUAL(session_claims_take(claims, a, 1, false), CLAIM_TAKEN);
    CU_ASSERT_EQUAL(session_claims_take(claims, a, 0, false), CLAIM_TAKEN);
    CU_ASSERT_EQUAL(session_claims_take(claims, b, 1, false), CLAIM_HELD);
    session_claims_release(claims, a, 1); /* not its own */
    CU_ASSERT_EQUAL(session_claims_take(claims, a, 1, false), CLAIM_TAKEN);
    session_claims_release(claims, a, 0);
    CU_ASSERT_EQUAL(session_claims_take(claims, a, 1, false), CLAIM_HELD);
    session_claims_destroy(claims);
}

static void contested(void)
{
    struct session_claims *claims = session_claims_create(100, secret);
    CU_ASSERT_PTR_NOT_NULL_FATAL(claims);
    uint64_t a = session_claims_key(claims, bytes_of_text(""), bytes_of_text("a"));
    CU_ASSERT_EQUAL(session_claims_take(claims, a, 3, false), CLAIM_HELD);
    CU_ASSERT_FALSE(session_claims_contested(claims, a, 3));
    CU_ASSERT_EQUAL(session_claims_take(claims, a, 4, false), CLAIM_TAKEN);
    CU_ASSERT_EQUAL(session_claims_contests(claims), 0);
    CU_ASSERT_EQUAL(session_claims_take(claims, a, 4, true), CLAIM_TAKEN);
    CU_ASSERT_EQUAL(session_claims_contests(claims), 1);
    CU_ASSERT_TRUE(session_claims_contested(claims, a, 3));
    session_claims_release(claims, a, 3);
    CU_ASSERT_EQUAL(session_claims_take(claims, a, 4, true), CLAIM_HELD);
    CU_ASSERT_FALSE(session_claims_contested(claims, a, 4));
    session_claims_destroy(claims);
}

/* Two names for each session have a place; a full bucket refuses. */
static void capacity(void)
{
    struct session_claims *claims = session_claims_create(1000, secret);
    CU_ASSERT_PTR_NOT_NULL_FATAL(claims);
    unsigned int held = 0, refused = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        uint64_t key = session_claims_key(claims, bytes_of_text(""), bytes_of(&i, sizeof(i)));
        enum claim_result result = session_claims_take(claims, key, 0, false);
        held += result == CLAIM_HELD;
        refused += result == CLAIM_REFUSED;
        if (i == 2000)
            CU_ASSERT_EQUAL(refused, 0);
    }
    CU_ASSERT_EQUAL(held, 4096 * 8);
    CU_ASSERT_EQUAL(held + refused, 100000);
    session_claims_destroy(claims);
}

#define THREADS 4
#define ROUNDS 20000

static struct session_claims *fought_over;
static _Atomic int holders;
static _Atomic int clashes;

static void *fight(void *owner)
{
    uint32_t worker = *(uint32_t *)owner;
    uint64_t key = session_claims_key(fought_over, bytes_of_text(""), bytes_of_text("x"));
    for (int i = 0; i < ROUNDS; i++) {
        if (session_claims_take(fought_over, key, worker, false) != CLAIM_HELD)
            continue;
        if (atomic_fetch_add(&holders, 1) != 0)
            atomic_fetch_add(&clashes, 1);
        atomic_fetch_sub(&holders, 1);
        session_claims_release(fought_over, key, worker);
    }
    return NULL;
}

static void threads(void)
{
    pthread_t thread[THREADS];
    uint32_t worker[THREADS];
    fought_over = session_claims_create(10, secret);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fought_over);
    for (uint32_t i = 0; i < THREADS; i++) {
        worker[i] = i;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, fight, &worker[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    CU_ASSERT_EQUAL(atomic_load(&clashes), 0);
    uint64_t key = session_claims_key(fought_over, bytes_of_text(""), bytes_of_text("x"));
    CU_ASSERT_EQUAL(session_claims_take(fought_over, key, 0, false),
                    CLAIM_HELD); /* nothing was left behind */
    session_claims_destroy(fought_over);
}

static const struct unit_test tests[] = {
    {"one at a time (C3)", one_at_a_time},
    {"contested (C3)", contested},
    {"capacity", capacity},
    {"threads (C3)", threads},
};

int main(void)
{
    return unit_run("session_claims", tests, sizeof(tests) / sizeof(tests[0]));
}
