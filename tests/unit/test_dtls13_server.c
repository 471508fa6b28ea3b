/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The DTLS server, as clients of DTLS 1.3 see it (B2; RFC 9147). */
#include "dataplane/secure/dtls13_hello.h"
#include "tests/unit/dtls_server_lab.h"

#include <sched.h>

static void test_a_key(void)
{
    open_psk();
    dial(0, "probe-1");
    CU_ASSERT_TRUE(step()); /* the first ClientHello */
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_COOKIES), 1);
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 0); /* nothing is kept */
    CU_ASSERT_EQUAL(lab_now.admitted, 0);
    CU_ASSERT_EQUAL_FATAL(lab_now.n, 1);
    CU_ASSERT_TRUE(lab_now.queue[lab_now.first].n <= lab_now.hello_bytes);
    exchange();
    CU_ASSERT_TRUE_FATAL(lab_now.opened == 1 && lab_now.clients[0].opened);
    CU_ASSERT_STRING_EQUAL(lab_now.psk_id, "probe-1");
    CU_ASSERT_EQUAL(dtls_server_handshakes(lab_now.server), 0);
    CU_ASSERT_STRING_EQUAL(dtls_endpoint_cipher(lab_now.endpoint), "TLS13-AES128-GCM-SHA256");
    say(0);
    CU_ASSERT_TRUE(lab_now.received == 1 && lab_now.clients[0].messages == 1);
    dtls_session_close(lab_now.clients[0].session);
    lab_now.clients[0].session = NULL;
    exchange();
    CU_ASSERT_EQUAL(lab_now.closed, 1);
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 0);
    CU_ASSERT_TRUE(lab_now.longest <= 1200);
    end_lab();
}

static void test_certificates(void)
{
    begin_lab();
    open_server(NULL, server_context(true, true, NULL), 32);
    client_certificates(NULL);
    static const char *const names[] = {"truck-001", "truck-rsa", "truck-001"};
    for (uint32_t i = 0; i < 3; i++) {
        dial(i, names[i]);
        exchange();
        CU_ASSERT_TRUE_FATAL(lab_now.opened == i + 1 && lab_now.clients[i].opened);
        CU_ASSERT_FALSE(dtls_session_resumed(lab_now.clients[i].session)); /* no ticket is given */
        CU_ASSERT_STRING_EQUAL(lab_now.cn, names[i]);
        CU_ASSERT_STRING_EQUAL(lab_now.psk_id, "");
        say(i);
        CU_ASSERT_EQUAL(lab_now.clients[i].messages, 1);
        dtls_session_close(lab_now.clients[i].session);
        lab_now.clients[i].session = NULL;
        exchange();
    }
    CU_ASSERT_TRUE(lab_now.longest <= 1200);
    end_lab();
}

/* Whoever shows none, or not a good one, is not let in, and it is said why. */
static void test_bad_certificates(void)
{
    static const struct {
        const char *name, *told;
    } rows[] = {{"server", "may not be used"}, {"old", "expired"}};
    begin_lab();
    open_server(NULL, server_context(false, true, NULL), 32);
    for (uint32_t i = 0; i < 2; i++) {
        client_certificates(rows[i].name);
        dial(i, "any");
        exchange();
        CU_ASSERT_EQUAL(lab_now.failed, i + 1);
        if (strstr(lab_now.reason, rows[i].told) == NULL)
            fail(lab_now.reason);
    }
    CU_ASSERT_EQUAL(lab_now.opened, 0);
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 0);
    end_lab();
}

