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

static const struct acl_end *end_at(const struct judge *j, const struct acl_node *node, uint32_t i)
{
    return i == 0 ? &node->end : &j->acl->more[node->more_first + i - 1];
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
        for (uint32_t i = 0; node->end.actions != 0 && i <= node->more_n; i++)
            cover_tail_end(j, end_at(j, node, i), k, k == 0 || (k == 1 && at_root));
        if (node->plus == 0)
            return;
        node = &j->acl->nodes[node->plus];
    }
}

static void cover(struct judge *j, uint32_t id, uint32_t depth)
{
    const struct acl_node *node = &j->acl->nodes[id];
    bool wildcards = depth > 0 || !j->levels.dollar; /* s.4.7.2 */
    bool last = depth == j->levels.n;
    if (((node->allows_below | node->denies_below) & j->question.action) == 0)
        return;
    if (!last && j->kind[depth] == LEVEL_HASH) {
        cover_tail(j, node, depth == 0);
        return;
    }
    for (uint32_t i = 0; node->end.actions != 0 && i <= node->more_n; i++) {
        const struct acl_end *end = end_at(j, node, i);
        if ((end->flags & ACL_END_HASH) != 0 ? wildcards : last)
            acl_tally_meet(&j->tally, end, &j->question);
    }
    if (last)
        return;
    if (j->kind[depth] == LEVEL_LITERAL) {
        struct bytes level = j->levels.at[depth];
        uint32_t literal = acl_literal_child(j->acl, id, level);
        if (literal != 0)
            cover(j, literal, depth + 1);
        for (uint32_t i = node->edge_first; i < node->edge_first + node->edge_n; i++)
            if (acl_edge_is(j->acl, &j->acl->edges[i], j->values, level))
                cover(j, j->acl->edges[i].node, depth + 1);
    }
    if (node->plus != 0 && wildcards)
        cover(j, node->plus, depth + 1);
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
    for (uint32_t i = 0; node->end.actions != 0 && i <= node->more_n; i++) {
        const struct acl_end *end = end_at(j, node, i);
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

static void touch(struct judge *j, uint32_t id, uint32_t depth);

/* All children that a wildcard of the filter reaches; at the first level those of '$' topics are not. */
static void touch_children(struct judge *j, const struct acl_node *node, uint32_t depth)
{
    if (node->plus != 0)
        touch(j, node->plus, depth + 1);
    for (uint32_t i = node->edge_first; i < node->edge_first + node->edge_n && !finished(j); i++) {
        const struct acl_edge *edge = &j->acl->edges[i];
        bool hidden = depth == 0 && j->acl->nodes[edge->node].dollar;
        j->visits++;
        if (!hidden && acl_edge_usable(j->acl, edge, j->values))
            touch(j, edge->node, depth + 1);
    }
    for (uint32_t i = 0; i < node->literal_n && !finished(j); i++) {
        uint32_t id = node->literal_first + i;
        if (depth > 0 || !j->acl->nodes[id].dollar)
            touch(j, id, depth + 1);
        else
            j->visits++;
    }
}

static void touch(struct judge *j, uint32_t id, uint32_t depth)
{
    const struct acl_node *node = &j->acl->nodes[id];
    bool wildcards = depth > 0 || !j->levels.dollar;
    bool swallowed =
        depth >= j->levels.n ? j->kind[j->levels.n - 1] == LEVEL_HASH : j->kind[depth] == LEVEL_HASH;
    if (finished(j) || ((j->denies ? node->denies_below : node->allows_below) & j->question.action) == 0)
        return;
    j->visits++;
    meet(j, node, wildcards, swallowed || depth == j->levels.n);
    if (swallowed) {
        touch_children(j, node, depth);
        return;
    }
    if (depth == j->levels.n)
        return;
    if (j->kind[depth] == LEVEL_PLUS) {
        touch_children(j, node, depth);
        return;
    }
    struct bytes level = j->levels.at[depth];
    uint32_t literal = acl_literal_child(j->acl, id, level);
    if (literal != 0)
        touch(j, literal, depth + 1);
    for (uint32_t i = node->edge_first; i < node->edge_first + node->edge_n && !finished(j); i++) {
        j->visits++;
        if (acl_edge_is(j->acl, &j->acl->edges[i], j->values, level))
            touch(j, j->acl->edges[i].node, depth + 1);
    }
    if (node->plus != 0 && wildcards)
        touch(j, node->plus, depth + 1);
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
    touch(j, ACL_ROOT, 0);
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

static struct acl_decision decide_whole(struct judge *j)
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
    if (!intersects(j, true))
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
                                      const struct acl_request *request, bool trim)
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
    cover(&j, ACL_ROOT, 0);
    return trim ? decide_trimmed(&j) : decide_whole(&j);
}
