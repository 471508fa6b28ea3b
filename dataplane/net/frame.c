/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/net/frame.h"

#include "dataplane/net/checksum.h"
#include "dataplane/net/wire.h"

/* More headers in a row than anybody sends; each costs time (RFC 8504 s.5.3 asks for such a limit). */
#define EXTENSIONS_MAX 8

static struct ip_address mapped(const struct be32 *wire)
{
    struct ip_address a = {.bytes = {[10] = 0xff, [11] = 0xff}};
    memcpy(a.bytes + 12, wire, 4);
    return a;
}

/* Sources that no packet on a wire may have: loopback, multicast, class E and broadcast (RFC 1122
 * s.3.2.1.3). 0.0.0.0 has uses and is judged by the receiver. */
static bool source_v4_possible(const struct wire_ipv4 *ip)
{
    uint8_t first = ip->source.b[0];
    return first != 127 && first < 224;
}

static bool is_mapped_or_loopback(const uint8_t *address)
{
    static const uint8_t loopback[16] = {[15] = 1};
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address, prefix, sizeof(prefix)) == 0 || memcmp(address, loopback, sizeof(loopback)) == 0;
}

/* RFC 791 s.3.1; source routes are refused (RFC 7126 s.4.3, 4.4), everything else is skipped. */
static enum frame_outcome check_ipv4_options(const uint8_t *at, size_t n)
{
    while (n > 0) {
        if (at[0] == 0)
            return FRAME_OK;
        if (at[0] == 1) {
            at++;
            n--;
            continue;
        }
        if (n < 2 || at[1] < 2 || at[1] > n)
            return FRAME_BAD_IP_HEADER;
        if (at[0] == 131 || at[0] == 137)
            return FRAME_SOURCE_ROUTE;
        n -= at[1];
        at += at[1];
    }
    return FRAME_OK;
}

static enum frame_outcome parse_udp(struct frame *out)
{
    if (out->transport_len < WIRE_UDP_BYTES)
        return FRAME_BAD_TRANSPORT_HEADER;
    const struct wire_udp *udp = (const void *)out->transport;
    uint16_t length = be16_get(udp->length);
    if (length < WIRE_UDP_BYTES || length > out->transport_len)
        return FRAME_BAD_TRANSPORT_HEADER;
    out->transport_len = length;
    return FRAME_OK;
}

static enum frame_outcome parse_transport(struct frame *out)
{
    if (out->protocol == WIRE_PROTOCOL_TCP) {
        if (out->transport_len < WIRE_TCP_BYTES)
            return FRAME_BAD_TRANSPORT_HEADER;
        const struct wire_tcp *tcp = (const void *)out->transport;
        uint32_t header = (uint32_t)(tcp->offset >> 4) * 4;
        return header >= WIRE_TCP_BYTES && header <= out->transport_len ? FRAME_OK
                                                                        : FRAME_BAD_TRANSPORT_HEADER;
    }
    if (out->protocol == WIRE_PROTOCOL_UDP)
        return parse_udp(out);
    if (out->protocol == WIRE_PROTOCOL_ICMP || out->protocol == WIRE_PROTOCOL_ICMPV6)
        return out->transport_len >= WIRE_ICMP_BYTES ? FRAME_OK : FRAME_BAD_TRANSPORT_HEADER;
    return FRAME_OK;
}

/* A fragment's place in its packet; `out->transport_len` is its piece. */
static enum frame_outcome check_fragment(const struct frame *out)
{
    if (out->transport_len == 0 || (out->more_fragments && out->transport_len % 8 != 0) ||
        out->fragment_offset + out->transport_len > UINT16_MAX)
        return FRAME_BAD_FRAGMENT;
    return FRAME_FRAGMENT;
}

static enum frame_outcome parse_ipv4(struct frame *out, const uint8_t *at, size_t len)
{
    if (len < WIRE_IPV4_BYTES)
        return FRAME_TRUNCATED;
    const struct wire_ipv4 *ip = (const void *)at;
    uint32_t header = (uint32_t)(ip->version_words & 15) * 4;
    uint32_t total = be16_get(ip->length);
    if (ip->version_words >> 4 != 4 || header < WIRE_IPV4_BYTES || total < header)
        return FRAME_BAD_IP_HEADER;
    if (total > len)
        return FRAME_TRUNCATED;
    uint64_t sum = checksum_add_words(0, at, WIRE_IPV4_BYTES);
    if (header > WIRE_IPV4_BYTES)
        sum = checksum_add(sum, at + WIRE_IPV4_BYTES, header - WIRE_IPV4_BYTES);
    if (checksum_fold(sum) != 0xffff)
        return FRAME_BAD_IP_CHECKSUM;
    if (header > WIRE_IPV4_BYTES) {
        enum frame_outcome outcome = check_ipv4_options(at + WIRE_IPV4_BYTES, header - WIRE_IPV4_BYTES);
        if (outcome != FRAME_OK)
            return outcome;
    }
    if (!source_v4_possible(ip))
        return FRAME_BAD_SOURCE;
    out->network_len = total;
    out->transport = at + header;
    out->transport_len = total - header;
    out->protocol = ip->protocol;
    out->ttl = ip->ttl;
    out->traffic_class = ip->traffic_class;
    out->source = mapped(&ip->source);
    out->destination = mapped(&ip->destination);
    uint16_t fragment = be16_get(ip->fragment);
    if ((fragment & 0x8000) != 0) /* reserved, must be zero (RFC 791 s.3.1) */
        return FRAME_BAD_IP_HEADER;
    if ((fragment & (WIRE_IPV4_MORE_FRAGMENTS | WIRE_IPV4_OFFSET_MASK)) == 0)
        return parse_transport(out);
    out->fragment = true;
    out->more_fragments = (fragment & WIRE_IPV4_MORE_FRAGMENTS) != 0;
    out->fragment_offset = (uint16_t)((fragment & WIRE_IPV4_OFFSET_MASK) * 8);
    out->fragment_id = be16_get(ip->id);
    return check_fragment(out);
}