static void test_bad_keys(void)
{
    struct tls_error error;
    open_psk();
    write_keys("probe-1:ffffffffffffffffffffffffffffffff\nstranger:00112233445566778899aabbccddeeff\n");
    struct dtls_settings settings = {.psk_file = lab_now.keys, .psk_id = "%s", .version = DTLS_1_3};
    dtls_context_unref(lab_now.client_context);
    lab_now.client_context = dtls_context_create(&settings, &error);
    dial(0, "stranger");
    exchange();
    CU_ASSERT_EQUAL(lab_now.failed, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(lab_now.reason, "no key for PSK identity stranger"));
    dial(1, "probe-1"); /* RFC 8446 s.4.2.11.2: the binder tells it at once */
    exchange();
    CU_ASSERT_TRUE(lab_now.clients[1].closed);
    CU_ASSERT_PTR_NOT_NULL(strstr(lab_now.clients[1].reason, "refused with alert 51"));
    pass(40);
    CU_ASSERT_EQUAL(lab_now.failed, 2);
    CU_ASSERT_EQUAL(lab_now.opened, 0);
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 0);
    end_lab();
}

/* B4: the other way round: the server's certificate is looked at, and who has a key takes nothing else for
 * it. */
static void test_bad_servers(void)
{
    struct tls_error error;
    begin_lab();
    open_server(NULL, server_context(true, true, NULL), 32);
    struct tls_settings other = {.ca_file = lab_path("ca.pem"),
                                 .server_name = "other.example",
                                 .certificate_file = lab_path("truck-001.pem"),
                                 .key_file = lab_path("truck-001.key")};
    struct dtls_settings settings = {.certificates = &other, .version = DTLS_1_3};
    lab_now.client_context = dtls_context_create(&settings, &error);
    dial(0, "truck-001");
    exchange();
    CU_ASSERT_TRUE(lab_now.clients[0].closed && !lab_now.clients[0].opened);
    CU_ASSERT_PTR_NOT_NULL(strstr(lab_now.clients[0].reason, "not for"));
    write_keys(
        "stranger:00112233445566778899aabbccddeeff\n"); /* has no key there: it shows its certificate */
    settings = (struct dtls_settings){.psk_file = lab_now.keys, .psk_id = "%s", .version = DTLS_1_3};
    dtls_context_unref(lab_now.client_context);
    lab_now.client_context = dtls_context_create(&settings, &error);
    dial(1, "stranger");
    exchange();
    pass(70);
    CU_ASSERT_TRUE(lab_now.clients[1].closed && !lab_now.clients[1].opened);
    CU_ASSERT_EQUAL(lab_now.opened, 0);
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 0);
    end_lab();
}

/* RFC 9147 s.5.1: a cookie is good for the address that it was made for, and not for ever. */
static void test_cookies(void)
{
    uint8_t hello[DATAGRAM];
    size_t n = hello_of_one_address(hello);
    for (size_t at = 25; at < n; at++) { /* no byte of the cookie may be another */
        uint8_t changed[DATAGRAM];
        struct dtls_hello parsed;
        struct dtls13_offer offer;
        memcpy(changed, hello, n);
        changed[at] ^= 0x10;
        if (dtls_hello_parse(changed, n, &parsed) != DTLS_HELLO_WHOLE ||
            dtls13_hello_read(&parsed, &offer) != DTLS13_GOOD || offer.cookie.n == 0 ||
            changed + at < offer.cookie.at || changed + at >= offer.cookie.at + offer.cookie.n)
            continue;
        arrive(0, changed, n);
        CU_ASSERT_EQUAL(counter(DTLS_SERVER_BEGUN), 0);
    }
    lab_now.n = 0;
    arrive(0, hello, n);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_BEGUN), 1);
    arrive(0, hello, n); /* repeated: nothing is begun */
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_BEGUN), 1);
    end_lab();
}

/* What stands behind a ClientHello in its datagram does not come to the library; in its record it may not be.
 */
static void test_a_hello_with_company(void)
{
    open_psk();
    dial(0, "probe-1");
    step();
    step();
    struct datagram d = lab_now.queue[lab_now.first];
    lab_now.n = 0;
    struct datagram longer = d;
    static const uint8_t more[] = {16, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    memcpy(longer.at + d.n, more, sizeof(more)); /* a message more in the record */
    longer.at[11] = (uint8_t)((d.n - 13 + sizeof(more)) >> 8);
    longer.at[12] = (uint8_t)(d.n - 13 + sizeof(more));
    arrive(0, longer.at, d.n + sizeof(more));
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_BEGUN), 0);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_BROKEN), 1);
    lab_now.n = 0;
    longer = d;
    for (size_t i = 0; i < 600; i++) /* records more in the datagram */
        longer.at[d.n + i] = (uint8_t)(i * 7 + 22);
    arrive(0, longer.at, d.n + 600);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_BEGUN), 1);
    exchange();
    CU_ASSERT_EQUAL(lab_now.opened, 1);
    end_lab();
}

