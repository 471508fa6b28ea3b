/* SPDX-License-Identifier: GPL-2.0-or-later */
/* authenticator.h and password_pool.h: who has to wait, who need not, and what is forgotten (C2). */
#include "gateway/authenticator.h"

#include "tests/unit/users_case.h"

#include <sched.h>
#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct ip_address nobody;

struct bench {
    struct password_pool *pool;
    struct authenticator *a;
    struct users *users;
    uint64_t digest;
};

static struct bench open_bench(const char *users, uint32_t jobs, uint32_t places)
{
    struct bench b = {.pool = password_pool_create(1, 2, jobs), .users = users_of(users)};
    CU_ASSERT_PTR_NOT_NULL_FATAL(b.pool);
    b.a = authenticator_create(b.pool, 1, places);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b.a);
    return b;
}

static void close_bench(struct bench *b)
{
    authenticator_destroy(b->a);
    password_pool_destroy(b->pool);
    users_destroy(b->users);
}

static enum auth_answer ask_from(struct bench *b, uint32_t address, const char *user, const char *password,
                                 uint64_t tag)
{
    const struct ip_address source = ip_address_v4(address);
    return authenticator_ask(b->a, &source, b->users, bytes_of_text(user), bytes_of_text(password), tag,
                             &b->digest);
}

static enum auth_answer ask(struct bench *b, const char *user, const char *password, uint64_t tag)
{
    return ask_from(b, 0x0a000001, user, password, tag);
}

/* The pool's thread will answer: it is waited for. */
static struct auth_verdict verdict_of(struct bench *b)
{
    struct auth_verdict verdict;
    while (!authenticator_collect(b->a, &verdict))
        sched_yield();
    return verdict;
}

static void first_and_again(void)
{
    struct bench b = open_bench(USER_ALICE USER_BOB USER_CAROL, 8, 1024);
    uint64_t alice = user_digest(users_find(b.users, bytes_of_text("alice")));
    CU_ASSERT_EQUAL(ask(&b, "alice", "secret", 41), AUTH_WAITS);
    struct auth_verdict v = verdict_of(&b);
    CU_ASSERT_TRUE(v.good);
    CU_ASSERT_EQUAL(v.tag, 41);
    CU_ASSERT_EQUAL(v.digest, alice);
    CU_ASSERT_EQUAL(ask(&b, "alice", "secret", 42), AUTH_GOOD);
    CU_ASSERT_EQUAL(b.digest, alice);
    CU_ASSERT_FALSE(authenticator_collect(b.a, &v));
    /* Near misses of what is remembered. */
    static const char *const others[][2] = {{"alic", "esecret"},  {"alice", "secre"},
                                            {"alice", "secret "}, {"bob smith", "secret"},
                                            {"nobody", "secret"}, {"alicesecret", "x"}};
    for (size_t i = 0; i < COUNT(others); i++) {
        CU_ASSERT_EQUAL(ask(&b, others[i][0], others[i][1], 50 + i), AUTH_WAITS);
        v = verdict_of(&b);
        CU_ASSERT_FALSE(v.good);
        CU_ASSERT_EQUAL(v.tag, 50 + i);
        CU_ASSERT_EQUAL(v.digest == 0, users_find(b.users, bytes_of_text(others[i][0])) == NULL);
        CU_ASSERT_EQUAL(ask(&b, others[i][0], others[i][1], 60),
                        AUTH_WAITS); /* what is wrong is not remembered */
        CU_ASSERT_FALSE(verdict_of(&b).good);
    }
    CU_ASSERT_EQUAL(ask(&b, "bob smith", "p@ss w0rd", 70), AUTH_WAITS);
    CU_ASSERT_TRUE(verdict_of(&b).good);
    CU_ASSERT_EQUAL(ask(&b, "carol", "old", 71), AUTH_WAITS);
    CU_ASSERT_TRUE(verdict_of(&b).good);
    close_bench(&b);
}

/* A decoy's own password is no key for a name that is not there. */
static void decoys_open_nothing(void)
{
    struct bench b = open_bench(USER_ALICE, 8, 1024);
    CU_ASSERT_EQUAL(ask(&b, "mallory", "secret", 1), AUTH_WAITS);
    CU_ASSERT_FALSE(verdict_of(&b).good);
    CU_ASSERT_EQUAL(ask(&b, "mallory", "secret", 1), AUTH_WAITS);
    CU_ASSERT_FALSE(verdict_of(&b).good);
    close_bench(&b);
}

