/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Evidence as bytes, to be kept over a restart: who was seen, with their values, and what they did. Indices,
 * buckets and rings are not in it; they are made anew as it is taken in, so bytes that lie cannot make them
 * lead elsewhere. Nor is the sketch of topics that found no place: those are counted anew.
 *
 * Integers are big-endian. What is taken in may come from anywhere: each length is held against what is left,
 * each place against how many there are, and what evidence.c could not have noted is refused. Names of
 * clients are not in it, only their keyed hashes: whoever goes on with it needs the same key.
 */
#ifndef POLICY_LEARN_EVIDENCE_STORE_H
#define POLICY_LEARN_EVIDENCE_STORE_H

#include "policy/learn/evidence.h"

/* The most that evidence comes to. */
#define EVIDENCE_STORE_MAX                                                                                   \
    (128U + SHAPE_VARIABLES_MAX * (1U + EVIDENCE_NAME_MAX) +                                                 \
     EVIDENCE_CLIENTS * (28U + SHAPE_VARIABLES_MAX * 2U + EVIDENCE_TEXT_BYTES) +                             \
     EVIDENCE_TOPICS * (64U + SHAPE_BYTES_MAX + EVIDENCE_CLIENTS / 8U))

/* How many bytes were written; 0 when `room` is too small, which EVIDENCE_STORE_MAX never is. */
size_t evidence_store(const struct evidence *evidence, uint8_t *to, size_t room);
/* Into evidence that is fresh from evidence_init. False when it is not what evidence_store has written: then
 * it holds part of it and is good for nothing. */
bool evidence_take(struct evidence *evidence, struct bytes from);

#endif
