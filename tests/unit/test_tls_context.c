/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What sessions are made from: settings, files, identities per device, suites, ALPN (B1, B3). */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include "dataplane/secure/secret_memory.h"
#include "dataplane/secure/tls_identity.h"
#include "tests/unit/runner.h"
#include "tests/unit/tls_lab.h"

static struct tls_context *make(const struct tls_settings *settings)
{
    struct tls_error error;
    struct tls_context *context = tls_context_create(settings, &error);
    if (context == NULL)
        fprintf(stderr, "%s\n", error.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(context);
    return context;
}

/* ---- settings and files -------------------------------------------------------------------------------- */

struct refusal {
    const char *what;
    struct tls_settings settings;
    const char *says; /* part of the message */
};

static void test_refused_settings(void)
{
    struct tls_settings good = lab_settings();
    struct refusal refusals[] = {
        {"no CA", {.server_name = LAB_NAME}, "a CA file and a server name are needed"},
        {"no name", {.ca_file = good.ca_file}, "a CA file and a server name are needed"},
        {"CA file is not there", {.ca_file = "/nonexistent/ca.pem", .server_name = LAB_NAME}, "No such file"},
        {"CA file is a directory", {.ca_file = lab_dir, .server_name = LAB_NAME}, "not a file"},
        {"CA file is empty", {.ca_file = lab_path("empty.pem"), .server_name = LAB_NAME}, "is empty"},
        {"CA file is nonsense",
         {.ca_file = lab_path("truck-bad.pem"), .server_name = LAB_NAME},
         "does not hold CA certificates in PEM"},
        {"empty name", {.ca_file = good.ca_file, .server_name = ""}, "cannot be used"},
        {"CRL is nonsense",
         {.ca_file = good.ca_file, .server_name = LAB_NAME, .crl_file = lab_path("ca.pem")},
         "does not hold revocation lists in PEM"},
        {"CRL of somebody else",
         {.ca_file = lab_path("otherca.pem"), .server_name = LAB_NAME, .crl_file = lab_path("ca.crl")},
         "revocation list that is not accepted"},
        {"certificate without key",
         {.ca_file = good.ca_file, .server_name = LAB_NAME, .certificate_file = lab_path("truck-001.pem")},
         "given together"},
        {"pattern with a conversion",
         {.ca_file = good.ca_file,
          .server_name = LAB_NAME,
          .certificate_file = "%d.pem",
          .key_file = "%s.key"},
         "one %s"},
        {"pattern with two",
         {.ca_file = good.ca_file,
          .server_name = LAB_NAME,
          .certificate_file = "%s/%s.pem",
          .key_file = "%s.key"},
         "one %s"},
        {"shared pair that does not match",
         {.ca_file = good.ca_file,
          .server_name = LAB_NAME,
          .certificate_file = lab_path("truck-mixed.pem"),
          .key_file = lab_path("truck-mixed.key")},
         "does not belong to certificate"},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct tls_error error;
        struct tls_context *context = tls_context_create(&refusals[i].settings, &error);
        CU_ASSERT_PTR_NULL(context);
        if (context != NULL || strstr(error.text, refusals[i].says) == NULL)
            fprintf(stderr, "%s: '%s'\n", refusals[i].what, error.text);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.text, refusals[i].says));
        tls_context_unref(context);
    }
}

