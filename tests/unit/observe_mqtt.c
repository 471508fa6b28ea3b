/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each verdict about an MQTT session once. */
#include "tests/unit/observe_mqtt.h"
#include "tests/unit/users_case.h"

#include "gateway/cloud_roles.h"
#include "gateway/secret_file.h"

#include <stdio.h>
#include <unistd.h>

/* A PUBLISH in a session of its own. */
static bool publishes(struct observe_run *run, const struct policy_role_spec *role, enum mqtt_version version,
                      const struct mqtt_packet *packet)
{
    struct lab_session s = observed_session(run, role, version);
    lab_send(s.device, packet);
    return close_observed(run, reached(&s, MQTT_PUBLISH));
}

OBSERVE_PROBE(mqtt_allowed)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_publish(MQTT_5, "own/a", 1, 1);
    return publishes(run, &role, MQTT_5, &p);
}

OBSERVE_PROBE(mqtt_default_deny)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_publish(MQTT_5, "others/a", 1, 1);
    return publishes(run, &role, MQTT_5, &p);
}

OBSERVE_PROBE(mqtt_rule_deny)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_publish(MQTT_3_1_1, "own/secret", 2, 1);
    return publishes(run, &role, MQTT_3_1_1, &p);
}

/* ---- who it is (C) ------------------------------------------------------------------------------------- */

OBSERVE_PROBE(mqtt_no_role)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_connect(MQTT_5, "stranger");
    open_observed(run, &role);
    return close_observed(run, connects(&p));
}

OBSERVE_PROBE(mqtt_client_id_mismatch)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_connect(MQTT_5, "dev-1");
    role.client_id = "dev-2*";
    open_observed(run, &role);
    return close_observed(run, connects(&p));
}

OBSERVE_PROBE(mqtt_unsafe_variable)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_connect(MQTT_5, "dev-1/#");
    open_observed(run, &role);
    return close_observed(run, connects(&p));
}

OBSERVE_PROBE(mqtt_quarantined)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_connect(MQTT_5, "dev-1");
    open_observed(run, &role);
    const struct quarantine_entry entry = {.name = "dev-1", .reason = "stolen", .by = "root", .since_s = 1};
    struct quarantine *nobody = quarantine_create(), *list = quarantine_with(nobody, &entry);
    CU_ASSERT_PTR_NOT_NULL_FATAL(list);
    lab.quarantine = list;
    bool went_on = connects(&p);
    lab.quarantine = NULL;
    quarantine_destroy(nobody);
    quarantine_destroy(list);
    return close_observed(run, went_on);
}

static void want_passwords(const struct observe_run *run, const struct policy_role_spec *role)
{
    lab_open_with(&lab, role, 1, NULL, users_of(USER_ALICE));
    lab.config->observe = run->column == GATEWAY_OBSERVES;
    lab.config->listeners[0].auth = CONFIG_AUTH_PASSWORD;
}

OBSERVE_PROBE(mqtt_bad_credentials)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_connect(MQTT_5, "dev-1");
    want_passwords(run, &role);
    return close_observed(run, connects(&p));
}

OBSERVE_PROBE(mqtt_auth_busy)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_connect(MQTT_5, "dev-1");
    p.connect.has_user_name = p.connect.has_password = true;
    p.connect.user_name = bytes_of_text("alice");
    p.connect.password = bytes_of_text("secret");
    want_passwords(run, &role); /* and there is nobody to ask */
    return close_observed(run, connects(&p));
}

OBSERVE_PROBE(mqtt_no_password)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_connect(MQTT_5, "dev-1");
    char path[64];
    snprintf(path, sizeof(path), "/tmp/sallyport-observe-%d", (int)getpid());
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs("dev-2:its-own\n", file);
    fclose(file);
    open_observed(run, &role);
    lab.config->upstreams[0].user_name = "${id}";
    struct diagnostics *d = diagnostics_create();
    struct secret_file *passwords = secret_file_load(path, d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(passwords);
    ((struct generation *)(uintptr_t)lab.generation)->passwords[0] = passwords;
    bool went_on = connects(&p);
    ((struct generation *)(uintptr_t)lab.generation)->passwords[0] = NULL;
    secret_file_destroy(passwords);
    diagnostics_destroy(d);
    unlink(path);
    return close_observed(run, went_on);
}

