/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/listener.h"
#include "gateway/steer.h"
#include "gateway/upstream.h"
#include "tests/unit/runner.h"

#include <netinet/in.h>

static struct ip_address v4(const char *text)
{
    struct ip_address a = {{0}};
    CU_ASSERT_TRUE_FATAL(ip_address_parse(text, &a));
    return a;
}

static void give_address(struct config_interface *interface, const char *text)
{
    struct ip_address a = v4(text);
    memcpy(interface->addresses[interface->addresses_n++].bytes, a.bytes, 16);
}

/* Two interfaces; on the first: "any" and all-addresses on 1883, a fixed address on 1883, CoAP on 5683. */
static struct gateway_config *make_config(void)
{
    static struct gateway_config config;
    memset(&config, 0, sizeof(config));
    config.interfaces_n = 2;
    give_address(&config.interfaces[0], "10.20.0.1");
    give_address(&config.interfaces[0], "10.20.0.2");
    give_address(&config.interfaces[1], "10.30.0.1");
    config.listeners_n = 4;
    config.listeners[0] = (struct config_listener){.name = "any", .any = true, .port = 1883};
    config.listeners[1] = (struct config_listener){.name = "own", .port = 1883};
    config.listeners[2] = (struct config_listener){.name = "fixed", .has_address = true, .port = 1883};
    struct ip_address fixed = v4("10.20.0.2");
    memcpy(config.listeners[2].address, fixed.bytes, 16);
    config.listeners[3] =
        (struct config_listener){.name = "coap", .protocol = CONFIG_COAP, .any = true, .port = 5683};
    return &config;
}

static void the_most_particular_listener_wins(void)
{
    static struct listener_table table;
    listener_table_build(&table, make_config());
    static const struct {
        const char *name, *destination;
        uint16_t interface, port, expected;
        uint8_t protocol;
    } cases[] = {
        {"A2: an address that is not ours is intercepted by any", "203.0.113.7", 0, 1883, 0, IPPROTO_TCP},
        {"own address before any", "10.20.0.1", 0, 1883, 1, IPPROTO_TCP},
        {"fixed address before own", "10.20.0.2", 0, 1883, 2, IPPROTO_TCP},
        {"A4: another port is nobody's", "10.20.0.1", 0, 1884, LISTENER_NONE, IPPROTO_TCP},
        {"A4: another interface is nobody's", "10.30.0.1", 1, 1883, LISTENER_NONE, IPPROTO_TCP},
        {"the other interface's address arriving here is intercepted like any", "10.30.0.1", 0, 1883, 0,
         IPPROTO_TCP},
        {"UDP to a TCP listener is nobody's", "10.20.0.1", 0, 1883, LISTENER_NONE, IPPROTO_UDP},
        {"UDP to a CoAP listener", "10.20.0.1", 0, 5683, 3, IPPROTO_UDP},
        {"TCP to a CoAP listener is nobody's", "10.20.0.1", 0, 5683, LISTENER_NONE, IPPROTO_TCP},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ip_address destination = v4(cases[i].destination);
        uint16_t found =
            listener_table_find(&table, cases[i].interface, cases[i].protocol, &destination, cases[i].port);
        if (found != cases[i].expected)
            printf("\n  %s: found %u\n", cases[i].name, found);
        CU_ASSERT_EQUAL(found, cases[i].expected);
    }
}

/* ---- steering
 * ------------------------------------------------------------------------------------------------ */

struct packet {
    uint8_t bytes[128];
    size_t len;
};

