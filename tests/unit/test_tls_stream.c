/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS client streams (B1, B7; stream.h): records in both directions, back pressure, the ways to end. */
#include "tests/unit/runner.h"
#include "tests/unit/tls_lab.h"

static const struct lab_server plain_server = {.certificate = "server"};
static const struct lab_server old_server = {
    .certificate = "server", .only_1_2 = true, .suites = "ECDHE-ECDSA-AES128-GCM-SHA256"};

static struct tls_context *make_context(enum tls_version version)
{
    struct tls_settings settings = lab_settings();
    struct tls_error error;
    settings.min_version = version;
    struct tls_context *context = tls_context_create(&settings, &error);
    if (context == NULL)
        fprintf(stderr, "%s\n", error.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(context);
    return context;
}

/* A lab with its connection open. */
static struct lab *open_lab(const struct lab_server *server)
{
    struct tls_context *context = make_context(server->only_1_2 ? TLS_VERSION_1_2 : TLS_VERSION_1_3);
    struct lab *lab = lab_create(server, NULL);
    lab_connect(lab, context, NULL);
    tls_context_unref(context); /* the session has its own reference */
    lab_settle(lab);
    CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
    CU_ASSERT_TRUE_FATAL(lab->server_open);
    return lab;
}

/* Nothing is left of it: no chunk, no session. */
static void close_lab(struct lab *lab)
{
    if (lab->client != NULL) {
        stream_abort(lab->client);
        lab->client = NULL;
        CU_ASSERT_TRUE(lab->aborted);
    }
    lab->now_us += 60000000;
    tls_worker_poll(lab->worker, lab->now_us);
    CU_ASSERT_EQUAL(chunk_pool_free(lab->chunks), chunk_pool_capacity(lab->chunks));
    CU_ASSERT_EQUAL(tls_worker_sessions(lab->worker), 0);
    lab_destroy(lab);
}

static uint64_t count(const struct lab *lab, enum tls_counter counter)
{
    return tls_worker_counter(lab->worker, counter);
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 7 + (at >> 8) * 13 + (at >> 16));
}

static bool is_pattern(const struct lab_pipe *pipe, size_t n)
{
    if (lab_pipe_bytes(pipe) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (pipe->bytes[pipe->from + i] != pattern(i))
            return false;
    return true;
}

static bool pipe_holds(const struct lab_pipe *pipe, const char *text)
{
    return lab_pipe_bytes(pipe) == strlen(text) && memcmp(pipe->bytes + pipe->from, text, strlen(text)) == 0;
}

static size_t write_text(struct lab *lab, const char *text)
{
    return stream_write(lab->client, (const uint8_t *)text, strlen(text));
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static void test_open(void)
{
    struct tls_context *context = make_context(TLS_VERSION_1_3);
    struct lab *lab = lab_create(&plain_server, NULL);
    lab_connect(lab, context, NULL);
    CU_ASSERT_EQUAL(stream_room(lab->client), 0);
    CU_ASSERT_EQUAL(write_text(lab, "too early"), 0);
    lab_settle(lab);
    CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
    CU_ASSERT_EQUAL(lab->writable, 1); /* owed since the early write */
    CU_ASSERT_STRING_EQUAL(tls_stream_version(lab->client), "1.3");
    CU_ASSERT_STRING_EQUAL(tls_stream_cipher(lab->client), "TLS_AES_128_GCM_SHA256");
    CU_ASSERT_FALSE(tls_stream_resumed(lab->client));
    CU_ASSERT_EQUAL(count(lab, TLS_HANDSHAKES), 1);
    lab->echo = true;
    CU_ASSERT_EQUAL(write_text(lab, "hello"), 5);
    lab_turns(lab, 3);
    CU_ASSERT_TRUE(pipe_holds(&lab->got, "hello"));
    close_lab(lab);
    tls_context_unref(context);
}

static void test_opened_later(void)
{
    struct tls_context *context = make_context(TLS_VERSION_1_3);
    struct lab *lab = lab_create(&plain_server, NULL);
    size_t room = lab->room_bytes;
    lab->room_bytes = 0; /* a connection that is still being opened */
    lab_connect(lab, context, NULL);
    lab_turns(lab, 20);
    CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->to_server), 0);
    CU_ASSERT_EQUAL(lab->closed, 0);
    lab->room_bytes = room;
    lab->lower.handler->opened(lab->lower.owner);
    lab_settle(lab);
    CU_ASSERT_EQUAL(lab->opened, 1);
    close_lab(lab);
    tls_context_unref(context);
}

