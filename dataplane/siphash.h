/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SipHash-c-d (Aumasson and Bernstein, 2012): a keyed hash for short inputs. 2-4 where an outsider must not
 * predict the result (sequence numbers, cookies), 1-3 where he must only not choose collisions (tables).
 * Pure; a header so that constant lengths unroll.
 */
#ifndef DATAPLANE_SIPHASH_H
#define DATAPLANE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct siphash_key {
    uint64_t k0;
    uint64_t k1;
};

struct siphash_state {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t siphash_rotate(uint64_t x, unsigned int n)
{
    return (x << n) | (x >> (64 - n));
}

static inline void siphash_rounds(struct siphash_state *s, unsigned int n)
{
    while (n-- > 0) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = siphash_rotate(s->v1, 13) ^ s->v0;
        s->v3 = siphash_rotate(s->v3, 16) ^ s->v2;
        s->v0 = siphash_rotate(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = siphash_rotate(s->v1, 17) ^ s->v2;
        s->v3 = siphash_rotate(s->v3, 21) ^ s->v0;
        s->v2 = siphash_rotate(s->v2, 32);
    }
}

/* `bytes` as two little-endian words, as the paper's test vectors take them. */
static inline struct siphash_key siphash_key_of(const uint8_t bytes[16])
{
    struct siphash_key key;
    memcpy(&key.k0, bytes, 8);
    memcpy(&key.k1, bytes + 8, 8);
    return key;
}

static inline uint64_t siphash(struct siphash_key key, const void *data, size_t n, unsigned int compressions,
                               unsigned int finals)
{
    struct siphash_state s = {key.k0 ^ 0x736f6d6570736575u, key.k1 ^ 0x646f72616e646f6du,
                              key.k0 ^ 0x6c7967656e657261u, key.k1 ^ 0x7465646279746573u};
    const uint8_t *p = data;
    uint64_t word;

    for (size_t left = n; left >= 8; left -= 8, p += 8) {
        memcpy(&word, p, 8);
        s.v3 ^= word;
        siphash_rounds(&s, compressions);
        s.v0 ^= word;
    }
    word = (uint64_t)n << 56;
    for (size_t i = 0; i < n % 8; i++)
        word |= (uint64_t)p[i] << (8 * i);
    s.v3 ^= word;
    siphash_rounds(&s, compressions);
    s.v0 ^= word;
    s.v2 ^= 0xff;
    siphash_rounds(&s, finals);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

static inline uint64_t siphash_2_4(struct siphash_key key, const void *data, size_t n)
{
    return siphash(key, data, n, 2, 4);
}

static inline uint64_t siphash_1_3(struct siphash_key key, const void *data, size_t n)
{
    return siphash(key, data, n, 1, 3);
}

#endif
