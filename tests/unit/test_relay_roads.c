/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is denied is denied by every road (traps part 2: alternate routes), what ends in any order leaves
 * nothing behind (UAF and races), and what is done ten thousand times takes the memory of once (exhaustion).
 */
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/relay_steps.h"
#include "tests/unit/runner.h"

static struct relay_lab lab;

#define DENIED "trucks/018/location"

/* May write and read news and its own; DENIED is another's. */
static const struct acl_rule_spec rules[] = {
    RULE("own", PUBLISH_BIT | SUBSCRIBE_BIT, "trucks/017/#"),
    RULE("news", PUBLISH_BIT | SUBSCRIBE_BIT, "news/#"),
    {.id = "will",
     .file = "t.conf",
     .line = 3,
     .allow = true,
     .actions = PUBLISH_BIT,
     .topic = "trucks/017/status",
     .retain = -1,
     .will = 1},
};

static struct policy_role_spec role_here(void)
{
    struct policy_role_spec role = office_role();
    role.rules = rules;
    role.rules_n = sizeof(rules) / sizeof(rules[0]);
    role.limits.sessions = 2;
    return role;
}

static void open_lab(void)
{
    struct policy_role_spec role = role_here();
    lab_open(&lab, &role, 1);
}

static bool names_denied(struct bytes b)
{
    static const char needle[] = "018";
    for (size_t i = 0; i + sizeof(needle) - 1 <= b.len; i++)
        if (memcmp(b.at + i, needle, sizeof(needle) - 1) == 0)
            return true;
    return false;
}

/* ---- up ----------------------------------------------------------------------------------------------- */

/* Nothing of what was ever written upstream names the denied topic. */
static bool upstream_is_clean(const struct lab_session *s)
{
    return !names_denied(bytes_of(s->upstream->out, s->upstream->out_n));
}

static void with_alias(struct lab_session *s, const char *topic, uint16_t alias)
{
    struct mqtt_packet p = lab_publish(MQTT_5, topic, 0, 0);
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_TOPIC_ALIAS);
    p.properties.topic_alias = alias;
    lab_send(s->device, &p);
}

static void published_by_every_road(void)
{
    struct mqtt_packet p;
    for (int version = MQTT_3_1; version <= MQTT_5; version++) {
        open_lab();
        struct lab_session s = lab_session(&lab, (enum mqtt_version)version, "app-1");
        for (uint8_t qos = 0; qos <= 2; qos++)
            for (int retain = 0; retain < 2; retain++) {
                p = lab_publish(s.version, DENIED, qos, qos != 0 ? (uint16_t)(qos * 2 + retain) : 0);
                p.publish.retain = retain != 0;
                lab_send(s.device, &p);
            }
        publish(&s, "$delayed/1/" DENIED, 0, 0);
        publish(&s, "$share/g/" DENIED, 0, 0);
        publish(&s, "$queue/" DENIED, 0, 0);
        publish(&s, "$exclusive/" DENIED, 0, 0);
        publish(&s, "/" DENIED, 0, 0);
        publish(&s, DENIED "/", 0, 0);
        publish(&s, "trucks//018/location", 0, 0);
        publish(&s, "Trucks/018/location", 0, 0);
        if (version == MQTT_5) {
            with_alias(&s, DENIED, 1);
            with_alias(&s, "", 1);
            with_alias(&s, "news/a", 1); /* set anew */
            with_alias(&s, DENIED, 1);
            with_alias(&s, "", 1);
            p = lab_publish(MQTT_5, "news/a", 0, 0);
            p.properties.present = MQTT_PROP_BIT(MQTT_PROP_RESPONSE_TOPIC);
            p.properties.response_topic = bytes_of_text(DENIED);
            lab_send(s.device, &p);
        }
        CU_ASSERT_TRUE(upstream_is_clean(&s));
        publish(&s, "trucks/017/location", 0, 0); /* and nothing was closed for it */
        CU_ASSERT_FALSE(s.device->finished);
        lab_close(&lab);
    }
}

static void willed_by_every_road(void)
{
    static const char *const topics[] = {DENIED, "$delayed/1/" DENIED, "$share/g/" DENIED,
                                         "trucks/018/status"};
    for (int version = MQTT_3_1; version <= MQTT_5; version++)
        for (size_t i = 0; i <= sizeof(topics) / sizeof(topics[0]); i++) {
            bool response = i == sizeof(topics) / sizeof(topics[0]);
            struct mqtt_packet p = lab_connect((enum mqtt_version)version, "app-1");
            if (response && version != MQTT_5)
                continue;
            open_lab();
            p.connect.will.present = true;
            p.connect.will.topic = bytes_of_text(response ? "trucks/017/status" : topics[i]);
            if (response) {
                p.connect.will.properties.present = MQTT_PROP_BIT(MQTT_PROP_RESPONSE_TOPIC);
                p.connect.will.properties.response_topic = bytes_of_text(DENIED);
            }
            struct lab_stream *device = lab_accept(&lab, 17);
            lab_send(device, &p);
            CU_ASSERT_EQUAL(lab.dials, 0);
            CU_ASSERT_TRUE(device->finished);
            lab_close(&lab);
        }
}

