/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Borrowed bytes and the cursor that reads them.
 *
 * A `struct bytes` never owns what it points at; its lifetime is that of the buffer it was cut from, which
 * for decoded packets is one call of the relay. A `struct cursor` is the only thing in this room that moves
 * over untrusted input. Every reader compares the wanted length with what is left (never pointer plus length
 * with the end) and leaves the cursor untouched unless it answers READ_OK. Integers are big-endian (MQTT 5.0
 * s.1.5.2, RFC 7252 s.3).
 *
 * READ_NEED_MORE comes from here alone: a reader of a body whose length is known turns it into "malformed".
 */
#ifndef POLICY_BYTES_H
#define POLICY_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *at;
    size_t len;
};

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

enum read_result {
    READ_MALFORMED = 0,
    READ_NEED_MORE,
    READ_OK,
};

static inline struct bytes bytes_of(const void *at, size_t len)
{
    return (struct bytes){.at = at, .len = len};
}

static inline struct bytes bytes_of_text(const char *text)
{
    return bytes_of(text, strlen(text));
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* As memcmp, and of two that begin alike the shorter first. */
static inline int bytes_order(struct bytes a, struct bytes b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter == 0 ? 0 : memcmp(a.at, b.at, shorter);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static inline struct cursor cursor_of(struct bytes b)
{
    return (struct cursor){.at = b.at, .end = b.len == 0 ? b.at : b.at + b.len};
}

static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

static inline enum read_result cursor_u8(struct cursor *c, uint8_t *value)
{
    if (cursor_left(c) < 1)
        return READ_NEED_MORE;
    *value = *c->at++;
    return READ_OK;
}

static inline enum read_result cursor_u16(struct cursor *c, uint16_t *value)
{
    if (cursor_left(c) < 2)
        return READ_NEED_MORE;
    *value = (uint16_t)((c->at[0] << 8) | c->at[1]);
    c->at += 2;
    return READ_OK;
}

static inline enum read_result cursor_u32(struct cursor *c, uint32_t *value)
{
    if (cursor_left(c) < 4)
        return READ_NEED_MORE;
    *value = ((uint32_t)c->at[0] << 24) | ((uint32_t)c->at[1] << 16) | ((uint32_t)c->at[2] << 8) | c->at[3];
    c->at += 4;
    return READ_OK;
}

static inline enum read_result cursor_bytes(struct cursor *c, size_t len, struct bytes *value)
{
    if (cursor_left(c) < len)
        return READ_NEED_MORE;
    *value = bytes_of(c->at, len);
    if (len != 0)
        c->at += len;
    return READ_OK;
}

/* A 16-bit length and that many bytes. */
static inline enum read_result cursor_block16(struct cursor *c, struct bytes *value)
{
    struct cursor ahead = *c;
    uint16_t len;
    if (cursor_u16(&ahead, &len) != READ_OK || cursor_bytes(&ahead, len, value) != READ_OK)
        return READ_NEED_MORE;
    *c = ahead;
    return READ_OK;
}

/* A Variable Byte Integer (MQTT 5.0 s.1.5.5): at most four bytes, and no more than the value needs. */
#define VBI_BYTES_MAX 4
#define VBI_MAX UINT32_C(268435455)

static inline enum read_result cursor_vbi(struct cursor *c, uint32_t *value)
{
    size_t left = cursor_left(c);
    uint32_t sum = 0;
    for (unsigned int i = 0; i < VBI_BYTES_MAX; i++) {
        if (i >= left)
            return READ_NEED_MORE;
        uint8_t byte = c->at[i];
        sum |= (uint32_t)(byte & 0x7F) << (7 * i);
        if (byte < 0x80) {
            if (byte == 0 && i != 0)
                return READ_MALFORMED;
            c->at += i + 1;
            *value = sum;
            return READ_OK;
        }
    }
    return READ_MALFORMED;
}

#endif
