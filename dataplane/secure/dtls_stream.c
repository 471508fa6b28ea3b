/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfio.h>

#include "dataplane/secure/crypto_offload.h"
#include "dataplane/secure/dtls13_record.h"
#include "dataplane/secure/dtls_session.h"
#include "dataplane/secure/ocsp_asker.h"
#include "dataplane/slab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_US UINT64_C(1000000)
/* 1, 2, 4, 8, 16 s (RFC 6347 s.4.2.4.1); then the peer is taken to be silent. */
#define RETRIES_MAX 5
#define MESSAGE_MAX 16384
#define DATAGRAM_MIN 256

struct dtls_worker *dtls_worker_create(uint32_t sessions, struct handshake_pool *pool)
{
    struct dtls_worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL)
        return NULL;
    worker->asker = ocsp_asker_shared();
    TAILQ_INIT(&worker->asking);
    TAILQ_INIT(&worker->watched);
    worker->keys = crypto_offload_cache_create(sessions);
    if (worker->keys != NULL && dtls_jobs_create(worker, pool))
        return worker;
    dtls_worker_destroy(worker);
    return NULL;
}

void dtls_worker_destroy(struct dtls_worker *worker)
{
    if (worker == NULL)
        return;
    dtls_jobs_destroy(worker);
    crypto_offload_cache_destroy(worker->keys);
    free(worker);
}

uint64_t dtls_worker_status_refused(const struct dtls_worker *worker)
{
    return worker->status_refused;
}

uint64_t dtls_worker_status_unchecked(const struct dtls_worker *worker)
{
    return worker->status_unchecked;
}

uint64_t dtls_worker_lost(const struct dtls_worker *worker)
{
    return worker->lost;
}

/* ---- wolfSSL's view of the network -----------------------------------------------------------------------
 */

static int on_receive(WOLFSSL *ssl, char *out, int room, void *owner)
{
    struct dtls_session *session = owner;
    (void)ssl;
    size_t n = session->wire_bytes;
    session->wire_bytes = 0;
    if (n == 0 || room < 0 || n > (size_t)room)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    memcpy(out, session->wire, n);
    return (int)n;
}

static int on_send(WOLFSSL *ssl, char *datagram, int n, void *owner)
{
    struct dtls_session *session = owner;
    (void)ssl;
    if (!session->open)
        dtls_flight_note(session, (const uint8_t *)datagram, (size_t)n);
    session->handler->send(session->owner, (const uint8_t *)datagram, (size_t)n);
    return n;
}

/* ---- life ------------------------------------------------------------------------------------------------
 */

void dtls_session_enter(struct dtls_session *session)
{
    session->depth++;
    crypto_offload_use(session->worker->keys, session->index);
}

static void release(struct dtls_session *session)
{
    struct dtls_wait *wait;
    while ((wait = dtls_wait_take(session)) != NULL)
        dtls_wait_free(session, wait);
    fair_queue_remove(&session->worker->queue, &session->turn);
    dtls_status_forget(session);
    crypto_offload_use(session->worker->keys, session->index);
    dtls_context_end(session->context, session);
    crypto_offload_use(NULL, 0);
    crypto_offload_forget(session->worker->keys, session->index);
    dtls_context_unref(session->context);
    free(session->birth);
    free(session->flight);
    tls_verification_clear(&session->verification);
    tls_peer_unref(session->peer);
    free(session);
}

bool dtls_session_leave(struct dtls_session *session)
{
    crypto_offload_use(NULL, 0);
    if (--session->depth > 0 || !session->doomed || session->away)
        return !session->doomed;
    release(session);
    return false;
}

void dtls_session_end(struct dtls_session *session, enum dtls_end why, const char *reason)
{
    session->open = false;
    session->due_us = UINT64_MAX;
    if (session->ended)
        return;
    session->ended = true;
    session->handler->closed(session->owner, why, reason);
}

static void end_by_error(struct dtls_session *session, int error)
{
    struct tls_failure failure = {.reason = ""};
    char reason[TLS_REASON_BYTES];
    WOLFSSL_ALERT_HISTORY alerts = {0};
    bool open = session->open;
    wolfSSL_get_alert_history(session->ssl, &alerts);
    if (alerts.last_rx.level == alert_fatal)
        snprintf(reason, sizeof(reason), "the %s refused with alert %d",
                 session->server ? "client" : "server", alerts.last_rx.code);
    else if (session->server && session->name[0] != '\0' && !session->psk_used)
        snprintf(reason, sizeof(reason), "no key for PSK identity %.100s", session->name);
    else {
        tls_failure_from(&failure, session->ssl, error, &session->verification,
                         dtls_session_server_name(session));
        snprintf(reason, sizeof(reason), "%s", failure.reason);
    }
    dtls_session_end(session,
                     !open ? DTLS_END_FAILED
                     : error == WOLFSSL_ERROR_ZERO_RETURN || alerts.last_rx.level == alert_fatal
                         ? DTLS_END_PEER
                         : DTLS_END_ERROR,
                     reason);
}

