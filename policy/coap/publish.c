/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/coap/publish.h"

static void refuse(struct coap_verdict *v, enum outcome outcome, uint8_t code)
{
    v->outcome = outcome;
    v->enforced = true;
    v->code = code;
}

/* What a broker's client cannot do, whatever the rules say. */
static bool possible(const struct coap_message *message, struct coap_verdict *v)
{
    if (message->code != COAP_GET && message->code != COAP_POST && message->code != COAP_PUT) {
        refuse(v, OUTCOME_BAD_METHOD, COAP_METHOD_NOT_ALLOWED);
        return false;
    }
    if (coap_option_find(message, COAP_IF_MATCH) != NULL ||
        coap_option_find(message, COAP_IF_NONE_MATCH) != NULL) {
        refuse(v, OUTCOME_BAD_OPTION, COAP_BAD_OPTION); /* conditions that nobody could keep */
        return false;
    }
    return true;
}

/* Bytes of the body up to the end of this block. */
static uint32_t body_bytes(const struct coap_message *message, bool *partial)
{
    const struct coap_option *block1 = coap_option_find(message, COAP_BLOCK1);
    struct coap_block block = {0};
    *partial = block1 != NULL && coap_block_parse(block1->value, &block) && (block.more || block.number > 0);
    uint64_t bytes = message->payload.len + (*partial ? (uint64_t)block.number * block.bytes : 0);
    return bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
}

static void judge_topic(const struct policy_role *role, const struct acl_values *values, bool observing,
                        const struct coap_message *message, uint32_t bytes, struct coap_verdict *v,
                        const struct coap_topic *topic)
{
    struct acl_request request = {.action = topic->publish ? ACL_PUBLISH : ACL_SUBSCRIBE,
                                  .topic = bytes_of(topic->topic, topic->len),
                                  .qos = topic->qos,
                                  .retain = topic->retain,
                                  .payload_bytes = bytes};
    struct acl_decision decision = acl_decide(role->acl, values, &request);
    enum acl_payload wanted = decision.payload;
    if (wanted == ACL_PAYLOAD_ANY && role->payload_utf8)
        wanted = ACL_PAYLOAD_UTF8;
    if (decision.outcome == OUTCOME_ALLOWED && topic->publish && !topic->partial &&
        !coap_payload_good(message, wanted)) {
        decision.outcome = OUTCOME_MALFORMED_PAYLOAD;
        v->code = COAP_BAD_REQUEST;
    } else {
        v->code = coap_refusal_code(decision.outcome);
    }
    if (decision.outcome == OUTCOME_ALLOWED)
        return;
    const struct acl_rule *rule =
        decision.rule == ACL_RULE_NONE ? NULL : acl_rule_at(role->acl, decision.rule);
    v->outcome = decision.outcome;
    v->rule = decision.rule;
    v->enforced = !(observing || role->mode == POLICY_OBSERVE) || (rule != NULL && rule->enforce);
}

void coap_publish_judge(const struct policy_role *role, const struct acl_values *values, bool observing,
                        const struct coap_message *message, const struct bytes *body, struct coap_verdict *v,
                        struct coap_topic *out)
{
    const struct topic_map *map = NULL;
    struct coap_message whole;
    if (body != NULL) {
        whole = *message;
        whole.payload = *body;
        message = &whole;
    }
    if (!possible(message, v))
        return;
    out->publish = message->code != COAP_GET;
    out->len = (uint32_t)topic_map_apply(role->maps, role->maps_n, role->acl, values,
                                         bytes_of(v->path, v->path_len), out->topic, &map);
    if (out->len == 0) {
        refuse(v, OUTCOME_NO_TOPIC, COAP_NOT_FOUND);
        return;
    }
    out->retain = out->publish && map->retain;
    out->qos = out->publish && message->type == COAP_CON && role->max_qos > 0 ? 1 : 0;
    uint32_t bytes = body_bytes(message, &out->partial);
    out->partial = out->partial && body == NULL;
    judge_topic(role, values, observing, message, body == NULL ? bytes : (uint32_t)body->len, v, out);
}
