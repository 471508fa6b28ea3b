/* SPDX-License-Identifier: GPL-2.0-or-later */
/* candidate load, status, report, promote, drop: a policy judged beside the one in force (G6). */
#include "gateway/candidates.h"
#include "gateway/command.h"
#include "gateway/command_text.h"
#include "gateway/json.h"
#include "gateway/reload.h"

#include <stdlib.h>
#include <string.h>

#define USAGE                                                                                                \
    "usage: candidate load [PATH] [--sample N%%] | status | report | promote [--accept] [--wait] "           \
    "[--confirm TIME] | drop\n"                                                                              \
    "PATH, which is absolute, is a directory of policy files, one such file, or a whole configuration; "     \
    "without it: the files as they are now\n"
#define JSON_ROOM 4096

static int usage(struct command *command)
{
    fprintf(command->out, USAGE);
    return 2;
}

static int none(struct command *command)
{
    fprintf(command->out, "there is no candidate; sallyportctl candidate load\n");
    return 1;
}

/* ---- load, drop ---------------------------------------------------------------------------------------- */

/* "10%", "0.5%" in parts of a million; false when it is not from 0.0001% to 100%. */
static bool take_share(const char *text, uint32_t *share)
{
    char *end;
    double percent = strtod(text, &end);
    if (text[0] < '0' || text[0] > '9' || (strcmp(end, "%") != 0 && *end != '\0') || percent > 100)
        return false;
    *share = (uint32_t)(percent * (CANDIDATE_SAMPLE_ALL / 100.0) + 0.5);
    return *share != 0;
}

static int load(struct command *command)
{
    const char *path = NULL;
    uint32_t share = CANDIDATE_SAMPLE_ALL;
    for (uint32_t i = 2; i < command->words_n; i++) {
        const char *word = command->words[i];
        if (strcmp(word, "--sample") == 0 && i + 1 < command->words_n) {
            if (!take_share(command->words[++i], &share)) {
                fprintf(command->out, "--sample %s: a share of the clients, from 0.0001%% to 100%%\n",
                        command->words[i]);
                return 2;
            }
        } else if (word[0] == '/' && path == NULL) {
            path = word;
        } else {
            return usage(command);
        }
    }
    return candidates_load(command->gateway, path, share, command->user, command->out) ? 0
                                                                                       : GATEWAY_EXIT_CONFIG;
}

static int drop(struct command *command)
{
    if (command->words_n != 2)
        return usage(command);
    if (!candidates_drop(command->gateway))
        return none(command);
    fprintf(command->out, "the candidate is gone; rev %u is in force as before\n",
            command->gateway->generation->number);
    return 0;
}

/* ---- status and report --------------------------------------------------------------------------------- */

/* One side of a row in words. */
struct words {
    const char *role, *rule, *file, *why;
    char limit[CANDIDATE_LIMIT_TEXT]; /* empty: no limit decided */
    uint32_t line;
};

static struct words words_of(const struct generation *generation, const struct candidate_side *side)
{
    struct words w = {.role = "-", .rule = "-", .why = outcome_id((enum outcome)side->outcome)};
    candidate_limit_text(side->limit, w.limit);
    if (side->role == CANDIDATE_ROLE_NONE)
        return w;
    const struct policy_role *role = snapshot_role(generation->policy, side->role);
    w.role = role->name;
    w.file = role->file;
    w.line = role->line;
    if (side->rule == ACL_RULE_NONE)
        return w;
    const struct acl_rule *rule = acl_rule_at(role->acl, side->rule);
    w.rule = rule->id;
    w.file = rule->file;
    w.line = rule->line;
    return w;
}

static const char *what_text(uint8_t kind, uint8_t action)
{
    static const char *const methods[ACL_ACTIONS] = {"publish", "subscribe", "GET",   "POST",   "PUT",
                                                     "DELETE",  "FETCH",     "PATCH", "iPATCH", "observe"};
    switch ((enum judged_kind)kind) {
    case JUDGED_CONNECT:
    case JUDGED_TERMS:
        return "connect";
    case JUDGED_WILL:
        return "will";
    case JUDGED_DELIVERY:
        return "deliver";
    case JUDGED_PING:
        return "ping";
    case JUDGED_PUBLISH:
    case JUDGED_SUBSCRIBE:
    case JUDGED_REQUEST:
    case JUDGED_KINDS:
        break;
    }
    return action < ACL_ACTIONS ? methods[action] : "?";
}

