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

void relay_drop_box(struct relay *r, struct relay_box **box)
{
    if (*box == NULL)
        return;
    if ((*box)->secret)
        explicit_bzero((*box)->data, (*box)->end);
    packet_buffer_put(r->all->buffers, *box);
    *box = NULL;
}

static struct relay_box *make_box(struct relay *r, size_t bytes)
{
    uint32_t given;
    if (bytes > PACKET_BUFFER_MAX - sizeof(struct relay_box))
        return NULL;
    struct relay_box *box =
        packet_buffer_get(r->all->buffers, (uint32_t)(sizeof(struct relay_box) + bytes), &given);
    if (box != NULL)
        *box = (struct relay_box){.capacity = given - (uint32_t)sizeof(struct relay_box)};
    return box;
}

bool relay_box_append(struct relay *r, struct relay_box **box, const uint8_t *p, size_t n)
{
    struct relay_box *old = *box;
    size_t held = old == NULL ? 0 : old->end - old->start;
    if (n == 0)
        return true;
    if (old == NULL || n > old->capacity - old->end) {
        struct relay_box *box_new = make_box(r, held + n);
        if (box_new == NULL)
            return false;
        if (old != NULL) {
            memcpy(box_new->data, old->data + old->start, held);
            box_new->end = (uint32_t)held;
            box_new->secret = old->secret;
            relay_drop_box(r, box);
        }
        *box = box_new;
    }
    memcpy((*box)->data + (*box)->end, p, n);
    (*box)->end += (uint32_t)n;
    return true;
}

uint32_t relay_waits(const struct relay_box *box)
{
    return box == NULL ? 0 : box->end - box->start;
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
    struct relay_box *later = to->later;
    if (later == NULL)
        return;
    to->later = NULL;
    bool good = relay_put(r, to, later->data + later->start, later->end - later->start);
    relay_drop_box(r, &later);
    if (!good)
        relay_end(r, OUTCOME_NO_RESOURCES);
}

void relay_flush_out(struct relay *r, struct relay_side *side)
{
    struct relay_box *box = side->out;
    if (side->stream == NULL)
        return;
    if (box != NULL) {
        size_t k = stream_write(side->stream, box->data + box->start, box->end - box->start);
        box->start += (uint32_t)k;
        if (k != 0)
            relay_wrote(r, side);
        if (box->start != box->end) {
            if (k != 0)
                side->stalled_since_us = 0;
            relay_stalled(r, side);
            return;
        }
        relay_drop_box(r, &side->out);
    }
    side->stalled_since_us = 0;
    if (side->finish && !side->finished) {
        side->finished = true;
        stream_finish(side->stream);
        relay_wrote(r, side);
    }
    relay_mark_resume(r, &r->device);
    relay_mark_resume(r, &r->upstream);
}
