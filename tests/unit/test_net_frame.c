/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames: each base is changed in a byte or two, and cut at every byte. */
#include "tests/unit/net_rig.h"
#include "tests/unit/runner.h"

enum base {
    ARP,
    TCP4,
    UDP4,
    ICMP4,
    OPTIONS4,  /* TCP behind 12 bytes of options: no-op, timestamp of 8, end, padding */
    FRAGMENT4, /* the middle one of a datagram */
    TCP6,
    UDP6,
    CHAIN6, /* TCP behind hop-by-hop, routing (used up), destination options, atomic fragment */
    FRAGMENT6,
    BASES,
};

static const uint8_t options4[12] = {1, 68, 8, 5, 0, 0, 0, 0, 0, 0, 0, 0};
static const uint8_t chain6[32] = {
    43, 0, 1, 4, 0,    0,    0, 0, /* hop-by-hop: PadN */
    60, 0, 2, 0, 0,    0,    0, 0, /* routing, type 2, no segments left */
    44, 0, 5, 2, 0,    0,    1, 0, /* destination options: router alert, Pad1 twice... */
    6,  0, 0, 0, 0xab, 0xcd, 0, 1, /* fragment, offset 0, no more: a whole packet */
};

/* The transport checksum is of the addresses that the builder was given. */
static void build_chained(struct rig_frame *f)
{
    struct rig_frame tcp = {.len = 0};
    frame_tcp(&tcp, "fd20::5", 40000, "fd20::1", 1883, 0x02, "abc", 3);
    frame_ip(f, "fd20::5", "fd20::1", WIRE_PROTOCOL_HOP_BY_HOP, sizeof(chain6) + 23, 0, 64);
    frame_bytes(f, chain6, sizeof(chain6));
    frame_bytes(f, tcp.at + WIRE_IPV6_BYTES, 23);
}

static void fix_ipv4_checksum(struct rig_frame *f)
{
    uint8_t *ip = f->at + frame_network_at(f);
    size_t header = (size_t)(ip[0] & 15) * 4;
    if (header < 20 || header > f->len - frame_network_at(f))
        return;
    checksum_store(ip + 10, 0);
    checksum_store(ip + 10, (uint16_t)~checksum_fold(checksum_add(0, ip, header)));
}

static void build_options4(struct rig_frame *f)
{
    struct rig_frame tcp = {.len = 0};
    frame_tcp(&tcp, "10.20.0.5", 40000, "10.20.0.1", 1883, 0x02, "abc", 3);
    tcp.at[0] = 0x48;
    tcp.at[3] = (uint8_t)(tcp.at[3] + sizeof(options4));
    frame_bytes(f, tcp.at, WIRE_IPV4_BYTES);
    frame_bytes(f, options4, sizeof(options4));
    frame_bytes(f, tcp.at + WIRE_IPV4_BYTES, tcp.len - WIRE_IPV4_BYTES);
    fix_ipv4_checksum(f);
}

