/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/learn_worker.h"

#include "policy/access/template.h"
#include "policy/access/topic.h"

uint64_t learn_hash(const void *key, const void *data, size_t n)
{
    return siphash_1_3(*(const struct siphash_key *)key, data, n);
}

/* ---- which of the roles ---------------------------------------------------------------------------------
 */

static uint8_t find_role(const struct learn_worker *learn, const char *name)
{
    for (uint8_t i = 0; i < LEARN_ROLES_MAX; i++)
        if (learn->role[i].active && strcmp(learn->role[i].name, name) == 0)
            return (uint8_t)(i + 1);
    return 0;
}

static struct learn_role *role_of(struct learn_worker *learn, const struct policy_role *role, uint8_t *place)
{
    uint32_t number = (*learn->generation)->number;
    size_t at = role->index % LEARN_ROLE_CACHE;
    if (learn->cache[at].role != role || learn->cache[at].generation != number) {
        learn->cache[at].role = role;
        learn->cache[at].generation = number;
        learn->cache[at].place = find_role(learn, role->name);
    }
    *place = learn->cache[at].place;
    return *place == 0 ? NULL : &learn->role[*place - 1];
}

/* ---- which of the clients -------------------------------------------------------------------------------
 */

struct noting {
    struct evidence *evidence;
    uint16_t client;
};

static void note_value(void *owner, struct bytes name, struct bytes value)
{
    const struct noting *noting = owner;
    bool place = bytes_equal(name, bytes_of_text("listener")) || bytes_equal(name, bytes_of_text("source"));
    evidence_value(noting->evidence, noting->client, name, value, !place && template_value_safe(value));
}

static uint16_t ask_client(struct learn_worker *learn, struct evidence *evidence,
                           const struct judged_subject *who)
{
    struct client_facts facts;
    const struct identity *identity = who->identity;
    if (!who->facts(who->owner, &facts))
        return EVIDENCE_NONE;
    uint16_t client = evidence_client(evidence, bytes_of(identity->name, identity->name_len), facts.source);
    if (client == EVIDENCE_NONE)
        return EVIDENCE_NONE;
    struct noting noting = {.evidence = evidence, .client = client};
    evidence_clear_values(evidence, client);
    identity_variables((*learn->generation)->policy, &facts, identity, note_value, &noting);
    return client;
}

static uint16_t client_of(struct learn_worker *learn, uint8_t place, struct evidence *evidence,
                          const struct judged_subject *who)
{
    uint64_t at = (who->session ^ who->session >> 32) * UINT64_C(0x9E3779B97F4A7C15);
    struct learn_session *session = &learn->session[at >> 54];
    if (session->role == place && session->session == who->session && session->stamp == who->stamp &&
        (session->client == EVIDENCE_NONE || evidence->client[session->client].serial == session->serial))
        return session->client;
    uint16_t client = ask_client(learn, evidence, who);
    *session =
        (struct learn_session){.session = who->session,
                               .stamp = who->stamp,
                               .role = place,
                               .client = client,
                               .serial = client == EVIDENCE_NONE ? 0 : evidence->client[client].serial};
    return client;
}

/* ---- what was done --------------------------------------------------------------------------------------
 */

/* False: nothing that rules are about. */
static bool refusal_of(const struct judged_action *action, enum evidence_refusal *refusal)
{
    switch (action->outcome) {
    case OUTCOME_ALLOWED:
        *refusal = EVIDENCE_PASSED;
        return true;
    case OUTCOME_RULE_DENY:
        *refusal = EVIDENCE_DENIED;
        return true;
    case OUTCOME_DEFAULT_DENY:
    case OUTCOME_QOS_CAP:
    case OUTCOME_RETAIN_DENIED:
    case OUTCOME_PAYLOAD_TOO_LARGE:
    case OUTCOME_QUERY_DENIED:
    case OUTCOME_FORMAT_DENIED:
    case OUTCOME_BLOCK_DENIED:
        *refusal = EVIDENCE_NOT_ALLOWED;
        return true;
    default:
        return false;
    }
}

/* The topic as rules are held against it. */
static bool topic_of(const struct judged_action *action, struct bytes *topic)
{
    struct topic_share share;
    *topic = action->topic;
    if (action->kind == JUDGED_PUBLISH || action->kind == JUDGED_WILL)
        return topic_publish_parse(action->topic, topic);
    if (action->kind != JUDGED_SUBSCRIBE)
        return true;
    if (!topic_share_parse(action->topic, &share))
        return false;
    *topic = share.inner;
    return true;
}

static void see(void *owner, const struct judged_action *action)
{
    struct learn_worker *learn = owner;
    const struct policy_role *policy = action->who->identity->role;
    struct evidence_act act = {.action = (uint8_t)action->action,
                               .qos = action->qos,
                               .retain = action->retain,
                               .will = action->kind == JUDGED_WILL,
                               .payload_bytes = action->payload_bytes,
                               .now_us = event_time_us(learn->wall_offset_us, *learn->now_us)};
    uint8_t place;
    if (action->kind == JUDGED_CONNECT || action->kind == JUDGED_DELIVERY || policy == NULL ||
        !refusal_of(action, &act.refusal) || !topic_of(action, &act.topic) || act.topic.len == 0)
        return;
    struct learn_role *role = role_of(learn, policy, &place);
    if (role == NULL)
        return;
    uint16_t client = client_of(learn, place, role->evidence, action->who);
    evidence_see(role->evidence, client, &act);
    if (action->mapped.len == 0)
        return;
    act.action = (uint8_t)action->mapped_action;
    act.topic = action->mapped;
    act.qos = action->mapped_qos;
    act.retain = action->mapped_retain;
    evidence_see(role->evidence, client, &act);
}

/* ---- changes --------------------------------------------------------------------------------------------
 */

void learn_worker_change(const struct learn_change *change, struct judged_observers *observers)
{
    struct learn_worker *learn = change->learn;
    struct learn_role *role = &learn->role[change->place];
    if (change->fresh)
        *role = change->role;
    else
        role->active = change->role.active;
    memset(learn->cache, 0, sizeof(learn->cache));
    memset(learn->session, 0, sizeof(learn->session));
    learn->active_n = 0;
    for (uint32_t i = 0; i < LEARN_ROLES_MAX; i++)
        learn->active_n += learn->role[i].active;
    judged_set(observers, JUDGED_BY_LEARN, learn->active_n != 0 ? see : NULL, learn);
}

bool learn_worker_copy(struct learn_worker *learn, uint32_t place, struct evidence *to, size_t *position)
{
    struct evidence *from = learn->role[place].evidence;
    size_t left = sizeof(*from) - *position;
    size_t part = left < LEARN_COPY_BYTES ? left : LEARN_COPY_BYTES;
    from->frozen = true;
    memcpy((uint8_t *)to + *position, (const uint8_t *)from + *position, part);
    *position += part;
    from->frozen = *position < sizeof(*from);
    return !from->frozen;
}
