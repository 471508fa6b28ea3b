/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/net/path_mtu.h"

static size_t place_of(const struct path_mtu *table, const struct ip_address *destination)
{
    return siphash_1_3(table->key, destination->bytes, sizeof(destination->bytes)) % PATH_MTU_ENTRIES;
}

void path_mtu_set(struct path_mtu *table, const struct ip_address *destination, uint16_t mtu, uint64_t now_us)
{
    struct path_mtu_entry *entry = &table->entries[place_of(table, destination)];
    entry->destination = *destination;
    entry->mtu = mtu;
    entry->until_us = now_us + PATH_MTU_LIFETIME_US;
}

uint16_t path_mtu_get(const struct path_mtu *table, const struct ip_address *destination, uint16_t limit,
                      uint64_t now_us)
{
    const struct path_mtu_entry *entry = &table->entries[place_of(table, destination)];
    bool known = now_us < entry->until_us && ip_address_equal(&entry->destination, destination);
    return known && entry->mtu < limit ? entry->mtu : limit;
}
