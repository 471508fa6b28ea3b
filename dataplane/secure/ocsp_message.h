/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * OCSP as bytes (RFC 6960): the question about one certificate, and what an answer to it is worth (B4).
 *
 * An answer counts when it is about that certificate of that issuer, was signed by the issuer or by a
 * responder that the issuer has appointed (a certificate from the issuer itself with id-kp-OCSPSigning,
 * section 4.2.2.2), is in date, and repeats our nonce where it holds one at all (section 4.4.1: many
 * responders answer from stock). Everything else is refused with a sentence. No state, no memory kept;
 * verifying takes public-key arithmetic: never on a packet worker.
 */
#ifndef DATAPLANE_SECURE_OCSP_MESSAGE_H
#define DATAPLANE_SECURE_OCSP_MESSAGE_H

#include "dataplane/secure/der.h"

#define OCSP_NONCE_BYTES 16
#define OCSP_REQUEST_MAX 256
#define OCSP_ANSWER_MAX (16u * 1024)

/* Borrowed: the certificate that is asked about. */
struct ocsp_subject {
    struct der issuer;     /* the issuer's Name, with its header */
    struct der issuer_key; /* its SubjectPublicKeyInfo, with its header */
    struct der serial;     /* content of the INTEGER, without leading zeros */
};

enum ocsp_status {
    OCSP_NONE = 0, /* nothing is known */
    OCSP_GOOD,
    OCSP_REVOKED,
    OCSP_UNKNOWN, /* the responder does not know the certificate */
    OCSP_FAILED   /* no answer that counts */
};

struct ocsp_answer {
    enum ocsp_status status;
    const char *why;       /* a static sentence when it failed */
    int64_t next_update_s; /* UNIX time; INT64_MAX: the answer does not say */
};

/* OCSPRequest (section 4.1.1) with CertID by SHA-1, as RFC 5019 section 2.1.1 demands, which finds the
 * certificate and proves nothing. Answers its bytes, at most OCSP_REQUEST_MAX; 0: the serial number is too
 * long. */
size_t ocsp_request_build(const struct ocsp_subject *subject, const uint8_t nonce[OCSP_NONCE_BYTES],
                          uint8_t out[OCSP_REQUEST_MAX]);
/* An OCSPResponse. `nonce` NULL: none was sent. `now_s` is UNIX time. */
void ocsp_answer_read(const uint8_t *p, size_t n, const struct ocsp_subject *subject,
                      const uint8_t nonce[OCSP_NONCE_BYTES], int64_t now_s, struct ocsp_answer *answer);

#endif
