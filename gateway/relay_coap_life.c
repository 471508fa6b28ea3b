/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a new policy, a quarantine or a kick does to clients and sessions that live; and what is told of them.
 */
#include "gateway/coap_group.h"
#include "gateway/coap_mqtt.h"
#include "gateway/peer_facts.h"

/* What was everybody's is so no more: the flight registers for itself. */
static void go_alone(struct coap_flight *flight)
{
    bool led = flight->group->leader == flight;
    coap_group_leave(flight);
    if (led)
        return;
    coap_flight_register(flight);
    coap_leg_turn(flight->leg);
}

/* Whether what the client observes is still allowed, judged by the request as it was sent. */
static bool still_allowed(struct coap_relays *r, struct coap_client *client, struct coap_flight *flight)
{
    struct coap_message request;
    struct coap_verdict verdict;
    if (coap_client_identify(r, client) != OUTCOME_ALLOWED || flight->request == NULL ||
        strcmp(flight->leg->identity, client->identity.name) != 0)
        return false;
    if (flight->mapped)
        return coap_mqtt_still_allowed(flight);
    if (coap_parse(&request, bytes_of(flight->request, flight->request_len)) != COAP_PARSE_OK)
        return false;
    coap_guard_request(client->identity.role, &client->identity.values, coap_generation(r)->config->observe,
                       client->key.local_port, &request, &verdict);
    if (flight->group != NULL && !coap_verdict_shared(client->identity.role, &verdict))
        go_alone(flight);
    return coap_verdict_passes(&verdict) && verdict.observe;
}

/* What is under way with the upstream ends here; the client gets `code`. */
static void take_back(struct coap_flight *flight, uint8_t code)
{
    coap_leg_cancel(flight);
    coap_leg_remove(flight);
    coap_exchange_stop_up(&flight->x);
    coap_reply_own(flight, code);
    coap_flight_settle(flight);
}

static void kick_client(struct coap_client *client, enum outcome why)
{
    struct coap_flight *flight = TAILQ_FIRST(&client->flights);
    while (flight != NULL) {
        struct coap_flight *next = TAILQ_NEXT(flight, of_client);
        if (flight->leg != NULL)
            take_back(flight, why == OUTCOME_QUARANTINED ? COAP_FORBIDDEN : COAP_UNAVAILABLE);
        flight = next;
    }
}

/* Who had rights and has none left: what is under way ends, and the sessions on both sides that were its own.
 */
static void cast_out(struct coap_client *client, struct coap_leg *leg)
{
    kick_client(client, OUTCOME_QUARANTINED);
    if (leg != NULL && leg->flights_n == 0)
        coap_leg_hang_up(leg);
    if (client->secure != NULL)
        dtls_endpoint_close(client->secure); /* the client goes with it */
}

static void sweep_client(struct coap_relays *r, struct coap_client *client)
{
    struct coap_leg *leg = slab_resolve(r->legs, client->leg);
    bool had_rights = client->generation != 0 && client->standing == OUTCOME_ALLOWED;
    if (coap_client_identify(r, client) != OUTCOME_ALLOWED && had_rights) {
        cast_out(client, leg);
        return;
    }
    struct coap_flight *flight = TAILQ_FIRST(&client->flights);
    while (flight != NULL) {
        struct coap_flight *next = TAILQ_NEXT(flight, of_client);
        if (flight->observing && !still_allowed(r, client, flight)) {
            r->counters.count[COAP_COUNT_OBSERVATIONS_TAKEN_BACK]++;
            take_back(flight, COAP_FORBIDDEN);
        }
        flight = next;
    }
}

bool coap_relays_facts(struct coap_relays *r, struct bytes name, uint32_t *position, uint32_t budget,
                       struct session_facts *out)
{
    if (*position == 0)
        out->found = false;
    for (; budget > 0; budget--) {
        struct coap_client *client = slab_next(r->clients, position);
        if (client == NULL)
            return true;
        coap_client_identify(r, client);
        if (client->listener_gone || client->identity.name_len == 0 ||
            (out->found && out->heard_us > client->heard_us) ||
            !bytes_equal(bytes_of(client->identity.name, client->identity.name_len), name))
            continue;
        struct client_facts facts = coap_client_facts(client, coap_generation(r), client->listener);
        session_facts_take(out, &facts);
        out->heard_us = client->heard_us;
    }
    return false;
}

bool coap_relays_kick(struct coap_relays *r, struct relay_kick *kick, uint32_t budget)
{
    for (; budget > 0; budget--) {
        struct coap_client *client = slab_next(r->clients, &kick->position);
        if (client == NULL)
            return true;
        if (client->identity.name_len == 0 || (client->active == 0 && client->secure == NULL) ||
            !bytes_equal(bytes_of(client->identity.name, client->identity.name_len), kick->name))
            continue;
        kick_client(client, kick->why);
        if (client->secure != NULL)
            dtls_endpoint_close(client->secure); /* the client goes with it */
        kick->n++;
    }
    return false;
}

bool coap_relays_sweep(struct coap_relays *r, uint32_t budget)
{
    struct coap_client *client;
    struct coap_leg *leg;
    while (budget > 0 && (client = slab_next(r->clients, &r->sweep_client)) != NULL) {
        sweep_client(r, client);
        budget--;
    }
    while (budget > 0 && (leg = slab_next(r->legs, &r->sweep_leg)) != NULL) {
        (void)coap_leg_check(leg);
        leg->stale = !coap_leg_current(leg);
        if (leg->stale && leg->flights_n == 0)
            coap_leg_hang_up(leg);
        budget--;
    }
    if (budget == 0 || !coap_secure_sweep(r, budget))
        return false;
    r->sweep_client = r->sweep_leg = 0;
    return true;
}
