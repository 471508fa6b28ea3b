/* SPDX-License-Identifier: GPL-2.0-or-later */
/* acl.h: rules of a role, and what they decide (D4, D5, D7, D8; traps 1.2 and the ACL rows of part 2). */
#include "tests/unit/acl_lab.h"

static const char *const fleet[] = {
    "+p trucks/${serial}/location",
    "+p trucks/${serial}/status",
    "+s trucks/${serial}/cmd/+",
    "+p log/#",
    "-p log/secret/#",
    "+ps dev-${client_id}-x/#",
    "+p ${user}/in",
    "+p +/any",
    "+s news/+/de",
};

static void names(void)
{
    static const struct {
        const char *what;
        enum acl_action action;
        const char *topic;
        enum outcome outcome;
        uint32_t rule;
    } t[] = {
        {"own topic", ACL_PUBLISH, "trucks/017/location", OUTCOME_ALLOWED, 0},
        {"another's topic (I1)", ACL_PUBLISH, "trucks/018/location", OUTCOME_DEFAULT_DENY, ACL_RULE_NONE},
        {"only as written", ACL_PUBLISH, "trucks/017/location/x", OUTCOME_DEFAULT_DENY, ACL_RULE_NONE},
        {"only as written", ACL_PUBLISH, "trucks/017", OUTCOME_DEFAULT_DENY, ACL_RULE_NONE},
        {"only as written", ACL_PUBLISH, "trucks/017/locatio", OUTCOME_DEFAULT_DENY, ACL_RULE_NONE},
        {"only as written", ACL_PUBLISH, "trucks/017/Location", OUTCOME_DEFAULT_DENY, ACL_RULE_NONE},
        {"actions are apart", ACL_SUBSCRIBE, "trucks/017/location", OUTCOME_DEFAULT_DENY, ACL_RULE_NONE},
        {"delivery", ACL_SUBSCRIBE, "trucks/017/cmd/stop", OUTCOME_ALLOWED, 2},
        {"'#' and below", ACL_PUBLISH, "log/a/b", OUTCOME_ALLOWED, 3},
        {"'#' and its parent (s.4.7.1.2)", ACL_PUBLISH, "log", OUTCOME_ALLOWED, 3},
        {"deny beats allow", ACL_PUBLISH, "log/secret/x", OUTCOME_RULE_DENY, 4},
        {"deny '#' and its parent", ACL_PUBLISH, "log/secret", OUTCOME_RULE_DENY, 4},
        {"not beside it", ACL_PUBLISH, "log/secrets", OUTCOME_ALLOWED, 3},
        {"variable within a level", ACL_PUBLISH, "dev-truck-017-x/a", OUTCOME_ALLOWED, 5},
        {"variable within a level", ACL_PUBLISH, "dev-truck-017-x", OUTCOME_ALLOWED, 5},
        {"variable within a level", ACL_PUBLISH, "dev-truck-018-x/a", OUTCOME_DEFAULT_DENY, ACL_RULE_NONE},
        {"variable within a level", ACL_PUBLISH, "dev-truck-017-xx/a", OUTCOME_DEFAULT_DENY, ACL_RULE_NONE},
        {"variable within a level", ACL_PUBLISH, "dev-truck-017-/a", OUTCOME_DEFAULT_DENY, ACL_RULE_NONE},
        {"unset variable", ACL_PUBLISH, "/in", OUTCOME_DEFAULT_DENY, ACL_RULE_NONE},
        {"unset variable", ACL_PUBLISH, "${user}/in", OUTCOME_DEFAULT_DENY, ACL_RULE_NONE},
        {"'+' first", ACL_PUBLISH, "x/any", OUTCOME_ALLOWED, 7},
        {"'+' takes an empty level", ACL_PUBLISH, "/any", OUTCOME_ALLOWED, 7},
        {"'+' first, '$' topic (s.4.7.2)", ACL_PUBLISH, "$x/any", OUTCOME_DEFAULT_DENY, ACL_RULE_NONE},
        {"no topic at all", ACL_PUBLISH, "", OUTCOME_DEFAULT_DENY, ACL_RULE_NONE},
        {"vendor's prefix (traps 1.2)", ACL_PUBLISH, "$delayed/5/log/x", OUTCOME_DEFAULT_DENY, ACL_RULE_NONE},
        {"vendor's prefix (traps 1.2)", ACL_PUBLISH, "$share/g/log/x", OUTCOME_DEFAULT_DENY, ACL_RULE_NONE},
        {"vendor's internals", ACL_PUBLISH, "$MQTT/log", OUTCOME_DEFAULT_DENY, ACL_RULE_NONE},
        {"an action nobody grants", ACL_GET, "log/a", OUTCOME_DEFAULT_DENY, ACL_RULE_NONE},
    };
    struct acl *acl = compile_text(fleet, COUNT(fleet));
    struct acl_values values = truck();
    for (size_t i = 0; i < COUNT(t); i++) {
        struct acl_request request = asking(t[i].action, t[i].topic);
        struct acl_decision d = judge(acl, &values, &request);
        CU_ASSERT_EQUAL(d.outcome, t[i].outcome);
        CU_ASSERT_EQUAL(d.rule, t[i].rule);
    }
    acl_destroy(acl);
}

