/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/ctl/import/import_resolve.h"

#include "policy/access/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEETS_MAX 20000u
#define FILTER_ROOM 4096

/* ---- filters ------------------------------------------------------------------------------------------- */

struct level {
    const char *at;
    size_t n;
};

static bool next_level(const char **rest, struct level *out)
{
    if (*rest == NULL)
        return false;
    out->at = *rest;
    out->n = strcspn(*rest, "/");
    *rest = out->at[out->n] == '/' ? out->at + out->n + 1 : NULL;
    return true;
}

static bool is(struct level level, char wildcard)
{
    return level.n == 1 && level.at[0] == wildcard;
}

static bool has_variable(struct level level)
{
    return memchr(level.at, IMPORT_CLIENT_ID, level.n) != NULL ||
           memchr(level.at, IMPORT_USER, level.n) != NULL;
}

/* The level that both match; false when there is none. Of what is not known the one without variables. */
static bool meet_level(struct level a, struct level b, struct level *out)
{
    bool a_any = is(a, '+'), b_any = is(b, '+');
    if (a_any || b_any) {
        *out = a_any ? b : a;
        return true;
    }
    *out = has_variable(a) ? b : a;
    return has_variable(a) || has_variable(b) || (a.n == b.n && memcmp(a.at, b.at, a.n) == 0);
}

static bool hides_dollar(const char *wild, const char *other)
{
    return (wild[0] == '+' || wild[0] == '#') && other[0] == '$';
}

/* The next level; the first may be empty, so that what was used does not tell whether it is the first. */
static bool put(char *out, size_t *used, bool first, const char *from, size_t n)
{
    if (out == NULL)
        return true;
    if (n + 2 > FILTER_ROOM - *used)
        return false;
    if (!first)
        out[(*used)++] = '/';
    memcpy(out + *used, from, n);
    *used += n;
    out[*used] = '\0';
    return true;
}

/* The filter of what both match, exact where there are no variables; `out` NULL or FILTER_ROOM bytes. */
static bool meet(const char *a, const char *b, char *out)
{
    size_t used = 0;
    if (hides_dollar(a, b) || hides_dollar(b, a))
        return false;
    if (out != NULL)
        out[0] = '\0';
    const char *ra = a, *rb = b;
    for (bool first = true;; first = false) {
        const char *whole_a = ra, *whole_b = rb;
        struct level x = {.n = 0}, y = {.n = 0}, both;
        bool more_a = next_level(&ra, &x), more_b = next_level(&rb, &y);
        /* "a/#" matches "a" too, and what is left of the other is the narrower one. */
        if (more_a && is(x, '#'))
            return !more_b || put(out, &used, first, whole_b, strlen(whole_b));
        if (more_b && is(y, '#'))
            return !more_a || put(out, &used, first, whole_a, strlen(whole_a));
        if (!more_a || !more_b)
            return more_a == more_b;
        if (!meet_level(x, y, &both) || !put(out, &used, first, both.at, both.n))
            return false;
    }
}

bool import_filters_meet(const char *a, const char *b)
{
    return meet(a, b, NULL);
}

/* Every topic of `inner`, for every client, is one of `outer`. */
static bool contains(const char *outer, const char *inner)
{
    return topic_filter_contains(bytes_of_text(outer), bytes_of_text(inner));
}

/* ---- one action ---------------------------------------------------------------------------------------- */

struct side {
    const struct import_entry **allow, **deny; /* from low to high */
    uint32_t allows, denies;
};

static int by_filter(const void *a, const void *b)
{
    const struct import_entry *const *x = a, *const *y = b;
    int order = strcmp((*x)->filter, (*y)->filter);
    return order != 0 ? order : (*x > *y) - (*x < *y);
}

/* Of entries with one filter only the first is ever asked. Marks the others in `dead`. */
static bool mark_dead(const struct import_entries *lists, uint8_t action, bool *dead)
{
    const struct import_entry **sorted = calloc(lists->n + 1u, sizeof(const struct import_entry *));
    uint32_t n = 0;
    if (sorted == NULL)
        return false;
    for (uint32_t i = 0; i < lists->n; i++) {
        dead[i] = (lists->at[i].actions & action) == 0;
        if (!dead[i])
            sorted[n++] = &lists->at[i];
    }
    qsort(sorted, n, sizeof(sorted[0]), by_filter);
    for (uint32_t i = 1; i < n; i++)
        if (strcmp(sorted[i - 1]->filter, sorted[i]->filter) == 0)
            dead[sorted[i] - lists->at] = true;
    free(sorted);
    return true;
}

