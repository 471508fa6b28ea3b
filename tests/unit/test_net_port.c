/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ports: what is said of wrong devices, and devices that need no permission (A6). The EAL starts once. */
#include "dataplane/net/port.h"
#include "tests/unit/runner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int start_one(const char *device, struct port *port, struct port_error *error)
{
    const struct port_config config = {.name = "iot", .device = device};
    const struct port_eal_config eal = {
        .program = "test", .ports = &config, .ports_n = 1, .workers = 1, .memory_bytes = 128u << 20};
    return port_eal_start(&eal, port, error);
}

/* All of these fail before the EAL is started. */
static void wrong_devices_are_explained(void)
{
    static const struct {
        const char *device;
        int exit_status;
        const char *says;
    } cases[] = {
        {"eth1", 1, "is none of pci:, af_packet:"},
        {"", 1, "is none of"},
        {"af_packet", 1, "is none of"},
        {"af_packet:", 1, "is none of"},
        {"virtio:eth1", 1, "is none of"},
        {"af_packet:nosuchif0", 69, "no network interface nosuchif0"},
        {"af_xdp:nosuchif0,force_copy=1", 69, "no network interface nosuchif0"},
    };
    for (size_t i = 0; i < RTE_DIM(cases); i++) {
        struct port port;
        struct port_error error;
        CU_ASSERT(start_one(cases[i].device, &port, &error) < 0);
        CU_ASSERT(error.exit_status == cases[i].exit_status);
        CU_ASSERT(strstr(error.text, cases[i].says) != NULL);
        CU_ASSERT(strncmp(error.text, "port \"iot\": ", 12) == 0);
    }
    char long_device[600];
    struct port port;
    struct port_error error;
    memset(long_device, 'x', sizeof(long_device) - 1);
    memcpy(long_device, "tap:", 4);
    long_device[sizeof(long_device) - 1] = '\0';
    CU_ASSERT(start_one(long_device, &port, &error) == -EINVAL && strstr(error.text, "too long") != NULL);
    const struct port_eal_config many = {.program = "test", .ports_n = PORT_MAX + 1};
    CU_ASSERT(port_eal_start(&many, NULL, &error) == -EINVAL && error.exit_status == 1);
}

static struct port ring;

/* "ring:" is a device whose far end is itself; from here on the EAL runs. */
static void a_ring_device_comes_up(void)
{
    struct port_error error;
    CU_ASSERT_FATAL(start_one("ring:loop", &ring, &error) == 0);
    CU_ASSERT(strcmp(ring.name, "iot") == 0 && ring.queues == 1 && ring.mtu == 1500);
    CU_ASSERT(ring.mempool != NULL && !ring.checksum_offload);
    struct rte_mbuf *mbuf = rte_pktmbuf_alloc(ring.mempool);
    CU_ASSERT_FATAL(mbuf != NULL && rte_pktmbuf_append(mbuf, 60) != NULL);
    CU_ASSERT(port_transmit(&ring, 0, &mbuf, 1) == 1);
    struct rte_mbuf *got = NULL;
    CU_ASSERT(port_receive(&ring, 0, &got, 1) == 1 && got == mbuf);
    rte_pktmbuf_free(got);
}

static void pairs_are_each_others_far_end(void)
{
    struct port a;
    struct port b;
    CU_ASSERT_FATAL(port_ring_pair("pair", 256, ring.mempool, &a, &b) == 0);
    CU_ASSERT(memcmp(&a.mac, &b.mac, sizeof(a.mac)) != 0 && a.id != b.id);
    CU_ASSERT(rte_is_local_admin_ether_addr(&a.mac) && rte_is_unicast_ether_addr(&a.mac));
    for (int way = 0; way < 2; way++) {
        struct rte_mbuf *mbuf = rte_pktmbuf_alloc(ring.mempool);
        struct rte_mbuf *got = NULL;
        rte_pktmbuf_append(mbuf, 60);
        CU_ASSERT(port_transmit(way == 0 ? &a : &b, 0, &mbuf, 1) == 1);
        CU_ASSERT(port_receive(way == 0 ? &a : &b, 0, &got, 1) == 0);
        CU_ASSERT(port_receive(way == 0 ? &b : &a, 0, &got, 1) == 1 && got == mbuf);
        rte_pktmbuf_free(got);
    }
    struct port c;
    struct port d;
    CU_ASSERT(port_ring_pair("pair", 256, ring.mempool, &c, &d) < 0); /* the name is taken */
    CU_ASSERT(port_ring_pair("odd", 100, ring.mempool, &c, &d) < 0);  /* not a power of two */
    CU_ASSERT(port_ring_pair("odd", 128, ring.mempool, &c, &d) == 0); /* nothing was left of it */
}

static void the_eal_starts_once(void)
{
    struct port_error error;
    struct port other;
    CU_ASSERT(start_one("ring:again", &other, &error) < 0);
    CU_ASSERT(strstr(error.text, "DPDK does not start") != NULL);
}

static void it_leaves_nothing_behind(void)
{
    char directory[4096];
    snprintf(directory, sizeof(directory), "%s", rte_eal_get_runtime_dir());
    CU_ASSERT(access(directory, F_OK) == 0);
    port_eal_stop(&ring, 1);
    CU_ASSERT(access(directory, F_OK) != 0 && errno == ENOENT);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"wrong devices are explained", wrong_devices_are_explained},
        {"a ring device comes up", a_ring_device_comes_up},
        {"pairs are each other's far end", pairs_are_each_others_far_end},
        {"the EAL starts once", the_eal_starts_once},
        {"it leaves nothing behind", it_leaves_nothing_behind},
    };
    return unit_run("net/port", tests, RTE_DIM(tests));
}
