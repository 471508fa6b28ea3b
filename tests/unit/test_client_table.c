/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is remembered of clients beyond their connections (F3). */
#include "gateway/client_table.h"
#include "tests/unit/runner.h"

#include <stdio.h>

static const uint8_t secret[16] = "0123456789abcdef";

static struct bytes name_of(uint32_t i)
{
    static char text[16];
    snprintf(text, sizeof(text), "truck-%u", i);
    return bytes_of_text(text);
}

static void buckets_outlive_sessions(void)
{
    struct client_table *table = client_table_create(8, secret, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(table);
    struct client *client = client_table_get(table, name_of(1));
    CU_ASSERT_PTR_NOT_NULL_FATAL(client);
    client_table_open(table, client);
    client->rates.unpaid_bytes = 77;
    client_table_close(table, client);
    CU_ASSERT_PTR_EQUAL(client_table_get(table, name_of(1)), client);
    CU_ASSERT_EQUAL(client->rates.unpaid_bytes, 77);
    CU_ASSERT_PTR_NULL(client_table_find(table, name_of(2)));
    client_table_destroy(table);
}

/* Only those without sessions make room, the one that has been without for longest first. */
static void room_is_made(void)
{
    struct client_table *table = client_table_create(4, secret, NULL);
    struct client *busy = client_table_get(table, name_of(0));
    client_table_open(table, busy);
    for (uint32_t i = 1; i < 4; i++)
        (void)client_table_get(table, name_of(i));
    struct client *second = client_table_find(table, name_of(1));
    client_table_open(table, second); /* has a session for a while: is now the newest without */
    client_table_close(table, second);
    CU_ASSERT_PTR_NOT_NULL(client_table_get(table, name_of(4)));
    CU_ASSERT_PTR_NULL(client_table_find(table, name_of(2)));
    CU_ASSERT_PTR_NOT_NULL(client_table_get(table, name_of(5)));
    CU_ASSERT_PTR_NULL(client_table_find(table, name_of(3)));
    CU_ASSERT_PTR_NOT_NULL(client_table_get(table, name_of(6)));
    CU_ASSERT_PTR_NULL(client_table_find(table, name_of(1)));
    CU_ASSERT_PTR_EQUAL(client_table_find(table, name_of(0)), busy);
    for (uint32_t i = 4; i < 7; i++)
        client_table_open(table, client_table_find(table, name_of(i)));
    CU_ASSERT_PTR_NULL(client_table_get(table, name_of(7)));
    CU_ASSERT_EQUAL(client_table_used(table), 4);
    client_table_close(table, busy);
    CU_ASSERT_PTR_NOT_NULL(client_table_get(table, name_of(7)));
    client_table_destroy(table);
}

static void many_clients(void)
{
    struct client_table *table = client_table_create(1000, secret, NULL);
    for (uint32_t round = 0; round < 3; round++)
        for (uint32_t i = 0; i < 5000; i++) {
            struct client *client = client_table_get(table, name_of(i));
            CU_ASSERT_PTR_NOT_NULL_FATAL(client);
            CU_ASSERT_PTR_EQUAL(client_table_find(table, name_of(i)), client);
        }
    uint32_t known = 0;
    for (uint32_t i = 0; i < 5000; i++)
        known += client_table_find(table, name_of(i)) != NULL;
    CU_ASSERT_EQUAL(known, 1000);
    client_table_destroy(table);
    CU_ASSERT_PTR_NULL(client_table_create(0, secret, NULL));
    client_table_destroy(NULL);
}

static const struct unit_test tests[] = {
    {"buckets outlive sessions (F3)", buckets_outlive_sessions},
    {"room is made for new clients", room_is_made},
    {"many clients", many_clients},
};

int main(void)
{
    return unit_run("client_table", tests, sizeof(tests) / sizeof(tests[0]));
}
