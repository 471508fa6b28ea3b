/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the guard share: guard.c dispatches to guard_connect.c, guard_publish.c, guard_acks.c and
 * guard_subscribe.c. Everybody else uses guard.h.
 */
#ifndef POLICY_MQTT_GUARD_PRIVATE_H
#define POLICY_MQTT_GUARD_PRIVATE_H

#include "policy/mqtt/guard.h"

/* What guard_advance has to do. */
enum guard_record {
    GUARD_RECORD_NOTHING = 0,
    GUARD_RECORD_ADD,    /* an exchange in verdict->state */
    GUARD_RECORD_SET,    /* that exchange is in verdict->state now */
    GUARD_RECORD_REMOVE, /* that exchange is over */
    GUARD_RECORD_CONNECT,
    GUARD_RECORD_CONNACK,
    GUARD_RECORD_REQUEST,  /* verdict->request begins */
    GUARD_RECORD_ANSWERED, /* verdict->request ends */
    GUARD_RECORD_PING,
    GUARD_RECORD_PONG,
    GUARD_RECORD_OWN_PONG,
    GUARD_RECORD_AUTH,
    GUARD_RECORD_OVER,
};

/* The table of the messages that `sender` publishes. */
static inline struct inflight *guard_flow(struct mqtt_guard *g, enum mqtt_sender sender)
{
    return sender == MQTT_FROM_CLIENT ? &g->up : &g->down;
}

static inline bool guard_has(const struct mqtt_properties *p, enum mqtt_property property)
{
    return (p->present & MQTT_PROP_BIT(property)) != 0;
}

static inline void guard_strip(struct mqtt_properties *p, enum mqtt_property property)
{
    p->present &= ~MQTT_PROP_BIT(property);
}

static inline void guard_set(struct mqtt_properties *p, enum mqtt_property property)
{
    p->present |= MQTT_PROP_BIT(property);
}

static inline void guard_forward(struct guard_verdict *v)
{
    v->action = GUARD_FORWARD;
    v->outcome = OUTCOME_ALLOWED;
}

/* Ends the session; version 5 clients are told the code of `outcome`. */
void guard_close(struct mqtt_guard *g, enum outcome outcome, struct guard_verdict *v);
/* Dropped without a word, counted by `outcome`. */
void guard_drop(enum outcome outcome, struct guard_verdict *v);
void guard_answer(struct guard_verdict *v, enum mqtt_type type, uint16_t id, uint8_t code);
/* True when a refusal by `rule` is only recorded (G6). */
bool guard_observes(const struct mqtt_guard *g, uint32_t rule);
/* True when a packet that was refused so goes on all the same: what cannot be judged at all never does. */
bool guard_passes(const struct mqtt_guard *g, enum outcome outcome, uint32_t rule);
/* A refusal that is only recorded must not hide a deny that holds even so: answers that one instead. */
enum outcome guard_unless_denied(const struct mqtt_guard *g, enum outcome outcome,
                                 const struct acl_request *request, uint32_t *rule);
/* What would have been refused of the packet as such, where the role only observes; else the framer and the
 * guard refuse it (D3, D9). */
enum outcome guard_judge_form(const struct mqtt_guard *g, enum mqtt_sender sender,
                              const struct mqtt_packet *p);
/* True when the client has something else under way with this identifier. */
bool guard_id_taken(const struct mqtt_guard *g, uint16_t id);
/* The identifier under which the client's `id` goes upstream; 0 when all are in use. */
uint16_t guard_wire_id(struct mqtt_guard *g, uint16_t id);
/* An identifier that nobody uses upstream; 0 when all are in use. */
uint16_t guard_free_id(struct mqtt_guard *g);
/* Whether a client with too much in flight is held back, not answered (D8). */
static inline bool guard_delays(const struct mqtt_guard *g)
{
    enum policy_overrun over = g->role->law.over;
    return over == POLICY_OVERRUN_DELAY || (over == POLICY_OVERRUN_STANDARD && g->version != MQTT_5);
}
/* Caps of the role on topics (D9). */
enum outcome guard_judge_topic(const struct mqtt_guard *g, struct bytes topic);
/* A response goes where the requester says, by the right of another: so the requester must have a right there
 * itself, which one the role says (D11). */
enum outcome guard_judge_response_topic(const struct mqtt_guard *g, struct bytes topic,
                                        struct guard_verdict *v);
/* Whether the payload of a PUBLISH that is not whole yet can be gathered to be read, within the role's packet
 * limit (D1, D3). */
bool guard_holdable(const struct mqtt_guard *g, const struct mqtt_packet *p);
/* Whether `payload` is what a rule, the role or its own mark says (D3). */
bool guard_payload_good(struct bytes payload, bool text, enum acl_payload kind);

