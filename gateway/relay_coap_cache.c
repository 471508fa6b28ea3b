/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the relays meet the cache: requests that it answers, responses that it keeps (E5). */
#include "gateway/coap_cache.h"

#include "gateway/relay_coap_private.h"

uint64_t coap_cache_limit(const struct coap_leg *leg)
{
    const struct config_upstream *upstream = coap_leg_upstream(leg);
    return upstream == NULL ? 0 : upstream->cache_bytes;
}

static void name_request(const struct coap_leg *leg, bool shared, const struct coap_message *request,
                         struct coap_cache_name *name)
{
    coap_cache_name(leg->relays->cache, leg->upstream, shared ? "" : leg->identity, request, name);
}

static void serve(struct coap_relays *r, struct coap_client *client, const struct coap_message *message,
                  const struct coap_verdict *verdict, const struct coap_cached *entry)
{
    uint8_t answer[COAP_MESSAGE_MAX + COAP_TOKEN_KEPT_MAX];
    struct coap_message kept;
    bool confirmable = message->type == COAP_CON;
    bool valid = coap_cache_has_etag(message, entry->etag, entry->etag_len);
    coap_cached_message(entry, &kept);
    size_t n = coap_cache_serve(&kept, bytes_of(message->token, message->token_len), valid, -1,
                                coap_cached_left_s(entry, coap_now(r)), confirmable ? COAP_ACK : COAP_NON,
                                confirmable ? message->mid : client->next_mid++, answer, sizeof(answer));
    if (n != 0)
        coap_reply_at_once(r, client, message, verdict, answer, n);
}

bool coap_cache_answers(struct coap_relays *r, struct coap_client *client, const struct coap_leg *leg,
                        const struct coap_message *message, struct coap_verdict *verdict, bool shared)
{
    uint8_t bytes[COAP_MESSAGE_MAX];
    struct coap_message request;
    struct coap_cache_name name;
    if (!coap_cache_method(message->code) || verdict->observe || verdict->observe_ends ||
        coap_cache_limit(leg) == 0)
        return false;
    size_t n =
        coap_guard_rebuild(message, verdict, bytes_of(NULL, 0), COAP_NON, 0, NULL, 0, bytes, sizeof(bytes));
    if (n == 0 || coap_parse(&request, bytes_of(bytes, n)) != COAP_PARSE_OK)
        return false;
    name_request(leg, shared, &request, &name);
    const struct coap_cached *entry = coap_cache_find(r->cache, &name);
    if (entry != NULL && coap_now(r) < entry->fresh_until_us) {
        coap_count(r, COAP_COUNT_CACHE_HITS);
        serve(r, client, message, verdict, entry);
        return true;
    }
    coap_count(r, COAP_COUNT_CACHE_MISSES);
    if (entry != NULL && entry->etag_len != 0) {
        verdict->etag_len = entry->etag_len;
        memcpy(verdict->etag, entry->etag, sizeof(verdict->etag));
    }
    return false;
}

/* s.5.6.2: it still holds, so the client is sent what is kept, or told that what it has is good. */
static void validated(struct coap_flight *flight, struct coap_cached *entry,
                      const struct coap_message *response)
{
    uint8_t message[COAP_MESSAGE_MAX + COAP_TOKEN_KEPT_MAX];
    struct coap_message kept;
    uint64_t now_us = coap_now(flight->relays);
    coap_count(flight->relays, COAP_COUNT_CACHE_VALIDATED);
    coap_cache_renew(entry, coap_cache_freshness(response).max_age_s, now_us);
    coap_cached_message(entry, &kept);
    size_t n = coap_cache_serve(&kept, coap_flight_token(flight), flight->has_etag, -1,
                                coap_cached_left_s(entry, now_us), COAP_NON, 0, message, sizeof(message));
    if (n == 0)
        coap_reply_own(flight, COAP_BAD_GATEWAY);
    else
        coap_reply_message(flight, message, n, !flight->x.replied);
}

bool coap_cache_takes(struct coap_flight *flight, const struct coap_message *response,
                      const struct coap_verdict *verdict)
{
    struct coap_relays *r = flight->relays;
    uint8_t kept[COAP_MESSAGE_MAX];
    struct coap_message request;
    struct coap_cache_name name;
    if (!flight->cacheable || flight->leg == NULL || flight->request == NULL ||
        coap_parse(&request, bytes_of(flight->request, flight->request_len)) != COAP_PARSE_OK)
        return false;
    if (coap_cache_changes(flight->method, response->code))
        coap_cache_changed(r->cache, flight->leg->upstream, &request, coap_now(r));
    if (!coap_cache_method(flight->method) ||
        (flight->method == COAP_FETCH && coap_option_find(response, COAP_BLOCK2) != NULL))
        return false;
    name_request(flight->leg, flight->shared, &request, &name);
    struct coap_freshness freshness = coap_cache_freshness(response);
    if (response->code == COAP_VALID && flight->validates) {
        struct coap_cached *entry = coap_cache_find(r->cache, &name);
        if (entry != NULL && bytes_equal(bytes_of(entry->etag, entry->etag_len),
                                         bytes_of(freshness.etag, freshness.etag_len))) {
            validated(flight, entry, response);
            return true;
        }
        if (flight->has_etag)
            return false;                         /* the client can make something of it */
        coap_reply_own(flight, COAP_UNAVAILABLE); /* what it is about has made room meanwhile */
        return true;
    }
    if (freshness.keeps)
        coap_cache_put(r->cache, &name, kept, coap_cache_keep(response, verdict, kept, sizeof(kept)),
                       &freshness, coap_cache_limit(flight->leg), coap_now(r));
    return false;
}