/* Traps 1.2: an allow of '#' gives nothing that begins with '$'; a rule that says so does. */
static void dollar(void)
{
    static const char *const rules[] = {"+ps #", "+ps +/x", "+ps $own/#", "-ps $own/secret",
                                        "+s ${serial}/#"};
    static const struct {
        const char *topic;
        bool name, filter;
    } t[] = {
        {"a", true, true},        {"$SYS", false, false},
        {"$SYS/#", false, false}, {"$SYS/x", false, false},
        {"$own", true, true},     {"$own/x", true, true},
        {"$own/#", false, false}, {"$own/secret", false, false},
        {"$own/+", false, false}, {"$own/x/#", true, true},
        {"#", true, true},        {"+/#", true, true},
        {"$/x", false, false},    {"$own/secret/x", true, true},
        {"$ownx", false, false},
    };
    struct acl *acl = compile_text(rules, COUNT(rules));
    struct acl_values values = truck();
    for (size_t i = 0; i < COUNT(t); i++) {
        struct acl_request request = asking(ACL_SUBSCRIBE, t[i].topic);
        if (topic_name_valid(request.topic))
            CU_ASSERT_EQUAL(judge(acl, &values, &request).outcome == OUTCOME_ALLOWED, t[i].name);
        CU_ASSERT_EQUAL(judge_filter(acl, &values, &request, ACL_FILTER_COVER).outcome == OUTCOME_ALLOWED,
                        t[i].filter);
    }
    acl_destroy(acl);
    /* A client named "$SYS" does not open $SYS through "${client_id}/#", nor by a prefix "$". */
    static const char *const by_name[] = {"+ps ${client_id}/#", "+ps $${serial}/#"};
    acl = compile_text(by_name, COUNT(by_name));
    values.value[0] = bytes_of_text("$SYS");
    struct acl_request request = asking(ACL_SUBSCRIBE, "$SYS/x");
    CU_ASSERT_EQUAL(judge(acl, &values, &request).outcome, OUTCOME_DEFAULT_DENY);
    request = asking(ACL_SUBSCRIBE, "$SYS/#");
    CU_ASSERT_EQUAL(judge_filter(acl, &values, &request, ACL_FILTER_COVER).outcome, OUTCOME_DEFAULT_DENY);
    CU_ASSERT_EQUAL(judge_filter(acl, &values, &request, ACL_FILTER_TRIM).outcome, OUTCOME_DEFAULT_DENY);
    request = asking(ACL_SUBSCRIBE, "$017/x"); /* what the operator wrote */
    CU_ASSERT_EQUAL(judge(acl, &values, &request).outcome, OUTCOME_ALLOWED);
    request = asking(ACL_SUBSCRIBE, "+/x"); /* but no wildcard reaches it */
    CU_ASSERT_EQUAL(judge_filter(acl, &values, &request, ACL_FILTER_TRIM).outcome, OUTCOME_DEFAULT_DENY);
    acl_destroy(acl);
}

