/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is made known of judged requests (judged.h): called only when somebody wants to know. */
#include "gateway/relay_coap_request.h"

#define COAP_SESSION (UINT64_C(1) << 63) /* no number of an MQTT session */

struct owner {
    const struct coap_relays *relays;
    const struct coap_client *client;
};

static enum outcome resolve(const void *of, const struct generation *other, struct identity *out)
{
    const struct owner *owner = of;
    uint16_t listener;
    bool pinned;
    if (!coap_client_listener(owner->relays, owner->client, other->config, &listener))
        return OUTCOME_NO_LISTENER;
    return coap_client_resolve(owner->client, other, listener, out, &pinned);
}

static const struct config_listener *listener_of(const void *of, const struct generation *other)
{
    const struct owner *owner = of;
    uint16_t listener;
    return coap_client_listener(owner->relays, owner->client, other->config, &listener)
               ? &other->config->listeners[listener]
               : NULL;
}

static bool facts_of(const void *of, struct client_facts *out)
{
    const struct owner *owner = of;
    if (owner->client->listener_gone)
        return false;
    *out = coap_client_facts(owner->client, coap_generation(owner->relays), owner->client->listener);
    return true;
}

/* FNV-1a of what may change under a client that stays. */
static uint64_t stamp_of(const struct coap_client *client)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ client->generation;
    for (size_t i = 0; i < sizeof(client->mac); i++)
        hash = (hash ^ client->mac[i]) * UINT64_C(0x100000001b3);
    return (hash ^ client->listener_name) * UINT64_C(0x100000001b3);
}

void coap_judged(struct coap_relays *r, const struct coap_request *q)
{
    const struct coap_verdict *v = &q->verdict;
    struct slab_handle handle = slab_handle_of(r->clients, q->client);
    struct owner owner = {.relays = r, .client = q->client};
    struct judged_subject who = {.coap = true,
                                 .session = COAP_SESSION | (uint64_t)handle.generation << 32 | handle.index,
                                 .stamp = stamp_of(q->client),
                                 .identity = &q->client->identity,
                                 .owner = &owner,
                                 .resolve = resolve,
                                 .listener = listener_of,
                                 .facts = facts_of};
    struct judged_action action = {.who = &who,
                                   .kind = JUDGED_REQUEST,
                                   .enforced = v->enforced,
                                   .observe_denied = v->observe_denied,
                                   .outcome = v->outcome,
                                   .rule = v->rule,
                                   .payload_bytes = (uint32_t)q->message->payload.len,
                                   .topic = bytes_of(v->path, v->path_len),
                                   .whole = true,
                                   .message = q->message,
                                   .port = q->client->key.local_port,
                                   .to_broker = q->broker,
                                   .mapped = bytes_of(q->topic.topic, q->broker ? q->topic.len : 0),
                                   .mapped_action = q->topic.publish ? ACL_PUBLISH : ACL_SUBSCRIBE,
                                   .mapped_qos = q->topic.qos,
                                   .mapped_retain = q->topic.retain};
    if (q->limited != OUTCOME_ALLOWED && coap_verdict_passes(v)) { /* a rate, or a cap */
        action.outcome = q->limited;
        action.enforced = q->limit_holds;
        action.rule = ACL_RULE_NONE;
    }
    if (q->leg != NULL) {
        action.exchanges = q->leg->flights_n - q->leg->observations;
        action.observations = q->leg->observations;
    }
    action.observes = v->observe;
    action.bytes = (uint32_t)q->arrival->payload.len;
    if (!coap_action_of(q->message->code, &action.action))
        return;
    if (v->observe || v->observe_ends || v->observe_denied)
        action.action = ACL_OBSERVE;
    judged_tell(r->config.judged, &action);
}
