/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/endpoint.h"

#include "dataplane/tcp/congestion.h"
#include "dataplane/tcp/isn.h"
#include "dataplane/tcp/output.h"
#include "dataplane/tcp/reassembly.h"
#include "dataplane/tcp/receive.h"
#include "dataplane/tcp/rtt.h"
#include "dataplane/tcp/send_queue.h"
#include "dataplane/tcp/sent.h"
#include "dataplane/tcp/time_wait.h"
#include "dataplane/tcp/timers.h"

#include <assert.h>
#include <stdlib.h>

#define SECOND_US UINT64_C(1000000)
#define QUICK_ACKS_FIRST 8u
#define RCV_MSS_FIRST 536u
#define WAITS_MIN 1024u
#define SWEEP 64u

static_assert(sizeof(struct tcp_connection) <= 384, "six cache lines; an idle pair takes less than 1 KiB");

void tcp_limits_default(struct tcp_limits *limits, uint32_t connections)
{
    /* Half-open connections never take more than half of a small table. */
    *limits = (struct tcp_limits){
        .connections = connections,
        .half_open = tcp_max(connections / 8, tcp_min(256, connections / 2)),
        .send_buffer_bytes = 256 * 1024,
        .receive_buffer_bytes = 256 * 1024,
        .send_buffer_max_bytes = 4096 * 1024,
        .receive_buffer_max_bytes = 4096 * 1024,
        .resets_per_s = 500,
        .challenges_per_s = 1000,
        .syn_retries = 5,
        .syn_ack_retries = 2,
        .data_retries = 12,
        .keepalive_idle_us = 600 * SECOND_US,
        .keepalive_interval_us = 30 * SECOND_US,
        .keepalive_probes = 5,
        .time_wait_us = 60 * SECOND_US,
        .orphan_us = 60 * SECOND_US,
    };
}

static uint8_t scale_for(uint32_t window)
{
    uint8_t scale = 0;
    while (scale < TCP_SCALE_MAX && ((uint32_t)UINT16_MAX << scale) < window)
        scale++;
    return scale;
}

struct tcp_endpoint *tcp_create(const struct tcp_limits *limits, const struct tcp_host *host, void *host_data,
                                struct chunk_pool *chunks, struct timer_wheel *timers,
                                const uint8_t secret[32])
{
    if (limits->connections == 0 || limits->connections > (1u << 28))
        return NULL;
    struct tcp_endpoint *tcp = calloc(1, sizeof(*tcp));
    if (tcp == NULL)
        return NULL;
    tcp->limits = *limits;
    tcp->host = *host;
    tcp->host_data = host_data;
    tcp->chunks = chunks;
    tcp->timers = timers;
    tcp->rcv_scale = scale_for(tcp_max(limits->receive_buffer_bytes, limits->receive_buffer_max_bytes));
    tcp_isn_init(tcp, secret);

    uint32_t waits = limits->connections < WAITS_MIN ? WAITS_MIN : limits->connections;
    struct siphash_key table_key = tcp->noise_key;
    uint8_t table_secret[16];
    table_key.k0 ^= UINT64_C(0x7461626c65);
    memcpy(table_secret, &table_key, sizeof(table_secret));
    tcp->table = flow_table_create(limits->connections + waits, table_secret);
    tcp->connections = slab_create(limits->connections, sizeof(struct tcp_connection));
    tcp->senders = calloc(limits->connections, sizeof(*tcp->senders));
    if (tcp->table == NULL || tcp->connections == NULL || tcp->senders == NULL ||
        !tcp_time_wait_init(tcp, waits)) {
        tcp_destroy(tcp);
        return NULL;
    }
    return tcp;
}

static void release_buffers(struct tcp_connection *c)
{
    tcp_send_queue_clear(c);
    tcp_sent_clear(c);
    tcp_receive_clear(c);
}

void tcp_destroy(struct tcp_endpoint *tcp)
{
    if (tcp == NULL)
        return;
    uint32_t at = 0;
    struct tcp_connection *c;
    while (tcp->connections != NULL && (c = slab_next(tcp->connections, &at)) != NULL) {
        timer_stop(tcp->timers, &c->timer);
        release_buffers(c);
    }
    tcp_time_wait_fini(tcp);
    slab_destroy(tcp->connections);
    flow_table_destroy(tcp->table);
    free(tcp->senders);
    free(tcp);
}

