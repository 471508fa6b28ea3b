/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/congestion.h"

#define CWND_MAX (1u << 30)

/* RFC 9406 s.4.3 */
#define ROUND_SAMPLES 8u
#define RTT_RISE_MIN_US 4000u
#define RTT_RISE_MAX_US 16000u
#define SLOW_DIVISOR 4u
#define SLOW_ROUNDS 5u

uint32_t tcp_congestion_initial(const struct tcp_connection *c)
{
    uint32_t mss = c->snd_mss;
    return tcp_min(10 * mss, tcp_max(2 * mss, 14600));
}

void tcp_congestion_resume(struct tcp_connection *c)
{
    c->flags &= ~(TCP_F_EPOCH | TCP_F_SLOW_EXIT);
    c->round_end = c->snd_nxt;
    c->round_samples = 0;
    c->slow.round_rtt_us = UINT32_MAX;
    c->slow.last_round_rtt_us = UINT32_MAX;
}

void tcp_congestion_start(struct tcp_connection *c, bool syn_lost)
{
    c->cwnd = syn_lost ? c->snd_mss : tcp_congestion_initial(c);
    c->ssthresh = CWND_MAX;
    tcp_congestion_resume(c);
}

void tcp_congestion_loss(struct tcp_connection *c, uint32_t flight)
{
    uint32_t mss = c->snd_mss;
    c->undo_cwnd = c->cwnd;
    c->undo_ssthresh = c->ssthresh;
    /* What was in use, not what was allowed: an idle window proves nothing (RFC 5681 s.3.1). */
    uint32_t used = tcp_min(c->cwnd, tcp_max(flight, 2 * mss));
    /* Fast convergence, RFC 9438 s.4.7, with beta 0.7. */
    c->cubic_max = used < c->cubic_max ? (uint32_t)((uint64_t)used * 17 / 20) : used;
    c->ssthresh = tcp_max((uint32_t)((uint64_t)used * 7 / 10), 2 * mss);
    tcp_congestion_resume(c);
}

void tcp_congestion_undo(struct tcp_connection *c)
{
    c->cwnd = tcp_max(c->cwnd, c->undo_cwnd);
    c->ssthresh = tcp_max(c->ssthresh, c->undo_ssthresh);
    c->cubic_max = tcp_max(c->cubic_max, c->cwnd);
    tcp_congestion_resume(c);
}

void tcp_congestion_idle(struct tcp_connection *c)
{
    c->cwnd = tcp_min(c->cwnd, tcp_congestion_initial(c));
    tcp_congestion_resume(c);
}

/* Ends a round, and begins or ends conservative slow start (RFC 9406 s.4.2). */
static void hystart(struct tcp_connection *c, uint32_t rtt_us)
{
    if (seq_leq(c->round_end, c->snd_una)) {
        if ((c->flags & TCP_F_SLOW_EXIT) != 0 && ++c->slow_rounds >= SLOW_ROUNDS)
            c->ssthresh = c->cwnd;
        c->round_end = c->snd_nxt;
        c->slow.last_round_rtt_us = c->slow.round_rtt_us;
        c->slow.round_rtt_us = UINT32_MAX;
        c->round_samples = 0;
    }
    if (rtt_us == 0)
        return;
    c->slow.round_rtt_us = tcp_min(c->slow.round_rtt_us, rtt_us);
    if (c->round_samples < ROUND_SAMPLES)
        c->round_samples++;
    if (c->round_samples < ROUND_SAMPLES || c->slow.last_round_rtt_us == UINT32_MAX)
        return;
    uint32_t rise = tcp_max(RTT_RISE_MIN_US, tcp_min(c->slow.last_round_rtt_us / 8, RTT_RISE_MAX_US));
    if ((c->flags & TCP_F_SLOW_EXIT) == 0) {
        if (c->slow.round_rtt_us >= c->slow.last_round_rtt_us + rise) {
            c->flags |= TCP_F_SLOW_EXIT;
            c->slow_rounds = 0;
            c->slow.exit_rtt_us = c->slow.round_rtt_us;
        }
    } else if (c->slow.round_rtt_us < c->slow.exit_rtt_us) {
        c->flags &= ~TCP_F_SLOW_EXIT; /* the rise was noise */
    }
}

