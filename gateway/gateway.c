/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/gateway.h"

#include "config/units.h"
#include "dataplane/secure/secret_memory.h"
#include "gateway/candidates.h"
#include "gateway/client_shares.h"
#include "gateway/confine.h"
#include "gateway/foresight.h"
#include "gateway/metrics.h"
#include "gateway/reload.h"

#include <assert.h>
#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_ring.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <syslog.h>
#include <unistd.h>

#define STEER_SLOTS 1024
#define HANDSHAKES_AHEAD 32 /* steps of TLS, and of DTLS, that a worker has handed to a thread at once */
#define PASSWORD_JOBS 1024  /* of each worker under way at once */
#define METRICS_US 1000000
#define OCSP_CASES 16384 /* certificates whose status is remembered when nobody uses them */

uint64_t gateway_wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t gateway_monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t gateway_seconds_since(uint64_t wall_us)
{
    uint64_t now_us = gateway_wall_us();
    return now_us > wall_us ? (now_us - wall_us) / 1000000 : 0;
}

void gateway_say(const struct gateway *gateway, int level, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    if (level > gateway->options->verbosity)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (gateway->options->foreground)
        fprintf(stderr, "%s\n", line);
    else
        syslog(LOG_NOTICE, "%s", line);
}

static void write_event(struct gateway *gateway, enum event_kind kind, enum outcome outcome, const char *user,
                        const char *detail, const struct event_revision *revision)
{
    struct event event = {.time_us = gateway_wall_us(),
                          .kind = kind,
                          .outcome = outcome,
                          .enforced = true,
                          .revision = revision,
                          .ruleset = gateway->generation == NULL ? 0 : gateway->generation->number};
    event_set_name(event.user, sizeof(event.user), bytes_of_text(user));
    event_set_name(event.detail, sizeof(event.detail), bytes_of_text(detail));
    event_log_write(gateway->log, &event);
}

void gateway_event(struct gateway *gateway, enum event_kind kind, enum outcome outcome, const char *user,
                   const char *detail)
{
    write_event(gateway, kind, outcome, user, detail, NULL);
}

void gateway_event_revision(struct gateway *gateway, enum event_kind kind, const char *user,
                            const char *detail, const struct event_revision *revision)
{
    write_event(gateway, kind, OUTCOME_UNDECIDED, user, detail, revision);
}

void gateway_open_log(struct gateway *gateway)
{
    const struct generation *generation = gateway->generation;
    struct event_log_config log = {.file = generation->config->events.file,
                                   .observer = generation->config->name,
                                   .version = GATEWAY_VERSION};
    event_log_reopen(gateway->log, &log);
    event_log_ruleset(gateway->log, generation->number, snapshot_fingerprint(generation->policy));
}

/* ---- bring-up, in stages
 * ----------------------------------------------------------------------------------- */

/* Frees old lists of quarantined clients that no worker can hold. */
static void retire_lists(struct gateway *gateway, bool wait)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < gateway->old_lists_n; i++)
        if (rte_rcu_qsbr_check(gateway->shared.rcu, gateway->old_lists[i].token, wait) == 1)
            quarantine_destroy(gateway->old_lists[i].list);
        else
            gateway->old_lists[kept++] = gateway->old_lists[i];
    gateway->old_lists_n = kept;
}

void gateway_publish_quarantine(struct gateway *gateway, struct quarantine *next)
{
    retire_lists(gateway, gateway->old_lists_n == GATEWAY_RETIRED_MAX);
    gateway->old_lists[gateway->old_lists_n].list = gateway->quarantine;
    gateway->quarantine = next;
    atomic_store_explicit(&gateway->shared.quarantine, next, memory_order_release);
    gateway->old_lists[gateway->old_lists_n++].token = rte_rcu_qsbr_start(gateway->shared.rcu);
}

static int load_quarantine(struct gateway *gateway)
{
    char why[512];
    gateway->quarantine = quarantine_read(gateway->generation->config->state, why, sizeof(why));
    atomic_store(&gateway->shared.quarantine, gateway->quarantine);
    if (gateway->quarantine != NULL)
        return GATEWAY_EXIT_OK;
    gateway_say(gateway, -1, "quarantined clients: %s", why);
    return GATEWAY_EXIT_CONFIG;
}

/* The policy of this number, while it is still there. */
static const struct snapshot *policy_of(const struct gateway *gateway, uint32_t number)
{
    const struct generation *fallback = gateway->reload.fallback;
    if (gateway->generation->number == number)
        return gateway->generation->policy;
    if (fallback != NULL && fallback->number == number)
        return fallback->policy;
    for (uint32_t i = 0; i < gateway->retired_n; i++)
        if (gateway->retired[i].generation->number == number)
            return gateway->retired[i].generation->policy;
    return NULL;
}

