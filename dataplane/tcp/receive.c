/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/receive.h"

#include "dataplane/tcp/endpoint.h"
#include "dataplane/tcp/output.h"
#include "dataplane/tcp/reassembly.h"
#include "dataplane/tcp/timers.h"

#include <assert.h>

#define ACK_DELAY_MS 40u
/* A peer that waits for each of our acknowledgements gets them at once for a while. */
#define QUICK_ACKS 16u
#define LATE_ACKS_MAX 2u
#define PRESSURE_SEGMENTS 4u
#define GROW_MAX 16u

static uint32_t offer(struct tcp_connection *c, const uint8_t *p, uint32_t n)
{
    c->flags = (c->flags | TCP_F_OFFERING) & ~TCP_F_RESUMED;
    size_t taken = c->stream.handler->data(c->stream.owner, p, n);
    c->flags &= ~TCP_F_OFFERING;
    assert(taken <= n);
    return (uint32_t)taken;
}

static void append_kept(struct tcp_connection *c, struct chunk *chunk)
{
    if (c->kept_tail == NULL)
        c->kept_head = chunk;
    else
        c->kept_tail->next = chunk;
    c->kept_tail = chunk;
}

/* Copies what the reader did not take; answers how much found room. */
static uint32_t keep(struct tcp_connection *c, const uint8_t *p, uint32_t n)
{
    uint32_t left = n;
    while (left > 0) {
        struct chunk *tail = c->kept_tail;
        if (tail == NULL || tail->end == CHUNK_BYTES) {
            tail = tcp_chunk_get(c->tcp);
            if (tail == NULL && c->ooo_head != NULL) {
                tcp_reassembly_clear(c); /* what is in order comes first */
                tail = tcp_chunk_get(c->tcp);
            }
            if (tail == NULL) {
                tcp_count(c->tcp, TCP_NO_BUFFER);
                break;
            }
            append_kept(c, tail);
        }
        uint32_t k = tcp_min(left, CHUNK_BYTES - tail->end);
        memcpy(tail->data + tail->end, p, k);
        tail->end += k;
        p += k;
        left -= k;
    }
    c->kept_bytes += n - left;
    return n - left;
}

static void drop_kept_head(struct tcp_connection *c)
{
    struct chunk *head = c->kept_head;
    c->kept_head = head->next;
    if (c->kept_head == NULL)
        c->kept_tail = NULL;
    chunk_put(c->tcp->chunks, head);
}

/* Brings bytes of the second kept chunk into the first, so that the slice to offer grows. True when it did.
 */
static bool pull_up(struct tcp_connection *c)
{
    struct chunk *head = c->kept_head, *second = head->next;
    uint32_t have = head->end - head->start;

    if (second == NULL || have == CHUNK_BYTES)
        return false;
    memmove(head->data, head->data + head->start, have);
    uint32_t k = tcp_min(CHUNK_BYTES - have, second->end - second->start);
    memcpy(head->data + have, second->data + second->start, k);
    head->start = 0;
    head->end = have + k;
    second->start += k;
    if (second->start == second->end) {
        head->next = second->next;
        if (c->kept_tail == second)
            c->kept_tail = head;
        chunk_put(c->tcp->chunks, second);
    }
    return true;
}

static void offer_kept(struct tcp_connection *c)
{
    while (c->kept_bytes > 0) {
        struct chunk *head = c->kept_head;
        uint32_t have = head->end - head->start;
        uint32_t k = offer(c, head->data + head->start, have);
        if (!tcp_alive(c))
            return;
        head->start += k;
        c->kept_bytes -= k;
        if (k == have)
            drop_kept_head(c);
        else if (!(k > 0 && (c->flags & TCP_F_RESUMED) != 0) && !pull_up(c))
            return;
    }
}

/* Next in order: the reader first, then the buffer. Answers how much of it has a place. */
static uint32_t accept_bytes(struct tcp_connection *c, const uint8_t *p, uint32_t n)
{
    uint32_t taken = 0;
    bool waits = c->kept_bytes > 0;

    if (!waits) {
        do {
            uint32_t k = offer(c, p + taken, n - taken);
            if (!tcp_alive(c))
                return 0;
            taken += k;
            if (k == 0)
                break;
        } while (taken < n && (c->flags & TCP_F_RESUMED) != 0);
    }
    if (taken < n)
        taken += keep(c, p + taken, n - taken);
    c->rcv_nxt += taken;
    c->rcv_edge = seq_max(c->rcv_edge, c->rcv_nxt);
    c->tcp->counters[TCP_BYTES_IN] += taken;
    if (waits)
        offer_kept(c);
    return taken;
}

