/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Judging topic names: the hot path. */
#include "policy/access/acl_trie.h"

static const struct acl_values no_values;

/* Lines of this many levels are fetched ahead. */
#define FETCHED_MAX 8

struct decide {
    const struct acl *acl;
    const struct acl_values *values;
    struct acl_question question;
    struct acl_tally tally;
    struct acl_levels levels;
    uint64_t hash[TOPIC_LEVELS_MAX]; /* of levels, as deep as there are literal nodes */
};

/* A node reached: its number, its path hash, and how many levels led to it. */
struct place {
    uint32_t id;
    uint32_t depth;
    uint64_t path;
};

static void meet_all(struct decide *d, const struct acl_node *node, bool hash, bool exact)
{
    uint32_t n = acl_ends(d->acl, node);
    for (uint32_t i = 0; i < n; i++) {
        const struct acl_end *end = acl_end_at(d->acl, node, i);
        if ((end->flags & ACL_END_HASH) != 0 ? hash : exact)
            acl_tally_meet(&d->tally, end, &d->question);
    }
}

static void descend(struct decide *d, struct place p);

static void descend_edges(struct decide *d, const struct acl_node *node, const struct place *p,
                          struct bytes level)
{
    const struct acl_rare *rare = acl_rare_of(d->acl, node);
    for (uint32_t i = rare->edge_first; i < rare->edge_first + rare->edge_n; i++) {
        const struct acl_edge *edge = &d->acl->edges[i];
        if (acl_edge_is(d->acl, edge, d->values, level))
            descend(d, (struct place){edge->node, p->depth + 1, acl_path_hash(p->path, edge->hash)});
    }
}

/* Goes down from a node. It calls itself for the rarer branches only, no deeper than the trie is, whose
 * places for one topic acl_compile has bounded. */
static void descend(struct decide *d, struct place p)
{
    for (;;) {
        const struct acl_node *node = &d->acl->nodes[p.id];
        bool wildcards = p.depth > 0 || !d->levels.dollar; /* s.4.7.2 */
        bool last = p.depth == d->levels.n;
        uint32_t literal = ACL_NODE_NONE, plus = wildcards ? node->plus : 0;
        if (((node->allows_below | node->denies_below) & d->question.action) == 0)
            return;
        meet_all(d, node, wildcards, last);
        if (last)
            return;
        if (node->rare != 0)
            descend_edges(d, node, &p, d->levels.at[p.depth]);
        uint64_t path = p.path;
        if (node->literal_n > 0) {
            path = acl_path_hash(p.path, d->hash[p.depth]);
            literal = acl_literal_child(d->acl, p.id, path, d->levels.at[p.depth]);
        }
        if (literal == ACL_NODE_NONE && plus == 0)
            return;
        struct place beside = {plus, p.depth + 1, acl_path_hash(p.path, ACL_PLUS_HASH)};
        if (literal != ACL_NODE_NONE && plus != 0)
            descend(d, beside);
        p = literal == ACL_NODE_NONE ? beside : (struct place){literal, p.depth + 1, path};
    }
}

/* Hashes levels as deep as there is anything to find, and has the nodes fetched that they would lead to if
 * all were literal. */
static void prepare(struct decide *d)
{
    const struct acl *acl = d->acl;
    uint32_t n = d->levels.n < acl->depth ? d->levels.n : acl->depth;
    uint64_t path = acl->seed;
    for (uint32_t i = 0; i < n; i++) {
        d->hash[i] = acl_level_hash(acl, d->levels.at[i]);
        path = acl_path_hash(path, d->hash[i]);
        if (i < FETCHED_MAX)
            __builtin_prefetch(&acl->nodes[perfect_hash_slot(&acl->literal_slots, path)]);
    }
}

struct acl_decision acl_decide(const struct acl *acl, const struct acl_values *values,
                               const struct acl_request *request)
{
    struct decide d;
    d.acl = acl;
    d.values = values == NULL ? &no_values : values;
    if (!acl_levels_split(request->topic, &d.levels))
        return (struct acl_decision){.outcome = OUTCOME_TOPIC_TOO_DEEP, .rule = ACL_RULE_NONE};
    d.question = acl_question_of(request);
    d.question.rules = acl->rules;
    acl_tally_init(&d.tally);
    prepare(&d);
    descend(&d, (struct place){acl->root, 0, acl->seed});
    return acl_tally_decision(&d.tally);
}
