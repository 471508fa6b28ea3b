/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ICMP and ICMPv6 through the stack: echo, errors in and out (A1). */
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

static struct rig_frame echo(const char *source, const char *destination, uint8_t type, size_t n)
{
    static uint8_t body[1500];
    struct rig_frame f;
    bool v4 = strchr(source, ':') == NULL;
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (uint8_t)i;
    frame_ethernet(&f, rig_gateway_mac, rig_device_mac, 20, v4 ? WIRE_TYPE_IPV4 : WIRE_TYPE_IPV6);
    frame_icmp(&f, source, destination, type, 0, 0xabcd0001, body, n, 64);
    return f;
}

static void echo_is_answered(void)
{
    static const struct {
        const char *source;
        const char *destination;
        uint8_t request;
        uint8_t reply;
    } cases[] = {{"10.20.0.5", "10.20.0.1", WIRE_ICMP_ECHO, WIRE_ICMP_ECHO_REPLY},
                 {"fd20::5", "fd20::1", WIRE_ICMPV6_ECHO, WIRE_ICMPV6_ECHO_REPLY},
                 {"fe80::5", "fe80::ff:fe00:a", WIRE_ICMPV6_ECHO, WIRE_ICMPV6_ECHO_REPLY}};
    static const size_t sizes[] = {0, 1, 56, 1400};
    start();
    for (size_t i = 0; i < RTE_DIM(cases); i++) {
        for (size_t s = 0; s < RTE_DIM(sizes); s++) {
            struct rig_frame out;
            struct frame frame;
            struct rig_frame in = echo(cases[i].source, cases[i].destination, cases[i].request, sizes[s]);
            CU_ASSERT(rig_write(&rig, 0, &in) == FRAME_OK);
            CU_ASSERT_FATAL(rig_read_good(&rig, 0, &out, &frame));
            const struct wire_icmp *icmp = (const void *)frame.transport;
            CU_ASSERT(icmp->type == cases[i].reply && be32_get(icmp->rest) == 0xabcd0001);
            CU_ASSERT(frame.transport_len == 8 + sizes[s] && frame.vlan == 20);
            CU_ASSERT(memcmp(frame.transport + 8, in.at + in.len - sizes[s], sizes[s]) == 0);
            CU_ASSERT(rig_is(&frame.source, cases[i].destination));
            CU_ASSERT(rig_is(&frame.destination, cases[i].source));
        }
    }
    stop();
}

static void echo_is_limited(void)
{
    start();
    struct rig_frame in = echo("10.20.0.5", "10.20.0.1", WIRE_ICMP_ECHO, 8);
    uint32_t answered = 0;
    for (int i = 0; i < 200; i++)
        answered += rig_write(&rig, 0, &in) == FRAME_OK;
    CU_ASSERT(answered == 50 && rig_drain(&rig, 0) == 50);
    CU_ASSERT(rig_count(&rig, FRAME_ICMP_RATE) == 150);
    rig.now_us += 100000; /* a tenth of a second: ten more */
    answered = 0;
    for (int i = 0; i < 200; i++)
        answered += rig_write(&rig, 0, &in) == FRAME_OK;
    CU_ASSERT(answered == 10);
    stop();
}

static void what_is_not_ours_is_not_echoed(void)
{
    start();
    struct rig_frame f = echo("10.20.0.5", "10.30.0.9", WIRE_ICMP_ECHO, 8);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_NO_LISTENER);
    f = echo("10.20.0.5", "10.20.3.255", WIRE_ICMP_ECHO, 8); /* RFC 2644: directed broadcast */
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_NOT_FOR_US);
    f = echo("10.20.0.5", "255.255.255.255", WIRE_ICMP_ECHO, 8);
    memcpy(f.at, rig_broadcast, 6);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_NOT_FOR_US);
    f = echo("10.20.0.5", "10.20.0.1", WIRE_ICMP_ECHO, 8);
    memcpy(f.at, rig_broadcast, 6); /* our address in a broadcast frame */
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_NOT_FOR_US);
    f = echo("10.20.0.5", "10.20.0.1", WIRE_ICMP_ECHO_REPLY, 8);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_NOT_FOR_US);
    f = echo("10.20.0.5", "10.20.0.1", 13, 12); /* timestamp request */
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_NOT_FOR_US);
    f = echo("10.20.0.5", "10.20.0.1", WIRE_ICMP_ECHO, 8);
    f.at[f.len - 1] ^= 0x40;
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_BAD_CHECKSUM);
    f = echo("10.30.0.5", "10.20.0.1", WIRE_ICMP_ECHO, 8); /* from the wrong side */
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_BAD_SOURCE);
    f = echo("10.20.0.1", "10.20.0.1", WIRE_ICMP_ECHO, 8); /* from ourselves */
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_BAD_SOURCE);
    f = echo("fd20::5", "ff02::1", WIRE_ICMPV6_ECHO, 8);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_NOT_FOR_US);
    CU_ASSERT(rig_drain(&rig, 0) == 0 && rig_drain(&rig, 1) == 0);
    stop();
}

