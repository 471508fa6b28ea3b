/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Templates of what was seen, level by level. */
#include "policy/access/acl.h"
#include "policy/access/topic.h"
#include "policy/learn/mining_private.h"

#include <stdlib.h>

#define SCARCE 3 /* so many clients or addresses can tell what only one does */

/* The names of variables by how hard they are to claim; what is not among them comes before the last three.
 */
static const char *const hard_first[] = {"cert.cn", "cert.san", "psk.id", "user", "client_id"};
static const char *const hard_last[] = {"id", "mac", "cert.ou"};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define FINDING_ID(name, id, text) id,
#define FINDING_SENTENCE(name, id, text) text,
static const char *const finding_ids[FINDING_KINDS] = {FINDING_TABLE(FINDING_ID)};
static const char *const finding_texts[FINDING_KINDS] = {FINDING_TABLE(FINDING_SENTENCE)};

const char *finding_id(enum finding_kind kind)
{
    return kind < FINDING_KINDS ? finding_ids[kind] : "";
}

const char *finding_text(enum finding_kind kind)
{
    return kind < FINDING_KINDS ? finding_texts[kind] : "";
}

/* ---- sets of clients ------------------------------------------------------------------------------------
 */

struct use {
    uint32_t clients, sources;
};

static struct use count(struct mining *m, const uint64_t *set)
{
    struct use use = {0};
    memset(m->seen_source, 0, m->mined->sources_n);
    for (uint32_t i = 0; i < m->merged.words; i++)
        for (uint64_t word = set[i]; word != 0; word &= word - 1) {
            uint32_t client = i * 64 + (uint32_t)__builtin_ctzll(word);
            uint8_t *seen = &m->seen_source[m->mined->client[client].source];
            use.clients++;
            use.sources += *seen == 0;
            *seen = 1;
        }
    return use;
}

static struct use count_all(struct mining *m, struct merged_topic *const *topics, uint32_t n)
{
    memset(m->set, 0, m->merged.words * sizeof(m->set[0]));
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < m->merged.words; k++)
            m->set[k] |= topics[i]->clients[k];
    return count(m, m->set);
}

static bool enough(const struct mining *m, struct use use)
{
    return use.clients >= m->need_clients && use.sources >= m->need_sources;
}

static uint32_t needed(uint32_t all, uint32_t percent)
{
    uint32_t share = (uint32_t)(((uint64_t)all * percent + 99) / 100);
    return all < SCARCE ? 1 : share < 2 ? 2 : share;
}

/* ---- findings -------------------------------------------------------------------------------------------
 */

static uint32_t rank(const char *name)
{
    for (uint32_t i = 0; i < COUNT(hard_first); i++)
        if (strcmp(name, hard_first[i]) == 0)
            return i;
    for (uint32_t i = 0; i < COUNT(hard_last); i++)
        if (strcmp(name, hard_last[i]) == 0)
            return 100 + i;
    return COUNT(hard_first);
}

const char *mined_variable(const struct mined *mined, uint16_t variables)
{
    const char *best = NULL;
    for (uint32_t i = 0; i < mined->names_n; i++)
        if ((variables >> i & 1) != 0 && (best == NULL || rank(mined->name[i]) < rank(best)))
            best = mined->name[i];
    return best;
}

struct text {
    char *to;
    size_t room, used;
    bool cut;
};

static void put(struct text *text, const void *at, size_t n)
{
    if (n >= text->room - text->used) {
        text->cut = true;
        n = text->room - text->used - 1;
    }
    if (n != 0)
        memcpy(text->to + text->used, at, n);
    text->used += n;
    text->to[text->used] = '\0';
}

/* A text of a topic that a template can hold as itself. */
static bool writable(struct bytes level, bool filter)
{
    for (size_t i = 0; i < level.len; i++)
        if (level.at[i] < 0x20 || level.at[i] == 0x7F ||
            (level.at[i] == '$' && i + 1 < level.len && level.at[i + 1] == '{'))
            return false;
    bool wild = level.len != 0 &&
                (memchr(level.at, '+', level.len) != NULL || memchr(level.at, '#', level.len) != NULL);
    return !wild || (filter && level.len == 1);
}

