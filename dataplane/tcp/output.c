/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/output.h"

#include "dataplane/tcp/congestion.h"
#include "dataplane/tcp/reassembly.h"
#include "dataplane/tcp/receive.h"
#include "dataplane/tcp/rtt.h"
#include "dataplane/tcp/send_queue.h"
#include "dataplane/tcp/sent.h"
#include "dataplane/tcp/timers.h"

#define TIMESTAMP_BYTES 12u

uint32_t tcp_output_payload_max(const struct tcp_connection *c)
{
    uint32_t max = c->snd_mss;
    if ((c->flags & TCP_F_TIMESTAMPS) != 0)
        max -= TIMESTAMP_BYTES;
    return tcp_min(max, TCP_SEGMENT_MAX);
}

uint32_t tcp_output_pipe(const struct tcp_connection *c)
{
    uint32_t out = tcp_flight(c) - c->sacked_bytes - c->lost_bytes;
    if ((c->flags & TCP_F_SACK) != 0)
        return out;
    /* Without SACK each duplicate acknowledgement says that one segment has left the network. */
    uint32_t left = (uint32_t)c->dupacks * c->snd_mss;
    return out > left ? out - left : 0;
}

/* Adds what the SACK option has to tell, as far as there is room; true when nothing had to be left out. */
static bool put_sack(struct tcp_connection *c, struct tcp_segment_out *out)
{
    struct tcp_sack_block blocks[TCP_SACK_BLOCKS];
    unsigned int n = 0, room = (TCP_OPTIONS_MAX - out->options_len - 4u) / 8u;

    if ((c->flags & TCP_F_SACK) == 0)
        return true;
    if (out->payload_len > 0) {
        uint32_t used = out->options_len + out->payload_len + 4u;
        room = used >= c->snd_mss ? 0 : tcp_min(room, (c->snd_mss - used) / 8u);
    }
    if (room == 0)
        return false;
    room = tcp_min(room, TCP_SACK_BLOCKS);
    if ((c->flags & TCP_F_DSACK) != 0) {
        blocks[n++] = (struct tcp_sack_block){.start = c->dsack_start, .end = c->dsack_end};
        c->flags &= ~TCP_F_DSACK;
    }
    n += tcp_reassembly_ranges(c, blocks + n, room - n);
    if (n > 0)
        out->options_len =
            (uint8_t)(out->options_len + tcp_options_put_sack(out->options + out->options_len, blocks, n));
    return true;
}

/* One segment of `len` queued bytes from `seq`. It acknowledges all that has arrived. */
static void transmit(struct tcp_connection *c, uint32_t seq, uint32_t len, uint8_t flags)
{
    struct tcp_endpoint *tcp = c->tcp;
    struct tcp_segment_out out;

    out.key = c->key;
    out.path = &c->path;
    out.reply_path = 0;
    out.seq = seq;
    out.ack = c->rcv_nxt;
    out.window = tcp_receive_window(c);
    out.flags = flags;
    out.options_len = 0;
    out.pieces_n = 0;
    out.payload_len = len;
    if ((c->flags & TCP_F_TIMESTAMPS) != 0)
        out.options_len = tcp_options_put_timestamp(out.options, tcp_timestamp(c), c->ts_recent);
    if (len > 0)
        out.pieces_n = tcp_send_queue_pieces(c, seq, len, out.pieces);
    if ((c->ooo_head == NULL && (c->flags & TCP_F_DSACK) == 0) || put_sack(c, &out))
        c->flags &= ~(TCP_F_ACK_NOW | TCP_F_ACK_GAP);
    c->armed &= (uint8_t)~TCP_ARMED_ACK;
    c->ack_bytes = 0;
    c->last_ack_sent = c->rcv_nxt;
    tcp->counters[TCP_SEGMENTS_OUT]++;
    tcp->counters[TCP_BYTES_OUT] += len;
    tcp->host.emit(tcp->host_data, &out);
}

static void count_out(struct tcp_connection *c, uint32_t n)
{
    if (c->phase == TCP_PHASE_RECOVERY)
        c->prr.out += n;
}

/* Sends a record again. */
static void repeat(struct tcp_connection *c, struct tcp_sent *record)
{
    uint32_t fin = (record->flags & TCP_SENT_FIN) != 0;
    uint32_t len = record->end - record->seq - fin, max = tcp_output_payload_max(c);
    uint8_t flags = TCP_ACK | TCP_PSH;

    if (len > max) { /* could not be split: the rest follows when this is acknowledged */
        len = max;
        fin = 0;
    }
    if ((record->flags & TCP_SENT_LOST) != 0) {
        record->flags &= (uint8_t)~TCP_SENT_LOST;
        c->lost_bytes -= record->end - record->seq;
    }
    /* Only the oldest segment's first repetition can tell later whether it was needed, RFC 3522 s.3.2. */
    if (c->phase != TCP_PHASE_OPEN && c->undo_ts == 0 && record->seq == c->snd_una &&
        (record->flags & TCP_SENT_AGAIN) == 0) {
        c->flags |= TCP_F_UNDO;
        c->undo_ts = tcp_timestamp(c);
    }
    record->flags |= TCP_SENT_AGAIN;
    c->flags |= TCP_F_REPEATED;
    record->sent_us = (uint32_t)c->tcp->now_us;
    count_out(c, len + fin);
    tcp_count(c->tcp, TCP_RETRANSMITS);
    transmit(c, record->seq, len, fin != 0 ? flags | TCP_FIN : flags);
}

