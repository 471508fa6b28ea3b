/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/listener.h"

#include <netinet/in.h>

void listener_table_build(struct listener_table *table, const struct gateway_config *config)
{
    memset(table, 0, sizeof(*table));
    table->config = config;
    for (uint32_t i = 0; i < config->listeners_n; i++) {
        uint16_t port = config->listeners[i].port;
        table->bitmap[port / 64] |= UINT64_C(1) << (port % 64);
    }
}

static bool interface_owns(const struct gateway_config *config, uint16_t interface,
                           const struct ip_address *address)
{
    const struct config_interface *own = &config->interfaces[interface];
    for (uint32_t i = 0; i < own->addresses_n; i++)
        if (memcmp(own->addresses[i].bytes, address->bytes, sizeof(address->bytes)) == 0)
            return true;
    return false;
}

/* How particular a listener is for this destination: 0 not for it, 3 its fixed address. */
static int listener_fit(const struct gateway_config *config, const struct config_listener *listener,
                        uint16_t interface, const struct ip_address *destination)
{
    if (listener->has_address)
        return memcmp(listener->address, destination->bytes, sizeof(destination->bytes)) == 0 ? 3 : 0;
    if (interface_owns(config, interface, destination))
        return listener->any ? 1 : 2;
    return listener->any ? 1 : 0;
}

uint16_t listener_table_find(const struct listener_table *table, uint16_t interface, uint8_t protocol,
                             const struct ip_address *destination, uint16_t port)
{
    if (!listener_table_has_port(table, port))
        return LISTENER_NONE;
    uint16_t found = LISTENER_NONE;
    int best = 0;
    for (uint32_t i = 0; i < table->config->listeners_n; i++) {
        const struct config_listener *listener = &table->config->listeners[i];
        uint8_t transport = listener->protocol == CONFIG_COAP ? IPPROTO_UDP : IPPROTO_TCP;
        if (listener->port != port || listener->interface != interface || transport != protocol)
            continue;
        int fit = listener_fit(table->config, listener, interface, destination);
        if (fit > best) {
            best = fit;
            found = (uint16_t)i;
        }
    }
    return found;
}
