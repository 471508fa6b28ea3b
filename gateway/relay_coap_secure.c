/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clients that speak DTLS (A5, B2): what dtls_server.h asks and tells. A message of a session goes the way of
 * a datagram, with the session it came in; the client of a session ends with it, and with it what was under
 * way, since a response belongs into the session of its request (RFC 7252 s.9.1.2).
 */
#include "gateway/relay_coap_private.h"

static struct dtls_context *context_at(const struct coap_relays *r, uint32_t listener)
{
    const struct generation *generation = coap_generation(r);
    return listener < generation->config->listeners_n ? generation->listener_dtls[listener] : NULL;
}

static void place_of(const struct dtls_endpoint *endpoint, struct coap_arrival *arrival)
{
    const uint8_t *mac = dtls_endpoint_mac(endpoint);
    *arrival = (struct coap_arrival){.key = *dtls_endpoint_key(endpoint),
                                     .path = dtls_endpoint_path(endpoint),
                                     .listener = (uint16_t)dtls_endpoint_listener(endpoint),
                                     .has_mac = mac != NULL};
    if (mac != NULL)
        memcpy(arrival->mac, mac, sizeof(arrival->mac));
}

static void on_send(void *owner, uint32_t *path, const struct flow_key *key, const uint8_t *datagram,
                    size_t n)
{
    struct coap_relays *r = owner;
    r->config.send(r->config.worker, path, key, datagram, n);
}

static bool on_admit(void *owner, const struct flow_key *key, uint32_t listener)
{
    struct coap_relays *r = owner;
    return r->config.admit == NULL || r->config.admit(r->config.worker, key, (uint16_t)listener);
}

static void on_opened(void *owner, struct dtls_endpoint *endpoint)
{
    struct coap_relays *r = owner;
    struct coap_arrival arrival;
    struct coap_report report = {.kind = EVENT_CONNECTION_ACCEPTED,
                                 .outcome = OUTCOME_ALLOWED,
                                 .enforced = true,
                                 .detail = dtls_endpoint_cipher(endpoint)};
    struct coap_report unchecked = {.kind = EVENT_STATUS_UNCHECKED,
                                    .outcome = OUTCOME_ALLOWED,
                                    .enforced = true,
                                    .detail = dtls_endpoint_unchecked(endpoint)};
    place_of(endpoint, &arrival);
    if (unchecked.detail != NULL)
        coap_tell_arrival(r, &arrival, &unchecked);
    if (coap_generation(r)->config->events.allowed_connect)
        coap_tell_arrival(r, &arrival, &report);
    if (r->config.session != NULL)
        r->config.session(r->config.worker, &arrival.key, true);
}

/* The client goes on from another address: what is kept of it goes along, and who it is there is asked anew
 * with its next message, for its device may be bound to a place. */
static void on_moved(void *owner, struct dtls_endpoint *endpoint, const struct flow_key *old)
{
    struct coap_relays *r = owner;
    struct coap_client *client = coap_client_find(r, old);
    struct coap_arrival arrival;
    char from[IP_ADDRESS_TEXT], detail[EVENT_DETAIL_MAX];
    struct coap_report report = {
        .kind = EVENT_ADDRESS_CHANGED, .outcome = OUTCOME_ALLOWED, .enforced = true, .detail = detail};
    place_of(endpoint, &arrival);
    snprintf(detail, sizeof(detail), "it was at %s, port %u, before", ip_address_format(&old->remote, from),
             old->remote_port);
    if (client != NULL && client->secure == endpoint)
        coap_client_move(r, client, &arrival.key);
    coap_tell_arrival(r, &arrival, &report);
    if (r->config.session != NULL) {
        r->config.session(r->config.worker, old, false);
        r->config.session(r->config.worker, &arrival.key, true);
    }
}

/* What comes from an address that has not been proved is what may be said there. */
static void credit(struct coap_relays *r, const struct coap_arrival *arrival, size_t n)
{
    struct coap_source *source = coap_proofs_get(r->proofs, &arrival->key.remote, coap_now(r));
    coap_ledger_received(&source->ledger, coap_packet_bytes(&arrival->key, n), coap_now(r));
}

static void on_received(void *owner, struct dtls_endpoint *endpoint, const uint8_t *message, size_t n)
{
    struct coap_relays *r = owner;
    struct coap_arrival arrival;
    place_of(endpoint, &arrival);
    arrival.secure = endpoint;
    arrival.payload = bytes_of(message, n);
    if (dtls_endpoint_moved(endpoint))
        credit(r, &arrival, n);
    coap_take(r, &arrival);
}

static void on_closed(void *owner, struct dtls_endpoint *endpoint)
{
    struct coap_relays *r = owner;
    struct coap_client *client = coap_client_find(r, dtls_endpoint_key(endpoint));
    if (client != NULL && client->secure == endpoint)
        coap_client_free(r, client);
    if (r->config.session != NULL)
        r->config.session(r->config.worker, dtls_endpoint_key(endpoint), false);
}

/* A client whose certificate, or key, is not good any more: its session is about to end. */
static void on_lost(void *owner, const struct dtls_endpoint *endpoint, const char *why)
{
    struct coap_relays *r = owner;
    struct coap_arrival arrival;
    const struct tls_peer *peer = dtls_endpoint_peer(endpoint);
    struct coap_report report = {.kind = EVENT_COAP_SESSION_LOST,
                                 .outcome = peer == NULL            ? OUTCOME_RIGHTS_LOST
                                            : peer->has_certificate ? OUTCOME_CERTIFICATE_LOST
                                                                    : OUTCOME_PSK_LOST,
                                 .enforced = true,
                                 .detail = why};
    place_of(endpoint, &arrival);
    coap_tell_arrival(r, &arrival, &report);
}

