/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/ack.h"

#include "dataplane/tcp/congestion.h"
#include "dataplane/tcp/endpoint.h"
#include "dataplane/tcp/recovery.h"
#include "dataplane/tcp/rtt.h"
#include "dataplane/tcp/send_queue.h"
#include "dataplane/tcp/sent.h"
#include "dataplane/tcp/timers.h"

bool tcp_ack_acceptable(const struct tcp_connection *c, uint32_t ack)
{
    return seq_leq(c->snd_una - tcp_max_window(c), ack) && seq_leq(ack, c->snd_nxt);
}

/* snd_una moves to `number`: records, queue, FIN. */
static void advance(struct tcp_connection *c, uint32_t number, struct tcp_ack *ack)
{
    struct tcp_sent_at at;
    struct tcp_sent *r;

    ack->acked = number - c->snd_una;
    while ((r = tcp_sent_first(c, &at)) != NULL && seq_lt(r->seq, number)) {
        bool sacked = (r->flags & TCP_SENT_SACKED) != 0;
        if (seq_lt(number, r->end)) { /* the first part of it */
            struct tcp_sent part = *r;
            part.end = number;
            part.flags &= (uint8_t)~TCP_SENT_LOST;
            if (sacked)
                c->sacked_bytes -= number - r->seq;
            else
                tcp_recovery_delivered(c, &part, ack);
            if ((r->flags & TCP_SENT_LOST) != 0)
                c->lost_bytes -= number - r->seq;
            r->seq = number;
            break;
        }
        if (sacked)
            c->sacked_bytes -= r->end - r->seq;
        else
            tcp_recovery_delivered(c, r, ack);
        tcp_sent_pop(c);
    }
    uint32_t fin = (c->flags & TCP_F_FIN_SENT) != 0 && number == c->snd_nxt;
    tcp_send_queue_drop(c, ack->acked - fin);
    c->snd_una += fin;
}

/* RFC 9293 s.3.10.7.4: only from a segment that is not older than the last one used. */
static bool update_window(struct tcp_connection *c, const struct tcp_segment_in *s)
{
    uint32_t window = (uint32_t)s->window << c->snd_scale, old = c->snd_wnd;

    if (!(seq_lt(c->snd_wl1, s->seq) || (c->snd_wl1 == s->seq && seq_leq(c->snd_wl2, s->ack))))
        return false;
    c->snd_wnd = window;
    c->snd_wl1 = s->seq;
    c->snd_wl2 = s->ack;
    c->max_snd_wnd = s->window > c->max_snd_wnd ? s->window : c->max_snd_wnd;
    return window != old;
}

/* Room came back after none: what probed the closed window goes again at once. */
static void window_opened(struct tcp_connection *c)
{
    struct tcp_sent_at at;
    struct tcp_sent *head = tcp_sent_first(c, &at);

    c->backoff = 0;
    if (head != NULL)
        tcp_sent_lose(c, head);
    tcp_endpoint_dirty(c);
}

static void fin_acknowledged(struct tcp_connection *c)
{
    if ((c->flags & TCP_F_FIN_SENT) == 0 || tcp_flight(c) != 0)
        return;
    if (c->state == TCP_STATE_FIN_WAIT_1)
        c->state = TCP_STATE_FIN_WAIT_2;
    else if (c->state == TCP_STATE_CLOSING)
        c->state = TCP_STATE_TIME_WAIT;
}

static void measure(struct tcp_connection *c, const struct tcp_ack *ack)
{
    if (ack->rtt_us != 0) {
        tcp_rtt_sample(c, ack->rtt_us);
    } else if (ack->acked > 0 && ack->has_echo) {
        uint32_t ms = tcp_timestamp(c) - ack->echo;
        if (ms < 60000)
            tcp_rtt_sample(c, tcp_max(ms, 1) * 1000);
    }
}

void tcp_ack_process(struct tcp_connection *c, const struct tcp_segment_in *s, const struct tcp_options *o)
{
    struct tcp_ack ack = {.has_echo = o->has_timestamp && o->ts_echo != 0, .echo = o->ts_echo};
    bool in_flight = tcp_flight(c) > 0, closed = c->snd_wnd == 0, limited;

    if (seq_lt(s->ack, c->snd_una)) /* late, and nothing new in it */
        return;
    bool changed = update_window(c, s);
    if (s->ack != c->snd_una) {
        advance(c, s->ack, &ack);
        c->retries = 0;
        c->backoff = 0;
        c->heard_ms = c->tcp->now_ms;
    } else {
        /* RFC 5681 s.2; what answers probes of a closed window tells of no loss. */
        ack.duplicate = in_flight && s->payload_len == 0 && !changed && !closed && (s->flags & TCP_FIN) == 0;
        if (closed)
            c->retries = 0; /* probes that are answered may go on (RFC 9293 s.3.8.6.1) */
    }
    if (!in_flight && o->sack_n == 0) {
        if (closed && c->snd_wnd > 0)
            c->backoff = 0;
        if (changed && tcp_unsent(c) > 0)
            tcp_endpoint_dirty(c);
        return;
    }
    /* The window grows by what it let pass, not by what a recovery did. */
    limited = (c->flags & TCP_F_CWND_LIMITED) != 0 && c->phase != TCP_PHASE_RECOVERY;
    if ((c->flags & TCP_F_SACK) != 0 && o->sack_n > 0)
        tcp_recovery_sack(c, o, &ack);
    measure(c, &ack);
    tcp_recovery_ack(c, &ack);
    if (c->phase != TCP_PHASE_RECOVERY && limited && ack.acked > 0)
        tcp_congestion_ack(c, ack.acked, ack.rtt_us);
    if (closed && c->snd_wnd > 0)
        window_opened(c);
    fin_acknowledged(c);
    tcp_endpoint_room(c);
    if (c->lost_bytes > 0 || tcp_unsent(c) > 0 || (c->flags & TCP_F_FIN_QUEUED) != 0)
        tcp_endpoint_dirty(c);
}
