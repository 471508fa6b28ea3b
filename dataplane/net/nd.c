/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/net/nd.h"

#include "dataplane/net/checksum.h"

#define HOP_LIMIT 255 /* proves that no router was between (RFC 4861 s.3.1) */

static const struct ip_address all_nodes = {.bytes = {0xff, 0x02, [15] = 1}};

static bool is_unspecified(const struct ip_address *a)
{
    static const struct ip_address zero;
    return ip_address_equal(a, &zero);
}

static bool is_multicast(const struct ip_address *a)
{
    return a->bytes[0] == 0xff;
}

struct ip_address nd_solicited_node(const struct ip_address *target)
{
    struct ip_address a = {.bytes = {0xff, 0x02, [11] = 1, [12] = 0xff}};
    memcpy(a.bytes + 13, target->bytes + 13, 3);
    return a;
}

/* RFC 2464 s.7. */
static void multicast_mac(const struct ip_address *a, uint8_t mac[6])
{
    mac[0] = 0x33;
    mac[1] = 0x33;
    memcpy(mac + 2, a->bytes + 12, 4);
}

/* The one MAC option of `type`: its MAC, or NULL when there is none. False when the options are malformed. */
static bool find_mac(const struct frame *frame, uint8_t type, const uint8_t **mac)
{
    const uint8_t *at = frame->transport + sizeof(struct wire_nd);
    size_t n = frame->transport_len - sizeof(struct wire_nd);
    *mac = NULL;
    while (n > 0) {
        if (n < 8 || at[1] == 0 || (size_t)at[1] * 8 > n)
            return false;
        if (at[0] == type) {
            if (at[1] != 1 || *mac != NULL)
                return false;
            *mac = at + 2;
        }
        n -= (size_t)at[1] * 8;
        at += (size_t)at[1] * 8;
    }
    return true;
}

/* A solicitation or advertisement for `target` with our MAC in an option. */
static void send_nd(struct ip_stack *stack, const struct ip_interface *interface, uint8_t type,
                    uint32_t flags, const uint8_t mac[6], const struct ip_address *source,
                    const struct ip_address *destination, const struct ip_address *target)
{
    const uint32_t len = sizeof(struct wire_nd) + sizeof(struct wire_nd_mac);
    struct rte_mbuf *mbuf;
    uint8_t *at = ip_stack_frame(stack, interface, mac, WIRE_TYPE_IPV6, WIRE_IPV6_BYTES + len, &mbuf);
    if (at == NULL)
        return;
    ip_stack_write_ipv6(at, source, destination, WIRE_PROTOCOL_ICMPV6, len, HOP_LIMIT);
    struct wire_nd *nd = (void *)(at + WIRE_IPV6_BYTES);
    struct wire_nd_mac *option = (void *)(at + WIRE_IPV6_BYTES + sizeof(*nd));
    nd->type = type;
    nd->code = 0;
    checksum_store(nd->checksum, 0);
    nd->flags = be32_make(flags);
    memcpy(nd->target, target->bytes, 16);
    option->type = type == WIRE_ICMPV6_NEIGHBOR_SOLICITATION ? WIRE_ND_SOURCE_MAC : WIRE_ND_TARGET_MAC;
    option->length = 1;
    memcpy(option->mac, interface->mac, 6);
    uint64_t sum = checksum_pseudo(source, destination, WIRE_PROTOCOL_ICMPV6, len);
    sum = checksum_add(sum, (const uint8_t *)nd, len);
    checksum_store(nd->checksum, (uint16_t)~checksum_fold(sum));
    ip_stack_transmit(stack, interface, mbuf);
}

void nd_solicit(struct ip_stack *stack, const struct ip_interface *interface, const struct neighbor *n,
                bool unicast)
{
    const struct ip_address *source = ip_stack_own_for(interface, &n->address);
    if (source == NULL)
        return;
    struct ip_address destination = n->address;
    uint8_t mac[6];
    memcpy(mac, n->mac, 6);
    if (!unicast) {
        destination = nd_solicited_node(&n->address);
        multicast_mac(&destination, mac);
    }
    send_nd(stack, interface, WIRE_ICMPV6_NEIGHBOR_SOLICITATION, 0, mac, source, &destination, &n->address);
}

void nd_announce(struct ip_stack *stack, const struct ip_interface *interface,
                 const struct ip_address *address)
{
    uint8_t mac[6];
    multicast_mac(&all_nodes, mac);
    send_nd(stack, interface, WIRE_ICMPV6_NEIGHBOR_ADVERTISEMENT, WIRE_NA_ROUTER | WIRE_NA_OVERRIDE, mac,
            address, &all_nodes, address);
}

