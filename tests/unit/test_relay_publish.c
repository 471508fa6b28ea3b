/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PUBLISH through a relay, both ways: refusals, acknowledgements and their order, aliases, rates (D4 to D8,
 * F2; traps 1.2, 1.3). Payloads and bad deliveries: test_relay_deliver.c. */
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/relay_steps.h"
#include "tests/unit/runner.h"

static struct relay_lab lab;

#define MINE "trucks/017/location"
#define OTHERS "trucks/018/location"

static void open_lab(void)
{
    struct policy_role_spec roles[] = {truck_role(), office_role()};
    lab_open(&lab, roles, 2);
}

/* ---- D4, D7 ------------------------------------------------------------------------------------------- */

static void allowed_publishes(void)
{
    static const enum mqtt_version versions[] = {MQTT_3_1, MQTT_3_1_1, MQTT_5};
    for (int i = 0; i < 3; i++) {
        struct mqtt_packet p;
        open_lab();
        struct lab_session s = lab_session(&lab, versions[i], "truck-017");
        publish(&s, MINE, 0, 0);
        CU_ASSERT_TRUE_FATAL(lab_next(s.upstream, MQTT_FROM_CLIENT, versions[i], &p));
        CU_ASSERT_TRUE(bytes_equal(p.publish.topic, bytes_of_text(MINE)));
        CU_ASSERT_TRUE(bytes_equal(p.publish.payload, bytes_of_text("payload")));
        publish(&s, MINE, 1, 7);
        CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 7));
        CU_ASSERT_TRUE(told_nothing(&s));
        ack(&s, s.upstream, MQTT_PUBACK, 7);
        CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 7, 0));
        ack(&s, s.upstream, MQTT_PUBACK, 7); /* once is enough */
        CU_ASSERT_TRUE(told_nothing(&s));
        lab_close(&lab);
    }
}

static void qos_2_both_ways(void)
{
    struct mqtt_packet p;
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "app-1");
    publish(&s, "news/a", 2, 9);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 9));
    ack(&s, s.upstream, MQTT_PUBREC, 9);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBREC, 9, 0));
    ack(&s, s.device, MQTT_PUBREL, 9);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBREL, 9));
    ack(&s, s.device, MQTT_PUBREL, 9); /* sent again */
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBREL, 9));
    ack(&s, s.upstream, MQTT_PUBCOMP, 9);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBCOMP, 9, 0));
    p = lab_publish(MQTT_3_1_1, "news/b", 2, 9); /* another space of identifiers */
    lab_send(s.upstream, &p);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBLISH, 9, 0));
    ack(&s, s.device, MQTT_PUBREC, 9);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBREC, 9));
    ack(&s, s.upstream, MQTT_PUBREL, 9);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBREL, 9, 0));
    ack(&s, s.device, MQTT_PUBCOMP, 9);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBCOMP, 9));
    CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->from_device[OUTCOME_UNKNOWN_PACKET_ID], 0);
    lab_close(&lab);
}

