/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IPv6 neighbour discovery and listener reports through the stack (A1). */
#include "tests/unit/net_rig.h"
#include "tests/unit/runner.h"

#define NS WIRE_ICMPV6_NEIGHBOR_SOLICITATION
#define NA WIRE_ICMPV6_NEIGHBOR_ADVERTISEMENT
/* Solicited-node group of fd20::1, with its MAC, and the gateway's own link-local address. */
#define GROUP "ff02::1:ff00:1"
#define GATEWAY_LINK "fe80::ff:fe00:a"

static struct rig rig;
static const uint8_t group_mac[6] = {0x33, 0x33, 0xff, 0, 0, 1};
static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};

static void start(void)
{
    CU_ASSERT_FATAL(rig_stack_start(&rig, 64));
}

static void stop(void)
{
    CU_ASSERT(rig_stack_stop(&rig));
}

static struct rig_frame solicitation(const char *source, const char *destination, const char *target,
                                     const uint8_t *mac)
{
    struct rig_frame f;
    frame_ethernet(&f, group_mac, rig_device_mac, 20, WIRE_TYPE_IPV6);
    frame_nd(&f, source, destination, NS, 0, target, mac, 255);
    return f;
}

static void solicitations_are_answered(void)
{
    static const struct {
        const char *source;
        const char *destination;
        const char *target;
    } cases[] = {
        {"fd20::5", GROUP, "fd20::1"},
        {"fe80::5", GROUP, "fd20::1"},
        {"fd20::5", "fd20::1", "fd20::1"}, /* unicast: a probe of reachability */
        {"fe80::5", "ff02::1:ff00:a", GATEWAY_LINK},
    };
    start();
    for (size_t i = 0; i < RTE_DIM(cases); i++) {
        struct rig_frame out;
        struct frame frame;
        struct rig_frame in =
            solicitation(cases[i].source, cases[i].destination, cases[i].target, rig_device_mac);
        CU_ASSERT(rig_write(&rig, 0, &in) == FRAME_OK);
        CU_ASSERT_FATAL(rig_read_good(&rig, 0, &out, &frame));
        const struct wire_nd *nd = (const void *)frame.transport;
        const struct wire_nd_mac *option = (const void *)(nd + 1);
        CU_ASSERT(frame.vlan == 20 && frame.ttl == 255 && frame.protocol == WIRE_PROTOCOL_ICMPV6);
        CU_ASSERT(memcmp(out.at, rig_device_mac, 6) == 0);
        CU_ASSERT(rig_is(&frame.source, cases[i].target) && rig_is(&frame.destination, cases[i].source));
        CU_ASSERT(nd->type == NA && nd->code == 0);
        CU_ASSERT(be32_get(nd->flags) == (WIRE_NA_ROUTER | WIRE_NA_SOLICITED | WIRE_NA_OVERRIDE));
        CU_ASSERT(option->type == WIRE_ND_TARGET_MAC && option->length == 1);
        CU_ASSERT(memcmp(option->mac, rig_gateway_mac, 6) == 0 && frame.transport_len == 32);
    }
    CU_ASSERT(rig_drain(&rig, 0) == 0);
    stop();
}

/* RFC 4862 s.5.4.3: somebody tries our address; everybody is told that it is taken. */
static void duplicate_detection_is_answered(void)
{
    struct rig_frame out;
    struct frame frame;
    start();
    struct rig_frame in = solicitation("::", GROUP, "fd20::1", NULL);
    CU_ASSERT(rig_write(&rig, 0, &in) == FRAME_OK);
    CU_ASSERT_FATAL(rig_read_good(&rig, 0, &out, &frame));
    CU_ASSERT(rig_is(&frame.destination, "ff02::1") && memcmp(out.at, all_nodes_mac, 6) == 0);
    const struct wire_nd *nd = (const void *)frame.transport;
    CU_ASSERT(nd->type == NA && (be32_get(nd->flags) & WIRE_NA_SOLICITED) == 0);
    stop();
}

