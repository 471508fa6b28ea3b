/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/metrics.h"

#include <pthread.h>
#include <rte_telemetry.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct worker_stats latest[WORKERS_MAX];
static uint32_t workers_seen;
static struct metrics_policy latest_policy;
static struct metrics_candidate latest_candidate;
static struct metrics_learn latest_learn;

#define COUNTER_ID(name, id) id,
static const char *const relay_ids[RELAY_COUNTER_COUNT] = {RELAY_COUNTER_TABLE(COUNTER_ID)};
static const char *const coap_ids[COAP_COUNTER_COUNT] = {COAP_COUNTER_TABLE(COUNTER_ID)};
#undef COUNTER_ID

typedef void each_fn(void *owner, const char *name, uint64_t value);

/* One group of counters, given where it lies in worker_stats, summed over workers. */
struct group {
    const char *prefix;
    size_t offset;
    uint32_t n;
    const char *(*id)(uint32_t index);
};

static const char *tcp_id(uint32_t i)
{
    return tcp_counter_id((enum tcp_counter)i);
}

static const char *tls_id(uint32_t i)
{
    return tls_counter_id((enum tls_counter)i);
}

static const char *relay_id(uint32_t i)
{
    return relay_ids[i];
}

static const char *dtls_id(uint32_t i)
{
    return dtls_server_counter_id((enum dtls_server_counter)i);
}

static const char *coap_id(uint32_t i)
{
    return coap_ids[i];
}

static const char *auth_id(uint32_t i)
{
    static const char *const ids[] = {"remembered", "computed", "refused", "busy"};
    return ids[i];
}

static const char *outcome_name(uint32_t i)
{
    return outcome_id((enum outcome)i);
}

static const char *frame_name(uint32_t i)
{
    return frame_outcome_id((enum frame_outcome)i);
}

static const struct group groups[] = {
    {"tcp", offsetof(struct worker_stats, tcp), TCP_COUNTER_COUNT, tcp_id},
    {"tls", offsetof(struct worker_stats, tls), TLS_COUNTER_COUNT, tls_id},
    {"mqtt", offsetof(struct worker_stats, relays.count), RELAY_COUNTER_COUNT, relay_id},
    {"up", offsetof(struct worker_stats, relays.from_device), OUTCOME_COUNT, outcome_name},
    {"down", offsetof(struct worker_stats, relays.from_upstream), OUTCOME_COUNT, outcome_name},
    {"coap", offsetof(struct worker_stats, coap.count), COAP_COUNTER_COUNT, coap_id},
    {"dtls-clients", offsetof(struct worker_stats, coap.secure), DTLS_SERVER_COUNTER_COUNT, dtls_id},
    {"coap-request", offsetof(struct worker_stats, coap.requests), OUTCOME_COUNT, outcome_name},
    {"coap-response", offsetof(struct worker_stats, coap.responses), OUTCOME_COUNT, outcome_name},
    {"auth", offsetof(struct worker_stats, auth), sizeof(struct authenticator_counters) / sizeof(uint64_t),
     auth_id},
    {"refused", offsetof(struct worker_stats, connections_refused), OUTCOME_COUNT, outcome_name},
    {"frame", offsetof(struct worker_stats, net.frames), FRAME_OUTCOME_COUNT, frame_name},
};

static uint64_t sum_u64(size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t w = 0; w < workers_seen; w++) {
        uint64_t value;
        memcpy(&value, (const uint8_t *)&latest[w] + offset, sizeof(value));
        sum += value;
    }
    return sum;
}

static void each_of_policy(each_fn *each, void *owner)
{
    const struct metrics_policy *p = &latest_policy;
    each(owner, "policy.revision", p->revision);
    each(owner, "policy.last-reload-successful", p->last_reload_successful);
    each(owner, "policy.last-reload-success-timestamp-seconds", p->last_reload_success_timestamp_seconds);
    each(owner, "policy.unconfirmed", p->unconfirmed);
    each(owner, "policy.from-files", p->from_files);
    each(owner, "reload.good", p->reloads_good);
    each(owner, "reload.refused", p->reloads_refused);
    each(owner, "reload.returned", p->reloads_returned);
}

