/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/source_table.h"
#include "tests/unit/runner.h"

static const uint8_t secret[16] = {1, 2, 3};
static const struct rate ten_per_s[RATE_WINDOWS] = {{.amount = 10, .period_us = 1000000, .burst = 10}};

static void the_eleventh_connection_in_a_second_is_refused(void)
{
    struct source_table *table = source_table_create(64, secret);
    struct ip_address a = ip_address_v4(0x0a140011);
    struct ip_address b = ip_address_v4(0x0a140012);
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(source_table_admit(table, &a, ten_per_s, 0, 5000000), OUTCOME_ALLOWED);
    CU_ASSERT_EQUAL(source_table_admit(table, &a, ten_per_s, 0, 5000000), OUTCOME_RATE_CONNECTS);
    CU_ASSERT_EQUAL(source_table_admit(table, &b, ten_per_s, 0, 5000000), OUTCOME_ALLOWED);
    CU_ASSERT_EQUAL(source_table_admit(table, &a, ten_per_s, 0, 5100001), OUTCOME_ALLOWED);
    CU_ASSERT_EQUAL(source_table_admit(table, &a, ten_per_s, 0, 5100001), OUTCOME_RATE_CONNECTS);
    source_table_destroy(table);
}

static void sessions_are_counted_and_capped(void)
{
    struct source_table *table = source_table_create(64, secret);
    struct ip_address a = ip_address_v4(0x0a140011);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(source_table_admit(table, &a, ten_per_s, 3, 5000000), OUTCOME_ALLOWED);
        source_table_open(table, &a);
    }
    CU_ASSERT_EQUAL(source_table_admit(table, &a, ten_per_s, 3, 5000000), OUTCOME_SESSION_TAKEN);
    source_table_close(table, &a);
    CU_ASSERT_EQUAL(source_table_sessions(table, &a), 2);
    CU_ASSERT_EQUAL(source_table_admit(table, &a, ten_per_s, 3, 5000000), OUTCOME_ALLOWED);
    for (int i = 0; i < 5; i++) /* one close too many does no harm */
        source_table_close(table, &a);
    CU_ASSERT_EQUAL(source_table_sessions(table, &a), 0);
    source_table_destroy(table);
}

static void a_flood_of_addresses_neither_grows_nor_evicts_sessions(void)
{
    struct source_table *table = source_table_create(64, secret);
    struct ip_address mine[16];
    uint32_t opened = 0;
    for (uint32_t i = 0; i < 16; i++) {
        mine[i] = ip_address_v4(0x0a140000 + i);
        if (source_table_admit(table, &mine[i], ten_per_s, 0, 1000000) == OUTCOME_ALLOWED) {
            source_table_open(table, &mine[i]);
            opened++;
        }
    }
    CU_ASSERT_TRUE(opened > 8);
    for (uint32_t i = 0; i < 100000; i++) {
        struct ip_address spoofed = ip_address_v4(0xc0000000 + i);
        source_table_admit(table, &spoofed, ten_per_s, 0, 1000000 + i);
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < 16; i++)
        kept += source_table_sessions(table, &mine[i]);
    CU_ASSERT_EQUAL(kept, opened);
    source_table_destroy(table);
}

static void a_set_full_of_sessions_refuses(void)
{
    struct source_table *table = source_table_create(1, secret); /* one set */
    uint32_t refused = 0;
    for (uint32_t i = 0; i < 20; i++) {
        struct ip_address a = ip_address_v4(0x0a140000 + i);
        enum outcome outcome = source_table_admit(table, &a, ten_per_s, 0, 1000000);
        if (outcome == OUTCOME_ALLOWED)
            source_table_open(table, &a);
        else if (outcome == OUTCOME_NO_RESOURCES)
            refused++;
    }
    CU_ASSERT_EQUAL(refused, 12);
    source_table_destroy(table);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"F1, I2: the eleventh connection in a second", the_eleventh_connection_in_a_second_is_refused},
        {"F1: sessions per source", sessions_are_counted_and_capped},
        {"F1: a flood of addresses", a_flood_of_addresses_neither_grows_nor_evicts_sessions},
        {"F1: undecided means drop", a_set_full_of_sessions_refuses},
    };
    return unit_run("source table", tests, sizeof(tests) / sizeof(tests[0]));
}
