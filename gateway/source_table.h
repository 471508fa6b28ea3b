/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each source address has been doing: its connection rate and its open sessions (F1). One per worker,
 * which sees all flows of a source, because device-side flows are spread by source address (decision 3).
 *
 * Fixed memory, set-associative, keyed by a secret. An address that has no session and whose bucket would be
 * full again by now is forgotten when its place is needed; when all places of a set are taken by addresses
 * with sessions, a new address is refused: undecided means drop.
 */
#ifndef GATEWAY_SOURCE_TABLE_H
#define GATEWAY_SOURCE_TABLE_H

#include "dataplane/address.h"
#include "policy/access/rates.h"
#include "policy/verdict.h"

struct source_table;

struct source_table *source_table_create(uint32_t capacity, const uint8_t secret[16]);
void source_table_destroy(struct source_table *table);
/*
 * A new connection from `source`: ALLOWED, RATE_CONNECTS, SESSION_TAKEN (more than `sessions`, 0: unlimited),
 * or NO_RESOURCES. It counts against the rate; a session is counted only by source_table_open.
 */
enum outcome source_table_admit(struct source_table *table, const struct ip_address *source,
                                const struct rate rate[RATE_WINDOWS], uint32_t sessions, uint64_t now_us);
/* A session of `source` has begun; it ends with source_table_close. */
void source_table_open(struct source_table *table, const struct ip_address *source);
void source_table_close(struct source_table *table, const struct ip_address *source);
/* A TLS handshake of `source` begins, unless `most` are under way already (then false); it ends with
 * source_table_settled. */
bool source_table_handshake(struct source_table *table, const struct ip_address *source, uint32_t most);
void source_table_settled(struct source_table *table, const struct ip_address *source);
/* Sessions of a source, for tests and commands. */
uint32_t source_table_sessions(const struct source_table *table, const struct ip_address *source);

#endif
