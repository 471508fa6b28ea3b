/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DTLS sessions with a server of the same library, datagrams handed over by the test, lost where it says. */
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfio.h>

#include "dataplane/secure/dtls_stream.h"

#include "tests/unit/runner.h"

#include <sys/stat.h>
#include <unistd.h>

#define S UINT64_C(1000000)
#define QUEUE 16
#define DATAGRAM 2048

struct queue {
    uint32_t first, n;
    size_t len[QUEUE];
    uint8_t at[QUEUE][DATAGRAM];
};

static struct lab {
    char folder[64];
    char keys[96];
    struct dtls_worker *worker;
    struct dtls_context *context;
    struct dtls_session *session;
    WOLFSSL_CTX *server_ctx;
    WOLFSSL *server;
    struct queue to_server, to_client;
    uint64_t now_us;
    uint32_t drop_next; /* datagrams of the client */
    bool opened, closed;
    enum dtls_end why;
    uint8_t got[256];
    size_t got_n;
    uint32_t messages;
} lab;

static void push(struct queue *q, const void *at, size_t n)
{
    CU_ASSERT_TRUE_FATAL(q->n < QUEUE && n <= DATAGRAM);
    uint32_t slot = (q->first + q->n++) % QUEUE;
    q->len[slot] = n;
    memcpy(q->at[slot], at, n);
}

static void on_send(void *owner, const uint8_t *datagram, size_t n)
{
    (void)owner;
    if (lab.drop_next > 0)
        lab.drop_next--;
    else
        push(&lab.to_server, datagram, n);
}

static void on_opened(void *owner)
{
    (void)owner;
    lab.opened = true;
}

static void on_received(void *owner, const uint8_t *message, size_t n)
{
    (void)owner;
    lab.messages++;
    lab.got_n = n < sizeof(lab.got) ? n : sizeof(lab.got);
    memcpy(lab.got, message, lab.got_n);
}

static void on_closed(void *owner, enum dtls_end why, const char *reason)
{
    (void)owner;
    CU_ASSERT_TRUE(strlen(reason) > 0);
    lab.closed = true;
    lab.why = why;
    dtls_session_close(lab.session); /* allowed from here */
    lab.session = NULL;
}

static const struct dtls_handler handler = {on_send, on_opened, on_received, on_closed};

