/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What routers on the way told about how large a packet may be (RFC 1191, RFC 8201), per destination, for
 * datagrams; TCP keeps its own per connection. A small cache: an entry may be overwritten by another
 * destination's, and is forgotten after ten minutes, when the path may have become better. Per worker.
 */
#ifndef DATAPLANE_NET_PATH_MTU_H
#define DATAPLANE_NET_PATH_MTU_H

#include "dataplane/address.h"
#include "dataplane/siphash.h"

#define PATH_MTU_ENTRIES 256
#define PATH_MTU_LIFETIME_US 600000000u

struct path_mtu_entry {
    struct ip_address destination;
    uint64_t until_us; /* 0: unused */
    uint16_t mtu;
};

struct path_mtu {
    struct siphash_key key;
    struct path_mtu_entry entries[PATH_MTU_ENTRIES];
};

void path_mtu_set(struct path_mtu *table, const struct ip_address *destination, uint16_t mtu,
                  uint64_t now_us);
/* What is known, at most `limit`. */
uint16_t path_mtu_get(const struct path_mtu *table, const struct ip_address *destination, uint16_t limit,
                      uint64_t now_us);

#endif
