/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DTLS 1.2 as a client, over datagrams that the caller carries (B2, B3, E7).
 *
 * A session is fed with the datagrams that came from the server and hands out those that are to be sent; it
 * opens no socket and reads no clock. It retransmits its flights of the handshake on its own timer, which the
 * caller runs: dtls_session_due_us says when. Records are protected against replay, so that a message is
 * delivered once at most.
 *
 * A pre-shared key for each identity comes from a file of lines "identity:key in hex". A handshake with a
 * key takes symmetric cryptography alone and runs where it is called: 0.2 to 0.25 ms of the client's side,
 * measured on a busy core. The master secret of a session is kept with its context, so that the next one for
 * the same identity is resumed in one round trip less.
 *
 * Suites: PSK with AES-128-CCM-8 (RFC 7252 s.9.1.3.1), AES-128-GCM and AES-256-GCM, AEAD only; without
 * forward secrecy, as these suites are defined. A context may be used by any thread that does not share it
 * with another at the same moment but for ref and unref; sessions belong to one worker.
 */
#ifndef DATAPLANE_SECURE_DTLS_STREAM_H
#define DATAPLANE_SECURE_DTLS_STREAM_H

#include "dataplane/secure/tls_context.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DTLS_IDENTITY_MAX 128
#define DTLS_KEY_MAX 64
/* Header, explicit nonce and tag of a record: what a message grows by at most. */
#define DTLS_RECORD_OVERHEAD 37

struct dtls_context;
struct dtls_worker;
struct dtls_session;

struct dtls_settings {
    const char *psk_file;
    const char *psk_id; /* template: "%s" once is replaced by the identity of the client, or none */
};

/* NULL when it cannot be used, with the reason (file and line for a bad line of the key file). */
struct dtls_context *dtls_context_create(const struct dtls_settings *settings, struct tls_error *error);
struct dtls_context *dtls_context_ref(struct dtls_context *context);
void dtls_context_unref(struct dtls_context *context);
/* Whether both have the same PSK identity and key for this client, so that a session may stay. */
bool dtls_context_same(const struct dtls_context *a, const struct dtls_context *b, const char *identity);
uint32_t dtls_context_keys(const struct dtls_context *context);

enum dtls_end {
    DTLS_END_FAILED = 0, /* the handshake failed: wrong key, no common suite */
    DTLS_END_SILENT,     /* nobody answered it */
    DTLS_END_PEER,       /* the server closed it, or sent a fatal alert */
    DTLS_END_ERROR,
};

struct dtls_handler {
    /* A datagram for the server. */
    void (*send)(void *owner, const uint8_t *datagram, size_t n);
    void (*opened)(void *owner);
    /* A message of the server; borrowed. */
    void (*received)(void *owner, const uint8_t *message, size_t n);
    /* The session has ended by itself; it is freed by dtls_session_close, which may be called from here. */
    void (*closed)(void *owner, enum dtls_end why, const char *reason);
};

/* `sessions`: of keys that are kept expanded. */
struct dtls_worker *dtls_worker_create(uint32_t sessions);
void dtls_worker_destroy(struct dtls_worker *worker);

/* Begins a session, whose first datagram is sent before the return; `datagram_max` is the largest that may
 * be. A reference to the context is kept. NULL with a reason when there is no key for `identity`, or no
 * memory. */
struct dtls_session *dtls_connect(struct dtls_worker *worker, struct dtls_context *context,
                                  const char *identity, uint16_t datagram_max,
                                  const struct dtls_handler *handler, void *owner, uint64_t now_us,
                                  struct tls_error *error);
/* Says goodbye if it is open, and frees it. May be called from within a handler. */
void dtls_session_close(struct dtls_session *session);
/* A datagram from the server. */
void dtls_session_input(struct dtls_session *session, const uint8_t *datagram, size_t n, uint64_t now_us);
/* One message in one record; false when the session is not open or the message is too large. */
bool dtls_session_write(struct dtls_session *session, const uint8_t *message, size_t n);
/* Retransmits what is due; UINT64_MAX: nothing is. */
void dtls_session_fire(struct dtls_session *session, uint64_t now_us);
uint64_t dtls_session_due_us(const struct dtls_session *session);
/* "DTLS 1.2", the suite, and whether it was resumed. */
const char *dtls_session_cipher(const struct dtls_session *session);
bool dtls_session_resumed(const struct dtls_session *session);
const struct dtls_context *dtls_session_context(const struct dtls_session *session);

#endif
