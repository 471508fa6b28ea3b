/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The text of one configuration file with all that it includes, as libconfig will read it, and where each
 * line of it came from.
 *
 * Includes are put in by us, so that each passes text.h's checks, cannot nest or repeat without bound, and
 * keeps its place in messages. `@include "x.conf"` stands on a line of its own and is relative to the
 * directory of the main configuration file. Control thread.
 */
#ifndef CONFIG_SOURCE_H
#define CONFIG_SOURCE_H

#include "config/diagnostics.h"

struct source;

/* Reads `path`, which messages call `shown`. NULL when anything is wrong; all of it is in `d`. */
struct source *source_read(const char *path, const char *shown, const char *directory, struct diagnostics *d);
void source_destroy(struct source *source);

/* The joined text, NUL-terminated. */
const char *source_text(const struct source *source);
/* Where a line (from 1; 0: the first file as a whole) of the joined text was written; the name lives as long
 * as the source. */
struct config_origin source_origin(const struct source *source, uint32_t line);

/*
 * For the scanner, which writes the joined text. `source_put` appends; `source_begin_part` says that the
 * lines that follow come from `origin` on. Once memory or the cap on the joined text is exhausted, both do
 * nothing and the read fails.
 */
void source_put(struct source *source, const char *bytes, size_t n);
void source_begin_part(struct source *source, struct config_origin origin);

#endif
