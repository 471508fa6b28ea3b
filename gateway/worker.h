/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker: one thread that runs packets to completion (decision 3). It owns an IP stack, a TCP endpoint, TLS
 * sessions and relays, and shares nothing with other workers but the generation it reads and the rings
 * through which frames are steered.
 *
 * One iteration: receive a burst from each port, steer foreign frames, let the stack hand segments to TCP and
 * TCP hand bytes to relays; take back finished handshakes; fire timers; then flush relays, TCP and stack in
 * that order, so that a burst leaves as few records and segments as possible; report quiescence. When there
 * was nothing to do the loop backs off (decision 10): it spins for 100 us after the last packet, then sleeps
 * 50 us to 1 ms at a time.
 */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include "dataplane/net/ip_stack.h"
#include "dataplane/secure/handshake_pool.h"
#include "dataplane/secure/ocsp_asker.h"
#include "dataplane/secure/tls_stream.h"
#include "dataplane/tcp/tcp.h"
#include "gateway/candidate.h"
#include "gateway/health_check.h"
#include "gateway/learn_worker.h"
#include "gateway/quarantine.h"
#include "gateway/relay_coap.h"
#include "gateway/relay_mqtt.h"
#include "gateway/upstream.h"

#include <rte_rcu_qsbr.h>
#include <stdatomic.h>

#define WORKERS_MAX 16

/* What all workers share, set up by the control thread before they start. */
struct worker_shared {
    const struct generation *_Atomic generation; /* published by the control thread */
    const struct quarantine *_Atomic quarantine; /* likewise; NULL: nobody */
    struct candidate *_Atomic candidate;         /* likewise; NULL: there is none */
    struct rte_rcu_qsbr *rcu;                    /* thread id = worker index */
    struct port *ports;
    uint32_t ports_n;
    uint32_t workers;
    struct session_claims *claims;     /* on names at upstreams */
    struct client_shares *shares;      /* limits of clients; NULL with one worker */
    struct ocsp_asker *asker;          /* NULL: nobody asks for the status of certificates */
    struct handshake_pool *handshakes; /* NULL: handshakes run in the worker */
    struct password_pool *passwords;   /* NULL: no password is right */
    bool idle_adaptive;
    upstream_verdicts verdicts; /* of active checks, by worker 0 */
    atomic_bool stop;
    struct rte_ring *steer[WORKERS_MAX][PORT_MAX]; /* frames for worker w from port p; NULL with one worker */
    struct rte_ring *neighbors[WORKERS_MAX];       /* what worker 0 learned, for the others */
};

struct worker_stats {
    uint64_t loops;
    uint64_t busy_tsc;  /* cycles of iterations that did something */
    uint64_t total_tsc; /* since the start */
    uint32_t sessions;
    uint32_t connections;
    uint32_t tls_sessions;
    uint32_t dials_waiting; /* sessions that wait for their turn to be dialled */
    uint32_t tls_waiting;   /* steps of handshakes that wait for a thread */
    uint32_t chunks_free, chunks;
    uint32_t generation; /* that the worker runs */
    bool sweeping;
    uint64_t connections_refused[OUTCOME_COUNT];
    uint64_t steered;
    uint64_t bad_tcp_headers;
    uint64_t foreign_vlan; /* segments that named a connection of another VLAN */
    uint64_t events_dropped;
    uint64_t tcp[TCP_COUNTER_COUNT];
    uint64_t tls[TLS_COUNTER_COUNT];
    struct mqtt_relays_counters relays;
    struct authenticator_counters auth;
    struct coap_relays_counters coap;
    uint32_t coap_clients, coap_legs, coap_exchanges;
    struct ip_stack_counters net;
    bool upstream_up[GATEWAY_UPSTREAMS_MAX][GATEWAY_SERVERS_MAX];
    uint64_t now_us;                                                         /* of what follows */
    struct health_report health[GATEWAY_UPSTREAMS_MAX][GATEWAY_SERVERS_MAX]; /* worker 0 */
};

#define WORKER_REPORT_ROOM 64

/* Part of what a worker has seen of the candidate; see candidate.h. */
struct worker_report {
    uint64_t candidate; /* its number; 0: the worker has none */
    uint32_t against;
    struct candidate_counts counts;
    uint32_t row_position, client_position; /* advanced */
    uint32_t rows_n, clients_n;
    struct candidate_row rows[WORKER_REPORT_ROOM];
    struct candidate_client clients[WORKER_REPORT_ROOM];
};

/* A question of the control thread, answered by the worker between two iterations. */
struct worker_request {
    enum {
        WORKER_STATS,
        WORKER_SESSIONS, /* up to `room` sessions from `position` on */
        WORKER_KICK,
        WORKER_DRAIN,
        WORKER_CANDIDATE,  /* what is in `report` from its positions on */
        WORKER_FACTS,      /* of a session called `name`, of CoAP or MQTT, into `facts` */
        WORKER_FORESEE,    /* the next sessions from `position` on, under generation `next` */
        WORKER_LEARN,      /* `learn` is put in force */
        WORKER_LEARN_COPY, /* of role `learn.place`, to `evidence` */
    } kind;
    atomic_bool done;
    struct worker_stats *stats;
    struct relay_info *sessions;
    uint32_t room;
    uint32_t position; /* advanced */
    uint32_t n;        /* answered */
    bool more;
    struct bytes name;
    enum outcome why;
    bool drained;
    struct relay_kick kick;
    bool kicked_mqtt; /* CoAP comes next */
    struct worker_report *report;
    bool coap;
    struct session_facts *facts;
    const struct generation *next;
    struct relay_foresight foresight; /* added to */
    struct learn_change learn;
    struct evidence *evidence;
    size_t copied; /* bytes; advanced */
};

struct worker;

/* Control thread, after the EAL and ports are up. NULL when memory is not to be had. */
struct worker *worker_create(struct worker_shared *shared, uint32_t index);
/* After worker_run has returned. */
void worker_destroy(struct worker *worker);
/* The loop; the type of rte_eal_remote_launch. Returns when shared->stop is set. */
int worker_run(void *worker);
/* Whether worker_run has returned: all that it did happened before. For the thread that waited for its core.
 */
bool worker_ended(const struct worker *worker);
/* One iteration at time `tsc`; answers whether anything was done. For worker_run and for tests that drive
 * time themselves. */
bool worker_iterate(struct worker *worker, uint64_t tsc);
/* Puts a question; the answer comes with request->done. False when an earlier one is still unanswered. */
bool worker_post(struct worker *worker, struct worker_request *request);
/* Whether nothing is unanswered, so that what an earlier question points at may be changed. */
bool worker_listens(const struct worker *worker);
/* Asks and waits up to one second for the answer; false when the worker did not answer (the request must then
 * stay valid: it is static to the control thread). */
bool worker_ask(struct worker *worker, struct worker_request *request);
struct event_ring *worker_events(struct worker *worker);

#endif
