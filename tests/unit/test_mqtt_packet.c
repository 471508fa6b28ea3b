/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything but CONNECT, CONNACK and the property table: MQTT 5.0 and 3.1.1 s.3.3 to 3.15 (D1, D3, D11). */
#include "policy/access/topic.h"
#include "policy/mqtt/topic_name.h"
#include "tests/unit/mqtt_case.h"

#define CLIENT_5(name, packet, events)                                                                       \
    {                                                                                                        \
        name, FROM_CLIENT, MQTT_5, packet, events, NULL                                                      \
    }
#define CLIENT_4(name, packet, events)                                                                       \
    {                                                                                                        \
        name, FROM_CLIENT, MQTT_3_1_1, packet, events, NULL                                                  \
    }
#define CLIENT_3(name, packet, events)                                                                       \
    {                                                                                                        \
        name, FROM_CLIENT, MQTT_3_1, packet, events, NULL                                                    \
    }
#define SERVER_5(name, packet, events)                                                                       \
    {                                                                                                        \
        name, FROM_SERVER, MQTT_5, packet, events, NULL                                                      \
    }
#define SERVER_4(name, packet, events)                                                                       \
    {                                                                                                        \
        name, FROM_SERVER, MQTT_3_1_1, packet, events, NULL                                                  \
    }
#define SERVER_3(name, packet, events)                                                                       \
    {                                                                                                        \
        name, FROM_SERVER, MQTT_3_1, packet, events, NULL                                                    \
    }

static void test_publish_3(void)
{
    static const struct mqtt_case rows[] = {
        CLIENT_4("QoS 0", "30 < ['a/b'] 'hi' >", "publish qos=0 dup=0 retain=0 topic=a/b bytes=2 payload=hi"),
        CLIENT_4("QoS 1", "33 < ['a'] 0102 'x' >",
                 "publish id=258 qos=1 dup=0 retain=1 topic=a bytes=1 payload=x"),
        SERVER_4("QoS 2 again", "3C < ['a'] FFFF >",
                 "publish id=65535 qos=2 dup=1 retain=0 topic=a bytes=0 payload="),
        CLIENT_4("empty payload", "31 < ['a'] >", "publish qos=0 dup=0 retain=1 topic=a bytes=0 payload="),
        CLIENT_4("binary payload", "30 < ['a'] C080FF00 >",
                 "publish qos=0 dup=0 retain=0 topic=a bytes=4 payload=\\c0\\80\\ff\\00"),
        CLIENT_4("empty levels [4.7.3]", "30 < ['//'] >",
                 "publish qos=0 dup=0 retain=0 topic=// bytes=0 payload="),
        CLIENT_4("$ topic", "30 < ['$SYS/x'] >",
                 "publish qos=0 dup=0 retain=0 topic=$SYS/x bytes=0 payload="),
        CLIENT_4("topic with byte order mark", "30 < [EFBBBF] >",
                 "publish qos=0 dup=0 retain=0 topic=\\ef\\bb\\bf bytes=0 payload="),
        CLIENT_4("topic beyond the first plane", "30 < [F09F9A9A] >",
                 "publish qos=0 dup=0 retain=0 topic=\\f0\\9f\\9a\\9a bytes=0 payload="),
        CLIENT_4("QoS 3 [3.3.1-4]", "36 < ['a'] 0001 >", "fault malformed-flags"),
        CLIENT_4("DUP at QoS 0 [3.3.1-2]", "38 < ['a'] >", "fault malformed-flags"),
        {"DUP at QoS 0 does not apply in 3.1", FROM_CLIENT, MQTT_3_1, "38 < ['a'] >",
         "publish qos=0 dup=0 retain=0 topic=a bytes=0 payload=", "30 < ['a'] >"},
        CLIENT_4("id 0 [2.3.1-1]", "32 < ['a'] 0000 >", "fault bad-packet-id"),
        CLIENT_4("no id", "32 < ['a'] >", "fault malformed"),
        CLIENT_4("half an id", "32 < ['a'] 00 >", "fault malformed"),
        CLIENT_4("nothing", "30 <>", "fault malformed"),
        CLIENT_4("half a length", "30 < 00 >", "fault malformed"),
        CLIENT_4("topic past the end", "30 < 0002 'a' >", "fault malformed"),
        CLIENT_4("topic far past the end", "30 < FFFF 'a' >", "fault malformed"),
        CLIENT_4("empty topic [4.7.3-1], CVE-2021-34432", "30 < [] 'x' >", "fault bad-topic"),
        CLIENT_4("wildcard # [3.3.2-2]", "30 < ['a/#'] >", "fault bad-topic"),
        CLIENT_4("wildcard + inside a level", "30 < ['a+b'] >", "fault bad-topic"),
        CLIENT_4("wildcard after 16 bytes", "30 < [{17 'a'} '+'] >", "fault bad-topic"),
        CLIENT_4("overlong NUL (D3)", "30 < ['a' C080] >", "fault malformed-string"),
        CLIENT_4("NUL", "30 < ['a' 00 'b'] >", "fault malformed-string"),
        CLIENT_4("NUL after 16 bytes", "30 < [{40 'a'} 00] >", "fault malformed-string"),
        CLIENT_4("lone F0 at the end", "30 < ['a' F0] >", "fault malformed-string"),
        SERVER_4("a broker's bad topic (CVE-2017-7653)", "30 < [EDBFBF] >", "fault malformed-string"),
    };
    CHECK_CASES(rows);
}

