/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sending: segments, windows, silly ones and closed ones, timeouts, keep-alives, path MTU. */
#include "tests/unit/runner.h"
#include "tests/unit/tcp_script.h"

#define PLAIN                                                                                                \
    "< S 0:0 win 65535 <mss 1000>\n"                                                                         \
    "> S. 0:0 ack 1\n"                                                                                       \
    "+0.1\n"                                                                                                 \
    "< . 1:1 ack 1 win 65535\n"
#define WINDOW(n)                                                                                            \
    "< S 0:0 win " n " <mss 1000>\n"                                                                         \
    "> S. 0:0 ack 1\n"                                                                                       \
    "+0.1\n"                                                                                                 \
    "< . 1:1 ack 1 win " n "\n"

static const struct tcp_script segments[] = {
    {"RFC 9293 s.3.7.1: segments of the MSS, PSH on the last", PLAIN "write 2500\n"
                                                                     "> . 1:1001 ack 1\n"
                                                                     "> . 1001:2001 ack 1\n"
                                                                     "> P. 2001:2501 ack 1\n"},
    {"RFC 6691: options reduce the payload", "< S 0:0 win 65535 <mss 1000,ts 1 0>\n"
                                             "> S. 0:0 ack 1\n"
                                             "< . 1:1 ack 1 win 65535 <ts 1 0>\n"
                                             "write 1000\n"
                                             "> . 1:989 ack 1\n"
                                             "> P. 989:1001 ack 1\n"},
    {"Nagle's algorithm is off: small writes leave at each flush", PLAIN "write 1\n"
                                                                         "> P. 1:2\n"
                                                                         "write 1\n"
                                                                         "> P. 2:3\n"},
    {"writes before a flush leave together; a write alone emits nothing", PLAIN "write 10\n"
                                                                                "write 20\n"
                                                                                "> P. 1:31\n"},
    {"RFC 6928: ten segments at first", PLAIN "write 20000\n"
                                              "cwnd 10000\n"
                                              "> . 1:1001\n> . 1001:2001\n> . 2001:3001\n> . 3001:4001\n"
                                              "> . 4001:5001\n> . 5001:6001\n> . 6001:7001\n> . 7001:8001\n"
                                              "> . 8001:9001\n> . 9001:10001\n"
                                              "> none\n"
                                              "< . 1:1 ack 2001 win 65535\n"
                                              "> . 10001:11001\n> . 11001:12001\n> . 12001:13001\n"
                                              "> . 13001:14001\n"},
    {"RFC 5681 s.3.1: one segment after the handshake's segments got lost", "< S 0:0 win 65535 <mss 1000>\n"
                                                                            "> S. 0:0 ack 1\n"
                                                                            "+1\n"
                                                                            "> S. 0:0 ack 1\n"
                                                                            "+2\n"
                                                                            "> S. 0:0 ack 1\n"
                                                                            "< . 1:1 ack 1 win 65535\n"
                                                                            "cwnd 1000\n"},
    {"a segment points at three pieces at most: jumbo frames are cut to two chunks",
     "limit mss 8960\n"
     "< S 0:0 win 65535 <mss 8960>\n"
     "> S. 0:0 ack 1\n"
     "< . 1:1 ack 1 win 65535\n"
     "write 100\n"
     "> P. 1:101\n"
     "write 9000\n"
     "> . 101:4165\n> . 4165:8229\n> P. 8229:9101\n"},
    {"the send buffer follows what may be out, and what is free", "limit send 4000\n"
                                                                  "limit send_max 30000\n"
                                                                  "< S 0:0 win 65535 <mss 1000>\n"
                                                                  "> S. 0:0 ack 1\n"
                                                                  "< . 1:1 ack 1 win 65535\n"
                                                                  "room 20000\n" /* twice ten segments */
                                                                  "< . 1:1 ack 1 win 3000\n"
                                                                  "room 6000\n"
                                                                  "< . 1:1 ack 1 win 0\n"
                                                                  "room 4000\n"},
    {"no grown send buffer takes more than an eighth of what is free", "limit send 4000\n"
                                                                       "limit send_max 30000\n"
                                                                       "limit chunks 40\n"
                                                                       "< S 0:0 win 65535 <mss 1000>\n"
                                                                       "> S. 0:0 ack 1\n"
                                                                       "< . 1:1 ack 1 win 65535\n"
                                                                       "room 9398\n"},
    {"a short write is followed by writable (stream.h)",
     "limit send 8000\n" PLAIN "write 8000\n"
     "write-short\n"
     "room 0\n"
     "> . 1:1001\n> . 1001:2001\n> . 2001:3001\n> . 3001:4001\n"
     "> . 4001:5001\n> . 5001:6001\n> . 6001:7001\n"
     "> P. 7001:8001\n"
     "< . 1:1 ack 1001 win 65535\n"
     "not-writable\n"
     "< . 1:1 ack 2001 win 65535\n"
     "writable\n"},
    {"an empty pool is followed by writable, too", "limit chunks 3\n"
                                                   "limit send 100000\n" PLAIN "write-short\n"
                                                   "> . 1:1001\n> . 1001:2001\n> . 2001:3001\n> . 3001:4001\n"
                                                   "> P. 4001:4065\n"
                                                   "< . 1:1 ack 4065 win 65535\n"
                                                   "writable\n"},
    {"RFC 5681 s.4.1: after idling longer than an RTO the window restarts",
     PLAIN "write 10000\n"
           "> . 1:1001\n> . 1001:2001\n"
           "> . 2001:3001\n> . 3001:4001\n"
           "> . 4001:5001\n> . 5001:6001\n"
           "> . 6001:7001\n> . 7001:8001\n"
           "> . 8001:9001\n> P. 9001:10001\n"
           "+0.1\n"
           "< . 1:1 ack 8001 win 65535\n"
           "cwnd 18000\n"
           "< . 1:1 ack 10001 win 65535\n"
           "+5\n"
           "write 1\n"
           "> P. 10001:10002\n"
           "cwnd 10000\n"},
};

