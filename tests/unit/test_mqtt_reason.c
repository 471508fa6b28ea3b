/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reason codes: the tables of MQTT 5.0 ch.3, one list per packet type and side, against all 256 values. */
#include "policy/mqtt/reason.h"

#include "tests/unit/runner.h"

static const struct {
    enum mqtt_type type;
    enum mqtt_version version;
    const char *client; /* hex, NULL: this side does not send it */
    const char *server;
} lists[] = {
    {MQTT_CONNACK, MQTT_5, "",
     "00 80 81 82 83 84 85 86 87 88 89 8A 8C 90 95 97 99 9A 9B 9C 9D 9F"},          /* table 3-1 */
    {MQTT_PUBACK, MQTT_5, "00 80 83 87 90 91 97 99", "00 10 80 83 87 90 91 97 99"}, /* s.3.4.2.1 */
    {MQTT_PUBREC, MQTT_5, "00 80 83 87 90 91 97 99", "00 10 80 83 87 90 91 97 99"}, /* s.3.5.2.1 */
    {MQTT_PUBREL, MQTT_5, "00 92", "00 92"},                                        /* s.3.6.2.1 */
    {MQTT_PUBCOMP, MQTT_5, "00 92", "00 92"},                                       /* s.3.7.2.1 */
    {MQTT_SUBACK, MQTT_5, "", "00 01 02 80 83 87 8F 91 97 9E A1 A2"},               /* s.3.9.3 */
    {MQTT_UNSUBACK, MQTT_5, "", "00 11 80 83 87 8F 91"},                            /* s.3.11.3 */
    {MQTT_DISCONNECT, MQTT_5, "00 04 80 81 82 83 90 93 94 95 96 97 98 99",          /* s.3.14.2.1 */
     "00 80 81 82 83 87 89 8B 8C 8D 8E 8F 90 93 94 95 96 97 98 99 9A 9B 9C 9D 9E 9F A0 A1 A2"},
    {MQTT_AUTH, MQTT_5, "18 19", "00 18"}, /* s.3.15.2.1 */
    {MQTT_CONNECT, MQTT_5, "", ""},
    {MQTT_PUBLISH, MQTT_5, "", ""},
    {MQTT_SUBSCRIBE, MQTT_5, "", ""},
    {MQTT_CONNACK, MQTT_3_1_1, "", "00 01 02 03 04 05"}, /* 3.1.1 s.3.2.2.3 */
    {MQTT_CONNACK, MQTT_3_1, "", "00 01 02 03 04 05"},
    {MQTT_SUBACK, MQTT_3_1_1, "", "00 01 02 80"}, /* [3.1.1: 3.9.3-2] */
    {MQTT_SUBACK, MQTT_3_1, "", "00 01 02"},
    {MQTT_PUBACK, MQTT_3_1_1, "", ""},
    {MQTT_DISCONNECT, MQTT_3_1_1, "", ""},
};

static bool listed(const char *list, unsigned int code)
{
    char hex[3];
    snprintf(hex, sizeof(hex), "%02X", code);
    for (const char *at = list; (at = strstr(at, hex)) != NULL; at++)
        if ((at - list) % 3 == 0)
            return true;
    return false;
}

static void test_lists(void)
{
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        for (unsigned int code = 0; code < 256; code++) {
            CU_ASSERT_EQUAL(
                mqtt_reason_allowed(lists[i].type, MQTT_FROM_CLIENT, lists[i].version, (uint8_t)code),
                listed(lists[i].client, code));
            CU_ASSERT_EQUAL(
                mqtt_reason_allowed(lists[i].type, MQTT_FROM_SERVER, lists[i].version, (uint8_t)code),
                listed(lists[i].server, code));
        }
}

/* Whatever is asked for, what comes out may be said, and no refusal becomes a success. */
static void test_nearest(void)
{
    static const struct {
        enum mqtt_type type;
        uint8_t code, nearest;
    } rows[] = {
        {MQTT_PUBACK, 0x87, 0x87},     {MQTT_PUBACK, 0x8A, 0x87},     {MQTT_PUBACK, 0x96, 0x97},
        {MQTT_PUBACK, 0x95, 0x97},     {MQTT_PUBACK, 0x9B, 0x83},     {MQTT_PUBACK, 0x81, 0x80},
        {MQTT_PUBREC, 0x98, 0x87},     {MQTT_PUBREL, 0x87, 0x92},     {MQTT_PUBCOMP, 0x80, 0x92},
        {MQTT_SUBACK, 0x8F, 0x8F},     {MQTT_SUBACK, 0x9B, 0x83},     {MQTT_SUBACK, 0x04, 0x00},
        {MQTT_UNSUBACK, 0x97, 0x80},   {MQTT_CONNACK, 0x98, 0x87},    {MQTT_CONNACK, 0x96, 0x97},
        {MQTT_CONNACK, 0x8D, 0x80},    {MQTT_DISCONNECT, 0x8A, 0x87}, {MQTT_DISCONNECT, 0x86, 0x87},
        {MQTT_DISCONNECT, 0xFF, 0x80}, {MQTT_DISCONNECT, 0x04, 0x04},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        CU_ASSERT_EQUAL(mqtt_reason_nearest(rows[i].type, rows[i].code), rows[i].nearest);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (lists[i].version != MQTT_5 || lists[i].type == MQTT_AUTH ||
            (lists[i].client[0] == '\0' && lists[i].server[0] == '\0'))
            continue;
        for (unsigned int code = 0; code < 256; code++) {
            uint8_t said = mqtt_reason_nearest(lists[i].type, (uint8_t)code);
            CU_ASSERT_TRUE(listed(lists[i].client, said) || listed(lists[i].server, said));
            CU_ASSERT_EQUAL(said >= 0x80, code >= 0x80);
        }
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"codes per packet type and side", test_lists},
        {"the nearest code", test_nearest},
    };
    return unit_run("mqtt_reason", tests, sizeof(tests) / sizeof(tests[0]));
}
