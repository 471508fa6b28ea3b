/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The endpoint's bookkeeping: which connections exist, which have something to send, how they come and go.
 *
 * A connection that ends leaves the flow table at once and is CLOSED; its memory and what it received stay
 * until tcp_flush takes it from the dirty list, so that a reader that ends its own connection, or another's,
 * can still return.
 */
#ifndef DATAPLANE_TCP_ENDPOINT_H
#define DATAPLANE_TCP_ENDPOINT_H

#include "dataplane/tcp/connection.h"

/* The time of the present call; never goes back. */
void tcp_endpoint_clock(struct tcp_endpoint *tcp, uint64_t now_us);
/* False when this second's allowance is used up. */
bool tcp_endpoint_allow(struct tcp_endpoint *tcp, struct tcp_rate *rate, uint32_t per_s, bool noisy);
/* A connection in `state` with everything that does not depend on the handshake set, or NULL (counted). */
struct tcp_connection *tcp_endpoint_add(struct tcp_endpoint *tcp, const struct flow_key *key, uint32_t hash,
                                        uint32_t path, enum tcp_state state);
/* The next flush looks at it. */
void tcp_endpoint_dirty(struct tcp_connection *c);
void tcp_endpoint_ack_now(struct tcp_connection *c);
/* Tells the writer at the end of this segment, when it waits and there is room enough. */
void tcp_endpoint_room(struct tcp_connection *c);
/* Ends it; `why` UNKNOWN: nobody is told. */
void tcp_endpoint_close(struct tcp_connection *c, enum stream_end why);
/* Both sides are closed in order: tells the user, and leaves a TIME-WAIT where RFC 9293 wants one. */
void tcp_endpoint_done(struct tcp_connection *c);
/* The handshake is complete: windows, timers, and the user is told. Calls up. */
void tcp_endpoint_established(struct tcp_connection *c);

extern const struct stream_ops tcp_stream_ops;

#endif
