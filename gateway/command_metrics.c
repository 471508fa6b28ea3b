/* SPDX-License-Identifier: GPL-2.0-or-later */
/* metrics: everything that is counted, in Prometheus' text format (H3, operators' surface 2.8). */
#include "gateway/candidates.h"
#include "gateway/command.h"
#include "gateway/exposition.h"
#include "gateway/metrics.h"

#include <rte_cycles.h>
#include <string.h>
#include <sys/resource.h>

#define RULES_MAX 2000U /* series of rules: what a policy has beyond is only counted as left out */
#define LABELS(...) ((const struct exposition_label[EXPOSITION_LABELS]){__VA_ARGS__})

/* ---- the policy ---------------------------------------------------------------------------------------- */

static void put_policy(struct exposition *e, const struct gateway *gateway)
{
    const struct generation *generation = gateway->generation;
    char revision[16];
    snprintf(revision, sizeof(revision), "%u", generation->number);
    exposition_gauge(e, "sallyport_build_info", "The version that runs; always 1.");
    exposition_count(e, LABELS({"version", GATEWAY_VERSION}), 1);
    exposition_gauge(e, "sallyport_policy_info", "The policy in force; always 1.");
    exposition_count(e, LABELS({"revision", revision}, {"sha256", generation->sha256}), 1);
    exposition_gauge(e, "sallyport_policy_last_reload_successful", "Whether the last reload was taken.");
    exposition_count(e, NULL, gateway->last_reload_good);
    exposition_gauge(e, "sallyport_policy_last_reload_success_timestamp_seconds",
                     "When a reload was taken last; 0: none was.");
    exposition_count(e, NULL, gateway->reload.good_at_us / 1000000);
    exposition_gauge(e, "sallyport_policy_unconfirmed", "Whether the policy in force goes unless confirmed.");
    exposition_count(e, NULL, gateway->reload.fallback != NULL);
    exposition_gauge(e, "sallyport_policy_from_files", "Whether the policy in force is that of the files.");
    exposition_count(e, NULL, gateway->reload.away[0] == '\0');
    exposition_counter(e, "sallyport_reloads_total", "Reloads by what became of them.");
    exposition_count(e, LABELS({"result", "good"}), gateway->reloads_good);
    exposition_count(e, LABELS({"result", "refused"}), gateway->reloads_refused);
    exposition_count(e, LABELS({"result", "returned"}), gateway->reloads_returned);
}

static void put_rules(struct exposition *e, const struct generation *generation)
{
    uint64_t rules = 0;
    exposition_counter(e, "sallyport_rule_hits_total", "How often a rule decided.");
    for (uint32_t r = 0; r < snapshot_roles(generation->policy); r++) {
        const struct policy_role *role = snapshot_role(generation->policy, r);
        for (uint32_t i = 0; i < acl_rules(role->acl); i++, rules++)
            if (rules < RULES_MAX)
                exposition_count(e, LABELS({"role", role->name}, {"rule", acl_rule_at(role->acl, i)->id}),
                                 rule_hits_sum(generation->hits, role, i));
    }
    exposition_gauge(e, "sallyport_rules_left_out", "Rules beyond those that are listed by name.");
    exposition_count(e, NULL, rules > RULES_MAX ? rules - RULES_MAX : 0);
}

static void put_candidate(struct exposition *e)
{
    struct metrics_candidate m;
    metrics_candidate(&m);
    exposition_gauge(e, "sallyport_candidate_loaded", "Whether a candidate is judged beside the policy.");
    exposition_count(e, NULL, m.loaded);
    exposition_counter(e, "sallyport_candidate_judged_total", "Actions that both have judged.");
    exposition_count(e, NULL, m.judged);
    exposition_counter(e, "sallyport_candidate_not_judged_total", "Actions that they have not, by why.");
    exposition_count(e, LABELS({"reason", "passed-over"}), m.passed_over);
    exposition_count(e, LABELS({"reason", "payload-not-at-hand"}), m.undecided);
    exposition_count(e, LABELS({"reason", "not-sampled"}), m.not_sampled);
    exposition_counter(e, "sallyport_candidate_differences_total",
                       "Actions that the candidate judges otherwise, by role in force and states.");
    for (uint32_t i = 0; i < m.differences_n; i++)
        exposition_count(e,
                         LABELS({"role", m.differences[i].role}, {"from", m.differences[i].from},
                                {"to", m.differences[i].to}),
                         m.differences[i].n);
    exposition_counter(e, "sallyport_candidate_differences_left_out_total",
                       "Differences that are not among those by role.");
    exposition_count(e, NULL, m.left_out);
}

