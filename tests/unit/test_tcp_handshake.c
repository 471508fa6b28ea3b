/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening: passive, active, simultaneous, refused, repeated, with options and without, by cookie. */
#include "tests/unit/runner.h"
#include "tests/unit/tcp_script.h"

#define SYN_FULL "< S 0:0 win 65535 <mss 1460,sackOK,ts 100 0,wscale 7>\n"
#define SYN_PLAIN "< S 0:0 win 65535 <mss 1000>\n"

static const struct tcp_script passive[] = {
    {"RFC 9293 s.3.5 figure 6: passive open with every option",
     SYN_FULL "> S. 0:0 ack 1 win 65535 <mss 1460,sackOK,ts 0 100,wscale 0>\n"
              "+0.01\n"
              "< . 1:1 ack 1 win 512 <ts 110 0>\n"
              "accepted 1\n"
              "state ESTABLISHED\n"
              "write 100\n"
              "> P. 1:101 ack 1 <ts 10 110>\n"
              "< . 1:1 ack 101 win 512 <ts 120 10>\n"
              "> none\n"},
    {"RFC 7323 s.2.2, RFC 2018 s.2, RFC 7323 s.3.2: what the peer did not offer is not used",
     SYN_PLAIN "> S. 0:0 ack 1 win 65535 <mss 1460,nosack>\n"
               "< . 1:1 ack 1 win 1000\n"
               "state ESTABLISHED\n"
               "mss 1000\n"
               "write 1000\n"
               "> P. 1:1001 ack 1 <none>\n"},
    {"RFC 9293 MUST-15: no MSS option means 536 over IPv4", "< S 0:0 win 65535\n"
                                                            "> S. 0:0 ack 1\n"
                                                            "< . 1:1 ack 1 win 65535\n"
                                                            "mss 536\n"},
    {"RFC 9293 MUST-15: no MSS option means 1220 over IPv6", "ipv6\n"
                                                             "< S 0:0 win 65535\n"
                                                             "> S. 0:0 ack 1\n"
                                                             "< . 1:1 ack 1 win 65535\n"
                                                             "mss 1220\n"},
    {"a tiny MSS is raised to the floor (CVE-2019-11479)", "< S 0:0 win 65535 <mss 1>\n"
                                                           "> S. 0:0 ack 1\n"
                                                           "< . 1:1 ack 1 win 65535\n"
                                                           "mss 64\n"
                                                           "write 100\n"
                                                           "> . 1:65 ack 1\n"
                                                           "> P. 65:101 ack 1\n"},
    {"RFC 9293 MUST-16: the path's MSS bounds the peer's", "limit mss 1400\n"
                                                           "< S 0:0 win 65535 <mss 9000>\n"
                                                           "> S. 0:0 ack 1 <mss 1400>\n"
                                                           "< . 1:1 ack 1 win 65535\n"
                                                           "mss 1400\n"},
    {"RFC 6298 s.5.5: SYN-ACK is repeated with doubling intervals and given up",
     "limit syn_ack_retries 3\n" SYN_PLAIN "> S. 0:0 ack 1\n"
     "+1\n"
     "> S. 0:0 ack 1\n"
     "+1.9\n"
     "> none\n"
     "+0.1\n"
     "> S. 0:0 ack 1\n"
     "+4\n"
     "> S. 0:0 ack 1\n"
     "+8\n"
     "no-connection\n"
     "accepted 0\n"},
    {"no amplification: a SYN that nobody completes gets three answers of its own size (RFC 4987 s.2)",
     "< S 0:0 win 65535 <mss 1000>\n"
     "> S. 0:0 ack 1 <mss 1460>\n"
     "+1\n"
     "> S. 0:0 ack 1\n"
     "+2\n"
     "> S. 0:0 ack 1\n"
     "+4\n"
     "no-connection\n"
     "+100\n"
     "> none\n"},
    {"RFC 3168 s.6.1.1: an ECN-setup SYN gets an ordinary SYN-ACK, and marks are not answered",
     "< SEC 0:0 win 65535 <mss 1000>\n"
     "> S. 0:0 ack 1\n"
     "< . 1:1 ack 1 win 65535\n"
     "< PC. 1:11 ack 1\n"
     "read 10\n"
     "> . 1:1 ack 11\n"
     "write 10\n"
     "> P. 1:11 ack 11\n"
     "< E. 11:11 ack 11 win 65535\n"
     "write 10\n"
     "> P. 11:21 ack 11\n"},
    {"a repeated SYN gets its SYN-ACK again, the same one", SYN_PLAIN "> S. 0:0 ack 1\n"
                                                                      "+0.2\n" SYN_PLAIN "> S. 0:0 ack 1\n"
                                                                      "< . 1:1 ack 1 win 65535\n"
                                                                      "accepted 1\n"},
    {"RFC 9293 s.3.10.7.4: an ACK of something else in SYN-RECEIVED is answered RST",
     SYN_PLAIN "> S. 0:0 ack 1\n"
               "< . 1:1 ack 7 win 65535\n"
               "> R 7:7\n"
               "accepted 0\n"
               "< . 1:1 ack 1 win 65535\n"
               "accepted 1\n"},
    {"data with the handshake's ACK is delivered", SYN_PLAIN "> S. 0:0 ack 1\n"
                                                             "< P. 1:11 ack 1 win 65535\n"
                                                             "accepted 1\n"
                                                             "read 10\n"
                                                             "> . 1:1 ack 11\n"},
    {"data before the handshake's ACK waits for the sender", SYN_PLAIN "> S. 0:0 ack 1\n"
                                                                       "< P. 11:21 ack 1 win 65535\n"
                                                                       "accepted 1\n"
                                                                       "read 0\n"
                                                                       "> . 1:1 ack 1\n"
                                                                       "< P. 1:11 ack 1 win 65535\n"
                                                                       "read 20\n"
                                                                       "> . 1:1 ack 21\n"},
    {"RST in SYN-RECEIVED returns to nothing (RFC 9293 s.3.10.7.4)", SYN_PLAIN "> S. 0:0 ack 1\n"
                                                                               "< R 1:1\n"
                                                                               "no-connection\n"
                                                                               "accepted 0\n"},
    {"a RST with another number in SYN-RECEIVED does not (RFC 5961 s.3.2)", SYN_PLAIN "> S. 0:0 ack 1\n"
                                                                                      "< R 2:2\n"
                                                                                      "> . 1:1 ack 1\n"
                                                                                      "< . 1:1 ack 1 win 9\n"
                                                                                      "accepted 1\n"},
    {"a SYN that is not admitted: silence", "admit no\n" SYN_PLAIN "> none\n"
                                            "counter not-admitted 1\n"
                                            "no-connection\n"},
    {"a SYN that is not admitted: RST (RFC 9293 s.3.10.7.1)", "admit reset\n" SYN_PLAIN "> R. 0:0 ack 1\n"},
    {"a SYN with FIN is dropped", "< SF 0:0 win 65535\n"
                                  "> none\n"
                                  "counter bad-state 1\n"},
    {"data in a SYN is not acknowledged and comes again", "< S 0:10 win 65535 <mss 1000>\n"
                                                          "> S. 0:0 ack 1\n"
                                                          "< P. 1:11 ack 1 win 65535\n"
                                                          "read 10\n"
                                                          "> . 1:1 ack 11\n"},
};

