/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Losses: found by SACK and time, by duplicate acknowledgements, by probes; repaired at a measured pace;
 * taken back when they were none. */
#include "tests/unit/runner.h"
#include "tests/unit/tcp_script.h"

/* A handshake that took 100 ms; ten segments of 1000 in flight from 1 to 10001. */
#define TEN                                                                                                  \
    "write 10000\n"                                                                                          \
    "> . 1:1001\n> . 1001:2001\n> . 2001:3001\n> . 3001:4001\n> . 4001:5001\n"                               \
    "> . 5001:6001\n> . 6001:7001\n> . 7001:8001\n> . 8001:9001\n> P. 9001:10001\n"
#define OPEN(options)                                                                                        \
    "< S 0:0 win 65535 <mss 1000" options ">\n"                                                              \
    "> S. 0:0 ack 1\n"                                                                                       \
    "+0.1\n"                                                                                                 \
    "< . 1:1 ack 1 win 65535\n"
#define SACK OPEN(",sackOK") TEN "+0.1\n"
#define RENO OPEN("") TEN "+0.1\n"
/* 988 bytes of payload with timestamps, so 1012 as MSS for round numbers. */
#define STAMPS                                                                                               \
    "< S 0:0 win 65535 <mss 1012,sackOK,ts 1 0>\n"                                                           \
    "> S. 0:0 ack 1 <ts 0 1>\n"                                                                              \
    "+0.1\n"                                                                                                 \
    "< . 1:1 ack 1 win 65535 <ts 2 0>\n" TEN

