/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ClientHello that came in fragments, put together (RFC 6347 s.4.2.3) before anything is known of who sent
 * it: 64 places of 2 KiB per worker, and whoever waits longest makes room. It is handed on as one datagram
 * with one record, as if it had come so.
 */
#ifndef DATAPLANE_SECURE_DTLS_REASSEMBLY_H
#define DATAPLANE_SECURE_DTLS_REASSEMBLY_H

#include "dataplane/address.h"
#include "dataplane/secure/dtls_record.h"

#define DTLS_REASSEMBLY_PLACES 64
#define DTLS_REASSEMBLY_US UINT64_C(5000000)

struct dtls_reassembly;

struct dtls_reassembly *dtls_reassembly_create(void);
/* NULL is ignored. */
void dtls_reassembly_destroy(struct dtls_reassembly *all);
/* The fragments of a datagram. The whole message with its length when it is complete, valid until the next
 * call; else NULL. */
const uint8_t *dtls_reassembly_add(struct dtls_reassembly *all, const struct flow_key *key,
                                   const uint8_t *datagram, size_t n, uint64_t now_us, size_t *whole);

#endif
