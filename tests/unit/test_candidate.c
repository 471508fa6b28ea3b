/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A candidate beside the policy in force (G6): what differs, for both protocols, in bounded memory, and
 * without any effect on what passes. */
#include "gateway/candidate.h"

#include "tests/unit/coap_rig.h"
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"

static struct relay_lab lab;
static struct candidate *candidate;
static struct candidate_row rows[CANDIDATE_ROWS];
static struct candidate_client clients[CANDIDATE_CLIENTS];
static uint32_t rows_n, clients_n;

static void no_problem(void *owner, const struct policy_problem *problem)
{
    (void)owner;
    if (!problem->warning)
        CU_FAIL(problem->text);
}

/* Looks at the lab, or at the rig. */
static void look(const struct snapshot *policy, struct gateway_config *config,
                 struct judged_observers *observers, const struct generation *const *generation,
                 const uint64_t *now_us, struct event_ring *events, uint32_t sample)
{
    struct generation *next = calloc(1, sizeof(*next));
    CU_ASSERT_PTR_NOT_NULL_FATAL(next);
    next->number = 99;
    next->config = config;
    next->policy = policy;
    candidate = candidate_create(next, 1, 64, sample);
    CU_ASSERT_PTR_NOT_NULL_FATAL(candidate);
    const struct candidate_place place = {.generation = generation, .now_us = now_us, .events = events};
    candidate_take(candidate->worker[0], &place);
    judged_set(observers, JUDGED_BY_CANDIDATE, candidate_see, candidate->worker[0]);
}

static void look_away(struct judged_observers *observers)
{
    judged_set(observers, JUDGED_BY_CANDIDATE, NULL, NULL);
    candidate->next->config = NULL; /* not its own here */
    candidate_destroy(candidate);
}

