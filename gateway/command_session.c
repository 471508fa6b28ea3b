/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status, clients, show: what is going on. */
#include "dataplane/secure/crypto_offload.h"
#include "gateway/command.h"
#include "gateway/command_text.h"
#include "gateway/json.h"
#include "gateway/reload.h"
#include "policy/access/glob.h"

#include <string.h>

#define BATCH 64

/* Calls `each` for every live session until it answers false. */
static void for_sessions(struct gateway *gateway, bool (*each)(void *owner, const struct relay_info *info),
                         void *owner)
{
    /* Static: a worker that answers late still finds its own. */
    static struct worker_request requests[WORKERS_MAX];
    static struct relay_info batches[WORKERS_MAX][BATCH];
    for (uint32_t w = 0; w < gateway->workers_n; w++) {
        struct worker_request *request = &requests[w];
        if (!worker_listens(gateway->workers[w]))
            continue;
        request->kind = WORKER_SESSIONS;
        request->sessions = batches[w];
        request->room = BATCH;
        request->position = 0;
        do {
            if (!worker_ask(gateway->workers[w], request))
                break;
            for (uint32_t i = 0; i < request->n; i++)
                if (!each(owner, &batches[w][i]))
                    return;
        } while (request->more);
    }
}

struct search {
    const char *name;
    struct relay_info *out;
    bool found;
};

static bool search_one(void *owner, const struct relay_info *info)
{
    struct search *search = owner;
    if (strcmp(info->client_id, search->name) != 0 && strcmp(info->identity, search->name) != 0)
        return true;
    *search->out = *info;
    search->found = true;
    return false;
}

bool command_find_session(struct gateway *gateway, const char *name, struct relay_info *out)
{
    struct search search = {.name = name, .out = out};
    for_sessions(gateway, search_one, &search);
    return search.found;
}

struct totals {
    uint64_t sessions, connections, tls, up, down, denied, events_dropped;
    uint64_t busy_tsc, total_tsc;
    uint64_t coap_requests, coap_clients, coap_observations, cache_hits, cache_asked;
    uint32_t answering;
};

static void sum_workers(struct gateway *gateway, struct totals *t)
{
    *t = (struct totals){0};
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        struct worker_stats s;
        if (!gateway_stats(gateway, i, &s))
            continue;
        t->answering++;
        t->sessions += s.sessions;
        t->connections += s.connections;
        t->tls += s.tls_sessions;
        t->up += s.relays.count[RELAY_PUBLISH_UP];
        t->down += s.relays.count[RELAY_PUBLISH_DOWN];
        t->denied += s.relays.from_device[OUTCOME_DEFAULT_DENY] + s.relays.from_device[OUTCOME_RULE_DENY];
        t->events_dropped += s.events_dropped;
        const uint64_t *coap = s.coap.count;
        t->coap_requests += coap[COAP_COUNT_REQUESTS];
        t->coap_clients += s.coap_clients;
        t->coap_observations += coap[COAP_COUNT_OBSERVATIONS] - coap[COAP_COUNT_OBSERVATIONS_ENDED];
        t->cache_hits += coap[COAP_COUNT_CACHE_HITS];
        t->cache_asked += coap[COAP_COUNT_CACHE_HITS] + coap[COAP_COUNT_CACHE_MISSES];
        t->busy_tsc += s.busy_tsc;
        t->total_tsc += s.total_tsc;
    }
}

static void status_json(struct command *command, const struct totals *t)
{
    char text[2048];
    const struct gateway *gateway = command->gateway;
    const struct generation *generation = gateway->generation;
    struct json j;
    json_init(&j, text, sizeof(text));
    json_open(&j, NULL, '{');
    json_text(&j, "name", generation->config->name);
    json_text(&j, "version", GATEWAY_VERSION);
    json_text(&j, "mode", generation->config->observe ? "observe" : "enforce");
    json_number(&j, "uptime_s", (gateway_monotonic_us() - gateway->up_since_us) / 1000000);
    json_number(&j, "policy_revision", generation->number);
    json_text(&j, "policy_fingerprint", snapshot_fingerprint(generation->policy));
    json_text(&j, "policy_sha256", generation->sha256);
    json_number(&j, "policy_since_us", generation->loaded_at_us);
    json_boolean(&j, "confirmed", gateway->reload.fallback == NULL);
    if (gateway->reload.fallback != NULL)
        json_number(&j, "returns_to", gateway->reload.fallback->number);
    json_text(&j, "not_from_files", gateway->reload.away);
    json_boolean(&j, "last_reload_good", gateway->last_reload_good);
    json_boolean(&j, "draining", gateway->draining);
    json_number(&j, "workers", gateway->workers_n);
    json_number(&j, "workers_answering", t->answering);
    json_number(&j, "mqtt_sessions", t->sessions);
    json_number(&j, "tcp_connections", t->connections);
    json_number(&j, "tls_sessions", t->tls);
    json_text(&j, "record_crypto", crypto_offload_text());
    json_number(&j, "publish_up", t->up);
    json_number(&j, "publish_down", t->down);
    json_number(&j, "denied", t->denied);
    json_number(&j, "coap_requests", t->coap_requests);
    json_number(&j, "coap_clients", t->coap_clients);
    json_number(&j, "coap_observations", t->coap_observations);
    json_number(&j, "coap_cache_hits", t->cache_hits);
    json_number(&j, "coap_cache_asked", t->cache_asked);
    json_number(&j, "events_dropped", t->events_dropped);
    json_number(&j, "will_storm", will_storm_ends(&gateway->will_storm));
    json_close(&j, '}');
    fprintf(command->out, "%s\n", text);
}

