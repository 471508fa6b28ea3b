/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counters for machines: every counter of every worker under its name, in DPDK telemetry
 * (/sallyport/counters, /sallyport/worker,N) and as text for `sallyportctl counters`
 * (H3). The control thread refreshes a copy about once a second; the telemetry thread answers from the copy,
 * so neither ever touches a worker's memory.
 */
#ifndef GATEWAY_METRICS_H
#define GATEWAY_METRICS_H

#include "gateway/worker.h"

#include <stdio.h>

/* Registers the telemetry commands. */
void metrics_register(void);
/* What the control thread itself knows of the policy; always shown. */
struct metrics_policy {
    uint64_t revision;
    uint64_t last_reload_successful; /* 1 or 0 */
    uint64_t last_reload_success_timestamp_seconds;
    uint64_t unconfirmed; /* 1: it goes unless it is confirmed */
    uint64_t from_files;  /* 0: another than the files' is in force */
    uint64_t reloads_good, reloads_refused, reloads_returned;
};
/* Of the files of what is learned. */
struct metrics_learn {
    uint64_t kept, not_kept, refused;
};
/* Control thread. */
void metrics_learn_update(const struct metrics_learn *learn);

#define METRICS_DIFFERENCES 128 /* what finds no place is of METRICS_OTHERS */
#define METRICS_OTHERS "*"      /* which no role is called */

/* And of a candidate; differences by role and states. */
struct metrics_difference {
    char role[64];
    const char *from, *to;
    uint64_t n;
};

struct metrics_candidate {
    uint64_t loaded; /* 1 or 0 */
    uint64_t judged, differ;
    uint64_t passed_over, undecided, not_sampled, left_out;
    uint32_t differences_n;
    struct metrics_difference differences[METRICS_DIFFERENCES];
};
void metrics_candidate_update(const struct metrics_candidate *candidate);
/* Control thread. */
void metrics_policy_update(const struct metrics_policy *policy);
/* Control thread: the newest counters of a worker. */
void metrics_update(uint32_t worker, const struct worker_stats *stats);
/* A copy of the newest counters of a worker; false when there are none. */
bool metrics_worker(uint32_t worker, struct worker_stats *out);
/* And of the candidate. */
void metrics_candidate(struct metrics_candidate *out);
/* Calls `each` for every counter that comes in a group ("tcp", "retransmits"), summed over workers. */
void metrics_groups(void (*each)(void *owner, const char *group, const char *id, uint64_t value),
                    void *owner);
/* Calls `each` for every counter, summed over workers, that is not zero or is always shown. Names are
 * "tcp.retransmits", "up.default-deny", ... */
void metrics_each(void (*each)(void *owner, const char *name, uint64_t value), void *owner);

#endif
