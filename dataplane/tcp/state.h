/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a segment means, by state and flags (RFC 9293 s.3.10.7): one table, filled with "drop" before anything
 * else, so that a combination nobody thought of does nothing and is counted (architecture, decision 8). Pure.
 */
#ifndef DATAPLANE_TCP_STATE_H
#define DATAPLANE_TCP_STATE_H

#include <stdint.h>

enum tcp_action {
    TCP_ACTION_DROP = 0,
    TCP_ACTION_OPEN,         /* nobody's SYN: maybe a new connection */
    TCP_ACTION_STRAY_ACK,    /* nobody's ACK: a cookie coming back, else RST */
    TCP_ACTION_REFUSE,       /* answer RST */
    TCP_ACTION_IGNORE,       /* nobody's RST */
    TCP_ACTION_SYN_SENT_SYN, /* simultaneous open */
    TCP_ACTION_SYN_SENT_SYN_ACK,
    TCP_ACTION_SYN_SENT_ACK,
    TCP_ACTION_SYN_SENT_RESET,
    TCP_ACTION_SEGMENT, /* the common processing of synchronized states */
    TCP_ACTION_RESET,   /* RFC 5961 s.3 */
    TCP_ACTION_SYN,     /* RFC 5961 s.4 */
    TCP_ACTION_SYN_RECEIVED_SYN,
};

/* `state` is an enum tcp_state; `flags` as in the header. PSH, URG, ECE and CWR make no difference. */
enum tcp_action tcp_state_action(uint8_t state, uint8_t flags);
const char *tcp_state_name(uint8_t state);

#endif
