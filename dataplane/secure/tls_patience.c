/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long a session may take to open. The other side has handshake_timeout_us for what is its part; while a
 * step waits for one of our threads that time stands still, so that nobody fails because others came at the
 * same time. Our own part has a bound of its own, OWN_TIMES as long.
 *
 * A session is looked at when the other side's time would be over if nothing had been ours, and from then on
 * every LOOK_US: two lists, in each of which all wait equally long, so that the soonest is always the first.
 */
#include "dataplane/secure/tls_session.h"

#define OWN_TIMES 3u
#define LOOK_US 100000u

/* While the lower side is being opened, a server that is not there must not be given more time. */
static bool is_ours(const struct tls_session *session)
{
    bool away = session->state == TLS_STATE_AWAY && session->worker->config.pool != NULL;
    return session->lower_open && (session->state == TLS_STATE_WAITING || away);
}

static void set_turn(struct tls_session *session, bool own)
{
    uint64_t now_us = session->worker->now_us;
    if (session->own_turn)
        session->own_us += now_us - session->own_since_us;
    session->own_since_us = now_us;
    session->own_turn = own;
}

void tls_session_turn(struct tls_session *session)
{
    set_turn(session, is_ours(session));
}

uint64_t tls_session_own_us(const struct tls_session *session, uint64_t now_us)
{
    bool running = session->own_turn && now_us > session->own_since_us;
    return session->own_us + (running ? now_us - session->own_since_us : 0);
}

/* ---- deadlines ----------------------------------------------------------------------------------------- */

static void list(struct tls_session *session, bool overtime, uint64_t look_us)
{
    struct tls_worker *worker = session->worker;
    session->look_us = look_us;
    session->overtime = overtime;
    session->has_deadline = true;
    TAILQ_INSERT_TAIL(overtime ? &worker->overtime : &worker->deadlines, session, by_deadline);
}

static void unlist(struct tls_session *session)
{
    struct tls_worker *worker = session->worker;
    if (session->has_deadline)
        TAILQ_REMOVE(session->overtime ? &worker->overtime : &worker->deadlines, session, by_deadline);
    session->has_deadline = false;
}

void tls_session_start_deadline(struct tls_session *session)
{
    struct tls_worker *worker = session->worker;
    uint64_t end_us = worker->now_us + worker->config.handshake_timeout_us;
    unlist(session);
    session->deadline_us = end_us - tls_session_own_us(session, worker->now_us);
    list(session, false, end_us);
}

void tls_session_stop_deadline(struct tls_session *session)
{
    unlist(session);
    set_turn(session, false);
}

static void time_out(struct tls_session *session, bool crowded)
{
    struct tls_worker *worker = session->worker;
    worker->counters[crowded ? TLS_FAILED_CROWD : TLS_FAILED_TIMEOUT]++;
    tls_session_close(session, crowded ? STREAM_END_ABORTED : STREAM_END_TIMEOUT,
                      crowded           ? "no handshake thread was free in time"
                      : session->heard  ? "TLS handshake took too long"
                      : session->server ? "client did not begin a TLS handshake"
                                        : "server did not answer",
                      false);
}

static void look(struct tls_session *session)
{
    struct tls_worker *worker = session->worker;
    uint64_t own_us = tls_session_own_us(session, worker->now_us);
    if (session->state == TLS_STATE_LINGER) {
        tls_session_enter(session);
        tls_session_abort(session);
        tls_session_leave(session);
    } else if (session->state == TLS_STATE_STATUS) {
        tls_session_judge_late(session);
    } else if (own_us >= worker->config.handshake_timeout_us * OWN_TIMES) {
        time_out(session, true);
    } else if (session->deadline_us + own_us <= worker->now_us) {
        time_out(session, false);
    } else {
        unlist(session);
        list(session, true, worker->now_us + LOOK_US);
    }
}

void tls_worker_look(struct tls_worker *worker)
{
    struct tls_session_list *lists[] = {&worker->deadlines, &worker->overtime};
    for (int i = 0; i < 2; i++)
        for (struct tls_session *first;
             (first = TAILQ_FIRST(lists[i])) != NULL && first->look_us <= worker->now_us;)
            look(first);
}
