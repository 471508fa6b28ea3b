/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/coap_group.h"

#include "gateway/coap_cache.h"

#define SEQUENCE_MASK UINT32_C(0xFFFFFF)
#define MEND_BUDGET 64

static uint32_t *bucket_of(const struct coap_relays *r, const uint64_t name[2])
{
    return &r->grouped[name[0] & r->named_mask];
}

static bool name_of(const struct coap_flight *flight, const struct coap_leg *leg, uint64_t name[2])
{
    const struct coap_relays *r = flight->relays;
    struct coap_cache_name key;
    struct coap_message request;
    struct siphash_key other = {.k0 = r->key.k1, .k1 = ~r->key.k0};
    if (coap_parse(&request, bytes_of(flight->request, flight->request_len)) != COAP_PARSE_OK)
        return false;
    coap_cache_name(r->cache, leg->upstream, "", &request, &key);
    name[0] = siphash_2_4(r->key, key.bytes, key.len);
    name[1] = siphash_2_4(other, key.bytes, key.len);
    return key.len != 0;
}

static struct coap_group *find(const struct coap_relays *r, const uint64_t name[2])
{
    uint32_t index = *bucket_of(r, name);
    while (index != COAP_NONE) {
        struct coap_group *group = slab_at(r->groups, index);
        if (group->name[0] == name[0] && group->name[1] == name[1])
            return group;
        index = group->next;
    }
    return NULL;
}

static void add(struct coap_group *group, struct coap_flight *flight)
{
    flight->group = group;
    group->members_n++;
    TAILQ_INSERT_TAIL(&group->members, flight, of_group);
}

static void lead(struct coap_flight *flight, const uint64_t name[2])
{
    struct coap_relays *r = flight->relays;
    struct coap_group *group = slab_alloc(r->groups);
    if (group == NULL)
        return; /* it observes alone */
    group->name[0] = name[0];
    group->name[1] = name[1];
    group->sequence = (uint32_t)(coap_now(r) >> 14) & SEQUENCE_MASK;
    TAILQ_INIT(&group->members);
    group->next = *bucket_of(r, name);
    *bucket_of(r, name) = slab_handle_of(r->groups, group).index;
    group->leader = flight;
    add(group, flight);
}

/* What the leader was sent last, as it is now; 0 when that is no representation. */
static size_t last_of(const struct coap_flight *leader, const struct coap_flight *flight, uint8_t *to,
                      size_t room)
{
    uint8_t kept[COAP_MESSAGE_MAX];
    struct coap_message message;
    struct coap_verdict verdict;
    uint64_t age_s = (coap_now(leader->relays) - leader->x.notified_us) / 1000000;
    if (leader->reply == NULL || !leader->observing ||
        coap_parse(&message, bytes_of(leader->reply, leader->reply_len)) != COAP_PARSE_OK ||
        message.code != COAP_CONTENT)
        return 0;
    coap_guard_response(&message, true, &verdict);
    struct coap_freshness freshness = coap_cache_freshness(&message);
    size_t n = coap_cache_keep(&message, &verdict, kept, sizeof(kept));
    if (verdict.outcome != OUTCOME_ALLOWED || n == 0 ||
        coap_parse(&message, bytes_of(kept, n)) != COAP_PARSE_OK)
        return 0;
    uint32_t left_s = freshness.max_age_s > age_s ? freshness.max_age_s - (uint32_t)age_s : 0;
    return coap_cache_serve(&message, coap_flight_token(flight), false, leader->group->sequence, left_s,
                            COAP_NON, 0, to, room);
}

bool coap_group_join(struct coap_flight *flight, struct coap_leg *leg)
{
    struct coap_relays *r = flight->relays;
    uint8_t message[COAP_MESSAGE_MAX];
    uint64_t name[2];
    if (!name_of(flight, leg, name))
        return false;
    struct coap_group *group = find(r, name);
    if (group == NULL) {
        lead(flight, name);
        return false;
    }
    if (group->members_n >= COAP_GROUP_MAX)
        return false;
    bool waits = group->leader != NULL && !group->leader->x.replied;
    size_t n = group->leader == NULL || waits ? 0 : last_of(group->leader, flight, message, sizeof(message));
    if (!waits && n == 0)
        return false; /* there is nothing to begin with: on its own */
    add(group, flight);
    coap_count(r, COAP_COUNT_SHARED);
    flight->leg = leg;
    leg->flights_n++;
    coap_leg_place(flight, COAP_PLACE_LANDED);
    if (waits) {
        coap_exchange_hand_over(&flight->x, coap_now(r) + COAP_TURN_WAIT_US);
        return true;
    }
    coap_exchange_watch(&flight->x);
    coap_flight_observing(flight, true);
    coap_reply_message(flight, message, n, true);
    return true;
}

static void group_free(struct coap_relays *r, struct coap_group *group)
{
    uint32_t own = slab_handle_of(r->groups, group).index;
    uint32_t *link = bucket_of(r, group->name);
    while (*link != COAP_NONE && *link != own)
        link = &((struct coap_group *)slab_at(r->groups, *link))->next;
    if (*link == own)
        *link = group->next;
    if (group->orphan)
        TAILQ_REMOVE(&r->orphans, group, orphans);
    slab_free(r->groups, group);
}

void coap_group_leave(struct coap_flight *flight)
{
    struct coap_relays *r = flight->relays;
    struct coap_group *group = flight->group;
    if (group == NULL)
        return;
    flight->group = NULL;
    TAILQ_REMOVE(&group->members, flight, of_group);
    group->members_n--;
    if (group->leader == flight)
        group->leader = NULL;
    if (group->members_n == 0) {
        group_free(r, group);
    } else if (group->leader == NULL && !group->orphan) {
        group->orphan = true;
        TAILQ_INSERT_TAIL(&r->orphans, group, orphans);
    }
}

uint32_t coap_group_next(struct coap_group *group)
{
    group->sequence = (group->sequence + 1) & SEQUENCE_MASK;
    return group->sequence;
}

void coap_group_tell(struct coap_flight *leader, const struct coap_message *message,
                     const struct coap_verdict *verdict, bool more)
{
    struct coap_group *group = leader->group;
    struct coap_flight *flight = group == NULL ? NULL : TAILQ_FIRST(&group->members);
    while (flight != NULL) {
        struct coap_flight *next = TAILQ_NEXT(flight, of_group);
        if (flight != leader) {
            if (more) {
                coap_exchange_watch(&flight->x);
                coap_flight_observing(flight, true);
            } else {
                coap_group_leave(flight);
                coap_exchange_stop_up(&flight->x);
                coap_leg_remove(flight);
            }
            coap_count(flight->relays, COAP_COUNT_NOTIFICATIONS);
            if (verdict->outcome == OUTCOME_ALLOWED)
                coap_reply_response(flight, message, verdict);
            else
                coap_reply_own(flight, COAP_BAD_GATEWAY);
            coap_flight_settle(flight);
        }
        flight = next;
    }
}

void coap_groups_mend(struct coap_relays *r)
{
    struct coap_group *group;
    for (int i = 0; i < MEND_BUDGET && (group = TAILQ_FIRST(&r->orphans)) != NULL; i++) {
        struct coap_flight *flight = TAILQ_FIRST(&group->members);
        struct coap_leg *leg = flight->leg;
        TAILQ_REMOVE(&r->orphans, group, orphans);
        group->orphan = false;
        group->leader = flight;
        coap_flight_register(flight);
        if (leg != NULL)
            coap_leg_turn(leg);
    }
}
