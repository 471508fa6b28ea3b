/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lines differ between two texts, for people: "-" what only the first has, "+" what only the second has,
 * with two lines around. The shortest script of edits (Myers, "An O(ND) difference algorithm"), given up when
 * more than TEXT_DIFF_EDITS_MAX lines differ. Allocates; not for a packet path. Any thread.
 */
#ifndef GATEWAY_TEXT_DIFF_H
#define GATEWAY_TEXT_DIFF_H

#include <stddef.h>
#include <stdio.h>

#define TEXT_DIFF_EDITS_MAX 2000

enum text_diff {
    TEXT_DIFF_SAME = 0,
    TEXT_DIFF_DIFFERENT,
    TEXT_DIFF_TOO_MANY, /* differ in more lines than are told; nothing was written */
    TEXT_DIFF_NO_MEMORY,
};

enum text_diff text_diff(const char *before, size_t before_len, const char *after, size_t after_len,
                         FILE *to);

#endif
