/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A listener's side of TLS (A5, B4): which clients are let in, who they are, and what becomes of the others.
 */
#include "dataplane/secure/tls_peer.h"
#include "tests/unit/tls_case.h"
#include "tests/unit/tls_server_lab.h"

/* ---- good and bad clients ------------------------------------------------------------------------------ */

struct client {
    const char *what;
    const char *certificate;
    const char *crl_file;
    const char *reason; /* NULL: let in */
    int alert;          /* that the client is told: RFC 8446 section 6.2; of no certificate in TLS 1.3 */
};

static const struct client clients[] = {
    {"a device's certificate", "truck-001", NULL, NULL},
    {"without extended key usage (RFC 5280 4.2.1.12)", "anyuse", NULL, NULL},
    {"RSA-2048 key", "crsa2048", NULL, NULL},
    {"through an intermediate CA", "cviasub", NULL, NULL},
    {"good, with a revocation list", "truck-001", "clients.crl", NULL},
    {"through an intermediate CA, with both lists", "cviasub", "clients.crl", NULL},
    {"no certificate", NULL, NULL, "client sent no certificate", 116},
    {"unknown CA", "cstranger", NULL, "issuer is not trusted", 48},
    {"self-signed", "cself", NULL, "", 48},
    {"expired", "cold", NULL, "certificate has expired", 45},
    {"not yet valid", "cearly", NULL, "certificate is not yet valid", 45},
    {"made for a server only", "server", NULL, "certificate may not be used for a client", 43},
    {"may not sign (RFC 5280 4.2.1.3)", "notsign", NULL, "certificate's key may not be used to sign", 43},
    {"RSA-1024 key", "crsa1024", NULL, "certificate's RSA key is shorter than 2048 bits", 42},
    {"signed with SHA-1", "csha", NULL, "certificate is signed with SHA-1 or older", 42},
    {"intermediate signed with SHA-1", "cviashasub", NULL, "certificate is signed with SHA-1 or older", 42},
    {"name constraint of the intermediate (RFC 5280 4.2.1.10)", "cvialimited", NULL, "", 42},
    {"revoked", "crevoked", "clients.crl", "certificate has been revoked", 44},
    {"its intermediate is revoked", "cviasub", "latest.crl", "certificate has been revoked", 44},
    {"no list of its issuer", "cviasub", "later.crl", "no revocation list covers the certificate", 46},
    {"the list is out of date", "truck-001", "stale.crl", "revocation list is out of date", 46},
};

/* With the intermediate among the CAs: its list cannot be verified otherwise. */
#define BOTH_CAS "both.pem"

static bool judge(const struct client *client, bool only_1_2)
{
    struct tls_server_settings settings = lab_listener();
    settings.client_ca_file = lab_path(client->crl_file == NULL ? "ca.pem" : BOTH_CAS);
    settings.crl_file = client->crl_file == NULL ? NULL : lab_path(client->crl_file);
    struct tls_error error;
    struct tls_context *context = tls_server_context_create(&settings, &error);
    if (context == NULL) {
        fprintf(stderr, "\n%s: %s\n", client->what, error.text);
        return client->reason != NULL && strstr(error.text, client->reason) != NULL;
    }
    struct lab_client peer = {.certificate = client->certificate, .only_1_2 = only_1_2};
    struct lab *lab = lab_create_listener(context, &peer, NULL);
    lab_settle_listener(lab);
    bool good = client->reason == NULL
                    ? lab->opened == 1 && lab->closed == 0 && tls_stream_peer(lab->client) != NULL
                    : lab->opened == 0 && lab->closed == 1 && lab->why == STREAM_END_TLS_VERIFY &&
                          lab->server_failed && tls_worker_counter(lab->worker, TLS_FAILED_VERIFY) == 1;
    if (client->reason != NULL)
        good =
            good && (client->reason[0] == 0 ? lab->reason[0] != 0 : strcmp(lab->reason, client->reason) == 0);
    WOLFSSL_ALERT_HISTORY history = {.last_rx = {0}};
    wolfSSL_get_alert_history(lab->server, &history);
    int alert = history.last_rx.level == alert_fatal ? history.last_rx.code : 0;
    int expected = only_1_2 && client->alert == 116 ? 40 : client->alert; /* RFC 5246 section 7.4.6 */
    good = good && alert == expected;
    if (!good)
        fprintf(stderr, "\nalert %d, not %d", alert, expected);
    if (!good)
        fprintf(stderr, "\n%s (%s): opened %d closed %d why %d failed %d reason '%s'\n", client->what,
                only_1_2 ? "TLS 1.2" : "TLS 1.3", lab->opened, lab->closed, (int)lab->why, lab->server_failed,
                lab->reason);
    lab_destroy(lab);
    tls_context_unref(context);
    return good;
}

