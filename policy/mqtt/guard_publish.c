/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PUBLISH in both directions: rules, caps, rates, exchanges (D4, D6, D7, D8, F2). */
#include "policy/access/topic.h"
#include "policy/mqtt/guard_private.h"

/* ---- identifiers -------------------------------------------------------------------------------------- */

/*
 * A PUBLISH whose identifier is under way: sent again (3.x; in version 5 only a new connection does that
 * [MQTT-4.4.0-1]), or used twice [MQTT-2.2.1-3]. True when it is to be judged like any other.
 */
static bool judge_again(struct mqtt_guard *g, enum mqtt_sender sender, struct mqtt_packet *p,
                        const struct inflight_entry *entry, struct guard_verdict *v)
{
    enum inflight_state state = (enum inflight_state)entry->state;
    bool qos2 = p->publish.qos == 2;
    bool passed = qos2 ? state == INFLIGHT_PUBREC || state == INFLIGHT_PUBREL : state == INFLIGHT_PUBACK;
    bool held = qos2 ? state == INFLIGHT_HELD_PUBREC : state == INFLIGHT_HELD_PUBACK;
    if (p->publish.dup && g->version != MQTT_5) {
        if (passed) {
            v->again = true;
            p->packet_id = entry->wire;
            return true;
        }
        if (held) { /* its answer will come */
            guard_drop(OUTCOME_ALLOWED, v);
            v->quiet = true;
            return false;
        }
        if (qos2 && state == INFLIGHT_REFUSED) {
            guard_answer(v, MQTT_PUBREC, p->packet_id, 0);
            v->outcome = OUTCOME_ALLOWED;
            return false;
        }
    }
    guard_close(g, sender == MQTT_FROM_CLIENT ? OUTCOME_BAD_PACKET_ID : OUTCOME_UPSTREAM_PROTOCOL, v);
    return false;
}

/* How many messages of a side may be unacknowledged (D8). A client that is held back may go as far as what is
 * queued for it, for it was not told. An upstream of version 5 was, but stock brokers go beyond it all the
 * same: it is held back too, and what it may do beyond is what the client itself has room for. */
static uint32_t most_in_flight(const struct mqtt_guard *g, enum mqtt_sender sender)
{
    uint32_t most = (uint32_t)g->role->inflight + g->role->queue;
    if (g->version == MQTT_5 && sender == MQTT_FROM_CLIENT)
        return g->receive_max_up;
    if (g->version == MQTT_5 && g->role->law.over == POLICY_OVERRUN_DISCONNECT)
        return g->receive_max_down;
    if (g->version == MQTT_5)
        return g->receive_max_client < most ? g->receive_max_client : most;
    if (sender == MQTT_FROM_CLIENT && !guard_delays(g) && !g->observe)
        return g->role->inflight;
    return most;
}

static enum outcome judge_room(struct mqtt_guard *g, enum mqtt_sender sender)
{
    struct inflight *flow = guard_flow(g, sender);
    if (flow->used >= most_in_flight(g, sender)) {
        if (sender == MQTT_FROM_CLIENT)
            return OUTCOME_INFLIGHT_CAP;
        return g->version == MQTT_5 ? OUTCOME_UPSTREAM_PROTOCOL : OUTCOME_QUEUE_FULL;
    }
    return inflight_reserve(flow, g->workspace) ? OUTCOME_ALLOWED : OUTCOME_NO_RESOURCES;
}

/* A client above its cap whose message is refused instead: its answer may have to wait too, in the room that
 * is left for what is queued. */
static bool may_drop(struct mqtt_guard *g)
{
    uint32_t most = most_in_flight(g, MQTT_FROM_CLIENT) + g->role->queue;
    return g->role->law.over == POLICY_OVERRUN_DROP && g->up.used < most &&
           inflight_reserve(&g->up, g->workspace);
}