/* ---- sessions -------------------------------------------------------------------------------------------
 */

OBSERVE_PROBE(mqtt_session_taken)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_connect(MQTT_5, "dev-2");
    role.id = "one";
    role.limits.sessions = 1;
    (void)observed_session(run, &role, MQTT_5);
    return close_observed(run, connects(&p));
}

OBSERVE_PROBE(mqtt_taken_over)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_connect(MQTT_5, "dev-1");
    role.session.takeover = POLICY_TAKEOVER_REPLACE;
    struct lab_session s = observed_session(run, &role, MQTT_5);
    (void)connects(&p);
    lab_flush(&lab);
    return close_observed(run, alive(s.device));
}

OBSERVE_PROBE(mqtt_rate_connects)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_connect(MQTT_5, "dev-2");
    role.id = "one";
    role.limits.rates.of[RATE_CONNECTS][0] =
        (struct rate){.amount = 1, .period_us = 3600 * SECOND, .burst = 1};
    (void)observed_session(run, &role, MQTT_5);
    return close_observed(run, connects(&p));
}

OBSERVE_PROBE(mqtt_admin_kick)
{
    struct policy_role_spec role = observe_role(run);
    struct lab_session s = observed_session(run, &role, MQTT_5);
    CU_ASSERT_EQUAL(lab_kick(&lab, "dev-1"), 1);
    return close_observed(run, alive(s.device));
}

OBSERVE_PROBE(mqtt_rights_lost)
{
    struct policy_role_spec role = observe_role(run);
    struct lab_session s = observed_session(run, &role, MQTT_5);
    role.id = "another"; /* it would be another client upstream */
    lab_policy(&lab, &role, 1);
    return close_observed(run, alive(s.device));
}

OBSERVE_PROBE(mqtt_no_listener)
{
    struct policy_role_spec role = observe_role(run);
    struct lab_session s = observed_session(run, &role, MQTT_5);
    lab.config->listeners[0].name = "another";
    lab_policy(&lab, &role, 1);
    return close_observed(run, alive(s.device));
}

/* ---- CONNECT --------------------------------------------------------------------------------------------
 */

OBSERVE_PROBE(mqtt_will_required)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_connect(MQTT_3_1_1, "dev-1");
    role.will = POLICY_WILL_REQUIRED;
    open_observed(run, &role);
    return close_observed(run, connects(&p));
}

OBSERVE_PROBE(mqtt_keepalive_range)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_connect(MQTT_3_1_1, "dev-1");
    role.limits.keepalive_min_s = 90;
    open_observed(run, &role);
    return close_observed(run, connects(&p));
}

/* ---- PUBLISH --------------------------------------------------------------------------------------------
 */

OBSERVE_PROBE(mqtt_cloud_topic)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_publish(MQTT_5, "own/a", 1, 1);
    open_observed(run, &role);
    lab.config->upstreams[0].profile = CLOUD_AZURE;
    lab.config->upstreams[0].server_name = "hub.example";
    struct cloud_roles *roles = cloud_roles_create(lab.generation->policy, CLOUD_AZURE);
    CU_ASSERT_PTR_NOT_NULL_FATAL(roles);
    ((struct generation *)(uintptr_t)lab.generation)->cloud[0] = roles;
    struct lab_session s = lab_session(&lab, MQTT_5, "dev-1");
    lab_send(s.device, &p);
    bool went_on = close_observed(run, reached(&s, MQTT_PUBLISH));
    cloud_roles_destroy(roles);
    return went_on;
}

OBSERVE_PROBE(mqtt_qos_cap)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_publish(MQTT_5, "own/a", 2, 1);
    role.max_qos = 1;
    return publishes(run, &role, MQTT_5, &p);
}