static const struct tcp_script windows[] = {
    {"RFC 9293 s.3.8.6: no more than the peer's window", WINDOW("1500") "write 5000\n"
                                                                        "> . 1:1001\n"
                                                                        "> none\n"
                                                                        "< . 1:1 ack 1001 win 1500\n"
                                                                        "> . 1001:2001\n"
                                                                        "> none\n"},
    {"RFC 9293 s.3.8.6.2.1: a window of less than half the largest is not filled, until the timer says so",
     WINDOW("3000") "write 6000\n"
                    "> . 1:1001\n> . 1001:2001\n> . 2001:3001\n"
                    "< . 1:1 ack 3001 win 400\n"
                    "> none\n"
                    "+0.5\n"
                    "> . 3001:3401\n"},
    {"half of the largest window is worth it", WINDOW("900") "write 5000\n"
                                                             "> . 1:901\n"
                                                             "< . 1:1 ack 901 win 500\n"
                                                             "> . 901:1401\n"},
    {"RFC 9293 s.3.8.6.1: a closed window is probed with a byte, backing off, for ever while answered",
     "limit data_retries 3\n" WINDOW("1000") "write 2000\n"
                                             "> . 1:1001\n"
                                             "+0.1\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+0.3\n"
                                             "> . 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+0.6\n"
                                             "> P. 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+1.2\n"
                                             "> P. 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+2.4\n"
                                             "> P. 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+4.8\n"
                                             "> P. 1001:1002\n"
                                             "counter window-probes 5\n"
                                             "< . 1:1 ack 1001 win 1000\n"
                                             "> P. 1001:1002\n"
                                             "> P. 1002:2001\n"},
    {"RFC 9293 s.3.8.6.1: a window closed for eight minutes: at last a probe a minute, and then all of it "
     "comes",
     "limit data_retries 3\n" WINDOW("1000") "write 2000\n"
                                             "> . 1:1001\n"
                                             "+0.1\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+0.3\n"
                                             "> . 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+0.6\n"
                                             "> P. 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+1.2\n"
                                             "> P. 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+2.4\n"
                                             "> P. 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+4.8\n"
                                             "> P. 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+9.6\n"
                                             "> P. 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+19.2\n"
                                             "> P. 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+38.4\n"
                                             "> P. 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+60\n"
                                             "> P. 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+60\n"
                                             "> P. 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+60\n"
                                             "> P. 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+60\n"
                                             "> P. 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+60\n"
                                             "> P. 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+60\n"
                                             "> P. 1001:1002\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+59\n"
                                             "> none\n"
                                             "open\n"
                                             "counter timeouts 0\n"
                                             "counter window-probes 14\n"
                                             "< . 1:1 ack 1001 win 5000\n"
                                             "> P. 1001:1002\n"
                                             "> P. 1002:2001\n"
                                             "< . 1:1 ack 2001 win 5000\n"
                                             "room 262144\n"},
    {"the probe's byte may be accepted", WINDOW("1000") "write 2000\n"
                                                        "> . 1:1001\n"
                                                        "+0.1\n"
                                                        "< . 1:1 ack 1001 win 0\n"
                                                        "+0.3\n"
                                                        "> . 1001:1002\n"
                                                        "< . 1:1 ack 1002 win 5000\n"
                                                        "> P. 1002:2001\n"},
    {"probes that nobody answers end the connection (RFC 1122 s.4.2.3.5)",
     "limit data_retries 2\n" WINDOW("1000") "write 2000\n"
                                             "> . 1:1001\n"
                                             "+0.1\n"
                                             "< . 1:1 ack 1001 win 0\n"
                                             "+0.3\n"
                                             "> . 1001:1002\n"
                                             "+0.6\n"
                                             "> P. 1001:1002\n"
                                             "+1.2\n"
                                             "> R. 1002:1002\n"
                                             "closed timeout\n"},
    {"a window that shrinks below what was sent stops new data (RFC 9293 s.3.8.6)",
     WINDOW("3000") "write 6000\n"
                    "> . 1:1001\n> . 1001:2001\n> . 2001:3001\n"
                    "< . 1:1 ack 1001 win 1000\n"
                    "> none\n"
                    "< . 1:1 ack 3001 win 1000\n"
                    "> . 3001:4001\n"},
    {"RFC 9293 s.3.10.7.4: an older segment does not change the window",
     WINDOW("5000") "write 100\n"
                    "> P. 1:101\n"
                    "< P. 1:11 ack 101 win 5000\n"
                    "> . 101:101 ack 11\n"
                    "<< . 1:1 ack 1 win 0\n"
                    "write 100\n"
                    "> P. 101:201 ack 11\n"},
    {"RFC 7323 s.2.2: the window is scaled, except in the SYN", "< S 0:0 win 1000 <mss 1000,wscale 3>\n"
                                                                "> S. 0:0 ack 1 <wscale 0>\n"
                                                                "< . 1:1 ack 1 win 250\n"
                                                                "write 3000\n"
                                                                "> . 1:1001\n> . 1001:2001\n"
                                                                "> none\n"},
    {"RFC 7323 s.2.3: a shift count above 14 is 14", "< S 0:0 win 1000 <mss 1000,wscale 200>\n"
                                                     "> S. 0:0 ack 1 <wscale 0>\n"
                                                     "< . 1:1 ack 1 win 1\n"
                                                     "write 1000\n"
                                                     "> P. 1:1001\n"},
};

