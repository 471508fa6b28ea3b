/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records of TLS 1.3, TLS 1.2 and DTLS 1.2 made by whichever engine, read by a wolfSSL that does its own
 * cryptography, and the other way round (B7).
 */
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include "dataplane/secure/crypto_offload.h"
#include "tests/unit/runner.h"
#include "tests/unit/tls_lab.h"

#define WIRE_BYTES (64u * 1024)
#define DATAGRAMS 16

/* One direction, between two ends in one thread. */
struct wire {
    uint8_t at[WIRE_BYTES];
    size_t from, to;
    size_t datagrams[DATAGRAMS]; /* their lengths, oldest first */
    uint32_t n;
    bool whole; /* datagrams are taken one by one */
};

struct end {
    WOLFSSL_CTX *ctx;
    WOLFSSL *ssl;
    struct wire *in, *out;
};

/* `ours` is what the device works for. */
static struct pair {
    struct wire up, down;
    struct end ours, theirs;
    struct crypto_offload_cache *cache;
} now;

static int take(WOLFSSL *ssl, char *to, int room, void *context)
{
    struct wire *wire = context;
    (void)ssl;
    size_t n = wire->whole ? (wire->n > 0 ? wire->datagrams[0] : 0) : wire->to - wire->from;
    if (n == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    n = n < (size_t)room ? n : (size_t)room;
    memcpy(to, wire->at + wire->from, n);
    wire->from += wire->whole ? wire->datagrams[0] : n;
    if (wire->whole)
        memmove(wire->datagrams, wire->datagrams + 1, --wire->n * sizeof(wire->datagrams[0]));
    if (wire->from == wire->to)
        wire->from = wire->to = 0;
    return (int)n;
}

static int give(WOLFSSL *ssl, char *from, int n, void *context)
{
    struct wire *wire = context;
    (void)ssl;
    CU_ASSERT_FATAL(wire->to + (size_t)n <= WIRE_BYTES && (!wire->whole || wire->n < DATAGRAMS));
    memcpy(wire->at + wire->to, from, (size_t)n);
    wire->to += (size_t)n;
    if (wire->whole)
        wire->datagrams[wire->n++] = (size_t)n;
    return n;
}

struct kind {
    const char *name;
    WOLFSSL_METHOD *(*client)(void);
    WOLFSSL_METHOD *(*server)(void);
    bool datagrams;
    const char *suites[3];
};

static const struct kind kinds[] = {
    {"TLS 1.3",
     wolfTLSv1_3_client_method,
     wolfTLSv1_3_server_method,
     false,
     {"TLS13-CHACHA20-POLY1305-SHA256", "TLS13-AES128-GCM-SHA256", "TLS13-AES256-GCM-SHA384"}},
    {"TLS 1.2",
     wolfTLSv1_2_client_method,
     wolfTLSv1_2_server_method,
     false,
     {"ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"}},
    {"DTLS 1.2",
     wolfDTLSv1_2_client_method,
     wolfDTLSv1_2_server_method,
     true,
     {"ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"}},
};

static void make_end(struct end *end, WOLFSSL_METHOD *method, const char *suite, bool server, int device)
{
    end->ctx = wolfSSL_CTX_new(method);
    CU_ASSERT_EQUAL_FATAL(wolfSSL_CTX_set_cipher_list(end->ctx, suite), WOLFSSL_SUCCESS);
    wolfSSL_CTX_load_verify_locations(end->ctx, lab_path("ca.pem"), NULL);
    wolfSSL_CTX_SetDevId(end->ctx, device);
    wolfSSL_CTX_SetIORecv(end->ctx, take);
    wolfSSL_CTX_SetIOSend(end->ctx, give);
    if (server) {
        wolfSSL_CTX_use_certificate_chain_file(end->ctx, lab_path("server.pem"));
        wolfSSL_CTX_use_PrivateKey_file(end->ctx, lab_path("server.key"), WOLFSSL_FILETYPE_PEM);
    }
    end->ssl = wolfSSL_new(end->ctx);
    CU_ASSERT_PTR_NOT_NULL_FATAL(end->ssl);
    wolfSSL_SetIOReadCtx(end->ssl, end->in);
    wolfSSL_SetIOWriteCtx(end->ssl, end->out);
}

/* A handshake between the two; who of them is the server alternates. */
static void open_pair(const struct kind *kind, const char *suite, bool we_serve)
{
    memset(&now, 0, sizeof(now));
    now.up.whole = now.down.whole = kind->datagrams;
    now.ours.in = now.theirs.out = &now.down;
    now.ours.out = now.theirs.in = &now.up;
    make_end(&now.ours, we_serve ? kind->server() : kind->client(), suite, we_serve, CRYPTO_OFFLOAD_DEVICE);
    make_end(&now.theirs, we_serve ? kind->client() : kind->server(), suite, !we_serve, INVALID_DEVID);
    now.cache = crypto_offload_cache_create(4);
    CU_ASSERT_PTR_NOT_NULL_FATAL(now.cache);
    crypto_offload_use(now.cache, 0);
    bool ready[2] = {false, false};
    for (int i = 0; i < 40 && !(ready[0] && ready[1]); i++) {
        ready[0] = ready[0] || (we_serve ? wolfSSL_accept(now.ours.ssl) : wolfSSL_connect(now.ours.ssl)) ==
                                   WOLFSSL_SUCCESS;
        ready[1] = ready[1] || (we_serve ? wolfSSL_connect(now.theirs.ssl)
                                         : wolfSSL_accept(now.theirs.ssl)) == WOLFSSL_SUCCESS;
    }
    CU_ASSERT_TRUE_FATAL(ready[0] && ready[1]);
}

static void close_pair(void)
{
    wolfSSL_free(now.ours.ssl);
    wolfSSL_free(now.theirs.ssl);
    wolfSSL_CTX_free(now.ours.ctx);
    wolfSSL_CTX_free(now.theirs.ctx);
    crypto_offload_cache_destroy(now.cache);
}

static bool passes(struct end *from, struct end *to, const uint8_t *text, int n)
{
    static uint8_t got[16384];
    if (wolfSSL_write(from->ssl, text, n) != n)
        return false;
    int have = 0;
    while (have < n) {
        int more = wolfSSL_read(to->ssl, got + have, (int)sizeof(got) - have);
        if (more <= 0)
            return false;
        have += more;
    }
    return have == n && memcmp(got, text, (size_t)n) == 0;
}

static const int sizes[] = {1,    2,   15,  16,  17,   31,   47,   48,   63,   64,   65,    127,   128,  129,
                            191,  192, 255, 256, 257,  383,  511,  512,  767,  768,  769,   1023,  1024, 1025,
                            1300, 1,   64,  0,   1400, 2047, 4095, 4096, 8191, 8192, 12345, 16383, 16384};

static void transfer(const struct kind *kind)
{
    static uint8_t text[16384];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 7 + i / 251);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (sizes[i] == 0 && kind->datagrams)
            break; /* what follows does not fit into a datagram */
        if (sizes[i] == 0)
            continue;
        CU_ASSERT_TRUE(passes(&now.ours, &now.theirs, text, sizes[i]));
        CU_ASSERT_TRUE(passes(&now.theirs, &now.ours, text, sizes[i]));
    }
}

