/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets that have hurt other implementations, one or more for each published flaw of its class, with what
 * is made of them here. Each is fed whole, split at every byte and byte by byte, from memory of its exact
 * size.
 */
#include "tests/unit/mqtt_case.h"

/* CVE-2026-21888, CVE-2021-45932 to -45937, CVE-2026-54412, CVE-2019-17210, CVE-2021-41036,
 * CVE-2024-42645, CVE-2024-50948, CVE-2026-42209, -8686, OSV-2021-1568: lengths that lie. */
static void lengths_that_lie(void)
{
    static const struct mqtt_case rows[] = {
        {"Remaining Length of five bytes (CVE-2026-21888)", FROM_CLIENT, MQTT_5, "30 FFFFFFFF 7F",
         "fault malformed-length", NULL},
        {"a PUBLISH shorter than its identifier (CVE-2026-54412)", FROM_CLIENT, MQTT_3_1_1, "32 03 0001 'a'",
         "fault malformed", NULL},
        {"and by one byte", FROM_CLIENT, MQTT_3_1_1, "32 04 0001 'a' 00", "fault malformed", NULL},
        {"a PUBLISH shorter than its topic (CVE-2019-17210)", FROM_SERVER, MQTT_3_1_1, "30 05 FFFF 'abc'",
         "fault malformed", NULL},
        {"a PUBLISH of one byte (CVE-2021-41036)", FROM_SERVER, MQTT_3_1_1, "30 01 00", "fault malformed",
         NULL},
        {"a PUBLISH of none", FROM_SERVER, MQTT_3_1_1, "30 00", "fault malformed", NULL},
        {"no property length in a PUBLISH (CVE-2021-45932)", FROM_SERVER, MQTT_5, "30 < ['a'] >",
         "fault malformed-property", NULL},
        {"properties past the end of a PUBLISH (CVE-2021-45933)", FROM_SERVER, MQTT_5, "30 < ['a'] FFFF7F >",
         "fault malformed-property", NULL},
        {"a string past the end of the properties (CVE-2021-45934)", FROM_SERVER, MQTT_5,
         "30 < ['a'] < 03 FFFF 'x' > 'payload' >", "fault malformed-property", NULL},
        {"a value of a user property past the end (CVE-2026-8686)", FROM_CLIENT, MQTT_5,
         "30 < ['a'] < 26 ['k'] 00FF > >", "fault malformed-property", NULL},
        {"a number cut by the end of the properties (CVE-2021-45935)", FROM_SERVER, MQTT_5,
         "20 < 00 00 < 27 0000 > >", "fault malformed-property", NULL},
        {"properties past the end of CONNACK (CVE-2021-45936)", FROM_SERVER, MQTT_5, "20 < 00 00 7F 27 >",
         "fault malformed-property", NULL},
        {"properties past the end of SUBACK (CVE-2021-45937)", FROM_SERVER, MQTT_5, "90 < 0001 7F 00 >",
         "fault malformed-property", NULL},
        {"properties past the end of PUBACK", FROM_SERVER, MQTT_5, "40 < 0001 00 05 1F >",
         "fault malformed-property", NULL},
        {"properties past the end of DISCONNECT (OSV-2026-750)", FROM_SERVER, MQTT_5, "E0 < 00 01 >",
         "fault malformed-property", NULL},
        {"properties whole, what follows cut: SUBACK (OSV-2021-1568)", FROM_SERVER, MQTT_5,
         "90 < 0001 < 1F ['why'] 26 ['k'] ['v'] > >", "fault protocol-error", NULL},
        {"and a code that is none (OSV-2021-1568)", FROM_SERVER, MQTT_5,
         "90 < 0001 < 1F ['why'] 26 ['k'] ['v'] > 00 7F >", "fault bad-reason-code", NULL},
        {"and more behind the end of PUBACK (OSV-2021-1568)", FROM_SERVER, MQTT_5,
         "40 < 0001 00 < 1F ['why'] 26 ['k'] ['v'] > 00 >", "fault malformed", NULL},
        {"a Will payload past the end (CVE-2024-42645)", FROM_CLIENT, MQTT_VERSION_UNKNOWN,
         "10 < ['MQTT'] 04 06 0000 ['c'] ['w'] FFFF 'x' >", "fault malformed", NULL},
        {"Will properties past the end (CVE-2026-42209)", FROM_CLIENT, MQTT_VERSION_UNKNOWN,
         "10 < ['MQTT'] 05 06 0000 <> ['c'] 7F 18 >", "fault malformed-property", NULL},
        {"a password past the end (CVE-2024-50948)", FROM_CLIENT, MQTT_VERSION_UNKNOWN,
         "10 < ['MQTT'] 04 C2 0000 ['c'] ['u'] 0002 'p' >", "fault malformed", NULL},
        {"a CONNECT that ends before its flags", FROM_CLIENT, MQTT_VERSION_UNKNOWN, "10 < ['MQTT'] 04 >",
         "fault malformed", NULL},
        {"a CONNECT of nothing", FROM_CLIENT, MQTT_VERSION_UNKNOWN, "10 00", "fault malformed", NULL},
    };
    CHECK_CASES(rows);
}

