/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MQTT relays: a device's stream, an upstream stream, and the law between them (D, F2, C).
 *
 * The relay moves bytes between the two streams through framer (policy/mqtt/frame.h), guard
 * (policy/mqtt/guard.h) and builder (policy/mqtt/build.h): what the guard allows is rebuilt onto the other
 * side, what it refuses is answered, dropped or ends the session as the guard says, and the relay tells the
 * event ring. One object per worker owns all relays of the worker; no locks.
 *
 * Life of a relay: accepted (CONNECT awaited, 5 s) -> password checked where the listener asks for one ->
 * CONNECT judged -> its turn awaited, 30 s -> upstream dialled -> CONNECT rebuilt
 * upstream -> CONNACK judged and rebuilt
 * -> running -> ending. Bytes that the device pipelines behind CONNECT wait in its TCP window. When one side
 * cannot take more, the other is not read (back pressure); nothing is buffered here but half packets, in
 * buffers from a bounded pool, and an idle relay owns none.
 */
#ifndef GATEWAY_RELAY_MQTT_H
#define GATEWAY_RELAY_MQTT_H

#include "dataplane/address.h"
#include "dataplane/stream.h"
#include "dataplane/timer_wheel.h"
#include "gateway/authenticator.h"
#include "gateway/event.h"
#include "gateway/generation.h"
#include "gateway/judged.h"
#include "gateway/quarantine.h"
#include "gateway/relay_kick.h"
#include "gateway/session_claims.h"
#include "gateway/session_facts.h"

struct mqtt_relays;

/* What the worker knows of an accepted connection. */
struct relay_origin {
    uint16_t listener;  /* index in the configuration */
    uint16_t interface; /* likewise */
    bool has_mac;
    uint8_t mac[6];
    bool tls;            /* its stream is a TLS listener's: tls_stream_peer tells who it is */
    struct flow_key key; /* local: the address the device meant */
};

struct mqtt_relays_config {
    uint32_t sessions;                          /* capacity */
    uint64_t buffer_bytes;                      /* for half packets, in all */
    struct timer_wheel *timers;                 /* borrowed */
    struct event_ring *events;                  /* borrowed */
    struct authenticator *authenticator;        /* borrowed; NULL: no password is right */
    const struct quarantine *const *quarantine; /* the worker's current one, as `generation`; may be NULL */
    const struct generation *const *generation; /* the worker's current one, changed only between calls */
    const uint64_t *now_us;                     /* the worker's loop time */
    const uint64_t *wall_offset_us;             /* from loop time to CLOCK_REALTIME; NULL: none */
    /*
     * Opens a stream to upstream `upstream` of the current generation for the client called `identity`, TLS
     * included where configured; handler->opened comes when it is ready. `*server` is which of the upstream's
     * servers was chosen, none of those in `*tried`, which gets its bit. NULL when none is left or it cannot
     * even be tried, with the reason in *why.
     */
    struct stream *(*dial)(void *worker, uint32_t upstream, const char *identity,
                           const struct flow_key *device, const struct stream_handler *handler, void *owner,
                           uint8_t *tried, uint8_t *server, enum outcome *why);
    /* What became of a dialled stream: `good` when it opened, false when the server is to blame that it did
     * not, or that its session is refused. */
    void (*dialled)(void *worker, uint32_t upstream, uint8_t server, bool good);
    /* A relay that was accepted is gone (for counting sessions per source); may be NULL. */
    void (*gone)(void *worker, const struct relay_origin *origin);
    void *worker;
    uint64_t session_seed;         /* first session number */
    struct session_claims *claims; /* of all workers, borrowed; NULL: none are made */
    struct client_shares *shares;  /* likewise; NULL: there is one worker */
    uint32_t worker_index;
    const struct judged_observers *judged; /* of the worker, borrowed; NULL: nobody looks */
};

/* RELAY_COUNTER(name, id), beside one counter per outcome and direction. */
#define RELAY_COUNTER_TABLE(RELAY_COUNTER)                                                                   \
    RELAY_COUNTER(SESSIONS_ACCEPTED, "sessions-accepted")                                                    \
    RELAY_COUNTER(SESSIONS_OPENED, "sessions-opened")                                                        \
    RELAY_COUNTER(SESSIONS_ENDED, "sessions-ended")                                                          \
    RELAY_COUNTER(PUBLISH_UP, "publish-up")                                                                  \
    RELAY_COUNTER(PUBLISH_DOWN, "publish-down")                                                              \
    RELAY_COUNTER(PACKETS_UP, "packets-up")                                                                  \
    RELAY_COUNTER(PACKETS_DOWN, "packets-down")                                                              \
    RELAY_COUNTER(BYTES_UP, "bytes-up")                                                                      \
    RELAY_COUNTER(BYTES_DOWN, "bytes-down")                                                                  \
    RELAY_COUNTER(BACK_PRESSURE, "back-pressure")                                                            \
    RELAY_COUNTER(UNGRACEFUL_ENDS, "ungraceful-ends")                                                        \
    RELAY_COUNTER(WILLS_SUPPLIED, "wills-supplied")                                                          \
    RELAY_COUNTER(RELEASES_FORGOTTEN, "releases-forgotten")                                                  \
    RELAY_COUNTER(SESSIONS_KEPT, "sessions-kept")                                                            \
    RELAY_COUNTER(SESSIONS_RIGHTS_LOST, "sessions-rights-lost")                                              \
    RELAY_COUNTER(SUBSCRIPTIONS_TAKEN_BACK, "subscriptions-taken-back")                                      \
    RELAY_COUNTER(DIALS_WAITED, "dials-waited")                                                              \
    RELAY_COUNTER(DIALS_GIVEN_UP, "dials-given-up")