static void arm(struct dtls_session *session, uint64_t now_us)
{
    int seconds = wolfSSL_dtls_get_current_timeout(session->ssl);
    session->due_us = now_us + (uint64_t)(seconds < 1 ? 1 : seconds) * SECOND_US;
}

bool dtls_session_waits(int error)
{
    return error == WOLFSSL_ERROR_WANT_READ || error == WOLFSSL_ERROR_WANT_WRITE;
}

void dtls_session_set_up(struct dtls_session *session)
{
    session->verification.trust = dtls_context_trust(session->context);
    wolfSSL_SetCertCbCtx(session->ssl, &session->verification);
    wolfSSL_dtls_set_using_nonblock(session->ssl, 1);
#ifdef WOLFSSL_DTLS13
    /* at once, for what is acknowledged late is sent again, and there is no second timer here for it */
    wolfSSL_dtls13_set_send_more_acks(session->ssl, 1);
#endif
#ifdef WOLFSSL_DTLS_MTU
    wolfSSL_dtls_set_mtu(session->ssl, session->datagram_max);
#endif /* Debian's library cannot be told: its records fit 1,400 bytes, and IP cuts what does not */
}

void dtls_flight_note(struct dtls_session *session, const uint8_t *datagram, size_t n)
{
    struct dtls_flight *flight = session->flight;
    if (flight == NULL || flight->over)
        return;
    flight->over = n > sizeof(flight->at) - flight->n;
    if (flight->over)
        return;
    memcpy(flight->at + flight->n, datagram, n);
    flight->n = (uint16_t)(flight->n + n);
}

static void flight_drop(struct dtls_session *session)
{
    free(session->flight);
    session->flight = NULL;
}

/* The peer repeats its last flight. */
static void flight_again(struct dtls_session *session)
{
    struct dtls_flight *flight = session->flight;
    if (flight == NULL || flight->n == 0 || flight->again == DTLS_FLIGHT_AGAIN)
        return;
    flight->again++;
    session->handler->send(session->owner, flight->at, flight->n);
}

/* Whether the client has asked for the id that was kept for it: known once its hello is read. */
static void note_id(struct dtls_session *session)
{
#ifdef WOLFSSL_DTLS_CID
    unsigned int bytes = 0;
    if (session->server && session->version_1_3 && wolfSSL_dtls_cid_is_enabled(session->ssl) != 0 &&
        wolfSSL_dtls_cid_get_rx_size(session->ssl, &bytes) == WOLFSSL_SUCCESS)
        session->id_bytes = (uint8_t)bytes;
#else
    (void)session;
#endif
}

/* How often an authentic record was the newest. */
static unsigned int advances(const struct dtls_session *session)
{
#ifdef WOLFSSL_DTLS13_ADVANCES
    return wolfSSL_dtls13_advances(session->ssl);
#else
    (void)session;
    return 0;
#endif
}

bool dtls_session_newest(const struct dtls_session *session)
{
    return session->newest;
}

int dtls_session_step(struct dtls_session *session)
{
    if (session->flight == NULL && !session->version_1_3) /* there the last flight is acknowledged */
        session->flight = malloc(sizeof(*session->flight));
    if (session->flight != NULL)
        memset(session->flight, 0, offsetof(struct dtls_flight, at));
    int result = session->server ? wolfSSL_accept(session->ssl) : wolfSSL_connect(session->ssl);
    note_id(session);
    if (result == WOLFSSL_SUCCESS && session->server && !dtls_server_identify(session))
        return NO_PEER_CERT;
    if (result == WOLFSSL_SUCCESS && !session->server && session->context->certificates != NULL)
        dtls_client_identify(session);
    return result == WOLFSSL_SUCCESS ? result : wolfSSL_get_error(session->ssl, result);
}

