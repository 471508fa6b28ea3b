/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people ask of rules: which came nearest, which never decide. Not for the packet path. */
#include "policy/access/acl_trie.h"
#include "policy/access/template.h"

#include <stdlib.h>

static const struct acl_values no_values;

const struct acl_rule *acl_rule_at(const struct acl *acl, uint32_t rule)
{
    return rule < acl->rules_n ? &acl->rules[rule] : NULL;
}

uint32_t acl_rules(const struct acl *acl)
{
    return acl->rules_n;
}

bool acl_reads_options(const struct acl *acl)
{
    return acl->reads_options;
}

bool acl_reads_payload(const struct acl *acl)
{
    return acl->reads_payload;
}

size_t acl_memory_bytes(const struct acl *acl)
{
    return acl->bytes;
}

struct bytes acl_value(const struct acl *acl, const struct acl_values *values, struct bytes name)
{
    if (values == NULL)
        return bytes_of(NULL, 0);
    for (uint32_t i = 0; i < acl->variables_n; i++)
        if (bytes_equal(bytes_of_text(acl->variables[i]), name))
            return values->value[i];
    return bytes_of(NULL, 0);
}

/* One pass that measures (out == NULL) or writes. */
static bool expand_into(const struct acl *acl, struct bytes topic, const struct acl_values *values, bool raw,
                        uint8_t *out, size_t *len)
{
    struct cursor rest = cursor_of(topic);
    struct bytes piece;
    enum template_piece kind;
    *len = 0;
    for (;;) {
        const uint8_t *begin = rest.at;
        kind = template_next(&rest, &piece);
        if (kind < TEMPLATE_TEXT)
            return kind == TEMPLATE_END;
        if (kind == TEMPLATE_VARIABLE) {
            struct bytes value = acl_value(acl, values, piece);
            bool safe = template_value_safe(value);
            if (!safe && !raw)
                return false;
            piece = safe ? value : bytes_of(begin, (size_t)(rest.at - begin));
        }
        if (out != NULL && piece.len > 0)
            memcpy(out + *len, piece.at, piece.len);
        *len += piece.len;
    }
}

bool acl_expand(const struct acl *acl, uint32_t rule, const struct acl_values *values, bool raw,
                struct bytes *filter)
{
    struct bytes topic = bytes_of_text(acl->rules[rule].topic);
    size_t len;
    if (!expand_into(acl, topic, values, raw, NULL, &len))
        return false;
    uint8_t *out = malloc(len + 1);
    if (out == NULL)
        return false;
    expand_into(acl, topic, values, raw, out, &len);
    out[len] = 0;
    *filter = bytes_of(out, len);
    return true;
}

/* ---- the nearest rule -----------------------------------------------------------------------------------
 */

struct nearness {
    uint32_t differs_at; /* first level that differs; 0: none */
    uint32_t differences;
};

static bool is_wildcard(struct bytes level, uint8_t wildcard)
{
    return level.len == 1 && level.at[0] == wildcard;
}

static bool level_fits(struct bytes wanted, struct bytes level, bool first)
{
    bool dollar = first && level.len > 0 && level.at[0] == '$';
    if (is_wildcard(wanted, '+'))
        return !is_wildcard(level, '#') && !dollar;
    return bytes_equal(wanted, level);
}

static struct nearness compare(struct bytes filter, struct bytes topic)
{
    struct nearness near = {0};
    struct cursor f = cursor_of(filter), t = cursor_of(topic);
    bool f_end = false, t_end = false;
    for (uint32_t level = 1;; level++) {
        struct bytes wanted, given = bytes_of(NULL, 0);
        bool more_f = topic_next_level(&f, &f_end, &wanted), more_t = topic_next_level(&t, &t_end, &given);
        bool hidden = level == 1 && given.len > 0 && given.at[0] == '$';
        if (more_f && is_wildcard(wanted, '#') && !hidden)
            return near;
        if (!more_f && !more_t)
            return near;
        if (more_f && more_t && level_fits(wanted, given, level == 1))
            continue;
        near.differences++;
        if (near.differs_at == 0)
            near.differs_at = level;
    }
}

/* A later first difference is nearer, then fewer differences. */
static bool nearer(struct nearness a, struct nearness b)
{
    if (a.differs_at != b.differs_at)
        return a.differs_at == 0 || (b.differs_at != 0 && a.differs_at > b.differs_at);
    return a.differences < b.differences;
}