static struct rig_frame build(enum base base, uint16_t vlan)
{
    static const uint8_t piece[64];
    static const uint8_t fragment6[8] = {WIRE_PROTOCOL_UDP, 0, 0x00, 0x41, 0, 0, 0, 9};
    struct rig_frame f;
    if (base == ARP)
        return frame_arp(vlan, WIRE_ARP_REQUEST, rig_broadcast, rig_device_mac, "10.20.0.5", rig_broadcast,
                         "10.20.0.1");
    frame_ethernet(&f, rig_gateway_mac, rig_device_mac, vlan, base < TCP6 ? WIRE_TYPE_IPV4 : WIRE_TYPE_IPV6);
    switch (base) {
    case TCP4:
        frame_tcp(&f, "10.20.0.5", 40000, "10.20.0.1", 1883, 0x02, "abc", 3);
        break;
    case UDP4:
        frame_udp(&f, "10.20.0.5", 40000, "10.20.0.1", 5683, "abcde", 5);
        break;
    case ICMP4:
        frame_icmp(&f, "10.20.0.5", "10.20.0.1", WIRE_ICMP_ECHO, 0, 1, "abc", 3, 64);
        break;
    case OPTIONS4:
        build_options4(&f);
        break;
    case FRAGMENT4:
        frame_ip(&f, "10.20.0.5", "10.20.0.1", WIRE_PROTOCOL_UDP, 64, WIRE_IPV4_MORE_FRAGMENTS | 8, 64);
        frame_bytes(&f, piece, 64);
        break;
    case TCP6:
        frame_tcp(&f, "fd20::5", 40000, "fd20::1", 1883, 0x02, "abc", 3);
        break;
    case UDP6:
        frame_udp(&f, "fd20::5", 40000, "fd20::1", 5683, "abcde", 5);
        break;
    case CHAIN6:
        build_chained(&f);
        break;
    default:
        frame_ip(&f, "fd20::5", "fd20::1", WIRE_PROTOCOL_FRAGMENT, 8 + 64, 0, 64);
        frame_bytes(&f, fragment6, 8);
        frame_bytes(&f, piece, 64);
        break;
    }
    return f;
}

/* Parses from memory of exactly that length, so that a sanitizer sees one byte too many. */
static enum frame_outcome parse_exact(const uint8_t *at, size_t len)
{
    struct frame frame;
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    memcpy(copy, at, len);
    enum frame_outcome outcome = frame_parse(&frame, copy, len);
    if (outcome == FRAME_OK && frame.ethertype != WIRE_TYPE_ARP)
        (void)frame_checksum_good(&frame);
    free(copy);
    return outcome;
}

#define PATCHES 3
/* A change `at` bytes behind the start of the network header; of the Ethernet header when negative. */
struct patch {
    int at;
    uint8_t value;
};

