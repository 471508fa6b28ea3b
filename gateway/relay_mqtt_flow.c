/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes between the two sides of a relay: framing, judging, rebuilding, back pressure. */
#include "gateway/relay_mqtt_private.h"

/* Payloads up to this are copied behind their head: cheaper than a second write. */
#define JOINED_BYTES_MAX 512

/* What a side offers: the slice, and how far it was taken. */
struct offer {
    struct cursor in;
    const uint8_t *begin;
    const uint8_t *counted; /* taken and counted up to here */
};

static void count_bytes(struct relay *r, const struct relay_side *from, struct offer *offer)
{
    size_t n = (size_t)(offer->in.at - offer->counted);
    offer->counted = offer->in.at;
    if (from == &r->device) {
        r->all->counters.count[RELAY_BYTES_UP] += n;
        mqtt_guard_took(&r->guard, n);
    } else {
        r->all->counters.count[RELAY_BYTES_DOWN] += n;
    }
}

static enum mqtt_sender sender_of(const struct relay *r, const struct relay_side *from)
{
    return relay_is_device(r, from) ? MQTT_FROM_CLIENT : MQTT_FROM_SERVER;
}

/* ---- answers ------------------------------------------------------------------------------------------ */

static bool send_answer(struct relay *r, struct relay_side *to, const struct guard_answer *answer)
{
    uint8_t *scratch = r->all->scratch;
    enum mqtt_version version = (enum mqtt_version)r->version;
    size_t n =
        answer->type == MQTT_PINGRESP ? mqtt_build_ping(scratch, RELAY_SCRATCH_BYTES, MQTT_PINGRESP)
        : answer->type == MQTT_SUBACK || answer->type == MQTT_UNSUBACK
            ? mqtt_build_suback(scratch, RELAY_SCRATCH_BYTES, version, answer->type, answer->id,
                                r->all->workspace.codes, answer->n)
            : mqtt_build_ack(scratch, RELAY_SCRATCH_BYTES, version, answer->type, answer->id, answer->code);
    return n != 0 && relay_send(r, to, scratch, n);
}

/* Answers of ours whose turn has come, to the publisher on `to`. */
static void release_answers(struct relay *r, struct relay_side *to)
{
    struct guard_answer answer;
    while (mqtt_guard_holds(&r->guard, sender_of(r, to)) &&
           mqtt_guard_release(&r->guard, sender_of(r, to), &answer))
        if (!send_answer(r, to, &answer)) {
            relay_end(r, OUTCOME_NO_RESOURCES);
            return;
        }
}

/* ---- payloads ----------------------------------------------------------------------------------------- */

static void payload_is_over(struct relay *r, struct relay_side *from)
{
    bool passed = from->payload == RELAY_PAYLOAD_PASS;
    from->payload = RELAY_PAYLOAD_NONE;
    if (passed)
        relay_release_later(r, relay_other(r, from));
}

/*
 * Passes a part of a payload on. What the other side does not take now is given back to the slice it came
 * from and will be offered again, past the framer, which has counted it. A part that lies in a buffer of ours
 * waits there, and the buffer goes with it.
 */
static bool pass_payload(struct relay *r, struct relay_side *from, struct offer *offer, struct bytes part)
{
    struct relay_side *to = relay_other(r, from);
    bool in_slice = part.at >= offer->begin && part.at + part.len == offer->in.at;
    size_t k = 0;
    if (part.len != 0 && to->out == NULL) {
        k = stream_write(to->stream, part.at, part.len);
        if (k != 0)
            relay_wrote(r, to);
    }
    if (k == part.len)
        return true;
    relay_stalled(r, to);
    if (!in_slice)
        return relay_box_adopt(r, &to->out, from, bytes_of(part.at + k, part.len - k));
    offer->in.at -= part.len - k;
    from->raw_left = (uint32_t)(part.len - k);
    return true;
}

/* The rest of a part that was given back. */
static void pass_raw(struct relay *r, struct relay_side *from, struct cursor *in)
{
    struct relay_side *to = relay_other(r, from);
    size_t left = cursor_left(in);
    size_t part = left < from->raw_left ? left : from->raw_left;
    if (to->out != NULL || to->stream == NULL)
        return;
    size_t k = stream_write(to->stream, in->at, part);
    if (k != 0)
        relay_wrote(r, to);
    in->at += k;
    from->raw_left -= (uint32_t)k;
    if (k < part)
        relay_stalled(r, to);
    else
        to->stalled_since_us = 0;
    if (from->raw_left == 0 && from->framer.payload_left == 0)
        payload_is_over(r, from);
}

