/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Thousands of transfers between two endpoints over a hostile network, byte for byte, each from a seed that
 * is printed when it fails: test_tcp_simulator SEED runs that one. */
#include "tests/unit/runner.h"
#include "tests/unit/tcp_sim.h"

#include <stdio.h>

static struct sim_settings calm(uint64_t seed)
{
    return (struct sim_settings){.seed = seed,
                                 .bytes = {100000, 50000},
                                 .delay_us = 5000,
                                 .jitter_us = 20000,
                                 .buffer_bytes = 65535,
                                 .chunks = 1024,
                                 .mss = {1460, 1460},
                                 .write_bytes = 4096};
}

static uint32_t pick(uint64_t *seed, uint32_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % below;
}

/* Settings drawn from the seed, so that a number reproduces a run. */
static struct sim_settings drawn(uint64_t seed)
{
    static const uint16_t sizes[] = {64, 100, 536, 1220, 1460, 1460, 1460, 4000};
    static const uint32_t buffers[] = {300, 2000, 8192, 65535, 262144};
    struct sim_settings s = calm(seed);
    uint64_t x = seed * 77 + 5;
    s.bytes[0] = pick(&x, 3) == 0 ? pick(&x, 200) : pick(&x, 60000);
    s.bytes[1] = pick(&x, 3) == 0 ? pick(&x, 200) : pick(&x, 60000);
    s.loss_permille = pick(&x, 3) == 0 ? 0 : pick(&x, 200);
    s.dup_permille = pick(&x, 2) == 0 ? 0 : pick(&x, 100);
    s.reorder_permille = pick(&x, 2) == 0 ? 0 : pick(&x, 300);
    s.delay_us = pick(&x, 100000);
    s.jitter_us = pick(&x, 200000);
    s.rate_bytes_per_s = pick(&x, 4) == 0 ? 20000 + pick(&x, 2000000) : 0;
    s.queue_bytes = 3000 + pick(&x, 100000);
    s.buffer_bytes = buffers[pick(&x, 5)];
    s.mss[0] = sizes[pick(&x, 8)];
    s.mss[1] = sizes[pick(&x, 8)];
    s.write_bytes = pick(&x, 4) == 0 ? 1 + pick(&x, 20) : 1 + pick(&x, 4096);
    if (s.write_bytes < 20 || s.mss[0] < 200 || s.mss[1] < 200) { /* many segments: fewer bytes */
        s.bytes[0] /= 10;
        s.bytes[1] /= 10;
    }
    s.pauses = pick(&x, 2) == 0;
    s.strip_sack = pick(&x, 4) == 0;
    s.strip_timestamps = pick(&x, 4) == 0;
    s.strip_scaling = pick(&x, 4) == 0;
    s.both_connect = pick(&x, 8) == 0;
    s.cookies = !s.both_connect && pick(&x, 8) == 0;
    s.late_clock = pick(&x, 6) == 0;
    s.chunks = pick(&x, 8) == 0 ? 16 + pick(&x, 64) : 1024;
    s.buffer_max_bytes = pick(&x, 2) == 0 ? 0 : s.buffer_bytes * (2 + pick(&x, 30));
    return s;
}

static bool run_one(uint64_t seed)
{
    struct sim_settings s = drawn(seed);
    struct sim_result r = sim_run(&s);
    if (!r.complete)
        fprintf(stderr, "\n    seed %llu: %s after %.3f s, %llu segments\n", (unsigned long long)seed,
                r.complaint, (double)r.duration_us / 1e6, (unsigned long long)r.segments);
    return r.complete;
}

static void thousands_of_drawn_transfers(void)
{
    uint32_t bad = 0;
    for (uint64_t seed = 1; seed <= 3000 && bad < 5; seed++)
        bad += !run_one(seed);
    CU_ASSERT_EQUAL(bad, 0);
}

static void a_calm_network_needs_no_retransmission(void)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim_settings s = calm(seed);
        struct sim_result r = sim_run(&s);
        CU_ASSERT(r.complete);
        CU_ASSERT_EQUAL(r.timeouts, 0);
        CU_ASSERT_EQUAL(r.retransmits, 0);
    }
}

static void single_losses_need_no_timeout(void)
{
    uint64_t timeouts = 0, retransmits = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct sim_settings s = calm(seed);
        s.bytes[0] = 400000;
        s.bytes[1] = 0;
        s.loss_permille = 10;
        struct sim_result r = sim_run(&s);
        CU_ASSERT(r.complete);
        timeouts += r.timeouts;
        retransmits += r.retransmits;
    }
    /* About 140 data segments are lost; tails, lost retransmissions and handshakes may need the clock. */
    CU_ASSERT(retransmits > 50);
    CU_ASSERT(timeouts * 10 < retransmits);
}

static void reordering_alone_costs_little(void)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim_settings s = calm(seed);
        s.bytes[0] = 1000000;
        s.bytes[1] = 0;
        s.buffer_bytes = 262144;
        s.reorder_permille = 50;
        s.jitter_us = 4000;
        struct sim_result r = sim_run(&s);
        CU_ASSERT(r.complete);
        CU_ASSERT_EQUAL(r.timeouts, 0);
        CU_ASSERT(r.retransmits < 70); /* a tenth of the segments */
    }
}

/* 100 ms there and back: 64 KiB a round trip would take almost five seconds. */
static void windows_grow_on_long_paths(void)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct sim_settings s = calm(seed);
        s.bytes[0] = 3000000;
        s.bytes[1] = 0;
        s.delay_us = 50000;
        s.buffer_max_bytes = 4 << 20;
        s.chunks = 16384;
        struct sim_result r = sim_run(&s);
        CU_ASSERT(r.complete);
        CU_ASSERT_EQUAL(r.retransmits, 0);
        CU_ASSERT(r.duration_us < 3000000);
        s.loss_permille = 2; /* hundreds of segments wait behind each gap */
        r = sim_run(&s);
        CU_ASSERT(r.complete);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"a calm network needs no retransmission", a_calm_network_needs_no_retransmission},
        {"single losses need no timeout (RFC 6675, RFC 8985)", single_losses_need_no_timeout},
        {"reordering alone costs little (RFC 8985 s.6.2)", reordering_alone_costs_little},
        {"windows grow on long paths (RFC 7323 s.2)", windows_grow_on_long_paths},
        {"thousands of drawn transfers arrive byte for byte", thousands_of_drawn_transfers},
    };
    if (argc == 2)
        return run_one(strtoull(argv[1], NULL, 10)) ? EXIT_SUCCESS : EXIT_FAILURE;
    return unit_run("tcp_simulator", tests, sizeof(tests) / sizeof(tests[0]));
}
