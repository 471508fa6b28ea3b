/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/reload.h"

#include "gateway/errand.h"
#include "gateway/history.h"
#include "gateway/metrics.h"

#include <errno.h>
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
    size_t told = diagnostics_count(d);
    if (errors + warnings > told)
        fprintf(to, "... and %zu more like these, which are only counted; correct what is above first\n",
                errors + warnings - told);
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

static void put_count(const char *what, const struct snapshot_count *count, char *to, size_t room)
{
    size_t used = strlen(to);
    if (count->added + count->removed + count->changed != 0 && used < room)
        snprintf(to + used, room - used, "%s%s +%u -%u ~%u", used == 0 ? "" : ", ", what, count->added,
                 count->removed, count->changed);
}

const char *reload_changes(const struct snapshot_changes *changes, char *to, size_t room)
{
    to[0] = '\0';
    put_count("rules", &changes->rules, to, room);
    put_count("roles", &changes->roles, to, room);
    put_count("devices", &changes->devices, to, room);
    size_t used = strlen(to);
    if (changes->limits != 0 && used < room)
        snprintf(to + used, room - used, "%slimits ~%u", used == 0 ? "" : ", ", changes->limits);
    used = strlen(to);
    if (changes->roles_reordered && used < room)
        snprintf(to + used, room - used, "%sroles in another order", used == 0 ? "" : ", ");
    if (to[0] == '\0')
        snprintf(to, room, "no rule, role, device or limit changed");
    return to;
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

/* ---- the history --------------------------------------------------------------------------------------- */

static const char *state_of(const struct gateway *gateway)
{
    return gateway->generation->config->state;
}

static struct history_entry entry_of(const struct generation *generation, const char *user)
{
    struct history_entry entry = {.number = generation->number,
                                  .time_us = generation->loaded_at_us,
                                  .roles = generation->summary.roles,
                                  .rules = generation->summary.rules,
                                  .devices = generation->summary.devices,
                                  .tests = generation->summary.tests};
    snprintf(entry.fingerprint, sizeof(entry.fingerprint), "%s", snapshot_fingerprint(generation->policy));
    snprintf(entry.sha256, sizeof(entry.sha256), "%s", generation->sha256);
    snprintf(entry.user, sizeof(entry.user), "%s", user);
    return entry;
}

/* The newest entry of the history when it says just what `text` says; 0: it does not. */
static uint32_t newest_like(const char *state, const struct history_entry *newest, const char *sha256,
                            const struct config_text *text)
{
    struct config_text kept;
    if (strcmp(newest->sha256, sha256) != 0 || history_read(state, newest->number, &kept) != 0)
        return 0;
    bool same = kept.len == text->len && memcmp(kept.at, text->at, kept.len) == 0;
    config_text_fini(&kept);
    return same ? newest->number : 0;
}

/*
 * A policy that cannot be kept goes in force all the same: a full disk must not keep a right from being taken
 * away. It is said, and stays said. One that says what the newest entry says takes its place, so that a
 * reload for a new certificate pushes nothing out, unless that one may come back (`apart`); at the start it
 * takes its number.
 */
static void keep(struct gateway *gateway, struct generation *next, const char *user,
                 const struct config_text *text, bool apart)
{
    const char *state = next->config->state;
    struct history_entry entries[HISTORY_MAX];
    uint32_t n = history_list(state, entries);
    uint32_t twin = n == 0 ? 0 : newest_like(state, &entries[0], next->sha256, text);
    gateway->reload.unkept[0] = '\0';
    next->kept = gateway->generation == NULL ? twin : 0;
    if (next->kept != 0)
        return;
    uint32_t spare = gateway->reload.fallback != NULL ? gateway->reload.fallback->kept
                     : gateway->generation != NULL    ? gateway->generation->kept
                                                      : 0;
    struct history_entry entry = entry_of(next, user);
    int result = history_keep(state, &entry, text, spare);
    if (result != 0) {
        snprintf(gateway->reload.unkept, sizeof(gateway->reload.unkept),
                 "rev %u is not in the history: %.90s: %s", next->number, state, strerror(-result));
        return;
    }
    next->kept = next->number;
    if (twin != 0 && !apart)
        history_remove(state, twin);
}

/* Notes what a restart is to load; 0: the files. What could not be noted is said. */
static void note(struct gateway *gateway, uint32_t number)
{
    int result = history_set_in_force(state_of(gateway), number);
    if (result != 0)
        snprintf(gateway->reload.unkept, sizeof(gateway->reload.unkept),
                 "a restart would load the files: %.90s: %s", state_of(gateway), strerror(-result));
}

/* ---- publishing ---------------------------------------------------------------------------------------- */

static void destroy(void *generation)
{
    generation_destroy(generation);
}

static void retire(struct gateway *gateway, struct generation *generation)
{
    struct gateway_retired *place = &gateway->retired[gateway->retired_n++];
    place->generation = generation;
    place->token = rte_rcu_qsbr_start(gateway->shared.rcu);
}

/* What all workers have counted of sessions that met a new generation. */
static struct gateway_obeyed count_obeyed(struct gateway *gateway)
{
    struct gateway_obeyed sum = {.kept = 0};
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        struct worker_stats stats;
        if (!gateway_stats(gateway, i, &stats))
            continue;
        sum.kept += stats.relays.count[RELAY_SESSIONS_KEPT];
        sum.closed += stats.relays.count[RELAY_SESSIONS_RIGHTS_LOST];
        sum.taken_back += stats.relays.count[RELAY_SUBSCRIPTIONS_TAKEN_BACK] +
                          stats.coap.count[COAP_COUNT_OBSERVATIONS_TAKEN_BACK];
    }
    return sum;
}

