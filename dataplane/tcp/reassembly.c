/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/reassembly.h"

#include "dataplane/tcp/receive.h"

#include <assert.h>

/*
 * At the start of each chunk's data; start and end of the chunk frame the payload behind it. Neighbours
 * without a gap form a block, of at most BLOCK_CHUNKS, whose first chunk speaks for it: what looks for a
 * place goes from block to block and then through one of them.
 */
struct place {
    uint32_t seq;              /* of data[start] */
    uint32_t stamp;            /* first of a block: of the last arrival in it */
    uint32_t n;                /* first of a block: its chunks */
    uint32_t bytes;            /* first of all: held in all blocks */
    struct chunk *last;        /* first of a block: its last chunk */
    struct chunk *final_block; /* first of all: the last block */
};

#define PLACE ((uint32_t)sizeof(struct place))
#define BLOCK_CHUNKS 64u
/* Some for gaps, then as many as are half full. Each costs time when a place is looked for, so single bytes
 * get no more than the first. */
#define SPARSE_CHUNKS 264u
#define BYTES_PER_CHUNK 1024u
static_assert(CHUNK_BYTES - sizeof(struct place) >= 2 * BYTES_PER_CHUNK - 64, "a full chunk is worth it");

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

static uint32_t block_end(struct chunk *block)
{
    return end_of(place_of(block)->last);
}

static struct chunk *next_block(struct chunk *block)
{
    return place_of(block)->last->next;
}

static bool may_grow(const struct tcp_connection *c)
{
    uint32_t held = c->ooo_chunks, few = 8 + tcp_receive_limit(c) / BYTES_PER_CHUNK;
    if (tcp_pressure(c->tcp) || held >= tcp_min(few, UINT16_MAX))
        return false;
    return held < SPARSE_CHUNKS || place_of(c->ooo_head)->bytes / BYTES_PER_CHUNK >= held;
}

/* An empty chunk for bytes from seq, or NULL when the connection or the pool has no more to give. */
static struct chunk *new_chunk(struct tcp_connection *c, uint32_t seq)
{
    struct chunk *chunk = may_grow(c) ? tcp_chunk_get(c->tcp) : NULL;
    if (chunk == NULL)
        return NULL;
    chunk->start = PLACE;
    chunk->end = PLACE;
    *place_of(chunk) = (struct place){.seq = seq, .n = 1, .last = chunk};
    c->ooo_chunks++;
    return chunk;
}

/* What the first of all keeps for all of them goes along when another becomes the first. */
static void set_head(struct tcp_connection *c, struct chunk *head)
{
    struct chunk *old = c->ooo_head;
    if (old != NULL && head != NULL) {
        place_of(head)->bytes = place_of(old)->bytes;
        place_of(head)->final_block = place_of(old)->final_block;
    }
    c->ooo_head = head;
}

/* A block of its own behind `before`, or in front of all. */
static struct chunk *insert_block(struct tcp_connection *c, struct chunk *before, uint32_t seq)
{
    struct chunk *chunk = new_chunk(c, seq);
    if (chunk == NULL)
        return NULL;
    if (before == NULL) {
        chunk->next = c->ooo_head;
        set_head(c, chunk);
    } else {
        chunk->next = next_block(before);
        place_of(before)->last->next = chunk;
    }
    if (chunk->next == NULL)
        place_of(c->ooo_head)->final_block = chunk;
    return chunk;
}

/* The block behind `before` that bytes from its end on go to: itself while it is not full. */
static struct chunk *extend(struct tcp_connection *c, struct chunk *before, uint32_t seq)
{
    struct place *block = place_of(before);
    struct chunk *last = block->last;
    if (last->end < CHUNK_BYTES)
        return before;
    if (block->n >= BLOCK_CHUNKS)
        return insert_block(c, before, seq);
    struct chunk *chunk = new_chunk(c, seq);
    if (chunk == NULL)
        return NULL;
    chunk->next = last->next;
    last->next = chunk;
    block->last = chunk;
    block->n++;
    return before;
}

