/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP options: maximum segment size, window scale, SACK, timestamps (RFC 9293 s.3.1, 7323, 2018). Others are
 * skipped (MUST-6). An option whose length runs past the header makes the whole list malformed (MUST-7); one
 * of a known kind with a length that is not its own is taken as unknown. Pure.
 */
#ifndef DATAPLANE_TCP_OPTIONS_H
#define DATAPLANE_TCP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TCP_SACK_BLOCKS 4
#define TCP_SCALE_MAX 14 /* RFC 7323 s.2.3 */

struct tcp_sack_block {
    uint32_t start;
    uint32_t end;
};

struct tcp_options {
    uint32_t ts_value;
    uint32_t ts_echo;
    uint16_t mss; /* 0: not there */
    uint8_t scale;
    uint8_t sack_n;
    bool has_timestamp;
    bool has_scale;
    bool sack_permitted;
    struct tcp_sack_block sack[TCP_SACK_BLOCKS];
};

/* False when malformed. */
bool tcp_options_parse(const uint8_t *p, size_t n, struct tcp_options *options);

/* Each appends at p and answers how many bytes, a multiple of 4. */
uint8_t tcp_options_put_mss(uint8_t *p, uint16_t mss);
uint8_t tcp_options_put_scale(uint8_t *p, uint8_t scale);
uint8_t tcp_options_put_sack_permitted(uint8_t *p);
uint8_t tcp_options_put_timestamp(uint8_t *p, uint32_t value, uint32_t echo);
uint8_t tcp_options_put_sack(uint8_t *p, const struct tcp_sack_block *blocks, unsigned int n);

#endif
