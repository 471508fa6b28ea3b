/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which certificates have been taken back: the revocation lists of one context, in a form that can be asked
 * on the packet path (B4; RFC 5280 section 5).
 *
 * The TLS library checks lists during a handshake. This is for what comes after: sessions that live when a
 * new list comes, and tickets. Entries are certificate_key() digests in order, so that a question costs a
 * binary search and neither lock nor memory. Signatures of the lists are verified by tls_trust_load_crl.
 * Immutable once sealed; any thread may ask. It belongs to its context and lives as long.
 */
#ifndef DATAPLANE_SECURE_REVOCATION_H
#define DATAPLANE_SECURE_REVOCATION_H

#include "dataplane/secure/certificate.h"
#include "dataplane/secure/tls_context.h"
#include "dataplane/secure/tls_peer.h"

struct revocations;

/* Nothing is revoked. NULL when memory is not to be had. */
struct revocations *revocations_create(void);
/*
 * Adds the entries of one DER CertificateList; only before the set is shared. False when it is malformed, is
 * a delta or indirect list (which we do not understand: sections 5.2.4 and 5.2.5), or memory is not to be
 * had; `error` says which. Entries that lift a revocation (removeFromCRL) are passed over.
 */
bool revocations_add(struct revocations *set, const uint8_t *der, size_t n, struct tls_error *error);
/* Puts the entries in order: once, after the last list. */
void revocations_seal(struct revocations *set);
/* Some certificate of the chain has been revoked. A NULL set holds nothing. */
bool revocations_hold(const struct revocations *set, const struct tls_peer *peer);
uint32_t revocations_count(const struct revocations *set);
/* When the first of the lists is out of date: UNIX time; INT64_MAX: none says so. */
int64_t revocations_next_update_s(const struct revocations *set);
/* NULL is ignored. */
void revocations_destroy(struct revocations *set);

#endif
