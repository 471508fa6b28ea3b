/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PUBLISH through a relay, both ways: refusals, acknowledgements and their order, aliases, rates (D3 to D8,
 * F2; traps 1.2, 1.3). */
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

/* ---- payloads (D3) ------------------------------------------------------------------------------------ */

static void payloads_are_read_where_asked(void)
{
    static const struct {
        const char *name;
        const char *topic;
        const char *payload;
        bool marked;
        bool good;
    } cases[] = {
        {"any", MINE, "\xC0\x80", false, true},
        {"marked as text, C0 80", MINE, "\xC0\x80", true, false},
        {"marked as text", MINE, "gr\xC3\xBC\xC3\x9F", true, true},
        {"json", "trucks/017/json", "{\"a\": [1, 2.5e3, null]}", false, true},
        {"not json", "trucks/017/json", "{\"a\": }", false, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (int split = 0; split < 2; split++) {
            uint8_t bytes[128];
            struct mqtt_packet p = lab_publish(MQTT_5, cases[i].topic, 1, 1);
            open_lab();
            struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
            p.publish.payload = bytes_of_text(cases[i].payload);
            p.publish.payload_bytes = (uint32_t)strlen(cases[i].payload);
            if (cases[i].marked) {
                p.properties.present = MQTT_PROP_BIT(MQTT_PROP_PAYLOAD_FORMAT);
                p.properties.payload_format = 1;
            }
            size_t n = mqtt_build(bytes, sizeof(bytes), &p, MQTT_5);
            memcpy(bytes + n, cases[i].payload, p.publish.payload_bytes);
            n += p.publish.payload_bytes;
            if (split)
                for (size_t at = 0; at < n; at++)
                    lab_feed(s.device, bytes + at, 1);
            else
                lab_feed(s.device, bytes, n);
            if (cases[i].good) {
                CU_ASSERT_TRUE_FATAL(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p));
                CU_ASSERT_TRUE(bytes_equal(p.publish.payload, bytes_of_text(cases[i].payload)));
            } else {
                CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 1, 0x99));
                CU_ASSERT_TRUE(passed_nothing(&s));
            }
            lab_close(&lab);
        }
}

/* A PUBLISH to `topic` that is marked as text, with a payload of n bytes: its bytes, as many as *len. */
static const uint8_t *large_text(const char *topic, uint8_t qos, uint32_t n, size_t *len)
{
    static uint8_t bytes[3 << 20];
    struct mqtt_packet p = lab_publish(MQTT_5, topic, qos, qos != 0 ? 7 : 0);
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_PAYLOAD_FORMAT);
    p.properties.payload_format = 1;
    p.publish.payload_bytes = n;
    *len = mqtt_build(bytes, sizeof(bytes), &p, MQTT_5);
    memset(bytes + *len, 't', n);
    *len += n;
    return bytes;
}

static void feed_in_pieces(struct lab_stream *s, const uint8_t *at, size_t n)
{
    for (size_t piece; n != 0; at += piece, n -= piece) {
        piece = n < 4000 ? n : 4000;
        lab_feed(s, at, piece);
        lab_flush(&lab);
    }
}

/* Held until it is whole, then on its way to an upstream that takes little at a time: the buffer goes along,
 * and what has to go behind it does. */
