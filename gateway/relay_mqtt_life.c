/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time, generations and ends of a relay (D2, D10, G3). */
#include "gateway/relay_mqtt_private.h"

#define SECOND_US UINT64_C(1000000)
#define NEVER_US UINT64_MAX

/* ---- generations -------------------------------------------------------------------------------------- */

bool relay_find_listener(const struct relay *r, const struct gateway_config *config, uint16_t *listener)
{
    for (uint32_t i = 0; i < config->listeners_n; i++)
        if (relay_name_digest(config->listeners[i].name) == r->listener_name) {
            *listener = (uint16_t)i;
            return true;
        }
    return false;
}

/* Whatever part of a new policy shuts the client out, it is told that its rights are lost (G3). */
static enum outcome why_lost(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_QUARANTINED:
    case OUTCOME_NO_LISTENER:
    case OUTCOME_CERTIFICATE_LOST:
    case OUTCOME_PSK_LOST:
    case OUTCOME_UPSTREAM_TLS:
        return outcome;
    default:
        return OUTCOME_RIGHTS_LOST;
    }
}

static void lose(struct relay *r, enum outcome outcome, const char *detail)
{
    r->all->counters.count[RELAY_SESSIONS_RIGHTS_LOST]++;
    relay_report(
        r, &(struct relay_report){.kind = EVENT_MQTT_END,
                                  .outcome = outcome,
                                  .rule = ACL_RULE_NONE,
                                  .told = r->version == MQTT_5,
                                  .reason_code = mqtt_guard_code(MQTT_DISCONNECT, MQTT_5, why_lost(outcome)),
                                  .detail = detail});
    relay_end(r, why_lost(outcome));
}

void relay_make_current(struct relay *r)
{
    uint32_t number = relay_generation(r)->number;
    if (r->generation == number)
        return;
    r->generation = number;
    if (r->state ==
        RELAY_ENDING) { /* nothing of the old generation may be looked at, and nothing is judged */
        r->named = false;
        return;
    }
    if (!relay_find_listener(r, relay_generation(r)->config, &r->origin.listener)) {
        r->named = false;
        r->origin.listener = UINT16_MAX;
        lose(r, OUTCOME_NO_LISTENER, NULL);
        return;
    }
    const char *detail;
    enum outcome outcome = relay_check_transport(r, relay_generation(r), r->origin.listener, &detail);
    if (outcome != OUTCOME_ALLOWED) {
        lose(r, outcome, detail);
        return;
    }
    if (r->state == RELAY_CONNECT || r->state == RELAY_AUTH)
        return;
    char before[IDENTITY_NAME_MAX + 1];
    memcpy(before, r->identity.name, sizeof(before));
    outcome = relay_identify(r);
    /* Another name would be another certificate upstream. */
    if (outcome == OUTCOME_ALLOWED && strcmp(before, r->identity.name) != 0)
        outcome = OUTCOME_RIGHTS_LOST;
    if (outcome != OUTCOME_ALLOWED) {
        lose(r, outcome, relay_why_refused(r, outcome));
        return;
    }
    if (!relay_keep_turn(r) || !relay_keep_connect(r))
        return;
    r->all->counters.count[RELAY_SESSIONS_KEPT]++;
    relay_set_reading(r);
    if (r->device.blocked)
        relay_mark_resume(r, &r->device);
    relay_revoke(r);
}

void relay_recheck(struct relay *r)
{
    const char *detail;
    relay_make_current(r); /* looks at that too when there is a new generation */
    if (r->state == RELAY_ENDING || r->origin.listener == UINT16_MAX)
        return;
    enum outcome outcome = relay_check_transport(r, relay_generation(r), r->origin.listener, &detail);
    if (outcome != OUTCOME_ALLOWED)
        lose(r, outcome, detail);
}

/* ---- ends --------------------------------------------------------------------------------------------- */

void relay_set_state(struct relay *r, enum relay_state state)
{
    r->state = (uint8_t)state;
    r->since_us = relay_now(r);
    if (state == RELAY_ENDING || state == RELAY_LEAVING)
        relay_release_claims(r);
    if (state != RELAY_DIALLING)
        dial_queue_leave(&r->all->dials, &r->turn);
    relay_arm(r);
}

