/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS over a lower stream, offered as a stream again (stream.h; RFC 8446, RFC 5246 for 1.2 by option).
 *
 * The lower stream's handler and owner become this module's; the upper ones are the relay's. The handshake
 * runs on a handshake thread (handshake_pool.h, decision 6) or, with a NULL pool, in the calling worker
 * (tests). Before it is done nothing can be written (room is 0); when it is done handler->opened comes; when
 * it fails, handler->closed with STREAM_END_TLS_* and stream_reason tells what was wrong ("certificate has
 * expired").
 *
 * Written bytes gather in one chunk and leave as one record at flush, or when the chunk is full: one record
 * per burst, not per message. Received records are decrypted in place where the library allows and offered up
 * at once; what the relay does not take is kept, and the lower stream is told to wait. A close without
 * close_notify is reported as STREAM_END_RESET (truncation), never as an orderly end. An idle session holds
 * neither chunk nor record buffers.
 */
#ifndef DATAPLANE_SECURE_TLS_STREAM_H
#define DATAPLANE_SECURE_TLS_STREAM_H

#include "dataplane/address.h"
#include "dataplane/chunk.h"
#include "dataplane/secure/tls_context.h"
#include "dataplane/secure/tls_peer.h"
#include "dataplane/stream.h"

struct handshake_pool;
struct ocsp_asker;

/* One per worker: the table of sessions, counters, and the queue on which handshakes come back. */
struct tls_worker;

struct tls_worker_config {
    uint32_t sessions;
    struct chunk_pool *chunks;   /* borrowed */
    struct handshake_pool *pool; /* borrowed; NULL: handshakes run in the worker */
    struct ocsp_asker *asker;    /* borrowed; NULL: nobody answers for certificates */
    uint64_t handshake_timeout_us;
};

/* TLS_COUNTER(name, id) */
#define TLS_COUNTER_TABLE(TLS_COUNTER)                                                                       \
    TLS_COUNTER(HANDSHAKES, "handshakes")                                                                    \
    TLS_COUNTER(RESUMED, "resumed")                                                                          \
    TLS_COUNTER(FAILED_VERIFY, "failed-verify")                                                              \
    TLS_COUNTER(FAILED_ALERT, "failed-alert")                                                                \
    TLS_COUNTER(FAILED_PROTOCOL, "failed-protocol")                                                          \
    TLS_COUNTER(FAILED_TIMEOUT, "failed-timeout")                                                            \
    TLS_COUNTER(FAILED_CROWD, "failed-crowd")                                                                \
    TLS_COUNTER(FAILED_FLOOD, "failed-flood")                                                                \
    TLS_COUNTER(NOT_TLS, "not-tls")                                                                          \
    TLS_COUNTER(FAILED_STATUS, "failed-status")                                                              \
    TLS_COUNTER(STATUS_UNCHECKED, "status-unchecked")                                                        \
    TLS_COUNTER(FAILED_IDENTITY, "failed-identity")                                                          \
    TLS_COUNTER(FAILED_PSK_UNKNOWN, "failed-psk-unknown")                                                    \
    TLS_COUNTER(FAILED_PSK_KEY, "failed-psk-key")                                                            \
    TLS_COUNTER(TABLE_FULL, "table-full")                                                                    \
    TLS_COUNTER(TRUNCATED, "truncated")                                                                      \
    TLS_COUNTER(RECORDS_IN, "records-in")                                                                    \
    TLS_COUNTER(RECORDS_OUT, "records-out")

#define TLS_COUNTER_ENUM(name, id) TLS_##name,
enum tls_counter { TLS_COUNTER_TABLE(TLS_COUNTER_ENUM) TLS_COUNTER_COUNT };
#undef TLS_COUNTER_ENUM

struct tls_worker *tls_worker_create(const struct tls_worker_config *config);
/* Only when no handshake is under way on a thread: call after the pool has been stopped. */
void tls_worker_destroy(struct tls_worker *worker);
/* Takes back finished handshakes, fails those that took too long. Once per loop; costs a load when there is
 * nothing. */
void tls_worker_poll(struct tls_worker *worker, uint64_t now_us);
uint64_t tls_worker_counter(const struct tls_worker *worker, enum tls_counter counter);
const char *tls_counter_id(enum tls_counter counter);
uint32_t tls_worker_sessions(const struct tls_worker *worker);
/* Steps of handshakes that wait for a thread. */
uint32_t tls_worker_waiting(const struct tls_worker *worker);
/* What a session takes in the worker's table; the library's own memory comes on top. */
size_t tls_session_bytes(void);

/*
 * Wraps `lower` (open, or being opened) as a TLS client of `context`, of which a reference is taken. The
 * ClientHello is made at once when `lower` has room for it, while TCP still connects, otherwise when it
 * opens; the time allowed for the handshake counts from there. `identity` names the device whose certificate
 * is used; it is copied, must fit 128 bytes, and may not hold '/', NUL or a leading dot; NULL for none.
 * `source` is on whose behalf: sources take turns at handshakes (fair_queue.h); NULL: the gateway's own.
 * Answers the upper stream, or NULL (counted): then `lower` is untouched and still the caller's. stream_abort
 * of the upper one aborts the lower one.
 */
struct stream *tls_connect(struct tls_worker *worker, struct tls_context *context, const char *identity,
                           const struct ip_address *source, struct stream *lower,
                           const struct stream_handler *handler, void *owner, uint64_t now_us);

/*
 * Wraps `lower`, which is open, as the TLS server of a listener's `context`, of which a reference is taken.
 * The time allowed for the handshake counts from now. A client whose first byte is not that of TLS is closed
 * with STREAM_END_TLS_PROTOCOL and a reason that says so. Answers the upper stream, or NULL (counted): then
 * `lower` is untouched and still the caller's. Otherwise as tls_connect; the handler may be exchanged in
 * `opened`.
 */
struct stream *tls_accept(struct tls_worker *worker, struct tls_context *context,
                          const struct ip_address *source, struct stream *lower,
                          const struct stream_handler *handler, void *owner, uint64_t now_us);

/* Facts of an open session for events: "1.3", "TLS_AES_128_GCM_SHA256", whether it was resumed. */
const char *tls_stream_version(const struct stream *stream);
const char *tls_stream_cipher(const struct stream *stream);
bool tls_stream_resumed(const struct stream *stream);
/* Why its peer passed without its issuer's word where that is asked for, by a soft policy; NULL: it did not.
 */
const char *tls_stream_unchecked(const struct stream *stream);
/* Who the other side is: borrowed, as long as the stream. NULL when it has shown no certificate and no PSK.
 */
const struct tls_peer *tls_stream_peer(const struct stream *stream);

#endif