static int server_receives(WOLFSSL *ssl, char *to, int room, void *owner)
{
    (void)ssl;
    (void)owner;
    struct queue *q = &lab.to_server;
    if (q->n == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    int n = (int)q->len[q->first];
    CU_ASSERT_TRUE_FATAL(n <= room);
    memcpy(to, q->at[q->first], (size_t)n);
    q->first = (q->first + 1) % QUEUE;
    q->n--;
    return n;
}

static int server_sends(WOLFSSL *ssl, char *at, int n, void *owner)
{
    (void)ssl;
    (void)owner;
    push(&lab.to_client, at, (size_t)n);
    return n;
}

static unsigned int server_psk(WOLFSSL *ssl, const char *identity, unsigned char *key, unsigned int room)
{
    (void)ssl;
    (void)room;
    if (strcmp(identity, "dev-probe-1") != 0)
        return 0;
    memcpy(key, "0123456789abcdef", 16);
    return 16;
}

static int server_cookie(WOLFSSL *ssl, unsigned char *to, int n, void *owner)
{
    (void)ssl;
    (void)owner;
    memset(to, 7, (size_t)n);
    return n;
}

static void write_keys(const char *text)
{
    FILE *file = fopen(lab.keys, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    fclose(file);
    chmod(lab.keys, 0600);
}

static void new_server(void)
{
    wolfSSL_free(lab.server);
    lab.server = wolfSSL_new(lab.server_ctx);
    wolfSSL_SetIOReadCtx(lab.server, &lab);
    wolfSSL_SetIOWriteCtx(lab.server, &lab);
    wolfSSL_dtls_set_using_nonblock(lab.server, 1);
    lab.to_server = lab.to_client = (struct queue){.n = 0};
}

static void new_server_ctx(void)
{
    lab.server_ctx = wolfSSL_CTX_new(wolfDTLSv1_2_server_method());
    wolfSSL_CTX_set_psk_server_callback(lab.server_ctx, server_psk);
    wolfSSL_CTX_SetIORecv(lab.server_ctx, server_receives);
    wolfSSL_CTX_SetIOSend(lab.server_ctx, server_sends);
    wolfSSL_CTX_SetGenCookie(lab.server_ctx, server_cookie);
}

static void open_lab(const char *keys)
{
    struct tls_error error;
    memset(&lab, 0, sizeof(lab));
    lab.now_us = 1000 * S;
    strcpy(lab.folder, "/tmp/dtls-test-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(lab.folder));
    snprintf(lab.keys, sizeof(lab.keys), "%s/psk", lab.folder);
    write_keys(keys);
    struct dtls_settings settings = {.psk_file = lab.keys, .psk_id = "dev-%s"};
    lab.context = dtls_context_create(&settings, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(lab.context);
    lab.worker = dtls_worker_create(16, NULL);
    new_server_ctx();
    new_server();
}

static void close_lab(void)
{
    if (lab.session != NULL)
        dtls_session_close(lab.session);
    wolfSSL_free(lab.server);
    wolfSSL_CTX_free(lab.server_ctx);
    dtls_context_unref(lab.context);
    dtls_worker_destroy(lab.worker);
    unlink(lab.keys);
    rmdir(lab.folder);
}

static void dial(void)
{
    struct tls_error error = {.text = ""};
    lab.opened = lab.closed = false;
    lab.session =
        dtls_connect(lab.worker, lab.context, "probe-1", NULL, 1200, &handler, NULL, lab.now_us, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(lab.session);
}

/* Hands datagrams over until nobody has anything to say. */
static void exchange(void)
{
    for (int i = 0; i < 40; i++) {
        if (wolfSSL_accept(lab.server) != WOLFSSL_SUCCESS && lab.to_client.n == 0 && lab.to_server.n == 0)
            return;
        while (lab.to_client.n > 0 && lab.session != NULL) {
            struct queue *q = &lab.to_client;
            uint32_t slot = q->first;
            q->first = (q->first + 1) % QUEUE;
            q->n--;
            dtls_session_input(lab.session, q->at[slot], q->len[slot], lab.now_us);
        }
        if (lab.opened && lab.to_server.n == 0)
            return;
    }
}

static void test_messages(void)
{
    uint8_t buffer[256];
    open_lab(
        "# keys\r\n\nother:00112233445566778899aabbccddeeff\ndev-probe-1:30313233343536373839616263646566\n");
    CU_ASSERT_EQUAL(dtls_context_keys(lab.context), 2);
    dial();
    CU_ASSERT_FALSE(dtls_session_write(lab.session, (const uint8_t *)"x", 1)); /* not open yet */
    exchange();
    CU_ASSERT_TRUE_FATAL(lab.opened);
    CU_ASSERT_PTR_NOT_NULL(strstr(dtls_session_cipher(lab.session), "GCM"));
    CU_ASSERT_EQUAL(dtls_session_due_us(lab.session), UINT64_MAX);
    CU_ASSERT_TRUE(dtls_session_write(lab.session, (const uint8_t *)"question", 8));
    struct queue copy = lab.to_server;
    CU_ASSERT_EQUAL(wolfSSL_read(lab.server, buffer, sizeof(buffer)), 8);
    CU_ASSERT_EQUAL(memcmp(buffer, "question", 8), 0);
    CU_ASSERT_TRUE(copy.len[copy.first] <= 8 + DTLS_RECORD_OVERHEAD);
    CU_ASSERT_EQUAL(wolfSSL_write(lab.server, "answer", 6), 6);
    uint8_t *record = lab.to_client.at[lab.to_client.first];
    size_t n = lab.to_client.len[lab.to_client.first];
    dtls_session_input(lab.session, record, n, lab.now_us);
    CU_ASSERT_TRUE(lab.messages == 1 && lab.got_n == 6);
    dtls_session_input(lab.session, record, n, lab.now_us); /* replayed */
    record[n - 1] ^= 1;
    dtls_session_input(lab.session, record, n, lab.now_us); /* forged */
    dtls_session_input(lab.session, (const uint8_t *)"noise", 5, lab.now_us);
    CU_ASSERT_EQUAL(lab.messages, 1);
    CU_ASSERT_FALSE(lab.closed);
    uint8_t large[1300] = {0};
    CU_ASSERT_FALSE(dtls_session_write(lab.session, large, 1200 - DTLS_RECORD_OVERHEAD + 1));
    CU_ASSERT_TRUE(dtls_session_write(lab.session, large, 1100));
    CU_ASSERT_TRUE(lab.to_server.len[lab.to_server.first] <= 1200);
    close_lab();
}

/* B2: lost flights are sent again after 1, 2, ... s. */
static void test_loss(void)
{
    open_lab("dev-probe-1:30313233343536373839616263646566\n");
    lab.drop_next = 2;
    dial();
    CU_ASSERT_EQUAL(dtls_session_due_us(lab.session), lab.now_us + S);
    lab.now_us += S;
    dtls_session_fire(lab.session, lab.now_us); /* lost again */
    CU_ASSERT_EQUAL(dtls_session_due_us(lab.session), lab.now_us + 2 * S);
    lab.now_us += 2 * S;
    dtls_session_fire(lab.session, lab.now_us);
    exchange();
    CU_ASSERT_TRUE(lab.opened);
    close_lab();
}

static void test_silence(void)
{
    open_lab("dev-probe-1:30313233343536373839616263646566\n");
    lab.drop_next = 100;
    dial();
    for (int i = 0; i < 10 && !lab.closed; i++) {
        lab.now_us = dtls_session_due_us(lab.session);
        dtls_session_fire(lab.session, lab.now_us);
    }
    CU_ASSERT_TRUE(lab.closed && lab.why == DTLS_END_SILENT);
    close_lab();
}

static void test_wrong_key(void)
{
    open_lab("dev-probe-1:ffffffffffffffffffffffffffffffff\n");
    dial();
    exchange();
    CU_ASSERT_FALSE(lab.opened);
    close_lab();
}

static void test_no_key(void)
{
    struct tls_error error = {.text = ""};
    open_lab("dev-probe-1:30313233343536373839616263646566\n");
    CU_ASSERT_PTR_NULL(
        dtls_connect(lab.worker, lab.context, "probe-2", NULL, 1200, &handler, NULL, 0, &error));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "dev-probe-2"));
    close_lab();
}

/* B2: the next session for the same identity is resumed. */
static void test_resumption(void)
{
    open_lab("dev-probe-1:30313233343536373839616263646566\n");
    dial();
    exchange();
    CU_ASSERT_TRUE(lab.opened);
    CU_ASSERT_FALSE(dtls_session_resumed(lab.session));
    dtls_session_close(lab.session);
    new_server();
    dial();
    exchange();
    CU_ASSERT_TRUE(lab.opened);
    CU_ASSERT_TRUE(dtls_session_resumed(lab.session));
    close_lab();
}

/* RFC 5077 section 3.4: one whose ticket the server does not know any more is an ordinary one. */
static void test_forgotten(void)
{
    open_lab("dev-probe-1:30313233343536373839616263646566\n");
    dial();
    exchange();
    dtls_session_close(lab.session);
    WOLFSSL_CTX *before = lab.server_ctx;
    new_server_ctx();
    new_server();
    wolfSSL_CTX_free(before);
    dial();
    exchange();
#ifdef WOLFSSL_RESUMES_TLSV1_2
    CU_ASSERT_TRUE_FATAL(lab.opened);
    CU_ASSERT_FALSE(dtls_session_resumed(lab.session));
#endif
    close_lab();
}

static void test_server_closes(void)
{
    open_lab("dev-probe-1:30313233343536373839616263646566\n");
    dial();
    exchange();
    wolfSSL_shutdown(lab.server);
    dtls_session_input(lab.session, lab.to_client.at[lab.to_client.first],
                       lab.to_client.len[lab.to_client.first], lab.now_us);
    CU_ASSERT_TRUE(lab.closed && lab.why == DTLS_END_PEER);
    close_lab();
}

static void test_key_file(void)
{
    static const struct {
        const char *text;
        const char *told; /* NULL: good */
    } rows[] = {
        {"a:00112233445566778899aabbccddeeff", NULL},
        {"a:00112233445566778899AABBCCDDEEFF\r\n", NULL},
        {"", "is empty"},
        {"# nothing\n", "holds no key"},
        {"a\n", "line 1"},
        {"\n\na:0011\n", "line 3"},
        {"a:00112233445566778899aabbccddeef\n", "hex digits"},
        {"a:00112233445566778899aabbccddeefg\n", "hex digits"},
        {":00112233445566778899aabbccddeeff\n", "identity"},
        {"a:00112233445566778899aabbccddeeff\na:ff112233445566778899aabbccddeeff\n", "same identity"},
    };
    struct tls_error error;
    open_lab("dev-probe-1:30313233343536373839616263646566\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dtls_settings settings = {.psk_file = lab.keys, .psk_id = "dev-%s"};
        write_keys(rows[i].text);
        struct dtls_context *context = dtls_context_create(&settings, &error);
        CU_ASSERT_EQUAL(context != NULL, rows[i].told == NULL);
        if (rows[i].told != NULL && strstr(error.text, rows[i].told) == NULL)
            CU_FAIL(error.text);
        /* A message never shows a key. */
        CU_ASSERT_PTR_NULL(strstr(error.text, "001122"));
        dtls_context_unref(context);
    }
    write_keys("dev-probe-1:30313233343536373839616263646566\ndev-x:00112233445566778899aabbccddeeff\n");
    struct dtls_settings settings = {.psk_file = lab.keys, .psk_id = "dev-%s"};
    struct dtls_context *other = dtls_context_create(&settings, &error);
    CU_ASSERT_TRUE(dtls_context_same(lab.context, other, "probe-1"));
    CU_ASSERT_FALSE(dtls_context_same(lab.context, other, "x"));
    dtls_context_unref(other);
    close_lab();
}

/* B2: a library that cannot do it says so when the configuration is checked, not when a device connects. */
static void test_library_without_psk(void)
{
    struct tls_error error;
    memset(&lab, 0, sizeof(lab));
    strcpy(lab.folder, "/tmp/dtls-test-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(lab.folder));
    snprintf(lab.keys, sizeof(lab.keys), "%s/psk", lab.folder);
    write_keys("dev-probe-1:0102030405060708090a0b0c0d0e0f10\n");
    struct dtls_settings client = {.psk_file = lab.keys, .psk_id = "dev-%s"};
    CU_ASSERT_PTR_NULL(dtls_context_create(&client, &error));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "no suites with a PSK alone"));
    struct dtls_server_settings server = {.psk_file = lab.keys};
    CU_ASSERT_PTR_NULL(dtls_server_context_create(&server, &error));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "no suites with a PSK alone"));
    unlink(lab.keys);
    rmdir(lab.folder);
}

int main(void)
{
    static const struct unit_test without[] = {{"refused", test_library_without_psk}};
    static const struct unit_test tests[] = {{"messages", test_messages},
                                             {"loss (B2)", test_loss},
                                             {"silence", test_silence},
                                             {"wrong key", test_wrong_key},
                                             {"no key", test_no_key},
                                             {"resumption (B2)", test_resumption},
                                             {"a server that has forgotten (RFC 5077 s.3.4)", test_forgotten},
                                             {"server closes", test_server_closes},
                                             {"key file", test_key_file}};
    if (tls_library_init() != 0)
        return EXIT_FAILURE;
    int result = tls_library_has_psk() ? unit_run("dtls_stream", tests, sizeof(tests) / sizeof(tests[0]))
                                       : unit_skipped(unit_run("dtls_stream", without, 1), "DTLS with a PSK",
                                                      "this wolfSSL has no suites for it");
    tls_library_fini();
    return result;
}
