/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who a certificate says that its holder is (B4, C1; RFC 5280). */
#include "dataplane/secure/certificate.h"
#include "dataplane/secure/peer_share.h"
#include "dataplane/secure/tls_peer.h"
#include "tests/unit/runner.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DER_MAX 4096

static char directory[] = "/tmp/sallyport-peer-XXXXXX";

/* A self-signed certificate with that subject and SAN (NULL: none), made by the openssl command. */
static size_t make(const char *subject, const char *san, uint8_t der[DER_MAX])
{
    char command[2048];
    snprintf(
        command, sizeof(command),
        "cd %s && openssl req -x509 -utf8 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout k "
        "-days 10 -set_serial 0x00c0ffee -subj '%s' %s%s -outform DER -out c 2>log || cat log >&2",
        directory, subject, san == NULL ? "" : "-addext subjectAltName=", san == NULL ? "" : san);
    CU_ASSERT_EQUAL_FATAL(system(command), 0);
    snprintf(command, sizeof(command), "%s/c", directory);
    FILE *file = fopen(command, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    size_t n = fread(der, 1, DER_MAX, file);
    fclose(file);
    return n;
}

static struct tls_peer *peer_of(const uint8_t *der, size_t n)
{
    const uint8_t *chain[] = {der};
    return tls_peer_of_chain(chain, &n, 1);
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

#define LONG_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_names(void)
{
    static const struct {
        const char *what;
        const char *subject;
        const char *san;
        const char *cn;
        const char *ou;
        const char *sans[4];
    } cases[] = {
        {"CN alone", "/CN=truck-001", NULL, "truck-001", NULL, {NULL}},
        {"CN and OU", "/O=Fleet/OU=dispatch/CN=console", NULL, "console", "dispatch", {NULL}},
        {"two CNs tell nobody", "/CN=truck-001/CN=admin", NULL, NULL, NULL, {NULL}},
        {"two OUs tell none", "/OU=a/OU=b/CN=x", NULL, "x", NULL, {NULL}},
        {"several in one RDN", "/OU=a+CN=x", NULL, "x", "a", {NULL}},
        {"an empty subject", "/", "DNS:a.example", NULL, NULL, {"a.example"}},
        {"UTF-8", "/CN=L\xc3\xa4rm", NULL, "L\xc3\xa4rm", NULL, {NULL}},
        {"SANs of all kinds in their order (4.2.1.6)",
         "/CN=x",
         "DNS:a.example,URI:urn:dev:1,IP:10.0.0.9,IP:fd00::9",
         "x",
         NULL,
         {"a.example", "urn:dev:1", "10.0.0.9", "fd00::9"}},
        {"a SAN of another kind is passed over",
         "/CN=x",
         "RID:1.2.3.4,email:a@b.example",
         "x",
         NULL,
         {"a@b.example"}},
        {"a SAN that is too long is not told", "/CN=x", "URI:" LONG_64 LONG_64 ",DNS:a", "x", NULL, {"a"}},
    };
    uint8_t der[DER_MAX];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n = make(cases[i].subject, cases[i].san, der);
        struct tls_peer *peer = peer_of(der, n);
        CU_ASSERT_PTR_NOT_NULL_FATAL(peer);
        bool good = same(peer->cn, cases[i].cn) && same(peer->ou, cases[i].ou) && peer->psk_id == NULL &&
                    peer->has_certificate && same(peer->serial, "c0ffee") && peer->chain_n == 1;
        for (uint32_t k = 0; k < 4; k++)
            good = good && same(k < peer->sans_n ? peer->san[k] : NULL, cases[i].sans[k]);
        if (!good)
            fprintf(stderr, "\n%s: CN %s OU %s serial %s, %u SANs\n", cases[i].what,
                    peer->cn == NULL ? "-" : peer->cn, peer->ou == NULL ? "-" : peer->ou, peer->serial,
                    peer->sans_n);
        CU_ASSERT_TRUE(good);
        tls_peer_unref(tls_peer_ref(peer));
        tls_peer_unref(peer);
    }
}

/* Cut anywhere, or with any one octet changed, it is refused or read; never past its end (ASan watches). */
static void test_malformed(void)
{
    uint8_t der[DER_MAX];
    size_t n = make("/OU=a/CN=truck-001", "DNS:a.example,IP:10.0.0.9", der);
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *piece = malloc(cut == 0 ? 1 : cut);
        CU_ASSERT_PTR_NOT_NULL_FATAL(piece);
        memcpy(piece, der, cut);
        CU_ASSERT_PTR_NULL(peer_of(piece, cut));
        free(piece);
    }
    for (size_t at = 0; at < n; at++)
        for (unsigned int flip = 1; flip < 256; flip *= 2) {
            uint8_t *changed = malloc(n);
            CU_ASSERT_PTR_NOT_NULL_FATAL(changed);
            memcpy(changed, der, n);
            changed[at] ^= (uint8_t)flip;
            tls_peer_unref(peer_of(changed, n));
            free(changed);
        }
    der[n] = 0;
    CU_ASSERT_PTR_NULL(peer_of(der, n + 1)); /* something follows */
}

