/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bench for the IP stack: the EAL without hugepages or devices, a ring pair per port with the test at the
 * far end, a stack with two ports and a fake clock, and a builder of frames. The handler records what comes
 * up.
 */
#ifndef TESTS_UNIT_NET_RIG_H
#define TESTS_UNIT_NET_RIG_H

#include "dataplane/net/checksum.h"
#include "dataplane/net/ip_stack.h"
#include "dataplane/net/wire.h"
#include "tests/unit/runner.h"

#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>

#define RIG_PORTS 2
#define RIG_FRAME 2048
#define RIG_KEPT 64

struct rig_up {
    struct flow_key key;
    uint8_t payload[RIG_FRAME * 5];
    uint32_t transport_len;
    uint32_t path;
};

struct rig {
    struct rte_mempool *mempool;
    struct port ports[RIG_PORTS]; /* the stack's ends */
    struct port wires[RIG_PORTS]; /* ours */
    struct ip_stack *stack;
    struct ip_stack_handler handler; /* a test may change it while the stack runs */
    uint64_t now_us;
    uint32_t up_n;
    struct rig_up up[RIG_KEPT];
    uint32_t unreachable_n;
    struct flow_key unreachable_key;
    uint16_t unreachable_mtu;
    uint32_t claims_n;
    uint16_t claim_port;   /* the port that is listened to... */
    bool claim_everywhere; /* ...on destinations that are not ours too */
};

/* A frame under construction or as it came out. */
struct rig_frame {
    uint8_t at[RIG_FRAME];
    size_t len;
};

