/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK_BYTES ((size_t)64 * 1024)

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t room;
    max_align_t data[];
};

struct arena {
    struct arena_block *blocks;
};

struct arena *arena_create(void)
{
    return calloc(1, sizeof(struct arena));
}

void arena_destroy(struct arena *arena)
{
    if (arena == NULL)
        return;
    for (struct arena_block *block = arena->blocks; block != NULL;) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
    free(arena);
}

void *arena_take(struct arena *arena, size_t bytes)
{
    const size_t grain = sizeof(max_align_t);
    if (bytes > SIZE_MAX / 2)
        return NULL;
    size_t need = (bytes + grain - 1) / grain * grain;
    struct arena_block *block = arena->blocks;
    if (block == NULL || block->room - block->used < need) {
        size_t room = need > ARENA_BLOCK_BYTES ? need : ARENA_BLOCK_BYTES;
        block = calloc(1, sizeof(*block) + room);
        if (block == NULL)
            return NULL;
        block->room = room;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *at = (uint8_t *)block->data + block->used;
    block->used += need;
    return at;
}

char *arena_text(struct arena *arena, const char *text, size_t len)
{
    char *copy = arena_take(arena, len + 1);
    if (copy != NULL)
        memcpy(copy, text, len);
    return copy;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = len < 0 ? NULL : arena_take(arena, (size_t)len + 1);
    if (text != NULL)
        vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text;
}
