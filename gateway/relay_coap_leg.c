/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way to an upstream: one UDP flow for each identity, dialled when something is to be sent, with a DTLS
 * session on it where the upstream is secured; requests wait here for their turn (RFC 7252 s.4.7).
 */
#include "policy/coap/build.h"

#include "gateway/coap_group.h"
#include "gateway/coap_mqtt.h"

#include <errno.h>

#define PORT_TRIES 64
#define FREE_BUDGET 256
#define RETRY_FIRST_US UINT64_C(1000000)
#define RETRY_DOUBLINGS 6

uint64_t coap_name_digest(const struct coap_relays *r, const char *name)
{
    return siphash_2_4(r->key, name, strlen(name));
}

/* Its place in the configuration of now; UINT32_MAX when it is not there any more. */
static uint32_t upstream_index(const struct coap_leg *leg)
{
    const struct gateway_config *config = coap_generation(leg->relays)->config;
    for (uint32_t i = 0; i < config->upstreams_n; i++)
        if (coap_name_digest(leg->relays, config->upstreams[i].name) == leg->upstream)
            return i;
    return UINT32_MAX;
}

const struct config_upstream *coap_leg_upstream(const struct coap_leg *leg)
{
    uint32_t index = upstream_index(leg);
    return index == UINT32_MAX ? NULL : &coap_generation(leg->relays)->config->upstreams[index];
}

static struct dtls_context *context_of(const struct coap_leg *leg)
{
    uint32_t index = upstream_index(leg);
    return index == UINT32_MAX ? NULL : coap_generation(leg->relays)->upstream_dtls[index];
}

void coap_leg_result(struct coap_leg *leg, bool good)
{
    struct coap_relays *r = leg->relays;
    uint32_t index = upstream_index(leg);
    if (index != UINT32_MAX)
        r->config.result(r->config.worker, index, leg->server, good);
}

/* ---- which leg
 * --------------------------------------------------------------------------------------------- */

static uint32_t *named_bucket(const struct coap_relays *r, const uint64_t name[2])
{
    return &r->named[name[0] & r->named_mask];
}

static void digest(const struct coap_relays *r, uint64_t upstream, const struct identity *identity,
                   uint64_t name[2])
{
    uint8_t input[sizeof(upstream) + IDENTITY_NAME_MAX];
    memcpy(input, &upstream, sizeof(upstream));
    memcpy(input + sizeof(upstream), identity->name, identity->name_len);
    struct siphash_key other = {.k0 = r->key.k1, .k1 = ~r->key.k0};
    name[0] = siphash_2_4(r->key, input, sizeof(upstream) + identity->name_len);
    name[1] = siphash_2_4(other, input, sizeof(upstream) + identity->name_len);
}

static void unname(struct coap_leg *leg)
{
    struct coap_relays *r = leg->relays;
    uint32_t own = slab_handle_of(r->legs, leg).index;
    uint32_t *link = named_bucket(r, leg->name);
    while (*link != COAP_NONE && *link != own)
        link = &((struct coap_leg *)slab_at(r->legs, *link))->next;
    if (*link == own)
        *link = leg->next;
}

void coap_leg_free(struct coap_leg *leg)
{
    struct coap_relays *r = leg->relays;
    coap_leg_hang_up(leg);
    timer_stop(r->config.timers, &leg->timer);
    unname(leg);
    if (leg->transfers != NULL)
        slab_free(r->transfers, leg->transfers);
    TAILQ_REMOVE(&r->silent_legs, leg, by_silence);
    slab_free(r->legs, leg);
}

static void used(struct coap_leg *leg)
{
    struct coap_relays *r = leg->relays;
    leg->used_us = coap_now(r);
    TAILQ_REMOVE(&r->silent_legs, leg, by_silence);
    TAILQ_INSERT_TAIL(&r->silent_legs, leg, by_silence);
}

void coap_leg_expire(struct coap_relays *r)
{
    for (int i = 0; i < FREE_BUDGET; i++) {
        struct coap_leg *leg = TAILQ_FIRST(&r->silent_legs);
        if (leg == NULL || leg->used_us + COAP_IDLE_US > coap_now(r))
            return;
        if (leg->flights_n == 0)
            coap_leg_free(leg);
        else
            used(leg);
    }
}

