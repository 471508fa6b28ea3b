/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/tls_gate.h"

#include "dataplane/slab.h"

#include <stdlib.h>

#define SECOND_US UINT64_C(1000000)

struct place {
    struct tls_gate *gate;
    struct stream *stream;
    struct relay_origin origin;
    uint64_t listener_name; /* digest: the listener's place may change while it waits */
};

struct tls_gate {
    struct tls_gate_config config;
    struct slab *places;
    uint64_t second;   /* of the loop's time, in which events are counted */
    uint32_t told;     /* events in it */
    uint32_t not_told; /* since the last event */
};

/* ---- events -------------------------------------------------------------------------------------------- */

static bool may_tell(struct tls_gate *gate)
{
    uint64_t second = *gate->config.now_us / SECOND_US;
    if (second != gate->second) {
        gate->second = second;
        gate->told = 0;
    }
    if (gate->told < TLS_GATE_EVENTS_PER_S) {
        gate->told++;
        return true;
    }
    gate->not_told++;
    return false;
}

static void tell(struct tls_gate *gate, const struct relay_origin *origin, enum event_kind kind,
                 enum outcome outcome, const char *reason)
{
    const struct gateway_config *config = (*gate->config.generation)->config;
    struct event *event = may_tell(gate) ? event_ring_begin(gate->config.events) : NULL;
    if (event == NULL)
        return;
    event->kind = kind;
    event->time_us = event_time_us(gate->config.wall_offset_us, *gate->config.now_us);
    event->outcome = outcome;
    event->enforced = kind == EVENT_TLS_FAILED;
    event->source = origin->key.remote;
    event->source_port = origin->key.remote_port;
    event->destination = origin->key.local;
    event->destination_port = origin->key.local_port;
    event->has_mac = origin->has_mac;
    memcpy(event->mac, origin->mac, sizeof(event->mac));
    event->repeats = gate->not_told;
    event->ruleset = (*gate->config.generation)->number;
    if (origin->listener < config->listeners_n)
        event_set_name(event->listener, sizeof(event->listener),
                       bytes_of_text(config->listeners[origin->listener].name));
    if (reason != NULL)
        event_set_name(event->detail, sizeof(event->detail), bytes_of_text(reason));
    event_ring_commit(gate->config.events);
    gate->not_told = 0;
}

/* ---- places -------------------------------------------------------------------------------------------- */

static void fail(struct tls_gate *gate, const struct relay_origin *origin, enum outcome outcome,
                 const char *reason)
{
    tell(gate, origin, EVENT_TLS_FAILED, outcome, reason);
    gate->config.failed(gate->config.worker, origin);
}

/* The place is free again; its origin is the caller's. */
static struct relay_origin leave(struct place *place)
{
    struct tls_gate *gate = place->gate;
    struct relay_origin origin = place->origin;
    slab_free(gate->places, place);
    gate->config.settled(gate->config.worker, &origin);
    return origin;
}

/* What a reload has changed since the handshake began: the listener, and whom it believes. NULL: nothing. */
static const char *changed(struct place *place)
{
    const struct generation *generation = *place->gate->config.generation;
    const struct gateway_config *config = generation->config;
    const struct tls_peer *peer = tls_stream_peer(place->stream);
    uint32_t i = 0;
    while (i < config->listeners_n && relay_name_digest(config->listeners[i].name) != place->listener_name)
        i++;
    if (i == config->listeners_n || generation->listener_tls[i] == NULL)
        return "the listener is not in the new configuration";
    place->origin.listener = (uint16_t)i;
    return tls_context_refuses(generation->listener_tls[i], peer);
}

static void on_opened(void *owner)
{
    struct place *place = owner;
    struct tls_gate *gate = place->gate;
    struct stream *stream = place->stream;
    const char *reason = changed(place);
    struct relay_origin origin = leave(place);
    if (reason == NULL && tls_stream_unchecked(stream) != NULL)
        tell(gate, &origin, EVENT_STATUS_UNCHECKED, OUTCOME_ALLOWED, tls_stream_unchecked(stream));
    if (reason == NULL) {
        gate->config.opened(gate->config.worker, stream, &origin);
        return;
    }
    stream_abort(stream);
    fail(gate, &origin, OUTCOME_CLIENT_TLS, reason);
}

static enum outcome outcome_of(enum stream_end why)
{
    return why == STREAM_END_ABORTED        ? OUTCOME_NO_RESOURCES
           : why == STREAM_END_TLS_IDENTITY ? OUTCOME_PSK_UNKNOWN
                                            : OUTCOME_CLIENT_TLS;
}

static void on_closed(void *owner, enum stream_end why)
{
    struct place *place = owner;
    struct tls_gate *gate = place->gate;
    const char *reason = stream_reason(place->stream);
    struct relay_origin origin = leave(place);
    if (reason == NULL)
        reason = why == STREAM_END_RESET ? "client reset the connection during the TLS handshake"
                                         : "connection was lost during the TLS handshake";
    fail(gate, &origin, outcome_of(why), reason);
}

/* Before `opened` none of these comes. */
static size_t on_data(void *owner, const uint8_t *p, size_t n)
{
    (void)owner;
    (void)p;
    (void)n;
    return 0;
}

static void on_nothing(void *owner)
{
    (void)owner;
}

static const struct stream_handler handler = {on_opened, on_data, on_nothing, on_nothing, on_closed};

void tls_gate_accept(struct tls_gate *gate, struct stream *device, const struct relay_origin *origin)
{
    const struct generation *generation = *gate->config.generation;
    struct tls_context *context = generation->listener_tls[origin->listener];
    struct place *place = context == NULL ? NULL : slab_alloc(gate->places);
    if (place != NULL) {
        *place = (struct place){.gate = gate, .origin = *origin};
        place->origin.tls = true;
        place->listener_name = relay_name_digest(generation->config->listeners[origin->listener].name);
        place->stream = tls_accept(gate->config.tls, context, &origin->key.remote, device, &handler, place,
                                   *gate->config.now_us);
        if (place->stream != NULL)
            return;
        slab_free(gate->places, place);
    }
    stream_abort(device);
    gate->config.settled(gate->config.worker, origin);
    fail(gate, origin, OUTCOME_NO_RESOURCES, "no room for another TLS session");
}

struct tls_gate *tls_gate_create(const struct tls_gate_config *config)
{
    struct tls_gate *gate = calloc(1, sizeof(*gate));
    if (gate == NULL)
        return NULL;
    gate->config = *config;
    gate->places = slab_create(config->places, sizeof(struct place));
    if (gate->places != NULL)
        return gate;
    free(gate);
    return NULL;
}

void tls_gate_destroy(struct tls_gate *gate)
{
    uint32_t at = 0;
    struct place *place;
    if (gate == NULL)
        return;
    while ((place = slab_next(gate->places, &at)) != NULL)
        stream_abort(place->stream);
    slab_destroy(gate->places);
    free(gate);
}
