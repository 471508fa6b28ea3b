/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handshakes on threads (B6): several workers, several threads, sessions that go away meanwhile. */
#include "dataplane/secure/tls_handshake.h"
#include "tests/unit/runner.h"
#include "tests/unit/tls_lab.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

/* A turn for a lab whose handshakes are elsewhere: gives the threads a chance. */
static void pool_turn(struct lab *lab)
{
    lab_turn(lab);
    sched_yield();
}

static void settle_with_pool(struct lab *lab)
{
    lab->now_us = 1;
    for (long i = 0; i < 2000000 && lab->closed == 0; i++) {
        lab->now_us = 1; /* the clock stands still, so that a slow machine does not time out */
        pool_turn(lab);
        if (lab->opened > 0 && (lab->server_open || lab->server_failed))
            break;
    }
    lab_turns(lab, 4);
}

static struct tls_context *fleet_context(void)
{
    struct tls_settings settings = lab_settings();
    struct tls_error error;
    settings.certificate_file = lab_path("%s.pem");
    settings.key_file = lab_path("%s.key");
    settings.resumption = true;
    settings.identity_cache = 2;
    struct tls_context *context = tls_context_create(&settings, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(context);
    return context;
}

static const struct lab_server mutual = {.certificate = "server", .ask_client = true};

static void test_create(void)
{
    CU_ASSERT_PTR_NULL(handshake_pool_create(0, 1, 1));
    CU_ASSERT_PTR_NULL(handshake_pool_create(1, 0, 1));
    CU_ASSERT_PTR_NULL(handshake_pool_create(1, 1, 0));
    CU_ASSERT_PTR_NULL(handshake_pool_create(1000, 1, 1));
    handshake_pool_destroy(NULL);
    for (uint32_t threads = 1; threads <= 4; threads++) {
        struct handshake_pool *pool = handshake_pool_create(threads, 3, 5);
        CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
        CU_ASSERT_EQUAL(handshake_pool_slots(pool), 8);
        CU_ASSERT_EQUAL(handshake_pool_join(pool), 0);
        CU_ASSERT_EQUAL(handshake_pool_join(pool), 1);
        CU_ASSERT_EQUAL(handshake_pool_join(pool), 2);
        CU_ASSERT_EQUAL(handshake_pool_join(pool), -1);
        CU_ASSERT_PTR_NULL(handshake_pool_collect(pool, 1));
        handshake_pool_destroy(pool);
    }
}

/* More jobs than slots are refused, all others come back, each once. */
static void test_queue(void)
{
    enum { SLOTS = 8 };
    static struct tls_job jobs[SLOTS + 1];
    struct handshake_pool *pool = handshake_pool_create(2, 1, SLOTS);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
    struct tls_context *context = fleet_context();
    int worker = handshake_pool_join(pool);
    for (int round = 0; round < 20; round++) {
        int seen[SLOTS + 1] = {0};
        for (int i = 0; i <= SLOTS; i++) {
            jobs[i].context = context;
            jobs[i].has_identity = true;
            snprintf(jobs[i].identity, sizeof(jobs[i].identity), "truck-%03d", 500 + i); /* fails quickly */
            CU_ASSERT_EQUAL(handshake_pool_submit(pool, worker, &jobs[i]), i < SLOTS);
        }
        for (int got = 0; got < SLOTS;) {
            struct tls_job *job = handshake_pool_collect(pool, worker);
            if (job == NULL) {
                sched_yield();
                continue;
            }
            got++;
            seen[job - jobs]++;
            CU_ASSERT_EQUAL(job->result, TLS_STEP_FAILED);
            CU_ASSERT_EQUAL(job->failure.counter, TLS_FAILED_IDENTITY);
        }
        for (int i = 0; i < SLOTS; i++)
            CU_ASSERT_EQUAL(seen[i], 1);
        CU_ASSERT_EQUAL(seen[SLOTS], 0);
    }
    handshake_pool_destroy(pool);
    tls_context_unref(context);
}

static void test_one_worker(void)
{
    struct handshake_pool *pool = handshake_pool_create(2, 1, 4);
    struct tls_context *context = fleet_context();
    struct lab *lab = lab_create(&mutual, pool);
    for (int i = 0; i < 20; i++) {
        const char *name = i % 2 == 0 ? "truck-001" : "truck-002";
        if (i == 0)
            lab_connect(lab, context, name);
        else
            lab_reconnect(lab, context, name);
        settle_with_pool(lab);
        CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
        lab->echo = true;
        stream_write(lab->client, (const uint8_t *)"pool", 4);
        lab_turns(lab, 3);
        CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->got), 4);
        stream_abort(lab->client);
        lab->client = NULL;
    }
    CU_ASSERT_EQUAL(tls_worker_counter(lab->worker, TLS_RESUMED), 18);
    handshake_pool_destroy(pool);
    lab_destroy(lab);
    tls_context_unref(context);
}