static void json_side(struct json *j, const char *key, const struct words *w, uint8_t state)
{
    json_open(j, key, '{');
    json_text(j, "state", candidate_state_text(state));
    json_text(j, "cause", w->why);
    json_text(j, "role", w->role);
    json_text(j, "rule", w->rule);
    if (w->limit[0] != '\0')
        json_text(j, "limit", w->limit);
    if (w->file != NULL) {
        json_text(j, "file", w->file);
        json_number(j, "line", w->line);
    }
    json_close(j, '}');
}

/* What a difference by rule and one by client have in common: its beginning in JSON_ROOM, and its end. */
static void json_difference(struct json *j, char *text, const char *by, uint8_t kind, uint8_t action,
                            uint8_t from, uint8_t to, uint64_t count)
{
    json_init(j, text, JSON_ROOM);
    json_open(j, NULL, '{');
    json_text(j, "difference", by);
    json_text(j, "action", what_text(kind, action));
    json_text(j, "from", candidate_state_text(from));
    json_text(j, "to", candidate_state_text(to));
    json_number(j, "count", count);
}

static void json_end(struct json *j, const struct candidate_example *example, FILE *out)
{
    json_open(j, "example", '{');
    json_text(j, "client", example->client);
    json_bytes(j, "topic", bytes_of(example->topic, example->topic_len));
    json_number(j, "qos", example->qos);
    json_boolean(j, "retain", example->retain);
    json_close(j, '}');
    json_close(j, '}');
    if (!j->full)
        fprintf(out, "%s\n", j->at);
}

static void put_example(FILE *out, const struct candidate_example *example)
{
    command_put_safe(out, bytes_of_text(example->client));
    fputc(' ', out);
    command_put_safe(out, bytes_of(example->topic, example->topic_len));
    fprintf(out, "%s  qos %u%s\n", example->topic_len == CANDIDATE_TOPIC_MAX ? "..." : "", example->qos,
            example->retain ? " retained" : "");
}

static void put_side(FILE *out, const char *what, const struct words *w)
{
    fprintf(out, "      %-9s %s, role %s", what, w->why, w->role);
    if (strcmp(w->rule, "-") != 0)
        fprintf(out, ", rule %s", w->rule);
    if (w->limit[0] != '\0')
        fprintf(out, ", %s", w->limit);
    if (w->file != NULL)
        fprintf(out, "  %s:%u", w->file, w->line);
    fputc('\n', out);
}

static void print_row(struct command *command, const struct candidate_row *row)
{
    const struct gateway *gateway = command->gateway;
    struct words live = words_of(gateway->generation, &row->live);
    struct words next = words_of(gateway->candidate->next, &row->next);
    uint32_t clients = candidate_clients_estimate(row->clients);
    if (!command->json) {
        fprintf(command->out, "  %s -> %s  %s  %llu times, about %u client%s\n",
                candidate_state_text(row->live.state), candidate_state_text(row->next.state),
                what_text(row->kind, row->action), (unsigned long long)row->count, clients,
                clients == 1 ? "" : "s");
        put_side(command->out, "now", &live);
        put_side(command->out, "candidate", &next);
        fprintf(command->out, "      such as ");
        put_example(command->out, &row->example);
        return;
    }
    char text[JSON_ROOM];
    struct json j;
    json_difference(&j, text, "rule", row->kind, row->action, row->live.state, row->next.state, row->count);
    json_number(&j, "clients", clients);
    json_side(&j, "now", &live, row->live.state);
    json_side(&j, "candidate", &next, row->next.state);
    json_end(&j, &row->example, command->out);
}

static void print_client(struct command *command, const struct candidate_client *client)
{
    if (!command->json) {
        fprintf(command->out, "  %llu times, first %s -> %s  %s  ", (unsigned long long)client->count,
                candidate_state_text(client->from), candidate_state_text(client->to),
                what_text(client->kind, client->action));
        put_example(command->out, &client->example);
        return;
    }
    char text[JSON_ROOM];
    struct json j;
    json_difference(&j, text, "client", client->kind, client->action, client->from, client->to,
                    client->count);
    json_end(&j, &client->example, command->out);
}