static const struct tcp_script timeouts[] = {
    {"RFC 6298 s.5: repeated after the RTO, doubling, then given up (RFC 1122 s.4.2.3.5)",
     "limit data_retries 3\n" PLAIN "write 100\n"
     "> P. 1:101\n"
     "+0.299\n"
     "> none\n"
     "+0.002\n"
     "> P. 1:101\n"
     "+0.601\n"
     "> P. 1:101\n"
     "+1.201\n"
     "> P. 1:101\n"
     "+2.401\n"
     "> R. 101:101\n"
     "closed timeout\n"},
    {"RFC 6298 s.5.7 after the back-off a fresh measurement counts; Karn: not one of a repeated segment",
     PLAIN "write 100\n"
           "> P. 1:101\n"
           "+0.301\n"
           "> P. 1:101\n"
           "+0.5\n"
           "< . 1:1 ack 101 win 65535\n"
           "write 100\n"
           "> P. 101:201\n"
           "+0.299\n"
           "> none\n"
           "+0.002\n"
           "> P. 101:201\n"},
    {"RFC 7323 s.4.1: with timestamps a repeated segment measures the round trip, too",
     "< S 0:0 win 65535 <mss 1012,ts 1 0>\n"
     "> S. 0:0 ack 1 <ts 0 1>\n"
     "+0.1\n"
     "< . 1:1 ack 1 win 65535 <ts 2 0>\n"
     "write 100\n"
     "> P. 1:101 <ts 100 2>\n"
     "+0.3\n"
     "> P. 1:101 <ts 400 2>\n"
     "+0.5\n"
     "< . 1:1 ack 101 win 65535 <ts 3 400>\n" /* half a second: 150 ms smoothed, 137.5 its variation */
     "write 100\n"
     "> P. 101:201\n"
     "+0.699\n"
     "> none\n"
     "+0.002\n"
     "> P. 101:201\n"},
    {"RFC 5681 s.3.1: after a timeout one segment, then slow start",
     PLAIN "write 5000\n"
           "> . 1:1001\n> . 1001:2001\n> . 2001:3001\n"
           "> . 3001:4001\n> P. 4001:5001\n"
           "+0.301\n"
           "> P. 1:1001\n"
           "> none\n"
           "cwnd 1000\n"
           "< . 1:1 ack 1001 win 65535\n"
           "> P. 1001:2001\n"
           "counter timeouts 1\n"},
    {"a clock that jumps fires each deadline once", PLAIN "write 100\n"
                                                          "> P. 1:101\n"
                                                          "+0.301\n"
                                                          "> P. 1:101\n"
                                                          "< . 1:1 ack 101 win 65535\n"
                                                          "+100000\n"
                                                          "> none\n"
                                                          "open\n"},
    {"RFC 5927 s.6: an ICMP error for data is remembered as the reason and nothing else",
     "limit data_retries 1\n" PLAIN "write 100\n"
     "> P. 1:101\n"
     "unreachable 1\n"
     "open\n"
     "+0.301\n"
     "> P. 1:101\n"
     "+0.7\n"
     "> R. 101:101\n"
     "closed unreachable\n"},
    {"RFC 9293 s.3.8.4: keep-alives when idle, answered", "limit keepalive 100\n" PLAIN "+99\n"
                                                          "> none\n"
                                                          "+1.1\n"
                                                          "> . 0:0 ack 1\n"
                                                          "< . 1:1 ack 1 win 65535\n"
                                                          "+99\n"
                                                          "> none\n"
                                                          "+1.1\n"
                                                          "> . 0:0 ack 1\n"},
    {"five without an answer end it", "limit keepalive 100\n" PLAIN "+100.2\n"
                                      "> . 0:0\n"
                                      "+30\n> . 0:0\n+30\n> . 0:0\n+30\n> . 0:0\n+30\n> . 0:0\n"
                                      "open\n"
                                      "+30\n"
                                      "> R. 1:1\n"
                                      "closed timeout\n"
                                      "counter keepalives 5\n"},
    {"RFC 1122 s.4.2.3.6: a keep-alive of the peer is answered, with and without its byte",
     PLAIN "< . 0:0 ack 1 win 65535\n"
           "> . 1:1 ack 1\n"
           "+1\n"
           "< . 0:1 ack 1 win 65535\n"
           "> . 1:1 ack 1\n"
           "read 0\n"},
};

