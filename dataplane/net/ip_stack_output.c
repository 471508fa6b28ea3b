/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way down: packets begun, finished, queued and flushed. */
#include "dataplane/net/checksum.h"
#include "dataplane/net/ip_stack_internal.h"

#include <errno.h>

#define TTL 64

void ip_stack_write_ipv6(uint8_t *at, const struct ip_address *source, const struct ip_address *destination,
                         uint8_t next_header, uint32_t payload_len, uint8_t hop_limit)
{
    struct wire_ipv6 *ip = (void *)at;
    ip->version_class_flow = be32_make(0x60000000u);
    ip->payload_len = be16_make(payload_len);
    ip->next_header = next_header;
    ip->hop_limit = hop_limit;
    memcpy(ip->source, source->bytes, 16);
    memcpy(ip->destination, destination->bytes, 16);
}

/* An id says nothing where packets may not be fragmented (RFC 6864 s.4.1), so it is zero there. The checksum
 * is reckoned from the values: reading back what was just stored would stall. */
static void write_ipv4(uint8_t *at, const struct ip_address *source, const struct ip_address *destination,
                       uint8_t protocol, uint32_t payload_len, uint16_t id, uint16_t fragment)
{
    struct wire_ipv4 *ip = (void *)at;
    uint32_t from = ip_address_to_v4(source);
    uint32_t to = ip_address_to_v4(destination);
    uint32_t length = WIRE_IPV4_BYTES + payload_len;
    uint64_t sum = 0x4500u + length + id + fragment + (TTL << 8 | protocol);
    sum += (uint64_t)from + to;
    ip->version_words = 0x45;
    ip->traffic_class = 0;
    ip->length = be16_make(length);
    ip->id = be16_make(id);
    ip->fragment = be16_make(fragment);
    ip->ttl = TTL;
    ip->protocol = protocol;
    struct be16 checksum = be16_make((uint16_t)~checksum_fold(sum));
    memcpy(ip->checksum, &checksum, sizeof(checksum));
    ip->source = be32_make(from);
    ip->destination = be32_make(to);
}

uint8_t *ip_stack_frame(struct ip_stack *stack, const struct ip_interface *interface,
                        const uint8_t destination[6], uint16_t ethertype, uint32_t len,
                        struct rte_mbuf **mbuf)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(stack->ports[interface->port].mempool);
    if (m == NULL) {
        ip_stack_count(stack, FRAME_NO_MBUF);
        return NULL;
    }
    uint8_t *at = (void *)rte_pktmbuf_append(m, (uint16_t)(interface->ethernet_len + len));
    if (at == NULL) {
        rte_pktmbuf_free(m);
        ip_stack_count(stack, FRAME_TOO_LARGE);
        return NULL;
    }
    memcpy(at, interface->ethernet, WIRE_ETHERNET_BYTES + WIRE_VLAN_BYTES);
    memcpy(at, destination, 6);
    struct be16 type = be16_make(ethertype);
    memcpy(at + interface->ethernet_len - sizeof(type), &type, sizeof(type));
    m->l2_len = (uint32_t)interface->ethernet_len & 0x7f;
    *mbuf = m;
    return at + interface->ethernet_len;
}

/* Offers a port's queue to the device; keeps what it does not take. */
static void transmit_queue(struct ip_stack *stack, uint32_t index)
{
    struct ip_tx *tx = &stack->tx[index];
    const struct port *port = &stack->ports[index];
    uint16_t queue = stack->queue < port->queues ? stack->queue : 0;
    uint32_t sent = 0;
    while (sent < tx->n) {
        uint32_t burst = tx->n - sent < PORT_BURST ? tx->n - sent : PORT_BURST;
        uint64_t bytes = 0;
        uint32_t length[PORT_BURST];
        for (uint32_t i = 0; i < burst; i++)
            length[i] = tx->queue[sent + i]->pkt_len;
        uint16_t taken = port_transmit(port, queue, &tx->queue[sent], (uint16_t)burst);
        for (uint32_t i = 0; i < taken; i++)
            bytes += length[i];
        stack->counters.tx_packets[index] += taken;
        stack->counters.tx_bytes[index] += bytes;
        sent += taken;
        if (taken < burst)
            break;
    }
    tx->n -= sent;
    if (sent > 0 && tx->n > 0)
        memmove(&tx->queue[0], &tx->queue[sent], tx->n * sizeof(tx->queue[0]));
}

