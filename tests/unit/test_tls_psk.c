/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pre-shared keys in TLS (B1, B3, B4, C1): toward servers and at listeners, in 1.3 and 1.2, and what becomes
 * of those who hold no key, another key, or want a key without forward secrecy.
 */
#include "dataplane/secure/tls_psk.h"
#include "tests/unit/psk_hello.h"
#include "tests/unit/tls_case.h"
#include "tests/unit/tls_server_lab.h"

static const uint8_t key_1[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const uint8_t key_2[16] = {1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const char key_file_text[] = "# keys\n"
                                    "truck-001:000102030405060708090a0b0c0d0e0f\n"
                                    "truck-002:010102030405060708090a0b0c0d0e0f\n"
                                    "gw-truck-003:020102030405060708090a0b0c0d0e0f\n";

static const char *key_file(const char *name, const char *text)
{
    const char *path = lab_path(name);
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_TRUE(fputs(text, file) >= 0 && fclose(file) == 0);
    return path;
}

/* ---- the other side --------------------------------------------------------------------------------------
 */

struct peer {
    const char *identity; /* a client's */
    const uint8_t *key;   /* NULL: it has none */
    const char *suites;
    const char *certificate; /* a server's, or NULL */
    bool only_1_2;
    int group; /* of a server, the only one; 0: all */
};

static const struct peer *peer_now;

static unsigned int peer_as_client(WOLFSSL *ssl, const char *hint, char *identity, unsigned int room,
                                   unsigned char *key, unsigned int key_room)
{
    (void)ssl;
    (void)hint;
    if (key_room < sizeof(key_1))
        return 0;
    snprintf(identity, room, "%s", peer_now->identity);
    memcpy(key, peer_now->key, sizeof(key_1));
    return sizeof(key_1);
}

static unsigned int peer_as_server(WOLFSSL *ssl, const char *identity, unsigned char *key, unsigned int room)
{
    (void)ssl;
    if (strcmp(identity, peer_now->identity) != 0 || room < sizeof(key_1))
        return 0;
    memcpy(key, peer_now->key, sizeof(key_1));
    return sizeof(key_1);
}

static WOLFSSL_CTX *peer_ctx(const struct peer *peer, bool client)
{
    peer_now = peer;
    WOLFSSL_CTX *ctx =
        client ? wolfSSL_CTX_new(peer->only_1_2 ? wolfTLSv1_2_client_method() : wolfTLSv1_3_client_method())
               : wolfSSL_CTX_new(peer->only_1_2 ? wolfTLSv1_2_server_method() : wolfTLSv1_3_server_method());
    wolfSSL_CTX_SetIORecv(ctx, lab_server_receive);
    wolfSSL_CTX_SetIOSend(ctx, lab_server_send);
    if (client)
        wolfSSL_CTX_load_verify_locations(ctx, lab_path("ca.pem"), NULL);
    else
        wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE, NULL);
    if (peer->suites != NULL && wolfSSL_CTX_set_cipher_list(ctx, peer->suites) != WOLFSSL_SUCCESS)
        return NULL;
    if (peer->key != NULL && client)
        wolfSSL_CTX_set_psk_client_callback(ctx, peer_as_client);
    if (peer->key != NULL && !client)
        wolfSSL_CTX_set_psk_server_callback(ctx, peer_as_server);
    if (peer->group != 0) {
        int group = peer->group;
        wolfSSL_CTX_set_groups(ctx, &group, 1);
    }
    if (peer->certificate == NULL)
        return ctx;
    char name[64];
    snprintf(name, sizeof(name), "%s.pem", peer->certificate);
    wolfSSL_CTX_use_certificate_chain_file(ctx, lab_path(name));
    snprintf(name, sizeof(name), "%s.key", peer->certificate);
    wolfSSL_CTX_use_PrivateKey_file(ctx, lab_path(name), WOLFSSL_FILETYPE_PEM);
    return ctx;
}

static bool echoes(struct lab *lab)
{
    lab->echo = true;
    lab->got.from = lab->got.to = 0;
    stream_write(lab->client, (const uint8_t *)"hello", 5);
    lab_turns(lab, 4);
    return lab_pipe_bytes(&lab->got) == 5 && memcmp(lab->got.bytes + lab->got.from, "hello", 5) == 0;
}

/* ---- toward servers --------------------------------------------------------------------------------------
 */

static struct tls_context *client_context(enum tls_version version, const char *psk_id)
{
    struct tls_error error;
    struct tls_settings settings = {.min_version = version,
                                    .psk_file = key_file("keys.psk", key_file_text),
                                    .psk_id = psk_id,
                                    .server_name = LAB_NAME,
                                    .resumption = true};
    struct tls_context *context = tls_context_create(&settings, &error);
    if (context == NULL)
        fprintf(stderr, "%s\n", error.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(context);
    return context;
}

static struct lab *connect_to(const struct peer *server, struct tls_context *context, const char *identity)
{
    struct lab *lab = lab_create(NULL, NULL);
    lab_attach(lab, peer_ctx(server, false));
    lab_connect(lab, context, identity);
    lab_settle(lab);
    return lab;
}

static const struct server_case {
    const char *what;
    struct peer server;
    enum tls_version version;
    const char *psk_id;
    const char *identity;
    const char *suite;  /* NULL: refused */
    const char *reason; /* NULL: any */
} servers[] = {
    {"1.3",
     {"truck-001", key_1, NULL, NULL, false, 0},
     TLS_VERSION_1_3,
     "%s",
     "truck-001",
     "TLS_AES_128_GCM_SHA256",
     NULL},
    {"1.3, the server's suites in another order",
     {"truck-001", key_1, "TLS13-AES256-GCM-SHA384:TLS13-CHACHA20-POLY1305-SHA256:TLS13-AES128-GCM-SHA256",
      NULL, false, 0},
     TLS_VERSION_1_3,
     "%s",
     "truck-001",
     "TLS_AES_128_GCM_SHA256",
     NULL},
    {"1.3 where 1.2 is allowed",
     {"truck-001", key_1, NULL, NULL, false, 0},
     TLS_VERSION_1_2,
     "%s",
     "truck-001",
     "TLS_AES_128_GCM_SHA256",
     NULL},
    {"1.3 through HelloRetryRequest",
     {"truck-001", key_1, NULL, NULL, false, WOLFSSL_ECC_SECP256R1},
     TLS_VERSION_1_3,
     "%s",
     "truck-001",
     "TLS_AES_128_GCM_SHA256",
     NULL},
    {"1.3, one key for all",
     {"truck-002", key_2, NULL, NULL, false, 0},
     TLS_VERSION_1_3,
     "truck-002",
     NULL,
     "TLS_AES_128_GCM_SHA256",
     NULL},
    {"1.3, of a server with a certificate as well",
     {"truck-001", key_1, NULL, "server", false, 0},
     TLS_VERSION_1_3,
     "%s",
     "truck-001",
     "TLS_AES_128_GCM_SHA256",
     NULL},
    {"1.2 ECDHE-PSK ChaCha20 (RFC 7905)",
     {"truck-001", key_1, "ECDHE-PSK-CHACHA20-POLY1305", NULL, true, 0},
     TLS_VERSION_1_2,
     "%s",
     "truck-001",
     "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256",
     NULL},
    {"1.2 ECDHE-PSK AES-GCM (RFC 8442)",
     {"truck-001", key_1, "ECDHE-PSK-AES128-GCM-SHA256", NULL, true, 0},
     TLS_VERSION_1_2,
     "%s",
     "truck-001",
     "TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256",
     NULL},
    {"1.2 ECDHE-PSK on P-256",
     {"truck-001", key_1, "ECDHE-PSK-AES128-GCM-SHA256", NULL, true, WOLFSSL_ECC_SECP256R1},
     TLS_VERSION_1_2,
     "%s",
     "truck-001",
     "TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256",
     NULL},
    {"1.2 where only 1.3 is allowed",
     {"truck-001", key_1, NULL, NULL, true, 0},
     TLS_VERSION_1_3,
     "%s",
     "truck-001",
     NULL,
     NULL},
    {"1.2 PSK without forward secrecy",
     {"truck-001", key_1, "PSK-AES128-GCM-SHA256", NULL, true, 0},
     TLS_VERSION_1_2,
     "%s",
     "truck-001",
     NULL,
     NULL},
    {"another key, 1.3",
     {"truck-001", key_2, NULL, NULL, false, 0},
     TLS_VERSION_1_3,
     "%s",
     "truck-001",
     NULL,
     NULL},
    {"another key, 1.2",
     {"truck-001", key_2, "ECDHE-PSK-CHACHA20-POLY1305", NULL, true, 0},
     TLS_VERSION_1_2,
     "%s",
     "truck-001",
     NULL,
     NULL},
    {"the server has only a certificate, a good one",
     {"", NULL, NULL, "server", false, 0},
     TLS_VERSION_1_3,
     "%s",
     "truck-001",
     NULL,
     "certificate shown where a pre-shared key is agreed"},
    {"the server does not know the identity and shows a certificate",
     {"other", key_1, NULL, "server", false, 0},
     TLS_VERSION_1_3,
     "%s",
     "truck-001",
     NULL,
     "certificate shown where a pre-shared key is agreed"},
    {"the server has only a certificate, 1.2",
     {"", NULL, NULL, "server", true, 0},
     TLS_VERSION_1_2,
     "%s",
     "truck-001",
     NULL,
     NULL},
    {"a device without a key",
     {"truck-009", key_1, NULL, NULL, false, 0},
     TLS_VERSION_1_3,
     "%s",
     "truck-009",
     NULL,
     "no key for PSK identity 'truck-009'"},
    {"a device's identity within a longer one",
     {"gw-truck-003", key_1, NULL, NULL, false, 0},
     TLS_VERSION_1_3,
     "gw-%s",
     "truck-001",
     NULL,
     "no key for PSK identity 'gw-truck-001'"},
};

static bool judge_server(const struct server_case *c)
{
    struct tls_context *context = client_context(c->version, c->psk_id);
    struct lab *lab = connect_to(&c->server, context, c->identity);
    /* A server of the library's that finds nothing in common says nothing. */
    bool good = c->suite == NULL
                    ? lab->opened == 0 && !lab->server_open && (lab->closed == 1 || lab->server_failed)
                    : lab->opened == 1;
    if (good && c->suite != NULL) {
        const struct tls_peer *peer = tls_stream_peer(lab->client);
        good = peer != NULL && !peer->has_certificate && strcmp(peer->psk_id, c->server.identity) == 0 &&
               strcmp(tls_stream_cipher(lab->client), c->suite) == 0 && !tls_stream_resumed(lab->client) &&
               tls_context_refuses(context, peer) == NULL && echoes(lab);
    } else if (good && c->reason != NULL) {
        good = strcmp(lab->reason, c->reason) == 0;
    }
    if (!good)
        fprintf(stderr, "\n%s: opened %d closed %d why %d '%s' %s\n", c->what, lab->opened, lab->closed,
                (int)lab->why, lab->reason, lab->client == NULL ? "" : tls_stream_cipher(lab->client));
    close_lab(lab);
    tls_context_unref(context);
    return good;
}

static void test_servers(void)
{
    for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++)
        CU_ASSERT_TRUE(judge_server(&servers[i]));
}

/* B5, B3: nothing is kept to resume from: each connection proves the key. */
static void test_no_resumption_upstream(void)
{
    static const struct peer server = {"truck-001", key_1, NULL, NULL, false, 0};
    struct tls_context *context = client_context(TLS_VERSION_1_3, "%s");
    struct lab *lab = connect_to(&server, context, "truck-001");
    CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
    stream_finish(lab->client);
    lab_turns(lab, 4);
    stream_abort(lab->client);
    lab_reconnect(lab, context, "truck-001");
    lab_settle(lab);
    CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
    CU_ASSERT_FALSE(tls_stream_resumed(lab->client));
    CU_ASSERT_EQUAL(tls_worker_counter(lab->worker, TLS_RESUMED), 0);
    close_lab(lab);
    tls_context_unref(context);
}

static bool silent_server_refused(struct tls_context *context, const char *identity,
                                  const struct server_hello *first, const struct server_hello *second)
{
    static struct hello_out out;
    struct lab *lab = lab_create(NULL, NULL);
    lab_connect(lab, context, identity);
    lab_turns(lab, 3);
    const struct server_hello *hellos[] = {first, second};
    for (int i = 0; i < 2; i++) {
        if (hellos[i] == NULL)
            continue;
        /* What came before was taken: it is the last one that is refused. */
        CU_ASSERT_EQUAL(lab->closed, 0);
        hello_of_server(hellos[i], &out);
        lab_pipe_add(&lab->to_client, out.at, out.n);
        lab_turns(lab, 3);
    }
    bool refused = lab->closed == 1 && lab->why == STREAM_END_TLS_PROTOCOL;
    if (!refused)
        fprintf(stderr, "\nclosed %d why %d '%s'\n", lab->closed, (int)lab->why, lab->reason);
    close_lab(lab);
    return refused;
}

/*
 * psk_ke (RFC 8446 section 4.2.9), and CVE-2023-3724 with its relatives: a ServerHello without a key share,
 * with a PSK or without, at once or behind a HelloRetryRequest that named a group.
 */
static void test_no_key_share(void)
{
    static const struct server_hello retry = {.retry = true}, psk_ke = {.with_psk = true},
                                     nothing = {.with_psk = false};
    struct tls_settings settings = lab_settings();
    struct tls_error error;
    struct tls_context *contexts[] = {client_context(TLS_VERSION_1_3, "%s"),
                                      client_context(TLS_VERSION_1_2, "%s"),
                                      tls_context_create(&settings, &error)};
    for (size_t i = 0; i < 3; i++) {
        CU_ASSERT_PTR_NOT_NULL_FATAL(contexts[i]);
        CU_ASSERT_TRUE(silent_server_refused(contexts[i], "truck-001", &nothing, NULL));
        CU_ASSERT_TRUE(silent_server_refused(contexts[i], "truck-001", &psk_ke, NULL));
        CU_ASSERT_TRUE(silent_server_refused(contexts[i], "truck-001", &retry, &nothing));
        CU_ASSERT_TRUE(silent_server_refused(contexts[i], "truck-001", &retry, &psk_ke));
        tls_context_unref(contexts[i]);
    }
}

/* The same to a client that resumes: the group of the session it resumes is no key share of this one. */
static void test_no_key_share_resumed(void)
{
    static const struct lab_server plain = {.certificate = "server"};
    static struct hello_out out;
    for (int with_psk = 0; with_psk < 2; with_psk++) {
        struct tls_settings settings = lab_settings();
        struct server_hello hello = {.with_psk = with_psk == 1};
        struct tls_error error;
        settings.resumption = true;
        struct tls_context *context = tls_context_create(&settings, &error);
        CU_ASSERT_PTR_NOT_NULL_FATAL(context);
        struct lab *lab = lab_create(&plain, NULL);
        lab_connect(lab, context, "truck-001");
        lab_settle(lab);
        CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
        stream_abort(lab->client);
        lab_reconnect(lab, context, "truck-001");
        lab_settle(lab);
        CU_ASSERT_TRUE_FATAL(tls_stream_resumed(lab->client));
        lab_turns(lab, 4);
        stream_abort(lab->client);
        lab_reconnect(lab, context, "truck-001");
        wolfSSL_free(lab->server);
        lab->server = NULL;
        lab_turns(lab, 3);
        hello_of_server(&hello, &out);
        lab_pipe_add(&lab->to_client, out.at, out.n);
        lab_turns(lab, 3);
        CU_ASSERT_EQUAL(lab->closed, 1);
        CU_ASSERT_EQUAL(lab->why, STREAM_END_TLS_PROTOCOL);
        close_lab(lab);
        tls_context_unref(context);
    }
}

static void test_client_settings(void)
{
    struct tls_error error;
    struct tls_settings good = {.psk_file = key_file("keys.psk", key_file_text), .psk_id = "%s"};
    struct tls_context *context = tls_context_create(&good, &error); /* no server_name is needed */
    CU_ASSERT_PTR_NOT_NULL(context);
    CU_ASSERT_EQUAL(psk_keys_count(tls_context_keys(context)), 3);
    tls_context_unref(context);
    struct tls_settings bad[5] = {good, good, good, good, good};
    bad[0].psk_id = NULL;
    bad[1].ca_file = lab_path("ca.pem");
    bad[2].stapling = TLS_STAPLING_SOFT;
    bad[3].certificate_file = lab_path("truck-001.pem");
    bad[4].psk_file = lab_path("absent.psk");
    for (size_t i = 0; i < 5; i++)
        CU_ASSERT_PTR_NULL(tls_context_create(&bad[i], &error));
}

/* ---- at listeners ----------------------------------------------------------------------------------------
 */

static struct tls_context *listener_context(enum tls_version version, bool certificates, const char *keys)
{
    struct tls_error error;
    struct tls_server_settings settings = {.min_version = version, .psk_file = key_file("clients.psk", keys)};
    if (certificates) {
        settings.certificate_file = lab_path("server.pem");
        settings.key_file = lab_path("server.key");
        settings.client_ca_file = lab_path("ca.pem");
        settings.needs_certificate = true;
    }
    settings.resumption = true;
    struct tls_context *context = tls_server_context_create(&settings, &error);
    if (context == NULL)
        fprintf(stderr, "%s\n", error.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(context);
    return context;
}

static struct lab *accept_from(const struct peer *client, struct tls_context *context)
{
    struct lab *lab = lab_create(NULL, NULL);
    lab_attach(lab, peer_ctx(client, true));
    lab_accept(lab, context);
    lab_settle_listener(lab);
    return lab;
}

static const struct client_case {
    const char *what;
    struct peer client;
    bool certificates;  /* the listener takes them as well */
    const char *suite;  /* NULL: refused */
    const char *reason; /* NULL: any */
    enum tls_counter counter;
} clients[] = {
    {"1.3",
     {"truck-001", key_1, NULL, NULL, false, 0},
     false,
     "TLS_AES_128_GCM_SHA256",
     NULL,
     TLS_HANDSHAKES},
    {"1.3 ChaCha20: the hash is what is bound, not the suite (RFC 8446 4.2.11)",
     {"truck-001", key_1, "TLS13-CHACHA20-POLY1305-SHA256:TLS13-AES128-GCM-SHA256", NULL, false, 0},
     false,
     NULL,
     "",
     TLS_HANDSHAKES},
    {"1.2 ChaCha20",
     {"truck-002", key_2, "ECDHE-PSK-CHACHA20-POLY1305", NULL, true, 0},
     false,
     "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256",
     NULL,
     TLS_HANDSHAKES},
    {"1.2 AES-GCM",
     {"truck-002", key_2, "ECDHE-PSK-AES128-GCM-SHA256", NULL, true, 0},
     false,
     "TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256",
     NULL,
     TLS_HANDSHAKES},
    {"1.2 without forward secrecy",
     {"truck-001", key_1, "PSK-AES128-GCM-SHA256", NULL, true, 0},
     false,
     NULL,
     NULL,
     TLS_FAILED_PROTOCOL},
    {"wrong key, 1.3",
     {"truck-001", key_2, NULL, NULL, false, 0},
     false,
     NULL,
     "client has another key for PSK identity 'truck-001'",
     TLS_FAILED_PSK_KEY},
    {"wrong key, 1.2",
     {"truck-001", key_2, "ECDHE-PSK-AES128-GCM-SHA256", NULL, true, 0},
     false,
     NULL,
     "client has another key for PSK identity 'truck-001'",
     TLS_FAILED_PSK_KEY},
    {"wrong key, 1.2 ChaCha20",
     {"truck-001", key_2, "ECDHE-PSK-CHACHA20-POLY1305", NULL, true, 0},
     false,
     NULL,
     "client has another key for PSK identity 'truck-001'",
     TLS_FAILED_PSK_KEY},
    {"unknown identity, 1.3",
     {"stranger", key_1, NULL, NULL, false, 0},
     false,
     NULL,
     "no key for PSK identity 'stranger'",
     TLS_FAILED_PSK_UNKNOWN},
    {"unknown identity, 1.2",
     {"stranger", key_1, "ECDHE-PSK-AES128-GCM-SHA256", NULL, true, 0},
     false,
     NULL,
     "no key for PSK identity 'stranger'",
     TLS_FAILED_PSK_UNKNOWN},
    {"no key at all", {"", NULL, NULL, NULL, false, 0}, false, NULL, NULL, TLS_FAILED_PROTOCOL},
    {"with certificates: a key, 1.3",
     {"truck-001", key_1, NULL, NULL, false, 0},
     true,
     "TLS_AES_128_GCM_SHA256",
     NULL,
     TLS_HANDSHAKES},
    {"with certificates: a key, 1.2",
     {"truck-001", key_1, "ECDHE-PSK-AES128-GCM-SHA256", NULL, true, 0},
     true,
     "TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256",
     NULL,
     TLS_HANDSHAKES},
    {"with certificates: wrong key, 1.3",
     {"truck-001", key_2, NULL, NULL, false, 0},
     true,
     NULL,
     "client has another key for PSK identity 'truck-001'",
     TLS_FAILED_PSK_KEY},
    {"with certificates: unknown identity, 1.2",
     {"stranger", key_1, "ECDHE-PSK-AES128-GCM-SHA256", NULL, true, 0},
     true,
     NULL,
     "no key for PSK identity 'stranger'",
     TLS_FAILED_PSK_UNKNOWN},
    {"with certificates: unknown identity and no certificate, 1.3",
     {"stranger", key_1, NULL, NULL, false, 0},
     true,
     NULL,
     NULL,
     TLS_FAILED_VERIFY},
    {"with certificates: neither", {"", NULL, NULL, NULL, false, 0}, true, NULL, NULL, TLS_FAILED_VERIFY},
    {"with certificates: neither, 1.2",
     {"", NULL, "ECDHE-ECDSA-AES128-GCM-SHA256", NULL, true, 0},
     true,
     NULL,
     NULL,
     TLS_FAILED_VERIFY},
};

static bool judge_client(const struct client_case *c)
{
    struct tls_context *context = listener_context(TLS_VERSION_1_2, c->certificates, key_file_text);
    struct lab *lab = accept_from(&c->client, context);
    bool any = c->suite == NULL && c->reason != NULL && c->reason[0] == 0; /* let in, with some suite */
    bool in = c->suite != NULL || any;
    bool good = (in ? lab->opened == 1 : lab->opened == 0 && lab->closed == 1) &&
                tls_worker_counter(lab->worker, c->counter) == 1;
    if (good && in) {
        const struct tls_peer *peer = tls_stream_peer(lab->client);
        good = peer != NULL && !peer->has_certificate && strcmp(peer->psk_id, c->client.identity) == 0 &&
               (any || strcmp(tls_stream_cipher(lab->client), c->suite) == 0) &&
               !tls_stream_resumed(lab->client) && tls_context_refuses(context, peer) == NULL && echoes(lab);
    } else if (good && c->reason != NULL) {
        good = strcmp(lab->reason, c->reason) == 0;
    }
    if (!good)
        fprintf(stderr, "\n%s: opened %d closed %d why %d '%s' %s, peer error %d\n", c->what, lab->opened,
                lab->closed, (int)lab->why, lab->reason,
                lab->client == NULL ? "" : tls_stream_cipher(lab->client), lab->server_error);
    close_lab(lab);
    tls_context_unref(context);
    return good;
}

static void test_clients(void)
{
    for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
        CU_ASSERT_TRUE(judge_client(&clients[i]));
}

/* With certificates as well, those are taken as ever. */
static void test_certificate_beside(void)
{
    struct tls_context *context = listener_context(TLS_VERSION_1_2, true, key_file_text);
    struct lab_client named = {.certificate = "named"}, old = {.certificate = "named", .only_1_2 = true};
    struct lab_client *both[] = {&named, &old};
    for (size_t i = 0; i < 2; i++) {
        struct lab *lab = lab_create_listener(context, both[i], NULL);
        lab_settle_listener(lab);
        CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
        const struct tls_peer *peer = tls_stream_peer(lab->client);
        CU_ASSERT_TRUE(peer != NULL && peer->has_certificate && peer->psk_id == NULL);
        CU_ASSERT_EQUAL(tls_worker_counter(lab->worker, TLS_RESUMED), 0);
        close_lab(lab);
    }
    tls_context_unref(context);
}

/* Nor is a broken record of a client with a certificate taken for a wrong key. */
static void test_broken_beside(void)
{
    struct tls_context *context = listener_context(TLS_VERSION_1_3, true, key_file_text);
    struct lab *lab = lab_create_listener(context, &(struct lab_client){.certificate = "named"}, NULL);
    for (int i = 0; i < 400 && !lab->server_open; i++) {
        lab->no_delivery = true;
        lab_turn(lab);
        lab->no_delivery = lab->server_open; /* then its last flight is on the wire */
        lab_deliver(lab);
    }
    CU_ASSERT_FATAL(lab_pipe_bytes(&lab->to_client) > 0);
    lab->to_client.bytes[lab->to_client.to - 1] ^= 1;
    lab->no_delivery = false;
    lab_turns(lab, 6);
    CU_ASSERT_EQUAL(lab->opened, 0);
    CU_ASSERT_EQUAL(lab->closed, 1);
    CU_ASSERT_EQUAL(lab->why, STREAM_END_TLS_PROTOCOL);
    CU_ASSERT_EQUAL(tls_worker_counter(lab->worker, TLS_FAILED_PSK_UNKNOWN), 0);
    CU_ASSERT_EQUAL(tls_worker_counter(lab->worker, TLS_FAILED_PROTOCOL), 1);
    close_lab(lab);
    tls_context_unref(context);
}

/* ---- hellos that no library makes ------------------------------------------------------------------------
 */

enum answer { ANSWER_NONE = 0, ANSWER_HELLO = 256 }; /* else the number of a fatal alert */

static int answer_to(struct tls_context *context, const struct client_hello *hello, char reason[256])
{
    static struct hello_out out;
    struct lab *lab = lab_create(NULL, NULL);
    hello_of_client(hello, &out);
    lab_accept(lab, context);
    lab_pipe_add(&lab->to_client, out.at, out.n);
    lab_turns(lab, 8);
    const uint8_t *at = lab->to_server.bytes + lab->to_server.from;
    size_t n = lab_pipe_bytes(&lab->to_server);
    int answer = ANSWER_NONE;
    if (n >= 7 && at[0] == 21 && at[5] == 2)
        answer = at[6];
    else if (n > 5 && at[0] == 22)
        answer = ANSWER_HELLO;
    CU_ASSERT_EQUAL(lab->opened, 0);
    snprintf(reason, 256, "%s", lab->reason);
    close_lab(lab);
    return answer;
}

static void test_hellos(void)
{
    static char huge[60000], long_name[2000];
    memset(huge, 'x', sizeof(huge));
    memset(long_name, 'x', sizeof(long_name));
    const struct client_hello good = {.identity = "truck-001",
                                      .identity_n = 9,
                                      .key = key_1,
                                      .key_n = sizeof(key_1),
                                      .modes = HELLO_PSK_DHE_KE};
    struct {
        const char *what;
        struct client_hello hello;
        int answer;
        const char *reason;
    } cases[] = {
        {"good", good, ANSWER_HELLO, ""},
        {"an age, which a server must ignore (4.2.11)", good, ANSWER_HELLO, ""},
        {"both modes", good, ANSWER_HELLO, ""},
        {"ChaCha20 alone", good, ANSWER_HELLO, ""},
        {"wrong key", good, 51, "client has another key for PSK identity 'truck-001'"},
        {"unknown identity: the same alert", good, 51, "no key for PSK identity 'truck-009'"},
        {"NUL inside", good, 51,
         "client has a PSK identity that is empty, holds a NUL, or is longer than 127 bytes"},
        {"NUL first", good, 51, NULL},
        {"empty (4.2.11: at least one byte)", good, 51, NULL},
        {"not UTF-8", good, 51, "no key for PSK identity '\xc0\x80truck'"},
        {"of 128 bytes", good, 51, NULL},
        {"of 2,000 bytes", good, 50, NULL},
        {"of 60,000 bytes", good, 50, NULL},
        {"psk_ke alone", good, 47, NULL},
        {"no key share", good, 47, NULL},
        {"early data: not taken, and not answered", good, ANSWER_HELLO, NULL},
        {"of SHA-384", good, 40, NULL},
        {"behind another that is not known: the first decides", good, 51, NULL},
    };
    cases[1].hello.age = 12345;
    cases[2].hello.modes = HELLO_PSK_DHE_KE | HELLO_PSK_KE;
    cases[3].hello.suite = 0x1303;
    cases[4].hello.key = key_2;
    cases[5].hello.identity = "truck-009";
    cases[6].hello.identity = "truck-001\0x";
    cases[6].hello.identity_n = 11;
    cases[7].hello.identity = "\0truck-001";
    cases[7].hello.identity_n = 10;
    cases[8].hello.identity_n = 0;
    cases[9].hello.identity = "\xc0\x80truck";
    cases[9].hello.identity_n = 7;
    cases[10].hello.identity = long_name;
    cases[10].hello.identity_n = 128;
    cases[11].hello.identity = long_name;
    cases[11].hello.identity_n = sizeof(long_name);
    cases[12].hello.identity = huge;
    cases[12].hello.identity_n = sizeof(huge);
    cases[13].hello.modes = HELLO_PSK_KE;
    cases[14].hello.no_share = true;
    cases[15].hello.early_data = true;
    cases[16].hello.suite = 0x1302;
    cases[17].hello.before = "truck-009";
    struct tls_context *contexts[] = {listener_context(TLS_VERSION_1_3, false, key_file_text),
                                      listener_context(TLS_VERSION_1_2, false, key_file_text)};
    for (size_t c = 0; c < 2; c++) {
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            char reason[256];
            int answer = answer_to(contexts[c], &cases[i].hello, reason);
            bool fits = answer == cases[i].answer &&
                        (cases[i].reason == NULL || strcmp(reason, cases[i].reason) == 0);
            CU_ASSERT_TRUE(fits);
            if (!fits)
                fprintf(stderr, "\n%s: %d '%s'\n", cases[i].what, answer, reason);
        }
        tls_context_unref(contexts[c]);
    }
}

/* A client that shows a known identity with a suite of another hash goes on with a certificate or not at all:
 * that there was a key for the name says nothing (C1). */
static void test_named_is_not_proved(void)
{
    struct tls_context *context = listener_context(TLS_VERSION_1_2, true, key_file_text);
    struct client_hello hello = {.identity = "truck-001",
                                 .identity_n = 9,
                                 .key = key_2, /* not its key */
                                 .key_n = sizeof(key_2),
                                 .modes = HELLO_PSK_DHE_KE,
                                 .suite = 0x1302,
                                 .certificates = true};
    char reason[256];
    /* The hello is answered, and the client, which knows no secret, cannot be somebody: answer_to sees to it
     * that nothing opens. */
    CU_ASSERT_EQUAL(answer_to(context, &hello, reason), ANSWER_HELLO);
    tls_context_unref(context);
    /* The same by a library, with a certificate: that is then who it is. */
    static const struct peer other_hash = {"truck-001", key_1, "TLS13-AES256-GCM-SHA384", "named", false, 0};
    context = listener_context(TLS_VERSION_1_3, true, key_file_text);
    struct lab *lab = accept_from(&other_hash, context);
    CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
    const struct tls_peer *peer = tls_stream_peer(lab->client);
    CU_ASSERT_TRUE(peer != NULL && peer->has_certificate && peer->psk_id == NULL);
    close_lab(lab);
    tls_context_unref(context);
}

/* ---- after a reload --------------------------------------------------------------------------------------
 */

static void test_reload(void)
{
    static const struct {
        const char *keys; /* NULL: none any more */
        bool certificates;
        const char *why; /* NULL: stays */
    } cases[] = {
        {key_file_text, false, NULL},
        {key_file_text, true, NULL},
        {"truck-001:000102030405060708090a0b0c0d0e0f\n", false, NULL},
        {"truck-002:000102030405060708090a0b0c0d0e0f\n", false,
         "there is no key for its PSK identity any more"},
        {"truck-001:ff0102030405060708090a0b0c0d0e0f\n", false, "the key of its PSK identity is another now"},
        {NULL, true, "pre-shared keys are not taken any more"},
    };
    static const struct peer client = {"truck-001", key_1, NULL, NULL, false, 0};
    struct tls_context *context = listener_context(TLS_VERSION_1_2, false, key_file_text);
    struct lab *lab = accept_from(&client, context);
    CU_ASSERT_EQUAL_FATAL(lab->opened, 1);
    const struct tls_peer *peer = tls_stream_peer(lab->client);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_server_settings without = lab_listener();
        struct tls_context *next =
            cases[i].keys == NULL ? lab_listener_context(&without)
                                  : listener_context(TLS_VERSION_1_2, cases[i].certificates, cases[i].keys);
        const char *why = tls_context_refuses(next, peer);
        CU_ASSERT_TRUE(cases[i].why == NULL ? why == NULL : why != NULL && strcmp(why, cases[i].why) == 0);
        tls_context_unref(next);
    }
    /* Who has shown nothing, or a certificate, has no place where only keys are taken. */
    CU_ASSERT_STRING_EQUAL(tls_context_refuses(context, NULL), "client has proved no key");
    struct tls_peer named = {.has_certificate = true};
    CU_ASSERT_STRING_EQUAL(tls_context_refuses(context, &named), "certificates are not taken any more");
    close_lab(lab);
    tls_context_unref(context);
}