static void drop_covered(const struct import_entry **set, uint32_t *n, const struct import_entry *by)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *n; i++)
        if (!contains(by->filter, set[i]->filter))
            set[kept++] = set[i];
    *n = kept;
}

/* Whether `deny`, outside of `grant`, denies nothing that the grants below it (their addresses are higher)
 * allow. */
static bool denies_nothing_more(const struct side *side, const struct import_entry *deny,
                                const struct import_entry *grant)
{
    char both[FILTER_ROOM];
    for (uint32_t i = 0; i < side->allows; i++) {
        const struct import_entry *low = side->allow[i];
        if (low < deny || contains(grant->filter, low->filter))
            continue;
        if (strlen(low->filter) + strlen(deny->filter) > FILTER_ROOM / 2)
            return false;
        if (meet(low->filter, deny->filter, both) && !contains(grant->filter, both))
            return false;
    }
    return true;
}

static void put_grant(struct side *side, const struct import_entry *grant)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < side->denies; i++) {
        const struct import_entry *deny = side->deny[i];
        bool gone = contains(grant->filter, deny->filter) ||
                    (meet(grant->filter, deny->filter, NULL) && denies_nothing_more(side, deny, grant));
        if (!gone)
            side->deny[kept++] = deny;
    }
    side->denies = kept;
    side->allow[side->allows++] = grant;
}

static const char *shown(struct import_run *run, const char *filter)
{
    size_t n = strlen(filter);
    char *text = arena_take(run->arena, 2 * n + 1);
    if (text == NULL)
        return filter;
    char *to = text;
    for (; *filter != '\0'; filter++) {
        if (*filter == IMPORT_CLIENT_ID || *filter == IMPORT_USER) {
            *to++ = '%';
            *to++ = *filter == IMPORT_USER ? 'u' : 'c';
        } else {
            *to++ = *filter;
        }
    }
    return text;
}

/* Grants that the broker lets win over a deny that stays: less is allowed. */
static void settle_conflicts(struct import_run *run, struct side *side, const char *action)
{
    for (uint32_t i = 0; i < side->denies; i++) {
        const struct import_entry *deny = side->deny[i];
        uint32_t kept = 0;
        for (uint32_t k = 0; k < side->allows; k++) {
            const struct import_entry *grant = side->allow[k];
            bool conflict = grant < deny && meet(grant->filter, deny->filter, NULL);
            if (conflict)
                import_tell(
                    run, DIAGNOSTIC_WARNING, grant->file, grant->line,
                    "'%.160s' (%s) wins over the denial of '%.160s' (%s) in mosquitto; here a deny always "
                    "wins, so what both match is refused to %s; narrow the denial if it is needed",
                    shown(run, grant->filter), grant->origin, shown(run, deny->filter), deny->origin, action);
            if (!contains(deny->filter, grant->filter))
                side->allow[kept++] = grant;
        }
        side->allows = kept;
    }
}

static bool resolve_action(struct import_run *run, const struct import_role *role, uint8_t action,
                           const char *name, struct side *side)
{
    const struct import_entries *lists = &role->lists;
    bool *dead = arena_take(run->arena, lists->n + 1u);
    size_t bytes = (lists->n + 1u) * sizeof(const struct import_entry *);
    side->allow = arena_take(run->arena, bytes);
    side->deny = arena_take(run->arena, bytes);
    if (dead == NULL || side->allow == NULL || side->deny == NULL || !mark_dead(lists, action, dead)) {
        import_tell(run, DIAGNOSTIC_ERROR, "import", 0, "no memory for %u entries; give it more", lists->n);
        return false;
    }
    for (uint32_t i = lists->n; i-- > 0;) {
        const struct import_entry *entry = &lists->at[i];
        if (dead[i])
            continue;
        if (entry->allow) {
            put_grant(side, entry);
        } else {
            drop_covered(side->allow, &side->allows, entry);
            drop_covered(side->deny, &side->denies, entry);
            side->deny[side->denies++] = entry;
        }
    }
    settle_conflicts(run, side, name);
    return true;
}

