/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that is taken piece by piece and given back all at once: what a snapshot keeps. One thread at a time
 * takes.
 */
#ifndef POLICY_ACCESS_STORE_H
#define POLICY_ACCESS_STORE_H

#include <stddef.h>

struct store_chunk;

struct store {
    struct store_chunk *chunks;
    size_t bytes; /* taken from the system */
};

/* `bytes` zeroed, aligned for anything; NULL when memory is not to be had. */
void *store_take(struct store *store, size_t bytes);
/* A copy; NULL for NULL (`*failed` unchanged) or when memory is not to be had (`*failed` set). */
const char *store_text(struct store *store, const char *text, int *failed);
void store_free(struct store *store);

#endif