/* RFC 8200 s.4.2: an unknown option whose two highest bits are not zero means that the packet is not to be
 * processed. Jumbo payloads (RFC 2675) are among these. */
static bool options_acceptable(const uint8_t *at, size_t n)
{
    while (n > 0) {
        if (at[0] == 0) {
            at++;
            n--;
            continue;
        }
        if (n < 2 || at[1] > n - 2 || at[0] >> 6 != 0)
            return false;
        n -= 2u + at[1];
        at += 2 + at[1];
    }
    return true;
}

static enum frame_outcome parse_ipv6_fragment(struct frame *out, const uint8_t *at)
{
    const struct wire_ipv6_fragment *header = (const void *)at;
    uint16_t offset = be16_get(header->offset);
    out->protocol = header->next_header;
    out->fragment_offset = (uint16_t)(offset & WIRE_IPV6_OFFSET_MASK);
    out->more_fragments = (offset & WIRE_IPV6_MORE_FRAGMENTS) != 0;
    out->fragment_id = be32_get(header->id);
    /* The only fragment of its packet is a packet (RFC 6946 s.4). */
    out->fragment = out->more_fragments || out->fragment_offset != 0;
    return out->fragment ? FRAME_FRAGMENT : FRAME_OK;
}

/* One extension header of `n` bytes at `at`. */
static enum frame_outcome check_extension(uint8_t type, bool first, const uint8_t *at, size_t n)
{
    switch (type) {
    case WIRE_PROTOCOL_HOP_BY_HOP:
        if (!first)
            return FRAME_BAD_EXTENSION;
        return options_acceptable(at + 2, n - 2) ? FRAME_OK : FRAME_BAD_EXTENSION;
    case WIRE_PROTOCOL_DESTINATION_OPTIONS:
        return options_acceptable(at + 2, n - 2) ? FRAME_OK : FRAME_BAD_EXTENSION;
    default: /* a routing header that has not been used up asks us to forward (RFC 5095, RFC 8200 s.4.4) */
        return at[3] == 0 ? FRAME_OK : FRAME_SOURCE_ROUTE;
    }
}

/* Walks the header chain from out->protocol on; `at` is what follows the fixed header. */
static enum frame_outcome walk_extensions(struct frame *out, const uint8_t *at, size_t n)
{
    for (unsigned int count = 0; count <= EXTENSIONS_MAX; count++) {
        uint8_t type = out->protocol;
        out->transport = at;
        out->transport_len = (uint32_t)n;
        if (type != WIRE_PROTOCOL_HOP_BY_HOP && type != WIRE_PROTOCOL_ROUTING &&
            type != WIRE_PROTOCOL_FRAGMENT && type != WIRE_PROTOCOL_DESTINATION_OPTIONS)
            return parse_transport(out);
        if (n < 8)
            return FRAME_BAD_EXTENSION;
        size_t header = 8;
        enum frame_outcome outcome;
        if (type == WIRE_PROTOCOL_FRAGMENT) {
            outcome = parse_ipv6_fragment(out, at);
        } else {
            header = ((size_t)at[1] + 1) * 8;
            if (header > n)
                return FRAME_BAD_EXTENSION;
            outcome = check_extension(type, count == 0, at, header);
            out->protocol = at[0];
        }
        at += header;
        n -= header;
        if (outcome == FRAME_FRAGMENT) {
            out->transport = at;
            out->transport_len = (uint32_t)n;
            return check_fragment(out);
        }
        if (outcome != FRAME_OK)
            return outcome;
    }
    return FRAME_BAD_EXTENSION;
}

