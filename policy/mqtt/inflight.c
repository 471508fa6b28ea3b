/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/mqtt/inflight.h"

#include <assert.h>

#define HASHED_MIN 16u

void inflight_init(struct inflight *table)
{
    *table = (struct inflight){.capacity = INFLIGHT_INLINE};
}

void inflight_fini(struct inflight *table, struct mqtt_workspace *memory)
{
    if (table->entries != NULL)
        memory->put(memory, table->entries);
    inflight_init(table);
}

static bool receiver_acts(uint8_t state)
{
    return state == INFLIGHT_PUBACK || state == INFLIGHT_PUBREC || state == INFLIGHT_PUBCOMP;
}

static bool is_held(uint8_t state)
{
    return state == INFLIGHT_HELD_PUBACK || state == INFLIGHT_HELD_PUBREC;
}

static void count(struct inflight *table, uint8_t state, int by)
{
    if (receiver_acts(state))
        table->waiting = (uint16_t)(table->waiting + by);
    if (is_held(state))
        table->held = (uint16_t)(table->held + by);
}

/* ---- places ------------------------------------------------------------------------------------------- */

static struct inflight_entry *find_few(struct inflight *table, uint16_t id)
{
    for (uint32_t i = 0; i < INFLIGHT_INLINE; i++)
        if (table->few[i].id == id)
            return &table->few[i];
    return NULL;
}

/* The entry of `id`, or the free place where it belongs: one is always free. */
static struct inflight_entry *place_of(struct inflight_entry *entries, uint32_t capacity, uint16_t id)
{
    uint32_t at = id & (capacity - 1);
    while (entries[at].id != 0 && entries[at].id != id)
        at = (at + 1) & (capacity - 1);
    return &entries[at];
}

struct inflight_entry *inflight_find(struct inflight *table, uint16_t id)
{
    if (table->used == 0 || id == 0)
        return NULL;
    if (table->entries == NULL)
        return find_few(table, id);
    struct inflight_entry *entry = place_of(table->entries, table->capacity, id);
    return entry->id == id ? entry : NULL;
}

static struct inflight_entry *all_of(struct inflight *table)
{
    return table->entries == NULL ? table->few : table->entries;
}

static const struct inflight_entry *all_of_const(const struct inflight *table)
{
    return table->entries == NULL ? table->few : table->entries;
}

struct inflight_entry *inflight_find_wire(struct inflight *table, uint16_t wire)
{
    struct inflight_entry *entry = inflight_find(table, wire);
    if (entry != NULL && entry->wire == wire)
        return entry;
    if (table->mapped == 0)
        return NULL;
    entry = all_of(table);
    for (uint32_t i = 0; i < table->capacity; i++)
        if (entry[i].id != 0 && entry[i].wire == wire)
            return &entry[i];
    return NULL;
}

/* ---- growing and shrinking ---------------------------------------------------------------------------- */

bool inflight_reserve(struct inflight *table, struct mqtt_workspace *memory)
{
    uint32_t most = table->entries == NULL ? INFLIGHT_INLINE : table->capacity / 4 * 3;
    if (table->used < most)
        return true;
    if (table->used == UINT16_MAX)
        return false;
    uint32_t capacity = table->entries == NULL ? HASHED_MIN : table->capacity * 2;
    uint32_t given;
    struct inflight_entry *entries =
        memory->get(memory, capacity * (uint32_t)sizeof(struct inflight_entry), &given);
    if (entries == NULL)
        return false;
    memset(entries, 0, capacity * sizeof(*entries));
    const struct inflight_entry *old = all_of_const(table);
    for (uint32_t i = 0; i < table->capacity; i++)
        if (old[i].id != 0)
            *place_of(entries, capacity, old[i].id) = old[i];
    if (table->entries != NULL)
        memory->put(memory, table->entries);
    table->entries = entries;
    table->capacity = capacity;
    return true;
}

struct inflight_entry *inflight_add(struct inflight *table, uint16_t id, uint16_t wire,
                                    enum inflight_state state, uint8_t code)
{
    struct inflight_entry *entry =
        table->entries == NULL ? find_few(table, 0) : place_of(table->entries, table->capacity, id);
    assert(entry != NULL && entry->id == 0);
    *entry = (struct inflight_entry){
        .order = table->next_order++, .id = id, .wire = wire, .state = (uint8_t)state, .code = code};
    table->used++;
    if (wire != id)
        table->mapped++;
    count(table, entry->state, 1);
    return entry;
}