static void make_room(struct coap_relays *r)
{
    struct coap_leg *leg;
    int looked = 0;
    TAILQ_FOREACH (leg, &r->silent_legs, by_silence) {
        if (leg->flights_n == 0) {
            coap_leg_free(leg);
            return;
        }
        if (++looked == 16)
            return;
    }
}

static void on_dtls_armed(void *owner)
{
    struct coap_leg *leg = owner;
    uint64_t due_us = leg->dtls == NULL ? UINT64_MAX : dtls_session_due_us(leg->dtls);
    if (due_us == UINT64_MAX)
        timer_stop(leg->relays->config.timers, &leg->timer);
    else
        timer_start(leg->relays->config.timers, &leg->timer, due_us);
}

static void on_leg_timer(struct timer *timer, uint64_t now_us)
{
    struct coap_leg *leg = (struct coap_leg *)(void *)((char *)timer - offsetof(struct coap_leg, timer));
    struct coap_relays *r = leg->relays;
    struct slab_handle handle = slab_handle_of(r->legs, leg);
    if (leg->mqtt != NULL) {
        coap_mqtt_fire(leg, now_us);
        return;
    }
    if (leg->dtls == NULL)
        return;
    dtls_session_fire(leg->dtls, now_us);
    if (slab_resolve(r->legs, handle) != NULL)
        on_dtls_armed(leg);
}

static struct coap_leg *leg_new(struct coap_relays *r, const uint64_t name[2], uint64_t upstream,
                                const struct identity *identity)
{
    if (slab_used(r->legs) == slab_capacity(r->legs))
        make_room(r);
    struct coap_leg *leg = slab_alloc(r->legs);
    if (leg == NULL)
        return NULL;
    leg->relays = r;
    leg->upstream = upstream;
    leg->name[0] = name[0];
    leg->name[1] = name[1];
    memcpy(leg->identity, identity->name, (size_t)identity->name_len + 1);
    leg->timer.fire = on_leg_timer;
    leg->next_mid = (uint16_t)coap_random(r);
    leg->used_us = coap_now(r);
    TAILQ_INIT(&leg->waiting);
    TAILQ_INIT(&leg->flying);
    TAILQ_INIT(&leg->landed);
    leg->next = *named_bucket(r, name);
    *named_bucket(r, name) = slab_handle_of(r->legs, leg).index;
    TAILQ_INSERT_TAIL(&r->silent_legs, leg, by_silence);
    return leg;
}

struct coap_leg *coap_leg_get(struct coap_relays *r, struct coap_client *client)
{
    struct coap_leg *leg = slab_resolve(r->legs, client->leg);
    uint64_t name[2];
    if (leg == NULL) {
        const struct gateway_config *config = coap_generation(r)->config;
        uint64_t upstream =
            coap_name_digest(r, config->upstreams[config->listeners[client->listener].upstream].name);
        digest(r, upstream, &client->identity, name);
        uint32_t index = *named_bucket(r, name);
        while (index != COAP_NONE && leg == NULL) {
            struct coap_leg *next = slab_at(r->legs, index);
            if (next->name[0] == name[0] && next->name[1] == name[1])
                leg = next;
            index = next->next;
        }
        if (leg == NULL)
            leg = leg_new(r, name, upstream, &client->identity);
        if (leg == NULL)
            return NULL;
        client->leg = slab_handle_of(r->legs, leg);
    }
    used(leg);
    return leg;
}

/* ---- dialling
 * ---------------------------------------------------------------------------------------------- */

static void fail_all(struct coap_list *list, uint8_t code)
{
    struct coap_flight *flight;
    while ((flight = TAILQ_FIRST(list)) != NULL) {
        coap_leg_remove(flight);
        coap_exchange_stop_up(&flight->x);
        coap_reply_own(flight, code);
        coap_flight_settle(flight);
    }
}

static void on_dtls_send(void *owner, const uint8_t *datagram, size_t n)
{
    struct coap_leg *leg = owner;
    leg->relays->config.send(leg->relays->config.worker, &leg->path, &leg->key, datagram, n);
}

