/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/units.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {
    {"B", 1},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {"TiB", UINT64_C(1) << 40},
    {"KB", UINT64_C(1000)},
    {"kB", UINT64_C(1000)},
    {"MB", UINT64_C(1000000)},
    {"GB", UINT64_C(1000000000)},
    {"TB", UINT64_C(1000000000000)},
    {NULL, 0},
};

static const struct unit duration_units[] = {
    {"us", 1},
    {"ms", 1000},
    {"s", UINT64_C(1000000)},
    {"m", UINT64_C(60000000)},
    {"min", UINT64_C(60000000)},
    {"h", UINT64_C(3600000000)},
    {"d", UINT64_C(86400000000)},
    {NULL, 0},
};

static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static const char too_large[] = "the number is too large; write a smaller one";

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Reads the unit at *at, of which `units` has the names. */
static bool take_unit(const char **at, const struct unit *units, uint64_t *factor)
{
    size_t len = 0;
    while (is_letter((*at)[len]))
        len++;
    for (const struct unit *u = units; u->name != NULL; u++) {
        if (strlen(u->name) == len && memcmp(u->name, *at, len) == 0) {
            *factor = u->factor;
            *at += len;
            return true;
        }
    }
    return false;
}

/* Reads digits and a unit, and moves on behind them. `form` is what to say when they are not there. */
static const char *take_amount(const char **at, const struct unit *units, const char *form, uint64_t *amount)
{
    const char *c = *at;
    if (!is_digit(*c))
        return form;
    uint64_t number = 0;
    for (; is_digit(*c); c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return too_large;
        number = number * 10 + digit;
    }
    uint64_t factor;
    if (!take_unit(&c, units, &factor))
        return form;
    if (number > UINT64_MAX / factor)
        return too_large;
    *amount = number * factor;
    *at = c;
    return NULL;
}

static const char size_form[] =
    "it is a whole number and one of B, KiB, MiB, GiB, TiB; write for example \"64KiB\"";
static const char duration_form[] =
    "it is a whole number and one of us, ms, s, m, h, d; write for example \"30s\"";
static const char range_form[] =
    "it is the least and the most with '-' between; write for example \"30s-10m\"";
static const char rate_form[] =
    "it is a number per s, min, h or d, and a burst if wanted; write for example \"20/s burst 60\"";
static const char byte_rate_form[] =
    "it is a size per s, min, h or d, and a burst if wanted; write for example \"64KiB/s burst 256KiB\"";

const char *units_size(const char *text, uint64_t *bytes)
{
    uint64_t amount;
    const char *problem = take_amount(&text, size_units, size_form, &amount);
    if (problem == NULL && *text != '\0')
        problem = size_form;
    if (problem == NULL)
        *bytes = amount;
    return problem;
}

const char *units_duration(const char *text, uint64_t *us)
{
    uint64_t amount;
    const char *problem = take_amount(&text, duration_units, duration_form, &amount);
    if (problem == NULL && *text != '\0')
        problem = duration_form;
    if (problem == NULL)
        *us = amount;
    return problem;
}

const char *units_range(const char *text, uint64_t *least_us, uint64_t *most_us)
{
    uint64_t least, most;
    const char *problem = take_amount(&text, duration_units, range_form, &least);
    if (problem == NULL && *text++ != '-')
        problem = range_form;
    if (problem == NULL)
        problem = take_amount(&text, duration_units, range_form, &most);
    if (problem == NULL && *text != '\0')
        problem = range_form;
    if (problem == NULL && least > most)
        problem = "the least is above the most; swap them";
    if (problem == NULL) {
        *least_us = least;
        *most_us = most;
    }
    return problem;
}

static const char *rate_of(const char *text, const struct unit *units, const char *form, struct rate *rate)
{
    struct rate read = {.period_us = UINT64_C(1000000), .burst = 1};
    if (strcmp(text, "unlimited") == 0) {
        *rate = read;
        return NULL;
    }
    const char *problem = take_amount(&text, units, form, &read.amount);
    if (problem != NULL)
        return problem;
    if (*text++ != '/' || !take_unit(&text, duration_units + 2, &read.period_us))
        return form;
    read.burst = read.amount;
    if (strncmp(text, " burst ", 7) == 0) {
        text += 7;
        problem = take_amount(&text, units, form, &read.burst);
        if (problem != NULL)
            return problem;
    }
    if (*text != '\0')
        return form;
    if (read.amount == 0 || read.burst == 0)
        return "nothing would ever pass; write a number above 0, or \"unlimited\"";
    if (read.amount > UNITS_RATE_MAX || read.burst > UNITS_RATE_MAX)
        return too_large;
    *rate = read;
    return NULL;
}

const char *units_rate(const char *text, struct rate *rate)
{
    return rate_of(text, no_units, rate_form, rate);
}

const char *units_byte_rate(const char *text, struct rate *rate)
{
    return rate_of(text, size_units, byte_rate_form, rate);
}

static const char *format_amount(uint64_t amount, const struct unit *units, char to[UNITS_TEXT_MAX])
{
    const struct unit *best = units;
    for (const struct unit *u = units; u->name != NULL; u++)
        if (amount != 0 && amount % u->factor == 0 && u->factor > best->factor)
            best = u;
    snprintf(to, UNITS_TEXT_MAX, "%" PRIu64 "%s", amount / best->factor, best->name);
    return to;
}

const char *units_format_size(uint64_t bytes, char to[UNITS_TEXT_MAX])
{
    return format_amount(bytes, size_units, to);
}

const char *units_format_duration(uint64_t us, char to[UNITS_TEXT_MAX])
{
    return format_amount(us, duration_units, to);
}
