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

/* The case of a session's peer when its context wants to know; NULL: it does not. */
static struct ocsp_case *case_of(const struct tls_session *session)
{
    const struct tls_peer *peer = session->verification.peer;
    bool wanted = peer != NULL && peer->has_certificate && tls_context_ocsp(session->context) != OCSP_OFF;
    return wanted ? peer->status : NULL;
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

/* `more`: what the responder did; or NULL. */
static void refuse(struct tls_session *session, const char *why, const char *more)
{
    struct tls_failure failure = {.why = STREAM_END_TLS_VERIFY, .counter = TLS_FAILED_STATUS};
    snprintf(failure.reason, sizeof(failure.reason), "%s %s%s%s", session->server ? "client" : "server", why,
             more == NULL ? "" : ": ", more == NULL ? "" : more);
    leave(session);
    tls_session_fail(session, &failure);
}

/* A verdict is there. */
static void settle(struct tls_session *session, const struct ocsp_case *c, enum ocsp_status status)
{
    const char *why = tls_context_refuses(session->context, session->verification.peer);
    const char *more = status == OCSP_FAILED ? atomic_load_explicit(&c->why, memory_order_relaxed) : NULL;
    if (why != NULL)
        refuse(session, why, more);
    else if (status == OCSP_GOOD)
        open_it(session, NULL);
    else
        open_it(session, more != NULL ? more : "the responder does not know the certificate");
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
    struct ocsp_case *c = case_of(session);
    worker->any_status |= c != NULL;
    enum ocsp_status status = c == NULL ? OCSP_GOOD : ocsp_case_status(c, (int64_t)time(NULL));
    if (c == NULL) {
        bool wanted = tls_context_ocsp(session->context) != OCSP_OFF && session->verification.peer != NULL &&
                      session->verification.peer->has_certificate;
        open_it(session, wanted ? "the certificate's issuer is not known" : NULL);
    } else if (status != OCSP_NONE) {
        settle(session, c, status);
    } else if (worker->config.asker == NULL) {
        await(session);
        tls_session_judge_late(session);
    } else {
        await(session);
        ocsp_ask(worker->config.asker, c);
    }
}

void tls_session_judge_late(struct tls_session *session)
{
    tls_session_enter(session);
    if (tls_context_ocsp(session->context) == OCSP_HARD)
        refuse(session, "certificate's status could not be had in time", NULL);
    else
        open_it(session, "the certificate's status could not be had in time");
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
        struct ocsp_case *c = case_of(session);
        enum ocsp_status status = c == NULL ? OCSP_GOOD : ocsp_case_status(c, now_s);
        if (status == OCSP_NONE) {
            TAILQ_REMOVE(&worker->asking, session, by_turn);
            TAILQ_INSERT_TAIL(&worker->asking, session, by_turn);
            ocsp_ask(worker->config.asker, c);
            continue;
        }
        tls_session_enter(session);
        settle(session, c, status);
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
        struct ocsp_case *c = session->state == TLS_STATE_OPEN ? case_of(session) : NULL;
        if (c != NULL && atomic_load_explicit(&c->due_s, memory_order_relaxed) <= now_s)
            ocsp_ask(worker->config.asker, c);
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
