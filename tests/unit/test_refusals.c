/* SPDX-License-Identifier: GPL-2.0-or-later */
/* refusals.h: the last ones by number, with the places that they had (H1, H2). */
#include "gateway/refusals.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/runner.h"

#include <string.h>

static void no_problem(void *owner, const struct policy_problem *problem)
{
    (void)owner;
    if (!problem->warning)
        CU_FAIL(problem->text);
}

static const struct event denied = {.kind = EVENT_MQTT_PUBLISH_DENIED, .outcome = OUTCOME_RULE_DENY};

static void the_oldest_makes_room(void)
{
    struct refusals *refusals = refusals_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(refusals);
    CU_ASSERT_PTR_NULL(refusals_last(refusals));
    CU_ASSERT_PTR_NULL(refusals_find(refusals, 0));
    for (uint64_t i = 1; i <= 2 * REFUSALS_MAX + 5; i++)
        refusals_add(refusals, &denied, 10 * i, NULL);
    uint64_t last = 10 * (2 * REFUSALS_MAX + 5);
    CU_ASSERT_EQUAL(refusals_last(refusals)->sequence, last);
    for (uint64_t i = 0; i < REFUSALS_MAX; i++)
        CU_ASSERT_PTR_NOT_NULL(refusals_find(refusals, last - 10 * i));
    CU_ASSERT_PTR_NULL(refusals_find(refusals, last - 10 * REFUSALS_MAX));
    CU_ASSERT_PTR_NULL(refusals_find(refusals, last - 1));
    CU_ASSERT_PTR_NULL(refusals_find(refusals, 0));
    refusals_destroy(refusals);
    refusals_destroy(NULL);
}

/* What is out of the policy, or of a policy that is gone, has no place, and is kept all the same. */
static void places(void)
{
    static const struct {
        uint32_t role, rule;
        const char *role_at, *rule_at;
    } cases[] = {
        {1, 1, "t.conf:1", "t.conf:"}, {1, 0, "t.conf:1", ""}, {0, 1, "", ""}, {2, 1, "", ""},
        {1, 1000, "t.conf:1", ""},
    };
    const struct policy_role_spec role = truck_role();
    const struct policy_spec spec = {.roles = &role, .roles_n = 1};
    struct snapshot *policy = snapshot_create(&spec, 1, no_problem, NULL);
    struct refusals *refusals = refusals_create();
    CU_ASSERT_TRUE_FATAL(policy != NULL && refusals != NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (int gone = 0; gone < 2; gone++) {
            struct event event = denied;
            event.role_place = cases[i].role;
            event.rule_place = cases[i].rule;
            refusals_add(refusals, &event, 1 + i, gone ? NULL : policy);
            const struct refusal *last = refusals_last(refusals);
            CU_ASSERT_STRING_EQUAL(last->role_at, gone ? "" : cases[i].role_at);
            CU_ASSERT_TRUE(
                strncmp(last->rule_at, gone ? "" : cases[i].rule_at, strlen(cases[i].rule_at)) == 0 || gone);
            CU_ASSERT_EQUAL(last->rule_at[0] == '\0', gone || cases[i].rule_at[0] == '\0');
        }
    refusals_destroy(refusals);
    snapshot_destroy(policy);
}

static void what_is_one(void)
{
    static const enum event_kind not_one[] = {EVENT_MQTT_CONNECT, EVENT_MQTT_END, EVENT_POLICY_RELOADED,
                                              EVENT_MQTT_PUBLISH_ALLOWED, EVENT_CANDIDATE_DIFFERENCE};
    CU_ASSERT_TRUE(refusals_is(&denied));
    for (size_t i = 0; i < sizeof(not_one) / sizeof(not_one[0]); i++)
        CU_ASSERT_FALSE(refusals_is(&(struct event){.kind = not_one[i]}));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"the oldest makes room", the_oldest_makes_room},
        {"places in a policy that may be gone", places},
        {"what is a refusal", what_is_one},
    };
    return unit_run("refusals", tests, sizeof(tests) / sizeof(tests[0]));
}
