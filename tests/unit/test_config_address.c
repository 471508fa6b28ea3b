/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/address.h"
#include "tests/unit/runner.h"

#include <stdio.h>
#include <string.h>

static void prefixes(void)
{
    static const struct {
        const char *text;
        bool single;
        const char *back; /* NULL: refused */
        uint8_t bits;
    } cases[] = {
        {"10.20.0.1/22", false, "10.20.0.1/22", 118},
        {"0.0.0.0/0", false, "0.0.0.0/0", 96},
        {"10.20.0.1/32", false, "10.20.0.1", 128},
        {"10.20.0.1", true, "10.20.0.1", 128},
        {"10.20.0.1", false, NULL, 0},
        {"fd20::1/64", false, "fd20::1/64", 64},
        {"::/0", false, "::/0", 0},
        {"FD20:0::1", true, "fd20::1", 128},
        {"10.20.0.1/33", false, NULL, 0},
        {"fd20::1/129", false, NULL, 0},
        {"10.20.0.1/", false, NULL, 0},
        {"10.20.0.1/-1", false, NULL, 0},
        {"10.20.0.1/+8", false, NULL, 0},
        {"10.20.0.1/08", false, NULL, 0},
        {"10.20.0.1/8x", false, NULL, 0},
        {"10.20.0.1/22/1", false, NULL, 0},
        {"10.20.0.1/99999999999999999999", false, NULL, 0},
        {"10.20.0.256/22", false, NULL, 0},
        {"10.20.0/22", false, NULL, 0},
        {"010.20.0.1/22", false, NULL, 0},
        {"::ffff:10.20.0.1", true, NULL, 0},
        {"fe80::1%eth0/64", false, NULL, 0},
        {"/22", false, NULL, 0},
        {"", true, NULL, 0},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff/64", false, NULL, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_address a = {.bits = 77};
        char text[ADDRESS_TEXT_MAX];
        const char *problem = address_parse_prefix(cases[i].text, cases[i].single, &a);
        if ((problem == NULL) != (cases[i].back != NULL))
            fprintf(stderr, "  \"%s\"\n", cases[i].text);
        CU_ASSERT_EQUAL(problem == NULL, cases[i].back != NULL);
        CU_ASSERT_EQUAL(a.bits, cases[i].back != NULL ? cases[i].bits : 77);
        if (problem == NULL && cases[i].back != NULL)
            CU_ASSERT_STRING_EQUAL(address_format(&a, text), cases[i].back);
    }
}

