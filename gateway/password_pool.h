/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that check passwords, so that the rounds of PBKDF2 never stall packets (C2).
 *
 * A worker takes a job from its own bounded set, fills it in and hands it over; a thread computes, wipes the
 * password and hands it back. A guesser must not keep others waiting: jobs stand in lines by source address,
 * which take turns (fair_queue.h), a line holds a quarter of a worker's jobs at most, and only a few of a
 * worker are with the threads at once. Those of all workers wait in one ring (DPDK's, many producers, many
 * consumers), answers in one ring for each worker; both have room for all jobs there are, so nothing is ever
 * full but the set: a worker without a free job refuses by name. A worker neither waits nor locks; its only
 * system call is waking a thread that sleeps. Jobs lie in secret memory and are wiped before they are free
 * again.
 */
#ifndef GATEWAY_PASSWORD_POOL_H
#define GATEWAY_PASSWORD_POOL_H

#include "dataplane/secure/fair_queue.h"
#include "dataplane/secure/password.h"

#define PASSWORD_BYTES_MAX 512 /* a longer one fits nobody */

struct password_job {
    uint64_t tag; /* the worker's own, as are these: */
    uint64_t digest;
    uint64_t mac[2];
    bool decoy; /* for a name that is not there: as long, and never good */
    bool good;  /* the answer */
    uint16_t password_len;
    uint32_t worker;
    struct password_job *next;     /* among the free */
    struct fair_queue_entry entry; /* in its source's line */
    struct password_hash hash;
    uint8_t password[PASSWORD_BYTES_MAX];
};

struct password_pool;

/* `jobs` is how many each worker may have under way. NULL on failure. */
struct password_pool *password_pool_create(uint32_t threads, uint32_t workers, uint32_t jobs);
/* Ends the threads after what they are at; jobs that wait are wiped and forgotten. NULL is ignored. Workers
 * must not use it any more. */
void password_pool_destroy(struct password_pool *pool);

/* From the worker of that number only, for a client at `source`. NULL when all its jobs are under way, or so
 * many of that source's line as one may have. */
struct password_job *password_pool_take(struct password_pool *pool, uint32_t worker,
                                        const struct ip_address *source);
void password_pool_submit(struct password_pool *pool, struct password_job *job);
/* A job that was done, or NULL; to be given back. */
struct password_job *password_pool_collect(struct password_pool *pool, uint32_t worker);
/* Gives a job back that was taken, wiped. */
void password_pool_give_back(struct password_pool *pool, struct password_job *job);

#endif