static void never_asked(void)
{
    struct bench b = open_bench(USER_ALICE, 8, 1024);
    char longest[PASSWORD_BYTES_MAX + 2];
    memset(longest, 'p', sizeof(longest));
    longest[PASSWORD_BYTES_MAX + 1] = 0;
    CU_ASSERT_EQUAL(ask(&b, "alice", longest, 1), AUTH_REFUSED);
    longest[PASSWORD_BYTES_MAX] = 0;
    CU_ASSERT_EQUAL(ask(&b, "alice", longest, 1), AUTH_WAITS);
    CU_ASSERT_FALSE(verdict_of(&b).good);
    CU_ASSERT_EQUAL(ask(&b, "alice", "", 1), AUTH_REFUSED);
    CU_ASSERT_EQUAL(ask(&b, "", "secret", 1), AUTH_REFUSED);
    longest[USER_NAME_MAX + 1] = 0;
    CU_ASSERT_EQUAL(ask(&b, longest, "secret", 1), AUTH_REFUSED);
    longest[USER_NAME_MAX] = 0;
    CU_ASSERT_EQUAL(ask(&b, longest, "secret", 1), AUTH_WAITS);
    CU_ASSERT_FALSE(verdict_of(&b).good);
    uint64_t digest;
    CU_ASSERT_EQUAL(
        authenticator_ask(b.a, &nobody, NULL, bytes_of_text("alice"), bytes_of_text("secret"), 1, &digest),
        AUTH_REFUSED);
    close_bench(&b);
}

