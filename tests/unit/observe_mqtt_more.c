/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The same verdicts by other ways: subscriptions, deliveries, Wills, strict strings, what floods lead to. */
#include "tests/unit/observe_mqtt.h"

static bool sends(struct observe_run *run, const struct policy_role_spec *role,
                  const struct mqtt_packet *packet)
{
    struct lab_session s = observed_session(run, role, MQTT_5);
    lab_send(s.device, packet);
    return close_observed(run, reached(&s, packet->type));
}

static bool connects_with(struct observe_run *run, const struct policy_role_spec *role,
                          const struct mqtt_packet *p)
{
    open_observed(run, role);
    return close_observed(run, connects(p));
}

static struct mqtt_packet with_will(const char *topic)
{
    struct mqtt_packet p = lab_connect(MQTT_5, "dev-1");
    p.connect.will =
        (struct mqtt_will){.present = true, .topic = bytes_of_text(topic), .payload = bytes_of_text("gone")};
    return p;
}

OBSERVE_PROBE(mqtt_denied_subscribe)
{
    static const char *const filters[] = {"others/#", NULL};
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_subscribe(MQTT_5, MQTT_SUBSCRIBE, 1, 0, filters);
    return sends(run, &role, &p);
}

OBSERVE_PROBE(mqtt_denied_delivery)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_publish(MQTT_5, "others/a", 1, 1);
    struct lab_session s = observed_session(run, &role, MQTT_5);
    lab_send(s.upstream, &p);
    return close_observed(run, lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p) && p.type == MQTT_PUBLISH);
}

OBSERVE_PROBE(mqtt_denied_will)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = with_will("own/a"); /* the rule is not for Wills */
    return connects_with(run, &role, &p);
}

OBSERVE_PROBE(mqtt_will_qos)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = with_will("will/a");
    role.max_qos = 1;
    p.connect.will.qos = 2;
    return connects_with(run, &role, &p);
}

OBSERVE_PROBE(mqtt_will_retained)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = with_will("will/a");
    p.connect.will.retain = true;
    return connects_with(run, &role, &p);
}

OBSERVE_PROBE(mqtt_will_payload)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = with_will("json/a");
    return connects_with(run, &role, &p);
}

OBSERVE_PROBE(mqtt_response_topic)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_publish(MQTT_5, "own/a", 1, 1);
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_RESPONSE_TOPIC);
    p.properties.response_topic = bytes_of_text("others/a");
    return sends(run, &role, &p);
}

/* ---- strict strings (D3) --------------------------------------------------------------------------------
 */

OBSERVE_PROBE(mqtt_strict_publish)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_publish(MQTT_5, "own/\x01", 1, 1);
    role.law.strict_strings = true;
    return sends(run, &role, &p);
}

OBSERVE_PROBE(mqtt_strict_subscribe)
{
    static const char *const filters[] = {"own/a", "own/\x7f", NULL};
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_subscribe(MQTT_5, MQTT_SUBSCRIBE, 1, 0, filters);
    role.law.strict_strings = true;
    return sends(run, &role, &p);
}

OBSERVE_PROBE(mqtt_strict_connect)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_connect(MQTT_5, "dev-1");
    p.connect.has_user_name = true;
    p.connect.user_name = bytes_of_text("\x01");
    role.law.strict_strings = true;
    return connects_with(run, &role, &p);
}

/* ---- sizes (D9) -----------------------------------------------------------------------------------------
 */

OBSERVE_PROBE(mqtt_large_subscribe)
{
    static const char *const filters[] = {"own/a/filter/that/is/not/short",
                                          "own/another/filter/that/is/not/short", NULL};
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_subscribe(MQTT_5, MQTT_SUBSCRIBE, 1, 0, filters);
    role.limits.packet_bytes = 64;
    return sends(run, &role, &p);
}

OBSERVE_PROBE(mqtt_publish_properties)
{
    static const uint8_t list[] = {0x26, 0, 1, 'a', 0, 1, 'b', 0x26, 0, 1, 'c', 0, 1, 'd'};
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_publish(MQTT_5, "own/a", 1, 1);
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_USER_PROPERTY);
    p.properties.user_property_count = 2;
    p.properties.list = bytes_of(list, sizeof(list));
    role.limits.user_properties = 1;
    return sends(run, &role, &p);
}

/* ---- sessions -------------------------------------------------------------------------------------------
 */

/* The same client identifier from another place: the upstream would let it take over. */
OBSERVE_PROBE(mqtt_second_session)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_connect(MQTT_5, "dev-1");
    role.session.takeover = POLICY_TAKEOVER_REFUSE;
    (void)observed_session(run, &role, MQTT_5);
    return close_observed(run, connects(&p));
}

static bool floods(struct observe_run *run, struct policy_role_spec *role)
{
    role->limits.rates.of[RATE_PUBLISHES][0] = (struct rate){.amount = 1, .period_us = SECOND, .burst = 1};
    struct lab_session s = observed_session(run, role, MQTT_5);
    for (uint16_t i = 1; i <= A_HEAP && alive(s.device); i++)
        publish(&s, "own/a", 0, 0);
    int n = 0;
    while (passed(&s, MQTT_PUBLISH, 0))
        n++;
    return close_observed(run, n == A_HEAP && alive(s.device));
}