static const uint8_t rig_secret[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const uint8_t rig_gateway_mac[6] = {0x02, 0, 0, 0, 0, 0x0a};
static const uint8_t rig_device_mac[6] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
static const uint8_t rig_other_mac[6] = {0x02, 0x66, 0x77, 0x88, 0x99, 0xaa};
static const uint8_t rig_broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static inline struct ip_address rig_ip(const char *text)
{
    struct ip_address a = {{0}};
    if (!ip_address_parse(text, &a))
        abort();
    return a;
}

static inline void rig_note(struct rig *rig, const struct ip_packet *packet)
{
    struct rig_up *up = &rig->up[rig->up_n % RIG_KEPT];
    const struct wire_udp *ports = (const void *)packet->frame.transport;
    up->key = (struct flow_key){.local = packet->frame.destination,
                                .remote = packet->frame.source,
                                .local_port = be16_get(ports->destination_port),
                                .remote_port = be16_get(ports->source_port),
                                .interface = packet->interface,
                                .protocol = packet->frame.protocol};
    up->transport_len = packet->frame.transport_len;
    if (packet->frame.transport_len <= sizeof(up->payload))
        memcpy(up->payload, packet->frame.transport, packet->frame.transport_len);
    up->path = packet->path;
    rig->up_n++;
}

static inline bool rig_claims(void *owner, uint16_t interface, uint8_t protocol,
                              const struct ip_address *destination, uint16_t port,
                              const struct ip_packet *packet)
{
    struct rig *rig = owner;
    (void)interface;
    (void)protocol;
    (void)packet;
    rig->claims_n++;
    bool own = ip_address_is_v4(destination) ? destination->bytes[15] == 1 : destination->bytes[0] == 0xfd;
    return port == rig->claim_port && (own || rig->claim_everywhere);
}

static inline void rig_transport(void *owner, const struct ip_packet *packets, uint32_t n, uint64_t now_us)
{
    (void)now_us;
    for (uint32_t i = 0; i < n; i++)
        rig_note(owner, &packets[i]);
}

static inline void rig_unreachable(void *owner, const struct flow_key *key, const uint8_t *quoted,
                                   size_t quoted_len, uint16_t next_mtu, uint64_t now_us)
{
    struct rig *rig = owner;
    (void)quoted;
    (void)quoted_len;
    (void)now_us;
    rig->unreachable_n++;
    rig->unreachable_key = *key;
    rig->unreachable_mtu = next_mtu;
}

static const struct ip_stack_handler rig_handler = {
    .claims = rig_claims, .tcp = rig_transport, .udp = rig_transport, .unreachable = rig_unreachable};

static inline bool rig_eal_start(struct rig *rig)
{
    const struct port_eal_config config = {.program = "test", .workers = 0, .memory_bytes = 128u << 20};
    struct port_error error;
    *rig = (struct rig){.now_us = 1000000, .claim_port = 1883};
    if (port_eal_start(&config, NULL, &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        return false;
    }
    rig->mempool = rte_pktmbuf_pool_create("test", 4095, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    for (uint32_t p = 0; rig->mempool != NULL && p < RIG_PORTS; p++) {
        char name[16];
        snprintf(name, sizeof(name), "rig%u", p);
        if (port_ring_pair(name, 1024, rig->mempool, &rig->ports[p], &rig->wires[p]) != 0)
            return false;
    }
    return rig->mempool != NULL;
}

/* Runs the tests between start and stop of the EAL, for main. */
static inline int rig_run(struct rig *rig, const char *name, const struct unit_test *tests, size_t n)
{
    if (!rig_eal_start(rig))
        return EXIT_FAILURE;
    int status = unit_run(name, tests, n);
    port_eal_stop(rig->ports, RIG_PORTS);
    return status;
}

/* Interface 0: port 0, VLAN 20, 10.20.0.1/22, fd20::1/64. 1: port 1 untagged, 10.30.0.1/24, fd30::1/64. 2:
 * port 0, VLAN 30, 10.40.0.1/24. Default routes over 10.30.0.2 and fd30::2, 10.50.0.0/16 behind 10.20.0.254.
 */
static inline bool rig_stack_start(struct rig *rig, uint32_t neighbors)
{
    const struct ip_route_config routes[] = {
        {.destination = {rig_ip("0.0.0.0"), 96}, .next_hop = rig_ip("10.30.0.2"), .interface = 1},
        {.destination = {rig_ip("::"), 0}, .next_hop = rig_ip("fd30::2"), .interface = 1},
        {.destination = {rig_ip("10.50.0.0"), 112}, .next_hop = rig_ip("10.20.0.254"), .interface = 0},
    };
    const struct ip_stack_config config = {
        .ports = rig->ports,
        .ports_n = RIG_PORTS,
        .interfaces_n = 3,
        .interfaces = {{.name = "iot",
                        .port = 0,
                        .vlan = 20,
                        .addresses_n = 2,
                        .addresses = {{rig_ip("10.20.0.1"), 118}, {rig_ip("fd20::1"), 64}}},
                       {.name = "wan",
                        .port = 1,
                        .addresses_n = 2,
                        .addresses = {{rig_ip("10.30.0.1"), 120}, {rig_ip("fd30::1"), 64}}},
                       {.name = "iot2",
                        .port = 0,
                        .vlan = 30,
                        .addresses_n = 1,
                        .addresses = {{rig_ip("10.40.0.1"), 120}}}},
        .routes = routes,
        .routes_n = RTE_DIM(routes),
        .neighbors = neighbors,
    };
    rig->handler = rig_handler;
    rig->stack = ip_stack_create(&config, &rig->handler, rig, rig_secret, rig->now_us);
    rig->up_n = 0;
    rig->unreachable_n = 0;
    rig->claims_n = 0;
    rig->claim_port = 1883;
    rig->claim_everywhere = false;
    return rig->stack != NULL;
}

/* One frame out of the stack on that port; false when there is none. */
static inline bool rig_read(struct rig *rig, uint32_t port, struct rig_frame *out)
{
    struct rte_mbuf *mbuf;
    ip_stack_flush(rig->stack);
    if (port_receive(&rig->wires[port], 0, &mbuf, 1) == 0)
        return false;
    out->len = mbuf->data_len;
    memcpy(out->at, rte_pktmbuf_mtod(mbuf, uint8_t *), out->len);
    rte_pktmbuf_free(mbuf);
    return true;
}

/* One frame out of the stack, which must be sound: parsed, with good checksums. */
static inline bool rig_read_good(struct rig *rig, uint32_t port, struct rig_frame *out, struct frame *frame)
{
    if (!rig_read(rig, port, out))
        return false;
    enum frame_outcome outcome = frame_parse(frame, out->at, out->len);
    if (outcome == FRAME_FRAGMENT)
        return true;
    return outcome == FRAME_OK && (frame->ethertype == WIRE_TYPE_ARP || frame_checksum_good(frame));
}

/* Frames out of the stack on that port, thrown away. */
static inline uint32_t rig_drain(struct rig *rig, uint32_t port)
{
    struct rig_frame frame;
    uint32_t n = 0;
    while (rig_read(rig, port, &frame))
        n++;
    return n;
}

static inline bool rig_is(const struct ip_address *a, const char *text)
{
    struct ip_address b = rig_ip(text);
    return ip_address_equal(a, &b);
}

/* Stops the stack; answers whether every packet buffer came back. */
static inline bool rig_stack_stop(struct rig *rig)
{
    for (uint32_t p = 0; p < RIG_PORTS; p++)
        rig_drain(rig, p);
    ip_stack_destroy(rig->stack);
    rig->stack = NULL;
    return rte_mempool_in_use_count(rig->mempool) == 0;
}

static inline uint64_t rig_count(const struct rig *rig, enum frame_outcome outcome)
{
    return ip_stack_counters(rig->stack)->frames[outcome];
}

/* Gives the frames to the stack as one burst through the ring. */
static inline void rig_write_burst(struct rig *rig, uint32_t port, const struct rig_frame *frames, uint16_t n)
{
    struct rte_mbuf *burst[PORT_BURST];
    for (uint16_t i = 0; i < n; i++) {
        burst[i] = rte_pktmbuf_alloc(rig->mempool);
        memcpy(rte_pktmbuf_append(burst[i], (uint16_t)frames[i].len), frames[i].at, frames[i].len);
    }
    if (port_transmit(&rig->wires[port], 0, burst, n) != n)
        abort();
    uint16_t got = port_receive(&rig->ports[port], 0, burst, PORT_BURST);
    ip_stack_input(rig->stack, port, burst, got, rig->now_us);
}

/* One frame in; answers what it was counted as. */
static inline enum frame_outcome rig_write(struct rig *rig, uint32_t port, const struct rig_frame *frame)
{
    struct ip_stack_counters before = *ip_stack_counters(rig->stack);
    rig_write_burst(rig, port, frame, 1);
    const struct ip_stack_counters *after = ip_stack_counters(rig->stack);
    for (int i = 0; i < FRAME_OUTCOME_COUNT; i++)
        if (after->frames[i] != before.frames[i])
            return (enum frame_outcome)i;
    return FRAME_UNDECIDED;
}

static inline void rig_advance(struct rig *rig, uint64_t by_us)
{
    rig->now_us += by_us;
    ip_stack_advance(rig->stack, rig->now_us);
}

/* ---- frames -------------------------------------------------------------------------------------------- */

static inline void frame_bytes(struct rig_frame *f, const void *bytes, size_t n)
{
    if (n > 0)
        memcpy(f->at + f->len, bytes, n);
    f->len += n;
}

/* Starts a frame; vlan 0 for none. */
static inline void frame_ethernet(struct rig_frame *f, const uint8_t to[6], const uint8_t from[6],
                                  uint16_t vlan, uint16_t type)
{
    struct be16 tag[2] = {be16_make(WIRE_TYPE_VLAN), be16_make(vlan)};
    struct be16 ethertype = be16_make(type);
    f->len = 0;
    frame_bytes(f, to, 6);
    frame_bytes(f, from, 6);
    if (vlan != 0)
        frame_bytes(f, tag, 4);
    frame_bytes(f, &ethertype, 2);
}

static inline size_t frame_network_at(const struct rig_frame *f)
{
    return f->at[12] == 0x81 && f->at[13] == 0 ? 18 : 14;
}

static inline struct rig_frame frame_arp(uint16_t vlan, uint16_t operation, const uint8_t to[6],
                                         const uint8_t from[6], const char *sender,
                                         const uint8_t target_mac[6], const char *target)
{
    struct rig_frame f;
    struct ip_address s = rig_ip(sender);
    struct ip_address t = rig_ip(target);
    struct wire_arp arp = {.hardware = be16_make(1),
                           .protocol = be16_make(WIRE_TYPE_IPV4),
                           .hardware_len = 6,
                           .protocol_len = 4,
                           .operation = be16_make(operation),
                           .sender = be32_make(ip_address_to_v4(&s)),
                           .target = be32_make(ip_address_to_v4(&t))};
    memcpy(arp.sender_mac, from, 6);
    memcpy(arp.target_mac, target_mac, 6);
    frame_ethernet(&f, to, from, vlan, WIRE_TYPE_ARP);
    frame_bytes(&f, &arp, sizeof(arp));
    return f;
}

/* The IP header in front of `payload_len` bytes; fragment field of IPv4 as given. */
static inline void frame_ip(struct rig_frame *f, const char *source, const char *destination,
                            uint8_t protocol, size_t payload_len, uint16_t fragment, uint8_t ttl)
{
    struct ip_address s = rig_ip(source);
    struct ip_address d = rig_ip(destination);
    if (ip_address_is_v4(&s)) {
        struct wire_ipv4 ip = {.version_words = 0x45,
                               .length = be16_make((uint32_t)(20 + payload_len)),
                               .id = be16_make(0x1234),
                               .fragment = be16_make(fragment),
                               .ttl = ttl,
                               .protocol = protocol,
                               .source = be32_make(ip_address_to_v4(&s)),
                               .destination = be32_make(ip_address_to_v4(&d))};
        checksum_store(ip.checksum, (uint16_t)~checksum_fold(checksum_add(0, (const uint8_t *)&ip, 20)));
        frame_bytes(f, &ip, sizeof(ip));
        return;
    }
    struct wire_ipv6 ip = {.version_class_flow = be32_make(0x60000000u),
                           .payload_len = be16_make((uint32_t)payload_len),
                           .next_header = protocol,
                           .hop_limit = ttl};
    memcpy(ip.source, s.bytes, 16);
    memcpy(ip.destination, d.bytes, 16);
    frame_bytes(f, &ip, sizeof(ip));
}

/* Writes the transport checksum into the field at `offset` of the last `n` bytes. */
static inline void frame_checksum(struct rig_frame *f, const char *source, const char *destination,
                                  uint8_t protocol, size_t n, size_t offset)
{
    struct ip_address s = rig_ip(source);
    struct ip_address d = rig_ip(destination);
    uint8_t *transport = f->at + f->len - n;
    checksum_store(transport + offset, 0);
    uint64_t sum = protocol == WIRE_PROTOCOL_ICMP ? 0 : checksum_pseudo(&s, &d, protocol, (uint32_t)n);
    checksum_store(transport + offset, (uint16_t)~checksum_fold(checksum_add(sum, transport, n)));
}

static inline void frame_udp(struct rig_frame *f, const char *source, uint16_t source_port,
                             const char *destination, uint16_t port, const void *payload, size_t n)
{
    struct wire_udp udp = {.source_port = be16_make(source_port),
                           .destination_port = be16_make(port),
                           .length = be16_make((uint32_t)(8 + n))};
    frame_ip(f, source, destination, WIRE_PROTOCOL_UDP, 8 + n, 0, 64);
    frame_bytes(f, &udp, sizeof(udp));
    frame_bytes(f, payload, n);
    frame_checksum(f, source, destination, WIRE_PROTOCOL_UDP, 8 + n, 6);
}

static inline void frame_tcp(struct rig_frame *f, const char *source, uint16_t source_port,
                             const char *destination, uint16_t port, uint8_t flags, const void *payload,
                             size_t n)
{
    struct wire_tcp tcp = {.source_port = be16_make(source_port),
                           .destination_port = be16_make(port),
                           .seq = be32_make(1000),
                           .ack = be32_make(2000),
                           .offset = 5 << 4,
                           .flags = flags,
                           .window = be16_make(4096)};
    frame_ip(f, source, destination, WIRE_PROTOCOL_TCP, 20 + n, 0, 64);
    frame_bytes(f, &tcp, sizeof(tcp));
    frame_bytes(f, payload, n);
    frame_checksum(f, source, destination, WIRE_PROTOCOL_TCP, 20 + n, 16);
}

static inline void frame_icmp(struct rig_frame *f, const char *source, const char *destination, uint8_t type,
                              uint8_t code, uint32_t rest, const void *body, size_t n, uint8_t ttl)
{
    struct ip_address s = rig_ip(source);
    uint8_t protocol = ip_address_is_v4(&s) ? WIRE_PROTOCOL_ICMP : WIRE_PROTOCOL_ICMPV6;
    struct wire_icmp icmp = {.type = type, .code = code, .rest = be32_make(rest)};
    frame_ip(f, source, destination, protocol, 8 + n, 0, ttl);
    frame_bytes(f, &icmp, sizeof(icmp));
    frame_bytes(f, body, n);
    frame_checksum(f, source, destination, protocol, 8 + n, 2);
}

/* A neighbour solicitation or advertisement; mac NULL: without the option. */
static inline void frame_nd(struct rig_frame *f, const char *source, const char *destination, uint8_t type,
                            uint32_t flags, const char *target, const uint8_t *mac, uint8_t ttl)
{
    struct ip_address t = rig_ip(target);
    uint8_t body[24] = {0};
    memcpy(body, t.bytes, 16);
    body[16] = type == WIRE_ICMPV6_NEIGHBOR_SOLICITATION ? WIRE_ND_SOURCE_MAC : WIRE_ND_TARGET_MAC;
    body[17] = 1;
    if (mac != NULL)
        memcpy(body + 18, mac, 6);
    frame_icmp(f, source, destination, type, 0, flags, body, mac == NULL ? 16 : 24, ttl);
}

#endif
