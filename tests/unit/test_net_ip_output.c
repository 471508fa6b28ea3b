/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The IP stack's way down: paths, packets, fragments, queues (A1, A2). */
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

static void answer_arp(uint32_t port, uint16_t vlan, const char *who, const uint8_t mac[6], const char *whom)
{
    struct rig_frame reply =
        frame_arp(vlan, WIRE_ARP_REPLY, rig_gateway_mac, mac, who, rig_gateway_mac, whom);
    CU_ASSERT(rig_write(&rig, port, &reply) == FRAME_OK);
}

static void answer_nd(uint32_t port, uint16_t vlan, const char *who, const uint8_t mac[6], const char *whom)
{
    struct rig_frame f;
    frame_ethernet(&f, rig_gateway_mac, mac, vlan, WIRE_TYPE_IPV6);
    frame_nd(&f, who, whom, WIRE_ICMPV6_NEIGHBOR_ADVERTISEMENT, WIRE_NA_SOLICITED, who, mac, 255);
    CU_ASSERT(rig_write(&rig, port, &f) == FRAME_OK);
}

/* Sends a "transport packet" of n bytes of protocol 6, with a checksum at 16. */
static bool send_bytes(uint32_t *path, const char *source, const char *destination, size_t n)
{
    struct ip_address s = rig_ip(source);
    struct ip_address d = rig_ip(destination);
    struct rte_mbuf *mbuf;
    uint8_t *at = ip_stack_begin(rig.stack, path, &s, &d, WIRE_PROTOCOL_TCP, (uint32_t)n, &mbuf);
    if (at == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)i;
    at[12] = 0x50;
    ip_stack_send(rig.stack, *path, mbuf, 16, rig.now_us);
    return true;
}

static uint32_t path_to(const char *text)
{
    struct ip_address a = rig_ip(text);
    return ip_stack_path(rig.stack, &a);
}

static void packets_wait_for_the_neighbor(void)
{
    struct rig_frame out;
    struct frame frame;
    start();
    uint32_t path = path_to("10.20.0.5");
    for (size_t n = 20; n < 25; n++)
        CU_ASSERT(send_bytes(&path, "10.20.0.1", "10.20.0.5", n));
    CU_ASSERT_FATAL(rig_read_good(&rig, 0, &out, &frame));
    CU_ASSERT(frame.ethertype == WIRE_TYPE_ARP && rig_is(&frame.destination, "10.20.0.5"));
    CU_ASSERT(rig_drain(&rig, 0) == 0 && rig_count(&rig, FRAME_NO_NEIGHBOR) == 2);
    answer_arp(0, 20, "10.20.0.5", rig_device_mac, "10.20.0.1");
    for (size_t n = 22; n < 25; n++) { /* the newest three, in order */
        CU_ASSERT_FATAL(rig_read_good(&rig, 0, &out, &frame));
        CU_ASSERT(frame.vlan == 20 && memcmp(out.at, rig_device_mac, 6) == 0);
        CU_ASSERT(memcmp(out.at + 6, rig_gateway_mac, 6) == 0 && frame.transport_len == n);
        CU_ASSERT(rig_is(&frame.source, "10.20.0.1") && rig_is(&frame.destination, "10.20.0.5"));
        const struct wire_ipv4 *ip = (const void *)frame.network;
        CU_ASSERT(be16_get(ip->id) == 0 && be16_get(ip->fragment) == WIRE_IPV4_DONT_FRAGMENT &&
                  ip->ttl == 64);
    }
    CU_ASSERT(send_bytes(&path, "10.20.0.1", "10.20.0.5", 20)); /* at once now */
    CU_ASSERT(rig_drain(&rig, 0) == 1);
    stop();
}