/* Of each line of the event log. */
static void keep_refusal(void *owner, const struct event *event, uint64_t sequence)
{
    struct gateway *gateway = owner;
    if (refusals_is(event))
        refusals_add(gateway->refusals, event, sequence, policy_of(gateway, event->ruleset));
}

static int load_first(struct gateway *gateway)
{
    gateway->generation = reload_first(gateway, stderr);
    if (gateway->generation == NULL || load_quarantine(gateway) != GATEWAY_EXIT_OK)
        return GATEWAY_EXIT_CONFIG;
    atomic_store(&gateway->shared.generation, gateway->generation);
    const struct gateway_config *config = gateway->generation->config;
    struct event_log_config log = {
        .file = config->events.file, .observer = config->name, .version = GATEWAY_VERSION};
    gateway->log = event_log_create(&log);
    gateway->refusals = refusals_create();
    if (gateway->log == NULL || gateway->refusals == NULL)
        return GATEWAY_EXIT_FAULT;
    event_log_watch(gateway->log, keep_refusal, gateway);
    event_log_ruleset(gateway->log, gateway->generation->number,
                      snapshot_fingerprint(gateway->generation->policy));
    if (event_log_error(gateway->log) != 0)
        gateway_say(gateway, 0, "events: cannot open %s: %s; events are lost until it can be written",
                    config->events.file, strerror(event_log_error(gateway->log)));
    return GATEWAY_EXIT_OK;
}

/* "auto": one worker for each core but the one the control thread lives on. */
static uint32_t count_workers(const struct gateway_config *config)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t n = config->workers != 0 ? config->workers : cores > 2 ? (uint32_t)cores - 1 : 1;
    return n > WORKERS_MAX ? WORKERS_MAX : n;
}

static int open_ports(struct gateway *gateway)
{
    const struct gateway_config *config = gateway->generation->config;
    struct port_config ports[GATEWAY_PORTS_MAX] = {0};
    for (uint32_t i = 0; i < config->interfaces_n; i++) {
        const struct config_interface *interface = &config->interfaces[i];
        struct port_config *port = &ports[interface->port];
        if (port->name == NULL)
            *port = (struct port_config){
                .name = interface->name, .device = interface->device, .mtu = interface->mtu};
    }
    gateway->workers_n = count_workers(config);
    struct port_eal_config eal = {.program = gateway->options->program,
                                  .ports = ports,
                                  .ports_n = config->devices_n,
                                  .workers = gateway->workers_n,
                                  .memory_bytes = config->memory_bytes,
                                  .hugepages = !gateway->options->no_huge && config->hugepages == 1,
                                  .extra = gateway->options->eal,
                                  .extra_n = gateway->options->eal_n};
    struct port_error error = {.exit_status = GATEWAY_EXIT_FAULT, .text = "ports failed"};
    if (port_eal_start(&eal, gateway->ports, &error) != 0) {
        gateway_say(gateway, -1, "%s", error.text);
        return error.exit_status;
    }
    gateway->ports_n = config->devices_n;
    for (uint32_t i = 0; i < gateway->ports_n; i++)
        gateway_say(gateway, 0, "port %s %s mtu %u, %u queue%s", gateway->ports[i].name, config->devices[i],
                    gateway->ports[i].mtu, gateway->ports[i].queues,
                    gateway->ports[i].queues == 1 ? "" : "s");
    return GATEWAY_EXIT_OK;
}

static bool make_rings(struct gateway *gateway)
{
    char name[RTE_RING_NAMESIZE];
    for (uint32_t w = 0; gateway->workers_n > 1 && w < gateway->workers_n; w++) {
        for (uint32_t p = 0; p < gateway->ports_n; p++) {
            snprintf(name, sizeof(name), "steer-%u-%u", w, p);
            gateway->shared.steer[w][p] = rte_ring_create(name, STEER_SLOTS, SOCKET_ID_ANY, RING_F_SC_DEQ);
            if (gateway->shared.steer[w][p] == NULL)
                return false;
        }
        snprintf(name, sizeof(name), "neighbors-%u", w);
        gateway->shared.neighbors[w] =
            rte_ring_create_elem(name, 32, STEER_SLOTS, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
        if (gateway->shared.neighbors[w] == NULL)
            return false;
    }
    return true;
}

static bool make_rcu(struct gateway *gateway)
{
    size_t size = rte_rcu_qsbr_get_memsize(WORKERS_MAX);
    gateway->shared.rcu = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(size, RTE_CACHE_LINE_SIZE));
    return gateway->shared.rcu != NULL && rte_rcu_qsbr_init(gateway->shared.rcu, WORKERS_MAX) == 0;
}

