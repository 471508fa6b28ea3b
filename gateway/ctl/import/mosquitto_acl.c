/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/ctl/import/mosquitto_acl.h"

#include "policy/utf8.h"

#include <ctype.h>
#include <string.h>

struct reader {
    struct import_run *run;
    struct mosquitto_acl *acl;
    const char *user;
    uint32_t user_line;
    uint32_t current; /* its section, or UINT32_MAX while it has none */
    uint32_t line;
    bool failed;
};

static void refuse(struct reader *r, const char *what, const char *word)
{
    r->failed = true;
    import_tell(r->run, DIAGNOSTIC_ERROR, r->acl->file, r->line, what, word);
}

/* Takes the next word off, as strtok_r with " " does; NULL when there is none. */
static char *next_word(char **rest)
{
    char *word = *rest + strspn(*rest, " ");
    if (*word == '\0')
        return NULL;
    char *end = word + strcspn(word, " ");
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

static bool known_access(const char *word, struct import_entry *entry)
{
    static const struct {
        const char *word;
        uint8_t actions;
        bool allow;
    } known[] = {{"read", IMPORT_RECEIVE, true},
                 {"write", IMPORT_PUBLISH, true},
                 {"readwrite", IMPORT_BOTH, true},
                 {"deny", IMPORT_BOTH, false}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(known[i].word, word) == 0) {
            entry->actions = known[i].actions;
            entry->allow = known[i].allow;
            return true;
        }
    return false;
}

static struct import_entries *section_entries(struct reader *r)
{
    struct mosquitto_acl *acl = r->acl;
    for (uint32_t i = 0; r->current == UINT32_MAX && i < acl->sections_n; i++) {
        const char *name = acl->sections[i].user;
        if (r->user == NULL ? name == NULL : name != NULL && strcmp(name, r->user) == 0)
            r->current = i;
    }
    if (r->current == UINT32_MAX && acl->sections_n == acl->sections_room) {
        uint32_t room = acl->sections_room == 0 ? 8 : acl->sections_room * 2;
        struct mosquitto_acl_section *more =
            acl->sections_n >= IMPORT_ROLES_MAX ? NULL : arena_take(r->run->arena, room * sizeof(*more));
        if (more == NULL) {
            refuse(r, "%s",
                   "there are more than 4096 users with lines of their own; say the same with patterns");
            return NULL;
        }
        if (acl->sections_n != 0)
            memcpy(more, acl->sections, acl->sections_n * sizeof(*more));
        acl->sections = more;
        acl->sections_room = room;
    }
    if (r->current == UINT32_MAX) {
        r->current = acl->sections_n++;
        acl->sections[r->current] = (struct mosquitto_acl_section){.user = r->user, .line = r->user_line};
    }
    return &acl->sections[r->current].entries;
}

static void put_variables(char *topic)
{
    char *to = topic;
    for (const char *from = topic; *from != '\0'; from++) {
        bool variable = from[0] == '%' && (from[1] == 'c' || from[1] == 'u');
        *to++ = !variable ? *from : from[1] == 'c' ? IMPORT_CLIENT_ID : IMPORT_USER;
        from += variable;
    }
    *to = '\0';
}

static void read_topic(struct reader *r, char *rest, bool pattern)
{
    struct import_entry entry = {
        .file = r->acl->file, .line = r->line, .actions = IMPORT_BOTH, .allow = true};
    char *word = next_word(&rest);
    if (word == NULL) {
        refuse(r, "%s", "there is no topic; write \"topic read TOPIC\"");
        return;
    }
    char *topic = word;
    if (*rest != '\0') {
        topic = rest + strspn(rest, " ");
        if (!known_access(word, &entry)) {
            refuse(r, "there is no access '%.64s'; write read, write, readwrite or deny before the topic",
                   word);
            return;
        }
    }
    const char *problem = import_filter_problem(topic);
    if (problem != NULL) {
        refuse(r, "the topic is not one that can be carried over: %s; correct it", problem);
        return;
    }
    entry.filter = arena_text(r->run->arena, topic, strlen(topic));
    entry.origin = arena_format(r->run->arena, "acl:%u", r->line);
    if (entry.filter == NULL || entry.origin == NULL) {
        refuse(r, "%s", "no memory for it; give it more");
        return;
    }
    struct import_entries *to = &r->acl->patterns;
    if (!pattern)
        to = section_entries(r);
    else
        put_variables((char *)(uintptr_t)entry.filter);
    if (to == NULL || !import_add(r->run, to, &entry))
        r->failed = true;
}

static void read_user(struct reader *r, char *rest)
{
    char *name = rest + strspn(rest, " ");
    if (*name == '\0') {
        refuse(r, "%s", "there is no name behind 'user'; write \"user NAME\"");
        return;
    }
    r->user = arena_text(r->run->arena, name, strlen(name));
    r->user_line = r->line;
    r->current = UINT32_MAX;
    if (r->user == NULL)
        refuse(r, "%s", "no memory for it; give it more");
    else if (strlen(name) > 200 || strstr(name, "${") != NULL || !utf8_check(bytes_of_text(name), UTF8_SPEC))
        refuse(r, "%s", "a user name is UTF-8 of at most 200 bytes and without \"${\" here; change it");
}

static bool has_control(const char *line)
{
    for (; *line != '\0'; line++)
        if (iscntrl((unsigned char)*line) && *line != '\t')
            return true;
    return false;
}

static void read_line(struct reader *r, char *line, size_t n)
{
    while (n > 0 && isspace((unsigned char)line[n - 1]))
        line[--n] = '\0';
    if (n == 0 || line[0] == '#')
        return;
    char *rest = line;
    if (n > IMPORT_LINE_BYTES_MAX || has_control(line)) {
        refuse(r, "%s",
               n > IMPORT_LINE_BYTES_MAX ? "the line is longer than 8192 bytes; shorten it"
                                         : "the line holds control characters; remove them");
        return;
    }
    const char *word = next_word(&rest);
    if (word == NULL)
        return;
    if (strcmp(word, "topic") == 0 || strcmp(word, "pattern") == 0)
        read_topic(r, rest, word[0] == 'p');
    else if (strcmp(word, "user") == 0)
        read_user(r, rest);
    else
        refuse(r,
               "a line begins with topic, pattern, user or, in its first column, '#', not with '%.64s'; "
               "mosquitto "
               "refuses this file too",
               word);
}

bool mosquitto_acl_parse(struct import_run *run, char *text, const char *file, struct mosquitto_acl *acl)
{
    struct reader r = {.run = run, .acl = acl, .current = UINT32_MAX};
    struct import_lines lines = {.at = text};
    size_t n;
    acl->file = file;
    for (char *line; (line = import_next_line(&lines, &n)) != NULL;) {
        r.line = lines.line;
        read_line(&r, line, n);
    }
    return !r.failed;
}

/* A user's pattern with its name in it, so that it can be compared with the user's own topics. */
static const char *with_user(struct import_run *run, const char *filter, const char *user)
{
    size_t users = 0, n = strlen(filter), name = strlen(user);
    for (const char *c = filter; *c != '\0'; c++)
        users += *c == IMPORT_USER;
    char *out = users == 0 ? NULL : arena_take(run->arena, n + users * name + 1);
    if (out == NULL)
        return users == 0 ? filter : NULL;
    size_t used = 0;
    for (const char *c = filter; *c != '\0'; c++) {
        if (*c == IMPORT_USER) {
            memcpy(out + used, user, name);
            used += name;
        } else {
            out[used++] = *c;
        }
    }
    return out;
}

static bool add_kind(struct import_run *run, const struct import_entries *from, bool allow, const char *user,
                     bool anonymous, struct import_entries *to)
{
    for (uint32_t i = 0; i < from->n; i++) {
        struct import_entry entry = from->at[i];
        if (entry.allow != allow || (anonymous && strchr(entry.filter, IMPORT_USER) != NULL))
            continue;
        if (user != NULL)
            entry.filter = with_user(run, entry.filter, user);
        if (entry.filter == NULL || !import_add(run, to, &entry))
            return false;
    }
    return true;
}

bool mosquitto_acl_lists(struct import_run *run, const struct mosquitto_acl *acl,
                         const struct mosquitto_acl_section *section, const char *user, bool anonymous,
                         struct import_entries *lists)
{
    static const struct import_entries none;
    const struct import_entries *own = section != NULL ? &section->entries : &none;
    const struct import_entries *patterns =
        user != NULL && strpbrk(user, "+#/") != NULL ? &none : &acl->patterns;
    return add_kind(run, own, false, NULL, false, lists) && add_kind(run, own, true, NULL, false, lists) &&
           add_kind(run, patterns, false, user, anonymous, lists) &&
           add_kind(run, patterns, true, user, anonymous, lists);
}
