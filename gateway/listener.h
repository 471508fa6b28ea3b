/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which listener a packet is for (A2). A lookup goes from the destination port to the few listeners on it;
 * the most particular wins: fixed address, then all own addresses of the interface, then "any" (interception
 * of a broker address that is not ours). Built for one configuration by each worker when the generation
 * changes; read on the packet path.
 */
#ifndef GATEWAY_LISTENER_H
#define GATEWAY_LISTENER_H

#include "config/gateway_config.h"
#include "dataplane/address.h"

#define LISTENER_NONE UINT16_MAX

struct listener_table {
    const struct gateway_config *config; /* borrowed: same life as the generation it was built for */
    uint16_t ports_n;
    uint64_t bitmap[65536 / 64]; /* ports with a listener on any interface */
};

void listener_table_build(struct listener_table *table, const struct gateway_config *config);
/* True when some listener has this port: such flows are a client's, all others are our own upstream
 * connections. */
static inline bool listener_table_has_port(const struct listener_table *table, uint16_t port)
{
    return (table->bitmap[port / 64] >> (port % 64)) & 1;
}
/* Index in config->listeners, or LISTENER_NONE. `protocol` is the IP protocol (6: MQTT, 17: CoAP). */
uint16_t listener_table_find(const struct listener_table *table, uint16_t interface, uint8_t protocol,
                             const struct ip_address *destination, uint16_t port);

#endif
