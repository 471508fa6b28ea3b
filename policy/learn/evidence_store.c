/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/learn/evidence_store.h"

#include "policy/access/acl.h"
#include "policy/learn/evidence_private.h"

/* ---- out ----------------------------------------------------------------------------------------------- */

struct writer {
    uint8_t *at;
    size_t left;
    bool full;
};

static void put_bytes(struct writer *w, const void *from, size_t n)
{
    if (w->full || n > w->left) {
        w->full = true;
        return;
    }
    if (n != 0)
        memcpy(w->at, from, n);
    w->at += n;
    w->left -= n;
}

static void put(struct writer *w, uint64_t value, size_t bytes)
{
    uint8_t text[8];
    for (size_t i = 0; i < bytes; i++)
        text[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    put_bytes(w, text, bytes);
}

static void put_client(struct writer *w, const struct evidence *e, const struct evidence_client *client)
{
    uint8_t values = 0;
    for (uint32_t i = 0; i < e->names_n; i++)
        values = (uint8_t)(values + (client->value[i].len != 0));
    put(w, client->hash, 8);
    put_bytes(w, client->address, sizeof(client->address));
    put(w, client->in_topics, 2);
    put(w, values, 1);
    for (uint32_t i = 0; i < e->names_n; i++) {
        struct bytes value = evidence_value_at(client, i);
        if (value.len == 0)
            continue;
        put(w, i, 1);
        put(w, value.len, 1);
        put_bytes(w, value.at, value.len);
    }
}

/* Who is written as the first that did so: of several the first one may be gone, then it is another. */
static uint16_t first_of(const struct evidence_topic *topic, uint16_t client)
{
    if (client == EVIDENCE_NONE || evidence_has(topic, client))
        return client;
    for (uint16_t i = 0; i < EVIDENCE_CLIENTS; i++)
        if (evidence_has(topic, i))
            return i;
    return EVIDENCE_NONE;
}

static void put_number(struct writer *w, const uint16_t *number, uint16_t client)
{
    put(w, client == EVIDENCE_NONE ? EVIDENCE_NONE : number[client], 2);
}

/* `number`: of clients by place, as they are written. */
static void put_topic(struct writer *w, const struct evidence_topic *topic, const uint16_t *number,
                      uint16_t clients)
{
    uint8_t users[EVIDENCE_CLIENTS / 8] = {0};
    put(w, topic->messages, 8);
    put(w, topic->first_us, 8);
    put(w, topic->last_us, 8);
    put(w, topic->not_allowed, 4);
    put(w, topic->denied, 4);
    put(w, topic->payload_max, 4);
    put(w, topic->payload_other_max, 4);
    put_number(w, number, topic->payload_client);
    put_number(w, number, topic->owner);
    for (int i = 0; i < EVIDENCE_FLAGS; i++)
        put_number(w, number, first_of(topic, topic->flag[i]));
    put(w, topic->flags_more, 1);
    put(w, topic->shape.len, 1);
    put_bytes(w, topic->shape.at, topic->shape.len);
    for (uint16_t i = 0; i < EVIDENCE_CLIENTS; i++)
        if (evidence_has(topic, i))
            users[number[i] / 8] = (uint8_t)(users[number[i] / 8] | 1u << (number[i] % 8));
    put_bytes(w, users, (clients + 7u) / 8u);
}

size_t evidence_store(const struct evidence *e, uint8_t *to, size_t room)
{
    struct writer w = {.at = to, .left = room};
    uint16_t number[EVIDENCE_CLIENTS], clients = 0;
    put(&w, e->names_n, 1);
    for (uint32_t i = 0; i < e->names_n; i++) {
        size_t n = strlen(e->name[i]);
        put(&w, n, 1);
        put_bytes(&w, e->name[i], n);
    }
    const uint64_t counts[] = {e->messages,          e->no_place,          e->not_counted,
                               e->too_long,          e->clients_no_place,  e->displaced_topics,
                               e->displaced_clients, e->displaced_messages};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        put(&w, counts[i], 8);
    put(&w, e->clients_n, 2);
    for (uint16_t i = 0; i < EVIDENCE_CLIENTS; i++) {
        number[i] = clients;
        if (!e->client[i].used)
            continue;
        put_client(&w, e, &e->client[i]);
        clients++;
    }
    put(&w, e->topics_n, 2);
    for (uint16_t i = 0; i < EVIDENCE_TOPICS; i++)
        if (e->topic[i].used)
            put_topic(&w, &e->topic[i], number, clients);
    return w.full ? 0 : room - w.left;
}

/* ---- in ------------------------------------------------------------------------------------------------ */

/* Reads that fail leave `good` false and answer 0, so that a run of them needs one look at the end. */
struct reader {
    struct cursor at;
    bool good;
};

static uint64_t take(struct reader *r, size_t bytes)
{
    struct bytes text;
    uint64_t value = 0;
    if (!r->good || cursor_bytes(&r->at, bytes, &text) != READ_OK) {
        r->good = false;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | text.at[i];
    return value;
}

static struct bytes take_bytes(struct reader *r, size_t n)
{
    struct bytes text;
    if (!r->good || cursor_bytes(&r->at, n, &text) != READ_OK) {
        r->good = false;
        return bytes_of(NULL, 0);
    }
    return text;
}

static bool take_names(struct reader *r, struct evidence *e)
{
    uint64_t n = take(r, 1);
    if (n > SHAPE_VARIABLES_MAX)
        return false;
    for (uint64_t i = 0; i < n; i++) {
        struct bytes name = take_bytes(r, take(r, 1));
        if (!r->good || memchr(name.at, '\0', name.len) != NULL || evidence_name(e, name) != i)
            return false;
    }
    return r->good;
}

static bool take_client(struct reader *r, struct evidence *e, uint16_t expected)
{
    uint64_t hash = take(r, 8);
    struct bytes address = take_bytes(r, 16);
    uint64_t in_topics = take(r, 2), values = take(r, 1);
    if (!r->good || values > e->names_n || evidence_add_client(e, hash, address.at) != expected)
        return false;
    for (uint64_t i = 0; i < values; i++) {
        uint64_t bit = take(r, 1);
        struct bytes value = take_bytes(r, take(r, 1));
        if (!r->good || bit >= e->names_n || evidence_value_at(&e->client[expected], (uint32_t)bit).len != 0)
            return false;
        evidence_value(e, expected, bytes_of_text(e->name[bit]), value, (in_topics >> bit & 1) != 0);
        if (!bytes_equal(evidence_value_at(&e->client[expected], (uint32_t)bit), value))
            return false; /* it had no room, or is empty */
    }
    return e->client[expected].in_topics == in_topics;
}

/* Action and levels, to the last byte, of variables that have names. */
static bool is_shape(const struct evidence *e, struct bytes text, struct shape *shape)
{
    struct shape_level level;
    uint32_t at = 0, levels = 0;
    if (text.len < 2 || text.len > SHAPE_BYTES_MAX || text.at[0] >= ACL_ACTIONS)
        return false;
    shape->len = (uint8_t)text.len;
    memcpy(shape->at, text.at, text.len);
    while ((level = shape_next(shape, &at)).kind != SHAPE_END)
        if (++levels > SHAPE_LEVELS_MAX ||
            (level.kind == SHAPE_VARIABLE && (level.variables == 0 || level.variables >> e->names_n != 0)))
            return false;
    return at == text.len;
}

/* A client that uses the topic, or none. */
static bool is_user(const struct evidence_topic *topic, uint64_t client, uint16_t clients)
{
    return client == EVIDENCE_NONE || (client < clients && evidence_has(topic, (uint16_t)client));
}

static bool take_users(struct reader *r, struct evidence_topic *topic, uint16_t clients)
{
    struct bytes users = take_bytes(r, (clients + 7u) / 8u);
    for (size_t i = 0; i < users.len * 8; i++) {
        if ((users.at[i / 8] >> (i % 8) & 1) == 0)
            continue;
        if (i >= clients)
            return false;
        topic->client[i / 64] |= UINT64_C(1) << (i % 64);
        topic->clients_n++;
    }
    return r->good && topic->clients_n != 0;
}

static bool take_topic(struct reader *r, struct evidence *e)
{
    struct evidence_topic t = {.messages = take(r, 8)};
    t.first_us = take(r, 8);
    t.last_us = take(r, 8);
    t.not_allowed = (uint32_t)take(r, 4);
    t.denied = (uint32_t)take(r, 4);
    t.payload_max = (uint32_t)take(r, 4);
    t.payload_other_max = (uint32_t)take(r, 4);
    t.payload_client = (uint16_t)take(r, 2);
    uint64_t owner = take(r, 2);
    for (int i = 0; i < EVIDENCE_FLAGS; i++)
        t.flag[i] = (uint16_t)take(r, 2);
    t.flags_more = (uint8_t)take(r, 1);
    struct bytes text = take_bytes(r, take(r, 1));
    if (!r->good || !is_shape(e, text, &t.shape) || !take_users(r, &t, e->clients_n))
        return false;
    bool good = t.flags_more >> EVIDENCE_FLAGS == 0 && owner != EVIDENCE_NONE &&
                is_user(&t, owner, e->clients_n) && is_user(&t, t.payload_client, e->clients_n);
    for (int i = 0; i < EVIDENCE_FLAGS; i++)
        good = good && is_user(&t, t.flag[i], e->clients_n);
    return good && evidence_add_topic(e, (uint16_t)owner, &t);
}

bool evidence_take(struct evidence *e, struct bytes from)
{
    struct reader r = {.at = cursor_of(from), .good = true};
    uint64_t *const counts[] = {&e->messages,          &e->no_place,          &e->not_counted,
                                &e->too_long,          &e->clients_no_place,  &e->displaced_topics,
                                &e->displaced_clients, &e->displaced_messages};
    uint64_t kept[sizeof(counts) / sizeof(counts[0])];
    if (!take_names(&r, e))
        return false;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        kept[i] = take(&r, 8);
    uint64_t n = take(&r, 2);
    if (n > EVIDENCE_CLIENTS)
        return false;
    for (uint64_t i = 0; i < n; i++)
        if (!take_client(&r, e, (uint16_t)i))
            return false;
    n = take(&r, 2);
    if (n > EVIDENCE_TOPICS)
        return false;
    for (uint64_t i = 0; i < n; i++)
        if (!take_topic(&r, e))
            return false;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        *counts[i] = kept[i];
    return r.good && cursor_left(&r.at) == 0;
}
