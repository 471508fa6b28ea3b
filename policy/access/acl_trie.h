/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How an acl lies in memory: private to the acl_*.c files.
 *
 * One block: the head, nodes of a cache line each, then what is rarer. Every node has a path hash, made from
 * its parent's and the text of its level. Nodes with literal text lie where a perfect hash of that puts them,
 * the others behind: so a literal child is found by looking at one line, and since the path hash is known
 * from the topic alone, the lines of all its levels are fetched at once. A find is compared: parent and text.
 */
#ifndef POLICY_ACCESS_ACL_TRIE_H
#define POLICY_ACCESS_ACL_TRIE_H

#include "policy/access/acl.h"
#include "policy/access/hash.h"
#include "policy/access/perfect_hash.h"
#include "policy/access/topic.h"

#define ACL_INLINE_TEXT 20U
#define ACL_NOT_A_VARIABLE UINT16_MAX
#define ACL_NODE_NONE UINT32_MAX

enum acl_end_flag {
    ACL_END_HASH = 1, /* "prefix/#": holds at its node and everywhere below */
    ACL_END_DENY = 2,
    ACL_END_ENFORCE = 4,
    ACL_END_OPTIONS = 8, /* the rule has conditions of acl_options.h */
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
    uint32_t parent;        /* ACL_NODE_NONE: an empty slot, or the root */
    uint32_t plus;          /* 0: none */
    uint32_t rare;          /* in acl->rare; 0: nothing */
    uint32_t literal_first; /* in acl->literals: the literal children */
    uint32_t literal_n;
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

/* What few nodes have: children behind variables, and ends besides the one within. Entry 0 is empty. */
struct acl_rare {
    uint32_t edge_first;
    uint32_t edge_n;
    uint32_t more_first;
    uint32_t more_n;
};

/* A child behind a level with variables: the pieces it is put together from. */
struct acl_edge {
    uint64_t hash; /* as of a level */
    uint32_t node;
    uint32_t piece_first;
    uint32_t pieces_n;
};

struct acl_piece {
    uint32_t text_at;
    uint16_t text_len;
    uint16_t variable; /* or ACL_NOT_A_VARIABLE */
};

struct acl {
    const struct acl_node *nodes;
    struct perfect_hash literal_slots;
    const struct acl_rare *rare;
    const struct acl_edge *edges;
    const struct acl_piece *pieces;
    const struct acl_end *more;
    const uint32_t *literals;
    const struct acl_rule *rules;
    const uint8_t *text;
    uint64_t seed;
    size_t bytes;
    uint32_t root;
    uint32_t nodes_n; /* with the empty ones */
    uint32_t depth;   /* of the deepest literal node */
    uint32_t rules_n;
    uint32_t variables_n;
    bool reads_payload;
    bool reads_options;
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

/* Path hashes: of the root, of a level's text, and of a child. */
#define ACL_PLUS_HASH HASH_ODD_1

static inline uint64_t acl_level_hash(const struct acl *acl, struct bytes text)
{
    return hash_bytes(text.at, text.len, acl->seed);
}

static inline uint64_t acl_path_hash(uint64_t parent, uint64_t level)
{
    return hash_fold(parent + level, HASH_ODD_1);
}

/* The literal child with this text, given its path hash, or ACL_NODE_NONE. */
static inline uint32_t acl_literal_child(const struct acl *acl, uint32_t parent, uint64_t path,
                                         struct bytes text)
{
    if (acl->nodes[parent].literal_n == 0)
        return ACL_NODE_NONE;
    uint32_t id = perfect_hash_slot(&acl->literal_slots, path);
    const struct acl_node *node = &acl->nodes[id];
    return node->parent == parent && acl_node_is(acl, node, text) ? id : ACL_NODE_NONE;
}

static inline const struct acl_rare *acl_rare_of(const struct acl *acl, const struct acl_node *node)
{
    return &acl->rare[node->rare];
}

/* Ends of a node: the first within, then those besides. */
static inline uint32_t acl_ends(const struct acl *acl, const struct acl_node *node)
{
    return node->end.actions == 0 ? 0 : 1 + acl_rare_of(acl, node)->more_n;
}

static inline const struct acl_end *acl_end_at(const struct acl *acl, const struct acl_node *node, uint32_t i)
{
    return i == 0 ? &node->end : &acl->more[acl_rare_of(acl, node)->more_first + i - 1];
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
    const struct acl_asked *asked;
    const struct acl_rule *rules; /* set where CoAP is judged: whose options are looked at */
};

enum acl_failure {
    ACL_FAILS_QOS = 1,
    ACL_FAILS_RETAIN = 2,
    ACL_FAILS_PAYLOAD = 4,
    ACL_FAILS_WILL = 8,
};

static inline struct acl_question acl_question_of(const struct acl_request *request)
{
    return (struct acl_question){
        .action = (uint16_t)(request->action < ACL_ACTIONS ? 1U << request->action : 0),
        .qos = (uint8_t)(request->qos <= 2 ? 1U << request->qos : 0),
        .retain = request->retain ? 2 : 1,
        .will = request->will ? 2 : 1,
        .subscribe = request->action == ACL_SUBSCRIBE,
        .message = request->action == ACL_PUBLISH,
        .payload_bytes = request->payload_bytes,
        .asked = request->asked,
    };
}

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

/* Those of a rule's options, for the few that have any. */
unsigned int acl_end_options_fail(const struct acl_end *end, const struct acl_question *q);

/* What was met on the way, of which the answer is made. Independent of the order of meeting. */
struct acl_tally {
    uint32_t deny; /* rule, or ACL_RULE_NONE */
    uint32_t allow;
    uint32_t failed;
    uint8_t payload;       /* of `allow`: the least demanding */
    uint8_t failures;      /* of `failed`: the fewest */
    bool deny_is_enforced; /* such a deny is named before others */
};

static inline void acl_tally_init(struct acl_tally *tally)
{
    tally->deny = tally->allow = tally->failed = ACL_RULE_NONE;
    tally->payload = UINT8_MAX;
    tally->failures = 0;
    tally->deny_is_enforced = false;
}

/* The rarer halves of what follows. */
void acl_tally_deny(struct acl_tally *tally, const struct acl_end *end);
void acl_tally_failure(struct acl_tally *tally, const struct acl_end *end, unsigned int failures);
/* By which condition a rule that nearly allowed is named. */
enum outcome acl_failure_outcome(unsigned int failures);
struct acl_decision acl_tally_refusal(const struct acl_tally *tally);

static inline void acl_tally_meet(struct acl_tally *tally, const struct acl_end *end,
                                  const struct acl_question *q)
{
    if ((end->actions & q->action) == 0)
        return;
    unsigned int failures = acl_end_fails(end, q);
    if ((end->flags & ACL_END_OPTIONS) != 0)
        failures |= acl_end_options_fail(end, q);
    if ((end->flags & ACL_END_DENY) != 0) {
        if (failures == 0)
            acl_tally_deny(tally, end);
    } else if (failures != 0) {
        acl_tally_failure(tally, end, failures);
    } else if (end->payload < tally->payload ||
               (end->payload == tally->payload && end->rule < tally->allow)) {
        tally->allow = end->rule;
        tally->payload = end->payload;
    }
}

static inline struct acl_decision acl_tally_decision(const struct acl_tally *tally)
{
    if (tally->deny != ACL_RULE_NONE || tally->allow == ACL_RULE_NONE)
        return acl_tally_refusal(tally);
    return (struct acl_decision){
        .outcome = OUTCOME_ALLOWED, .rule = tally->allow, .payload = (enum acl_payload)tally->payload};
}

/* The end that a rule as written amounts to. */
struct acl_end acl_end_of(const struct acl_rule *rule, uint32_t index);

/* The filter that a rule's topic becomes with these values, which the caller frees. False when a variable
 * matches nothing (or memory is not to be had); with `raw` such a variable is left as written instead. */
bool acl_expand(const struct acl *acl, uint32_t rule, const struct acl_values *values, bool raw,
                struct bytes *filter);

#endif
