/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a client is the user it says it is (C2), as a worker asks it.
 *
 * Credentials that were found good are remembered by 127 bits of SipHash over user, password and the user's
 * stored entry, under a secret that lives in locked memory and dies with the process: a client that comes
 * again costs a hash, not PBKDF2, and an entry that a reload changed is no longer known by itself. What was
 * found wrong is not remembered, so that nobody fills the memory with guesses. Everything else is computed by
 * the password pool, for names that are not there as long as for others; the answer comes later.
 *
 * Bounded: 8 places for each bucket, the place that is overwritten goes round. One for each worker; no locks.
 */
#ifndef GATEWAY_AUTHENTICATOR_H
#define GATEWAY_AUTHENTICATOR_H

#include "gateway/password_pool.h"
#include "policy/access/users.h"

enum auth_answer {
    AUTH_REFUSED = 0,
    AUTH_GOOD,
    AUTH_WAITS, /* the answer comes from authenticator_collect */
    AUTH_BUSY,  /* too many wait already, in all or of that source */
};

struct authenticator_counters {
    uint64_t remembered; /* answered from memory */
    uint64_t computed;   /* handed to the pool */
    uint64_t refused;    /* found wrong */
    uint64_t busy;
};

struct auth_verdict {
    uint64_t tag;
    uint64_t digest; /* user_digest of the entry that it was held against; 0: there was none */
    bool good;
};

struct authenticator;

/* `places` is how many credentials are remembered, rounded up to a power of two. The pool is borrowed. NULL
 * without memory. */
struct authenticator *authenticator_create(struct password_pool *pool, uint32_t worker, uint32_t places);
void authenticator_destroy(struct authenticator *a);
/* A client at `source` asks about a user of `users` (NULL: nobody is there). With AUTH_GOOD `*digest` is the
 * entry's user_digest; with AUTH_WAITS `tag` comes back with the verdict. */
enum auth_answer authenticator_ask(struct authenticator *a, const struct ip_address *source,
                                   const struct users *users, struct bytes user, struct bytes password,
                                   uint64_t tag, uint64_t *digest);
/* The next verdict that came; false when there is none. */
bool authenticator_collect(struct authenticator *a, struct auth_verdict *verdict);
const struct authenticator_counters *authenticator_counters(const struct authenticator *a);

#endif
