/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/dial_queue.h"

#include <string.h>

void dial_queue_init(struct dial_queue *queue)
{
    memset(queue, 0, sizeof(*queue));
    for (uint32_t i = 0; i < DIAL_LINES; i++)
        TAILQ_INIT(&queue->lines[i].waiting);
}

static bool is_empty(const struct dial_line *line)
{
    return line->waiting_n == 0 && line->opening_n == 0;
}

/* The line of that name, else one that nobody is in, else the last. */
static uint32_t line_of(const struct dial_queue *queue, uint64_t name)
{
    uint32_t found = DIAL_LINES - 1;
    for (uint32_t i = DIAL_LINES; i-- > 0;) {
        if (is_empty(&queue->lines[i]))
            found = i;
        else if (queue->lines[i].name == name)
            return i;
    }
    return found;
}

static bool has_room(const struct dial_line *line)
{
    return line->bound == 0 || line->opening_n < line->bound;
}

bool dial_queue_enter(struct dial_queue *queue, struct dial_place *place, uint64_t name, uint32_t bound)
{
    dial_queue_leave(queue, place);
    place->line = (uint8_t)line_of(queue, name);
    struct dial_line *line = &queue->lines[place->line];
    if (is_empty(line))
        line->name = name;
    line->bound = bound;
    if (line->waiting_n == 0 && has_room(line)) {
        place->state = DIAL_OPENING;
        line->opening_n++;
        return true;
    }
    place->state = DIAL_WAITING;
    TAILQ_INSERT_TAIL(&line->waiting, place, next);
    line->waiting_n++;
    queue->waiting_n++;
    return false;
}

static void stop_waiting(struct dial_queue *queue, struct dial_place *place)
{
    struct dial_line *line = &queue->lines[place->line];
    TAILQ_REMOVE(&line->waiting, place, next);
    line->waiting_n--;
    queue->waiting_n--;
}

void dial_queue_leave(struct dial_queue *queue, struct dial_place *place)
{
    if (place->state == DIAL_WAITING)
        stop_waiting(queue, place);
    else if (place->state == DIAL_OPENING)
        queue->lines[place->line].opening_n--;
    place->state = DIAL_AWAY;
}

void dial_queue_bound(struct dial_queue *queue, const struct dial_place *place, uint32_t bound)
{
    if (place->state != DIAL_AWAY)
        queue->lines[place->line].bound = bound;
}

struct dial_place *dial_queue_next(struct dial_queue *queue)
{
    for (uint32_t i = 0; queue->waiting_n != 0 && i < DIAL_LINES; i++) {
        struct dial_line *line = &queue->lines[queue->turn];
        struct dial_place *place = TAILQ_FIRST(&line->waiting);
        queue->turn = (queue->turn + 1) % DIAL_LINES;
        if (place == NULL || !has_room(line))
            continue;
        stop_waiting(queue, place);
        place->state = DIAL_OPENING;
        line->opening_n++;
        return place;
    }
    return NULL;
}
