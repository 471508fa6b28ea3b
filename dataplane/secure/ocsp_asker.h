/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thread that asks OCSP responders about certificates, beside the packet path (B4; RFC 6960).
 *
 * Whoever needs to know about a case asks, which takes no lock and no wait; a case that is being asked about
 * is not asked about twice. The thread keeps up to OCSP_FLIGHTS questions under way over kernel sockets,
 * verifies what comes back, and writes the verdict into the case; ocsp_asker_version then differs. A verdict
 * holds until the answer's nextUpdate, at most as long as the policy says, and is due to be asked again after
 * three quarters of that; where no answer counts, what was known before stays as long as it held, and it is
 * tried again after OCSP_RETRY_S.
 *
 * What an attacker with many certificates can make of it is bounded: OCSP_ASKED_MAX questions wait, each
 * responder is asked OCSP_PER_S times a second by at most OCSP_FLIGHTS_EACH questions at once, and one that
 * failed OCSP_FAILURES times in a row is left alone for OCSP_RETRY_S, in which questions fail at once. An
 * address that a certificate names is not asked when it is this machine's, link-local or multicast.
 */
#ifndef DATAPLANE_SECURE_OCSP_ASKER_H
#define DATAPLANE_SECURE_OCSP_ASKER_H

#include "dataplane/secure/ocsp_case.h"

#define OCSP_ASKED_MAX 4096u
#define OCSP_FLIGHTS 16
#define OCSP_FLIGHTS_EACH 8
#define OCSP_PER_S 50
#define OCSP_FAILURES 3
#define OCSP_RETRY_S 10

/* OCSP_COUNTER(name, id) */
#define OCSP_COUNTER_TABLE(OCSP_COUNTER)                                                                     \
    OCSP_COUNTER(ASKED, "asked")                                                                             \
    OCSP_COUNTER(GOOD, "good")                                                                               \
    OCSP_COUNTER(REVOKED, "revoked")                                                                         \
    OCSP_COUNTER(UNKNOWN, "unknown")                                                                         \
    OCSP_COUNTER(FAILED, "failed")                                                                           \
    OCSP_COUNTER(FULL, "queue-full")

#define OCSP_COUNTER_ENUM(name, id) OCSP_COUNT_##name,
enum ocsp_counter { OCSP_COUNTER_TABLE(OCSP_COUNTER_ENUM) OCSP_COUNTER_COUNT };
#undef OCSP_COUNTER_ENUM

struct ocsp_asker;

/* Starts the thread. `cases` is the capacity of its registry. NULL on failure. */
struct ocsp_asker *ocsp_asker_create(uint32_t cases);
/* Ends it; nobody asks any more. NULL is ignored. */
void ocsp_asker_destroy(struct ocsp_asker *asker);
/* The asker of this process, for contexts that are made from here on; NULL: none. While there is one thread,
 * or by the control thread. */
void ocsp_asker_share(struct ocsp_asker *asker);
struct ocsp_asker *ocsp_asker_shared(void);

struct ocsp_registry *ocsp_asker_registry(struct ocsp_asker *asker);
/* Has a case asked about. False when too many wait, counted: ask again. Any thread; its only system call is
 * waking the asker. */
bool ocsp_ask(struct ocsp_asker *asker, struct ocsp_case *c);
/* Changes with every verdict, and with every one by which a peer that passed may have to go. */
uint32_t ocsp_asker_version(const struct ocsp_asker *asker);
uint32_t ocsp_asker_alarms(const struct ocsp_asker *asker);
uint64_t ocsp_asker_counter(const struct ocsp_asker *asker, enum ocsp_counter counter);
const char *ocsp_counter_id(enum ocsp_counter counter);

#endif
