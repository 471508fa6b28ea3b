/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The evidence of several workers as one. */
#include "policy/learn/mining_private.h"

#include <stdlib.h>

/* ---- clients ------------------------------------------------------------------------------------------ */

static int by_hash(const void *a, const void *b)
{
    const struct mined_client *x = a, *y = b;
    return x->at->hash < y->at->hash ? -1 : x->at->hash > y->at->hash;
}

static int by_address(const void *a, const void *b)
{
    const struct mined_client *const *x = a, *const *y = b;
    return memcmp((*x)->at->address, (*y)->at->address, sizeof((*x)->at->address));
}

static bool number_sources(struct mined *mined)
{
    struct mined_client **sorted = calloc(mined->clients_n + 1U, sizeof(struct mined_client *));
    if (sorted == NULL)
        return false;
    for (uint32_t i = 0; i < mined->clients_n; i++)
        sorted[i] = &mined->client[i];
    qsort(sorted, mined->clients_n, sizeof(sorted[0]), by_address);
    for (uint32_t i = 0; i < mined->clients_n; i++) {
        if (i == 0 || by_address(&sorted[i - 1], &sorted[i]) != 0)
            mined->sources_n++;
        sorted[i]->source = mined->sources_n - 1;
    }
    free(sorted);
    return true;
}

static bool merge_clients(const struct evidence *const *evidence, uint32_t n, struct mined *mined)
{
    uint32_t room = 0, all = 0;
    for (uint32_t i = 0; i < n; i++)
        room += evidence[i]->clients_used;
    mined->client = calloc(room + 1U, sizeof(*mined->client));
    if (mined->client == NULL)
        return false;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < evidence[i]->clients_used; k++)
            if (evidence[i]->client[k].used)
                mined->client[all++] =
                    (struct mined_client){.in = evidence[i], .at = &evidence[i]->client[k]};
    qsort(mined->client, all, sizeof(mined->client[0]), by_hash);
    for (uint32_t i = 0; i < all && mined->clients_n < MINING_CLIENTS_MAX; i++)
        if (mined->clients_n == 0 ||
            mined->client[mined->clients_n - 1].at->hash != mined->client[i].at->hash)
            mined->client[mined->clients_n++] = mined->client[i];
    return number_sources(mined);
}