static void test_refused_below(void)
{
    struct tls_context *context = make_context(TLS_VERSION_1_3);
    struct lab *lab = lab_create(&plain_server, NULL);
    lab->room_bytes = 0;
    lab_connect(lab, context, NULL);
    lab->lower.handler->closed(lab->lower.owner, STREAM_END_REFUSED);
    CU_ASSERT_EQUAL(lab->closed, 1);
    CU_ASSERT_EQUAL(lab->why, STREAM_END_REFUSED);
    lab->aborted = true;
    close_lab(lab);
    tls_context_unref(context);
}

static void test_bad_identities(void)
{
    static const char *const bad[] = {"", ".", "..", ".hidden", "a/b", "/etc/passwd", "../../x"};
    char long_name[130];
    struct tls_context *context = make_context(TLS_VERSION_1_3);
    struct lab *lab = lab_create(&plain_server, NULL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        lab_connect(lab, context, bad[i]);
        CU_ASSERT_PTR_NULL(lab->client);
    }
    memset(long_name, 'a', sizeof(long_name));
    long_name[129] = 0;
    lab_connect(lab, context, long_name);
    CU_ASSERT_PTR_NULL(lab->client);
    CU_ASSERT_EQUAL(count(lab, TLS_FAILED_IDENTITY), sizeof(bad) / sizeof(bad[0]) + 1);
    long_name[128] = 0;
    lab_connect(lab, context, long_name);
    CU_ASSERT_PTR_NOT_NULL(lab->client);
    close_lab(lab);
    tls_context_unref(context);
}

static size_t no_room(const struct stream *s)
{
    (void)s;
    return 0;
}

static void test_table_full(void)
{
    static const struct stream_ops unopened = {.room = no_room};
    struct tls_context *context = make_context(TLS_VERSION_1_3);
    struct lab *lab = lab_create(&plain_server, NULL);
    struct stream lowers[17];
    struct stream *uppers[17];
    for (int i = 0; i < 17; i++) {
        lowers[i] = (struct stream){.ops = &unopened};
        uppers[i] = tls_connect(lab->worker, context, NULL, &lowers[i], &lab_upper, lab, 1);
    }
    CU_ASSERT_PTR_NOT_NULL(uppers[15]);
    CU_ASSERT_PTR_NULL(uppers[16]);
    CU_ASSERT_PTR_NULL(lowers[16].owner);
    CU_ASSERT_EQUAL(count(lab, TLS_TABLE_FULL), 1);
    CU_ASSERT_EQUAL(tls_worker_sessions(lab->worker), 16);
    lab_destroy(lab); /* with all of them still there */
    tls_context_unref(context);
}

/* ---- data ---------------------------------------------------------------------------------------------- */

/* The server's flight, its tickets and its records, cut at every size. */
static void test_fragments(void)
{
    for (size_t fragment = 1; fragment < 90; fragment += fragment < 40 ? 1 : 7) {
        struct tls_context *context = make_context(TLS_VERSION_1_3);
        struct lab *lab = lab_create(&plain_server, NULL);
        lab->fragment = fragment;
        lab->echo = true;
        lab_connect(lab, context, NULL);
        lab_settle(lab);
        CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
        for (int i = 0; i < 20; i++) {
            write_text(lab, "fragmented ");
            lab_turns(lab, 2);
        }
        CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->got), 20 * 11);
        CU_ASSERT_EQUAL(lab->closed, 0);
        close_lab(lab);
        tls_context_unref(context);
    }
}

/* One record for all that was written in a burst, none before the flush (stream.h). */
static void test_one_record(void)
{
    struct lab *lab = open_lab(&plain_server);
    uint64_t before = count(lab, TLS_RECORDS_OUT);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(write_text(lab, "0123456789"), 10);
    CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->unsent), 0);
    stream_flush(lab->client);
    CU_ASSERT_EQUAL(count(lab, TLS_RECORDS_OUT) - before, 1);
    CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->to_server), 200 + 5 + 1 + 16);
    stream_flush(lab->client);
    CU_ASSERT_EQUAL(count(lab, TLS_RECORDS_OUT) - before, 1);
    lab_turn(lab);
    CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->server_got), 200);
    close_lab(lab);
}