/* Only where there is any. */
static void print_coap(FILE *out, const struct totals *t)
{
    if (t->coap_requests == 0)
        return;
    fprintf(out, "coap      clients %llu, observations %llu   requests %llu",
            (unsigned long long)t->coap_clients, (unsigned long long)t->coap_observations,
            (unsigned long long)t->coap_requests);
    if (t->cache_asked != 0)
        fprintf(out, "   from the cache %.1f%%", 100.0 * (double)t->cache_hits / (double)t->cache_asked);
    fprintf(out, "\n");
}

int command_status(struct command *command)
{
    struct gateway *gateway = command->gateway;
    const struct generation *generation = gateway->generation;
    struct totals t;
    sum_workers(gateway, &t);
    bool healthy = t.answering == gateway->workers_n && !gateway->draining;
    if (command->json) {
        status_json(command, &t);
        return healthy ? 0 : 1;
    }
    fprintf(command->out, "%s  %s  up ", generation->config->name,
            generation->config->observe ? "observing" : "enforcing");
    command_put_duration(command->out, (gateway_monotonic_us() - gateway->up_since_us) / 1000000);
    fprintf(command->out, "   policy rev %u %s   health %s\n", generation->number,
            snapshot_fingerprint(generation->policy),
            healthy             ? "ok"
            : gateway->draining ? "draining"
                                : "worker stalled");
    fprintf(command->out,
            "sessions  mqtt %llu  (tcp %llu, tls %llu)   publishes up %llu down %llu denied %llu\n",
            (unsigned long long)t.sessions, (unsigned long long)t.connections, (unsigned long long)t.tls,
            (unsigned long long)t.up, (unsigned long long)t.down, (unsigned long long)t.denied);
    print_coap(command->out, &t);
    if (t.tls != 0)
        fprintf(command->out, "records   %s\n", crypto_offload_text());
    fprintf(command->out, "workers   %u, busy %.1f%%   policy %u roles, %u rules, %u devices\n",
            gateway->workers_n, t.total_tsc == 0 ? 0.0 : 100.0 * (double)t.busy_tsc / (double)t.total_tsc,
            generation->summary.roles, generation->summary.rules, generation->summary.devices);
    reload_attention(gateway, command->out);
    if (will_storm_ends(&gateway->will_storm) != 0)
        fprintf(command->out, "attention ! will storm: %llu clients ended without DISCONNECT\n",
                (unsigned long long)will_storm_ends(&gateway->will_storm));
    if (event_log_error(gateway->log) != 0)
        fprintf(command->out, "attention ! events cannot be written: %s; %llu lost\n",
                strerror(event_log_error(gateway->log)), (unsigned long long)event_log_lost(gateway->log));
    if (t.events_dropped != 0)
        fprintf(command->out, "attention ! %llu events dropped\n", (unsigned long long)t.events_dropped);
    return healthy ? 0 : 1;
}

/* Names come from clients: what is not printable is shown as '?'. */
static const char *printable(const char *text, char *to, size_t room)
{
    size_t i = 0;
    for (; text[i] != '\0' && i < room - 1; i++)
        to[i] = text[i] > 0x20 && text[i] < 0x7f ? text[i] : '?';
    to[i] = '\0';
    return i == 0 ? "-" : to;
}

struct listing {
    struct command *command;
    const char *pattern;
    uint32_t shown;
};

static void list_json(FILE *out, const struct relay_info *info)
{
    char text[2048];
    char address[IP_ADDRESS_TEXT];
    struct json j;
    json_init(&j, text, sizeof(text));
    json_open(&j, NULL, '{');
    json_text(&j, "client_id", info->client_id);
    json_text(&j, "identity", info->identity);
    json_text(&j, "role", info->role);
    json_text(&j, "ip", ip_address_format(&info->origin.key.remote, address));
    json_number(&j, "port", info->origin.key.remote_port);
    json_number(&j, "session", info->session);
    json_number(&j, "version", info->version);
    json_number(&j, "publishes_up", info->publishes_up);
    json_number(&j, "publishes_down", info->publishes_down);
    json_number(&j, "denied", info->denied);
    json_text(&j, "tls", info->device_tls);
    json_text(&j, "upstream", info->upstream);
    json_text(&j, "upstream_tls", info->upstream_tls);
    if (info->has_server) {
        json_text(&j, "server_ip", ip_address_format(&info->server, address));
        json_number(&j, "server_port", info->server_port);
    }
    json_close(&j, '}');
    fprintf(out, "%s\n", text);
}

