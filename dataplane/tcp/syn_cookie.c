/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/tcp/syn_cookie.h"

#include "dataplane/tcp/isn.h"

#define PERIOD_US UINT64_C(64000000)
#define COUNT_BITS 5u
#define SIZES_BITS 3u
#define HASH_BITS 24u
#define COUNT_MASK ((1u << COUNT_BITS) - 1)
#define SIZES_MASK ((1u << SIZES_BITS) - 1)
#define HASH_MASK ((1u << HASH_BITS) - 1)

#define STAMP_MASK 0x3fu
#define STAMP_NO_SCALE 0x0fu
#define STAMP_SACK 0x10u

static const uint16_t sizes[1u << SIZES_BITS] = {64, 256, 536, 1024, 1220, 1360, 1440, 1460};

struct cookie_input {
    struct flow_key key;
    uint32_t irs;
    uint32_t count;
    uint32_t size;
    uint32_t zero; /* no hidden padding */
};

static uint32_t hash_of(const struct tcp_endpoint *tcp, const struct flow_key *key, uint32_t irs,
                        uint32_t count, uint32_t size)
{
    struct cookie_input input = {.key = *key, .irs = irs, .count = count, .size = size};
    return (uint32_t)siphash_2_4(tcp->cookie_key, &input, sizeof(input)) & HASH_MASK;
}

static uint32_t count_of(const struct tcp_endpoint *tcp)
{
    return (uint32_t)(tcp->now_us / PERIOD_US);
}

uint32_t tcp_syn_cookie_make(const struct tcp_endpoint *tcp, const struct flow_key *key, uint32_t irs,
                             uint16_t mss)
{
    uint32_t size = 0, count = count_of(tcp);
    while (size < SIZES_MASK && sizes[size + 1] <= mss)
        size++;
    return (count & COUNT_MASK) << (SIZES_BITS + HASH_BITS) | size << HASH_BITS |
           hash_of(tcp, key, irs, count, size);
}

uint32_t tcp_syn_cookie_timestamp(const struct tcp_endpoint *tcp, const struct flow_key *key,
                                  const struct tcp_options *syn)
{
    uint32_t now = tcp->now_ms + tcp_isn_timestamp_offset(tcp, key);
    uint32_t bits = syn->has_scale ? syn->scale : STAMP_NO_SCALE;
    if (syn->sack_permitted)
        bits |= STAMP_SACK;
    uint32_t stamp = (now & ~STAMP_MASK) | bits;
    return seq_lt(now, stamp) ? stamp - (STAMP_MASK + 1) : stamp;
}

bool tcp_syn_cookie_check(const struct tcp_endpoint *tcp, const struct flow_key *key, uint32_t irs,
                          uint32_t iss, const struct tcp_options *options, struct tcp_cookie *out)
{
    uint32_t now = count_of(tcp);
    uint32_t size = iss >> HASH_BITS & SIZES_MASK;
    uint32_t age = (now - (iss >> (SIZES_BITS + HASH_BITS))) & COUNT_MASK;

    if (age > 1 || hash_of(tcp, key, irs, now - age, size) != (iss & HASH_MASK))
        return false;
    *out = (struct tcp_cookie){.mss = sizes[size], .has_timestamp = options->has_timestamp};
    if (options->has_timestamp) {
        uint8_t scale = options->ts_echo & STAMP_NO_SCALE;
        out->has_scale = scale <= TCP_SCALE_MAX;
        out->scale = out->has_scale ? scale : 0;
        out->sack_permitted = (options->ts_echo & STAMP_SACK) != 0;
    }
    return true;
}
