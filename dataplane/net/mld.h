/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Multicast listener reports (MLDv2, RFC 3810) for the groups that neighbour discovery of our own addresses
 * comes in: switches that snoop would otherwise not pass it to us. Worker.
 */
#ifndef DATAPLANE_NET_MLD_H
#define DATAPLANE_NET_MLD_H

#include "dataplane/net/ip_stack_internal.h"

/* A router's or switch's question (type 130) with a good checksum; answered once in a second. */
enum frame_outcome mld_query_in(struct ip_stack *stack, struct ip_interface *interface,
                                const struct frame *frame);
/* Tells that we listen, unasked. */
void mld_announce(struct ip_stack *stack, const struct ip_interface *interface);

#endif
