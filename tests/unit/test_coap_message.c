/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CoAP messages: every form of RFC 7252 s.3, good and bad, cut at every byte, and written back. */
#include "policy/coap/build.h"

#include "tests/unit/runner.h"

#define B(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

struct vector {
    const char *name;
    const uint8_t *at;
    size_t len;
    enum coap_parse_result expected;
    uint16_t option; /* of the last option when OK */
    uint16_t option_len;
};

static const struct vector vectors[] = {
    {"s.3: empty datagram", B(), COAP_PARSE_FOREIGN, 0, 0},
    {"s.3: shorter than a header", B(0x40, 0x01, 0x00), COAP_PARSE_FOREIGN, 0, 0},
    {"s.3: version 0", B(0x00, 0x01, 0, 1), COAP_PARSE_FOREIGN, 0, 0},
    {"s.3: version 2", B(0x80, 0x01, 0, 1), COAP_PARSE_FOREIGN, 0, 0},
    {"s.3: GET without anything", B(0x40, 0x01, 0, 1), COAP_PARSE_OK, 0, 0},
    {"s.3: token of 8", B(0x48, 0x01, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8), COAP_PARSE_OK, 0, 0},
    {"s.3: token cut", B(0x48, 0x01, 0, 1, 1, 2, 3, 4, 5, 6, 7), COAP_PARSE_MALFORMED, 0, 0},
    {"s.3: TKL 9", B(0x49, 0x01, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9), COAP_PARSE_MALFORMED, 0, 0},
    {"RFC 8974: TKL 13, 13 bytes", B(0x4D, 0x01, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13),
     COAP_PARSE_OK, 0, 0},
    {"RFC 8974: TKL 13, one byte short", B(0x4D, 0x01, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
     COAP_PARSE_MALFORMED, 0, 0},
    {"RFC 8974: TKL 13 without its extension", B(0x4D, 0x01, 0, 1), COAP_PARSE_MALFORMED, 0, 0},
    {"RFC 8974: TKL 14 with half an extension", B(0x4E, 0x01, 0, 1, 0), COAP_PARSE_MALFORMED, 0, 0},
    {"RFC 8974: empty with a long token", B(0x4D, 0x00, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13),
     COAP_PARSE_MALFORMED, 0, 0},
    {"s.3: TKL 12", B(0x4C, 0x01, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), COAP_PARSE_MALFORMED, 0, 0},
    {"RFC 8974: TKL 13 out of bounds (RIOT GHSA-p9hp)", B(0x4D, 0x01, 0, 1, 0xFF), COAP_PARSE_MALFORMED, 0,
     0},
    {"RFC 8974: TKL 14", B(0x4E, 0x01, 0, 1, 0xFF, 0xFF), COAP_PARSE_MALFORMED, 0, 0},
    {"s.3: TKL 15", B(0x4F, 0x01, 0, 1), COAP_PARSE_MALFORMED, 0, 0},
    {"s.4.1: ping", B(0x40, 0x00, 0, 1), COAP_PARSE_OK, 0, 0},
    {"s.4.1: empty with a token", B(0x41, 0x00, 0, 1, 7), COAP_PARSE_MALFORMED, 0, 0},
    {"s.4.1: empty with bytes behind", B(0x40, 0x00, 0, 1, 0x10), COAP_PARSE_MALFORMED, 0, 0},
    {"s.4.1: RST with a payload", B(0x70, 0x00, 0, 1, 0xFF, 1), COAP_PARSE_MALFORMED, 0, 0},
    {"s.3.1: Uri-Path", B(0x40, 0x01, 0, 1, 0xB1, 'a'), COAP_PARSE_OK, 11, 1},
    {"s.3.1: empty value", B(0x40, 0x01, 0, 1, 0xB0), COAP_PARSE_OK, 11, 0},
    {"s.3.1: value cut", B(0x40, 0x01, 0, 1, 0xB2, 'a'), COAP_PARSE_MALFORMED, 0, 0},
    {"s.3.1: delta of 13 extended", B(0x40, 0x01, 0, 1, 0xD0, 22), COAP_PARSE_OK, 35, 0},
    {"s.3.1: delta of 14 extended", B(0x40, 0x01, 0, 1, 0xE0, 0, 23), COAP_PARSE_OK, 292, 0},
    {"s.3.1: delta extension cut (13)", B(0x40, 0x01, 0, 1, 0xD0), COAP_PARSE_MALFORMED, 0, 0},
    {"s.3.1: delta extension cut (14)", B(0x40, 0x01, 0, 1, 0xE0, 0), COAP_PARSE_MALFORMED, 0, 0},
    {"s.3.1: highest number", B(0x40, 0x01, 0, 1, 0xE0, 0xFE, 0xF2), COAP_PARSE_OK, 65535, 0},
    {"s.3.1: number above 65535", B(0x40, 0x01, 0, 1, 0xE0, 0xFE, 0xF3), COAP_PARSE_MALFORMED, 0, 0},
    {"s.3.1: sum above 65535", B(0x40, 0x01, 0, 1, 0xE0, 0xFE, 0xF2, 0x10), COAP_PARSE_MALFORMED, 0, 0},
    {"s.3.1: delta 15 is reserved", B(0x40, 0x01, 0, 1, 0xF0), COAP_PARSE_MALFORMED, 0, 0},
    {"s.3.1: length 15 is reserved", B(0x40, 0x01, 0, 1, 0x1F), COAP_PARSE_MALFORMED, 0, 0},
    {"s.3.1: length extension cut", B(0x40, 0x01, 0, 1, 0xBD), COAP_PARSE_MALFORMED, 0, 0},
    {"s.3.1: length past the end", B(0x40, 0x01, 0, 1, 0xBE, 0xFF, 0xFF, 1), COAP_PARSE_MALFORMED, 0, 0},
    {"s.3.1: length of 13 extended", B(0x40, 0x01, 0, 1, 0xBD, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13),
     COAP_PARSE_OK, 11, 13},
    {"s.3: marker without payload", B(0x40, 0x02, 0, 1, 0xFF), COAP_PARSE_MALFORMED, 0, 0},
    {"s.3: marker after an option, without payload", B(0x40, 0x02, 0, 1, 0xB1, 'a', 0xFF),
     COAP_PARSE_MALFORMED, 0, 0},
    {"s.3: payload", B(0x40, 0x02, 0, 1, 0xFF, 0xFF), COAP_PARSE_OK, 0, 0},
};

static void check(const struct vector *v)
{
    struct coap_message message;
    /* A buffer of exactly that size, so that reading past its end is seen. */
    uint8_t *exact = malloc(v->len == 0 ? 1 : v->len);
    memcpy(exact, v->at, v->len);
    enum coap_parse_result got = coap_parse(&message, bytes_of(exact, v->len));
    if (got != v->expected)
        printf("\n%s: got %d\n", v->name, (int)got);
    CU_ASSERT_EQUAL(got, v->expected);
    if (got == COAP_PARSE_OK && v->option != 0) {
        CU_ASSERT_EQUAL_FATAL(message.options_n, 1);
        CU_ASSERT_EQUAL(message.options[0].number, v->option);
        CU_ASSERT_EQUAL(message.options[0].value.len, v->option_len);
    }
    free(exact);
}

static void test_vectors(void)
{
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        check(&vectors[i]);
}

/* What is left of a message that is cut anywhere is never read beyond, and means nothing else. */
static void test_cut(void)
{
    static const uint8_t whole[] = {0x44, 0x02, 0x12, 0x34, 1,    2,    3,    4, 0xB3, 'a', 'b', 'c',
                                    0x01, 'd',  0x12, 0x27, 0x10, 0xD1, 0xE0, 7, 0xFF, 'x', 'y'};
    for (size_t n = 0; n <= sizeof(whole); n++) {
        struct coap_message message;
        uint8_t *exact = malloc(n == 0 ? 1 : n);
        memcpy(exact, whole, n);
        enum coap_parse_result got = coap_parse(&message, bytes_of(exact, n));
        bool good = n == 8 || n == 12 || n == 14 || n == 17 || n == 20 || n >= 22;
        CU_ASSERT_EQUAL(got, n < 4 ? COAP_PARSE_FOREIGN : good ? COAP_PARSE_OK : COAP_PARSE_MALFORMED);
        free(exact);
    }
}

/* RFC 8974 s.2.1: every length that can be said is written and read back; 9 to 12 cannot. */
static void test_tokens(void)
{
    static const uint16_t lengths[] = {0, 1, 8, 13, 14, 268, 269, 270, 1024};
    uint8_t token[1024], bytes[COAP_MESSAGE_MAX];
    struct coap_message message;
    struct coap_writer w;
    for (size_t i = 0; i < sizeof(token); i++)
        token[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_GET, 1, token, lengths[i]);
        coap_build_option(&w, COAP_URI_PATH, bytes_of_text("a"));
        CU_ASSERT_EQUAL(coap_parse(&message, bytes_of(bytes, coap_build_end(&w))), COAP_PARSE_OK);
        CU_ASSERT_TRUE(bytes_equal(bytes_of(message.token, message.token_len), bytes_of(token, lengths[i])));
        CU_ASSERT_EQUAL(message.options_n, 1);
        coap_build_retype(bytes, COAP_NON, 2);
        CU_ASSERT_EQUAL(coap_parse(&message, bytes_of(bytes, coap_build_end(&w))), COAP_PARSE_OK);
        CU_ASSERT_EQUAL(message.token_len, lengths[i]);
    }
    for (uint16_t len = 9; len < 13; len++) {
        coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_GET, 1, token, len);
        CU_ASSERT_EQUAL(coap_build_end(&w), 0);
    }
}