/* CVE-2017-7650 and its many heirs: what a client calls itself is never a pattern. */
static void unsafe_values(void)
{
    static const char *const rules[] = {"+ps c/${client_id}/x", "+ps d/p-${client_id}", "+ps ${client_id}"};
    static const char *const ids[] = {"#",         "+", "a/b",  "a#",   "+a",       ".*", "%c",
                                      "${serial}", "",  "a\nb", "\x7F", "\xC2\x85", "$a"};
    struct acl *acl = compile_text(rules, COUNT(rules));
    for (size_t i = 0; i < COUNT(ids); i++) {
        struct acl_values values = {0};
        values.value[0] = bytes_of_text(ids[i]);
        bool safe =
            strcmp(ids[i], ".*") == 0 || strcmp(ids[i], "%c") == 0 || strcmp(ids[i], "${serial}") == 0;
        char own[64];
        snprintf(own, sizeof(own), "c/%s/x", ids[i]);
        static const char *const others[] = {"c/victim/x", "c/a/x", "c/017/x", "d/p-victim", "victim"};
        for (size_t k = 0; k < COUNT(others); k++) {
            struct acl_request request = asking(ACL_PUBLISH, others[k]);
            CU_ASSERT_EQUAL(judge(acl, &values, &request).outcome, OUTCOME_DEFAULT_DENY);
        }
        struct acl_request request = asking(ACL_PUBLISH, own);
        bool allowed = judge(acl, &values, &request).outcome == OUTCOME_ALLOWED;
        /* "${serial}" begins with '$'. */
        CU_ASSERT_EQUAL(allowed, safe && ids[i][0] != '$');
        static const char *const filters[] = {"c/#", "c/+/x", "#", "c/a/b/x", "+"};
        for (size_t k = 0; k < COUNT(filters); k++) {
            request = asking(ACL_SUBSCRIBE, filters[k]);
            CU_ASSERT_EQUAL(judge_filter(acl, &values, &request, ACL_FILTER_COVER).outcome,
                            OUTCOME_DEFAULT_DENY);
        }
    }
    acl_destroy(acl);
}