static void silence_is_told_to_the_owner(void)
{
    start();
    uint32_t path = path_to("10.20.0.5");
    CU_ASSERT(send_bytes(&path, "10.20.0.1", "10.20.0.5", 20));
    for (int i = 0; i < 2; i++)
        rig_advance(&rig, 1000000);
    CU_ASSERT(rig.unreachable_n == 0 && rig_drain(&rig, 0) == 3); /* asked three times */
    rig_advance(&rig, 1000000);
    CU_ASSERT(rig.unreachable_n == 1 && rig.unreachable_mtu == 0);
    CU_ASSERT(rig_is(&rig.unreachable_key.local, "10.20.0.1"));
    CU_ASSERT(rig_is(&rig.unreachable_key.remote, "10.20.0.5"));
    CU_ASSERT(rig.unreachable_key.protocol == 6 && rig.unreachable_key.local_port == 0x0001);
    CU_ASSERT(rig_count(&rig, FRAME_NO_NEIGHBOR) == 1 && rig_drain(&rig, 0) == 0);
    stop();
}

static void routes_lead_to_their_next_hop(void)
{
    struct rig_frame out;
    struct frame frame;
    struct ip_address source;
    struct ip_address far4 = rig_ip("192.0.2.9");
    struct ip_address far6 = rig_ip("2001:db8::9");
    start();
    uint32_t path = path_to("192.0.2.9");
    CU_ASSERT(ip_stack_path_interface(rig.stack, path) == 1 && ip_stack_path_mtu(rig.stack, path) == 1500);
    CU_ASSERT(ip_stack_source(rig.stack, path, &far4, &source) && rig_is(&source, "10.30.0.1"));
    CU_ASSERT(rig_drain(&rig, 1) == 0); /* a path alone does not ask for the router */
    CU_ASSERT(send_bytes(&path, "10.30.0.1", "192.0.2.9", 20));
    CU_ASSERT_FATAL(rig_read_good(&rig, 1, &out, &frame));
    CU_ASSERT(frame.ethertype == WIRE_TYPE_ARP && frame.vlan == 0 && rig_is(&frame.destination, "10.30.0.2"));
    answer_arp(1, 0, "10.30.0.2", rig_other_mac, "10.30.0.1");
    CU_ASSERT_FATAL(rig_read_good(&rig, 1, &out, &frame));
    CU_ASSERT(memcmp(out.at, rig_other_mac, 6) == 0 && rig_is(&frame.destination, "192.0.2.9"));

    path = path_to("2001:db8::9");
    CU_ASSERT(ip_stack_source(rig.stack, path, &far6, &source) && rig_is(&source, "fd30::1"));
    CU_ASSERT(send_bytes(&path, "fd30::1", "2001:db8::9", 20));
    CU_ASSERT_FATAL(rig_read_good(&rig, 1, &out, &frame));
    CU_ASSERT(frame.transport[0] == WIRE_ICMPV6_NEIGHBOR_SOLICITATION);
    answer_nd(1, 0, "fd30::2", rig_other_mac, "fd30::1");
    CU_ASSERT_FATAL(rig_read_good(&rig, 1, &out, &frame));
    CU_ASSERT(rig_is(&frame.destination, "2001:db8::9") && frame.ttl == 64);

    path = path_to("10.40.0.7"); /* an interface without an IPv6 address of its own */
    CU_ASSERT(ip_stack_path_interface(rig.stack, path) == 2);
    CU_ASSERT(!ip_stack_source(rig.stack, path, &far6, &source));
    rig_drain(&rig, 0);

    path = path_to("10.50.1.2"); /* a longer prefix than the default */
    CU_ASSERT(send_bytes(&path, "10.20.0.1", "10.50.1.2", 20));
    CU_ASSERT_FATAL(rig_read_good(&rig, 0, &out, &frame));
    CU_ASSERT(frame.vlan == 20 && rig_is(&frame.destination, "10.20.0.254"));
    stop();
}