/* NanoMQ 2268 and 2270, CVE-2025-59947, CVE-2026-45151, CVE-2024-8376, CVE-2024-3935, CVE-2024-10525: lists.
 */
static void lists_that_end(void)
{
    static const struct mqtt_case rows[] = {
        {"SUBSCRIBE without options (NanoMQ 2268)", FROM_CLIENT, MQTT_5, "82 < 0001 <> ['a'] >",
         "fault malformed", NULL},
        {"SUBSCRIBE without filters (CVE-2026-45151)", FROM_CLIENT, MQTT_5, "82 < 0001 <> >",
         "fault protocol-error", NULL},
        {"SUBSCRIBE without anything (CVE-2025-59947)", FROM_CLIENT, MQTT_3_1_1, "82 00", "fault malformed",
         NULL},
        {"SUBSCRIBE of half an identifier", FROM_CLIENT, MQTT_3_1_1, "82 01 00", "fault malformed", NULL},
        {"PUBLISH with QoS, cut (NanoMQ 2270)", FROM_CLIENT, MQTT_5, "34 < ['a'] 00 >", "fault malformed",
         NULL},
        {"UNSUBSCRIBE without filters (CVE-2024-8376)", FROM_CLIENT, MQTT_3_1_1, "A2 < 0001 >",
         "fault protocol-error", NULL},
        {"UNSUBSCRIBE, a filter of length 0", FROM_CLIENT, MQTT_3_1_1, "A2 < 0001 [] >", "fault bad-filter",
         NULL},
        {"SUBACK without codes (CVE-2024-10525)", FROM_SERVER, MQTT_5, "90 < 0001 <> >",
         "fault protocol-error", NULL},
        {"UNSUBACK without codes", FROM_SERVER, MQTT_5, "B0 < 0001 <> >", "fault protocol-error", NULL},
        {"SUBACK with a code that is none", FROM_SERVER, MQTT_3_1_1, "90 < 0001 03 >",
         "fault bad-reason-code", NULL},
        {"SUBACK with a failure in 3.1, which has none", FROM_SERVER, MQTT_3_1, "90 < 0001 80 >",
         "fault bad-reason-code", NULL},
    };
    CHECK_CASES(rows);
}

