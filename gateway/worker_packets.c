/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/net/transport.h"
#include "gateway/steer.h"
#include "gateway/worker_private.h"

#include <netinet/in.h>
#include <rte_ring.h>

struct neighbor_news {
    uint16_t interface;
    uint8_t mac[6];
    struct ip_address address;
};

/* Its source does not live there: it may yet name a connection of another VLAN. */
static void on_implausible(void *owner, const struct ip_packet *packet)
{
    const struct frame *frame = &packet->frame;
    const uint8_t *tcp = frame->transport;
    if (frame->protocol != IPPROTO_TCP || (tcp[13] & TCP_SYN) != 0)
        return;
    struct flow_key key = {.local = frame->destination,
                           .remote = frame->source,
                           .local_port = (uint16_t)(tcp[2] << 8 | tcp[3]),
                           .remote_port = (uint16_t)(tcp[0] << 8 | tcp[1]),
                           .interface = packet->interface,
                           .protocol = IPPROTO_TCP};
    worker_stray(owner, &key, transport_sender(packet));
}

static bool on_claims(void *owner, uint16_t interface, uint8_t protocol, const struct ip_address *destination,
                      uint16_t port, const struct ip_packet *packet)
{
    const struct worker *w = owner;
    if (listener_table_find(&w->listeners, interface, protocol, destination, port) != LISTENER_NONE)
        return true;
    if (protocol == IPPROTO_UDP && port >= UPSTREAM_PORT_FIRST) {
        struct flow_key key = {.local = *destination,
                               .remote = packet->frame.source,
                               .local_port = port,
                               .remote_port =
                                   (uint16_t)(packet->frame.transport[0] << 8 | packet->frame.transport[1]),
                               .interface = interface,
                               .protocol = IPPROTO_UDP};
        return packet->frame.transport_len >= WORKER_UDP_HEADER_BYTES && coap_relays_claims(w->coap, &key);
    }
    /* Our own upstream connections; nobody opens one toward us there, so a scan sees silence. */
    if (protocol != IPPROTO_TCP || port < UPSTREAM_PORT_FIRST || packet->frame.transport_len < 20)
        return false;
    return (packet->frame.transport[13] & (TCP_SYN | TCP_ACK)) != TCP_SYN;
}

static void on_tcp(void *owner, const struct ip_packet *packets, uint32_t n, uint64_t now_us)
{
    struct worker *w = owner;
    transport_tcp_input(w->tcp, packets, n, now_us, &w->stats.bad_tcp_headers);
}

static void on_udp(void *owner, const struct ip_packet *packets, uint32_t n, uint64_t now_us)
{
    struct worker *w = owner;
    (void)now_us;
    for (uint32_t i = 0; i < n; i++) {
        const struct frame *frame = &packets[i].frame;
        const uint8_t *udp = frame->transport;
        struct flow_key key = {.local = frame->destination,
                               .remote = frame->source,
                               .local_port = (uint16_t)(udp[2] << 8 | udp[3]),
                               .remote_port = (uint16_t)(udp[0] << 8 | udp[1]),
                               .interface = packets[i].interface,
                               .protocol = IPPROTO_UDP};
        uint32_t len = (uint32_t)(udp[4] << 8 | udp[5]); /* checked when the frame was parsed */
        struct bytes payload = bytes_of(udp + WORKER_UDP_HEADER_BYTES, len - WORKER_UDP_HEADER_BYTES);
        if (!worker_coap_from_device(w, &packets[i], &key, payload))
            coap_relays_from_upstream(w->coap, &key, payload);
    }
}

static void on_unreachable(void *owner, const struct flow_key *key, const uint8_t *quoted, size_t quoted_len,
                           uint16_t next_mtu, uint64_t now_us)
{
    struct worker *w = owner;
    if (key->protocol == IPPROTO_TCP)
        transport_tcp_unreachable(w->tcp, key, quoted, quoted_len, next_mtu, now_us);
    else if (key->protocol == IPPROTO_UDP && next_mtu == 0)
        coap_relays_unreachable(w->coap, key);
}

const struct ip_stack_handler worker_stack_handler = {.claims = on_claims,
                                                      .tcp = on_tcp,
                                                      .udp = on_udp,
                                                      .unreachable = on_unreachable,
                                                      .implausible = on_implausible};

/* Worker 0 hears ARP and neighbour discovery for all; the others are told. */
void worker_tell_neighbor(void *owner, uint16_t interface, const struct ip_address *address,
                          const uint8_t mac[6])
{
    struct worker *w = owner;
    for (uint32_t i = 1; w->index == 0 && i < w->shared->workers; i++) {
        struct neighbor_news news = {.interface = interface, .address = *address};
        memcpy(news.mac, mac, sizeof(news.mac));
        /* When the ring is full the news is lost; the neighbour is learned again at its next message. */
        (void)rte_ring_enqueue_elem(w->shared->neighbors[i], &news, sizeof(news));
    }
}

uint32_t worker_take_news(struct worker *w)
{
    struct neighbor_news news;
    uint32_t n = 0;
    if (w->index == 0)
        return 0;
    while (n < PORT_BURST &&
           rte_ring_dequeue_elem(w->shared->neighbors[w->index], &news, sizeof(news)) == 0) {
        ip_stack_learn(w->stack, news.interface, &news.address, news.mac, w->now_us);
        n++;
    }
    return n;
}

/* Sends frames of other workers to them; what is left, in order, is ours. */
static uint16_t steer_burst(struct worker *w, uint32_t port, struct rte_mbuf **burst, uint16_t n)
{
    uint16_t own = 0;
    for (uint16_t i = 0; i < n; i++) {
        struct rte_mbuf *m = burst[i];
        uint32_t target = steer_worker(&w->listeners, w->shared->workers,
                                       rte_pktmbuf_mtod(m, const uint8_t *), rte_pktmbuf_data_len(m));
        if (target == w->index) {
            burst[own++] = m;
            continue;
        }
        w->stats.steered++;
        if (rte_ring_mp_enqueue(w->shared->steer[target][port], m) != 0)
            rte_pktmbuf_free(m);
    }
    return own;
}

uint32_t worker_receive(struct worker *w)
{
    struct rte_mbuf *burst[PORT_BURST];
    uint32_t total = 0;
    for (uint32_t p = 0; p < w->shared->ports_n; p++) {
        const struct port *port = &w->shared->ports[p];
        if (w->index < port->queues) {
            uint16_t n = port_receive(port, (uint16_t)w->index, burst, PORT_BURST);
            total += n;
            if (w->shared->workers > 1)
                n = steer_burst(w, p, burst, n);
            if (n > 0)
                ip_stack_input(w->stack, p, burst, n, w->now_us);
        }
        if (w->shared->workers > 1) {
            uint32_t n =
                rte_ring_sc_dequeue_burst(w->shared->steer[w->index][p], (void **)burst, PORT_BURST, NULL);
            total += n;
            if (n > 0)
                ip_stack_input(w->stack, p, burst, (uint16_t)n, w->now_us);
        }
    }
    return total;
}
