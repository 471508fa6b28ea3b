/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that is given back all at once: what a configuration keeps lives in one arena and as long as it.
 * Everything handed out is zeroed and aligned for any type. Not thread-safe; control thread.
 */
#ifndef CONFIG_ARENA_H
#define CONFIG_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_create(void);
void arena_destroy(struct arena *arena);
/* NULL when memory is not to be had. */
void *arena_take(struct arena *arena, size_t bytes);
/* A copy of the first `len` bytes of `text`, with a NUL behind. */
char *arena_text(struct arena *arena, const char *text, size_t len);
char *arena_format(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
