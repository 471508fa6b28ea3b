/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies, values and requests from bytes: compiling never fails us but by a named problem, and the compiled
 * form agrees with the reference. Input: lines "+ps topic" (rules), "=value", "?p topic", "?s filter".
 */
#include "policy/access/acl.h"

#include <stdint.h>
#include <stdlib.h>

#define RULES_MAX 24
#define LINE_MAX_BYTES 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const variables[] = {"v", "w"};

struct input {
    struct acl_rule_spec rules[RULES_MAX];
    char topic[RULES_MAX][LINE_MAX_BYTES + 1];
    uint32_t rules_n;
    struct acl_values values;
    uint32_t values_n;
};

static void take_rule(struct input *in, const uint8_t *line, size_t len)
{
    if (in->rules_n == RULES_MAX || len < 3 || len > LINE_MAX_BYTES || memchr(line, 0, len) != NULL)
        return;
    struct acl_rule_spec *rule = &in->rules[in->rules_n];
    char *topic = in->topic[in->rules_n++];
    uint8_t conditions = line[1];
    memcpy(topic, line + 2, len - 2);
    topic[len - 2] = 0;
    *rule = (struct acl_rule_spec){.id = "r", .allow = line[0] == '+', .topic = topic};
    rule->actions = (uint16_t)((conditions & 3) == 0 ? 3 : conditions & 3);
    rule->qos_mask = (conditions & 4) != 0 ? (uint8_t)(conditions >> 5) : 0;
    rule->retain = (int8_t)((conditions >> 3 & 1) - 1);
    rule->will = (conditions & 16) != 0 ? 1 : -1;
    rule->enforce = !rule->allow && (conditions & 128) != 0;
}

static void require(bool held)
{
    if (!held)
        abort();
}

static void ask(const struct acl *acl, const struct input *in, const uint8_t *line, size_t len)
{
    if (len < 2)
        return;
    struct acl_request request = {
        .action = (line[1] & 1) != 0 ? ACL_SUBSCRIBE : ACL_PUBLISH,
        .qos = line[1] >> 1 & 3,
        .retain = (line[1] & 8) != 0,
        .will = (line[1] & 16) != 0,
        .topic = bytes_of(line + 2, len - 2),
    };
    struct acl_decision a = acl_decide(acl, &in->values, &request);
    struct acl_decision b = acl_decide_reference(acl, &in->values, &request);
    require(a.outcome == b.outcome && a.rule == b.rule);
    for (unsigned int mode = ACL_FILTER_COVER; mode <= ACL_FILTER_EXCEPT; mode++) {
        a = acl_decide_filter(acl, &in->values, &request, (enum acl_filter_mode)mode);
        b = acl_decide_filter_reference(acl, &in->values, &request, (enum acl_filter_mode)mode);
        require(a.outcome == b.outcome);
    }
    uint32_t level;
    uint32_t near = acl_nearest(acl, &in->values, &request, &level);
    require(near == ACL_RULE_NONE || acl_rule_at(acl, near)->allow);
}

static void ignore_idle(void *owner, uint32_t rule, uint32_t because_of, enum acl_idle why)
{
    (void)why;
    require(rule < acl_rules(owner) && because_of < acl_rules(owner));
}

/* Calls back for each line that begins with one of `kinds`. */
static void each_line(struct input *in, const struct acl *acl, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size;) {
        const uint8_t *end = memchr(data + i, '\n', size - i);
        size_t len = end == NULL ? size - i : (size_t)(end - (data + i));
        const uint8_t *line = data + i;
        i += len + 1;
        if (len == 0)
            continue;
        if (acl == NULL && (line[0] == '+' || line[0] == '-'))
            take_rule(in, line, len);
        if (acl == NULL && line[0] == '=' && in->values_n < 2)
            in->values.value[in->values_n++] = bytes_of(line + 1, len - 1);
        if (acl != NULL && line[0] == '?')
            ask(acl, in, line, len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct input in;
    struct acl_problem problem = {0};
    memset(&in, 0, sizeof(in));
    each_line(&in, NULL, data, size);
    struct acl *acl = acl_compile(in.rules, in.rules_n, variables, 2, &problem);
    if (acl == NULL) {
        require(problem.text[0] != 0);
        return 0;
    }
    each_line(&in, acl, data, size);
    acl_idle_rules(acl, ignore_idle, acl);
    acl_destroy(acl);
    return 0;
}
