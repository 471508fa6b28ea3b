/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The library's DTLS 1.3 by itself, two of its ends and what a third party may write between them: each flaw
 * that a patch of deploy/wolfssl.d mends has a test here that fails without it (B2; RFC 9147). Byte by byte,
 * for no other program speaks this protocol.
 */
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfio.h>

#include "dataplane/secure/tls_context.h"
#include "tests/unit/runner.h"

#ifdef WOLFSSL_DTLS13

#include <stdio.h>
#include <string.h>

#define DATAGRAM_MAX 2048
#define QUEUE 64
#define MTU 1200
#define EPOCH_2 0x2e /* unified header: number of two bytes, length, epoch 2 */
#define HELLO_CLIENT 1
#define HELLO_SERVER 2

struct queue {
    uint8_t at[QUEUE][DATAGRAM_MAX];
    size_t len[QUEUE];
    uint32_t first, n;
    size_t longest;
    uint32_t sent;
};

static struct {
    WOLFSSL_CTX *client_ctx, *server_ctx;
    WOLFSSL *client, *server;
    struct queue to_client, to_server;
    bool client_done, server_done;
} lab;

static void push(struct queue *q, const uint8_t *at, size_t n)
{
    q->sent++;
    q->longest = n > q->longest ? n : q->longest;
    if (q->n == QUEUE || n > DATAGRAM_MAX)
        return;
    uint32_t slot = (q->first + q->n++) % QUEUE;
    memcpy(q->at[slot], at, n);
    q->len[slot] = n;
}

