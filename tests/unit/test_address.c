/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/address.h"

#include "tests/unit/runner.h"

static void parses_and_formats(void)
{
    static const struct {
        const char *in, *out;
    } good[] = {
        {"10.0.0.1", "10.0.0.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"::ffff:10.20.0.1", "10.20.0.1"}, /* RFC 4291 s.2.5.5.2 */
        {"::", "::"},
        {"::1", "::1"},
        {"fd20::", "fd20::"},
        {"fd20::10", "fd20::10"},
        {"2001:DB8::1", "2001:db8::1"},                                   /* RFC 5952 s.4.3 */
        {"2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"}, /* s.4.2.3: the first of equals */
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},                 /* s.4.2.2: one group stays */
        {"2001:0:0:1::1", "2001:0:0:1::1"},                               /* s.4.2.3: the longest */
        {"1:2:3:4:5:6::", "1:2:3:4:5:6::"},
        {"::3:4:5:6:7:8", "::3:4:5:6:7:8"},
        {"::1.2.3.4", "::102:304"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct ip_address a;
        char text[IP_ADDRESS_TEXT];
        CU_ASSERT(ip_address_parse(good[i].in, &a));
        CU_ASSERT_STRING_EQUAL(ip_address_format(&a, text), good[i].out);
    }
}

static void refuses_what_is_no_address(void)
{
    static const char *const bad[] = {
        "",         "10.0.0",  "10.0.0.256", "10.0.0.1 ", "010.0.0.1.1", "fd20",
        "fd20:::1", "1::2::3", "g::",        "fe80::1%1", "10.0.0.1/8",  "1:2:3:4:5:6:7:8:9"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ip_address a = ip_address_v4(0x01020304);
        CU_ASSERT_FALSE(ip_address_parse(bad[i], &a));
        CU_ASSERT_EQUAL(ip_address_to_v4(&a), 0x01020304);
    }
}

static void prefixes_match_bit_by_bit(void)
{
    struct ip_address p;
    CU_ASSERT(ip_address_parse("10.20.0.0", &p));
    struct ip_address in = ip_address_v4(0x0a1403ff), out = ip_address_v4(0x0a140400);
    CU_ASSERT(ip_address_in_prefix(&in, &p, 96 + 22));
    CU_ASSERT_FALSE(ip_address_in_prefix(&out, &p, 96 + 22));
    CU_ASSERT(ip_address_in_prefix(&out, &p, 96 + 21));
    CU_ASSERT(ip_address_in_prefix(&out, &p, 0));
    CU_ASSERT(ip_address_in_prefix(&p, &p, 128));
    CU_ASSERT_FALSE(ip_address_in_prefix(&in, &p, 128));
    CU_ASSERT_FALSE(ip_address_in_prefix(&p, &p, 129));
    for (unsigned int bit = 0; bit < 128; bit++) {
        struct ip_address flipped = p;
        flipped.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
        CU_ASSERT(ip_address_in_prefix(&flipped, &p, bit));
        CU_ASSERT_FALSE(ip_address_in_prefix(&flipped, &p, bit + 1));
    }
}

static void tells_the_families_apart(void)
{
    struct ip_address a = ip_address_v4(0xc0a80001), b;
    CU_ASSERT(ip_address_is_v4(&a));
    CU_ASSERT_EQUAL(ip_address_to_v4(&a), 0xc0a80001);
    CU_ASSERT(ip_address_parse("fd20::1", &b));
    CU_ASSERT_FALSE(ip_address_is_v4(&b));
    CU_ASSERT_FALSE(ip_address_equal(&a, &b));
    CU_ASSERT(ip_address_equal(&b, &b));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"parses and formats (RFC 4291, RFC 5952)", parses_and_formats},
        {"refuses what is no address", refuses_what_is_no_address},
        {"prefixes match bit by bit", prefixes_match_bit_by_bit},
        {"tells the families apart", tells_the_families_apart},
    };
    return unit_run("address", tests, sizeof(tests) / sizeof(tests[0]));
}