/* ICMP in an IPv6 packet and the other way round. */
static void families_are_not_mixed(void)
{
    struct rig_frame f;
    start();
    frame_ethernet(&f, rig_gateway_mac, rig_device_mac, 20, WIRE_TYPE_IPV6);
    frame_ip(&f, "fd20::5", "fd20::1", WIRE_PROTOCOL_ICMP, 8, 0, 64);
    frame_bytes(&f, (uint8_t[8]){WIRE_ICMP_ECHO}, 8);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_UNKNOWN_PROTOCOL);
    frame_ethernet(&f, rig_gateway_mac, rig_device_mac, 20, WIRE_TYPE_IPV4);
    frame_ip(&f, "10.20.0.5", "10.20.0.1", WIRE_PROTOCOL_ICMPV6, 8, 0, 64);
    frame_bytes(&f, (uint8_t[8]){WIRE_ICMPV6_ECHO}, 8);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_UNKNOWN_PROTOCOL);
    stop();
}

/* An error on the WAN that quotes a UDP packet from `local` to `remote`. */
static struct rig_frame error(const char *from, uint8_t type, uint8_t code, uint32_t rest, const char *local,
                              const char *remote)
{
    struct rig_frame quoted = {.len = 0};
    struct rig_frame f;
    bool v4 = strchr(local, ':') == NULL;
    frame_udp(&quoted, local, 40000, remote, 8883, "payload", 7);
    frame_ethernet(&f, rig_gateway_mac, rig_other_mac, 0, v4 ? WIRE_TYPE_IPV4 : WIRE_TYPE_IPV6);
    frame_icmp(&f, from, local, type, code, rest, quoted.at, quoted.len, 64);
    return f;
}

static void errors_are_handed_up(void)
{
    static const struct {
        const char *name;
        bool v4;
        uint8_t type;
        uint8_t code;
        uint32_t rest;
        uint16_t expected_mtu;
    } cases[] = {
        {"host unreachable", true, WIRE_ICMP_UNREACHABLE, 1, 0, 0},
        {"port unreachable", true, WIRE_ICMP_UNREACHABLE, 3, 0, 0},
        {"RFC 1191: fragmentation needed", true, WIRE_ICMP_UNREACHABLE, 4, 1400, 1400},
        {"RFC 1191: from an old router", true, WIRE_ICMP_UNREACHABLE, 4, 0, 552},
        {"a lie to make us slow", true, WIRE_ICMP_UNREACHABLE, 4, 68, 552},
        {"more than we can send", true, WIRE_ICMP_UNREACHABLE, 4, 9000, 1500},
        {"time exceeded", true, WIRE_ICMP_TIME_EXCEEDED, 0, 0, 0},
        {"RFC 4443: no route", false, WIRE_ICMPV6_UNREACHABLE, 0, 0, 0},
        {"RFC 8201: too big", false, WIRE_ICMPV6_TOO_BIG, 0, 1400, 1400},
        {"RFC 8201 4: below the minimum", false, WIRE_ICMPV6_TOO_BIG, 0, 600, 1280},
        {"RFC 8201: absurd", false, WIRE_ICMPV6_TOO_BIG, 0, 0xffffffff, 1500},
    };
    for (size_t i = 0; i < RTE_DIM(cases); i++) {
        start();
        const char *local = cases[i].v4 ? "10.30.0.1" : "fd30::1";
        const char *remote = cases[i].v4 ? "192.0.2.9" : "2001:db8::9";
        struct rig_frame f = error(cases[i].v4 ? "192.0.2.1" : "2001:db8::1", cases[i].type, cases[i].code,
                                   cases[i].rest, local, remote);
        CU_ASSERT(rig_write(&rig, 1, &f) == FRAME_OK);
        CU_ASSERT(rig.unreachable_n == 1 && rig.unreachable_mtu == cases[i].expected_mtu);
        const struct flow_key *key = &rig.unreachable_key;
        CU_ASSERT(rig_is(&key->local, local) && rig_is(&key->remote, remote) && key->interface == 1);
        CU_ASSERT(key->local_port == 40000 && key->remote_port == 8883 && key->protocol == 17);
        CU_ASSERT(rig_drain(&rig, 1) == 0); /* RFC 1122 3.2.2: an error is never answered */
        stop();
    }
}