static void settle_if_obeyed(struct gateway *gateway);

/* Puts `next` in force; the one before is the caller's to retire, or to keep. */
static struct generation *publish(struct gateway *gateway, struct generation *next)
{
    struct generation *old = gateway->generation;
    settle_if_obeyed(gateway); /* before it is not asked for any more */
    gateway->reload.base = count_obeyed(gateway);
    gateway->reload.published++;
    rule_hits_follow(next->hits, next->policy, old->hits, old->policy);
    gateway->generation = next;
    atomic_store_explicit(&gateway->shared.generation, next, memory_order_release);
    gateway_open_log(gateway);
    return old;
}

/* There is room to retire as many as one reload can need. Workers pass a quiescent point every millisecond;
 * that many waiting generations mean that one does not move. */
static void make_room(struct gateway *gateway)
{
    reload_retire(gateway, gateway->retired_n > GATEWAY_RETIRED_MAX - 2);
}

static void clock_text(uint64_t wall_us, char text[16])
{
    struct tm tm;
    time_t seconds = (time_t)(wall_us / 1000000);
    localtime_r(&seconds, &tm);
    strftime(text, 16, "%H:%M:%S", &tm);
}

static uint64_t wall_of(uint64_t monotonic_us)
{
    return gateway_wall_us() + monotonic_us - gateway_monotonic_us();
}

static void say_confirm(const struct gateway *gateway, FILE *to)
{
    char text[16];
    clock_text(wall_of(gateway->reload.confirm_until_us), text);
    fprintf(to, "rev %u returns to rev %u at %s unless: sallyportctl confirm\n", gateway->generation->number,
            gateway->reload.fallback->number, text);
}

/* Before what may have to go is in force: a restart at any moment loads what was confirmed. */
static void note_way_back(struct gateway *gateway)
{
    const struct generation *back =
        gateway->reload.fallback != NULL ? gateway->reload.fallback : gateway->generation;
    note(gateway, back->kept);
    if (back->kept == 0)
        snprintf(gateway->reload.unkept, sizeof(gateway->reload.unkept),
                 "a restart before it is confirmed would load the files: rev %u is not in the history",
                 back->number);
}

