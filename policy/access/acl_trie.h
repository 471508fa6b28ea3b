/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How an acl lies in memory: private to the acl_*.c files.
 *
 * One block: the head, nodes of a cache line each, slots of the literal children, then what is rarer. A node
 * knows its literal children as a run of neighbours, of which a large one is also in `slots`, keyed by hash
 * of (parent, text); a small one is tried in turn. The text of a child lies in the child when it fits, so
 * that one level of a topic costs one or two cache lines.
 */
#ifndef POLICY_ACCESS_ACL_TRIE_H
#define POLICY_ACCESS_ACL_TRIE_H

#include "policy/access/acl.h"
#include "policy/access/hash.h"
#include "policy/access/topic.h"

#define ACL_ROOT 0U
/* Literal children up to this many are compared in turn. */
#define ACL_SCAN_MAX 2U
#define ACL_INLINE_TEXT 16U
#define ACL_NOT_A_VARIABLE UINT16_MAX

enum acl_end_flag {
    ACL_END_HASH = 1, /* "prefix/#": holds at its node and everywhere below */
    ACL_END_DENY = 2,
    ACL_END_ENFORCE = 4,
};

/* A rule where it ends, conditions as masks of what they let hold. */
struct acl_end {
    uint32_t rule;
    uint32_t payload_max;
    uint16_t actions; /* 0: no end */
    uint8_t flags;
    uint8_t qos_publish;   /* by bit: QoS 0, 1, 2 */
    uint8_t qos_subscribe; /* likewise */
    uint8_t retain;        /* bit 0: not retained, bit 1: retained */
    uint8_t will;          /* bit 0: no Will, bit 1: a Will */
    uint8_t payload;
};

struct acl_node {
    uint32_t literal_first;
    uint32_t literal_n;
    uint32_t plus; /* 0: none */
    uint32_t edge_first;
    uint32_t more_first; /* ends besides the one within */
    uint16_t more_n;
    uint16_t edge_n;
    uint16_t allows_below; /* actions of ends here and below */
    uint16_t denies_below;
    uint16_t text_len;
    uint8_t kind;
    uint8_t dollar; /* the text of this level begins with '$' */
    struct acl_end end;
    union {
        uint8_t text[ACL_INLINE_TEXT];
        uint32_t text_at; /* in acl->text */
    };
};
_Static_assert(sizeof(struct acl_node) == 64, "a node is a cache line");

enum acl_node_kind {
    ACL_NODE_LITERAL = 0,
    ACL_NODE_PLUS,
    ACL_NODE_VARIABLE,
};

/* A child behind a level with variables: the pieces it is put together from. */
struct acl_edge {
    uint32_t node;
    uint32_t piece_first;
    uint32_t pieces_n;
};

struct acl_piece {
    uint32_t text_at;
    uint16_t text_len;
    uint16_t variable; /* or ACL_NOT_A_VARIABLE */
};

struct acl_slot {
    uint32_t tag;
    uint32_t node; /* 0: empty */
};

struct acl {
    const struct acl_node *nodes;
    const struct acl_slot *slots;
    const struct acl_edge *edges;
    const struct acl_piece *pieces;
    const struct acl_end *more;
    const struct acl_rule *rules;
    const uint8_t *text;
    uint64_t seed;
    size_t bytes;
    uint32_t slot_mask;
    uint32_t probes; /* the longest run of slots that any lookup needs */
    uint32_t rules_n;
    uint32_t nodes_n;
    uint32_t variables_n;
    bool reads_payload;
    bool enforces; /* some deny holds even in a role that observes */
    const char *variables[ACL_VARIABLES_MAX];
};

/* The levels of a topic or a filter. */
struct acl_levels {
    uint32_t n;
    bool dollar; /* the first one begins with '$' */
    struct bytes at[TOPIC_LEVELS_MAX];
};

/* False when there are more than TOPIC_LEVELS_MAX. */
bool acl_levels_split(struct bytes topic, struct acl_levels *levels);

static inline const uint8_t *acl_node_text(const struct acl *acl, const struct acl_node *node)
{
    return node->text_len <= ACL_INLINE_TEXT ? node->text : acl->text + node->text_at;
}

