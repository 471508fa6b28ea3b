/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Evidence for tests: a hash with a fixed key, clients by number, and what they do in a line. */
#ifndef TESTS_UNIT_LEARN_LAB_H
#define TESTS_UNIT_LEARN_LAB_H

#include "policy/access/hash.h"
#include "policy/learn/evidence.h"

#include <stdio.h>
#include <stdlib.h>

static inline uint64_t learn_lab_hash(const void *key, const void *data, size_t n)
{
    uint64_t h = hash_bytes(data, n, *(const uint64_t *)key);
    return hash_fold(h, HASH_ODD_1);
}

static inline struct evidence *learn_lab_create(void)
{
    static const uint64_t key = UINT64_C(0x5A11);
    struct evidence *e = calloc(1, sizeof(*e));
    if (e == NULL)
        abort();
    evidence_init(e, learn_lab_hash, &key);
    return e;
}

/* A client of this name at the address of this number, with client_id, id and source. */
static inline uint16_t learn_lab_client(struct evidence *e, const char *name, uint32_t address)
{
    uint8_t source[16] = {[10] = 0xFF, [11] = 0xFF};
    char text[16];
    memcpy(source + 12, &address, sizeof(address));
    uint16_t client = evidence_client(e, bytes_of_text(name), source);
    if (client == EVIDENCE_NONE)
        return client;
    snprintf(text, sizeof(text), "%u", address);
    evidence_clear_values(e, client);
    evidence_value(e, client, bytes_of_text("client_id"), bytes_of_text(name), true);
    evidence_value(e, client, bytes_of_text("id"), bytes_of_text(name), true);
    evidence_value(e, client, bytes_of_text("source"), bytes_of_text(text), false);
    return client;
}

static inline void learn_lab_see(struct evidence *e, uint16_t client, uint8_t action, const char *topic,
                                 uint64_t now_us)
{
    struct evidence_act act = {
        .action = action, .payload_bytes = 10, .now_us = now_us, .topic = bytes_of_text(topic)};
    evidence_see(e, client, &act);
}

/* Whether rings, buckets and counts say the same. */
static inline bool learn_lab_whole(const struct evidence *e)
{
    uint32_t topics = 0, clients = 0, owned = 0, source_topics = 0, source_clients = 0;
    bool good = true;
    for (uint16_t i = 0; i < e->topics_used; i++) {
        const struct evidence_topic *t = &e->topic[i];
        uint32_t n = 0;
        if (!t->used)
            continue;
        topics++;
        for (uint32_t k = 0; k < EVIDENCE_CLIENTS / 64; k++)
            n += (uint32_t)__builtin_popcountll(t->client[k]);
        good = good && n == t->clients_n && n > 0 && e->client[t->owner].used && evidence_has(t, t->owner) &&
               e->topic[t->older].newer == i && e->topic[t->newer].older == i &&
               e->topic[t->newer].owner == t->owner;
    }
    for (uint16_t i = 0; i < e->clients_used; i++) {
        const struct evidence_client *c = &e->client[i];
        if (!c->used)
            continue;
        clients++;
        owned += c->topics;
        good = good && (c->topics == 0) == (c->first == EVIDENCE_NONE) &&
               (c->topics == 0 || e->topic[c->first].owner == i);
    }
    for (uint32_t i = 0; i < EVIDENCE_CLIENTS; i++)
        for (uint16_t at = e->source_bucket[i]; at != 0; at = e->source[at - 1].next) {
            source_topics += e->source[at - 1].topics;
            source_clients += e->source[at - 1].clients;
            good = good && e->source[at - 1].clients <= EVIDENCE_SOURCE_CLIENTS;
        }
    return good && topics == e->topics_n && owned == e->topics_n && source_topics == e->topics_n &&
           clients == e->clients_n && source_clients == e->clients_n;
}

#endif