static void test_caps(void)
{
    uint8_t many[COAP_HEADER_BYTES + COAP_OPTIONS_MAX + 1] = {0x40, 0x01, 0, 1};
    static uint8_t large[COAP_MESSAGE_MAX + 1] = {0x50, 0x02, 0, 9, 0xFF};
    struct coap_message message;
    CU_ASSERT_EQUAL(coap_parse(&message, bytes_of(many, sizeof(many) - 1)), COAP_PARSE_OK);
    CU_ASSERT_EQUAL(message.options_n, COAP_OPTIONS_MAX);
    CU_ASSERT_EQUAL(coap_parse(&message, bytes_of(many, sizeof(many))), COAP_PARSE_CAPPED);
    CU_ASSERT_EQUAL(coap_parse(&message, bytes_of(large, sizeof(large) - 1)), COAP_PARSE_OK);
    CU_ASSERT_EQUAL(coap_parse(&message, bytes_of(large, sizeof(large))), COAP_PARSE_CAPPED);
    CU_ASSERT_EQUAL(message.type, COAP_NON);
    CU_ASSERT_EQUAL(message.mid, 9);
}

static void test_build(void)
{
    static const uint8_t expected[] = {0x41, 0x01, 0xAB, 0xCD, 0x77, 0xB1, 'a',  0x00, 0x32,
                                       0x01, 0x00, 0xD2, 0x09, 0x01, 0x02, 0xE0, 0x00, 0x00};
    uint8_t to[64];
    struct coap_writer w;
    static const uint8_t token = 0x77;
    coap_build_start(&w, to, sizeof(to), COAP_CON, COAP_GET, 0xABCD, &token, 1);
    coap_build_option(&w, COAP_URI_PATH, bytes_of("a", 1));
    coap_build_option(&w, COAP_URI_PATH, bytes_of(NULL, 0));
    coap_build_uint(&w, COAP_MAX_AGE, 256);
    coap_build_option(&w, COAP_MAX_AGE + 22, bytes_of(expected + 13, 2));
    coap_build_option(&w, COAP_MAX_AGE + 22 + 269, bytes_of(NULL, 0));
    size_t n = coap_build_end(&w);
    CU_ASSERT_EQUAL(n, sizeof(expected));
    CU_ASSERT_EQUAL(memcmp(to, expected, n), 0);
    struct coap_message message;
    CU_ASSERT_EQUAL(coap_parse(&message, bytes_of(to, n)), COAP_PARSE_OK);
    CU_ASSERT_EQUAL(message.options_n, 5);
    CU_ASSERT_EQUAL(message.options[4].number, COAP_MAX_AGE + 22 + 269);
}