static void take_back(struct dtls_session *session)
{
    wolfSSL_SSLSetIORecv(session->ssl, on_receive);
    wolfSSL_SSLSetIOSend(session->ssl, on_send);
    wolfSSL_SetIOReadCtx(session->ssl, session);
    wolfSSL_SetIOWriteCtx(session->ssl, session);
}

void dtls_session_opened(struct dtls_session *session)
{
    session->open = true;
    session->due_us = UINT64_MAX;
    int most = wolfSSL_GetMaxOutputSize(session->ssl);
    if (most > 0 && most < session->message_max)
        session->message_max = (uint16_t)most;
    session->resumed = wolfSSL_session_reused(session->ssl) != 0;
    /* A client has the last word only when it has resumed. */
    if (session->flight != NULL && (session->server == session->resumed || session->flight->over))
        flight_drop(session);
    tls_verification_done(&session->verification);
    session->handler->opened(session->owner);
}

/* An open session of 1.3 has something under way at times that wants to be acknowledged: a KeyUpdate. */
static void watch(struct dtls_session *session)
{
#ifdef WOLFSSL_DTLS13
    bool pending = session->open && !session->doomed && session->version_1_3 &&
                   wolfSSL_dtls13_has_pending_msg(session->ssl) != 0;
    if (pending == (session->due_us != UINT64_MAX) || !session->version_1_3 || !session->open)
        return;
    if (pending)
        arm(session, session->now_us);
    else
        session->due_us = UINT64_MAX;
    session->retries = 0;
    if (session->handler->armed != NULL)
        session->handler->armed(session->owner);
#else
    (void)session;
#endif
}

static void shake_hands(struct dtls_session *session, uint64_t now_us)
{
    int error = dtls_session_step(session);
    if (error == WOLFSSL_SUCCESS)
        dtls_status_judge(session, now_us);
    else if (dtls_session_waits(error))
        arm(session, now_us);
    else
        end_by_error(session, error);
}

/* Not one time more than there are records: to be told that there is none left costs as much as a record. */
static void read_messages(struct dtls_session *session, uint32_t records)
{
    uint8_t message[MESSAGE_MAX];
    for (uint32_t i = 0; i < records && session->open && !session->doomed; i++) {
        crypto_offload_use(session->worker->keys, session->index);
        unsigned int before = advances(session);
        int n = wolfSSL_read(session->ssl, message, sizeof(message));
        if (n > 0) {
            flight_drop(session);
            session->newest = advances(session) != before;
            session->handler->received(session->owner, message, (size_t)n);
            continue;
        }
        int error = wolfSSL_get_error(session->ssl, n);
        if (!dtls_session_waits(error))
            end_by_error(session, error);
        return;
    }
}

static struct dtls_session *make(struct dtls_worker *worker, struct dtls_context *context, bool version_1_3,
                                 const struct ip_address *source, uint16_t datagram_max,
                                 const struct dtls_handler *handler, void *owner)
{
    struct dtls_session *session = calloc(1, sizeof(*session));
    if (session == NULL || context == NULL || datagram_max < DATAGRAM_MIN) {
        free(session);
        return NULL;
    }
    session->worker = worker;
    session->handler = handler;
    session->owner = owner;
    session->due_us = UINT64_MAX;
    session->index = worker->next_index++;
    session->datagram_max = datagram_max;
    session->message_max = (uint16_t)(datagram_max - DTLS_RECORD_OVERHEAD);
    session->server = context->server;
    session->version_1_3 = version_1_3;
    session->threaded =
        worker->pool != NULL && (version_1_3 || context->certificates != NULL || context->identity != NULL);
    session->context = dtls_context_ref(context);
    session->turn.line = fair_queue_line(&worker->queue, source);
    STAILQ_INIT(&session->waiting);
    return session;
}

/* The library's session, in the worker. */
static bool begin_here(struct dtls_session *session, struct tls_error *error)
{
    struct tls_failure failure = {.reason = ""};
    session->ssl = session->server ? dtls_server_context_session(session->context, session, &failure)
                                   : dtls_context_session(session->context, session, &failure);
    if (session->ssl == NULL) {
        snprintf(error->text, sizeof(error->text), "%s", failure.reason);
        return false;
    }
    dtls_session_set_up(session);
    take_back(session);
    return true;
}