/* ---- one packet --------------------------------------------------------------------------------------- */

/* True when the other side's next packets may have been waiting for this one. */
static void passed_on(struct relay *r, struct relay_side *from, const struct guard_verdict *v)
{
    if (v->record == 0)
        return;
    struct relay_side *other = relay_other(r, from);
    release_answers(r, other);
    if (r->release_due_us == 0 && mqtt_guard_unreleased(&r->guard))
        relay_await_release(r);
    if (other->blocked && other->wait_until_us == 0)
        relay_mark_resume(r, other);
    if (r->revoke && from == &r->upstream)
        relay_revoke(r);
}

/* Whether a server says of itself that it cannot serve: the next client is to try another [MQTT 5
 * s.2.4, 3.1.1 s.3.2.2.3]. Nothing that a device could bring about by what it does. */
static bool server_is_to_blame(uint8_t version, bool connack, uint8_t code)
{
    if (version != MQTT_5)
        return connack && code == 3;
    return code == 0x88 /* server unavailable */ || code == 0x89 /* busy */ ||
           code == 0x8b /* shutting down */ || code == 0x9c /* use another server */ ||
           code == 0x9d /* server moved */;
}

static void after_last(struct relay *r, struct relay_side *from, const struct mqtt_packet *packet)
{
    enum outcome why = from == &r->device             ? OUTCOME_CLIENT_DISCONNECT
                       : packet->type == MQTT_CONNACK ? OUTCOME_UPSTREAM_REFUSED
                                                      : OUTCOME_UPSTREAM_LOST;
    bool connack = packet->type == MQTT_CONNACK;
    if (from == &r->upstream && server_is_to_blame(r->version, connack, packet->reason_code))
        relay_dialled(r, false);
    relay_end_quietly(r, why, packet->reason_code);
}

/* The packet in the form that goes on; 0 when it may not be sent like that. */
static size_t build(struct relay *r, const struct relay_side *from, struct mqtt_packet *packet)
{
    bool publish = packet->type == MQTT_PUBLISH;
    struct mqtt_packet mounted;
    if (relay_is_mounted(r) && relay_is_device(r, from)) {
        mounted = *packet; /* the session's own tables keep the client's names */
        packet = &mounted;
        if (!relay_mount_up(r, packet))
            return 0;
    }
    for (;;) {
        size_t n = mqtt_build(r->all->scratch, RELAY_SCRATCH_BYTES - JOINED_BYTES_MAX, packet,
                              (enum mqtt_version)r->version);
        uint64_t whole = n + (publish ? (uint64_t)packet->publish.payload_bytes : 0);
        if (mqtt_guard_fits(&r->guard, sender_of(r, from), whole))
            return n;
        if (relay_is_device(r, from) || !mqtt_guard_shorten(packet))
            return 0;
    }
}

/* A PUBLISH: its head of n bytes lies in the scratch. A short payload goes with it in one write. */
static bool pass_publish(struct relay *r, struct relay_side *from, struct offer *offer,
                         const struct mqtt_publish *publish, bool whole, size_t n)
{
    struct relay_side *to = relay_other(r, from);
    uint8_t *scratch = r->all->scratch;
    if (from == &r->device) {
        r->publishes_up++;
        r->all->counters.count[RELAY_PUBLISH_UP]++;
    } else {
        r->publishes_down++;
        r->all->counters.count[RELAY_PUBLISH_DOWN]++;
    }
    if (whole && publish->payload.len <= JOINED_BYTES_MAX) {
        if (publish->payload.len != 0)
            memcpy(scratch + n, publish->payload.at, publish->payload.len);
        return relay_put(r, to, scratch, n + publish->payload.len);
    }
    bool good = relay_put(r, to, scratch, n) && pass_payload(r, from, offer, publish->payload);
    if (!whole || from->raw_left != 0)
        from->payload = RELAY_PAYLOAD_PASS;
    return good;
}

/* What of a SUBSCRIBE goes upstream behind its first part. */
static bool forward_parts(struct relay *r, struct relay_side *from, struct mqtt_packet *packet,
                          const struct guard_verdict *first)
{
    struct guard_verdict v = *first;
    while (mqtt_guard_next_part(&r->guard, packet, &v)) {
        size_t n = v.action == GUARD_FORWARD ? build(r, from, packet) : 0;
        bool good = n != 0 && relay_send(r, relay_other(r, from), r->all->scratch, n);
        if (v.action == GUARD_FORWARD)
            mqtt_guard_advance(&r->guard, MQTT_FROM_CLIENT, packet, &v, relay_now(r));
        if (!good)
            return false;
    }
    return true;
}