/* Adds a chunk's bytes to what is kept: by copying when they fit behind the last, so that no two neighbours
 * hold less than a chunk together, however small the segments were. */
static void move_kept(struct tcp_connection *c, struct chunk *chunk)
{
    struct chunk *tail = c->kept_tail;
    uint32_t n = chunk->end - chunk->start;

    if (tail == NULL || n > CHUNK_BYTES - tail->end) {
        append_kept(c, chunk);
        return;
    }
    memcpy(tail->data + tail->end, chunk->data + chunk->start, n);
    tail->end += n;
    chunk_put(c->tcp->chunks, chunk);
}

/* Moves what has become in order from the reassembly chunks to the reader. */
static void drain(struct tcp_connection *c)
{
    struct chunk *chunk;
    uint32_t total = 0;

    while ((chunk = tcp_reassembly_take(c)) != NULL) {
        uint32_t n = chunk->end - chunk->start;
        if (n == 0) {
            chunk_put(c->tcp->chunks, chunk);
            continue;
        }
        move_kept(c, chunk);
        c->rcv_nxt += n;
        total += n;
    }
    c->kept_bytes += total;
    c->rcv_edge = seq_max(c->rcv_edge, c->rcv_nxt);
    c->tcp->counters[TCP_BYTES_IN] += total;
    if (total > 0)
        offer_kept(c);
}

uint32_t tcp_receive_limit(const struct tcp_connection *c)
{
    const struct tcp_endpoint *tcp = c->tcp;
    uint32_t limit = tcp->limits.receive_buffer_bytes;
    if (c->rcv_grow == 0)
        return limit;
    uint64_t grown = (uint64_t)limit << c->rcv_grow;
    uint32_t most = tcp_min(tcp->limits.receive_buffer_max_bytes, tcp_share_bytes(tcp));
    return tcp_max(limit, grown < most ? (uint32_t)grown : most);
}

void tcp_receive_begin(struct tcp_connection *c)
{
    c->rcv_round = c->rcv_nxt + tcp_receive_limit(c);
    c->rcv_round_ms = c->tcp->now_ms;
}

/*
 * A sender that uses up a whole buffer's worth within two round trips is held back by the window and not by
 * the network: as long as the reader keeps pace, it doubles. Nobody who is slow, or read slowly, gets more
 * than the first.
 */
static void grow(struct tcp_connection *c)
{
    const struct tcp_limits *limits = &c->tcp->limits;
    uint32_t took_ms = c->tcp->now_ms - c->rcv_round_ms;
    if (seq_lt(c->rcv_nxt, c->rcv_round))
        return;
    if (took_ms <= 2 * c->srtt_us / 1000 + 1 && c->kept_bytes < limits->receive_buffer_bytes / 4 &&
        c->rcv_grow < GROW_MAX && tcp_receive_limit(c) < limits->receive_buffer_max_bytes)
        c->rcv_grow++;
    if (c->ooo_head == NULL)
        c->flags &= ~TCP_F_GAPS;
    tcp_receive_begin(c);
}

/*
 * RFC 5681 s.4.2: each segment out of order gets an acknowledgement of its own, for a sender without SACK
 * counts them; and where segments get lost, acknowledgements do, so that one for a burst would be too few and
 * every second segment gets one. Elsewhere a burst costs one.
 */
static void acknowledge_burst(struct tcp_connection *c)
{
    bool gap = (c->flags & TCP_F_ACK_GAP) != 0;
    if (gap || ((c->flags & TCP_F_GAPS) != 0 && c->ack_bytes >= 2u * c->rcv_mss))
        tcp_output_ack(c);
}

static void acknowledge_later(struct tcp_connection *c, uint32_t n)
{
    c->ack_bytes += n;
    if (n > c->rcv_mss)
        c->rcv_mss = (uint16_t)tcp_min(n, UINT16_MAX);
    if (c->ack_bytes >= 2u * c->rcv_mss) {
        c->late_acks = 0;
        tcp_endpoint_ack_now(c);
    } else if (c->quick_acks > 0) {
        c->quick_acks--;
        tcp_endpoint_ack_now(c);
    } else if ((c->armed & TCP_ARMED_ACK) == 0) {
        tcp_timers_arm(c, TCP_ARMED_ACK, ACK_DELAY_MS);
    }
}

void tcp_receive_ack_was_late(struct tcp_connection *c)
{
    if (++c->late_acks > LATE_ACKS_MAX) {
        c->late_acks = 0;
        c->quick_acks = QUICK_ACKS;
    }
}

