/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What devices send: read, matched with what is known, judged, and sent on. */
#include "policy/coap/build.h"
#include "policy/coap/proxy.h"

#include "gateway/coap_body.h"
#include "gateway/coap_cache.h"
#include "gateway/coap_group.h"
#include "gateway/relay_coap_request.h"

/* RFC 7967 s.2.1: no 4.xx and no 5.xx. */
/* RFC 8768 s.3: what a request gets whose way we choose as a proxy, so that a loop of proxies ends. */
#define HOP_LIMIT_FIRST 16
#define NO_ERRORS 0x18

/* Answers to pings and to what cannot be read: they prove nothing and mean nothing, so there are few. */
static const struct rate small_rate = {.amount = 5, .period_us = 1000000, .burst = 10};

static void answer_small(struct coap_relays *r, const struct coap_arrival *arrival, uint16_t mid)
{
    struct coap_source *source = coap_proofs_get(r->proofs, &arrival->key.remote, coap_now(r));
    uint32_t path = arrival->path;
    struct coap_way way = {.key = &arrival->key, .path = &path, .secure = arrival->secure};
    if (rate_limit_take(&source->small, &small_rate, 1, coap_now(r)))
        coap_send_empty_down(r, way, COAP_RST, mid);
}

static void tell_protocol(struct coap_relays *r, const struct coap_arrival *arrival, enum outcome outcome)
{
    struct coap_report report = {.kind = EVENT_PROTOCOL_ERROR,
                                 .outcome = outcome,
                                 .enforced = true,
                                 .payload_bytes = (uint32_t)arrival->payload.len};
    coap_tell_arrival(r, arrival, &report);
}

/* ---- messages without a request ---------------------------------------------------------------------------
 */

/* An ACK or RST for something that we sent. */
static void take_empty(struct coap_relays *r, const struct coap_arrival *arrival,
                       const struct coap_message *message)
{
    struct coap_client *client = coap_client_find(r, &arrival->key);
    struct coap_flight *flight;
    if (client == NULL)
        return;
    TAILQ_FOREACH (flight, &client->flights, of_client) {
        if (message->type == COAP_ACK && coap_exchange_down_ack(&flight->x, message->mid, coap_now(r))) {
            /* It had to see our random message id: that keeps a proof alive, and does not make one. */
            struct coap_source *source = coap_proofs_get(r->proofs, &arrival->key.remote, coap_now(r));
            if (coap_ledger_proved(&source->ledger, coap_now(r)))
                coap_ledger_prove(&source->ledger, coap_now(r));
            coap_flight_settle(flight);
            return;
        }
        if (message->type == COAP_RST && flight->x.down.mid == message->mid && flight->x.replied) {
            coap_flight_do(flight, coap_exchange_down_rst(&flight->x, message->mid));
            return;
        }
    }
}

/* ---- requests
 * ---------------------------------------------------------------------------------------------- */

/* What an event tells of a client that is refused as such. */
static const char *why_refused(const struct coap_relays *r, const struct coap_client *client,
                               enum outcome outcome)
{
    if (outcome == OUTCOME_IDENTITY_MISMATCH)
        return identity_part_text(client->identity.mismatch);
    if (outcome != OUTCOME_QUARANTINED)
        return NULL;
    if (client->identity.device != NULL && client->identity.device->quarantine != NULL)
        return client->identity.device->quarantine;
    const struct quarantine_entry *entry = coap_client_quarantined(r, client);
    return entry == NULL ? NULL : entry->reason;
}

void coap_request_tell(struct coap_relays *r, const struct coap_request *q, enum event_kind kind,
                       enum outcome outcome, bool enforced, uint8_t code)
{
    const struct coap_verdict *v = &q->verdict;
    const struct acl_rule *rule = v->rule == ACL_RULE_NONE || q->client->standing != OUTCOME_ALLOWED
                                      ? NULL
                                      : acl_rule_at(q->client->identity.role->acl, v->rule);
    struct coap_report report = {.kind = kind,
                                 .outcome = outcome,
                                 .enforced = enforced,
                                 .method = q->message->code,
                                 .code = code,
                                 .payload_bytes = (uint32_t)q->message->payload.len,
                                 .path = bytes_of(v->path, v->path_len),
                                 .rule = rule == NULL ? NULL : rule->id,
                                 .rule_place = rule == NULL ? 0 : q->verdict.rule + 1,
                                 .detail = why_refused(r, q->client, outcome)};
    coap_tell(r, q->client, &report);
}

