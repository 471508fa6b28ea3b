/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/ctl/import/mosquitto_dynsec.h"

#include "policy/access/users.h"
#include "policy/utf8.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_BYTES_MAX 200u

struct dynsec_read {
    struct import_run *run;
    struct import_site *site;
    const char *file;
    const char *listener;
    json_t *roles, *groups, *clients;
    bool failed;
    bool told_control;
};

static void dynsec_tell(struct dynsec_read *r, enum diagnostic_level level, const char *format, const char *a,
                        const char *b)
{
    r->failed = r->failed || level == DIAGNOSTIC_ERROR;
    import_tell(r->run, level, r->file, 0, format, a, b);
}

/* ---- values -------------------------------------------------------------------------------------------- */

static bool only_printable(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            return false;
    return true;
}

/* The text of a member, or NULL; told when it is there and none, or missing and `needed`. */
static const char *text_of(struct dynsec_read *r, const json_t *object, const char *key, const char *where,
                           bool needed)
{
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    if (value == NULL && !needed)
        return NULL;
    if (text == NULL || strlen(text) != json_string_length(value) || text[0] == '\0' || !only_printable(text))
        dynsec_tell(r, DIAGNOSTIC_ERROR, "%s has no good '%s'; write a text of visible characters", where,
                    key);
    else
        return text;
    return NULL;
}

static int priority_of(struct dynsec_read *r, const json_t *object, int none, const char *where)
{
    const json_t *value = json_object_get(object, "priority");
    if (value == NULL)
        return none;
    if (!json_is_number(value) || json_number_value(value) < -2147483647.0 ||
        json_number_value(value) > 2147483647.0) {
        dynsec_tell(r, DIAGNOSTIC_ERROR, "%s has a '%s' that is no number; correct it", where, "priority");
        return none;
    }
    return (int)json_number_value(value);
}

static bool flag_at(struct dynsec_read *r, const json_t *object, const char *key, bool none,
                    const char *where)
{
    const json_t *value = json_object_get(object, key);
    if (value != NULL && !json_is_boolean(value)) {
        dynsec_tell(r, DIAGNOSTIC_ERROR, "%s: '%s' is true or false; correct it", where, key);
        return false;
    }
    return value == NULL ? none : json_is_true(value);
}

/* An array member; an empty one when it is missing, told when it is something else. */
static json_t *array_of(struct dynsec_read *r, const json_t *object, const char *key, const char *where)
{
    json_t *value = json_object_get(object, key);
    if (value != NULL && !json_is_array(value)) {
        dynsec_tell(r, DIAGNOSTIC_ERROR, "%s: '%s' is a list; correct it", where, key);
        return NULL;
    }
    return value;
}

static const json_t *find_named(const json_t *list, const char *key, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const char *own = json_string_value(json_object_get(entry, key));
        if (own != NULL && strcmp(own, name) == 0)
            return entry;
    }
    return NULL;
}

/* ---- order --------------------------------------------------------------------------------------------- */

struct ranked {
    const json_t *value;
    int priority;
    size_t place;
};

static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->priority != y->priority)
        return x->priority > y->priority ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* Entries of a list, highest priority first, in their order where that is the same; to be freed. */
static struct ranked *rank(struct dynsec_read *r, const json_t *list, int none, const char *where, size_t *n)
{
    *n = json_array_size(list);
    struct ranked *ranked = *n > IMPORT_ENTRIES_MAX ? NULL : calloc(*n + 1, sizeof(*ranked));
    if (ranked == NULL) {
        dynsec_tell(r, DIAGNOSTIC_ERROR, "%s has more than 100000 entries%s; split the site", where, "");
        *n = 0;
        return NULL;
    }
    for (size_t i = 0; i < *n; i++) {
        const json_t *value = json_array_get(list, i);
        ranked[i] =
            (struct ranked){.value = value, .priority = priority_of(r, value, none, where), .place = i};
    }
    qsort(ranked, *n, sizeof(*ranked), by_rank);
    return ranked;
}

/* ---- entries ------------------------------------------------------------------------------------------- */

enum kind {
    KIND_SEND = 0,
    KIND_RECEIVE,
    KIND_SUBSCRIBE_LITERAL,
    KIND_SUBSCRIBE_PATTERN,
    KIND_UNSUBSCRIBE_LITERAL,
    KIND_UNSUBSCRIBE_PATTERN,
    KINDS,
};

static const char *const kind_words[KINDS] = {"publishClientSend",  "publishClientReceive",
                                              "subscribeLiteral",   "subscribePattern",
                                              "unsubscribeLiteral", "unsubscribePattern"};

