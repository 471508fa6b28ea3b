/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The settings of a `struct rates`, which roles and listeners have in common: rows of a schema table, to be
 * read into `member_` of `object_`.
 */
#ifndef CONFIG_RATE_KEYS_H
#define CONFIG_RATE_KEYS_H

#include "config/schema.h"

extern const char *const rate_over_words[];       /* enum policy_over_limit */
extern const char *const rate_quarantine_words[]; /* where `quarantine` has a use */

#define RATE_KEY(name_, type_, example_, into_)                                                              \
    {                                                                                                        \
        .name = name_, .type = type_, .fallback = "unlimited", .example = example_, into_                    \
    }
#define RATE_KEY_CONNECTS(object_, member_)                                                                  \
    RATE_KEY("connects", SCHEMA_RATES, "\"6/min\"", SCHEMA_INTO(object_, member_.of[RATE_CONNECTS]))
#define RATE_KEYS_CLIENT(object_, member_)                                                                   \
    RATE_KEY("publishes", SCHEMA_RATES, "\"20/s burst 60\"",                                                 \
             SCHEMA_INTO(object_, member_.of[RATE_PUBLISHES])),                                              \
        RATE_KEY("subscribes", SCHEMA_RATES, "\"10/min\"",                                                   \
                 SCHEMA_INTO(object_, member_.of[RATE_SUBSCRIBES])),                                         \
        RATE_KEY("pings", SCHEMA_RATES, "\"6/min\"", SCHEMA_INTO(object_, member_.of[RATE_PINGS])),          \
        RATE_KEY("bytes", SCHEMA_BYTE_RATES, "\"64KiB/s\"", SCHEMA_INTO(object_, member_.of[RATE_BYTES]))
#define RATE_KEYS_OVER(object_, member_)                                                                     \
    {.name = "over",                                                                                         \
     .type = SCHEMA_WORD,                                                                                    \
     .words = rate_over_words,                                                                               \
     .fallback = "delay",                                                                                    \
     .example = "\"drop\"",                                                                                  \
     SCHEMA_INTO(object_, member_.over)},                                                                    \
    {                                                                                                        \
        .name = "quarantine", .type = SCHEMA_DURATION, .min = 1000000, .max = INT64_C(30) * 86400 * 1000000, \
        .fallback = "1h", .with = "over", .with_words = rate_quarantine_words, .example = "\"1h\"",          \
        SCHEMA_INTO(object_, member_.quarantine_us)                                                          \
    }

#endif
