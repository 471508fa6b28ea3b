/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may begin a handshake: cookies, fragments of a ClientHello, caps (B2, E4). */
#include "dataplane/secure/dtls13_hello.h"
#include "dataplane/secure/dtls_server_private.h"

#include <string.h>

#define ROOM_AFTER_US UINT64_C(60000000)
/* A HelloRetryRequest is shorter than a ClientHello with a share, and never longer than this many. */
#define GAIN_MAX 3

static bool make_room(struct dtls_server *s)
{
    struct dtls_endpoint *oldest = TAILQ_FIRST(&s->silent);
    if (slab_used(s->endpoints) < slab_capacity(s->endpoints))
        return true;
    if (oldest == NULL || oldest->heard_us + ROOM_AFTER_US > dtls_server_now(s))
        return false;
    dtls_server_count(s, DTLS_SERVER_MADE_ROOM);
    dtls_endpoint_free(oldest);
    return true;
}

static bool within_caps(struct dtls_server *s, const struct dtls_arrival *arrival, bool known)
{
    const struct dtls_server_handler *handler = s->config.handler;
    enum dtls_server_limit limit = DTLS_LIMIT_ALL;
    if (s->handshakes >= s->config.handshakes) {
        dtls_server_count(s, DTLS_SERVER_CAPPED);
    } else if (*dtls_source_place(s, &arrival->key) >= s->config.handshakes_per_source) {
        dtls_server_count(s, DTLS_SERVER_CAPPED_SOURCE);
        limit = DTLS_LIMIT_SOURCE;
    } else if (!known && !make_room(s)) {
        dtls_server_count(s, DTLS_SERVER_FULL);
        limit = DTLS_LIMIT_TABLE;
    } else if (!handler->admit(s->config.owner, &arrival->key, arrival->listener)) {
        dtls_server_count(s, DTLS_SERVER_REFUSED);
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
    e->heard_us = dtls_server_now(s);
    for (int i = 0; i < 2; i++) {
        e->seats[i].endpoint = e;
        e->seats[i].timer.fire = dtls_seat_on_timer;
    }
    if (flow_table_insert(s->by_key, &e->key, flow_table_hash(s->by_key, &e->key),
                          slab_handle_of(s->endpoints, e).index) != 0) {
        slab_free(s->endpoints, e);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&s->silent, e, by_silence);
    return e;
}

/* What the client may call its session by. */
static void give_id(const struct dtls_context *context, struct seat *seat, struct dtls_birth *birth)
{
    struct dtls_server *s = seat->endpoint->server;
    uint32_t index = slab_handle_of(s->endpoints, seat->endpoint).index;
    if (birth->suite == 0 || !dtls_context_gives_ids(context))
        return;
    seat->has_id = birth->has_id =
        dtls_ids_give(s->ids, 2 * index + (dtls_seat_index(seat) == 0 ? 0u : 1u), seat->id);
    memcpy(birth->id, seat->id, sizeof(birth->id));
}

/* A ClientHello with a cookie of ours. */
static void begin(struct dtls_server *s, struct dtls_context *context, const struct dtls_arrival *arrival,
                  struct dtls_endpoint *e, const struct dtls_hello *hello, const uint8_t *secret,
                  uint16_t suite)
{
    if (e != NULL && e->coming != SEAT_NONE) {
        if (memcmp(e->seats[e->coming].random, hello->random, DTLS_RANDOM_BYTES) == 0) {
            dtls_endpoint_note(e, arrival);
            dtls_seat_feed(e, e->coming, arrival->datagram, arrival->n); /* it repeats itself */
            return;
        }
        dtls_seat_leave(e, e->coming, false); /* it has begun anew */
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
        dtls_endpoint_note(e, arrival);
        struct seat *seat = &e->seats[e->open == 0 ? 1 : 0];
        struct dtls_birth birth = {.suite = suite};
        dtls_peer_bytes(&e->key, birth.peer);
        memcpy(birth.secret, secret, sizeof(birth.secret));
        give_id(context, seat, &birth);
        seat->session = dtls_accept(s->config.worker, context, &e->key.remote, &birth, arrival->datagram_max,
                                    &dtls_seat_handler, seat);
        explicit_bzero(&birth, sizeof(birth));
        if (seat->session == NULL && seat->has_id) {
            dtls_ids_drop(s->ids, seat->id);
            seat->has_id = false;
        }
        if (seat->session != NULL) {
            memcpy(seat->random, hello->random, DTLS_RANDOM_BYTES);
            e->coming = dtls_seat_index(seat);
            s->handshakes++;
            (*dtls_source_place(s, &e->key))++;
            dtls_server_count(s, DTLS_SERVER_BEGUN);
            dtls_seat_feed(e, e->coming, arrival->datagram, arrival->n);
            return;
        }
    }
    if (e != NULL)
        dtls_endpoint_free_if_empty(e);
}

static void answer(struct dtls_server *s, const struct dtls_arrival *arrival, const uint8_t *at, size_t n)
{
    uint32_t path = arrival->path;
    s->config.handler->send(s->config.owner, &path, &arrival->key, at, n);
}

/* It cannot come to a session: the client is told, in less than it has said. */
static void refuse(struct dtls_server *s, const struct dtls_arrival *arrival, const struct dtls_hello *hello,
                   enum dtls_server_counter why, uint8_t alert)
{
    uint8_t at[DTLS_ALERT_BYTES];
    dtls_server_count(s, why);
    dtls_alert(hello, alert, at);
    answer(s, arrival, at, sizeof(at));
}

static void take_1_2(struct dtls_server *s, struct dtls_context *context, const struct dtls_arrival *arrival,
                     struct dtls_endpoint *e, const struct dtls_hello *hello)
{
    uint8_t verify[DTLS_HELLO_VERIFY_BYTES];
    uint8_t cookie[DTLS_COOKIE_BYTES];
    const uint8_t *secret = dtls_cookie_check(&s->cookies, &arrival->key, hello, dtls_server_now(s));
    if (secret != NULL) {
        begin(s, context, arrival, e, hello, secret, 0);
        return;
    }
    if (!dtls_cookie_make(&s->cookies, &arrival->key, hello, dtls_server_now(s), cookie))
        return;
    dtls_hello_verify(hello, cookie, verify);
    dtls_server_count(s, DTLS_SERVER_COOKIES);
    answer(s, arrival, verify, sizeof(verify));
}

/* The ClientHello alone, as it lies in the datagram: what stands behind it there has not been looked at.
 * Empty when something stands behind it in its record. */
static struct dtls_slice alone(const struct dtls_hello *hello)
{
    const uint8_t *end = hello->body.at + hello->body.n;
    size_t contents = (size_t)(hello->record[11] << 8 | hello->record[12]);
    bool whole = end == hello->record + DTLS_RECORD_HEADER_BYTES + contents;
    return (struct dtls_slice){.at = hello->record, .n = whole ? (size_t)(end - hello->record) : 0};
}

/* A second ClientHello that still lacks the share it was asked for would be asked again without end. */
static void take_1_3(struct dtls_server *s, struct dtls_context *context, const struct dtls_arrival *arrival,
                     struct dtls_endpoint *e, const struct dtls_hello *hello,
                     const struct dtls13_offer *offer)
{
    uint8_t retry[DTLS13_RETRY_MAX];
    const uint8_t *secret = dtls13_cookie_check(&s->cookies, &arrival->key, offer, dtls_server_now(s));
    struct dtls_arrival first = *arrival;
    first.datagram = alone(hello).at;
    first.n = alone(hello).n;
    if (secret != NULL && offer->group == 0 && first.n != 0) {
        begin(s, context, &first, e, hello, secret, offer->suite);
        return;
    }
    if (secret != NULL) {
        refuse(s, arrival, hello, DTLS_SERVER_BROKEN, DTLS_ALERT_ILLEGAL);
        return;
    }
    size_t n = dtls13_retry(&s->cookies, &arrival->key, hello, offer, dtls_server_now(s), retry);
    if (n == 0 || n > GAIN_MAX * arrival->n)
        return;
    dtls_server_count(s, DTLS_SERVER_COOKIES);
    answer(s, arrival, retry, n);
}

/* Of the versions that both speak the later is taken, and a client that could speak it too is never taken
 * at its word that it cannot: the mark in a ServerHello of 1.2 tells it (RFC 8446 s.4.1.3). */
void dtls_gate_hello(struct dtls_server *s, struct dtls_context *context, const struct dtls_arrival *arrival,
                     struct dtls_endpoint *e, const struct dtls_hello *hello)
{
    struct dtls13_offer offer;
    dtls_server_count(s, DTLS_SERVER_HELLOS);
    enum dtls13_form form =
        dtls_context_speaks(context, DTLS_1_3) ? dtls13_hello_read(hello, &offer) : DTLS13_NONE;
    switch (form) {
    case DTLS13_NONE:
        if (dtls_context_speaks(context, DTLS_1_2))
            take_1_2(s, context, arrival, e, hello);
        else
            refuse(s, arrival, hello, DTLS_SERVER_VERSION, DTLS_ALERT_VERSION);
        break;
    case DTLS13_GOOD:
        take_1_3(s, context, arrival, e, hello, &offer);
        break;
    case DTLS13_NOTHING:
        refuse(s, arrival, hello, DTLS_SERVER_NOTHING, DTLS_ALERT_HANDSHAKE);
        break;
    case DTLS13_BROKEN:
        refuse(s, arrival, hello, DTLS_SERVER_BROKEN, DTLS_ALERT_ILLEGAL);
        break;
    }
}

void dtls_gate_fragment(struct dtls_server *s, struct dtls_context *context,
                        const struct dtls_arrival *arrival, struct dtls_endpoint *e)
{
    struct dtls_hello hello;
    struct dtls_arrival whole = *arrival;
    dtls_server_count(s, DTLS_SERVER_FRAGMENTS);
    whole.datagram = dtls_reassembly_add(s->fragments, &arrival->key, arrival->datagram, arrival->n,
                                         dtls_server_now(s), &whole.n);
    if (whole.datagram == NULL)
        return;
    if (dtls_hello_parse(whole.datagram, whole.n, &hello) == DTLS_HELLO_WHOLE)
        dtls_gate_hello(s, context, &whole, e, &hello);
    else
        dtls_server_count(s, DTLS_SERVER_BROKEN);
}
