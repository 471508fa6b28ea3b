/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/options.h"

#include <string.h>

enum {
    KIND_END = 0,
    KIND_NOP = 1,
    KIND_MSS = 2,
    KIND_SCALE = 3,
    KIND_SACK_PERMITTED = 4,
    KIND_SACK = 5,
    KIND_TIMESTAMP = 8,
};

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static void take_sack(const uint8_t *p, size_t n, struct tcp_options *o)
{
    if (n == 0 || n % 8 != 0)
        return;
    for (; n >= 8 && o->sack_n < TCP_SACK_BLOCKS; p += 8, n -= 8)
        o->sack[o->sack_n++] = (struct tcp_sack_block){.start = get32(p), .end = get32(p + 4)};
}

/* One option's value, n bytes without kind and length. */
static void take(uint8_t kind, const uint8_t *p, size_t n, struct tcp_options *o)
{
    if (kind == KIND_TIMESTAMP && n == 8) {
        o->has_timestamp = true;
        o->ts_value = get32(p);
        o->ts_echo = get32(p + 4);
    } else if (kind == KIND_MSS && n == 2) {
        o->mss = (uint16_t)(p[0] << 8 | p[1]);
    } else if (kind == KIND_SCALE && n == 1) {
        o->has_scale = true;
        o->scale = p[0] < TCP_SCALE_MAX ? p[0] : TCP_SCALE_MAX;
    } else if (kind == KIND_SACK_PERMITTED && n == 0) {
        o->sack_permitted = true;
    } else if (kind == KIND_SACK) {
        take_sack(p, n, o);
    }
}

bool tcp_options_parse(const uint8_t *p, size_t n, struct tcp_options *o)
{
    o->mss = 0;
    o->scale = 0;
    o->sack_n = 0;
    o->has_timestamp = false;
    o->has_scale = false;
    o->sack_permitted = false;
    if (n == 0)
        return true;

    /* The form of RFC 7323 appendix A, on nearly every segment. */
    if (n == 12 && get32(p) == 0x0101080a) {
        o->has_timestamp = true;
        o->ts_value = get32(p + 4);
        o->ts_echo = get32(p + 8);
        return true;
    }
    const uint8_t *end = p + n;
    while (p < end) {
        uint8_t kind = *p++;
        if (kind == KIND_END)
            return true;
        if (kind == KIND_NOP)
            continue;
        if (p == end)
            return false;
        size_t length = *p++;
        if (length < 2 || length - 2 > (size_t)(end - p))
            return false;
        take(kind, p, length - 2, o);
        p += length - 2;
    }
    return true;
}

uint8_t tcp_options_put_mss(uint8_t *p, uint16_t mss)
{
    p[0] = KIND_MSS;
    p[1] = 4;
    p[2] = (uint8_t)(mss >> 8);
    p[3] = (uint8_t)mss;
    return 4;
}

uint8_t tcp_options_put_scale(uint8_t *p, uint8_t scale)
{
    p[0] = KIND_NOP;
    p[1] = KIND_SCALE;
    p[2] = 3;
    p[3] = scale;
    return 4;
}

uint8_t tcp_options_put_sack_permitted(uint8_t *p)
{
    p[0] = KIND_NOP;
    p[1] = KIND_NOP;
    p[2] = KIND_SACK_PERMITTED;
    p[3] = 2;
    return 4;
}

uint8_t tcp_options_put_timestamp(uint8_t *p, uint32_t value, uint32_t echo)
{
    p[0] = KIND_NOP;
    p[1] = KIND_NOP;
    p[2] = KIND_TIMESTAMP;
    p[3] = 10;
    put32(p + 4, value);
    put32(p + 8, echo);
    return 12;
}

uint8_t tcp_options_put_sack(uint8_t *p, const struct tcp_sack_block *blocks, unsigned int n)
{
    p[0] = KIND_NOP;
    p[1] = KIND_NOP;
    p[2] = KIND_SACK;
    p[3] = (uint8_t)(2 + 8 * n);
    for (unsigned int i = 0; i < n; i++) {
        put32(p + 4 + 8 * i, blocks[i].start);
        put32(p + 8 + 8 * i, blocks[i].end);
    }
    return (uint8_t)(4 + 8 * n);
}
