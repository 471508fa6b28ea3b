/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a rule must be before it is compiled. */
#include "policy/access/acl.h"
#include "policy/access/template.h"
#include "policy/access/topic.h"

#include <stdio.h>

/* How much of a topic a problem quotes. */
#define QUOTED_MAX 60

/* Every sentence has one "%.*s", for what it is about. */
static bool refuse(struct acl_problem *problem, const char *sentence, struct bytes about)
{
    int quoted = about.len > QUOTED_MAX ? QUOTED_MAX : (int)about.len;
    problem->rule = 0;
    snprintf(problem->text, sizeof(problem->text), sentence, quoted, (const char *)about.at);
    return false;
}

static bool holds(struct bytes text, uint8_t byte)
{
    return text.len > 0 && memchr(text.at, byte, text.len) != NULL;
}

static const char *check_levels(struct bytes topic)
{
    struct cursor rest = cursor_of(topic);
    struct bytes level;
    bool end = false;
    uint32_t n = 0;
    while (topic_next_level(&rest, &end, &level)) {
        if (level.len != 1 && holds(level, '+'))
            return "'%.*s' has '+' beside other characters of a level; it stands for a whole one; part them "
                   "by '/'";
        if (level.len != 1 && holds(level, '#'))
            return "'%.*s' has '#' beside other characters of a level; it stands alone; put '/' before it";
        if (!end && holds(level, '#'))
            return "'%.*s' goes on behind '#', which is the last level; write '+' for one level, or end "
                   "there";
        if (++n > TOPIC_LEVELS_MAX)
            return "'%.*s' has more than 64 levels; shorten it";
    }
    return NULL;
}

static const char *check_topic(const struct acl_rule_spec *rule, struct bytes topic)
{
    const uint16_t mqtt = (1U << ACL_PUBLISH) | (1U << ACL_SUBSCRIBE);
    struct topic_share share;
    if (topic.len == 0 && (rule->actions & mqtt) != 0)
        return "the topic is empty%.*s; write one";
    for (size_t i = 0; i < topic.len; i++)
        if (topic.at[i] < 0x20 || topic.at[i] == 0x7F)
            return "'%.*s' holds a control character; remove it";
    /* Subscriptions are judged by what is behind these prefixes: such a rule would never decide. */
    if (rule->actions == 1U << ACL_SUBSCRIBE &&
        (!topic_share_parse(topic, &share) || share.inner.len != topic.len))
        return "subscriptions are judged by what follows the prefix of '%.*s'; write that alone";
    return check_levels(topic);
}

static const char *check_conditions(const struct acl_rule_spec *rule)
{
    const uint16_t mqtt = (1U << ACL_PUBLISH) | (1U << ACL_SUBSCRIBE);
    if (rule->id == NULL || rule->id[0] == 0 || rule->topic == NULL)
        return "a rule needs an id and a topic%.*s";
    if (rule->actions == 0 || rule->actions >= 1U << ACL_ACTIONS)
        return "a rule needs an action%.*s";
    if (rule->qos_mask > 7)
        return "QoS is 0, 1 or 2%.*s";
    if (!rule->allow && (rule->payload != ACL_PAYLOAD_ANY || rule->payload_max != 0))
        return "a deny does not look at payloads; put that on the allow%.*s";
    if (rule->options != NULL && (rule->actions & mqtt) != 0)
        return "query, format and block are of CoAP%.*s";
    if (rule->options != NULL && acl_options_check(rule->options) != NULL)
        return acl_options_check(rule->options);
    if (strlen(rule->topic) > ACL_TEMPLATE_BYTES_MAX)
        return "the topic is longer than 1024 bytes%.*s";
    return NULL;
}

static bool known(struct bytes name, const char *const *variables, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (bytes_equal(bytes_of_text(variables[i]), name))
            return true;
    return false;
}

bool acl_rule_check(const struct acl_rule_spec *rule, const char *const *variables, uint32_t variables_n,
                    struct acl_problem *problem)
{
    const char *wrong = check_conditions(rule);
    if (wrong != NULL)
        return refuse(problem, wrong, bytes_of("", 0));
    struct bytes topic = bytes_of_text(rule->topic), piece;
    wrong = check_topic(rule, topic);
    if (wrong != NULL)
        return refuse(problem, wrong, topic);
    struct cursor rest = cursor_of(topic);
    for (;;) {
        switch (template_next(&rest, &piece)) {
        case TEMPLATE_END:
            return true;
        case TEMPLATE_TEXT:
            break;
        case TEMPLATE_VARIABLE:
            if (!known(piece, variables, variables_n))
                return refuse(problem, "unknown variable '${%.*s}'",
                              piece); /* config tells which are known */
            break;
        case TEMPLATE_MALFORMED:
            return refuse(problem, "'%.*s' has '${' without a name and '}'; write it as in ${client_id}",
                          topic);
        }
    }
}
