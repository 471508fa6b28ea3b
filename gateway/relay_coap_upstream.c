/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What upstreams send, and carrying out what the exchange asks for. */
#include "policy/coap/build.h"

#include "gateway/coap_group.h"

static void send_empty(struct coap_leg *leg, enum coap_type type, uint16_t mid)
{
    uint8_t message[COAP_HEADER_BYTES];
    coap_leg_send(leg, message, coap_build_empty(message, type, mid));
}

/* ---- carrying out
 * ------------------------------------------------------------------------------------------- */

/* The upstream will not answer this one: the client is told, and the leg learns of it. */
static void fail(struct coap_flight *flight)
{
    struct coap_relays *r = flight->relays;
    struct coap_leg *leg = flight->leg;
    bool reset = flight->x.reset;
    coap_count(r, reset ? COAP_COUNT_RESETS : COAP_COUNT_TIMEOUTS);
    coap_leg_remove(flight);
    coap_reply_own(flight, reset ? COAP_BAD_GATEWAY : COAP_GATEWAY_TIMEOUT);
    coap_flight_settle(flight);
    if (leg == NULL)
        return;
    if (!reset && !leg->answered && flight->x.confirmable)
        coap_leg_fail(leg, OUTCOME_UPSTREAM_TIMEOUT, COAP_GATEWAY_TIMEOUT, true,
                      "the server does not answer");
    else
        coap_leg_turn(leg);
}

/* Two repeats in vain over a DTLS session on which nothing has come since: the server may have lost it. */
static bool forgotten(const struct coap_flight *flight)
{
    const struct coap_leg *leg = flight->leg;
    return leg->dtls != NULL && leg->ready && flight->x.up.sent_again == 2 &&
           leg->heard_us + COAP_ACK_TIMEOUT_US < coap_now(flight->relays);
}

void coap_flight_do(struct coap_flight *flight, unsigned int todo)
{
    struct coap_relays *r = flight->relays;
    if ((todo & COAP_DO_FORGET) != 0) {
        coap_flight_free(flight);
        return;
    }
    if ((todo & COAP_DO_DOWN_ACK) != 0)
        coap_send_empty_down(r, coap_way_to(flight->client), COAP_ACK, flight->x.mid);
    if ((todo & COAP_DO_DOWN_REPLY) != 0)
        coap_reply_again(flight);
    if ((todo & COAP_DO_UP_REQUEST) != 0 && flight->leg != NULL) {
        coap_count(r, COAP_COUNT_SENT_AGAIN_UP);
        if (forgotten(flight))
            coap_leg_redial(flight->leg);
        else
            coap_leg_send(flight->leg, flight->request, flight->request_len);
    }
    if ((todo & COAP_DO_LANDED) != 0)
        coap_leg_landed(flight);
    if ((todo & COAP_DO_FAIL) != 0) {
        fail(flight);
        return;
    }
    if ((todo & COAP_DO_END_OBSERVE) != 0) {
        /* Should this be lost, its next notification gets a RST (RFC 7641 s.3.6). */
        coap_leg_cancel(flight);
        coap_leg_remove(flight);
        coap_exchange_stop_up(&flight->x);
    }
    coap_flight_settle(flight);
}

/* ---- messages of the upstream
 * -------------------------------------------------------------------------------- */

static struct coap_flight *flying_with(const struct coap_leg *leg, uint16_t mid)
{
    struct coap_flight *flight;
    TAILQ_FOREACH (flight, &leg->flying, of_leg)
        if (flight->x.up.mid == mid)
            return flight;
    TAILQ_FOREACH (flight, &leg->landed, of_leg)
        if (!flight->x.confirmable && flight->x.up_state == COAP_UP_ACKED && flight->x.up.mid == mid)
            return flight; /* a NON that is not outstanding any more may be reset all the same */
    return NULL;
}

static void take_empty(struct coap_leg *leg, const struct coap_message *message)
{
    struct coap_relays *r = leg->relays;
    struct coap_flight *flight;
    if (message->type == COAP_CON) {
        send_empty(leg, COAP_RST, message->mid); /* a ping */
        return;
    }
    flight = flying_with(leg, message->mid);
    if (flight == NULL || message->type == COAP_NON)
        return;
    if (message->type == COAP_RST) {
        coap_flight_do(flight, coap_exchange_up_rst(&flight->x, message->mid));
    } else if (coap_exchange_up_ack(&flight->x, message->mid, coap_now(r))) {
        if (!flight->observe && !flight->cacheable)
            coap_drop_bytes(r, &flight->request, &flight->request_len);
        coap_leg_landed(flight);
        coap_flight_settle(flight);
    }
}

static struct coap_flight *flight_of(const struct coap_leg *leg, const struct coap_message *message)
{
    uint32_t index;
    if (message->token_len != COAP_UP_TOKEN)
        return NULL;
    memcpy(&index, message->token, sizeof(index));
    struct coap_flight *flight = slab_at(leg->relays->flights, index);
    if (flight == NULL || flight->leg != leg || memcmp(flight->up_token, message->token, COAP_UP_TOKEN) != 0)
        return NULL;
    return flight;
}

