/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/access/store.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)256 << 10)

struct store_chunk {
    struct store_chunk *next;
    size_t room;
    size_t used;
    alignas(max_align_t) uint8_t at[];
};

static struct store_chunk *chunk_add(struct store *store, size_t least)
{
    size_t room = least > CHUNK_BYTES ? least : CHUNK_BYTES;
    struct store_chunk *chunk = calloc(1, sizeof(*chunk) + room);
    if (chunk == NULL)
        return NULL;
    chunk->room = room;
    chunk->next = store->chunks;
    store->chunks = chunk;
    store->bytes += sizeof(*chunk) + room;
    return chunk;
}

static void *take(struct store *store, size_t bytes, size_t alignment)
{
    struct store_chunk *chunk = store->chunks;
    size_t begin = chunk == NULL ? 0 : (chunk->used + alignment - 1) / alignment * alignment;
    if (chunk == NULL || begin > chunk->room || bytes > chunk->room - begin) {
        chunk = chunk_add(store, bytes);
        if (chunk == NULL)
            return NULL;
        begin = 0;
    }
    chunk->used = begin + bytes;
    return chunk->at + begin;
}

void *store_take(struct store *store, size_t bytes)
{
    return take(store, bytes, alignof(max_align_t));
}

const char *store_text(struct store *store, const char *text, int *failed)
{
    if (text == NULL)
        return NULL;
    size_t bytes = strlen(text) + 1;
    char *copy = take(store, bytes, 1);
    if (copy == NULL) {
        *failed = 1;
        return NULL;
    }
    memcpy(copy, text, bytes);
    return copy;
}

void store_free(struct store *store)
{
    while (store->chunks != NULL) {
        struct store_chunk *chunk = store->chunks;
        store->chunks = chunk->next;
        free(chunk);
    }
    store->bytes = 0;
}