static const struct {
    const char *name;
    enum base base;
    bool keep_checksum; /* of the IPv4 header, though it no longer fits */
    struct patch patches[PATCHES];
    uint32_t patches_n;
    enum frame_outcome expected;
} changes[] = {
    {"source MAC is multicast", TCP4, false, {{-8, 0x03}}, 1, FRAME_BAD_SOURCE_MAC},
    {"an Ethertype of nobody", TCP4, false, {{-2, 0x88}, {-1, 0xcc}}, 2, FRAME_UNKNOWN_ETHERTYPE},
    {"802.1ad: a second tag", TCP4, false, {{-2, 0x81}, {-1, 0x00}}, 2, FRAME_UNKNOWN_ETHERTYPE},
    {"RFC 826: hardware is not Ethernet", ARP, false, {{1, 6}}, 1, FRAME_BAD_ARP},
    {"RFC 826: protocol is not IPv4", ARP, false, {{2, 0x86}}, 1, FRAME_BAD_ARP},
    {"RFC 826: hardware length", ARP, false, {{4, 8}}, 1, FRAME_BAD_ARP},
    {"RFC 826: protocol length", ARP, false, {{5, 16}}, 1, FRAME_BAD_ARP},
    {"RFC 791: version 5", TCP4, false, {{0, 0x55}}, 1, FRAME_BAD_IP_HEADER},
    {"RFC 791: header of 16 bytes", TCP4, false, {{0, 0x44}}, 1, FRAME_BAD_IP_HEADER},
    {"RFC 791: header longer than the packet", TCP4, true, {{0, 0x4f}}, 1, FRAME_BAD_IP_HEADER},
    {"RFC 791: total length below the header", TCP4, false, {{3, 19}}, 1, FRAME_BAD_IP_HEADER},
    {"RFC 791: total length one too long", TCP4, false, {{3, 44}}, 1, FRAME_TRUNCATED},
    {"RFC 791: total length 65535", TCP4, false, {{2, 0xff}, {3, 0xff}}, 2, FRAME_TRUNCATED},
    {"RFC 791: header checksum", TCP4, true, {{8, 63}}, 1, FRAME_BAD_IP_CHECKSUM},
    {"RFC 791: reserved flag", TCP4, false, {{6, 0x80}}, 1, FRAME_BAD_IP_HEADER},
    {"RFC 1122 3.2.1.3: from loopback", TCP4, false, {{12, 127}}, 1, FRAME_BAD_SOURCE},
    {"RFC 1122 3.2.1.3: from multicast", TCP4, false, {{12, 224}}, 1, FRAME_BAD_SOURCE},
    {"RFC 1122 3.2.1.3: from broadcast", TCP4, false, {{12, 255}}, 1, FRAME_BAD_SOURCE},
    {"RFC 791: option of length 0", OPTIONS4, false, {{22, 0}}, 1, FRAME_BAD_IP_HEADER},
    {"RFC 791: option of length 1", OPTIONS4, false, {{22, 1}}, 1, FRAME_BAD_IP_HEADER},
    {"RFC 791: option past the header", OPTIONS4, false, {{22, 12}}, 1, FRAME_BAD_IP_HEADER},
    {"RFC 791: option fills the header", OPTIONS4, false, {{22, 11}}, 1, FRAME_OK},
    {"RFC 791: option without length", OPTIONS4, false, {{22, 10}, {31, 68}}, 2, FRAME_BAD_IP_HEADER},
    {"RFC 791: loose source route", OPTIONS4, false, {{21, 131}}, 1, FRAME_SOURCE_ROUTE},
    {"RFC 791: strict source route", OPTIONS4, false, {{21, 137}}, 1, FRAME_SOURCE_ROUTE},
    {"RFC 791: source route behind the end", OPTIONS4, false, {{29, 0}, {30, 131}}, 2, FRAME_OK},
    {"RFC 9293 3.1: data offset 4", TCP4, false, {{32, 0x40}}, 1, FRAME_BAD_TRANSPORT_HEADER},
    {"RFC 9293 3.1: data offset past the end", TCP4, false, {{32, 0x60}}, 1, FRAME_BAD_TRANSPORT_HEADER},
    {"RFC 768: length 7", UDP4, false, {{25, 7}}, 1, FRAME_BAD_TRANSPORT_HEADER},
    {"RFC 768: length past the end", UDP4, false, {{25, 14}}, 1, FRAME_BAD_TRANSPORT_HEADER},
    {"RFC 768: length shorter than the packet", UDP4, false, {{25, 12}}, 1, FRAME_OK},
    {"RFC 791: a fragment not of eights", FRAGMENT4, false, {{3, 83}}, 1, FRAME_BAD_FRAGMENT},
    {"RFC 791: the last fragment may be", FRAGMENT4, false, {{3, 83}, {6, 0}}, 2, FRAME_FRAGMENT},
    {"RFC 791: an empty fragment", FRAGMENT4, false, {{3, 20}}, 1, FRAME_BAD_FRAGMENT},
    {"ping of death", FRAGMENT4, false, {{6, 0x1f}, {7, 0xff}}, 2, FRAME_BAD_FRAGMENT},
    {"RFC 8200: version 4 in an IPv6 frame", TCP6, false, {{0, 0x40}}, 1, FRAME_BAD_IP_HEADER},
    {"RFC 8200: payload one too long", TCP6, false, {{5, 24}}, 1, FRAME_TRUNCATED},
    {"RFC 8200: payload too short for TCP", TCP6, false, {{5, 19}}, 1, FRAME_BAD_TRANSPORT_HEADER},
    {"RFC 4291 2.7: from multicast", TCP6, false, {{8, 0xff}}, 1, FRAME_BAD_SOURCE},
    {"RFC 8200 4.3: hop-by-hop not first", CHAIN6, false, {{40, 0}}, 1, FRAME_BAD_EXTENSION},
    {"RFC 8200 4: extension past the end", CHAIN6, false, {{41, 7}}, 1, FRAME_BAD_EXTENSION},
    {"RFC 8200 4.2: unknown option to discard", CHAIN6, false, {{42, 0x41}}, 1, FRAME_BAD_EXTENSION},
    {"RFC 8200 4.2: unknown option to skip", CHAIN6, false, {{42, 0x21}}, 1, FRAME_OK},
    {"RFC 8200 4.2: option past its header", CHAIN6, false, {{43, 5}}, 1, FRAME_BAD_EXTENSION},
    {"RFC 2675: jumbo payload", CHAIN6, false, {{42, 0xc2}}, 1, FRAME_BAD_EXTENSION},
    {"RFC 5095: routing header with segments left", CHAIN6, false, {{51, 1}}, 1, FRAME_SOURCE_ROUTE},
    {"RFC 6946: atomic fragment", CHAIN6, false, {{64, 6}}, 1, FRAME_OK},
    {"RFC 8200 4.5: behind the atomic: no eights", CHAIN6, false, {{67, 1}}, 1, FRAME_BAD_FRAGMENT},
    {"RFC 8200 4.7: no next header", CHAIN6, false, {{64, 59}}, 1, FRAME_OK},
    {"RFC 8200 4.5: an empty fragment", FRAGMENT6, false, {{5, 8}}, 1, FRAME_BAD_FRAGMENT},
    {"RFC 8200 4.5: not of eights", FRAGMENT6, false, {{5, 71}}, 1, FRAME_BAD_FRAGMENT},
    {"RFC 8200 4.5: past 65535", FRAGMENT6, false, {{42, 0xff}, {43, 0xf9}}, 2, FRAME_BAD_FRAGMENT},
};

