/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Globs for names of clients, users and certificates: literal characters, '*' (any run), '?' (one character),
 * [a-z] sets and [!a-z] (ASCII members; a set of one writes a special character literally: [*] [?] [[] [{]
 * [}]), and named captures "truck-{serial}" or "truck-{serial:[0-9][0-9][0-9]}" whose text becomes a
 * variable. A capture is never empty; a run takes as little as it can. Bytes are compared as they are.
 * No backtracking beyond one run at a time: linear in practice, O(n*m) at worst with n and m capped. Pure.
 */
#ifndef POLICY_ACCESS_GLOB_H
#define POLICY_ACCESS_GLOB_H

#include "policy/bytes.h"

#define GLOB_CAPTURES_MAX 4
#define GLOB_PATTERN_MAX 255
#define GLOB_SUBJECT_MAX 1024

struct glob_capture {
    struct bytes name;  /* borrowed from the pattern */
    struct bytes value; /* borrowed from the subject */
};

struct glob_captures {
    uint32_t n;
    struct glob_capture capture[GLOB_CAPTURES_MAX];
};

/* NULL when well formed, else a static sentence about what is wrong. */
const char *glob_check(struct bytes pattern);
/* Names of the captures of a well-formed pattern, in order; returns how many. */
uint32_t glob_capture_names(struct bytes pattern, struct bytes names[GLOB_CAPTURES_MAX]);
/* True when the whole subject matches; never for a malformed pattern, nor for a subject that is too long, not
 * UTF-8 or absent (at == NULL). `captures` may be NULL. */
bool glob_match(struct bytes pattern, struct bytes subject, struct glob_captures *captures);

#endif