static void held_payloads_wait_for_the_upstream(void)
{
    struct policy_role_spec role = office_role();
    static const struct acl_rule_spec write_only[] = {RULE("write", PUBLISH_BIT, "news/#")};
    static const char *const filters[] = {"news/#", NULL};
    const uint32_t n = 700000;
    size_t len;
    role.limits.packet_bytes = 1 << 20;
    lab_open(&lab, &role, 1);
    struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
    struct mqtt_packet p = lab_subscribe(MQTT_5, MQTT_SUBSCRIBE, 3, 0, filters);
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(passed(&s, MQTT_SUBSCRIBE, 3));
    p = lab_suback(MQTT_5, MQTT_SUBACK, 3, (const uint8_t[]){0}, 1);
    lab_send(s.upstream, &p);
    const uint8_t *bytes = large_text("news/a", 1, n, &len);
    s.upstream->room = 0;
    feed_in_pieces(s.device, bytes, len - 1);
    CU_ASSERT_TRUE(passed_nothing(&s));
    lab_feed(s.device, bytes + len - 1, 1);
    lab_flush(&lab);
    uint64_t used = mqtt_relays_buffers_used(lab.relays);
    CU_ASSERT_TRUE(used >= n && used < (1 << 20) + 65536); /* once */
    publish(&s, "news/b", 1, 8);                           /* is not read before there is room */
    role.rules = write_only;
    role.rules_n = 1;
    lab_policy(&lab, &role, 1); /* takes a subscription back: that goes behind the payload */
    CU_ASSERT_TRUE(passed_nothing(&s));
    for (int i = 0; i < 1000 && s.upstream->out_n < len; i++) {
        lab_drain(s.upstream, 1000);
        lab_flush(&lab);
    }
    lab_drain(s.upstream, LAB_OUT_BYTES);
    lab_flush(&lab);
    CU_ASSERT_TRUE_FATAL(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p));
    CU_ASSERT_TRUE(p.type == MQTT_PUBLISH && p.packet_id == 7 && p.publish.payload.len == n);
    CU_ASSERT_TRUE(p.publish.payload.at[0] == 't' && p.publish.payload.at[n - 1] == 't');
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p) && p.type == MQTT_UNSUBSCRIBE);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 8) && passed_nothing(&s));
    lab_close(&lab);
}

/* What is above the packet limit, or above what can be held, is refused and not read (D1). */
static void payloads_too_large_to_be_read(void)
{
    struct policy_role_spec role = office_role();
    static const struct {
        uint32_t packet_bytes, payload;
        bool up, down; /* passed on */
    } cases[] = {
        {100000, 99000, true, true},
        {8 << 20, 1000000, true, true},
        {8 << 20, 1100000, false, false}, /* a quarter of the memory for all */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mqtt_packet p;
        size_t len;
        role.limits.packet_bytes = cases[i].packet_bytes;
        lab_open(&lab, &role, 1);
        struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
        const uint8_t *bytes = large_text("news/a", 1, cases[i].payload, &len);
        feed_in_pieces(s.device, bytes, len);
        if (cases[i].up) {
            CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 7) && told_nothing(&s));
        } else {
            CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 7, 0x97) && passed_nothing(&s));
        }
        CU_ASSERT_TRUE(mqtt_relays_buffers_used(lab.relays) < 65536);
        s.device->out_n = s.device->out_read = 0;
        feed_in_pieces(s.upstream, bytes, len);
        if (cases[i].down) {
            CU_ASSERT_TRUE(told(&s, MQTT_PUBLISH, 7, 0) && passed_nothing(&s));
        } else { /* acknowledged, or it would come again for ever */
            CU_ASSERT_TRUE(told_nothing(&s) && passed(&s, MQTT_PUBACK, 7));
        }
        p = lab_publish(MQTT_5, "news/b", 0, 0);
        lab_send(s.upstream, &p);
        CU_ASSERT_TRUE(told(&s, MQTT_PUBLISH, 0, 0));
        lab_close(&lab);
    }
    role.limits.packet_bytes = 100000; /* a delivery may be larger, but not when it must be read */
    lab_open(&lab, &role, 1);
    struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
    size_t len;
    const uint8_t *bytes = large_text("news/a", 1, 100001, &len);
    feed_in_pieces(s.upstream, bytes, len);
    CU_ASSERT_TRUE(told_nothing(&s) && passed(&s, MQTT_PUBACK, 7));
    const struct event *event = lab_event_of(&lab, EVENT_MQTT_DELIVERY_DENIED);
    CU_ASSERT_TRUE(event != NULL && event->outcome == OUTCOME_PAYLOAD_TOO_LARGE);
    lab_close(&lab);
}

/* ---- deliveries (D3, D5) ------------------------------------------------------------------------------ */

