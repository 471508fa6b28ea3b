/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Segments that arrive: found by flow, judged by state and flags, checked as RFC 9293 s.3.10.7 orders, with
 * RFC 5961 against blind attackers and RFC 7323 against old duplicates. */
#include "dataplane/tcp/ack.h"
#include "dataplane/tcp/endpoint.h"
#include "dataplane/tcp/listen.h"
#include "dataplane/tcp/mss.h"
#include "dataplane/tcp/options.h"
#include "dataplane/tcp/receive.h"
#include "dataplane/tcp/reply.h"
#include "dataplane/tcp/rtt.h"
#include "dataplane/tcp/state.h"
#include "dataplane/tcp/time_wait.h"
#include "dataplane/tcp/timers.h"

#define PAWS_IDLE_MS (24u * 24 * 3600 * 1000)

/* What of a segment lies in the window, after trimming. */
struct text {
    const uint8_t *at;
    uint32_t seq;
    uint32_t len;
    bool fin;
};

/* What we remember is worth nothing after 24 days, RFC 7323 s.5.5. */
static bool not_older(const struct tcp_connection *c, const struct tcp_options *o)
{
    return !seq_lt(o->ts_value, c->ts_recent) || c->tcp->now_ms - c->ts_recent_ms > PAWS_IDLE_MS;
}

/* False when the segment is an old duplicate by its timestamp; it has been answered then. */
static bool timestamps_pass(struct tcp_connection *c, const struct tcp_segment_in *s,
                            const struct tcp_options *o)
{
    if (!o->has_timestamp) { /* RFC 7323 s.3.2: they never stop once negotiated */
        tcp_count(c->tcp, TCP_PAWS);
        return false;
    }
    if (not_older(c, o))
        return true;
    tcp_count(c->tcp, TCP_PAWS);
    if (s->payload_len > 0 || (s->flags & TCP_FIN) != 0)
        tcp_endpoint_ack_now(c);
    else if (s->seq != c->rcv_nxt || seq_lt(c->snd_una, s->ack))
        tcp_reply_challenge(c); /* else an acknowledgement that another has overtaken: nothing to say */
    return false;
}

static void report_duplicate(struct tcp_connection *c, uint32_t start, uint32_t end)
{
    if ((c->flags & TCP_F_SACK) == 0)
        return;
    c->flags |= TCP_F_DSACK;
    c->dsack_start = start;
    c->dsack_end = end;
}

/* RFC 9293 s.3.10.7.4 first check, and trimming to the window. False: nothing of it is acceptable, and it has
 * been answered. */
static bool fits_window(struct tcp_connection *c, const struct tcp_segment_in *s, struct text *t)
{
    uint32_t end = s->seq + s->payload_len;
    t->at = s->payload;
    t->seq = s->seq;
    t->len = s->payload_len;
    t->fin = (s->flags & TCP_FIN) != 0;

    if (seq_lt(s->seq, c->rcv_nxt)) {
        uint32_t old = c->rcv_nxt - s->seq;
        if (t->len == 0 && !t->fin) {
            /* An acknowledgement overtaken by data may still be used; a keep-alive is answered. */
            if (!seq_lt(s->seq, c->last_ack_sent))
                return true;
            tcp_count(c->tcp, TCP_OUT_OF_WINDOW);
            tcp_reply_challenge(c);
            return false;
        }
        tcp_count(c->tcp, TCP_DUPLICATE);
        c->flags |= TCP_F_GAPS;
        if (t->len > 0)
            report_duplicate(c, s->seq, s->seq + tcp_min(old, t->len));
        tcp_endpoint_ack_now(c);
        if (old >= t->len + t->fin)
            return false;
        old = tcp_min(old, t->len);
        t->at += old;
        t->seq += old;
        t->len -= old;
        return true;
    }
    if (seq_lt(c->rcv_edge, s->seq)) {
        tcp_count(c->tcp, TCP_OUT_OF_WINDOW);
        if (t->len > 0)
            tcp_endpoint_ack_now(c);
        else
            tcp_reply_challenge(c);
        return false;
    }
    if (seq_lt(c->rcv_edge, end)) { /* also the probe of a closed window: only its acknowledgement counts */
        tcp_count(c->tcp, TCP_OUT_OF_WINDOW);
        t->len = c->rcv_edge - s->seq;
        t->fin = false;
        tcp_endpoint_ack_now(c);
    }
    return true;
}