static void put16(uint8_t *at, unsigned int value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static struct packet ipv4(bool tagged, uint8_t protocol, uint32_t source, uint32_t destination,
                          uint16_t fragment, uint16_t source_port, uint16_t destination_port)
{
    struct packet p = {.len = tagged ? 58u : 54u};
    uint8_t *at = p.bytes + 12;
    if (tagged) {
        put16(at, 0x8100);
        put16(at + 2, 20);
        at += 4;
    }
    put16(at, 0x0800);
    uint8_t *ip = at + 2;
    ip[0] = 0x45;
    put16(ip + 6, fragment);
    ip[9] = protocol;
    put16(ip + 12, source >> 16);
    put16(ip + 14, source & 0xffff);
    put16(ip + 16, destination >> 16);
    put16(ip + 18, destination & 0xffff);
    put16(ip + 20, source_port);
    put16(ip + 22, destination_port);
    return p;
}

static const uint8_t secret[16] = "fifteen letters";

static uint32_t steer(const struct packet *p)
{
    static struct listener_table table;
    listener_table_build(&table, make_config());
    return steer_worker(&table, 4, p->bytes, p->len);
}

static void clients_go_by_source_and_answers_by_our_port(void)
{
    struct upstream_set set;
    upstream_set_init(&set, 3, 4, secret);
    uint32_t seen = 0;
    for (uint32_t host = 1; host < 200; host++) {
        struct packet one = ipv4(true, IPPROTO_TCP, 0x0a140000 + host, 0x0a140001, 0, 40000, 1883);
        struct packet two = ipv4(true, IPPROTO_TCP, 0x0a140000 + host, 0xcb007107, 0, 51234, 1883);
        CU_ASSERT_EQUAL(steer(&one), steer(&two)); /* F3: all connections of a source on one worker */
        seen |= 1u << steer(&one);
        struct packet answer =
            ipv4(false, IPPROTO_TCP, 0x0a1e0002, 0x0a1e0001, 0, 8883, upstream_next_port(&set));
        CU_ASSERT_EQUAL(steer(&answer), 3);
    }
    CU_ASSERT_EQUAL(seen, 15);
}

static void fragments_and_quotes_find_their_worker(void)
{
    struct packet whole = ipv4(true, IPPROTO_UDP, 0x0a140017, 0x0a140001, 0, 40000, 5683);
    struct packet first = ipv4(true, IPPROTO_UDP, 0x0a140017, 0x0a140001, 0x2000, 40000, 5683);
    struct packet later = ipv4(true, IPPROTO_UDP, 0x0a140017, 0x0a140001, 0x0010, 0xdead, 0xbeef);
    CU_ASSERT_EQUAL(steer(&first), steer(&whole));
    CU_ASSERT_EQUAL(steer(&later), steer(&whole));
    /* ICMP "fragmentation needed" from a router about a segment that we sent from port 16384 + 2 */
    struct packet icmp = ipv4(false, IPPROTO_ICMP, 0x0a1e0009, 0x0a1e0001, 0, 0x0304, 0);
    struct packet quoted = ipv4(false, IPPROTO_TCP, 0x0a1e0001, 0x0a1e0002, 0, UPSTREAM_PORT_FIRST + 2, 8883);
    memcpy(icmp.bytes + 14 + 20 + 8, quoted.bytes + 14, 24);
    icmp.len = 14 + 20 + 8 + 24;
    CU_ASSERT_EQUAL(steer(&icmp), 2);
    icmp.len = 14 + 20 + 8 + 20; /* a quote cut short says nothing */
    CU_ASSERT_EQUAL(steer(&icmp), 0);
}

/* RFC 9147 s.9: by the first byte of the id, wherever the record comes from; what is too short by its source.
 */
static void connection_ids_say_whose_worker(void)
{
    for (uint32_t first = 0; first < 256; first++) {
        struct packet p = ipv4(true, IPPROTO_UDP, 0x0a140000 + first, 0x0a140001, 0, 40000, 5683);
        struct packet plain = p;
        uint8_t *record = p.bytes + 18 + 20 + 8;
        record[0] = 0x3f;
        record[1] = (uint8_t)first;
        CU_ASSERT_EQUAL(steer(&p), first % 4);
        struct packet cut = p;
        cut.len = 18 + 20 + 8 + 8;
        CU_ASSERT_EQUAL(steer(&cut), steer(&plain));
        struct packet fragment = p;
        put16(fragment.bytes + 18 + 6, 0x2000);
        CU_ASSERT_EQUAL(steer(&fragment), steer(&plain));
        record[0] = 0x2f; /* no id */
        CU_ASSERT_EQUAL(steer(&p), steer(&plain));
        struct packet tcp = ipv4(true, IPPROTO_TCP, 0x0a140000 + first, 0x0a140001, 0, 40000, 1883);
        struct packet as_it_was = tcp;
        tcp.bytes[18 + 20 + 8] = 0x3f;
        CU_ASSERT_EQUAL(steer(&tcp), steer(&as_it_was));
    }
}

static void nonsense_goes_to_worker_0(void)
{
    struct packet p = ipv4(true, IPPROTO_TCP, 0x0a140017, 0x0a140001, 0, 40000, 1883);
    for (size_t n = 0; n <= p.len; n++) {
        uint8_t *exact = malloc(n == 0 ? 1 : n); /* so that a read past the end is seen */
        memcpy(exact, p.bytes, n);
        struct packet cut = {.len = n};
        memcpy(cut.bytes, exact, n);
        static struct listener_table table;
        listener_table_build(&table, make_config());
        CU_ASSERT_TRUE(steer_worker(&table, 4, exact, n) < 4);
        free(exact);
    }
    p.bytes[18] = 0x4f; /* header length beyond the packet */
    p.len = 40;
    CU_ASSERT_EQUAL(steer(&p), 0);
}

/* RFC 6056 s.3.3: who has seen some ports does not know the next, and another secret gives another order. */
static void local_ports_are_not_foretold(void)
{
    struct upstream_set set, other;
    uint32_t steps[64] = {0}, same = 0, repeated = 0;
    upstream_set_init(&set, 0, 1, secret);
    upstream_set_init(&other, 0, 1, (const uint8_t *)"sixteen letters");
    other.next_port = set.next_port;
    uint16_t last = upstream_next_port(&set);
    (void)upstream_next_port(&other);
    for (uint32_t i = 0; i < 64; i++) {
        uint16_t port = upstream_next_port(&set);
        same += port == upstream_next_port(&other);
        steps[i] = (uint16_t)(port - last);
        for (uint32_t k = 0; k < i; k++)
            repeated += steps[k] == steps[i];
        last = port;
    }
    CU_ASSERT(same < 3);
    CU_ASSERT(repeated < 3);
    for (uint32_t n = 1; n < 300; n++) { /* each number once, whatever their number */
        struct port_order order;
        uint8_t used[300] = {0};
        port_order_init(&order, n, secret);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t at = port_order_at(&order, i);
            CU_ASSERT_TRUE_FATAL(at < n && used[at] == 0);
            used[at] = 1;
        }
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"A2, A4: the most particular listener wins", the_most_particular_listener_wins},
        {"A6: clients by source, answers by port", clients_go_by_source_and_answers_by_our_port},
        {"A6: fragments and quoted packets", fragments_and_quotes_find_their_worker},
        {"connection ids (A6, B2)", connection_ids_say_whose_worker},
        {"A6: nonsense goes to worker 0", nonsense_goes_to_worker_0},
        {"RFC 6056: local ports are not foretold", local_ports_are_not_foretold},
    };
    return unit_run("listener, steering", tests, sizeof(tests) / sizeof(tests[0]));
}
