/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/policy_config.h"

#include "config/policy_draft.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the files of the directory ------------------------------------------------------------------------ */

struct file_names {
    char *name[POLICY_FILES_MAX];
    uint32_t n;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_policy_name(const char *name)
{
    size_t len = strlen(name);
    return name[0] != '.' && len > 5 && strcmp(name + len - 5, ".conf") == 0;
}

static void free_names(struct file_names *names)
{
    for (uint32_t i = 0; i < names->n; i++)
        free(names->name[i]);
    names->n = 0;
}

/* All names that end in ".conf", in byte order. False when that cannot be told, or there are none. */
static bool list_files(const char *directory, const char *shown, struct file_names *names,
                       struct diagnostics *d)
{
    DIR *dir = opendir(directory);
    if (dir == NULL) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, shown, 0, "the policy directory cannot be read: %s; %s",
                        strerror(errno),
                        errno == ENOENT ? "create it or correct its name" : "let this user read it");
        return false;
    }
    const char *problem = NULL;
    errno = 0;
    for (struct dirent *entry; problem == NULL && (entry = readdir(dir)) != NULL; errno = 0) {
        if (!is_policy_name(entry->d_name))
            continue;
        if (names->n == POLICY_FILES_MAX)
            problem = "there are more than 1024 files; join some";
        else if ((names->name[names->n] = strdup(entry->d_name)) == NULL)
            problem = "no memory to read it";
        else
            names->n++;
    }
    if (problem == NULL && errno != 0)
        problem = strerror(errno);
    closedir(dir);
    if (problem == NULL && names->n == 0)
        problem = "there is no file here that ends in .conf; without a policy nobody may connect; add one";
    if (problem != NULL) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, shown, 0, "%s", problem);
        free_names(names);
        return false;
    }
    qsort(names->name, names->n, sizeof(names->name[0]), compare_names);
    return true;
}

/* The directory as the operator would type it from where sallyport.conf is. */
static const char *shown_directory(struct arena *arena, const char *directory,
                                   const struct gateway_config *gateway)
{
    char *real = gateway == NULL ? NULL : realpath(directory, NULL);
    const char *shown = directory;
    if (real != NULL) {
        size_t len = strlen(gateway->directory);
        if (len > 1 && strncmp(real, gateway->directory, len) == 0 && real[len] == '/')
            shown = arena_text(arena, real + len + 1, strlen(real + len + 1));
    }
    free(real);
    return shown != NULL ? shown : directory;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static void draft_destroy(struct policy_draft *draft)
{
    if (draft == NULL)
        return;
    for (uint32_t i = 0; i < draft->roles_n; i++) {
        free(draft->roles[i]->rules);
        free(draft->roles[i]);
    }
    free(draft->roles);
    free(draft->devices);
    free(draft->tests);
    for (uint32_t i = 0; i < draft->loads_n; i++)
        load_destroy(draft->loads[i]);
    free(draft->loads);
    arena_destroy(draft->arena);
    free(draft);
}

static struct policy_draft *draft_create(uint32_t files)
{
    struct policy_draft *draft = calloc(1, sizeof(*draft));
    if (draft == NULL)
        return NULL;
    draft->arena = arena_create();
    draft->loads = calloc(files == 0 ? 1 : files, sizeof(struct load *));
    if (draft->arena == NULL || draft->loads == NULL) {
        draft_destroy(draft);
        return NULL;
    }
    return draft;
}

static void read_file(struct policy_draft *draft, const char *directory, const char *shown, const char *name,
                      const char *base, struct diagnostics *d)
{
    char *path = arena_format(draft->arena, "%s/%s", directory, name);
    char *label = arena_format(draft->arena, "%s/%s", shown, name);
    struct load *load = path == NULL || label == NULL ? NULL : load_file(path, label, base, d);
    if (load == NULL)
        return;
    draft->loads[draft->loads_n++] = load;
    struct schema_read read = {
        .load = load, .d = d, .arena = draft->arena, .directory = base, .owner = draft};
    schema_take(&read, &policy_keys, draft);
}

/* ---- compiling ----------------------------------------------------------------------------------------- */

struct told {
    struct diagnostics *d;
};

static void tell_problem(void *owner, const struct policy_problem *problem)
{
    struct told *told = owner;
    diagnostics_add(told->d, DIAGNOSTIC_ERROR, problem->file != NULL ? problem->file : "policy",
                    problem->line, "%s", problem->text);
}

/* Rules that were told to be wrong are left out, so that the compiler can tell what else is. */
static uint32_t keep_whole_rules(struct draft_role *role)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < role->rules_n; i++)
        if (role->rules[i].id != NULL && role->rules[i].topic != NULL && role->rules[i].actions != 0)
            role->rules[kept++] = role->rules[i];
    return kept;
}

