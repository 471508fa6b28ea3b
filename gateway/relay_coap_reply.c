/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What devices are sent. Every datagram toward an address that has not proved itself is paid from its ledger
 * (E4); what it cannot pay is not sent. A reply that is too large for it becomes a challenge where the
 * request may be carried out twice, and its bare code where it may not.
 */
#include "policy/coap/build.h"

#include "gateway/relay_coap_private.h"

#define IP4_UDP_BYTES 28
#define IP6_UDP_BYTES 48
/* Room for a header and the few options of what we answer ourselves. */
#define SMALL_BYTES 64
#define BLOCK1_BYTES 5

uint32_t coap_packet_bytes(const struct flow_key *key, size_t n)
{
    return (uint32_t)n + (ip_address_is_v4(&key->remote) ? IP4_UDP_BYTES : IP6_UDP_BYTES);
}

/* A session has proved its address before it was one, unless it has come to another with it. */
static bool counted(const struct dtls_endpoint *secure)
{
    return secure == NULL || dtls_endpoint_moved(secure);
}

static size_t record_bytes(struct coap_way way)
{
    return way.secure == NULL ? 0 : DTLS_RECORD_OVERHEAD;
}

static bool affordable(struct coap_relays *r, struct coap_way way, size_t n)
{
    if (!counted(way.secure))
        return true;
    struct coap_source *source = coap_proofs_get(r->proofs, &way.key->remote, coap_now(r));
    return coap_ledger_allows(&source->ledger, coap_packet_bytes(way.key, n + record_bytes(way)),
                              coap_now(r));
}

bool coap_send_down(struct coap_relays *r, struct coap_way way, const uint8_t *bytes, size_t n)
{
    if (!affordable(r, way, n) || (way.secure != NULL && !dtls_endpoint_write(way.secure, bytes, n))) {
        coap_count(r, COAP_COUNT_HELD_BACK);
        return false;
    }
    coap_count(r, COAP_COUNT_DATAGRAMS_DOWN);
    r->counters.count[COAP_COUNT_BYTES_DOWN] += n;
    if (!counted(way.secure))
        return true;
    struct coap_source *source = coap_proofs_get(r->proofs, &way.key->remote, coap_now(r));
    coap_ledger_sent(&source->ledger, coap_packet_bytes(way.key, n + record_bytes(way)), coap_now(r));
    if (way.secure == NULL)
        r->config.send(r->config.worker, way.path, way.key, bytes, n);
    return true;
}

void coap_send_empty_down(struct coap_relays *r, struct coap_way way, enum coap_type type, uint16_t mid)
{
    uint8_t message[COAP_HEADER_BYTES];
    coap_send_down(r, way, message, coap_build_empty(message, type, mid));
}

/* RFC 7967 s.2.1: bit k-1 of the option stands for class k. */
static bool unwanted(uint8_t no_response, uint8_t code)
{
    return (no_response >> (COAP_CODE_CLASS(code) - 1) & 1) != 0;
}

void coap_refuse(struct coap_relays *r, struct coap_client *client, const struct coap_message *request,
                 const struct coap_refusal *refusal)
{
    uint8_t message[COAP_MESSAGE_MAX + SMALL_BYTES];
    uint8_t value[COAP_ECHO_BYTES];
    struct coap_writer w;
    bool confirmable = request->type == COAP_CON;
    if (unwanted(refusal->no_response, refusal->code)) {
        if (confirmable)
            coap_send_empty_down(r, coap_way_to(client), COAP_ACK, request->mid);
        return;
    }
    coap_build_start(&w, message, sizeof(message), confirmable ? COAP_ACK : COAP_NON, refusal->code,
                     confirmable ? request->mid : client->next_mid++, request->token, request->token_len);
    if (refusal->ages)
        coap_build_uint(&w, COAP_MAX_AGE, refusal->max_age_s);
    if (refusal->has_block1)
        coap_build_uint(&w, COAP_BLOCK1, refusal->block1);
    if (refusal->size1 != 0)
        coap_build_uint(&w, COAP_SIZE1, refusal->size1);
    if (refusal->echo) {
        coap_count(r, COAP_COUNT_CHALLENGES);
        coap_echo_make(r->proofs, &client->key.remote, coap_now(r), value);
        coap_build_option(&w, COAP_ECHO, bytes_of(value, sizeof(value)));
    }
    coap_send_down(r, coap_way_to(client), message, coap_build_end(&w));
}

/* Sends a reply that is written with any type and message id, and keeps it for repeats. */
static void reply(struct coap_flight *flight, uint8_t *message, size_t n, bool reliable)
{
    struct coap_relays *r = flight->relays;
    struct coap_client *client = flight->client;
    uint64_t random = coap_random(r);
    bool silent = unwanted(flight->no_response, message[1]);
    if (silent && !(flight->x.confirmable && flight->x.down_state == COAP_DOWN_PENDING)) {
        flight->suppressed = true;
        reliable = false;
    }
    struct coap_reply_form form =
        coap_exchange_reply(&flight->x, reliable, client->next_mid++, (uint16_t)random, coap_now(r));
    if (silent && form.type == COAP_ACK)
        n = coap_build_empty(message, COAP_ACK, form.mid);
    else
        coap_build_retype(message, form.type, form.mid);
    coap_keep_bytes(r, &flight->reply, &flight->reply_len, message, n);
    if (form.now && !flight->suppressed && flight->group_sent)
        coap_exchange_delay(&flight->x, coap_now(r) + (COAP_LEISURE_US * (uint16_t)(random >> 16) >> 16));
    else if (form.now && !flight->suppressed)
        coap_send_down(r, coap_way_to(client), message, n);
}

