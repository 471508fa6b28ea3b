/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stack's making, its interfaces, and what it knows of paths; input and output have files of their own.
 */
#include "dataplane/net/ip_stack_internal.h"

#include "dataplane/net/arp.h"
#include "dataplane/net/icmp.h"
#include "dataplane/net/mld.h"
#include "dataplane/net/nd.h"

#include <rte_malloc.h>
#include <stdlib.h>

#define NEIGHBORS_DEFAULT 4096
#define ADVANCE_US 5000 /* the tables are looked through no more often */
#define ECHO_PER_S 100
#define ECHO_BURST 50
#define ERRORS_PER_S 20
#define ERRORS_BURST 10

bool ip_stack_owns(const struct ip_interface *interface, const struct ip_address *address)
{
    for (uint32_t i = 0; i < interface->addresses_n; i++)
        if (ip_address_equal(&interface->addresses[i], address))
            return true;
    return false;
}

bool ip_stack_on_link(const struct ip_interface *interface, const struct ip_address *address)
{
    for (uint32_t i = 0; i < interface->addresses_n; i++)
        if (route_prefix_has(&interface->on_link[i], address))
            return true;
    return false;
}

const struct ip_address *ip_stack_own_for(const struct ip_interface *interface, const struct ip_address *peer)
{
    const struct ip_address *fallback = NULL;
    bool v4 = ip_address_is_v4(peer);
    for (uint32_t i = 0; i < interface->addresses_n; i++) {
        if (route_prefix_has(&interface->on_link[i], peer))
            return &interface->addresses[i];
        if (fallback == NULL && ip_address_is_v4(&interface->addresses[i]) == v4)
            fallback = &interface->addresses[i];
    }
    return fallback;
}

bool ip_stack_rate_take(struct ip_rate *rate, uint64_t now_us)
{
    uint64_t gained = (now_us - rate->last_us) * rate->per_s / 1000000;
    if (gained > 0) {
        rate->tokens = gained + rate->tokens > rate->burst ? rate->burst : rate->tokens + (uint32_t)gained;
        rate->last_us = now_us;
    }
    if (rate->tokens == 0)
        return false;
    rate->tokens--;
    return true;
}

uint64_t ip_stack_random(struct ip_stack *stack)
{
    uint64_t count = stack->random_count++;
    return siphash_2_4(stack->random_key, &count, sizeof(count));
}

/* ---- making it ----------------------------------------------------------------------------------------- */

/* RFC 4291 appendix A. */
static struct ip_address link_local_of(const uint8_t mac[6])
{
    return (struct ip_address){.bytes = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe,
                                         mac[3], mac[4], mac[5]}};
}

static bool interface_init(struct ip_stack *stack, uint16_t index, const struct ip_interface_config *config)
{
    struct ip_interface *interface = &stack->interfaces[index];
    if (config->port >= stack->ports_n || config->vlan >= IP_STACK_VLANS - 1 ||
        config->addresses_n > IP_STACK_ADDRESSES ||
        stack->interface_of_vlan[config->port][config->vlan] != IP_STACK_NO_INTERFACE)
        return false;
    const struct port *port = &stack->ports[config->port];
    stack->interface_of_vlan[config->port][config->vlan] = (uint8_t)index;
    snprintf(interface->name, sizeof(interface->name), "%s", config->name);
    interface->port = config->port;
    interface->index = index;
    interface->vlan = config->vlan;
    interface->mtu = port->mtu;
    memcpy(interface->mac, port->mac.addr_bytes, 6);
    struct wire_ethernet *ethernet = (void *)interface->ethernet;
    memcpy(ethernet->source, interface->mac, 6);
    interface->ethernet_len = WIRE_ETHERNET_BYTES;
    if (config->vlan != 0) {
        struct wire_vlan *tag = (void *)(interface->ethernet + WIRE_ETHERNET_BYTES);
        ethernet->type = be16_make(WIRE_TYPE_VLAN);
        tag->control = be16_make(config->vlan);
        interface->ethernet_len += WIRE_VLAN_BYTES;
    }
    for (uint32_t i = 0; i < config->addresses_n; i++) {
        interface->addresses[i] = config->addresses[i].address;
        if (!route_prefix_make(&interface->on_link[i], &config->addresses[i].address,
                               config->addresses[i].bits))
            return false;
    }
    interface->addresses[config->addresses_n] = link_local_of(interface->mac);
    if (!route_prefix_make(&interface->on_link[config->addresses_n],
                           &interface->addresses[config->addresses_n], 10))
        return false;
    interface->addresses_n = config->addresses_n + 1;
    return true;
}