/* Nothing behind a refused CONNECT is looked at [MQTT-3.1.4-6]. */
static void behind_a_refused_connect(void)
{
    for (int version = MQTT_3_1; version <= MQTT_5; version++) {
        struct mqtt_packet connect = lab_connect((enum mqtt_version)version, "visitor"), p;
        open_lab();
        struct lab_stream *device = lab_accept(&lab, 17);
        uint8_t bytes[512];
        size_t n = mqtt_build(bytes, sizeof(bytes), &connect, connect.version);
        p = lab_publish(connect.version, "news/a", 0, 0);
        n += mqtt_build(bytes + n, sizeof(bytes) - n, &p, connect.version);
        memcpy(bytes + n, "payload", 7);
        lab_feed(device, bytes, n + 7);
        lab_feed(device, bytes, n + 7);
        lab_flush(&lab);
        CU_ASSERT_TRUE(lab.dials == 0 && device->finished);
        CU_ASSERT_TRUE(lab_next(device, MQTT_FROM_SERVER, connect.version, &p) && p.type == MQTT_CONNACK);
        CU_ASSERT_EQUAL(device->out_read, device->out_n);
        CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->count[RELAY_PUBLISH_UP], 0);
        CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->count[RELAY_PACKETS_UP], 1);
        lab_close(&lab);
    }
}

/* ---- down --------------------------------------------------------------------------------------------- */

static void subscribed_by_every_road(void)
{
    static const char *const filters[] = {
        DENIED,
        "#",
        "+/018/location",
        "trucks/#",
        "trucks/+/location",
        "trucks/018/#",
        "$share/g/#",
        "$queue/#",
        "$share/g/" DENIED,
        "$exclusive/" DENIED,
        "$delayed/1/" DENIED,
        "+/+/+",
        "$share/g/+/018/location",
    };
    for (int version = MQTT_3_1; version <= MQTT_5; version++)
        for (int trim = 0; trim < 2; trim++) {
            struct policy_role_spec role = role_here();
            struct mqtt_packet p;
            role.subscribe_mode = trim != 0 ? ACL_FILTER_TRIM : ACL_FILTER_COVER;
            role.limits.subscriptions = 100;
            lab_open(&lab, &role, 1);
            struct lab_session s = lab_session(&lab, (enum mqtt_version)version, "app-1");
            for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
                const char *one[] = {filters[i], NULL};
                p = lab_subscribe(s.version, MQTT_SUBSCRIBE, (uint16_t)(i + 1), 1, one);
                lab_send(s.device, &p);
            }
            if (!trim) {
                CU_ASSERT_TRUE(passed_nothing(&s));
            }
            /* A subscription of an earlier life, or one that is trimmed: its deliveries are judged, retained
             * ones and those that were queued too (CVE-2018-12546, CVE-2021-34434, CVE-2026-58209). */
            s.device->out_read = s.device->out_n;
            for (uint8_t qos = 0; qos <= 2; qos++)
                for (int retain = 0; retain < 2; retain++) {
                    p = lab_publish(s.version, DENIED, qos, qos != 0 ? (uint16_t)(qos * 2 + retain) : 0);
                    p.publish.retain = retain != 0;
                    p.publish.dup = qos != 0 && retain != 0;
                    lab_send(s.upstream, &p);
                }
            CU_ASSERT_TRUE(told_nothing(&s));
            p = lab_publish(s.version, "news/a", 0, 0);
            lab_send(s.upstream, &p);
            CU_ASSERT_TRUE(told(&s, MQTT_PUBLISH, 0, 0));
            lab_close(&lab);
        }
}

/* ---- ends in any order -------------------------------------------------------------------------------- */

enum {
    END_DEVICE_CLOSES,
    END_UPSTREAM_CLOSES,
    END_KICK,
    END_TAKEOVER,
    END_POLICY,
    END_TIME,
    ENDS,
};

