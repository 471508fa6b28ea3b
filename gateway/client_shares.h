/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all workers share of a client: its token buckets, how many sessions it has, and whether it is refused
 * for a time (C6, D9, F3). A client that comes from several addresses may be served by several workers; with
 * this its limits hold for all of them together.
 *
 * One object for all workers, made at the start, unless there is one worker only. Buckets of 64 places: a
 * place is found by one atomic word (48 bits of SipHash of the name under a secret key, and how many workers
 * remember the client), and used without further ado; its content is atomic words too. Each worker's
 * client_table holds one reference for as long as it remembers the client. A place that nobody refers to
 * keeps what it knows until its bucket needs it.
 *
 * Nothing waits: a new place is made by one worker at a time per bucket, when a client is seen for the first
 * time; whoever meets another at that tries a bounded number of times, and is then refused, as with a full
 * bucket. Half the places are spare, so that a full one is out of all likelihood.
 */
#ifndef GATEWAY_CLIENT_SHARES_H
#define GATEWAY_CLIENT_SHARES_H

#include "policy/access/rates.h"
#include "policy/bytes.h"

struct client_shares;

/* All zero: of a client that was never seen. */
struct client_share {
    struct shared_buckets rates;
    _Atomic uint64_t quarantined_until_us; /* loop time, which all workers count alike; 0: it is not */
    _Atomic uint32_t sessions;             /* admitted and not yet ended */
};

/* `clients`: of all workers' tables together. */
struct client_shares *client_shares_create(uint32_t clients, const uint8_t secret[16]);
void client_shares_destroy(struct client_shares *shares);
/* The client's, with one reference; any worker. NULL: no place. */
struct client_share *client_shares_acquire(struct client_shares *shares, struct bytes name);
void client_shares_release(struct client_shares *shares, struct client_share *share);
/* Counts one more session, if that leaves no more than `most`. */
bool client_share_open(struct client_share *share, uint32_t most);
void client_share_close(struct client_share *share);

#endif
