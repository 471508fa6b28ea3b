/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/coap_body.h"
#include "gateway/coap_cache.h"
#include "gateway/coap_group.h"
#include "gateway/coap_mqtt.h"
#include "gateway/peer_facts.h"

#include <stdlib.h>

#define SECRET_TABLES 0
#define SECRET_PROOFS 16
#define SECRET_RANDOM 48
#define SECRET_SESSIONS 64
#define FLIGHTS_PER_CLIENT 4
#define SOURCES_LEAST 65536
#define PREFIXES 4096
#define HOUSEKEEPING_US UINT64_C(1000000)
#define FORGET_BUDGET 256

/* Unpredictable from outside: message ids and tokens are what an off-path attacker has to guess. */
uint64_t coap_random(struct coap_relays *r)
{
    r->random[0]++;
    return siphash_2_4(r->key, r->random, sizeof(r->random));
}

/* ---- bytes that wait -------------------------------------------------------------------------------------
 */

bool coap_keep_bytes(struct coap_relays *r, uint8_t **at, uint16_t *len, const uint8_t *from, size_t n)
{
    uint32_t capacity;
    coap_drop_bytes(r, at, len);
    if (n == 0 || n > COAP_KEEP_MAX)
        return false;
    *at = packet_buffer_get(r->buffers, (uint32_t)n, &capacity);
    if (*at == NULL)
        return false;
    memcpy(*at, from, n);
    *len = (uint16_t)n;
    return true;
}

void coap_drop_bytes(struct coap_relays *r, uint8_t **at, uint16_t *len)
{
    if (*at != NULL)
        packet_buffer_put(r->buffers, *at);
    *at = NULL;
    *len = 0;
}

/* ---- repeated requests are found by client and message id -------------------------------------------------
 */

static uint32_t *repeated_bucket(const struct coap_relays *r, const struct coap_client *client, uint16_t mid)
{
    uint32_t input[2] = {slab_handle_of(r->clients, client).index, mid};
    return &r->repeated[siphash_1_3(r->key, input, sizeof(input)) & r->repeated_mask];
}

void coap_flight_file(struct coap_flight *flight)
{
    struct coap_relays *r = flight->relays;
    uint32_t *bucket = repeated_bucket(r, flight->client, flight->x.mid);
    flight->next = *bucket;
    *bucket = slab_handle_of(r->flights, flight).index;
}

void coap_flight_unfile(struct coap_flight *flight)
{
    struct coap_relays *r = flight->relays;
    uint32_t own = slab_handle_of(r->flights, flight).index;
    uint32_t *link = repeated_bucket(r, flight->client, flight->x.mid);
    while (*link != COAP_NONE && *link != own)
        link = &((struct coap_flight *)slab_at(r->flights, *link))->next;
    if (*link == own)
        *link = flight->next;
}

struct coap_flight *coap_flight_repeated(struct coap_relays *r, const struct coap_client *client,
                                         uint16_t mid)
{
    uint32_t index = *repeated_bucket(r, client, mid);
    while (index != COAP_NONE) {
        struct coap_flight *flight = slab_at(r->flights, index);
        if (flight->client == client && flight->x.mid == mid)
            return flight;
        index = flight->next;
    }
    return NULL;
}

/* ---- tokens ----------------------------------------------------------------------------------------------
 */

bool coap_flight_set_token(struct coap_flight *flight, const struct coap_message *request)
{
    coap_drop_bytes(flight->relays, &flight->token_long, &flight->token_len);
    if (request->token_len > COAP_TOKEN_MAX)
        return coap_keep_bytes(flight->relays, &flight->token_long, &flight->token_len, request->token,
                               request->token_len);
    if (request->token_len != 0)
        memcpy(flight->token, request->token, request->token_len);
    flight->token_len = request->token_len;
    return true;
}

struct bytes coap_flight_token(const struct coap_flight *flight)
{
    return bytes_of(flight->token_long != NULL ? flight->token_long : flight->token, flight->token_len);
}

/* ---- flights ---------------------------------------------------------------------------------------------
 */

