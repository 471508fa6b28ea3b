/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dialling the upstream, when it is its turn (A7, B6).
 *
 * A relay that is RELAY_DIALLING without a stream waits in the line of its upstream (gateway/dial_queue.h).
 * That is the gateway's own doing: it counts against no server, and ends after RELAY_TURN_TIMEOUT_US. Turns
 * are given in mqtt_relays_flush, when what has ended is gone; which server it will be is seen then, so that
 * those who waited for one that has failed go to the next.
 */
#include "gateway/relay_mqtt_private.h"

#define TURNS_A_BURST 32 /* a dial may cost a TLS session; the rest follows a loop later */

/* All of an upstream that CONNECT was made for: it can be sent to no upstream that differs in this. */
static uint64_t form_of(const struct config_upstream *upstream)
{
    const char *const texts[] = {upstream->user_name, upstream->password_file, upstream->client_id,
                                 upstream->mount};
    uint64_t form = (uint64_t)upstream->profile + 1;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        form = form * UINT64_C(0x100000001b3) + (texts[i] == NULL ? 0 : relay_name_digest(texts[i]));
    return form;
}

/* The next server that was not tried for this CONNECT. */
static enum outcome dial(struct relay *r)
{
    const struct mqtt_relays_config *config = &r->all->config;
    enum outcome why = OUTCOME_UPSTREAM_REFUSED;
    uint8_t before;
    do {
        before = r->tried;
        r->upstream.stream = config->dial(config->worker, r->upstream_index, r->identity.name, &r->origin.key,
                                          &relay_upstream_handler, r, &r->tried, &r->server, &why);
    } while (r->upstream.stream == NULL && r->tried != before);
    if (r->upstream.stream == NULL)
        return why;
    const struct config_upstream *upstream = &relay_generation(r)->config->upstreams[r->upstream_index];
    r->upstream_tls = upstream->security == CONFIG_SECURITY_TLS;
    r->dial_due_us = relay_now(r) + upstream->connect_timeout_us;
    r->dial_own_us = 0;
    relay_set_state(r, RELAY_DIALLING);
    return OUTCOME_ALLOWED;
}

enum outcome relay_dial(struct relay *r)
{
    const struct config_upstream *upstream = &relay_generation(r)->config->upstreams[r->upstream_index];
    r->dial_generation = relay_generation(r)->number;
    r->upstream_name = relay_name_digest(upstream->name);
    r->upstream_form = form_of(upstream);
    if (dial_queue_enter(&r->all->dials, &r->turn, r->upstream_name, upstream->dials))
        return dial(r);
    r->all->counters.count[RELAY_DIALS_WAITED]++;
    r->dial_due_us = relay_now(r) + RELAY_TURN_TIMEOUT_US;
    relay_set_state(r, RELAY_DIALLING);
    return OUTCOME_ALLOWED;
}

/* A server of an older configuration may be another one by now. */
void relay_dialled(struct relay *r, bool good)
{
    const struct mqtt_relays_config *config = &r->all->config;
    if (r->dial_generation == relay_generation(r)->number)
        config->dialled(config->worker, r->upstream_index, r->server, good);
}

/* Not under another configuration: CONNECT was made for an upstream of the old one. */
bool relay_redial(struct relay *r)
{
    return r->dial_generation == relay_generation(r)->number && dial(r) == OUTCOME_ALLOWED;
}

static void refuse(struct relay *r, enum outcome outcome, const char *detail)
{
    relay_report(r, &(struct relay_report){
                        .kind = EVENT_MQTT_CONNECT_REFUSED,
                        .outcome = outcome,
                        .rule = ACL_RULE_NONE,
                        .told = true,
                        .reason_code = mqtt_guard_code(MQTT_CONNACK, (enum mqtt_version)r->version, outcome),
                        .detail = detail});
    relay_end(r, outcome);
}

static bool awaits_turn(const struct relay *r)
{
    return r->state == RELAY_DIALLING && r->upstream.stream == NULL;
}

bool relay_turn_timed_out(struct relay *r)
{
    if (!awaits_turn(r))
        return false;
    r->all->counters.count[RELAY_DIALS_GIVEN_UP]++;
    refuse(r, OUTCOME_NO_RESOURCES, "its turn to be connected to the upstream did not come in time");
    return true;
}

bool relay_keep_turn(struct relay *r)
{
    const struct gateway_config *config = relay_generation(r)->config;
    if (!awaits_turn(r))
        return true;
    for (uint32_t i = 0; i < config->upstreams_n; i++) {
        const struct config_upstream *upstream = &config->upstreams[i];
        if (relay_name_digest(upstream->name) != r->upstream_name || form_of(upstream) != r->upstream_form)
            continue;
        r->upstream_index = i;
        r->dial_generation = relay_generation(r)->number;
        dial_queue_bound(&r->all->dials, &r->turn, upstream->dials);
        return true;
    }
    refuse(r, OUTCOME_UPSTREAM_REFUSED, "the upstream that it waited for is not there any more");
    return false;
}

bool relay_take_turns(struct mqtt_relays *all)
{
    struct dial_place *place;
    for (uint32_t i = 0; i < TURNS_A_BURST && (place = dial_queue_next(&all->dials)) != NULL; i++) {
        struct relay *r = (struct relay *)(void *)((uint8_t *)place - offsetof(struct relay, turn));
        relay_make_current(r);
        enum outcome outcome = awaits_turn(r) ? dial(r) : OUTCOME_ALLOWED;
        if (outcome != OUTCOME_ALLOWED)
            refuse(r, outcome, NULL);
    }
    return all->listed != NULL;
}