void ip_stack_transmit(struct ip_stack *stack, const struct ip_interface *interface, struct rte_mbuf *mbuf)
{
    struct ip_tx *tx = &stack->tx[interface->port];
    if (tx->n == IP_STACK_TX_QUEUE)
        transmit_queue(stack, interface->port);
    if (tx->n == IP_STACK_TX_QUEUE) {
        ip_stack_count(stack, FRAME_TX_FULL);
        rte_pktmbuf_free(mbuf);
        return;
    }
    tx->queue[tx->n++] = mbuf;
}

void ip_stack_flush(struct ip_stack *stack)
{
    for (uint32_t p = 0; p < stack->ports_n; p++)
        if (stack->tx[p].n > 0)
            transmit_queue(stack, p);
}

/* The neighbour that `path` means for `destination`; looked up again when it has been recycled. */
static struct neighbor *path_neighbor(struct ip_stack *stack, uint32_t *path,
                                      const struct ip_address *destination)
{
    if (*path != IP_STACK_PATH_NONE) {
        uint32_t interface = *path >> IP_STACK_PATH_SHIFT;
        struct neighbor *n = neighbor_at(stack->neighbors, *path & IP_STACK_NEIGHBORS_MAX);
        if (n != NULL && n->interface == interface &&
            (n->permanent || ip_address_equal(&n->address, destination)))
            return n;
        if (interface < stack->interfaces_n) {
            if (ip_stack_on_link(&stack->interfaces[interface], destination)) {
                n = neighbor_want(stack->neighbors, (uint16_t)interface, destination, stack->now_us);
                *path = n == NULL ? IP_STACK_PATH_NONE : ip_stack_path_make(stack, n);
                return n;
            }
            const struct route *route = route_find_on(&stack->routes, (uint16_t)interface, destination);
            if (route != NULL) {
                n = neighbor_at(stack->neighbors, route->neighbor);
                *path = ip_stack_path_make(stack, n);
                return n;
            }
        }
    }
    *path = ip_stack_path(stack, destination);
    return *path == IP_STACK_PATH_NONE ? NULL : neighbor_at(stack->neighbors, *path & IP_STACK_NEIGHBORS_MAX);
}

/* Sends a packet whose IP header is complete, or lets it wait for the neighbour. */
static void send_to(struct ip_stack *stack, struct neighbor *n, struct rte_mbuf *mbuf)
{
    if (neighbor_has_mac(n)) {
        neighbor_use(stack->neighbors, n, stack->now_us);
        memcpy(rte_pktmbuf_mtod(mbuf, uint8_t *), n->mac, 6);
        ip_stack_transmit(stack, &stack->interfaces[n->interface], mbuf);
        return;
    }
    struct rte_mbuf *loser = neighbor_hold(stack->neighbors, n, mbuf, stack->now_us);
    if (loser != NULL) {
        ip_stack_count(stack, FRAME_NO_NEIGHBOR);
        rte_pktmbuf_free(loser);
    }
}

uint8_t *ip_stack_begin(struct ip_stack *stack, uint32_t *path, const struct ip_address *source,
                        const struct ip_address *destination, uint8_t protocol, uint32_t transport_len,
                        struct rte_mbuf **mbuf)
{
    struct neighbor *n = path_neighbor(stack, path, destination);
    if (n == NULL) {
        ip_stack_count(stack, FRAME_NO_ROUTE);
        return NULL;
    }
    const struct ip_interface *interface = &stack->interfaces[n->interface];
    bool v4 = ip_address_is_v4(destination);
    uint32_t header = v4 ? WIRE_IPV4_BYTES : WIRE_IPV6_BYTES;
    if (transport_len > (uint32_t)interface->mtu - header) {
        ip_stack_count(stack, FRAME_TOO_LARGE);
        return NULL;
    }
    uint8_t *at = ip_stack_frame(stack, interface, n->mac, v4 ? WIRE_TYPE_IPV4 : WIRE_TYPE_IPV6,
                                 header + transport_len, mbuf);
    if (at == NULL)
        return NULL;
    (*mbuf)->l3_len = header & 0x1ff;
    if (v4)
        write_ipv4(at, source, destination, protocol, transport_len, 0, WIRE_IPV4_DONT_FRAGMENT);
    else
        ip_stack_write_ipv6(at, source, destination, protocol, transport_len, TTL);
    return at + header;
}

