/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/worker_private.h"

#include <netinet/in.h>

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
    uint16_t headers = (uint16_t)((ip_address_is_v4(&key->remote) ? 20 : 40) + WORKER_UDP_HEADER_BYTES);
    uint16_t mtu = ip_stack_path_mtu(w->stack, path);
    return mtu > headers ? (uint16_t)(mtu - headers) : 0;
}

static uint8_t on_coap_pick(void *owner, uint32_t upstream)
{
    struct worker *w = owner;
    return upstream_pick(&w->upstreams, &w->generation->config->upstreams[upstream], upstream, 0, w->now_us);
}

/* A session of our own: whoever needs it tries again, and meets the next server then. */
static struct stream *on_coap_dial(void *owner, uint32_t upstream, const char *identity,
                                   const struct flow_key *device, const struct stream_handler *handler,
                                   void *user, uint8_t *server, enum outcome *why)
{
    uint8_t tried = 0;
    return worker_dial(owner, upstream, identity, device, handler, user, &tried, server, why);
}

static void on_coap_send(void *owner, uint32_t *path, const struct flow_key *key, const uint8_t *payload,
                         size_t n)
{
    struct worker *w = owner;
    (void)ip_stack_send_udp(w->stack, path, key, payload, n, w->now_us); /* it counts; nobody waits for it */
}

static bool on_coap_admit(void *owner, const struct flow_key *key, uint16_t listener)
{
    return worker_admit(owner, key, listener);
}

static void on_coap_session(void *owner, const struct flow_key *key, bool begins)
{
    struct worker *w = owner;
    if (begins)
        source_table_open(w->sources, &key->remote);
    else
        source_table_close(w->sources, &key->remote);
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
bool worker_coap_from_device(struct worker *w, const struct ip_packet *packet, const struct flow_key *key,
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

struct coap_relays *worker_coap_create(struct worker *w, const uint8_t secret[COAP_SECRET_BYTES])
{
    struct coap_relays_config config = {.clients = w->generation->config->connections,
                                        .buffer_bytes = UINT64_C(64) << 20,
                                        .dtls_handshakes = w->generation->config->dtls_handshakes,
                                        .dtls_handshakes_per_source =
                                            w->generation->config->dtls_handshakes_per_source,
                                        .dtls_idle_us = w->generation->config->dtls_idle_us,
                                        .timers = w->timers,
                                        .pool = w->shared->handshakes,
                                        .events = w->events,
                                        .quarantine = &w->quarantine,
                                        .generation = &w->generation,
                                        .now_us = &w->now_us,
                                        .wall_offset_us = &w->clock.wall_at_base_us,
                                        .route = on_coap_route,
                                        .port = on_coap_port,
                                        .datagram_max = on_coap_datagram_max,
                                        .pick = on_coap_pick,
                                        .result = worker_dialled,
                                        .send = on_coap_send,
                                        .dial = on_coap_dial,
                                        .admit = on_coap_admit,
                                        .session = on_coap_session,
                                        .worker = w,
                                        .worker_index = w->index,
                                        .workers = w->shared->workers,
                                        .judged = &w->judged};
    memcpy(config.secret, secret, sizeof(config.secret));
    struct coap_relays *relays = coap_relays_create(&config);
    explicit_bzero(config.secret, sizeof(config.secret));
    return relays;
}