OBSERVE_PROBE(mqtt_retain_denied)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_publish(MQTT_5, "live/a", 1, 1);
    p.publish.retain = true;
    return publishes(run, &role, MQTT_5, &p);
}

/* The third of two that may be under way. */
OBSERVE_PROBE(mqtt_inflight_cap)
{
    struct policy_role_spec role = observe_role(run);
    role.inflight = 2;
    role.law.over = POLICY_OVERRUN_DISCONNECT;
    struct lab_session s = observed_session(run, &role, MQTT_3_1_1);
    for (uint16_t id = 1; id <= 3; id++)
        publish(&s, "own/a", 1, id);
    return close_observed(run, passed(&s, MQTT_PUBLISH, 1) && passed(&s, MQTT_PUBLISH, 2) &&
                                   passed(&s, MQTT_PUBLISH, 3));
}

OBSERVE_PROBE(mqtt_rate_publishes)
{
    struct policy_role_spec role = observe_role(run);
    role.limits.rates.over = POLICY_DROP;
    role.limits.rates.of[RATE_PUBLISHES][0] = (struct rate){.amount = 1, .period_us = SECOND, .burst = 1};
    struct lab_session s = observed_session(run, &role, MQTT_5);
    publish(&s, "own/a", 0, 0);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 0));
    publish(&s, "own/a", 0, 0);
    return close_observed(run, passed(&s, MQTT_PUBLISH, 0));
}

OBSERVE_PROBE(mqtt_rate_bytes)
{
    struct policy_role_spec role = observe_role(run);
    role.limits.rates.over = POLICY_DROP;
    role.limits.rates.of[RATE_BYTES][0] = (struct rate){.amount = 1, .period_us = SECOND, .burst = 120};
    struct lab_session s = observed_session(run, &role, MQTT_5);
    for (int i = 0; i < A_HEAP; i++)
        publish(&s, "own/a", 0, 0);
    int n = 0;
    while (passed(&s, MQTT_PUBLISH, 0))
        n++;
    return close_observed(run, n == A_HEAP);
}

OBSERVE_PROBE(mqtt_packet_too_large)
{
    static const uint8_t payload[300];
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_publish(MQTT_5, "own/a", 0, 0);
    p.publish.payload = bytes_of(payload, sizeof(payload));
    p.publish.payload_bytes = sizeof(payload);
    role.limits.packet_bytes = 256;
    return publishes(run, &role, MQTT_5, &p);
}

OBSERVE_PROBE(mqtt_payload_too_large)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_publish(MQTT_5, "small/a", 1, 1);
    return publishes(run, &role, MQTT_5, &p);
}

OBSERVE_PROBE(mqtt_malformed_payload)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_publish(MQTT_5, "json/a", 1, 1);
    return publishes(run, &role, MQTT_5, &p);
}

OBSERVE_PROBE(mqtt_topic_too_deep)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_publish(MQTT_5, "own/a/b/c", 1, 1);
    role.limits.topic_levels = 3;
    return publishes(run, &role, MQTT_5, &p);
}

/* ---- SUBSCRIBE and PINGREQ ------------------------------------------------------------------------------
 */

static void subscribe(struct lab_session *s, uint16_t id, const char *filter)
{
    const char *const filters[] = {filter, NULL};
    struct mqtt_packet p = lab_subscribe(s->version, MQTT_SUBSCRIBE, id, 0, filters);
    lab_send(s->device, &p);
}

OBSERVE_PROBE(mqtt_rate_subscribes)
{
    struct policy_role_spec role = observe_role(run);
    role.limits.rates.over = POLICY_DISCONNECT;
    role.limits.rates.of[RATE_SUBSCRIBES][0] = (struct rate){.amount = 1, .period_us = SECOND, .burst = 1};
    struct lab_session s = observed_session(run, &role, MQTT_5);
    subscribe(&s, 1, "own/a");
    CU_ASSERT_TRUE(passed(&s, MQTT_SUBSCRIBE, 1));
    subscribe(&s, 2, "own/b");
    return close_observed(run, passed(&s, MQTT_SUBSCRIBE, 2));
}