/* RFC 4861 s.7.1.1 and 7.2.3. */
static enum frame_outcome solicitation_in(struct ip_stack *stack, const struct ip_interface *interface,
                                          const struct frame *frame, const struct ip_address *target)
{
    const struct wire_ethernet *ethernet = (const void *)frame->ethernet;
    const uint8_t *mac;
    struct ip_address node = nd_solicited_node(target);
    bool to_node = ip_address_equal(&frame->destination, &node);
    if (!find_mac(frame, WIRE_ND_SOURCE_MAC, &mac) || (is_multicast(&frame->destination) && !to_node))
        return FRAME_BAD_NEIGHBOR_MESSAGE;
    if (is_unspecified(&frame->source)) {
        if (!to_node || mac != NULL)
            return FRAME_BAD_NEIGHBOR_MESSAGE;
        if (!ip_stack_owns(interface, target))
            return FRAME_NOT_FOR_US;
        nd_announce(stack, interface, target); /* it is taken */
        stack->counters.neighbor_answered++;
        return FRAME_OK;
    }
    if (mac != NULL && memcmp(mac, ethernet->source, 6) != 0)
        return FRAME_BAD_NEIGHBOR_MESSAGE; /* nobody needs to speak for a MAC that is not its own */
    if (!ip_stack_owns(interface, target))
        return FRAME_NOT_FOR_US;
    if (!ip_stack_on_link(interface, &frame->source))
        return FRAME_BAD_NEIGHBOR_MESSAGE;
    if (mac != NULL)
        neighbor_heard(stack->neighbors, interface->index, &frame->source, mac, stack->now_us);
    send_nd(stack, interface, WIRE_ICMPV6_NEIGHBOR_ADVERTISEMENT,
            WIRE_NA_ROUTER | WIRE_NA_SOLICITED | WIRE_NA_OVERRIDE, ethernet->source, target, &frame->source,
            target);
    stack->counters.neighbor_answered++;
    return FRAME_OK;
}

/* RFC 4861 s.7.1.2 and 7.2.5. */
static enum frame_outcome advertisement_in(struct ip_stack *stack, struct ip_interface *interface,
                                           const struct frame *frame, const struct ip_address *target)
{
    const struct wire_nd *nd = (const void *)frame->transport;
    const struct wire_ethernet *ethernet = (const void *)frame->ethernet;
    const uint8_t *mac;
    bool solicited = (be32_get(nd->flags) & WIRE_NA_SOLICITED) != 0;
    if (!find_mac(frame, WIRE_ND_TARGET_MAC, &mac) || (solicited && is_multicast(&frame->destination)))
        return FRAME_BAD_NEIGHBOR_MESSAGE;
    if (mac == NULL)
        mac = ethernet->source;
    if (memcmp(mac, ethernet->source, 6) != 0 || !ip_stack_on_link(interface, target))
        return FRAME_BAD_NEIGHBOR_MESSAGE;
    if (ip_stack_owns(interface, target)) {
        if (memcmp(mac, interface->mac, 6) != 0)
            stack->counters.address_conflicts++;
        return FRAME_BAD_NEIGHBOR_MESSAGE;
    }
    if (!solicited || memcmp(frame->ethernet, interface->mac, 6) != 0 ||
        !ip_stack_owns(interface, &frame->destination)) {
        neighbor_announced(stack->neighbors, interface->index, target, mac, stack->now_us);
        return FRAME_NOT_FOR_US;
    }
    bool taken = neighbor_answered(stack->neighbors, interface->index, target, mac, stack->now_us);
    /* Another worker may have asked. */
    if (stack->learned != NULL)
        stack->learned(stack->owner, interface->index, target, mac);
    return taken ? FRAME_OK : FRAME_NOT_FOR_US;
}

enum frame_outcome nd_input(struct ip_stack *stack, struct ip_interface *interface, const struct frame *frame)
{
    const struct wire_nd *nd = (const void *)frame->transport;
    if (frame->ttl != HOP_LIMIT || nd->code != 0)
        return FRAME_BAD_NEIGHBOR_MESSAGE;
    if (nd->type != WIRE_ICMPV6_NEIGHBOR_SOLICITATION && nd->type != WIRE_ICMPV6_NEIGHBOR_ADVERTISEMENT)
        return FRAME_NOT_FOR_US;
    struct ip_address target;
    if (frame->transport_len < sizeof(*nd))
        return FRAME_BAD_NEIGHBOR_MESSAGE;
    memcpy(target.bytes, nd->target, 16);
    if (is_multicast(&target) || is_unspecified(&target) || ip_address_is_v4(&target))
        return FRAME_BAD_NEIGHBOR_MESSAGE;
    return nd->type == WIRE_ICMPV6_NEIGHBOR_SOLICITATION ? solicitation_in(stack, interface, frame, &target)
                                                         : advertisement_in(stack, interface, frame, &target);
}