static void open_lab_with(const struct policy_role_spec *live, const struct policy_role_spec *next,
                          uint32_t sample)
{
    struct policy_role_spec now[] = {*live, office_role()}, then[] = {*next, office_role()};
    const struct policy_spec spec = {.roles = then, .roles_n = 2};
    lab_open(&lab, now, 2);
    struct snapshot *policy = snapshot_create(&spec, 99, no_problem, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(policy);
    look(policy, lab.config, &lab.judged, &lab.generation, &lab.now_us, lab.events, sample);
}

static void close_lab(void)
{
    look_away(&lab.judged);
    lab_close(&lab);
}

static const struct candidate_counts *collect(void)
{
    uint32_t at = 0;
    rows_n = candidate_rows(candidate->worker[0], &at, rows, CANDIDATE_ROWS);
    at = 0;
    clients_n = candidate_clients(candidate->worker[0], &at, clients, CANDIDATE_CLIENTS);
    return candidate_counts(candidate->worker[0]);
}

static void publish(struct lab_session *s, const char *topic, uint8_t qos, uint16_t id)
{
    struct mqtt_packet p = lab_publish(s->version, topic, qos, id);
    lab_send(s->device, &p);
}

static const char *rule_of(const struct snapshot *policy, const struct candidate_side *side)
{
    if (side->role == CANDIDATE_ROLE_NONE || side->rule == ACL_RULE_NONE)
        return "";
    return acl_rule_at(snapshot_role(policy, side->role)->acl, side->rule)->id;
}

/* The row of this difference, or a failure. */
static const struct candidate_row *row_is(enum judged_kind kind, enum candidate_state from,
                                          enum candidate_state to, const char *now, const char *then,
                                          uint64_t count)
{
    for (uint32_t i = 0; i < rows_n; i++)
        if (rows[i].kind == kind && rows[i].live.state == from && rows[i].next.state == to &&
            strcmp(rule_of(lab.generation->policy, &rows[i].live), now) == 0 &&
            strcmp(rule_of(candidate->next->policy, &rows[i].next), then) == 0) {
            CU_ASSERT_EQUAL(rows[i].count, count);
            return &rows[i];
        }
    CU_FAIL_FATAL("no such difference");
    return NULL;
}

static bool example_is(const struct candidate_example *example, const char *client, const char *topic)
{
    return strcmp(example->client, client) == 0 &&
           bytes_equal(bytes_of(example->topic, example->topic_len), bytes_of_text(topic));
}

/* ---- what differs -------------------------------------------------------------------------------------- */

static const struct acl_rule_spec other_rules[] = {
    RULE("new.location", PUBLISH_BIT, "trucks/${serial}/location"),
    {.id = "new.no",
     .file = "n.conf",
     .line = 7,
     .actions = PUBLISH_BIT,
     .topic = "trucks/+/json",
     .retain = -1,
     .will = -1},
    RULE("new.extra", PUBLISH_BIT, "trucks/${serial}/extra"),
    RULE("new.all", SUBSCRIBE_BIT, "trucks/${serial}/#"),
};

static struct policy_role_spec other_role(void)
{
    struct policy_role_spec role = truck_role();
    role.rules = other_rules;
    role.rules_n = sizeof(other_rules) / sizeof(other_rules[0]);
    return role;
}

/* Whatever passes and what the client is told is the same with and without. */
static void test_mqtt_differences(void)
{
    struct policy_role_spec live = truck_role(), next = other_role();
    static const char *const filters[] = {"trucks/017/cmd/+", "trucks/017/news", "#", NULL};
    open_lab_with(&live, &next, CANDIDATE_SAMPLE_ALL);
    struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
    publish(&s, "trucks/017/location", 0, 0); /* both allow */
    publish(&s, "trucks/018/location", 0, 0); /* neither does */
    CU_ASSERT_EQUAL(collect()->differ, 0);
    CU_ASSERT_EQUAL(collect()->judged, 4); /* with CONNECT and its terms */
    publish(&s, "trucks/017/extra", 0, 0);
    publish(&s, "trucks/017/extra", 0, 0);
    struct mqtt_packet p = lab_publish(MQTT_5, "trucks/017/json", 0, 0);
    p.publish.payload = bytes_of_text("{}");
    p.publish.payload_bytes = 2;
    lab_send(s.device, &p);
    p = lab_publish(MQTT_5, "trucks/017/status", 0, 0);
    p.publish.retain = true;
    lab_send(s.device, &p);
    p = lab_subscribe(MQTT_5, MQTT_SUBSCRIBE, 5, 1, filters);
    lab_send(s.device, &p);
    const struct candidate_counts *counts = collect();
    CU_ASSERT_EQUAL(counts->judged, 11);
    CU_ASSERT_EQUAL(counts->differ, 5);
    CU_ASSERT_EQUAL(rows_n, 4);
    const struct candidate_row *row =
        row_is(JUDGED_PUBLISH, CANDIDATE_DENY, CANDIDATE_ALLOW, "", "new.extra", 2);
    CU_ASSERT_TRUE(example_is(&row->example, "truck-017", "trucks/017/extra"));
    CU_ASSERT_EQUAL(candidate_clients_estimate(row->clients), 1);
    row = row_is(JUDGED_PUBLISH, CANDIDATE_ALLOW, CANDIDATE_DENY, "truck.json", "new.no", 1);
    CU_ASSERT_EQUAL(row->next.outcome, OUTCOME_RULE_DENY);
    row = row_is(JUDGED_PUBLISH, CANDIDATE_ALLOW, CANDIDATE_DENY, "truck.status", "", 1);
    CU_ASSERT_TRUE(row->example.retain);
    row = row_is(JUDGED_SUBSCRIBE, CANDIDATE_DENY, CANDIDATE_ALLOW, "", "new.all", 1);
    CU_ASSERT_TRUE(example_is(&row->example, "truck-017", "trucks/017/news"));
    CU_ASSERT_EQUAL(clients_n, 1);
    CU_ASSERT_EQUAL(clients[0].count, 5);
    p = lab_publish(MQTT_5, "trucks/017/cmd/go", 0, 0);
    lab_send(s.upstream, &p);
    p = lab_publish(MQTT_5, "trucks/017/news", 0, 0);
    lab_send(s.upstream, &p);
    collect();
    row_is(JUDGED_DELIVERY, CANDIDATE_DENY, CANDIDATE_ALLOW, "", "new.all", 1);
    close_lab();
}

static void test_events_are_folded(void)
{
    struct policy_role_spec live = truck_role(), next = other_role();
    open_lab_with(&live, &next, CANDIDATE_SAMPLE_ALL);
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    for (int i = 0; i < 100; i++)
        publish(&s, "trucks/017/extra", 0, 0);
    const struct event *event = lab_event_of(&lab, EVENT_CANDIDATE_DIFFERENCE);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    CU_ASSERT_STRING_EQUAL(event->identity, "truck-017");
    CU_ASSERT_STRING_EQUAL(event->role, "truck");
    CU_ASSERT_PTR_NOT_NULL(strstr(event->detail, "deny -> allow by rule new.extra, t.conf:"));
    CU_ASSERT_EQUAL(event->repeats, 0);
    CU_ASSERT_PTR_NULL(lab_event_of(&lab, EVENT_CANDIDATE_DIFFERENCE));
    lab.now_us += 61 * S; /* what went on is told after a minute */
    publish(&s, "trucks/017/extra", 0, 0);
    event = lab_event_of(&lab, EVENT_CANDIDATE_DIFFERENCE);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    CU_ASSERT_EQUAL(event->repeats, 99);
    close_lab();
}

/* G6: observe is a state of its own: what it would refuse passes, and is told. */
static void test_observe(void)
{
    struct policy_role_spec live = truck_role(), next = truck_role();
    next.mode = POLICY_OBSERVE;
    open_lab_with(&live, &next, CANDIDATE_SAMPLE_ALL);
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    publish(&s, "trucks/018/location", 0, 0);
    collect();
    row_is(JUDGED_PUBLISH, CANDIDATE_DENY, CANDIDATE_OBSERVE, "", "", 1);
    close_lab();
    open_lab_with(&next, &live, CANDIDATE_SAMPLE_ALL);
    s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    publish(&s, "trucks/018/location", 0, 0);
    collect();
    row_is(JUDGED_PUBLISH, CANDIDATE_OBSERVE, CANDIDATE_DENY, "", "", 1);
    close_lab();
    open_lab_with(&next, &next, CANDIDATE_SAMPLE_ALL);
    s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    publish(&s, "trucks/018/location", 0, 0);
    CU_ASSERT_EQUAL(collect()->differ, 0);
    close_lab();
}

/* Who may connect, and with which Will (C1, D10). */
static void test_connects(void)
{
    struct policy_role_spec live = truck_role(), next = truck_role();
    next.match.client_id = "truck-{serial:01[0-9]}";
    next.will = POLICY_WILL_REQUIRED;
    open_lab_with(&live, &next, CANDIDATE_SAMPLE_ALL);
    lab_session(&lab, MQTT_5, "truck-999"); /* no role then: of its Will nothing more is said */
    collect();
    CU_ASSERT_EQUAL(rows_n, 2);
    CU_ASSERT_EQUAL(row_is(JUDGED_CONNECT, CANDIDATE_ALLOW, CANDIDATE_DENY, "", "", 1)->next.outcome,
                    OUTCOME_NO_ROLE);
    lab_session(&lab, MQTT_5, "truck-011");
    collect();
    CU_ASSERT_EQUAL(rows_n, 3);
    struct mqtt_packet p = lab_connect(MQTT_5, "truck-012");
    p.connect.will = (struct mqtt_will){.present = true,
                                        .retain = true,
                                        .topic = bytes_of_text("trucks/012/status"),
                                        .payload = bytes_of_text("gone")};
    lab_send(lab_accept(&lab, 2), &p);
    CU_ASSERT_EQUAL(collect()->differ, 3);
    close_lab();
    open_lab_with(&next, &live, CANDIDATE_SAMPLE_ALL);
    p = lab_connect(MQTT_5, "truck-999");
    lab_send(lab_accept(&lab, 2), &p);
    collect();
    CU_ASSERT_EQUAL(rows_n, 1);
    CU_ASSERT_EQUAL(row_is(JUDGED_CONNECT, CANDIDATE_DENY, CANDIDATE_ALLOW, "", "", 1)->live.outcome,
                    OUTCOME_NO_ROLE);
    close_lab();
}

/* A payload that nobody has is not decided about; what one refuses for a rate and the other by a rule is
 * refused by both (D1, F2). */
static void test_not_comparable(void)
{
    struct policy_role_spec live = truck_role(), next = truck_role();
    static const struct acl_rule_spec json[] = {{.id = "new.json",
                                                 .file = "n.conf",
                                                 .line = 1,
                                                 .allow = true,
                                                 .actions = PUBLISH_BIT,
                                                 .topic = "trucks/${serial}/location",
                                                 .retain = -1,
                                                 .will = -1,
                                                 .payload = ACL_PAYLOAD_JSON}};
    next.rules = json;
    next.rules_n = 1;
    live.limits.rates.of[RATE_PUBLISHES][0] = (struct rate){.amount = 1, .period_us = S, .burst = 1};
    live.limits.rates.over = POLICY_DROP;
    open_lab_with(&live, &next, CANDIDATE_SAMPLE_ALL);
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    uint8_t head[] = {0x30, 0,   0,   19,  't', 'r', 'u', 'c', 'k', 's', '/', '0',
                      '1',  '7', '/', 'l', 'o', 'c', 'a', 't', 'i', 'o', 'n'};
    head[1] = sizeof(head) - 2 + 4;
    lab_feed(s.device, head, sizeof(head)); /* its payload is to come */
    const struct candidate_counts *counts = collect();
    CU_ASSERT_EQUAL(counts->undecided, 1);
    lab_feed(s.device, (const uint8_t *)"[1]\n", 4);
    publish(&s, "trucks/017/extra", 0, 0); /* over the rate */
    counts = collect();
    CU_ASSERT_EQUAL(counts->passed_over, 0);
    CU_ASSERT_EQUAL(counts->differ, 0);
    close_lab();
}

/* ---- limits ------------------------------------------------------------------------------------------- */

static struct rate rate_of(uint64_t amount)
{
    return (struct rate){.amount = amount, .period_us = S, .burst = amount};
}

/* The limit that decided in the candidate. */
static void limit_is(const struct candidate_row *row, const char *text)
{
    char limit[CANDIDATE_LIMIT_TEXT];
    CU_ASSERT_STRING_EQUAL(candidate_limit_text(row->next.limit, limit), text);
}

/* What each way to be over a rate would have done, by QoS (F2). */
static void test_rates(void)
{
    static const struct {
        enum policy_over_limit over;
        uint8_t qos;
        enum candidate_state state;
    } cases[] = {
        {POLICY_DELAY, 0, CANDIDATE_DELAY},    {POLICY_DELAY, 1, CANDIDATE_DELAY},
        {POLICY_DROP, 0, CANDIDATE_DENY},      {POLICY_DROP, 1, CANDIDATE_DELAY},
        {POLICY_QUOTA, 0, CANDIDATE_DENY},     {POLICY_QUOTA, 1, CANDIDATE_DENY},
        {POLICY_DISCONNECT, 0, CANDIDATE_END}, {POLICY_QUARANTINE, 1, CANDIDATE_END},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct policy_role_spec live = truck_role(), next = truck_role();
        live.inflight = next.inflight = 20;
        next.limits.rates.of[RATE_PUBLISHES][0] = rate_of(3);
        next.limits.rates.over = cases[i].over;
        next.limits.rates.quarantine_us = S;
        open_lab_with(&live, &next, CANDIDATE_SAMPLE_ALL);
        struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
        for (uint16_t k = 1; k <= 5; k++)
            publish(&s, "trucks/017/location", cases[i].qos, cases[i].qos == 0 ? 0 : k);
        collect();
        CU_ASSERT_EQUAL_FATAL(rows_n, 1);
        const struct candidate_row *row =
            row_is(JUDGED_PUBLISH, CANDIDATE_ALLOW, cases[i].state, "truck.location", "", 2);
        CU_ASSERT_EQUAL(row->next.outcome, OUTCOME_RATE_PUBLISHES);
        limit_is(row, "limits.publishes");
        lab.now_us += S; /* the bucket is full again */
        publish(&s, "trucks/017/location", 0, 0);
        CU_ASSERT_EQUAL(collect()->differ, 2);
        close_lab();
    }
}

/* A lower rate holds back what waited for a higher one too, and a higher one would not have. */
static void test_after_waiting(void)
{
    for (uint64_t amount = 1; amount <= 4; amount++) {
        struct policy_role_spec live = truck_role(), next = truck_role();
        live.limits.rates.of[RATE_PUBLISHES][0] = rate_of(2);
        next.limits.rates.of[RATE_PUBLISHES][0] = rate_of(amount);
        open_lab_with(&live, &next, CANDIDATE_SAMPLE_ALL);
        struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
        for (uint32_t k = 0; k < 3; k++)
            publish(&s, "trucks/017/location", 0, 0);
        lab_wait(&lab, S);
        collect();
        if (amount == 1) { /* the second did not wait, and would have; the third did, and would have too */
            CU_ASSERT_EQUAL_FATAL(rows_n, 1);
            CU_ASSERT_EQUAL(rows[0].count, 1);
            CU_ASSERT_TRUE(rows[0].live.state == CANDIDATE_ALLOW && rows[0].next.state == CANDIDATE_DELAY);
        } else if (amount == 2) {
            CU_ASSERT_EQUAL(rows_n, 0);
        } else {
            CU_ASSERT_EQUAL_FATAL(rows_n, 1);
            CU_ASSERT_TRUE(rows[0].live.state == CANDIDATE_DELAY && rows[0].next.state == CANDIDATE_ALLOW);
        }
        close_lab();
    }
}

/* The rate in force holds it back, the candidate's would not; the same rate in both is no difference. */
static void test_rates_of_both(void)
{
    for (int same = 0; same < 2; same++)
        for (int over = POLICY_DELAY; over <= POLICY_DISCONNECT; over++) {
            struct policy_role_spec live = truck_role(), next = truck_role();
            live.limits.rates.of[RATE_PUBLISHES][0] = rate_of(2);
            live.limits.rates.over = (enum policy_over_limit)over;
            if (same)
                next.limits.rates = live.limits.rates;
            open_lab_with(&live, &next, CANDIDATE_SAMPLE_ALL);
            struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
            for (uint32_t k = 0; k < 3; k++)
                publish(&s, "trucks/017/location", 0, 0);
            lab_wait(&lab, S);
            collect();
            enum candidate_state from = over == POLICY_DELAY        ? CANDIDATE_DELAY
                                        : over == POLICY_DISCONNECT ? CANDIDATE_END
                                                                    : CANDIDATE_DENY;
            CU_ASSERT_EQUAL_FATAL(rows_n, same ? 0 : 1);
            CU_ASSERT_TRUE(same || (rows[0].live.state == from && rows[0].next.state == CANDIDATE_ALLOW));
            close_lab();
        }
}

/* A SUBSCRIBE is one, however many filters it has, and is refused as one. */
static void test_rate_of_subscribes(void)
{
    static const char *const filters[] = {"trucks/017/cmd/+", "trucks/017/cmd/go", NULL};
    for (int same = 0; same < 2; same++) {
        struct policy_role_spec live = truck_role(), next = truck_role();
        next.limits.rates.of[RATE_SUBSCRIBES][0] = rate_of(2);
        next.limits.rates.over = POLICY_QUOTA;
        if (same)
            live.limits.rates = next.limits.rates;
        open_lab_with(&live, &next, CANDIDATE_SAMPLE_ALL);
        struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
        for (uint16_t k = 1; k <= 3; k++) {
            struct mqtt_packet p = lab_subscribe(MQTT_5, MQTT_SUBSCRIBE, k, 1, filters);
            lab_send(s.device, &p);
        }
        collect();
        CU_ASSERT_EQUAL_FATAL(rows_n, same ? 0 : 1);
        CU_ASSERT_TRUE(same || (rows[0].count == 2 && rows[0].next.state == CANDIDATE_DENY &&
                                rows[0].next.outcome == OUTCOME_RATE_SUBSCRIBES));
        close_lab();
    }
}

static void test_sizes_and_caps(void)
{
    struct policy_role_spec live = truck_role(), next = truck_role();
    next.limits.packet_bytes = 64;
    next.limits.subscriptions = 1;
    next.inflight = 1;
    next.law.over = POLICY_OVERRUN_DROP;
    open_lab_with(&live, &next, CANDIDATE_SAMPLE_ALL);
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    static const uint8_t long_one[80];
    struct mqtt_packet p = lab_publish(MQTT_3_1_1, "trucks/017/location", 0, 0);
    p.publish.payload = bytes_of(long_one, sizeof(long_one));
    p.publish.payload_bytes = sizeof(long_one);
    lab_send(s.device, &p);
    publish(&s, "trucks/017/location", 1, 1);
    publish(&s, "trucks/017/location", 1, 2); /* the first is not acknowledged yet */
    collect();
    CU_ASSERT_EQUAL_FATAL(rows_n, 2);
    const struct candidate_row *row =
        row_is(JUDGED_PUBLISH, CANDIDATE_ALLOW, CANDIDATE_END, "truck.location", "", 1);
    CU_ASSERT_EQUAL(row->next.outcome, OUTCOME_PACKET_TOO_LARGE);
    limit_is(row, "limits.packet");
    limit_is(row_is(JUDGED_PUBLISH, CANDIDATE_ALLOW, CANDIDATE_DENY, "truck.location", "", 1), "inflight");
    close_lab();
}

/* Nothing of the policy in force is touched: its own buckets are as full as without a candidate. */
static void test_totals_are_its_own(void)
{
    struct policy_role_spec live = truck_role(), next = truck_role();
    live.total.of[RATE_PUBLISHES][0] = next.total.of[RATE_PUBLISHES][0] = rate_of(4);
    live.total.over = next.total.over = POLICY_QUOTA;
    next.total.of[RATE_PUBLISHES][0] = rate_of(3);
    open_lab_with(&live, &next, CANDIDATE_SAMPLE_ALL);
    struct lab_session a = lab_session(&lab, MQTT_5, "truck-017"), b = lab_session(&lab, MQTT_5, "truck-018");
    for (uint16_t k = 0; k < 2; k++) {
        publish(&a, "trucks/017/location", 0, 0);
        publish(&b, "trucks/018/location", 0, 0);
    }
    collect();
    CU_ASSERT_EQUAL_FATAL(rows_n, 1);
    limit_is(row_is(JUDGED_PUBLISH, CANDIDATE_ALLOW, CANDIDATE_DENY, "truck.location", "", 1),
             "total.publishes");
    close_lab();
    open_lab_with(&live, &next, CANDIDATE_SAMPLE_ALL / 2); /* totals of a part are not totals */
    a = lab_session(&lab, MQTT_5, "truck-017");
    for (uint32_t k = 0; k < 4; k++)
        publish(&a, "trucks/017/location", 0, 0);
    CU_ASSERT_EQUAL(collect()->differ, 0);
    close_lab();
}

/* A client whose places are all taken by others begins with a full bucket, and that is counted. */
static void test_buckets_are_bounded(void)
{
    static struct gateway_config config;
    struct policy_role role = {.name = "truck"};
    struct candidate_limits limits;
    struct candidate_same same = {.known = 0};
    struct generation next = {.config = &config};
    static const struct identity nobody;
    const struct judged_subject who = {.session = 1, .identity = &nobody};
    const struct judged_action action = {.who = &who, .kind = JUDGED_PUBLISH};
    struct identity identity = {.role = &role};
    role.limits.rates.of[RATE_PUBLISHES][0] = rate_of(1);
    CU_ASSERT_TRUE_FATAL(candidate_limits_init(&limits, 64));
    for (uint32_t i = 0; i < 2000; i++) {
        const struct candidate_asked asked = {
            .next = &next, .identity = &identity, .action = &action, .same = &same, .now_us = i / 1000 + 1};
        identity.name_len = (uint8_t)snprintf(identity.name, sizeof(identity.name), "c%u", i % 1000);
        CU_ASSERT_EQUAL(candidate_limits_ask(&limits, &asked).state, CANDIDATE_ALLOW);
    }
    CU_ASSERT_TRUE(limits.displaced > 1900);
    const struct candidate_asked again = {
        .next = &next, .identity = &identity, .action = &action, .same = &same, .now_us = 2};
    CU_ASSERT_EQUAL(candidate_limits_ask(&limits, &again).state, CANDIDATE_DELAY);
    candidate_limits_fini(&limits);
}

/* ---- bounds ------------------------------------------------------------------------------------------- */

static void test_sample(void)
{
    struct policy_role_spec live = truck_role(), next = other_role();
    uint32_t in[3] = {0};
    static const uint32_t share[3] = {CANDIDATE_SAMPLE_ALL, CANDIDATE_SAMPLE_ALL / 2, 1};
    bool half[20] = {false};
    for (int round = 0; round < 3; round++) {
        open_lab_with(&live, &next, share[round]);
        for (uint32_t i = 0; i < 20; i++) {
            char name[16], topic[32];
            snprintf(name, sizeof(name), "truck-%03u", i);
            snprintf(topic, sizeof(topic), "trucks/%03u/extra", i);
            struct lab_session s = lab_session(&lab, MQTT_3_1_1, name);
            uint64_t before = collect()->differ;
            publish(&s, topic, 0, 0);
            publish(&s, topic, 0, 0);
            uint64_t seen = collect()->differ - before;
            CU_ASSERT_TRUE(seen == 0 || seen == 2); /* a client whole, or not at all */
            in[round] += seen != 0;
            half[i] |= round == 1 && seen != 0;
        }
        close_lab();
    }
    CU_ASSERT_EQUAL(in[0], 20);
    CU_ASSERT_TRUE(in[1] > 2 && in[1] < 18);
    CU_ASSERT_EQUAL(in[2], 0);
    open_lab_with(&live, &next, CANDIDATE_SAMPLE_ALL / 2); /* the same ones again */
    for (uint32_t i = 0; i < 20; i++) {
        char name[16], topic[32];
        snprintf(name, sizeof(name), "truck-%03u", i);
        snprintf(topic, sizeof(topic), "trucks/%03u/extra", i);
        struct lab_session s = lab_session(&lab, MQTT_3_1_1, name);
        uint64_t before = collect()->differ;
        publish(&s, topic, 0, 0);
        CU_ASSERT_EQUAL(collect()->differ != before, half[i]);
    }
    close_lab();
}

/* Above CANDIDATE_MOST in a window nothing more is judged, and the share is halved for the next. */
static void test_load(void)
{
    enum { SESSIONS = 2 * CANDIDATE_MOST / CANDIDATE_SESSION_MOST };
    static struct lab_session sessions[SESSIONS];
    struct policy_role_spec live = truck_role(), next = truck_role();
    open_lab_with(&live, &next, CANDIDATE_SAMPLE_ALL);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "truck-%03u", i);
        sessions[i] = lab_session(&lab, MQTT_3_1_1, name);
    }
    lab.now_us += CANDIDATE_WINDOW_US;
    uint64_t before = collect()->judged, passed = collect()->not_sampled;
    for (uint32_t i = 0; i < 2 * CANDIDATE_MOST; i++)
        publish(&sessions[i % SESSIONS], "trucks/999/location", 0, 0);
    const struct candidate_counts *counts = collect();
    CU_ASSERT_EQUAL(counts->judged - before, CANDIDATE_MOST);
    CU_ASSERT_EQUAL(counts->not_sampled - passed, CANDIDATE_MOST);
    CU_ASSERT_EQUAL(counts->halved, 1);
    for (int i = 0; i < 3; i++) { /* quiet again */
        lab.now_us += CANDIDATE_WINDOW_US;
        publish(&sessions[0], "trucks/999/location", 0, 0);
    }
    CU_ASSERT_EQUAL(collect()->halved, 0);
    close_lab();
}

