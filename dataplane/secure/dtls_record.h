/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DTLS 1.2 datagrams as they lie on the wire: records (RFC 6347 s.4.1), handshake fragments (s.4.2.2), and
 * the ClientHello with the answer to it that keeps no state (s.4.2.1).
 *
 * What is said here of a datagram is said before any key is known, so it trusts nothing: every length is
 * compared with what is left. Pure, any thread; slices point into the datagram.
 */
#ifndef DATAPLANE_SECURE_DTLS_RECORD_H
#define DATAPLANE_SECURE_DTLS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DTLS_RECORD_HEADER_BYTES 13
#define DTLS_HANDSHAKE_HEADER_BYTES 12
#define DTLS_RANDOM_BYTES 32
#define DTLS_COOKIE_BYTES 32
/* A record, a handshake header, a version and a cookie: shorter than any ClientHello with what it must hold.
 */
#define DTLS_HELLO_VERIFY_BYTES                                                                              \
    (DTLS_RECORD_HEADER_BYTES + DTLS_HANDSHAKE_HEADER_BYTES + 3 + DTLS_COOKIE_BYTES)
/* The largest ClientHello that is put together from fragments. */
#define DTLS_HELLO_MAX 2048

enum dtls_content {
    DTLS_CONTENT_CHANGE_CIPHER = 20,
    DTLS_CONTENT_ALERT = 21,
    DTLS_CONTENT_HANDSHAKE = 22,
    DTLS_CONTENT_DATA = 23,
};

#define DTLS_CLIENT_HELLO 1
#define DTLS_HELLO_VERIFY 3

struct dtls_record {
    uint8_t type; /* enum dtls_content, or anything else */
    uint16_t epoch;
    const uint8_t *header; /* of the record */
    const uint8_t *at;
    size_t n;
};

/* Takes the next record off the front of a datagram. False at its end, and at what is no record of DTLS 1.x.
 */
bool dtls_record_next(const uint8_t **datagram, size_t *n, struct dtls_record *out);

struct dtls_fragment {
    uint8_t type; /* of the message */
    uint16_t message;
    uint32_t length; /* of the whole message */
    uint32_t offset;
    const uint8_t *at;
    size_t n;
};

/* Takes the next handshake fragment off the front of a record's contents. False at the end, and at what is
 * none: then *n is not 0. */
bool dtls_fragment_next(const uint8_t **contents, size_t *n, struct dtls_fragment *out);

enum dtls_verdict {
    DTLS_DATAGRAM_DROP = 0,
    DTLS_DATAGRAM_AGAIN, /* the end of a handshake, repeated by a peer that waits for our last flight */
    DTLS_DATAGRAM_GOOD,
};

/*
 * What a session may be given. One that is open takes protected data and alerts, and nothing that anybody
 * could have written (epoch 0); handshakes are over then, and there is no other in it. One that is not open
 * takes no message that would make the library set more memory aside than a handshake of ours needs.
 * `records`: how many there are.
 */
enum dtls_verdict dtls_datagram_judge(const uint8_t *datagram, size_t n, bool open, uint32_t *records);

struct dtls_slice {
    const uint8_t *at;
    size_t n;
};

struct dtls_hello {
    const uint8_t *record; /* header of the record that it came in, or its first fragment */
    uint16_t message;
    const uint8_t *version; /* 2 bytes */
    const uint8_t *random;  /* DTLS_RANDOM_BYTES */
    struct dtls_slice session_id;
    struct dtls_slice cookie;
    struct dtls_slice suites;
    struct dtls_slice compression;
    struct dtls_slice extensions; /* what is in the list of them */
    struct dtls_slice body;       /* all of the message behind its header */
};

enum dtls_hello_form {
    DTLS_HELLO_NONE = 0, /* something else */
    DTLS_HELLO_BROKEN,
    DTLS_HELLO_PART, /* a fragment */
    DTLS_HELLO_WHOLE,
};

/* Looks at the first record of a datagram. `out` is filled in when it holds a whole ClientHello. */
enum dtls_hello_form dtls_hello_parse(const uint8_t *datagram, size_t n, struct dtls_hello *out);

/* The answer that asks for `cookie`; with the record number of the ClientHello (s.4.2.1). */
void dtls_hello_verify(const struct dtls_hello *hello, const uint8_t cookie[DTLS_COOKIE_BYTES],
                       uint8_t out[DTLS_HELLO_VERIFY_BYTES]);

#define DTLS_ALERT_BYTES (DTLS_RECORD_HEADER_BYTES + 2)
#define DTLS_ALERT_HANDSHAKE 40
#define DTLS_ALERT_ILLEGAL 47
#define DTLS_ALERT_VERSION 70

/* Tells a client that its ClientHello leads nowhere; with its record number, for nothing is kept. */
void dtls_alert(const struct dtls_hello *hello, uint8_t alert, uint8_t out[DTLS_ALERT_BYTES]);

#endif