uint32_t acl_nearest(const struct acl *acl, const struct acl_values *values,
                     const struct acl_request *request, uint32_t *differs_at_level)
{
    struct nearness best = {0};
    uint32_t found = ACL_RULE_NONE;
    uint16_t action = acl_question_of(request).action;
    for (uint32_t i = 0; i < acl->rules_n; i++) {
        struct bytes filter;
        if (!acl->rules[i].allow || (acl->rules[i].actions & action) == 0 ||
            !acl_expand(acl, i, values == NULL ? &no_values : values, true, &filter))
            continue;
        struct nearness near = compare(filter, request->topic);
        free((void *)(uintptr_t)filter.at);
        if (found == ACL_RULE_NONE || nearer(near, best)) {
            best = near;
            found = i;
        }
    }
    *differs_at_level = best.differs_at;
    return found;
}

/* ---- rules that can never decide ------------------------------------------------------------------------
 */

/* A rule's own levels as written, looked for among the denies, or among rules of its own kind. */
struct shadow {
    const struct acl *acl;
    struct acl_end rule;
    bool own_kind;
    uint32_t by;
    uint64_t looks; /* at ends of rules */
    struct acl_levels levels;
};

static bool is_unconditional_deny(const struct acl_end *end, uint16_t actions)
{
    return (end->flags & ACL_END_DENY) != 0 && end->qos_publish == 7 && end->retain == 3 && end->will == 3 &&
           (end->flags & ACL_END_OPTIONS) == 0 && (end->actions & actions) == actions;
}

static bool within(uint8_t inner, uint8_t outer)
{
    return (inner & ~outer) == 0;
}

/* Whatever `inner` says, the other rule says too. */
static bool says_more(const struct acl_end *outer, const struct acl_end *inner)
{
    const uint8_t deny = ACL_END_DENY;
    if (outer->rule == inner->rule || (outer->flags & deny) != (inner->flags & deny) ||
        (outer->flags & ACL_END_OPTIONS) != 0 || (outer->actions & inner->actions) != inner->actions)
        return false;
    if ((inner->flags & deny) != 0 && (inner->flags & ~outer->flags & ACL_END_ENFORCE) != 0)
        return false;
    return within(inner->qos_publish, outer->qos_publish) &&
           within(inner->qos_subscribe, outer->qos_subscribe) && within(inner->retain, outer->retain) &&
           within(inner->will, outer->will) && inner->payload_max <= outer->payload_max &&
           (outer->payload == ACL_PAYLOAD_ANY || outer->payload == inner->payload);
}

static void shadow_ends(struct shadow *s, const struct acl_node *node, bool hash, bool exact)
{
    uint32_t n = acl_ends(s->acl, node);
    for (uint32_t i = 0; i < n; i++) {
        const struct acl_end *end = acl_end_at(s->acl, node, i);
        if (end->rule >= s->by)
            return; /* ends of a node are in the order of rules: no later one is before this */
        s->looks++;
        if (((end->flags & ACL_END_HASH) != 0 ? hash : exact) &&
            (s->own_kind ? says_more(end, &s->rule) : is_unconditional_deny(end, s->rule.actions)))
            s->by = end->rule;
    }
}

/* As containment in acl_filter.c, but a level with variables is contained by the same text and by '+'. */
static void shadow_descend(struct shadow *s, uint32_t id, uint32_t depth, uint64_t path)
{
    const struct acl *acl = s->acl;
    const struct acl_node *node = &acl->nodes[id];
    const struct acl_rare *rare = acl_rare_of(acl, node);
    bool last = depth == s->levels.n;
    struct bytes level = last ? bytes_of(NULL, 0) : s->levels.at[depth];
    bool hash = !last && is_wildcard(level, '#');
    bool wildcards = depth > 0 || !s->levels.dollar;
    bool allows = s->own_kind && (s->rule.flags & ACL_END_DENY) == 0;
    if (((allows ? node->allows_below : node->denies_below) & s->rule.actions) == 0)
        return;
    shadow_ends(s, node, wildcards, last);
    if (last || hash) {
        if (hash && depth == 0 && node->plus != 0)
            shadow_ends(s, &acl->nodes[node->plus], true, false);
        return;
    }
    uint64_t below = acl_path_hash(path, acl_level_hash(acl, level));
    uint32_t literal = acl_literal_child(acl, id, below, level);
    if (literal != ACL_NODE_NONE)
        shadow_descend(s, literal, depth + 1, below);
    for (uint32_t i = rare->edge_first; i < rare->edge_first + rare->edge_n; i++)
        if (acl_node_is(acl, &acl->nodes[acl->edges[i].node], level))
            shadow_descend(s, acl->edges[i].node, depth + 1, acl_path_hash(path, acl->edges[i].hash));
    if (node->plus != 0 && wildcards)
        shadow_descend(s, node->plus, depth + 1, acl_path_hash(path, ACL_PLUS_HASH));
}