static inline bool acl_node_is(const struct acl *acl, const struct acl_node *node, struct bytes text)
{
    return node->text_len == text.len && hash_same(acl_node_text(acl, node), text.at, text.len);
}

static inline uint64_t acl_child_hash(const struct acl *acl, uint32_t parent, struct bytes text)
{
    return hash_bytes(text.at, text.len, acl->seed ^ (parent * HASH_ODD_2));
}

/* The literal child with this text, or 0. */
static inline uint32_t acl_literal_child(const struct acl *acl, uint32_t parent, struct bytes text)
{
    const struct acl_node *node = &acl->nodes[parent];
    uint32_t first = node->literal_first;
    if (node->literal_n <= ACL_SCAN_MAX) {
        for (uint32_t id = first; id < first + node->literal_n; id++)
            if (acl_node_is(acl, &acl->nodes[id], text))
                return id;
        return 0;
    }
    uint64_t hash = acl_child_hash(acl, parent, text);
    uint32_t tag = (uint32_t)(hash >> 32), at = (uint32_t)hash;
    for (uint32_t i = 0; i < acl->probes; i++, at++) {
        const struct acl_slot *slot = &acl->slots[at & acl->slot_mask];
        if (slot->node == 0)
            return 0;
        if (slot->tag == tag && slot->node - first < node->literal_n &&
            acl_node_is(acl, &acl->nodes[slot->node], text))
            return slot->node;
    }
    return 0;
}

/* Whether a level with variables, put together from `values`, is this text; and whether it can be put
 * together at all. */
bool acl_edge_is(const struct acl *acl, const struct acl_edge *edge, const struct acl_values *values,
                 struct bytes text);
bool acl_edge_usable(const struct acl *acl, const struct acl_edge *edge, const struct acl_values *values);

/* A request made ready for comparing with ends. */
struct acl_question {
    uint16_t action; /* its bit */
    uint8_t qos;     /* its bit; 0 when it is above 2 */
    uint8_t retain;
    uint8_t will;
    bool subscribe;
    bool message; /* PUBLISH: retain and Will are looked at */
    uint32_t payload_bytes;
};

enum acl_failure {
    ACL_FAILS_QOS = 1,
    ACL_FAILS_RETAIN = 2,
    ACL_FAILS_PAYLOAD = 4,
    ACL_FAILS_WILL = 8,
};

struct acl_question acl_question_of(const struct acl_request *request);

/* The conditions that do not hold, as bits. */
static inline unsigned int acl_end_fails(const struct acl_end *end, const struct acl_question *q)
{
    unsigned int fails = end->payload_max < q->payload_bytes ? ACL_FAILS_PAYLOAD : 0;
    if (q->message) {
        fails |= (end->qos_publish & q->qos) == 0 ? ACL_FAILS_QOS : 0;
        fails |= (end->retain & q->retain) == 0 ? ACL_FAILS_RETAIN : 0;
        fails |= (end->will & q->will) == 0 ? ACL_FAILS_WILL : 0;
    } else if (q->subscribe) {
        fails |= (end->qos_subscribe & q->qos) == 0 ? ACL_FAILS_QOS : 0;
    }
    return fails;
}

/* What was met on the way, of which the answer is made. Independent of the order of meeting. */
struct acl_tally {
    uint32_t deny; /* rule, or ACL_RULE_NONE */
    uint32_t allow;
    uint32_t failed;
    uint8_t payload;       /* of `allow`: the least demanding */
    uint8_t failures;      /* of `failed`: the fewest */
    bool deny_is_enforced; /* such a deny is named before others */
};

void acl_tally_init(struct acl_tally *tally);
void acl_tally_meet(struct acl_tally *tally, const struct acl_end *end, const struct acl_question *q);
struct acl_decision acl_tally_decision(const struct acl_tally *tally);

/* The end that a rule as written amounts to. */
struct acl_end acl_end_of(const struct acl_rule *rule, uint32_t index);

/* The filter that a rule's topic becomes with these values, which the caller frees. False when a variable
 * matches nothing (or memory is not to be had); with `raw` such a variable is left as written instead. */
bool acl_expand(const struct acl *acl, uint32_t rule, const struct acl_values *values, bool raw,
                struct bytes *filter);

#endif
