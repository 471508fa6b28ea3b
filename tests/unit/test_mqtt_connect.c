/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CONNECT and CONNACK (MQTT 5.0, 3.1.1 and 3.1, s.3.1 and 3.2; D1, D3). */
#include "tests/unit/mqtt_case.h"

#define CONNECT(name, packet, events)                                                                        \
    {                                                                                                        \
        name, FROM_CLIENT, MQTT_VERSION_UNKNOWN, packet, events, NULL                                        \
    }
#define CONNECT_AS(name, packet, events, canonical)                                                          \
    {                                                                                                        \
        name, FROM_CLIENT, MQTT_VERSION_UNKNOWN, packet, events, canonical                                   \
    }

static void test_3_1_1(void)
{
    static const struct mqtt_case rows[] = {
        CONNECT("plain", "10 < ['MQTT'] 04 02 003C ['c1'] >",
                "connect version=4 clean=1 keep_alive=60 id=c1"),
        CONNECT("everything", "10 < ['MQTT'] 04 F6 FFFF ['c1'] ['w/t'] ['gone'] ['me'] [00FF] >",
                "connect version=4 clean=1 keep_alive=65535 id=c1 user_name=me password=\\00\\ff will qos=2 "
                "retain=1 "
                "topic=w/t payload=gone"),
        CONNECT("empty password", "10 < ['MQTT'] 04 C2 0000 ['c'] ['u'] [] >",
                "connect version=4 clean=1 keep_alive=0 id=c user_name=u password="),
        CONNECT("empty user name", "10 < ['MQTT'] 04 82 0000 ['c'] [] >",
                "connect version=4 clean=1 keep_alive=0 id=c user_name="),
        CONNECT("empty will payload", "10 < ['MQTT'] 04 06 0000 ['c'] ['t'] [] >",
                "connect version=4 clean=1 keep_alive=0 id=c will qos=0 retain=0 topic=t payload="),
        CONNECT(
            "will payload is binary [3.1.3.3]", "10 < ['MQTT'] 04 06 0000 ['c'] ['t'] [C080FF] >",
            "connect version=4 clean=1 keep_alive=0 id=c will qos=0 retain=0 topic=t payload=\\c0\\80\\ff"),
        CONNECT("empty id, clean [3.1.3-6]", "10 < ['MQTT'] 04 02 0000 [] >",
                "connect version=4 clean=1 keep_alive=0 id="),
        CONNECT("empty id, not clean [3.1.3-8]", "10 < ['MQTT'] 04 00 0000 [] >", "fault bad-client-id"),
        CONNECT("reserved flag [3.1.2-3]", "10 < ['MQTT'] 04 03 0000 ['c'] >", "fault malformed"),
        CONNECT("will QoS without will [3.1.2-13]", "10 < ['MQTT'] 04 0A 0000 ['c'] >", "fault malformed"),
        CONNECT("will retain without will [3.1.2-15]", "10 < ['MQTT'] 04 22 0000 ['c'] >", "fault malformed"),
        CONNECT("will QoS 3 [3.1.2-14]", "10 < ['MQTT'] 04 1E 0000 ['c'] ['t'] ['p'] >", "fault malformed"),
        CONNECT("password without user name [3.1.2-22]", "10 < ['MQTT'] 04 42 0000 ['c'] ['p'] >",
                "fault malformed"),
        CONNECT("user name missing", "10 < ['MQTT'] 04 82 0000 ['c'] >", "fault malformed"),
        CONNECT("password missing", "10 < ['MQTT'] 04 C2 0000 ['c'] ['u'] >", "fault malformed"),
        CONNECT("will payload missing", "10 < ['MQTT'] 04 06 0000 ['c'] ['t'] >", "fault malformed"),
        CONNECT("a byte too many", "10 < ['MQTT'] 04 02 0000 ['c'] 00 >", "fault malformed"),
        CONNECT("id cut short", "10 < ['MQTT'] 04 02 0000 0002 'c' >", "fault malformed"),
        CONNECT("keep-alive cut short", "10 < ['MQTT'] 04 02 00 >", "fault malformed"),
        CONNECT("no flags", "10 < ['MQTT'] 04 >", "fault malformed"),
        CONNECT("no level", "10 < ['MQTT'] >", "fault malformed"),
        CONNECT("nothing", "10 <>", "fault malformed"),
        CONNECT("id with C0 80 (D3)", "10 < ['MQTT'] 04 02 0000 [C080] >", "fault malformed-string"),
        CONNECT("id with NUL [1.5.3-2]", "10 < ['MQTT'] 04 02 0000 ['a' 00] >", "fault malformed-string"),
        CONNECT("user name with surrogate [1.5.3-1]", "10 < ['MQTT'] 04 82 0000 ['c'] [EDA080] >",
                "fault malformed-string"),
        CONNECT("will topic with FF", "10 < ['MQTT'] 04 06 0000 ['c'] [FF] ['p'] >",
                "fault malformed-string"),
        CONNECT("will topic with wildcard", "10 < ['MQTT'] 04 06 0000 ['c'] ['a/+'] ['p'] >",
                "fault bad-topic"),
        CONNECT("will topic empty [4.7.3-1]", "10 < ['MQTT'] 04 06 0000 ['c'] [] ['p'] >", "fault bad-topic"),
        CONNECT("byte order mark is kept [1.5.3-3]", "10 < ['MQTT'] 04 02 0000 [EFBBBF 'c'] >",
                "connect version=4 clean=1 keep_alive=0 id=\\ef\\bb\\bfc"),
    };
    CHECK_CASES(rows);
}