static enum event_kind kind_of(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_RATE_REQUESTS:
    case OUTCOME_RATE_BYTES:
    case OUTCOME_EXCHANGE_CAP:
    case OUTCOME_OBSERVATION_CAP:
    case OUTCOME_NO_RESOURCES:
        return EVENT_LIMIT_EXCEEDED;
    case OUTCOME_BAD_OPTION:
    case OUTCOME_BAD_METHOD:
    case OUTCOME_NO_TOPIC:
    case OUTCOME_MALFORMED_STRING:
    case OUTCOME_HOP_LIMIT:
        return EVENT_PROTOCOL_ERROR;
    case OUTCOME_IDENTITY_MISMATCH:
        return EVENT_IDENTITY_VIOLATION;
    default:
        return EVENT_COAP_REQUEST_DENIED;
    }
}

void coap_request_refuse(struct coap_relays *r, const struct coap_request *q, enum outcome outcome,
                         uint8_t code, uint32_t max_age_s)
{
    struct coap_refusal refusal = {.code = code,
                                   .no_response = q->verdict.no_response,
                                   .ages = max_age_s != COAP_NO_AGE,
                                   .max_age_s = max_age_s};
    r->counters.requests[outcome]++;
    coap_request_tell(r, q, kind_of(outcome), outcome, true, code);
    if (code == COAP_TOO_LARGE && q->client->standing == OUTCOME_ALLOWED)
        refusal.size1 = q->client->identity.role->limits.packet_bytes;
    if (code != 0 && !q->arrival->group)
        coap_refuse(r, q->client, q->message, &refusal);
}

/* E2: 4.01 to whoever is not known; 4.03 to whoever is, and may not. */
static uint8_t standing_code(enum outcome standing)
{
    switch (standing) {
    case OUTCOME_IDENTITY_MISMATCH:
        return 0;
    case OUTCOME_NO_ROLE:
    case OUTCOME_BAD_CLIENT_ID:
    case OUTCOME_CLIENT_ID_MISMATCH:
    case OUTCOME_UNSAFE_VARIABLE:
        return COAP_UNAUTHORIZED;
    default:
        return COAP_FORBIDDEN;
    }
}

/* Who asks: false when he is refused. Whoever is not who his place says is not answered at all (C4). */
static bool identify(struct coap_relays *r, struct coap_request *q)
{
    enum outcome standing = coap_client_identify(r, q->client);
    q->verdict.rule = ACL_RULE_NONE;
    q->verdict.path_len = 0;
    q->verdict.no_response = 0;
    if (standing == OUTCOME_ALLOWED)
        return true;
    q->verdict.outcome = standing;
    q->verdict.enforced = true;
    q->verdict.observe = q->verdict.observe_ends = q->verdict.observe_denied = false;
    if (judged_wanted(r->config.judged))
        coap_judged(r, q);
    coap_request_refuse(r, q, standing, standing_code(standing), COAP_NO_AGE);
    return false;
}

/* Our own Echo is taken out and proves the address; any other is for the upstream. */
static void take_echo(struct coap_relays *r, struct coap_request *q)
{
    const struct ip_address *address = &q->client->key.remote;
    struct coap_source *source = coap_proofs_get(r->proofs, address, coap_now(r));
    enum coap_echo echo = coap_echo_check(r->proofs, address, q->verdict.echo, coap_now(r));
    if (echo == COAP_ECHO_FRESH) {
        coap_count(r, COAP_COUNT_PROOFS);
        coap_ledger_prove(&source->ledger, coap_now(r));
        if (q->client->secure != NULL)
            dtls_endpoint_prove(q->client->secure);
    }
    if (q->client->pinned)
        coap_ledger_prove(&source->ledger, coap_now(r));
    q->proved = (q->client->secure != NULL && !dtls_endpoint_moved(q->client->secure)) ||
                coap_ledger_proved(&source->ledger, coap_now(r));
    q->echo = echo == COAP_ECHO_FOREIGN ? q->verdict.echo : bytes_of(NULL, 0);
}

