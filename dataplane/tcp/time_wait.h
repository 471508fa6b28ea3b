/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TIME-WAIT (RFC 9293 s.3.6.1) without the connection: what is left of one is a record of under 128 bytes in
 * a queue ordered by age, since all wait equally long. When the records run out, the oldest goes early.
 */
#ifndef DATAPLANE_TCP_TIME_WAIT_H
#define DATAPLANE_TCP_TIME_WAIT_H

#include "dataplane/tcp/connection.h"
#include "dataplane/tcp/options.h"

bool tcp_time_wait_init(struct tcp_endpoint *tcp, uint32_t capacity);
void tcp_time_wait_fini(struct tcp_endpoint *tcp);
/* Takes over the flow of a connection that is done. */
bool tcp_time_wait_enter(struct tcp_connection *c);
/* A segment for the record that the table names by `value`. True when it is a SYN that may open the flow anew
 * (RFC 6191): the record is gone, and our sequence number must begin after *after. */
bool tcp_time_wait_input(struct tcp_endpoint *tcp, uint32_t value, const struct tcp_segment_in *segment,
                         uint32_t *after);
/* Whether we may open the flow anew; then the record is gone. False also when it is no such record. */
bool tcp_time_wait_reuse(struct tcp_endpoint *tcp, uint32_t value, uint32_t *after);

#endif
