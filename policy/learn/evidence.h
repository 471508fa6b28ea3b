/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one worker has seen the clients of one role do, in memory that is reserved at once and never grows:
 * who they are (at most EVIDENCE_CLIENTS), and which shapes of topics they used (at most EVIDENCE_TOPICS),
 * each with the exact set of those clients, messages, QoS, retain, Will, payload sizes and times.
 *
 * Clients invent topics, and some invent client ids. So places are shared fairly, and whoever takes more than
 * a share only displaces its own:
 *   - a client holds at most EVIDENCE_SHARE topics. Beyond that a new one of its own comes in only when it
 * was seen more often than one of those that it holds and that nobody else uses (a count-min sketch tells,
 *     sketch.h, as TinyLFU does). A topic that others use too is not displaced by it.
 *   - when all places are taken, a topic comes in instead of one that was brought by an address which holds
 *     at least two more topics (or by a client of the same address that does), of several the one that the
 *     fewest clients use.
 *   - an address has at most EVIDENCE_SOURCE_CLIENTS clients that count; when all places of clients are
 * taken, an address with fewer clients displaces one of an address that has at least two more. What an honest
 * client brings can therefore only be displaced by as many addresses as there are places, not by any number
 * of topics, messages or client ids of a few. What found no place is counted as such.
 *
 * A flag (QoS, retain, Will) and the largest payload are kept so that what only one client did can be told
 * from what several did: one of many does not widen what is proposed for all.
 *
 * The memory holds indices, no pointers: a copy is as good (it is read elsewhere than it is written). Bounds
 * of one call: one hash of 250 bytes, 8 or EVIDENCE_PROBES places looked at; a client that is displaced costs
 * one pass over the topics. One thread; no allocation, no lock, no clock of its own.
 */
#ifndef POLICY_LEARN_EVIDENCE_H
#define POLICY_LEARN_EVIDENCE_H

#include "policy/learn/shape.h"
#include "policy/learn/sketch.h"

#define EVIDENCE_TOPICS 1024U
#define EVIDENCE_CLIENTS 2048U
#define EVIDENCE_SHARE 64U
#define EVIDENCE_SOURCE_CLIENTS 64U
#define EVIDENCE_PROBES 32U
#define EVIDENCE_TEXT_BYTES 384U /* of a client's values */
#define EVIDENCE_VALUE_MAX 127U
#define EVIDENCE_NAME_MAX 63U
#define EVIDENCE_NONE UINT16_MAX

/* What some client did. */
enum evidence_flag {
    EVIDENCE_QOS_0 = 0,
    EVIDENCE_QOS_1,
    EVIDENCE_QOS_2,
    EVIDENCE_RETAIN,
    EVIDENCE_WILL,
    EVIDENCE_MESSAGE, /* anything but a Will */
    EVIDENCE_FLAGS,
};

enum evidence_refusal {
    EVIDENCE_PASSED = 0,
    EVIDENCE_NOT_ALLOWED, /* no rule allows it so, or would not if it were enforced */
    EVIDENCE_DENIED,      /* a rule denies it */
};

struct evidence_act {
    uint8_t action; /* enum acl_action */
    uint8_t qos;
    bool retain;
    bool will;
    enum evidence_refusal refusal;
    uint32_t payload_bytes;
    uint64_t now_us; /* any clock */
    struct bytes topic;
};

struct evidence_topic {
    uint64_t hash;
    uint64_t messages;
    uint64_t first_us, last_us;
    uint32_t not_allowed, denied; /* messages, saturating */
    uint32_t payload_max;         /* and of all other clients than that of payload_client: */
    uint32_t payload_other_max;
    uint16_t payload_client;
    uint16_t clients_n;
    uint16_t owner;                /* the client that brought it */
    uint16_t older, newer;         /* of the owner's, as a ring by place */
    uint16_t next;                 /* in its bucket */
    uint16_t flag[EVIDENCE_FLAGS]; /* the first client that did so; EVIDENCE_NONE: nobody */
    uint8_t flags_more;            /* bit: another one did so too */
    bool used;
    struct shape shape;
    uint64_t client[EVIDENCE_CLIENTS / 64];
};

struct evidence_client {
    uint64_t hash; /* of its name */
    uint16_t source;
    uint16_t next;   /* in its bucket */
    uint16_t topics; /* that it owns */
    uint16_t first;  /* one of them */
    uint32_t serial; /* changes when the place is another's */
    bool used;
    uint8_t address[16];
    uint16_t text_used;
    struct {
        uint16_t at, len;
    } value[SHAPE_VARIABLES_MAX];
    uint16_t in_topics; /* bits: values that may stand in a topic */
    uint8_t text[EVIDENCE_TEXT_BYTES];
};

struct evidence_source {
    uint64_t hash; /* of the address */
    uint16_t next; /* in its bucket, or free */
    uint16_t clients;
    uint32_t topics; /* that they own */
};

struct evidence {
    uint64_t (*hash)(const void *key, const void *data, size_t n);
    const void *key;
    bool frozen; /* nothing is displaced: it is being copied */
    uint64_t messages;
    uint64_t no_place;         /* messages whose topic found none */
    uint64_t not_counted;      /* messages of clients that found none */
    uint64_t too_long;         /* messages whose topic has too many levels or bytes */
    uint64_t clients_no_place; /* times that a client found none */
    uint64_t displaced_topics, displaced_clients;
    uint64_t displaced_messages; /* of displaced topics */
    uint16_t topics_n, clients_n;
    uint16_t topics_used, clients_used, sources_used; /* places beyond were never used */
    uint16_t topics_free, clients_free, sources_free; /* chains */
    uint16_t topic_hand, client_hand;
    uint32_t serial;
    uint8_t names_n;
    char name[SHAPE_VARIABLES_MAX][EVIDENCE_NAME_MAX + 1]; /* of variables, by bit */
    uint16_t topic_bucket[EVIDENCE_TOPICS];                /* place + 1; 0: empty */
    uint16_t client_bucket[EVIDENCE_CLIENTS];
    uint16_t source_bucket[EVIDENCE_CLIENTS];
    struct sketch sketch;
    struct evidence_source source[EVIDENCE_CLIENTS];
    struct evidence_client client[EVIDENCE_CLIENTS];
    struct evidence_topic topic[EVIDENCE_TOPICS];
};

/* `evidence` is zeroed memory; a keyed hash of whose results clients know nothing, with a key that lives as
 * long. */
void evidence_init(struct evidence *evidence, uint64_t (*hash)(const void *key, const void *data, size_t n),
                   const void *key);

/* The place of a client, a new one if need be; EVIDENCE_NONE when none is to be had. */
uint16_t evidence_client(struct evidence *evidence, struct bytes name, const uint8_t address[16]);
/* Forgets its values. */
void evidence_clear_values(struct evidence *evidence, uint16_t client);
/* Notes the value of a variable; `in_topics`: it may stand in one. What is too long or too much is left out.
 */
void evidence_value(struct evidence *evidence, uint16_t client, struct bytes name, struct bytes value,
                    bool in_topics);
/* The value noted for the variable of this bit; at == NULL: none. */
struct bytes evidence_value_at(const struct evidence_client *client, uint32_t variable);

/* Notes what a client did; `client` may be EVIDENCE_NONE. */
void evidence_see(struct evidence *evidence, uint16_t client, const struct evidence_act *act);

static inline bool evidence_has(const struct evidence_topic *topic, uint16_t client)
{
    return (topic->client[client / 64] >> (client % 64) & 1) != 0;
}

#endif
