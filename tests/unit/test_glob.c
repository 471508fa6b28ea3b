/* SPDX-License-Identifier: GPL-2.0-or-later */
/* glob.h: patterns of names, and what they capture (C1, C3). */
#include "policy/access/glob.h"
#include "tests/unit/runner.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct bytes text(const char *s)
{
    return bytes_of_text(s);
}

static void well_formed(void)
{
    static const struct {
        const char *pattern;
        bool ok;
    } t[] = {
        {"truck-*", true},
        {"*", true},
        {"**", true},
        {"?", true},
        {"[a-z]", true},
        {"[!a-z0-9_-]", true},
        {"[^x]", true},
        {"[[]", true},
        {"[*][?][{][}]", true},
        {"]", true},
        {"a-{serial}", true},
        {"{serial}", true},
        {"{s:[0-9][0-9]}-*", true},
        {"{a}-{b}-{c}-{d}", true},
        {"{a:x*}", true},
        {"", false},
        {"[", false},
        {"[a", false},
        {"[]", false},
        {"[!]", false},
        {"[z-a]", false},
        {"[\xC3\xA9]", false},
        {"a\xC0\x80", false},
        {"\xFF*", false},
        {"{", false},
        {"{}", false},
        {"{a", false},
        {"{a:", false},
        {"{a:x", false},
        {"{a:}", false},
        {"}", false},
        {"a}", false},
        {"{a b}", false},
        {"{a.b}", false},
        {"{a{b}}", false},
        {"{a:{b}}", false},
        {"{a}{b}", false},
        {"{a}*", false},
        {"*{a}", false},
        {"{a:*}*", false},
        {"{a:x*}{b}", false},
        {"*{a:*x}", false},
        {"{a}-{a}", false},
        {"{a}-{b}-{c}-{d}-{e}", false},
        {"{abcdefghijabcdefghijabcdefghijab}", false},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        const char *wrong = glob_check(text(t[i].pattern));
        CU_ASSERT_EQUAL(wrong == NULL, t[i].ok);
        if (!t[i].ok)
            CU_ASSERT_FALSE(glob_match(text(t[i].pattern), text(t[i].pattern), NULL));
    }
    static char longest[GLOB_PATTERN_MAX + 1];
    memset(longest, 'a', sizeof(longest));
    CU_ASSERT_PTR_NULL(glob_check(bytes_of(longest, GLOB_PATTERN_MAX)));
    CU_ASSERT_PTR_NOT_NULL(glob_check(bytes_of(longest, GLOB_PATTERN_MAX + 1)));
}

static void matching(void)
{
    static const struct {
        const char *pattern, *subject;
        bool matches;
    } t[] = {
        {"a", "a", true},
        {"a", "b", false},
        {"a", "aa", false},
        {"a", "", false},
        {"*", "", true},
        {"*", "anything / + #", true},
        {"truck-*", "truck-", true},
        {"truck-*", "truck-017", true},
        {"truck-*", "xtruck-017", false},
        {"truck-[0-9][0-9][0-9]", "truck-017", true},
        {"truck-[0-9][0-9][0-9]", "truck-0170", false},
        {"truck-[0-9][0-9][0-9]", "truck-01x", false},
        {"*-017", "truck-017", true},
        {"*a*b*c*", "xxaxxbxxcxx", true},
        {"*a*b*c*", "xxcxxbxxaxx", false},
        {"*ab", "aab", true},
        {"*abc*abd", "abcabcabd", true},
        {"**b", "aab", true},
        {"?", "", false},
        {"?", "\xC3\xA9", true},
        {"??", "\xC3\xA9", false},
        {"*??", "\xE2\x82\xAC", false},
        {"*??", "a\xE2\x82\xAC", true},
        {"{a}??", "\xC3\xA9x", false},
        {"{a}?", "\xC3\xA9x", true},
        {"[!a]", "\xE2\x82\xAC", true},
        {"[!a]", "a", false},
        {"[!a]", "", false},
        {"*", "\xC0\x80", false},
        {"a*", "a\xFF", false},
        {"[^a-c]x", "dx", true},
        {"[^a-c]x", "bx", false},
        {"[a-]", "-", true},
        {"[a-]", "b", false},
        {"[*]", "*", true},
        {"[*]", "x", false},
        {"[?][[][{][}]", "?[{}", true},
        {"A", "a", false},
        {"00:1d:9c:*", "00:1d:9c:00:00:01", true},
        {".*", "abc", false},
        {"%c", "abc", false},
    };
    for (size_t i = 0; i < COUNT(t); i++)
        CU_ASSERT_EQUAL(glob_match(text(t[i].pattern), text(t[i].subject), NULL), t[i].matches);
    /* What is not there matches nothing, not even '*': an anonymous client has no user. */
    CU_ASSERT_FALSE(glob_match(text("*"), bytes_of(NULL, 0), NULL));
    static char subject[GLOB_SUBJECT_MAX + 1];
    memset(subject, 'a', sizeof(subject));
    CU_ASSERT_TRUE(glob_match(text("*"), bytes_of(subject, GLOB_SUBJECT_MAX), NULL));
    CU_ASSERT_FALSE(glob_match(text("*"), bytes_of(subject, GLOB_SUBJECT_MAX + 1), NULL));
}

