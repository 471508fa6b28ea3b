/* SPDX-License-Identifier: GPL-2.0-or-later */
/* acl.h: filters in the union of the allows less the denies (D5; traps 1.2), and what people ask of rules
 * (G1, H1). */
#include "tests/unit/acl_lab.h"

static void filters(void)
{
    static const struct {
        const char *clause;
        const char *rules[4];
        const char *filter;
        enum outcome whole, trimmed;
    } t[] = {
        {"grant contains", {"+s a/#"}, "a/+/b", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"grant contains its parent", {"+s a/#"}, "a", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"grant contains itself", {"+s a/#"}, "a/#", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"wider than the grant", {"+s a/+"}, "a/#", OUTCOME_DEFAULT_DENY, OUTCOME_ALLOWED},
        {"wider than the grant", {"+s a/b"}, "a/+", OUTCOME_DEFAULT_DENY, OUTCOME_ALLOWED},
        {"wider than the grant", {"+s a/b"}, "#", OUTCOME_DEFAULT_DENY, OUTCOME_ALLOWED},
        {"beside the grant", {"+s a/b"}, "a/c", OUTCOME_DEFAULT_DENY, OUTCOME_DEFAULT_DENY},
        {"beside the grant", {"+s a/b"}, "+/c", OUTCOME_DEFAULT_DENY, OUTCOME_DEFAULT_DENY},
        {"no grant", {"+p a/b"}, "a/b", OUTCOME_DEFAULT_DENY, OUTCOME_DEFAULT_DENY},
        {"another's variable", {"+s t/${serial}/#"}, "t/018/#", OUTCOME_DEFAULT_DENY, OUTCOME_DEFAULT_DENY},
        {"own variable", {"+s t/${serial}/#"}, "t/017/+", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"wildcard over the variable", {"+s t/${serial}/#"}, "t/+/x", OUTCOME_DEFAULT_DENY, OUTCOME_ALLOWED},
        {"unset variable", {"+s ${user}/#"}, "#", OUTCOME_DEFAULT_DENY, OUTCOME_DEFAULT_DENY},
        {"deny contains", {"+s a/#", "-s a/b/#"}, "a/b/c", OUTCOME_RULE_DENY, OUTCOME_RULE_DENY},
        {"deny intersects (traps 1.2)", {"+s a/#", "-s a/b"}, "a/+", OUTCOME_RULE_DENY, OUTCOME_ALLOWED},
        {"deny intersects", {"+s a/#", "-s a/b/c"}, "a/#", OUTCOME_RULE_DENY, OUTCOME_ALLOWED},
        {"deny intersects", {"+s a/#", "-s +/b"}, "a/+", OUTCOME_RULE_DENY, OUTCOME_ALLOWED},
        {"deny intersects at the parent", {"+s a/#", "-s a"}, "a/#", OUTCOME_RULE_DENY, OUTCOME_ALLOWED},
        {"deny does not intersect", {"+s a/#", "-s a"}, "a/+", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"deny does not intersect", {"+s a/#", "-s b/#"}, "a/#", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"deny does not intersect", {"+s a/#", "-s a/+/c"}, "a/+/d", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"deny of a variable", {"+s a/#", "-s a/${serial}"}, "a/+", OUTCOME_RULE_DENY, OUTCOME_ALLOWED},
        {"deny of an unset one", {"+s a/#", "-s a/${user}"}, "a/+", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"deny of another action", {"+s a/#", "-p a/b"}, "a/+", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"deny alone", {"-s a/b"}, "a/+", OUTCOME_DEFAULT_DENY, OUTCOME_DEFAULT_DENY},
        {"deny alone", {"-s a/b"}, "a/b", OUTCOME_RULE_DENY, OUTCOME_RULE_DENY},
        {"union", {"+s a", "+s a/+/#"}, "a/#", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"union", {"+s a", "+s a/+", "+s a/+/+/#"}, "a/#", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"union with a hole", {"+s a", "+s a/+/+/#"}, "a/#", OUTCOME_DEFAULT_DENY, OUTCOME_ALLOWED},
        {"union without an end",
         {"+s a", "+s a/+", "+s a/+/+"},
         "a/#",
         OUTCOME_DEFAULT_DENY,
         OUTCOME_ALLOWED},
        {"union without a beginning", {"+s a/+/#"}, "a/#", OUTCOME_DEFAULT_DENY, OUTCOME_ALLOWED},
        {"union over branches",
         {"+s +/x", "+s a/+/+/#", "+s a/x/+"},
         "a/x/#",
         OUTCOME_ALLOWED,
         OUTCOME_ALLOWED},
        {"union for '#'", {"+s +", "+s +/+/#"}, "#", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"'+/#' is '#'", {"+s +/#"}, "#", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"'+/+/#' is not '#'", {"+s +/+/#"}, "#", OUTCOME_DEFAULT_DENY, OUTCOME_ALLOWED},
        {"union less a deny", {"+s a", "+s a/+/#", "-s a/x/y"}, "a/#", OUTCOME_RULE_DENY, OUTCOME_ALLOWED},
        {"literals are no union",
         {"+s a/b", "+s a/c", "+s a/d"},
         "a/+",
         OUTCOME_DEFAULT_DENY,
         OUTCOME_ALLOWED},
        {"empty levels", {"+s a//#"}, "a//b", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"empty levels", {"+s a//#"}, "a/b", OUTCOME_DEFAULT_DENY, OUTCOME_DEFAULT_DENY},
        {"empty levels", {"+s /+"}, "/+", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"malformed (s.4.7.1.2)", {"+s #"}, "a/#/b", OUTCOME_BAD_FILTER, OUTCOME_BAD_FILTER},
        {"malformed (s.4.7.1.3)", {"+s #"}, "a+", OUTCOME_BAD_FILTER, OUTCOME_BAD_FILTER},
        {"malformed (s.4.7.3-1)", {"+s #"}, "", OUTCOME_BAD_FILTER, OUTCOME_BAD_FILTER},
    };
    struct acl_values values = truck();
    for (size_t i = 0; i < COUNT(t); i++) {
        uint32_t n = 0;
        while (n < COUNT(t[i].rules) && t[i].rules[n] != NULL)
            n++;
        struct acl *acl = compile_text(t[i].rules, n);
        struct acl_request request = asking(ACL_SUBSCRIBE, t[i].filter);
        struct acl_decision whole = judge_filter(acl, &values, &request, ACL_FILTER_COVER);
        struct acl_decision trimmed = judge_filter(acl, &values, &request, ACL_FILTER_TRIM);
        if (whole.outcome != t[i].whole || trimmed.outcome != t[i].trimmed)
            fprintf(stderr, "%s: %s: %s, %s\n", t[i].clause, t[i].filter, outcome_id(whole.outcome),
                    outcome_id(trimmed.outcome));
        CU_ASSERT_EQUAL(whole.outcome, t[i].whole);
        CU_ASSERT_EQUAL(trimmed.outcome, t[i].trimmed);
        /* "except": as a whole, but that a deny which only meets the filter does not refuse it. */
        bool meets = t[i].whole == OUTCOME_RULE_DENY && t[i].trimmed == OUTCOME_ALLOWED;
        CU_ASSERT_EQUAL(judge_filter(acl, &values, &request, ACL_FILTER_EXCEPT).outcome,
                        meets ? OUTCOME_ALLOWED : t[i].whole);
        acl_destroy(acl);
    }
}

