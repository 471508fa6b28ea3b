/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Segments of no connection: passive opens with and without cookies, and stray ones. */
#ifndef DATAPLANE_TCP_LISTEN_H
#define DATAPLANE_TCP_LISTEN_H

#include "dataplane/tcp/connection.h"

/* `after`: when not 0, our sequence number must begin after it (TIME-WAIT reuse). */
void tcp_listen_syn(struct tcp_endpoint *tcp, const struct tcp_segment_in *segment, uint32_t after);
/* A connection rebuilt from the cookie that this segment acknowledges, established and told to the host, or
 * NULL: answered. May be CLOSED on return. */
struct tcp_connection *tcp_listen_ack(struct tcp_endpoint *tcp, const struct tcp_segment_in *segment);

#endif
