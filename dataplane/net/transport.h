/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hinge between the IP stack and the TCP endpoint: parses TCP headers of a burst into segments (looking
 * all of them up ahead, so that the table's cache misses overlap), and writes outgoing segments straight from
 * the send queue into packet buffers: one copy. One per worker. It knows no listener: whom a SYN is for is
 * the gateway's business through tcp_host.admit.
 */
#ifndef DATAPLANE_NET_TRANSPORT_H
#define DATAPLANE_NET_TRANSPORT_H

#include "dataplane/net/ip_stack.h"
#include "dataplane/tcp/tcp.h"

#define TRANSPORT_SENDER (UINT64_C(1) << 48)

/* Who sent a packet, as tcp_segment_in.sender has it: the source MAC, first byte highest, behind
 * TRANSPORT_SENDER. */
uint64_t transport_sender(const struct ip_packet *packet);
/* Feeds TCP packets of one burst; malformed headers are counted in *bad_headers. */
void transport_tcp_input(struct tcp_endpoint *tcp, const struct ip_packet *packets, uint32_t n,
                         uint64_t now_us, uint64_t *bad_headers);
/* For tcp_host.emit. */
void transport_tcp_emit(struct ip_stack *stack, const struct tcp_segment_out *segment, uint64_t now_us);
/* For tcp_host.mss: MTU of the path less IP and TCP header. */
uint16_t transport_tcp_mss(const struct ip_stack *stack, const struct flow_key *key, uint32_t path);
/* For ip_stack_handler.unreachable when key->protocol is TCP. */
void transport_tcp_unreachable(struct tcp_endpoint *tcp, const struct flow_key *key, const uint8_t *quoted,
                               size_t quoted_len, uint16_t next_mtu, uint64_t now_us);

#endif
