/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/mqtt/guard.h"

#include "policy/access/topic.h"
#include "policy/json_syntax.h"
#include "policy/mqtt/guard_private.h"
#include "policy/mqtt/packet_strings.h"
#include "policy/mqtt/reason.h"

void mqtt_guard_init(struct mqtt_guard *g, struct mqtt_workspace *workspace)
{
    *g = (struct mqtt_guard){.workspace = workspace, .state = GUARD_CONNECT};
    inflight_init(&g->up);
    inflight_init(&g->down);
    alias_init(&g->aliases, 0);
}

void mqtt_guard_fini(struct mqtt_guard *g)
{
    inflight_fini(&g->up, g->workspace);
    inflight_fini(&g->down, g->workspace);
    alias_fini(&g->aliases, g->workspace);
    requests_fini(&g->requests, g->workspace);
    subscriptions_fini(&g->subscriptions, g->workspace);
    g->state = GUARD_OVER;
}

void mqtt_guard_bind(struct mqtt_guard *g, const struct policy_role *role, const struct acl_values *values,
                     bool observe, struct rate_buckets *buckets)
{
    g->role = role;
    g->values = values;
    g->observe = observe || role->mode == POLICY_OBSERVE;
    g->grant.topic_len = 0;
    g->meters_n = 0;
    mqtt_guard_meter(
        g, &(struct guard_meter){.scope = GUARD_CLIENT, .rates = &role->limits.rates, .own = buckets});
}

uint8_t mqtt_guard_code(enum mqtt_type type, enum mqtt_version version, enum outcome outcome)
{
    if (version != MQTT_5)
        return type == MQTT_CONNACK ? outcome_connack3_code(outcome) : 0;
    return mqtt_reason_nearest(type, outcome_mqtt5_code(outcome));
}

/* ---- what the parts share ----------------------------------------------------------------------------- */

void guard_close(struct mqtt_guard *g, enum outcome outcome, struct guard_verdict *v)
{
    v->action = GUARD_CLOSE;
    v->outcome = outcome;
    v->enforced = true;
    v->record = GUARD_RECORD_NOTHING;
    v->code = mqtt_guard_code(MQTT_DISCONNECT, (enum mqtt_version)g->version, outcome);
}

void guard_drop(enum outcome outcome, struct guard_verdict *v)
{
    v->action = GUARD_DROP;
    v->outcome = outcome;
    v->enforced = true;
    v->record = GUARD_RECORD_NOTHING;
}

void guard_answer(struct guard_verdict *v, enum mqtt_type type, uint16_t id, uint8_t code)
{
    v->action = GUARD_ANSWER;
    v->enforced = true;
    v->answer = (struct guard_answer){.type = type, .id = id, .code = code};
}

bool guard_observes(const struct mqtt_guard *g, uint32_t rule)
{
    if (!g->observe)
        return false;
    return rule == ACL_RULE_NONE || !acl_rule_at(g->role->acl, rule)->enforce;
}

bool guard_passes(const struct mqtt_guard *g, enum outcome outcome, uint32_t rule)
{
    return outcome != OUTCOME_BAD_TOPIC && outcome != OUTCOME_BAD_FILTER && guard_observes(g, rule);
}

enum outcome guard_unless_denied(const struct mqtt_guard *g, enum outcome outcome,
                                 const struct acl_request *request, uint32_t *rule)
{
    if (outcome == OUTCOME_ALLOWED || !guard_passes(g, outcome, *rule))
        return outcome;
    struct acl_decision decision =
        request->action == ACL_SUBSCRIBE
            ? acl_decide_filter(g->role->acl, g->values, request, g->role->subscribe_mode)
            : acl_decide(g->role->acl, g->values, request);
    if (decision.outcome != OUTCOME_RULE_DENY || guard_observes(g, decision.rule))
        return outcome;
    *rule = decision.rule;
    return OUTCOME_RULE_DENY;
}