/* One session that floods spends its own share of the window: what others do is judged, and none of them
 * falls out of the sample, so that nobody can hide what differs. */
static void test_flood_of_one(void)
{
    struct policy_role_spec live = truck_role(), next = other_role();
    open_lab_with(&live, &next, CANDIDATE_SAMPLE_ALL);
    struct lab_session flood = lab_session(&lab, MQTT_3_1_1, "truck-017");
    struct lab_session other = lab_session(&lab, MQTT_3_1_1, "truck-018");
    uint64_t before = collect()->judged;
    for (uint32_t i = 0; i < 2 * CANDIDATE_MOST; i++)
        publish(&flood, "trucks/999/location", 0, 0);
    CU_ASSERT_TRUE(collect()->judged - before <= CANDIDATE_SESSION_MOST);
    CU_ASSERT_EQUAL(collect()->halved, 0);
    CU_ASSERT_EQUAL(collect()->differ, 0);
    publish(&other, "trucks/018/extra", 0, 0);
    CU_ASSERT_EQUAL(collect()->differ, 1);
    lab.now_us += CANDIDATE_WINDOW_US;
    before = collect()->judged;
    publish(&flood, "trucks/999/location", 0, 0);
    CU_ASSERT_EQUAL(collect()->judged - before, 1);
    close_lab();
}

