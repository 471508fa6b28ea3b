/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/candidates.h"

#include "gateway/errand.h"
#include "gateway/metrics.h"
#include "gateway/reload.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- coming and going ---------------------------------------------------------------------------------- */

static void destroy(void *of)
{
    candidate_destroy(of);
}

void candidates_retire(struct gateway *gateway, bool wait)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < gateway->old_candidates_n; i++) {
        struct gateway_old_candidate *old = &gateway->old_candidates[i];
        if (rte_rcu_qsbr_check(gateway->shared.rcu, old->token, wait) == 1)
            errand_run(destroy, old->candidate, wait ? NULL : gateway_drain_events, gateway);
        else
            gateway->old_candidates[kept++] = *old;
    }
    gateway->old_candidates_n = kept;
}

static void publish(struct gateway *gateway, struct candidate *next)
{
    struct candidate *old = gateway->candidate;
    gateway->candidate = next;
    atomic_store_explicit(&gateway->shared.candidate, next, memory_order_release);
    if (old == NULL)
        return;
    candidates_retire(gateway, gateway->old_candidates_n == GATEWAY_RETIRED_MAX);
    struct gateway_old_candidate *place = &gateway->old_candidates[gateway->old_candidates_n++];
    place->candidate = old;
    place->token = rte_rcu_qsbr_start(gateway->shared.rcu);
}

bool candidates_drop(struct gateway *gateway)
{
    if (gateway->candidate == NULL)
        return false;
    publish(gateway, NULL);
    return true;
}

/* ---- loading ------------------------------------------------------------------------------------------- */

/* policy.d beside FILE; the caller frees it. */
static char *beside(const char *file)
{
    const char *slash = strrchr(file, '/');
    char *path = NULL;
    size_t n;
    FILE *to = open_memstream(&path, &n);
    if (to == NULL)
        return NULL;
    fprintf(to, "%.*s/policy.d", slash == NULL ? 1 : (int)(slash - file), slash == NULL ? "." : file);
    fclose(to);
    return path;
}

/* Whether a file is a whole configuration: it has listeners. */
static bool is_whole(const char *file)
{
    struct diagnostics *d = diagnostics_create();
    struct gateway_config *config = d == NULL ? NULL : gateway_config_read(file, d);
    bool whole = config != NULL && config->listeners_n != 0;
    gateway_config_destroy(config);
    diagnostics_destroy(d);
    return whole;
}

/* Where it is read from. False told. */
static bool find(const struct gateway *gateway, const char *path, char **file, char **policy, FILE *report)
{
    struct stat status;
    const char *own = gateway->options->config_file;
    *file = *policy = NULL;
    if (path == NULL) {
        *file = strdup(own);
        *policy = strdup(gateway->options->policy_directory);
    } else if (stat(path, &status) != 0) {
        fprintf(report, "%s: error: %m\n", path);
        return false;
    } else if (!S_ISDIR(status.st_mode) && is_whole(path)) {
        *file = strdup(path);
        *policy = beside(path);
    } else if (gateway_config_holds_policy(gateway->generation->config)) {
        fprintf(report, "%s: error: the policy in force is within %s; give a whole configuration\n", path,
                own);
        return false;
    } else {
        *file = strdup(own);
        *policy = strdup(path);
    }
    if (*file != NULL && *policy != NULL)
        return true;
    fprintf(report, "out of memory\n");
    return false;
}

/* An errand. */
struct compiling {
    const struct gateway *gateway;
    const char *file, *policy;
    struct diagnostics *d;
    struct generation *next; /* NULL: refused */
};

static void compile_it(void *of)
{
    struct compiling *c = of;
    struct config_text text = {.at = NULL};
    const struct policy_wishes wishes = {.style = CONFIG_PRINT_KEPT, .text = &text}; /* for its digest */
    c->next = generation_load_with(c->file, c->policy, c->gateway->next_number, c->gateway->generation, c->d,
                                   &wishes);
    if (c->next != NULL)
        config_text_fini(&text);
}

