/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dataplane/secure/dtls13_record.h"
#include "dataplane/secure/dtls_record.h"
#include "dataplane/secure/dtls_server_private.h"

#include <stdlib.h>
#include <string.h>

#define HANDSHAKES 1024
#define HANDSHAKES_PER_SOURCE 16
#define IDLE_US UINT64_C(3600000000)
#define HOUSEKEEPING_US UINT64_C(1000000)
#define CLOSE_BUDGET 256

uint16_t *dtls_source_place(struct dtls_server *s, const struct flow_key *key)
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
    (*dtls_source_place(s, &e->key))--;
}

void dtls_seat_leave(struct dtls_endpoint *e, int8_t index, bool polite)
{
    struct seat *seat = &e->seats[index];
    struct dtls_session *session = seat->session;
    seat->session = NULL;
    if (seat->has_id)
        dtls_ids_drop(e->server->ids, seat->id);
    seat->has_id = false;
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

void dtls_endpoint_free(struct dtls_endpoint *e)
{
    struct dtls_server *s = e->server;
    if (e->coming != SEAT_NONE)
        dtls_seat_leave(e, e->coming, false);
    if (e->open != SEAT_NONE)
        dtls_seat_leave(e, e->open, true);
    flow_table_remove(s->by_key, &e->key, flow_table_hash(s->by_key, &e->key));
    TAILQ_REMOVE(&s->silent, e, by_silence);
    slab_free(s->endpoints, e);
}

void dtls_endpoint_free_if_empty(struct dtls_endpoint *e)
{
    if (e->open == SEAT_NONE && e->coming == SEAT_NONE)
        dtls_endpoint_free(e);
}

static void heard(struct dtls_endpoint *e)
{
    struct dtls_server *s = e->server;
    e->heard_us = dtls_server_now(s);
    TAILQ_REMOVE(&s->silent, e, by_silence);
    TAILQ_INSERT_TAIL(&s->silent, e, by_silence);
}

/* ---- how sessions call -----------------------------------------------------------------------------------
 */

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
        dtls_server_count(s, DTLS_SERVER_UNWANTED);
        dtls_seat_leave(e, e->coming, true);
        dtls_endpoint_free_if_empty(e);
        return;
    }
    arrived(e);
    if (e->open != SEAT_NONE) {
        dtls_server_count(s, DTLS_SERVER_CAME_BACK);
        dtls_seat_leave(e, e->open, false); /* the client has nothing left of it */
    }
    e->open = dtls_seat_index(seat);
    dtls_server_count(s, DTLS_SERVER_OPENED);
    heard(e);
    s->config.handler->opened(s->config.owner, e);
}

static void on_received(void *owner, const uint8_t *message, size_t n)
{
    struct dtls_endpoint *e = ((struct seat *)owner)->endpoint;
    heard(e);
    dtls_move(e);
    e->server->config.handler->received(e->server->config.owner, e, message, n);
}

static void on_closed(void *owner, enum dtls_end why, const char *reason)
{
    struct seat *seat = owner;
    struct dtls_endpoint *e = seat->endpoint;
    struct dtls_server *s = e->server;
    if (dtls_seat_index(seat) == e->coming) {
        dtls_server_count(s, why == DTLS_END_SILENT ? DTLS_SERVER_SILENT : DTLS_SERVER_FAILED);
        s->config.handler->failed(s->config.owner, e, why, reason);
    } else {
        dtls_server_count(s, why == DTLS_END_PEER ? DTLS_SERVER_CLOSED : DTLS_SERVER_ERRORS);
    }
    dtls_seat_leave(e, dtls_seat_index(seat), true);
    dtls_endpoint_free_if_empty(e);
}

static void on_armed(void *owner)
{
    arm(owner);
}

const struct dtls_handler dtls_seat_handler = {
    .send = on_send, .opened = on_opened, .received = on_received, .closed = on_closed, .armed = on_armed};

void dtls_seat_on_timer(struct timer *timer, uint64_t now_us)
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

