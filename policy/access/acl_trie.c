/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/access/acl_trie.h"

#include "policy/access/template.h"

#define EACH_BYTE UINT64_C(0x0101010101010101)
#define LOW_BITS UINT64_C(0x7F7F7F7F7F7F7F7F)

/* The top bit of each byte that is '/', exactly. */
static uint64_t slashes(uint64_t word)
{
    uint64_t x = word ^ (EACH_BYTE * '/');
    return ~(((x & LOW_BITS) + LOW_BITS) | x | LOW_BITS);
}

static bool level_ends(struct acl_levels *levels, const uint8_t **begin, const uint8_t *slash)
{
    levels->at[levels->n++] = bytes_of(*begin, (size_t)(slash - *begin));
    *begin = slash + 1;
    return levels->n < TOPIC_LEVELS_MAX;
}

bool acl_levels_split(struct bytes topic, struct acl_levels *levels)
{
    const uint8_t *begin = topic.at;
    size_t i = 0;
    levels->n = 0;
    levels->dollar = topic.len > 0 && topic.at[0] == '$';
    for (; topic.len - i >= 8; i += 8) {
        for (uint64_t found = slashes(hash_load64(topic.at + i)); found != 0; found &= found - 1)
            if (!level_ends(levels, &begin, topic.at + i + (unsigned int)__builtin_ctzll(found) / 8))
                return false;
    }
    for (; i < topic.len; i++)
        if (topic.at[i] == '/' && !level_ends(levels, &begin, topic.at + i))
            return false;
    levels->at[levels->n++] = bytes_of(begin, topic.len - (size_t)(begin - topic.at));
    return true;
}

bool acl_edge_is(const struct acl *acl, const struct acl_edge *edge, const struct acl_values *values,
                 struct bytes text)
{
    struct cursor rest = cursor_of(text);
    for (uint32_t i = edge->piece_first; i < edge->piece_first + edge->pieces_n; i++) {
        const struct acl_piece *piece = &acl->pieces[i];
        struct bytes wanted = piece->variable == ACL_NOT_A_VARIABLE
                                  ? bytes_of(acl->text + piece->text_at, piece->text_len)
                                  : values->value[piece->variable];
        if (wanted.len > cursor_left(&rest) || !hash_same(rest.at, wanted.at, wanted.len))
            return false;
        if (piece->variable != ACL_NOT_A_VARIABLE && !template_value_safe(wanted))
            return false;
        rest.at += wanted.len;
    }
    return cursor_left(&rest) == 0;
}

bool acl_edge_usable(const struct acl *acl, const struct acl_edge *edge, const struct acl_values *values)
{
    for (uint32_t i = edge->piece_first; i < edge->piece_first + edge->pieces_n; i++) {
        uint16_t variable = acl->pieces[i].variable;
        if (variable != ACL_NOT_A_VARIABLE && !template_value_safe(values->value[variable]))
            return false;
    }
    return true;
}

/* All QoS up to the highest of the mask. */
static uint8_t up_to_highest(uint8_t mask)
{
    return (mask & 4) != 0 ? 7 : (mask & 2) != 0 ? 3 : 1;
}

static uint8_t allow_mask(int8_t said, uint8_t unsaid)
{
    return said == 0 ? 1 : said > 0 ? 3 : unsaid;
}

static uint8_t deny_mask(int8_t said)
{
    return said == 0 ? 1 : said > 0 ? 2 : 3;
}

struct acl_end acl_end_of(const struct acl_rule *rule, uint32_t index)
{
    uint8_t qos = rule->qos_mask == 0 ? 7 : rule->qos_mask;
    struct acl_end end = {
        .rule = index,
        .payload_max = rule->payload_max == 0 ? UINT32_MAX : rule->payload_max,
        .actions = rule->actions,
        .flags = (uint8_t)((rule->allow ? 0 : ACL_END_DENY) | (rule->enforce ? ACL_END_ENFORCE : 0) |
                           (rule->options != NULL ? ACL_END_OPTIONS : 0)),
        .qos_publish = qos,
        .qos_subscribe = rule->allow ? up_to_highest(qos) : qos,
        .retain = rule->allow ? allow_mask(rule->retain, 3) : deny_mask(rule->retain),
        .will = rule->allow ? allow_mask(rule->will, 1) : deny_mask(rule->will),
        .payload = (uint8_t)rule->payload,
    };
    return end;
}

unsigned int acl_end_options_fail(const struct acl_end *end, const struct acl_question *q)
{
    const struct acl_rule *rule = &q->rules[end->rule];
    return acl_options_fail(rule->options, rule->allow, q->asked);
}

void acl_tally_deny(struct acl_tally *tally, const struct acl_end *end)
{
    bool enforced = (end->flags & ACL_END_ENFORCE) != 0;
    if (enforced == tally->deny_is_enforced ? end->rule < tally->deny : enforced) {
        tally->deny = end->rule;
        tally->deny_is_enforced = enforced;
    }
}

/* A rule that fails by one condition is nearer than one that fails by two. */
void acl_tally_failure(struct acl_tally *tally, const struct acl_end *end, unsigned int failures)
{
    int more = __builtin_popcount(failures) - __builtin_popcount(tally->failures);
    if ((failures & ACL_FAILS_WILL) != 0)
        return;
    if (tally->failed == ACL_RULE_NONE || more < 0 ||
        (more == 0 &&
         (failures < tally->failures || (failures == tally->failures && end->rule < tally->failed)))) {
        tally->failed = end->rule;
        tally->failures = (uint8_t)failures;
    }
}

enum outcome acl_failure_outcome(unsigned int failures)
{
    static const struct {
        unsigned int bit;
        enum outcome outcome;
    } names[] = {{ACL_FAILS_QOS, OUTCOME_QOS_CAP},
                 {ACL_FAILS_RETAIN, OUTCOME_RETAIN_DENIED},
                 {ACL_FAILS_PAYLOAD, OUTCOME_PAYLOAD_TOO_LARGE},
                 {ACL_FAILS_QUERY, OUTCOME_QUERY_DENIED},
                 {ACL_FAILS_FORMAT, OUTCOME_FORMAT_DENIED},
                 {ACL_FAILS_BLOCK, OUTCOME_BLOCK_DENIED}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if ((failures & names[i].bit) != 0)
            return names[i].outcome;
    return OUTCOME_DEFAULT_DENY;
}

struct acl_decision acl_tally_refusal(const struct acl_tally *tally)
{
    if (tally->deny != ACL_RULE_NONE)
        return (struct acl_decision){.outcome = OUTCOME_RULE_DENY, .rule = tally->deny};
    if (tally->failed == ACL_RULE_NONE)
        return (struct acl_decision){.outcome = OUTCOME_DEFAULT_DENY, .rule = ACL_RULE_NONE};
    return (struct acl_decision){.outcome = acl_failure_outcome(tally->failures), .rule = tally->failed};
}
