/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the worker share: the worker itself. worker.c is the loop, worker_connect.c the
 * connections that it takes and makes, worker_packets.c what comes from ports and from other workers,
 * worker_coap.c what CoAP asks of it, worker_create.c birth and death. All on the worker's own thread, but
 * for creation.
 */
#ifndef GATEWAY_WORKER_PRIVATE_H
#define GATEWAY_WORKER_PRIVATE_H

#include "dataplane/chunk.h"
#include "gateway/clock.h"
#include "gateway/listener.h"
#include "gateway/relay_coap.h"
#include "gateway/source_table.h"
#include "gateway/tls_gate.h"
#include "gateway/upstream.h"
#include "gateway/worker.h"

#define WORKER_UDP_HEADER_BYTES 8

struct worker {
    struct worker_shared *shared;
    uint32_t index;
    uint64_t now_us;
    const struct generation *generation;
    uint32_t generation_number; /* what the pointer meant when it was taken; see worker_take_generation */
    const struct quarantine *quarantine;
    struct ip_stack *stack;
    struct tcp_endpoint *tcp;
    struct tls_worker *tls;
    struct authenticator *authenticator; /* NULL without a password pool */
    struct tls_gate *gate;
    struct mqtt_relays *relays;
    struct coap_relays *coap;
    struct timer_wheel *timers;
    struct chunk_pool *chunks;
    struct event_ring *events;
    struct source_table *sources;
    struct loop_clock clock;
    uint64_t stack_due_us;
    uint64_t wall_due_us;
    uint64_t last_work_us;
    bool sweeping_mqtt;
    bool sweeping_coap;
    bool rechecking;         /* certificates of sessions, since an answer told of one that may have to go */
    uint32_t alarms;         /* ocsp_asker_alarms that was obeyed */
    uint64_t recheck_due_us; /* not sooner */
    bool draining;
    uint64_t refused_event_us;
    uint32_t refused_since;
    uint64_t foreign_event_us;
    uint32_t foreign_since;
    uint64_t stray_second; /* in which stray_left more are looked into */
    uint32_t stray_left;
    uint32_t dials;
    uint64_t started_tsc;
    atomic_bool ended;
    struct worker_request *_Atomic mailbox;
    struct worker_stats stats; /* the counters that the worker itself keeps */
    struct listener_table listeners;
    struct upstream_set upstreams;
    struct health_checks *checks; /* worker 0 */
    struct judged_observers judged;
    struct candidate *candidate; /* or NULL */
    uint64_t candidate_number;   /* likewise */
};

/* How TCP and the IP stack call the worker. */
extern const struct tcp_host worker_tcp_host;
extern const struct ip_stack_handler worker_stack_handler;

/* How MQTT relays call it: see struct mqtt_relays_config. */
struct stream *worker_dial(void *owner, uint32_t upstream, const char *identity,
                           const struct flow_key *device, const struct stream_handler *handler, void *user,
                           uint8_t *tried, uint8_t *server, enum outcome *why);
void worker_dialled(void *owner, uint32_t upstream, uint8_t server, bool good);
/* Active checks of servers: worker 0 alone makes them. False without memory. */
bool worker_checks_create(struct worker *w, uint32_t seed);
void worker_gone(void *owner, const struct relay_origin *origin);
/* How the gate of TLS listeners calls it: see struct tls_gate_config. */
void worker_secured(void *owner, struct stream *stream, const struct relay_origin *origin);
void worker_settled(void *owner, const struct relay_origin *origin);

/* CoAP: its relays with their way into the worker, NULL without memory; false when a packet is not for a CoAP
 * listener. */
struct coap_relays *worker_coap_create(struct worker *w, const uint8_t secret[COAP_SECRET_BYTES]);
/* Whether a client may begin a session with a listener (F1); told when not. */
bool worker_admit(struct worker *w, const struct flow_key *key, uint16_t listener);
bool worker_coap_from_device(struct worker *w, const struct ip_packet *packet, const struct flow_key *key,
                             struct bytes payload);

/* Who sends in the name of somebody else's connection (C4): worker_watch.c. */
void worker_watch(struct worker *w, uint32_t path, struct relay_origin *origin, struct stream *stream);
void worker_foreign(void *owner, struct stream *stream, uint64_t sender);
/* A segment for no flow: does it name one of another VLAN? */
void worker_stray(void *owner, const struct flow_key *key, uint64_t sender);

/* Bursts of all ports and frames that other workers handed over; answers how many frames. */
uint32_t worker_receive(struct worker *w);
/* Neighbours that worker 0 learned; and worker 0 telling the others. */
uint32_t worker_take_news(struct worker *w);
void worker_tell_neighbor(void *owner, uint16_t interface, const struct ip_address *address,
                          const uint8_t mac[6]);

/* Makes the generation in force the worker's own. */
void worker_take_generation(struct worker *w);

#endif
