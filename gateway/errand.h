/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A piece of work that takes long (loading a policy, freeing one), on a thread of its own that stands behind
 * all others: a worker or a handshake that shares its core gets the core first (B6, G2, decision 6).
 *
 * The thread runs as SCHED_BATCH with nice 10, a tenth of an equal's share where a core is wanted by both,
 * and with the smallest slice that the kernel grants, so that whoever wakes need not wait for the end of a
 * long one. Not SCHED_IDLE: on a core that is never idle a reload would not come through, and it may be the
 * one that takes a right away. Where a kernel or a limit refuses any of this, the work is done all the same.
 *
 * Control thread. It waits; nothing else of it runs meanwhile, so the work may use what is the control
 * thread's own, but for what `meanwhile` uses.
 */
#ifndef GATEWAY_ERRAND_H
#define GATEWAY_ERRAND_H

/*
 * Runs work(of) to its end. Every 20 ms until then meanwhile(owner) is called on the caller's thread; it may
 * be NULL. Without a thread to be had the work runs on the caller's.
 */
void errand_run(void (*work)(void *of), void *of, void (*meanwhile)(void *owner), void *owner);

#endif