static enum kind kind_of(const json_t *acl)
{
    const char *word = json_string_value(json_object_get(acl, "acltype"));
    enum kind kind = KIND_SEND;
    while (kind < KINDS && (word == NULL || strcasecmp(kind_words[kind], word) != 0))
        kind++;
    return kind;
}

static void add_entry(struct dynsec_read *r, const json_t *acl, enum kind kind, const char *role,
                      uint8_t action, struct import_entries *lists)
{
    const char *topic = json_string_value(json_object_get(acl, "topic"));
    struct import_entry entry = {
        .file = r->file, .actions = action, .allow = json_is_true(json_object_get(acl, "allow"))};
    if (strncmp(topic, "$CONTROL", strlen("$CONTROL")) == 0) {
        if (entry.allow && !r->told_control)
            dynsec_tell(r, DIAGNOSTIC_WARNING,
                        "role '%.64s' may use '%.160s'; commands to the plugin end with it, so topics of "
                        "$CONTROL are "
                        "granted to nobody",
                        role, topic);
        r->told_control = r->told_control || entry.allow;
        return;
    }
    entry.filter = arena_text(r->run->arena, topic, strlen(topic));
    entry.origin = arena_format(r->run->arena, "dynsec: role '%s' %s", role, kind_words[kind]);
    if (entry.filter == NULL || entry.origin == NULL || !import_add(r->run, lists, &entry))
        r->failed = true;
}

static void add_kind(struct dynsec_read *r, const struct ranked *acls, size_t n, enum kind kind,
                     const char *role, struct import_entries *lists)
{
    static const uint8_t actions[KINDS] = {
        IMPORT_PUBLISH, IMPORT_RECEIVE, IMPORT_SUBSCRIBE, IMPORT_SUBSCRIBE, 0, 0};
    for (size_t i = 0; i < n; i++)
        if (kind_of(acls[i].value) == kind)
            add_entry(r, acls[i].value, kind, role, actions[kind], lists);
}

static void add_role(struct dynsec_read *r, const json_t *use, const char *where,
                     struct import_entries *lists)
{
    const char *name = text_of(r, use, "rolename", where, true);
    const json_t *role = name == NULL ? NULL : find_named(r->roles, "rolename", name);
    size_t n = 0;
    if (role == NULL) {
        if (name != NULL)
            dynsec_tell(r, DIAGNOSTIC_ERROR, "%s has a role '%.64s' that is not there; remove it", where,
                        name);
        return;
    }
    struct ranked *acls = rank(r, json_object_get(role, "acls"), 0, name, &n);
    for (unsigned int kind = 0; kind < KIND_UNSUBSCRIBE_LITERAL; kind++)
        add_kind(r, acls, n, (enum kind)kind, name, lists);
    free(acls);
}

static void add_roles(struct dynsec_read *r, const json_t *holder, const char *where,
                      struct import_entries *lists)
{
    size_t n = 0;
    struct ranked *uses = rank(r, array_of(r, holder, "roles", where), -1, where, &n);
    for (size_t i = 0; i < n && !r->failed; i++)
        add_role(r, uses[i].value, where, lists);
    free(uses);
}

/* Groups of a client, as the list of a group's clients says it. */
static void add_groups(struct dynsec_read *r, const char *user, const char *where,
                       struct import_entries *lists)
{
    size_t groups = json_array_size(r->groups), n = 0;
    struct ranked *own = calloc(groups + 1, sizeof(*own));
    for (size_t i = 0; own != NULL && i < groups; i++) {
        const json_t *group = json_array_get(r->groups, i);
        const json_t *member = find_named(json_object_get(group, "clients"), "username", user);
        if (member != NULL) {
            own[n] =
                (struct ranked){.value = group, .priority = priority_of(r, member, -1, where), .place = n};
            n++;
        }
    }
    if (own == NULL)
        dynsec_tell(r, DIAGNOSTIC_ERROR, "%s%s: no memory for its groups; give it more", where, "");
    else
        qsort(own, n, sizeof(*own), by_rank);
    for (size_t i = 0; own != NULL && i < n && !r->failed; i++)
        add_roles(r, own[i].value, json_string_value(json_object_get(own[i].value, "groupname")), lists);
    free(own);
}