static int make_workers(struct gateway *gateway)
{
    const struct gateway_config *config = gateway->generation->config;
    gateway->shared.ports = gateway->ports;
    gateway->shared.ports_n = gateway->ports_n;
    gateway->shared.idle_adaptive = config->idle_adaptive;
    for (uint32_t p = 0; config->workers == 0 && p < gateway->ports_n; p++)
        if (gateway->ports[p].queues < gateway->workers_n)
            gateway->workers_n = gateway->ports[p].queues; /* "auto": as many as the devices can feed */
    gateway->shared.workers = gateway->workers_n;
    for (uint32_t p = 0; p < gateway->ports_n; p++)
        if (gateway->ports[p].queues < gateway->workers_n) {
            gateway_say(gateway, -1,
                        "port %s has %u queues for %u workers; use fewer workers or another device",
                        gateway->ports[p].name, gateway->ports[p].queues, gateway->workers_n);
            return GATEWAY_EXIT_DEVICE;
        }
    /* TLS and DTLS are two that hand over jobs. Few are handed over at a time, since what has been handed
     * over has left the queue in which sources take turns. */
    gateway->shared.handshakes = handshake_pool_create(config->handshake_threads, 2 * gateway->workers_n,
                                                       HANDSHAKES_AHEAD * config->handshake_threads);
    gateway->shared.passwords =
        password_pool_create(config->password_threads, gateway->workers_n, PASSWORD_JOBS);
    if (gateway->shared.handshakes == NULL || gateway->shared.passwords == NULL || !make_rings(gateway))
        return GATEWAY_EXIT_FAULT;
    uint8_t secret[16];
    if (getrandom(secret, sizeof(secret), 0) == (ssize_t)sizeof(secret))
        gateway->shared.claims = session_claims_create(config->connections * gateway->workers_n, secret);
    if (gateway->shared.claims == NULL)
        return GATEWAY_EXIT_FAULT;
    /* Twice as many as there are sessions are remembered, see mqtt_relays_create. */
    if (gateway->workers_n > 1)
        gateway->shared.shares = client_shares_create(2 * config->connections * gateway->workers_n, secret);
    explicit_bzero(secret, sizeof(secret));
    if (gateway->workers_n > 1 && gateway->shared.shares == NULL)
        return GATEWAY_EXIT_FAULT;
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        gateway->workers[i] = worker_create(&gateway->shared, i);
        if (gateway->workers[i] == NULL) {
            gateway_say(gateway, -1,
                        "worker %u: out of memory; lower limits.connections or raise dataplane.memory", i);
            return GATEWAY_EXIT_FAULT;
        }
    }
    return GATEWAY_EXIT_OK;
}

static int launch_workers(struct gateway *gateway)
{
    unsigned int lcore = (unsigned int)-1;
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        lcore = rte_get_next_lcore(lcore, 1, 0);
        if (lcore >= RTE_MAX_LCORE || rte_eal_remote_launch(worker_run, gateway->workers[i], lcore) != 0) {
            gateway_say(gateway, -1, "no core for worker %u", i);
            return GATEWAY_EXIT_FAULT;
        }
        gateway->lcores[i] = lcore;
    }
    return GATEWAY_EXIT_OK;
}

static void say_ready(struct gateway *gateway)
{
    const struct generation *generation = gateway->generation;
    gateway_say(gateway, 0, "policy rev %u %s: %u roles, %u rules, tests %u/%u", generation->number,
                snapshot_fingerprint(generation->policy), generation->summary.roles,
                generation->summary.rules, generation->summary.tests_passed, generation->summary.tests);
    for (uint32_t i = 0; i < generation->config->listeners_n; i++) {
        const struct config_listener *own = &generation->config->listeners[i];
        char listen[ADDRESS_ENDPOINT_MAX];
        address_format_listen(own->any, own->has_address ? own->address : NULL, own->port, listen);
        gateway_say(gateway, 0, "listening %s %s", own->name, listen);
    }
    gateway_event(gateway, EVENT_STARTED, OUTCOME_UNDECIDED, "", "");
}

