/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CUBIC and HyStart++ by their own formulas: computed here once more, in floating point. */
#include "dataplane/tcp/congestion.h"
#include "dataplane/tcp/rtt.h"
#include "tests/unit/runner.h"

#include <math.h>
#include <string.h>

#define MSS 1000u

static struct tcp_endpoint tcp;

static struct tcp_connection established(void)
{
    struct tcp_connection c;
    memset(&c, 0, sizeof(c));
    memset(&tcp, 0, sizeof(tcp));
    c.tcp = &tcp;
    c.snd_mss = MSS;
    c.state = TCP_STATE_ESTABLISHED;
    tcp_congestion_start(&c, false);
    return c;
}

/* RFC 6928 s.2 */
static void the_initial_window_is_ten_segments(void)
{
    static const struct {
        uint16_t mss;
        uint32_t window;
    } cases[] = {{1000, 10000}, {1460, 14600}, {2000, 14600}, {8000, 16000}, {64, 640}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tcp_connection c = established();
        c.snd_mss = cases[i].mss;
        CU_ASSERT_EQUAL(tcp_congestion_initial(&c), cases[i].window);
    }
    struct tcp_connection c = established();
    tcp_congestion_start(&c, true);
    CU_ASSERT_EQUAL(c.cwnd, MSS); /* RFC 5681 s.3.1 */
}

/* RFC 9438 s.4.6 and 4.7 */
static void a_loss_leaves_seven_tenths(void)
{
    struct tcp_connection c = established();
    c.cwnd = 100 * MSS;
    tcp_congestion_loss(&c, 100 * MSS);
    CU_ASSERT_EQUAL(c.ssthresh, 70 * MSS);
    CU_ASSERT_EQUAL(c.cubic_max, 100 * MSS);
    c.cwnd = c.ssthresh;
    tcp_congestion_loss(&c, 70 * MSS); /* lost again below the last maximum: make room for others */
    CU_ASSERT_EQUAL(c.cubic_max, 70 * MSS * 17 / 20);
    tcp_congestion_loss(&c, 0); /* never less than two segments */
    CU_ASSERT_EQUAL(c.ssthresh, 2 * MSS);
    /* What was allowed and not used does not count. */
    c = established();
    c.cwnd = 100 * MSS;
    tcp_congestion_loss(&c, 10 * MSS);
    CU_ASSERT_EQUAL(c.ssthresh, 7 * MSS);
}

/* Drives congestion avoidance with an acknowledgement for each segment of a window per round trip. */
static void run_round(struct tcp_connection *c, uint32_t rtt_ms)
{
    uint32_t segments = c->cwnd / MSS;
    for (uint32_t i = 0; i < segments; i++) {
        tcp.now_us += (uint64_t)rtt_ms * 1000 / segments;
        tcp.now_ms = (uint32_t)(tcp.now_us / 1000);
        tcp_congestion_ack(c, MSS, rtt_ms * 1000);
    }
}

/* RFC 9438 s.4.2: W(t) = 0.4 (t - K)^3 + Wmax, K = cbrt((Wmax - cwnd) / 0.4), in segments and seconds. On a
 * long path, where Reno would be slower. */
static void the_window_follows_the_cubic_function(void)
{
    const double max = 2000, start = 1400, k = cbrt((max - start) / 0.4);
    struct tcp_connection c = established();

    tcp.now_us = 1000000;
    tcp.now_ms = 1000;
    c.srtt_us = 100000;
    c.cwnd = 2000 * MSS;
    tcp_congestion_loss(&c, 2000 * MSS);
    c.cwnd = c.ssthresh;
    CU_ASSERT_EQUAL(c.cwnd, 1400 * MSS);
    uint64_t begin_us = tcp.now_us;
    for (uint32_t round = 0; round < 160; round++) {
        run_round(&c, 100);
        double t = (double)(tcp.now_us - begin_us) / 1e6;
        double expected = 0.4 * pow(t - k, 3) + max;
        double is = (double)c.cwnd / MSS;
        if (round > 2 && fabs(is - expected) > 0.02 * expected) {
            CU_FAIL("off the curve by more than 2%");
            printf("\n    t %.2f is %.1f expected %.1f\n", t, is, expected);
            return;
        }
    }
}

/* RFC 9438 s.4.3: on a short path the window grows as Reno's would, with alpha 9/17. */
static void on_a_short_path_it_is_no_slower_than_reno(void)
{
    struct tcp_connection c = established();
    tcp.now_us = 1000000;
    tcp.now_ms = 1000;
    c.srtt_us = 1000;
    c.cwnd = 20 * MSS;
    tcp_congestion_loss(&c, 20 * MSS);
    c.cwnd = c.ssthresh;
    for (uint32_t round = 0; round < 100; round++)
        run_round(&c, 1);
    /* 14 + 9/17 per round up to 20, then 1 per round. */
    double expected = 20 + (100 - 6 * 17.0 / 9);
    CU_ASSERT(fabs((double)c.cwnd / MSS - expected) < 0.06 * expected); /* fractions of a segment get lost */
}

