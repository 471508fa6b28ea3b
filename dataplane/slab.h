/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A capped table of equal objects with handles (architecture, decision 4).
 *
 * Memory for `capacity` objects is reserved at once and touched as it is used, so an empty table costs
 * address space only. Freed objects are reused last in, first out. A handle is {index, generation}: after
 * slab_free it no longer resolves, so that a stale timer or message finds nothing instead of somebody else's
 * object. Objects are zeroed when given out. Belongs to one worker; no locks.
 */
#ifndef DATAPLANE_SLAB_H
#define DATAPLANE_SLAB_H

#include <stddef.h>
#include <stdint.h>

struct slab_handle {
    uint32_t index;
    uint32_t generation; /* 0 never names an object */
};

struct slab;

/* NULL when the memory cannot be reserved. `object_bytes` is rounded up to 64. */
struct slab *slab_create(uint32_t capacity, size_t object_bytes);
void slab_destroy(struct slab *slab);
/* A zeroed object, or NULL when all are in use. */
void *slab_alloc(struct slab *slab);
void slab_free(struct slab *slab, void *object);
struct slab_handle slab_handle_of(const struct slab *slab, const void *object);
/* The object, or NULL when the handle is stale. */
void *slab_resolve(const struct slab *slab, struct slab_handle handle);
/* The object in use at `index`, or NULL. */
void *slab_at(const struct slab *slab, uint32_t index);
/* The same without looking whether it is in use, which saves a cache miss: for tables that keep plain indexes
 * and remove them in time. */
void *slab_object(const struct slab *slab, uint32_t index);
uint32_t slab_used(const struct slab *slab);
uint32_t slab_capacity(const struct slab *slab);
/* The first object in use at or after *index, which is set past it; NULL at the end. For sweeps: objects may
 * be freed meanwhile. */
void *slab_next(const struct slab *slab, uint32_t *index);

#endif