static int take(struct queue *q, char *out, int room)
{
    if (q->n == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    uint32_t slot = q->first;
    size_t n = q->len[slot] < (size_t)room ? q->len[slot] : (size_t)room;
    memcpy(out, q->at[slot], n);
    q->first = (q->first + 1) % QUEUE;
    q->n--;
    return (int)n;
}

static void drop_all(struct queue *q)
{
    q->n = 0;
    q->longest = q->sent = 0;
}

static int on_receive(WOLFSSL *ssl, char *out, int room, void *queue)
{
    (void)ssl;
    return take(queue, out, room);
}

static int on_send(WOLFSSL *ssl, char *at, int n, void *queue)
{
    (void)ssl;
    push(queue, (const uint8_t *)at, (size_t)n);
    return n;
}

static unsigned int server_psk(WOLFSSL *ssl, const char *identity, unsigned char *key, unsigned int room,
                               const char **suite)
{
    (void)ssl;
    (void)room;
    *suite = "TLS13-AES128-GCM-SHA256";
    memset(key, 7, 32);
    return strcmp(identity, "probe") == 0 ? 32 : 0;
}

static unsigned int client_psk(WOLFSSL *ssl, const char *hint, char *identity, unsigned int identity_room,
                               unsigned char *key, unsigned int room, const char **suite)
{
    (void)ssl;
    (void)hint;
    (void)room;
    *suite = "TLS13-AES128-GCM-SHA256";
    snprintf(identity, identity_room, "probe");
    memset(key, 7, 32);
    return 32;
}

static void open_lab(void)
{
    static uint8_t secret[32] = {9};
    memset(&lab, 0, sizeof(lab));
    lab.client_ctx = wolfSSL_CTX_new(wolfDTLSv1_3_client_method());
    lab.server_ctx = wolfSSL_CTX_new(wolfDTLSv1_3_server_method());
    wolfSSL_CTX_set_psk_client_tls13_callback(lab.client_ctx, client_psk);
    wolfSSL_CTX_set_psk_server_tls13_callback(lab.server_ctx, server_psk);
    wolfSSL_CTX_set_cipher_list(lab.client_ctx, "TLS13-AES128-GCM-SHA256");
    wolfSSL_CTX_set_cipher_list(lab.server_ctx, "TLS13-AES128-GCM-SHA256");
    wolfSSL_CTX_no_ticket_TLSv13(lab.server_ctx);
    lab.client = wolfSSL_new(lab.client_ctx);
    lab.server = wolfSSL_new(lab.server_ctx);
    WOLFSSL *ends[] = {lab.client, lab.server};
    for (int i = 0; i < 2; i++) {
        wolfSSL_SSLSetIORecv(ends[i], on_receive);
        wolfSSL_SSLSetIOSend(ends[i], on_send);
        wolfSSL_SetIOReadCtx(ends[i], i == 0 ? &lab.to_client : &lab.to_server);
        wolfSSL_SetIOWriteCtx(ends[i], i == 0 ? &lab.to_server : &lab.to_client);
        wolfSSL_dtls_set_using_nonblock(ends[i], 1);
        wolfSSL_dtls_set_mtu(ends[i], MTU);
        wolfSSL_dtls13_set_send_more_acks(ends[i], 1);
    }
    CU_ASSERT_EQUAL_FATAL(wolfSSL_send_hrr_cookie(lab.server, secret, sizeof(secret)), WOLFSSL_SUCCESS);
}

static void close_lab(void)
{
    wolfSSL_free(lab.client);
    wolfSSL_free(lab.server);
    wolfSSL_CTX_free(lab.client_ctx);
    wolfSSL_CTX_free(lab.server_ctx);
}

/* One step of an end: 0 when it waits or is done, or what went wrong. */
static int step_client(void)
{
    int result = wolfSSL_connect(lab.client);
    lab.client_done = lab.client_done || result == WOLFSSL_SUCCESS;
    int error = result == WOLFSSL_SUCCESS ? 0 : wolfSSL_get_error(lab.client, result);
    return error == WOLFSSL_ERROR_WANT_READ ? 0 : error;
}

static int step_server(void)
{
    int result = wolfSSL_accept(lab.server);
    lab.server_done = lab.server_done || result == WOLFSSL_SUCCESS;
    int error = result == WOLFSSL_SUCCESS ? 0 : wolfSSL_get_error(lab.server, result);
    return error == WOLFSSL_ERROR_WANT_READ ? 0 : error;
}

static void shake_hands(void)
{
    for (int i = 0; i < 12 && !(lab.client_done && lab.server_done); i++) {
        CU_ASSERT_EQUAL(step_client(), 0);
        CU_ASSERT_EQUAL(step_server(), 0);
    }
    CU_ASSERT_TRUE(lab.client_done);
    CU_ASSERT_TRUE(lab.server_done);
}

/* To where the client has sent its second ClientHello, which the server has not read. */
static void to_second_hello(void)
{
    CU_ASSERT_EQUAL(step_client(), 0);
    CU_ASSERT_EQUAL(step_server(), 0); /* HelloRetryRequest */
    CU_ASSERT_EQUAL(step_client(), 0);
    CU_ASSERT_EQUAL_FATAL(lab.to_server.n, 1);
}

/* A record in plaintext, as anybody may write it. */
static void forge(struct queue *q, uint8_t type, uint64_t number, const uint8_t *at, size_t n)
{
    uint8_t record[DATAGRAM_MAX] = {type, 0xfe, 0xfd};
    for (int i = 0; i < 6; i++)
        record[5 + i] = (uint8_t)(number >> 8 * (5 - i));
    record[11] = (uint8_t)(n >> 8);
    record[12] = (uint8_t)n;
    memcpy(record + 13, at, n);
    push(q, record, 13 + n);
}

static void forge_fragment(struct queue *q, uint64_t number, uint8_t type, uint16_t message, uint32_t length,
                           uint32_t n)
{
    uint8_t at[1024] = {type,
                        (uint8_t)(length >> 16),
                        (uint8_t)(length >> 8),
                        (uint8_t)length,
                        (uint8_t)(message >> 8),
                        (uint8_t)message};
    at[9] = (uint8_t)(n >> 16);
    at[10] = (uint8_t)(n >> 8);
    at[11] = (uint8_t)n;
    forge(q, 22, number, at, 12 + n);
}

static bool talks(WOLFSSL *from, WOLFSSL *to, const char *text)
{
    char out[64];
    int n = (int)strlen(text);
    if (wolfSSL_write(from, text, n) != n)
        return false;
    int got = wolfSSL_read(to, out, sizeof(out));
    return got == n && memcmp(out, text, (size_t)n) == 0;
}

/* ---- the tests -------------------------------------------------------------------------------------------
 */

static void test_a_handshake_with_a_key(void)
{
    open_lab();
    shake_hands();
    CU_ASSERT_STRING_EQUAL(wolfSSL_get_version(lab.client), "DTLSv1.3");
    CU_ASSERT_TRUE(lab.to_client.longest <= MTU && lab.to_server.longest <= MTU);
    CU_ASSERT_TRUE(talks(lab.client, lab.server, "a question"));
    CU_ASSERT_TRUE(talks(lab.server, lab.client, "an answer"));
    close_lab();
}

/* CVE-2026-5264: 6,000 fragments, of which each asks to be acknowledged; the list ran over its buffer. */
static void test_a_list_of_acknowledgements_has_a_bound(void)
{
    open_lab();
    CU_ASSERT_EQUAL(step_client(), 0);
    drop_all(&lab.to_server);
    for (uint32_t i = 0; i < 6000; i++) {
        forge_fragment(&lab.to_client, 100 + i, HELLO_SERVER, 0, 400, 20);
        CU_ASSERT_EQUAL_FATAL(step_client(), 0);
    }
    CU_ASSERT_EQUAL(wolfSSL_dtls_got_timeout(lab.client), WOLFSSL_SUCCESS); /* it tells what it has */
    CU_ASSERT_TRUE(lab.to_server.sent > 0);
    CU_ASSERT_TRUE(lab.to_server.longest <= 13 + 2 + 32 * 16);
    drop_all(&lab.to_server);
    drop_all(&lab.to_client);
    close_lab();
}

/* RFC 9147 s.7: what nothing protects cannot tell a server that its flight has come, which was lost. */
static void test_an_acknowledgement_in_plaintext_is_nothing(void)
{
    uint8_t list[2 + 32 * 16] = {2, 0};
    open_lab();
    to_second_hello();
    CU_ASSERT_EQUAL(step_server(), 0);
    drop_all(&lab.to_client);
    for (uint32_t i = 0; i < 32; i++) {
        list[2 + 16 * i + 7] = i < 16 ? 0 : 2; /* epoch */
        list[2 + 16 * i + 15] = (uint8_t)(i % 16);
    }
    forge(&lab.to_server, 26, 500, list, sizeof(list));
    CU_ASSERT_EQUAL(step_server(), 0);
    drop_all(&lab.to_client);
    CU_ASSERT_EQUAL(wolfSSL_dtls_got_timeout(lab.server), WOLFSSL_SUCCESS);
    CU_ASSERT_TRUE(lab.to_client.n > 0);
    shake_hands();
    close_lab();
}

/* RFC 9147 s.6.1: what came in plaintext is not taken for what has to be protected. */
static void test_messages_belong_to_their_epochs(void)
{
    open_lab();
    to_second_hello();
    forge_fragment(&lab.to_client, 600, 20, 2, 32, 32); /* Finished, third of the server's messages */
    CU_ASSERT_EQUAL(step_client(), 0);
    forge_fragment(&lab.to_client, 601, 8, 2, 2, 2); /* EncryptedExtensions */
    CU_ASSERT_EQUAL(step_client(), 0);
    shake_hands();
    CU_ASSERT_TRUE(talks(lab.client, lab.server, "still here"));
    close_lab();
}

/* RFC 9147 s.4.5.2: a datagram that anybody could have written neither ends a handshake nor eats the next. */
static void test_defective_datagrams_are_dropped(void)
{
    static const struct {
        const char *what;
        uint8_t at[40];
        size_t n;
    } bad[] = {
        {"a header alone", {EPOCH_2, 0, 0}, 3},
        {"too short for a mask", {EPOCH_2, 0, 0, 0, 4, 1, 2, 3, 4}, 9},
        {"longer than the datagram", {EPOCH_2, 0, 0, 1, 0}, 40},
        {"a type of no record", {0x60, 0xfe, 0xfd}, 40},
        {"another one", {0xff, 0xfe, 0xfd}, 40},
        {"another version", {22, 3, 3}, 40},
        {"half a header", {22, 0xfe, 0xfd, 0, 0}, 5},
        {"a record that is not all there", {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 4, 0}, 40},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        open_lab();
        to_second_hello();
        CU_ASSERT_EQUAL(step_server(), 0);
        struct queue flight = lab.to_client;
        drop_all(&lab.to_client);
        push(&lab.to_client, bad[i].at, bad[i].n);
        if (step_client() != 0)
            fprintf(stderr, "%s ended a handshake\n", bad[i].what);
        while (flight.n > 0) {
            uint8_t at[DATAGRAM_MAX];
            int n = take(&flight, (char *)at, sizeof(at));
            push(&lab.to_client, at, (size_t)n);
            push(&lab.to_client, bad[i].at, bad[i].n);
        }
        CU_ASSERT_EQUAL(step_client(), 0);
        CU_ASSERT_TRUE(lab.to_server.n > 0); /* the client's last flight: nothing of the server's was lost */
        shake_hands();
        push(&lab.to_server, bad[i].at, bad[i].n);
        CU_ASSERT_TRUE(talks(lab.client, lab.server, "after it"));
        close_lab();
    }
}

/* Keys are renewed often, by both, with records of the epoch before still under way. */
static void test_keys_are_renewed(void)
{
    open_lab();
    shake_hands();
    for (int i = 0; i < 12; i++) {
        char out[64];
        WOLFSSL *from = i % 3 == 0 ? lab.client : lab.server, *to = i % 3 == 0 ? lab.server : lab.client;
        CU_ASSERT_EQUAL(wolfSSL_write(from, "late", 4), 4);
        struct queue *way = i % 3 == 0 ? &lab.to_server : &lab.to_client;
        struct queue late = *way;
        drop_all(way);
        CU_ASSERT_EQUAL(wolfSSL_update_keys(from), WOLFSSL_SUCCESS);
        for (int j = 0; j < 4; j++) {
            wolfSSL_read(to, out, sizeof(out));
            wolfSSL_read(from, out, sizeof(out));
        }
        CU_ASSERT_TRUE(talks(lab.client, lab.server, "one"));
        CU_ASSERT_TRUE(talks(lab.server, lab.client, "two"));
        uint8_t at[DATAGRAM_MAX];
        int n = take(&late, (char *)at, sizeof(at));
        push(way, at, (size_t)n);
        CU_ASSERT_EQUAL(wolfSSL_read(to, out, sizeof(out)), 4);
        push(way, at, (size_t)n); /* once only */
        CU_ASSERT_TRUE(wolfSSL_read(to, out, sizeof(out)) <= 0);
    }
    close_lab();
}

/* Whatever the peer repeats, a flight is sent again once between two timeouts of our own. */
static void test_a_peer_cannot_have_a_flight_sent_often(void)
{
    open_lab();
    to_second_hello();
    CU_ASSERT_EQUAL(step_server(), 0);
    CU_ASSERT_EQUAL(step_client(), 0); /* its Finished is on its way; the server repeats itself */
    struct queue lost = lab.to_server;
    drop_all(&lab.to_server);
    for (int i = 0; i < 6; i++) {
        drop_all(&lab.to_client);
        CU_ASSERT_EQUAL(wolfSSL_dtls_got_timeout(lab.server), WOLFSSL_SUCCESS);
        CU_ASSERT_TRUE(lab.to_client.n > 0);
        CU_ASSERT_EQUAL(step_client(), 0);
    }
    uint32_t once = lost.n;
    CU_ASSERT_TRUE(lab.to_server.sent > 0);
    /* ACKs apart, which each repetition has: at most one flight more */
    uint32_t large = 0;
    for (uint32_t i = 0; i < lab.to_server.n; i++)
        large +=
            lab.to_server.at[(lab.to_server.first + i) % QUEUE][0] == EPOCH_2 &&
            lab.to_server.len[(lab.to_server.first + i) % QUEUE] == lost.len[(lost.first + once - 1) % QUEUE];
    CU_ASSERT_TRUE(large <= 1);
    drop_all(&lab.to_server);
    CU_ASSERT_EQUAL(wolfSSL_dtls_got_timeout(lab.client), WOLFSSL_SUCCESS);
    shake_hands();
    close_lab();
}

/* No key exchange without Diffie-Hellman is offered: RFC 8446 s.4.2.9. */
static void test_no_key_without_diffie_hellman(void)
{
    static const uint8_t modes[] = {0, 45, 0, 2, 1, 1};
    open_lab();
    CU_ASSERT_EQUAL(step_client(), 0);
    CU_ASSERT_PTR_NOT_NULL(memmem(lab.to_server.at[0], lab.to_server.len[0], modes, sizeof(modes)));
    /* a client that asks for nothing else is refused, whatever key it has */
    uint8_t *mode = memmem(lab.to_server.at[0], lab.to_server.len[0], modes, sizeof(modes));
    if (mode != NULL)
        mode[5] = 0;
    int error = step_server();
    CU_ASSERT_NOT_EQUAL(error, 0);
    close_lab();
}

#ifdef WOLFSSL_DTLS_CID
static void test_connection_ids_have_their_length(void)
{
    uint8_t id[21] = {1, 2, 3, 4, 5, 6, 7, 8};
    unsigned int n = 0;
    open_lab();
    CU_ASSERT_EQUAL(wolfSSL_dtls_cid_use(lab.client), WOLFSSL_SUCCESS);
    CU_ASSERT_EQUAL(wolfSSL_dtls_cid_use(lab.server), WOLFSSL_SUCCESS);
    CU_ASSERT_NOT_EQUAL(wolfSSL_dtls_cid_set(lab.client, id, 21), WOLFSSL_SUCCESS);
    CU_ASSERT_EQUAL(wolfSSL_dtls_cid_set(lab.client, id, 20), WOLFSSL_SUCCESS);
    CU_ASSERT_EQUAL(wolfSSL_dtls_cid_set(lab.server, id, 8), WOLFSSL_SUCCESS);
    shake_hands();
    CU_ASSERT_EQUAL(wolfSSL_dtls_cid_get_tx_size(lab.server, &n), WOLFSSL_SUCCESS);
    CU_ASSERT_EQUAL(n, 20);
    CU_ASSERT_TRUE(talks(lab.client, lab.server, "by its id"));
    CU_ASSERT_TRUE(talks(lab.server, lab.client, "and back"));
    CU_ASSERT_EQUAL(wolfSSL_write(lab.client, "x", 1), 1);
    CU_ASSERT_EQUAL(lab.to_server.at[lab.to_server.first][0] & 0xf0, 0x30);
    CU_ASSERT_EQUAL(memcmp(lab.to_server.at[lab.to_server.first] + 1, id, 8), 0);
    close_lab();

    /* one longer than there is room for, or with something behind it */
    for (int i = 0; i < 2; i++) {
        open_lab();
        wolfSSL_dtls_cid_use(lab.client);
        wolfSSL_dtls_cid_use(lab.server);
        wolfSSL_dtls_cid_set(lab.client, id, 20);
        CU_ASSERT_EQUAL(step_client(), 0);
        static const uint8_t front[] = {0, 54, 0, 21, 20};
        uint8_t *extension = memmem(lab.to_server.at[0], lab.to_server.len[0], front, sizeof(front));
        CU_ASSERT_PTR_NOT_NULL_FATAL(extension);
        extension[4] = i == 0 ? 21 : 19;
        CU_ASSERT_NOT_EQUAL(step_server(), 0);
        close_lab();
    }
}
#endif

#else

static void test_a_library_without_it_says_so(void)
{
    CU_ASSERT_PTR_NOT_NULL(strstr(tls_library_facts(), "DTLS 1.3 no"));
}

#endif

int main(void)
{
    static const struct unit_test tests[] = {
#ifdef WOLFSSL_DTLS13
        {"B2 a handshake with a key, in datagrams that fit", test_a_handshake_with_a_key},
        {"B2 CVE-2026-5264 a list of acknowledgements has a bound",
         test_a_list_of_acknowledgements_has_a_bound},
        {"B2 RFC 9147 s.7 an acknowledgement in plaintext is nothing",
         test_an_acknowledgement_in_plaintext_is_nothing},
        {"B2 RFC 9147 s.6.1 messages belong to their epochs", test_messages_belong_to_their_epochs},
        {"B2 RFC 9147 s.4.5.2 defective datagrams are dropped", test_defective_datagrams_are_dropped},
        {"B2 RFC 9147 s.8 keys are renewed", test_keys_are_renewed},
        {"B2 E4 a peer cannot have a flight sent often", test_a_peer_cannot_have_a_flight_sent_often},
        {"B2 RFC 8446 s.4.2.9 no key without Diffie-Hellman", test_no_key_without_diffie_hellman},
#ifdef WOLFSSL_DTLS_CID
        {"B2 RFC 9146 s.3 connection ids have their length", test_connection_ids_have_their_length},
#endif
#else
        {"B2 a library without DTLS 1.3 says so", test_a_library_without_it_says_so},
#endif
    };
    if (tls_library_init() != 0)
        return EXIT_FAILURE;
    int result = unit_run("dtls13_library", tests, sizeof(tests) / sizeof(tests[0]));
    tls_library_fini();
    return result;
}
