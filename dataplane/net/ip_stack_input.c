/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way up: a burst is parsed, then each packet judged, then what is claimed handed up in one call per
 * protocol. */
#include "dataplane/net/ip_stack_internal.h"

#include "dataplane/net/arp.h"
#include "dataplane/net/icmp.h"
#include "dataplane/net/mld.h"
#include "dataplane/net/nd.h"

/* How the destination concerns us. */
enum destination_kind {
    DESTINATION_OTHER = 0, /* somebody else's: a listener on "any" may claim it */
    DESTINATION_OWN,
    DESTINATION_GROUP, /* multicast or broadcast */
};

static enum destination_kind destination_kind(const struct ip_interface *interface,
                                              const struct ip_address *destination)
{
    if (ip_stack_owns(interface, destination))
        return DESTINATION_OWN;
    if (!ip_address_is_v4(destination))
        return destination->bytes[0] == 0xff ? DESTINATION_GROUP : DESTINATION_OTHER;
    if (destination->bytes[12] >= 224)
        return DESTINATION_GROUP;
    for (uint32_t i = 0; i < interface->addresses_n; i++) { /* directed broadcast */
        const struct route_prefix *prefix = &interface->on_link[i];
        if (!prefix->v4 || prefix->bits >= 127 || !route_prefix_has(prefix, destination))
            continue;
        uint32_t host = UINT32_MAX >> (prefix->bits - 96);
        if ((ip_address_to_v4(destination) & host) == host)
            return DESTINATION_GROUP;
    }
    return DESTINATION_OTHER;
}

static bool is_unspecified(const struct ip_address *a)
{
    static const uint8_t zero[16];
    return ip_address_is_v4(a) ? ip_address_to_v4(a) == 0 : memcmp(a->bytes, zero, sizeof(zero)) == 0;
}

/* Where the source of a packet is, seen from the interface that it came in on. */
enum source_kind {
    SOURCE_IMPLAUSIBLE = 0, /* nowhere, ourselves, or elsewhere */
    SOURCE_ON_LINK,
    SOURCE_ROUTED, /* behind a router there */
};

/* What we would send elsewhere is not believed to come from here (RFC 3704 s.2.2, strict). */
static enum source_kind source_kind(const struct ip_stack *stack, const struct ip_interface *interface,
                                    const struct ip_address *source)
{
    if (is_unspecified(source) || ip_stack_owns(interface, source))
        return SOURCE_IMPLAUSIBLE;
    if (ip_stack_on_link(interface, source))
        return SOURCE_ON_LINK;
    for (uint32_t i = 0; i < stack->interfaces_n; i++)
        if (ip_stack_on_link(&stack->interfaces[i], source))
            return SOURCE_IMPLAUSIBLE;
    const struct route *best = route_find(&stack->routes, source);
    if (best == NULL)
        return SOURCE_IMPLAUSIBLE;
    if (best->interface == interface->index)
        return SOURCE_ROUTED;
    const struct route *here = route_find_on(&stack->routes, interface->index, source);
    bool equal_ways = here != NULL && here->prefix.bits == best->prefix.bits;
    return equal_ways ? SOURCE_ROUTED : SOURCE_IMPLAUSIBLE;
}

/* The way back to the sender of a packet whose source is plausible. A sender on the link is noted as a
 * neighbour with the MAC that it used, unless it is known already. */
static uint32_t path_back(struct ip_stack *stack, const struct ip_interface *interface,
                          const struct frame *frame, enum source_kind source)
{
    const struct wire_ethernet *ethernet = (const void *)frame->ethernet;
    if (source == SOURCE_ON_LINK) {
        struct neighbor *n = neighbor_heard(stack->neighbors, interface->index, &frame->source,
                                            ethernet->source, stack->now_us);
        return n == NULL ? IP_STACK_PATH_NONE : ip_stack_path_make(stack, n);
    }
    const struct route *route = route_find_on(&stack->routes, interface->index, &frame->source);
    if (route == NULL)
        return IP_STACK_PATH_NONE;
    struct neighbor *n = neighbor_at(stack->neighbors, route->neighbor);
    if (neighbor_has_mac(n) && memcmp(n->mac, ethernet->source, 6) == 0)
        neighbor_heard_from(stack->neighbors, n, ethernet->source, stack->now_us);
    return ip_stack_path_make(stack, n);
}