static struct generation *compile(struct gateway *gateway, const char *file, const char *policy, FILE *report)
{
    struct compiling c = {.gateway = gateway, .file = file, .policy = policy, .d = diagnostics_create()};
    if (c.d == NULL)
        return NULL;
    errand_run(compile_it, &c, gateway_drain_events, gateway);
    reload_print(c.d, gateway->generation->number, report);
    diagnostics_destroy(c.d);
    return c.next;
}

static void describe(const struct gateway *gateway, const struct candidate *candidate, FILE *report)
{
    char changes[256];
    struct snapshot_changes count;
    const struct generation *next = candidate->next;
    if (!snapshot_compare(gateway->generation->policy, next->policy, &count))
        snprintf(changes, sizeof(changes), "changes not counted (no memory)");
    else
        reload_changes(&count, changes, sizeof(changes));
    fprintf(report, "candidate %s beside rev %u %s: %s  (%u roles, %u rules, %u devices)  tests %u/%u\n",
            snapshot_fingerprint(next->policy), gateway->generation->number,
            snapshot_fingerprint(gateway->generation->policy), changes, next->summary.roles,
            next->summary.rules, next->summary.devices, next->summary.tests_passed, next->summary.tests);
}

bool candidates_load(struct gateway *gateway, const char *path, uint32_t sample, const char *user,
                     FILE *report)
{
    char *file, *policy;
    struct generation *next = NULL;
    struct candidate *candidate = NULL;
    if (find(gateway, path, &file, &policy, report))
        next = compile(gateway, file, policy, report);
    if (next != NULL) {
        candidate =
            candidate_create(next, gateway->workers_n, gateway->generation->config->connections, sample);
        if (candidate == NULL)
            fprintf(report, "out of memory\n");
    }
    if (candidate == NULL) {
        generation_destroy(next);
        free(file);
        free(policy);
        return false;
    }
    candidate->number = ++gateway->candidates;
    candidate->since_us = gateway_wall_us();
    candidate->file = file;
    candidate->policy = policy;
    candidate->files = path == NULL;
    snprintf(candidate->user, sizeof(candidate->user), "%s", user);
    describe(gateway, candidate, report);
    publish(gateway, candidate);
    return true;
}

/* ---- what the workers have seen ------------------------------------------------------------------------ */

static void add_counts(struct candidate_counts *sum, const struct candidate_counts *one)
{
    sum->judged += one->judged;
    sum->differ += one->differ;
    sum->passed_over += one->passed_over;
    sum->undecided += one->undecided;
    sum->not_sampled += one->not_sampled;
    sum->left_out += one->left_out;
    sum->displaced += one->displaced;
    sum->clients_left += one->clients_left;
    if (one->halved > sum->halved)
        sum->halved = one->halved;
}

static void add_row(struct candidates_sum *sum, const struct candidate_row *row)
{
    for (uint32_t i = 0; i < sum->rows_n; i++) {
        struct candidate_row *known = &sum->rows[i];
        if (!candidate_same(known, row))
            continue;
        known->count += row->count;
        for (uint32_t k = 0; k < CANDIDATE_CLIENT_WORDS; k++)
            known->clients[k] |= row->clients[k];
        return;
    }
    if (sum->rows_n == CANDIDATES_ROWS_MAX)
        sum->counts.left_out += row->count;
    else
        sum->rows[sum->rows_n++] = *row;
}

static void add_client(struct candidates_sum *sum, const struct candidate_client *client)
{
    for (uint32_t i = 0; i < sum->clients_n; i++)
        if (sum->clients[i].hash == client->hash) {
            sum->clients[i].count += client->count;
            return;
        }
    if (sum->clients_n == CANDIDATES_CLIENTS_MAX)
        sum->counts.clients_left += client->count;
    else
        sum->clients[sum->clients_n++] = *client;
}