static void each_of_candidate(each_fn *each, void *owner)
{
    const struct metrics_candidate *c = &latest_candidate;
    char name[96];
    each(owner, "candidate.loaded", c->loaded);
    if (c->loaded == 0)
        return;
    each(owner, "candidate.judged", c->judged);
    each(owner, "candidate.differ", c->differ);
    for (uint32_t i = 0; i < c->differences_n; i++) {
        const struct metrics_difference *d = &c->differences[i];
        snprintf(name, sizeof(name), "candidate.differences.%s.%s-%s", d->role, d->from, d->to);
        each(owner, name, d->n);
    }
}

static void each_of_learn(each_fn *each, void *owner)
{
    if (latest_learn.kept + latest_learn.not_kept + latest_learn.refused == 0)
        return;
    each(owner, "learn.kept", latest_learn.kept);
    each(owner, "learn.not-kept", latest_learn.not_kept);
    each(owner, "learn.files-refused", latest_learn.refused);
}

/* What was asked of OCSP responders. */
static void each_of_status(each_fn *each, void *owner)
{
    char name[64];
    for (int i = 0; ocsp_asker_shared() != NULL && i < OCSP_COUNTER_COUNT; i++) {
        uint64_t value = ocsp_asker_counter(ocsp_asker_shared(), (enum ocsp_counter)i);
        snprintf(name, sizeof(name), "ocsp.%s", ocsp_counter_id((enum ocsp_counter)i));
        if (value != 0)
            each(owner, name, value);
    }
}

/* Of all requests that the CoAP cache was asked for: what it answered alone, in per cent. */
static void each_ratio(each_fn *each, void *owner)
{
    uint64_t hits = sum_u64(offsetof(struct worker_stats, coap.count[COAP_COUNT_CACHE_HITS]));
    uint64_t misses = sum_u64(offsetof(struct worker_stats, coap.count[COAP_COUNT_CACHE_MISSES]));
    if (hits + misses != 0)
        each(owner, "coap.cache-hit-percent", 100 * hits / (hits + misses));
}

static void each_locked(each_fn *each, void *owner)
{
    static const struct {
        const char *name;
        size_t offset;
    } singles[] = {
        {"worker.loops", offsetof(struct worker_stats, loops)},
        {"worker.busy-cycles", offsetof(struct worker_stats, busy_tsc)},
        {"worker.total-cycles", offsetof(struct worker_stats, total_tsc)},
        {"tcp.foreign-vlan", offsetof(struct worker_stats, foreign_vlan)},
        {"worker.steered", offsetof(struct worker_stats, steered)},
        {"tcp.bad-headers", offsetof(struct worker_stats, bad_tcp_headers)},
        {"events.dropped", offsetof(struct worker_stats, events_dropped)},
        {"net.arp-answered", offsetof(struct worker_stats, net.arp_answered)},
        {"net.neighbor-answered", offsetof(struct worker_stats, net.neighbor_answered)},
        {"net.echo-answered", offsetof(struct worker_stats, net.echo_answered)},
        {"net.reassembled", offsetof(struct worker_stats, net.reassembled)},
    };
    char name[64];
    uint64_t sessions = 0, connections = 0, tls = 0, waiting = 0, dials = 0;
    for (uint32_t w = 0; w < workers_seen; w++) {
        sessions += latest[w].sessions;
        connections += latest[w].connections;
        tls += latest[w].tls_sessions;
        waiting += latest[w].tls_waiting;
        dials += latest[w].dials_waiting;
    }
    each_ratio(each, owner);
    each_of_policy(each, owner);
    each_of_candidate(each, owner);
    each_of_learn(each, owner);
    each_of_status(each, owner);
    each(owner, "sessions", sessions);
    each(owner, "tcp.connections", connections);
    each(owner, "tls.sessions", tls);
    each(owner, "tls.handshakes-waiting", waiting);
    each(owner, "mqtt.dials-waiting", dials);
    for (size_t i = 0; i < RTE_DIM(singles); i++)
        each(owner, singles[i].name, sum_u64(singles[i].offset));
    for (size_t g = 0; g < RTE_DIM(groups); g++)
        for (uint32_t i = 0; i < groups[g].n; i++) {
            uint64_t value = sum_u64(groups[g].offset + i * sizeof(uint64_t));
            if (value == 0)
                continue;
            snprintf(name, sizeof(name), "%s.%s", groups[g].prefix, groups[g].id(i));
            each(owner, name, value);
        }
}

