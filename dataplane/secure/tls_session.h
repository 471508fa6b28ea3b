/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of tls_stream.h: one TLS session, and the worker that owns it. tls_worker.c brings sessions up
 * and takes them down, tls_stream.c moves bytes between the two sides of one that is up.
 *
 *   lower stream --data--> [cipher] --wolfSSL--> [plain] --data--> upper handler
 *   lower stream <-write-- [spill]  <-wolfSSL--- [stage] <-write-- upper handler
 *
 * The queues in brackets are empty unless somebody waits. `cipher` holds what arrives while a handshake
 * thread has the session or the upper side does not take more; `spill` holds sealed bytes for which the lower
 * side had no room, and while it holds any, nothing is sealed and nothing is read, so that it stays short:
 * a peer that asks for KeyUpdates without reading our answers gets one.
 */
#ifndef DATAPLANE_SECURE_TLS_SESSION_H
#define DATAPLANE_SECURE_TLS_SESSION_H

#include "dataplane/secure/byte_queue.h"
#include "dataplane/secure/crypto_offload.h"
#include "dataplane/secure/fair_queue.h"
#include "dataplane/secure/record_meter.h"
#include "dataplane/secure/tls_handshake.h"

#include <sys/queue.h>

#define TLS_RECORD_BYTES 16384u
#define TLS_CIPHER_LIMIT (32u * 1024) /* waiting input before the lower side must keep it */
/* What all of one side's handshake takes at most: the longest chain is 18 KiB. */
#define TLS_HANDSHAKE_LIMIT (64u * 1024)
#define TLS_STAGE_LIMIT TLS_RECORD_BYTES
#define TLS_PLAIN_LIMIT TLS_RECORD_BYTES

enum tls_state {
    TLS_STATE_FREE = 0,  /* ended; its memory waits for the outermost call to return */
    TLS_STATE_LOWER,     /* the lower stream is not open yet */
    TLS_STATE_HANDSHAKE, /* waits for input */
    TLS_STATE_WAITING,   /* waits for a spare job */
    TLS_STATE_AWAY,      /* a job has it */
    TLS_STATE_STATUS,    /* the handshake is done; what the peer's issuer says of it is awaited */
    TLS_STATE_OPEN,
    TLS_STATE_LINGER /* ended for the upper side; what is queued leaves, then the lower stream closes */
};

struct tls_session {
    struct stream upper; /* first: the two are one object */
    struct tls_worker *worker;
    struct stream *lower; /* NULL once it is gone */
    struct tls_context *context;
    struct tls_verification verification; /* while no job has it; its peer is whose session this is */
    struct WOLFSSL *ssl;                  /* NULL while a job has it */
    TAILQ_ENTRY(tls_session) by_deadline; /* when has_deadline */
    TAILQ_ENTRY(tls_session) by_turn; /* in worker->stalled, when stalled, or in worker->asking (STATUS) */
    struct fair_queue_entry wait;     /* in worker->waiting, when WAITING */
    uint64_t deadline_us;             /* of the other side: own_us comes on top */
    uint64_t look_us;                 /* when it is looked at next */
    uint64_t own_us;                  /* that it has waited for us, up to own_since_us; more when own_turn */
    uint64_t own_since_us;
    struct record_meter meter;
    uint32_t handshake_bytes; /* that were taken in it */
    struct byte_queue cipher;
    struct byte_queue plain;
    struct byte_queue stage;
    struct byte_queue spill;
    const uint8_t *wire; /* what wolfSSL reads next, while it reads */
    size_t wire_bytes;
    const char *unchecked; /* why it passed without a status; NULL: it did not */
    const char *reason;    /* set while handler->closed runs */
    enum tls_state state;
    uint32_t depth;  /* calls of ours under way on it */
    uint32_t number; /* in the worker's table: which keys are ours */
    bool server;     /* we are */
    bool has_deadline;
    bool overtime;      /* on worker->overtime, not on deadlines */
    bool own_turn;      /* it waits for us */
    bool lower_open;    /* TCP is established */
    bool heard;         /* anything at all from the other side */
    bool stalled;       /* on worker->stalled: something could not be done for lack of chunks or of a turn */
    bool reading;       /* wolfSSL_read is under way */
    bool lower_held;    /* the lower side keeps data that we did not take */
    bool lower_ended;   /* it has sent its FIN */
    bool lower_dirty;   /* written to, not flushed */
    bool upper_short;   /* a write was not taken whole: `writable` is owed */
    bool flush_wanted;  /* what is staged shall leave */
    bool finish_wanted; /* and then close_notify */
    bool notify_sent;   /* it is sealed */
    bool fin_sent;      /* the lower side has been told to finish */
    bool broken;        /* a record could not be made: closed at the worker's next turn */
    bool offer_wanted;  /* what is in `plain` is to be offered again */
    bool peer_finished; /* close_notify has come */
    bool ended_told;
    bool resumed;
    bool has_identity;
    uint8_t version; /* 12 or 13 */
    uint16_t suite;
    char identity[TLS_IDENTITY_BYTES];
};

TAILQ_HEAD(tls_session_list, tls_session);

