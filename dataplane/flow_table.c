/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two arrays: a probe array of {hash, slot} words, at most half full, searched linearly, and a dense array of
 * keys and values that a probe points at. Removal shifts the probes behind it back (Knuth, vol. 3, 6.4
 * algorithm R), so there are no tombstones and a table that churns stays as fast as a fresh one.
 */
#include "dataplane/flow_table.h"

#include "dataplane/siphash.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

struct flow_probe {
    uint32_t hash;
    uint32_t slot; /* index + 1; 0 is an empty probe */
};

struct flow_slot {
    struct flow_key key;
    uint32_t value; /* in use: the caller's; free: the next free slot + 1 */
};

struct flow_table {
    struct flow_probe *probes;
    struct flow_slot *slots;
    struct siphash_key secret;
    uint32_t mask;
    uint32_t capacity;
    uint32_t used;
    uint32_t touched;
    uint32_t free; /* index + 1 of the first returned slot */
    size_t probes_n;
};

static_assert(sizeof(struct flow_key) == 40, "the key is hashed and compared as bytes: no padding");

static void *reserve(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

struct flow_table *flow_table_create(uint32_t capacity, const uint8_t secret[16])
{
    if (capacity == 0 || capacity > (1u << 30))
        return NULL;
    struct flow_table *table = calloc(1, sizeof(*table));
    if (table == NULL)
        return NULL;
    table->capacity = capacity;
    table->secret = siphash_key_of(secret);
    table->probes_n = 16;
    while (table->probes_n < (size_t)capacity * 2)
        table->probes_n *= 2;
    table->mask = (uint32_t)(table->probes_n - 1);
    table->probes = reserve(table->probes_n * sizeof(*table->probes));
    table->slots = reserve(capacity * sizeof(*table->slots));
    if (table->probes == NULL || table->slots == NULL) {
        flow_table_destroy(table);
        return NULL;
    }
    return table;
}

void flow_table_destroy(struct flow_table *table)
{
    if (table == NULL)
        return;
    if (table->probes != NULL)
        munmap(table->probes, table->probes_n * sizeof(*table->probes));
    if (table->slots != NULL)
        munmap(table->slots, table->capacity * sizeof(*table->slots));
    free(table);
}

uint32_t flow_table_hash(const struct flow_table *table, const struct flow_key *key)
{
    uint64_t h = siphash_1_3(table->secret, key, sizeof(*key));
    return (uint32_t)(h ^ (h >> 32));
}

void flow_table_prefetch(const struct flow_table *table, uint32_t hash)
{
    __builtin_prefetch(&table->probes[hash & table->mask]);
}

void flow_table_prefetch_key(const struct flow_table *table, uint32_t hash)
{
    uint32_t slot = table->probes[hash & table->mask].slot;
    if (slot != 0)
        __builtin_prefetch(&table->slots[slot - 1]);
}

/* The probe that holds the key, or the empty one at which the search ends. */
static uint32_t search(const struct flow_table *table, const struct flow_key *key, uint32_t hash)
{
    uint32_t at = hash & table->mask;
    for (; table->probes[at].slot != 0; at = (at + 1) & table->mask) {
        const struct flow_probe *probe = &table->probes[at];
        if (probe->hash == hash && memcmp(&table->slots[probe->slot - 1].key, key, sizeof(*key)) == 0)
            break;
    }
    return at;
}

uint32_t flow_table_find(const struct flow_table *table, const struct flow_key *key, uint32_t hash)
{
    uint32_t slot = table->probes[search(table, key, hash)].slot;
    return slot == 0 ? FLOW_TABLE_NONE : table->slots[slot - 1].value;
}

const struct flow_key *flow_table_key(const struct flow_table *table, const struct flow_key *key,
                                      uint32_t hash)
{
    uint32_t slot = table->probes[search(table, key, hash)].slot;
    return slot == 0 ? NULL : &table->slots[slot - 1].key;
}

int flow_table_insert(struct flow_table *table, const struct flow_key *key, uint32_t hash, uint32_t value)
{
    uint32_t at = search(table, key, hash);
    if (table->probes[at].slot != 0)
        return -EEXIST;
    uint32_t slot = table->free;
    if (slot != 0)
        table->free = table->slots[slot - 1].value;
    else if (table->touched < table->capacity)
        slot = ++table->touched;
    else
        return -ENOSPC;
    table->slots[slot - 1] = (struct flow_slot){.key = *key, .value = value};
    table->probes[at] = (struct flow_probe){.hash = hash, .slot = slot};
    table->used++;
    return 0;
}

int flow_table_set(struct flow_table *table, const struct flow_key *key, uint32_t hash, uint32_t value)
{
    uint32_t slot = table->probes[search(table, key, hash)].slot;
    if (slot == 0)
        return -ENOENT;
    table->slots[slot - 1].value = value;
    return 0;
}

int flow_table_remove(struct flow_table *table, const struct flow_key *key, uint32_t hash)
{
    uint32_t hole = search(table, key, hash);
    uint32_t slot = table->probes[hole].slot;
    if (slot == 0)
        return -ENOENT;
    table->slots[slot - 1].value = table->free;
    table->free = slot;
    table->used--;

    /* A later probe may move into the hole unless its home lies cyclically after the hole. */
    for (uint32_t at = (hole + 1) & table->mask; table->probes[at].slot != 0; at = (at + 1) & table->mask) {
        uint32_t home = table->probes[at].hash & table->mask;
        if (((at - home) & table->mask) < ((at - hole) & table->mask))
            continue;
        table->probes[hole] = table->probes[at];
        hole = at;
    }
    table->probes[hole] = (struct flow_probe){0};
    return 0;
}

uint32_t flow_table_used(const struct flow_table *table)
{
    return table->used;
}
