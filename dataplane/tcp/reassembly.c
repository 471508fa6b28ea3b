/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/reassembly.h"

#include "dataplane/tcp/receive.h"

#include <assert.h>

/* At the start of each chunk's data; start and end of the chunk frame the payload behind it. */
struct place {
    uint32_t seq;       /* of data[start] */
    uint32_t stamp;     /* of the last arrival */
    struct chunk *tail; /* in the first chunk of the list: the last one */
};

#define PLACE ((uint32_t)sizeof(struct place))
/* A full buffer in full chunks, plus some for gaps; not all of one that has grown, for each of them costs
 * time with every segment. What finds no place comes again. */
#define CHUNKS_MIN 8u
#define CHUNKS_MAX 520u
#define BYTES_PER_CHUNK 1024u

static struct place *place_of(struct chunk *chunk)
{
    return (struct place *)(void *)chunk->data;
}

static uint32_t first_of(struct chunk *chunk)
{
    return place_of(chunk)->seq;
}

static uint32_t end_of(struct chunk *chunk)
{
    return place_of(chunk)->seq + (chunk->end - chunk->start);
}

static uint32_t chunks_max(const struct tcp_connection *c)
{
    return tcp_min(CHUNKS_MIN + tcp_receive_limit(c) / BYTES_PER_CHUNK, CHUNKS_MAX);
}

/* A chunk for bytes from seq, linked at *link, or NULL when the connection or the pool has no more to give.
 */
static struct chunk *insert(struct tcp_connection *c, struct chunk **link, uint32_t seq)
{
    if (c->ooo_chunks >= chunks_max(c) || tcp_pressure(c->tcp))
        return NULL;
    struct chunk *chunk = tcp_chunk_get(c->tcp);
    if (chunk == NULL)
        return NULL;
    struct chunk *tail = c->ooo_head == NULL ? NULL : place_of(c->ooo_head)->tail;
    chunk->start = PLACE;
    chunk->end = PLACE;
    chunk->next = *link;
    *link = chunk;
    *place_of(chunk) = (struct place){.seq = seq, .stamp = c->tcp->stamp};
    place_of(c->ooo_head)->tail = chunk->next == NULL ? chunk : tail;
    c->ooo_chunks++;
    return chunk;
}

static void count_overlap(struct tcp_connection *c, struct chunk *chunk, uint32_t seq, const uint8_t *p,
                          uint32_t n)
{
    const uint8_t *held = chunk->data + chunk->start + (seq - first_of(chunk));
    tcp_count(c->tcp, TCP_OVERLAP);
    if (memcmp(held, p, n) != 0)
        tcp_count(c->tcp, TCP_OVERLAP_CONFLICT);
    place_of(chunk)->stamp = c->tcp->stamp;
}

void tcp_reassembly_add(struct tcp_connection *c, uint32_t seq, const uint8_t *p, uint32_t n)
{
    struct chunk **link = &c->ooo_head, *before = NULL;

    c->tcp->stamp++;
    if (c->ooo_head != NULL) {
        struct chunk *tail = place_of(c->ooo_head)->tail;
        if (seq_leq(end_of(tail), seq)) {
            before = tail;
            link = &tail->next;
        }
    }
    while (n > 0) {
        while (*link != NULL && seq_leq(end_of(*link), seq)) {
            before = *link;
            link = &(*link)->next;
        }
        struct chunk *after = *link;
        uint32_t k = n;
        if (after != NULL && seq_leq(first_of(after), seq)) {
            k = tcp_min(n, end_of(after) - seq);
            count_overlap(c, after, seq, p, k);
        } else {
            if (after != NULL)
                k = tcp_min(n, first_of(after) - seq);
            if (before == NULL || end_of(before) != seq || before->end == CHUNK_BYTES)
                before = insert(c, link, seq);
            if (before == NULL) {
                tcp_count(c->tcp, TCP_NO_BUFFER);
                return;
            }
            k = tcp_min(k, CHUNK_BYTES - before->end);
            memcpy(before->data + before->end, p, k);
            before->end += k;
            place_of(before)->stamp = c->tcp->stamp;
            link = &before->next;
        }
        seq += k;
        p += k;
        n -= k;
    }
}

uint32_t tcp_reassembly_first(const struct tcp_connection *c)
{
    return first_of(c->ooo_head);
}

struct chunk *tcp_reassembly_take(struct tcp_connection *c)
{
    struct chunk *head = c->ooo_head;
    if (head == NULL || seq_lt(c->rcv_nxt, first_of(head)))
        return NULL;
    uint32_t old = tcp_min(c->rcv_nxt - first_of(head), head->end - head->start);
    head->start += old;
    c->ooo_head = head->next;
    if (c->ooo_head != NULL)
        place_of(c->ooo_head)->tail = place_of(head)->tail;
    c->ooo_chunks--;
    head->next = NULL;
    return head;
}

void tcp_reassembly_compare(struct tcp_connection *c, uint32_t seq, const uint8_t *p, uint32_t n)
{
    for (struct chunk *chunk = c->ooo_head; chunk != NULL && n > 0; chunk = chunk->next) {
        if (seq_leq(end_of(chunk), seq))
            continue;
        if (seq_lt(seq, first_of(chunk))) {
            uint32_t gap = first_of(chunk) - seq;
            if (gap >= n)
                return;
            seq += gap;
            p += gap;
            n -= gap;
        }
        uint32_t k = tcp_min(n, end_of(chunk) - seq);
        count_overlap(c, chunk, seq, p, k);
        seq += k;
        p += k;
        n -= k;
    }
}

/* Keeps the `max` ranges with the highest stamps, highest first. */
static unsigned int keep_recent(struct tcp_sack_block *blocks, uint32_t *stamps, unsigned int n,
                                unsigned int max, struct tcp_sack_block range, uint32_t stamp)
{
    unsigned int at = 0;
    while (at < n && seq_lt(stamp, stamps[at]))
        at++;
    if (at == max)
        return n;
    if (n < max)
        n++;
    for (unsigned int i = n - 1; i > at; i--) {
        blocks[i] = blocks[i - 1];
        stamps[i] = stamps[i - 1];
    }
    blocks[at] = range;
    stamps[at] = stamp;
    return n;
}

unsigned int tcp_reassembly_ranges(const struct tcp_connection *c, struct tcp_sack_block *blocks,
                                   unsigned int max)
{
    uint32_t stamps[TCP_SACK_BLOCKS];
    unsigned int n = 0;

    assert(max <= TCP_SACK_BLOCKS);
    for (struct chunk *chunk = c->ooo_head; chunk != NULL && max > 0;) {
        struct tcp_sack_block range = {.start = first_of(chunk), .end = end_of(chunk)};
        uint32_t stamp = place_of(chunk)->stamp;
        for (chunk = chunk->next; chunk != NULL && first_of(chunk) == range.end; chunk = chunk->next) {
            range.end = end_of(chunk);
            stamp = seq_max(stamp, place_of(chunk)->stamp);
        }
        n = keep_recent(blocks, stamps, n, max, range, stamp);
    }
    return n;
}

void tcp_reassembly_clear(struct tcp_connection *c)
{
    struct chunk *next;
    for (struct chunk *chunk = c->ooo_head; chunk != NULL; chunk = next) {
        next = chunk->next;
        chunk_put(c->tcp->chunks, chunk);
    }
    c->ooo_head = NULL;
    c->ooo_chunks = 0;
}
