/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/net/checksum.h"

#include <emmintrin.h>

/* Adds 32-bit words into two 64-bit lanes: no carry can get lost in any packet. */
static uint64_t add_blocks(uint64_t sum, const uint8_t *at, size_t blocks)
{
    const __m128i low_halves = _mm_set_epi32(0, -1, 0, -1);
    __m128i a = _mm_setzero_si128();
    __m128i b = _mm_setzero_si128();
    for (; blocks > 0; blocks--, at += 16) {
        __m128i words = _mm_loadu_si128((const __m128i *)(const void *)at);
        a = _mm_add_epi64(a, _mm_and_si128(words, low_halves));
        b = _mm_add_epi64(b, _mm_srli_epi64(words, 32));
    }
    a = _mm_add_epi64(a, b);
    a = _mm_add_epi64(a, _mm_unpackhi_epi64(a, a));
    return sum + (uint64_t)_mm_cvtsi128_si64(a);
}

uint64_t checksum_add(uint64_t sum, const uint8_t *at, size_t n)
{
    if (n >= 16) {
        sum = add_blocks(sum, at, n / 16);
        at += n & ~(size_t)15;
        n &= 15;
    }
    if (n >= 8) {
        uint32_t words[2];
        memcpy(words, at, 8);
        sum += (uint64_t)words[0] + words[1];
        at += 8;
        n -= 8;
    }
    if (n >= 4) {
        uint32_t word;
        memcpy(&word, at, 4);
        sum += word;
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

uint64_t checksum_pseudo(const struct ip_address *source, const struct ip_address *destination,
                         uint8_t protocol, uint32_t transport_len)
{
    bool v4 = ip_address_is_v4(source);
    size_t skip = v4 ? 12 : 0;
    uint8_t tail[8] = {(uint8_t)(transport_len >> 24),
                       (uint8_t)(transport_len >> 16),
                       (uint8_t)(transport_len >> 8),
                       (uint8_t)transport_len,
                       0,
                       0,
                       0,
                       protocol};
    uint64_t sum = checksum_add(0, source->bytes + skip, 16 - skip);
    sum = checksum_add(sum, destination->bytes + skip, 16 - skip);
    return checksum_add(sum, tail, sizeof(tail));
}