/* E4: 100,000 ClientHellos, each from an address of its own, leave nothing behind. */
static void test_a_flood_of_hellos(void)
{
    open_psk();
    dial(0, "probe-1");
    struct datagram hello = lab_now.queue[lab_now.first];
    lab_now.n = 0;
    uint64_t sent = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        struct dtls_arrival arrival = {.key = key_of(0),
                                       .path = 7,
                                       .listener = 3,
                                       .datagram_max = 1200,
                                       .datagram = hello.at,
                                       .n = hello.n};
        arrival.key.remote = ip_address_v4(0x0b000000 + i);
        dtls_server_input(lab_now.server, lab_now.context, &arrival);
        while (lab_now.n > 0) {
            sent += lab_now.queue[lab_now.first].n;
            lab_now.n--;
        }
    }
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_COOKIES), 100000);
    CU_ASSERT_TRUE(sent > 0 && sent <= 100000 * hello.n);
    CU_ASSERT_EQUAL(dtls_server_endpoints(lab_now.server), 0);
    CU_ASSERT_EQUAL(dtls_server_handshakes(lab_now.server), 0);
    CU_ASSERT_EQUAL(lab_now.admitted, 0);
    end_lab();
}

static void test_fragments(void)
{
    open_by_fragments();
    end_lab();
}

/* Each datagram of a handshake is lost once, in turn; then two of them change places; then each comes twice.
 */
static void run_with(uint32_t lost, uint32_t swapped, bool twice, bool certificates)
{
    if (certificates) {
        begin_lab();
        open_server(NULL, server_context(false, true, NULL), 32);
        client_certificates(NULL);
    } else {
        open_psk();
    }
    dial(0, certificates ? "truck-001" : "probe-1");
    uint32_t at = 0;
    for (uint32_t second = 0; second < 40 && !(lab_now.opened == 1 && lab_now.clients[0].opened); second++) {
        while (lab_now.n > 0) {
            struct datagram d = lab_now.queue[lab_now.first];
            if (at == lost) {
                lab_now.first = (lab_now.first + 1) % QUEUE;
                lab_now.n--;
            } else if (at == swapped && lab_now.n > 1) {
                lab_now.first = (lab_now.first + 1) % QUEUE;
                lab_now.n--;
                push(d.up, d.client, d.at, d.n);
                step();
            } else {
                if (twice)
                    push(d.up, d.client, d.at, d.n);
                step();
                if (twice && at > 60)
                    twice = false;
            }
            at++;
        }
        pass(1);
    }
    CU_ASSERT_TRUE_FATAL(lab_now.opened == 1 && lab_now.clients[0].opened);
    lab_now.n = 0;
    say(0);
    CU_ASSERT_TRUE(lab_now.received == 1 && lab_now.clients[0].messages == 1);
    CU_ASSERT_TRUE(lab_now.longest <= 1200);
    end_lab();
}

static void test_loss(void)
{
    for (uint32_t i = 0; i < 14; i++) {
        run_with(i, UINT32_MAX, false, false);
        run_with(i, UINT32_MAX, false, true);
        run_with(UINT32_MAX, i, false, true);
    }
    run_with(UINT32_MAX, UINT32_MAX, true, false);
}