static void tell_unchecked(struct coap_leg *leg)
{
    const char *why = dtls_session_unchecked(leg->dtls);
    const struct coap_flight *first = TAILQ_FIRST(&leg->flying);
    struct coap_report report = {
        .kind = EVENT_STATUS_UNCHECKED, .outcome = OUTCOME_ALLOWED, .enforced = true, .detail = why};
    if (first == NULL)
        first = TAILQ_FIRST(&leg->waiting);
    if (why != NULL && first != NULL)
        coap_tell(leg->relays, first->client, &report);
}

static void on_dtls_opened(void *owner)
{
    struct coap_leg *leg = owner;
    struct coap_flight *flight;
    if (!coap_leg_check(leg)) /* the handshake was begun under an older configuration */
        return;
    leg->ready = true;
    tell_unchecked(leg);
    TAILQ_FOREACH (flight, &leg->flying, of_leg)
        coap_leg_send(leg, flight->request, flight->request_len);
    coap_leg_turn(leg);
}

static void on_dtls_received(void *owner, const uint8_t *message, size_t n)
{
    coap_leg_received(owner, bytes_of(message, n));
}

static void on_dtls_closed(void *owner, enum dtls_end why, const char *reason)
{
    struct coap_leg *leg = owner;
    if (why == DTLS_END_PEER && leg->flights_n == 0) {
        coap_leg_hang_up(leg);
        return;
    }
    if (why == DTLS_END_SILENT)
        coap_leg_fail(leg, OUTCOME_UPSTREAM_TIMEOUT, COAP_GATEWAY_TIMEOUT, true, reason);
    else
        coap_leg_fail(leg, why == DTLS_END_FAILED ? OUTCOME_UPSTREAM_TLS : OUTCOME_UPSTREAM_LOST,
                      COAP_BAD_GATEWAY, false, reason);
}

static const struct dtls_handler dtls_handler = {.send = on_dtls_send,
                                                 .opened = on_dtls_opened,
                                                 .received = on_dtls_received,
                                                 .closed = on_dtls_closed,
                                                 .armed = on_dtls_armed};

/* A flow of our own that nobody has yet. */
static bool take_flow(struct coap_leg *leg)
{
    struct coap_relays *r = leg->relays;
    for (int i = 0; i < PORT_TRIES; i++) {
        leg->key.local_port = r->config.port(r->config.worker);
        int result = flow_table_insert(r->by_leg, &leg->key, flow_table_hash(r->by_leg, &leg->key),
                                       slab_handle_of(r->legs, leg).index);
        if (result == 0)
            return true;
        if (result == -ENOSPC)
            return false;
    }
    return false;
}

bool coap_leg_dial(struct coap_leg *leg)
{
    struct coap_relays *r = leg->relays;
    const struct config_upstream *upstream = coap_leg_upstream(leg);
    struct tls_error error = {.text = "no route to the server, or no port left"};
    if (upstream == NULL || coap_now(r) < leg->not_before_us) {
        fail_all(&leg->waiting, COAP_UNAVAILABLE);
        return false;
    }
    if (upstream->protocol == CONFIG_MQTT)
        return coap_mqtt_dial(leg, upstream_index(leg));
    leg->server = r->config.pick(r->config.worker, upstream_index(leg));
    leg->key = (struct flow_key){.protocol = 17, .remote_port = upstream->servers[leg->server].port};
    memcpy(leg->key.remote.bytes, upstream->servers[leg->server].address, sizeof(leg->key.remote.bytes));
    leg->dialled = r->config.route(r->config.worker, &leg->key, &leg->path) && take_flow(leg);
    leg->answered = leg->stale = false;
    if (leg->dialled && upstream->security == CONFIG_SECURITY_NONE) {
        leg->ready = true;
    } else if (leg->dialled) {
        uint16_t most = r->config.datagram_max(r->config.worker, &leg->key, leg->path);
        const struct coap_flight *first = TAILQ_FIRST(&leg->waiting);
        leg->dtls = dtls_connect(r->dtls, context_of(leg), leg->identity,
                                 first == NULL ? NULL : &first->client->key.remote, most, &dtls_handler, leg,
                                 coap_now(r), &error);
        on_dtls_armed(leg);
    }
    if (!leg->ready && leg->dtls == NULL) {
        coap_leg_fail(leg, OUTCOME_UPSTREAM_REFUSED, COAP_BAD_GATEWAY, false, error.text);
        return false;
    }
    coap_count(r, COAP_COUNT_LEGS_OPENED);
    return true;
}