static void on_flight_timer(struct timer *timer, uint64_t now_us)
{
    struct coap_flight *flight =
        (struct coap_flight *)(void *)((char *)timer - offsetof(struct coap_flight, timer));
    coap_flight_do(flight, coap_exchange_fire(&flight->x, now_us));
}

static void keep(struct coap_flight *flight)
{
    flight->kept = true;
    flight->client->active--;
    if (flight->prefix != NULL)
        flight->prefix->exchanges--;
    flight->client->kept++;
    TAILQ_INSERT_TAIL(&flight->relays->kept, flight, by_age);
}

static void unkeep(struct coap_flight *flight)
{
    flight->kept = false;
    flight->client->kept--;
    TAILQ_REMOVE(&flight->relays->kept, flight, by_age);
    flight->client->active++;
    if (flight->prefix != NULL)
        flight->prefix->exchanges++;
}

static bool finished(const struct coap_flight *flight)
{
    return flight->leg == NULL && flight->x.replied && flight->x.down_state == COAP_DOWN_DONE;
}

void coap_flight_settle(struct coap_flight *flight)
{
    struct coap_relays *r = flight->relays;
    if (finished(flight) && !flight->kept) {
        coap_drop_bytes(r, &flight->request, &flight->request_len);
        keep(flight);
    } else if (!finished(flight) && flight->kept) {
        unkeep(flight);
    }
    uint64_t due_us = coap_exchange_due_us(&flight->x);
    if (due_us == COAP_NEVER_US)
        timer_stop(r->config.timers, &flight->timer);
    else
        timer_start(r->config.timers, &flight->timer, due_us);
}

void coap_flight_observing(struct coap_flight *flight, bool observing)
{
    if (flight->observing == observing)
        return;
    flight->observing = observing;
    if (observing) {
        flight->client->observations++;
        flight->leg->observations++;
        if (flight->prefix != NULL)
            flight->prefix->observations++;
        coap_count(flight->relays, COAP_COUNT_OBSERVATIONS);
        return;
    }
    flight->client->observations--;
    if (flight->prefix != NULL)
        flight->prefix->observations--;
    if (flight->leg != NULL)
        flight->leg->observations--;
    coap_count(flight->relays, COAP_COUNT_OBSERVATIONS_ENDED);
}

void coap_flight_free(struct coap_flight *flight)
{
    struct coap_relays *r = flight->relays;
    coap_leg_remove(flight);
    timer_stop(r->config.timers, &flight->timer);
    coap_flight_unfile(flight);
    if (flight->kept)
        unkeep(flight);
    flight->client->active--;
    if (flight->prefix != NULL)
        flight->prefix->exchanges--;
    TAILQ_REMOVE(&flight->client->flights, flight, of_client);
    coap_drop_bytes(r, &flight->request, &flight->request_len);
    coap_drop_bytes(r, &flight->reply, &flight->reply_len);
    coap_drop_bytes(r, &flight->token_long, &flight->token_len);
    slab_free(r->flights, flight);
}

static void forget_oldest(struct coap_relays *r)
{
    struct coap_flight *oldest = TAILQ_FIRST(&r->kept);
    if (oldest == NULL)
        return;
    coap_count(r, COAP_COUNT_EXCHANGES_FORGOTTEN);
    coap_flight_free(oldest);
}

/* Of a client that has too many remembered, the oldest goes. */
static void forget_of_client(struct coap_relays *r, struct coap_client *client)
{
    struct coap_flight *flight;
    if (client->kept < COAP_KEPT_MAX)
        return;
    TAILQ_FOREACH (flight, &client->flights, of_client) {
        if (flight->kept) {
            coap_count(r, COAP_COUNT_EXCHANGES_FORGOTTEN);
            coap_flight_free(flight);
            return;
        }
    }
}

