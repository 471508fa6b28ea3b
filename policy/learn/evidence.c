/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was done: shapes of topics, their clients, and the places that they share. */
#include "policy/learn/evidence_private.h"

#define OWN_PROBES 8

void evidence_init(struct evidence *e, uint64_t (*hash)(const void *key, const void *data, size_t n),
                   const void *key)
{
    e->hash = hash;
    e->key = key;
    e->topics_free = e->clients_free = e->sources_free = EVIDENCE_NONE;
}

/* ---- what a client owns: a ring through `older` and `newer` ---------------------------------------------
 */

static void own(struct evidence *e, uint16_t owner, uint16_t place)
{
    struct evidence_client *client = &e->client[owner];
    struct evidence_topic *topic = &e->topic[place];
    topic->owner = owner;
    if (client->topics++ == 0) {
        topic->older = topic->newer = place;
        client->first = place;
    } else {
        topic->newer = client->first;
        topic->older = e->topic[client->first].older;
        e->topic[topic->older].newer = place;
        e->topic[client->first].older = place;
    }
    evidence_source_of(e, owner)->topics++;
}

static void disown(struct evidence *e, uint16_t place)
{
    struct evidence_topic *topic = &e->topic[place];
    struct evidence_client *client = &e->client[topic->owner];
    evidence_source_of(e, topic->owner)->topics--;
    e->topic[topic->older].newer = topic->newer;
    e->topic[topic->newer].older = topic->older;
    client->first = --client->topics == 0 ? EVIDENCE_NONE : topic->newer;
}

/* ---- places ------------------------------------------------------------------------------------------- */

static uint16_t find_topic(const struct evidence *e, uint64_t hash, const struct shape *shape)
{
    uint16_t at = e->topic_bucket[hash % EVIDENCE_TOPICS];
    while (at != 0) {
        const struct evidence_topic *topic = &e->topic[at - 1];
        if (topic->hash == hash && topic->shape.len == shape->len &&
            memcmp(topic->shape.at, shape->at, shape->len) == 0)
            break;
        at = topic->next;
    }
    return (uint16_t)(at - 1); /* 0 - 1: EVIDENCE_NONE */
}

static void drop_topic(struct evidence *e, uint16_t place)
{
    struct evidence_topic *topic = &e->topic[place];
    uint16_t *link = &e->topic_bucket[topic->hash % EVIDENCE_TOPICS];
    disown(e, place);
    while (*link != place + 1)
        link = &e->topic[*link - 1].next;
    *link = topic->next;
    topic->used = false;
    topic->next = e->topics_free;
    e->topics_free = place;
    e->topics_n--;
}

static void displace_topic(struct evidence *e, uint16_t place)
{
    const struct evidence_topic *topic = &e->topic[place];
    sketch_raise(&e->sketch, topic->hash,
                 topic->messages > UINT32_MAX ? UINT32_MAX : (uint32_t)topic->messages);
    e->displaced_messages += topic->messages;
    e->displaced_topics++;
    drop_topic(e, place);
}

/* Gives it to the first client that uses it; false when there is none. */
static bool hand_over(struct evidence *e, uint16_t place)
{
    struct evidence_topic *topic = &e->topic[place];
    for (uint32_t i = 0; i < EVIDENCE_CLIENTS / 64; i++) {
        if (topic->client[i] == 0)
            continue;
        disown(e, place);
        own(e, (uint16_t)(i * 64 + (uint32_t)__builtin_ctzll(topic->client[i])), place);
        return true;
    }
    return false;
}

/* What only this client did, nobody did. */
static void forget_client(struct evidence_topic *topic, uint16_t client)
{
    topic->client[client / 64] &= ~(UINT64_C(1) << (client % 64));
    topic->clients_n--;
    for (int i = 0; i < EVIDENCE_FLAGS; i++)
        if (topic->flag[i] == client && (topic->flags_more >> i & 1) == 0)
            topic->flag[i] = EVIDENCE_NONE;
    if (topic->payload_client == client) {
        topic->payload_max = topic->payload_other_max;
        topic->payload_client = EVIDENCE_NONE;
    }
}

