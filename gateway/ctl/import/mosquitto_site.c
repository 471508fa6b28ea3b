/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/ctl/import/mosquitto_site.h"

#include "gateway/ctl/import/import_resolve.h"
#include "gateway/ctl/import/mosquitto_dynsec.h"
#include "gateway/ctl/import/mosquitto_psk.h"
#include "policy/access/users.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Those who are let in and judged alike: of one listener, or of all. */
struct scope {
    const struct mosquitto_security *security;
    const struct import_listener *listener; /* NULL: all */
    bool anonymous;
    const char *const
        *users; /* names of its password file, where others have files of their own; else NULL */
    uint32_t users_n;
};

static void site_error(struct import_run *run, struct config_origin at, const char *text, const char *value)
{
    import_tell(run, DIAGNOSTIC_ERROR, at.file, at.line, text, value);
}

/* ---- password files ------------------------------------------------------------------------------------ */

struct told_users {
    struct import_run *run;
    const char *file;
};

static void tell_users(void *owner, const struct users_problem *problem)
{
    const struct told_users *told = owner;
    import_tell(told->run, problem->warning ? DIAGNOSTIC_WARNING : DIAGNOSTIC_ERROR, told->file,
                problem->line, "%s", problem->text);
}

/* The text of a password file, checked as the gateway will; NULL, told, when it is not good. */
static char *read_users(struct import_run *run, const struct mosquitto_path *path)
{
    size_t n;
    char *text = import_read(run, path->text, path->at, &n);
    struct told_users told = {.run = run, .file = path->text};
    struct users *users = text == NULL ? NULL : users_create(bytes_of(text, n), tell_users, &told);
    if (users == NULL)
        return NULL;
    users_destroy(users);
    return text;
}

