/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/coap_body.h"

#include <stdlib.h>

#define FIRST_BYTES 2048

struct body {
    uint64_t name; /* 0: free */
    struct slab_handle leg;
    uint64_t heard_us;
    uint8_t *bytes;
    uint32_t len;
    uint32_t room;
};

struct coap_bodies {
    struct packet_buffers *buffers;
    uint32_t used;
    struct body at[COAP_BODIES];
};

struct coap_bodies *coap_bodies_create(struct packet_buffers *buffers)
{
    struct coap_bodies *bodies = calloc(1, sizeof(*bodies));
    if (bodies != NULL)
        bodies->buffers = buffers;
    return bodies;
}

static void release(struct coap_bodies *bodies, struct body *body)
{
    if (body->bytes != NULL)
        packet_buffer_put(bodies->buffers, body->bytes);
    *body = (struct body){.name = 0};
    bodies->used--;
}

void coap_bodies_destroy(struct coap_bodies *bodies)
{
    if (bodies == NULL)
        return;
    for (uint32_t i = 0; i < COAP_BODIES; i++)
        if (bodies->at[i].name != 0)
            release(bodies, &bodies->at[i]);
    free(bodies);
}

static bool is_of(const struct body *body, struct slab_handle leg, uint64_t name)
{
    return body->name == name && body->leg.index == leg.index && body->leg.generation == leg.generation;
}

static struct body *find(struct coap_bodies *bodies, struct slab_handle leg, uint64_t name)
{
    for (uint32_t i = 0; i < COAP_BODIES && bodies->used > 0; i++)
        if (is_of(&bodies->at[i], leg, name))
            return &bodies->at[i];
    return NULL;
}

static bool silent(const struct body *body, uint64_t now_us)
{
    return now_us - body->heard_us > COAP_TRANSFER_SILENCE_US;
}

static struct body *begin(struct coap_bodies *bodies, struct slab_handle leg, uint64_t name, uint64_t now_us)
{
    struct body *place = NULL;
    for (uint32_t i = 0; i < COAP_BODIES && place == NULL; i++)
        if (bodies->at[i].name == 0)
            place = &bodies->at[i];
    if (place == NULL) {
        coap_bodies_expire(bodies, now_us);
        if (bodies->used == COAP_BODIES)
            return NULL;
        return begin(bodies, leg, name, now_us);
    }
    *place = (struct body){.name = name, .leg = leg, .heard_us = now_us};
    bodies->used++;
    return place;
}

static bool make_room(struct coap_bodies *bodies, struct body *body, uint32_t most)
{
    uint32_t room, want = body->room < FIRST_BYTES / 2 ? FIRST_BYTES : body->room * 2;
    if (most <= body->room)
        return true;
    uint8_t *bigger = packet_buffer_get(bodies->buffers, want < most ? most : want, &room);
    if (bigger == NULL)
        return false;
    if (body->bytes != NULL) {
        memcpy(bigger, body->bytes, body->len);
        packet_buffer_put(bodies->buffers, body->bytes);
    }
    body->bytes = bigger;
    body->room = room;
    return true;
}

enum coap_body_result coap_body_add(struct coap_bodies *bodies, struct slab_handle leg, uint64_t name,
                                    const struct coap_block *block, struct bytes payload, uint64_t now_us,
                                    struct bytes *out)
{
    uint64_t from = (uint64_t)block->number * block->bytes;
    struct body *body = find(bodies, leg, name);
    if (block->number == 0 && body != NULL) { /* it begins anew */
        release(bodies, body);
        body = NULL;
    }
    if (from + payload.len > COAP_MQTT_MESSAGE_BYTES)
        return COAP_BODY_TOO_LARGE;
    if (block->number == 0)
        body = begin(bodies, leg, name, now_us);
    if (body == NULL)
        return block->number == 0 ? COAP_BODY_NO_ROOM : COAP_BODY_INCOMPLETE;
    if (from > body->len)
        return COAP_BODY_INCOMPLETE;
    if (!make_room(bodies, body, (uint32_t)(from + payload.len)))
        return COAP_BODY_NO_ROOM;
    if (payload.len != 0)
        memcpy(body->bytes + from, payload.at, payload.len);
    body->heard_us = now_us;
    if (from + payload.len > body->len)
        body->len = (uint32_t)(from + payload.len);
    if (block->more)
        return COAP_BODY_MORE;
    *out = bytes_of(body->bytes, (size_t)from + payload.len);
    return COAP_BODY_WHOLE;
}

void coap_body_drop(struct coap_bodies *bodies, struct slab_handle leg, uint64_t name)
{
    struct body *body = find(bodies, leg, name);
    if (body != NULL)
        release(bodies, body);
}

void coap_bodies_expire(struct coap_bodies *bodies, uint64_t now_us)
{
    for (uint32_t i = 0; i < COAP_BODIES && bodies->used > 0; i++)
        if (bodies->at[i].name != 0 && silent(&bodies->at[i], now_us))
            release(bodies, &bodies->at[i]);
}

uint32_t coap_bodies_used(const struct coap_bodies *bodies)
{
    return bodies->used;
}