/* What the counts are not about. */
#define BEYOND(text) text,
static const char *const beyond[] = {CANDIDATE_BEYOND_TABLE(BEYOND)};
#undef BEYOND

/* Totals are those of all clients. */
static bool judges_totals(const struct candidate *candidate, const struct candidate_counts *c)
{
    return candidate->sample == CANDIDATE_SAMPLE_ALL && c->halved == 0;
}

static void json_status(struct command *command, const struct candidates_sum *sum)
{
    const struct gateway *gateway = command->gateway;
    const struct candidate *candidate = gateway->candidate;
    const struct candidate_counts *c = &sum->counts;
    char text[JSON_ROOM];
    struct json j;
    json_init(&j, text, sizeof(text));
    json_open(&j, NULL, '{');
    json_text(&j, "candidate", snapshot_fingerprint(candidate->next->policy));
    json_text(&j, "sha256", candidate->next->sha256);
    json_text(&j, "policy", candidate->policy);
    json_text(&j, "user", candidate->user);
    json_number(&j, "since_us", candidate->since_us);
    json_number(&j, "against", gateway->generation->number);
    json_number(&j, "sample_ppm", candidate->sample >> c->halved);
    json_number(&j, "judged", c->judged);
    json_number(&j, "differ", c->differ);
    json_number(&j, "passed_over", c->passed_over);
    json_number(&j, "undecided", c->undecided);
    json_number(&j, "not_sampled", c->not_sampled);
    json_number(&j, "differences_left_out", c->left_out);
    json_number(&j, "clients_left_out", c->clients_left);
    json_number(&j, "silent_workers", sum->silent);
    json_number(&j, "buckets_displaced", c->displaced);
    json_boolean(&j, "totals_judged", judges_totals(candidate, c));
    json_open(&j, "beyond", '[');
    for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++)
        json_text(&j, NULL, beyond[i]);
    json_close(&j, ']');
    json_close(&j, '}');
    fprintf(command->out, "%s\n", text);
}

static void print_status(struct command *command, const struct candidates_sum *sum)
{
    const struct gateway *gateway = command->gateway;
    const struct candidate *candidate = gateway->candidate;
    const struct candidate_counts *c = &sum->counts;
    if (command->json) {
        json_status(command, sum);
        return;
    }
    FILE *out = command->out;
    fprintf(out, "candidate %s of %s beside rev %u %s, for %llus, loaded by %s\n",
            snapshot_fingerprint(candidate->next->policy),
            gateway_config_holds_policy(candidate->next->config) ? candidate->file : candidate->policy,
            gateway->generation->number, snapshot_fingerprint(gateway->generation->policy),
            (unsigned long long)gateway_seconds_since(candidate->since_us), candidate->user);
    fprintf(out, "judged %llu, of which %llu differ; sample %.4g%% of the clients%s\n",
            (unsigned long long)c->judged, (unsigned long long)c->differ,
            (candidate->sample >> c->halved) * 100.0 / CANDIDATE_SAMPLE_ALL,
            c->halved != 0 ? ", less than asked for, because of the load" : "");
    if (c->not_sampled + c->passed_over + c->undecided != 0)
        fprintf(
            out,
            "not judged: %llu of clients outside the sample, %llu refused for what only the policy in force "
            "knows, %llu with payloads or passwords that were not at hand\n",
            (unsigned long long)c->not_sampled, (unsigned long long)c->passed_over,
            (unsigned long long)c->undecided);
    if (c->left_out + c->clients_left != 0)
        fprintf(out, "%llu differences and %llu of further clients are counted and not told apart\n",
                (unsigned long long)c->left_out, (unsigned long long)c->clients_left);
    if (c->displaced != 0)
        fprintf(out, "%llu times a bucket made room for another client's and began full again\n",
                (unsigned long long)c->displaced);
    if (sum->silent != 0)
        fprintf(out, "%u worker%s did not answer\n", sum->silent, sum->silent == 1 ? "" : "s");
}