/* The observation that this request renews or ends: the same endpoint, the same token (RFC 7641 s.3.6). */
static struct coap_flight *find_observation(const struct coap_request *q)
{
    struct coap_flight *flight;
    if (!q->verdict.observe && !q->verdict.observe_ends)
        return NULL;
    TAILQ_FOREACH (flight, &q->client->flights, of_client)
        if (flight->observing && flight->leg == q->leg &&
            bytes_equal(coap_flight_token(flight), bytes_of(q->message->token, q->message->token_len)))
            return flight;
    return NULL;
}

static void choose_token(struct coap_relays *r, struct coap_flight *flight)
{
    uint32_t index = slab_handle_of(r->flights, flight).index;
    uint32_t random = (uint32_t)coap_random(r);
    memcpy(flight->up_token, &index, sizeof(index));
    memcpy(flight->up_token + sizeof(index), &random, sizeof(random));
}

static uint64_t asked(const struct coap_relays *r, const struct coap_request *q)
{
    return siphash_1_3(r->key, q->verdict.path, q->verdict.path_len) | 1;
}

/* A flight for the request: a new one, or the one of the observation that it is about. */
static struct coap_flight *begin(struct coap_relays *r, struct coap_request *q)
{
    const struct coap_message *message = q->message;
    struct coap_flight *flight = find_observation(q);
    if (flight == NULL) {
        flight = coap_flight_new(r, q->client);
        if (flight == NULL)
            return NULL;
        choose_token(r, flight);
        flight->prefix = q->prefix;
        if (q->prefix != NULL)
            q->prefix->exchanges++;
    } else {
        coap_flight_observing(flight, false);
        coap_leg_remove(flight);
        coap_flight_unfile(flight);
        coap_drop_bytes(r, &flight->reply, &flight->reply_len);
    }
    coap_exchange_begin(&flight->x, message->type == COAP_CON, message->mid, coap_now(r));
    coap_flight_file(flight);
    flight->method = message->code;
    flight->asked = asked(r, q);
    flight->no_response = q->verdict.no_response;
    flight->suppressed = false;
    flight->observe = q->verdict.observe;
    flight->mapped = false;
    flight->block1 = 0;
    if (q->broker && q->uploads)
        flight->block1 = coap_uint(coap_option_find(message, COAP_BLOCK1)->value) + 1;
    flight->transfer = q->transfer;
    flight->uploads = q->uploads;
    flight->group_sent = q->arrival->group;
    if (flight->group_sent)
        flight->no_response |= NO_ERRORS;
    flight->shared = q->shared;
    flight->cacheable = !q->broker && coap_cache_limit(q->leg) != 0;
    flight->validates = q->verdict.etag_len != 0;
    flight->has_etag =
        flight->validates && coap_cache_has_etag(message, q->verdict.etag, q->verdict.etag_len);
    if (!coap_flight_set_token(flight, message)) {
        coap_flight_free(flight);
        return NULL;
    }
    return flight;
}

/* What is kept of the request until it is sent, and for as long as it observes. */
static bool keep_request(struct coap_relays *r, const struct coap_request *q, struct coap_flight *flight)
{
    uint8_t request[COAP_MESSAGE_MAX];
    if (q->broker)
        return coap_mqtt_keep(flight, q->message, q->body, &q->verdict, &q->topic);
    /* Type and message id are set when its turn has come. */
    size_t n = coap_guard_rebuild(q->message, &q->verdict, q->echo, COAP_NON, 0, flight->up_token,
                                  COAP_UP_TOKEN, request, sizeof(request));
    return coap_keep_bytes(r, &flight->request, &flight->request_len, request, n);
}

static void forward(struct coap_relays *r, struct coap_request *q)
{
    struct coap_flight *flight = begin(r, q);
    if (flight == NULL) {
        coap_request_refuse(r, q, OUTCOME_NO_RESOURCES, COAP_UNAVAILABLE, 1);
        return;
    }
    if (!keep_request(r, q, flight)) {
        coap_flight_free(flight);
        coap_request_refuse(r, q, OUTCOME_NO_RESOURCES, COAP_UNAVAILABLE, 1);
        return;
    }
    if (q->shared && flight->observe && coap_group_join(flight, q->leg)) {
        coap_flight_settle(flight);
        return;
    }
    coap_count(r, COAP_COUNT_FORWARDED);
    coap_leg_add(q->leg, flight);
    coap_flight_settle(flight);
}

