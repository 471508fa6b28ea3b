/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finding losses and repairing them: RACK-TLP (RFC 8985) on the SACK scoreboard (RFC 2018, 6675), NewReno
 * (RFC 6582) for peers without SACK, proportional rate reduction (RFC 6937) while it lasts, timeouts, and the
 * undoing of reductions that timestamps prove needless (Eifel, RFC 3522).
 */
#ifndef DATAPLANE_TCP_RECOVERY_H
#define DATAPLANE_TCP_RECOVERY_H

#include "dataplane/tcp/connection.h"
#include "dataplane/tcp/options.h"

/* What one acknowledgement told; filled while it is processed. */
struct tcp_ack {
    uint32_t acked;     /* octets that snd_una moved */
    uint32_t delivered; /* octets newly known to have arrived, SACK included */
    uint32_t rtt_us;    /* of the newest octet delivered, never of one sent twice; 0: none */
    uint32_t echo;      /* timestamp echo, when `has_echo` */
    bool has_echo;
    bool duplicate; /* RFC 5681 s.2 */
    bool dsack;
};

/* A record is acknowledged or sacked for the first time. */
struct tcp_sent;
void tcp_recovery_delivered(struct tcp_connection *c, struct tcp_sent *record, struct tcp_ack *ack);
/* Marks what the blocks cover. snd_una is up to date. */
void tcp_recovery_sack(struct tcp_connection *c, const struct tcp_options *options, struct tcp_ack *ack);
/* Decides what is lost and how much may be sent, after snd_una and the marks are up to date. */
void tcp_recovery_ack(struct tcp_connection *c, struct tcp_ack *ack);
/* The reordering window has passed. */
void tcp_recovery_reorder_due(struct tcp_connection *c);
/* The retransmission timeout has passed. */
void tcp_recovery_timeout(struct tcp_connection *c);
/* Segments must become smaller: what is in flight in larger ones is sent again. */
void tcp_recovery_resize(struct tcp_connection *c, uint16_t mss);

#endif