/* Said each time: a report without differences is not one of everything. */
static void print_beyond(struct command *command, const struct candidates_sum *sum)
{
    if (command->json)
        return;
    fprintf(command->out, "not looked at\n");
    for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++)
        fprintf(command->out, "  %s\n", beyond[i]);
    if (!judges_totals(command->gateway->candidate, &sum->counts))
        fprintf(command->out, "  totals of roles and listeners: not all clients are in the sample\n");
}

static int report(struct command *command, bool all)
{
    if (command->words_n != 2)
        return usage(command);
    const struct candidates_sum *sum = candidates_collect(command->gateway);
    if (sum == NULL)
        return none(command);
    print_status(command, sum);
    if (all) {
        if (!command->json && sum->rows_n != 0)
            fprintf(command->out, "by rule\n");
        for (uint32_t i = 0; i < sum->rows_n; i++)
            print_row(command, &sum->rows[i]);
        if (!command->json && sum->clients_n != 0)
            fprintf(command->out, "by client\n");
        for (uint32_t i = 0; i < sum->clients_n; i++)
            print_client(command, &sum->clients[i]);
        print_beyond(command, sum);
    }
    return sum->counts.differ == 0 ? 0 : 1;
}

/* ---- promote ------------------------------------------------------------------------------------------- */

/* Whether it may go in force; told when not. */
static bool is_explained(struct command *command, const struct candidates_sum *sum)
{
    FILE *out = command->out;
    if (sum->silent != 0)
        fprintf(out, "refused: %u worker%s did not answer, so not all that differs is known\n", sum->silent,
                sum->silent == 1 ? "" : "s");
    else if (sum->counts.judged == 0)
        fprintf(out,
                "refused: nothing was judged yet, so nobody knows what would differ; wait, or --accept\n");
    else if (sum->counts.differ != 0)
        fprintf(out,
                "refused: %llu of %llu judged actions differ; look at candidate report, and promote --accept "
                "if that is meant\n",
                (unsigned long long)sum->counts.differ, (unsigned long long)sum->counts.judged);
    else
        return true;
    return false;
}

/* Takes a word out; whether it was there. */
static bool take_word(struct command *command, const char *word)
{
    uint32_t kept = 0;
    bool found = false;
    for (uint32_t i = 0; i < command->words_n; i++)
        if (strcmp(command->words[i], word) == 0)
            found = true;
        else
            command->words[kept++] = command->words[i];
    command->words_n = kept;
    return found;
}

static int promote(struct command *command)
{
    struct gateway *gateway = command->gateway;
    struct candidate *candidate = gateway->candidate;
    struct reload_request request = {.user = command->user};
    bool accept = take_word(command, "--accept");
    if (!command_reload_options(command, 2, &request))
        return usage(command);
    const struct candidates_sum *sum = candidates_collect(gateway);
    if (sum == NULL)
        return none(command);
    bool explained = accept || is_explained(command, sum);
    if (!explained) {
        command->wait = false;
        return 1;
    }
    if (sum->counts.differ != 0)
        fprintf(command->out, "accepted: %llu of %llu judged actions differ\n",
                (unsigned long long)sum->counts.differ, (unsigned long long)sum->counts.judged);
    request.sha256 = candidate->next->sha256;
    if (!candidate->files) {
        request.file = candidate->file;
        request.policy = candidate->policy;
        request.promoted =
            gateway_config_holds_policy(candidate->next->config) ? candidate->file : candidate->policy;
    }
    if (!reload_run(gateway, &request, command->out))
        return GATEWAY_EXIT_CONFIG;
    if (!candidate->files)
        fprintf(command->out,
                "it is in force over a restart too, and the files in %s are not: put it there, then "
                "sallyportctl reload\n",
                gateway->options->policy_directory);
    candidates_drop(gateway);
    return 0;
}

int command_candidate(struct command *command)
{
    static const struct {
        const char *name;
        int (*run)(struct command *command);
    } acts[] = {{"load", load}, {"promote", promote}, {"drop", drop}};
    const char *what = command->words_n > 1 ? command->words[1] : "";
    if (strcmp(what, "status") == 0)
        return report(command, false);
    if (strcmp(what, "report") == 0)
        return report(command, true);
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
        if (strcmp(what, acts[i].name) == 0) {
            if (!command->may_act)
                return command_refuse(command);
            command_event(command);
            return acts[i].run(command);
        }
    return usage(command);
}
