/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Against those who guess, flood, starve and confuse: RFC 5961, RFC 5927, limits, the table of states. */
#include "dataplane/tcp/isn.h"
#include "dataplane/tcp/options.h"
#include "dataplane/tcp/state.h"
#include "tests/unit/runner.h"
#include "tests/unit/tcp_script.h"

#include <string.h>

#define PLAIN                                                                                                \
    "< S 0:0 win 65535 <mss 1000>\n"                                                                         \
    "> S. 0:0 ack 1\n"                                                                                       \
    "< . 1:1 ack 1 win 65535\n"

static const struct tcp_script blind[] = {
    {"RFC 5961 s.3.2: a RST inside the window but not at its start is asked about",
     PLAIN "< R 2:2\n"
           "> . 1:1 ack 1\n"
           "open\n"
           "counter challenge-acks 1\n"
           "+1\n"
           "< R 65535:65535\n"
           "> . 1:1 ack 1\n"
           "open\n"},
    {"a RST outside the window is nothing", PLAIN "< R 65536:65536\n"
                                                  "< R 0:0\n"
                                                  "< R -5:-5\n"
                                                  "> none\n"
                                                  "open\n"
                                                  "counter out-of-window 3\n"},
    {"the RST that answers the question ends it", PLAIN "< R 2:2\n"
                                                        "> . 1:1 ack 1\n"
                                                        "< R 1:1\n"
                                                        "closed reset\n"},
    {"RFC 5961 s.4.2: a SYN, wherever, is asked about", PLAIN "< S 1:1 win 65535\n"
                                                              "> . 1:1 ack 1\n"
                                                              "+1\n"
                                                              "< S 4000:4000 win 65535\n"
                                                              "> . 1:1 ack 1\n"
                                                              "+1\n"
                                                              "< S -4000:-4000 win 65535\n"
                                                              "> . 1:1 ack 1\n"
                                                              "open\n"
                                                              "counter challenge-acks 3\n"},
    {"RFC 5961 s.5.2: an ACK beyond what was sent, or too old, drops the segment",
     PLAIN "write 100\n"
           "> P. 1:101 ack 1\n"
           "< P. 1:11 ack 102 win 65535\n"
           "read 0\n"
           "> . 101:101 ack 1\n"
           "counter bad-ack 1\n"
           "+0.1\n"
           "< P. 1:11 ack -65600 win 65535\n"
           "read 0\n"
           "> . 101:101 ack 1\n"
           "counter bad-ack 2\n"
           "< P. 1:11 ack -100 win 65535\n" /* old, yet within the largest window */
           "read 10\n"
           "> . 101:101 ack 11\n"},
    {"RFC 5961 s.7: at most ten answers a second for a connection", PLAIN "< R 2:2\n"
                                                                          "> . 1:1 ack 1\n"
                                                                          "< R 2:2\n"
                                                                          "< R 3:3\n"
                                                                          "< S 1:1 win 9\n"
                                                                          "> none\n"
                                                                          "+0.1\n"
                                                                          "< R 2:2\n"
                                                                          "> . 1:1 ack 1\n"},
    {"and so many in all", "limit challenges 1\n" PLAIN "< R 2:2\n"
                           "> . 1:1 ack 1\n"
                           "+0.5\n"
                           "< R 2:2\n"
                           "> none\n"
                           "+0.6\n"
                           "< R 2:2\n"
                           "> . 1:1 ack 1\n"},
    {"acknowledgements out of the window do not answer each other for ever", PLAIN "< . 70000:70000 ack 1\n"
                                                                                   "> . 1:1 ack 1\n"
                                                                                   "< . 70000:70000 ack 1\n"
                                                                                   "< . 70000:70000 ack 1\n"
                                                                                   "> none\n"},
    {"RFC 9293 s.3.10.7.1: nobody's segments get RST, a limited number", "limit resets 2\n"
                                                                         "< P. 1:11 ack 5\n"
                                                                         "> R 5:5\n"
                                                                         "< S. 1:1 ack 9\n"
                                                                         "> R 9:9\n"
                                                                         "< . 1:1 ack 5\n"
                                                                         "> none\n"
                                                                         "counter resets-suppressed 1\n"
                                                                         "+1\n"
                                                                         "< . 1:1 ack 5\n"
                                                                         "> R 5:5\n"},
    {"no amplification: the answer to nobody's large segment is a bare header",
     "< P. 1:1401 ack 5\n"
     "> R 5:5 <none>\n"
     "< PF. 1:1401 ack 7 <ts 1 2>\n"
     "> R 7:7 <none>\n"
     "> none\n"},
    {"a RST is never answered", "< R 1:1\n"
                                "< R. 1:1 ack 1\n"
                                "> none\n"
                                "counter no-connection 2\n"},
    {"scans: no flags, FIN alone, FIN PSH URG, everything: silence", "< U 1:1\n"
                                                                     "< F 1:1\n"
                                                                     "< FPU 1:1\n"
                                                                     "< FSRP.U 1:1 ack 1\n"
                                                                     "< SR 1:1\n"
                                                                     "> none\n"
                                                                     "counter bad-state 5\n"},
    {"the same on a connection", PLAIN "< U 1:11\n"
                                       "< F 1:1\n"
                                       "< FPU 1:11\n"
                                       "< FSRP.U 1:1 ack 1\n"
                                       "< SR 1:1\n"
                                       "> none\n"
                                       "read 0\n"
                                       "open\n"
                                       "counter bad-state 5\n"},
};

