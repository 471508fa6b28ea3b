/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connection ids of DTLS 1.3, clients that move with them, and keys that are renewed (B2; RFC 9146, RFC 9147
 * s.8, s.9). */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include "dataplane/secure/dtls_ids.h"
#include "dataplane/secure/dtls_session.h"
#include "tests/unit/dtls_server_lab.h"

/* ---- connection ids --------------------------------------------------------------------------------------
 */

static void open_ids(void)
{
    lab_now.ids = true;
    open_psk();
    dial(0, "probe-1");
    exchange();
    CU_ASSERT_TRUE_FATAL(lab_now.opened == 1 && lab_now.clients[0].opened);
}

static void end_ids(void)
{
    lab_now.ids = false;
    end_lab();
}

/* RFC 9147 s.4, s.9: what a client sends carries the id that it was given, what it gets carries none. */
static void test_ids_on_the_wire(void)
{
    open_ids();
    CU_ASSERT_TRUE(dtls_session_write(lab_now.clients[0].session, (const uint8_t *)"hello", 5));
    struct datagram d = lab_now.queue[lab_now.first];
    CU_ASSERT_EQUAL(d.at[0] & 0xf3, 0x33);
    step();
    struct datagram back = lab_now.queue[lab_now.first];
    CU_ASSERT_EQUAL(back.at[0] & 0xf3, 0x23);
    exchange();
    CU_ASSERT_EQUAL(lab_now.clients[0].messages, 1);
    d.at[0] &= (uint8_t)~0x10; /* without it the record is nothing */
    memmove(d.at + 1, d.at + 1 + DTLS_ID_BYTES, d.n - 1 - DTLS_ID_BYTES);
    arrive(0, d.at, d.n - DTLS_ID_BYTES);
    CU_ASSERT_EQUAL(lab_now.received, 1);
    /* one that nobody has, and one that is not all there */
    uint8_t forged[64] = {0x3f, 1, 2, 3, 4, 5, 6, 7, 8};
    arrive(0, forged, sizeof(forged));
    arrive(1, forged, sizeof(forged));
    arrive(0, forged, 8);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_UNKNOWN_ID), 2);
    CU_ASSERT_EQUAL(lab_now.n, 0);
    end_ids();
}

/* RFC 9146 s.6: the session goes on from another address, and answers go there. */
static void test_a_client_moves(void)
{
    open_ids();
    say(0);
    lab_now.shift[0] = 100;
    say(0);
    CU_ASSERT_TRUE(lab_now.received == 2 && lab_now.clients[0].messages == 2);
    CU_ASSERT_TRUE(lab_now.moved == 1 && counter(DTLS_SERVER_MOVED) == 1);
    CU_ASSERT_EQUAL(ip_address_to_v4(&dtls_endpoint_key(lab_now.endpoint)->remote), 0x0a140011 + 100);
    CU_ASSERT_TRUE(dtls_endpoint_moved(lab_now.endpoint));
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 1);
    dtls_endpoint_prove(lab_now.endpoint);
    CU_ASSERT_FALSE(dtls_endpoint_moved(lab_now.endpoint));
    /* not more than once a second, but what it says is heard */
    lab_now.shift[0] = 101;
    CU_ASSERT_TRUE(dtls_session_write(lab_now.clients[0].session, (const uint8_t *)"hello", 5));
    exchange();
    CU_ASSERT_TRUE(lab_now.received == 3 && lab_now.moved == 1);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_STAYED), 1);
    pass(2);
    say(0);
    CU_ASSERT_TRUE(lab_now.received == 4 && lab_now.moved == 2 && lab_now.clients[0].messages == 4);
    CU_ASSERT_TRUE(dtls_endpoint_moved(lab_now.endpoint)); /* this one is not proved */
    dtls_session_close(lab_now.clients[0].session);        /* its goodbye comes from there too */
    lab_now.clients[0].session = NULL;
    exchange();
    CU_ASSERT_EQUAL(lab_now.closed, 1);
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 0);
    end_ids();
}

