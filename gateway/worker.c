/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/worker.h"

#include "dataplane/chunk.h"
#include "dataplane/net/transport.h"
#include "gateway/listener.h"
#include "gateway/source_table.h"
#include "gateway/steer.h"
#include "gateway/upstream.h"

#include <netinet/in.h>
#include <rte_ring.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#define EVENT_SLOTS 4096
#define TIMER_BUDGET 512
#define SWEEP_BUDGET 64
#define STACK_ADVANCE_US 10000
#define REFUSED_EVENT_US 100000
#define SPIN_US 100
#define PORT_TRIES 64

struct secrets {
    uint8_t tcp[32];
    uint8_t stack[16];
    uint8_t sources[16];
    uint8_t coap[64];
    uint32_t seed;
    uint64_t session;
};

struct neighbor_news {
    uint16_t interface;
    uint8_t mac[6];
    struct ip_address address;
};

struct worker {
    struct worker_shared *shared;
    uint32_t index;
    uint64_t now_us;
    const struct generation *generation;
    struct ip_stack *stack;
    struct tcp_endpoint *tcp;
    struct tls_worker *tls;
    struct mqtt_relays *relays;
    struct coap_relays *coap; /* NULL: no listener speaks it */
    struct timer_wheel *timers;
    struct chunk_pool *chunks;
    struct event_ring *events;
    struct source_table *sources;
    struct loop_clock clock;
    uint64_t stack_due_us;
    uint64_t last_work_us;
    bool sweeping;
    bool draining;
    uint64_t refused_event_us;
    uint32_t refused_since;
    uint32_t dials;
    uint64_t started_tsc;
    _Atomic uint64_t heartbeat;
    struct worker_request *_Atomic mailbox;
    struct worker_stats stats; /* the counters that the worker itself keeps */
    struct listener_table listeners;
    struct upstream_set upstreams;
};

/* ---- connections from devices ----------------------------------------------------------------------------
 */

static void report_refused(struct worker *w, const struct flow_key *key, uint16_t listener, enum outcome why)
{
    w->stats.connections_refused[why]++;
    w->refused_since++;
    if (w->now_us < w->refused_event_us)
        return;
    struct event *event = event_ring_begin(w->events);
    if (event == NULL)
        return;
    event->kind = EVENT_CONNECTION_REFUSED;
    event->time_us = loop_clock_wall_us(&w->clock, w->now_us);
    event->outcome = why;
    event->enforced = true;
    event->source = key->remote;
    event->source_port = key->remote_port;
    event->destination = key->local;
    event->destination_port = key->local_port;
    event->repeats = w->refused_since - 1;
    event->ruleset = w->generation->number;
    event_set_name(event->listener, sizeof(event->listener),
                   bytes_of_text(w->generation->config->listeners[listener].name));
    event_ring_commit(w->events);
    w->refused_since = 0;
    w->refused_event_us = w->now_us + REFUSED_EVENT_US;
}

static enum tcp_admission on_admit(void *owner, const struct flow_key *key, uint32_t path)
{
    (void)path;
    struct worker *w = owner;
    uint16_t index =
        listener_table_find(&w->listeners, key->interface, IPPROTO_TCP, &key->local, key->local_port);
    if (index == LISTENER_NONE || w->draining)
        return TCP_ADMIT_DROP;
    const struct config_listener *listener = &w->generation->config->listeners[index];
    enum outcome outcome = source_table_admit(w->sources, &key->remote, &listener->connects_per_source,
                                              listener->sessions_per_source, w->now_us);
    if (outcome == OUTCOME_ALLOWED)
        return TCP_ADMIT_YES;
    report_refused(w, key, index, outcome);
    return TCP_ADMIT_DROP;
}

