/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/mqtt/frame.h"

#include <assert.h>

#include "policy/mqtt/packet_parse.h"

enum state {
    STATE_HEADER = 0, /* between packets, or in the fixed header */
    STATE_BODY,       /* the header is whole, the packet (or the head of a PUBLISH) is not */
    STATE_PAYLOAD,    /* the head was handed out, the payload streams */
    STATE_HOLD,       /* a PUBLISH is gathered whole, by request */
    STATE_FAULT,
};

/* The least that is asked for, so that a packet that drips in does not ask at every byte. */
#define LEND_BYTES_MIN 256u

void mqtt_framer_init(struct mqtt_framer *f, enum mqtt_sender sender, enum mqtt_version version,
                      uint32_t packet_limit_bytes, uint32_t head_limit_bytes)
{
    *f = (struct mqtt_framer){
        .sender = sender,
        .version = version,
        .packet_limit_bytes = packet_limit_bytes,
        .head_limit_bytes = head_limit_bytes,
    };
}

static enum mqtt_step fault(struct mqtt_framer *f, enum outcome outcome)
{
    f->fault = outcome;
    f->state = STATE_FAULT;
    return MQTT_STEP_FAULT;
}

static enum mqtt_type type_of(const struct mqtt_framer *f)
{
    return f->header[0] >> 4;
}

static void begin_next(struct mqtt_framer *f)
{
    f->state = STATE_HEADER;
    f->header_len = 0;
    f->gathered = 0;
}

static enum outcome decode(const struct mqtt_framer *f, struct bytes body, struct mqtt_packet *out)
{
    return mqtt_packet_decode(out, type_of(f), f->header[0] & 0x0F, body, f->remaining_length, f->version,
                              f->sender, f->utf8);
}

/* True when it can be handed out. */
static bool stands(const struct mqtt_framer *f, enum outcome outcome, const struct mqtt_packet *out)
{
    return outcome == OUTCOME_ALLOWED || (f->pass_defects && out->defect == outcome);
}

static enum mqtt_step hand_out(struct mqtt_framer *f, struct bytes body, struct mqtt_packet *out)
{
    enum outcome outcome = decode(f, body, out);
    if (!stands(f, outcome, out))
        return fault(f, outcome);
    begin_next(f);
    return MQTT_STEP_PACKET;
}

/* ---- fixed header ------------------------------------------------------------------------------------- */

/* What can be said when the length is known: MQTT_STEP_PACKET to go on with the body. */
static enum mqtt_step judge_length(struct mqtt_framer *f)
{
    if (f->remaining_length > f->packet_limit_bytes ||
        f->header_len > f->packet_limit_bytes - f->remaining_length)
        return fault(f, OUTCOME_PACKET_TOO_LARGE);
    if (type_of(f) != MQTT_PUBLISH && f->remaining_length > f->head_limit_bytes)
        return fault(f, OUTCOME_PACKET_TOO_LARGE);
    f->state = STATE_BODY;
    return MQTT_STEP_PACKET;
}

/* Byte by byte, so that each is judged when it comes. */
static enum mqtt_step take_header(struct mqtt_framer *f, struct cursor *in)
{
    uint8_t byte;
    while (cursor_u8(in, &byte) == READ_OK) {
        f->header[f->header_len++] = byte;
        if (f->header_len == 1) {
            enum outcome outcome = mqtt_header_check(byte, f->version, f->sender);
            if (outcome != OUTCOME_ALLOWED)
                return fault(f, outcome);
            continue;
        }
        struct cursor length = cursor_of(bytes_of(f->header + 1, f->header_len - 1u));
        switch (cursor_vbi(&length, &f->remaining_length)) {
        case READ_MALFORMED:
            return fault(f, OUTCOME_MALFORMED_LENGTH);
        case READ_NEED_MORE:
            continue;
        case READ_OK:
            return judge_length(f);
        }
    }
    return MQTT_STEP_NEED_MORE;
}

/* ---- gathering ---------------------------------------------------------------------------------------- */

/*
 * Copies from `in` until `goal` bytes are gathered: MQTT_STEP_PACKET then. Room is asked for by what came,
 * not by what a header announces: twice as much as there is, never beyond `ceiling`.
 */