/* What others are to be told too must not depend on what this client has already. */
static void leave_etags(const struct coap_message *message, struct coap_verdict *v)
{
    for (uint32_t i = 0; i < message->options_n; i++)
        if (message->options[i].number == COAP_ETAG)
            v->passes &= ~(UINT64_C(1) << i);
}

static bool to_broker(const struct coap_relays *r, const struct coap_client *client)
{
    const struct gateway_config *config = coap_generation(r)->config;
    return config->upstreams[config->listeners[client->listener].upstream].protocol == CONFIG_MQTT;
}

/* The last answer to this was more than an address is sent that has not proved itself, and it still has not:
 * the upstream need not be asked again to learn that. */
static bool known_too_large(struct coap_relays *r, const struct coap_request *q)
{
    return !q->proved && !q->arrival->group && coap_repeatable(q->message->code) &&
           coap_proofs_get(r->proofs, &q->client->key.remote, coap_now(r))->too_large == asked(r, q);
}

static void gathering_fails(struct coap_relays *r, const struct coap_request *q, enum outcome outcome,
                            uint8_t code, uint32_t max_age_s)
{
    coap_body_drop(r->bodies, slab_handle_of(r->legs, q->leg), q->transfer);
    coap_transfer_end(q->leg->transfers, q->transfer);
    coap_request_refuse(r, q, outcome, code, max_age_s);
}

/* A block of a body that a broker is to have in one piece. True when it is all there, and good as a whole. */
static bool gather(struct coap_relays *r, struct coap_request *q)
{
    const struct coap_client *client = q->client;
    const struct coap_option *option = coap_option_find(q->message, COAP_BLOCK1);
    struct coap_block block;
    (void)coap_block_parse(option->value, &block); /* the guard has */
    switch (coap_body_add(r->bodies, slab_handle_of(r->legs, q->leg), q->transfer, &block,
                          q->message->payload, coap_now(r), &q->body)) {
    case COAP_BODY_MORE:
        coap_refuse(r, q->client, q->message,
                    &(struct coap_refusal){.code = COAP_CONTINUE,
                                           .no_response = q->verdict.no_response,
                                           .has_block1 = true,
                                           .block1 = coap_block_value(&block)});
        return false;
    case COAP_BODY_INCOMPLETE:
        gathering_fails(r, q, OUTCOME_TRANSFER_BROKEN, COAP_INCOMPLETE, COAP_NO_AGE);
        return false;
    case COAP_BODY_TOO_LARGE:
        gathering_fails(r, q, OUTCOME_PACKET_TOO_LARGE, COAP_TOO_LARGE, COAP_NO_AGE);
        return false;
    case COAP_BODY_NO_ROOM:
        gathering_fails(r, q, OUTCOME_NO_RESOURCES, COAP_UNAVAILABLE, 1);
        return false;
    case COAP_BODY_WHOLE:
        break;
    }
    coap_publish_judge(client->identity.role, &client->identity.values, coap_generation(r)->config->observe,
                       q->message, &q->body, &q->verdict, &q->topic);
    if (coap_verdict_passes(&q->verdict))
        return true;
    gathering_fails(r, q, q->verdict.outcome, q->verdict.code, COAP_NO_AGE);
    return false;
}