static struct snapshot *compile(struct policy_draft *draft, uint32_t generation, struct diagnostics *d)
{
    struct policy_role_spec *roles = calloc((size_t)draft->roles_n + 1, sizeof(*roles));
    struct policy_device_spec *devices = calloc((size_t)draft->devices_n + 1, sizeof(*devices));
    struct snapshot *snapshot = NULL;
    struct told told = {.d = d};
    uint32_t errors = diagnostics_errors(d);
    if (roles != NULL && devices != NULL) {
        for (uint32_t i = 0; i < draft->roles_n; i++) {
            struct draft_role *role = draft->roles[i];
            roles[i] = role->spec;
            roles[i].rules_n = keep_whole_rules(role);
            roles[i].rules = role->rules;
            roles[i].variables = role->variables;
            roles[i].variables_n = role->variables_n;
        }
        for (uint32_t i = 0; i < draft->devices_n; i++)
            devices[i] = draft->devices[i].spec;
        struct policy_spec spec = {
            .roles = roles, .roles_n = draft->roles_n, .devices = devices, .devices_n = draft->devices_n};
        snapshot = snapshot_create(&spec, generation, tell_problem, &told);
    }
    if (snapshot == NULL && diagnostics_errors(d) == errors)
        diagnostics_add(d, DIAGNOSTIC_ERROR, "policy", 0, "no memory to compile it");
    free(roles);
    free(devices);
    return snapshot;
}

static void summarize(const struct policy_draft *draft, struct policy_summary *summary)
{
    summary->files = draft->loads_n;
    summary->roles = draft->roles_n;
    summary->devices = draft->devices_n;
    summary->tests = draft->tests_n;
    for (uint32_t i = 0; i < draft->roles_n; i++)
        summary->rules += draft->roles[i]->rules_n;
}

struct snapshot *policy_config_load(const char *directory, const struct gateway_config *gateway,
                                    uint32_t generation, struct diagnostics *d,
                                    struct policy_summary *summary)
{
    struct file_names *names = calloc(1, sizeof(*names));
    struct policy_draft *draft = draft_create(POLICY_FILES_MAX);
    struct policy_summary sum = {.files = 0};
    struct snapshot *snapshot = NULL;
    uint32_t errors = diagnostics_errors(d);
    if (names == NULL || draft == NULL) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, directory, 0, "no memory to read it");
        goto done;
    }
    const char *shown = shown_directory(draft->arena, directory, gateway);
    if (!list_files(directory, shown, names, d))
        goto done;
    for (uint32_t i = 0; i < names->n; i++)
        read_file(draft, directory, shown, names->name[i], gateway != NULL ? gateway->directory : directory,
                  d);
    if (draft->roles_n == 0 && diagnostics_errors(d) == errors)
        diagnostics_add(d, DIAGNOSTIC_ERROR, shown, 0,
                        "there is no role, so nobody may connect; add 'roles'");
    policy_check(draft, gateway, diagnostics_errors(d) == errors, d);
    summarize(draft, &sum);
    snapshot = compile(draft, generation, d);
    if (diagnostics_errors(d) == errors)
        for (uint32_t i = 0; i < draft->tests_n; i++)
            sum.tests_passed += policy_test_run(&draft->tests[i], snapshot, draft, d);
    if (diagnostics_errors(d) != errors || gateway == NULL) {
        if (snapshot != NULL)
            snapshot_destroy(snapshot);
        snapshot = NULL;
    }
done:
    if (summary != NULL)
        *summary = sum;
    if (names != NULL)
        free_names(names);
    free(names);
    draft_destroy(draft);
    return snapshot;
}
