/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The limits of a candidate (candidate.h), run beside those in force: what they would hold back, refuse or
 * end, of what the policy in force let come so far (F2, F3, G6).
 *
 * Rates have buckets of the candidate's own: of a client, a source and a prefix by name in a table of this
 * worker, in which of CANDIDATE_METER_PROBES places the one that was not used for longest makes room (its
 * next owner begins with a full bucket); of a role's or listener's total in buckets of all workers. What is
 * over a rate takes no token, so what is counted is how much was too much, however long the candidate would
 * have made it wait. Caps are held against what the session has now: its subscriptions, what is in flight,
 * its exchanges and observations. Passwords are not computed: entries of users are compared, and one that is
 * another counts as refused.
 *
 * One worker's; in the middle of packets: nothing is allocated, locked or waited for.
 */
#ifndef GATEWAY_CANDIDATE_LIMITS_H
#define GATEWAY_CANDIDATE_LIMITS_H

#include "gateway/judged.h"

#define CANDIDATE_METER_PROBES 8
#define CANDIDATE_LIMIT_TEXT 48

/* Ordered by how much it does to the action. */
enum candidate_state {
    CANDIDATE_ALLOW = 0,
    CANDIDATE_OBSERVE, /* it is refused, and passes all the same */
    CANDIDATE_DELAY,   /* it waits, nothing is lost */
    CANDIDATE_DENY,
    CANDIDATE_END, /* and the session ends, for a rate */
    CANDIDATE_STATES,
};
const char *candidate_state_text(uint8_t state);

/* Which limit: 0 none, then of each scope each kind of rate, then these. */
#define CANDIDATE_LIMIT_RATES (1 + GUARD_SCOPES * RATE_KINDS)
enum candidate_limit {
    CANDIDATE_LIMIT_NONE = 0,
    CANDIDATE_LIMIT_PACKET = CANDIDATE_LIMIT_RATES,
    CANDIDATE_LIMIT_SUBSCRIPTIONS,
    CANDIDATE_LIMIT_INFLIGHT,
    CANDIDATE_LIMIT_EXCHANGES,
    CANDIDATE_LIMIT_OBSERVATIONS,
    CANDIDATE_LIMIT_USER,
    CANDIDATE_LIMITS,
};
/* As it is called in a policy: "limits.publishes", "users_file". */
const char *candidate_limit_text(uint8_t limit, char to[CANDIDATE_LIMIT_TEXT]);

/* What limits say; outcome ALLOWED: nothing. */
struct candidate_view {
    enum outcome outcome;
    uint8_t state; /* enum candidate_state */
    uint8_t limit; /* enum candidate_limit */
};

struct candidate_meter;

struct candidate_limits {
    uint32_t mask;
    uint64_t displaced; /* buckets that made room for others' */
    struct candidate_meter *meters;
};

/* False without memory. Control thread. */
bool candidate_limits_init(struct candidate_limits *limits, uint32_t places);
void candidate_limits_fini(struct candidate_limits *limits);

/* Of a session, by kind of rate: whether all rates that it counts against are the same in both. Zeroed:
 * nobody has looked. It holds for as long as both policies and who the session is. */
struct candidate_same {
    uint8_t known, same;           /* bits of enum rate_kind */
    struct candidate_view filters; /* of the SUBSCRIBE whose filters are coming: it counts once */
};

/* Who judges what. */
struct candidate_asked {
    const struct generation *live, *next;
    const struct rate_totals *totals; /* of the candidate's own; NULL: totals are not judged */
    const struct identity *identity;  /* under the candidate, with a role */
    uint64_t session;                 /* for whoever has no name */
    struct candidate_same *same;
    const struct judged_action *action;
    uint64_t now_us;
};

/* Takes tokens when all rates have them. */
struct candidate_view candidate_limits_ask(struct candidate_limits *limits,
                                           const struct candidate_asked *asked);
/* Caps on what is under way of CoAP, of any role: of the one in force too, which judges them later. */
struct candidate_view candidate_limits_caps(const struct policy_role *role, bool observe,
                                            const struct judged_action *action);
/* What becomes of a password at a CONNECT; UNDECIDED: nobody has computed it. */
struct candidate_view candidate_limits_user(const struct generation *live, const struct generation *next,
                                            const struct judged_action *action);

#endif
