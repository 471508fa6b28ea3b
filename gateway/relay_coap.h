/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CoAP relays: requests of devices judged and sent on to an upstream, answers sent back (E, C4, F).
 *
 *   device endpoint (client) --request--> guard --> exchange --> leg --plain or DTLS--> upstream
 *                            <--reply, ACK-------- exchange <---- leg <-----------------
 *
 * A client is an address and port of a device; a leg is a UDP flow of our own toward a server of an upstream,
 * one for each identity, with the identity's DTLS session where the upstream is secured (B3), its rates (F2)
 * and its turn (NSTART, RFC 7252 s.4.7). An exchange joins one request of a client with what is sent for it
 * (policy/coap/exchange.h). Message ids and tokens are our own on both sides.
 *
 * CoAP does not say who a device is. The device table does, by MAC or address: its id is what rules and roles
 * see as the client id. Where MAC and address are both told, they are held to each other (C4), and the device
 * counts as having proved its address; all others prove theirs by Echo before they are sent more than a
 * reflection is worth (gateway/coap_proof.h).
 *
 * All tables have a fixed size. Clients and legs without exchanges make room, the longest silent first;
 * exchanges that are only remembered make room, the oldest first; otherwise the newcomer is refused. One
 * object per worker, no locks.
 */
#ifndef GATEWAY_RELAY_COAP_H
#define GATEWAY_RELAY_COAP_H

#include "dataplane/address.h"
#include "dataplane/secure/dtls_server.h"
#include "dataplane/stream.h"
#include "dataplane/timer_wheel.h"
#include "gateway/event.h"
#include "gateway/generation.h"
#include "gateway/judged.h"
#include "gateway/quarantine.h"
#include "gateway/relay_kick.h"
#include "gateway/session_facts.h"

struct coap_relays;
struct dtls_endpoint;

#define COAP_SECRET_BYTES 112

struct coap_relays_config {
    uint32_t clients; /* capacity; of legs too, and four times as many exchanges */
    uint64_t buffer_bytes;
    /* DTLS of clients, as dtls_server_config has them; 0: its defaults. */
    uint32_t dtls_handshakes, dtls_handshakes_per_source;
    uint64_t dtls_idle_us;
    struct timer_wheel *timers;                 /* borrowed */
    struct handshake_pool *pool;                /* borrowed; NULL: all handshakes run in the worker */
    struct event_ring *events;                  /* borrowed */
    const struct quarantine *const *quarantine; /* as `generation`; may be NULL */
    const struct generation *const *generation; /* the worker's current one, changed only between calls */
    const uint64_t *now_us;                     /* the worker's loop time */
    const uint64_t *wall_offset_us;             /* from loop time to CLOCK_REALTIME; NULL: none */
    uint8_t secret[COAP_SECRET_BYTES];
    /* Where `remote` is reached: sets local address, interface and *path; false when nowhere. */
    bool (*route)(void *worker, struct flow_key *key, uint32_t *path);
    /* The next candidate for a local port; the largest datagram, UDP payload, that fits a path whole. */
    uint16_t (*port)(void *worker);
    uint16_t (*datagram_max)(void *worker, const struct flow_key *key, uint32_t path);
    /* Which server of an upstream to use, and what became of it. */
    uint8_t (*pick)(void *worker, uint32_t upstream);
    void (*result)(void *worker, uint32_t upstream, uint8_t server, bool good);
    void (*send)(void *worker, uint32_t *path, const struct flow_key *key, const uint8_t *payload, size_t n);
    /* Opens a stream to a broker, as mqtt_relays_config.dial does; NULL: there are none. */
    struct stream *(*dial)(void *worker, uint32_t upstream, const char *identity,
                           const struct flow_key *device, const struct stream_handler *handler, void *owner,
                           uint8_t *server, enum outcome *why);
    /* Whether a client may begin a DTLS session with a listener (F1), and sessions that begin and end; NULL:
     * not asked. */
    bool (*admit)(void *worker, const struct flow_key *key, uint16_t listener);
    void (*session)(void *worker, const struct flow_key *key, bool begins);
    void *worker;
    uint32_t worker_index; /* for counters that generations keep by worker, and connection ids */
    uint32_t workers;      /* how many there are; 0: one */
    const struct judged_observers *judged; /* of the worker, borrowed; NULL: nobody looks */
};

/* A datagram of a device. */
struct coap_arrival {
    struct flow_key key; /* local: the address the device meant */
    uint32_t path;       /* toward the device */
    uint16_t listener;   /* index in the configuration */
    bool has_mac;
    bool group; /* sent to a multicast or broadcast address */
    uint8_t mac[6];
    struct dtls_endpoint *secure; /* the session that it came in; NULL: none, or a record of one */
    struct bytes payload;
};