struct coap_flight *coap_flight_new(struct coap_relays *r, struct coap_client *client)
{
    forget_of_client(r, client);
    if (slab_used(r->flights) == slab_capacity(r->flights))
        forget_oldest(r);
    struct coap_flight *flight = slab_alloc(r->flights);
    if (flight == NULL)
        return NULL;
    flight->relays = r;
    flight->client = client;
    flight->timer.fire = on_flight_timer;
    flight->next = COAP_NONE;
    client->active++;
    TAILQ_INSERT_TAIL(&client->flights, flight, of_client);
    return flight;
}

/* ---- clients ---------------------------------------------------------------------------------------------
 */

void coap_client_free(struct coap_relays *r, struct coap_client *client)
{
    struct coap_flight *flight;
    while ((flight = TAILQ_FIRST(&client->flights)) != NULL)
        coap_flight_free(flight);
    flow_table_remove(r->by_client, &client->key, flow_table_hash(r->by_client, &client->key));
    TAILQ_REMOVE(&r->silent_clients, client, by_silence);
    slab_free(r->clients, client);
}

void coap_client_move(struct coap_relays *r, struct coap_client *client, const struct flow_key *key)
{
    if (flow_table_insert(r->by_client, key, flow_table_hash(r->by_client, key),
                          slab_handle_of(r->clients, client).index) != 0) {
        coap_client_free(r, client);
        return;
    }
    flow_table_remove(r->by_client, &client->key, flow_table_hash(r->by_client, &client->key));
    client->key = *key;
    client->generation = 0;
}

struct coap_client *coap_client_find(struct coap_relays *r, const struct flow_key *key)
{
    uint32_t index = flow_table_find(r->by_client, key, flow_table_hash(r->by_client, key));
    return index == FLOW_TABLE_NONE ? NULL : slab_at(r->clients, index);
}

/* The one silent for longest of those at the front that have nothing under way. */
static void forget_client(struct coap_relays *r)
{
    struct coap_client *client;
    int looked = 0;
    TAILQ_FOREACH (client, &r->silent_clients, by_silence) {
        if (client->active == 0) {
            coap_count(r, COAP_COUNT_CLIENTS_FORGOTTEN);
            coap_client_free(r, client);
            return;
        }
        if (++looked == 16)
            return;
    }
}

struct coap_client *coap_client_get(struct coap_relays *r, const struct coap_arrival *arrival)
{
    struct coap_client *client = coap_client_find(r, &arrival->key);
    if (client != NULL && client->secure != arrival->secure) { /* the listener was made another */
        coap_client_free(r, client);
        client = NULL;
    }
    if (client == NULL) {
        if (slab_used(r->clients) == slab_capacity(r->clients))
            forget_client(r);
        client = slab_alloc(r->clients);
        if (client == NULL)
            return NULL;
        client->key = arrival->key;
        client->secure = arrival->secure;
        client->next_mid = (uint16_t)coap_random(r);
        TAILQ_INIT(&client->flights);
        if (flow_table_insert(r->by_client, &client->key, flow_table_hash(r->by_client, &client->key),
                              slab_handle_of(r->clients, client).index) != 0) {
            slab_free(r->clients, client);
            return NULL;
        }
    } else {
        TAILQ_REMOVE(&r->silent_clients, client, by_silence);
    }
    TAILQ_INSERT_TAIL(&r->silent_clients, client, by_silence);
    client->heard_us = coap_now(r);
    client->path = arrival->path;
    if (client->listener != arrival->listener || client->listener_gone ||
        client->has_mac != arrival->has_mac || memcmp(client->mac, arrival->mac, sizeof(client->mac)) != 0)
        client->generation = 0; /* somebody else, perhaps */
    if (client->generation != coap_generation(r)->number) {
        client->listener = arrival->listener;
        client->listener_name =
            coap_name_digest(r, coap_generation(r)->config->listeners[arrival->listener].name);
    }
    client->has_mac = arrival->has_mac;
    memcpy(client->mac, arrival->mac, sizeof(client->mac));
    return client;
}

/* The listener keeps its name; its place in the configuration may have changed. */
bool coap_client_listener(const struct coap_relays *r, const struct coap_client *client,
                          const struct gateway_config *config, uint16_t *listener)
{
    for (uint16_t i = 0; i < config->listeners_n; i++)
        if (coap_name_digest(r, config->listeners[i].name) == client->listener_name) {
            *listener = i;
            return true;
        }
    return false;
}

