/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses and the key of a flow. IPv4 addresses are kept in their IPv4-mapped form (::ffff:a.b.c.d, RFC
 * 4291 s.2.5.5.2), so that one key and one table serve both families. Ports are in host order. Pure.
 */
#ifndef DATAPLANE_ADDRESS_H
#define DATAPLANE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct ip_address {
    uint8_t bytes[16];
};

/* Longest text form, with its NUL. */
#define IP_ADDRESS_TEXT 46

static inline struct ip_address ip_address_v4(uint32_t host_order)
{
    struct ip_address a = {.bytes = {[10] = 0xff,
                                     [11] = 0xff,
                                     [12] = (uint8_t)(host_order >> 24),
                                     [13] = (uint8_t)(host_order >> 16),
                                     [14] = (uint8_t)(host_order >> 8),
                                     [15] = (uint8_t)host_order}};
    return a;
}

static inline bool ip_address_is_v4(const struct ip_address *a)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(a->bytes, prefix, sizeof(prefix)) == 0;
}

static inline uint32_t ip_address_to_v4(const struct ip_address *a)
{
    return ((uint32_t)a->bytes[12] << 24) | ((uint32_t)a->bytes[13] << 16) | ((uint32_t)a->bytes[14] << 8) |
           a->bytes[15];
}

static inline bool ip_address_equal(const struct ip_address *a, const struct ip_address *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* The first `bits` bits are the same; for IPv4 add 96. */
bool ip_address_in_prefix(const struct ip_address *a, const struct ip_address *prefix, unsigned int bits);
/* Parses "10.0.0.1" or "fd00::1"; false and untouched when it is neither. */
bool ip_address_parse(const char *text, struct ip_address *out);
/* Writes the text form (RFC 5952 for IPv6) and returns `text`. */
const char *ip_address_format(const struct ip_address *a, char text[IP_ADDRESS_TEXT]);

/* One side of the gateway's view of a transport flow. `interface` keeps VLANs with equal addresses apart. */
struct flow_key {
    struct ip_address local;
    struct ip_address remote;
    uint16_t local_port;
    uint16_t remote_port;
    uint16_t interface;
    uint16_t protocol; /* 6 TCP, 17 UDP */
};

#endif
