/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scoreboard: one record per segment in flight, in order of sequence numbers, kept in chunks. RACK (RFC
 * 8985) needs to know when each was sent last, SACK (RFC 2018, 6675) which have arrived. Together the records
 * cover snd_una..snd_nxt without gaps. A connection with at most one segment in flight, as most have, keeps
 * it in sent_one and holds no chunk.
 */
#ifndef DATAPLANE_TCP_SENT_H
#define DATAPLANE_TCP_SENT_H

#include "dataplane/tcp/connection.h"

enum tcp_sent_flag {
    TCP_SENT_SACKED = 1,
    TCP_SENT_LOST = 2,  /* to be sent again */
    TCP_SENT_AGAIN = 4, /* has been sent more than once */
    TCP_SENT_FIN = 8,   /* its last number is our FIN */
};

struct tcp_sent_at {
    struct chunk *chunk;
    uint32_t offset;
};

/* More would be many small segments: they wait and grow together instead. */
#define TCP_SENT_MAX 4064u

static inline struct tcp_sent *tcp_sent_here(const struct tcp_sent_at *at)
{
    return at->chunk == NULL ? NULL : (struct tcp_sent *)(void *)(at->chunk->data + at->offset);
}

static inline struct tcp_sent *tcp_sent_first(struct tcp_connection *c, struct tcp_sent_at *at)
{
    at->chunk = c->sent_head;
    at->offset = 0;
    if (at->chunk == NULL)
        return c->sent_n == 0 ? NULL : &c->sent_one;
    at->offset = at->chunk->start;
    return tcp_sent_here(at);
}

static inline struct tcp_sent *tcp_sent_next(struct tcp_sent_at *at)
{
    if (at->chunk == NULL)
        return NULL;
    at->offset += (uint32_t)sizeof(struct tcp_sent);
    if (at->offset >= at->chunk->end) {
        at->chunk = at->chunk->next;
        at->offset = at->chunk == NULL ? 0 : at->chunk->start;
    }
    return tcp_sent_here(at);
}

/* The newest record, or NULL. */
static inline struct tcp_sent *tcp_sent_last(struct tcp_connection *c)
{
    if (c->sent_tail == NULL)
        return c->sent_n == 0 ? NULL : &c->sent_one;
    return (struct tcp_sent *)(void *)(c->sent_tail->data + c->sent_tail->end - sizeof(struct tcp_sent));
}

/* False when there is no room: the segment must not be sent. */
bool tcp_sent_append(struct tcp_connection *c, uint32_t seq, uint32_t end, uint8_t flags);
/* Removes the oldest. */
void tcp_sent_pop(struct tcp_connection *c);
void tcp_sent_clear(struct tcp_connection *c);
/* Cuts records so that none carries more than `payload` bytes; the parts are marked lost. Without a chunk to
 * do it in nothing changes. */
void tcp_sent_split(struct tcp_connection *c, uint32_t payload);
/* Marks a record lost that is in flight and not yet marked. */
void tcp_sent_lose(struct tcp_connection *c, struct tcp_sent *record);

#endif
