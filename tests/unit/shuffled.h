/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes without order, the same in every run (xorshift). One thread. */
#ifndef TESTS_UNIT_SHUFFLED_H
#define TESTS_UNIT_SHUFFLED_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t next_random(void)
{
    static uint64_t seed = 0x9e3779b97f4a7c15u;
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

static inline void fill(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)next_random();
}

#endif
