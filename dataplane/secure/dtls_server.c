/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/dtls_server.h"

#include "dataplane/flow_table.h"
#include "dataplane/secure/dtls_reassembly.h"
#include "dataplane/secure/dtls_record.h"
#include "dataplane/siphash.h"
#include "dataplane/slab.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define HANDSHAKES 1024
#define HANDSHAKES_PER_SOURCE 16
#define IDLE_US UINT64_C(3600000000)
#define ROOM_AFTER_US UINT64_C(60000000)
#define HOUSEKEEPING_US UINT64_C(1000000)
#define CLOSE_BUDGET 256
#define SOURCE_PLACES 4096

enum { SEAT_NONE = -1 };

/* One of the two sessions of an endpoint: its owner, as the session knows it. */
struct seat {
    struct dtls_endpoint *endpoint;
    struct dtls_session *session; /* NULL: empty */
    struct timer timer;
    uint8_t random[DTLS_RANDOM_BYTES]; /* of the ClientHello */
};

struct dtls_endpoint {
    struct dtls_server *server;
    struct flow_key key;
    uint32_t path;
    uint32_t listener;
    uint8_t mac[6];
    bool has_mac;
    int8_t open;   /* the seat whose session is open, or SEAT_NONE */
    int8_t coming; /* the one whose handshake is under way, or SEAT_NONE */
    uint64_t heard_us;
    TAILQ_ENTRY(dtls_endpoint) by_silence;
    struct seat seats[2];
};

