/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * acl.h against its reference, over random policies, topics and filters from a small alphabet, so that rules
 * meet: '$' topics, empty levels, variables whole and within a level, unset and unsafe values (D4, D5).
 */
#include "policy/access/acl.h"

#include "policy/access/topic.h"
#include "tests/unit/runner.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define POLICIES 4000
#define QUESTIONS 40
#define RULES_MAX 12
#define TEXT_MAX 96

static const char *const variables[] = {"v", "w", "unset"};
static const char *const rule_levels[] = {"a",        "b",          "",      "$s",       "ab",    "+",
                                          "+",        "${v}",       "${w}",  "x${v}",    "${v}y", "x${v}y",
                                          "${v}${w}", "x${w}-${v}", "$${v}", "${unset}", "#"};
static const char *const name_levels[] = {"a",   "b",   "",    "$s",    "ab", "xa", "ay",
                                          "xay", "xab", "aab", "xab-a", "$a", "x",  "q"};
static const char *const wild_levels[] = {"+", "+", "#"};
static const char *const values[] = {"a", "b", "ab", "q", "", "+", "#", "a/b", "$s"};

static uint64_t state;

static uint32_t pick(uint32_t n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((state >> 33) % n);
}

static void append(char *out, const char *level, bool first)
{
    size_t used = strlen(out), len = strlen(level);
    if (used + len + 2 > TEXT_MAX)
        return;
    if (!first)
        out[used++] = '/';
    memcpy(out + used, level, len + 1);
}

static void random_rule_topic(char *out)
{
    uint32_t levels = 1 + pick(4);
    out[0] = 0;
    for (uint32_t i = 0; i < levels; i++) {
        const char *level = rule_levels[pick(COUNT(rule_levels))];
        if (level[0] == '#' && i + 1 < levels)
            level = "a";
        append(out, level, i == 0);
    }
    if (out[0] == 0)
        snprintf(out, TEXT_MAX, "a");
}

static void random_topic(char *out, bool filter)
{
    uint32_t levels = 1 + pick(5);
    out[0] = 0;
    for (uint32_t i = 0; i < levels; i++) {
        const char *level = name_levels[pick(COUNT(name_levels))];
        if (filter && pick(3) == 0)
            level = wild_levels[pick(COUNT(wild_levels))];
        if (level[0] == '#' && i + 1 < levels)
            level = "+";
        append(out, level, i == 0);
    }
    if (out[0] == 0)
        snprintf(out, TEXT_MAX, "/");
}

/* A topic that the filter matches, if its first level allows. */
static void random_instance(char *out, const char *filter)
{
    out[0] = 0;
    bool first = true;
    for (const char *level = filter; level != NULL; first = false) {
        const char *slash = strchr(level, '/');
        size_t len = slash == NULL ? strlen(level) : (size_t)(slash - level);
        char literal[TEXT_MAX];
        snprintf(literal, sizeof(literal), "%.*s", (int)len, level);
        uint32_t copies = literal[0] == '#' ? pick(4) : 1;
        for (uint32_t i = 0; i < copies; i++)
            append(out,
                   literal[0] == '#' || literal[0] == '+' ? name_levels[pick(COUNT(name_levels))] : literal,
                   first && i == 0);
        level = slash == NULL ? NULL : slash + 1;
    }
}

struct policy {
    struct acl_rule_spec rules[RULES_MAX];
    char topic[RULES_MAX][TEXT_MAX];
    char id[RULES_MAX][16];
    uint32_t n;
};

static void random_policy(struct policy *p)
{
    p->n = 1 + pick(RULES_MAX);
    for (uint32_t i = 0; i < p->n; i++) {
        bool allow = pick(3) > 0;
        random_rule_topic(p->topic[i]);
        snprintf(p->id[i], sizeof(p->id[i]), "r%u", i);
        p->rules[i] = (struct acl_rule_spec){
            .id = p->id[i],
            .allow = allow,
            .actions = (uint16_t)(1 + pick(3)),
            .topic = p->topic[i],
            .qos_mask = (uint8_t)(pick(4) == 0 ? pick(8) : 0),
            .retain = (int8_t)((int)pick(3) - 1),
            .will = (int8_t)((int)pick(3) - 1),
            .enforce = !allow && pick(4) == 0,
            .payload = allow && pick(4) == 0 ? (enum acl_payload)pick(3) : ACL_PAYLOAD_ANY,
            .payload_max = allow && pick(4) == 0 ? 10 : 0,
        };
    }
}

static struct acl_values random_values(void)
{
    struct acl_values v = {0};
    for (uint32_t i = 0; i < 2; i++)
        v.value[i] = bytes_of_text(values[pick(pick(3) == 0 ? COUNT(values) : 4)]);
    return v;
}

