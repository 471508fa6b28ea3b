/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of dtls_stream.h. dtls_stream.c moves datagrams, dtls_job.c runs steps of a handshake on another
 * thread, dtls_context.c and dtls_server_context.c are what sessions are made from.
 *
 * Sessions wait in `queue` for a thread to be free, sources in turn (fair_queue.h). While a thread has a
 * session (`away`) the worker touches nothing of it but waiting, ended and doomed, and the thread nothing of
 * it but ssl, birth, flight, id_bytes, name, psk_used, peer and verification.
 */
#ifndef DATAPLANE_SECURE_DTLS_SESSION_H
#define DATAPLANE_SECURE_DTLS_SESSION_H

#include "dataplane/secure/dtls_stream.h"
#include "dataplane/secure/fair_queue.h"
#include "dataplane/secure/name_cache.h"
#include "dataplane/secure/tls_handshake.h"
#include "dataplane/secure/tls_trust.h"

#include <stdatomic.h>
#include <sys/queue.h>

struct WOLFSSL;
struct WOLFSSL_CTX;

#define DTLS_WAIT_BYTES 2032
#define DTLS_NO_PSK                                                                                          \
    "this wolfSSL has no suites with a PSK alone (RFC 7252 s.9.1.3.1); build it with deploy/wolfssl, or "    \
    "use "                                                                                                   \
    "certificates"
#define DTLS_WAIT_MAX 8 /* datagrams that a session may have waiting */

#define DTLS_NO_1_3                                                                                          \
    "this wolfSSL has no DTLS 1.3; build it with deploy/wolfssl, or another one for -Dwolfssl, or write "    \
    "dtls = \"1.2\""

#define DTLS_NO_IDS                                                                                          \
    "this wolfSSL has no connection ids, or does not tell which record is the newest; build it with "        \
    "deploy/wolfssl, or write connection_ids = false"

struct dtls_context {
    atomic_uint refs;
    bool server;
    bool connection_ids;
    unsigned versions;           /* enum dtls_versions */
    struct WOLFSSL_CTX *ctx;     /* NULL for a client with certificates, and where no 1.2 is spoken */
    struct WOLFSSL_CTX *ctx_1_3; /* of a server; NULL: no 1.3 */
    struct psk_keys *keys;       /* NULL: none */
    char *psk_id;
    struct name_cache *sessions;      /* of a client with keys */
    struct tls_context *certificates; /* of a client */
    struct tls_identity *identity;    /* of a server, or NULL: no certificates */
    uint8_t trust[32];    /* digest of what peers with certificates are verified by, lists apart */
    struct tls_trust own; /* of a server; a client's is that of `certificates` */
};

/* A datagram that came while a thread had the session. */
struct dtls_wait {
    STAILQ_ENTRY(dtls_wait) next;
    uint16_t n;
    uint8_t at[DTLS_WAIT_BYTES];
};
STAILQ_HEAD(dtls_waiting, dtls_wait);

TAILQ_HEAD(dtls_session_list, dtls_session);

struct dtls_worker {
    struct crypto_offload_cache *keys;
    struct handshake_pool *pool;
    int pool_number;
    uint32_t next_index;
    struct slab *waits;
    struct tls_job *jobs; /* all of them */
    uint32_t jobs_n;
    struct tls_job *spare;
    struct fair_queue queue; /* for a spare job */
    uint64_t lost;
    struct ocsp_asker *asker;         /* NULL: nobody is asked */
    struct dtls_session_list asking;  /* for their peer's status */
    struct dtls_session_list watched; /* open, with a peer who is asked about again */
    uint32_t asking_n, asking_left;   /* of them; those that are still to be looked at in this round */
    uint32_t watched_n, watched_left; /* likewise */
    uint32_t answers;                 /* ocsp_asker_version that was seen */
    uint64_t round_us, renew_us;      /* when the next rounds begin */
    uint64_t status_refused, status_unchecked;
};

/*
 * The last flight of a handshake, when it was ours: nobody acknowledges it, so it is kept until a message of
 * the peer shows that it has come, and sent again as it was when the peer repeats its own (RFC 6347 s.4.2.4).
 * The library keeps it too, but finds no occasion to send it.
 */
#define DTLS_FLIGHT_BYTES 250
#define DTLS_FLIGHT_AGAIN 8 /* times at most */
struct dtls_flight {
    uint16_t n; /* 0: too large to be a last one */
    uint8_t again;
    bool over;
    uint8_t at[DTLS_FLIGHT_BYTES];
};

