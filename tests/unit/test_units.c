/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/units.h"
#include "tests/unit/runner.h"

#include <stdio.h>
#include <string.h>

#define KIB UINT64_C(1024)
#define SECOND UINT64_C(1000000)

static void show(const char *text)
{
    fprintf(stderr, "  \"%s\"\n", text);
}

static void sizes(void)
{
    static const struct {
        const char *text;
        uint64_t bytes; /* UINT64_MAX: refused */
    } cases[] = {
        {"0B", 0},
        {"1B", 1},
        {"1280B", 1280},
        {"64KiB", 64 * KIB},
        {"256MiB", 256 * KIB * KIB},
        {"2GiB", 2 * KIB * KIB * KIB},
        {"1TiB", KIB * KIB * KIB * KIB},
        {"1KB", 1000},
        {"1kB", 1000},
        {"3MB", 3000000},
        {"5GB", UINT64_C(5000000000)}, /* what libconfig 1.5 would wrap to 705032704 */
        {"007B", 7},
        {"16777215TiB", UINT64_C(16777215) << 40},
        {"16777216TiB", UINT64_MAX}, /* 2^64 */
        {"18446744073709551614B", UINT64_MAX - 1},
        {"18446744073709551616B", UINT64_MAX},
        {"99999999999999999999999B", UINT64_MAX},
        {"64", UINT64_MAX},
        {"64 KiB", UINT64_MAX},
        {" 64KiB", UINT64_MAX},
        {"64KiB ", UINT64_MAX},
        {"64kib", UINT64_MAX},
        {"64K", UINT64_MAX},
        {"KiB", UINT64_MAX},
        {"", UINT64_MAX},
        {"-1B", UINT64_MAX},
        {"+1B", UINT64_MAX},
        {"1.5MiB", UINT64_MAX},
        {"0x10B", UINT64_MAX},
        {"1e3B", UINT64_MAX},
        {"64KiB/s", UINT64_MAX},
        {"64s", UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t bytes = 12345;
        const char *problem = units_size(cases[i].text, &bytes);
        bool good = cases[i].bytes != UINT64_MAX;
        if ((problem == NULL) != good || bytes != (good ? cases[i].bytes : 12345))
            show(cases[i].text);
        CU_ASSERT_EQUAL(problem == NULL, good);
        CU_ASSERT_EQUAL(bytes, good ? cases[i].bytes : 12345); /* untouched when refused */
    }
}

static void durations(void)
{
    static const struct {
        const char *text;
        uint64_t us;
    } cases[] = {
        {"0s", 0},
        {"1us", 1},
        {"250ms", 250000},
        {"5s", 5 * SECOND},
        {"10m", 600 * SECOND},
        {"10min", 600 * SECOND},
        {"2h", 7200 * SECOND},
        {"30d", 2592000 * SECOND},
        {"213503982d", UINT64_C(213503982) * 86400 * SECOND},
        {"213503983d", UINT64_MAX},
        {"5", UINT64_MAX},
        {"5 s", UINT64_MAX},
        {"5sec", UINT64_MAX},
        {"5S", UINT64_MAX},
        {"1h30m", UINT64_MAX},
        {"s", UINT64_MAX},
        {"-5s", UINT64_MAX},
        {"5KiB", UINT64_MAX},
        {"", UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t us = 12345;
        const char *problem = units_duration(cases[i].text, &us);
        bool good = cases[i].us != UINT64_MAX;
        if ((problem == NULL) != good)
            show(cases[i].text);
        CU_ASSERT_EQUAL(problem == NULL, good);
        CU_ASSERT_EQUAL(us, good ? cases[i].us : 12345);
    }
}

static void ranges(void)
{
    static const struct {
        const char *text;
        uint64_t least, most; /* most 0: refused */
    } cases[] = {
        {"30s-10m", 30 * SECOND, 600 * SECOND},
        {"0s-1h", 0, 3600 * SECOND},
        {"5s-5s", 5 * SECOND, 5 * SECOND},
        {"10m-30s", 0, 0},
        {"30s", 0, 0},
        {"30s-", 0, 0},
        {"-10m", 0, 0},
        {"30-600", 0, 0},
        {"30s - 10m", 0, 0},
        {"30s-10m-1h", 0, 0},
        {"", 0, 0},
        {"1s-99999999999999999999s", 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t least = 1, most = 2;
        const char *problem = units_range(cases[i].text, &least, &most);
        bool good = cases[i].most != 0;
        if ((problem == NULL) != good)
            show(cases[i].text);
        CU_ASSERT_EQUAL(problem == NULL, good);
        CU_ASSERT_EQUAL(least, good ? cases[i].least : 1);
        CU_ASSERT_EQUAL(most, good ? cases[i].most : 2);
    }
}

static void rates(void)
{
    static const struct {
        const char *text;
        bool bytes;
        struct rate rate; /* period 0: refused */
    } cases[] = {
        {"20/s burst 60", false, {20, SECOND, 60}},
        {"5/s", false, {5, SECOND, 5}},
        {"6/min", false, {6, 60 * SECOND, 6}},
        {"6/m", false, {6, 60 * SECOND, 6}},
        {"10/h", false, {10, 3600 * SECOND, 10}},
        {"1/d burst 3", false, {1, 86400 * SECOND, 3}},
        {"20/s burst 1", false, {20, SECOND, 1}},
        {"unlimited", false, {0, SECOND, 1}},
        {"1099511627776/s", false, {UNITS_RATE_MAX, SECOND, UNITS_RATE_MAX}},
        {"1099511627777/s", false, {0, 0, 0}},
        {"1/s burst 1099511627777", false, {0, 0, 0}},
        {"99999999999999999999/s", false, {0, 0, 0}},
        {"0/s", false, {0, 0, 0}}, /* 0 would mean unlimited to the bucket */
        {"5/s burst 0", false, {0, 0, 0}},
        {"20", false, {0, 0, 0}},
        {"20/ms", false, {0, 0, 0}},
        {"20/us", false, {0, 0, 0}},
        {"20/week", false, {0, 0, 0}},
        {"20/", false, {0, 0, 0}},
        {"/s", false, {0, 0, 0}},
        {"20/s 60", false, {0, 0, 0}},
        {"20/s burst", false, {0, 0, 0}},
        {"20/s burst 60 ", false, {0, 0, 0}},
        {"20/s  burst 60", false, {0, 0, 0}},
        {"20/s burst 60/s", false, {0, 0, 0}},
        {"64KiB/s", false, {0, 0, 0}},
        {"", false, {0, 0, 0}},
        {"64KiB/s", true, {64 * KIB, SECOND, 64 * KIB}},
        {"1MiB/min burst 4MiB", true, {KIB * KIB, 60 * SECOND, 4 * KIB * KIB}},
        {"unlimited", true, {0, SECOND, 1}},
        {"64/s", true, {0, 0, 0}},
        {"64KiB", true, {0, 0, 0}},
        {"64KiB/s burst 4", true, {0, 0, 0}},
        {"0B/s", true, {0, 0, 0}},
        {"2TiB/s", true, {0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rate rate = {7, 8, 9};
        const char *problem =
            cases[i].bytes ? units_byte_rate(cases[i].text, &rate) : units_rate(cases[i].text, &rate);
        struct rate expected = cases[i].rate.period_us != 0 ? cases[i].rate : (struct rate){7, 8, 9};
        if ((problem == NULL) != (cases[i].rate.period_us != 0))
            show(cases[i].text);
        CU_ASSERT_EQUAL(problem == NULL, cases[i].rate.period_us != 0);
        CU_ASSERT(memcmp(&rate, &expected, sizeof(rate)) == 0);
    }
}

/* What is said names what to write. */
static void sentences(void)
{
    uint64_t n;
    struct rate rate;
    CU_ASSERT_STRING_EQUAL(
        units_size("x", &n),
        "it is a whole number and one of B, KiB, MiB, GiB, TiB; write for example \"64KiB\"");
    CU_ASSERT_STRING_EQUAL(units_size("99999999999999999999B", &n),
                           "the number is too large; write a smaller one");
    CU_ASSERT_STRING_EQUAL(units_rate("0/s", &rate),
                           "nothing would ever pass; write a number above 0, or \"unlimited\"");
    CU_ASSERT_STRING_EQUAL(units_range("2s-1s", &n, &n), "the least is above the most; swap them");
}

static void formats(void)
{
    char text[UNITS_TEXT_MAX];
    CU_ASSERT_STRING_EQUAL(units_format_size(0, text), "0B");
    CU_ASSERT_STRING_EQUAL(units_format_size(65536, text), "64KiB");
    CU_ASSERT_STRING_EQUAL(units_format_size(65537, text), "65537B");
    CU_ASSERT_STRING_EQUAL(units_format_size(UINT64_MAX, text), "18446744073709551615B");
    CU_ASSERT_STRING_EQUAL(units_format_duration(0, text), "0us");
    CU_ASSERT_STRING_EQUAL(units_format_duration(100000, text), "100ms");
    CU_ASSERT_STRING_EQUAL(units_format_duration(300 * SECOND, text), "5m");
    CU_ASSERT_STRING_EQUAL(units_format_duration(86400 * SECOND, text), "1d");
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"sizes", sizes},      {"durations", durations}, {"ranges", ranges},
        {"rates (F2)", rates}, {"sentences", sentences}, {"formats", formats},
    };
    return unit_run("config/units", tests, sizeof(tests) / sizeof(tests[0]));
}
