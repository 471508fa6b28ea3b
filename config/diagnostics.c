/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/diagnostics.h"

#include "config/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIAGNOSTICS_MAX 1000
#define DIAGNOSTIC_TEXT_MAX 600
#define DIAGNOSTIC_FILE_MAX 300

struct diagnostics {
    struct arena *arena;
    size_t n;
    uint32_t errors;
    uint32_t warnings;
    struct diagnostic entry[DIAGNOSTICS_MAX];
};

struct diagnostics *diagnostics_create(void)
{
    struct diagnostics *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return NULL;
    d->arena = arena_create();
    if (d->arena == NULL) {
        free(d);
        return NULL;
    }
    return d;
}

void diagnostics_destroy(struct diagnostics *d)
{
    if (d == NULL)
        return;
    arena_destroy(d->arena);
    free(d);
}

/*
 * Names of files and settings are the operator's, and may come from elsewhere: what could move a terminal's
 * cursor or fake a second line is written as \xNN.
 */
static const char *printable_copy(struct arena *arena, const char *text, size_t most)
{
    size_t len = strnlen(text, most);
    if (text[len] != '\0')
        while (len > 0 && ((uint8_t)text[len] & 0xC0) == 0x80)
            len--;
    char *copy = arena_take(arena, len * 4 + 4);
    if (copy == NULL)
        return NULL;
    char *to = copy;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c < 0x20 || c == 0x7F)
            to += sprintf(to, "\\x%02x", c);
        else
            *to++ = text[i];
    }
    if (text[len] != '\0')
        memcpy(to, "...", 3);
    return copy;
}

void diagnostics_add(struct diagnostics *d, enum diagnostic_level level, const char *file, uint32_t line,
                     const char *format, ...)
{
    if (level == DIAGNOSTIC_ERROR)
        d->errors++;
    else
        d->warnings++;
    if (d->n == DIAGNOSTICS_MAX)
        return;
    char text[DIAGNOSTIC_TEXT_MAX + 8];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct diagnostic entry = {.level = level, .line = line};
    entry.file = printable_copy(d->arena, file, DIAGNOSTIC_FILE_MAX);
    entry.text = len < 0 ? NULL : printable_copy(d->arena, text, DIAGNOSTIC_TEXT_MAX);
    if (entry.file != NULL && entry.text != NULL)
        d->entry[d->n++] = entry;
}

static int compare_entries(const void *a, const void *b)
{
    const struct diagnostic *x = a, *y = b;
    int order = strcmp(x->file, y->file);
    if (order == 0)
        order = (x->line > y->line) - (x->line < y->line);
    return order != 0 ? order : strcmp(x->text, y->text);
}

void diagnostics_sort(struct diagnostics *d)
{
    qsort(d->entry, d->n, sizeof(d->entry[0]), compare_entries);
    /* What several objects take from one setting is wrong once. */
    size_t kept = 0;
    for (size_t i = 0; i < d->n; i++) {
        const struct diagnostic *entry = &d->entry[i];
        if (kept == 0 || entry->level != d->entry[kept - 1].level ||
            compare_entries(entry, &d->entry[kept - 1]) != 0)
            d->entry[kept++] = *entry;
        else if (entry->level == DIAGNOSTIC_ERROR)
            d->errors--;
        else
            d->warnings--;
    }
    d->n = kept;
}

size_t diagnostics_count(const struct diagnostics *d)
{
    return d->n;
}

const struct diagnostic *diagnostics_at(const struct diagnostics *d, size_t index)
{
    return index < d->n ? &d->entry[index] : NULL;
}

uint32_t diagnostics_errors(const struct diagnostics *d)
{
    return d->errors;
}

uint32_t diagnostics_warnings(const struct diagnostics *d)
{
    return d->warnings;
}

int diagnostic_format(const struct diagnostic *entry, char *to, size_t room)
{
    const char *level = entry->level == DIAGNOSTIC_ERROR ? "error" : "warning";
    if (entry->line == 0)
        return snprintf(to, room, "%s: %s: %s", entry->file, level, entry->text);
    return snprintf(to, room, "%s:%u: %s: %s", entry->file, entry->line, level, entry->text);
}
