/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of relay_coap.h. relay_coap.c makes and ends clients and exchanges; relay_coap_device.c takes
 * what devices send; relay_coap_reply.c sends what they get; relay_coap_leg.c is the way to the upstream;
 * relay_coap_upstream.c takes what comes back; relay_coap_event.c tells.
 */
#ifndef GATEWAY_RELAY_COAP_PRIVATE_H
#define GATEWAY_RELAY_COAP_PRIVATE_H

#include "dataplane/flow_table.h"
#include "dataplane/secure/dtls_stream.h"
#include "dataplane/siphash.h"
#include "dataplane/slab.h"
#include "gateway/coap_prefix.h"
#include "gateway/coap_proof.h"
#include "gateway/packet_buffer.h"
#include "gateway/relay_coap.h"
#include "policy/coap/exchange.h"
#include "policy/coap/guard.h"
#include "policy/coap/transfer.h"

#include <sys/queue.h>

/* Without any answer, a server is asked whether it is there after this many bytes of NON (s.4.7). */
#define COAP_UNHEARD_BYTES 512
#define COAP_PING_EVERY_US UINT64_C(2000000)
#define COAP_ACTIVE_MAX 16    /* exchanges of a client that are under way, observations apart */
#define COAP_EXCHANGES_MAX 64 /* likewise of an identity: the most that a role can say */
#define COAP_OBSERVED_MAX 256 /* observations of an identity whose role only observes, whatever it says */
#define COAP_KEPT_MAX 64      /* exchanges of a client that are only remembered */
#define COAP_IDLE_US UINT64_C(300000000)
#define COAP_UP_TOKEN 8
#define COAP_KEEP_MAX 20480 /* bytes that are kept in one piece */
#define COAP_NONE UINT32_MAX

struct coap_bodies;
struct coap_cache;
struct coap_group;
struct coap_mqtt;
struct coap_mqtt_topic;

TAILQ_HEAD(coap_list, coap_flight);

struct coap_client {
    struct flow_key key;
    uint32_t path;
    uint16_t listener;      /* in the configuration of `generation` */
    uint64_t listener_name; /* digest: its place there may change */
    uint16_t next_mid;
    bool listener_gone;
    bool has_mac;
    bool pinned;
    struct dtls_endpoint *secure; /* whose session is open as long as there is this client; NULL: plain */
    uint8_t mac[6];
    enum outcome standing; /* what resolving the identity answered */
    uint32_t generation;   /* for which it did; 0: never */
    uint64_t quarantine;   /* likewise: number of the list */
    uint32_t active;       /* under way, observations apart */
    uint32_t kept;
    uint32_t observations;
    uint64_t heard_us;
    struct slab_handle leg;
    struct coap_list flights; /* all of this client's, oldest first */
    TAILQ_ENTRY(coap_client) by_silence;
    struct identity identity;
};

struct coap_leg {
    uint64_t name[2];  /* digest of upstream and identity */
    uint64_t upstream; /* digest of its name: its place may change with the configuration */
    uint32_t next;     /* in its bucket */
    struct flow_key key;
    uint32_t path;
    uint8_t server;
    bool dialled;  /* key is in the table of flows */
    bool ready;    /* datagrams may be sent */
    bool answered; /* the server has been heard of */
    bool stale;    /* to be closed when nothing is under way */
    uint16_t next_mid;
    uint32_t outstanding;
    uint32_t flights_n; /* that refer to this leg */
    uint32_t observations;
    uint64_t used_us;
    uint64_t not_before_us;   /* dialling again, after a failure */
    uint32_t failures;        /* in a row */
    struct coap_list waiting; /* for their turn, or for the handshake */
    struct coap_list flying;  /* outstanding */
    struct coap_list landed;  /* acknowledged or observing: nothing is sent for them */
    uint64_t heard_us;        /* the last message of the server */
    uint64_t pinged_us;
    uint32_t unheard_bytes; /* of NON requests, since then */
    struct rate_bucket probing;
    struct rate_buckets rates;        /* requests and bytes */
    struct coap_transfers *transfers; /* NULL until there is one */
    struct dtls_session *dtls;
    struct coap_mqtt *mqtt; /* the upstream is a broker (coap_mqtt.h) */
    bool old_mqtt;          /* which knows 3.1.1 only */
    bool turning;
    struct timer timer;
    struct coap_relays *relays;
    TAILQ_ENTRY(coap_leg) by_silence;
    char identity[IDENTITY_NAME_MAX + 1];
};

enum coap_place { COAP_PLACE_NONE = 0, COAP_PLACE_WAITING, COAP_PLACE_FLYING, COAP_PLACE_LANDED };