/* ---- counters of workers ------------------------------------------------------------------------------- */

/* What judging came to is told by what kind of outcome it was, everything else as it is counted. */
struct judging {
    const char *group, *proto, *direction;
};

static const struct judging judgings[] = {
    {"up", "mqtt", "up"},
    {"down", "mqtt", "down"},
    {"coap-request", "coap", "up"},
    {"coap-response", "coap", "down"},
};

static const struct judging *judging_of(const char *group)
{
    for (size_t i = 0; i < sizeof(judgings) / sizeof(judgings[0]); i++)
        if (strcmp(judgings[i].group, group) == 0)
            return &judgings[i];
    return NULL;
}

struct of_group {
    struct exposition *e;
    enum outcome_group outcomes;
    const char *group; /* the plain one that is written */
    bool sparse;       /* without what never came */
    const char *before;
    enum outcome next; /* of the group of outcomes that is gone through */
};

static void put_outcome(void *owner, const char *group, const char *id, uint64_t value)
{
    struct of_group *of = owner;
    const struct judging *judging = judging_of(group);
    if (judging == NULL)
        return;
    if (of->before != judging->group)
        of->next = OUTCOME_UNDECIDED;
    of->before = judging->group;
    enum outcome outcome = of->next++;
    enum outcome_group kind = outcome_group(outcome);
    kind = kind == OUTCOME_OF_TIME || kind == OUTCOME_OF_END ? OUTCOME_OF_PROTOCOL : kind;
    if (value == 0 || kind != of->outcomes)
        return;
    const char *const label = kind == OUTCOME_OF_ACCESS  ? "cause"
                              : kind == OUTCOME_OF_LIMIT ? "limit"
                                                         : "kind";
    exposition_count(
        of->e,
        LABELS({"proto", judging->proto}, {"direction", judging->direction}, {label, id},
               {kind == OUTCOME_OF_ACCESS ? "verdict" : NULL, outcome == OUTCOME_ALLOWED ? "allow" : "deny"}),
        value);
}

static void put_outcomes(struct exposition *e)
{
    exposition_counter(e, "sallyport_decisions_total",
                       "Messages that rules and identity decided; causes that never came are left out.");
    metrics_groups(put_outcome, &(struct of_group){.e = e, .outcomes = OUTCOME_OF_ACCESS});
    exposition_counter(e, "sallyport_limit_exceeded_total", "Messages that a limit held or refused.");
    metrics_groups(put_outcome, &(struct of_group){.e = e, .outcomes = OUTCOME_OF_LIMIT});
    exposition_counter(e, "sallyport_protocol_errors_total",
                       "Messages that broke the protocol or its times.");
    metrics_groups(put_outcome, &(struct of_group){.e = e, .outcomes = OUTCOME_OF_PROTOCOL});
}

static void put_plain(void *owner, const char *group, const char *id, uint64_t value)
{
    struct of_group *of = owner;
    if (strcmp(group, of->group) == 0 && !(of->sparse && value == 0))
        exposition_count(of->e, LABELS({"kind", id}), value);
}