static void find_listener(const struct coap_relays *r, struct coap_client *client)
{
    client->listener = 0;
    client->listener_gone = !coap_client_listener(r, client, coap_generation(r)->config, &client->listener);
}

/* The device of the table at the client's place. */
static const struct policy_device *device_of(const struct coap_client *client,
                                             const struct generation *generation)
{
    return snapshot_device_at(generation->policy, client->has_mac, client->mac, client->key.remote.bytes);
}

struct client_facts coap_client_facts(const struct coap_client *client, const struct generation *generation,
                                      uint16_t at)
{
    const struct config_listener *listener = &generation->config->listeners[at];
    const struct config_interface *interface = &generation->config->interfaces[client->key.interface];
    const struct policy_device *device = device_of(client, generation);
    struct client_facts facts = {.listener = bytes_of_text(listener->name),
                                 .port = bytes_of_text(interface->name),
                                 .vlan = interface->vlan,
                                 .has_mac = client->has_mac,
                                 .client_id = device == NULL ? bytes_of(NULL, 0) : bytes_of_text(device->id)};
    if (client->secure != NULL) { /* it has shown who it is; its place says less */
        peer_facts(dtls_endpoint_peer(client->secure), &facts);
        facts.client_id = facts.psk_id.at != NULL ? facts.psk_id : facts.cert_cn;
    }
    memcpy(facts.mac, client->mac, sizeof(facts.mac));
    memcpy(facts.source, client->key.remote.bytes, sizeof(facts.source));
    return facts;
}

enum outcome coap_client_resolve(const struct coap_client *client, const struct generation *generation,
                                 uint16_t at, struct identity *identity, bool *pinned)
{
    const struct policy_device *device = device_of(client, generation);
    struct client_facts facts = coap_client_facts(client, generation, at);
    enum outcome outcome = identity_resolve(generation->policy, &facts, identity);
    if (device != NULL && device->has_mac &&
        (!client->has_mac || memcmp(device->mac, client->mac, sizeof(device->mac)) != 0)) {
        identity->mismatch = IDENTITY_PART_MAC;
        return OUTCOME_IDENTITY_MISMATCH;
    }
    *pinned = outcome == OUTCOME_ALLOWED && identity->device != NULL && identity->device == device &&
              device->has_mac && device->has_address;
    return outcome;
}

static enum outcome identify(struct coap_relays *r, struct coap_client *client)
{
    client->pinned = false;
    client->identity.role = NULL;
    client->identity.name_len = 0;
    if (client->listener_gone)
        return OUTCOME_NO_LISTENER;
    return coap_client_resolve(client, coap_generation(r), client->listener, &client->identity,
                               &client->pinned);
}

static const struct quarantine *quarantine_of(const struct coap_relays *r)
{
    return r->config.quarantine == NULL ? NULL : *r->config.quarantine;
}

bool coap_arrival_has_rights(struct coap_relays *r, const struct coap_arrival *arrival)
{
    struct coap_client probe = {.key = arrival->key,
                                .listener = arrival->listener,
                                .secure = arrival->secure,
                                .has_mac = arrival->has_mac};
    memcpy(probe.mac, arrival->mac, sizeof(probe.mac));
    return identify(r, &probe) == OUTCOME_ALLOWED && coap_client_quarantined(r, &probe) == NULL;
}

const struct quarantine_entry *coap_client_quarantined(const struct coap_relays *r,
                                                       const struct coap_client *client)
{
    return quarantine_find(quarantine_of(r), bytes_of(client->identity.name, client->identity.name_len));
}

enum outcome coap_client_identify(struct coap_relays *r, struct coap_client *client)
{
    uint32_t generation = coap_generation(r)->number;
    uint64_t quarantine = quarantine_number(quarantine_of(r));
    if (client->generation != generation || client->quarantine != quarantine) {
        client->leg = (struct slab_handle){0};
        if (client->generation != generation)
            find_listener(r, client);
        client->standing = identify(r, client);
        if (client->standing == OUTCOME_ALLOWED && coap_client_quarantined(r, client) != NULL)
            client->standing = OUTCOME_QUARANTINED;
        client->generation = generation;
        client->quarantine = quarantine;
    }
    return client->standing;
}

