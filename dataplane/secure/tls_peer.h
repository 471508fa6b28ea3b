/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who the other side of a TLS or DTLS session is: copies of what its certificate or PSK says (B4, C1).
 *
 * Made once, by whoever runs the handshake, after the chain has been verified; immutable and reference-
 * counted from then on. A stream holds a reference as long as it lives (tls_stream_peer), a ticket cache
 * another. Texts are NUL-terminated, hold no NUL before that, and are at most TLS_PEER_TEXT_MAX bytes; one
 * that is longer, that the certificate holds twice, or that holds a NUL is not told (NULL), as if it were not
 * there. They are not known to be valid UTF-8. Any thread.
 */
#ifndef DATAPLANE_SECURE_TLS_PEER_H
#define DATAPLANE_SECURE_TLS_PEER_H

#include "dataplane/secure/ocsp_chain.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_PEER_TEXT_MAX 127
#define TLS_PEER_SANS_MAX 8
#define TLS_PEER_CHAIN_MAX OCSP_CHAIN_MAX
#define TLS_PEER_KEY_BYTES 16
#define TLS_PEER_DIGEST_BYTES 32

struct tls_peer {
    bool has_certificate;
    bool may_sign;          /* its key, in a handshake: RFC 5280 section 4.2.1.3 */
    const char *cn;         /* NULL: none */
    const char *ou;         /* likewise */
    const char *const *san; /* email, DNS name, URI, and IP address as text: sans_n of them */
    uint32_t sans_n;
    const char *serial;                         /* hexadecimal, lower case, without leading zeros */
    const char *psk_id;                         /* NULL: it has shown a certificate, or nothing */
    uint8_t fingerprint[TLS_PEER_DIGEST_BYTES]; /* SHA-256 of the certificate; of a TLS PSK its mark
                                                   (psk_keys.h) */
    uint8_t public_key[TLS_PEER_DIGEST_BYTES]; /* SHA-256 of its SubjectPublicKeyInfo: RFC 7469 section 2.4 */
    int64_t not_after_s;                       /* UNIX time: the first certificate of the chain to expire */
    /* Issuer and serial number of each certificate that was shown, leaf first: certificate_key(). */
    const uint8_t (*chain)[TLS_PEER_KEY_BYTES]; /* chain_n of them */
    uint32_t chain_n;
    struct ocsp_chain status; /* what the responders of its issuers say of it */
};

/* DER bytes of a chain, leaf first. NULL when a certificate is malformed, the chain is longer than
 * TLS_PEER_CHAIN_MAX, or memory is not to be had. */
struct tls_peer *tls_peer_of_chain(const uint8_t *const der[], const size_t bytes[], uint32_t n);
/* NULL when memory is not to be had, or the name is empty or too long. */
struct tls_peer *tls_peer_of_psk(const char *psk_id);
/* Whether two that have shown certificates are one: in what they have shown, and in whose word is asked. */
bool tls_peer_same(const struct tls_peer *a, const struct tls_peer *b);
struct tls_peer *tls_peer_ref(struct tls_peer *peer);
/* NULL is ignored. */
void tls_peer_unref(struct tls_peer *peer);

#endif