/* RFC 9293 s.3.10.7: every state and combination of flags, written out once more by hand. */
static void the_table_drops_what_it_does_not_name(void)
{
    for (uint8_t state = 0; state < TCP_STATE_COUNT; state++) {
        for (unsigned int flags = 0; flags < 256; flags++) {
            bool syn = flags & TCP_SYN, fin = flags & TCP_FIN, rst = flags & TCP_RST, ack = flags & TCP_ACK;
            enum tcp_action expected = TCP_ACTION_DROP;
            bool nonsense = (syn && fin) || (syn && rst) || (fin && rst) || (!syn && !rst && !ack);
            if (nonsense)
                expected = TCP_ACTION_DROP;
            else if (state == TCP_STATE_CLOSED)
                expected = rst          ? TCP_ACTION_IGNORE
                           : syn && ack ? TCP_ACTION_REFUSE
                           : syn        ? TCP_ACTION_OPEN
                                        : TCP_ACTION_STRAY_ACK;
            else if (state == TCP_STATE_SYN_SENT)
                expected = rst && ack   ? TCP_ACTION_SYN_SENT_RESET
                           : rst        ? TCP_ACTION_DROP
                           : syn && ack ? TCP_ACTION_SYN_SENT_SYN_ACK
                           : syn        ? TCP_ACTION_SYN_SENT_SYN
                                        : TCP_ACTION_SYN_SENT_ACK;
            else
                expected = rst                                      ? TCP_ACTION_RESET
                           : syn && state == TCP_STATE_SYN_RECEIVED ? TCP_ACTION_SYN_RECEIVED_SYN
                           : syn                                    ? TCP_ACTION_SYN
                                                                    : TCP_ACTION_SEGMENT;
            CU_ASSERT_EQUAL(tcp_state_action(state, (uint8_t)flags), expected);
        }
        CU_ASSERT_STRING_NOT_EQUAL(tcp_state_name(state), "?");
    }
    CU_ASSERT_STRING_EQUAL(tcp_state_name(TCP_STATE_COUNT), "?");
}

struct options_case {
    const char *name;
    uint8_t n;
    uint8_t bytes[40];
    bool good;
    struct tcp_options expected;
};

static const struct options_case option_cases[] = {
    {"none", 0, {0}, true, {0}},
    {"the usual on SYN (RFC 7323 appendix A)",
     20,
     {2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0, 1, 3, 3, 7},
     true,
     {.mss = 1460,
      .scale = 7,
      .has_scale = true,
      .sack_permitted = true,
      .has_timestamp = true,
      .ts_value = 256}},
    {"the usual on data",
     12,
     {1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 8},
     true,
     {.has_timestamp = true, .ts_value = 9, .ts_echo = 8}},
    {"end of list stops", 8, {1, 0, 2, 1, 2, 4, 0, 1}, true, {0}},
    {"unknown kinds are skipped (MUST-6)", 8, {99, 4, 7, 7, 2, 4, 2, 0}, true, {.mss = 512}},
    {"a length of zero (MUST-7)", 4, {2, 0, 5, 0}, false, {0}},
    {"a length of one", 4, {99, 1, 0, 0}, false, {0}},
    {"a length past the end", 4, {2, 5, 5, 180}, false, {0}},
    {"a kind without length at the end", 4, {1, 1, 1, 2}, false, {0}},
    {"MSS of another size is unknown", 4, {2, 3, 5, 0}, true, {0}},
    {"scale above 14 is 14 (RFC 7323 s.2.3)", 4, {1, 3, 3, 15}, true, {.has_scale = true, .scale = 14}},
    {"SACK with half a block is unknown", 8, {5, 6, 0, 0, 0, 1, 0, 0}, true, {0}},
    {"four SACK blocks",
     36,
     {1, 1, 5, 34, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0,
      0, 4, 0, 0,  0, 5, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0, 8},
     true,
     {.sack_n = 4, .sack = {{1, 2}, {3, 4}, {5, 6}, {7, 8}}}},
};

