/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From rules as written to the trie: sort the templates by level, so that those with common beginnings are
 * neighbours; grow a tree from neighbour to neighbour; number it by breadth, so that children lie side by
 * side; and lay all of it into one block.
 */
#include "policy/access/acl_trie.h"
#include "policy/access/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_PAGE_BYTES ((size_t)2 << 20)
#define CACHE_LINE_BYTES ((size_t)64)
#define PROBES_MAX 24
#define SEEDS_TRIED 8

/* A node as it grows, in depth-first order; the parent always comes before its children. */
struct sprout {
    uint32_t parent;
    uint32_t rule;    /* a rule through whose template it came to be, */
    uint16_t text_at; /* and the level's text in there */
    uint16_t text_len;
    uint8_t kind;
    uint32_t id;       /* final number */
    uint32_t children; /* first in build.child; of build.sprouts[i + 1] one past the last */
    uint32_t ends;
    uint32_t literals;
    uint32_t edges;
};

struct build {
    const struct acl_rule_spec *rules;
    uint32_t n;
    const char *const *variables;
    uint32_t variables_n;
    uint32_t *order; /* rules sorted by template */
    uint32_t *home;  /* the sprout where a rule ends */
    bool *hash;      /* with '#' */
    struct sprout *sprouts;
    uint32_t sprouts_n;
    uint32_t sprouts_room;
    uint32_t *child; /* children of all sprouts, grouped by parent */
    uint32_t *by_id; /* sprout of a final number */
    uint32_t edges_n;
    uint32_t pieces_n;
    uint32_t more_n;
    uint32_t slots_n;
    size_t text_bytes;
    /* the block, while it is filled */
    struct acl *acl;
    struct acl_node *nodes;
    struct acl_slot *slots;
    struct acl_edge *edges;
    struct acl_piece *pieces;
    struct acl_end *more;
    struct acl_rule *kept;
    uint8_t *text;
    uint32_t text_used;
};

/* Every sentence has one "%s". */
static void problem_set(struct acl_problem *problem, uint32_t rule, const char *what, const char *detail)
{
    problem->rule = rule;
    snprintf(problem->text, sizeof(problem->text), what, detail);
}

static bool check_all(const struct build *b, struct acl_problem *problem)
{
    if (b->n > ACL_RULES_MAX || b->variables_n > ACL_VARIABLES_MAX) {
        problem_set(problem, 0, "more than %s in a role",
                    b->n > ACL_RULES_MAX ? "1048576 rules" : "16 variables in the topics of rules");
        return false;
    }
    for (uint32_t i = 0; i < b->n; i++)
        if (!acl_rule_check(&b->rules[i], b->variables, b->variables_n, problem)) {
            problem->rule = i;
            return false;
        }
    return true;
}

/* ---- growing the tree -----------------------------------------------------------------------------------
 */

