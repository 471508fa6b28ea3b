/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ports: the only module that touches ethdev and the EAL (A1, A6).
 *
 * A device is named as operators write it: "pci:0000:3b:00.0", "af_packet:eth1", "af_xdp:eth1", "tap:sp0",
 * "memif:ARGUMENTS", "ring:NAME" (a device whose far end is itself; port_ring_pair makes pairs),
 * "pcap:IN,OUT". What follows a comma is handed to the driver as it is ("af_packet:eth1,framecnt=1024").
 * The kernel's end of an af_packet device puts IPv4 fragments together before we see them, and cuts off what
 * is longer than one of the ring's frames; af_xdp and the others do not.
 *
 * port_eal_start starts the EAL once, adds the devices, and opens the ports with one rx and one tx queue per
 * worker where the device has them (port->queues tells; fewer queues than workers means software steering,
 * see gateway/steer.h). Hugepages are used when there and not needed, except by PCI devices.
 *
 * The EAL binds the calling thread to the main lcore's core, and threads made later inherit that. lcore 0 is
 * the caller's, worker i (from 0) runs on lcore i + 1: on the cores that the process may use, the first for
 * the main thread and the others for workers in turn; with more workers than cores they share.
 *
 * Bring-up and close: the main thread. rx and tx: the worker that owns the queue; no locks.
 */
#ifndef DATAPLANE_NET_PORT_H
#define DATAPLANE_NET_PORT_H

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define PORT_MAX 8
#define PORT_NAME_MAX 32
#define PORT_BURST 32

struct port_config {
    const char *name;   /* the operator's: "iot" */
    const char *device; /* "af_xdp:eth1" */
    uint16_t mtu;       /* 0: the device's own, at most 1500 is used */
};

struct port_eal_config {
    const char *program;
    const struct port_config *ports;
    uint32_t ports_n;
    uint32_t workers;
    uint64_t memory_bytes; /* for the EAL; 0: what the ports need, 256 MiB at least */
    bool hugepages;        /* false: --no-huge */
    const char *cores;     /* EAL --lcores value, NULL: chosen by us from the cores that we may use */
    char *const *extra;    /* operator's own EAL arguments */
    uint32_t extra_n;
};

struct port {
    char name[PORT_NAME_MAX];
    uint16_t id; /* ethdev */
    uint16_t queues;
    uint16_t mtu;
    struct rte_ether_addr mac;
    bool checksum_offload; /* the device writes TCP and UDP checksums */
    struct rte_mempool
        *mempool; /* shared by all ports of a NUMA node; packets to send are taken from it too */
};

/* Why bring-up failed, for the operator: what; why; fix. */
struct port_error {
    int exit_status; /* 69 device, hugepage or IOMMU missing, 77 permission, 1 otherwise */
    char text[256];
};

/* Starts the EAL and opens every port. 0, or -errno with `error` filled in and nothing left open; the EAL can
 * be started once in a process, also after a failure. `ports` has room for config->ports_n, which may be 0.
 */
int port_eal_start(const struct port_eal_config *config, struct port *ports, struct port_error *error);
void port_eal_stop(struct port *ports, uint32_t ports_n);

/* Makes two ring devices that are each other's far end, for tests and benches, after the EAL has started. */
/* 0 or -errno; `name` at most 20 characters. */
int port_ring_pair(const char *name, uint32_t slots, struct rte_mempool *mempool, struct port *a,
                   struct port *b);

static inline uint16_t port_receive(const struct port *port, uint16_t queue, struct rte_mbuf **burst,
                                    uint16_t n)
{
    return rte_eth_rx_burst(port->id, queue, burst, n);
}

static inline uint16_t port_transmit(const struct port *port, uint16_t queue, struct rte_mbuf **burst,
                                     uint16_t n)
{
    return rte_eth_tx_burst(port->id, queue, burst, n);
}

#endif
