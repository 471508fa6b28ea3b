/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The DTLS server, as clients of DTLS 1.2 see it. */
#include "tests/unit/dtls_server_lab.h"

#include <sched.h>

/* ---- keys ------------------------------------------------------------------------------------------------
 */

static void test_keys(void)
{
    open_psk();
    dial(0, "probe-1");
    CU_ASSERT_TRUE(step()); /* the first ClientHello */
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_COOKIES), 1);
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 0); /* nothing is kept */
    CU_ASSERT_EQUAL(lab_now.admitted, 0);
    CU_ASSERT_TRUE(lab_now.verify_bytes <= lab_now.hello_bytes);
    exchange();
    CU_ASSERT_TRUE_FATAL(lab_now.opened == 1 && lab_now.clients[0].opened);
    CU_ASSERT_STRING_EQUAL(lab_now.psk_id, "probe-1");
    CU_ASSERT_STRING_EQUAL(lab_now.cn, "");
    CU_ASSERT_EQUAL(dtls_server_handshakes(lab_now.server), 0);
    say(0);
    CU_ASSERT_TRUE(lab_now.received == 1 && lab_now.clients[0].messages == 1);
    dtls_session_close(lab_now.clients[0].session); /* close_notify */
    lab_now.clients[0].session = NULL;
    exchange();
    CU_ASSERT_EQUAL(lab_now.closed, 1);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_CLOSED), 1);
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 0);
    end_lab();
}

static void test_bad_keys(void)
{
    struct tls_error error;
    open_psk();
    write_keys("probe-1:ffffffffffffffffffffffffffffffff\nstranger:00112233445566778899aabbccddeeff\n");
    struct dtls_settings settings = {.psk_file = lab_now.keys, .psk_id = "%s"};
    dtls_context_unref(lab_now.client_context);
    lab_now.client_context = dtls_context_create(&settings, &error);
    dial(0, "stranger");
    exchange();
    CU_ASSERT_EQUAL(lab_now.failed, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(lab_now.reason, "no key for PSK identity stranger"));
    dial(1, "probe-1");
    exchange();
    pass(40); /* a wrong key is a record that cannot be read: nothing is said, and it ends by time */
    CU_ASSERT_EQUAL(lab_now.opened, 0);
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 0);
    CU_ASSERT_EQUAL(dtls_server_handshakes(lab_now.server), 0);
    end_lab();
}

/* RFC 6347 s.4.2.1: a cookie is good for the address that it was made for, and not for ever. */
static void test_cookies(void)
{
    uint8_t hello[DATAGRAM];
    size_t n = hello_of_one_address(hello);
    arrive(0, hello, n);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_BEGUN), 1);
    arrive(0, hello, n); /* repeated: the flight again, and nothing begun */
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_BEGUN), 1);
    hello[n - 1] ^= 1; /* an extension: the cookie does not cover it, the library may refuse it */
    hello[60] ^= 1;    /* but suites and random it does */
    arrive(0, hello, n);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_BEGUN), 1);
    end_lab();
}

/* CVE-2015-6925 and its like: a ClientHello in fragments asks for a cookie too, and can be served. */
static void test_fragments(void)
{
    open_by_fragments();
    /* Fragments of many, never finished, take no more than their places. */
    for (uint32_t i = 0; i < 200; i++) {
        uint8_t part[DTLS_RECORD_HEADER_BYTES + DTLS_HANDSHAKE_HEADER_BYTES + 4] = {
            22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 16, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 4};
        arrive(1 + i % 30, part, sizeof(part));
    }
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 1);
    CU_ASSERT_EQUAL(lab_now.n, 0);
    end_lab();
}

