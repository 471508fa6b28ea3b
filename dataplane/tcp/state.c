/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/state.h"

#include "dataplane/tcp/connection.h"

/* FIN, SYN, RST and ACK as a number below 16. */
#define COLUMNS 16u
#define C_FIN 1u
#define C_SYN 2u
#define C_RST 4u
#define C_ACK 8u

/* Handshake complete: everything carries ACK, except a RST that answers nobody (RFC 9293 s.3.10.7.4). */
#define SYNCHRONIZED                                                                                         \
    {                                                                                                        \
        [C_ACK] = TCP_ACTION_SEGMENT, [C_ACK | C_FIN] = TCP_ACTION_SEGMENT, [C_RST] = TCP_ACTION_RESET,      \
        [C_RST | C_ACK] = TCP_ACTION_RESET, [C_SYN] = TCP_ACTION_SYN, [C_SYN | C_ACK] = TCP_ACTION_SYN,      \
    }

static const uint8_t actions[TCP_STATE_COUNT][COLUMNS] = {
    [TCP_STATE_CLOSED] = {[C_SYN] = TCP_ACTION_OPEN,
                          [C_ACK] = TCP_ACTION_STRAY_ACK,
                          [C_ACK | C_FIN] = TCP_ACTION_STRAY_ACK,
                          [C_SYN | C_ACK] = TCP_ACTION_REFUSE,
                          [C_RST] = TCP_ACTION_IGNORE,
                          [C_RST | C_ACK] = TCP_ACTION_IGNORE},
    [TCP_STATE_SYN_SENT] = {[C_SYN] = TCP_ACTION_SYN_SENT_SYN,
                            [C_SYN | C_ACK] = TCP_ACTION_SYN_SENT_SYN_ACK,
                            [C_ACK] = TCP_ACTION_SYN_SENT_ACK,
                            [C_ACK | C_FIN] = TCP_ACTION_SYN_SENT_ACK,
                            [C_RST | C_ACK] = TCP_ACTION_SYN_SENT_RESET},
    [TCP_STATE_SYN_RECEIVED] = {[C_ACK] = TCP_ACTION_SEGMENT,
                                [C_ACK | C_FIN] = TCP_ACTION_SEGMENT,
                                [C_RST] = TCP_ACTION_RESET,
                                [C_RST | C_ACK] = TCP_ACTION_RESET,
                                [C_SYN] = TCP_ACTION_SYN_RECEIVED_SYN,
                                [C_SYN | C_ACK] = TCP_ACTION_SYN_RECEIVED_SYN},
    [TCP_STATE_ESTABLISHED] = SYNCHRONIZED,
    [TCP_STATE_FIN_WAIT_1] = SYNCHRONIZED,
    [TCP_STATE_FIN_WAIT_2] = SYNCHRONIZED,
    [TCP_STATE_CLOSE_WAIT] = SYNCHRONIZED,
    [TCP_STATE_CLOSING] = SYNCHRONIZED,
    [TCP_STATE_LAST_ACK] = SYNCHRONIZED,
    [TCP_STATE_TIME_WAIT] = SYNCHRONIZED,
};

enum tcp_action tcp_state_action(uint8_t state, uint8_t flags)
{
    unsigned int f = flags, column = (f & (C_FIN | C_SYN | C_RST)) | ((f & TCP_ACK) >> 1);
    return actions[state][column];
}

const char *tcp_state_name(uint8_t state)
{
    static const char *const names[TCP_STATE_COUNT] = {
        [TCP_STATE_CLOSED] = "CLOSED",
        [TCP_STATE_SYN_SENT] = "SYN-SENT",
        [TCP_STATE_SYN_RECEIVED] = "SYN-RECEIVED",
        [TCP_STATE_ESTABLISHED] = "ESTABLISHED",
        [TCP_STATE_FIN_WAIT_1] = "FIN-WAIT-1",
        [TCP_STATE_FIN_WAIT_2] = "FIN-WAIT-2",
        [TCP_STATE_CLOSE_WAIT] = "CLOSE-WAIT",
        [TCP_STATE_CLOSING] = "CLOSING",
        [TCP_STATE_LAST_ACK] = "LAST-ACK",
        [TCP_STATE_TIME_WAIT] = "TIME-WAIT",
    };
    return state < TCP_STATE_COUNT ? names[state] : "?";
}
