/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of dtls_server.h. dtls_server.c has endpoints with their sessions, datagrams and time;
 * dtls_server_gate.c decides who may begin, dtls_server_move.c who goes on from elsewhere; dtls_endpoint.c
 * answers the owner.
 */
#ifndef DATAPLANE_SECURE_DTLS_SERVER_PRIVATE_H
#define DATAPLANE_SECURE_DTLS_SERVER_PRIVATE_H

#include "dataplane/flow_table.h"
#include "dataplane/secure/dtls_ids.h"
#include "dataplane/secure/dtls_reassembly.h"
#include "dataplane/secure/dtls_server.h"
#include "dataplane/siphash.h"
#include "dataplane/slab.h"

#include <sys/queue.h>

#define SOURCE_PLACES 4096

enum { SEAT_NONE = -1 };

/* One of the two sessions of an endpoint: its owner, as the session knows it. */
struct seat {
    struct dtls_endpoint *endpoint;
    struct dtls_session *session; /* NULL: empty */
    struct timer timer;
    uint8_t random[DTLS_RANDOM_BYTES]; /* of the ClientHello */
    uint8_t id[DTLS_ID_BYTES];         /* that the client may use */
    bool has_id;
};

struct dtls_endpoint {
    struct dtls_server *server;
    struct flow_key key;
    uint32_t path;
    uint32_t listener;
    uint8_t mac[6];
    bool has_mac;
    bool moved;  /* it has had another address */
    bool proved; /* and has shown that it is at this one */
    uint64_t moved_us;
    const struct dtls_arrival *elsewhere; /* the datagram that is read now is from another address */
    int8_t open;                          /* the seat whose session is open, or SEAT_NONE */
    int8_t coming;                        /* the one whose handshake is under way, or SEAT_NONE */
    uint64_t heard_us;
    TAILQ_ENTRY(dtls_endpoint) by_silence;
    struct seat seats[2];
};

struct dtls_server {
    struct dtls_server_config config;
    struct slab *endpoints;
    struct flow_table *by_key;
    struct dtls_ids *ids; /* index of the endpoint, and seat */
    struct dtls_cookies cookies;
    struct siphash_key source_key;
    struct dtls_reassembly *fragments;
    struct timer housekeeping;
    TAILQ_HEAD(, dtls_endpoint) silent;
    uint32_t handshakes;
    uint32_t sweep_at;
    uint64_t counters[DTLS_SERVER_COUNTER_COUNT];
    uint16_t of_source[SOURCE_PLACES];
};

static inline void dtls_server_count(struct dtls_server *s, enum dtls_server_counter counter)
{
    s->counters[counter]++;
}

static inline uint64_t dtls_server_now(const struct dtls_server *s)
{
    return *s->config.now_us;
}

static inline int8_t dtls_seat_index(const struct seat *seat)
{
    return (int8_t)(seat - seat->endpoint->seats);
}

/* ---- dtls_server.c ----------------------------------------------------------------------------------------
 */

extern const struct dtls_handler dtls_seat_handler;
/* How many handshakes are under way from where `key` is. */
uint16_t *dtls_source_place(struct dtls_server *s, const struct flow_key *key);
/* Empties a seat; `polite` says goodbye. */
void dtls_seat_leave(struct dtls_endpoint *e, int8_t index, bool polite);
void dtls_seat_on_timer(struct timer *timer, uint64_t now_us);
void dtls_seat_feed(struct dtls_endpoint *e, int8_t index, const uint8_t *datagram, size_t n);
void dtls_endpoint_free(struct dtls_endpoint *e);
void dtls_endpoint_free_if_empty(struct dtls_endpoint *e);
/* The place that the client's last datagram came from. */
void dtls_endpoint_note(struct dtls_endpoint *e, const struct dtls_arrival *arrival);

/* ---- dtls_server_gate.c -----------------------------------------------------------------------------------
 */

/* `e` is the endpoint of that address; NULL: there is none. */
void dtls_gate_hello(struct dtls_server *s, struct dtls_context *context, const struct dtls_arrival *arrival,
                     struct dtls_endpoint *e, const struct dtls_hello *hello);
void dtls_gate_fragment(struct dtls_server *s, struct dtls_context *context,
                        const struct dtls_arrival *arrival, struct dtls_endpoint *e);

/* ---- dtls_server_move.c -----------------------------------------------------------------------------------
 */

/* A datagram under the id of a session, whatever its address. */
void dtls_take_by_id(struct dtls_server *s, const struct dtls_arrival *arrival, const uint8_t *id);
/* A record of the open session has shown itself authentic. */
void dtls_move(struct dtls_endpoint *e);

#endif
