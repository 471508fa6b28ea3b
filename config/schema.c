/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/schema_private.h"
#include "config/suggest.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- places and messages ------------------------------------------------------------------------------- */

void schema_error(struct schema_read *read, struct config_origin origin, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    diagnostics_add(read->d, DIAGNOSTIC_ERROR, origin.file, origin.line, "%s", text);
}

void schema_refuse(struct schema_read *read, const struct schema_value *value, const char *problem)
{
    schema_error(read, value->origin, "'%s' is \"%.64s\"; %s", value->name, value->text, problem);
}

void *schema_grow(struct schema_read *read, const config_setting_t *setting, void *array, uint32_t n,
                  uint32_t *room, size_t bytes)
{
    void *larger = array;
    if (n == *room) {
        uint32_t wanted = *room == 0 ? 8 : *room * 2;
        larger = wanted < *room ? NULL : realloc(array, wanted * bytes);
        if (larger == NULL) {
            schema_error(read, load_origin(read->load, setting), "no memory for more entries");
            return NULL;
        }
        *room = wanted;
    }
    memset((uint8_t *)larger + n * bytes, 0, bytes);
    return larger;
}

struct config_origin schema_origin(const struct load *load, const config_setting_t *group, const char *key)
{
    const config_setting_t *member = key == NULL ? NULL : config_setting_get_member(group, key);
    return load_origin(load, member != NULL ? member : group);
}

const struct schema_key *schema_find(const struct schema_table *table, const char *name)
{
    for (size_t i = 0; i < table->keys_n; i++)
        if (strcmp(table->keys[i].name, name) == 0)
            return &table->keys[i];
    return NULL;
}

const char *schema_label(const struct schema_table *table, const config_setting_t *group)
{
    if (table->label == NULL || group == NULL)
        return NULL;
    const config_setting_t *label = config_setting_get_member(group, table->label);
    return label != NULL && config_setting_type(label) == CONFIG_TYPE_STRING
               ? config_setting_get_string(label)
               : NULL;
}

bool schema_idle(const struct schema_key *key, const config_setting_t *group)
{
    return key->idle_beside != NULL && group != NULL &&
           config_setting_get_member(group, key->idle_beside) != NULL;
}

bool schema_used(const struct schema_table *table, const struct schema_key *key,
                 const config_setting_t *group)
{
    if (key->with == NULL)
        return true;
    const config_setting_t *with = group == NULL ? NULL : config_setting_get_member(group, key->with);
    const struct schema_key *with_key = schema_find(table, key->with);
    const char *word = with_key != NULL ? with_key->fallback : NULL;
    if (with != NULL)
        word = config_setting_type(with) == CONFIG_TYPE_STRING ? config_setting_get_string(with) : NULL;
    if (word == NULL)
        return true;
    for (size_t i = 0; key->with_words[i] != NULL; i++)
        if (strcmp(key->with_words[i], word) == 0)
            return true;
    return false;
}

const char *schema_describe(const struct schema_place *place, char to[SCHEMA_PLACE_MAX])
{
    size_t used = 0;
    const char *joint = " in";
    to[0] = '\0';
    for (; place != NULL && place->outer != NULL && used < SCHEMA_PLACE_MAX; place = place->outer) {
        const char *label = schema_label(place->table, place->setting);
        int n;
        if (place->key->type == SCHEMA_GROUP)
            n = snprintf(to + used, SCHEMA_PLACE_MAX - used, "%s '%s'", joint, place->key->name);
        else if (label != NULL)
            n = snprintf(to + used, SCHEMA_PLACE_MAX - used, "%s %s '%.64s'", joint, place->table->what,
                         label);
        else
            n = snprintf(to + used, SCHEMA_PLACE_MAX - used, "%s %s %u", joint, place->table->what,
                         place->index);
        used += n > 0 ? (size_t)n : 0;
        if (place->key->type == SCHEMA_LIST && label != NULL)
            break;
        joint = " of";
    }
    return to;
}