static void on_failed(void *owner, const struct dtls_endpoint *endpoint, enum dtls_end why,
                      const char *reason)
{
    struct coap_relays *r = owner;
    struct coap_arrival arrival;
    struct coap_report report = {
        .kind = EVENT_TLS_FAILED, .outcome = OUTCOME_CLIENT_TLS, .enforced = true, .detail = reason};
    (void)why;
    place_of(endpoint, &arrival);
    coap_tell_arrival(r, &arrival, &report);
}

static void on_capped(void *owner, const struct flow_key *key, uint32_t listener,
                      enum dtls_server_limit limit)
{
    static const char *const words[] = {[DTLS_LIMIT_ALL] = "too many DTLS handshakes are under way",
                                        [DTLS_LIMIT_SOURCE] =
                                            "too many DTLS handshakes of this address are under way",
                                        [DTLS_LIMIT_TABLE] = "there are too many DTLS sessions"};
    struct coap_relays *r = owner;
    struct coap_arrival arrival = {.key = *key, .listener = (uint16_t)listener};
    struct coap_report report = {.kind = EVENT_LIMIT_EXCEEDED,
                                 .outcome = OUTCOME_HANDSHAKE_CAP,
                                 .enforced = true,
                                 .detail = words[limit]};
    coap_tell_arrival(r, &arrival, &report);
}

/* The listener that a flow of a client belongs to now, by which it is found again when their order has
 * changed: a fixed address goes before all addresses of the port, and these before "any". */
static struct dtls_context *context_now(void *owner, struct dtls_endpoint *endpoint)
{
    struct coap_relays *r = owner;
    const struct gateway_config *config = coap_generation(r)->config;
    const struct flow_key *key = dtls_endpoint_key(endpoint);
    uint32_t best = UINT32_MAX;
    int best_rank = 0;
    for (uint32_t i = 0; i < config->listeners_n; i++) {
        const struct config_listener *listener = &config->listeners[i];
        bool fixed = listener->has_address && memcmp(listener->address, key->local.bytes, 16) == 0;
        int rank = fixed ? 3 : listener->has_address ? 0 : listener->any ? 1 : 2;
        if (listener->protocol != CONFIG_COAP || listener->interface != key->interface ||
            listener->port != key->local_port || rank <= best_rank)
            continue;
        best = i;
        best_rank = rank;
    }
    if (best == UINT32_MAX || config->listeners[best].security != CONFIG_SECURITY_DTLS)
        return NULL;
    dtls_endpoint_set_listener(endpoint, best);
    return context_at(r, best);
}

/* Likewise for a sweep: and nothing for a client that has no rights left and has asked for nothing in a
 * while. Of others the sweep over clients has seen. */
static struct dtls_context *context_after_reload(void *owner, struct dtls_endpoint *endpoint)
{
    struct coap_relays *r = owner;
    struct dtls_context *context = context_now(owner, endpoint);
    struct coap_arrival arrival;
    if (context == NULL || dtls_endpoint_peer(endpoint) == NULL ||
        coap_client_find(r, dtls_endpoint_key(endpoint)) != NULL)
        return context;
    place_of(endpoint, &arrival);
    arrival.secure = endpoint;
    return coap_arrival_has_rights(r, &arrival) ? context : NULL;
}

static const struct dtls_server_handler server_handler = {.send = on_send,
                                                          .admit = on_admit,
                                                          .opened = on_opened,
                                                          .received = on_received,
                                                          .moved = on_moved,
                                                          .closed = on_closed,
                                                          .lost = on_lost,
                                                          .failed = on_failed,
                                                          .capped = on_capped,
                                                          .current = context_now};

bool coap_secure_create(struct coap_relays *r, const uint8_t secret[48])
{
    struct dtls_server_config config = {.endpoints = r->config.clients,
                                        .handshakes = r->config.dtls_handshakes,
                                        .handshakes_per_source = r->config.dtls_handshakes_per_source,
                                        .idle_us = r->config.dtls_idle_us,
                                        .worker_index = r->config.worker_index,
                                        .workers = r->config.workers,
                                        .worker = r->dtls,
                                        .timers = r->config.timers,
                                        .now_us = r->config.now_us,
                                        .handler = &server_handler,
                                        .owner = r};
    memcpy(config.secret, secret, sizeof(config.secret));
    r->server = dtls_server_create(&config);
    explicit_bzero(config.secret, sizeof(config.secret));
    return r->server != NULL;
}

bool coap_secure_listener(const struct coap_relays *r, uint16_t listener)
{
    const struct gateway_config *config = coap_generation(r)->config;
    return listener < config->listeners_n && config->listeners[listener].security == CONFIG_SECURITY_DTLS;
}

void coap_secure_input(struct coap_relays *r, const struct coap_arrival *arrival)
{
    struct dtls_context *context = context_at(r, arrival->listener);
    struct dtls_arrival in = {.key = arrival->key,
                              .path = arrival->path,
                              .listener = arrival->listener,
                              .has_mac = arrival->has_mac,
                              .datagram = arrival->payload.at,
                              .n = arrival->payload.len};
    memcpy(in.mac, arrival->mac, sizeof(in.mac));
    in.datagram_max = r->config.datagram_max(r->config.worker, &arrival->key, arrival->path);
    if (context != NULL)
        dtls_server_input(r->server, context, &in);
}

bool coap_secure_sweep(struct coap_relays *r, uint32_t budget)
{
    return dtls_server_sweep(r->server, budget, context_after_reload);
}
