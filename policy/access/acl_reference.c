/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same answers by trying every rule in turn, from the rules as written and topic.h alone: what the
 * compiled form is compared with.
 */
#include "policy/access/acl_trie.h"

#include <stdlib.h>

static const struct acl_values no_values;

static bool qos_holds(const struct acl_rule *rule, const struct acl_request *request)
{
    uint8_t highest = (rule->qos_mask & 4) != 0 ? 2 : (rule->qos_mask & 2) != 0 ? 1 : 0;
    if (request->action != ACL_PUBLISH && request->action != ACL_SUBSCRIBE)
        return true;
    if (request->qos > 2)
        return false;
    if (rule->qos_mask == 0)
        return true;
    if (request->action == ACL_SUBSCRIBE && rule->allow)
        return request->qos <= highest;
    return (rule->qos_mask >> request->qos & 1) != 0;
}

static bool retain_holds(const struct acl_rule *rule, const struct acl_request *request)
{
    if (request->action != ACL_PUBLISH || rule->retain < 0)
        return true;
    if (rule->retain == 0)
        return !request->retain;
    return rule->allow || request->retain;
}

static bool will_holds(const struct acl_rule *rule, const struct acl_request *request)
{
    if (request->action != ACL_PUBLISH)
        return true;
    if (rule->allow)
        return !request->will || rule->will > 0;
    return rule->will < 0 || (rule->will > 0) == request->will;
}

static bool payload_holds(const struct acl_rule *rule, const struct acl_request *request)
{
    return rule->payload_max == 0 || request->payload_bytes <= rule->payload_max;
}

/* How far a rule is from holding: 0 holds; then by the number of conditions that fail, and by which. */
static unsigned int distance(const struct acl_rule *rule, const struct acl_request *request)
{
    unsigned int qos = !qos_holds(rule, request), retain = !retain_holds(rule, request);
    unsigned int payload = !payload_holds(rule, request);
    unsigned int options =
        rule->options == NULL ? 0 : acl_options_fail(rule->options, rule->allow, request->asked);
    unsigned int fails = options | payload << 2 | retain << 1 | qos;
    return (unsigned int)__builtin_popcount(fails) << 8 | fails;
}

static enum outcome outcome_of(unsigned int dist)
{
    return acl_failure_outcome(dist & 0xFF);
}

struct search {
    uint32_t deny;
    uint32_t allow;
    uint32_t nearly;
    unsigned int nearly_by;
};

typedef bool relation(struct bytes rule_filter, struct bytes asked);

/* Looks through all rules for those whose filter stands in this relation to the topic asked about. */
static struct search search_rules(const struct acl *acl, const struct acl_values *values,
                                  const struct acl_request *request, relation *related)
{
    struct search found = {ACL_RULE_NONE, ACL_RULE_NONE, ACL_RULE_NONE, 0};
    for (uint32_t i = 0; i < acl->rules_n; i++) {
        const struct acl_rule *rule = &acl->rules[i];
        struct bytes filter;
        if ((rule->actions >> request->action & 1) == 0 || !will_holds(rule, request) ||
            !acl_expand(acl, i, values, false, &filter))
            continue;
        bool meets = related(filter, request->topic);
        free((void *)(uintptr_t)filter.at);
        if (!meets)
            continue;
        unsigned int dist = distance(rule, request);
        if (!rule->allow) {
            bool first = found.deny == ACL_RULE_NONE || (rule->enforce && !acl->rules[found.deny].enforce);
            found.deny = dist == 0 && first ? i : found.deny;
        } else if (dist == 0) {
            bool first = found.allow == ACL_RULE_NONE || rule->payload < acl->rules[found.allow].payload;
            found.allow = first ? i : found.allow;
        } else if (found.nearly == ACL_RULE_NONE || dist < found.nearly_by) {
            found.nearly = i;
            found.nearly_by = dist;
        }
    }
    return found;
}

static struct acl_decision decided(enum outcome outcome, uint32_t rule)
{
    return (struct acl_decision){.outcome = outcome, .rule = rule};
}

