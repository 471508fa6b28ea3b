/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/command.h"

#include "gateway/json.h"
#include "gateway/metrics.h"
#include "gateway/reload.h"

#include <string.h>

#define SESSIONS_AT_ONCE 64

static int command_health(struct command *command)
{
    struct gateway *gateway = command->gateway;
    const char *ill = NULL;
    struct worker_stats stats;
    for (uint32_t i = 0; i < gateway->workers_n; i++)
        if (!gateway_stats(gateway, i, &stats))
            ill = "a worker does not answer";
    if (gateway->draining)
        ill = "draining";
    fprintf(command->out, "%s\n", ill == NULL ? "ok" : ill);
    return ill == NULL ? 0 : 1;
}

static int command_ports(struct command *command)
{
    struct gateway *gateway = command->gateway;
    const struct gateway_config *config = gateway->generation->config;
    uint64_t sums[PORT_MAX][4] = {0};
    for (uint32_t w = 0; w < gateway->workers_n; w++) {
        struct worker_stats stats;
        if (!gateway_stats(gateway, w, &stats))
            continue;
        for (uint32_t p = 0; p < gateway->ports_n; p++) {
            sums[p][0] += stats.net.rx_packets[p];
            sums[p][1] += stats.net.rx_bytes[p];
            sums[p][2] += stats.net.tx_packets[p];
            sums[p][3] += stats.net.tx_bytes[p];
        }
    }
    fprintf(command->out, "%-10s %-28s %5s %12s %14s %12s %14s\n", "PORT", "DEVICE", "MTU", "RX", "BYTES",
            "TX", "BYTES");
    for (uint32_t p = 0; p < gateway->ports_n; p++)
        fprintf(command->out, "%-10s %-28s %5u %12llu %14llu %12llu %14llu\n", gateway->ports[p].name,
                config->devices[p], gateway->ports[p].mtu, (unsigned long long)sums[p][0],
                (unsigned long long)sums[p][1], (unsigned long long)sums[p][2],
                (unsigned long long)sums[p][3]);
    return 0;
}

/* What active checks say: "healthy, 1.8 ms", "sick for 12 s: connection refused", "-" without any. */
static const char *check_text(const struct health_report *health, uint64_t now_us, char *out, size_t room)
{
    if (health->verdict == UPSTREAM_SICK)
        snprintf(out, room, "sick for %llu s: %s",
                 (unsigned long long)((now_us - health->since_us) / 1000000), health->why);
    else
        snprintf(out, room, health->verdict == UPSTREAM_HEALTHY ? "healthy, %.1f ms" : "-",
                 health->rtt_us / 1e3);
    return out;
}

static int command_upstreams(struct command *command)
{
    const struct gateway_config *config = command->gateway->generation->config;
    struct worker_stats stats;
    if (!gateway_stats(command->gateway, 0, &stats))
        return 1;
    fprintf(command->out, "%-16s %-46s %-5s %s\n", "UPSTREAM", "SERVER", "STATE", "CHECK");
    for (uint32_t u = 0; u < config->upstreams_n; u++)
        for (uint32_t s = 0; s < config->upstreams[u].servers_n; s++) {
            char text[IP_ADDRESS_TEXT];
            struct ip_address address;
            memcpy(address.bytes, config->upstreams[u].servers[s].address, sizeof(address.bytes));
            char place[IP_ADDRESS_TEXT + 8], check[HEALTH_REASON_MAX + 32];
            snprintf(place, sizeof(place), "%s:%u", ip_address_format(&address, text),
                     config->upstreams[u].servers[s].port);
            fprintf(command->out, "%-16s %-46s %-5s %s\n", config->upstreams[u].name, place,
                    stats.upstream_up[u][s] ? "up" : "out",
                    check_text(&stats.health[u][s], stats.now_us, check, sizeof(check)));
        }
    return 0;
}

static void print_counter(void *owner, const char *name, uint64_t value)
{
    fprintf(owner, "%s %llu\n", name, (unsigned long long)value);
}

static int command_counters(struct command *command)
{
    struct gateway *gateway = command->gateway;
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        struct worker_stats stats;
        if (gateway_stats(gateway, i, &stats))
            metrics_update(i, &stats);
    }
    reload_metrics(gateway);
    metrics_each(print_counter, command->out);
    fprintf(command->out, "events.written %llu\nevents.lost %llu\n",
            (unsigned long long)event_log_written(gateway->log),
            (unsigned long long)event_log_lost(gateway->log));
    return 0;
}

