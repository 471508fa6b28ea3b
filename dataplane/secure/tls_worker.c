/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include "dataplane/secure/handshake_pool.h"
#include "dataplane/secure/tls_session.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Without a pool a job comes back within the same loop. */
#define JOBS_WITHOUT_POOL 16
/* Sessions that a poll goes on with at most, so that a crowd of them is spread over loops. */
#define STALLED_PER_POLL 64
#define TLS_CONTENT_HANDSHAKE 22
#define MQTT_CONNECT_BYTE 0x10 /* how a client begins that takes this for a listener without TLS */

/* ---- the end of a session ------------------------------------------------------------------------------ */

static void leave_lists(struct tls_session *session)
{
    struct tls_worker *worker = session->worker;
    tls_session_stop_deadline(session);
    fair_queue_remove(&worker->waiting, &session->wait);
    if (session->state == TLS_STATE_STATUS)
        tls_session_unask(session);
    if (session->stalled)
        TAILQ_REMOVE(&worker->stalled, session, by_turn);
    session->stalled = false;
}

/* Gives back everything but the object itself and what still has to leave. */
static void release(struct tls_session *session)
{
    struct tls_worker *worker = session->worker;
    leave_lists(session);
    if (session->ssl != NULL) {
        if (session->state == TLS_STATE_OPEN)
            tls_context_end_session(session->context, session->has_identity ? session->identity : NULL,
                                    session->ssl, session->verification.peer);
        else
            wolfSSL_free(session->ssl);
        session->ssl = NULL;
        crypto_offload_forget(worker->keys, session->number);
    }
    tls_context_unref(session->context);
    session->context = NULL;
    tls_verification_clear(&session->verification);
    byte_queue_clear(&session->cipher, worker->config.chunks);
    byte_queue_clear(&session->plain, worker->config.chunks);
    byte_queue_clear(&session->stage, worker->config.chunks);
}

/* After release(). */
static void vanish(struct tls_session *session)
{
    byte_queue_clear(&session->spill, session->worker->config.chunks);
    session->state = TLS_STATE_FREE;
    session->lower = NULL;
}

void tls_session_leave(struct tls_session *session)
{
    if (--session->depth == 0 && session->state == TLS_STATE_FREE)
        slab_free(session->worker->sessions, session);
}

void tls_session_abort(struct tls_session *session)
{
    struct stream *lower = session->lower;
    if (session->state == TLS_STATE_FREE)
        return;
    release(session);
    vanish(session);
    if (lower != NULL)
        stream_abort(lower);
}

void tls_session_linger(struct tls_session *session)
{
    if (session->lower == NULL)
        return;
    if (tls_stream_drain(session) && !session->fin_sent) {
        session->fin_sent = true;
        stream_finish(session->lower);
    }
    stream_flush(session->lower);
}

void tls_session_close(struct tls_session *session, enum stream_end why, const char *reason, bool linger)
{
    struct stream *lower = session->lower;
    if (session->state == TLS_STATE_FREE || session->state == TLS_STATE_LINGER)
        return;
    tls_session_enter(session);
    release(session);
    session->state = TLS_STATE_LINGER;
    if (lower == NULL) {
        vanish(session);
    } else if (linger) {
        tls_session_start_deadline(session);
        tls_session_linger(session);
    } else {
        vanish(session);
        stream_abort(lower);
    }
    session->reason = reason;
    session->upper.handler->closed(session->upper.owner, why);
    session->reason = NULL;
    tls_session_leave(session);
}

void tls_session_fail(struct tls_session *session, const struct tls_failure *failure)
{
    session->worker->counters[failure->counter]++;
    tls_session_close(session, failure->why, failure->reason, true);
}

void tls_session_flooded(struct tls_session *session, const char *what, enum tls_alert alert)
{
    struct tls_failure failure = {.why = STREAM_END_TLS_PROTOCOL, .counter = TLS_FAILED_FLOOD};
    snprintf(failure.reason, sizeof(failure.reason), "%s %s", session->server ? "client" : "server", what);
    if (session->ssl != NULL)
        tls_stream_refuse(session, alert);
    tls_session_fail(session, &failure);
}