static void test_caps(void)
{
    open_psk();
    for (uint32_t i = 0; i < 30; i++) {
        dial(i, "probe-1");
        while (lab_now.n > 0 && lab_now.queue[lab_now.first].up)
            step(); /* hello, and cookie asked */
        step();     /* the client sends it back */
        step();     /* the server's flight is lost */
        lab_now.n = 0;
    }
    CU_ASSERT_EQUAL(dtls_server_handshakes(lab_now.server), 8);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_CAPPED_SOURCE), 22);
    CU_ASSERT_EQUAL(lab_now.capped, 22);
    for (uint32_t i = 0; i < 30; i++) {
        dtls_session_drop(lab_now.clients[i].session);
        lab_now.clients[i].session = NULL;
    }
    pass(70);
    lab_now.n = 0;
    CU_ASSERT_EQUAL(dtls_server_handshakes(lab_now.server), 0);
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 0);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_SILENT), 8);
    lab_now.refuse = true; /* the owner's rates */
    dial(0, "probe-1");
    exchange();
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_REFUSED), 1);
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 0);
    end_lab();
}

/* RFC 6347 s.4.2.8: who comes back from the same address is let in, and the old session stays until then. */
static void test_came_back(void)
{
    open_psk();
    dial(0, "probe-1");
    exchange();
    CU_ASSERT_EQUAL(lab_now.opened, 1);
    dtls_session_drop(lab_now.clients[0].session); /* it lost its power */
    dial(0, "probe-2");
    for (int i = 0; i < 3; i++)
        step(); /* hello, cookie, hello */
    CU_ASSERT_EQUAL(dtls_server_handshakes(lab_now.server), 1);
    CU_ASSERT_EQUAL(lab_now.closed, 0); /* still in force */
    exchange();
    CU_ASSERT_EQUAL(lab_now.opened, 2);
    CU_ASSERT_EQUAL(lab_now.closed, 1);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_CAME_BACK), 1);
    CU_ASSERT_STRING_EQUAL(lab_now.psk_id, "probe-2");
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 1);
    say(0);
    CU_ASSERT_EQUAL(lab_now.clients[0].messages, 1);
    end_lab();
}

/* Anybody can write a record that nothing protects. */
static void test_forged(void)
{
    static const uint8_t alert[] = {21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40};
    static const uint8_t goodbye[] = {21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0};
    uint8_t both[64] = {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 8, 0, 12, 16};
    open_psk();
    dial(0, "probe-1");
    exchange();
    memcpy(both + 25, alert, sizeof(alert));
    arrive(0, alert, sizeof(alert));
    arrive(0, goodbye, sizeof(goodbye));
    arrive(0, both, 25 + sizeof(alert));
    dtls_session_input(lab_now.clients[0].session, alert, sizeof(alert), lab_now.now_us);
    dtls_session_input(lab_now.clients[0].session, goodbye, sizeof(goodbye), lab_now.now_us);
    for (uint32_t n = 0; n < sizeof(alert); n++)
        arrive(0, alert, n);
    CU_ASSERT_EQUAL(lab_now.closed, 0);
    CU_ASSERT_FALSE(lab_now.clients[0].closed);
    say(0);
    CU_ASSERT_EQUAL(lab_now.clients[0].messages, 1);
    arrive(5, alert, sizeof(alert));
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_NOBODY), 1);
    end_lab();
}

/* The client's last flight is answered again when the answer was lost. */
static void test_last_flight_lost(void)
{
    open_psk();
    dial(0, "probe-1");
    while (lab_now.opened == 0 && step()) {
    }
    CU_ASSERT_EQUAL(lab_now.opened, 1);
    CU_ASSERT_TRUE(lab_now.n > 0);
    lab_now.n = 0; /* the server's Finished */
    CU_ASSERT_FALSE(lab_now.clients[0].opened);
    pass(3);
    CU_ASSERT_TRUE(lab_now.clients[0].opened);
    CU_ASSERT_EQUAL(lab_now.opened, 1);
    say(0);
    CU_ASSERT_EQUAL(lab_now.clients[0].messages, 1);
    end_lab();
}