static enum mqtt_step gather(struct mqtt_framer *f, struct cursor *in, uint32_t goal, uint32_t ceiling)
{
    uint32_t missing = goal - f->gathered;
    size_t left = cursor_left(in);
    uint32_t take = left < missing ? (uint32_t)left : missing;
    if (take != 0) {
        uint32_t need = f->gathered + take;
        if (f->capacity < need) {
            uint32_t want = need < LEND_BYTES_MIN / 2 ? LEND_BYTES_MIN : 2 * need;
            f->want = want < ceiling ? want : ceiling;
            return MQTT_STEP_NEED_BUFFER;
        }
        memcpy(f->buffer + f->gathered, in->at, take);
        in->at += take;
        f->gathered = need;
    }
    return take == missing ? MQTT_STEP_PACKET : MQTT_STEP_NEED_MORE;
}

static struct bytes gathered_bytes(const struct mqtt_framer *f)
{
    return bytes_of(f->buffer, f->gathered);
}

static enum mqtt_step gather_whole(struct mqtt_framer *f, struct cursor *in, struct mqtt_packet *out)
{
    enum mqtt_step step = gather(f, in, f->remaining_length, f->remaining_length);
    return step == MQTT_STEP_PACKET ? hand_out(f, gathered_bytes(f), out) : step;
}

void mqtt_framer_lend(struct mqtt_framer *f, uint8_t *buffer, uint32_t capacity)
{
    assert(capacity >= f->gathered);
    if (f->gathered != 0)
        memcpy(buffer, f->buffer, f->gathered);
    f->buffer = buffer;
    f->capacity = capacity;
}

uint8_t *mqtt_framer_reclaim(struct mqtt_framer *f)
{
    uint8_t *buffer = f->buffer;
    f->buffer = NULL;
    f->capacity = 0;
    f->gathered = 0;
    return buffer;
}

bool mqtt_framer_idle(const struct mqtt_framer *f)
{
    return f->state == STATE_HEADER && f->header_len == 0;
}

/* ---- PUBLISH ------------------------------------------------------------------------------------------ */

/* The head is whole in `head`; the payload goes on in `in`. */
static enum mqtt_step hand_out_publish(struct mqtt_framer *f, struct bytes head, struct cursor *in,
                                       struct mqtt_packet *out)
{
    enum outcome outcome = decode(f, head, out);
    if (!stands(f, outcome, out))
        return fault(f, outcome);
    size_t left = cursor_left(in);
    uint32_t payload = out->publish.payload_bytes;
    uint32_t part = left < payload ? (uint32_t)left : payload;
    (void)cursor_bytes(in, part, &out->publish.payload);
    f->payload_left = payload - part;
    if (f->payload_left == 0) {
        begin_next(f);
        return MQTT_STEP_PACKET;
    }
    /* For mqtt_framer_hold: what was just taken of `in`. A head that was gathered is ours already. */
    f->taken = (uint32_t)(f->gathered != 0 ? part : head.len + part);
    f->may_hold = true;
    f->state = STATE_PAYLOAD;
    return MQTT_STEP_PUBLISH;
}

/*
 * Topic and identifier are known and the properties cannot be read: handed out all the same where the caller
 * asked for it, with everything behind the identifier as the rest of a payload that nobody will read.
 */
static enum mqtt_step hand_out_defective(struct mqtt_framer *f, const struct mqtt_publish_head *head,
                                         struct cursor *in, struct mqtt_packet *out)
{
    struct bytes named;
    if (head->named == 0)
        return fault(f, head->fault);
    enum outcome outcome =
        mqtt_publish_defective(out, head, f->header[0] & 0x0F, f->version, f->remaining_length);
    if (!stands(f, outcome, out))
        return fault(f, outcome);
    if (f->gathered == 0)
        (void)cursor_bytes(in, head->named, &named);
    uint32_t taken = f->gathered != 0 ? f->gathered : head->named;
    size_t left = cursor_left(in);
    uint32_t rest = f->remaining_length - taken;
    uint32_t part = left < rest ? (uint32_t)left : rest;
    (void)cursor_bytes(in, part, &out->publish.payload);
    f->payload_left = rest - part;
    f->may_hold = false;
    if (f->payload_left == 0) {
        begin_next(f);
        return MQTT_STEP_PACKET;
    }
    f->state = STATE_PAYLOAD;
    return MQTT_STEP_PUBLISH;
}

static enum read_result read_head(struct mqtt_framer *f, struct bytes at_hand, struct mqtt_publish_head *head)
{
    return mqtt_publish_head_parse(head, at_hand, f->header[0] & 0x0F, f->version, f->remaining_length,
                                   f->head_limit_bytes);
}

