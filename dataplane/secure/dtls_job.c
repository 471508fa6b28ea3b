/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Steps of a DTLS handshake on another thread. The job's buffers hold datagrams, each behind its length in
 * two bytes.
 */
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfio.h>

#include "dataplane/secure/crypto_offload.h"
#include "dataplane/secure/dtls_session.h"
#include "dataplane/secure/handshake_pool.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define JOBS_MAX 256u
#define WAITS_MAX 1024u
#define LENGTH_BYTES 2

/* ---- what waits ------------------------------------------------------------------------------------------
 */

void dtls_wait_add(struct dtls_session *session, const uint8_t *datagram, size_t n)
{
    struct dtls_worker *worker = session->worker;
    struct dtls_wait *wait =
        n > DTLS_WAIT_BYTES || session->waiting_n == DTLS_WAIT_MAX ? NULL : slab_alloc(worker->waits);
    if (wait == NULL) {
        worker->lost++;
        return;
    }
    wait->n = (uint16_t)n;
    memcpy(wait->at, datagram, n);
    STAILQ_INSERT_TAIL(&session->waiting, wait, next);
    session->waiting_n++;
}

struct dtls_wait *dtls_wait_take(struct dtls_session *session)
{
    struct dtls_wait *wait = STAILQ_FIRST(&session->waiting);
    if (wait == NULL)
        return NULL;
    STAILQ_REMOVE_HEAD(&session->waiting, next);
    session->waiting_n--;
    return wait;
}

void dtls_wait_free(struct dtls_session *session, struct dtls_wait *wait)
{
    slab_free(session->worker->waits, wait);
}

/* ---- on the thread ---------------------------------------------------------------------------------------
 */

static int on_receive(WOLFSSL *ssl, char *out, int room, void *context)
{
    struct tls_job *job = context;
    (void)ssl;
    if (job->in_bytes - job->in_at < LENGTH_BYTES)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    uint32_t n = (uint32_t)(job->in[job->in_at] << 8 | job->in[job->in_at + 1]);
    const uint8_t *datagram = job->in + job->in_at + LENGTH_BYTES;
    job->in_at += LENGTH_BYTES + n;
    if (room < 0 || n > (uint32_t)room)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    memcpy(out, datagram, n);
    return (int)n;
}

static int on_send(WOLFSSL *ssl, char *datagram, int n, void *context)
{
    struct tls_job *job = context;
    (void)ssl;
    if (n > 0)
        dtls_flight_note(job->owner, (const uint8_t *)datagram, (size_t)n);
    if (n < 0 || (uint32_t)n + LENGTH_BYTES > TLS_JOB_OUT_BYTES - job->out_bytes)
        return WOLFSSL_CBIO_ERR_WANT_WRITE;
    job->out[job->out_bytes++] = (uint8_t)(n >> 8);
    job->out[job->out_bytes++] = (uint8_t)n;
    memcpy(job->out + job->out_bytes, datagram, (size_t)n);
    job->out_bytes += (uint32_t)n;
    return n;
}

static void run(struct tls_job *job)
{
    struct dtls_session *session = job->owner;
    job->result = TLS_STEP_FAILED;
    if (session->ssl == NULL)
        session->ssl = session->server ? dtls_server_context_session(session->context, session, &job->failure)
                                       : dtls_context_session(session->context, session, &job->failure);
    if (session->ssl == NULL)
        return;
    dtls_session_set_up(session);
    wolfSSL_SSLSetIORecv(session->ssl, on_receive);
    wolfSSL_SSLSetIOSend(session->ssl, on_send);
    wolfSSL_SetIOReadCtx(session->ssl, job);
    wolfSSL_SetIOWriteCtx(session->ssl, job);
    int error = dtls_session_step(session);
    if (error == WOLFSSL_SUCCESS)
        job->result = TLS_STEP_DONE;
    else if (error == WOLFSSL_ERROR_WANT_READ)
        job->result = TLS_STEP_WANT_INPUT;
    else if (error == WOLFSSL_ERROR_WANT_WRITE)
        job->result = TLS_STEP_WANT_OUTPUT;
    else
        tls_failure_from(&job->failure, session->ssl, error, &session->verification,
                         dtls_session_server_name(session));
}

