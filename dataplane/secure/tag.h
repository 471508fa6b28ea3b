/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares what a stranger may guess at: takes the same time wherever two of the same length differ. */
#ifndef DATAPLANE_SECURE_TAG_H
#define DATAPLANE_SECURE_TAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool tag_differs(const uint8_t *a, const uint8_t *b, size_t n)
{
    uint8_t difference = 0;
    for (size_t i = 0; i < n; i++)
        difference |= (uint8_t)(a[i] ^ b[i]);
    return difference != 0;
}

#endif