static const struct tcp_script active[] = {
    {"RFC 9293 s.3.5: active open with every option",
     "connect\n"
     "> S 0:0 win 65535 <mss 1460,sackOK,ts 0 0,wscale 0>\n"
     "+0.05\n"
     "< S. 0:0 ack 1 win 65535 <mss 1400,sackOK,ts 500 0,wscale 2>\n"
     "> . 1:1 ack 1 <ts 50 500>\n"
     "opened\n"
     "mss 1400\n"
     "state ESTABLISHED\n"},
    {"RFC 6298 s.2.1: SYN is repeated after 1, 2, 4 s and given up", "limit syn_retries 2\n"
                                                                     "connect\n"
                                                                     "> S 0:0\n"
                                                                     "+1\n"
                                                                     "> S 0:0\n"
                                                                     "+2\n"
                                                                     "> S 0:0\n"
                                                                     "+3.9\n"
                                                                     "open\n"
                                                                     "+0.1\n"
                                                                     "closed timeout\n"
                                                                     "no-connection\n"},
    {"RST with the right ACK refuses (RFC 9293 s.3.10.7.3)", "connect\n"
                                                             "> S 0:0\n"
                                                             "< R. 0:0 ack 1\n"
                                                             "closed refused\n"},
    {"RST with a wrong ACK, or none, does not", "connect\n"
                                                "> S 0:0\n"
                                                "< R. 0:0 ack 2\n"
                                                "< R 0:0\n"
                                                "open\n"
                                                "> none\n"},
    {"an ACK of something else in SYN-SENT is answered RST", "connect\n"
                                                             "> S 0:0\n"
                                                             "< . 5:5 ack 9 win 100\n"
                                                             "> R 9:9\n"
                                                             "< S. 5:5 ack 9 win 100\n"
                                                             "> R 9:9\n"
                                                             "open\n"},
    {"the right ACK without SYN is dropped", "connect\n"
                                             "> S 0:0\n"
                                             "< . 1:1 ack 1 win 100\n"
                                             "> none\n"
                                             "state SYN-SENT\n"},
    {"data in the SYN-ACK is delivered", "connect\n"
                                         "> S 0:0\n"
                                         "< S. 0:5 ack 1 win 100 <mss 500>\n"
                                         "opened\n"
                                         "read 5\n"
                                         "> . 1:1 ack 6\n"},
    {"SYN-ACK without options: none are used", "connect\n"
                                               "> S 0:0\n"
                                               "< S. 0:0 ack 1 win 100\n"
                                               "> . 1:1 ack 1 <none>\n"
                                               "mss 536\n"},
    {"RFC 9293 s.3.5 figure 7: simultaneous open", "connect\n"
                                                   "> S 0:0\n"
                                                   "< S 0:0 win 1000 <mss 1000>\n"
                                                   "> S. 0:0 ack 1\n"
                                                   "state SYN-RECEIVED\n"
                                                   "< S. 0:0 ack 1 win 1000 <mss 1000>\n"
                                                   "opened\n"
                                                   "state ESTABLISHED\n"
                                                   "> . 1:1 ack 1\n"},
    {"simultaneous open completed by a plain ACK", "connect\n"
                                                   "> S 0:0\n"
                                                   "< S 0:0 win 1000 <mss 1000>\n"
                                                   "> S. 0:0 ack 1\n"
                                                   "< . 1:1 ack 1 win 1000\n"
                                                   "opened\n"},
    {"a SYN-ACK again, because our ACK was lost, is acknowledged (RFC 5961 s.4)", "connect\n"
                                                                                  "> S 0:0\n"
                                                                                  "< S. 0:0 ack 1 win 100\n"
                                                                                  "> . 1:1 ack 1\n"
                                                                                  "+1\n"
                                                                                  "< S. 0:0 ack 1 win 100\n"
                                                                                  "> . 1:1 ack 1\n"
                                                                                  "open\n"},
    {"abort before the answer: nobody is told (RFC 9293 s.3.10.5)", "connect\n"
                                                                    "> S 0:0\n"
                                                                    "abort\n"
                                                                    "> none\n"
                                                                    "no-connection\n"},
    {"finish before the answer: FIN follows the handshake", "connect\n"
                                                            "> S 0:0\n"
                                                            "write 10\n"
                                                            "finish\n"
                                                            "> none\n"
                                                            "< S. 0:0 ack 1 win 1000\n"
                                                            "> FP. 1:11 ack 1\n"
                                                            "state FIN-WAIT-1\n"},
    {"RFC 1122 s.4.2.3.9: an ICMP error for the SYN ends the attempt", "connect\n"
                                                                       "> S 0:0\n"
                                                                       "unreachable 0\n"
                                                                       "+0.002\n"
                                                                       "closed unreachable\n"},
    {"RFC 5927 s.4: not when it quotes another number", "connect\n"
                                                        "> S 0:0\n"
                                                        "unreachable 1\n"
                                                        "unreachable 4000000000\n"
                                                        "open\n"},
    {"a closed port's RST is counted and a second connect may follow", "connect\n"
                                                                       "> S 0:0\n"
                                                                       "< R. 0:0 ack 1\n"
                                                                       "closed refused\n"
                                                                       "flush\n"
                                                                       "no-connection\n"},
};