/* Closes a side after what waits for it. A side in the middle of a message gets no more of it: `broken` says
 * that it must not take what it has for a whole session. */
static void close_side(struct relay *r, struct relay_side *side, bool broken)
{
    relay_drop_box(r, &side->later);
    side->raw_left = 0;
    if (side->stream == NULL)
        return;
    if (broken) {
        relay_drop_box(r, &side->out);
        side->abort = true;
        relay_list(r);
        return;
    }
    side->finish = true;
    relay_flush_out(r, side);
}

/* CONNACK before the session runs, DISCONNECT after; version 3 knows only the first. */
static void tell_device(struct relay *r, enum outcome why, uint8_t code)
{
    uint8_t packet[16];
    enum mqtt_version version = (enum mqtt_version)r->version;
    size_t n = 0;
    if (r->device.stream == NULL || r->upstream.payload == RELAY_PAYLOAD_PASS)
        return;
    if (r->state == RELAY_RUNNING || r->state == RELAY_LEAVING)
        n = mqtt_build_disconnect(packet, sizeof(packet), version, MQTT_FROM_SERVER, code);
    else if (version != MQTT_VERSION_UNKNOWN)
        n = mqtt_build_connack(packet, sizeof(packet), version, mqtt_guard_code(MQTT_CONNACK, version, why));
    if (n != 0)
        (void)relay_send(r, &r->device, packet, n);
}

static void begin_ending(struct relay *r)
{
    bool up_broken = r->device.payload == RELAY_PAYLOAD_PASS;
    bool early = r->state == RELAY_DIALLING;
    r->guard.state = GUARD_OVER;
    relay_report_folded(r);
    relay_set_state(r, RELAY_ENDING);
    r->device.payload = r->upstream.payload = RELAY_PAYLOAD_NONE;
    r->device.raw_left = r->upstream.raw_left = 0;
    close_side(r, &r->upstream, up_broken || early);
    close_side(r, &r->device, false);
    r->all->counters.count[RELAY_SESSIONS_ENDED]++;
    /* What waits in the streams is taken and thrown away, so that they can close. */
    r->device.resume = r->upstream.resume = true;
    relay_list(r);
}

void relay_end_code(struct relay *r, enum outcome why, uint8_t code)
{
    if (r->state == RELAY_ENDING)
        return;
    tell_device(r, why, code);
    begin_ending(r);
}

void relay_end(struct relay *r, enum outcome why)
{
    relay_end_code(r, why, mqtt_guard_code(MQTT_DISCONNECT, (enum mqtt_version)r->version, why));
}

void relay_take_over(struct relay *r)
{
    if (r->state == RELAY_ENDING)
        return;
    relay_report(r, &(struct relay_report){.kind = EVENT_MQTT_END,
                                           .outcome = OUTCOME_TAKEN_OVER,
                                           .rule = ACL_RULE_NONE,
                                           .told = r->version == MQTT_5,
                                           .reason_code = outcome_mqtt5_code(OUTCOME_TAKEN_OVER)});
    relay_end(r, OUTCOME_TAKEN_OVER);
}

void relay_end_quietly(struct relay *r, enum outcome why, uint8_t reason_code)
{
    if (r->state == RELAY_ENDING)
        return;
    /* DISCONNECT 0x04: with the Will [MQTT-3.14.4-3] */
    r->all->counters.count[RELAY_UNGRACEFUL_ENDS] += why == OUTCOME_CLIENT_DISCONNECT && reason_code == 0x04;
    if (r->connected_told)
        relay_report(r, &(struct relay_report){.kind = EVENT_MQTT_END,
                                               .outcome = why,
                                               .rule = ACL_RULE_NONE,
                                               .told = why == OUTCOME_UPSTREAM_LOST && r->version == MQTT_5,
                                               .reason_code = reason_code});
    begin_ending(r);
}

static void report_end(struct relay *r, enum event_kind kind, enum outcome outcome, const char *detail)
{
    r->all->counters.count[RELAY_UNGRACEFUL_ENDS] += kind == EVENT_UNGRACEFUL_END;
    relay_report(r, &(struct relay_report){.kind = kind,
                                           .outcome = outcome,
                                           .rule = ACL_RULE_NONE,
                                           .told = outcome == OUTCOME_UPSTREAM_LOST && r->version == MQTT_5,
                                           .reason_code = mqtt_guard_code(MQTT_DISCONNECT, MQTT_5, outcome),
                                           .detail = detail});
}

