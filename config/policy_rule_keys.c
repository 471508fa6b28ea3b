/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings of a rule (operators' surface 2.3a to 2.5; D4, E2). */
#include "config/policy_option_keys.h"

#include <string.h>

#define MIB (INT64_C(1) << 20)

const char *const policy_action_words[ACL_ACTIONS] = {
    [ACL_PUBLISH] = "publish", [ACL_SUBSCRIBE] = "subscribe", [ACL_GET] = "GET",     [ACL_POST] = "POST",
    [ACL_PUT] = "PUT",         [ACL_DELETE] = "DELETE",       [ACL_FETCH] = "FETCH", [ACL_PATCH] = "PATCH",
    [ACL_IPATCH] = "IPATCH",   [ACL_OBSERVE] = "OBSERVE",
};
#define MQTT_ACTIONS ((1u << ACL_PUBLISH) | (1u << ACL_SUBSCRIBE))

static void set_actions(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct acl_rule_spec *rule = into;
    rule->allow = strcmp(value->key->name, "allow") == 0;
    for (unsigned int i = 0; i < ACL_ACTIONS; i++) {
        if (strcmp(policy_action_words[i], value->text) != 0)
            continue;
        if ((rule->actions & (1u << i)) != 0)
            schema_refuse(read, value, "it is there twice; remove one");
        rule->actions = (uint16_t)(rule->actions | (1u << i));
        return;
    }
    schema_refuse(
        read, value,
        "it is \"publish\", \"subscribe\", or a CoAP method in capitals (\"GET\", \"PUT\", \"OBSERVE\")");
}

/* A segment that RFC 7252 s.5.10.1 forbids. */
static bool has_dots(const char *path)
{
    for (const char *at = path; at != NULL; at = strchr(at, '/')) {
        at += *at == '/';
        size_t len = strcspn(at, "/");
        if ((len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.'))
            return true;
    }
    return false;
}

static void set_path(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct acl_rule_spec *rule = into;
    if (value->text[0] != '/' || value->text[1] == '\0')
        schema_refuse(
            read, value,
            "a path begins with '/' and names at least one segment; write for example \"/t/${id}\"");
    else if (has_dots(value->text))
        schema_refuse(read, value,
                      "no request has a segment '.' or '..', which are refused; write the path itself");
    else
        rule->topic = value->text + 1;
}

static void set_qos(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)read;
    struct acl_rule_spec *rule = into;
    rule->qos_mask = (uint8_t)(rule->qos_mask | (1u << value->number));
}

static void set_will(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)read;
    ((struct acl_rule_spec *)into)->will = value->number != 0 ? 1 : -1;
}

static const char *const payload_words[] = {"any", "utf8", "json", NULL};

#define RULE(member) SCHEMA_INTO(struct acl_rule_spec, member)

static const struct schema_key rule_keys[] = {
    {.name = "id", .type = SCHEMA_NAME, .required = true, .example = "\"truck.status\"", RULE(id)},
    {.name = "allow", .type = SCHEMA_TEXTS, .example = "\"publish\"", .set = set_actions},
    {.name = "deny", .type = SCHEMA_TEXTS, .example = "\"publish\"", .set = set_actions},
    {.name = "topic", .type = SCHEMA_TEXT, .example = "\"fleet/${client_id}/#\"", RULE(topic)},
    {.name = "path",
     .type = SCHEMA_TEXT,
     .feature = FEATURE_COAP,
     .example = "\"/t/${id}\"",
     .set = set_path},
    {.name = "qos", .type = SCHEMA_NUMBERS, .min = 0, .max = 2, .set = set_qos},
    {.name = "retain", .type = SCHEMA_FLAG, RULE(retain)},
    {.name = "will", .type = SCHEMA_FLAG, .set = set_will},
    {.name = "payload", .type = SCHEMA_WORD, .words = payload_words, .example = "\"json\"", RULE(payload)},
    {.name = "payload_max",
     .type = SCHEMA_SIZE,
     .min = 1,
     .max = 256 * MIB,
     .example = "\"4KiB\"",
     RULE(payload_max)},
    {.name = "query",
     .type = SCHEMA_TEXTS,
     .feature = FEATURE_COAP,
     .max = GLOB_PATTERN_MAX,
     .example = "\"from=*\"",
     .set = policy_set_query},
    {.name = "format",
     .type = SCHEMA_TEXTS,
     .feature = FEATURE_COAP,
     .max = 63,
     .example = "\"senml+cbor\"",
     .set = policy_set_format},
    {.name = "shared", .type = SCHEMA_FLAG, .feature = FEATURE_COAP, RULE(shared)},
    {.name = "block", .type = SCHEMA_FLAG, .feature = FEATURE_COAP, .set = policy_set_block},
    {.name = "enforce", .type = SCHEMA_FLAG, RULE(enforce)},
};

static const char *rule_problem(const struct acl_rule_spec *rule, bool allow, bool deny, bool topic,
                                bool path)
{
    if (allow == deny)
        return allow ? "has both 'allow' and 'deny'; make two rules of it"
                     : "has neither 'allow' nor 'deny'; add one";
    if (topic && path)
        return "has both 'topic' and 'path'; make two rules of it";
    bool mqtt = (rule->actions & MQTT_ACTIONS) != 0, coap = (rule->actions & ~MQTT_ACTIONS) != 0;
    if (mqtt && coap)
        return "mixes MQTT actions and CoAP methods; make two rules of it";
    if (!topic && !path)
        return coap ? "has no 'path'; add path = \"/...\";" : "has no 'topic'; add topic = \"...\";";
    if (rule->actions != 0 && (topic ? coap : mqtt))
        return topic ? "has CoAP methods on a 'topic'; write path = \"/...\";"
                     : "has MQTT actions on a 'path'; write topic = \"...\";";
    bool publishes = (rule->actions & (1u << ACL_PUBLISH)) != 0;
    if (mqtt && !publishes && (rule->retain != -1 || rule->will != -1))
        return "sets 'retain' or 'will', which have no use without \"publish\"; remove them";
    if (rule->shared && (!rule->allow || (rule->actions & (1u << ACL_GET | 1u << ACL_OBSERVE)) == 0))
        return "is 'shared', which has no use without an allow of \"GET\" or \"OBSERVE\"; remove it";
    if (rule->options != NULL && !path)
        return "sets 'query', 'format' or 'block', which have no use without a 'path'; remove them";
    return NULL;
}

static void check_rule(struct schema_read *read, const config_setting_t *setting, void *into)
{
    struct acl_rule_spec *rule = into;
    const char *problem = rule_problem(rule, config_setting_get_member(setting, "allow") != NULL,
                                       config_setting_get_member(setting, "deny") != NULL,
                                       config_setting_get_member(setting, "topic") != NULL,
                                       config_setting_get_member(setting, "path") != NULL);
    if (problem != NULL)
        schema_error(read, load_origin(read->load, setting), "rule '%.64s' %s",
                     rule->id != NULL ? rule->id : "?", problem);
    if (problem != NULL)
        rule->options = NULL; /* which the compiler would tell again */
}

const struct schema_table policy_rule_keys = {
    .what = "rule", .label = "id", SCHEMA_KEYS(rule_keys), .done = check_rule};

void *policy_next_rule(struct schema_read *read, const config_setting_t *setting, void *into)
{
    struct draft_role *role = into;
    void *rules =
        schema_grow(read, setting, role->rules, role->rules_n, &role->rules_room, sizeof(*role->rules));
    if (rules == NULL)
        return NULL;
    role->rules = rules;
    struct acl_rule_spec *rule = &role->rules[role->rules_n++];
    struct config_origin origin = load_origin(read->load, setting);
    rule->file = origin.file;
    rule->line = origin.line;
    rule->retain = -1;
    rule->will = -1;
    return rule;
}
