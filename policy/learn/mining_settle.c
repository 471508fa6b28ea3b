/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of the templates found: those that are another client's, or taken in by others. */
#include "policy/access/acl.h"
#include "policy/access/topic.h"
#include "policy/learn/mining_private.h"

#include <stdlib.h>

/* ---- what is another client's, or taken in ---------------------------------------------------------------
 */

static int by_value(const void *a, const void *b)
{
    return bytes_order(*(const struct bytes *)a, *(const struct bytes *)b);
}

bool mining_list_values(struct mining *m)
{
    const struct mined *mined = m->mined;
    m->values = calloc((size_t)mined->clients_n * SHAPE_VARIABLES_MAX + 1, sizeof(*m->values));
    if (m->values == NULL)
        return false;
    for (uint32_t i = 0; i < mined->clients_n; i++)
        for (uint32_t k = 0; k < SHAPE_VARIABLES_MAX; k++)
            if ((mined->client[i].at->in_topics >> k & 1) != 0)
                m->values[m->values_n++] = evidence_value_at(mined->client[i].at, k);
    qsort(m->values, m->values_n, sizeof(m->values[0]), by_value);
    return true;
}

/* Some client's name; a client's own was taken for a variable where it was used. */
static bool names_a_client(const struct mining *m, struct bytes text)
{
    return text.len != 0 && bsearch(&text, m->values, m->values_n, sizeof(m->values[0]), by_value) != NULL;
}

/* Whether a finding is a proposal's topics, but for variables that are others' values. */
static bool foreign_to(const struct mining *m, const struct finding *f, const struct finding *proposal)
{
    bool foreign = false;
    if (f == proposal || f->action != proposal->action || f->levels_n != proposal->levels_n)
        return false;
    for (uint32_t i = 0; i < f->levels_n; i++) {
        const struct mined_level *a = &f->level[i], *b = &proposal->level[i];
        if (b->kind == MINED_VARIABLE && a->kind != MINED_VARIABLE) {
            if (a->kind == MINED_TEXT && f->kind == FINDING_PROPOSED && !names_a_client(m, a->text))
                return false;
            foreign = true;
        } else if (b->kind == MINED_VARIABLE ? (a->variables & b->variables) == 0
                   : b->kind == MINED_TEXT   ? a->kind != MINED_TEXT || !bytes_equal(a->text, b->text)
                                             : a->kind == MINED_VARIABLE) {
            return false;
        }
    }
    return foreign;
}

static bool names_others(const struct mining *m, const struct finding *f)
{
    for (uint32_t i = 0; i < f->levels_n; i++)
        if (f->level[i].kind == MINED_TEXT && names_a_client(m, f->level[i].text))
            return true;
    return false;
}

static bool has_variable(const struct finding *f)
{
    for (uint32_t i = 0; i < f->levels_n; i++)
        if (f->level[i].kind == MINED_VARIABLE)
            return true;
    return false;
}

static void find_foreign(struct mining *m)
{
    struct mined *mined = m->mined;
    for (uint32_t i = 0; i < mined->findings_n; i++) {
        struct finding *f = &mined->finding[i];
        bool few = f->kind == FINDING_FEW_CLIENTS || f->kind == FINDING_FEW_SOURCES;
        if (!few && f->kind != FINDING_PROPOSED)
            continue;
        if (few && names_others(m, f))
            f->kind = FINDING_FOREIGN;
        for (uint32_t k = 0; k < mined->findings_n && f->kind != FINDING_FOREIGN; k++)
            if (mined->finding[k].kind == FINDING_PROPOSED && has_variable(&mined->finding[k]) &&
                foreign_to(m, f, &mined->finding[k]))
                f->kind = FINDING_FOREIGN;
    }
}

static bool takes_in(const struct mined *mined, const struct finding *by, uint32_t client, uint8_t action,
                     struct bytes topic)
{
    uint8_t filter[MINED_TOPIC_MAX];
    if (by->kind != FINDING_PROPOSED || by->action != action)
        return false;
    size_t n = mined_expand(mined, by, client, filter, sizeof(filter));
    return n != 0 && (action == ACL_SUBSCRIBE ? topic_filter_contains(bytes_of(filter, n), topic)
                                              : topic_matches(bytes_of(filter, n), topic));
}

