/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/timers.h"

#include "dataplane/tcp/endpoint.h"
#include "dataplane/tcp/output.h"
#include "dataplane/tcp/receive.h"
#include "dataplane/tcp/recovery.h"
#include "dataplane/tcp/rtt.h"
#include "dataplane/tcp/sent.h"

#include <stddef.h>

#define LIFE_MAX_MS (20u * 24 * 3600 * 1000) /* deadlines are compared modulo 2^32 ms */

static uint32_t ms_of(uint64_t us)
{
    uint64_t ms = (us + 999) / 1000;
    return ms < LIFE_MAX_MS ? (uint32_t)ms : LIFE_MAX_MS;
}

/* Makes the timer fire no later than a deadline. */
static void wake_by(struct tcp_connection *c, uint32_t deadline_ms)
{
    struct tcp_endpoint *tcp = c->tcp;
    int32_t delay = (int32_t)(deadline_ms - tcp->now_ms);
    uint64_t due_us = (tcp->now_us / 1000 + (uint64_t)(delay > 0 ? delay : 0)) * 1000;
    if (!timer_running(&c->timer) || c->timer.due_us > due_us)
        timer_start(tcp->timers, &c->timer, due_us);
}

void tcp_timers_arm(struct tcp_connection *c, enum tcp_armed which, uint32_t delay_ms)
{
    uint32_t deadline_ms = c->tcp->now_ms + tcp_min(delay_ms, LIFE_MAX_MS);
    if (which == TCP_ARMED_RETRANSMIT)
        c->retransmit_ms = deadline_ms;
    else if (which == TCP_ARMED_ACK)
        c->ack_ms = deadline_ms;
    else
        c->life_ms = deadline_ms;
    c->armed = (uint8_t)(c->armed | which);
    wake_by(c, deadline_ms);
}

void tcp_timers_retransmit(struct tcp_connection *c, enum tcp_timer_kind kind, uint32_t delay_us)
{
    c->timer_kind = (uint8_t)kind;
    tcp_timers_arm(c, TCP_ARMED_RETRANSMIT, ms_of(delay_us));
}

static void disarm_retransmit(struct tcp_connection *c)
{
    c->armed &= (uint8_t)~TCP_ARMED_RETRANSMIT;
    c->timer_kind = TCP_TIMER_NONE;
}

static bool window_closed(const struct tcp_connection *c)
{
    return c->snd_wnd == 0;
}

/* RFC 8985 s.7.2; never later than the RTO counted from the oldest transmission. */
static void arm_probe(struct tcp_connection *c)
{
    struct tcp_sent_at at;
    uint32_t probe = tcp_rtt_probe_us(c);
    int32_t rest = (int32_t)(tcp_sent_first(c, &at)->sent_us + tcp_rtt_rto_us(c) - (uint32_t)c->tcp->now_us);
    uint32_t left = rest > 0 ? (uint32_t)rest : 0;
    tcp_timers_retransmit(c, TCP_TIMER_PROBE, tcp_min(probe, left));
}

static void arm_in_flight(struct tcp_connection *c)
{
    bool probe = c->phase == TCP_PHASE_OPEN && c->backoff == 0 && !window_closed(c) &&
                 (c->flags & (TCP_F_SACK | TCP_F_PROBED)) == TCP_F_SACK;
    if (probe)
        arm_probe(c);
    else
        tcp_timers_retransmit(c, TCP_TIMER_RTO, tcp_rtt_rto_us(c));
}

void tcp_timers_sent(struct tcp_connection *c, bool sent)
{
    if (c->sent_n > 0) {
        bool runs = (c->armed & TCP_ARMED_RETRANSMIT) != 0 && c->timer_kind != TCP_TIMER_PERSIST;
        if (!runs || (sent && c->timer_kind == TCP_TIMER_PROBE))
            arm_in_flight(c);
    } else if (tcp_unsent(c) > 0) {
        if (c->timer_kind != TCP_TIMER_PERSIST)
            tcp_timers_retransmit(c, TCP_TIMER_PERSIST, tcp_rtt_rto_us(c));
    } else {
        disarm_retransmit(c);
    }
}

void tcp_timers_repeated(struct tcp_connection *c)
{
    if (c->timer_kind != TCP_TIMER_REORDER)
        tcp_timers_retransmit(c, TCP_TIMER_RTO, tcp_rtt_rto_us(c));
}

void tcp_timers_acked(struct tcp_connection *c)
{
    if (c->sent_n > 0)
        arm_in_flight(c);
    else
        disarm_retransmit(c);
}

void tcp_timers_life(struct tcp_connection *c)
{
    const struct tcp_limits *limits = &c->tcp->limits;
    uint64_t patience_us;

    if ((c->flags & TCP_F_FIN_QUEUED) != 0)
        patience_us = limits->orphan_us;
    else if (c->probes > 0)
        patience_us = limits->keepalive_interval_us;
    else
        patience_us = limits->keepalive_idle_us;
    if (patience_us == 0) {
        c->armed &= (uint8_t)~TCP_ARMED_LIFE;
        return;
    }
    uint32_t quiet_ms = c->tcp->now_ms - c->heard_ms;
    uint32_t patience_ms = ms_of(patience_us);
    if (c->probes > 0)
        quiet_ms = 0; /* the interval counts from the last probe */
    tcp_timers_arm(c, TCP_ARMED_LIFE, patience_ms > quiet_ms ? patience_ms - quiet_ms : 0);
}

