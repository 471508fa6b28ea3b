/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/access/glob.h"

#include "policy/utf8.h"

#define NAME_MAX_BYTES 31

enum token_kind {
    TOKEN_MALFORMED = 0,
    TOKEN_BYTE,
    TOKEN_ANY,   /* '?': one character */
    TOKEN_SET,   /* [...]: one character */
    TOKEN_RUN,   /* '*' */
    TOKEN_BEGIN, /* {name or {name: */
    TOKEN_END,   /* } */
};

struct token {
    enum token_kind kind;
    uint8_t byte;
    bool some;         /* run of a capture without a pattern of its own: one byte at least */
    bool negated;      /* of a set */
    struct bytes text; /* members of a set, or the name of a capture */
    const char *wrong; /* why it is malformed */
    size_t next;       /* where the next token begins */
};

static struct token malformed(const char *why)
{
    return (struct token){.kind = TOKEN_MALFORMED, .wrong = why};
}

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static struct token scan_set(struct bytes pattern, size_t at)
{
    struct token t = {.kind = TOKEN_SET};
    size_t i = at + 1;
    if (i < pattern.len && (pattern.at[i] == '!' || pattern.at[i] == '^')) {
        t.negated = true;
        i++;
    }
    size_t begin = i;
    while (i < pattern.len && pattern.at[i] != ']') {
        if (pattern.at[i] >= 0x80)
            return malformed("a set [...] holds ASCII characters only");
        if (i + 2 < pattern.len && pattern.at[i + 1] == '-' && pattern.at[i + 2] != ']' &&
            pattern.at[i] > pattern.at[i + 2])
            return malformed("a range in a set [...] runs backwards");
        i++;
    }
    if (i >= pattern.len)
        return malformed("a set is opened with '[' and not closed");
    if (i == begin)
        return malformed("a set [...] is empty");
    t.text = bytes_of(pattern.at + begin, i - begin);
    t.next = i + 1;
    return t;
}

static struct token scan_capture(struct bytes pattern, size_t at)
{
    struct token t = {.kind = TOKEN_BEGIN};
    size_t i = at + 1;
    while (i < pattern.len && is_name_byte(pattern.at[i]))
        i++;
    t.text = bytes_of(pattern.at + at + 1, i - at - 1);
    if (t.text.len == 0 || t.text.len > NAME_MAX_BYTES)
        return malformed("a capture {name} wants a name of 1 to 31 letters, digits or '_'");
    if (i >= pattern.len || (pattern.at[i] != '}' && pattern.at[i] != ':'))
        return malformed("a capture {name} or {name:pattern} is not closed");
    /* A plain {name} keeps its '}', before which a run is implied. */
    t.some = pattern.at[i] == '}';
    t.next = t.some ? i : i + 1;
    return t;
}

static struct token scan(struct bytes pattern, size_t at)
{
    struct token t = {.next = at + 1};
    switch (pattern.at[at]) {
    case '*':
        t.kind = TOKEN_RUN;
        return t;
    case '?':
        t.kind = TOKEN_ANY;
        return t;
    case '[':
        return scan_set(pattern, at);
    case '{':
        return scan_capture(pattern, at);
    case '}':
        t.kind = TOKEN_END;
        return t;
    default:
        t.kind = TOKEN_BYTE;
        t.byte = pattern.at[at];
        return t;
    }
}

/* What the rules between tokens need to remember. */
struct check {
    uint32_t captures;
    struct bytes name[GLOB_CAPTURES_MAX];
    bool inside;
    bool begun;          /* '{name:' was the last token */
    bool run_open;       /* the last thing was a run... */
    bool run_in_capture; /* ...that belongs to a capture */
};

static const char *check_begin(struct check *c, const struct token *t)
{
    if (c->inside)
        return "a capture {...} stands inside another";
    if (c->captures == GLOB_CAPTURES_MAX)
        return "more than 4 captures {...}";
    for (uint32_t i = 0; i < c->captures; i++)
        if (bytes_equal(c->name[i], t->text))
            return "two captures {...} have the same name";
    if (t->some && c->run_open)
        return "a capture touches another run, so that it is not clear which text is whose";
    c->name[c->captures++] = t->text;
    c->inside = true;
    c->begun = !t->some;
    if (t->some)
        c->run_open = c->run_in_capture = true;
    return NULL;
}

static const char *check_token(struct check *c, const struct token *t)
{
    switch (t->kind) {
    case TOKEN_MALFORMED:
        return t->wrong;
    case TOKEN_BEGIN:
        return check_begin(c, t);
    case TOKEN_END:
        if (!c->inside)
            return "'}' without '{'; write [}] for the character itself";
        if (c->begun)
            return "a capture {name:} has an empty pattern";
        c->inside = false;
        return NULL;
    case TOKEN_RUN:
        if (c->run_open && (c->run_in_capture || c->inside))
            return "a capture touches another run, so that it is not clear which text is whose";
        c->run_open = true;
        c->run_in_capture = c->inside;
        break;
    case TOKEN_BYTE:
    case TOKEN_ANY:
    case TOKEN_SET:
        c->run_open = c->run_in_capture = false;
        break;
    }
    c->begun = false;
    return NULL;
}

const char *glob_check(struct bytes pattern)
{
    if (pattern.len == 0)
        return "a pattern is empty";
    if (pattern.len > GLOB_PATTERN_MAX)
        return "a pattern is longer than 255 bytes";
    if (!utf8_check(pattern, UTF8_SPEC))
        return "a pattern is not valid UTF-8";
    struct check c = {0};
    for (size_t at = 0; at < pattern.len;) {
        struct token t = scan(pattern, at);
        const char *wrong = check_token(&c, &t);
        if (wrong != NULL)
            return wrong;
        at = t.next;
    }
    return c.inside ? "a capture {name} or {name:pattern} is not closed" : NULL;
}

