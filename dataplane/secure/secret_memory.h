/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory for private keys: pages of their own that are locked into RAM, left out of core dumps, empty in a
 * forked child, and wiped before they are given back (B7, C5).
 *
 * Each piece costs whole pages and some system calls, so this is for the few long-lived secrets and never for
 * the packet path. Any thread.
 */
#ifndef DATAPLANE_SECURE_SECRET_MEMORY_H
#define DATAPLANE_SECURE_SECRET_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed; NULL when there is none. Where the limit on locked memory is reached it is still given, unlocked:
 * see secret_memory_all_locked. */
void *secret_memory_alloc(size_t bytes);
/* `bytes` as allocated. NULL is ignored. */
void secret_memory_free(void *p, size_t bytes);
/* False once a piece could not be locked (RLIMIT_MEMLOCK). */
bool secret_memory_all_locked(void);

#endif
