/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scripted packets against the real endpoint on a fake clock, in the manner of packetdrill. One statement a
 * line, `#` begins a comment. Numbers in segments are relative to the initial sequence number of their
 * sender, our timestamps to the first one we send.
 *
 *   +0.25                    time passes, timers fire
 *   < S. 0:0 ack 1 win 1000 <mss 1460,sackOK,ts 100 0,wscale 7,sack 5:9>   a segment arrives; then a flush
 *   << ...                   the same without the flush (one burst)
 *   < ... bad                its payload differs from the peer's true stream
 *   > P. 1:101 ack 1 win 500 <ts 0 100>    the next segment that left; what is not said is not compared
 *   > none                   nothing (more) has left
 *   limit NAME N             before the first packet: half_open, send, receive, send_max, receive_max,
 *                            chunks, keepalive (s), orphan (s), time_wait (s), data_retries, mss,
 *                            syn_retries, syn_ack_retries, resets, challenges
 *   ipv6                     before the first packet: other addresses
 *   admit no|reset|yes
 *   connect                  an active open; passive otherwise
 *   write N | finish | abort | resume | flush
 *   take all|none|half|N     what the reader takes from now on
 *   take-upto N              ... and N bytes in all
 *   inside abort|finish|resume|write N     done from inside the next data event
 *   unreachable SEQ [MTU]
 *   opened | accepted N | ended | writable | closed WHY | open     what the user has been told
 *   read N                   bytes taken so far, all checked against the peer's stream
 *   state NAME | counter ID N | room N | mss N | cwnd N | kept N
 *   no-connection            the flow is gone from the table
 */
#ifndef TESTS_UNIT_TCP_SCRIPT_H
#define TESTS_UNIT_TCP_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

struct tcp_script {
    const char *name; /* with the clause */
    const char *text;
};

/* Runs them as CUnit assertions; each failure is printed with its script and line. */
void tcp_script_run_all(const struct tcp_script *scripts, size_t n);

#endif