static void forward(struct relay *r, struct relay_side *from, struct offer *offer, struct mqtt_packet *packet,
                    bool whole, const struct guard_verdict *v, size_t n)
{
    bool good = packet->type == MQTT_PUBLISH ? pass_publish(r, from, offer, &packet->publish, whole, n)
                                             : relay_send(r, relay_other(r, from), r->all->scratch, n);
    mqtt_guard_advance(&r->guard, sender_of(r, from), packet, v, relay_now(r));
    if (good && v->rest.len != 0)
        good = forward_parts(r, from, packet, v);
    if (!good) {
        relay_end(r, OUTCOME_NO_RESOURCES);
        return;
    }
    if (v->last)
        after_last(r, from, packet);
    else
        passed_on(r, from, v);
}

static void forward_connack(struct relay *r, struct offer *offer, struct mqtt_packet *packet,
                            const struct guard_verdict *v, size_t n)
{
    const struct mqtt_properties *props = &packet->properties;
    if (!v->last && (props->present & MQTT_PROP_BIT(MQTT_PROP_ASSIGNED_CLIENT_ID)) != 0) {
        enum outcome outcome = relay_assigned(r, props->assigned_client_id);
        if (outcome != OUTCOME_ALLOWED) {
            relay_end(r, outcome);
            return;
        }
    }
    if (v->last)
        relay_report(r, &(struct relay_report){.kind = EVENT_MQTT_CONNECT_REFUSED,
                                               .outcome = OUTCOME_UPSTREAM_REFUSED,
                                               .rule = ACL_RULE_NONE,
                                               .told = true,
                                               .reason_code = packet->reason_code});
    else
        relay_set_state(r, RELAY_RUNNING);
    forward(r, &r->upstream, offer, packet, true, v, n);
    if (r->state == RELAY_RUNNING) {
        r->last_packet_us = relay_now(r);
        r->all->counters.count[RELAY_SESSIONS_OPENED]++;
        r->connected_told = true;
        relay_report(r, &(struct relay_report){
                            .kind = EVENT_MQTT_CONNECT, .outcome = OUTCOME_ALLOWED, .rule = ACL_RULE_NONE});
        relay_mark_resume(r, &r->device);
        relay_arm(r);
    }
}

/* Not passed on: answered, or only taken away. */
static void withhold(struct relay *r, struct relay_side *from, struct mqtt_packet *packet, bool whole,
                     const struct guard_verdict *v)
{
    if (!whole)
        from->payload = RELAY_PAYLOAD_DISCARD;
    mqtt_guard_advance(&r->guard, sender_of(r, from), packet, v, relay_now(r));
    if (v->action == GUARD_ANSWER && !send_answer(r, from, &v->answer))
        relay_end(r, OUTCOME_NO_RESOURCES);
    else
        passed_on(r, from, v);
}

static void count_packet(struct relay *r, const struct relay_side *from, enum outcome outcome)
{
    struct mqtt_relays_counters *c = &r->all->counters;
    if (from == &r->device) {
        c->count[RELAY_PACKETS_UP]++;
        c->from_device[outcome]++;
        r->last_packet_us = relay_now(r);
    } else {
        c->count[RELAY_PACKETS_DOWN]++;
        c->from_upstream[outcome]++;
    }
}

