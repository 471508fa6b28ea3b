/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/name_cache.h"

#include "dataplane/siphash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

struct entry {
    TAILQ_ENTRY(entry) by_use; /* in `used`, newest first, or in `spare` */
    SLIST_ENTRY(entry) in_bucket;
    uint32_t bucket;
    char name[NAME_CACHE_NAME_BYTES];
    void *value;
};

TAILQ_HEAD(entry_list, entry);
SLIST_HEAD(bucket, entry);

struct name_cache {
    pthread_mutex_t lock;
    const struct name_cache_type *type;
    struct siphash_key key;
    uint32_t mask;
    struct bucket *buckets;
    struct entry *entries;
    struct entry_list used;
    struct entry_list spare;
};

struct name_cache *name_cache_create(uint32_t capacity, const struct name_cache_type *type)
{
    if (capacity == 0 || capacity > 1u << 24)
        return NULL;
    struct name_cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        return NULL;
    uint32_t buckets = 1;
    while (buckets < capacity)
        buckets *= 2;
    cache->mask = buckets - 1;
    cache->type = type;
    cache->buckets = calloc(buckets, sizeof(*cache->buckets));
    cache->entries = calloc(capacity, sizeof(*cache->entries));
    if (cache->buckets == NULL || cache->entries == NULL ||
        getrandom(&cache->key, sizeof(cache->key), 0) != (ssize_t)sizeof(cache->key) ||
        pthread_mutex_init(&cache->lock, NULL) != 0) {
        free(cache->buckets);
        free(cache->entries);
        free(cache);
        return NULL;
    }
    TAILQ_INIT(&cache->used);
    TAILQ_INIT(&cache->spare);
    for (uint32_t i = 0; i < capacity; i++)
        TAILQ_INSERT_TAIL(&cache->spare, &cache->entries[i], by_use);
    return cache;
}

void name_cache_destroy(struct name_cache *cache)
{
    if (cache == NULL)
        return;
    struct entry *entry;
    TAILQ_FOREACH (entry, &cache->used, by_use)
        cache->type->drop(entry->value);
    pthread_mutex_destroy(&cache->lock);
    free(cache->buckets);
    free(cache->entries);
    free(cache);
}

static struct entry *find(struct name_cache *cache, const char *name, uint32_t *bucket)
{
    *bucket = (uint32_t)siphash_1_3(cache->key, name, strlen(name)) & cache->mask;
    struct entry *entry;
    SLIST_FOREACH(entry, &cache->buckets[*bucket], in_bucket)
    if (strcmp(entry->name, name) == 0)
        return entry;
    return NULL;
}

/* Takes the entry out of the table; its value is the caller's. */
static void *release(struct name_cache *cache, struct entry *entry)
{
    void *value = entry->value;
    entry->value = NULL;
    SLIST_REMOVE(&cache->buckets[entry->bucket], entry, entry, in_bucket);
    TAILQ_REMOVE(&cache->used, entry, by_use);
    TAILQ_INSERT_HEAD(&cache->spare, entry, by_use);
    return value;
}

void *name_cache_get(struct name_cache *cache, const char *name)
{
    uint32_t bucket;
    void *value = NULL;
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = find(cache, name, &bucket);
    if (entry != NULL) {
        value = cache->type->share(entry->value);
        TAILQ_REMOVE(&cache->used, entry, by_use);
        TAILQ_INSERT_HEAD(&cache->used, entry, by_use);
    }
    pthread_mutex_unlock(&cache->lock);
    return value;
}

void *name_cache_take(struct name_cache *cache, const char *name)
{
    uint32_t bucket;
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = find(cache, name, &bucket);
    void *value = entry == NULL ? NULL : release(cache, entry);
    pthread_mutex_unlock(&cache->lock);
    return value;
}

bool name_cache_put(struct name_cache *cache, const char *name, void *value, bool wait)
{
    if (strlen(name) >= NAME_CACHE_NAME_BYTES ||
        (wait ? pthread_mutex_lock(&cache->lock) : pthread_mutex_trylock(&cache->lock)) != 0) {
        cache->type->drop(value);
        return false;
    }
    uint32_t bucket;
    void *old = NULL;
    struct entry *entry = find(cache, name, &bucket);
    if (entry == NULL && TAILQ_EMPTY(&cache->spare))
        entry = TAILQ_LAST(&cache->used, entry_list);
    if (entry != NULL)
        old = release(cache, entry);
    entry = TAILQ_FIRST(&cache->spare);
    TAILQ_REMOVE(&cache->spare, entry, by_use);
    memcpy(entry->name, name, strlen(name) + 1);
    entry->bucket = bucket;
    entry->value = value;
    SLIST_INSERT_HEAD(&cache->buckets[bucket], entry, in_bucket);
    TAILQ_INSERT_HEAD(&cache->used, entry, by_use);
    pthread_mutex_unlock(&cache->lock);
    if (old != NULL)
        cache->type->drop(old);
    return true;
}