/* The device is gone without DISCONNECT: the upstream must notice, for the Will. */
static void device_lost(struct relay *r, const char *detail)
{
    if (r->state == RELAY_RUNNING)
        report_end(r, EVENT_UNGRACEFUL_END, OUTCOME_CLIENT_LOST, detail);
    begin_ending(r);
}

/*
 * A half-close is carried on (RFC 9293 s.3.6): the upstream gets what was sent and then our FIN, which is all
 * it needs for the Will; what it still says, as the acknowledgement of a last message, is judged and passed
 * on until it closes as well.
 */
static void leave(struct relay *r)
{
    static const char why[] = "the device closed its connection without DISCONNECT";
    if (r->state != RELAY_RUNNING || r->device.payload == RELAY_PAYLOAD_PASS ||
        !mqtt_framer_idle(&r->device.framer)) {
        device_lost(r, why);
        return;
    }
    report_end(r, EVENT_UNGRACEFUL_END, OUTCOME_CLIENT_LOST, why);
    relay_set_state(r, RELAY_LEAVING);
    relay_report_folded(r);
    r->upstream.finish = true;
    relay_flush_out(r, &r->upstream);
}

void relay_side_ended(struct relay *r, struct relay_side *side)
{
    if (r->state == RELAY_ENDING)
        return;
    if (side == &r->device) {
        leave(r);
    } else if (r->state == RELAY_LEAVING) {
        begin_ending(r);
    } else {
        report_end(r, EVENT_UPSTREAM_FAILED, OUTCOME_UPSTREAM_LOST, "the upstream closed the connection");
        relay_end(r, OUTCOME_UPSTREAM_LOST);
    }
}

static enum outcome outcome_of_end(enum stream_end why)
{
    switch (why) {
    case STREAM_END_TLS_VERIFY:
    case STREAM_END_TLS_ALERT:
    case STREAM_END_TLS_PROTOCOL:
    case STREAM_END_TLS_IDENTITY:
        return OUTCOME_UPSTREAM_TLS;
    case STREAM_END_TIMEOUT:
        return OUTCOME_UPSTREAM_TIMEOUT;
    case STREAM_END_REFUSED:
    case STREAM_END_UNREACHABLE:
        return OUTCOME_UPSTREAM_REFUSED;
    case STREAM_END_ABORTED:
        return OUTCOME_NO_RESOURCES;
    case STREAM_END_UNKNOWN:
    case STREAM_END_DONE:
    case STREAM_END_RESET:
        break;
    }
    return OUTCOME_UPSTREAM_LOST;
}

/* Whether it may be this device's certificate, or us, and not the server: then another would do no better,
 * and one device must not be able to put a server out for all others. */
static bool is_own_fault(enum stream_end why)
{
    return why == STREAM_END_TLS_ALERT || why == STREAM_END_TLS_IDENTITY || why == STREAM_END_ABORTED;
}

static void upstream_lost(struct relay *r, enum stream_end why, const char *reason)
{
    enum outcome outcome = outcome_of_end(why);
    bool dialling = r->state == RELAY_DIALLING;
    if (dialling && outcome == OUTCOME_UPSTREAM_LOST)
        outcome = OUTCOME_UPSTREAM_REFUSED;
    report_end(r, outcome == OUTCOME_UPSTREAM_TLS ? EVENT_TLS_FAILED : EVENT_UPSTREAM_FAILED, outcome,
               reason);
    if (dialling && !is_own_fault(why)) {
        relay_dialled(r, false);
        if (relay_redial(r))
            return;
    }
    relay_end(r, outcome);
}

/* No connection in time. What of that was ours (other handshakes came first) the server has on top. */
static void dial_timed_out(struct relay *r)
{
    if (relay_turn_timed_out(r))
        return;
    struct stream *stream = r->upstream.stream;
    uint64_t own_us = stream == NULL ? 0 : stream_own_us(stream, relay_now(r));
    if (own_us > r->dial_own_us) {
        r->dial_due_us += own_us - r->dial_own_us;
        r->dial_own_us = own_us;
        return; /* armed by who called */
    }
    r->upstream.stream = NULL;
    if (stream != NULL)
        stream_abort(stream);
    upstream_lost(r, STREAM_END_TIMEOUT, NULL);
}