/* A NUL inside of a name must not make a longer name look like a shorter one. */
static void test_nul(void)
{
    uint8_t der[DER_MAX];
    size_t n = make("/CN=truck-001xevil", NULL, der);
    for (uint8_t *at = der; (at = memmem(at, n - (size_t)(at - der), "001xevil", 8)) != NULL; at += 8)
        at[3] = 0;
    struct tls_peer *peer = peer_of(der, n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer);
    CU_ASSERT_PTR_NULL(peer->cn);
    tls_peer_unref(peer);
}

/* K3: sessions of one server have one object, as long as it is shown the same chain. */
static void test_share(void)
{
    enum { OTHERS = 5 }; /* more than are held */
    static uint8_t der[OTHERS + 1][DER_MAX];
    size_t n[OTHERS + 1];
    struct peer_share *share = peer_share_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(share);
    for (int i = 0; i <= OTHERS; i++)
        n[i] = make("/CN=broker", "DNS:a.example,DNS:b.example", der[i]);
    struct tls_peer *first = peer_share_take(share, peer_of(der[0], n[0]));
    struct tls_peer *second = peer_share_take(share, peer_of(der[0], n[0]));
    CU_ASSERT_PTR_EQUAL(first, second);
    CU_ASSERT_EQUAL(first->sans_n, 2);
    CU_ASSERT_STRING_EQUAL(first->san[1], "b.example");
    const uint8_t *longer[] = {der[0], der[1]};
    struct tls_peer *chain = peer_share_take(share, tls_peer_of_chain(longer, n, 2));
    CU_ASSERT_PTR_NOT_EQUAL(chain, first); /* the same leaf, another way up */
    struct tls_peer *alone = peer_share_take(NULL, peer_of(der[0], n[0]));
    CU_ASSERT_PTR_NOT_EQUAL(alone, first);
    CU_ASSERT_TRUE(tls_peer_same(alone, first));
    tls_peer_unref(alone);
    for (int i = 1; i <= OTHERS; i++) {
        struct tls_peer *other = peer_share_take(share, peer_of(der[i], n[i]));
        CU_ASSERT_PTR_NOT_EQUAL(other, first);
        CU_ASSERT_FALSE(tls_peer_same(other, first));
        tls_peer_unref(other);
    }
    struct tls_peer *again = peer_share_take(share, peer_of(der[0], n[0])); /* made way; a new one */
    CU_ASSERT_PTR_NOT_EQUAL(again, first);
    peer_share_destroy(share);
    peer_share_destroy(NULL);
    CU_ASSERT_STRING_EQUAL(first->cn, "broker"); /* who has one keeps it */
    tls_peer_unref(first);
    tls_peer_unref(second);
    tls_peer_unref(chain);
    tls_peer_unref(again);
}