bool guard_id_taken(const struct mqtt_guard *g, uint16_t id)
{
    return requests_find(&g->requests, id) != NULL;
}

static bool wire_taken(struct mqtt_guard *g, uint16_t id)
{
    return inflight_find_wire(&g->up, id) != NULL || requests_find_wire(&g->requests, id) != NULL;
}

/* From the top, where clients that count up do not come by. */
uint16_t guard_free_id(struct mqtt_guard *g)
{
    for (uint16_t id = UINT16_MAX; id != 0; id--)
        if (!wire_taken(g, id) && inflight_find(&g->up, id) == NULL && !guard_id_taken(g, id))
            return id;
    return 0;
}

uint16_t guard_wire_id(struct mqtt_guard *g, uint16_t id)
{
    if (g->requests.own == 0 && g->up.mapped == 0)
        return id;
    return wire_taken(g, id) ? guard_free_id(g) : id;
}

enum outcome guard_judge_topic(const struct mqtt_guard *g, struct bytes topic)
{
    const struct policy_limits *limits = &g->role->limits;
    if (topic.len > limits->topic_bytes)
        return OUTCOME_TOPIC_TOO_DEEP;
    /* No level is without a byte but the last: short topics need not be counted. */
    if (topic.len >= limits->topic_levels && topic_levels(topic) > limits->topic_levels)
        return OUTCOME_TOPIC_TOO_DEEP;
    return OUTCOME_ALLOWED;
}

bool guard_payload_good(struct bytes payload, bool text, enum acl_payload kind)
{
    if ((text || kind == ACL_PAYLOAD_UTF8) && !utf8_check(payload, UTF8_TEXT))
        return false;
    return kind != ACL_PAYLOAD_JSON || json_syntax_check(payload);
}

static bool is_larger(const struct mqtt_packet *p, uint32_t limit_bytes)
{
    uint64_t bytes = UINT64_C(2) + p->remaining_length; /* with the shortest fixed header */
    for (uint32_t length = p->remaining_length; length > 127; length >>= 7)
        bytes++;
    return bytes > limit_bytes;
}

enum outcome guard_judge_form(const struct mqtt_guard *g, enum mqtt_sender sender,
                              const struct mqtt_packet *p)
{
    const struct policy_limits *limits = &g->role->limits;
    bool client = sender == MQTT_FROM_CLIENT;
    if (client && is_larger(p, limits->packet_bytes))
        return OUTCOME_PACKET_TOO_LARGE;
    if (client && p->type != MQTT_PUBLISH && p->properties.user_property_count > limits->user_properties)
        return OUTCOME_PROPERTY_CAP;
    if (g->role->law.strict_strings && !packet_strings_check(p, UTF8_STRICT))
        return OUTCOME_MALFORMED_STRING;
    return OUTCOME_ALLOWED;
}

/* ---- may it be read ----------------------------------------------------------------------------------- */

/* So many of `sender`'s messages are under way that the next one waits: but only while the other side can
 * make room. Otherwise it is read, and ends the session (version 3 has no way to say how many are too many).
 */
static bool is_full(const struct mqtt_guard *g, const struct inflight *flow, uint32_t waiting_max)
{
    uint32_t most = (uint32_t)g->role->inflight + g->role->queue;
    return flow->waiting >= waiting_max || (flow->used >= most && flow->waiting != 0);
}

/* In version 5 the upstream counts as its own Receive Maximum does: until PUBACK, PUBCOMP or refusal. */
static bool is_held_back(const struct mqtt_guard *g)
{
    if (g->version != MQTT_5 && g->observe) /* what is beyond the cap is told; what the tables hold, holds */
        return is_full(g, &g->up, UINT16_MAX);
    if (!guard_delays(g))
        return false;
    if (g->version == MQTT_5)
        return g->up.used >= g->receive_max_up && g->up.waiting != 0;
    return is_full(g, &g->up, g->role->inflight);
}

