/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The IP stack's way up, and its making: what is handed up for what comes in (A1, A2, A4). */
#include "tests/unit/net_rig.h"
#include "tests/unit/runner.h"

static struct rig rig;

static void start(void)
{
    CU_ASSERT_FATAL(rig_stack_start(&rig, 64));
}

static void stop(void)
{
    CU_ASSERT(rig_stack_stop(&rig));
}

static struct rig_frame syn(const uint8_t *to, uint16_t vlan, const char *source, const char *destination,
                            uint16_t port)
{
    struct rig_frame f;
    bool v4 = strchr(source, ':') == NULL;
    frame_ethernet(&f, to, rig_device_mac, vlan, v4 ? WIRE_TYPE_IPV4 : WIRE_TYPE_IPV6);
    frame_tcp(&f, source, 40000, destination, port, 0x02, "hello", 5);
    return f;
}

static void segments_for_us_go_up(void)
{
    start();
    static const struct {
        uint32_t port;
        uint16_t vlan;
        uint16_t interface;
        const char *source;
        const char *destination;
    } cases[] = {{0, 20, 0, "10.20.0.5", "10.20.0.1"}, {0, 20, 0, "fd20::5", "fd20::1"},
                 {0, 30, 2, "10.40.0.5", "10.40.0.1"}, {1, 0, 1, "10.30.0.5", "10.30.0.1"},
                 {1, 0, 1, "192.0.2.5", "10.30.0.1"},  /* over the default route */
                 {0, 20, 0, "10.50.7.7", "10.20.0.1"}, /* over a route of its own */
                 {1, 0, 1, "2001:db8::5", "fd30::1"}};
    for (uint32_t i = 0; i < RTE_DIM(cases); i++) {
        struct rig_frame in =
            syn(rig_gateway_mac, cases[i].vlan, cases[i].source, cases[i].destination, 1883);
        CU_ASSERT(rig_write(&rig, cases[i].port, &in) == FRAME_OK);
        CU_ASSERT_FATAL(rig.up_n == i + 1);
        const struct rig_up *up = &rig.up[i];
        CU_ASSERT(rig_is(&up->key.local, cases[i].destination) && rig_is(&up->key.remote, cases[i].source));
        CU_ASSERT(up->key.local_port == 1883 && up->key.remote_port == 40000);
        CU_ASSERT(up->key.interface == cases[i].interface && up->key.protocol == 6);
        CU_ASSERT(up->transport_len == 25 && memcmp(up->payload + 20, "hello", 5) == 0);
        CU_ASSERT(ip_stack_path_interface(rig.stack, up->path) == cases[i].interface);
    }
    CU_ASSERT(rig_drain(&rig, 0) == 0 && rig_drain(&rig, 1) == 0);
    stop();
}

static void what_nobody_claims_is_dropped(void)
{
    start();
    struct rig_frame f = syn(rig_gateway_mac, 20, "10.20.0.5", "10.20.0.1", 22);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_NO_LISTENER);
    f = syn(rig_gateway_mac, 20, "10.20.0.5", "198.51.100.7", 1883);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_NO_LISTENER);
    frame_ethernet(&f, rig_gateway_mac, rig_device_mac, 20, WIRE_TYPE_IPV4);
    frame_ip(&f, "10.20.0.5", "10.20.0.1", 47, 8, 0, 64);
    frame_bytes(&f, "generic.", 8);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_UNKNOWN_PROTOCOL);
    CU_ASSERT(rig.claims_n == 2 && rig.up_n == 0);
    CU_ASSERT(rig_drain(&rig, 0) == 0 && rig_drain(&rig, 1) == 0); /* silently */
    stop();
}