static void judge(struct coap_relays *r, struct coap_request *q)
{
    const struct coap_client *client = q->client;
    struct coap_verdict *v = &q->verdict;
    coap_guard_request(client->identity.role, &client->identity.values, coap_generation(r)->config->observe,
                       client->key.local_port, q->message, v);
    rule_hits_count(coap_generation(r)->hits, r->config.worker_index, client->identity.role, v->rule);
    if (q->proxied && v->hop_limit < 0)
        v->hop_limit = HOP_LIMIT_FIRST;
    q->broker = to_broker(r, client);
    if (q->arrival->group)
        v->observe = v->observe_ends = false; /* RFC 7641 s.1.5: of a group nothing is observed */
    if (q->broker && coap_verdict_passes(v))
        coap_publish_judge(client->identity.role, &client->identity.values,
                           coap_generation(r)->config->observe, q->message, NULL, v, &q->topic);
    take_echo(r, q);
    q->leg = coap_leg_get(r, q->client);
    if (q->leg == NULL) {
        coap_request_refuse(r, q, OUTCOME_NO_RESOURCES, COAP_UNAVAILABLE, 1);
        return;
    }
    bool in_time = coap_limits_rates(r, q);
    if (judged_wanted(r->config.judged))
        coap_judged(r, q);
    if (!in_time)
        return;
    if (q->message->token_len > COAP_TOKEN_KEPT_MAX) {
        coap_request_refuse(r, q, OUTCOME_PACKET_TOO_LARGE, COAP_BAD_REQUEST, COAP_NO_AGE);
        return;
    }
    if (!coap_verdict_passes(v)) {
        coap_request_refuse(r, q, v->outcome, v->code, COAP_NO_AGE);
        return;
    }
    r->counters.requests[v->outcome]++;
    if (v->outcome != OUTCOME_ALLOWED)
        coap_request_tell(r, q, EVENT_COAP_REQUEST_DENIED, v->outcome, false, 0);
    else if (coap_generation(r)->config->events.allowed_all)
        coap_request_tell(r, q, EVENT_COAP_ALLOWED, OUTCOME_ALLOWED, true, 0);
    if ((v->observe && !q->proved) || known_too_large(r, q)) {
        /* Notifications are answers that nobody asks for one by one: only to who is there. */
        r->counters.requests[OUTCOME_UNPROVED_ADDRESS]++;
        coap_refuse(r, q->client, q->message,
                    &(struct coap_refusal){.code = COAP_UNAUTHORIZED, .echo = true});
        return;
    }
    q->shared = !q->broker && coap_verdict_shared(client->identity.role, v);
    if (q->shared && v->observe)
        leave_etags(q->message, v);
    if (!q->broker && !q->arrival->group &&
        coap_cache_answers(r, q->client, q->leg, q->message, v, q->shared)) {
        coap_limits_served(r, q);
        return;
    }
    if (!coap_limits_caps(r, q) || !coap_limits_transfers(r, q))
        return;
    q->body = q->message->payload;
    if (!q->broker || !q->uploads) {
        forward(r, q);
    } else if (gather(r, q)) {
        forward(r, q);
        coap_body_drop(r->bodies, slab_handle_of(r->legs, q->leg), q->transfer);
    }
}

static void take_request(struct coap_relays *r, const struct coap_arrival *arrival,
                         const struct coap_message *message)
{
    struct coap_request q = {.arrival = arrival, .message = message, .limited = OUTCOME_ALLOWED};
    coap_count(r, COAP_COUNT_REQUESTS);
    q.client = coap_client_get(r, arrival);
    if (q.client == NULL) {
        r->counters.requests[OUTCOME_NO_RESOURCES]++;
        return;
    }
    struct coap_flight *flight = coap_flight_repeated(r, q.client, message->mid);
    if (flight != NULL) {
        coap_count(r, COAP_COUNT_REPEATED);
        coap_flight_do(flight, coap_exchange_repeated(&flight->x));
        return;
    }
    if (!identify(r, &q))
        return;
    struct coap_message opened;
    uint8_t text[COAP_PROXY_URI_MAX];
    const struct config_listener *listener = &coap_generation(r)->config->listeners[q.client->listener];
    if (listener->proxy_n != 0 && coap_proxy_asked(message) &&
        coap_proxy_open(listener->proxy, listener->proxy_n, message, text, &opened))
        q.message = &opened;
    q.proxied = q.message == &opened;
    judge(r, &q);
}

/* ---- datagrams
 * --------------------------------------------------------------------------------------------- */

static void take_message(struct coap_relays *r, const struct coap_arrival *arrival,
                         const struct coap_message *message)
{
    bool asks = message->type == COAP_CON || message->type == COAP_NON;
    switch (coap_kind_of(message->code)) {
    case COAP_KIND_EMPTY:
        if (message->type == COAP_CON) {
            coap_count(r, COAP_COUNT_PINGS);
            answer_small(r, arrival, message->mid);
        } else if (message->type != COAP_NON) {
            take_empty(r, arrival, message);
        }
        return;
    case COAP_KIND_REQUEST:
        if (asks)
            take_request(r, arrival, message);
        return;
    case COAP_KIND_RESPONSE: /* we ask devices nothing */
    case COAP_KIND_RESERVED:
        coap_count(r, COAP_COUNT_MALFORMED);
        if (message->type == COAP_CON)
            answer_small(r, arrival, message->mid);
        return;
    }
}