void coap_leg_hang_up(struct coap_leg *leg)
{
    struct coap_relays *r = leg->relays;
    struct dtls_session *dtls = leg->dtls;
    leg->dtls = NULL;
    leg->ready = false;
    timer_stop(r->config.timers, &leg->timer);
    coap_mqtt_hang_up(leg);
    if (dtls != NULL)
        dtls_session_close(dtls);
    if (leg->dialled)
        flow_table_remove(r->by_leg, &leg->key, flow_table_hash(r->by_leg, &leg->key));
    leg->dialled = false;
}

bool coap_leg_current(const struct coap_leg *leg)
{
    const struct config_upstream *upstream = coap_leg_upstream(leg);
    if (!leg->dialled && leg->mqtt == NULL)
        return true;
    if (upstream != NULL && (upstream->protocol == CONFIG_MQTT) != (leg->mqtt != NULL))
        return false;
    if (upstream == NULL || leg->server >= upstream->servers_n ||
        memcmp(upstream->servers[leg->server].address, leg->key.remote.bytes, 16) != 0 ||
        upstream->servers[leg->server].port != leg->key.remote_port)
        return false;
    if (leg->mqtt != NULL)
        return true;
    if ((upstream->security == CONFIG_SECURITY_DTLS) != (leg->dtls != NULL))
        return false;
    return leg->dtls == NULL ||
           dtls_context_same(dtls_session_context(leg->dtls), context_of(leg), leg->identity);
}

bool coap_leg_check(struct coap_leg *leg)
{
    const char *why = leg->dtls == NULL || !dtls_session_open(leg->dtls)
                          ? NULL
                          : dtls_session_refused(leg->dtls, context_of(leg), leg->identity);
    if (why == NULL)
        return true;
    coap_leg_fail(leg, OUTCOME_UPSTREAM_TLS, COAP_BAD_GATEWAY, false, why);
    leg->failures = 0; /* the next request tries what is in force now */
    leg->not_before_us = 0;
    return false;
}

/* ---- what goes on it
 * ---------------------------------------------------------------------------------------- */

void coap_leg_send(struct coap_leg *leg, const uint8_t *bytes, size_t n)
{
    if (!leg->ready)
        return;
    if (leg->dtls != NULL)
        dtls_session_write(leg->dtls, bytes, n);
    else
        leg->relays->config.send(leg->relays->config.worker, &leg->path, &leg->key, bytes, n);
}

void coap_leg_place(struct coap_flight *flight, enum coap_place where)
{
    struct coap_leg *leg = flight->leg;
    struct coap_list *lists[] = {[COAP_PLACE_WAITING] = &leg->waiting,
                                 [COAP_PLACE_FLYING] = &leg->flying,
                                 [COAP_PLACE_LANDED] = &leg->landed};
    if (flight->place != COAP_PLACE_NONE)
        TAILQ_REMOVE(lists[flight->place], flight, of_leg);
    if (flight->place == COAP_PLACE_FLYING)
        leg->outstanding--;
    flight->place = (uint8_t)where;
    if (where != COAP_PLACE_NONE)
        TAILQ_INSERT_TAIL(lists[where], flight, of_leg);
    if (where == COAP_PLACE_FLYING)
        leg->outstanding++;
}

/* s.4.7, PROBING_RATE: what is not confirmable goes out without a limit only while something comes back. An
 * empty CON asks the server for a sign. */
