/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Headers as they lie on the wire. Multi-byte fields are structs of bytes in network order, so that no field
 * can be read without saying be16_get or be32_get, every struct has alignment 1, and a pointer to one may
 * point anywhere into a packet. Pure.
 */
#ifndef DATAPLANE_NET_WIRE_H
#define DATAPLANE_NET_WIRE_H

#include <stdint.h>

struct be16 {
    uint8_t b[2];
};

struct be32 {
    uint8_t b[4];
};

static inline uint16_t be16_get(struct be16 v)
{
    return (uint16_t)((v.b[0] << 8) | v.b[1]);
}

static inline struct be16 be16_make(uint32_t v)
{
    return (struct be16){{(uint8_t)(v >> 8), (uint8_t)v}};
}

static inline uint32_t be32_get(struct be32 v)
{
    return ((uint32_t)v.b[0] << 24) | ((uint32_t)v.b[1] << 16) | ((uint32_t)v.b[2] << 8) | v.b[3];
}

static inline struct be32 be32_make(uint32_t v)
{
    return (struct be32){{(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v}};
}

#define WIRE_TYPE_IPV4 0x0800
#define WIRE_TYPE_ARP 0x0806
#define WIRE_TYPE_VLAN 0x8100
#define WIRE_TYPE_IPV6 0x86dd

#define WIRE_PROTOCOL_HOP_BY_HOP 0
#define WIRE_PROTOCOL_ICMP 1
#define WIRE_PROTOCOL_TCP 6
#define WIRE_PROTOCOL_UDP 17
#define WIRE_PROTOCOL_ROUTING 43
#define WIRE_PROTOCOL_FRAGMENT 44
#define WIRE_PROTOCOL_ICMPV6 58
#define WIRE_PROTOCOL_DESTINATION_OPTIONS 60

struct wire_ethernet {
    uint8_t destination[6];
    uint8_t source[6];
    struct be16 type;
};

struct wire_vlan {
    struct be16 control; /* priority, drop eligible, 12 bits of VLAN id */
    struct be16 type;
};

#define WIRE_ARP_REQUEST 1
#define WIRE_ARP_REPLY 2

/* RFC 826, for Ethernet and IPv4. */
struct wire_arp {
    struct be16 hardware;
    struct be16 protocol;
    uint8_t hardware_len;
    uint8_t protocol_len;
    struct be16 operation;
    uint8_t sender_mac[6];
    struct be32 sender;
    uint8_t target_mac[6];
    struct be32 target;
};

#define WIRE_IPV4_DONT_FRAGMENT 0x4000
#define WIRE_IPV4_MORE_FRAGMENTS 0x2000
#define WIRE_IPV4_OFFSET_MASK 0x1fff

struct wire_ipv4 {
    uint8_t version_words;
    uint8_t traffic_class;
    struct be16 length;
    struct be16 id;
    struct be16 fragment;
    uint8_t ttl;
    uint8_t protocol;
    uint8_t checksum[2];
    struct be32 source;
    struct be32 destination;
};

struct wire_ipv6 {
    struct be32 version_class_flow;
    struct be16 payload_len;
    uint8_t next_header;
    uint8_t hop_limit;
    uint8_t source[16];
    uint8_t destination[16];
};

#define WIRE_IPV6_MORE_FRAGMENTS 1u
#define WIRE_IPV6_OFFSET_MASK 0xfff8u

struct wire_ipv6_fragment {
    uint8_t next_header;
    uint8_t reserved;
    struct be16 offset; /* in bytes, the low three bits are flags */
    struct be32 id;
};

struct wire_udp {
    struct be16 source_port;
    struct be16 destination_port;
    struct be16 length;
    uint8_t checksum[2];
};

struct wire_tcp {
    struct be16 source_port;
    struct be16 destination_port;
    struct be32 seq;
    struct be32 ack;
    uint8_t offset; /* words of header in the high four bits */
    uint8_t flags;
    struct be16 window;
    uint8_t checksum[2];
    struct be16 urgent;
};

#define WIRE_ICMP_ECHO_REPLY 0
#define WIRE_ICMP_UNREACHABLE 3
#define WIRE_ICMP_ECHO 8
#define WIRE_ICMP_TIME_EXCEEDED 11
#define WIRE_ICMP_PARAMETER_PROBLEM 12

#define WIRE_ICMPV6_UNREACHABLE 1
#define WIRE_ICMPV6_TOO_BIG 2
#define WIRE_ICMPV6_TIME_EXCEEDED 3
#define WIRE_ICMPV6_PARAMETER_PROBLEM 4
#define WIRE_ICMPV6_LISTENER_QUERY 130
#define WIRE_ICMPV6_ECHO 128
#define WIRE_ICMPV6_ECHO_REPLY 129
#define WIRE_ICMPV6_ROUTER_SOLICITATION 133
#define WIRE_ICMPV6_ROUTER_ADVERTISEMENT 134
#define WIRE_ICMPV6_NEIGHBOR_SOLICITATION 135
#define WIRE_ICMPV6_NEIGHBOR_ADVERTISEMENT 136
#define WIRE_ICMPV6_REDIRECT 137

/* ICMP and ICMPv6; `rest` depends on the type. */
struct wire_icmp {
    uint8_t type;
    uint8_t code;
    uint8_t checksum[2];
    struct be32 rest;
};

#define WIRE_ND_SOURCE_MAC 1
#define WIRE_ND_TARGET_MAC 2

#define WIRE_NA_ROUTER 0x80000000u
#define WIRE_NA_SOLICITED 0x40000000u
#define WIRE_NA_OVERRIDE 0x20000000u

/* Neighbour solicitation and advertisement (RFC 4861 s.4.3, 4.4); `flags` is reserved in the former. */
struct wire_nd {
    uint8_t type;
    uint8_t code;
    uint8_t checksum[2];
    struct be32 flags;
    uint8_t target[16];
};

/* An option of one MAC address. */
struct wire_nd_mac {
    uint8_t type;
    uint8_t length; /* in 8 bytes */
    uint8_t mac[6];
};

#define WIRE_ETHERNET_BYTES 14
#define WIRE_VLAN_BYTES 4
#define WIRE_IPV4_BYTES 20
#define WIRE_IPV6_BYTES 40
#define WIRE_IPV6_FRAGMENT_BYTES 8
#define WIRE_UDP_BYTES 8
#define WIRE_TCP_BYTES 20
#define WIRE_ICMP_BYTES 8
#define WIRE_MTU_MAX 1500
#define WIRE_IPV6_MTU_MIN 1280

_Static_assert(sizeof(struct wire_ethernet) == WIRE_ETHERNET_BYTES, "Ethernet header");
_Static_assert(sizeof(struct wire_arp) == 28, "ARP");
_Static_assert(sizeof(struct wire_ipv4) == WIRE_IPV4_BYTES, "IPv4 header");
_Static_assert(sizeof(struct wire_ipv6) == WIRE_IPV6_BYTES, "IPv6 header");
_Static_assert(sizeof(struct wire_tcp) == WIRE_TCP_BYTES, "TCP header");
_Static_assert(sizeof(struct wire_nd) == 24, "neighbour discovery");

#endif
