/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of acl.h share: rules in a line of text each, and answers that both forms must agree on. */
#ifndef TESTS_UNIT_ACL_LAB_H
#define TESTS_UNIT_ACL_LAB_H

#include "policy/access/acl.h"
#include "policy/access/topic.h"
#include "tests/unit/runner.h"

#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define P (1U << ACL_PUBLISH)
#define S (1U << ACL_SUBSCRIBE)

static const char *const variables[] = {"client_id", "user", "serial"};

/* One client: client_id "truck-017", no user, serial "017". */
static inline struct acl_values truck(void)
{
    struct acl_values v = {0};
    v.value[0] = bytes_of_text("truck-017");
    v.value[2] = bytes_of_text("017");
    return v;
}

static inline struct acl_rule_spec rule_of(bool allow, uint16_t actions, const char *topic)
{
    return (struct acl_rule_spec){.id = topic,
                                  .file = "t.conf",
                                  .line = 7,
                                  .allow = allow,
                                  .actions = actions,
                                  .topic = topic,
                                  .retain = -1,
                                  .will = -1};
}

static inline struct acl *compile(const struct acl_rule_spec *rules, uint32_t n)
{
    struct acl_problem problem = {0};
    struct acl *acl = acl_compile(rules, n, variables, COUNT(variables), &problem);
    if (acl == NULL)
        fprintf(stderr, "acl_compile: rule %u: %s\n", problem.rule, problem.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(acl);
    return acl;
}

/* Rules as "+p filter" or "-ps filter": allow or deny, publish or subscribe. */
static inline struct acl *compile_text(const char *const *rules, uint32_t n)
{
    static struct acl_rule_spec specs[32];
    for (uint32_t i = 0; i < n; i++) {
        const char *topic = strchr(rules[i], ' ') + 1;
        uint16_t actions = 0;
        for (const char *c = rules[i] + 1; *c != ' '; c++)
            actions |= (uint16_t)(*c == 'p' ? P : S);
        specs[i] = rule_of(rules[i][0] == '+', actions, topic);
    }
    return compile(specs, n);
}

static inline struct acl_request asking(enum acl_action action, const char *topic)
{
    return (struct acl_request){.action = action, .topic = bytes_of_text(topic)};
}

/* Both forms must agree before either is believed. */
static inline struct acl_decision judge(const struct acl *acl, const struct acl_values *values,
                                        const struct acl_request *request)
{
    struct acl_decision a = acl_decide(acl, values, request), b = acl_decide_reference(acl, values, request);
    CU_ASSERT_EQUAL(a.outcome, b.outcome);
    CU_ASSERT_EQUAL(a.rule, b.rule);
    CU_ASSERT_EQUAL(a.payload, b.payload);
    return a;
}

static inline struct acl_decision judge_filter(const struct acl *acl, const struct acl_values *values,
                                               const struct acl_request *request, enum acl_filter_mode mode)
{
    struct acl_decision a = acl_decide_filter(acl, values, request, mode);
    struct acl_decision b = acl_decide_filter_reference(acl, values, request, mode);
    CU_ASSERT_EQUAL(a.outcome, b.outcome);
    return a;
}

#endif