OBSERVE_PROBE(mqtt_rate_pings)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_plain(MQTT_5, MQTT_PINGREQ);
    role.limits.rates.over = POLICY_DROP;
    role.limits.rates.of[RATE_PINGS][0] = (struct rate){.amount = 1, .period_us = SECOND, .burst = 1};
    struct lab_session s = observed_session(run, &role, MQTT_5);
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(passed(&s, MQTT_PINGREQ, 0));
    lab_send(s.device, &p);
    return close_observed(run, reached(&s, MQTT_PINGREQ));
}

OBSERVE_PROBE(mqtt_subscription_cap)
{
    struct policy_role_spec role = observe_role(run);
    role.limits.subscriptions = 1;
    struct lab_session s = observed_session(run, &role, MQTT_3_1_1);
    subscribe(&s, 1, "own/a");
    CU_ASSERT_TRUE(passed(&s, MQTT_SUBSCRIBE, 1));
    subscribe(&s, 2, "own/b");
    return close_observed(run, passed(&s, MQTT_SUBSCRIBE, 2));
}

OBSERVE_PROBE(mqtt_property_cap)
{
    static const char *const filters[] = {"own/a", NULL};
    static const uint8_t list[] = {0x26, 0, 1, 'a', 0, 1, 'b', 0x26, 0, 1, 'c', 0, 1, 'd'};
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_subscribe(MQTT_5, MQTT_SUBSCRIBE, 1, 0, filters);
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_USER_PROPERTY);
    p.properties.user_property_count = 2;
    p.properties.list = bytes_of(list, sizeof(list));
    role.limits.user_properties = 1;
    struct lab_session s = observed_session(run, &role, MQTT_5);
    lab_send(s.device, &p);
    return close_observed(run, passed(&s, MQTT_SUBSCRIBE, 1));
}

OBSERVE_PROBE(mqtt_filter_too_wide)
{
    enum { N = 3 * ACL_VISITS_MAX + 100 };
    static char topics[N][24];
    static struct acl_rule_spec rules[N + 1];
    struct policy_role_spec role = observe_role(run);
    rules[0] = (struct acl_rule_spec)RULE("all", SUBSCRIBE_BIT, "#");
    for (uint32_t i = 0; i < N; i++) {
        snprintf(topics[i], sizeof(topics[i]), "d/%u/secret", i);
        rules[i + 1] = (struct acl_rule_spec)RULE(topics[i], SUBSCRIBE_BIT, topics[i]);
        rules[i + 1].allow = false;
    }
    role.rules = rules;
    role.rules_n = N + 1;
    struct lab_session s = observed_session(run, &role, MQTT_5);
    subscribe(&s, 1, "d/+/open");
    return close_observed(run, passed(&s, MQTT_SUBSCRIBE, 1));
}

/* ---- the law of the protocol (D1, D2, D3, D6) -----------------------------------------------------------
 */

/* A PUBLISH, QoS 2, that the upstream never releases is one; what comes beyond the room for it, another. */
OBSERVE_PROBE(mqtt_queue_full)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p;
    role.inflight = role.queue = 1;
    struct lab_session s = observed_session(run, &role, MQTT_3_1_1);
    for (uint16_t id = 1; id <= 3; id++) {
        p = lab_publish(MQTT_3_1_1, "own/a", 2, id);
        lab_send(s.upstream, &p);
        if (id < 3) {
            p = lab_ack(MQTT_3_1_1, MQTT_PUBREC, id, 0);
            lab_send(s.device, &p);
        }
    }
    return close_observed(run, alive(s.device));
}