static void set_confirm(struct gateway *gateway, struct generation *old, uint64_t confirm_us)
{
    if (confirm_us != 0)
        gateway->reload.confirm_until_us = gateway_monotonic_us() + confirm_us;
    if (gateway->reload.fallback == NULL)
        gateway->reload.fallback = old;
    else
        retire(gateway, old);
}

/* What is in force is now `away` from the files, or is the files. */
static void set_away(struct gateway *gateway, uint32_t number, const char *away)
{
    snprintf(gateway->reload.away, sizeof(gateway->reload.away), "%s", away);
    note(gateway, number);
    if (away[0] != '\0' && number == 0)
        snprintf(gateway->reload.unkept, sizeof(gateway->reload.unkept),
                 "a restart would load the files: what is in force is not in the history");
}

/* ---- a reload ------------------------------------------------------------------------------------------ */

static struct generation *load(struct gateway *gateway, const struct reload_request *request,
                               struct config_text *text, struct diagnostics *d)
{
    const struct policy_wishes wishes = {.style = CONFIG_PRINT_KEPT, .text = text};
    const char *file = gateway->options->config_file;
    const char *policy = gateway->options->policy_directory;
    char path[PATH_MAX];
    if (request->file != NULL) {
        file = request->file;
        policy = request->policy;
    }
    if (request->restore != 0) {
        file = path;
        policy = NULL; /* it is within */
        if (!history_path(state_of(gateway), request->restore, path)) {
            diagnostics_add(d, DIAGNOSTIC_ERROR, state_of(gateway), 0, "its name is too long");
            return NULL;
        }
    }
    return generation_load_with(file, policy, gateway->next_number, gateway->generation, d, &wishes);
}

static void describe(const struct generation *old, const struct generation *next, char *to, size_t room)
{
    struct snapshot_changes changes;
    if (snapshot_compare(old->policy, next->policy, &changes))
        reload_changes(&changes, to, room);
    else
        snprintf(to, room, "changes not counted (no memory)");
}

/* In force from here on: what becomes of the old one, of the note for a restart, and of the way back. */
static void settle_past(struct gateway *gateway, const struct reload_request *request, struct generation *old)
{
    char away[128];
    bool is_away = request->restore != 0 || request->promoted != NULL;
    if (request->promoted != NULL)
        snprintf(away, sizeof(away), "rev %u was promoted from %.60s; the files are not in force",
                 gateway->generation->number, request->promoted);
    else
        snprintf(away, sizeof(away), "rev %u was restored from rev %u by %.40s; the files are not in force",
                 gateway->generation->number, request->restore, request->user);
    if (request->confirm_us != 0 || gateway->reload.fallback != NULL) {
        set_confirm(gateway, old, request->confirm_us);
        snprintf(gateway->reload.away, sizeof(gateway->reload.away), "%s", is_away ? away : "");
        return;
    }
    retire(gateway, old);
    if (is_away)
        set_away(gateway, gateway->generation->kept, away);
    else
        set_away(gateway, 0, "");
}

static void tell(struct gateway *gateway, const struct reload_request *request, uint32_t from,
                 const char *changes, FILE *report)
{
    char text[512];
    const struct generation *now = gateway->generation;
    struct event_revision revision = {.from = from,
                                      .to = now->number,
                                      .sha256 = now->sha256,
                                      .changes = changes,
                                      .tests = now->summary.tests_passed};
    if (gateway->reload.fallback != NULL)
        revision.confirm_by_us = wall_of(gateway->reload.confirm_until_us);
    snprintf(text, sizeof(text), "rev %u -> %u  %s  %s  (%u roles, %u rules, %u devices)  tests %u/%u", from,
             now->number, snapshot_fingerprint(now->policy), changes, now->summary.roles, now->summary.rules,
             now->summary.devices, now->summary.tests_passed, now->summary.tests);
    fprintf(report, "%s\n", text);
    if (gateway->reload.unkept[0] != '\0')
        fprintf(report, "warning: %s\n", gateway->reload.unkept);
    if (gateway->reload.fallback != NULL)
        say_confirm(gateway, report);
    gateway_event_revision(gateway, EVENT_POLICY_RELOADED, request->user, text, &revision);
    gateway_say(gateway, 0, "reloaded: %s", text);
}

