/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/source_table.h"

#include "dataplane/siphash.h"

#include <stdlib.h>

#define WAYS 8

struct source {
    struct ip_address address;
    struct rate_bucket connects[RATE_WINDOWS];
    uint64_t seen_us;
    uint32_t sessions;
    uint32_t handshakes; /* under way; their connections are counted in sessions */
    bool used;
};

struct source_table {
    uint32_t sets; /* power of two */
    struct siphash_key key;
    struct source source[];
};

struct source_table *source_table_create(uint32_t capacity, const uint8_t secret[16])
{
    uint32_t sets = 1;
    while (sets * WAYS < capacity && sets < (UINT32_C(1) << 24))
        sets *= 2;
    struct source_table *table = calloc(1, sizeof(*table) + (size_t)sets * WAYS * sizeof(struct source));
    if (table == NULL)
        return NULL;
    table->sets = sets;
    table->key = siphash_key_of(secret);
    return table;
}

void source_table_destroy(struct source_table *table)
{
    free(table);
}

static struct source *set_of(const struct source_table *table, const struct ip_address *address)
{
    uint64_t hash = siphash_2_4(table->key, address->bytes, sizeof(address->bytes));
    uint32_t set = (uint32_t)hash & (table->sets - 1);
    return (struct source *)(uintptr_t)&table->source[(size_t)set * WAYS];
}

static struct source *find(const struct source_table *table, const struct ip_address *address)
{
    struct source *set = set_of(table, address);
    for (uint32_t i = 0; i < WAYS; i++)
        if (set[i].used && ip_address_equal(&set[i].address, address))
            return &set[i];
    return NULL;
}

/* A place for a new address: free, or the one without sessions that has been silent for longest. */
static struct source *place(struct source_table *table, const struct ip_address *address)
{
    struct source *set = set_of(table, address);
    struct source *oldest = NULL;
    for (uint32_t i = 0; i < WAYS; i++) {
        if (!set[i].used)
            return &set[i];
        if (set[i].sessions == 0 && (oldest == NULL || set[i].seen_us < oldest->seen_us))
            oldest = &set[i];
    }
    return oldest;
}

enum outcome source_table_admit(struct source_table *table, const struct ip_address *source,
                                const struct rate rate[RATE_WINDOWS], uint32_t sessions, uint64_t now_us)
{
    struct source *entry = find(table, source);
    if (entry == NULL) {
        entry = place(table, source);
        if (entry == NULL)
            return OUTCOME_NO_RESOURCES;
        *entry = (struct source){.address = *source, .used = true};
    }
    entry->seen_us = now_us;
    if (sessions != 0 && entry->sessions >= sessions)
        return OUTCOME_SESSION_TAKEN;
    for (uint32_t w = 0; w < RATE_WINDOWS; w++)
        if (!rate_limit_allows(&entry->connects[w], &rate[w], 1, now_us))
            return OUTCOME_RATE_CONNECTS;
    for (uint32_t w = 0; w < RATE_WINDOWS; w++)
        (void)rate_limit_take(&entry->connects[w], &rate[w], 1, now_us);
    return OUTCOME_ALLOWED;
}

void source_table_open(struct source_table *table, const struct ip_address *source)
{
    struct source *entry = find(table, source);
    if (entry == NULL) {
        entry = place(table, source);
        if (entry == NULL)
            return; /* not counted: the next admit of this address will be refused for want of a place */
        *entry = (struct source){.address = *source, .used = true};
    }
    entry->sessions++;
}

void source_table_close(struct source_table *table, const struct ip_address *source)
{
    struct source *entry = find(table, source);
    if (entry != NULL && entry->sessions > 0)
        entry->sessions--;
}

bool source_table_handshake(struct source_table *table, const struct ip_address *source, uint32_t most)
{
    struct source *entry = find(table, source);
    if (entry == NULL || entry->handshakes >= most)
        return false;
    entry->handshakes++;
    return true;
}

void source_table_settled(struct source_table *table, const struct ip_address *source)
{
    struct source *entry = find(table, source);
    if (entry != NULL && entry->handshakes > 0)
        entry->handshakes--;
}

uint32_t source_table_sessions(const struct source_table *table, const struct ip_address *source)
{
    const struct source *entry = find(table, source);
    return entry == NULL ? 0 : entry->sessions;
}