static void test_publish_5(void)
{
    static const struct mqtt_case rows[] = {
        CLIENT_5("no properties", "30 < ['a'] <> 'hi' >",
                 "publish qos=0 dup=0 retain=0 topic=a bytes=2 payload=hi"),
        CLIENT_5("alias and name", "32 < ['a'] 0001 < 23 0001 > >",
                 "publish id=1 qos=1 dup=0 retain=0 topic=a topic_alias=1 bytes=0 payload="),
        CLIENT_5("alias alone [3.3.2-8]", "30 < [] < 23 0001 > 'x' >",
                 "publish qos=0 dup=0 retain=0 topic= topic_alias=1 bytes=1 payload=x"),
        CLIENT_5("neither", "30 < [] <> 'x' >", "fault bad-topic"),
        CLIENT_5("no name, other properties", "30 < [] < 01 01 > 'x' >", "fault bad-topic"),
        CLIENT_5("alias 0", "30 < ['a'] < 23 0000 > >", "fault bad-topic-alias"),
        {"all properties, in any order", FROM_CLIENT, MQTT_5,
         "30 < ['a'] < 26 ['k'] ['1'] 23 0002 09 [] 08 ['r'] 26 ['k'] ['0'] 03 ['text'] 02 FFFFFFFF 01 01 > "
         "'p' >",
         "publish qos=0 dup=0 retain=0 topic=a payload_format=1 message_expiry_s=4294967295 "
         "content_type=text "
         "response_topic=r correlation_data= topic_alias=2 user=k is=1 user=k is=0 bytes=1 payload=p",
         "30 < ['a'] < 01 01 02 FFFFFFFF 03 ['text'] 08 ['r'] 09 [] 23 0002 26 ['k'] ['1'] 26 ['k'] ['0'] > "
         "'p' >"},
        SERVER_5("several subscription identifiers [3.3.4-3]", "30 < ['a'] < 0B 01 0B FFFFFF7F 0B 01 > >",
                 "publish qos=0 dup=0 retain=0 topic=a subscription_id=1 subscription_id=268435455 "
                 "subscription_id=1 bytes=0 payload="),
        CLIENT_5("subscription identifier of a client [3.3.4-6]", "30 < ['a'] < 0B 01 > >",
                 "fault bad-property"),
        SERVER_5("subscription identifier 0", "30 < ['a'] < 0B 00 > >", "fault bad-property"),
        SERVER_5("subscription identifier not minimal", "30 < ['a'] < 0B 8100 > >",
                 "fault malformed-property"),
        SERVER_5("subscription identifier of five bytes", "30 < ['a'] < 0B FFFFFFFF01 > >",
                 "fault malformed-property"),
        CLIENT_5("response topic with wildcard [3.3.2-14]", "30 < ['a'] < 08 ['r/+'] > >", "fault bad-topic"),
        CLIENT_5("response topic empty", "30 < ['a'] < 08 [] > >", "fault bad-topic"),
        CLIENT_5("content type not UTF-8", "30 < ['a'] < 03 [C0AF] > >", "fault malformed-string"),
        CLIENT_5("user property name not UTF-8", "30 < ['a'] < 26 [FF] ['v'] > >", "fault malformed-string"),
        CLIENT_5("user property value not UTF-8", "30 < ['a'] < 26 ['k'] [ED A0 80] > >",
                 "fault malformed-string"),
        CLIENT_5("no property length", "30 < ['a'] >", "fault malformed-property"),
        CLIENT_5("property length past the end", "30 < ['a'] 05 'x' >", "fault malformed-property"),
        CLIENT_5("property length cut short", "30 < ['a'] 80 >", "fault malformed-property"),
        CLIENT_5("property length not minimal", "30 < ['a'] 8000 >", "fault malformed-property"),
        CLIENT_5("property length of five bytes", "30 < ['a'] FFFFFFFF01 >", "fault malformed-property"),
        CLIENT_5("property cut by the section's end", "30 < ['a'] < 02 0000 > {9 'x'} >",
                 "fault malformed-property"),
        CLIENT_5("property without a value", "30 < ['a'] < 01 > {9 'x'} >", "fault malformed-property"),
        CLIENT_5("unknown property", "30 < ['a'] < 7F 00 > >", "fault malformed-property"),
        CLIENT_5("property identifier of two bytes", "30 < ['a'] < 8100 00 > >", "fault malformed-property"),
    };
    CHECK_CASES(rows);
}