static void changed_bytes_have_outcomes(void)
{
    for (size_t i = 0; i < RTE_DIM(changes); i++) {
        struct rig_frame f = build(changes[i].base, 20);
        size_t network = frame_network_at(&f);
        for (uint32_t p = 0; p < changes[i].patches_n; p++)
            f.at[network + (size_t)(ptrdiff_t)changes[i].patches[p].at -
                 (changes[i].patches[p].at < -2 ? 4u : 0u)] = changes[i].patches[p].value;
        if (changes[i].base >= TCP4 && changes[i].base < TCP6 && !changes[i].keep_checksum)
            fix_ipv4_checksum(&f);
        enum frame_outcome outcome = parse_exact(f.at, f.len);
        if (outcome != changes[i].expected)
            fprintf(stderr, "%s: %s\n", changes[i].name, frame_outcome_id(outcome));
        CU_ASSERT(outcome == changes[i].expected);
    }
}

static void good_frames_are_understood(void)
{
    static const struct {
        enum base base;
        enum frame_outcome outcome;
        uint8_t protocol;
        uint32_t transport_len;
    } expected[] = {
        {ARP, FRAME_OK, 0, 0},
        {TCP4, FRAME_OK, WIRE_PROTOCOL_TCP, 23},
        {UDP4, FRAME_OK, WIRE_PROTOCOL_UDP, 13},
        {ICMP4, FRAME_OK, WIRE_PROTOCOL_ICMP, 11},
        {OPTIONS4, FRAME_OK, WIRE_PROTOCOL_TCP, 23},
        {FRAGMENT4, FRAME_FRAGMENT, WIRE_PROTOCOL_UDP, 64},
        {TCP6, FRAME_OK, WIRE_PROTOCOL_TCP, 23},
        {UDP6, FRAME_OK, WIRE_PROTOCOL_UDP, 13},
        {CHAIN6, FRAME_OK, WIRE_PROTOCOL_TCP, 23},
        {FRAGMENT6, FRAME_FRAGMENT, WIRE_PROTOCOL_UDP, 64},
    };
    for (size_t i = 0; i < RTE_DIM(expected); i++) {
        for (uint16_t vlan = 0; vlan <= 20; vlan = (uint16_t)(vlan + 20)) {
            struct rig_frame f = build(expected[i].base, vlan);
            for (size_t padding = 0; padding < 30; padding += 29) { /* Ethernet pads to 60 */
                struct frame frame;
                memset(f.at + f.len, 0xee, padding);
                CU_ASSERT_FATAL(frame_parse(&frame, f.at, f.len + padding) == expected[i].outcome);
                CU_ASSERT(frame.vlan == vlan && frame.protocol == expected[i].protocol);
                CU_ASSERT(frame.transport_len == expected[i].transport_len);
                CU_ASSERT(frame.network == f.at + (vlan == 0 ? 14 : 18));
                if (frame.transport_len > 0 && !frame.fragment) {
                    CU_ASSERT(frame_checksum_good(&frame));
                    f.at[f.len - 1] ^= 1;
                    CU_ASSERT(!frame_checksum_good(&frame));
                    f.at[f.len - 1] ^= 1;
                }
            }
        }
    }
}

