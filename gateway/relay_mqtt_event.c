/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a relay tells the event ring. A session that repeats itself is told of a few times a second; the rest
 * is counted and comes with the next event of its kind, or at the session's end, so that a flood of refusals
 * costs little (H2). Sessions that come to nothing cost whoever makes them nothing, and addresses on a
 * segment can be had by the thousand: of each kind of their events so many are told a second of all together,
 * and the rest is counted in the next one.
 */
#include "gateway/relay_mqtt_private.h"

#define TOLD_PER_SECOND 3
#define STRANGERS_PER_SECOND 100
#define SECOND_US UINT64_C(1000000)

static bool folds(enum event_kind kind)
{
    return kind == EVENT_MQTT_PUBLISH_DENIED || kind == EVENT_MQTT_SUBSCRIBE_DENIED ||
           kind == EVENT_MQTT_DELIVERY_DENIED || kind == EVENT_IDENTITY_VIOLATION ||
           kind == EVENT_LIMIT_EXCEEDED || kind == EVENT_PROTOCOL_ERROR;
}

/* The session's row for this kind and outcome; the least used when there is none. */
static struct relay_fold *fold_of(struct relay *r, enum event_kind kind, enum outcome outcome)
{
    struct relay_fold *least = &r->folds[0];
    for (uint32_t i = 0; i < RELAY_FOLDS; i++) {
        struct relay_fold *fold = &r->folds[i];
        if (fold->kind == kind && fold->outcome == outcome)
            return fold;
        if (fold->folded < least->folded)
            least = fold;
    }
    *least = (struct relay_fold){.kind = (uint8_t)kind, .outcome = (uint8_t)outcome};
    return least;
}

/* Which second it is starts the count of each row anew. */
static void turn_second(struct relay *r)
{
    uint64_t second = relay_now(r) / SECOND_US;
    if (second == r->fold_second)
        return;
    r->fold_second = second;
    for (uint32_t i = 0; i < RELAY_FOLDS; i++)
        r->folds[i].told = 0;
}

/* What ends a session that never began, whoever's fault it is. */
static bool of_strangers(enum event_kind kind)
{
    return kind == EVENT_MQTT_CONNECT_REFUSED || kind == EVENT_MQTT_WILL_DENIED ||
           kind == EVENT_IDENTITY_VIOLATION || kind == EVENT_LIMIT_EXCEEDED || kind == EVENT_PROTOCOL_ERROR ||
           kind == EVENT_TLS_FAILED || kind == EVENT_UPSTREAM_FAILED;
}

/* False: it is counted, for the next one. */
static bool tell_stranger(const struct relay *r, enum event_kind kind, uint32_t *repeats)
{
    struct relay_strangers *strangers = &r->all->strangers[kind];
    uint64_t second = relay_now(r) / SECOND_US;
    if (strangers->second != second)
        strangers->told = 0;
    strangers->second = second;
    if (strangers->told == STRANGERS_PER_SECOND) {
        strangers->untold++;
        return false;
    }
    strangers->told++;
    *repeats += strangers->untold;
    strangers->untold = 0;
    return true;
}

/* Who and where. */
static void fill_session(const struct relay *r, struct event *event)
{
    const struct gateway_config *config = relay_generation(r)->config;
    event->time_us = event_time_us(r->all->config.wall_offset_us, relay_now(r));
    event->session = r->number;
    event->ruleset = r->generation;
    event->mqtt_version = r->version;
    event->has_mac = r->origin.has_mac;
    memcpy(event->mac, r->origin.mac, sizeof(event->mac));
    event->source = r->origin.key.remote;
    event->source_port = r->origin.key.remote_port;
    event->destination = r->origin.key.local;
    event->destination_port = r->origin.key.local_port;
    event_set_name(event->client_id, sizeof(event->client_id), relay_client_id(r));
    event_set_name(event->user, sizeof(event->user), relay_user(r));
    event_set_name(event->identity, sizeof(event->identity),
                   bytes_of(r->identity.name, r->identity.name_len));
    if (r->named) {
        event_set_name(event->role, sizeof(event->role), bytes_of_text(r->identity.role->name));
        event->role_place = r->identity.role->index + 1;
    }
    if (r->origin.listener < config->listeners_n)
        event_set_name(event->listener, sizeof(event->listener),
                       bytes_of_text(config->listeners[r->origin.listener].name));
}

static void fill_packet(const struct mqtt_packet *packet, struct event *event)
{
    event->mqtt_type = (uint8_t)packet->type;
    if (packet->type == MQTT_PUBLISH) {
        event->qos = packet->publish.qos;
        event->retain = packet->publish.retain;
        event->payload_bytes = packet->publish.payload_bytes;
    } else if (packet->type == MQTT_CONNECT && packet->connect.will.present) {
        event->qos = packet->connect.will.qos;
        event->retain = packet->connect.will.retain;
        event->payload_bytes = (uint32_t)packet->connect.will.payload.len;
    }
}

static void send(struct relay *r, const struct relay_report *report, uint32_t repeats)
{
    struct event *event = event_ring_begin(r->all->config.events);
    if (event == NULL)
        return;
    fill_session(r, event);
    event->kind = report->kind;
    event->outcome = report->outcome;
    event->enforced = !report->observed;
    event->told = report->told;
    event->reason_code = report->reason_code;
    event->repeats = repeats;
    event->will = relay_will_left(r, report->kind, report->outcome);
    if (report->packet != NULL)
        fill_packet(report->packet, event);
    event_set_topic(event, report->topic);
    if (report->rule != ACL_RULE_NONE && r->named) {
        event_set_name(event->rule, sizeof(event->rule),
                       bytes_of_text(acl_rule_at(r->identity.role->acl, report->rule)->id));
        event->rule_place = report->rule + 1;
    }
    if (report->detail != NULL)
        event_set_name(event->detail, sizeof(event->detail), bytes_of_text(report->detail));
    event_ring_commit(r->all->config.events);
}

