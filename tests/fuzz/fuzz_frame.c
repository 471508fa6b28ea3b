/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames through the parser and the whole IP stack, several per input, with answers going out (A1, A2).
 *
 * Input: records of a control byte, a length byte and as many bytes of a frame. Control: bit 0 the port, bit
 * 1 addressed to our MAC, bit 2 checksums made good, bits 3 to 5 time that passes first (powers of ten, in
 * microseconds), bits 6 and 7 what the owner does with what it gets.
 *
 * What must hold: nothing is read outside a frame (each is a buffer of its own of exactly its size); each
 * frame is counted once; every packet buffer comes back.
 */
#include "dataplane/net/checksum.h"
#include "dataplane/net/ip_stack.h"
#include "dataplane/net/wire.h"

#include <stdio.h>
#include <stdlib.h>

#define PORTS 2

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum reaction {
    REACTION_SWALLOW = 0,
    REACTION_ANSWER,
    REACTION_REFUSE,
    REACTION_UNCLAIMED,
};

static struct rte_mempool *mempool;
static struct port ports[PORTS];
static struct port wires[PORTS];
static struct ip_stack *stack;
static enum reaction reaction;
static uint64_t now_us;

static bool claims(void *owner, uint16_t interface, uint8_t protocol, const struct ip_address *destination,
                   uint16_t port, const struct ip_packet *packet)
{
    (void)owner;
    (void)interface;
    (void)protocol;
    (void)destination;
    (void)port;
    if (reaction == REACTION_REFUSE)
        ip_stack_refuse(stack, packet, IP_STACK_REFUSE_PORT);
    return reaction == REACTION_SWALLOW || reaction == REACTION_ANSWER;
}

/* Sums all of it, so that a sanitizer sees what lies outside. */
static void touch(const struct ip_packet *packet)
{
    volatile uint64_t sum =
        checksum_add(0, packet->frame.transport, packet->frame.transport_len) + packet->frame.ethernet[11];
    (void)sum;
}

static void on_tcp(void *owner, const struct ip_packet *packets, uint32_t n, uint64_t now)
{
    (void)owner;
    for (uint32_t i = 0; i < n; i++) {
        const struct frame *frame = &packets[i].frame;
        uint32_t path = packets[i].path;
        struct rte_mbuf *mbuf;
        touch(&packets[i]);
        if (reaction != REACTION_ANSWER)
            continue;
        uint8_t *at = ip_stack_begin(stack, &path, &frame->destination, &frame->source, WIRE_PROTOCOL_TCP,
                                     WIRE_TCP_BYTES, &mbuf);
        if (at == NULL)
            continue;
        memcpy(at, frame->transport, WIRE_TCP_BYTES);
        ip_stack_send(stack, path, mbuf, 16, now);
    }
}

static void on_udp(void *owner, const struct ip_packet *packets, uint32_t n, uint64_t now)
{
    (void)owner;
    for (uint32_t i = 0; i < n; i++) {
        const struct frame *frame = &packets[i].frame;
        uint32_t path = packets[i].path;
        struct flow_key key = {.local = frame->destination, .remote = frame->source, .local_port = 5683};
        touch(&packets[i]);
        if (reaction == REACTION_ANSWER)
            ip_stack_send_udp(stack, &path, &key, frame->transport + WIRE_UDP_BYTES,
                              frame->transport_len - WIRE_UDP_BYTES, now);
    }
}

static void on_unreachable(void *owner, const struct flow_key *key, const uint8_t *quoted, size_t quoted_len,
                           uint16_t next_mtu, uint64_t now)
{
    (void)owner;
    (void)next_mtu;
    (void)now;
    uint32_t path = IP_STACK_PATH_NONE;
    if (quoted_len < 8)
        abort();
    volatile uint64_t sum = checksum_add(0, quoted, quoted_len);
    (void)sum;
    if (reaction == REACTION_ANSWER) /* the owner sends from inside the call */
        ip_stack_send_udp(stack, &path, key, quoted, 8, now_us);
}

static const struct ip_stack_handler handler = {
    .claims = claims, .tcp = on_tcp, .udp = on_udp, .unreachable = on_unreachable};

static struct ip_address address(const char *text)
{
    struct ip_address a = {{0}};
    if (!ip_address_parse(text, &a))
        abort();
    return a;
}

