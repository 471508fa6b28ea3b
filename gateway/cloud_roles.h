/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Roles as they are toward a cloud: each a copy with the cloud's own limits where these are stricter
 * (policy/mqtt/cloud.h), so that sessions are held to one set of limits and nothing on their path asks for a
 * second. Made with a generation by the control thread, immutable then.
 */
#ifndef GATEWAY_CLOUD_ROLES_H
#define GATEWAY_CLOUD_ROLES_H

#include "policy/access/snapshot.h"
#include "policy/mqtt/cloud.h"

struct cloud_roles;

/* Of all roles of `policy`, which must live as long. NULL when memory is not to be had. */
struct cloud_roles *cloud_roles_create(const struct snapshot *policy, enum cloud_profile profile);
void cloud_roles_destroy(struct cloud_roles *roles);
/* The role as it is toward that cloud; `role` itself when `roles` is NULL. */
const struct policy_role *cloud_roles_of(const struct cloud_roles *roles, const struct policy_role *role);

#endif
