/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is in an X.509 certificate (RFC 5280 section 4.1), as far as the gateway wants to know: who it names,
 * until when, and by which it can be recognised in a revocation list or a pin.
 *
 * This reads, it does not verify: that is the TLS library's business, and comes first. Everything points into
 * the DER bytes that were given. Any thread; nothing is allocated.
 */
#ifndef DATAPLANE_SECURE_CERTIFICATE_H
#define DATAPLANE_SECURE_CERTIFICATE_H

#include "dataplane/secure/der.h"

#define CERTIFICATE_KEY_BYTES 16
#define CERTIFICATE_DIGEST_BYTES 32
#define CERTIFICATE_SANS_MAX 8

struct certificate {
    struct der whole;
    struct der serial;     /* content of the INTEGER, without leading zeros */
    struct der issuer;     /* the Name, with its header */
    struct der subject;    /* likewise */
    struct der public_key; /* SubjectPublicKeyInfo, with its header */
    int64_t not_before_s;  /* UNIX time */
    int64_t not_after_s;
    struct der extensions; /* content of Extensions; left == 0: none */
};

/* False when it is malformed. */
bool certificate_parse(const uint8_t *der, size_t n, struct certificate *out);
/* A Time (UTCTime or GeneralizedTime) as UNIX time. False when it is neither or malformed. */
bool certificate_time(struct der *from, int64_t *seconds);

/*
 * The text of the subject's attribute 2.5.4.`type` (3: CN, 11: OU). False when there is none, when there are
 * several (then it does not say who this is), or when its string type or length is not what one compares.
 */
#define CERTIFICATE_CN 3
#define CERTIFICATE_OU 11
bool certificate_subject(const struct certificate *certificate, uint8_t type, struct der *text);
/*
 * The subject alternative names (RFC 5280 section 4.2.1.6) of the kinds email, DNS, URI (text) and IP address
 * (4 or 16 octets); answers how many, at most `room`. `kind` is the number of the GeneralName.
 */
#define CERTIFICATE_SAN_EMAIL 1
#define CERTIFICATE_SAN_DNS 2
#define CERTIFICATE_SAN_URI 6
#define CERTIFICATE_SAN_IP 7
struct certificate_san {
    uint8_t kind;
    struct der value;
};
uint32_t certificate_sans(const struct certificate *certificate, struct certificate_san *sans, uint32_t room);

/* The content of its extension 2.5.29.`id`; false when there is none. */
bool certificate_extension(const struct certificate *certificate, uint8_t id, struct der *value);
/*
 * Where its issuer answers questions about it: the first http URI of id-ad-ocsp in Authority Information
 * Access (RFC 5280 section 4.2.2.1). False when there is none.
 */
bool certificate_responder(const struct certificate *certificate, struct der *uri);

/* RFC 5280 section 4.2.1.3: its key may make the signatures of a handshake, or the certificate does not say.
 */
bool certificate_may_sign(const struct certificate *certificate);

/* Recognises a certificate among all: a digest over issuer and serial number. */
void certificate_key(const struct der *issuer, const struct der *serial, uint8_t key[CERTIFICATE_KEY_BYTES]);
/* SHA-256. */
void certificate_digest(const struct der *bytes, uint8_t digest[CERTIFICATE_DIGEST_BYTES]);

#endif