static const char *type_text(const config_setting_t *setting)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_GROUP:
        return "a group { }";
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return "a number";
    case CONFIG_TYPE_FLOAT:
        return "a number with a fraction";
    case CONFIG_TYPE_STRING:
        return "text in quotes";
    case CONFIG_TYPE_BOOL:
        return "true or false";
    case CONFIG_TYPE_ARRAY:
        return "an array [ ]";
    default:
        return "a list ( )";
    }
}

/* What a key wants, and how one is written. */
static const struct {
    const char *wanted;
    const char *example;
} type_forms[] = {
    [SCHEMA_TEXT] = {"text in quotes", "\"...\""},
    [SCHEMA_NAME] = {"a name in quotes", "\"...\""},
    [SCHEMA_PATH] = {"a file name in quotes", "\"...\""},
    [SCHEMA_WORD] = {"a word in quotes", "\"...\""},
    [SCHEMA_NUMBER] = {"a whole number", "1"},
    [SCHEMA_NUMBER_OR_WORD] = {"a whole number or a word in quotes", "1"},
    [SCHEMA_FLAG] = {"true or false", "true"},
    [SCHEMA_SIZE] = {"a size with its unit in quotes", "\"64KiB\""},
    [SCHEMA_DURATION] = {"a time with its unit in quotes", "\"5s\""},
    [SCHEMA_RATE] = {"a rate in quotes", "\"20/s burst 60\""},
    [SCHEMA_BYTE_RATE] = {"a rate of bytes in quotes", "\"64KiB/s\""},
    [SCHEMA_RATES] = {"a rate in quotes, or an array of rates", "\"20/s burst 60\""},
    [SCHEMA_BYTE_RATES] = {"a rate of bytes in quotes, or an array of them", "\"64KiB/s\""},
    [SCHEMA_TEXTS] = {"text in quotes or an array of it", "[ \"...\" ]"},
    [SCHEMA_NUMBERS] = {"a whole number or an array of them", "[ 0, 1 ]"},
    [SCHEMA_GROUP] = {"a group", "{ ... }"},
    [SCHEMA_LIST] = {"a list of groups", "( { ... }, { ... } )"},
    [SCHEMA_FREE] = {"a group of names with text", "{ name = \"text\"; }"},
};

const char *schema_example(const struct schema_key *key)
{
    return key->example != NULL ? key->example : type_forms[key->type].example;
}

void schema_wrong_type(struct schema_read *read, const struct schema_key *key,
                       const config_setting_t *setting)
{
    char place[SCHEMA_PLACE_MAX];
    const char *name = config_setting_name(setting) != NULL ? config_setting_name(setting) : key->name;
    bool member = key->type == SCHEMA_FREE && strcmp(name, key->name) != 0;
    enum schema_type type = member ? SCHEMA_TEXT : key->type;
    schema_error(read, load_origin(read->load, setting), "'%.64s'%s is %s; it must be %s; write %.64s = %s;",
                 name, schema_describe(read->place, place), type_text(setting), type_forms[type].wanted, name,
                 member ? type_forms[type].example : schema_example(key));
}

void schema_bad_value(struct schema_read *read, const struct schema_value *value, const char *text,
                      const char *problem)
{
    char place[SCHEMA_PLACE_MAX];
    schema_error(read, value->origin, "'%s'%s is \"%.64s\"; %s", value->name,
                 schema_describe(read->place, place), text, problem);
}

/* ---- groups and lists ---------------------------------------------------------------------------------- */

static void take_group(struct schema_read *read, const struct schema_place *place, void *into);

