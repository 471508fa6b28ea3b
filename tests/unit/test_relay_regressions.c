/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Published flaws of brokers that lie beyond a single packet, each as what a client does to the relay: traps
 * part 2, the classes memory, alternate route, open and attribution. Packets alone are in
 * test_mqtt_regressions.c, the roads to one denied topic in test_relay_roads.c.
 */
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/relay_steps.h"
#include "tests/unit/runner.h"

static struct relay_lab lab;

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SECOND UINT64_C(1000000)

static struct policy_role_spec role_of(const struct acl_rule_spec *rules, uint32_t n)
{
    struct policy_role_spec role = office_role();
    role.rules = rules;
    role.rules_n = n;
    role.limits.subscriptions = 100;
    return role;
}

/* Sends a SUBSCRIBE of one filter; true when it was granted or passed, false when it was refused here. */
static bool subscribes(struct lab_session *s, const char *filter, uint16_t id)
{
    const char *one[] = {filter, NULL};
    struct mqtt_packet p = lab_subscribe(s->version, MQTT_SUBSCRIBE, id, 1, one);
    lab_send(s->device, &p);
    bool passes = !passed_nothing(s);
    s->upstream->out_read = s->upstream->out_n;
    s->device->out_read = s->device->out_n;
    return passes;
}

/* A message from the upstream arrives at the device. */
static bool delivers(struct lab_session *s, const char *topic)
{
    struct mqtt_packet p = lab_publish(s->version, topic, 0, 0);
    lab_send(s->upstream, &p);
    bool arrives = !told_nothing(s);
    s->device->out_read = s->device->out_n;
    return arrives;
}

static bool publishes(struct lab_session *s, const char *topic)
{
    publish(s, topic, 0, 0);
    bool passes = !passed_nothing(s);
    s->upstream->out_read = s->upstream->out_n;
    return passes;
}

/* ---- alternate routes --------------------------------------------------------------------------------- */

/* CVE-2026-33217, CVE-2026-58214: "#" does not open what a broker keeps for itself [4.7.2-1]. */
static void internal_topics(void)
{
    static const struct acl_rule_spec everything[] = {RULE("all", PUBLISH_BIT | SUBSCRIBE_BIT, "#")};
    static const char *const topics[] = {"$MQTT/sub/x",
                                         "$MQTT/msgs/x",
                                         "$MQTT",
                                         "$SYS/broker/clients",
                                         "$CONTROL/dynamic-security/v1",
                                         "$JS/API/x",
                                         "$aws/things/x/shadow",
                                         "$queue/x",
                                         "$exclusive/x"};
    struct policy_role_spec role = role_of(everything, COUNT(everything));
    for (int version = MQTT_3_1; version <= MQTT_5; version++)
        for (size_t i = 0; i < COUNT(topics); i++) {
            char beneath[64], shared[64];
            snprintf(beneath, sizeof(beneath), "%s/#", topics[i]);
            snprintf(shared, sizeof(shared), "$share/g/%s", topics[i]);
            lab_open(&lab, &role, 1);
            struct lab_session s = lab_session(&lab, (enum mqtt_version)version, "app-1");
            CU_ASSERT_TRUE(publishes(&s, "x") && subscribes(&s, "#", 1) && delivers(&s, "x"));
            CU_ASSERT_FALSE(delivers(&s, topics[i]));
            CU_ASSERT_FALSE(publishes(&s, topics[i]));
            CU_ASSERT_TRUE(publishes(&s, "x"));
            if (strncmp(topics[i], "$queue/", 7) != 0 && strncmp(topics[i], "$exclusive/", 11) != 0) {
                CU_ASSERT_FALSE(subscribes(&s, topics[i], 2));
                CU_ASSERT_FALSE(subscribes(&s, beneath, 3));
                CU_ASSERT_FALSE(subscribes(&s, shared, 4));
            }
            lab_close(&lab);
        }
}

/* CVE-2022-29946, CVE-2026-58251, CVE-2026-85058: what a deny takes out of a broad allow is out of it for
 * shared subscriptions too, and for what arrives by those that were granted. */
