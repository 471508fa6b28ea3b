/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/recovery.h"

#include "dataplane/tcp/congestion.h"
#include "dataplane/tcp/endpoint.h"
#include "dataplane/tcp/output.h"
#include "dataplane/tcp/sent.h"
#include "dataplane/tcp/timers.h"

#define DUP_THRESHOLD 3u
#define RACK_PERSIST 16u      /* RFC 8985 s.6.2 step 4 */
#define BLACK_HOLE_RETRIES 3u /* timeouts in a row before smaller segments are tried */
#define BLACK_HOLE_MSS 536u

static uint32_t length(const struct tcp_sent *r)
{
    return r->end - r->seq;
}

/* Whether (time, end) a is later than b, RFC 8985 s.6.2 step 2. */
static bool sent_after(uint32_t a_us, uint32_t a_end, uint32_t b_us, uint32_t b_end)
{
    return a_us == b_us ? seq_lt(b_end, a_end) : seq_lt(b_us, a_us);
}

/* RFC 8985 s.6.2 step 2. */
static void rack_update(struct tcp_connection *c, const struct tcp_sent *r, const struct tcp_ack *ack)
{
    uint32_t rtt_us = (uint32_t)c->tcp->now_us - r->sent_us;
    if ((r->flags & TCP_SENT_AGAIN) != 0) {
        uint32_t sent_ts = tcp_timestamp(c) - rtt_us / 1000;
        if (ack->has_echo && seq_lt(ack->echo + 1, sent_ts))
            return; /* the answer to an earlier transmission */
        if (rtt_us < c->min_rtt_us)
            return;
    }
    if ((c->flags & TCP_F_RACK) == 0 || sent_after(r->sent_us, r->end, c->rack_xmit_us, c->rack_end)) {
        c->flags |= TCP_F_RACK;
        c->rack_rtt_us = tcp_max(rtt_us, 1);
        c->rack_xmit_us = r->sent_us;
        c->rack_end = r->end;
    }
}

void tcp_recovery_delivered(struct tcp_connection *c, struct tcp_sent *r, struct tcp_ack *ack)
{
    ack->delivered += length(r);
    if ((r->flags & TCP_SENT_LOST) != 0) {
        r->flags &= (uint8_t)~TCP_SENT_LOST;
        c->lost_bytes -= length(r);
    }
    if ((r->flags & TCP_SENT_AGAIN) == 0) {
        ack->rtt_us = tcp_max((uint32_t)c->tcp->now_us - r->sent_us, 1);
        if (seq_lt(r->end, c->rack_fack))
            c->flags |= TCP_F_REORDERING;
    }
    c->rack_fack = seq_max(c->rack_fack, r->end);
    rack_update(c, r, ack);
}

/* RFC 2883: the first block below the acknowledgement, or inside the second block. */
static bool is_dsack(const struct tcp_connection *c, const struct tcp_options *o)
{
    const struct tcp_sack_block *b = o->sack;
    if (o->sack_n == 0 || !seq_lt(b[0].start, b[0].end))
        return false;
    if (seq_leq(b[0].end, c->snd_una))
        return true;
    return o->sack_n > 1 && seq_leq(b[1].start, b[0].start) && seq_leq(b[0].end, b[1].end);
}

static bool covered(const struct tcp_sack_block *blocks, unsigned int n, const struct tcp_sent *r)
{
    for (unsigned int i = 0; i < n; i++)
        if (seq_leq(blocks[i].start, r->seq) && seq_leq(r->end, blocks[i].end))
            return true;
    return false;
}

/* Segments that turned up twice: the path reorders more than we allow for (RFC 8985 s.6.2 step 4). */
static void widen_reordering_window(struct tcp_connection *c)
{
    if ((c->flags & TCP_F_RACK_BUMPED) != 0)
        return;
    c->flags |= TCP_F_RACK_BUMPED | TCP_F_REORDERING;
    if (c->rack_window < UINT8_MAX)
        c->rack_window++;
    c->rack_persist = RACK_PERSIST;
}

