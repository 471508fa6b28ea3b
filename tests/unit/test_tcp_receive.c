/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What arrives: order, overlap, window, acknowledgements, old duplicates, readers that take less. */
#include "tests/unit/runner.h"
#include "tests/unit/tcp_script.h"

/* Neither timestamps nor SACK nor scaling. */
#define PLAIN                                                                                                \
    "< S 0:0 win 65535 <mss 1000>\n"                                                                         \
    "> S. 0:0 ack 1\n"                                                                                       \
    "< . 1:1 ack 1 win 65535\n"
#define SACK                                                                                                 \
    "< S 0:0 win 65535 <mss 1000,sackOK>\n"                                                                  \
    "> S. 0:0 ack 1\n"                                                                                       \
    "< . 1:1 ack 1 win 65535\n"
#define STAMPS                                                                                               \
    "< S 0:0 win 65535 <mss 1000,sackOK,ts 1000 0>\n"                                                        \
    "> S. 0:0 ack 1 <ts 0 1000>\n"                                                                           \
    "< . 1:1 ack 1 win 65535 <ts 1000 0>\n"
/* The first eight segments are acknowledged at once. */
#define EIGHT                                                                                                \
    "<< P. 1:2 ack 1\n"                                                                                      \
    "<< P. 2:3 ack 1\n"                                                                                      \
    "<< P. 3:4 ack 1\n"                                                                                      \
    "<< P. 4:5 ack 1\n"                                                                                      \
    "<< P. 5:6 ack 1\n"                                                                                      \
    "<< P. 6:7 ack 1\n"                                                                                      \
    "<< P. 7:8 ack 1\n"                                                                                      \
    "<< P. 8:9 ack 1\n"                                                                                      \
    "> . 1:1 ack 9\n"

