/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who comes next when handshakes wait for a thread (B6): sources in turn, one step each.
 *
 * Stochastic fair queueing (McKenney, 1990): a source's address is hashed under a secret to one of a fixed
 * number of lines; lines that have anything are served in turn. A source with a thousand handshakes waiting
 * delays another by one step for each line, not by a thousand; two sources share a line only by chance, which
 * nobody outside can bring about. Within a line steps of handshakes that have begun go before first steps, so
 * that under overload some finish instead of all running out of time. The gateway's own handshakes (checks of
 * servers) have a line of their own.
 *
 * Fixed memory, no allocation; entries are part of what waits. Owned by one worker.
 */
#ifndef DATAPLANE_SECURE_FAIR_QUEUE_H
#define DATAPLANE_SECURE_FAIR_QUEUE_H

#include "dataplane/address.h"
#include "dataplane/siphash.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define FAIR_QUEUE_LINES 512u /* power of two; line 0 is the gateway's own */

struct fair_queue_entry {
    TAILQ_ENTRY(fair_queue_entry) next;
    uint16_t line;
    bool begun;
    bool queued;
};
TAILQ_HEAD(fair_queue_entries, fair_queue_entry);

struct fair_queue_line {
    TAILQ_ENTRY(fair_queue_line) turn; /* while it has anything */
    struct fair_queue_entries begun;
    struct fair_queue_entries fresh;
};
TAILQ_HEAD(fair_queue_lines, fair_queue_line);

struct fair_queue {
    struct siphash_key key;
    struct fair_queue_lines turns; /* whose turn is next comes first */
    uint32_t waiting;
    struct fair_queue_line lines[FAIR_QUEUE_LINES];
};

/* `secret` keeps outsiders from choosing who shares a line. */
void fair_queue_init(struct fair_queue *queue, const uint8_t secret[16]);
/* The line of a source; NULL: the gateway itself. */
uint16_t fair_queue_line(const struct fair_queue *queue, const struct ip_address *source);
/* Joins `entry->line`, which the caller has set, behind its like. It must not be queued. */
void fair_queue_put(struct fair_queue *queue, struct fair_queue_entry *entry, bool begun);
/* The next one, no longer queued; NULL when nobody waits. */
struct fair_queue_entry *fair_queue_take(struct fair_queue *queue);
/* It waits no longer; nothing happens when it did not. */
void fair_queue_remove(struct fair_queue *queue, struct fair_queue_entry *entry);
static inline uint32_t fair_queue_waiting(const struct fair_queue *queue)
{
    return queue->waiting;
}

#endif