void tcp_endpoint_clock(struct tcp_endpoint *tcp, uint64_t now_us)
{
    if (now_us > tcp->now_us) {
        tcp->now_us = now_us;
        tcp->now_ms = (uint32_t)(now_us / 1000);
    }
}

bool tcp_endpoint_allow(struct tcp_endpoint *tcp, struct tcp_rate *rate, uint32_t per_s, bool noisy)
{
    if (rate->window_us == 0 || tcp->now_us - rate->window_us >= SECOND_US) {
        rate->window_us = tcp->now_us == 0 ? 1 : tcp->now_us;
        rate->left = per_s;
        /* A count that is shared by all flows tells one about another unless it varies (CVE-2016-5696). */
        if (noisy && per_s > 1)
            rate->left = per_s / 2 + tcp_isn_noise(tcp) % per_s;
    }
    if (rate->left == 0)
        return false;
    rate->left--;
    return true;
}

struct tcp_connection *tcp_endpoint_add(struct tcp_endpoint *tcp, const struct flow_key *key, uint32_t hash,
                                        uint32_t path, enum tcp_state state)
{
    struct tcp_connection *c = slab_alloc(tcp->connections);
    if (c == NULL) {
        tcp_count(tcp, TCP_TABLE_FULL);
        return NULL;
    }
    uint32_t index = slab_handle_of(tcp->connections, c).index;
    if (flow_table_insert(tcp->table, key, hash, index) != 0) {
        slab_free(tcp->connections, c);
        tcp_count(tcp, TCP_TABLE_FULL);
        return NULL;
    }
    c->stream.ops = &tcp_stream_ops;
    c->tcp = tcp;
    c->key = flow_table_key(tcp->table, key, hash);
    c->path = path;
    c->state = (uint8_t)state;
    c->rack_window = 1;
    c->quick_acks = QUICK_ACKS_FIRST;
    c->ts_offset = tcp_isn_timestamp_offset(tcp, key);
    c->challenge_tick = (uint16_t)(tcp->now_ms / TCP_CHALLENGE_EVERY_MS - 1);
    tcp_timers_init(c);
    tcp->connections_n++;
    tcp->half_open += state == TCP_STATE_SYN_RECEIVED;
    return c;
}

void tcp_endpoint_dirty(struct tcp_connection *c)
{
    struct tcp_endpoint *tcp = c->tcp;
    if ((c->flags & TCP_F_DIRTY) != 0)
        return;
    c->flags |= TCP_F_DIRTY;
    c->next_dirty = NULL;
    if (tcp->dirty_tail == NULL)
        tcp->dirty_head = c;
    else
        tcp->dirty_tail->next_dirty = c;
    tcp->dirty_tail = c;
}

void tcp_endpoint_ack_now(struct tcp_connection *c)
{
    c->flags |= TCP_F_ACK_NOW;
    tcp_endpoint_dirty(c);
}

/* Enough for a writer to be woken for. */
static bool room_again(const struct tcp_connection *c)
{
    uint32_t enough = tcp_min(c->tcp->limits.send_buffer_bytes / 4, 2u * c->snd_mss);
    return tcp_send_queue_room(c) >= tcp_max(enough, 1);
}

void tcp_endpoint_room(struct tcp_connection *c)
{
    if ((c->flags & TCP_F_WANTS_ROOM) != 0 && room_again(c))
        c->flags |= TCP_F_UPCALL_ROOM;
}

/* Leaves table and timers; the rest goes with the next flush. */
static void detach(struct tcp_connection *c)
{
    struct tcp_endpoint *tcp = c->tcp;
    tcp->half_open -= c->state == TCP_STATE_SYN_RECEIVED && (c->flags & TCP_F_ACTIVE) == 0;
    tcp->connections_n--;
    c->state = TCP_STATE_CLOSED;
    c->armed = 0;
    timer_stop(tcp->timers, &c->timer);
    tcp_endpoint_dirty(c);
}