static void on_accepted(void *owner, const struct flow_key *key, uint32_t path, struct stream *stream)
{
    struct worker *w = owner;
    uint16_t index =
        listener_table_find(&w->listeners, key->interface, IPPROTO_TCP, &key->local, key->local_port);
    if (index == LISTENER_NONE || w->draining) { /* the listener went away during the handshake */
        stream_abort(stream);
        return;
    }
    struct relay_origin origin = {.listener = index, .interface = key->interface, .key = *key};
    origin.has_mac = ip_stack_path_mac(w->stack, path, origin.mac);
    source_table_open(w->sources, &key->remote);
    mqtt_relays_accept(w->relays, stream, &origin);
}

static void on_gone(void *owner, const struct relay_origin *origin)
{
    struct worker *w = owner;
    source_table_close(w->sources, &origin->key.remote);
}

static void on_emit(void *owner, const struct tcp_segment_out *segment)
{
    struct worker *w = owner;
    transport_tcp_emit(w->stack, segment, w->now_us);
}

static uint16_t on_mss(void *owner, const struct flow_key *key, uint32_t path)
{
    const struct worker *w = owner;
    return transport_tcp_mss(w->stack, key, path);
}

static const struct tcp_host tcp_host = {
    .emit = on_emit, .admit = on_admit, .accepted = on_accepted, .mss = on_mss};

/* ---- connections to upstreams ----------------------------------------------------------------------------
 */

/*
 * A local address and port of this worker that are free toward the server. All addresses of the interface
 * that are of its family are used in turn: each makes room for another 49,152 connections to one server.
 */
static bool choose_local(struct worker *w, struct flow_key *key)
{
    const struct config_interface *interface = &w->generation->config->interfaces[key->interface];
    bool v4 = ip_address_is_v4(&key->local);
    for (uint32_t i = 0; i < PORT_TRIES; i++) {
        key->local_port = upstream_next_port(&w->upstreams);
        if (interface->addresses_n > 0) {
            struct ip_address candidate;
            memcpy(candidate.bytes, interface->addresses[w->dials++ % interface->addresses_n].bytes,
                   sizeof(candidate.bytes));
            if (ip_address_is_v4(&candidate) == v4)
                key->local = candidate;
        }
        if (!listener_table_has_port(&w->listeners, key->local_port) && !tcp_flow_exists(w->tcp, key))
            return true;
    }
    return false;
}

static struct stream *on_dial(void *owner, uint32_t upstream, const char *identity,
                              const struct flow_key *device, const struct stream_handler *handler, void *user,
                              uint8_t *server, enum outcome *why)
{
    (void)device;
    struct worker *w = owner;
    const struct config_upstream *config = &w->generation->config->upstreams[upstream];
    *server = upstream_pick(&w->upstreams, config, upstream, w->now_us);
    struct flow_key key = {.protocol = IPPROTO_TCP, .remote_port = config->servers[*server].port};
    memcpy(key.remote.bytes, config->servers[*server].address, sizeof(key.remote.bytes));
    uint32_t path = ip_stack_path(w->stack, &key.remote);
    *why = OUTCOME_UPSTREAM_REFUSED;
    if (path == IP_STACK_PATH_NONE || !ip_stack_source(w->stack, path, &key.remote, &key.local))
        return NULL;
    key.interface = ip_stack_path_interface(w->stack, path);
    *why = OUTCOME_NO_RESOURCES;
    if (!choose_local(w, &key))
        return NULL;
    struct stream *lower = tcp_connect(w->tcp, &key, path, handler, user, w->now_us);
    if (lower == NULL || config->security == CONFIG_SECURITY_NONE)
        return lower;
    struct stream *upper =
        tls_connect(w->tls, w->generation->upstream_tls[upstream],
                    config->certificate == NULL ? NULL : identity, lower, handler, user, w->now_us);
    if (upper == NULL)
        stream_abort(lower);
    return upper;
}

static void on_dialled(void *owner, uint32_t upstream, uint8_t server, bool good)
{
    struct worker *w = owner;
    upstream_result(&w->upstreams, upstream, server, good, w->now_us);
}

/* ---- CoAP
 * ---------------------------------------------------------------------------------------------------
 */

#define UDP_HEADER_BYTES 8

