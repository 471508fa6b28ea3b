/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ClientHello of DTLS 1.3, and the answer to it that keeps no state (RFC 9147 s.5.1; RFC 8446 s.4.1.2,
 * s.4.1.4, s.4.2.2): a HelloRetryRequest whose cookie holds all that the server must know of the first
 * ClientHello: its digest, the suite, and the group that was asked for, under a keyed digest with the
 * client's address.
 *
 * The cookie is made the way the library makes it, which checks it once more when it is given the second
 * ClientHello and the same secret, and builds the transcript from it. Pure, any thread; slices point into
 * the datagram.
 */
#ifndef DATAPLANE_SECURE_DTLS13_HELLO_H
#define DATAPLANE_SECURE_DTLS13_HELLO_H

#include "dataplane/secure/dtls_cookie.h"

/* Headers and fixed fields, two extensions, and a cookie of length, SHA-384, suite, group and MAC. */
#define DTLS13_COOKIE_MAX (1 + 48 + 2 + 2 + 32)
#define DTLS13_RETRY_MAX                                                                                     \
    (DTLS_RECORD_HEADER_BYTES + DTLS_HANDSHAKE_HEADER_BYTES + 40 + 6 + 6 + 6 + DTLS13_COOKIE_MAX)

enum dtls13_form {
    DTLS13_NONE = 0, /* it does not offer 1.3 */
    DTLS13_BROKEN,   /* offers it in a way that it must not */
    DTLS13_NOTHING,  /* no suite or group that is ours too */
    DTLS13_GOOD,
};

struct dtls13_offer {
    uint16_t suite; /* the one of ours that is taken */
    uint16_t group; /* to be asked for; 0: the client has sent a share of one of ours */
    struct dtls_slice cookie;
};

enum dtls13_form dtls13_hello_read(const struct dtls_hello *hello, struct dtls13_offer *out);
/* How the library calls a suite of ours. */
const char *dtls13_suite_name(uint16_t suite);
/* The suites, as the library's list of them. */
extern const char dtls13_suites[];

/* The answer, its length, or 0 without memory. */
size_t dtls13_retry(struct dtls_cookies *cookies, const struct flow_key *key, const struct dtls_hello *hello,
                    const struct dtls13_offer *offer, uint64_t now_us, uint8_t out[DTLS13_RETRY_MAX]);
/* The secret that the offer's cookie was made with, for the same suite; NULL: it is none of ours. */
const uint8_t *dtls13_cookie_check(struct dtls_cookies *cookies, const struct flow_key *key,
                                   const struct dtls13_offer *offer, uint64_t now_us);

#endif
