/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/print.h"

#include "config/gateway_draft.h"
#include "config/policy_draft.h"
#include "config/policy_files.h"

#include <stdlib.h>
#include <string.h>

struct printer {
    FILE *to;
    const struct load *load; /* of what is being printed */
    const char *directory;
    enum config_print_style style;
    unsigned int depth;
};

static void indent(const struct printer *p)
{
    for (unsigned int i = 0; i < p->depth; i++)
        fputs("  ", p->to);
}

static void put_origin(const struct printer *p, const config_setting_t *setting)
{
    struct config_origin at = load_origin(p->load, setting);
    if (p->style == CONFIG_PRINT_SHOWN)
        fprintf(p->to, " # %s:%u", at.file, at.line);
    fputc('\n', p->to);
}

static void put_text(const struct printer *p, const char *text)
{
    fputc('"', p->to);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', p->to);
        fputc(*text, p->to);
    }
    fputc('"', p->to);
}

static void put_path(const struct printer *p, const char *path)
{
    if (*path == '/') {
        put_text(p, path);
        return;
    }
    char *absolute = NULL;
    if (asprintf(&absolute, "%s/%s", p->directory, path) < 0)
        absolute = NULL;
    put_text(p, absolute != NULL ? absolute : path);
    free(absolute);
}

static void put_scalar(const struct printer *p, const config_setting_t *setting, enum schema_type type)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_STRING:
        if (type == SCHEMA_PATH)
            put_path(p, config_setting_get_string(setting));
        else
            put_text(p, config_setting_get_string(setting));
        break;
    case CONFIG_TYPE_BOOL:
        fputs(config_setting_get_bool(setting) != CONFIG_FALSE ? "true" : "false", p->to);
        break;
    default:
        fprintf(p->to, "%lld", config_setting_get_int64(setting));
        break;
    }
}

static void put_array(const struct printer *p, const config_setting_t *setting, enum schema_type type)
{
    int n = config_setting_length(setting);
    fputs("[ ", p->to);
    for (int i = 0; i < n; i++) {
        if (i != 0)
            fputs(", ", p->to);
        put_scalar(p, config_setting_get_elem(setting, (unsigned int)i), type);
    }
    fputs(" ]", p->to);
}

static void put_fallback(const struct printer *p, const struct schema_key *key)
{
    bool bare = key->type == SCHEMA_NUMBER || key->type == SCHEMA_NUMBERS || key->type == SCHEMA_FLAG;
    indent(p);
    fprintf(p->to, "%s = ", key->name);
    if (bare)
        fputs(key->fallback, p->to);
    else if (key->type == SCHEMA_PATH)
        put_path(p, key->fallback);
    else
        put_text(p, key->fallback);
    fputs(p->style == CONFIG_PRINT_SHOWN ? "; # default\n" : ";\n", p->to);
}

static void put_settings(struct printer *p, const struct schema_table *table, const config_setting_t *group);

static bool has_defaults(const struct schema_table *table)
{
    for (size_t i = 0; i < table->keys_n; i++)
        if (table->keys[i].fallback != NULL)
            return true;
    return false;
}

/* `setting` is NULL for a group of nothing but defaults. */
static void put_group(struct printer *p, const struct schema_key *key, const config_setting_t *setting)
{
    indent(p);
    fprintf(p->to, "%s = {", key->name);
    if (setting != NULL)
        put_origin(p, setting);
    else
        fputc('\n', p->to);
    p->depth++;
    put_settings(p, key->inside, setting);
    p->depth--;
    indent(p);
    fputs("};\n", p->to);
}

static void put_free(struct printer *p, const config_setting_t *setting)
{
    int n = config_setting_length(setting);
    indent(p);
    fprintf(p->to, "%s = {", config_setting_name(setting));
    put_origin(p, setting);
    p->depth++;
    for (int i = 0; i < n; i++) {
        const config_setting_t *member = config_setting_get_elem(setting, (unsigned int)i);
        indent(p);
        fprintf(p->to, "%s = ", config_setting_name(member));
        put_scalar(p, member, SCHEMA_TEXT);
        fputc(';', p->to);
        put_origin(p, member);
    }
    p->depth--;
    indent(p);
    fputs("};\n", p->to);
}

/* The entries of a list; a list of several files is put in pieces, the first of which opens it. */
static void put_entries(struct printer *p, const struct schema_key *key, const config_setting_t *list,
                        bool *opened)
{
    int n = config_setting_length(list);
    for (int i = 0; i < n; i++) {
        const config_setting_t *entry = config_setting_get_elem(list, (unsigned int)i);
        if (!*opened) {
            indent(p);
            fprintf(p->to, "%s = (\n", key->name);
        } else {
            fputs(",\n", p->to);
        }
        *opened = true;
        p->depth++;
        indent(p);
        fputc('{', p->to);
        put_origin(p, entry);
        p->depth++;
        put_settings(p, key->inside, entry);
        p->depth--;
        indent(p);
        fputc('}', p->to);
        p->depth--;
    }
}