static bool may_probe(struct coap_leg *leg, const struct config_upstream *upstream, size_t n)
{
    struct coap_relays *r = leg->relays;
    uint8_t ping[COAP_HEADER_BYTES];
    uint64_t now_us = coap_now(r);
    leg->unheard_bytes += (uint32_t)n;
    if (leg->unheard_bytes <= COAP_UNHEARD_BYTES)
        return true;
    if (leg->pinged_us + COAP_PING_EVERY_US <= now_us) {
        leg->pinged_us = now_us;
        coap_leg_send(leg, ping, coap_build_empty(ping, COAP_CON, leg->next_mid++));
    }
    return upstream == NULL || rate_limit_take(&leg->probing, &upstream->probing, n, now_us);
}

static void fly(struct coap_leg *leg, struct coap_flight *flight, const struct config_upstream *upstream)
{
    struct coap_relays *r = leg->relays;
    if (!flight->x.confirmable && !may_probe(leg, upstream, flight->request_len)) {
        coap_count(r, COAP_COUNT_PROBING);
        coap_leg_remove(flight);
        coap_exchange_stop_up(&flight->x);
        coap_reply_own(flight, COAP_UNAVAILABLE);
        coap_flight_settle(flight);
        return;
    }
    coap_leg_place(flight, COAP_PLACE_FLYING);
    coap_exchange_send_up(&flight->x, leg->next_mid++, (uint16_t)coap_random(r), coap_now(r));
    coap_build_retype(flight->request, flight->x.confirmable ? COAP_CON : COAP_NON, flight->x.up.mid);
    coap_leg_send(leg, flight->request, flight->request_len);
    if (coap_flight_unanswered(flight)) {
        coap_leg_remove(flight);
        coap_exchange_stop_up(&flight->x);
        flight->suppressed = true;
        coap_exchange_reply(&flight->x, false, 0, 0, coap_now(r));
    }
    coap_flight_settle(flight);
}

void coap_leg_turn(struct coap_leg *leg)
{
    const struct config_upstream *upstream = coap_leg_upstream(leg);
    uint32_t nstart = upstream == NULL || upstream->nstart == 0 ? 1 : upstream->nstart;
    struct coap_flight *flight;
    if (leg->mqtt != NULL || (upstream != NULL && upstream->protocol == CONFIG_MQTT)) {
        coap_mqtt_turn(leg);
        return;
    }
    while ((flight = TAILQ_FIRST(&leg->waiting)) != NULL && leg->outstanding < nstart) {
        if (flight->mapped) { /* the upstream was a broker a moment ago */
            coap_mqtt_finish(flight, COAP_UNAVAILABLE);
            continue;
        }
        if (leg->stale && leg->dialled && leg->outstanding == 0)
            coap_leg_hang_up(leg);
        if (!leg->dialled && !coap_leg_dial(leg))
            return;
        if (!leg->ready)
            return;
        fly(leg, flight, upstream);
    }
}

void coap_flight_register(struct coap_flight *flight)
{
    struct coap_relays *r = flight->relays;
    uint32_t token[2] = {slab_handle_of(r->flights, flight).index, (uint32_t)coap_random(r)};
    memcpy(flight->up_token, token, sizeof(token));
    memcpy(flight->request + COAP_HEADER_BYTES, token, sizeof(token));
    coap_leg_place(flight, COAP_PLACE_WAITING);
}

void coap_leg_cancel(struct coap_flight *flight)
{
    struct coap_leg *leg = flight->leg;
    struct coap_message request;
    struct coap_writer w;
    uint8_t bytes[COAP_MESSAGE_MAX];
    bool registered = flight->observing && (flight->group == NULL || flight->group->leader == flight);
    if (leg == NULL || !leg->ready || leg->mqtt != NULL || flight->mapped || !registered ||
        flight->request == NULL ||
        coap_parse(&request, bytes_of(flight->request, flight->request_len)) != COAP_PARSE_OK)
        return;
    coap_build_start(&w, bytes, sizeof(bytes), COAP_NON, request.code, leg->next_mid++, request.token,
                     request.token_len);
    for (uint32_t i = 0; i < request.options_n; i++) {
        if (request.options[i].number == COAP_OBSERVE)
            coap_build_uint(&w, COAP_OBSERVE, 1);
        else
            coap_build_option(&w, request.options[i].number, request.options[i].value);
    }
    coap_build_payload(&w, request.payload);
    coap_leg_send(leg, bytes, coap_build_end(&w));
}

