/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may be whom at an upstream: a claim on a client identifier, or on an identity that may have one
 * session, is held by one worker at a time, so that two sessions of the same name never reach the upstream,
 * which would end one for the other again and again (C3). Within a worker its own tables tell more; this one
 * tells workers from each other.
 *
 * One object for all workers, made at the start. Buckets of eight words of fingerprint and owner, claimed
 * with a compare-and-swap and looked at again afterwards: of two workers that claim the same name at the same
 * instant the one with the lower place keeps it. No lock, no memory; a full bucket refuses. Names are kept as
 * 56 bits of SipHash under a secret key.
 */
#ifndef GATEWAY_SESSION_CLAIMS_H
#define GATEWAY_SESSION_CLAIMS_H

#include "policy/bytes.h"

struct session_claims;

enum claim_result {
    CLAIM_REFUSED = 0, /* no place in its bucket */
    CLAIM_TAKEN,       /* another session has it */
    CLAIM_HELD,
};

/* `sessions`: of all workers together. */
struct session_claims *session_claims_create(uint32_t sessions, const uint8_t secret[16]);
void session_claims_destroy(struct session_claims *claims);

/* A key for `name` within `space` ("id", the name of an upstream); never 0. */
uint64_t session_claims_key(const struct session_claims *claims, struct bytes space, struct bytes name);
/* By worker `worker` (below 127). With `contest` a holder is told that somebody else is to have the name, see
 * session_claims_contested. */
enum claim_result session_claims_take(struct session_claims *claims, uint64_t key, uint32_t worker,
                                      bool contest);
/* Of the worker that holds it. */
void session_claims_release(struct session_claims *claims, uint64_t key, uint32_t worker);
/* Counts up when somebody's claim is contested: then each worker asks for its own. */
uint32_t session_claims_contests(const struct session_claims *claims);
bool session_claims_contested(const struct session_claims *claims, uint64_t key, uint32_t worker);

#endif
