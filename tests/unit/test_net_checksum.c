/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Internet checksum against the plain sum of RFC 1071. */
#include "dataplane/net/checksum.h"
#include "tests/unit/runner.h"

#include <string.h>

static uint16_t plain(const uint8_t *at, size_t n)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < n; i += 2)
        sum += (uint32_t)at[i] << 8 | at[i + 1];
    if (n % 2 != 0)
        sum += (uint32_t)at[n - 1] << 8;
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static uint16_t ours(const uint8_t *at, size_t n)
{
    uint8_t bytes[2];
    checksum_store(bytes, checksum_fold(checksum_add(0, at, n)));
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void example_of_rfc_1071(void)
{
    static const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    CU_ASSERT(ours(bytes, sizeof(bytes)) == 0xddf2);
}

static void every_length_and_alignment(void)
{
    static uint8_t bytes[1600];
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        x = x * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(x >> 24);
    }
    for (size_t from = 0; from < 17; from++)
        for (size_t n = 0; n <= 1540; n++)
            if (ours(bytes + from, n) != plain(bytes + from, n))
                CU_FAIL("a sum differs");
    memset(bytes, 0xff, sizeof(bytes));
    for (size_t n = 0; n <= sizeof(bytes); n++)
        if (ours(bytes, n) != plain(bytes, n))
            CU_FAIL("a sum of ones differs");
}

static void pieces_add_up(void)
{
    uint8_t bytes[100];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 37);
    uint64_t whole = checksum_add(0, bytes, sizeof(bytes));
    for (size_t cut = 0; cut <= sizeof(bytes); cut += 2) {
        uint64_t sum = checksum_add(checksum_add(0, bytes, cut), bytes + cut, sizeof(bytes) - cut);
        CU_ASSERT(checksum_fold(sum) == checksum_fold(whole));
    }
}

/* A large sum that folds twice. */
static void carries_are_folded(void)
{
    CU_ASSERT(checksum_fold(UINT64_MAX) == 0xffff);
    CU_ASSERT(checksum_fold(0xffffffff00000001u) == 1);
    CU_ASSERT(checksum_fold(0x1ffff) == 1);
    CU_ASSERT(checksum_fold(0) == 0);
}

static void pseudo_headers(void)
{
    struct ip_address a = ip_address_v4(0x0a140005);
    struct ip_address b = ip_address_v4(0x0a140001);
    static const uint8_t v4[] = {0x0a, 0x14, 0, 5, 0x0a, 0x14, 0, 1, 0, 6, 0x01, 0x02};
    CU_ASSERT(checksum_fold(checksum_pseudo(&a, &b, 6, 0x102)) ==
              checksum_fold(checksum_add(0, v4, sizeof(v4))));
    struct ip_address c = {.bytes = {0xfd, 0x20, [15] = 5}};
    struct ip_address d = {.bytes = {0xfd, 0x20, [15] = 1}};
    uint8_t v6[40];
    memcpy(v6, c.bytes, 16);
    memcpy(v6 + 16, d.bytes, 16);
    memcpy(v6 + 32, (uint8_t[8]){0, 0, 1, 2, 0, 0, 0, 17}, 8);
    CU_ASSERT(checksum_fold(checksum_pseudo(&c, &d, 17, 0x102)) ==
              checksum_fold(checksum_add(0, v6, sizeof(v6))));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"RFC 1071 3: the example", example_of_rfc_1071},
        {"every length at every alignment", every_length_and_alignment},
        {"pieces add up", pieces_add_up},
        {"carries are folded", carries_are_folded},
        {"RFC 9293 3.1, RFC 8200 8.1: pseudo headers", pseudo_headers},
    };
    return unit_run("net/checksum", tests, sizeof(tests) / sizeof(tests[0]));
}
