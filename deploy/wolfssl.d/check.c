/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run by deploy/wolfssl on each library it has built, before anything is installed: the parts the gateway
 * relies on are there and give known answers, and nothing that it must not offer was compiled in
 * (requirements B1, B2, B7, C2). Prints what was found, exits non-zero at the first thing that is not as it
 * must be.
 */
#include <wolfssl/options.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/ssl.h>
#include <wolfssl/version.h>
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/pwdbased.h>
#include <wolfssl/wolfcrypt/sha256.h>

#if !defined(NO_RC4) || defined(WOLFSSL_MD2) || !defined(NO_MD4) || !defined(NO_MD5) || !defined(NO_DES3)
#error "an obsolete cipher or hash is compiled in"
#endif
#if defined(WC_RC2) || !defined(NO_DH) || !defined(NO_DSA)
#error "RC2, DH or DSA is compiled in"
#endif
#if !defined(NO_OLD_TLS) || defined(WOLFSSL_ALLOW_TLSV10) || defined(WOLFSSL_ALLOW_SSLV3)
#error "TLS 1.1 or older is compiled in"
#endif
#if defined(HAVE_NULL_CIPHER) || defined(HAVE_ANON) || defined(WOLFSSL_STATIC_RSA) ||                        \
    defined(WOLFSSL_STATIC_DH)
#error "suites without encryption, authentication or forward secrecy are compiled in"
#endif
#if defined(HAVE_SECURE_RENEGOTIATION) || defined(WOLFSSL_EARLY_DATA) || defined(HAVE_TRUNCATED_HMAC)
#error "renegotiation, early data or truncated HMAC is compiled in"
#endif
#if !defined(WOLFSSL_APP_CERT_ALERT) || !defined(WOLFSSL_HAS_SEND_FATAL_ALERT)
#error "the library would tell a peer itself why it is refused"
#endif
#if !defined(WOLFSSL_PSK_DHE_ONLY) || defined(WOLFSSL_PSK_ONE_ID)
#error "TLS 1.3 would take a PSK without a key share"
#endif
#if defined(WOLFSSL_SESSION_EXPORT) || defined(OPENSSL_EXTRA) || defined(IGNORE_NAME_CONSTRAINTS)
#error "session export, the OpenSSL layer or lax name constraints are compiled in"
#endif
#if !defined(WOLFSSL_TLS13) || !defined(WOLFSSL_DTLS) || !defined(HAVE_SESSION_TICKET) ||                    \
    !defined(HAVE_SNI) || !defined(HAVE_ALPN)
#error "a protocol or extension that the gateway needs is missing"
#endif
#ifndef WOLFSSL_RESUMES_TLSV1_2
#error "a client that cannot resume TLS 1.2"
#endif
#ifndef WC_CRYPTOCB_CERT_DEVICE
#error "no device is asked to verify certificates"
#endif
#ifndef WC_CRYPTOCB_CHACHAPOLY
#error "a device is not asked for ChaCha20-Poly1305"
#endif

enum { DEVICE_ID = 7 };

static int calls_to_device;

static void fail(const char *what)
{
    fprintf(stderr, "wolfssl: self-check failed: %s\n", what);
    exit(1);
}

static int on_crypto(int device_id, wc_CryptoInfo *info, void *context)
{
    (void)device_id;
    (void)context;
    if (info->algo_type == WC_ALGO_TYPE_CIPHER && info->cipher.type == WC_CIPHER_AES_GCM)
        calls_to_device++;
    return CRYPTOCB_UNAVAILABLE; /* wolfCrypt then does it itself */
}

/* AES-128-GCM, test case 2 of the GCM specification (McGrew and Viega, appendix B), through the callback
 * device. */
static void check_aes_gcm(void)
{
    static const unsigned char expected[32] = {
        0x03, 0x88, 0xda, 0xce, 0x60, 0xb6, 0xa3, 0x92, 0xf3, 0x28, 0xc2, 0xb9, 0x71, 0xb2, 0xfe, 0x78,
        0xab, 0x6e, 0x47, 0xd4, 0x2c, 0xec, 0x13, 0xbd, 0xf5, 0x3a, 0x67, 0xb2, 0x12, 0x57, 0xbd, 0xdf};
    unsigned char zero[16] = {0};
    unsigned char out[32];
    Aes aes;

    if (wc_CryptoCb_RegisterDevice(DEVICE_ID, on_crypto, NULL) != 0)
        fail("wc_CryptoCb_RegisterDevice");
    if (wc_AesInit(&aes, NULL, DEVICE_ID) != 0 || wc_AesGcmSetKey(&aes, zero, sizeof(zero)) != 0 ||
        wc_AesGcmEncrypt(&aes, out, zero, sizeof(zero), zero, 12, out + 16, 16, NULL, 0) != 0)
        fail("AES-GCM");
    wc_AesFree(&aes);
    if (memcmp(out, expected, sizeof(expected)) != 0)
        fail("AES-GCM gives a wrong answer");
    if (calls_to_device == 0)
        fail("the crypto callback device was not asked");
    wc_CryptoCb_UnRegisterDevice(DEVICE_ID);
}

