/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Buckets of whole roles and whole listeners: what all their clients share, on all workers (F2, F3).
 *
 * Each role or listener with a `total` has one. It is found again by its name when a new generation is made,
 * so that a reload refills nothing, and lives until the last generation that names it is gone. Made and
 * destroyed by the control thread; workers borrow buckets from their generation.
 */
#ifndef GATEWAY_RATE_TOTALS_H
#define GATEWAY_RATE_TOTALS_H

#include "config/gateway_config.h"
#include "policy/access/snapshot.h"

struct rate_totals;

/* `running`: those of the generation in force, or NULL. NULL when memory is not to be had. */
struct rate_totals *rate_totals_create(const struct snapshot *policy, const struct gateway_config *config,
                                       const struct rate_totals *running);
void rate_totals_destroy(struct rate_totals *totals);
/* NULL when it has no total; also when `totals` is. */
struct shared_buckets *rate_totals_role(const struct rate_totals *totals, uint32_t role);
struct shared_buckets *rate_totals_listener(const struct rate_totals *totals, uint32_t listener);

#endif