/* Level by level: the end of a level comes before any byte. */
static int compare_templates(const void *a, const void *b, void *context)
{
    const struct build *build = context;
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    const uint8_t *x = (const uint8_t *)build->rules[left].topic;
    const uint8_t *y = (const uint8_t *)build->rules[right].topic;
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

static struct bytes sprout_text(const struct build *b, const struct sprout *s)
{
    return bytes_of(b->rules[s->rule].topic + s->text_at, s->text_len);
}

/* A new sprout, or UINT32_MAX. */
static uint32_t grow(struct build *b, uint32_t parent, uint32_t rule, struct bytes level)
{
    if (b->sprouts_n == b->sprouts_room) {
        uint32_t room = b->sprouts_room == 0 ? 1024 : b->sprouts_room * 2;
        struct sprout *more = room > UINT32_MAX / 4 ? NULL : realloc(b->sprouts, room * sizeof(*more));
        if (more == NULL)
            return UINT32_MAX;
        b->sprouts = more;
        b->sprouts_room = room;
    }
    struct sprout *s = &b->sprouts[b->sprouts_n];
    *s = (struct sprout){.parent = parent, .rule = rule, .kind = ACL_NODE_LITERAL};
    if (b->sprouts_n > 0) {
        s->text_at = (uint16_t)(level.at - (const uint8_t *)b->rules[rule].topic);
        s->text_len = (uint16_t)level.len;
        if (level.len == 1 && level.at[0] == '+')
            s->kind = ACL_NODE_PLUS;
        else if (has_variable(level))
            s->kind = ACL_NODE_VARIABLE;
    }
    return b->sprouts_n++;
}

struct path {
    uint32_t n;
    uint32_t at[TOPIC_LEVELS_MAX + 1];
};

/* Follows a template along the path of its predecessor as far as that goes, then grows a new one. */
static bool plant(struct build *b, uint32_t rule, struct path *path)
{
    struct cursor rest = cursor_of(bytes_of_text(b->rules[rule].topic));
    struct bytes level;
    bool end = false, common = true;
    uint32_t depth = 0;
    while (topic_next_level(&rest, &end, &level)) {
        if (level.len == 1 && level.at[0] == '#') {
            b->hash[rule] = true;
            break;
        }
        depth++;
        common =
            common && depth < path->n && bytes_equal(sprout_text(b, &b->sprouts[path->at[depth]]), level);
        if (common)
            continue;
        uint32_t grown = grow(b, path->at[depth - 1], rule, level);
        if (grown == UINT32_MAX)
            return false;
        path->at[depth] = grown;
    }
    path->n = depth + 1;
    b->home[rule] = path->at[depth];
    return true;
}

static bool grow_tree(struct build *b)
{
    b->order = calloc(b->n + 1, sizeof(*b->order));
    b->home = calloc(b->n + 1, sizeof(*b->home));
    b->hash = calloc(b->n + 1, sizeof(*b->hash));
    if (b->order == NULL || b->home == NULL || b->hash == NULL ||
        grow(b, 0, 0, bytes_of(NULL, 0)) == UINT32_MAX)
        return false;
    for (uint32_t i = 0; i < b->n; i++)
        b->order[i] = i;
    qsort_r(b->order, b->n, sizeof(*b->order), compare_templates, b);
    struct path path = {.n = 1, .at = {ACL_ROOT}};
    for (uint32_t i = 0; i < b->n; i++)
        if (!plant(b, b->order[i], &path))
            return false;
    return true;
}

/* ---- numbering ------------------------------------------------------------------------------------------
 */

/* Groups the children of each sprout, in sorted order. */
static bool group_children(struct build *b)
{
    uint32_t n = b->sprouts_n;
    b->child = calloc(n, sizeof(*b->child));
    uint32_t *used = calloc((size_t)n + 1, sizeof(*used));
    if (b->child == NULL || used == NULL) {
        free(used);
        return false;
    }
    for (uint32_t i = 1; i < n; i++) {
        struct sprout *parent = &b->sprouts[b->sprouts[i].parent];
        used[b->sprouts[i].parent + 1]++;
        parent->literals += b->sprouts[i].kind == ACL_NODE_LITERAL;
        parent->edges += b->sprouts[i].kind == ACL_NODE_VARIABLE;
    }
    for (uint32_t i = 0; i < n; i++) {
        used[i + 1] += used[i];
        b->sprouts[i].children = used[i];
    }
    for (uint32_t i = 1; i < n; i++)
        b->child[used[b->sprouts[i].parent]++] = i;
    free(used);
    return true;
}

static uint32_t children_end(const struct build *b, uint32_t sprout)
{
    return sprout + 1 < b->sprouts_n ? b->sprouts[sprout + 1].children : b->sprouts_n - 1;
}

/* Breadth first: the literal children of a node, then those with variables, then '+'. */
static bool number(struct build *b)
{
    b->by_id = calloc(b->sprouts_n, sizeof(*b->by_id));
    if (b->by_id == NULL || !group_children(b))
        return false;
    static const enum acl_node_kind kinds[] = {ACL_NODE_LITERAL, ACL_NODE_VARIABLE, ACL_NODE_PLUS};
    uint32_t next = 1;
    for (uint32_t id = 0; id < b->sprouts_n; id++) {
        uint32_t sprout = b->by_id[id];
        for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
            for (uint32_t i = b->sprouts[sprout].children; i < children_end(b, sprout); i++) {
                struct sprout *s = &b->sprouts[b->child[i]];
                if (s->kind != kinds[k])
                    continue;
                s->id = next;
                b->by_id[next++] = b->child[i];
            }
    }
    return true;
}

static uint32_t saturating_add(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* The most places that one topic can lead to: of literal children one matches, of the others perhaps all.
 * Returns a rule that is to blame when that is too many, else ACL_RULE_NONE. */
static uint32_t tangled(const struct build *b, bool *out_of_memory)
{
    uint32_t *places = calloc(b->sprouts_n, sizeof(*places));
    uint32_t *literal = calloc(b->sprouts_n, sizeof(*literal));
    uint32_t blame = ACL_RULE_NONE;
    *out_of_memory = places == NULL || literal == NULL;
    for (uint32_t i = *out_of_memory ? 0 : b->sprouts_n; i-- > 0;) {
        const struct sprout *s = &b->sprouts[i];
        uint32_t all = saturating_add(saturating_add(places[i], literal[i]), 1);
        if (all > ACL_VISITS_MAX && blame == ACL_RULE_NONE)
            blame = s->rule;
        if (i == 0)
            break;
        if (s->kind == ACL_NODE_LITERAL)
            literal[s->parent] = literal[s->parent] > all ? literal[s->parent] : all;
        else
            places[s->parent] = saturating_add(places[s->parent], all);
    }
    free(places);
    free(literal);
    return blame;
}

/* ---- laying out -----------------------------------------------------------------------------------------
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

static void measure(struct build *b)
{
    uint32_t slotted = 0;
    for (uint32_t i = 0; i < b->n; i++)
        b->sprouts[b->home[i]].ends++;
    for (uint32_t i = 0; i < b->sprouts_n; i++) {
        const struct sprout *s = &b->sprouts[i];
        b->more_n += s->ends > 1 ? s->ends - 1 : 0;
        slotted += s->literals > ACL_SCAN_MAX ? s->literals : 0;
        if (s->kind == ACL_NODE_VARIABLE) {
            b->edges_n++;
            b->pieces_n += count_pieces(sprout_text(b, s));
        }
    }
    b->slots_n = 1;
    while (b->slots_n < 2 * slotted)
        b->slots_n *= 2;
    for (uint32_t i = 0; i < b->variables_n; i++)
        b->text_bytes += strlen(b->variables[i]) + 1;
    for (uint32_t i = 0; i < b->n; i++) {
        b->text_bytes += strlen(b->rules[i].id) + strlen(b->rules[i].topic) + 2;
        if (b->rules[i].file != NULL && (i == 0 || !same_text(b->rules[i].file, b->rules[i - 1].file)))
            b->text_bytes += strlen(b->rules[i].file) + 1;
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

static size_t carve_all(struct build *b, uint8_t *block)
{
    size_t used = 0;
    b->acl = carve(block, &used, sizeof(struct acl));
    b->nodes = carve(block, &used, b->sprouts_n * sizeof(struct acl_node));
    b->slots = carve(block, &used, b->slots_n * sizeof(struct acl_slot));
    b->edges = carve(block, &used, b->edges_n * sizeof(struct acl_edge));
    b->pieces = carve(block, &used, b->pieces_n * sizeof(struct acl_piece));
    b->more = carve(block, &used, b->more_n * sizeof(struct acl_end));
    b->kept = carve(block, &used, b->n * sizeof(struct acl_rule));
    b->text = carve(block, &used, b->text_bytes);
    return used;
}

static bool allocate(struct build *b)
{
    size_t bytes = carve_all(b, NULL);
    bool huge = bytes >= HUGE_PAGE_BYTES;
    size_t alignment = huge ? HUGE_PAGE_BYTES : CACHE_LINE_BYTES;
    uint8_t *block = b->text_bytes > UINT32_MAX ? NULL : aligned_alloc(alignment, aligned(bytes, alignment));
    if (block == NULL)
        return false;
    if (huge) /* fewer misses of the TLB; advice, whose refusal costs nothing else */
        (void)madvise(block, aligned(bytes, alignment), MADV_HUGEPAGE);
    memset(block, 0, bytes);
    carve_all(b, block);
    *b->acl = (struct acl){
        .nodes = b->nodes,
        .slots = b->slots,
        .edges = b->edges,
        .pieces = b->pieces,
        .more = b->more,
        .rules = b->kept,
        .text = b->text,
        .bytes = aligned(bytes, alignment),
        .slot_mask = b->slots_n - 1,
        .rules_n = b->n,
        .nodes_n = b->sprouts_n,
        .variables_n = b->variables_n,
    };
    return true;
}

static const char *keep_text(struct build *b, const char *text)
{
    size_t bytes = strlen(text) + 1;
    uint8_t *at = b->text + b->text_used;
    memcpy(at, text, bytes);
    b->text_used += (uint32_t)bytes;
    return (const char *)at;
}

static void keep_rules(struct build *b)
{
    for (uint32_t i = 0; i < b->variables_n; i++)
        b->acl->variables[i] = keep_text(b, b->variables[i]);
    for (uint32_t i = 0; i < b->n; i++) {
        const struct acl_rule_spec *spec = &b->rules[i];
        struct acl_rule *rule = &b->kept[i];
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
            .payload = spec->payload,
        };
        if (spec->file != NULL)
            rule->file = i > 0 && same_text(spec->file, b->rules[i - 1].file) ? b->kept[i - 1].file
                                                                              : keep_text(b, spec->file);
        b->acl->reads_payload |= spec->payload != ACL_PAYLOAD_ANY;
        b->acl->enforces |= !spec->allow && spec->enforce;
    }
}

