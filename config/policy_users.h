/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The users files that a policy names, read into one table (C2). Control thread. Private to
 * config/policy_*.c.
 */
#ifndef CONFIG_POLICY_USERS_H
#define CONFIG_POLICY_USERS_H

#include "config/policy_draft.h"

/* NULL when the draft names none, or when something is wrong, which then is in `d`. */
struct users *policy_users_read(const struct policy_draft *draft, struct diagnostics *d);
/* What listeners that ask for passwords and the policy say of each other. */
void policy_users_check(const struct policy_draft *draft, const struct gateway_config *gateway,
                        struct diagnostics *d);

#endif
