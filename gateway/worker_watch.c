/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection stays with whoever opened it (C4): the MAC that completed its handshake, on its VLAN. A
 * segment of it that comes from another MAC is dropped by TCP before it is looked at, whatever its numbers;
 * one that comes from another VLAN names no connection. Both are counted and told. So a neighbour cannot end,
 * stall or fill in somebody else's session, even when it has seen its numbers.
 *
 * Watched is who sits on the link. Behind a router the MAC says who the router is, and of two routers either
 * may bring the next segment. DTLS and TLS prove every record by themselves; of TLS the connection is watched
 * all the same.
 */
#include "dataplane/net/transport.h"
#include "gateway/worker_private.h"

#define FOREIGN_EVENT_US 200000 /* at most so often for what is no relay's own */
#define STRAYS_PER_S 1000       /* that are looked for in other VLANs */
#define SECOND_US 1000000

static void take_mac(uint64_t sender, uint8_t mac[6])
{
    for (int i = 0; i < 6; i++)
        mac[i] = (uint8_t)(sender >> (40 - 8 * i));
}

void worker_watch(struct worker *w, uint32_t path, struct relay_origin *origin, struct stream *stream)
{
    uint64_t sender = tcp_stream_sender(stream);
    origin->has_mac = sender != 0;
    if (!origin->has_mac)
        return;
    take_mac(sender, origin->mac);
    if (ip_stack_path_direct(w->stack, path, &origin->key.remote))
        tcp_stream_watch(stream, sender);
}

/* What the relay cannot tell: a connection that is a TLS listener's. */
static void tell(struct worker *w, const struct flow_key *key, uint64_t sender, const char *what)
{
    w->foreign_since++;
    if (w->now_us < w->foreign_event_us)
        return;
    struct event *event = event_ring_begin(w->events);
    if (event == NULL)
        return;
    event->kind = EVENT_IDENTITY_VIOLATION;
    event->outcome = OUTCOME_IDENTITY_MISMATCH;
    event->enforced = true;
    event->time_us = loop_clock_wall_us(&w->clock, w->now_us);
    event->source = key->remote;
    event->source_port = key->remote_port;
    event->destination = key->local;
    event->destination_port = key->local_port;
    event->has_mac = true;
    take_mac(sender, event->mac);
    event->repeats = w->foreign_since - 1;
    event->ruleset = w->generation->number;
    event_set_name(event->detail, sizeof(event->detail), bytes_of_text(what));
    event_ring_commit(w->events);
    w->foreign_since = 0;
    w->foreign_event_us = w->now_us + FOREIGN_EVENT_US;
}

static void report(struct worker *w, const struct stream *stream, const struct flow_key *key, uint64_t sender,
                   const char *from)
{
    char what[EVENT_DETAIL_MAX];
    uint8_t mac[6];
    take_mac(sender, mac);
    snprintf(what, sizeof(what),
             "a segment of this connection came from %s, sent by %02x:%02x:%02x:%02x:%02x:%02x", from, mac[0],
             mac[1], mac[2], mac[3], mac[4], mac[5]);
    if (!mqtt_relays_tell_foreign(stream, what))
        tell(w, key, sender, what);
}

void worker_foreign(void *owner, struct stream *stream, uint64_t sender)
{
    report(owner, stream, tcp_stream_key(stream), sender, "another MAC");
}

void worker_stray(void *owner, const struct flow_key *key, uint64_t sender)
{
    struct worker *w = owner;
    const struct gateway_config *config = w->generation->config;
    if (w->now_us / SECOND_US != w->stray_second) {
        w->stray_second = w->now_us / SECOND_US;
        w->stray_left = STRAYS_PER_S;
    }
    if (config->interfaces_n < 2 || w->stray_left == 0)
        return;
    w->stray_left--;
    struct flow_key other = *key;
    for (uint16_t i = 0; i < config->interfaces_n; i++) {
        other.interface = i;
        struct stream *stream = i == key->interface ? NULL : tcp_watched(w->tcp, &other);
        if (stream == NULL)
            continue;
        w->stats.foreign_vlan++;
        report(w, stream, &other, sender, "another VLAN");
        return;
    }
}