static void malformed_messages_are_refused(void)
{
    struct rig_frame f;
    start();
#define EXPECT(outcome)                                                                                      \
    CU_ASSERT(rig_write(&rig, 0, &f) == (outcome));                                                          \
    CU_ASSERT(rig_drain(&rig, 0) == 0)
    frame_ethernet(&f, group_mac, rig_device_mac, 20, WIRE_TYPE_IPV6);
    frame_nd(&f, "fd20::5", GROUP, NS, 0, "fd20::1", rig_device_mac, 254); /* over a router */
    EXPECT(FRAME_BAD_NEIGHBOR_MESSAGE);
    f = solicitation("fd20::5", GROUP, "fd20::1", rig_other_mac); /* speaks for another MAC */
    EXPECT(FRAME_BAD_NEIGHBOR_MESSAGE);
    f = solicitation("::", GROUP, "fd20::1", rig_device_mac); /* RFC 4861 7.1.1: no option with :: */
    EXPECT(FRAME_BAD_NEIGHBOR_MESSAGE);
    f = solicitation("::", "fd20::1", "fd20::1", NULL);
    EXPECT(FRAME_BAD_NEIGHBOR_MESSAGE);
    f = solicitation("fd20::5", "ff02::1", "fd20::1", rig_device_mac);
    EXPECT(FRAME_BAD_NEIGHBOR_MESSAGE);
    f = solicitation("fd20::5", GROUP, "ff02::1", rig_device_mac);
    EXPECT(FRAME_BAD_NEIGHBOR_MESSAGE);
    f = solicitation("2001:db8::5", GROUP, "fd20::1", rig_device_mac); /* not on this link */
    EXPECT(FRAME_BAD_NEIGHBOR_MESSAGE);
    f = solicitation("fd20::5", "ff02::1:ff00:9", "fd20::9", rig_device_mac);
    EXPECT(FRAME_NOT_FOR_US);
    f = solicitation("fd20::5", GROUP, "fd20::1", rig_device_mac);
    f.at[f.len - 1] ^= 1;
    EXPECT(FRAME_BAD_CHECKSUM);
    f = solicitation("fd20::5", GROUP, "fd20::1", rig_device_mac);
    f.at[18 + 40 + 1] = 1; /* code */
    frame_checksum(&f, "fd20::5", GROUP, WIRE_PROTOCOL_ICMPV6, 32, 2);
    EXPECT(FRAME_BAD_NEIGHBOR_MESSAGE);
    for (unsigned int length = 0; length < 256; length++) { /* of the option, in eights */
        if (length == 1)
            continue;
        f = solicitation("fd20::5", GROUP, "fd20::1", rig_device_mac);
        f.at[f.len - 7] = (uint8_t)length;
        frame_checksum(&f, "fd20::5", GROUP, WIRE_PROTOCOL_ICMPV6, 32, 2);
        EXPECT(FRAME_BAD_NEIGHBOR_MESSAGE);
    }
    frame_ethernet(&f, group_mac, rig_device_mac, 20, WIRE_TYPE_IPV6);
    frame_icmp(&f, "fd20::5", GROUP, NS, 0, 0, rig_secret, 8, 255); /* half a target */
    EXPECT(FRAME_BAD_NEIGHBOR_MESSAGE);
#undef EXPECT
    stop();
}

/* Routes are static: nobody on the wire changes them (RFC 6104). */
static void router_messages_are_ignored(void)
{
    static const uint8_t types[] = {WIRE_ICMPV6_ROUTER_SOLICITATION, WIRE_ICMPV6_ROUTER_ADVERTISEMENT,
                                    WIRE_ICMPV6_REDIRECT};
    static const uint8_t body[40];
    start();
    for (size_t i = 0; i < RTE_DIM(types); i++) {
        struct rig_frame f;
        frame_ethernet(&f, all_nodes_mac, rig_device_mac, 20, WIRE_TYPE_IPV6);
        frame_icmp(&f, "fe80::5", "ff02::1", types[i], 0, 0, body, sizeof(body), 255);
        CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_NOT_FOR_US);
        CU_ASSERT(rig_drain(&rig, 0) == 0);
    }
    stop();
}

static struct rig_frame advertisement(const char *destination, uint32_t flags, const uint8_t *mac,
                                      const uint8_t *from)
{
    struct rig_frame f;
    frame_ethernet(&f, rig_gateway_mac, from, 20, WIRE_TYPE_IPV6);
    frame_nd(&f, "fd20::5", destination, NA, flags, "fd20::5", mac, 255);
    return f;
}