static void stale_paths_are_looked_up_again(void)
{
    struct rig_frame out;
    struct frame frame;
    start();
    uint32_t device = path_to("10.20.0.5");
    answer_arp(0, 20, "10.20.0.5", rig_device_mac, "10.20.0.1");
    uint32_t other = path_to("10.20.0.6");
    answer_arp(0, 20, "10.20.0.6", rig_other_mac, "10.20.0.1");
    rig_drain(&rig, 0);
    /* A note that belongs to somebody else now, one out of range, one without an interface, none. */
    const uint32_t notes[] = {other, (device & 0xff000000u) | 0x00fffffeu, 0x05000000u | (device & 0xffffffu),
                              IP_STACK_PATH_NONE, 0xfe000001u};
    for (size_t i = 0; i < RTE_DIM(notes); i++) {
        uint32_t path = notes[i];
        CU_ASSERT(send_bytes(&path, "10.20.0.1", "10.20.0.5", 20));
        CU_ASSERT(path == device);
        CU_ASSERT_FATAL(rig_read_good(&rig, 0, &out, &frame));
        CU_ASSERT(memcmp(out.at, rig_device_mac, 6) == 0 && frame.vlan == 20);
    }
    uint8_t mac[6];
    CU_ASSERT(ip_stack_path_mac(rig.stack, device, mac) && memcmp(mac, rig_device_mac, 6) == 0);
    CU_ASSERT(!ip_stack_path_mac(rig.stack, IP_STACK_PATH_NONE, mac));
    CU_ASSERT(!ip_stack_path_mac(rig.stack, 0x05000000u, mac));
    CU_ASSERT(ip_stack_path_interface(rig.stack, IP_STACK_PATH_NONE) == IP_STACK_INTERFACES);
    stop();
}

static void there_may_be_no_route(void)
{
    struct ip_stack *whole = NULL;
    const struct ip_stack_config config = {
        .ports = rig.ports,
        .ports_n = 1,
        .interfaces_n = 1,
        .interfaces = {{.name = "iot", .addresses_n = 1, .addresses = {{rig_ip("10.20.0.1"), 118}}}}};
    start();
    whole = rig.stack;
    rig.stack = ip_stack_create(&config, &rig_handler, &rig, rig_secret, rig.now_us);
    CU_ASSERT_FATAL(rig.stack != NULL);
    uint32_t path = path_to("192.0.2.1");
    CU_ASSERT(path == IP_STACK_PATH_NONE);
    CU_ASSERT(!send_bytes(&path, "10.20.0.1", "192.0.2.1", 20) && rig_count(&rig, FRAME_NO_ROUTE) == 1);
    CU_ASSERT(path_to("fe80::1") == IP_STACK_PATH_NONE); /* on which link? */
    ip_stack_destroy(rig.stack);
    rig.stack = whole;
    stop();
}

static void packets_have_a_largest_size(void)
{
    start();
    uint32_t path = path_to("10.20.0.5");
    answer_arp(0, 20, "10.20.0.5", rig_device_mac, "10.20.0.1");
    uint32_t path6 = path_to("fd20::5");
    answer_nd(0, 20, "fd20::5", rig_device_mac, "fd20::1");
    rig_drain(&rig, 0);
    CU_ASSERT(send_bytes(&path, "10.20.0.1", "10.20.0.5", 1480));
    CU_ASSERT(send_bytes(&path6, "fd20::1", "fd20::5", 1460));
    CU_ASSERT(rig_drain(&rig, 0) == 2);
    CU_ASSERT(!send_bytes(&path, "10.20.0.1", "10.20.0.5", 1481));
    CU_ASSERT(!send_bytes(&path6, "fd20::1", "fd20::5", 1461));
    CU_ASSERT(!send_bytes(&path, "10.20.0.1", "10.20.0.5", UINT32_MAX));
    CU_ASSERT(rig_count(&rig, FRAME_TOO_LARGE) == 3);
    stop();
}