static const struct tcp_script order[] = {
    {"in order, delivered at once", PLAIN "< P. 1:101 ack 1\n"
                                          "read 100\n"
                                          "> . 1:1 ack 101 win 65435\n" /* not a new edge for a trifle */
                                          "counter bytes-in 100\n"},
    {"a gap holds back; filling it delivers all (RFC 5681 s.4.2: acknowledged at once each time)",
     PLAIN "< P. 101:201 ack 1\n"
           "read 0\n"
           "> . 1:1 ack 1\n"
           "< P. 301:401 ack 1\n"
           "> . 1:1 ack 1\n"
           "< P. 1:101 ack 1\n"
           "read 200\n"
           "> . 1:1 ack 201\n"
           "< P. 201:301 ack 1\n"
           "read 400\n"
           "> . 1:1 ack 401\n"
           "counter out-of-order 2\n"},
    {"RFC 2018 s.4: blocks, the most recent first", SACK "< P. 101:201 ack 1\n"
                                                         "> . 1:1 ack 1 <sack 101:201>\n"
                                                         "< P. 301:401 ack 1\n"
                                                         "> . 1:1 ack 1 <sack 301:401 101:201>\n"
                                                         "< P. 501:601 ack 1\n"
                                                         "> . 1:1 ack 1 <sack 501:601 301:401 101:201>\n"
                                                         "< P. 201:211 ack 1\n"
                                                         "> . 1:1 ack 1 <sack 101:211 501:601 301:401>\n"
                                                         "< P. 1:101 ack 1\n"
                                                         "> . 1:1 ack 211 <sack 501:601 301:401>\n"
                                                         "read 210\n"},
    {"RFC 2018 s.3: with timestamps there is room for three blocks",
     STAMPS "<< P. 101:201 ack 1 <ts 1001 0>\n"
            "<< P. 301:401 ack 1 <ts 1001 0>\n"
            "<< P. 501:601 ack 1 <ts 1001 0>\n"
            "< P. 701:801 ack 1 <ts 1001 0>\n"
            "> . 1:1 ack 1 <ts 0 1000,sack 101:201>\n"
            "> . 1:1 ack 1 <ts 0 1000,sack 301:401 101:201>\n"
            "> . 1:1 ack 1 <ts 0 1000,sack 501:601 301:401 101:201>\n"
            "> . 1:1 ack 1 <ts 0 1000,sack 701:801 501:601 301:401>\n"
            "> none\n"},
    {"RFC 2883 s.4: a segment twice is reported by D-SACK", SACK "< P. 1:101 ack 1\n"
                                                                 "> . 1:1 ack 101\n"
                                                                 "< P. 1:101 ack 1\n"
                                                                 "> . 1:1 ack 101 <sack 1:101>\n"
                                                                 "counter duplicate 1\n"
                                                                 "< P. 51:151 ack 1\n"
                                                                 "> . 1:1 ack 151 <sack 51:101>\n"
                                                                 "read 150\n"},
    {"without SACK a duplicate is only acknowledged (RFC 9293 s.3.10.7.4)", PLAIN "< P. 1:101 ack 1\n"
                                                                                  "> . 1:1 ack 101\n"
                                                                                  "< P. 1:101 ack 1\n"
                                                                                  "> . 1:1 ack 101 <none>\n"},
    {"the first copy wins among what waits, and the conflict is counted", PLAIN "< P. 101:201 ack 1\n"
                                                                                "> . 1:1 ack 1\n"
                                                                                "< P. 91:251 ack 1 bad\n"
                                                                                "> . 1:1 ack 1\n"
                                                                                "counter overlap 1\n"
                                                                                "counter overlap-conflict 1\n"
                                                                                "take-upto 50\n"
                                                                                "< P. 1:91 ack 1\n"
                                                                                "read 50\n"
                                                                                "> . 1:1 ack 251\n"},
    {"the first copy wins against a later segment in order", PLAIN "< P. 11:21 ack 1\n"
                                                                   "> . 1:1 ack 1\n"
                                                                   "take 20\n"
                                                                   "< P. 1:11 ack 1\n"
                                                                   "read 20\n"
                                                                   "> . 1:1 ack 21\n"
                                                                   "< P. 1:21 ack 1 bad\n"
                                                                   "read 20\n"
                                                                   "> . 1:1 ack 21\n"},
    {"a segment in order that covers what waits gives way to it", PLAIN "< P. 11:21 ack 1\n"
                                                                        "> . 1:1 ack 1\n"
                                                                        "< P. 1:31 ack 1\n"
                                                                        "read 30\n"
                                                                        "> . 1:1 ack 31\n"
                                                                        "counter overlap 1\n"
                                                                        "counter overlap-conflict 0\n"},
    {"single bytes with gaps are bounded in memory", "limit receive 8192\n"
                                                     "limit chunks 64\n" PLAIN "<< P. 11:12 ack 1\n"
                                                     "<< P. 21:22 ack 1\n"
                                                     "<< P. 31:32 ack 1\n"
                                                     "<< P. 41:42 ack 1\n"
                                                     "<< P. 51:52 ack 1\n"
                                                     "<< P. 61:62 ack 1\n"
                                                     "<< P. 71:72 ack 1\n"
                                                     "<< P. 81:82 ack 1\n"
                                                     "<< P. 91:92 ack 1\n"
                                                     "<< P. 101:102 ack 1\n"
                                                     "<< P. 111:112 ack 1\n"
                                                     "<< P. 121:122 ack 1\n"
                                                     "<< P. 131:132 ack 1\n"
                                                     "<< P. 141:142 ack 1\n"
                                                     "<< P. 151:152 ack 1\n"
                                                     "<< P. 161:162 ack 1\n"
                                                     "counter no-buffer 0\n"
                                                     "<< P. 171:172 ack 1\n"
                                                     "counter no-buffer 1\n"
                                                     "> . 1:1 ack 1\n"
                                                     "> . 1:1 ack 1\n"
                                                     "> . 1:1 ack 1\n"
                                                     "> . 1:1 ack 1\n"
                                                     "> . 1:1 ack 1\n"
                                                     "> . 1:1 ack 1\n"
                                                     "> . 1:1 ack 1\n"
                                                     "> . 1:1 ack 1\n"
                                                     "> . 1:1 ack 1\n"
                                                     "> . 1:1 ack 1\n"
                                                     "> . 1:1 ack 1\n"
                                                     "> . 1:1 ack 1\n"
                                                     "> . 1:1 ack 1\n"
                                                     "> . 1:1 ack 1\n"
                                                     "> . 1:1 ack 1\n"
                                                     "> . 1:1 ack 1\n"
                                                     "> . 1:1 ack 1\n"
                                                     "> none\n"},
    {"RFC 5681 s.4.2: each segment out of order gets an acknowledgement of its own, also within a burst",
     PLAIN "<< P. 101:201 ack 1\n"
           "<< P. 201:301 ack 1\n"
           "<< P. 301:401 ack 1\n"
           "flush\n"
           "> . 1:1 ack 1\n"
           "> . 1:1 ack 1\n"
           "> . 1:1 ack 1\n"
           "> none\n"},
    {"RFC 5681 s.4.2: where segments get lost a burst gets one for every second full segment",
     PLAIN EIGHT "< P. 1009:2009 ack 1\n" /* a gap */
                 "> . 1:1 ack 9\n"
                 "< P. 9:1009 ack 1\n"
                 "> . 1:1 ack 2009\n"
                 "<< P. 2009:3009 ack 1\n"
                 "<< P. 3009:4009 ack 1\n"
                 "<< P. 4009:5009 ack 1\n"
                 "<< P. 5009:6009 ack 1\n"
                 "flush\n"
                 "> . 1:1 ack 4009\n"
                 "> . 1:1 ack 6009\n"
                 "> none\n"},
    {"urgent data is ordinary data (RFC 9293 s.3.8.5, RFC 6093)", PLAIN "< PU. 1:11 ack 1\n"
                                                                        "read 10\n"
                                                                        "> . 1:1 ack 11\n"},
};

