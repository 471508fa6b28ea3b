/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The law of CoAP (E1, E2, E6): what of a request may go upstream, what of a response may go to the client,
 * and what is answered instead.
 *
 * The gateway stands before the upstream as its reverse proxy (RFC 7252 s.5.7.3): where a request goes is
 * configured, never asked for. So Proxy-Uri and Proxy-Scheme get 5.05; Uri-Host is looked at and left out,
 * because it must not lead anywhere else; Uri-Port must be the port that was meant. Options: critical ones
 * that are unknown, invalid or repeated without leave get 4.02 (5.02 in a response), unsafe ones that are
 * unknown too; others that are invalid are left out; safe ones that are unknown pass (s.5.4, 5.7.1). OSCORE
 * would hide what is asked, and counts as unknown.
 *
 * The path is judged by its decoded segments, joined by '/': a segment that holds '/' or is "." or ".." is
 * refused (s.5.10.1), so that no two paths look the same to a rule. A GET or FETCH that asks to observe needs
 * OBSERVE; where only the method is allowed it goes as a plain one, which the client sees by the missing
 * option (RFC 7641 s.4.1). Every block is a request of its own (RFC 7959), so it is judged by itself; the
 * body it belongs to is held to the role's `packet` size, and a rule that looks into payloads takes no body
 * in several blocks.
 *
 * Pure: nothing is remembered. Rates and caps are for the caller, who knows the client.
 */
#ifndef POLICY_COAP_GUARD_H
#define POLICY_COAP_GUARD_H

#include "policy/access/identity.h"
#include "policy/coap/message.h"

#define COAP_PATH_MAX 1024

struct coap_verdict {
    enum outcome outcome; /* ALLOWED: goes on */
    bool enforced;        /* false: goes on although the outcome is a refusal (observe) */
    uint8_t code;         /* that tells the refusal */
    uint32_t rule;        /* that decided, or ACL_RULE_NONE */
    uint64_t passes;      /* bit i: options[i] goes on as it is */
    int16_t hop_limit;    /* of the request that goes on, which gets it when it has none; -1: none */
    bool observe;         /* the request asks to observe and may; the response notifies */
    bool observe_ends;    /* the request ends an observation */
    bool observe_denied;  /* the request asked to observe and may not */
    uint8_t no_response;  /* RFC 7967: bits 1, 3, 4 for classes 2, 4, 5 */
    uint32_t sequence;    /* Observe of a response */
    bool renumbered;      /* a response: its Observe is written as `sequence` */
    uint8_t etag_len;     /* of an ETag that a request gets besides, to validate what is kept (E5); 0: none */
    uint8_t etag[8];
    struct bytes echo; /* Echo of the request, whose bit in `passes` is clear; at NULL: none */
    uint32_t path_len;
    uint8_t path[COAP_PATH_MAX];
};

/* Whether the request goes on with this verdict. */
static inline bool coap_verdict_passes(const struct coap_verdict *verdict)
{
    return verdict->outcome == OUTCOME_ALLOWED || !verdict->enforced;
}

/* Judges a message of kind COAP_KIND_REQUEST that was sent to `port`. `observing`: the gateway only observes
 * (G6): refusals by rules are told and not enforced; the law of the protocol always is. */
void coap_guard_request(const struct policy_role *role, const struct acl_values *values, bool observing,
                        uint16_t port, const struct coap_message *message, struct coap_verdict *verdict);
/* Whether the rule that allowed it says that the answer is the same for everybody. */
static inline bool coap_verdict_shared(const struct policy_role *role, const struct coap_verdict *verdict)
{
    const struct acl_rule *rule =
        verdict->rule == ACL_RULE_NONE ? NULL : acl_rule_at(role->acl, verdict->rule);
    return verdict->outcome == OUTCOME_ALLOWED && rule != NULL && rule->shared;
}

/* Judges a message of kind COAP_KIND_RESPONSE; `observed`: its request asked to observe. The code of a
 * refusal is 5.02. */
void coap_guard_response(const struct coap_message *message, bool observed, struct coap_verdict *verdict);

/* The action that a method is to the rules; false when it is none. */
bool coap_action_of(uint8_t code, enum acl_action *action);
/* Whether the payload is what a rule asks for. */
bool coap_payload_good(const struct coap_message *message, enum acl_payload wanted);
/* The code that tells a refusal by rules. */
uint8_t coap_refusal_code(enum outcome outcome);

/* Writes what goes on. The length, or 0 when it does not fit in `room`. `echo` is the client's Echo when it
 * is not ours and goes upstream, or at NULL. */
size_t coap_guard_rebuild(const struct coap_message *message, const struct coap_verdict *verdict,
                          struct bytes echo, enum coap_type type, uint16_t mid, const uint8_t *token,
                          uint16_t token_len, uint8_t *to, size_t room);

#endif