static enum mqtt_step take_publish(struct mqtt_framer *f, struct cursor *in, struct mqtt_packet *out)
{
    uint32_t ceiling = f->remaining_length < f->head_limit_bytes ? f->remaining_length : f->head_limit_bytes;
    struct mqtt_publish_head head;
    if (f->gathered == 0) {
        struct bytes at_hand = bytes_of(in->at, cursor_left(in));
        switch (read_head(f, at_hand, &head)) {
        case READ_MALFORMED:
            return hand_out_defective(f, &head, in, out);
        case READ_OK:
            (void)cursor_bytes(in, head.bytes, &at_hand);
            return hand_out_publish(f, at_hand, in, out);
        case READ_NEED_MORE:
            break;
        }
    }
    for (;;) {
        switch (read_head(f, gathered_bytes(f), &head)) {
        case READ_MALFORMED:
            return hand_out_defective(f, &head, in, out);
        case READ_OK:
            return hand_out_publish(f, gathered_bytes(f), in, out);
        case READ_NEED_MORE:
            break;
        }
        enum mqtt_step step = gather(f, in, head.bytes, ceiling);
        if (step != MQTT_STEP_PACKET)
            return step;
    }
}

static enum mqtt_step take_payload(struct mqtt_framer *f, struct cursor *in, struct mqtt_packet *out)
{
    size_t left = cursor_left(in);
    uint32_t part = left < f->payload_left ? (uint32_t)left : f->payload_left;
    if (part == 0)
        return MQTT_STEP_NEED_MORE;
    (void)cursor_bytes(in, part, &out->publish.payload);
    f->may_hold = false;
    f->payload_left -= part;
    if (f->payload_left == 0)
        begin_next(f);
    return MQTT_STEP_PAYLOAD;
}

void mqtt_framer_hold(struct mqtt_framer *f, struct cursor *in)
{
    assert(f->state == STATE_PAYLOAD && f->may_hold);
    in->at -= f->taken;
    f->may_hold = false;
    f->payload_left = 0;
    f->state = STATE_HOLD;
}

/* ---- steps -------------------------------------------------------------------------------------------- */

static enum mqtt_step take_body(struct mqtt_framer *f, struct cursor *in, struct mqtt_packet *out)
{
    bool publish = type_of(f) == MQTT_PUBLISH;
    /* A PUBLISH longer than a head may be has its head measured first. */
    if (f->gathered == 0 && cursor_left(in) >= f->remaining_length &&
        (!publish || f->remaining_length <= f->head_limit_bytes)) {
        struct bytes body;
        (void)cursor_bytes(in, f->remaining_length, &body);
        return hand_out(f, body, out);
    }
    return publish ? take_publish(f, in, out) : gather_whole(f, in, out);
}

/*
 * The common case, a packet that lies whole in the slice between two packets, without a trace in the framer.
 * On anything else false, nothing is taken, and the general way decides.
 */
static inline bool take_whole(struct mqtt_framer *f, struct cursor *in, struct mqtt_packet *out,
                              enum outcome *outcome)
{
    struct cursor c = *in;
    struct bytes body;
    uint8_t first;
    uint32_t length;
    if (cursor_u8(&c, &first) != READ_OK || cursor_vbi(&c, &length) != READ_OK ||
        cursor_bytes(&c, length, &body) != READ_OK)
        return false;
    if ((size_t)(c.at - in->at) > f->packet_limit_bytes || length > f->head_limit_bytes)
        return false;
    in->at = c.at;
    *outcome =
        mqtt_packet_decode(out, first >> 4, first & 0x0F, body, length, f->version, f->sender, f->utf8);
    return true;
}

enum mqtt_step mqtt_framer_next(struct mqtt_framer *f, struct cursor *in, struct mqtt_packet *out)
{
    enum outcome outcome;
    enum mqtt_step step;
    switch ((enum state)f->state) {
    case STATE_HEADER:
        if (f->header_len == 0 && take_whole(f, in, out, &outcome))
            return stands(f, outcome, out) ? MQTT_STEP_PACKET : fault(f, outcome);
        step = take_header(f, in);
        return step == MQTT_STEP_PACKET ? take_body(f, in, out) : step;
    case STATE_BODY:
        return take_body(f, in, out);
    case STATE_PAYLOAD:
        return take_payload(f, in, out);
    case STATE_HOLD:
        return gather_whole(f, in, out);
    case STATE_FAULT:
        break;
    }
    return MQTT_STEP_FAULT;
}
