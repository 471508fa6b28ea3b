/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Payloads that are read, and deliveries: trimmed, bad and huge ones are acknowledged (D1, D3, D5; traps 1.1,
 * 1.3). */
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/relay_steps.h"
#include "tests/unit/runner.h"

static struct relay_lab lab;

#define MINE "trucks/017/location"

static void open_lab(void)
{
    struct policy_role_spec roles[] = {truck_role(), office_role()};
    lab_open(&lab, roles, 2);
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

static const struct unit_test tests[] = {
    {"payloads are read where asked (D3)", payloads_are_read_where_asked},
    {"held payloads wait for the upstream (D1, D3)", held_payloads_wait_for_the_upstream},
    {"payloads too large to be read (D1, D3)", payloads_too_large_to_be_read},
    {"deliveries are trimmed (D3, D5)", deliveries_are_trimmed},
    {"bad deliveries are acknowledged (D3)", bad_deliveries_are_acknowledged},
    {"huge deliveries are acknowledged (D3)", huge_deliveries_are_acknowledged},
};

int main(void)
{
    return unit_run("relay_deliver", tests, sizeof(tests) / sizeof(tests[0]));
}
