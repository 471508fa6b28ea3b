/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/rtt.h"

#include "dataplane/tcp/sent.h"

#define RTO_FIRST_US 1000000u /* RFC 6298 s.2.1 */
#define RTO_SLACK_US 200000u
#define RTO_MAX_US 60000000u
#define RTT_MAX_US 60000000u
#define PROBE_FIRST_US 1000000u
#define PROBE_SLACK_US 2000u
#define ACK_DELAY_MAX_US 200000u /* of the peer */

void tcp_rtt_sample(struct tcp_connection *c, uint32_t rtt_us)
{
    uint32_t r = tcp_min(tcp_max(rtt_us, 1), RTT_MAX_US);
    if (c->min_rtt_us == 0 || r < c->min_rtt_us)
        c->min_rtt_us = r;
    if ((c->flags & TCP_F_RTT) == 0) {
        c->flags |= TCP_F_RTT;
        c->srtt_us = r;
        c->rttvar_us = r / 2;
        return;
    }
    uint32_t error = r > c->srtt_us ? r - c->srtt_us : c->srtt_us - r;
    c->rttvar_us = c->rttvar_us - c->rttvar_us / 4 + error / 4;
    c->srtt_us = c->srtt_us - c->srtt_us / 8 + r / 8;
}

uint32_t tcp_rtt_rto_us(const struct tcp_connection *c)
{
    uint64_t rto = RTO_FIRST_US;
    if ((c->flags & TCP_F_RTT) != 0)
        rto = c->srtt_us + (uint64_t)tcp_max(RTO_SLACK_US, 4 * c->rttvar_us);
    rto <<= tcp_min(c->backoff, 16);
    return rto < RTO_MAX_US ? (uint32_t)rto : RTO_MAX_US;
}

uint32_t tcp_rtt_probe_us(const struct tcp_connection *c)
{
    if ((c->flags & TCP_F_RTT) == 0)
        return PROBE_FIRST_US;
    /* A peer need not acknowledge less than two full segments at once (RFC 9293 s.3.8.6.3): leave it the
     * time. */
    bool may_wait = c->sent_n == 1 || tcp_flight(c) < 2u * c->snd_mss;
    return 2 * c->srtt_us + (may_wait ? ACK_DELAY_MAX_US : PROBE_SLACK_US);
}
