/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes written and not yet acknowledged, copied into chunks; the first has number snd_una. A connection with
 * nothing to send holds none.
 */
#ifndef DATAPLANE_TCP_SEND_QUEUE_H
#define DATAPLANE_TCP_SEND_QUEUE_H

#include "dataplane/tcp/connection.h"

#define TCP_PIECES 3
/* What three pieces hold wherever they begin; no segment is larger. */
#define TCP_SEGMENT_MAX (2u * CHUNK_BYTES)

/* How many bytes the next write takes. */
uint32_t tcp_send_queue_room(const struct tcp_connection *c);
uint32_t tcp_send_queue_write(struct tcp_connection *c, const uint8_t *p, uint32_t n);
/* The pieces of `n` queued bytes from number `seq`; answers how many pieces. */
uint8_t tcp_send_queue_pieces(struct tcp_connection *c, uint32_t seq, uint32_t n,
                              struct tcp_piece pieces[TCP_PIECES]);
/* The first n bytes are acknowledged; snd_una moves with them. */
void tcp_send_queue_drop(struct tcp_connection *c, uint32_t n);
void tcp_send_queue_clear(struct tcp_connection *c);

#endif