static bool routes_init(struct ip_stack *stack, const struct ip_stack_config *config)
{
    for (uint32_t i = 0; i < config->routes_n; i++) {
        const struct ip_route_config *route = &config->routes[i];
        struct route_prefix prefix;
        if (route->interface >= stack->interfaces_n ||
            !route_prefix_make(&prefix, &route->destination.address, route->destination.bits))
            return false;
        const struct ip_interface *interface = &stack->interfaces[route->interface];
        if (!ip_stack_on_link(interface, &route->next_hop) || ip_stack_owns(interface, &route->next_hop))
            return false;
        struct neighbor *n = neighbor_pin(stack->neighbors, route->interface, &route->next_hop);
        if (n == NULL || route_add(&stack->routes, &prefix, &route->next_hop, route->interface,
                                   neighbor_index(stack->neighbors, n)) != 0)
            return false;
    }
    return true;
}

static void neighbor_solicit(void *host, const struct neighbor *n, bool unicast)
{
    struct ip_stack *stack = host;
    const struct ip_interface *interface = &stack->interfaces[n->interface];
    if (ip_address_is_v4(&n->address))
        arp_solicit(stack, interface, n, unicast);
    else
        nd_solicit(stack, interface, n, unicast);
}

static void neighbor_resolved(void *host, const struct neighbor *n, struct rte_mbuf **waiting, uint32_t count)
{
    struct ip_stack *stack = host;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(rte_pktmbuf_mtod(waiting[i], uint8_t *), n->mac, 6);
        ip_stack_transmit(stack, &stack->interfaces[n->interface], waiting[i]);
    }
}

/* Whose packet it was learns that nobody answers as from a router's ICMP error (RFC 4861 s.7.2.2). */
static void report_unreachable(struct ip_stack *stack, uint16_t interface, const struct rte_mbuf *mbuf)
{
    struct frame frame;
    if (stack->handler->unreachable == NULL ||
        frame_parse(&frame, rte_pktmbuf_mtod(mbuf, const uint8_t *), mbuf->data_len) != FRAME_OK ||
        (frame.protocol != WIRE_PROTOCOL_TCP && frame.protocol != WIRE_PROTOCOL_UDP))
        return;
    const struct wire_udp *ports = (const void *)frame.transport;
    const struct flow_key key = {.local = frame.source,
                                 .remote = frame.destination,
                                 .local_port = be16_get(ports->source_port),
                                 .remote_port = be16_get(ports->destination_port),
                                 .interface = interface,
                                 .protocol = frame.protocol};
    stack->handler->unreachable(stack->owner, &key, frame.transport, frame.transport_len, 0, stack->now_us);
}

static void neighbor_failed(void *host, const struct neighbor *n, struct rte_mbuf **waiting, uint32_t count)
{
    struct ip_stack *stack = host;
    uint16_t interface = n->interface; /* the entry may be reused meanwhile */
    for (uint32_t i = 0; i < count; i++) {
        ip_stack_count(stack, FRAME_NO_NEIGHBOR);
        report_unreachable(stack, interface, waiting[i]);
        rte_pktmbuf_free(waiting[i]);
    }
}

static const struct neighbor_host neighbor_host = {
    .solicit = neighbor_solicit, .resolved = neighbor_resolved, .failed = neighbor_failed};

static bool stack_init(struct ip_stack *stack, const struct ip_stack_config *config, const uint8_t secret[16])
{
    if (config->ports_n > PORT_MAX || config->interfaces_n > IP_STACK_INTERFACES)
        return false;
    uint32_t neighbors = config->neighbors == 0 ? NEIGHBORS_DEFAULT : config->neighbors;
    if (neighbors > IP_STACK_NEIGHBORS_MAX)
        return false;
    stack->ports = config->ports;
    stack->ports_n = config->ports_n;
    stack->queue = config->queue;
    stack->interfaces_n = config->interfaces_n;
    stack->echo_rate = (struct ip_rate){ECHO_PER_S, ECHO_BURST, ECHO_BURST, stack->now_us};
    stack->error_rate = (struct ip_rate){ERRORS_PER_S, ERRORS_BURST, ERRORS_BURST, stack->now_us};
    stack->random_key = siphash_key_of(secret);
    stack->path_mtu.key = stack->random_key;
    memset(stack->interface_of_vlan, IP_STACK_NO_INTERFACE, sizeof(stack->interface_of_vlan));
    for (uint16_t i = 0; i < config->interfaces_n; i++)
        if (!interface_init(stack, i, &config->interfaces[i]))
            return false;
    stack->neighbors = neighbor_table_create(neighbors, secret, &neighbor_host, stack);
    stack->fragments = fragment_table_create();
    return stack->neighbors != NULL && stack->fragments != NULL && routes_init(stack, config);
}

struct ip_stack *ip_stack_create(const struct ip_stack_config *config, const struct ip_stack_handler *handler,
                                 void *owner, const uint8_t secret[16], uint64_t now_us)
{
    struct ip_stack *stack = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*stack), 64));
    if (stack == NULL)
        return NULL;
    memset(stack, 0, sizeof(*stack));
    stack->handler = handler;
    stack->owner = owner;
    stack->now_us = now_us;
    if (!stack_init(stack, config, secret)) {
        ip_stack_destroy(stack);
        return NULL;
    }
    return stack;
}

