/* SPDX-License-Identifier: GPL-2.0-or-later */
/* explain.h: the deciding rule, the nearest miss, what the client is told, and what stands in the way (H1).
 */
#include "gateway/explain.h"

#include "tests/unit/relay_roles.h"
#include "tests/unit/runner.h"

#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define GET_BIT (1u << ACL_GET)

static struct gateway_config config;
static struct generation generation;
static struct quarantine *quarantine;
static char said[4096];

static void note(void *owner, const struct policy_problem *problem)
{
    (void)owner;
    fprintf(stderr, "%s:%u: %s\n", problem->file, problem->line, problem->text);
}

static void open_policy(void)
{
    static const struct acl_rule_spec coap_rules[] = {
        RULE("sensor.conf", GET_BIT, "conf/${id}"),
        {.id = "sensor.no",
         .file = "t.conf",
         .line = 41,
         .actions = GET_BIT,
         .topic = "conf/secret",
         .retain = -1,
         .will = -1},
        RULE("sensor.all", GET_BIT, "conf/+"),
    };
    struct policy_role_spec roles[] = {
        truck_role(), office_role(), {.name = "sensor", .file = "t.conf", .line = 40}};
    roles[1].match.user = "office";
    roles[2].match = (struct policy_match){.vlan = 30, .listener = "coap"};
    roles[2].rules = coap_rules;
    roles[2].rules_n = COUNT(coap_rules);
    const struct policy_device_spec devices[] = {
        {.id = "truck-009", .quarantine = "stolen"},
        {.id = "truck-010", .has_mac = true, .mac = {2, 0, 0, 0, 0, 10}, .vlan = 21},
        {.id = "probe-1", .has_mac = true, .mac = {2, 0, 0, 0, 0, 11}},
    };
    const struct policy_spec spec = {
        .roles = roles, .roles_n = COUNT(roles), .devices = devices, .devices_n = COUNT(devices)};
    config = (struct gateway_config){.interfaces_n = 2, .listeners_n = 2};
    config.interfaces[0] = (struct config_interface){.name = "iot", .vlan = 20};
    config.interfaces[1] = (struct config_interface){.name = "hall", .vlan = 30};
    config.listeners[0] = (struct config_listener){.name = "mqtt", .interface = 0, .protocol = CONFIG_MQTT};
    config.listeners[1] = (struct config_listener){.name = "coap", .interface = 1, .protocol = CONFIG_COAP};
    generation =
        (struct generation){.number = 1, .config = &config, .policy = snapshot_create(&spec, 1, note, NULL)};
    CU_ASSERT_PTR_NOT_NULL_FATAL(generation.policy);
    struct quarantine *none = quarantine_create();
    quarantine = quarantine_with(
        none, &(struct quarantine_entry){.name = "truck-011", .reason = "INC-1", .by = "root"});
    quarantine_destroy(none);
}

static void close_policy(void)
{
    snapshot_destroy((struct snapshot *)(uintptr_t)generation.policy);
    quarantine_destroy(quarantine);
}

static void add(void *owner, const char *sentence)
{
    (void)owner;
    size_t used = strlen(said);
    snprintf(said + used, sizeof(said) - used, "%s\n", sentence);
}

