/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ending: in order from either side and from both, half-closed, orphaned, TIME-WAIT and its reuse, resets. */
#include "tests/unit/runner.h"
#include "tests/unit/tcp_script.h"

#define PLAIN                                                                                                \
    "< S 0:0 win 65535 <mss 1000>\n"                                                                         \
    "> S. 0:0 ack 1\n"                                                                                       \
    "< . 1:1 ack 1 win 65535\n"
#define STAMPS                                                                                               \
    "< S 0:0 win 65535 <mss 1000,sackOK,ts 1000 0>\n"                                                        \
    "> S. 0:0 ack 1 <ts 0 1000>\n"                                                                           \
    "< . 1:1 ack 1 win 65535 <ts 1000 0>\n"

static const struct tcp_script in_order[] = {
    {"RFC 9293 s.3.6 case 1: we close first, TIME-WAIT is ours",
     PLAIN "finish\n"
           "> F. 1:1 ack 1\n"
           "state FIN-WAIT-1\n"
           "< . 1:1 ack 2 win 65535\n"
           "state FIN-WAIT-2\n"
           "< F. 1:1 ack 2 win 65535\n"
           "> . 2:2 ack 2\n"
           "ended\n"
           "closed done\n"
           "+59\n"
           "< F. 1:1 ack 2 win 65535\n" /* again */
           "> . 2:2 ack 2\n"
           "+59\n"
           "+2\n"
           "no-connection\n"},
    {"FIN with the acknowledgement of ours", PLAIN "finish\n"
                                                   "> F. 1:1 ack 1\n"
                                                   "< F. 1:1 ack 2 win 65535\n"
                                                   "> . 2:2 ack 2\n"
                                                   "closed done\n"},
    {"RFC 9293 s.3.6 case 2: the peer closes first, nothing remains", PLAIN "< F. 1:1 ack 1 win 65535\n"
                                                                            "> . 1:1 ack 2\n"
                                                                            "ended\n"
                                                                            "state CLOSE-WAIT\n"
                                                                            "finish\n"
                                                                            "> F. 1:1 ack 2\n"
                                                                            "state LAST-ACK\n"
                                                                            "< . 2:2 ack 2 win 65535\n"
                                                                            "closed done\n"
                                                                            "no-connection\n"},
    {"RFC 9293 s.3.6 case 3: both at once", PLAIN "finish\n"
                                                  "> F. 1:1 ack 1\n"
                                                  "< F. 1:1 ack 1 win 65535\n"
                                                  "> . 2:2 ack 2\n"
                                                  "ended\n"
                                                  "state CLOSING\n"
                                                  "< . 2:2 ack 2 win 65535\n"
                                                  "closed done\n"
                                                  "+61\n"
                                                  "no-connection\n"},
    {"half-closed by the peer: we may go on sending", PLAIN "< F. 1:1 ack 1 win 65535\n"
                                                            "> . 1:1 ack 2\n"
                                                            "write 500\n"
                                                            "> P. 1:501 ack 2\n"
                                                            "< . 2:2 ack 501 win 65535\n"
                                                            "write 10\n"
                                                            "finish\n"
                                                            "> FP. 501:511 ack 2\n"
                                                            "< . 2:2 ack 512 win 65535\n"
                                                            "closed done\n"},
    {"half-closed by us: we may go on receiving", PLAIN "finish\n"
                                                        "> F. 1:1 ack 1\n"
                                                        "< . 1:1 ack 2 win 65535\n"
                                                        "< P. 1:101 ack 2 win 65535\n"
                                                        "read 100\n"
                                                        "> . 2:2 ack 101\n"
                                                        "< FP. 101:151 ack 2 win 65535\n"
                                                        "read 150\n"
                                                        "ended\n"
                                                        "> . 2:2 ack 152\n"
                                                        "closed done\n"},
    {"FIN before the data in front of it", PLAIN "< F. 101:101 ack 1 win 65535\n"
                                                 "not-ended\n"
                                                 "> . 1:1 ack 1\n"
                                                 "< P. 1:101 ack 1 win 65535\n"
                                                 "read 100\n"
                                                 "ended\n"
                                                 "> . 1:1 ack 102\n"},
    {"data beyond the FIN is nothing", PLAIN "< FP. 11:21 ack 1 win 65535\n"
                                             "> . 1:1 ack 1\n"
                                             "< P. 21:31 ack 1 win 65535\n"
                                             "< P. 1:41 ack 1 win 65535\n"
                                             "read 20\n"
                                             "ended\n"
                                             "> . 1:1 ack 22\n"
                                             "< P. 22:32 ack 1 win 65535\n"
                                             "read 20\n"},
    {"a FIN twice is acknowledged twice and told once", PLAIN "< F. 1:1 ack 1 win 65535\n"
                                                              "> . 1:1 ack 2\n"
                                                              "< F. 1:1 ack 1 win 65535\n"
                                                              "> . 1:1 ack 2\n"
                                                              "ended\n"},
    {"the FIN waits for what is queued and for the window", "< S 0:0 win 1000 <mss 1000>\n"
                                                            "> S. 0:0 ack 1\n"
                                                            "< . 1:1 ack 1 win 1000\n"
                                                            "write 1500\n"
                                                            "finish\n"
                                                            "> . 1:1001\n"
                                                            "> none\n"
                                                            "< . 1:1 ack 1001 win 1000\n"
                                                            "> FP. 1001:1501\n"
                                                            "< . 1:1 ack 1502 win 1000\n"
                                                            "state FIN-WAIT-2\n"},
    {"a lost FIN is sent again", PLAIN "finish\n"
                                       "> F. 1:1 ack 1\n"
                                       "+0.4\n"
                                       "> FP. 1:1 ack 1\n"
                                       "< . 1:1 ack 2 win 65535\n"
                                       "state FIN-WAIT-2\n"},
    {"after finish nothing more is taken", PLAIN "finish\n"
                                                 "room 0\n"
                                                 "> F. 1:1 ack 1\n"
                                                 "finish\n"
                                                 "> none\n"},
    {"the end waits for the reader, also through TIME-WAIT", PLAIN "take none\n"
                                                                   "< FP. 1:101 ack 1 win 65535\n"
                                                                   "> . 1:1 ack 102\n"
                                                                   "not-ended\n"
                                                                   "finish\n"
                                                                   "> F. 1:1 ack 102\n"
                                                                   "< . 102:102 ack 2 win 65535\n"
                                                                   "open\n"
                                                                   "+100\n"
                                                                   "open\n"
                                                                   "take all\n"
                                                                   "resume\n"
                                                                   "ended\n"
                                                                   "closed done\n"
                                                                   "no-connection\n"},
};