static void take_array(struct schema_read *read, const struct schema_key *key,
                       const config_setting_t *setting, void *into)
{
    int type = config_setting_type(setting);
    if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST) {
        schema_take_scalar(read, key, setting, key->name, into);
        return;
    }
    int n = config_setting_length(setting);
    char place[SCHEMA_PLACE_MAX];
    if (n == 0)
        schema_error(read, load_origin(read->load, setting), "'%s'%s is empty; write %s = %s; or remove it",
                     key->name, schema_describe(read->place, place), key->name, schema_example(key));
    for (int i = 0; i < n; i++) {
        const config_setting_t *member = config_setting_get_elem(setting, (unsigned int)i);
        const char *text = schema_is_rates(key->type) ? config_setting_get_string(member) : NULL;
        if (text != NULL && strcmp(text, "unlimited") == 0)
            schema_error(read, load_origin(read->load, member),
                         "'%s'%s has \"unlimited\" beside other windows, which says nothing; remove it",
                         key->name, schema_describe(read->place, place));
        else
            schema_take_scalar(read, key, member, key->name, into);
    }
}

static void take_free(struct schema_read *read, const struct schema_key *key, const config_setting_t *setting,
                      void *into)
{
    if (!config_setting_is_group(setting)) {
        schema_wrong_type(read, key, setting);
        return;
    }
    int n = config_setting_length(setting);
    for (int i = 0; i < n; i++) {
        const config_setting_t *member = config_setting_get_elem(setting, (unsigned int)i);
        schema_take_scalar(read, key, member, config_setting_name(member), into);
    }
}

static void take_list(struct schema_read *read, const struct schema_key *key, const config_setting_t *setting,
                      void *into)
{
    int type = config_setting_type(setting);
    int n = type == CONFIG_TYPE_LIST || type == CONFIG_TYPE_ARRAY ? config_setting_length(setting) : -1;
    if (n < 0 || (type == CONFIG_TYPE_ARRAY && n != 0)) {
        schema_wrong_type(read, key, setting);
        return;
    }
    const struct schema_place *outer = read->place;
    for (int i = 0; i < n; i++) {
        const config_setting_t *element = config_setting_get_elem(setting, (unsigned int)i);
        if (!config_setting_is_group(element)) {
            schema_error(read, load_origin(read->load, element),
                         "%s %d of '%s' is %s; it must be a group { }", key->inside->what, i + 1, key->name,
                         type_text(element));
            continue;
        }
        struct schema_place place = {
            .outer = outer, .table = key->inside, .key = key, .setting = element, .index = (uint32_t)i + 1};
        void *entry = key->entry(read, element, into);
        if (entry == NULL)
            break;
        take_group(read, &place, entry);
        read->place = outer;
    }
}

/* Answers the key that was probably meant, so that it is not told as missing too, or NULL. */
static const struct schema_key *unknown_key(struct schema_read *read, const struct schema_table *table,
                                            const config_setting_t *setting)
{
    const char *name = config_setting_name(setting);
    struct suggest near;
    suggest_init(&near, name);
    for (size_t i = 0; i < table->keys_n; i++)
        suggest_offer(&near, table->keys[i].name);
    char place[SCHEMA_PLACE_MAX];
    schema_error(read, load_origin(read->load, setting), "unknown setting '%.64s'%s; %s%s%s", name,
                 schema_describe(read->place, place), near.best != NULL ? "did you mean '" : "remove it",
                 near.best != NULL ? near.best : "", near.best != NULL ? "'?" : "");
    return near.best == NULL ? NULL : schema_find(table, near.best);
}