/* A2: a device talks to the real broker's address, and to our MAC. */
static void any_destination_can_be_claimed(void)
{
    struct rig_frame out;
    struct frame frame;
    start();
    rig.claim_everywhere = true;
    struct rig_frame f = syn(rig_gateway_mac, 20, "10.20.0.5", "198.51.100.7", 1883);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_OK);
    CU_ASSERT_FATAL(rig.up_n == 1 && rig_is(&rig.up[0].key.local, "198.51.100.7"));
    /* The answer goes back to the device, as that address. */
    uint32_t path = rig.up[0].path;
    struct rte_mbuf *mbuf;
    uint8_t *at = ip_stack_begin(rig.stack, &path, &rig.up[0].key.local, &rig.up[0].key.remote,
                                 WIRE_PROTOCOL_TCP, 20, &mbuf);
    CU_ASSERT_FATAL(at != NULL);
    memset(at, 0, 20);
    at[12] = 0x50;
    ip_stack_send(rig.stack, path, mbuf, 16, rig.now_us);
    CU_ASSERT_FATAL(rig_read_good(&rig, 0, &out, &frame));
    CU_ASSERT(memcmp(out.at, rig_device_mac, 6) == 0 && frame.vlan == 20);
    CU_ASSERT(rig_is(&frame.source, "198.51.100.7") && rig_is(&frame.destination, "10.20.0.5"));
    f = syn(rig_other_mac, 20, "10.20.0.5", "198.51.100.7", 1883); /* to somebody else's MAC */
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_NOT_FOR_US);
    stop();
}

/* The default is to believe no source that we would answer elsewhere (RFC 3704). */
static void sources_must_be_plausible(void)
{
    static const struct {
        uint32_t port;
        uint16_t vlan;
        const char *source;
        const char *destination;
    } cases[] = {
        {0, 20, "10.30.0.5", "10.20.0.1"}, /* the WAN's prefix on the device side */
        {0, 20, "10.40.0.5", "10.20.0.1"}, /* another VLAN's */
        {0, 20, "192.0.2.5", "10.20.0.1"}, /* the default route's */
        {1, 0, "10.20.0.5", "10.30.0.1"},  /* a device's on the WAN */
        {1, 0, "10.50.0.5", "10.30.0.1"},  /* a route's of the device side on the WAN */
        {0, 20, "10.20.0.1", "10.20.0.1"}, /* ours */
        {0, 20, "0.0.0.0", "10.20.0.1"},   /* nobody's */
        {0, 20, "2001:db8::5", "fd20::1"},     {0, 20, "fd20::1", "fd20::1"},
        {0, 20, "fe80::ff:fe00:a", "fd20::1"}, {0, 20, "::", "fd20::1"},
    };
    start();
    for (size_t i = 0; i < RTE_DIM(cases); i++) {
        struct rig_frame f = syn(rig_gateway_mac, cases[i].vlan, cases[i].source, cases[i].destination, 1883);
        CU_ASSERT(rig_write(&rig, cases[i].port, &f) == FRAME_BAD_SOURCE);
    }
    CU_ASSERT(rig.up_n == 0 && rig.claims_n == 0);
    stop();
}

static void checksums_are_verified(void)
{
    start();
    struct rig_frame f = syn(rig_gateway_mac, 20, "10.20.0.5", "10.20.0.1", 1883);
    f.at[f.len - 1] ^= 1;
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_BAD_CHECKSUM);
    f = syn(rig_gateway_mac, 20, "fd20::5", "fd20::1", 1883);
    f.at[f.len - 6] ^= 1;
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_BAD_CHECKSUM);
    CU_ASSERT(rig.up_n == 0);
    stop();
}

/* E6: groups are offered to UDP listeners only. */
static void groups_are_for_udp(void)
{
    static const uint8_t group4[6] = {0x01, 0x00, 0x5e, 0x00, 0x01, 0xbb};
    static const uint8_t group6[6] = {0x33, 0x33, 0, 0, 0, 0xfd};
    struct rig_frame f;
    start();
    rig.claim_everywhere = true;
    frame_ethernet(&f, group4, rig_device_mac, 20, WIRE_TYPE_IPV4);
    frame_udp(&f, "10.20.0.5", 40000, "224.0.1.187", 1883, "coap", 4);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_OK);
    frame_ethernet(&f, group6, rig_device_mac, 20, WIRE_TYPE_IPV6);
    frame_udp(&f, "fe80::5", 40000, "ff02::fd", 1883, "coap", 4);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_OK);
    CU_ASSERT(rig.up_n == 2);
    f = syn(group4, 20, "10.20.0.5", "224.0.1.187", 1883);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_NOT_FOR_US);
    f = syn(rig_broadcast, 20, "10.20.0.5", "10.20.0.1", 1883); /* our address, everybody's MAC */
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_NOT_FOR_US);
    f = syn(rig_gateway_mac, 20, "10.20.0.5", "10.20.3.255", 1883);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_NOT_FOR_US);
    CU_ASSERT(rig.up_n == 2);
    stop();
}

