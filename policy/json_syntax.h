/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether bytes are one JSON text (RFC 8259): for rules with payload = "json". Only the form is judged,
 * nothing is kept; strings must be valid UTF-8, without surrogates. Deeper than 64 levels is refused. Pure,
 * O(n), no recursion.
 */
#ifndef POLICY_JSON_SYNTAX_H
#define POLICY_JSON_SYNTAX_H

#include "policy/bytes.h"

bool json_syntax_check(struct bytes text);

#endif