static const struct tcp_script window[] = {
    {"RFC 9293 s.3.8.6: what is beyond the window is trimmed", "limit receive 1000\n" PLAIN "take none\n"
                                                               "< P. 1:1201 ack 1\n"
                                                               "counter out-of-window 1\n"
                                                               "kept 1000\n"
                                                               "> . 1:1 ack 1001 win 0\n"},
    {"a segment wholly outside is acknowledged and dropped",
     "limit receive 1000\n" PLAIN "< P. 1101:1201 ack 1\n"
     "> . 1:1 ack 1 win 1000\n"
     "counter out-of-window 1\n"
     "read 0\n"},
    {"RFC 9293 s.3.8.6.1: a probe of the closed window is answered, its ACK is used",
     "limit receive 1000\n" PLAIN "take none\n"
     "< P. 1:1001 ack 1\n"
     "> . 1:1 ack 1001 win 0\n"
     "write 10\n"
     "> P. 1:11 ack 1001 win 0\n"
     "< P. 1001:1002 ack 11\n"
     "> . 11:11 ack 1001 win 0\n"
     "room 262144\n"},
    {"the window opens when the reader resumes (RFC 9293 s.3.8.6.2.2)",
     "limit receive 2000\n" PLAIN "take none\n"
     "< P. 1:2001 ack 1\n"
     "> . 1:1 ack 2001 win 0\n"
     "take all\n"
     "resume\n"
     "read 2000\n"
     "> . 1:1 ack 2001 win 2000\n"},
    {"it does not open for a trifle", "limit receive 2000\n" PLAIN "take none\n"
                                      "< P. 1:2001 ack 1\n"
                                      "> . 1:1 ack 2001 win 0\n"
                                      "take 1\n"
                                      "resume\n"
                                      "read 1\n"
                                      "> none\n"},
    {"the right edge never moves left while the reader pauses", "limit receive 2000\n" PLAIN "take none\n"
                                                                "< P. 1:101 ack 1\n"
                                                                "> . 1:1 ack 101 win 1900\n"
                                                                "< P. 101:201 ack 1\n"
                                                                "> . 1:1 ack 201 win 1800\n"},
    {"FIN is taken at a closed window", "limit receive 100\n" PLAIN "take none\n"
                                        "< P. 1:101 ack 1\n"
                                        "> . 1:1 ack 101 win 0\n"
                                        "< F. 101:101 ack 1\n"
                                        "> . 1:1 ack 102 win 0\n"
                                        "not-ended\n"
                                        "take all\n"
                                        "resume\n"
                                        "ended\n"
                                        "> . 1:1 ack 102\n"},
    {"RFC 7323 s.2.3: a large buffer is offered scaled", "limit receive 262144\n"
                                                         "< S 0:0 win 65535 <mss 1000,wscale 7>\n"
                                                         "> S. 0:0 ack 1 win 65535 <wscale 3>\n"
                                                         "< . 1:1 ack 1 win 1000\n"
                                                         "< P. 1:101 ack 1 win 1000\n"
                                                         "> . 1:1 ack 101 win 32768\n"},
    {"a sender that fills the window within two round trips gets twice as much, up to the limit",
     "limit receive 4000\n"
     "limit receive_max 10000\n"
     "< S 0:0 win 65535 <mss 1000>\n"
     "> S. 0:0 ack 1 win 4000\n"
     "+0.1\n"
     "< . 1:1 ack 1 win 65535\n"
     "<< P. 1:2001 ack 1\n"
     "+0.1\n"
     "< P. 2001:4001 ack 1\n"
     "> . 1:1 ack 2001 win 4000\n"
     "> . 1:1 ack 4001 win 8000\n"
     "+0.2\n"
     "< P. 4001:12001 ack 1\n"
     "> . 1:1 ack 12001 win 10000\n"
     "< P. 12001:22001 ack 1\n"
     "> . 1:1 ack 22001 win 10000\n"},
    {"one that takes longer is not held back by it, and one that is read slowly would only fill it",
     "limit receive 4000\n"
     "limit receive_max 16000\n"
     "< S 0:0 win 65535 <mss 1000>\n"
     "> S. 0:0 ack 1 win 4000\n"
     "+0.1\n"
     "< . 1:1 ack 1 win 65535\n"
     "< P. 1:3001 ack 1\n"
     "> . 1:1 ack 3001\n"
     "+0.3\n"
     "< P. 3001:4001 ack 1\n"
     "+0.1\n"
     "< P. 4001:4002 ack 1\n"
     "> . 1:1 ack 4001 win 3000\n"
     "> . 1:1 ack 4002\n"
     "take none\n"
     "< P. 4002:7001 ack 1\n"
     "> . 1:1 ack 7001 win 0\n"
     "take all\n"
     "resume\n"
     "read 7000\n"
     "> . 1:1 ack 7001 win 4000\n"},
    {"no grown window takes more than an eighth of what is free",
     "limit receive 4000\n"
     "limit receive_max 1000000\n"
     "limit chunks 40\n"
     "< S 0:0 win 65535 <mss 1000,wscale 0>\n"
     "> S. 0:0 ack 1 win 4000\n"
     "+0.1\n"
     "< . 1:1 ack 1 win 65535\n"
     "< P. 1:4001 ack 1\n"
     "> . 1:1 ack 4001 win 500\n" /* scaled by 16: 8,000 of them */
     "< P. 4001:12001 ack 1\n"
     "> . 1:1 ack 12001 win 587\n" /* 37 free beyond the reserve, an eighth of that: 9,398 bytes, and not
                                      16,000 */
     "< P. 12001:20001 ack 1\n"
     "> . 1:1 ack 20001 win 587\n"},
    {"RFC 7323 s.2.4: a window rounded down to its scale does not move the edge left, however small the "
     "segments",
     "limit receive 262144\n"
     "limit receive_max 6000000\n"
     "< S 0:0 win 65535 <mss 64,wscale 0>\n"
     "> S. 0:0 ack 1\n"
     "< . 1:1 ack 1 win 65535\n"
     "take none\n"
     "<< P. 1:41 ack 1\n"
     "< P. 41:81 ack 1\n"
     "> . 1:1 ack 81 win 2047\n" /* of 128 bytes: to 262097 */
     "take-upto 20\n"
     "<< P. 81:121 ack 1\n"
     "< P. 121:161 ack 1\n"
     "> . 1:1 ack 161 win 2047\n"}, /* 2046 would be to 262049 */
    {"under pressure the window stops growing and gaps are not kept", "limit chunks 8\n" PLAIN "take none\n"
                                                                      "< P. 1:2001 ack 1\n"
                                                                      "> . 1:1 ack 2001\n"
                                                                      "< P. 2001:14001 ack 1\n"
                                                                      "> . 1:1 ack 14001\n"
                                                                      "< P. 20000:20001 ack 1\n"
                                                                      "> . 1:1 ack 14001\n"
                                                                      "counter no-buffer 1\n"
                                                                      "take all\n"
                                                                      "resume\n"
                                                                      "read 14000\n"},
};