static void bad_quotes_are_refused(void)
{
    start();
    struct rig_frame good = error("192.0.2.1", WIRE_ICMP_UNREACHABLE, 1, 0, "10.30.0.1", "192.0.2.9");
    struct rig_frame f = good;
    /* It quotes a packet of somebody else's. */
    f = error("192.0.2.1", WIRE_ICMP_UNREACHABLE, 1, 0, "10.30.0.7", "192.0.2.9");
    memcpy(f.at + 14 + 16, (uint8_t[4]){10, 30, 0, 1}, 4);
    checksum_store(f.at + 14 + 10, 0);
    checksum_store(f.at + 14 + 10, (uint16_t)~checksum_fold(checksum_add(0, f.at + 14, 20)));
    CU_ASSERT(rig_write(&rig, 1, &f) == FRAME_BAD_ICMP);
    /* Cut quotes: as short as they get, they must hold the IP header and the ports. */
    for (size_t n = 0; n < 35; n++) {
        struct rig_frame quoted = {.len = 0};
        frame_udp(&quoted, "10.30.0.1", 40000, "192.0.2.9", 8883, "payload", 7);
        frame_ethernet(&f, rig_gateway_mac, rig_other_mac, 0, WIRE_TYPE_IPV4);
        frame_icmp(&f, "192.0.2.1", "10.30.0.1", WIRE_ICMP_UNREACHABLE, 1, 0, quoted.at, n, 64);
        CU_ASSERT(rig_write(&rig, 1, &f) == (n < 28 ? FRAME_BAD_ICMP : FRAME_OK));
        struct rig_frame quoted6 = {.len = 0};
        frame_udp(&quoted6, "fd30::1", 40000, "2001:db8::9", 8883, "payload", 7);
        frame_ethernet(&f, rig_gateway_mac, rig_other_mac, 0, WIRE_TYPE_IPV6);
        frame_icmp(&f, "2001:db8::1", "fd30::1", WIRE_ICMPV6_UNREACHABLE, 1, 0, quoted6.at, n + 20, 64);
        CU_ASSERT(rig_write(&rig, 1, &f) == (n + 20 < 48 ? FRAME_BAD_ICMP : FRAME_OK));
    }
    /* Of a fragment that is not the first there are no ports; of other protocols neither. */
    static const struct {
        size_t at;
        uint8_t value;
        enum frame_outcome expected;
    } changes[] = {{7, 1, FRAME_BAD_ICMP},    {0, 0x65, FRAME_BAD_ICMP}, {0, 0x44, FRAME_BAD_ICMP},
                   {0, 0x4f, FRAME_BAD_ICMP}, {9, 1, FRAME_NOT_FOR_US},  {6, 0x20, FRAME_OK}};
    for (size_t i = 0; i < RTE_DIM(changes); i++) {
        struct rig_frame quoted = {.len = 0};
        frame_udp(&quoted, "10.30.0.1", 40000, "192.0.2.9", 8883, "payload", 7);
        quoted.at[changes[i].at] = changes[i].value;
        frame_ethernet(&f, rig_gateway_mac, rig_other_mac, 0, WIRE_TYPE_IPV4);
        frame_icmp(&f, "192.0.2.1", "10.30.0.1", WIRE_ICMP_UNREACHABLE, 1, 0, quoted.at, quoted.len, 64);
        CU_ASSERT(rig_write(&rig, 1, &f) == changes[i].expected);
    }
    CU_ASSERT(rig_write(&rig, 1, &good) == FRAME_OK);
    stop();
}

/* Errors about flows that a listener on "any" intercepts are addressed to somebody else. */
static void errors_for_intercepted_flows_pass(void)
{
    struct rig_frame quoted = {.len = 0};
    struct rig_frame f;
    start();
    frame_udp(&quoted, "198.51.100.7", 1883, "10.20.0.5", 40000, "x", 1);
    frame_ethernet(&f, rig_gateway_mac, rig_device_mac, 20, WIRE_TYPE_IPV4);
    frame_icmp(&f, "10.20.0.5", "198.51.100.7", WIRE_ICMP_UNREACHABLE, 3, 0, quoted.at, quoted.len, 64);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_OK);
    CU_ASSERT(rig.unreachable_n == 1 && rig_is(&rig.unreachable_key.local, "198.51.100.7"));
    stop();
}

static struct rig_frame request(bool v4, size_t n)
{
    static const uint8_t payload[1400];
    struct rig_frame f;
    frame_ethernet(&f, rig_gateway_mac, rig_device_mac, 20, v4 ? WIRE_TYPE_IPV4 : WIRE_TYPE_IPV6);
    frame_udp(&f, v4 ? "10.20.0.5" : "fd20::5", 40000, v4 ? "10.20.0.1" : "fd20::1", 1883, payload, n);
    return f;
}

static enum ip_stack_refusal refusal;