/* Its lines go to the new users file, its names to `names`. */
static bool join_users(struct import_run *run, struct import_site *site, char *text, const char ***names,
                       uint32_t *n)
{
    struct import_lines lines = {.at = text};
    size_t length;
    uint32_t count = 1;
    for (const char *c = text; *c != '\0'; c++)
        count += *c == '\n';
    *names = arena_take(run->arena, count * sizeof(**names));
    if (*names == NULL)
        return false;
    for (char *line; (line = import_next_line(&lines, &length)) != NULL;) {
        if (length == 0 || line[0] == '#')
            continue;
        (*names)[(*n)++] = arena_text(run->arena, line, strcspn(line, ":"));
        if ((*names)[*n - 1] == NULL || !import_add_user(run, site, line))
            return false;
    }
    return true;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* One line for each user; a name with two passwords cannot be told apart. */
static bool settle_users(struct import_run *run, struct import_site *site, const char *file)
{
    uint32_t kept = 0;
    bool good = true;
    if (site->users_n == 0)
        return true;
    qsort(site->users, site->users_n, sizeof(site->users[0]), by_text);
    for (uint32_t i = 0; i < site->users_n; i++) {
        const char *line = site->users[i], *last = kept == 0 ? "" : site->users[kept - 1];
        size_t name = strcspn(line, ":");
        if (strcmp(line, last) == 0)
            continue;
        if (strcspn(last, ":") == name && strncmp(line, last, name) == 0 && kept != 0) {
            import_tell(run, DIAGNOSTIC_ERROR, file, 0,
                        "user '%.*s' has different passwords at different listeners; a policy has one "
                        "users_file; rename one",
                        (int)(name > 64 ? 64 : name), line);
            good = false;
        }
        site->users[kept++] = line;
    }
    site->users_n = kept;
    return good;
}

/* ---- roles --------------------------------------------------------------------------------------------- */

static struct import_role *role_for(struct import_run *run, struct import_site *site, enum import_who who,
                                    const char *user, const char *origin)
{
    struct import_role *role = import_add_role(run, site);
    if (role == NULL)
        return NULL;
    role->who = who;
    role->user = user;
    role->origin = origin;
    return role;
}

static const struct mosquitto_acl_section *section_of(const struct mosquitto_acl *acl, const char *user)
{
    for (uint32_t i = 0; i < acl->sections_n; i++) {
        const char *name = acl->sections[i].user;
        if (user == NULL ? name == NULL : name != NULL && strcmp(name, user) == 0)
            return &acl->sections[i];
    }
    return NULL;
}

static bool add_acl_role(struct import_run *run, const struct mosquitto_acl *acl, enum import_who who,
                         const char *user, struct import_site *site)
{
    const struct mosquitto_acl_section *section = who == IMPORT_OTHERS ? NULL : section_of(acl, user);
    const char *origin = section != NULL && section->line != 0
                             ? arena_format(run->arena, "acl:%u user %s", section->line, user)
                             : "acl: patterns, or lines before the first user";
    struct import_role *role = role_for(run, site, who, user, origin);
    if (role == NULL || origin == NULL)
        return false;
    role->has_patterns = acl->patterns.n != 0;
    return mosquitto_acl_lists(run, acl, section, user, who == IMPORT_ANONYMOUS, &role->lists);
}

bool mosquitto_site_acl_roles(struct import_run *run, const struct mosquitto_acl *acl, const char *listener,
                              bool anonymous, struct import_site *site)
{
    uint32_t first = site->roles_n;
    bool good = true;
    for (uint32_t i = 0; i < acl->sections_n && good; i++)
        if (acl->sections[i].user != NULL)
            good = add_acl_role(run, acl, IMPORT_NAMED, acl->sections[i].user, site);
    good = good && add_acl_role(run, acl, IMPORT_OTHERS, NULL, site);
    if (anonymous)
        good = good && add_acl_role(run, acl, IMPORT_ANONYMOUS, NULL, site);
    for (uint32_t i = first; i < site->roles_n; i++)
        site->roles[i].listener = listener;
    return good;
}

/* Users of other listeners, who must not come to what is granted without a user name. */
static bool add_nobody(struct import_run *run, struct import_site *site)
{
    return role_for(run, site, IMPORT_OTHERS, NULL, "users of other listeners") != NULL;
}

/* Where listeners have password files of their own, whose users are not one another's. */
static bool add_acl_users(struct import_run *run, const struct mosquitto_acl *acl, const struct scope *scope,
                          struct import_site *site)
{
    for (uint32_t i = 0; i < scope->users_n; i++)
        if (!add_acl_role(run, acl, IMPORT_NAMED, scope->users[i], site))
            return false;
    return !scope->anonymous ||
           (add_nobody(run, site) && add_acl_role(run, acl, IMPORT_ANONYMOUS, NULL, site));
}

/* No acl_file: everybody who is let in may do everything. */
static bool add_open_roles(struct import_run *run, const struct scope *scope, const char *file,
                           struct import_site *site)
{
    struct import_entry all = {
        .filter = "#", .file = file, .origin = "no acl_file", .actions = IMPORT_BOTH, .allow = true};
    struct import_entry system = all;
    system.filter = "$SYS/#";
    system.actions = IMPORT_RECEIVE;
    uint32_t named = scope->users != NULL ? scope->users_n : 1;
    import_tell(run, DIAGNOSTIC_WARNING, file, scope->listener != NULL ? scope->listener->line : 0,
                "there is no acl_file: who is let in may publish and read everything, here too; name the "
                "topics that are "
                "needed");
    for (uint32_t i = 0; i < named + (scope->anonymous ? 1u : 0u); i++) {
        bool last = i == named;
        if (last && scope->users != NULL && !add_nobody(run, site))
            return false;
        struct import_role *role =
            role_for(run, site,
                     last                   ? IMPORT_ANONYMOUS
                     : scope->users != NULL ? IMPORT_NAMED
                                            : IMPORT_OTHERS,
                     last || scope->users == NULL ? NULL : scope->users[i], "no acl_file");
        if (role == NULL || !import_add(run, &role->lists, &all) || !import_add(run, &role->lists, &system))
            return false;
    }
    return true;
}

static bool add_plugin_roles(struct import_run *run, const struct scope *scope, struct import_site *site)
{
    size_t n;
    const struct mosquitto_security *s = scope->security;
    if (s->acl_file.text != NULL || s->password_file.text != NULL || s->plugin_config.text == NULL) {
        site_error(run, s->plugin.at,
                   "the %s plugin needs plugin_opt_config_file, and here no acl_file or password_file beside "
                   "it, of which "
                   "it is not known who decides; keep one",
                   s->plugin.text);
        return false;
    }
    char *text = import_read(run, s->plugin_config.text, s->plugin_config.at, &n);
    return text != NULL && mosquitto_dynsec_read(run, text, n, s->plugin_config.text,
                                                 scope->listener != NULL ? scope->listener->name : NULL,
                                                 scope->anonymous, site);
}

static bool add_scope_roles(struct import_run *run, const struct scope *scope, struct import_site *site)
{
    uint32_t first = site->roles_n;
    const char *file = scope->listener != NULL ? scope->listener->file : "mosquitto.conf";
    const struct mosquitto_path *acl_file = &scope->security->acl_file;
    struct mosquitto_acl acl = {.file = NULL};
    bool good;
    size_t n;
    if (scope->security->plugin.text != NULL) {
        good = add_plugin_roles(run, scope, site);
    } else if (acl_file->text == NULL) {
        good = add_open_roles(run, scope, file, site);
    } else {
        char *text = import_read(run, acl_file->text, acl_file->at, &n);
        good = text != NULL && mosquitto_acl_parse(run, text, acl_file->text, &acl) &&
               (scope->users != NULL ? add_acl_users(run, &acl, scope, site)
                                     : mosquitto_site_acl_roles(run, &acl, NULL, scope->anonymous, site));
    }
    for (uint32_t i = first; i < site->roles_n && scope->listener != NULL; i++) {
        site->roles[i].listener = scope->listener->name;
        site->roles[i].by_certificate = scope->listener->certificate_is_user;
        site->roles[i].by_psk = scope->listener->key_is_user;
        site->roles[i].needs_certificate = scope->listener->require_certificate;
    }
    return good;
}

/* ---- names --------------------------------------------------------------------------------------------- */

static const char *name_role(struct import_run *run, const struct import_role *role, uint32_t index)
{
    char text[33];
    size_t n = 0;
    const char *from = role->who == IMPORT_NAMED    ? role->user
                       : role->who == IMPORT_OTHERS ? "other-users"
                                                    : "anonymous";
    for (; from[n] != '\0' && n < sizeof(text) - 1; n++)
        text[n] = isalnum((unsigned char)from[n]) || (from[n] == '-' && n > 0) ? from[n] : '-';
    text[n] = '\0';
    return arena_format(run->arena, "r%u-%s", index + 1, text);
}

bool mosquitto_site_finish(struct import_run *run, struct import_site *site)
{
    uint32_t rules = 0;
    bool good = true;
    for (uint32_t i = 0; i < site->roles_n && good; i++) {
        struct import_role *role = &site->roles[i];
        role->name = name_role(run, role, i);
        good = role->name != NULL && import_resolve(run, role);
        rules += role->rules.n;
        if (rules > IMPORT_RULES_MAX) {
            import_tell(run, DIAGNOSTIC_ERROR, "import", 0,
                        "the roles have more than %u rules together; patterns are written for each user that "
                        "has lines of "
                        "its own: give those users less of them",
                        IMPORT_RULES_MAX);
            good = false;
        }
    }
    return good;
}

/* ---- the site ------------------------------------------------------------------------------------------ */

static bool check_scope(struct import_run *run, const struct scope *scope, const struct config_origin at)
{
    const struct mosquitto_security *s = scope->security;
    bool by_identity =
        scope->listener != NULL && (scope->listener->certificate_is_user || scope->listener->key_is_user);
    bool passwords = s->password_file.text != NULL || s->plugin.text != NULL;
    if (!scope->anonymous && !passwords && !by_identity) {
        site_error(run, at,
                   "%sallow_anonymous is false and there is no password_file: nobody can log in; add one",
                   "");
        return false;
    }
    return true;
}

/* Whether the listeners have to be told apart by roles. */
static bool told_apart(const struct mosquitto_conf *conf)
{
    bool apart = conf->per_listener;
    for (uint32_t i = 0; i < conf->listeners_n; i++)
        apart = apart || conf->listeners[i].seen.certificate_is_user || conf->listeners[i].seen.key_is_user ||
                conf->listeners[i].seen.require_certificate || conf->listeners[i].seen.max_qos != 2;
    return apart;
}

static uint32_t password_files(const struct mosquitto_conf *conf, const char **one)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < conf->listeners_n; i++) {
        const struct mosquitto_security *s =
            conf->per_listener ? &conf->listeners[i].security : &conf->security;
        const char *path = s->plugin.text != NULL ? s->plugin_config.text : s->password_file.text;
        if (!conf->listeners[i].imported || path == NULL || (*one != NULL && strcmp(*one, path) == 0))
            continue;
        *one = path;
        n++;
    }
    return n;
}