static const struct tcp_script acknowledgement[] = {
    {"RFC 9293 s.3.8.6.3: at least every second full segment at once, else after 40 ms",
     PLAIN EIGHT "< P. 9:1009 ack 1\n" /* one full segment: waits */
                 "> none\n"
                 "< P. 1009:2009 ack 1\n"
                 "> . 1:1 ack 2009\n"
                 "< P. 2009:2109 ack 1\n"
                 "> none\n"
                 "+0.039\n"
                 "> none\n"
                 "+0.001\n"
                 "> . 1:1 ack 2109\n"},
    {"an answer carries it", PLAIN EIGHT "< P. 9:109 ack 1\n"
                                         "write 50\n"
                                         "> P. 1:51 ack 109\n"
                                         "+0.1\n"
                                         "> none\n"},
    {"a burst costs one", PLAIN EIGHT "<< P. 9:1009 ack 1\n"
                                      "<< P. 1009:2009 ack 1\n"
                                      "<< P. 2009:3009 ack 1\n"
                                      "<< P. 3009:4009 ack 1\n"
                                      "> . 1:1 ack 4009\n"},
    {"a peer that waits for each one soon gets them at once", PLAIN EIGHT "< P. 9:109 ack 1\n"
                                                                          "+0.04\n"
                                                                          "> . 1:1 ack 109\n"
                                                                          "< P. 109:209 ack 1\n"
                                                                          "+0.04\n"
                                                                          "> . 1:1 ack 209\n"
                                                                          "< P. 209:309 ack 1\n"
                                                                          "+0.04\n"
                                                                          "> . 1:1 ack 309\n"
                                                                          "< P. 309:409 ack 1\n"
                                                                          "> . 1:1 ack 409\n"},
};