static bool on_coap_route(void *owner, struct flow_key *key, uint32_t *path)
{
    struct worker *w = owner;
    *path = ip_stack_path(w->stack, &key->remote);
    if (*path == IP_STACK_PATH_NONE || !ip_stack_source(w->stack, *path, &key->remote, &key->local))
        return false;
    key->interface = ip_stack_path_interface(w->stack, *path);
    return true;
}

static uint16_t on_coap_port(void *owner)
{
    struct worker *w = owner;
    uint16_t port;
    do {
        port = upstream_next_port(&w->upstreams);
    } while (listener_table_has_port(&w->listeners, port));
    return port;
}

static uint16_t on_coap_datagram_max(void *owner, const struct flow_key *key, uint32_t path)
{
    const struct worker *w = owner;
    uint16_t headers = (uint16_t)((ip_address_is_v4(&key->remote) ? 20 : 40) + UDP_HEADER_BYTES);
    uint16_t mtu = ip_stack_path_mtu(w->stack, path);
    return mtu > headers ? (uint16_t)(mtu - headers) : 0;
}

static uint8_t on_coap_pick(void *owner, uint32_t upstream)
{
    struct worker *w = owner;
    return upstream_pick(&w->upstreams, &w->generation->config->upstreams[upstream], upstream, w->now_us);
}

static void on_coap_send(void *owner, uint32_t *path, const struct flow_key *key, const uint8_t *payload,
                         size_t n)
{
    struct worker *w = owner;
    (void)ip_stack_send_udp(w->stack, path, key, payload, n, w->now_us); /* it counts; nobody waits for it */
}

static bool group_address(const struct frame *frame)
{
    const struct ip_address *to = &frame->destination;
    if (frame->multicast_mac)
        return true;
    if (!ip_address_is_v4(to))
        return to->bytes[0] == 0xff;
    return to->bytes[12] >= 224;
}

/* False when the packet is not for a CoAP listener. */
static bool coap_from_device(struct worker *w, const struct ip_packet *packet, const struct flow_key *key,
                             struct bytes payload)
{
    uint16_t listener =
        listener_table_find(&w->listeners, key->interface, IPPROTO_UDP, &key->local, key->local_port);
    if (listener == LISTENER_NONE)
        return false;
    struct coap_arrival arrival = {.key = *key,
                                   .path = packet->path,
                                   .listener = listener,
                                   .has_mac = true,
                                   .group = group_address(&packet->frame),
                                   .payload = payload};
    memcpy(arrival.mac, packet->frame.ethernet + sizeof(arrival.mac), sizeof(arrival.mac));
    if (!w->draining)
        coap_relays_from_device(w->coap, &arrival);
    return true;
}

/* ---- packets ----------------------------------------------------------------------------------------------
 */

