/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose turn it is to be connected to an upstream (A7, B6): of all that come at once, so many at a time.
 *
 * A server takes only so many connections that it has not got to yet (its listen queue); what is beyond that
 * it loses. So each upstream has a line: a place in it is opening (connecting, or in the TLS handshake) or
 * waits, in order of arrival, until fewer than `bound` are opening. An upstream's servers share its line: a
 * place that goes on to the next server after a failure keeps its turn. Lines are known by the digest of the
 * upstream's name, so that they outlive a reload; when there are more names than lines, the last line is
 * shared.
 *
 * Nothing is allocated; places lie in what waits. One per worker, no locks.
 */
#ifndef GATEWAY_DIAL_QUEUE_H
#define GATEWAY_DIAL_QUEUE_H

#include "config/gateway_config.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define DIAL_LINES (2 * GATEWAY_UPSTREAMS_MAX) /* those of a configuration, and what is left of the last */

enum dial_state {
    DIAL_AWAY = 0, /* in no line: all zero is a good place */
    DIAL_WAITING,
    DIAL_OPENING,
};

struct dial_place {
    TAILQ_ENTRY(dial_place) next;
    uint8_t line;
    uint8_t state; /* enum dial_state */
};

struct dial_line {
    TAILQ_HEAD(, dial_place) waiting;
    uint64_t name;
    uint32_t waiting_n;
    uint32_t opening_n;
    uint32_t bound; /* 0: none */
};

struct dial_queue {
    uint32_t waiting_n; /* in all lines */
    uint32_t turn;      /* the line that is asked first */
    struct dial_line lines[DIAL_LINES];
};

void dial_queue_init(struct dial_queue *queue);
/* Enters the upstream's line; true when it is its turn at once, which makes it one that is opening. */
bool dial_queue_enter(struct dial_queue *queue, struct dial_place *place, uint64_t name, uint32_t bound);
/* It is open, has failed, or waits no more. Twice is once. */
void dial_queue_leave(struct dial_queue *queue, struct dial_place *place);
/* What a new configuration says of the line of one that is in it. */
void dial_queue_bound(struct dial_queue *queue, const struct dial_place *place, uint32_t bound);
/* The next whose turn it is, which makes it one that is opening; NULL: nobody's. Lines take turns. */
struct dial_place *dial_queue_next(struct dial_queue *queue);

#endif
