/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hellos of TLS 1.3 with a pre-shared key, byte by byte, as no library makes them: any identity, any mode,
 * any binder (RFC 8446 sections 4.1.2, 4.1.3 and 4.2.11).
 */
#ifndef TESTS_UNIT_PSK_HELLO_H
#define TESTS_UNIT_PSK_HELLO_H

#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define HELLO_MAX 70000
#define HELLO_PSK_KE 1u
#define HELLO_PSK_DHE_KE 2u
#define HELLO_DIGEST 32

struct hello_out {
    uint8_t at[HELLO_MAX];
    size_t n;
};

static inline void hello_put(struct hello_out *out, const void *at, size_t n)
{
    if (n > sizeof(out->at) - out->n)
        abort();
    memcpy(out->at + out->n, at, n);
    out->n += n;
}

static inline void hello_be(struct hello_out *out, uint32_t value, unsigned int bytes)
{
    while (bytes-- > 0) {
        uint8_t byte = (uint8_t)(value >> 8 * bytes);
        hello_put(out, &byte, 1);
    }
}

/* A length of `bytes` bytes that is filled in when what it counts has been written. */
static inline size_t hello_open(struct hello_out *out, unsigned int bytes)
{
    hello_be(out, 0, bytes);
    return out->n;
}

static inline void hello_close(struct hello_out *out, size_t from, unsigned int bytes)
{
    size_t n = out->n - from;
    for (unsigned int i = 0; i < bytes; i++)
        out->at[from - 1 - i] = (uint8_t)(n >> 8 * i);
}

/* ---- the binder (section 7.1) ----------------------------------------------------------------------------
 */

static inline void hello_hmac(const uint8_t *key, size_t key_n, const void *at, size_t n,
                              uint8_t out[HELLO_DIGEST])
{
    Hmac state;
    if (wc_HmacInit(&state, NULL, INVALID_DEVID) != 0 ||
        wc_HmacSetKey(&state, WC_SHA256, key, (word32)key_n) != 0 ||
        wc_HmacUpdate(&state, at, (word32)n) != 0 || wc_HmacFinal(&state, out) != 0)
        abort();
    wc_HmacFree(&state);
}

/* HKDF-Expand-Label for one block. */
static inline void hello_expand(const uint8_t secret[HELLO_DIGEST], const char *label, const uint8_t *context,
                                size_t context_n, uint8_t out[HELLO_DIGEST])
{
    uint8_t info[128];
    size_t label_n = strlen(label), at = 0;
    info[at++] = 0;
    info[at++] = HELLO_DIGEST;
    info[at++] = (uint8_t)(6 + label_n);
    memcpy(info + at, "tls13 ", 6);
    memcpy(info + at + 6, label, label_n);
    at += 6 + label_n;
    info[at++] = (uint8_t)context_n;
    memcpy(info + at, context, context_n);
    at += context_n;
    info[at++] = 1;
    hello_hmac(secret, HELLO_DIGEST, info, at, out);
}

static inline void hello_binder(const uint8_t *key, size_t key_n, const uint8_t *truncated, size_t n,
                                uint8_t out[HELLO_DIGEST])
{
    static const uint8_t zero[HELLO_DIGEST];
    uint8_t early[HELLO_DIGEST], binder_key[HELLO_DIGEST], finished[HELLO_DIGEST], digest[HELLO_DIGEST];
    hello_hmac(zero, sizeof(zero), key, key_n, early);
    wc_Sha256Hash((const uint8_t *)"", 0, digest);
    hello_expand(early, "ext binder", digest, sizeof(digest), binder_key);
    hello_expand(binder_key, "finished", (const uint8_t *)"", 0, finished);
    wc_Sha256Hash(truncated, (word32)n, digest);
    hello_hmac(finished, sizeof(finished), digest, sizeof(digest), out);
}

/* ---- hellos ----------------------------------------------------------------------------------------------
 */

struct client_hello {
    const void *identity;
    size_t identity_n;
    const uint8_t *key;
    size_t key_n;
    unsigned int modes;
    bool no_share;
    bool early_data;
    bool certificates; /* signature_algorithms: it would take a certificate too */
    uint16_t suite;    /* 0: TLS_AES_128_GCM_SHA256 */
    uint32_t age;
    const char *before; /* an identity that is offered in front of it, with a binder of zeros; NULL: none */
};

static inline void hello_share(struct hello_out *out)
{
    static const uint8_t base[32] = {9}; /* the base point: whose secret we need not know */
    hello_be(out, 51, 2);
    size_t all = hello_open(out, 2), list = hello_open(out, 2);
    hello_be(out, 29, 2);
    hello_be(out, sizeof(base), 2);
    hello_put(out, base, sizeof(base));
    hello_close(out, list, 2);
    hello_close(out, all, 2);
}