void tcp_receive_data(struct tcp_connection *c, uint32_t seq, const uint8_t *p, uint32_t n)
{
    acknowledge_burst(c);
    if (seq != c->rcv_nxt) {
        tcp_count(c->tcp, TCP_OUT_OF_ORDER);
        tcp_reassembly_add(c, seq, p, n);
        c->flags |= TCP_F_GAPS | TCP_F_ACK_GAP;
        tcp_endpoint_ack_now(c);
        return;
    }
    bool gap = c->ooo_head != NULL;
    uint32_t total = n;
    if (gap)
        tcp_reassembly_compare(c, seq, p, n);
    while (n > 0 && tcp_alive(c)) {
        uint32_t part = n;
        if (c->ooo_head != NULL)
            part = tcp_min(n, tcp_reassembly_first(c) - c->rcv_nxt);
        if (accept_bytes(c, p, part) < part)
            break;
        uint32_t before = c->rcv_nxt;
        drain(c);
        uint32_t held = tcp_min(c->rcv_nxt - before, n - part);
        p += part + held;
        n -= part + held;
    }
    if (!tcp_alive(c))
        return;
    grow(c);
    if (gap)
        tcp_endpoint_ack_now(c);
    else
        acknowledge_later(c, total);
}

void tcp_receive_fin(struct tcp_connection *c)
{
    if ((c->flags & (TCP_F_FIN_SEEN | TCP_F_FIN_RECEIVED)) != TCP_F_FIN_SEEN || c->rcv_fin != c->rcv_nxt)
        return;
    c->flags |= TCP_F_FIN_RECEIVED;
    c->rcv_nxt++;
    c->rcv_edge = seq_max(c->rcv_edge, c->rcv_nxt);
    tcp_reassembly_clear(c);
    tcp_endpoint_ack_now(c);
    if (c->state == TCP_STATE_ESTABLISHED)
        c->state = TCP_STATE_CLOSE_WAIT;
    else if (c->state == TCP_STATE_FIN_WAIT_1)
        c->state = TCP_STATE_CLOSING;
    else if (c->state == TCP_STATE_FIN_WAIT_2)
        c->state = TCP_STATE_TIME_WAIT;
}

void tcp_receive_check_end(struct tcp_connection *c)
{
    if ((c->flags & (TCP_F_FIN_RECEIVED | TCP_F_ENDED | TCP_F_OFFERING)) == TCP_F_FIN_RECEIVED &&
        c->kept_bytes == 0) {
        c->flags |= TCP_F_ENDED;
        c->stream.handler->ended(c->stream.owner);
    }
    if (!tcp_alive(c))
        return;
    bool both = (c->flags & (TCP_F_ENDED | TCP_F_FIN_SENT)) == (TCP_F_ENDED | TCP_F_FIN_SENT);
    if (both && tcp_flight(c) == 0)
        tcp_endpoint_done(c);
}

void tcp_receive_resume(struct tcp_connection *c)
{
    if (!tcp_alive(c))
        return;
    if ((c->flags & TCP_F_OFFERING) != 0) {
        c->flags |= TCP_F_RESUMED;
        return;
    }
    offer_kept(c);
    if (!tcp_alive(c))
        return;
    /* Room worth telling about (RFC 9293 s.3.8.6.2.2), when little is on offer. */
    uint32_t limit = tcp_receive_limit(c), announced = c->rcv_edge - c->rcv_nxt;
    uint32_t worth = tcp_min(limit / 2, 2u * c->rcv_mss);
    if (announced < limit / 2 && announced + c->kept_bytes + worth <= limit)
        tcp_endpoint_ack_now(c);
    tcp_receive_check_end(c);
}

uint16_t tcp_receive_window(struct tcp_connection *c)
{
    const struct tcp_endpoint *tcp = c->tcp;
    uint32_t scale = c->rcv_scale;
    uint32_t limit = tcp_min(tcp_receive_limit(c), (uint32_t)UINT16_MAX << scale);
    uint32_t space = limit > c->kept_bytes ? limit - c->kept_bytes : 0;
    uint32_t window = c->rcv_edge - c->rcv_nxt;

    if (tcp_pressure(tcp))
        space = tcp_min(space, PRESSURE_SEGMENTS * c->rcv_mss);
    if (space > window && space - window >= tcp_min(limit / 2, c->rcv_mss))
        window = tcp_max(window, space >> scale << scale); /* small segments, large scale */
    /* Rounded up, since the edge must not move left (RFC 7323 s.2.4). */
    uint32_t units = tcp_min((window + (1u << scale) - 1) >> scale, UINT16_MAX);
    c->rcv_edge = seq_max(c->rcv_edge, c->rcv_nxt + (units << scale));
    return (uint16_t)units;
}

void tcp_receive_clear(struct tcp_connection *c)
{
    while (c->kept_head != NULL)
        drop_kept_head(c);
    c->kept_bytes = 0;
    tcp_reassembly_clear(c);
}