static void conditions(void)
{
    struct acl_rule_spec rules[] = {
        rule_of(true, P, "q/01"),    rule_of(true, P, "r/no"),    rule_of(true, P, "w/yes"),
        rule_of(true, P, "m/10"),    rule_of(true, P, "deny/r"),  rule_of(false, P, "deny/r"),
        rule_of(true, P, "deny/w"),  rule_of(false, P, "deny/w"), rule_of(true, P, "deny/q"),
        rule_of(false, P, "deny/q"), rule_of(true, S, "s/1"),     rule_of(true, P, "two/x"),
        rule_of(true, P, "two/+"),   rule_of(true, P, "r/yes"),   rule_of(true, P, "both/x"),
    };
    rules[0].qos_mask = 3;
    rules[1].retain = 0;
    rules[2].will = 1;
    rules[3].payload_max = 10;
    rules[3].payload = ACL_PAYLOAD_JSON;
    rules[5].retain = 1;
    rules[6].will = 1;
    rules[7].will = 1;
    rules[9].qos_mask = 4;
    rules[10].qos_mask = 2;
    rules[11].payload = ACL_PAYLOAD_JSON;
    rules[11].qos_mask = 1;
    rules[12].payload = ACL_PAYLOAD_UTF8;
    rules[13].retain = 1;
    rules[14].qos_mask = 1;
    rules[14].retain = 0;
    rules[14].payload_max = 1;
    static const struct {
        const char *what, *topic;
        enum acl_action action;
        uint8_t qos;
        bool retain, will;
        uint32_t bytes;
        enum outcome outcome;
        uint32_t rule;
        enum acl_payload payload;
    } t[] = {
        {"QoS in the mask", "q/01", ACL_PUBLISH, 1, 0, 0, 0, OUTCOME_ALLOWED, 0, 0},
        {"QoS above (D8)", "q/01", ACL_PUBLISH, 2, 0, 0, 0, OUTCOME_QOS_CAP, 0, 0},
        {"QoS 3 is none", "q/01", ACL_PUBLISH, 3, 0, 0, 0, OUTCOME_QOS_CAP, 0, 0},
        {"not retained", "r/no", ACL_PUBLISH, 0, 0, 0, 0, OUTCOME_ALLOWED, 1, 0},
        {"retained", "r/no", ACL_PUBLISH, 0, 1, 0, 0, OUTCOME_RETAIN_DENIED, 1, 0},
        {"retained, said so", "r/yes", ACL_PUBLISH, 0, 1, 0, 0, OUTCOME_ALLOWED, 13, 0},
        {"retain said, not retained", "r/yes", ACL_PUBLISH, 0, 0, 0, 0, OUTCOME_ALLOWED, 13, 0},
        {"retained, not said", "q/01", ACL_PUBLISH, 0, 1, 0, 0, OUTCOME_ALLOWED, 0, 0},
        {"Will where said (D10)", "w/yes", ACL_PUBLISH, 0, 0, 1, 0, OUTCOME_ALLOWED, 2, 0},
        {"no Will is well too", "w/yes", ACL_PUBLISH, 0, 0, 0, 0, OUTCOME_ALLOWED, 2, 0},
        {"Will where not said (CVE-2026-95846)", "q/01", ACL_PUBLISH, 0, 0, 1, 0, OUTCOME_DEFAULT_DENY,
         ACL_RULE_NONE, 0},
        {"payload as asked", "m/10", ACL_PUBLISH, 0, 0, 0, 10, OUTCOME_ALLOWED, 3, ACL_PAYLOAD_JSON},
        {"payload too large", "m/10", ACL_PUBLISH, 0, 0, 0, 11, OUTCOME_PAYLOAD_TOO_LARGE, 3, 0},
        {"deny retained only", "deny/r", ACL_PUBLISH, 0, 0, 0, 0, OUTCOME_ALLOWED, 4, 0},
        {"deny retained only", "deny/r", ACL_PUBLISH, 0, 1, 0, 0, OUTCOME_RULE_DENY, 5, 0},
        {"deny Wills only", "deny/w", ACL_PUBLISH, 0, 0, 0, 0, OUTCOME_ALLOWED, 6, 0},
        {"deny Wills only", "deny/w", ACL_PUBLISH, 0, 0, 1, 0, OUTCOME_RULE_DENY, 7, 0},
        {"deny QoS 2 only", "deny/q", ACL_PUBLISH, 1, 0, 0, 0, OUTCOME_ALLOWED, 8, 0},
        {"deny QoS 2 only", "deny/q", ACL_PUBLISH, 2, 0, 0, 0, OUTCOME_RULE_DENY, 9, 0},
        {"QoS of a subscription is a bound", "s/1", ACL_SUBSCRIBE, 0, 0, 0, 0, OUTCOME_ALLOWED, 10, 0},
        {"QoS of a subscription is a bound", "s/1", ACL_SUBSCRIBE, 1, 0, 0, 0, OUTCOME_ALLOWED, 10, 0},
        {"QoS of a subscription is a bound", "s/1", ACL_SUBSCRIBE, 2, 0, 0, 0, OUTCOME_QOS_CAP, 10, 0},
        {"the least demanding allow", "two/x", ACL_PUBLISH, 0, 0, 0, 0, OUTCOME_ALLOWED, 12,
         ACL_PAYLOAD_UTF8},
        {"another allow helps", "two/x", ACL_PUBLISH, 2, 0, 0, 0, OUTCOME_ALLOWED, 12, ACL_PAYLOAD_UTF8},
        {"several fail: QoS first", "both/x", ACL_PUBLISH, 1, 1, 0, 2, OUTCOME_QOS_CAP, 14, 0},
        {"several fail: then retain", "both/x", ACL_PUBLISH, 0, 1, 0, 2, OUTCOME_RETAIN_DENIED, 14, 0},
    };
    struct acl *acl = compile(rules, COUNT(rules));
    for (size_t i = 0; i < COUNT(t); i++) {
        struct acl_request request = asking(t[i].action, t[i].topic);
        request.qos = t[i].qos;
        request.retain = t[i].retain;
        request.will = t[i].will;
        request.payload_bytes = t[i].bytes;
        struct acl_decision d = judge(acl, NULL, &request);
        if (d.outcome != t[i].outcome)
            fprintf(stderr, "%s: %s\n", t[i].what, outcome_id(d.outcome));
        CU_ASSERT_EQUAL(d.outcome, t[i].outcome);
        CU_ASSERT_EQUAL(d.rule, t[i].rule);
        if (d.outcome == OUTCOME_ALLOWED)
            CU_ASSERT_EQUAL(d.payload, t[i].payload);
    }
    CU_ASSERT_TRUE(acl_reads_payload(acl));
    struct acl_request request = asking(ACL_SUBSCRIBE, "s/1");
    request.qos = 2;
    CU_ASSERT_EQUAL(judge_filter(acl, NULL, &request, ACL_FILTER_COVER).outcome, OUTCOME_QOS_CAP);
    CU_ASSERT_EQUAL(judge_filter(acl, NULL, &request, ACL_FILTER_TRIM).outcome, OUTCOME_QOS_CAP);
    acl_destroy(acl);
}

