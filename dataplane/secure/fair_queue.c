/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/fair_queue.h"

void fair_queue_init(struct fair_queue *queue, const uint8_t secret[16])
{
    queue->key = siphash_key_of(secret);
    queue->waiting = 0;
    TAILQ_INIT(&queue->turns);
    for (uint32_t i = 0; i < FAIR_QUEUE_LINES; i++) {
        TAILQ_INIT(&queue->lines[i].begun);
        TAILQ_INIT(&queue->lines[i].fresh);
    }
}

uint16_t fair_queue_line(const struct fair_queue *queue, const struct ip_address *source)
{
    if (source == NULL)
        return 0;
    uint64_t hash = siphash_2_4(queue->key, source->bytes, sizeof(source->bytes));
    return (uint16_t)(1 + hash % (FAIR_QUEUE_LINES - 1));
}

static bool line_empty(const struct fair_queue_line *line)
{
    return TAILQ_EMPTY(&line->begun) && TAILQ_EMPTY(&line->fresh);
}

void fair_queue_put(struct fair_queue *queue, struct fair_queue_entry *entry, bool begun)
{
    struct fair_queue_line *line = &queue->lines[entry->line & (FAIR_QUEUE_LINES - 1)];
    if (line_empty(line))
        TAILQ_INSERT_TAIL(&queue->turns, line, turn);
    entry->begun = begun;
    entry->queued = true;
    if (begun)
        TAILQ_INSERT_TAIL(&line->begun, entry, next);
    else
        TAILQ_INSERT_TAIL(&line->fresh, entry, next);
    queue->waiting++;
}

/* Out of its line, which keeps its place among the turns when it still has anything. */
static void leave(struct fair_queue *queue, struct fair_queue_entry *entry)
{
    struct fair_queue_line *line = &queue->lines[entry->line & (FAIR_QUEUE_LINES - 1)];
    if (entry->begun)
        TAILQ_REMOVE(&line->begun, entry, next);
    else
        TAILQ_REMOVE(&line->fresh, entry, next);
    entry->queued = false;
    queue->waiting--;
    if (line_empty(line))
        TAILQ_REMOVE(&queue->turns, line, turn);
}

struct fair_queue_entry *fair_queue_take(struct fair_queue *queue)
{
    struct fair_queue_line *line = TAILQ_FIRST(&queue->turns);
    if (line == NULL)
        return NULL;
    struct fair_queue_entry *entry = TAILQ_FIRST(&line->begun);
    if (entry == NULL)
        entry = TAILQ_FIRST(&line->fresh);
    leave(queue, entry);
    if (!line_empty(line)) {
        TAILQ_REMOVE(&queue->turns, line, turn);
        TAILQ_INSERT_TAIL(&queue->turns, line, turn);
    }
    return entry;
}

void fair_queue_remove(struct fair_queue *queue, struct fair_queue_entry *entry)
{
    if (entry->queued)
        leave(queue, entry);
}
