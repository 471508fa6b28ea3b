/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/policy_config.h"

#include "config/gateway_draft.h"
#include "config/policy_draft.h"
#include "config/policy_files.h"
#include "config/policy_users.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ------------------------------------------------------------------------------------------- */

static void draft_destroy(struct policy_draft *draft)
{
    if (draft == NULL)
        return;
    for (uint32_t i = 0; i < draft->roles_n; i++) {
        free(draft->roles[i]->rules);
        free(draft->roles[i]->maps);
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

static void take_policy(struct policy_draft *draft, const struct load *load,
                        const struct schema_table *beside, const char *base, struct diagnostics *d)
{
    struct schema_read read = {
        .load = load, .d = d, .arena = draft->arena, .directory = base, .owner = draft, .beside = beside};
    schema_take(&read, &policy_keys, draft);
}

/* The files of the directory, or sallyport.conf itself when it holds the policy. False when nothing can be
 * said of the policy as a whole. */
static bool read_all(struct policy_draft *draft, const char *directory, const struct gateway_config *gateway,
                     struct policy_summary *sum, struct diagnostics *d)
{
    if (gateway != NULL && gateway_config_holds_policy(gateway)) {
        const struct load *load = ((const struct gateway_owned *)(const void *)gateway)->load;
        if (directory != NULL)
            diagnostics_add(d, DIAGNOSTIC_WARNING, gateway->file, 0,
                            "the policy is in this file; %s is not read", directory);
        take_policy(draft, load, &gateway_keys, gateway->directory, d);
        sum->files = 1;
        draft->shown = gateway->file;
        return true;
    }
    if (directory == NULL) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, gateway != NULL ? gateway->file : "policy", 0,
                        "there is no policy in this file; add 'roles'");
        return false;
    }
    const char *base = gateway != NULL ? gateway->directory : directory;
    struct policy_files *files = policy_files_list(directory, gateway != NULL ? base : NULL, d);
    for (uint32_t i = 0; files != NULL && i < files->n; i++) {
        struct load *load = load_file(files->file[i].path, files->file[i].shown, base, d);
        if (load == NULL)
            continue;
        draft->loads[draft->loads_n++] = load;
        take_policy(draft, load, NULL, base, d);
    }
    sum->files = draft->loads_n;
    if (files == NULL)
        return false;
    draft->shown = arena_text(draft->arena, files->shown, strlen(files->shown));
    policy_files_free(files);
    return draft->shown != NULL;
}

/* ---- compiling ----------------------------------------------------------------------------------------- */

struct told {
    struct diagnostics *d;
};

static void tell_problem(void *owner, const struct policy_problem *problem)
{
    struct told *told = owner;
    diagnostics_add(told->d, problem->warning ? DIAGNOSTIC_WARNING : DIAGNOSTIC_ERROR,
                    problem->file != NULL ? problem->file : "policy", problem->line, "%s", problem->text);
}

static bool asks_nothing(const struct policy_match *m)
{
    return !m->any && m->listener == NULL && m->port == NULL && m->vlan < 0 && m->sources_n == 0 &&
           m->mac == NULL && m->client_id == NULL && m->user == NULL && m->cert_cn == NULL &&
           m->cert_ou == NULL && m->cert_san == NULL && m->psk_id == NULL;
}

/*
 * What has been told to be wrong is left out or replaced, so that what else is wrong can be told in the same
 * run without telling the first mistake again in other words.
 */
static void mend(struct policy_draft *draft)
{
    for (uint32_t i = 0; i < draft->roles_n; i++) {
        struct draft_role *role = draft->roles[i];
        uint32_t kept = 0;
        for (uint32_t k = 0; k < role->rules_n; k++)
            if (role->rules[k].id != NULL && role->rules[k].topic != NULL && role->rules[k].actions != 0)
                role->rules[kept++] = role->rules[k];
        role->rules_n = kept;
        kept = 0;
        for (uint32_t k = 0; k < role->maps_n; k++)
            if (role->maps[k].path != NULL && role->maps[k].topic != NULL)
                role->maps[kept++] = role->maps[k];
        role->maps_n = kept;
        if (role->spec.name == NULL)
            role->spec.name = arena_format(draft->arena, "(role %u)", i + 1);
        if (role->spec.name == NULL)
            role->spec.name = "?";
        if (!role->match_empty && asks_nothing(&role->spec.match))
            role->spec.match.psk_id = "*";
        role->spec.rules = role->rules;
        role->spec.rules_n = role->rules_n;
        role->spec.maps = role->maps;
        role->spec.maps_n = role->maps_n;
        role->spec.variables = role->variables;
        role->spec.variables_n = role->variables_n;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < draft->devices_n; i++)
        if (draft->devices[i].spec.id != NULL) {
            draft->devices[kept] = draft->devices[i];
            draft->devices[kept].spec.variables = draft->devices[kept].variables;
            kept++;
        }
    draft->devices_n = kept;
}