static void captures(void)
{
    static const struct {
        const char *pattern, *subject;
        uint32_t n;
        const char *name[2], *value[2];
    } t[] = {
        {"truck-{serial}", "truck-017", 1, {"serial"}, {"017"}},
        {"truck-{serial:[0-9][0-9][0-9]}", "truck-017", 1, {"serial"}, {"017"}},
        {"{site}-{unit}", "north-7", 2, {"site", "unit"}, {"north", "7"}},
        {"{a}-{b}", "x-y-z", 2, {"a", "b"}, {"x", "y-z"}},
        {"{a}-*-{b}", "1-2-3-4", 2, {"a", "b"}, {"1", "3-4"}},
        {"*/{last}", "a/b", 1, {"last"}, {"b"}},
        {"{all}", "x", 1, {"all"}, {"x"}},
        {"{a:x*}-{b:?}", "x12-9", 2, {"a", "b"}, {"x12", "9"}},
        {"{a}-x-{b}", "1-2-x-3", 2, {"a", "b"}, {"1-2", "3"}},
        {"no captures", "no captures", 0, {NULL}, {NULL}},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct glob_captures c;
        CU_ASSERT_TRUE(glob_match(text(t[i].pattern), text(t[i].subject), &c));
        CU_ASSERT_EQUAL(c.n, t[i].n);
        for (uint32_t k = 0; k < t[i].n && k < c.n; k++) {
            CU_ASSERT_TRUE(bytes_equal(c.capture[k].name, text(t[i].name[k])));
            CU_ASSERT_TRUE(bytes_equal(c.capture[k].value, text(t[i].value[k])));
        }
    }
    struct glob_captures c = {.n = 3};
    CU_ASSERT_FALSE(glob_match(text("truck-{serial}"), text("truck-"), &c));
    CU_ASSERT_EQUAL(c.n, 0);
    CU_ASSERT_FALSE(glob_match(text("{a:*}"), text(""), &c));
    CU_ASSERT_FALSE(glob_match(text("{a}-{b}"), text("-x"), &c));
    CU_ASSERT_FALSE(glob_match(text("{a}-{b}"), text("x-"), &c));
}

/* A pattern of many runs on a subject made to disappoint it stays polynomial: this would take longer than the
 * universe lasts with one stack frame per run. */
static void no_backtracking(void)
{
    static char pattern[GLOB_PATTERN_MAX], subject[GLOB_SUBJECT_MAX];
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = i % 2 == 0 ? '*' : 'a';
    pattern[sizeof(pattern) - 1] = 'b';
    memset(subject, 'a', sizeof(subject));
    CU_ASSERT_FALSE(glob_match(bytes_of(pattern, sizeof(pattern)), bytes_of(subject, sizeof(subject)), NULL));
    subject[sizeof(subject) - 1] = 'b';
    CU_ASSERT_TRUE(glob_match(bytes_of(pattern, sizeof(pattern)), bytes_of(subject, sizeof(subject)), NULL));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"well-formed patterns", well_formed},
        {"matching", matching},
        {"captures", captures},
        {"many runs do not backtrack", no_backtracking},
    };
    return unit_run("glob", tests, COUNT(tests));
}
