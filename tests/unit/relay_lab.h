/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bench for MQTT relays without a network: streams in memory, a clock that the test turns, policies made
 * from tables. What a side was sent is read back packet by packet with the codec.
 */
#ifndef TESTS_UNIT_RELAY_LAB_H
#define TESTS_UNIT_RELAY_LAB_H

#include "gateway/relay_mqtt.h"
#include "policy/mqtt/build.h"
#include "policy/mqtt/frame.h"
#include "policy/mqtt/guard.h"

#define LAB_STREAMS 2048
#define LAB_OUT_BYTES (1U << 20) /* what a stream's other end keeps, unless out_bytes says less */

/* A stream whose other end is the test. */
struct lab_stream {
    struct stream base;
    struct relay_lab *lab;
    bool used;
    bool finished; /* stream_finish */
    bool aborted;  /* stream_abort */
    bool gone;     /* closed was called, or aborted */
    bool short_write;
    bool in_data;
    unsigned int flushes;
    size_t room; /* what it still takes */
    uint8_t *out;
    size_t out_n;    /* bytes written to it */
    size_t out_read; /* of those, read by the test */
    uint8_t *in;
    size_t in_n; /* bytes offered and not taken */
    size_t in_capacity;
    const char *reason;
    uint64_t own_us; /* stream_own_us */
};

/* Of all labs that are opened next, each a worker; borrowed. NULL: each is by itself. */
extern struct client_shares *lab_shares;

struct relay_lab {
    struct mqtt_relays *relays;
    struct timer_wheel *timers;
    struct event_ring *events;
    struct gateway_config *config;
    struct session_claims *claims;
    struct generation generations[2];
    const struct generation *generation;
    uint32_t number;
    uint64_t now_us;
    struct lab_stream streams[LAB_STREAMS];
    struct lab_stream *dialled; /* the last */
    char identity[128];         /* it was dialled for */
    enum outcome dial_fails;    /* OUTCOME_ALLOWED: it does not */
    uint8_t servers;            /* of the upstream; 1 unless set after lab_open */
    uint8_t dial_server;        /* that the last result was about */
    bool dial_good;
    unsigned int dials, dial_results, gone;
    size_t out_bytes;
    const struct quarantine *quarantine; /* borrowed; NULL: nobody */
    struct judged_observers judged;
    struct users *users; /* the next policy takes them over */
};

/* With passwords where the test says so in the listener; `authenticator` is borrowed and may be NULL. */
void lab_open_with(struct relay_lab *lab, const struct policy_role_spec *roles, uint32_t roles_n,
                   struct authenticator *authenticator, struct users *users);
/* With room for so many sessions, instead of 32. */
void lab_open_for(struct relay_lab *lab, const struct policy_role_spec *roles, uint32_t roles_n,
                  struct authenticator *authenticator, struct users *users, uint32_t sessions);
void lab_open(struct relay_lab *lab, const struct policy_role_spec *roles, uint32_t roles_n);
/* Checks that nothing is left behind. */
void lab_close(struct relay_lab *lab);
/* A new generation; the old one is destroyed, as if all workers had let go of it. */
void lab_policy(struct relay_lab *lab, const struct policy_role_spec *roles, uint32_t roles_n);

/* The same, with the totals of its roles and of the configuration's listeners, carried over from generation
 * to generation. */
void lab_totals(struct relay_lab *lab, const struct policy_role_spec *roles, uint32_t roles_n);

/* A device connects from 10.20.0.`host`. */
struct lab_stream *lab_accept(struct relay_lab *lab, uint8_t host);
/* The other end sends; what is not taken is kept and offered again. */
void lab_feed(struct lab_stream *s, const uint8_t *p, size_t n);
/* Ends the sessions of a client by command, a session a step; answers how many. */
uint32_t lab_kick(struct relay_lab *lab, const char *name);
/* The end of a burst. */
void lab_flush(struct relay_lab *lab);
void lab_wait(struct relay_lab *lab, uint64_t us);
void lab_upstream_opens(struct lab_stream *s);
/* The other end takes what was written and makes room for more. */
void lab_drain(struct lab_stream *s, size_t room);
void lab_peer_ends(struct lab_stream *s);
void lab_peer_closes(struct lab_stream *s, enum stream_end why);

/* The next packet that was written to `s`; false when there is none. Borrowed from the stream. */
bool lab_next(struct lab_stream *s, enum mqtt_sender sender, enum mqtt_version version,
              struct mqtt_packet *out);
/* Builds and feeds a packet; PUBLISH with its payload. */
void lab_send(struct lab_stream *s, const struct mqtt_packet *packet);

/* Packets by the dozen. */
struct mqtt_packet lab_connect(enum mqtt_version version, const char *client_id);
struct mqtt_packet lab_connack(enum mqtt_version version, uint8_t code);
struct mqtt_packet lab_publish(enum mqtt_version version, const char *topic, uint8_t qos, uint16_t id);
struct mqtt_packet lab_ack(enum mqtt_version version, enum mqtt_type type, uint16_t id, uint8_t code);
struct mqtt_packet lab_plain(enum mqtt_version version, enum mqtt_type type);
/* SUBSCRIBE or UNSUBSCRIBE of up to 8 filters, NULL-terminated. */
struct mqtt_packet lab_subscribe(enum mqtt_version version, enum mqtt_type type, uint16_t id, uint8_t qos,
                                 const char *const *filters);
struct mqtt_packet lab_suback(enum mqtt_version version, enum mqtt_type type, uint16_t id,
                              const uint8_t *codes, size_t n);

/* A device that is connected through to its upstream, with everything read. */
struct lab_session {
    struct lab_stream *device;
    struct lab_stream *upstream;
    enum mqtt_version version;
};
struct lab_session lab_session(struct relay_lab *lab, enum mqtt_version version, const char *client_id);
/* The next event; NULL when there is none. Popped. */
const struct event *lab_event(struct relay_lab *lab);
/* Reads events until one of `kind`; NULL when there is none. */
const struct event *lab_event_of(struct relay_lab *lab, enum event_kind kind);

#endif