struct tls_worker {
    struct tls_worker_config config;
    struct slab *sessions;
    struct crypto_offload_cache *keys; /* of its sessions */
    int pool_number;
    uint64_t now_us;                   /* of the last call that told */
    struct tls_session_list deadlines; /* soonest first: all have the same length */
    struct tls_session_list overtime;  /* likewise */
    struct fair_queue waiting;         /* for a spare job */
    struct tls_session_list stalled;
    struct tls_session_list asking; /* for a peer's status */
    uint32_t asking_n, asking_left; /* of them; those that are still to be looked at in this round */
    uint32_t answers;               /* ocsp_asker_version that was seen */
    uint64_t round_us, renew_us;    /* when the next round begins; when sessions are next looked through */
    uint32_t renew_at;              /* where in the table that is */
    bool renewing, any_status;      /* it is under way; any session had a status at all */
    struct tls_job *jobs;           /* all of them */
    uint32_t jobs_n;
    struct tls_job *spare;
    struct tls_job *finished; /* run here, without a pool */
    bool scratch_busy;
    uint64_t counters[TLS_COUNTER_COUNT];
    uint8_t gather[TLS_RECORD_BYTES];
    uint8_t scratch[TLS_PLAIN_LIMIT + TLS_RECORD_BYTES];
};

/* ---- tls_stream.c ---------------------------------------------------------------------------------------
 */

extern const struct stream_ops tls_stream_ops;

/* The handshake is done and `ssl` is back: tells the upper side and takes up what has arrived. */
void tls_stream_open(struct tls_session *session);
/* The handshake is done and `ssl` is back, but its peer is not wanted: it is told. */
void tls_stream_refuse(struct tls_session *session, enum tls_alert alert);
/* Goes on with whatever had to wait: output, then input. */
void tls_stream_proceed(struct tls_session *session);
/* Sends bytes of a handshake. */
void tls_stream_send(struct tls_session *session, const uint8_t *p, size_t n);
/* Moves what had no room to the lower side. True when nothing waits any more. */
bool tls_stream_drain(struct tls_session *session);
/* n bytes arrived on an open session; answers how many were taken. */
size_t tls_stream_take(struct tls_session *session, const uint8_t *p, size_t n);
/* The lower side of an open session has ended, or is gone. */
void tls_stream_lower_ended(struct tls_session *session);
void tls_stream_lower_closed(struct tls_session *session, enum stream_end why);

/* ---- tls_status_wait.c ----------------------------------------------------------------------------------
 */

/* The handshake is done: opens the session, or has it wait for its peer's status. */
void tls_session_judge(struct tls_session *session);
/* The wait is over, whatever is known. */
void tls_session_judge_late(struct tls_session *session);
/* It leaves the list of those that wait. */
void tls_session_unask(struct tls_session *session);
/* Looks after those that wait, and asks again about those that are open, when it is time. */
void tls_worker_poll_status(struct tls_worker *worker);

/* ---- tls_patience.c -------------------------------------------------------------------------------------
 */

/* The time that it may take begins (again); `stop`: it has no end any more. */
void tls_session_start_deadline(struct tls_session *session);
void tls_session_stop_deadline(struct tls_session *session);
/* Its state has changed: from now on it waits for us, or for the other side. */
void tls_session_turn(struct tls_session *session);
/* How long it has waited for us, from when TCP was open. */
uint64_t tls_session_own_us(const struct tls_session *session, uint64_t now_us);
/* Ends those whose time is over. */
void tls_worker_look(struct tls_worker *worker);

/* ---- tls_worker.c ---------------------------------------------------------------------------------------
 */

static inline struct tls_session *tls_session_of(const struct stream *upper)
{
    return (struct tls_session *)(uintptr_t)upper;
}

/* Every call from outside is framed by these two, so that a session that ends inside keeps its memory. */
static inline void tls_session_enter(struct tls_session *session)
{
    session->depth++;
}
void tls_session_leave(struct tls_session *session);
/* Has the worker call tls_stream_proceed at its next turn. */
void tls_session_stall(struct tls_session *session);
/* Runs the next step of the handshake when a job is to be had. */
void tls_session_advance(struct tls_session *session);
/* The handshake goes on when there is input; when there can be none any more, it has failed. */
void tls_session_want_input(struct tls_session *session);
/* In LINGER: lets leave what is queued, then closes the lower side. */
void tls_session_linger(struct tls_session *session);
/*
 * Ends it for the upper side, which is told. What is queued for the lower side still leaves when `linger`,
 * otherwise the lower stream is reset. Safe inside any call.
 */
void tls_session_close(struct tls_session *session, enum stream_end why, const char *reason, bool linger);
/* Ends it without telling anybody. */
void tls_session_abort(struct tls_session *session);
/* It sends too much of what is of no use: `what` it does. The peer is told. */
void tls_session_flooded(struct tls_session *session, const char *what, enum tls_alert alert);
/* A failure that the peer has been told of by an alert: counted, closed, lingers. */
void tls_session_fail(struct tls_session *session, const struct tls_failure *failure);

#endif