/* True when the message is new or to be judged again; then the verdict says what to record if it passes. */
static bool judge_exchange(struct mqtt_guard *g, enum mqtt_sender sender, struct mqtt_packet *p,
                           struct guard_verdict *v)
{
    const struct inflight_entry *entry = inflight_find(guard_flow(g, sender), p->packet_id);
    if (entry != NULL)
        return judge_again(g, sender, p, entry, v);
    if (sender == MQTT_FROM_CLIENT && guard_id_taken(g, p->packet_id)) {
        guard_close(g, OUTCOME_BAD_PACKET_ID, v);
        return false;
    }
    enum outcome outcome = judge_room(g, sender);
    if (outcome == OUTCOME_ALLOWED && sender == MQTT_FROM_CLIENT) {
        p->packet_id = guard_wire_id(g, p->packet_id);
        if (p->packet_id == 0)
            outcome = OUTCOME_NO_RESOURCES;
    }
    if (outcome == OUTCOME_INFLIGHT_CAP && may_drop(g)) {
        mqtt_guard_refuse(g, sender, p, outcome, v);
        return false;
    }
    if (outcome != OUTCOME_ALLOWED) {
        guard_close(g, outcome, v);
        return false;
    }
    v->record = GUARD_RECORD_ADD;
    v->state = p->publish.qos == 2 ? INFLIGHT_PUBREC : INFLIGHT_PUBACK;
    if (g->observe && sender == MQTT_FROM_CLIENT && g->up.used >= g->role->inflight)
        v->outcome = OUTCOME_INFLIGHT_CAP; /* told when nothing else is */
    return true;
}

/* ---- refusal ------------------------------------------------------------------------------------------ */

/* QoS 0 is dropped. QoS 1 and 2 are acknowledged in their turn, in version 5 to a client with the reason. */
void mqtt_guard_refuse(struct mqtt_guard *g, enum mqtt_sender sender, const struct mqtt_packet *p,
                       enum outcome outcome, struct guard_verdict *v)
{
    bool client = sender == MQTT_FROM_CLIENT;
    uint8_t qos = p->publish.qos;
    enum mqtt_type type = qos == 2 ? MQTT_PUBREC : MQTT_PUBACK;
    v->outcome = outcome;
    v->enforced = true;
    v->record = GUARD_RECORD_NOTHING;
    v->action = GUARD_DROP;
    if (qos == 0 || v->again)
        return;
    if (client && g->version != MQTT_5 && g->role->refusal == POLICY_REFUSE_DISCONNECT) {
        guard_close(g, outcome, v);
        return;
    }
    uint8_t code = client ? mqtt_guard_code(type, (enum mqtt_version)g->version, outcome) : 0;
    if (inflight_must_hold(guard_flow(g, sender), qos)) {
        v->record = GUARD_RECORD_ADD;
        v->state = qos == 2 ? INFLIGHT_HELD_PUBREC : INFLIGHT_HELD_PUBACK;
        v->answer.code = code;
        return;
    }
    guard_answer(v, type, v->id, code);
    if (qos == 2 && code < 0x80) { /* the sender will release it */
        v->record = GUARD_RECORD_ADD;
        v->state = INFLIGHT_REFUSED;
    }
}

/* A refusal by policy, which a role in observation lets pass. */
static void refuse_by_policy(struct mqtt_guard *g, enum mqtt_sender sender, struct mqtt_packet *p,
                             enum outcome outcome, struct guard_verdict *v)
{
    if (!guard_passes(g, outcome, v->rule)) {
        mqtt_guard_refuse(g, sender, p, outcome, v);
        return;
    }
    v->action = GUARD_FORWARD;
    v->outcome = outcome;
    v->enforced = false;
}

/* ---- from the client ---------------------------------------------------------------------------------- */