/* COAP_COUNTER(name, id), beside one counter per outcome. */
#define COAP_COUNTER_TABLE(COAP_COUNTER)                                                                     \
    COAP_COUNTER(DATAGRAMS_UP, "datagrams-up")                                                               \
    COAP_COUNTER(BYTES_UP, "bytes-up")                                                                       \
    COAP_COUNTER(DATAGRAMS_DOWN, "datagrams-down")                                                           \
    COAP_COUNTER(BYTES_DOWN, "bytes-down")                                                                   \
    COAP_COUNTER(FOREIGN, "foreign")                                                                         \
    COAP_COUNTER(MALFORMED, "malformed")                                                                     \
    COAP_COUNTER(CAPPED, "capped")                                                                           \
    COAP_COUNTER(GROUP, "group")                                                                             \
    COAP_COUNTER(PINGS, "pings")                                                                             \
    COAP_COUNTER(REQUESTS, "requests")                                                                       \
    COAP_COUNTER(REPEATED, "repeated")                                                                       \
    COAP_COUNTER(FORWARDED, "forwarded")                                                                     \
    COAP_COUNTER(RESPONSES, "responses")                                                                     \
    COAP_COUNTER(NOTIFICATIONS, "notifications")                                                             \
    COAP_COUNTER(SENT_AGAIN_UP, "sent-again-up")                                                             \
    COAP_COUNTER(SENT_AGAIN_DOWN, "sent-again-down")                                                         \
    COAP_COUNTER(STRAY_UP, "stray-from-upstream")                                                            \
    COAP_COUNTER(MALFORMED_DOWN, "malformed-from-upstream")                                                  \
    COAP_COUNTER(TIMEOUTS, "timeouts")                                                                       \
    COAP_COUNTER(PROBING, "held-by-probing-rate")                                                            \
    COAP_COUNTER(RESETS, "resets")                                                                           \
    COAP_COUNTER(CHALLENGES, "challenges")                                                                   \
    COAP_COUNTER(PROOFS, "proofs")                                                                           \
    COAP_COUNTER(HELD_BACK, "held-back")                                                                     \
    COAP_COUNTER(CLIENTS_FORGOTTEN, "clients-forgotten")                                                     \
    COAP_COUNTER(EXCHANGES_FORGOTTEN, "exchanges-forgotten")                                                 \
    COAP_COUNTER(LEGS_OPENED, "legs-opened")                                                                 \
    COAP_COUNTER(LEGS_FAILED, "legs-failed")                                                                 \
    COAP_COUNTER(STATUS_REFUSED, "dtls-failed-status")                                                       \
    COAP_COUNTER(STATUS_UNCHECKED, "dtls-status-unchecked")                                                  \
    COAP_COUNTER(DATAGRAMS_LOST, "dtls-datagrams-lost")                                                      \
    COAP_COUNTER(PUBLISHED, "mqtt-published")                                                                \
    COAP_COUNTER(ACKNOWLEDGED, "mqtt-acknowledged")                                                          \
    COAP_COUNTER(MESSAGES, "mqtt-messages")                                                                  \
    COAP_COUNTER(TOPICS, "mqtt-topics")                                                                      \
    COAP_COUNTER(CACHE_HITS, "cache-hits")                                                                   \
    COAP_COUNTER(CACHE_MISSES, "cache-misses")                                                               \
    COAP_COUNTER(CACHE_VALIDATED, "cache-validated")                                                         \
    COAP_COUNTER(SHARED, "observations-shared")                                                              \
    COAP_COUNTER(OBSERVATIONS, "observations")                                                               \
    COAP_COUNTER(OBSERVATIONS_ENDED, "observations-ended")                                                   \
    COAP_COUNTER(OBSERVATIONS_TAKEN_BACK, "observations-taken-back")

#define COAP_COUNTER_ENUM(name, id) COAP_COUNT_##name,
enum coap_counter { COAP_COUNTER_TABLE(COAP_COUNTER_ENUM) COAP_COUNTER_COUNT };
#undef COAP_COUNTER_ENUM

struct coap_relays_counters {
    uint64_t count[COAP_COUNTER_COUNT];
    uint64_t requests[OUTCOME_COUNT];  /* judged requests by outcome */
    uint64_t responses[OUTCOME_COUNT]; /* judged responses by outcome */
    uint64_t secure[DTLS_SERVER_COUNTER_COUNT];
};

struct coap_relays *coap_relays_create(const struct coap_relays_config *config);
/* Only when no handshake is under way on a thread. */
void coap_relays_destroy(struct coap_relays *relays);
/* Takes back finished handshakes. Once per loop; costs a load when there is nothing. */
void coap_relays_poll(struct coap_relays *relays);

void coap_relays_from_device(struct coap_relays *relays, const struct coap_arrival *arrival);
/* Whether a datagram of this flow (remote: the server) is awaited. */
bool coap_relays_claims(const struct coap_relays *relays, const struct flow_key *key);
void coap_relays_from_upstream(struct coap_relays *relays, const struct flow_key *key, struct bytes payload);
/* Lets leave what was written to brokers; once an iteration. */
void coap_relays_flush(struct coap_relays *relays);
/* A router or the server said that this flow of ours leads nowhere. */
void coap_relays_unreachable(struct coap_relays *relays, const struct flow_key *key);
/*
 * After a new generation: re-judges up to `budget` clients and legs, continuing where the last call ended;
 * true when all have been seen. Observations that the new policy does not allow end; legs whose server or
 * key is another now are closed. Everything else is judged anew with the client's next request.
 */
bool coap_relays_sweep(struct coap_relays *relays, uint32_t budget);
/* Ends what an identity or device has under way, observations among it, at the next `budget` endpoints,
 * continuing at kick->position: 4.03 when it is quarantined, else 5.03. True when all were seen. */
bool coap_relays_kick(struct coap_relays *relays, struct relay_kick *kick, uint32_t budget);
/* The facts of a client of an identity, the one that was heard last; true when all were seen. `out` is gone
 * on with from *position 0 on. */
bool coap_relays_facts(struct coap_relays *relays, struct bytes name, uint32_t *position, uint32_t budget,
                       struct session_facts *out);
uint32_t coap_relays_clients(const struct coap_relays *relays);
uint32_t coap_relays_exchanges(const struct coap_relays *relays);
uint32_t coap_relays_legs(const struct coap_relays *relays);
/* DTLS sessions with clients. */
uint32_t coap_relays_sessions(const struct coap_relays *relays);
const struct coap_relays_counters *coap_relays_counters(struct coap_relays *relays);
/* Bytes that one client, leg and exchange take, for people who plan memory. */
void coap_relays_bytes(size_t *client, size_t *leg, size_t *exchange);

#endif
