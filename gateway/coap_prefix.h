/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What comes from one prefix of addresses, all its devices together (E3): rates of requests and bytes, and
 * how many exchanges and observations are under way.
 *
 * A table of fixed memory, set-associative under a secret key, by listener and prefix. Who was heard of
 * longest ago makes room, but never one that has something under way, so that counts cannot be shed; a
 * newcomer without room is refused. Buckets and counts are kept across reloads. One per worker.
 */
#ifndef GATEWAY_COAP_PREFIX_H
#define GATEWAY_COAP_PREFIX_H

#include "dataplane/address.h"
#include "policy/access/rates.h"

struct coap_prefix {
    struct ip_address address; /* what is not of the prefix is zero */
    uint32_t exchanges;
    uint32_t observations;
    uint64_t heard_us;
    struct rate_buckets rates; /* requests and bytes */
    uint16_t listener;
    bool used;
};

struct coap_prefixes;

struct coap_prefixes *coap_prefixes_create(uint32_t capacity, const uint8_t secret[16]);
void coap_prefixes_destroy(struct coap_prefixes *prefixes);
/* The entry of the first `bits` (IPv4: of 32) of an address, new or old; NULL when there is no room. Valid as
 * long as something of it is under way, and until the next call. */
struct coap_prefix *coap_prefixes_get(struct coap_prefixes *prefixes, uint16_t listener,
                                      const struct ip_address *address, uint8_t bits, uint64_t now_us);

#endif