static void questions(void)
{
    static const struct {
        const char *name;
        struct explain_question q;
        enum outcome outcome;
        const char *rule, *near; /* NULL: none */
        uint32_t near_level;
        const char *reason, *told, *edit; /* parts; NULL: nothing */
    } t[] = {
        {"allowed",
         {.client = "truck-017", .topic = "trucks/017/location", .qos = 1},
         OUTCOME_ALLOWED,
         "truck.location",
         NULL,
         0,
         NULL,
         NULL,
         NULL},
        {"another's topic",
         {.client = "truck-017", .topic = "trucks/018/location", .qos = 1},
         OUTCOME_DEFAULT_DENY,
         NULL,
         "truck.location",
         2,
         NULL,
         "PUBACK 0x87",
         "topic = \"trucks/018/location\""},
        {"QoS 0 is told nothing",
         {.client = "truck-017", .topic = "x"},
         OUTCOME_DEFAULT_DENY,
         NULL,
         "truck.location",
         1,
         NULL,
         "nothing: QoS 0",
         "differs at level 1"},
        {"above the role's QoS",
         {.client = "truck-017", .topic = "trucks/017/location", .qos = 2},
         OUTCOME_QOS_CAP,
         NULL,
         "truck.location",
         0,
         NULL,
         "PUBREC 0x9B",
         "max_qos = 2"},
        {"a wildcard in a name",
         {.client = "truck-017", .topic = "trucks/#"},
         OUTCOME_BAD_TOPIC,
         NULL,
         "truck.location",
         2,
         NULL,
         NULL,
         "another topic"},
        {"a subscription",
         {.client = "truck-017", .action = ACL_SUBSCRIBE, .topic = "$share/g/trucks/017/cmd/+"},
         OUTCOME_ALLOWED,
         "truck.cmd",
         NULL,
         0,
         NULL,
         NULL,
         NULL},
        {"a wider one",
         {.client = "truck-017", .action = ACL_SUBSCRIBE, .topic = "trucks/017/#"},
         OUTCOME_DEFAULT_DENY,
         NULL,
         "truck.cmd",
         3,
         NULL,
         "SUBACK 0x87",
         "allow = \"subscribe\""},
        {"no role: what each asks",
         {.client = "visitor", .connect = true},
         OUTCOME_NO_ROLE,
         NULL,
         NULL,
         0,
         NULL,
         "CONNACK 0x87",
         "role truck (t.conf:1) asks match.client_id truck-{serial:[0-9][0-9][0-9]}; here it is visitor\n"
         "role office (t.conf:20) asks match.client_id app-*; here it is visitor\n"
         "role sensor (t.conf:40) asks match.vlan 30; here it is 20\n"},
        {"a user that is not given",
         {.client = "app-1", .connect = true},
         OUTCOME_NO_ROLE,
         NULL,
         NULL,
         0,
         NULL,
         "CONNACK 0x87",
         "role office (t.conf:20) asks match.user office; here it is not known"},
        {"a user that is",
         {.client = "app-1", .connect = true, .user = "office"},
         OUTCOME_ALLOWED,
         NULL,
         NULL,
         0,
         NULL,
         NULL,
         NULL},
        {"quarantined by the policy",
         {.client = "truck-009", .topic = "trucks/009/location"},
         OUTCOME_QUARANTINED,
         NULL,
         NULL,
         0,
         "stolen",
         "CONNACK 0x8A",
         "remove it there"},
        {"quarantined by command",
         {.client = "truck-011", .connect = true},
         OUTCOME_QUARANTINED,
         NULL,
         NULL,
         0,
         "INC-1",
         "CONNACK 0x8A",
         "sallyportctl release truck-011"},
        {"a device elsewhere",
         {.client = "truck-010", .connect = true},
         OUTCOME_IDENTITY_MISMATCH,
         NULL,
         NULL,
         0,
         "VLAN",
         "CONNACK 0x87",
         "entry of device truck-010"},
        {"CoAP",
         {.client = "probe-1", .action = ACL_GET, .topic = "conf/probe-1"},
         OUTCOME_ALLOWED,
         "sensor.conf",
         NULL,
         0,
         NULL,
         NULL,
         NULL},
        {"CoAP, denied",
         {.client = "probe-1", .action = ACL_GET, .topic = "conf/secret"},
         OUTCOME_RULE_DENY,
         "sensor.no",
         NULL,
         0,
         NULL,
         "CoAP: 4.03",
         "rule sensor.no (t.conf:41, conf/secret) denies it"},
        {"CoAP, no rule",
         {.client = "probe-1", .action = ACL_GET, .topic = "time"},
         OUTCOME_DEFAULT_DENY,
         NULL,
         "sensor.conf",
         1,
         NULL,
         "CoAP: 4.03",
         "allow = \"GET\"; path = \"/time\""},
        {"CoAP, no rule for the method",
         {.client = "probe-1", .action = ACL_PUT, .topic = "time"},
         OUTCOME_DEFAULT_DENY,
         NULL,
         NULL,
         0,
         NULL,
         "CoAP: 4.03",
         "allows any PUT"},
        {"no such listener",
         {.client = "truck-017", .connect = true, .listener = "other"},
         OUTCOME_NO_LISTENER,
         NULL,
         NULL,
         0,
         NULL,
         "CONNACK 0x98",
         "no listener other for MQTT"},
    };
    static struct explain_answer a;
    open_policy();
    for (size_t i = 0; i < COUNT(t); i++) {
        char told[128] = "";
        explain(&generation, quarantine, &t[i].q, NULL, &a);
        said[0] = '\0';
        explain_why_not(&generation, &t[i].q, &a, add, NULL);
        if (a.outcome != OUTCOME_ALLOWED)
            explain_told(&t[i].q, &a, told, sizeof(told));
        const struct acl *acl = a.identity.role == NULL ? NULL : a.identity.role->acl;
        const char *rule = a.rule == ACL_RULE_NONE ? NULL : acl_rule_at(acl, a.rule)->id;
        const char *near = a.near == ACL_RULE_NONE ? NULL : acl_rule_at(acl, a.near)->id;
        bool good = a.outcome == t[i].outcome && (rule == NULL) == (t[i].rule == NULL) &&
                    (rule == NULL || strcmp(rule, t[i].rule) == 0) && (near == NULL) == (t[i].near == NULL) &&
                    (near == NULL || (strcmp(near, t[i].near) == 0 && a.near_level == t[i].near_level)) &&
                    (t[i].reason == NULL ? a.reason == NULL
                                         : a.reason != NULL && strstr(a.reason, t[i].reason) != NULL) &&
                    (t[i].told == NULL || strstr(told, t[i].told) != NULL) &&
                    (t[i].edit == NULL ? said[0] == '\0' : strstr(said, t[i].edit) != NULL);
        CU_ASSERT_TRUE(good);
        if (!good)
            fprintf(stderr, "%s: %s rule %s near %s at %u reason %s told %s\n%s", t[i].name,
                    outcome_id(a.outcome), rule == NULL ? "-" : rule, near == NULL ? "-" : near, a.near_level,
                    a.reason == NULL ? "-" : a.reason, told, said);
    }
    close_policy();
}

/* The facts of a live session are judged as they are, not as a device's usual ones. */
static void live(void)
{
    static struct explain_answer a;
    open_policy();
    const struct explain_question q = {.client = "truck-010", .topic = "trucks/010/location"};
    struct client_facts facts = {.listener = bytes_of_text("mqtt"),
                                 .port = bytes_of_text("iot"),
                                 .vlan = 21,
                                 .has_mac = true,
                                 .mac = {2, 0, 0, 0, 0, 10},
                                 .client_id = bytes_of_text("truck-010")};
    explain(&generation, quarantine, &q, &facts, &a);
    CU_ASSERT_EQUAL(a.outcome, OUTCOME_ALLOWED);
    facts.mac[5] = 11;
    explain(&generation, quarantine, &q, &facts, &a);
    CU_ASSERT_EQUAL(a.outcome, OUTCOME_IDENTITY_MISMATCH);
    close_policy();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"questions and answers (H1)", questions},
        {"a live session's facts (H1)", live},
    };
    return unit_run("explain", tests, COUNT(tests));
}