void evidence_leave_topics(struct evidence *e, uint16_t client)
{
    for (uint16_t place = 0; place < e->topics_used; place++) {
        struct evidence_topic *topic = &e->topic[place];
        if (!topic->used || !evidence_has(topic, client))
            continue;
        forget_client(topic, client);
        if (topic->owner != client || hand_over(e, place))
            continue;
        e->displaced_messages += topic->messages;
        drop_topic(e, place);
    }
}

/* ---- who makes room -------------------------------------------------------------------------------------
 */

/* A client that has its share: the least used of some of its own that nobody else uses. */
static bool displace_own(struct evidence *e, uint16_t client, uint32_t seen)
{
    uint16_t victim = EVIDENCE_NONE, at = e->client[client].first;
    uint64_t least = seen;
    for (uint32_t i = 0; i < OWN_PROBES; i++, at = e->topic[at].newer)
        if (e->topic[at].clients_n == 1 && e->topic[at].messages < least) {
            least = e->topic[at].messages;
            victim = at;
        }
    e->client[client].first = at; /* others are looked at next time */
    if (victim == EVIDENCE_NONE)
        return false;
    displace_topic(e, victim);
    return true;
}

/* How much more than the client whoever brought a topic has: of the address when it is another one. */
static bool has_more(const struct evidence *e, uint16_t client, uint16_t owner)
{
    uint16_t source = e->client[client].source, other = e->client[owner].source;
    return source == other ? e->client[owner].topics > e->client[client].topics + 1u
                           : e->source[other].topics > e->source[source].topics + 1;
}

/* All places are taken: one of whoever has more makes room. */
static bool displace_other(struct evidence *e, uint16_t client)
{
    uint16_t victim = EVIDENCE_NONE;
    for (uint32_t i = 0; i < EVIDENCE_PROBES; i++) {
        uint16_t at = e->topic_hand;
        const struct evidence_topic *topic = &e->topic[at];
        e->topic_hand = (uint16_t)((at + 1) % EVIDENCE_TOPICS);
        if (topic->used && has_more(e, client, topic->owner) &&
            (victim == EVIDENCE_NONE || topic->clients_n < e->topic[victim].clients_n))
            victim = at;
    }
    if (victim == EVIDENCE_NONE)
        return false;
    displace_topic(e, victim);
    return true;
}

static bool make_room(struct evidence *e, uint16_t client, uint64_t hash)
{
    bool share = e->client[client].topics >= EVIDENCE_SHARE;
    if (!share && e->topics_n < EVIDENCE_TOPICS)
        return true;
    uint32_t seen = sketch_count(&e->sketch, hash), chance = e->sketch.counted / SKETCH_WIDTH;
    seen = seen > chance ? seen - chance : 0;
    if (e->frozen)
        return false;
    return share ? displace_own(e, client, seen) : displace_other(e, client);
}

/* A place of those that are left, zeroed but for where it stands. */
static uint16_t place_topic(struct evidence *e, uint16_t client, uint64_t hash, const struct shape *shape)
{
    uint16_t place = e->topics_free;
    if (place != EVIDENCE_NONE)
        e->topics_free = e->topic[place].next;
    else
        place = e->topics_used++;
    struct evidence_topic *topic = &e->topic[place];
    uint16_t *bucket = &e->topic_bucket[hash % EVIDENCE_TOPICS];
    memset(topic, 0, sizeof(*topic));
    topic->hash = hash;
    topic->used = true;
    topic->payload_client = EVIDENCE_NONE;
    for (int i = 0; i < EVIDENCE_FLAGS; i++)
        topic->flag[i] = EVIDENCE_NONE;
    topic->shape.len = shape->len;
    memcpy(topic->shape.at, shape->at, shape->len);
    topic->next = *bucket;
    *bucket = (uint16_t)(place + 1);
    e->topics_n++;
    own(e, client, place);
    return place;
}

static uint16_t add_topic(struct evidence *e, uint16_t client, uint64_t hash, const struct shape *shape,
                          uint64_t now_us)
{
    if (!make_room(e, client, hash))
        return EVIDENCE_NONE;
    uint16_t place = place_topic(e, client, hash, shape);
    e->topic[place].first_us = now_us;
    return place;
}

