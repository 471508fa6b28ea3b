/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/access/acl_tree.h"

#include "policy/access/template.h"

#include <stdlib.h>

/* Level by level: the end of a level comes before any byte. */
static int compare_templates(const void *a, const void *b, void *context)
{
    const struct acl_rule_spec *rules = context;
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    const uint8_t *x = (const uint8_t *)rules[left].topic;
    const uint8_t *y = (const uint8_t *)rules[right].topic;
    while (*x == *y && *x != 0) {
        x++;
        y++;
    }
    unsigned int p = *x == '/' ? 1 : *x == 0 ? 0 : *x + 1U, q = *y == '/' ? 1 : *y == 0 ? 0 : *y + 1U;
    if (p != q)
        return p < q ? -1 : 1;
    return left < right ? -1 : left > right;
}

static bool has_variable(struct bytes level)
{
    struct cursor rest = cursor_of(level);
    struct bytes piece;
    enum template_piece kind;
    while ((kind = template_next(&rest, &piece)) == TEMPLATE_TEXT)
        ;
    return kind == TEMPLATE_VARIABLE;
}

/* Room for one more. */
static bool make_room(struct acl_tree *tree)
{
    if (tree->sprouts_n < tree->room)
        return true;
    uint32_t room = tree->room == 0 ? 1024 : tree->room * 2;
    struct acl_sprout *more = room > UINT32_MAX / 4 ? NULL : realloc(tree->sprouts, room * sizeof(*more));
    if (more == NULL)
        return false;
    tree->sprouts = more;
    tree->room = room;
    return true;
}

static uint32_t sprout(struct acl_tree *tree, uint32_t parent, uint32_t rule, struct bytes level)
{
    struct acl_sprout *s = &tree->sprouts[tree->sprouts_n];
    *s = (struct acl_sprout){
        .parent = parent,
        .rule = rule,
        .text_at = (uint16_t)(level.at - (const uint8_t *)tree->rules[rule].topic),
        .text_len = (uint16_t)level.len,
        .depth = (uint8_t)(tree->sprouts[parent].depth + 1),
        .kind = ACL_NODE_LITERAL,
    };
    if (level.len == 1 && level.at[0] == '+')
        s->kind = ACL_NODE_PLUS;
    else if (has_variable(level))
        s->kind = ACL_NODE_VARIABLE;
    return tree->sprouts_n++;
}

struct path {
    uint32_t n;
    uint32_t at[TOPIC_LEVELS_MAX + 1];
};

/* Follows a template along the path of its predecessor as far as that goes, then grows a new one. */
static bool plant(struct acl_tree *tree, uint32_t rule, struct path *path)
{
    struct cursor rest = cursor_of(bytes_of_text(tree->rules[rule].topic));
    struct bytes level;
    bool end = false, common = true;
    uint32_t depth = 0;
    while (topic_next_level(&rest, &end, &level)) {
        if (level.len == 1 && level.at[0] == '#') {
            tree->hash[rule] = true;
            break;
        }
        depth++;
        common = common && depth < path->n &&
                 bytes_equal(acl_tree_text(tree, &tree->sprouts[path->at[depth]]), level);
        if (common)
            continue;
        if (!make_room(tree))
            return false;
        path->at[depth] = sprout(tree, path->at[depth - 1], rule, level);
    }
    path->n = depth + 1;
    tree->home[rule] = path->at[depth];
    tree->sprouts[tree->home[rule]].ends++;
    return true;
}

static bool plant_all(struct acl_tree *tree)
{
    uint32_t *order = calloc(tree->n + 1U, sizeof(*order));
    bool planted = order != NULL;
    struct path path = {.n = 1};
    for (uint32_t i = 0; planted && i < tree->n; i++)
        order[i] = i;
    if (planted)
        qsort_r(order, tree->n, sizeof(*order), compare_templates, (void *)(uintptr_t)tree->rules);
    for (uint32_t i = 0; planted && i < tree->n; i++)
        planted = plant(tree, order[i], &path);
    free(order);
    return planted;
}

/* Groups the children of each sprout, in sorted order, and counts them. */
static bool group_children(struct acl_tree *tree)
{
    uint32_t n = tree->sprouts_n;
    uint32_t *used = calloc((size_t)n + 1, sizeof(*used));
    tree->child = calloc(n, sizeof(*tree->child));
    if (tree->child == NULL || used == NULL) {
        free(used);
        return false;
    }
    for (uint32_t i = 1; i < n; i++) {
        const struct acl_sprout *s = &tree->sprouts[i];
        used[s->parent + 1]++;
        tree->sprouts[s->parent].literals += s->kind == ACL_NODE_LITERAL;
        tree->sprouts[s->parent].edges += s->kind == ACL_NODE_VARIABLE;
    }
    for (uint32_t i = 0; i < n; i++) {
        used[i + 1] += used[i];
        tree->sprouts[i].children = used[i];
    }
    for (uint32_t i = 1; i < n; i++)
        tree->child[used[tree->sprouts[i].parent]++] = i;
    free(used);
    return true;
}

bool acl_tree_grow(struct acl_tree *tree, const struct acl_rule_spec *rules, uint32_t n)
{
    *tree = (struct acl_tree){.rules = rules, .n = n};
    tree->home = calloc(n + 1U, sizeof(*tree->home));
    tree->hash = calloc(n + 1U, sizeof(*tree->hash));
    if (tree->home == NULL || tree->hash == NULL || !make_room(tree))
        return false;
    tree->sprouts[0] = (struct acl_sprout){.kind = ACL_NODE_PLUS};
    tree->sprouts_n = 1;
    return plant_all(tree) && group_children(tree);
}

void acl_tree_free(struct acl_tree *tree)
{
    free(tree->sprouts);
    free(tree->home);
    free(tree->hash);
    free(tree->child);
}

static uint32_t saturating_add(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* From the leaves up: of literal children one matches a level, of the others perhaps all. */
uint32_t acl_tree_tangled(const struct acl_tree *tree, bool *out_of_memory)
{
    uint32_t *others = calloc(tree->sprouts_n, sizeof(*others));
    uint32_t *literal = calloc(tree->sprouts_n, sizeof(*literal));
    uint32_t blame = ACL_RULE_NONE;
    *out_of_memory = others == NULL || literal == NULL;
    for (uint32_t i = *out_of_memory ? 0 : tree->sprouts_n; i-- > 0;) {
        const struct acl_sprout *s = &tree->sprouts[i];
        uint32_t places = saturating_add(saturating_add(others[i], literal[i]), 1);
        if (places > ACL_VISITS_MAX && blame == ACL_RULE_NONE)
            blame = s->rule;
        if (i == 0)
            break;
        if (s->kind == ACL_NODE_LITERAL)
            literal[s->parent] = literal[s->parent] > places ? literal[s->parent] : places;
        else
            others[s->parent] = saturating_add(others[s->parent], places);
    }
    free(others);
    free(literal);
    return blame;
}
