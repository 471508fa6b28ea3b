/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Learning, as the control thread sees it (G6): which roles, since when and until when, the evidence of each
 * worker, and what comes of it.
 *
 * A role is learned by its name, whatever policy is in force; at most LEARN_ROLES_MAX at once. Its evidence
 * takes sizeof(struct evidence), about 2 MiB, of each worker, of which only what is used is touched. It stays
 * when learning is stopped or its time is over, until the role is started anew or forgotten.
 *
 * It is kept in the state directory (learn_file.h): every LEARN_KEEP_US while a role is learned, when it is
 * stopped, at the end of the gateway, and when it is told to. The gateway takes up again where the files were
 * written last: a crash loses what came after, up to LEARN_KEEP_US of it. A file that is not as it was
 * written is counted, told and left alone until its place is taken. With fewer workers than before, the
 * evidence of those that are no more stays as it is and counts in reports. Control thread only.
 */
#ifndef GATEWAY_LEARN_H
#define GATEWAY_LEARN_H

#include "gateway/learn_worker.h"
#include "policy/learn/mining.h"

struct gateway;

#define LEARN_WORKERS_MAX 16
#define LEARN_KEEP_US UINT64_C(60000000)

struct learning {
    char name[EVENT_NAME_MAX]; /* empty: the place is free */
    char by[EVENT_NAME_MAX];
    bool active;
    uint64_t started_us, stopped_us; /* CLOCK_REALTIME */
    uint64_t until_us;               /* gateway_monotonic_us; 0: until it is stopped */
    uint32_t revision;               /* of the policy under which it was begun, */
    char fingerprint[9];             /* and which that was */
    uint64_t taken_up_us;            /* CLOCK_REALTIME: from a file, after a restart; 0: not */
    uint64_t kept_us;                /* likewise: what was seen until then is in the file; 0: nothing is */
    int keep_error;                  /* errno of the last time that it could not be kept */
    uint64_t keep_tried_us;          /* gateway_monotonic_us */
    bool has_key;
    struct siphash_key key; /* of the place: it stays for as long as a worker may use it */
    struct evidence
        *evidence[LEARN_WORKERS_MAX]; /* those beyond the workers that there are: of earlier ones */
};

struct learn {
    struct learn_worker *worker[LEARN_WORKERS_MAX]; /* NULL until the first start */
    struct learning role[LEARN_ROLES_MAX];
    uint64_t kept, not_kept, refused; /* files: written, that could not be, that were not taken */
};

enum learn_result {
    LEARN_OK = 0,
    LEARN_FULL,   /* LEARN_ROLES_MAX are learned */
    LEARN_MEMORY, /* not to be had */
    LEARN_SILENT, /* a worker did not answer in time */
    LEARN_DISK,   /* the state directory did not do as it was told */
};
const char *learn_result_text(enum learn_result result);

/* Begins anew; `for_us` 0: until it is stopped. */
enum learn_result learn_start(struct gateway *gateway, const char *role, const char *by, uint64_t for_us);
/* Goes on with what was seen before; as learn_start when there is nothing. */
enum learn_result learn_resume(struct gateway *gateway, const char *role, const char *by, uint64_t for_us);
enum learn_result learn_stop(struct gateway *gateway, struct learning *role);
/* What was seen is gone, here and in the state directory. */
enum learn_result learn_forget(struct gateway *gateway, struct learning *role);
/* Writes down what was seen until now: 0 or -errno, -EAGAIN when a worker does not answer. */
int learn_keep(struct gateway *gateway, struct learning *role);
/* Takes up what an earlier process has kept. Workers are running. */
void learn_take_up(struct gateway *gateway);
/* Keeps all that is learned. Workers have ended. */
void learn_keep_at_end(struct gateway *gateway);
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