/* What is done of a reload before anything is in force, as an errand. */
struct preparation {
    struct gateway *gateway;
    const struct reload_request *request;
    struct diagnostics *d;
    bool to_confirm;
    struct generation *next; /* NULL: refused */
    bool as_judged;          /* it is what was promoted, if that was said */
    char changes[256];
};

static void prepare(void *of)
{
    struct preparation *p = of;
    struct config_text text = {.at = NULL};
    p->next = load(p->gateway, p->request, &text, p->d);
    if (p->next == NULL)
        return;
    describe(p->gateway->generation, p->next, p->changes, sizeof(p->changes));
    p->as_judged = p->request->sha256 == NULL || strcmp(p->next->sha256, p->request->sha256) == 0;
    if (p->as_judged)
        keep(p->gateway, p->next, p->request->user, &text, p->to_confirm || p->request->promoted != NULL);
    config_text_fini(&text);
}

/* What was promoted is what was judged; and it has to last over a restart, where the files do not say it.
 * False told. */
static bool as_promised(struct preparation *p, FILE *report)
{
    struct gateway *gateway = p->gateway;
    if (!p->as_judged)
        fprintf(report, "its files say something else than when it was loaded: nothing of that was judged; "
                        "load it again\n");
    else if (p->request->promoted != NULL && p->next->kept == 0)
        fprintf(report, "%s: a restart would load the files instead; mend that first\n",
                gateway->reload.unkept);
    else
        return true;
    fprintf(report, "refused; rev %u stays in force\n", gateway->generation->number);
    gateway->reload.unkept[0] = '\0';
    errand_run(destroy, p->next, gateway_drain_events, gateway);
    return false;
}

bool reload_run(struct gateway *gateway, const struct reload_request *request, FILE *report)
{
    make_room(gateway);
    struct diagnostics *d = diagnostics_create();
    if (d == NULL) {
        fprintf(report, "out of memory; rev %u stays in force\n", gateway->generation->number);
        return false;
    }
    struct preparation p = {.gateway = gateway,
                            .request = request,
                            .d = d,
                            .to_confirm = request->confirm_us != 0 || gateway->reload.fallback != NULL};
    errand_run(prepare, &p, gateway_drain_events, gateway);
    if (p.next == NULL) {
        refused(gateway, request->user, d, report);
        diagnostics_destroy(d);
        return false;
    }
    uint32_t from = gateway->generation->number;
    reload_print(d, from, report);
    diagnostics_destroy(d);
    if (!as_promised(&p, report))
        return false;
    if (p.to_confirm)
        note_way_back(gateway);
    gateway->next_number++;
    struct generation *old = publish(gateway, p.next);
    gateway->reloads_good++;
    gateway->last_reload_good = true;
    gateway->reload.good_at_us = gateway_wall_us();
    settle_past(gateway, request, old);
    tell(gateway, request, from, p.changes, report);
    return true;
}

/* ---- confirmation -------------------------------------------------------------------------------------- */

bool reload_confirm(struct gateway *gateway, const char *user)
{
    struct gateway_reload *reload = &gateway->reload;
    if (reload->fallback == NULL)
        return false;
    struct event_revision revision = {.from = reload->fallback->number,
                                      .to = gateway->generation->number,
                                      .sha256 = gateway->generation->sha256};
    make_room(gateway);
    retire(gateway, reload->fallback);
    reload->fallback = NULL;
    set_away(gateway, reload->away[0] != '\0' ? gateway->generation->kept : 0, reload->away);
    gateway_event_revision(gateway, EVENT_POLICY_CONFIRMED, user, "", &revision);
    gateway_say(gateway, 0, "rev %u is confirmed by %s", gateway->generation->number, user);
    return true;
}