static const struct tcp_script sack[] = {
    {"RFC 8985 s.6.2 step 4: three segments sacked behind it mean lost, without waiting",
     SACK "< . 1:1 ack 1 win 65535 <sack 1001:2001>\n"
          "> none\n"
          "< . 1:1 ack 1 win 65535 <sack 1001:3001>\n"
          "> none\n"
          "< . 1:1 ack 1 win 65535 <sack 1001:4001>\n"
          "> P. 1:1001\n"
          "counter fast-retransmits 1\n"
          "< . 1:1 ack 4001 win 65535\n"
          "> none\n"
          "counter timeouts 0\n"},
    {"RFC 8985 s.6.2 step 5: one segment sacked, and a quarter of the RTT later it is lost",
     SACK "< . 1:1 ack 1 win 65535 <sack 1001:2001>\n"
          "+0.024\n"
          "> none\n"
          "+0.002\n"
          "> P. 1:1001\n"
          "counter timeouts 0\n"},
    {"several holes are repaired in one round trip (RFC 6675)",
     SACK "<< . 1:1 ack 1 win 65535 <sack 1001:2001>\n"
          "<< . 1:1 ack 1 win 65535 <sack 3001:4001 1001:2001>\n"
          "< . 1:1 ack 1 win 65535 <sack 5001:6001 3001:4001 1001:2001>\n"
          "> P. 1:1001\n"
          "> P. 2001:3001\n"
          "< . 1:1 ack 1 win 65535 <sack 5001:7001 3001:4001 1001:2001>\n"
          "> P. 4001:5001\n"
          "< . 1:1 ack 1 win 65535 <sack 5001:10001 3001:4001 1001:2001>\n"
          "+0.1\n"
          "< . 1:1 ack 10001 win 65535\n"
          "> none\n"
          "counter retransmits 3\n"
          "counter timeouts 0\n"},
    {"RFC 6937, RFC 9438 s.4.6: the window becomes 0.7 of what was in flight",
     SACK "< . 1:1 ack 1 win 65535 <sack 1001:4001>\n"
          "> P. 1:1001\n"
          "< . 1:1 ack 1 win 65535 <sack 1001:10001>\n"
          "+0.1\n"
          "< . 1:1 ack 10001 win 65535\n"
          "cwnd 7000\n"},
    {"RFC 9438 s.4.6: of the window, when it was the limit, however many acknowledgements came in the same "
     "burst",
     OPEN(",sackOK") "write 20000\n"
                     "> . 1:1001\n> . 1001:2001\n> . 2001:3001\n> . 3001:4001\n> . 4001:5001\n"
                     "> . 5001:6001\n> . 6001:7001\n> . 7001:8001\n> . 8001:9001\n> . 9001:10001\n"
                     "+0.1\n"
                     "<< . 1:1 ack 6001 win 65535\n"
                     "<< . 1:1 ack 6001 win 65535 <sack 7001:10001>\n"
                     "flush\n"
                     "> P. 6001:7001\n"
                     "> . 10001:11001\n"
                     "counter fast-retransmits 1\n"
                     "+0.1\n"
                     "< . 1:1 ack 10001 win 65535\n"
                     "> . 11001:12001\n"
                     "> . 12001:13001\n"
                     "> . 13001:14001\n"
                     "> . 14001:15001\n"
                     "> . 15001:16001\n"
                     "> . 16001:17001\n"
                     "> . 17001:18001\n"
                     "> . 18001:19001\n"
                     "> P. 19001:20001\n"
                     "cwnd 11200\n"},
    {"RFC 8985 s.6.2: what arrives before it was sent again was not lost, only late, and the window stays",
     SACK "<< . 1:1 ack 1 win 65535 <sack 1001:4001>\n"
          "<< . 1:1 ack 4001 win 65535\n"
          "flush\n"
          "> none\n"
          "counter spurious-recoveries 1\n"
          "counter retransmits 0\n"
          "cwnd 10000\n"
          "< . 1:1 ack 10001 win 65535\n"
          "write 5000\n"
          "> . 10001:11001\n> . 11001:12001\n> . 12001:13001\n> . 13001:14001\n> P. 14001:15001\n"
          "+0.1\n"
          "< . 1:1 ack 10001 win 65535 <sack 11001:14001>\n"
          "+0.024\n"
          "> none\n" /* a quarter of the RTT from now on */
          "+0.003\n"
          "> P. 10001:11001\n"},
    {"RFC 3042: new segments leave on the first duplicates when there are any",
     OPEN(",sackOK") "write 12000\n"
                     "> . 1:1001\n> . 1001:2001\n> . 2001:3001\n> . 3001:4001\n> . 4001:5001\n"
                     "> . 5001:6001\n> . 6001:7001\n> . 7001:8001\n> . 8001:9001\n> . 9001:10001\n"
                     "+0.1\n"
                     "< . 1:1 ack 1 win 65535 <sack 1001:2001>\n"
                     "> . 10001:11001\n"
                     "< . 1:1 ack 1 win 65535 <sack 1001:3001>\n"
                     "> P. 11001:12001\n"},
    {"a lost retransmission is found without a timeout (RFC 8985 s.6.2)",
     SACK "< . 1:1 ack 1 win 65535 <sack 1001:4001>\n"
          "> P. 1:1001\n"
          "write 2000\n"
          "< . 1:1 ack 1 win 65535 <sack 1001:10001>\n"
          "> . 10001:11001\n"
          "> P. 11001:12001\n"
          "+0.12\n"
          "< . 1:1 ack 1 win 65535 <sack 1001:12001>\n"
          "> P. 1:1001\n"
          "counter timeouts 0\n"},
    {"RFC 2018 s.8: a peer that forgets what it sacked is found at the timeout",
     SACK "< . 1:1 ack 1 win 65535 <sack 1001:10001>\n"
          "> P. 1:1001\n"
          "+0.1\n"
          "< . 1:1 ack 1001 win 65535\n"
          "+0.5\n"
          "> P. 1001:2001\n"
          "counter timeouts 1\n"},
    {"SACK blocks that make no sense are ignored", SACK "< . 1:1 ack 1 win 65535 <sack 4001:1001>\n"
                                                        "< . 1:1 ack 1 win 65535 <sack 9001:20001>\n"
                                                        "< . 1:1 ack 1 win 65535 <sack 20001:21001>\n"
                                                        "< . 1:1 ack 1 win 65535 <sack -5000:10001>\n"
                                                        "> none\n"
                                                        "counter retransmits 0\n"},
    {"a block that covers half a segment marks nothing", SACK "< . 1:1 ack 1 win 65535 <sack 1501:2001>\n"
                                                              "< . 1:1 ack 1 win 65535 <sack 1501:2001>\n"
                                                              "< . 1:1 ack 1 win 65535 <sack 1501:2001>\n"
                                                              "> none\n"},
    {"RFC 8985 s.6.2 step 4, RFC 2883: D-SACK tells of a needless repetition and widens the reordering "
     "window",
     SACK "< . 1:1 ack 1 win 65535 <sack 1001:4001>\n"
          "> P. 1:1001\n"
          "< . 1:1 ack 4001 win 65535\n" /* the original was only late */
          "< . 1:1 ack 4001 win 65535 <sack 1:1001>\n"
          "< . 1:1 ack 10001 win 65535\n"
          "write 5000\n"
          "> . 10001:11001\n> . 11001:12001\n> . 12001:13001\n> . 13001:14001\n> P. 14001:15001\n"
          "+0.1\n"
          "< . 1:1 ack 10001 win 65535 <sack 11001:14001>\n"
          "+0.049\n"
          "> none\n" /* two quarters of the RTT, although three are sacked */
          "+0.003\n"
          "> P. 10001:11001\n"},
    {"reordering within a quarter of the RTT is no loss (RFC 8985 s.6.2)",
     SACK "< . 1:1 ack 1 win 65535 <sack 1001:2001>\n"
          "< . 1:1 ack 1 win 65535 <sack 1001:3001>\n"
          "+0.02\n"
          "< . 1:1 ack 3001 win 65535\n"
          "+0.05\n"
          "> none\n"
          "< . 1:1 ack 3001 win 65535 <sack 4001:8001>\n" /* seen before: three are no proof any more */
          "> none\n"
          "+0.02\n"
          "< . 1:1 ack 10001 win 65535\n"
          "+1\n"
          "> none\n"
          "counter retransmits 0\n"},
};