static void put_groups(struct exposition *e)
{
    static const struct {
        const char *group, *name, *help;
        bool sparse;
    } plain[] = {
        {"tcp", "sallyport_tcp_total", "What TCP counted."},
        {"tls", "sallyport_tls_total", "What TLS counted."},
        {"mqtt", "sallyport_mqtt_total", "What MQTT sessions counted."},
        {"coap", "sallyport_coap_total", "What CoAP counted."},
        {"dtls-clients", "sallyport_dtls_clients_total", "What DTLS with clients counted."},
        {"auth", "sallyport_passwords_total", "Passwords, by how they were checked."},
        {"refused", "sallyport_connections_refused_total", "Connections that were refused, by why.",
         .sparse = true},
        {"frame", "sallyport_frames_total", "Frames of all ports, by what became of them."},
    };
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        exposition_counter(e, plain[i].name, plain[i].help);
        metrics_groups(put_plain,
                       &(struct of_group){.e = e, .group = plain[i].group, .sparse = plain[i].sparse});
    }
}

/* ---- workers, ports, upstreams ------------------------------------------------------------------------- */

static struct worker_stats stats[WORKERS_MAX];

static void put_workers(struct exposition *e, uint32_t workers)
{
    uint64_t mqtt = 0, coap = 0, connections = 0, tls = 0, dropped = 0;
    double hz = (double)rte_get_tsc_hz();
    char name[16];
    for (uint32_t w = 0; w < workers; w++) {
        mqtt += stats[w].sessions;
        coap += stats[w].coap_clients;
        connections += stats[w].connections;
        tls += stats[w].tls_sessions;
        dropped += stats[w].events_dropped;
    }
    exposition_gauge(e, "sallyport_sessions", "Clients that are known now.");
    exposition_count(e, LABELS({"proto", "mqtt"}), mqtt);
    exposition_count(e, LABELS({"proto", "coap"}), coap);
    exposition_gauge(e, "sallyport_tcp_connections", "TCP connections of both sides.");
    exposition_count(e, NULL, connections);
    exposition_gauge(e, "sallyport_tls_sessions", "TLS sessions of both sides.");
    exposition_count(e, NULL, tls);
    exposition_counter(e, "sallyport_events_dropped_total", "Events that found no room in a worker's ring.");
    exposition_count(e, NULL, dropped);
    exposition_counter(e, "sallyport_lcore_busy_seconds_total", "Time in iterations that did something.");
    for (uint32_t w = 0; w < workers; w++) {
        snprintf(name, sizeof(name), "%u", w);
        exposition_real(e, LABELS({"worker", name}), (double)stats[w].busy_tsc / hz);
    }
    exposition_counter(e, "sallyport_lcore_seconds_total", "Time in all.");
    for (uint32_t w = 0; w < workers; w++) {
        snprintf(name, sizeof(name), "%u", w);
        exposition_real(e, LABELS({"worker", name}), (double)stats[w].total_tsc / hz);
    }
    exposition_gauge(e, "sallyport_chunks_free_ratio", "Of a worker's buffers, how many are free.");
    for (uint32_t w = 0; w < workers; w++) {
        snprintf(name, sizeof(name), "%u", w);
        if (stats[w].chunks != 0)
            exposition_real(e, LABELS({"worker", name}),
                            (double)stats[w].chunks_free / (double)stats[w].chunks);
    }
}

static void put_ports(struct exposition *e, const struct gateway *gateway, uint32_t workers)
{
    static const struct {
        const char *name, *help;
        size_t offset;
    } families[] = {
        {"sallyport_port_receive_packets_total", "Packets received.",
         offsetof(struct worker_stats, net.rx_packets)},
        {"sallyport_port_receive_bytes_total", "Bytes received.",
         offsetof(struct worker_stats, net.rx_bytes)},
        {"sallyport_port_transmit_packets_total", "Packets sent.",
         offsetof(struct worker_stats, net.tx_packets)},
        {"sallyport_port_transmit_bytes_total", "Bytes sent.", offsetof(struct worker_stats, net.tx_bytes)},
    };
    for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
        exposition_counter(e, families[f].name, families[f].help);
        for (uint32_t p = 0; p < gateway->ports_n; p++) {
            uint64_t sum = 0;
            for (uint32_t w = 0; w < workers; w++)
                sum += ((const uint64_t *)(const void *)((const uint8_t *)&stats[w] + families[f].offset))[p];
            exposition_count(e, LABELS({"port", gateway->ports[p].name}), sum);
        }
    }
}

