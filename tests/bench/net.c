/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a packet costs in the IP stack, without TCP above it and without a device below: ns per packet in
 * bursts of 32, medians of 31 passes over 1,024 packets of as many flows from 1,000 hosts.
 *
 *   parse     frame_parse, cache-warm
 *   checksum  of the transport bytes, cache-warm
 *   input     ip_stack_input: parse, judge, claim, verify, neighbour, hand up, release of the buffer
 *   output    ip_stack_begin, copy of the payload, ip_stack_send with checksum, flush into a ring
 */
#include "tests/unit/net_rig.h"

#include <time.h>

#define PASSES 31
#define PACKETS 1024
#define HOSTS 1000

static struct rig rig;
static struct rte_mbuf *packets[PACKETS];
static uint64_t handed_up;
static volatile uint32_t sink; /* keeps results alive */

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double values[PASSES])
{
    qsort(values, PASSES, sizeof(values[0]), compare);
    return values[PASSES / 2];
}

static bool claim_all(void *owner, uint16_t interface, uint8_t protocol, const struct ip_address *destination,
                      uint16_t port, const struct ip_packet *packet)
{
    (void)owner;
    (void)interface;
    (void)protocol;
    (void)destination;
    (void)packet;
    return port == 1883;
}

static void count_up(void *owner, const struct ip_packet *up, uint32_t n, uint64_t now_us)
{
    (void)owner;
    (void)up;
    (void)now_us;
    handed_up += n;
}

static void make_packets(bool v4, size_t payload_bytes)
{
    static const uint8_t payload[1400];
    for (uint32_t i = 0; i < PACKETS; i++) {
        struct rig_frame f;
        char source[32];
        uint32_t host = i % HOSTS;
        if (v4)
            snprintf(source, sizeof(source), "10.20.%u.%u", host / 250, host % 250 + 2);
        else
            snprintf(source, sizeof(source), "fd20::%x", host + 16);
        frame_ethernet(&f, rig_gateway_mac, rig_device_mac, 20, v4 ? WIRE_TYPE_IPV4 : WIRE_TYPE_IPV6);
        frame_tcp(&f, source, (uint16_t)(40000 + i), v4 ? "10.20.0.1" : "fd20::1", 1883, 0x10, payload,
                  payload_bytes);
        packets[i] = rte_pktmbuf_alloc(rig.mempool);
        memcpy(rte_pktmbuf_append(packets[i], (uint16_t)f.len), f.at, f.len);
    }
}

static double measure_parse(void)
{
    double took[PASSES];
    struct frame frame;
    for (int pass = 0; pass < PASSES; pass++) {
        double start = now_ns();
        for (uint32_t i = 0; i < PACKETS; i++) {
            struct rte_mbuf *m = packets[i % PORT_BURST];
            frame_parse(&frame, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
            sink += frame.transport_len;
        }
        took[pass] = (now_ns() - start) / PACKETS;
    }
    return median(took);
}

static double measure_checksum(void)
{
    double took[PASSES];
    struct frame frames[PORT_BURST];
    for (uint32_t i = 0; i < PORT_BURST; i++)
        frame_parse(&frames[i], rte_pktmbuf_mtod(packets[i], const uint8_t *), packets[i]->data_len);
    for (int pass = 0; pass < PASSES; pass++) {
        double start = now_ns();
        for (uint32_t i = 0; i < PACKETS; i++)
            sink += frame_checksum_good(&frames[i % PORT_BURST]);
        took[pass] = (now_ns() - start) / PACKETS;
    }
    return median(took);
}

/* The stack releases its hold of each buffer; a second one keeps it for the next pass. */
static double measure_input(void)
{
    double took[PASSES];
    for (int pass = 0; pass < PASSES; pass++) {
        for (uint32_t i = 0; i < PACKETS; i++)
            rte_mbuf_refcnt_update(packets[i], 1);
        double start = now_ns();
        for (uint32_t i = 0; i < PACKETS; i += PORT_BURST)
            ip_stack_input(rig.stack, 0, packets + i, PORT_BURST, rig.now_us);
        took[pass] = (now_ns() - start) / PACKETS;
    }
    return median(took);
}

static double measure_output(bool v4, size_t payload_bytes)
{
    static const uint8_t payload[1400];
    struct ip_address source = rig_ip(v4 ? "10.20.0.1" : "fd20::1");
    struct ip_address device = rig_ip(v4 ? "10.20.0.2" : "fd20::10");
    uint32_t path = ip_stack_path(rig.stack, &device);
    double took[PASSES];
    for (int pass = 0; pass < PASSES; pass++) {
        double start = now_ns();
        for (uint32_t i = 0; i < PORT_BURST; i++) {
            struct rte_mbuf *mbuf;
            uint8_t *at = ip_stack_begin(rig.stack, &path, &source, &device, WIRE_PROTOCOL_TCP,
                                         (uint32_t)(WIRE_TCP_BYTES + payload_bytes), &mbuf);
            if (at == NULL)
                abort();
            memset(at, 0, WIRE_TCP_BYTES);
            memcpy(at + WIRE_TCP_BYTES, payload, payload_bytes);
            ip_stack_send(rig.stack, path, mbuf, 16, rig.now_us);
        }
        ip_stack_flush(rig.stack);
        took[pass] = (now_ns() - start) / PORT_BURST;
        rig_drain(&rig, 0);
    }
    return median(took);
}

int main(void)
{
    static const size_t sizes[] = {0, 64, 512, 1400};
    if (!rig_eal_start(&rig) || !rig_stack_start(&rig, 4096))
        return EXIT_FAILURE;
    rig.handler.claims = claim_all;
    rig.handler.tcp = count_up;
    printf("ns per packet   payload    parse  checksum     input    output\n");
    for (int family = 0; family < 2; family++) {
        for (size_t s = 0; s < RTE_DIM(sizes); s++) {
            bool v4 = family == 0;
            make_packets(v4, sizes[s]);
            double parse = measure_parse();
            double checksum = measure_checksum();
            double input = measure_input();
            double output = measure_output(v4, sizes[s]);
            printf("TCP over IPv%d  %8zu %8.1f  %8.1f  %8.1f  %8.1f\n", v4 ? 4 : 6, sizes[s], parse, checksum,
                   input, output);
            rte_pktmbuf_free_bulk(packets, PACKETS);
        }
    }
    bool all = handed_up == 2 * RTE_DIM(sizes) * PASSES * PACKETS && rig_stack_stop(&rig);
    port_eal_stop(rig.ports, RIG_PORTS);
    return all ? EXIT_SUCCESS : EXIT_FAILURE;
}