struct bulk {
    size_t room;
    size_t fragment;
    size_t take;
    size_t server_reads;
    bool only_1_2;
};

/* Writes `total` bytes through an echoing server and back, whatever the sizes of everything between. */
static void run_bulk(const struct bulk *bulk, size_t total)
{
    struct lab *lab = open_lab(bulk->only_1_2 ? &old_server : &plain_server);
    uint8_t piece[5000];
    size_t sent = 0;
    lab->room_bytes = bulk->room;
    lab->fragment = bulk->fragment;
    lab->take_at_most = bulk->take;
    lab->server_reads = bulk->server_reads;
    lab->echo = true;
    for (int turn = 0; turn < 100000 && lab_pipe_bytes(&lab->got) < total && lab->closed == 0; turn++) {
        while (sent < total) {
            size_t n = total - sent < sizeof(piece) ? total - sent : sizeof(piece);
            for (size_t i = 0; i < n; i++)
                piece[i] = pattern(sent + i);
            size_t room = stream_room(lab->client);
            size_t taken = stream_write(lab->client, piece, n);
            CU_ASSERT_TRUE(taken >= (room < n ? room : n));
            sent += taken;
            if (taken < n)
                break;
        }
        lab_turn(lab);
        stream_resume(lab->client);
    }
    CU_ASSERT_EQUAL(sent, total);
    CU_ASSERT_TRUE(is_pattern(&lab->server_got, total));
    CU_ASSERT_TRUE(is_pattern(&lab->got, total));
    close_lab(lab);
}

static void test_bulk(void)
{
    static const struct bulk kinds[] = {
        {65536, 65536, SIZE_MAX, 65536, false}, {65536, 1460, SIZE_MAX, 65536, false},
        {2920, 1460, SIZE_MAX, 65536, false},   {100, 17, SIZE_MAX, 65536, false},
        {1, 1000, SIZE_MAX, 65536, false},      {65536, 65536, 100, 65536, false},
        {3000, 1460, 999, 700, false},          {65536, 3, 20000, 65536, false},
        {65536, 65536, SIZE_MAX, 65536, true},  {3000, 1460, 999, 700, true},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        run_bulk(&kinds[i], kinds[i].room < 200 ? 40000 : 400000);
}

/* With room for them, records are as large as TLS allows. */
static void test_full_records(void)
{
    struct lab *lab = open_lab(&plain_server);
    static uint8_t much[64 * 1024];
    uint64_t before = count(lab, TLS_RECORDS_OUT);
    lab->room_bytes = 128 * 1024;
    size_t taken = stream_write(lab->client, much, sizeof(much));
    CU_ASSERT_EQUAL(taken, sizeof(much));
    CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->to_server), 0); /* sealed, but not on the wire before the flush */
    stream_flush(lab->client);
    CU_ASSERT_EQUAL(count(lab, TLS_RECORDS_OUT) - before, 4);
    lab_turn(lab);
    CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->server_got), sizeof(much));
    close_lab(lab);
}

/* When nothing leaves below, writing is bounded, and `writable` comes once there is room. */
static void test_back_pressure_out(void)
{
    struct lab *lab = open_lab(&plain_server);
    static uint8_t much[100 * 1024];
    lab->hold_wire = true;
    lab->room_bytes = 4096;
    size_t taken = 0;
    for (int i = 0; i < 10; i++) {
        taken += stream_write(lab->client, much, sizeof(much));
        lab_turn(lab);
    }
    CU_ASSERT(taken < 40 * 1024);
    CU_ASSERT_EQUAL(stream_room(lab->client), 0);
    CU_ASSERT_EQUAL(lab->writable, 0);
    CU_ASSERT(chunk_pool_capacity(lab->chunks) - chunk_pool_free(lab->chunks) < 12);
    lab->hold_wire = false;
    for (int i = 0; i < 20; i++)
        lab_turn(lab);
    CU_ASSERT_EQUAL(lab->writable, 1);
    CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->server_got), taken);
    CU_ASSERT(stream_room(lab->client) > 0);
    close_lab(lab);
}

