/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Segments of a connection. All but resets, and acknowledgements where segments get lost, leave from
 * tcp_flush or a timer: every segment carries the current acknowledgement and window.
 */
#ifndef DATAPLANE_TCP_OUTPUT_H
#define DATAPLANE_TCP_OUTPUT_H

#include "dataplane/tcp/connection.h"
#include "dataplane/tcp/options.h"

/* Payload that fits into a segment now, and no record in flight should exceed. */
uint32_t tcp_output_payload_max(const struct tcp_connection *c);
/* Bytes believed to be in the network (RFC 6675 "pipe"). */
uint32_t tcp_output_pipe(const struct tcp_connection *c);
/* SYN, lost segments, new segments as far as the windows allow, FIN, an acknowledgement that is due. */
void tcp_output_flush(struct tcp_connection *c);
/* A bare acknowledgement, now. */
void tcp_output_ack(struct tcp_connection *c);
/* Sends one segment into a closed or tiny window; at least one byte. */
void tcp_output_window_probe(struct tcp_connection *c);
/* RFC 8985 s.7.3: one new segment, or the last one again. */
void tcp_output_tail_probe(struct tcp_connection *c);
/* RFC 9293 s.3.8.4: a number already acknowledged, no data. */
void tcp_output_keepalive(struct tcp_connection *c);
void tcp_output_reset(struct tcp_connection *c);
/* The options of a SYN or SYN-ACK at p; answers their length. */
uint8_t tcp_output_syn_options(uint8_t *p, uint16_t mss, const struct tcp_options *offer, uint8_t scale,
                               uint32_t ts_value, uint32_t ts_echo);

#endif
