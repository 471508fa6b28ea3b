/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/reply.h"

#include "dataplane/tcp/endpoint.h"
#include "dataplane/tcp/mss.h"
#include "dataplane/tcp/output.h"
#include "dataplane/tcp/syn_cookie.h"

static void emit(struct tcp_endpoint *tcp, struct tcp_segment_out *out)
{
    tcp_count(tcp, TCP_SEGMENTS_OUT);
    tcp->host.emit(tcp->host_data, out);
}

void tcp_reply_reset(struct tcp_endpoint *tcp, const struct tcp_segment_in *s)
{
    struct tcp_segment_out out = {.key = &s->key, .reply_path = s->path, .flags = TCP_RST};

    if ((s->flags & TCP_RST) != 0)
        return;
    if (!tcp_endpoint_allow(tcp, &tcp->resets, tcp->limits.resets_per_s, false)) {
        tcp_count(tcp, TCP_RESETS_SUPPRESSED);
        return;
    }
    if ((s->flags & TCP_ACK) != 0) {
        out.seq = s->ack;
    } else {
        out.flags = TCP_RST | TCP_ACK;
        out.ack = s->seq + s->payload_len + ((s->flags & TCP_SYN) != 0) + ((s->flags & TCP_FIN) != 0);
    }
    tcp_count(tcp, TCP_RESETS_OUT);
    emit(tcp, &out);
}

void tcp_reply_cookie(struct tcp_endpoint *tcp, const struct tcp_segment_in *s, const struct tcp_options *o)
{
    struct tcp_segment_out out = {.key = &s->key,
                                  .reply_path = s->path,
                                  .ack = s->seq + 1,
                                  .flags = TCP_SYN | TCP_ACK,
                                  .window = (uint16_t)tcp_min(tcp->limits.receive_buffer_bytes, UINT16_MAX)};
    struct tcp_options offer = *o;

    if (!o->has_timestamp) { /* nowhere to remember them */
        offer.has_scale = false;
        offer.sack_permitted = false;
    }
    out.seq = tcp_syn_cookie_make(tcp, &s->key, s->seq, tcp_mss_for(tcp, &s->key, s->path, o->mss));
    out.options_len =
        tcp_output_syn_options(out.options, tcp->host.mss(tcp->host_data, &s->key, s->path), &offer,
                               tcp->rcv_scale, tcp_syn_cookie_timestamp(tcp, &s->key, o), o->ts_value);
    tcp->cookie_us = tcp->now_us == 0 ? 1 : tcp->now_us;
    tcp_count(tcp, TCP_COOKIES_SENT);
    emit(tcp, &out);
}

void tcp_reply_wait(struct tcp_endpoint *tcp, const struct tcp_wait *w, uint32_t path)
{
    struct tcp_segment_out out = {.key = &w->key,
                                  .reply_path = path,
                                  .seq = w->snd_nxt,
                                  .ack = w->rcv_nxt,
                                  .window = (uint16_t)w->rcv_window,
                                  .flags = TCP_ACK};
    if (w->timestamps)
        out.options_len = tcp_options_put_timestamp(out.options, tcp->now_ms + w->ts_offset, w->ts_recent);
    emit(tcp, &out);
}

void tcp_reply_challenge(struct tcp_connection *c)
{
    struct tcp_endpoint *tcp = c->tcp;
    uint16_t tick = (uint16_t)(tcp->now_ms / TCP_CHALLENGE_EVERY_MS);
    if (c->challenge_tick == tick)
        return;
    if (!tcp_endpoint_allow(tcp, &tcp->challenges, tcp->limits.challenges_per_s, true))
        return;
    c->challenge_tick = tick;
    tcp_count(tcp, TCP_CHALLENGE_ACKS);
    tcp_endpoint_ack_now(c);
}
