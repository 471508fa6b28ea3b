/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/access/name_index.h"

#include "policy/access/hash.h"

#include <stdlib.h>

struct name_slot {
    const uint8_t *at; /* NULL: empty */
    uint32_t len;
    uint32_t number;
    uint64_t hash;
};

static const uint8_t nothing[1];

bool name_index_init(struct name_index *index, uint32_t n)
{
    uint64_t slots = 4;
    while (slots < 2 * (uint64_t)n)
        slots *= 2;
    index->slots = slots > UINT32_MAX ? NULL : calloc(slots, sizeof(*index->slots));
    index->mask = (uint32_t)(slots - 1);
    index->probes = 0;
    index->bytes = slots * sizeof(*index->slots);
    return index->slots != NULL;
}

void name_index_fini(struct name_index *index)
{
    free(index->slots);
    index->slots = NULL;
}

static bool slot_is(const struct name_slot *slot, uint64_t hash, struct bytes name)
{
    return slot->hash == hash && slot->len == name.len && hash_same(slot->at, name.at, name.len);
}

uint32_t name_index_add(struct name_index *index, struct bytes name, uint32_t number)
{
    uint64_t hash = hash_bytes(name.at, name.len, HASH_ODD_1);
    uint32_t at = (uint32_t)hash & index->mask, probes = 1;
    for (; index->slots[at].at != NULL; at = (at + 1) & index->mask, probes++)
        if (slot_is(&index->slots[at], hash, name))
            return index->slots[at].number;
    index->slots[at] = (struct name_slot){
        .at = name.at != NULL ? name.at : nothing, .len = (uint32_t)name.len, .number = number, .hash = hash};
    index->probes = probes > index->probes ? probes : index->probes;
    return NAME_INDEX_NONE;
}

uint32_t name_index_find(const struct name_index *index, struct bytes name)
{
    uint64_t hash = hash_bytes(name.at, name.len, HASH_ODD_1);
    uint32_t at = (uint32_t)hash & index->mask;
    for (uint32_t i = 0; i < index->probes; i++, at = (at + 1) & index->mask) {
        const struct name_slot *slot = &index->slots[at];
        if (slot->at == NULL)
            return NAME_INDEX_NONE;
        if (slot_is(slot, hash, name))
            return slot->number;
    }
    return NAME_INDEX_NONE;
}