static void test_loss(void)
{
    open_psk();
    lab_now.lose_one_in = 4;
    for (uint32_t i = 0; i < 8; i++)
        dial(i, "probe-1");
    pass(60);
    uint32_t opened = 0;
    for (uint32_t i = 0; i < 8; i++)
        opened += lab_now.clients[i].opened;
    CU_ASSERT_EQUAL(opened, 8);
    end_lab();
}

static void test_idle_and_room(void)
{
    open_psk();
    for (uint32_t i = 0; i < 32; i++) {
        dial(i, "probe-1");
        exchange();
    }
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 32);
    dial(32, "probe-1");
    exchange();
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_FULL), 1);
    CU_ASSERT_EQUAL(lab_now.opened, 32);
    pass(61);
    say(0); /* whoever speaks stays */
    dtls_session_drop(lab_now.clients[32].session);
    dial(32, "probe-1");
    exchange();
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_MADE_ROOM), 1);
    CU_ASSERT_TRUE(lab_now.clients[32].opened);
    CU_ASSERT_TRUE(lab_now.clients[1].closed && lab_now.clients[1].why == DTLS_END_PEER);
    CU_ASSERT_FALSE(lab_now.clients[0].closed);
    lab_now.now_us += 3600 * S;
    timer_wheel_advance(lab_now.timers, lab_now.now_us, 100000);
    exchange();
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 0);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_IDLE), 32);
    end_lab();
}

static struct dtls_context *next_context(void *owner, struct dtls_endpoint *endpoint)
{
    (void)owner;
    CU_ASSERT_EQUAL(dtls_endpoint_listener(endpoint), 3);
    return lab_now.next_context;
}

/* G3, B4: sessions whose right is gone end at the reload; the others stay. */
static void test_reload(void)
{
    open_psk();
    dial(0, "probe-1");
    dial(1, "probe-2");
    exchange();
    CU_ASSERT_EQUAL(lab_now.opened, 2);
    write_keys("probe-1:30313233343536373839616263646566\nprobe-2:ff112233445566778899aabbccddeeff\n");
    lab_now.next_context = server_context(true, false, NULL);
    CU_ASSERT_FALSE(dtls_server_sweep(lab_now.server, 1, next_context));
    CU_ASSERT_TRUE(dtls_server_sweep(lab_now.server, 10, next_context));
    exchange();
    CU_ASSERT_FALSE(lab_now.clients[0].closed);
    CU_ASSERT_TRUE(lab_now.clients[1].closed && lab_now.clients[1].why == DTLS_END_PEER);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_UNWANTED), 1);
    dtls_context_unref(lab_now.next_context);
    lab_now.next_context = NULL; /* the listener is gone */
    CU_ASSERT_TRUE(dtls_server_sweep(lab_now.server, 10, next_context));
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 0);
    end_lab();
}

/* ---- certificates ----------------------------------------------------------------------------------------
 */

static void test_certificates(void)
{
    begin_lab();
    open_server(NULL, server_context(true, true, NULL), 32);
    client_certificates(NULL);
    dial(0, "truck-001");
    exchange();
    CU_ASSERT_EQUAL(lab_now.opened, 1);
    CU_ASSERT_STRING_EQUAL(lab_now.cn, "truck-001");
    CU_ASSERT_STRING_EQUAL(lab_now.psk_id, "");
    CU_ASSERT_PTR_NOT_NULL(strstr(dtls_session_cipher(lab_now.clients[0].session), "ECDHE-ECDSA"));
    say(0);
    CU_ASSERT_EQUAL(lab_now.clients[0].messages, 1);
    dial(1, "truck-rsa");
    exchange();
    CU_ASSERT_EQUAL(lab_now.opened, 2);
    CU_ASSERT_STRING_EQUAL(lab_now.cn, "truck-rsa");
    /* Resumption is asked for, and a full handshake with a cookie made. */
    dtls_session_close(lab_now.clients[0].session);
    exchange();
    uint64_t cookies = counter(DTLS_SERVER_COOKIES);
    dial(0, "truck-001");
    exchange();
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_COOKIES), cookies + 1);
    CU_ASSERT_TRUE_FATAL(lab_now.clients[0].opened);
    CU_ASSERT_FALSE(dtls_session_resumed(lab_now.clients[0].session));
    CU_ASSERT_STRING_EQUAL(lab_now.cn, "truck-001");
    end_lab();
}

