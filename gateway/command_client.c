/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kick, quarantine, release: what an operator does to one client (C6, H1). */
#include "gateway/command.h"
#include "gateway/json.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* Ends what the client has under way on all workers; answers how many sessions and endpoints. `*silent` is
 * how many workers did not answer in time. */
static uint32_t end_all(struct gateway *gateway, const char *client, enum outcome why, const char *detail,
                        uint32_t *silent)
{
    /* Static, and one for each: a worker that answers late still finds its own. */
    static struct worker_request requests[WORKERS_MAX];
    static char names[WORKERS_MAX][QUARANTINE_TEXT_MAX + 1], texts[WORKERS_MAX][QUARANTINE_TEXT_MAX + 1];
    uint32_t n = 0;
    *silent = 0;
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        struct worker_request *request = &requests[i];
        char *name = names[i], *text = texts[i];
        if (!worker_listens(gateway->workers[i])) {
            ++*silent;
            continue;
        }
        snprintf(name, sizeof(names[i]), "%s", client);
        snprintf(text, sizeof(texts[i]), "%s", detail == NULL ? "" : detail);
        request->kind = WORKER_KICK;
        request->kicked_mqtt = false;
        request->kick = (struct relay_kick){
            .name = bytes_of_text(name), .why = why, .detail = text[0] == '\0' ? NULL : text};
        if (worker_ask(gateway->workers[i], request))
            n += request->n;
        else
            ++*silent;
    }
    return n;
}

static void tell_ended(struct command *command, uint32_t n, uint32_t silent)
{
    fprintf(command->out, "%u session%s ended\n", n, n == 1 ? "" : "s");
    if (silent > 0)
        fprintf(command->out, "%u worker%s did not answer in time\n", silent, silent == 1 ? "" : "s");
}

int command_kick(struct command *command)
{
    uint32_t silent;
    if (command->words_n != 2 || strlen(command->words[1]) > QUARANTINE_TEXT_MAX) {
        fprintf(command->out, "usage: kick CLIENT\n");
        return 2;
    }
    uint32_t n = end_all(command->gateway, command->words[1], OUTCOME_ADMIN_KICK, NULL, &silent);
    tell_ended(command, n, silent);
    return n > 0 && silent == 0 ? 0 : 1;
}

/* ---- quarantine -----------------------------------------------------------------------------------------
 */

static void print_entry(struct command *command, const struct quarantine_entry *entry)
{
    char text[2048], when[32];
    time_t since = (time_t)entry->since_s;
    struct tm tm;
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&since, &tm));
    struct json j;
    json_init(&j, text, sizeof(text));
    json_open(&j, NULL, '{');
    json_text(&j, "client", entry->name);
    json_text(&j, "since", when);
    json_text(&j, "by", entry->by);
    json_text(&j, "reason", entry->reason);
    json_close(&j, '}');
    if (command->json)
        fprintf(command->out, "%s\n", text);
    else
        fprintf(command->out, "%-32s %s  %-12s %s\n", entry->name, when, entry->by, entry->reason);
}

static int list(struct command *command)
{
    const struct quarantine *quarantine = command->gateway->quarantine;
    for (uint32_t i = 0; i < quarantine_count(quarantine); i++)
        print_entry(command, quarantine_at(quarantine, i));
    return 0;
}

/* The rest of the words, joined. False when there are none or they are too long. */
static bool join(const struct command *command, uint32_t from, char to[QUARANTINE_TEXT_MAX + 1])
{
    size_t used = 0;
    to[0] = '\0';
    for (uint32_t i = from; i < command->words_n; i++) {
        int n = snprintf(to + used, QUARANTINE_TEXT_MAX + 1 - used, "%s%s", used == 0 ? "" : " ",
                         command->words[i]);
        if (n < 0 || (size_t)n > QUARANTINE_TEXT_MAX - used)
            return false;
        used += (size_t)n;
    }
    return used > 0;
}

/* In force at once, kept where it survives a restart. False, told, when it is only the first. */
static bool put_in_force(struct command *command, struct quarantine *next)
{
    struct gateway *gateway = command->gateway;
    const char *state = gateway->generation->config->state;
    gateway_publish_quarantine(gateway, next);
    int error = quarantine_write(next, state);
    if (error == 0)
        return true;
    fprintf(command->out, "in force, but it will not survive a restart: %s cannot be written: %s\n", state,
            strerror(-error));
    return false;
}

static int tell_why_not(struct command *command)
{
    fprintf(command->out, "%s: %s\n", command->words[1],
            errno == E2BIG    ? "65536 clients are quarantined already; release some"
            : errno == EINVAL ? "a name or reason is longer than 255 bytes"
            : errno == ENOENT ? "is not quarantined by command; look for 'quarantine' in the policy files"
                              : "out of memory");
    return 1;
}

static const struct quarantine *in_force(const struct gateway *gateway)
{
    return gateway->quarantine;
}

int command_quarantine(struct command *command)
{
    char reason[QUARANTINE_TEXT_MAX + 1] = "";
    uint32_t silent;
    if (command->words_n == 1)
        return list(command);
    if (command->words_n > 2 && (strcmp(command->words[2], "--reason") != 0 || !join(command, 3, reason))) {
        fprintf(command->out, "usage: quarantine [CLIENT [--reason WHY]]\n");
        return 2;
    }
    if (!command->may_act)
        return command_refuse(command);
    command_event(command);
    struct quarantine_entry entry = {.name = command->words[1],
                                     .reason = reason,
                                     .by = command->user,
                                     .since_s = gateway_wall_us() / 1000000};
    struct quarantine *next = quarantine_with(in_force(command->gateway), &entry);
    if (next == NULL)
        return tell_why_not(command);
    bool kept = put_in_force(command, next);
    uint32_t n = end_all(command->gateway, entry.name, OUTCOME_QUARANTINED, reason, &silent);
    fprintf(command->out, "%s is quarantined; ", entry.name);
    tell_ended(command, n, silent);
    return kept && silent == 0 ? 0 : 1;
}

int command_release(struct command *command)
{
    if (command->words_n != 2) {
        fprintf(command->out, "usage: release CLIENT\n");
        return 2;
    }
    struct quarantine *next = quarantine_without(in_force(command->gateway), command->words[1]);
    if (next == NULL)
        return tell_why_not(command);
    bool kept = put_in_force(command, next);
    fprintf(command->out, "%s is released\n", command->words[1]);
    return kept ? 0 : 1;
}
