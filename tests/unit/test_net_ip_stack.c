/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The IP stack between two rings: what comes out for what goes in (A1, A2, A4). */
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

static void arp_request_for_us_is_answered(void)
{
    struct rig_frame out;
    start();
    struct rig_frame in = frame_arp(20, WIRE_ARP_REQUEST, rig_broadcast, rig_device_mac, "10.20.0.5",
                                    rig_broadcast, "10.20.0.1");
    CU_ASSERT(rig_write(&rig, 0, &in) == FRAME_OK);
    CU_ASSERT_FATAL(rig_read(&rig, 0, &out));
    struct frame frame;
    CU_ASSERT_FATAL(frame_parse(&frame, out.at, out.len) == FRAME_OK);
    const struct wire_arp *arp = (const void *)frame.network;
    CU_ASSERT(frame.vlan == 20 && frame.ethertype == WIRE_TYPE_ARP);
    CU_ASSERT(memcmp(out.at, rig_device_mac, 6) == 0);
    CU_ASSERT(memcmp(arp->sender_mac, rig_gateway_mac, 6) == 0);
    CU_ASSERT(be16_get(arp->operation) == WIRE_ARP_REPLY);
    CU_ASSERT(be32_get(arp->sender) == 0x0a140001 && be32_get(arp->target) == 0x0a140005);
    CU_ASSERT(!rig_read(&rig, 0, &out) && !rig_read(&rig, 1, &out));
    stop();
}

static const struct unit_test tests[] = {
    {"RFC 826: an ARP request for us is answered on its VLAN", arp_request_for_us_is_answered},
};

int main(void)
{
    if (!rig_eal_start(&rig))
        return EXIT_FAILURE;
    return unit_run("net/ip_stack", tests, RTE_DIM(tests));
}