struct dtls_session *dtls_connect(struct dtls_worker *worker, struct dtls_context *context,
                                  const char *identity, const struct ip_address *source,
                                  uint16_t datagram_max, const struct dtls_handler *handler, void *owner,
                                  uint64_t now_us, struct tls_error *error)
{
    bool version_1_3 = context != NULL && dtls_context_speaks(context, DTLS_1_3);
    struct dtls_session *session = make(worker, context, version_1_3, source, datagram_max, handler, owner);
    snprintf(error->text, sizeof(error->text), "no memory, context or room for DTLS");
    if (session == NULL)
        return NULL;
    dtls_session_enter(session);
    session->ended = true; /* a failure here is the caller's answer */
    bool good = dtls_context_name(context, session, identity, error);
    if (good && session->threaded) {
        dtls_job_submit(session);
    } else if (good && (good = begin_here(session, error))) {
        shake_hands(session, now_us);
        good = session->due_us != UINT64_MAX;
        if (!good)
            snprintf(error->text, sizeof(error->text), "the DTLS handshake could not be begun");
    }
    session->ended = false;
    session->doomed = !good;
    return dtls_session_leave(session) ? session : NULL;
}

struct dtls_session *dtls_accept(struct dtls_worker *worker, struct dtls_context *context,
                                 const struct ip_address *source, const struct dtls_birth *birth,
                                 uint16_t datagram_max, const struct dtls_handler *handler, void *owner)
{
    struct tls_error error;
    struct dtls_session *session =
        make(worker, context, birth->suite != 0, source, datagram_max, handler, owner);
    if (session == NULL)
        return NULL;
    dtls_session_enter(session);
    session->suite = birth->suite;
    session->fresh = true;
    session->birth = malloc(sizeof(*birth));
    if (session->birth != NULL)
        *session->birth = *birth;
    bool good = session->birth != NULL && (session->threaded || begin_here(session, &error));
    session->ended = session->doomed = !good;
    return dtls_session_leave(session) ? session : NULL;
}

void dtls_session_close(struct dtls_session *session)
{
    bool open = session->open;
    session->ended = true;
    session->doomed = true;
    dtls_session_enter(session);
    session->keep = open;
    if (open)
        wolfSSL_shutdown(session->ssl);
    session->open = false;
    session->due_us = UINT64_MAX;
    dtls_session_leave(session);
}

void dtls_session_drop(struct dtls_session *session)
{
    session->open = false;
    dtls_session_close(session);
}

static enum dtls_verdict judge(const struct dtls_session *session, const uint8_t *datagram, size_t n,
                               uint32_t *records)
{
    if (!session->version_1_3)
        return dtls_datagram_judge(datagram, n, session->open || session->asking, records);
    /* the second ClientHello that it begins with has been looked at */
    if (session->server && !session->open && session->fresh)
        return DTLS_DATAGRAM_GOOD;
    struct dtls13_view view = {
        .server = session->server, .open = session->open || session->asking, .id_bytes = session->id_bytes};
    return dtls13_datagram_good(datagram, n, &view, records) ? DTLS_DATAGRAM_GOOD : DTLS_DATAGRAM_DROP;
}

static void input(struct dtls_session *session, const uint8_t *datagram, size_t n, uint64_t now_us)
{
    uint32_t records = 1;
    enum dtls_verdict verdict = judge(session, datagram, n, &records);
    session->fresh = false;
    session->now_us = now_us;
    if (verdict == DTLS_DATAGRAM_AGAIN)
        flight_again(session);
    if (verdict != DTLS_DATAGRAM_GOOD)
        return;
    if (session->asking) {
        dtls_wait_add(session, datagram, n);
        return;
    }
    if (!session->open && session->threaded) {
        dtls_wait_add(session, datagram, n);
        dtls_job_submit(session);
        return;
    }
    session->wire = datagram;
    session->wire_bytes = n;
    if (!session->open)
        shake_hands(session, now_us);
    if (session->open && !session->doomed)
        read_messages(session, records);
    session->wire = NULL;
    session->wire_bytes = 0;
    watch(session);
}

void dtls_session_input(struct dtls_session *session, const uint8_t *datagram, size_t n, uint64_t now_us)
{
    if (session->ended)
        return;
    dtls_session_enter(session);
    input(session, datagram, n, now_us);
    dtls_session_leave(session);
}

static void take_waiting(struct dtls_session *session, uint64_t now_us)
{
    struct dtls_wait *wait;
    while (session->open && !session->doomed && (wait = dtls_wait_take(session)) != NULL) {
        input(session, wait->at, wait->n, now_us);
        dtls_wait_free(session, wait);
    }
}

void dtls_session_catch_up(struct dtls_session *session, uint64_t now_us)
{
    take_waiting(session, now_us);
    if (!session->doomed && session->handler->armed != NULL)
        session->handler->armed(session->owner);
}