static void add_defaults(struct dynsec_read *r, const json_t *tree, struct import_entries *lists)
{
    static const struct {
        const char *key;
        uint8_t action;
        bool system; /* $SYS topics are among all */
    } defaults[] = {{"publishClientSend", IMPORT_PUBLISH, false},
                    {"publishClientReceive", IMPORT_RECEIVE, true},
                    {"subscribe", IMPORT_SUBSCRIBE, true}};
    const json_t *access = json_object_get(tree, "defaultACLAccess");
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        struct import_entry entry = {.filter = "#",
                                     .file = r->file,
                                     .origin = "dynsec: defaultACLAccess",
                                     .allow = true,
                                     .actions = defaults[i].action};
        if (!flag_at(r, access, defaults[i].key, false, "defaultACLAccess"))
            continue;
        if (!import_add(r->run, lists, &entry))
            r->failed = true;
        entry.filter = "$SYS/#";
        if (defaults[i].system && !import_add(r->run, lists, &entry))
            r->failed = true;
    }
}

/* ---- the parts ----------------------------------------------------------------------------------------- */

static void check_acl(struct dynsec_read *r, const json_t *acl, const char *role)
{
    enum kind kind = kind_of(acl);
    const char *topic = text_of(r, acl, "topic", role, true);
    if (topic == NULL)
        return;
    const char *problem = import_filter_problem(topic);
    if (kind == KINDS)
        dynsec_tell(r, DIAGNOSTIC_ERROR,
                    "role '%.64s' has an entry about '%.160s' without a good acltype; correct it", role,
                    topic);
    else if (kind < KIND_UNSUBSCRIBE_LITERAL && problem != NULL)
        import_tell(r->run, DIAGNOSTIC_ERROR, r->file, 0,
                    "role '%.64s': the topic '%.160s' cannot be carried over: %s; correct it", role, topic,
                    problem);
    r->failed = r->failed || (kind < KIND_UNSUBSCRIBE_LITERAL && problem != NULL);
    (void)priority_of(r, acl, 0, role);
    bool allow = flag_at(r, acl, "allow", false, role);
    if (kind == KIND_SUBSCRIBE_LITERAL && strpbrk(topic, "+#") != NULL)
        dynsec_tell(r, DIAGNOSTIC_WARNING,
                    allow ? "role '%.64s': subscribeLiteral '%.160s' grants that one filter; here parts of "
                            "it are granted "
                            "too, which deliver nothing else"
                          : "role '%.64s': subscribeLiteral '%.160s' refuses that one filter; here all that "
                            "it matches is "
                            "refused",
                    role, topic);
}

/* Names that may be there only once, each with a good one. */
static void check_names(struct dynsec_read *r, const json_t *list, const char *key)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const char *name = text_of(r, entry, key, key, true);
        if (name == NULL)
            continue;
        if (strlen(name) > NAME_BYTES_MAX || strstr(name, "${") != NULL)
            dynsec_tell(r, DIAGNOSTIC_ERROR,
                        "the %s '%.64s...' is longer than 200 bytes or holds \"${\"; change it", key, name);
        else if (find_named(list, key, name) != entry)
            dynsec_tell(r, DIAGNOSTIC_ERROR, "the %s '%.64s' is there twice; remove one", key, name);
    }
}

static void check_tree(struct dynsec_read *r, const json_t *tree)
{
    if (json_array_size(r->roles) > IMPORT_ROLES_MAX || json_array_size(r->groups) > IMPORT_ROLES_MAX ||
        json_array_size(r->clients) > IMPORT_ROLES_MAX) {
        dynsec_tell(r, DIAGNOSTIC_ERROR, "there are more than 4096 %s%s; split the site",
                    "roles, groups or clients", "");
        return;
    }
    const json_t *access = json_object_get(tree, "defaultACLAccess");
    if (access != NULL && !json_is_object(access))
        dynsec_tell(r, DIAGNOSTIC_ERROR, "'%s' is a group of true and false%s; correct it",
                    "defaultACLAccess", "");
    check_names(r, r->roles, "rolename");
    check_names(r, r->groups, "groupname");
    check_names(r, r->clients, "username");
    for (size_t i = 0; i < json_array_size(r->roles) && !r->failed; i++) {
        const json_t *role = json_array_get(r->roles, i);
        const char *name = json_string_value(json_object_get(role, "rolename"));
        const json_t *acls = array_of(r, role, "acls", name);
        for (size_t k = 0; k < json_array_size(acls); k++)
            check_acl(r, json_array_get(acls, k), name);
    }
    for (size_t i = 0; i < json_array_size(r->groups) && !r->failed; i++) {
        const json_t *group = json_array_get(r->groups, i);
        (void)array_of(r, group, "clients", json_string_value(json_object_get(group, "groupname")));
    }
}

