/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/address.h"

#include <arpa/inet.h>
#include <stdio.h>

#define GROUPS 8u

bool ip_address_in_prefix(const struct ip_address *a, const struct ip_address *prefix, unsigned int bits)
{
    if (bits > 128)
        return false;
    if (memcmp(a->bytes, prefix->bytes, bits / 8) != 0)
        return false;
    if (bits % 8 == 0)
        return true;
    unsigned int mask = 0xffu << (8 - bits % 8);
    return ((a->bytes[bits / 8] ^ prefix->bytes[bits / 8]) & mask & 0xffu) == 0;
}

bool ip_address_parse(const char *text, struct ip_address *out)
{
    struct in_addr v4;
    struct ip_address v6;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        *out = ip_address_v4(ntohl(v4.s_addr));
        return true;
    }
    if (inet_pton(AF_INET6, text, v6.bytes) == 1) {
        *out = v6;
        return true;
    }
    return false;
}

/* The first of the longest runs of zero groups; runs of one are not shortened (RFC 5952 s.4.2.2, 4.2.3). */
static void longest_zeros(const uint16_t group[GROUPS], unsigned int *start, unsigned int *length)
{
    *start = GROUPS;
    *length = 1;
    for (unsigned int i = 0; i < GROUPS;) {
        unsigned int n = 0;
        while (i + n < GROUPS && group[i + n] == 0)
            n++;
        if (n > *length) {
            *start = i;
            *length = n;
        }
        i += n + 1;
    }
}

const char *ip_address_format(const struct ip_address *a, char text[IP_ADDRESS_TEXT])
{
    uint16_t group[GROUPS];
    unsigned int start, length;
    size_t at = 0;

    if (ip_address_is_v4(a)) {
        snprintf(text, IP_ADDRESS_TEXT, "%u.%u.%u.%u", a->bytes[12], a->bytes[13], a->bytes[14],
                 a->bytes[15]);
        return text;
    }
    for (unsigned int i = 0; i < GROUPS; i++)
        group[i] = (uint16_t)(a->bytes[2 * i] << 8 | a->bytes[2 * i + 1]);
    longest_zeros(group, &start, &length);
    for (unsigned int i = 0; i < GROUPS; i++) {
        if (i == start) {
            at += (size_t)snprintf(text + at, IP_ADDRESS_TEXT - at, "::");
            i += length - 1;
            continue;
        }
        const char *colon = i == 0 || (start < GROUPS && i == start + length) ? "" : ":";
        at += (size_t)snprintf(text + at, IP_ADDRESS_TEXT - at, "%s%x", colon, group[i]);
    }
    return text;
}