static void handle(struct relay *r, struct relay_side *from, struct offer *offer, struct mqtt_packet *packet,
                   bool whole)
{
    enum mqtt_sender sender = sender_of(r, from);
    struct guard_verdict v;
    size_t n = 0;
    if (r->state == RELAY_CONNECT) {
        enum outcome outcome = relay_connect(r, packet);
        if (r->state != RELAY_AUTH)
            count_packet(r, from, outcome);
        if (from->framer.buffer != NULL) /* there was a password in it */
            explicit_bzero(from->framer.buffer, from->framer.capacity);
        return;
    }
    if (from == &r->upstream)
        relay_mount_down(r, packet);
    r->all->workspace.judged_n = 0;   /* of whoever came before */
    struct bytes list = packet->list; /* as the client wrote it */
    mqtt_guard_check(&r->guard, sender, packet, whole, relay_now(r), &v);
    if (v.action == GUARD_HOLD) {
        mqtt_framer_hold(&from->framer, &offer->in);
        return;
    }
    if (packet->type == MQTT_SUBSCRIBE)
        for (uint32_t i = 0; i < r->all->workspace.judged_n; i++)
            relay_hit(r, r->all->workspace.judged[i].rule);
    else
        relay_hit(r, v.rule);
    if (v.action == GUARD_FORWARD) {
        n = build(r, from, packet);
        if (n == 0) {
            mqtt_guard_abandon(&r->guard, &v);
            if (packet->type == MQTT_PUBLISH)
                mqtt_guard_refuse(&r->guard, sender, packet, OUTCOME_PACKET_TOO_LARGE, &v);
            else
                v = (struct guard_verdict){
                    .action = GUARD_CLOSE,
                    .outcome = OUTCOME_PACKET_TOO_LARGE,
                    .rule = ACL_RULE_NONE,
                    .enforced = true,
                    .code = mqtt_guard_code(MQTT_DISCONNECT, MQTT_5, OUTCOME_PACKET_TOO_LARGE)};
        }
    }
    if (judged_wanted(r->all->config.judged))
        relay_judged_packet(r, sender, packet, &v, list, whole);
    if (sender == MQTT_FROM_CLIENT)
        r->over_rate_us = 0;
    count_packet(r, from, v.outcome);
    if (v.outcome != OUTCOME_ALLOWED && !v.quiet)
        relay_report_verdict(r, sender, packet, &v);
    if (v.quarantine_us != 0)
        relay_quarantine(r, r->client, (enum guard_scope)v.scope, v.outcome, v.quarantine_us);
    if (v.action == GUARD_CLOSE)
        relay_end_code(r, v.outcome, v.code);
    else if (v.action != GUARD_FORWARD)
        withhold(r, from, packet, whole, &v);
    else if (packet->type == MQTT_CONNACK)
        forward_connack(r, offer, packet, &v, n);
    else
        forward(r, from, offer, packet, whole, &v, n);
}

/* ---- a slice ------------------------------------------------------------------------------------------ */

/* False: what comes from this side stays where it is, because what would come of it has no place. */
static bool may_read(struct relay *r, const struct relay_side *from)
{
    const struct relay_side *to = relay_other(r, from);
    if (r->state == RELAY_CONNECT)
        return true;
    return r->state != RELAY_DIALLING && to->stream != NULL && to->out == NULL &&
           relay_waits(from->out) < RELAY_WAITING_BYTES_MAX &&
           relay_waits(from->later) < RELAY_WAITING_BYTES_MAX;
}

/* Whether the packet that begins here may be read now. */
static bool admitted(struct relay *r, struct relay_side *from, struct offer *offer)
{
    uint64_t until_us;
    uint8_t first_byte = *offer->in.at;
    if (!mqtt_framer_idle(&from->framer))
        return true;
    count_bytes(r, from, offer);
    if (mqtt_guard_admits(&r->guard, sender_of(r, from), first_byte, relay_now(r), &until_us))
        return true;
    r->all->counters.count[RELAY_BACK_PRESSURE]++;
    if (until_us != GUARD_NEVER_US) {
        from->wait_until_us = until_us;
        if (r->over_rate_us == 0)
            r->over_rate_us = relay_now(r);
        relay_arm(r);
    }
    return false;
}

/* The last quarter of the pool is for what is small: names, answers, packets of a usual size. Whoever gathers
 * more than that does not keep others from connecting. */
static bool too_much(const struct mqtt_relays *all, uint32_t want)
{
    return want > RELAY_SMALL_BYTES && packet_buffers_used(all->buffers) > all->config.buffer_bytes / 4 * 3;
}

void relay_put_buffer(struct relay *r, uint8_t *buffer, uint32_t secret_bytes)
{
    if (secret_bytes != 0)
        explicit_bzero(buffer, secret_bytes);
    packet_buffer_put(r->all->buffers, buffer);
}

static bool lend(struct relay *r, struct relay_side *from)
{
    uint32_t given;
    uint8_t *old = from->framer.buffer;
    if (too_much(r->all, from->framer.want))
        return false;
    uint8_t *buffer = packet_buffer_get(r->all->buffers, from->framer.want, &given);
    if (buffer == NULL)
        return false;
    uint32_t old_bytes = from->framer.capacity;
    mqtt_framer_lend(&from->framer, buffer, given);
    if (old != NULL)
        relay_put_buffer(r, old, r->state == RELAY_CONNECT ? old_bytes : 0);
    return true;
}

/* A CONNECT that is not understood is answered as far as its version is known. In 3.x only what a return code
 * exists for is [3.1.1: 3.1.4-1]. */
static void learn_version(struct relay *r, const struct mqtt_packet *packet, enum outcome outcome)
{
    if (outcome == OUTCOME_BAD_PROTOCOL_VERSION)
        r->version = packet->connect.version >= MQTT_5 ? MQTT_5 : MQTT_3_1_1;
    else if (packet->version == MQTT_5 || outcome == OUTCOME_BAD_CLIENT_ID)
        r->version = (uint8_t)packet->version;
}

