/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One CoAP message over UDP, from bytes to a struct (RFC 7252 s.3). Pure, no allocation; slices are borrowed
 * from the datagram.
 *
 * The parser knows the form only. What an option may hold, and whether it may be there, is for the guard
 * (guard.h). Options come in ascending order of numbers, as the encoding forces. Tokens may have any length
 * that fits (RFC 8974); what is kept of a request takes COAP_TOKEN_KEPT_MAX.
 */
#ifndef POLICY_COAP_MESSAGE_H
#define POLICY_COAP_MESSAGE_H

#include "policy/bytes.h"
#include "policy/coap/option.h"

#define COAP_HEADER_BYTES 4
#define COAP_TOKEN_MAX 8 /* without RFC 8974 */
/* A longer token gets 4.00, which says that it is too long (RFC 8974 s.2.2.2). */
#define COAP_TOKEN_KEPT_MAX 256
#define COAP_OPTIONS_MAX 64
/* The largest datagram that is looked at: a block of 1,024 bytes with generous options. */
#define COAP_MESSAGE_MAX 2048

enum coap_type {
    COAP_CON = 0,
    COAP_NON,
    COAP_ACK,
    COAP_RST,
};

#define COAP_CODE(class, detail) ((uint8_t)(((class) << 5) | (detail)))
#define COAP_CODE_CLASS(code) ((uint8_t)((code) >> 5))
#define COAP_CODE_DETAIL(code) ((uint8_t)((code)&0x1F))

enum coap_code {
    COAP_EMPTY = COAP_CODE(0, 0),
    COAP_GET = COAP_CODE(0, 1),
    COAP_POST = COAP_CODE(0, 2),
    COAP_PUT = COAP_CODE(0, 3),
    COAP_DELETE = COAP_CODE(0, 4),
    COAP_FETCH = COAP_CODE(0, 5),
    COAP_PATCH = COAP_CODE(0, 6),
    COAP_IPATCH = COAP_CODE(0, 7),
    COAP_CREATED = COAP_CODE(2, 1),
    COAP_DELETED = COAP_CODE(2, 2),
    COAP_VALID = COAP_CODE(2, 3),
    COAP_CHANGED = COAP_CODE(2, 4),
    COAP_CONTENT = COAP_CODE(2, 5),
    COAP_CONTINUE = COAP_CODE(2, 31),
    COAP_BAD_REQUEST = COAP_CODE(4, 0),
    COAP_UNAUTHORIZED = COAP_CODE(4, 1),
    COAP_BAD_OPTION = COAP_CODE(4, 2),
    COAP_FORBIDDEN = COAP_CODE(4, 3),
    COAP_NOT_FOUND = COAP_CODE(4, 4),
    COAP_METHOD_NOT_ALLOWED = COAP_CODE(4, 5),
    COAP_INCOMPLETE = COAP_CODE(4, 8),
    COAP_TOO_LARGE = COAP_CODE(4, 13),
    COAP_UNSUPPORTED_FORMAT = COAP_CODE(4, 15),
    COAP_INTERNAL_ERROR = COAP_CODE(5, 0),
    COAP_BAD_GATEWAY = COAP_CODE(5, 2),
    COAP_UNAVAILABLE = COAP_CODE(5, 3),
    COAP_GATEWAY_TIMEOUT = COAP_CODE(5, 4),
    COAP_PROXYING_NOT_SUPPORTED = COAP_CODE(5, 5),
    COAP_HOP_LIMIT_REACHED = COAP_CODE(5, 8),
};

enum coap_kind {
    COAP_KIND_RESERVED = 0, /* classes 1, 6 and 7 */
    COAP_KIND_EMPTY,
    COAP_KIND_REQUEST,
    COAP_KIND_RESPONSE,
};

struct coap_option {
    uint16_t number;
    struct bytes value;
};

struct coap_message {
    uint8_t type; /* enum coap_type */
    uint8_t code;
    uint16_t mid;
    uint16_t token_len;
    uint8_t options_n;
    const uint8_t *token; /* borrowed; NULL when there is none */
    struct bytes payload; /* len 0: none */
    struct coap_option options[COAP_OPTIONS_MAX];
};

/* COAP_PARSE_RESULT(name, id) */
#define COAP_PARSE_TABLE(COAP_PARSE_RESULT)                                                                  \
    COAP_PARSE_RESULT(MALFORMED,                                                                             \
                      "malformed")        /* s.3: reject a CON with RST, ignore any other (s.4.2, 4.3) */    \
    COAP_PARSE_RESULT(FOREIGN, "foreign") /* shorter than a header, or another version: ignore (s.3) */      \
    COAP_PARSE_RESULT(CAPPED, "capped")   /* well formed, but more options or bytes than we look at */       \
    COAP_PARSE_RESULT(OK, "ok")

#define COAP_PARSE_ENUM(name, id) COAP_PARSE_##name,
enum coap_parse_result { COAP_PARSE_TABLE(COAP_PARSE_ENUM) COAP_PARSE_COUNT };
#undef COAP_PARSE_ENUM

/* Of `out`, type and mid are set whenever the answer is not FOREIGN, the rest only when it is OK. */
enum coap_parse_result coap_parse(struct coap_message *out, struct bytes datagram);

enum coap_kind coap_kind_of(uint8_t code);
/* The next option with this number at or after *from, which is set past it; NULL when there is none. */
const struct coap_option *coap_option_next(const struct coap_message *message, uint16_t number,
                                           uint32_t *from);
static inline const struct coap_option *coap_option_find(const struct coap_message *message, uint16_t number)
{
    uint32_t from = 0;
    return coap_option_next(message, number, &from);
}
/* An unsigned integer of 0 to 4 bytes (s.3.2); leading zeros are allowed. */
uint32_t coap_uint(struct bytes value);

/* Block1 and Block2 (RFC 7959 s.2.2). */
struct coap_block {
    uint32_t number;
    uint32_t bytes; /* size of a block: 16 to 1,024 */
    bool more;
};
/* False for SZX 7, which is reserved. */
bool coap_block_parse(struct bytes value, struct coap_block *out);
/* The value of its option (RFC 7959 s.2.2). */
uint32_t coap_block_value(const struct coap_block *block);

/* "GET" or "2.05", for events; `room` of 8 bytes is enough. */
const char *coap_code_text(uint8_t code, char *to, size_t room);

#endif