static void full(void)
{
    struct bench b = open_bench(USER_ALICE, 2, 1024);
    CU_ASSERT_EQUAL(ask(&b, "alice", "one", 1), AUTH_WAITS);
    CU_ASSERT_EQUAL(ask(&b, "alice", "two", 2), AUTH_WAITS);
    CU_ASSERT_EQUAL(ask(&b, "alice", "three", 3), AUTH_BUSY);
    CU_ASSERT_EQUAL(authenticator_counters(b.a)->busy, 1);
    struct auth_verdict v = verdict_of(&b);
    CU_ASSERT_EQUAL(v.tag, 1);
    CU_ASSERT_EQUAL(ask(&b, "alice", "secret", 4), AUTH_WAITS);
    CU_ASSERT_EQUAL(verdict_of(&b).tag, 2);
    v = verdict_of(&b);
    CU_ASSERT_EQUAL(v.tag, 4);
    CU_ASSERT_TRUE(v.good);
    close_bench(&b);
    /* What is not waited for is nobody's. */
    b = open_bench(USER_STRONG, 4, 1024);
    for (uint64_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(ask(&b, "u2", "password", i), AUTH_WAITS);
    close_bench(&b);
}

/* Whoever guesses as fast as it may keeps nobody else waiting for long: sources take turns, and one of them
 * has a part of the jobs at most (C2). */
static void guesser(void)
{
    enum { JOBS = 64, SHARE = JOBS / 4, AHEAD = 4 };
    struct bench b = open_bench(USER_ALICE USER_STRONG, JOBS, 1024);
    for (uint64_t i = 0; i < SHARE; i++)
        CU_ASSERT_EQUAL(ask_from(&b, 0x0a000001, "u2", "guess", 100 + i), AUTH_WAITS);
    CU_ASSERT_EQUAL(ask_from(&b, 0x0a000001, "u2", "guess", 999), AUTH_BUSY);
    CU_ASSERT_EQUAL(ask_from(&b, 0x0a000002, "alice", "secret", 1), AUTH_WAITS);
    CU_ASSERT_EQUAL(ask_from(&b, 0x0a000003, "alice", "wrong", 2), AUTH_WAITS);
    uint32_t before = 0, both = 0;
    for (uint32_t i = 0; i < SHARE + 2; i++) {
        struct auth_verdict v = verdict_of(&b);
        CU_ASSERT_EQUAL(v.good, v.tag == 1);
        both += v.tag < 100;
        before += v.tag >= 100 && both < 2;
    }
    CU_ASSERT_EQUAL(both, 2);
    CU_ASSERT_TRUE(before <= AHEAD + 2); /* what was with the thread, and the guesser's own turns */
    /* Its places are free again. */
    CU_ASSERT_EQUAL(ask_from(&b, 0x0a000001, "u2", "guess", 1000), AUTH_WAITS);
    CU_ASSERT_EQUAL(verdict_of(&b).tag, 1000);
    close_bench(&b);
}

/* A reload that changes an entry makes what was remembered of it worth nothing; another entry does not. */
static void reloaded(void)
{
    struct bench b = open_bench(USER_ALICE USER_BOB, 8, 1024);
    CU_ASSERT_EQUAL(ask(&b, "alice", "secret", 1), AUTH_WAITS);
    CU_ASSERT_TRUE(verdict_of(&b).good);
    users_destroy(b.users);
    b.users = users_of(USER_CAROL USER_ALICE);
    CU_ASSERT_EQUAL(ask(&b, "alice", "secret", 2), AUTH_GOOD);
    users_destroy(b.users);
    /* Alice has carol's password now. */
    b.users = users_of("alice:$6$4bV+ZMbA3rHYNWPI$AcZsf8LYQAjN9+KFbIZJZkBjD/"
                       "6bkLF77Fy63DlJ7c4uyWLQZ4LupX/Atx5Km6S/a0MN9gaYzhKNvJA3Kqg5zw==\n");
    CU_ASSERT_EQUAL(ask(&b, "alice", "secret", 3), AUTH_WAITS);
    CU_ASSERT_FALSE(verdict_of(&b).good);
    CU_ASSERT_EQUAL(ask(&b, "alice", "old", 4), AUTH_WAITS);
    CU_ASSERT_TRUE(verdict_of(&b).good);
    users_destroy(b.users);
    b.users = users_of(USER_BOB);
    CU_ASSERT_EQUAL(ask(&b, "alice", "old", 5), AUTH_WAITS); /* gone, and nobody learns it */
    CU_ASSERT_FALSE(verdict_of(&b).good);
    close_bench(&b);
}

#define STORM 10000U
#define STORM_LINE                                                                                           \
    ":$7$1$c2FsdA==$hn9wzxreAs/zdSWZo6U9xK80x6ZpgVrl1RNVThyM8lLALUcKKFoFAbrZmb/pQ8CPBQI119aLHaVeY/c7YKV/"    \
    "zg==\n"

/* After an outage everybody comes again: no password is computed twice. */
static void storm(void)
{
    char *text = malloc(STORM * (sizeof(STORM_LINE) + 16)), name[16];
    size_t n = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    for (uint32_t i = 0; i < STORM; i++)
        n += (size_t)sprintf(text + n, "device-%05u" STORM_LINE, i);
    struct bench b = open_bench(text, 64, STORM * 8);
    free(text);
    for (uint32_t i = 0; i < STORM; i++) {
        snprintf(name, sizeof(name), "device-%05u", i);
        CU_ASSERT_EQUAL(ask(&b, name, "password", i), AUTH_WAITS);
        CU_ASSERT_TRUE(verdict_of(&b).good);
    }
    CU_ASSERT_EQUAL(authenticator_counters(b.a)->computed, STORM);
    uint32_t good = 0;
    for (uint32_t i = 0; i < STORM; i++) {
        snprintf(name, sizeof(name), "device-%05u", i);
        good += ask(&b, name, "password", i) == AUTH_GOOD;
    }
    /* All; a bucket that nine of them fall into is one run in thousands. */
    CU_ASSERT_TRUE(good >= STORM - 2);
    CU_ASSERT_EQUAL(authenticator_counters(b.a)->remembered, good);
    while (good++ < STORM)
        (void)verdict_of(&b);
    close_bench(&b);
}

/* Two workers' jobs go through the same threads and come back to their own. */
static void workers(void)
{
    struct bench b = open_bench(USER_ALICE, 4, 1024);
    struct authenticator *other = authenticator_create(b.pool, 0, 1024);
    struct auth_verdict v;
    CU_ASSERT_PTR_NOT_NULL_FATAL(other);
    CU_ASSERT_EQUAL(ask(&b, "alice", "secret", 7), AUTH_WAITS);
    uint64_t digest;
    CU_ASSERT_EQUAL(authenticator_ask(other, &nobody, b.users, bytes_of_text("alice"), bytes_of_text("wrong"),
                                      7, &digest),
                    AUTH_WAITS);
    CU_ASSERT_TRUE(verdict_of(&b).good);
    while (!authenticator_collect(other, &v))
        sched_yield();
    CU_ASSERT_FALSE(v.good);
    CU_ASSERT_FALSE(authenticator_collect(b.a, &v));
    authenticator_destroy(other);
    close_bench(&b);
    CU_ASSERT_PTR_NULL(password_pool_create(0, 1, 1));
    CU_ASSERT_PTR_NULL(password_pool_create(1, 1, 0));
    authenticator_destroy(NULL);
    password_pool_destroy(NULL);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"the first time, and again (C2)", first_and_again},
        {"names that are not there (C2)", decoys_open_nothing},
        {"what is never asked", never_asked},
        {"a full queue is a refusal with a name (C2)", full},
        {"a guesser keeps nobody waiting (C2)", guesser},
        {"a reload of the file (C2, G2)", reloaded},
        {"a storm of 10,000 reconnects (C2)", storm},
        {"workers share threads, not answers", workers},
    };
    return unit_run("authenticator", tests, COUNT(tests));
}