static struct acl_request random_request(const char *topic)
{
    return (struct acl_request){
        .action = pick(2) == 0 ? ACL_PUBLISH : ACL_SUBSCRIBE,
        .topic = bytes_of_text(topic),
        .qos = (uint8_t)pick(3),
        .retain = pick(2) == 0,
        .will = pick(4) == 0,
        .payload_bytes = pick(20),
    };
}

struct tally {
    uint32_t by_outcome[OUTCOME_COUNT];
    uint32_t wrong;
};

static void complain(struct tally *tally, const struct policy *p, const struct acl_request *request,
                     const char *what, enum outcome compiled, enum outcome reference)
{
    if (tally->wrong++ > 3)
        return;
    fprintf(stderr, "%s: action %d of '%.*s' qos %u: compiled %s, reference %s\n", what, (int)request->action,
            (int)request->topic.len, (const char *)request->topic.at, request->qos, outcome_id(compiled),
            outcome_id(reference));
    for (uint32_t i = 0; i < p->n; i++)
        fprintf(stderr, "  %s %x '%s'\n", p->rules[i].allow ? "allow" : "deny", p->rules[i].actions,
                p->rules[i].topic);
}

static void names_agree(struct tally *tally, const struct policy *p, const struct acl *acl)
{
    for (uint32_t i = 0; i < QUESTIONS; i++) {
        char topic[TEXT_MAX];
        random_topic(topic, false);
        struct acl_values v = random_values();
        struct acl_request request = random_request(topic);
        struct acl_decision a = acl_decide(acl, &v, &request), b = acl_decide_reference(acl, &v, &request);
        tally->by_outcome[a.outcome]++;
        if (a.outcome != b.outcome || a.rule != b.rule || a.payload != b.payload)
            complain(tally, p, &request, "name", a.outcome, b.outcome);
    }
}

/* Whether the rule that a refusal names does meet the filter. */
static bool names_a_reason(const struct policy *p, const struct acl *acl, const struct acl_values *v,
                           const struct acl_request *request, uint32_t rule)
{
    struct acl_rule_spec both[2] = {p->rules[rule], {0}};
    struct acl_problem problem;
    both[1] = (struct acl_rule_spec){
        .id = "all", .allow = true, .actions = 3, .topic = "#", .retain = 1, .will = 1};
    if (request->topic.at[0] == '$') /* "#" does not grant it: its first level does */
        return rule < acl_rules(acl);
    struct acl *alone = acl_compile(both, 2, variables, COUNT(variables), &problem);
    bool denied =
        alone != NULL && acl_decide_filter(alone, v, request, ACL_FILTER_COVER).outcome == OUTCOME_RULE_DENY;
    acl_destroy(alone);
    return denied;
}

static void filters_agree(struct tally *tally, const struct policy *p, const struct acl *acl)
{
    for (uint32_t i = 0; i < QUESTIONS; i++) {
        char topic[TEXT_MAX];
        enum acl_filter_mode mode = (enum acl_filter_mode)pick(3);
        random_topic(topic, true);
        struct acl_values v = random_values();
        struct acl_request request = random_request(topic);
        struct acl_decision a = acl_decide_filter(acl, &v, &request, mode);
        struct acl_decision b = acl_decide_filter_reference(acl, &v, &request, mode);
        tally->by_outcome[a.outcome]++;
        bool agree = a.outcome == b.outcome;
        if (agree && a.outcome == OUTCOME_RULE_DENY && mode == ACL_FILTER_COVER)
            agree = !p->rules[a.rule].allow && p->rules[a.rule].enforce == p->rules[b.rule].enforce &&
                    names_a_reason(p, acl, &v, &request, a.rule);
        if (!agree)
            complain(tally, p, &request, mode == ACL_FILTER_TRIM ? "trim" : "filter", a.outcome, b.outcome);
    }
}

static void random_policies(void)
{
    static struct policy p;
    struct tally tally = {0};
    for (uint32_t i = 0; i < POLICIES; i++) {
        struct acl_problem problem;
        state = i + 1;
        random_policy(&p);
        struct acl *acl = acl_compile(p.rules, p.n, variables, COUNT(variables), &problem);
        if (acl == NULL) {
            fprintf(stderr, "rule %u: %s\n", problem.rule, problem.text);
            tally.wrong++;
            continue;
        }
        names_agree(&tally, &p, acl);
        filters_agree(&tally, &p, acl);
        acl_destroy(acl);
    }
    CU_ASSERT_EQUAL(tally.wrong, 0);
    /* The questions were no formality: each outcome came often. */
    static const enum outcome outcomes[] = {OUTCOME_ALLOWED,       OUTCOME_DEFAULT_DENY,
                                            OUTCOME_RULE_DENY,     OUTCOME_QOS_CAP,
                                            OUTCOME_RETAIN_DENIED, OUTCOME_PAYLOAD_TOO_LARGE};
    for (size_t i = 0; i < COUNT(outcomes); i++)
        CU_ASSERT_TRUE(tally.by_outcome[outcomes[i]] > 500);
}