static void test_check_pair(void)
{
    static const struct {
        const char *certificate;
        const char *key;
        const char *says; /* NULL: good */
    } pairs[] = {
        {"truck-001.pem", "truck-001.key", NULL},
        {"truck-rsa.pem", "truck-rsa.key", NULL},
        {"viasub.pem", "viasub.key", NULL}, /* with its chain */
        {"truck-mixed.pem", "truck-mixed.key", "does not belong to certificate"},
        {"rsa1024.pem", "rsa1024.key", ""},
        {"missing.pem", "truck-001.key", "No such file"},
        {"truck-001.pem", "missing.key", "No such file"},
        {"truck-bad.pem", "truck-bad.key", "does not hold certificates in PEM"},
        {"truck-001.pem", "truck-bad.pem", "does not hold a private key"},
        {"truck-001.pem", "locked.key", "not encrypted"},
        {"empty.pem", "truck-001.key", "is empty"},
    };
    struct tls_error error;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        error.text[0] = 0;
        int result = tls_check_pair(lab_path(pairs[i].certificate), lab_path(pairs[i].key), NULL, &error);
        CU_ASSERT_EQUAL(result, pairs[i].says == NULL ? 0 : -1);
        if (pairs[i].says != NULL && strstr(error.text, pairs[i].says) == NULL)
            fprintf(stderr, "%s %s: '%s'\n", pairs[i].certificate, pairs[i].key, error.text);
        CU_ASSERT(pairs[i].says == NULL || strstr(error.text, pairs[i].says) != NULL);
    }
    int days = 0;
    CU_ASSERT_EQUAL(tls_check_pair(lab_path("truck-001.pem"), lab_path("truck-001.key"), &days, &error), 0);
    CU_ASSERT(days == 29 || days == 30);
    CU_ASSERT_EQUAL(tls_check_pair(lab_path("old.pem"), lab_path("old.key"), &days, &error), 0);
    CU_ASSERT(days < -1000);
}

/* Sanitizers make mlock do nothing. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LOCKED_FLAG " "
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LOCKED_FLAG " "
#endif
#ifndef LOCKED_FLAG
#define LOCKED_FLAG " lo"
#endif

static void test_secret_memory(void)
{
    uint8_t *p = secret_memory_alloc(5000);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    int set = 0;
    for (int i = 0; i < 5000; i++)
        set += p[i] != 0;
    CU_ASSERT_EQUAL(set, 0);
    CU_ASSERT_TRUE(secret_memory_all_locked());
    /* "lo": locked, "dd": not in a core dump, "wf": empty in a child (proc(5), smaps). */
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    bool here = false;
    bool marked = false;
    CU_ASSERT_PTR_NOT_NULL_FATAL(maps);
    while (fgets(line, sizeof(line), maps) != NULL) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx", &from, &to) == 2)
            here = from <= (unsigned long)p && (unsigned long)p < to;
        else if (here && strncmp(line, "VmFlags:", 8) == 0)
            marked = strstr(line, LOCKED_FLAG) != NULL && strstr(line, " dd") != NULL &&
                     strstr(line, " wf") != NULL;
    }
    fclose(maps);
    CU_ASSERT_TRUE(marked);
    secret_memory_free(p, 5000);
    secret_memory_free(NULL, 1);
    CU_ASSERT_PTR_NULL(secret_memory_alloc(0));
}

static void test_facts(void)
{
    const char *facts = tls_library_facts();
#ifdef WOLFSSL_STATIC_PSK
    CU_ASSERT_TRUE(tls_library_has_psk());
    CU_ASSERT_PTR_NOT_NULL(strstr(facts, "DTLS 1.2 with PSK yes"));
#else
    CU_ASSERT_FALSE(tls_library_has_psk());
    CU_ASSERT_PTR_NOT_NULL(strstr(facts, "DTLS 1.2 with PSK no"));
#endif
    CU_ASSERT_EQUAL(strncmp(facts, "wolfSSL 5.", 10), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(facts, "TLS 1.3 yes"));
    CU_ASSERT_PTR_NOT_NULL(strstr(facts, ", records by "));
}

/* ---- identities ---------------------------------------------------------------------------------------- */

static struct tls_settings fleet_settings(void)
{
    struct tls_settings settings = lab_settings();
    settings.certificate_file = lab_path("%s.pem");
    settings.key_file = lab_path("%s.key");
    return settings;
}

static const struct lab_server mutual = {.certificate = "server", .ask_client = true};

/* The common name of the certificate that the server saw last: it keeps none. */
static char name_seen[64];

static int note_name(int accepted, WOLFSSL_X509_STORE_CTX *store)
{
    WOLFSSL_X509 *peer = wolfSSL_X509_load_certificate_buffer(
        store->certs[0].buffer, (int)store->certs[0].length, WOLFSSL_FILETYPE_ASN1);
    const char *name = peer == NULL ? NULL : wolfSSL_X509_get_subjectCN(peer);
    snprintf(name_seen, sizeof(name_seen), "%s", name == NULL ? "" : name);
    wolfSSL_X509_free(peer);
    return accepted;
}

