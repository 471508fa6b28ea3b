/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Framing (D1, D2; MQTT 5.0 s.2.1): headers, lengths, limits, buffers, streams cut in every way. */
#include "tests/unit/mqtt_vector.h"
#include "tests/unit/runner.h"

static struct mqtt_framer framer_of(enum mqtt_sender sender, enum mqtt_version version)
{
    struct mqtt_framer f;
    mqtt_framer_init(&f, sender, version, UINT32_C(1) << 28, 4096);
    return f;
}

/* Feeds bytes that are no whole packet: the fault, or OUTCOME_UNDECIDED when more is awaited. */
static enum outcome fault_of(struct mqtt_framer *f, const char *notation)
{
    struct vector v = vector_of(notation);
    struct mqtt_packet packet;
    struct cursor in = cursor_of(bytes_of(v.at, v.len));
    enum mqtt_step step = mqtt_framer_next(f, &in, &packet);
    CU_ASSERT_EQUAL(step, f->fault == OUTCOME_UNDECIDED ? MQTT_STEP_NEED_MORE : MQTT_STEP_FAULT);
    free(v.at);
    return f->fault;
}

/* ---- the first byte ---------------------------------------------------------------------------------------
 */

/* Who sends a type since which version, and its flags: "0", "2" (0010), "P" (those of PUBLISH). */
static const struct {
    const char *senders;
    int since;
    char flags;
} law[16] = {
    {"", 0, 0},     {"C", 3, '0'},  {"S", 3, '0'}, {"CS", 3, 'P'}, {"CS", 3, '0'}, {"CS", 3, '0'},
    {"CS", 3, '2'}, {"CS", 3, '0'}, {"C", 3, '2'}, {"S", 3, '0'},  {"C", 3, '2'},  {"S", 3, '0'},
    {"C", 3, '0'},  {"S", 3, '0'},  {"C", 3, '0'}, {"CS", 5, '0'},
};

static bool flags_legal(char kind, unsigned int flags, enum mqtt_version version)
{
    bool dup = (flags & 8) != 0;
    unsigned int qos = flags >> 1 & 3;
    if (kind == 'P')
        return qos != 3 && !(dup && qos == 0 && version != MQTT_3_1);
    if (kind == '2') /* MQTT 3.1 s.2.1: DUP on PUBREL, SUBSCRIBE, UNSUBSCRIBE */
        return flags == 2 || (flags == 10 && version == MQTT_3_1);
    return flags == 0;
}

static enum outcome expected(unsigned int first, enum mqtt_version version, enum mqtt_sender sender)
{
    unsigned int type = first >> 4;
    char who = sender == MQTT_FROM_CLIENT ? 'C' : 'S';
    if (version == MQTT_VERSION_UNKNOWN && who == 'C' && type != MQTT_CONNECT)
        return OUTCOME_FIRST_NOT_CONNECT;
    if (type == 0 || (law[type].since == 5 && version != MQTT_5))
        return OUTCOME_MALFORMED_TYPE;
    bool sends = strchr(law[type].senders, who) != NULL ||
                 (type == MQTT_DISCONNECT && version == MQTT_5); /* a server's DISCONNECT is new in MQTT 5 */
    if (!sends)
        return OUTCOME_WRONG_DIRECTION;
    if (version == MQTT_VERSION_UNKNOWN && who == 'S')
        return OUTCOME_PROTOCOL_ERROR;
    if (type == MQTT_CONNECT && version != MQTT_VERSION_UNKNOWN)
        return OUTCOME_SECOND_CONNECT;
    return flags_legal(law[type].flags, first & 15, version) ? OUTCOME_UNDECIDED : OUTCOME_MALFORMED_FLAGS;
}

/* All first bytes, of both senders, in all versions, are judged alone, before the length. */
static void test_first_byte(void)
{
    static const enum mqtt_version versions[] = {MQTT_VERSION_UNKNOWN, MQTT_3_1, MQTT_3_1_1, MQTT_5};
    for (size_t v = 0; v < 4; v++)
        for (int sender = MQTT_FROM_CLIENT; sender <= (int)MQTT_FROM_SERVER; sender++)
            for (unsigned int first = 0; first < 256; first++) {
                struct mqtt_framer f = framer_of((enum mqtt_sender)sender, versions[v]);
                char notation[8];
                snprintf(notation, sizeof(notation), "%02X", first);
                enum outcome outcome = fault_of(&f, notation);
                enum outcome should = expected(first, versions[v], (enum mqtt_sender)sender);
                if (outcome != should)
                    fprintf(stderr, "\n%02X version %d sender %d: %s\n", first, (int)versions[v], sender,
                            outcome_id(outcome));
                CU_ASSERT_EQUAL(outcome, should);
            }
}