static const struct tcp_script timestamps[] = {
    {"RFC 7323 s.5.3 R1: an older timestamp is an old duplicate", STAMPS "< P. 1:101 ack 1 <ts 1010 0>\n"
                                                                         "> . 1:1 ack 101 <ts 0 1010>\n"
                                                                         "< P. 101:201 ack 1 <ts 1009 0>\n"
                                                                         "> . 1:1 ack 101 <ts 0 1010>\n"
                                                                         "read 100\n"
                                                                         "counter paws 1\n"
                                                                         "< P. 101:201 ack 1 <ts 1010 0>\n"
                                                                         "read 200\n"
                                                                         "> . 1:1 ack 201\n"},
    {"an acknowledgement that another has overtaken is dropped without a word",
     STAMPS "< P. 1:101 ack 1 <ts 1010 0>\n"
            "> . 1:1 ack 101 <ts 0 1010>\n"
            "< . 101:101 ack 1 <ts 1009 0>\n"
            "> none\n"
            "counter paws 1\n"
            "< . 90:90 ack 1 <ts 1009 0>\n"
            "> . 1:1 ack 101 <ts 0 1010>\n"},
    {"RFC 7323 s.3.2: a segment without one is dropped once negotiated", STAMPS "< P. 1:101 ack 1\n"
                                                                                "> none\n"
                                                                                "read 0\n"
                                                                                "counter paws 1\n"},
    {"RFC 7323 s.5.5: after 24 days without a segment any timestamp will do",
     STAMPS "< P. 1:101 ack 1 <ts 1010 0>\n"
            "> . 1:1 ack 101\n"
            "+2080000\n"
            "< P. 101:201 ack 1 <ts 5 0>\n"
            "read 200\n"
            "> . 1:1 ack 201 <ts * 5>\n"},
    {"RFC 7323 s.4.3: a segment that begins after the last acknowledgement does not move TS.Recent",
     STAMPS "< P. 101:201 ack 1 <ts 1050 0>\n"
            "> . 1:1 ack 1 <ts 0 1000,sack 101:201>\n"
            "< P. 1:101 ack 1 <ts 1040 0>\n"
            "> . 1:1 ack 201 <ts 0 1040>\n"},
    {"a RST needs no timestamp (RFC 7323 s.3.2)", STAMPS "< R 1:1\n"
                                                         "closed reset\n"},
    {"timestamps wrap around", "< S 0:0 win 65535 <mss 1000,ts 4294967290 0>\n"
                               "> S. 0:0 ack 1\n"
                               "< . 1:1 ack 1 <ts 4294967295 0>\n"
                               "< P. 1:101 ack 1 <ts 3 0>\n"
                               "read 100\n"
                               "> . 1:1 ack 101 <ts 0 3>\n"},
};

