/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/json_syntax.h"

#include "policy/hex.h"
#include "policy/utf8.h"

#define DEPTH_MAX 64

/* What may come next. */
enum expect {
    VALUE,
    VALUE_OR_CLOSE, /* right after '[' */
    KEY,
    KEY_OR_CLOSE, /* right after '{' */
    COMMA_OR_CLOSE,
};

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    uint64_t objects; /* one bit per open level: 1 is an object, 0 an array */
    unsigned int depth;
};

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static bool take_escape(struct reader *r)
{
    if (r->at == r->end)
        return false;
    uint8_t c = *r->at++;
    if (c != 'u')
        return c != 0 && strchr("\"\\/bfnrt", c) != NULL;
    for (int i = 0; i < 4; i++)
        if (r->at == r->end || hex_digit(*r->at++) < 0)
            return false;
    return true;
}

/* After the opening quote. */
static bool take_string(struct reader *r)
{
    while (r->at < r->end) {
        uint8_t c = *r->at++;
        if (c == '"')
            return true;
        if (c < 0x20 || (c == '\\' && !take_escape(r)))
            return false;
    }
    return false;
}

static bool take_digits(struct reader *r)
{
    const uint8_t *from = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return r->at != from;
}

static bool take_number(struct reader *r)
{
    if (*r->at == '-')
        r->at++;
    bool zero = r->at < r->end && *r->at == '0';
    const uint8_t *from = r->at;
    if (!take_digits(r) || (zero && r->at - from > 1))
        return false;
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        if (!take_digits(r))
            return false;
    }
    if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        r->at++;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
            r->at++;
        return take_digits(r);
    }
    return true;
}

static bool take_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return false;
    r->at += len;
    return true;
}

static bool take_scalar(struct reader *r)
{
    switch (*r->at) {
    case '"':
        r->at++;
        return take_string(r);
    case 't':
        return take_word(r, "true");
    case 'f':
        return take_word(r, "false");
    case 'n':
        return take_word(r, "null");
    default:
        return take_number(r);
    }
}

static bool open_level(struct reader *r, bool object)
{
    if (r->depth == DEPTH_MAX)
        return false;
    r->at++;
    r->objects = r->objects << 1 | object;
    r->depth++;
    return true;
}

static bool close_level(struct reader *r)
{
    if (r->depth == 0 || *r->at != ((r->objects & 1) != 0 ? '}' : ']'))
        return false;
    r->at++;
    r->objects >>= 1;
    r->depth--;
    return true;
}

static bool take_key(struct reader *r)
{
    if (*r->at != '"')
        return false;
    r->at++;
    if (!take_string(r))
        return false;
    skip_space(r);
    return r->at < r->end && *r->at++ == ':';
}

/* One step at a byte that is there. */
static bool step(struct reader *r, enum expect *expect)
{
    uint8_t c = *r->at;
    bool may_close = *expect == VALUE_OR_CLOSE || *expect == KEY_OR_CLOSE || *expect == COMMA_OR_CLOSE;
    if (may_close && (c == '}' || c == ']')) {
        *expect = COMMA_OR_CLOSE;
        return close_level(r);
    }
    if (*expect == COMMA_OR_CLOSE) {
        if (r->depth == 0 || c != ',')
            return false;
        r->at++;
        *expect = (r->objects & 1) != 0 ? KEY : VALUE;
        return true;
    }
    if (*expect == KEY || *expect == KEY_OR_CLOSE) {
        *expect = VALUE;
        return take_key(r);
    }
    if (c == '{' || c == '[') {
        *expect = c == '{' ? KEY_OR_CLOSE : VALUE_OR_CLOSE;
        return open_level(r, c == '{');
    }
    *expect = COMMA_OR_CLOSE;
    return take_scalar(r);
}

bool json_syntax_check(struct bytes text)
{
    struct reader r = {.at = text.at, .end = text.len == 0 ? text.at : text.at + text.len};
    enum expect expect = VALUE;
    if (!utf8_check(text, UTF8_TEXT))
        return false;
    for (skip_space(&r); r.at < r.end; skip_space(&r))
        if (!step(&r, &expect))
            return false;
    return r.depth == 0 && expect == COMMA_OR_CLOSE;
}
