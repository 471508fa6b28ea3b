/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers that an outsider must not guess: initial sequence numbers (RFC 6528: a clock plus a keyed hash of
 * the flow) and timestamp offsets (RFC 7323 s.7.1: one per flow, so that timestamps of successive connections
 * of one flow keep rising, which TIME-WAIT reuse needs, and tell nobody the uptime).
 */
#ifndef DATAPLANE_TCP_ISN_H
#define DATAPLANE_TCP_ISN_H

#include "dataplane/tcp/connection.h"

/* Derives the endpoint's keys from the secret of tcp_create. */
void tcp_isn_init(struct tcp_endpoint *tcp, const uint8_t secret[32]);
uint32_t tcp_isn(const struct tcp_endpoint *tcp, const struct flow_key *key);
uint32_t tcp_isn_timestamp_offset(const struct tcp_endpoint *tcp, const struct flow_key *key);
/* A number that cannot be predicted from outside, another one at each call. */
uint32_t tcp_isn_noise(struct tcp_endpoint *tcp);

#endif