static void test_many_user_properties(void)
{
    struct feed feed = {.sender = MQTT_FROM_CLIENT, .version = MQTT_5};
    struct mqtt_framer f;
    struct mqtt_packet packet;
    static const struct {
        const char *notation;
        unsigned int count;
        enum outcome fault;
    } rows[] = {
        {"30 < ['a'] < {10000 26 [] []} > >", 10000, OUTCOME_UNDECIDED},
        {"30 < ['a'] < {65535 26 [] []} > >", 65535, OUTCOME_UNDECIDED},
        {"30 < ['a'] < {65536 26 [] []} > >", 0, OUTCOME_PROPERTY_CAP},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct vector v = vector_of(rows[i].notation);
        struct cursor in = cursor_of(bytes_of(v.at, v.len));
        mqtt_framer_init(&f, feed.sender, feed.version, UINT32_C(1) << 28, UINT32_C(1) << 28);
        enum mqtt_step step = mqtt_framer_next(&f, &in, &packet);
        CU_ASSERT_EQUAL(f.fault, rows[i].fault);
        if (rows[i].fault == OUTCOME_UNDECIDED) {
            CU_ASSERT_EQUAL_FATAL(step, MQTT_STEP_PACKET);
            CU_ASSERT_EQUAL(packet.properties.user_property_count, rows[i].count);
        }
        free(v.at);
    }
}