void tcp_recovery_sack(struct tcp_connection *c, const struct tcp_options *o, struct tcp_ack *ack)
{
    struct tcp_sack_block blocks[TCP_SACK_BLOCKS];
    struct tcp_sent_at at;
    unsigned int n = 0;

    ack->dsack = is_dsack(c, o);
    if (ack->dsack)
        widen_reordering_window(c);
    for (unsigned int i = 0; i < o->sack_n; i++) {
        const struct tcp_sack_block *b = &o->sack[i];
        /* Only blocks that lie in what is in flight mean anything. */
        if (seq_lt(b->start, b->end) && seq_leq(c->snd_una, b->start) && seq_leq(b->end, c->snd_nxt) &&
            b->end - b->start <= tcp_flight(c))
            blocks[n++] = *b;
    }
    if (n == 0)
        return;
    uint32_t sacked = 0;
    for (struct tcp_sent *r = tcp_sent_first(c, &at); r != NULL; r = tcp_sent_next(&at)) {
        if ((r->flags & TCP_SENT_SACKED) == 0 && covered(blocks, n, r)) {
            tcp_recovery_delivered(c, r, ack);
            r->flags |= TCP_SENT_SACKED;
            c->sacked_bytes += length(r);
        }
        sacked += (r->flags & TCP_SENT_SACKED) != 0;
    }
    c->dupacks = (uint8_t)tcp_min(sacked, UINT8_MAX);
}

/* RFC 8985 s.6.2 step 4. */
static uint32_t reordering_window(const struct tcp_connection *c)
{
    if ((c->flags & TCP_F_REORDERING) == 0 && (c->phase != TCP_PHASE_OPEN || c->dupacks >= DUP_THRESHOLD))
        return 0;
    uint64_t window = (uint64_t)c->min_rtt_us * tcp_max(c->rack_window, 1) / 4;
    return window < c->srtt_us ? (uint32_t)window : c->srtt_us;
}

/* RFC 8985 s.6.2 step 5. Answers how long until more may be lost; 0: nothing waits. */
static uint32_t rack_detect(struct tcp_connection *c)
{
    struct tcp_sent_at at;
    uint32_t allowed = c->rack_rtt_us + reordering_window(c), wait = 0, now = (uint32_t)c->tcp->now_us;

    if ((c->flags & TCP_F_RACK) == 0)
        return 0;
    for (struct tcp_sent *r = tcp_sent_first(c, &at); r != NULL; r = tcp_sent_next(&at)) {
        if ((r->flags & (TCP_SENT_SACKED | TCP_SENT_LOST)) != 0 ||
            !sent_after(c->rack_xmit_us, c->rack_end, r->sent_us, r->end))
            continue;
        int32_t left = (int32_t)(r->sent_us + allowed - now);
        if (left <= 0)
            tcp_sent_lose(c, r);
        else
            wait = tcp_max(wait, (uint32_t)left);
    }
    return wait;
}

static void enter(struct tcp_connection *c, enum tcp_recovery_phase phase)
{
    uint32_t flight = tcp_flight(c);
    c->recover = c->snd_nxt;
    c->undo_ts = 0;
    c->flags &= ~(TCP_F_UNDO | TCP_F_REPEATED);
    c->phase = (uint8_t)phase;
    /* RFC 9438 s.4.6: the window counts when it was the limit. What is out right now may be less, for the
     * acknowledgements of one burst come before what they let go. */
    tcp_congestion_loss(c, (c->flags & TCP_F_CWND_LIMITED) != 0 ? tcp_max(c->cwnd, flight) : flight);
    if (phase == TCP_PHASE_RECOVERY) {
        c->prr.flight = flight;
        c->prr.delivered = 0;
        c->prr.out = 0;
    }
}

static void leave(struct tcp_connection *c)
{
    if (c->phase == TCP_PHASE_RECOVERY) {
        c->cwnd = c->ssthresh;
        tcp_congestion_resume(c);
    }
    c->phase = TCP_PHASE_OPEN;
    if ((c->flags & TCP_F_SACK) == 0)
        c->dupacks = 0;
    if (c->rack_persist > 0 && --c->rack_persist == 0)
        c->rack_window = 1;
}