static enum frame_outcome parse_ipv6(struct frame *out, const uint8_t *at, size_t len)
{
    if (len < WIRE_IPV6_BYTES)
        return FRAME_TRUNCATED;
    const struct wire_ipv6 *ip = (const void *)at;
    uint32_t first = be32_get(ip->version_class_flow);
    uint32_t payload = be16_get(ip->payload_len);
    if (first >> 28 != 6)
        return FRAME_BAD_IP_HEADER;
    if (payload > len - WIRE_IPV6_BYTES)
        return FRAME_TRUNCATED;
    /* The mapped form is how we write IPv4: on the wire it would be taken for it (RFC 4942 s.2.2). */
    if (ip->source[0] == 0xff || is_mapped_or_loopback(ip->source))
        return FRAME_BAD_SOURCE;
    if (is_mapped_or_loopback(ip->destination))
        return FRAME_BAD_IP_HEADER;
    out->network_len = WIRE_IPV6_BYTES + payload;
    out->protocol = ip->next_header;
    out->ttl = ip->hop_limit;
    out->traffic_class = (uint8_t)(first >> 20);
    memcpy(out->source.bytes, ip->source, 16);
    memcpy(out->destination.bytes, ip->destination, 16);
    return walk_extensions(out, at + WIRE_IPV6_BYTES, payload);
}

static enum frame_outcome parse_arp(struct frame *out, const uint8_t *at, size_t len)
{
    if (len < sizeof(struct wire_arp))
        return FRAME_TRUNCATED;
    const struct wire_arp *arp = (const void *)at;
    if (be16_get(arp->hardware) != 1 || be16_get(arp->protocol) != WIRE_TYPE_IPV4 || arp->hardware_len != 6 ||
        arp->protocol_len != 4)
        return FRAME_BAD_ARP;
    out->network_len = sizeof(*arp);
    out->source = mapped(&arp->sender);
    out->destination = mapped(&arp->target);
    return FRAME_OK;
}

static bool mac_possible_source(const uint8_t mac[6])
{
    return (mac[0] & 1) == 0 && (mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]) != 0;
}

enum frame_outcome frame_parse(struct frame *out, const uint8_t *at, size_t len)
{
    if (len < WIRE_ETHERNET_BYTES)
        return FRAME_TRUNCATED;
    const struct wire_ethernet *ethernet = (const void *)at;
    if (!mac_possible_source(ethernet->source))
        return FRAME_BAD_SOURCE_MAC;
    out->ethernet = at;
    out->multicast_mac = (ethernet->destination[0] & 1) != 0;
    out->ethertype = be16_get(ethernet->type);
    out->vlan = 0;
    out->protocol = 0;
    out->ttl = 0;
    out->traffic_class = 0;
    out->fragment = false;
    out->more_fragments = false;
    out->fragment_offset = 0;
    out->fragment_id = 0;
    at += WIRE_ETHERNET_BYTES;
    len -= WIRE_ETHERNET_BYTES;
    if (out->ethertype == WIRE_TYPE_VLAN) {
        if (len < WIRE_VLAN_BYTES)
            return FRAME_TRUNCATED;
        const struct wire_vlan *tag = (const void *)at;
        out->vlan = be16_get(tag->control) & 0xfff;
        out->ethertype = be16_get(tag->type);
        at += WIRE_VLAN_BYTES;
        len -= WIRE_VLAN_BYTES;
    }
    out->network = at;
    out->network_len = 0;
    out->transport = at;
    out->transport_len = 0;
    switch (out->ethertype) {
    case WIRE_TYPE_IPV4:
        return parse_ipv4(out, at, len);
    case WIRE_TYPE_IPV6:
        return parse_ipv6(out, at, len);
    case WIRE_TYPE_ARP:
        return parse_arp(out, at, len);
    default: /* a second tag ends here too: nobody is behind one */
        return FRAME_UNKNOWN_ETHERTYPE;
    }
}

bool frame_checksum_good(const struct frame *frame)
{
    uint64_t sum = 0;
    if (frame->protocol == WIRE_PROTOCOL_UDP) {
        const struct wire_udp *udp = (const void *)frame->transport;
        if (udp->checksum[0] == 0 && udp->checksum[1] == 0)
            return ip_address_is_v4(&frame->source); /* none: only IPv4 may (RFC 8200 s.8.1) */
    }
    if (frame->protocol != WIRE_PROTOCOL_ICMP)
        sum = checksum_pseudo(&frame->source, &frame->destination, frame->protocol, frame->transport_len);
    return checksum_fold(checksum_add(sum, frame->transport, frame->transport_len)) == 0xffff;
}

const char *frame_outcome_id(enum frame_outcome outcome)
{
#define FRAME_OUTCOME_TEXT(name, id) [FRAME_##name] = id,
    static const char *const ids[FRAME_OUTCOME_COUNT] = {FRAME_OUTCOME_TABLE(FRAME_OUTCOME_TEXT)};
#undef FRAME_OUTCOME_TEXT
    return (unsigned int)outcome < FRAME_OUTCOME_COUNT ? ids[outcome] : ids[FRAME_UNDECIDED];
}