/* A table that is full counts and does not grow. */
static void test_tables_are_bounded(void)
{
    struct policy_role_spec live = truck_role(), next = truck_role();
    static struct acl_rule_spec many[400];
    static char topics[400][32], ids[400][16];
    for (uint32_t i = 0; i < 400; i++) {
        snprintf(topics[i], sizeof(topics[i]), "trucks/${serial}/x%u", i);
        snprintf(ids[i], sizeof(ids[i]), "new.%u", i);
        many[i] = (struct acl_rule_spec)RULE(ids[i], PUBLISH_BIT, topics[i]);
    }
    next.rules = many;
    next.rules_n = 400;
    open_lab_with(&live, &next, CANDIDATE_SAMPLE_ALL);
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    for (uint32_t i = 0; i < 400; i++) {
        char topic[32];
        snprintf(topic, sizeof(topic), "trucks/017/x%u", i);
        publish(&s, topic, 0, 0);
    }
    const struct candidate_counts *counts = collect();
    uint64_t in_rows = 0;
    for (uint32_t i = 0; i < rows_n; i++)
        in_rows += rows[i].count;
    CU_ASSERT_TRUE(rows_n > CANDIDATE_ROWS / 2 && rows_n <= CANDIDATE_ROWS);
    CU_ASSERT_TRUE(counts->left_out >= 400 - CANDIDATE_ROWS);
    CU_ASSERT_EQUAL(in_rows + counts->left_out, counts->differ);
    CU_ASSERT_EQUAL(counts->differ, 400);
    close_lab();
}

