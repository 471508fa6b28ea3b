/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IPv6 neighbour discovery for our own addresses (RFC 4861): answers solicitations, also those of duplicate
 * address detection, asks, and announces. Routers' advertisements and redirects are ignored: routes are
 * static, and nobody on the wire is to change them. Worker.
 */
#ifndef DATAPLANE_NET_ND_H
#define DATAPLANE_NET_ND_H

#include "dataplane/net/ip_stack_internal.h"

/* A parsed ICMPv6 packet of types 133 to 137 with a good checksum. */
enum frame_outcome nd_input(struct ip_stack *stack, struct ip_interface *interface,
                            const struct frame *frame);
/* The group in which a node is asked for (RFC 4291 s.2.7.1). */
struct ip_address nd_solicited_node(const struct ip_address *target);
/* Asks for n->address. */
void nd_solicit(struct ip_stack *stack, const struct ip_interface *interface, const struct neighbor *n,
                bool unicast);
/* Announces one of our own addresses to all nodes (RFC 4861 s.7.2.6). */
void nd_announce(struct ip_stack *stack, const struct ip_interface *interface,
                 const struct ip_address *address);

#endif