static void test_build_refuses(void)
{
    uint8_t to[8];
    struct coap_writer w;
    coap_build_start(&w, to, sizeof(to), COAP_CON, COAP_GET, 1, NULL, 0);
    coap_build_option(&w, COAP_URI_PATH, bytes_of("abcd", 4));
    CU_ASSERT_EQUAL(coap_build_end(&w), 0); /* one byte too few */
    coap_build_start(&w, to, sizeof(to), COAP_CON, COAP_GET, 1, NULL, 0);
    coap_build_option(&w, COAP_URI_PATH, bytes_of("abc", 3));
    CU_ASSERT_EQUAL(coap_build_end(&w), 8);
    coap_build_start(&w, to, sizeof(to), COAP_CON, COAP_GET, 1, NULL, 0);
    coap_build_uint(&w, COAP_MAX_AGE, 0);
    coap_build_uint(&w, COAP_URI_PATH, 0); /* out of order */
    CU_ASSERT_EQUAL(coap_build_end(&w), 0);
    CU_ASSERT_EQUAL(coap_build_empty(to, COAP_RST, 0x1234), 4);
    CU_ASSERT_EQUAL(memcmp(to, "\x70\x00\x12\x34", 4), 0);
}

static void test_values(void)
{
    struct coap_block block;
    char text[8];
    CU_ASSERT_EQUAL(coap_uint(bytes_of("\x01\x00", 2)), 256);
    CU_ASSERT_EQUAL(coap_uint(bytes_of(NULL, 0)), 0);
    CU_ASSERT_TRUE(coap_block_parse(bytes_of("\x1E", 1), &block));
    CU_ASSERT_EQUAL(block.number, 1);
    CU_ASSERT_EQUAL(block.bytes, 1024);
    CU_ASSERT_TRUE(block.more);
    CU_ASSERT_FALSE(coap_block_parse(bytes_of("\x07", 1), &block)); /* RFC 7959 s.2.2: SZX 7 */
    CU_ASSERT_STRING_EQUAL(coap_code_text(COAP_IPATCH, text, sizeof(text)), "iPATCH");
    CU_ASSERT_STRING_EQUAL(coap_code_text(COAP_CONTENT, text, sizeof(text)), "2.05");
    CU_ASSERT_EQUAL(coap_kind_of(COAP_CODE(1, 0)), COAP_KIND_RESERVED);
    CU_ASSERT_EQUAL(coap_kind_of(COAP_CODE(7, 1)), COAP_KIND_RESERVED);
    CU_ASSERT_EQUAL(coap_kind_of(COAP_CODE(0, 31)), COAP_KIND_REQUEST);
}