/* A filter whose wildcards meet more denies than one decision looks at is refused, and said to be. */
static void wide_filters(void)
{
    enum { N = 3 * ACL_VISITS_MAX + 100 };
    static char topic[N][24];
    static struct acl_rule_spec rules[N + 1];
    rules[0] = rule_of(true, S, "#");
    for (uint32_t i = 0; i < N; i++) {
        snprintf(topic[i], sizeof(topic[i]), "d/%u/secret", i);
        rules[i + 1] = rule_of(false, S, topic[i]);
    }
    struct acl *acl = compile(rules, N + 1);
    struct acl_request request = asking(ACL_SUBSCRIBE, "d/+/open");
    CU_ASSERT_EQUAL(acl_decide_filter(acl, NULL, &request, ACL_FILTER_COVER).outcome,
                    OUTCOME_FILTER_TOO_WIDE);
    request = asking(ACL_SUBSCRIBE, "d/+/secret");
    CU_ASSERT_EQUAL(acl_decide_filter(acl, NULL, &request, ACL_FILTER_COVER).outcome, OUTCOME_RULE_DENY);
    request = asking(ACL_SUBSCRIBE, "d/77/open");
    CU_ASSERT_EQUAL(acl_decide_filter(acl, NULL, &request, ACL_FILTER_COVER).outcome, OUTCOME_ALLOWED);
    request = asking(ACL_SUBSCRIBE, "e/#");
    CU_ASSERT_EQUAL(acl_decide_filter(acl, NULL, &request, ACL_FILTER_COVER).outcome, OUTCOME_ALLOWED);
    request = asking(ACL_SUBSCRIBE, "d/77/secret");
    CU_ASSERT_EQUAL(acl_decide(acl, NULL, &request).outcome, OUTCOME_RULE_DENY);
    CU_ASSERT_EQUAL(acl_decide(acl, NULL, &request).rule, 78);
    acl_destroy(acl);
}

