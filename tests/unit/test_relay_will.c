/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Wills as the gateway handles them: supplied, changed, missing, left behind; and storms of them (C5, D10).
 */
#include "gateway/will_storm.h"
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/runner.h"

static struct relay_lab lab;

static struct policy_role_spec supplying_role(void)
{
    struct policy_role_spec role = truck_role();
    role.will = POLICY_WILL_SUPPLIED;
    role.last_will = (struct policy_last_will){
        .topic = "lost/${serial}", .payload = "gone: ${id}", .qos = 1, .retain = true, .delay_s = 7};
    return role;
}

static void add_will(struct mqtt_packet *p, const char *topic, const char *payload)
{
    p->connect.will =
        (struct mqtt_will){.present = true, .topic = bytes_of_text(topic), .payload = bytes_of_text(payload)};
}

/* Connects through and answers the CONNECT that the upstream got. */
static struct mqtt_connect connect_with(const struct mqtt_packet *p, struct lab_stream **device)
{
    struct mqtt_packet seen = {.connect.version = MQTT_VERSION_UNKNOWN};
    *device = lab_accept(&lab, 17);
    lab.dialled = NULL;
    lab_send(*device, p);
    CU_ASSERT_PTR_NOT_NULL_FATAL(lab.dialled);
    lab_upstream_opens(lab.dialled);
    CU_ASSERT_TRUE_FATAL(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, &seen));
    struct mqtt_packet connack = lab_connack(p->version, 0);
    lab_send(lab.dialled, &connack);
    return seen.connect;
}

static void a_will_is_supplied(void)
{
    static const enum mqtt_version versions[] = {MQTT_3_1, MQTT_3_1_1, MQTT_5};
    struct policy_role_spec role = supplying_role();
    for (int i = 0; i < 3; i++) {
        struct lab_stream *device;
        struct mqtt_packet p = lab_connect(versions[i], "truck-017");
        lab_open(&lab, &role, 1);
        struct mqtt_connect seen = connect_with(&p, &device);
        CU_ASSERT_TRUE_FATAL(seen.will.present);
        CU_ASSERT_TRUE(bytes_equal(seen.will.topic, bytes_of_text("lost/017")));
        CU_ASSERT_TRUE(bytes_equal(seen.will.payload, bytes_of_text("gone: truck-017")));
        CU_ASSERT_EQUAL(seen.will.qos, 1);
        CU_ASSERT_TRUE(seen.will.retain);
        bool delayed = (seen.will.properties.present & MQTT_PROP_BIT(MQTT_PROP_WILL_DELAY)) != 0;
        CU_ASSERT_EQUAL(delayed, versions[i] == MQTT_5);
        CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->count[RELAY_WILLS_SUPPLIED], 1);
        lab_close(&lab);
    }
}

static void an_own_will_is_kept_and_judged(void)
{
    struct policy_role_spec role = supplying_role();
    struct lab_stream *device;
    struct mqtt_packet p = lab_connect(MQTT_5, "truck-017");
    lab_open(&lab, &role, 1);
    add_will(&p, "trucks/017/status", "own");
    struct mqtt_connect seen = connect_with(&p, &device);
    CU_ASSERT_TRUE(bytes_equal(seen.will.topic, bytes_of_text("trucks/017/status")));
    CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->count[RELAY_WILLS_SUPPLIED], 0);
    lab_close(&lab);
    lab_open(&lab, &role, 1);
    add_will(&p, "trucks/018/status", "of another");
    device = lab_accept(&lab, 17);
    lab_send(device, &p);
    CU_ASSERT_PTR_NULL(lab.dialled);
    CU_ASSERT_PTR_NOT_NULL(lab_event_of(&lab, EVENT_MQTT_WILL_DENIED));
    lab_close(&lab);
}

