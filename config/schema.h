/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Settings as tables of keys: name, type, range, default, and where the value goes. One walk over libconfig's
 * tree finds unknown keys (with the nearest known one), wrong types, missing keys, values out of range and
 * settings of features that this version lacks, and tells all of them; what is good is stored. The same
 * tables print the effective configuration (print.h).
 *
 * A default is written as the operator would write it and read by the same code. Tables are constant; the
 * walk is for the control thread.
 */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "config/arena.h"
#include "config/feature.h"
#include "config/load.h"
#include "policy/access/rates.h"

enum schema_type {
    SCHEMA_TEXT = 0,       /* const char *; min and max count its bytes (0: 1 to 1024) */
    SCHEMA_NAME,           /* const char *: letters, digits, '.', '_', '-', at most 63 */
    SCHEMA_PATH,           /* const char *, made absolute */
    SCHEMA_WORD,           /* one of `words`; its index is stored, in any width */
    SCHEMA_NUMBER,         /* whole, min to max, any width */
    SCHEMA_NUMBER_OR_WORD, /* the first of `words` is stored as 0 */
    SCHEMA_FLAG,           /* true or false, in any width */
    SCHEMA_SIZE,           /* "64KiB": bytes, min to max */
    SCHEMA_DURATION,       /* "5s": microseconds, min to max */
    SCHEMA_RATE,           /* "20/s burst 60": struct rate */
    SCHEMA_BYTE_RATE,      /* "64KiB/s": struct rate */
    SCHEMA_RATES,          /* a rate, or an array of up to RATE_WINDOWS: struct rate[RATE_WINDOWS] */
    SCHEMA_BYTE_RATES,     /* likewise of bytes */
    SCHEMA_TEXTS,          /* text, or an array of text: `set` is called for each */
    SCHEMA_NUMBERS,        /* number, or an array of numbers: `set` is called for each */
    SCHEMA_GROUP,          /* `inside` is read into the same object, at `at` */
    SCHEMA_LIST,           /* of groups: `entry` answers the object of each */
    SCHEMA_FREE,           /* a group of any names with text values: `set` is called for each */
};

struct schema_read;
struct schema_key;

struct schema_value {
    const struct schema_key *key;
    struct config_origin origin;
    const char *name; /* of the setting: differs from the key's in SCHEMA_FREE */
    const char *text; /* lives as long as the load */
    int64_t number;   /* number, flag, index of the word, bytes, microseconds */
    struct rate rate;
};

struct schema_key {
    const char *name;
    enum schema_type type;
    bool required;
    enum feature feature;
    int64_t min;
    int64_t max;
    const char *const *words; /* NULL-terminated */
    const char *fallback;     /* what is taken when it is not written; NULL: nothing */
    const char *with;         /* it has a use only when this setting of the group is one of with_words */
    const char *const *with_words;
    const char *idle_beside; /* a flag that changes nothing where this is written: true is warned about there,
                                and its default is not printed; NULL: none */
    const char *example;     /* for messages; NULL: one that fits the type */
    size_t at;               /* of the object that is read into; see SCHEMA_INTO */
    size_t width;
    void (*set)(struct schema_read *read, const struct schema_value *value, void *into);
    void *(*entry)(struct schema_read *read, const config_setting_t *setting, void *into);
    const struct schema_table *inside;
};

#define SCHEMA_INTO(type, member) .at = offsetof(type, member), .width = sizeof(((type *)NULL)->member)

#define SCHEMA_KEYS(table) .keys = table, .keys_n = sizeof(table) / sizeof(table[0])

struct schema_table {
    const char *what;  /* "rule"; NULL for the file itself */
    const char *label; /* the key that names an entry: "id"; NULL: none */
    const struct schema_key *keys;
    size_t keys_n; /* at most 64 */
    /* When a group has been read, whether or not it was all good, unless a key was mistyped; may be NULL. */
    void (*done)(struct schema_read *read, const config_setting_t *setting, void *into);
};

/* Where in the tree the walk is, for messages. */
struct schema_place {
    const struct schema_place *outer;
    const struct schema_table *table;
    const struct schema_key *key;    /* by which it hangs in the outer one */
    const config_setting_t *setting; /* NULL when the group was not written */
    uint32_t index;                  /* in a list, from 1 */
};

struct schema_read {
    const struct load *load;
    struct diagnostics *d;
    struct arena *arena;
    const char *directory;             /* of relative paths */
    const struct schema_table *beside; /* the file may hold these too, which are passed over; or NULL */
    void *owner;
    const struct schema_place *place;                          /* of the group being read */
    void (*named)(struct schema_read *read, const char *path); /* told of every file name; or NULL */
};

/* Reads a file's root. False when an error was told. */
bool schema_take(struct schema_read *read, const struct schema_table *table, void *into);

/* Tells an error. */
void schema_error(struct schema_read *read, struct config_origin origin, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "'NAME' is "TEXT"; PROBLEM", at a value. */
void schema_refuse(struct schema_read *read, const struct schema_value *value, const char *problem);
/* Room for entry `n` of an array, zeroed: the array, which may have moved; NULL, told, when there is no
 * memory.
 */
void *schema_grow(struct schema_read *read, const config_setting_t *setting, void *array, uint32_t n,
                  uint32_t *room, size_t bytes);
/* Where setting `key` of `group` is written; the group itself when it has none. */
struct config_origin schema_origin(const struct load *load, const config_setting_t *group, const char *key);
/* The key of a name, or NULL. */
const struct schema_key *schema_find(const struct schema_table *table, const char *name);
/* Whether the key has a use in this group; see `with`. */
bool schema_used(const struct schema_table *table, const struct schema_key *key,
                 const config_setting_t *group);
/* Whether `idle_beside` of a key is written in the group; `group` NULL: it is not. */
bool schema_idle(const struct schema_key *key, const config_setting_t *group);
/* The value of the label of an entry, or NULL when it has none. */
const char *schema_label(const struct schema_table *table, const config_setting_t *group);

#endif
