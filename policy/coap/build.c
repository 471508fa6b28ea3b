/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/coap/build.h"

#define PAYLOAD_MARKER 0xFF

static void put(struct coap_writer *w, const void *from, size_t n)
{
    if (w->failed || n > w->room - w->len) {
        w->failed = true;
        return;
    }
    if (n != 0)
        memcpy(w->to + w->len, from, n);
    w->len += n;
}

static void put_header(uint8_t *to, enum coap_type type, uint8_t token_nibble, uint8_t code, uint16_t mid)
{
    to[0] = (uint8_t)(0x40 | ((unsigned int)type & 3U) << 4 | token_nibble);
    to[1] = code;
    to[2] = (uint8_t)(mid >> 8);
    to[3] = (uint8_t)mid;
}

/* The nibble for a delta or a length, and the bytes that extend it. */
static uint8_t split(uint32_t value, uint8_t extension[2], size_t *n)
{
    if (value < 13) {
        *n = 0;
        return (uint8_t)value;
    }
    if (value < 269) {
        extension[0] = (uint8_t)(value - 13);
        *n = 1;
        return 13;
    }
    extension[0] = (uint8_t)((value - 269) >> 8);
    extension[1] = (uint8_t)(value - 269);
    *n = 2;
    return 14;
}

/* RFC 8974 s.2.1: 9 to 12 bytes cannot be said without an extension, and 13 is the least with one. */
static uint8_t token_nibble(uint16_t len, uint8_t extension[2], size_t *n)
{
    uint8_t nibble = split(len, extension, n);
    return nibble > COAP_TOKEN_MAX && nibble < 13 ? UINT8_MAX : nibble;
}

void coap_build_start(struct coap_writer *w, uint8_t *to, size_t room, enum coap_type type, uint8_t code,
                      uint16_t mid, const uint8_t *token, uint16_t token_len)
{
    uint8_t header[COAP_HEADER_BYTES], extension[2];
    size_t extension_n;
    uint8_t nibble = token_nibble(token_len, extension, &extension_n);
    *w = (struct coap_writer){.to = to, .room = room, .failed = nibble == UINT8_MAX};
    put_header(header, type, nibble & 0x0F, code, mid);
    put(w, header, sizeof(header));
    put(w, extension, extension_n);
    put(w, token, token_len);
}

void coap_build_option(struct coap_writer *w, uint16_t number, struct bytes value)
{
    uint8_t delta[2], len[2];
    size_t delta_n, len_n;
    if (number < w->last || value.len > UINT16_MAX) {
        w->failed = true;
        return;
    }
    unsigned int high = split(number - w->last, delta, &delta_n);
    unsigned int low = split((uint32_t)value.len, len, &len_n);
    uint8_t first = (uint8_t)(high << 4 | low);
    put(w, &first, 1);
    put(w, delta, delta_n);
    put(w, len, len_n);
    put(w, value.at, value.len);
    w->last = number;
}

void coap_build_uint(struct coap_writer *w, uint16_t number, uint32_t value)
{
    uint8_t raw[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
    size_t skip = 0;
    while (skip < 4 && raw[skip] == 0)
        skip++;
    coap_build_option(w, number, bytes_of(raw + skip, 4 - skip));
}

void coap_build_payload(struct coap_writer *w, struct bytes payload)
{
    static const uint8_t marker = PAYLOAD_MARKER;
    if (payload.len == 0)
        return;
    put(w, &marker, 1);
    put(w, payload.at, payload.len);
}

size_t coap_build_end(const struct coap_writer *w)
{
    return w->failed ? 0 : w->len;
}

size_t coap_build_empty(uint8_t to[COAP_HEADER_BYTES], enum coap_type type, uint16_t mid)
{
    put_header(to, type, 0, COAP_EMPTY, mid);
    return COAP_HEADER_BYTES;
}

void coap_build_retype(uint8_t *message, enum coap_type type, uint16_t mid)
{
    put_header(message, type, message[0] & 0x0F, message[1], mid);
}
