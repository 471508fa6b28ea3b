/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last refusals that were written to the event file, by their sequence number, so that a line of it can
 * be explained (H1): the event, and where its rule and role stood in the policy that decided, which may be
 * gone by the time that somebody asks. REFUSALS_MAX of them, the oldest makes room. Control thread.
 */
#ifndef GATEWAY_REFUSALS_H
#define GATEWAY_REFUSALS_H

#include "gateway/event.h"
#include "policy/access/snapshot.h"

#define REFUSALS_MAX 1024
#define REFUSAL_PLACE_MAX 96

struct refusal {
    uint64_t sequence; /* 0: the place is free */
    struct event event;
    char rule_at[REFUSAL_PLACE_MAX]; /* "policy.d/10-fleet.conf:7"; empty: no rule, or not known */
    char role_at[REFUSAL_PLACE_MAX];
};

struct refusals;

/* NULL without memory, which is touched as it is used. */
struct refusals *refusals_create(void);
void refusals_destroy(struct refusals *refusals);
/* Whether an event is one: somebody asked for something and did not get it, or would not if it were enforced.
 */
bool refusals_is(const struct event *event);
/* Keeps a copy; `policy` is the one that decided, or NULL when it is gone. */
void refusals_add(struct refusals *refusals, const struct event *event, uint64_t sequence,
                  const struct snapshot *policy);
/* NULL: it is not, or no longer, among them. */
const struct refusal *refusals_find(const struct refusals *refusals, uint64_t sequence);
/* The newest; NULL: there is none. */
const struct refusal *refusals_last(const struct refusals *refusals);

#endif