static void fields_are_read(void)
{
    struct frame frame;
    struct rig_frame f = build(FRAGMENT4, 20);
    struct ip_address device4 = rig_ip("10.20.0.5");
    struct ip_address device6 = rig_ip("fd20::5");
    struct ip_address gateway6 = rig_ip("fd20::1");
    CU_ASSERT(frame_parse(&frame, f.at, f.len) == FRAME_FRAGMENT);
    CU_ASSERT(frame.fragment && frame.more_fragments);
    CU_ASSERT(frame.fragment_offset == 64 && frame.fragment_id == 0x1234);
    CU_ASSERT(ip_address_equal(&frame.source, &device4) && frame.ttl == 64 && !frame.multicast_mac);
    f = build(FRAGMENT6, 0);
    CU_ASSERT(frame_parse(&frame, f.at, f.len) == FRAME_FRAGMENT);
    CU_ASSERT(frame.fragment_offset == 64 && frame.more_fragments && frame.fragment_id == 9);
    CU_ASSERT(ip_address_equal(&frame.source, &device6) && ip_address_equal(&frame.destination, &gateway6));
    f = build(ARP, 0);
    CU_ASSERT(frame_parse(&frame, f.at, f.len) == FRAME_OK);
    CU_ASSERT(frame.multicast_mac && ip_address_equal(&frame.source, &device4));
}

static void frames_cut_anywhere_are_refused(void)
{
    for (enum base base = 0; base < BASES; base++) {
        for (uint16_t vlan = 0; vlan <= 20; vlan = (uint16_t)(vlan + 20)) {
            struct rig_frame f = build(base, vlan);
            for (size_t len = 0; len < f.len; len++) {
                enum frame_outcome outcome = parse_exact(f.at, len);
                CU_ASSERT(outcome == FRAME_TRUNCATED);
            }
        }
    }
}

static void any_byte_changed_is_survived(void)
{
    for (enum base base = 0; base < BASES; base++) {
        struct rig_frame f = build(base, 20);
        for (size_t at = 0; at < f.len; at++) {
            uint8_t original = f.at[at];
            for (unsigned int value = 0; value < 256; value++) {
                f.at[at] = (uint8_t)value;
                enum frame_outcome outcome = parse_exact(f.at, f.len);
                CU_ASSERT(outcome > FRAME_UNDECIDED && outcome < FRAME_OUTCOME_COUNT);
                if (base < TCP6 && base > ARP) { /* and with a header checksum that fits */
                    struct rig_frame fixed = f;
                    fix_ipv4_checksum(&fixed);
                    parse_exact(fixed.at, fixed.len);
                }
            }
            f.at[at] = original;
        }
    }
}

