/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One value of a setting: of the right form, within its bounds, and stored. */
#include "config/schema_private.h"
#include "config/suggest.h"
#include "config/units.h"
#include "policy/utf8.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_LENGTH_MAX 1024
#define NAME_LENGTH_MAX 63

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
    char place[SCHEMA_PLACE_MAX];
    schema_error(read, value->origin, "'%s'%s is \"%.64s\", which it cannot be; %s%s%s%s%s", value->name,
                 schema_describe(read->place, place), value->text,
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
    char place[SCHEMA_PLACE_MAX];
    if (len == 0)
        schema_error(read, value->origin, "'%s'%s is empty; write %s = %s; or remove it", value->name,
                     schema_describe(read->place, place), value->name, schema_example(key));
    else if (len > most)
        schema_error(read, value->origin, "'%s'%s has %zu bytes; at most %zu are possible", value->name,
                     schema_describe(read->place, place), len, most);
    else if (!utf8_check(bytes_of(value->text, len), UTF8_STRICT))
        schema_error(read, value->origin, "'%s'%s holds control characters or is not UTF-8; remove them",
                     value->name, schema_describe(read->place, place));
    else
        return true;
    return false;
}

static bool check_number(struct schema_read *read, const struct schema_value *value)
{
    const struct schema_key *key = value->key;
    if (value->number >= key->min && value->number <= key->max)
        return true;
    char place[SCHEMA_PLACE_MAX];
    schema_error(read, value->origin, "'%s'%s is %lld; it must be from %lld to %lld", value->name,
                 schema_describe(read->place, place), (long long)value->number, (long long)key->min,
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
        schema_bad_value(read, value, value->text, problem);
        return false;
    }
    uint64_t min = (uint64_t)key->min, max = (uint64_t)key->max;
    if (amount < min || amount > max) {
        char place[SCHEMA_PLACE_MAX], low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];
        schema_error(read, value->origin, "'%s'%s is \"%.64s\"; it must be from %s to %s", value->name,
                     schema_describe(read->place, place), value->text,
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
        schema_bad_value(read, value, value->text, problem);
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

bool schema_is_rates(enum schema_type type)
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
        schema_bad_value(read, value, value->text, "a rate has at most 3 windows; remove one");
    else
        windows[n] = value->rate;
}

static void take_value(struct schema_read *read, struct schema_value *value, void *into)
{
    if (!check_value(read, value))
        return;
    if (schema_is_rates(value->key->type)) {
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

void schema_take_scalar(struct schema_read *read, const struct schema_key *key,
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
        schema_wrong_type(read, key, setting);
        return;
    }
    take_value(read, &value, into);
}

void schema_take_fallback(struct schema_read *read, const struct schema_key *key, void *into)
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