static void take_setting(struct schema_read *read, const struct schema_key *key,
                         const config_setting_t *setting, void *into)
{
    struct schema_place place = {
        .outer = read->place, .table = key->inside, .key = key, .setting = setting, .index = 0};
    char text[SCHEMA_PLACE_MAX];
    switch (key->type) {
    case SCHEMA_GROUP:
        if (!config_setting_is_group(setting)) {
            schema_wrong_type(read, key, setting);
            break;
        }
        take_group(read, &place, (uint8_t *)into + key->at);
        read->place = place.outer;
        break;
    case SCHEMA_LIST:
        take_list(read, key, setting, into);
        break;
    case SCHEMA_FREE:
        take_free(read, key, setting, into);
        break;
    case SCHEMA_TEXTS:
    case SCHEMA_NUMBERS:
    case SCHEMA_RATES:
    case SCHEMA_BYTE_RATES:
        take_array(read, key, setting, into);
        break;
    default:
        schema_take_scalar(read, key, setting, key->name, into);
        break;
    }
    if (!feature_present(key->feature))
        schema_error(
            read, load_origin(read->load, setting),
            "'%s'%s is refused; %s is not in this version, and no line is silently ignored; remove it",
            key->name, schema_describe(read->place, text), feature_text(key->feature));
    const config_setting_t *group = place.outer->setting;
    if (!schema_used(place.outer->table, key, group)) {
        const config_setting_t *with = config_setting_get_member(group, key->with);
        schema_error(read, load_origin(read->load, setting),
                     "'%s'%s has no use with %s = \"%.32s\"; remove it or change '%s'", key->name,
                     schema_describe(read->place, text), key->with,
                     with != NULL ? config_setting_get_string(with)
                                  : schema_find(place.outer->table, key->with)->fallback,
                     key->with);
    } else if (schema_idle(key, group) && config_setting_get_bool(setting) == CONFIG_TRUE) {
        struct config_origin origin = load_origin(read->load, setting);
        diagnostics_add(read->d, DIAGNOSTIC_WARNING, origin.file, origin.line,
                        "'%s'%s has no effect beside '%s'; remove it", key->name,
                        schema_describe(read->place, text), key->idle_beside);
    }
}

/* Keys that were not written: defaults, or an error where one is needed. */
static void take_absent(struct schema_read *read, const struct schema_key *key, void *into)
{
    const struct schema_place *place = read->place;
    if (key->fallback != NULL) {
        schema_take_fallback(read, key, into);
    } else if (key->type == SCHEMA_GROUP && !key->required) {
        struct schema_place inner = {.outer = place, .table = key->inside, .key = key};
        take_group(read, &inner, (uint8_t *)into + key->at);
        read->place = place;
    } else if (key->required && place->setting != NULL) {
        char text[SCHEMA_PLACE_MAX];
        schema_error(read, load_origin(read->load, place->setting), "'%s' is missing%s; add %s = %s;",
                     key->name, schema_describe(place, text), key->name, schema_example(key));
    }
}

static void take_group(struct schema_read *read, const struct schema_place *place, void *into)
{
    const struct schema_table *table = place->table;
    uint64_t seen = 0;
    bool mistyped = false;
    read->place = place;
    int n = place->setting == NULL ? 0 : config_setting_length(place->setting);
    for (int i = 0; i < n; i++) {
        const config_setting_t *setting = config_setting_get_elem(place->setting, (unsigned int)i);
        const struct schema_key *key = schema_find(table, config_setting_name(setting));
        if (key == NULL && place->outer == NULL && read->beside != NULL &&
            schema_find(read->beside, config_setting_name(setting)) != NULL)
            continue;
        if (key == NULL) {
            key = unknown_key(read, table, setting);
            seen |= key == NULL ? 0 : UINT64_C(1) << (key - table->keys);
            mistyped |= key != NULL;
            continue;
        }
        seen |= UINT64_C(1) << (key - table->keys);
        take_setting(read, key, setting, into);
    }
    for (size_t i = 0; i < table->keys_n; i++)
        if ((seen >> i & 1) == 0)
            take_absent(read, &table->keys[i], into);
    if (table->done != NULL && place->setting != NULL && !mistyped)
        table->done(read, place->setting, into);
}

bool schema_take(struct schema_read *read, const struct schema_table *table, void *into)
{
    uint32_t errors = diagnostics_errors(read->d);
    struct schema_place place = {.table = table, .setting = load_root(read->load)};
    take_group(read, &place, into);
    read->place = NULL;
    return diagnostics_errors(read->d) == errors;
}
