/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that run TLS handshakes, so that public-key arithmetic and certificate files never stall packets
 * (B6, decision 6).
 *
 * A worker hands over a session with the bytes that arrived for it; while a thread has it the worker only
 * queues further input. The thread reads the identity if needed, runs the library until it wants more input,
 * and hands the session back with the bytes to send. Queues are bounded single-producer rings per worker and
 * are served in turn, so one worker's storm does not starve another's. Threads block when there is nothing to
 * do.
 */
#ifndef DATAPLANE_SECURE_HANDSHAKE_POOL_H
#define DATAPLANE_SECURE_HANDSHAKE_POOL_H

#include <stdint.h>

struct handshake_pool;

/* Starts `threads` threads for up to `workers` workers. NULL on failure. */
struct handshake_pool *handshake_pool_create(uint32_t threads, uint32_t workers, uint32_t queue_slots);
/* Finishes what is running, joins the threads. Workers must not submit any more. */
void handshake_pool_destroy(struct handshake_pool *pool);

#endif
