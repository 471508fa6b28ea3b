/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sizes, times, rates and ranges as operators write them: text with a unit ("64KiB", "5s", "20/s burst 60",
 * "30s-10m"), because libconfig 1.5 wraps large integers silently and a bare number says nothing.
 *
 * Each reader takes the whole text and answers NULL when it is good, else a static sentence "what is wrong;
 * what to write"; the result is untouched then. A number that overflows is an error, never a wrapped value.
 * Pure.
 */
#ifndef CONFIG_UNITS_H
#define CONFIG_UNITS_H

#include "policy/access/rate_limit.h"

/* Most that a rate may let through per period, or at once: keeps bucket arithmetic far from overflow. */
#define UNITS_RATE_MAX (UINT64_C(1) << 40)

/* "1280B", "64KiB", "256MiB", "2GiB"; also KB, MB, GB of 1000. */
const char *units_size(const char *text, uint64_t *bytes);
/* "250ms", "5s", "10m", "2h", "30d". */
const char *units_duration(const char *text, uint64_t *us);
/* "30s-10m": the least and the most, in that order. */
const char *units_range(const char *text, uint64_t *least_us, uint64_t *most_us);
/* "20/s", "20/s burst 60", "6/min", "unlimited". Without a burst, one period's amount. */
const char *units_rate(const char *text, struct rate *rate);
/* "64KiB/s", "1MiB/min burst 4MiB", "unlimited". */
const char *units_byte_rate(const char *text, struct rate *rate);

#define UNITS_TEXT_MAX 32
/* The shortest text with a whole number. Answer `to`. */
const char *units_format_size(uint64_t bytes, char to[UNITS_TEXT_MAX]);
const char *units_format_duration(uint64_t us, char to[UNITS_TEXT_MAX]);

#endif
