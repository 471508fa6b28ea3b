/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rates that a relay is held to, and what being over one may cost (C6, F2, F3). */
#include "gateway/relay_mqtt_private.h"

#include <stdio.h>

static const struct config_listener *listener_of(const struct relay *r)
{
    return &relay_generation(r)->config->listeners[r->origin.listener];
}

/* The entry of the source, for as long as the relay lives; asked for when its listener limits sources. */
static void hold_source(struct relay *r)
{
    const struct rates *rates = &listener_of(r)->per_source;
    bool limits = rates_limit(rates, RATE_PUBLISHES) || rates_limit(rates, RATE_BYTES) ||
                  rates_limit(rates, RATE_SUBSCRIBES) || rates_limit(rates, RATE_PINGS);
    if (r->source != NULL || !limits)
        return;
    const struct ip_address *address = &r->origin.key.remote;
    r->source = client_table_get(r->all->sources, bytes_of(address->bytes, sizeof(address->bytes)));
    if (r->source != NULL)
        client_table_open(r->all->sources, r->source);
}

void relay_bind(struct relay *r)
{
    const struct generation *generation = relay_generation(r);
    const struct policy_role *role = r->identity.role;
    const struct config_listener *listener = listener_of(r);
    struct client_share *share = r->client->share;
    mqtt_guard_bind(&r->guard, cloud_roles_of(generation->cloud[listener->upstream], role),
                    &r->identity.values, generation->config->observe,
                    share == NULL ? &r->client->rates : NULL);
    if (share != NULL)
        mqtt_guard_meter(&r->guard, &(struct guard_meter){.scope = GUARD_CLIENT,
                                                          .rates = &role->limits.rates,
                                                          .shared = &share->rates});
    hold_source(r);
    if (r->source != NULL)
        mqtt_guard_meter(&r->guard, &(struct guard_meter){.scope = GUARD_SOURCE,
                                                          .rates = &listener->per_source,
                                                          .own = &r->source->rates});
    mqtt_guard_meter(&r->guard,
                     &(struct guard_meter){.scope = GUARD_ROLE,
                                           .rates = &role->total,
                                           .shared = rate_totals_role(generation->totals, role->index)});
    mqtt_guard_meter(&r->guard, &(struct guard_meter){
                                    .scope = GUARD_LISTENER,
                                    .rates = &listener->total,
                                    .shared = rate_totals_listener(generation->totals, r->origin.listener)});
    relay_bind_cloud(r);
}

void relay_unhold_source(struct relay *r)
{
    if (r->source != NULL)
        client_table_close(r->all->sources, r->source);
    r->source = NULL;
}

/* ---- quarantine --------------------------------------------------------------------------------------- */

void relay_quarantine(struct relay *r, struct client *client, enum guard_scope scope, enum outcome outcome,
                      uint64_t for_us)
{
    char detail[EVENT_DETAIL_MAX];
    snprintf(detail, sizeof(detail), "%s %s; refused for %llu s", outcome_text(outcome),
             mqtt_guard_scope_text(scope), (unsigned long long)(for_us / 1000000));
    if (client->share != NULL)
        atomic_store(&client->share->quarantined_until_us, relay_now(r) + for_us);
    client->quarantined_until_us = relay_now(r) + for_us;
    relay_report(r,
                 &(struct relay_report){
                     .kind = EVENT_QUARANTINED, .outcome = outcome, .rule = ACL_RULE_NONE, .detail = detail});
    for (struct relay *other = client->sessions; other != NULL; other = other->next_of_client)
        if (other != r)
            relay_end(other, OUTCOME_QUARANTINED);
}

static enum outcome over_connects(struct relay *r, struct client *client, enum guard_scope scope,
                                  const struct rates *rates)
{
    if (rates->over == POLICY_QUARANTINE && !relay_observes(r))
        relay_quarantine(r, client, scope, OUTCOME_RATE_CONNECTS, rates->quarantine_us);
    r->over_scope = (uint8_t)scope;
    return relay_over(r, OUTCOME_RATE_CONNECTS);
}

static bool take_of_client(struct client *client, const struct rates *rates, uint64_t now_us)
{
    if (client->share != NULL)
        return shared_buckets_take(&client->share->rates, rates, RATE_CONNECTS, 1, now_us);
    return rate_buckets_take(&client->rates, rates, RATE_CONNECTS, 1, now_us);
}

/* By this worker or, where clients are shared, by any. */
static bool in_quarantine(struct client *client, uint64_t now_us)
{
    if (client->share != NULL)
        client->quarantined_until_us = atomic_load(&client->share->quarantined_until_us);
    if (client->quarantined_until_us > now_us)
        return true;
    client->quarantined_until_us = 0;
    return false;
}

enum outcome relay_take_connect(struct relay *r, struct client *client)
{
    const struct generation *generation = relay_generation(r);
    const struct policy_role *role = r->identity.role;
    const struct config_listener *listener = listener_of(r);
    struct shared_buckets *of_role = rate_totals_role(generation->totals, role->index);
    struct shared_buckets *of_listener = rate_totals_listener(generation->totals, r->origin.listener);
    uint64_t now_us = relay_now(r);
    if (in_quarantine(client, now_us))
        return OUTCOME_QUARANTINED;
    enum outcome outcome = OUTCOME_ALLOWED;
    if (!take_of_client(client, &role->limits.rates, now_us))
        outcome = over_connects(r, client, GUARD_CLIENT, &role->limits.rates);
    if (outcome == OUTCOME_ALLOWED && of_role != NULL &&
        !shared_buckets_take(of_role, &role->total, RATE_CONNECTS, 1, now_us))
        outcome = over_connects(r, client, GUARD_ROLE, &role->total);
    if (outcome == OUTCOME_ALLOWED && of_listener != NULL &&
        !shared_buckets_take(of_listener, &listener->total, RATE_CONNECTS, 1, now_us))
        outcome = over_connects(r, client, GUARD_LISTENER, &listener->total);
    return outcome;
}
