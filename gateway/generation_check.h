/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What -t and a reload say of the files behind an upstream, beyond whether they can be read (G1, B3): pairs
 * of certificate and key, one for each device where the names hold ${id}, and how long they last. Control
 * thread.
 */
#ifndef GATEWAY_GENERATION_CHECK_H
#define GATEWAY_GENERATION_CHECK_H

#include "config/gateway_config.h"
#include "dataplane/secure/psk_keys.h"

/* An expiry nearer than this is worth a warning. */
#define GENERATION_EXPIRY_DAYS 30
/* Pairs of devices that one check reads, about half a second, and others of which it sees whether they are
 * there and may be read. */
#define GENERATION_PAIRS_MAX 1000
#define GENERATION_PAIRS_SEEN_MAX 20000

/* Whether all that a TLS or DTLS context is made of is there and can be read; else that has been told. */
bool generation_check_complete(const struct config_upstream *upstream);
/* The one pair of an upstream, if it has one: a key that does not fit is an error, told, and false. */
bool generation_check_pair(const struct config_upstream *upstream, struct diagnostics *d);
/* Authorities that end soon, or have: a warning. `what` and `name`: whose they are; NULL `file`: nothing. */
void generation_check_authorities(const char *what, const char *name, const struct config_origin *at,
                                  const char *file, struct diagnostics *d);
/* The same two of a DTLS listener. */
bool generation_check_listener(const struct config_listener *listener, struct diagnostics *d);
/*
 * Pre-shared keys, NULL for none: identities that roles could not name, because they are not UTF-8 or hold
 * control characters, and keys of one byte over and over, are errors, told, and false (C1).
 */
bool generation_check_keys(const char *what, const char *name, const struct config_origin *at,
                           const struct psk_keys *keys, struct diagnostics *d);
/* Active checks of an upstream with keys have one: else an error, told, and false. `pattern`:
 * psk_identity_fill. */
bool generation_check_check_id(const struct config_upstream *upstream, const char *pattern,
                               const struct psk_keys *keys, struct diagnostics *d);
/* The pairs of devices: one that does not fit is an error, as any other pair's (G1), and an expiry that is
 * near a warning; so is that not all of them were read. What goes wrong with files after that keeps only
 * their device out. */
void generation_check_devices(const struct config_upstream *upstream, struct diagnostics *d);

#endif
