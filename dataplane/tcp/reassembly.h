/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes that arrived ahead of a gap, in chunks sorted by sequence number and never overlapping. The first
 * copy of a byte wins; a later copy is counted as overlap, and as conflict when it differs, which honest
 * senders never do and attempts to hide data from an inspector always do.
 *
 * A chunk's first bytes say where it belongs; runs of adjacent bytes share chunks. What a connection may hold
 * is bounded in chunks, so that single bytes with gaps between them cannot take 2 KiB each without end.
 */
#ifndef DATAPLANE_TCP_REASSEMBLY_H
#define DATAPLANE_TCP_REASSEMBLY_H

#include "dataplane/tcp/connection.h"
#include "dataplane/tcp/options.h"

/* Takes over what is not there yet; all of it lies beyond rcv_nxt and inside the window. */
void tcp_reassembly_add(struct tcp_connection *c, uint32_t seq, const uint8_t *p, uint32_t n);
/* The number of the first byte held; only when ooo_head is set. */
uint32_t tcp_reassembly_first(const struct tcp_connection *c);
/* When the first chunk begins at or before rcv_nxt: unlinks it, with start past what is below rcv_nxt, maybe
 * empty. Otherwise NULL. */
struct chunk *tcp_reassembly_take(struct tcp_connection *c);
/* Counts how `n` bytes at seq, about to be ignored, compare with what is held. */
void tcp_reassembly_compare(struct tcp_connection *c, uint32_t seq, const uint8_t *p, uint32_t n);
/* The ranges held, the most recently touched first (RFC 2018 s.4); answers how many, at most max. */
unsigned int tcp_reassembly_ranges(const struct tcp_connection *c, struct tcp_sack_block *blocks,
                                   unsigned int max);
void tcp_reassembly_clear(struct tcp_connection *c);

#endif