static bool admits_client(struct mqtt_guard *g, uint8_t first_byte, uint64_t now_us, uint64_t *until_us)
{
    enum mqtt_type type = first_byte >> 4;
    if (g->state == GUARD_CONNACK)
        return type == MQTT_AUTH && g->client_speaks;
    if (g->state != GUARD_RUNNING)
        return true;
    if (type == MQTT_PUBLISH && (first_byte & 0x06) != 0 && is_held_back(g))
        return false;
    if ((type == MQTT_SUBSCRIBE || type == MQTT_UNSUBSCRIBE) && g->requests.used >= REQUESTS_MAX)
        return false;
    return g->meters_n == 0 || guard_meters_admit(g, first_byte, now_us, until_us);
}

bool mqtt_guard_admits(struct mqtt_guard *g, enum mqtt_sender sender, uint8_t first_byte, uint64_t now_us,
                       uint64_t *until_us)
{
    *until_us = GUARD_NEVER_US;
    if (sender == MQTT_FROM_CLIENT)
        return admits_client(g, first_byte, now_us, until_us);
    if (g->state != GUARD_RUNNING)
        return true;
    if (g->version == MQTT_5) /* it was told; should it not care, the client does not suffer for it */
        return g->role->law.over == POLICY_OVERRUN_DISCONNECT || first_byte >> 4 != MQTT_PUBLISH ||
               (first_byte & 0x06) == 0 || g->down.used < g->receive_max_down || g->down.waiting == 0;
    return first_byte >> 4 != MQTT_PUBLISH || (first_byte & 0x06) == 0 || !is_full(g, &g->down, UINT16_MAX);
}

bool mqtt_guard_shorten(struct mqtt_packet *p)
{
    const uint32_t spare = MQTT_PROP_BIT(MQTT_PROP_REASON_STRING) | MQTT_PROP_BIT(MQTT_PROP_USER_PROPERTY);
    bool some = p->type != MQTT_PUBLISH && (p->properties.present & spare) != 0;
    if (some)
        p->properties.present &= ~spare;
    return some;
}

/* ---- check -------------------------------------------------------------------------------------------- */

static void check_pingresp(const struct mqtt_guard *g, struct guard_verdict *v)
{
    if (g->pings != 0) {
        guard_forward(v);
        v->record = GUARD_RECORD_PONG;
        return;
    }
    guard_drop(g->own_pings != 0 ? OUTCOME_ALLOWED : OUTCOME_PROTOCOL_ERROR, v);
    v->quiet = true;
    v->record = g->own_pings != 0 ? GUARD_RECORD_OWN_PONG : GUARD_RECORD_NOTHING;
}

/* Too many are answered here, or end the session. */
static void check_pingreq(struct mqtt_guard *g, uint64_t now_us, struct guard_verdict *v)
{
    enum outcome outcome = guard_meters_judge(g, RATE_PINGS, 0, now_us, v);
    if (outcome == OUTCOME_ALLOWED || g->observe) {
        guard_forward(v);
        v->outcome = outcome;
        v->record = GUARD_RECORD_PING;
    } else if (guard_ends_session(v)) {
        guard_close(g, outcome, v);
    } else {
        guard_answer(v, MQTT_PINGRESP, 0, 0);
        v->outcome = outcome;
    }
}

static void check_client(struct mqtt_guard *g, struct mqtt_packet *p, uint64_t now_us,
                         struct guard_verdict *v)
{
    switch (p->type) {
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBCOMP:
        guard_check_ack(g, MQTT_FROM_CLIENT, p, v);
        break;
    case MQTT_PUBREL:
        guard_check_pubrel(g, MQTT_FROM_CLIENT, p, v);
        break;
    case MQTT_SUBSCRIBE:
        guard_check_subscribe(g, p, now_us, v);
        break;
    case MQTT_UNSUBSCRIBE:
        guard_check_unsubscribe(g, p, v);
        break;
    case MQTT_PINGREQ:
        check_pingreq(g, now_us, v);
        break;
    case MQTT_DISCONNECT:
        guard_check_disconnect(g, MQTT_FROM_CLIENT, p, v);
        break;
    case MQTT_AUTH:
        guard_check_auth(g, MQTT_FROM_CLIENT, p, v);
        break;
    default:
        guard_close(g, p->type == MQTT_CONNECT ? OUTCOME_SECOND_CONNECT : OUTCOME_WRONG_DIRECTION, v);
        break;
    }
}