void tcp_endpoint_close(struct tcp_connection *c, enum stream_end why)
{
    struct tcp_endpoint *tcp = c->tcp;
    bool told = why != STREAM_END_UNKNOWN && c->stream.handler != NULL;

    if (!tcp_alive(c))
        return;
    detach(c);
    tcp_count(tcp, why == STREAM_END_DONE ? TCP_CLOSED : TCP_ABORTED);
    if (told)
        c->stream.handler->closed(c->stream.owner, why);
    flow_table_remove(tcp->table, c->key, flow_table_hash(tcp->table, c->key));
    c->key = NULL;
}

void tcp_endpoint_done(struct tcp_connection *c)
{
    struct tcp_endpoint *tcp = c->tcp;
    bool wait = c->state == TCP_STATE_TIME_WAIT;

    if ((c->flags & TCP_F_ACK_NOW) != 0)
        tcp_output_flush(c); /* what it owes for the peer's FIN */
    detach(c);
    tcp_count(tcp, TCP_CLOSED);
    if (c->stream.handler != NULL)
        c->stream.handler->closed(c->stream.owner, STREAM_END_DONE);
    if (!wait || !tcp_time_wait_enter(c))
        flow_table_remove(tcp->table, c->key, flow_table_hash(tcp->table, c->key));
    c->key = NULL;
}

void tcp_endpoint_established(struct tcp_connection *c)
{
    struct tcp_endpoint *tcp = c->tcp;
    bool passive = (c->flags & TCP_F_ACTIVE) == 0;

    tcp->half_open -= passive && c->state == TCP_STATE_SYN_RECEIVED;
    c->state = TCP_STATE_ESTABLISHED;
    c->armed &= (uint8_t)~TCP_ARMED_RETRANSMIT;
    c->flags &= ~TCP_F_SYN_DUE;
    c->rcv_mss = (uint16_t)tcp_min(c->snd_mss, RCV_MSS_FIRST);
    c->rack_fack = c->snd_una;
    c->heard_ms = tcp->now_ms;
    tcp_receive_begin(c);
    c->timer_kind = TCP_TIMER_NONE;
    if (c->backoff > 0 && (c->flags & TCP_F_RTT) == 0)
        tcp_rtt_sample(c, 1000000); /* RFC 6298 s.5.7: three seconds from here */
    tcp_congestion_start(c, c->backoff > 1);
    c->backoff = 0;
    c->retries = 0;
    tcp_timers_life(c);
    if (c->send_bytes > 0 || (c->flags & TCP_F_FIN_QUEUED) != 0)
        tcp_endpoint_dirty(c);
    if (!passive) {
        tcp_count(tcp, TCP_CONNECTED);
        c->stream.handler->opened(c->stream.owner);
        return;
    }
    tcp_count(tcp, TCP_ACCEPTED);
    tcp->host.accepted(tcp->host_data, c->key, c->path, &c->stream);
    if (tcp_alive(c) && c->stream.handler == NULL) {
        tcp_output_reset(c);
        tcp_endpoint_close(c, STREAM_END_UNKNOWN);
    }
}

/* A writer that found the pool empty is asked again when there is room. True while it waits. */
static bool starved(struct tcp_connection *c)
{
    if ((c->flags & TCP_F_WANTS_ROOM) == 0 || c->send_bytes > 0)
        return false;
    if (!room_again(c))
        return true;
    c->flags &= ~TCP_F_WANTS_ROOM;
    c->stream.handler->writable(c->stream.owner);
    return false;
}

/* Under pressure what waits behind gaps goes first (RFC 2018 s.8 allows it), a few connections at a time, so
 * that those who only fill buffers cannot keep them. */
static void relieve(struct tcp_endpoint *tcp)
{
    uint32_t capacity = slab_capacity(tcp->connections);
    for (uint32_t i = 0; i < SWEEP && i < capacity; i++) {
        struct tcp_connection *c = slab_at(tcp->connections, tcp->sweep++ % capacity);
        if (c != NULL && c->ooo_head != NULL) {
            tcp_reassembly_clear(c);
            tcp_count(tcp, TCP_NO_BUFFER);
        }
    }
}

