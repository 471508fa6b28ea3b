/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of all certificates of one peer's chain that somebody can be asked about (B4).
 *
 * The leaf comes first, then the intermediate CAs between it and a CA of ours, as far as there is whom to ask
 * about them. Filled once by whoever runs the handshake; afterwards any thread reads it. It neither locks nor
 * allocates.
 */
#ifndef DATAPLANE_SECURE_OCSP_CHAIN_H
#define DATAPLANE_SECURE_OCSP_CHAIN_H

#include "dataplane/secure/ocsp_case.h"

#define OCSP_CHAIN_MAX 8 /* as many certificates as a peer may show */

struct ocsp_asker;

struct ocsp_chain {
    uint32_t n;                           /* 0: nobody is asked */
    struct ocsp_case *of[OCSP_CHAIN_MAX]; /* references */
};

/* Gives the references back. */
void ocsp_chain_clear(struct ocsp_chain *chain);
/*
 * The worst that is known: one revoked, else one of which nothing is known yet (OCSP_NONE), else one without
 * an answer that counts, else one that its responder does not know; OCSP_GOOD when all are, or n is 0.
 * `which` (may be NULL): whose that is.
 */
enum ocsp_status ocsp_chain_status(const struct ocsp_chain *chain, int64_t now_s, uint32_t *which);
/* What is wrong with a peer of that chain in that mode, as a static sentence; NULL: nothing, or nothing is
 * known. */
const char *ocsp_chain_refuses(const struct ocsp_chain *chain, enum ocsp_mode mode, int64_t now_s);
/* Has all asked about of which nothing is known. */
void ocsp_chain_ask(const struct ocsp_chain *chain, struct ocsp_asker *asker, int64_t now_s);
/* Has those asked about that are due again. */
void ocsp_chain_renew(const struct ocsp_chain *chain, struct ocsp_asker *asker, int64_t now_s);
/* Why there is no answer that counts, as a static sentence, or NULL. */
const char *ocsp_chain_why(const struct ocsp_chain *chain, int64_t now_s);

#endif