static void test_clients_estimate(void)
{
    static const uint32_t counts[] = {0, 1, 2, 10, 50, 100, 300, 500};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        uint64_t bits[CANDIDATE_CLIENT_WORDS] = {0}, hash = 88172645463325252u;
        for (uint32_t k = 0; k < counts[i]; k++) {
            hash ^= hash << 13;
            hash ^= hash >> 7;
            hash ^= hash << 17;
            bits[hash % 256 / 64] |= UINT64_C(1) << (hash % 64);
        }
        uint32_t n = candidate_clients_estimate(bits);
        CU_ASSERT_TRUE(n * 4 >= counts[i] * 3 && n * 3 <= counts[i] * 4);
    }
    static const uint64_t all[CANDIDATE_CLIENT_WORDS] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    CU_ASSERT_TRUE(candidate_clients_estimate(all) > 500);
}

/* ---- over reloads -------------------------------------------------------------------------------------- */

/* G2: what was counted against the policy before says nothing of the new one; the candidate stays. */
static void test_reload_of_the_live_policy(void)
{
    struct policy_role_spec live = truck_role(), next = other_role();
    open_lab_with(&live, &next, CANDIDATE_SAMPLE_ALL);
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    publish(&s, "trucks/017/extra", 0, 0);
    CU_ASSERT_EQUAL(collect()->differ, 1);
    struct policy_role_spec now[] = {other_role(), office_role()};
    lab_policy(&lab, now, 2);
    publish(&s, "trucks/017/extra", 0, 0); /* allowed by both now */
    CU_ASSERT_EQUAL(collect()->differ, 0);
    CU_ASSERT_EQUAL(collect()->judged, 1);
    CU_ASSERT_EQUAL(candidate_against(candidate->worker[0]), lab.generation->number);
    close_lab();
}