static void close_list(struct printer *p, bool opened)
{
    if (!opened)
        return;
    fputc('\n', p->to);
    indent(p);
    fputs(");\n", p->to);
}

static void put_setting(struct printer *p, const struct schema_key *key, const config_setting_t *setting)
{
    bool opened = false;
    switch (key->type) {
    case SCHEMA_GROUP:
        put_group(p, key, setting);
        return;
    case SCHEMA_LIST:
        put_entries(p, key, setting, &opened);
        close_list(p, opened);
        return;
    case SCHEMA_FREE:
        put_free(p, setting);
        return;
    default:
        break;
    }
    indent(p);
    fprintf(p->to, "%s = ", key->name);
    if (config_setting_is_aggregate(setting))
        put_array(p, setting, key->type);
    else
        put_scalar(p, setting, key->type);
    fputc(';', p->to);
    put_origin(p, setting);
}

static void put_settings(struct printer *p, const struct schema_table *table, const config_setting_t *group)
{
    for (size_t i = 0; i < table->keys_n; i++) {
        const struct schema_key *key = &table->keys[i];
        const config_setting_t *setting = group == NULL ? NULL : config_setting_get_member(group, key->name);
        if (setting != NULL)
            put_setting(p, key, setting);
        else if (key->fallback != NULL && schema_used(table, key, group) && !schema_idle(key, group))
            put_fallback(p, key);
        else if (key->type == SCHEMA_GROUP && !key->required && has_defaults(key->inside) &&
                 schema_used(table, key, group))
            put_group(p, key, NULL);
    }
}

/* Each list of the policy holds the entries of all files, in their order. */
static void put_policy(struct printer *p, struct load *const *loads, uint32_t n)
{
    for (size_t i = 0; i < policy_keys.keys_n; i++) {
        const struct schema_key *key = &policy_keys.keys[i];
        bool opened = false;
        for (uint32_t k = 0; k < n; k++) {
            const config_setting_t *setting = config_setting_get_member(load_root(loads[k]), key->name);
            p->load = loads[k];
            if (setting != NULL && key->type == SCHEMA_LIST)
                put_entries(p, key, setting, &opened);
            else if (setting != NULL)
                put_setting(p, key, setting);
        }
        close_list(p, opened);
    }
}

bool config_text_print(const struct gateway_config *config, struct load *const *loads, uint32_t n,
                       enum config_print_style style, struct config_text *out)
{
    struct load *own = ((const struct gateway_owned *)(const void *)config)->load;
    *out = (struct config_text){.at = NULL};
    FILE *to = open_memstream(&out->at, &out->len);
    if (to == NULL)
        return false;
    struct printer printer = {.to = to, .load = own, .directory = config->directory, .style = style};
    put_settings(&printer, &gateway_keys, load_root(own));
    long policy_at = ftell(to);
    put_policy(&printer, n == 0 ? &own : loads, n == 0 ? 1 : n);
    bool good = policy_at >= 0 && ferror(to) == 0;
    good = fclose(to) == 0 && good;
    out->policy_at = good ? (size_t)policy_at : 0;
    if (!good)
        config_text_fini(out);
    return good;
}

void config_text_fini(struct config_text *text)
{
    free(text->at);
    *text = (struct config_text){.at = NULL};
}

static bool print_files(const struct gateway_config *config, const struct policy_files *files,
                        struct config_text *text, struct diagnostics *d)
{
    struct load **loads = calloc(files->n, sizeof(struct load *));
    bool good = loads != NULL;
    for (uint32_t i = 0; good && i < files->n; i++) {
        loads[i] = load_file(files->file[i].path, files->file[i].shown, config->directory, d);
        good = loads[i] != NULL;
    }
    good = good && config_text_print(config, loads, files->n, CONFIG_PRINT_SHOWN, text);
    for (uint32_t i = 0; loads != NULL && i < files->n; i++)
        load_destroy(loads[i]);
    free(loads);
    return good;
}

bool config_print(const char *config_file, const char *policy_directory, FILE *to)
{
    struct diagnostics *d = diagnostics_create();
    struct gateway_config *config = d == NULL ? NULL : gateway_config_load(config_file, d);
    bool within = config != NULL && gateway_config_holds_policy(config);
    struct policy_files *files =
        config == NULL || within ? NULL : policy_files_list(policy_directory, config->directory, d);
    struct config_text text = {.at = NULL};
    bool good = within          ? config_text_print(config, NULL, 0, CONFIG_PRINT_SHOWN, &text)
                : files != NULL ? print_files(config, files, &text, d)
                                : false;
    if (good)
        fwrite(text.at, 1, text.len, to);
    config_text_fini(&text);
    policy_files_free(files);
    gateway_config_destroy(config);
    diagnostics_destroy(d);
    return fflush(to) == 0 && ferror(to) == 0 && good;
}