static void refused_in_version_5(void)
{
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
    publish(&s, OTHERS, 0, 0);
    CU_ASSERT_TRUE(told_nothing(&s));
    publish(&s, OTHERS, 1, 1);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 1, 0x87));
    publish(&s, OTHERS, 2, 2);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBREC, 2, 0x87));
    publish(&s, "news/a", 2, 2); /* the exchange is over, the identifier is free [s.4.3.3] */
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 2));
    CU_ASSERT_TRUE(passed_nothing(&s));
    const struct event *event = lab_event_of(&lab, EVENT_MQTT_PUBLISH_DENIED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    CU_ASSERT_EQUAL(event->outcome, OUTCOME_DEFAULT_DENY);
    CU_ASSERT_TRUE(event->enforced);
    CU_ASSERT_FALSE(event->told); /* QoS 0 */
    CU_ASSERT_TRUE(bytes_equal(bytes_of(event->topic, event->topic_len), bytes_of_text(OTHERS)));
    event = lab_event_of(&lab, EVENT_MQTT_PUBLISH_DENIED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    CU_ASSERT_TRUE(event->told);
    CU_ASSERT_EQUAL(event->reason_code, 0x87);
    lab_close(&lab);
}

/* A grant that is remembered is one for the same message only (G4). */
static void grants_are_remembered_exactly(void)
{
    static const struct acl_rule_spec rules[] = {
        {.id = "small",
         .file = "t.conf",
         .line = 1,
         .allow = true,
         .actions = PUBLISH_BIT,
         .topic = "a/+",
         .qos_mask = 3,
         .retain = 0,
         .will = -1,
         .payload_max = 7},
        {.id = "never",
         .file = "t.conf",
         .line = 2,
         .actions = PUBLISH_BIT,
         .topic = "a/c",
         .retain = -1,
         .will = -1},
    };
    struct policy_role_spec role = office_role();
    struct mqtt_packet p = lab_publish(MQTT_5, "a/b", 1, 1);
    role.rules = rules;
    role.rules_n = 2;
    lab_open(&lab, &role, 1);
    struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
    for (uint16_t id = 1; id <= 3; id++) {
        publish(&s, "a/b", 1, id);
        CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, id));
        ack(&s, s.upstream, MQTT_PUBACK, id);
        CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, id, 0));
    }
    p.publish.payload = bytes_of_text("payload!"); /* one byte above the rule's limit */
    p.publish.payload_bytes = 8;
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 1, 0x97));
    p = lab_publish(MQTT_5, "a/b", 1, 1);
    p.publish.retain = true;
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p) && p.reason_code >= 0x80);
    publish(&s, "a/c", 1, 1);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 1, 0x87));
    publish(&s, "a/b", 2, 1);
    CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p) && p.type == MQTT_PUBREC &&
                   p.reason_code >= 0x80);
    CU_ASSERT_TRUE(passed_nothing(&s));
    lab_close(&lab);
}

/* 3.1.1 has no negative answer: acknowledged and dropped, QoS 2 to its end [3.1.1: 3.3.5-2]. */
static void refused_in_version_3(void)
{
    struct policy_role_spec role = office_role();
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "app-1");
    publish(&s, OTHERS, 1, 1);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 1, 0));
    publish(&s, OTHERS, 2, 2);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBREC, 2, 0));
    struct mqtt_packet again = lab_publish(MQTT_3_1_1, OTHERS, 2, 2);
    again.publish.dup = true;
    lab_send(s.device, &again); /* takes the same path */
    CU_ASSERT_TRUE(told(&s, MQTT_PUBREC, 2, 0));
    ack(&s, s.device, MQTT_PUBREL, 2);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBCOMP, 2, 0));
    CU_ASSERT_TRUE(passed_nothing(&s));
    lab_close(&lab);

    role.refusal = POLICY_REFUSE_DISCONNECT;
    lab_open(&lab, &role, 1);
    s = lab_session(&lab, MQTT_3_1_1, "app-1");
    publish(&s, OTHERS, 1, 1);
    CU_ASSERT_TRUE(told_nothing(&s) && s.device->finished);
    lab_close(&lab);
}

