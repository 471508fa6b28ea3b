/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/suggest.h"

#include <string.h>

/* Edits (insert, delete, replace, swap of neighbours: optimal string alignment) between two words. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t row[3][SUGGEST_WORD_MAX + 1];
    size_t *before = row[0], *last = row[1], *now = row[2];
    for (size_t j = 0; j <= b_len; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
        size_t *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[b_len];
}

void suggest_init(struct suggest *s, const char *word)
{
    /* Three letters may hide one mistake, nine three; beyond that it is another word. */
    size_t allowed = strlen(word) / 3;
    *s = (struct suggest){.word = word, .distance = (allowed < 1 ? 1 : allowed) + 1};
}

void suggest_offer(struct suggest *s, const char *known)
{
    size_t a = strlen(s->word), b = strlen(known);
    if (a > SUGGEST_WORD_MAX || b > SUGGEST_WORD_MAX)
        return;
    size_t distance = edit_distance(s->word, a, known, b);
    if (distance < s->distance && distance < b) {
        s->distance = distance;
        s->best = known;
    }
}