static uint32_t shadowed_by(const struct acl *acl, uint32_t rule, bool own_kind, uint64_t *looks)
{
    struct shadow s = {
        .acl = acl, .rule = acl_end_of(&acl->rules[rule], rule), .own_kind = own_kind, .by = ACL_RULE_NONE};
    struct bytes topic = bytes_of_text(acl->rules[rule].topic);
    if (!acl_levels_split(topic, &s.levels))
        return ACL_RULE_NONE;
    /* A variable never begins with '$'; what is written before it may. */
    if (s.levels.dollar && topic.len > 1 && topic.at[1] == '{')
        s.levels.dollar = false;
    shadow_descend(&s, acl->root, 0, acl->seed);
    *looks += s.looks;
    return s.by;
}

/* All that an end says but for who says it. */
static int compare_ends(const void *a, const void *b)
{
    const struct acl_end *x = *(const struct acl_end *const *)a, *y = *(const struct acl_end *const *)b;
    const size_t said = offsetof(struct acl_end, payload_max);
    int order = memcmp((const uint8_t *)x + said, (const uint8_t *)y + said, sizeof(*x) - said);
    return order != 0 ? order : x->rule < y->rule ? -1 : x->rule > y->rule;
}

static bool says_the_same(const struct acl_end *x, const struct acl_end *y)
{
    const size_t said = offsetof(struct acl_end, payload_max);
    if ((x->flags & ACL_END_OPTIONS) != 0)
        return false; /* what its options say is not here */
    return memcmp((const uint8_t *)x + said, (const uint8_t *)y + said, sizeof(*x) - said) == 0;
}

static void tell_duplicates(const struct acl *acl, const struct acl_node *node,
                            void (*found)(void *owner, uint32_t rule, uint32_t because_of, enum acl_idle why),
                            void *owner)
{
    uint32_t n = acl_ends(acl, node), first = 0;
    const struct acl_end **ends = n < 2 ? NULL : malloc(n * sizeof(*ends));
    if (ends == NULL)
        return;
    for (uint32_t i = 0; i < n; i++)
        ends[i] = acl_end_at(acl, node, i);
    qsort(ends, n, sizeof(*ends), compare_ends);
    for (uint32_t i = 1; i < n; i++) {
        if (says_the_same(ends[i], ends[first]))
            found(owner, ends[i]->rule, ends[first]->rule, ACL_IDLE_DUPLICATE);
        else
            first = i;
    }
    free(ends);
}

uint64_t acl_idle_rules(const struct acl *acl,
                        void (*found)(void *owner, uint32_t rule, uint32_t because_of, enum acl_idle why),
                        void *owner)
{
    uint64_t looks = 0;
    for (uint32_t i = 0; i < acl->rules_n; i++) {
        uint32_t by = acl->rules[i].allow ? shadowed_by(acl, i, false, &looks) : ACL_RULE_NONE;
        if (by != ACL_RULE_NONE)
            found(owner, i, by, ACL_IDLE_DENIED);
    }
    for (uint32_t id = 0; id < acl->nodes_n; id++)
        tell_duplicates(acl, &acl->nodes[id], found, owner);
    return looks;
}

uint64_t acl_covered_rules(const struct acl *acl,
                           void (*found)(void *owner, uint32_t rule, uint32_t because_of), void *owner)
{
    uint64_t looks = 0;
    for (uint32_t i = 0; i < acl->rules_n; i++) {
        uint32_t by = shadowed_by(acl, i, true, &looks);
        if (by == ACL_RULE_NONE)
            continue;
        /* Of two that say the same the later one is told, unless acl_idle_rules tells it. */
        if (strcmp(acl->rules[i].topic, acl->rules[by].topic) == 0) {
            struct acl_end a = acl_end_of(&acl->rules[i], i), b = acl_end_of(&acl->rules[by], by);
            if (says_the_same(&a, &b))
                continue;
        }
        if (i < by && shadowed_by(acl, by, true, &looks) == i)
            continue;
        found(owner, i, by);
    }
    return looks;
}