static const char *closed_early(const struct tls_session *session)
{
    return session->server ? "client closed the connection during the TLS handshake"
                           : "server closed the connection during the TLS handshake";
}

static void fail_protocol(struct tls_session *session, enum stream_end why, const char *reason)
{
    session->worker->counters[TLS_FAILED_PROTOCOL]++;
    tls_session_close(session, why, reason, false);
}

/* ---- jobs ---------------------------------------------------------------------------------------------- */

void tls_session_stall(struct tls_session *session)
{
    if (session->stalled || session->state == TLS_STATE_FREE || session->state == TLS_STATE_WAITING ||
        session->state == TLS_STATE_STATUS)
        return;
    session->stalled = true;
    TAILQ_INSERT_TAIL(&session->worker->stalled, session, by_turn);
}

static void submit(struct tls_session *session, struct tls_job *job)
{
    struct tls_worker *worker = session->worker;
    job->session = slab_handle_of(worker->sessions, session);
    job->context = tls_context_ref(session->context);
    job->ssl = session->ssl;
    job->verification = session->verification;
    session->verification = (struct tls_verification){.trust = NULL};
    job->has_identity = session->has_identity;
    memcpy(job->identity, session->identity, sizeof(job->identity));
    job->in_at = 0;
    job->out_bytes = 0;
    job->in_bytes =
        (uint32_t)(session->cipher.bytes < sizeof(job->in) ? session->cipher.bytes : sizeof(job->in));
    byte_queue_peek(&session->cipher, job->in, job->in_bytes);
    session->ssl = NULL;
    session->state = TLS_STATE_AWAY;
    tls_session_turn(session);
    if (worker->config.pool != NULL && handshake_pool_submit(worker->config.pool, worker->pool_number, job))
        return;
    crypto_offload_use(NULL, 0);
    tls_job_run(job);
    job->next = worker->finished;
    worker->finished = job;
}

static struct tls_job *take_spare(struct tls_worker *worker)
{
    struct tls_job *job = worker->spare;
    if (job != NULL)
        worker->spare = job->next;
    return job;
}

void tls_session_advance(struct tls_session *session)
{
    struct tls_worker *worker = session->worker;
    struct tls_job *job = fair_queue_waiting(&worker->waiting) == 0 ? take_spare(worker) : NULL;
    if (job != NULL) {
        submit(session, job);
        return;
    }
    if (session->stalled)
        TAILQ_REMOVE(&worker->stalled, session, by_turn);
    session->stalled = false;
    session->state = TLS_STATE_WAITING;
    tls_session_turn(session);
    fair_queue_put(&worker->waiting, &session->wait, session->ssl != NULL);
}

/* The handshake wants input. */
void tls_session_want_input(struct tls_session *session)
{
    session->state = TLS_STATE_HANDSHAKE;
    tls_session_turn(session);
    if (session->cipher.bytes > 0) {
        tls_session_advance(session);
    } else if (session->lower_held) {
        session->lower_held = false;
        stream_resume(session->lower);
    }
    if (session->state == TLS_STATE_HANDSHAKE && session->lower_ended && session->cipher.bytes == 0)
        fail_protocol(session, STREAM_END_RESET, closed_early(session));
}