static void test_acks(void)
{
    static const struct mqtt_case rows[] = {
        CLIENT_4("PUBACK", "40 < 0001 >", "puback id=1"),
        SERVER_4("PUBREC", "50 < 0001 >", "pubrec id=1"),
        CLIENT_4("PUBREL", "62 < 0001 >", "pubrel id=1"),
        SERVER_4("PUBCOMP", "70 < FFFF >", "pubcomp id=65535"),
        CLIENT_4("id 0", "40 < 0000 >", "fault bad-packet-id"),
        CLIENT_4("code in 3.1.1", "40 < 0001 00 >", "fault malformed"),
        CLIENT_4("half an id", "40 < 00 >", "fault malformed"),
        CLIENT_4("nothing", "40 <>", "fault malformed"),
        CLIENT_4("PUBREL without 0010 [2.2.2-2]", "60 < 0001 >", "fault malformed-flags"),
        CLIENT_4("PUBREL with DUP", "6A < 0001 >", "fault malformed-flags"),
        {"PUBREL with DUP in 3.1", FROM_CLIENT, MQTT_3_1, "6A < 0001 >", "pubrel id=1", "62 < 0001 >"},
        CLIENT_4("PUBACK with flags", "42 < 0001 >", "fault malformed-flags"),
        CLIENT_5("short form, two bytes (s.3.4.2.1)", "40 < 0001 >", "puback id=1"),
        CLIENT_5("short form, three bytes (s.3.4.2.2.1)", "40 < 0001 87 >", "puback id=1 code=87"),
        {"code 0 is left out", FROM_CLIENT, MQTT_5, "40 < 0001 00 >", "puback id=1", "40 < 0001 >"},
        {"empty properties are left out", FROM_SERVER, MQTT_5, "40 < 0001 10 <> >", "puback id=1 code=10",
         "40 < 0001 10 >"},
        {"both are left out", FROM_CLIENT, MQTT_5, "62 < 0001 00 <> >", "pubrel id=1", "62 < 0001 >"},
        CLIENT_5("code and properties", "50 < 0001 00 < 1F ['r'] 26 ['a'] ['b'] > >",
                 "pubrec id=1 reason_string=r user=a is=b"),
        CLIENT_5("no matching subscribers, of a client (s.3.4.2.1)", "40 < 0001 10 >",
                 "fault bad-reason-code"),
        SERVER_5("code of PUBACK in PUBCOMP", "70 < 0001 87 >", "fault bad-reason-code"),
        SERVER_5("unknown id", "70 < 0001 92 >", "pubcomp id=1 code=92"),
        CLIENT_5("property of another type", "40 < 0001 00 < 01 00 > >", "fault malformed-property"),
        CLIENT_5("property length past the end", "40 < 0001 00 05 >", "fault malformed-property"),
        CLIENT_5("trailing byte", "40 < 0001 00 <> 00 >", "fault malformed"),
        CLIENT_5("id 0", "62 < 0000 >", "fault bad-packet-id"),
    };
    CHECK_CASES(rows);
}

static void test_subscribe(void)
{
    static const struct mqtt_case rows[] = {
        CLIENT_4("two filters", "82 < 000A ['a/#'] 01 ['+/b'] 02 >",
                 "subscribe id=10 filter=a/# qos=1 rh=0 filter=+/b qos=2 rh=0"),
        {"DUP in 3.1", FROM_CLIENT, MQTT_3_1, "8A < 0001 ['a'] 00 >", "subscribe id=1 filter=a qos=0 rh=0",
         "82 < 0001 ['a'] 00 >"},
        CLIENT_4("DUP in 3.1.1 [2.2.2-2]", "8A < 0001 ['a'] 00 >", "fault malformed-flags"),
        CLIENT_4("flags 0000", "80 < 0001 ['a'] 00 >", "fault malformed-flags"),
        CLIENT_4("QoS 3 [3.8.3-4]", "82 < 0001 ['a'] 03 >", "fault malformed"),
        CLIENT_4("options of MQTT 5", "82 < 0001 ['a'] 04 >", "fault malformed"),
        CLIENT_4("no filter [3.8.3-3]", "82 < 0001 >", "fault protocol-error"),
        CLIENT_4("no options byte (NanoMQ 2268)", "82 < 0001 ['a'] >", "fault malformed"),
        CLIENT_4("second entry cut short", "82 < 0001 ['a'] 00 0005 'b' >", "fault malformed"),
        CLIENT_4("id 0 [2.3.1-1]", "82 < 0000 ['a'] 00 >", "fault bad-packet-id"),
        CLIENT_4("empty filter [4.7.3-1]", "82 < 0001 [] 00 >", "fault bad-filter"),
        CLIENT_4("filter not UTF-8", "82 < 0001 ['a' C080] 00 >", "fault malformed-string"),
        CLIENT_4("# not last [4.7.1-2]", "82 < 0001 ['a/#/b'] 00 >", "fault bad-filter"),
        CLIENT_5("options", "82 < 0001 <> ['a'] 2D >", "subscribe id=1 filter=a qos=1 nl rap rh=2"),
        CLIENT_5("identifier", "82 < 0001 < 0B 7F 26 ['a'] ['b'] > ['a'] 00 >",
                 "subscribe id=1 subscription_id=127 user=a is=b filter=a qos=0 rh=0"),
        CLIENT_5("identifier twice (s.3.8.2.1.2)", "82 < 0001 < 0B 01 0B 02 > ['a'] 00 >",
                 "fault bad-property"),
        CLIENT_5("identifier 0", "82 < 0001 < 0B 00 > ['a'] 00 >", "fault bad-property"),
        CLIENT_5("reserved option bits [3.8.3-5]", "82 < 0001 <> ['a'] 40 >", "fault malformed"),
        CLIENT_5("retain handling 3", "82 < 0001 <> ['a'] 30 >", "fault malformed"),
        CLIENT_5("QoS 3", "82 < 0001 <> ['a'] 03 >", "fault malformed"),
        CLIENT_5("no local, shared [3.8.3-4]", "82 < 0001 <> ['$share/g/a'] 04 >", "fault shared-no-local"),
        CLIENT_5("shared", "82 < 0001 <> ['$share/g/a'] 01 >", "subscribe id=1 filter=$share/g/a qos=1 rh=0"),
        CLIENT_5("no filter", "82 < 0001 <> >", "fault protocol-error"),
        CLIENT_5("no property length", "82 < 0001 >", "fault malformed-property"),
        CLIENT_4("UNSUBSCRIBE", "A2 < 0001 ['a'] ['$share/g/b'] >",
                 "unsubscribe id=1 filter=a filter=$share/g/b"),
        CLIENT_5("UNSUBSCRIBE", "A2 < 0001 < 26 ['a'] ['b'] > ['a/#'] >",
                 "unsubscribe id=1 user=a is=b filter=a/#"),
        {"UNSUBSCRIBE with DUP in 3.1", FROM_CLIENT, MQTT_3_1, "AA < 0001 ['a'] >",
         "unsubscribe id=1 filter=a", "A2 < 0001 ['a'] >"},
        CLIENT_4("UNSUBSCRIBE nothing [3.10.3-2]", "A2 < 0001 >", "fault protocol-error"),
        CLIENT_4("UNSUBSCRIBE cut short", "A2 < 0001 0002 'a' >", "fault malformed"),
        CLIENT_4("UNSUBSCRIBE bad filter", "A2 < 0001 ['a+'] >", "fault bad-filter"),
        CLIENT_5("UNSUBSCRIBE property of SUBSCRIBE", "A2 < 0001 < 0B 01 > ['a'] >",
                 "fault malformed-property"),
    };
    CHECK_CASES(rows);
}