static void check_upstream(struct mqtt_guard *g, struct mqtt_packet *p, struct guard_verdict *v)
{
    switch (p->type) {
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBCOMP:
        guard_check_ack(g, MQTT_FROM_SERVER, p, v);
        break;
    case MQTT_PUBREL:
        guard_check_pubrel(g, MQTT_FROM_SERVER, p, v);
        break;
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        guard_check_suback(g, p, v);
        break;
    case MQTT_PINGRESP:
        check_pingresp(g, v);
        break;
    case MQTT_DISCONNECT:
        guard_check_disconnect(g, MQTT_FROM_SERVER, p, v);
        break;
    case MQTT_AUTH:
        guard_check_auth(g, MQTT_FROM_SERVER, p, v);
        break;
    default:
        guard_close(g, OUTCOME_UPSTREAM_PROTOCOL, v);
        break;
    }
}

/* Everything before CONNACK. */
static void check_early(struct mqtt_guard *g, enum mqtt_sender sender, struct mqtt_packet *p,
                        struct guard_verdict *v)
{
    if (g->state == GUARD_CONNECT && sender == MQTT_FROM_CLIENT && p->type == MQTT_CONNECT)
        guard_check_connect(g, p, v);
    else if (g->state == GUARD_CONNACK && sender == MQTT_FROM_SERVER && p->type == MQTT_CONNACK)
        guard_check_connack(g, p, v);
    else if (g->state == GUARD_CONNACK && p->type == MQTT_AUTH)
        guard_check_auth(g, sender, p, v);
    else if (sender == MQTT_FROM_SERVER)
        guard_close(g, OUTCOME_UPSTREAM_PROTOCOL, v);
    else
        guard_close(g, g->state == GUARD_CONNECT ? OUTCOME_FIRST_NOT_CONNECT : OUTCOME_PROTOCOL_ERROR, v);
}

static void check_running(struct mqtt_guard *g, enum mqtt_sender sender, struct mqtt_packet *p, bool whole,
                          uint64_t now_us, struct guard_verdict *v)
{
    if (p->type == MQTT_PUBLISH) {
        if (sender == MQTT_FROM_CLIENT)
            guard_check_publish(g, p, whole, now_us, v);
        else
            guard_check_delivery(g, p, whole, v);
        return;
    }
    if (sender == MQTT_FROM_SERVER) {
        if (g->no_problem_info && p->type != MQTT_DISCONNECT)
            (void)mqtt_guard_shorten(p);
        check_upstream(g, p, v);
    } else if (p->properties.user_property_count > g->role->limits.user_properties && !g->observe)
        guard_close(g, OUTCOME_PROPERTY_CAP, v);
    else
        check_client(g, p, now_us, v);
}

/* What goes on is told when it would not have (G6). */
static void note_form(const struct mqtt_guard *g, enum mqtt_sender sender, const struct mqtt_packet *p,
                      struct guard_verdict *v)
{
    enum outcome outcome = guard_judge_form(g, sender, p);
    if (outcome == OUTCOME_ALLOWED)
        return;
    v->outcome = outcome;
    v->rule = ACL_RULE_NONE;
    v->enforced = false;
}