/* What the upper side does not take waits below, not in memory without bound. */
static void test_back_pressure_in(void)
{
    struct lab *lab = open_lab(&plain_server);
    static uint8_t much[16384];
    lab->take_at_most = 0;
    for (size_t i = 0; i < sizeof(much); i++)
        much[i] = pattern(i);
    for (int i = 0; i < 30; i++) {
        CU_ASSERT_EQUAL(wolfSSL_write(lab->server, much, sizeof(much)), sizeof(much));
        lab_turn(lab);
    }
    CU_ASSERT(lab_pipe_bytes(&lab->to_client) > 27 * 16384);
    CU_ASSERT(chunk_pool_capacity(lab->chunks) - chunk_pool_free(lab->chunks) < 12);
    lab->take_at_most = SIZE_MAX;
    stream_resume(lab->client);
    lab_turns(lab, 3);
    CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->got), 30 * 16384);
    close_lab(lab);
}

/* What was not taken comes again together with what is new, in one slice (stream.h). */
static void test_kept_and_new_together(void)
{
    struct lab *lab = open_lab(&plain_server);
    lab->take_at_most = 0;
    wolfSSL_write(lab->server, "first ", 6);
    lab_turn(lab);
    CU_ASSERT_EQUAL(lab->largest_offer, 6);
    wolfSSL_write(lab->server, "second ", 7);
    lab_turn(lab);
    CU_ASSERT_EQUAL(lab->largest_offer, 13);
    lab->take_at_most = 9;
    stream_resume(lab->client);
    CU_ASSERT_TRUE(pipe_holds(&lab->got, "first sec"));
    wolfSSL_write(lab->server, "third", 5);
    lab->take_at_most = SIZE_MAX;
    lab_turn(lab);
    CU_ASSERT_TRUE(pipe_holds(&lab->got, "first second third"));
    close_lab(lab);
}

/* Without buffers nothing is lost and nothing hangs: things go on when there are some again. */
static void test_no_chunks(void)
{
    struct lab *lab = open_lab(&plain_server);
    struct chunk *all = NULL;
    for (struct chunk *chunk; (chunk = chunk_get(lab->chunks)) != NULL; all = chunk)
        chunk->next = all;
    CU_ASSERT_EQUAL(stream_room(lab->client), 0);
    CU_ASSERT_EQUAL(write_text(lab, "no room"), 0);
    wolfSSL_write(lab->server, "patience", 8);
    lab_turns(lab, 5);
    CU_ASSERT_EQUAL(lab->closed, 0);
    CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->got), 0);
    while (all != NULL) {
        struct chunk *chunk = all;
        all = chunk->next;
        chunk_put(lab->chunks, chunk);
    }
    lab_turns(lab, 3);
    CU_ASSERT_TRUE(pipe_holds(&lab->got, "patience"));
    write_text(lab, "room");
    lab_turns(lab, 3);
    CU_ASSERT_TRUE(pipe_holds(&lab->server_got, "room"));
    close_lab(lab);
}

/* ---- messages after the handshake (RFC 8446 section 4.6) ----------------------------------------------- */

static void test_key_update(void)
{
    struct lab *lab = open_lab(&plain_server);
    lab->echo = true;
    for (int i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(wolfSSL_update_keys(lab->server), WOLFSSL_SUCCESS); /* asks for ours too */
        write_text(lab, "key ");
        lab_turns(lab, 3);
    }
    CU_ASSERT_EQUAL(lab->closed, 0);
    CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->got), 40);
    CU_ASSERT_FALSE(lab->server_failed);
    close_lab(lab);
}

/* Asked for after our close_notify: no answer, since nothing may follow it. The lab aborts on a write behind
 * the FIN. */
static void test_key_update_after_finish(void)
{
    struct lab *lab = open_lab(&plain_server);
    stream_finish(lab->client);
    lab_turn(lab);
    CU_ASSERT_TRUE(lab->finished);
    CU_ASSERT_EQUAL(wolfSSL_update_keys(lab->server), WOLFSSL_SUCCESS);
    wolfSSL_write(lab->server, "still sending", 13);
    lab_turns(lab, 3);
    CU_ASSERT_TRUE(pipe_holds(&lab->got, "still sending"));
    CU_ASSERT_EQUAL(lab->closed, 0);
    close_lab(lab);
}