static void test_filters(void)
{
    static const struct {
        const char *filter;
        bool good;
    } rows[] = {
        {"#", true},
        {"+", true},
        {"/", true},
        {"a", true},
        {"/a/", true},
        {"a//b", true},
        {"+/+/#", true},
        {"a/+", true},
        {"/+", true},
        {"a/#", true},
        {"$SYS/#", true},
        {"$share", true},
        {"$Share/g", true},
        {"$shared/+/x", true},
        {"$share/g/#", true},
        {"$share/g//", true},
        {"$share/g/+/a", true},
        {"$share/g/$SYS/x", true},
        {"a#", false},
        {"#a", false},
        {"#/a", false},
        {"##", false},
        {"a/#/", false},
        {"a+", false},
        {"+a", false},
        {"a/+b/c", false},
        {"a/b+", false},
        {"++", false},
        {"+#", false},
        {"$share/", false},
        {"$share//x", false},
        {"$share/g", false},
        {"$share/g/", false},
        {"$share/+/x", false},
        {"$share/#/x", false},
        {"$share/g+/x", false},
        {"$share/g/a#", false},
        {"$share/g/#/x", false},
        {"$share/g/$share/h/x", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        /* Each with options, in a SUBSCRIBE and in an UNSUBSCRIBE: the law is the same. */
        char packet[128], subscribe[128], unsubscribe[128];
        snprintf(packet, sizeof(packet), "82 < 0001 ['%s'] 00 >", rows[i].filter);
        snprintf(subscribe, sizeof(subscribe), "subscribe id=1 filter=%s qos=0 rh=0", rows[i].filter);
        struct mqtt_case row = {rows[i].filter,
                                FROM_CLIENT,
                                MQTT_3_1_1,
                                packet,
                                rows[i].good ? subscribe : "fault bad-filter",
                                NULL};
        check_case(&row, UTF8_SPEC);
        snprintf(packet, sizeof(packet), "A2 < 0001 <> ['%s'] >", rows[i].filter);
        snprintf(unsubscribe, sizeof(unsubscribe), "unsubscribe id=1 filter=%s", rows[i].filter);
        row = (struct mqtt_case){rows[i].filter,
                                 FROM_CLIENT,
                                 MQTT_5,
                                 packet,
                                 rows[i].good ? unsubscribe : "fault bad-filter",
                                 NULL};
        check_case(&row, UTF8_SPEC);
    }
}

/* All short filters and names: the codec and the rules (policy/access) agree on what is one. */
static void test_same_law_as_the_rules(void)
{
    static const char letters[] = "a/+#";
    static const char *const prefixes[] = {"", "$share/", "$share/g/", "$s/"};
    unsigned int good = 0;
    for (unsigned int n = 0; n < 4 * 4096; n++) {
        char text[32];
        size_t len = (size_t)snprintf(text, sizeof(text), "%s", prefixes[n / 4096]);
        for (unsigned int rest = n % 4096; rest != 0; rest /= 4)
            text[len++] = letters[rest % 4];
        struct bytes filter = bytes_of(text, len);
        struct topic_share share;
        bool shared = false;
        bool valid = topic_share_parse(filter, &share) && topic_filter_valid(share.inner);
        enum outcome outcome = mqtt_topic_filter_check(filter, UTF8_SPEC, &shared);
        CU_ASSERT_EQUAL(outcome, valid ? OUTCOME_ALLOWED : OUTCOME_BAD_FILTER);
        if (valid)
            CU_ASSERT_EQUAL(shared, share.shared);
        good += valid;
        CU_ASSERT_EQUAL(mqtt_topic_name_check(filter, UTF8_SPEC),
                        topic_name_valid(filter) ? OUTCOME_ALLOWED : OUTCOME_BAD_TOPIC);
    }
    CU_ASSERT_TRUE(good > 500 && good < 5000);
}

/* A topic and a filter of 65535 slashes or wildcards (CVE-2019-11779) are a matter of bytes, not of depth. */
static void test_deep(void)
{
    static const struct {
        enum mqtt_type type;
        const char *body;
        enum outcome outcome;
    } rows[] = {
        {MQTT_PUBLISH, "[{65535 '/'}]", OUTCOME_ALLOWED},
        {MQTT_PUBLISH, "[{65534 '/'} '+']", OUTCOME_BAD_TOPIC},
        {MQTT_SUBSCRIBE, "0001 [{65535 '/'}] 00", OUTCOME_ALLOWED},
        {MQTT_SUBSCRIBE, "0001 [{32767 '+/'} '+'] 00", OUTCOME_ALLOWED},
        {MQTT_SUBSCRIBE, "0001 [{32767 '+/'} 'a'] 00", OUTCOME_ALLOWED},
        {MQTT_SUBSCRIBE, "0001 [{65535 '+'}] 00", OUTCOME_BAD_FILTER},
        {MQTT_SUBSCRIBE, "0001 {65535 [61] 00}", OUTCOME_ALLOWED},
        {MQTT_SUBSCRIBE, "0001 {65536 [61] 00}", OUTCOME_SUBSCRIPTION_CAP},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct vector v = vector_of(rows[i].body);
        struct mqtt_packet packet;
        CU_ASSERT_EQUAL(mqtt_packet_decode(&packet, rows[i].type, rows[i].type == MQTT_PUBLISH ? 0 : 2,
                                           bytes_of(v.at, v.len), (uint32_t)v.len, MQTT_3_1_1,
                                           MQTT_FROM_CLIENT, UTF8_SPEC),
                        rows[i].outcome);
        free(v.at);
    }
}

static void test_suback(void)
{
    static const struct mqtt_case rows[] = {
        SERVER_4("codes", "90 < 0001 00 01 02 80 >", "suback id=1 00 01 02 80"),
        SERVER_4("code 3 [3.9.3-2]", "90 < 0001 03 >", "fault bad-reason-code"),
        SERVER_4("code of MQTT 5", "90 < 0001 87 >", "fault bad-reason-code"),
        SERVER_4("no code (CVE-2024-10525)", "90 < 0001 >", "fault protocol-error"),
        SERVER_4("no id", "90 <>", "fault malformed"),
        SERVER_4("id 0", "90 < 0000 00 >", "fault bad-packet-id"),
        SERVER_3("codes in 3.1", "90 < 0001 02 >", "suback id=1 02"),
        SERVER_3("no failure code in 3.1", "90 < 0001 80 >", "fault bad-reason-code"),
        SERVER_5("codes", "90 < 0001 < 1F ['r'] > 00 87 A2 >", "suback id=1 reason_string=r 00 87 a2"),
        SERVER_5("no code", "90 < 0001 <> >", "fault protocol-error"),
        SERVER_5("code of UNSUBACK", "90 < 0001 <> 11 >", "fault bad-reason-code"),
        SERVER_4("UNSUBACK", "B0 < 0001 >", "unsuback id=1"),
        SERVER_4("UNSUBACK with codes", "B0 < 0001 00 >", "fault malformed"),
        SERVER_5("UNSUBACK", "B0 < 0001 <> 00 11 8F >", "unsuback id=1 00 11 8f"),
        SERVER_5("UNSUBACK without codes", "B0 < 0001 <> >", "fault protocol-error"),
        SERVER_5("UNSUBACK with a code of SUBACK", "B0 < 0001 <> 01 >", "fault bad-reason-code"),
    };
    CHECK_CASES(rows);
}

static void test_the_rest(void)
{
    static const struct mqtt_case rows[] = {
        CLIENT_4("PINGREQ", "C0 <>", "pingreq"),
        SERVER_4("PINGRESP", "D0 <>", "pingresp"),
        CLIENT_4("PINGREQ with a body", "C0 < 00 >", "fault malformed-length"),
        SERVER_5("PINGRESP with a body", "D0 < 00 >", "fault malformed-length"),
        CLIENT_4("DISCONNECT", "E0 <>", "disconnect"),
        CLIENT_4("DISCONNECT with a code in 3.1.1", "E0 < 00 >", "fault malformed-length"),
        CLIENT_4("DISCONNECT with flags [3.14.1-1]", "E1 <>", "fault malformed-flags"),
        CLIENT_5("DISCONNECT", "E0 <>", "disconnect"),
        CLIENT_5("DISCONNECT with will", "E0 < 04 >", "disconnect code=04"),
        {"code 0 is left out", FROM_CLIENT, MQTT_5, "E0 < 00 >", "disconnect", "E0 <>"},
        {"properties are left out", FROM_CLIENT, MQTT_5, "E0 < 04 <> >", "disconnect code=04", "E0 < 04 >"},
        CLIENT_5("DISCONNECT in full", "E0 < 00 < 11 00000000 1F ['r'] 26 ['a'] ['b'] > >",
                 "disconnect session_expiry_s=0 reason_string=r user=a is=b"),
        SERVER_5("session expiry of a server [3.14.2-2]", "E0 < 00 < 11 00000000 > >", "fault bad-property"),
        SERVER_5("redirection", "E0 < 9C < 1C ['other'] > >", "disconnect code=9c server_reference=other"),
        CLIENT_5("redirection of a client", "E0 < 00 < 1C ['other'] > >", "fault bad-property"),
        CLIENT_5("a server's code", "E0 < 8E >", "fault bad-reason-code"),
        SERVER_5("a client's code", "E0 < 04 >", "fault bad-reason-code"),
        SERVER_5("property section past the end (OSV-2026-750)", "E0 < 00 7F 1F >",
                 "fault malformed-property"),
        SERVER_5("trailing byte", "E0 < 00 <> 00 >", "fault malformed"),
        CLIENT_5("AUTH goes on", "F0 < 18 < 15 ['m'] 16 [FF00] 1F ['r'] 26 ['a'] ['b'] > >",
                 "auth code=18 auth_method=m auth_data=\\ff\\00 reason_string=r user=a is=b"),
        CLIENT_5("AUTH again", "F0 < 19 < 15 ['m'] > >", "auth code=19 auth_method=m"),
        SERVER_5("AUTH again, of a server", "F0 < 19 < 15 ['m'] > >", "fault bad-reason-code"),
        SERVER_5("AUTH done", "F0 < 00 < 15 ['m'] > >", "auth auth_method=m"),
        SERVER_5("AUTH done, short (s.3.15.2.1)", "F0 <>", "auth"),
        {"AUTH done, empty properties", FROM_SERVER, MQTT_5, "F0 < 00 <> >", "auth", "F0 <>"},
        CLIENT_5("AUTH done, of a client", "F0 <>", "fault bad-reason-code"),
        SERVER_5("AUTH without method (s.3.15.2.2.2)", "F0 < 18 <> >", "fault auth-method"),
        SERVER_5("AUTH with other properties only", "F0 < 00 < 1F ['r'] > >", "fault auth-method"),
        SERVER_5("AUTH with data only", "F0 < 18 < 16 [00] > >", "fault bad-property"),
        SERVER_5("AUTH with a code alone (s.3.15.2.2.1)", "F0 < 00 >", "fault malformed-property"),
        SERVER_5("AUTH with a trailing byte", "F0 < 00 < 15 ['m'] > 00 >", "fault malformed"),
    };
    CHECK_CASES(rows);
}

/* One byte that is not plain, at every place of names of every length: blocks leave no gap. */
static void test_every_place_of_a_name(void)
{
    static const struct {
        char byte;
        enum outcome outcome;
    } rows[] = {{'+', OUTCOME_BAD_TOPIC},
                {'#', OUTCOME_BAD_TOPIC},
                {'\0', OUTCOME_MALFORMED_STRING},
                {'\xC0', OUTCOME_MALFORMED_STRING},
                {'\x7F', OUTCOME_ALLOWED}};
    for (size_t len = 1; len <= 70; len++)
        for (size_t at = 0; at < len; at++)
            for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct mqtt_packet packet;
                uint8_t *body = malloc(2 + len);
                CU_ASSERT_PTR_NOT_NULL_FATAL(body);
                memset(body, 'x', 2 + len);
                body[0] = 0;
                body[1] = (uint8_t)len;
                body[2 + at] = (uint8_t)rows[i].byte;
                CU_ASSERT_EQUAL(mqtt_packet_decode(&packet, MQTT_PUBLISH, 0, bytes_of(body, 2 + len),
                                                   (uint32_t)(2 + len), MQTT_3_1_1, MQTT_FROM_SERVER,
                                                   UTF8_SPEC),
                                rows[i].outcome);
                free(body);
            }
}

