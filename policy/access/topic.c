/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/access/topic.h"

/* A topic taken level by level; `done` once the last level has been taken. */
struct walk {
    struct cursor rest;
    bool done;
};

static struct walk walk_of(struct bytes topic)
{
    return (struct walk){.rest = cursor_of(topic), .done = false};
}

static bool walk_next(struct walk *w, struct bytes *level)
{
    return topic_next_level(&w->rest, &w->done, level);
}

static bool is_single(struct bytes level, uint8_t wildcard)
{
    return level.len == 1 && level.at[0] == wildcard;
}

static bool is_plus(struct bytes level)
{
    return is_single(level, '+');
}

static bool is_hash(struct bytes level)
{
    return is_single(level, '#');
}

static bool begins_with_dollar(struct bytes topic)
{
    return topic.len > 0 && topic.at[0] == '$';
}

/* s.4.7.2: a filter that begins with a wildcard stays away from topics that begin with '$'. */
static bool begins_with_wildcard(struct bytes filter)
{
    struct walk w = walk_of(filter);
    struct bytes level;
    return walk_next(&w, &level) && (is_plus(level) || is_hash(level));
}

bool topic_next_level(struct cursor *c, bool *at_end, struct bytes *level)
{
    if (*at_end)
        return false;
    size_t left = cursor_left(c);
    const uint8_t *slash = left == 0 ? NULL : memchr(c->at, '/', left);
    if (slash == NULL) {
        *level = bytes_of(c->at, left);
        c->at = c->end;
        *at_end = true;
        return true;
    }
    *level = bytes_of(c->at, (size_t)(slash - c->at));
    c->at = slash + 1;
    return true;
}

static bool has_byte(struct bytes b, uint8_t value)
{
    return b.len > 0 && memchr(b.at, value, b.len) != NULL;
}

bool topic_name_valid(struct bytes topic)
{
    return topic.len > 0 && topic.len <= UINT16_MAX && !has_byte(topic, '+') && !has_byte(topic, '#') &&
           !has_byte(topic, 0);
}

bool topic_filter_valid(struct bytes filter)
{
    if (filter.len == 0 || filter.len > UINT16_MAX || has_byte(filter, 0))
        return false;
    struct walk w = walk_of(filter);
    struct bytes level;
    while (walk_next(&w, &level)) {
        if (is_hash(level))
            return w.done; /* s.4.7.1.2: the last level only */
        if (!is_plus(level) && (has_byte(level, '+') || has_byte(level, '#')))
            return false;
    }
    return true;
}

size_t topic_levels(struct bytes topic)
{
    struct walk w = walk_of(topic);
    struct bytes level;
    size_t n = 0;
    while (walk_next(&w, &level))
        n++;
    return n;
}

bool topic_matches(struct bytes filter, struct bytes topic)
{
    if (begins_with_dollar(topic) && begins_with_wildcard(filter))
        return false;
    struct walk f = walk_of(filter), t = walk_of(topic);
    struct bytes wanted, level;
    while (walk_next(&f, &wanted)) {
        if (is_hash(wanted)) /* the parent level too: s.4.7.1.2 */
            return true;
        if (!walk_next(&t, &level) || (!is_plus(wanted) && !bytes_equal(wanted, level)))
            return false;
    }
    return t.done;
}

/* Whether what is left of a filter is nothing, or '#' alone. */
static bool rest_is_hash(struct walk w)
{
    struct bytes level;
    return walk_next(&w, &level) && is_hash(level);
}

bool topic_filter_contains(struct bytes outer, struct bytes inner)
{
    if (begins_with_wildcard(outer) && begins_with_dollar(inner))
        return false;
    struct walk o = walk_of(outer), i = walk_of(inner);
    struct bytes wide, narrow;
    bool first = true;
    while (walk_next(&o, &wide)) {
        if (is_hash(wide))
            return true;
        if (!walk_next(&i, &narrow))
            return false;
        /* A topic has one level at least, so that "+/#" is all that "#" is. */
        if (is_hash(narrow))
            return first && is_plus(wide) && rest_is_hash(o);
        if (!is_plus(wide) && (is_plus(narrow) || !bytes_equal(wide, narrow)))
            return false;
        first = false;
    }
    return i.done;
}

bool topic_filter_intersects(struct bytes a, struct bytes b)
{
    if ((begins_with_wildcard(a) && begins_with_dollar(b)) ||
        (begins_with_wildcard(b) && begins_with_dollar(a)))
        return false;
    struct walk wa = walk_of(a), wb = walk_of(b);
    struct bytes la, lb;
    for (;;) {
        bool more_a = walk_next(&wa, &la), more_b = walk_next(&wb, &lb);
        if ((more_a && is_hash(la)) || (more_b && is_hash(lb)))
            return true;
        if (!more_a || !more_b)
            return more_a == more_b;
        if (!is_plus(la) && !is_plus(lb) && !bytes_equal(la, lb))
            return false;
    }
}

static bool take_prefix(struct bytes *filter, const char *prefix)
{
    size_t n = strlen(prefix);
    if (filter->len < n || memcmp(filter->at, prefix, n) != 0)
        return false;
    *filter = bytes_of(filter->at + n, filter->len - n);
    return true;
}

/* Takes the first level and its slash off; false when there is no slash. */
static bool take_level(struct bytes *filter, struct bytes *level)
{
    struct walk w = walk_of(*filter);
    if (!walk_next(&w, level) || w.done)
        return false;
    *filter = bytes_of(w.rest.at, cursor_left(&w.rest));
    return true;
}

static bool is_number(struct bytes level)
{
    for (size_t i = 0; i < level.len; i++)
        if (level.at[i] < '0' || level.at[i] > '9')
            return false;
    return level.len > 0;
}

static bool has_any_prefix(struct bytes filter)
{
    return take_prefix(&filter, "$share/") || take_prefix(&filter, "$queue/") ||
           take_prefix(&filter, "$exclusive/") || take_prefix(&filter, "$delayed/");
}

bool topic_share_parse(struct bytes filter, struct topic_share *out)
{
    *out = (struct topic_share){.inner = filter};
    if (!has_any_prefix(filter))
        return true;
    struct bytes rest = filter, level;
    if (take_prefix(&rest, "$share/")) {
        /* s.4.8.2: the group is not empty and holds no wildcard. */
        if (!take_level(&rest, &level) || level.len == 0 || has_byte(level, '+') || has_byte(level, '#'))
            return false;
        out->shared = true;
        out->group = level;
    } else if (take_prefix(&rest, "$queue/")) {
        out->shared = true;
    } else if (take_prefix(&rest, "$delayed/")) {
        if (!take_level(&rest, &level) || !is_number(level))
            return false;
    } else {
        take_prefix(&rest, "$exclusive/");
    }
    out->inner = rest;
    /* A prefix inside a prefix would be judged as a name here and perhaps unwrapped again upstream. */
    return rest.len > 0 && !has_any_prefix(rest);
}

bool topic_publish_parse(struct bytes topic, struct bytes *inner)
{
    struct topic_share parsed;
    struct bytes rest = topic;
    *inner = topic;
    if (!begins_with_dollar(topic) || !take_prefix(&rest, "$delayed/"))
        return true;
    if (!topic_share_parse(topic, &parsed))
        return false;
    *inner = parsed.inner;
    return true;
}