static struct lab *create_mutual(void)
{
    struct lab *lab = lab_create(&mutual, NULL);
    name_seen[0] = 0;
    wolfSSL_set_verify(lab->server, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT, note_name);
    return lab;
}

static void test_identity_per_device(void)
{
    static const char *const names[] = {"truck-001", "truck-002", "truck-rsa", "truck-001"};
    struct tls_settings settings = fleet_settings();
    struct tls_context *context = make(&settings);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct lab *lab = create_mutual();
        lab_connect(lab, context, names[i]);
        lab_settle(lab);
        CU_ASSERT_EQUAL(lab->opened, 1);
        CU_ASSERT_TRUE(lab->server_open);
        CU_ASSERT_STRING_EQUAL(name_seen, names[i]);
        lab_destroy(lab);
    }
    tls_context_unref(context);
}

/* A missing or wrong file: closed with a reason, counted, and not one byte on the wire. */
static void test_identity_missing(void)
{
    static const struct {
        const char *name;
        const char *says;
    } cases[] = {
        {"truck-999", "No such file"},       {"truck-nokey", "No such file"},
        {"truck-nocert", "No such file"},    {"truck-mixed", "does not belong"},
        {"truck-bad", "does not hold cert"}, {NULL, "no identity"},
    };
    struct tls_settings settings = fleet_settings();
    struct tls_context *context = make(&settings);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lab *lab = lab_create(&mutual, NULL);
        lab_connect(lab, context, cases[i].name);
        lab_settle(lab);
        CU_ASSERT_EQUAL(lab->opened, 0);
        CU_ASSERT_EQUAL(lab->closed, 1);
        CU_ASSERT_EQUAL(lab->why, STREAM_END_TLS_IDENTITY);
        CU_ASSERT_PTR_NOT_NULL(strstr(lab->reason, cases[i].says));
        CU_ASSERT_EQUAL(tls_worker_counter(lab->worker, TLS_FAILED_IDENTITY), 1);
        CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->to_server), 0);
        CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->unsent), 0);
        CU_ASSERT_TRUE(lab->finished || lab->aborted);
        lab_destroy(lab);
    }
    tls_context_unref(context);
}

static void test_shared_identity(void)
{
    struct tls_settings settings = lab_settings();
    settings.certificate_file = lab_path("truck-002.pem");
    settings.key_file = lab_path("truck-002.key");
    struct tls_context *context = make(&settings);
    struct lab *lab = create_mutual();
    lab_connect(lab, context, "anybody");
    lab_settle(lab);
    CU_ASSERT_EQUAL(lab->opened, 1);
    CU_ASSERT_STRING_EQUAL(name_seen, "truck-002");
    lab_destroy(lab);
    tls_context_unref(context);
}

/* The server wants a certificate and gets none: with TLS 1.3 its alert comes after we are open. */
static void test_no_certificate(void)
{
    struct tls_settings settings = lab_settings();
    struct tls_context *context = make(&settings);
    struct lab *lab = lab_create(&mutual, NULL);
    lab_connect(lab, context, NULL);
    lab_settle(lab);
    lab->server_fin = true;
    lab_turns(lab, 4);
    CU_ASSERT_TRUE(lab->server_failed);
    CU_ASSERT_EQUAL(lab->closed, 1);
    CU_ASSERT_NOT_EQUAL(lab->why, STREAM_END_DONE);
    lab_destroy(lab);
    tls_context_unref(context);
}

/* A chain of 17 certificates is more than one flight buffer holds. */
static void test_long_chain(void)
{
    struct tls_settings settings = fleet_settings();
    struct tls_context *context = make(&settings);
    struct lab_server asks = {.certificate = "server", .ask_client = true};
    struct lab *lab = lab_create(&asks, NULL);
    wolfSSL_set_verify(lab->server, WOLFSSL_VERIFY_NONE, NULL);
    size_t most = 0;
    lab_connect(lab, context, "truck-long");
    for (int i = 0; i < 40; i++) {
        lab_turn(lab);
        most = lab_pipe_bytes(&lab->to_server) > most ? lab_pipe_bytes(&lab->to_server) : most;
    }
    /* Whatever this server thinks of it: we sent all of it, or were told to stop. */
    CU_ASSERT(lab->opened == 1 || lab->closed == 1);
    CU_ASSERT_EQUAL(tls_worker_counter(lab->worker, TLS_FAILED_IDENTITY), 0);
    lab_destroy(lab);
    tls_context_unref(context);
}

