/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/reload.h"

#include <string.h>
#include <unistd.h>

void reload_print(const struct diagnostics *d, uint32_t running, FILE *to)
{
    char line[1024];
    for (size_t i = 0; i < diagnostics_count(d); i++) {
        diagnostic_format(diagnostics_at(d, i), line, sizeof(line));
        fprintf(to, "%s\n", line);
    }
    uint32_t errors = diagnostics_errors(d);
    uint32_t warnings = diagnostics_warnings(d);
    if (errors == 0) {
        if (warnings > 0)
            fprintf(to, "accepted: %u warning%s\n", warnings, warnings == 1 ? "" : "s");
        return;
    }
    fprintf(to, "refused: %u error%s, %u warning%s", errors, errors == 1 ? "" : "s", warnings,
            warnings == 1 ? "" : "s");
    if (running != 0)
        fprintf(to, "; rev %u stays in force", running);
    fprintf(to, "\n");
}

/* The first error, for the event and the journal. */
static void first_error(const struct diagnostics *d, char *to, size_t room)
{
    snprintf(to, room, "refused");
    for (size_t i = 0; i < diagnostics_count(d); i++)
        if (diagnostics_at(d, i)->level == DIAGNOSTIC_ERROR) {
            diagnostic_format(diagnostics_at(d, i), to, room);
            return;
        }
}

static void refused(struct gateway *gateway, const char *user, const struct diagnostics *d, FILE *report)
{
    char text[512];
    first_error(d, text, sizeof(text));
    reload_print(d, gateway->generation->number, report);
    gateway->reloads_refused++;
    gateway->last_reload_good = false;
    gateway_event(gateway, EVENT_POLICY_REFUSED, OUTCOME_UNDECIDED, user, text);
    gateway_say(gateway, 0, "reload refused, rev %u stays in force: %s", gateway->generation->number, text);
}

static void publish(struct gateway *gateway, struct generation *next)
{
    struct generation *old = gateway->generation;
    gateway->generation = next;
    atomic_store_explicit(&gateway->shared.generation, next, memory_order_release);
    struct gateway_retired *place = &gateway->retired[gateway->retired_n++];
    place->generation = old;
    place->token = rte_rcu_qsbr_start(gateway->shared.rcu);
}

bool reload_run(struct gateway *gateway, const char *user, FILE *report)
{
    /* Workers pass a quiescent point every millisecond; this many waiting generations means that one does not
     * move. */
    reload_retire(gateway, gateway->retired_n == GATEWAY_RETIRED_MAX);
    struct diagnostics *d = diagnostics_create();
    if (d == NULL) {
        fprintf(report, "out of memory; rev %u stays in force\n", gateway->generation->number);
        return false;
    }
    const struct generation *old = gateway->generation;
    struct generation *next = generation_load(
        gateway->options->config_file, gateway->options->policy_directory, gateway->next_number, old, d);
    if (next == NULL) {
        refused(gateway, user, d, report);
        diagnostics_destroy(d);
        return false;
    }
    char text[256];
    snprintf(text, sizeof(text), "rev %u -> %u  %s: %u roles, %u rules, %u devices, tests %u/%u", old->number,
             next->number, snapshot_fingerprint(next->policy), next->summary.roles, next->summary.rules,
             next->summary.devices, next->summary.tests_passed, next->summary.tests);
    reload_print(d, old->number, report);
    diagnostics_destroy(d);
    gateway->next_number++;
    publish(gateway, next); /* `old` may go from here on */
    gateway->reloads_good++;
    gateway->last_reload_good = true;
    struct event_log_config log = {
        .file = next->config->events.file, .observer = next->config->name, .version = GATEWAY_VERSION};
    event_log_reopen(gateway->log, &log);
    fprintf(report, "%s\n", text);
    gateway_event(gateway, EVENT_POLICY_RELOADED, OUTCOME_UNDECIDED, user, text);
    gateway_say(gateway, 0, "reloaded: %s", text);
    return true;
}

bool reload_settled(struct gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        struct worker_stats stats;
        if (!gateway_stats(gateway, i, &stats) || stats.generation != gateway->generation->number ||
            stats.sweeping)
            return false;
    }
    return true;
}

void reload_retire(struct gateway *gateway, bool wait)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < gateway->retired_n; i++) {
        struct gateway_retired *retired = &gateway->retired[i];
        if (rte_rcu_qsbr_check(gateway->shared.rcu, retired->token, wait) == 1)
            generation_destroy(retired->generation);
        else
            gateway->retired[kept++] = *retired;
    }
    gateway->retired_n = kept;
}
