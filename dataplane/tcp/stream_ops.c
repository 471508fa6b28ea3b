/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stream interface (stream.h) of a connection, and tcp_connect. */
#include "dataplane/tcp/endpoint.h"
#include "dataplane/tcp/isn.h"
#include "dataplane/tcp/mss.h"
#include "dataplane/tcp/output.h"
#include "dataplane/tcp/receive.h"
#include "dataplane/tcp/send_queue.h"
#include "dataplane/tcp/time_wait.h"
#include "dataplane/tcp/timers.h"

static bool can_write(const struct tcp_connection *c)
{
    return tcp_alive(c) && (c->flags & TCP_F_FIN_QUEUED) == 0;
}

static size_t room(const struct stream *s)
{
    const struct tcp_connection *c = tcp_connection_of(s);
    return can_write(c) ? tcp_send_queue_room(c) : 0;
}

static size_t write(struct stream *s, const uint8_t *p, size_t n)
{
    struct tcp_connection *c = tcp_connection_of(s);
    if (!can_write(c))
        return 0;
    uint32_t taken = tcp_send_queue_write(c, p, n < UINT32_MAX ? (uint32_t)n : UINT32_MAX);
    if (taken < n)
        c->flags |= TCP_F_WANTS_ROOM;
    tcp_endpoint_dirty(c);
    return taken;
}

static void flush(struct stream *s)
{
    struct tcp_connection *c = tcp_connection_of(s);
    if (tcp_alive(c))
        tcp_endpoint_dirty(c);
}

static void resume(struct stream *s)
{
    tcp_receive_resume(tcp_connection_of(s));
}

static void finish(struct stream *s)
{
    struct tcp_connection *c = tcp_connection_of(s);
    if (!can_write(c))
        return;
    c->flags = (c->flags | TCP_F_FIN_QUEUED) & ~TCP_F_WANTS_ROOM;
    c->heard_ms = c->tcp->now_ms;
    c->probes = 0;
    if (tcp_synchronized(c))
        tcp_timers_life(c);
    tcp_endpoint_dirty(c);
}

static void abort_stream(struct stream *s)
{
    struct tcp_connection *c = tcp_connection_of(s);
    if (!tcp_alive(c))
        return;
    if (c->state != TCP_STATE_SYN_SENT) /* RFC 9293 s.3.10.5: there is nobody to tell yet */
        tcp_output_reset(c);
    tcp_endpoint_close(c, STREAM_END_UNKNOWN);
}

static const char *reason(const struct stream *s)
{
    const struct tcp_connection *c = tcp_connection_of(s);
    return (c->flags & TCP_F_UNREACHABLE) != 0 ? "destination unreachable" : NULL;
}

const struct stream_ops tcp_stream_ops = {
    .room = room,
    .write = write,
    .flush = flush,
    .resume = resume,
    .finish = finish,
    .abort = abort_stream,
    .reason = reason,
};

struct stream *tcp_connect(struct tcp_endpoint *tcp, const struct flow_key *key, uint32_t path,
                           const struct stream_handler *handler, void *owner, uint64_t now_us)
{
    uint32_t hash = tcp_hash(tcp, key), after = 0;

    tcp_endpoint_clock(tcp, now_us);
    uint32_t value = flow_table_find(tcp->table, key, hash);
    if (value != FLOW_TABLE_NONE && !tcp_time_wait_reuse(tcp, value, &after))
        return NULL;
    struct tcp_connection *c = tcp_endpoint_add(tcp, key, hash, path, TCP_STATE_SYN_SENT);
    if (c == NULL)
        return NULL;
    c->stream.handler = handler;
    c->stream.owner = owner;
    c->flags |= TCP_F_ACTIVE | TCP_F_TIMESTAMPS | TCP_F_SACK | TCP_F_SCALING | TCP_F_SYN_DUE;
    c->snd_una = tcp_isn(tcp, key);
    if (after != 0 && seq_leq(c->snd_una, after))
        c->snd_una = after + UINT16_MAX;
    c->snd_nxt = c->snd_una;
    c->snd_mss = tcp_mss_for(tcp, key, path, 0);
    c->recover = c->snd_una;
    tcp_endpoint_dirty(c);
    return &c->stream;
}

const struct flow_key *tcp_stream_key(const struct stream *stream)
{
    return tcp_connection_of(stream)->key;
}

bool tcp_is_stream(const struct stream *stream)
{
    return stream->ops == &tcp_stream_ops;
}
