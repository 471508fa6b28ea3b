/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much a client, and all clients of a prefix, may ask (E3, E5, F2). */
#include "gateway/relay_coap_request.h"

#define SECOND_US UINT64_C(1000000)

static const struct config_listener *listener_of(const struct coap_relays *r, const struct coap_request *q)
{
    return &coap_generation(r)->config->listeners[q->client->listener];
}

static const struct policy_limits *limits_of(const struct coap_request *q)
{
    return &q->client->identity.role->limits;
}

/* G6: where the gateway only observes, what is over is told and goes on. */
static bool observes(const struct coap_relays *r, const struct coap_request *q)
{
    return coap_generation(r)->config->observe || q->client->identity.role->mode == POLICY_OBSERVE;
}

static bool over(struct coap_relays *r, struct coap_request *q, enum outcome outcome, uint8_t code,
                 uint32_t max_age_s)
{
    q->limited = outcome;
    q->limit_holds = !observes(r, q);
    if (observes(r, q)) {
        r->counters.requests[outcome]++;
        coap_request_tell(r, q, EVENT_LIMIT_EXCEEDED, outcome, false, 0);
        return true;
    }
    coap_request_refuse(r, q, outcome, code, max_age_s);
    return false;
}

/* ---- rates -----------------------------------------------------------------------------------------------
 */

struct asked {
    enum rate_kind kind;
    uint64_t n;
    enum outcome outcome;
};

static bool rates_hold(struct coap_relays *r, struct coap_request *q, struct rate_buckets *buckets,
                       const struct rates *rates)
{
    uint64_t now_us = coap_now(r);
    const struct asked all[] = {{RATE_REQUESTS, 1, OUTCOME_RATE_REQUESTS},
                                {RATE_BYTES, q->arrival->payload.len, OUTCOME_RATE_BYTES}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (rate_buckets_allow(buckets, rates, all[i].kind, all[i].n, now_us))
            continue;
        bool told = rates->over == POLICY_DELAY || rates->over == POLICY_QUOTA;
        uint64_t wait_us = rate_buckets_ready_us(buckets, rates, all[i].kind, all[i].n, now_us) - now_us;
        return over(r, q, all[i].outcome, told ? COAP_UNAVAILABLE : 0,
                    (uint32_t)((wait_us + SECOND_US - 1) / SECOND_US));
    }
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        rate_buckets_take(buckets, rates, all[i].kind, all[i].n, now_us);
    return true;
}

static bool prefix_limited(const struct config_prefix *prefix)
{
    return rates_limit(&prefix->rates, RATE_REQUESTS) || rates_limit(&prefix->rates, RATE_BYTES) ||
           prefix->exchanges != 0 || prefix->observations != 0;
}

bool coap_limits_rates(struct coap_relays *r, struct coap_request *q)
{
    const struct config_prefix *prefix = &listener_of(r, q)->prefix;
    const struct ip_address *remote = &q->client->key.remote;
    q->prefix = NULL;
    if (prefix_limited(prefix)) {
        q->prefix =
            coap_prefixes_get(r->prefixes, q->client->listener, remote,
                              ip_address_is_v4(remote) ? prefix->v4_bits : prefix->v6_bits, coap_now(r));
        if (q->prefix == NULL) {
            q->limited = OUTCOME_NO_RESOURCES;
            q->limit_holds = true;
            coap_request_refuse(r, q, OUTCOME_NO_RESOURCES, COAP_UNAVAILABLE, 1);
            return false;
        }
        if (!rates_hold(r, q, &q->prefix->rates, &prefix->rates))
            return false;
    }
    return rates_hold(r, q, &q->leg->rates, &limits_of(q)->rates);
}

/* ---- what is under way -----------------------------------------------------------------------------------
 */

bool coap_limits_caps(struct coap_relays *r, struct coap_request *q)
{
    const struct policy_limits *limits = limits_of(q);
    const struct config_prefix *prefix = &listener_of(r, q)->prefix;
    uint32_t under_way = q->leg->flights_n - q->leg->observations;
    bool many = under_way >= limits->exchanges;
    if (q->prefix != NULL && prefix->exchanges != 0)
        many |= q->prefix->exchanges - q->prefix->observations >= prefix->exchanges;
    /* The gateway's own bounds hold while it observes too. */
    if (under_way >= COAP_EXCHANGES_MAX || q->client->active - q->client->observations >= COAP_ACTIVE_MAX) {
        coap_request_refuse(r, q, OUTCOME_EXCHANGE_CAP, COAP_UNAVAILABLE, 1);
        return false;
    }
    if (many && !over(r, q, OUTCOME_EXCHANGE_CAP, COAP_UNAVAILABLE, 1))
        return false;
    bool observers = q->leg->observations >= limits->observations;
    if (q->prefix != NULL && prefix->observations != 0)
        observers |= q->prefix->observations >= prefix->observations;
    if (q->verdict.observe && observers) {
        bool passes = observes(r, q) && q->leg->observations < COAP_OBSERVED_MAX;
        r->counters.requests[OUTCOME_OBSERVATION_CAP]++;
        coap_request_tell(r, q, EVENT_LIMIT_EXCEEDED, OUTCOME_OBSERVATION_CAP, !passes, 0);
        q->verdict.observe = passes;
    }
    return true;
}

