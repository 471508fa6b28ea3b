/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/sent.h"

#include <assert.h>

#define RECORD ((uint32_t)sizeof(struct tcp_sent))
static_assert(CHUNK_BYTES % sizeof(struct tcp_sent) == 0, "records fill a chunk");

/* A place for one more record at the end of a list, or NULL. */
static struct tcp_sent *extend(struct chunk_pool *pool, struct chunk **head, struct chunk **tail)
{
    if (*tail == NULL || (*tail)->end == CHUNK_BYTES) {
        struct chunk *chunk = chunk_get(pool);
        if (chunk == NULL)
            return NULL;
        if (*tail == NULL)
            *head = chunk;
        else
            (*tail)->next = chunk;
        *tail = chunk;
    }
    struct tcp_sent *record = (struct tcp_sent *)(void *)((*tail)->data + (*tail)->end);
    (*tail)->end += RECORD;
    return record;
}

static void release(struct chunk_pool *pool, struct chunk *chunk)
{
    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        chunk_put(pool, chunk);
        chunk = next;
    }
}

bool tcp_sent_append(struct tcp_connection *c, uint32_t seq, uint32_t end, uint8_t flags)
{
    struct tcp_sent *record = &c->sent_one;

    if (c->sent_n >= TCP_SENT_MAX)
        return false;
    if (c->sent_n == 1 && c->sent_head == NULL) {
        struct tcp_sent *first = extend(c->tcp->chunks, &c->sent_head, &c->sent_tail);
        if (first == NULL)
            return false;
        *first = c->sent_one;
    }
    if (c->sent_n > 0)
        record = extend(c->tcp->chunks, &c->sent_head, &c->sent_tail);
    if (record == NULL)
        return false;
    *record = (struct tcp_sent){.seq = seq, .end = end, .sent_us = (uint32_t)c->tcp->now_us, .flags = flags};
    c->sent_n++;
    return true;
}

void tcp_sent_pop(struct tcp_connection *c)
{
    struct chunk *head = c->sent_head;

    c->sent_n--;
    if (head == NULL)
        return;
    head->start += RECORD;
    if (head->start < head->end)
        return;
    c->sent_head = head->next;
    if (c->sent_head == NULL)
        c->sent_tail = NULL;
    chunk_put(c->tcp->chunks, head);
}

void tcp_sent_clear(struct tcp_connection *c)
{
    release(c->tcp->chunks, c->sent_head);
    c->sent_head = NULL;
    c->sent_tail = NULL;
    c->sent_n = 0;
    c->sacked_bytes = 0;
    c->lost_bytes = 0;
}

void tcp_sent_lose(struct tcp_connection *c, struct tcp_sent *record)
{
    if ((record->flags & (TCP_SENT_SACKED | TCP_SENT_LOST)) != 0)
        return;
    record->flags |= TCP_SENT_LOST;
    c->lost_bytes += record->end - record->seq;
}

void tcp_sent_split(struct tcp_connection *c, uint32_t payload)
{
    struct chunk *head = NULL, *tail = NULL;
    struct tcp_sent_at at;
    uint32_t lost = 0;
    uint16_t n = 0;

    for (struct tcp_sent *old = tcp_sent_first(c, &at); old != NULL; old = tcp_sent_next(&at)) {
        uint32_t fin = (old->flags & TCP_SENT_FIN) != 0;
        bool large = old->end - old->seq - fin > payload;
        for (uint32_t seq = old->seq; seq != old->end; n++) {
            struct tcp_sent *part = extend(c->tcp->chunks, &head, &tail);
            if (part == NULL) {
                release(c->tcp->chunks, head);
                return;
            }
            *part = *old;
            part->seq = seq;
            if (large && old->end - fin - seq > payload) {
                part->end = seq + payload;
                part->flags &= (uint8_t)~TCP_SENT_FIN;
            }
            if (large && (part->flags & TCP_SENT_SACKED) == 0)
                part->flags |= TCP_SENT_LOST;
            if ((part->flags & TCP_SENT_LOST) != 0)
                lost += part->end - part->seq;
            seq = part->end;
        }
    }
    release(c->tcp->chunks, c->sent_head);
    c->sent_head = head;
    c->sent_tail = tail;
    c->sent_n = n;
    c->lost_bytes = lost;
}
