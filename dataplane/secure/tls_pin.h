/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pinned keys: which public keys a peer may have, beside a chain that is verified (RFC 7469 section 2.4).
 *
 * A pin is "sha256/" and the base64 of SHA-256 over the SubjectPublicKeyInfo of the peer's own certificate,
 * as `openssl x509 -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | base64` writes
 * it. Part of a context; immutable once parsed.
 */
#ifndef DATAPLANE_SECURE_TLS_PIN_H
#define DATAPLANE_SECURE_TLS_PIN_H

#include "dataplane/secure/tls_context.h"
#include "dataplane/secure/tls_peer.h"

#define TLS_PINS_MAX 8

struct tls_pins {
    uint32_t n; /* 0: any key */
    uint8_t digest[TLS_PINS_MAX][TLS_PEER_DIGEST_BYTES];
};

/* Comma-separated; NULL: none. False with `error`. */
bool tls_pins_parse(struct tls_pins *pins, const char *text, struct tls_error *error);
/* The peer has one of the keys, or none is pinned. */
bool tls_pins_fit(const struct tls_pins *pins, const struct tls_peer *peer);

#endif
