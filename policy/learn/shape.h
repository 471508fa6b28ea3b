/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shape of a topic, filter or path that a client used: its levels, with those that equal a value of the
 * client's identity taken for that variable. A whole fleet that says "trucks/NNN/location" has one shape.
 *
 * Written as bytes, so that equal shapes are equal bytes: the action, then for each level SHAPE_TEXT, its
 * length and its text, or SHAPE_VARIABLE and the set of variables that had this value, one bit each, high
 * byte first. A client id that is the certificate's CN too sets both bits; which of them is meant is told by
 * what other clients do (mining.h). Pure; untrusted input.
 */
#ifndef POLICY_LEARN_SHAPE_H
#define POLICY_LEARN_SHAPE_H

#include "policy/bytes.h"

#define SHAPE_VARIABLES_MAX 16
#define SHAPE_LEVELS_MAX 24
#define SHAPE_BYTES_MAX 247

enum shape_level_kind {
    SHAPE_END = 0,
    SHAPE_TEXT,
    SHAPE_VARIABLE,
};

struct shape {
    uint8_t len; /* 0: none */
    uint8_t at[SHAPE_BYTES_MAX];
};

struct shape_level {
    enum shape_level_kind kind;
    uint16_t variables; /* bits */
    struct bytes text;  /* borrowed */
};

/* Of a client's values, by variable; at == NULL or empty: none. False when the topic has too many levels or
 * bytes. */
bool shape_make(struct shape *shape, uint8_t action, struct bytes topic, const struct bytes *values,
                uint32_t values_n);
uint8_t shape_action(const struct shape *shape);
/* The levels of a shape in turn: start with *position = 0. SHAPE_END at the end, and for bytes that are no
 * shape. */
struct shape_level shape_next(const struct shape *shape, uint32_t *position);

#endif
