/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Canonical encoding (D11). That every accepted packet is built again is checked beside the decoders
 * (mqtt_case.h). */
#include "policy/mqtt/writer.h"
#include "tests/unit/mqtt_vector.h"
#include "tests/unit/runner.h"

static struct mqtt_packet decoded(struct vector v, enum mqtt_sender sender, enum mqtt_version version)
{
    struct mqtt_framer f;
    struct mqtt_packet packet;
    struct cursor in = cursor_of(bytes_of(v.at, v.len));
    mqtt_framer_init(&f, sender, version, UINT32_C(1) << 28, UINT32_C(1) << 28);
    CU_ASSERT_EQUAL_FATAL(mqtt_framer_next(&f, &in, &packet), MQTT_STEP_PACKET);
    return packet;
}

static bool is(const uint8_t *at, size_t n, const char *notation)
{
    struct vector v = vector_of(notation);
    bool same = bytes_equal(bytes_of(at, n), bytes_of(v.at, v.len));
    if (!same) {
        fprintf(stderr, "\nexpected %s, got", notation);
        for (size_t i = 0; i < n; i++)
            fprintf(stderr, " %02x", at[i]);
        fprintf(stderr, "\n");
    }
    free(v.at);
    return same;
}

/* In exactly enough room it is built, in any less it is not, and not a byte is written beyond. */
static void check_room(const struct mqtt_packet *packet, enum mqtt_version version)
{
    uint8_t whole[512];
    size_t n = mqtt_build(whole, sizeof(whole), packet, version);
    CU_ASSERT_TRUE_FATAL(n != 0);
    CU_ASSERT_TRUE(n <= mqtt_build_bound(packet));
    for (size_t room = 0; room <= n; room++) {
        uint8_t *to = malloc(room);
        CU_ASSERT_PTR_NOT_NULL_FATAL(to);
        CU_ASSERT_EQUAL(mqtt_build(to, room, packet, version), room == n ? n : 0);
        if (room == n)
            CU_ASSERT_TRUE(memcmp(to, whole, n) == 0);
        free(to);
    }
}

static const struct {
    enum mqtt_sender sender;
    enum mqtt_version version;
    const char *packet;
} good[] = {
    {MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, "10 < ['MQIsdp'] 03 F6 0000 ['c'] ['w'] ['p'] ['u'] ['p'] >"},
    {MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, "10 < ['MQTT'] 04 F6 0000 ['c'] ['w'] ['p'] ['u'] ['p'] >"},
    {MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN,
     "10 < ['MQTT'] 05 F6 0000 < 21 0001 26 ['a'] ['b'] > ['c'] < 18 00000001 26 ['a'] ['b'] > ['w'] ['p'] "
     "['u'] ['p'] >"},
    {MQTT_FROM_SERVER, MQTT_3_1_1, "20 < 01 00 >"},
    {MQTT_FROM_SERVER, MQTT_5, "20 < 01 00 < 12 ['c'] 24 01 26 ['a'] ['b'] > >"},
    {MQTT_FROM_CLIENT, MQTT_3_1_1, "33 < ['topic'] 0001 >"},
    {MQTT_FROM_SERVER, MQTT_5,
     "33 < ['topic'] 0001 < 01 00 02 00000001 08 ['r'] 0B 8001 0B 02 23 0001 26 ['a'] ['b'] > >"},
    {MQTT_FROM_CLIENT, MQTT_5, "50 < 0001 87 < 1F ['no'] > >"},
    {MQTT_FROM_CLIENT, MQTT_5, "62 < 0001 >"},
    {MQTT_FROM_CLIENT, MQTT_5, "82 < 0001 < 0B 01 > ['a'] 00 ['b'] 2D >"},
    {MQTT_FROM_SERVER, MQTT_5, "90 < 0001 < 1F ['x'] > 00 87 >"},
    {MQTT_FROM_CLIENT, MQTT_3_1_1, "A2 < 0001 ['a'] ['b'] >"},
    {MQTT_FROM_SERVER, MQTT_3_1_1, "B0 < 0001 >"},
    {MQTT_FROM_CLIENT, MQTT_3_1_1, "C0 <>"},
    {MQTT_FROM_CLIENT, MQTT_5, "E0 < 04 < 11 00000000 > >"},
    {MQTT_FROM_CLIENT, MQTT_5, "F0 < 18 < 15 ['m'] 16 [00] > >"},
};

