/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The numbers 0 .. n-1 in an order that nobody foretells who does not know the secret (RFC 6056 s.3.3): a
 * Feistel network over the next even power of two, with SipHash as its round function; what falls outside is
 * passed through again. Each comes once in a round, so none returns sooner than it must. Pure; any thread.
 */
#ifndef GATEWAY_PORT_ORDER_H
#define GATEWAY_PORT_ORDER_H

#include "dataplane/siphash.h"

#include <stdint.h>

struct port_order {
    struct siphash_key key;
    uint32_t n;
    uint32_t half_bits;
};

/* n between 1 and 65,536. */
void port_order_init(struct port_order *order, uint32_t n, const uint8_t secret[16]);
/* The number in place i, i below n. */
uint32_t port_order_at(const struct port_order *order, uint32_t i);

#endif