/* In a role that observes, only a deny that is enforced refuses: it must be the one that is named. */
static void enforced(void)
{
    struct acl_rule_spec rules[] = {rule_of(true, S, "#"), rule_of(false, S, "a/+"), rule_of(false, S, "a/b"),
                                    rule_of(false, S, "a/c")};
    rules[2].enforce = true;
    struct acl *acl = compile(rules, COUNT(rules));
    struct acl_request request = asking(ACL_SUBSCRIBE, "a/b");
    CU_ASSERT_EQUAL(judge(acl, NULL, &request).rule, 2);
    CU_ASSERT_EQUAL(judge_filter(acl, NULL, &request, ACL_FILTER_COVER).rule, 2);
    request = asking(ACL_SUBSCRIBE, "a/#");
    CU_ASSERT_EQUAL(judge_filter(acl, NULL, &request, ACL_FILTER_COVER).rule, 2);
    request = asking(ACL_SUBSCRIBE, "a/c");
    CU_ASSERT_EQUAL(judge(acl, NULL, &request).rule, 1);
    CU_ASSERT_PTR_NULL(acl_rule_at(acl, COUNT(rules)));
    acl_destroy(acl);
    acl = compile(rules, 0);
    CU_ASSERT_EQUAL(judge(acl, NULL, &request).outcome, OUTCOME_DEFAULT_DENY);
    CU_ASSERT_EQUAL(judge_filter(acl, NULL, &request, ACL_FILTER_TRIM).outcome, OUTCOME_DEFAULT_DENY);
    acl_destroy(acl);
}

static void coap(void)
{
    const uint16_t get = 1U << ACL_GET | 1U << ACL_OBSERVE, post = 1U << ACL_POST;
    struct acl_rule_spec rules[] = {rule_of(true, get, "conf/${serial}"), rule_of(true, post, "t/#"),
                                    rule_of(true, get, "")};
    rules[2].id = "root";
    struct acl *acl = compile(rules, COUNT(rules));
    struct acl_values values = truck();
    static const struct {
        enum acl_action action;
        const char *path;
        bool allowed;
    } t[] = {
        {ACL_GET, "conf/017", true},   {ACL_OBSERVE, "conf/017", true}, {ACL_GET, "conf/018", false},
        {ACL_PUT, "conf/017", false},  {ACL_POST, "conf/017", false},   {ACL_POST, "t/a/b", true},
        {ACL_POST, "t", true},         {ACL_FETCH, "t", false},         {ACL_IPATCH, "t", false},
        {ACL_GET, "", true},           {ACL_POST, "", false},           {ACL_GET, "conf/+", false},
        {ACL_GET, "conf/#", false},    {ACL_PUBLISH, "t/a", false},     {ACL_GET, "conf/017/", false},
        {ACL_GET, "conf//017", false}, {ACL_GET, "/conf/017", false},   {ACL_ACTIONS, "t", false},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct acl_request request = asking(t[i].action, t[i].path);
        CU_ASSERT_EQUAL(judge(acl, &values, &request).outcome == OUTCOME_ALLOWED, t[i].allowed);
    }
    acl_destroy(acl);
}

