/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The flows of QoS 1 and 2 after the PUBLISH (MQTT 5.0 s.4.3, 4.4). */
#include "policy/mqtt/guard_private.h"

#define REASON_UNKNOWN_ID 0x92

static void unknown(struct guard_verdict *v)
{
    guard_drop(OUTCOME_UNKNOWN_PACKET_ID, v);
    v->quiet = true;
}

/* Passes it back to the publisher, under the publisher's identifier. */
static void pass_back(struct mqtt_packet *p, const struct inflight_entry *entry, enum guard_record record,
                      enum inflight_state state, struct guard_verdict *v)
{
    p->packet_id = entry->id;
    guard_forward(v);
    v->record = (uint8_t)record;
    v->state = (uint8_t)state;
}

/* A PUBREC for nothing is answered, or its sender would wait for ever. */
static void check_pubrec(struct mqtt_packet *p, const struct inflight_entry *entry, struct guard_verdict *v)
{
    enum inflight_state state = entry != NULL ? (enum inflight_state)entry->state : INFLIGHT_NONE;
    if (state == INFLIGHT_PUBREC && p->reason_code >= 0x80)
        pass_back(p, entry, GUARD_RECORD_REMOVE, INFLIGHT_NONE, v);
    else if (state == INFLIGHT_PUBREC)
        pass_back(p, entry, GUARD_RECORD_SET, INFLIGHT_PUBREL, v);
    else if (state == INFLIGHT_PUBREL)
        pass_back(p, entry, GUARD_RECORD_NOTHING, INFLIGHT_NONE, v);
    else if (entry != NULL || p->reason_code >= 0x80)
        unknown(v);
    else {
        v->outcome = OUTCOME_UNKNOWN_PACKET_ID;
        v->quiet = true;
        guard_answer(v, MQTT_PUBREL, p->packet_id, REASON_UNKNOWN_ID);
    }
}

void guard_check_ack(struct mqtt_guard *g, enum mqtt_sender sender, struct mqtt_packet *p,
                     struct guard_verdict *v)
{
    struct inflight *flow = guard_flow(g, sender == MQTT_FROM_CLIENT ? MQTT_FROM_SERVER : MQTT_FROM_CLIENT);
    const struct inflight_entry *entry = inflight_find_wire(flow, p->packet_id);
    if (p->type == MQTT_PUBREC)
        check_pubrec(p, entry, v);
    else if (entry != NULL && entry->state == (p->type == MQTT_PUBACK ? INFLIGHT_PUBACK : INFLIGHT_PUBCOMP))
        pass_back(p, entry, GUARD_RECORD_REMOVE, INFLIGHT_NONE, v);
    else
        unknown(v);
}

/* A PUBREL that goes with nothing we know of: from an earlier connection of a session that the upstream kept
 * (s.4.4), of an exchange that we gave up, or from nowhere. */
static void check_strange_pubrel(struct mqtt_guard *g, enum mqtt_sender sender, struct mqtt_packet *p,
                                 struct guard_verdict *v)
{
    struct inflight *flow = guard_flow(g, sender);
    bool may_be_old = g->resumed || g->forgot || (sender == MQTT_FROM_SERVER && !g->clean_start);
    uint32_t most = (uint32_t)g->role->inflight + g->role->queue;
    uint16_t wire = sender == MQTT_FROM_CLIENT ? guard_wire_id(g, p->packet_id) : p->packet_id;
    bool taken = sender == MQTT_FROM_CLIENT && guard_id_taken(g, p->packet_id);
    if (may_be_old && !taken && wire != 0 && flow->used < most && inflight_reserve(flow, g->workspace)) {
        p->packet_id = wire;
        guard_forward(v);
        v->record = GUARD_RECORD_ADD;
        v->state = INFLIGHT_PUBCOMP;
        return;
    }
    v->outcome = OUTCOME_UNKNOWN_PACKET_ID;
    v->quiet = true;
    guard_answer(v, MQTT_PUBCOMP, p->packet_id, REASON_UNKNOWN_ID);
}

void guard_check_pubrel(struct mqtt_guard *g, enum mqtt_sender sender, struct mqtt_packet *p,
                        struct guard_verdict *v)
{
    const struct inflight_entry *entry = inflight_find(guard_flow(g, sender), p->packet_id);
    switch (entry != NULL ? (enum inflight_state)entry->state : INFLIGHT_NONE) {
    case INFLIGHT_NONE:
        check_strange_pubrel(g, sender, p, v);
        break;
    case INFLIGHT_PUBREL:
    case INFLIGHT_PUBCOMP: /* sent again */
        guard_forward(v);
        v->record = entry->state == INFLIGHT_PUBREL ? GUARD_RECORD_SET : GUARD_RECORD_NOTHING;
        v->state = INFLIGHT_PUBCOMP;
        p->packet_id = entry->wire;
        break;
    case INFLIGHT_REFUSED:
        v->outcome = OUTCOME_ALLOWED;
        guard_answer(v, MQTT_PUBCOMP, p->packet_id, 0);
        v->record = GUARD_RECORD_REMOVE;
        break;
    case INFLIGHT_PUBACK:
    case INFLIGHT_PUBREC:
    case INFLIGHT_HELD_PUBACK:
    case INFLIGHT_HELD_PUBREC: /* before any PUBREC [MQTT-4.3.3-4] */
        guard_close(g, sender == MQTT_FROM_CLIENT ? OUTCOME_PROTOCOL_ERROR : OUTCOME_UPSTREAM_PROTOCOL, v);
        break;
    }
}

bool mqtt_guard_release(struct mqtt_guard *g, enum mqtt_sender sender, struct guard_answer *answer)
{
    struct inflight *flow = guard_flow(g, sender);
    struct inflight_entry *entry = inflight_due(flow);
    if (entry == NULL)
        return false;
    bool pubrec = entry->state == INFLIGHT_HELD_PUBREC;
    *answer = (struct guard_answer){
        .type = pubrec ? MQTT_PUBREC : MQTT_PUBACK, .id = entry->id, .code = entry->code};
    if (pubrec && entry->code < 0x80)
        inflight_set(flow, entry, INFLIGHT_REFUSED);
    else
        inflight_remove(flow, entry, g->workspace);
    return true;
}

uint32_t mqtt_guard_age(struct mqtt_guard *g)
{
    uint32_t forgotten = inflight_age(&g->up, GUARD_RELEASE_TICKS, g->workspace);
    forgotten += inflight_age(&g->down, GUARD_RELEASE_TICKS, g->workspace);
    g->forgot |= forgotten != 0;
    return forgotten;
}
