/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One object for a peer that many sessions have (K3): a server's certificate is the same for all devices, and
 * what is noted of it takes half a kilobyte. The last few of an upstream's servers are held; one that is not
 * among them takes the place of the oldest. For handshake threads: takes a lock.
 */
#ifndef DATAPLANE_SECURE_PEER_SHARE_H
#define DATAPLANE_SECURE_PEER_SHARE_H

#include "dataplane/secure/tls_peer.h"

struct peer_share;

/* NULL when memory is not to be had. */
struct peer_share *peer_share_create(void);
/* NULL is ignored. */
void peer_share_destroy(struct peer_share *share);
/* Takes a reference, and answers one: to `peer`, or to one that says the same (tls_peer_same). NULL `share`:
 * `peer` itself. */
struct tls_peer *peer_share_take(struct peer_share *share, struct tls_peer *peer);

#endif