/* False when the worker does not answer. */
static bool add_worker(struct gateway *gateway, uint32_t worker, struct candidates_sum *sum)
{
    /* Static: a worker that answers late still finds them. */
    static struct worker_request requests[WORKERS_MAX];
    static struct worker_report reports[WORKERS_MAX];
    struct worker_request *request = &requests[worker];
    struct worker_report *report = &reports[worker];
    bool first = true;
    if (!worker_listens(gateway->workers[worker]))
        return false;
    report->row_position = report->client_position = 0;
    do {
        request->kind = WORKER_CANDIDATE;
        request->report = report;
        if (!worker_ask(gateway->workers[worker], request))
            return false;
        if (report->candidate != gateway->candidate->number || report->against != gateway->generation->number)
            return true; /* it has seen nothing of this pair yet */
        if (first)
            add_counts(&sum->counts, &report->counts);
        first = false;
        for (uint32_t i = 0; i < report->rows_n; i++)
            add_row(sum, &report->rows[i]);
        for (uint32_t i = 0; i < report->clients_n; i++)
            add_client(sum, &report->clients[i]);
    } while (report->row_position < CANDIDATE_ROWS || report->client_position < CANDIDATE_CLIENTS);
    return true;
}

static int more_rows(const void *a, const void *b)
{
    uint64_t left = ((const struct candidate_row *)a)->count,
             right = ((const struct candidate_row *)b)->count;
    return (left < right) - (left > right);
}

static int more_clients(const void *a, const void *b)
{
    uint64_t left = ((const struct candidate_client *)a)->count,
             right = ((const struct candidate_client *)b)->count;
    return (left < right) - (left > right);
}

const struct candidates_sum *candidates_collect(struct gateway *gateway)
{
    static struct candidates_sum sum;
    if (gateway->candidate == NULL)
        return NULL;
    memset(&sum, 0, sizeof(sum));
    for (uint32_t i = 0; i < gateway->workers_n; i++)
        sum.silent += !add_worker(gateway, i, &sum);
    qsort(sum.rows, sum.rows_n, sizeof(sum.rows[0]), more_rows);
    qsort(sum.clients, sum.clients_n, sizeof(sum.clients[0]), more_clients);
    return &sum;
}

/* The place of a role's differences between two states, a new one if need be and below `room`, or NULL. */
static struct metrics_difference *metric_of(struct metrics_candidate *m, uint32_t room, const char *role,
                                            const struct candidate_row *row)
{
    const char *from = candidate_state_text(row->live.state), *to = candidate_state_text(row->next.state);
    for (uint32_t i = 0; i < m->differences_n; i++) {
        struct metrics_difference *d = &m->differences[i];
        if (strcmp(d->role, role) == 0 && d->from == from && d->to == to)
            return d;
    }
    if (m->differences_n >= room)
        return NULL;
    struct metrics_difference *d = &m->differences[m->differences_n++];
    snprintf(d->role, sizeof(d->role), "%s", role);
    d->from = from;
    d->to = to;
    return d;
}

static void add_metric(struct metrics_candidate *m, const char *role, const struct candidate_row *row)
{
    /* Of each pair of states that differ one place is kept for the roles that find none. */
    const uint32_t others = CANDIDATE_STATES * (CANDIDATE_STATES - 1);
    struct metrics_difference *d = metric_of(m, METRICS_DIFFERENCES - others, role, row);
    if (d == NULL)
        d = metric_of(m, METRICS_DIFFERENCES, METRICS_OTHERS, row);
    if (d != NULL)
        d->n += row->count;
}

void candidates_metrics(struct gateway *gateway)
{
    static struct metrics_candidate m;
    const struct candidates_sum *sum = candidates_collect(gateway);
    memset(&m, 0, sizeof(m));
    if (sum != NULL) {
        m.loaded = 1;
        m.judged = sum->counts.judged;
        m.differ = sum->counts.differ;
        m.passed_over = sum->counts.passed_over;
        m.undecided = sum->counts.undecided;
        m.not_sampled = sum->counts.not_sampled;
        m.left_out = sum->counts.left_out;
        for (uint32_t i = 0; i < sum->rows_n; i++)
            add_metric(&m,
                       sum->rows[i].live.role == CANDIDATE_ROLE_NONE
                           ? "none"
                           : snapshot_role(gateway->generation->policy, sum->rows[i].live.role)->name,
                       &sum->rows[i]);
    }
    metrics_candidate_update(&m);
}