/* A peer that asks for KeyUpdates and never reads the answers does not fill our memory. */
static void test_key_update_flood(void)
{
    struct lab *lab = open_lab(&plain_server);
    lab->hold_wire = true;
    lab->room_bytes = 10;
    lab->server_reads = 0;
    for (int i = 0; i < 300; i++) {
        wolfSSL_update_keys(lab->server);
        lab_turn(lab);
    }
    CU_ASSERT_EQUAL(lab->closed, 0);
    CU_ASSERT(chunk_pool_capacity(lab->chunks) - chunk_pool_free(lab->chunks) <= 1);
    CU_ASSERT(lab_pipe_bytes(&lab->to_client) > 0);
    lab->hold_wire = false;
    lab->server_reads = 65536;
    lab->room_bytes = 65536;
    lab->echo = true;
    lab_turns(lab, 400);
    write_text(lab, "still there");
    lab_turns(lab, 3);
    CU_ASSERT_TRUE(pipe_holds(&lab->got, "still there"));
    close_lab(lab);
}

/* ---- endings ------------------------------------------------------------------------------------------- */

static void test_peer_ends_first(void)
{
    struct lab *lab = open_lab(&plain_server);
    wolfSSL_write(lab->server, "bye", 3);
    wolfSSL_shutdown(lab->server);
    lab->server_fin = true;
    lab_turn(lab);
    CU_ASSERT_TRUE(pipe_holds(&lab->got, "bye"));
    CU_ASSERT_EQUAL(lab->ended, 1);
    CU_ASSERT_EQUAL(lab->closed, 0);
    /* The other direction is open still (RFC 8446 section 6.1). */
    CU_ASSERT_EQUAL(write_text(lab, "my last words"), 13);
    stream_finish(lab->client);
    CU_ASSERT_EQUAL(stream_room(lab->client), 0);
    lab_turn(lab);
    CU_ASSERT_TRUE(lab->finished);
    lab->lower.handler->closed(lab->lower.owner, STREAM_END_DONE);
    CU_ASSERT_EQUAL(lab->closed, 1);
    CU_ASSERT_EQUAL(lab->why, STREAM_END_DONE);
    CU_ASSERT_EQUAL(count(lab, TLS_TRUNCATED), 0);
    close_lab(lab);
}

static void test_we_end_first(void)
{
    struct lab *lab = open_lab(&plain_server);
    static uint8_t much[16000];
    lab->room_bytes = 3000; /* so that it takes several turns */
    CU_ASSERT_EQUAL(stream_write(lab->client, much, sizeof(much)), sizeof(much));
    stream_finish(lab->client);
    CU_ASSERT_FALSE(lab->finished);
    lab_turns(lab, 20);
    CU_ASSERT_TRUE(lab->finished);
    CU_ASSERT_TRUE(lab->server_got_notify);
    CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->server_got), sizeof(much));
    /* Data may still come. */
    wolfSSL_write(lab->server, "and yours", 9);
    wolfSSL_shutdown(lab->server);
    lab->server_fin = true;
    lab_turns(lab, 2);
    CU_ASSERT_TRUE(pipe_holds(&lab->got, "and yours"));
    CU_ASSERT_EQUAL(lab->ended, 1);
    lab->lower.handler->closed(lab->lower.owner, STREAM_END_DONE);
    CU_ASSERT_EQUAL(lab->why, STREAM_END_DONE);
    close_lab(lab);
}

/* The end is told after the last byte is taken, not before. */
static void test_end_waits_for_reader(void)
{
    struct lab *lab = open_lab(&plain_server);
    lab->take_at_most = 0;
    wolfSSL_write(lab->server, "unread", 6);
    wolfSSL_shutdown(lab->server);
    lab->server_fin = true;
    stream_finish(lab->client);
    lab_turns(lab, 3);
    CU_ASSERT_EQUAL(lab->ended, 0);
    lab->lower.handler->closed(lab->lower.owner, STREAM_END_DONE);
    lab->aborted = true; /* the lower stream is gone */
    lab_turns(lab, 3);
    CU_ASSERT_EQUAL(lab->closed, 0);
    lab->take_at_most = SIZE_MAX;
    stream_resume(lab->client);
    CU_ASSERT_TRUE(pipe_holds(&lab->got, "unread"));
    lab_turns(lab, 2);
    CU_ASSERT_EQUAL(lab->ended, 1);
    CU_ASSERT_EQUAL(lab->closed, 1);
    CU_ASSERT_EQUAL(lab->why, STREAM_END_DONE);
    close_lab(lab);
}

