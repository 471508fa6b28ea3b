/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/net/route.h"

#include <errno.h>

bool route_prefix_make(struct route_prefix *out, const struct ip_address *address, unsigned int bits)
{
    bool v4 = ip_address_is_v4(address);
    if (bits > 128 || (v4 && bits < 96))
        return false;
    uint8_t mask[16] = {0};
    for (unsigned int i = 0; i < bits; i++)
        mask[i / 8] |= (uint8_t)(0x80 >> (i % 8));
    memcpy(out->mask, mask, sizeof(mask));
    memcpy(out->value, address->bytes, sizeof(out->value));
    out->value[0] &= out->mask[0];
    out->value[1] &= out->mask[1];
    out->bits = (uint8_t)bits;
    out->v4 = v4;
    return true;
}

int route_add(struct route_table *table, const struct route_prefix *prefix, const struct ip_address *next_hop,
              uint16_t interface, uint32_t neighbor)
{
    if (prefix->v4 != ip_address_is_v4(next_hop))
        return -EINVAL;
    if (table->n == ROUTE_MAX)
        return -ENOSPC;
    uint32_t at = 0;
    for (uint32_t i = 0; i < table->n; i++) {
        const struct route_prefix *other = &table->routes[i].prefix;
        if (memcmp(other->value, prefix->value, sizeof(other->value)) == 0 && other->bits == prefix->bits &&
            table->routes[i].interface == interface)
            return -EEXIST;
        if (other->bits >= prefix->bits)
            at = i + 1;
    }
    memmove(&table->routes[at + 1], &table->routes[at], (table->n - at) * sizeof(table->routes[0]));
    table->routes[at] = (struct route){
        .prefix = *prefix, .next_hop = *next_hop, .interface = interface, .neighbor = neighbor};
    table->n++;
    return 0;
}

const struct route *route_find(const struct route_table *table, const struct ip_address *address)
{
    for (uint32_t i = 0; i < table->n; i++)
        if (route_prefix_has(&table->routes[i].prefix, address))
            return &table->routes[i];
    return NULL;
}

const struct route *route_find_on(const struct route_table *table, uint16_t interface,
                                  const struct ip_address *address)
{
    for (uint32_t i = 0; i < table->n; i++)
        if (table->routes[i].interface == interface && route_prefix_has(&table->routes[i].prefix, address))
            return &table->routes[i];
    return NULL;
}