/* Integer cube root, rounded down. */
static uint32_t cube_root(uint64_t x)
{
    uint64_t root = 0;
    for (int bit = 20; bit >= 0; bit--) {
        uint64_t next = root | UINT64_C(1) << bit;
        if (next * next * next <= x)
            root = next;
    }
    return (uint32_t)root;
}

static void begin_epoch(struct tcp_connection *c)
{
    c->flags |= TCP_F_EPOCH;
    c->cubic.epoch_ms = c->tcp->now_ms;
    c->cubic.estimate = c->cwnd;
    if (c->cwnd < c->cubic_max) {
        /* K = cbrt((W_max - cwnd) / C) in seconds with C = 0.4 segments/s^3, here in milliseconds. */
        uint64_t segments_1000 = (uint64_t)(c->cubic_max - c->cwnd) * 1000 / c->snd_mss;
        c->cubic.k_ms = cube_root(segments_1000 * 2500000u);
    } else {
        c->cubic.k_ms = 0;
        c->cubic_max = c->cwnd;
    }
}

/* W_cubic(t), RFC 9438 s.4.2, in bytes. */
static uint64_t cubic_window(const struct tcp_connection *c, uint32_t t_ms)
{
    int64_t d = (int64_t)tcp_min(t_ms, 1000000) - (int64_t)tcp_min(c->cubic.k_ms, 1000000);
    /* 0.4 * (d/1000)^3 segments = d^3 * mss / 2.5e9 bytes; d^3 fits 60 bits. */
    int64_t delta = d * d * d / 2500000 * c->snd_mss / 1000;
    int64_t window = (int64_t)c->cubic_max + delta;
    return window < 0 ? 0 : (uint64_t)window;
}

static void avoid(struct tcp_connection *c, uint32_t acked)
{
    if ((c->flags & TCP_F_EPOCH) == 0)
        begin_epoch(c);
    uint32_t t_ms = c->tcp->now_ms - c->cubic.epoch_ms;
    uint64_t target = cubic_window(c, t_ms + c->srtt_us / 1000);
    uint64_t ceiling = (uint64_t)c->cwnd * 3 / 2;
    target = target < c->cwnd ? c->cwnd : target > ceiling ? ceiling : target;

    /* The window that Reno would have, s.4.3: alpha 3(1-b)/(1+b) = 9/17 until it has caught up, then 1. */
    uint64_t step = (uint64_t)acked * c->snd_mss / c->cwnd;
    c->cubic.estimate += (uint32_t)(c->cubic.estimate < c->cubic_max ? step * 9 / 17 : step);
    if (cubic_window(c, t_ms) < c->cubic.estimate)
        c->cwnd = tcp_max(c->cwnd, c->cubic.estimate);
    else
        c->cwnd += (uint32_t)((target - c->cwnd) * acked / c->cwnd);
    c->cwnd = tcp_min(c->cwnd, CWND_MAX);
}

void tcp_congestion_ack(struct tcp_connection *c, uint32_t acked, uint32_t rtt_us)
{
    if (c->cwnd >= c->ssthresh) {
        avoid(c, acked);
        return;
    }
    hystart(c, rtt_us);
    uint32_t grow = tcp_min(acked, 8u * c->snd_mss); /* L of RFC 9406 s.4.2: no burst after a stretch ACK */
    if ((c->flags & TCP_F_SLOW_EXIT) != 0)
        grow /= SLOW_DIVISOR;
    c->cwnd = tcp_min(c->cwnd + grow, CWND_MAX);
}