/* ---- the role ------------------------------------------------------------------------------------------ */

static bool denied_already(const struct import_role *role, const struct import_entry *rule)
{
    for (uint32_t i = 0; i < role->rules.n; i++) {
        const struct import_entry *other = &role->rules.at[i];
        if (!other->allow && (rule->actions & ~other->actions) == 0 && contains(other->filter, rule->filter))
            return true;
    }
    return false;
}

static bool add_rules(struct import_run *run, struct import_role *role, const struct side *publish,
                      const struct side *receive)
{
    uint8_t *actions[2]; /* deny, allow: by place in the lists */
    for (int allow = 0; allow < 2; allow++) {
        actions[allow] = arena_take(run->arena, role->lists.n + 1u);
        if (actions[allow] == NULL)
            return false;
    }
    const struct side *sides[2] = {publish, receive};
    for (unsigned int s = 0; s < 2; s++) {
        for (uint32_t i = 0; i < sides[s]->allows; i++)
            actions[1][sides[s]->allow[i] - role->lists.at] |= (uint8_t)(1u << s);
        for (uint32_t i = 0; i < sides[s]->denies; i++)
            actions[0][sides[s]->deny[i] - role->lists.at] |= (uint8_t)(1u << s);
    }
    for (uint32_t i = 0; i < role->lists.n; i++) {
        struct import_entry rule = role->lists.at[i];
        rule.actions = actions[rule.allow][i];
        if (rule.actions == 0 || (!rule.allow && denied_already(role, &rule)))
            continue;
        if (!import_add(run, &role->rules, &rule))
            return false;
    }
    return true;
}

/* What both a subscription and a delivery allow, as an allow rule each. */
static bool add_meets(struct import_run *run, struct import_role *role, const struct side *subscribe,
                      const struct side *receive)
{
    char both[FILTER_ROOM];
    if ((uint64_t)subscribe->allows * receive->allows > MEETS_MAX) {
        import_tell(run, DIAGNOSTIC_ERROR, subscribe->allow[0]->file, 0,
                    "%u grants to subscribe and %u to receive are more than can be joined; say less of them",
                    subscribe->allows, receive->allows);
        return false;
    }
    for (uint32_t i = subscribe->allows; i-- > 0;) {
        const char *wide = subscribe->allow[i]->filter;
        bool inside = false;
        for (uint32_t k = receive->allows; k-- > 0;) {
            struct import_entry rule = *subscribe->allow[i];
            rule.actions = IMPORT_RECEIVE;
            inside = inside || contains(receive->allow[k]->filter, wide);
            if (!meet(wide, receive->allow[k]->filter, both))
                continue;
            rule.filter = arena_text(run->arena, both, strlen(both));
            bool there = false;
            for (uint32_t r = 0; rule.filter != NULL && r < role->rules.n; r++) {
                const struct import_entry *other = &role->rules.at[r];
                there = there || (other->allow && (other->actions & IMPORT_RECEIVE) != 0 &&
                                  contains(other->filter, rule.filter));
            }
            for (uint32_t r = 0; rule.filter != NULL && r < subscribe->denies; r++)
                there = there || contains(subscribe->deny[r]->filter, rule.filter);
            for (uint32_t r = 0; rule.filter != NULL && r < receive->denies; r++)
                there = there || contains(receive->deny[r]->filter, rule.filter);
            if (rule.filter == NULL || (!there && !import_add(run, &role->rules, &rule)))
                return false;
        }
        role->trim = role->trim || !inside;
    }
    role->except = !role->trim && (receive->denies != 0 || subscribe->denies != 0);
    return true;
}

/* The plugin judges the filter and not what comes by it: what a denial of subscriptions matches it delivers
 * by a wider filter all the same. */
static void tell_cut(struct import_run *run, const struct import_role *role, const struct side *subscribe)
{
    for (uint32_t i = 0; i < subscribe->denies; i++)
        import_tell(run, DIAGNOSTIC_WARNING, subscribe->deny[i]->file, subscribe->deny[i]->line,
                    "%.160s: '%.160s' may not be subscribed to (%s), and mosquitto delivers it by a wider "
                    "filter; here it "
                    "is not delivered; deny publishClientReceive there if that is meant",
                    role->origin != NULL ? role->origin : "a role", shown(run, subscribe->deny[i]->filter),
                    subscribe->deny[i]->origin);
}