/* Who only repeats, or passes on, what a client has said does not move it; nor does what was overtaken. */
static void test_others_do_not_move_it(void)
{
    open_ids();
    const uint8_t *text = (const uint8_t *)"hello";
    CU_ASSERT_TRUE(dtls_session_write(lab_now.clients[0].session, text, 5));
    CU_ASSERT_TRUE(dtls_session_write(lab_now.clients[0].session, text, 5));
    struct datagram first = lab_now.queue[lab_now.first], second = lab_now.queue[lab_now.first + 1];
    lab_now.n = 0;
    arrive(0, second.at, second.n);
    CU_ASSERT_FALSE(dtls_endpoint_moved(lab_now.endpoint));
    arrive(5, first.at, first.n); /* authentic, and overtaken: heard, from where it was */
    CU_ASSERT_TRUE(lab_now.received == 2 && lab_now.moved == 0);
    arrive(5, second.at, second.n); /* played back */
    CU_ASSERT_TRUE(lab_now.received == 2 && lab_now.moved == 0);
    struct datagram forged = second;
    forged.at[forged.n - 1] ^= 1;
    arrive(5, forged.at, forged.n);
    CU_ASSERT_TRUE(lab_now.received == 2 && lab_now.moved == 0);
    lab_now.n = 0;
    /* not to another listener, which would see it as its own */
    CU_ASSERT_TRUE(dtls_session_write(lab_now.clients[0].session, text, 5));
    struct datagram third = lab_now.queue[lab_now.first];
    lab_now.n = 0;
    struct dtls_arrival arrival = {
        .key = key_of(5), .path = 7, .listener = 3, .datagram_max = 1200, .datagram = third.at, .n = third.n};
    arrival.key.local_port++;
    dtls_server_input(lab_now.server, lab_now.context, &arrival);
    CU_ASSERT_TRUE(lab_now.received == 2 && lab_now.moved == 0);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_STAYED), 1);
    end_ids();
}

/* Another port of the same address needs no new proof: the cookie has reached that. */
static void test_another_port(void)
{
    open_ids();
    CU_ASSERT_TRUE(dtls_session_write(lab_now.clients[0].session, (const uint8_t *)"hello", 5));
    struct datagram d = lab_now.queue[lab_now.first];
    lab_now.n = 0;
    arrive(6, d.at, d.n);
    CU_ASSERT_TRUE(lab_now.received == 1 && lab_now.moved == 1);
    CU_ASSERT_FALSE(dtls_endpoint_moved(lab_now.endpoint));
    CU_ASSERT_EQUAL(dtls_endpoint_key(lab_now.endpoint)->remote_port, 40006);
    end_ids();
}

/* An address that somebody else has stays his, however authentic the record: the other shakes hands anew. */
static void test_an_address_in_use_is_not_taken(void)
{
    open_ids();
    dial(1, "probe-2");
    exchange();
    CU_ASSERT_EQUAL(lab_now.opened, 2);
    CU_ASSERT_TRUE(dtls_session_write(lab_now.clients[0].session, (const uint8_t *)"hello", 5));
    struct datagram d = lab_now.queue[lab_now.first];
    lab_now.n = 0;
    arrive(1, d.at, d.n);
    CU_ASSERT_TRUE(lab_now.received == 1 && lab_now.moved == 0);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_STAYED), 1);
    lab_now.n = 0;
    say(1);
    CU_ASSERT_EQUAL(lab_now.clients[1].messages, 1);
    end_ids();
}

/* A client in the middle of a handshake stays where its cookie was sent. */
static void test_a_handshake_does_not_move(void)
{
    lab_now.ids = true;
    open_psk();
    dial(0, "probe-1");
    for (int i = 0; i < 3; i++)
        step();
    while (lab_now.n > 0 && !lab_now.queue[lab_now.first].up)
        step(); /* the server's flight */
    CU_ASSERT_TRUE_FATAL(lab_now.n > 0);
    struct datagram d = lab_now.queue[lab_now.first];
    CU_ASSERT_EQUAL(d.at[0] & 0xf3, 0x32);
    arrive(9, d.at, d.n);
    CU_ASSERT_EQUAL(lab_now.opened, 0);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_STAYED), 1);
    exchange();
    CU_ASSERT_EQUAL(lab_now.opened, 1);
    end_ids();
}

/* Ids are nobody's when their session is over, and of whoever asks for none. */
static void test_ids_end_with_their_session(void)
{
    open_ids();
    CU_ASSERT_TRUE(dtls_session_write(lab_now.clients[0].session, (const uint8_t *)"hello", 5));
    struct datagram d = lab_now.queue[lab_now.first];
    lab_now.n = 0;
    dtls_server_close_all(lab_now.server);
    lab_now.n = 0;
    arrive(0, d.at, d.n);
    arrive(4, d.at, d.n);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_UNKNOWN_ID), 2);
    CU_ASSERT_EQUAL(lab_now.received, 0);
    dtls_session_drop(lab_now.clients[0].session);
    lab_now.clients[0].session = NULL;
    struct tls_error error;
    struct dtls_settings settings = {.psk_file = lab_now.keys, .psk_id = "%s", .version = DTLS_1_3};
    dtls_context_unref(lab_now.client_context);
    lab_now.client_context = dtls_context_create(&settings, &error); /* asks for none */
    dial(2, "probe-2");
    exchange();
    say(2);
    CU_ASSERT_EQUAL(lab_now.clients[2].messages, 1);
    end_ids();
}

