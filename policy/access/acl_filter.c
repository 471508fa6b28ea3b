/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Judging topic filters.
 *
 * What a filter's '+' stands for can always be a level that no rule names, and such a level follows '+'
 * children alone; every other level follows at least those. So a filter without '#' is contained in the union
 * of the allows exactly when one of them contains it. With '#' it stands for the filters that end in no, one,
 * two... such levels: a set of bits says which of these lengths are covered by some rule, and a rule that
 * ends in '#' covers all from its own on.
 */
#include "policy/access/acl_trie.h"

static const struct acl_values no_values;

enum filter_level {
    LEVEL_LITERAL = 0,
    LEVEL_PLUS,
    LEVEL_HASH,
};

struct judge {
    const struct acl *acl;
    const struct acl_values *values;
    struct acl_question question;
    struct acl_levels levels;
    uint8_t kind[TOPIC_LEVELS_MAX];
    /* containment */
    struct acl_tally tally; /* of rules that contain the filter alone */
    uint64_t lengths;       /* bit k: covered with k levels in place of '#' */
    uint32_t all_from;      /* covered with this many and more */
    uint32_t all_from_rule; /* by this rule */
    /* intersection */
    bool denies; /* look for denies, else for allows */
    uint32_t visits;
    uint32_t found;
    bool found_enforced;
    struct acl_tally near; /* allows that intersect, but for their conditions */
};

static bool is_deny(const struct acl_end *end)
{
    return (end->flags & ACL_END_DENY) != 0;
}

static bool asked(const struct judge *j, const struct acl_end *end)
{
    return (end->actions & j->question.action) != 0;
}

/* ---- containment ----------------------------------------------------------------------------------------
 */

/* An end met with `k` levels in place of the filter's '#'. A rule alone contains the filter when it ends in
 * '#' at once; "+/#" is all that "#" is. */
static void cover_tail_end(struct judge *j, const struct acl_end *end, uint32_t k, bool alone)
{
    bool hash = (end->flags & ACL_END_HASH) != 0;
    if (!asked(j, end))
        return;
    if (hash && alone)
        acl_tally_meet(&j->tally, end, &j->question);
    if (is_deny(end) || acl_end_fails(end, &j->question) != 0)
        return;
    if (!hash) {
        j->lengths |= UINT64_C(1) << k;
    } else if (k < j->all_from || (k == j->all_from && end->rule < j->all_from_rule)) {
        j->all_from = k;
        j->all_from_rule = end->rule;
    }
}

static void cover_tail(struct judge *j, const struct acl_node *node, bool at_root)
{
    for (uint32_t k = 0; k < TOPIC_LEVELS_MAX; k++) {
        uint32_t n = acl_ends(j->acl, node);
        for (uint32_t i = 0; i < n; i++)
            cover_tail_end(j, acl_end_at(j->acl, node, i), k, k == 0 || (k == 1 && at_root));
        if (node->plus == 0)
            return;
        node = &j->acl->nodes[node->plus];
    }
}

/* A node reached: its number, its path hash, and how many levels led to it. */
struct place {
    uint32_t id;
    uint32_t depth;
    uint64_t path;
};

static struct place place_below(const struct place *p, uint32_t id, uint64_t level_hash)
{
    return (struct place){id, p->depth + 1, acl_path_hash(p->path, level_hash)};
}

/* The literal child for the filter's level there; its id is ACL_NODE_NONE when there is none. */
static struct place literal_below(const struct judge *j, const struct place *p)
{
    struct bytes level = j->levels.at[p->depth];
    struct place child = place_below(p, ACL_NODE_NONE, acl_level_hash(j->acl, level));
    child.id = acl_literal_child(j->acl, p->id, child.path, level);
    return child;
}

typedef void visitor(struct judge *j, struct place p);

/* The children behind variables that the filter's level there fits. */
static void edges_below(struct judge *j, const struct place *p, visitor *visit)
{
    const struct acl_rare *rare = acl_rare_of(j->acl, &j->acl->nodes[p->id]);
    for (uint32_t i = rare->edge_first; i < rare->edge_first + rare->edge_n; i++) {
        const struct acl_edge *edge = &j->acl->edges[i];
        if (acl_edge_is(j->acl, edge, j->values, j->levels.at[p->depth]))
            visit(j, place_below(p, edge->node, edge->hash));
    }
}

