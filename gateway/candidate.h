/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A candidate: a second compiled policy that is judged beside the one in force, on the traffic that there is,
 * and has no effect on it (G6). Only what differs is kept: what passes now and would not, and what does not
 * and would.
 *
 * The control thread loads it as a reload would, with every check and the policy's own tests, reserves a
 * place for each worker and publishes it. A worker that has taken it looks at judged actions (judged.h), asks
 * the candidate about the same action, and counts differences in rows of
 * (what was done, role and rule that decide now and then, from, to) and by client, each with one example.
 * Nothing is allocated, locked or waited for meanwhile. Bounds: CANDIDATE_ROWS rows and CANDIDATE_CLIENTS
 * clients a worker, what does not fit is counted; who a session would be is remembered in a table of as many
 * places as sessions, in which a newer session takes an older one's.
 *
 * Sampling is by a hash of the client's identity, so that a client is looked at whole or not at all: the
 * share that was asked for, halved as long as a worker judges more than CANDIDATE_MOST in
 * CANDIDATE_WINDOW_US. Of one session at most CANDIDATE_SESSION_MOST are judged in that time and count: who
 * floods does not take others out of the sample, nor hides what differs.
 *
 * States are compared, not rules: allow, observe (it is refused and passes all the same), delay, deny, and
 * disconnect (for a rate). The candidate's limits run beside those in force (candidate_limits.h): rates,
 * sizes, caps, users. Totals of roles and listeners are judged only while all clients are in the sample. What
 * neither can judge is passed over, and named in reports (CANDIDATE_BEYOND).
 *
 * It is kept over a reload of the policy in force, with which it is compared from then on: what was counted
 * against the one before is forgotten. It is not kept over a restart.
 */
#ifndef GATEWAY_CANDIDATE_H
#define GATEWAY_CANDIDATE_H

#include "gateway/candidate_limits.h"
#include "gateway/event.h"

#define CANDIDATE_ROWS 256
#define CANDIDATE_CLIENTS 256
#define CANDIDATE_CLIENT_WORDS 4 /* of the bits by which the clients of a row are estimated */
#define CANDIDATE_WORKERS 16
#define CANDIDATE_SAMPLE_ALL UINT32_C(1000000) /* parts of a million */
#define CANDIDATE_WINDOW_US UINT64_C(100000)
#define CANDIDATE_MOST UINT32_C(8000)        /* actions of a worker in a window */
#define CANDIDATE_SESSION_MOST UINT32_C(500) /* and of one session */
#define CANDIDATE_TOPIC_MAX 128
#define CANDIDATE_ROLE_NONE UINT32_MAX

/* CANDIDATE_BEYOND(text): what is not judged a second time. */
#define CANDIDATE_BEYOND_TABLE(CANDIDATE_BEYOND)                                                             \
    CANDIDATE_BEYOND("what the policy in force did not read: malformed, or above its packet limit")          \
    CANDIDATE_BEYOND("bytes of acknowledgements and other small packets, in rates of bytes")                 \
    CANDIDATE_BEYOND("a client's rates over several workers: each counts its own")                           \
    CANDIDATE_BEYOND("sessions of an identity, takeovers and quarantine by rate or by hand")                 \
    CANDIDATE_BEYOND("deliveries' queues and what is in flight toward clients")                              \
    CANDIDATE_BEYOND("CoAP: block-wise transfers, caps of prefixes, and what an unproved address may get")   \
    CANDIDATE_BEYOND("certificates, keys and upstreams")

/* What one of the two policies says, by places in it. */
struct candidate_side {
    uint32_t role; /* or CANDIDATE_ROLE_NONE */
    uint32_t rule; /* of the role, or ACL_RULE_NONE */
    uint8_t outcome;
    uint8_t state; /* enum candidate_state */
    uint8_t limit; /* enum candidate_limit that decided; of the policy in force only its outcome is known */
};

struct candidate_example {
    char client[EVENT_NAME_MAX]; /* its identity */
    uint8_t qos;
    bool retain;
    uint16_t topic_len;
    uint8_t topic[CANDIDATE_TOPIC_MAX]; /* cut */
};

struct candidate_row {
    uint8_t kind;   /* enum judged_kind */
    uint8_t action; /* enum acl_action */
    struct candidate_side live, next;
    uint64_t count;  /* 0: the row is free */
    uint64_t untold; /* since the last event */
    uint64_t told_us;
    uint64_t clients[CANDIDATE_CLIENT_WORDS]; /* a bit for each client's hash */
    struct candidate_example example;         /* the first */
};

struct candidate_client {
    uint64_t hash;
    uint64_t count; /* 0: free */
    uint8_t kind, action, from, to;
    struct candidate_example example; /* the first */
};

struct candidate_counts {
    uint64_t judged;       /* actions that both have judged */
    uint64_t differ;       /* of these */
    uint64_t passed_over;  /* the policy in force refused for a reason that depends on what came before */
    uint64_t undecided;    /* the candidate would have had to read or compute what was not at hand */
    uint64_t displaced;    /* buckets of the candidate that made room for others' */
    uint64_t not_sampled;  /* actions of clients that are not in the sample */
    uint64_t left_out;     /* differences that found no row */
    uint64_t clients_left; /* differences of clients that found no place */
    uint32_t halved;       /* how often the share is halved now, for load */
};

/* What a worker lends. */
struct candidate_place {
    const struct generation *const *generation; /* in force */
    const uint64_t *now_us;
    const uint64_t *wall_offset_us; /* from loop time to CLOCK_REALTIME; NULL: none */
    struct event_ring *events;
};

struct candidate_worker;

struct candidate {
    uint64_t number; /* how many there were */
    struct generation *next;
    struct rate_totals *totals; /* of its own: those of `next` are shared with the policy in force */
    uint32_t sample;            /* of CANDIDATE_SAMPLE_ALL */
    uint64_t since_us;
    char *file, *policy; /* what it was loaded from */
    bool files;          /* these are the operator's own */
    char user[64];
    uint32_t workers_n;
    struct candidate_worker *worker[CANDIDATE_WORKERS];
};

/* Takes `next`; places for `sessions` sessions of each worker are reserved and touched as they are used. NULL
 * without memory, `next` is the caller's then. Control thread, as is destroy, which frees `next`. */
struct candidate *candidate_create(struct generation *next, uint32_t workers, uint32_t sessions,
                                   uint32_t sample);
void candidate_destroy(struct candidate *candidate);

/* ---- on the worker ---- */

/* Before it looks. */
void candidate_take(struct candidate_worker *worker, const struct candidate_place *place);
/* For judged_set; `owner` is a struct candidate_worker. */
void candidate_see(void *owner, const struct judged_action *action);
/* Which generation in force its counts are about; 0: nothing was seen. */
uint32_t candidate_against(const struct candidate_worker *worker);
const struct candidate_counts *candidate_counts(const struct candidate_worker *worker);
/* The rows and clients at or after *position, at most `room`; how many. */
uint32_t candidate_rows(const struct candidate_worker *worker, uint32_t *position, struct candidate_row *to,
                        uint32_t room);
uint32_t candidate_clients(const struct candidate_worker *worker, uint32_t *position,
                           struct candidate_client *to, uint32_t room);

/* Whether two rows are about the same. */
bool candidate_same(const struct candidate_row *a, const struct candidate_row *b);
/* About how many clients a row has seen, from its bits (linear counting); good to some percent up to 500. */
uint32_t candidate_clients_estimate(const uint64_t bits[CANDIDATE_CLIENT_WORDS]);

#endif