/* The template; false when no rule can say it. */
static bool write_template(const struct mined *mined, struct finding *f)
{
    struct text text = {.to = f->topic, .room = sizeof(f->topic)};
    bool good = true;
    for (uint32_t i = 0; i < f->levels_n; i++) {
        const struct mined_level *level = &f->level[i];
        if (i != 0)
            put(&text, "/", 1);
        if (level->kind == MINED_ANY) {
            put(&text, "+", 1);
        } else if (level->kind == MINED_TEXT) {
            good = good && writable(level->text, f->action == ACL_SUBSCRIBE);
            put(&text, level->text.at, level->text.len);
        } else {
            const char *name = mined_variable(mined, level->variables);
            put(&text, "${", 2);
            put(&text, name, strlen(name));
            put(&text, "}", 1);
        }
    }
    return good && !text.cut && topic_filter_valid(bytes_of(f->topic, text.used));
}

static bool is_text(const struct mined_level *level, const char *text)
{
    return level->kind == MINED_TEXT && bytes_equal(level->text, bytes_of_text(text));
}

/* Nothing but wildcards, or what belongs to the broker. */
static bool is_wide(const struct finding *f)
{
    if (is_text(&f->level[0], "$SYS") || is_text(&f->level[0], "$CONTROL"))
        return true;
    for (uint32_t i = 0; i < f->levels_n; i++)
        if (f->level[i].kind == MINED_VARIABLE ||
            (f->level[i].kind == MINED_TEXT && !is_text(&f->level[i], "+") && !is_text(&f->level[i], "#")))
            return false;
    return true;
}

static struct finding *new_finding(struct mining *m)
{
    struct mined *mined = m->mined;
    if (mined->findings_n == m->room) {
        uint32_t room = m->room == 0 ? 64 : m->room * 2;
        struct finding *more = realloc(mined->finding, room * sizeof(*more));
        if (more == NULL) {
            m->failed = true;
            return NULL;
        }
        mined->finding = more;
        m->room = room;
    }
    struct finding *f = &mined->finding[mined->findings_n++];
    memset(f, 0, sizeof(*f));
    return f;
}

static uint32_t first_of(const uint64_t *set, uint32_t words, uint32_t but)
{
    for (uint32_t i = 0; i < words; i++) {
        uint64_t word = set[i];
        if (but / 64 == i)
            word &= ~(UINT64_C(1) << (but % 64));
        if (word != 0)
            return i * 64 + (uint32_t)__builtin_ctzll(word);
    }
    return MERGED_NOBODY;
}

/* Two clients' examples: the second of another client than the first, when there is one. */
static void take_examples(struct mining *m, struct finding *f, struct merged_topic *const *topics, uint32_t n)
{
    for (uint32_t i = 0; i < n && !f->example[1].there; i++) {
        uint32_t slot = f->example[0].there;
        uint32_t but = slot == 0 ? MERGED_NOBODY : f->example[0].client;
        uint32_t client = first_of(topics[i]->clients, m->merged.words, but);
        if (client == MERGED_NOBODY)
            continue;
        f->example[slot] = (struct mined_example){.there = true, .client = client, .shape = topics[i]->shape};
        if (slot == 0 && f->clients_n > 1)
            i--; /* another client may have the same shape */
    }
}

static void take_use(struct finding *f, const struct merged_use *use)
{
    bool counts[EVIDENCE_FLAGS];
    for (int i = 0; i < EVIDENCE_FLAGS; i++)
        counts[i] =
            use->flag[i] != MERGED_NOBODY && ((use->flags_more >> i & 1) != 0 || f->clients_n < SCARCE);
    for (int i = EVIDENCE_QOS_0; i <= EVIDENCE_QOS_2; i++) {
        f->qos_seen |= use->flag[i] != MERGED_NOBODY ? (uint8_t)(1u << i) : 0;
        f->qos_mask |= counts[i] ? (uint8_t)(1u << i) : 0;
    }
    if (f->qos_mask == 0) /* as many ways as clients */
        f->qos_mask = f->qos_seen;
    f->retain = counts[EVIDENCE_RETAIN];
    f->will = counts[EVIDENCE_WILL];
    f->message = counts[EVIDENCE_MESSAGE] || !f->will;
    f->retain_seen = use->flag[EVIDENCE_RETAIN] != MERGED_NOBODY;
    f->will_seen = use->flag[EVIDENCE_WILL] != MERGED_NOBODY;
    f->payload_seen = use->payload_max;
    f->payload_max = f->clients_n < SCARCE ? use->payload_max : use->payload_other_max;
}