static void test_3_1(void)
{
    static const struct mqtt_case rows[] = {
        CONNECT("plain", "10 < ['MQIsdp'] 03 02 003C ['c1'] >",
                "connect version=3 clean=1 keep_alive=60 id=c1"),
        CONNECT("23 characters", "10 < ['MQIsdp'] 03 02 0000 [{22 'x'} C3A9] >",
                "connect version=3 clean=1 keep_alive=0 id=xxxxxxxxxxxxxxxxxxxxxx\\c3\\a9"),
        CONNECT("24 characters (s.3.1)", "10 < ['MQIsdp'] 03 02 0000 [{24 'x'}] >", "fault bad-client-id"),
        CONNECT("no characters", "10 < ['MQIsdp'] 03 02 0000 [] >", "fault bad-client-id"),
        CONNECT_AS("user name flag, string missing (s.3.1)", "10 < ['MQIsdp'] 03 82 0000 ['c'] >",
                   "connect version=3 clean=1 keep_alive=0 id=c", "10 < ['MQIsdp'] 03 02 0000 ['c'] >"),
        CONNECT_AS("password flag, string missing", "10 < ['MQIsdp'] 03 C2 0000 ['c'] ['u'] >",
                   "connect version=3 clean=1 keep_alive=0 id=c user_name=u",
                   "10 < ['MQIsdp'] 03 82 0000 ['c'] ['u'] >"),
        CONNECT_AS("both missing", "10 < ['MQIsdp'] 03 C2 0000 ['c'] >",
                   "connect version=3 clean=1 keep_alive=0 id=c", "10 < ['MQIsdp'] 03 02 0000 ['c'] >"),
        CONNECT("user name cut short is not missing", "10 < ['MQIsdp'] 03 82 0000 ['c'] 00 >",
                "fault malformed"),
        CONNECT("password without user name", "10 < ['MQIsdp'] 03 42 0000 ['c'] ['p'] >", "fault malformed"),
        CONNECT_AS("bit 0 is not used", "10 < ['MQIsdp'] 03 03 0000 ['c'] >",
                   "connect version=3 clean=1 keep_alive=0 id=c", "10 < ['MQIsdp'] 03 02 0000 ['c'] >"),
        CONNECT_AS("will bits without will are disregarded", "10 < ['MQIsdp'] 03 3A 0000 ['c'] >",
                   "connect version=3 clean=1 keep_alive=0 id=c", "10 < ['MQIsdp'] 03 02 0000 ['c'] >"),
        CONNECT("will QoS 3", "10 < ['MQIsdp'] 03 1E 0000 ['c'] ['t'] ['p'] >", "fault malformed"),
        CONNECT("trailing byte", "10 < ['MQIsdp'] 03 02 0000 ['c'] 00 >", "fault malformed"),
    };
    CHECK_CASES(rows);
}

