/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Segments without a connection: resets, cookies, challenges. None is larger than what it answers by more
 * than its options, and all but the cookies are limited per second. */
#ifndef DATAPLANE_TCP_REPLY_H
#define DATAPLANE_TCP_REPLY_H

#include "dataplane/tcp/connection.h"
#include "dataplane/tcp/options.h"

/* RFC 9293 s.3.10.7.1; limited. */
void tcp_reply_reset(struct tcp_endpoint *tcp, const struct tcp_segment_in *segment);
/* A SYN-ACK whose number is a cookie. */
void tcp_reply_cookie(struct tcp_endpoint *tcp, const struct tcp_segment_in *segment,
                      const struct tcp_options *options);
/* The last acknowledgement of a connection in TIME-WAIT. */
void tcp_reply_wait(struct tcp_endpoint *tcp, const struct tcp_wait *wait, uint32_t path);
/* An acknowledgement in answer to a segment that does not fit (RFC 5961 s.7); limited per connection and in
 * all. Leaves with the next flush. */
void tcp_reply_challenge(struct tcp_connection *c);

#endif