/* Puts the name in the place of its alias; what is passed on has a name and no alias (D6). */
static bool resolve_alias(struct mqtt_guard *g, struct mqtt_packet *p, struct guard_verdict *v)
{
    uint16_t alias = p->properties.topic_alias;
    guard_strip(&p->properties, MQTT_PROP_TOPIC_ALIAS);
    if (alias == 0 || alias > g->aliases.maximum) {
        guard_close(g, OUTCOME_BAD_TOPIC_ALIAS, v);
        return false;
    }
    if (p->publish.topic.len != 0) {
        v->alias = alias;
        return true;
    }
    p->publish.topic = alias_get(&g->aliases, alias);
    enum outcome outcome = p->publish.topic.len == 0 ? OUTCOME_BAD_TOPIC_ALIAS : OUTCOME_ALLOWED;
    /* The policy may ask for more than when it was set. */
    if (g->role->law.strict_strings && !g->observe && !utf8_check(p->publish.topic, UTF8_STRICT))
        outcome = OUTCOME_MALFORMED_STRING;
    if (outcome == OUTCOME_ALLOWED)
        return true;
    guard_close(g, outcome, v);
    return false;
}

static enum outcome judge_response_right(const struct mqtt_guard *g, enum acl_action action,
                                         struct bytes topic, struct guard_verdict *v)
{
    struct acl_request request = {.action = action, .topic = topic};
    struct acl_decision decision = acl_decide(g->role->acl, g->values, &request);
    if (decision.outcome != OUTCOME_ALLOWED)
        v->rule = decision.rule;
    return decision.outcome;
}

enum outcome guard_judge_response_topic(const struct mqtt_guard *g, struct bytes topic,
                                        struct guard_verdict *v)
{
    enum policy_response by = g->role->law.response_topic;
    struct bytes inner;
    if (by == POLICY_RESPONSE_ANY)
        return OUTCOME_ALLOWED;
    if (!topic_publish_parse(topic, &inner))
        return OUTCOME_BAD_TOPIC;
    enum outcome outcome = guard_judge_topic(g, topic);
    if (outcome == OUTCOME_ALLOWED && by != POLICY_RESPONSE_PUBLISH)
        outcome = judge_response_right(g, ACL_SUBSCRIBE, inner, v);
    if (outcome == OUTCOME_ALLOWED && by != POLICY_RESPONSE_SUBSCRIBE)
        outcome = judge_response_right(g, ACL_PUBLISH, inner, v);
    return outcome;
}

static bool granted_before(const struct guard_grant *grant, const struct mqtt_publish *publish)
{
    return grant->topic_len == publish->topic.len && grant->qos == publish->qos &&
           grant->retain == publish->retain && publish->payload_bytes <= grant->payload_bytes &&
           memcmp(grant->topic, publish->topic.at, grant->topic_len) == 0;
}

static void remember(struct guard_grant *grant, const struct mqtt_publish *publish,
                     const struct acl_decision *decision)
{
    if (publish->topic.len > GUARD_GRANT_TOPIC_MAX || decision->payload != ACL_PAYLOAD_ANY)
        return;
    grant->rule = decision->rule;
    grant->payload_bytes = publish->payload_bytes;
    grant->topic_len = (uint8_t)publish->topic.len;
    grant->qos = publish->qos;
    grant->retain = publish->retain;
    memcpy(grant->topic, publish->topic.at, publish->topic.len);
}

/* False when its topic is none that can be judged. */
static bool publish_request(const struct mqtt_publish *publish, struct acl_request *request)
{
    *request = (struct acl_request){.action = ACL_PUBLISH,
                                    .qos = publish->qos,
                                    .retain = publish->retain,
                                    .payload_bytes = publish->payload_bytes};
    return topic_publish_parse(publish->topic, &request->topic);
}

static enum outcome judge_topic(struct mqtt_guard *g, const struct mqtt_publish *publish,
                                enum acl_payload *payload, struct guard_verdict *v)
{
    enum outcome outcome = guard_judge_topic(g, publish->topic);
    if (outcome != OUTCOME_ALLOWED)
        return outcome;
    if (g->cloud != NULL)
        outcome =
            cloud_judge_publish(g->cloud, publish->topic, publish->retain, false, publish->payload_bytes);
    if (outcome != OUTCOME_ALLOWED)
        return outcome;
    struct acl_request request;
    if (!publish_request(publish, &request))
        return OUTCOME_BAD_TOPIC;
    struct acl_decision decision = acl_decide(g->role->acl, g->values, &request);
    v->rule = decision.rule;
    *payload = decision.payload;
    if (decision.outcome == OUTCOME_ALLOWED)
        remember(&g->grant, publish, &decision);
    return decision.outcome;
}