static void test_matrix_1_3(void)
{
    for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
        CU_ASSERT_TRUE(judge(&clients[i], false));
}

static void test_matrix_1_2(void)
{
    for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
        CU_ASSERT_TRUE(judge(&clients[i], true));
}

/* ---- who it is ----------------------------------------------------------------------------------------- */

static bool is(const char *text, const char *expected)
{
    return text == NULL || expected == NULL ? text == expected : strcmp(text, expected) == 0;
}

static struct lab *open_listener(const struct tls_server_settings *settings, const struct lab_client *client)
{
    struct tls_context *context = lab_listener_context(settings);
    struct lab *lab = lab_create_listener(context, client, NULL);
    tls_context_unref(context);
    lab_settle_listener(lab);
    CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
    return lab;
}

static void test_peer(void)
{
    struct tls_server_settings settings = lab_listener();
    struct lab_client client = {.certificate = "named"};
    struct lab *lab = open_listener(&settings, &client);
    const struct tls_peer *peer = tls_stream_peer(lab->client);
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer);
    CU_ASSERT_TRUE(is(peer->cn, "truck-001"));
    CU_ASSERT_TRUE(is(peer->ou, "trucks"));
    CU_ASSERT_EQUAL_FATAL(peer->sans_n, 2);
    CU_ASSERT_TRUE(is(peer->san[0], "truck-001.fleet.example"));
    CU_ASSERT_TRUE(is(peer->san[1], "spiffe://fleet/truck-1"));
    CU_ASSERT_TRUE(is(peer->psk_id, NULL));
    CU_ASSERT_STRING_EQUAL(tls_stream_version(lab->client), "1.3");
    close_lab(lab);
}

static void test_optional(void)
{
    struct tls_server_settings settings = lab_listener();
    struct lab_client client = {.certificate = NULL};
    settings.needs_certificate = false;
    struct lab *lab = open_listener(&settings, &client);
    CU_ASSERT_PTR_NULL(tls_stream_peer(lab->client));
    close_lab(lab);
    /* Asked for and shown, it must be good. */
    struct tls_context *context = lab_listener_context(&settings);
    client.certificate = "cold";
    lab = lab_create_listener(context, &client, NULL);
    lab_settle_listener(lab);
    CU_ASSERT_EQUAL(lab->opened, 0);
    CU_ASSERT_STRING_EQUAL(lab->reason, "certificate has expired");
    lab_destroy(lab);
    tls_context_unref(context);
}

/* A listener that asks nobody does not look at what it is shown either. */
static void test_unasked(void)
{
    struct tls_server_settings settings = lab_listener();
    struct lab_client client = {.certificate = "truck-001"};
    settings.needs_certificate = false;
    settings.client_ca_file = NULL;
    struct lab *lab = open_listener(&settings, &client);
    CU_ASSERT_PTR_NULL(tls_stream_peer(lab->client));
    close_lab(lab);
}