/* Aborted while a thread has it: reaped when it comes back, and its memory is nobody else's meanwhile. */
static void test_abort_while_away(void)
{
    struct handshake_pool *pool = handshake_pool_create(2, 1, 16);
    struct tls_context *context = fleet_context();
    struct lab *lab = lab_create(&mutual, pool);
    for (int i = 0; i < 60; i++) {
        if (i == 0)
            lab_connect(lab, context, "truck-001");
        else
            lab_reconnect(lab, context, "truck-001");
        for (int turn = 0; turn < i % 7; turn++)
            lab_turn(lab);
        stream_abort(lab->client);
        lab->client = NULL;
        CU_ASSERT_EQUAL(tls_worker_sessions(lab->worker), 0);
    }
    lab_reconnect(lab, context, "truck-002");
    settle_with_pool(lab);
    CU_ASSERT_EQUAL(lab->opened, 1);
    handshake_pool_destroy(pool);
    lab_destroy(lab);
    tls_context_unref(context);
}

/* The pool is stopped with jobs in it: their workers free them. */
static void test_stop_with_jobs(void)
{
    for (int i = 0; i < 20; i++) {
        struct handshake_pool *pool = handshake_pool_create(1, 1, 16);
        struct tls_context *context = fleet_context();
        struct lab *lab = lab_create(&mutual, pool);
        for (int j = 0; j < 8; j++) {
            lab_connect(lab, context, "truck-001");
            CU_ASSERT_PTR_NOT_NULL(lab->client);
        }
        handshake_pool_destroy(pool);
        lab->client = NULL; /* all eight are torn down with the worker */
        lab_destroy(lab);
        tls_context_unref(context);
    }
}

/* ---- fairness ------------------------------------------------------------------------------------------ */

static size_t much_room(const struct stream *s)
{
    (void)s;
    return 65536;
}

static struct stream *first_to_write[64];
static uint32_t written;

static size_t note_write(struct stream *s, const uint8_t *p, size_t n)
{
    (void)p;
    if (written < 64)
        first_to_write[written++] = s;
    return n;
}

static void nothing(struct stream *s)
{
    (void)s;
}

static const struct stream_ops noting = {.room = much_room,
                                         .write = note_write,
                                         .flush = nothing,
                                         .resume = nothing,
                                         .finish = nothing,
                                         .abort = nothing};

static void on_nothing(void *owner)
{
    (void)owner;
}

static size_t on_bytes(void *owner, const uint8_t *p, size_t n)
{
    (void)owner;
    (void)p;
    return n;
}

static void on_end(void *owner, enum stream_end why)
{
    (void)why;
    ++*(int *)owner;
}

static const struct stream_handler quiet = {on_nothing, on_bytes, on_nothing, on_nothing, on_end};

/* The last one is another source's. */
static void connect_many(struct tls_worker *worker, struct tls_context *context, struct stream lowers[],
                         int storm, int *ended, uint64_t now_us)
{
    struct ip_address one = ip_address_v4(0x0a140001), other = ip_address_v4(0x0a140002);
    for (int i = 0; i <= storm; i++) {
        lowers[i] = (struct stream){.ops = &noting};
        CU_ASSERT_PTR_NOT_NULL(tls_connect(worker, context, "truck-001", i < storm ? &one : &other,
                                           &lowers[i], &quiet, ended, now_us));
    }
}