static void deliveries_are_trimmed(void)
{
    for (int version = MQTT_3_1_1; version <= MQTT_5; version++) {
        struct mqtt_packet p;
        open_lab();
        struct lab_session s = lab_session(&lab, (enum mqtt_version)version, "truck-017");
        for (uint8_t qos = 0; qos <= 2; qos++) {
            p = lab_publish(s.version, "trucks/018/cmd/stop", qos, qos);
            lab_send(s.upstream, &p);
        }
        CU_ASSERT_TRUE(told_nothing(&s));
        /* Acknowledged for the device, or it would come again for ever. */
        CU_ASSERT_TRUE(passed(&s, MQTT_PUBACK, 1) && passed(&s, MQTT_PUBREC, 2));
        ack(&s, s.upstream, MQTT_PUBREL, 2);
        CU_ASSERT_TRUE(told_nothing(&s) && passed(&s, MQTT_PUBCOMP, 2));
        p = lab_publish(s.version, "trucks/017/cmd/go", 1, 9);
        lab_send(s.upstream, &p);
        CU_ASSERT_TRUE(told(&s, MQTT_PUBLISH, 9, 0));
        p = lab_publish(s.version, "trucks/018/cmd/stop", 1, 10);
        lab_send(s.upstream, &p);
        CU_ASSERT_TRUE(passed_nothing(&s)); /* in order: after the device's */
        ack(&s, s.device, MQTT_PUBACK, 9);
        CU_ASSERT_TRUE(passed(&s, MQTT_PUBACK, 9) && passed(&s, MQTT_PUBACK, 10));
        CU_ASSERT_PTR_NOT_NULL(lab_event_of(&lab, EVENT_MQTT_DELIVERY_DENIED));
        lab_close(&lab);
    }
}

/* A broker that passes on what it should not: acknowledged in the device's place, whole or in pieces, or it
 * would come again with every connection (D3; CVE-2017-7653, CVE-2026-67418). */
static void bad_deliveries_are_acknowledged(void)
{
    static const struct {
        const char *name;
        uint8_t bytes[16];
        uint8_t len;
        enum mqtt_type answer;
    } cases[] = {
        {"topic C0 80, QoS 0", {0x30, 6, 0, 2, 0xC0, 0x80, 0, 'x'}, 8, MQTT_RESERVED},
        {"topic C0 80, QoS 1", {0x32, 8, 0, 2, 0xC0, 0x80, 0, 7, 0, 'x'}, 10, MQTT_PUBACK},
        {"topic C0 80, QoS 2", {0x34, 8, 0, 2, 0xC0, 0x80, 0, 7, 0, 'x'}, 10, MQTT_PUBREC},
        {"wildcard in the topic", {0x32, 7, 0, 1, '#', 0, 7, 0, 'x'}, 9, MQTT_PUBACK},
        {"property twice", {0x32, 10, 0, 1, 'a', 0, 7, 4, 1, 0, 1, 0}, 12, MQTT_PUBACK},
        {"unknown property", {0x32, 8, 0, 1, 'a', 0, 7, 2, 0x7F, 0}, 10, MQTT_PUBACK},
        {"alias 0", {0x32, 9, 0, 1, 'a', 0, 7, 3, 0x23, 0, 0}, 11, MQTT_PUBACK},
        {"properties past the end", {0x32, 8, 0, 1, 'a', 0, 7, 3, 1, 0}, 10, MQTT_PUBACK},
        {"no length of properties", {0x34, 5, 0, 1, 'a', 0, 7}, 7, MQTT_PUBREC},
        {"length of properties not minimal", {0x34, 8, 0, 1, 'a', 0, 7, 0x80, 0, 'x'}, 10, MQTT_PUBREC},
        {"length of properties of five bytes",
         {0x32, 10, 0, 1, 'a', 0, 7, 0xFF, 0xFF, 0xFF, 0xFF, 1},
         12,
         MQTT_PUBACK},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t cut = 0; cut < cases[i].len; cut++) {
            struct mqtt_packet p;
            open_lab();
            struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
            lab_feed(s.upstream, cases[i].bytes, cut);
            lab_feed(s.upstream, cases[i].bytes + cut, cases[i].len - cut);
            lab_flush(&lab);
            CU_ASSERT_TRUE(told_nothing(&s));
            if (cases[i].answer != MQTT_RESERVED)
                CU_ASSERT_TRUE(passed(&s, cases[i].answer, 7));
            if (cases[i].answer == MQTT_PUBREC) {
                ack(&s, s.upstream, MQTT_PUBREL, 7);
                CU_ASSERT_TRUE(passed(&s, MQTT_PUBCOMP, 7));
            }
            const struct event *event = lab_event_of(&lab, EVENT_MQTT_DELIVERY_DENIED);
            CU_ASSERT_TRUE(event != NULL && event->enforced);
            p = lab_publish(MQTT_5, "trucks/017/cmd/go", 0, 0); /* and life goes on */
            lab_send(s.upstream, &p);
            CU_ASSERT_TRUE(told(&s, MQTT_PUBLISH, 0, 0));
            lab_close(&lab);
        }
}

