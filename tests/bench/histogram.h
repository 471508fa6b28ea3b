/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A histogram of times in nanoseconds with 32 steps to each doubling: what is read from it is at most 3 % too
 * large. Zeroed memory is an empty one.
 */
#ifndef TESTS_BENCH_HISTOGRAM_H
#define TESTS_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEP_BITS 5u
#define HISTOGRAM_STEPS (1u << HISTOGRAM_STEP_BITS)

struct histogram {
    uint64_t n;
    uint64_t most;
    uint32_t slot[64 * HISTOGRAM_STEPS];
};

static inline void histogram_add(struct histogram *h, uint64_t value)
{
    uint32_t shift = 0;
    if (value >= HISTOGRAM_STEPS)
        shift = 63u - (uint32_t)__builtin_clzll(value) - HISTOGRAM_STEP_BITS;
    /* Below HISTOGRAM_STEPS the value itself; then (value >> shift) is from HISTOGRAM_STEPS to twice that. */
    h->slot[shift * HISTOGRAM_STEPS + (value >> shift)]++;
    h->n++;
    if (value > h->most)
        h->most = value;
}

/* The value below which a fraction of all lies, as the upper bound of its slot; 0 when empty. */
static inline uint64_t histogram_at(const struct histogram *h, double fraction)
{
    uint64_t wanted = (uint64_t)((double)h->n * fraction);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < 60 * HISTOGRAM_STEPS; i++) {
        seen += h->slot[i];
        if (h->slot[i] == 0 || seen < wanted)
            continue;
        uint32_t shift = i < 2 * HISTOGRAM_STEPS ? 0 : i / HISTOGRAM_STEPS - 1;
        uint64_t bound = ((uint64_t)(i - shift * HISTOGRAM_STEPS + 1) << shift) - 1;
        return bound < h->most ? bound : h->most;
    }
    return h->most;
}

#endif