/* What rules and caps of the role say, and nothing that depends on what came before: each changes no more
 * than v->rule (and the grant that is remembered), so that another role may be asked too (opinion.h). */
enum outcome guard_judge_publish(struct mqtt_guard *g, const struct mqtt_packet *p, enum acl_payload *payload,
                                 struct guard_verdict *v);
enum outcome guard_judge_delivery(const struct mqtt_guard *g, const struct mqtt_packet *p,
                                  enum acl_payload *payload, struct guard_verdict *v);
enum outcome guard_judge_filter(const struct mqtt_guard *g, struct bytes filter, uint8_t qos, uint32_t *rule);
enum outcome guard_judge_connect(const struct mqtt_guard *g, const struct mqtt_packet *p,
                                 struct guard_verdict *v);
uint8_t guard_granted_qos(const struct mqtt_guard *g, uint8_t asked);
/* Whether a payload has to be UTF-8, by the role or by its own mark. */
bool guard_is_text(const struct mqtt_guard *g, const struct mqtt_packet *p);

/* ---- guard_meters.c: rates (F2, F3) ---- */
/* Whether a packet of the client may be read now: bytes and packets over a rate wait, where that is the
 * policy. */
bool guard_meters_admit(struct mqtt_guard *g, uint8_t first_byte, uint64_t now_us, uint64_t *until_us);
/* Over a rate whose policy is another: the outcome, with scope, over and quarantine_us in the verdict, which
 * counts the packet in any case. */
enum outcome guard_meters_judge(struct mqtt_guard *g, enum rate_kind kind, uint8_t qos, uint64_t now_us,
                                struct guard_verdict *v);
/* Takes the tokens of a judged packet. */
void guard_meters_count(struct mqtt_guard *g, const struct guard_verdict *v, uint64_t now_us);
static inline bool guard_is_rate(enum outcome outcome)
{
    return outcome == OUTCOME_RATE_PUBLISHES || outcome == OUTCOME_RATE_BYTES ||
           outcome == OUTCOME_RATE_SUBSCRIBES || outcome == OUTCOME_RATE_PINGS;
}
/* Of a verdict over a rate. */
static inline bool guard_ends_session(const struct guard_verdict *v)
{
    return v->over == POLICY_DISCONNECT || v->over == POLICY_QUARANTINE;
}

/* Adds the role's own Will to a CONNECT (guard_will.c); false when it cannot be made. What the packet borrows
 * lies in the workspace's scratch. */
bool guard_supply_will(const struct mqtt_guard *g, struct mqtt_packet *p);

void guard_check_connect(struct mqtt_guard *g, struct mqtt_packet *p, struct guard_verdict *v);
void guard_advance_connect(struct mqtt_guard *g, const struct mqtt_packet *p);
void guard_check_connack(struct mqtt_guard *g, struct mqtt_packet *p, struct guard_verdict *v);
void guard_advance_connack(struct mqtt_guard *g, const struct mqtt_packet *p);
void guard_check_auth(struct mqtt_guard *g, enum mqtt_sender sender, const struct mqtt_packet *p,
                      struct guard_verdict *v);
void guard_check_disconnect(struct mqtt_guard *g, enum mqtt_sender sender, struct mqtt_packet *p,
                            struct guard_verdict *v);

void guard_check_publish(struct mqtt_guard *g, struct mqtt_packet *p, bool whole, uint64_t now_us,
                         struct guard_verdict *v);
void guard_check_delivery(struct mqtt_guard *g, struct mqtt_packet *p, bool whole, struct guard_verdict *v);

/* PUBACK, PUBREC, PUBCOMP; and PUBREL. */
void guard_check_ack(struct mqtt_guard *g, enum mqtt_sender sender, struct mqtt_packet *p,
                     struct guard_verdict *v);
void guard_check_pubrel(struct mqtt_guard *g, enum mqtt_sender sender, struct mqtt_packet *p,
                        struct guard_verdict *v);

void guard_check_subscribe(struct mqtt_guard *g, struct mqtt_packet *p, uint64_t now_us,
                           struct guard_verdict *v);
void guard_check_unsubscribe(struct mqtt_guard *g, struct mqtt_packet *p, struct guard_verdict *v);
void guard_check_suback(struct mqtt_guard *g, struct mqtt_packet *p, struct guard_verdict *v);
void guard_advance_request(struct mqtt_guard *g, const struct mqtt_packet *p, const struct guard_verdict *v);
void guard_advance_answered(struct mqtt_guard *g, const struct mqtt_packet *p, const struct guard_verdict *v);

#endif