static void refused_rules(void)
{
    static const struct {
        uint16_t actions;
        const char *topic, *says;
    } t[] = {
        {P, "a/#/b", "last level"},
        {P, "a#", "alone"},
        {P, "a/b+", "beside"},
        {P, "${serial}+", "beside"},
        {P, "${nobody}", "nobody"},
        {P, "a/${", "'${'"},
        {P, "a/${}", "'${'"},
        {P, "a/${serial", "'${'"},
        {P, "a/${se/rial}", "'${'"},
        {P, "", "empty"},
        {P, "a\nb", "control"},
        {0, "a", "action"},
        {1U << ACL_ACTIONS, "a", "action"},
        {S, "$share/g/a", "prefix"},
        {S, "$queue/a", "prefix"},
        {S, "$share/g", "prefix"},
        {P, NULL, "topic"},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct acl_rule_spec rules[] = {rule_of(true, P, "fine"), rule_of(true, t[i].actions, t[i].topic)};
        rules[1].id = "second";
        struct acl_problem problem = {0};
        CU_ASSERT_PTR_NULL(acl_compile(rules, 2, variables, COUNT(variables), &problem));
        CU_ASSERT_EQUAL(problem.rule, 1);
        CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, t[i].says));
    }
    struct acl_problem problem = {0};
    struct acl_rule_spec deny = rule_of(false, P, "a");
    deny.payload_max = 7;
    CU_ASSERT_PTR_NULL(acl_compile(&deny, 1, NULL, 0, &problem));
    static char deep[2 * (TOPIC_LEVELS_MAX + 1)];
    memset(deep, '/', TOPIC_LEVELS_MAX);
    struct acl_rule_spec rule = rule_of(true, P, deep);
    CU_ASSERT_PTR_NULL(acl_compile(&rule, 1, NULL, 0, &problem));
    CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "64 levels"));
    deep[TOPIC_LEVELS_MAX - 1] = 0;
    struct acl *acl = acl_compile(&rule, 1, NULL, 0, &problem);
    CU_ASSERT_PTR_NOT_NULL_FATAL(acl);
    struct acl_request request = asking(ACL_PUBLISH, deep);
    CU_ASSERT_EQUAL(judge(acl, NULL, &request).outcome, OUTCOME_ALLOWED);
    acl_destroy(acl);
}

/* Rows "Topic shape" and "CPU exhaustion" of traps part 2: CVE-2019-11779, CVE-2026-95844. */
static void deep_topics(void)
{
    static const char *const rules[] = {"+ps #", "+ps +/+/+/+/+/#", "-ps /////x"};
    static uint8_t slashes[65535];
    memset(slashes, '/', sizeof(slashes));
    struct acl *acl = compile_text(rules, COUNT(rules));
    for (size_t len = 1; len <= sizeof(slashes); len = len < 80 ? len + 1 : len * 2 - 1) {
        struct acl_request request = {.action = ACL_SUBSCRIBE, .topic = bytes_of(slashes, len)};
        enum outcome wanted = len < TOPIC_LEVELS_MAX ? OUTCOME_ALLOWED : OUTCOME_TOPIC_TOO_DEEP;
        CU_ASSERT_EQUAL(judge(acl, NULL, &request).outcome, wanted);
        CU_ASSERT_EQUAL(judge_filter(acl, NULL, &request, ACL_FILTER_COVER).outcome, wanted);
    }
    acl_destroy(acl);
}

/* CVE-2026-67419: wildcards that combine. All 2^k ways to write k levels as a literal or '+': each topic
 * leads to all of them. Few enough are served, more are refused when compiled, not when decided. */
