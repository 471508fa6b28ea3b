/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who was seen: clients, their values, and the addresses among which their places are shared. */
#include "policy/learn/evidence_private.h"

static uint16_t take_place(uint16_t *free_chain, uint16_t *used, uint32_t room, uint16_t next_free)
{
    if (*free_chain != EVIDENCE_NONE) {
        uint16_t place = *free_chain;
        *free_chain = next_free;
        return place;
    }
    return *used < room ? (*used)++ : EVIDENCE_NONE;
}

/* ---- addresses ---------------------------------------------------------------------------------------- */

static uint16_t find_source(const struct evidence *e, uint64_t hash)
{
    uint16_t at = e->source_bucket[hash % EVIDENCE_CLIENTS];
    while (at != 0 && e->source[at - 1].hash != hash)
        at = e->source[at - 1].next;
    return (uint16_t)(at - 1); /* 0 - 1: EVIDENCE_NONE */
}

/* There are as many places as clients, each of which has one address. */
static uint16_t add_source(struct evidence *e, uint64_t hash)
{
    uint16_t next_free = e->sources_free == EVIDENCE_NONE ? EVIDENCE_NONE : e->source[e->sources_free].next;
    uint16_t place = take_place(&e->sources_free, &e->sources_used, EVIDENCE_CLIENTS, next_free);
    if (place == EVIDENCE_NONE)
        return EVIDENCE_NONE;
    uint16_t *bucket = &e->source_bucket[hash % EVIDENCE_CLIENTS];
    e->source[place] = (struct evidence_source){.hash = hash, .next = *bucket};
    *bucket = (uint16_t)(place + 1);
    return place;
}

static void drop_source(struct evidence *e, uint16_t place)
{
    struct evidence_source *source = &e->source[place];
    uint16_t *link = &e->source_bucket[source->hash % EVIDENCE_CLIENTS];
    while (*link != place + 1)
        link = &e->source[*link - 1].next;
    *link = source->next;
    source->next = e->sources_free;
    e->sources_free = place;
}

/* ---- clients ------------------------------------------------------------------------------------------ */

static uint16_t find_client(const struct evidence *e, uint64_t hash)
{
    uint16_t at = e->client_bucket[hash % EVIDENCE_CLIENTS];
    while (at != 0 && e->client[at - 1].hash != hash)
        at = e->client[at - 1].next;
    return (uint16_t)(at - 1);
}

static void drop_client(struct evidence *e, uint16_t place)
{
    struct evidence_client *client = &e->client[place];
    evidence_leave_topics(e, place);
    uint16_t *link = &e->client_bucket[client->hash % EVIDENCE_CLIENTS];
    while (*link != place + 1)
        link = &e->client[*link - 1].next;
    *link = client->next;
    if (--e->source[client->source].clients == 0)
        drop_source(e, client->source);
    client->used = false;
    client->serial = ++e->serial;
    client->next = e->clients_free;
    e->clients_free = place;
    e->clients_n--;
    e->displaced_clients++;
}

/* Somewhere in the next places, a client of an address that has more than one above `clients`. */
static bool displace_client(struct evidence *e, uint32_t clients)
{
    uint16_t victim = EVIDENCE_NONE;
    uint32_t most = clients + 1;
    if (e->frozen)
        return false;
    for (uint32_t i = 0; i < EVIDENCE_PROBES; i++) {
        uint16_t at = e->client_hand;
        e->client_hand = (uint16_t)((at + 1) % EVIDENCE_CLIENTS);
        if (e->client[at].used && e->source[e->client[at].source].clients > most) {
            most = e->source[e->client[at].source].clients;
            victim = at;
        }
    }
    if (victim == EVIDENCE_NONE)
        return false;
    drop_client(e, victim);
    return true;
}