/* A FIN without close_notify is a truncation, wherever it cuts (RFC 8446 section 6.1). */
static void test_truncated(void)
{
    for (int cut = 0; cut < 2; cut++) {
        struct lab *lab = open_lab(&plain_server);
        wolfSSL_write(lab->server, "half a message", 14);
        if (cut == 1)
            lab->to_client.to -= 5;
        lab->server_fin = true;
        lab_turn(lab);
        CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->got), cut == 1 ? 0 : 14);
        CU_ASSERT_EQUAL(lab->ended, 0);
        CU_ASSERT_EQUAL(lab->closed, 1);
        CU_ASSERT_EQUAL(lab->why, STREAM_END_RESET);
        CU_ASSERT_STRING_EQUAL(lab->reason, "connection was closed without close_notify");
        CU_ASSERT_EQUAL(count(lab, TLS_TRUNCATED), 1);
        CU_ASSERT_TRUE(lab->aborted);
        close_lab(lab);
    }
}

static void test_reset_below(void)
{
    struct lab *lab = open_lab(&plain_server);
    lab->lower.handler->closed(lab->lower.owner, STREAM_END_TIMEOUT);
    lab->aborted = true;
    CU_ASSERT_EQUAL(lab->closed, 1);
    CU_ASSERT_EQUAL(lab->why, STREAM_END_TIMEOUT);
    close_lab(lab);
}

static void test_abort_inside_data(void)
{
    struct lab *lab = open_lab(&plain_server);
    lab->abort_in_data = true;
    wolfSSL_write(lab->server, "one", 3);
    wolfSSL_write(lab->server, "two", 3);
    lab_turn(lab);
    CU_ASSERT_TRUE(lab->aborted);
    CU_ASSERT_EQUAL(lab->closed, 0);
    close_lab(lab);
}

/* A record that was tampered with: told by an alert, then everything that is queued leaves, then our FIN. */
static void test_tampered(void)
{
    for (int at = 0; at < 60; at += 3) {
        struct lab *lab = open_lab(&plain_server);
        wolfSSL_write(lab->server, "twenty bytes of text", 20);
        size_t n = lab_pipe_bytes(&lab->to_client);
        if ((size_t)at >= n) {
            close_lab(lab);
            break;
        }
        lab->to_client.bytes[lab->to_client.from + (size_t)at] ^= 0x10;
        lab_turns(lab, 3);
        lab->server_fin = true; /* for when a length was made larger */
        lab_turns(lab, 3);
        CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->got), 0);
        CU_ASSERT_EQUAL(lab->closed, 1);
        CU_ASSERT(lab->why == STREAM_END_TLS_PROTOCOL || lab->why == STREAM_END_RESET);
        CU_ASSERT(lab->reason[0] != 0);
        if (at >= 5) {
            CU_ASSERT_EQUAL(lab->why, STREAM_END_TLS_PROTOCOL);
            CU_ASSERT_EQUAL(count(lab, TLS_FAILED_PROTOCOL), 1);
            CU_ASSERT_TRUE(lab->server_failed); /* it read our alert */
            CU_ASSERT_TRUE(lab->finished);
            CU_ASSERT_EQUAL(tls_worker_sessions(lab->worker), 1); /* lingers, for a while */
        }
        close_lab(lab);
    }
}

/* ---- handshakes that fail ------------------------------------------------------------------------------ */

static void test_silent_server(void)
{
    struct tls_context *context = make_context(TLS_VERSION_1_3);
    struct lab *lab = lab_create(NULL, NULL);
    lab_connect(lab, context, NULL);
    lab_turns(lab, 100);
    CU_ASSERT(lab_pipe_bytes(&lab->to_server) > 100);
    CU_ASSERT_EQUAL(lab->closed, 0);
    lab->now_us = 4999999;
    tls_worker_poll(lab->worker, lab->now_us);
    CU_ASSERT_EQUAL(lab->closed, 0);
    tls_worker_poll(lab->worker, 5000001);
    CU_ASSERT_EQUAL(lab->closed, 1);
    CU_ASSERT_EQUAL(lab->why, STREAM_END_TIMEOUT);
    CU_ASSERT_STRING_EQUAL(lab->reason, "server did not answer");
    CU_ASSERT_EQUAL(count(lab, TLS_FAILED_TIMEOUT), 1);
    CU_ASSERT_TRUE(lab->aborted);
    close_lab(lab);
    tls_context_unref(context);
}

