/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/text_diff.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXT 2

struct line {
    const char *at;
    size_t len;
};

struct lines {
    struct line *at;
    int32_t n;
};

struct diff {
    struct lines a, b;        /* without what both begin and end with */
    int32_t head;             /* lines that both begin with */
    int32_t *trace;           /* for each number of edits d: how far each of 2d + 1 diagonals came */
    uint8_t *only_a, *only_b; /* marks */
    FILE *to;
};

static bool split(const char *text, size_t len, struct lines *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += text[i] == '\n';
    n += len > 0 && text[len - 1] != '\n';
    *out = (struct lines){.at = n > INT32_MAX / 4 ? NULL : malloc((n + 1) * sizeof(*out->at))};
    if (out->at == NULL)
        return false;
    for (const char *end = text + len; text < end;) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t size = stop == NULL ? (size_t)(end - text) : (size_t)(stop - text);
        out->at[out->n++] = (struct line){.at = text, .len = size};
        text += size + (stop != NULL);
    }
    return true;
}

static bool same(const struct line *a, const struct line *b)
{
    return a->len == b->len && memcmp(a->at, b->at, a->len) == 0;
}

/* Row d of the trace, such that [k] is its diagonal k, -d <= k <= d. */
static int32_t *row(const struct diff *diff, int32_t d)
{
    return diff->trace + (size_t)d * (size_t)d + (size_t)d;
}

/* How far along `a` the diagonal k comes with d edits, before any equal lines; a row lies before it. */
static int32_t step(const struct diff *diff, int32_t d, int32_t k)
{
    const int32_t *before = row(diff, d - 1);
    bool down = k == -d || (k != d && before[k - 1] < before[k + 1]);
    return down ? before[k + 1] : before[k - 1] + 1;
}

/* The least number of edits, or -1 when there are too many. */
static int32_t search(struct diff *diff, int32_t most)
{
    for (int32_t d = 0; d <= most; d++)
        for (int32_t k = -d; k <= d; k += 2) {
            int32_t x = d == 0 ? 0 : step(diff, d, k);
            int32_t y = x - k;
            while (x < diff->a.n && y >= 0 && y < diff->b.n && same(&diff->a.at[x], &diff->b.at[y]))
                x++, y++;
            row(diff, d)[k] = x;
            if (x >= diff->a.n && y >= diff->b.n)
                return d;
        }
    return -1;
}

static void mark(struct diff *diff, int32_t d)
{
    int32_t x = diff->a.n, y = diff->b.n;
    for (; d > 0; d--) {
        int32_t k = x - y;
        const int32_t *before = row(diff, d - 1);
        bool down = k == -d || (k != d && before[k - 1] < before[k + 1]);
        int32_t from = down ? k + 1 : k - 1;
        int32_t x_from = before[from], y_from = x_from - from;
        if (down)
            diff->only_b[y_from] = 1;
        else
            diff->only_a[x_from] = 1;
        x = x_from;
        y = y_from;
    }
}

static void put(const struct diff *diff, char sign, const struct line *line)
{
    fputc(sign, diff->to);
    fwrite(line->at, 1, line->len, diff->to);
    fputc('\n', diff->to);
}

/* Lines from `from` up to `to` of `all`, counted within the part that differs. */
static void put_context(const struct diff *diff, const struct line *all, int32_t from, int32_t to)
{
    for (int32_t i = from; i < to; i++)
        put(diff, ' ', &all[diff->head + i]);
}

static void print(const struct diff *diff, const struct lines *whole_a)
{
    int32_t x = 0, y = 0, shown = -diff->head; /* lines of `a` before it were shown or passed over */
    while (x < diff->a.n || y < diff->b.n) {
        bool changed = (x < diff->a.n && diff->only_a[x]) || (y < diff->b.n && diff->only_b[y]);
        if (!changed) {
            x++, y++;
            continue;
        }
        int32_t from = x - CONTEXT > shown ? x - CONTEXT : shown;
        if (from > shown || shown == -diff->head)
            fprintf(diff->to, "@@ line %d @@\n", diff->head + from + 1);
        put_context(diff, whole_a->at, from, x);
        while (x < diff->a.n && diff->only_a[x])
            put(diff, '-', &diff->a.at[x++]);
        while (y < diff->b.n && diff->only_b[y])
            put(diff, '+', &diff->b.at[y++]);
        /* What follows, as far as nothing else changes in it. */
        int32_t until = x, most = whole_a->n - diff->head;
        while (until < x + CONTEXT && until < most && (until >= diff->a.n || !diff->only_a[until]) &&
               (y + (until - x) >= diff->b.n || !diff->only_b[y + (until - x)]))
            until++;
        put_context(diff, whole_a->at, x, until);
        shown = until;
    }
}

static enum text_diff run(struct diff *diff, const struct lines *whole_a)
{
    int32_t lines = diff->a.n + diff->b.n;
    int32_t most = lines < TEXT_DIFF_EDITS_MAX ? lines : TEXT_DIFF_EDITS_MAX;
    size_t rows = (size_t)most + 1;
    diff->trace = malloc(rows * rows * sizeof(*diff->trace));
    diff->only_a = calloc((size_t)diff->a.n + 1, 1);
    diff->only_b = calloc((size_t)diff->b.n + 1, 1);
    enum text_diff result = TEXT_DIFF_NO_MEMORY;
    if (diff->trace != NULL && diff->only_a != NULL && diff->only_b != NULL) {
        int32_t d = search(diff, most);
        result = d < 0 ? TEXT_DIFF_TOO_MANY : d == 0 ? TEXT_DIFF_SAME : TEXT_DIFF_DIFFERENT;
        if (d > 0) {
            mark(diff, d);
            print(diff, whole_a);
        }
    }
    free(diff->trace);
    free(diff->only_a);
    free(diff->only_b);
    return result;
}

enum text_diff text_diff(const char *before, size_t before_len, const char *after, size_t after_len, FILE *to)
{
    struct lines a = {.at = NULL}, b = {.at = NULL};
    enum text_diff result = TEXT_DIFF_NO_MEMORY;
    if (split(before, before_len, &a) && split(after, after_len, &b)) {
        struct diff diff = {.a = a, .b = b, .to = to};
        while (diff.a.n > 0 && diff.b.n > 0 && same(diff.a.at, diff.b.at)) {
            diff.a = (struct lines){.at = diff.a.at + 1, .n = diff.a.n - 1};
            diff.b = (struct lines){.at = diff.b.at + 1, .n = diff.b.n - 1};
            diff.head++;
        }
        while (diff.a.n > 0 && diff.b.n > 0 && same(&diff.a.at[diff.a.n - 1], &diff.b.at[diff.b.n - 1]))
            diff.a.n--, diff.b.n--;
        result = diff.a.n == 0 && diff.b.n == 0 ? TEXT_DIFF_SAME : run(&diff, &a);
    }
    free(a.at);
    free(b.at);
    return result;
}