/* The windows permitting, sends what was marked lost, oldest first. True when something left. */
static bool send_lost(struct tcp_connection *c)
{
    struct tcp_sent_at at;
    bool any = false;

    if (c->lost_bytes == 0)
        return false;
    struct tcp_sent *head = tcp_sent_first(c, &at);
    for (struct tcp_sent *r = head; r != NULL && c->lost_bytes > 0; r = tcp_sent_next(&at)) {
        if ((r->flags & TCP_SENT_LOST) == 0)
            continue;
        uint32_t pipe = tcp_output_pipe(c);
        if (pipe > 0 && pipe + (r->end - r->seq) > c->cwnd)
            break;
        if (c->phase == TCP_PHASE_RECOVERY)
            tcp_count(c->tcp, TCP_FAST_RETRANSMITS);
        repeat(c, r);
        if (r == head)
            tcp_timers_repeated(c);
        any = true;
    }
    return any;
}

/* Our FIN has been put into a segment. */
static void fin_left(struct tcp_connection *c)
{
    c->flags |= TCP_F_FIN_SENT;
    c->snd_nxt++;
    if (c->state == TCP_STATE_ESTABLISHED)
        c->state = TCP_STATE_FIN_WAIT_1;
    else if (c->state == TCP_STATE_CLOSE_WAIT)
        c->state = TCP_STATE_LAST_ACK;
}

/* Sends `len` new bytes, with FIN when it is their turn. False when there is no memory to remember them. */
static bool send_segment(struct tcp_connection *c, uint32_t len)
{
    uint32_t seq = c->snd_nxt;
    bool last = len == tcp_unsent(c);
    bool fin = last && (c->flags & (TCP_F_FIN_QUEUED | TCP_F_FIN_SENT)) == TCP_F_FIN_QUEUED;

    if (!tcp_sent_append(c, seq, seq + len + fin, fin ? TCP_SENT_FIN : 0)) {
        tcp_count(c->tcp, TCP_NO_BUFFER);
        return false;
    }
    c->snd_nxt += len;
    if (fin)
        fin_left(c);
    count_out(c, len + fin);
    transmit(c, seq, len, (uint8_t)(TCP_ACK | (last && len > 0 ? TCP_PSH : 0) | (fin ? TCP_FIN : 0)));
    return true;
}

/* How much of the unsent bytes goes into the next segment; 0: none now. Silly windows are avoided as RFC 9293
 * s.3.8.6.2.1 says, with Nagle's algorithm off: what the user flushed does not wait. */
static uint32_t next_payload(struct tcp_connection *c, uint32_t unsent)
{
    uint32_t window = c->snd_una + c->snd_wnd - c->snd_nxt;
    if ((int32_t)window <= 0)
        return 0;
    uint32_t want = tcp_min(unsent, tcp_output_payload_max(c));
    uint32_t len = tcp_min(want, window);
    if (len < want && len < tcp_max_window(c) / 2)
        return 0;
    uint32_t pipe = tcp_output_pipe(c);
    if (pipe > 0 && pipe + len > c->cwnd) {
        c->flags |= TCP_F_CWND_LIMITED;
        return 0;
    }
    return len;
}

static bool send_new(struct tcp_connection *c)
{
    uint32_t unsent = tcp_unsent(c);
    bool any = false;

    if (unsent > 0) {
        if (tcp_flight(c) == 0 && (c->tcp->now_ms - c->heard_ms) > tcp_rtt_rto_us(c) / 1000)
            tcp_congestion_idle(c);
        c->flags &= ~TCP_F_CWND_LIMITED;
    }
    while (unsent > 0) {
        uint32_t len = next_payload(c, unsent);
        if (len == 0 || !send_segment(c, len))
            return any;
        any = true;
        unsent -= len;
    }
    if ((c->flags & (TCP_F_FIN_QUEUED | TCP_F_FIN_SENT)) == TCP_F_FIN_QUEUED)
        any |= send_segment(c, 0);
    if (any && tcp_output_pipe(c) + c->snd_mss > c->cwnd)
        c->flags |= TCP_F_CWND_LIMITED;
    return any;
}