/* What may not go any more when a policy comes while the upstream is dialled. */
static void a_waiting_will_is_judged_again(void)
{
    static const struct {
        enum mqtt_version version;
        const char *mount, *topic; /* NULL: it has no Will of its own */
        bool rule_stays, observes, goes;
    } rows[] = {
        {MQTT_5, NULL, "trucks/017/status", true, false, true},
        {MQTT_5, NULL, "trucks/017/status", false, false, false},
        {MQTT_3_1_1, NULL, "trucks/017/status", false, false, false},
        {MQTT_3_1, "site/", "trucks/017/status", true, false, true},
        {MQTT_3_1, "site/", "trucks/017/status", false, false, false},
        {MQTT_5, "site/", "$delayed/5/trucks/017/status", true, false, true},
        {MQTT_5, "site/", "$delayed/5/trucks/017/status", false, false, false},
        {MQTT_5, NULL, "trucks/017/status", false, true, true},
        {MQTT_5, NULL, NULL, false, false, true}, /* the role's own: the policy's word */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy_role_spec role = supplying_role();
        struct mqtt_packet p = lab_connect(rows[i].version, "truck-017"), seen;
        lab_open(&lab, &role, 1);
        lab.config->upstreams[0].mount = rows[i].mount;
        if (rows[i].topic != NULL)
            add_will(&p, rows[i].topic, "gone");
        struct lab_stream *device = lab_accept(&lab, 17);
        lab_send(device, &p);
        CU_ASSERT_PTR_NOT_NULL_FATAL(lab.dialled);
        struct lab_stream *upstream = lab.dialled;
        role.rules_n = rows[i].rule_stays ? 2 : 1;
        role.mode = rows[i].observes ? POLICY_OBSERVE : POLICY_ENFORCE;
        lab_policy(&lab, &role, 1);
        lab.config->upstreams[0].mount = rows[i].mount;
        lab_upstream_opens(upstream);
        lab_flush(&lab);
        seen = (struct mqtt_packet){.connect.version = MQTT_VERSION_UNKNOWN};
        CU_ASSERT_EQUAL(lab_next(upstream, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, &seen), rows[i].goes);
        const struct event *denied = lab_event_of(&lab, EVENT_MQTT_WILL_DENIED);
        CU_ASSERT_EQUAL(denied != NULL, !rows[i].goes);
        CU_ASSERT_TRUE(denied == NULL || denied->outcome == OUTCOME_DEFAULT_DENY);
        if (!rows[i].goes) {
            CU_ASSERT_TRUE_FATAL(lab_next(device, MQTT_FROM_SERVER, rows[i].version, &seen));
            CU_ASSERT_EQUAL(seen.type, MQTT_CONNACK);
            CU_ASSERT_EQUAL(seen.reason_code, rows[i].version == MQTT_5 ? 0x87 : 5);
        }
        lab_close(&lab);
    }
}

/* Without its value there is no topic to name, and no session without its Will. */
static void a_will_that_cannot_be_made(void)
{
    struct policy_role_spec role = supplying_role();
    role.last_will.topic = "lost/${user}";
    struct mqtt_packet p = lab_connect(MQTT_5, "truck-017");
    lab_open(&lab, &role, 1);
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_send(device, &p);
    CU_ASSERT_PTR_NULL(lab.dialled);
    const struct event *event = lab_event_of(&lab, EVENT_MQTT_CONNECT_REFUSED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    CU_ASSERT_EQUAL(event->outcome, OUTCOME_WILL_REQUIRED);
    lab_close(&lab);
}

static enum event_kind will_event(void)
{
    const struct event *event;
    while ((event = lab_event(&lab)) != NULL)
        if (event->kind == EVENT_WILL_CHANGED || event->kind == EVENT_WILL_MISSING)
            return event->kind;
    return EVENT_NONE;
}

static void changed_and_missing_wills_are_told(void)
{
    static const struct {
        const char *topic, *payload;
        enum event_kind told;
    } steps[] = {
        {"trucks/017/status", "gone", EVENT_NONE}, /* the first is only noted */
        {"trucks/017/status", "gone", EVENT_NONE},
        {"trucks/017/status", "gona", EVENT_WILL_CHANGED},
        {NULL, NULL, EVENT_WILL_MISSING},
        {NULL, NULL, EVENT_NONE},
        {"trucks/017/status", "gone", EVENT_WILL_CHANGED},
    };
    struct policy_role_spec role = truck_role();
    lab_open(&lab, &role, 1);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct lab_stream *device;
        struct mqtt_packet p = lab_connect(MQTT_5, "truck-017");
        if (steps[i].topic != NULL)
            add_will(&p, steps[i].topic, steps[i].payload);
        (void)connect_with(&p, &device);
        CU_ASSERT_EQUAL(will_event(), steps[i].told);
        lab_peer_closes(device, STREAM_END_RESET);
    }
    lab_close(&lab);
}