/* The place of a worker's client among all. */
static uint32_t place_of(const struct mined *mined, const struct evidence *e, uint16_t client)
{
    uint32_t low = 0, high = mined->clients_n;
    uint64_t hash = e->client[client].hash;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (mined->client[middle].at->hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low < mined->clients_n && mined->client[low].at->hash == hash ? low : MERGED_NOBODY;
}

/* ---- names of variables -------------------------------------------------------------------------------- */

/* The bit among all of each of a worker's; 0 when there are too many. */
static void merge_names(const struct evidence *e, struct mined *mined, uint16_t bit[SHAPE_VARIABLES_MAX])
{
    for (uint32_t i = 0; i < e->names_n; i++) {
        uint32_t k = 0;
        while (k < mined->names_n && strcmp(mined->name[k], e->name[i]) != 0)
            k++;
        if (k == mined->names_n && k < SHAPE_VARIABLES_MAX)
            memcpy(mined->name[mined->names_n++], e->name[i], sizeof(mined->name[0]));
        bit[i] = k < SHAPE_VARIABLES_MAX ? (uint16_t)(1u << k) : 0;
    }
}

/* ---- topics ------------------------------------------------------------------------------------------- */

/* With the bits of all; false when a level is left without one. */
static bool take_shape(const struct shape *from, const uint16_t bit[SHAPE_VARIABLES_MAX],
                       struct merged_topic *to)
{
    uint32_t position = 0;
    struct shape_level level;
    to->shape = *from;
    for (;;) {
        uint32_t at = position == 0 ? 1 : position;
        level = shape_next(from, &position);
        if (level.kind == SHAPE_END || to->levels_n == SHAPE_LEVELS_MAX)
            return to->levels_n != 0;
        to->offset[to->levels_n++] = (uint8_t)at;
        if (level.kind != SHAPE_VARIABLE)
            continue;
        uint16_t bits = 0;
        for (uint32_t i = 0; i < SHAPE_VARIABLES_MAX; i++)
            if ((level.variables >> i & 1) != 0)
                bits |= bit[i];
        if (bits == 0)
            return false;
        to->shape.at[at + 1] = (uint8_t)(bits >> 8);
        to->shape.at[at + 2] = (uint8_t)bits;
    }
}

static uint32_t anybody(const struct mined *mined, const struct evidence *e, uint16_t client)
{
    return client == EVIDENCE_NONE ? MERGED_NOBODY : place_of(mined, e, client);
}

static void take_topic(const struct mined *mined, const struct evidence *e, const struct evidence_topic *from,
                       struct merged_topic *to)
{
    to->messages = from->messages;
    to->not_allowed = from->not_allowed;
    to->denied = from->denied;
    to->first_us = from->first_us;
    to->last_us = from->last_us;
    to->flags_more = from->flags_more;
    for (int i = 0; i < EVIDENCE_FLAGS; i++)
        to->flag[i] = anybody(mined, e, from->flag[i]);
    to->payload_client = anybody(mined, e, from->payload_client);
    to->payload_max = from->payload_max;
    to->payload_other_max = from->payload_other_max;
    for (uint16_t i = 0; i < e->clients_used; i++) {
        uint32_t place = evidence_has(from, i) ? place_of(mined, e, i) : MERGED_NOBODY;
        if (place != MERGED_NOBODY)
            to->clients[place / 64] |= UINT64_C(1) << (place % 64);
    }
}

struct merged_use merged_use_none(void)
{
    struct merged_use use = {.payload_client = MERGED_NOBODY};
    for (int i = 0; i < EVIDENCE_FLAGS; i++)
        use.flag[i] = MERGED_NOBODY;
    return use;
}

void merged_use_add(struct merged_use *use, const struct merged_use *more)
{
    use->flags_more |= more->flags_more;
    for (int i = 0; i < EVIDENCE_FLAGS; i++) {
        if (more->flag[i] == MERGED_NOBODY)
            continue;
        if (use->flag[i] == MERGED_NOBODY)
            use->flag[i] = more->flag[i];
        else if (use->flag[i] != more->flag[i])
            use->flags_more = (uint8_t)(use->flags_more | 1u << i);
    }
    const struct merged_use *most = more->payload_max > use->payload_max ? more : use;
    const struct merged_use *least = most == use ? more : use;
    uint32_t other =
        least->payload_client == most->payload_client ? least->payload_other_max : least->payload_max;
    other = most->payload_other_max > other ? most->payload_other_max : other;
    uint32_t client = most->payload_client, bytes = most->payload_max;
    use->payload_client = client;
    use->payload_max = bytes;
    use->payload_other_max = other;
}

static void add_topic(struct merged_topic *to, const struct merged_topic *more, uint32_t words)
{
    struct merged_use use = {.flags_more = to->flags_more,
                             .payload_client = to->payload_client,
                             .payload_max = to->payload_max,
                             .payload_other_max = to->payload_other_max};
    struct merged_use add = {.flags_more = more->flags_more,
                             .payload_client = more->payload_client,
                             .payload_max = more->payload_max,
                             .payload_other_max = more->payload_other_max};
    memcpy(use.flag, to->flag, sizeof(use.flag));
    memcpy(add.flag, more->flag, sizeof(add.flag));
    merged_use_add(&use, &add);
    memcpy(to->flag, use.flag, sizeof(to->flag));
    to->flags_more = use.flags_more;
    to->payload_client = use.payload_client;
    to->payload_max = use.payload_max;
    to->payload_other_max = use.payload_other_max;
    to->messages += more->messages;
    to->not_allowed += more->not_allowed;
    to->denied += more->denied;
    to->first_us = more->first_us < to->first_us ? more->first_us : to->first_us;
    to->last_us = more->last_us > to->last_us ? more->last_us : to->last_us;
    for (uint32_t i = 0; i < words; i++)
        to->clients[i] |= more->clients[i];
}

static int by_shape(const void *a, const void *b)
{
    const struct merged_topic *x = a, *y = b;
    return bytes_order(bytes_of(x->shape.at, x->shape.len), bytes_of(y->shape.at, y->shape.len));
}

static void join_equal(struct merged *merged)
{
    uint32_t kept = 0;
    qsort(merged->topic, merged->topics_n, sizeof(merged->topic[0]), by_shape);
    for (uint32_t i = 0; i < merged->topics_n; i++)
        if (kept != 0 && by_shape(&merged->topic[kept - 1], &merged->topic[i]) == 0)
            add_topic(&merged->topic[kept - 1], &merged->topic[i], merged->words);
        else
            merged->topic[kept++] = merged->topic[i];
    merged->topics_n = kept;
}

static bool merge_topics(const struct evidence *const *evidence, uint32_t n, struct mined *mined,
                         struct merged *merged)
{
    size_t room = 1;
    for (uint32_t i = 0; i < n; i++)
        room += evidence[i]->topics_used;
    merged->words = mined->clients_n / 64 + 1;
    merged->topic = calloc(room, sizeof(*merged->topic));
    merged->bits = calloc(room, merged->words * sizeof(*merged->bits));
    if (merged->topic == NULL || merged->bits == NULL)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        uint16_t bit[SHAPE_VARIABLES_MAX] = {0};
        merge_names(evidence[i], mined, bit);
        for (uint32_t k = 0; k < evidence[i]->topics_used; k++) {
            const struct evidence_topic *from = &evidence[i]->topic[k];
            struct merged_topic *to = &merged->topic[merged->topics_n];
            to->levels_n = 0;
            if (!from->used || !take_shape(&from->shape, bit, to))
                continue;
            to->clients = merged->bits + (size_t)merged->topics_n * merged->words;
            take_topic(mined, evidence[i], from, to);
            merged->topics_n++;
        }
    }
    join_equal(merged);
    return true;
}

bool merge(const struct evidence *const *evidence, uint32_t n, struct mined *mined, struct merged *merged)
{
    for (uint32_t i = 0; i < n; i++) {
        mined->messages += evidence[i]->messages;
        mined->no_place += evidence[i]->no_place + evidence[i]->displaced_messages;
        mined->not_counted += evidence[i]->not_counted;
        mined->too_long += evidence[i]->too_long;
        mined->clients_no_place += evidence[i]->clients_no_place;
    }
    if (!merge_clients(evidence, n, mined) || !merge_topics(evidence, n, mined, merged))
        return false;
    mined->shapes_n = merged->topics_n;
    return true;
}

void merged_free(struct merged *merged)
{
    free(merged->topic);
    free(merged->bits);
}