static const struct tcp_script path[] = {
    {"RFC 1191 s.6.4: too big: what is in flight is cut and sent again", "limit mss 1460\n"
                                                                         "< S 0:0 win 65535 <mss 1460>\n"
                                                                         "> S. 0:0 ack 1\n"
                                                                         "< . 1:1 ack 1 win 65535\n"
                                                                         "write 2920\n"
                                                                         "> . 1:1461\n> P. 1461:2921\n"
                                                                         "unreachable 1 1040\n"
                                                                         "> P. 1:1001\n> P. 1001:1461\n"
                                                                         "> P. 1461:2461\n> P. 2461:2921\n"
                                                                         "mss 1000\n"
                                                                         "< . 1:1 ack 2921 win 65535\n"
                                                                         "write 1000\n"
                                                                         "> P. 2921:3921\n"},
    {"RFC 5927 s.7: too big for nothing in flight, or larger than now, or too small to be true, is ignored",
     PLAIN "unreachable 1 600\n"
           "mss 1000\n"
           "write 500\n"
           "> P. 1:501\n"
           "unreachable 1 1500\n"
           "unreachable 1 551\n"
           "unreachable 501 600\n"
           "mss 1000\n"
           "unreachable 500 600\n"
           "mss 560\n"},
    {"RFC 8200 s.5: below 1280 over IPv6 it is ignored", "ipv6\n"
                                                         "limit mss 1440\n"
                                                         "< S 0:0 win 65535 <mss 1440>\n"
                                                         "> S. 0:0 ack 1\n"
                                                         "< . 1:1 ack 1 win 65535\n"
                                                         "write 100\n"
                                                         "> P. 1:101\n"
                                                         "unreachable 1 1279\n"
                                                         "mss 1440\n"
                                                         "unreachable 1 1280\n"
                                                         "mss 1220\n"},
    {"RFC 2923 s.2.1: a black hole: after three timeouts smaller segments are tried",
     "< S 0:0 win 65535 <mss 1460>\n"
     "> S. 0:0 ack 1\n"
     "+0.1\n"
     "< . 1:1 ack 1 win 65535\n"
     "write 1460\n"
     "> P. 1:1461\n"
     "+0.301\n> P. 1:1461\n"
     "+0.601\n> P. 1:1461\n"
     "+1.201\n> P. 1:731\n"
     "mss 730\n"
     "< . 1:1 ack 731 win 65535\n"
     "> P. 731:1461\n"},
};

#define RUN(table) tcp_script_run_all(table, sizeof(table) / sizeof((table)[0]))

static void run_segments(void)
{
    RUN(segments);
}

static void run_windows(void)
{
    RUN(windows);
}

static void run_timeouts(void)
{
    RUN(timeouts);
}

static void run_path(void)
{
    RUN(path);
}

int main(void)
{
    static const struct unit_test tests[] = {{"segments", run_segments},
                                             {"windows", run_windows},
                                             {"timeouts and keep-alives", run_timeouts},
                                             {"path MTU", run_path}};
    return unit_run("tcp_send", tests, sizeof(tests) / sizeof(tests[0]));
}
