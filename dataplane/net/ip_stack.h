/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One worker's hold on the network: interfaces (a port and a VLAN), their addresses, routes and neighbours;
 * frames in, transport segments up; transport payload down, frames out (A1, A2, A4).
 *
 * It answers ARP and neighbour discovery for its own addresses, ICMP and ICMPv6 echo (rate-limited), resolves
 * neighbours (with a few packets waiting per neighbour, capped), reassembles fragments within bounds, and
 * hands TCP and UDP up in the order of arrival. What is not for us and not claimed by a listener is dropped
 * and counted (A4); who claims what is asked of handler->claims, so that a listener on "any" can take a
 * destination that is not ours (interception, A2). IPv4 packets are sent with DF and with ids that tell
 * nothing.
 *
 * Per worker, no locks. Several workers: each has its own stack over the same ports; neighbours that one
 * learns are told to the others by the gateway through ip_stack_learn.
 */
#ifndef DATAPLANE_NET_IP_STACK_H
#define DATAPLANE_NET_IP_STACK_H

#include "dataplane/net/frame.h"
#include "dataplane/net/port.h"

#define IP_STACK_INTERFACES 16
#define IP_STACK_ADDRESSES 8
#define IP_STACK_PATH_NONE UINT32_MAX

struct ip_prefix {
    struct ip_address address;
    uint8_t bits; /* IPv4: 96 + prefix length */
};

struct ip_interface_config {
    const char *name;
    uint32_t port; /* index into ports */
    uint16_t vlan; /* 0: untagged */
    uint32_t addresses_n;
    struct ip_prefix addresses[IP_STACK_ADDRESSES]; /* own address with the length of its on-link prefix */
};

struct ip_route_config {
    struct ip_prefix destination;
    struct ip_address next_hop;
    uint16_t interface;
};

struct ip_stack_config {
    struct port *ports;
    uint32_t ports_n;
    uint16_t queue; /* this worker's queue on every port (0 where the port has fewer) */
    uint32_t interfaces_n;
    struct ip_interface_config interfaces[IP_STACK_INTERFACES];
    const struct ip_route_config *routes; /* copied */
    uint32_t routes_n;
    uint32_t neighbors; /* table capacity; 0: 4096 */
};

/* A datagram's worth of transport bytes on its way up. Borrowed until the call returns. */
struct ip_packet {
    struct frame frame;
    uint16_t interface;
    uint32_t path; /* toward the sender: usable for an answer with ip_stack_begin */
};

struct ip_stack_handler {
    /* Whether `protocol`/`port` at `destination` on `interface` is listened to (or belongs to a flow of
     * ours). The packet's checksum is not yet verified and it has no path yet. */
    bool (*claims)(void *owner, uint16_t interface, uint8_t protocol, const struct ip_address *destination,
                   uint16_t port, const struct ip_packet *packet);
    /* A burst of claimed packets of one protocol; checksums are good. */
    void (*tcp)(void *owner, const struct ip_packet *packets, uint32_t n, uint64_t now_us);
    void (*udp)(void *owner, const struct ip_packet *packets, uint32_t n, uint64_t now_us);
    /* An ICMP error that quotes a packet that we may have sent: `quoted` is the quoted transport header (at
     * least 8 bytes). */
    void (*unreachable)(void *owner, const struct flow_key *key, const uint8_t *quoted, size_t quoted_len,
                        uint16_t next_mtu, uint64_t now_us);
    /* A TCP or UDP packet whose source does not live behind its interface, and which is dropped: its checksum
     * is not verified and it has no path. May be NULL. */
    void (*implausible)(void *owner, const struct ip_packet *packet);
};

/* How a packet is refused whose sender is to know (by default nobody is told anything). */
enum ip_stack_refusal {
    IP_STACK_REFUSE_PORT = 0,   /* nobody listens on this port */
    IP_STACK_REFUSE_PROHIBITED, /* the policy forbids it */
};

struct ip_stack;

struct ip_stack *ip_stack_create(const struct ip_stack_config *config, const struct ip_stack_handler *handler,
                                 void *owner, const uint8_t secret[16], uint64_t now_us);
void ip_stack_destroy(struct ip_stack *stack);

/* Takes a burst from a port: every mbuf is freed or sent before the return. */
void ip_stack_input(struct ip_stack *stack, uint32_t port, struct rte_mbuf **burst, uint16_t n,
                    uint64_t now_us);
