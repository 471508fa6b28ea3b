/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/net/checksum.h"

#include <emmintrin.h>

/* Adds 32-bit words into 64-bit lanes, so that no carry can get lost in any packet; 32 bytes at a time. */
static uint64_t add_blocks(uint64_t sum, const uint8_t *at, size_t blocks)
{
    const __m128i zero = _mm_setzero_si128();
    __m128i lanes[4] = {zero, zero, zero, zero};
    for (; blocks > 0; blocks--, at += 32) {
        __m128i low = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(at + 16));
        lanes[0] = _mm_add_epi64(lanes[0], _mm_unpacklo_epi32(low, zero));
        lanes[1] = _mm_add_epi64(lanes[1], _mm_unpackhi_epi32(low, zero));
        lanes[2] = _mm_add_epi64(lanes[2], _mm_unpacklo_epi32(high, zero));
        lanes[3] = _mm_add_epi64(lanes[3], _mm_unpackhi_epi32(high, zero));
    }
    __m128i all = _mm_add_epi64(_mm_add_epi64(lanes[0], lanes[1]), _mm_add_epi64(lanes[2], lanes[3]));
    all = _mm_add_epi64(all, _mm_unpackhi_epi64(all, all));
    return sum + (uint64_t)_mm_cvtsi128_si64(all);
}

uint64_t checksum_add(uint64_t sum, const uint8_t *at, size_t n)
{
    if (n >= 32) {
        sum = add_blocks(sum, at, n / 32);
        at += n & ~(size_t)31;
        n &= 31;
    }
    if (n >= 16) {
        sum = checksum_add_words(sum, at, 16);
        at += 16;
        n -= 16;
    }
    if (n >= 8) {
        sum = checksum_add_words(sum, at, 8);
        at += 8;
        n -= 8;
    }
    if (n >= 4) {
        sum = checksum_add_words(sum, at, 4);
        at += 4;
        n -= 4;
    }
    if (n >= 2) {
        uint16_t half;
        memcpy(&half, at, 2);
        sum += half;
        at += 2;
        n -= 2;
    }
    return n > 0 ? sum + at[0] : sum; /* the missing byte counts as zero; x86 is little endian */
}