static void endpoints(void)
{
    static const struct {
        const char *text;
        bool listen;
        uint16_t port; /* 0: refused */
        bool any;
        const char *address; /* NULL: none */
    } cases[] = {
        {"10.30.0.2:8883", false, 8883, false, "10.30.0.2"},
        {"[fd30::2]:8883", false, 8883, false, "fd30::2"},
        {"10.30.0.2:1", false, 1, false, "10.30.0.2"},
        {"10.30.0.2:65535", false, 65535, false, "10.30.0.2"},
        {":1883", true, 1883, false, NULL},
        {"any:1883", true, 1883, true, NULL},
        {"10.20.0.1:1883", true, 1883, false, "10.20.0.1"},
        {"[fd20::1]:1883", true, 1883, false, "fd20::1"},
        {":1883", false, 0, false, NULL},
        {"any:1883", false, 0, false, NULL},
        {"any", true, 0, false, NULL},
        {"*:1883", true, 0, false, NULL},
        {"10.30.0.2", false, 0, false, NULL},
        {"10.30.0.2:", false, 0, false, NULL},
        {"10.30.0.2:0", false, 0, false, NULL},
        {"10.30.0.2:65536", false, 0, false, NULL},
        {"10.30.0.2:+1", false, 0, false, NULL},
        {"10.30.0.2: 1", false, 0, false, NULL},
        {"10.30.0.2:01", false, 0, false, NULL},
        {"10.30.0.2:mqtt", false, 0, false, NULL},
        {"[10.30.0.2]:8883", false, 0, false, NULL},
        {"[fd30::2:8883", false, 0, false, NULL},
        {"fd30::2]:8883", false, 0, false, NULL},
        {"fd30::2:8883", false, 0, false, NULL},
        {"[]:8883", false, 0, false, NULL},
        {"[fd30::2]8883", false, 0, false, NULL},
        {"broker.example:8883", false, 0, false, NULL},
        {"", true, 0, false, NULL},
        {":", true, 0, false, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct address_endpoint e = {.port = 0};
        const char *problem = address_parse_endpoint(cases[i].text, cases[i].listen, &e);
        if ((problem == NULL) != (cases[i].port != 0))
            fprintf(stderr, "  \"%s\"\n", cases[i].text);
        CU_ASSERT_EQUAL(problem == NULL, cases[i].port != 0);
        CU_ASSERT_EQUAL(e.port, cases[i].port);
        CU_ASSERT_EQUAL(e.any, cases[i].any);
        if (problem != NULL)
            continue;
        CU_ASSERT_EQUAL(e.has_address, cases[i].address != NULL);
        char told[ADDRESS_ENDPOINT_MAX];
        CU_ASSERT_STRING_EQUAL(address_format_listen(e.any, e.has_address ? e.address : NULL, e.port, told),
                               cases[i].text); /* what the start line says of a listener (A5) */
        if (cases[i].address != NULL) {
            uint8_t expected[16];
            CU_ASSERT_PTR_NULL(address_parse(cases[i].address, expected));
            CU_ASSERT(memcmp(expected, e.address, 16) == 0);
        }
    }
}

static void macs(void)
{
    static const uint8_t expected[6] = {0x00, 0x1d, 0x9c, 0xAB, 0xcd, 0x01};
    static const char *const bad[] = {"",
                                      "00:1d:9c:00:00",
                                      "00:1d:9c:00:00:01:02",
                                      "00:1d:9c:00:00:0g",
                                      "00.1d.9c.00.00.01",
                                      "001d.9c00.0001.ab",
                                      "01:00:5e:00:00:01", /* multicast */
                                      "ff:ff:ff:ff:ff:ff"};
    uint8_t mac[6];
    CU_ASSERT_PTR_NULL(address_parse_mac("00:1d:9c:ab:CD:01", mac));
    CU_ASSERT(memcmp(mac, expected, 6) == 0);
    CU_ASSERT_PTR_NULL(address_parse_mac("00-1D-9C-AB-CD-01", mac));
    CU_ASSERT(memcmp(mac, expected, 6) == 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CU_ASSERT_PTR_NOT_NULL(address_parse_mac(bad[i], mac));
}

static struct config_address prefix(const char *text)
{
    struct config_address a = {.bits = 0};
    CU_ASSERT_PTR_NULL_FATAL(address_parse_prefix(text, true, &a));
    return a;
}

static void networks(void)
{
    static const struct {
        const char *a, *network;
        bool host_bits;
    } cases[] = {
        {"10.20.3.255/22", "10.20.0.0/22", true},
        {"10.20.0.0/22", "10.20.0.0/22", false},
        {"10.20.0.1", "10.20.0.1", false},
        {"10.0.0.1/8", "10.0.0.0/8", true},
        {"128.0.0.1/1", "128.0.0.0/1", true},
        {"1.2.3.4/0", "0.0.0.0/0", true},
        {"fd20::1/64", "fd20::/64", true},
        {"fd20:0:0:1::/63", "fd20::/63", true},
        {"::1/0", "::/0", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_address a = prefix(cases[i].a), network = address_network(&a);
        char text[ADDRESS_TEXT_MAX];
        CU_ASSERT_STRING_EQUAL(address_format(&network, text), cases[i].network);
        CU_ASSERT_EQUAL(address_has_host_bits(&a), cases[i].host_bits);
    }
}

static void containment(void)
{
    static const struct {
        const char *a, *b;
        bool contains, overlaps;
    } cases[] = {
        {"10.20.0.0/22", "10.20.3.7", true, true},   {"10.20.0.0/22", "10.20.4.0", false, false},
        {"10.20.0.1/22", "10.20.0.200", true, true}, {"10.20.0.0/22", "10.0.0.0/8", false, true},
        {"fd20::/64", "fd20::7", true, true},        {"fd20::/64", "fd20:0:0:1::", false, false},
        {"0.0.0.0/0", "192.0.2.1", true, true},      {"0.0.0.0/0", "fd20::1", false, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_address a = prefix(cases[i].a), b = prefix(cases[i].b);
        CU_ASSERT_EQUAL(address_contains(&a, b.bytes), cases[i].contains);
        CU_ASSERT_EQUAL(address_overlaps(&a, &b), cases[i].overlaps);
        CU_ASSERT_EQUAL(address_overlaps(&b, &a), cases[i].overlaps);
    }
}

static void hosts(void)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"10.20.0.1/22", true},   {"10.20.0.0/22", false},    {"10.20.3.255/22", false},
        {"10.20.0.255/22", true}, {"10.20.0.0/31", true},     {"10.20.0.0", true},
        {"0.0.0.0", false},       {"0.1.2.3/8", false},       {"127.0.0.1/8", false},
        {"224.0.0.1", false},     {"255.255.255.255", false}, {"fd20::1/64", true},
        {"fd20::/64", false},     {"fd20::", true},           {"::", false},
        {"::1", false},           {"ff02::1", false},         {"fe80::1/64", true},
        {"10.20.0.1/0", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_address a = prefix(cases[i].text);
        if ((address_check_host(&a) == NULL) != cases[i].good)
            fprintf(stderr, "  %s\n", cases[i].text);
        CU_ASSERT_EQUAL(address_check_host(&a) == NULL, cases[i].good);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"prefixes", prefixes}, {"endpoints", endpoints},     {"MAC addresses", macs},
        {"networks", networks}, {"containment", containment}, {"hosts (RFC 1122 s.3.2.1.3)", hosts},
    };
    return unit_run("config/address", tests, sizeof(tests) / sizeof(tests[0]));
}