/* Ids say whose worker it is, and are not to be guessed: none is like another. */
static void test_ids_of_workers(void)
{
    uint8_t id[DTLS_ID_BYTES], last[DTLS_ID_BYTES] = {0};
    for (uint32_t worker = 0; worker < 7; worker++) {
        struct dtls_ids *ids = dtls_ids_create(64, worker, 7);
        CU_ASSERT_PTR_NOT_NULL_FATAL(ids);
        for (uint32_t i = 0; i < 64; i++) {
            CU_ASSERT_TRUE(dtls_ids_give(ids, i, id));
            CU_ASSERT_EQUAL(dtls_id_worker(id, 7), worker);
            CU_ASSERT_EQUAL(dtls_ids_find(ids, id), i);
            CU_ASSERT_NOT_EQUAL(memcmp(id + 1, last + 1, DTLS_ID_BYTES - 1), 0);
            memcpy(last, id, sizeof(last));
        }
        CU_ASSERT_FALSE(dtls_ids_give(ids, 64, id)); /* full */
        dtls_ids_drop(ids, last);
        CU_ASSERT_EQUAL(dtls_ids_find(ids, last), DTLS_IDS_NONE);
        CU_ASSERT_TRUE(dtls_ids_give(ids, 64, id));
        dtls_ids_destroy(ids);
    }
}

/* ---- keys that are renewed -------------------------------------------------------------------------------
 */

static void renew_keys(void)
{
#ifdef WOLFSSL_DTLS13
    CU_ASSERT_EQUAL(wolfSSL_update_keys(lab_now.clients[0].session->ssl), WOLFSSL_SUCCESS);
#endif
}

/* RFC 9147 s.8: both sides renew their keys when one asks for it, as often as it likes, and the session may
 * move in the middle of it. */
static void test_new_keys(void)
{
    open_ids();
    for (uint32_t i = 0; i < 9; i++) {
        renew_keys();
        exchange();
        lab_now.shift[0] = i;
        pass(2);
        say(0);
        CU_ASSERT_TRUE(lab_now.received == i + 1 && lab_now.clients[0].messages == i + 1);
    }
    CU_ASSERT_EQUAL(lab_now.moved, 8);
    end_ids();
}

/* s.5.8: what the server says of its own keys is said again until it is acknowledged, by the server's timer;
 * and a client that never does ends. */
static void test_new_keys_are_acknowledged(void)
{
    open_psk();
    dial(0, "probe-1");
    exchange();
    renew_keys();
    for (int i = 0; i < 1000 && lab_now.n > 0; i++) {
        struct datagram *d = &lab_now.queue[lab_now.first];
        if (!d->up || i == 0)
            step();
        else
            lab_now.n = 0; /* what the client answers is lost */
    }
    pass(3);
    say(0);
    CU_ASSERT_EQUAL(lab_now.clients[0].messages, 1);
    CU_ASSERT_EQUAL(lab_now.closed, 0);
    renew_keys();
    step();
    lab_now.n = 0;
    dtls_session_drop(lab_now.clients[0].session);
    lab_now.clients[0].session = NULL;
    pass(70);
    CU_ASSERT_EQUAL(lab_now.closed, 1);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_ERRORS), 1);
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 0);
    end_lab();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"B2 RFC 9147 s.9 connection ids on the wire", test_ids_on_the_wire},
        {"B2 RFC 9146 s.6 a client moves", test_a_client_moves},
        {"B2 RFC 9146 s.6 another port", test_another_port},
        {"B2 RFC 9146 s.6 others do not move it", test_others_do_not_move_it},
        {"B2 RFC 9146 s.6 an address in use is not taken", test_an_address_in_use_is_not_taken},
        {"B2 a handshake does not move", test_a_handshake_does_not_move},
        {"B2 ids end with their session", test_ids_end_with_their_session},
        {"B2 A6 ids of workers", test_ids_of_workers},
        {"B2 RFC 9147 s.8 new keys", test_new_keys},
        {"B2 RFC 9147 s.8 new keys are acknowledged", test_new_keys_are_acknowledged}};
    if (tls_library_init() != 0)
        return EXIT_FAILURE;
    lab_now.versions = lab_now.client_version = DTLS_1_3;
    int result = tls_library_has_dtls13() ? unit_run("dtls13_ids", tests, sizeof(tests) / sizeof(tests[0]))
                                          : unit_skipped(EXIT_SUCCESS, "DTLS 1.3", "this wolfSSL has none");
    tls_library_fini();
    return result;
}
