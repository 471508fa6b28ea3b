/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/send_queue.h"

#include <assert.h>

/* Under pressure a connection keeps no more than this waiting. */
#define PRESSURE_BYTES (2u * CHUNK_BYTES)

/* The buffer follows what may be out, so that as much again waits behind it; a peer that does not read, or
 * has not been seen to take more, gets no more than the first. */
static uint32_t limit_of(const struct tcp_connection *c)
{
    const struct tcp_endpoint *tcp = c->tcp;
    uint32_t limit = tcp->limits.send_buffer_bytes;
    if (tcp_pressure(tcp))
        return tcp_min(limit, PRESSURE_BYTES);
    uint32_t most = tcp_min(tcp->limits.send_buffer_max_bytes, tcp_share_bytes(tcp));
    return tcp_max(limit, tcp_min(2 * tcp_min(c->cwnd, c->snd_wnd), most));
}

uint32_t tcp_send_queue_room(const struct tcp_connection *c)
{
    const struct tcp_endpoint *tcp = c->tcp;
    uint32_t limit = limit_of(c);
    if (c->send_bytes >= limit)
        return 0;
    uint64_t memory = (uint64_t)tcp_spare_chunks(tcp) * CHUNK_BYTES;
    if (c->send_tail != NULL)
        memory += CHUNK_BYTES - c->send_tail->end;
    uint32_t room = limit - c->send_bytes;
    return memory < room ? (uint32_t)memory : room;
}

uint32_t tcp_send_queue_write(struct tcp_connection *c, const uint8_t *p, uint32_t n)
{
    uint32_t room = tcp_send_queue_room(c);
    uint32_t left = n = tcp_min(n, room);

    while (left > 0) {
        struct chunk *tail = c->send_tail;
        if (tail == NULL || tail->end == CHUNK_BYTES) {
            tail = tcp_chunk_get(c->tcp);
            if (tail == NULL)
                break;
            if (c->send_tail == NULL)
                c->send_head = tail;
            else
                c->send_tail->next = tail;
            c->send_tail = tail;
        }
        uint32_t k = tcp_min(left, CHUNK_BYTES - tail->end);
        memcpy(tail->data + tail->end, p, k);
        tail->end += k;
        p += k;
        left -= k;
    }
    c->send_bytes += n - left;
    return n - left;
}

uint8_t tcp_send_queue_pieces(struct tcp_connection *c, uint32_t seq, uint32_t n,
                              struct tcp_piece pieces[TCP_PIECES])
{
    struct chunk *chunk = c->send_head;
    uint32_t skip = seq - c->snd_una;
    uint8_t count = 0;

    if (c->send_cursor != NULL && seq_leq(c->send_cursor_seq, seq)) {
        chunk = c->send_cursor;
        skip = seq - c->send_cursor_seq;
    }
    while (n > 0 && chunk != NULL && count < TCP_PIECES) {
        uint32_t in_chunk = chunk->end - chunk->start;
        if (skip < in_chunk) {
            if (count == 0) {
                c->send_cursor = chunk;
                c->send_cursor_seq = seq - skip;
            }
            uint32_t k = tcp_min(n, in_chunk - skip);
            pieces[count++] = (struct tcp_piece){.at = chunk->data + chunk->start + skip, .len = k};
            n -= k;
            skip = 0;
        } else {
            skip -= in_chunk;
        }
        chunk = chunk->next;
    }
    assert(n == 0);
    return count;
}

void tcp_send_queue_drop(struct tcp_connection *c, uint32_t n)
{
    assert(n <= c->send_bytes);
    c->snd_una += n;
    c->send_bytes -= n;
    while (n > 0) {
        struct chunk *head = c->send_head;
        uint32_t k = tcp_min(n, head->end - head->start);
        head->start += k;
        n -= k;
        if (head->start < head->end)
            break;
        c->send_head = head->next;
        if (c->send_cursor == head)
            c->send_cursor = NULL;
        chunk_put(c->tcp->chunks, head);
    }
    if (c->send_head == NULL)
        c->send_tail = NULL;
    if (c->send_cursor != NULL && seq_lt(c->send_cursor_seq, c->snd_una))
        c->send_cursor = NULL;
}

void tcp_send_queue_clear(struct tcp_connection *c)
{
    struct chunk *next;
    for (struct chunk *chunk = c->send_head; chunk != NULL; chunk = next) {
        next = chunk->next;
        chunk_put(c->tcp->chunks, chunk);
    }
    c->send_head = NULL;
    c->send_tail = NULL;
    c->send_cursor = NULL;
    c->send_bytes = 0;
}