static bool add_users(struct import_run *run, struct import_site *site, struct scope *scope, bool several)
{
    const struct mosquitto_path *path = &scope->security->password_file;
    const char **names = NULL;
    if (path->text == NULL || (!several && site->users_file != NULL))
        return true;
    char *text = read_users(run, path);
    if (text == NULL)
        return false;
    if (!several) {
        site->users_file = path->text;
        return true;
    }
    bool good = join_users(run, site, text, &names, &scope->users_n);
    scope->users = (const char *const *)names;
    return good;
}

static bool read_scope(struct import_run *run, struct import_site *site, const struct mosquitto_conf *conf,
                       const struct mosquitto_listener *of, bool several)
{
    const struct mosquitto_security *security =
        conf->per_listener && of != NULL ? &of->security : &conf->security;
    struct scope scope = {.security = security,
                          .listener = of != NULL ? &of->seen : NULL,
                          .anonymous = security->anonymous == 1};
    struct config_origin at = {.file = of != NULL ? of->seen.file : conf->file,
                               .line = of != NULL ? of->seen.line : 0};
    if (scope.listener != NULL && (scope.listener->certificate_is_user || scope.listener->key_is_user))
        scope.anonymous = false; /* everybody has a name there */
    return check_scope(run, &scope, at) && add_users(run, site, &scope, several) &&
           add_scope_roles(run, &scope, site);
}

