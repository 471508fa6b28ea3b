/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often each rule decided (H1: rules --unused). One row of counters for each worker, of which it alone
 * writes its own, without lock or atomic read-modify-write; whoever asks adds the rows up. Belongs to a
 * generation; what a rule of the same id has counted before a reload is carried over, but for the decisions
 * of the very iteration in which workers change over.
 */
#ifndef GATEWAY_RULE_HITS_H
#define GATEWAY_RULE_HITS_H

#include "policy/access/snapshot.h"

#include <stdatomic.h>

#define RULE_HITS_ROWS 16

struct rule_hits {
    uint32_t n; /* rules of all roles */
    size_t bytes;
    uint64_t since_us;     /* CLOCK_REALTIME: counted from here on, for rules that were not there before */
    _Atomic uint64_t *row; /* RULE_HITS_ROWS of n: touched as they are counted in */
    uint64_t *before;      /* carried over */
    uint64_t *since;       /* likewise, of each rule */
};

/* NULL without memory. Control thread, as all but rule_hits_count. */
struct rule_hits *rule_hits_create(const struct snapshot *policy, uint64_t now_us);
void rule_hits_destroy(struct rule_hits *hits);
/* At publication: what rules of the same id have counted in `old`, and since when. What `hits` itself counted
 * when it was in force before (a return to it) is in there already and not counted twice. */
void rule_hits_follow(struct rule_hits *hits, const struct snapshot *policy, const struct rule_hits *old,
                      const struct snapshot *old_policy);
uint64_t rule_hits_sum(const struct rule_hits *hits, const struct policy_role *role, uint32_t rule);
uint64_t rule_hits_since_us(const struct rule_hits *hits, const struct policy_role *role, uint32_t rule);

/* A rule decided, on worker `row`. `hits` may be NULL. */
static inline void rule_hits_count(struct rule_hits *hits, uint32_t row, const struct policy_role *role,
                                   uint32_t rule)
{
    if (hits == NULL || rule >= hits->n - role->first_rule || row >= RULE_HITS_ROWS) /* no rule among it */
        return;
    _Atomic uint64_t *counter = &hits->row[(size_t)row * hits->n + role->first_rule + rule];
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

#endif