struct dtls_server {
    struct dtls_server_config config;
    struct slab *endpoints;
    struct flow_table *by_key;
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

static void count(struct dtls_server *s, enum dtls_server_counter counter)
{
    s->counters[counter]++;
}

static uint64_t now_of(const struct dtls_server *s)
{
    return *s->config.now_us;
}

static uint16_t *source_place(struct dtls_server *s, const struct flow_key *key)
{
    /* An IPv6 source has a /64 at its disposal. */
    size_t n = ip_address_is_v4(&key->remote) ? sizeof(key->remote.bytes) : 8;
    return &s->of_source[siphash_1_3(s->source_key, key->remote.bytes, n) % SOURCE_PLACES];
}

/* ---- seats -----------------------------------------------------------------------------------------------
 */

static void arm(struct seat *seat)
{
    struct timer_wheel *timers = seat->endpoint->server->config.timers;
    uint64_t due_us = seat->session == NULL ? UINT64_MAX : dtls_session_due_us(seat->session);
    if (due_us == UINT64_MAX)
        timer_stop(timers, &seat->timer);
    else
        timer_start(timers, &seat->timer, due_us);
}

/* The handshake is not under way any more, however it ended. */
static void arrived(struct dtls_endpoint *e)
{
    struct dtls_server *s = e->server;
    e->coming = SEAT_NONE;
    s->handshakes--;
    (*source_place(s, &e->key))--;
}

/* Empties a seat; `polite` says goodbye. */
static void leave_seat(struct dtls_endpoint *e, int8_t index, bool polite)
{
    struct seat *seat = &e->seats[index];
    struct dtls_session *session = seat->session;
    seat->session = NULL;
    timer_stop(e->server->config.timers, &seat->timer);
    if (index == e->coming)
        arrived(e);
    bool was_open = index == e->open;
    if (was_open)
        e->open = SEAT_NONE;
    if (polite)
        dtls_session_close(session);
    else
        dtls_session_drop(session);
    if (was_open)
        e->server->config.handler->closed(e->server->config.owner, e);
}

static void endpoint_free(struct dtls_endpoint *e)
{
    struct dtls_server *s = e->server;
    if (e->coming != SEAT_NONE)
        leave_seat(e, e->coming, false);
    if (e->open != SEAT_NONE)
        leave_seat(e, e->open, true);
    flow_table_remove(s->by_key, &e->key, flow_table_hash(s->by_key, &e->key));
    TAILQ_REMOVE(&s->silent, e, by_silence);
    slab_free(s->endpoints, e);
}

static void free_if_empty(struct dtls_endpoint *e)
{
    if (e->open == SEAT_NONE && e->coming == SEAT_NONE)
        endpoint_free(e);
}

static void heard(struct dtls_endpoint *e)
{
    struct dtls_server *s = e->server;
    e->heard_us = now_of(s);
    TAILQ_REMOVE(&s->silent, e, by_silence);
    TAILQ_INSERT_TAIL(&s->silent, e, by_silence);
}

/* ---- how sessions call -----------------------------------------------------------------------------------
 */

static int8_t index_of(const struct seat *seat)
{
    return (int8_t)(seat - seat->endpoint->seats);
}

static void on_send(void *owner, const uint8_t *datagram, size_t n)
{
    struct dtls_endpoint *e = ((struct seat *)owner)->endpoint;
    e->server->config.handler->send(e->server->config.owner, &e->path, &e->key, datagram, n);
}

static void on_opened(void *owner)
{
    struct seat *seat = owner;
    struct dtls_endpoint *e = seat->endpoint;
    struct dtls_server *s = e->server;
    if (s->config.handler->current != NULL &&
        dtls_context_refuses(s->config.handler->current(s->config.owner, e), seat->session) != NULL) {
        count(s, DTLS_SERVER_UNWANTED);
        leave_seat(e, e->coming, true);
        free_if_empty(e);
        return;
    }
    arrived(e);
    if (e->open != SEAT_NONE) {
        count(s, DTLS_SERVER_CAME_BACK);
        leave_seat(e, e->open, false); /* the client has nothing left of it */
    }
    e->open = index_of(seat);
    count(s, DTLS_SERVER_OPENED);
    heard(e);
    s->config.handler->opened(s->config.owner, e);
}

static void on_received(void *owner, const uint8_t *message, size_t n)
{
    struct dtls_endpoint *e = ((struct seat *)owner)->endpoint;
    heard(e);
    e->server->config.handler->received(e->server->config.owner, e, message, n);
}

static void on_closed(void *owner, enum dtls_end why, const char *reason)
{
    struct seat *seat = owner;
    struct dtls_endpoint *e = seat->endpoint;
    struct dtls_server *s = e->server;
    if (index_of(seat) == e->coming) {
        count(s, why == DTLS_END_SILENT ? DTLS_SERVER_SILENT : DTLS_SERVER_FAILED);
        s->config.handler->failed(s->config.owner, e, why, reason);
    } else {
        count(s, why == DTLS_END_PEER ? DTLS_SERVER_CLOSED : DTLS_SERVER_ERRORS);
    }
    leave_seat(e, index_of(seat), true);
    free_if_empty(e);
}

static void on_armed(void *owner)
{
    arm(owner);
}

static const struct dtls_handler session_handler = {
    .send = on_send, .opened = on_opened, .received = on_received, .closed = on_closed, .armed = on_armed};

static void on_seat_timer(struct timer *timer, uint64_t now_us)
{
    struct seat *seat = (struct seat *)(void *)((char *)timer - offsetof(struct seat, timer));
    struct dtls_server *s = seat->endpoint->server;
    struct slab_handle handle = slab_handle_of(s->endpoints, seat->endpoint);
    if (seat->session == NULL)
        return;
    dtls_session_fire(seat->session, now_us);
    if (slab_resolve(s->endpoints, handle) != NULL)
        arm(seat);
}

/* ---- who may begin ---------------------------------------------------------------------------------------
 */

static bool make_room(struct dtls_server *s)
{
    struct dtls_endpoint *oldest = TAILQ_FIRST(&s->silent);
    if (slab_used(s->endpoints) < slab_capacity(s->endpoints))
        return true;
    if (oldest == NULL || oldest->heard_us + ROOM_AFTER_US > now_of(s))
        return false;
    count(s, DTLS_SERVER_MADE_ROOM);
    endpoint_free(oldest);
    return true;
}

static bool within_caps(struct dtls_server *s, const struct dtls_arrival *arrival, bool known)
{
    const struct dtls_server_handler *handler = s->config.handler;
    enum dtls_server_limit limit = DTLS_LIMIT_ALL;
    if (s->handshakes >= s->config.handshakes) {
        count(s, DTLS_SERVER_CAPPED);
    } else if (*source_place(s, &arrival->key) >= s->config.handshakes_per_source) {
        count(s, DTLS_SERVER_CAPPED_SOURCE);
        limit = DTLS_LIMIT_SOURCE;
    } else if (!known && !make_room(s)) {
        count(s, DTLS_SERVER_FULL);
        limit = DTLS_LIMIT_TABLE;
    } else if (!handler->admit(s->config.owner, &arrival->key, arrival->listener)) {
        count(s, DTLS_SERVER_REFUSED);
        return false;
    } else {
        return true;
    }
    handler->capped(s->config.owner, &arrival->key, arrival->listener, limit);
    return false;
}

static struct dtls_endpoint *endpoint_new(struct dtls_server *s, const struct dtls_arrival *arrival)
{
    struct dtls_endpoint *e = slab_alloc(s->endpoints);
    if (e == NULL)
        return NULL;
    e->server = s;
    e->key = arrival->key;
    e->open = e->coming = SEAT_NONE;
    e->heard_us = now_of(s);
    for (int i = 0; i < 2; i++) {
        e->seats[i].endpoint = e;
        e->seats[i].timer.fire = on_seat_timer;
    }
    if (flow_table_insert(s->by_key, &e->key, flow_table_hash(s->by_key, &e->key),
                          slab_handle_of(s->endpoints, e).index) != 0) {
        slab_free(s->endpoints, e);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&s->silent, e, by_silence);
    return e;
}

/* The place that the client's last datagram came from. */
static void note_place(struct dtls_endpoint *e, const struct dtls_arrival *arrival)
{
    e->path = arrival->path;
    e->listener = arrival->listener;
    e->has_mac = arrival->has_mac;
    memcpy(e->mac, arrival->mac, sizeof(e->mac));
}

static void feed(struct dtls_endpoint *e, int8_t index, const uint8_t *datagram, size_t n)
{
    struct dtls_server *s = e->server;
    struct slab_handle handle = slab_handle_of(s->endpoints, e);
    dtls_session_input(e->seats[index].session, datagram, n, now_of(s));
    if (slab_resolve(s->endpoints, handle) != NULL)
        arm(&e->seats[index]);
}

/* A ClientHello with a cookie of ours. */
static void begin(struct dtls_server *s, struct dtls_context *context, const struct dtls_arrival *arrival,
                  struct dtls_endpoint *e, const struct dtls_hello *hello, const uint8_t *secret)
{
    uint8_t peer[DTLS_PEER_BYTES];
    if (e != NULL && e->coming != SEAT_NONE) {
        if (memcmp(e->seats[e->coming].random, hello->random, DTLS_RANDOM_BYTES) == 0) {
            note_place(e, arrival);
            feed(e, e->coming, arrival->datagram, arrival->n); /* it repeats itself */
            return;
        }
        leave_seat(e, e->coming, false); /* it has begun anew */
    }
    /* An old ClientHello that was late, or is played back, within the life of its cookie. */
    if (e != NULL && e->open != SEAT_NONE &&
        memcmp(e->seats[e->open].random, hello->random, DTLS_RANDOM_BYTES) == 0)
        return;
    if (within_caps(s, arrival, e != NULL)) {
        if (e == NULL)
            e = endpoint_new(s, arrival);
        if (e == NULL)
            return;
        note_place(e, arrival);
        struct seat *seat = &e->seats[e->open == 0 ? 1 : 0];
        dtls_peer_bytes(&e->key, peer);
        seat->session = dtls_accept(s->config.worker, context, &e->key.remote, peer, secret,
                                    arrival->datagram_max, &session_handler, seat);
        if (seat->session != NULL) {
            memcpy(seat->random, hello->random, DTLS_RANDOM_BYTES);
            e->coming = index_of(seat);
            s->handshakes++;
            (*source_place(s, &e->key))++;
            count(s, DTLS_SERVER_BEGUN);
            feed(e, e->coming, arrival->datagram, arrival->n);
            return;
        }
    }
    if (e != NULL)
        free_if_empty(e);
}

static void take_hello(struct dtls_server *s, struct dtls_context *context,
                       const struct dtls_arrival *arrival, struct dtls_endpoint *e,
                       const struct dtls_hello *hello)
{
    uint8_t answer[DTLS_HELLO_VERIFY_BYTES];
    uint8_t cookie[DTLS_COOKIE_BYTES];
    uint32_t path = arrival->path;
    count(s, DTLS_SERVER_HELLOS);
    const uint8_t *secret = dtls_cookie_check(&s->cookies, &arrival->key, hello, now_of(s));
    if (secret != NULL) {
        begin(s, context, arrival, e, hello, secret);
        return;
    }
    if (!dtls_cookie_make(&s->cookies, &arrival->key, hello, now_of(s), cookie))
        return;
    dtls_hello_verify(hello, cookie, answer);
    count(s, DTLS_SERVER_COOKIES);
    s->config.handler->send(s->config.owner, &path, &arrival->key, answer, sizeof(answer));
}

static void take_fragment(struct dtls_server *s, struct dtls_context *context,
                          const struct dtls_arrival *arrival, struct dtls_endpoint *e)
{
    struct dtls_hello hello;
    struct dtls_arrival whole = *arrival;
    count(s, DTLS_SERVER_FRAGMENTS);
    whole.datagram =
        dtls_reassembly_add(s->fragments, &arrival->key, arrival->datagram, arrival->n, now_of(s), &whole.n);
    if (whole.datagram == NULL)
        return;
    if (dtls_hello_parse(whole.datagram, whole.n, &hello) == DTLS_HELLO_WHOLE)
        take_hello(s, context, &whole, e, &hello);
    else
        count(s, DTLS_SERVER_BROKEN);
}

void dtls_server_input(struct dtls_server *s, struct dtls_context *context,
                       const struct dtls_arrival *arrival)
{
    struct dtls_hello hello;
    uint32_t records;
    uint32_t index = flow_table_find(s->by_key, &arrival->key, flow_table_hash(s->by_key, &arrival->key));
    struct dtls_endpoint *e = index == FLOW_TABLE_NONE ? NULL : slab_at(s->endpoints, index);
    switch (dtls_hello_parse(arrival->datagram, arrival->n, &hello)) {
    case DTLS_HELLO_WHOLE:
        take_hello(s, context, arrival, e, &hello);
        return;
    case DTLS_HELLO_PART:
        take_fragment(s, context, arrival, e);
        return;
    case DTLS_HELLO_BROKEN:
        count(s, DTLS_SERVER_BROKEN);
        return;
    case DTLS_HELLO_NONE:
        break;
    }
    if (e == NULL) {
        count(s, DTLS_SERVER_NOBODY);
        return;
    }
    note_place(e, arrival);
    /* With two sessions, what is protected and no handshake is the open one's; each drops what it cannot
     * read.
     */
    if (e->coming == SEAT_NONE ||
        (e->open != SEAT_NONE &&
         dtls_datagram_judge(arrival->datagram, arrival->n, true, &records) == DTLS_DATAGRAM_GOOD))
        feed(e, e->open, arrival->datagram, arrival->n);
    else
        feed(e, e->coming, arrival->datagram, arrival->n);
}

/* ---- time and policy -------------------------------------------------------------------------------------
 */

static void on_housekeeping(struct timer *timer, uint64_t now_us)
{
    struct dtls_server *s =
        (struct dtls_server *)(void *)((char *)timer - offsetof(struct dtls_server, housekeeping));
    struct dtls_endpoint *e;
    for (int i = 0; i < CLOSE_BUDGET && (e = TAILQ_FIRST(&s->silent)) != NULL; i++) {
        if (e->heard_us + s->config.idle_us > now_us)
            break;
        count(s, DTLS_SERVER_IDLE);
        endpoint_free(e);
    }
    timer_start(s->config.timers, timer, now_us + HOUSEKEEPING_US);
}

bool dtls_server_sweep(struct dtls_server *s, uint32_t budget,
                       struct dtls_context *(*context_of)(void *owner, struct dtls_endpoint *endpoint))
{
    struct dtls_endpoint *e;
    while (budget > 0 && (e = slab_next(s->endpoints, &s->sweep_at)) != NULL) {
        struct dtls_context *context = context_of(s->config.owner, e);
        budget--;
        if (e->coming != SEAT_NONE && context == NULL)
            leave_seat(e, e->coming, false);
        const char *why =
            e->open == SEAT_NONE ? NULL : dtls_context_refuses(context, e->seats[e->open].session);
        if (why != NULL) {
            count(s, DTLS_SERVER_UNWANTED);
            if (context != NULL && s->config.handler->lost != NULL)
                s->config.handler->lost(s->config.owner, e, why);
            leave_seat(e, e->open, true);
        }
        free_if_empty(e);
    }
    if (budget == 0)
        return false;
    s->sweep_at = 0;
    return true;
}

void dtls_server_close_all(struct dtls_server *s)
{
    struct dtls_endpoint *e;
    while ((e = TAILQ_FIRST(&s->silent)) != NULL)
        endpoint_free(e);
}

/* ---- birth and death -------------------------------------------------------------------------------------
 */

struct dtls_server *dtls_server_create(const struct dtls_server_config *config)
{
    struct dtls_server *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    s->config = *config;
    if (s->config.handshakes == 0)
        s->config.handshakes = HANDSHAKES;
    if (s->config.handshakes_per_source == 0)
        s->config.handshakes_per_source = HANDSHAKES_PER_SOURCE;
    if (s->config.idle_us == 0)
        s->config.idle_us = IDLE_US;
    TAILQ_INIT(&s->silent);
    s->housekeeping.fire = on_housekeeping;
    s->source_key = siphash_key_of(config->secret + DTLS_SECRET_BYTES);
    dtls_cookies_init(&s->cookies, config->secret, *config->now_us);
    s->endpoints = slab_create(config->endpoints, sizeof(struct dtls_endpoint));
    s->by_key = flow_table_create(config->endpoints, config->secret + DTLS_SECRET_BYTES);
    s->fragments = dtls_reassembly_create();
    if (s->endpoints == NULL || s->by_key == NULL || s->fragments == NULL) {
        dtls_server_destroy(s);
        return NULL;
    }
    timer_start(config->timers, &s->housekeeping, *config->now_us + HOUSEKEEPING_US);
    return s;
}

static void nobody_hears(void *owner, struct dtls_endpoint *endpoint)
{
    (void)owner;
    (void)endpoint;
}

void dtls_server_destroy(struct dtls_server *s)
{
    if (s == NULL)
        return;
    struct dtls_server_handler deaf = *s->config.handler;
    deaf.closed = nobody_hears;
    s->config.handler = &deaf;
    dtls_server_close_all(s);
    timer_stop(s->config.timers, &s->housekeeping);
    dtls_reassembly_destroy(s->fragments);
    if (s->by_key != NULL)
        flow_table_destroy(s->by_key);
    if (s->endpoints != NULL)
        slab_destroy(s->endpoints);
    explicit_bzero(s, sizeof(*s));
    free(s);
}

/* ---- what the owner asks ---------------------------------------------------------------------------------
 */

bool dtls_endpoint_write(struct dtls_endpoint *e, const uint8_t *message, size_t n)
{
    return e->open != SEAT_NONE && dtls_session_write(e->seats[e->open].session, message, n);
}

void dtls_endpoint_close(struct dtls_endpoint *e)
{
    if (e->open == SEAT_NONE)
        return;
    count(e->server, DTLS_SERVER_UNWANTED);
    leave_seat(e, e->open, true);
    free_if_empty(e);
}

const struct flow_key *dtls_endpoint_key(const struct dtls_endpoint *e)
{
    return &e->key;
}

uint32_t dtls_endpoint_path(const struct dtls_endpoint *e)
{
    return e->path;
}

uint32_t dtls_endpoint_listener(const struct dtls_endpoint *e)
{
    return e->listener;
}

void dtls_endpoint_set_listener(struct dtls_endpoint *e, uint32_t listener)
{
    e->listener = listener;
}

const uint8_t *dtls_endpoint_mac(const struct dtls_endpoint *e)
{
    return e->has_mac ? e->mac : NULL;
}

const struct tls_peer *dtls_endpoint_peer(const struct dtls_endpoint *e)
{
    return e->open == SEAT_NONE ? NULL : dtls_session_peer(e->seats[e->open].session);
}

const char *dtls_endpoint_unchecked(const struct dtls_endpoint *e)
{
    return e->open == SEAT_NONE ? NULL : dtls_session_unchecked(e->seats[e->open].session);
}

const char *dtls_endpoint_cipher(const struct dtls_endpoint *e)
{
    return e->open == SEAT_NONE ? "" : dtls_session_cipher(e->seats[e->open].session);
}

uint32_t dtls_server_endpoints(const struct dtls_server *s)
{
    return slab_used(s->endpoints);
}

uint32_t dtls_server_handshakes(const struct dtls_server *s)
{
    return s->handshakes;
}

uint64_t dtls_server_counter(const struct dtls_server *s, enum dtls_server_counter counter)
{
    return s->counters[counter];
}

const char *dtls_server_counter_id(enum dtls_server_counter counter)
{
#define DTLS_SERVER_COUNTER_ID(name, id) id,
    static const char *const ids[DTLS_SERVER_COUNTER_COUNT] = {
        DTLS_SERVER_COUNTER_TABLE(DTLS_SERVER_COUNTER_ID)};
#undef DTLS_SERVER_COUNTER_ID
    return ids[counter];
}

size_t dtls_endpoint_bytes(void)
{
    return sizeof(struct dtls_endpoint);
}