OBSERVE_PROBE(mqtt_flood_disconnects)
{
    struct policy_role_spec role = observe_role(run);
    role.limits.rates.over = POLICY_DISCONNECT;
    return floods(run, &role);
}

OBSERVE_PROBE(mqtt_flood_quarantines)
{
    struct policy_role_spec role = observe_role(run);
    role.limits.rates.over = POLICY_QUARANTINE;
    role.limits.rates.quarantine_us = 60 * SECOND;
    return floods(run, &role);
}

/* ---- a deny that holds even so --------------------------------------------------------------------------
 */

static struct policy_role_spec strict_role(const struct observe_run *run)
{
    static struct acl_rule_spec rules[sizeof(observe_rules) / sizeof(observe_rules[0])];
    struct policy_role_spec role = observe_role(run);
    memcpy(rules, observe_rules, sizeof(rules));
    for (uint32_t i = 0; i < role.rules_n; i++)
        rules[i].enforce = !rules[i].allow;
    role.rules = rules;
    return role;
}

static bool publishes_secret(struct observe_run *run, const struct policy_role_spec *role)
{
    struct mqtt_packet p = lab_publish(MQTT_5, "own/secret", 1, 1);
    return sends(run, role, &p);
}

OBSERVE_PROBE(mqtt_hidden_by_nothing)
{
    struct policy_role_spec role = strict_role(run);
    return publishes_secret(run, &role);
}

OBSERVE_PROBE(mqtt_hidden_by_qos)
{
    struct policy_role_spec role = strict_role(run);
    role.max_qos = 0;
    return publishes_secret(run, &role);
}

OBSERVE_PROBE(mqtt_hidden_by_depth)
{
    struct policy_role_spec role = strict_role(run);
    role.limits.topic_levels = 1;
    return publishes_secret(run, &role);
}

OBSERVE_PROBE(mqtt_hidden_by_size)
{
    static const uint8_t payload[300];
    struct policy_role_spec role = strict_role(run);
    struct mqtt_packet p = lab_publish(MQTT_5, "own/secret", 1, 1);
    p.publish.payload = bytes_of(payload, sizeof(payload));
    p.publish.payload_bytes = sizeof(payload);
    role.limits.packet_bytes = 64;
    return sends(run, &role, &p);
}

OBSERVE_PROBE(mqtt_hidden_by_properties)
{
    static const uint8_t list[] = {0x26, 0, 1, 'a', 0, 1, 'b', 0x26, 0, 1, 'c', 0, 1, 'd'};
    struct policy_role_spec role = strict_role(run);
    struct mqtt_packet p = lab_publish(MQTT_5, "own/secret", 1, 1);
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_USER_PROPERTY);
    p.properties.user_property_count = 2;
    p.properties.list = bytes_of(list, sizeof(list));
    role.limits.user_properties = 1;
    return sends(run, &role, &p);
}

OBSERVE_PROBE(mqtt_hidden_by_rate)
{
    struct policy_role_spec role = strict_role(run);
    role.limits.rates.over = POLICY_DROP;
    role.limits.rates.of[RATE_PUBLISHES][0] = (struct rate){.amount = 1, .period_us = SECOND, .burst = 1};
    struct lab_session s = observed_session(run, &role, MQTT_5);
    publish(&s, "own/a", 0, 0);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 0));
    publish(&s, "own/secret", 0, 0);
    return close_observed(run, reached(&s, MQTT_PUBLISH));
}

OBSERVE_PROBE(mqtt_hidden_will)
{
    struct policy_role_spec role = strict_role(run);
    struct mqtt_packet p = with_will("own/secret");
    p.connect.version = p.version = MQTT_3_1_1;
    role.limits.keepalive_min_s = 90;
    role.max_qos = 0;
    p.connect.will.qos = 1;
    return connects_with(run, &role, &p);
}

OBSERVE_PROBE(mqtt_hidden_subscription)
{
    static const char *const filters[] = {"own/secret", NULL};
    struct policy_role_spec role = strict_role(run);
    struct mqtt_packet p = lab_subscribe(MQTT_5, MQTT_SUBSCRIBE, 1, 0, filters);
    role.limits.topic_levels = 1;
    return sends(run, &role, &p);
}

OBSERVE_PROBE(mqtt_hidden_by_subscribe_rate)
{
    static const char *const filters[][2] = {{"own/a", NULL}, {"own/secret", NULL}};
    struct policy_role_spec role = strict_role(run);
    role.limits.rates.over = POLICY_DISCONNECT;
    role.limits.rates.of[RATE_SUBSCRIBES][0] = (struct rate){.amount = 1, .period_us = SECOND, .burst = 1};
    struct lab_session s = observed_session(run, &role, MQTT_5);
    for (uint16_t i = 0; i < 2; i++) {
        struct mqtt_packet p = lab_subscribe(MQTT_5, MQTT_SUBSCRIBE, (uint16_t)(i + 1), 0, filters[i]);
        lab_send(s.device, &p);
        CU_ASSERT_TRUE(i != 0 || passed(&s, MQTT_SUBSCRIBE, 1));
    }
    return close_observed(run, reached(&s, MQTT_SUBSCRIBE));
}