static void test_5(void)
{
    static const struct mqtt_case rows[] = {
        CONNECT("plain", "10 < ['MQTT'] 05 02 003C <> ['c1'] >",
                "connect version=5 clean=1 keep_alive=60 id=c1"),
        CONNECT("empty id, not clean (s.3.1.3.1)", "10 < ['MQTT'] 05 00 0000 <> [] >",
                "connect version=5 clean=0 keep_alive=0 id="),
        CONNECT("password alone (s.3.1.2.9)", "10 < ['MQTT'] 05 42 0000 <> ['c'] ['p'] >",
                "connect version=5 clean=1 keep_alive=0 id=c password=p"),
        CONNECT_AS(
            "all properties",
            "10 < ['MQTT'] 05 02 0000 < 27 00001000 22 000A 21 0014 26 ['k'] ['v'] 19 01 17 00 15 ['m'] "
            "16 [00] 26 ['k'] ['w'] 11 00000E10 > ['c'] >",
            "connect version=5 clean=1 keep_alive=0 id=c session_expiry_s=3600 auth_method=m auth_data=\\00 "
            "request_problem=0 request_response=1 receive_maximum=20 topic_alias_max=10 "
            "max_packet_bytes=4096 user=k is=v user=k is=w",
            "10 < ['MQTT'] 05 02 0000 < 11 00000E10 15 ['m'] 16 [00] 17 00 19 01 21 0014 22 000A "
            "27 00001000 26 ['k'] ['v'] 26 ['k'] ['w'] > ['c'] >"),
        CONNECT_AS(
            "all will properties",
            "10 < ['MQTT'] 05 2E 0000 <> ['c'] < 26 ['a'] ['b'] 18 00000005 09 [FF] 08 ['r/t'] 03 ['x'] "
            "02 00000007 01 01 > ['w'] ['p'] >",
            "connect version=5 clean=1 keep_alive=0 id=c will qos=1 retain=1 topic=w payload=p "
            "payload_format=1 "
            "message_expiry_s=7 content_type=x response_topic=r/t correlation_data=\\ff will_delay_s=5 "
            "user=a is=b",
            "10 < ['MQTT'] 05 2E 0000 <> ['c'] < 01 01 02 00000007 03 ['x'] 08 ['r/t'] 09 [FF] "
            "18 00000005 26 ['a'] ['b'] > ['w'] ['p'] >"),
        CONNECT("will marked as text is not", "10 < ['MQTT'] 05 06 0000 <> ['c'] < 01 01 > ['w'] [C080] >",
                "fault malformed-payload"),
        CONNECT("will not marked", "10 < ['MQTT'] 05 06 0000 <> ['c'] < 01 00 > ['w'] [C080] >",
                "connect version=5 clean=1 keep_alive=0 id=c will qos=0 retain=0 topic=w payload=\\c0\\80 "
                "payload_format=0"),
        CONNECT("auth data without method", "10 < ['MQTT'] 05 02 0000 < 16 ['d'] > ['c'] >",
                "fault bad-property"),
        CONNECT("will delay among CONNECT's own", "10 < ['MQTT'] 05 02 0000 < 18 00000001 > ['c'] >",
                "fault malformed-property"),
        CONNECT("no property length", "10 < ['MQTT'] 05 02 0000 >", "fault malformed-property"),
        CONNECT("property length too long", "10 < ['MQTT'] 05 02 0000 09 ['c'] >",
                "fault malformed-property"),
        CONNECT("property length not minimal [1.5.5-1]", "10 < ['MQTT'] 05 02 0000 8000 ['c'] >",
                "fault malformed-property"),
        CONNECT("property length of five bytes", "10 < ['MQTT'] 05 02 0000 8080808000 ['c'] >",
                "fault malformed-property"),
        CONNECT("response topic with wildcard [3.3.2-14]",
                "10 < ['MQTT'] 05 06 0000 <> ['c'] < 08 ['a/#'] > ['w'] [] >", "fault bad-topic"),
        CONNECT("reserved flag", "10 < ['MQTT'] 05 03 0000 <> ['c'] >", "fault malformed"),
        CONNECT("trailing byte", "10 < ['MQTT'] 05 02 0000 <> ['c'] 00 >", "fault malformed"),
    };
    CHECK_CASES(rows);
}

static void test_protocol_name_and_level(void)
{
    static const struct mqtt_case rows[] = {
        CONNECT("MQTT/6 [3.1.2-2]", "10 < ['MQTT'] 06 02 0000 <> ['c'] >", "fault bad-protocol-version"),
        CONNECT("MQTT/3", "10 < ['MQTT'] 03 02 0000 ['c'] >", "fault bad-protocol-version"),
        CONNECT("MQTT/0", "10 < ['MQTT'] 00 02 0000 ['c'] >", "fault bad-protocol-version"),
        CONNECT("MQIsdp/4", "10 < ['MQIsdp'] 04 02 0000 ['c'] >", "fault bad-protocol-version"),
        CONNECT("mosquitto's bridge, 3.1", "10 < ['MQIsdp'] 83 02 0000 ['c'] >",
                "fault bad-protocol-version"),
        CONNECT("mosquitto's bridge, 3.1.1", "10 < ['MQTT'] 84 02 0000 ['c'] >",
                "fault bad-protocol-version"),
        CONNECT("name in small letters", "10 < ['mqtt'] 04 02 0000 ['c'] >", "fault bad-protocol-version"),
        CONNECT("empty name", "10 < [] 04 02 0000 ['c'] >", "fault bad-protocol-version"),
        CONNECT("name cut short", "10 < 0004 'MQT' >", "fault malformed"),
    };
    struct mqtt_packet packet;
    CHECK_CASES(rows);
    /* The level is told, so that the refusal can be in the client's own form. */
    struct vector v = vector_of("['MQTT'] 84 02 0000 ['c']");
    CU_ASSERT_EQUAL(mqtt_packet_decode(&packet, MQTT_CONNECT, 0, bytes_of(v.at, v.len), (uint32_t)v.len,
                                       MQTT_VERSION_UNKNOWN, MQTT_FROM_CLIENT, UTF8_SPEC),
                    OUTCOME_BAD_PROTOCOL_VERSION);
    CU_ASSERT_EQUAL((unsigned int)packet.connect.version, 0x84);
    free(v.at);
}