/* Written by us they mean IPv4, so they must not come from a wire (RFC 4942 s.2.2). */
static void mapped_addresses_are_refused(void)
{
    struct rig_frame f;
    struct frame frame;
    const struct ip_address mapped = ip_address_v4(0x0a140005);
    frame_ethernet(&f, rig_gateway_mac, rig_device_mac, 0, WIRE_TYPE_IPV6);
    frame_tcp(&f, "fd20::5", 1, "fd20::1", 2, 2, NULL, 0);
    struct rig_frame to = f;
    memcpy(f.at + 14 + 8, mapped.bytes, 16);
    CU_ASSERT(frame_parse(&frame, f.at, f.len) == FRAME_BAD_SOURCE);
    memcpy(to.at + 14 + 24, mapped.bytes, 16);
    CU_ASSERT(frame_parse(&frame, to.at, to.len) == FRAME_BAD_IP_HEADER);
    memset(f.at + 14 + 8, 0, 15);
    f.at[14 + 8 + 15] = 1;
    CU_ASSERT(frame_parse(&frame, f.at, f.len) == FRAME_BAD_SOURCE);
}

/* RFC 8504 s.5.3. */
static void chains_of_headers_are_limited(void)
{
    for (size_t count = 0; count < 20; count++) {
        struct rig_frame f;
        struct frame frame;
        frame_ethernet(&f, rig_gateway_mac, rig_device_mac, 0, WIRE_TYPE_IPV6);
        frame_ip(&f, "fd20::5", "fd20::1", count == 0 ? WIRE_PROTOCOL_UDP : WIRE_PROTOCOL_DESTINATION_OPTIONS,
                 count * 8 + 8, 0, 64);
        for (size_t i = 0; i < count; i++) {
            uint8_t header[8] = {i + 1 == count ? WIRE_PROTOCOL_UDP : WIRE_PROTOCOL_DESTINATION_OPTIONS, 0, 1,
                                 4};
            frame_bytes(&f, header, 8);
        }
        frame_bytes(&f, (uint8_t[8]){0, 1, 0, 2, 0, 8, 0, 0}, 8);
        CU_ASSERT(frame_parse(&frame, f.at, f.len) == (count <= 8 ? FRAME_OK : FRAME_BAD_EXTENSION));
    }
}

static void udp_without_checksum(void)
{
    struct frame frame;
    struct rig_frame f = build(UDP4, 0);
    memset(f.at + 14 + 26, 0, 2);
    CU_ASSERT(frame_parse(&frame, f.at, f.len) == FRAME_OK && frame_checksum_good(&frame));
    f = build(UDP6, 0);
    memset(f.at + 14 + 46, 0, 2);
    CU_ASSERT(frame_parse(&frame, f.at, f.len) == FRAME_OK && !frame_checksum_good(&frame));
}

static void outcomes_have_names(void)
{
    for (int i = 0; i < FRAME_OUTCOME_COUNT; i++)
        CU_ASSERT(frame_outcome_id((enum frame_outcome)i) != NULL);
    CU_ASSERT_STRING_EQUAL(frame_outcome_id(FRAME_SOURCE_ROUTE), "source-route");
    CU_ASSERT_STRING_EQUAL(frame_outcome_id((enum frame_outcome)9999), "undecided");
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"good frames, tagged and not, padded and not", good_frames_are_understood},
        {"fields", fields_are_read},
        {"changed bytes and their outcomes", changed_bytes_have_outcomes},
        {"cut at every byte", frames_cut_anywhere_are_refused},
        {"every value of every byte", any_byte_changed_is_survived},
        {"RFC 4942 2.2: mapped and loopback addresses on the wire", mapped_addresses_are_refused},
        {"RFC 8504 5.3: chains of extension headers", chains_of_headers_are_limited},
        {"RFC 8200 8.1: UDP without a checksum", udp_without_checksum},
        {"outcomes have names", outcomes_have_names},
    };
    return unit_run("net/frame", tests, RTE_DIM(tests));
}