/* Control characters and non-characters are a matter of the level (D3). */
static void test_strict(void)
{
    static const struct mqtt_case spec =
        CLIENT_4("control", "30 < ['a' 07 C280 EFBFBE] >",
                 "publish qos=0 dup=0 retain=0 topic=a\\07\\c2\\80\\ef\\bf\\be "
                 "bytes=0 payload=");
    static const struct mqtt_case strict[] = {
        CLIENT_4("U+0007", "30 < ['a' 07] >", "fault malformed-string"),
        CLIENT_4("U+0080", "30 < ['a' C280] >", "fault malformed-string"),
        CLIENT_4("U+FFFE", "30 < ['a' EFBFBE] >", "fault malformed-string"),
        CLIENT_4("in a filter", "82 < 0001 ['a' 7F] 00 >", "fault malformed-string"),
        CLIENT_5("in a property", "30 < ['a'] < 03 [1F] > >", "fault malformed-string"),
    };
    check_case(&spec, UTF8_SPEC);
    for (size_t i = 0; i < sizeof(strict) / sizeof(strict[0]); i++)
        check_case(&strict[i], UTF8_STRICT);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"PUBLISH of 3.x (s.3.3)", test_publish_3},
        {"PUBLISH of 5.0 (s.3.3)", test_publish_5},
        {"very many user properties", test_many_user_properties},
        {"PUBACK, PUBREC, PUBREL, PUBCOMP (s.3.4 to 3.7)", test_acks},
        {"SUBSCRIBE and UNSUBSCRIBE (s.3.8, 3.10)", test_subscribe},
        {"topic filters (s.4.7, 4.8.2)", test_filters},
        {"the same law as the rules", test_same_law_as_the_rules},
        {"deep topics and long lists", test_deep},
        {"SUBACK and UNSUBACK (s.3.9, 3.11)", test_suback},
        {"PING, DISCONNECT, AUTH (s.3.12 to 3.15)", test_the_rest},
        {"every place of a name", test_every_place_of_a_name},
        {"strict strings", test_strict},
    };
    return unit_run("mqtt_packet", tests, sizeof(tests) / sizeof(tests[0]));
}