static uint32_t kept_text_at(const struct build *b, uint32_t rule, struct bytes in_template)
{
    const uint8_t *topic = (const uint8_t *)b->kept[rule].topic;
    return (uint32_t)(topic - b->text) + (uint32_t)(in_template.at - (const uint8_t *)b->rules[rule].topic);
}

static uint16_t variable_index(const struct build *b, struct bytes name)
{
    for (uint32_t i = 0; i < b->variables_n; i++)
        if (bytes_equal(bytes_of_text(b->variables[i]), name))
            return (uint16_t)i;
    return ACL_NOT_A_VARIABLE;
}

static void lay_edge(struct build *b, const struct sprout *s, struct acl_edge *edge, uint32_t *pieces_used)
{
    struct cursor rest = cursor_of(sprout_text(b, s));
    struct bytes piece;
    enum template_piece kind;
    *edge = (struct acl_edge){.node = s->id, .piece_first = *pieces_used};
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

static void lay_text(struct build *b, const struct sprout *s, struct acl_node *node)
{
    struct bytes text = sprout_text(b, s);
    node->kind = s->kind;
    node->text_len = (uint16_t)text.len;
    /* "${name}" begins with a variable, whose value never begins with '$'. */
    node->dollar = text.len > 0 && text.at[0] == '$' && !(s->kind == ACL_NODE_VARIABLE && text.at[1] == '{');
    if (text.len <= ACL_INLINE_TEXT)
        memcpy(node->text, text.at, text.len);
    else
        node->text_at = kept_text_at(b, s->rule, text);
}

static void lay_nodes(struct build *b)
{
    uint32_t edges_used = 0, pieces_used = 0, more_used = 0;
    for (uint32_t id = 0; id < b->sprouts_n; id++) {
        uint32_t sprout = b->by_id[id];
        const struct sprout *s = &b->sprouts[sprout];
        struct acl_node *node = &b->nodes[id];
        if (id != ACL_ROOT)
            lay_text(b, s, node);
        node->literal_n = s->literals;
        node->edge_first = edges_used;
        node->edge_n = (uint16_t)s->edges;
        node->more_first = more_used;
        more_used += s->ends > 1 ? s->ends - 1 : 0;
        for (uint32_t i = s->children; i < children_end(b, sprout); i++) {
            const struct sprout *child = &b->sprouts[b->child[i]];
            if (child->kind == ACL_NODE_PLUS)
                node->plus = child->id;
            else if (child->kind == ACL_NODE_VARIABLE)
                lay_edge(b, child, &b->edges[edges_used++], &pieces_used);
            else if (node->literal_first == 0)
                node->literal_first = child->id;
        }
    }
}

static void lay_ends(struct build *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        struct acl_node *node = &b->nodes[b->sprouts[b->home[i]].id];
        struct acl_end end = acl_end_of(&b->kept[i], i);
        end.flags |= b->hash[i] ? ACL_END_HASH : 0;
        if (node->end.actions == 0)
            node->end = end;
        else
            b->more[node->more_first + node->more_n++] = end;
        if (b->rules[i].allow)
            node->allows_below |= end.actions;
        else
            node->denies_below |= end.actions;
    }
    for (uint32_t i = b->sprouts_n; i-- > 1;) {
        const struct acl_node *node = &b->nodes[b->sprouts[i].id];
        struct acl_node *parent = &b->nodes[b->sprouts[b->sprouts[i].parent].id];
        parent->allows_below |= node->allows_below;
        parent->denies_below |= node->denies_below;
    }
}