/* A line of a users file; NULL when the client cannot log in. */
static const char *users_line(struct dynsec_read *r, const json_t *client, const char *name)
{
    const char *hash = json_string_value(json_object_get(client, "password"));
    const char *salt = json_string_value(json_object_get(client, "salt"));
    json_int_t rounds = json_integer_value(json_object_get(client, "iterations"));
    if (hash == NULL && salt == NULL) {
        dynsec_tell(r, DIAGNOSTIC_WARNING,
                    "client '%.64s' has no password%s, so nobody can log in as it; it is left out", name, "");
        return NULL;
    }
    if (hash == NULL || salt == NULL || rounds < 1 || rounds > (json_int_t)USER_ROUNDS_MAX ||
        strchr(name, ':') != NULL) {
        dynsec_tell(r, DIAGNOSTIC_ERROR,
                    "client '%.64s' has no good password, salt and iterations%s, or a name with ':'; set its "
                    "password anew",
                    name, "");
        return NULL;
    }
    return arena_format(r->run->arena, "%s:$7$%d$%s$%s", name, (int)rounds, salt, hash);
}

static void add_client(struct dynsec_read *r, const json_t *tree, const json_t *client)
{
    const char *name = json_string_value(json_object_get(client, "username"));
    if (flag_at(r, client, "disabled", false, name)) {
        dynsec_tell(r, DIAGNOSTIC_WARNING, "client '%.64s' is disabled%s; it is left out", name, "");
        return;
    }
    const char *line = users_line(r, client, name);
    const char *client_id = text_of(r, client, "clientid", name, false);
    struct import_role *role = line == NULL || r->failed ? NULL : import_add_role(r->run, r->site);
    if (role == NULL) {
        r->failed = r->failed || line != NULL;
        return;
    }
    role->who = IMPORT_NAMED;
    role->user = arena_text(r->run->arena, name, strlen(name));
    role->client_id = client_id == NULL ? NULL : arena_text(r->run->arena, client_id, strlen(client_id));
    role->listener = r->listener;
    role->origin = arena_format(r->run->arena, "dynsec: client '%s'", name);
    role->judges_subscriptions = true;
    if (role->user == NULL || role->origin == NULL || !import_add_user(r->run, r->site, line))
        r->failed = true;
    add_roles(r, client, name, &role->lists);
    add_groups(r, name, name, &role->lists);
    add_defaults(r, tree, &role->lists);
}

static void add_anonymous(struct dynsec_read *r, const json_t *tree)
{
    const char *name = json_string_value(json_object_get(tree, "anonymousGroup"));
    const json_t *group = name == NULL ? NULL : find_named(r->groups, "groupname", name);
    struct import_role *nobody = import_add_role(r->run, r->site), *role = NULL;
    if (nobody != NULL) { /* users whom the plugin does not know are not anonymous */
        nobody->who = IMPORT_OTHERS;
        nobody->listener = r->listener;
        nobody->origin = "dynsec: no client of that name";
        role = import_add_role(r->run, r->site);
    }
    if (role == NULL || (name != NULL && group == NULL)) {
        if (role != NULL)
            dynsec_tell(r, DIAGNOSTIC_ERROR, "anonymousGroup '%.64s' is not there%s; correct it", name, "");
        r->failed = true;
        return;
    }
    role->who = IMPORT_ANONYMOUS;
    role->listener = r->listener;
    role->origin = "dynsec: anonymousGroup";
    role->judges_subscriptions = true;
    if (group != NULL)
        add_roles(r, group, name, &role->lists);
    add_defaults(r, tree, &role->lists);
}

bool mosquitto_dynsec_read(struct import_run *run, const char *text, size_t n, const char *file,
                           const char *listener, bool anonymous, struct import_site *site)
{
    json_error_t error;
    struct dynsec_read r = {.run = run, .site = site, .file = file, .listener = listener};
    json_t *tree = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    if (tree == NULL || !json_is_object(tree)) {
        import_tell(run, DIAGNOSTIC_ERROR, file, tree == NULL && error.line > 0 ? (uint32_t)error.line : 0,
                    "no JSON of the dynamic-security plugin: %s; restore it from a backup",
                    tree == NULL ? error.text : "it is no object");
        json_decref(tree);
        return false;
    }
    r.roles = array_of(&r, tree, "roles", "the file");
    r.groups = array_of(&r, tree, "groups", "the file");
    r.clients = array_of(&r, tree, "clients", "the file");
    check_tree(&r, tree);
    for (size_t i = 0; i < json_array_size(r.clients) && !r.failed; i++)
        add_client(&r, tree, json_array_get(r.clients, i));
    if (anonymous && !r.failed)
        add_anonymous(&r, tree);
    json_decref(tree);
    return !r.failed;
}
