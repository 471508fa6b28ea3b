/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DTLS 1.2 and 1.3 sessions over datagrams that the caller carries (B2, B3, E7): as a client of an upstream,
 * and the single session of a client of ours (dtls_server.h decides which of those there may be). 1.3 where
 * the library has it (docs/adr/0013-dtls13.md).
 *
 * A session is fed with the datagrams that came from the peer and hands out those that are to be sent; it
 * opens no socket and reads no clock. It retransmits its flights of the handshake on its own timer, which the
 * caller runs: dtls_session_due_us says when. Records are protected against replay, so that a message is
 * delivered once at most. Alerts that nothing protects do not end a session that is open.
 *
 * Toward a server: a pre-shared key for each identity, or a certificate for each (tls_context.h: chain, name,
 * usage and revocation are verified). A handshake with a key takes symmetric cryptography alone and runs
 * where it is called: 0.2 to 0.25 ms of the client's side, measured on a busy core. One with certificates
 * runs on a handshake thread, where the worker has a pool; meanwhile the session keeps at most eight
 * datagrams. The master secret of a session is kept with its context, so that the next one for the same
 * identity is resumed in one round trip less. Clients of ours always make a full handshake: who they are is
 * proved anew.
 *
 * Suites: PSK with AES-128-CCM-8 (RFC 7252 s.9.1.3.1), AES-128-GCM and AES-256-GCM; with certificates
 * ECDHE with AES-GCM, ChaCha20-Poly1305, AES-CCM and AES-128-CCM-8 (s.9.1.3.3). AEAD only. In 1.3 those of
 * dtls13_hello.h, with a key psk_dhe_ke and AES-128-GCM; never early data, never a ticket, so that each
 * handshake there is a full one; and it costs a Diffie-Hellman with a key too, so that it runs on a thread.
 * A context may be used by any thread; sessions belong to one worker.
 */
#ifndef DATAPLANE_SECURE_DTLS_STREAM_H
#define DATAPLANE_SECURE_DTLS_STREAM_H

#include "dataplane/secure/dtls_cookie.h"
#include "dataplane/secure/dtls_ids.h"
#include "dataplane/secure/psk_keys.h"
#include "dataplane/secure/tls_context.h"
#include "dataplane/secure/tls_peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Header, explicit nonce and tag of a record: what a message grows by at most. */
#define DTLS_RECORD_OVERHEAD 37

struct dtls_context;
struct dtls_worker;
struct dtls_session;
struct handshake_pool;

/* Bits of what may be spoken. */
enum dtls_versions { DTLS_1_2 = 1, DTLS_1_3 = 2 };

struct dtls_settings {
    const char *psk_file;
    const char *psk_id; /* template: "%s" once is replaced by the identity of the client, or none */
    const struct tls_settings *certificates; /* instead of the two */
    enum dtls_versions version;              /* one of them; 0: 1.2 */
    bool connection_ids; /* 1.3: offer to use an id of the server's, so that our address may change */
};

/* NULL when it cannot be used, with the reason (file and line for a bad line of the key file). */
struct dtls_context *dtls_context_create(const struct dtls_settings *settings, struct tls_error *error);

struct dtls_server_settings {
    const char *psk_file;         /* or NULL: no keys */
    const char *certificate_file; /* or NULL: no certificates; then the other three too */
    const char *key_file;
    const char *client_ca_file;     /* whoever shows a certificate must have it from there; needed */
    const char *crl_file;           /* or NULL */
    const char *pins;               /* of clients' keys, as tls_settings.pins; NULL: any */
    const struct ocsp_policy *ocsp; /* what is asked about clients' certificates; NULL: nothing */
    unsigned versions;              /* enum dtls_versions; 0: 1.2 alone */
    bool connection_ids;            /* 1.3: clients that ask for one get one */
};

/* What a listener takes clients with: keys, certificates, or both. Otherwise as dtls_context_create. */
struct dtls_context *dtls_server_context_create(const struct dtls_server_settings *settings,
                                                struct tls_error *error);

struct dtls_context *dtls_context_ref(struct dtls_context *context);
void dtls_context_unref(struct dtls_context *context);
/* Whether a session of `a` may stay when `b` is in force: for this client there is the same PSK identity and
 * key in both; with certificates, that the server's name, what it is verified by, and where the client's own
 * lie are the same. */
bool dtls_context_same(const struct dtls_context *a, const struct dtls_context *b, const char *identity);
/* Why an open session of a client may not stay when `next`, which may be its own, is in force: another key,
 * other issuers, a version that is not spoken any more, or a certificate that is revoked or whose status is
 * not good any more. NULL when it may, or a static sentence. */
const char *dtls_context_refuses(const struct dtls_context *next, const struct dtls_session *session);
bool dtls_context_gives_ids(const struct dtls_context *context);
bool dtls_context_speaks(const struct dtls_context *context, enum dtls_versions version);
uint32_t dtls_context_keys(const struct dtls_context *context);

