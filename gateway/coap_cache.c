/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/coap_cache.h"

#include "dataplane/slab.h"

#include <stdlib.h>

#define NONE UINT32_MAX
#define CHANGES 1024 /* sets of ways */
#define WAYS 4
#define SECOND_US UINT64_C(1000000)

/* When a resource was last changed through us. */
struct change {
    uint64_t resource;
    uint64_t at_us; /* 0: never */
};

struct coap_cache {
    struct slab *entries;
    struct packet_buffers *buffers; /* borrowed */
    struct siphash_key key;
    uint32_t *buckets;
    uint32_t mask;
    uint64_t bytes;
    uint64_t forgotten_us; /* the latest change that made room for another */
    struct change changes[CHANGES][WAYS];
    TAILQ_HEAD(, coap_cached) by_use; /* longest ago first */
};

struct coap_cache *coap_cache_create(uint32_t entries, struct packet_buffers *buffers, struct siphash_key key)
{
    struct coap_cache *cache = calloc(1, sizeof(*cache));
    uint32_t n = 64;
    if (cache == NULL)
        return NULL;
    while (n < entries && n < (UINT32_C(1) << 24))
        n *= 2;
    cache->entries = slab_create(entries, sizeof(struct coap_cached));
    cache->buckets = malloc(n * sizeof(*cache->buckets));
    cache->buffers = buffers;
    cache->key = key;
    cache->mask = n - 1;
    TAILQ_INIT(&cache->by_use);
    if (cache->entries == NULL || cache->buckets == NULL) {
        coap_cache_destroy(cache);
        return NULL;
    }
    memset(cache->buckets, 0xFF, n * sizeof(*cache->buckets));
    return cache;
}

void coap_cache_destroy(struct coap_cache *cache)
{
    if (cache == NULL)
        return;
    if (cache->entries != NULL)
        slab_destroy(cache->entries);
    free(cache->buckets);
    free(cache);
}

static uint64_t resource_digest(const struct coap_cache *cache, uint64_t upstream, const uint8_t *resource,
                                size_t n)
{
    uint8_t input[sizeof(upstream) + COAP_CACHE_KEY_MAX];
    memcpy(input, &upstream, sizeof(upstream));
    memcpy(input + sizeof(upstream), resource, n);
    return siphash_2_4(cache->key, input, sizeof(upstream) + n);
}

void coap_cache_name(const struct coap_cache *cache, uint64_t upstream, const char *identity,
                     const struct coap_message *request, struct coap_cache_name *name)
{
    uint8_t key[COAP_CACHE_KEY_MAX];
    size_t resource, n = coap_cache_key(request, key, &resource), scope = strlen(identity);
    name->len = 0;
    if (n == 0 || scope + 1 + sizeof(upstream) > COAP_CACHE_SCOPE_MAX)
        return;
    name->resource = resource_digest(cache, upstream, key, resource);
    memcpy(name->bytes, &upstream, sizeof(upstream));
    memcpy(name->bytes + sizeof(upstream), identity, scope + 1); /* its NUL parts it from the key */
    memcpy(name->bytes + sizeof(upstream) + scope + 1, key, n);
    name->len = sizeof(upstream) + scope + 1 + n;
    name->whole = siphash_2_4(cache->key, name->bytes, name->len);
}

static uint32_t *bucket_of(const struct coap_cache *cache, uint64_t whole)
{
    return &cache->buckets[whole & cache->mask];
}

static struct coap_cached *entry_at(const struct coap_cache *cache, uint32_t index)
{
    return slab_object(cache->entries, index);
}

static uint64_t entry_bytes(const struct coap_cached *entry)
{
    return (uint64_t)entry->name_len + entry->message_len + sizeof(*entry);
}

static void entry_free(struct coap_cache *cache, struct coap_cached *entry)
{
    uint32_t own = slab_handle_of(cache->entries, entry).index;
    uint32_t *link = bucket_of(cache, entry->whole);
    while (*link != NONE && *link != own)
        link = &entry_at(cache, *link)->next;
    if (*link == own)
        *link = entry->next;
    TAILQ_REMOVE(&cache->by_use, entry, by_use);
    cache->bytes -= entry_bytes(entry);
    packet_buffer_put(cache->buffers, entry->bytes);
    slab_free(cache->entries, entry);
}

static uint64_t changed_us(const struct coap_cache *cache, uint64_t resource)
{
    const struct change *set = cache->changes[resource % CHANGES];
    for (int i = 0; i < WAYS; i++)
        if (set[i].at_us != 0 && set[i].resource == resource)
            return set[i].at_us;
    return cache->forgotten_us;
}