static void test_settings(void)
{
    static const struct {
        const char *certificate, *key, *ca, *crl;
        bool needs;
        const char *words;
    } cases[] = {
        {"server.pem", NULL, NULL, NULL, false, "a listener needs a certificate and its key"},
        {"server.pem", "truck-001.key", NULL, NULL, false, "does not belong to certificate"},
        {"absent.pem", "server.key", NULL, NULL, false, "No such file"},
        {"server.pem", "server.key", NULL, NULL, true, "need a file of CAs"},
        {"server.pem", "server.key", NULL, "ca.crl", false, "need a file of CAs"},
        {"server.pem", "server.key", "empty.pem", NULL, false, "empty"},
        {"server.pem", "server.key", "ca.pem", "server.pem", true, "does not hold revocation lists"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_error error;
        struct tls_server_settings settings = {
            .certificate_file = lab_path(cases[i].certificate),
            .key_file = cases[i].key == NULL ? NULL : lab_path(cases[i].key),
            .client_ca_file = cases[i].ca == NULL ? NULL : lab_path(cases[i].ca),
            .crl_file = cases[i].crl == NULL ? NULL : lab_path(cases[i].crl),
            .needs_certificate = cases[i].needs};
        CU_ASSERT_PTR_NULL(tls_server_context_create(&settings, &error));
        CU_ASSERT_PTR_NOT_NULL(strstr(error.text, cases[i].words));
        if (strstr(error.text, cases[i].words) == NULL)
            fprintf(stderr, "\n%s\n", error.text);
    }
}

/* ---- bytes --------------------------------------------------------------------------------------------- */

static void echo(bool only_1_2, size_t fragment)
{
    static const char text[] = "what a device says";
    struct tls_server_settings settings = lab_listener();
    struct lab_client client = {.certificate = "truck-001", .only_1_2 = only_1_2};
    struct tls_context *context = lab_listener_context(&settings);
    struct lab *lab = lab_create_listener(context, &client, NULL);
    tls_context_unref(context);
    lab->fragment = fragment;
    lab_settle_listener(lab);
    CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
    CU_ASSERT_STRING_EQUAL(tls_stream_version(lab->client), only_1_2 ? "1.2" : "1.3");
    CU_ASSERT_EQUAL(wolfSSL_write(lab->server, text, sizeof(text)), (int)sizeof(text));
    lab_turns(lab, 4);
    CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->got), sizeof(text));
    CU_ASSERT_EQUAL(stream_write(lab->client, (const uint8_t *)text, sizeof(text)), sizeof(text));
    lab_turns(lab, 4);
    CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->server_got), sizeof(text));
    stream_finish(lab->client);
    lab_turns(lab, 2);
    CU_ASSERT_TRUE(lab->server_got_notify);
    CU_ASSERT_TRUE(lab->finished);
    close_lab(lab);
}

static void test_bytes(void)
{
    for (int version = 0; version < 2; version++)
        for (size_t fragment = 1; fragment < 2000; fragment = fragment * 3 + 1)
            echo(version == 1, fragment);
}

/* Data that comes with the client's last flight waits until the session is open, and is not lost. */
static void test_data_at_once(void)
{
    struct tls_server_settings settings = lab_listener();
    struct lab_client client = {.certificate = "truck-001"};
    struct tls_context *context = lab_listener_context(&settings);
    struct lab *lab = lab_create_listener(context, &client, NULL);
    tls_context_unref(context);
    for (int i = 0; i < 40 && !lab->server_open; i++)
        lab_turn(lab);
    lab->no_delivery = true;
    CU_ASSERT_EQUAL(wolfSSL_write(lab->server, "now", 3), 3);
    lab->no_delivery = false;
    lab_settle_listener(lab);
    CU_ASSERT_EQUAL(lab->opened, 1);
    CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->got), 3);
    close_lab(lab);
}

/* ---- who does not speak TLS ---------------------------------------------------------------------------- */

static void test_plain(void)
{
    static const struct {
        const char *what;
        uint8_t bytes[4];
        const char *reason;
    } cases[] = {
        {"MQTT CONNECT", {0x10, 0x20, 0, 4}, "client speaks MQTT without TLS"},
        {"HTTP", {'G', 'E', 'T', ' '}, "client does not speak TLS"},
        {"SSL 2 hello", {0x80, 0x2E, 1, 0}, "client does not speak TLS"},
        {"an alert to begin with", {21, 3, 1, 0}, "client does not speak TLS"},
        {"application data to begin with", {23, 3, 3, 0}, "client does not speak TLS"},
    };
    struct tls_server_settings settings = lab_listener();
    struct tls_context *context = lab_listener_context(&settings);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t first = 1; first <= 4; first++) {
            struct lab *lab = lab_create_listener(context, NULL, NULL);
            lab_pipe_add(&lab->to_client, cases[i].bytes, first);
            lab_turns(lab, 3);
            CU_ASSERT_EQUAL(lab->closed, 1);
            CU_ASSERT_EQUAL(lab->why, STREAM_END_TLS_PROTOCOL);
            CU_ASSERT_STRING_EQUAL(lab->reason, cases[i].reason);
            CU_ASSERT_TRUE(lab->finished); /* a FIN, not a reset */
            CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->to_server), 0);
            CU_ASSERT_EQUAL(tls_worker_counter(lab->worker, TLS_NOT_TLS), 1);
            close_lab(lab);
        }
    tls_context_unref(context);
}

