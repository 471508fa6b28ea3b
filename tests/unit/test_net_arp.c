/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ARP through the stack: whom it answers, what it learns, how it asks (A1). */
#include "tests/unit/net_rig.h"
#include "tests/unit/runner.h"

static struct rig rig;
static const uint8_t nobody[6];

static void start(void)
{
    CU_ASSERT_FATAL(rig_stack_start(&rig, 64));
}

static void stop(void)
{
    CU_ASSERT(rig_stack_stop(&rig));
}

static const struct wire_arp *arp_of(const struct frame *frame)
{
    return (const void *)frame->network;
}

static void requests_for_us_are_answered(void)
{
    static const struct {
        uint32_t port;
        uint16_t vlan;
        const char *sender;
        const char *target;
    } cases[] = {{0, 20, "10.20.3.5", "10.20.0.1"},
                 {0, 30, "10.40.0.5", "10.40.0.1"},
                 {1, 0, "10.30.0.5", "10.30.0.1"}};
    start();
    for (size_t i = 0; i < RTE_DIM(cases); i++) {
        struct rig_frame out;
        struct frame frame;
        struct rig_frame in = frame_arp(cases[i].vlan, WIRE_ARP_REQUEST, rig_broadcast, rig_device_mac,
                                        cases[i].sender, nobody, cases[i].target);
        CU_ASSERT(rig_write(&rig, cases[i].port, &in) == FRAME_OK);
        CU_ASSERT_FATAL(rig_read_good(&rig, cases[i].port, &out, &frame));
        CU_ASSERT(frame.vlan == cases[i].vlan && frame.ethertype == WIRE_TYPE_ARP);
        CU_ASSERT(memcmp(out.at, rig_device_mac, 6) == 0 && memcmp(out.at + 6, rig_gateway_mac, 6) == 0);
        CU_ASSERT(memcmp(arp_of(&frame)->sender_mac, rig_gateway_mac, 6) == 0);
        CU_ASSERT(memcmp(arp_of(&frame)->target_mac, rig_device_mac, 6) == 0);
        CU_ASSERT(be16_get(arp_of(&frame)->operation) == WIRE_ARP_REPLY);
        CU_ASSERT(rig_is(&frame.source, cases[i].target) && rig_is(&frame.destination, cases[i].sender));
    }
    CU_ASSERT(rig_drain(&rig, 0) == 0 && rig_drain(&rig, 1) == 0);
    CU_ASSERT(ip_stack_counters(rig.stack)->arp_answered == RTE_DIM(cases));
    stop();
}

static void what_is_not_for_us_is_not_answered(void)
{
    struct rig_frame foreign_mac =
        frame_arp(20, WIRE_ARP_REQUEST, rig_broadcast, rig_device_mac, "10.20.0.5", nobody, "10.20.0.1");
    memcpy(foreign_mac.at + 18 + 8, rig_other_mac, 6); /* the sender in the message is not who sent it */
    struct rig_frame from_us =
        frame_arp(20, WIRE_ARP_REQUEST, rig_broadcast, rig_gateway_mac, "10.20.0.1", nobody, "10.20.0.1");
    struct rig_frame to_other =
        frame_arp(20, WIRE_ARP_REQUEST, rig_other_mac, rig_device_mac, "10.20.0.5", nobody, "10.20.0.1");
    const struct {
        struct rig_frame frame;
        enum frame_outcome expected;
    } cases[] = {
        {frame_arp(20, WIRE_ARP_REQUEST, rig_broadcast, rig_device_mac, "10.20.0.5", nobody, "10.20.0.9"),
         FRAME_NOT_FOR_US},
        {frame_arp(30, WIRE_ARP_REQUEST, rig_broadcast, rig_device_mac, "10.40.0.5", nobody, "10.20.0.1"),
         FRAME_NOT_FOR_US},
        {frame_arp(30, WIRE_ARP_REQUEST, rig_broadcast, rig_device_mac, "10.20.0.5", nobody, "10.40.0.1"),
         FRAME_BAD_ARP},
        {frame_arp(99, WIRE_ARP_REQUEST, rig_broadcast, rig_device_mac, "10.20.0.5", nobody, "10.20.0.1"),
         FRAME_UNKNOWN_VLAN},
        {frame_arp(0, WIRE_ARP_REQUEST, rig_broadcast, rig_device_mac, "10.20.0.5", nobody, "10.20.0.1"),
         FRAME_UNKNOWN_VLAN},
        {frame_arp(20, WIRE_ARP_REQUEST, rig_broadcast, rig_device_mac, "192.0.2.5", nobody, "10.20.0.1"),
         FRAME_BAD_ARP},
        {frame_arp(20, 3, rig_broadcast, rig_device_mac, "10.20.0.5", nobody, "10.20.0.1"), FRAME_BAD_ARP},
        {foreign_mac, FRAME_BAD_ARP},
        {from_us, FRAME_BAD_ARP},
        {to_other, FRAME_NOT_FOR_US},
    };
    start();
    for (size_t i = 0; i < RTE_DIM(cases); i++) {
        CU_ASSERT(rig_write(&rig, 0, &cases[i].frame) == cases[i].expected);
        CU_ASSERT(rig_drain(&rig, 0) == 0);
    }
    stop();
}