static struct acl_decision answer(const struct acl *acl, const struct search *found)
{
    if (found->deny != ACL_RULE_NONE)
        return decided(OUTCOME_RULE_DENY, found->deny);
    if (found->allow != ACL_RULE_NONE) {
        struct acl_decision decision = decided(OUTCOME_ALLOWED, found->allow);
        decision.payload = acl->rules[found->allow].payload;
        return decision;
    }
    if (found->nearly != ACL_RULE_NONE)
        return decided(outcome_of(found->nearly_by), found->nearly);
    return decided(OUTCOME_DEFAULT_DENY, ACL_RULE_NONE);
}

struct acl_decision acl_decide_reference(const struct acl *acl, const struct acl_values *values,
                                         const struct acl_request *request)
{
    if (topic_levels(request->topic) > TOPIC_LEVELS_MAX)
        return decided(OUTCOME_TOPIC_TOO_DEEP, ACL_RULE_NONE);
    struct search found = search_rules(acl, values == NULL ? &no_values : values, request, topic_matches);
    return answer(acl, &found);
}

/* A level that no rule names: what a filter's wildcards can always stand for. */
#define FRESH "\x01"

/* Writes a topic that `filter` matches, with `extra` levels in place of its '#'. */
static struct bytes instance(struct bytes filter, uint32_t extra, uint8_t *out)
{
    struct cursor rest = cursor_of(filter);
    struct bytes level;
    bool end = false, first = true;
    size_t len = 0;
    while (topic_next_level(&rest, &end, &level)) {
        bool hash = level.len == 1 && level.at[0] == '#', plus = level.len == 1 && level.at[0] == '+';
        struct bytes text = hash || plus ? bytes_of(FRESH, 1) : level;
        for (uint32_t i = 0; i < (hash ? extra : 1); i++) {
            if (!first)
                out[len++] = '/';
            if (text.len > 0)
                memcpy(out + len, text.at, text.len);
            len += text.len;
            first = false;
        }
    }
    return bytes_of(out, len);
}

/* Whether some allow holds for each instance of a filter that ends in '#'. */
static bool allows_contain(const struct acl *acl, const struct acl_values *values,
                           const struct acl_request *request)
{
    size_t room = request->topic.len + 2 * (TOPIC_LEVELS_MAX + 2);
    uint8_t *topic = malloc(room);
    bool contained = topic != NULL;
    bool alone = request->topic.len == 1;
    for (uint32_t extra = alone ? 1 : 0; contained && extra <= TOPIC_LEVELS_MAX + 1; extra++) {
        struct acl_request one = *request;
        one.topic = instance(request->topic, extra, topic);
        contained = search_rules(acl, values, &one, topic_matches).allow != ACL_RULE_NONE;
    }
    free(topic);
    return contained;
}

struct acl_decision acl_decide_filter_reference(const struct acl *acl, const struct acl_values *values,
                                                const struct acl_request *request, enum acl_filter_mode mode)
{
    values = values == NULL ? &no_values : values;
    if (topic_levels(request->topic) > TOPIC_LEVELS_MAX)
        return decided(OUTCOME_TOPIC_TOO_DEEP, ACL_RULE_NONE);
    if (!topic_filter_valid(request->topic))
        return decided(OUTCOME_BAD_FILTER, ACL_RULE_NONE);
    struct search contain = search_rules(acl, values, request, topic_filter_contains);
    struct search touch = search_rules(acl, values, request, topic_filter_intersects);
    if (mode == ACL_FILTER_TRIM) {
        touch.deny = contain.deny;
        struct acl_decision decision = answer(acl, &touch);
        decision.payload = ACL_PAYLOAD_ANY;
        return decision;
    }
    struct acl_decision decision = answer(acl, &contain);
    decision.payload = ACL_PAYLOAD_ANY;
    bool hash = request->topic.at[request->topic.len - 1] == '#';
    if (decision.outcome != OUTCOME_RULE_DENY && decision.outcome != OUTCOME_ALLOWED && hash &&
        allows_contain(acl, values, request))
        decision = decided(OUTCOME_ALLOWED, ACL_RULE_NONE);
    if (mode != ACL_FILTER_EXCEPT && decision.outcome == OUTCOME_ALLOWED && touch.deny != ACL_RULE_NONE)
        return decided(OUTCOME_RULE_DENY, touch.deny);
    return decision;
}