/* ---- slots ----------------------------------------------------------------------------------------------
 */

/* Places a node; returns how many slots a lookup of it looks at. */
static uint32_t place(struct build *b, uint32_t parent, uint32_t id)
{
    const struct acl_node *node = &b->nodes[id];
    uint64_t hash = acl_child_hash(b->acl, parent, bytes_of(acl_node_text(b->acl, node), node->text_len));
    uint32_t at = (uint32_t)hash, probes = 1;
    while (b->slots[at & b->acl->slot_mask].node != 0) {
        at++;
        probes++;
    }
    b->slots[at & b->acl->slot_mask] = (struct acl_slot){.tag = (uint32_t)(hash >> 32), .node = id};
    return probes;
}

/* The seed with the shortest longest run wins; lookups never look further than that run. */
static void fill_slots(struct build *b, uint64_t seed)
{
    memset(b->slots, 0, b->slots_n * sizeof(*b->slots));
    b->acl->seed = seed;
    b->acl->probes = 1;
    for (uint32_t id = 0; id < b->sprouts_n; id++) {
        const struct acl_node *node = &b->nodes[id];
        if (node->literal_n <= ACL_SCAN_MAX)
            continue;
        for (uint32_t i = 0; i < node->literal_n; i++) {
            uint32_t probes = place(b, id, node->literal_first + i);
            b->acl->probes = probes > b->acl->probes ? probes : b->acl->probes;
        }
    }
}