static void test_room(void)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct vector v = vector_of(good[i].packet);
        struct mqtt_packet packet = decoded(v, good[i].sender, good[i].version);
        check_room(&packet, packet.version);
        free(v.at);
    }
}

/* Where the Remaining Length and the property length need a byte more. */
static void test_length_borders(void)
{
    static uint8_t text[65536], to[66000];
    static const size_t borders[] = {127, 128, 16383, 16384};
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < sizeof(borders) / sizeof(borders[0]); i++) {
        struct mqtt_packet packet, again;
        struct vector v = vector_of("10 < ['MQTT'] 04 02 0000 ['c'] >");
        packet = decoded(v, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN);
        packet.connect.client_id = bytes_of(text, borders[i] - 12);
        size_t n = mqtt_build(to, sizeof(to), &packet, MQTT_3_1_1);
        CU_ASSERT_EQUAL(n, 1 + vbi_size(borders[i]) + borders[i]);
        again = decoded((struct vector){.at = to, .len = n}, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN);
        CU_ASSERT_EQUAL(again.connect.client_id.len, borders[i] - 12);
        free(v.at);
        v = vector_of("40 < 0001 87 < 1F ['r'] > >");
        packet = decoded(v, MQTT_FROM_CLIENT, MQTT_5);
        packet.properties.reason_string = bytes_of(text, borders[i] - 3);
        n = mqtt_build(to, sizeof(to), &packet, MQTT_5);
        size_t body = 3 + vbi_size(borders[i]) + borders[i];
        CU_ASSERT_EQUAL(n, 1 + vbi_size(body) + body);
        again = decoded((struct vector){.at = to, .len = n}, MQTT_FROM_CLIENT, MQTT_5);
        CU_ASSERT_EQUAL(again.properties.reason_string.len, borders[i] - 3);
        free(v.at);
    }
}

/* The relay sets and clears fields and bits; what is built follows. */
static void test_changes(void)
{
    uint8_t to[256];
    struct vector v =
        vector_of("3D < ['a'] 0001 < 02 00000001 08 ['r'] 23 0005 26 ['k'] ['v'] 26 ['k'] ['w'] > 'pay' >");
    struct mqtt_packet packet = decoded(v, MQTT_FROM_CLIENT, MQTT_5);
    packet.properties.present &=
        ~(MQTT_PROP_BIT(MQTT_PROP_TOPIC_ALIAS) | MQTT_PROP_BIT(MQTT_PROP_USER_PROPERTY) |
          MQTT_PROP_BIT(MQTT_PROP_RESPONSE_TOPIC));
    packet.properties.present |= MQTT_PROP_BIT(MQTT_PROP_CONTENT_TYPE);
    packet.properties.content_type = bytes_of_text("t");
    packet.properties.message_expiry_s = 258;
    packet.publish.topic = bytes_of_text("other");
    packet.publish.dup = false;
    packet.packet_id = 9;
    size_t n = mqtt_build(to, sizeof(to), &packet, MQTT_5);
    /* The length counts the payload, which the caller sends. */
    CU_ASSERT_TRUE(is(to, n, "35 16 ['other'] 0009 < 02 00000102 03 ['t'] >"));
    /* A property of another packet type is not written, whatever the bits say. */
    packet.properties.present |=
        MQTT_PROP_BIT(MQTT_PROP_SERVER_REFERENCE) | MQTT_PROP_BIT(MQTT_PROP_WILL_DELAY);
    packet.properties.server_reference = bytes_of_text("elsewhere");
    CU_ASSERT_EQUAL(mqtt_build(to, sizeof(to), &packet, MQTT_5), n);
    CU_ASSERT_TRUE(is(to, n, "35 16 ['other'] 0009 < 02 00000102 03 ['t'] >"));
    /* DUP says nothing at QoS 0 [3.3.1-2]. */
    packet.publish.dup = true;
    packet.publish.qos = 0;
    packet.properties.present = 0;
    n = mqtt_build(to, sizeof(to), &packet, MQTT_5);
    CU_ASSERT_TRUE(is(to, n, "31 0B ['other'] <>"));
    free(v.at);
}

