/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/mqtt/alias.h"

void alias_init(struct alias_table *table, uint16_t maximum)
{
    *table = (struct alias_table){.maximum = maximum};
}

void alias_fini(struct alias_table *table, struct mqtt_workspace *memory)
{
    if (table->entries != NULL) {
        for (uint32_t i = 0; i < table->maximum; i++)
            if (table->entries[i].at != NULL)
                memory->put(memory, table->entries[i].at);
        memory->put(memory, table->entries);
    }
    alias_init(table, table->maximum);
}

struct bytes alias_get(const struct alias_table *table, uint16_t alias)
{
    if (alias == 0 || alias > table->maximum || table->entries == NULL)
        return bytes_of(NULL, 0);
    const struct alias_entry *entry = &table->entries[alias - 1];
    return bytes_of(entry->at, entry->len);
}

bool alias_set(struct alias_table *table, uint16_t alias, struct bytes topic, struct mqtt_workspace *memory)
{
    uint32_t given;
    if (alias == 0 || alias > table->maximum || topic.len == 0 || topic.len > UINT16_MAX)
        return false;
    if (table->entries == NULL) {
        uint32_t bytes = table->maximum * (uint32_t)sizeof(struct alias_entry);
        table->entries = memory->get(memory, bytes, &given);
        if (table->entries == NULL)
            return false;
        memset(table->entries, 0, bytes);
    }
    struct alias_entry *entry = &table->entries[alias - 1];
    entry->len = 0;
    if (table->topic_bytes_max != 0 && topic.len > table->topic_bytes_max)
        return false;
    if (entry->capacity < topic.len) {
        if (entry->at != NULL)
            memory->put(memory, entry->at);
        entry->at = memory->get(memory, (uint32_t)topic.len, &given);
        entry->capacity = entry->at != NULL ? given : 0;
        if (entry->at == NULL)
            return false;
    }
    memcpy(entry->at, topic.at, topic.len);
    entry->len = (uint16_t)topic.len;
    return true;
}