struct dtls_session {
    struct dtls_worker *worker;
    struct dtls_context *context;
    struct WOLFSSL *ssl;
    const struct dtls_handler *handler;
    void *owner;
    const uint8_t *wire; /* the datagram that wolfSSL reads, while it does */
    size_t wire_bytes;
    uint64_t due_us;
    struct dtls_waiting waiting;
    struct fair_queue_entry turn;        /* in worker->queue */
    TAILQ_ENTRY(dtls_session) by_status; /* in worker->asking or worker->watched */
    const char *unchecked;               /* why it passed without a status; NULL: it did not */
    struct tls_peer *peer;               /* of a client of ours, once its session is open */
    struct dtls_birth *birth;            /* NULL once it has been used, and toward servers */
    struct dtls_flight *flight;
    uint32_t index;  /* of its keys in the worker's cache */
    uint64_t now_us; /* of the last call: when something that is to be sent again was sent */
    uint16_t datagram_max;
    uint16_t message_max;
    uint16_t suite; /* of a client of ours that speaks 1.3 */
    uint8_t waiting_n;
    uint8_t retries;
    uint8_t depth; /* calls under way on it */
    bool server;
    bool version_1_3;
    bool newest;      /* see dtls_session_newest */
    uint8_t id_bytes; /* of the connection id in what comes; 0: none */
    bool fresh;       /* of a client of ours: nothing has come for it yet */
    bool threaded;    /* handshakes on threads */
    bool away;        /* a thread has it */
    bool open;
    bool resumed;
    bool ended;   /* closed was told, or is not wanted */
    bool doomed;  /* freed when the outermost call returns and no thread has it */
    bool asking;  /* the handshake is done; what the peer's issuer says of it is awaited */
    bool watched; /* in worker->watched */
    bool psk_used;
    bool keep; /* it was open: the next one may be resumed from it */
    struct tls_verification verification;
    char name[PSK_IDENTITY_MAX]; /* PSK identity; toward a server with certificates, the device's */
};

/* ---- dtls_context.c, dtls_server_context.c ---------------------------------------------------------------
 */

/* Mixes texts, of which any may be NULL, and the contents of files into `trust`. */
bool dtls_context_digest(struct dtls_context *context, const char *const texts[], size_t texts_n,
                         const char *const files[], size_t files_n, struct tls_error *error);
/* A wolfSSL session, with what was kept to resume from. Any thread. NULL with `failure`. */
struct WOLFSSL *dtls_context_session(struct dtls_context *context, struct dtls_session *session,
                                     struct tls_failure *failure);
struct WOLFSSL *dtls_server_context_session(struct dtls_context *context, struct dtls_session *session,
                                            struct tls_failure *failure);
/* Sets the session's name for `identity`; false with `error` when there is no key for it. */
bool dtls_context_name(const struct dtls_context *context, struct dtls_session *session, const char *identity,
                       struct tls_error *error);
/* Frees the library's session and, when it was open, keeps it for the next one. */
void dtls_context_end(struct dtls_context *context, struct dtls_session *session);
/* Who the client is, from a handshake that is done; false when it has shown neither key nor certificate. */
bool dtls_server_identify(struct dtls_session *session);
/* Toward a server with a certificate: whose session it is, which was resumed perhaps. */
void dtls_client_identify(struct dtls_session *session);

/* What is asked of its peers; NULL: nothing, they have keys. */
const struct tls_trust *dtls_context_trust(const struct dtls_context *context);

/* For messages: the name that the server's certificate had to carry. */
static inline const char *dtls_session_server_name(const struct dtls_session *session)
{
    return session->context->certificates != NULL ? tls_context_server_name(session->context->certificates)
                                                  : session->name;
}

/* Suites with a key, for 1.3: the digest of a key without one of its own is SHA-256 (RFC 8446 s.4.2.11). */
#define DTLS13_SUITE_PSK "TLS13-AES128-GCM-SHA256"

/* ---- dtls_stream.c ----------------------------------------------------------------------------------------
 */

/* Takes the handshake one step: WOLFSSL_SUCCESS, or what wolfSSL_get_error says. */
int dtls_session_step(struct dtls_session *session);
bool dtls_session_waits(int error);
/* Frames every call from outside; false when the session is no more, or is to be no more. */
void dtls_session_enter(struct dtls_session *session);
bool dtls_session_leave(struct dtls_session *session);
/* The handshake is done and the peer is wanted. */
void dtls_session_opened(struct dtls_session *session);
void dtls_session_end(struct dtls_session *session, enum dtls_end why, const char *reason);
/* What had to wait; and the owner is told when it is to be called. */
void dtls_session_catch_up(struct dtls_session *session, uint64_t now_us);
/* A thread has done its step. */
void dtls_session_returned(struct dtls_session *session, struct tls_job *job, uint64_t now_us);
void dtls_session_set_up(struct dtls_session *session);
/* A datagram of the handshake leaves. */
void dtls_flight_note(struct dtls_session *session, const uint8_t *datagram, size_t n);

/* ---- dtls_status.c ----------------------------------------------------------------------------------------
 */

/* Whose certificate was verified, or NULL. */
const struct tls_peer *dtls_session_shown(const struct dtls_session *session);
/* The handshake is done: opens the session, ends it, or has it wait for its peer's status. */
void dtls_status_judge(struct dtls_session *session, uint64_t now_us);
/* The wait is over, whatever is known. */
void dtls_status_late(struct dtls_session *session);
/* It is in no list any more. */
void dtls_status_forget(struct dtls_session *session);
/* Looks after those that wait, and asks again about those that are open, when it is time. */
void dtls_status_poll(struct dtls_worker *worker, uint64_t now_us);

/* ---- dtls_job.c -------------------------------------------------------------------------------------------
 */

bool dtls_jobs_create(struct dtls_worker *worker, struct handshake_pool *pool);
void dtls_jobs_destroy(struct dtls_worker *worker);
/* Hands the session to a thread with what waits for it, or has it wait for its turn. */
void dtls_job_submit(struct dtls_session *session);
/* Keeps a datagram for the session; lost when there is no room. */
void dtls_wait_add(struct dtls_session *session, const uint8_t *datagram, size_t n);
struct dtls_wait *dtls_wait_take(struct dtls_session *session);
void dtls_wait_free(struct dtls_session *session, struct dtls_wait *wait);

#endif
