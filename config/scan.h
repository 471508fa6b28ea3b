/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first look at configuration text: words and brackets, before libconfig sees it.
 *
 * libconfig 1.5 stops at its first "syntax error", names a trailing comma's line late, wraps integers above
 * 2^31 silently, joins two strings between which a comma was forgotten, takes an unclosed comment for the end
 * of the file, and remembers the line of a string's successor as the string's own. Here all mistakes of a
 * file are told, each at its place with what to do, and what goes on to libconfig has its comments taken out
 * and its closing brackets and separators moved up to the line of what they end, so that lines come out
 * right. Control thread.
 */
#ifndef CONFIG_SCAN_H
#define CONFIG_SCAN_H

#include "config/source.h"

#define SCAN_DEPTH_MAX 32
#define SCAN_NAMES_MAX 128                /* settings in one group */
#define SCAN_VALUES_MAX (4 * 1024 * 1024) /* in all: libconfig takes 100 to 200 bytes for each */

struct scan;

/* Called at each @include. The name is borrowed; false stops the scan. */
typedef bool scan_include(void *owner, struct scan *scan, const char *name, struct config_origin at);

struct scan *scan_create(struct source *into, struct diagnostics *d, scan_include *include, void *owner);
/*
 * Scans `text`, which must stay until the scan is destroyed. Brackets that it opens it must close. May be
 * called from within `include`. False when anything was wrong, here or in an earlier call.
 */
bool scan_file(struct scan *scan, const char *file, const char *text, size_t len);
void scan_destroy(struct scan *scan);

#endif