static void end_by(int how, struct lab_session *s)
{
    struct policy_role_spec role = role_here();
    struct mqtt_packet p;
    switch (how) {
    case END_DEVICE_CLOSES:
        lab_peer_closes(s->device, STREAM_END_RESET);
        break;
    case END_UPSTREAM_CLOSES:
        if (s->upstream != NULL)
            lab_peer_closes(s->upstream, STREAM_END_RESET);
        break;
    case END_KICK:
        (void)lab_kick(&lab, "app-1");
        break;
    case END_TAKEOVER:
        p = lab_connect(MQTT_5, "app-1");
        lab_send(lab_accept(&lab, 17), &p);
        break;
    case END_POLICY:
        role.rules_n = 2; /* the Will is no longer allowed */
        lab_policy(&lab, &role, 1);
        break;
    default:
        lab_wait(&lab, 6000000);
        break;
    }
}

/* A session with a Will, brought as far as `stage` and no further. */
static struct lab_session begun(int stage)
{
    struct mqtt_packet p = lab_connect(MQTT_5, "app-1");
    struct lab_session s = {.version = MQTT_5, .device = lab_accept(&lab, 17)};
    p.connect.will.present = true;
    p.connect.will.topic = bytes_of_text("trucks/017/status");
    lab.dialled = NULL;
    if (stage == 0)
        return s;
    lab_send(s.device, &p);
    s.upstream = lab.dialled;
    if (stage > 1)
        lab_upstream_opens(s.upstream);
    p = lab_connack(MQTT_5, 0);
    if (stage > 2)
        lab_send(s.upstream, &p);
    if (stage > 3) {
        publish(&s, "news/a", 2, 1);
        publish(&s, DENIED, 2, 2);
        static const uint8_t half[] = {0x32, 0xFF, 0x7F, 0, 6, 'n', 'e', 'w', 's', '/', 'a', 0, 3, 0, 'x'};
        lab_feed(s.device, half, sizeof(half)); /* and a message that is passing */
    }
    return s;
}

/* CVE-2025-59946, mosquitto 3702: takeover, Will, close and reload in every order of three, at every stage.
 * lab_close checks that nothing is left, the sanitizer that nothing was used too long. */
static void ends_in_any_order(void)
{
    for (int stage = 0; stage < 5; stage++)
        for (int a = 0; a < ENDS; a++)
            for (int b = 0; b < ENDS; b++)
                for (int c = 0; c < ENDS; c++) {
                    open_lab();
                    struct lab_session s = begun(stage);
                    end_by(a, &s);
                    end_by(b, &s);
                    if ((a + b + c) % 2 == 0) /* at the end of a burst, or within it */
                        lab_flush(&lab);
                    end_by(c, &s);
                    lab_close(&lab);
                }
    CU_PASS("nothing is left");
}

/* ---- many times --------------------------------------------------------------------------------------- */

/* CVE-2017-7651, -7654, CVE-2021-34431, CVE-2023-3592, CVE-2021-33175, CVE-2021-33176: what a client
 * repeats takes the memory of once. */
static void memory_of_once(void)
{
    static const uint8_t bad_will[] = {0x10, 25,  0,   4, 'M', 'Q', 'T', 'T', 5, 6, 0,   60, 0, 0,
                                       2,    'i', 'd', 4, 8,   0,   1,   '#', 0, 1, 'w', 0,  0};
    uint64_t first = 0;
    open_lab();
    for (int i = 0; i < 3000; i++) {
        struct mqtt_packet p = lab_connect(MQTT_5, "app-1");
        struct lab_stream *device = lab_accept(&lab, 17);
        lab_feed(device, bad_will, sizeof(bad_will));
        lab_flush(&lab);
        lab_peer_closes(device, STREAM_END_DONE);
        struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
        with_alias(&s, "news/a", 1);
        publish(&s, "news/a", 2, 1);
        publish(&s, DENIED, 1, 2);
        const char *one[] = {"news/#", NULL};
        p = lab_subscribe(MQTT_5, MQTT_SUBSCRIBE, 3, 1, one);
        lab_send(s.device, &p);
        uint64_t used = mqtt_relays_buffers_used(lab.relays);
        first = i == 0 ? used : first;
        if (used != first)
            CU_FAIL_FATAL("memory grows");
        lab_peer_closes(s.device, STREAM_END_RESET);
        lab_peer_closes(s.upstream, STREAM_END_DONE);
        while (lab_event(&lab) != NULL)
            continue;
    }
    CU_ASSERT_EQUAL(mqtt_relays_buffers_used(lab.relays), 0);
    lab_close(&lab);
}

static const struct unit_test tests[] = {
    {"published by every road (D4, D6, D11)", published_by_every_road},
    {"a Will by every road (D10)", willed_by_every_road},
    {"behind a refused CONNECT [MQTT-3.1.4-6]", behind_a_refused_connect},
    {"subscribed by every road (D5)", subscribed_by_every_road},
    {"ends in any order (D10, G3)", ends_in_any_order},
    {"memory of once (D9)", memory_of_once},
};

int main(void)
{
    return unit_run("relay_roads", tests, sizeof(tests) / sizeof(tests[0]));
}