static enum stream_end silence(const struct tcp_connection *c)
{
    return (c->flags & TCP_F_UNREACHABLE) != 0 ? STREAM_END_UNREACHABLE : STREAM_END_TIMEOUT;
}

static void syn_due(struct tcp_connection *c)
{
    const struct tcp_limits *limits = &c->tcp->limits;
    uint32_t most = (c->flags & TCP_F_ACTIVE) != 0 ? limits->syn_retries : limits->syn_ack_retries;
    if (c->retries >= tcp_min(most, UINT8_MAX)) {
        tcp_endpoint_close(c, silence(c));
        return;
    }
    c->retries++;
    c->backoff++;
    tcp_count(c->tcp, TCP_TIMEOUTS);
    c->flags |= TCP_F_SYN_DUE;
}

/* Nobody has answered; true when that was once too often and the connection is gone. */
static bool gave_up(struct tcp_connection *c)
{
    if (c->retries >= tcp_min(c->tcp->limits.data_retries, UINT8_MAX)) {
        tcp_output_reset(c);
        tcp_endpoint_close(c, silence(c));
        return true;
    }
    c->retries++;
    if (c->backoff < 16)
        c->backoff++;
    return false;
}

static void retransmit_due(struct tcp_connection *c)
{
    enum tcp_timer_kind kind = c->timer_kind;

    disarm_retransmit(c);
    if (!tcp_synchronized(c)) {
        syn_due(c);
    } else if (kind == TCP_TIMER_PROBE) {
        tcp_output_tail_probe(c);
        tcp_timers_retransmit(c, TCP_TIMER_RTO, tcp_rtt_rto_us(c));
    } else if (kind == TCP_TIMER_REORDER) {
        tcp_recovery_reorder_due(c);
    } else if (kind == TCP_TIMER_PERSIST || (kind == TCP_TIMER_RTO && window_closed(c))) {
        if (gave_up(c))
            return;
        tcp_output_window_probe(c);
        tcp_timers_retransmit(c, c->sent_n > 0 ? TCP_TIMER_RTO : TCP_TIMER_PERSIST, tcp_rtt_rto_us(c));
    } else if (kind == TCP_TIMER_RTO) {
        if (gave_up(c))
            return;
        tcp_count(c->tcp, TCP_TIMEOUTS);
        tcp_recovery_timeout(c);
    }
}

static void life_due(struct tcp_connection *c)
{
    const struct tcp_limits *limits = &c->tcp->limits;
    bool orphan = (c->flags & TCP_F_FIN_QUEUED) != 0;
    uint32_t quiet_ms = c->tcp->now_ms - c->heard_ms;

    c->armed &= (uint8_t)~TCP_ARMED_LIFE;
    if (orphan) {
        /* Both FINs are through and only the reader is slow: that is not the peer's fault. */
        bool through =
            (c->flags & TCP_F_FIN_RECEIVED) != 0 && (c->flags & TCP_F_FIN_SENT) != 0 && tcp_flight(c) == 0;
        if (!through && quiet_ms >= ms_of(limits->orphan_us)) {
            tcp_output_reset(c);
            tcp_endpoint_close(c, silence(c));
            return;
        }
        if (through)
            return;
    } else if (quiet_ms >= ms_of(limits->keepalive_idle_us) && c->sent_n == 0) {
        if (c->probes >= limits->keepalive_probes) {
            tcp_output_reset(c);
            tcp_endpoint_close(c, silence(c));
            return;
        }
        c->probes++;
        tcp_output_keepalive(c);
    } else if (c->sent_n > 0) {
        c->heard_ms = c->tcp->now_ms; /* retransmission watches it */
    }
    tcp_timers_life(c);
}

static bool due(const struct tcp_connection *c, enum tcp_armed which, uint32_t deadline_ms)
{
    return (c->armed & which) != 0 && (int32_t)(c->tcp->now_ms - deadline_ms) >= 0;
}

static void fire(struct timer *timer, uint64_t now_us)
{
    struct tcp_connection *c =
        (struct tcp_connection *)(void *)((uint8_t *)timer - offsetof(struct tcp_connection, timer));

    tcp_endpoint_clock(c->tcp, now_us);
    if (due(c, TCP_ARMED_ACK, c->ack_ms)) {
        c->armed &= (uint8_t)~TCP_ARMED_ACK;
        tcp_receive_ack_was_late(c);
        c->flags |= TCP_F_ACK_NOW;
    }
    if (due(c, TCP_ARMED_RETRANSMIT, c->retransmit_ms))
        retransmit_due(c);
    if (tcp_alive(c) && due(c, TCP_ARMED_LIFE, c->life_ms))
        life_due(c);
    if (!tcp_alive(c))
        return;
    tcp_output_flush(c);
    if ((c->armed & TCP_ARMED_ACK) != 0)
        wake_by(c, c->ack_ms);
    if ((c->armed & TCP_ARMED_RETRANSMIT) != 0)
        wake_by(c, c->retransmit_ms);
    if ((c->armed & TCP_ARMED_LIFE) != 0)
        wake_by(c, c->life_ms);
}

void tcp_timers_init(struct tcp_connection *c)
{
    c->timer.fire = fire;
}
