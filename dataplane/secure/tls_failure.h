/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What went wrong in TLS, in words for a person and in the terms of stream.h and the counters: the one place
 * that knows wolfSSL's error numbers and the alerts of RFC 8446 section 6. Any thread.
 */
#ifndef DATAPLANE_SECURE_TLS_FAILURE_H
#define DATAPLANE_SECURE_TLS_FAILURE_H

#include "dataplane/secure/tls_alert.h"
#include "dataplane/secure/tls_stream.h"

#define TLS_REASON_BYTES 192

struct WOLFSSL;
struct tls_verification;

/* What a library with the OpenSSL layer (Debian's) says instead of ASN_NO_SIGNER_E. */
#define TLS_NO_ISSUER 20

struct tls_failure {
    enum stream_end why;
    enum tls_counter counter;
    enum tls_alert alert; /* what the peer is to be told */
    char reason[TLS_REASON_BYTES];
};

/* What our verification callback found that wolfSSL does not look for. */
enum tls_verify_note {
    TLS_VERIFY_NOTE_NONE = 0,
    TLS_VERIFY_NOTE_WEAK_SIGNATURE,
    TLS_VERIFY_NOTE_REFUSED,
    TLS_VERIFY_NOTE_WRONG_NAME
};

/*
 * Fills `failure` from wolfSSL's `error` (as wolfSSL_get_error gives it) of `ssl`, and tells the peer what is
 * to be told. `verification` is what was found in its handshake, or NULL; `server_name` is the name that the
 * certificate had to carry (a client's session).
 */
void tls_failure_from(struct tls_failure *failure, struct WOLFSSL *ssl, int error,
                      const struct tls_verification *verification, const char *server_name);

#endif