/* One request on its way, or remembered. */
struct coap_flight {
    struct coap_exchange x;
    struct timer timer;
    struct coap_relays *relays;
    struct coap_client *client;
    struct coap_leg *leg; /* NULL when nothing more is awaited from it */
    TAILQ_ENTRY(coap_flight) of_client;
    TAILQ_ENTRY(coap_flight) of_leg;
    TAILQ_ENTRY(coap_flight) by_age; /* when kept */
    uint32_t next;                   /* in its bucket of repeated requests */
    uint8_t place;                   /* enum coap_place */
    uint8_t method;
    uint8_t no_response;
    bool kept;
    bool observe;   /* asked the upstream to notify */
    bool observing; /* and it does: counted as an observation */
    bool suppressed;
    uint8_t token[COAP_TOKEN_MAX]; /* the client's, when it is that short */
    uint8_t up_token[COAP_UP_TOKEN];
    uint64_t asked; /* digest of the path */
    uint16_t token_len;
    uint16_t request_len;
    uint16_t reply_len;
    uint8_t *token_long; /* else here (RFC 8974), or NULL */
    uint16_t packet_id;  /* of its PUBLISH with QoS 1 */
    bool mapped;         /* it is for a broker: `request` is a struct coap_mapped */
    uint32_t block1;     /* that the answer of a broker tells, and 1; 0: none */
    uint32_t ping;       /* whose PINGRESP answers its PUBLISH with QoS 0 */
    struct coap_mqtt_topic *topic;
    struct coap_group *group; /* it observes with others */
    TAILQ_ENTRY(coap_flight) of_group;
    struct coap_prefix *prefix; /* where it counts as under way, or NULL */
    uint64_t transfer;          /* it is a block of this; 0: of none */
    bool uploads;               /* which goes upstream */
    bool group_sent;            /* it was sent to a group: late, and only good news (s.8.2) */
    bool cacheable;             /* what is answered is kept, or makes stale what is */
    bool shared;                /* the answer is everybody's */
    bool validates;             /* the request has an ETag of ours */
    bool has_etag;              /* which the client has too */
    uint8_t *request;           /* as sent upstream */
    uint8_t *reply;             /* as sent to the client */
};

struct coap_relays {
    struct coap_relays_config config;
    struct slab *clients;
    struct slab *legs;
    struct slab *flights;
    struct flow_table *by_client;
    struct flow_table *by_leg;
    struct packet_buffers *buffers;
    struct coap_proofs *proofs;
    struct dtls_worker *dtls;
    struct dtls_server *server;
    struct slab *sessions; /* with brokers */
    struct slab *topics;
    struct slab *groups;
    struct slab *transfers;
    struct coap_prefixes *prefixes;
    struct coap_cache *cache;
    struct coap_bodies *bodies;
    uint32_t *grouped; /* buckets: digest to group; as many as of `named` */
    TAILQ_HEAD(, coap_group) orphans;
    TAILQ_HEAD(, coap_mqtt) dirty_sessions;
    uint64_t session_serial;
    struct siphash_key key;
    uint64_t random[2];
    uint32_t *repeated; /* buckets: client and message id to flight */
    uint32_t repeated_mask;
    uint32_t *named; /* buckets: digest to leg */
    uint32_t named_mask;
    uint32_t sweep_client, sweep_leg;
    uint64_t told_us;
    uint32_t untold;
    struct timer housekeeping;
    TAILQ_HEAD(, coap_client) silent_clients;
    TAILQ_HEAD(, coap_leg) silent_legs;
    struct coap_list kept;
    struct coap_relays_counters counters;
};

static inline uint64_t coap_now(const struct coap_relays *r)
{
    return *r->config.now_us;
}

static inline const struct generation *coap_generation(const struct coap_relays *r)
{
    return *r->config.generation;
}

static inline void coap_count(struct coap_relays *r, enum coap_counter counter)
{
    r->counters.count[counter]++;
}

/* relay_coap.c */
uint64_t coap_random(struct coap_relays *r);
void coap_client_free(struct coap_relays *r, struct coap_client *client);
/* NULL when there is no room; an endpoint that is known is brought up to date. */
struct coap_client *coap_client_get(struct coap_relays *r, const struct coap_arrival *arrival);
/* Its address is another; who it is there is found out anew. Freed when there is no room for it. */
void coap_client_move(struct coap_relays *r, struct coap_client *client, const struct flow_key *key);
struct coap_client *coap_client_find(struct coap_relays *r, const struct flow_key *key);
/* Its entry among those shut out by command, or NULL. */
const struct quarantine_entry *coap_client_quarantined(const struct coap_relays *r,
                                                       const struct coap_client *client);
