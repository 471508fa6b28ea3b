/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bounded table from names to things, least recently used out first: identities and session tickets of a
 * TLS context. Shared by handshake threads and workers, locked inside; a worker never waits for the lock.
 *
 * Names come from devices, so the table is keyed against chosen collisions and never grows.
 */
#ifndef DATAPLANE_SECURE_NAME_CACHE_H
#define DATAPLANE_SECURE_NAME_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#define NAME_CACHE_NAME_BYTES 129 /* with the NUL */

struct name_cache;

struct name_cache_type {
    void *(*share)(void *value); /* answers one more reference to it */
    void (*drop)(void *value);   /* gives a reference back */
};

/* NULL when memory is not to be had. `type` is borrowed. */
struct name_cache *name_cache_create(uint32_t capacity, const struct name_cache_type *type);
/* NULL is ignored. */
void name_cache_destroy(struct name_cache *cache);
/* What is known by that name, shared, or NULL. Waits for the lock. */
void *name_cache_get(struct name_cache *cache, const char *name);
/* The same, but removed from the table: the caller has the only reference that was here. */
void *name_cache_take(struct name_cache *cache, const char *name);
/*
 * Stores `value`, whose reference goes to the table, in place of what was there. With `wait` false and the
 * lock taken, or with a name that is too long, `value` is dropped and the answer is false.
 */
bool name_cache_put(struct name_cache *cache, const char *name, void *value, bool wait);

#endif