/* Marks: the same for the same, different for any difference, in files that are loaded apart. */
static void test_marks(void)
{
    struct tls_error error;
    struct psk_keys *a = psk_keys_load(key_file("a.psk", "x:000102030405060708090a0b0c0d0e0f\n"
                                                         "y:000102030405060708090a0b0c0d0e0f\n"),
                                       &error);
    struct psk_keys *b = psk_keys_load(key_file("b.psk", "x:000102030405060708090A0B0C0D0E0F\n"
                                                         "y:000102030405060708090a0b0c0d0e0f00\n"),
                                       &error);
    CU_ASSERT_FATAL(a != NULL && b != NULL);
    const struct psk_key *ax = psk_keys_find(a, "x"), *ay = psk_keys_find(a, "y"),
                         *bx = psk_keys_find(b, "x"), *by = psk_keys_find(b, "y");
    CU_ASSERT_EQUAL(memcmp(ax->mark, bx->mark, PSK_MARK_BYTES), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(ax->mark, ay->mark, PSK_MARK_BYTES), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(ay->mark, by->mark, PSK_MARK_BYTES), 0);
    CU_ASSERT_PTR_EQUAL(psk_keys_at(a, 1), ay);
    psk_keys_destroy(a);
    psk_keys_destroy(b);
}

static const struct unit_test tests[] = {
    {"toward servers of all kinds (B1, B3)", test_servers},
    {"toward servers nothing is resumed (B5)", test_no_resumption_upstream},
    {"no key share, no session (RFC 8446 4.2.9, CVE-2023-3724)", test_no_key_share},
    {"nor where a session is resumed", test_no_key_share_resumed},
    {"settings of a client", test_client_settings},
    {"clients of all kinds (B4, C1)", test_clients},
    {"certificates beside keys", test_certificate_beside},
    {"a broken record is no wrong key", test_broken_beside},
    {"hellos that no library makes (RFC 8446 4.2.11)", test_hellos},
    {"a name is not a proof (C1)", test_named_is_not_proved},
    {"keys that are gone or changed (G3)", test_reload},
    {"marks of keys", test_marks},
};

int main(void)
{
    if (tls_library_init() != 0 || !lab_clients_pki()) {
        fprintf(stderr, "no PKI: is the openssl command installed?\n");
        return 1;
    }
    if (!tls_library_has_tls_psk())
        return unit_skipped(EXIT_SUCCESS, "PSK of TLS", "this wolfSSL does not do it safely");
    int result = unit_run("tls_psk", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
