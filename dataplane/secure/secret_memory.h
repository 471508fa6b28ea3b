/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory for private keys and passwords: locked into RAM, left out of core dumps, empty in a forked child,
 * and wiped when it is given back (B7, C5).
 *
 * Pieces of up to SECRET_SMALL_BYTES come from regions that they share, by powers of two, so that the keys of
 * a thousand devices are not a thousand mappings and a signature needs no system call; regions stay for the
 * next ones. Larger pieces have pages of their own. Any thread; it takes a lock: never for the packet path.
 */
#ifndef DATAPLANE_SECURE_SECRET_MEMORY_H
#define DATAPLANE_SECURE_SECRET_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECRET_SMALL_BYTES 16384u

/* Zeroed, aligned to 64 bytes; NULL when there is none. Where the limit on locked memory is reached it is
 * still given, unlocked: see secret_memory_all_locked. */
void *secret_memory_alloc(size_t bytes);
/* `bytes` as allocated. NULL is ignored. */
void secret_memory_free(void *p, size_t bytes);
/* False once a piece could not be locked (RLIMIT_MEMLOCK). */
bool secret_memory_all_locked(void);

struct tls_error;
/*
 * A whole file of at most `limit` bytes in secret memory, NUL behind it: `bytes` and `room`, to be freed with
 * that. A regular file only, which may be a link. NULL with `error`.
 */
uint8_t *secret_memory_read(const char *path, size_t limit, size_t *bytes, size_t *room,
                            struct tls_error *error);

#endif
