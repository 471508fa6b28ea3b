/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What arrives: offered to the reader in place when it is next in order and nothing waits, kept in chunks
 * otherwise; the window that follows from it; the peer's FIN; when to acknowledge.
 *
 * Every function that may call the reader says so: afterwards the connection may be CLOSED (its memory lives
 * until the next tcp_flush).
 */
#ifndef DATAPLANE_TCP_RECEIVE_H
#define DATAPLANE_TCP_RECEIVE_H

#include "dataplane/tcp/connection.h"

/* Payload inside the window, seq at or after rcv_nxt. Calls the reader. */
void tcp_receive_data(struct tcp_connection *c, uint32_t seq, const uint8_t *p, uint32_t n);
/* When the peer's FIN is next in order: takes it. */
void tcp_receive_fin(struct tcp_connection *c);
/* Offers what was kept. Calls the reader. */
void tcp_receive_resume(struct tcp_connection *c);
/* Tells the end of the peer's data once all has been taken, and the end of the connection once both sides are
 * done. Calls the reader. */
void tcp_receive_check_end(struct tcp_connection *c);
/* Bytes that may be kept now, which is what the window is made from. */
uint32_t tcp_receive_limit(const struct tcp_connection *c);
/* The connection is established: its rounds begin. */
void tcp_receive_begin(struct tcp_connection *c);
/* The window to announce, scaled; moves the right edge. */
uint16_t tcp_receive_window(struct tcp_connection *c);
/* A delayed acknowledgement left by its timer: does the peer wait for each one? */
void tcp_receive_ack_was_late(struct tcp_connection *c);
void tcp_receive_clear(struct tcp_connection *c);

#endif
