/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/source.h"

#include "config/arena.h"
#include "config/scan.h"
#include "config/text.h"

#include <stdlib.h>
#include <string.h>

#define SOURCE_FILES_MAX 256
#define SOURCE_NESTING_MAX 8

/* Lines of the joined text from `first_line` on come from `origin` on. */
struct source_part {
    uint32_t first_line;
    struct config_origin origin;
};

struct source {
    struct arena *arena;
    struct diagnostics *d;
    const char *directory;
    char *joined;
    size_t len;
    size_t room;
    uint32_t lines; /* newlines in `joined` */
    bool failed;
    struct source_part *parts;
    uint32_t parts_n;
    uint32_t parts_room;
    struct text texts[SOURCE_FILES_MAX];
    uint32_t texts_n;
    uint32_t nesting;
};

void source_put(struct source *source, const char *bytes, size_t n)
{
    if (source->failed)
        return;
    if (n + 1 > source->room - source->len) { /* one for the NUL */
        size_t room = source->room * 2 + n + 1;
        char *larger = room > 4 * TEXT_BYTES_MAX ? NULL : realloc(source->joined, room);
        if (larger == NULL) {
            source->failed = true;
            return;
        }
        source->joined = larger;
        source->room = room;
    }
    memcpy(source->joined + source->len, bytes, n);
    source->len += n;
    source->joined[source->len] = '\0';
    if (n == 1 && *bytes == '\n')
        source->lines++;
}

void source_begin_part(struct source *source, struct config_origin origin)
{
    source_put(source, "\n", 1);
    if (source->parts_n == source->parts_room) {
        uint32_t room = source->parts_room * 2 + 16;
        struct source_part *larger = realloc(source->parts, room * sizeof(*larger));
        if (larger == NULL) {
            source->failed = true;
            return;
        }
        source->parts = larger;
        source->parts_room = room;
    }
    source->parts[source->parts_n++] =
        (struct source_part){.first_line = source->lines + 1, .origin = origin};
}

/* Reads one more file and scans it in place. `from` is where it was asked for, NULL for the first. */
static bool take_file(struct source *source, struct scan *scan, const char *path, const char *shown,
                      const struct config_origin *from)
{
    struct text_problem problem;
    struct config_origin at = from != NULL ? *from : (struct config_origin){.file = shown};
    if (source->texts_n == SOURCE_FILES_MAX || source->nesting == SOURCE_NESTING_MAX) {
        diagnostics_add(source->d, DIAGNOSTIC_ERROR, at.file, at.line,
                        "'%s' is not included; more than %d files, or nested more than %d deep; does a file "
                        "include itself?",
                        shown, SOURCE_FILES_MAX, SOURCE_NESTING_MAX);
        return false;
    }
    struct text *text = &source->texts[source->texts_n];
    if (text_read(path, text, &problem) != 0) {
        if (from != NULL && problem.line == 0)
            diagnostics_add(source->d, DIAGNOSTIC_ERROR, at.file, at.line, "'%s' is not included; %s", shown,
                            problem.text);
        else
            diagnostics_add(source->d, DIAGNOSTIC_ERROR, shown, problem.line, "%s", problem.text);
        return false;
    }
    source->texts_n++;
    source->nesting++;
    bool good = scan_file(scan, shown, text->at, text->len);
    source->nesting--;
    return good;
}

static bool take_include(void *owner, struct scan *scan, const char *name, struct config_origin at)
{
    struct source *source = owner;
    const char *shown = arena_text(source->arena, name, strlen(name));
    const char *path = *name == '/' ? shown : arena_format(source->arena, "%s/%s", source->directory, name);
    return shown != NULL && path != NULL && take_file(source, scan, path, shown, &at);
}

struct source *source_read(const char *path, const char *shown, const char *directory, struct diagnostics *d)
{
    struct source *source = calloc(1, sizeof(*source));
    struct scan *scan = source == NULL ? NULL : scan_create(source, d, take_include, source);
    bool good = false;
    if (scan != NULL) {
        source->d = d;
        source->directory = directory;
        source->arena = arena_create();
        const char *name = source->arena == NULL ? NULL : arena_text(source->arena, shown, strlen(shown));
        if (name == NULL)
            source->failed = true;
        else
            good = take_file(source, scan, path, name, NULL);
        if (source->failed)
            diagnostics_add(d, DIAGNOSTIC_ERROR, shown, 0,
                            "it needs too much memory with all that it includes; "
                            "split it into several files");
    } else {
        diagnostics_add(d, DIAGNOSTIC_ERROR, shown, 0, "no memory to read it");
    }
    scan_destroy(scan);
    for (uint32_t i = 0; source != NULL && i < source->texts_n; i++)
        text_free(&source->texts[i]);
    if (good && !source->failed)
        return source;
    source_destroy(source);
    return NULL;
}

void source_destroy(struct source *source)
{
    if (source == NULL)
        return;
    arena_destroy(source->arena);
    free(source->joined);
    free(source->parts);
    free(source);
}

const char *source_text(const struct source *source)
{
    return source->joined;
}

struct config_origin source_origin(const struct source *source, uint32_t line)
{
    uint32_t low = 0, high = source->parts_n;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (source->parts[middle].first_line <= line)
            low = middle;
        else
            high = middle;
    }
    const struct source_part *part = &source->parts[low];
    if (line == 0) /* the file as a whole */
        return (struct config_origin){.file = source->parts[0].origin.file};
    uint32_t passed = line > part->first_line ? line - part->first_line : 0;
    return (struct config_origin){.file = part->origin.file, .line = part->origin.line + passed};
}