static void test_time(void)
{
    static const struct {
        const char *what;
        uint8_t tag;
        const char *text;
        bool good;
        int64_t seconds;
    } cases[] = {
        {"UTCTime (4.1.2.5.1)", DER_UTC_TIME, "700101000000Z", true, 0},
        {"UTCTime of 2049", DER_UTC_TIME, "491231235959Z", true, INT64_C(2524607999)},
        {"UTCTime of 1950", DER_UTC_TIME, "500101000000Z", true, INT64_C(-631152000)},
        {"GeneralizedTime (4.1.2.5.2)", DER_GENERALIZED_TIME, "20500101000000Z", true, INT64_C(2524608000)},
        {"no expiry (4.1.2.5)", DER_GENERALIZED_TIME, "99991231235959Z", true, INT64_C(253402300799)},
        {"without seconds", DER_UTC_TIME, "7001010000Z", false, 0},
        {"without Z", DER_UTC_TIME, "700101000000", false, 0},
        {"zone", DER_UTC_TIME, "700101000000+0100", false, 0},
        {"fraction", DER_GENERALIZED_TIME, "20500101000000.5Z", false, 0},
        {"month 13", DER_UTC_TIME, "701301000000Z", false, 0},
        {"letters", DER_UTC_TIME, "70010100000xZ", false, 0},
        {"another type", DER_UTF8_STRING, "700101000000Z", false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t der[64];
        int64_t seconds = 0;
        size_t n = strlen(cases[i].text);
        der[0] = cases[i].tag;
        der[1] = (uint8_t)n;
        memcpy(der + 2, cases[i].text, n);
        struct der from = der_of(der, n + 2);
        bool good = certificate_time(&from, &seconds) == cases[i].good &&
                    (!cases[i].good || seconds == cases[i].seconds);
        if (!good)
            fprintf(stderr, "\n%s: %lld\n", cases[i].what, (long long)seconds);
        CU_ASSERT_TRUE(good);
    }
}

static void test_der(void)
{
    static const struct {
        const char *what;
        uint8_t bytes[8];
        size_t n;
        bool good;
    } cases[] = {
        {"empty", {0}, 0, false},
        {"tag only", {0x30}, 1, false},
        {"content is missing", {0x30, 1}, 2, false},
        {"whole", {0x30, 1, 7}, 3, true},
        {"indefinite length (X.690 10.1)", {0x30, 0x80, 0, 0}, 4, false},
        {"length in more octets than needed (X.690 10.1)", {0x30, 0x81, 1, 7}, 4, false},
        {"length with a leading zero", {0x30, 0x82, 0, 1, 7}, 5, false},
        {"length of five octets", {0x30, 0x85, 1, 0, 0, 0, 0}, 7, false},
        {"huge length", {0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF}, 6, false},
        {"length cut", {0x30, 0x82, 1}, 3, false},
        {"tag number above 30 (X.690 8.1.2.4)", {0x1F, 1, 7}, 3, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct der from = der_of(cases[i].bytes, cases[i].n);
        bool good = der_take(&from, cases[i].bytes[0], NULL, NULL) == cases[i].good;
        if (!good)
            fprintf(stderr, "\n%s\n", cases[i].what);
        CU_ASSERT_TRUE(good);
        CU_ASSERT_EQUAL(from.left, cases[i].good ? 0 : cases[i].n);
    }
}

static void test_psk(void)
{
    struct tls_peer *peer = tls_peer_of_psk("probe-7");
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer);
    CU_ASSERT_STRING_EQUAL(peer->psk_id, "probe-7");
    CU_ASSERT_FALSE(peer->has_certificate);
    CU_ASSERT_PTR_NULL(peer->cn);
    tls_peer_unref(peer);
    CU_ASSERT_PTR_NULL(tls_peer_of_psk(""));
    CU_ASSERT_PTR_NULL(tls_peer_of_psk(LONG_64 LONG_64));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"DER elements", test_der},
        {"sessions of one server have one object (K3)", test_share},
        {"times (RFC 5280 4.1.2.5)", test_time},
        {"names of a certificate", test_names},
        {"a NUL in a name", test_nul},
        {"cut and changed certificates", test_malformed},
        {"PSK identity", test_psk},
    };
    if (mkdtemp(directory) == NULL)
        return EXIT_FAILURE;
    int result = unit_run("tls_peer", tests, sizeof(tests) / sizeof(tests[0]));
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return system(command) == 0 ? result : EXIT_FAILURE;
}