/* CVE-2021-28166 and its like: a type that this side does not send, well-formed otherwise. */
static void types_of_the_other_side(void)
{
    static const struct mqtt_case rows[] = {
        {"CONNACK of a client (CVE-2021-28166)", FROM_CLIENT, MQTT_5, "20 < 00 00 <> >",
         "fault wrong-direction", NULL},
        {"SUBACK of a client", FROM_CLIENT, MQTT_5, "90 < 0001 <> 00 >", "fault wrong-direction", NULL},
        {"UNSUBACK of a client", FROM_CLIENT, MQTT_3_1_1, "B0 < 0001 >", "fault wrong-direction", NULL},
        {"PINGRESP of a client", FROM_CLIENT, MQTT_3_1_1, "D0 00", "fault wrong-direction", NULL},
        {"CONNECT of a server", FROM_SERVER, MQTT_5, "10 < ['MQTT'] 05 02 0000 <> ['c'] >",
         "fault wrong-direction", NULL},
        {"SUBSCRIBE of a server", FROM_SERVER, MQTT_5, "82 < 0001 <> ['a'] 00 >", "fault wrong-direction",
         NULL},
        {"UNSUBSCRIBE of a server", FROM_SERVER, MQTT_5, "A2 < 0001 <> ['a'] >", "fault wrong-direction",
         NULL},
        {"PINGREQ of a server", FROM_SERVER, MQTT_5, "C0 00", "fault wrong-direction", NULL},
        {"DISCONNECT of a 3.1.1 server", FROM_SERVER, MQTT_3_1_1, "E0 00", "fault wrong-direction", NULL},
        {"PUBLISH before CONNECT (CVE-2023-0809)", FROM_CLIENT, MQTT_VERSION_UNKNOWN, "30 FFFFFF7F",
         "fault first-not-connect", NULL},
    };
    CHECK_CASES(rows);
}

/* CVE-2018-12543, CVE-2021-34432, CVE-2026-95842 to -95844, CVE-2017-7653, CVE-2026-67418: names and strings.
 */
static void names_that_are_none(void)
{
    static const struct mqtt_case rows[] = {
        {"a topic of length 0 (CVE-2021-34432)", FROM_SERVER, MQTT_3_1_1, "30 < [] 'x' >", "fault bad-topic",
         NULL},
        {"'$' alone (CVE-2018-12543)", FROM_CLIENT, MQTT_3_1_1, "30 < ['$'] >",
         "publish qos=0 dup=0 retain=0 topic=$ bytes=0 payload=", NULL},
        {"a share without group (CVE-2026-95843)", FROM_CLIENT, MQTT_5, "82 < 0001 <> ['$share//x'] 00 >",
         "fault bad-filter", NULL},
        {"a share without filter (CVE-2026-95842)", FROM_CLIENT, MQTT_5, "82 < 0001 <> ['$share/g/'] 00 >",
         "fault bad-filter", NULL},
        {"a share of nothing", FROM_CLIENT, MQTT_5, "82 < 0001 <> ['$share/'] 00 >", "fault bad-filter",
         NULL},
        {"No Local on a share [3.8.3-4]", FROM_CLIENT, MQTT_5, "82 < 0001 <> ['$share/g/x'] 04 >",
         "fault shared-no-local", NULL},
        {"overlong NUL in a topic (CVE-2017-7653)", FROM_SERVER, MQTT_3_1_1, "30 < ['a/' C080] >",
         "fault malformed-string", NULL},
        {"half a surrogate in a Response Topic", FROM_CLIENT, MQTT_5, "30 < ['a'] < 08 [EDA080] > >",
         "fault malformed-string", NULL},
        {"a property of another packet (CVE-2026-67418)", FROM_SERVER, MQTT_5, "30 < ['a'] < 1F ['r'] > >",
         "fault malformed-property", NULL},
        {"a property that does not exist", FROM_SERVER, MQTT_5, "30 < ['a'] < 7F 00 > >",
         "fault malformed-property", NULL},
        {"a Subscription Identifier of a client [3.3.4-6]", FROM_CLIENT, MQTT_5, "30 < ['a'] < 0B 01 > >",
         "fault bad-property", NULL},
    };
    CHECK_CASES(rows);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"lengths that lie", lengths_that_lie},
        {"lists that end", lists_that_end},
        {"types of the other side", types_of_the_other_side},
        {"names that are none", names_that_are_none},
    };
    return unit_run("mqtt_regressions", tests, sizeof(tests) / sizeof(tests[0]));
}
