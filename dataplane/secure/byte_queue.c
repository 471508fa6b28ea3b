/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/byte_queue.h"

#include <assert.h>
#include <string.h>

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t byte_queue_room(const struct byte_queue *queue, const struct chunk_pool *pool, size_t limit)
{
    if (queue->bytes >= limit)
        return 0;
    size_t tail = queue->tail == NULL ? 0 : CHUNK_BYTES - queue->tail->end;
    return smaller(limit - queue->bytes, tail + (size_t)chunk_pool_free(pool) * CHUNK_BYTES);
}

size_t byte_queue_append(struct byte_queue *queue, struct chunk_pool *pool, const uint8_t *p, size_t n)
{
    size_t done = 0;
    while (done < n) {
        struct chunk *tail = queue->tail;
        if (tail == NULL || tail->end == CHUNK_BYTES) {
            struct chunk *chunk = chunk_get(pool);
            if (chunk == NULL)
                break;
            if (tail == NULL)
                queue->head = chunk;
            else
                tail->next = chunk;
            queue->tail = tail = chunk;
        }
        size_t piece = smaller(n - done, CHUNK_BYTES - tail->end);
        memcpy(tail->data + tail->end, p + done, piece);
        tail->end += (uint32_t)piece;
        done += piece;
    }
    queue->bytes += done;
    return done;
}

const uint8_t *byte_queue_front(const struct byte_queue *queue, size_t *n)
{
    const struct chunk *head = queue->head;
    *n = head == NULL ? 0 : head->end - head->start;
    return head == NULL ? NULL : head->data + head->start;
}

void byte_queue_peek(const struct byte_queue *queue, uint8_t *out, size_t n)
{
    assert(n <= queue->bytes);
    for (const struct chunk *chunk = queue->head; n > 0; chunk = chunk->next) {
        size_t piece = smaller(n, chunk->end - chunk->start);
        memcpy(out, chunk->data + chunk->start, piece);
        out += piece;
        n -= piece;
    }
}

void byte_queue_drop(struct byte_queue *queue, struct chunk_pool *pool, size_t n)
{
    assert(n <= queue->bytes);
    queue->bytes -= n;
    while (n > 0) {
        struct chunk *head = queue->head;
        size_t piece = smaller(n, head->end - head->start);
        head->start += (uint32_t)piece;
        n -= piece;
        if (head->start < head->end)
            break;
        queue->head = head->next;
        if (queue->head == NULL)
            queue->tail = NULL;
        chunk_put(pool, head);
    }
}

void byte_queue_clear(struct byte_queue *queue, struct chunk_pool *pool)
{
    byte_queue_drop(queue, pool, queue->bytes);
}