static int command_drain(struct command *command)
{
    command->gateway->draining = true;
    fprintf(command->out, "draining\n");
    return 0;
}

static int command_where(struct command *command)
{
    const struct gateway *gateway = command->gateway;
    const char *events = gateway->generation->config->events.file;
    fprintf(command->out, "config %s\npolicy %s\nevents %s\n", gateway->options->config_file,
            gateway->options->policy_directory, events == NULL ? "-" : events);
    return 0;
}

static const struct {
    const char *name;
    bool acts;
    int (*run)(struct command *command);
    const char *help;
} commands[] = {
    {"status", false, command_status, "one screen about everything"},
    {"health", false, command_health, "ok, or why not"},
    {"clients", false, command_clients, "live sessions [PATTERN]"},
    {"show", false, command_show, "one session: CLIENT"},
    {"ports", false, command_ports, "ports and their counters"},
    {"upstreams", false, command_upstreams, "servers and their state"},
    {"rules", false, command_rules,
     "roles and rules in force, and how often each decided; --unused: those that never did"},
    {"counters", false, command_counters, "every counter"},
    {"metrics", false, command_metrics, "everything that is counted, for Prometheus"},
    {"explain", false, command_explain,
     "CLIENT connect|publish|subscribe|GET|... [TOPIC or PATH] [--why-not] and more: explain; --event "
     "SEQUENCE|last: a refusal that was logged, and what is decided of it now"},
    {"where", false, command_where, "files in use"},
    {"policy", false, command_policy, "log | diff [REV [REV]] | show REV | restore REV"},
    {"candidate", false, command_candidate,
     "load [PATH] [--sample N%] | status | report | promote [--accept] | drop: a policy judged beside the "
     "one in force"},
    {"reload", true, command_reload, "load the files again [--wait] [--confirm TIME]"},
    {"confirm", true, command_confirm, "what was reloaded with --confirm stays"},
    {"learn", false, command_learn,
     "start ROLE|--all [--for TIME] [--resume] | status | report [ROLE] | write [ROLE] | keep [ROLE] | "
     "stop [ROLE] | forget ROLE"},
    {"check", true, command_check, "what a reload would do, of the files or of FILE"},
    {"test", true, command_test, "the tests of the policy files, one by one"},
    {"kick", true, command_kick, "end a client's sessions: CLIENT"},
    {"quarantine", false, command_quarantine,
     "shut a client out: CLIENT [--reason WHY]; alone: who is shut out"},
    {"release", true, command_release, "let a quarantined client in again: CLIENT"},
    {"drain", true, command_drain, "end all sessions in order, then stop"},
};

/* What was asked, with whoever asked it. */
static void tell(struct command *command, const char *end)
{
    struct event event = {.time_us = gateway_wall_us(),
                          .kind = EVENT_ADMIN,
                          .enforced = true,
                          .has_uid = command->has_uid,
                          .uid = command->uid,
                          .ruleset = command->gateway->generation->number};
    size_t used = 0;
    for (uint32_t i = 0; i < command->words_n && used < sizeof(event.detail) - 1; i++)
        used += (size_t)snprintf(event.detail + used, sizeof(event.detail) - used, "%s%s", i == 0 ? "" : " ",
                                 command->words[i]);
    if (used < sizeof(event.detail) - 1)
        snprintf(event.detail + used, sizeof(event.detail) - used, "%s", end);
    event_set_name(event.user, sizeof(event.user), bytes_of_text(command->user));
    event_log_write(command->gateway->log, &event);
}

void command_event(struct command *command)
{
    tell(command, "");
}

int command_refuse(struct command *command)
{
    tell(command, ": not permitted");
    fprintf(command->out, "%s: not permitted for %s; ask as root or a member of sallyport-admin\n",
            command->words[0], command->user);
    return 4;
}

static int usage(struct command *command)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(command->out, "%-10s %s\n", commands[i].name, commands[i].help);
    return 2;
}

int command_run(struct command *command)
{
    if (command->words_n == 0)
        return usage(command);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, command->words[0]) != 0)
            continue;
        if (!commands[i].acts)
            return commands[i].run(command);
        if (!command->may_act)
            return command_refuse(command);
        command_event(command);
        return commands[i].run(command);
    }
    fprintf(command->out, "unknown command '%s'\n", command->words[0]);
    return usage(command);
}
