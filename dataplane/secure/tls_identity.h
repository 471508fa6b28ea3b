/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A certificate chain with its private key, read from PEM files and checked to belong together (B3).
 *
 * Immutable and reference-counted; any thread. Reading takes system calls and public-key arithmetic, so it is
 * done at start, by sallyport -t, and by handshake threads. The key stays in secret memory (tls_key.h):
 * whoever has applied an identity keeps a reference until the handshake is over, because it signs only as
 * long as it lives.
 */
#ifndef DATAPLANE_SECURE_TLS_IDENTITY_H
#define DATAPLANE_SECURE_TLS_IDENTITY_H

#include "dataplane/secure/tls_context.h"

struct WOLFSSL;
struct WOLFSSL_CTX;
struct tls_identity;

/* NULL with `error`. */
struct tls_identity *tls_identity_load(const char *certificate_file, const char *key_file,
                                       struct tls_error *error);
/* The same with a key that may be encrypted (PKCS#8, RFC 5958 section 3; PEM of RFC 1421 is not taken): the
 * first line of `key_password_file` opens it; NULL: it may not. */
struct tls_identity *tls_identity_load_with(const char *certificate_file, const char *key_file,
                                            const char *key_password_file, struct tls_error *error);
/*
 * From `bytes` of one file that holds chain and key, from `at` on; the leaf's CN must be `name`. For
 * tls_bundle.h.
 */
struct tls_identity *tls_identity_load_part(const char *path, uint64_t at, uint32_t bytes,
                                            const char *key_password_file, const char *name,
                                            struct tls_error *error);
struct tls_identity *tls_identity_ref(struct tls_identity *identity);
/* NULL is ignored. */
void tls_identity_unref(struct tls_identity *identity);
/* Makes `ssl` present it when the server asks. False when memory is not to be had. */
bool tls_identity_apply(const struct tls_identity *identity, struct WOLFSSL *ssl);
/* The same for all sessions of a listener's context: the library wants a server's certificate there. */
bool tls_identity_apply_to_all(const struct tls_identity *identity, struct WOLFSSL_CTX *ctx);
/* Whole days until the leaf certificate expires; negative when it has. */
int tls_identity_days_left(const struct tls_identity *identity);

/* Reads a whole file of at most `limit` bytes, NUL behind it; the caller frees. NULL with `error`. */
uint8_t *tls_read_file(const char *path, size_t limit, size_t *bytes, struct tls_error *error);

#endif
