/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/time_wait.h"

#include "dataplane/tcp/endpoint.h"
#include "dataplane/tcp/receive.h"
#include "dataplane/tcp/reply.h"
#include "dataplane/tcp/state.h"

#include <stddef.h>

#define ANSWER_EVERY_MS 500u

static struct tcp_wait *wait_at(const struct tcp_endpoint *tcp, uint32_t index)
{
    return index == TCP_WAIT_NONE ? NULL : slab_at(tcp->waits, index);
}

static uint32_t index_of(const struct tcp_endpoint *tcp, const struct tcp_wait *w)
{
    return slab_handle_of(tcp->waits, w).index;
}

static void unlink_wait(struct tcp_endpoint *tcp, struct tcp_wait *w)
{
    struct tcp_wait *prev = wait_at(tcp, w->prev), *next = wait_at(tcp, w->next);
    *(prev == NULL ? &tcp->wait_first : &prev->next) = w->next;
    *(next == NULL ? &tcp->wait_last : &next->prev) = w->prev;
}

/* Its time begins (again): it becomes the youngest. */
static void append_wait(struct tcp_endpoint *tcp, struct tcp_wait *w)
{
    uint32_t index = index_of(tcp, w);
    struct tcp_wait *last = wait_at(tcp, tcp->wait_last);

    w->due_us = tcp->now_us + tcp->limits.time_wait_us;
    w->prev = tcp->wait_last;
    w->next = TCP_WAIT_NONE;
    *(last == NULL ? &tcp->wait_first : &last->next) = index;
    tcp->wait_last = index;
    if (!timer_running(&tcp->wait_timer))
        timer_start(tcp->timers, &tcp->wait_timer, w->due_us);
}

static void forget(struct tcp_endpoint *tcp, struct tcp_wait *w)
{
    flow_table_remove(tcp->table, &w->key, w->hash);
    unlink_wait(tcp, w);
    slab_free(tcp->waits, w);
}

static void fire(struct timer *timer, uint64_t now_us)
{
    struct tcp_endpoint *tcp =
        (struct tcp_endpoint *)(void *)((uint8_t *)timer - offsetof(struct tcp_endpoint, wait_timer));
    struct tcp_wait *w;
    uint32_t budget = 1000; /* a mass of them is spread over loops */

    tcp_endpoint_clock(tcp, now_us);
    while ((w = wait_at(tcp, tcp->wait_first)) != NULL && w->due_us <= now_us && budget-- > 0)
        forget(tcp, w);
    if (w != NULL)
        timer_start(tcp->timers, timer, w->due_us);
}

bool tcp_time_wait_init(struct tcp_endpoint *tcp, uint32_t capacity)
{
    tcp->wait_first = TCP_WAIT_NONE;
    tcp->wait_last = TCP_WAIT_NONE;
    tcp->wait_timer.fire = fire;
    tcp->waits = slab_create(capacity, sizeof(struct tcp_wait));
    return tcp->waits != NULL;
}

void tcp_time_wait_fini(struct tcp_endpoint *tcp)
{
    timer_stop(tcp->timers, &tcp->wait_timer);
    slab_destroy(tcp->waits);
}

bool tcp_time_wait_enter(struct tcp_connection *c)
{
    struct tcp_endpoint *tcp = c->tcp;

    if (tcp->limits.time_wait_us == 0)
        return false;
    struct tcp_wait *w = slab_alloc(tcp->waits);
    if (w == NULL) {
        forget(tcp, wait_at(tcp, tcp->wait_first));
        w = slab_alloc(tcp->waits);
    }
    w->key = *c->key;
    w->hash = flow_table_hash(tcp->table, c->key);
    w->path = c->path;
    w->snd_nxt = c->snd_nxt;
    w->rcv_nxt = c->rcv_nxt;
    w->rcv_window = tcp_receive_window(c);
    w->ts_recent = c->ts_recent;
    w->ts_offset = c->ts_offset;
    w->timestamps = (c->flags & TCP_F_TIMESTAMPS) != 0;
    w->answered_ms = tcp->now_ms - ANSWER_EVERY_MS;
    append_wait(tcp, w);
    flow_table_set(tcp->table, &w->key, w->hash, tcp->limits.connections + index_of(tcp, w));
    return true;
}

/* RFC 6191 s.2: newer by timestamp, or by sequence number. */
static bool is_new(const struct tcp_wait *w, const struct tcp_segment_in *s, const struct tcp_options *o)
{
    if (w->timestamps && o->has_timestamp && o->ts_value != w->ts_recent)
        return seq_lt(w->ts_recent, o->ts_value);
    return seq_lt(w->rcv_nxt, s->seq);
}

bool tcp_time_wait_input(struct tcp_endpoint *tcp, uint32_t value, const struct tcp_segment_in *s,
                         uint32_t *after)
{
    struct tcp_wait *w = wait_at(tcp, value - tcp->limits.connections);
    struct tcp_options o;
    enum tcp_action action = tcp_state_action(TCP_STATE_TIME_WAIT, s->flags);

    if (action == TCP_ACTION_DROP) {
        tcp_count(tcp, TCP_BAD_STATE);
        return false;
    }
    if (action == TCP_ACTION_RESET) { /* RFC 1337: it must not end the wait */
        tcp_count(tcp, TCP_RESETS_IN);
        return false;
    }
    if (!tcp_options_parse(s->options, s->options_len, &o)) {
        tcp_count(tcp, TCP_BAD_OPTIONS);
        return false;
    }
    if (action == TCP_ACTION_SYN && (s->flags & TCP_ACK) == 0 && is_new(w, s, &o)) {
        *after = w->snd_nxt;
        forget(tcp, w);
        return true;
    }
    bool fin = (s->flags & TCP_FIN) != 0 && s->seq + s->payload_len + 1 == w->rcv_nxt;
    if (fin) {
        unlink_wait(tcp, w);
        append_wait(tcp, w);
        tcp_reply_wait(tcp, w, s->path);
    } else if (tcp->now_ms - w->answered_ms >= ANSWER_EVERY_MS &&
               (s->payload_len > 0 || s->seq != w->rcv_nxt || action == TCP_ACTION_SYN)) {
        w->answered_ms = tcp->now_ms;
        tcp_reply_wait(tcp, w, s->path);
    }
    return false;
}

bool tcp_time_wait_reuse(struct tcp_endpoint *tcp, uint32_t value, uint32_t *after)
{
    if (value < tcp->limits.connections)
        return false;
    struct tcp_wait *w = wait_at(tcp, value - tcp->limits.connections);
    /* Our timestamps must have moved on, so that old segments can be told (RFC 7323 appendix B.2). */
    if (!w->timestamps || w->due_us - tcp->now_us + 1000000 > tcp->limits.time_wait_us)
        return false;
    *after = w->snd_nxt;
    forget(tcp, w);
    return true;
}