static void shared_subscriptions(void)
{
    static const struct acl_rule_spec rules[] = {
        RULE("news", SUBSCRIBE_BIT, "news/#"),
        {.id = "secret",
         .file = "t.conf",
         .line = 2,
         .actions = SUBSCRIBE_BIT,
         .topic = "news/secret/#",
         .retain = -1,
         .will = -1},
    };
    static const char *const denied[] = {
        "news/secret",           "news/secret/a",        "news/secret/#",          "news/secret/+",
        "$queue/news/secret/a",  "$share/g/news/secret", "$share/g/news/secret/a", "$share/g/news/secret/#",
        "$share/g/news/secret/+"};
    struct policy_role_spec role = role_of(rules, COUNT(rules));
    for (int version = MQTT_3_1; version <= MQTT_5; version++) {
        lab_open(&lab, &role, 1);
        struct lab_session s = lab_session(&lab, (enum mqtt_version)version, "app-1");
        for (size_t i = 0; i < COUNT(denied); i++)
            CU_ASSERT_FALSE(subscribes(&s, denied[i], (uint16_t)(i + 1)));
        CU_ASSERT_TRUE(subscribes(&s, "news/a", 20));
        CU_ASSERT_TRUE(subscribes(&s, "$share/g/news/a", 21));
        CU_ASSERT_TRUE(delivers(&s, "news/a"));
        CU_ASSERT_FALSE(delivers(&s, "news/secret/a"));
        CU_ASSERT_FALSE(delivers(&s, "news/secret"));
        lab_close(&lab);
    }
}

/* ---- open --------------------------------------------------------------------------------------------- */

/* CVE-2026-49186: where no rule says anything, nothing is allowed; the client is known all the same. */
static void no_rules(void)
{
    struct policy_role_spec role = role_of(NULL, 0);
    for (int version = MQTT_3_1; version <= MQTT_5; version++) {
        lab_open(&lab, &role, 1);
        struct lab_session s = lab_session(&lab, (enum mqtt_version)version, "app-1");
        CU_ASSERT_FALSE(publishes(&s, "x") || publishes(&s, "app-1/x") || publishes(&s, "$SYS/x"));
        CU_ASSERT_FALSE(delivers(&s, "x") || delivers(&s, "app-1/x"));
        CU_ASSERT_FALSE(subscribes(&s, "x", 1) || subscribes(&s, "#", 2) || subscribes(&s, "app-1/#", 3));
        CU_ASSERT_FALSE(s.device->finished);
        lab_close(&lab);
    }
}

/* ---- memory and places -------------------------------------------------------------------------------- */

/* CVE-2026-25627, CVE-2021-22116, CVE-2024-42646: a header that promises what does not come takes no memory
 * for it, before a CONNECT and behind one, and nothing of it is made up when the connection ends. */
static void lengths_that_are_not_kept(void)
{
    static const uint8_t connect[] = {0x10, 0xFF, 0x7F, 0, 4, 'M', 'Q', 'T', 'T', 5};
    static const uint8_t message[] = {0x30, 0x80, 0x20, 0, 6, 'n'}; /* 4096, of which 3 come */
    static const uint8_t property[] = {0x30, 0x80, 0x20, 0,   6,    'n',  'e',
                                       'w',  's',  '/',  'a', 0xFF, 0x10, 0x26};
    static const uint8_t subscribe[] = {0x82, 0x80, 0x20, 0, 1, 0, 0xFF, 0xFF, 'n'};
    static const struct {
        const uint8_t *at;
        size_t n;
        bool first;
    } t[] = {{connect, sizeof(connect), true},
             {message, sizeof(message), false},
             {property, sizeof(property), false},
             {subscribe, sizeof(subscribe), false}};
    struct policy_role_spec role = office_role();
    for (size_t i = 0; i < COUNT(t); i++) {
        lab_open(&lab, &role, 1);
        struct lab_session s = {.version = MQTT_5};
        if (t[i].first)
            s.device = lab_accept(&lab, 17);
        else
            s = lab_session(&lab, MQTT_5, "app-1");
        uint64_t before = mqtt_relays_buffers_used(lab.relays);
        lab_feed(s.device, t[i].at, t[i].n);
        lab_flush(&lab);
        CU_ASSERT_FALSE(s.device->finished); /* the rest may come */
        CU_ASSERT_TRUE(mqtt_relays_buffers_used(lab.relays) - before <= 256);
        lab_peer_closes(s.device, STREAM_END_DONE);
        if (t[i].first) {
            CU_ASSERT_EQUAL(lab.dials, 0);
        } else {
            CU_ASSERT_TRUE(passed_nothing(&s));
        }
        CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->count[RELAY_PUBLISH_UP], 0);
        lab_close(&lab);
    }
}

/* CVE-2020-13849: neither no keep-alive nor the longest holds a place for longer than the role allows, in
 * versions that can be told of it and in those that cannot. */
