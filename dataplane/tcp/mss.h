/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How large a segment may be (RFC 9293 s.3.7.1, RFC 6691): the least of what the peer announced, what the
 * path carries and what one segment can point at; never below a floor, so that a peer cannot make every byte
 * cost a packet (CVE-2019-11479).
 */
#ifndef DATAPLANE_TCP_MSS_H
#define DATAPLANE_TCP_MSS_H

#include "dataplane/tcp/connection.h"

/* Devices with smaller buffers than this are not served well, but others are not hurt. */
#define TCP_MSS_FLOOR 64u

/* `announced` by the peer; 0: not, then the default of its IP version holds. */
uint16_t tcp_mss_for(const struct tcp_endpoint *tcp, const struct flow_key *key, uint32_t path,
                     uint16_t announced);
/* An ICMP error says that only `mtu` bytes pass. Values that make no sense are ignored (RFC 5927 s.7). */
void tcp_mss_shrink(struct tcp_connection *c, uint16_t mtu);

#endif