void relay_side_closed(struct relay *r, struct relay_side *side, enum stream_end why, const char *reason)
{
    side->stream = NULL;
    relay_list(r);
    if (r->state == RELAY_ENDING)
        return;
    if (side == &r->device)
        device_lost(r, "the device's connection was lost");
    else if (r->state == RELAY_LEAVING)
        begin_ending(r);
    else
        upstream_lost(r, why, reason);
}

/* ---- time --------------------------------------------------------------------------------------------- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When the device must have been heard: 1.5 times its keep-alive [MQTT-3.1.2-22]. */
static uint64_t silence_due(const struct relay *r)
{
    uint64_t limit_us = (uint64_t)r->guard.keep_alive_s * SECOND_US * 3 / 2;
    return limit_us == 0 ? NEVER_US : r->last_packet_us + limit_us;
}

/* Our own PINGREQ, for a 3.x device that need not send one as often as the upstream wants to hear it. */
static uint64_t ping_due(const struct relay *r)
{
    uint64_t limit_us = (uint64_t)r->guard.upstream_keep_alive_s * SECOND_US / 10 * 9;
    bool device_pings =
        r->guard.asked_keep_alive_s != 0 && r->guard.asked_keep_alive_s <= r->guard.upstream_keep_alive_s;
    if (limit_us == 0 || r->version == MQTT_5 || device_pings)
        return NEVER_US;
    return r->last_upstream_us + limit_us;
}

static uint64_t side_due(const struct relay_side *side)
{
    uint64_t due = NEVER_US;
    if (side->packet_since_us != 0 && !side->blocked)
        due = side->packet_since_us + RELAY_PACKET_TIMEOUT_US;
    if (side->stalled_since_us != 0)
        due = sooner(due, side->stalled_since_us + RELAY_STALL_TIMEOUT_US);
    if (side->wait_until_us != 0)
        due = sooner(due, side->wait_until_us);
    return due;
}

static uint64_t next_due(const struct relay *r)
{
    uint64_t due = sooner(side_due(&r->device), side_due(&r->upstream));
    switch ((enum relay_state)r->state) {
    case RELAY_CONNECT:
        return sooner(due, r->accepted_us + RELAY_CONNECT_TIMEOUT_US);
    case RELAY_AUTH:
        return sooner(due, r->since_us + RELAY_AUTH_TIMEOUT_US);
    case RELAY_DIALLING:
        return sooner(due, r->dial_due_us);
    case RELAY_CONNACK:
        return sooner(due, r->since_us + RELAY_CONNACK_TIMEOUT_US);
    case RELAY_RUNNING:
        if (r->release_due_us != 0)
            due = sooner(due, r->release_due_us);
        return sooner(due, sooner(silence_due(r), ping_due(r)));
    case RELAY_LEAVING:
        return sooner(due, r->since_us + RELAY_LEAVING_US);
    case RELAY_ENDING:
        break;
    }
    return r->since_us + RELAY_LINGER_US;
}

void relay_arm(struct relay *r)
{
    uint64_t due = next_due(r);
    if (due == NEVER_US)
        return;
    if (!timer_running(&r->timer) || due < r->timer.due_us)
        timer_start(r->all->config.timers, &r->timer, due);
}

static void time_out(struct relay *r, enum event_kind kind, enum outcome outcome)
{
    report_end(r, kind, outcome, NULL);
    relay_end(r, outcome);
}

static void ping(struct relay *r)
{
    uint8_t packet[2];
    size_t n = mqtt_build_ping(packet, sizeof(packet), MQTT_PINGREQ);
    mqtt_guard_pinged(&r->guard);
    r->last_upstream_us = relay_now(r);
    if (!relay_send(r, &r->upstream, packet, n))
        relay_end(r, OUTCOME_NO_RESOURCES);
}