/* ---- datagrams -------------------------------------------------------------------------------------------
 */

void dtls_endpoint_note(struct dtls_endpoint *e, const struct dtls_arrival *arrival)
{
    e->path = arrival->path;
    e->listener = arrival->listener;
    e->has_mac = arrival->has_mac;
    memcpy(e->mac, arrival->mac, sizeof(e->mac));
}

void dtls_seat_feed(struct dtls_endpoint *e, int8_t index, const uint8_t *datagram, size_t n)
{
    struct dtls_server *s = e->server;
    struct slab_handle handle = slab_handle_of(s->endpoints, e);
    dtls_session_input(e->seats[index].session, datagram, n, dtls_server_now(s));
    if (slab_resolve(s->endpoints, handle) != NULL)
        arm(&e->seats[index]);
}

/* With two sessions, what is protected and no handshake is the open one's; each drops what it cannot read. */
static int8_t seat_for(const struct dtls_endpoint *e, const uint8_t *datagram, size_t n)
{
    uint32_t records;
    if (e->coming == SEAT_NONE || e->open == SEAT_NONE)
        return e->open != SEAT_NONE ? e->open : e->coming;
    if (dtls13_is_protected(datagram, n))
        return dtls13_is_handshake(datagram, n) ? e->coming : e->open;
    return dtls_datagram_judge(datagram, n, true, &records) == DTLS_DATAGRAM_GOOD ? e->open : e->coming;
}

void dtls_server_input(struct dtls_server *s, struct dtls_context *context,
                       const struct dtls_arrival *arrival)
{
    struct dtls_hello hello;
    const uint8_t *id = dtls13_connection_id(arrival->datagram, arrival->n, DTLS_ID_BYTES);
    if (id != NULL) {
        dtls_take_by_id(s, arrival, id);
        return;
    }
    uint32_t index = flow_table_find(s->by_key, &arrival->key, flow_table_hash(s->by_key, &arrival->key));
    struct dtls_endpoint *e = index == FLOW_TABLE_NONE ? NULL : slab_at(s->endpoints, index);
    switch (dtls_hello_parse(arrival->datagram, arrival->n, &hello)) {
    case DTLS_HELLO_WHOLE:
        dtls_gate_hello(s, context, arrival, e, &hello);
        return;
    case DTLS_HELLO_PART:
        dtls_gate_fragment(s, context, arrival, e);
        return;
    case DTLS_HELLO_BROKEN:
        dtls_server_count(s, DTLS_SERVER_BROKEN);
        return;
    case DTLS_HELLO_NONE:
        break;
    }
    if (e == NULL) {
        dtls_server_count(s, DTLS_SERVER_NOBODY);
        return;
    }
    dtls_endpoint_note(e, arrival);
    dtls_seat_feed(e, seat_for(e, arrival->datagram, arrival->n), arrival->datagram, arrival->n);
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
        dtls_server_count(s, DTLS_SERVER_IDLE);
        dtls_endpoint_free(e);
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
            dtls_seat_leave(e, e->coming, false);
        const char *why =
            e->open == SEAT_NONE ? NULL : dtls_context_refuses(context, e->seats[e->open].session);
        if (why != NULL) {
            dtls_server_count(s, DTLS_SERVER_UNWANTED);
            if (context != NULL && s->config.handler->lost != NULL)
                s->config.handler->lost(s->config.owner, e, why);
            dtls_seat_leave(e, e->open, true);
        }
        dtls_endpoint_free_if_empty(e);
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
        dtls_endpoint_free(e);
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
    s->ids = dtls_ids_create(2 * config->endpoints, config->worker_index, config->workers);
    if (s->ids == NULL || s->endpoints == NULL || s->by_key == NULL || s->fragments == NULL) {
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
    dtls_ids_destroy(s->ids);
    if (s->by_key != NULL)
        flow_table_destroy(s->by_key);
    if (s->endpoints != NULL)
        slab_destroy(s->endpoints);
    explicit_bzero(s, sizeof(*s));
    free(s);
}