/* SHA-256 by whatever this processor has (sha-extensions.patch), in one piece and in odd ones: the examples
 * of FIPS 180-2, appendix B. */
static void check_sha256(void)
{
    static const unsigned char abc[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                          0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                          0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    static const unsigned char million[32] = {
        0xcd, 0xc7, 0x6e, 0x5c, 0x99, 0x14, 0xfb, 0x92, 0x81, 0xa1, 0xc7, 0xe2, 0x84, 0xd7, 0x3e, 0x67,
        0xf1, 0x80, 0x9a, 0x48, 0xa4, 0x97, 0x20, 0x0e, 0x04, 0x6d, 0x39, 0xcc, 0xc7, 0x11, 0x2c, 0xd0};
    static unsigned char text[1000000];
    unsigned char out[32];
    wc_Sha256 sha;

    if (wc_Sha256Hash((const unsigned char *)"abc", 3, out) != 0 || memcmp(out, abc, sizeof(abc)) != 0)
        fail("SHA-256 of \"abc\"");
    memset(text, 'a', sizeof(text));
    for (unsigned piece = 1000000; piece > 0; piece = piece == 1000000 ? 999 : piece / 7) {
        if (wc_InitSha256(&sha) != 0)
            fail("SHA-256");
        for (unsigned at = 0; at < sizeof(text); at += piece)
            if (wc_Sha256Update(&sha, text + at,
                                at + piece > sizeof(text) ? (word32)sizeof(text) - at : piece) != 0)
                fail("SHA-256");
        if (wc_Sha256Final(&sha, out) != 0 || memcmp(out, million, sizeof(million)) != 0)
            fail("SHA-256 of a million letters");
    }
}

/* PBKDF2-HMAC-SHA-512 of "password", "salt", one round; the first bytes as Python's hashlib gives them. */
static void check_pbkdf2(void)
{
    static const unsigned char expected[16] = {0x86, 0x7f, 0x70, 0xcf, 0x1a, 0xde, 0x02, 0xcf,
                                               0xf3, 0x75, 0x25, 0x99, 0xa3, 0xa5, 0x3d, 0xc4};
    unsigned char out[64];

    if (wc_PBKDF2(out, (const unsigned char *)"password", 8, (const unsigned char *)"salt", 4, 1, sizeof(out),
                  WC_SHA512) != 0 ||
        memcmp(out, expected, sizeof(expected)) != 0)
        fail("PBKDF2-SHA512");
}

/* Every suite is an AEAD, and all but the PSK ones of CoAP are ephemeral. */
static int check_suites(void)
{
    char list[8192];
    char *rest = list;
    int count = 0;

    if (wolfSSL_get_ciphers(list, sizeof(list)) != WOLFSSL_SUCCESS)
        fail("wolfSSL_get_ciphers");
    for (char *suite = strtok_r(list, ":", &rest); suite != NULL; suite = strtok_r(NULL, ":", &rest)) {
        bool aead =
            strstr(suite, "GCM") != NULL || strstr(suite, "CCM") != NULL || strstr(suite, "POLY1305") != NULL;
        bool known = strncmp(suite, "TLS13-", 6) == 0 || strncmp(suite, "ECDHE-", 6) == 0 ||
                     strncmp(suite, "PSK-", 4) == 0;

        if (!aead || !known)
            fail(suite);
        count++;
    }
    if (count == 0)
        fail("no suite at all");
    return count;
}

static const char *yes_no(bool there)
{
    return there ? "yes" : "no";
}

int main(void)
{
    bool dtls13 = false;
    bool cid = false;

#ifdef WOLFSSL_DTLS13
    dtls13 = true;
#endif
#ifdef WOLFSSL_DTLS_CID
    cid = true;
#endif
    if (wolfSSL_Init() != WOLFSSL_SUCCESS)
        fail("wolfSSL_Init");
    if (wolfSSL_psk_proved(NULL) != 0)
        fail("wolfSSL_psk_proved");
    check_aes_gcm();
    check_pbkdf2();
    check_sha256();
    printf("wolfssl: self-check of %s: %d suites, all AEAD; DTLS 1.3 %s, its connection ids %s\n",
           LIBWOLFSSL_VERSION_STRING, check_suites(), yes_no(dtls13), yes_no(cid));
    wolfSSL_Cleanup();
    return 0;
}