static void refuse_all(void *owner, const struct ip_packet *packets, uint32_t n, uint64_t now_us)
{
    struct rig *r = owner;
    (void)now_us;
    for (uint32_t i = 0; i < n; i++)
        ip_stack_refuse(r->stack, &packets[i], refusal);
}

static void refusals_quote_the_packet(void)
{
    static const struct {
        bool v4;
        enum ip_stack_refusal why;
        uint8_t type;
        uint8_t code;
        size_t quote;
    } cases[] = {{true, IP_STACK_REFUSE_PORT, 3, 3, 548},
                 {true, IP_STACK_REFUSE_PROHIBITED, 3, 13, 548},
                 {false, IP_STACK_REFUSE_PORT, 1, 4, 1232},
                 {false, IP_STACK_REFUSE_PROHIBITED, 1, 1, 1232}};
    start();
    rig.handler.udp = refuse_all;
    for (size_t i = 0; i < RTE_DIM(cases); i++) {
        for (size_t n = 10; n <= 1400; n += 1390) {
            struct rig_frame out;
            struct frame frame;
            refusal = cases[i].why;
            struct rig_frame in = request(cases[i].v4, n);
            CU_ASSERT(rig_write(&rig, 0, &in) == FRAME_OK);
            CU_ASSERT_FATAL(rig_read_good(&rig, 0, &out, &frame));
            size_t whole = n + 8 + (cases[i].v4 ? 20u : 40u);
            size_t quote = RTE_MIN(whole, cases[i].quote);
            CU_ASSERT(frame.transport[0] == cases[i].type && frame.transport[1] == cases[i].code);
            CU_ASSERT(frame.transport_len == 8 + quote);
            CU_ASSERT(memcmp(frame.transport + 8, in.at + 18, quote) == 0);
            CU_ASSERT(rig_is(&frame.source, cases[i].v4 ? "10.20.0.1" : "fd20::1"));
        }
    }
    stop();
}

static void refusals_are_limited(void)
{
    start();
    rig.handler.udp = refuse_all;
    struct rig_frame in = request(true, 10);
    for (int i = 0; i < 100; i++)
        rig_write(&rig, 0, &in);
    CU_ASSERT(rig_drain(&rig, 0) == 10 && ip_stack_counters(rig.stack)->errors_sent == 10);
    stop();
}

/* From inside claims there is no path yet; the sender becomes no neighbour for it. */
static bool refuse_claims(void *owner, uint16_t interface, uint8_t protocol,
                          const struct ip_address *destination, uint16_t port, const struct ip_packet *packet)
{
    struct rig *r = owner;
    (void)interface;
    (void)protocol;
    (void)destination;
    (void)port;
    ip_stack_refuse(r->stack, packet, IP_STACK_REFUSE_PORT);
    return false;
}

static void refusals_from_claims_ask_for_the_neighbor(void)
{
    struct rig_frame out;
    struct frame frame;
    start();
    rig.handler.claims = refuse_claims;
    struct rig_frame in = request(true, 10);
    CU_ASSERT(rig_write(&rig, 0, &in) == FRAME_NO_LISTENER);
    CU_ASSERT_FATAL(rig_read_good(&rig, 0, &out, &frame));
    CU_ASSERT(frame.ethertype == WIRE_TYPE_ARP && rig_is(&frame.destination, "10.20.0.5"));
    struct rig_frame reply = frame_arp(20, WIRE_ARP_REPLY, rig_gateway_mac, rig_device_mac, "10.20.0.5",
                                       rig_gateway_mac, "10.20.0.1");
    rig_write(&rig, 0, &reply);
    CU_ASSERT_FATAL(rig_read_good(&rig, 0, &out, &frame));
    CU_ASSERT(frame.protocol == WIRE_PROTOCOL_ICMP && frame.transport[0] == WIRE_ICMP_UNREACHABLE);
    stop();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"RFC 792, RFC 4443 4.2: echo is answered", echo_is_answered},
        {"echo is limited", echo_is_limited},
        {"what is not ours is not echoed", what_is_not_ours_is_not_echoed},
        {"ICMP only in IPv4, ICMPv6 only in IPv6", families_are_not_mixed},
        {"RFC 1122 3.2.2.1: errors are handed up", errors_are_handed_up},
        {"RFC 5927: bad quotes are refused", bad_quotes_are_refused},
        {"A2: errors for intercepted flows pass", errors_for_intercepted_flows_pass},
        {"RFC 1812 4.3.2.3: refusals quote the packet", refusals_quote_the_packet},
        {"RFC 1812 4.3.2.8: refusals are limited", refusals_are_limited},
        {"refusals from inside claims", refusals_from_claims_ask_for_the_neighbor},
    };
    return rig_run(&rig, "net/icmp", tests, RTE_DIM(tests));
}
