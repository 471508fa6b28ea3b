/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Certificates and keys of many devices in one PEM file (B3): for each device its certificate, what its chain
 * needs beyond that, and its private key, in this order; the name of a device is its certificate's CN.
 *
 * What is kept is an index: name, place and length. Certificates and keys are read from the file when a
 * device connects (tls_identity_load_part), by a handshake thread; so 20,000 devices take little memory and
 * the keys of those that are not there are nowhere. The file must not be changed in place but replaced, with
 * a reload; one that has changed under us gives errors, not somebody else's key: the pair is checked each
 * time, and the name too. Immutable; any thread.
 */
#ifndef DATAPLANE_SECURE_TLS_BUNDLE_H
#define DATAPLANE_SECURE_TLS_BUNDLE_H

#include "dataplane/secure/tls_identity.h"

#define TLS_BUNDLE_BYTES_MAX (512u << 20)
#define TLS_BUNDLE_DEVICES_MAX 1000000u

struct tls_bundle;

/*
 * Reads the whole file once. NULL with `error`: not readable, a device without key, a key without
 * certificate, a certificate without a CN that can be used, a name twice; with the line. `key_password_file`
 * may be NULL.
 */
struct tls_bundle *tls_bundle_open(const char *path, const char *key_password_file, struct tls_error *error);
/* NULL is ignored. */
void tls_bundle_close(struct tls_bundle *bundle);
/* The identity of that name, read now. NULL with `error`. */
struct tls_identity *tls_bundle_identity(const struct tls_bundle *bundle, const char *name,
                                         struct tls_error *error);
uint32_t tls_bundle_devices(const struct tls_bundle *bundle);
/* What the index takes. */
size_t tls_bundle_memory_bytes(const struct tls_bundle *bundle);

#endif