static struct snapshot *compile(struct policy_draft *draft, uint32_t generation, struct diagnostics *d)
{
    struct policy_role_spec *roles = calloc((size_t)draft->roles_n + 1, sizeof(*roles));
    struct policy_device_spec *devices = calloc((size_t)draft->devices_n + 1, sizeof(*devices));
    struct snapshot *snapshot = NULL;
    struct told told = {.d = d};
    uint32_t errors = diagnostics_errors(d);
    if (roles != NULL && devices != NULL) {
        for (uint32_t i = 0; i < draft->roles_n; i++)
            roles[i] = draft->roles[i]->spec;
        for (uint32_t i = 0; i < draft->devices_n; i++)
            devices[i] = draft->devices[i].spec;
        struct policy_spec spec = {.roles = roles,
                                   .roles_n = draft->roles_n,
                                   .devices = devices,
                                   .devices_n = draft->devices_n,
                                   .users = policy_users_read(draft, d)};
        snapshot = snapshot_create(&spec, generation, tell_problem, &told);
        if (snapshot == NULL)
            users_destroy(spec.users);
    }
    if (snapshot == NULL && diagnostics_errors(d) == errors)
        diagnostics_add(d, DIAGNOSTIC_ERROR, "policy", 0, "no memory to compile it");
    free(roles);
    free(devices);
    return snapshot;
}

static void summarize(const struct policy_draft *draft, struct policy_summary *summary)
{
    summary->roles = draft->roles_n;
    if (draft->users_file != NULL)
        snprintf(summary->users_file, sizeof(summary->users_file), "%s", draft->users_file);
    summary->devices = draft->devices_n;
    summary->tests = draft->tests_n;
    for (uint32_t i = 0; i < draft->roles_n; i++)
        summary->rules += draft->roles[i]->rules_n;
}

struct snapshot *policy_config_load_with(const char *directory, const struct gateway_config *gateway,
                                         uint32_t generation, struct diagnostics *d,
                                         struct policy_summary *summary, const struct policy_wishes *wishes)
{
    struct policy_summary sum = {.files = 0};
    struct policy_draft *draft = draft_create(POLICY_FILES_MAX);
    struct snapshot *snapshot = NULL;
    uint32_t errors = diagnostics_errors(d);
    if (draft == NULL) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, directory, 0, "no memory to read it");
    } else if (read_all(draft, directory, gateway, &sum, d)) {
        if (draft->roles_n == 0 && diagnostics_errors(d) == errors)
            diagnostics_add(d, DIAGNOSTIC_ERROR, draft->shown, 0,
                            "there is no role, so nobody may connect; add 'roles'");
        mend(draft);
        policy_check(draft, gateway, diagnostics_errors(d) == errors, d);
        summarize(draft, &sum);
        if (draft->roles_n <= POLICY_ROLES_MAX)
            snapshot = compile(draft, generation, d);
        if (diagnostics_errors(d) == errors)
            sum.tests_passed = policy_test_run(draft, snapshot, d, wishes->tests);
        if (wishes->style != CONFIG_PRINT_NONE && gateway != NULL && diagnostics_errors(d) == errors &&
            !config_text_print(gateway, draft->loads, draft->loads_n, wishes->style, wishes->text))
            diagnostics_add(d, DIAGNOSTIC_ERROR, draft->shown, 0, "no memory to print it");
    }
    if (snapshot != NULL && (diagnostics_errors(d) != errors || gateway == NULL)) {
        snapshot_destroy(snapshot);
        snapshot = NULL;
    }
    if (summary != NULL)
        *summary = sum;
    draft_destroy(draft);
    return snapshot;
}

struct snapshot *policy_config_load(const char *directory, const struct gateway_config *gateway,
                                    uint32_t generation, struct diagnostics *d,
                                    struct policy_summary *summary)
{
    static const struct policy_wishes none = {.style = CONFIG_PRINT_NONE};
    return policy_config_load_with(directory, gateway, generation, d, summary, &none);
}
