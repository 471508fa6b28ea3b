/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What learn.c (roles and workers) and learn_keep.c (the state directory) share. */
#ifndef GATEWAY_LEARN_PRIVATE_H
#define GATEWAY_LEARN_PRIVATE_H

#include "gateway/gateway.h"

static inline uint32_t learn_place(const struct learn *learn, const struct learning *role)
{
    return (uint32_t)(role - learn->role);
}

/* Zeroed memory for evidence of a role, with its key; NULL when there is none. */
struct evidence *learn_reserve(const struct learning *role);
/* NULL is ignored. */
void learn_release(const struct evidence *evidence);
/* What workers need to learn at all; false without memory. */
bool learn_make_workers(struct gateway *gateway);
/* Gives a worker `evidence` instead of what it had, which is freed. It is the role's in any case. */
enum learn_result learn_hand_over(struct gateway *gateway, struct learning *role, uint32_t worker,
                                  struct evidence *evidence);

/* Roles that are due to be kept, one at a time. */
void learn_keep_tick(struct gateway *gateway);

#endif