static struct tls_worker *worker_alone(struct chunk_pool *chunks)
{
    struct tls_worker_config config = {.sessions = 64, .chunks = chunks, .handshake_timeout_us = 5000000};
    return tls_worker_create(&config); /* runs sixteen steps a turn itself */
}

/* B6: forty connections of one source wait; the one of another that comes then is not the forty-first. */
static void test_fair(void)
{
    enum { STORM = 40 };
    struct stream lowers[STORM + 1];
    struct tls_context *context = fleet_context();
    struct chunk_pool *chunks = chunk_pool_create(64);
    struct tls_worker *worker = worker_alone(chunks);
    int ended = 0;
    written = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(worker);
    connect_many(worker, context, lowers, STORM, &ended, 1);
    CU_ASSERT_EQUAL(tls_worker_waiting(worker), STORM + 1 - 16);
    tls_worker_poll(worker, 1);
    CU_ASSERT_EQUAL(written, 16);
    tls_worker_poll(worker, 1);
    CU_ASSERT_EQUAL(written, 32);
    bool served = false;
    for (int i = 16; i < 32; i++)
        served = served || first_to_write[i] == &lowers[STORM];
    CU_ASSERT_TRUE(served);
    tls_worker_poll(worker, 6000000);
    CU_ASSERT_EQUAL(ended, STORM + 1);
    CU_ASSERT_EQUAL(tls_worker_counter(worker, TLS_FAILED_TIMEOUT), STORM + 1);
    tls_worker_destroy(worker);
    chunk_pool_destroy(chunks);
    tls_context_unref(context);
}

/* B6: what a handshake waits for us is not what the other side took; it has an end of its own. */
static void test_patience(void)
{
    enum { STORM = 40, AT_ONCE = 16 };
    static const struct {
        const char *name;
        uint64_t polls_us[3];
        bool opened; /* TCP */
        int ended[3];
        uint64_t timeout, crowd;
    } cases[] = {
        {"server silent, TCP too", {6000000, 6000000, 6000000}, false, {41, 41, 41}, 41, 0},
        {"the sixteen that had their turn", {6000000, 6000000, 6000000}, true, {16, 16, 16}, 16, 0},
        /* Served after 6 seconds, so that their five are over after eleven; the last nine a poll later. */
        {"the others in their time", {6000000, 6100000, 10900000}, true, {16, 16, 16}, 16, 0},
        {"and not for longer", {6000000, 6100000, 11050000}, true, {16, 16, 32}, 32, 0},
        {"nor the last", {6000000, 6100000, 11200000}, true, {16, 16, 41}, 41, 0},
        {"we have three times as long", {14900000, 14900000, 14900000}, true, {16, 16, 16}, 16, 0},
        {"and no more", {15000000, 15000000, 15000000}, true, {41, 41, 41}, 16, 25},
    };
    struct tls_context *context = fleet_context();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stream lowers[STORM + 1];
        struct chunk_pool *chunks = chunk_pool_create(64);
        struct tls_worker *worker = worker_alone(chunks);
        int ended = 0;
        CU_ASSERT_PTR_NOT_NULL_FATAL(worker);
        connect_many(worker, context, lowers, STORM, &ended, 0);
        for (int k = 0; cases[i].opened && k <= STORM; k++)
            lowers[k].handler->opened(lowers[k].owner);
        for (int k = 0; k < 3; k++) {
            tls_worker_poll(worker, cases[i].polls_us[k]);
            CU_ASSERT_EQUAL(ended, cases[i].ended[k]);
            if (ended != cases[i].ended[k])
                printf("%s, %llu us: %d ended\n", cases[i].name, (unsigned long long)cases[i].polls_us[k],
                       ended);
        }
        CU_ASSERT_EQUAL(tls_worker_counter(worker, TLS_FAILED_TIMEOUT), cases[i].timeout);
        CU_ASSERT_EQUAL(tls_worker_counter(worker, TLS_FAILED_CROWD), cases[i].crowd);
        tls_worker_destroy(worker);
        chunk_pool_destroy(chunks);
    }
    tls_context_unref(context);
}