static enum frame_outcome icmp_packet(struct ip_stack *stack, struct ip_interface *interface,
                                      struct ip_packet *packet, enum destination_kind kind)
{
    const struct frame *frame = &packet->frame;
    bool v6 = frame->protocol == WIRE_PROTOCOL_ICMPV6;
    uint8_t type = frame->transport[0];
    if (v6 == ip_address_is_v4(&frame->source))
        return FRAME_UNKNOWN_PROTOCOL;
    if (!frame_checksum_good(frame))
        return FRAME_BAD_CHECKSUM;
    /* Discovery may come from the unspecified address, and goes to groups. */
    if (v6 && type >= WIRE_ICMPV6_ROUTER_SOLICITATION && type <= WIRE_ICMPV6_REDIRECT)
        return nd_input(stack, interface, frame);
    if (v6 && type == WIRE_ICMPV6_LISTENER_QUERY)
        return mld_query_in(stack, interface, frame);
    if (kind == DESTINATION_GROUP || frame->multicast_mac)
        return FRAME_NOT_FOR_US;
    enum source_kind source = source_kind(stack, interface, &frame->source);
    if (source == SOURCE_IMPLAUSIBLE)
        return FRAME_BAD_SOURCE;
    if (kind == DESTINATION_OTHER && !icmp_is_error(frame))
        return FRAME_NO_LISTENER;
    uint32_t path = IP_STACK_PATH_NONE;
    if (!icmp_is_error(frame)) {
        path = path_back(stack, interface, frame, source);
        if (path == IP_STACK_PATH_NONE)
            return FRAME_NEIGHBOR_TABLE_FULL;
    }
    return icmp_input(stack, interface, frame, path);
}