int gateway_start(struct gateway *gateway, const struct gateway_options *options)
{
    *gateway = (struct gateway){.options = options,
                                .started_us = gateway_wall_us(),
                                .up_since_us = gateway_monotonic_us(),
                                .last_reload_good = true};
    if (tls_library_init() != 0) {
        gateway_say(gateway, -1, "the TLS library cannot be initialised");
        return GATEWAY_EXIT_FAULT;
    }
    /* Contexts of listeners and upstreams find it when they are made. Where nothing is asked it sleeps. */
    gateway->shared.asker = ocsp_asker_create(OCSP_CASES);
    if (gateway->shared.asker == NULL) {
        gateway_say(gateway, -1, "out of memory");
        tls_library_fini();
        return GATEWAY_EXIT_FAULT;
    }
    ocsp_asker_share(gateway->shared.asker);
    int status = load_first(gateway);
    if (status == GATEWAY_EXIT_OK)
        status = open_ports(gateway);
    if (status == GATEWAY_EXIT_OK && !make_rcu(gateway))
        status = GATEWAY_EXIT_FAULT;
    if (status == GATEWAY_EXIT_OK)
        status = make_workers(gateway);
    if (status == GATEWAY_EXIT_OK)
        status = launch_workers(gateway);
    if (status != GATEWAY_EXIT_OK) {
        gateway_stop(gateway);
        return status;
    }
    metrics_register();
    learn_take_up(gateway);
    if (!secret_memory_all_locked())
        gateway_say(gateway, 0,
                    "keys cannot be locked into memory (RLIMIT_MEMLOCK): they may be swapped out");
    say_ready(gateway);
    return GATEWAY_EXIT_OK;
}

/* What libraries read when asked for the first time: users and groups, time zones, character sets, devices.
 */
static const char *const library_places[] = {
    "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/localtime", "/usr/lib", "/usr/share/zoneinfo",
    "/lib", "/proc/self", "/sys/devices", "/sys/bus/pci", "/dev/null", "/dev/urandom",
    /* names of OCSP responders */
    "/etc/hosts", "/etc/resolv.conf", "/etc/host.conf", "/etc/gai.conf"};

static bool list_places(const struct gateway *gateway, struct confine_places *places)
{
    const struct gateway_config *config = gateway->generation->config;
    bool good = confine_allow(places, config->directory, false) &&
                confine_allow(places, gateway->options->policy_directory, false);
    for (uint32_t i = 0; good && i < config->paths_n; i++)
        good = confine_allow_beside(places, config->paths[i], false);
    const char *users_file = gateway->generation->summary.users_file;
    good = good && (users_file[0] == '\0' || confine_allow_beside(places, users_file, false));
    good = good && confine_allow_beside(places, config->control_socket, true) &&
           confine_allow(places, config->state, true) &&
           (config->events.file == NULL || confine_allow_beside(places, config->events.file, true)) &&
           confine_allow(places, rte_eal_get_runtime_dir(), true) &&
           confine_allow(places, "/dev/hugepages", true);
    for (size_t i = 0; good && i < sizeof(library_places) / sizeof(library_places[0]); i++)
        good = confine_allow(places, library_places[i], false);
    return good;
}

int gateway_confine(struct gateway *gateway)
{
    static struct confine_places places;
    char why[512];
    if (!gateway->generation->config->confined || CONFINE_BUILD == 0) {
        gateway_say(gateway, 0, "confinement none: capabilities, files and system calls stay as they are");
        return GATEWAY_EXIT_OK;
    }
    if (!list_places(gateway, &places)) {
        gateway_say(gateway, -1, "confinement: too many directories in the settings");
        return GATEWAY_EXIT_FAULT;
    }
    int in_force = confine(CONFINE_BUILD, &places, why, sizeof(why));
    if (in_force < 0) {
        gateway_say(gateway, -1, "confinement: %s; gateway.confinement = \"none\" goes without", why);
        return GATEWAY_EXIT_FAULT;
    }
    gateway_say(gateway, 0, "confined:%s%s%s%s",
                (in_force & CONFINE_CAPABILITIES) != 0 ? " no capabilities" : "",
                (in_force & CONFINE_FILES) != 0 ? ", own directories" : ", all files (no Landlock)",
                (in_force & CONFINE_CALLS) != 0 ? ", own system calls" : "",
                (in_force & CONFINE_DUMPS) != 0 ? ", no core dumps" : "");
    return GATEWAY_EXIT_OK;
}