#define CONNACK(name, version, packet, events)                                                               \
    {                                                                                                        \
        name, FROM_SERVER, version, packet, events, NULL                                                     \
    }

static void test_connack(void)
{
    static const struct mqtt_case rows[] = {
        CONNACK("accepted", MQTT_3_1_1, "20 < 00 00 >", "connack present=0"),
        CONNACK("session present", MQTT_3_1_1, "20 < 01 00 >", "connack present=1"),
        CONNACK("refused", MQTT_3_1_1, "20 < 00 05 >", "connack code=05 present=0"),
        CONNACK("return code 6 (s.3.2.2.3)", MQTT_3_1_1, "20 < 00 06 >", "fault bad-reason-code"),
        CONNACK("present but refused [3.2.2-4]", MQTT_3_1_1, "20 < 01 05 >", "fault protocol-error"),
        CONNACK("reserved flags [3.2.2-1]", MQTT_3_1_1, "20 < 02 00 >", "fault malformed"),
        CONNACK("short", MQTT_3_1_1, "20 < 00 >", "fault malformed"),
        CONNACK("empty", MQTT_3_1_1, "20 <>", "fault malformed"),
        CONNACK("long", MQTT_3_1_1, "20 < 00 00 00 >", "fault malformed"),
        {"first byte is reserved in 3.1", FROM_SERVER, MQTT_3_1, "20 < FF 00 >", "connack present=0",
         "20 < 00 00 >"},
        CONNACK("accepted", MQTT_5, "20 < 01 00 <> >", "connack present=1"),
        CONNACK("every code that may be", MQTT_5, "20 < 00 9D <> >", "connack code=9d present=0"),
        CONNACK("code of another type", MQTT_5, "20 < 00 8E <> >", "fault bad-reason-code"),
        CONNACK("no property length (s.3.2.2.3.1)", MQTT_5, "20 < 00 00 >", "fault malformed-property"),
        CONNACK("a 3.x server's refusal of MQTT 5", MQTT_5, "20 < 00 01 >", "fault bad-protocol-version"),
        CONNACK("code 1 with properties", MQTT_5, "20 < 00 01 <> >", "fault bad-reason-code"),
        CONNACK("present but refused [3.2.2-6]", MQTT_5, "20 < 01 87 <> >", "fault protocol-error"),
        CONNACK("trailing byte", MQTT_5, "20 < 00 00 <> 00 >", "fault malformed"),
        {"all properties", FROM_SERVER, MQTT_5,
         "20 < 00 00 < 11 00000001 21 0002 24 01 25 00 27 00000003 12 ['id'] 22 0004 1F ['why'] 26 ['a'] "
         "['b'] 28 00 "
         "29 00 2A 00 13 0005 1A ['inf'] 1C ['ref'] 15 ['am'] 16 [00] > >",
         "connack present=0 session_expiry_s=1 assigned_client_id=id server_keep_alive_s=5 auth_method=am "
         "auth_data=\\00 response_info=inf server_reference=ref reason_string=why receive_maximum=2 "
         "topic_alias_max=4 maximum_qos=1 retain_available=0 max_packet_bytes=3 wildcard_available=0 "
         "sub_id_available=0 shared_available=0 user=a is=b",
         "20 < 00 00 < 11 00000001 12 ['id'] 13 0005 15 ['am'] 16 [00] 1A ['inf'] 1C ['ref'] 1F ['why'] 21 "
         "0002 "
         "22 0004 24 01 25 00 27 00000003 28 00 29 00 2A 00 26 ['a'] ['b'] > >"},
    };
    CHECK_CASES(rows);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"CONNECT of 3.1.1", test_3_1_1},
        {"CONNECT of 3.1", test_3_1},
        {"CONNECT of 5.0", test_5},
        {"protocol name and level [3.1.2-1, -2]", test_protocol_name_and_level},
        {"CONNACK", test_connack},
    };
    return unit_run("mqtt_connect", tests, sizeof(tests) / sizeof(tests[0]));
}