/* The upstream is closed without DISCONNECT, and events say whose Will it publishes then. */
static void wills_left_behind(void)
{
    struct policy_role_spec roles[] = {supplying_role()};
    static const struct {
        bool own, kicked, disconnects;
        uint8_t left;
    } cases[] = {
        {false, false, false, GUARD_WILL_SUPPLIED},
        {true, false, false, GUARD_WILL_OWN},
        {true, true, false, GUARD_WILL_OWN},
        {true, false, true, GUARD_WILL_NONE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lab_stream *device;
        struct mqtt_packet p = lab_connect(MQTT_5, "truck-017");
        if (cases[i].own)
            add_will(&p, "trucks/017/status", "gone");
        lab_open(&lab, roles, 1);
        (void)connect_with(&p, &device);
        struct lab_stream *upstream = lab.dialled;
        if (cases[i].disconnects) {
            p = lab_plain(MQTT_5, MQTT_DISCONNECT);
            lab_send(device, &p);
        } else if (cases[i].kicked) {
            lab_kick(&lab, "truck-017");
            lab_flush(&lab);
        } else {
            lab_peer_ends(device);
        }
        CU_ASSERT_TRUE(upstream->finished);
        CU_ASSERT_EQUAL(lab_next(upstream, MQTT_FROM_CLIENT, MQTT_5, &p), cases[i].disconnects);
        bool gone = !cases[i].kicked && !cases[i].disconnects;
        const struct event *event = lab_event_of(&lab, gone ? EVENT_UNGRACEFUL_END : EVENT_MQTT_END);
        CU_ASSERT_PTR_NOT_NULL_FATAL(event);
        CU_ASSERT_EQUAL(event->will, cases[i].left);
        CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->count[RELAY_UNGRACEFUL_ENDS], gone);
        lab_close(&lab);
    }
}

/* A DISCONNECT 0x04 passes as it is, and its Will counts [MQTT-3.14.4-3]. */
static void disconnect_with_will(void)
{
    struct policy_role_spec role = truck_role();
    lab_open(&lab, &role, 1);
    struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
    struct mqtt_packet p = lab_plain(MQTT_5, MQTT_DISCONNECT);
    p.reason_code = 0x04;
    lab_send(s.device, &p);
    CU_ASSERT_TRUE_FATAL(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p));
    CU_ASSERT_EQUAL(p.reason_code, 0x04);
    CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->count[RELAY_UNGRACEFUL_ENDS], 1);
    lab_close(&lab);
}

/* ---- storms ------------------------------------------------------------------------------------------- */

static void a_storm_is_told_once(void)
{
    const struct rate threshold = {.amount = 10, .period_us = 60000000, .burst = 10};
    struct will_storm storm = {0};
    uint64_t now_us = 1000000, ends = 0;
    CU_ASSERT_FALSE(will_storm_feed(&storm, &threshold, ends, now_us));
    for (int i = 0; i < 10; i++) /* as many as are allowed */
        CU_ASSERT_FALSE(will_storm_feed(&storm, &threshold, ++ends, now_us += 1000));
    CU_ASSERT_EQUAL(will_storm_ends(&storm), 0);
    CU_ASSERT_TRUE(will_storm_feed(&storm, &threshold, ++ends, now_us += 1000));
    CU_ASSERT_FALSE(will_storm_feed(&storm, &threshold, ends += 50, now_us += 1000));
    CU_ASSERT_EQUAL(will_storm_ends(&storm), 51);
    CU_ASSERT_FALSE(will_storm_feed(&storm, &threshold, ends, now_us += 59000000));
    CU_ASSERT_NOT_EQUAL(will_storm_ends(&storm), 0);
    CU_ASSERT_FALSE(will_storm_feed(&storm, &threshold, ends, now_us += 1000000));
    CU_ASSERT_EQUAL(will_storm_ends(&storm), 0);
    CU_ASSERT_TRUE(will_storm_feed(&storm, &threshold, ends += 11, now_us += 1000)); /* all at once */
    CU_ASSERT_EQUAL(will_storm_ends(&storm), 11);
    const struct rate unlimited = {0};
    CU_ASSERT_FALSE(will_storm_feed(&storm, &unlimited, ends += 1000, now_us));
    CU_ASSERT_EQUAL(will_storm_ends(&storm), 0);
}

static const struct unit_test tests[] = {
    {"a Will is supplied (C5)", a_will_is_supplied},
    {"an own Will is kept and judged (D10)", an_own_will_is_kept_and_judged},
    {"a waiting Will is judged again (D10, G3)", a_waiting_will_is_judged_again},
    {"a Will that cannot be made (C5)", a_will_that_cannot_be_made},
    {"changed and missing Wills are told (D10)", changed_and_missing_wills_are_told},
    {"Wills left behind (D10)", wills_left_behind},
    {"DISCONNECT 0x04 [MQTT-3.14.4-3]", disconnect_with_will},
    {"a storm is told once (D10)", a_storm_is_told_once},
};

int main(void)
{
    return unit_run("relay_will", tests, sizeof(tests) / sizeof(tests[0]));
}
