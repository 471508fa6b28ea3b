/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Block-wise transfers: order, number and time (RFC 7959), and the table of prefixes (E3). */
#include "policy/coap/transfer.h"

#include "gateway/coap_prefix.h"

#include "tests/unit/runner.h"

#define S UINT64_C(1000000)
#define MOST 4
#define TIME (600 * S)

struct step {
    const char *name;
    uint64_t transfer;
    uint32_t number;
    uint32_t bytes; /* of a block */
    bool more;
    uint64_t at_s;
    enum coap_transfer_result expected;
};

static void test_up(void)
{
    static const struct step steps[] = {
        {"s.2.5: the first", 1, 0, 64, true, 0, COAP_TRANSFER_GOOD},
        {"s.2.5: the next", 1, 1, 64, true, 1, COAP_TRANSFER_GOOD},
        {"s.2.5: once more", 1, 1, 64, true, 2, COAP_TRANSFER_GOOD},
        {"s.2.5: smaller blocks from there", 1, 4, 32, true, 3, COAP_TRANSFER_GOOD},
        {"s.2.9.2: another has not begun", 2, 1, 64, true, 4, COAP_TRANSFER_INCOMPLETE},
        {"RFC 9175 s.3: another tag is another transfer", 3, 0, 64, true, 5, COAP_TRANSFER_GOOD},
        {"s.2.5: the last", 1, 5, 32, false, 6, COAP_TRANSFER_GOOD},
        {"s.2.9.2: it is over", 1, 6, 32, true, 7, COAP_TRANSFER_INCOMPLETE},
        {"s.2.9.2: one is left out", 3, 2, 64, true, 8, COAP_TRANSFER_INCOMPLETE},
        {"s.2.9.2: and then it is over", 3, 1, 64, true, 9, COAP_TRANSFER_INCOMPLETE},
        {"one", 11, 0, 64, true, 10, COAP_TRANSFER_GOOD},
        {"two", 12, 0, 64, true, 10, COAP_TRANSFER_GOOD},
        {"three", 13, 0, 64, true, 10, COAP_TRANSFER_GOOD},
        {"four", 14, 0, 64, true, 10, COAP_TRANSFER_GOOD},
        {"one too many", 15, 0, 64, true, 10, COAP_TRANSFER_TOO_MANY},
        {"beginning anew is not another", 14, 0, 64, true, 50, COAP_TRANSFER_GOOD},
        {"who is silent makes room", 15, 0, 64, true, 104, COAP_TRANSFER_GOOD},
        {"in time", 15, 1, 64, true, 104 + 600, COAP_TRANSFER_GOOD},
        {"too long", 15, 2, 64, true, 104 + 601, COAP_TRANSFER_TOO_LONG},
        {"too long ago: over", 15, 2, 64, true, 104 + 602, COAP_TRANSFER_INCOMPLETE},
    };
    struct coap_transfers transfers = {0};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        const struct step *s = &steps[i];
        struct coap_block block = {.number = s->number, .bytes = s->bytes, .more = s->more};
        enum coap_transfer_result got =
            coap_transfer_up(&transfers, s->transfer, &block, s->bytes, MOST, TIME, 1000 * S + s->at_s * S);
        if (got != s->expected)
            printf("\n%s: %d\n", s->name, (int)got);
        CU_ASSERT_EQUAL(got, s->expected);
    }
}

static void test_down(void)
{
    struct coap_transfers transfers = {0};
    for (uint64_t i = 1; i <= MOST; i++)
        CU_ASSERT_EQUAL(coap_transfer_down(&transfers, i, MOST, TIME, S), COAP_TRANSFER_GOOD);
    CU_ASSERT_EQUAL(coap_transfer_down(&transfers, 9, MOST, TIME, S), COAP_TRANSFER_TOO_MANY);
    coap_transfer_end(&transfers, 2);
    coap_transfer_end(&transfers, 77);
    CU_ASSERT_EQUAL(coap_transfer_down(&transfers, 9, MOST, TIME, S), COAP_TRANSFER_GOOD);
    for (uint64_t s = 60; s <= 600; s += 60)
        CU_ASSERT_EQUAL(coap_transfer_down(&transfers, 9, MOST, TIME, s * S), COAP_TRANSFER_GOOD);
    CU_ASSERT_EQUAL(coap_transfer_down(&transfers, 9, MOST, TIME, 602 * S), COAP_TRANSFER_TOO_LONG);
    CU_ASSERT_EQUAL(coap_transfer_down(&transfers, 9, MOST, 0, 603 * S), COAP_TRANSFER_GOOD); /* no limit */
}

static void test_prefixes(void)
{
    static const uint8_t secret[16] = "a secret of 16 b";
    struct coap_prefixes *prefixes = coap_prefixes_create(64, secret);
    struct ip_address a = ip_address_v4(0x0a140011), b = ip_address_v4(0x0a1400fe),
                      c = ip_address_v4(0x0a140111);
    struct coap_prefix *first = coap_prefixes_get(prefixes, 1, &a, 24, S);
    first->exchanges = 1;
    CU_ASSERT_PTR_EQUAL(coap_prefixes_get(prefixes, 1, &b, 24, S), first);
    CU_ASSERT_PTR_NOT_EQUAL(coap_prefixes_get(prefixes, 1, &c, 24, S), first);
    CU_ASSERT_PTR_NOT_EQUAL(coap_prefixes_get(prefixes, 2, &a, 24, S), first);
    CU_ASSERT_PTR_NOT_EQUAL(coap_prefixes_get(prefixes, 1, &b, 25, S), first);
    struct ip_address x = {.bytes = {0xfd, 0x20, [7] = 1, [15] = 1}},
                      y = {.bytes = {0xfd, 0x20, [7] = 1, [8] = 9, [15] = 2}},
                      z = {.bytes = {0xfd, 0x20, [7] = 2}};
    struct coap_prefix *six = coap_prefixes_get(prefixes, 1, &x, 64, S);
    six->observations = 1;
    CU_ASSERT_PTR_EQUAL(coap_prefixes_get(prefixes, 1, &y, 64, S), six);
    CU_ASSERT_PTR_NOT_EQUAL(coap_prefixes_get(prefixes, 1, &z, 64, S), six);
    /* A flood of prefixes does not shed what is under way. */
    for (uint32_t i = 0; i < 10000; i++) {
        struct ip_address other = ip_address_v4(0x0b000000 + (i << 8));
        (void)coap_prefixes_get(prefixes, 1, &other, 24, 2 * S + i);
    }
    CU_ASSERT_TRUE(coap_prefixes_get(prefixes, 1, &a, 24, 9 * S) == first && first->exchanges == 1);
    CU_ASSERT_TRUE(coap_prefixes_get(prefixes, 1, &x, 64, 9 * S) == six && six->observations == 1);
    /* And when all are under way, the newcomer has no room. */
    uint32_t refused = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        struct ip_address other = ip_address_v4(0x0c000000 + (i << 8));
        struct coap_prefix *prefix = coap_prefixes_get(prefixes, 1, &other, 24, 10 * S);
        refused += prefix == NULL;
        if (prefix != NULL)
            prefix->exchanges = 1;
    }
    CU_ASSERT_TRUE(refused >= 1000 - 64);
    coap_prefixes_destroy(prefixes);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"uploads (RFC 7959)", test_up}, {"downloads", test_down}, {"prefixes (E3)", test_prefixes}};
    return unit_run("coap_transfer", tests, sizeof(tests) / sizeof(tests[0]));
}