/* One that drips bytes does not hold its slot; the time counts anew when TCP opens. */
static void test_slow_server(void)
{
    struct tls_context *context = make_context(TLS_VERSION_1_3);
    struct lab *lab = lab_create(&plain_server, NULL);
    lab->no_delivery = true;
    lab_connect(lab, context, NULL);
    lab->now_us = 3000000;
    lab_turn(lab);
    lab->lower.handler->opened(lab->lower.owner); /* at three seconds */
    for (int i = 0; i < 100 && lab->closed == 0; i++) {
        lab->now_us += 100000;
        lab_turn(lab);
        if (lab_pipe_bytes(&lab->to_client) > 0 && lab->closed == 0) {
            lab->to_client.from +=
                lab->lower.handler->data(lab->lower.owner, lab->to_client.bytes + lab->to_client.from, 1);
        }
    }
    CU_ASSERT_EQUAL(lab->closed, 1);
    CU_ASSERT_EQUAL(lab->why, STREAM_END_TIMEOUT);
    CU_ASSERT_STRING_EQUAL(lab->reason, "TLS handshake took too long");
    CU_ASSERT(lab->now_us > 7900000 && lab->now_us < 8300000);
    close_lab(lab);
    tls_context_unref(context);
}

static void test_fin_in_handshake(void)
{
    for (int turns = 0; turns < 3; turns++) {
        struct tls_context *context = make_context(TLS_VERSION_1_3);
        struct lab *lab = lab_create(&plain_server, NULL);
        lab_connect(lab, context, NULL);
        lab->no_delivery = true;
        lab_turns(lab, 3);
        lab->to_client.to -= turns < 2 ? lab_pipe_bytes(&lab->to_client) * (size_t)(2 - turns) / 2 : 1;
        lab->server_fin = true;
        lab->no_delivery = false;
        lab_turns(lab, 5);
        CU_ASSERT_EQUAL(lab->opened, 0);
        CU_ASSERT_EQUAL(lab->closed, 1);
        CU_ASSERT_EQUAL(lab->why, STREAM_END_RESET);
        CU_ASSERT_STRING_EQUAL(lab->reason, "server closed the connection during the TLS handshake");
        CU_ASSERT_EQUAL(count(lab, TLS_FAILED_PROTOCOL), 1);
        close_lab(lab);
        tls_context_unref(context);
    }
}

static void test_abort_in_handshake(void)
{
    for (int turns = 0; turns < 6; turns++) {
        struct tls_context *context = make_context(TLS_VERSION_1_3);
        struct lab *lab = lab_create(&plain_server, NULL);
        lab->fragment = 200;
        lab_connect(lab, context, NULL);
        lab_turns(lab, turns);
        stream_abort(lab->client);
        lab->client = NULL;
        CU_ASSERT_TRUE(lab->aborted);
        CU_ASSERT_EQUAL(lab->closed, 0);
        close_lab(lab);
        tls_context_unref(context);
    }
}

/* Finished before it opened: close_notify as soon as it is open. */
static void test_finish_in_handshake(void)
{
    struct tls_context *context = make_context(TLS_VERSION_1_3);
    struct lab *lab = lab_create(&plain_server, NULL);
    lab_connect(lab, context, NULL);
    stream_finish(lab->client);
    lab_settle(lab);
    CU_ASSERT_EQUAL(lab->opened, 1);
    CU_ASSERT_TRUE(lab->finished);
    CU_ASSERT_TRUE(lab->server_got_notify);
    close_lab(lab);
    tls_context_unref(context);
}

/* No shared protocol version: 1.3 only against a server that has 1.2 only (B1). */
static void test_no_common_version(void)
{
    struct tls_context *context = make_context(TLS_VERSION_1_3);
    struct lab *lab = lab_create(&old_server, NULL);
    lab_connect(lab, context, NULL);
    lab_settle(lab);
    CU_ASSERT_EQUAL(lab->opened, 0);
    CU_ASSERT_TRUE(lab->server_failed);
    lab->server_fin = true;
    lab_turns(lab, 3);
    CU_ASSERT_EQUAL(lab->closed, 1);
    CU_ASSERT_NOT_EQUAL(lab->why, STREAM_END_DONE);
    close_lab(lab);
    tls_context_unref(context);
    context = make_context(TLS_VERSION_1_2);
    lab = lab_create(&old_server, NULL);
    lab_connect(lab, context, NULL);
    lab_settle(lab);
    CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
    CU_ASSERT_STRING_EQUAL(tls_stream_version(lab->client), "1.2");
    CU_ASSERT_STRING_EQUAL(tls_stream_cipher(lab->client), "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
    close_lab(lab);
    tls_context_unref(context);
}

/* ---- hostile bytes ------------------------------------------------------------------------------------- */

static uint64_t seed = 88172645463325252u;

static uint32_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 13);
}

