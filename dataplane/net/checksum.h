/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Internet checksum (RFC 1071). Sums are kept in 64 bits over words in memory order and folded at the
 * end: the one's complement sum does not care about byte order, so what comes out is stored as it is. Every
 * piece but the last must have an even length. Pure.
 */
#ifndef DATAPLANE_NET_CHECKSUM_H
#define DATAPLANE_NET_CHECKSUM_H

#include "dataplane/address.h"

#include <stddef.h>

/* `sum` plus the bytes at `at`. */
uint64_t checksum_add(uint64_t sum, const uint8_t *at, size_t n);

/* The same for a multiple of 4 bytes that is known to the compiler: headers. */
static inline uint64_t checksum_add_words(uint64_t sum, const void *at, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        uint32_t word;
        memcpy(&word, (const uint8_t *)at + i, sizeof(word));
        sum += word;
    }
    return sum;
}

/* The pseudo header of TCP, UDP and ICMPv6 (RFC 793 s.3.1, RFC 8200 s.8.1); the family follows from the
 * source. */
static inline uint64_t checksum_pseudo(const struct ip_address *source, const struct ip_address *destination,
                                       uint8_t protocol, uint32_t transport_len)
{
    uint64_t sum = __builtin_bswap32(transport_len) + ((uint64_t)protocol << 24); /* x86: little endian */
    if (ip_address_is_v4(source)) {
        sum = checksum_add_words(sum, source->bytes + 12, 4);
        return checksum_add_words(sum, destination->bytes + 12, 4);
    }
    sum = checksum_add_words(sum, source->bytes, 16);
    return checksum_add_words(sum, destination->bytes, 16);
}

/* Folds to 16 bits, not complemented: 0xffff over a packet whose checksum is good. */
static inline uint16_t checksum_fold(uint64_t sum)
{
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static inline void checksum_store(uint8_t at[2], uint16_t value)
{
    memcpy(at, &value, sizeof(value));
}

#endif
