/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Static routes: longest prefix, both families, what is refused (A1). */
#include "dataplane/net/route.h"
#include "tests/unit/runner.h"

#include <errno.h>

static struct ip_address ip(const char *text)
{
    struct ip_address a = {{0}};
    if (!ip_address_parse(text, &a))
        abort();
    return a;
}

static int add(struct route_table *table, const char *prefix_text, unsigned int bits, const char *next_hop,
               uint16_t interface, uint32_t neighbor)
{
    struct ip_address address = ip(prefix_text);
    struct ip_address hop = ip(next_hop);
    struct route_prefix prefix;
    if (!route_prefix_make(&prefix, &address, bits))
        return -ERANGE;
    return route_add(table, &prefix, &hop, interface, neighbor);
}

static uint32_t find(const struct route_table *table, const char *text)
{
    struct ip_address a = ip(text);
    const struct route *route = route_find(table, &a);
    return route == NULL ? UINT32_MAX : route->neighbor;
}

static uint32_t find_on(const struct route_table *table, uint16_t interface, const char *text)
{
    struct ip_address a = ip(text);
    const struct route *route = route_find_on(table, interface, &a);
    return route == NULL ? UINT32_MAX : route->neighbor;
}

static void longest_prefix_wins(void)
{
    static struct route_table table;
    table.n = 0;
    CU_ASSERT(add(&table, "0.0.0.0", 96, "10.0.0.1", 0, 1) == 0);
    CU_ASSERT(add(&table, "10.1.0.0", 112, "10.0.0.2", 0, 2) == 0);
    CU_ASSERT(add(&table, "10.1.2.0", 120, "10.0.0.3", 1, 3) == 0);
    CU_ASSERT(add(&table, "10.1.2.3", 128, "10.0.0.4", 1, 4) == 0);
    CU_ASSERT(add(&table, "10.0.0.0", 104, "10.0.0.5", 0, 5) == 0);
    CU_ASSERT(add(&table, "10.1.2.0", 120, "10.0.0.6", 2, 6) == 0);
    CU_ASSERT(find(&table, "10.1.2.3") == 4);
    CU_ASSERT(find(&table, "10.1.2.4") == 3);
    CU_ASSERT(find(&table, "10.1.3.4") == 2);
    CU_ASSERT(find(&table, "10.2.3.4") == 5);
    CU_ASSERT(find(&table, "192.0.2.1") == 1);
    CU_ASSERT(find_on(&table, 2, "10.1.2.3") == 6);
    CU_ASSERT(find_on(&table, 0, "10.1.2.3") == 2);
    CU_ASSERT(find_on(&table, 1, "192.0.2.1") == UINT32_MAX);
}

static void families_do_not_mix(void)
{
    static struct route_table table;
    table.n = 0;
    CU_ASSERT(add(&table, "::", 0, "fd00::1", 0, 6) == 0);
    CU_ASSERT(find(&table, "10.1.2.3") == UINT32_MAX);
    CU_ASSERT(find(&table, "2001:db8::1") == 6);
    CU_ASSERT(add(&table, "0.0.0.0", 96, "10.0.0.1", 0, 4) == 0);
    CU_ASSERT(find(&table, "10.1.2.3") == 4);
    CU_ASSERT(find(&table, "2001:db8::1") == 6);
    CU_ASSERT(add(&table, "10.9.0.0", 112, "fd00::1", 0, 1) == -EINVAL);
    CU_ASSERT(add(&table, "2001:db8::", 32, "10.0.0.1", 0, 1) == -EINVAL);
}

static void every_length_matches_its_bits(void)
{
    struct ip_address base = ip("2001:db8:1234:5678:9abc:def0:1357:9bdf");
    for (unsigned int bits = 0; bits <= 128; bits++) {
        struct route_prefix prefix;
        CU_ASSERT_FATAL(route_prefix_make(&prefix, &base, bits));
        CU_ASSERT(route_prefix_has(&prefix, &base));
        for (unsigned int bit = 0; bit < 128; bit++) {
            struct ip_address other = base;
            other.bytes[bit / 8] ^= (uint8_t)(0x80 >> (bit % 8));
            CU_ASSERT(route_prefix_has(&prefix, &other) == (bit >= bits));
        }
    }
}

static void out_of_range_is_refused(void)
{
    struct route_prefix prefix;
    struct ip_address v4 = ip("10.0.0.0");
    struct ip_address v6 = ip("fd00::");
    CU_ASSERT(!route_prefix_make(&prefix, &v4, 95));
    CU_ASSERT(!route_prefix_make(&prefix, &v4, 129));
    CU_ASSERT(!route_prefix_make(&prefix, &v6, 129));
}

static void table_is_capped(void)
{
    static struct route_table table;
    char text[32];
    table.n = 0;
    for (uint32_t i = 0; i < ROUTE_MAX; i++) {
        snprintf(text, sizeof(text), "10.%u.%u.0", i / 256, i % 256);
        CU_ASSERT(add(&table, text, 120, "10.0.0.1", 0, i) == 0);
    }
    CU_ASSERT(add(&table, "10.200.0.0", 120, "10.0.0.1", 0, 0) == -ENOSPC);
    table.n = 1;
    CU_ASSERT(add(&table, "10.0.0.9", 120, "10.0.0.1", 0, 0) == -EEXIST);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"the longest prefix wins, per interface too", longest_prefix_wins},
        {"::/0 is no route for IPv4", families_do_not_mix},
        {"every length matches its bits", every_length_matches_its_bits},
        {"lengths out of range", out_of_range_is_refused},
        {"the table is capped and holds each prefix once", table_is_capped},
    };
    return unit_run("net/route", tests, sizeof(tests) / sizeof(tests[0]));
}