static void test_records(void)
{
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        for (size_t s = 0; s < 3; s++)
            for (int serve = 0; serve < 2; serve++) {
                open_pair(&kinds[k], kinds[k].suites[s], serve != 0);
                transfer(&kinds[k]);
                close_pair();
            }
}

/* With each engine; and it is the engine that was named which does it. */
static void test_engines(void)
{
    static const struct {
        enum crypto_engine engine;
        const char *instructions;
    } choices[] = {{CRYPTO_ENGINE_IPSEC_MB, NULL},
                   {CRYPTO_ENGINE_IPSEC_MB, "avx2"},
                   {CRYPTO_ENGINE_AUTO, "avx2"}, /* records of one session by both */
                   {CRYPTO_ENGINE_IPSEC_MB, "sse"},
                   {CRYPTO_ENGINE_WOLFCRYPT, NULL}};
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        if (crypto_offload_choose(choices[i].engine, choices[i].instructions) != 0)
            continue; /* this processor cannot */
        uint64_t chacha = crypto_offload_chacha_records();
        uint64_t keys = crypto_offload_expansions();
        test_records();
        bool offloaded = strcmp(crypto_offload_name(), "off") != 0;
        CU_ASSERT_EQUAL(crypto_offload_expansions() > keys, offloaded);
#ifdef WC_CRYPTOCB_CHACHAPOLY
        bool by_jobs = offloaded && strcmp(crypto_offload_name(), "sse") != 0;
        CU_ASSERT_EQUAL(crypto_offload_chacha_records() > chacha, by_jobs);
#else
        CU_ASSERT_EQUAL(crypto_offload_chacha_records(), chacha);
#endif
    }
    CU_ASSERT_EQUAL(crypto_offload_choose(CRYPTO_ENGINE_AUTO, NULL), 0);
}

/* RFC 8446 section 5.2, RFC 5246 section 7.2.2: bad_record_mac ends TLS; RFC 6347 section 4.1.2.7: DTLS
 * drops. */
static void test_forged(void)
{
    static const uint8_t text[] = "not for everybody";
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        for (size_t s = 0; s < 3; s++)
            for (size_t back = 1; back <= 24; back++) {
                uint8_t got[64] = {0};
                open_pair(&kinds[k], kinds[k].suites[s], false);
                while (wolfSSL_read(now.ours.ssl, got, sizeof(got)) > 0) {
                }
                CU_ASSERT_EQUAL(wolfSSL_write(now.theirs.ssl, text, sizeof(text)), sizeof(text));
                now.down.at[now.down.to - back] ^= 0x20; /* of the tag, or of the text before it */
                int n = wolfSSL_read(now.ours.ssl, got, sizeof(got));
                int error = wolfSSL_get_error(now.ours.ssl, n);
                CU_ASSERT_TRUE(n <= 0);
                if (kinds[k].datagrams)
                    CU_ASSERT_EQUAL(error, WOLFSSL_ERROR_WANT_READ)
                else
                    CU_ASSERT_TRUE(error == VERIFY_MAC_ERROR || error == AES_GCM_AUTH_E);
                CU_ASSERT_EQUAL(got[0], 0);
                CU_ASSERT_EQUAL(passes(&now.theirs, &now.ours, text, sizeof(text)), kinds[k].datagrams);
                close_pair();
            }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"records of each suite, version and length, both ways", test_records},
        {"by each engine", test_engines},
        {"forged ones", test_forged},
    };
    if (tls_library_init() != 0 || !lab_pki())
        return EXIT_FAILURE;
    int result = unit_run("tls_records", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
