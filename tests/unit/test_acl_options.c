/* SPDX-License-Identifier: GPL-2.0-or-later */
/* E2: conditions of rules on query, format and block-wise, alone and as parts of compiled rules. */
#include "policy/access/acl.h"

#include "tests/unit/runner.h"

#define GET (1 << ACL_GET)
#define PUT (1 << ACL_PUT)

static const struct acl_options from = {.queries_n = 2, .queries = {"from=*", "to=[0-9]*"}};
static const struct acl_options senml = {.formats_n = 2, .formats = {110, 112}};
static const struct acl_options whole = {.block = ACL_BLOCK_NO};
static const struct acl_options blocks = {.block = ACL_BLOCK_ONLY};
static const struct acl_options both = {.queries_n = 1, .queries = {"a"}, .formats_n = 1, .formats = {0}};

#define QUERY(text)                                                                                          \
    {                                                                                                        \
        .at = (const uint8_t *)(text), .len = sizeof(text) - 1                                               \
    }

struct condition {
    const char *name;
    const struct acl_options *options;
    bool allow;
    struct acl_asked asked;
    unsigned int fails;
};

static const struct condition conditions[] = {
    {"E2: allow, no query", &from, true, {.format = -1}, 0},
    {"E2: allow, a query that fits",
     &from,
     true,
     {.format = -1, .queries_n = 1, .queries = {QUERY("from=1")}},
     0},
    {"E2: allow, both fit",
     &from,
     true,
     {.format = -1, .queries_n = 2, .queries = {QUERY("to=2"), QUERY("from=")}},
     0},
    {"E2: allow, one does not fit",
     &from,
     true,
     {.format = -1, .queries_n = 2, .queries = {QUERY("from=1"), QUERY("all")}},
     ACL_FAILS_QUERY},
    {"E2: allow, an empty query", &from, true, {.format = -1, .queries_n = 1}, ACL_FAILS_QUERY},
    {"E2: allow, nearly",
     &from,
     true,
     {.format = -1, .queries_n = 1, .queries = {QUERY("to=x")}},
     ACL_FAILS_QUERY},
    {"E2: deny, no query", &from, false, {.format = -1}, ACL_FAILS_QUERY},
    {"E2: deny, one fits",
     &from,
     false,
     {.format = -1, .queries_n = 2, .queries = {QUERY("all"), QUERY("from=1")}},
     0},
    {"E2: deny, none fits",
     &from,
     false,
     {.format = -1, .queries_n = 1, .queries = {QUERY("all")}},
     ACL_FAILS_QUERY},
    {"E2: format of the list", &senml, true, {.format = 112, .carries = true}, 0},
    {"E2: another format", &senml, true, {.format = 60, .carries = true}, ACL_FAILS_FORMAT},
    {"E2: a payload of no format", &senml, true, {.format = -1, .carries = true}, ACL_FAILS_FORMAT},
    {"E2: no payload, no format", &senml, true, {.format = -1}, 0},
    {"E2: deny, format of the list", &senml, false, {.format = 110, .carries = true}, 0},
    {"E2: deny, no format", &senml, false, {.format = -1}, ACL_FAILS_FORMAT},
    {"E2: whole, and is", &whole, true, {.format = -1}, 0},
    {"E2: whole, and is a block", &whole, true, {.format = -1, .block = true}, ACL_FAILS_BLOCK},
    {"E2: deny of blocks, whole", &blocks, false, {.format = -1}, ACL_FAILS_BLOCK},
    {"E2: deny of blocks, a block", &blocks, false, {.format = -1, .block = true}, 0},
    {"E2: two conditions fail",
     &both,
     true,
     {.format = 60, .carries = true, .queries_n = 1, .queries = {QUERY("b")}},
     ACL_FAILS_QUERY | ACL_FAILS_FORMAT},
};

static void test_conditions(void)
{
    for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
        const struct condition *c = &conditions[i];
        unsigned int fails = acl_options_fail(c->options, c->allow, &c->asked);
        if (fails != c->fails)
            printf("\n%s: %u\n", c->name, fails);
        CU_ASSERT_EQUAL(fails, c->fails);
    }
    CU_ASSERT_EQUAL(acl_options_fail(&whole, true, NULL), 0);
    CU_ASSERT_EQUAL(acl_options_fail(&from, false, NULL), ACL_FAILS_QUERY);
}

#define RULE(name, may, does, where, asks)                                                                   \
    {                                                                                                        \
        .id = name, .file = "f", .line = 1, .allow = may, .actions = does, .topic = where, .retain = -1,     \
        .will = -1, .options = asks                                                                          \
    }

static const struct acl_rule_spec rules[] = {
    RULE("log", true, GET, "log", &from),      RULE("data", true, PUT, "data/+", &senml),
    RULE("no", false, PUT, "data/+", &blocks), RULE("again", true, GET, "log", &whole),
    RULE("other", true, GET, "log/#", &both),
};