uint32_t glob_capture_names(struct bytes pattern, struct bytes names[GLOB_CAPTURES_MAX])
{
    uint32_t n = 0;
    for (size_t at = 0; at < pattern.len && n < GLOB_CAPTURES_MAX;) {
        struct token t = scan(pattern, at);
        if (t.kind == TOKEN_MALFORMED)
            break;
        if (t.kind == TOKEN_BEGIN)
            names[n++] = t.text;
        at = t.next;
    }
    return n;
}

static bool in_set(const struct token *t, uint8_t c)
{
    bool found = false;
    for (size_t i = 0; i < t->text.len && !found; i++) {
        if (i + 2 < t->text.len && t->text.at[i + 1] == '-') {
            found = c >= t->text.at[i] && c <= t->text.at[i + 2];
            i += 2;
        } else {
            found = c == t->text.at[i];
        }
    }
    return found != t->negated;
}

/* Bytes of the character at `at` of what was checked to be UTF-8. */
static size_t character_bytes(struct bytes subject, size_t at)
{
    size_t n = 1;
    if (subject.at[at] >= 0xC0)
        while (at + n < subject.len && n < 4 && (subject.at[at + n] & 0xC0) == 0x80)
            n++;
    return n;
}

/* Bytes of the subject that a token for one character takes; 0 when it does not fit. */
static size_t take_one(const struct token *t, struct bytes subject, size_t at)
{
    if (at >= subject.len)
        return 0;
    switch (t->kind) {
    case TOKEN_BYTE:
        return subject.at[at] == t->byte ? 1 : 0;
    case TOKEN_ANY:
        return character_bytes(subject, at);
    case TOKEN_SET:
        return in_set(t, subject.at[at]) ? character_bytes(subject, at) : 0;
    default:
        return 0;
    }
}

/* A position in both texts, and the state of captures there. */
struct place {
    size_t pattern;
    size_t subject;
    uint32_t captures;
    bool inside;
};

static void begin_capture(struct place *p, const struct token *t, struct bytes subject,
                          struct glob_captures *out)
{
    /* A match that is tried again from its last run writes over what came after that run. */
    if (p->captures < GLOB_CAPTURES_MAX)
        out->capture[p->captures++] =
            (struct glob_capture){.name = t->text, .value = bytes_of(subject.at + p->subject, 0)};
    p->inside = true;
}

static void end_capture(struct place *p, struct bytes subject, struct glob_captures *out)
{
    if (p->inside && p->captures > 0) {
        struct bytes *value = &out->capture[p->captures - 1].value;
        value->len = (size_t)(subject.at + p->subject - value->at);
    }
    p->inside = false;
}

/* Moves over one token; false when the subject does not fit it. `retry` is set to where a run began. */
static bool step(struct place *p, struct bytes pattern, struct bytes subject, struct glob_captures *out,
                 struct place *retry, bool *can_retry)
{
    struct token t = scan(pattern, p->pattern);
    switch (t.kind) {
    case TOKEN_MALFORMED:
        return false;
    case TOKEN_BEGIN:
        begin_capture(p, &t, subject, out);
        p->pattern = t.next;
        if (!t.some)
            return true;
        if (p->subject >= subject.len)
            return false;
        p->subject += character_bytes(subject, p->subject); /* a capture is never empty */
        *retry = *p;
        *can_retry = true;
        return true;
    case TOKEN_END:
        end_capture(p, subject, out);
        p->pattern = t.next;
        return true;
    case TOKEN_RUN:
        p->pattern = t.next;
        *retry = *p;
        *can_retry = true;
        return true;
    default: {
        size_t taken = take_one(&t, subject, p->subject);
        p->subject += taken;
        p->pattern = t.next;
        return taken > 0;
    }
    }
}

/* Each run takes as little as it can. Only the last run need ever be made longer: whatever an earlier one
 * could reach by that, the last one reaches too. */
static bool match(struct bytes pattern, struct bytes subject, struct glob_captures *out)
{
    struct place p = {0}, retry = {0};
    bool can_retry = false;
    for (;;) {
        bool fits = p.pattern < pattern.len ? step(&p, pattern, subject, out, &retry, &can_retry)
                                            : p.subject == subject.len;
        if (fits && p.pattern >= pattern.len && p.subject == subject.len) {
            out->n = p.captures;
            return true;
        }
        if (fits)
            continue;
        if (!can_retry || retry.subject >= subject.len)
            return false;
        retry.subject += character_bytes(subject, retry.subject);
        p = retry;
    }
}

static bool captures_are_whole(const struct glob_captures *captures)
{
    for (uint32_t i = 0; i < captures->n; i++)
        if (captures->capture[i].value.len == 0)
            return false;
    return true;
}

bool glob_match(struct bytes pattern, struct bytes subject, struct glob_captures *captures)
{
    struct glob_captures found = {0};
    if (captures != NULL)
        captures->n = 0;
    if (subject.at == NULL || subject.len > GLOB_SUBJECT_MAX || !utf8_check(subject, UTF8_TEXT) ||
        glob_check(pattern) != NULL)
        return false;
    if (!match(pattern, subject, &found) || !captures_are_whole(&found))
        return false;
    if (captures != NULL)
        *captures = found;
    return true;
}