/* The transport checksum of a packet begun above, from the addresses in its IP header. A device that does it
 * wants the pseudo header's sum in its place. */
static void write_checksum(struct rte_mbuf *mbuf, uint32_t checksum_offset, bool offload)
{
    uint8_t *network = rte_pktmbuf_mtod_offset(mbuf, uint8_t *, mbuf->l2_len);
    uint8_t *transport = network + mbuf->l3_len;
    uint32_t len = mbuf->pkt_len - mbuf->l2_len - mbuf->l3_len;
    bool v4 = mbuf->l3_len == WIRE_IPV4_BYTES;
    uint8_t protocol = v4 ? network[9] : network[6];
    struct be32 pseudo[2] = {be32_make(len), be32_make(protocol)};
    uint64_t sum = v4 ? checksum_add_words(0, network + 12, 8) : checksum_add_words(0, network + 8, 32);
    sum = checksum_add_words(sum, pseudo, sizeof(pseudo));
    if (offload && (protocol == WIRE_PROTOCOL_TCP || protocol == WIRE_PROTOCOL_UDP)) {
        checksum_store(transport + checksum_offset, checksum_fold(sum));
        mbuf->ol_flags |= (v4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6) |
                          (protocol == WIRE_PROTOCOL_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM);
        return;
    }
    checksum_store(transport + checksum_offset, 0);
    uint16_t value = (uint16_t)~checksum_fold(checksum_add(sum, transport, len));
    if (value == 0 && protocol == WIRE_PROTOCOL_UDP)
        value = 0xffff; /* zero would say that there is none (RFC 768) */
    checksum_store(transport + checksum_offset, value);
}

void ip_stack_send(struct ip_stack *stack, uint32_t path, struct rte_mbuf *mbuf, uint32_t checksum_offset,
                   uint64_t now_us)
{
    stack->now_us = now_us;
    struct neighbor *n = neighbor_at(stack->neighbors, path & IP_STACK_NEIGHBORS_MAX);
    if (n == NULL) {
        ip_stack_count(stack, FRAME_NO_NEIGHBOR);
        rte_pktmbuf_free(mbuf);
        return;
    }
    const struct ip_interface *interface = &stack->interfaces[n->interface];
    write_checksum(mbuf, checksum_offset, stack->ports[interface->port].checksum_offload);
    send_to(stack, n, mbuf);
}

/* Copies n bytes that start at `from` of head and body taken together. */
static void copy_part(uint8_t *out, const struct ip_datagram *datagram, size_t from, size_t n)
{
    if (from < datagram->head_len) {
        size_t part = n < datagram->head_len - from ? n : datagram->head_len - from;
        memcpy(out, datagram->head + from, part);
        out += part;
        from += part;
        n -= part;
    }
    if (n > 0)
        memcpy(out, datagram->body + (from - datagram->head_len), n);
}

/* What the fragments of one datagram have in common. */
struct fragmenting {
    const struct ip_datagram *datagram;
    const struct ip_interface *interface;
    struct neighbor *neighbor;
    uint32_t id;
    bool v4;
};

static bool send_fragment(struct ip_stack *stack, const struct fragmenting *f, size_t from, size_t n,
                          bool more)
{
    const struct ip_datagram *d = f->datagram;
    struct rte_mbuf *mbuf;
    uint32_t header = f->v4 ? WIRE_IPV4_BYTES : WIRE_IPV6_BYTES + WIRE_IPV6_FRAGMENT_BYTES;
    uint8_t *at = ip_stack_frame(stack, f->interface, f->neighbor->mac,
                                 f->v4 ? WIRE_TYPE_IPV4 : WIRE_TYPE_IPV6, header + (uint32_t)n, &mbuf);
    if (at == NULL)
        return false;
    if (f->v4) {
        write_ipv4(at, d->source, d->destination, d->protocol, (uint32_t)n, (uint16_t)f->id,
                   (uint16_t)(from / 8 | (more ? WIRE_IPV4_MORE_FRAGMENTS : 0)));
    } else {
        ip_stack_write_ipv6(at, d->source, d->destination, WIRE_PROTOCOL_FRAGMENT,
                            WIRE_IPV6_FRAGMENT_BYTES + (uint32_t)n, TTL);
        struct wire_ipv6_fragment *fragment = (void *)(at + WIRE_IPV6_BYTES);
        fragment->next_header = d->protocol;
        fragment->reserved = 0;
        fragment->offset = be16_make((uint32_t)from | (more ? WIRE_IPV6_MORE_FRAGMENTS : 0));
        fragment->id = be32_make(f->id);
    }
    copy_part(at + header, d, from, n);
    send_to(stack, f->neighbor, mbuf);
    stack->counters.fragments_sent++;
    return true;
}