/* The handshake in datagrams of any size: with certificates in fragments (s.5.5). */
static void test_sizes(void)
{
    static const uint16_t sizes[] = {256, 300, 512, 576, 1000, 1232, 1452};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        begin_lab();
        open_server(NULL, server_context(false, true, NULL), 32);
        client_certificates(NULL);
        lab_now.datagram_max = sizes[i];
        dial(0, "truck-001");
        exchange();
        pass(3);
        CU_ASSERT_TRUE(lab_now.opened == 1 && lab_now.clients[0].opened);
        if (lab_now.longest > sizes[i] && lab_now.longest > lab_now.hello_bytes)
            fprintf(stderr, "\n    %zu bytes where %u fit", lab_now.longest, sizes[i]);
        CU_ASSERT_TRUE(lab_now.longest <= sizes[i] || lab_now.longest <= lab_now.hello_bytes);
        say(0);
        CU_ASSERT_EQUAL(lab_now.clients[0].messages, 1);
        end_lab();
    }
}

/* s.4.5.1: what was received once is not received again, and not from another address. */
static void test_replay(void)
{
    open_psk();
    dial(0, "probe-1");
    exchange();
    CU_ASSERT_TRUE_FATAL(lab_now.opened == 1);
    CU_ASSERT_TRUE(dtls_session_write(lab_now.clients[0].session, (const uint8_t *)"hello", 5));
    struct datagram d = lab_now.queue[lab_now.first];
    CU_ASSERT_EQUAL(d.at[0] & 0xf3, 0x23); /* s.4: unified header, no id, epoch 3 */
    exchange();
    CU_ASSERT_EQUAL(lab_now.received, 1);
    for (int i = 0; i < 5; i++)
        arrive(0, d.at, d.n);
    arrive(1, d.at, d.n);
    CU_ASSERT_EQUAL(lab_now.received, 1);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_NOBODY), 1);
    for (size_t i = 0; i < d.n; i++) { /* nothing of it may be another */
        struct datagram changed = d;
        CU_ASSERT_TRUE(dtls_session_write(lab_now.clients[0].session, (const uint8_t *)"again", 5));
        changed = lab_now.queue[lab_now.first];
        lab_now.n = 0;
        changed.at[i] ^= 0x04;
        arrive(0, changed.at, changed.n);
        arrive(0, changed.at, i);
    }
    CU_ASSERT_EQUAL(lab_now.received, 1);
    say(0);
    CU_ASSERT_EQUAL(lab_now.received, 2);
    end_lab();
}

/* Anybody can write what nothing protects: an open session takes none of it. */
static void test_forged(void)
{
    static const uint8_t alert[] = {21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40};
    static const uint8_t ack[] = {26, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 0, 0};
    static const uint8_t short_one[] = {0x2f, 0, 0, 0, 3, 1, 2, 3};
    uint8_t junk[64] = {0x2f};
    open_psk();
    dial(0, "probe-1");
    exchange();
    for (int i = 0; i < 3; i++) {
        arrive(0, alert, sizeof(alert));
        arrive(0, ack, sizeof(ack));
        arrive(0, short_one, sizeof(short_one));
        junk[1] = (uint8_t)i;
        arrive(0, junk, sizeof(junk));
        dtls_session_input(lab_now.clients[0].session, alert, sizeof(alert), lab_now.now_us);
        dtls_session_input(lab_now.clients[0].session, ack, sizeof(ack), lab_now.now_us);
        dtls_session_input(lab_now.clients[0].session, junk, sizeof(junk), lab_now.now_us);
    }
    CU_ASSERT_EQUAL(lab_now.n, 0);
    say(0);
    CU_ASSERT_EQUAL(lab_now.clients[0].messages, 1);
    end_lab();
}

/* RFC 6347 s.4.2.8: the open session stays in force until the new handshake is done. */
static void test_came_back(void)
{
    open_psk();
    dial(0, "probe-1");
    exchange();
    CU_ASSERT_EQUAL(lab_now.opened, 1);
    dtls_session_drop(lab_now.clients[0].session);
    dial(0, "probe-2");
    for (int i = 0; i < 3; i++)
        step();
    CU_ASSERT_EQUAL(dtls_server_handshakes(lab_now.server), 1);
    CU_ASSERT_EQUAL(lab_now.closed, 0);
    exchange();
    CU_ASSERT_TRUE(lab_now.opened == 2 && lab_now.closed == 1);
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_CAME_BACK), 1);
    CU_ASSERT_STRING_EQUAL(lab_now.psk_id, "probe-2");
    say(0);
    CU_ASSERT_EQUAL(lab_now.clients[0].messages, 1);
    end_lab();
}