static void hash_children(struct build *b)
{
    uint64_t best = HASH_ODD_1;
    uint32_t least = UINT32_MAX;
    for (uint64_t i = 1; i <= SEEDS_TRIED && least > PROBES_MAX; i++) {
        fill_slots(b, i * HASH_ODD_1);
        if (b->acl->probes < least) {
            least = b->acl->probes;
            best = i * HASH_ODD_1;
        }
    }
    if (b->acl->seed != best)
        fill_slots(b, best);
}

static void build_free(struct build *b)
{
    free(b->order);
    free(b->home);
    free(b->hash);
    free(b->sprouts);
    free(b->child);
    free(b->by_id);
}

/* The widest node has room for its counts. */
static uint32_t overfull(const struct build *b)
{
    for (uint32_t i = 0; i < b->sprouts_n; i++)
        if (b->sprouts[i].edges > UINT16_MAX || b->sprouts[i].ends > UINT16_MAX)
            return b->sprouts[i].rule;
    return ACL_RULE_NONE;
}

static bool build_block(struct build *b, struct acl_problem *problem)
{
    bool out_of_memory = !grow_tree(b) || !number(b);
    if (!out_of_memory) {
        uint32_t rule = tangled(b, &out_of_memory);
        measure(b);
        rule = rule == ACL_RULE_NONE ? overfull(b) : rule;
        if (rule != ACL_RULE_NONE) {
            problem_set(
                problem, rule,
                "wildcards and variables of rules like '%.60s' combine in more ways than one decision "
                "looks at; merge some",
                b->rules[rule].topic);
            return false;
        }
    }
    if (out_of_memory || !allocate(b)) {
        problem_set(problem, ACL_RULE_NONE, "out of %s", "memory");
        return false;
    }
    keep_rules(b);
    lay_nodes(b);
    lay_ends(b);
    hash_children(b);
    return true;
}

struct acl *acl_compile(const struct acl_rule_spec *rules, uint32_t n, const char *const *variables,
                        uint32_t variables_n, struct acl_problem *problem)
{
    struct build b = {.rules = rules, .n = n, .variables = variables, .variables_n = variables_n};
    struct acl *acl = NULL;
    if (check_all(&b, problem) && build_block(&b, problem))
        acl = b.acl;
    build_free(&b);
    return acl;
}

void acl_destroy(struct acl *acl)
{
    free(acl);
}