void coap_reply_own(struct coap_flight *flight, uint8_t code)
{
    uint8_t message[COAP_HEADER_BYTES + 2 + COAP_TOKEN_KEPT_MAX + BLOCK1_BYTES];
    struct bytes token = coap_flight_token(flight);
    struct coap_writer w;
    coap_build_start(&w, message, sizeof(message), COAP_NON, code, 0, token.at, (uint16_t)token.len);
    if (flight->block1 != 0)
        coap_build_uint(&w, COAP_BLOCK1, flight->block1 - 1);
    reply(flight, message, coap_build_end(&w), COAP_CODE_CLASS(code) == 2);
}

static void reply_challenge(struct coap_flight *flight)
{
    struct coap_relays *r = flight->relays;
    uint8_t message[SMALL_BYTES + COAP_TOKEN_KEPT_MAX];
    uint8_t value[COAP_ECHO_BYTES];
    struct bytes token = coap_flight_token(flight);
    struct coap_writer w;
    coap_count(r, COAP_COUNT_CHALLENGES);
    coap_proofs_get(r->proofs, &flight->client->key.remote, coap_now(r))->too_large = flight->asked;
    coap_echo_make(r->proofs, &flight->client->key.remote, coap_now(r), value);
    coap_build_start(&w, message, sizeof(message), COAP_NON, COAP_UNAUTHORIZED, 0, token.at,
                     (uint16_t)token.len);
    coap_build_option(&w, COAP_ECHO, bytes_of(value, sizeof(value)));
    reply(flight, message, coap_build_end(&w), false);
}

/* A device that is pinned to its wire is there; of others it is asked, by making a notification confirmable,
 * before what they have shown runs out. */
static bool proof_ends(struct coap_flight *flight)
{
    struct coap_relays *r = flight->relays;
    if (!counted(flight->client->secure))
        return false;
    struct coap_source *source = coap_proofs_get(r->proofs, &flight->client->key.remote, coap_now(r));
    if (flight->client->pinned)
        coap_ledger_prove(&source->ledger, coap_now(r));
    return !coap_ledger_proved(&source->ledger, coap_now(r) + COAP_PROOF_US / 2);
}

void coap_reply_message(struct coap_flight *flight, uint8_t *message, size_t n, bool reliable)
{
    bool ends = proof_ends(flight);
    if (affordable(flight->relays, coap_way_to(flight->client), n))
        reply(flight, message, n, reliable || ends);
    else if (coap_repeatable(flight->method))
        reply_challenge(flight);
    else
        coap_reply_own(flight, message[1]);
}

void coap_reply_at_once(struct coap_relays *r, struct coap_client *client, const struct coap_message *request,
                        const struct coap_verdict *verdict, const uint8_t *message, size_t n)
{
    if (unwanted(verdict->no_response, message[1])) {
        if (request->type == COAP_CON)
            coap_send_empty_down(r, coap_way_to(client), COAP_ACK, request->mid);
    } else if (affordable(r, coap_way_to(client), n)) {
        coap_send_down(r, coap_way_to(client), message, n);
    } else {
        coap_refuse(r, client, request, &(struct coap_refusal){.code = COAP_UNAUTHORIZED, .echo = true});
    }
}

void coap_reply_response(struct coap_flight *flight, const struct coap_message *response,
                         const struct coap_verdict *verdict)
{
    uint8_t message[COAP_MESSAGE_MAX];
    struct bytes token = coap_flight_token(flight);
    size_t n = coap_guard_rebuild(response, verdict, bytes_of(NULL, 0), COAP_NON, 0, token.at,
                                  (uint16_t)token.len, message, sizeof(message));
    if (n == 0) {
        coap_reply_own(flight, COAP_BAD_GATEWAY);
        return;
    }
    /* A notification is as reliable as the upstream made it, a first answer as the client asked. */
    coap_reply_message(flight, message, n, !flight->x.replied || response->type == COAP_CON);
}

void coap_reply_again(struct coap_flight *flight)
{
    struct coap_client *client = flight->client;
    if (flight->reply == NULL || flight->suppressed)
        return;
    coap_count(flight->relays, COAP_COUNT_SENT_AGAIN_DOWN);
    if (!flight->x.piggybacked && flight->x.down_state == COAP_DOWN_SENT)
        coap_build_retype(flight->reply, COAP_CON, flight->x.down.mid);
    coap_send_down(flight->relays, coap_way_to(client), flight->reply, flight->reply_len);
}
