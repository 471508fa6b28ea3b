/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Judging topic names: the hot path. */
#include "policy/access/acl_trie.h"

static const struct acl_values no_values;

struct decide {
    const struct acl *acl;
    const struct acl_values *values;
    struct acl_question question;
    struct acl_tally tally;
    struct acl_levels levels;
};

static void meet_all(struct decide *d, const struct acl_node *node, bool hash, bool exact)
{
    for (uint32_t i = 0; i <= node->more_n; i++) {
        const struct acl_end *end = i == 0 ? &node->end : &d->acl->more[node->more_first + i - 1];
        if ((end->flags & ACL_END_HASH) != 0 ? hash : exact)
            acl_tally_meet(&d->tally, end, &d->question);
    }
}

/* Goes down from a node that `depth` levels lead to. It calls itself for the rarer branches only, no deeper
 * than the trie is, whose places for one topic acl_compile has bounded. */
static void descend(struct decide *d, uint32_t id, uint32_t depth)
{
    for (;;) {
        const struct acl_node *node = &d->acl->nodes[id];
        if (((node->allows_below | node->denies_below) & d->question.action) == 0)
            return;
        bool wildcards = depth > 0 || !d->levels.dollar; /* s.4.7.2 */
        bool last = depth == d->levels.n;
        if (node->end.actions != 0)
            meet_all(d, node, wildcards, last);
        if (last)
            return;
        struct bytes level = d->levels.at[depth++];
        uint32_t literal = node->literal_n == 0 ? 0 : acl_literal_child(d->acl, id, level);
        if (literal != 0)
            __builtin_prefetch(&d->acl->nodes[literal]);
        for (uint32_t i = node->edge_first; i < node->edge_first + node->edge_n; i++)
            if (acl_edge_is(d->acl, &d->acl->edges[i], d->values, level))
                descend(d, d->acl->edges[i].node, depth);
        if (literal == 0) {
            if (node->plus == 0 || !wildcards)
                return;
            id = node->plus;
            continue;
        }
        if (node->plus != 0 && wildcards)
            descend(d, node->plus, depth);
        id = literal;
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
    acl_tally_init(&d.tally);
    descend(&d, ACL_ROOT, 0);
    return acl_tally_decision(&d.tally);
}