static void test_slow(void)
{
    static const uint8_t begun[] = {22, 3, 1, 2, 0, 1};
    static const char *const reasons[] = {"client did not begin a TLS handshake",
                                          "TLS handshake took too long"};
    struct tls_server_settings settings = lab_listener();
    struct tls_context *context = lab_listener_context(&settings);
    for (size_t sent = 0; sent <= sizeof(begun); sent++) {
        struct lab *lab = lab_create_listener(context, NULL, NULL);
        for (size_t i = 0; i < sent; i++) { /* one byte a second does not buy more time */
            lab_pipe_add(&lab->to_client, begun + i, 1);
            lab->now_us += 700000;
            lab_turn(lab);
        }
        CU_ASSERT_EQUAL(lab->closed, 0);
        lab->now_us += 5000000;
        lab_turn(lab);
        CU_ASSERT_EQUAL(lab->closed, 1);
        CU_ASSERT_EQUAL(lab->why, STREAM_END_TIMEOUT);
        CU_ASSERT_STRING_EQUAL(lab->reason, reasons[sent > 0]);
        CU_ASSERT_EQUAL(tls_worker_counter(lab->worker, TLS_FAILED_TIMEOUT), 1);
        close_lab(lab);
    }
    tls_context_unref(context);
}

/* B6: in a storm those who have given up do not cost those who have not. */
static size_t queue_room(const struct stream *s)
{
    (void)s;
    return 65536;
}

static size_t queue_write(struct stream *s, const uint8_t *p, size_t n)
{
    (void)s;
    (void)p;
    return n;
}

static void queue_nothing(struct stream *s)
{
    (void)s;
}

static void test_given_up(void)
{
    enum { AT_ONCE = 16, CLIENTS = 40 };
    static const struct stream_ops ops = {.room = queue_room,
                                          .write = queue_write,
                                          .flush = queue_nothing,
                                          .resume = queue_nothing,
                                          .finish = queue_nothing,
                                          .abort = queue_nothing};
    static const uint8_t begun[] = {22, 3, 1, 2, 0, 1};
    struct tls_server_settings settings = lab_listener();
    struct tls_context *context = lab_listener_context(&settings);
    struct chunk_pool *chunks = chunk_pool_create(128);
    struct tls_worker_config config = {
        .sessions = CLIENTS, .chunks = chunks, .handshake_timeout_us = 5000000};
    struct tls_worker *worker = tls_worker_create(&config);
    struct stream lowers[CLIENTS];
    static struct lab heard[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        lowers[i] = (struct stream){.ops = &ops};
        heard[i] = (struct lab){.now_us = 0};
        heard[i].client = tls_accept(worker, context, NULL, &lowers[i], &lab_upper, &heard[i], 0);
        CU_ASSERT_PTR_NOT_NULL_FATAL(heard[i].client);
        lowers[i].handler->data(lowers[i].owner, begun, sizeof(begun));
    }
    CU_ASSERT_EQUAL(tls_worker_waiting(worker), CLIENTS - AT_ONCE);
    lowers[AT_ONCE].handler->ended(lowers[AT_ONCE].owner); /* FIN */
    CU_ASSERT_EQUAL(tls_worker_waiting(worker), CLIENTS - AT_ONCE - 1);
    lowers[AT_ONCE + 1].handler->closed(lowers[AT_ONCE + 1].owner, STREAM_END_RESET);
    CU_ASSERT_EQUAL(tls_worker_waiting(worker), CLIENTS - AT_ONCE - 2);
    for (int i = AT_ONCE; i < AT_ONCE + 2; i++) {
        CU_ASSERT_EQUAL(heard[i].closed, 1);
        CU_ASSERT_STRING_EQUAL(heard[i].reason, "client closed the connection during the TLS handshake");
    }
    CU_ASSERT_EQUAL(tls_worker_sessions(worker), CLIENTS - 2);
    tls_worker_destroy(worker);
    chunk_pool_destroy(chunks);
    tls_context_unref(context);
}

