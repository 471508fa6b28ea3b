/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must hold of every connection between two calls, whatever arrived: looked up in the private structure,
 * for the simulator and the fuzzer. Answers a complaint, or NULL. */
#ifndef TESTS_UNIT_TCP_INVARIANTS_H
#define TESTS_UNIT_TCP_INVARIANTS_H

#include "dataplane/tcp/connection.h"
#include "dataplane/tcp/reassembly.h"
#include "dataplane/tcp/sent.h"

static inline uint32_t tcp_invariants_bytes(const struct chunk *chunk, uint32_t *chunks)
{
    uint32_t bytes = 0;
    for (; chunk != NULL; chunk = chunk->next) {
        bytes += chunk->end - chunk->start;
        ++*chunks;
    }
    return bytes;
}

/* The scoreboard covers snd_una..snd_nxt without gaps and its sums are right. */
static inline const char *tcp_invariants_sent(struct tcp_connection *c)
{
    struct tcp_sent_at at;
    uint32_t next = c->snd_una, n = 0, sacked = 0, lost = 0;

    for (struct tcp_sent *r = tcp_sent_first(c, &at); r != NULL; r = tcp_sent_next(&at), n++) {
        if (r->seq != next || !seq_lt(r->seq, r->end))
            return "a gap in the scoreboard";
        if ((r->flags & TCP_SENT_SACKED) != 0)
            sacked += r->end - r->seq;
        if ((r->flags & TCP_SENT_LOST) != 0)
            lost += r->end - r->seq;
        if ((r->flags & TCP_SENT_SACKED) != 0 && (r->flags & TCP_SENT_LOST) != 0)
            return "both sacked and lost";
        next = r->end;
    }
    if (n != c->sent_n || next != c->snd_nxt)
        return "the scoreboard ends elsewhere than snd_nxt";
    if (sacked != c->sacked_bytes || lost != c->lost_bytes)
        return "sums of the scoreboard are wrong";
    return NULL;
}

static inline const char *tcp_invariants_received(const struct tcp_connection *c)
{
    struct tcp_sack_block ranges[TCP_SACK_BLOCKS];
    uint32_t chunks = 0;

    if (tcp_invariants_bytes(c->kept_head, &chunks) != c->kept_bytes)
        return "kept bytes do not add up";
    if (chunks > 2 * (c->kept_bytes / CHUNK_BYTES) + 4)
        return "kept bytes take more memory than they are worth";
    chunks = 0;
    tcp_invariants_bytes(c->ooo_head, &chunks);
    if (chunks != c->ooo_chunks)
        return "chunks out of order do not add up";
    unsigned int n = tcp_reassembly_ranges(c, ranges, TCP_SACK_BLOCKS);
    for (unsigned int i = 0; i < n; i++)
        if (!seq_lt(c->rcv_nxt, ranges[i].start) || !seq_lt(ranges[i].start, ranges[i].end) ||
            !seq_leq(ranges[i].end, c->rcv_edge))
            return "held out of order what is not in the window";
    const struct tcp_limits *limits = &c->tcp->limits;
    if (c->kept_bytes > tcp_max(limits->receive_buffer_bytes, limits->receive_buffer_max_bytes) + 65536)
        return "more kept than the buffer allows";
    return NULL;
}

static inline const char *tcp_invariants_connection(struct tcp_connection *c, uint32_t *chunks)
{
    const char *complaint;
    uint32_t own = 0;

    tcp_invariants_bytes(c->kept_head, &own);
    tcp_invariants_bytes(c->ooo_head, &own);
    uint32_t queued = tcp_invariants_bytes(c->send_head, &own);
    tcp_invariants_bytes(c->sent_head, &own);
    *chunks += own;
    if (!tcp_alive(c))
        return NULL;
    if (!seq_leq(c->snd_una, c->snd_nxt))
        return "snd_una beyond snd_nxt";
    if (!seq_leq(c->rcv_nxt, c->rcv_edge) && c->state > TCP_STATE_SYN_RECEIVED)
        return "rcv_nxt beyond the window's edge";
    if (queued != c->send_bytes)
        return "queued bytes do not add up";
    if (c->send_bytes > tcp_max(c->tcp->limits.send_buffer_bytes, c->tcp->limits.send_buffer_max_bytes))
        return "more queued than the limit allows";
    if (c->armed != 0 && !timer_running(&c->timer))
        return "a deadline without a timer";
    if (c->state < TCP_STATE_ESTABLISHED)
        return NULL;
    if (c->sent_n > 0 && (c->armed & TCP_ARMED_RETRANSMIT) == 0 && (c->flags & TCP_F_DIRTY) == 0)
        return "in flight and nobody watches";
    if (tcp_unsent(c) > 0 && (c->armed & TCP_ARMED_RETRANSMIT) == 0 && (c->flags & TCP_F_DIRTY) == 0)
        return "waits to be sent and nobody will";
    if (c->cwnd == 0)
        return "no congestion window";
    complaint = tcp_invariants_sent(c);
    return complaint != NULL ? complaint : tcp_invariants_received(c);
}

/* All connections of an endpoint, and that no chunk is lost (`chunks` are those of its pool in use). */
static inline const char *tcp_invariants(struct tcp_endpoint *tcp)
{
    uint32_t at = 0, chunks = 0, alive = 0;
    const char *complaint = NULL;
    struct tcp_connection *c;

    while (complaint == NULL && (c = slab_next(tcp->connections, &at)) != NULL) {
        complaint = tcp_invariants_connection(c, &chunks);
        alive += tcp_alive(c);
    }
    if (complaint == NULL && chunks != chunk_pool_capacity(tcp->chunks) - chunk_pool_free(tcp->chunks))
        complaint = "chunks are lost";
    if (complaint == NULL && alive != tcp->connections_n)
        complaint = "connections do not add up";
    if (complaint == NULL && flow_table_used(tcp->table) != alive + slab_used(tcp->waits))
        complaint = "flows do not add up";
    return complaint;
}

#endif
