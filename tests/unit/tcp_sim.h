/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two real TCP endpoints, a network between them that loses, repeats, delays, reorders and rewrites, and a
 * user on each side that writes a known sequence of bytes, reads in odd portions, pauses and finishes. All of
 * it runs on a fake clock from one seed. What every sent segment must satisfy is checked on the wire.
 */
#ifndef TESTS_UNIT_TCP_SIM_H
#define TESTS_UNIT_TCP_SIM_H

#include "dataplane/tcp/tcp.h"

struct sim_settings {
    uint64_t seed;
    uint32_t bytes[2];      /* what each side sends */
    uint32_t loss_permille; /* of segments, each direction */
    uint32_t dup_permille;
    uint32_t reorder_permille;
    uint32_t delay_us;         /* one way */
    uint32_t jitter_us;        /* added to reordered segments */
    uint64_t rate_bytes_per_s; /* 0: unlimited */
    uint32_t queue_bytes;      /* of the bottleneck */
    uint32_t buffer_bytes;
    uint32_t buffer_max_bytes; /* what buffers may grow to */
    uint32_t chunks;
    uint16_t mss[2];
    uint32_t write_bytes; /* largest single write */
    bool pauses;          /* readers stop now and then */
    bool strip_sack;
    bool strip_timestamps;
    bool strip_scaling;
    bool both_connect; /* simultaneous open */
    bool cookies;
    bool late_clock; /* the loop sleeps for seconds now and then */
};

struct sim_result {
    bool complete;         /* every byte arrived in order on both sides and both were told DONE */
    const char *complaint; /* the first violated invariant, or NULL */
    uint64_t duration_us;
    uint64_t segments;
    uint64_t retransmits;
    uint64_t timeouts;
    uint64_t spurious;
    uint64_t tail_probes;
};

struct sim_result sim_run(const struct sim_settings *settings);

#endif
