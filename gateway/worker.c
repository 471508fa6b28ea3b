/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/worker_private.h"

#include <sys/prctl.h>
#include <unistd.h>

#define TIMER_BUDGET 512
#define SWEEP_BUDGET 64
#define FORESEE_BUDGET 16
#define FACTS_BUDGET 128
#define STACK_ADVANCE_US 10000
#define WALL_US 1000000
#define SPIN_US 100
#define RECHECK_US 250000 /* so that a row of bad answers does not make a row of sweeps */

static void take_quarantine(struct worker *w)
{
    w->quarantine = atomic_load_explicit(&w->shared->quarantine, memory_order_acquire);
}

static void take_candidate(struct worker *w)
{
    struct candidate *current = atomic_load_explicit(&w->shared->candidate, memory_order_acquire);
    uint64_t number = current == NULL ? 0 : current->number;
    if (__builtin_expect(current == w->candidate && number == w->candidate_number, true))
        return;
    w->candidate = current;
    w->candidate_number = number;
    struct candidate_worker *own =
        current == NULL || w->index >= current->workers_n ? NULL : current->worker[w->index];
    const struct candidate_place place = {.generation = &w->generation,
                                          .now_us = &w->now_us,
                                          .wall_offset_us = &w->clock.wall_at_base_us,
                                          .events = w->events};
    if (own != NULL)
        candidate_take(own, &place);
    judged_set(&w->judged, JUDGED_BY_CANDIDATE, own == NULL ? NULL : candidate_see, own);
}

/* ---- questions of the control thread ------------------------------------------------- */

static void fill_stats(struct worker *w, struct worker_stats *out)
{
    *out = w->stats;
    out->total_tsc = rte_rdtsc() - w->started_tsc;
    out->sessions = mqtt_relays_sessions(w->relays);
    out->connections = tcp_connections(w->tcp);
    out->tls_sessions = tls_worker_sessions(w->tls);
    out->dials_waiting = mqtt_relays_dials_waiting(w->relays);
    out->tls_waiting = tls_worker_waiting(w->tls);
    out->chunks = chunk_pool_capacity(w->chunks);
    out->chunks_free = chunk_pool_free(w->chunks);
    out->generation = w->generation->number;
    out->sweeping = w->sweeping_mqtt || w->sweeping_coap;
    out->events_dropped = event_ring_dropped(w->events);
    for (int i = 0; i < TCP_COUNTER_COUNT; i++)
        out->tcp[i] = tcp_counter(w->tcp, (enum tcp_counter)i);
    for (int i = 0; i < TLS_COUNTER_COUNT; i++)
        out->tls[i] = tls_worker_counter(w->tls, (enum tls_counter)i);
    out->relays = *mqtt_relays_counters(w->relays);
    if (w->authenticator != NULL)
        out->auth = *authenticator_counters(w->authenticator);
    out->net = *ip_stack_counters(w->stack);
    out->coap = *coap_relays_counters(w->coap);
    out->coap_clients = coap_relays_clients(w->coap);
    out->coap_legs = coap_relays_legs(w->coap);
    out->coap_exchanges = coap_relays_exchanges(w->coap);
    const struct gateway_config *config = w->generation->config;
    for (uint32_t u = 0; u < config->upstreams_n; u++)
        for (uint32_t s = 0; s < config->upstreams[u].servers_n; s++) {
            out->upstream_up[u][s] = upstream_up(&w->upstreams, u, (uint8_t)s, w->now_us);
            if (w->checks != NULL)
                health_checks_report(w->checks, u, (uint8_t)s, &out->health[u][s]);
        }
    out->now_us = w->now_us;
}

/* Sessions, then CoAP endpoints, some at a time. True when all were seen. */
static bool kick(struct worker *w, struct worker_request *request)
{
    take_quarantine(w);
    if (!request->kicked_mqtt) {
        if (!mqtt_relays_kick(w->relays, &request->kick, SWEEP_BUDGET))
            return false;
        request->kicked_mqtt = true;
        request->kick.position = 0;
    }
    if (!coap_relays_kick(w->coap, &request->kick, SWEEP_BUDGET))
        return false;
    request->n = request->kick.n;
    return true;
}

