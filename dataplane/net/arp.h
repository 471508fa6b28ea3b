/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ARP for our own addresses (RFC 826, RFC 5227): answers, asks, announces, and defends them once in ten
 * seconds against somebody else's use. What may be learned from a message is neighbor.h's rule. Worker.
 */
#ifndef DATAPLANE_NET_ARP_H
#define DATAPLANE_NET_ARP_H

#include "dataplane/net/ip_stack_internal.h"

/* A parsed ARP frame that came in on `interface`. */
enum frame_outcome arp_input(struct ip_stack *stack, struct ip_interface *interface,
                             const struct frame *frame);
/* Asks for n->address. */
void arp_solicit(struct ip_stack *stack, const struct ip_interface *interface, const struct neighbor *n,
                 bool unicast);
/* Announces one of our own addresses (RFC 5227 s.2.3). */
void arp_announce(struct ip_stack *stack, const struct ip_interface *interface,
                  const struct ip_address *address);

#endif
