/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Wills as they are told: changed, missing, left to the upstream (D10). */
#include "gateway/relay_mqtt_private.h"

/* FNV-1a: only tells one Will of a client from its next one. */
static uint64_t mix(uint64_t hash, const uint8_t *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Never 0, which stands for none. */
static uint64_t digest(const struct mqtt_will *will)
{
    const uint8_t head[] = {will->qos, will->retain, (uint8_t)will->topic.len,
                            (uint8_t)(will->topic.len >> 8)};
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), head, sizeof(head));
    hash = mix(hash, will->topic.at, will->topic.len);
    return mix(hash, will->payload.at, will->payload.len) | 1;
}

void relay_will_seen(struct relay *r, const struct mqtt_packet *connect)
{
    const struct mqtt_will *will = &connect->connect.will;
    bool own = r->guard.will == GUARD_WILL_OWN;
    uint64_t now = own ? digest(will) : 0, before = r->client->will_digest;
    bool known = r->client->will_known;
    if (r->guard.will == GUARD_WILL_SUPPLIED)
        r->all->counters.count[RELAY_WILLS_SUPPLIED]++;
    r->client->will_digest = now;
    r->client->will_known = true;
    if (!known || before == now)
        return;
    relay_report(r, &(struct relay_report){.kind = own ? EVENT_WILL_CHANGED : EVENT_WILL_MISSING,
                                           .outcome = OUTCOME_ALLOWED,
                                           .rule = ACL_RULE_NONE,
                                           .packet = connect,
                                           .topic = will->topic,
                                           .detail = own && before == 0 ? "it had none before" : NULL});
}

uint8_t relay_will_left(const struct relay *r, enum event_kind kind, enum outcome outcome)
{
    bool running = r->state == RELAY_RUNNING || r->state == RELAY_ENDING;
    bool ends =
        kind == EVENT_UNGRACEFUL_END ||
        (kind == EVENT_MQTT_END && outcome != OUTCOME_CLIENT_DISCONNECT && outcome != OUTCOME_UPSTREAM_LOST);
    return running && r->connected_told && ends ? r->guard.will : GUARD_WILL_NONE;
}