/* Nothing is known of it, or no more: a RST ends retransmissions, and observations that we have ended. */
static void take_stray(struct coap_leg *leg, const struct coap_message *message)
{
    coap_count(leg->relays, COAP_COUNT_STRAY_UP);
    if (message->type == COAP_CON || message->type == COAP_NON)
        send_empty(leg, COAP_RST, message->mid);
}

/* The last block, or an upload that is not wanted. */
static void end_transfer(struct coap_flight *flight, const struct coap_message *message)
{
    const struct coap_option *block2 = coap_option_find(message, COAP_BLOCK2);
    struct coap_block block = {.more = false};
    if (flight->transfer == 0 || flight->leg == NULL || flight->leg->transfers == NULL)
        return;
    if (block2 != NULL)
        (void)coap_block_parse(block2->value, &block);
    if (flight->uploads ? COAP_CODE_CLASS(message->code) > 2 : !block.more)
        coap_transfer_end(flight->leg->transfers, flight->transfer);
}

static void answer(struct coap_flight *flight, const struct coap_message *message,
                   struct coap_verdict *verdict)
{
    struct coap_relays *r = flight->relays;
    bool more = flight->x.up_state == COAP_UP_OBSERVING;
    r->counters.responses[verdict->outcome]++;
    coap_count(r, flight->x.replied ? COAP_COUNT_NOTIFICATIONS : COAP_COUNT_RESPONSES);
    if (more)
        coap_flight_observing(flight, true);
    if (flight->group != NULL && verdict->observe) {
        verdict->renumbered = true;
        verdict->sequence = coap_group_next(flight->group);
    }
    if (verdict->outcome == OUTCOME_ALLOWED) {
        if (!coap_cache_takes(flight, message, verdict))
            coap_reply_response(flight, message, verdict);
    } else {
        struct coap_report report = {.kind = EVENT_PROTOCOL_ERROR,
                                     .outcome = verdict->outcome,
                                     .enforced = true,
                                     .method = flight->method,
                                     .code = COAP_BAD_GATEWAY,
                                     .detail = "the upstream's response"};
        coap_tell(r, flight->client, &report);
        coap_reply_own(flight, COAP_BAD_GATEWAY);
        more = false;
    }
    end_transfer(flight, message);
    coap_group_tell(flight, message, verdict, more);
    if (!more) {
        coap_exchange_stop_up(&flight->x);
        struct coap_leg *leg = flight->leg;
        coap_leg_remove(flight);
        coap_flight_settle(flight);
        if (leg != NULL)
            coap_leg_turn(leg);
        return;
    }
    coap_leg_landed(flight);
    coap_flight_settle(flight);
}

static void take_response(struct coap_leg *leg, const struct coap_message *message)
{
    struct coap_relays *r = leg->relays;
    struct coap_flight *flight = flight_of(leg, message);
    struct coap_verdict verdict;
    if (flight == NULL) {
        take_stray(leg, message);
        return;
    }
    coap_guard_response(message, flight->observe, &verdict);
    unsigned int todo = coap_exchange_up_response(&flight->x, (enum coap_type)message->type, message->mid,
                                                  verdict.observe, verdict.sequence, coap_now(r));
    if ((todo & COAP_DO_UP_ACK) != 0)
        send_empty(leg, COAP_ACK, message->mid);
    if ((todo & COAP_DO_TAKE) != 0)
        answer(flight, message, &verdict);
}

static void note_answer(struct coap_leg *leg)
{
    leg->heard_us = coap_now(leg->relays);
    leg->unheard_bytes = 0;
    leg->failures = 0;
    if (leg->answered)
        return;
    leg->answered = true;
    coap_leg_result(leg, true);
}

void coap_leg_received(struct coap_leg *leg, struct bytes payload)
{
    struct coap_message message;
    enum coap_parse_result parsed = coap_parse(&message, payload);
    if (parsed != COAP_PARSE_OK) {
        coap_count(leg->relays, COAP_COUNT_MALFORMED_DOWN);
        if (parsed != COAP_PARSE_FOREIGN && message.type == COAP_CON)
            send_empty(leg, COAP_RST, message.mid);
        return;
    }
    note_answer(leg);
    switch (coap_kind_of(message.code)) {
    case COAP_KIND_EMPTY:
        take_empty(leg, &message);
        return;
    case COAP_KIND_RESPONSE:
        take_response(leg, &message);
        return;
    case COAP_KIND_REQUEST: /* nobody behind us is asked anything */
    case COAP_KIND_RESERVED:
        coap_count(leg->relays, COAP_COUNT_STRAY_UP);
        if (message.type == COAP_CON)
            send_empty(leg, COAP_RST, message.mid);
        return;
    }
}
