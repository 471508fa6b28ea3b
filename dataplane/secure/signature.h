/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signatures over DER (RFC 5280 section 4.1.1): who signed a certificate or an OCSP answer.
 *
 * ECDSA and RSA PKCS#1 1.5 with SHA-256, SHA-384 or SHA-512; keys of 2048 bits (RSA) or 256 bits and more.
 * Anything else, SHA-1 above all, is not good. Public-key arithmetic and memory: never on a packet worker.
 */
#ifndef DATAPLANE_SECURE_SIGNATURE_H
#define DATAPLANE_SECURE_SIGNATURE_H

#include "dataplane/secure/der.h"

/* Whether `body`, a SEQUENCE's content that begins { signed, AlgorithmIdentifier, BIT STRING }, was signed
 * with the key of `public_key`, a SubjectPublicKeyInfo with its header. What follows is left in `body`. */
bool signature_good(struct der *body, const struct der *public_key);
/* The same of a certificate. */
bool signature_of_certificate(const struct der *certificate, const struct der *public_key);

#endif
