/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers that only have to differ, so that gateways and servers do not act in step: xorshift32. Nothing that
 * must be secret may come of it. */
#ifndef GATEWAY_JITTER_H
#define GATEWAY_JITTER_H

#include <stdint.h>

/* `state` may not be 0, and never becomes it. */
static inline uint32_t jitter_next(uint32_t *state)
{
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    *state = x;
    return x;
}

#endif