static const struct tcp_script orphans[] = {
    {"FIN-WAIT-2 without a word for the orphan time: reset", "limit orphan 30\n" PLAIN "finish\n"
                                                             "> F. 1:1 ack 1\n"
                                                             "< . 1:1 ack 2 win 65535\n"
                                                             "+29\n"
                                                             "open\n"
                                                             "+1.1\n"
                                                             "> R. 2:2 ack 1\n"
                                                             "closed timeout\n"},
    {"data renews its patience, a keep-alive does not", "limit orphan 30\n" PLAIN "finish\n"
                                                        "> F. 1:1 ack 1\n"
                                                        "< . 1:1 ack 2 win 65535\n"
                                                        "+20\n"
                                                        "< P. 1:101 ack 2 win 65535\n"
                                                        "> . 2:2 ack 101\n"
                                                        "+20\n"
                                                        "open\n"
                                                        "< . 100:100 ack 2 win 65535\n"
                                                        "> . 2:2 ack 101\n"
                                                        "+11\n"
                                                        "> R. 2:2 ack 101\n"
                                                        "closed timeout\n"},
    {"a finished connection whose peer closes its window does not stay (RFC 6429)",
     "limit orphan 30\n" PLAIN "write 100\n"
     "> P. 1:101\n"
     "< . 1:1 ack 101 win 0\n"
     "write 100\n"
     "finish\n"
     "+1\n"
     "> . 101:102\n"
     "< . 1:1 ack 101 win 0\n"
     "+29.5\n"
     "> P. 101:102\n> P. 101:102\n> P. 101:102\n> P. 101:102\n> P. 101:102\n> P. 101:102\n"
     "> R. 102:102\n"
     "closed timeout\n"},
};

