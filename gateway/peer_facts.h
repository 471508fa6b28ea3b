/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From what a TLS or DTLS peer has shown to the facts by which clients are told apart (B4, C1).
 */
#ifndef GATEWAY_PEER_FACTS_H
#define GATEWAY_PEER_FACTS_H

#include "dataplane/secure/tls_peer.h"
#include "policy/access/identity.h"

/*
 * Fills in cert_* and psk_id, borrowed from `peer`; NULL: nothing is known. A text that is not valid UTF-8,
 * or holds control characters, is left out as if the peer had not shown it.
 */
void peer_facts(const struct tls_peer *peer, struct client_facts *facts);

#endif