static uint16_t add_client(struct evidence *e, uint64_t hash, const uint8_t address[16])
{
    uint64_t source_hash = e->hash(e->key, address, 16);
    uint16_t source = find_source(e, source_hash);
    uint32_t clients = source == EVIDENCE_NONE ? 0 : e->source[source].clients;
    if (clients >= EVIDENCE_SOURCE_CLIENTS)
        return EVIDENCE_NONE;
    if (e->clients_n == EVIDENCE_CLIENTS && !displace_client(e, clients))
        return EVIDENCE_NONE;
    if (source == EVIDENCE_NONE)
        source = add_source(e, source_hash);
    uint16_t next_free = e->clients_free == EVIDENCE_NONE ? EVIDENCE_NONE : e->client[e->clients_free].next;
    uint16_t place = take_place(&e->clients_free, &e->clients_used, EVIDENCE_CLIENTS, next_free);
    uint16_t *bucket = &e->client_bucket[hash % EVIDENCE_CLIENTS];
    struct evidence_client *client = &e->client[place];
    *client = (struct evidence_client){.hash = hash,
                                       .source = source,
                                       .next = *bucket,
                                       .first = EVIDENCE_NONE,
                                       .serial = ++e->serial,
                                       .used = true};
    memcpy(client->address, address, sizeof(client->address));
    *bucket = (uint16_t)(place + 1);
    e->source[source].clients++;
    e->clients_n++;
    return place;
}

uint16_t evidence_add_client(struct evidence *e, uint64_t hash, const uint8_t address[16])
{
    return find_client(e, hash) == EVIDENCE_NONE ? add_client(e, hash, address) : EVIDENCE_NONE;
}

uint16_t evidence_client(struct evidence *e, struct bytes name, const uint8_t address[16])
{
    uint64_t hash = e->hash(e->key, name.at, name.len);
    uint16_t place = find_client(e, hash);
    if (place == EVIDENCE_NONE)
        place = add_client(e, hash, address);
    if (place == EVIDENCE_NONE)
        e->clients_no_place++;
    return place;
}

/* ---- values ------------------------------------------------------------------------------------------- */

void evidence_clear_values(struct evidence *e, uint16_t place)
{
    struct evidence_client *client = &e->client[place];
    client->text_used = 0;
    client->in_topics = 0;
    memset(client->value, 0, sizeof(client->value));
}

uint32_t evidence_name(struct evidence *e, struct bytes name)
{
    uint32_t i = 0;
    while (i < e->names_n && !bytes_equal(bytes_of_text(e->name[i]), name))
        i++;
    if (i < e->names_n || i == SHAPE_VARIABLES_MAX || name.len > EVIDENCE_NAME_MAX || name.len == 0)
        return i < e->names_n ? i : SHAPE_VARIABLES_MAX;
    memcpy(e->name[i], name.at, name.len);
    e->name[i][name.len] = '\0';
    e->names_n++;
    return i;
}

void evidence_value(struct evidence *e, uint16_t place, struct bytes name, struct bytes value, bool in_topics)
{
    struct evidence_client *client = &e->client[place];
    if (value.len == 0 || value.len > EVIDENCE_VALUE_MAX ||
        value.len > EVIDENCE_TEXT_BYTES - client->text_used)
        return;
    uint32_t bit = evidence_name(e, name);
    if (bit == SHAPE_VARIABLES_MAX)
        return;
    memcpy(client->text + client->text_used, value.at, value.len);
    client->value[bit].at = client->text_used;
    client->value[bit].len = (uint16_t)value.len;
    client->text_used = (uint16_t)(client->text_used + value.len);
    if (in_topics)
        client->in_topics = (uint16_t)(client->in_topics | 1u << bit);
}

struct bytes evidence_value_at(const struct evidence_client *client, uint32_t variable)
{
    if (variable >= SHAPE_VARIABLES_MAX || client->value[variable].len == 0)
        return bytes_of(NULL, 0);
    return bytes_of(client->text + client->value[variable].at, client->value[variable].len);
}