static void combinatorial(void)
{
    enum { LEVELS = 12 };
    static char topic[1U << LEVELS][2 * LEVELS + 1];
    static struct acl_rule_spec rules[1U << LEVELS];
    for (uint32_t i = 0; i < 1U << LEVELS; i++) {
        for (uint32_t k = 0; k < LEVELS; k++) {
            topic[i][2 * k] = (i >> k & 1) != 0 ? '+' : 'a';
            topic[i][2 * k + 1] = k + 1 < LEVELS ? '/' : 0;
        }
        rules[i] = rule_of(true, P, topic[i]);
    }
    struct acl_problem problem = {0};
    CU_ASSERT_PTR_NULL(acl_compile(rules, 1U << LEVELS, NULL, 0, &problem));
    CU_ASSERT_NOT_EQUAL(problem.rule, ACL_RULE_NONE);
    CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "combine"));
    uint32_t fewer = 0;
    for (uint32_t i = 0; i < 1U << LEVELS; i++)
        if ((i & 15) == 0)
            rules[fewer++] = rule_of(true, P, topic[i]);
    struct acl *acl = compile(rules, fewer);
    struct acl_request request = asking(ACL_PUBLISH, topic[0]);
    CU_ASSERT_EQUAL(judge(acl, NULL, &request).outcome, OUTCOME_ALLOWED);
    acl_destroy(acl);
}

/* Literal children in numbers: every one is found, and nothing beside them. */
static void many_children(void)
{
    enum { N = 20000 };
    static char topic[N][48];
    static struct acl_rule_spec rules[N];
    for (uint32_t i = 0; i < N; i++) {
        snprintf(topic[i], sizeof(topic[i]), i % 3 == 0 ? "d/a-rather-long-name-of-a-device-%u/x" : "d/%u/x",
                 i);
        rules[i] = rule_of(true, P, topic[i]);
    }
    struct acl *acl = compile(rules, N);
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < N; i++) {
        char other[56];
        struct acl_request request = asking(ACL_PUBLISH, topic[i]);
        struct acl_decision d = acl_decide(acl, NULL, &request);
        wrong += d.outcome != OUTCOME_ALLOWED || d.rule != i;
        snprintf(other, sizeof(other), "d/%u/x", i + N);
        request = asking(ACL_PUBLISH, other);
        wrong += acl_decide(acl, NULL, &request).outcome != OUTCOME_DEFAULT_DENY;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(acl_rules(acl), N);
    CU_ASSERT_TRUE(acl_memory_bytes(acl) > N * sizeof(struct acl_rule));
    CU_ASSERT_STRING_EQUAL(acl_rule_at(acl, 7)->topic, topic[7]);
    CU_ASSERT_STRING_EQUAL(acl_rule_at(acl, 7)->file, "t.conf");
    acl_destroy(acl);
}

/* The order of rules changes neither the outcome nor which text decides. */
static void order(void)
{
    static const char *const topics[] = {"log/secret/x", "log/x", "trucks/017/location", "x/any", "$SYS/any"};
    struct acl *forward = compile_text(fleet, COUNT(fleet));
    const char *backward_rules[COUNT(fleet)];
    for (size_t i = 0; i < COUNT(fleet); i++)
        backward_rules[i] = fleet[COUNT(fleet) - 1 - i];
    struct acl *backward = compile_text(backward_rules, COUNT(fleet));
    struct acl_values values = truck();
    for (size_t i = 0; i < COUNT(topics); i++) {
        struct acl_request request = asking(ACL_PUBLISH, topics[i]);
        struct acl_decision a = judge(forward, &values, &request), b = judge(backward, &values, &request);
        CU_ASSERT_EQUAL(a.outcome, b.outcome);
        CU_ASSERT_EQUAL(a.rule == ACL_RULE_NONE, b.rule == ACL_RULE_NONE);
        if (a.rule != ACL_RULE_NONE)
            CU_ASSERT_STRING_EQUAL(acl_rule_at(forward, a.rule)->topic, acl_rule_at(backward, b.rule)->topic);
    }
    acl_destroy(forward);
    acl_destroy(backward);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"names (D4)", names},
        {"'$' topics (s.4.7.2)", dollar},
        {"values that are not names (CVE-2017-7650)", unsafe_values},
        {"conditions (D4, D8, D10)", conditions},
        {"denies that are enforced are named (G6)", enforced},
        {"CoAP paths (E2)", coap},
        {"rules that are refused (G1)", refused_rules},
        {"65535 slashes", deep_topics},
        {"wildcards that combine (CVE-2026-67419)", combinatorial},
        {"20,000 children", many_children},
        {"order does not matter (D4)", order},
    };
    return unit_run("acl", tests, COUNT(tests));
}
