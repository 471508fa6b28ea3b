/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Revocation lists as sets that can be asked on the packet path (B4; RFC 5280 section 5). */
#include "dataplane/secure/revocation.h"
#include "tests/unit/runner.h"
#include "tests/unit/tls_server_lab.h"

#include <wolfssl/wolfcrypt/asn_public.h>

static size_t read_der(const char *name, int type, uint8_t *out, size_t room)
{
    static char text[65536];
    DerBuffer *der = NULL;
    FILE *file = fopen(lab_path(name), "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    size_t n = fread(text, 1, sizeof(text), file);
    fclose(file);
    CU_ASSERT_EQUAL_FATAL(wc_PemToDer((const uint8_t *)text, (long)n, type, &der, NULL, NULL, NULL), 0);
    CU_ASSERT_TRUE_FATAL(der->length <= room);
    size_t bytes = der->length;
    memcpy(out, der->buffer, bytes);
    wc_FreeDer(&der);
    return bytes;
}

static struct tls_peer *peer_of(const char *name)
{
    uint8_t der[4096];
    const uint8_t *chain[] = {der};
    size_t n = read_der(name, CERT_TYPE, der, sizeof(der));
    return tls_peer_of_chain(chain, &n, 1);
}

static void test_lists(void)
{
    static const struct {
        const char *list, *certificate;
        bool held;
    } cases[] = {
        {"ca.crl", "revoked.pem", true},       {"ca.crl", "crevoked.pem", false},
        {"clients.crl", "crevoked.pem", true}, {"clients.crl", "truck-001.pem", false},
        {"clients.crl", "clater.pem", false},  {"later.crl", "clater.pem", true},
        {"latest.crl", "sub.pem", true},       {"foreign.crl", "cstranger.pem", false},
    };
    uint8_t der[65536];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_error error;
        struct revocations *set = revocations_create();
        struct tls_peer *peer = peer_of(cases[i].certificate);
        size_t n = read_der(cases[i].list, CRL_TYPE, der, sizeof(der));
        CU_ASSERT_TRUE(revocations_add(set, der, n, &error));
        revocations_seal(set);
        CU_ASSERT_EQUAL(revocations_hold(set, peer), cases[i].held);
        CU_ASSERT_TRUE(revocations_next_update_s(set) < INT64_MAX);
        tls_peer_unref(peer);
        revocations_destroy(set);
    }
    struct tls_peer *peer = peer_of("revoked.pem");
    CU_ASSERT_FALSE(revocations_hold(NULL, peer));
    tls_peer_unref(peer);
}

/* Same serial number, another issuer. */
static void test_issuer(void)
{
    static const uint8_t number[] = {0, 0, 5};
    static const uint8_t same[] = {5};
    static const uint8_t one[] = {0x30, 1, 1}, two[] = {0x30, 1, 2};
    uint8_t a[CERTIFICATE_KEY_BYTES], b[CERTIFICATE_KEY_BYTES], c[CERTIFICATE_KEY_BYTES];
    certificate_key(&(struct der){one, 3}, &(struct der){number, 3}, a);
    certificate_key(&(struct der){one, 3}, &(struct der){same, 1}, b);
    certificate_key(&(struct der){two, 3}, &(struct der){same, 1}, c);
    CU_ASSERT_EQUAL(memcmp(a, b, sizeof(a)), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(a, c, sizeof(a)), 0);
}

/* Cut anywhere it is refused; changed anywhere it does no harm (sanitizers watch). */
static void test_malformed(void)
{
    static uint8_t der[65536];
    size_t n = read_der("later.crl", CRL_TYPE, der, sizeof(der) - 1);
    struct tls_error error;
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *piece = malloc(cut == 0 ? 1 : cut);
        struct revocations *set = revocations_create();
        memcpy(piece, der, cut);
        CU_ASSERT_FALSE(revocations_add(set, piece, cut, &error));
        CU_ASSERT_NOT_EQUAL(error.text[0], 0);
        revocations_destroy(set);
        free(piece);
    }
    for (size_t at = 0; at < n; at++)
        for (unsigned int flip = 1; flip < 256; flip *= 4) {
            uint8_t *changed = malloc(n);
            struct revocations *set = revocations_create();
            memcpy(changed, der, n);
            changed[at] ^= (uint8_t)flip;
            revocations_add(set, changed, n, &error);
            revocations_destroy(set);
            free(changed);
        }
    der[n] = 0;
    struct revocations *set = revocations_create();
    CU_ASSERT_FALSE(revocations_add(set, der, n + 1, &error));
    revocations_destroy(set);
}

