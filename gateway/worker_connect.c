/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/net/transport.h"
#include "gateway/worker_private.h"

#include <netinet/in.h>
#include <stdio.h>

#define REFUSED_EVENT_US 100000
#define PORT_TRIES 64

/* ---- connections from devices -------------------------------------------------------- */

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

bool worker_admit(struct worker *w, const struct flow_key *key, uint16_t index)
{
    const struct config_listener *listener = &w->generation->config->listeners[index];
    enum outcome outcome =
        source_table_admit(w->sources, &key->remote, listener->per_source.of[RATE_CONNECTS],
                           listener->sessions_per_source, w->now_us);
    if (outcome == OUTCOME_ALLOWED)
        return true;
    report_refused(w, key, index, outcome);
    return false;
}

static enum tcp_admission on_admit(void *owner, const struct flow_key *key, uint32_t path)
{
    (void)path;
    struct worker *w = owner;
    uint16_t index =
        listener_table_find(&w->listeners, key->interface, IPPROTO_TCP, &key->local, key->local_port);
    if (index == LISTENER_NONE || w->draining)
        return TCP_ADMIT_DROP;
    return worker_admit(w, key, index) ? TCP_ADMIT_YES : TCP_ADMIT_DROP;
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
    worker_watch(w, path, &origin, stream);
    source_table_open(w->sources, &key->remote);
    const struct config_listener *listener = &w->generation->config->listeners[index];
    if (listener->security != CONFIG_SECURITY_TLS) {
        mqtt_relays_accept(w->relays, stream, &origin);
    } else if (source_table_handshake(w->sources, &key->remote, listener->handshakes_per_source)) {
        tls_gate_accept(w->gate, stream, &origin);
    } else {
        report_refused(w, key, index, OUTCOME_HANDSHAKE_CAP);
        stream_abort(stream);
        worker_gone(w, &origin);
    }
}

void worker_secured(void *owner, struct stream *stream, const struct relay_origin *origin)
{
    struct worker *w = owner;
    mqtt_relays_accept(w->relays, stream, origin);
}

void worker_settled(void *owner, const struct relay_origin *origin)
{
    struct worker *w = owner;
    source_table_settled(w->sources, &origin->key.remote);
}

void worker_gone(void *owner, const struct relay_origin *origin)
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

const struct tcp_host worker_tcp_host = {.emit = on_emit,
                                         .admit = on_admit,
                                         .accepted = on_accepted,
                                         .mss = on_mss,
                                         .foreign = worker_foreign,
                                         .stray = worker_stray};

/* ---- connections to upstreams -------------------------------------------------------- */

/*
 * A local address and port of this worker that are free toward the server. All addresses of the interface
 * that are of its family are used in turn: each makes room for another 49,152 connections to one server.
 * After every round of all ports the addresses are shifted by one, since the number of ports may be a
 * multiple of theirs and a port would else always meet the same address.
 */
static bool choose_local(struct worker *w, struct flow_key *key)
{
    const struct config_interface *interface = &w->generation->config->interfaces[key->interface];
    uint32_t ports = (UPSTREAM_PORT_LAST - UPSTREAM_PORT_FIRST + 1) / w->shared->workers;
    bool v4 = ip_address_is_v4(&key->local);
    for (uint32_t i = 0; i < PORT_TRIES; i++) {
        uint32_t dial = w->dials++;
        key->local_port = upstream_next_port(&w->upstreams);
        if (interface->addresses_n > 0) {
            struct ip_address candidate;
            memcpy(candidate.bytes,
                   interface->addresses[(dial + dial / ports) % interface->addresses_n].bytes,
                   sizeof(candidate.bytes));
            if (ip_address_is_v4(&candidate) == v4)
                key->local = candidate;
        }
        if (!listener_table_has_port(&w->listeners, key->local_port) && !tcp_flow_exists(w->tcp, key))
            return true;
    }
    return false;
}

/* A stream to that server; `identity` NULL for one without TLS, `source` NULL for one of the gateway's own.
 */