/* [MQTT-4.6.0-2, -3]: our answer waits for the upstream's to earlier messages. */
static void answers_keep_their_order(void)
{
    for (int version = MQTT_3_1_1; version <= MQTT_5; version++) {
        uint8_t code = version == MQTT_5 ? 0x87 : 0;
        open_lab();
        struct lab_session s = lab_session(&lab, (enum mqtt_version)version, "app-1");
        publish(&s, "news/a", 1, 1);
        publish(&s, OTHERS, 1, 2);
        publish(&s, OTHERS, 1, 3);
        publish(&s, "news/a", 1, 4);
        publish(&s, OTHERS, 1, 5);
        CU_ASSERT_TRUE(told_nothing(&s));
        ack(&s, s.upstream, MQTT_PUBACK, 1);
        CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 1, 0));
        CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 2, code));
        CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 3, code));
        CU_ASSERT_TRUE(told_nothing(&s));
        ack(&s, s.upstream, MQTT_PUBACK, 4);
        CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 4, 0));
        CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 5, code));

        publish(&s, "news/a", 2, 6);
        publish(&s, OTHERS, 2, 7);
        publish(&s, OTHERS, 1, 8); /* PUBACKs do not wait for PUBRECs */
        CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 8, code));
        CU_ASSERT_TRUE(told_nothing(&s));
        ack(&s, s.upstream, MQTT_PUBREC, 6);
        CU_ASSERT_TRUE(told(&s, MQTT_PUBREC, 6, 0));
        CU_ASSERT_TRUE(told(&s, MQTT_PUBREC, 7, code));
        CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 1) && passed(&s, MQTT_PUBLISH, 4) &&
                       passed(&s, MQTT_PUBLISH, 6) && passed_nothing(&s));
        if (version == MQTT_3_1_1) {
            ack(&s, s.device, MQTT_PUBREL, 7);
            CU_ASSERT_TRUE(told(&s, MQTT_PUBCOMP, 7, 0));
            CU_ASSERT_TRUE(passed_nothing(&s));
        }
        lab_close(&lab);
    }
}

/* ---- identifiers -------------------------------------------------------------------------------------- */

static void identifiers_in_use(void)
{
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
    publish(&s, "news/a", 1, 1);
    publish(&s, "news/a", 1, 1); /* [MQTT-2.2.1-3] */
    CU_ASSERT_TRUE(told(&s, MQTT_DISCONNECT, 0, 0x82));
    lab_close(&lab);

    open_lab();
    s = lab_session(&lab, MQTT_3_1_1, "app-1");
    publish(&s, "news/a", 1, 1);
    struct mqtt_packet again = lab_publish(MQTT_3_1_1, "news/a", 1, 1);
    again.publish.dup = true;
    lab_send(s.device, &again); /* 3.x clients send again */
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 1) && passed(&s, MQTT_PUBLISH, 1));
    ack(&s, s.upstream, MQTT_PUBACK, 1);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 1, 0));
    publish(&s, "news/a", 1, 1);
    again = lab_publish(MQTT_3_1_1, "news/b", 2, 1);
    again.publish.dup = true;
    lab_send(s.device, &again); /* another QoS is another message */
    CU_ASSERT_TRUE(s.device->finished);
    lab_close(&lab);
}

static void strange_acknowledgements(void)
{
    struct mqtt_packet p;
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
    ack(&s, s.device, MQTT_PUBREL, 77); /* a device that got no answer would loop */
    CU_ASSERT_TRUE(told(&s, MQTT_PUBCOMP, 77, 0x92));
    ack(&s, s.device, MQTT_PUBREC, 78);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBREL, 78, 0x92));
    ack(&s, s.device, MQTT_PUBACK, 79);
    ack(&s, s.device, MQTT_PUBCOMP, 80);
    ack(&s, s.upstream, MQTT_PUBACK, 81);
    ack(&s, s.upstream, MQTT_PUBCOMP, 82);
    CU_ASSERT_TRUE(told_nothing(&s) && passed_nothing(&s));
    ack(&s, s.upstream, MQTT_PUBREC, 83);
    CU_ASSERT_TRUE(told_nothing(&s) && passed(&s, MQTT_PUBREL, 83));
    CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->from_device[OUTCOME_UNKNOWN_PACKET_ID], 4);
    CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->from_upstream[OUTCOME_UNKNOWN_PACKET_ID], 3);
    publish(&s, "news/a", 2, 5);
    ack(&s, s.device, MQTT_PUBREL, 5); /* before PUBREC */
    CU_ASSERT_TRUE(told(&s, MQTT_DISCONNECT, 0, 0x82));
    lab_close(&lab);

    /* A session that the upstream kept may have exchanges under way that we never saw (s.4.4). */
    open_lab();
    p = lab_connect(MQTT_3_1_1, "app-1");
    p.connect.clean_start = false;
    s = (struct lab_session){.version = MQTT_3_1_1, .device = lab_accept(&lab, 17)};
    lab_send(s.device, &p);
    s.upstream = lab.dialled;
    lab_upstream_opens(s.upstream);
    p = lab_connack(MQTT_3_1_1, 0);
    p.connack.session_present = true;
    lab_send(s.upstream, &p);
    CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_3_1_1, &p) && p.connack.session_present);
    s.upstream->out_read = s.upstream->out_n;
    ack(&s, s.device, MQTT_PUBREL, 77);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBREL, 77));
    ack(&s, s.upstream, MQTT_PUBCOMP, 77);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBCOMP, 77, 0));
    ack(&s, s.upstream, MQTT_PUBREL, 78);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBREL, 78, 0));
    ack(&s, s.device, MQTT_PUBCOMP, 78);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBCOMP, 78));
    lab_close(&lab);
}

