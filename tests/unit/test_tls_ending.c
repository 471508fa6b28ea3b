/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How TLS client streams end: in order, cut off, tampered with, or before they began (RFC 8446 section 6). */
#include "tests/unit/tls_case.h"

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
    int result = unit_run("tls_ending", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