/* s.5.4.6, figure 10, and that the table is in order, so that it can be searched. */
static void test_options(void)
{
    CU_ASSERT_TRUE(coap_option_critical(COAP_URI_PATH) && coap_option_unsafe(COAP_URI_PATH));
    CU_ASSERT_TRUE(!coap_option_critical(COAP_ETAG) && !coap_option_unsafe(COAP_ETAG));
    CU_ASSERT_TRUE(coap_option_no_cache_key(COAP_SIZE1) && !coap_option_no_cache_key(COAP_URI_PATH));
    CU_ASSERT_TRUE(coap_option_no_cache_key(COAP_ECHO)); /* RFC 9175 s.2.2.1 */
    static const uint16_t known[] = {1,  3,  4,  5,  6,  7,  8,  11, 12,  14,  15, 16,
                                     17, 20, 23, 27, 28, 35, 39, 60, 252, 258, 292};
    size_t found = 0;
    for (uint32_t number = 0; number <= UINT16_MAX; number++) {
        const struct coap_option_rule *rule = coap_option_rule((uint16_t)number);
        if (rule == NULL)
            continue;
        CU_ASSERT_TRUE_FATAL(found < sizeof(known) / sizeof(known[0]));
        CU_ASSERT_EQUAL(rule->number, number);
        CU_ASSERT_EQUAL(known[found], number);
        found++;
    }
    CU_ASSERT_EQUAL(found, sizeof(known) / sizeof(known[0]));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"vectors", test_vectors}, {"cut at every byte", test_cut}, {"tokens (RFC 8974)", test_tokens},
        {"caps", test_caps},       {"build", test_build},           {"build refuses", test_build_refuses},
        {"values", test_values},   {"options", test_options}};
    return unit_run("coap_message", tests, sizeof(tests) / sizeof(tests[0]));
}