/* Fragment ids are drawn, so that nobody can aim forged fragments at ours (RFC 7739). */
static int send_fragments(struct ip_stack *stack, struct neighbor *n, const struct ip_datagram *datagram,
                          uint16_t mtu)
{
    struct fragmenting f = {.datagram = datagram,
                            .interface = &stack->interfaces[n->interface],
                            .neighbor = n,
                            .id = (uint32_t)ip_stack_random(stack),
                            .v4 = ip_address_is_v4(datagram->destination)};
    uint32_t header = f.v4 ? WIRE_IPV4_BYTES : WIRE_IPV6_BYTES + WIRE_IPV6_FRAGMENT_BYTES;
    size_t total = datagram->head_len + datagram->body_len;
    size_t step = (mtu - header) & ~(size_t)7;
    for (size_t from = 0; from < total; from += step) {
        size_t part = total - from < step ? total - from : step;
        if (!send_fragment(stack, &f, from, part, from + part < total))
            return -ENOBUFS;
    }
    return 0;
}

int ip_stack_send_datagram(struct ip_stack *stack, uint32_t *path, const struct ip_datagram *datagram)
{
    struct neighbor *n = path_neighbor(stack, path, datagram->destination);
    if (n == NULL) {
        ip_stack_count(stack, FRAME_NO_ROUTE);
        return -EHOSTUNREACH;
    }
    bool v4 = ip_address_is_v4(datagram->destination);
    size_t total = datagram->head_len + datagram->body_len;
    uint32_t header = v4 ? WIRE_IPV4_BYTES : WIRE_IPV6_BYTES;
    if (total > UINT16_MAX - header) {
        ip_stack_count(stack, FRAME_TOO_LARGE);
        return -EMSGSIZE;
    }
    uint16_t mtu = path_mtu_get(&stack->path_mtu, datagram->destination, stack->interfaces[n->interface].mtu,
                                stack->now_us);
    if (total + header > mtu)
        return send_fragments(stack, n, datagram, mtu);
    struct rte_mbuf *mbuf;
    uint8_t *at = ip_stack_begin(stack, path, datagram->source, datagram->destination, datagram->protocol,
                                 (uint32_t)total, &mbuf);
    if (at == NULL)
        return -ENOBUFS;
    copy_part(at, datagram, 0, total);
    send_to(stack, n, mbuf);
    return 0;
}

int ip_stack_send_udp(struct ip_stack *stack, uint32_t *path, const struct flow_key *key,
                      const uint8_t *payload, size_t n, uint64_t now_us)
{
    stack->now_us = now_us;
    if (n > UINT16_MAX - WIRE_UDP_BYTES) {
        ip_stack_count(stack, FRAME_TOO_LARGE);
        return -EMSGSIZE;
    }
    uint32_t length = (uint32_t)(WIRE_UDP_BYTES + n);
    struct wire_udp udp = {.source_port = be16_make(key->local_port),
                           .destination_port = be16_make(key->remote_port),
                           .length = be16_make(length)};
    uint64_t sum = checksum_pseudo(&key->local, &key->remote, WIRE_PROTOCOL_UDP, length);
    sum = checksum_add(sum, (const uint8_t *)&udp, sizeof(udp));
    uint16_t value = (uint16_t)~checksum_fold(checksum_add(sum, payload, n));
    checksum_store(udp.checksum, value == 0 ? 0xffff : value); /* zero would say that there is none */
    struct ip_datagram datagram = {.source = &key->local,
                                   .destination = &key->remote,
                                   .protocol = WIRE_PROTOCOL_UDP,
                                   .head = (const uint8_t *)&udp,
                                   .head_len = sizeof(udp),
                                   .body = payload,
                                   .body_len = n};
    return ip_stack_send_datagram(stack, path, &datagram);
}