/* Neighbour retries and ageing, reassembly time-outs. Call about every 10 ms or as often as you like. */
void ip_stack_advance(struct ip_stack *stack, uint64_t now_us);

/*
 * A path is a cached answer to "which interface and which next hop": an index that stays valid (it may be
 * recycled, in which case it is looked up again by the addresses). IP_STACK_PATH_NONE: no route.
 */
uint32_t ip_stack_path(struct ip_stack *stack, const struct ip_address *destination);
uint16_t ip_stack_path_interface(const struct ip_stack *stack, uint32_t path);
uint16_t ip_stack_path_mtu(const struct ip_stack *stack, uint32_t path);
/* Our own address to use as source on that path for the family of `destination`; false when the interface has
 * none. */
bool ip_stack_source(const struct ip_stack *stack, uint32_t path, const struct ip_address *destination,
                     struct ip_address *out);
/* Whether `address` itself is the neighbour behind the path, and not a router that leads there. */
bool ip_stack_path_direct(const struct ip_stack *stack, uint32_t path, const struct ip_address *address);
/* MAC of the neighbour behind a path, when known (C4, events). */
bool ip_stack_path_mac(const struct ip_stack *stack, uint32_t path, uint8_t mac[6]);

/*
 * Begins a packet: takes an mbuf, writes Ethernet, tag and IP header for `transport_len` bytes of `protocol`,
 * and answers where the transport header goes; NULL (counted) when there is no buffer, no route or it is
 * larger than the path's MTU (UDP larger than it is fragmented by ip_stack_send_udp).
 * `*path` may be updated. ip_stack_send then queues it, with the transport checksum written or left to the
 * device at checksum_offset (counted from the transport header).
 */
uint8_t *ip_stack_begin(struct ip_stack *stack, uint32_t *path, const struct ip_address *source,
                        const struct ip_address *destination, uint8_t protocol, uint32_t transport_len,
                        struct rte_mbuf **mbuf);
void ip_stack_send(struct ip_stack *stack, uint32_t path, struct rte_mbuf *mbuf, uint32_t checksum_offset,
                   uint64_t now_us);
/* A whole UDP datagram, fragmented when it does not fit the path (IPv4 and IPv6; what routers said counts).
 * 0, -EHOSTUNREACH, -EMSGSIZE, -ENOBUFS; each is counted. */
int ip_stack_send_udp(struct ip_stack *stack, uint32_t *path, const struct flow_key *key,
                      const uint8_t *payload, size_t n, uint64_t now_us);
/* Answers a packet with an ICMP error, limited in rate; from handler->claims (then answer false), ->tcp or
 * ->udp. */
void ip_stack_refuse(struct ip_stack *stack, const struct ip_packet *packet, enum ip_stack_refusal why);
/* Sends what is queued for every port; what the device does not take is kept for the next call up to a burst,
 * then dropped and counted. */
void ip_stack_flush(struct ip_stack *stack);

/* An answer that another worker's stack heard: taken if this one is asking for it. */
void ip_stack_learn(struct ip_stack *stack, uint16_t interface, const struct ip_address *address,
                    const uint8_t mac[6], uint64_t now_us);
/* Told about each neighbour's answer to us that this stack heard (whoever asked), for the other workers; may
 * be NULL. */
void ip_stack_on_learn(struct ip_stack *stack,
                       void (*learned)(void *owner, uint16_t interface, const struct ip_address *address,
                                       const uint8_t mac[6]));
/* Announces all own addresses (gratuitous ARP, unsolicited NA). */
void ip_stack_announce(struct ip_stack *stack, uint64_t now_us);

struct ip_stack_counters {
    uint64_t frames[FRAME_OUTCOME_COUNT];
    uint64_t rx_packets[PORT_MAX], rx_bytes[PORT_MAX], tx_packets[PORT_MAX], tx_bytes[PORT_MAX];
    uint64_t arp_answered, neighbor_answered, echo_answered, errors_sent, reassembled, fragments_sent;
    uint64_t reassembly_expired; /* datagrams whose other fragments did not come in time */
    uint64_t address_conflicts;  /* others that claimed an address of ours */
};
const struct ip_stack_counters *ip_stack_counters(const struct ip_stack *stack);

#endif