static const struct tcp_script newreno[] = {
    {"RFC 5681 s.3.2: the third duplicate acknowledgement", RENO "< . 1:1 ack 1 win 65535\n"
                                                                 "< . 1:1 ack 1 win 65535\n"
                                                                 "> none\n"
                                                                 "< . 1:1 ack 1 win 65535\n"
                                                                 "> P. 1:1001\n"
                                                                 "counter fast-retransmits 1\n"},
    {"RFC 6582 s.3.2: a partial acknowledgement repairs the next hole", RENO "<< . 1:1 ack 1 win 65535\n"
                                                                             "<< . 1:1 ack 1 win 65535\n"
                                                                             "< . 1:1 ack 1 win 65535\n"
                                                                             "> P. 1:1001\n"
                                                                             "+0.1\n"
                                                                             "< . 1:1 ack 5001 win 65535\n"
                                                                             "> P. 5001:6001\n"
                                                                             "+0.1\n"
                                                                             "< . 1:1 ack 10001 win 65535\n"
                                                                             "cwnd 7000\n"
                                                                             "counter timeouts 0\n"},
    {"a segment with data, or another window, is no duplicate (RFC 5681 s.2)",
     RENO "< P. 1:2 ack 1 win 65535\n"
          "> . 10001:10001 ack 2\n"
          "< P. 2:3 ack 1 win 65535\n"
          "> . 10001:10001 ack 3\n"
          "< P. 3:4 ack 1 win 65535\n"
          "> . 10001:10001 ack 4\n"
          "< . 4:4 ack 1 win 65534\n"
          "< . 4:4 ack 1 win 65533\n"
          "< . 4:4 ack 1 win 65532\n"
          "> none\n"},
    {"after a timeout duplicates of what is sent again start no second recovery (RFC 6582 s.4)",
     RENO "+0.301\n"
          "> P. 1:1001\n"
          "< . 1:1 ack 1001 win 65535\n"
          "> P. 1001:2001\n"
          "> P. 2001:3001\n"
          "< . 1:1 ack 1001 win 65535\n"
          "< . 1:1 ack 1001 win 65535\n"
          "< . 1:1 ack 1001 win 65535\n"
          "< . 1:1 ack 1001 win 65535\n"
          "> none\n"
          "counter fast-retransmits 0\n"},
};

