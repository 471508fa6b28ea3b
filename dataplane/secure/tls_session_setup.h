/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inner side of tls_context.h: from a context to one wolfSSL session, and a session ticket back. For
 * handshake threads and TLS streams only.
 */
#ifndef DATAPLANE_SECURE_TLS_SESSION_SETUP_H
#define DATAPLANE_SECURE_TLS_SESSION_SETUP_H

#include "dataplane/secure/tls_failure.h"
#include "dataplane/secure/tls_trust.h"

#include <stdbool.h>

struct WOLFSSL;

/* Suites of DTLS 1.2 with certificates: those of TLS 1.2, and CCM as RFC 7252 s.9.1.3.3 demands. */
#define TLS_SUITES_DTLS                                                                                      \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"                \
    ":ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"                 \
    ":ECDHE-ECDSA-AES128-CCM:ECDHE-ECDSA-AES128-CCM-8"

#define TLS_IDENTITY_BYTES 129 /* with the NUL */

/* Whether tls_connect takes the name: 1 to 128 bytes, no '/', no leading dot. NULL is a name too: none. */
bool tls_identity_name_good(const char *identity);

/*
 * A session object ready to connect: server name, ALPN, the identity's certificate and key (read from files
 * the first time), and a ticket from an earlier session of the same identity if there is one, whose peer is
 * noted in `verification` (may be NULL). A listener's needs no identity: it is ready to accept. Takes system
 * calls: handshake threads, or tests. NULL with `failure`. Verification writes what it found to the
 * `struct tls_verification` given with wolfSSL_SetCertCbCtx.
 */
struct WOLFSSL *tls_context_session(struct tls_context *context, const char *identity,
                                    struct tls_verification *verification, struct tls_failure *failure);
/* It waits for a client's hello instead of making one. */
bool tls_context_is_server(const struct tls_context *context);
const char *tls_context_server_name(const struct tls_context *context);
/*
 * Frees the session object of an open session and keeps its ticket, with a reference to who the server is
 * (NULL: not known), for the next one of that identity. Worker
 * threads: never waits; under contention the ticket is lost, which costs a full handshake later.
 */
void tls_context_end_session(struct tls_context *context, const char *identity, struct WOLFSSL *ssl,
                             struct tls_peer *peer);

#endif