/* What concerns one side; true when it ended the session. */
static bool fire_side(struct relay *r, struct relay_side *side, uint64_t now_us)
{
    bool device = side == &r->device;
    if (side->wait_until_us != 0 && side->wait_until_us <= now_us) {
        side->wait_until_us = 0;
        relay_mark_resume(r, side);
    }
    if (side->stalled_since_us != 0 && side->stalled_since_us + RELAY_STALL_TIMEOUT_US <= now_us) {
        time_out(r, device ? EVENT_LIMIT_EXCEEDED : EVENT_UPSTREAM_FAILED,
                 device ? OUTCOME_WRITE_STALL : OUTCOME_UPSTREAM_TIMEOUT);
        return true;
    }
    if (side->packet_since_us != 0 && !side->blocked &&
        side->packet_since_us + RELAY_PACKET_TIMEOUT_US <= now_us) {
        time_out(r, device ? EVENT_PROTOCOL_ERROR : EVENT_UPSTREAM_FAILED,
                 device ? OUTCOME_PACKET_TIMEOUT : OUTCOME_UPSTREAM_TIMEOUT);
        return true;
    }
    return false;
}

void relay_await_release(struct relay *r)
{
    uint64_t timeout_us = r->identity.role->law.release_s * SECOND_US;
    r->release_due_us = relay_now(r) + timeout_us / GUARD_RELEASE_TICKS;
    relay_arm(r);
}

/* A tick of the release timeout. What is forgotten may be what the side was not read for. */
static void age(struct relay *r)
{
    uint32_t forgotten = mqtt_guard_age(&r->guard);
    r->release_due_us = 0;
    if (mqtt_guard_unreleased(&r->guard))
        relay_await_release(r);
    if (forgotten == 0)
        return;
    r->all->counters.count[RELAY_RELEASES_FORGOTTEN] += forgotten;
    report_end(r, EVENT_LIMIT_EXCEEDED, OUTCOME_RELEASE_TIMEOUT, NULL);
    relay_mark_resume(r, &r->device);
    relay_mark_resume(r, &r->upstream);
}

static void fire_running(struct relay *r, uint64_t now_us)
{
    if (r->release_due_us != 0 && r->release_due_us <= now_us)
        age(r);
    if (r->device.blocked) /* its silence is our doing */
        r->last_packet_us = now_us;
    if (silence_due(r) <= now_us) {
        bool idle = r->version != MQTT_5 &&
                    (r->guard.asked_keep_alive_s == 0 || r->guard.asked_keep_alive_s > r->guard.keep_alive_s);
        report_end(r, EVENT_UNGRACEFUL_END, idle ? OUTCOME_IDLE_TIMEOUT : OUTCOME_KEEPALIVE_TIMEOUT, NULL);
        relay_end(r, idle ? OUTCOME_IDLE_TIMEOUT : OUTCOME_KEEPALIVE_TIMEOUT);
    } else if (ping_due(r) <= now_us) {
        ping(r);
    }
}

void relay_fire(struct timer *timer, uint64_t now_us)
{
    struct relay *r = (struct relay *)(void *)((uint8_t *)timer - offsetof(struct relay, timer));
    relay_make_current(r);
    if (r->state != RELAY_ENDING && (fire_side(r, &r->device, now_us) || fire_side(r, &r->upstream, now_us)))
        return;
    switch ((enum relay_state)r->state) {
    case RELAY_CONNECT:
        if (r->accepted_us + RELAY_CONNECT_TIMEOUT_US <= now_us)
            time_out(r, EVENT_PROTOCOL_ERROR, OUTCOME_CONNECT_TIMEOUT);
        break;
    case RELAY_AUTH:
        if (r->since_us + RELAY_AUTH_TIMEOUT_US <= now_us)
            time_out(r, EVENT_MQTT_CONNECT_REFUSED, OUTCOME_AUTH_BUSY);
        break;
    case RELAY_DIALLING:
    case RELAY_CONNACK:
        if (next_due(r) <= now_us) {
            if (r->state == RELAY_DIALLING)
                dial_timed_out(r);
            else
                time_out(r, EVENT_UPSTREAM_FAILED, OUTCOME_UPSTREAM_TIMEOUT);
        }
        break;
    case RELAY_RUNNING:
        fire_running(r, now_us);
        break;
    case RELAY_LEAVING:
        if (r->since_us + RELAY_LEAVING_US <= now_us)
            begin_ending(r);
        break;
    case RELAY_ENDING:
        if (r->since_us + RELAY_LINGER_US <= now_us) {
            r->device.abort = r->upstream.abort = true;
            relay_list(r);
            return;
        }
        break;
    }
    relay_report_folded(r);
    relay_arm(r);
}