/* H1: explain names the rule that was missed narrowly. */
static void nearest(void)
{
    static const char *const rules[] = {
        "+p fleet/${client_id}/telemetry/#",
        "+p fleet/${client_id}/status",
        "+s fleet/${client_id}/cmd/+",
        "-p fleet/#",
        "+p other/#",
    };
    static const struct {
        enum acl_action action;
        const char *topic;
        uint32_t rule, level;
    } t[] = {
        {ACL_PUBLISH, "fleet/truck-018/telemetry/gps", 0, 2},
        {ACL_PUBLISH, "fleet/truck-018/status", 1, 2},
        {ACL_PUBLISH, "fleet/truck-017/state", 0, 3},
        {ACL_PUBLISH, "fleet/truck-017/status/x", 1, 4},
        {ACL_PUBLISH, "fleet/truck-017/telemetry/x", 0, 0},
        {ACL_SUBSCRIBE, "fleet/+/cmd/+", 2, 2},
        {ACL_SUBSCRIBE, "fleet/truck-017/cmd/#", 2, 4},
        {ACL_GET, "fleet", ACL_RULE_NONE, 0},
        {ACL_PUBLISH, "nowhere", 4, 1},
    };
    struct acl *acl = compile_text(rules, COUNT(rules));
    struct acl_values values = truck();
    for (size_t i = 0; i < COUNT(t); i++) {
        uint32_t level = 99;
        struct acl_request request = asking(t[i].action, t[i].topic);
        CU_ASSERT_EQUAL(acl_nearest(acl, &values, &request, &level), t[i].rule);
        CU_ASSERT_EQUAL(level, t[i].level);
    }
    acl_destroy(acl);
}

struct idle_seen {
    uint32_t n;
    uint32_t rule[16], by[16];
    enum acl_idle why[16];
};

static void note_idle(void *owner, uint32_t rule, uint32_t by, enum acl_idle why)
{
    struct idle_seen *seen = owner;
    if (seen->n < COUNT(seen->rule)) {
        seen->rule[seen->n] = rule;
        seen->by[seen->n] = by;
        seen->why[seen->n] = why;
    }
    seen->n++;
}