static bool same_options(const struct tcp_options *a, const struct tcp_options *b)
{
    return a->mss == b->mss && a->scale == b->scale && a->has_scale == b->has_scale &&
           a->sack_permitted == b->sack_permitted && a->has_timestamp == b->has_timestamp &&
           (!a->has_timestamp || (a->ts_value == b->ts_value && a->ts_echo == b->ts_echo)) &&
           a->sack_n == b->sack_n && memcmp(a->sack, b->sack, sizeof(a->sack[0]) * a->sack_n) == 0;
}

static void options_are_parsed_within_their_length(void)
{
    for (size_t i = 0; i < sizeof(option_cases) / sizeof(option_cases[0]); i++) {
        const struct options_case *t = &option_cases[i];
        struct tcp_options o;
        CU_ASSERT_EQUAL(tcp_options_parse(t->bytes, t->n, &o), t->good);
        if (t->good && !same_options(&o, &t->expected))
            CU_FAIL(t->name);
        /* Cut at every byte, in memory of exactly that size, so that a read past it is seen. */
        for (uint8_t n = 0; n <= t->n; n++) {
            uint8_t *exact = malloc(n > 0 ? n : 1);
            CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
            memcpy(exact, t->bytes, n);
            tcp_options_parse(exact, n, &o);
            free(exact);
        }
    }
}

static void what_is_built_is_parsed(void)
{
    static const struct tcp_sack_block blocks[3] = {{10, 20}, {30, 40}, {50, 60}};
    uint8_t bytes[40];
    struct tcp_options o;
    size_t n = 0;

    n += tcp_options_put_mss(bytes + n, 1234);
    n += tcp_options_put_sack_permitted(bytes + n);
    n += tcp_options_put_timestamp(bytes + n, 0x01020304, 0xfffefdfc);
    n += tcp_options_put_scale(bytes + n, 9);
    CU_ASSERT_EQUAL(n, 24);
    CU_ASSERT(tcp_options_parse(bytes, n, &o));
    CU_ASSERT(o.mss == 1234 && o.sack_permitted && o.has_timestamp && o.has_scale && o.scale == 9);
    CU_ASSERT(o.ts_value == 0x01020304 && o.ts_echo == 0xfffefdfc);
    n = tcp_options_put_timestamp(bytes, 1, 2);
    n += tcp_options_put_sack(bytes + n, blocks, 3);
    CU_ASSERT_EQUAL(n, 40);
    CU_ASSERT(tcp_options_parse(bytes, n, &o));
    CU_ASSERT(o.sack_n == 3 && memcmp(o.sack, blocks, sizeof(blocks)) == 0);
}

/* RFC 6528: another flow, another secret or another time gives another number; the same flow's rise with the
 * clock. */
static void sequence_numbers_cannot_be_guessed(void)
{
    static struct tcp_endpoint a, b;
    uint8_t secret[32] = {1}, other_secret[32] = {2};
    struct flow_key key = {
        .local = ip_address_v4(1), .remote = ip_address_v4(2), .local_port = 3, .remote_port = 4};
    struct flow_key next = key;

    tcp_isn_init(&a, secret);
    tcp_isn_init(&b, other_secret);
    next.remote_port++;
    a.now_us = b.now_us = 1000000;
    uint32_t isn = tcp_isn(&a, &key);
    CU_ASSERT_EQUAL(tcp_isn(&a, &key), isn);
    CU_ASSERT_NOT_EQUAL(tcp_isn(&b, &key), isn);
    CU_ASSERT_NOT_EQUAL(tcp_isn(&a, &next), isn);
    CU_ASSERT_NOT_EQUAL(tcp_isn_timestamp_offset(&a, &next), tcp_isn_timestamp_offset(&a, &key));
    CU_ASSERT_NOT_EQUAL(tcp_isn_timestamp_offset(&a, &key), isn - 250000);
    a.now_us += 4000000; /* 4 us a tick */
    CU_ASSERT_EQUAL(tcp_isn(&a, &key) - isn, 1000000);
    CU_ASSERT_NOT_EQUAL(tcp_isn_noise(&a), tcp_isn_noise(&a));
}

static void run_blind(void)
{
    tcp_script_run_all(blind, sizeof(blind) / sizeof(blind[0]));
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"blind attackers and floods", run_blind},
        {"the table of states drops what it does not name (RFC 9293 s.3.10.7)",
         the_table_drops_what_it_does_not_name},
        {"options are parsed within their length", options_are_parsed_within_their_length},
        {"options that are built are parsed", what_is_built_is_parsed},
        {"sequence numbers cannot be guessed (RFC 6528)", sequence_numbers_cannot_be_guessed},
    };
    return unit_run("tcp_defence", tests, sizeof(tests) / sizeof(tests[0]));
}