bool mined_allows(const struct mined *mined, uint32_t client, uint8_t action, struct bytes topic)
{
    for (uint32_t i = 0; i < mined->findings_n; i++)
        if (takes_in(mined, &mined->finding[i], client, action, topic))
            return true;
    return false;
}

static bool covered(const struct mined *mined, const struct finding *f)
{
    uint8_t topic[MINED_TOPIC_MAX];
    for (uint32_t k = 0; f->kind == FINDING_PROPOSED && k < mined->findings_n; k++) {
        const struct finding *by = &mined->finding[k];
        if (by != f && by->kind == FINDING_PROPOSED && by->action == f->action &&
            topic_filter_contains(bytes_of_text(by->topic), bytes_of_text(f->topic)))
            return true;
    }
    if (f->kind == FINDING_PROPOSED || f->kind == FINDING_DENIED || f->shapes_n != 1)
        return false;
    size_t n = mined_example_topic(mined, &f->example[0], f->example[0].client, topic, sizeof(topic));
    return n != 0 && mined_allows(mined, f->example[0].client, f->action, bytes_of(topic, n));
}

static int by_worth(const void *a, const void *b)
{
    const struct finding *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->clients_n != y->clients_n)
        return x->clients_n > y->clients_n ? -1 : 1;
    if (x->messages != y->messages)
        return x->messages > y->messages ? -1 : 1;
    if (x->action != y->action)
        return (int)x->action - (int)y->action;
    return strcmp(x->topic, y->topic);
}

void mining_settle(struct mining *m)
{
    struct mined *mined = m->mined;
    find_foreign(m);
    for (uint32_t i = 0; i < mined->findings_n; i++)
        if (covered(mined, &mined->finding[i]))
            mined->finding[i].kind = FINDING_COVERED;
    if (mined->findings_n != 0)
        qsort(mined->finding, mined->findings_n, sizeof(mined->finding[0]), by_worth);
    while (mined->proposed_n < mined->findings_n &&
           mined->finding[mined->proposed_n].kind == FINDING_PROPOSED)
        mined->proposed_n++;
}

/* ---- what others ask for --------------------------------------------------------------------------------
 */

struct bytes mined_value(const struct mined *mined, uint32_t client, const char *name)
{
    const struct mined_client *c = &mined->client[client];
    for (uint32_t i = 0; i < c->in->names_n; i++)
        if (strcmp(c->in->name[i], name) == 0)
            return evidence_value_at(c->at, i);
    return bytes_of(NULL, 0);
}

static bool append(uint8_t *to, size_t room, size_t *n, struct bytes part, bool first)
{
    if (part.len + 1 > room - *n)
        return false;
    if (!first)
        to[(*n)++] = '/';
    if (part.len != 0)
        memcpy(to + *n, part.at, part.len);
    *n += part.len;
    return true;
}

size_t mined_expand(const struct mined *mined, const struct finding *f, uint32_t client, uint8_t *to,
                    size_t room)
{
    size_t n = 0;
    for (uint32_t i = 0; i < f->levels_n; i++) {
        const struct mined_level *level = &f->level[i];
        struct bytes part = level->kind == MINED_TEXT ? level->text
                            : level->kind == MINED_ANY
                                ? bytes_of_text("+")
                                : mined_value(mined, client, mined_variable(mined, level->variables));
        if ((level->kind == MINED_VARIABLE && part.at == NULL) || !append(to, room, &n, part, i == 0))
            return 0;
    }
    return n;
}

size_t mined_example_topic(const struct mined *mined, const struct mined_example *example, uint32_t as,
                           uint8_t *to, size_t room)
{
    struct shape_level level;
    uint32_t position = 0;
    size_t n = 0;
    bool first = true;
    while ((level = shape_next(&example->shape, &position)).kind != SHAPE_END) {
        struct bytes part = level.text;
        if (level.kind == SHAPE_VARIABLE) /* all of them were equal for the example's own client */
            part = mined_value(mined, as, mined_variable(mined, level.variables));
        if ((level.kind == SHAPE_VARIABLE && part.at == NULL) || !append(to, room, &n, part, first))
            return 0;
        first = false;
    }
    return n;
}