static void settle(struct tls_session *session, struct tls_job *job)
{
    tls_session_enter(session);
    session->ssl = job->ssl;
    job->ssl = NULL;
    session->verification = job->verification;
    job->verification = (struct tls_verification){.trust = NULL};
    byte_queue_drop(&session->cipher, session->worker->config.chunks, job->in_at);
    session->handshake_bytes += job->in_at;
    tls_stream_send(session, job->out, job->out_bytes);
    if (session->state == TLS_STATE_AWAY) {
        switch (job->result) {
        case TLS_STEP_WANT_INPUT:
            if (session->handshake_bytes > TLS_HANDSHAKE_LIMIT)
                tls_session_flooded(session, "sends a handshake that does not end", TLS_ALERT_HANDSHAKE);
            else
                tls_session_want_input(session);
            break;
        case TLS_STEP_WANT_OUTPUT:
            tls_session_advance(session);
            break;
        case TLS_STEP_DONE:
            tls_session_judge(session);
            break;
        case TLS_STEP_FAILED:
            tls_session_fail(session, &job->failure);
            break;
        }
    }
    tls_session_leave(session);
}

static void finish_job(struct tls_worker *worker, struct tls_job *job)
{
    struct tls_session *session = slab_resolve(worker->sessions, job->session);
    if (session != NULL && session->state == TLS_STATE_AWAY)
        settle(session, job);
    wolfSSL_free(job->ssl); /* of a session that was aborted meanwhile */
    job->ssl = NULL;
    tls_verification_clear(&job->verification);
    tls_context_unref(job->context);
    job->context = NULL;
    job->next = worker->spare;
    worker->spare = job;
}

/* ---- the lower stream's events ------------------------------------------------------------------------- */

/* A ClientHello is worth making: the lower side is open, or has room for it while it is being opened. */
static void begin(struct tls_session *session)
{
    if (session->has_deadline || session->state == TLS_STATE_LOWER)
        tls_session_start_deadline(session);
    if (session->state == TLS_STATE_LOWER)
        tls_session_advance(session);
}

static void on_opened(void *owner)
{
    struct tls_session *session = owner;
    session->lower_open = true;
    begin(session);
    tls_session_turn(session);
}

/* The first byte of a client that does not know that this is a TLS listener (RFC 8446 section 5.1). What we
 * would answer it could not read. */
static void refuse_plain(struct tls_session *session, uint8_t first)
{
    session->worker->counters[TLS_NOT_TLS]++;
    tls_session_enter(session);
    tls_session_close(
        session, STREAM_END_TLS_PROTOCOL,
        first == MQTT_CONNECT_BYTE ? "client speaks MQTT without TLS" : "client does not speak TLS", true);
    tls_session_leave(session);
}

static size_t on_data(void *owner, const uint8_t *p, size_t n)
{
    struct tls_session *session = owner;
    struct chunk_pool *chunks = session->worker->config.chunks;
    if (session->state == TLS_STATE_OPEN)
        return tls_stream_take(session, p, n);
    if (session->state == TLS_STATE_LINGER || session->state == TLS_STATE_FREE)
        return n;
    if (session->server && !session->heard && n > 0 && p[0] != TLS_CONTENT_HANDSHAKE) {
        refuse_plain(session, p[0]);
        return n;
    }
    session->heard = true;
    size_t room = byte_queue_room(&session->cipher, chunks, TLS_CIPHER_LIMIT);
    size_t taken = byte_queue_append(&session->cipher, chunks, p, n < room ? n : room);
    session->lower_held = taken < n;
    if (session->state == TLS_STATE_HANDSHAKE) {
        if (session->cipher.bytes > 0)
            tls_session_advance(session);
        else
            tls_session_stall(session); /* no chunk to be had now */
    }
    return taken;
}

static void on_writable(void *owner)
{
    tls_stream_proceed(owner);
}

static void on_ended(void *owner)
{
    struct tls_session *session = owner;
    session->lower_ended = true;
    tls_session_enter(session);
    if (session->state == TLS_STATE_OPEN)
        tls_stream_lower_ended(session);
    else if (session->state == TLS_STATE_HANDSHAKE && !session->lower_held)
        tls_session_want_input(session);
    else if (session->state == TLS_STATE_WAITING && session->server && session->ssl == NULL)
        fail_protocol(session, STREAM_END_RESET, closed_early(session)); /* it has given up: no work for it */
    tls_session_leave(session);
}