void gateway_stop(struct gateway *gateway)
{
    if (gateway->log != NULL && gateway->generation != NULL)
        gateway_event(gateway, EVENT_STOPPING, OUTCOME_UNDECIDED, "", "");
    atomic_store(&gateway->shared.stop, true);
    for (uint32_t i = 0; i < gateway->workers_n; i++)
        if (gateway->lcores[i] != 0) {
            rte_eal_wait_lcore(gateway->lcores[i]);
            assert(worker_ended(gateway->workers[i]));
        }
    for (uint32_t i = 0; gateway->log != NULL && i < gateway->workers_n; i++)
        if (gateway->workers[i] != NULL)
            event_log_drain(gateway->log, worker_events(gateway->workers[i]), gateway_monotonic_us());
    if (gateway->shared.handshakes != NULL)
        handshake_pool_destroy(gateway->shared.handshakes);
    for (uint32_t i = 0; i < gateway->workers_n; i++)
        worker_destroy(gateway->workers[i]);
    ocsp_asker_share(NULL);
    ocsp_asker_destroy(gateway->shared.asker);
    password_pool_destroy(gateway->shared.passwords);
    session_claims_destroy(gateway->shared.claims);
    client_shares_destroy(gateway->shared.shares);
    if (gateway->shared.rcu != NULL) {
        reload_retire(gateway, true);
        retire_lists(gateway, true);
    }
    candidate_destroy(gateway->candidate);
    candidates_retire(gateway, true);
    quarantine_destroy(gateway->quarantine);
    if (gateway->generation != NULL)
        learn_keep_at_end(gateway);
    learn_fini(&gateway->learn);
    for (uint32_t w = 0; w < WORKERS_MAX; w++) {
        for (uint32_t p = 0; p < PORT_MAX; p++)
            rte_ring_free(gateway->shared.steer[w][p]);
        rte_ring_free(gateway->shared.neighbors[w]);
    }
    if (gateway->ports_n > 0)
        port_eal_stop(gateway->ports, gateway->ports_n);
    if (gateway->log != NULL)
        event_log_watch(gateway->log, NULL, NULL);
    generation_destroy(gateway->generation);
    generation_destroy(gateway->reload.fallback);
    event_log_destroy(gateway->log);
    refusals_destroy(gateway->refusals);
    free(gateway->shared.rcu);
    tls_library_fini();
}

/* ---- while running
 * ------------------------------------------------------------------------------------------ */

bool gateway_stats(struct gateway *gateway, uint32_t index, struct worker_stats *out)
{
    /* Static: a worker that answers late still finds them. */
    static struct worker_request requests[WORKERS_MAX];
    static struct worker_stats answers[WORKERS_MAX];
    if (!worker_listens(gateway->workers[index]))
        return false;
    requests[index].kind = WORKER_STATS;
    requests[index].stats = &answers[index];
    if (!worker_ask(gateway->workers[index], &requests[index]))
        return false;
    *out = answers[index];
    return true;
}

static void watch_wills(struct gateway *gateway, uint64_t ends, uint64_t now_us)
{
    char detail[EVENT_DETAIL_MAX], span[UNITS_TEXT_MAX];
    const struct rate *threshold = &gateway->generation->config->events.will_storm;
    if (!will_storm_feed(&gateway->will_storm, threshold, ends, now_us))
        return;
    snprintf(detail, sizeof(detail), "more clients end without DISCONNECT than %llu in %s",
             (unsigned long long)threshold->amount, units_format_duration(threshold->period_us, span));
    gateway_event(gateway, EVENT_WILL_STORM, OUTCOME_CLIENT_LOST, "", detail);
    gateway_say(gateway, 0, "will storm: %s", detail);
}

void gateway_drain_events(void *owner)
{
    struct gateway *gateway = owner;
    uint64_t now_us = gateway_monotonic_us();
    for (uint32_t i = 0; i < gateway->workers_n; i++)
        event_log_drain(gateway->log, worker_events(gateway->workers[i]), now_us);
    event_log_tick(gateway->log, now_us);
}

void gateway_tick(struct gateway *gateway)
{
    uint64_t ends = 0;
    bool all = true;
    static uint64_t metrics_due_us;
    uint64_t now_us = gateway_monotonic_us();
    gateway_drain_events(gateway);
    reload_tick(gateway);
    retire_lists(gateway, false);
    foresight_tick();
    candidates_retire(gateway, false);
    learn_tick(gateway);
    if (now_us < metrics_due_us)
        return;
    metrics_due_us = now_us + METRICS_US;
    reload_metrics(gateway);
    candidates_metrics(gateway);
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        struct worker_stats stats;
        bool good = gateway_stats(gateway, i, &stats);
        if (good)
            metrics_update(i, &stats);
        ends += good ? stats.relays.count[RELAY_UNGRACEFUL_ENDS] : 0;
        all &= good;
    }
    if (all)
        watch_wills(gateway, ends, now_us);
}
