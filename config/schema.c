/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/schema.h"

#include "config/suggest.h"
#include "config/units.h"
#include "policy/utf8.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACE_TEXT_MAX 200
#define TEXT_LENGTH_MAX 1024
#define NAME_LENGTH_MAX 63

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

/* " in 'limits' of role 'truck'", "" for the file itself. */
static const char *describe(const struct schema_place *place, char to[PLACE_TEXT_MAX])
{
    size_t used = 0;
    const char *joint = " in";
    to[0] = '\0';
    for (; place != NULL && place->outer != NULL && used < PLACE_TEXT_MAX; place = place->outer) {
        const char *label = schema_label(place->table, place->setting);
        int n;
        if (place->key->type == SCHEMA_GROUP)
            n = snprintf(to + used, PLACE_TEXT_MAX - used, "%s '%s'", joint, place->key->name);
        else if (label != NULL)
            n = snprintf(to + used, PLACE_TEXT_MAX - used, "%s %s '%.64s'", joint, place->table->what, label);
        else
            n = snprintf(to + used, PLACE_TEXT_MAX - used, "%s %s %u", joint, place->table->what,
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

static const char *example_of(const struct schema_key *key)
{
    return key->example != NULL ? key->example : type_forms[key->type].example;
}

static void wrong_type(struct schema_read *read, const struct schema_key *key,
                       const config_setting_t *setting)
{
    char place[PLACE_TEXT_MAX];
    const char *name = config_setting_name(setting) != NULL ? config_setting_name(setting) : key->name;
    bool member = key->type == SCHEMA_FREE && strcmp(name, key->name) != 0;
    enum schema_type type = member ? SCHEMA_TEXT : key->type;
    schema_error(read, load_origin(read->load, setting), "'%.64s'%s is %s; it must be %s; write %.64s = %s;",
                 name, describe(read->place, place), type_text(setting), type_forms[type].wanted, name,
                 member ? type_forms[type].example : example_of(key));
}

static void bad_value(struct schema_read *read, const struct schema_value *value, const char *text,
                      const char *problem)
{
    char place[PLACE_TEXT_MAX];
    schema_error(read, value->origin, "'%s'%s is \"%.64s\"; %s", value->name, describe(read->place, place),
                 text, problem);
}

/* ---- values -------------------------------------------------------------------------------------------- */

static bool check_words(struct schema_read *read, struct schema_value *value)
{
    struct suggest near;
    suggest_init(&near, value->text);
    char list[160] = "";
    size_t used = 0;
    for (size_t i = 0; value->key->words[i] != NULL; i++) {
        const char *word = value->key->words[i];
        if (strcmp(word, value->text) == 0) {
            value->number = (int64_t)i;
            return true;
        }
        suggest_offer(&near, word);
        int n = snprintf(list + used, sizeof(list) - used, "%s\"%s\"", i == 0 ? "" : ", ", word);
        used += n > 0 && used + (size_t)n < sizeof(list) ? (size_t)n : 0;
    }
    char place[PLACE_TEXT_MAX];
    schema_error(read, value->origin, "'%s'%s is \"%.64s\", which it cannot be; %s%s%s%s%s", value->name,
                 describe(read->place, place), value->text,
                 near.best != NULL ? "did you mean \"" : "write one of ",
                 near.best != NULL ? near.best : list, near.best != NULL ? "\"?" : "", "", "");
    return false;
}

static bool check_name(const char *text)
{
    size_t len = strlen(text);
    if (len == 0 || len > NAME_LENGTH_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                    c == '_' || c == '-';
        if (!good)
            return false;
    }
    return true;
}

static bool check_text(struct schema_read *read, const struct schema_value *value)
{
    const struct schema_key *key = value->key;
    size_t len = strlen(value->text);
    size_t most = key->max > 0 && key->type != SCHEMA_NUMBERS ? (size_t)key->max : TEXT_LENGTH_MAX;
    char place[PLACE_TEXT_MAX];
    if (len == 0)
        schema_error(read, value->origin, "'%s'%s is empty; write %s = %s; or remove it", value->name,
                     describe(read->place, place), value->name, example_of(key));
    else if (len > most)
        schema_error(read, value->origin, "'%s'%s has %zu bytes; at most %zu are possible", value->name,
                     describe(read->place, place), len, most);
    else if (!utf8_check(bytes_of(value->text, len), UTF8_STRICT))
        schema_error(read, value->origin, "'%s'%s holds control characters or is not UTF-8; remove them",
                     value->name, describe(read->place, place));
    else
        return true;
    return false;
}

static bool check_number(struct schema_read *read, const struct schema_value *value)
{
    const struct schema_key *key = value->key;
    if (value->number >= key->min && value->number <= key->max)
        return true;
    char place[PLACE_TEXT_MAX];
    schema_error(read, value->origin, "'%s'%s is %lld; it must be from %lld to %lld", value->name,
                 describe(read->place, place), (long long)value->number, (long long)key->min,
                 (long long)key->max);
    return false;
}

static bool check_amount(struct schema_read *read, struct schema_value *value)
{
    const struct schema_key *key = value->key;
    bool size = key->type == SCHEMA_SIZE;
    uint64_t amount = 0;
    const char *problem = size ? units_size(value->text, &amount) : units_duration(value->text, &amount);
    if (problem != NULL) {
        bad_value(read, value, value->text, problem);
        return false;
    }
    uint64_t min = (uint64_t)key->min, max = (uint64_t)key->max;
    if (amount < min || amount > max) {
        char place[PLACE_TEXT_MAX], low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];
        schema_error(read, value->origin, "'%s'%s is \"%.64s\"; it must be from %s to %s", value->name,
                     describe(read->place, place), value->text,
                     size ? units_format_size(min, low) : units_format_duration(min, low),
                     size ? units_format_size(max, high) : units_format_duration(max, high));
        return false;
    }
    value->number = (int64_t)amount;
    return true;
}

static bool check_path(struct schema_read *read, struct schema_value *value)
{
    if (!check_text(read, value))
        return false;
    const char *path =
        *value->text == '/' ? value->text : arena_format(read->arena, "%s/%s", read->directory, value->text);
    if (path == NULL) {
        schema_error(read, value->origin, "no memory for '%s'", value->name);
        return false;
    }
    value->text = path;
    if (read->named != NULL)
        read->named(read, path);
    return true;
}

/* Judges and converts a text, a number or a flag; the type of the setting has been checked. */
static bool check_value(struct schema_read *read, struct schema_value *value)
{
    const char *problem = NULL;
    switch (value->key->type) {
    case SCHEMA_TEXT:
    case SCHEMA_TEXTS:
    case SCHEMA_FREE:
        return check_text(read, value);
    case SCHEMA_PATH:
        return check_path(read, value);
    case SCHEMA_NAME:
        if (!check_name(value->text))
            problem = "a name is 1 to 63 letters, digits, '.', '_' and '-'";
        break;
    case SCHEMA_WORD:
        return check_words(read, value);
    case SCHEMA_NUMBER_OR_WORD:
        return value->text != NULL ? check_words(read, value) : check_number(read, value);
    case SCHEMA_NUMBER:
    case SCHEMA_NUMBERS:
        return check_number(read, value);
    case SCHEMA_SIZE:
    case SCHEMA_DURATION:
        return check_amount(read, value);
    case SCHEMA_RATE:
    case SCHEMA_RATES:
        problem = units_rate(value->text, &value->rate);
        break;
    case SCHEMA_BYTE_RATE:
    case SCHEMA_BYTE_RATES:
        problem = units_byte_rate(value->text, &value->rate);
        break;
    default:
        break;
    }
    if (problem != NULL)
        bad_value(read, value, value->text, problem);
    return problem == NULL;
}

static void store(const struct schema_value *value, void *into)
{
    const struct schema_key *key = value->key;
    void *to = (uint8_t *)into + key->at;
    switch (key->type) {
    case SCHEMA_TEXT:
    case SCHEMA_NAME:
    case SCHEMA_PATH:
        assert(key->width == sizeof(char *));
        memcpy(to, &value->text, sizeof(value->text));
        return;
    case SCHEMA_RATE:
    case SCHEMA_BYTE_RATE:
        assert(key->width == sizeof(struct rate));
        memcpy(to, &value->rate, sizeof(value->rate));
        return;
    default:
        break;
    }
    uint64_t number = (uint64_t)value->number;
    uint8_t n8 = (uint8_t)number;
    uint16_t n16 = (uint16_t)number;
    uint32_t n32 = (uint32_t)number;
    const void *from = key->width == 1   ? (const void *)&n8
                       : key->width == 2 ? &n16
                       : key->width == 4 ? &n32
                                         : (const void *)&number;
    assert(key->width == 1 || key->width == 2 || key->width == 4 || key->width == 8);
    memcpy(to, from, key->width);
}

static bool is_rates(enum schema_type type)
{
    return type == SCHEMA_RATES || type == SCHEMA_BYTE_RATES;
}

/* One more window of a rate. */
static void store_window(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct rate *windows = (struct rate *)(void *)((uint8_t *)into + value->key->at);
    uint32_t n = 0;
    assert(value->key->width == RATE_WINDOWS * sizeof(struct rate));
    while (n < RATE_WINDOWS && windows[n].amount != 0)
        n++;
    if (n == RATE_WINDOWS)
        bad_value(read, value, value->text, "a rate has at most 3 windows; remove one");
    else
        windows[n] = value->rate;
}

static void take_value(struct schema_read *read, struct schema_value *value, void *into)
{
    if (!check_value(read, value))
        return;
    if (is_rates(value->key->type)) {
        store_window(read, value, into);
        return;
    }
    if (value->key->set != NULL)
        value->key->set(read, value, into);
    else if (value->key->width != 0)
        store(value, into);
}

static bool wants_text(enum schema_type type)
{
    return type != SCHEMA_NUMBER && type != SCHEMA_NUMBERS && type != SCHEMA_FLAG;
}

/* A scalar setting, or an element of an array. */
static void take_scalar(struct schema_read *read, const struct schema_key *key,
                        const config_setting_t *setting, const char *name, void *into)
{
    int type = config_setting_type(setting);
    struct schema_value value = {.key = key, .name = name, .origin = load_origin(read->load, setting)};
    bool number = (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) &&
                  (!wants_text(key->type) || key->type == SCHEMA_NUMBER_OR_WORD) && key->type != SCHEMA_FLAG;
    if (number)
        value.number = config_setting_get_int64(setting);
    else if (type == CONFIG_TYPE_BOOL && key->type == SCHEMA_FLAG)
        value.number = config_setting_get_bool(setting) != CONFIG_FALSE;
    else if (type == CONFIG_TYPE_STRING && wants_text(key->type))
        value.text = config_setting_get_string(setting);
    else {
        wrong_type(read, key, setting);
        return;
    }
    take_value(read, &value, into);
}

/* The default, as if it had been written. */
static void take_fallback(struct schema_read *read, const struct schema_key *key, void *into)
{
    struct schema_value value = {.key = key, .name = key->name, .origin = {.file = "default"}};
    if (key->type == SCHEMA_FLAG)
        value.number = strcmp(key->fallback, "true") == 0;
    else if (key->type == SCHEMA_NUMBER || key->type == SCHEMA_NUMBERS)
        value.number = strtol(key->fallback, NULL, 10);
    else
        value.text = key->fallback;
    take_value(read, &value, into);
}

/* ---- groups and lists ---------------------------------------------------------------------------------- */

static void take_group(struct schema_read *read, const struct schema_place *place, void *into);

static void take_array(struct schema_read *read, const struct schema_key *key,
                       const config_setting_t *setting, void *into)
{
    int type = config_setting_type(setting);
    if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST) {
        take_scalar(read, key, setting, key->name, into);
        return;
    }
    int n = config_setting_length(setting);
    char place[PLACE_TEXT_MAX];
    if (n == 0)
        schema_error(read, load_origin(read->load, setting), "'%s'%s is empty; write %s = %s; or remove it",
                     key->name, describe(read->place, place), key->name, example_of(key));
    for (int i = 0; i < n; i++) {
        const config_setting_t *member = config_setting_get_elem(setting, (unsigned int)i);
        const char *text = is_rates(key->type) ? config_setting_get_string(member) : NULL;
        if (text != NULL && strcmp(text, "unlimited") == 0)
            schema_error(read, load_origin(read->load, member),
                         "'%s'%s has \"unlimited\" beside other windows, which says nothing; remove it",
                         key->name, describe(read->place, place));
        else
            take_scalar(read, key, member, key->name, into);
    }
}

static void take_free(struct schema_read *read, const struct schema_key *key, const config_setting_t *setting,
                      void *into)
{
    if (!config_setting_is_group(setting)) {
        wrong_type(read, key, setting);
        return;
    }
    int n = config_setting_length(setting);
    for (int i = 0; i < n; i++) {
        const config_setting_t *member = config_setting_get_elem(setting, (unsigned int)i);
        take_scalar(read, key, member, config_setting_name(member), into);
    }
}

static void take_list(struct schema_read *read, const struct schema_key *key, const config_setting_t *setting,
                      void *into)
{
    int type = config_setting_type(setting);
    int n = type == CONFIG_TYPE_LIST || type == CONFIG_TYPE_ARRAY ? config_setting_length(setting) : -1;
    if (n < 0 || (type == CONFIG_TYPE_ARRAY && n != 0)) {
        wrong_type(read, key, setting);
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
    char place[PLACE_TEXT_MAX];
    schema_error(read, load_origin(read->load, setting), "unknown setting '%.64s'%s; %s%s%s", name,
                 describe(read->place, place), near.best != NULL ? "did you mean '" : "remove it",
                 near.best != NULL ? near.best : "", near.best != NULL ? "'?" : "");
    return near.best == NULL ? NULL : schema_find(table, near.best);
}

static void take_setting(struct schema_read *read, const struct schema_key *key,
                         const config_setting_t *setting, void *into)
{
    struct schema_place place = {
        .outer = read->place, .table = key->inside, .key = key, .setting = setting, .index = 0};
    char text[PLACE_TEXT_MAX];
    switch (key->type) {
    case SCHEMA_GROUP:
        if (!config_setting_is_group(setting)) {
            wrong_type(read, key, setting);
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
        take_scalar(read, key, setting, key->name, into);
        break;
    }
    if (!feature_present(key->feature))
        schema_error(
            read, load_origin(read->load, setting),
            "'%s'%s is refused; %s is not in this version, and no line is silently ignored; remove it",
            key->name, describe(read->place, text), feature_text(key->feature));
    const config_setting_t *group = place.outer->setting;
    if (!schema_used(place.outer->table, key, group)) {
        const config_setting_t *with = config_setting_get_member(group, key->with);
        schema_error(read, load_origin(read->load, setting),
                     "'%s'%s has no use with %s = \"%.32s\"; remove it or change '%s'", key->name,
                     describe(read->place, text), key->with,
                     with != NULL ? config_setting_get_string(with)
                                  : schema_find(place.outer->table, key->with)->fallback,
                     key->with);
    }
}

/* Keys that were not written: defaults, or an error where one is needed. */
static void take_absent(struct schema_read *read, const struct schema_key *key, void *into)
{
    const struct schema_place *place = read->place;
    if (key->fallback != NULL) {
        take_fallback(read, key, into);
    } else if (key->type == SCHEMA_GROUP && !key->required) {
        struct schema_place inner = {.outer = place, .table = key->inside, .key = key};
        take_group(read, &inner, (uint8_t *)into + key->at);
        read->place = place;
    } else if (key->required && place->setting != NULL) {
        char text[PLACE_TEXT_MAX];
        schema_error(read, load_origin(read->load, place->setting), "'%s' is missing%s; add %s = %s;",
                     key->name, describe(place, text), key->name, example_of(key));
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