/* RFC 6937 s.3, with the slow-start reduction bound. */
static void proportional_rate(struct tcp_connection *c, uint32_t delivered)
{
    uint32_t pipe = tcp_output_pipe(c), mss = c->snd_mss;
    int64_t allowed;

    c->prr.delivered += delivered;
    if (pipe > c->ssthresh) {
        uint64_t share = (uint64_t)c->prr.delivered * c->ssthresh;
        allowed = (int64_t)((share + c->prr.flight - 1) / tcp_max(c->prr.flight, 1)) - c->prr.out;
    } else {
        int64_t owed = (int64_t)c->prr.delivered - c->prr.out;
        int64_t limit = (owed > (int64_t)delivered ? owed : (int64_t)delivered) + mss;
        int64_t gap = (int64_t)c->ssthresh - pipe;
        allowed = gap < limit ? gap : limit;
    }
    /* The first retransmission of a recovery goes out whatever the sum (RFC 5681 s.3.2). */
    if (c->prr.out == 0 && allowed < mss)
        allowed = mss;
    c->cwnd = pipe + (uint32_t)(allowed > 0 ? allowed : 0);
}

/* A recovery was needless: what it took is given back, and RACK waits longer from now on (RFC 8985 s.6.2 step
 * 3). */
static void take_back(struct tcp_connection *c)
{
    if (c->phase == TCP_PHASE_RECOVERY)
        c->flags |= TCP_F_REORDERING;
    leave(c);
    tcp_congestion_undo(c);
    tcp_count(c->tcp, TCP_SPURIOUS);
}

/* RFC 3522: the first acknowledgement of something sent again that echoes an older timestamp answers the
 * original, so nothing was lost. */
static void check_undo(struct tcp_connection *c, const struct tcp_ack *ack)
{
    struct tcp_sent_at at;

    /* All that was thought lost has arrived, before any of it was sent again: later in the same burst. */
    if (c->phase == TCP_PHASE_RECOVERY && c->lost_bytes == 0 && (c->flags & TCP_F_REPEATED) == 0) {
        take_back(c);
        return;
    }
    if ((c->flags & TCP_F_UNDO) == 0 || ack->acked == 0)
        return;
    c->flags &= ~TCP_F_UNDO;
    if (!ack->has_echo || !seq_lt(ack->echo, c->undo_ts))
        return;
    for (struct tcp_sent *r = tcp_sent_first(c, &at); r != NULL && c->lost_bytes > 0;
         r = tcp_sent_next(&at)) {
        if ((r->flags & TCP_SENT_LOST) != 0) {
            r->flags &= (uint8_t)~TCP_SENT_LOST;
            c->lost_bytes -= length(r);
        }
    }
    take_back(c);
}

/* RFC 6582, for peers without SACK. */
static void newreno(struct tcp_connection *c, struct tcp_ack *ack)
{
    struct tcp_sent_at at;
    struct tcp_sent *head = tcp_sent_first(c, &at);

    if (ack->acked > 0) {
        uint32_t counted = tcp_min((uint32_t)c->dupacks * c->snd_mss, ack->acked);
        if (c->phase == TCP_PHASE_RECOVERY) {
            ack->delivered = tcp_max(ack->acked - counted, c->snd_mss);
            uint32_t segments = ack->acked / c->snd_mss;
            c->dupacks = (uint8_t)(c->dupacks > segments ? c->dupacks - segments : 0);
            if (seq_lt(c->snd_una, c->recover) && head != NULL && (head->flags & TCP_SENT_AGAIN) == 0)
                tcp_sent_lose(c, head); /* partial acknowledgement: the next hole */
        } else {
            c->dupacks = 0;
        }
    } else if (ack->duplicate && head != NULL && c->phase != TCP_PHASE_LOSS) {
        if (c->dupacks < UINT8_MAX)
            c->dupacks++;
        ack->delivered = c->snd_mss;
        if (c->dupacks == DUP_THRESHOLD && c->phase == TCP_PHASE_OPEN)
            tcp_sent_lose(c, head);
    }
}

/* RFC 8985 s.7.4: what a tail loss probe has shown. */
static void probe_answered(struct tcp_connection *c, const struct tcp_ack *ack)
{
    if ((c->flags & TCP_F_PROBED) == 0 || seq_lt(c->snd_una, c->tlp_end))
        return;
    if ((c->flags & TCP_F_PROBE_REPEATS) != 0 && c->snd_una == c->tlp_end && !ack->dsack && !ack->duplicate)
        return; /* original or probe? what comes next tells */
    bool repaired = (c->flags & TCP_F_PROBE_REPEATS) != 0 && c->snd_una != c->tlp_end && !ack->dsack;
    c->flags &= ~(TCP_F_PROBED | TCP_F_PROBE_REPEATS);
    if (!repaired || c->phase != TCP_PHASE_OPEN)
        return;
    tcp_congestion_loss(c, c->cwnd); /* the flight it was part of is over */
    c->cwnd = tcp_min(c->cwnd, c->ssthresh);
}