static void slow_clients(void)
{
    static const uint16_t asked[] = {0, 101, UINT16_MAX};
    struct policy_role_spec role = office_role();
    role.limits.keepalive_max_s = 100;
    for (int version = MQTT_3_1; version <= MQTT_5; version++)
        for (size_t i = 0; i < COUNT(asked); i++) {
            struct mqtt_packet p = lab_connect((enum mqtt_version)version, "app-1");
            p.connect.keep_alive_s = asked[i];
            lab_open(&lab, &role, 1);
            struct lab_stream *device = lab_accept(&lab, 17);
            lab_send(device, &p);
            CU_ASSERT_EQUAL_FATAL(lab.dials, 1);
            lab_upstream_opens(lab.dialled);
            p = lab_connack((enum mqtt_version)version, 0);
            lab_send(lab.dialled, &p);
            struct lab_stream *upstream = lab.dialled;
            p = lab_plain((enum mqtt_version)version, MQTT_PINGRESP);
            lab_wait(&lab, 95 * SECOND);
            lab_send(upstream, &p); /* to the PINGREQ that was ours */
            lab_wait(&lab, 53 * SECOND);
            CU_ASSERT_FALSE(device->finished || device->aborted);
            lab_wait(&lab, 4 * SECOND);
            CU_ASSERT_TRUE(device->finished || device->aborted);
            const struct event *event = lab_event_of(&lab, EVENT_UNGRACEFUL_END);
            CU_ASSERT_TRUE(event != NULL && event->outcome == (version == MQTT_5 ? OUTCOME_KEEPALIVE_TIMEOUT
                                                                                 : OUTCOME_IDLE_TIMEOUT));
            lab_close(&lab);
        }
}

/* ---- attribution -------------------------------------------------------------------------------------- */

/* CVE-2026-67411: an address that a client claims is none. A PROXY header (no listener takes one) ends the
 * connection, and what is logged is where the bytes came from. */
static void claimed_addresses(void)
{
    static const char one[] = "PROXY TCP4 192.0.2.1 192.0.2.2 56324 1883\r\n";
    static const char two[] =
        "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C\xC0\0\x02\x01\xC0\0\x02\x02\xDC\x04\x07\x5B";
    struct policy_role_spec role = office_role();
    for (int form = 0; form < 2; form++) {
        lab_open(&lab, &role, 1);
        struct lab_stream *device = lab_accept(&lab, 17);
        struct mqtt_packet p = lab_connect(MQTT_5, "app-1");
        lab_feed(device, (const uint8_t *)(form == 0 ? one : two),
                 (form == 0 ? sizeof(one) : sizeof(two)) - 1);
        lab_send(device, &p);
        CU_ASSERT_TRUE(device->finished && lab.dials == 0);
        const struct event *event = lab_event_of(&lab, EVENT_PROTOCOL_ERROR);
        CU_ASSERT_PTR_NOT_NULL_FATAL(event);
        const struct ip_address wire = ip_address_v4(0x0A140011);
        CU_ASSERT_TRUE(ip_address_equal(&event->source, &wire));
        CU_ASSERT_TRUE(event->has_mac && event->mac[5] == 17 && event->source_port == 40000);
        lab_close(&lab);
    }
}

/* H2: whoever has the addresses of a segment can make sessions that come to nothing by the thousand. What is
 * told of them is bounded for all together, and what is not told is counted. */
static void strangers_fill_no_disk(void)
{
    struct policy_role_spec role = office_role();
    lab_open(&lab, &role, 1);
    uint32_t told = 0, repeats = 0;
    for (uint32_t i = 0; i <= 300; i++) {
        if (i == 300)
            lab_wait(&lab, SECOND);
        struct lab_stream *device = lab_accept(&lab, (uint8_t)(1 + i % 200));
        lab_feed(device, (const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18);
        CU_ASSERT_TRUE_FATAL(device->finished);
        lab_peer_closes(device, STREAM_END_DONE);
        lab_flush(&lab);
        for (const struct event *event; (event = lab_event_of(&lab, EVENT_PROTOCOL_ERROR)) != NULL;) {
            told++;
            repeats += event->repeats;
        }
        if (i == 299)
            CU_ASSERT_TRUE(told == 100 && repeats == 0);
    }
    CU_ASSERT_EQUAL(told, 101);
    CU_ASSERT_EQUAL(told + repeats, 301);
    lab_close(&lab);
}

static const struct unit_test tests[] = {
    {"topics of the broker's own (CVE-2026-33217, CVE-2026-58214)", internal_topics},
    {"shared subscriptions under a deny (CVE-2022-29946, CVE-2026-58251, CVE-2026-85058)",
     shared_subscriptions},
    {"no rules, no rights (CVE-2026-49186)", no_rules},
    {"lengths that are not kept (CVE-2026-25627, CVE-2021-22116, CVE-2024-42646)", lengths_that_are_not_kept},
    {"clients that hold a place (CVE-2020-13849)", slow_clients},
    {"claimed addresses (CVE-2026-67411)", claimed_addresses},
    {"strangers fill no disk (H2)", strangers_fill_no_disk},
};

int main(void)
{
    return unit_run("relay_regressions", tests, COUNT(tests));
}
