/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/net/neighbor.h"

#include <rte_mbuf.h>

#include <stdlib.h>

#define SECOND_US 1000000u
#define REACHABLE_US (30ull * SECOND_US) /* RFC 4861 s.10 */
#define DELAY_US (5ull * SECOND_US)
#define RETRANSMIT_US (1ull * SECOND_US)
#define PAUSE_US (2ull * SECOND_US)    /* after a failure, before we ask again */
#define FORGET_US (600ull * SECOND_US) /* unused for so long: freed */
#define YOUNG_US (1ull * SECOND_US)    /* used so lately: an unconfirmed entry may stay */
#define IDLE_US (60ull * SECOND_US)    /* unused for so long: a confirmed entry may go */
#define PROBES 3
#define EVICT_SCAN 32  /* entries looked at for one to reuse */
#define SWEEP_SCAN 16  /* entries looked at per advance for forgotten ones */
#define TIMED_MAX 1024 /* entries with something to come that are looked at per advance */

struct neighbor_table {
    const struct neighbor_host *host;
    void *host_data;
    uint64_t key[4];
    uint32_t capacity;
    uint32_t used;
    uint32_t free;     /* list through next */
    uint32_t timed;    /* list through timed_next */
    uint32_t timed_at; /* where the next look at it goes on */
    uint32_t hand;     /* of eviction and sweep */
    uint32_t waiting;
    uint32_t mask;
    uint32_t *chains;
    struct neighbor *entries;
};