/* ---- caps (D8, D9) ------------------------------------------------------------------------------------ */

static void qos_above_the_cap(void)
{
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
    publish(&s, MINE, 2, 1); /* it was told Maximum QoS 1 [MQTT-3.2.2-11] */
    CU_ASSERT_TRUE(told(&s, MQTT_DISCONNECT, 0, 0x9B));
    CU_ASSERT_TRUE(passed_nothing(&s) && s.device->finished);
    lab_close(&lab);
    open_lab();
    s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    publish(&s, MINE, 2, 1);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBREC, 1, 0));
    ack(&s, s.device, MQTT_PUBREL, 1);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBCOMP, 1, 0));
    CU_ASSERT_TRUE(passed_nothing(&s));
    const struct event *event = lab_event_of(&lab, EVENT_MQTT_PUBLISH_DENIED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    CU_ASSERT_EQUAL(event->outcome, OUTCOME_QOS_CAP);
    lab_close(&lab);
}

/* Receive Maximum in version 5 [MQTT-3.3.4-9], back pressure before. */
static void too_many_in_flight(void)
{
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
    for (uint16_t id = 1; id <= 4; id++)
        publish(&s, MINE, 1, id);
    CU_ASSERT_TRUE(told(&s, MQTT_DISCONNECT, 0, 0x93));
    lab_close(&lab);
    open_lab();
    s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    for (uint16_t id = 1; id <= 5; id++)
        publish(&s, MINE, 1, id);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 1) && passed(&s, MQTT_PUBLISH, 2) &&
                   passed(&s, MQTT_PUBLISH, 3) && passed_nothing(&s));
    CU_ASSERT_TRUE(s.device->in_n != 0);
    ack(&s, s.upstream, MQTT_PUBACK, 1);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 4) && passed_nothing(&s));
    ack(&s, s.upstream, MQTT_PUBACK, 2);
    ack(&s, s.upstream, MQTT_PUBACK, 3);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 5));
    CU_ASSERT_EQUAL(s.device->in_n, 0);
    lab_close(&lab);
}

/* PUBRELs behind a PUBLISH must not be held back by those that only they can finish. */
static void many_qos_2_do_not_lock(void)
{
    struct policy_role_spec role = office_role();
    role.inflight = 2;
    role.queue = 10;
    lab_open(&lab, &role, 1);
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "app-1");
    for (uint16_t id = 1; id <= 4; id++)
        publish(&s, "news/a", 2, id);
    ack(&s, s.device, MQTT_PUBREL, 1);
    for (uint16_t id = 1; id <= 4; id++)
        ack(&s, s.upstream, MQTT_PUBREC, id);
    for (uint16_t id = 1; id <= 4; id++)
        CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, id));
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBREL, 1));
    CU_ASSERT_EQUAL(s.device->in_n, 0);
    lab_close(&lab);
}

