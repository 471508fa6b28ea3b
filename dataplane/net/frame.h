/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An Ethernet frame as understood: 802.1Q tag, IPv4 or IPv6 with its options and extension headers, ARP, and
 * where the transport header lies. Every length is checked against the bytes that are there and against the
 * length the IP header claims (shorter frames are refused, padding is cut off); IPv4 header, TCP, UDP and
 * ICMP checksums are verified unless the device did. Pure: bytes in, struct out; any thread.
 */
#ifndef DATAPLANE_NET_FRAME_H
#define DATAPLANE_NET_FRAME_H

#include "dataplane/address.h"

#include <stddef.h>

/* FRAME_OUTCOME(name, id): why a frame was dropped, or what it is. 0 is the safe value. */
#define FRAME_OUTCOME_TABLE(FRAME_OUTCOME)                                                                   \
    FRAME_OUTCOME(UNDECIDED, "undecided")                                                                    \
    FRAME_OUTCOME(OK, "ok")                                                                                  \
    FRAME_OUTCOME(TRUNCATED, "truncated")                                                                    \
    FRAME_OUTCOME(UNKNOWN_VLAN, "unknown-vlan")                                                              \
    FRAME_OUTCOME(UNKNOWN_ETHERTYPE, "unknown-ethertype")                                                    \
    FRAME_OUTCOME(NOT_FOR_US, "not-for-us")                                                                  \
    FRAME_OUTCOME(BAD_SOURCE_MAC, "bad-source-mac")                                                          \
    FRAME_OUTCOME(BAD_IP_HEADER, "bad-ip-header")                                                            \
    FRAME_OUTCOME(BAD_IP_CHECKSUM, "bad-ip-checksum")                                                        \
    FRAME_OUTCOME(BAD_SOURCE, "bad-source")                                                                  \
    FRAME_OUTCOME(BAD_EXTENSION, "bad-extension-header")                                                     \
    FRAME_OUTCOME(SOURCE_ROUTE, "source-route")                                                              \
    FRAME_OUTCOME(FRAGMENT, "fragment")                                                                      \
    FRAME_OUTCOME(BAD_FRAGMENT, "bad-fragment")                                                              \
    FRAME_OUTCOME(BAD_TRANSPORT_HEADER, "bad-transport-header")                                              \
    FRAME_OUTCOME(BAD_CHECKSUM, "bad-checksum")                                                              \
    FRAME_OUTCOME(UNKNOWN_PROTOCOL, "unknown-protocol")                                                      \
    FRAME_OUTCOME(BAD_ARP, "bad-arp")                                                                        \
    FRAME_OUTCOME(BAD_NEIGHBOR_MESSAGE, "bad-neighbor-message")                                              \
    FRAME_OUTCOME(BAD_ICMP, "bad-icmp")                                                                      \
    FRAME_OUTCOME(ICMP_RATE, "icmp-rate")                                                                    \
    FRAME_OUTCOME(NO_LISTENER, "no-listener")                                                                \
    FRAME_OUTCOME(NO_ROUTE, "no-route")                                                                      \
    FRAME_OUTCOME(NO_NEIGHBOR, "no-neighbor")                                                                \
    FRAME_OUTCOME(NEIGHBOR_TABLE_FULL, "neighbor-table-full")                                                \
    FRAME_OUTCOME(NO_MBUF, "no-mbuf")                                                                        \
    FRAME_OUTCOME(TX_FULL, "tx-full")                                                                        \
    FRAME_OUTCOME(TOO_LARGE, "too-large")

#define FRAME_OUTCOME_ENUM(name, id) FRAME_##name,
enum frame_outcome { FRAME_OUTCOME_TABLE(FRAME_OUTCOME_ENUM) FRAME_OUTCOME_COUNT };
#undef FRAME_OUTCOME_ENUM

struct frame {
    const uint8_t *ethernet; /* destination, source */
    const uint8_t *network;  /* first byte of ARP, IPv4 or IPv6 */
    const uint8_t *transport;
    uint32_t network_len;   /* IP header to the end of the packet, padding cut off */
    uint32_t transport_len; /* transport header and payload */
    uint16_t ethertype;     /* behind the tag */
    uint16_t vlan;          /* 0: untagged (or priority-tagged) */
    uint8_t protocol;       /* last next-header */
    uint8_t ttl;
    uint8_t traffic_class;
    bool fragment;       /* transport points at this fragment's piece of the packet */
    bool more_fragments; /* of a fragment: it is not the last */
    bool multicast_mac;  /* destination MAC is broadcast or multicast */
    uint16_t fragment_offset;
    uint32_t fragment_id;
    struct ip_address source;
    struct ip_address destination;
};

/*
 * FRAME_OK: an ARP, IPv4 or IPv6 packet whose headers are whole and sane (of TCP, UDP and ICMP including the
 * transport header's lengths). FRAME_FRAGMENT: the same, of a fragment. Anything else is why it was refused,
 * and `out` must not be looked at. Pointers in `out` lead into `at`.
 */
enum frame_outcome frame_parse(struct frame *out, const uint8_t *at, size_t len);
/* Verifies the transport checksum of a parsed TCP, UDP or ICMP frame. */
bool frame_checksum_good(const struct frame *frame);
const char *frame_outcome_id(enum frame_outcome outcome);

#endif
