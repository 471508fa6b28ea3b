/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/client_table.h"

#include "dataplane/siphash.h"

#include <stdlib.h>
#include <sys/mman.h>

#define NONE UINT32_MAX
#define QUARANTINED_PASSED 16

struct client_table {
    struct siphash_key key[2];
    uint32_t capacity;
    uint32_t used;   /* entries below this index have been handed out at least once */
    uint32_t mask;   /* of the buckets */
    uint32_t oldest; /* without sessions for longest */
    uint32_t newest;
    struct client_shares *shares;
    struct client *clients;
    uint32_t *buckets; /* index + 1; 0: empty */
};

static size_t clients_bytes(const struct client_table *table)
{
    return (size_t)table->capacity * sizeof(struct client);
}

static size_t buckets_bytes(const struct client_table *table)
{
    return ((size_t)table->mask + 1) * sizeof(uint32_t);
}

static void *reserve(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

struct client_table *client_table_create(uint32_t capacity, const uint8_t secret[16],
                                         struct client_shares *shares)
{
    struct client_table *table = calloc(1, sizeof(*table));
    if (table == NULL || capacity == 0 || capacity > UINT32_MAX / 4) {
        free(table);
        return NULL;
    }
    table->key[0] = table->key[1] = siphash_key_of(secret);
    table->key[1].k0 = ~table->key[1].k0;
    table->capacity = capacity;
    table->shares = shares;
    table->mask = 1;
    while (table->mask < capacity)
        table->mask = table->mask * 2 + 1;
    table->oldest = table->newest = NONE;
    table->clients = reserve(clients_bytes(table));
    table->buckets = reserve(buckets_bytes(table));
    if (table->clients == NULL || table->buckets == NULL) {
        client_table_destroy(table);
        return NULL;
    }
    return table;
}

void client_table_destroy(struct client_table *table)
{
    if (table == NULL)
        return;
    for (uint32_t i = 0; table->shares != NULL && i < table->used; i++)
        client_shares_release(table->shares, table->clients[i].share);
    if (table->clients != NULL)
        munmap(table->clients, clients_bytes(table));
    if (table->buckets != NULL)
        munmap(table->buckets, buckets_bytes(table));
    free(table);
}

/* ---- those without sessions, oldest first ------------------------------------------------------------- */

static uint32_t index_of(const struct client_table *table, const struct client *client)
{
    return (uint32_t)(client - table->clients);
}

static void idle_push(struct client_table *table, struct client *client)
{
    client->older = table->newest;
    client->newer = NONE;
    if (table->newest != NONE)
        table->clients[table->newest].newer = index_of(table, client);
    else
        table->oldest = index_of(table, client);
    table->newest = index_of(table, client);
}

static void idle_remove(struct client_table *table, struct client *client)
{
    if (client->older != NONE)
        table->clients[client->older].newer = client->newer;
    else
        table->oldest = client->newer;
    if (client->newer != NONE)
        table->clients[client->newer].older = client->older;
    else
        table->newest = client->older;
}

/* ---- by name ------------------------------------------------------------------------------------------ */

static uint32_t *bucket_of(const struct client_table *table, const uint64_t name[2])
{
    return &table->buckets[(uint32_t)name[0] & table->mask];
}

static void hash_name(const struct client_table *table, struct bytes name, uint64_t out[2])
{
    out[0] = siphash_2_4(table->key[0], name.at, name.len);
    out[1] = siphash_2_4(table->key[1], name.at, name.len);
}

static struct client *find(const struct client_table *table, const uint64_t name[2])
{
    uint32_t at = *bucket_of(table, name);
    while (at != 0) {
        struct client *client = &table->clients[at - 1];
        if (client->name[0] == name[0] && client->name[1] == name[1])
            return client;
        at = client->next;
    }
    return NULL;
}

static void unlink_name(struct client_table *table, struct client *client)
{
    uint32_t *link = bucket_of(table, client->name);
    while (*link != index_of(table, client) + 1)
        link = &table->clients[*link - 1].next;
    *link = client->next;
}

struct client *client_table_find(struct client_table *table, struct bytes name)
{
    uint64_t hash[2];
    hash_name(table, name, hash);
    return find(table, hash);
}

/* Whose place is taken: that of the oldest without sessions, but rather not of one that is in quarantine. */
static struct client *oldest(struct client_table *table)
{
    uint32_t at = table->oldest;
    for (uint32_t i = 0; i < QUARANTINED_PASSED && at != NONE; i++) {
        if (table->clients[at].quarantined_until_us == 0)
            return &table->clients[at];
        at = table->clients[at].newer;
    }
    return &table->clients[table->oldest];
}

struct client *client_table_get(struct client_table *table, struct bytes name)
{
    uint64_t hash[2];
    hash_name(table, name, hash);
    struct client *client = find(table, hash);
    if (client != NULL)
        return client;
    if (table->used == table->capacity && table->oldest == NONE)
        return NULL;
    struct client_share *share = NULL;
    if (table->shares != NULL && (share = client_shares_acquire(table->shares, name)) == NULL)
        return NULL;
    if (table->used < table->capacity) {
        client = &table->clients[table->used++];
    } else {
        client = oldest(table);
        idle_remove(table, client);
        unlink_name(table, client);
        if (client->share != NULL)
            client_shares_release(table->shares, client->share);
    }
    uint32_t *bucket = bucket_of(table, hash);
    *client = (struct client){.share = share, .name = {hash[0], hash[1]}, .next = *bucket};
    *bucket = index_of(table, client) + 1;
    idle_push(table, client);
    return client;
}

void client_table_open(struct client_table *table, struct client *client)
{
    if (client->sessions_n++ == 0)
        idle_remove(table, client);
}

void client_table_close(struct client_table *table, struct client *client)
{
    if (--client->sessions_n == 0)
        idle_push(table, client);
}

uint32_t client_table_used(const struct client_table *table)
{
    return table->used;
}
