/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One segment as a script of tcp_script.h writes it: "P. 1:101 ack 1 win 500 <ts 0 100> bad". */
#ifndef TESTS_UNIT_TCP_SCRIPT_SEGMENT_H
#define TESTS_UNIT_TCP_SCRIPT_SEGMENT_H

#include "dataplane/tcp/options.h"

struct tcp_script_segment {
    uint8_t flags;
    uint32_t from, to, ack, window;
    bool has_range, has_ack, has_window, bad;
    bool has_mss, has_sack_ok, has_ts, has_scale, any_ts, no_options, no_sack;
    uint32_t mss, ts_value, ts_echo, scale;
    struct tcp_sack_block sack[TCP_SACK_BLOCKS];
    unsigned int sack_n;
};

/* `text` is taken apart. False when it is no segment. */
bool tcp_script_segment_parse(char *text, struct tcp_script_segment *segment);

#endif
