/* SPDX-License-Identifier: GPL-2.0-or-later */
/* template.h: texts with variables, and values that may stand in topics (C3, D4). */
#include "policy/access/template.h"

#include "tests/unit/runner.h"

#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Pieces written out: text as it is, variables in <>, '!' where it is malformed. */
static void written(const char *text, char out[128])
{
    struct cursor rest = cursor_of(bytes_of_text(text));
    struct bytes piece;
    size_t n = 0;
    out[0] = 0;
    for (;;) {
        enum template_piece kind = template_next(&rest, &piece);
        if (kind == TEMPLATE_END)
            return;
        if (kind == TEMPLATE_MALFORMED) {
            snprintf(out + n, 128 - n, "!");
            return;
        }
        n += (size_t)snprintf(out + n, 128 - n, kind == TEMPLATE_TEXT ? "%.*s|" : "<%.*s>|", (int)piece.len,
                              (const char *)piece.at);
    }
}

static void pieces(void)
{
    static const struct {
        const char *text, *pieces;
    } t[] = {
        {"", ""},
        {"abc", "abc|"},
        {"${a}", "<a>|"},
        {"x${a}y${b.c}", "x|<a>|y|<b.c>|"},
        {"${a}${b}", "<a>|<b>|"},
        {"$SYS/x", "$SYS/x|"},
        {"$", "$|"},
        {"a$", "a$|"},
        {"$${a}", "$|<a>|"},
        {"{a}", "{a}|"},
        {"${", "!"},
        {"${}", "!"},
        {"${a", "!"},
        {"x${a b}", "x|!"},
        {"${a/b}", "!"},
        {"${${a}}", "!"},
        {"${a}}", "<a>|}|"},
        {"${A_1-z.9}", "<A_1-z.9>|"},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        char out[128];
        written(t[i].text, out);
        CU_ASSERT_STRING_EQUAL(out, t[i].pieces);
    }
    char longest[TEMPLATE_NAME_MAX + 5] = "${", out[128];
    memset(longest + 2, 'n', TEMPLATE_NAME_MAX);
    longest[TEMPLATE_NAME_MAX + 2] = '}';
    written(longest, out);
    CU_ASSERT_EQUAL(out[0], '<');
    longest[TEMPLATE_NAME_MAX + 2] = 'n';
    longest[TEMPLATE_NAME_MAX + 3] = '}';
    written(longest, out);
    CU_ASSERT_STRING_EQUAL(out, "!");
}

static void values(void)
{
    static const char *const safe[] = {"a",  "truck-017", "a b",  "a$",  "caf\xC3\xA9", "\xC2\xA0",
                                       ".*", "%c",        "a\\b", "{x}", ".."};
    static const char *const unsafe[] = {"",  "+",    "a+",   "#",    "a#b",   "/",        "a/b",
                                         "$", "$SYS", "\x01", "a\tb", "a\x7F", "\xC2\x80", "x\xC2\x9F"};
    for (size_t i = 0; i < COUNT(safe); i++)
        CU_ASSERT_TRUE(template_value_safe(bytes_of_text(safe[i])));
    for (size_t i = 0; i < COUNT(unsafe); i++)
        CU_ASSERT_FALSE(template_value_safe(bytes_of_text(unsafe[i])));
    CU_ASSERT_FALSE(template_value_safe(bytes_of("a\0b", 3)));
    CU_ASSERT_FALSE(template_value_safe(bytes_of(NULL, 0)));
    CU_ASSERT_TRUE(
        template_value_safe(bytes_of("a\xC2", 2))); /* half a character: no control, and reads no further */
}

static struct bytes value(void *owner, struct bytes name)
{
    (void)owner;
    if (bytes_equal(name, bytes_of_text("a")))
        return bytes_of_text("one");
    return bytes_equal(name, bytes_of_text("e")) ? bytes_of_text("") : bytes_of(NULL, 0);
}

static void expansion(void)
{
    static const struct {
        const char *text, *out; /* NULL: refused */
    } t[] = {
        {"", ""},
        {"x", "x"},
        {"${a}", "one"},
        {"x/${a}/${a}", "x/one/one"},
        {"${e}", ""},
        {"x${none}", NULL},
        {"x${a", NULL},
        {"12345678", "12345678"},
        {"123456789012345678", NULL}, /* no room */
        {"1234567890${a}${a}${a}", NULL},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        uint8_t out[16];
        size_t n = 0;
        bool good = template_expand(bytes_of_text(t[i].text), value, NULL, out, sizeof(out), &n);
        CU_ASSERT_EQUAL(good, t[i].out != NULL);
        if (good && t[i].out != NULL)
            CU_ASSERT_TRUE(bytes_equal(bytes_of(out, n), bytes_of_text(t[i].out)));
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"expansion (C5)", expansion},
        {"pieces", pieces},
        {"values that may stand in topics (CVE-2017-7650)", values},
    };
    return unit_run("template", tests, COUNT(tests));
}