enum dtls_end {
    DTLS_END_FAILED =
        0,           /* the handshake failed: wrong key, no common suite, a certificate that is not good */
    DTLS_END_SILENT, /* nobody answered it */
    DTLS_END_PEER,   /* the peer closed it, or sent a fatal alert */
    DTLS_END_ERROR,
};

struct dtls_handler {
    /* A datagram for the peer. */
    void (*send)(void *owner, const uint8_t *datagram, size_t n);
    void (*opened)(void *owner);
    /* A message of the peer; borrowed. */
    void (*received)(void *owner, const uint8_t *message, size_t n);
    /* The session has ended by itself; it is freed by dtls_session_close, which may be called from here. */
    void (*closed)(void *owner, enum dtls_end why, const char *reason);
    /* due_us has changed, after a handshake thread was done; may be NULL. */
    void (*armed)(void *owner);
};

/* `sessions`: of keys that are kept expanded. `pool` is borrowed; NULL: all handshakes run in the worker. */
struct dtls_worker *dtls_worker_create(uint32_t sessions, struct handshake_pool *pool);
/* All sessions have been closed; only when no handshake is under way on a thread. NULL is ignored. */
void dtls_worker_destroy(struct dtls_worker *worker);
/* Takes back finished handshakes. Once per loop; costs a load when there is nothing. */
void dtls_worker_poll(struct dtls_worker *worker, uint64_t now_us);
/* Peers that were refused for want of a good status, or let in without one that was wanted (ocsp_chain.h). */
uint64_t dtls_worker_status_refused(const struct dtls_worker *worker);
uint64_t dtls_worker_status_unchecked(const struct dtls_worker *worker);
/* Datagrams that came for a session while a thread had it, or while its peer's status was awaited, and that
 * there was no room for. */
uint64_t dtls_worker_lost(const struct dtls_worker *worker);

/* Begins a session, whose first datagram is sent before the return, or by dtls_worker_poll when a thread
 * makes it; `datagram_max` is the largest that may be. `source` is on whose behalf: sources take turns at
 * handshakes (fair_queue.h); NULL: the gateway's own. A reference to the context is kept. NULL with a reason
 * when there is no key for `identity`, or no memory. */
struct dtls_session *dtls_connect(struct dtls_worker *worker, struct dtls_context *context,
                                  const char *identity, const struct ip_address *source,
                                  uint16_t datagram_max, const struct dtls_handler *handler, void *owner,
                                  uint64_t now_us, struct tls_error *error);
/* What a session with a client of ours is made with. */
struct dtls_birth {
    uint8_t peer[DTLS_PEER_BYTES];
    uint8_t secret[DTLS_SECRET_BYTES]; /* that its cookie was made with */
    uint16_t suite;                    /* the one that its cookie says, of 1.3; 0: DTLS 1.2 */
    bool has_id;
    uint8_t id[DTLS_ID_BYTES]; /* connection id, if the client asks for one */
};

/*
 * A session with a client of ours, whose address is `source`, whose ClientHello had a good cookie; that
 * datagram is its first input. NULL without memory.
 */
struct dtls_session *dtls_accept(struct dtls_worker *worker, struct dtls_context *context,
                                 const struct ip_address *source, const struct dtls_birth *birth,
                                 uint16_t datagram_max, const struct dtls_handler *handler, void *owner);
/* Says goodbye if it is open, and frees it. May be called from within a handler. */
void dtls_session_close(struct dtls_session *session);
/* The same without a word: the peer has forgotten it. */
void dtls_session_drop(struct dtls_session *session);
/* A datagram from the peer. */
void dtls_session_input(struct dtls_session *session, const uint8_t *datagram, size_t n, uint64_t now_us);
/* One message in one record; false when the session is not open or the message is too large. */
bool dtls_session_write(struct dtls_session *session, const uint8_t *message, size_t n);
/* Retransmits what is due; UINT64_MAX: nothing is. */
void dtls_session_fire(struct dtls_session *session, uint64_t now_us);
uint64_t dtls_session_due_us(const struct dtls_session *session);
/* Within `received`: whether the message came in the newest record so far (RFC 9146 s.6). */
bool dtls_session_newest(const struct dtls_session *session);
bool dtls_session_open(const struct dtls_session *session);
/* The suite, and whether it was resumed. */
const char *dtls_session_cipher(const struct dtls_session *session);
bool dtls_session_resumed(const struct dtls_session *session);
const struct dtls_context *dtls_session_context(const struct dtls_session *session);
/* Of a client of ours whose session is open; borrowed from it. NULL toward servers. */
const struct tls_peer *dtls_session_peer(const struct dtls_session *session);
/* Why an open session was let in without its peer's status, though that was asked for: a static sentence;
 * NULL: it was not. */
const char *dtls_session_unchecked(const struct dtls_session *session);
/* What a session takes, the library's own memory apart. */
size_t dtls_session_bytes(void);
/*
 * Toward a server: why an open session may not stay when `next` is in force: its key for `identity` is not
 * there any more or is another, or the server's certificate has been revoked or is not pinned any more. NULL
 * when it may, or a static sentence.
 */
const char *dtls_session_refused(const struct dtls_session *session, const struct dtls_context *next,
                                 const char *identity);

#endif
