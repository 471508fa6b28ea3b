/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CUBIC (RFC 9438) with HyStart++ (RFC 9406) and an initial window of ten segments (RFC 6928). Windows are in
 * bytes, times in milliseconds, everything in integers. How much of the window a recovery may use is
 * recovery.h's concern.
 */
#ifndef DATAPLANE_TCP_CONGESTION_H
#define DATAPLANE_TCP_CONGESTION_H

#include "dataplane/tcp/connection.h"

uint32_t tcp_congestion_initial(const struct tcp_connection *c);
/* The connection is established; `syn_lost` as RFC 6298 s.5.7 and RFC 5681 s.3.1 understand it. */
void tcp_congestion_start(struct tcp_connection *c, bool syn_lost);
/* Something of a flight of so many octets was lost: sets ssthresh, and remembers what to go back to if that
 * proves wrong. */
void tcp_congestion_loss(struct tcp_connection *c, uint32_t flight);
void tcp_congestion_undo(struct tcp_connection *c);
/* `acked` octets left the network while the window was in use. */
void tcp_congestion_ack(struct tcp_connection *c, uint32_t acked, uint32_t rtt_us);
/* Fast recovery is over, whose sums were where ours are. */
void tcp_congestion_resume(struct tcp_connection *c);
/* Nothing was sent for longer than an RTO (RFC 5681 s.4.1). */
void tcp_congestion_idle(struct tcp_connection *c);

#endif