static void go_back(struct gateway *gateway)
{
    char away[160];
    struct gateway_reload *reload = &gateway->reload;
    struct generation *back = reload->fallback;
    make_room(gateway);
    struct generation *old = publish(gateway, back);
    reload->fallback = NULL;
    struct event_revision revision = {.from = old->number, .to = back->number, .sha256 = back->sha256};
    snprintf(away, sizeof(away), "rev %u was not confirmed; rev %u is in force again, the files are not",
             old->number, back->number);
    retire(gateway, old);
    set_away(gateway, back->kept, away);
    gateway->reloads_returned++;
    gateway_event_revision(gateway, EVENT_POLICY_RETURNED, "", away, &revision);
    gateway_say(gateway, -1, "%s", away);
}

/* ---- after a reload ------------------------------------------------------------------------------------ */

static bool settled(struct gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        struct worker_stats stats;
        if (!gateway_stats(gateway, i, &stats) || stats.generation != gateway->generation->number ||
            stats.sweeping)
            return false;
    }
    return true;
}

void reload_print_settled(const struct gateway *gateway, FILE *to)
{
    const struct gateway_obeyed *done = &gateway->reload.done;
    fprintf(to, "rev %u is obeyed by all: sessions kept %llu, closed %llu; subscriptions taken back %llu\n",
            gateway->generation->number, (unsigned long long)done->kept, (unsigned long long)done->closed,
            (unsigned long long)done->taken_back);
}

static void settle(struct gateway *gateway)
{
    char text[160];
    struct gateway_reload *reload = &gateway->reload;
    struct gateway_obeyed now = count_obeyed(gateway);
    reload->obeyed = reload->published;
    reload->done = (struct gateway_obeyed){.kept = now.kept - reload->base.kept,
                                           .closed = now.closed - reload->base.closed,
                                           .taken_back = now.taken_back - reload->base.taken_back};
    struct event_revision revision = {.from = gateway->generation->number,
                                      .to = gateway->generation->number,
                                      .settled = true,
                                      .kept = reload->done.kept,
                                      .closed = reload->done.closed,
                                      .taken_back = reload->done.taken_back};
    snprintf(text, sizeof(text), "sessions kept %llu, closed %llu; subscriptions taken back %llu",
             (unsigned long long)reload->done.kept, (unsigned long long)reload->done.closed,
             (unsigned long long)reload->done.taken_back);
    gateway_event_revision(gateway, EVENT_POLICY_OBEYED, "", text, &revision);
    gateway_say(gateway, 0, "rev %u is obeyed by all: %s", gateway->generation->number, text);
}

static void settle_if_obeyed(struct gateway *gateway)
{
    if (gateway->reload.obeyed != gateway->reload.published && settled(gateway))
        settle(gateway);
}

void reload_tick(struct gateway *gateway)
{
    if (gateway->reload.fallback != NULL && gateway_monotonic_us() >= gateway->reload.confirm_until_us)
        go_back(gateway);
    settle_if_obeyed(gateway);
    reload_retire(gateway, false);
}

void reload_retire(struct gateway *gateway, bool wait)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < gateway->retired_n; i++) {
        struct gateway_retired *retired = &gateway->retired[i];
        if (rte_rcu_qsbr_check(gateway->shared.rcu, retired->token, wait) == 1)
            errand_run(destroy, retired->generation, wait ? NULL : gateway_drain_events, gateway);
        else
            gateway->retired[kept++] = *retired;
    }
    gateway->retired_n = kept;
}