void tcp_flush(struct tcp_endpoint *tcp, uint64_t now_us)
{
    struct tcp_connection *c, *waiting = NULL;

    tcp_endpoint_clock(tcp, now_us);
    if (tcp_pressure(tcp))
        relieve(tcp);
    while ((c = tcp->dirty_head) != NULL) {
        tcp->dirty_head = c->next_dirty;
        if (tcp->dirty_head == NULL)
            tcp->dirty_tail = NULL;
        c->flags &= ~TCP_F_DIRTY;
        if (!tcp_alive(c)) {
            release_buffers(c);
            slab_free(tcp->connections, c);
            continue;
        }
        tcp_output_flush(c);
        if (starved(c) && (c->flags & TCP_F_DIRTY) == 0) {
            c->flags |= TCP_F_DIRTY;
            c->next_dirty = waiting;
            waiting = c;
        }
    }
    tcp->dirty_head = waiting;
    tcp->dirty_tail = waiting;
    while (tcp->dirty_tail != NULL && tcp->dirty_tail->next_dirty != NULL)
        tcp->dirty_tail = tcp->dirty_tail->next_dirty;
}

uint32_t tcp_hash(const struct tcp_endpoint *tcp, const struct flow_key *key)
{
    return flow_table_hash(tcp->table, key);
}

void tcp_prefetch(const struct tcp_endpoint *tcp, uint32_t hash)
{
    flow_table_prefetch(tcp->table, hash);
}

void tcp_prefetch_key(const struct tcp_endpoint *tcp, uint32_t hash)
{
    flow_table_prefetch_key(tcp->table, hash);
}

void tcp_prefetch_connection(const struct tcp_endpoint *tcp, const struct flow_key *key, uint32_t hash)
{
    uint32_t value = flow_table_find(tcp->table, key, hash);
    if (value >= tcp->limits.connections)
        return;
    const uint8_t *c = slab_object(tcp->connections, value);
    __builtin_prefetch(&tcp->senders[value]);
    for (size_t line = 0; line < sizeof(struct tcp_connection); line += 64)
        __builtin_prefetch(c + line);
}

bool tcp_flow_exists(const struct tcp_endpoint *tcp, const struct flow_key *key)
{
    return flow_table_find(tcp->table, key, flow_table_hash(tcp->table, key)) != FLOW_TABLE_NONE;
}

uint64_t tcp_stream_sender(const struct stream *stream)
{
    return tcp_connection_of(stream)->tcp->completing;
}

void tcp_stream_watch(struct stream *stream, uint64_t sender)
{
    struct tcp_connection *c = tcp_connection_of(stream);
    c->tcp->senders[slab_handle_of(c->tcp->connections, c).index] = sender;
    c->flags = sender != 0 ? c->flags | TCP_F_WATCHED : c->flags & ~TCP_F_WATCHED;
}

struct stream *tcp_watched(const struct tcp_endpoint *tcp, const struct flow_key *key)
{
    uint32_t value = flow_table_find(tcp->table, key, flow_table_hash(tcp->table, key));
    if (value >= tcp->limits.connections)
        return NULL;
    struct tcp_connection *c = slab_object(tcp->connections, value);
    return (c->flags & TCP_F_WATCHED) == 0 ? NULL : &c->stream;
}

uint64_t tcp_counter(const struct tcp_endpoint *tcp, enum tcp_counter counter)
{
    return tcp->counters[counter];
}

const char *tcp_counter_id(enum tcp_counter counter)
{
#define TCP_COUNTER_ID(name, id) [TCP_##name] = id,
    static const char *const ids[] = {TCP_COUNTER_TABLE(TCP_COUNTER_ID)};
#undef TCP_COUNTER_ID
    return counter < TCP_COUNTER_COUNT ? ids[counter] : "?";
}

uint32_t tcp_connections(const struct tcp_endpoint *tcp)
{
    return tcp->connections_n;
}

size_t tcp_connection_bytes(void)
{
    return sizeof(struct tcp_connection);
}
