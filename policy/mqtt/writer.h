/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cursor's counterpart for building packets: appends to a buffer, remembers when room or a field's range
 * did not suffice, and then writes nothing more. Integers are big-endian.
 */
#ifndef POLICY_MQTT_WRITER_H
#define POLICY_MQTT_WRITER_H

#include "policy/bytes.h"

struct writer {
    uint8_t *at;
    size_t left;
    bool failed;
};

/* Takes `n` bytes of room; false, for good, when there are not so many. */
static inline bool writer_claim(struct writer *w, size_t n)
{
    if (n > w->left)
        w->failed = true;
    if (w->failed)
        return false;
    w->left -= n;
    return true;
}

static inline void writer_u8(struct writer *w, uint8_t value)
{
    if (writer_claim(w, 1))
        *w->at++ = value;
}

static inline void writer_u16(struct writer *w, uint16_t value)
{
    if (!writer_claim(w, 2))
        return;
    w->at[0] = (uint8_t)(value >> 8);
    w->at[1] = (uint8_t)value;
    w->at += 2;
}

static inline void writer_u32(struct writer *w, uint32_t value)
{
    writer_u16(w, (uint16_t)(value >> 16));
    writer_u16(w, (uint16_t)value);
}

static inline void writer_bytes(struct writer *w, struct bytes value)
{
    if (value.len == 0 || !writer_claim(w, value.len))
        return;
    memcpy(w->at, value.at, value.len);
    w->at += value.len;
}

/* A 16-bit length and the bytes; longer ones cannot be said and fail. */
static inline void writer_block16(struct writer *w, struct bytes value)
{
    if (value.len > UINT16_MAX)
        w->failed = true;
    writer_u16(w, (uint16_t)value.len);
    writer_bytes(w, value);
}

static inline size_t vbi_size(size_t value)
{
    return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : 4;
}

/* In the fewest bytes; above VBI_MAX it cannot be said and fails. */
static inline void writer_vbi(struct writer *w, size_t value)
{
    if (value > VBI_MAX)
        w->failed = true;
    for (; value >= 0x80; value >>= 7)
        writer_u8(w, (uint8_t)(value | 0x80));
    writer_u8(w, (uint8_t)value);
}

#endif
