/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From what was seen to what might be allowed: templates with their evidence, and apart from them what is
 * better not allowed.
 *
 * What several workers saw of one role is merged exactly (a client that was on two of them is one). Then,
 * level by level from the first:
 *   - a level that always is one of the client's own values becomes that variable: of several that fit, the
 * one that is hardest to claim (a certificate's before a client id);
 *   - a text that enough clients use stays that text;
 *   - texts that few use each become '+' when there are many of them, enough clients use them together, and
 *     not one client alone brings the variety; more than MINING_TEXTS_MAX texts become '+' too;
 *   - beside a variable nothing becomes '+': those are other clients' topics, not a level that varies.
 *
 * "Enough" is `share_percent` of the clients that the role was seen to have, at least two when there are
 * three or more; and the same of their addresses, so that one machine with many client ids is not many
 * clients. What is not enough, denied by a rule, another client's, too wide, or cannot be written as a rule
 * is a finding with that reason, never a proposal. A flag or payload size that only one of three or more
 * clients used is told and not proposed.
 *
 * Allocates; bounded by MINING_CLIENTS_MAX and by what the evidence holds. Not for a packet path; any thread.
 */
#ifndef POLICY_LEARN_MINING_H
#define POLICY_LEARN_MINING_H

#include "policy/learn/evidence.h"

#define MINING_SHARE_PERCENT 5
#define MINING_VALUES_MIN 8 /* texts from which on a level varies */
#define MINING_TEXTS_MAX 32 /* of a level, that enough clients use each */
#define MINING_CLIENTS_MAX 8192U
#define MINING_TEMPLATE_MAX 1024
#define MINING_EXAMPLES 2

/* FINDING(name, id, text) */
#define FINDING_TABLE(FINDING)                                                                               \
    FINDING(PROPOSED, "proposed", "enough clients use it")                                                   \
    FINDING(FEW_CLIENTS, "few-clients", "used by few clients")                                               \
    FINDING(FEW_SOURCES, "few-sources", "used from few addresses only")                                      \
    FINDING(FOREIGN, "foreign", "another client's topic")                                                    \
    FINDING(DENIED, "denied", "a rule of the policy denies it")                                              \
    FINDING(WIDE, "wide", "takes in everything, or what is the broker's own")                                \
    FINDING(UNWRITABLE, "unwritable", "cannot be written as a rule")                                         \
    FINDING(COVERED, "covered", "a proposal takes it in")
#define FINDING_ENUM(name, id, text) FINDING_##name,
enum finding_kind { FINDING_TABLE(FINDING_ENUM) FINDING_KINDS };
#undef FINDING_ENUM
const char *finding_id(enum finding_kind kind);
const char *finding_text(enum finding_kind kind);

enum mined_level_kind { MINED_TEXT = 0, MINED_VARIABLE, MINED_ANY };
struct mined_level {
    enum mined_level_kind kind;
    uint16_t variables; /* bits of struct mined.name */
    uint32_t values;    /* MINED_ANY: how many were seen */
    struct bytes text;
};

/* Somebody who did it. */
struct mined_example {
    bool there;
    uint32_t client; /* place in struct mined.client */
    struct shape shape;
};
#define MINED_TOPIC_MAX (SHAPE_LEVELS_MAX * (EVIDENCE_VALUE_MAX + 1))

struct finding {
    enum finding_kind kind;
    uint8_t action;   /* enum acl_action */
    uint8_t qos_mask; /* proposed */
    uint8_t qos_seen; /* bits; of a single client, too */
    bool retain, will, message;
    bool retain_seen, will_seen;
    uint32_t levels_n;
    struct mined_level level[SHAPE_LEVELS_MAX];
    uint32_t clients_n, sources_n;
    uint32_t shapes_n; /* that were seen of it */
    uint64_t messages, not_allowed, denied;
    uint64_t first_us, last_us;
    uint32_t payload_max; /* proposed: without what one single client does */
    uint32_t payload_seen;
    struct mined_example example[MINING_EXAMPLES]; /* of different clients, as far as there are */
    char topic[MINING_TEMPLATE_MAX];               /* the template; cut when UNWRITABLE */
};

struct mined_client {
    const struct evidence *in; /* borrowed */
    const struct evidence_client *at;
    uint32_t source;
};

struct mined {
    uint32_t clients_n, sources_n;
    struct mined_client *client;
    uint64_t messages, no_place, not_counted, too_long, clients_no_place;
    uint32_t shapes_n;
    uint32_t names_n;
    char name[SHAPE_VARIABLES_MAX][EVIDENCE_NAME_MAX + 1];
    uint32_t findings_n;
    struct finding *finding; /* proposals first, then by reason; within, most clients first */
    uint32_t proposed_n;
};

/* NULL without memory. Borrows the evidence until mined_destroy; its `key` and `hash` are not used, its
 * clients must have been hashed with one key. */
struct mined *mine(const struct evidence *const *evidence, uint32_t n, uint32_t share_percent);
void mined_destroy(struct mined *mined);

/* A value of a client by the variable's name; at == NULL: none. */
struct bytes mined_value(const struct mined *mined, uint32_t client, const char *name);
/* What a finding's template is for one client: its length, or 0 when a variable has no value or `room` does
 * not suffice. */
size_t mined_expand(const struct mined *mined, const struct finding *finding, uint32_t client, uint8_t *to,
                    size_t room);
/* The topic of an example, or (`as`) what it would be for another client; likewise. */
size_t mined_example_topic(const struct mined *mined, const struct mined_example *example, uint32_t as,
                           uint8_t *to, size_t room);
/* Whether a proposal allows `client` this topic (or filter). */
bool mined_allows(const struct mined *mined, uint32_t client, uint8_t action, struct bytes topic);

#endif