/* Sends n bytes over UDP and puts what comes out together again; answers how many frames it took. */
static uint32_t udp_round(bool v4, size_t n)
{
    static uint8_t payload[65536];
    static uint8_t got[65536];
    struct flow_key key = {.local = rig_ip(v4 ? "10.20.0.1" : "fd20::1"),
                           .remote = rig_ip(v4 ? "10.20.0.5" : "fd20::5"),
                           .local_port = 5683,
                           .remote_port = 40000};
    struct rig_frame out;
    struct frame frame;
    uint32_t frames = 0;
    size_t bytes = 0;
    uint32_t id = 0;
    for (size_t i = 0; i < n; i++)
        payload[i] = (uint8_t)(i * 7 + i / 256);
    uint32_t path = path_to(v4 ? "10.20.0.5" : "fd20::5");
    CU_ASSERT(ip_stack_send_udp(rig.stack, &path, &key, payload, n, rig.now_us) == 0);
    while (rig_read_good(&rig, 0, &out, &frame)) {
        if (frames > 0)
            CU_ASSERT(frame.fragment && frame.fragment_id == id);
        id = frame.fragment_id;
        CU_ASSERT(frame.network_len <= 1500 && frame.fragment_offset == bytes && frame.vlan == 20);
        memcpy(got + bytes, frame.transport, frame.transport_len);
        bytes += frame.transport_len;
        frames++;
        if (frame.fragment && !frame.more_fragments)
            break;
    }
    const struct wire_udp *udp = (const void *)got;
    CU_ASSERT(bytes == n + 8 && be16_get(udp->length) == n + 8 && memcmp(got + 8, payload, n) == 0);
    CU_ASSERT(be16_get(udp->source_port) == 5683 && be16_get(udp->destination_port) == 40000);
    uint64_t sum = checksum_pseudo(&key.local, &key.remote, WIRE_PROTOCOL_UDP, (uint32_t)(n + 8));
    CU_ASSERT(checksum_fold(checksum_add(sum, got, n + 8)) == 0xffff);
    return frames;
}

static void datagrams_are_fragmented(void)
{
    start();
    path_to("10.20.0.5");
    answer_arp(0, 20, "10.20.0.5", rig_device_mac, "10.20.0.1");
    path_to("fd20::5");
    answer_nd(0, 20, "fd20::5", rig_device_mac, "fd20::1");
    rig_drain(&rig, 0);
    CU_ASSERT(udp_round(true, 0) == 1);
    CU_ASSERT(udp_round(true, 1472) == 1);
    CU_ASSERT(udp_round(true, 1473) == 2);
    CU_ASSERT(udp_round(true, 4000) == 3);
    CU_ASSERT(udp_round(true, 65507) == 45);
    CU_ASSERT(udp_round(false, 1452) == 1);
    CU_ASSERT(udp_round(false, 1453) == 2);
    CU_ASSERT(udp_round(false, 4000) == 3);
    static const uint8_t big[65536];
    struct flow_key key = {.local = rig_ip("10.20.0.1"), .remote = rig_ip("10.20.0.5")};
    uint32_t path = IP_STACK_PATH_NONE;
    CU_ASSERT(ip_stack_send_udp(rig.stack, &path, &key, big, 65508, rig.now_us) == -EMSGSIZE);
    CU_ASSERT(ip_stack_send_udp(rig.stack, &path, &key, big, 65536, rig.now_us) == -EMSGSIZE);
    stop();
}

/* RFC 1191, RFC 8201: what a router said is respected, for that destination. */
static void datagrams_respect_the_path(void)
{
    start();
    path_to("10.20.0.5");
    answer_arp(0, 20, "10.20.0.5", rig_device_mac, "10.20.0.1");
    rig_drain(&rig, 0);
    CU_ASSERT(udp_round(true, 1400) == 1);
    struct rig_frame quoted = {.len = 0};
    struct rig_frame f;
    frame_udp(&quoted, "10.20.0.1", 5683, "10.20.0.5", 40000, "x", 1);
    frame_ethernet(&f, rig_gateway_mac, rig_device_mac, 20, WIRE_TYPE_IPV4);
    frame_icmp(&f, "10.20.0.9", "10.20.0.1", WIRE_ICMP_UNREACHABLE, 4, 1000, quoted.at, quoted.len, 64);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_OK);
    CU_ASSERT(udp_round(true, 972) == 1);
    CU_ASSERT(udp_round(true, 1400) == 2);
    rig.now_us += 600000000; /* forgotten: the path may be better by now */
    CU_ASSERT(udp_round(true, 1400) == 1);
    stop();
}