bool evidence_add_topic(struct evidence *e, uint16_t owner, const struct evidence_topic *like)
{
    uint64_t hash = e->hash(e->key, like->shape.at, like->shape.len);
    if (e->topics_n == EVIDENCE_TOPICS || find_topic(e, hash, &like->shape) != EVIDENCE_NONE)
        return false;
    uint16_t place = place_topic(e, owner, hash, &like->shape);
    struct evidence_topic *topic = &e->topic[place];
    const struct evidence_topic stands = *topic;
    *topic = *like;
    topic->hash = hash;
    topic->used = true;
    topic->owner = owner;
    topic->older = stands.older;
    topic->newer = stands.newer;
    topic->next = stands.next;
    return true;
}

/* ---- what was seen ------------------------------------------------------------------------------------ */

static void raise_flag(struct evidence_topic *topic, enum evidence_flag flag, uint16_t client)
{
    if (topic->flag[flag] == EVIDENCE_NONE)
        topic->flag[flag] = client;
    else if (topic->flag[flag] != client)
        topic->flags_more = (uint8_t)(topic->flags_more | 1u << flag);
}

static void note_payload(struct evidence_topic *topic, uint16_t client, uint32_t bytes)
{
    if (topic->payload_client == client) {
        topic->payload_max = bytes > topic->payload_max ? bytes : topic->payload_max;
    } else if (topic->payload_client == EVIDENCE_NONE || bytes > topic->payload_max) {
        topic->payload_other_max =
            topic->payload_max > topic->payload_other_max ? topic->payload_max : topic->payload_other_max;
        topic->payload_max = bytes > topic->payload_max ? bytes : topic->payload_max;
        topic->payload_client = client;
    } else if (bytes > topic->payload_other_max) {
        topic->payload_other_max = bytes;
    }
}

static void note_act(struct evidence_topic *topic, uint16_t client, const struct evidence_act *act)
{
    uint64_t bit = UINT64_C(1) << (client % 64);
    if ((topic->client[client / 64] & bit) == 0) {
        topic->client[client / 64] |= bit;
        topic->clients_n++;
    }
    raise_flag(topic, (enum evidence_flag)(EVIDENCE_QOS_0 + (act->qos < 3 ? act->qos : 2)), client);
    raise_flag(topic, act->will ? EVIDENCE_WILL : EVIDENCE_MESSAGE, client);
    if (act->retain)
        raise_flag(topic, EVIDENCE_RETAIN, client);
    note_payload(topic, client, act->payload_bytes);
}

void evidence_see(struct evidence *e, uint16_t client, const struct evidence_act *act)
{
    struct bytes values[SHAPE_VARIABLES_MAX];
    struct shape shape;
    uint32_t n = 0;
    e->messages++;
    if (client == EVIDENCE_NONE) {
        e->not_counted++;
        return;
    }
    for (; n < e->names_n; n++)
        values[n] = (e->client[client].in_topics >> n & 1) != 0 ? evidence_value_at(&e->client[client], n)
                                                                : bytes_of(NULL, 0);
    if (!shape_make(&shape, act->action, act->topic, values, n)) {
        e->too_long++;
        return;
    }
    uint64_t hash = e->hash(e->key, shape.at, shape.len);
    uint16_t place = find_topic(e, hash, &shape);
    if (place == EVIDENCE_NONE)
        place = add_topic(e, client, hash, &shape, act->now_us);
    if (place == EVIDENCE_NONE) {
        e->no_place++;
        return;
    }
    struct evidence_topic *topic = &e->topic[place];
    topic->messages++;
    if (act->now_us > topic->last_us) /* a clock may be set back */
        topic->last_us = act->now_us;
    topic->not_allowed += act->refusal == EVIDENCE_NOT_ALLOWED && topic->not_allowed != UINT32_MAX;
    topic->denied += act->refusal == EVIDENCE_DENIED && topic->denied != UINT32_MAX;
    note_act(topic, client, act);
}
