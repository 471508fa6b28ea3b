/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the IP stack share: the stack itself, its interfaces, and how a frame of our own gets
 * out. Only for ip_stack*.c, arp.c, icmp.c, mld.c and nd.c.
 */
#ifndef DATAPLANE_NET_IP_STACK_INTERNAL_H
#define DATAPLANE_NET_IP_STACK_INTERNAL_H

#include "dataplane/net/fragment.h"
#include "dataplane/net/ip_stack.h"
#include "dataplane/net/neighbor.h"
#include "dataplane/net/path_mtu.h"
#include "dataplane/net/route.h"
#include "dataplane/net/wire.h"
#include "dataplane/siphash.h"

/* Frames that wait per port for the device; more than a burst, so that one short answer of a device does not
 * cost packets. */
#define IP_STACK_TX_QUEUE 256
#define IP_STACK_NO_INTERFACE 0xff
#define IP_STACK_VLANS 4096

/* A path is the interface in the high bits and the neighbour's number in the low ones. */
#define IP_STACK_PATH_SHIFT 24
#define IP_STACK_NEIGHBORS_MAX ((1u << IP_STACK_PATH_SHIFT) - 1)
/* A path that says no more than the interface. */
#define IP_STACK_PATH_OUT_OF(interface)                                                                      \
    (((uint32_t)(interface) << IP_STACK_PATH_SHIFT) | IP_STACK_NEIGHBORS_MAX)

struct ip_interface {
    char name[PORT_NAME_MAX];
    uint32_t port;
    uint16_t index;
    uint16_t vlan;
    uint16_t mtu;
    uint8_t mac[6];
    uint8_t ethernet_len;
    uint8_t ethernet[WIRE_ETHERNET_BYTES + WIRE_VLAN_BYTES]; /* destination and type to be filled in */
    uint32_t addresses_n;                                    /* the last one is the link-local address */
    struct ip_address addresses[IP_STACK_ADDRESSES + 1];
    struct route_prefix on_link[IP_STACK_ADDRESSES + 1];
    uint64_t defended_us; /* when we last announced ourselves against a conflict */
    uint64_t reported_us; /* when we last answered a listener query */
};

struct ip_tx {
    uint32_t n;
    struct rte_mbuf *queue[IP_STACK_TX_QUEUE];
};

/* So many per second, at most so many at once. */
struct ip_rate {
    uint32_t per_s;
    uint32_t burst;
    uint32_t tokens;
    uint64_t last_us;
};

struct ip_stack {
    uint64_t now_us;     /* as last told */
    uint64_t advance_us; /* when there is something to do in ip_stack_advance again */
    const struct ip_stack_handler *handler;
    void *owner;
    void (*learned)(void *owner, uint16_t interface, const struct ip_address *address, const uint8_t mac[6]);
    struct port *ports;
    uint32_t ports_n;
    uint16_t queue;
    uint32_t interfaces_n;
    struct neighbor_table *neighbors;
    struct fragment_table *fragments;
    struct ip_rate echo_rate;
    struct ip_rate error_rate;
    struct path_mtu path_mtu;
    struct siphash_key random_key;
    uint64_t random_count;
    struct ip_stack_counters counters;
    struct ip_interface interfaces[IP_STACK_INTERFACES];
    struct ip_packet tcp[PORT_BURST]; /* the burst at hand; those for TCP move to the front */
    struct ip_packet udp[PORT_BURST];
    struct ip_tx tx[PORT_MAX];
    struct route_table routes;
    uint8_t interface_of_vlan[PORT_MAX][IP_STACK_VLANS];
};

static inline void ip_stack_count(struct ip_stack *stack, enum frame_outcome outcome)
{
    stack->counters.frames[outcome]++;
}

static inline uint32_t ip_stack_path_make(const struct ip_stack *stack, const struct neighbor *n)
{
    return ((uint32_t)n->interface << IP_STACK_PATH_SHIFT) | neighbor_index(stack->neighbors, n);
}

/* `address` is one of the interface's own. */
bool ip_stack_owns(const struct ip_interface *interface, const struct ip_address *address);
/* `address` lies in one of the interface's own prefixes. */
bool ip_stack_on_link(const struct ip_interface *interface, const struct ip_address *address);
/* Own address to talk to `peer` on this interface: of the same prefix if there is one, else of the same
 * family; NULL when there is none. */
const struct ip_address *ip_stack_own_for(const struct ip_interface *interface,
                                          const struct ip_address *peer);
bool ip_stack_rate_take(struct ip_rate *rate, uint64_t now_us);
uint64_t ip_stack_random(struct ip_stack *stack);

/* A frame of our own: mbuf with `len` bytes behind the Ethernet header, which is written; NULL (counted) when
 * there is no buffer. */
uint8_t *ip_stack_frame(struct ip_stack *stack, const struct ip_interface *interface,
                        const uint8_t destination[6], uint16_t ethertype, uint32_t len,
                        struct rte_mbuf **mbuf);
/* Queues a finished frame for the interface's port. */
void ip_stack_transmit(struct ip_stack *stack, const struct ip_interface *interface, struct rte_mbuf *mbuf);
/* Transport bytes to send, in two pieces; checksums are in them already. */
struct ip_datagram {
    const struct ip_address *source;
    const struct ip_address *destination;
    uint8_t protocol;
    const uint8_t *head;
    size_t head_len;
    const uint8_t *body;
    size_t body_len;
};
/* Sends it as one packet, or as fragments. 0, -EHOSTUNREACH, -EMSGSIZE, -ENOBUFS; each is counted. */
int ip_stack_send_datagram(struct ip_stack *stack, uint32_t *path, const struct ip_datagram *datagram);
void ip_stack_write_ipv6(uint8_t *at, const struct ip_address *source, const struct ip_address *destination,
                         uint8_t next_header, uint32_t payload_len, uint8_t hop_limit);

#endif