void reload_metrics(const struct gateway *gateway)
{
    const struct gateway_reload *reload = &gateway->reload;
    struct metrics_policy policy = {.revision = gateway->generation->number,
                                    .last_reload_successful = gateway->last_reload_good,
                                    .last_reload_success_timestamp_seconds = reload->good_at_us / 1000000,
                                    .unconfirmed = reload->fallback != NULL,
                                    .from_files = reload->away[0] == '\0',
                                    .reloads_good = gateway->reloads_good,
                                    .reloads_refused = gateway->reloads_refused,
                                    .reloads_returned = gateway->reloads_returned};
    metrics_policy_update(&policy);
}

void reload_attention(const struct gateway *gateway, FILE *to)
{
    const struct gateway_reload *reload = &gateway->reload;
    if (!gateway->last_reload_good)
        fprintf(to, "attention ! the last reload was refused; rev %u is still in force\n",
                gateway->generation->number);
    if (reload->fallback != NULL) {
        fprintf(to, "attention ! ");
        say_confirm(gateway, to);
    }
    if (reload->away[0] != '\0')
        fprintf(to, "attention ! %s; sallyportctl reload takes them\n", reload->away);
    if (reload->unkept[0] != '\0')
        fprintf(to, "attention ! %s\n", reload->unkept);
}

/* ---- at the start -------------------------------------------------------------------------------------- */

/* Where the state is, and what is in force instead of the files, as far as that can be told before loading.
 */
static bool look_back(struct gateway *gateway, uint32_t *newest, uint32_t *in_force, char instead[PATH_MAX],
                      FILE *report)
{
    struct history_entry entries[HISTORY_MAX];
    uint32_t number = 0;
    bool good = true;
    struct diagnostics *d = diagnostics_create();
    struct gateway_config *config = d == NULL ? NULL : gateway_config_read(gateway->options->config_file, d);
    instead[0] = '\0';
    *newest = 0;
    if (config != NULL && config->state != NULL) {
        *newest = history_list(config->state, entries) == 0 ? 0 : entries[0].number;
        int result = history_in_force(config->state, &number);
        if (result != 0 || (number != 0 && !history_path(config->state, number, instead))) {
            fprintf(report,
                    "%s/policies/in-force: error: %s; it tells which policy is in force instead of the "
                    "files; remove it to start with these\n",
                    config->state, strerror(result != 0 ? -result : ENAMETOOLONG));
            good = false;
        }
        if (number != 0)
            snprintf(gateway->reload.away, sizeof(gateway->reload.away),
                     "rev %u is in force from the history, the files are not", number);
    }
    *in_force = number;
    gateway_config_destroy(config);
    diagnostics_destroy(d);
    return good;
}

struct generation *reload_first(struct gateway *gateway, FILE *report)
{
    struct config_text text = {.at = NULL};
    const struct policy_wishes wishes = {.style = CONFIG_PRINT_KEPT, .text = &text};
    char instead[PATH_MAX];
    uint32_t newest, in_force;
    if (!look_back(gateway, &newest, &in_force, instead, report))
        return NULL;
    struct diagnostics *d = diagnostics_create();
    if (d == NULL)
        return NULL;
    struct generation *first = in_force != 0 ? generation_load_with(instead, NULL, in_force, NULL, d, &wishes)
                                             : generation_load_with(gateway->options->config_file,
                                                                    gateway->options->policy_directory,
                                                                    newest + 1, NULL, d, &wishes);
    reload_print(d, 0, report);
    if (first == NULL && instead[0] != '\0')
        fprintf(report,
                "%s: %s; mend what is told above, or remove the file 'in-force' beside it to start with the "
                "files\n",
                instead, gateway->reload.away);
    diagnostics_destroy(d);
    if (first == NULL)
        return NULL;
    if (in_force != 0)
        first->kept = in_force;
    else
        keep(gateway, first, "start", &text, false);
    config_text_fini(&text);
    if (first->kept != 0 && first->kept != first->number)
        generation_renumber(first, first->kept);
    gateway->next_number = (first->number > newest ? first->number : newest) + 1;
    gateway->reload.good_at_us = gateway_wall_us();
    return first;
}
