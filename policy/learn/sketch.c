/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/learn/sketch.h"

#define WIDTH_BITS 11
_Static_assert(SKETCH_WIDTH == 1 << WIDTH_BITS, "a row's index is WIDTH_BITS of the hash");
_Static_assert(SKETCH_ROWS *WIDTH_BITS <= 64, "each row has bits of its own");

static uint32_t column(uint64_t hash, unsigned int row)
{
    return (uint32_t)(hash >> (row * WIDTH_BITS)) & (SKETCH_WIDTH - 1);
}

uint32_t sketch_estimate(const struct sketch *sketch, uint64_t hash)
{
    uint32_t least = UINT32_MAX;
    for (unsigned int row = 0; row < SKETCH_ROWS; row++) {
        uint32_t counter = sketch->counter[row][column(hash, row)];
        least = counter < least ? counter : least;
    }
    return least;
}

void sketch_raise(struct sketch *sketch, uint64_t hash, uint32_t count)
{
    for (unsigned int row = 0; row < SKETCH_ROWS; row++) {
        uint32_t *counter = &sketch->counter[row][column(hash, row)];
        *counter = *counter < count ? count : *counter;
    }
}

static void halve(struct sketch *sketch)
{
    for (unsigned int row = 0; row < SKETCH_ROWS; row++)
        for (unsigned int i = 0; i < SKETCH_WIDTH; i++)
            sketch->counter[row][i] /= 2;
    sketch->counted = 0;
}

uint32_t sketch_count(struct sketch *sketch, uint64_t hash)
{
    if (++sketch->counted >= SKETCH_PERIOD)
        halve(sketch);
    uint32_t estimate = sketch_estimate(sketch, hash);
    if (estimate < UINT32_MAX)
        estimate++;
    sketch_raise(sketch, hash, estimate);
    return estimate;
}
