/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes CoAP messages in the one canonical form (RFC 7252 s.3): shortest option headers, ascending options,
 * a payload marker only before a payload. What leaves the gateway is written here and nowhere else. Pure.
 */
#ifndef POLICY_COAP_BUILD_H
#define POLICY_COAP_BUILD_H

#include "policy/coap/message.h"

struct coap_writer {
    uint8_t *to;
    size_t room;
    size_t len;
    uint32_t last; /* number of the last option */
    bool failed;   /* something did not fit, or an option came out of order */
};

/* Begins a message in `to`. */
void coap_build_start(struct coap_writer *writer, uint8_t *to, size_t room, enum coap_type type, uint8_t code,
                      uint16_t mid, const uint8_t *token, uint16_t token_len);
/* Options in ascending order of numbers. */
void coap_build_option(struct coap_writer *writer, uint16_t number, struct bytes value);
/* An integer in as few bytes as it needs (s.3.2). */
void coap_build_uint(struct coap_writer *writer, uint16_t number, uint32_t value);
/* After the options; an empty payload writes nothing. */
void coap_build_payload(struct coap_writer *writer, struct bytes payload);
/* Length of the message, or 0 when it did not fit. */
size_t coap_build_end(const struct coap_writer *writer);
/* An empty message (ACK, RST, or a ping) in 4 bytes. */
size_t coap_build_empty(uint8_t to[COAP_HEADER_BYTES], enum coap_type type, uint16_t mid);
/* Gives a message that is already written another type and message id, for sending it anew. */
void coap_build_retype(uint8_t *message, enum coap_type type, uint16_t mid);

#endif