struct coap_cached *coap_cache_find(struct coap_cache *cache, const struct coap_cache_name *name)
{
    uint32_t index = name->len == 0 ? NONE : *bucket_of(cache, name->whole);
    while (index != NONE) {
        struct coap_cached *entry = entry_at(cache, index);
        if (entry->whole == name->whole && entry->name_len == name->len &&
            memcmp(entry->bytes, name->bytes, name->len) == 0) {
            TAILQ_REMOVE(&cache->by_use, entry, by_use);
            TAILQ_INSERT_TAIL(&cache->by_use, entry, by_use);
            if (entry->kept_us <= changed_us(cache, entry->resource))
                entry->fresh_until_us = 0;
            return entry;
        }
        index = entry->next;
    }
    return NULL;
}

static bool make_room(struct coap_cache *cache, uint64_t bytes, uint64_t limit_bytes)
{
    if (bytes > limit_bytes)
        return false;
    while (cache->bytes + bytes > limit_bytes || slab_used(cache->entries) == slab_capacity(cache->entries)) {
        struct coap_cached *oldest = TAILQ_FIRST(&cache->by_use);
        if (oldest == NULL)
            return false;
        entry_free(cache, oldest);
    }
    return true;
}

void coap_cache_put(struct coap_cache *cache, const struct coap_cache_name *name, const uint8_t *message,
                    size_t n, const struct coap_freshness *freshness, uint64_t limit_bytes, uint64_t now_us)
{
    uint32_t capacity;
    struct coap_cached *entry = coap_cache_find(cache, name);
    if (entry != NULL)
        entry_free(cache, entry);
    if (name->len == 0 || n == 0 || n > COAP_MESSAGE_MAX || !freshness->keeps ||
        !make_room(cache, name->len + n + sizeof(*entry), limit_bytes))
        return;
    entry = slab_alloc(cache->entries);
    if (entry == NULL)
        return;
    entry->bytes = packet_buffer_get(cache->buffers, (uint32_t)(name->len + n), &capacity);
    if (entry->bytes == NULL) {
        slab_free(cache->entries, entry);
        return;
    }
    memcpy(entry->bytes, name->bytes, name->len);
    memcpy(entry->bytes + name->len, message, n);
    entry->name_len = (uint16_t)name->len;
    entry->message_len = (uint16_t)n;
    entry->resource = name->resource;
    entry->whole = name->whole;
    entry->etag_len = freshness->etag_len;
    memcpy(entry->etag, freshness->etag, sizeof(entry->etag));
    coap_cache_renew(entry, freshness->max_age_s, now_us);
    entry->next = *bucket_of(cache, entry->whole);
    *bucket_of(cache, entry->whole) = slab_handle_of(cache->entries, entry).index;
    TAILQ_INSERT_TAIL(&cache->by_use, entry, by_use);
    cache->bytes += entry_bytes(entry);
}

void coap_cache_renew(struct coap_cached *entry, uint32_t max_age_s, uint64_t now_us)
{
    entry->kept_us = now_us;
    entry->fresh_until_us = now_us + max_age_s * SECOND_US;
}

void coap_cache_changed(struct coap_cache *cache, uint64_t upstream, const struct coap_message *request,
                        uint64_t now_us)
{
    uint8_t key[COAP_CACHE_KEY_MAX];
    size_t n = coap_cache_resource(request, key);
    if (n == 0) {
        cache->forgotten_us = now_us; /* a path that has no name here: it may be any */
        return;
    }
    uint64_t resource = resource_digest(cache, upstream, key, n);
    struct change *set = cache->changes[resource % CHANGES], *slot = &set[0];
    for (int i = 0; i < WAYS; i++) {
        if (set[i].at_us != 0 && set[i].resource == resource) {
            slot = &set[i];
            break;
        }
        if (set[i].at_us < slot->at_us)
            slot = &set[i];
    }
    if (slot->at_us != 0 && slot->resource != resource && slot->at_us > cache->forgotten_us)
        cache->forgotten_us = slot->at_us;
    *slot = (struct change){.resource = resource, .at_us = now_us};
}

void coap_cached_message(const struct coap_cached *entry, struct coap_message *out)
{
    (void)coap_parse(out, bytes_of(entry->bytes + entry->name_len, entry->message_len)); /* we wrote it */
}

uint32_t coap_cached_left_s(const struct coap_cached *entry, uint64_t now_us)
{
    return entry->fresh_until_us <= now_us ? 0 : (uint32_t)((entry->fresh_until_us - now_us) / SECOND_US);
}

uint64_t coap_cache_bytes(const struct coap_cache *cache)
{
    return cache->bytes;
}
