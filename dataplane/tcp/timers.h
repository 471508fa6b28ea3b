/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The deadlines of a connection: retransmission (in one of several meanings), delayed acknowledgement, life
 * (keep-alive, or the patience with a connection that its user has finished). They share one timer, which is
 * only ever moved earlier; when it fires too early for what has been put off meanwhile it is set again. So
 * putting a deadline off, which every acknowledgement does, is a store.
 */
#ifndef DATAPLANE_TCP_TIMERS_H
#define DATAPLANE_TCP_TIMERS_H

#include "dataplane/tcp/connection.h"

void tcp_timers_init(struct tcp_connection *c);
/* The deadline `which` is delay_ms from now. */
void tcp_timers_arm(struct tcp_connection *c, enum tcp_armed which, uint32_t delay_ms);
void tcp_timers_retransmit(struct tcp_connection *c, enum tcp_timer_kind kind, uint32_t delay_us);
/* After transmission opportunities; `sent` when data left. */
void tcp_timers_sent(struct tcp_connection *c, bool sent);
/* After the oldest segment was sent again: its answer has a whole RTO. */
void tcp_timers_repeated(struct tcp_connection *c);
/* After snd_una moved. */
void tcp_timers_acked(struct tcp_connection *c);
/* (Re)computes the life deadline for the present state. */
void tcp_timers_life(struct tcp_connection *c);

#endif