static const struct {
    enum outcome outcome;
    const char *bytes;
    size_t n;
} malformed[] = {
#define BYTES(name, text)                                                                                    \
    {                                                                                                        \
        OUTCOME_##name, text, sizeof(text) - 1                                                               \
    }
    BYTES(MALFORMED, "\x30\x03\x00\x05\x61"),
    BYTES(MALFORMED_LENGTH, "\x30\xff\xff\xff\xff"),
    BYTES(MALFORMED_FLAGS, "\x60\x02\x00\x01"),
    BYTES(MALFORMED_TYPE, "\x00\x00"),
    BYTES(MALFORMED_STRING, "\x30\x05\x00\x02\xc0\x80\x00"),
    BYTES(MALFORMED_PROPERTY, "\x30\x06\x00\x01\x61\x02\x7f\x00"),
    BYTES(PROTOCOL_ERROR, "\xe0\x07\x00\x05\x11\x00\x00\x00\x01"),
    BYTES(WRONG_DIRECTION, "\x20\x03\x00\x00\x00"),
    BYTES(SECOND_CONNECT, "\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00"),
    BYTES(BAD_TOPIC, "\x30\x06\x00\x03\x61/+\x00"),
    BYTES(BAD_FILTER, "\x82\x09\x00\x01\x00\x00\x03\x61#b\x00"),
    BYTES(BAD_TOPIC_ALIAS, "\x30\x06\x00\x00\x03\x23\x00\x11"),
    BYTES(BAD_PACKET_ID, "\x32\x07\x00\x01\x61\x00\x00\x00\x61"),
    BYTES(SHARED_NO_LOCAL, "\x82\x10\x00\x01\x00\x00\x0a$share/g/a\x04"),
    BYTES(AUTH_METHOD, "\xf0\x02\x18\x00"),
    BYTES(BAD_PROPERTY, "\x30\x08\x00\x01\x61\x04\x01\x00\x01\x00"),
    BYTES(BAD_REASON_CODE, "\x40\x03\x00\x01\x01"),
#undef BYTES
};

OBSERVE_PROBE(mqtt_bytes)
{
    struct policy_role_spec role = observe_role(run);
    struct lab_session s = observed_session(run, &role, MQTT_5);
    size_t i = 0;
    while (i < sizeof(malformed) / sizeof(malformed[0]) && malformed[i].outcome != run->outcome)
        i++;
    CU_ASSERT_TRUE_FATAL(i < sizeof(malformed) / sizeof(malformed[0]));
    lab_feed(s.device, (const uint8_t *)malformed[i].bytes, malformed[i].n);
    lab_flush(&lab);
    return close_observed(run, reached(&s, (enum mqtt_type)((uint8_t)malformed[i].bytes[0] >> 4)));
}

/* Before there is a session: no answer from upstream can come of it. */
static bool begins_with(struct observe_run *run, const char *bytes, size_t n)
{
    struct policy_role_spec role = observe_role(run);
    open_observed(run, &role);
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_feed(device, (const uint8_t *)bytes, n);
    lab_flush(&lab);
    return close_observed(run, lab.dials != 0 || alive(device));
}

OBSERVE_PROBE(mqtt_first_not_connect)
{
    return begins_with(run, "\xc0\x00", 2);
}

OBSERVE_PROBE(mqtt_bad_protocol_version)
{
    return begins_with(run, "\x10\x0c\x00\x04MQTT\x09\x02\x00\x3c\x00\x00", 14);
}

OBSERVE_PROBE(mqtt_bad_client_id)
{
    return begins_with(run, "\x10\x0c\x00\x04MQTT\x04\x00\x00\x3c\x00\x00",
                       14); /* none, and a session to keep */
}

OBSERVE_PROBE(mqtt_unknown_packet_id)
{
    struct policy_role_spec role = observe_role(run);
    struct lab_session s = observed_session(run, &role, MQTT_5);
    ack(&s, s.device, MQTT_PUBREL, 9);
    return close_observed(run, !passed_nothing(&s));
}

OBSERVE_PROBE(mqtt_redirect_stripped)
{
    struct policy_role_spec role = observe_role(run);
    struct mqtt_packet p = lab_plain(MQTT_5, MQTT_DISCONNECT);
    p.reason_code = 0x9C;
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_SERVER_REFERENCE);
    p.properties.server_reference = bytes_of_text("elsewhere:1883");
    struct lab_session s = observed_session(run, &role, MQTT_5);
    lab_send(s.upstream, &p);
    bool told = lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p);
    return close_observed(run, !told || p.reason_code == 0x9C || p.properties.present != 0);
}
