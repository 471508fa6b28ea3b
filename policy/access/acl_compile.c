/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the tree of the rules to the block that acl_trie.h describes. */
#include "policy/access/acl_tree.h"
#include "policy/access/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_PAGE_BYTES ((size_t)2 << 20)
#define CACHE_LINE_BYTES ((size_t)64)
#define SEEDS_TRIED 8

struct build {
    struct acl_tree tree;
    const char *const *variables;
    uint32_t variables_n;
    uint32_t literals_n; /* nodes with literal text */
    uint32_t edges_n;
    uint32_t pieces_n;
    uint32_t rare_n;
    uint32_t more_n;
    uint32_t options_n; /* rules that have some */
    size_t text_bytes;
    uint64_t *path; /* path hash of each sprout */
    uint64_t *key;  /* those of literal ones */
    uint32_t *id;   /* node of each sprout */
    /* the block, while it is filled */
    struct acl *acl;
    struct acl_node *nodes;
    uint16_t *displacement;
    struct acl_rare *rare;
    struct acl_edge *edges;
    struct acl_piece *pieces;
    struct acl_end *more;
    uint32_t *literals;
    struct acl_options *options;
    struct acl_rule *rules;
    uint8_t *text;
    uint32_t text_used;
    uint32_t options_used;
};

/* Every sentence has one "%s". */
static void problem_set(struct acl_problem *problem, uint32_t rule, const char *what, const char *detail)
{
    problem->rule = rule;
    snprintf(problem->text, sizeof(problem->text), what, detail);
}

static bool check_all(const struct acl_rule_spec *rules, uint32_t n, const char *const *variables,
                      uint32_t variables_n, struct acl_problem *problem)
{
    if (n > ACL_RULES_MAX || variables_n > ACL_VARIABLES_MAX) {
        problem_set(problem, 0, "more than %s in a role",
                    n > ACL_RULES_MAX ? "1048576 rules" : "16 variables in the topics of rules");
        return false;
    }
    for (uint32_t i = 0; i < n; i++)
        if (!acl_rule_check(&rules[i], variables, variables_n, problem)) {
            problem->rule = i;
            return false;
        }
    return true;
}

/* ---- measuring ------------------------------------------------------------------------------------------
 */