struct decision {
    const char *name;
    enum acl_action action;
    const char *path;
    struct acl_asked asked;
    enum outcome outcome;
};

static const struct decision decisions[] = {
    {"E2: any of several rules",
     ACL_GET,
     "log",
     {.format = -1, .queries_n = 1, .queries = {QUERY("x")}},
     OUTCOME_ALLOWED},
    {"E2: by its query",
     ACL_GET,
     "log",
     {.format = -1, .block = true, .queries_n = 1, .queries = {QUERY("from=1")}},
     OUTCOME_ALLOWED},
    {"E2: neither",
     ACL_GET,
     "log",
     {.format = -1, .block = true, .queries_n = 1, .queries = {QUERY("x")}},
     OUTCOME_QUERY_DENIED},
    {"E2: format", ACL_PUT, "data/1", {.format = 112, .carries = true}, OUTCOME_ALLOWED},
    {"E2: format that is not allowed",
     ACL_PUT,
     "data/1",
     {.format = 0, .carries = true},
     OUTCOME_FORMAT_DENIED},
    {"E2: a deny of blocks",
     ACL_PUT,
     "data/1",
     {.format = 112, .carries = true, .block = true},
     OUTCOME_RULE_DENY},
    {"E2: another path", ACL_PUT, "else", {.format = 112, .carries = true}, OUTCOME_DEFAULT_DENY},
};

static void test_rules(void)
{
    struct acl_problem problem;
    struct acl *acl = acl_compile(rules, sizeof(rules) / sizeof(rules[0]), NULL, 0, &problem);
    CU_ASSERT_PTR_NOT_NULL_FATAL(acl);
    CU_ASSERT_TRUE(acl_reads_options(acl));
    CU_ASSERT_TRUE(acl_rule_at(acl, 0)->options != &from &&
                   acl_rule_at(acl, 0)->options->queries[0] != from.queries[0]);
    for (size_t i = 0; i < sizeof(decisions) / sizeof(decisions[0]); i++) {
        const struct decision *d = &decisions[i];
        struct acl_request request = {
            .action = d->action, .topic = bytes_of_text(d->path), .asked = &d->asked};
        struct acl_decision got = acl_decide(acl, NULL, &request);
        struct acl_decision reference = acl_decide_reference(acl, NULL, &request);
        if (got.outcome != d->outcome)
            printf("\n%s: %s\n", d->name, outcome_id(got.outcome));
        CU_ASSERT_EQUAL(got.outcome, d->outcome);
        CU_ASSERT_TRUE(got.outcome == reference.outcome && got.rule == reference.rule);
    }
    acl_destroy(acl);
}

static void count_idle(void *owner, uint32_t rule, uint32_t because_of, enum acl_idle why)
{
    (void)rule;
    (void)because_of;
    (void)why;
    ++*(int *)owner;
}

/* Rules that differ in options are not the same, and a deny with options covers no rule. */
static void test_idle(void)
{
    static const struct acl_rule_spec same[] = {
        RULE("a", true, GET, "log", &from), RULE("b", true, GET, "log", &whole),
        RULE("c", false, GET, "#", &blocks), RULE("d", true, GET, "log", NULL)};
    struct acl_problem problem;
    int idle = 0;
    struct acl *acl = acl_compile(same, 4, NULL, 0, &problem);
    CU_ASSERT_PTR_NOT_NULL_FATAL(acl);
    acl_idle_rules(acl, count_idle, &idle);
    CU_ASSERT_EQUAL(idle, 0);
    acl_destroy(acl);
}

static void test_refused(void)
{
    static const struct acl_options bad = {.queries_n = 1, .queries = {"[a"}};
    static const struct acl_options many = {.queries_n = ACL_QUERIES_MAX + 1};
    struct acl_rule_spec rule = RULE("r", true, GET, "t", &bad);
    struct acl_problem problem;
    CU_ASSERT_FALSE(acl_rule_check(&rule, NULL, 0, &problem));
    CU_ASSERT_STRING_EQUAL(problem.text, "a query is not a glob");
    rule.options = &many;
    CU_ASSERT_FALSE(acl_rule_check(&rule, NULL, 0, &problem));
    rule.options = &from;
    CU_ASSERT_TRUE(acl_rule_check(&rule, NULL, 0, &problem));
    rule.actions = 1 << ACL_PUBLISH;
    CU_ASSERT_FALSE(acl_rule_check(&rule, NULL, 0, &problem));
    CU_ASSERT_STRING_EQUAL(problem.text, "query, format and block are of CoAP");
}

int main(void)
{
    static const struct unit_test tests[] = {{"conditions", test_conditions},
                                             {"rules", test_rules},
                                             {"idle rules", test_idle},
                                             {"refused", test_refused}};
    return unit_run("acl_options", tests, sizeof(tests) / sizeof(tests[0]));
}
