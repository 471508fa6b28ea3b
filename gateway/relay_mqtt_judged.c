/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a relay makes known of judged actions (judged.h): called only when somebody wants to know. */
#include "gateway/relay_mqtt_private.h"

static enum outcome resolve(const void *owner, const struct generation *other, struct identity *out)
{
    const struct relay *r = owner;
    uint16_t listener;
    if (!relay_find_listener(r, other->config, &listener))
        return OUTCOME_NO_LISTENER;
    struct client_facts facts = relay_facts(r, other, listener);
    return identity_resolve(other->policy, &facts, out);
}

static bool facts_of(const void *owner, struct client_facts *out)
{
    const struct relay *r = owner;
    *out = relay_facts(r, relay_generation(r), r->origin.listener);
    return true;
}

static const struct config_listener *listener_of(const void *owner, const struct generation *other)
{
    uint16_t listener;
    return relay_find_listener(owner, other->config, &listener) ? &other->config->listeners[listener] : NULL;
}

/* As it came: type, length, and the rest. */
static uint32_t bytes_of_packet(const struct mqtt_packet *packet)
{
    uint32_t n = packet->remaining_length;
    return n + 2 + (n >= 128) + (n >= 16384) + (n >= 2097152);
}

/* A client identifier that the upstream gives makes another client of it. */
static struct judged_subject subject_of(const struct relay *r)
{
    return (struct judged_subject){.session = r->number,
                                   .stamp = (uint64_t)relay_client_id(r).len << 32 | r->generation,
                                   .identity = &r->identity,
                                   .owner = r,
                                   .resolve = resolve,
                                   .listener = listener_of,
                                   .facts = facts_of};
}

static void judged_publish(const struct relay *r, enum mqtt_sender sender, const struct mqtt_packet *packet,
                           const struct guard_verdict *v, bool whole)
{
    if (v->quiet || packet->publish.topic.len == 0 ||
        (v->outcome == OUTCOME_ALLOWED && v->action != GUARD_FORWARD))
        return; /* what was answered before, or has no name */
    bool client = sender == MQTT_FROM_CLIENT;
    struct judged_subject who = subject_of(r);
    judged_tell(r->all->config.judged,
                &(struct judged_action){.who = &who,
                                        .kind = client ? JUDGED_PUBLISH : JUDGED_DELIVERY,
                                        .action = client ? ACL_PUBLISH : ACL_SUBSCRIBE,
                                        .qos = packet->publish.qos,
                                        .retain = packet->publish.retain,
                                        .enforced = v->enforced,
                                        .waited_since_us = client ? r->over_rate_us : 0,
                                        .again = v->again,
                                        .over = v->over,
                                        .bytes = bytes_of_packet(packet),
                                        .outcome = v->outcome,
                                        .rule = v->rule,
                                        .payload_bytes = packet->publish.payload_bytes,
                                        .topic = packet->publish.topic,
                                        .guard = &r->guard,
                                        .packet = packet,
                                        .whole = whole});
}

static void judged_filters(const struct relay *r, const struct mqtt_packet *packet,
                           const struct guard_verdict *v, struct bytes list)
{
    const struct mqtt_workspace *w = &r->all->workspace;
    struct judged_subject who = subject_of(r);
    struct cursor at = cursor_of(list);
    struct mqtt_filter entry;
    /* One that ends the session for its rate was not looked into. */
    if (w->judged_n == 0 && v->action == GUARD_CLOSE && mqtt_filter_next(&at, MQTT_SUBSCRIBE, &entry))
        judged_tell(r->all->config.judged, &(struct judged_action){.who = &who,
                                                                   .kind = JUDGED_SUBSCRIBE,
                                                                   .action = ACL_SUBSCRIBE,
                                                                   .qos = entry.qos,
                                                                   .enforced = v->enforced,
                                                                   .outcome = v->outcome,
                                                                   .over = v->over,
                                                                   .bytes = bytes_of_packet(packet),
                                                                   .rule = ACL_RULE_NONE,
                                                                   .topic = entry.filter,
                                                                   .guard = &r->guard,
                                                                   .packet = packet});
    for (uint32_t i = 0; i < w->judged_n && mqtt_filter_next(&at, MQTT_SUBSCRIBE, &entry); i++)
        judged_tell(r->all->config.judged, &(struct judged_action){.who = &who,
                                                                   .kind = JUDGED_SUBSCRIBE,
                                                                   .action = ACL_SUBSCRIBE,
                                                                   .qos = entry.qos,
                                                                   .enforced = w->judged[i].enforced,
                                                                   .outcome = w->judged[i].outcome,
                                                                   .waited_since_us = r->over_rate_us,
                                                                   .over = v->over,
                                                                   .part = i,
                                                                   .bytes = bytes_of_packet(packet),
                                                                   .rule = w->judged[i].rule,
                                                                   .topic = entry.filter,
                                                                   .guard = &r->guard,
                                                                   .packet = packet});
}

static void judged_ping(const struct relay *r, const struct mqtt_packet *packet,
                        const struct guard_verdict *v)
{
    struct judged_subject who = subject_of(r);
    judged_tell(r->all->config.judged, &(struct judged_action){.who = &who,
                                                               .kind = JUDGED_PING,
                                                               .enforced = v->outcome != OUTCOME_ALLOWED &&
                                                                           v->action != GUARD_FORWARD,
                                                               .waited_since_us = r->over_rate_us,
                                                               .over = v->over,
                                                               .bytes = bytes_of_packet(packet),
                                                               .outcome = v->outcome,
                                                               .rule = ACL_RULE_NONE,
                                                               .guard = &r->guard,
                                                               .packet = packet});
}

void relay_judged_packet(const struct relay *r, enum mqtt_sender sender, const struct mqtt_packet *packet,
                         const struct guard_verdict *v, struct bytes list, bool whole)
{
    if (packet->type == MQTT_PUBLISH)
        judged_publish(r, sender, packet, v, whole);
    else if (packet->type == MQTT_SUBSCRIBE)
        judged_filters(r, packet, v, list);
    else if (packet->type == MQTT_PINGREQ && sender == MQTT_FROM_CLIENT)
        judged_ping(r, packet, v);
}

void relay_judged_connect(const struct relay *r, const struct mqtt_packet *packet, enum outcome outcome)
{
    struct judged_subject who = subject_of(r);
    judged_tell(r->all->config.judged, &(struct judged_action){.who = &who,
                                                               .kind = JUDGED_CONNECT,
                                                               .password = r->credential != 0,
                                                               .bytes = bytes_of_packet(packet),
                                                               .enforced = outcome != OUTCOME_ALLOWED,
                                                               .outcome = outcome,
                                                               .rule = ACL_RULE_NONE,
                                                               .packet = packet});
}

void relay_judged_terms(const struct relay *r, const struct mqtt_packet *packet,
                        const struct guard_verdict *v, bool own)
{
    const struct mqtt_will *will = &packet->connect.will;
    struct judged_subject who = subject_of(r);
    struct judged_action action = {.who = &who,
                                   .kind = own ? JUDGED_WILL : JUDGED_TERMS,
                                   .action = ACL_PUBLISH,
                                   .enforced = v->enforced,
                                   .outcome = v->outcome,
                                   .rule = v->rule,
                                   .guard = &r->guard,
                                   .packet = packet,
                                   .whole = true};
    if (own) {
        action.qos = will->qos;
        action.retain = will->retain;
        action.payload_bytes = (uint32_t)will->payload.len;
        action.topic = will->topic;
    }
    judged_tell(r->all->config.judged, &action);
}
