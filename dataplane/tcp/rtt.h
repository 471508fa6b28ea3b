/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Round-trip time and what is computed from it: the retransmission timeout (RFC 6298) and the probe timeout
 * (RFC 8985 s.7.2). The lower bound of the RTO is 200 ms above the smoothed RTT instead of a second in all
 * (as Linux and others do; docs/tcp.md says why that is safe here); the upper bound is 60 s.
 */
#ifndef DATAPLANE_TCP_RTT_H
#define DATAPLANE_TCP_RTT_H

#include "dataplane/tcp/connection.h"

/* One measurement; never of a segment sent twice, unless timestamps told which (Karn). */
void tcp_rtt_sample(struct tcp_connection *c, uint32_t rtt_us);
/* With back-off. */
uint32_t tcp_rtt_rto_us(const struct tcp_connection *c);
uint32_t tcp_rtt_probe_us(const struct tcp_connection *c);

#endif