/* A server that is listed twice is one series. */
static bool is_twice(const struct config_upstream *upstream, uint32_t server)
{
    for (uint32_t i = 0; i < server; i++)
        if (upstream->servers[i].port == upstream->servers[server].port &&
            memcmp(upstream->servers[i].address, upstream->servers[server].address,
                   sizeof(upstream->servers[i].address)) == 0)
            return true;
    return false;
}

/* Active checks are worker 0's. */
static void put_upstreams(struct exposition *e, const struct gateway_config *config)
{
    for (int family = 0; family < 2; family++) {
        if (family == 0)
            exposition_gauge(e, "sallyport_upstream_up", "Whether a server is used.");
        else
            exposition_gauge(e, "sallyport_upstream_rtt_seconds",
                             "Of the last good check, where there is one.");
        for (uint32_t u = 0; u < config->upstreams_n; u++)
            for (uint32_t s = 0; s < config->upstreams[u].servers_n; s++) {
                char text[IP_ADDRESS_TEXT], place[IP_ADDRESS_TEXT + 8];
                struct ip_address address;
                memcpy(address.bytes, config->upstreams[u].servers[s].address, sizeof(address.bytes));
                if (is_twice(&config->upstreams[u], s))
                    continue;
                snprintf(place, sizeof(place), "%s:%u", ip_address_format(&address, text),
                         config->upstreams[u].servers[s].port);
                if (family == 0)
                    exposition_count(e, LABELS({"upstream", config->upstreams[u].name}, {"server", place}),
                                     stats[0].upstream_up[u][s]);
                else if (stats[0].health[u][s].rtt_us != 0)
                    exposition_real(e, LABELS({"upstream", config->upstreams[u].name}, {"server", place}),
                                    stats[0].health[u][s].rtt_us / 1e6);
            }
    }
}

static void put_process(struct exposition *e, const struct gateway *gateway)
{
    struct rusage usage = {.ru_maxrss = 0};
    (void)getrusage(RUSAGE_SELF, &usage);
    exposition_counter(e, "sallyport_events_written_total", "Lines of the event file.");
    exposition_count(e, NULL, event_log_written(gateway->log));
    exposition_counter(e, "sallyport_events_lost_total", "Lines that the event file did not take.");
    exposition_count(e, NULL, event_log_lost(gateway->log));
    exposition_counter(e, "sallyport_learn_files_total", "Files of what is learned, by what became of them.");
    exposition_count(e, LABELS({"result", "kept"}), gateway->learn.kept);
    exposition_count(e, LABELS({"result", "not-kept"}), gateway->learn.not_kept);
    exposition_count(e, LABELS({"result", "refused"}), gateway->learn.refused);
    exposition_gauge(e, "process_start_time_seconds", "When the gateway started.");
    exposition_real(e, NULL, (double)(gateway->started_us / 1000000));
    exposition_counter(e, "process_cpu_seconds_total", "Processor time of all threads.");
    exposition_real(e, NULL,
                    (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                        (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

int command_metrics(struct command *command)
{
    struct gateway *gateway = command->gateway;
    struct exposition e = {.to = command->out};
    if (command->words_n != 1 || command->json) {
        fprintf(command->out, "usage: metrics [-o FILE]: in Prometheus' text format\n");
        return 2;
    }
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        /* Of one that does not answer: what it said last. */
        if (gateway_stats(gateway, i, &stats[i]))
            metrics_update(i, &stats[i]);
        else if (!metrics_worker(i, &stats[i]))
            memset(&stats[i], 0, sizeof(stats[i]));
    }
    candidates_metrics(gateway);
    put_policy(&e, gateway);
    put_rules(&e, gateway->generation);
    put_candidate(&e);
    put_outcomes(&e);
    put_groups(&e);
    put_workers(&e, gateway->workers_n);
    put_ports(&e, gateway, gateway->workers_n);
    put_upstreams(&e, gateway->generation->config);
    put_process(&e, gateway);
    return 0;
}