static struct merged_use use_of(const struct merged_topic *topic)
{
    struct merged_use use = {.flags_more = topic->flags_more,
                             .payload_client = topic->payload_client,
                             .payload_max = topic->payload_max,
                             .payload_other_max = topic->payload_other_max};
    memcpy(use.flag, topic->flag, sizeof(use.flag));
    return use;
}

/* Topics that end here are one finding. */
static void find(struct mining *m, struct merged_topic *const *topics, uint32_t n)
{
    struct finding *f = new_finding(m);
    if (f == NULL)
        return;
    struct use use = count_all(m, topics, n);
    struct merged_use how = merged_use_none();
    f->action = shape_action(&topics[0]->shape);
    f->levels_n = topics[0]->levels_n;
    memcpy(f->level, m->level, sizeof(f->level));
    f->clients_n = use.clients;
    f->sources_n = use.sources;
    f->shapes_n = n;
    f->first_us = UINT64_MAX;
    for (uint32_t i = 0; i < n; i++) {
        struct merged_use more = use_of(topics[i]);
        merged_use_add(&how, &more);
        f->messages += topics[i]->messages;
        f->not_allowed += topics[i]->not_allowed;
        f->denied += topics[i]->denied;
        f->first_us = topics[i]->first_us < f->first_us ? topics[i]->first_us : f->first_us;
        f->last_us = topics[i]->last_us > f->last_us ? topics[i]->last_us : f->last_us;
    }
    take_use(f, &how);
    take_examples(m, f, topics, n);
    f->kind = !write_template(m->mined, f)    ? FINDING_UNWRITABLE
              : f->denied != 0                ? FINDING_DENIED
              : is_wide(f)                    ? FINDING_WIDE
              : m->held != FINDING_PROPOSED   ? m->held
              : use.clients < m->need_clients ? FINDING_FEW_CLIENTS
              : use.sources < m->need_sources ? FINDING_FEW_SOURCES
                                              : FINDING_PROPOSED;
}

/* ---- level by level -------------------------------------------------------------------------------------
 */

static void mine_at(struct mining *m, struct merged_topic **topics, uint32_t n, uint32_t depth);

static void descend(struct mining *m, const struct mined_level *level, struct merged_topic **topics,
                    uint32_t n, uint32_t depth)
{
    m->level[depth] = *level;
    mine_at(m, topics, n, depth + 1);
}

/* Sorting needs to know the level; mining is not entered twice at a time. */
struct order {
    struct merged_topic *topic;
    struct shape_level level;
};

static int by_text(const void *a, const void *b)
{
    return bytes_order(((const struct order *)a)->level.text, ((const struct order *)b)->level.text);
}

