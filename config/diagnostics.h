/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is wrong with a configuration, all of it: collected while reading and checking, sorted by file and
 * line, then printed as "file:line: error: what; why; fix" with one count line (G1, operators' surface 2.6).
 * Control thread or `sallyport -t`.
 */
#ifndef CONFIG_DIAGNOSTICS_H
#define CONFIG_DIAGNOSTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where something was written. `file` is named as the operator would type it, from the directory of the main
 * configuration file; it lives as long as the object that answered it. */
struct config_origin {
    const char *file;
    uint32_t line;
};

enum diagnostic_level {
    DIAGNOSTIC_ERROR = 0,
    DIAGNOSTIC_WARNING,
};

struct diagnostic {
    enum diagnostic_level level;
    const char *file; /* owned by the list */
    uint32_t line;    /* 0: the file as a whole */
    const char *text;
};

struct diagnostics; /* capped at 1,000 entries; beyond that only counted */

struct diagnostics *diagnostics_create(void);
void diagnostics_destroy(struct diagnostics *d);
void diagnostics_add(struct diagnostics *d, enum diagnostic_level level, const char *file, uint32_t line,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Sorts by file, line, text; what is there twice is told, and counted, once. */
void diagnostics_sort(struct diagnostics *d);
size_t diagnostics_count(const struct diagnostics *d);
const struct diagnostic *diagnostics_at(const struct diagnostics *d, size_t index);
uint32_t diagnostics_errors(const struct diagnostics *d);
uint32_t diagnostics_warnings(const struct diagnostics *d);
/* Writes one entry as a line without newline; answers what snprintf would. */
int diagnostic_format(const struct diagnostic *entry, char *to, size_t room);

#endif
