/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/access/snapshot_compare.h"
#include "tests/unit/runner.h"

#define RULES 3

struct site {
    struct acl_rule_spec rules[2][RULES];
    struct policy_role_spec roles[2];
    struct policy_device_spec devices[2];
    struct policy_variable variable;
    struct policy_spec spec;
};

static void site_init(struct site *site)
{
    static const char *const ids[2][RULES] = {{"a.1", "a.2", "a.3"}, {"b.1", "b.2", "b.3"}};
    static const char *const topics[RULES] = {"x", "y/+", "z/#"};
    memset(site, 0, sizeof(*site));
    for (int r = 0; r < 2; r++) {
        for (int i = 0; i < RULES; i++)
            site->rules[r][i] = (struct acl_rule_spec){.id = ids[r][i],
                                                       .file = "f",
                                                       .line = (uint32_t)i,
                                                       .allow = true,
                                                       .actions = 1u << ACL_PUBLISH,
                                                       .topic = topics[i],
                                                       .retain = -1,
                                                       .will = -1};
        site->roles[r] = (struct policy_role_spec){.name = r == 0 ? "a" : "b",
                                                   .file = "f",
                                                   .match = {.vlan = -1, .client_id = r == 0 ? "a-*" : "b-*"},
                                                   .max_qos = 2,
                                                   .rules = site->rules[r],
                                                   .rules_n = RULES};
        site->devices[r] = (struct policy_device_spec){.id = r == 0 ? "d-1" : "d-2", .file = "f"};
    }
    site->spec =
        (struct policy_spec){.roles = site->roles, .roles_n = 2, .devices = site->devices, .devices_n = 2};
}

static void told(void *owner, const struct policy_problem *problem)
{
    (void)owner;
    fprintf(stderr, "  %s\n", problem->text);
}

static struct snapshot_changes compare(struct site *before, struct site *after)
{
    struct snapshot_changes changes;
    struct snapshot *a = snapshot_create(&before->spec, 1, told, NULL);
    struct snapshot *b = snapshot_create(&after->spec, 2, told, NULL);
    CU_ASSERT_FATAL(a != NULL && b != NULL);
    CU_ASSERT_TRUE(snapshot_compare(a, b, &changes));
    snapshot_destroy(a);
    snapshot_destroy(b);
    return changes;
}

#define IS(count, a, r, c) ((count).added == (a) && (count).removed == (r) && (count).changed == (c))
#define NO(count) IS(count, 0, 0, 0)

static void nothing(void)
{
    struct site a, b;
    site_init(&a);
    site_init(&b);
    /* Another place, another order of rules and devices: the same policy. */
    b.roles[0].file = b.rules[0][0].file = "other";
    b.roles[0].line = 99;
    struct acl_rule_spec rule = b.rules[0][0];
    b.rules[0][0] = b.rules[0][2];
    b.rules[0][2] = rule;
    b.devices[0].id = "d-2";
    b.devices[1].id = "d-1";
    struct snapshot_changes changes = compare(&a, &b);
    CU_ASSERT(NO(changes.roles) && NO(changes.rules) && NO(changes.devices) && changes.limits == 0 &&
              !changes.roles_reordered);
}

static void one_by_one(void)
{
    struct site a, b;
    struct snapshot_changes changes;
    site_init(&a);

    site_init(&b);
    b.rules[0][1].topic = "y/1";
    b.rules[1][1].retain = 0;
    changes = compare(&a, &b);
    CU_ASSERT(IS(changes.rules, 0, 0, 2) && NO(changes.roles));

    site_init(&b);
    b.roles[0].rules_n = 2;
    CU_ASSERT(IS(compare(&a, &b).rules, 0, 1, 0));
    CU_ASSERT(IS(compare(&b, &a).rules, 1, 0, 0));

    site_init(&b);
    b.roles[1].limits.rates.of[RATE_PUBLISHES][0] =
        (struct rate){.amount = 5, .period_us = 1000000, .burst = 5};
    changes = compare(&a, &b);
    CU_ASSERT(changes.limits == 1 && NO(changes.roles) && NO(changes.rules));

    site_init(&b);
    b.roles[0].max_qos = 1;
    b.roles[1].match.client_id = "c-*";
    changes = compare(&a, &b);
    CU_ASSERT(IS(changes.roles, 0, 0, 2) && changes.limits == 0);

    site_init(&b);
    b.roles[1].name = "c";
    changes = compare(&a, &b);
    CU_ASSERT(IS(changes.roles, 1, 1, 0) && IS(changes.rules, 3, 3, 0));

    site_init(&b);
    b.spec.roles_n = 1;
    changes = compare(&a, &b);
    CU_ASSERT(IS(changes.roles, 0, 1, 0) && IS(changes.rules, 0, 3, 0));

    site_init(&b);
    struct policy_role_spec role = b.roles[0];
    b.roles[0] = b.roles[1];
    b.roles[1] = role;
    changes = compare(&a, &b);
    CU_ASSERT(changes.roles_reordered && NO(changes.roles) && NO(changes.rules));

    site_init(&b);
    b.devices[0].quarantine = "stolen";
    b.devices[1].id = "d-3";
    changes = compare(&a, &b);
    CU_ASSERT(IS(changes.devices, 1, 1, 1));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"nothing changed", nothing},
        {"one by one (G2)", one_by_one},
    };
    return unit_run("snapshot_compare", tests, sizeof(tests) / sizeof(tests[0]));
}