/* RFC 7323 s.4.3 */
static void remember_timestamp(struct tcp_connection *c, const struct tcp_segment_in *s,
                               const struct tcp_options *o)
{
    if (seq_leq(s->seq, c->last_ack_sent) && not_older(c, o)) {
        c->ts_recent = o->ts_value;
        c->ts_recent_ms = c->tcp->now_ms;
    }
}

/* The payload and FIN that remain, then what the user is to know. Calls up. */
static void deliver(struct tcp_connection *c, const struct text *t)
{
    uint32_t len = t->len;
    bool fin = t->fin;

    if ((c->flags & TCP_F_FIN_SEEN) != 0) { /* nothing comes after a FIN, and there is only one */
        uint32_t left = c->rcv_fin - t->seq;
        len = (int32_t)left <= 0 ? 0 : tcp_min(len, left);
        fin = false;
    }
    if (fin && !((int32_t)(t->seq + len - c->rcv_nxt) < 0)) {
        c->flags |= TCP_F_FIN_SEEN;
        c->rcv_fin = t->seq + len;
        if (t->seq != c->rcv_nxt && len == 0)
            tcp_endpoint_ack_now(c);
    }
    if (len > 0) {
        c->heard_ms = c->tcp->now_ms;
        tcp_receive_data(c, t->seq, t->at, len);
        if (!tcp_alive(c))
            return;
    }
    tcp_receive_fin(c);
    tcp_receive_check_end(c);
    if (!tcp_alive(c) || (c->flags & TCP_F_UPCALL_ROOM) == 0)
        return;
    c->flags &= ~(TCP_F_UPCALL_ROOM | TCP_F_WANTS_ROOM);
    c->stream.handler->writable(c->stream.owner);
}

/* The acknowledgement of our SYN in SYN-RECEIVED. False: answered. Calls up. */
static bool handshake_completes(struct tcp_connection *c, const struct tcp_segment_in *s)
{
    if (s->ack != c->snd_nxt) {
        tcp_count(c->tcp, TCP_BAD_ACK);
        tcp_reply_reset(c->tcp, s);
        return false;
    }
    uint32_t rtt_us = (uint32_t)c->tcp->now_us - c->rack_xmit_us;
    if (c->backoff == 0)
        tcp_rtt_sample(c, rtt_us);
    c->snd_una = s->ack;
    c->snd_wnd = (uint32_t)s->window << c->snd_scale;
    c->max_snd_wnd = s->window > c->max_snd_wnd ? s->window : c->max_snd_wnd;
    c->snd_wl1 = s->seq;
    c->snd_wl2 = s->ack;
    c->tcp->completing = s->sender;
    tcp_endpoint_established(c);
    return tcp_alive(c);
}

/* Common processing of SYN-RECEIVED and after. */
static void segment(struct tcp_connection *c, const struct tcp_segment_in *s)
{
    struct tcp_options o;
    struct text t;

    if (!tcp_options_parse(s->options, s->options_len, &o)) {
        tcp_count(c->tcp, TCP_BAD_OPTIONS);
        return;
    }
    if ((c->flags & TCP_F_TIMESTAMPS) != 0 && !timestamps_pass(c, s, &o))
        return;
    if (!fits_window(c, s, &t))
        return;
    if (c->state == TCP_STATE_SYN_RECEIVED) {
        if (!handshake_completes(c, s))
            return;
    } else if (!tcp_ack_acceptable(c, s->ack)) {
        tcp_count(c->tcp, TCP_BAD_ACK);
        tcp_reply_challenge(c);
        return;
    }
    if ((c->flags & TCP_F_TIMESTAMPS) != 0)
        remember_timestamp(c, s, &o);
    c->path = s->path;
    c->probes = 0;
    if ((c->flags & TCP_F_FIN_QUEUED) == 0)
        c->heard_ms = c->tcp->now_ms;
    tcp_ack_process(c, s, &o);
    deliver(c, &t);
}

/* RFC 5961 s.3.2: only the exact number resets; anything else in the window is asked about. */
static void reset(struct tcp_connection *c, const struct tcp_segment_in *s)
{
    tcp_count(c->tcp, TCP_RESETS_IN);
    if (c->state == TCP_STATE_TIME_WAIT) /* RFC 1337; its reader has yet to take what arrived */
        return;
    if (s->seq == c->rcv_nxt) {
        enum stream_end why = STREAM_END_RESET;
        if (c->state == TCP_STATE_SYN_RECEIVED)
            why = STREAM_END_REFUSED;
        else if ((c->flags & (TCP_F_ENDED | TCP_F_FIN_SENT)) == (TCP_F_ENDED | TCP_F_FIN_SENT) &&
                 c->send_bytes == 0)
            why = STREAM_END_DONE; /* only the acknowledgement of our FIN was missing */
        tcp_endpoint_close(c, why);
    } else if (seq_leq(c->rcv_nxt, s->seq) && seq_lt(s->seq, c->rcv_edge)) {
        tcp_reply_challenge(c);
    } else {
        tcp_count(c->tcp, TCP_OUT_OF_WINDOW);
    }
}