/* ---- the worker's side -----------------------------------------------------------------------------------
 */

bool dtls_jobs_create(struct dtls_worker *worker, struct handshake_pool *pool)
{
    uint8_t secret[16];
    worker->pool = pool;
    if (getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret))
        return false;
    fair_queue_init(&worker->queue, secret);
    explicit_bzero(secret, sizeof(secret));
    worker->waits = slab_create(WAITS_MAX, sizeof(struct dtls_wait));
    if (worker->waits == NULL)
        return false;
    if (pool == NULL)
        return true;
    worker->pool_number = handshake_pool_join(pool);
    worker->jobs_n = handshake_pool_slots(pool) < JOBS_MAX ? handshake_pool_slots(pool) : JOBS_MAX;
    worker->jobs = calloc(worker->jobs_n, sizeof(*worker->jobs));
    for (uint32_t i = 0; worker->jobs != NULL && i < worker->jobs_n; i++) {
        worker->jobs[i].next = worker->spare;
        worker->spare = &worker->jobs[i];
    }
    return worker->jobs != NULL && worker->pool_number >= 0;
}

static void hand_over(struct dtls_session *session)
{
    struct dtls_worker *worker = session->worker;
    struct tls_job *job = worker->spare;
    struct dtls_wait *wait;
    worker->spare = job->next;
    job->run = run;
    job->owner = session;
    job->in_at = job->in_bytes = job->out_bytes = 0;
    while ((wait = STAILQ_FIRST(&session->waiting)) != NULL &&
           TLS_JOB_IN_BYTES - job->in_bytes >= LENGTH_BYTES + (uint32_t)wait->n) {
        dtls_wait_take(session);
        job->in[job->in_bytes++] = (uint8_t)(wait->n >> 8);
        job->in[job->in_bytes++] = (uint8_t)wait->n;
        memcpy(job->in + job->in_bytes, wait->at, wait->n);
        job->in_bytes += wait->n;
        dtls_wait_free(session, wait);
    }
    session->away = true;
    session->due_us = UINT64_MAX;
    bool good = handshake_pool_submit(worker->pool, worker->pool_number, job);
    assert(good); /* there are no more jobs than the pool takes */
    (void)good;
}

void dtls_job_submit(struct dtls_session *session)
{
    struct dtls_worker *worker = session->worker;
    if (session->away || session->turn.queued)
        return;
    if (worker->spare != NULL && fair_queue_waiting(&worker->queue) == 0) {
        hand_over(session);
        return;
    }
    session->due_us = UINT64_MAX;
    fair_queue_put(&worker->queue, &session->turn, session->ssl != NULL);
}

static struct dtls_session *whose_turn(struct fair_queue_entry *entry)
{
    return (struct dtls_session *)(uintptr_t)((char *)entry - offsetof(struct dtls_session, turn));
}

void dtls_worker_poll(struct dtls_worker *worker, uint64_t now_us)
{
    struct tls_job *job;
    dtls_status_poll(worker, now_us);
    while (worker->pool != NULL &&
           (job = handshake_pool_collect(worker->pool, worker->pool_number)) != NULL) {
        struct dtls_session *session = job->owner;
        session->away = false;
        job->owner = NULL;
        dtls_session_returned(session, job, now_us);
        job->next = worker->spare;
        worker->spare = job;
    }
    struct fair_queue_entry *next;
    while (worker->spare != NULL && (next = fair_queue_take(&worker->queue)) != NULL)
        hand_over(whose_turn(next));
}

void dtls_jobs_destroy(struct dtls_worker *worker)
{
    for (uint32_t i = 0; i < worker->jobs_n && worker->jobs != NULL; i++) {
        struct dtls_session *session = worker->jobs[i].owner;
        if (session == NULL)
            continue;
        session->away = false;
        session->ended = true;
        dtls_session_drop(session);
    }
    free(worker->jobs);
    if (worker->waits != NULL)
        slab_destroy(worker->waits);
}