/* The keys of a listener that asks for them; false when told. */
static bool read_keys(struct import_run *run, const struct mosquitto_security *security,
                      struct import_listener *seen)
{
    if (!seen->keys)
        return true;
    if (security->psk_file.text != NULL)
        return mosquitto_psk_read(run, &security->psk_file, seen);
    site_error(run, (struct config_origin){.file = seen->file, .line = seen->line},
               "%sthe listener has a psk_hint but no psk_file: nobody can connect; add one", "");
    return false;
}

/* Where no listener asks for keys, a file of them is never looked at. */
static void tell_idle_keys(struct import_run *run, const struct mosquitto_conf *conf)
{
    bool global = false;
    for (uint32_t i = 0; i < conf->listeners_n; i++) {
        const struct mosquitto_listener *listener = &conf->listeners[i];
        global = global || listener->seen.keys;
        if (conf->per_listener && !listener->seen.keys && listener->security.psk_file.text != NULL)
            import_tell(run, DIAGNOSTIC_WARNING, listener->security.psk_file.at.file,
                        listener->security.psk_file.at.line,
                        "psk_file: the listener has no psk_hint, so that mosquitto asks for no key; it is "
                        "passed over");
    }
    if (!conf->per_listener && !global && conf->security.psk_file.text != NULL)
        import_tell(
            run, DIAGNOSTIC_WARNING, conf->security.psk_file.at.file, conf->security.psk_file.at.line,
            "psk_file: no listener has a psk_hint, so that mosquitto asks for no key; it is passed over");
}

static bool list_listeners(struct import_run *run, struct import_site *site, struct mosquitto_conf *conf)
{
    bool good = true;
    site->listeners = arena_take(run->arena, (conf->listeners_n + 1u) * sizeof(*site->listeners));
    for (uint32_t i = 0; i < conf->listeners_n && site->listeners != NULL; i++) {
        struct mosquitto_listener *from = &conf->listeners[i];
        const struct mosquitto_security *s = conf->per_listener ? &from->security : &conf->security;
        if (!from->imported)
            continue;
        from->seen.anonymous = s->anonymous == 1;
        from->seen.passwords = s->password_file.text != NULL || s->plugin.text != NULL;
        good = read_keys(run, s, &from->seen) && good;
        site->listeners[site->listeners_n++] = from->seen;
    }
    tell_idle_keys(run, conf);
    return good;
}

bool mosquitto_site_read(struct import_run *run, const char *path, struct import_site *site)
{
    struct mosquitto_conf *conf = arena_take(run->arena, sizeof(*conf));
    if (conf == NULL || !mosquitto_conf_read(run, path, site, conf))
        return false;
    const char *one = NULL;
    bool several = password_files(conf, &one) > 1;
    if (several)
        import_tell(run, DIAGNOSTIC_WARNING, conf->file, 0,
                    "listeners have password files of their own; they are joined into one users_file, with a "
                    "role for each "
                    "user at its listener");
    bool good = list_listeners(run, site, conf);
    if (site->listeners_n == 0) {
        import_tell(run, DIAGNOSTIC_ERROR, conf->file, 0,
                    "no listener is left that the gateway could take over; see the "
                    "warnings about them");
        return false;
    }
    if (!told_apart(conf))
        good = read_scope(run, site, conf, NULL, several) && good;
    for (uint32_t i = 0; told_apart(conf) && i < conf->listeners_n; i++)
        if (conf->listeners[i].imported)
            good = read_scope(run, site, conf, &conf->listeners[i], several) && good;
    return good && settle_users(run, site, conf->file) && mosquitto_site_finish(run, site);
}