/* ---- CoAP --------------------------------------------------------------------------------------------- */

static void open_rig_with(const struct snapshot *next)
{
    open_rig();
    look(next, &rig.config, &rig.judged, &rig.current, &rig.now_us, rig.events, CANDIDATE_SAMPLE_ALL);
}

static void test_coap_differences(void)
{
    open_rig_with(policy(99, false)); /* may not observe */
    device_asks(0, &get);
    CU_ASSERT_EQUAL(collect()->differ, 0);
    struct request q = get;
    q.mid = 2;
    q.observe = 0;
    device_asks(0, &q);
    const struct candidate_counts *counts = collect();
    CU_ASSERT_EQUAL(counts->judged, 2);
    CU_ASSERT_EQUAL(rows_n, 1);
    CU_ASSERT_TRUE(rows[0].kind == JUDGED_REQUEST && rows[0].action == ACL_OBSERVE);
    CU_ASSERT_TRUE(rows[0].live.state == CANDIDATE_ALLOW && rows[0].next.state == CANDIDATE_DENY);
    CU_ASSERT_TRUE(example_is(&rows[0].example, "probe-1", "conf/probe-1"));
    look_away(&rig.judged);
    close_rig();
    /* Whoever has no role then. */
    policy_listener = "another";
    const struct snapshot *none = policy(99, true);
    policy_listener = NULL;
    open_rig_with(none);
    device_asks(0, &get);
    collect();
    CU_ASSERT_EQUAL(rows_n, 1);
    CU_ASSERT_TRUE(rows[0].live.state == CANDIDATE_ALLOW && rows[0].next.outcome == OUTCOME_NO_ROLE);
    CU_ASSERT_EQUAL(rig.sent_n, 1); /* and passes all the same */
    look_away(&rig.judged);
    close_rig();
}