/* ---- time and policy -------------------------------------------------------------------------------------
 */

static void on_housekeeping(struct timer *timer, uint64_t now_us)
{
    struct coap_relays *r =
        (struct coap_relays *)(void *)((char *)timer - offsetof(struct coap_relays, housekeeping));
    struct coap_client *client;
    for (int i = 0; i < FORGET_BUDGET; i++) {
        client = TAILQ_FIRST(&r->silent_clients);
        if (client == NULL || client->heard_us + COAP_IDLE_US > now_us)
            break;
        if (client->active != 0) { /* it observes, or waits: looked at again later */
            TAILQ_REMOVE(&r->silent_clients, client, by_silence);
            TAILQ_INSERT_TAIL(&r->silent_clients, client, by_silence);
            client->heard_us = now_us;
            continue;
        }
        coap_client_free(r, client);
    }
    coap_leg_expire(r);
    coap_bodies_expire(r->bodies, now_us);
    timer_start(r->config.timers, timer, now_us + HOUSEKEEPING_US);
}

/* ---- birth and death -------------------------------------------------------------------------------------
 */

static uint32_t *buckets(uint32_t objects, uint32_t *mask)
{
    uint32_t n = 64;
    while (n < objects && n < (UINT32_C(1) << 24))
        n *= 2;
    uint32_t *all = malloc((size_t)n * sizeof(*all));
    if (all == NULL)
        return NULL;
    memset(all, 0xFF, (size_t)n * sizeof(*all));
    *mask = n - 1;
    return all;
}

static bool create_tables(struct coap_relays *r)
{
    const struct coap_relays_config *config = &r->config;
    uint32_t flights = config->clients * FLIGHTS_PER_CLIENT;
    uint32_t sources = config->clients * 2 < SOURCES_LEAST ? SOURCES_LEAST : config->clients * 2;
    r->clients = slab_create(config->clients, sizeof(struct coap_client));
    r->legs = slab_create(config->clients, sizeof(struct coap_leg));
    r->flights = slab_create(flights, sizeof(struct coap_flight));
    r->by_client = flow_table_create(config->clients, config->secret + SECRET_TABLES);
    r->by_leg = flow_table_create(config->clients, config->secret + SECRET_TABLES);
    r->buffers = packet_buffers_create(config->buffer_bytes);
    r->proofs = coap_proofs_create(sources, config->secret + SECRET_PROOFS);
    r->dtls = dtls_worker_create(config->clients, config->pool);
    r->sessions = slab_create(config->clients, sizeof(struct coap_mqtt));
    r->groups = slab_create(config->clients, sizeof(struct coap_group));
    r->transfers = slab_create(config->clients, sizeof(struct coap_transfers));
    r->prefixes = coap_prefixes_create(PREFIXES, config->secret + SECRET_TABLES);
    r->topics = slab_create(config->clients, sizeof(struct coap_mqtt_topic));
    r->repeated = buckets(flights, &r->repeated_mask);
    r->named = buckets(config->clients, &r->named_mask);
    r->grouped = buckets(config->clients, &r->named_mask);
    r->cache = r->buffers == NULL ? NULL : coap_cache_create(flights, r->buffers, r->key);
    r->bodies = r->buffers == NULL ? NULL : coap_bodies_create(r->buffers);
    return r->bodies != NULL && r->clients != NULL && r->legs != NULL && r->flights != NULL &&
           r->by_client != NULL && r->by_leg != NULL && r->buffers != NULL && r->proofs != NULL &&
           r->dtls != NULL && r->sessions != NULL && r->topics != NULL && r->groups != NULL &&
           r->transfers != NULL && r->prefixes != NULL && r->repeated != NULL && r->named != NULL &&
           r->grouped != NULL && r->cache != NULL;
}

