/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the two forms of explain share: of a question (command_explain.c), and of an event that was logged
 * (command_explain_event.c). Control thread. */
#ifndef GATEWAY_COMMAND_EXPLAIN_H
#define GATEWAY_COMMAND_EXPLAIN_H

#include "gateway/command.h"
#include "gateway/explain.h"
#include "gateway/json.h"

#define EXPLAIN_JSON_ROOM (1 << 16)

/* The facts of a live session, or NULL when it has none, or a question says otherwise. */
const struct client_facts *explain_live_facts(struct gateway *gateway, const struct explain_question *q);
/* The decision, role, rule, nearest miss and what the client is told; and `why_not`. */
void explain_print(struct command *command, const struct explain_question *q, const struct explain_answer *a,
                   bool live, bool why_not);
/* The same as members of an open object. */
void explain_put(struct json *j, const struct gateway *gateway, const struct explain_question *q,
                 const struct explain_answer *a, bool live, bool why_not);
/* explain --event SEQUENCE|last */
int command_explain_event(struct command *command);

#endif
