/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A queue of bytes in chunks: what waits between TLS and its two sides.
 *
 * Belongs to one worker, like the pool its chunks come from. Empty, it holds no chunk. A zeroed structure is
 * an empty queue. Bytes are appended behind and dropped in front; nothing is moved meanwhile.
 */
#ifndef DATAPLANE_SECURE_BYTE_QUEUE_H
#define DATAPLANE_SECURE_BYTE_QUEUE_H

#include "dataplane/chunk.h"

#include <stddef.h>
#include <stdint.h>

struct byte_queue {
    struct chunk *head;
    struct chunk *tail;
    size_t bytes;
};

/* How many more bytes fit when the queue may hold `limit` and the pool has what it has. */
size_t byte_queue_room(const struct byte_queue *queue, const struct chunk_pool *pool, size_t limit);
/* Appends up to n bytes; answers how many: fewer when the pool is exhausted. */
size_t byte_queue_append(struct byte_queue *queue, struct chunk_pool *pool, const uint8_t *p, size_t n);
/* The first bytes that lie together, and how many they are; NULL when empty. */
const uint8_t *byte_queue_front(const struct byte_queue *queue, size_t *n);
/* Copies the first n bytes; n is at most queue->bytes. */
void byte_queue_peek(const struct byte_queue *queue, uint8_t *out, size_t n);
/* Removes the first n bytes; n is at most queue->bytes. */
void byte_queue_drop(struct byte_queue *queue, struct chunk_pool *pool, size_t n);
void byte_queue_clear(struct byte_queue *queue, struct chunk_pool *pool);

#endif