void metrics_each(void (*each)(void *owner, const char *name, uint64_t value), void *owner)
{
    pthread_mutex_lock(&lock);
    each_locked(each, owner);
    pthread_mutex_unlock(&lock);
}

void metrics_groups(void (*each)(void *owner, const char *group, const char *id, uint64_t value), void *owner)
{
    pthread_mutex_lock(&lock);
    for (size_t g = 0; g < RTE_DIM(groups); g++)
        for (uint32_t i = 0; i < groups[g].n; i++)
            each(owner, groups[g].prefix, groups[g].id(i), sum_u64(groups[g].offset + i * sizeof(uint64_t)));
    pthread_mutex_unlock(&lock);
}

bool metrics_worker(uint32_t worker, struct worker_stats *out)
{
    pthread_mutex_lock(&lock);
    bool known = worker < workers_seen;
    if (known)
        *out = latest[worker];
    pthread_mutex_unlock(&lock);
    return known;
}

void metrics_candidate(struct metrics_candidate *out)
{
    pthread_mutex_lock(&lock);
    *out = latest_candidate;
    pthread_mutex_unlock(&lock);
}

void metrics_policy_update(const struct metrics_policy *policy)
{
    pthread_mutex_lock(&lock);
    latest_policy = *policy;
    pthread_mutex_unlock(&lock);
}

void metrics_learn_update(const struct metrics_learn *learn)
{
    pthread_mutex_lock(&lock);
    latest_learn = *learn;
    pthread_mutex_unlock(&lock);
}

void metrics_candidate_update(const struct metrics_candidate *candidate)
{
    pthread_mutex_lock(&lock);
    latest_candidate = *candidate;
    pthread_mutex_unlock(&lock);
}

void metrics_update(uint32_t worker, const struct worker_stats *stats)
{
    pthread_mutex_lock(&lock);
    latest[worker] = *stats;
    if (worker >= workers_seen)
        workers_seen = worker + 1;
    pthread_mutex_unlock(&lock);
}

/* ---- telemetry
 * ------------------------------------------------------------------------------------------------ */

static void add_counter(void *owner, const char *name, uint64_t value)
{
    /* Names of telemetry objects may hold letters, digits, '_' and '/'. */
    char clean[64];
    size_t n = 0;
    for (; name[n] != '\0' && n < sizeof(clean) - 1; n++)
        clean[n] = name[n] == '.' || name[n] == '-' ? '_' : name[n];
    clean[n] = '\0';
    rte_tel_data_add_dict_u64(owner, clean, value);
}

static int answer_counters(const char *command, const char *parameters, struct rte_tel_data *data)
{
    (void)command;
    (void)parameters;
    rte_tel_data_start_dict(data);
    metrics_each(add_counter, data);
    return 0;
}

static int answer_worker(const char *command, const char *parameters, struct rte_tel_data *data)
{
    (void)command;
    char *end = NULL;
    unsigned long index = parameters == NULL ? 0 : strtoul(parameters, &end, 10);
    if (parameters != NULL && *end != '\0')
        return -1;
    pthread_mutex_lock(&lock);
    bool known = index < workers_seen;
    if (known) {
        const struct worker_stats *stats = &latest[index];
        rte_tel_data_start_dict(data);
        rte_tel_data_add_dict_u64(data, "loops", stats->loops);
        rte_tel_data_add_dict_u64(data, "busy_cycles", stats->busy_tsc);
        rte_tel_data_add_dict_u64(data, "total_cycles", stats->total_tsc);
        rte_tel_data_add_dict_u64(data, "sessions", stats->sessions);
        rte_tel_data_add_dict_u64(data, "connections", stats->connections);
        rte_tel_data_add_dict_u64(data, "tls_sessions", stats->tls_sessions);
        rte_tel_data_add_dict_u64(data, "chunks_free", stats->chunks_free);
        rte_tel_data_add_dict_u64(data, "generation", stats->generation);
    }
    pthread_mutex_unlock(&lock);
    return known ? 0 : -1;
}

void metrics_register(void)
{
    rte_telemetry_register_cmd("/sallyport/counters", answer_counters,
                               "Counters of all workers. No parameters");
    rte_telemetry_register_cmd("/sallyport/worker", answer_worker,
                               "State of one worker. Parameter: its number");
}