/* The place of its listener in a configuration; false when it has none there. */
bool coap_client_listener(const struct coap_relays *r, const struct coap_client *client,
                          const struct gateway_config *config, uint16_t *listener);
/* What is known of the client, as `generation` names the places; `at` is a listener of it. */
struct client_facts coap_client_facts(const struct coap_client *client, const struct generation *generation,
                                      uint16_t at);
/* Who it is under a generation in which its listener is at `at`. `pinned`: the device table binds its address
 * to its MAC. */
enum outcome coap_client_resolve(const struct coap_client *client, const struct generation *generation,
                                 uint16_t at, struct identity *identity, bool *pinned);
/* Who the client is under the current generation; its standing. */
bool coap_arrival_has_rights(struct coap_relays *r, const struct coap_arrival *arrival);
enum outcome coap_client_identify(struct coap_relays *r, struct coap_client *client);
struct coap_flight *coap_flight_new(struct coap_relays *r, struct coap_client *client);
void coap_flight_free(struct coap_flight *flight);
/* Gives a flight another client message id under which repeats find it. */
void coap_flight_file(struct coap_flight *flight);
void coap_flight_unfile(struct coap_flight *flight);
struct coap_flight *coap_flight_repeated(struct coap_relays *r, const struct coap_client *client,
                                         uint16_t mid);
bool coap_keep_bytes(struct coap_relays *r, uint8_t **at, uint16_t *len, const uint8_t *from, size_t n);
void coap_drop_bytes(struct coap_relays *r, uint8_t **at, uint16_t *len);
/* The client's token; false when there is no room for it. */
bool coap_flight_set_token(struct coap_flight *flight, const struct coap_message *request);
struct bytes coap_flight_token(const struct coap_flight *flight);
/* After anything happened to a flight: counts, lists and the timer follow its state. */
void coap_flight_settle(struct coap_flight *flight);
void coap_flight_observing(struct coap_flight *flight, bool observing);

/* relay_coap_reply.c: everything toward devices */
/* Bytes of an IP packet with a datagram of `n`. */
uint32_t coap_packet_bytes(const struct flow_key *key, size_t n);
/* Where a client is reached. */
struct coap_way {
    const struct flow_key *key;
    uint32_t *path;
    struct dtls_endpoint *secure; /* NULL: plain */
};
static inline struct coap_way coap_way_to(struct coap_client *client)
{
    return (struct coap_way){.key = &client->key, .path = &client->path, .secure = client->secure};
}
/* Sends bytes to the client if the ledger allows, which does not ask it of a session; true when they were. */
bool coap_send_down(struct coap_relays *r, struct coap_way way, const uint8_t *bytes, size_t n);
void coap_send_empty_down(struct coap_relays *r, struct coap_way way, enum coap_type type, uint16_t mid);
/* Answers a request of which nothing is remembered. */
struct coap_refusal {
    uint8_t code;
    uint8_t no_response; /* of the request (RFC 7967) */
    bool ages;           /* has a Max-Age */
    bool echo;           /* is a challenge */
    bool has_block1;     /* tells which block it answers */
    uint32_t block1;
    uint32_t max_age_s;
    uint32_t size1; /* the largest body that would be taken, told with 4.13 (RFC 7959 s.4); 0: not told */
};
void coap_refuse(struct coap_relays *r, struct coap_client *client, const struct coap_message *request,
                 const struct coap_refusal *refusal);
/* The reply to a flight made of a response of the upstream. */
void coap_reply_response(struct coap_flight *flight, const struct coap_message *response,
                         const struct coap_verdict *verdict);
/* A message that was written with the flight's token, any type and any message id. What its address may not
 * be sent yet becomes a challenge, or its bare code. */
void coap_reply_message(struct coap_flight *flight, uint8_t *message, size_t n, bool reliable);
/* An answer of which nothing is remembered; a challenge when the address may not be sent it yet. */
void coap_reply_at_once(struct coap_relays *r, struct coap_client *client, const struct coap_message *request,
                        const struct coap_verdict *verdict, const uint8_t *message, size_t n);
/* The reply to a flight made by ourselves. */
void coap_reply_own(struct coap_flight *flight, uint8_t code);
void coap_reply_again(struct coap_flight *flight);
/* Whether a request may be carried out twice. */
static inline bool coap_repeatable(uint8_t method)
{
    return method != COAP_POST && method != COAP_PATCH;
}