/* C4: a known neighbour stays where it is; the answer to whoever borrows its address goes there. */
static void a_borrowed_address_gets_no_answer(void)
{
    uint8_t mac[6];
    start();
    struct rig_frame ask = frame_arp(20, WIRE_ARP_REQUEST, rig_broadcast, rig_device_mac, "10.20.0.5",
                                     rig_broadcast, "10.20.0.1");
    rig_write(&rig, 0, &ask);
    struct rig_frame f = syn(rig_gateway_mac, 20, "10.20.0.5", "10.20.0.1", 1883);
    memcpy(f.at + 6, rig_other_mac, 6);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_OK);
    CU_ASSERT_FATAL(rig.up_n == 1);
    CU_ASSERT(ip_stack_path_mac(rig.stack, rig.up[0].path, mac) && memcmp(mac, rig_device_mac, 6) == 0);
    stop();
}

static void a_full_table_is_counted(void)
{
    start();
    char source[32];
    for (unsigned int i = 0; i < 80; i++) {
        snprintf(source, sizeof(source), "10.20.1.%u", i);
        struct rig_frame f = syn(rig_gateway_mac, 20, source, "10.20.0.1", 1883);
        rig_write(&rig, 0, &f);
    }
    /* 64 places, three of which are the routes' next hops. */
    CU_ASSERT(rig.up_n == 61 && rig_count(&rig, FRAME_NEIGHBOR_TABLE_FULL) == 19);
    stop();
}

static void bursts_keep_their_order(void)
{
    struct rig_frame frames[PORT_BURST];
    char payload[8];
    start();
    for (unsigned int i = 0; i < PORT_BURST; i++) {
        snprintf(payload, sizeof(payload), "%02u", i);
        frame_ethernet(&frames[i], rig_gateway_mac, rig_device_mac, 20, WIRE_TYPE_IPV4);
        if (i % 5 == 4) /* junk in between */
            frame_ip(&frames[i], "10.20.0.5", "10.20.0.1", 47, 0, 0, 64);
        else if (i % 3 == 0)
            frame_udp(&frames[i], "10.20.0.5", 40000, "10.20.0.1", 1883, payload, 2);
        else
            frame_tcp(&frames[i], "10.20.0.5", 40000, "10.20.0.1", 1883, 0x10, payload, 2);
    }
    rig_write_burst(&rig, 0, frames, PORT_BURST);
    int last[2] = {-1, -1};
    CU_ASSERT(rig.up_n == 26);
    for (uint32_t i = 0; i < rig.up_n; i++) {
        bool udp = rig.up[i].key.protocol == WIRE_PROTOCOL_UDP;
        int number = atoi((const char *)rig.up[i].payload + (udp ? 8 : 20));
        CU_ASSERT(number > last[udp]);
        CU_ASSERT((number % 3 == 0) == udp && number % 5 != 4);
        last[udp] = number;
    }
    stop();
}

/* Longer bursts than ours are taken too; and what drivers do to packets. */
static void mbufs_come_in_all_shapes(void)
{
    struct rte_mbuf *burst[3 * PORT_BURST];
    start();
    struct rig_frame f = syn(rig_gateway_mac, 20, "10.20.0.5", "10.20.0.1", 1883);
    for (uint32_t i = 0; i < RTE_DIM(burst); i++) {
        burst[i] = rte_pktmbuf_alloc(rig.mempool);
        memcpy(rte_pktmbuf_append(burst[i], (uint16_t)f.len), f.at, f.len);
    }
    ip_stack_input(rig.stack, 0, burst, RTE_DIM(burst), rig.now_us);
    CU_ASSERT(rig.up_n == RTE_DIM(burst));
    /* The tag taken off by the device. */
    struct rig_frame plain = syn(rig_gateway_mac, 0, "10.20.0.5", "10.20.0.1", 1883);
    burst[0] = rte_pktmbuf_alloc(rig.mempool);
    memcpy(rte_pktmbuf_append(burst[0], (uint16_t)plain.len), plain.at, plain.len);
    burst[0]->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
    burst[0]->vlan_tci = 0x6014; /* with a priority */
    /* In two segments. */
    burst[1] = rte_pktmbuf_alloc(rig.mempool);
    memcpy(rte_pktmbuf_append(burst[1], 30), f.at, 30);
    struct rte_mbuf *tail = rte_pktmbuf_alloc(rig.mempool);
    memcpy(rte_pktmbuf_append(tail, (uint16_t)(f.len - 30)), f.at + 30, f.len - 30);
    rte_pktmbuf_chain(burst[1], tail);
    /* Verified by the device, which is believed. */
    burst[2] = rte_pktmbuf_alloc(rig.mempool);
    f.at[f.len - 1] ^= 1;
    memcpy(rte_pktmbuf_append(burst[2], (uint16_t)f.len), f.at, f.len);
    burst[2]->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    rig.up_n = 0;
    ip_stack_input(rig.stack, 0, burst, 3, rig.now_us);
    CU_ASSERT(rig.up_n == 3 && rig.up[0].key.interface == 0 && rig.up[1].transport_len == 25);
    CU_ASSERT(ip_stack_counters(rig.stack)->rx_packets[0] == RTE_DIM(burst) + 3);
    stop();
}

