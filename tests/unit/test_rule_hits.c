/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rule_hits.h: counters of workers, added up, and carried from one policy to the next (H1). */
#include "gateway/rule_hits.h"

#include "tests/unit/relay_lab.h"
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
    rule_hits_count(hits, 15, office, 2); /* one beyond the last */
    rule_hits_count(hits, 15, truck, UINT32_MAX - 1);
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

static struct relay_lab lab;

static uint64_t sum_of(const struct generation *generation, uint32_t role, uint32_t rule)
{
    return rule_hits_sum(generation->hits, snapshot_role(generation->policy, role), rule);
}

/* What a session asks is counted for its own rules: also when the next one's SUBSCRIBE is refused before
 * anything is judged. */
static void of_sessions(void)
{
    static const char *const filters[] = {"trucks/+/location", "news/#", NULL};
    struct policy_role_spec roles[] = {truck_role(), office_role()};
    lab_open(&lab, roles, 2);
    struct generation *generation = (struct generation *)(uintptr_t)lab.generation;
    generation->hits = rule_hits_create(generation->policy, 1);
    struct lab_session truck = lab_session(&lab, MQTT_5, "truck-017"),
                       app = lab_session(&lab, MQTT_5, "app-1");
    struct mqtt_packet p = lab_publish(MQTT_5, "trucks/017/location", 0, 0);
    lab_send(truck.device, &p);
    lab_send(truck.device, &p);
    p = lab_subscribe(MQTT_5, MQTT_SUBSCRIBE, 1, 0, filters);
    lab_send(app.device, &p);
    CU_ASSERT_EQUAL(sum_of(generation, 0, 0), 2);
    CU_ASSERT_EQUAL(sum_of(generation, 1, 0), 1);
    CU_ASSERT_EQUAL(sum_of(generation, 1, 1), 1);
    uint8_t properties[17 * 7];
    static const uint8_t property[7] = {0x26, 0, 1, 'a', 0, 1, 'b'};
    for (size_t i = 0; i < 17; i++)
        memcpy(properties + i * sizeof(property), property, sizeof(property));
    uint8_t bytes[256] = {0x82};
    size_t n = 2;
    static const uint8_t head[] = {0, 2, sizeof(properties)}, tail[] = {0, 1, 'x', 0};
    memcpy(bytes + n, head, sizeof(head));
    n += sizeof(head);
    memcpy(bytes + n, properties, sizeof(properties));
    n += sizeof(properties);
    memcpy(bytes + n, tail, sizeof(tail));
    n += sizeof(tail);
    bytes[1] = (uint8_t)(n - 2);
    lab_feed(truck.device, bytes, n);
    lab_flush(&lab);
    CU_ASSERT_TRUE(truck.device->finished);
    CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->from_device[OUTCOME_PROPERTY_CAP], 1);
    CU_ASSERT_EQUAL(sum_of(generation, 0, 0), 2);
    CU_ASSERT_EQUAL(sum_of(generation, 0, 1), 0);
    CU_ASSERT_EQUAL(sum_of(generation, 1, 0), 1);
    rule_hits_destroy(generation->hits);
    generation->hits = NULL;
    lab_close(&lab);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"counted by worker, added up (H1)", counted},
        {"of sessions", of_sessions},
        {"carried over a reload, and back (H1, G2)", followed},
    };
    return unit_run("rule_hits", tests, sizeof(tests) / sizeof(tests[0]));
}
