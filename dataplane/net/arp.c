/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/net/arp.h"

#define DEFEND_INTERVAL_US 10000000u /* RFC 5227 s.1.1 */

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t nobody[6];

static void send_arp(struct ip_stack *stack, const struct ip_interface *interface, uint16_t operation,
                     const uint8_t to[6], const struct ip_address *sender, const uint8_t target_mac[6],
                     const struct ip_address *target)
{
    struct rte_mbuf *mbuf;
    uint8_t *at = ip_stack_frame(stack, interface, to, WIRE_TYPE_ARP, sizeof(struct wire_arp), &mbuf);
    if (at == NULL)
        return;
    struct wire_arp *arp = (void *)at;
    arp->hardware = be16_make(1);
    arp->protocol = be16_make(WIRE_TYPE_IPV4);
    arp->hardware_len = 6;
    arp->protocol_len = 4;
    arp->operation = be16_make(operation);
    memcpy(arp->sender_mac, interface->mac, 6);
    arp->sender = be32_make(ip_address_to_v4(sender));
    memcpy(arp->target_mac, target_mac, 6);
    arp->target = be32_make(ip_address_to_v4(target));
    ip_stack_transmit(stack, interface, mbuf);
}

void arp_solicit(struct ip_stack *stack, const struct ip_interface *interface, const struct neighbor *n,
                 bool unicast)
{
    const struct ip_address *sender = ip_stack_own_for(interface, &n->address);
    if (sender != NULL)
        send_arp(stack, interface, WIRE_ARP_REQUEST, unicast ? n->mac : broadcast, sender,
                 unicast ? n->mac : nobody, &n->address);
}

void arp_announce(struct ip_stack *stack, const struct ip_interface *interface,
                  const struct ip_address *address)
{
    send_arp(stack, interface, WIRE_ARP_REQUEST, broadcast, address, nobody, address);
}

/* Somebody else says to have one of our addresses. */
static enum frame_outcome conflict(struct ip_stack *stack, struct ip_interface *interface,
                                   const struct frame *frame, const struct wire_arp *arp)
{
    if (memcmp(arp->sender_mac, interface->mac, 6) == 0)
        return FRAME_BAD_ARP; /* our own frame came back */
    stack->counters.address_conflicts++;
    if (interface->defended_us == 0 || stack->now_us - interface->defended_us >= DEFEND_INTERVAL_US) {
        interface->defended_us = stack->now_us;
        arp_announce(stack, interface, &frame->source);
    }
    return FRAME_BAD_ARP;
}

static enum frame_outcome request_in(struct ip_stack *stack, const struct ip_interface *interface,
                                     const struct frame *frame, const struct wire_arp *arp)
{
    bool probe = ip_address_to_v4(&frame->source) == 0; /* RFC 5227 s.2.1.1 */
    if (!ip_stack_owns(interface, &frame->destination)) {
        if (!probe)
            neighbor_announced(stack->neighbors, interface->index, &frame->source, arp->sender_mac,
                               stack->now_us);
        return FRAME_NOT_FOR_US;
    }
    if (!probe)
        neighbor_heard(stack->neighbors, interface->index, &frame->source, arp->sender_mac, stack->now_us);
    send_arp(stack, interface, WIRE_ARP_REPLY, arp->sender_mac, &frame->destination, arp->sender_mac,
             &frame->source);
    stack->counters.arp_answered++;
    return FRAME_OK;
}

static enum frame_outcome reply_in(struct ip_stack *stack, const struct ip_interface *interface,
                                   const struct frame *frame, const struct wire_arp *arp)
{
    if (memcmp(frame->ethernet, interface->mac, 6) != 0 || memcmp(arp->target_mac, interface->mac, 6) != 0 ||
        !ip_stack_owns(interface, &frame->destination)) {
        neighbor_announced(stack->neighbors, interface->index, &frame->source, arp->sender_mac,
                           stack->now_us);
        return FRAME_NOT_FOR_US;
    }
    bool taken =
        neighbor_answered(stack->neighbors, interface->index, &frame->source, arp->sender_mac, stack->now_us);
    /* Another worker may have asked. */
    if (stack->learned != NULL)
        stack->learned(stack->owner, interface->index, &frame->source, arp->sender_mac);
    return taken ? FRAME_OK : FRAME_NOT_FOR_US;
}

enum frame_outcome arp_input(struct ip_stack *stack, struct ip_interface *interface,
                             const struct frame *frame)
{
    const struct wire_arp *arp = (const void *)frame->network;
    const struct wire_ethernet *ethernet = (const void *)frame->ethernet;
    uint16_t operation = be16_get(arp->operation);
    if (operation != WIRE_ARP_REQUEST && operation != WIRE_ARP_REPLY)
        return FRAME_BAD_ARP;
    /* Nobody needs to speak for a MAC that is not its own. */
    if (memcmp(arp->sender_mac, ethernet->source, 6) != 0)
        return FRAME_BAD_ARP;
    if (ip_stack_owns(interface, &frame->source))
        return conflict(stack, interface, frame, arp);
    bool probe = operation == WIRE_ARP_REQUEST && ip_address_to_v4(&frame->source) == 0;
    if (!probe && !ip_stack_on_link(interface, &frame->source))
        return FRAME_BAD_ARP;
    return operation == WIRE_ARP_REQUEST ? request_in(stack, interface, frame, arp)
                                         : reply_in(stack, interface, frame, arp);
}