static const struct tcp_script readers[] = {
    {"what is not taken is kept, offered again with more and on resume (stream.h)",
     PLAIN "take none\n"
           "< P. 1:101 ack 1\n"
           "> . 1:1 ack 101\n"
           "kept 100\n"
           "take half\n"
           "< P. 101:151 ack 1\n"
           "> . 1:1 ack 151\n"
           "read 75\n"
           "take all\n"
           "resume\n"
           "read 150\n"
           "kept 0\n"},
    {"a slice grows over chunks until the reader can go on", PLAIN "take none\n"
                                                                   "< P. 1:2001 ack 1\n"
                                                                   "> . 1:1 ack 2001\n"
                                                                   "< P. 2001:4001 ack 1\n"
                                                                   "> . 1:1 ack 4001\n"
                                                                   "take 1990\n"
                                                                   "resume\n"
                                                                   "read 3980\n" /* 1990 twice, 20 left */
                                                                   "kept 20\n"
                                                                   "take all\n"
                                                                   "resume\n"
                                                                   "read 4000\n"},
    {"abort from inside data", PLAIN "inside abort\n"
                                     "< P. 1:101 ack 1\n"
                                     "> R. 1:1 ack 1\n"
                                     "no-connection\n"},
    {"abort from inside data while much waits", PLAIN "take none\n"
                                                      "< P. 1:5001 ack 1\n"
                                                      "> . 1:1 ack 5001\n"
                                                      "take all\n"
                                                      "inside abort\n"
                                                      "resume\n"
                                                      "> R. 1:1 ack 5001\n"
                                                      "no-connection\n"},
    {"finish from inside data", PLAIN "inside finish\n"
                                      "< P. 1:101 ack 1\n"
                                      "> F. 1:1 ack 101\n"
                                      "state FIN-WAIT-1\n"},
    {"write from inside data: the answer carries the acknowledgement", PLAIN "inside write 10\n"
                                                                             "< P. 1:101 ack 1\n"
                                                                             "> P. 1:11 ack 101\n"},
    {"resume from inside data: offered again at once", PLAIN "take half\n"
                                                             "inside resume\n"
                                                             "< P. 1:101 ack 1\n"
                                                             "read 75\n"
                                                             "kept 25\n"
                                                             "> . 1:1 ack 101\n"},
};

#define RUN(table) tcp_script_run_all(table, sizeof(table) / sizeof((table)[0]))

static void run_order(void)
{
    RUN(order);
}

static void run_window(void)
{
    RUN(window);
}

static void run_acknowledgement(void)
{
    RUN(acknowledgement);
}

static void run_timestamps(void)
{
    RUN(timestamps);
}

static void run_readers(void)
{
    RUN(readers);
}

int main(void)
{
    static const struct unit_test tests[] = {{"order and overlap", run_order},
                                             {"window", run_window},
                                             {"acknowledgement", run_acknowledgement},
                                             {"timestamps", run_timestamps},
                                             {"readers", run_readers}};
    return unit_run("tcp_receive", tests, sizeof(tests) / sizeof(tests[0]));
}