/* Which versions come together, and what a client is told when none does (RFC 8446 s.4.1.3, s.4.2.1). */
static void test_versions(void)
{
    static const struct {
        unsigned server;
        enum dtls_versions client;
        enum dtls_versions spoken; /* 0: none */
    } rows[] = {{DTLS_1_2, DTLS_1_2, DTLS_1_2},
                {DTLS_1_2, DTLS_1_3, 0},
                {DTLS_1_3, DTLS_1_2, 0},
                {DTLS_1_2 | DTLS_1_3, DTLS_1_2, DTLS_1_2},
                {DTLS_1_2 | DTLS_1_3, DTLS_1_3, DTLS_1_3}};
    static const uint8_t mark[] = {'D', 'O', 'W', 'N', 'G', 'R', 'D', 1};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        lab_now.versions = rows[i].server;
        lab_now.client_version = rows[i].client;
        open_psk();
        dial(0, "probe-1");
        bool marked = false;
        for (int j = 0; j < 40 && lab_now.n > 0; j++) {
            const struct datagram *d = &lab_now.queue[lab_now.first];
            marked = marked || memmem(d->at, d->n, mark, sizeof(mark)) != NULL;
            step();
        }
        CU_ASSERT_EQUAL(lab_now.clients[0].opened, rows[i].spoken != 0);
        CU_ASSERT_EQUAL(marked, rows[i].spoken == DTLS_1_2 && rows[i].server == (DTLS_1_2 | DTLS_1_3));
        if (rows[i].spoken != 0) {
            say(0);
            CU_ASSERT_EQUAL(lab_now.clients[0].messages, 1);
        } else {
            pass(70);
            CU_ASSERT_TRUE(lab_now.clients[0].closed);
            CU_ASSERT_EQUAL(counter(DTLS_SERVER_VERSION), rows[i].server == DTLS_1_3 ? 1 : 0);
        }
        end_lab();
    }
    lab_now.versions = lab_now.client_version = DTLS_1_3;
}

/* A reload takes a version away: its sessions end. */
static struct dtls_context *next_context(void *owner, struct dtls_endpoint *endpoint)
{
    (void)owner;
    (void)endpoint;
    return lab_now.next_context;
}

static void test_a_version_is_taken_away(void)
{
    open_psk();
    dial(0, "probe-1");
    exchange();
    lab_now.versions = DTLS_1_2 | DTLS_1_3;
    lab_now.next_context = server_context(true, false, NULL);
    CU_ASSERT_TRUE(dtls_server_sweep(lab_now.server, 10, next_context));
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_UNWANTED), 0);
    dtls_context_unref(lab_now.next_context);
    lab_now.versions = DTLS_1_2;
    lab_now.next_context = server_context(true, false, NULL);
    CU_ASSERT_TRUE(dtls_server_sweep(lab_now.server, 10, next_context));
    exchange();
    CU_ASSERT_EQUAL(counter(DTLS_SERVER_UNWANTED), 1);
    CU_ASSERT_TRUE(lab_now.clients[0].closed && lab_now.clients[0].why == DTLS_END_PEER);
    lab_now.versions = DTLS_1_3;
    end_lab();
}

/* B6: handshakes on threads, of listeners and toward servers, with keys (for there is a Diffie-Hellman now)
 * and certificates, with ids and without; one is given up in the middle. */