/* TCP or UDP: FRAME_OK when claimed, with a good checksum and a way back. */
static enum frame_outcome transport_packet(struct ip_stack *stack, struct ip_interface *interface,
                                           struct ip_packet *packet, enum destination_kind kind,
                                           const struct rte_mbuf *mbuf)
{
    const struct frame *frame = &packet->frame;
    const struct wire_udp *ports = (const void *)frame->transport;
    if (kind == DESTINATION_GROUP ? frame->protocol != WIRE_PROTOCOL_UDP : frame->multicast_mac)
        return FRAME_NOT_FOR_US;
    enum source_kind source = source_kind(stack, interface, &frame->source);
    if (source == SOURCE_IMPLAUSIBLE) {
        if (stack->handler->implausible != NULL)
            stack->handler->implausible(stack->owner, packet);
        return FRAME_BAD_SOURCE;
    }
    if (!stack->handler->claims(stack->owner, interface->index, frame->protocol, &frame->destination,
                                be16_get(ports->destination_port), packet))
        return FRAME_NO_LISTENER;
    bool verified =
        mbuf != NULL && (mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    if (!verified && !frame_checksum_good(frame))
        return FRAME_BAD_CHECKSUM;
    packet->path = path_back(stack, interface, frame, source);
    return packet->path == IP_STACK_PATH_NONE ? FRAME_NEIGHBOR_TABLE_FULL : FRAME_OK;
}

static enum frame_outcome ip_input(struct ip_stack *stack, struct ip_interface *interface,
                                   struct ip_packet *packet, const struct rte_mbuf *mbuf)
{
    enum destination_kind kind = destination_kind(interface, &packet->frame.destination);
    switch (packet->frame.protocol) {
    case WIRE_PROTOCOL_TCP:
    case WIRE_PROTOCOL_UDP:
        return transport_packet(stack, interface, packet, kind, mbuf);
    case WIRE_PROTOCOL_ICMP:
    case WIRE_PROTOCOL_ICMPV6:
        return icmp_packet(stack, interface, packet, kind);
    default:
        return FRAME_UNKNOWN_PROTOCOL;
    }
}

/* Collects a fragment; the one that completes its datagram is judged as that. */
static enum frame_outcome fragment_packet(struct ip_stack *stack, struct ip_interface *interface,
                                          struct ip_packet *packet)
{
    struct frame *frame = &packet->frame;
    uint16_t vlan = frame->vlan;
    const uint8_t *whole;
    size_t whole_len;
    if (destination_kind(interface, &frame->destination) == DESTINATION_GROUP || frame->multicast_mac)
        return FRAME_NOT_FOR_US;
    if (source_kind(stack, interface, &frame->source) == SOURCE_IMPLAUSIBLE)
        return FRAME_BAD_SOURCE;
    enum frame_outcome outcome =
        fragment_add(stack->fragments, interface->index, frame, stack->now_us, &whole, &whole_len);
    if (outcome != FRAME_OK)
        return outcome;
    outcome = frame_parse(frame, whole, whole_len);
    frame->vlan = vlan;
    if (outcome != FRAME_OK)
        return outcome == FRAME_FRAGMENT ? FRAME_BAD_FRAGMENT : outcome; /* fragments within fragments */
    stack->counters.reassembled++;
    return ip_input(stack, interface, packet, NULL);
}

/* What becomes of a parsed frame. */
static enum frame_outcome judge(struct ip_stack *stack, uint32_t port, struct ip_packet *packet,
                                enum frame_outcome parsed, const struct rte_mbuf *mbuf)
{
    const struct frame *frame = &packet->frame;
    if (parsed != FRAME_OK && parsed != FRAME_FRAGMENT)
        return parsed;
    uint8_t index = stack->interface_of_vlan[port][frame->vlan];
    if (index == IP_STACK_NO_INTERFACE)
        return FRAME_UNKNOWN_VLAN;
    struct ip_interface *interface = &stack->interfaces[index];
    if (!frame->multicast_mac && memcmp(frame->ethernet, interface->mac, 6) != 0)
        return FRAME_NOT_FOR_US;
    packet->interface = index;
    packet->path = IP_STACK_PATH_NONE;
    if (parsed == FRAME_FRAGMENT)
        return fragment_packet(stack, interface, packet);
    if (frame->ethertype == WIRE_TYPE_ARP)
        return arp_input(stack, interface, frame);
    return ip_input(stack, interface, packet, mbuf);
}

static enum frame_outcome parse_mbuf(struct frame *frame, struct rte_mbuf *mbuf)
{
    if (mbuf->nb_segs > 1 && rte_pktmbuf_linearize(mbuf) != 0)
        return FRAME_TOO_LARGE;
    enum frame_outcome outcome = frame_parse(frame, rte_pktmbuf_mtod(mbuf, const uint8_t *), mbuf->data_len);
    /* Some devices take the tag off whatever they are told. */
    if ((mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0 && frame->vlan == 0)
        frame->vlan = mbuf->vlan_tci & 0xfff;
    return outcome;
}

/* Parses and judges a burst; TCP packets that go up move to the front of stack->tcp. */
static void sort_burst(struct ip_stack *stack, uint32_t port, struct rte_mbuf **burst, uint16_t n,
                       uint32_t *tcp_n, uint32_t *udp_n)
{
    enum frame_outcome outcomes[PORT_BURST];
    uint64_t bytes = 0;
    for (uint16_t i = 0; i < n && i < 4; i++)
        rte_prefetch0(rte_pktmbuf_mtod(burst[i], void *));
    for (uint16_t i = 0; i < n; i++) {
        if (i + 4 < n)
            rte_prefetch0(rte_pktmbuf_mtod(burst[i + 4], void *));
        bytes += burst[i]->pkt_len;
        outcomes[i] = parse_mbuf(&stack->tcp[i].frame, burst[i]);
    }
    stack->counters.rx_packets[port] += n;
    stack->counters.rx_bytes[port] += bytes;
    for (uint16_t i = 0; i < n; i++) {
        struct ip_packet *packet = &stack->tcp[i];
        enum frame_outcome outcome = judge(stack, port, packet, outcomes[i], burst[i]);
        ip_stack_count(stack, outcome);
        if (outcome != FRAME_OK)
            continue;
        if (packet->frame.protocol == WIRE_PROTOCOL_UDP)
            stack->udp[(*udp_n)++] = *packet;
        else if (packet->frame.protocol == WIRE_PROTOCOL_TCP && &stack->tcp[(*tcp_n)++] != packet)
            stack->tcp[*tcp_n - 1] = *packet;
    }
}

void ip_stack_input(struct ip_stack *stack, uint32_t port, struct rte_mbuf **burst, uint16_t n,
                    uint64_t now_us)
{
    stack->now_us = now_us;
    for (uint16_t done = 0; done < n; done = (uint16_t)(done + PORT_BURST)) {
        uint16_t part = n - done < PORT_BURST ? (uint16_t)(n - done) : PORT_BURST;
        uint32_t tcp_n = 0;
        uint32_t udp_n = 0;
        sort_burst(stack, port, burst + done, part, &tcp_n, &udp_n);
        if (tcp_n > 0)
            stack->handler->tcp(stack->owner, stack->tcp, tcp_n, now_us);
        if (udp_n > 0)
            stack->handler->udp(stack->owner, stack->udp, udp_n, now_us);
        fragment_release(stack->fragments);
        rte_pktmbuf_free_bulk(burst + done, part);
    }
}
