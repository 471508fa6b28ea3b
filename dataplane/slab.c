/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/slab.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLAB_ALIGN 64u
#define SLAB_NO_SLOT UINT32_MAX

/* An odd generation says that the object is in use; each give-out and each return adds one. */
struct slab_slot {
    uint32_t generation;
    uint32_t next_free;
};

struct slab {
    uint8_t *objects;
    struct slab_slot *slots;
    size_t object_bytes;
    uint32_t capacity;
    uint32_t touched; /* slots below it have been given out at least once */
    uint32_t free;    /* first returned slot */
    uint32_t used;
};

/* Address space now, pages when they are written. */
static void *reserve(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

struct slab *slab_create(uint32_t capacity, size_t object_bytes)
{
    if (capacity == 0 || capacity == SLAB_NO_SLOT || object_bytes == 0 || object_bytes > (1u << 30))
        return NULL;
    struct slab *slab = calloc(1, sizeof(*slab));
    if (slab == NULL)
        return NULL;
    slab->object_bytes = (object_bytes + SLAB_ALIGN - 1) / SLAB_ALIGN * SLAB_ALIGN;
    slab->capacity = capacity;
    slab->free = SLAB_NO_SLOT;
    slab->objects = reserve(capacity * slab->object_bytes);
    slab->slots = reserve(capacity * sizeof(*slab->slots));
    if (slab->objects == NULL || slab->slots == NULL) {
        slab_destroy(slab);
        return NULL;
    }
    return slab;
}

void slab_destroy(struct slab *slab)
{
    if (slab == NULL)
        return;
    if (slab->slots != NULL)
        munmap(slab->slots, slab->capacity * sizeof(*slab->slots));
    if (slab->objects != NULL)
        munmap(slab->objects, slab->capacity * slab->object_bytes);
    free(slab);
}

static bool in_use(const struct slab *slab, uint32_t index)
{
    return index < slab->touched && (slab->slots[index].generation & 1u) != 0;
}

static uint32_t index_of(const struct slab *slab, const void *object)
{
    size_t offset = (size_t)((const uint8_t *)object - slab->objects);
    assert(offset % slab->object_bytes == 0 && offset / slab->object_bytes < slab->touched);
    return (uint32_t)(offset / slab->object_bytes);
}

void *slab_alloc(struct slab *slab)
{
    uint32_t index = slab->free;
    if (index != SLAB_NO_SLOT)
        slab->free = slab->slots[index].next_free;
    else if (slab->touched < slab->capacity)
        index = slab->touched++;
    else
        return NULL;
    slab->slots[index].generation++;
    slab->used++;
    return memset(slab->objects + index * slab->object_bytes, 0, slab->object_bytes);
}

void slab_free(struct slab *slab, void *object)
{
    uint32_t index = index_of(slab, object);
    assert(in_use(slab, index));
    slab->slots[index].generation++;
    slab->slots[index].next_free = slab->free;
    slab->free = index;
    slab->used--;
}

struct slab_handle slab_handle_of(const struct slab *slab, const void *object)
{
    uint32_t index = index_of(slab, object);
    return (struct slab_handle){.index = index, .generation = slab->slots[index].generation};
}

void *slab_at(const struct slab *slab, uint32_t index)
{
    return in_use(slab, index) ? slab->objects + index * slab->object_bytes : NULL;
}

void *slab_object(const struct slab *slab, uint32_t index)
{
    assert(index < slab->touched);
    return slab->objects + index * slab->object_bytes;
}

void *slab_resolve(const struct slab *slab, struct slab_handle handle)
{
    if (!in_use(slab, handle.index) || slab->slots[handle.index].generation != handle.generation)
        return NULL;
    return slab->objects + handle.index * slab->object_bytes;
}

uint32_t slab_used(const struct slab *slab)
{
    return slab->used;
}

uint32_t slab_capacity(const struct slab *slab)
{
    return slab->capacity;
}

void *slab_next(const struct slab *slab, uint32_t *index)
{
    for (uint32_t i = *index; i < slab->touched; i++) {
        if (in_use(slab, i)) {
            *index = i + 1;
            return slab->objects + i * slab->object_bytes;
        }
    }
    *index = slab->touched;
    return NULL;
}
