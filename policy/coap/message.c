/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/coap/message.h"

#include <stdio.h>

#define VERSION 1
#define PAYLOAD_MARKER 0xFF

/* The value that a nibble of an option header stands for (s.3.1). */
static bool read_extended(struct cursor *rest, uint32_t nibble, uint32_t *value)
{
    uint8_t one;
    uint16_t two;
    switch (nibble) {
    case 13:
        if (cursor_u8(rest, &one) != READ_OK)
            return false;
        *value = one + 13U;
        return true;
    case 14:
        if (cursor_u16(rest, &two) != READ_OK)
            return false;
        *value = two + 269U;
        return true;
    case 15:
        return false;
    default:
        *value = nibble;
        return true;
    }
}

static bool read_option(struct cursor *rest, uint8_t first, uint32_t *number, struct bytes *value)
{
    uint32_t delta, len;
    if (!read_extended(rest, first >> 4, &delta) || !read_extended(rest, first & 0x0F, &len))
        return false;
    *number += delta;
    return *number <= UINT16_MAX && cursor_bytes(rest, len, value) == READ_OK;
}

static enum coap_parse_result read_options(struct coap_message *out, struct cursor *rest)
{
    uint32_t number = 0;
    bool capped = false;
    uint8_t first;
    while (cursor_u8(rest, &first) == READ_OK) {
        if (first == PAYLOAD_MARKER) {
            if (cursor_left(rest) == 0)
                return COAP_PARSE_MALFORMED;
            out->payload = bytes_of(rest->at, cursor_left(rest));
            break;
        }
        struct bytes value;
        if (!read_option(rest, first, &number, &value))
            return COAP_PARSE_MALFORMED;
        if (out->options_n == COAP_OPTIONS_MAX)
            capped = true;
        else
            out->options[out->options_n++] = (struct coap_option){.number = (uint16_t)number, .value = value};
    }
    return capped ? COAP_PARSE_CAPPED : COAP_PARSE_OK;
}

enum coap_parse_result coap_parse(struct coap_message *out, struct bytes datagram)
{
    struct cursor rest = cursor_of(datagram);
    uint8_t first = 0, code = 0;
    uint16_t mid = 0;
    if (cursor_u8(&rest, &first) != READ_OK || cursor_u8(&rest, &code) != READ_OK ||
        cursor_u16(&rest, &mid) != READ_OK || first >> 6 != VERSION)
        return COAP_PARSE_FOREIGN;
    out->type = (first >> 4) & 3;
    out->code = code;
    out->mid = mid;
    out->token_len = 0;
    out->token = NULL;
    out->options_n = 0;
    out->payload = bytes_of(NULL, 0);
    struct bytes token;
    if (datagram.len > COAP_MESSAGE_MAX)
        return COAP_PARSE_CAPPED;
    uint32_t token_len = first & 0x0F;
    if (token_len > COAP_TOKEN_MAX && (token_len < 13 || !read_extended(&rest, token_len, &token_len)))
        return COAP_PARSE_MALFORMED; /* RFC 8974 s.2.1: lengths as those of options */
    if (cursor_bytes(&rest, token_len, &token) != READ_OK)
        return COAP_PARSE_MALFORMED;
    if (code == COAP_EMPTY)
        return datagram.len == COAP_HEADER_BYTES ? COAP_PARSE_OK : COAP_PARSE_MALFORMED;
    out->token_len = (uint16_t)token.len;
    out->token = token.len == 0 ? NULL : token.at;
    return read_options(out, &rest);
}

enum coap_kind coap_kind_of(uint8_t code)
{
    if (code == COAP_EMPTY)
        return COAP_KIND_EMPTY;
    switch (COAP_CODE_CLASS(code)) {
    case 0:
        return COAP_KIND_REQUEST;
    case 2:
    case 3:
    case 4:
    case 5:
        return COAP_KIND_RESPONSE;
    default:
        return COAP_KIND_RESERVED;
    }
}

const struct coap_option *coap_option_next(const struct coap_message *message, uint16_t number,
                                           uint32_t *from)
{
    for (uint32_t i = *from; i < message->options_n && message->options[i].number <= number; i++) {
        if (message->options[i].number == number) {
            *from = i + 1;
            return &message->options[i];
        }
    }
    *from = message->options_n;
    return NULL;
}

uint32_t coap_uint(struct bytes value)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < value.len && i < 4; i++)
        sum = sum << 8 | value.at[i];
    return sum;
}

bool coap_block_parse(struct bytes value, struct coap_block *out)
{
    uint32_t raw = coap_uint(value);
    uint32_t szx = raw & 7;
    *out = (struct coap_block){.number = raw >> 4, .bytes = 16U << szx, .more = (raw & 8) != 0};
    return szx != 7 && value.len <= 3;
}

uint32_t coap_block_value(const struct coap_block *block)
{
    return block->number << 4 | (block->more ? 8U : 0U) | (uint32_t)(__builtin_ctz(block->bytes) - 4);
}

const char *coap_code_text(uint8_t code, char *to, size_t room)
{
    static const char *const methods[] = {"empty",  "GET",   "POST",  "PUT",
                                          "DELETE", "FETCH", "PATCH", "iPATCH"};
    if (code < sizeof(methods) / sizeof(methods[0]))
        snprintf(to, room, "%s", methods[code]);
    else
        snprintf(to, room, "%u.%02u", (unsigned int)COAP_CODE_CLASS(code),
                 (unsigned int)COAP_CODE_DETAIL(code));
    return to;
}