/* What a SYN from the peer of an active open tells. */
static void take_syn(struct tcp_connection *c, const struct tcp_segment_in *s, const struct tcp_options *o)
{
    if (o->has_timestamp) {
        c->ts_recent = o->ts_value;
        c->ts_recent_ms = c->tcp->now_ms;
    } else {
        c->flags &= ~TCP_F_TIMESTAMPS;
    }
    if (!o->sack_permitted)
        c->flags &= ~TCP_F_SACK;
    if (o->has_scale) {
        c->snd_scale = o->scale;
        c->rcv_scale = c->tcp->rcv_scale;
    } else {
        c->flags &= ~TCP_F_SCALING;
    }
    c->snd_mss = tcp_mss_for(c->tcp, c->key, s->path, o->mss);
    c->snd_wnd = s->window;
    c->max_snd_wnd = s->window;
    c->snd_wl1 = s->seq;
    c->snd_wl2 = s->ack;
    c->rcv_nxt = s->seq + 1;
    c->last_ack_sent = c->rcv_nxt;
    c->rcv_edge = c->rcv_nxt + tcp_min(c->tcp->limits.receive_buffer_bytes, UINT16_MAX);
    c->path = s->path;
}

/* RFC 9293 s.3.10.7.3 */
static void syn_sent(struct tcp_connection *c, const struct tcp_segment_in *s, enum tcp_action action)
{
    struct tcp_options o;
    bool acks = s->ack == c->snd_nxt && c->snd_nxt != c->snd_una;

    if (action != TCP_ACTION_SYN_SENT_SYN && !acks) {
        tcp_count(c->tcp, TCP_BAD_ACK);
        tcp_reply_reset(c->tcp, s);
        return;
    }
    if (action == TCP_ACTION_SYN_SENT_ACK) {
        tcp_count(c->tcp, TCP_BAD_STATE);
        return;
    }
    if (action == TCP_ACTION_SYN_SENT_RESET) {
        tcp_count(c->tcp, TCP_RESETS_IN);
        tcp_endpoint_close(c, STREAM_END_REFUSED);
        return;
    }
    if (!tcp_options_parse(s->options, s->options_len, &o)) {
        tcp_count(c->tcp, TCP_BAD_OPTIONS);
        return;
    }
    take_syn(c, s, &o);
    if (action == TCP_ACTION_SYN_SENT_SYN) { /* simultaneous open, RFC 9293 s.3.5 */
        c->state = TCP_STATE_SYN_RECEIVED;
        c->flags |= TCP_F_SYN_DUE;
        tcp_endpoint_dirty(c);
        return;
    }
    if (c->backoff == 0)
        tcp_rtt_sample(c, (uint32_t)c->tcp->now_us - c->rack_xmit_us);
    c->snd_una = s->ack;
    tcp_endpoint_ack_now(c);
    tcp_endpoint_established(c);
    if (!tcp_alive(c))
        return;
    struct text t = {
        .at = s->payload, .seq = s->seq + 1, .len = s->payload_len, .fin = (s->flags & TCP_FIN) != 0};
    t.len = tcp_min(t.len, c->rcv_edge - c->rcv_nxt);
    t.fin = t.fin && t.len == s->payload_len;
    deliver(c, &t);
}

static void nobody(struct tcp_endpoint *tcp, const struct tcp_segment_in *s, uint32_t after)
{
    if ((s->flags & TCP_SYN) == 0 && tcp->host.stray != NULL)
        tcp->host.stray(tcp->host_data, &s->key, s->sender);
    switch (tcp_state_action(TCP_STATE_CLOSED, s->flags)) {
    case TCP_ACTION_OPEN:
        tcp_listen_syn(tcp, s, after);
        return;
    case TCP_ACTION_STRAY_ACK: {
        struct tcp_connection *c = tcp_listen_ack(tcp, s);
        if (c != NULL && tcp_alive(c) && (s->payload_len > 0 || (s->flags & TCP_FIN) != 0))
            segment(c, s);
        return;
    }
    case TCP_ACTION_REFUSE:
        tcp_count(tcp, TCP_NO_CONNECTION);
        tcp_reply_reset(tcp, s);
        return;
    case TCP_ACTION_IGNORE:
        tcp_count(tcp, TCP_NO_CONNECTION);
        return;
    default:
        tcp_count(tcp, TCP_BAD_STATE);
    }
}

