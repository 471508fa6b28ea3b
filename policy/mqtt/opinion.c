/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/mqtt/opinion.h"

#include "policy/mqtt/guard_private.h"

/* A guard with what a judgement looks at, and nothing of the session's tables. */
static struct mqtt_guard guard_of(const struct opinion_of *of)
{
    return (struct mqtt_guard){.role = of->role,
                               .values = of->values,
                               .workspace = of->guard->workspace,
                               .version = of->guard->version,
                               .observe = of->observe || of->role->mode == POLICY_OBSERVE,
                               .cloud = of->guard->cloud};
}

static struct opinion opinion(const struct mqtt_guard *g, enum outcome outcome, uint32_t rule)
{
    return (struct opinion){.outcome = outcome,
                            .enforced = outcome != OUTCOME_ALLOWED && !guard_passes(g, outcome, rule),
                            .rule = rule};
}

struct opinion opinion_publish(const struct opinion_of *of, enum mqtt_sender sender,
                               const struct mqtt_packet *p, bool whole)
{
    struct mqtt_guard g = guard_of(of);
    struct guard_verdict v = {.rule = ACL_RULE_NONE};
    enum acl_payload payload = ACL_PAYLOAD_ANY;
    bool client = sender == MQTT_FROM_CLIENT;
    enum outcome outcome =
        client ? guard_judge_publish(&g, p, &payload, &v) : guard_judge_delivery(&g, p, &payload, &v);
    bool text = guard_is_text(&g, p);
    if (outcome == OUTCOME_ALLOWED && (payload != ACL_PAYLOAD_ANY || text)) {
        if (!whole)
            outcome = guard_holdable(&g, p) ? OUTCOME_UNDECIDED : OUTCOME_PAYLOAD_TOO_LARGE;
        else if (!client && p->publish.payload_bytes > g.role->limits.packet_bytes)
            outcome = OUTCOME_PAYLOAD_TOO_LARGE;
        else if (!guard_payload_good(p->publish.payload, text, payload))
            outcome = OUTCOME_MALFORMED_PAYLOAD;
    }
    return opinion(&g, outcome, v.rule);
}

struct opinion opinion_subscribe(const struct opinion_of *of, struct bytes filter, uint8_t qos)
{
    struct mqtt_guard g = guard_of(of);
    uint32_t rule;
    enum outcome outcome = guard_judge_filter(&g, filter, guard_granted_qos(&g, qos), &rule);
    return opinion(&g, outcome, rule);
}

struct opinion opinion_connect(const struct opinion_of *of, const struct mqtt_packet *packet, bool will)
{
    struct mqtt_guard g = guard_of(of);
    struct guard_verdict v = {.rule = ACL_RULE_NONE};
    struct mqtt_packet p = *packet;
    if (!will) /* the guard has added the one of the role in force */
        p.connect.will.present = false;
    enum outcome outcome = guard_judge_connect(&g, &p, &v);
    return opinion(&g, outcome, v.rule);
}
