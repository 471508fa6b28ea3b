/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that run TLS handshakes, so that public-key arithmetic and certificate files never stall packets
 * (B6, decision 6).
 *
 * A worker hands over a session with the bytes that arrived for it; while a thread has it the worker only
 * queues further input. The thread reads the identity if needed, runs the library until it wants more input,
 * and hands the session back with the bytes to send. Between each worker and each thread there are two
 * bounded single-producer single-consumer rings of jobs (tls_handshake.h), one per direction; a thread serves
 * its workers in turn, one job each, so one worker's storm does not starve another's. Threads block when
 * there is nothing to do. A worker never blocks, and its only system call is waking a thread that sleeps.
 */
#ifndef DATAPLANE_SECURE_HANDSHAKE_POOL_H
#define DATAPLANE_SECURE_HANDSHAKE_POOL_H

#include <stdbool.h>
#include <stdint.h>

struct handshake_pool;
struct tls_job;

/* Starts `threads` threads for up to `workers` workers, each of which may have `queue_slots` jobs under way
 * at once (rounded up to a power of two). NULL on failure. */
struct handshake_pool *handshake_pool_create(uint32_t threads, uint32_t workers, uint32_t queue_slots);
/* Finishes what is running, joins the threads. Workers must not submit any more; jobs that were still queued
 * or not collected remain the property of their workers. NULL is ignored. */
void handshake_pool_destroy(struct handshake_pool *pool);

/* The rest is for tls_worker. */

/* A worker's number, or -1 when all `workers` have theirs. Any thread. */
int handshake_pool_join(struct handshake_pool *pool);
/* How many jobs a worker may have under way. */
uint32_t handshake_pool_slots(const struct handshake_pool *pool);
/* From that worker only. False when queue_slots jobs are under way already: the job is still the caller's. */
bool handshake_pool_submit(struct handshake_pool *pool, int worker, struct tls_job *job);
/* A job that has been run, or NULL. From that worker only. */
struct tls_job *handshake_pool_collect(struct handshake_pool *pool, int worker);

#endif