/* RFC 5961 s.4.2; but a SYN-ACK that got lost is simply sent again. */
static void syn_received_syn(struct tcp_connection *c, const struct tcp_segment_in *s)
{
    bool simultaneous = (s->flags & TCP_ACK) != 0;
    if (s->seq + 1 != c->rcv_nxt) {
        tcp_reply_challenge(c);
    } else if (simultaneous && (c->flags & TCP_F_ACTIVE) != 0 && s->ack == c->snd_nxt) {
        /* The other side of a simultaneous open acknowledges our SYN with its own. */
        struct tcp_segment_in rest = *s;
        rest.seq++;
        tcp_endpoint_ack_now(c);
        handshake_completes(c, &rest);
    } else if (!simultaneous) {
        c->flags |= TCP_F_SYN_DUE;
        tcp_endpoint_dirty(c);
    }
}

/* Told and dropped: nothing of it is looked at. */
static void foreign(struct tcp_connection *c, const struct tcp_segment_in *s)
{
    tcp_count(c->tcp, TCP_FOREIGN_SENDER);
    if (c->tcp->host.foreign != NULL)
        c->tcp->host.foreign(c->tcp->host_data, &c->stream, s->sender);
}

static void known(struct tcp_connection *c, uint32_t index, const struct tcp_segment_in *s)
{
    if ((c->flags & TCP_F_WATCHED) != 0 && s->sender != c->tcp->senders[index]) {
        foreign(c, s);
        return;
    }
    enum tcp_action action = tcp_state_action(c->state, s->flags);
    switch (action) {
    case TCP_ACTION_SEGMENT:
        segment(c, s);
        return;
    case TCP_ACTION_RESET:
        reset(c, s);
        return;
    case TCP_ACTION_SYN:
        tcp_reply_challenge(c);
        return;
    case TCP_ACTION_SYN_RECEIVED_SYN:
        syn_received_syn(c, s);
        return;
    case TCP_ACTION_SYN_SENT_SYN:
    case TCP_ACTION_SYN_SENT_SYN_ACK:
    case TCP_ACTION_SYN_SENT_ACK:
    case TCP_ACTION_SYN_SENT_RESET:
        syn_sent(c, s, action);
        return;
    default:
        tcp_count(c->tcp, TCP_BAD_STATE);
    }
}

void tcp_input(struct tcp_endpoint *tcp, const struct tcp_segment_in *s, uint64_t now_us)
{
    uint32_t value = flow_table_find(tcp->table, &s->key, s->hash), after = 0;

    tcp_endpoint_clock(tcp, now_us);
    tcp_count(tcp, TCP_SEGMENTS_IN);
    if (value < tcp->limits.connections)
        known(slab_object(tcp->connections, value), value, s);
    else if (value == FLOW_TABLE_NONE || tcp_time_wait_input(tcp, value, s, &after))
        nobody(tcp, s, after);
}

void tcp_unreachable(struct tcp_endpoint *tcp, const struct flow_key *key, uint32_t seq, uint16_t next_mtu,
                     uint64_t now_us)
{
    uint32_t value = flow_table_find(tcp->table, key, tcp_hash(tcp, key));

    tcp_endpoint_clock(tcp, now_us);
    if (value >= tcp->limits.connections)
        return;
    struct tcp_connection *c = slab_object(tcp->connections, value);
    if (seq_lt(seq, c->snd_una) || !seq_lt(seq, c->snd_nxt)) {
        tcp_count(tcp, TCP_OUT_OF_WINDOW);
        return;
    }
    if (next_mtu != 0) {
        tcp_mss_shrink(c, next_mtu);
        return;
    }
    /* RFC 5927 s.6.2: a hard error ends an attempt to connect and nothing else; RFC 1122 s.4.2.3.9. Not here,
     * since the host may be telling us from inside emit, but when the timer fires next. */
    c->flags |= TCP_F_UNREACHABLE;
    if (c->state == TCP_STATE_SYN_SENT) {
        c->retries = UINT8_MAX;
        tcp_timers_retransmit(c, TCP_TIMER_RTO, 0);
    }
}