static void topics_too_deep(void)
{
    struct policy_role_spec role = office_role();
    role.limits.topic_levels = 4;
    role.limits.topic_bytes = 20;
    lab_open(&lab, &role, 1);
    struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
    publish(&s, "news/a/b/c", 1, 1);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 1));
    ack(&s, s.upstream, MQTT_PUBACK, 1);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 1, 0));
    publish(&s, "news/a/b/c/d", 1, 2);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 2, 0x90));
    publish(&s, "news/aaaaaaaaaaaaaaaaaaaaaaaa", 1, 3);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 3, 0x90));
    CU_ASSERT_TRUE(passed_nothing(&s));
    lab_close(&lab);
}

/* The role's packet limit is enforced from the fixed header, the upstream's when the packet is rebuilt. */
static void packets_too_large(void)
{
    static const uint8_t announced[] = {0x30, 0xFF, 0xFF, 0x7F};
    struct policy_role_spec role = office_role();
    role.limits.packet_bytes = 4096;
    lab_open(&lab, &role, 1);
    struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
    lab_feed(s.device, announced, sizeof(announced));
    CU_ASSERT_TRUE(told(&s, MQTT_DISCONNECT, 0, 0x95));
    lab_close(&lab);

    open_lab();
    struct mqtt_packet p = lab_connect(MQTT_5, "app-1");
    s = (struct lab_session){.version = MQTT_5, .device = lab_accept(&lab, 17)};
    lab_send(s.device, &p);
    s.upstream = lab.dialled;
    lab_upstream_opens(s.upstream);
    p = lab_connack(MQTT_5, 0);
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_MAX_PACKET_SIZE);
    p.properties.max_packet_bytes = 40;
    lab_send(s.upstream, &p);
    s.device->out_read = s.device->out_n;
    s.upstream->out_read = s.upstream->out_n;
    publish(&s, "news/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1, 1);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 1, 0x97));
    CU_ASSERT_TRUE(passed_nothing(&s));
    lab_close(&lab);
}

/* ---- topic aliases (D6) ------------------------------------------------------------------------------- */

static void alias_publish(struct lab_session *s, const char *topic, uint16_t alias, uint16_t id)
{
    struct mqtt_packet p = lab_publish(MQTT_5, topic, id != 0, id);
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_TOPIC_ALIAS);
    p.properties.topic_alias = alias;
    lab_send(s->device, &p);
}

/* A topic that is refused for its length is not kept, nor is what the alias was before (D9): sixteen of 64
 * KiB would take a mebibyte of what all sessions share. */
static void long_topics_take_no_memory(void)
{
    static char topic[4001];
    memset(topic, 'a', sizeof(topic) - 1);
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
    for (uint16_t alias = 1; alias <= GUARD_TOPIC_ALIASES; alias++)
        alias_publish(&s, MINE, alias, 0);
    uint64_t used = mqtt_relays_buffers_used(lab.relays);
    for (uint16_t alias = 1; alias <= GUARD_TOPIC_ALIASES; alias++)
        alias_publish(&s, topic, alias, 0);
    CU_ASSERT_EQUAL(mqtt_relays_buffers_used(lab.relays), used);
    alias_publish(&s, "", 1, 0);
    CU_ASSERT_TRUE(told(&s, MQTT_DISCONNECT, 0, 0x94));
    lab_close(&lab);
}