/* A datagram of n bytes as IPv4 fragments of at most 1,000 bytes. */
static uint32_t split(struct rig_frame *out, const char *source, size_t n, bool good)
{
    static struct rig_frame whole;
    static uint8_t payload[1900];
    for (size_t i = 0; i < n; i++)
        payload[i] = (uint8_t)i;
    whole.len = 0;
    frame_udp(&whole, source, 40000, "10.20.0.1", 1883, payload, n);
    if (!good)
        whole.at[26] ^= 1;
    uint32_t count = 0;
    for (size_t from = 0; from < n + 8; from += 1000, count++) {
        size_t part = RTE_MIN(n + 8 - from, (size_t)1000);
        uint16_t more = from + part < n + 8 ? WIRE_IPV4_MORE_FRAGMENTS : 0;
        frame_ethernet(&out[count], rig_gateway_mac, rig_device_mac, 20, WIRE_TYPE_IPV4);
        frame_ip(&out[count], source, "10.20.0.1", WIRE_PROTOCOL_UDP, part, (uint16_t)(from / 8 | more), 64);
        frame_bytes(&out[count], whole.at + 20 + from, part);
    }
    return count;
}

static void fragments_become_datagrams(void)
{
    static struct rig_frame pieces[4];
    start();
    CU_ASSERT(split(pieces, "10.20.0.5", 1800, true) == 2);
    CU_ASSERT(rig_write(&rig, 0, &pieces[1]) == FRAME_FRAGMENT);
    CU_ASSERT(rig.up_n == 0);
    CU_ASSERT(rig_write(&rig, 0, &pieces[0]) == FRAME_OK);
    CU_ASSERT_FATAL(rig.up_n == 1 && rig.up[0].transport_len == 1808);
    CU_ASSERT(rig.up[0].payload[8] == 0 && rig.up[0].payload[8 + 999] == (uint8_t)999);
    CU_ASSERT(rig.up[0].key.interface == 0 && ip_stack_counters(rig.stack)->reassembled == 1);
    split(pieces, "10.20.0.5", 1800, false); /* the checksum is verified over the whole */
    rig_write(&rig, 0, &pieces[0]);
    CU_ASSERT(rig_write(&rig, 0, &pieces[1]) == FRAME_BAD_CHECKSUM);
    split(pieces, "10.30.0.5", 1800, true);
    CU_ASSERT(rig_write(&rig, 0, &pieces[0]) == FRAME_BAD_SOURCE);
    split(pieces, "10.20.0.6", 1800, true); /* the rest never comes */
    CU_ASSERT(rig_write(&rig, 0, &pieces[0]) == FRAME_FRAGMENT);
    rig_advance(&rig, 30000000);
    CU_ASSERT(ip_stack_counters(rig.stack)->reassembly_expired == 1);
    stop();
}

/* Two datagrams completed in one burst must not share a buffer. */
static void datagrams_of_one_burst_are_apart(void)
{
    static struct rig_frame pieces[4];
    start();
    split(pieces, "10.20.0.5", 1800, true);
    split(pieces + 2, "10.20.0.6", 1200, true);
    rig_write_burst(&rig, 0, pieces, 4);
    CU_ASSERT_FATAL(rig.up_n == 2);
    CU_ASSERT(rig.up[0].transport_len == 1808 && rig_is(&rig.up[0].key.remote, "10.20.0.5"));
    CU_ASSERT(rig.up[1].transport_len == 1208 && rig_is(&rig.up[1].key.remote, "10.20.0.6"));
    stop();
}

