/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What mining_merge.c (several workers' evidence as one) hands to mining.c (templates of it). */
#ifndef POLICY_LEARN_MINING_PRIVATE_H
#define POLICY_LEARN_MINING_PRIVATE_H

#include "policy/learn/mining.h"

#define MERGED_NOBODY UINT32_MAX

/* A shape as all workers saw it; clients by their place in struct mined. */
struct merged_topic {
    struct shape shape;
    uint8_t levels_n;
    uint8_t offset[SHAPE_LEVELS_MAX]; /* where each level is in the shape */
    uint16_t class;                   /* mining.c's, of the level it is at */
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

#endif