/* Critical extensions of the list (5.2.4 deltaCRLIndicator, 5.2.5) and of an entry (5.3.3 certificateIssuer)
 * change what it means; removeFromCRL (5.3.1) lifts. */
static void test_extensions(void)
{
#define HEAD                                                                                                 \
    0x02, 1, 1, 0x30, 0, 0x30, 0, 0x17, 13, '3', '0', '0', '1', '0', '1', '0', '0', '0', '0', '0', '0', 'Z'
#define ENTRY(n)                                                                                             \
    0x30, 18 + (n), 0x02, 1, 5, 0x17, 13, '3', '0', '0', '1', '0', '1', '0', '0', '0', '0', '0', '0', 'Z'
    static const struct {
        const char *what;
        uint8_t bytes[96];
        size_t n;
        bool good;
        uint32_t held;
    } cases[] = {
        {"no entries", {0x30, 26, 0x30, 22, HEAD, 0x30, 0}, 28, true, 0},
        {"one entry", {0x30, 48, 0x30, 44, HEAD, 0x30, 20, ENTRY(0)}, 50, true, 1},
        {"reason: key compromise",
         {0x30, 62, 0x30, 58,   HEAD, 0x30, 34, ENTRY(14), 0x30, 12, 0x30,
          10,   6,  3,    0x55, 0x1D, 21,   4,  3,         10,   1,  1},
         64,
         true,
         1},
        {"reason: removeFromCRL",
         {0x30, 62, 0x30, 58,   HEAD, 0x30, 34, ENTRY(14), 0x30, 12, 0x30,
          10,   6,  3,    0x55, 0x1D, 21,   4,  3,         10,   1,  8},
         64,
         true,
         0},
        {"certificateIssuer",
         {0x30, 63, 0x30, 59,   HEAD, 0x30, 35, ENTRY(15), 0x30, 13, 0x30, 11,
          6,    3,  0x55, 0x1D, 29,   1,    1,  0xFF,      4,    1,  0},
         65,
         false,
         0},
        {"delta list",
         {0x30, 44, 0x30, 42,   HEAD, 0x30, 0, 0xA0, 16, 0x30, 14, 0x30, 12,
          6,    3,  0x55, 0x1D, 27,   1,    1, 0xFF, 4,  2,    2,  0},
         46,
         false,
         0},
        {"list number",
         {0x30, 42, 0x30, 40,   HEAD, 0x30, 0, 0xA0, 14, 0x30, 12, 0x30,
          10,   6,  3,    0x55, 0x1D, 20,   4, 3,    2,  1,    7},
         44,
         true,
         0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_error error;
        struct revocations *set = revocations_create();
        bool good = revocations_add(set, cases[i].bytes, cases[i].n, &error) == cases[i].good &&
                    (!cases[i].good || revocations_count(set) == cases[i].held);
        if (!good)
            fprintf(stderr, "\n%s: %s, %u entries\n", cases[i].what, error.text, revocations_count(set));
        CU_ASSERT_TRUE(good);
        revocations_destroy(set);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"lists and certificates (B4)", test_lists},
        {"issuer and serial number together", test_issuer},
        {"cut and changed lists", test_malformed},
        {"extensions (RFC 5280 5.2, 5.3)", test_extensions},
    };
    if (tls_library_init() != 0 || !lab_clients_pki())
        return EXIT_FAILURE;
    int result = unit_run("revocation", tests, sizeof(tests) / sizeof(tests[0]));
    lab_remove();
    tls_library_fini();
    return result;
}