/* An IPv6 fragment within fragments is refused when put together (RFC 8200 s.4.5). */
static void nested_fragments_are_refused(void)
{
    struct rig_frame f;
    start();
    for (uint32_t i = 0; i < 2; i++) {
        struct wire_ipv6_fragment outer = {
            .next_header = WIRE_PROTOCOL_FRAGMENT, .offset = be16_make(i == 0 ? 1 : 8), .id = be32_make(1)};
        struct wire_ipv6_fragment inner = {
            .next_header = WIRE_PROTOCOL_UDP, .offset = be16_make(1), .id = be32_make(2)};
        frame_ethernet(&f, rig_gateway_mac, rig_device_mac, 20, WIRE_TYPE_IPV6);
        frame_ip(&f, "fd20::5", "fd20::1", WIRE_PROTOCOL_FRAGMENT, 16, 0, 64);
        frame_bytes(&f, &outer, 8);
        frame_bytes(&f, &inner, 8);
        CU_ASSERT(rig_write(&rig, 0, &f) == (i == 0 ? FRAME_FRAGMENT : FRAME_BAD_FRAGMENT));
    }
    CU_ASSERT(rig.up_n == 0);
    stop();
}

static void bad_settings_are_refused(void)
{
    struct ip_stack_config config = {
        .ports = rig.ports,
        .ports_n = 1,
        .interfaces_n = 1,
        .interfaces = {
            {.name = "iot", .vlan = 20, .addresses_n = 1, .addresses = {{rig_ip("10.20.0.1"), 118}}}}};
    struct ip_route_config route = {.destination = {rig_ip("0.0.0.0"), 96}, .next_hop = rig_ip("10.20.0.2")};
#define EXPECT(good)                                                                                         \
    do {                                                                                                     \
        struct ip_stack *stack = ip_stack_create(&config, &rig_handler, &rig, rig_secret, 0);                \
        CU_ASSERT((stack != NULL) == (good));                                                                \
        ip_stack_destroy(stack);                                                                             \
    } while (0)
    EXPECT(true);
    config.routes = &route;
    config.routes_n = 1;
    EXPECT(true);
    route.next_hop = rig_ip("10.99.0.2"); /* not on the link */
    EXPECT(false);
    route.next_hop = rig_ip("10.20.0.1"); /* ourselves */
    EXPECT(false);
    route.next_hop = rig_ip("fe80::1"); /* of the other family */
    EXPECT(false);
    route.next_hop = rig_ip("10.20.0.2");
    route.interface = 1;
    EXPECT(false);
    config.routes_n = 0;
    config.interfaces[0].vlan = 4095;
    EXPECT(false);
    config.interfaces[0].vlan = 20;
    config.interfaces[0].port = 1;
    EXPECT(false);
    config.interfaces[0].port = 0;
    config.interfaces[1] = config.interfaces[0]; /* the same VLAN twice */
    config.interfaces_n = 2;
    EXPECT(false);
    config.interfaces_n = 1;
    config.interfaces[0].addresses[0].bits = 18; /* a length that forgot the 96 */
    EXPECT(false);
#undef EXPECT
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"A1: segments for us go up, on every VLAN and route", segments_for_us_go_up},
        {"A4: what nobody claims is dropped, silently", what_nobody_claims_is_dropped},
        {"A2: any destination can be claimed", any_destination_can_be_claimed},
        {"RFC 3704: sources must be plausible", sources_must_be_plausible},
        {"checksums are verified", checksums_are_verified},
        {"E6: groups are for UDP", groups_are_for_udp},
        {"C4: a borrowed address gets no answer", a_borrowed_address_gets_no_answer},
        {"a full neighbour table is counted", a_full_table_is_counted},
        {"bursts keep their order", bursts_keep_their_order},
        {"buffers come in all shapes", mbufs_come_in_all_shapes},
        {"fragments become datagrams", fragments_become_datagrams},
        {"datagrams of one burst are apart", datagrams_of_one_burst_are_apart},
        {"RFC 8200 4.5: nested fragments are refused", nested_fragments_are_refused},
        {"bad settings are refused", bad_settings_are_refused},
    };
    return rig_run(&rig, "net/ip_stack", tests, RTE_DIM(tests));
}
