/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rule_hits.h: counters of workers, added up, and carried from one policy to the next (H1). */
#include "gateway/rule_hits.h"

#include "tests/unit/relay_roles.h"
#include "tests/unit/runner.h"

#include <stdio.h>

static void note(void *owner, const struct policy_problem *problem)
{
    (void)owner;
    fprintf(stderr, "%s:%u: %s\n", problem->file, problem->line, problem->text);
}

static struct snapshot *policy_of(const struct policy_role_spec *roles, uint32_t n)
{
    const struct policy_spec spec = {.roles = roles, .roles_n = n};
    struct snapshot *s = snapshot_create(&spec, 1, note, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    return s;
}

static void counted(void)
{
    struct policy_role_spec roles[] = {truck_role(), office_role()};
    struct snapshot *s = policy_of(roles, 2);
    struct rule_hits *hits = rule_hits_create(s, 1000);
    CU_ASSERT_PTR_NOT_NULL_FATAL(hits);
    const struct policy_role *truck = snapshot_role(s, 0), *office = snapshot_role(s, 1);
    CU_ASSERT_EQUAL(hits->n, 6);
    rule_hits_count(hits, 0, truck, 1);
    rule_hits_count(hits, 15, truck, 1);
    rule_hits_count(hits, 3, office, 0);
    rule_hits_count(hits, 3, office, ACL_RULE_NONE);
    rule_hits_count(hits, RULE_HITS_ROWS, office, 0);
    rule_hits_count(NULL, 0, office, 0);
    static const uint64_t wanted[] = {0, 2, 0, 0, 1, 0};
    for (uint32_t i = 0; i < 6; i++) {
        const struct policy_role *role = i < 4 ? truck : office;
        CU_ASSERT_EQUAL(rule_hits_sum(hits, role, i < 4 ? i : i - 4), wanted[i]);
        CU_ASSERT_EQUAL(rule_hits_since_us(hits, role, i < 4 ? i : i - 4), 1000);
    }
    rule_hits_destroy(hits);
    rule_hits_destroy(NULL);
    snapshot_destroy(s);
}

/* A reload that moves rules and brings a new one; and the return to what was in force before. */
static void followed(void)
{
    static const struct acl_rule_spec added[] = {
        RULE("office.read", SUBSCRIBE_BIT, "trucks/+/location"),
        RULE("office.new", SUBSCRIBE_BIT, "new"),
        RULE("office.news", PUBLISH_BIT | SUBSCRIBE_BIT, "news/#"),
    };
    struct policy_role_spec before[] = {truck_role(), office_role()}, after[] = {office_role()};
    after[0].rules = added;
    after[0].rules_n = 3;
    struct snapshot *a = policy_of(before, 2), *b = policy_of(after, 1);
    struct rule_hits *of_a = rule_hits_create(a, 1000), *of_b = rule_hits_create(b, 2000);
    const struct policy_role *office_a = snapshot_role(a, 1), *office_b = snapshot_role(b, 0);
    for (int i = 0; i < 5; i++)
        rule_hits_count(of_a, 0, office_a, 1);
    rule_hits_follow(of_b, b, of_a, a);
    CU_ASSERT_EQUAL(rule_hits_sum(of_b, office_b, 2), 5); /* office.news has moved */
    CU_ASSERT_EQUAL(rule_hits_since_us(of_b, office_b, 2), 1000);
    CU_ASSERT_EQUAL(rule_hits_sum(of_b, office_b, 1), 0);
    CU_ASSERT_EQUAL(rule_hits_since_us(of_b, office_b, 1), 2000);
    rule_hits_count(of_b, 1, office_b, 2);
    rule_hits_count(of_b, 1, office_b, 0);
    rule_hits_follow(of_a, a, of_b, b);
    CU_ASSERT_EQUAL(rule_hits_sum(of_a, office_a, 1), 6); /* and not 11 */
    CU_ASSERT_EQUAL(rule_hits_sum(of_a, office_a, 0), 1);
    rule_hits_count(of_a, 0, office_a, 1);
    CU_ASSERT_EQUAL(rule_hits_sum(of_a, office_a, 1), 7);
    CU_ASSERT_EQUAL(rule_hits_sum(of_a, snapshot_role(a, 0), 0), 0);
    rule_hits_destroy(of_a);
    rule_hits_destroy(of_b);
    snapshot_destroy(a);
    snapshot_destroy(b);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"counted by worker, added up (H1)", counted},
        {"carried over a reload, and back (H1, G2)", followed},
    };
    return unit_run("rule_hits", tests, sizeof(tests) / sizeof(tests[0]));
}