/* Whether the stack has a MAC for it: it then sends without asking. */
static bool knows(const char *text, uint8_t mac[6])
{
    struct ip_address a = rig_ip(text);
    return ip_stack_path_mac(rig.stack, ip_stack_path(rig.stack, &a), mac);
}

static void requests_teach_and_probes_do_not(void)
{
    uint8_t mac[6];
    start();
    struct rig_frame probe =
        frame_arp(20, WIRE_ARP_REQUEST, rig_broadcast, rig_device_mac, "0.0.0.0", nobody, "10.20.0.1");
    CU_ASSERT(rig_write(&rig, 0, &probe) == FRAME_OK); /* RFC 5227 s.2.4: defended */
    CU_ASSERT(rig_drain(&rig, 0) == 1);
    struct rig_frame request =
        frame_arp(20, WIRE_ARP_REQUEST, rig_broadcast, rig_device_mac, "10.20.0.5", nobody, "10.20.0.1");
    CU_ASSERT(rig_write(&rig, 0, &request) == FRAME_OK);
    CU_ASSERT(rig_drain(&rig, 0) == 1);
    CU_ASSERT(knows("10.20.0.5", mac) && memcmp(mac, rig_device_mac, 6) == 0);
    /* Somebody else with the same address does not replace it. */
    struct rig_frame spoof =
        frame_arp(20, WIRE_ARP_REQUEST, rig_broadcast, rig_other_mac, "10.20.0.5", nobody, "10.20.0.1");
    rig_write(&rig, 0, &spoof);
    CU_ASSERT(knows("10.20.0.5", mac) && memcmp(mac, rig_device_mac, 6) == 0);
    stop();
}

static void announcements_teach_nothing(void)
{
    uint8_t mac[6];
    start();
    struct rig_frame gratuitous =
        frame_arp(20, WIRE_ARP_REQUEST, rig_broadcast, rig_device_mac, "10.20.0.5", nobody, "10.20.0.5");
    struct rig_frame reply = frame_arp(20, WIRE_ARP_REPLY, rig_gateway_mac, rig_device_mac, "10.20.0.5",
                                       rig_gateway_mac, "10.20.0.1");
    CU_ASSERT(rig_write(&rig, 0, &gratuitous) == FRAME_NOT_FOR_US);
    CU_ASSERT(rig_write(&rig, 0, &reply) == FRAME_NOT_FOR_US); /* nobody asked */
    CU_ASSERT(rig_drain(&rig, 0) == 0);
    CU_ASSERT(!knows("10.20.0.5", mac)); /* which asks... */
    struct rig_frame out;
    struct frame frame;
    CU_ASSERT_FATAL(rig_read_good(&rig, 0, &out, &frame));
    CU_ASSERT(be16_get(arp_of(&frame)->operation) == WIRE_ARP_REQUEST && frame.multicast_mac);
    CU_ASSERT(frame.vlan == 20 && rig_is(&frame.source, "10.20.0.1"));
    CU_ASSERT(rig_is(&frame.destination, "10.20.0.5"));
    CU_ASSERT(rig_write(&rig, 0, &reply) == FRAME_OK); /* ...and now the same reply is an answer */
    CU_ASSERT(knows("10.20.0.5", mac) && memcmp(mac, rig_device_mac, 6) == 0);
    stop();
}

