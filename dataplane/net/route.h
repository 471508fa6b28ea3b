/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Static routes with longest prefix match. The table is small (an appliance has a handful), sorted by length
 * and searched in order: two masked compares per route. IPv4 and IPv6 never match each other's prefixes,
 * though both are kept in 128 bits. Filled at start, then only read.
 */
#ifndef DATAPLANE_NET_ROUTE_H
#define DATAPLANE_NET_ROUTE_H

#include "dataplane/address.h"

#define ROUTE_MAX 256

/* A prefix ready for comparing. */
struct route_prefix {
    uint64_t value[2];
    uint64_t mask[2];
    uint8_t bits; /* IPv4: 96 + prefix length */
    bool v4;
};

struct route {
    struct route_prefix prefix;
    struct ip_address next_hop;
    uint16_t interface;
    uint32_t neighbor; /* the caller's note on the next hop */
};

struct route_table {
    uint32_t n;
    struct route routes[ROUTE_MAX];
};

/* `bits` up to 128, of an IPv4 address from 96 on; bits of `address` behind the prefix are ignored. False
 * when out of range. */
bool route_prefix_make(struct route_prefix *out, const struct ip_address *address, unsigned int bits);

static inline bool route_prefix_has(const struct route_prefix *prefix, const struct ip_address *address)
{
    uint64_t words[2];
    memcpy(words, address->bytes, sizeof(words));
    return (((words[0] & prefix->mask[0]) ^ prefix->value[0]) |
            ((words[1] & prefix->mask[1]) ^ prefix->value[1])) == 0 &&
           (prefix->bits >= 96 || !ip_address_is_v4(address));
}

/* 0, -EINVAL for a next hop of the other family, -EEXIST for the same prefix on the same interface, -ENOSPC.
 */
int route_add(struct route_table *table, const struct route_prefix *prefix, const struct ip_address *next_hop,
              uint16_t interface, uint32_t neighbor);
/* The longest match, or NULL. */
const struct route *route_find(const struct route_table *table, const struct ip_address *address);
/* The longest match that leads out of `interface`, or NULL. */
const struct route *route_find_on(const struct route_table *table, uint16_t interface,
                                  const struct ip_address *address);

#endif
