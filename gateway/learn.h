/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Learning, as the control thread sees it (G6): which roles, since when and until when, the evidence of each
 * worker, and what comes of it.
 *
 * A role is learned by its name, whatever policy is in force; at most LEARN_ROLES_MAX at once. Its evidence
 * takes sizeof(struct evidence), about 2 MiB, of each worker, of which only what is used is touched. It stays
 * when learning is stopped or its time is over, until the role is started anew or the gateway ends: it is
 * not kept on disk. Control thread only.
 */
#ifndef GATEWAY_LEARN_H
#define GATEWAY_LEARN_H

#include "gateway/learn_worker.h"
#include "policy/learn/mining.h"

struct gateway;

#define LEARN_WORKERS_MAX 16

struct learning {
    char name[EVENT_NAME_MAX]; /* empty: the place is free */
    char by[EVENT_NAME_MAX];
    bool active;
    uint64_t started_us, stopped_us; /* CLOCK_REALTIME */
    uint64_t until_us;               /* gateway_monotonic_us; 0: until it is stopped */
    struct evidence *evidence[LEARN_WORKERS_MAX];
};

struct learn {
    struct learn_worker *worker[LEARN_WORKERS_MAX]; /* NULL until the first start */
    struct learning role[LEARN_ROLES_MAX];
};

enum learn_result {
    LEARN_OK = 0,
    LEARN_FULL,   /* LEARN_ROLES_MAX are learned */
    LEARN_MEMORY, /* not to be had */
    LEARN_SILENT, /* a worker did not answer in time */
};
const char *learn_result_text(enum learn_result result);

/* Begins anew; `for_us` 0: until it is stopped. */
enum learn_result learn_start(struct gateway *gateway, const char *role, const char *by, uint64_t for_us);
enum learn_result learn_stop(struct gateway *gateway, struct learning *role);
/* Roles whose time is over; at every tick. */
void learn_tick(struct gateway *gateway);
/* The place of a role that was ever learned, or NULL. */
struct learning *learn_find(struct learn *learn, const char *role);

/* A copy of what all workers have seen of a role. */
struct learn_copies {
    uint32_t n;
    uint32_t silent; /* workers that did not answer, whose evidence is missing */
    const struct evidence *evidence[LEARN_WORKERS_MAX];
};
/* False without memory; learn_copies_free in any case. */
bool learn_copy(struct gateway *gateway, const struct learning *role, struct learn_copies *copies);
void learn_copies_free(struct learn_copies *copies);
void learn_fini(struct learn *learn);

#endif