/* TLS of both sides, the device's first: "-/1.3". */
static const char *versions(const struct relay_info *info, char to[EVENT_NAME_MAX])
{
    const char *const sides[] = {info->device_tls, info->upstream_tls};
    size_t used = 0;
    for (int i = 0; i < 2; i++)
        used += (size_t)snprintf(to + used, EVENT_NAME_MAX - used, "%s%.3s", i == 0 ? "" : "/",
                                 sides[i][0] == '\0' ? "-" : sides[i]);
    return to;
}

static bool list_one(void *owner, const struct relay_info *info)
{
    struct listing *listing = owner;
    char names[3][EVENT_NAME_MAX];
    char address[IP_ADDRESS_TEXT];
    char from[IP_ADDRESS_TEXT + 8];
    if (listing->pattern != NULL &&
        !glob_match(bytes_of_text(listing->pattern), bytes_of_text(info->client_id), NULL))
        return true;
    listing->shown++;
    if (listing->command->json) {
        list_json(listing->command->out, info);
        return true;
    }
    snprintf(from, sizeof(from), "%s:%u", ip_address_format(&info->origin.key.remote, address),
             info->origin.key.remote_port);
    fprintf(listing->command->out, "%-24s %-12s %-24s %4s %8llu %8llu %6llu %s\n",
            printable(info->client_id, names[0], sizeof(names[0])),
            printable(info->role, names[1], sizeof(names[1])), from,
            info->version == 5   ? "5.0"
            : info->version == 4 ? "3.1.1"
            : info->version == 3 ? "3.1"
                                 : "-",
            (unsigned long long)info->publishes_up, (unsigned long long)info->publishes_down,
            (unsigned long long)info->denied, versions(info, names[2]));
    return true;
}

int command_clients(struct command *command)
{
    struct listing listing = {.command = command, .pattern = command->words_n > 1 ? command->words[1] : NULL};
    if (listing.pattern != NULL && glob_check(bytes_of_text(listing.pattern)) != NULL) {
        fprintf(command->out, "pattern: %s\n", glob_check(bytes_of_text(listing.pattern)));
        return 2;
    }
    if (!command->json)
        fprintf(command->out, "%-24s %-12s %-24s %4s %8s %8s %6s %s\n", "CLIENT", "ROLE", "FROM", "MQTT",
                "UP", "DOWN", "DENY", "TLS");
    for_sessions(command->gateway, list_one, &listing);
    return listing.pattern != NULL && listing.shown == 0 ? 1 : 0;
}

int command_show(struct command *command)
{
    struct relay_info info;
    char text[EVENT_NAME_MAX];
    char address[IP_ADDRESS_TEXT];
    if (command->words_n != 2) {
        fprintf(command->out, "usage: show CLIENT\n");
        return 2;
    }
    if (!command_find_session(command->gateway, command->words[1], &info)) {
        fprintf(command->out, "no live session of '%s'\n", command->words[1]);
        return 1;
    }
    if (command->json) {
        list_json(command->out, &info);
        return 0;
    }
    fprintf(command->out, "client    %s\n", printable(info.client_id, text, sizeof(text)));
    fprintf(command->out, "identity  %s\n", printable(info.identity, text, sizeof(text)));
    fprintf(command->out, "role      %s\n", printable(info.role, text, sizeof(text)));
    fprintf(command->out, "user      %s\n", printable(info.user, text, sizeof(text)));
    fprintf(command->out, "from      %s port %u", ip_address_format(&info.origin.key.remote, address),
            info.origin.key.remote_port);
    const uint8_t *mac = info.origin.mac;
    if (info.origin.has_mac)
        fprintf(command->out, "  mac %02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                mac[5]);
    fprintf(command->out, "\nto        %s port %u  %s%s\n",
            ip_address_format(&info.origin.key.local, address), info.origin.key.local_port,
            info.device_tls[0] == '\0' ? "plaintext" : "TLS ", info.device_tls);
    fprintf(command->out, "upstream  %s", printable(info.upstream, text, sizeof(text)));
    if (info.has_server)
        fprintf(command->out, "  %s port %u", ip_address_format(&info.server, address), info.server_port);
    fprintf(command->out, "  %s%s\n",
            info.upstream[0] == '\0'       ? ""
            : info.upstream_tls[0] == '\0' ? "plaintext"
                                           : "TLS ",
            info.upstream_tls);
    fprintf(command->out, "publishes up %llu  down %llu  denied %llu\n",
            (unsigned long long)info.publishes_up, (unsigned long long)info.publishes_down,
            (unsigned long long)info.denied);
    return 0;
}
