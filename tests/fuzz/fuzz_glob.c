/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * glob_match against a matcher that tries everything (by dynamic programming over the same syntax, without
 * captures). Input: pattern, a zero byte, subject.
 */
#include "policy/access/glob.h"
#include "policy/utf8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SUBJECT_MAX 64

static size_t character(struct bytes s, size_t at)
{
    size_t n = 1;
    if (s.at[at] >= 0xC0)
        while (at + n < s.len && n < 4 && (s.at[at + n] & 0xC0) == 0x80)
            n++;
    return n;
}

/* Matches one character against the set at p; returns where the set ends. */
static size_t set_holds(struct bytes p, size_t at, uint8_t c, bool *holds)
{
    bool negated = p.at[at + 1] == '!' || p.at[at + 1] == '^';
    size_t i = at + 1 + negated;
    *holds = false;
    while (p.at[i] != ']') {
        if (p.at[i + 1] == '-' && p.at[i + 2] != ']') {
            *holds = *holds || (c >= p.at[i] && c <= p.at[i + 2]);
            i += 3;
        } else {
            *holds = *holds || c == p.at[i];
            i++;
        }
    }
    *holds = *holds != negated;
    return i + 1;
}

/* from[i]: the pattern so far matches the first i bytes. */
static void step_one(struct bytes p, size_t at, struct bytes s, const bool *from, bool *to)
{
    for (size_t i = 0; i < s.len; i++) {
        bool holds = p.at[at] == '?' || p.at[at] == s.at[i];
        if (p.at[at] == '[')
            set_holds(p, at, s.at[i], &holds);
        size_t taken = p.at[at] == '?' || p.at[at] == '[' ? character(s, i) : 1;
        if (from[i] && holds)
            to[i + taken] = true;
    }
}

static void step_run(struct bytes s, const bool *from, bool *to, bool some)
{
    for (size_t begin = 0; begin <= s.len; begin++) {
        if (!from[begin])
            continue;
        to[begin] = to[begin] || !some;
        for (size_t i = begin; i < s.len;) {
            i += character(s, i);
            to[i] = true;
        }
    }
}

static size_t name_end(struct bytes p, size_t at)
{
    while (p.at[at] != '}' && p.at[at] != ':')
        at++;
    return at;
}

static bool reference(struct bytes p, struct bytes s)
{
    bool now[SUBJECT_MAX + 1] = {[0] = true};
    for (size_t at = 0; at < p.len;) {
        bool next[SUBJECT_MAX + 8] = {false}, unused;
        size_t end = at + 1;
        if (p.at[at] == '{') {
            end = name_end(p, at);
            if (p.at[end++] == ':') {
                at = end;
                continue;
            }
            step_run(s, now, next, true);
        } else if (p.at[at] == '}') {
            at = end;
            continue;
        } else if (p.at[at] == '*') {
            step_run(s, now, next, false);
        } else {
            if (p.at[at] == '[')
                end = set_holds(p, at, 0, &unused);
            step_one(p, at, s, now, next);
        }
        memcpy(now, next, sizeof(now));
        at = end;
    }
    return now[s.len];
}

/* Captures with a pattern of their own may be empty in the reference: then the answers may differ. */
static bool may_be_empty(struct bytes p)
{
    for (size_t i = 0; i + 1 < p.len; i++)
        if (p.at[i] == ':' && memchr(p.at, '{', i) != NULL)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size == 0 ? NULL : memchr(data, 0, size);
    if (zero == NULL)
        return 0;
    struct bytes pattern = bytes_of(data, (size_t)(zero - data));
    struct bytes subject = bytes_of(zero + 1, size - pattern.len - 1);
    struct glob_captures captures;
    bool matched = glob_match(pattern, subject, &captures);
    bool proper = glob_check(pattern) == NULL && utf8_check(subject, UTF8_TEXT);
    if (!proper && matched)
        abort();
    for (uint32_t i = 0; matched && i < captures.n; i++) {
        struct bytes v = captures.capture[i].value;
        if (v.len == 0 || v.at < subject.at || v.len > (size_t)(subject.at + subject.len - v.at))
            abort();
    }
    if (proper && subject.len <= SUBJECT_MAX && !may_be_empty(pattern) &&
        reference(pattern, subject) != matched)
        abort();
    return 0;
}