void inflight_set(struct inflight *table, struct inflight_entry *entry, enum inflight_state state)
{
    count(table, entry->state, -1);
    entry->state = (uint8_t)state;
    entry->age = 0;
    count(table, entry->state, 1);
}

/* Closes the gap that a removal leaves, so that no search stops early. */
static void close_gap(struct inflight_entry *entries, uint32_t capacity, uint32_t gap)
{
    uint32_t mask = capacity - 1;
    for (uint32_t at = (gap + 1) & mask; entries[at].id != 0; at = (at + 1) & mask) {
        uint32_t home = entries[at].id & mask;
        /* It may move back to the gap unless its home lies between the gap (exclusive) and itself. */
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            entries[gap] = entries[at];
            gap = at;
        }
    }
    entries[gap].id = 0;
}

void inflight_remove(struct inflight *table, struct inflight_entry *entry, struct mqtt_workspace *memory)
{
    count(table, entry->state, -1);
    if (entry->wire != entry->id)
        table->mapped--;
    table->used--;
    if (table->entries == NULL)
        entry->id = 0;
    else
        close_gap(table->entries, table->capacity, (uint32_t)(entry - table->entries));
    if (table->used == 0 && table->entries != NULL)
        inflight_fini(table, memory);
}

/* ---- time ---------------------------------------------------------------------------------------------- */

static bool unreleased(const struct inflight_entry *entry)
{
    return entry->id != 0 && (entry->state == INFLIGHT_PUBREL || entry->state == INFLIGHT_REFUSED);
}

uint16_t inflight_age(struct inflight *table, uint8_t most, struct mqtt_workspace *memory)
{
    uint16_t forgotten = 0;
    if (inflight_unreleased(table) == 0)
        return 0;
    struct inflight_entry *entry = all_of(table);
    for (uint32_t i = 0; i < table->capacity; i++)
        if (unreleased(&entry[i]) && entry[i].age != UINT8_MAX)
            entry[i].age++;
    /* A removal moves others into its place or behind it, so this place is looked at again. */
    for (uint32_t i = 0; table->used != 0 && i < table->capacity;) {
        if (!unreleased(&entry[i]) || entry[i].age < most) {
            i++;
            continue;
        }
        inflight_remove(table, &entry[i], memory);
        forgotten++;
    }
    return forgotten;
}

/* ---- order of answers --------------------------------------------------------------------------------- */

/* 1 or 2 while an answer of that kind (PUBACK or PUBREC) is due to the sender, else 0. */
static uint8_t answer_kind(uint8_t state)
{
    if (state == INFLIGHT_PUBACK || state == INFLIGHT_HELD_PUBACK)
        return 1;
    return state == INFLIGHT_PUBREC || state == INFLIGHT_HELD_PUBREC ? 2 : 0;
}

bool inflight_must_hold(const struct inflight *table, uint8_t qos)
{
    const struct inflight_entry *entry = all_of_const(table);
    if (table->waiting == 0 && table->held == 0)
        return false;
    for (uint32_t i = 0; i < table->capacity; i++)
        if (entry[i].id != 0 && answer_kind(entry[i].state) == qos)
            return true;
    return false;
}

struct inflight_entry *inflight_due(struct inflight *table)
{
    struct inflight_entry *first[3] = {NULL, NULL, NULL};
    struct inflight_entry *entry = all_of(table);
    if (table->held == 0)
        return NULL;
    for (uint32_t i = 0; i < table->capacity; i++) {
        uint8_t kind = entry[i].id != 0 ? answer_kind(entry[i].state) : 0;
        /* The difference is right across the wrap of the counter. */
        if (kind != 0 && (first[kind] == NULL || (int32_t)(entry[i].order - first[kind]->order) < 0))
            first[kind] = &entry[i];
    }
    for (int kind = 1; kind <= 2; kind++)
        if (first[kind] != NULL && is_held(first[kind]->state))
            return first[kind];
    return NULL;
}