static void idle(void)
{
    static const struct {
        const char *rules[3];
        uint32_t n, rule, by;
        enum acl_idle why;
    } t[] = {
        {{"+p a/b", "-p a/#"}, 1, 0, 1, ACL_IDLE_DENIED},
        {{"+p a/b", "-p a/b"}, 1, 0, 1, ACL_IDLE_DENIED},
        {{"-p a/#", "+p a"}, 1, 1, 0, ACL_IDLE_DENIED},
        {{"+p a/#", "-p a/#"}, 1, 0, 1, ACL_IDLE_DENIED},
        {{"+p #", "-p +/#"}, 1, 0, 1, ACL_IDLE_DENIED},
        {{"+p a/${serial}/x", "-p a/+/x"}, 1, 0, 1, ACL_IDLE_DENIED},
        {{"+p a/${serial}", "-p a/${serial}"}, 1, 0, 1, ACL_IDLE_DENIED},
        {{"+p ${serial}/x", "-p +/x"}, 1, 0, 1, ACL_IDLE_DENIED},
        {{"+p a/x-${serial}", "-p a/${serial}"}, 0, 0, 0, 0},
        {{"+p $a/x", "-p #"}, 0, 0, 0, 0},
        {{"+p $${serial}/x", "-p +/x"}, 0, 0, 0, 0},
        {{"+ps a/b", "-p a/b"}, 0, 0, 0, 0},
        {{"+p a/b", "-ps a/b"}, 1, 0, 1, ACL_IDLE_DENIED},
        {{"+p a/#", "-p a/+"}, 0, 0, 0, 0},
        {{"+p a/+", "-p a/b"}, 0, 0, 0, 0},
        {{"+p a/b", "+p a/b"}, 1, 1, 0, ACL_IDLE_DUPLICATE},
        {{"-s a/#", "-s a/#"}, 1, 1, 0, ACL_IDLE_DUPLICATE},
        {{"+p a/b", "+s a/b"}, 0, 0, 0, 0},
        {{"+p a", "+p a/#"}, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        uint32_t n = 0;
        while (n < COUNT(t[i].rules) && t[i].rules[n] != NULL)
            n++;
        struct acl *acl = compile_text(t[i].rules, n);
        struct idle_seen seen = {0};
        acl_idle_rules(acl, note_idle, &seen);
        CU_ASSERT_EQUAL(seen.n, t[i].n);
        if (seen.n != t[i].n)
            fprintf(stderr, "idle row %zu\n", i);
        if (t[i].n == 1 && seen.n == 1) {
            CU_ASSERT_EQUAL(seen.rule[0], t[i].rule);
            CU_ASSERT_EQUAL(seen.by[0], t[i].by);
            CU_ASSERT_EQUAL(seen.why[0], t[i].why);
        }
        acl_destroy(acl);
    }
    struct acl_rule_spec rules[] = {rule_of(true, P, "a"), rule_of(false, P, "a"), rule_of(true, P, "b"),
                                    rule_of(true, P, "b"), rule_of(true, P, "b")};
    rules[1].qos_mask = 4; /* a deny with a condition leaves something to the allow */
    rules[3].qos_mask = 1;
    struct acl *acl = compile(rules, COUNT(rules));
    struct idle_seen seen = {0};
    acl_idle_rules(acl, note_idle, &seen);
    CU_ASSERT_EQUAL(seen.n, 1);
    CU_ASSERT_EQUAL(seen.rule[0], 4);
    CU_ASSERT_EQUAL(seen.by[0], 2);
    acl_destroy(acl);
}

static void note_covered(void *owner, uint32_t rule, uint32_t by)
{
    note_idle(owner, rule, by, ACL_IDLE_DENIED);
}

static void covered(void)
{
    static const struct {
        const char *rules[3];
        uint32_t n, rule, by;
    } t[] = {
        {{"+p a/b", "+p a/#"}, 1, 0, 1},         {{"+p a", "+p a/#"}, 1, 0, 1},
        {{"+p a/#", "+p a/b"}, 1, 1, 0},         {{"+p a/${serial}", "+p a/+"}, 1, 0, 1},
        {{"+p a/+", "+p a/${serial}"}, 1, 1, 0}, {{"+p a/b", "+ps a/b"}, 1, 0, 1},
        {{"+ps a/b", "+p a/#"}, 0, 0, 0},        {{"-p a/b", "-p a/#"}, 1, 0, 1},
        {{"+p a/b", "-p a/#"}, 0, 0, 0}, /* another kind: acl_idle_rules */
        {{"-p a/b", "+p a/#"}, 0, 0, 0},         {{"+p a/b", "+p a/b"}, 0, 0, 0}, /* likewise */
        {{"+p #", "+p +/#"}, 1, 1, 0}, /* two that say the same: the later one */
        {{"+p +/#", "+p #"}, 1, 1, 0},           {{"+p $a/b", "+p #"}, 0, 0, 0},
        {{"+p a/#", "+p a/+"}, 1, 1, 0},         {{"+p a/+/c", "+p a/b/c", "+p a/+/#"}, 2, 0, 2},
        {{"+p a/+", "+p a/b"}, 1, 1, 0},         {{"+p a/b", "+s a/#"}, 0, 0, 0},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        uint32_t n = 0;
        while (n < COUNT(t[i].rules) && t[i].rules[n] != NULL)
            n++;
        struct acl *acl = compile_text(t[i].rules, n);
        struct idle_seen seen = {0};
        acl_covered_rules(acl, note_covered, &seen);
        CU_ASSERT_EQUAL(seen.n, t[i].n);
        if (seen.n != t[i].n)
            fprintf(stderr, "covered row %zu\n", i);
        if (t[i].n != 0 && seen.n == t[i].n) {
            CU_ASSERT_EQUAL(seen.rule[0], t[i].rule);
            CU_ASSERT_EQUAL(seen.by[0], t[i].by);
        }
        acl_destroy(acl);
    }
}

/* A condition that only the wider rule has leaves something to the narrower one. */
static void covered_with_conditions(void)
{
    static const struct {
        const char *what;
        struct acl_rule_spec narrow, wide;
        bool covered;
    } t[] = {
        {"nothing asked", {.retain = -1, .will = -1}, {.retain = -1, .will = -1}, true},
        {"QoS of the narrow one",
         {.qos_mask = 1, .retain = -1, .will = -1},
         {.retain = -1, .will = -1},
         true},
        {"QoS of the wide one", {.retain = -1, .will = -1}, {.qos_mask = 3, .retain = -1, .will = -1}, false},
        {"QoS of both",
         {.qos_mask = 1, .retain = -1, .will = -1},
         {.qos_mask = 3, .retain = -1, .will = -1},
         true},
        {"retain", {.retain = -1, .will = -1}, {.retain = 0, .will = -1}, false},
        {"a Will", {.retain = -1, .will = 1}, {.retain = -1, .will = -1}, false},
        {"size", {.retain = -1, .will = -1}, {.retain = -1, .will = -1, .payload_max = 9}, false},
        {"a smaller size",
         {.retain = -1, .will = -1, .payload_max = 8},
         {.retain = -1, .will = -1, .payload_max = 9},
         true},
        {"content",
         {.retain = -1, .will = -1},
         {.retain = -1, .will = -1, .payload = ACL_PAYLOAD_JSON},
         false},
        {"content, evaded",
         {.retain = -1, .will = -1, .payload = ACL_PAYLOAD_JSON},
         {.retain = -1, .will = -1},
         true},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct acl_rule_spec rules[] = {t[i].narrow, t[i].wide};
        for (int k = 0; k < 2; k++) {
            rules[k].id = k == 0 ? "narrow" : "wide";
            rules[k].file = "f";
            rules[k].allow = true;
            rules[k].actions = 1u << ACL_PUBLISH;
            rules[k].topic = k == 0 ? "a/b" : "a/#";
        }
        struct acl *acl = compile(rules, COUNT(rules));
        struct idle_seen seen = {0};
        acl_covered_rules(acl, note_covered, &seen);
        if (seen.n != (t[i].covered ? 1u : 0u))
            fprintf(stderr, "covered: %s\n", t[i].what);
        CU_ASSERT_EQUAL(seen.n, t[i].covered ? 1 : 0);
        acl_destroy(acl);
    }
    struct acl_rule_spec denies[] = {rule_of(false, 1u << ACL_PUBLISH, "a/b"),
                                     rule_of(false, 1u << ACL_PUBLISH, "a/#")};
    denies[0].enforce = true; /* holds where the role only observes */
    struct acl *acl = compile(denies, COUNT(denies));
    struct idle_seen seen = {0};
    acl_covered_rules(acl, note_covered, &seen);
    CU_ASSERT_EQUAL(seen.n, 0);
    acl_destroy(acl);
}

static void ignore_idle(void *owner, uint32_t rule, uint32_t by, enum acl_idle why)
{
    (void)rule;
    (void)by;
    (void)why;
    ++*(uint32_t *)owner;
}

static void ignore_covered(void *owner, uint32_t rule, uint32_t by)
{
    ignore_idle(owner, rule, by, ACL_IDLE_DENIED);
}

/* Many rules that say the same are found by a look or three at each, not at each for each. */
static void many_equals(void)
{
    enum { N = 4000 };
    static struct acl_rule_spec rules[N];
    for (int deny = 0; deny < 2; deny++) {
        for (uint32_t i = 0; i < N; i++)
            rules[i] = rule_of(deny == 0, 1u << ACL_PUBLISH, "a/b");
        struct acl *acl = compile(rules, N);
        uint32_t idle_n = 0, covered_n = 0;
        CU_ASSERT(acl_idle_rules(acl, ignore_idle, &idle_n) <= 3 * N);
        CU_ASSERT(acl_covered_rules(acl, ignore_covered, &covered_n) <= 3 * N);
        CU_ASSERT_EQUAL(idle_n, N - 1);
        CU_ASSERT_EQUAL(covered_n, 0);
        acl_destroy(acl);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"filters: containment and intersection (D5)", filters},
        {"filters that are too wide", wide_filters},
        {"the nearest rule (H1)", nearest},
        {"rules that never decide (G1)", idle},
        {"rules that change nothing (G1)", covered},
        {"and their conditions", covered_with_conditions},
        {"many that say the same (G1)", many_equals},
    };
    return unit_run("acl_filter", tests, COUNT(tests));
}