/* The point of containment: nothing that an accepted filter brings would have been refused by itself. */
static void accepted_filters_are_sound(void)
{
    static struct policy p;
    uint32_t wrong = 0, accepted = 0, delivered = 0;
    for (uint32_t i = 0; i < POLICIES; i++) {
        struct acl_problem problem;
        state = i + 77;
        random_policy(&p);
        struct acl *acl = acl_compile(p.rules, p.n, variables, COUNT(variables), &problem);
        struct acl_values v = random_values();
        for (uint32_t k = 0; acl != NULL && k < QUESTIONS; k++) {
            char filter[TEXT_MAX], topic[TEXT_MAX];
            random_topic(filter, true);
            struct acl_request request = {.action = ACL_SUBSCRIBE, .topic = bytes_of_text(filter)};
            if (acl_decide_filter(acl, &v, &request, ACL_FILTER_COVER).outcome != OUTCOME_ALLOWED)
                continue;
            accepted++;
            for (uint32_t m = 0; m < 60; m++) {
                random_instance(topic, filter);
                request.topic = bytes_of_text(topic);
                if (!topic_matches(bytes_of_text(filter), request.topic))
                    continue;
                delivered++;
                wrong += acl_decide(acl, &v, &request).outcome != OUTCOME_ALLOWED;
            }
        }
        acl_destroy(acl);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_TRUE(accepted > 5000);
    CU_ASSERT_TRUE(delivered > 100000);
}

/* ---- what -t says of rules ---------------------------------------------------------------------------- */

static void note_covered(void *owner, uint32_t rule, uint32_t by)
{
    (void)by;
    ((bool *)owner)[rule] = true;
}

static void note_idle(void *owner, uint32_t rule, uint32_t by, enum acl_idle why)
{
    (void)why;
    note_covered(owner, rule, by);
}

/* Rules that are told to decide or change nothing are taken out, all at once: every answer stays. */
static void idle_rules_change_nothing(void)
{
    static struct policy p;
    uint32_t wrong = 0, idle = 0, covered = 0;
    for (uint32_t i = 0; i < POLICIES; i++) {
        struct acl_problem problem;
        struct acl_rule_spec left[RULES_MAX];
        bool told[2][RULES_MAX] = {{false}};
        uint32_t n = 0;
        state = i + 154;
        random_policy(&p);
        struct acl *acl = acl_compile(p.rules, p.n, variables, COUNT(variables), &problem);
        if (acl == NULL)
            continue;
        acl_idle_rules(acl, note_idle, told[0]);
        acl_covered_rules(acl, note_covered, told[1]);
        for (uint32_t k = 0; k < p.n; k++) {
            idle += told[0][k];
            covered += told[1][k];
            if (!told[0][k] && !told[1][k])
                left[n++] = p.rules[k];
        }
        struct acl *less = n == p.n ? NULL : acl_compile(left, n, variables, COUNT(variables), &problem);
        for (uint32_t k = 0; less != NULL && k < QUESTIONS; k++) {
            char topic[TEXT_MAX];
            bool filter = pick(2) == 0;
            random_topic(topic, filter);
            struct acl_values v = random_values();
            struct acl_request request = random_request(topic);
            request.action = filter ? ACL_SUBSCRIBE : request.action;
            struct acl_decision a = filter ? acl_decide_filter(acl, &v, &request, ACL_FILTER_COVER)
                                           : acl_decide(acl, &v, &request);
            struct acl_decision b = filter ? acl_decide_filter(less, &v, &request, ACL_FILTER_COVER)
                                           : acl_decide(less, &v, &request);
            if ((a.outcome == OUTCOME_ALLOWED) == (b.outcome == OUTCOME_ALLOWED))
                continue;
            if (wrong++ < 3)
                fprintf(stderr, "policy %u: %s differs for '%s'\n", i, filter ? "filter" : "name", topic);
        }
        acl_destroy(less);
        acl_destroy(acl);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_TRUE(idle > 50);
    CU_ASSERT_TRUE(covered > 300);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"compiled and reference agree on random policies", random_policies},
        {"what an accepted filter brings is allowed (D5)", accepted_filters_are_sound},
        {"rules that never decide, or change nothing, can go (G1)", idle_rules_change_nothing},
    };
    return unit_run("acl_property", tests, COUNT(tests));
}