static void stop(void)
{
    port_eal_stop(ports, PORTS);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    const struct port_eal_config config = {.program = "fuzz", .memory_bytes = 64u << 20};
    struct port_error error;
    if (port_eal_start(&config, NULL, &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    mempool = rte_pktmbuf_pool_create("fuzz", 2047, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    if (mempool == NULL || port_ring_pair("fuzz0", 512, mempool, &ports[0], &wires[0]) != 0 ||
        port_ring_pair("fuzz1", 512, mempool, &ports[1], &wires[1]) != 0)
        abort();
    atexit(stop);
    return 0;
}

static void create_stack(void)
{
    static const uint8_t secret[16] = "0123456789abcde";
    const struct ip_route_config routes[] = {
        {.destination = {address("0.0.0.0"), 96}, .next_hop = address("10.30.0.2"), .interface = 1},
        {.destination = {address("::"), 0}, .next_hop = address("fd30::2"), .interface = 1}};
    const struct ip_stack_config config = {
        .ports = ports,
        .ports_n = PORTS,
        .interfaces_n = 2,
        .interfaces = {{.name = "iot",
                        .port = 0,
                        .vlan = 20,
                        .addresses_n = 2,
                        .addresses = {{address("10.20.0.1"), 118}, {address("fd20::1"), 64}}},
                       {.name = "wan",
                        .port = 1,
                        .addresses_n = 2,
                        .addresses = {{address("10.30.0.1"), 120}, {address("fd30::1"), 64}}}},
        .routes = routes,
        .routes_n = 2,
        .neighbors = 8,
    };
    stack = ip_stack_create(&config, &handler, NULL, secret, now_us);
    if (stack == NULL)
        abort();
}

/* The IPv4 header's checksum and the transport's, so that mutations get behind them. */
static void make_good(uint8_t *at, size_t n)
{
    static const uint8_t offsets[256] = {[WIRE_PROTOCOL_TCP] = 16,
                                         [WIRE_PROTOCOL_UDP] = 6,
                                         [WIRE_PROTOCOL_ICMP] = 2,
                                         [WIRE_PROTOCOL_ICMPV6] = 2};
    struct frame frame;
    size_t network = n >= 14 && at[12] == 0x81 && at[13] == 0 ? 18 : 14;
    if (n >= network + WIRE_IPV4_BYTES && at[network] >> 4 == 4) {
        size_t header = (size_t)(at[network] & 15) * 4;
        if (header >= WIRE_IPV4_BYTES && header <= n - network) {
            checksum_store(at + network + 10, 0);
            checksum_store(at + network + 10,
                           (uint16_t)~checksum_fold(checksum_add(0, at + network, header)));
        }
    }
    if (frame_parse(&frame, at, n) != FRAME_OK || offsets[frame.protocol] == 0)
        return;
    uint8_t *transport = at + (frame.transport - at);
    uint8_t *field = transport + offsets[frame.protocol];
    checksum_store(field, 0);
    uint64_t sum =
        frame.protocol == WIRE_PROTOCOL_ICMP
            ? 0
            : checksum_pseudo(&frame.source, &frame.destination, frame.protocol, frame.transport_len);
    checksum_store(field, (uint16_t)~checksum_fold(checksum_add(sum, transport, frame.transport_len)));
    if (!frame_checksum_good(&frame) && frame.protocol != WIRE_PROTOCOL_UDP)
        abort();
}

static void free_frame(void *at, void *unused)
{
    (void)unused;
    free(at);
}

static void give(uint8_t control, const uint8_t *data, size_t n)
{
    static struct rte_mbuf_ext_shared_info shared;
    const uint8_t *mac = ports[control & 1].mac.addr_bytes;
    uint8_t *copy = malloc(n == 0 ? 1 : n);
    struct rte_mbuf *mbuf = rte_pktmbuf_alloc(mempool);
    if (copy == NULL || mbuf == NULL)
        abort();
    memcpy(copy, data, n);
    if ((control & 2) != 0 && n >= 6)
        memcpy(copy, mac, 6);
    if ((control & 4) != 0)
        make_good(copy, n);
    shared.free_cb = free_frame;
    rte_mbuf_ext_refcnt_set(&shared, 1);
    rte_pktmbuf_attach_extbuf(mbuf, copy, RTE_BAD_IOVA, (uint16_t)(n == 0 ? 1 : n), &shared);
    mbuf->data_len = (uint16_t)n;
    mbuf->pkt_len = (uint32_t)n;
    ip_stack_input(stack, control & 1, &mbuf, 1, now_us);
}

static uint64_t counted(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < FRAME_OUTCOME_COUNT; i++)
        sum += ip_stack_counters(stack)->frames[i];
    return sum;
}

/* Throws away what came out; it must parse, in all but the destination MAC. */
static void drain(uint32_t port)
{
    struct rte_mbuf *burst[PORT_BURST];
    struct frame frame;
    ip_stack_flush(stack);
    for (;;) {
        uint16_t n = port_receive(&wires[port], 0, burst, PORT_BURST);
        for (uint16_t i = 0; i < n; i++) {
            enum frame_outcome outcome =
                frame_parse(&frame, rte_pktmbuf_mtod(burst[i], const uint8_t *), burst[i]->data_len);
            if (outcome == FRAME_TRUNCATED || outcome == FRAME_BAD_IP_CHECKSUM ||
                outcome == FRAME_BAD_SOURCE_MAC || outcome == FRAME_UNKNOWN_ETHERTYPE)
                abort();
        }
        rte_pktmbuf_free_bulk(burst, n);
        if (n == 0)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t steps_us[8] = {0, 10, 100, 1000, 100000, 1000000, 10000000, 100000000};
    now_us = 1000000;
    create_stack();
    while (size >= 2) {
        size_t n = data[1] < size - 2 ? data[1] : size - 2;
        uint8_t control = data[0];
        reaction = (enum reaction)(control >> 6);
        now_us += steps_us[control >> 3 & 7];
        if (steps_us[control >> 3 & 7] > 0)
            ip_stack_advance(stack, now_us);
        uint64_t before = counted();
        give(control, data + 2, n);
        /* At least this frame's own outcome; what an answer met on its way out is counted too. */
        if (counted() <= before)
            abort();
        drain(0);
        drain(1);
        data += 2 + n;
        size -= 2 + n;
    }
    ip_stack_announce(stack, now_us);
    drain(0);
    drain(1);
    ip_stack_destroy(stack);
    if (rte_mempool_in_use_count(mempool) != 0)
        abort();
    return 0;
}