static struct stream *dial_server(struct worker *w, uint32_t upstream, uint8_t server, bool secure,
                                  const char *identity, const struct ip_address *source,
                                  const struct stream_handler *handler, void *user, enum outcome *why)
{
    const struct config_upstream *config = &w->generation->config->upstreams[upstream];
    struct flow_key key = {.protocol = IPPROTO_TCP, .remote_port = config->servers[server].port};
    memcpy(key.remote.bytes, config->servers[server].address, sizeof(key.remote.bytes));
    uint32_t path = ip_stack_path(w->stack, &key.remote);
    *why = OUTCOME_UPSTREAM_REFUSED;
    if (path == IP_STACK_PATH_NONE || !ip_stack_source(w->stack, path, &key.remote, &key.local))
        return NULL;
    key.interface = ip_stack_path_interface(w->stack, path);
    *why = OUTCOME_NO_RESOURCES;
    if (!choose_local(w, &key))
        return NULL;
    struct stream *lower = tcp_connect(w->tcp, &key, path, handler, user, w->now_us);
    if (lower == NULL || !secure)
        return lower;
    struct stream *upper = tls_connect(
        w->tls, w->generation->upstream_tls[upstream],
        config->certificate == NULL && config->bundle == NULL && config->psk_id == NULL ? NULL : identity,
        source, lower, handler, user, w->now_us);
    if (upper == NULL)
        stream_abort(lower);
    return upper;
}

struct stream *worker_dial(void *owner, uint32_t upstream, const char *identity,
                           const struct flow_key *device, const struct stream_handler *handler, void *user,
                           uint8_t *tried, uint8_t *server, enum outcome *why)
{
    struct worker *w = owner;
    const struct config_upstream *config = &w->generation->config->upstreams[upstream];
    *server = upstream_pick(&w->upstreams, config, upstream, *tried, w->now_us);
    *why = OUTCOME_UPSTREAM_REFUSED;
    if (*server == UPSTREAM_NONE)
        return NULL;
    *tried = (uint8_t)(*tried | 1u << *server);
    return dial_server(w, upstream, *server, config->security != CONFIG_SECURITY_NONE, identity,
                       &device->remote, handler, user, why);
}

void worker_dialled(void *owner, uint32_t upstream, uint8_t server, bool good)
{
    struct worker *w = owner;
    upstream_result(&w->upstreams, upstream, server, good, w->now_us);
}

/* ---- active checks ------------------------------------------------------------------- */

static struct stream *on_check_dial(void *owner, uint32_t upstream, uint8_t server, bool secure,
                                    const char *identity, const struct stream_handler *handler, void *user)
{
    enum outcome why;
    return dial_server(owner, upstream, server, secure, identity, NULL, handler, user, &why);
}

static void on_check_changed(void *owner, uint32_t upstream, uint8_t server, enum upstream_verdict verdict,
                             const char *why)
{
    struct worker *w = owner;
    const struct config_upstream *config = &w->generation->config->upstreams[upstream];
    struct event *event = event_ring_begin(w->events);
    char detail[EVENT_DETAIL_MAX];
    if (event == NULL)
        return;
    event->kind = verdict == UPSTREAM_SICK ? EVENT_UPSTREAM_DOWN : EVENT_UPSTREAM_UP;
    event->time_us = loop_clock_wall_us(&w->clock, w->now_us);
    event->outcome = verdict == UPSTREAM_SICK ? OUTCOME_UPSTREAM_REFUSED : OUTCOME_UNDECIDED;
    event->enforced = true;
    event->ruleset = w->generation->number;
    memcpy(event->destination.bytes, config->servers[server].address, sizeof(event->destination.bytes));
    event->destination_port = config->servers[server].port;
    snprintf(detail, sizeof(detail), "upstream %s%s%s", config->name, why == NULL ? "" : ": ",
             why == NULL ? "" : why);
    event_set_name(event->detail, sizeof(event->detail), bytes_of_text(detail));
    event_ring_commit(w->events);
}

bool worker_checks_create(struct worker *w, uint32_t seed)
{
    struct health_checks_config config = {.timers = w->timers,
                                          .now_us = &w->now_us,
                                          .seed = seed,
                                          .verdicts = &w->shared->verdicts,
                                          .dial = on_check_dial,
                                          .changed = on_check_changed,
                                          .worker = w};
    w->checks = health_checks_create(&config);
    if (w->checks != NULL)
        health_checks_update(w->checks, w->generation->config);
    return w->checks != NULL;
}
