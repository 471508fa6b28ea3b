/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What mining_merge.c (several workers' evidence as one), mining.c (templates of it) and mining_settle.c
 * (what becomes of them) hand to each other. */
#ifndef POLICY_LEARN_MINING_PRIVATE_H
#define POLICY_LEARN_MINING_PRIVATE_H

#include "policy/learn/mining.h"

#define MERGED_NOBODY UINT32_MAX

/* A shape as all workers saw it; clients by their place in struct mined. */
struct merged_topic {
    struct shape shape;
    uint8_t levels_n;
    uint8_t offset[SHAPE_LEVELS_MAX]; /* where each level is in the shape */
    uint8_t flags_more;
    uint32_t flag[EVIDENCE_FLAGS];
    uint32_t payload_client, payload_max, payload_other_max;
    uint64_t messages, not_allowed, denied, first_us, last_us;
    uint64_t *clients; /* bits */
};

struct merged {
    uint32_t topics_n;
    uint32_t words; /* of a set of clients */
    struct merged_topic *topic;
    uint64_t *bits;
};

/* Fills in what `mined` says of clients, names and totals. False without memory; merged_free in any case. */
bool merge(const struct evidence *const *evidence, uint32_t n, struct mined *mined, struct merged *merged);
void merged_free(struct merged *merged);

static inline struct shape_level merged_level(const struct merged_topic *topic, uint32_t level)
{
    uint32_t position = topic->offset[level];
    return shape_next(&topic->shape, &position);
}

/* Flags and payloads of two, of one client or several. */
struct merged_use {
    uint8_t flags_more;
    uint32_t flag[EVIDENCE_FLAGS];
    uint32_t payload_client, payload_max, payload_other_max;
};
void merged_use_add(struct merged_use *use, const struct merged_use *more);
struct merged_use merged_use_none(void);

struct mining {
    struct mined *mined;
    struct merged merged;
    uint32_t need_clients, need_sources;
    uint32_t room;          /* of findings */
    enum finding_kind held; /* why nothing below a level is proposed; FINDING_PROPOSED: it may be */
    bool failed;            /* no memory */
    uint8_t *seen_source;   /* scratch: one for each */
    uint64_t *set;          /* scratch: a set of clients */
    struct bytes *values;   /* of all clients, sorted */
    uint32_t values_n;
    struct mined_level level[SHAPE_LEVELS_MAX];
};

/* Of some variables that are equal, the name that is hardest to claim. */
const char *mined_variable(const struct mined *mined, uint16_t variables);
/* The values that clients have; false without memory. */
bool mining_list_values(struct mining *m);
/* Decides what is left to decide, and orders the findings. */
void mining_settle(struct mining *m);

#endif
