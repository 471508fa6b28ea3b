/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UTF-8 (D3; RFC 3629, MQTT 5.0 s.1.5.4): vectors, every short sequence, and the fast check against the plain
 * one. */
#include "policy/utf8.h"

#include <stdio.h>

#include "tests/unit/runner.h"

enum { SPEC = 1, STRICT = 2, TEXT = 4, ALL = 7 };

static bool valid_at(struct bytes text, enum utf8_level level)
{
    bool fast = utf8_check(text, level);
    CU_ASSERT_EQUAL(fast, utf8_check_reference(text, level));
    return fast;
}

static int levels_of(struct bytes text)
{
    return (valid_at(text, UTF8_SPEC) ? SPEC : 0) | (valid_at(text, UTF8_STRICT) ? STRICT : 0) |
           (valid_at(text, UTF8_TEXT) ? TEXT : 0);
}

#define ROW(name, text, levels)                                                                              \
    {                                                                                                        \
        name, text, sizeof(text) - 1, levels                                                                 \
    }

static const struct {
    const char *name;
    const char *text;
    size_t len;
    int levels; /* at which it is valid */
} rows[] = {
    ROW("empty", "", ALL),
    ROW("ASCII", "trucks/017/location", ALL),
    ROW("U+0000", "\x00", TEXT),
    ROW("U+0001", "\x01", SPEC | TEXT),
    ROW("U+001F", "\x1F", SPEC | TEXT),
    ROW("U+0020", " ", ALL),
    ROW("U+007E", "~", ALL),
    ROW("U+007F", "\x7F", SPEC | TEXT),
    ROW("U+0080", "\xC2\x80", SPEC | TEXT),
    ROW("U+009F", "\xC2\x9F", SPEC | TEXT),
    ROW("U+00A0", "\xC2\xA0", ALL),
    ROW("U+07FF", "\xDF\xBF", ALL),
    ROW("U+0800", "\xE0\xA0\x80", ALL),
    ROW("U+D7FF", "\xED\x9F\xBF", ALL),
    ROW("U+E000", "\xEE\x80\x80", ALL),
    ROW("U+FDCF", "\xEF\xB7\x8F", ALL),
    ROW("U+FDD0, a non-character", "\xEF\xB7\x90", SPEC | TEXT),
    ROW("U+FDEF", "\xEF\xB7\xAF", SPEC | TEXT),
    ROW("U+FDF0", "\xEF\xB7\xB0", ALL),
    ROW("U+FEFF is an ordinary character", "\xEF\xBB\xBF", ALL),
    ROW("U+FFFD", "\xEF\xBF\xBD", ALL),
    ROW("U+FFFE", "\xEF\xBF\xBE", SPEC | TEXT),
    ROW("U+FFFF", "\xEF\xBF\xBF", SPEC | TEXT),
    ROW("U+10000", "\xF0\x90\x80\x80", ALL),
    ROW("U+1FFFE", "\xF0\x9F\xBF\xBE", SPEC | TEXT),
    ROW("U+10FFFD", "\xF4\x8F\xBF\xBD", ALL),
    ROW("U+10FFFF", "\xF4\x8F\xBF\xBF", SPEC | TEXT),
    ROW("U+110000", "\xF4\x90\x80\x80", 0),
    ROW("overlong NUL", "\xC0\x80", 0),
    ROW("overlong slash", "\xC0\xAF", 0),
    ROW("overlong U+007F", "\xC1\xBF", 0),
    ROW("overlong U+07FF", "\xE0\x9F\xBF", 0),
    ROW("overlong NUL in three", "\xE0\x80\x80", 0),
    ROW("overlong U+FFFF", "\xF0\x8F\xBF\xBF", 0),
    ROW("surrogate U+D800", "\xED\xA0\x80", 0),
    ROW("surrogate U+DFFF", "\xED\xBF\xBF", 0),
    ROW("surrogate pair", "\xED\xA0\x81\xED\xB0\x80", 0),
    ROW("F5", "\xF5\x80\x80\x80", 0),
    ROW("FE", "\xFE", 0),
    ROW("FF", "\xFF", 0),
    ROW("continuation alone", "\x80", 0),
    ROW("continuation alone, BF", "\xBF", 0),
    ROW("C3 alone", "\xC3", 0),
    ROW("E2 82 without its third", "\xE2\x82", 0),
    ROW("lone F0 at the end", "a\xF0", 0),
    ROW("F0 9F 9A without its fourth", "\xF0\x9F\x9A", 0),
    ROW("C3 before ASCII", "\xC3\x28", 0),
    ROW("E2 28 A1", "\xE2\x28\xA1", 0),
    ROW("five bytes", "\xF8\x88\x80\x80\x80", 0),
    ROW("a character too many", "\xC3\xA9\xA9", 0),
    ROW("mixed", "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x9A\x9A", ALL),
};

/* Each row alone, at each offset in ASCII of three blocks, and right before the end of allocated memory. */
static void test_vectors(void)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int levels = levels_of(bytes_of(rows[i].text, rows[i].len));
        if (levels != rows[i].levels)
            fprintf(stderr, "\n%s: %d\n", rows[i].name, levels);
        CU_ASSERT_EQUAL(levels, rows[i].levels);
        for (size_t before = 0; before < 48; before++)
            for (size_t after = 0; after < 48; after += 7) {
                size_t len = before + rows[i].len + after;
                char *text = malloc(len);
                CU_ASSERT_PTR_NOT_NULL_FATAL(text);
                memset(text, 'x', len);
                memcpy(text + before, rows[i].text, rows[i].len);
                CU_ASSERT_EQUAL(levels_of(bytes_of(text, len)), rows[i].levels);
                free(text);
            }
    }
}