static void fault(struct relay *r, struct relay_side *from, const struct mqtt_packet *packet)
{
    bool device = from == &r->device;
    enum outcome outcome = from->framer.fault;
    if (r->state == RELAY_CONNECT)
        learn_version(r, packet, outcome);
    count_packet(r, from, outcome);
    relay_report(r, &(struct relay_report){.kind = EVENT_PROTOCOL_ERROR,
                                           .outcome = device ? outcome : OUTCOME_UPSTREAM_PROTOCOL,
                                           .rule = ACL_RULE_NONE,
                                           .told = device && r->version == MQTT_5,
                                           .reason_code = device ? outcome_mqtt5_code(outcome) : 0,
                                           .detail = device ? NULL : outcome_text(outcome)});
    relay_end(r, device ? outcome : OUTCOME_UPSTREAM_PROTOCOL);
}

static void take_step(struct relay *r, struct relay_side *from, struct offer *offer)
{
    struct mqtt_packet packet;
    packet.version = MQTT_VERSION_UNKNOWN;
    switch (mqtt_framer_next(&from->framer, &offer->in, &packet)) {
    case MQTT_STEP_PACKET:
        handle(r, from, offer, &packet, true);
        break;
    case MQTT_STEP_PUBLISH:
        handle(r, from, offer, &packet, false);
        break;
    case MQTT_STEP_PAYLOAD:
        if (from->payload == RELAY_PAYLOAD_PASS && !pass_payload(r, from, offer, packet.publish.payload))
            relay_end(r, OUTCOME_NO_RESOURCES);
        else if (from->framer.payload_left == 0 && from->raw_left == 0)
            payload_is_over(r, from);
        break;
    case MQTT_STEP_NEED_BUFFER:
        if (!lend(r, from))
            relay_end(r, OUTCOME_NO_RESOURCES);
        break;
    case MQTT_STEP_NEED_MORE:
        break;
    case MQTT_STEP_FAULT:
        fault(r, from, &packet);
        break;
    }
}

/* After a slice: buffers go back between packets, and half packets are given a time, in which what had to
 * wait for us does not count. */
static void settle(struct relay *r, struct relay_side *from, size_t taken, bool waited)
{
    uint64_t now_us = relay_now(r);
    if (mqtt_framer_idle(&from->framer)) {
        if (from->framer.buffer != NULL)
            packet_buffer_put(r->all->buffers, mqtt_framer_reclaim(&from->framer));
        from->packet_since_us = 0;
        return;
    }
    if (from->packet_since_us == 0 || from->blocked || waited) {
        from->packet_since_us = now_us;
        relay_arm(r);
        return;
    }
    from->packet_since_us += taken * RELAY_PACKET_US_PER_BYTE;
    if (from->packet_since_us > now_us)
        from->packet_since_us = now_us;
}

size_t relay_take(struct relay *r, struct relay_side *from, const uint8_t *p, size_t n)
{
    struct offer offer = {.in = {.at = p, .end = p + n}, .begin = p, .counted = p};
    struct cursor *in = &offer.in;
    bool waited = from->blocked;
    from->blocked = false;
    from->wait_until_us = 0;
    if (from->raw_left != 0 && r->state != RELAY_ENDING)
        pass_raw(r, from, in);
    while (in->at != in->end && r->state != RELAY_ENDING) {
        if (from->raw_left != 0 || !may_read(r, from) || !admitted(r, from, &offer)) {
            from->blocked = true;
            break;
        }
        take_step(r, from, &offer);
    }
    if (r->state == RELAY_ENDING)
        return n;
    size_t taken = (size_t)(in->at - p);
    count_bytes(r, from, &offer);
    settle(r, from, taken, waited);
    return taken;
}

/* ---- what a new policy takes away --------------------------------------------------------------------- */

void relay_revoke(struct relay *r)
{
    struct mqtt_packet packet;
    r->revoke = false;
    while (r->state == RELAY_RUNNING && mqtt_guard_revoke(&r->guard, &packet, &r->revoke)) {
        size_t n = relay_mount_up(r, &packet) ? mqtt_build(r->all->scratch, RELAY_SCRATCH_BYTES, &packet,
                                                           (enum mqtt_version)r->version)
                                              : 0;
        r->all->counters.count[RELAY_SUBSCRIPTIONS_TAKEN_BACK] += packet.list_count;
        if (n == 0 || !relay_send(r, &r->upstream, r->all->scratch, n))
            relay_end(r, OUTCOME_NO_RESOURCES);
    }
}