static void only_answers_teach(void)
{
    uint8_t mac[6];
    struct rig_frame out;
    struct frame frame;
    struct ip_address device = rig_ip("fd20::5");
    start();
    struct rig_frame answer = advertisement("fd20::1", WIRE_NA_SOLICITED, rig_device_mac, rig_device_mac);
    CU_ASSERT(rig_write(&rig, 0, &answer) == FRAME_NOT_FOR_US); /* nobody asked */
    uint32_t path = ip_stack_path(rig.stack, &device);
    CU_ASSERT_FATAL(rig_read_good(&rig, 0, &out, &frame));
    const struct wire_nd *nd = (const void *)frame.transport;
    CU_ASSERT(nd->type == NS && rig_is(&frame.source, "fd20::1") &&
              rig_is(&frame.destination, "ff02::1:ff00:5"));
    CU_ASSERT(memcmp(nd->target, device.bytes, 16) == 0 && frame.ttl == 255 && out.at[5] == 5);
    struct rig_frame unsolicited = advertisement("fd20::1", WIRE_NA_OVERRIDE, rig_other_mac, rig_other_mac);
    CU_ASSERT(rig_write(&rig, 0, &unsolicited) == FRAME_NOT_FOR_US);
    struct rig_frame to_all = advertisement("ff02::1", WIRE_NA_SOLICITED, rig_other_mac, rig_other_mac);
    CU_ASSERT(rig_write(&rig, 0, &to_all) == FRAME_BAD_NEIGHBOR_MESSAGE); /* RFC 4861 7.1.2 */
    struct rig_frame other_mac = advertisement("fd20::1", WIRE_NA_SOLICITED, rig_other_mac, rig_device_mac);
    CU_ASSERT(rig_write(&rig, 0, &other_mac) == FRAME_BAD_NEIGHBOR_MESSAGE);
    CU_ASSERT(!ip_stack_path_mac(rig.stack, path, mac));
    CU_ASSERT(rig_write(&rig, 0, &answer) == FRAME_OK);
    CU_ASSERT(ip_stack_path_mac(rig.stack, path, mac) && memcmp(mac, rig_device_mac, 6) == 0);
    /* Override bit or not, nobody replaces it without having been asked. */
    CU_ASSERT(rig_write(&rig, 0, &unsolicited) == FRAME_NOT_FOR_US);
    CU_ASSERT(ip_stack_path_mac(rig.stack, path, mac) && memcmp(mac, rig_device_mac, 6) == 0);
    stop();
}

static void claims_on_our_address_are_counted(void)
{
    struct rig_frame f;
    start();
    frame_ethernet(&f, all_nodes_mac, rig_other_mac, 20, WIRE_TYPE_IPV6);
    frame_nd(&f, "fd20::66", "ff02::1", NA, WIRE_NA_OVERRIDE, "fd20::1", rig_other_mac, 255);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_BAD_NEIGHBOR_MESSAGE);
    CU_ASSERT(ip_stack_counters(rig.stack)->address_conflicts == 1);
    stop();
}

static void listener_queries_are_answered(void)
{
    static const uint8_t body[20];
    struct rig_frame f;
    struct rig_frame out;
    struct frame frame;
    start();
    frame_ethernet(&f, all_nodes_mac, rig_device_mac, 20, WIRE_TYPE_IPV6);
    frame_icmp(&f, "fe80::5", "ff02::1", WIRE_ICMPV6_LISTENER_QUERY, 0, 0, body, sizeof(body), 1);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_OK);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_ICMP_RATE);
    CU_ASSERT_FATAL(rig_read_good(&rig, 0, &out, &frame));
    CU_ASSERT(rig_is(&frame.source, GATEWAY_LINK) && rig_is(&frame.destination, "ff02::16"));
    CU_ASSERT(frame.ttl == 1 && frame.transport[0] == 143 && frame.transport[7] == 2);
    struct ip_address group = rig_ip(GROUP);
    CU_ASSERT(frame.transport_len == 48 && memcmp(frame.transport + 12, group.bytes, 16) == 0);
    CU_ASSERT(out.at[18 + 6] == WIRE_PROTOCOL_HOP_BY_HOP && out.at[18 + 42] == 5);
    CU_ASSERT(rig_drain(&rig, 0) == 0);
    frame_ethernet(&f, all_nodes_mac, rig_device_mac, 20, WIRE_TYPE_IPV6);
    frame_icmp(&f, "fd20::5", "ff02::1", WIRE_ICMPV6_LISTENER_QUERY, 0, 0, body, sizeof(body), 1);
    CU_ASSERT(rig_write(&rig, 0, &f) == FRAME_BAD_NEIGHBOR_MESSAGE); /* RFC 3810 5.1.14 */
    stop();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"RFC 4861 7.2.4: solicitations are answered", solicitations_are_answered},
        {"RFC 4862 5.4.3: duplicate detection is answered", duplicate_detection_is_answered},
        {"RFC 4861 7.1: malformed messages are refused", malformed_messages_are_refused},
        {"router advertisements and redirects are ignored", router_messages_are_ignored},
        {"RFC 4861 7.2.5: only answers teach", only_answers_teach},
        {"claims on our address are counted", claims_on_our_address_are_counted},
        {"RFC 3810: listener queries are answered", listener_queries_are_answered},
    };
    return rig_run(&rig, "net/nd", tests, RTE_DIM(tests));
}
