/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cookies of the DTLS server: by returning one a client shows that it can be reached at its address, before
 * anything is kept of it (RFC 6347 s.4.2.1, B2, E4).
 *
 * A cookie is HMAC-SHA256 over the client's address and what its two ClientHellos have in common, under a
 * secret that changes every minute; the one of the minute before is still taken. It is computed the way the
 * library does it, which checks it once more when it is given the second ClientHello and the same secret.
 * Those of DTLS 1.3 have another form (dtls13_hello.h) and secrets of their own, so that one is never taken
 * for the other. One per worker.
 */
#ifndef DATAPLANE_SECURE_DTLS_COOKIE_H
#define DATAPLANE_SECURE_DTLS_COOKIE_H

#include "dataplane/address.h"
#include "dataplane/secure/dtls_record.h"

#define DTLS_SECRET_BYTES 32
#define DTLS_COOKIE_PERIOD_US UINT64_C(60000000)
/* An address and port, as the cookie and the library see them. */
#define DTLS_PEER_BYTES 38

struct dtls_cookies {
    uint8_t master[DTLS_SECRET_BYTES];
    uint64_t period;
    uint8_t secret[2][DTLS_SECRET_BYTES]; /* of this period, and of the one before */
    uint8_t secret_1_3[2][DTLS_SECRET_BYTES];
};

void dtls_cookies_init(struct dtls_cookies *cookies, const uint8_t secret[DTLS_SECRET_BYTES],
                       uint64_t now_us);
void dtls_peer_bytes(const struct flow_key *key, uint8_t out[DTLS_PEER_BYTES]);
bool dtls_cookie_make(struct dtls_cookies *cookies, const struct flow_key *key,
                      const struct dtls_hello *hello, uint64_t now_us, uint8_t out[DTLS_COOKIE_BYTES]);
/* The secret that the hello's cookie was made with; NULL when it was made with none of ours. */
const uint8_t *dtls_cookie_check(struct dtls_cookies *cookies, const struct flow_key *key,
                                 const struct dtls_hello *hello, uint64_t now_us);

/* For DTLS 1.3: the keyed digest of `n` bytes and the client's address, under the secret of this period. */
bool dtls_cookie_mac(struct dtls_cookies *cookies, const struct flow_key *key, const uint8_t *at, size_t n,
                     uint64_t now_us, uint8_t out[DTLS_COOKIE_BYTES]);
/* The secret under which the digest that follows `n` bytes was made; NULL: under none of ours. */
const uint8_t *dtls_cookie_mac_check(struct dtls_cookies *cookies, const struct flow_key *key,
                                     const uint8_t *at, size_t n, uint64_t now_us);

#endif