/* ---- block-wise transfers --------------------------------------------------------------------------------
 */

/* What tells a transfer from others: endpoint, method, and all options but those that change with the block
 * or say nothing of the body. */
static uint64_t transfer_name(const struct coap_relays *r, const struct coap_request *q)
{
    uint8_t bytes[COAP_MESSAGE_MAX + 8];
    size_t n = 0;
    uint32_t client = slab_handle_of(r->clients, q->client).index;
    memcpy(bytes, &client, sizeof(client));
    n += sizeof(client);
    bytes[n++] = q->message->code;
    for (uint32_t i = 0; i < q->message->options_n; i++) {
        const struct coap_option *option = &q->message->options[i];
        bool names = option->number == COAP_URI_PATH || option->number == COAP_URI_QUERY ||
                     option->number == COAP_CONTENT_FORMAT || option->number == COAP_ACCEPT ||
                     option->number == COAP_REQUEST_TAG;
        if (!names || option->value.len + 4 > sizeof(bytes) - n)
            continue;
        bytes[n++] = (uint8_t)(option->number >> 8);
        bytes[n++] = (uint8_t)option->number;
        bytes[n++] = (uint8_t)(option->value.len >> 8);
        bytes[n++] = (uint8_t)option->value.len;
        if (option->value.len != 0)
            memcpy(bytes + n, option->value.at, option->value.len);
        n += option->value.len;
    }
    return siphash_2_4(r->key, bytes, n) | 1; /* never 0 */
}

static bool block_of(const struct coap_message *message, uint16_t number, struct coap_block *block)
{
    const struct coap_option *option = coap_option_find(message, number);
    return option != NULL && coap_block_parse(option->value, block);
}

static bool transfer_good(struct coap_relays *r, struct coap_request *q, enum coap_transfer_result result)
{
    switch (result) {
    case COAP_TRANSFER_GOOD:
        return true;
    case COAP_TRANSFER_TOO_MANY:
        return over(r, q, OUTCOME_TRANSFER_CAP, COAP_UNAVAILABLE, 10);
    case COAP_TRANSFER_INCOMPLETE:
    case COAP_TRANSFER_TOO_LONG:
        break;
    }
    return over(r, q, OUTCOME_TRANSFER_BROKEN, COAP_INCOMPLETE, COAP_NO_AGE);
}

bool coap_limits_transfers(struct coap_relays *r, struct coap_request *q)
{
    const struct policy_limits *limits = limits_of(q);
    struct coap_block up = {0}, down = {0};
    bool uploads = block_of(q->message, COAP_BLOCK1, &up) && (up.more || up.number > 0);
    bool downloads = !uploads && block_of(q->message, COAP_BLOCK2, &down) && down.number > 0;
    if (!uploads && (q->broker || !downloads))
        return true; /* blocks of a topic's message are cut from memory */
    if (q->leg->transfers == NULL)
        q->leg->transfers = slab_alloc(r->transfers);
    if (q->leg->transfers == NULL) {
        coap_request_refuse(r, q, OUTCOME_NO_RESOURCES, COAP_UNAVAILABLE, 1);
        return false;
    }
    q->transfer = transfer_name(r, q);
    q->uploads = uploads;
    if (uploads)
        return transfer_good(r, q,
                             coap_transfer_up(q->leg->transfers, q->transfer, &up, q->message->payload.len,
                                              limits->transfers, limits->transfer_us, coap_now(r)));
    if ((uint64_t)down.number * down.bytes >= limits->packet_bytes)
        return over(r, q, OUTCOME_PACKET_TOO_LARGE, COAP_FORBIDDEN, COAP_NO_AGE);
    return transfer_good(r, q,
                         coap_transfer_down(q->leg->transfers, q->transfer, limits->transfers,
                                            limits->transfer_us, coap_now(r)));
}

void coap_limits_served(struct coap_relays *r, struct coap_request *q)
{
    struct coap_block block;
    if (q->leg->transfers != NULL && block_of(q->message, COAP_BLOCK2, &block) && block.number > 0)
        coap_transfer_end(q->leg->transfers, transfer_name(r, q));
}