static const struct tcp_script tails[] = {
    {"RFC 8985 s.7: the last segment is sent again after two round trips, long before the RTO",
     SACK "< . 1:1 ack 8001 win 65535\n" /* the last two are lost */
          "+0.199\n"
          "> none\n"
          "+0.002\n"
          "> P. 9001:10001\n"
          "counter tail-loss-probes 1\n"
          "+0.1\n"
          "< . 1:1 ack 8001 win 65535 <sack 9001:10001>\n"
          "+0.03\n"
          "> P. 8001:9001\n"
          "+0.1\n"
          "< . 1:1 ack 10001 win 65535\n"
          "counter timeouts 0\n"},
    {"RFC 8985 s.7.3: new data, when there is some, is the probe", "< S 0:0 win 1500 <mss 1000,sackOK>\n"
                                                                   "> S. 0:0 ack 1\n"
                                                                   "+0.1\n"
                                                                   "< . 1:1 ack 1 win 1500\n"
                                                                   "write 1500\n"
                                                                   "> . 1:1001\n"
                                                                   "> P. 1001:1501\n"
                                                                   "+0.401\n"
                                                                   "> P. 1001:1501\n"},
    {"RFC 8985 s.7.4: a probe that repaired a loss reduces the window",
     SACK "< . 1:1 ack 9001 win 65535\n" /* only the last is lost */
          "cwnd 18000\n"
          "+0.201\n"
          "> P. 9001:10001\n"
          "+0.1\n"
          "< . 1:1 ack 10001 win 65535\n"
          "cwnd 19000\n"
          "write 1000\n"
          "> P. 10001:11001\n"
          "+0.1\n"
          "< . 1:1 ack 11001 win 65535\n" /* no duplicate came between: the original was lost */
          "cwnd 13300\n"},
    {"a probe that was needless does not (D-SACK)", SACK "< . 1:1 ack 9001 win 65535\n"
                                                         "+0.201\n"
                                                         "> P. 9001:10001\n"
                                                         "< . 1:1 ack 10001 win 65535\n"
                                                         "+0.1\n"
                                                         "< . 1:1 ack 10001 win 65535 <sack 9001:10001>\n"
                                                         "write 1000\n"
                                                         "> P. 10001:11001\n"
                                                         "+0.1\n"
                                                         "< . 1:1 ack 11001 win 65535\n"
                                                         "cwnd 19000\n"},
    {"after the probe the RTO", OPEN(",sackOK") "write 100\n"
                                                "> P. 1:101\n"
                                                "+0.301\n" /* the RTO bounds the probe */
                                                "> P. 1:101\n"
                                                "counter tail-loss-probes 1\n"
                                                "+0.301\n"
                                                "> P. 1:101\n"
                                                "counter timeouts 1\n"
                                                "< . 1:1 ack 101 win 65535\n"},
};

static const struct tcp_script undo[] = {
    {"RFC 3522: an echo of the original's timestamp takes the reduction back",
     STAMPS "+0.301\n" /* everything was late: the RTO after the probe */
            "> P. 9001:10001\n"
            "+0.3\n"
            "> P. 1:1001\n"
            "counter timeouts 1\n"
            "< . 1:1 ack 1001 win 65535 <ts 3 100>\n" /* 100: when the original left */
            "counter spurious-recoveries 1\n"
            "< . 1:1 ack 10001 win 65535 <ts 4 100>\n"
            "> none\n"
            "counter retransmits 2\n"},
    {"an echo of the retransmission does not", STAMPS "+0.301\n"
                                                      "> P. 9001:10001\n"
                                                      "+0.3\n"
                                                      "> P. 1:1001\n"
                                                      "< . 1:1 ack 1001 win 65535 <ts 3 700>\n"
                                                      "> P. 1001:2001\n"
                                                      "> P. 2001:3001\n"
                                                      "counter spurious-recoveries 0\n"},
};

#define RUN(table) tcp_script_run_all(table, sizeof(table) / sizeof((table)[0]))

static void run_sack(void)
{
    RUN(sack);
}

static void run_newreno(void)
{
    RUN(newreno);
}

static void run_tails(void)
{
    RUN(tails);
}

static void run_undo(void)
{
    RUN(undo);
}

int main(void)
{
    static const struct unit_test tests[] = {{"SACK and RACK", run_sack},
                                             {"NewReno", run_newreno},
                                             {"tail loss probes", run_tails},
                                             {"undoing", run_undo}};
    return unit_run("tcp_recovery", tests, sizeof(tests) / sizeof(tests[0]));
}