/* Whether nobody expects an answer: not confirmable, and the client wants none of any class (RFC 7967). */
static inline bool coap_flight_unanswered(const struct coap_flight *flight)
{
    return !flight->x.confirmable && (flight->no_response & 0x1A) == 0x1A;
}

/* relay_coap_cache.c */
/* What the upstream of a leg may keep; 0: nothing. */
uint64_t coap_cache_limit(const struct coap_leg *leg);
/* Answers a GET from what is kept, true; else adds to the verdict the ETag by which that is validated. */
bool coap_cache_answers(struct coap_relays *r, struct coap_client *client, const struct coap_leg *leg,
                        const struct coap_message *message, struct coap_verdict *verdict, bool shared);
/* Keeps a response; true when it was a 2.03 to us and the client has been sent what is kept. */
bool coap_cache_takes(struct coap_flight *flight, const struct coap_message *response,
                      const struct coap_verdict *verdict);

/* relay_coap_leg.c */
/* The leg of a client that was identified; NULL when there is no room. */
/* By which names of listeners and upstreams are known over reloads. */
uint64_t coap_name_digest(const struct coap_relays *r, const char *name);
struct coap_leg *coap_leg_get(struct coap_relays *r, struct coap_client *client);
/* Queues a flight whose request is kept, and sends what may be sent. */
void coap_leg_add(struct coap_leg *leg, struct coap_flight *flight);
/* The flight is done with its leg. */
void coap_leg_remove(struct coap_flight *flight);
void coap_leg_turn(struct coap_leg *leg);
/* Gives a flight that is on its leg a token of its own upstream, and puts it in line. */
void coap_flight_register(struct coap_flight *flight);
/* Tells the upstream that this flight does not observe any more (RFC 7641 s.3.6). */
void coap_leg_cancel(struct coap_flight *flight);
void coap_leg_place(struct coap_flight *flight, enum coap_place where);
void coap_leg_landed(struct coap_flight *flight); /* no longer outstanding */
/* Opens the way to a server; false when that failed, and all that waited has been told. */
bool coap_leg_dial(struct coap_leg *leg);
void coap_leg_send(struct coap_leg *leg, const uint8_t *bytes, size_t n);
void coap_leg_hang_up(struct coap_leg *leg);
/* Everything of the leg fails with `code`, and it is not dialled for a while. `silent`: the server did not
 * answer at all, so others had better try another one; what fails for one identity says nothing about it. */
void coap_leg_fail(struct coap_leg *leg, enum outcome why, uint8_t code, bool silent, const char *detail);
void coap_leg_free(struct coap_leg *leg);
/* The server may have forgotten the session: shakes hands anew, and sends again what is outstanding. */
void coap_leg_redial(struct coap_leg *leg);
/* Ends a session at once whose key was taken back, or whose server's certificate was (B4): false then. */
bool coap_leg_check(struct coap_leg *leg);
bool coap_leg_current(const struct coap_leg *leg);
/* Its upstream in the configuration of now, or NULL. */
const struct config_upstream *coap_leg_upstream(const struct coap_leg *leg);
/* Tells whoever chooses servers what became of this one. */
void coap_leg_result(struct coap_leg *leg, bool good);
void coap_leg_expire(struct coap_relays *r);

/* relay_coap_upstream.c */
void coap_leg_received(struct coap_leg *leg, struct bytes payload);
void coap_flight_do(struct coap_flight *flight, unsigned int todo);

/* relay_coap_device.c: a datagram, or the message of a session. */
void coap_take(struct coap_relays *r, const struct coap_arrival *arrival);

/* relay_coap_secure.c */
bool coap_secure_create(struct coap_relays *r, const uint8_t secret[48]);
bool coap_secure_listener(const struct coap_relays *r, uint16_t listener);
void coap_secure_input(struct coap_relays *r, const struct coap_arrival *arrival);
bool coap_secure_sweep(struct coap_relays *r, uint32_t budget);

/* relay_coap_event.c */
struct coap_report {
    enum event_kind kind;
    enum outcome outcome;
    bool enforced;
    uint8_t method;
    uint8_t code; /* that was answered; 0: nothing */
    uint32_t payload_bytes;
    struct bytes path;
    const char *rule;    /* or NULL */
    uint32_t rule_place; /* in its role, from 1; 0: none */
    const char *detail;  /* or NULL */
};
void coap_tell(struct coap_relays *r, const struct coap_client *client, const struct coap_report *report);
void coap_tell_arrival(struct coap_relays *r, const struct coap_arrival *arrival,
                       const struct coap_report *report);

#endif
