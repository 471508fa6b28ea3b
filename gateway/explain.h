/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the policy in force would decide about a client and what it asks, and why (H1): the same functions as
 * traffic goes through, and besides the rule that came nearest. Nothing here looks at a worker. Control
 * thread.
 */
#ifndef GATEWAY_EXPLAIN_H
#define GATEWAY_EXPLAIN_H

#include "gateway/generation.h"
#include "gateway/quarantine.h"
#include "policy/access/identity.h"

struct explain_question {
    const char *client; /* client id, or id of a device */
    bool connect;       /* only whether it may connect */
    enum acl_action action;
    const char *topic; /* name, filter, or CoAP path without its first '/' */
    uint8_t qos;
    bool retain;
    bool will;
    uint32_t payload_bytes;
    const char *user;     /* NULL: none given */
    const char *listener; /* NULL: the first on which it would be let in */
};

struct explain_answer {
    enum outcome outcome;
    bool coap;
    const char *reason;  /* beside the outcome: of the quarantine, of what does not fit; or NULL */
    uint32_t rule;       /* that decided, or ACL_RULE_NONE */
    uint32_t near;       /* the allow that came nearest to a refusal, or ACL_RULE_NONE */
    uint32_t near_level; /* where it differs, from 1; 0: only a condition does not hold */
    struct client_facts facts;
    struct acl_request request;
    struct identity identity; /* role NULL: none was found */
};

/* Whether it is a question to CoAP. */
static inline bool explain_is_coap(const struct explain_question *q)
{
    return !q->connect && q->action != ACL_PUBLISH && q->action != ACL_SUBSCRIBE;
}

/* By the facts of a live session (`live`), or those of a device of that name at its usual place. `out`
 * borrows from everything it is given and must not be moved. */
void explain(const struct generation *generation, const struct quarantine *quarantine,
             const struct explain_question *q, const struct client_facts *live, struct explain_answer *out);
/* A sentence for each thing that stands in the way, with the smallest edit that would remove it, `each` once.
 * Nothing when it is allowed. */
void explain_why_not(const struct generation *generation, const struct explain_question *q,
                     const struct explain_answer *a, void (*each)(void *owner, const char *sentence),
                     void *owner);
/* What the client is told: "MQTT 5: PUBACK 0x87 - MQTT 3.1.1: acknowledged, message dropped". */
void explain_told(const struct explain_question *q, const struct explain_answer *a, char *to, size_t room);

#endif