/* Where only a part of what is granted may be received, the rules hold that part, and filters that are wider
 * than it pass: those that were granted cannot be told from those that were not. */
static bool tell_trim(struct import_run *run, const struct import_role *role, const struct side *subscribe)
{
    tell_cut(run, role, subscribe);
    if (role->trim)
        import_tell(
            run, DIAGNOSTIC_WARNING, role->lists.n != 0 ? role->lists.at[0].file : "import", 0,
            "%.160s: some of what it subscribes to is not delivered, so wider filters are accepted too and "
            "trimmed to what it may receive; nothing else is delivered",
            role->origin != NULL ? role->origin : "a role");
    return true;
}

static bool has_deny(const struct import_entries *lists)
{
    for (uint32_t i = 0; i < lists->n; i++)
        if (!lists->at[i].allow)
            return true;
    return false;
}

bool import_resolve(struct import_run *run, struct import_role *role)
{
    struct side publish = {.allows = 0}, receive = {.allows = 0}, subscribe = {.allows = 0};
    static const struct side nothing;
    if (role->lists.n > IMPORT_ALLOWS_COMPARED_MAX && has_deny(&role->lists)) {
        const struct import_entry *first = &role->lists.at[0];
        import_tell(
            run, DIAGNOSTIC_ERROR, first->file, first->line,
            "a user has more than %u entries, denials among them, which cannot be compared; say less of them",
            IMPORT_ALLOWS_COMPARED_MAX);
        return false;
    }
    if (!resolve_action(run, role, IMPORT_PUBLISH, "publish", &publish) ||
        !resolve_action(run, role, IMPORT_RECEIVE, "receive", &receive))
        return false;
    if (!role->judges_subscriptions) {
        role->trim = true;
        return add_rules(run, role, &publish, &receive);
    }
    if (!resolve_action(run, role, IMPORT_SUBSCRIBE, "subscribe to", &subscribe))
        return false;
    struct side denied = {.deny = receive.deny, .denies = receive.denies};
    struct side denied_too = {.deny = subscribe.deny, .denies = subscribe.denies};
    return add_rules(run, role, &publish, &denied) && add_rules(run, role, &nothing, &denied_too) &&
           add_meets(run, role, &subscribe, &receive) && tell_trim(run, role, &subscribe);
}

/* ---- one topic ----------------------------------------------------------------------------------------- */

bool import_filter_matches(const char *filter, const char *topic, const struct import_client *client)
{
    char text[FILTER_ROOM];
    size_t used = 0;
    for (; *filter != '\0'; filter++) {
        bool variable = *filter == IMPORT_CLIENT_ID || *filter == IMPORT_USER;
        const char *from = *filter == IMPORT_CLIENT_ID ? client->client_id : client->user;
        size_t n = variable ? (from == NULL ? 0 : strlen(from)) : 1;
        if (variable && n == 0)
            return false;
        if (n >= sizeof(text) - used)
            return false;
        memcpy(text + used, variable ? from : filter, n);
        used += n;
    }
    return topic_matches(bytes_of(text, used), bytes_of_text(topic));
}

static bool first_says(const struct import_entries *lists, uint8_t action, const char *topic,
                       const struct import_client *client)
{
    for (uint32_t i = 0; i < lists->n; i++)
        if ((lists->at[i].actions & action) != 0 && import_filter_matches(lists->at[i].filter, topic, client))
            return lists->at[i].allow;
    return false;
}

bool import_broker_allows(const struct import_role *role, uint8_t action, const char *topic,
                          const struct import_client *client)
{
    return first_says(&role->lists, action, topic, client) &&
           (action != IMPORT_RECEIVE || !role->judges_subscriptions ||
            first_says(&role->lists, IMPORT_SUBSCRIBE, topic, client));
}

bool import_rules_allow(const struct import_role *role, uint8_t action, const char *topic,
                        const struct import_client *client)
{
    bool allowed = false;
    for (uint32_t i = 0; i < role->rules.n; i++) {
        const struct import_entry *rule = &role->rules.at[i];
        if ((rule->actions & action) == 0 || !import_filter_matches(rule->filter, topic, client))
            continue;
        if (!rule->allow)
            return false;
        allowed = true;
    }
    return allowed;
}