static void report_candidate(const struct worker *w, struct worker_report *to)
{
    const struct candidate *candidate = w->candidate;
    to->candidate = 0;
    to->rows_n = to->clients_n = 0;
    if (candidate == NULL || w->index >= candidate->workers_n)
        return;
    const struct candidate_worker *own = candidate->worker[w->index];
    to->candidate = candidate->number;
    to->against = candidate_against(own);
    to->counts = *candidate_counts(own);
    to->rows_n = candidate_rows(own, &to->row_position, to->rows, WORKER_REPORT_ROOM);
    to->clients_n = candidate_clients(own, &to->client_position, to->clients, WORKER_REPORT_ROOM);
}

static void change_learning(struct worker *w, struct learn_change *change)
{
    change->learn->generation = &w->generation;
    change->learn->now_us = &w->now_us;
    change->learn->wall_offset_us = &w->clock.wall_at_base_us;
    learn_worker_change(change, &w->judged);
}

static bool answer_mailbox(struct worker *w)
{
    struct worker_request *request = atomic_load_explicit(&w->mailbox, memory_order_acquire);
    if (request == NULL)
        return false;
    switch (request->kind) {
    case WORKER_STATS:
        fill_stats(w, request->stats);
        break;
    case WORKER_SESSIONS:
        request->n = 0;
        while (request->n < request->room &&
               mqtt_relays_next(w->relays, &request->position, &request->sessions[request->n]))
            request->n++;
        request->more = request->n == request->room;
        break;
    case WORKER_KICK:
        if (!kick(w, request))
            return true; /* more of it in the next iteration */
        w->sweeping_coap =
            true; /* DTLS sessions that have said nothing for so long that no client is kept for them */
        break;
    case WORKER_CANDIDATE:
        report_candidate(w, request->report);
        break;
    case WORKER_FACTS:
        if (request->coap
                ? !coap_relays_facts(w->coap, request->name, &request->position, FACTS_BUDGET, request->facts)
                : !mqtt_relays_facts(w->relays, request->name, &request->position, FACTS_BUDGET,
                                     request->facts))
            return true; /* more of it in the next iteration */
        break;
    case WORKER_FORESEE:
        request->more = !mqtt_relays_foresee(w->relays, request->next, &request->position, FORESEE_BUDGET,
                                             &request->foresight);
        break;
    case WORKER_LEARN:
        change_learning(w, &request->learn);
        break;
    case WORKER_LEARN_COPY:
        if (!learn_worker_copy(request->learn.learn, request->learn.place, request->evidence,
                               &request->copied))
            return true; /* more of it in the next iteration */
        break;
    case WORKER_DRAIN:
        w->draining = true;
        request->drained = mqtt_relays_drain(w->relays, request->why, SWEEP_BUDGET * 16);
        break;
    }
    /* In this order: who sees an empty mailbox may use the request again. */
    atomic_store_explicit(&request->done, true, memory_order_release);
    atomic_store_explicit(&w->mailbox, NULL, memory_order_release);
    return true;
}

bool worker_post(struct worker *w, struct worker_request *request)
{
    if (atomic_load_explicit(&w->mailbox, memory_order_acquire) != NULL)
        return false; /* an earlier question is still unanswered: the worker does not move */
    atomic_store_explicit(&request->done, false, memory_order_relaxed);
    atomic_store_explicit(&w->mailbox, request, memory_order_release);
    return true;
}

bool worker_listens(const struct worker *w)
{
    return atomic_load_explicit(&w->mailbox, memory_order_acquire) == NULL;
}

bool worker_ask(struct worker *w, struct worker_request *request)
{
    if (!worker_post(w, request))
        return false;
    for (int i = 0; i < 10000; i++) {
        if (worker_listens(w))
            return true;
        usleep(100);
    }
    return false;
}

/* ---- the loop ------------------------------------------------------------------------ */

/*
 * By pointer and number. Between two iterations a worker holds nothing: while it sleeps there, the generation
 * that it had last can be replaced, freed, and replaced once more by one that lies at the same address.
 */
void worker_take_generation(struct worker *w)
{
    const struct generation *current = atomic_load_explicit(&w->shared->generation, memory_order_acquire);
    if (current == w->generation && current->number == w->generation_number)
        return;
    w->generation = current;
    w->generation_number = current->number;
    listener_table_build(&w->listeners, current->config);
    upstream_set_update(&w->upstreams, current->config);
    if (w->checks != NULL)
        health_checks_update(w->checks, current->config);
    w->sweeping_mqtt = true;
    w->sweeping_coap = true;
}