struct coap_relays *coap_relays_create(const struct coap_relays_config *config)
{
    struct coap_relays *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->config = *config;
    if (config->judged == NULL)
        r->config.judged = &judged_nobody;
    r->key = siphash_key_of(config->secret + SECRET_RANDOM);
    TAILQ_INIT(&r->silent_clients);
    TAILQ_INIT(&r->silent_legs);
    TAILQ_INIT(&r->kept);
    TAILQ_INIT(&r->dirty_sessions);
    TAILQ_INIT(&r->orphans);
    r->housekeeping.fire = on_housekeeping;
    if (!create_tables(r) || !coap_secure_create(r, config->secret + SECRET_SESSIONS)) {
        coap_relays_destroy(r);
        return NULL;
    }
    timer_start(config->timers, &r->housekeeping, coap_now(r) + HOUSEKEEPING_US);
    return r;
}

void coap_relays_destroy(struct coap_relays *r)
{
    if (r == NULL)
        return;
    uint32_t at = 0;
    struct coap_client *client;
    struct coap_leg *leg;
    while (r->clients != NULL && (client = slab_next(r->clients, &at)) != NULL)
        coap_client_free(r, client);
    at = 0;
    while (r->legs != NULL && (leg = slab_next(r->legs, &at)) != NULL)
        coap_leg_free(leg);
    timer_stop(r->config.timers, &r->housekeeping);
    coap_cache_destroy(r->cache);
    coap_bodies_destroy(r->bodies);
    free(r->grouped);
    free(r->named);
    free(r->repeated);
    dtls_server_destroy(r->server);
    dtls_worker_destroy(r->dtls);
    coap_proofs_destroy(r->proofs);
    if (r->buffers != NULL)
        packet_buffers_destroy(r->buffers);
    if (r->by_leg != NULL)
        flow_table_destroy(r->by_leg);
    if (r->by_client != NULL)
        flow_table_destroy(r->by_client);
    if (r->flights != NULL)
        slab_destroy(r->flights);
    if (r->groups != NULL)
        slab_destroy(r->groups);
    if (r->transfers != NULL)
        slab_destroy(r->transfers);
    coap_prefixes_destroy(r->prefixes);
    if (r->topics != NULL)
        slab_destroy(r->topics);
    if (r->sessions != NULL)
        slab_destroy(r->sessions);
    if (r->legs != NULL)
        slab_destroy(r->legs);
    if (r->clients != NULL)
        slab_destroy(r->clients);
    explicit_bzero(r->config.secret, sizeof(r->config.secret));
    free(r);
}

void coap_relays_poll(struct coap_relays *r)
{
    dtls_worker_poll(r->dtls, coap_now(r));
}

uint32_t coap_relays_clients(const struct coap_relays *r)
{
    return slab_used(r->clients);
}

uint32_t coap_relays_exchanges(const struct coap_relays *r)
{
    return slab_used(r->flights);
}

uint32_t coap_relays_legs(const struct coap_relays *r)
{
    return slab_used(r->legs);
}

uint32_t coap_relays_sessions(const struct coap_relays *r)
{
    return dtls_server_endpoints(r->server);
}

const struct coap_relays_counters *coap_relays_counters(struct coap_relays *r)
{
    for (uint32_t i = 0; i < DTLS_SERVER_COUNTER_COUNT; i++)
        r->counters.secure[i] = dtls_server_counter(r->server, (enum dtls_server_counter)i);
    r->counters.count[COAP_COUNT_STATUS_REFUSED] = dtls_worker_status_refused(r->dtls);
    r->counters.count[COAP_COUNT_STATUS_UNCHECKED] = dtls_worker_status_unchecked(r->dtls);
    r->counters.count[COAP_COUNT_DATAGRAMS_LOST] = dtls_worker_lost(r->dtls);
    return &r->counters;
}

void coap_relays_bytes(size_t *client, size_t *leg, size_t *exchange)
{
    *client = sizeof(struct coap_client);
    *leg = sizeof(struct coap_leg);
    *exchange = sizeof(struct coap_flight);
}