void ip_stack_destroy(struct ip_stack *stack)
{
    if (stack == NULL)
        return;
    for (uint32_t p = 0; p < stack->ports_n; p++)
        rte_pktmbuf_free_bulk(stack->tx[p].queue, stack->tx[p].n);
    neighbor_table_destroy(stack->neighbors);
    fragment_table_destroy(stack->fragments);
    free(stack);
}

void ip_stack_advance(struct ip_stack *stack, uint64_t now_us)
{
    stack->now_us = now_us;
    if (now_us < stack->advance_us)
        return;
    stack->advance_us = now_us + ADVANCE_US;
    neighbor_advance(stack->neighbors, now_us);
    stack->counters.reassembly_expired += fragment_advance(stack->fragments, now_us);
}

const struct ip_stack_counters *ip_stack_counters(const struct ip_stack *stack)
{
    return &stack->counters;
}

/* ---- paths and neighbours ------------------------------------------------------------------------------ */

static bool is_link_local(const struct ip_address *a)
{
    return a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

uint32_t ip_stack_path(struct ip_stack *stack, const struct ip_address *destination)
{
    for (uint16_t i = 0; i < stack->interfaces_n; i++) {
        const struct ip_interface *interface = &stack->interfaces[i];
        /* Link-local addresses say nothing about which link. */
        for (uint32_t a = 0; a + 1 < interface->addresses_n; a++) {
            if (!route_prefix_has(&interface->on_link[a], destination))
                continue;
            struct neighbor *n = neighbor_want(stack->neighbors, i, destination, stack->now_us);
            return n == NULL ? IP_STACK_PATH_NONE : ip_stack_path_make(stack, n);
        }
    }
    const struct route *route = route_find(&stack->routes, destination);
    return route == NULL ? IP_STACK_PATH_NONE
                         : ip_stack_path_make(stack, neighbor_at(stack->neighbors, route->neighbor));
}

uint16_t ip_stack_path_interface(const struct ip_stack *stack, uint32_t path)
{
    uint32_t index = path >> IP_STACK_PATH_SHIFT;
    return index < stack->interfaces_n ? (uint16_t)index : IP_STACK_INTERFACES;
}

uint16_t ip_stack_path_mtu(const struct ip_stack *stack, uint32_t path)
{
    uint16_t index = ip_stack_path_interface(stack, path);
    return index < stack->interfaces_n ? stack->interfaces[index].mtu : WIRE_MTU_MAX;
}

bool ip_stack_source(const struct ip_stack *stack, uint32_t path, const struct ip_address *destination,
                     struct ip_address *out)
{
    uint16_t index = ip_stack_path_interface(stack, path);
    const struct ip_address *own =
        index < stack->interfaces_n ? ip_stack_own_for(&stack->interfaces[index], destination) : NULL;
    if (own == NULL || (is_link_local(own) && !is_link_local(destination)))
        return false; /* nobody could answer that */
    *out = *own;
    return true;
}

bool ip_stack_path_mac(const struct ip_stack *stack, uint32_t path, uint8_t mac[6])
{
    if (path == IP_STACK_PATH_NONE)
        return false;
    const struct neighbor *n = neighbor_at(stack->neighbors, path & IP_STACK_NEIGHBORS_MAX);
    if (n == NULL || n->interface != path >> IP_STACK_PATH_SHIFT || !neighbor_has_mac(n))
        return false;
    memcpy(mac, n->mac, 6);
    return true;
}

bool ip_stack_path_direct(const struct ip_stack *stack, uint32_t path, const struct ip_address *address)
{
    if (path == IP_STACK_PATH_NONE)
        return false;
    const struct neighbor *n = neighbor_at(stack->neighbors, path & IP_STACK_NEIGHBORS_MAX);
    return n != NULL && n->interface == path >> IP_STACK_PATH_SHIFT && ip_address_equal(&n->address, address);
}

void ip_stack_learn(struct ip_stack *stack, uint16_t interface, const struct ip_address *address,
                    const uint8_t mac[6], uint64_t now_us)
{
    stack->now_us = now_us;
    neighbor_answered(stack->neighbors, interface, address, mac, now_us);
}

void ip_stack_on_learn(struct ip_stack *stack,
                       void (*learned)(void *owner, uint16_t interface, const struct ip_address *address,
                                       const uint8_t mac[6]))
{
    stack->learned = learned;
}

void ip_stack_announce(struct ip_stack *stack, uint64_t now_us)
{
    stack->now_us = now_us;
    for (uint32_t i = 0; i < stack->interfaces_n; i++) {
        const struct ip_interface *interface = &stack->interfaces[i];
        mld_announce(stack, interface);
        for (uint32_t a = 0; a < interface->addresses_n; a++) {
            if (ip_address_is_v4(&interface->addresses[a]))
                arp_announce(stack, interface, &interface->addresses[a]);
            else
                nd_announce(stack, interface, &interface->addresses[a]);
        }
    }
}

void ip_stack_refuse(struct ip_stack *stack, const struct ip_packet *packet, enum ip_stack_refusal why)
{
    icmp_send_error(stack, packet, why);
}