/* Whatever comes instead of the server's flight: closed with a reason, or still waiting. */
static void test_garbage(void)
{
    struct tls_context *context = make_context(TLS_VERSION_1_2);
    for (int round = 0; round < 300; round++) {
        struct lab *lab = lab_create(NULL, NULL);
        uint8_t bytes[600];
        size_t n = 1 + next_random() % sizeof(bytes);
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)next_random();
        if (round % 2 == 0) { /* with a record header that makes sense */
            static const uint8_t types[] = {20, 21, 22, 23};
            bytes[0] = types[next_random() % 4];
            bytes[1] = 3;
            bytes[2] = 3;
            bytes[3] = 0;
        }
        lab_connect(lab, context, NULL);
        lab_turns(lab, 2);
        lab_pipe_add(&lab->to_client, bytes, n);
        lab_turns(lab, 4);
        CU_ASSERT_EQUAL(lab->opened, 0);
        if (lab->closed > 0)
            CU_ASSERT(lab->reason[0] != 0);
        close_lab(lab);
    }
    tls_context_unref(context);
}

/* The server's real flight with one byte changed: never opens on bytes that the transcript does not cover. */
static void test_mutated_flight(void)
{
    for (int version = 0; version < 2; version++) {
        struct tls_context *context = make_context(version == 0 ? TLS_VERSION_1_3 : TLS_VERSION_1_2);
        int opened = 0;
        for (size_t at = 0; at < 1400; at += 5) {
            struct lab *lab = lab_create(version == 0 ? &plain_server : &old_server, NULL);
            lab->no_delivery = true;
            lab_connect(lab, context, NULL);
            lab_turns(lab, 3);
            if (at < lab_pipe_bytes(&lab->to_client)) {
                lab->to_client.bytes[lab->to_client.from + at] ^= (uint8_t)(1u << (at % 8));
                lab->no_delivery = false;
                lab_turns(lab, 6);
                opened += lab->opened;
            }
            close_lab(lab);
        }
        /* Only the version field of a record header may be anything (RFC 8446 section 5.1). */
        CU_ASSERT(opened <= 2);
        tls_context_unref(context);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"opens and carries data (RFC 8446)", test_open},
        {"waits for the lower stream to open", test_opened_later},
        {"lower stream refused", test_refused_below},
        {"identities that are no file names (B3)", test_bad_identities},
        {"table full", test_table_full},
        {"input cut at every size", test_fragments},
        {"one record per burst", test_one_record},
        {"bulk both ways in all sizes", test_bulk},
        {"full-size records when there is much", test_full_records},
        {"back pressure outward", test_back_pressure_out},
        {"back pressure inward", test_back_pressure_in},
        {"kept and new data in one slice", test_kept_and_new_together},
        {"no chunks for a while", test_no_chunks},
        {"KeyUpdate (RFC 8446 4.6.3)", test_key_update},
        {"KeyUpdate after our close_notify", test_key_update_after_finish},
        {"KeyUpdate flood against a closed window", test_key_update_flood},
        {"peer ends first (RFC 8446 6.1)", test_peer_ends_first},
        {"we end first", test_we_end_first},
        {"the end waits for the reader", test_end_waits_for_reader},
        {"truncation", test_truncated},
        {"reset below", test_reset_below},
        {"abort inside data", test_abort_inside_data},
        {"tampered records", test_tampered},
        {"silent server", test_silent_server},
        {"server that drips", test_slow_server},
        {"FIN during the handshake", test_fin_in_handshake},
        {"abort during the handshake", test_abort_in_handshake},
        {"finish during the handshake", test_finish_in_handshake},
        {"no common version; 1.2 by option (B1)", test_no_common_version},
        {"garbage instead of a server", test_garbage},
        {"each byte of the server's flight changed", test_mutated_flight},
    };
    if (tls_library_init() != 0 || !lab_pki())
        return EXIT_FAILURE;
    int result = unit_run("tls_stream", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