uint8_t tcp_output_syn_options(uint8_t *p, uint16_t mss, const struct tcp_options *offer, uint8_t scale,
                               uint32_t ts_value, uint32_t ts_echo)
{
    uint8_t n = tcp_options_put_mss(p, mss);
    if (offer->sack_permitted)
        n = (uint8_t)(n + tcp_options_put_sack_permitted(p + n));
    if (offer->has_timestamp)
        n = (uint8_t)(n + tcp_options_put_timestamp(p + n, ts_value, ts_echo));
    if (offer->has_scale)
        n = (uint8_t)(n + tcp_options_put_scale(p + n, scale));
    return n;
}

static void send_syn(struct tcp_connection *c)
{
    struct tcp_endpoint *tcp = c->tcp;
    bool answer = c->state == TCP_STATE_SYN_RECEIVED;
    struct tcp_options offer = {.sack_permitted = (c->flags & TCP_F_SACK) != 0,
                                .has_timestamp = (c->flags & TCP_F_TIMESTAMPS) != 0,
                                .has_scale = (c->flags & TCP_F_SCALING) != 0};
    struct tcp_segment_out out = {.key = c->key,
                                  .path = &c->path,
                                  .seq = c->snd_una,
                                  .ack = answer ? c->rcv_nxt : 0,
                                  .flags = answer ? TCP_SYN | TCP_ACK : TCP_SYN};
    uint32_t window = tcp_min(tcp->limits.receive_buffer_bytes, UINT16_MAX);

    out.window = (uint16_t)window;
    if (answer) {
        c->rcv_edge = c->rcv_nxt + window;
        c->last_ack_sent = c->rcv_nxt;
    }
    out.options_len =
        tcp_output_syn_options(out.options, tcp->host.mss(tcp->host_data, c->key, c->path), &offer,
                               tcp->rcv_scale, tcp_timestamp(c), answer ? c->ts_recent : 0);
    c->flags &= ~(TCP_F_SYN_DUE | TCP_F_ACK_NOW);
    c->snd_nxt = c->snd_una + 1;
    c->rack_xmit_us = (uint32_t)tcp->now_us;
    tcp_timers_retransmit(c, TCP_TIMER_RTO, tcp_rtt_rto_us(c));
    tcp_count(tcp, TCP_SEGMENTS_OUT);
    tcp->host.emit(tcp->host_data, &out);
}

void tcp_output_flush(struct tcp_connection *c)
{
    if ((c->flags & TCP_F_SYN_DUE) != 0) {
        send_syn(c);
        return;
    }
    if (tcp_synchronized(c)) {
        bool sent = send_lost(c);
        sent |= send_new(c);
        tcp_timers_sent(c, sent);
    }
    if ((c->flags & TCP_F_ACK_NOW) != 0)
        tcp_output_ack(c);
}

void tcp_output_ack(struct tcp_connection *c)
{
    transmit(c, c->snd_nxt, 0, TCP_ACK);
    c->flags &= ~(TCP_F_ACK_NOW | TCP_F_ACK_GAP);
}

void tcp_output_window_probe(struct tcp_connection *c)
{
    tcp_count(c->tcp, TCP_PROBES);
    if (c->sent_n > 0) {
        struct tcp_sent_at at;
        repeat(c, tcp_sent_first(c, &at));
        return;
    }
    uint32_t window = tcp_min(c->snd_wnd, tcp_output_payload_max(c));
    uint32_t len = tcp_min(tcp_unsent(c), tcp_max(window, 1));
    if (len > 0)
        send_segment(c, len);
}

void tcp_output_tail_probe(struct tcp_connection *c)
{
    uint32_t window = c->snd_una + c->snd_wnd - c->snd_nxt;
    uint32_t unsent = tcp_min(tcp_unsent(c), tcp_output_payload_max(c));

    tcp_count(c->tcp, TCP_TAIL_PROBES);
    if (unsent > 0 && (int32_t)window >= (int32_t)unsent && send_segment(c, unsent)) {
        c->flags &= ~TCP_F_PROBE_REPEATS;
    } else {
        struct tcp_sent *last = tcp_sent_last(c);
        if (last == NULL || (last->flags & TCP_SENT_SACKED) != 0)
            return;
        repeat(c, last);
        c->flags |= TCP_F_PROBE_REPEATS;
    }
    c->flags |= TCP_F_PROBED;
    c->tlp_end = c->snd_nxt;
}

void tcp_output_keepalive(struct tcp_connection *c)
{
    tcp_count(c->tcp, TCP_KEEPALIVES);
    transmit(c, c->snd_una - 1, 0, TCP_ACK);
}

void tcp_output_reset(struct tcp_connection *c)
{
    struct tcp_segment_out out = {
        .key = c->key, .path = &c->path, .seq = c->snd_nxt, .ack = c->rcv_nxt, .flags = TCP_RST | TCP_ACK};
    tcp_count(c->tcp, TCP_SEGMENTS_OUT);
    tcp_count(c->tcp, TCP_RESETS_OUT);
    c->tcp->host.emit(c->tcp->host_data, &out);
}
