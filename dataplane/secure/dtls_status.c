/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DTLS sessions that wait for their peer's status, and open ones that are asked about again (B4); what
 * tls_status_wait.c is for TLS.
 *
 * What the peer sends meanwhile waits as it does while a thread has the session: eight datagrams, more are
 * lost like any. The wait ends with the verdict, or after WAIT_US.
 */
#include "dataplane/secure/crypto_offload.h"
#include "dataplane/secure/dtls_session.h"
#include "dataplane/secure/ocsp_asker.h"

#include <stdio.h>
#include <time.h>

#define WAIT_US UINT64_C(10000000)
#define PER_POLL 64u
#define ROUND_US 250000u
#define RENEW_US 2000000u

const struct tls_peer *dtls_session_shown(const struct dtls_session *session)
{
    return session->server ? session->peer : session->verification.peer;
}

static const struct ocsp_chain *chain_of(const struct dtls_session *session)
{
    const struct tls_peer *peer = dtls_session_shown(session);
    const struct tls_trust *trust = dtls_context_trust(session->context);
    bool wanted = peer != NULL && peer->has_certificate && trust != NULL && trust->ocsp.mode != OCSP_OFF;
    return wanted ? &peer->status : NULL;
}

void dtls_status_forget(struct dtls_session *session)
{
    struct dtls_worker *worker = session->worker;
    if (session->asking) {
        TAILQ_REMOVE(&worker->asking, session, by_status);
        worker->asking_n--;
    } else if (session->watched) {
        TAILQ_REMOVE(&worker->watched, session, by_status);
        worker->watched_n--;
    }
    session->asking = session->watched = false;
}

static void pass(struct dtls_session *session, const struct ocsp_chain *chain, const char *unchecked)
{
    dtls_status_forget(session);
    session->unchecked = unchecked;
    session->worker->status_unchecked += unchecked != NULL;
    if (chain != NULL && chain->n > 0) {
        session->watched = true;
        TAILQ_INSERT_TAIL(&session->worker->watched, session, by_status);
        session->worker->watched_n++;
    }
    dtls_session_opened(session);
}

static void conclude(struct dtls_session *session, const struct tls_status_end *end)
{
    char reason[TLS_REASON_BYTES];
    if (end->refusal.why == NULL) {
        pass(session, chain_of(session), end->unchecked);
        return;
    }
    tls_status_end_tell(end, session->server, reason, sizeof(reason));
    dtls_status_forget(session);
    session->worker->status_refused++;
    tls_alert_send(session->ssl, (enum tls_alert)end->refusal.alert);
    dtls_session_end(session, DTLS_END_FAILED, reason);
}

static void settle(struct dtls_session *session, enum ocsp_status status, int64_t now_s)
{
    struct tls_status_end end = tls_trust_status_end(dtls_context_trust(session->context),
                                                     dtls_session_shown(session), status, now_s);
    conclude(session, &end);
}

void dtls_status_judge(struct dtls_session *session, uint64_t now_us)
{
    struct dtls_worker *worker = session->worker;
    int64_t now_s = (int64_t)time(NULL);
    const struct ocsp_chain *chain = chain_of(session);
    if (chain == NULL || chain->n == 0) {
        pass(session, NULL, chain == NULL ? NULL : "the certificate's status cannot be asked for");
        return;
    }
    enum ocsp_status status = ocsp_chain_status(chain, now_s, NULL);
    if (status != OCSP_NONE) {
        settle(session, status, now_s);
        return;
    }
    session->asking = true;
    TAILQ_INSERT_TAIL(&worker->asking, session, by_status);
    worker->asking_n++;
    session->due_us = now_us + WAIT_US;
    if (worker->asker == NULL)
        dtls_status_late(session);
    else
        ocsp_chain_ask(chain, worker->asker, now_s);
}

void dtls_status_late(struct dtls_session *session)
{
    struct tls_status_end end = tls_trust_status_late(dtls_context_trust(session->context));
    conclude(session, &end);
}

static void look_at_waiting(struct dtls_worker *worker, uint64_t now_us)
{
    uint32_t version = ocsp_asker_version(worker->asker);
    int64_t now_s = (int64_t)time(NULL);
    if (version == worker->answers && now_us < worker->round_us && worker->asking_left == 0)
        return;
    if (version != worker->answers || now_us >= worker->round_us) {
        worker->answers = version;
        worker->round_us = now_us + ROUND_US;
        worker->asking_left = worker->asking_n;
    }
    for (uint32_t i = 0; i < PER_POLL && worker->asking_left > 0; i++) {
        struct dtls_session *session = TAILQ_FIRST(&worker->asking);
        worker->asking_left--;
        if (session == NULL)
            break;
        const struct ocsp_chain *chain = chain_of(session);
        enum ocsp_status status = chain == NULL ? OCSP_GOOD : ocsp_chain_status(chain, now_s, NULL);
        if (status == OCSP_NONE) {
            TAILQ_REMOVE(&worker->asking, session, by_status);
            TAILQ_INSERT_TAIL(&worker->asking, session, by_status);
            ocsp_chain_ask(chain, worker->asker, now_s);
            continue;
        }
        dtls_session_enter(session);
        settle(session, status, now_s);
        dtls_session_catch_up(session, now_us);
        dtls_session_leave(session);
    }
}

static void renew(struct dtls_worker *worker)
{
    int64_t now_s = (int64_t)time(NULL);
    for (uint32_t i = 0; i < PER_POLL && worker->watched_left > 0; i++) {
        struct dtls_session *session = TAILQ_FIRST(&worker->watched);
        worker->watched_left--;
        if (session == NULL)
            return;
        TAILQ_REMOVE(&worker->watched, session, by_status);
        TAILQ_INSERT_TAIL(&worker->watched, session, by_status);
        const struct ocsp_chain *chain = session->open ? chain_of(session) : NULL;
        if (chain != NULL)
            ocsp_chain_renew(chain, worker->asker, now_s);
    }
}

void dtls_status_poll(struct dtls_worker *worker, uint64_t now_us)
{
    if (worker->asker == NULL)
        return;
    if (worker->asking_n > 0)
        look_at_waiting(worker, now_us);
    if (worker->watched_left == 0 && worker->watched_n > 0 && now_us >= worker->renew_us) {
        worker->renew_us = now_us + RENEW_US;
        worker->watched_left = worker->watched_n;
    }
    if (worker->watched_left > 0)
        renew(worker);
}