/* Whoever asks has it from the stream: how much was ours. */
static void test_own_time(void)
{
    enum { STORM = 40 };
    struct stream lowers[STORM + 1], *last = NULL;
    struct tls_context *context = fleet_context();
    struct chunk_pool *chunks = chunk_pool_create(64);
    struct tls_worker *worker = worker_alone(chunks);
    struct ip_address one = ip_address_v4(0x0a140001);
    int ended = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(worker);
    for (int i = 0; i <= STORM; i++) {
        lowers[i] = (struct stream){.ops = &noting};
        last = tls_connect(worker, context, "truck-001", &one, &lowers[i], &quiet, &ended, 0);
    }
    tls_worker_poll(worker, 1000000); /* the second sixteen; TCP is not open yet */
    CU_ASSERT_EQUAL(stream_own_us(last, 1000000), 0);
    lowers[STORM].handler->opened(lowers[STORM].owner);
    CU_ASSERT_EQUAL(stream_own_us(last, 1000000), 0);
    CU_ASSERT_EQUAL(stream_own_us(last, 1500000), 500000);
    tls_worker_poll(worker, 2000000); /* the last nine */
    tls_worker_poll(worker, 3000000);
    CU_ASSERT_EQUAL(stream_own_us(last, 3000000), 1000000);
    CU_ASSERT_EQUAL(stream_own_us(last, 4000000), 1000000); /* the server's turn */
    CU_ASSERT_EQUAL(stream_own_us(&lowers[0], 4000000), 0); /* a stream that knows no waiting */
    tls_worker_destroy(worker);
    chunk_pool_destroy(chunks);
    tls_context_unref(context);
}

/* ---- several workers ----------------------------------------------------------------------------------- */

struct crew {
    struct handshake_pool *pool;
    struct tls_context *context;
    int opened;
    int refused;
    bool good;
};

static void *work(void *argument)
{
    static const char *const names[] = {"truck-001", "truck-002", "truck-rsa", "truck-999"};
    struct crew *crew = argument;
    struct lab *lab = lab_create(&mutual, crew->pool);
    crew->good = true;
    for (int i = 0; i < 40; i++) {
        const char *name = names[i % 4];
        if (i == 0)
            lab_connect(lab, crew->context, name);
        else
            lab_reconnect(lab, crew->context, name);
        settle_with_pool(lab);
        crew->opened += lab->opened;
        crew->refused += lab->closed;
        if (lab->opened == 1) {
            lab->echo = true;
            stream_write(lab->client, (const uint8_t *)name, 9);
            lab_turns(lab, 3);
            crew->good = crew->good && lab_pipe_bytes(&lab->got) == 9 && memcmp(lab->got.bytes, name, 9) == 0;
            stream_abort(lab->client);
            lab->client = NULL;
        } else {
            lab->now_us += 60000000;
            tls_worker_poll(lab->worker, lab->now_us);
        }
    }
    crew->good = crew->good && chunk_pool_free(lab->chunks) == chunk_pool_capacity(lab->chunks);
    lab_destroy(lab);
    return NULL;
}

static void test_many_workers(void)
{
    enum { WORKERS = 4 };
    struct crew crews[WORKERS];
    pthread_t threads[WORKERS];
    struct handshake_pool *pool = handshake_pool_create(3, WORKERS, 8);
    struct tls_context *context = fleet_context();
    for (int i = 0; i < WORKERS; i++) {
        crews[i] = (struct crew){.pool = pool, .context = context};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, work, &crews[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        CU_ASSERT_TRUE(crews[i].good);
        CU_ASSERT_EQUAL(crews[i].opened, 30);
        CU_ASSERT_EQUAL(crews[i].refused, 10);
    }
    handshake_pool_destroy(pool);
    tls_context_unref(context);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"creation", test_create},
        {"bounded queue", test_queue},
        {"one worker, resumptions", test_one_worker},
        {"abort while a thread has the session", test_abort_while_away},
        {"stop with jobs queued", test_stop_with_jobs},
        {"sources in turn", test_fair},
        {"what is ours is not the other side's", test_patience},
        {"how long it waited for us", test_own_time},
        {"several workers and threads", test_many_workers},
    };
    if (tls_library_init() != 0 || !lab_pki())
        return EXIT_FAILURE;
    int result = unit_run("handshake_pool", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
