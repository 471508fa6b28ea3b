/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signatures of certificates that were found good are known; no others ever are (B4, K3). */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/ecc.h>

#include "dataplane/secure/verified_signatures.h"
#include "tests/unit/runner.h"
#include "tests/unit/tls_lab.h"

#include <pthread.h>

#define HASH_BYTES 32

struct signed_hash {
    ecc_key key; /* the device's */
    uint8_t hash[HASH_BYTES];
    uint8_t signature[ECC_MAX_SIG_SIZE];
    word32 signature_bytes;
};

static WC_RNG rng;

static void make_key(ecc_key *key, int curve)
{
    CU_ASSERT_EQUAL_FATAL(wc_ecc_init_ex(key, NULL, INVALID_DEVID), 0);
    CU_ASSERT_EQUAL_FATAL(wc_ecc_make_key_ex(&rng, wc_ecc_get_curve_size_from_id(curve), key, curve), 0);
}

static void sign(struct signed_hash *s, uint32_t number)
{
    memset(s->hash, 0, sizeof(s->hash));
    memcpy(s->hash, &number, sizeof(number));
    s->key.devId = INVALID_DEVID;
    s->signature_bytes = sizeof(s->signature);
    CU_ASSERT_EQUAL_FATAL(
        wc_ecc_sign_hash(s->hash, sizeof(s->hash), s->signature, &s->signature_bytes, &rng, &s->key), 0);
    s->key.devId = VERIFIED_SIGNATURES_DEVICE;
}

static bool good(struct signed_hash *s)
{
    int result = 0;
    int error =
        wc_ecc_verify_hash(s->signature, s->signature_bytes, s->hash, sizeof(s->hash), &result, &s->key);
    return error == 0 && result == 1;
}

static void test_known(void)
{
    static const int curves[] = {ECC_SECP256R1, ECC_SECP384R1, ECC_SECP521R1};
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
        struct signed_hash s;
        make_key(&s.key, curves[i]);
        sign(&s, 1);
        uint64_t known = verified_signatures_known(), added = verified_signatures_added();
        CU_ASSERT_TRUE(good(&s));
        CU_ASSERT_EQUAL(verified_signatures_known() - known, 0);
        CU_ASSERT_EQUAL(verified_signatures_added() - added, 1);
        for (int j = 0; j < 10; j++)
            CU_ASSERT_TRUE(good(&s));
        CU_ASSERT_EQUAL(verified_signatures_known() - known, 10);
        CU_ASSERT_EQUAL(verified_signatures_added() - added, 1);
        wc_ecc_free(&s.key);
    }
}

/* Any bit of hash or signature, or another key: computed, found bad, and not remembered. */
static void test_bad(void)
{
    struct signed_hash s, other;
    make_key(&s.key, ECC_SECP256R1);
    make_key(&other.key, ECC_SECP256R1);
    sign(&s, 2);
    CU_ASSERT_TRUE(good(&s));
    uint64_t known = verified_signatures_known(), added = verified_signatures_added();
    int taken = 0;
    for (int round = 0; round < 2; round++) {
        for (uint32_t bit = 0; bit < 8 * HASH_BYTES; bit += 5) {
            s.hash[bit / 8] ^= (uint8_t)(1u << bit % 8);
            taken += good(&s);
            s.hash[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (uint32_t bit = 0; bit < 8 * s.signature_bytes; bit += 5) {
            s.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
            taken += good(&s);
            s.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        memcpy(other.hash, s.hash, sizeof(s.hash));
        memcpy(other.signature, s.signature, sizeof(s.signature));
        other.signature_bytes = s.signature_bytes;
        other.key.devId = VERIFIED_SIGNATURES_DEVICE;
        taken += good(&other);
    }
    CU_ASSERT_EQUAL(taken, 0);
    CU_ASSERT_EQUAL(verified_signatures_known(), known);
    CU_ASSERT_EQUAL(verified_signatures_added(), added);
    CU_ASSERT_TRUE(good(&s)); /* the right one still is */
    wc_ecc_free(&s.key);
    wc_ecc_free(&other.key);
}

/* More than some of its sets have room for: the table keeps its size, and the last one is in it. */
static void test_full(void)
{
    enum { MANY = 4000 };
    static struct signed_hash s;
    make_key(&s.key, ECC_SECP256R1);
    int bad = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        sign(&s, i);
        bad += !good(&s);
    }
    uint64_t known = verified_signatures_known();
    bad += !good(&s);
    CU_ASSERT_EQUAL(bad, 0);
    CU_ASSERT_EQUAL(verified_signatures_known() - known, 1);
    wc_ecc_free(&s.key);
}

static void *verify_often(void *shared)
{
    struct signed_hash mine = *(struct signed_hash *)shared;
    intptr_t bad = 0;
    for (int i = 0; i < 200; i++) {
        bad += !good(&mine);
        mine.hash[31] ^= 1;
        bad += good(&mine);
        mine.hash[31] ^= 1;
    }
    return (void *)bad;
}

static void test_threads(void)
{
    static struct signed_hash s;
    pthread_t threads[3];
    make_key(&s.key, ECC_SECP256R1);
    sign(&s, 3);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, verify_often, &s), 0);
    for (int i = 0; i < 3; i++) {
        void *bad = &s;
        pthread_join(threads[i], &bad);
        CU_ASSERT_PTR_NULL(bad);
    }
    wc_ecc_free(&s.key);
}

/* Toward a server: its certificate is computed once, what it signs in a handshake each time; and a list, a
 * date, a name count for what is known as for what is not. */
static void test_handshakes(void)
{
#ifdef WC_CRYPTOCB_CERT_DEVICE
    struct tls_settings settings = lab_settings();
    struct tls_error error;
    uint64_t known = verified_signatures_known(), added = verified_signatures_added();
    for (int i = 0; i < 5; i++) {
        struct tls_context *context = tls_context_create(&settings, &error);
        struct lab *lab = lab_create(&(const struct lab_server){.certificate = "server"}, NULL);
        lab_connect(lab, context, NULL);
        lab_settle(lab);
        CU_ASSERT_EQUAL(lab->opened, 1);
        lab_destroy(lab);
        tls_context_unref(context);
    }
    CU_ASSERT_EQUAL(verified_signatures_added() - added, 1);
    CU_ASSERT_EQUAL(verified_signatures_known() - known, 4);
    static const char *const refused[] = {"revoked", "expired", "wrong", "purpose", "stranger", "self"};
    settings.crl_file = lab_path("ca.crl");
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
            struct tls_context *context = tls_context_create(&settings, &error);
            struct lab *lab = lab_create(&(const struct lab_server){.certificate = refused[i]}, NULL);
            lab_connect(lab, context, NULL);
            lab_settle(lab);
            CU_ASSERT_EQUAL(lab->opened, 0);
            CU_ASSERT_EQUAL(lab->why, STREAM_END_TLS_VERIFY);
            lab_destroy(lab);
            tls_context_unref(context);
        }
#endif
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"one that was found good is known", test_known},
        {"bad ones never are", test_bad},
        {"the table has its size", test_full},
        {"threads", test_threads},
        {"handshakes", test_handshakes},
    };
    if (tls_library_init() != 0 || !lab_pki() || wc_InitRng(&rng) != 0)
        return EXIT_FAILURE;
    int result = unit_run("verified_signatures", tests, sizeof(tests) / sizeof(tests[0]));
    wc_FreeRng(&rng);
    lab_remove();
    tls_library_fini();
    return result;
}
