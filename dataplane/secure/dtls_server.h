/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DTLS toward clients (B2, A5, E4): which datagram belongs to whose session, and who may begin one.
 *
 *   ClientHello --no cookie--> HelloVerifyRequest, in 1.3 HelloRetryRequest, nothing is kept
 *   ClientHello --our cookie--> caps, admit --> a handshake (dtls_stream.h) --> opened: a session
 *   anything else --> the session of that address, or dropped
 *
 * Nothing is kept of an address until it has returned a cookie (dtls_cookie.h), whatever the ClientHello asks
 * for: a session that it would resume is no exception, for none is resumed. A HelloVerifyRequest is shorter
 * than any ClientHello that it answers; a HelloRetryRequest at most three times as long, and shorter than any
 * with a key share. A ClientHello in fragments, which the library would not take, is put
 * together in one of 64 places that the oldest leaves, and goes on as if it had come whole.
 *
 * An endpoint is a client's address and port with at most two sessions: an open one, and one whose handshake
 * is under way. When a client comes back from the same address with nothing left of its session, the open one
 * stays in force until the new handshake is done (RFC 6347 s.4.2.8), and is then closed: what was asked in it
 * is not answered in the other (RFC 7252 s.9.1.2).
 *
 * A client of 1.3 that has a connection id of ours (dtls_ids.h) keeps its session when its address is
 * another (RFC 9146 s.6): after a record that is authentic and the newest so far, to the same listener, if
 * nobody else has that address, once a second at most. Until the owner says that the client has shown itself
 * there (dtls_endpoint_prove), what is sent to it is his to bound (dtls_endpoint_moved).
 *
 * Bounds: endpoints; handshakes under way in all, and per source address (counted in 4,096 places by a keyed
 * hash, IPv6 by /64, so that many addresses may share a place but no address escapes); 31 s for a handshake.
 * A full table makes room by closing the session that was silent longest, if for a minute at least; sessions
 * that were silent for `idle_us` are closed. One object per worker.
 */
#ifndef DATAPLANE_SECURE_DTLS_SERVER_H
#define DATAPLANE_SECURE_DTLS_SERVER_H

#include "dataplane/secure/dtls_stream.h"
#include "dataplane/timer_wheel.h"

struct dtls_server;
struct dtls_endpoint;

/* DTLS_SERVER_COUNTER(name, id) */
#define DTLS_SERVER_COUNTER_TABLE(DTLS_SERVER_COUNTER)                                                       \
    DTLS_SERVER_COUNTER(HELLOS, "client-hellos")                                                             \
    DTLS_SERVER_COUNTER(COOKIES, "cookies-asked")                                                            \
    DTLS_SERVER_COUNTER(FRAGMENTS, "hello-fragments")                                                        \
    DTLS_SERVER_COUNTER(BROKEN, "malformed-hellos")                                                          \
    DTLS_SERVER_COUNTER(VERSION, "other-version")                                                            \
    DTLS_SERVER_COUNTER(NOTHING, "nothing-in-common")                                                        \
    DTLS_SERVER_COUNTER(NOBODY, "records-of-nobody")                                                         \
    DTLS_SERVER_COUNTER(UNKNOWN_ID, "unknown-connection-ids")                                                \
    DTLS_SERVER_COUNTER(MOVED, "address-changes")                                                            \
    DTLS_SERVER_COUNTER(STAYED, "address-changes-refused")                                                   \
    DTLS_SERVER_COUNTER(BEGUN, "handshakes-begun")                                                           \
    DTLS_SERVER_COUNTER(OPENED, "sessions-opened")                                                           \
    DTLS_SERVER_COUNTER(CAME_BACK, "came-back")                                                              \
    DTLS_SERVER_COUNTER(FAILED, "handshakes-failed")                                                         \
    DTLS_SERVER_COUNTER(SILENT, "handshakes-unfinished")                                                     \
    DTLS_SERVER_COUNTER(REFUSED, "refused")                                                                  \
    DTLS_SERVER_COUNTER(CAPPED, "capped-in-all")                                                             \
    DTLS_SERVER_COUNTER(CAPPED_SOURCE, "capped-by-source")                                                   \
    DTLS_SERVER_COUNTER(FULL, "table-full")                                                                  \
    DTLS_SERVER_COUNTER(MADE_ROOM, "made-room")                                                              \
    DTLS_SERVER_COUNTER(IDLE, "closed-idle")                                                                 \
    DTLS_SERVER_COUNTER(CLOSED, "closed-by-client")                                                          \
    DTLS_SERVER_COUNTER(ERRORS, "closed-by-error")                                                           \
    DTLS_SERVER_COUNTER(UNWANTED, "closed-by-policy")

#define DTLS_SERVER_COUNTER_ENUM(name, id) DTLS_SERVER_##name,
enum dtls_server_counter { DTLS_SERVER_COUNTER_TABLE(DTLS_SERVER_COUNTER_ENUM) DTLS_SERVER_COUNTER_COUNT };
#undef DTLS_SERVER_COUNTER_ENUM

enum dtls_server_limit { DTLS_LIMIT_ALL = 0, DTLS_LIMIT_SOURCE, DTLS_LIMIT_TABLE };

