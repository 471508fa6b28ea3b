/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other side of a TLS 1.3 session that says what no library would: records of any type and content,
 * sealed with the keys that the library's key log gives away (RFC 8446 section 5.2, 7.1, 7.3). Made before
 * the handshake by forge_listen, used when the session is open; the peer's library must not send any more.
 */
#ifndef TESTS_UNIT_TLS_FORGE_H
#define TESTS_UNIT_TLS_FORGE_H

#include "tests/unit/tls_lab.h"

#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/kdf.h>
#include <wolfssl/wolfcrypt/sha256.h>

#define FORGE_SUITE "TLS13-AES128-GCM-SHA256"

struct forge {
    uint8_t secret[32];
    bool client; /* whose records they are */
    uint64_t sequence;
    bool known;
};

static inline int forge_on_secret(WOLFSSL *ssl, int id, const unsigned char *secret, int n, void *owner)
{
    struct forge *forge = owner;
    (void)ssl;
    if (id == (forge->client ? CLIENT_TRAFFIC_SECRET : SERVER_TRAFFIC_SECRET) && n == 32) {
        memcpy(forge->secret, secret, 32);
        forge->known = true;
    }
    return 0;
}

/* The lab's peer, a server or a client, gives its secret away. */
static inline void forge_listen(struct forge *forge, struct lab *lab)
{
    *forge = (struct forge){.client = lab->peer_connects};
    wolfSSL_KeepArrays(lab->server);
    if (wolfSSL_set_tls13_secret_cb(lab->server, forge_on_secret, forge) != WOLFSSL_SUCCESS)
        abort();
}

static inline void forge_expand(const struct forge *forge, const char *label, uint8_t *out, uint32_t n)
{
    if (wc_Tls13_HKDF_Expand_Label(out, n, forge->secret, 32, (const uint8_t *)"tls13 ", 6,
                                   (const uint8_t *)label, (word32)strlen(label), NULL, 0, WC_SHA256) != 0)
        abort();
}

/* One record to the side under test. */
static inline void forge_send(struct forge *forge, struct lab *lab, uint8_t type, const uint8_t *p, size_t n)
{
    uint8_t key[16], iv[12], inner[2048], record[5 + 2048 + 16];
    Aes aes;
    size_t bytes = n + 1 + 16;
    if (!forge->known || n + 1 > sizeof(inner))
        abort();
    forge_expand(forge, "key", key, sizeof(key));
    forge_expand(forge, "iv", iv, sizeof(iv));
    for (int i = 0; i < 8; i++)
        iv[4 + i] ^= (uint8_t)(forge->sequence >> (56 - 8 * i));
    forge->sequence++;
    if (n > 0)
        memcpy(inner, p, n);
    inner[n] = type;
    record[0] = 23;
    record[1] = record[2] = 3;
    record[3] = (uint8_t)(bytes >> 8);
    record[4] = (uint8_t)bytes;
    if (wc_AesInit(&aes, NULL, INVALID_DEVID) != 0 || wc_AesGcmSetKey(&aes, key, sizeof(key)) != 0 ||
        wc_AesGcmEncrypt(&aes, record + 5, inner, (word32)(n + 1), iv, sizeof(iv), record + 5 + n + 1, 16,
                         record, 5) != 0)
        abort();
    wc_AesFree(&aes);
    lab_pipe_add(&lab->to_client, record, 5 + bytes);
}

#endif