/* ---- the length -------------------------------------------------------------------------------------------
 */

static void test_lengths(void)
{
    static const struct {
        const char *name, *header;
        enum outcome fault;
    } rows[] = {
        {"127", "30 7F", OUTCOME_UNDECIDED},
        {"128", "30 8001", OUTCOME_UNDECIDED},
        {"16383", "30 FF7F", OUTCOME_UNDECIDED},
        {"16384", "30 808001", OUTCOME_UNDECIDED},
        {"2097152", "30 80808001", OUTCOME_UNDECIDED},
        {"unfinished", "30 80", OUTCOME_UNDECIDED},
        {"unfinished, four bytes seen", "30 808080", OUTCOME_UNDECIDED},
        {"0 in two bytes [1.5.5-1]", "30 8000", OUTCOME_MALFORMED_LENGTH},
        {"127 in two bytes", "30 FF00", OUTCOME_MALFORMED_LENGTH},
        {"0 in four bytes", "30 80808000", OUTCOME_MALFORMED_LENGTH},
        {"five bytes (CVE-2026-21888)", "30 8080808001", OUTCOME_MALFORMED_LENGTH},
        {"five bytes, at the fourth", "30 FFFFFFFF", OUTCOME_MALFORMED_LENGTH},
        {"greatest, above the limit", "30 FFFFFF7F", OUTCOME_PACKET_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mqtt_framer f = framer_of(MQTT_FROM_CLIENT, MQTT_3_1_1);
        if (i + 1 == sizeof(rows) / sizeof(rows[0]))
            f.packet_limit_bytes = 268435459; /* one less than that packet */
        enum outcome outcome = fault_of(&f, rows[i].header);
        if (outcome != rows[i].fault)
            fprintf(stderr, "\n%s: %s\n", rows[i].name, outcome_id(outcome));
        CU_ASSERT_EQUAL(outcome, rows[i].fault);
    }
}

/* Handed out instead of a fault, where that is asked for: with what it takes to acknowledge them. */
static void test_defects(void)
{
    static const struct {
        const char *name, *bytes, *expected;
    } rows[] = {
        {"topic", "32 < [C080] 0007 <> 'x' > D000",
         "defect malformed-string qos=1 id=7 topic=\\c0\\80\npingresp\n"},
        {"no topic and no alias", "34 < [] 0007 <> 'x' > D000",
         "defect bad-topic qos=2 id=7 topic=\npingresp\n"},
        {"a property twice", "32 < ['a'] 0007 < 0100 0100 > 'x' > D000",
         "defect bad-property qos=1 id=7 topic=a\npingresp\n"},
        {"properties past the end", "32 < ['a'] 0007 05 0100 > D000",
         "defect malformed-property qos=1 id=7 topic=a\npingresp\n"},
        {"no length of properties", "32 < ['a'] 0007 > D000",
         "defect malformed-property qos=1 id=7 topic=a\npingresp\n"},
        {"length of properties not minimal", "34 < ['a'] 0007 8000 'x' > D000",
         "defect malformed-property qos=2 id=7 topic=a\npingresp\n"},
        {"more properties than a head may have", "34 < ['a'] 0007 < 26 [{90 'k'}] ['v'] > 'xyz' > D000",
         "defect packet-too-large qos=2 id=7 topic=a\npingresp\n"},
        {"the same with QoS 0", "30 < ['a'] < 26 [{90 'k'}] ['v'] > > D000",
         "defect packet-too-large qos=0 id=0 topic=a\npingresp\n"},
        {"an identifier that is none", "32 < ['a'] 0000 < 26 [{90 'k'}] ['v'] > >", "fault bad-packet-id\n"},
        {"a topic longer than a head may be", "32 < [{90 'a'}] 0007 <> >", "fault packet-too-large\n"},
        {"a topic past the end", "32 05 0009 'abc'", "fault malformed\n"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct vector v = vector_of(rows[i].bytes);
        struct feed feed = {
            .sender = MQTT_FROM_SERVER, .version = MQTT_5, .head_limit_bytes = 64, .pass_defects = true};
        char *text = feed_every_way(&feed, bytes_of(v.at, v.len));
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        if (strcmp(text, rows[i].expected) != 0)
            fprintf(stderr, "\n%s: %s", rows[i].name, text);
        CU_ASSERT_STRING_EQUAL(text, rows[i].expected);
        CU_ASSERT_TRUE(feed.most_lent <= 256);
        free(text);
        free(v.at);
    }
}

/* Limits are judged on the header alone; a whole packet, fixed header included, may be as large as the limit.
 */
static void test_limits(void)
{
    static const struct {
        const char *name, *bytes;
        uint32_t packet_limit, head_limit;
        enum outcome fault;
    } rows[] = {
        {"packet at the limit", "30 05", 7, 100, OUTCOME_UNDECIDED},
        {"packet one above", "30 06", 7, 100, OUTCOME_PACKET_TOO_LARGE},
        {"limit 0", "C0 00", 0, 0, OUTCOME_PACKET_TOO_LARGE},
        {"limit less than a header", "30 8001", 2, 100, OUTCOME_PACKET_TOO_LARGE},
        {"huge length before anything else (CVE-2017-7651)", "82 FFFFFF7F", 1 << 20, 1 << 20,
         OUTCOME_PACKET_TOO_LARGE},
        {"body at the head limit", "82 0A", 1000, 10, OUTCOME_UNDECIDED},
        {"body one above", "82 0B", 1000, 10, OUTCOME_PACKET_TOO_LARGE},
        {"PUBLISH may be larger than a head", "30 FF01", 1000, 10, OUTCOME_UNDECIDED},
        {"topic at the head limit", "30 FF01 0008", 1000, 10, OUTCOME_UNDECIDED},
        {"topic one above", "30 FF01 0009", 1000, 10, OUTCOME_PACKET_TOO_LARGE},
        {"topic and id at the head limit", "32 FF01 0006", 1000, 10, OUTCOME_UNDECIDED},
        {"topic and id one above", "32 FF01 0007", 1000, 10, OUTCOME_PACKET_TOO_LARGE},
        {"room for an empty topic", "30 05 0000", 1000, 2, OUTCOME_BAD_TOPIC},
        {"no room for a topic at all", "30 05 00", 1000, 1, OUTCOME_PACKET_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mqtt_framer f = framer_of(MQTT_FROM_CLIENT, MQTT_3_1_1);
        f.packet_limit_bytes = rows[i].packet_limit;
        f.head_limit_bytes = rows[i].head_limit;
        struct vector v = vector_of(rows[i].bytes);
        struct cursor in = cursor_of(bytes_of(v.at, v.len));
        struct mqtt_packet packet;
        uint8_t lent[512];
        enum mqtt_step step = mqtt_framer_next(&f, &in, &packet);
        if (step == MQTT_STEP_NEED_BUFFER) {
            CU_ASSERT_TRUE(f.want <= rows[i].head_limit);
            mqtt_framer_lend(&f, lent, sizeof(lent));
            step = mqtt_framer_next(&f, &in, &packet);
        }
        if (f.fault != rows[i].fault)
            fprintf(stderr, "\n%s: %s\n", rows[i].name, outcome_id(f.fault));
        CU_ASSERT_EQUAL(f.fault, rows[i].fault);
        CU_ASSERT_EQUAL(step == MQTT_STEP_FAULT, rows[i].fault != OUTCOME_UNDECIDED);
        free(v.at);
    }
}

/* Whether a head is too large, or malformed, does not depend on how it was cut. */
static void test_limits_in_every_way(void)
{
    static const char *const packets[] = {
        "30 < ['abcdefgh'] {20 'x'} >",
        "32 < ['abcdef'] 0001 {20 'x'} >",
    };
    static const char *const packets_5[] = {
        "30 < ['abc'] < 26 ['k'] ['v'] > {20 'x'} >",
        "30 < ['abcdefg'] FFFFFF7F {20 'x'} >",
        "30 < ['abcdefg'] 808000 {20 'x'} >",
        "30 < ['abcdefg'] 80808080 {20 'x'} >",
        "30 < ['abcdefgh'] 7F {20 'x'} >",
        "30 < ['abcdefg'] 9001 {200 'x'} >",
        "32 < ['abc'] 0000 < 01 07 > {20 'x'} >",
        "30 < ['+'] < 01 07 > {20 'x'} >",
    };
    for (uint32_t limit = 1; limit < 40; limit++)
        for (size_t i = 0; i < 10; i++) {
            struct feed feed = {.sender = MQTT_FROM_CLIENT,
                                .version = i < 2 ? MQTT_3_1_1 : MQTT_5,
                                .head_limit_bytes = limit};
            struct vector v = vector_of(i < 2 ? packets[i] : packets_5[i - 2]);
            char *events = feed_every_way(&feed, bytes_of(v.at, v.len));
            CU_ASSERT_PTR_NOT_NULL(events);
            free(events);
            free(v.at);
        }
}

/* ---- streams ----------------------------------------------------------------------------------------------
 */

static void test_streams(void)
{
    static const struct {
        const char *name;
        enum mqtt_sender sender;
        enum mqtt_version version;
        const char *stream;
        const char *events;
    } rows[] = {
        {"a client of 3.1.1, pipelined behind its CONNECT (s.3.1.4)", MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN,
         "10 < ['MQTT'] 04 02 003C ['c'] > 30 < ['a'] 'x' > C0 <> 82 < 0001 ['b'] 01 > 32 < ['a'] 0002 {300 "
         "'y'} > E0 <>",
         "connect version=4 clean=1 keep_alive=60 id=c\npublish qos=0 dup=0 retain=0 topic=a bytes=1 "
         "payload=x\n"
         "pingreq\nsubscribe id=1 filter=b qos=1 rh=0\npublish id=2 qos=1 dup=0 retain=0 topic=a bytes=300 "
         "payload="
         "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
         "y"
         "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
         "y"
         "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
         "y\n"
         "disconnect\n"},
        {"a server of 5.0", MQTT_FROM_SERVER, MQTT_5,
         "20 < 00 00 <> > 90 < 0001 <> 00 > 30 < ['a'] < 0B 01 > > 30 < ['a'] <> 'x' > D0 <> E0 < 8B >",
         "connack present=0\nsuback id=1 00\npublish qos=0 dup=0 retain=0 topic=a subscription_id=1 bytes=0 "
         "payload=\n"
         "publish qos=0 dup=0 retain=0 topic=a bytes=1 payload=x\npingresp\ndisconnect code=8b\n"},
        {"second CONNECT [3.1.0-2]", MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN,
         "10 < ['MQTT'] 04 02 003C ['c'] > 10 < ['MQTT'] 04 02 003C ['c'] >",
         "connect version=4 clean=1 keep_alive=60 id=c\nfault second-connect\n"},
        {"nothing after a fault", MQTT_FROM_CLIENT, MQTT_3_1_1, "30 < ['a'] > 20 < 00 00 > 30 < ['a'] >",
         "publish qos=0 dup=0 retain=0 topic=a bytes=0 payload=\nfault wrong-direction\n"},
        {"a fault in the head of a streamed PUBLISH", MQTT_FROM_CLIENT, MQTT_3_1_1, "30 < ['a/+'] {50 'x'} >",
         "fault bad-topic\n"},
        {"MQTT 5 is not taken for 3.1.1", MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN,
         "10 < ['MQTT'] 05 02 0000 <> ['c'] > F0 < 18 < 15 ['m'] > > 30 < ['a'] <> >",
         "connect version=5 clean=1 keep_alive=0 id=c\nauth code=18 auth_method=m\n"
         "publish qos=0 dup=0 retain=0 topic=a bytes=0 payload=\n"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct feed feed = {.sender = rows[i].sender, .version = rows[i].version};
        struct vector v = vector_of(rows[i].stream);
        char *events = feed_every_way(&feed, bytes_of(v.at, v.len));
        CU_ASSERT_PTR_NOT_NULL(events);
        if (events != NULL && strcmp(events, rows[i].events) != 0) {
            fprintf(stderr, "\n%s:\n%s", rows[i].name, events);
            CU_FAIL("events");
        }
        /* In slices of every size too. */
        for (size_t n = 2; n < v.len && events != NULL; n++) {
            char *sliced = feed_all(&feed, bytes_of(v.at, v.len), n, n);
            CU_ASSERT_STRING_EQUAL(sliced, events);
            free(sliced);
        }
        free(events);
        free(v.at);
    }
}

/* ---- buffers ----------------------------------------------------------------------------------------------
 */

/* A header alone, and a head that streams in place, own nothing. */
static void test_no_buffer_without_need(void)
{
    struct mqtt_framer f = framer_of(MQTT_FROM_CLIENT, MQTT_3_1_1);
    struct vector v = vector_of("82 0F 30 8D02 ['a'] {266 'x'}");
    struct mqtt_packet packet;
    struct cursor in = {.at = v.at, .end = v.at + 2};
    CU_ASSERT_EQUAL(mqtt_framer_next(&f, &in, &packet), MQTT_STEP_NEED_MORE);
    CU_ASSERT_FALSE(mqtt_framer_idle(&f));
    CU_ASSERT_PTR_NULL(mqtt_framer_reclaim(&f));
    f = framer_of(MQTT_FROM_CLIENT, MQTT_3_1_1);
    in = (struct cursor){.at = v.at + 2, .end = v.at + 10};
    CU_ASSERT_EQUAL(mqtt_framer_next(&f, &in, &packet), MQTT_STEP_PUBLISH);
    CU_ASSERT_EQUAL(packet.publish.payload.len, 2);
    CU_ASSERT_EQUAL(packet.publish.payload_bytes, 266);
    CU_ASSERT_EQUAL(f.payload_left, 264);
    CU_ASSERT_EQUAL(mqtt_framer_next(&f, &in, &packet), MQTT_STEP_NEED_MORE);
    in = cursor_of(bytes_of(v.at + 10, 264));
    CU_ASSERT_EQUAL(mqtt_framer_next(&f, &in, &packet), MQTT_STEP_PAYLOAD);
    CU_ASSERT_EQUAL(packet.publish.payload.len, 264);
    CU_ASSERT_EQUAL(f.payload_left, 0);
    CU_ASSERT_TRUE(mqtt_framer_idle(&f));
    CU_ASSERT_PTR_NULL(mqtt_framer_reclaim(&f));
    free(v.at);
}

/* What is asked for follows what arrived, not what a header claims (CVE-2017-7654, CVE-2023-0809). */
static void test_buffer_follows_arrival(void)
{
    struct mqtt_framer f = framer_of(MQTT_FROM_CLIENT, MQTT_3_1_1);
    static uint8_t lent[2][65536];
    unsigned int lends = 0;
    uint32_t arrived = 0;
    f.head_limit_bytes = 65536;
    struct vector v = vector_of("82 < 0001 {12000 ['a'] 00} >");
    for (size_t i = 0; i < v.len; i++) {
        struct cursor in = cursor_of(bytes_of(v.at + i, 1));
        struct mqtt_packet packet;
        enum mqtt_step step;
        while ((step = mqtt_framer_next(&f, &in, &packet)) == MQTT_STEP_NEED_BUFFER) {
            CU_ASSERT_TRUE(f.want > arrived && (f.want <= 256 || f.want <= 2 * (arrived + 1)));
            CU_ASSERT_TRUE(f.want <= v.len - 4);
            mqtt_framer_lend(&f, lent[lends++ % 2], f.want);
        }
        arrived += i >= 4;
        CU_ASSERT_EQUAL(step, i + 1 == v.len ? MQTT_STEP_PACKET : MQTT_STEP_NEED_MORE);
        if (step == MQTT_STEP_PACKET)
            CU_ASSERT_EQUAL(packet.list_count, 12000);
    }
    CU_ASSERT_TRUE(lends >= 8 && lends <= 10);
    CU_ASSERT_TRUE(mqtt_framer_idle(&f));
    CU_ASSERT_PTR_EQUAL(mqtt_framer_reclaim(&f), lent[(lends - 1) % 2]);
    CU_ASSERT_PTR_NULL(mqtt_framer_reclaim(&f));
    free(v.at);
}

/* The greatest packet there is passes in slices without a buffer (D1). */
static void test_256_mib(void)
{
    static uint8_t slice[1 << 20];
    struct mqtt_framer f = framer_of(MQTT_FROM_CLIENT, MQTT_3_1_1);
    struct mqtt_packet packet;
    struct vector v = vector_of("30 FFFFFF7F ['a'] C0 <>");
    f.packet_limit_bytes = UINT32_MAX;
    struct cursor in = {.at = v.at, .end = v.at + 8};
    CU_ASSERT_EQUAL(mqtt_framer_next(&f, &in, &packet), MQTT_STEP_PUBLISH);
    CU_ASSERT_EQUAL(packet.publish.payload_bytes, 268435452);
    size_t payload = packet.publish.payload.len;
    unsigned int steps = 0;
    while (f.payload_left != 0) {
        in = cursor_of(bytes_of(slice, sizeof(slice)));
        CU_ASSERT_EQUAL_FATAL(mqtt_framer_next(&f, &in, &packet), MQTT_STEP_PAYLOAD);
        payload += packet.publish.payload.len;
        steps++;
    }
    CU_ASSERT_EQUAL(payload, 268435452);
    CU_ASSERT_EQUAL(steps, 256);
    CU_ASSERT_EQUAL(cursor_left(&in), 4);
    in = cursor_of(bytes_of(v.at + 8, 2));
    CU_ASSERT_EQUAL(mqtt_framer_next(&f, &in, &packet), MQTT_STEP_PACKET);
    CU_ASSERT_EQUAL(packet.type, MQTT_PINGREQ);
    CU_ASSERT_PTR_NULL(mqtt_framer_reclaim(&f));
    free(v.at);
}

/* A held PUBLISH comes again, whole; the next one streams as ever. */
static void test_hold(void)
{
    struct mqtt_framer f = framer_of(MQTT_FROM_CLIENT, MQTT_5);
    struct vector v = vector_of("32 < ['topic'] 0007 < 01 01 > 'one two three' > 30 < ['b'] <> 'xy' >");
    uint8_t lent[256];
    struct mqtt_packet packet;
    struct cursor in = {.at = v.at, .end = v.at + 16};
    CU_ASSERT_EQUAL(mqtt_framer_next(&f, &in, &packet), MQTT_STEP_PUBLISH);
    CU_ASSERT_EQUAL(packet.publish.payload_bytes, 13);
    CU_ASSERT_TRUE(bytes_equal(packet.publish.payload, bytes_of_text("on")));
    /* What was taken is given back: the slice may be offered again, from elsewhere, after any time. */
    mqtt_framer_hold(&f, &in);
    CU_ASSERT_PTR_EQUAL(in.at, v.at + 2);
    uint8_t elsewhere[14];
    memcpy(elsewhere, in.at, sizeof(elsewhere));
    in = cursor_of(bytes_of(elsewhere, sizeof(elsewhere)));
    CU_ASSERT_EQUAL(mqtt_framer_next(&f, &in, &packet), MQTT_STEP_NEED_BUFFER);
    CU_ASSERT_EQUAL(f.want, 25);
    mqtt_framer_lend(&f, lent, sizeof(lent));
    CU_ASSERT_EQUAL(mqtt_framer_next(&f, &in, &packet), MQTT_STEP_NEED_MORE);
    CU_ASSERT_FALSE(mqtt_framer_idle(&f));
    in = (struct cursor){.at = v.at + 16, .end = v.at + v.len - 1};
    CU_ASSERT_EQUAL(mqtt_framer_next(&f, &in, &packet), MQTT_STEP_PACKET);
    CU_ASSERT_TRUE(bytes_equal(packet.publish.payload, bytes_of_text("one two three")));
    CU_ASSERT_TRUE(bytes_equal(packet.publish.topic, bytes_of_text("topic")));
    CU_ASSERT_EQUAL(packet.packet_id, 7);
    CU_ASSERT_TRUE(mqtt_framer_idle(&f));
    CU_ASSERT_EQUAL(mqtt_framer_next(&f, &in, &packet), MQTT_STEP_PUBLISH);
    CU_ASSERT_TRUE(bytes_equal(packet.publish.payload, bytes_of_text("x")));
    CU_ASSERT_PTR_EQUAL(mqtt_framer_reclaim(&f), lent);
    free(v.at);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"first byte: type, flags, direction, version", test_first_byte},
        {"Remaining Length [1.5.5-1]", test_lengths},
        {"defects are handed out (D3)", test_defects},
        {"limits on the header", test_limits},
        {"limits in every way", test_limits_in_every_way},
        {"streams in every way", test_streams},
        {"no buffer without need", test_no_buffer_without_need},
        {"buffers follow arrival", test_buffer_follows_arrival},
        {"256 MiB", test_256_mib},
        {"hold", test_hold},
    };
    return unit_run("mqtt_frame", tests, sizeof(tests) / sizeof(tests[0]));
}
