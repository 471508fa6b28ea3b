/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/exposition.h"
#include "policy/utf8.h"
#include "tests/unit/runner.h"

#include <string.h>

/* What `write` writes, in static memory. */
static const char *written(void (*write)(struct exposition *e, const void *of), const void *of)
{
    static char text[1024];
    struct exposition e = {.to = fmemopen(text, sizeof(text), "w")};
    CU_ASSERT_PTR_NOT_NULL_FATAL(e.to);
    write(&e, of);
    fclose(e.to);
    return text;
}

static void write_one(struct exposition *e, const void *of)
{
    exposition_counter(e, "x_total", "What it is.");
    exposition_count(e, (const struct exposition_label[EXPOSITION_LABELS]){{"role", of}},
                     18446744073709551615U);
}

/* H3: a name out of a policy file forges neither a sample nor a label, and the text stays UTF-8. */
static void label_values_are_escaped(void)
{
    static const struct {
        const char *value, *expected;
    } cases[] = {
        {"truck", "truck"},
        {"", ""},
        {"a\"b", "a\\\"b"},
        {"a\\", "a\\\\"},
        {"a\nx_total 1", "a\\nx_total 1"},
        {"\xe2\x82\xac", "\xe2\x82\xac"},
        {"a\xc0\x80z", "a??z"},
        {"cut \xf0\x9f", "cut ??"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char expected[256];
        snprintf(
            expected, sizeof(expected),
            "# HELP x_total What it is.\n# TYPE x_total counter\nx_total{role=\"%s\"} 18446744073709551615\n",
            cases[i].expected);
        const char *text = written(write_one, cases[i].value);
        CU_ASSERT_STRING_EQUAL(text, expected);
        CU_ASSERT_TRUE(utf8_check_reference(bytes_of_text(text), UTF8_TEXT));
    }
}

static void write_shapes(struct exposition *e, const void *of)
{
    (void)of;
    exposition_gauge(e, "y", "Some.");
    exposition_count(e, NULL, 0);
    exposition_count(e, (const struct exposition_label[EXPOSITION_LABELS]){{NULL, NULL}}, 1);
    exposition_real(
        e, (const struct exposition_label[EXPOSITION_LABELS]){{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}},
        0.25);
}

static void no_label_and_all_of_them(void)
{
    CU_ASSERT_STRING_EQUAL(
        written(write_shapes, NULL),
        "# HELP y Some.\n# TYPE y gauge\ny 0\ny 1\ny{a=\"1\",b=\"2\",c=\"3\",d=\"4\"} 0.25\n");
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"label values are escaped (H3)", label_values_are_escaped},
        {"no label, and all of them", no_label_and_all_of_them},
    };
    return unit_run("exposition", tests, sizeof(tests) / sizeof(tests[0]));
}
