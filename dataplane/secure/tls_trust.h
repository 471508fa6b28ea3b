/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whom a TLS or DTLS context believes: its CA certificates, its revocation lists, and the checks that we add
 * to the library's own (B1, B4). For whoever makes contexts and runs handshakes.
 */
#ifndef DATAPLANE_SECURE_TLS_TRUST_H
#define DATAPLANE_SECURE_TLS_TRUST_H

#include "dataplane/secure/revocation.h"
#include "dataplane/secure/tls_context.h"
#include "dataplane/secure/tls_failure.h"
#include "dataplane/secure/tls_peer.h"

struct WOLFSSL_CTX;
struct WOLFSSL_X509_STORE_CTX;

/* What the verification of one handshake found; the library's callback gets it as wolfSSL_SetCertCbCtx was
 * told. `peer` is a reference, made when the whole chain is good: whoever has the struct gives it back. */
struct tls_verification {
    const struct tls_context *context; /* NULL: nothing is asked of tls_context_refuses */
    enum tls_verify_note note;
    int error; /* the library's, of the first certificate that it refused, from the CA down; 0: none */
    const char *refusal; /* with TLS_VERIFY_NOTE_REFUSED */
    struct tls_peer *peer;
    struct tls_peer *resumed_peer; /* of the ticket that was offered; counts only when it was also accepted */
};

/* Where a session that is in the hands of a handshake keeps it: wolfSSL_set_ex_data. */
#define TLS_VERIFICATION_INDEX 0

/* The case of a chain's leaf, leaf first, as a context wants its status known: a reference; NULL: it does
 * not, or none can be made. Takes public-key arithmetic: handshake threads. */
struct ocsp_case *tls_context_case(const struct tls_context *context, const struct der chain[], uint32_t n);

/* Gives its references back. */
void tls_verification_clear(struct tls_verification *verification);

struct tls_pins;
/*
 * Why a peer whose chain is good is refused all the same: one of its certificates is in `revoked`, or its key
 * is none of `pins`. NULL when it is not, or a static sentence. The one judge of handshakes and of sessions
 * that live when either changes, over TLS and DTLS. Neither locks nor allocates.
 */
const char *tls_trust_refuses(const struct revocations *revoked, const struct tls_pins *pins,
                              const struct tls_peer *peer);

/* PEM certificates of the CAs. False with `error`. */
bool tls_trust_load_ca(struct WOLFSSL_CTX *ctx, const char *path, struct tls_error *error);
/* Every list in the PEM file is loaded and added to `into` (may be NULL); without one for each issuer of a
 * chain, the chain is refused. */
bool tls_trust_load_crl(struct WOLFSSL_CTX *ctx, const char *path, struct revocations *into,
                        struct tls_error *error);
/*
 * The callback of wolfSSL_CTX_set_verify: refuses signatures with SHA-1 or older, which the library takes,
 * and notes who the peer is, and asks tls_context_refuses. It never overrules a refusal.
 */
int tls_verify(int accepted, struct WOLFSSL_X509_STORE_CTX *store);

#endif