/* The ClientHello is made while TCP still connects: there may have been no server at all. */
static bool never_opened(enum stream_end why)
{
    return why == STREAM_END_REFUSED || why == STREAM_END_UNREACHABLE || why == STREAM_END_TIMEOUT;
}

static void on_closed(void *owner, enum stream_end why)
{
    struct tls_session *session = owner;
    tls_session_enter(session);
    const char *reason = stream_reason(session->lower);
    session->lower = NULL;
    switch (session->state) {
    case TLS_STATE_FREE:
        break;
    case TLS_STATE_LINGER:
        tls_session_stop_deadline(session);
        vanish(session);
        break;
    case TLS_STATE_OPEN:
        tls_stream_lower_closed(session, why);
        break;
    case TLS_STATE_LOWER:
        tls_session_close(session, why, reason, false);
        break;
    case TLS_STATE_HANDSHAKE:
    case TLS_STATE_WAITING:
    case TLS_STATE_AWAY:
    case TLS_STATE_STATUS:
        fail_protocol(session, why == STREAM_END_DONE ? STREAM_END_RESET : why,
                      never_opened(why) ? reason : closed_early(session));
        break;
    }
    tls_session_leave(session);
}

static const struct stream_handler lower_handler = {on_opened, on_data, on_writable, on_ended, on_closed};

static struct tls_session *make_session(struct tls_worker *worker, struct tls_context *context,
                                        const struct ip_address *source, struct stream *lower,
                                        const struct stream_handler *handler, void *owner)
{
    struct tls_session *session = slab_alloc(worker->sessions);
    if (session == NULL) {
        worker->counters[TLS_TABLE_FULL]++;
        return NULL;
    }
    session->upper = (struct stream){.ops = &tls_stream_ops, .handler = handler, .owner = owner};
    session->worker = worker;
    session->number = slab_handle_of(worker->sessions, session).index;
    session->context = tls_context_ref(context);
    session->wait.line = fair_queue_line(&worker->waiting, source);
    session->lower = lower;
    session->state = TLS_STATE_LOWER;
    lower->handler = &lower_handler;
    lower->owner = session;
    return session;
}

struct stream *tls_accept(struct tls_worker *worker, struct tls_context *context,
                          const struct ip_address *source, struct stream *lower,
                          const struct stream_handler *handler, void *owner, uint64_t now_us)
{
    worker->now_us = now_us;
    struct tls_session *session = make_session(worker, context, source, lower, handler, owner);
    if (session == NULL)
        return NULL;
    session->server = session->lower_open = true;
    session->state = TLS_STATE_HANDSHAKE;
    tls_session_start_deadline(session);
    return &session->upper;
}

struct stream *tls_connect(struct tls_worker *worker, struct tls_context *context, const char *identity,
                           const struct ip_address *source, struct stream *lower,
                           const struct stream_handler *handler, void *owner, uint64_t now_us)
{
    worker->now_us = now_us;
    if (!tls_identity_name_good(identity)) {
        worker->counters[TLS_FAILED_IDENTITY]++;
        return NULL;
    }
    struct tls_session *session = make_session(worker, context, source, lower, handler, owner);
    if (session == NULL)
        return NULL;
    session->has_identity = identity != NULL;
    if (identity != NULL)
        memcpy(session->identity, identity, strlen(identity) + 1);
    if (stream_room(lower) > 0)
        begin(session);
    return &session->upper;
}

/* ---- the worker ---------------------------------------------------------------------------------------- */