/* All CoAP nodes: 224.0.1.187, and ff0x::fd of any scope (s.12.8). */
static bool all_coap_nodes(const struct ip_address *to)
{
    static const uint8_t v6_rest[14] = {[13] = 0xFD};
    if (ip_address_is_v4(to))
        return ip_address_to_v4(to) == UINT32_C(0xE00001BB);
    return to->bytes[0] == 0xFF && (to->bytes[1] & 0xF0) == 0 &&
           memcmp(to->bytes + 2, v6_rest, sizeof(v6_rest)) == 0;
}

/*
 * E6: what was sent to many gets no answer, unless the listener says so; then a GET or FETCH that is not
 * confirmable (s.8.1) is judged like any other and answered from an address of our own, late and only when it
 * went well (s.8.2). Nothing else is ever said to it: no RST, no error, no challenge.
 */
static void take_group(struct coap_relays *r, const struct coap_arrival *arrival)
{
    const struct gateway_config *config = coap_generation(r)->config;
    struct coap_message message;
    struct coap_arrival own = *arrival;
    uint32_t path;
    coap_count(r, COAP_COUNT_GROUP);
    bool answers = arrival->listener < config->listeners_n && config->listeners[arrival->listener].multicast;
    if (!answers || !all_coap_nodes(&arrival->key.local) ||
        coap_parse(&message, arrival->payload) != COAP_PARSE_OK || message.type != COAP_NON ||
        (message.code != COAP_GET && message.code != COAP_FETCH)) {
        tell_protocol(r, arrival, OUTCOME_MULTICAST);
        return;
    }
    if (!r->config.route(r->config.worker, &own.key, &path) || own.key.interface != arrival->key.interface) {
        tell_protocol(r, arrival, OUTCOME_MULTICAST);
        return;
    }
    struct coap_source *source = coap_proofs_get(r->proofs, &own.key.remote, coap_now(r));
    coap_ledger_received(&source->ledger, coap_packet_bytes(&own.key, own.payload.len), coap_now(r));
    take_request(r, &own, &message);
}

void coap_take(struct coap_relays *r, const struct coap_arrival *arrival)
{
    struct coap_message message;
    coap_count(r, COAP_COUNT_DATAGRAMS_UP);
    r->counters.count[COAP_COUNT_BYTES_UP] += arrival->payload.len;
    switch (coap_parse(&message, arrival->payload)) {
    case COAP_PARSE_OK:
        take_message(r, arrival, &message);
        return;
    case COAP_PARSE_FOREIGN:
        coap_count(r, COAP_COUNT_FOREIGN);
        return;
    case COAP_PARSE_CAPPED:
        coap_count(r, COAP_COUNT_CAPPED);
        tell_protocol(r, arrival, OUTCOME_PACKET_TOO_LARGE);
        break;
    case COAP_PARSE_MALFORMED:
    case COAP_PARSE_COUNT:
        coap_count(r, COAP_COUNT_MALFORMED);
        tell_protocol(r, arrival, OUTCOME_MALFORMED);
        break;
    }
    if (message.type == COAP_CON)
        answer_small(r, arrival, message.mid);
}

void coap_relays_from_device(struct coap_relays *r, const struct coap_arrival *arrival)
{
    if (arrival->group && !coap_secure_listener(r, arrival->listener)) {
        coap_count(r, COAP_COUNT_DATAGRAMS_UP);
        r->counters.count[COAP_COUNT_BYTES_UP] += arrival->payload.len;
        take_group(r, arrival);
        return;
    }
    if (coap_secure_listener(r, arrival->listener)) {
        if (arrival->group)
            coap_count(r, COAP_COUNT_GROUP); /* there is no session with many */
        else
            coap_secure_input(r, arrival);
        return;
    }
    struct coap_source *source = coap_proofs_get(r->proofs, &arrival->key.remote, coap_now(r));
    coap_ledger_received(&source->ledger, coap_packet_bytes(&arrival->key, arrival->payload.len),
                         coap_now(r));
    coap_take(r, arrival);
}