struct dtls_server_handler {
    void (*send)(void *owner, uint32_t *path, const struct flow_key *key, const uint8_t *datagram, size_t n);
    /* Whether a client that has proved its address may begin a handshake. */
    bool (*admit)(void *owner, const struct flow_key *key, uint32_t listener);
    void (*opened)(void *owner, struct dtls_endpoint *endpoint);
    void (*received)(void *owner, struct dtls_endpoint *endpoint, const uint8_t *message, size_t n);
    /* The session that was open is over; the endpoint may go on with a new one. Only after `opened`. */
    void (*closed)(void *owner, struct dtls_endpoint *endpoint);
    /* An open session is about to be closed, for that reason: a sweep has found that it may not stay. May be
     * NULL: not told. */
    void (*lost)(void *owner, const struct dtls_endpoint *endpoint, const char *why);
    /* A handshake came to nothing; to be told. */
    void (*failed)(void *owner, const struct dtls_endpoint *endpoint, enum dtls_end why, const char *reason);
    /* Its session goes on from another address than `old`; `received` follows. May be NULL. */
    void (*moved)(void *owner, struct dtls_endpoint *endpoint, const struct flow_key *old);
    /* A cap was met, by a client that has proved its address. */
    void (*capped)(void *owner, const struct flow_key *key, uint32_t listener, enum dtls_server_limit limit);
    /* What the endpoint's listener takes clients with now: asked when a handshake is done that was begun
     * under an older configuration, perhaps. NULL: there is no listener any more. The pointer may be NULL:
     * not asked. */
    struct dtls_context *(*current)(void *owner, struct dtls_endpoint *endpoint);
};

struct dtls_server_config {
    uint32_t endpoints;
    uint32_t handshakes;            /* under way in all; 0: 1,024 */
    uint32_t handshakes_per_source; /* 0: 16 */
    uint64_t idle_us;               /* 0: an hour */
    uint32_t worker_index, workers; /* for connection ids; 0, 0: the only one */
    struct dtls_worker *worker;     /* borrowed */
    struct timer_wheel *timers;     /* borrowed */
    const uint64_t *now_us;         /* borrowed */
    const struct dtls_server_handler *handler;
    void *owner;
    uint8_t secret[48];
};

/* A datagram of a client. */
struct dtls_arrival {
    struct flow_key key;
    uint32_t path;
    uint32_t listener;
    bool has_mac;
    uint8_t mac[6];
    uint16_t datagram_max; /* the largest that fits the path whole */
    const uint8_t *datagram;
    size_t n;
};

struct dtls_server *dtls_server_create(const struct dtls_server_config *config);
/* Sessions end without a word to the owner. NULL is ignored. */
void dtls_server_destroy(struct dtls_server *server);
/* `context`: what the listener takes clients with. */
void dtls_server_input(struct dtls_server *server, struct dtls_context *context,
                       const struct dtls_arrival *arrival);
/*
 * After a reload: looks at up to `budget` endpoints, continuing where the last call ended, and closes
 * sessions that may not stay; `context_of` answers what the endpoint's listener takes clients with now, or
 * NULL. True when all have been seen.
 */
bool dtls_server_sweep(struct dtls_server *server, uint32_t budget,
                       struct dtls_context *(*context_of)(void *owner, struct dtls_endpoint *endpoint));
/* Closes all sessions; the owner is told. */
void dtls_server_close_all(struct dtls_server *server);

/* One message; false when the endpoint has no open session or the message is too large. */
bool dtls_endpoint_write(struct dtls_endpoint *endpoint, const uint8_t *message, size_t n);
/* Ends the open session with a goodbye, because its client has lost its rights; the owner is told. May be
 * called from within a handler. */
void dtls_endpoint_close(struct dtls_endpoint *endpoint);
const struct flow_key *dtls_endpoint_key(const struct dtls_endpoint *endpoint);
/* It has come to its address (the port apart) with its session, and has not shown that it is there. */
bool dtls_endpoint_moved(const struct dtls_endpoint *endpoint);
void dtls_endpoint_prove(struct dtls_endpoint *endpoint);
/* Path, listener and MAC as of the last datagram. */
uint32_t dtls_endpoint_path(const struct dtls_endpoint *endpoint);
uint32_t dtls_endpoint_listener(const struct dtls_endpoint *endpoint);
/* Its listener has another number now. */
void dtls_endpoint_set_listener(struct dtls_endpoint *endpoint, uint32_t listener);
const uint8_t *dtls_endpoint_mac(const struct dtls_endpoint *endpoint); /* NULL: not known */
/* Of the open session, borrowed from it; NULL: there is none. */
const struct tls_peer *dtls_endpoint_peer(const struct dtls_endpoint *endpoint);
/* Why it was let in without its client's status (dtls_session_unchecked). */
const char *dtls_endpoint_unchecked(const struct dtls_endpoint *endpoint);
const char *dtls_endpoint_cipher(const struct dtls_endpoint *endpoint);

uint32_t dtls_server_endpoints(const struct dtls_server *server);
uint32_t dtls_server_handshakes(const struct dtls_server *server);
uint64_t dtls_server_counter(const struct dtls_server *server, enum dtls_server_counter counter);
const char *dtls_server_counter_id(enum dtls_server_counter counter);
size_t dtls_endpoint_bytes(void);

#endif
