/* SPDX-License-Identifier: GPL-2.0-or-later */
/* command_line.h: what an operator names reaches the gateway as it is (C6, H1). */
#include "gateway/command_line.h"

#include "tests/unit/runner.h"

#include <string.h>

static void any_word_comes_back(void)
{
    static const char *const words[] = {"quarantine", "truck 7",   "a\\b",     "\\x41",
                                        "tab\there",  "line\nend", "\x01\x7f", "\xc3\xbc",
                                        "\"quoted\"", "--reason",  "%20",      " "};
    enum { N = sizeof(words) / sizeof(words[0]) };
    char line[512];
    size_t used = 0;
    for (size_t i = 0; i < N; i++)
        CU_ASSERT_TRUE(command_line_add(line, sizeof(line), &used, words[i]));
    CU_ASSERT_PTR_NULL(strchr(line, '\n'));
    CU_ASSERT_EQUAL(used, strlen(line));
    const char *back[N];
    CU_ASSERT_EQUAL_FATAL(command_line_split(line, back, N), N);
    for (size_t i = 0; i < N; i++)
        CU_ASSERT_STRING_EQUAL(back[i], words[i]);
}

static void every_byte_comes_back(void)
{
    for (int c = 1; c < 256; c++) {
        char word[] = {'a', (char)c, '\0'}, line[16];
        const char *back[2];
        size_t used = 0;
        CU_ASSERT_TRUE(command_line_add(line, sizeof(line), &used, word));
        CU_ASSERT_EQUAL(command_line_split(line, back, 2), 1);
        CU_ASSERT_STRING_EQUAL(back[0], word);
    }
}

static void what_is_written_by_hand(void)
{
    static const struct {
        const char *line;
        uint32_t n;
        const char *last;
    } cases[] = {
        {"", 0, NULL},
        {" \t\r ", 0, NULL},
        {"  show   x  ", 2, "x"},
        {"show \\", 2, "\\"},
        {"show \\x", 2, "\\x"},
        {"show \\x4", 2, "\\x4"},
        {"show \\x4g", 2, "\\x4g"},
        {"show \\x4 1", 3, "1"},
        {"show \\x00", 2, "\\x00"},
        {"show \\X41", 2, "\\X41"},
        {"show \\xC3\\xbc", 2, "\xc3\xbc"},
        {"show \\x5cx41", 2, "\\x41"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[64];
        const char *words[4] = {NULL};
        snprintf(line, sizeof(line), "%s", cases[i].line);
        CU_ASSERT_EQUAL_FATAL(command_line_split(line, words, 4), cases[i].n);
        if (cases[i].n > 0)
            CU_ASSERT_STRING_EQUAL(words[cases[i].n - 1], cases[i].last);
    }
}

static void bounds(void)
{
    /* A word fits or leaves the line as it was, whatever the room. */
    for (size_t room = 1; room < 24; room++) {
        char line[24];
        memset(line, 'Z', sizeof(line));
        size_t used = 0;
        line[0] = '\0';
        while (command_line_add(line, room, &used, "a b"))
            ;
        CU_ASSERT_TRUE(used < room);
        CU_ASSERT_EQUAL(strlen(line), used);
        for (size_t i = room; i < sizeof(line); i++)
            CU_ASSERT_EQUAL(line[i], 'Z');
    }
    /* Too many words are counted and not stored. */
    char line[] = "a b c d";
    const char *words[3] = {NULL, NULL, "guard"};
    CU_ASSERT_EQUAL(command_line_split(line, words, 2), 4);
    CU_ASSERT_STRING_EQUAL(words[2], "guard");
    size_t used = 0;
    char empty[8] = "";
    CU_ASSERT_FALSE(command_line_add(empty, sizeof(empty), &used, ""));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"any word comes back as it was (H1)", any_word_comes_back},
        {"so does every byte", every_byte_comes_back},
        {"lines that are written by hand", what_is_written_by_hand},
        {"bounds: of the line, and of the words", bounds},
    };
    return unit_run("command_line", tests, sizeof(tests) / sizeof(tests[0]));
}