/* Properties, codes and options that do not exist in 3.x are left out. */
static void test_downgrade(void)
{
    static const struct {
        enum mqtt_sender sender;
        const char *from;
        enum mqtt_version to;
        const char *built;
    } rows[] = {
        {MQTT_FROM_CLIENT, "32 < ['a'] 0001 < 01 01 26 ['k'] ['v'] > >", MQTT_3_1_1, "32 < ['a'] 0001 >"},
        {MQTT_FROM_CLIENT, "40 < 0001 87 < 1F ['r'] > >", MQTT_3_1_1, "40 < 0001 >"},
        {MQTT_FROM_CLIENT, "82 < 0001 < 0B 01 > ['a'] 2D >", MQTT_3_1_1, "82 < 0001 ['a'] 01 >"},
        {MQTT_FROM_SERVER, "90 < 0001 <> 01 87 80 >", MQTT_3_1_1, "90 < 0001 01 80 80 >"},
        {MQTT_FROM_SERVER, "90 < 0001 <> 01 87 >", MQTT_3_1, ""},
        {MQTT_FROM_SERVER, "B0 < 0001 <> 00 11 >", MQTT_3_1_1, "B0 < 0001 >"},
        {MQTT_FROM_SERVER, "20 < 01 00 < 13 0001 > >", MQTT_3_1_1, "20 < 01 00 >"},
        {MQTT_FROM_SERVER, "20 < 01 00 < 13 0001 > >", MQTT_3_1, "20 < 00 00 >"},
        {MQTT_FROM_SERVER, "20 < 00 87 <> >", MQTT_3_1_1, "20 < 00 05 >"},
        {MQTT_FROM_CLIENT, "E0 < 04 <> >", MQTT_3_1_1, "E0 <>"},
        {MQTT_FROM_CLIENT, "F0 < 18 < 15 ['m'] > >", MQTT_3_1_1, ""},
        {MQTT_FROM_CLIENT, "30 < [] < 23 0001 > >", MQTT_3_1_1, ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t to[256];
        struct vector v = vector_of(rows[i].from);
        struct mqtt_packet packet = decoded(v, rows[i].sender, MQTT_5);
        CU_ASSERT_TRUE(is(to, mqtt_build(to, sizeof(to), &packet, rows[i].to), rows[i].built));
        free(v.at);
    }
}

static struct mqtt_packet publish_of(struct bytes topic, uint8_t qos, uint16_t packet_id)
{
    struct mqtt_packet packet;
    memset(&packet, 0, sizeof(packet));
    packet.type = MQTT_PUBLISH;
    packet.publish.topic = topic;
    packet.publish.qos = qos;
    packet.packet_id = packet_id;
    return packet;
}

/* What no version can say is not built. */
static void test_unsayable(void)
{
    static uint8_t to[200000], text[65536];
    struct bytes a = bytes_of_text("a");
    struct mqtt_packet packet = publish_of(a, 0, 0);
    memset(text, 'x', sizeof(text));
    CU_ASSERT_EQUAL(mqtt_build(to, sizeof(to), &packet, MQTT_3_1_1), 5);
    packet = publish_of(bytes_of(text, 65535), 0, 0);
    CU_ASSERT_EQUAL(mqtt_build(to, sizeof(to), &packet, MQTT_3_1_1), 1 + 3 + 2 + 65535);
    packet = publish_of(bytes_of(text, 65536), 0, 0);
    CU_ASSERT_EQUAL(mqtt_build(to, sizeof(to), &packet, MQTT_3_1_1), 0);
    packet = publish_of(bytes_of(NULL, 0), 0, 0);
    CU_ASSERT_EQUAL(mqtt_build(to, sizeof(to), &packet, MQTT_5), 0);
    packet = publish_of(a, 1, 0);
    CU_ASSERT_EQUAL(mqtt_build(to, sizeof(to), &packet, MQTT_3_1_1), 0);
    packet = publish_of(a, 3, 1);
    CU_ASSERT_EQUAL(mqtt_build(to, sizeof(to), &packet, MQTT_3_1_1), 0);
    packet = publish_of(a, 0, 0);
    packet.publish.payload_bytes = VBI_MAX - 3;
    CU_ASSERT_TRUE(is(to, mqtt_build(to, sizeof(to), &packet, MQTT_3_1_1), "30 FFFFFF7F ['a']"));
    packet.publish.payload_bytes = VBI_MAX - 2;
    CU_ASSERT_EQUAL(mqtt_build(to, sizeof(to), &packet, MQTT_3_1_1), 0);
    memset(&packet, 0, sizeof(packet));
    CU_ASSERT_EQUAL(mqtt_build(to, sizeof(to), &packet, MQTT_5), 0); /* type 0 */
    packet.type = MQTT_SUBSCRIBE;
    packet.packet_id = 1;
    CU_ASSERT_EQUAL(mqtt_build(to, sizeof(to), &packet, MQTT_5), 0); /* no filter [3.8.3-2] */
    packet.list = bytes_of("\x00\x05"
                           "a",
                           3);
    CU_ASSERT_EQUAL(mqtt_build(to, sizeof(to), &packet, MQTT_5), 0); /* a list that is none */
    packet.type = MQTT_PUBACK;
    packet.packet_id = 0;
    CU_ASSERT_EQUAL(mqtt_build(to, sizeof(to), &packet, MQTT_5), 0);
    packet.type = MQTT_AUTH;
    packet.reason_code = 0x18;
    CU_ASSERT_EQUAL(mqtt_build(to, sizeof(to), &packet, MQTT_5), 0); /* no method */
    packet.reason_code = 0x87;
    packet.properties.present = MQTT_PROP_BIT(MQTT_PROP_AUTH_METHOD);
    CU_ASSERT_EQUAL(mqtt_build(to, sizeof(to), &packet, MQTT_5), 0); /* no such code */
    packet.type = MQTT_CONNECT;
    packet.properties.present = 0;
    CU_ASSERT_EQUAL(mqtt_build(to, sizeof(to), &packet, MQTT_VERSION_UNKNOWN), 0);
    packet.connect.has_password = true;
    CU_ASSERT_EQUAL(mqtt_build(to, sizeof(to), &packet, MQTT_3_1_1), 0);
    CU_ASSERT_TRUE(mqtt_build(to, sizeof(to), &packet, MQTT_5) != 0);
    packet.connect.will.present = true;
    CU_ASSERT_EQUAL(mqtt_build(to, sizeof(to), &packet, MQTT_5), 0); /* a Will without topic */
}

/* Credentials, Will and limits that the gateway adds (C5). */
static void test_added_to_connect(void)
{
    uint8_t to[256];
    struct vector v = vector_of("10 < ['MQTT'] 05 02 003C <> ['c1'] >");
    struct mqtt_packet packet = decoded(v, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN);
    packet.connect.has_user_name = packet.connect.has_password = true;
    packet.connect.user_name = bytes_of_text("u");
    packet.connect.password = bytes_of("\x00\xFF", 2);
    packet.connect.client_id = bytes_of_text("gw-c1");
    packet.connect.will.present = true;
    packet.connect.will.qos = 1;
    packet.connect.will.topic = bytes_of_text("w");
    packet.connect.will.payload = bytes_of_text("gone");
    packet.properties.present |= MQTT_PROP_BIT(MQTT_PROP_RECEIVE_MAXIMUM);
    packet.properties.receive_maximum = 20;
    CU_ASSERT_TRUE(is(to, mqtt_build(to, sizeof(to), &packet, MQTT_5),
                      "10 < ['MQTT'] 05 CE 003C < 21 0014 > ['gw-c1'] <> ['w'] ['gone'] ['u'] [00FF] >"));
    CU_ASSERT_TRUE(is(to, mqtt_build(to, sizeof(to), &packet, MQTT_3_1_1),
                      "10 < ['MQTT'] 04 CE 003C ['gw-c1'] ['w'] ['gone'] ['u'] [00FF] >"));
    CU_ASSERT_TRUE(is(to, mqtt_build(to, sizeof(to), &packet, MQTT_3_1),
                      "10 < ['MQIsdp'] 03 CE 003C ['gw-c1'] ['w'] ['gone'] ['u'] [00FF] >"));
    free(v.at);
}

static void test_answers(void)
{
    uint8_t to[64];
    const uint8_t codes[] = {0x01, 0x87, 0x96};
    const size_t room = sizeof(to);
    CU_ASSERT_TRUE(is(to, mqtt_build_connack(to, room, MQTT_3_1_1, 5), "20 < 00 05 >"));
    CU_ASSERT_TRUE(is(to, mqtt_build_connack(to, room, MQTT_VERSION_UNKNOWN, 1), "20 < 00 01 >"));
    CU_ASSERT_TRUE(is(to, mqtt_build_connack(to, room, MQTT_3_1_1, 0x87), "20 < 00 05 >"));
    CU_ASSERT_TRUE(is(to, mqtt_build_connack(to, room, MQTT_5, 0x87), "20 < 00 87 <> >"));
    CU_ASSERT_TRUE(is(to, mqtt_build_connack(to, room, MQTT_5, 0x8D), "20 < 00 80 <> >"));
    CU_ASSERT_TRUE(is(to, mqtt_build_ack(to, room, MQTT_3_1_1, MQTT_PUBACK, 258, 0x87), "40 < 0102 >"));
    CU_ASSERT_TRUE(is(to, mqtt_build_ack(to, room, MQTT_5, MQTT_PUBACK, 258, 0x87), "40 < 0102 87 >"));
    CU_ASSERT_TRUE(is(to, mqtt_build_ack(to, room, MQTT_5, MQTT_PUBACK, 258, 0x00), "40 < 0102 >"));
    CU_ASSERT_TRUE(is(to, mqtt_build_ack(to, room, MQTT_5, MQTT_PUBREC, 1, 0x96), "50 < 0001 97 >"));
    CU_ASSERT_TRUE(is(to, mqtt_build_ack(to, room, MQTT_5, MQTT_PUBREL, 1, 0x00), "62 < 0001 >"));
    CU_ASSERT_TRUE(is(to, mqtt_build_ack(to, room, MQTT_5, MQTT_PUBCOMP, 1, 0x92), "70 < 0001 92 >"));
    CU_ASSERT_EQUAL(mqtt_build_ack(to, room, MQTT_5, MQTT_SUBACK, 1, 0), 0);
    CU_ASSERT_EQUAL(mqtt_build_ack(to, room, MQTT_5, MQTT_PUBACK, 0, 0), 0);
    CU_ASSERT_TRUE(
        is(to, mqtt_build_suback(to, room, MQTT_5, MQTT_SUBACK, 7, codes, 3), "90 < 0007 <> 01 87 97 >"));
    CU_ASSERT_TRUE(
        is(to, mqtt_build_suback(to, room, MQTT_3_1_1, MQTT_SUBACK, 7, codes, 3), "90 < 0007 01 80 80 >"));
    CU_ASSERT_EQUAL(mqtt_build_suback(to, room, MQTT_3_1, MQTT_SUBACK, 7, codes, 3), 0);
    CU_ASSERT_TRUE(is(to, mqtt_build_suback(to, room, MQTT_3_1, MQTT_SUBACK, 7, codes, 1), "90 < 0007 01 >"));
    CU_ASSERT_TRUE(
        is(to, mqtt_build_suback(to, room, MQTT_5, MQTT_UNSUBACK, 7, codes + 1, 1), "B0 < 0007 <> 87 >"));
    CU_ASSERT_TRUE(
        is(to, mqtt_build_suback(to, room, MQTT_3_1_1, MQTT_UNSUBACK, 7, codes, 3), "B0 < 0007 >"));
    CU_ASSERT_EQUAL(mqtt_build_suback(to, room, MQTT_5, MQTT_SUBACK, 7, codes, 0), 0);
    CU_ASSERT_EQUAL(mqtt_build_suback(to, 6, MQTT_5, MQTT_SUBACK, 7, codes, 3), 0);
    CU_ASSERT_TRUE(is(to, mqtt_build_disconnect(to, room, MQTT_5, MQTT_FROM_SERVER, 0x98), "E0 < 98 >"));
    CU_ASSERT_TRUE(is(to, mqtt_build_disconnect(to, room, MQTT_5, MQTT_FROM_CLIENT, 0x04), "E0 < 04 >"));
    CU_ASSERT_TRUE(is(to, mqtt_build_disconnect(to, room, MQTT_5, MQTT_FROM_CLIENT, 0x00), "E0 <>"));
    /* 0x8E is a server's; 0x8A is of CONNACK only. */
    CU_ASSERT_TRUE(is(to, mqtt_build_disconnect(to, room, MQTT_5, MQTT_FROM_CLIENT, 0x8E), "E0 < 80 >"));
    CU_ASSERT_TRUE(is(to, mqtt_build_disconnect(to, room, MQTT_5, MQTT_FROM_SERVER, 0x8A), "E0 < 87 >"));
    CU_ASSERT_TRUE(is(to, mqtt_build_disconnect(to, room, MQTT_3_1_1, MQTT_FROM_CLIENT, 0x04), "E0 <>"));
    CU_ASSERT_EQUAL(mqtt_build_disconnect(to, room, MQTT_3_1_1, MQTT_FROM_SERVER, 0x98), 0);
    CU_ASSERT_TRUE(is(to, mqtt_build_ping(to, room, MQTT_PINGRESP), "D0 <>"));
    CU_ASSERT_TRUE(is(to, mqtt_build_ping(to, room, MQTT_PINGREQ), "C0 <>"));
    CU_ASSERT_EQUAL(mqtt_build_ping(to, room, MQTT_CONNECT), 0);
    CU_ASSERT_EQUAL(mqtt_build_ping(to, 1, MQTT_PINGREQ), 0);
}

/* A SUBSCRIBE with the refused filter taken out (D5). */
static void test_filters(void)
{
    uint8_t list[64], to[64];
    size_t n = 0;
    struct vector v = vector_of("82 < 0005 < 0B 02 > ['keep/1'] 01 ['drop'] 02 ['keep/2'] 2C >");
    struct mqtt_packet packet = decoded(v, MQTT_FROM_CLIENT, MQTT_5);
    struct cursor entries = cursor_of(packet.list);
    struct mqtt_filter entry;
    while (mqtt_filter_next(&entries, MQTT_SUBSCRIBE, &entry))
        if (!bytes_equal(entry.filter, bytes_of_text("drop")))
            n += mqtt_build_filter(list + n, sizeof(list) - n, MQTT_SUBSCRIBE, MQTT_5, &entry);
    packet.list = bytes_of(list, n);
    packet.list_count = 2;
    CU_ASSERT_TRUE(is(to, mqtt_build(to, sizeof(to), &packet, MQTT_5),
                      "82 < 0005 < 0B 02 > ['keep/1'] 01 ['keep/2'] 2C >"));
    entry =
        (struct mqtt_filter){.filter = bytes_of_text("a"), .qos = 1, .no_local = true, .retain_handling = 2};
    CU_ASSERT_TRUE(is(to, mqtt_build_filter(to, 4, MQTT_SUBSCRIBE, MQTT_3_1_1, &entry), "['a'] 01"));
    CU_ASSERT_TRUE(is(to, mqtt_build_filter(to, 3, MQTT_UNSUBSCRIBE, MQTT_5, &entry), "['a']"));
    CU_ASSERT_EQUAL(mqtt_build_filter(to, 3, MQTT_SUBSCRIBE, MQTT_5, &entry), 0);
    entry.filter.len = 0;
    CU_ASSERT_EQUAL(mqtt_build_filter(to, sizeof(to), MQTT_SUBSCRIBE, MQTT_5, &entry), 0);
    free(v.at);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"exact room", test_room},
        {"borders of lengths", test_length_borders},
        {"changes between decoding and building", test_changes},
        {"what 3.x cannot say is left out", test_downgrade},
        {"what cannot be said is not built", test_unsayable},
        {"what the gateway adds to CONNECT", test_added_to_connect},
        {"the gateway's own answers", test_answers},
        {"filters one by one", test_filters},
    };
    return unit_run("mqtt_build", tests, sizeof(tests) / sizeof(tests[0]));
}