/* More properties, or a longer topic, than is gathered: the same, at any cut. */
static void huge_deliveries_are_acknowledged(void)
{
    static uint8_t bytes[200000];
    static const size_t cuts[] = {0, 1, 4, 6, 8, 9, 10, 11, 12, 300, 65530, 65536, 65545, 65550, 70000};
    for (int topic = 0; topic < 2; topic++)
        for (uint8_t qos = 0; qos <= 2; qos++)
            for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
                struct mqtt_packet p;
                open_lab();
                struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
                memset(bytes, 'p', sizeof(bytes));
                size_t at = 0;
                size_t name = topic ? 65535 : 1;
                /* topic, identifier, properties of 70000 bytes, the rest payload */
                size_t length = 2 + name + (qos != 0 ? 2 : 0) + 3 + 70000 + 9000;
                bytes[at++] = (uint8_t)(0x30 | qos << 1);
                bytes[at++] = (uint8_t)(length | 0x80);
                bytes[at++] = (uint8_t)(length >> 7 | 0x80);
                bytes[at++] = (uint8_t)(length >> 14);
                bytes[at++] = (uint8_t)(name >> 8);
                bytes[at++] = (uint8_t)name;
                at += name;
                if (qos != 0) {
                    bytes[at++] = 0;
                    bytes[at++] = 7;
                }
                bytes[at++] = (uint8_t)(70000 | 0x80);
                bytes[at++] = (uint8_t)(70000 >> 7 | 0x80);
                bytes[at++] = (uint8_t)(70000 >> 14);
                size_t n = 4 + length;
                lab_feed(s.upstream, bytes, cuts[i]);
                lab_feed(s.upstream, bytes + cuts[i], n - cuts[i]);
                lab_flush(&lab);
                CU_ASSERT_TRUE(told_nothing(&s));
                if (qos != 0)
                    CU_ASSERT_TRUE(passed(&s, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, 7));
                p = lab_publish(MQTT_5, "trucks/017/cmd/go", 0, 0);
                lab_send(s.upstream, &p);
                CU_ASSERT_TRUE(told(&s, MQTT_PUBLISH, 0, 0));
                const struct event *event = lab_event_of(&lab, EVENT_LIMIT_EXCEEDED);
                CU_ASSERT_TRUE(event != NULL && event->outcome == OUTCOME_PACKET_TOO_LARGE);
                lab_close(&lab);
            }
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
    {"payloads are read where asked (D3)", payloads_are_read_where_asked},
    {"held payloads wait for the upstream (D1, D3)", held_payloads_wait_for_the_upstream},
    {"payloads too large to be read (D1, D3)", payloads_too_large_to_be_read},
    {"deliveries are trimmed (D3, D5)", deliveries_are_trimmed},
    {"bad deliveries are acknowledged (D3)", bad_deliveries_are_acknowledged},
    {"huge deliveries are acknowledged (D3)", huge_deliveries_are_acknowledged},
    {"over the rate (F2)", over_the_rate},
    {"over the bytes (F2)", over_the_bytes},
    {"floods of refusals are folded (H2)", floods_of_refusals_are_folded},
    {"observed roles only record (G6)", observed_roles_only_record},
};

int main(void)
{
    return unit_run("relay_publish", tests, sizeof(tests) / sizeof(tests[0]));
}
