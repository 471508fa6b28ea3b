/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/rate_totals.h"

#include <stdlib.h>
#include <string.h>

struct total {
    struct shared_buckets buckets;
    uint32_t users; /* generations */
    char name[];
};

struct rate_totals {
    uint32_t roles_n;
    struct total *listeners[GATEWAY_LISTENERS_MAX];
    struct total *roles[];
};

static bool limits_any(const struct rates *rates)
{
    for (uint32_t kind = 0; kind < RATE_KINDS; kind++)
        if (rates_limit(rates, (enum rate_kind)kind))
            return true;
    return false;
}

static struct total *find(struct total *const *totals, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (totals[i] != NULL && strcmp(totals[i]->name, name) == 0)
            return totals[i];
    return NULL;
}

/* The one of that name that runs, or a full one. */
static struct total *use(struct total *const *running, uint32_t n, const char *name)
{
    struct total *total = find(running, n, name);
    if (total == NULL) {
        size_t len = strlen(name) + 1;
        total = calloc(1, sizeof(*total) + len);
        if (total == NULL)
            return NULL;
        memcpy(total->name, name, len);
    }
    total->users++;
    return total;
}

static bool fill(struct rate_totals *totals, const struct snapshot *policy,
                 const struct gateway_config *config, const struct rate_totals *running)
{
    for (uint32_t i = 0; i < totals->roles_n; i++) {
        const struct policy_role *role = snapshot_role(policy, i);
        if (!limits_any(&role->total))
            continue;
        totals->roles[i] =
            use(running != NULL ? running->roles : NULL, running != NULL ? running->roles_n : 0, role->name);
        if (totals->roles[i] == NULL)
            return false;
    }
    for (uint32_t i = 0; i < config->listeners_n; i++) {
        const struct config_listener *listener = &config->listeners[i];
        if (!limits_any(&listener->total))
            continue;
        totals->listeners[i] = use(running != NULL ? running->listeners : NULL,
                                   running != NULL ? GATEWAY_LISTENERS_MAX : 0, listener->name);
        if (totals->listeners[i] == NULL)
            return false;
    }
    return true;
}

struct rate_totals *rate_totals_create(const struct snapshot *policy, const struct gateway_config *config,
                                       const struct rate_totals *running)
{
    uint32_t roles_n = snapshot_roles(policy);
    struct rate_totals *totals = calloc(1, sizeof(*totals) + roles_n * sizeof(totals->roles[0]));
    if (totals == NULL)
        return NULL;
    totals->roles_n = roles_n;
    if (fill(totals, policy, config, running))
        return totals;
    rate_totals_destroy(totals);
    return NULL;
}

static void unuse(struct total *total)
{
    if (total != NULL && --total->users == 0)
        free(total);
}

void rate_totals_destroy(struct rate_totals *totals)
{
    if (totals == NULL)
        return;
    for (uint32_t i = 0; i < totals->roles_n; i++)
        unuse(totals->roles[i]);
    for (uint32_t i = 0; i < GATEWAY_LISTENERS_MAX; i++)
        unuse(totals->listeners[i]);
    free(totals);
}

struct shared_buckets *rate_totals_role(const struct rate_totals *totals, uint32_t role)
{
    bool there = totals != NULL && role < totals->roles_n && totals->roles[role] != NULL;
    return there ? &totals->roles[role]->buckets : NULL;
}

struct shared_buckets *rate_totals_listener(const struct rate_totals *totals, uint32_t listener)
{
    bool there = totals != NULL && listener < GATEWAY_LISTENERS_MAX && totals->listeners[listener] != NULL;
    return there ? &totals->listeners[listener]->buckets : NULL;
}