static uint32_t count_pieces(struct bytes level)
{
    struct cursor rest = cursor_of(level);
    struct bytes piece;
    uint32_t n = 0;
    while (template_next(&rest, &piece) >= TEMPLATE_TEXT)
        n++;
    return n;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_rare(const struct acl_sprout *s)
{
    return s->ends > 1 || s->edges > 0;
}

static void measure(struct build *b)
{
    const struct acl_tree *tree = &b->tree;
    b->rare_n = 1;
    for (uint32_t i = 0; i < tree->sprouts_n; i++) {
        const struct acl_sprout *s = &tree->sprouts[i];
        b->rare_n += is_rare(s);
        b->more_n += s->ends > 1 ? s->ends - 1 : 0;
        b->literals_n += s->kind == ACL_NODE_LITERAL;
        if (s->kind == ACL_NODE_VARIABLE) {
            b->edges_n++;
            b->pieces_n += count_pieces(acl_tree_text(tree, s));
        }
    }
    for (uint32_t i = 0; i < b->variables_n; i++)
        b->text_bytes += strlen(b->variables[i]) + 1;
    for (uint32_t i = 0; i < tree->n; i++) {
        const struct acl_rule_spec *rule = &tree->rules[i];
        b->text_bytes += strlen(rule->id) + strlen(rule->topic) + 2;
        b->options_n += rule->options != NULL;
        for (uint32_t k = 0; rule->options != NULL && k < rule->options->queries_n; k++)
            b->text_bytes += strlen(rule->options->queries[k]) + 1;
        if (rule->file != NULL && (i == 0 || !same_text(rule->file, tree->rules[i - 1].file)))
            b->text_bytes += strlen(rule->file) + 1;
    }
}

static size_t aligned(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

/* Takes `bytes` from the block at a line of the cache. */
static void *carve(uint8_t *block, size_t *used, size_t bytes)
{
    void *at = block == NULL ? NULL : block + *used;
    *used += aligned(bytes, CACHE_LINE_BYTES);
    return at;
}

static uint32_t literal_slots(const struct build *b)
{
    return b->literals_n == 0 ? 0 : perfect_hash_slots(b->literals_n);
}

static uint32_t nodes_in_all(const struct build *b)
{
    return literal_slots(b) + b->tree.sprouts_n - b->literals_n;
}

static size_t carve_all(struct build *b, uint8_t *block)
{
    size_t used = 0;
    b->acl = carve(block, &used, sizeof(struct acl));
    b->nodes = carve(block, &used, nodes_in_all(b) * sizeof(struct acl_node));
    b->displacement = carve(block, &used, perfect_hash_buckets(b->literals_n) * sizeof(uint16_t));
    b->rare = carve(block, &used, b->rare_n * sizeof(struct acl_rare));
    b->edges = carve(block, &used, b->edges_n * sizeof(struct acl_edge));
    b->pieces = carve(block, &used, b->pieces_n * sizeof(struct acl_piece));
    b->more = carve(block, &used, b->more_n * sizeof(struct acl_end));
    b->literals = carve(block, &used, b->literals_n * sizeof(uint32_t));
    b->options = carve(block, &used, b->options_n * sizeof(struct acl_options));
    b->rules = carve(block, &used, b->tree.n * sizeof(struct acl_rule));
    b->text = carve(block, &used, b->text_bytes);
    return used;
}

static bool allocate(struct build *b)
{
    uint32_t n = b->tree.sprouts_n;
    b->path = calloc(n, sizeof(*b->path));
    b->key = calloc(b->literals_n + 1U, sizeof(*b->key));
    b->id = calloc(n, sizeof(*b->id));
    size_t bytes = carve_all(b, NULL);
    bool huge = bytes >= HUGE_PAGE_BYTES;
    size_t alignment = huge ? HUGE_PAGE_BYTES : CACHE_LINE_BYTES;
    if (b->path == NULL || b->key == NULL || b->id == NULL || b->text_bytes > UINT32_MAX)
        return false;
    uint8_t *block = aligned_alloc(alignment, aligned(bytes, alignment));
    if (block == NULL)
        return false;
    if (huge) /* fewer misses of the TLB; advice, whose refusal costs nothing else */
        (void)madvise(block, aligned(bytes, alignment), MADV_HUGEPAGE);
    memset(block, 0, bytes);
    carve_all(b, block);
    *b->acl = (struct acl){
        .nodes = b->nodes,
        .literal_slots = {.displacement = b->displacement,
                          .buckets_n = perfect_hash_buckets(b->literals_n),
                          .slots_n = literal_slots(b)},
        .rare = b->rare,
        .edges = b->edges,
        .pieces = b->pieces,
        .more = b->more,
        .literals = b->literals,
        .rules = b->rules,
        .text = b->text,
        .bytes = aligned(bytes, alignment),
        .root = literal_slots(b),
        .nodes_n = nodes_in_all(b),
        .rules_n = b->tree.n,
        .variables_n = b->variables_n,
    };
    return true;
}

/* ---- places ---------------------------------------------------------------------------------------------
 */

static uint64_t level_hash(const struct build *b, const struct acl_sprout *s)
{
    return s->kind == ACL_NODE_PLUS ? ACL_PLUS_HASH : acl_level_hash(b->acl, acl_tree_text(&b->tree, s));
}

static void hash_paths(struct build *b, uint64_t seed)
{
    uint32_t keys = 0;
    b->acl->seed = b->path[0] = seed;
    for (uint32_t i = 1; i < b->tree.sprouts_n; i++) {
        const struct acl_sprout *s = &b->tree.sprouts[i];
        b->path[i] = acl_path_hash(b->path[s->parent], level_hash(b, s));
        if (s->kind != ACL_NODE_LITERAL)
            continue;
        b->key[keys++] = b->path[i];
        b->acl->depth = s->depth > b->acl->depth ? s->depth : b->acl->depth;
    }
}

/* Gives each sprout its node: literal ones by the perfect hash, the others behind. */
static bool place_nodes(struct build *b)
{
    bool built = false, out_of_memory = false;
    for (uint64_t i = 1; i <= SEEDS_TRIED && !built && !out_of_memory; i++) {
        hash_paths(b, i * HASH_ODD_2);
        built = perfect_hash_build(b->key, b->literals_n, b->displacement, &out_of_memory);
    }
    uint32_t next = b->acl->root;
    for (uint32_t i = 0; built && i < b->tree.sprouts_n; i++)
        b->id[i] = b->tree.sprouts[i].kind == ACL_NODE_LITERAL
                       ? perfect_hash_slot(&b->acl->literal_slots, b->path[i])
                       : next++;
    return built;
}

/* ---- laying out -----------------------------------------------------------------------------------------
 */

static const char *keep_text(struct build *b, const char *text)
{
    size_t bytes = strlen(text) + 1;
    uint8_t *at = b->text + b->text_used;
    memcpy(at, text, bytes);
    b->text_used += (uint32_t)bytes;
    return (const char *)at;
}

static const struct acl_options *keep_options(struct build *b, const struct acl_options *spec)
{
    struct acl_options *options = &b->options[b->options_used++];
    *options = *spec;
    for (uint32_t i = 0; i < spec->queries_n; i++)
        options->queries[i] = keep_text(b, spec->queries[i]);
    b->acl->reads_options = true;
    return options;
}

static void keep_rules(struct build *b)
{
    for (uint32_t i = 0; i < b->variables_n; i++)
        b->acl->variables[i] = keep_text(b, b->variables[i]);
    for (uint32_t i = 0; i < b->tree.n; i++) {
        const struct acl_rule_spec *spec = &b->tree.rules[i];
        struct acl_rule *rule = &b->rules[i];
        *rule = (struct acl_rule){
            .id = keep_text(b, spec->id),
            .topic = keep_text(b, spec->topic),
            .line = spec->line,
            .payload_max = spec->payload_max,
            .actions = spec->actions,
            .qos_mask = spec->qos_mask,
            .retain = spec->retain,
            .will = spec->will,
            .allow = spec->allow,
            .enforce = spec->enforce,
            .shared = spec->shared,
            .payload = spec->payload,
        };
        if (spec->options != NULL)
            rule->options = keep_options(b, spec->options);
        if (spec->file != NULL)
            rule->file = i > 0 && same_text(spec->file, b->tree.rules[i - 1].file) ? b->rules[i - 1].file
                                                                                   : keep_text(b, spec->file);
        b->acl->reads_payload |= spec->payload != ACL_PAYLOAD_ANY;
        b->acl->enforces |= !spec->allow && spec->enforce;
    }
}

static uint32_t kept_text_at(const struct build *b, uint32_t rule, struct bytes in_template)
{
    const uint8_t *topic = (const uint8_t *)b->rules[rule].topic;
    return (uint32_t)(topic - b->text) +
           (uint32_t)(in_template.at - (const uint8_t *)b->tree.rules[rule].topic);
}

static uint16_t variable_index(const struct build *b, struct bytes name)
{
    for (uint32_t i = 0; i < b->variables_n; i++)
        if (bytes_equal(bytes_of_text(b->variables[i]), name))
            return (uint16_t)i;
    return ACL_NOT_A_VARIABLE;
}

static void lay_edge(struct build *b, uint32_t sprout, struct acl_edge *edge, uint32_t *pieces_used)
{
    const struct acl_sprout *s = &b->tree.sprouts[sprout];
    struct cursor rest = cursor_of(acl_tree_text(&b->tree, s));
    struct bytes piece;
    enum template_piece kind;
    *edge = (struct acl_edge){.node = b->id[sprout], .piece_first = *pieces_used, .hash = level_hash(b, s)};
    while ((kind = template_next(&rest, &piece)) >= TEMPLATE_TEXT) {
        struct acl_piece *p = &b->pieces[(*pieces_used)++];
        *p = (struct acl_piece){.variable = ACL_NOT_A_VARIABLE};
        if (kind == TEMPLATE_VARIABLE) {
            p->variable = variable_index(b, piece);
        } else {
            p->text_at = kept_text_at(b, s->rule, piece);
            p->text_len = (uint16_t)piece.len;
        }
        edge->pieces_n++;
    }
}

static void lay_text(struct build *b, const struct acl_sprout *s, struct acl_node *node)
{
    struct bytes text = acl_tree_text(&b->tree, s);
    node->parent = b->id[s->parent];
    node->kind = s->kind;
    node->text_len = (uint16_t)text.len;
    /* "${name}" begins with a variable, whose value never begins with '$'. */
    node->dollar = text.len > 0 && text.at[0] == '$' && !(s->kind == ACL_NODE_VARIABLE && text.at[1] == '{');
    if (text.len <= ACL_INLINE_TEXT)
        memcpy(node->text, text.at, text.len);
    else
        node->text_at = kept_text_at(b, s->rule, text);
}

/* How much of each array is used. */
struct used {
    uint32_t rare;
    uint32_t edges;
    uint32_t pieces;
    uint32_t more;
    uint32_t literals;
};

static void lay_children(struct build *b, uint32_t sprout, struct acl_node *node, struct used *used)
{
    for (uint32_t i = b->tree.sprouts[sprout].children; i < acl_tree_children_end(&b->tree, sprout); i++) {
        uint32_t child = b->tree.child[i];
        if (b->tree.sprouts[child].kind == ACL_NODE_PLUS)
            node->plus = b->id[child];
        else if (b->tree.sprouts[child].kind == ACL_NODE_VARIABLE)
            lay_edge(b, child, &b->edges[used->edges++], &used->pieces);
        else
            b->literals[used->literals++] = b->id[child];
    }
}

static void lay_nodes(struct build *b)
{
    struct used used = {.rare = 1};
    for (uint32_t i = 0; i < b->acl->nodes_n; i++)
        b->nodes[i].parent = ACL_NODE_NONE;
    for (uint32_t i = 0; i < b->tree.sprouts_n; i++) {
        const struct acl_sprout *s = &b->tree.sprouts[i];
        struct acl_node *node = &b->nodes[b->id[i]];
        if (i > 0)
            lay_text(b, s, node);
        if (is_rare(s)) {
            node->rare = used.rare++;
            b->rare[node->rare] =
                (struct acl_rare){.edge_first = used.edges, .edge_n = s->edges, .more_first = used.more};
            used.more += s->ends > 1 ? s->ends - 1 : 0;
        }
        node->literal_first = used.literals;
        node->literal_n = s->literals;
        lay_children(b, i, node, &used);
    }
}

static void lay_ends(struct build *b)
{
    for (uint32_t i = 0; i < b->tree.n; i++) {
        struct acl_node *node = &b->nodes[b->id[b->tree.home[i]]];
        struct acl_end end = acl_end_of(&b->rules[i], i);
        end.flags |= b->tree.hash[i] ? ACL_END_HASH : 0;
        if (node->end.actions == 0)
            node->end = end;
        else
            b->more[b->rare[node->rare].more_first + b->rare[node->rare].more_n++] = end;
        if (b->rules[i].allow)
            node->allows_below |= end.actions;
        else
            node->denies_below |= end.actions;
    }
    for (uint32_t i = b->tree.sprouts_n; i-- > 1;) {
        const struct acl_node *node = &b->nodes[b->id[i]];
        struct acl_node *parent = &b->nodes[node->parent];
        parent->allows_below |= node->allows_below;
        parent->denies_below |= node->denies_below;
    }
}

/* ---- all ------------------------------------------------------------------------------------------------
 */

static bool build_block(struct build *b, struct acl_problem *problem)
{
    bool out_of_memory = false;
    uint32_t rule = acl_tree_tangled(&b->tree, &out_of_memory);
    if (rule != ACL_RULE_NONE) {
        problem_set(
            problem, rule,
            "wildcards and variables of rules like '%.60s' combine in more ways than one decision looks "
            "at; merge some",
            b->tree.rules[rule].topic);
        return false;
    }
    measure(b);
    if (out_of_memory || !allocate(b) || !place_nodes(b)) {
        problem_set(problem, ACL_RULE_NONE, "out of %s", "memory");
        return false;
    }
    keep_rules(b);
    lay_nodes(b);
    lay_ends(b);
    return true;
}

struct acl *acl_compile(const struct acl_rule_spec *rules, uint32_t n, const char *const *variables,
                        uint32_t variables_n, struct acl_problem *problem)
{
    struct build b = {.variables = variables, .variables_n = variables_n};
    bool built = false;
    if (!check_all(rules, n, variables, variables_n, problem))
        return NULL;
    if (acl_tree_grow(&b.tree, rules, n))
        built = build_block(&b, problem);
    else
        problem_set(problem, ACL_RULE_NONE, "out of %s", "memory");
    acl_tree_free(&b.tree);
    free(b.path);
    free(b.key);
    free(b.id);
    if (!built) {
        free(b.acl);
        return NULL;
    }
    return b.acl;
}

void acl_destroy(struct acl *acl)
{
    free(acl);
}