static void aliases_end_here(void)
{
    struct mqtt_packet p;
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
    alias_publish(&s, MINE, 3, 0);
    alias_publish(&s, "", 3, 0);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_TRUE_FATAL(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p));
        CU_ASSERT_TRUE(bytes_equal(p.publish.topic, bytes_of_text(MINE)));
        CU_ASSERT_EQUAL(p.properties.present, 0);
    }
    alias_publish(&s, OTHERS, 3, 1); /* refused, but the device believes it is set */
    CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 1, 0x87));
    alias_publish(&s, "", 3, 2);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 2, 0x87));
    CU_ASSERT_TRUE(passed_nothing(&s));
    lab_close(&lab);
    long_topics_take_no_memory();
    for (int i = 0; i < 2; i++) {
        open_lab();
        s = lab_session(&lab, MQTT_5, "truck-017");
        alias_publish(&s, i == 0 ? "" : MINE, i == 0 ? 1 : GUARD_TOPIC_ALIASES + 1, 0);
        CU_ASSERT_TRUE(told(&s, MQTT_DISCONNECT, 0, 0x94)); /* never set; too high */
        lab_close(&lab);
    }
    open_lab();
    s = lab_session(&lab, MQTT_5, "truck-017");
    p = lab_publish(MQTT_5, "trucks/017/cmd/a", 0, 0);
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_TOPIC_ALIAS);
    p.properties.topic_alias = 1;
    lab_send(s.upstream, &p); /* the upstream was allowed none */
    CU_ASSERT_TRUE(told(&s, MQTT_DISCONNECT, 0, 0x82));
    lab_close(&lab);
}

/* D11: a responder would publish there in the requester's name. */
static void response_topics_are_judged(void)
{
    struct mqtt_packet p = lab_publish(MQTT_5, MINE, 1, 1);
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_RESPONSE_TOPIC);
    p.properties.response_topic = bytes_of_text("trucks/018/cmd/stop");
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 1, 0x87));
    p.properties.response_topic = bytes_of_text("trucks/017/cmd/answer");
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 1));
    lab_close(&lab);
}

/* ---- rates (F2) --------------------------------------------------------------------------------------- */

static void over_the_rate(void)
{
    for (int over = POLICY_DELAY; over <= POLICY_QUARANTINE; over++) {
        struct policy_role_spec role = truck_role();
        role.inflight = 20;
        role.limits.rates.of[RATE_PUBLISHES][0] =
            (struct rate){.amount = 5, .period_us = 1000000, .burst = 2};
        role.limits.rates.over = (enum policy_over_limit)over;
        lab_open(&lab, &role, 1);
        struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
        for (uint16_t id = 1; id <= 4; id++)
            publish(&s, MINE, 1, id);
        CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 1) && passed(&s, MQTT_PUBLISH, 2) && passed_nothing(&s));
        if (over == POLICY_DELAY || over == POLICY_DROP) { /* QoS 1 is never dropped for its rate */
            CU_ASSERT_TRUE(told_nothing(&s) && s.device->in_n != 0);
            lab_wait(&lab, 150000);
            CU_ASSERT_TRUE(passed_nothing(&s));
            lab_wait(&lab, 100000);
            CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 3) && passed_nothing(&s));
            lab_wait(&lab, 200000);
            CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 4) && s.device->in_n == 0);
        } else if (over == POLICY_QUOTA) {
            ack(&s, s.upstream, MQTT_PUBACK, 1);
            ack(&s, s.upstream, MQTT_PUBACK, 2);
            CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 1, 0) && told(&s, MQTT_PUBACK, 2, 0));
            CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 3, 0x97) && told(&s, MQTT_PUBACK, 4, 0x97));
            CU_ASSERT_PTR_NOT_NULL(lab_event_of(&lab, EVENT_LIMIT_EXCEEDED));
        } else {
            CU_ASSERT_TRUE(told(&s, MQTT_DISCONNECT, 0, 0x96));
        }
        lab_close(&lab);
    }
}

static void over_the_bytes(void)
{
    struct policy_role_spec role = truck_role();
    role.limits.rates.of[RATE_BYTES][0] = (struct rate){.amount = 100, .period_us = 1000000, .burst = 100};
    lab_open(&lab, &role, 1);
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    for (int i = 0; i < 20; i++) /* 30 bytes each */
        publish(&s, MINE, 0, 0);
    uint64_t at_once = mqtt_relays_counters(lab.relays)->count[RELAY_PUBLISH_UP];
    CU_ASSERT_TRUE(at_once >= 3 && at_once <= 5);
    lab_wait(&lab, 3000000);
    uint64_t later = mqtt_relays_counters(lab.relays)->count[RELAY_PUBLISH_UP];
    CU_ASSERT_TRUE(later >= at_once + 9 && later <= at_once + 11);
    lab_close(&lab);
}