#define RELAY_COUNTER_ENUM(name, id) RELAY_##name,
enum relay_counter { RELAY_COUNTER_TABLE(RELAY_COUNTER_ENUM) RELAY_COUNTER_COUNT };
#undef RELAY_COUNTER_ENUM

struct mqtt_relays_counters {
    uint64_t count[RELAY_COUNTER_COUNT];
    uint64_t from_device[OUTCOME_COUNT]; /* judged packets by outcome */
    uint64_t from_upstream[OUTCOME_COUNT];
};

/* Names of listeners and upstreams are told apart across reloads by it. */
uint64_t relay_name_digest(const char *name);

struct mqtt_relays *mqtt_relays_create(const struct mqtt_relays_config *config);
/* Frees everything; streams must be gone or are aborted. */
void mqtt_relays_destroy(struct mqtt_relays *relays);

/* Takes over an accepted device stream (sets handler and owner), or aborts it when there is no room. */
void mqtt_relays_accept(struct mqtt_relays *relays, struct stream *device, const struct relay_origin *origin);
/* Somebody else sent in the name of this device's stream, and was not heard (C4): tells of it with the
 * sentence, when the stream is a relay's own; false: it is not (TLS, or not accepted yet). */
bool mqtt_relays_tell_foreign(const struct stream *device, const char *what);
/* Takes the verdicts on passwords that came, for sessions that wait for them; answers how many. */
uint32_t mqtt_relays_poll(struct mqtt_relays *relays);
/* End of a burst: lets what was written leave, upstream and down. */
void mqtt_relays_flush(struct mqtt_relays *relays);
/*
 * After a new generation: re-judges up to `budget` sessions (new rights, lost rights, G3), continuing where
 * the last call ended. True when all have been seen. Sessions also re-bind by themselves at their next
 * packet.
 */
bool mqtt_relays_sweep(struct mqtt_relays *relays, uint32_t budget);
/* Looks at the certificates of both sides of up to `budget` sessions again, since what is known of one's
 * status has changed; otherwise as mqtt_relays_sweep. */
bool mqtt_relays_recheck(struct mqtt_relays *relays, uint32_t budget);
/* What a generation that is not in force would make of live sessions. */
struct relay_foresight {
    uint32_t sessions;          /* that were looked at */
    uint32_t closed;            /* would be ended */
    uint32_t other_role;        /* would get another role */
    uint32_t taken_back;        /* subscriptions that would be taken back */
    char first[EVENT_NAME_MAX]; /* one whose session would be ended */
};
/* Adds up to `budget` sessions at or after *position to the sum; true at the end. Changes nothing. */
bool mqtt_relays_foresee(struct mqtt_relays *relays, const struct generation *next, uint32_t *position,
                         uint32_t budget, struct relay_foresight *sum);
/* Stops accepting and ends up to `budget` sessions with `why` (5.0: DISCONNECT); true when none is left. */
bool mqtt_relays_drain(struct mqtt_relays *relays, enum outcome why, uint32_t budget);
uint32_t mqtt_relays_sessions(const struct mqtt_relays *relays);
const struct mqtt_relays_counters *mqtt_relays_counters(const struct mqtt_relays *relays);
/* Sessions that wait for their turn to be dialled (gateway/dial_queue.h). */
uint32_t mqtt_relays_dials_waiting(const struct mqtt_relays *relays);
size_t mqtt_relays_session_bytes(void);
/* Bytes of buffers that are out: half packets, what waits, tables of sessions. */
uint64_t mqtt_relays_buffers_used(const struct mqtt_relays *relays);

/* One live session as commands show it. Text is cut to its field. */
struct relay_info {
    uint64_t session;
    uint64_t since_us;
    uint64_t publishes_up, publishes_down, denied;
    uint8_t version;
    bool running;
    struct relay_origin origin;
    char client_id[EVENT_NAME_MAX];
    char user[EVENT_NAME_MAX];
    char identity[EVENT_NAME_MAX];
    char role[EVENT_NAME_MAX / 2];
    char device_tls[48];           /* "1.3 TLS_AES_128_GCM_SHA256"; empty: plaintext */
    char upstream_tls[48];         /* likewise */
    char upstream[EVENT_NAME_MAX]; /* its name; empty: not connected to one, or it is not there any more */
    bool has_server;               /* known while the configuration is the one that it was dialled by */
    struct ip_address server;
    uint16_t server_port;
};
/* Copies the next session at or after *position; false at the end. On the worker only. */
bool mqtt_relays_next(struct mqtt_relays *relays, uint32_t *position, struct relay_info *out);
/* The facts of a session of an identity or client id, if there is one among the next `budget` from *position
 * on; true when it was found, or all were seen. */
bool mqtt_relays_facts(struct mqtt_relays *relays, struct bytes name, uint32_t *position, uint32_t budget,
                       struct session_facts *out);
/* Ends the sessions of an identity or client id among the next `budget`, continuing at kick->position; true
 * when all were seen. */
bool mqtt_relays_kick(struct mqtt_relays *relays, struct relay_kick *kick, uint32_t budget);

#endif