static void test_gone(void)
{
    struct tls_server_settings settings = lab_listener();
    struct tls_context *context = lab_listener_context(&settings);
    struct lab *lab = lab_create_listener(context, NULL, NULL);
    lab->server_fin = true;
    lab_turns(lab, 3);
    CU_ASSERT_EQUAL(lab->closed, 1);
    CU_ASSERT_EQUAL(lab->why, STREAM_END_RESET);
    CU_ASSERT_STRING_EQUAL(lab->reason, "client closed the connection during the TLS handshake");
    close_lab(lab);
    tls_context_unref(context);
}

/* B1: 1.3 alone unless 1.2 is asked for. */
static void test_versions(void)
{
    struct tls_server_settings settings = lab_listener();
    struct lab_client client = {.certificate = "truck-001", .only_1_2 = true};
    settings.min_version = TLS_VERSION_1_3;
    struct tls_context *context = lab_listener_context(&settings);
    struct lab *lab = lab_create_listener(context, &client, NULL);
    lab_settle_listener(lab);
    CU_ASSERT_EQUAL(lab->opened, 0);
    CU_ASSERT_EQUAL(lab->closed, 1);
    CU_ASSERT_EQUAL(lab->why, STREAM_END_TLS_PROTOCOL);
    close_lab(lab);
    tls_context_unref(context);
}

/* Each byte of the client's flights changed: refused, never open with what was changed, nothing left behind.
 */
static void test_altered(void)
{
    struct tls_server_settings settings = lab_listener();
    struct lab_client client = {.certificate = "truck-001"};
    struct tls_context *context = lab_listener_context(&settings);
    for (size_t at = 0; at < 2200; at += 3) {
        struct lab *lab = lab_create_listener(context, &client, NULL);
        size_t seen = 0;
        for (int i = 0; i < 40 && lab->closed == 0; i++) {
            lab->no_delivery = true;
            lab_turn(lab);
            size_t n = lab_pipe_bytes(&lab->to_client);
            if (at >= seen && at < seen + n)
                lab->to_client.bytes[lab->to_client.from + (at - seen)] ^= 0x41;
            seen += n;
            lab->no_delivery = false;
            lab_deliver(lab);
        }
        if (at < seen && lab->opened > 0) /* legacy fields that nobody looks at */
            CU_ASSERT_TRUE(at < 80);
        close_lab(lab);
    }
    tls_context_unref(context);
}

/* Records of a renegotiation (RFC 5746) do not lead to one. */
static void test_renegotiation(void)
{
    struct tls_server_settings settings = lab_listener();
    struct lab_client client = {.certificate = "truck-001", .only_1_2 = true};
    struct lab *lab = open_listener(&settings, &client);
    CU_ASSERT_NOT_EQUAL(wolfSSL_Rehandshake(lab->server), WOLFSSL_SUCCESS);
    lab_turns(lab, 6);
    CU_ASSERT_EQUAL(tls_worker_counter(lab->worker, TLS_HANDSHAKES), 1);
    close_lab(lab);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"good and bad clients, TLS 1.3 (B4)", test_matrix_1_3},
        {"good and bad clients, TLS 1.2 (B4)", test_matrix_1_2},
        {"who it is (B4)", test_peer},
        {"a certificate that is asked for, not needed", test_optional},
        {"a certificate that nobody asked for", test_unasked},
        {"settings that are refused", test_settings},
        {"bytes in both directions", test_bytes},
        {"data with the last flight", test_data_at_once},
        {"clients that do not speak TLS", test_plain},
        {"slow clients (D2)", test_slow},
        {"clients that gave up in the queue (B6)", test_given_up},
        {"a client that goes", test_gone},
        {"versions (B1)", test_versions},
        {"each byte of the client's flights changed", test_altered},
        {"no renegotiation", test_renegotiation},
    };
    if (tls_library_init() != 0 || !lab_clients_pki())
        return EXIT_FAILURE;
    int result = unit_run("tls_server", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