struct tls_worker *tls_worker_create(const struct tls_worker_config *config)
{
    uint8_t secret[16];
    struct tls_worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL || getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret)) {
        free(worker);
        return NULL;
    }
    worker->config = *config;
    TAILQ_INIT(&worker->deadlines);
    TAILQ_INIT(&worker->overtime);
    fair_queue_init(&worker->waiting, secret);
    explicit_bzero(secret, sizeof(secret));
    TAILQ_INIT(&worker->stalled);
    TAILQ_INIT(&worker->asking);
    worker->jobs_n = config->pool == NULL ? JOBS_WITHOUT_POOL : handshake_pool_slots(config->pool);
    worker->pool_number = config->pool == NULL ? 0 : handshake_pool_join(config->pool);
    worker->jobs = calloc(worker->jobs_n, sizeof(*worker->jobs));
    worker->sessions = slab_create(config->sessions, sizeof(struct tls_session));
    worker->keys = crypto_offload_cache_create(config->sessions);
    if (worker->jobs == NULL || worker->sessions == NULL || worker->pool_number < 0 || worker->keys == NULL) {
        tls_worker_destroy(worker);
        return NULL;
    }
    for (uint32_t i = 0; i < worker->jobs_n; i++) {
        worker->jobs[i].next = worker->spare;
        worker->spare = &worker->jobs[i];
    }
    return worker;
}

void tls_worker_destroy(struct tls_worker *worker)
{
    if (worker == NULL)
        return;
    for (uint32_t i = 0; worker->jobs != NULL && i < worker->jobs_n; i++) {
        wolfSSL_free(worker->jobs[i].ssl);
        tls_verification_clear(&worker->jobs[i].verification);
        tls_context_unref(worker->jobs[i].context);
    }
    uint32_t at = 0;
    for (struct tls_session *session; worker->sessions != NULL;) {
        session = slab_next(worker->sessions, &at);
        if (session == NULL)
            break;
        release(session);
        vanish(session);
    }
    crypto_offload_use(NULL, 0);
    crypto_offload_cache_destroy(worker->keys);
    slab_destroy(worker->sessions);
    free(worker->jobs);
    free(worker);
}

static struct tls_session *waiting_session(struct fair_queue_entry *entry)
{
    return (struct tls_session *)(uintptr_t)((char *)entry - offsetof(struct tls_session, wait));
}

static void poll_sessions(struct tls_worker *worker)
{
    struct tls_session *session;
    tls_worker_look(worker);
    struct fair_queue_entry *next;
    while (worker->spare != NULL && (next = fair_queue_take(&worker->waiting)) != NULL)
        submit(waiting_session(next), take_spare(worker));
    /* Those that stall again join behind. */
    struct tls_session *last = TAILQ_LAST(&worker->stalled, tls_session_list);
    for (int i = 0; i < STALLED_PER_POLL && (session = TAILQ_FIRST(&worker->stalled)) != NULL; i++) {
        TAILQ_REMOVE(&worker->stalled, session, by_turn);
        session->stalled = false;
        bool was_last = session == last;
        tls_stream_proceed(session);
        if (was_last)
            break;
    }
}

void tls_worker_poll(struct tls_worker *worker, uint64_t now_us)
{
    worker->now_us = now_us;
    struct tls_job *job = worker->finished;
    worker->finished = NULL;
    while (job != NULL) {
        struct tls_job *next = job->next;
        finish_job(worker, job);
        job = next;
    }
    while (worker->config.pool != NULL &&
           (job = handshake_pool_collect(worker->config.pool, worker->pool_number)) != NULL)
        finish_job(worker, job);
    tls_worker_poll_status(worker);
    poll_sessions(worker);
}

uint64_t tls_worker_counter(const struct tls_worker *worker, enum tls_counter counter)
{
    return worker->counters[counter];
}

const char *tls_counter_id(enum tls_counter counter)
{
#define TLS_COUNTER_ID(name, id) id,
    static const char *const ids[TLS_COUNTER_COUNT] = {TLS_COUNTER_TABLE(TLS_COUNTER_ID)};
#undef TLS_COUNTER_ID
    return ids[counter];
}

uint32_t tls_worker_waiting(const struct tls_worker *worker)
{
    return fair_queue_waiting(&worker->waiting);
}

uint32_t tls_worker_sessions(const struct tls_worker *worker)
{
    return slab_used(worker->sessions);
}

size_t tls_session_bytes(void)
{
    return sizeof(struct tls_session);
}