void tcp_recovery_ack(struct tcp_connection *c, struct tcp_ack *ack)
{
    uint32_t lost = c->lost_bytes, wait = 0;

    if (seq_leq(c->round_end, c->snd_una))
        c->flags &= ~TCP_F_RACK_BUMPED;
    check_undo(c, ack);
    probe_answered(c, ack);
    if (c->phase != TCP_PHASE_OPEN && seq_leq(c->recover, c->snd_una))
        leave(c);
    if ((c->flags & TCP_F_SACK) == 0)
        newreno(c, ack);
    else if (c->sacked_bytes > 0 || c->phase != TCP_PHASE_OPEN)
        wait = rack_detect(c);
    else
        c->dupacks = 0;
    if (c->phase == TCP_PHASE_OPEN && c->lost_bytes > lost)
        enter(c, TCP_PHASE_RECOVERY);
    if (c->phase == TCP_PHASE_RECOVERY)
        proportional_rate(c, ack->delivered);
    if (ack->acked > 0)
        tcp_timers_acked(c);
    if (wait > 0)
        tcp_timers_retransmit(c, TCP_TIMER_REORDER, wait);
}

void tcp_recovery_reorder_due(struct tcp_connection *c)
{
    uint32_t wait = rack_detect(c);
    if (c->phase == TCP_PHASE_OPEN && c->lost_bytes > 0)
        enter(c, TCP_PHASE_RECOVERY);
    if (c->phase == TCP_PHASE_RECOVERY)
        proportional_rate(c, 0);
    if (wait > 0)
        tcp_timers_retransmit(c, TCP_TIMER_REORDER, wait);
}

/* A peer that forgot what it had sacked (RFC 2018 s.8): the oldest segment is sacked, yet not acknowledged.
 */
static void forget_sacks(struct tcp_connection *c)
{
    struct tcp_sent_at at;
    for (struct tcp_sent *r = tcp_sent_first(c, &at); r != NULL; r = tcp_sent_next(&at))
        r->flags &= (uint8_t)~TCP_SENT_SACKED;
    c->sacked_bytes = 0;
    c->dupacks = 0;
}

void tcp_recovery_timeout(struct tcp_connection *c)
{
    struct tcp_sent_at at;
    struct tcp_sent *head = tcp_sent_first(c, &at);

    if (head == NULL)
        return;
    if ((head->flags & TCP_SENT_SACKED) != 0)
        forget_sacks(c);
    if (c->phase != TCP_PHASE_LOSS)
        enter(c, TCP_PHASE_LOSS);
    c->recover = c->snd_nxt;
    c->flags &= ~(TCP_F_PROBED | TCP_F_PROBE_REPEATS);
    if ((c->flags & TCP_F_SACK) == 0)
        c->dupacks = 0;
    /* RFC 8985 s.6.3: the first, and what was sent long enough ago. */
    uint32_t patience = (c->flags & TCP_F_RACK) != 0 ? c->rack_rtt_us + reordering_window(c) : 0;
    for (struct tcp_sent *r = head; r != NULL; r = tcp_sent_next(&at)) {
        if (r == head || (int32_t)(r->sent_us + patience - (uint32_t)c->tcp->now_us) <= 0)
            tcp_sent_lose(c, r);
    }
    c->cwnd = tcp_output_pipe(c) + c->snd_mss; /* room for one segment, RFC 5681 s.3.1 */
    if (c->retries == BLACK_HOLE_RETRIES && c->snd_mss > BLACK_HOLE_MSS && length(head) > BLACK_HOLE_MSS)
        tcp_recovery_resize(c, (uint16_t)tcp_max(c->snd_mss / 2u, BLACK_HOLE_MSS));
}

void tcp_recovery_resize(struct tcp_connection *c, uint16_t mss)
{
    c->snd_mss = mss;
    tcp_sent_split(c, tcp_output_payload_max(c));
}