void coap_leg_add(struct coap_leg *leg, struct coap_flight *flight)
{
    flight->leg = leg;
    leg->flights_n++;
    coap_leg_place(flight, COAP_PLACE_WAITING);
    coap_leg_turn(leg);
}

void coap_leg_landed(struct coap_flight *flight)
{
    struct coap_leg *leg = flight->leg;
    if (leg == NULL || flight->place != COAP_PLACE_FLYING)
        return;
    coap_leg_place(flight, COAP_PLACE_LANDED);
    coap_leg_turn(leg);
}

void coap_leg_remove(struct coap_flight *flight)
{
    struct coap_leg *leg = flight->leg;
    if (leg == NULL)
        return;
    coap_flight_observing(flight, false);
    coap_group_leave(flight);
    if (flight->topic != NULL)
        flight->topic->flights--;
    flight->topic = NULL;
    coap_leg_place(flight, COAP_PLACE_NONE);
    flight->leg = NULL;
    leg->flights_n--;
}

void coap_leg_fail(struct coap_leg *leg, enum outcome why, uint8_t code, bool silent, const char *detail)
{
    struct coap_relays *r = leg->relays;
    struct coap_flight *flight;
    struct coap_report report = {.kind =
                                     why == OUTCOME_UPSTREAM_TLS ? EVENT_TLS_FAILED : EVENT_UPSTREAM_FAILED,
                                 .outcome = why,
                                 .enforced = true,
                                 .detail = detail};
    coap_count(r, COAP_COUNT_LEGS_FAILED);
    if (silent)
        coap_leg_result(leg, false);
    uint32_t doublings = leg->failures < RETRY_DOUBLINGS ? leg->failures : RETRY_DOUBLINGS;
    leg->not_before_us = coap_now(r) + (RETRY_FIRST_US << doublings);
    leg->failures++;
    coap_leg_hang_up(leg);
    flight = TAILQ_FIRST(&leg->waiting);
    if (flight == NULL)
        flight = TAILQ_FIRST(&leg->flying);
    if (flight == NULL)
        flight = TAILQ_FIRST(&leg->landed);
    if (flight != NULL)
        coap_tell(r, flight->client, &report);
    fail_all(&leg->flying, code);
    fail_all(&leg->landed, code);
    fail_all(&leg->waiting, code);
}

void coap_leg_redial(struct coap_leg *leg)
{
    coap_leg_hang_up(leg);
    fail_all(&leg->landed, COAP_UNAVAILABLE); /* the new session knows nothing of them */
    coap_leg_dial(leg);
}

bool coap_relays_claims(const struct coap_relays *r, const struct flow_key *key)
{
    return flow_table_find(r->by_leg, key, flow_table_hash(r->by_leg, key)) != FLOW_TABLE_NONE;
}

static struct coap_leg *leg_of(struct coap_relays *r, const struct flow_key *key)
{
    uint32_t index = flow_table_find(r->by_leg, key, flow_table_hash(r->by_leg, key));
    return index == FLOW_TABLE_NONE ? NULL : slab_at(r->legs, index);
}

void coap_relays_from_upstream(struct coap_relays *r, const struct flow_key *key, struct bytes payload)
{
    struct coap_leg *leg = leg_of(r, key);
    if (leg == NULL)
        return;
    if (leg->dtls == NULL) {
        coap_leg_received(leg, payload);
        return;
    }
    struct slab_handle handle = slab_handle_of(r->legs, leg);
    dtls_session_input(leg->dtls, payload.at, payload.len, coap_now(r));
    if (slab_resolve(r->legs, handle) != NULL)
        on_dtls_armed(leg);
}

void coap_relays_unreachable(struct coap_relays *r, const struct flow_key *key)
{
    struct coap_leg *leg = leg_of(r, key);
    /* Anybody can say so: a server that was heard of on this flow is believed more. */
    if (leg != NULL && !leg->answered && leg->flights_n > 0)
        coap_leg_fail(leg, OUTCOME_UPSTREAM_REFUSED, COAP_BAD_GATEWAY, true, "the server cannot be reached");
}
