/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ICMP and ICMPv6 beside neighbour discovery: echo for our own addresses, and errors, which are handed up
 * with the header they quote: whether we sent that, only the owner of the flow can tell (RFC 5927). Both
 * ways are limited in rate. Worker.
 */
#ifndef DATAPLANE_NET_ICMP_H
#define DATAPLANE_NET_ICMP_H

#include "dataplane/net/ip_stack_internal.h"

/* A parsed ICMP or ICMPv6 packet with a good checksum that came in on `interface`. `path` leads back to its
 * sender. */
enum frame_outcome icmp_input(struct ip_stack *stack, const struct ip_interface *interface,
                              const struct frame *frame, uint32_t path);
/* Tells the sender of a packet that it is refused, unless too many were told lately or it went to a group. */
void icmp_send_error(struct ip_stack *stack, const struct ip_packet *packet, enum ip_stack_refusal why);
/* It is an error message, as opposed to a query. */
bool icmp_is_error(const struct frame *frame);

#endif
