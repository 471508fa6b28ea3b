/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the verbs of learn share (command_learn.c has the verbs that act). Control thread. */
#ifndef GATEWAY_COMMAND_LEARN_H
#define GATEWAY_COMMAND_LEARN_H

#include "gateway/command.h"
#include "gateway/learn.h"

/* What may follow a verb, in any order. */
struct learn_options {
    const char *role; /* NULL: all */
    bool all, resume;
    uint64_t for_us;
    uint32_t share;
};

int learn_usage(struct command *command);
/* False when there is anything else; told when it is out of range. */
bool learn_take_options(struct command *command, struct learn_options *options);
/* Calls `each` for the role that is meant, or for all that were ever learned; the first status that is not 0,
 * 1 when there is no role. */
int learn_for_roles(struct command *command, const struct learn_options *options,
                    int (*each)(struct command *command, struct learning *role,
                                const struct learn_options *options));
/* An event about a role. */
void learn_tell(struct command *command, const char *role, const char *what);
/* NULL, told, when it is not to be had. The copies are the caller's to free, after it. */
struct mined *learn_mine_role(struct command *command, const struct learning *role, uint32_t share,
                              struct learn_copies *copies);
/* The end of what was seen: CLOCK_REALTIME. */
uint64_t learn_until_us(const struct learning *role);

int learn_status(struct command *command);
int learn_report(struct command *command);
int learn_write(struct command *command);

#endif
