/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hash of short texts for tables that are built once from the operator's policy and then only looked up.
 * Peers choose what is looked up, never what is stored, and every find is compared byte by byte: what a
 * lookup costs is bounded by the longest run of occupied slots, which the builder of the table sees and can
 * change by the seed. Pure.
 */
#ifndef POLICY_ACCESS_HASH_H
#define POLICY_ACCESS_HASH_H

#include "policy/bytes.h"

#define HASH_ODD_1 UINT64_C(0x9E3779B97F4A7C15)
#define HASH_ODD_2 UINT64_C(0xC2B2AE3D27D4EB4F)

static inline uint64_t hash_load64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint32_t hash_load32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

/* Both halves of the product, so that every bit of either factor reaches every bit of the result. */
static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_bytes(const uint8_t *at, size_t len, uint64_t seed)
{
    uint64_t h = seed + len * HASH_ODD_1, first = 0, last = 0;
    while (len > 16) {
        h = hash_fold(hash_load64(at) ^ HASH_ODD_2, hash_load64(at + 8) ^ h);
        at += 16;
        len -= 16;
    }
    if (len >= 8) {
        first = hash_load64(at);
        last = hash_load64(at + len - 8);
    } else if (len >= 4) {
        first = hash_load32(at);
        last = hash_load32(at + len - 4);
    } else if (len > 0) {
        first = (uint64_t)at[0] << 16 | (uint64_t)at[len / 2] << 8 | at[len - 1];
    }
    return hash_fold(first ^ HASH_ODD_2, last ^ h ^ HASH_ODD_1);
}

/* Whether two words differ at an offset. */
static inline uint64_t hash_differ64(const uint8_t *a, const uint8_t *b, size_t at)
{
    return hash_load64(a + at) ^ hash_load64(b + at);
}

/* Equality of texts of one length, without a call for the short ones. */
static inline bool hash_same(const uint8_t *a, const uint8_t *b, size_t len)
{
    if (len > 32)
        return memcmp(a, b, len) == 0;
    if (len > 16)
        return (hash_differ64(a, b, 0) | hash_differ64(a, b, 8) | hash_differ64(a, b, len - 16) |
                hash_differ64(a, b, len - 8)) == 0;
    if (len >= 8)
        return (hash_differ64(a, b, 0) | hash_differ64(a, b, len - 8)) == 0;
    if (len >= 4)
        return ((hash_load32(a) ^ hash_load32(b)) | (hash_load32(a + len - 4) ^ hash_load32(b + len - 4))) ==
               0;
    for (size_t i = 0; i < len; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

#endif
