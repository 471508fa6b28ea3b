/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/access/template.h"

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

static bool opens(const struct cursor *c)
{
    return cursor_left(c) >= 2 && c->at[0] == '$' && c->at[1] == '{';
}

static enum template_piece take_variable(struct cursor *rest, struct bytes *name)
{
    struct cursor c = {.at = rest->at + 2, .end = rest->end};
    const uint8_t *begin = c.at;
    while (c.at < c.end && is_name_byte(*c.at))
        c.at++;
    *name = bytes_of(begin, (size_t)(c.at - begin));
    if (name->len == 0 || name->len > TEMPLATE_NAME_MAX || cursor_left(&c) == 0 || *c.at != '}')
        return TEMPLATE_MALFORMED;
    rest->at = c.at + 1;
    return TEMPLATE_VARIABLE;
}

enum template_piece template_next(struct cursor *rest, struct bytes *out)
{
    if (cursor_left(rest) == 0)
        return TEMPLATE_END;
    if (opens(rest))
        return take_variable(rest, out);
    const uint8_t *begin = rest->at;
    while (cursor_left(rest) > 0 && !opens(rest))
        rest->at++;
    *out = bytes_of(begin, (size_t)(rest->at - begin));
    return TEMPLATE_TEXT;
}

bool template_value_safe(struct bytes value)
{
    if (value.at == NULL || value.len == 0 || value.at[0] == '$')
        return false;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.at[i];
        if (c < 0x20 || c == 0x7F || c == '+' || c == '#' || c == '/')
            return false;
        /* U+0080 to U+009F are controls too. */
        if (c == 0xC2 && i + 1 < value.len && value.at[i + 1] < 0xA0)
            return false;
    }
    return true;
}

bool template_expand(struct bytes text, struct bytes (*value)(void *owner, struct bytes name), void *owner,
                     uint8_t *to, size_t room, size_t *n)
{
    struct cursor rest = cursor_of(text);
    struct bytes piece;
    enum template_piece kind;
    *n = 0;
    while ((kind = template_next(&rest, &piece)) >= TEMPLATE_TEXT) {
        if (kind == TEMPLATE_VARIABLE)
            piece = value(owner, piece);
        if (piece.at == NULL || piece.len > room - *n)
            return false;
        if (piece.len != 0)
            memcpy(to + *n, piece.at, piece.len);
        *n += piece.len;
    }
    return kind == TEMPLATE_END;
}