static void cover(struct judge *j, struct place p)
{
    const struct acl_node *node = &j->acl->nodes[p.id];
    bool wildcards = p.depth > 0 || !j->levels.dollar; /* s.4.7.2 */
    bool last = p.depth == j->levels.n;
    uint32_t n = acl_ends(j->acl, node);
    if (((node->allows_below | node->denies_below) & j->question.action) == 0)
        return;
    if (!last && j->kind[p.depth] == LEVEL_HASH) {
        cover_tail(j, node, p.depth == 0);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct acl_end *end = acl_end_at(j->acl, node, i);
        if ((end->flags & ACL_END_HASH) != 0 ? wildcards : last)
            acl_tally_meet(&j->tally, end, &j->question);
    }
    if (last)
        return;
    if (j->kind[p.depth] == LEVEL_LITERAL) {
        struct place literal = literal_below(j, &p);
        if (literal.id != ACL_NODE_NONE)
            cover(j, literal);
        edges_below(j, &p, cover);
    }
    if (node->plus != 0 && wildcards)
        cover(j, place_below(&p, node->plus, ACL_PLUS_HASH));
}

/* Whether the rules that do not contain the filter alone do so together. */
static bool covered_together(const struct judge *j)
{
    if (j->all_from >= TOPIC_LEVELS_MAX)
        return false;
    uint64_t below = (UINT64_C(1) << j->all_from) - 1;
    return (j->lengths & below) == below;
}

/* ---- intersection ---------------------------------------------------------------------------------------
 */

/* Nothing more to look for: a deny that holds in every mode, or any when no deny is special. */
static bool finished(const struct judge *j)
{
    return j->visits >= ACL_VISITS_MAX ||
           (j->found != ACL_RULE_NONE && (j->found_enforced || !j->denies || !j->acl->enforces));
}

static void meet(struct judge *j, const struct acl_node *node, bool hash, bool exact)
{
    uint32_t n = acl_ends(j->acl, node);
    for (uint32_t i = 0; i < n; i++) {
        const struct acl_end *end = acl_end_at(j->acl, node, i);
        if (!asked(j, end) || is_deny(end) != j->denies || !((end->flags & ACL_END_HASH) != 0 ? hash : exact))
            continue;
        if (acl_end_fails(end, &j->question) != 0) {
            acl_tally_meet(&j->near, end, &j->question);
            continue;
        }
        bool enforced = (end->flags & ACL_END_ENFORCE) != 0;
        if (enforced == j->found_enforced ? end->rule < j->found : enforced) {
            j->found = end->rule;
            j->found_enforced = enforced;
        }
    }
}

static void touch(struct judge *j, struct place p);

/* All children that a wildcard of the filter reaches; at the first level those of '$' topics are not. */
static void touch_children(struct judge *j, const struct place *p)
{
    const struct acl *acl = j->acl;
    const struct acl_node *node = &acl->nodes[p->id];
    const struct acl_rare *rare = acl_rare_of(acl, node);
    if (node->plus != 0)
        touch(j, place_below(p, node->plus, ACL_PLUS_HASH));
    for (uint32_t i = rare->edge_first; i < rare->edge_first + rare->edge_n && !finished(j); i++) {
        const struct acl_edge *edge = &acl->edges[i];
        bool hidden = p->depth == 0 && acl->nodes[edge->node].dollar;
        j->visits++;
        if (!hidden && acl_edge_usable(acl, edge, j->values))
            touch(j, place_below(p, edge->node, edge->hash));
    }
    for (uint32_t i = 0; i < node->literal_n && !finished(j); i++) {
        uint32_t id = acl->literals[node->literal_first + i];
        const struct acl_node *child = &acl->nodes[id];
        struct bytes text = bytes_of(acl_node_text(acl, child), child->text_len);
        j->visits++;
        if (p->depth > 0 || !child->dollar)
            touch(j, place_below(p, id, acl_level_hash(acl, text)));
    }
}

