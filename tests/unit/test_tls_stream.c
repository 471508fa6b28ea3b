/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS client streams (B1, B7; stream.h): opening, records in both directions, back pressure, KeyUpdate. */
#include "tests/unit/tls_case.h"

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
        uppers[i] = tls_connect(lab->worker, context, NULL, NULL, &lowers[i], &lab_upper, lab, 1);
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

/* A peer that asks for KeyUpdates and never reads the answers does not fill our memory; when it reads again,
 * it goes on, unless they were so many that they are a flood. */
static void test_key_update_flood(void)
{
    for (int many = 0; many < 2; many++) {
        struct lab *lab = open_lab(&plain_server);
        lab->hold_wire = true;
        lab->room_bytes = 10;
        lab->server_reads = 0;
        for (int i = 0; i < (many ? 300 : 20); i++) {
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
        CU_ASSERT_EQUAL(lab->closed, many);
        CU_ASSERT_EQUAL(count(lab, TLS_FAILED_FLOOD), (uint64_t)many);
        if (!many) {
            write_text(lab, "still there");
            lab_turns(lab, 3);
            CU_ASSERT_TRUE(pipe_holds(&lab->got, "still there"));
        }
        close_lab(lab);
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
    };
    if (tls_library_init() != 0 || !lab_pki())
        return EXIT_FAILURE;
    int result = unit_run("tls_stream", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
