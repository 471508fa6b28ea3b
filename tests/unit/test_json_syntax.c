/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RFC 8259, for payload = "json" (D3). */
#include "policy/json_syntax.h"
#include "tests/unit/runner.h"

#include <stdio.h>

static const struct {
    const char *text;
    bool good;
} vectors[] = {
    {"{}", true},
    {"[]", true},
    {"null", true},
    {" true ", true},
    {"false", true},
    {"\"\"", true},
    {"0", true},
    {"-0", true},
    {"-1.5e+10", true},
    {"1E-2", true},
    {"[1,2,3]", true},
    {"{\"a\":{\"b\":[{},[],null]},\"c\":\"\\u00e9\\n\"}", true},
    {"\"gr\xC3\xBC\xC3\x9F\"", true},
    {"\t\r\n[ 1 , 2 ]", true},
    {"", false},
    {" ", false},
    {"{", false},
    {"}", false},
    {"[", false},
    {"]", false},
    {"[}", false},
    {"{]", false},
    {"[1,]", false},
    {"[,1]", false},
    {"{\"a\"}", false},
    {"{\"a\":}", false},
    {"{\"a\":1,}", false},
    {"{a:1}", false},
    {"{\"a\":1 \"b\":2}", false},
    {"[1 2]", false},
    {"1 2", false},
    {"{}{}", false},
    {"01", false},
    {"-", false},
    {"1.", false},
    {".5", false},
    {"1e", false},
    {"1e+", false},
    {"+1", false},
    {"nul", false},
    {"True", false},
    {"'a'", false},
    {"\"a", false},
    {"\"a\nb\"", false},
    {"\"\\x\"", false},
    {"\"\\u12\"", false},
    {"\"\\u12g4\"", false},
    {"\"\\", false},
    {"\"\xC0\x80\"", false},
    {"\"\xED\xA0\x80\"", false},
    {"NaN", false},
    {"[1]//", false},
};

static void all_vectors(void)
{
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        /* In memory of just that size, so that reading past it is seen. */
        size_t n = strlen(vectors[i].text);
        uint8_t *copy = malloc(n == 0 ? 1 : n);
        memcpy(copy, vectors[i].text, n);
        CU_ASSERT_EQUAL(json_syntax_check(bytes_of(copy, n)), vectors[i].good);
        if (json_syntax_check(bytes_of(copy, n)) != vectors[i].good)
            printf("%s\n", vectors[i].text);
        free(copy);
    }
    CU_ASSERT_FALSE(json_syntax_check(bytes_of("[\"\0\"]", 5)));
    CU_ASSERT_FALSE(json_syntax_check(bytes_of("\"\\\0\"", 4)));
}

/* A text that is cut anywhere is none, but for numbers and space at its end. */
static void every_cut(void)
{
    static const char text[] = "{\"a\": [true, false, null, -1.5e-3, \"x\\u0041\"], \"b\": {}}";
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        CU_ASSERT_FALSE(json_syntax_check(bytes_of(text, n)));
    CU_ASSERT_TRUE(json_syntax_check(bytes_of(text, sizeof(text) - 1)));
}

static void depth_is_bounded(void)
{
    char text[200];
    for (size_t depth = 1; depth <= 100; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        CU_ASSERT_EQUAL(json_syntax_check(bytes_of(text, 2 * depth)), depth <= 64);
    }
}

static const struct unit_test tests[] = {
    {"vectors (RFC 8259)", all_vectors},
    {"every cut", every_cut},
    {"depth is bounded", depth_is_bounded},
};

int main(void)
{
    return unit_run("json_syntax", tests, sizeof(tests) / sizeof(tests[0]));
}