/* Fragments of datagrams to somebody not yet known wait too; a datagram of more than three is lost then. */
static void fragments_wait_for_the_neighbor(void)
{
    static const uint8_t payload[4000];
    struct flow_key key = {.local = rig_ip("10.20.0.1"), .remote = rig_ip("10.20.0.5")};
    uint32_t path = IP_STACK_PATH_NONE;
    start();
    CU_ASSERT(ip_stack_send_udp(rig.stack, &path, &key, payload, 4000, rig.now_us) == 0);
    CU_ASSERT(rig_drain(&rig, 0) == 1);
    answer_arp(0, 20, "10.20.0.5", rig_device_mac, "10.20.0.1");
    CU_ASSERT(rig_drain(&rig, 0) == 3);
    stop();
}

/* The device takes nothing: some wait, the rest is dropped and counted, and all buffers come back. */
static void a_full_device_is_survived(void)
{
    start();
    uint32_t path = path_to("10.20.0.5");
    answer_arp(0, 20, "10.20.0.5", rig_device_mac, "10.20.0.1");
    rig_drain(&rig, 0);
    uint32_t sent = 0;
    for (int i = 0; i < 2000; i++) {
        sent += send_bytes(&path, "10.20.0.1", "10.20.0.5", 20);
        if (i % 32 == 31)
            ip_stack_flush(rig.stack);
    }
    CU_ASSERT(sent == 2000);
    uint64_t dropped = rig_count(&rig, FRAME_TX_FULL);
    CU_ASSERT(dropped == 2000 - 1023 - 256);
    CU_ASSERT(rig_drain(&rig, 0) == 2000 - dropped);
    CU_ASSERT(ip_stack_counters(rig.stack)->tx_packets[0] == 2000 - dropped + 1);
    stop();
}

static void lack_of_buffers_is_survived(void)
{
    struct rte_mbuf *all[4096];
    uint32_t n = 0;
    start();
    uint32_t path = path_to("10.20.0.5");
    answer_arp(0, 20, "10.20.0.5", rig_device_mac, "10.20.0.1");
    rig_drain(&rig, 0);
    while (n < RTE_DIM(all) && (all[n] = rte_pktmbuf_alloc(rig.mempool)) != NULL)
        n++;
    CU_ASSERT(!send_bytes(&path, "10.20.0.1", "10.20.0.5", 20));
    CU_ASSERT(rig_count(&rig, FRAME_NO_MBUF) == 1);
    rte_pktmbuf_free_bulk(all, n);
    CU_ASSERT(send_bytes(&path, "10.20.0.1", "10.20.0.5", 20));
    stop();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"RFC 4861 7.2.2: packets wait for the neighbour", packets_wait_for_the_neighbor},
        {"silence is told to the owner", silence_is_told_to_the_owner},
        {"routes lead to their next hop", routes_lead_to_their_next_hop},
        {"stale paths are looked up again", stale_paths_are_looked_up_again},
        {"there may be no route", there_may_be_no_route},
        {"packets have a largest size", packets_have_a_largest_size},
        {"RFC 791, RFC 8200 4.5: datagrams are fragmented", datagrams_are_fragmented},
        {"RFC 8201: datagrams respect the path", datagrams_respect_the_path},
        {"fragments wait for the neighbour", fragments_wait_for_the_neighbor},
        {"a full device is survived", a_full_device_is_survived},
        {"lack of buffers is survived", lack_of_buffers_is_survived},
    };
    return rig_run(&rig, "net/ip_output", tests, RTE_DIM(tests));
}