static void on_threads(bool certificates, bool ids)
{
    struct handshake_pool *pool = handshake_pool_create(2, 2, 16);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
    lab_now.ids = ids;
    begin_lab();
    open_server(pool, server_context(!certificates, certificates, NULL), 32);
    dtls_worker_destroy(lab_now.client_worker);
    lab_now.client_worker = dtls_worker_create(16, pool);
    if (certificates) {
        client_certificates(NULL);
    } else {
        struct tls_error error;
        struct dtls_settings settings = {
            .psk_file = lab_now.keys, .psk_id = "%s", .version = DTLS_1_3, .connection_ids = ids};
        lab_now.client_context = dtls_context_create(&settings, &error);
    }
    for (uint32_t i = 0; i < 7; i++)
        dial(i, certificates ? "truck-001" : "probe-1");
    CU_ASSERT_EQUAL(lab_now.n, 0); /* nothing was sent from here */
    uint32_t opened = 0;
    for (uint32_t turn = 0; turn < 50000000 && opened < 6; turn++) {
        dtls_worker_poll(lab_now.worker, lab_now.now_us);
        dtls_worker_poll(lab_now.client_worker, lab_now.now_us);
        exchange();
        if (lab_now.clients[6].session != NULL && turn == 3) {
            dtls_session_drop(lab_now.clients[6].session);
            lab_now.clients[6].session = NULL;
        }
        opened = 0;
        for (uint32_t i = 0; i < 6; i++)
            opened += lab_now.clients[i].opened;
        sched_yield();
    }
    CU_ASSERT_EQUAL(opened, 6);
    for (uint32_t i = 0; i < 6 && lab_now.clients[i].opened; i++) {
        say(i);
        lab_now.shift[i] = ids ? 100 : 0;
        say(i);
    }
    CU_ASSERT_EQUAL(lab_now.received, 12);
    CU_ASSERT_EQUAL(lab_now.moved, ids ? 6 : 0);
    handshake_pool_destroy(pool);
    end_lab();
    lab_now.ids = false;
}

static void test_threads(void)
{
    for (int i = 0; i < 4; i++)
        on_threads(i / 2 != 0, i % 2 != 0);
}

static void test_a_library_without_it_says_so(void)
{
    struct tls_error error = {.text = ""};
    struct dtls_server_settings settings = {.psk_file = "x", .versions = DTLS_1_3};
    CU_ASSERT_PTR_NULL(dtls_server_context_create(&settings, &error));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "has no DTLS 1.3"));
    struct dtls_settings client = {.psk_file = "x", .psk_id = "x", .version = DTLS_1_3};
    CU_ASSERT_PTR_NULL(dtls_context_create(&client, &error));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "has no DTLS 1.3"));
}

int main(void)
{
    static const struct unit_test without[] = {{"B2 refused", test_a_library_without_it_says_so}};
    static const struct unit_test tests[] = {{"B2 a key", test_a_key},
                                             {"B2 certificates", test_certificates},
                                             {"B4 bad certificates", test_bad_certificates},
                                             {"B2 bad keys", test_bad_keys},
                                             {"B4 bad servers", test_bad_servers},
                                             {"E4 RFC 9147 s.5.1 cookies", test_cookies},
                                             {"B2 a ClientHello with company", test_a_hello_with_company},
                                             {"E4 a flood of ClientHellos", test_a_flood_of_hellos},
                                             {"B2 RFC 9147 s.5.5 a ClientHello in fragments", test_fragments},
                                             {"B2 RFC 9147 s.5.8 loss, order, repetition", test_loss},
                                             {"B2 RFC 9147 s.4.4 sizes of datagrams", test_sizes},
                                             {"B2 RFC 9147 s.4.5.1 replay", test_replay},
                                             {"B2 RFC 9147 s.4.5.2 forged", test_forged},
                                             {"B2 RFC 6347 s.4.2.8 came back", test_came_back},
                                             {"B2 RFC 8446 s.4.1.3 versions", test_versions},
                                             {"B6 threads", test_threads},
                                             {"G2 a version is taken away", test_a_version_is_taken_away}};
    if (tls_library_init() != 0)
        return EXIT_FAILURE;
    lab_now.versions = lab_now.client_version = DTLS_1_3;
    int result = tls_library_has_dtls13()
                     ? unit_run("dtls13_server", tests, sizeof(tests) / sizeof(tests[0]))
                     : unit_skipped(unit_run("dtls13_server", without, sizeof(without) / sizeof(without[0])),
                                    "DTLS 1.3", "this wolfSSL has none");
    tls_library_fini();
    lab_remove();
    return result;
}
