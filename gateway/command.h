/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What operators can ask and tell a running gateway over the control socket. Each command writes its answer
 * to `out`, as text or JSON, and answers an exit status: 0 yes, 1 no (denied, unhealthy, not found), 2 usage,
 * 4 not permitted, 78 policy refused. Control thread.
 */
#ifndef GATEWAY_COMMAND_H
#define GATEWAY_COMMAND_H

#include "gateway/gateway.h"

#define COMMAND_WORDS 16

struct reload_request;

struct command {
    struct gateway *gateway;
    FILE *out;
    bool json;
    bool may_act;     /* the caller may change things */
    const char *user; /* who asks, for events */
    bool has_uid;
    uint32_t uid;
    uint32_t words_n;
    const char *words[COMMAND_WORDS]; /* [0] is the command's name */
    bool wait;                        /* set by a command: the answer goes out once all obey */
};

int command_run(struct command *command);

/* The commands that have files of their own. */
int command_status(struct command *command);
int command_clients(struct command *command);
int command_show(struct command *command);
int command_explain(struct command *command);
int command_rules(struct command *command);
int command_metrics(struct command *command);
int command_learn(struct command *command);
int command_kick(struct command *command);
int command_quarantine(struct command *command);
int command_release(struct command *command);

/* The event of a command that acts, before it does. */
void command_event(struct command *command);
/* For whoever may not: told, with an event; the exit status. */
int command_refuse(struct command *command);
int command_reload(struct command *command);
int command_confirm(struct command *command);
int command_check(struct command *command);
int command_test(struct command *command);
int command_policy(struct command *command);
int command_candidate(struct command *command);
/* --wait, --confirm TIME in any order behind word `from`; false when there is anything else, or told. */
bool command_reload_options(struct command *command, uint32_t from, struct reload_request *request);

/* The live session of a client id or identity; false when there is none. */
bool command_find_session(struct gateway *gateway, const char *name, struct relay_info *out);

#endif
