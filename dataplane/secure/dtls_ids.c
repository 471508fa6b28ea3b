/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/dtls_ids.h"

#include "dataplane/flow_table.h"
#include "dataplane/siphash.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* An id in 256 is of one worker, if there are as many of them as there may be. */
#define TRIES 4096

struct dtls_ids {
    struct flow_table *table;
    struct siphash_key key;
    uint64_t given;
    uint32_t worker, workers;
};

struct dtls_ids *dtls_ids_create(uint32_t capacity, uint32_t worker, uint32_t workers)
{
    uint8_t secret[32];
    struct dtls_ids *ids = calloc(1, sizeof(*ids));
    if (ids == NULL || getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret)) {
        free(ids);
        return NULL;
    }
    ids->worker = worker;
    ids->workers = workers == 0 ? 1 : workers;
    ids->key = siphash_key_of(secret);
    ids->table = flow_table_create(capacity, secret + 16);
    explicit_bzero(secret, sizeof(secret));
    if (ids->table != NULL)
        return ids;
    free(ids);
    return NULL;
}

void dtls_ids_destroy(struct dtls_ids *ids)
{
    if (ids == NULL)
        return;
    flow_table_destroy(ids->table);
    explicit_bzero(ids, sizeof(*ids));
    free(ids);
}

/* An id in the place of an address, for a table that is made for these. */
static struct flow_key key_of(const uint8_t id[DTLS_ID_BYTES])
{
    struct flow_key key;
    memset(&key, 0, sizeof(key));
    memcpy(key.remote.bytes, id, DTLS_ID_BYTES);
    return key;
}

bool dtls_ids_give(struct dtls_ids *ids, uint32_t value, uint8_t id[DTLS_ID_BYTES])
{
    for (int i = 0; i < TRIES; i++) {
        uint64_t number = ids->given++;
        uint64_t word = siphash_2_4(ids->key, &number, sizeof(number));
        memcpy(id, &word, DTLS_ID_BYTES);
        struct flow_key key = key_of(id);
        if (dtls_id_worker(id, ids->workers) == ids->worker &&
            flow_table_insert(ids->table, &key, flow_table_hash(ids->table, &key), value) == 0)
            return true;
    }
    return false;
}

uint32_t dtls_ids_find(const struct dtls_ids *ids, const uint8_t id[DTLS_ID_BYTES])
{
    struct flow_key key = key_of(id);
    uint32_t value = flow_table_find(ids->table, &key, flow_table_hash(ids->table, &key));
    return value == FLOW_TABLE_NONE ? DTLS_IDS_NONE : value;
}

void dtls_ids_drop(struct dtls_ids *ids, const uint8_t id[DTLS_ID_BYTES])
{
    struct flow_key key = key_of(id);
    flow_table_remove(ids->table, &key, flow_table_hash(ids->table, &key));
}
