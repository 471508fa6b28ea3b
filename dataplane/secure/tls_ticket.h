/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Session tickets of a TLS listener (B5; RFC 8446 section 4.6.1, RFC 5077): sealing them with keys that
 * rotate, and finding again whom a ticket belongs to.
 *
 * A ticket is sealed by AES-256-GCM under a random key that is used for one hour and accepted for another,
 * then wiped. It holds the library's state and a reference to the peer; the peer itself, as its certificate
 * named it when it was verified, is kept here in a bounded table, least recently used out first. A ticket
 * whose peer is not there any more, has expired, or has been refused since (revoked) is not accepted: then
 * there is a full handshake with a certificate, and that one tells what is wrong. Early data does not exist.
 *
 * One per context; a reload makes a new one, so no ticket outlives the policy that it was given under.
 * Locked inside, for handshake threads.
 */
#ifndef DATAPLANE_SECURE_TLS_TICKET_H
#define DATAPLANE_SECURE_TLS_TICKET_H

#include "dataplane/secure/tls_peer.h"

#define TLS_TICKET_NAME_BYTES 16
#define TLS_TICKET_IV_BYTES 16
#define TLS_TICKET_MAC_BYTES 32
#define TLS_TICKET_EXTRA_BYTES 16 /* that sealing adds to the state: the reference */
#define TLS_TICKET_ROTATE_S 3600

struct tls_tickets;

/* `peers`: how many the table holds. NULL when memory is not to be had. */
struct tls_tickets *tls_tickets_create(uint32_t peers);
/* NULL is ignored. */
void tls_tickets_destroy(struct tls_tickets *tickets);
/*
 * Seals `bytes` of `state` in place and writes TLS_TICKET_EXTRA_BYTES behind it. `peer` may be NULL: one that
 * has shown no certificate. `now_s` is any clock that does not go back. False: no ticket can be given.
 */
bool tls_tickets_seal(struct tls_tickets *tickets, struct tls_peer *peer, int64_t now_s,
                      uint8_t name[TLS_TICKET_NAME_BYTES], uint8_t iv[TLS_TICKET_IV_BYTES],
                      uint8_t mac[TLS_TICKET_MAC_BYTES], uint8_t *state, size_t bytes);
/*
 * Opens in place what was sealed; `bytes` includes the extra ones. True when it is whole and its key still
 * counts: `*peer` is then a reference, or NULL for one without a certificate. False when it is not, or its
 * peer is not known any more.
 */
bool tls_tickets_open(struct tls_tickets *tickets, int64_t now_s, const uint8_t name[TLS_TICKET_NAME_BYTES],
                      const uint8_t iv[TLS_TICKET_IV_BYTES], const uint8_t mac[TLS_TICKET_MAC_BYTES],
                      uint8_t *state, size_t bytes, struct tls_peer **peer);

#endif