/* The rig's policy with other limits, at the candidate. */
static const struct snapshot *limited(uint64_t requests, uint32_t exchanges)
{
    const struct acl_rule_spec rule = {.id = "own",
                                       .file = "f",
                                       .line = 1,
                                       .allow = true,
                                       .topic = "conf/${id}",
                                       .retain = -1,
                                       .will = -1,
                                       .actions = 1 << ACL_GET};
    const struct policy_role_spec role = {
        .name = "sensor",
        .file = "f",
        .line = 1,
        .match = {.any = true, .vlan = -1},
        .rules = &rule,
        .rules_n = 1,
        .max_qos = 2,
        .limits = {.exchanges = exchanges,
                   .rates.of[RATE_REQUESTS][0] = {.amount = requests, .period_us = S, .burst = requests}}};
    struct policy_device_spec device = {
        .id = "probe-1", .file = "f", .line = 2, .addresses_n = 1, .addresses = {{.bits = 128}}};
    struct ip_address address = ip_address_v4(DEVICE_IP);
    memcpy(device.addresses[0].address, address.bytes, 16);
    const struct policy_spec spec = {.roles = &role, .roles_n = 1, .devices = &device, .devices_n = 1};
    const struct snapshot *snapshot = snapshot_create(&spec, 99, no_problem, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
    return snapshot;
}

/* Requests over a rate of the candidate, and more at once than it takes (E5, F2). */
static void test_coap_limits(void)
{
    static const struct {
        uint64_t requests;
        uint32_t exchanges;
        enum outcome outcome;
        const char *limit;
    } cases[] = {{2, 64, OUTCOME_RATE_REQUESTS, "limits.requests"},
                 {90, 2, OUTCOME_EXCHANGE_CAP, "limits.exchanges"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_rig_with(limited(cases[i].requests, cases[i].exchanges));
        struct request q = get;
        for (uint16_t k = 1; k <= 3; k++) {
            q.mid = k;
            device_asks(0, &q);
        }
        collect();
        CU_ASSERT_EQUAL_FATAL(rows_n, 1);
        CU_ASSERT_TRUE(rows[0].count == 1 && rows[0].live.state == CANDIDATE_ALLOW &&
                       rows[0].next.state == CANDIDATE_DENY);
        CU_ASSERT_EQUAL(rows[0].next.outcome, cases[i].outcome);
        limit_is(&rows[0], cases[i].limit);
        look_away(&rig.judged);
        close_rig();
    }
}

static const struct unit_test tests[] = {
    {"MQTT: allow to deny and back, by rule and client (G6)", test_mqtt_differences},
    {"events are folded (H2)", test_events_are_folded},
    {"observe is a state of its own (G6)", test_observe},
    {"who may connect, and with which Will (C1, D10)", test_connects},
    {"what cannot be compared (F2)", test_not_comparable},
    {"rates: what would wait, be dropped, refused or end (F2)", test_rates},
    {"rates of both", test_rates_of_both},
    {"what has waited is judged as of when it came", test_after_waiting},
    {"a SUBSCRIBE counts once", test_rate_of_subscribes},
    {"sizes and caps (D8, D9)", test_sizes_and_caps},
    {"totals are its own (F3)", test_totals_are_its_own},
    {"buckets are bounded", test_buckets_are_bounded},
    {"a sample is by client, and the same each time", test_sample},
    {"under load less is judged", test_load},
    {"one that floods hides nobody", test_flood_of_one},
    {"tables are bounded", test_tables_are_bounded},
    {"about how many clients", test_clients_estimate},
    {"a reload of the policy in force (G2)", test_reload_of_the_live_policy},
    {"CoAP: methods, observing, roles (E2)", test_coap_differences},
    {"CoAP: rates and caps (E5, F2)", test_coap_limits},
};

int main(void)
{
    return unit_run("candidate", tests, sizeof(tests) / sizeof(tests[0]));
}
