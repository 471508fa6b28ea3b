/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way from a leaf to a CA of ours through what a peer has shown, each step with its signature (RFC 5280
 * section 6.1), for a chain that the library has accepted. Everything points into the bytes that were given.
 * Takes public-key arithmetic: handshake threads.
 */
#ifndef DATAPLANE_SECURE_TLS_PATH_H
#define DATAPLANE_SECURE_TLS_PATH_H

#include "dataplane/secure/certificate.h"
#include "dataplane/secure/ocsp_chain.h"

#define TLS_PATH_MAX (OCSP_CHAIN_MAX + 1)

struct tls_path {
    uint32_t n;                          /* with the CA of ours, which comes last */
    struct certificate of[TLS_PATH_MAX]; /* leaf first */
};

/*
 * False when it cannot be followed: the library, which keeps intermediate CAs that others have shown, takes
 * that for good. `ours`: our CAs, DER, one behind the other; one of them ends the way, whatever else is
 * shown.
 */
bool tls_path_find(struct der ours, const struct der shown[], uint32_t n, struct tls_path *path);
/* Any CA on the way, or any of `ours`, has name constraints. Cheap: it looks for the extension. */
bool tls_path_constrained(struct der ours, const struct der shown[], uint32_t n);
/* No certificate on it calls itself what a CA above it may not certify (RFC 5280 section 4.2.1.10). */
bool tls_path_names_allowed(const struct tls_path *path);

#endif