static void floods_of_refusals_are_folded(void)
{
    unsigned int events = 0;
    uint32_t told_of = 0;
    const struct event *event;
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    for (int i = 0; i < 1000; i++) {
        publish(&s, OTHERS, 0, 0);
        if (i % 100 == 99)
            lab_wait(&lab, 300000);
    }
    lab_peer_ends(s.device);
    while ((event = lab_event_of(&lab, EVENT_MQTT_PUBLISH_DENIED)) != NULL) {
        events++;
        told_of += 1 + event->repeats;
    }
    CU_ASSERT_EQUAL(told_of, 1000);
    CU_ASSERT_TRUE(events <= 20);
    lab_close(&lab);
}

/* ---- observe (G6) ------------------------------------------------------------------------------------- */

static void observed_roles_only_record(void)
{
    static const struct acl_rule_spec rules[] = {
        RULE("o.mine", PUBLISH_BIT, "trucks/017/#"),
        {.id = "o.never",
         .file = "t.conf",
         .line = 2,
         .actions = PUBLISH_BIT,
         .topic = "secret/#",
         .retain = -1,
         .will = -1,
         .enforce = true},
    };
    struct policy_role_spec role = truck_role();
    role.mode = POLICY_OBSERVE;
    role.rules = rules;
    role.rules_n = 2;
    lab_open(&lab, &role, 1);
    struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
    publish(&s, OTHERS, 1, 1);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 1));
    publish(&s, MINE, 2, 2); /* above max_qos */
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 2));
    publish(&s, "secret/a", 1, 3);
    CU_ASSERT_TRUE(passed_nothing(&s));
    ack(&s, s.upstream, MQTT_PUBACK, 1);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 1, 0) && told(&s, MQTT_PUBACK, 3, 0x87));
    const struct event *event = lab_event_of(&lab, EVENT_MQTT_PUBLISH_DENIED);
    CU_ASSERT_TRUE(event != NULL && !event->enforced && event->outcome == OUTCOME_DEFAULT_DENY);
    event = lab_event_of(&lab, EVENT_MQTT_PUBLISH_DENIED);
    CU_ASSERT_TRUE(event != NULL && !event->enforced && event->outcome == OUTCOME_QOS_CAP);
    event = lab_event_of(&lab, EVENT_MQTT_PUBLISH_DENIED);
    CU_ASSERT_TRUE(event != NULL && event->enforced && strcmp(event->rule, "o.never") == 0);
    lab_close(&lab);
}

static const struct unit_test tests[] = {
    {"allowed publishes (D12)", allowed_publishes},
    {"QoS 2 both ways (D12)", qos_2_both_ways},
    {"refused in version 5 (D7)", refused_in_version_5},
    {"grants are remembered exactly (G4)", grants_are_remembered_exactly},
    {"refused in version 3 (D7)", refused_in_version_3},
    {"answers keep their order (D7)", answers_keep_their_order},
    {"identifiers in use", identifiers_in_use},
    {"strange acknowledgements", strange_acknowledgements},
    {"QoS above the cap (D8)", qos_above_the_cap},
    {"too many in flight (D8)", too_many_in_flight},
    {"many QoS 2 do not lock (D8)", many_qos_2_do_not_lock},
    {"topics too deep (D9)", topics_too_deep},
    {"packets too large (D9)", packets_too_large},
    {"aliases end here (D6)", aliases_end_here},
    {"response topics are judged (D11)", response_topics_are_judged},
    {"over the rate (F2)", over_the_rate},
    {"over the bytes (F2)", over_the_bytes},
    {"floods of refusals are folded (H2)", floods_of_refusals_are_folded},
    {"observed roles only record (G6)", observed_roles_only_record},
};

int main(void)
{
    return unit_run("relay_publish", tests, sizeof(tests) / sizeof(tests[0]));
}