/* RFC 5227 s.2.4 (b): defend, but not more than once in ten seconds. */
static void conflicts_are_defended(void)
{
    struct rig_frame out;
    struct frame frame;
    start();
    struct rig_frame thief =
        frame_arp(20, WIRE_ARP_REQUEST, rig_broadcast, rig_other_mac, "10.20.0.1", nobody, "10.20.0.1");
    for (int i = 0; i < 5; i++)
        CU_ASSERT(rig_write(&rig, 0, &thief) == FRAME_BAD_ARP);
    CU_ASSERT_FATAL(rig_read_good(&rig, 0, &out, &frame));
    CU_ASSERT(rig_is(&frame.source, "10.20.0.1") && rig_is(&frame.destination, "10.20.0.1"));
    CU_ASSERT(memcmp(arp_of(&frame)->sender_mac, rig_gateway_mac, 6) == 0);
    CU_ASSERT(rig_drain(&rig, 0) == 0);
    rig_advance(&rig, 10000000);
    rig_write(&rig, 0, &thief);
    CU_ASSERT(rig_drain(&rig, 0) == 1);
    CU_ASSERT(ip_stack_counters(rig.stack)->address_conflicts == 6);
    stop();
}

static uint32_t told;

static void on_learned(void *owner, uint16_t interface, const struct ip_address *address,
                       const uint8_t mac[6])
{
    (void)owner;
    told += interface == 0 && rig_is(address, "10.20.0.5") && memcmp(mac, rig_device_mac, 6) == 0;
}

/* Another worker asked and the answer came to us; and the other way round. */
static void workers_share_answers(void)
{
    uint8_t mac[6];
    struct ip_address device = rig_ip("10.20.0.5");
    start();
    told = 0;
    ip_stack_on_learn(rig.stack, on_learned);
    struct rig_frame reply = frame_arp(20, WIRE_ARP_REPLY, rig_gateway_mac, rig_device_mac, "10.20.0.5",
                                       rig_gateway_mac, "10.20.0.1");
    rig_write(&rig, 0, &reply);
    CU_ASSERT(told == 1);
    ip_stack_learn(rig.stack, 0, &device, rig_other_mac, rig.now_us); /* we are not asking */
    CU_ASSERT(!knows("10.20.0.5", mac));
    ip_stack_learn(rig.stack, 0, &device, rig_device_mac, rig.now_us);
    CU_ASSERT(knows("10.20.0.5", mac) && memcmp(mac, rig_device_mac, 6) == 0);
    stop();
}

static void addresses_are_announced(void)
{
    uint32_t arps = 0;
    uint32_t advertisements = 0;
    uint32_t reports = 0;
    struct rig_frame out;
    struct frame frame;
    start();
    ip_stack_announce(rig.stack, rig.now_us);
    for (uint32_t port = 0; port < RIG_PORTS; port++) {
        while (rig_read_good(&rig, port, &out, &frame)) {
            CU_ASSERT(frame.multicast_mac);
            if (frame.ethertype == WIRE_TYPE_ARP)
                arps += ip_address_equal(&frame.source, &frame.destination);
            else if (frame.transport[0] == WIRE_ICMPV6_NEIGHBOR_ADVERTISEMENT)
                advertisements++;
            else
                reports++;
        }
    }
    /* Three IPv4 addresses, two IPv6, a link-local one for each of three interfaces. */
    CU_ASSERT(arps == 3 && advertisements == 5 && reports == 3);
    stop();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"RFC 826: requests for us are answered, on each VLAN", requests_for_us_are_answered},
        {"what is not for us, or not honest, is not answered", what_is_not_for_us_is_not_answered},
        {"requests teach, probes do not, nothing replaces", requests_teach_and_probes_do_not},
        {"announcements and unsolicited replies teach nothing", announcements_teach_nothing},
        {"RFC 5227 2.4: conflicts are defended, rarely", conflicts_are_defended},
        {"workers share answers", workers_share_answers},
        {"addresses are announced", addresses_are_announced},
    };
    return rig_run(&rig, "net/arp", tests, RTE_DIM(tests));
}
