/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/refusals.h"

#include <stdio.h>
#include <sys/mman.h>

struct refusals {
    uint32_t next;
    uint32_t newest; /* place + 1; 0: none */
    struct refusal at[REFUSALS_MAX];
};

struct refusals *refusals_create(void)
{
    void *at = mmap(NULL, sizeof(struct refusals), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

void refusals_destroy(struct refusals *refusals)
{
    if (refusals != NULL)
        munmap(refusals, sizeof(*refusals));
}

bool refusals_is(const struct event *event)
{
    switch (event->kind) {
    case EVENT_MQTT_CONNECT_REFUSED:
    case EVENT_MQTT_PUBLISH_DENIED:
    case EVENT_MQTT_SUBSCRIBE_DENIED:
    case EVENT_MQTT_DELIVERY_DENIED:
    case EVENT_MQTT_WILL_DENIED:
    case EVENT_COAP_REQUEST_DENIED:
    case EVENT_LIMIT_EXCEEDED:
    case EVENT_PROTOCOL_ERROR:
    case EVENT_IDENTITY_VIOLATION:
        return true;
    default:
        return false;
    }
}

static void put_place(char to[REFUSAL_PLACE_MAX], const char *file, uint32_t line)
{
    snprintf(to, REFUSAL_PLACE_MAX, "%.80s:%u", file, line);
}

void refusals_add(struct refusals *refusals, const struct event *event, uint64_t sequence,
                  const struct snapshot *policy)
{
    struct refusal *refusal = &refusals->at[refusals->next];
    *refusal = (struct refusal){.sequence = sequence, .event = *event};
    refusal->event.revision = NULL;
    refusals->newest = refusals->next + 1;
    refusals->next = refusals->newest % REFUSALS_MAX;
    if (policy == NULL || event->role_place == 0 || event->role_place > snapshot_roles(policy))
        return;
    const struct policy_role *role = snapshot_role(policy, event->role_place - 1);
    put_place(refusal->role_at, role->file, role->line);
    if (event->rule_place == 0 || event->rule_place > acl_rules(role->acl))
        return;
    const struct acl_rule *rule = acl_rule_at(role->acl, event->rule_place - 1);
    put_place(refusal->rule_at, rule->file, rule->line);
}

const struct refusal *refusals_find(const struct refusals *refusals, uint64_t sequence)
{
    for (uint32_t i = 0; i < REFUSALS_MAX && sequence != 0; i++)
        if (refusals->at[i].sequence == sequence)
            return &refusals->at[i];
    return NULL;
}

const struct refusal *refusals_last(const struct refusals *refusals)
{
    return refusals->newest == 0 ? NULL : &refusals->at[refusals->newest - 1];
}