/* A client's certificate of a CA that is not trusted. */
static void make_alien(void)
{
    char command[512];
    snprintf(command, sizeof(command),
             "cd %s && openssl ca -batch -notext -config ca.cnf -cert otherca.pem -keyfile otherca.key"
             " -in truck-001.csr -out alien.pem -extensions client 2>>ca.log && cp truck-001.key alien.key",
             lab_dir);
    CU_ASSERT_EQUAL_FATAL(system(command), 0);
}

/* Whoever shows none, or not a good one, is not let in, and it is said why. */
static void test_bad_certificates(void)
{
    static const struct {
        const char *name;
        const char *told;
    } rows[] = {{"server", "may not be used"}, {"old", "expired"}, {"alien", "issuer is not trusted"}};
    begin_lab();
    make_alien();
    open_server(NULL, server_context(false, true, NULL), 32);
    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        client_certificates(rows[i].name);
        dial(i, "any");
        exchange();
        CU_ASSERT_EQUAL(lab_now.failed, i + 1);
        if (strstr(lab_now.reason, rows[i].told) == NULL)
            fail(lab_now.reason);
        CU_ASSERT_FALSE(lab_now.clients[i].opened && !lab_now.clients[i].closed);
    }
    struct tls_error error;
    struct tls_settings bare = {.ca_file = lab_path("ca.pem"), .server_name = LAB_NAME};
    struct dtls_settings settings = {.certificates = &bare};
    dtls_context_unref(lab_now.client_context);
    lab_now.client_context = dtls_context_create(&settings, &error);
    dial(10, "any");
    exchange();
    CU_ASSERT_EQUAL(lab_now.opened, 0);
    CU_ASSERT_EQUAL(lab_now.failed, 4);
    /* And the client looks at the server's: another name. */
    bare.server_name = "other.example";
    dtls_context_unref(lab_now.client_context);
    lab_now.client_context = dtls_context_create(&settings, &error);
    dial(11, "any");
    exchange();
    CU_ASSERT_TRUE(lab_now.clients[11].closed);
    CU_ASSERT_PTR_NOT_NULL(strstr(lab_now.clients[11].reason, "not for"));
    end_lab();
}

/* B4: a certificate that a new list revokes loses its session at the reload. */
static void test_revocation(void)
{
    char command[512];
    begin_lab();
    open_server(NULL, server_context(false, true, "ca.crl"), 32);
    client_certificates(NULL);
    dial(0, "truck-001");
    dial(1, "truck-002");
    exchange();
    CU_ASSERT_EQUAL(lab_now.opened, 2);
    snprintf(command, sizeof(command),
             "cd %s && openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -revoke truck-002.pem 2>>ca.log"
             " && openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -gencrl -out next.crl 2>>ca.log",
             lab_dir);
    CU_ASSERT_EQUAL_FATAL(system(command), 0);
    lab_now.next_context = server_context(false, true, "next.crl");
    CU_ASSERT_TRUE(dtls_server_sweep(lab_now.server, 10, next_context));
    exchange();
    CU_ASSERT_FALSE(lab_now.clients[0].closed);
    CU_ASSERT_TRUE(lab_now.clients[1].closed);
    struct dtls_context *old = lab_now.context;
    lab_now.context = lab_now.next_context;
    lab_now.next_context = old;
    dial(1, "truck-002");
    exchange();
    CU_ASSERT_EQUAL(lab_now.failed, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(lab_now.reason, "revoked"));
    end_lab();
}

