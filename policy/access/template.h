/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Texts with variables, as the policy writes them: "trucks/${serial}/location" (C3, D4). A name is 1 to 63
 * letters, digits, '_', '.' or '-'; a '$' that no '{' follows is itself. Pure.
 */
#ifndef POLICY_ACCESS_TEMPLATE_H
#define POLICY_ACCESS_TEMPLATE_H

#include "policy/bytes.h"

#define TEMPLATE_NAME_MAX 63

enum template_piece {
    TEMPLATE_MALFORMED = 0, /* "${" without a name, or without its '}' */
    TEMPLATE_END,
    TEMPLATE_TEXT,
    TEMPLATE_VARIABLE,
};

/* Takes the next piece off; `out` is borrowed from the template: the text, or the name of the variable. */
enum template_piece template_next(struct cursor *rest, struct bytes *out);

/*
 * Writes the template's text with the values of its variables into `to`, and how many bytes those are into
 * *n. `value` answers the value of a name, or at == NULL. False when the template is malformed, a variable
 * has no value, or `room` does not suffice.
 */
bool template_expand(struct bytes text, struct bytes (*value)(void *owner, struct bytes name), void *owner,
                     uint8_t *to, size_t room, size_t *n);

/* Whether a value may stand in a topic: it is there, not empty, does not begin with '$' (which would open
 * topics that no rule names), and holds none of '+', '#', '/' and control characters. */
bool template_value_safe(struct bytes value);

#endif
