/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A count-min sketch (Cormode and Muthukrishnan, 2005) with conservative update (Estan and Varghese, 2002):
 * how often each of any number of keys was counted, in SKETCH_ROWS times SKETCH_WIDTH counters.
 *
 * An answer is never below the true count. It is above it by more than e/SKETCH_WIDTH of all that was counted
 * with a probability of at most exp(-SKETCH_ROWS), as long as whoever chooses keys cannot foresee their
 * hashes: so the caller hashes with a secret. After SKETCH_PERIOD counts all counters are halved, and what
 * lies back weighs less; the bound then holds for the halved counts. Pure; one thread; no allocation.
 */
#ifndef POLICY_LEARN_SKETCH_H
#define POLICY_LEARN_SKETCH_H

#include <stdint.h>

#define SKETCH_ROWS 4
#define SKETCH_WIDTH 2048 /* a power of two */
#define SKETCH_PERIOD (SKETCH_WIDTH * 64)

struct sketch {
    uint32_t counted; /* since the counters were halved last */
    uint32_t counter[SKETCH_ROWS][SKETCH_WIDTH];
}; /* zeroed: nothing was counted */

/* Counts a key once; the estimate with it. */
uint32_t sketch_count(struct sketch *sketch, uint64_t hash);
/* Makes the estimate of a key at least `count`, as if it had been counted so often. */
void sketch_raise(struct sketch *sketch, uint64_t hash, uint32_t count);
uint32_t sketch_estimate(const struct sketch *sketch, uint64_t hash);

#endif
