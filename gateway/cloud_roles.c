/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/cloud_roles.h"

#include <stdlib.h>

struct cloud_roles {
    uint32_t n;
    struct policy_role role[];
};

/* 0 on the right: no limit. */
static uint32_t lesser(uint32_t own, uint32_t limit)
{
    return limit != 0 && limit < own ? limit : own;
}

static struct policy_role tightened(const struct policy_role *role, const struct cloud_limits *limits)
{
    struct policy_role out = *role;
    out.max_qos = role->max_qos < limits->max_qos ? role->max_qos : limits->max_qos;
    out.inflight = (uint16_t)lesser(role->inflight, limits->inflight);
    out.limits.subscriptions = lesser(role->limits.subscriptions, limits->subscriptions);
    out.limits.keepalive_max_s = lesser(role->limits.keepalive_max_s, limits->keepalive_max_s);
    if (out.limits.keepalive_min_s > out.limits.keepalive_max_s)
        out.limits.keepalive_min_s = out.limits.keepalive_max_s;
    return out;
}

struct cloud_roles *cloud_roles_create(const struct snapshot *policy, enum cloud_profile profile)
{
    uint32_t n = snapshot_roles(policy);
    struct cloud_roles *roles = malloc(sizeof(*roles) + n * sizeof(roles->role[0]));
    if (roles == NULL)
        return NULL;
    roles->n = n;
    for (uint32_t i = 0; i < n; i++)
        roles->role[i] = tightened(snapshot_role(policy, i), cloud_limits(profile));
    return roles;
}

void cloud_roles_destroy(struct cloud_roles *roles)
{
    free(roles);
}

const struct policy_role *cloud_roles_of(const struct cloud_roles *roles, const struct policy_role *role)
{
    return roles != NULL && role->index < roles->n ? &roles->role[role->index] : role;
}
