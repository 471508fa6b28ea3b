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
#include "dataplane/secure/tls_path.h"
#include "dataplane/secure/tls_peer.h"
#include "dataplane/secure/tls_pin.h"

struct WOLFSSL_CTX;
struct tls_identity;
struct WOLFSSL_X509_STORE_CTX;

/* What one context asks of a peer whose chain is good. */
struct tls_trust {
    bool keys_only;              /* no certificate is good: pre-shared keys are what is agreed */
    struct revocations *revoked; /* NULL: no lists */
    struct tls_pins pins;
    struct ocsp_policy ocsp; /* its text is the trust's */
    uint8_t *issuers;        /* our CA certificates, DER, one behind the other */
    size_t issuers_bytes;
    bool constrained;         /* one of them has name constraints */
    const char *server_name;  /* that a server's certificate must be for: borrowed; NULL: it is a client's */
    struct peer_share *peers; /* of sessions: an upstream's servers; NULL: each has its own */
};

/* Why a peer is refused, and the alert that it is told with (RFC 8446 section 6.2). */
struct tls_refusal {
    const char *why; /* a static sentence; NULL: it is not */
    uint8_t alert;
};

/* What the verification of one handshake found; the library's callback gets it as wolfSSL_SetCertCbCtx was
 * told. `peer` is a reference, made when the whole chain is good: whoever has the struct gives it back. */
struct tls_verification {
    const struct tls_trust *trust; /* NULL: nothing more is asked than that the chain is good */
    enum tls_verify_note note;
    int error; /* the library's, of the first certificate that it refused, from the CA down; 0: none */
    struct tls_refusal refusal; /* with TLS_VERIFY_NOTE_REFUSED */
    struct tls_peer *peer;
    struct tls_identity *identity; /* that signs in it: a reference until it is over; NULL: the context's */
    struct tls_peer *resumed_peer; /* of the ticket that was offered; counts only when it was also accepted */
    struct tls_peer *psk_peer; /* whom the PSK identity names that was shown last; counts once it is proved */
    bool psk_shown, psk_known; /* an identity was shown; there is a key for it */
};

/* Where a session that is in the hands of a handshake keeps it: wolfSSL_set_ex_data. */
#define TLS_VERIFICATION_INDEX 0

/* Frees what it holds. */
void tls_trust_clear(struct tls_trust *trust);
/* Takes the CAs that peers come from, and the policy on asking for the status of peers (NULL: nobody is
 * asked). False with `error`. */
bool tls_trust_set(struct tls_trust *trust, const char *ca_file, const struct ocsp_policy *policy,
                   struct tls_error *error);
/* Whom to ask about a peer, from its certificate up to one of our CAs: none when nobody is asked, or nothing
 * can be. */
void tls_trust_status(const struct tls_trust *trust, const struct tls_path *path, struct ocsp_chain *status);
/* That of a context. */
const struct tls_trust *tls_context_trust(const struct tls_context *context);

/* The handshake is over: nobody signs any more. */
void tls_verification_done(struct tls_verification *verification);
/* Gives its references back. */
void tls_verification_clear(struct tls_verification *verification);

/*
 * Why a peer whose chain is good is refused all the same: one of its certificates is on a list, its key is
 * none of those that are pinned, or what is known of its status speaks against it. The one judge of
 * handshakes and of sessions that live when one of these changes, over TLS and DTLS. Neither locks nor
 * allocates.
 */
struct tls_refusal tls_trust_judge(const struct tls_trust *trust, const struct tls_peer *peer);

/* What comes of a handshake whose peer's status was asked for (B4). */
struct tls_status_end {
    struct tls_refusal refusal; /* why is NULL: the session opens */
    const char *more;           /* what the responder did, behind the refusal; or NULL */
    const char *unchecked;      /* opened although nothing good is known, and why; NULL: it is good */
};
/* With what is known now, `status`, which is not OCSP_NONE. */
struct tls_status_end tls_trust_status_end(const struct tls_trust *trust, const struct tls_peer *peer,
                                           enum ocsp_status status, int64_t now_s);
/* When nothing was known in time. */
struct tls_status_end tls_trust_status_late(const struct tls_trust *trust);
/* The sentence of its refusal. */
void tls_status_end_tell(const struct tls_status_end *end, bool client, char *out, size_t room);

/* PEM certificates of the CAs. False with `error`. */
bool tls_trust_load_ca(struct WOLFSSL_CTX *ctx, const char *path, struct tls_error *error);
/* Every list in the PEM file is loaded and added to `into` (may be NULL); without one for each issuer of a
 * chain, the chain is refused. */
bool tls_trust_load_crl(struct WOLFSSL_CTX *ctx, const char *path, struct revocations *into,
                        struct tls_error *error);
/*
 * The callback of wolfSSL_CTX_set_verify: refuses signatures with SHA-1 or older, which the library takes,
 * notes who the peer is, and asks tls_trust_judge. It never overrules a refusal.
 */
int tls_verify(int accepted, struct WOLFSSL_X509_STORE_CTX *store);

#endif