static void pin_of(const char *name, char pin[80])
{
    char command[512], digest[64] = "";
    snprintf(command, sizeof(command),
             "cd %s && openssl x509 -in %s.pem -noout -pubkey | openssl pkey -pubin -outform DER |"
             " openssl dgst -sha256 -binary | openssl base64",
             lab_dir, name);
    FILE *out = popen(command, "r");
    CU_ASSERT_TRUE_FATAL(out != NULL && fgets(digest, sizeof(digest), out) != NULL);
    pclose(out);
    digest[strcspn(digest, "\n")] = '\0';
    snprintf(pin, 80, "sha256/%s", digest);
}

/* B4, RFC 7469 s.2.4: a key that is not pinned is not let in, and one that is no more loses its session. */
static void test_pins(void)
{
    char one[80], two[80], both[161];
    begin_lab();
    pin_of("truck-001", one);
    pin_of("truck-002", two);
    snprintf(both, sizeof(both), "%s,%s", one, two);
    lab_now.pins = both;
    open_server(NULL, server_context(false, true, NULL), 32);
    client_certificates(NULL);
    dial(0, "truck-001");
    dial(1, "truck-002");
    dial(2, "truck-rsa");
    exchange();
    CU_ASSERT_EQUAL(lab_now.opened, 2);
    CU_ASSERT_EQUAL(lab_now.failed, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(lab_now.reason, "pinned"));
    lab_now.pins = one;
    lab_now.next_context = server_context(false, true, NULL);
    CU_ASSERT_TRUE(dtls_server_sweep(lab_now.server, 10, next_context));
    exchange();
    CU_ASSERT_FALSE(lab_now.clients[0].closed);
    CU_ASSERT_TRUE(lab_now.clients[1].closed);
    end_lab();
}

/* B4: a handshake that was begun before the reload and is done after it is judged by what is in force then.
 */
static void test_reload_meanwhile(void)
{
    char one[80];
    begin_lab();
    pin_of("truck-001", one);
    open_server(NULL, server_context(false, true, NULL), 32);
    lab_now.pins = one;
    lab_now.current = lab_now.next_context = server_context(false, true, NULL);
    client_certificates(NULL);
    dial(0, "truck-001");
    dial(1, "truck-002");
    exchange();
    CU_ASSERT_EQUAL(lab_now.opened, 1);
    CU_ASSERT_STRING_EQUAL(lab_now.cn, "truck-001");
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_UNWANTED), 1);
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 1);
    CU_ASSERT_EQUAL(dtls_server_handshakes(lab_now.server), 0);
    dtls_endpoint_close(lab_now.endpoint);
    CU_ASSERT_EQUAL(lab_now.closed, 1);
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 0);
    end_lab();
}

/* B4: toward a server: its certificate has been revoked, or is pinned otherwise; and a resumed session's too.
 */