/* Two blocks that meet become one, when it is not too long. */
static void join(struct tcp_connection *c, struct chunk *block)
{
    struct place *a = place_of(block), *head = place_of(c->ooo_head);
    struct chunk *after = a->last->next;
    if (after == NULL || end_of(a->last) != first_of(after) || a->n + place_of(after)->n > BLOCK_CHUNKS)
        return;
    const struct place *b = place_of(after);
    a->n += b->n;
    a->last = b->last;
    a->stamp = seq_max(a->stamp, b->stamp);
    if (head->final_block == after)
        head->final_block = block;
}

/* Counts n bytes that are here already, in chunks from `chunk` on; whether they are the same. */
static void count_overlap(struct tcp_connection *c, struct chunk *chunk, uint32_t seq, const uint8_t *p,
                          uint32_t n)
{
    bool same = true;
    tcp_count(c->tcp, TCP_OVERLAP);
    while (n > 0) {
        while (seq_leq(end_of(chunk), seq))
            chunk = chunk->next;
        uint32_t k = tcp_min(n, end_of(chunk) - seq);
        same = same && memcmp(chunk->data + chunk->start + (seq - first_of(chunk)), p, k) == 0;
        seq += k;
        p += k;
        n -= k;
    }
    if (!same)
        tcp_count(c->tcp, TCP_OVERLAP_CONFLICT);
}

void tcp_reassembly_add(struct tcp_connection *c, uint32_t seq, const uint8_t *p, uint32_t n)
{
    struct chunk *before = NULL, *after = c->ooo_head;

    c->tcp->stamp++;
    if (after != NULL) {
        struct chunk *final = place_of(after)->final_block;
        if (seq_leq(block_end(final), seq)) {
            before = final;
            after = NULL;
        }
    }
    while (n > 0) {
        uint32_t k = n;
        while (after != NULL && seq_leq(block_end(after), seq)) {
            before = after;
            after = next_block(after);
        }
        if (after != NULL && seq_leq(first_of(after), seq)) {
            k = tcp_min(n, block_end(after) - seq);
            count_overlap(c, after, seq, p, k);
            place_of(after)->stamp = c->tcp->stamp;
        } else {
            if (after != NULL)
                k = tcp_min(n, first_of(after) - seq);
            bool adjacent = before != NULL && block_end(before) == seq;
            before = adjacent ? extend(c, before, seq) : insert_block(c, before, seq);
            if (before == NULL) {
                tcp_count(c->tcp, TCP_NO_BUFFER);
                return;
            }
            struct chunk *chunk = place_of(before)->last;
            k = tcp_min(k, CHUNK_BYTES - chunk->end);
            memcpy(chunk->data + chunk->end, p, k);
            chunk->end += k;
            place_of(before)->stamp = c->tcp->stamp;
            place_of(c->ooo_head)->bytes += k;
            if (after != NULL && block_end(before) == first_of(after)) {
                join(c, before);
                after = before; /* seen again: it may now reach farther than seq */
            }
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
    struct place *block = place_of(head);
    struct chunk *next = head->next;
    block->bytes -= head->end - head->start;
    if (block->last != head) { /* the next one speaks for the block */
        *place_of(next) = (struct place){
            .seq = first_of(next), .stamp = block->stamp, .n = block->n - 1, .last = block->last};
        if (block->final_block == head)
            block->final_block = next;
    }
    set_head(c, next);
    c->ooo_chunks--;
    head->start += tcp_min(c->rcv_nxt - first_of(head), head->end - head->start);
    head->next = NULL;
    return head;
}

void tcp_reassembly_compare(struct tcp_connection *c, uint32_t seq, const uint8_t *p, uint32_t n)
{
    for (struct chunk *block = c->ooo_head; block != NULL && n > 0; block = next_block(block)) {
        if (seq_leq(block_end(block), seq))
            continue;
        if (seq_lt(seq, first_of(block))) {
            uint32_t gap = first_of(block) - seq;
            if (gap >= n)
                return;
            seq += gap;
            p += gap;
            n -= gap;
        }
        uint32_t k = tcp_min(n, block_end(block) - seq);
        count_overlap(c, block, seq, p, k);
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
    for (struct chunk *block = c->ooo_head; block != NULL && max > 0;) {
        struct tcp_sack_block range = {.start = first_of(block), .end = block_end(block)};
        uint32_t stamp = place_of(block)->stamp;
        for (block = next_block(block); block != NULL && first_of(block) == range.end;
             block = next_block(block)) {
            range.end = block_end(block);
            stamp = seq_max(stamp, place_of(block)->stamp);
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