static enum outcome judge_content(struct mqtt_guard *g, const struct mqtt_packet *p,
                                  enum acl_payload *payload, struct guard_verdict *v)
{
    enum outcome outcome = OUTCOME_ALLOWED;
    if (p->publish.qos > g->role->max_qos)
        return OUTCOME_QOS_CAP;
    if (p->properties.user_property_count > g->role->limits.user_properties)
        return OUTCOME_PROPERTY_CAP;
    if (granted_before(&g->grant, &p->publish))
        v->rule = g->grant.rule;
    else
        outcome = judge_topic(g, &p->publish, payload, v);
    if (outcome == OUTCOME_ALLOWED && guard_has(&p->properties, MQTT_PROP_RESPONSE_TOPIC))
        return guard_judge_response_topic(g, p->properties.response_topic, v);
    return outcome;
}

enum outcome guard_judge_publish(struct mqtt_guard *g, const struct mqtt_packet *p, enum acl_payload *payload,
                                 struct guard_verdict *v)
{
    struct acl_request request;
    enum outcome outcome = judge_content(g, p, payload, v);
    if (outcome == OUTCOME_ALLOWED || !guard_passes(g, outcome, v->rule))
        return outcome;
    if (!publish_request(&p->publish, &request))
        return OUTCOME_BAD_TOPIC;
    return guard_unless_denied(g, outcome, &request, &v->rule);
}

bool guard_holdable(const struct mqtt_guard *g, const struct mqtt_packet *p)
{
    const uint32_t lengths = 2 + 2 + VBI_BYTES_MAX; /* of the topic, the identifier, the properties */
    uint64_t bytes =
        (uint64_t)p->publish.payload_bytes + p->publish.topic.len + p->properties.list.len + lengths;
    return p->publish.payload_bytes <= g->role->limits.packet_bytes && bytes <= g->workspace->held_bytes_max;
}

bool guard_is_text(const struct mqtt_guard *g, const struct mqtt_packet *p)
{
    return g->role->payload_utf8 ||
           (guard_has(&p->properties, MQTT_PROP_PAYLOAD_FORMAT) && p->properties.payload_format == 1);
}

/* What the upstream told a version 5 client in CONNACK that it does not take [MQTT-3.2.2-11, -14]. */
static enum outcome judge_announced(const struct mqtt_guard *g, const struct mqtt_publish *publish)
{
    if (g->version != MQTT_5)
        return OUTCOME_ALLOWED;
    if (publish->qos > g->upstream_max_qos)
        return OUTCOME_QOS_CAP;
    return publish->retain && g->no_retain ? OUTCOME_RETAIN_DENIED : OUTCOME_ALLOWED;
}

/* Rates before rules, since they are cheaper to ask; where the role only observes, what is over a rate is
 * judged by the rules all the same, some of which may hold. */
static enum outcome judge_rates(struct mqtt_guard *g, const struct mqtt_packet *p, enum acl_payload *payload,
                                uint64_t now_us, struct guard_verdict *v)
{
    enum outcome over = guard_meters_judge(g, RATE_PUBLISHES, p->publish.qos, now_us, v);
    if (over != OUTCOME_ALLOWED && !g->observe)
        return over;
    enum outcome outcome = guard_judge_publish(g, p, payload, v);
    if (over == OUTCOME_ALLOWED || (outcome != OUTCOME_ALLOWED && !guard_passes(g, outcome, v->rule)))
        return outcome;
    v->rule = ACL_RULE_NONE;
    return over;
}

