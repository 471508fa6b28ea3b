/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/worker_private.h"

#include <stdlib.h>
#include <sys/random.h>

#define EVENT_SLOTS 4096

struct secrets {
    uint8_t tcp[32];
    uint8_t stack[16];
    uint8_t sources[16];
    uint8_t coap[COAP_SECRET_BYTES];
    uint8_t ports[16];
    uint32_t seed;
    uint64_t session;
};

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
    w->stack = ip_stack_create(&config, &worker_stack_handler, w, secrets->stack, w->now_us);
    if (w->stack != NULL && w->shared->workers > 1)
        ip_stack_on_learn(w->stack, worker_tell_neighbor);
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
    w->tcp = tcp_create(&limits, &worker_tcp_host, w, w->chunks, w->timers, secrets->tcp);
    struct tls_worker_config tls = {.sessions =
                                        2 * sessions, /* a client's and an upstream's for each relay */
                                    .chunks = w->chunks,
                                    .pool = w->shared->handshakes,
                                    .asker = w->shared->asker,
                                    .handshake_timeout_us = 10000000};
    w->tls = tls_worker_create(&tls);
    return w->tcp != NULL && w->tls != NULL;
}

static bool create_relays(struct worker *w, const struct secrets *secrets)
{
    uint32_t sessions = w->generation->config->connections;
    w->events = event_ring_create(EVENT_SLOTS);
    w->sources = source_table_create(sessions * 2 < 65536 ? 65536 : sessions * 2, secrets->sources);
    if (w->shared->passwords != NULL)
        w->authenticator = authenticator_create(w->shared->passwords, w->index, sessions * 4);
    if (w->events == NULL || w->sources == NULL || (w->shared->passwords != NULL && w->authenticator == NULL))
        return false;
    struct mqtt_relays_config relays = {.sessions = sessions,
                                        .buffer_bytes = UINT64_C(64) << 20,
                                        .timers = w->timers,
                                        .events = w->events,
                                        .authenticator = w->authenticator,
                                        .quarantine = &w->quarantine,
                                        .generation = &w->generation,
                                        .now_us = &w->now_us,
                                        .wall_offset_us = &w->clock.wall_at_base_us,
                                        .dial = worker_dial,
                                        .dialled = worker_dialled,
                                        .gone = worker_gone,
                                        .worker = w,
                                        .session_seed = secrets->session,
                                        .claims = w->shared->claims,
                                        .shares = w->shared->shares,
                                        .worker_index = w->index,
                                        .judged = &w->judged};
    w->relays = mqtt_relays_create(&relays);
    struct tls_gate_config gate = {.places = sessions,
                                   .tls = w->tls,
                                   .events = w->events,
                                   .generation = &w->generation,
                                   .now_us = &w->now_us,
                                   .wall_offset_us = &w->clock.wall_at_base_us,
                                   .opened = worker_secured,
                                   .settled = worker_settled,
                                   .failed = worker_gone,
                                   .worker = w};
    w->gate = tls_gate_create(&gate);
    return w->relays != NULL && w->gate != NULL;
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
    upstream_set_init(&w->upstreams, index, shared->workers, secrets.ports);
    w->upstreams.verdicts = &shared->verdicts;
    worker_take_generation(w);
    w->sweeping_mqtt = false; /* nobody is there yet */
    w->sweeping_coap = false;
    bool good = create_stack(w, &secrets) && create_transport(w, &secrets) && create_relays(w, &secrets) &&
                (w->coap = worker_coap_create(w, secrets.coap)) != NULL &&
                (index != 0 || worker_checks_create(w, secrets.seed));
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
    health_checks_destroy(w->checks);
    if (w->coap != NULL)
        coap_relays_destroy(w->coap);
    if (w->relays != NULL)
        mqtt_relays_destroy(w->relays);
    authenticator_destroy(w->authenticator);
    tls_gate_destroy(w->gate);
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