static inline void hello_identity(struct hello_out *out, const void *identity, size_t n, uint32_t age)
{
    hello_be(out, (uint32_t)n, 2);
    hello_put(out, identity, n);
    hello_be(out, age, 4);
}

/* In records of 16 KiB at most. */
static inline void hello_records(const struct hello_out *message, struct hello_out *out)
{
    for (size_t at = 0; at < message->n;) {
        size_t n = message->n - at < 16384 ? message->n - at : 16384;
        hello_put(out, "\x16\x03\x01", 3);
        hello_be(out, (uint32_t)n, 2);
        hello_put(out, message->at + at, n);
        at += n;
    }
}

static inline void hello_of_client(const struct client_hello *hello, struct hello_out *out)
{
    static struct hello_out message;
    static const uint8_t zero[HELLO_DIGEST];
    uint8_t binder[HELLO_DIGEST];
    message.n = out->n = 0;
    hello_be(&message, 1, 1);
    size_t whole = hello_open(&message, 3);
    hello_be(&message, 0x0303, 2);
    hello_put(&message, "the random of a client, 32 bytes", 32);
    hello_be(&message, 0, 1);
    hello_be(&message, 2, 2);
    hello_be(&message, hello->suite == 0 ? 0x1301 : hello->suite, 2);
    hello_be(&message, 0x0100, 2);
    size_t extensions = hello_open(&message, 2);
    hello_put(&message, "\0\x2b\0\x03\x02\x03\x04", 7);        /* supported_versions */
    hello_put(&message, "\0\x0a\0\x06\0\x04\0\x1d\0\x17", 10); /* supported_groups */
    if (hello->certificates)
        hello_put(&message, "\0\x0d\0\x04\0\x02\x04\x03", 8);
    if (!hello->no_share)
        hello_share(&message);
    if (hello->early_data)
        hello_put(&message, "\0\x2a\0\0", 4);
    hello_be(&message, 45, 2);
    size_t modes = hello_open(&message, 2), list = hello_open(&message, 1);
    if ((hello->modes & HELLO_PSK_KE) != 0)
        hello_be(&message, 0, 1);
    if ((hello->modes & HELLO_PSK_DHE_KE) != 0)
        hello_be(&message, 1, 1);
    hello_close(&message, list, 1);
    hello_close(&message, modes, 2);
    hello_be(&message, 41, 2);
    size_t psk = hello_open(&message, 2), identities = hello_open(&message, 2);
    if (hello->before != NULL)
        hello_identity(&message, hello->before, strlen(hello->before), 0);
    hello_identity(&message, hello->identity, hello->identity_n, hello->age);
    hello_close(&message, identities, 2);
    size_t truncated = message.n, n = hello->before != NULL ? 2 : 1;
    hello_be(&message, (uint32_t)(n * (1 + HELLO_DIGEST)), 2);
    for (size_t i = 0; i < n; i++) {
        hello_be(&message, HELLO_DIGEST, 1);
        hello_put(&message, zero, sizeof(zero));
    }
    hello_close(&message, psk, 2);
    hello_close(&message, extensions, 2);
    hello_close(&message, whole, 3);
    hello_binder(hello->key, hello->key_n, message.at, truncated, binder);
    memcpy(message.at + message.n - sizeof(binder), binder, sizeof(binder));
    hello_records(&message, out);
}

struct server_hello {
    bool retry;    /* a HelloRetryRequest for P-256 */
    bool with_psk; /* the first identity is taken */
};

/* A ServerHello without a key share: what nobody with (EC)DHE sends. */
static inline void hello_of_server(const struct server_hello *hello, struct hello_out *out)
{
    static const uint8_t retry[32] = {0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C,
                                      0x02, 0x1E, 0x65, 0xB8, 0x91, 0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB,
                                      0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C};
    static struct hello_out message;
    message.n = 0;
    hello_be(&message, 2, 1);
    size_t whole = hello_open(&message, 3);
    hello_be(&message, 0x0303, 2);
    hello_put(&message, hello->retry ? (const char *)retry : "the random of a server, 32 bytes", 32);
    hello_be(&message, 0, 1);
    hello_be(&message, 0x1301, 2);
    hello_be(&message, 0, 1);
    size_t extensions = hello_open(&message, 2);
    hello_put(&message, "\0\x2b\0\x02\x03\x04", 6);
    if (hello->retry)
        hello_put(&message, "\0\x33\0\x02\0\x17", 6);
    if (hello->with_psk)
        hello_put(&message, "\0\x29\0\x02\0\0", 6);
    hello_close(&message, extensions, 2);
    hello_close(&message, whole, 3);
    out->n = 0;
    hello_records(&message, out);
    out->at[2] = 3;
}

#endif