static void test_server_revoked(void)
{
    char command[512], pin[80];
    begin_lab();
    open_server(NULL, server_context(false, true, NULL), 32);
    client_certificates(NULL);
    dial(0, "truck-001");
    exchange();
    CU_ASSERT_TRUE_FATAL(lab_now.clients[0].opened);
    struct dtls_context *first = dtls_context_ref(lab_now.client_context);
    pin_of("truck-001", pin);
    snprintf(
        command, sizeof(command),
        "cd %s && openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -gencrl -out before.crl 2>>ca.log &&"
        " openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -revoke server.pem 2>>ca.log &&"
        " openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -gencrl -out after.crl 2>>ca.log",
        lab_dir);
    CU_ASSERT_EQUAL_FATAL(system(command), 0);
    static const struct {
        const char *crl;
        bool pinned;
        const char *told;
    } rows[] = {{NULL, false, NULL},
                {"before.crl", false, NULL},
                {"after.crl", false, "revoked"},
                {NULL, true, "pinned"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_error error = {.text = ""};
        char certificate[128], key[128];
        snprintf(certificate, sizeof(certificate), "%s/%%s.pem", lab_dir);
        snprintf(key, sizeof(key), "%s/%%s.key", lab_dir);
        struct tls_settings tls = {.ca_file = lab_path("ca.pem"),
                                   .server_name = LAB_NAME,
                                   .certificate_file = certificate,
                                   .key_file = key,
                                   .crl_file = rows[i].crl == NULL ? NULL : lab_path(rows[i].crl),
                                   .pins = rows[i].pinned ? pin : NULL};
        struct dtls_settings settings = {.certificates = &tls};
        struct dtls_context *next = dtls_context_create(&settings, &error);
        CU_ASSERT_PTR_NOT_NULL_FATAL(next);
        CU_ASSERT_TRUE(dtls_context_same(first, next, "truck-001")); /* a list alone ends nobody else's */
        const char *why = dtls_session_refused(lab_now.clients[0].session, next, "truck-001");
        CU_ASSERT_TRUE(rows[i].told == NULL ? why == NULL : why != NULL && strstr(why, rows[i].told) != NULL);
        dtls_context_unref(next);
    }
    dtls_context_unref(first);
    end_lab();
}

/* B6: handshakes with certificates run on threads, on both sides here. */
static void test_threads(void)
{
    begin_lab();
    struct handshake_pool *pool = handshake_pool_create(2, 2, 16);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
    open_server(pool, server_context(false, true, NULL), 32);
    dtls_worker_destroy(lab_now.client_worker);
    lab_now.client_worker = dtls_worker_create(16, pool);
    client_certificates(NULL);
    for (uint32_t i = 0; i < 6; i++)
        dial(i, i % 2 == 0 ? "truck-001" : "truck-002");
    CU_ASSERT_EQUAL(lab_now.n, 0); /* nothing was sent from here */
    uint32_t opened = 0;
    for (uint32_t turn = 0; turn < 50000000 && opened < 6; turn++) {
        dtls_worker_poll(lab_now.worker, lab_now.now_us);
        dtls_worker_poll(lab_now.client_worker, lab_now.now_us);
        exchange();
        opened = 0;
        for (uint32_t i = 0; i < 6; i++)
            opened += lab_now.clients[i].opened;
        sched_yield();
    }
    CU_ASSERT_EQUAL(opened, 6);
    CU_ASSERT_EQUAL(lab_now.opened, 6);
    for (uint32_t i = 0; i < 6 && lab_now.clients[i].opened; i++)
        say(i);
    CU_ASSERT_EQUAL(lab_now.received, 6);
    /* One that is given up while a thread has it. */
    dial(7, "truck-001");
    dtls_session_close(lab_now.clients[7].session);
    lab_now.clients[7].session = NULL;
    handshake_pool_destroy(pool);
    end_lab();
}

/* ---- records ---------------------------------------------------------------------------------------------
 */

static void test_records(void)
{
    uint32_t records;
    static const uint8_t two[] = {23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 0, 2, 1, 2,
                                  20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 1};
    for (size_t n = 0; n <= sizeof(two); n++) {
        const uint8_t *at = two;
        size_t left = n, n_records = 0;
        struct dtls_record record;
        while (dtls_record_next(&at, &left, &record))
            n_records++;
        CU_ASSERT_EQUAL(n_records, n < 15 ? 0 : n < sizeof(two) ? 1 : 2);
        bool cut = n != 0 && n != 15 && n != sizeof(two);
        CU_ASSERT_EQUAL(dtls_datagram_judge(two, n, false, &records),
                        cut ? DTLS_DATAGRAM_DROP : DTLS_DATAGRAM_GOOD);
        CU_ASSERT_EQUAL(dtls_datagram_judge(two, n, true, &records),
                        n == 15 ? DTLS_DATAGRAM_GOOD : DTLS_DATAGRAM_DROP);
    }
    /* A message that would take more memory than a handshake needs, and one too many. */
    uint8_t part[DTLS_RECORD_HEADER_BYTES + DTLS_HANDSHAKE_HEADER_BYTES] = {22, 0xfe, 0xfd, 0, 0, 0,  0,
                                                                            0,  0,    0,    1, 0, 12, 11};
    CU_ASSERT_EQUAL(dtls_datagram_judge(part, sizeof(part), false, &records), DTLS_DATAGRAM_GOOD);
    part[15] = 0xff;
    CU_ASSERT_EQUAL(dtls_datagram_judge(part, sizeof(part), false, &records), DTLS_DATAGRAM_DROP);
    part[15] = 0;
    part[18] = 99;
    CU_ASSERT_EQUAL(dtls_datagram_judge(part, sizeof(part), false, &records), DTLS_DATAGRAM_DROP);
}

static void test_hello_shapes(void)
{
    struct dtls_hello hello;
    open_psk();
    dial(0, "probe-1");
    struct datagram *d = &lab_now.queue[lab_now.first];
    CU_ASSERT_EQUAL(dtls_hello_parse(d->at, d->n, &hello), DTLS_HELLO_WHOLE);
    for (size_t n = 0; n < d->n; n++) /* cut anywhere: never whole, never read past */ {
        uint8_t *copy = malloc(n == 0 ? 1 : n);
        memcpy(copy, d->at, n);
        CU_ASSERT_NOT_EQUAL(dtls_hello_parse(copy, n, &hello), DTLS_HELLO_WHOLE);
        free(copy);
    }
    for (size_t i = DTLS_RECORD_HEADER_BYTES; i < d->n; i++) { /* every length in it made too large */
        uint8_t copy[DATAGRAM];
        memcpy(copy, d->at, d->n);
        copy[i] = 0xff;
        dtls_hello_parse(copy, d->n, &hello);
    }
    end_lab();
}

int main(void)
{
    enum { FIRST_WITH_CERTIFICATES = 11 };
    static const struct unit_test tests[] = {{"keys (B2)", test_keys},
                                             {"keys that are wrong", test_bad_keys},
                                             {"cookies (RFC 6347 s.4.2.1)", test_cookies},
                                             {"fragmented hello (CVE-2015-6925)", test_fragments},
                                             {"caps (B2)", test_caps},
                                             {"came back (RFC 6347 s.4.2.8)", test_came_back},
                                             {"forged records", test_forged},
                                             {"last flight lost", test_last_flight_lost},
                                             {"loss", test_loss},
                                             {"idle, room", test_idle_and_room},
                                             {"reload (G3)", test_reload},
                                             {"certificates (B4)", test_certificates},
                                             {"certificates that are not good (B4)", test_bad_certificates},
                                             {"revocation (B4)", test_revocation},
                                             {"pins (B4)", test_pins},
                                             {"a reload meanwhile (B4)", test_reload_meanwhile},
                                             {"a server that is revoked (B4)", test_server_revoked},
                                             {"threads (B6)", test_threads},
                                             {"records", test_records},
                                             {"hello", test_hello_shapes}};
    if (tls_library_init() != 0)
        return EXIT_FAILURE;
    /* Without suites for keys, those with certificates. */
    int result = tls_library_has_psk()
                     ? unit_run("dtls_server", tests, sizeof(tests) / sizeof(tests[0]))
                     : unit_skipped(unit_run("dtls_server", tests + FIRST_WITH_CERTIFICATES, 4),
                                    "DTLS with a PSK", "this wolfSSL has no suites for it");
    /* And the same at a listener that would speak 1.3 as well, up to where the certificates are revoked. */
    lab_now.versions = DTLS_1_2 | DTLS_1_3;
    if (result == EXIT_SUCCESS && tls_library_has_dtls13())
        result = unit_run("dtls_server beside 1.3", tests, FIRST_WITH_CERTIFICATES + 2);
    tls_library_fini();
    lab_remove();
    return result;
}
