/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sessions that wait for their peer's status, and open ones that are asked about again (B4).
 *
 * Asked about is only who has proved to hold the key: a certificate alone, which everybody can copy, makes no
 * question. What the peer sends meanwhile waits like input of a handshake; the wait ends with the verdict, or
 * with the time that a handshake may take.
 */
#include "dataplane/secure/ocsp_asker.h"
#include "dataplane/secure/tls_session.h"

#include <stdio.h>
#include <time.h>

#define PER_POLL 64u
#define ROUND_US 250000u
#define RENEW_US 2000000u

/* Whose chain has to be asked about; NULL: nobody's. */
static const struct ocsp_chain *chain_of(const struct tls_session *session)
{
    const struct tls_peer *peer = session->verification.peer;
    bool wanted = peer != NULL && peer->has_certificate && tls_context_ocsp(session->context) != OCSP_OFF;
    return wanted ? &peer->status : NULL;
}

void tls_session_unask(struct tls_session *session)
{
    TAILQ_REMOVE(&session->worker->asking, session, by_turn);
    session->worker->asking_n--;
}

static void leave(struct tls_session *session)
{
    tls_session_stop_deadline(session);
    if (session->state != TLS_STATE_STATUS)
        return;
    tls_session_unask(session);
    session->state = TLS_STATE_HANDSHAKE;
}

static void open_it(struct tls_session *session, const char *unchecked)
{
    leave(session);
    session->unchecked = unchecked;
    session->worker->counters[TLS_STATUS_UNCHECKED] += unchecked != NULL;
    tls_stream_open(session);
}

static void conclude(struct tls_session *session, const struct tls_status_end *end)
{
    struct tls_failure failure = {.why = STREAM_END_TLS_VERIFY, .counter = TLS_FAILED_STATUS};
    if (end->refusal.why == NULL) {
        open_it(session, end->unchecked);
        return;
    }
    tls_status_end_tell(end, session->server, failure.reason, sizeof(failure.reason));
    leave(session);
    tls_stream_refuse(session, (enum tls_alert)end->refusal.alert);
    tls_session_fail(session, &failure);
}

/* A verdict is there. */
static void settle(struct tls_session *session, enum ocsp_status status, int64_t now_s)
{
    struct tls_status_end end =
        tls_trust_status_end(tls_context_trust(session->context), session->verification.peer, status, now_s);
    conclude(session, &end);
}

static void await(struct tls_session *session)
{
    struct tls_worker *worker = session->worker;
    if (session->stalled)
        TAILQ_REMOVE(&worker->stalled, session, by_turn);
    session->stalled = false;
    session->state = TLS_STATE_STATUS;
    tls_session_start_deadline(session);
    TAILQ_INSERT_TAIL(&worker->asking, session, by_turn);
    worker->asking_n++;
}

void tls_session_judge(struct tls_session *session)
{
    struct tls_worker *worker = session->worker;
    int64_t now_s = (int64_t)time(NULL);
    const struct ocsp_chain *chain = chain_of(session);
    if (chain == NULL || chain->n == 0) {
        open_it(session, chain == NULL ? NULL : "the certificate's status cannot be asked for");
        return;
    }
    worker->any_status = true;
    enum ocsp_status status = ocsp_chain_status(chain, now_s, NULL);
    if (status != OCSP_NONE) {
        settle(session, status, now_s);
    } else if (worker->config.asker == NULL) {
        await(session);
        tls_session_judge_late(session);
    } else {
        await(session);
        ocsp_chain_ask(chain, worker->config.asker, now_s);
    }
}

void tls_session_judge_late(struct tls_session *session)
{
    struct tls_status_end end = tls_trust_status_late(tls_context_trust(session->context));
    tls_session_enter(session);
    conclude(session, &end);
    tls_session_leave(session);
}

static void look_at_waiting(struct tls_worker *worker)
{
    uint32_t version = ocsp_asker_version(worker->config.asker);
    int64_t now_s = (int64_t)time(NULL);
    if (version != worker->answers || worker->now_us >= worker->round_us) {
        worker->answers = version;
        worker->round_us = worker->now_us + ROUND_US;
        worker->asking_left = worker->asking_n;
    }
    for (uint32_t i = 0; i < PER_POLL && worker->asking_left > 0; i++) {
        struct tls_session *session = TAILQ_FIRST(&worker->asking);
        worker->asking_left--;
        if (session == NULL)
            break;
        const struct ocsp_chain *chain = chain_of(session);
        enum ocsp_status status = chain == NULL ? OCSP_GOOD : ocsp_chain_status(chain, now_s, NULL);
        if (status == OCSP_NONE) {
            TAILQ_REMOVE(&worker->asking, session, by_turn);
            TAILQ_INSERT_TAIL(&worker->asking, session, by_turn);
            ocsp_chain_ask(chain, worker->config.asker, now_s);
            continue;
        }
        tls_session_enter(session);
        settle(session, status, now_s);
        tls_session_leave(session);
    }
}

static void renew(struct tls_worker *worker)
{
    int64_t now_s = (int64_t)time(NULL);
    for (uint32_t i = 0; i < PER_POLL; i++) {
        const struct tls_session *session = slab_next(worker->sessions, &worker->renew_at);
        if (session == NULL) {
            worker->renewing = false;
            return;
        }
        const struct ocsp_chain *chain = session->state == TLS_STATE_OPEN ? chain_of(session) : NULL;
        if (chain != NULL)
            ocsp_chain_renew(chain, worker->config.asker, now_s);
    }
}

void tls_worker_poll_status(struct tls_worker *worker)
{
    if (worker->config.asker == NULL || !worker->any_status)
        return;
    if (worker->asking_n > 0)
        look_at_waiting(worker);
    if (!worker->renewing && worker->now_us >= worker->renew_us) {
        worker->renew_us = worker->now_us + RENEW_US;
        worker->renew_at = 0;
        worker->renewing = true;
    }
    if (worker->renewing)
        renew(worker);
}
