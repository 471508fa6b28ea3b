/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/diagnostics.h"
#include "config/suggest.h"
#include "tests/unit/config_rig.h"
#include "tests/unit/runner.h"

/* Operators' surface 2.6: the form, and the order file, line, text. */
static void form_and_order(void)
{
    struct diagnostics *d = diagnostics_create();
    diagnostics_add(d, DIAGNOSTIC_ERROR, "sallyport.conf", 9, "key %s does not fit", "tls/gw.key");
    diagnostics_add(d, DIAGNOSTIC_ERROR, "policy.d/20-depot.conf", 12, "b");
    diagnostics_add(d, DIAGNOSTIC_WARNING, "policy.d/20-depot.conf", 2, "z");
    diagnostics_add(d, DIAGNOSTIC_ERROR, "policy.d/20-depot.conf", 12, "a");
    diagnostics_add(d, DIAGNOSTIC_ERROR, "policy.d", 0, "nothing here");
    diagnostics_add(d, DIAGNOSTIC_ERROR, "policy.d/20-depot.conf", 100, "c");
    rig_expect("form", rig_told(d),
               "policy.d: error: nothing here\n"
               "policy.d/20-depot.conf:2: warning: z\n"
               "policy.d/20-depot.conf:12: error: a\n"
               "policy.d/20-depot.conf:12: error: b\n"
               "policy.d/20-depot.conf:100: error: c\n"
               "sallyport.conf:9: error: key tls/gw.key does not fit\n");
    CU_ASSERT_EQUAL(diagnostics_errors(d), 5);
    CU_ASSERT_EQUAL(diagnostics_warnings(d), 1);
    CU_ASSERT_EQUAL(diagnostics_count(d), 6);
    CU_ASSERT_PTR_NULL(diagnostics_at(d, 6));
    diagnostics_destroy(d);
}

/* What is wrong with a setting that several objects take is told once: level, file, line and text the same.
 */
static void told_once(void)
{
    struct diagnostics *d = diagnostics_create();
    for (int i = 0; i < 3; i++) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, "f", 7, "tls/gw.pem cannot be read");
        diagnostics_add(d, DIAGNOSTIC_WARNING, "f", 8, "old");
    }
    diagnostics_add(d, DIAGNOSTIC_ERROR, "f", 9, "tls/gw.pem cannot be read");
    rig_expect(
        "once", rig_told(d),
        "f:7: error: tls/gw.pem cannot be read\nf:8: warning: old\nf:9: error: tls/gw.pem cannot be read\n");
    CU_ASSERT_EQUAL(diagnostics_errors(d), 2);
    CU_ASSERT_EQUAL(diagnostics_warnings(d), 1);
    diagnostics_destroy(d);
}

static void capped_but_counted(void)
{
    struct diagnostics *d = diagnostics_create();
    for (uint32_t i = 0; i < 2500; i++)
        diagnostics_add(d, i % 5 == 0 ? DIAGNOSTIC_WARNING : DIAGNOSTIC_ERROR, "f", i, "x");
    CU_ASSERT_EQUAL(diagnostics_count(d), 1000);
    CU_ASSERT_EQUAL(diagnostics_errors(d), 2000);
    CU_ASSERT_EQUAL(diagnostics_warnings(d), 500);
    diagnostics_destroy(d);
}

/* Names may come from elsewhere: no second line, no terminal sequence. */
static void control_characters(void)
{
    struct diagnostics *d = diagnostics_create();
    diagnostics_add(d, DIAGNOSTIC_ERROR, "a\nb:1: error: fake", 1, "unknown '%s'", "\x1b[2J\r\x7f");
    rig_expect("escaped", rig_told(d), "a\\x0ab:1: error: fake:1: error: unknown '\\x1b[2J\\x0d\\x7f'\n");
    diagnostics_destroy(d);
}

static void long_texts(void)
{
    struct diagnostics *d = diagnostics_create();
    char text[3000], line[2048];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    memcpy(text + 598, "\xe2\x82\xac", 3); /* the cut falls into a character */
    diagnostics_add(d, DIAGNOSTIC_ERROR, text, 1, "%s", text);
    int n = diagnostic_format(diagnostics_at(d, 0), line, sizeof(line));
    CU_ASSERT(n > 0 && (size_t)n < sizeof(line));
    CU_ASSERT_EQUAL(n, 300 + 3 + (int)strlen(":1: error: ") + 598 + 3);
    CU_ASSERT_STRING_EQUAL(line + n - 5, "xx...");
    CU_ASSERT_EQUAL(diagnostic_format(diagnostics_at(d, 0), line, 10), n); /* as snprintf */
    diagnostics_destroy(d);
}

static void suggestions(void)
{
    static const char *const known[] = {"topic", "path", "qos", "retain", "payload", "payload_max", "id"};
    static const struct {
        const char *word, *best;
    } cases[] = {
        {"topics", "topic"},
        {"tpoic", "topic"},
        {"topc", "topic"},
        {"payload_mx", "payload_max"},
        {"paylod", "payload"},
        {"retian", "retain"},
        {"qso", "qos"},
        {"paht", "path"},
        {"xyz", NULL},
        {"completely", NULL},
        {"i", "id"},
        {"idd", "id"},
        {"", NULL},
        {"topic/level", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct suggest s;
        suggest_init(&s, cases[i].word);
        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
            suggest_offer(&s, known[k]);
        bool same = s.best == cases[i].best ||
                    (s.best != NULL && cases[i].best != NULL && strcmp(s.best, cases[i].best) == 0);
        if (!same)
            fprintf(stderr, "  %s -> %s\n", cases[i].word, s.best == NULL ? "-" : s.best);
        CU_ASSERT(same);
    }
    char longer[500];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    struct suggest s;
    suggest_init(&s, longer);
    suggest_offer(&s, longer);
    CU_ASSERT_PTR_NULL(s.best);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"form and order (G1)", form_and_order},
        {"the same twice is told once (G1)", told_once},
        {"capped but counted", capped_but_counted},
        {"control characters", control_characters},
        {"long texts", long_texts},
        {"did you mean (G1)", suggestions},
    };
    return unit_run("config/diagnostics", tests, sizeof(tests) / sizeof(tests[0]));
}