void guard_check_publish(struct mqtt_guard *g, struct mqtt_packet *p, bool whole, uint64_t now_us,
                         struct guard_verdict *v)
{
    enum acl_payload payload = ACL_PAYLOAD_ANY;
    enum outcome outcome = judge_announced(g, &p->publish);
    if (outcome != OUTCOME_ALLOWED) {
        guard_close(g, outcome, v);
        return;
    }
    if (guard_has(&p->properties, MQTT_PROP_TOPIC_ALIAS) && !resolve_alias(g, p, v))
        return;
    if (p->publish.qos != 0 && !judge_exchange(g, MQTT_FROM_CLIENT, p, v))
        return;
    bool many = v->outcome == OUTCOME_INFLIGHT_CAP;
    outcome = judge_rates(g, p, &payload, now_us, v);
    if (outcome == OUTCOME_ALLOWED && (payload != ACL_PAYLOAD_ANY || guard_is_text(g, p))) {
        if (!whole && guard_holdable(g, p)) {
            v->action = GUARD_HOLD;
            return;
        }
        if (!whole)
            outcome = OUTCOME_PAYLOAD_TOO_LARGE;
        else if (!guard_payload_good(p->publish.payload, guard_is_text(g, p), payload))
            outcome = OUTCOME_MALFORMED_PAYLOAD;
    }
    if (outcome == OUTCOME_ALLOWED && !many) {
        guard_forward(v);
        return;
    }
    if (outcome == OUTCOME_ALLOWED) {
        outcome = OUTCOME_INFLIGHT_CAP;
        v->rule = ACL_RULE_NONE;
    }
    /* Version 5 was told the cap [MQTT-3.2.2-11]; who floods is cut off where the policy says so. */
    bool breach = (outcome == OUTCOME_QOS_CAP && v->rule == ACL_RULE_NONE && g->version == MQTT_5 &&
                   p->publish.qos > g->role->max_qos) ||
                  (guard_is_rate(outcome) && guard_ends_session(v));
    if (breach && !guard_observes(g, v->rule))
        guard_close(g, outcome, v);
    else
        refuse_by_policy(g, MQTT_FROM_CLIENT, p, outcome, v);
}

/* ---- from the upstream -------------------------------------------------------------------------------- */

enum outcome guard_judge_delivery(const struct mqtt_guard *g, const struct mqtt_packet *p,
                                  enum acl_payload *payload, struct guard_verdict *v)
{
    struct acl_request request = {.action = ACL_SUBSCRIBE,
                                  .topic = p->publish.topic,
                                  .qos = p->publish.qos,
                                  .payload_bytes = p->publish.payload_bytes};
    struct acl_decision decision = acl_decide(g->role->acl, g->values, &request);
    v->rule = decision.rule;
    *payload = decision.payload;
    return decision.outcome;
}

void guard_check_delivery(struct mqtt_guard *g, struct mqtt_packet *p, bool whole, struct guard_verdict *v)
{
    /* We never told the upstream that it may use aliases. */
    bool sound = p->defect == OUTCOME_ALLOWED;
    if (sound && guard_has(&p->properties, MQTT_PROP_TOPIC_ALIAS)) {
        guard_close(g, OUTCOME_UPSTREAM_PROTOCOL, v);
        return;
    }
    if (p->publish.qos != 0 && !judge_exchange(g, MQTT_FROM_SERVER, p, v))
        return;
    if (!sound) {
        mqtt_guard_refuse(g, MQTT_FROM_SERVER, p, (enum outcome)p->defect, v);
        return;
    }
    enum acl_payload payload = ACL_PAYLOAD_ANY;
    enum outcome outcome = guard_judge_delivery(g, p, &payload, v);
    if (outcome == OUTCOME_ALLOWED && (payload != ACL_PAYLOAD_ANY || guard_is_text(g, p))) {
        if (!whole && guard_holdable(g, p)) {
            v->action = GUARD_HOLD;
            return;
        }
        if (!whole || p->publish.payload_bytes > g->role->limits.packet_bytes)
            outcome = OUTCOME_PAYLOAD_TOO_LARGE; /* than what can be read before it is passed on */
        else if (!guard_payload_good(p->publish.payload, guard_is_text(g, p), payload))
            outcome = OUTCOME_MALFORMED_PAYLOAD;
    }
    if (outcome == OUTCOME_ALLOWED)
        guard_forward(v);
    else
        refuse_by_policy(g, MQTT_FROM_SERVER, p, outcome, v);
}