static void touch(struct judge *j, struct place p)
{
    const struct acl_node *node = &j->acl->nodes[p.id];
    bool wildcards = p.depth > 0 || !j->levels.dollar;
    uint8_t kind = j->kind[p.depth < j->levels.n ? p.depth : j->levels.n - 1];
    bool swallowed = kind == LEVEL_HASH, last = p.depth == j->levels.n;
    if (finished(j) || ((j->denies ? node->denies_below : node->allows_below) & j->question.action) == 0)
        return;
    j->visits++;
    meet(j, node, wildcards, swallowed || last);
    if (swallowed || (!last && kind == LEVEL_PLUS)) {
        touch_children(j, &p);
        return;
    }
    if (last)
        return;
    struct place literal = literal_below(j, &p);
    if (literal.id != ACL_NODE_NONE)
        touch(j, literal);
    edges_below(j, &p, touch);
    if (node->plus != 0 && wildcards)
        touch(j, place_below(&p, node->plus, ACL_PLUS_HASH));
}

static struct acl_decision decided(enum outcome outcome, uint32_t rule)
{
    return (struct acl_decision){.outcome = outcome, .rule = rule};
}

/* True when something of that kind intersects the filter, or when that would take too long to know. */
static bool intersects(struct judge *j, bool denies)
{
    j->denies = denies;
    j->visits = 0;
    j->found = ACL_RULE_NONE;
    acl_tally_init(&j->near);
    j->found_enforced = false;
    touch(j, (struct place){j->acl->root, 0, j->acl->seed});
    return j->found != ACL_RULE_NONE || j->visits >= ACL_VISITS_MAX;
}

/* ---- the answer -----------------------------------------------------------------------------------------
 */

static void classify(struct judge *j)
{
    for (uint32_t i = 0; i < j->levels.n; i++) {
        struct bytes level = j->levels.at[i];
        uint8_t only = level.len == 1 ? level.at[0] : 0;
        j->kind[i] = only == '+' ? LEVEL_PLUS : only == '#' ? LEVEL_HASH : LEVEL_LITERAL;
    }
}

static struct acl_decision decide_whole(struct judge *j, bool except)
{
    struct acl_decision decision = acl_tally_decision(&j->tally);
    decision.payload = ACL_PAYLOAD_ANY;
    if (decision.outcome == OUTCOME_RULE_DENY)
        return decision;
    if (decision.outcome != OUTCOME_ALLOWED) {
        if (!covered_together(j))
            return decision;
        decision = decided(OUTCOME_ALLOWED, j->all_from_rule);
    }
    if (except || !intersects(j, true))
        return decision;
    return j->found == ACL_RULE_NONE ? decided(OUTCOME_FILTER_TOO_WIDE, ACL_RULE_NONE)
                                     : decided(OUTCOME_RULE_DENY, j->found);
}

static struct acl_decision decide_trimmed(struct judge *j)
{
    if (j->tally.deny != ACL_RULE_NONE)
        return decided(OUTCOME_RULE_DENY, j->tally.deny);
    if (!intersects(j, false))
        return acl_tally_decision(&j->near);
    return j->found == ACL_RULE_NONE ? decided(OUTCOME_FILTER_TOO_WIDE, ACL_RULE_NONE)
                                     : decided(OUTCOME_ALLOWED, j->found);
}

struct acl_decision acl_decide_filter(const struct acl *acl, const struct acl_values *values,
                                      const struct acl_request *request, enum acl_filter_mode mode)
{
    struct judge j;
    j.acl = acl;
    j.values = values == NULL ? &no_values : values;
    if (!acl_levels_split(request->topic, &j.levels))
        return decided(OUTCOME_TOPIC_TOO_DEEP, ACL_RULE_NONE);
    if (!topic_filter_valid(request->topic))
        return decided(OUTCOME_BAD_FILTER, ACL_RULE_NONE);
    classify(&j);
    j.question = acl_question_of(request);
    acl_tally_init(&j.tally);
    /* No topic has no level: nothing is left to cover in place of a '#' that stands alone. */
    j.lengths = j.kind[0] == LEVEL_HASH ? 1 : 0;
    j.all_from = j.all_from_rule = UINT32_MAX;
    cover(&j, (struct place){acl->root, 0, acl->seed});
    return mode == ACL_FILTER_TRIM ? decide_trimmed(&j) : decide_whole(&j, mode == ACL_FILTER_EXCEPT);
}
