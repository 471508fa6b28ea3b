/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree of a role's rules while it is compiled: from templates sorted by level, so that those with common
 * beginnings are neighbours. Private to acl_tree.c and acl_compile.c.
 */
#ifndef POLICY_ACCESS_ACL_TREE_H
#define POLICY_ACCESS_ACL_TREE_H

#include "policy/access/acl_trie.h"

/* A node, in depth-first order: the parent always comes before its children. Sprout 0 is the root. */
struct acl_sprout {
    uint32_t parent;
    uint32_t rule; /* a rule through whose template it came to be, */
    uint16_t text_at;
    uint16_t text_len; /* and the text of the level in there */
    uint8_t kind;
    uint8_t depth;
    uint32_t children; /* first in tree.child; those of the next sprout follow */
    uint32_t literals;
    uint32_t edges;
    uint32_t ends;
};

struct acl_tree {
    const struct acl_rule_spec *rules;
    uint32_t n;
    struct acl_sprout *sprouts;
    uint32_t sprouts_n;
    uint32_t room;
    uint32_t *home;  /* the sprout where each rule ends */
    bool *hash;      /* with '#' */
    uint32_t *child; /* children of all sprouts, grouped by parent */
};

/* False when memory is not to be had. acl_tree_free in either case. */
bool acl_tree_grow(struct acl_tree *tree, const struct acl_rule_spec *rules, uint32_t n);
void acl_tree_free(struct acl_tree *tree);

static inline uint32_t acl_tree_children_end(const struct acl_tree *tree, uint32_t sprout)
{
    return sprout + 1 < tree->sprouts_n ? tree->sprouts[sprout + 1].children : tree->sprouts_n - 1;
}

static inline struct bytes acl_tree_text(const struct acl_tree *tree, const struct acl_sprout *s)
{
    return bytes_of(tree->rules[s->rule].topic + s->text_at, s->text_len);
}

/* A rule among those whose wildcards make one topic lead to more than ACL_VISITS_MAX places, or
 * ACL_RULE_NONE. */
uint32_t acl_tree_tangled(const struct acl_tree *tree, bool *out_of_memory);

#endif