/* A responder has said something by which a session may have to go (B4). */
static uint32_t recheck(struct worker *w)
{
    if (w->shared->asker == NULL)
        return 0;
    uint32_t alarms = ocsp_asker_alarms(w->shared->asker);
    if (!w->rechecking && (alarms == w->alarms || w->now_us < w->recheck_due_us))
        return 0;
    if (!w->rechecking) {
        w->alarms = alarms;
        w->recheck_due_us = w->now_us + RECHECK_US;
        w->sweeping_coap = true; /* which looks at both sides of CoAP over DTLS */
    }
    w->rechecking = !mqtt_relays_recheck(w->relays, SWEEP_BUDGET);
    return 1;
}

bool worker_iterate(struct worker *w, uint64_t tsc)
{
    w->now_us = loop_clock_us(&w->clock, tsc);
    worker_take_generation(w);
    take_quarantine(w);
    take_candidate(w);
    uint32_t work = worker_receive(w);
    tls_worker_poll(w->tls, w->now_us);
    coap_relays_poll(w->coap);
    work += mqtt_relays_poll(w->relays);
    work += timer_wheel_advance(w->timers, w->now_us, TIMER_BUDGET);
    work += worker_take_news(w);
    if (w->now_us >= w->stack_due_us) {
        ip_stack_advance(w->stack, w->now_us);
        w->stack_due_us = w->now_us + STACK_ADVANCE_US;
    }
    if (w->now_us >= w->wall_due_us) {
        loop_clock_follow(&w->clock, w->now_us);
        w->wall_due_us = w->now_us + WALL_US;
    }
    if (w->sweeping_mqtt || w->sweeping_coap) {
        w->sweeping_mqtt = w->sweeping_mqtt && !mqtt_relays_sweep(w->relays, SWEEP_BUDGET);
        w->sweeping_coap = w->sweeping_coap && !coap_relays_sweep(w->coap, SWEEP_BUDGET);
        work++;
    }
    work += recheck(w);
    if (answer_mailbox(w))
        work++;
    mqtt_relays_flush(w->relays);
    coap_relays_flush(w->coap);
    tcp_flush(w->tcp, w->now_us);
    ip_stack_flush(w->stack);
    rte_rcu_qsbr_quiescent(w->shared->rcu, w->index);
    w->stats.loops++;
    if (work == 0)
        return false;
    w->last_work_us = w->now_us;
    w->stats.busy_tsc += rte_rdtsc() - tsc;
    return true;
}

/* Nothing to do: longer and longer, but never past the next timer and never above 1 ms, so that a first
 * packet is not kept waiting. */
static void back_off(struct worker *w)
{
    uint64_t idle_us = w->now_us - w->last_work_us;
    if (!w->shared->idle_adaptive || idle_us < SPIN_US) {
        rte_pause();
        return;
    }
    uint64_t sleep_us = idle_us < 2000 ? 50 : idle_us < 100000 ? 250 : 1000;
    uint64_t next_us = timer_wheel_next_us(w->timers);
    if (next_us <= w->now_us)
        return;
    if (next_us - w->now_us < sleep_us)
        sleep_us = next_us - w->now_us;
    struct timespec pause = {.tv_nsec = (long)(sleep_us * 1000)};
    nanosleep(&pause, NULL);
}

int worker_run(void *owner)
{
    struct worker *w = owner;
    prctl(PR_SET_TIMERSLACK, 1000UL);
    rte_rcu_qsbr_thread_register(w->shared->rcu, w->index);
    rte_rcu_qsbr_thread_online(w->shared->rcu, w->index);
    ip_stack_announce(w->stack, w->now_us);
    while (!atomic_load_explicit(&w->shared->stop, memory_order_relaxed))
        if (!worker_iterate(w, rte_rdtsc()))
            back_off(w);
    rte_rcu_qsbr_thread_offline(w->shared->rcu, w->index);
    rte_rcu_qsbr_thread_unregister(w->shared->rcu, w->index);
    atomic_store_explicit(&w->ended, true, memory_order_release);
    return 0;
}

bool worker_ended(const struct worker *w)
{
    return atomic_load_explicit(&w->ended, memory_order_acquire);
}

struct event_ring *worker_events(struct worker *w)
{
    return w->events;
}