void relay_report(struct relay *r, const struct relay_report *report)
{
    uint32_t repeats = 0;
    if (folds(report->kind)) {
        turn_second(r);
        struct relay_fold *fold = fold_of(r, report->kind, report->outcome);
        if (fold->told >= TOLD_PER_SECOND) {
            fold->folded++;
            return;
        }
        fold->told++;
        repeats = fold->folded;
        fold->folded = 0;
    }
    if (!r->connected_told && of_strangers(report->kind) && !tell_stranger(r, report->kind, &repeats))
        return;
    send(r, report, repeats);
}

void relay_report_folded(struct relay *r)
{
    turn_second(r);
    for (uint32_t i = 0; i < RELAY_FOLDS; i++) {
        struct relay_fold *fold = &r->folds[i];
        bool over = r->state == RELAY_ENDING || r->state == RELAY_LEAVING;
        if (fold->folded == 0 || (fold->told != 0 && !over))
            continue;
        struct relay_report report = {.kind = (enum event_kind)fold->kind,
                                      .outcome = (enum outcome)fold->outcome,
                                      .rule = ACL_RULE_NONE};
        send(r, &report, fold->folded - 1);
        fold->folded = 0;
    }
}

/* ---- judged packets ----------------------------------------------------------------------------------- */

static bool is_limit(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_INFLIGHT_CAP:
    case OUTCOME_RATE_PUBLISHES:
    case OUTCOME_RATE_BYTES:
    case OUTCOME_RATE_SUBSCRIBES:
    case OUTCOME_RATE_PINGS:
    case OUTCOME_PACKET_TOO_LARGE:
    case OUTCOME_QUEUE_FULL:
    case OUTCOME_NO_RESOURCES:
    case OUTCOME_PROPERTY_CAP:
        return true;
    default:
        return false;
    }
}

static bool is_rate(enum outcome outcome)
{
    return outcome == OUTCOME_RATE_PUBLISHES || outcome == OUTCOME_RATE_BYTES ||
           outcome == OUTCOME_RATE_SUBSCRIBES || outcome == OUTCOME_RATE_PINGS;
}

static enum event_kind kind_of(enum mqtt_sender sender, const struct mqtt_packet *packet,
                               const struct guard_verdict *v)
{
    if (v->outcome == OUTCOME_UPSTREAM_PROTOCOL || v->outcome == OUTCOME_REDIRECT_STRIPPED)
        return EVENT_UPSTREAM_FAILED;
    if (is_limit(v->outcome))
        return EVENT_LIMIT_EXCEEDED;
    if (packet->type == MQTT_PUBLISH && sender == MQTT_FROM_SERVER)
        return EVENT_MQTT_DELIVERY_DENIED;
    if (packet->type == MQTT_PUBLISH && v->outcome != OUTCOME_BAD_PACKET_ID &&
        v->outcome != OUTCOME_BAD_TOPIC_ALIAS)
        return EVENT_MQTT_PUBLISH_DENIED;
    if (packet->type == MQTT_CONNECT)
        return EVENT_MQTT_WILL_DENIED;
    return EVENT_PROTOCOL_ERROR;
}

static void report_filters(struct relay *r, const struct mqtt_packet *packet, const struct guard_verdict *v)
{
    const struct mqtt_workspace *w = &r->all->workspace;
    for (uint32_t i = 0; i < w->refused_n && i < MQTT_REFUSALS_MAX; i++) {
        const struct mqtt_refusal *refusal = &w->refused[i];
        r->denied += refusal->enforced;
        bool rate = is_rate(refusal->outcome);
        relay_report(r,
                     &(struct relay_report){.kind = rate ? EVENT_LIMIT_EXCEEDED : EVENT_MQTT_SUBSCRIBE_DENIED,
                                            .detail = rate ? mqtt_guard_scope_text(v->scope) : NULL,
                                            .outcome = refusal->outcome,
                                            .rule = refusal->rule,
                                            .observed = !refusal->enforced,
                                            .told = refusal->enforced && r->version != MQTT_3_1,
                                            .reason_code = refusal->code,
                                            .packet = packet,
                                            .topic = refusal->filter});
    }
}

void relay_report_verdict(struct relay *r, enum mqtt_sender sender, const struct mqtt_packet *packet,
                          const struct guard_verdict *v)
{
    if (packet->type == MQTT_SUBSCRIBE && v->action != GUARD_CLOSE && r->all->workspace.refused_n != 0) {
        report_filters(r, packet, v);
        return;
    }
    bool told = sender == MQTT_FROM_CLIENT && r->version == MQTT_5 &&
                (v->action == GUARD_CLOSE || v->action == GUARD_ANSWER || v->answer.code != 0);
    r->denied += v->enforced;
    relay_report(
        r, &(struct relay_report){.kind = kind_of(sender, packet, v),
                                  .outcome = v->outcome,
                                  .rule = v->rule,
                                  .observed = !v->enforced,
                                  .told = told,
                                  .detail = is_rate(v->outcome) ? mqtt_guard_scope_text(v->scope) : NULL,
                                  .reason_code = v->action == GUARD_CLOSE ? v->code : v->answer.code,
                                  .packet = packet,
                                  .topic = packet->type == MQTT_PUBLISH   ? packet->publish.topic
                                           : packet->type == MQTT_CONNECT ? packet->connect.will.topic
                                                                          : bytes_of(NULL, 0)});
}