static uint64_t fold_multiply(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* A keyed multiplicative hash: without the secret nobody can choose addresses that collide. */
static uint32_t chain_of(const struct neighbor_table *table, uint16_t interface,
                         const struct ip_address *address)
{
    uint64_t words[2];
    memcpy(words, address->bytes, sizeof(words));
    uint64_t h = fold_multiply(words[0] ^ table->key[0], (words[1] ^ table->key[1]) | 1);
    h = fold_multiply(h ^ table->key[2], (interface ^ table->key[3]) | 1);
    return (uint32_t)h & table->mask;
}

uint32_t neighbor_index(const struct neighbor_table *table, const struct neighbor *n)
{
    return (uint32_t)(n - table->entries);
}

struct neighbor *neighbor_at(const struct neighbor_table *table, uint32_t index)
{
    if (index >= table->capacity || table->entries[index].state == NEIGHBOR_FREE)
        return NULL;
    return &table->entries[index];
}

uint32_t neighbor_table_used(const struct neighbor_table *table)
{
    return table->used;
}

static void timed_remove(struct neighbor_table *table, struct neighbor *n)
{
    if (n->due_us == 0)
        return;
    n->due_us = 0;
    if (table->timed_at == neighbor_index(table, n))
        table->timed_at = n->timed_next;
    if (n->timed_previous == NEIGHBOR_NONE)
        table->timed = n->timed_next;
    else
        table->entries[n->timed_previous].timed_next = n->timed_next;
    if (n->timed_next != NEIGHBOR_NONE)
        table->entries[n->timed_next].timed_previous = n->timed_previous;
}

static void timed_set(struct neighbor_table *table, struct neighbor *n, uint64_t due_us)
{
    if (n->due_us == 0) {
        uint32_t index = neighbor_index(table, n);
        n->timed_previous = NEIGHBOR_NONE;
        n->timed_next = table->timed;
        if (table->timed != NEIGHBOR_NONE)
            table->entries[table->timed].timed_previous = index;
        table->timed = index;
    }
    n->due_us = due_us == 0 ? 1 : due_us; /* 0: not in the list */
}

/* Empties the queue of `n` into `out`. */
static uint32_t take_waiting(struct neighbor_table *table, struct neighbor *n,
                             struct rte_mbuf *out[NEIGHBOR_WAITING])
{
    uint32_t count = n->waiting_n;
    memcpy(out, n->waiting, count * sizeof(*out));
    n->waiting_n = 0;
    table->waiting -= count;
    return count;
}

static void entry_free(struct neighbor_table *table, struct neighbor *n)
{
    timed_remove(table, n);
    uint32_t *link = &table->chains[chain_of(table, n->interface, &n->address)];
    uint32_t index = neighbor_index(table, n);
    while (*link != index)
        link = &table->entries[*link].next;
    *link = n->next;
    n->state = NEIGHBOR_FREE;
    n->next = table->free;
    table->free = index;
    table->used--;
}

static bool may_evict(const struct neighbor *n, uint64_t now_us)
{
    if (n->permanent || n->waiting_n > 0)
        return false;
    uint64_t idle_us = now_us - n->used_us;
    return n->confirmed ? idle_us >= IDLE_US : idle_us >= YOUNG_US;
}

/* Frees one of the next entries of the clock hand, an unconfirmed one if there is any among them. */
static void evict(struct neighbor_table *table, uint64_t now_us)
{
    struct neighbor *candidate = NULL;
    for (uint32_t i = 0; i < EVICT_SCAN; i++) {
        struct neighbor *n = &table->entries[table->hand];
        table->hand = table->hand + 1 == table->capacity ? 0 : table->hand + 1;
        if (n->state == NEIGHBOR_FREE || !may_evict(n, now_us))
            continue;
        if (candidate == NULL || (candidate->confirmed && !n->confirmed))
            candidate = n;
        if (!candidate->confirmed)
            break;
    }
    if (candidate != NULL)
        entry_free(table, candidate);
}

static struct neighbor *entry_make(struct neighbor_table *table, uint16_t interface,
                                   const struct ip_address *address, uint64_t now_us)
{
    if (table->free == NEIGHBOR_NONE)
        evict(table, now_us);
    if (table->free == NEIGHBOR_NONE)
        return NULL;
    struct neighbor *n = &table->entries[table->free];
    uint32_t index = table->free;
    table->free = n->next;
    *n = (struct neighbor){.address = *address,
                           .interface = (uint8_t)interface,
                           .used_us = now_us,
                           .timed_next = NEIGHBOR_NONE,
                           .timed_previous = NEIGHBOR_NONE};
    uint32_t *chain = &table->chains[chain_of(table, interface, address)];
    n->next = *chain;
    *chain = index;
    table->used++;
    return n;
}

struct neighbor *neighbor_find(const struct neighbor_table *table, uint16_t interface,
                               const struct ip_address *address)
{
    uint32_t index = table->chains[chain_of(table, interface, address)];
    while (index != NEIGHBOR_NONE) {
        struct neighbor *n = &table->entries[index];
        if (n->interface == interface && ip_address_equal(&n->address, address))
            return n;
        index = n->next;
    }
    return NULL;
}

/* Asks everybody, for the first time. */
static void start_asking(struct neighbor_table *table, struct neighbor *n, uint64_t now_us)
{
    n->state = NEIGHBOR_INCOMPLETE;
    n->probes = 1;
    timed_set(table, n, now_us + RETRANSMIT_US);
    table->host->solicit(table->host_data, n, false);
}

/* Asks the MAC that we have, for the first time. */
static void start_probing(struct neighbor_table *table, struct neighbor *n, uint64_t now_us)
{
    n->state = NEIGHBOR_PROBE;
    n->probes = 1;
    timed_set(table, n, now_us + RETRANSMIT_US);
    table->host->solicit(table->host_data, n, true);
}

static void set_reachable(struct neighbor_table *table, struct neighbor *n, const uint8_t mac[6],
                          uint64_t now_us)
{
    memcpy(n->mac, mac, 6);
    n->state = NEIGHBOR_REACHABLE;
    n->confirmed_us = now_us;
    timed_remove(table, n);
    if (n->waiting_n > 0) {
        struct rte_mbuf *waiting[NEIGHBOR_WAITING];
        uint32_t count = take_waiting(table, n, waiting);
        table->host->resolved(table->host_data, n, waiting, count);
    }
}

struct neighbor *neighbor_want(struct neighbor_table *table, uint16_t interface,
                               const struct ip_address *address, uint64_t now_us)
{
    struct neighbor *n = neighbor_find(table, interface, address);
    if (n == NULL) {
        n = entry_make(table, interface, address, now_us);
        if (n != NULL)
            start_asking(table, n, now_us);
    }
    return n;
}

struct neighbor *neighbor_pin(struct neighbor_table *table, uint16_t interface,
                              const struct ip_address *address)
{
    struct neighbor *n = neighbor_find(table, interface, address);
    if (n == NULL) {
        n = entry_make(table, interface, address, 0);
        if (n == NULL)
            return NULL;
        n->state = NEIGHBOR_FAILED; /* asked for at the first packet */
    }
    n->permanent = true;
    return n;
}

/* A sign of life, or of trouble, from somebody who says to be `n`. */
void neighbor_heard_from(struct neighbor_table *table, struct neighbor *n, const uint8_t mac[6],
                         uint64_t now_us)
{
    bool same = memcmp(n->mac, mac, 6) == 0;
    if (!neighbor_has_mac(n)) {
        /* We are asking, or will: the answer decides, or that the device that was there wakes up. */
        if (same && n->confirmed)
            set_reachable(table, n, mac, now_us);
        return;
    }
    if (same) {
        if (n->confirmed) {
            n->state = NEIGHBOR_REACHABLE;
            n->confirmed_us = now_us;
            timed_remove(table, n);
        }
    } else if (n->state != NEIGHBOR_PROBE && now_us - n->confirmed_us >= RETRANSMIT_US) {
        start_probing(table, n, now_us);
    }
}

struct neighbor *neighbor_heard(struct neighbor_table *table, uint16_t interface,
                                const struct ip_address *address, const uint8_t mac[6], uint64_t now_us)
{
    struct neighbor *n = neighbor_find(table, interface, address);
    if (n != NULL) {
        neighbor_heard_from(table, n, mac, now_us);
        return n;
    }
    n = entry_make(table, interface, address, now_us);
    if (n != NULL) {
        memcpy(n->mac, mac, 6);
        n->state = NEIGHBOR_STALE;
    }
    return n;
}

void neighbor_announced(struct neighbor_table *table, uint16_t interface, const struct ip_address *address,
                        const uint8_t mac[6], uint64_t now_us)
{
    struct neighbor *n = neighbor_find(table, interface, address);
    if (n != NULL && neighbor_has_mac(n) && memcmp(n->mac, mac, 6) != 0)
        neighbor_heard_from(table, n, mac, now_us);
}

bool neighbor_answered(struct neighbor_table *table, uint16_t interface, const struct ip_address *address,
                       const uint8_t mac[6], uint64_t now_us)
{
    struct neighbor *n = neighbor_find(table, interface, address);
    if (n == NULL)
        return false;
    /* While the holder of the MAC that we have is being asked, only that one may answer. */
    bool asked =
        n->state == NEIGHBOR_INCOMPLETE || (n->state == NEIGHBOR_PROBE && memcmp(n->mac, mac, 6) == 0);
    if (!asked)
        return false;
    n->confirmed = true;
    set_reachable(table, n, mac, now_us);
    return true;
}

void neighbor_use(struct neighbor_table *table, struct neighbor *n, uint64_t now_us)
{
    n->used_us = now_us;
    if (n->state == NEIGHBOR_REACHABLE && now_us - n->confirmed_us >= REACHABLE_US)
        n->state = NEIGHBOR_STALE;
    if (n->state == NEIGHBOR_STALE) {
        n->state = NEIGHBOR_DELAY;
        /* One that never answered us is asked at the next tick. */
        timed_set(table, n, n->confirmed ? now_us + DELAY_US : now_us);
    }
}

struct rte_mbuf *neighbor_hold(struct neighbor_table *table, struct neighbor *n, struct rte_mbuf *packet,
                               uint64_t now_us)
{
    n->used_us = now_us;
    if (n->state == NEIGHBOR_FAILED) {
        if (n->due_us != 0)
            return packet;
        start_asking(table, n, now_us);
    }
    struct rte_mbuf *loser = NULL;
    if (n->waiting_n == NEIGHBOR_WAITING) {
        loser = n->waiting[0];
        memmove(&n->waiting[0], &n->waiting[1], (NEIGHBOR_WAITING - 1) * sizeof(n->waiting[0]));
        n->waiting_n--;
        table->waiting--;
    }
    if (table->waiting == NEIGHBOR_WAITING_ALL)
        return packet;
    n->waiting[n->waiting_n++] = packet;
    table->waiting++;
    return loser;
}

static void fail(struct neighbor_table *table, struct neighbor *n, uint64_t now_us)
{
    struct rte_mbuf *waiting[NEIGHBOR_WAITING];
    uint32_t count = take_waiting(table, n, waiting);
    n->state = NEIGHBOR_FAILED;
    timed_set(table, n, now_us + PAUSE_US);
    if (count > 0)
        table->host->failed(table->host_data, n, waiting, count);
}

static void entry_due(struct neighbor_table *table, struct neighbor *n, uint64_t now_us)
{
    switch (n->state) {
    case NEIGHBOR_DELAY:
        start_probing(table, n, now_us);
        break;
    case NEIGHBOR_PROBE:
    case NEIGHBOR_INCOMPLETE:
        if (n->probes < PROBES) {
            n->probes++;
            timed_set(table, n, now_us + RETRANSMIT_US);
            table->host->solicit(table->host_data, n, n->state == NEIGHBOR_PROBE);
        } else if (n->state == NEIGHBOR_INCOMPLETE) {
            fail(table, n, now_us);
        } else if (n->confirmed || n->permanent) {
            start_asking(table, n, now_us);
        } else { /* only ever claimed: forged sources must not make us ask everybody */
            entry_free(table, n);
        }
        break;
    default: /* a failure's pause is over */
        timed_remove(table, n);
        if (!n->permanent)
            entry_free(table, n);
        break;
    }
}

void neighbor_advance(struct neighbor_table *table, uint64_t now_us)
{
    if (table->timed_at == NEIGHBOR_NONE)
        table->timed_at = table->timed;
    for (uint32_t i = 0; i < TIMED_MAX && table->timed_at != NEIGHBOR_NONE; i++) {
        struct neighbor *n = &table->entries[table->timed_at];
        table->timed_at = n->timed_next;
        if (n->due_us <= now_us)
            entry_due(table, n, now_us);
    }
    for (uint32_t i = 0; i < SWEEP_SCAN; i++) {
        struct neighbor *n = &table->entries[table->hand];
        table->hand = table->hand + 1 == table->capacity ? 0 : table->hand + 1;
        if (n->state >= NEIGHBOR_STALE && !n->permanent && now_us - n->used_us >= FORGET_US)
            entry_free(table, n);
    }
}

struct neighbor_table *neighbor_table_create(uint32_t capacity, const uint8_t secret[16],
                                             const struct neighbor_host *host, void *host_data)
{
    uint32_t chains = 64;
    while (chains < capacity)
        chains *= 2;
    struct neighbor_table *table = calloc(1, sizeof(*table));
    if (table == NULL)
        return NULL;
    table->host = host;
    table->host_data = host_data;
    table->capacity = capacity;
    table->timed = NEIGHBOR_NONE;
    table->timed_at = NEIGHBOR_NONE;
    table->mask = chains - 1;
    memcpy(table->key, secret, 16);
    table->key[2] = fold_multiply(table->key[0] ^ 0x9e3779b97f4a7c15u, table->key[1] | 1);
    table->key[3] = fold_multiply(table->key[1] ^ 0xd1b54a32d192ed03u, table->key[0] | 1);
    table->chains = malloc(chains * sizeof(*table->chains));
    table->entries = calloc(capacity, sizeof(*table->entries));
    if (table->chains == NULL || table->entries == NULL) {
        neighbor_table_destroy(table);
        return NULL;
    }
    memset(table->chains, 0xff, chains * sizeof(*table->chains));
    for (uint32_t i = 0; i < capacity; i++)
        table->entries[i].next = i + 1 < capacity ? i + 1 : NEIGHBOR_NONE;
    return table;
}

void neighbor_table_destroy(struct neighbor_table *table)
{
    if (table == NULL)
        return;
    for (uint32_t i = 0; table->entries != NULL && i < table->capacity; i++)
        for (uint32_t w = 0; w < table->entries[i].waiting_n; w++)
            rte_pktmbuf_free(table->entries[i].waiting[w]);
    free(table->chains);
    free(table->entries);
    free(table);
}