void mqtt_guard_check(struct mqtt_guard *g, enum mqtt_sender sender, struct mqtt_packet *p, bool whole,
                      uint64_t now_us, struct guard_verdict *v)
{
    *v = (struct guard_verdict){.rule = ACL_RULE_NONE, .id = p->packet_id};
    if (g->state == GUARD_OVER) {
        guard_drop(OUTCOME_PROTOCOL_ERROR, v);
        v->quiet = true;
    } else if (g->state != GUARD_RUNNING) {
        check_early(g, sender, p, v);
    } else {
        check_running(g, sender, p, whole, now_us, v);
        if (g->observe && v->action == GUARD_FORWARD && v->outcome == OUTCOME_ALLOWED)
            note_form(g, sender, p, v);
    }
}

/* ---- advance ------------------------------------------------------------------------------------------ */

/* Acknowledgements belong to the messages of the other side. */
static struct inflight *recorded_flow(struct mqtt_guard *g, enum mqtt_sender sender, enum mqtt_type type)
{
    bool own = type == MQTT_PUBLISH || type == MQTT_PUBREL;
    return (sender == MQTT_FROM_CLIENT) == own ? &g->up : &g->down;
}

static void advance_exchange(struct mqtt_guard *g, enum mqtt_sender sender, const struct mqtt_packet *p,
                             const struct guard_verdict *v)
{
    struct inflight *flow = recorded_flow(g, sender, p->type);
    if (v->record == GUARD_RECORD_ADD) {
        uint16_t wire = v->action == GUARD_FORWARD ? p->packet_id : v->id;
        inflight_add(flow, v->id, wire, (enum inflight_state)v->state, v->answer.code);
        return;
    }
    bool own = p->type == MQTT_PUBLISH || p->type == MQTT_PUBREL;
    struct inflight_entry *entry = own ? inflight_find(flow, v->id) : inflight_find_wire(flow, v->id);
    if (entry == NULL)
        return;
    if (v->record == GUARD_RECORD_SET)
        inflight_set(flow, entry, (enum inflight_state)v->state);
    else
        inflight_remove(flow, entry, g->workspace);
}

void mqtt_guard_advance(struct mqtt_guard *g, enum mqtt_sender sender, const struct mqtt_packet *p,
                        const struct guard_verdict *v, uint64_t now_us)
{
    if (v->alias != 0)
        (void)alias_set(&g->aliases, v->alias, p->publish.topic, g->workspace);
    if (v->counts)
        guard_meters_count(g, v, now_us);
    switch ((enum guard_record)v->record) {
    case GUARD_RECORD_NOTHING:
        break;
    case GUARD_RECORD_ADD:
    case GUARD_RECORD_SET:
    case GUARD_RECORD_REMOVE:
        advance_exchange(g, sender, p, v);
        break;
    case GUARD_RECORD_CONNECT:
        guard_advance_connect(g, p);
        break;
    case GUARD_RECORD_CONNACK:
        guard_advance_connack(g, p);
        break;
    case GUARD_RECORD_REQUEST:
        guard_advance_request(g, p, v);
        break;
    case GUARD_RECORD_ANSWERED:
        guard_advance_answered(g, p, v);
        break;
    case GUARD_RECORD_PING:
        g->pings = g->pings == UINT8_MAX ? UINT8_MAX : (uint8_t)(g->pings + 1);
        break;
    case GUARD_RECORD_PONG:
        g->pings--;
        break;
    case GUARD_RECORD_OWN_PONG:
        g->own_pings--;
        break;
    case GUARD_RECORD_AUTH:
        g->client_speaks = sender == MQTT_FROM_SERVER && p->reason_code == 0x18;
        break;
    case GUARD_RECORD_OVER:
        g->state = GUARD_OVER;
        break;
    }
}

void mqtt_guard_abandon(struct mqtt_guard *g, const struct guard_verdict *v)
{
    if (v->record == GUARD_RECORD_REQUEST)
        g->workspace->put(g->workspace, v->request);
}

void mqtt_guard_pinged(struct mqtt_guard *g)
{
    if (g->own_pings != UINT8_MAX)
        g->own_pings++;
}
