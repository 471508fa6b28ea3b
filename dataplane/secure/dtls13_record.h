/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DTLS 1.3 datagrams as they lie on the wire (RFC 9147 s.4): records under the unified header, whose number
 * is encrypted, among records in plaintext as DTLS 1.2 has them.
 *
 * As dtls_record.h: nothing is trusted, every length is compared with what is left, and what is left of a
 * datagram must be whole records. Pure, any thread.
 */
#ifndef DATAPLANE_SECURE_DTLS13_RECORD_H
#define DATAPLANE_SECURE_DTLS13_RECORD_H

#include "dataplane/secure/dtls_record.h"

/* The least that may be encrypted: the number is masked by as much of it (s.4.2.3). */
#define DTLS13_CIPHERTEXT_MIN 16

/* Whether a datagram begins with a protected record of DTLS 1.3. */
bool dtls13_is_protected(const uint8_t *datagram, size_t n);
/* Whether it may belong to a handshake: epoch 2, or one of which no more is seen than that. */
bool dtls13_is_handshake(const uint8_t *datagram, size_t n);
/* The connection id in the first record, which is `bytes` long where there is one; NULL: there is none. */
const uint8_t *dtls13_connection_id(const uint8_t *datagram, size_t n, size_t bytes);

struct dtls13_view {
    bool server;     /* the datagram came from a client */
    bool open;       /* the handshake is over */
    size_t id_bytes; /* of the connection id that protected records carry; 0: they carry none */
};

/*
 * What a session may be given. Protected records, all with the id that was agreed on or none of them, and as
 * long as the handshake lasts a server's ServerHello, HelloRetryRequest or alert in plaintext. Nothing that
 * a client says in plaintext: its ClientHellos go another way (dtls_server.h), and it needs no other.
 * `records`: how many there are.
 */
bool dtls13_datagram_good(const uint8_t *datagram, size_t n, const struct dtls13_view *view,
                          uint32_t *records);

#endif
