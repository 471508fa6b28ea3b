/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a worker does to learn: it looks at judged actions (judged.h) and notes those of the roles that are
 * being learned in their evidence (policy/learn/evidence.h). Roles go by name, so a reload changes nothing
 * but where a name leads.
 *
 * The control thread makes it and its evidence, hands both to the worker through the mailbox, and takes
 * evidence back only when the worker has answered that it no longer has it; in between all of it is the
 * worker's alone. On the path: no allocation, no lock, no system call; a session is found again in a cache
 * of LEARN_SESSIONS entries, and only a new one, or one after a reload, is asked who it is.
 *
 * Learned is what went on, and what was refused for want of a rule (which `observe` lets pass); not what
 * broke the protocol or a rate, nor deliveries.
 */
#ifndef GATEWAY_LEARN_WORKER_H
#define GATEWAY_LEARN_WORKER_H

#include "dataplane/siphash.h"
#include "gateway/event.h"
#include "gateway/judged.h"
#include "policy/learn/evidence.h"

#define LEARN_ROLES_MAX 32
#define LEARN_SESSIONS 1024
#define LEARN_ROLE_CACHE 64

struct learn_role {
    char name[EVENT_NAME_MAX]; /* empty: the place is free */
    bool active;
    struct evidence *evidence;
};

struct learn_session {
    uint64_t session, stamp;
    uint32_t serial; /* of the client's place */
    uint16_t client;
    uint8_t role; /* place + 1; 0: nothing is cached */
};

struct learn_worker {
    const struct generation *const *generation; /* the worker's own */
    const uint64_t *now_us;
    const uint64_t *wall_offset_us; /* from loop time to CLOCK_REALTIME; NULL: none */
    uint32_t active_n;
    struct learn_role role[LEARN_ROLES_MAX];
    struct {
        uint32_t generation;
        const struct policy_role *role;
        uint8_t place; /* + 1; 0: it is not learned */
    } cache[LEARN_ROLE_CACHE];
    struct learn_session session[LEARN_SESSIONS];
};

/* A change of one role, carried out by the worker between two packets. */
struct learn_change {
    struct learn_worker *learn;
    uint32_t place;
    bool fresh; /* name and evidence are new ones: instead of the old */
    struct learn_role role;
};

/* Puts the change in force and the worker's place among the observers right. */
void learn_worker_change(const struct learn_change *change, struct judged_observers *observers);
/* Copies the next part of a role's evidence; false when there is more. Nothing is displaced in it until then.
 */
#define LEARN_COPY_BYTES 65536
bool learn_worker_copy(struct learn_worker *learn, uint32_t place, struct evidence *to, size_t *position);

/* The keyed hash of evidence; `key` is a struct siphash_key. */
uint64_t learn_hash(const void *key, const void *data, size_t n);

#endif
