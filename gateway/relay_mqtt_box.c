/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is written to a side, and what has to wait for it: in order, and never inside a message that is
 * passing. */
#include "gateway/relay_mqtt_private.h"

void relay_wrote(struct relay *r, struct relay_side *to)
{
    to->dirty = true;
    if (to == &r->upstream)
        r->last_upstream_us = relay_now(r);
    relay_list(r);
}

void relay_stalled(struct relay *r, struct relay_side *to)
{
    if (to->stalled_since_us == 0) {
        to->stalled_since_us = relay_now(r);
        r->all->counters.count[RELAY_BACK_PRESSURE]++;
        relay_arm(r);
    }
}

/* ---- what waits --------------------------------------------------------------------------------------- */

static void drop_first(struct relay *r, struct relay_box **box)
{
    struct relay_box *first = *box;
    *box = first->next;
    if (first->secret)
        explicit_bzero(first->data, first->end);
    if (first->data != first->room)
        packet_buffer_put(r->all->buffers, first->data);
    packet_buffer_put(r->all->buffers, first);
}

void relay_drop_box(struct relay *r, struct relay_box **box)
{
    while (*box != NULL)
        drop_first(r, box);
}

static struct relay_box **end_of(struct relay_box **box)
{
    while (*box != NULL)
        box = &(*box)->next;
    return box;
}

/* A new one behind the others. */
static struct relay_box *add_box(struct relay *r, struct relay_box **box, size_t bytes)
{
    uint32_t given;
    if (bytes > PACKET_BUFFER_MAX - sizeof(struct relay_box))
        return NULL;
    struct relay_box *added =
        packet_buffer_get(r->all->buffers, (uint32_t)(sizeof(struct relay_box) + bytes), &given);
    if (added == NULL)
        return NULL;
    *added = (struct relay_box){.data = added->room, .capacity = given - (uint32_t)sizeof(struct relay_box)};
    *end_of(box) = added;
    return added;
}

bool relay_box_append(struct relay *r, struct relay_box **box, const uint8_t *p, size_t n)
{
    struct relay_box *last = *box;
    if (n == 0)
        return true;
    while (last != NULL && last->next != NULL)
        last = last->next;
    if (last == NULL || n > last->capacity - last->end)
        last = add_box(r, box, n);
    if (last == NULL)
        return false;
    memcpy(last->data + last->end, p, n);
    last->end += (uint32_t)n;
    return true;
}

bool relay_box_adopt(struct relay *r, struct relay_box **box, struct relay_side *from, struct bytes part)
{
    struct relay_box *added = add_box(r, box, 0);
    if (added == NULL)
        return false;
    added->start = (uint32_t)(part.at - from->framer.buffer);
    added->end = added->capacity = added->start + (uint32_t)part.len; /* nothing more goes into it */
    added->data = mqtt_framer_reclaim(&from->framer);
    return true;
}

uint32_t relay_waits(const struct relay_box *box)
{
    uint32_t bytes = 0;
    for (; box != NULL; box = box->next)
        bytes += box->end - box->start;
    return bytes;
}

/* Writes what waits, as far as it goes; true when nothing is left. */
static bool write_boxes(struct relay *r, struct relay_side *side)
{
    while (side->out != NULL) {
        struct relay_box *box = side->out;
        size_t k = stream_write(side->stream, box->data + box->start, box->end - box->start);
        box->start += (uint32_t)k;
        if (k != 0)
            relay_wrote(r, side);
        if (box->start != box->end) {
            if (k != 0)
                side->stalled_since_us = 0;
            relay_stalled(r, side);
            return false;
        }
        drop_first(r, &side->out);
    }
    return true;
}

/* True while a message from the other side is on its way to `to`: no other packet may go between. */
static bool is_passing_to(struct relay *r, const struct relay_side *to)
{
    return relay_other(r, to)->payload == RELAY_PAYLOAD_PASS;
}

/* Bytes that come next for this side, all in order. */
bool relay_put(struct relay *r, struct relay_side *to, const uint8_t *p, size_t n)
{
    size_t k = 0;
    if (to->finished) /* it has been told that nothing more comes */
        return true;
    if (to->out == NULL && to->stream != NULL) {
        k = stream_write(to->stream, p, n);
        if (k != 0)
            relay_wrote(r, to);
    }
    if (k == n)
        return true;
    if (to->stream != NULL)
        relay_stalled(r, to);
    return relay_box_append(r, &to->out, p + k, n - k);
}

bool relay_send(struct relay *r, struct relay_side *to, const uint8_t *packet, size_t n)
{
    if (is_passing_to(r, to))
        return relay_box_append(r, &to->later, packet, n);
    return relay_put(r, to, packet, n);
}

/* The message that was passing to `to` is over: what had to wait for that follows. */
void relay_release_later(struct relay *r, struct relay_side *to)
{
    if (to->later == NULL)
        return;
    bool idle = to->out == NULL;
    *end_of(&to->out) = to->later;
    to->later = NULL;
    if (idle && to->stream != NULL)
        (void)write_boxes(r, to);
}

void relay_flush_out(struct relay *r, struct relay_side *side)
{
    if (side->stream == NULL || !write_boxes(r, side))
        return;
    side->stalled_since_us = 0;
    if (side->finish && !side->finished) {
        side->finished = true;
        stream_finish(side->stream);
        relay_wrote(r, side);
    }
    relay_mark_resume(r, &r->device);
    relay_mark_resume(r, &r->upstream);
}
