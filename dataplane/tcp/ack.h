/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The acknowledgement that a segment carries: RFC 9293 s.3.10.7.4 "check the ACK field", RFC 5961 s.5. */
#ifndef DATAPLANE_TCP_ACK_H
#define DATAPLANE_TCP_ACK_H

#include "dataplane/tcp/connection.h"
#include "dataplane/tcp/options.h"

/* False when the number is outside what RFC 5961 s.5.2 allows: the segment must be dropped. */
bool tcp_ack_acceptable(const struct tcp_connection *c, uint32_t ack);
/* Processes an acceptable one in a synchronized state. No calls up. */
void tcp_ack_process(struct tcp_connection *c, const struct tcp_segment_in *segment,
                     const struct tcp_options *options);

#endif
