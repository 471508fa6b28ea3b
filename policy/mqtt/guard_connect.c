/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CONNECT, CONNACK, AUTH and DISCONNECT: the ends of a session and what is agreed on between (D2, D8 to D11).
 */
#include "policy/access/topic.h"
#include "policy/mqtt/guard_private.h"
#include "policy/mqtt/packet_strings.h"

#define AUTH_CONTINUE 0x18
#define AUTH_AGAIN 0x19
#define SERVER_UNAVAILABLE 0x88
#define SERVER_SHUTTING_DOWN 0x8B
#define USE_ANOTHER_SERVER 0x9C
#define SERVER_MOVED 0x9D

/* FNV-1a; the upstream compares the names themselves. */
static uint64_t digest(struct bytes name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ name.at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* ---- CONNECT ------------------------------------------------------------------------------------------ */

/* False when its topic is none that can be judged. */
static bool will_request(const struct mqtt_will *will, struct acl_request *request)
{
    *request = (struct acl_request){.action = ACL_PUBLISH,
                                    .qos = will->qos,
                                    .retain = will->retain,
                                    .will = true,
                                    .payload_bytes = (uint32_t)will->payload.len};
    return topic_publish_parse(will->topic, &request->topic);
}

static enum outcome judge_will(const struct mqtt_guard *g, const struct mqtt_will *will,
                               struct guard_verdict *v)
{
    const struct policy_role *role = g->role;
    if (!will->present)
        return role->will == POLICY_WILL_REQUIRED ? OUTCOME_WILL_REQUIRED : OUTCOME_ALLOWED;
    if (role->will == POLICY_WILL_FORBIDDEN)
        return OUTCOME_DEFAULT_DENY;
    if (will->qos > role->max_qos)
        return OUTCOME_QOS_CAP;
    if (will->properties.user_property_count > role->limits.user_properties)
        return OUTCOME_PROPERTY_CAP;
    enum outcome outcome = guard_judge_topic(g, will->topic);
    if (outcome != OUTCOME_ALLOWED)
        return outcome;
    if (g->cloud != NULL)
        outcome = cloud_judge_publish(g->cloud, will->topic, will->retain, true, (uint32_t)will->payload.len);
    if (outcome != OUTCOME_ALLOWED)
        return outcome;
    struct acl_request request;
    if (!will_request(will, &request))
        return OUTCOME_BAD_TOPIC;
    struct acl_decision decision = acl_decide(role->acl, g->values, &request);
    v->rule = decision.rule;
    if (decision.outcome != OUTCOME_ALLOWED)
        return decision.outcome;
    if (!guard_payload_good(will->payload, role->payload_utf8, decision.payload))
        return OUTCOME_MALFORMED_PAYLOAD;
    if (guard_has(&will->properties, MQTT_PROP_RESPONSE_TOPIC))
        return guard_judge_response_topic(g, will->properties.response_topic, v);
    return OUTCOME_ALLOWED;
}

/* A deny that holds is hidden by nothing that is only recorded. */
static enum outcome will_unless_denied(const struct mqtt_guard *g, const struct mqtt_will *will,
                                       enum outcome outcome, struct guard_verdict *v)
{
    struct acl_request request;
    if (outcome == OUTCOME_ALLOWED || !will->present || !will_request(will, &request))
        return outcome;
    return guard_unless_denied(g, outcome, &request, &v->rule);
}

/* What the client is held to. A 3.x client cannot be told: it keeps what it asked for as long as the role
 * allows it (CVE-2020-13849: the longest would hold a place for 27 hours), even where its cloud wants to hear
 * of it more often; one that asks for none is held to the maximum. */
static uint16_t client_keep_alive(const struct mqtt_guard *g, const struct mqtt_connect *c)
{
    uint32_t max =
        g->role->limits.keepalive_max_s < UINT16_MAX ? g->role->limits.keepalive_max_s : UINT16_MAX;
    uint32_t asked = c->keep_alive_s;
    if (asked == 0)
        return (uint16_t)max;
    if (c->version != MQTT_5)
        return (uint16_t)(asked > g->role->limits.silence_max_s ? g->role->limits.silence_max_s : asked);
    if (asked < g->role->limits.keepalive_min_s)
        asked = g->role->limits.keepalive_min_s;
    return (uint16_t)(asked > max ? max : asked);
}

static enum outcome judge_terms(const struct mqtt_guard *g, const struct mqtt_packet *p,
                                struct guard_verdict *v)
{
    const struct mqtt_connect *c = &p->connect;
    const struct policy_limits *limits = &g->role->limits;
    if (p->properties.user_property_count > limits->user_properties)
        return OUTCOME_PROPERTY_CAP;
    if (g->role->law.strict_strings && !packet_strings_check(p, UTF8_STRICT))
        return OUTCOME_MALFORMED_STRING;
    if (c->version != MQTT_5 && c->keep_alive_s != 0 && c->keep_alive_s < limits->keepalive_min_s)
        return OUTCOME_KEEPALIVE_RANGE;
    return judge_will(g, &c->will, v);
}

enum outcome guard_judge_connect(const struct mqtt_guard *g, const struct mqtt_packet *p,
                                 struct guard_verdict *v)
{
    const struct mqtt_will *will = &p->connect.will;
    return will_unless_denied(g, will, judge_terms(g, p, v), v);
}

enum outcome mqtt_guard_rejudge_will(const struct mqtt_guard *g, const struct mqtt_will *will, uint32_t *rule)
{
    struct guard_verdict v = {.rule = ACL_RULE_NONE};
    if (g->will != GUARD_WILL_OWN)
        return OUTCOME_ALLOWED;
    enum outcome outcome = will_unless_denied(g, will, judge_will(g, will, &v), &v);
    *rule = v.rule;
    return outcome == OUTCOME_ALLOWED || guard_passes(g, outcome, v.rule) ? OUTCOME_ALLOWED : outcome;
}

/* Limits of MQTT 5 that a role adds for devices that set none, or too large ones (C5). */
static bool cap_expiry(const struct mqtt_guard *g, struct mqtt_properties *props)
{
    const struct policy_session *session = &g->role->session;
    if (!session->caps_expiry || !guard_has(props, MQTT_PROP_SESSION_EXPIRY) ||
        props->session_expiry_s <= session->expiry_max_s)
        return false;
    props->session_expiry_s = session->expiry_max_s;
    return true;
}

static void cap_session(struct mqtt_guard *g, struct mqtt_properties *props)
{
    const struct policy_session *session = &g->role->session;
    g->expiry_cut = cap_expiry(g, props);
    g->expiry_s = props->session_expiry_s;
    bool smaller =
        guard_has(props, MQTT_PROP_MAX_PACKET_SIZE) && props->max_packet_bytes <= session->packet_bytes;
    if (session->packet_bytes == 0 || smaller)
        return;
    props->max_packet_bytes = session->packet_bytes;
    guard_set(props, MQTT_PROP_MAX_PACKET_SIZE);
}

/* What the upstream is told: nothing that it could use to reach past the gateway's own limits. */
static void rewrite_connect(struct mqtt_guard *g, struct mqtt_packet *p)
{
    struct mqtt_connect *c = &p->connect;
    struct mqtt_properties *props = &p->properties;
    uint32_t max = g->role->limits.keepalive_max_s;
    if (c->keep_alive_s == 0 || c->keep_alive_s > max)
        c->keep_alive_s = (uint16_t)(max < UINT16_MAX ? max : UINT16_MAX);
    if (c->version != MQTT_5)
        return;
    c->keep_alive_s = g->keep_alive_s; /* as the client will be told, or the upstream loses patience first */
    guard_strip(props, MQTT_PROP_TOPIC_ALIAS_MAX);
    cap_session(g, props);
    g->receive_max_client = guard_has(props, MQTT_PROP_RECEIVE_MAXIMUM) ? props->receive_maximum : UINT16_MAX;
    if (!guard_has(props, MQTT_PROP_RECEIVE_MAXIMUM) || props->receive_maximum > g->role->inflight) {
        props->receive_maximum = g->role->inflight;
        guard_set(props, MQTT_PROP_RECEIVE_MAXIMUM);
    }
}

void guard_check_connect(struct mqtt_guard *g, struct mqtt_packet *p, struct guard_verdict *v)
{
    g->version = (uint8_t)p->connect.version;
    enum outcome outcome = guard_judge_connect(g, p, v);
    if (outcome != OUTCOME_ALLOWED && !guard_passes(g, outcome, v->rule)) {
        guard_close(g, outcome, v);
        v->code = mqtt_guard_code(MQTT_CONNACK, p->connect.version, outcome);
        return;
    }
    g->will = p->connect.will.present ? GUARD_WILL_OWN : GUARD_WILL_NONE;
    if (g->will == GUARD_WILL_NONE && g->role->will == POLICY_WILL_SUPPLIED) {
        if (guard_supply_will(g, p)) {
            g->will = GUARD_WILL_SUPPLIED;
        } else if (g->observe) {
            p->connect.will = (struct mqtt_will){.present = false};
            outcome = OUTCOME_WILL_REQUIRED;
        } else {
            guard_close(g, OUTCOME_WILL_REQUIRED, v);
            v->code = mqtt_guard_code(MQTT_CONNACK, p->connect.version, OUTCOME_WILL_REQUIRED);
            return;
        }
    }
    g->keep_alive_s = client_keep_alive(g, &p->connect);
    g->asked_keep_alive_s = p->connect.keep_alive_s;
    rewrite_connect(g, p);
    v->action = GUARD_FORWARD;
    v->outcome = outcome;
    v->record = GUARD_RECORD_CONNECT;
}

void guard_advance_connect(struct mqtt_guard *g, const struct mqtt_packet *p)
{
    const struct mqtt_connect *c = &p->connect;
    const struct mqtt_properties *props = &p->properties;
    g->state = GUARD_CONNACK;
    g->upstream_keep_alive_s = c->keep_alive_s;
    g->clean_start = c->clean_start;
    g->named = c->client_id.len != 0;
    if (c->version != MQTT_5)
        return;
    g->receive_max_down = props->receive_maximum;
    g->client_packet_max = guard_has(props, MQTT_PROP_MAX_PACKET_SIZE) ? props->max_packet_bytes : 0;
    g->no_problem_info = guard_has(props, MQTT_PROP_REQUEST_PROBLEM) && props->request_problem == 0;
    g->wants_response_info = guard_has(props, MQTT_PROP_REQUEST_RESPONSE) && props->request_response == 1;
    g->session_ends = !guard_has(props, MQTT_PROP_SESSION_EXPIRY) || props->session_expiry_s == 0;
    g->authenticates = guard_has(props, MQTT_PROP_AUTH_METHOD);
    if (g->authenticates)
        g->auth_method = digest(props->auth_method);
}

/* ---- CONNACK ------------------------------------------------------------------------------------------ */

static uint32_t lesser(const struct mqtt_properties *p, enum mqtt_property property, uint32_t theirs,
                       uint32_t ours)
{
    return guard_has(p, property) && theirs < ours ? theirs : ours;
}

/* True when a property was there that would lead the client past the gateway. */
static bool strip_redirection(struct mqtt_packet *p, uint8_t instead)
{
    bool found = guard_has(&p->properties, MQTT_PROP_SERVER_REFERENCE);
    guard_strip(&p->properties, MQTT_PROP_SERVER_REFERENCE);
    if (p->reason_code == USE_ANOTHER_SERVER || p->reason_code == SERVER_MOVED) {
        p->reason_code = instead;
        found = true;
    }
    return found;
}

/* Each limit is the stricter of the upstream's and ours [MQTT-3.2.2-9 to -22]. */
static void rewrite_limits(struct mqtt_guard *g, struct mqtt_properties *props)
{
    /* While the role only observes a client is told what the gateway holds, not what the role allows. */
    uint32_t queued = (uint32_t)g->role->inflight + g->role->queue;
    uint16_t held = queued < UINT16_MAX ? (uint16_t)queued : UINT16_MAX;
    uint16_t in_flight = g->observe ? held : g->role->inflight;
    uint32_t packet_bytes = g->observe ? UINT32_MAX : g->role->limits.packet_bytes;
    uint8_t max_qos = g->observe ? 2 : g->role->max_qos;
    g->upstream_max_qos = guard_has(props, MQTT_PROP_MAXIMUM_QOS) ? props->maximum_qos : 2;
    g->no_retain = guard_has(props, MQTT_PROP_RETAIN_AVAILABLE) && props->retain_available == 0;
    max_qos = g->upstream_max_qos < max_qos ? g->upstream_max_qos : max_qos;
    guard_strip(props, MQTT_PROP_MAXIMUM_QOS);
    if (max_qos < 2)
        guard_set(props, MQTT_PROP_MAXIMUM_QOS);
    props->maximum_qos = max_qos;
    props->receive_maximum =
        (uint16_t)lesser(props, MQTT_PROP_RECEIVE_MAXIMUM, props->receive_maximum, in_flight);
    guard_set(props, MQTT_PROP_RECEIVE_MAXIMUM);
    g->upstream_packet_max = guard_has(props, MQTT_PROP_MAX_PACKET_SIZE) ? props->max_packet_bytes : 0;
    props->max_packet_bytes = lesser(props, MQTT_PROP_MAX_PACKET_SIZE, props->max_packet_bytes, packet_bytes);
    if (props->max_packet_bytes != UINT32_MAX)
        guard_set(props, MQTT_PROP_MAX_PACKET_SIZE);
    if (g->expiry_cut && !guard_has(props, MQTT_PROP_SESSION_EXPIRY)) { /* [MQTT-3.1.2-22, s.3.2.2.3.2] */
        props->session_expiry_s = g->expiry_s;
        guard_set(props, MQTT_PROP_SESSION_EXPIRY);
    }
    props->topic_alias_max = GUARD_TOPIC_ALIASES;
    guard_set(props, MQTT_PROP_TOPIC_ALIAS_MAX);
    if (guard_has(props, MQTT_PROP_SERVER_KEEP_ALIVE)) {
        uint16_t theirs = props->server_keep_alive_s;
        g->upstream_keep_alive_s = theirs;
        if (theirs != 0 && theirs < g->keep_alive_s)
            g->keep_alive_s = theirs;
    }
    guard_strip(props, MQTT_PROP_SERVER_KEEP_ALIVE);
    if (g->keep_alive_s != g->asked_keep_alive_s)
        guard_set(props, MQTT_PROP_SERVER_KEEP_ALIVE);
    props->server_keep_alive_s = g->keep_alive_s;
}

static bool method_fits(const struct mqtt_guard *g, const struct mqtt_properties *props)
{
    if (!guard_has(props, MQTT_PROP_AUTH_METHOD))
        return true;
    return g->authenticates && digest(props->auth_method) == g->auth_method;
}

void guard_check_connack(struct mqtt_guard *g, struct mqtt_packet *p, struct guard_verdict *v)
{
    struct mqtt_properties *props = &p->properties;
    bool good = p->reason_code == 0;
    /* [MQTT-3.2.2-2, -16]; Authentication Method: s.3.2.2.3.17 */
    if ((good && p->connack.session_present && g->clean_start) ||
        (guard_has(props, MQTT_PROP_ASSIGNED_CLIENT_ID) &&
         (g->named || props->assigned_client_id.len == 0)) ||
        !method_fits(g, props)) {
        guard_close(g, OUTCOME_UPSTREAM_PROTOCOL, v);
        return;
    }
    guard_forward(v);
    if (g->version == MQTT_5 && !g->role->law.pass_redirection && strip_redirection(p, SERVER_UNAVAILABLE))
        v->outcome = OUTCOME_REDIRECT_STRIPPED;
    if (!g->wants_response_info)
        guard_strip(props, MQTT_PROP_RESPONSE_INFO);
    v->enforced = true;
    v->last = !good;
    v->record = GUARD_RECORD_CONNACK;
    if (good && g->version == MQTT_5)
        rewrite_limits(g, props);
}

void guard_advance_connack(struct mqtt_guard *g, const struct mqtt_packet *p)
{
    const struct mqtt_properties *props = &p->properties;
    g->client_speaks = false;
    if (p->reason_code != 0) {
        g->state = GUARD_OVER;
        return;
    }
    g->state = GUARD_RUNNING;
    g->resumed = p->connack.session_present;
    if (g->version != MQTT_5)
        return;
    g->receive_max_up = props->receive_maximum;
    alias_init(&g->aliases, GUARD_TOPIC_ALIASES);
    g->aliases.topic_bytes_max = g->role->limits.topic_bytes;
    if (guard_has(props, MQTT_PROP_SESSION_EXPIRY))
        g->session_ends = props->session_expiry_s == 0;
}

/* ---- AUTH --------------------------------------------------------------------------------------------- */

/* s.4.12: one method for the life of the connection; the client may begin again when it runs. */
void guard_check_auth(struct mqtt_guard *g, enum mqtt_sender sender, const struct mqtt_packet *p,
                      struct guard_verdict *v)
{
    bool running = g->state == GUARD_RUNNING;
    bool in_turn;
    if (sender == MQTT_FROM_CLIENT)
        in_turn =
            p->reason_code == AUTH_CONTINUE ? g->client_speaks : p->reason_code == AUTH_AGAIN && running;
    else
        in_turn = p->reason_code == AUTH_CONTINUE || (p->reason_code == 0 && running);
    if (!in_turn || !g->authenticates || !method_fits(g, &p->properties)) {
        enum outcome outcome = g->authenticates ? OUTCOME_PROTOCOL_ERROR : OUTCOME_AUTH_METHOD;
        guard_close(g, sender == MQTT_FROM_CLIENT ? outcome : OUTCOME_UPSTREAM_PROTOCOL, v);
        return;
    }
    guard_forward(v);
    v->record = GUARD_RECORD_AUTH;
}

/* ---- DISCONNECT --------------------------------------------------------------------------------------- */

void guard_check_disconnect(struct mqtt_guard *g, enum mqtt_sender sender, struct mqtt_packet *p,
                            struct guard_verdict *v)
{
    struct mqtt_properties *props = &p->properties;
    if (sender == MQTT_FROM_CLIENT && g->session_ends && guard_has(props, MQTT_PROP_SESSION_EXPIRY) &&
        props->session_expiry_s != 0) { /* [MQTT-3.14.2-2] */
        guard_close(g, OUTCOME_PROTOCOL_ERROR, v);
        return;
    }
    if (sender == MQTT_FROM_CLIENT)
        (void)cap_expiry(g, props);
    guard_forward(v);
    v->last = true;
    v->record = GUARD_RECORD_OVER;
    if (sender == MQTT_FROM_SERVER && !g->role->law.pass_redirection &&
        strip_redirection(p, SERVER_SHUTTING_DOWN)) {
        v->outcome = OUTCOME_REDIRECT_STRIPPED;
        v->enforced = true;
    }
}
