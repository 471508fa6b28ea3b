/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/text_diff.h"
#include "tests/unit/runner.h"

#include <stdbool.h>
#include <stdint.h>

#define LINES_MAX 40

static char said[1 << 18];

static enum text_diff diff(const char *a, const char *b)
{
    FILE *to = fmemopen(said, sizeof(said), "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(to);
    enum text_diff result = text_diff(a, strlen(a), b, strlen(b), to);
    fputc('\0', to);
    fclose(to);
    return result;
}

static void by_hand(void)
{
    static const struct {
        const char *a, *b, *said;
        enum text_diff result;
    } cases[] = {
        {"", "", "", TEXT_DIFF_SAME},
        {"a\nb\n", "a\nb\n", "", TEXT_DIFF_SAME},
        {"a\nb\n", "a\nb", "", TEXT_DIFF_SAME}, /* a last line is a line */
        {"", "a\n", "@@ line 1 @@\n+a\n", TEXT_DIFF_DIFFERENT},
        {"a\n", "", "@@ line 1 @@\n-a\n", TEXT_DIFF_DIFFERENT},
        {"a\n", "b\n", "@@ line 1 @@\n-a\n+b\n", TEXT_DIFF_DIFFERENT},
        {"1\n2\n3\n4\n5\n6\n", "1\n2\n3\nx\n5\n6\n", "@@ line 2 @@\n 2\n 3\n-4\n+x\n 5\n 6\n",
         TEXT_DIFF_DIFFERENT},
        {"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\nx\n3\n4\n5\n6\n7\ny\n9\n",
         "@@ line 1 @@\n 1\n-2\n+x\n 3\n 4\n@@ line 6 @@\n 6\n 7\n-8\n+y\n 9\n", TEXT_DIFF_DIFFERENT},
        {"1\n2\n3\n4\n", "x\n2\n3\ny\n", "@@ line 1 @@\n-1\n+x\n 2\n 3\n-4\n+y\n", TEXT_DIFF_DIFFERENT},
        {"a\n\n\n", "a\n\n", "@@ line 1 @@\n a\n \n-\n", TEXT_DIFF_DIFFERENT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CU_ASSERT_EQUAL(diff(cases[i].a, cases[i].b), cases[i].result);
        /* Where the context begins is a matter of taste as long as it is told; what changed is not. */
        if (strcmp(said, cases[i].said) != 0)
            fprintf(stderr, "\n--- case %zu: expected\n%s--- told\n%s", i, cases[i].said, said);
        CU_ASSERT_STRING_EQUAL(said, cases[i].said);
    }
}

static uint32_t seed = 7;

static uint32_t next(uint32_t below)
{
    return (seed = seed * 1664525u + 1013904223u) / 65536 % below;
}

static void make(char *text, char *lines, int *n)
{
    *n = (int)next(LINES_MAX);
    for (int i = 0; i < *n; i++) {
        lines[i] = (char)('a' + next(4));
        text[2 * i] = lines[i];
        text[2 * i + 1] = '\n';
    }
    text[2 * *n] = '\0';
}

static int longest_common(const char *a, int a_n, const char *b, int b_n)
{
    int best[LINES_MAX + 1][LINES_MAX + 1] = {{0}};
    for (int i = 1; i <= a_n; i++)
        for (int k = 1; k <= b_n; k++)
            best[i][k] = a[i - 1] == b[k - 1]              ? best[i - 1][k - 1] + 1
                         : best[i - 1][k] > best[i][k - 1] ? best[i - 1][k]
                                                           : best[i][k - 1];
    return best[a_n][b_n];
}

/* Walks the first text along what was told; what comes of it must be the second. */
static bool applies(const char *a, int a_n, const char *b, int b_n, int *edits)
{
    char made[2 * LINES_MAX + 1];
    int at = 0, n = 0;
    *edits = 0;
    for (char *line = strtok(said, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (line[0] == '@') {
            int from = atoi(line + strlen("@@ line ")) - 1;
            while (at < from && n < 2 * LINES_MAX)
                made[n++] = a[at++];
            continue;
        }
        *edits += line[0] != ' ';
        if (line[0] != '+' && (at >= a_n || a[at++] != line[1]))
            return false;
        if (line[0] != '-' && n < 2 * LINES_MAX)
            made[n++] = line[1];
    }
    while (at < a_n && n < 2 * LINES_MAX)
        made[n++] = a[at++];
    return n == b_n && memcmp(made, b, (size_t)n) == 0;
}

static void random_texts(void)
{
    char text[2][2 * LINES_MAX + 1], lines[2][LINES_MAX];
    int n[2], edits;
    for (int i = 0; i < 2000; i++) {
        make(text[0], lines[0], &n[0]);
        make(text[1], lines[1], &n[1]);
        enum text_diff result = diff(text[0], text[1]);
        int shortest = n[0] + n[1] - 2 * longest_common(lines[0], n[0], lines[1], n[1]);
        CU_ASSERT_EQUAL_FATAL(result, shortest == 0 ? TEXT_DIFF_SAME : TEXT_DIFF_DIFFERENT);
        CU_ASSERT_TRUE_FATAL(applies(lines[0], n[0], lines[1], n[1], &edits));
        CU_ASSERT_EQUAL_FATAL(edits, shortest);
    }
}

static void too_many(void)
{
    static char a[16 * TEXT_DIFF_EDITS_MAX], b[16 * TEXT_DIFF_EDITS_MAX];
    size_t a_n = 0, b_n = 0;
    for (int i = 0; i <= TEXT_DIFF_EDITS_MAX / 2; i++) {
        a_n += (size_t)snprintf(a + a_n, 12, "a%d\n", i);
        b_n += (size_t)snprintf(b + b_n, 12, "b%d\n", i);
    }
    CU_ASSERT_EQUAL(diff(a, b), TEXT_DIFF_TOO_MANY);
    CU_ASSERT_STRING_EQUAL(said, "");
    *strrchr(a, 'a') = '\0';
    *strrchr(b, 'b') = '\0';
    CU_ASSERT_EQUAL(diff(a, b), TEXT_DIFF_DIFFERENT);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"by hand", by_hand},
        {"random texts: the shortest script, which applies", random_texts},
        {"too many", too_many},
    };
    return unit_run("text_diff", tests, sizeof(tests) / sizeof(tests[0]));
}
