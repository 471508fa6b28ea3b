/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of outcomes: complete, unambiguous, and never an acceptance by accident. */
#include "policy/verdict.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/runner.h"

static void test_complete(void)
{
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        const char *id = outcome_id((enum outcome)i);
        CU_ASSERT_PTR_NOT_NULL_FATAL(id);
        CU_ASSERT_TRUE(strlen(id) > 0 && strlen(outcome_text((enum outcome)i)) > 0);
        CU_ASSERT_EQUAL(strspn(id, "abcdefghijklmnopqrstuvwxyz-"), strlen(id));
        for (int k = 0; k < i; k++)
            CU_ASSERT_STRING_NOT_EQUAL(id, outcome_id((enum outcome)k));
    }
}

static void test_undecided_is_a_refusal(void)
{
    CU_ASSERT_EQUAL(OUTCOME_UNDECIDED, 0);
    CU_ASSERT_EQUAL(outcome_mqtt5_code(OUTCOME_UNDECIDED), 0x83);
    CU_ASSERT_EQUAL(outcome_connack3_code(OUTCOME_UNDECIDED), 3);
    /* Values outside the table are undecided. */
    static const int outside[] = {OUTCOME_COUNT, OUTCOME_COUNT + 1, 0x7FFFFFFF, -1};
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        CU_ASSERT_STRING_EQUAL(outcome_id((enum outcome)outside[i]), "undecided");
        CU_ASSERT_STRING_EQUAL(outcome_text((enum outcome)outside[i]), outcome_text(OUTCOME_UNDECIDED));
        CU_ASSERT_EQUAL(outcome_mqtt5_code((enum outcome)outside[i]), 0x83);
        CU_ASSERT_EQUAL(outcome_connack3_code((enum outcome)outside[i]), 3);
    }
}

static void test_groups(void)
{
    static const struct {
        enum outcome outcome;
        enum outcome_group group;
    } cases[] = {
        {OUTCOME_UNDECIDED, OUTCOME_OF_ACCESS},      {OUTCOME_ADMIN_KICK, OUTCOME_OF_ACCESS},
        {OUTCOME_QOS_CAP, OUTCOME_OF_LIMIT},         {OUTCOME_AUTH_BUSY, OUTCOME_OF_LIMIT},
        {OUTCOME_MALFORMED, OUTCOME_OF_PROTOCOL},    {OUTCOME_MULTICAST, OUTCOME_OF_PROTOCOL},
        {OUTCOME_CONNECT_TIMEOUT, OUTCOME_OF_TIME},  {OUTCOME_WRITE_STALL, OUTCOME_OF_TIME},
        {OUTCOME_CLIENT_DISCONNECT, OUTCOME_OF_END}, {OUTCOME_SHUTTING_DOWN, OUTCOME_OF_END},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        CU_ASSERT_EQUAL(outcome_group(cases[i].outcome), cases[i].group);
}

/* What a client of each version is told (3.1.1 s.3.2.2.3; MQTT 5.0 s.2.4). */
static void test_codes(void)
{
    static const struct {
        enum outcome outcome;
        uint8_t mqtt5, connack3;
    } rows[] = {
        {OUTCOME_ALLOWED, 0x00, 0},
        {OUTCOME_RULE_DENY, 0x87, 5},
        {OUTCOME_DEFAULT_DENY, 0x87, 5},
        {OUTCOME_QUARANTINED, 0x8A, 5},
        {OUTCOME_BAD_CREDENTIALS, 0x86, 4},
        {OUTCOME_BAD_CLIENT_ID, 0x85, 2},
        {OUTCOME_CLIENT_ID_MISMATCH, 0x85, 2},
        {OUTCOME_BAD_PROTOCOL_VERSION, 0x84, 1},
        {OUTCOME_UPSTREAM_TLS, 0x88, 3},
        {OUTCOME_UPSTREAM_REFUSED, 0x88, 3},
        {OUTCOME_SHUTTING_DOWN, 0x8B, 3},
        {OUTCOME_RATE_CONNECTS, 0x9F, 3},
        {OUTCOME_NO_RESOURCES, 0x97, 3},
        {OUTCOME_CLIENT_DISCONNECT, 0x00, 3},
        {OUTCOME_BAD_TOPIC_ALIAS, 0x94, 5},
        {OUTCOME_QOS_CAP, 0x9B, 5},
        {OUTCOME_MALFORMED_STRING, 0x81, 5},
        {OUTCOME_BAD_PROPERTY, 0x82, 5},
        {OUTCOME_BAD_REASON_CODE, 0x82, 5},
        {OUTCOME_BAD_FILTER, 0x8F, 5},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CU_ASSERT_EQUAL(outcome_mqtt5_code(rows[i].outcome), rows[i].mqtt5);
        CU_ASSERT_EQUAL(outcome_connack3_code(rows[i].outcome), rows[i].connack3);
    }
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        CU_ASSERT_TRUE(outcome_connack3_code((enum outcome)i) <= 5);
        CU_ASSERT_EQUAL(outcome_connack3_code((enum outcome)i) == 0, i == OUTCOME_ALLOWED);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"every row is complete and has its own identifier", test_complete},
        {"undecided is a refusal", test_undecided_is_a_refusal},
        {"codes on the wire", test_codes},
        {"groups begin and end where the table says", test_groups},
    };
    return unit_run("verdict", tests, sizeof(tests) / sizeof(tests[0]));
}