/* One window's worth of acknowledgements, each releasing new segments. */
static void slow_round(struct tcp_connection *c, uint32_t rtt_us)
{
    for (uint32_t end = c->snd_nxt; seq_lt(c->snd_una, end);) {
        c->snd_una += MSS;
        tcp_congestion_ack(c, MSS, rtt_us);
        c->snd_nxt = c->snd_una + c->cwnd;
    }
}

/* RFC 9406 s.4.2: a rising RTT ends the doubling, and after five rounds slow start. */
static void a_rising_rtt_ends_slow_start(void)
{
    struct tcp_connection c = established();
    uint32_t rtt_us = 20000, rounds = 0;

    c.snd_nxt = c.cwnd;
    c.round_end = c.snd_nxt;
    for (uint32_t round = 0; round < 4; round++) { /* steady: doubling */
        uint32_t before = c.cwnd;
        slow_round(&c, rtt_us);
        CU_ASSERT_EQUAL(c.cwnd, 2 * before);
    }
    CU_ASSERT((c.flags & TCP_F_SLOW_EXIT) == 0);
    for (; c.cwnd < c.ssthresh && rounds < 20; rounds++) {
        uint32_t before = c.cwnd;
        rtt_us += 8000;
        slow_round(&c, rtt_us);
        if (rounds > 0)
            CU_ASSERT(c.cwnd < before * 3 / 2);
    }
    CU_ASSERT(rounds >= 5 && rounds <= 7);
}

/* RFC 9406 s.4.2: when the RTT falls back below where it was, the rise was noise. */
static void a_passing_rise_resumes_slow_start(void)
{
    struct tcp_connection c = established();

    c.snd_nxt = c.cwnd;
    c.round_end = c.snd_nxt;
    for (uint32_t round = 0; round < 3; round++)
        slow_round(&c, 20000);
    slow_round(&c, 30000);
    CU_ASSERT((c.flags & TCP_F_SLOW_EXIT) != 0);
    slow_round(&c, 20000);
    slow_round(&c, 20000);
    CU_ASSERT((c.flags & TCP_F_SLOW_EXIT) == 0);
    CU_ASSERT(c.cwnd < c.ssthresh);
}

/* RFC 9406 s.4.2: L = 8 segments an acknowledgement. */
static void a_stretch_acknowledgement_is_no_licence_to_burst(void)
{
    struct tcp_connection c = established();
    tcp_congestion_ack(&c, 100 * MSS, 1000);
    CU_ASSERT_EQUAL(c.cwnd, 18 * MSS);
}

/* RFC 6298 s.2 */
static void the_timeout_follows_the_round_trip_time(void)
{
    struct tcp_connection c = established();
    CU_ASSERT_EQUAL(tcp_rtt_rto_us(&c), 1000000);
    tcp_rtt_sample(&c, 400000);
    CU_ASSERT_EQUAL(c.srtt_us, 400000);
    CU_ASSERT_EQUAL(c.rttvar_us, 200000);
    CU_ASSERT_EQUAL(tcp_rtt_rto_us(&c), 1200000);
    tcp_rtt_sample(&c, 800000);
    CU_ASSERT_EQUAL(c.rttvar_us, 250000); /* 3/4 of 200 + 1/4 of 400 ms */
    CU_ASSERT_EQUAL(c.srtt_us, 450000);
    c.backoff = 1;
    CU_ASSERT_EQUAL(tcp_rtt_rto_us(&c), 2900000);
    c.backoff = 16;
    CU_ASSERT_EQUAL(tcp_rtt_rto_us(&c), 60000000);
    c.backoff = 255;
    CU_ASSERT_EQUAL(tcp_rtt_rto_us(&c), 60000000);
    c = established();
    for (int i = 0; i < 100; i++)
        tcp_rtt_sample(&c, 1000);
    CU_ASSERT_EQUAL(tcp_rtt_rto_us(&c), 201000);
    tcp_rtt_sample(&c, 0);
    CU_ASSERT_EQUAL(c.min_rtt_us, 1);
    tcp_rtt_sample(&c, UINT32_MAX);
    CU_ASSERT(tcp_rtt_rto_us(&c) <= 60000000);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"the initial window is ten segments (RFC 6928)", the_initial_window_is_ten_segments},
        {"a loss leaves seven tenths (RFC 9438 s.4.6)", a_loss_leaves_seven_tenths},
        {"the window follows the cubic function (RFC 9438 s.4.2)", the_window_follows_the_cubic_function},
        {"on a short path it is no slower than Reno (RFC 9438 s.4.3)",
         on_a_short_path_it_is_no_slower_than_reno},
        {"a rising RTT ends slow start (RFC 9406)", a_rising_rtt_ends_slow_start},
        {"a passing rise resumes it (RFC 9406)", a_passing_rise_resumes_slow_start},
        {"a stretch acknowledgement is no licence to burst",
         a_stretch_acknowledgement_is_no_licence_to_burst},
        {"the timeout follows the round-trip time (RFC 6298)", the_timeout_follows_the_round_trip_time},
    };
    return unit_run("tcp_congestion", tests, sizeof(tests) / sizeof(tests[0]));
}
