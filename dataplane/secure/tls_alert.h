/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a peer is told when a session with it cannot go on: alerts of TLS and DTLS (RFC 8446 section 6.2,
 * RFC 5246 section 7.2.2), chosen from wolfSSL's error numbers.
 *
 * A peer learns what is wrong with what it has shown, and nothing of us: that its key is none of those that
 * are pinned, that we have no list for its issuer or no answer about it is "certificate_unknown"; that a PSK
 * identity does not exist is what a wrong key is (RFC 4279 section 2). Any thread that has the session.
 */
#ifndef DATAPLANE_SECURE_TLS_ALERT_H
#define DATAPLANE_SECURE_TLS_ALERT_H

#include <stdbool.h>
#include <stdint.h>

struct WOLFSSL;

enum tls_alert {
    TLS_ALERT_NONE = 0, /* nothing more is said */
    TLS_ALERT_UNEXPECTED = 10,
    TLS_ALERT_HANDSHAKE = 40,
    TLS_ALERT_BAD_CERTIFICATE = 42,
    TLS_ALERT_UNSUPPORTED = 43,
    TLS_ALERT_REVOKED = 44,
    TLS_ALERT_EXPIRED = 45,
    TLS_ALERT_UNKNOWN = 46,
    TLS_ALERT_ILLEGAL = 47,
    TLS_ALERT_UNKNOWN_CA = 48,
    TLS_ALERT_DECODE = 50,
    TLS_ALERT_DECRYPT = 51,
    TLS_ALERT_VERSION = 70,
    TLS_ALERT_INTERNAL = 80,
    TLS_ALERT_MISSING_EXTENSION = 109,
    TLS_ALERT_UNSUPPORTED_EXTENSION = 110,
    TLS_ALERT_BAD_STATUS = 113,
    TLS_ALERT_CERTIFICATE_REQUIRED = 116,
    TLS_ALERT_NO_PROTOCOL = 120
};

/* For wolfSSL's `error` in a handshake of `ssl`. */
enum tls_alert tls_alert_of(const struct WOLFSSL *ssl, int error);
/* Sends it as fatal, unless a fatal one was sent or has come already. With a library that has no call for
 * that (Debian's) nothing is sent beside what it says itself. */
void tls_alert_send(struct WOLFSSL *ssl, enum tls_alert alert);

#endif