static size_t encode(uint32_t character, uint8_t out[4])
{
    if (character < 0x80) {
        out[0] = (uint8_t)character;
        return 1;
    }
    if (character < 0x800) {
        out[0] = (uint8_t)(0xC0 | character >> 6);
        out[1] = (uint8_t)(0x80 | (character & 0x3F));
        return 2;
    }
    if (character < 0x10000) {
        out[0] = (uint8_t)(0xE0 | character >> 12);
        out[1] = (uint8_t)(0x80 | (character >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (character & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | character >> 18);
    out[1] = (uint8_t)(0x80 | (character >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (character >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (character & 0x3F));
    return 4;
}

/* All of them, by the definition of what is a character, not by that of the encoding. */
static void test_every_character(void)
{
    unsigned int wrong = 0;
    for (uint32_t character = 0; character < 0x120000; character++) {
        uint8_t out[4];
        struct bytes text = bytes_of(out, encode(character, out));
        bool exists = character <= 0x10FFFF && !(character >= 0xD800 && character <= 0xDFFF);
        bool control = character < 0x20 || (character >= 0x7F && character < 0xA0);
        bool none = (character & 0xFFFE) == 0xFFFE || (character >= 0xFDD0 && character <= 0xFDEF);
        wrong += utf8_check(text, UTF8_TEXT) != exists;
        wrong += utf8_check(text, UTF8_SPEC) != (exists && character != 0);
        wrong += utf8_check(text, UTF8_STRICT) != (exists && !control && !none);
        wrong += utf8_check_reference(text, UTF8_STRICT) != (exists && !control && !none);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Every sequence of one, two and three bytes, and those of four that begin with E0 to FF. */
static void test_every_sequence(void)
{
    unsigned int differ = 0, valid = 0;
    for (uint32_t n = 0; n < 1u << 24; n++) {
        const uint8_t text[4] = {(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, 0x80};
        size_t len = text[0] >= 0xF0 ? 4 : 3;
        if ((n & 0xFFFF) == 0)
            differ += utf8_check(bytes_of(text, 1), UTF8_TEXT) !=
                      utf8_check_reference(bytes_of(text, 1), UTF8_TEXT);
        if ((n & 0xFF) == 0)
            differ += utf8_check(bytes_of(text, 2), UTF8_TEXT) !=
                      utf8_check_reference(bytes_of(text, 2), UTF8_TEXT);
        bool fast = utf8_check(bytes_of(text, len), UTF8_TEXT);
        differ += fast != utf8_check_reference(bytes_of(text, len), UTF8_TEXT);
        valid += fast;
    }
    CU_ASSERT_EQUAL(differ, 0);
    /* Three bytes: three of ASCII, ASCII and a two-byte character in both orders, one of three bytes. Four,
     * of which the last is 80: the last characters of each 64. */
    CU_ASSERT_EQUAL(valid, 128u * 128 * 128 + 2 * 128 * 1920 + (0x10000 - 0x800 - 0x800) + 0x100000 / 64);
}

/* Random mixtures of whole and broken characters, of every length up to some blocks. */
static void test_random(void)
{
    uint64_t seed = 1;
    unsigned int differ = 0, valid = 0;
    for (unsigned int round = 0; round < 200000; round++) {
        uint8_t text[224];
        size_t len = 0, goal = round % 200;
        while (len < goal) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            uint32_t dice = (uint32_t)(seed >> 33);
            if (dice % 64 != 0)
                len += encode(dice % 8 != 0 ? 'a' + dice / 64 % 26 : dice / 64 % 0x110000, text + len);
            else
                text[len++] = (uint8_t)(dice >> 8);
        }
        for (int level = UTF8_SPEC; level <= UTF8_TEXT; level++) {
            bool fast = utf8_check(bytes_of(text, len), (enum utf8_level)level);
            differ += fast != utf8_check_reference(bytes_of(text, len), (enum utf8_level)level);
            valid += fast;
        }
    }
    CU_ASSERT_EQUAL(differ, 0);
    CU_ASSERT_TRUE(valid > 100000 && valid < 500000);
}

/* Sequences of four bytes at every place about the end of a block, in text that is long and not ASCII, and at
 * its very end. */
static void test_in_blocks(void)
{
    static const uint8_t others[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0};
    unsigned int differ = 0, valid = 0;
    uint8_t text[112];
    for (size_t i = 0; i + 1 < sizeof(text); i += 2) {
        text[i] = 0xC3;
        text[i + 1] = 0xBC;
    }
    for (uint32_t n = 0; n < 64u * 256 * sizeof(others); n++) {
        const uint8_t sequence[] = {(uint8_t)(0xC0 + n % 64), (uint8_t)(n / 64), others[n / 64 / 256], 0x80};
        for (size_t at = 76; at <= 84; at += 2) {
            memcpy(text + at, sequence, sizeof(sequence));
            for (int end = 0; end < 2; end++) {
                struct bytes all = bytes_of(text, end ? at + sizeof(sequence) - n % 2 : sizeof(text));
                bool fast = utf8_check(all, UTF8_TEXT);
                differ += fast != utf8_check_reference(all, UTF8_TEXT);
                valid += fast;
            }
            for (size_t i = at; i < at + sizeof(sequence); i += 2) {
                text[i] = 0xC3;
                text[i + 1] = 0xBC;
            }
        }
    }
    CU_ASSERT_EQUAL(differ, 0);
    CU_ASSERT_TRUE(valid > 1000);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"vectors", test_vectors},
        {"every character", test_every_character},
        {"every short sequence", test_every_sequence},
        {"random mixtures", test_random},
        {"in blocks", test_in_blocks},
    };
    return unit_run("utf8", tests, sizeof(tests) / sizeof(tests[0]));
}
