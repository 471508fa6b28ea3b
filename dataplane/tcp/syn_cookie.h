/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SYN cookies (RFC 4987 s.3.6): the state of a half-open connection lives in the sequence number we choose,
 * and what does not fit there in our timestamp, which the peer echoes.
 *
 * Sequence number: 5 bits of a clock that ticks every 64 s, 3 bits of an index into a table of segment sizes,
 * 24 bits of SipHash-2-4 over flow, the peer's number, clock and index. A cookie is good for this tick and
 * the one before. Timestamp: its low 6 bits say window scale (15: none) and whether SACK is permitted.
 */
#ifndef DATAPLANE_TCP_SYN_COOKIE_H
#define DATAPLANE_TCP_SYN_COOKIE_H

#include "dataplane/tcp/connection.h"
#include "dataplane/tcp/options.h"

/* What a cookie remembers of the SYN. */
struct tcp_cookie {
    uint16_t mss; /* rounded down to the table's */
    uint8_t scale;
    bool has_scale;
    bool sack_permitted;
    bool has_timestamp;
};

/* Our initial sequence number for a SYN numbered `irs`. */
uint32_t tcp_syn_cookie_make(const struct tcp_endpoint *tcp, const struct flow_key *key, uint32_t irs,
                             uint16_t mss);
/* Our timestamp, not after the present one. */
uint32_t tcp_syn_cookie_timestamp(const struct tcp_endpoint *tcp, const struct flow_key *key,
                                  const struct tcp_options *syn);
/* Whether `iss` is a cookie of ours for the flow and irs; `options` are those of the segment that brings it.
 */
bool tcp_syn_cookie_check(const struct tcp_endpoint *tcp, const struct flow_key *key, uint32_t irs,
                          uint32_t iss, const struct tcp_options *options, struct tcp_cookie *out);

#endif
