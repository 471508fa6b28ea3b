/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/listen.h"

#include "dataplane/tcp/endpoint.h"
#include "dataplane/tcp/isn.h"
#include "dataplane/tcp/mss.h"
#include "dataplane/tcp/options.h"
#include "dataplane/tcp/reply.h"
#include "dataplane/tcp/syn_cookie.h"

#define COOKIE_LIFE_US UINT64_C(128000000)

void tcp_listen_syn(struct tcp_endpoint *tcp, const struct tcp_segment_in *s, uint32_t after)
{
    struct tcp_options o;

    if (!tcp_options_parse(s->options, s->options_len, &o)) {
        tcp_count(tcp, TCP_BAD_OPTIONS);
        return;
    }
    enum tcp_admission admission = tcp->host.admit(tcp->host_data, &s->key, s->path);
    if (admission != TCP_ADMIT_YES) {
        tcp_count(tcp, TCP_NOT_ADMITTED);
        if (admission == TCP_ADMIT_RESET)
            tcp_reply_reset(tcp, s);
        return;
    }
    if (tcp->half_open >= tcp->limits.half_open) {
        tcp_reply_cookie(tcp, s, &o);
        return;
    }
    struct tcp_connection *c = tcp_endpoint_add(tcp, &s->key, s->hash, s->path, TCP_STATE_SYN_RECEIVED);
    if (c == NULL)
        return;
    if (o.has_timestamp) {
        c->flags |= TCP_F_TIMESTAMPS;
        c->ts_recent = o.ts_value;
        c->ts_recent_ms = tcp->now_ms;
    }
    if (o.sack_permitted)
        c->flags |= TCP_F_SACK;
    if (o.has_scale) {
        c->flags |= TCP_F_SCALING;
        c->snd_scale = o.scale;
        c->rcv_scale = tcp->rcv_scale;
    }
    c->snd_mss = tcp_mss_for(tcp, &s->key, s->path, o.mss);
    c->snd_una = tcp_isn(tcp, &s->key);
    if (after != 0 && seq_leq(c->snd_una, after))
        c->snd_una = after + UINT16_MAX;
    c->snd_nxt = c->snd_una;
    c->snd_wnd = s->window; /* never scaled in a SYN, RFC 7323 s.2.2 */
    c->max_snd_wnd = s->window;
    c->snd_wl1 = s->seq;
    c->rcv_nxt = s->seq + 1;
    c->rcv_edge = c->rcv_nxt;
    c->flags |= TCP_F_SYN_DUE;
    tcp_endpoint_dirty(c);
}

static struct tcp_connection *rebuild(struct tcp_endpoint *tcp, const struct tcp_segment_in *s,
                                      const struct tcp_options *o, const struct tcp_cookie *cookie)
{
    struct tcp_connection *c = tcp_endpoint_add(tcp, &s->key, s->hash, s->path, TCP_STATE_SYN_RECEIVED);
    if (c == NULL)
        return NULL;
    if (cookie->has_timestamp) {
        c->flags |= TCP_F_TIMESTAMPS;
        c->ts_recent = o->ts_value;
        c->ts_recent_ms = tcp->now_ms;
    }
    if (cookie->sack_permitted)
        c->flags |= TCP_F_SACK;
    if (cookie->has_scale) {
        c->flags |= TCP_F_SCALING;
        c->snd_scale = cookie->scale;
        c->rcv_scale = tcp->rcv_scale;
    }
    c->snd_mss = tcp_mss_for(tcp, &s->key, s->path, cookie->mss);
    c->snd_una = s->ack;
    c->snd_nxt = s->ack;
    c->snd_wnd = (uint32_t)s->window << c->snd_scale;
    c->max_snd_wnd = s->window;
    c->snd_wl1 = s->seq;
    c->snd_wl2 = s->ack;
    c->rcv_nxt = s->seq;
    c->last_ack_sent = s->seq;
    c->rcv_edge = s->seq + tcp_min(tcp->limits.receive_buffer_bytes, UINT16_MAX);
    return c;
}

struct tcp_connection *tcp_listen_ack(struct tcp_endpoint *tcp, const struct tcp_segment_in *s)
{
    struct tcp_options o;
    struct tcp_cookie cookie;

    tcp_count(tcp, TCP_NO_CONNECTION);
    /* Without a recent flood nothing can be a cookie, and nobody may try to guess one. */
    if (tcp->cookie_us == 0 || tcp->now_us - tcp->cookie_us > COOKIE_LIFE_US) {
        tcp_reply_reset(tcp, s);
        return NULL;
    }
    if (!tcp_options_parse(s->options, s->options_len, &o)) {
        tcp_count(tcp, TCP_BAD_OPTIONS);
        return NULL;
    }
    if (!tcp_syn_cookie_check(tcp, &s->key, s->seq - 1, s->ack - 1, &o, &cookie)) {
        tcp_count(tcp, TCP_COOKIES_BAD);
        /* No RST: it may have overtaken the segment that carries the cookie, and both will come again. */
        return NULL;
    }
    struct tcp_connection *c = rebuild(tcp, s, &o, &cookie);
    if (c == NULL)
        return NULL;
    tcp_count(tcp, TCP_COOKIES_GOOD);
    tcp->completing = s->sender;
    tcp_endpoint_established(c);
    return c;
}