/* What came behind the handshake: of the job, then what had to wait. */
static void catch_up_with(struct dtls_session *session, const struct tls_job *job, uint64_t now_us)
{
    for (uint32_t at = job->in_at;
         (session->open || session->asking) && !session->doomed && at + 2 <= job->in_bytes;) {
        size_t n = (size_t)(job->in[at] << 8 | job->in[at + 1]);
        input(session, job->in + at + 2, n, now_us);
        at += 2 + (uint32_t)n;
    }
    take_waiting(session, now_us);
}

static void send_all(struct dtls_session *session, const struct tls_job *job)
{
    for (uint32_t at = 0; at < job->out_bytes && !session->doomed;) {
        size_t n = (size_t)(job->out[at] << 8 | job->out[at + 1]);
        session->handler->send(session->owner, job->out + at + 2, n);
        at += 2 + (uint32_t)n;
    }
}

static const char *failure_of(const struct dtls_session *session, const struct tls_job *job,
                              char reason[TLS_REASON_BYTES])
{
    if (session->server && session->name[0] != '\0' && !session->psk_used) {
        snprintf(reason, TLS_REASON_BYTES, "no key for PSK identity %.100s", session->name);
        return reason;
    }
    return job->failure.reason;
}

void dtls_session_returned(struct dtls_session *session, struct tls_job *job, uint64_t now_us)
{
    char reason[TLS_REASON_BYTES];
    dtls_session_enter(session);
    if (session->ssl != NULL)
        take_back(session);
    if (!session->doomed) {
        send_all(session, job);
        if (session->doomed || session->ended) {
            /* ended while its last words were sent */
        } else if (job->result == TLS_STEP_DONE) {
            dtls_status_judge(session, now_us);
            catch_up_with(session, job, now_us);
        } else if (job->result == TLS_STEP_FAILED) {
            dtls_session_end(session, DTLS_END_FAILED, failure_of(session, job, reason));
        } else if (job->result == TLS_STEP_WANT_OUTPUT || session->waiting_n > 0) {
            dtls_job_submit(session);
        } else {
            arm(session, now_us);
        }
        if (!session->doomed && session->handler->armed != NULL)
            session->handler->armed(session->owner);
    }
    dtls_session_leave(session);
}

bool dtls_session_write(struct dtls_session *session, const uint8_t *message, size_t n)
{
    if (!session->open || session->doomed || n > session->message_max)
        return false;
    dtls_session_enter(session);
    int written = wolfSSL_write(session->ssl, message, (int)n);
    watch(session);
    return dtls_session_leave(session) && written == (int)n;
}

void dtls_session_fire(struct dtls_session *session, uint64_t now_us)
{
    if (session->due_us > now_us || session->ended)
        return;
    dtls_session_enter(session);
    session->now_us = now_us;
    if (session->asking) {
        dtls_status_late(session);
        take_waiting(session, now_us);
    } else if (++session->retries > RETRIES_MAX) {
        dtls_session_end(session, session->open ? DTLS_END_ERROR : DTLS_END_SILENT,
                         session->open     ? "new keys are not acknowledged"
                         : session->server ? "the client does not finish the DTLS handshake"
                                           : "the server does not answer the DTLS handshake");
    } else if (session->ssl == NULL) {
        dtls_job_submit(session);
    } else if (wolfSSL_dtls_got_timeout(session->ssl) != WOLFSSL_SUCCESS) {
        end_by_error(session, wolfSSL_get_error(session->ssl, WOLFSSL_FATAL_ERROR));
    } else {
        arm(session, now_us);
    }
    dtls_session_leave(session);
}

uint64_t dtls_session_due_us(const struct dtls_session *session)
{
    return session->due_us;
}

const char *dtls_session_cipher(const struct dtls_session *session)
{
    return session->open ? wolfSSL_get_cipher_name(session->ssl) : "";
}

bool dtls_session_resumed(const struct dtls_session *session)
{
    return session->resumed;
}

const struct dtls_context *dtls_session_context(const struct dtls_session *session)
{
    return session->context;
}

bool dtls_session_open(const struct dtls_session *session)
{
    return session->open;
}

const struct tls_peer *dtls_session_peer(const struct dtls_session *session)
{
    return session->peer;
}

const char *dtls_session_unchecked(const struct dtls_session *session)
{
    return session->unchecked;
}

size_t dtls_session_bytes(void)
{
    return sizeof(struct dtls_session);
}