static const struct tcp_script cookies[] = {
    {"RFC 4987 s.3.6: over the threshold a SYN leaves no state; timestamps carry the options",
     "limit half_open 0\n" SYN_FULL "> S. 0:0 ack 1 win 65535 <mss 1460,sackOK,wscale 0>\n"
     "no-connection\n"
     "counter syn-cookies-sent 1\n"
     "+0.01\n"
     "< P. 1:11 ack 1 win 512 <ts 110 0>\n"
     "counter syn-cookies-good 1\n"
     "accepted 1\n"
     "read 10\n"
     "state ESTABLISHED\n"
     "mss 1460\n"
     "> . 1:1 ack 11 <ts * 110>\n"
     "< P. 21:31 ack 1 win 512 <ts 111 0>\n" /* SACK survived */
     "> . 1:1 ack 11 <ts * 110,sack 21:31>\n"},
    {"a cookie without timestamps remembers the segment size",
     "limit half_open 0\n" SYN_PLAIN "> S. 0:0 ack 1 <mss 1460>\n"
     "< . 1:1 ack 1 win 512\n"
     "accepted 1\n"
     "mss 536\n"}, /* rounded down in the table */
    {"a forged cookie is dropped", "limit half_open 0\n" SYN_PLAIN "> S. 0:0 ack 1\n"
                                   "< . 1:1 ack 2 win 512\n"
                                   "counter syn-cookies-bad 1\n"
                                   "< . 2:2 ack 1 win 512\n"
                                   "counter syn-cookies-bad 2\n"
                                   "accepted 0\n"
                                   "> none\n"},
    {"a cookie is good for two minutes", "limit half_open 0\n" SYN_PLAIN "> S. 0:0 ack 1\n"
                                         "+130\n"
                                         "< . 1:1 ack 1 win 512\n"
                                         "accepted 0\n"
                                         "> R 1:1\n"},
    {"without a flood nobody may guess cookies: a stray ACK is reset", "< . 1:1 ack 77 win 512\n"
                                                                       "> R 77:77\n"
                                                                       "counter no-connection 1\n"
                                                                       "counter syn-cookies-bad 0\n"},
    {"the cookie's ACK may be the FIN as well", "limit half_open 0\n" SYN_PLAIN "> S. 0:0 ack 1\n"
                                                "< F. 1:1 ack 1 win 512\n"
                                                "accepted 1\n"
                                                "ended\n"
                                                "> . 1:1 ack 2\n"},
};

static void run_passive(void)
{
    tcp_script_run_all(passive, sizeof(passive) / sizeof(passive[0]));
}

static void run_active(void)
{
    tcp_script_run_all(active, sizeof(active) / sizeof(active[0]));
}

static void run_cookies(void)
{
    tcp_script_run_all(cookies, sizeof(cookies) / sizeof(cookies[0]));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"passive open", run_passive}, {"active open", run_active}, {"SYN cookies", run_cookies}};
    return unit_run("tcp_handshake", tests, sizeof(tests) / sizeof(tests[0]));
}