static bool on_claims(void *owner, uint16_t interface, uint8_t protocol, const struct ip_address *destination,
                      uint16_t port, const struct ip_packet *packet)
{
    const struct worker *w = owner;
    if (listener_table_find(&w->listeners, interface, protocol, destination, port) != LISTENER_NONE)
        return true;
    if (protocol == IPPROTO_UDP && w->coap != NULL && port >= UPSTREAM_PORT_FIRST) {
        struct flow_key key = {.local = *destination,
                               .remote = packet->frame.source,
                               .local_port = port,
                               .remote_port =
                                   (uint16_t)(packet->frame.transport[0] << 8 | packet->frame.transport[1]),
                               .interface = interface,
                               .protocol = IPPROTO_UDP};
        return packet->frame.transport_len >= UDP_HEADER_BYTES && coap_relays_claims(w->coap, &key);
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
    for (uint32_t i = 0; i < n && w->coap != NULL; i++) {
        const struct frame *frame = &packets[i].frame;
        const uint8_t *udp = frame->transport;
        struct flow_key key = {.local = frame->destination,
                               .remote = frame->source,
                               .local_port = (uint16_t)(udp[2] << 8 | udp[3]),
                               .remote_port = (uint16_t)(udp[0] << 8 | udp[1]),
                               .interface = packets[i].interface,
                               .protocol = IPPROTO_UDP};
        uint32_t len = (uint32_t)(udp[4] << 8 | udp[5]); /* checked when the frame was parsed */
        struct bytes payload = bytes_of(udp + UDP_HEADER_BYTES, len - UDP_HEADER_BYTES);
        if (!coap_from_device(w, &packets[i], &key, payload))
            coap_relays_from_upstream(w->coap, &key, payload);
    }
}

static void on_unreachable(void *owner, const struct flow_key *key, const uint8_t *quoted, size_t quoted_len,
                           uint16_t next_mtu, uint64_t now_us)
{
    struct worker *w = owner;
    if (key->protocol == IPPROTO_TCP)
        transport_tcp_unreachable(w->tcp, key, quoted, quoted_len, next_mtu, now_us);
    else if (key->protocol == IPPROTO_UDP && w->coap != NULL && next_mtu == 0)
        coap_relays_unreachable(w->coap, key);
}

static const struct ip_stack_handler stack_handler = {
    .claims = on_claims, .tcp = on_tcp, .udp = on_udp, .unreachable = on_unreachable};

/* Worker 0 hears ARP and neighbour discovery for all; the others are told. */
static void on_learned(void *owner, uint16_t interface, const struct ip_address *address,
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

static uint32_t take_news(struct worker *w)
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

static uint32_t receive(struct worker *w)
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

/* ---- questions of the control thread ----------------------------------------------------------------------
 */

static void fill_stats(struct worker *w, struct worker_stats *out)
{
    *out = w->stats;
    out->total_tsc = rte_rdtsc() - w->started_tsc;
    out->sessions = mqtt_relays_sessions(w->relays);
    out->connections = tcp_connections(w->tcp);
    out->tls_sessions = tls_worker_sessions(w->tls);
    out->chunks = chunk_pool_capacity(w->chunks);
    out->chunks_free = chunk_pool_free(w->chunks);
    out->generation = w->generation->number;
    out->sweeping = w->sweeping;
    out->events_dropped = event_ring_dropped(w->events);
    for (int i = 0; i < TCP_COUNTER_COUNT; i++)
        out->tcp[i] = tcp_counter(w->tcp, (enum tcp_counter)i);
    for (int i = 0; i < TLS_COUNTER_COUNT; i++)
        out->tls[i] = tls_worker_counter(w->tls, (enum tls_counter)i);
    out->relays = *mqtt_relays_counters(w->relays);
    out->net = *ip_stack_counters(w->stack);
    if (w->coap != NULL) {
        out->coap = *coap_relays_counters(w->coap);
        out->coap_clients = coap_relays_clients(w->coap);
        out->coap_legs = coap_relays_legs(w->coap);
        out->coap_exchanges = coap_relays_exchanges(w->coap);
    }
    const struct gateway_config *config = w->generation->config;
    for (uint32_t u = 0; u < config->upstreams_n; u++)
        for (uint32_t s = 0; s < config->upstreams[u].servers_n; s++)
            out->upstream_up[u][s] = upstream_up(&w->upstreams, u, (uint8_t)s, w->now_us);
}

static bool answer_mailbox(struct worker *w)
{
    struct worker_request *request = atomic_load_explicit(&w->mailbox, memory_order_acquire);
    if (request == NULL)
        return false;
    switch (request->kind) {
    case WORKER_STATS:
        fill_stats(w, request->stats);
        break;
    case WORKER_SESSIONS:
        request->n = 0;
        while (request->n < request->room &&
               mqtt_relays_next(w->relays, &request->position, &request->sessions[request->n]))
            request->n++;
        request->more = request->n == request->room;
        break;
    case WORKER_KICK:
        request->n = mqtt_relays_kick(w->relays, request->name, request->why);
        break;
    case WORKER_DRAIN:
        w->draining = true;
        request->drained = mqtt_relays_drain(w->relays, request->why, SWEEP_BUDGET * 16);
        break;
    }
    atomic_store_explicit(&w->mailbox, NULL, memory_order_relaxed);
    atomic_store_explicit(&request->done, true, memory_order_release);
    return true;
}

bool worker_post(struct worker *w, struct worker_request *request)
{
    if (atomic_load_explicit(&w->mailbox, memory_order_acquire) != NULL)
        return false; /* an earlier question is still unanswered: the worker does not move */
    atomic_store_explicit(&request->done, false, memory_order_relaxed);
    atomic_store_explicit(&w->mailbox, request, memory_order_release);
    return true;
}

bool worker_ask(struct worker *w, struct worker_request *request)
{
    if (!worker_post(w, request))
        return false;
    for (int i = 0; i < 10000; i++) {
        if (atomic_load_explicit(&request->done, memory_order_acquire))
            return true;
        usleep(100);
    }
    return false;
}

/* ---- the loop ---------------------------------------------------------------------------------------------
 */

static void take_generation(struct worker *w)
{
    const struct generation *current = atomic_load_explicit(&w->shared->generation, memory_order_acquire);
    if (current == w->generation)
        return;
    w->generation = current;
    listener_table_build(&w->listeners, current->config);
    upstream_set_update(&w->upstreams, current->config);
    w->sweeping = true;
}

bool worker_iterate(struct worker *w, uint64_t tsc)
{
    w->now_us = loop_clock_us(&w->clock, tsc);
    take_generation(w);
    uint32_t work = receive(w);
    tls_worker_poll(w->tls, w->now_us);
    work += timer_wheel_advance(w->timers, w->now_us, TIMER_BUDGET);
    work += take_news(w);
    if (w->now_us >= w->stack_due_us) {
        ip_stack_advance(w->stack, w->now_us);
        w->stack_due_us = w->now_us + STACK_ADVANCE_US;
    }
    if (w->sweeping) {
        w->sweeping = !mqtt_relays_sweep(w->relays, SWEEP_BUDGET);
        if (w->coap != NULL && !coap_relays_sweep(w->coap, SWEEP_BUDGET))
            w->sweeping = true;
        work++;
    }
    if (answer_mailbox(w))
        work++;
    mqtt_relays_flush(w->relays);
    tcp_flush(w->tcp, w->now_us);
    ip_stack_flush(w->stack);
    rte_rcu_qsbr_quiescent(w->shared->rcu, w->index);
    atomic_store_explicit(&w->heartbeat, ++w->stats.loops, memory_order_relaxed);
    if (work == 0)
        return false;
    w->last_work_us = w->now_us;
    w->stats.busy_tsc += rte_rdtsc() - tsc;
    return true;
}

/* Nothing to do: longer and longer, but never past the next timer and never above 1 ms, so that a first
 * packet is not kept waiting. */
static void back_off(struct worker *w)
{
    uint64_t idle_us = w->now_us - w->last_work_us;
    if (!w->shared->idle_adaptive || idle_us < SPIN_US) {
        rte_pause();
        return;
    }
    uint64_t sleep_us = idle_us < 2000 ? 50 : idle_us < 100000 ? 250 : 1000;
    uint64_t next_us = timer_wheel_next_us(w->timers);
    if (next_us <= w->now_us)
        return;
    if (next_us - w->now_us < sleep_us)
        sleep_us = next_us - w->now_us;
    struct timespec pause = {.tv_nsec = (long)(sleep_us * 1000)};
    nanosleep(&pause, NULL);
}

int worker_run(void *owner)
{
    struct worker *w = owner;
    prctl(PR_SET_TIMERSLACK, 1000UL);
    rte_rcu_qsbr_thread_register(w->shared->rcu, w->index);
    rte_rcu_qsbr_thread_online(w->shared->rcu, w->index);
    ip_stack_announce(w->stack, w->now_us);
    while (!atomic_load_explicit(&w->shared->stop, memory_order_relaxed))
        if (!worker_iterate(w, rte_rdtsc()))
            back_off(w);
    rte_rcu_qsbr_thread_offline(w->shared->rcu, w->index);
    rte_rcu_qsbr_thread_unregister(w->shared->rcu, w->index);
    return 0;
}

uint64_t worker_heartbeat(const struct worker *w)
{
    return atomic_load_explicit(&w->heartbeat, memory_order_relaxed);
}

struct event_ring *worker_events(struct worker *w)
{
    return w->events;
}

const struct loop_clock *worker_clock(const struct worker *w)
{
    return &w->clock;
}

/* ---- birth and death --------------------------------------------------------------------------------------
 */

static void fill_stack_config(const struct worker *w, struct ip_stack_config *out,
                              struct ip_route_config *routes)
{
    const struct gateway_config *config = w->generation->config;
    *out = (struct ip_stack_config){.ports = w->shared->ports,
                                    .ports_n = w->shared->ports_n,
                                    .queue = (uint16_t)w->index,
                                    .interfaces_n = config->interfaces_n,
                                    .routes = routes};
    for (uint32_t i = 0; i < config->interfaces_n; i++) {
        const struct config_interface *from = &config->interfaces[i];
        struct ip_interface_config *to = &out->interfaces[i];
        *to = (struct ip_interface_config){.name = from->name, .port = from->port, .vlan = from->vlan};
        for (uint32_t a = 0; a < from->addresses_n && a < IP_STACK_ADDRESSES; a++) {
            memcpy(to->addresses[a].address.bytes, from->addresses[a].bytes, 16);
            to->addresses[a].bits = from->addresses[a].bits;
            to->addresses_n++;
        }
        /* A default route of either family is the prefix of length 0 (IPv4: ::ffff:0:0/96). */
        struct ip_route_config *route = &routes[out->routes_n];
        if (from->has_next_hop) {
            *route = (struct ip_route_config){.destination = {.address = ip_address_v4(0), .bits = 96},
                                              .interface = (uint16_t)i};
            memcpy(route->next_hop.bytes, from->next_hop, 16);
            route = &routes[++out->routes_n];
        }
        if (from->has_next_hop6) {
            *route = (struct ip_route_config){.interface = (uint16_t)i};
            memcpy(route->next_hop.bytes, from->next_hop6, 16);
            out->routes_n++;
        }
    }
    for (uint32_t i = 0; i < config->routes_n; i++) {
        struct ip_route_config *route = &routes[out->routes_n++];
        *route = (struct ip_route_config){.destination = {.bits = config->routes[i].to.bits},
                                          .interface = config->routes[i].interface};
        memcpy(route->destination.address.bytes, config->routes[i].to.bytes, 16);
        memcpy(route->next_hop.bytes, config->routes[i].via, 16);
    }
}

static bool create_stack(struct worker *w, const struct secrets *secrets)
{
    static struct ip_route_config
        routes[GATEWAY_ROUTES_MAX + 2 * GATEWAY_INTERFACES_MAX]; /* control thread only */
    struct ip_stack_config config;
    fill_stack_config(w, &config, routes);
    w->stack = ip_stack_create(&config, &stack_handler, w, secrets->stack, w->now_us);
    if (w->stack != NULL && w->shared->workers > 1)
        ip_stack_on_learn(w->stack, on_learned);
    return w->stack != NULL;
}

static bool create_transport(struct worker *w, const struct secrets *secrets)
{
    uint32_t sessions = w->generation->config->connections;
    struct tcp_limits limits;
    tcp_limits_default(&limits, sessions * 2 + sessions / 4);
    uint32_t chunks = sessions * 2 < 16384 ? 16384 : sessions * 2;
    w->timers = timer_wheel_create(w->now_us);
    w->chunks = chunk_pool_create(chunks);
    if (w->timers == NULL || w->chunks == NULL)
        return false;
    w->tcp = tcp_create(&limits, &tcp_host, w, w->chunks, w->timers, secrets->tcp);
    struct tls_worker_config tls = {.sessions = sessions,
                                    .chunks = w->chunks,
                                    .pool = w->shared->handshakes,
                                    .handshake_timeout_us = 10000000};
    w->tls = tls_worker_create(&tls);
    return w->tcp != NULL && w->tls != NULL;
}

static bool create_relays(struct worker *w, const struct secrets *secrets)
{
    uint32_t sessions = w->generation->config->connections;
    w->events = event_ring_create(EVENT_SLOTS);
    w->sources = source_table_create(sessions * 2 < 65536 ? 65536 : sessions * 2, secrets->sources);
    if (w->events == NULL || w->sources == NULL)
        return false;
    struct mqtt_relays_config relays = {.sessions = sessions,
                                        .buffer_bytes = UINT64_C(64) << 20,
                                        .timers = w->timers,
                                        .events = w->events,
                                        .generation = &w->generation,
                                        .now_us = &w->now_us,
                                        .wall_offset_us = w->clock.wall_at_base_us,
                                        .dial = on_dial,
                                        .dialled = on_dialled,
                                        .gone = on_gone,
                                        .worker = w,
                                        .session_seed = secrets->session};
    w->relays = mqtt_relays_create(&relays);
    return w->relays != NULL;
}

static bool speaks_coap(const struct gateway_config *config)
{
    for (uint32_t i = 0; i < config->listeners_n; i++)
        if (config->listeners[i].protocol == CONFIG_COAP)
            return true;
    return false;
}

/* A listener that a reload adds is served only if there was one from the start: memory is taken once. */
static bool create_coap(struct worker *w, const struct secrets *secrets)
{
    if (!speaks_coap(w->generation->config))
        return true;
    struct coap_relays_config config = {.clients = w->generation->config->connections,
                                        .buffer_bytes = UINT64_C(64) << 20,
                                        .timers = w->timers,
                                        .events = w->events,
                                        .generation = &w->generation,
                                        .now_us = &w->now_us,
                                        .wall_offset_us = w->clock.wall_at_base_us,
                                        .route = on_coap_route,
                                        .port = on_coap_port,
                                        .datagram_max = on_coap_datagram_max,
                                        .pick = on_coap_pick,
                                        .result = on_dialled,
                                        .send = on_coap_send,
                                        .worker = w};
    memcpy(config.secret, secrets->coap, sizeof(config.secret));
    w->coap = coap_relays_create(&config);
    explicit_bzero(config.secret, sizeof(config.secret));
    return w->coap != NULL;
}

struct worker *worker_create(struct worker_shared *shared, uint32_t index)
{
    struct secrets secrets;
    struct worker *w = calloc(1, sizeof(*w));
    if (w == NULL || getrandom(&secrets, sizeof(secrets), 0) != (ssize_t)sizeof(secrets)) {
        free(w);
        return NULL;
    }
    w->shared = shared;
    w->index = index;
    loop_clock_init(&w->clock);
    w->started_tsc = rte_rdtsc();
    w->now_us = loop_clock_us(&w->clock, w->started_tsc);
    w->last_work_us = w->now_us;
    upstream_set_init(&w->upstreams, index, shared->workers, secrets.seed);
    take_generation(w);
    w->sweeping = false;
    bool good = create_stack(w, &secrets) && create_transport(w, &secrets) && create_relays(w, &secrets) &&
                create_coap(w, &secrets);
    explicit_bzero(&secrets, sizeof(secrets));
    if (!good) {
        worker_destroy(w);
        return NULL;
    }
    return w;
}

void worker_destroy(struct worker *w)
{
    if (w == NULL)
        return;
    coap_relays_destroy(w->coap);
    if (w->relays != NULL)
        mqtt_relays_destroy(w->relays);
    if (w->tls != NULL)
        tls_worker_destroy(w->tls);
    if (w->tcp != NULL)
        tcp_destroy(w->tcp);
    if (w->stack != NULL)
        ip_stack_destroy(w->stack);
    if (w->sources != NULL)
        source_table_destroy(w->sources);
    if (w->events != NULL)
        event_ring_destroy(w->events);
    if (w->chunks != NULL)
        chunk_pool_destroy(w->chunks);
    if (w->timers != NULL)
        timer_wheel_destroy(w->timers);
    free(w);
}
