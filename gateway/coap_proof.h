/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which addresses have shown that they are there (E4): a ledger for each (policy/coap/amplification.h), and
 * the Echo values by which they show it (RFC 9175).
 *
 * An Echo value is a time and a keyed digest of time and address, so that nothing is kept for a challenge and
 * nobody can make one up or pass one on. The table has fixed memory and is set-associative under a secret
 * key: whoever was heard of longest ago makes room, those without proof first. An address that is forgotten
 * begins anew. One per worker.
 */
#ifndef GATEWAY_COAP_PROOF_H
#define GATEWAY_COAP_PROOF_H

#include "dataplane/address.h"
#include "policy/access/rate_limit.h"
#include "policy/bytes.h"
#include "policy/coap/amplification.h"

#define COAP_ECHO_BYTES 12
/* How old an Echo value may be. */
#define COAP_ECHO_FRESH_US UINT64_C(60000000)

struct coap_source {
    struct ip_address address;
    struct coap_ledger ledger;
    struct rate_bucket small; /* answers to pings and to what cannot be read */
    uint64_t heard_us;
    uint64_t too_large; /* what it asked for and had to prove itself for: a digest of the path; 0: nothing */
    bool used;
};

struct coap_proofs;

struct coap_proofs *coap_proofs_create(uint32_t capacity, const uint8_t secret[32]);
void coap_proofs_destroy(struct coap_proofs *proofs);
/* The address's entry, new or old; valid until the next call. */
struct coap_source *coap_proofs_get(struct coap_proofs *proofs, const struct ip_address *address,
                                    uint64_t now_us);

void coap_echo_make(const struct coap_proofs *proofs, const struct ip_address *address, uint64_t now_us,
                    uint8_t out[COAP_ECHO_BYTES]);
enum coap_echo {
    COAP_ECHO_FOREIGN = 0, /* not one of ours for this address */
    COAP_ECHO_STALE,
    COAP_ECHO_FRESH,
};
enum coap_echo coap_echo_check(const struct coap_proofs *proofs, const struct ip_address *address,
                               struct bytes value, uint64_t now_us);

#endif
