/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pre-shared keys in TLS over a stream (B1, B3, B4, C1): what a context with keys offers and takes, and whom
 * a handshake has proved the other side to be.
 *
 * TLS 1.3 (RFC 8446 section 2.2): an external PSK with a key share and nothing else (psk_dhe_ke). Its hash is
 * SHA-256 (section 4.2.11), so that the suites are those of SHA-256. TLS 1.2 where it is allowed: ECDHE_PSK
 * with an AEAD (RFC 7905, RFC 8442), never a PSK alone. No tickets and no early data: each connection proves
 * the key.
 *
 * A session is its PSK's only when the library says that the PSK is what was proved. That a callback has
 * found a key means nothing: the handshake may have gone on with a certificate, or with another identity.
 *
 * A listener answers an identity that it does not know with a key that nobody has: the handshake costs the
 * same and fails at the same place with the same alert as with a wrong key (RFC 4279 section 2, RFC 8446
 * section 6.2). Of several identities that a client offers the first decides. Where certificates are taken
 * too, an unknown identity of TLS 1.3 is passed over, as section 4.2.11 wants; there, and only there, the two
 * can be told apart from outside (appendix E.6). An identity is compared as bytes; one that holds a NUL is
 * unknown.
 */
#ifndef DATAPLANE_SECURE_TLS_PSK_H
#define DATAPLANE_SECURE_TLS_PSK_H

#include "dataplane/secure/psk_keys.h"
#include "dataplane/secure/tls_handshake.h"

struct WOLFSSL;
struct WOLFSSL_CTX;
struct tls_psk;

/* `pattern`: a client's identity, see psk_identity_fill; NULL: a listener's, for whom the keys are its
 * clients'. NULL with `error`. Control thread. */
struct tls_psk *tls_psk_create(const char *file, const char *pattern, struct tls_error *error);
/* Wiped. NULL is ignored. */
void tls_psk_destroy(struct tls_psk *psk);
const struct psk_keys *tls_psk_keys(const struct tls_psk *psk);

/* The suites for tls_context_set_protocol. `certificates`: they are taken too, by a listener. */
const char *tls_psk_suites(bool server, bool certificates, bool only_1_3);
void tls_psk_install(struct WOLFSSL_CTX *ctx, bool server);

/* ---- of a handshake; whoever runs the job ----------------------------------------------------------------
 */

/* Whether there is a key for the client of that identity; false with `failure`. */
bool tls_psk_has(const struct tls_psk *psk, const char *identity, struct tls_failure *failure);
/* The callbacks find what they need in the job until the step is over. */
void tls_psk_begin_step(struct tls_job *job);
void tls_psk_end_step(struct tls_job *job);
/* The handshake is done: whether it was the PSK that was proved; the verification's peer is then its holder.
 */
bool tls_psk_settle(struct tls_job *job);
/* The step has failed with the library's `error`: says so when a listener's client had no key or a wrong one.
 */
void tls_psk_explain(struct tls_job *job, int error);

/* ---- afterwards ------------------------------------------------------------------------------------------
 */

/* Why a holder of a PSK, perhaps of older keys, may not stay; or NULL. Any thread; neither locks nor
 * allocates. */
const char *tls_psk_refuses(const struct tls_psk *psk, const struct tls_peer *peer);

#endif