static void sort_texts(struct mining *m, struct merged_topic **topics, uint32_t n, uint32_t depth)
{
    struct order *order = calloc(n + 1U, sizeof(*order));
    if (order == NULL) {
        m->failed = true;
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        order[i] = (struct order){.topic = topics[i], .level = merged_level(topics[i], depth)};
    qsort(order, n, sizeof(order[0]), by_text);
    for (uint32_t i = 0; i < n; i++)
        topics[i] = order[i].topic;
    free(order);
}

/* One more of those that come first, which end at *end. */
static void move_up(struct merged_topic **topics, uint32_t i, uint32_t *end)
{
    struct merged_topic *swap = topics[i];
    topics[i] = topics[*end];
    topics[(*end)++] = swap;
}

/* Topics whose variables at this level have something in common; true when any class is used by enough. */
static bool mine_variables(struct mining *m, struct merged_topic **topics, uint32_t n, uint32_t depth)
{
    bool common = false;
    uint32_t done = 0;
    for (int bits = 1; bits <= SHAPE_VARIABLES_MAX && done < n; bits++)
        for (uint32_t i = done; i < n; i++) { /* those that say most come first */
            uint16_t mask = merged_level(topics[i], depth).variables;
            if (__builtin_popcount(mask) != bits)
                continue;
            uint32_t end = done;
            for (uint32_t k = done; k < n; k++) {
                uint16_t both = mask & merged_level(topics[k], depth).variables;
                if (both == 0)
                    continue;
                mask = both;
                move_up(topics, k, &end);
            }
            struct mined_level level = {.kind = MINED_VARIABLE, .variables = mask};
            common = enough(m, count_all(m, topics + done, end - done)) || common;
            descend(m, &level, topics + done, end - done, depth);
            i = done = end;
            i--;
        }
    return common;
}

struct texts {
    uint32_t start, n; /* topics with one text */
    struct use use;
};

/* Whether the variety is left when the client that brings most of it is put aside. */
static bool many_bring_it(struct mining *m, struct merged_topic *const *topics, const struct texts *texts,
                          uint32_t n)
{
    uint32_t *brings = calloc(m->mined->clients_n + 1U, sizeof(*brings));
    uint32_t most = 0, left = 0;
    if (brings == NULL) {
        m->failed = true;
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        count_all(m, topics + texts[i].start, texts[i].n);
        for (uint32_t k = 0; k < m->mined->clients_n; k++)
            if ((m->set[k / 64] >> (k % 64) & 1) != 0 && ++brings[k] > brings[most])
                most = k;
    }
    for (uint32_t i = 0; i < n; i++) {
        count_all(m, topics + texts[i].start, texts[i].n);
        left += first_of(m->set, m->merged.words, most) != MERGED_NOBODY;
    }
    free(brings);
    return m->mined->clients_n < SCARCE || left >= MINING_VALUES_MIN / 2;
}

/* Moves the topics of the texts for which `rare` holds to the end; answers where they begin. */
static uint32_t split_rare(struct mining *m, struct merged_topic **topics, uint32_t n, struct texts *texts,
                           uint32_t texts_n, uint32_t *common_n)
{
    struct merged_topic **sorted = calloc(n + 1U, sizeof(struct merged_topic *));
    struct texts *order = calloc(texts_n + 1U, sizeof(*order));
    uint32_t at = 0, kept = 0, common = 0;
    for (int pass = 0; sorted != NULL && order != NULL && pass < 2; pass++) {
        for (uint32_t i = 0; i < texts_n; i++) {
            if (enough(m, texts[i].use) != (pass == 0))
                continue;
            order[kept] = texts[i];
            memcpy(sorted + at, topics + texts[i].start, texts[i].n * sizeof(sorted[0]));
            order[kept++].start = at;
            at += texts[i].n;
        }
        if (pass == 0)
            common = kept;
    }
    if (sorted != NULL && order != NULL) {
        memcpy(topics, sorted, n * sizeof(sorted[0]));
        memcpy(texts, order, texts_n * sizeof(order[0]));
    } else {
        m->failed = true;
    }
    free(sorted);
    free(order);
    *common_n = common;
    return common < texts_n ? texts[common].start : n;
}

static void descend_texts(struct mining *m, struct merged_topic **topics, const struct texts *texts,
                          uint32_t n, uint32_t depth)
{
    for (uint32_t i = 0; i < n; i++) {
        struct mined_level level = {.kind = MINED_TEXT,
                                    .text = merged_level(topics[texts[i].start], depth).text};
        descend(m, &level, topics + texts[i].start, texts[i].n, depth);
    }
}

static bool is_wildcard(struct bytes text)
{
    return text.len == 1 && (text.at[0] == '+' || text.at[0] == '#');
}

/* Texts: those that enough clients use each, and the others, as '+' when they are a level that varies. */
static void mine_texts(struct mining *m, struct merged_topic **topics, uint32_t n, uint32_t depth,
                       bool beside)
{
    struct texts *texts = calloc(n + 1U, sizeof(*texts));
    uint32_t texts_n = 0, common = 0;
    if (texts == NULL) {
        m->failed = true;
        return;
    }
    sort_texts(m, topics, n, depth);
    for (uint32_t i = 0; i < n; texts[texts_n - 1].n++, i++)
        if (i == 0 ||
            !bytes_equal(merged_level(topics[i], depth).text, merged_level(topics[i - 1], depth).text))
            texts[texts_n++].start = i;
    for (uint32_t i = 0; i < texts_n; i++)
        texts[i].use = count_all(m, topics + texts[i].start, texts[i].n);
    uint32_t rare_at = split_rare(m, topics, n, texts, texts_n, &common);
    uint32_t rare = texts_n - common;
    struct mined_level any = {.kind = MINED_ANY, .values = rare};
    if (common > MINING_TEXTS_MAX) {
        any.values = common;
        descend(m, &any, topics, rare_at, depth);
    } else {
        descend_texts(m, topics, texts, common, depth);
    }
    if (rare < MINING_VALUES_MIN) {
        descend_texts(m, topics, texts + common, rare, depth);
    } else {
        enum finding_kind before = m->held;
        any.values = rare;
        if (before == FINDING_PROPOSED && beside)
            m->held = FINDING_FOREIGN;
        else if (before == FINDING_PROPOSED && !many_bring_it(m, topics, texts + common, rare))
            m->held = FINDING_FEW_CLIENTS;
        descend(m, &any, topics + rare_at, n - rare_at, depth);
        m->held = before;
    }
    free(texts);
}

static void mine_at(struct mining *m, struct merged_topic **topics, uint32_t n, uint32_t depth)
{
    uint32_t ended = 0, variables, wild;
    for (uint32_t i = 0; i < n; i++)
        if (topics[i]->levels_n == depth)
            move_up(topics, i, &ended);
    if (ended != 0)
        find(m, topics, ended);
    variables = ended;
    for (uint32_t i = ended; i < n; i++)
        if (merged_level(topics[i], depth).kind == SHAPE_VARIABLE)
            move_up(topics, i, &variables);
    bool beside = mine_variables(m, topics + ended, variables - ended, depth);
    wild = variables;
    for (int which = 0; which < 2; which++) { /* as a filter says them */
        uint32_t start = wild;
        for (uint32_t i = wild; i < n; i++) {
            struct bytes text = merged_level(topics[i], depth).text;
            if (is_wildcard(text) && text.at[0] == "+#"[which])
                move_up(topics, i, &wild);
        }
        struct mined_level level = {.kind = MINED_TEXT, .text = bytes_of_text(which == 0 ? "+" : "#")};
        if (wild > start)
            descend(m, &level, topics + start, wild - start, depth);
    }
    if (wild < n)
        mine_texts(m, topics + wild, n - wild, depth, beside);
}

/* ---- all of it ------------------------------------------------------------------------------------------
 */

static int by_action(const void *a, const void *b)
{
    const struct merged_topic *const *x = a, *const *y = b;
    return (int)shape_action(&(*x)->shape) - (int)shape_action(&(*y)->shape);
}

static void mine_actions(struct mining *m)
{
    uint32_t n = m->merged.topics_n;
    struct merged_topic **topics = calloc(n + 1U, sizeof(struct merged_topic *));
    if (topics == NULL) {
        m->failed = true;
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        topics[i] = &m->merged.topic[i];
    qsort(topics, n, sizeof(topics[0]), by_action);
    for (uint32_t start = 0, end; start < n; start = end) {
        for (end = start; end < n && by_action(&topics[start], &topics[end]) == 0; end++)
            ;
        mine_at(m, topics + start, end - start, 0);
    }
    free(topics);
}

/* Texts of levels lie in merged shapes, which go: they are moved to those of the first example, or dropped.
 */
static void keep_texts(struct mined *mined)
{
    for (uint32_t i = 0; i < mined->findings_n; i++) {
        struct finding *f = &mined->finding[i];
        uint32_t position = 0;
        for (uint32_t k = 0; k < f->levels_n; k++) {
            struct shape_level level = shape_next(&f->example[0].shape, &position);
            if (f->level[k].kind == MINED_TEXT)
                f->level[k].text = level.text;
        }
    }
}

struct mined *mine(const struct evidence *const *evidence, uint32_t n, uint32_t share_percent)
{
    struct mining m = {.mined = calloc(1, sizeof(struct mined))};
    if (m.mined == NULL)
        return NULL;
    if (merge(evidence, n, m.mined, &m.merged)) {
        m.seen_source = calloc(m.mined->sources_n + 1U, 1);
        m.set = calloc(m.merged.words, sizeof(*m.set));
        m.need_clients = needed(m.mined->clients_n, share_percent);
        m.need_sources = needed(m.mined->sources_n, share_percent);
    }
    if (m.seen_source != NULL && m.set != NULL && mining_list_values(&m)) {
        mine_actions(&m);
        mining_settle(&m);
        keep_texts(m.mined);
    } else {
        m.failed = true;
    }
    merged_free(&m.merged);
    free(m.seen_source);
    free(m.set);
    free(m.values);
    if (m.failed) {
        mined_destroy(m.mined);
        return NULL;
    }
    return m.mined;
}

void mined_destroy(struct mined *mined)
{
    if (mined == NULL)
        return;
    free(mined->client);
    free(mined->finding);
    free(mined);
}