/* ---- parameters ---------------------------------------------------------------------------------------- */

static void test_suites(void)
{
    static const struct {
        const char *suite;
        const char *certificate;
        bool only_1_2;
        const char *name; /* NULL: must not be agreed on */
    } suites[] = {
        {"TLS13-AES128-GCM-SHA256", "server", false, "TLS_AES_128_GCM_SHA256"},
        {"TLS13-AES256-GCM-SHA384", "server", false, "TLS_AES_256_GCM_SHA384"},
        {"TLS13-CHACHA20-POLY1305-SHA256", "server", false, "TLS_CHACHA20_POLY1305_SHA256"},
        {"TLS13-AES128-CCM-SHA256", "server", false, NULL},
        {"ECDHE-ECDSA-AES128-GCM-SHA256", "server", true, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
        {"ECDHE-ECDSA-AES256-GCM-SHA384", "server", true, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
        {"ECDHE-ECDSA-CHACHA20-POLY1305", "server", true, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
        {"ECDHE-RSA-AES128-GCM-SHA256", "rsa2048", true, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
        {"ECDHE-RSA-AES256-GCM-SHA384", "rsa2048", true, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
        {"ECDHE-RSA-CHACHA20-POLY1305", "rsa2048", true, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
        {"ECDHE-ECDSA-AES128-CCM-8", "server", true, NULL},
    };
    struct tls_settings settings = lab_settings();
    settings.min_version = TLS_VERSION_1_2;
    struct tls_context *context = make(&settings);
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        struct lab_server server = {
            .certificate = suites[i].certificate, .suites = suites[i].suite, .only_1_2 = suites[i].only_1_2};
        struct lab *lab = lab_create(&server, NULL);
        lab_connect(lab, context, NULL);
        lab_settle(lab);
        CU_ASSERT_EQUAL(lab->opened, suites[i].name == NULL ? 0 : 1);
        if (lab->opened == 1) {
            CU_ASSERT_STRING_EQUAL(tls_stream_cipher(lab->client), suites[i].name);
            lab->echo = true;
            stream_write(lab->client, (const uint8_t *)"suite", 5);
            lab_turns(lab, 3);
            CU_ASSERT_EQUAL(lab_pipe_bytes(&lab->got), 5);
        }
        lab_destroy(lab);
    }
    tls_context_unref(context);
}

/* The first bytes that leave: what is offered, and what never is (B1). */
static bool hello_holds(const struct lab *lab, const uint8_t *what, size_t n)
{
    return memmem(lab->to_server.bytes, lab->to_server.to, what, n) != NULL;
}

static void test_client_hello(void)
{
    for (int version = 0; version < 2; version++) {
        struct tls_settings settings = lab_settings();
        settings.alpn = "x-amzn-mqtt-ca,mqtt";
        settings.min_version = version == 0 ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
        struct tls_context *context = make(&settings);
        struct lab *lab = lab_create(NULL, NULL);
        lab_connect(lab, context, NULL);
        lab_turns(lab, 4);
        const uint8_t *hello = lab->to_server.bytes;
        CU_ASSERT(lab->to_server.to > 100);
        CU_ASSERT_EQUAL(hello[0], 22); /* a handshake record that holds a ClientHello */
        CU_ASSERT_EQUAL(hello[5], 1);
        static const uint8_t sni[] = "\0\0\0\x19\0\x17\0\0\x14" LAB_NAME;
        CU_ASSERT_TRUE(hello_holds(lab, sni, sizeof(sni) - 1));
        static const uint8_t alpn[] = "\0\x10\0\x16\0\x14\x0ex-amzn-mqtt-ca\x04mqtt";
        CU_ASSERT_TRUE(hello_holds(lab, alpn, sizeof(alpn) - 1));
        static const uint8_t groups[] = "\0\x0a\0\x06\0\x04\0\x1d\0\x17"; /* X25519, then P-256 */
        CU_ASSERT_TRUE(hello_holds(lab, groups, sizeof(groups) - 1));
        static const uint8_t share[] = "\0\x33\0\x26\0\x24\0\x1d\0\x20"; /* one, of X25519 */
        CU_ASSERT_TRUE(hello_holds(lab, share, sizeof(share) - 1));
        static const uint8_t versions[] = "\0\x2b\0\x03\x02\x03\x04";
        CU_ASSERT_EQUAL(hello_holds(lab, versions, sizeof(versions) - 1), version == 0);
        /* Suites: after the session id, one list; each of ours. */
        size_t at = 5 + 4 + 2 + 32;
        at += 1 + hello[at];
        size_t n = (size_t)hello[at] * 256 + hello[at + 1];
        for (size_t i = 0; i < n; i += 2) {
            unsigned int suite = hello[at + 2 + i] * 256u + hello[at + 3 + i];
            bool modern = suite >= 0x1301 && suite <= 0x1303;
            bool older = suite == 0xC02B || suite == 0xC02C || suite == 0xC02F || suite == 0xC030 ||
                         suite == 0xCCA8 || suite == 0xCCA9 || suite == 0x00FF;
            CU_ASSERT_TRUE(modern || (older && version == 1) || suite == 0x00FF);
        }
        CU_ASSERT_EQUAL(hello[at + 2 + n], 1); /* no compression */
        CU_ASSERT_EQUAL(hello[at + 3 + n], 0);
        /* No early data (RFC 8446 section 4.2.10), ever. */
        lab_destroy(lab);
        tls_context_unref(context);
    }
}

/* A server without X25519 asks for another share (HelloRetryRequest, RFC 8446 section 4.1.4). */
static void test_hello_retry(void)
{
    struct tls_settings settings = lab_settings();
    struct tls_context *context = make(&settings);
    for (int i = 0; i < 2; i++) {
        struct lab_server server = {.certificate = "server",
                                    .group = i == 0 ? WOLFSSL_ECC_SECP256R1 : WOLFSSL_ECC_SECP384R1};
        struct lab *lab = lab_create(&server, NULL);
        lab_connect(lab, context, NULL);
        lab_settle(lab);
        CU_ASSERT_EQUAL(lab->opened, i == 0 ? 1 : 0); /* and none without P-256 either */
        lab_destroy(lab);
    }
    tls_context_unref(context);
}

static void test_alpn(void)
{
    struct tls_settings settings = lab_settings();
    struct lab_server server = {.certificate = "server", .alpn = "mqtt"};
    settings.alpn = "x-amzn-mqtt-ca,mqtt";
    struct tls_context *context = make(&settings);
    struct lab *lab = lab_create(&server, NULL);
    wolfSSL_KeepHandshakeResources(lab->server); /* it is asked afterwards */
    lab_connect(lab, context, NULL);
    lab_settle(lab);
    CU_ASSERT_EQUAL(lab->opened, 1);
    char *chosen = NULL;
    unsigned short n = 0;
    CU_ASSERT_EQUAL(wolfSSL_ALPN_GetProtocol(lab->server, &chosen, &n), WOLFSSL_SUCCESS);
    CU_ASSERT(n == 4 && memcmp(chosen, "mqtt", 4) == 0);
    lab_destroy(lab);
    tls_context_unref(context);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"settings and files that are refused", test_refused_settings},
        {"certificates and keys that belong together (G1)", test_check_pair},
        {"secret memory is locked, not dumped, not inherited", test_secret_memory},
        {"facts", test_facts},
        {"a certificate per device (B3)", test_identity_per_device},
        {"missing or wrong identity", test_identity_missing},
        {"one shared certificate", test_shared_identity},
        {"no certificate though the server asks", test_no_certificate},
        {"client chain larger than a flight buffer", test_long_chain},
        {"suites, one by one (B1)", test_suites},
        {"ClientHello", test_client_hello},
        {"HelloRetryRequest", test_hello_retry},
        {"ALPN (RFC 7301)", test_alpn},
    };
    if (tls_library_init() != 0 || !lab_pki())
        return EXIT_FAILURE;
    int result = unit_run("tls_context", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