static const struct tcp_script time_wait[] = {
    {"RFC 1337: a RST does not end TIME-WAIT", PLAIN "finish\n"
                                                     "> F. 1:1 ack 1\n"
                                                     "< F. 1:1 ack 2 win 65535\n"
                                                     "> . 2:2 ack 2\n"
                                                     "< R 2:2\n"
                                                     "< P. 1:11 ack 2 win 65535\n"
                                                     "> . 2:2 ack 2\n"},
    {"old data there is answered at most twice a second", PLAIN "finish\n"
                                                                "> F. 1:1 ack 1\n"
                                                                "< F. 1:1 ack 2 win 65535\n"
                                                                "> . 2:2 ack 2\n"
                                                                "< P. 1:11 ack 2 win 65535\n"
                                                                "> . 2:2 ack 2\n"
                                                                "< P. 1:11 ack 2 win 65535\n"
                                                                "> none\n"
                                                                "+0.5\n"
                                                                "< P. 1:11 ack 2 win 65535\n"
                                                                "> . 2:2 ack 2\n"},
    {"RFC 6191: a SYN with a later timestamp opens the flow anew, our number moves on",
     STAMPS "finish\n"
            "> F. 1:1 ack 1\n"
            "< F. 1:1 ack 2 win 65535 <ts 1001 0>\n"
            "> . 2:2 ack 2 <ts 0 1001>\n"
            "closed done\n"
            "+1\n"
            "peer-iss 77\n"
            "< S 0:0 win 65535 <mss 1000,sackOK,ts 2000 0>\n"
            "> S. 0:0 ack 1 <ts 1000 2000>\n"
            "< . 1:1 ack 1 win 65535 <ts 2001 1000>\n"
            "accepted 2\n"
            "state ESTABLISHED\n"},
    {"RFC 6191: not one with an older timestamp", STAMPS "finish\n"
                                                         "> F. 1:1 ack 1\n"
                                                         "< F. 1:1 ack 2 win 65535 <ts 1001 0>\n"
                                                         "> . 2:2 ack 2\n"
                                                         "+1\n"
                                                         "< S 5000:5000 win 65535 <mss 1000,ts 999 0>\n"
                                                         "> . 2:2 ack 2\n"
                                                         "accepted 1\n"},
    {"RFC 9293 s.3.6.1: without timestamps a higher number will do",
     PLAIN "finish\n"
           "> F. 1:1 ack 1\n"
           "< F. 1:1 ack 2 win 65535\n"
           "> . 2:2 ack 2\n"
           "+1\n"
           "< S 1:1 win 65535 <mss 1000>\n"
           "> . 2:2 ack 2\n"
           "+1\n"
           "< S 100:100 win 65535 <mss 1000>\n"
           "> S. 0:0 ack 101\n"
           "accepted 1\n"},
    {"RFC 6191 from our side: after a second, when there were timestamps",
     "connect\n"
     "> S 0:0\n"
     "< S. 0:0 ack 1 win 1000 <mss 1000,ts 50 0>\n"
     "> . 1:1 ack 1\n"
     "finish\n"
     "> F. 1:1 ack 1\n"
     "< F. 1:1 ack 2 win 1000 <ts 51 0>\n"
     "> . 2:2 ack 2\n"
     "closed done\n"
     "+1.1\n"
     "connect\n"
     "> S 0:0 <ts 1100 0>\n"},
    {"no TIME-WAIT when none is wanted", "limit time_wait 0\n" PLAIN "finish\n"
                                         "> F. 1:1 ack 1\n"
                                         "< F. 1:1 ack 2 win 65535\n"
                                         "> . 2:2 ack 2\n"
                                         "no-connection\n"},
};

static const struct tcp_script resets[] = {
    {"RFC 9293 s.3.10.5: abort", PLAIN "write 100\n"
                                       "abort\n"
                                       "> R. 1:1 ack 1\n"
                                       "no-connection\n"
                                       "< P. 1:11 ack 1\n" /* late */
                                       "> R 1:1\n"},
    {"RST from the peer", PLAIN "< R 1:1\n"
                                "closed reset\n"
                                "no-connection\n"
                                "> none\n"},
    {"RST instead of the last acknowledgement is the end all the same (RFC 9293 s.3.10.7.4, LAST-ACK)",
     PLAIN "< F. 1:1 ack 1 win 65535\n"
           "> . 1:1 ack 2\n"
           "finish\n"
           "> F. 1:1 ack 2\n"
           "< R 2:2\n"
           "closed done\n"},
};

#define RUN(table) tcp_script_run_all(table, sizeof(table) / sizeof((table)[0]))

static void run_in_order(void)
{
    RUN(in_order);
}

static void run_orphans(void)
{
    RUN(orphans);
}

static void run_time_wait(void)
{
    RUN(time_wait);
}

static void run_resets(void)
{
    RUN(resets);
}

int main(void)
{
    static const struct unit_test tests[] = {{"in order", run_in_order},
                                             {"orphans", run_orphans},
                                             {"TIME-WAIT", run_time_wait},
                                             {"resets", run_resets}};
    return unit_run("tcp_close", tests, sizeof(tests) / sizeof(tests[0]));
}
