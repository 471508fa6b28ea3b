/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private keys that stay where they are: in secret memory (B3, B7).
 *
 * wolfSSL gets the public half of a key in a private key's place, and when it has to sign, the crypto device
 * (crypto_offload.h) asks here for the key that goes with it. The signature is made with a copy in secret
 * memory, which is wiped, like the stack that was used. So neither a context nor a session holds a private
 * key, however many there are. EC keys (P-256, P-384, P-521) and RSA. Any thread; a lock is held to find a
 * key, not to sign.
 */
#ifndef DATAPLANE_SECURE_TLS_KEY_H
#define DATAPLANE_SECURE_TLS_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_key;
struct wc_CryptoInfo;

enum tls_key_trouble { TLS_KEY_GOOD = 0, TLS_KEY_UNKNOWN_KIND, TLS_KEY_SHORT, TLS_KEY_NO_MEMORY };

/* `der` in secret memory: PKCS#8, or as RFC 5915 and RFC 8017 have it; copied. NULL with `trouble`: it is
 * neither EC nor RSA, or shorter than 256 or 2048 bits. */
struct tls_key *tls_key_create(const uint8_t *der, size_t n, enum tls_key_trouble *trouble);
/* NULL is ignored. Signatures under way are finished first. */
void tls_key_destroy(struct tls_key *key);
/* Its public half: an uncompressed point, or a modulus. */
const uint8_t *tls_key_public(const struct tls_key *key, size_t *n);
/* Answers a request for a signature, if there is the key: 0, a wolfCrypt error, or CRYPTOCB_UNAVAILABLE. */
int tls_key_on_request(struct wc_CryptoInfo *info);

#endif
