/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What another policy would make of live sessions, before it is in force (G2). */
#include "gateway/relay_mqtt_private.h"

#include <string.h>

static void foresee(const struct relay *r, const struct generation *next, struct relay_foresight *sum)
{
    struct identity identity = {.role = NULL};
    uint16_t listener;
    enum outcome outcome = OUTCOME_NO_LISTENER;
    sum->sessions++;
    if (relay_find_listener(r, next->config, &listener)) {
        const char *detail;
        struct client_facts facts = relay_facts(r, next, listener);
        outcome = relay_check_transport(r, next, listener, &detail);
        if (outcome == OUTCOME_ALLOWED)
            outcome = identity_resolve(next->policy, &facts, &identity);
    }
    if (outcome != OUTCOME_ALLOWED || strcmp(identity.name, r->identity.name) != 0) {
        if (sum->closed++ == 0)
            event_set_name(sum->first, sizeof(sum->first), relay_client_id(r));
        return;
    }
    sum->other_role += strcmp(identity.role->name, r->identity.role->name) != 0;
    sum->taken_back += mqtt_guard_foresee(&r->guard, identity.role, &identity.values, next->config->observe);
}

bool mqtt_relays_foresee(struct mqtt_relays *all, const struct generation *next, uint32_t *position,
                         uint32_t budget, struct relay_foresight *sum)
{
    for (; budget != 0; budget--) {
        struct relay *r = slab_next(all->slab, position);
        if (r == NULL)
            return true;
        relay_make_current(r);
        if (r->state > RELAY_CONNECT && r->named)
            foresee(r, next, sum);
    }
    return false;
}
