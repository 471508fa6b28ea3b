/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reload, confirm, check, test, policy: what is in force, was, or would be (G2, G5). */
#include "gateway/command.h"
#include "gateway/errand.h"
#include "gateway/foresight.h"
#include "gateway/history.h"
#include "gateway/json.h"
#include "gateway/reload.h"
#include "gateway/text_diff.h"

#include "config/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONFIRM_MIN_US UINT64_C(1000000)
#define CONFIRM_MAX_US (UINT64_C(24) * 3600 * 1000000)

static const char *state_of(const struct command *command)
{
    return command->gateway->generation->config->state;
}

/* ---- reload, confirm ----------------------------------------------------------------------------------- */

bool command_reload_options(struct command *command, uint32_t from, struct reload_request *request)
{
    for (uint32_t i = from; i < command->words_n; i++) {
        if (strcmp(command->words[i], "--wait") == 0) {
            command->wait = true;
        } else if (strcmp(command->words[i], "--confirm") == 0 && i + 1 < command->words_n) {
            const char *wrong = units_duration(command->words[++i], &request->confirm_us);
            if (wrong == NULL &&
                (request->confirm_us < CONFIRM_MIN_US || request->confirm_us > CONFIRM_MAX_US))
                wrong = "it is from 1s to 1d";
            if (wrong != NULL) {
                fprintf(command->out, "--confirm %s: %s\n", command->words[i], wrong);
                return false;
            }
        } else {
            return false;
        }
    }
    return true;
}

int command_reload(struct command *command)
{
    struct reload_request request = {.user = command->user};
    if (!command_reload_options(command, 1, &request)) {
        fprintf(command->out, "usage: reload [--wait] [--confirm TIME]\n");
        return 2;
    }
    return reload_run(command->gateway, &request, command->out) ? 0 : GATEWAY_EXIT_CONFIG;
}

int command_confirm(struct command *command)
{
    if (!reload_confirm(command->gateway, command->user)) {
        fprintf(command->out, "nothing waits for confirmation; rev %u is in force\n",
                command->gateway->generation->number);
        return 1;
    }
    fprintf(command->out, "rev %u is confirmed\n", command->gateway->generation->number);
    return 0;
}

/* ---- check, test --------------------------------------------------------------------------------------- */

/* policy.d beside FILE. */
static bool beside(const char *file, char path[PATH_MAX])
{
    const char *slash = strrchr(file, '/');
    int n = snprintf(path, PATH_MAX, "%.*s/policy.d", slash == NULL ? 1 : (int)(slash - file),
                     slash == NULL ? "." : file);
    return n > 0 && n < PATH_MAX;
}

struct trial {
    const struct gateway *gateway;
    const char *file, *policy;
    const struct policy_wishes *wishes;
    struct diagnostics *d;
    struct generation *next;
};

static void load(void *of)
{
    struct trial *c = of;
    c->next = generation_load_with(c->file, c->policy, c->gateway->next_number, c->gateway->generation, c->d,
                                   c->wishes);
}

static struct generation *load_candidate(struct command *command, FILE *tests, struct diagnostics *d)
{
    struct gateway *gateway = command->gateway;
    const struct policy_wishes wishes = {.style = CONFIG_PRINT_NONE, .tests = tests};
    const char *file = command->words_n > 1 ? command->words[1] : gateway->options->config_file;
    char path[PATH_MAX];
    if (command->words_n > 1 && !beside(file, path)) {
        diagnostics_add(d, DIAGNOSTIC_ERROR, file, 0, "its name is too long");
        return NULL;
    }
    struct trial c = {.gateway = gateway,
                      .file = file,
                      .policy = command->words_n > 1 ? path : gateway->options->policy_directory,
                      .wishes = &wishes,
                      .d = d};
    errand_run(load, &c, gateway_drain_events, gateway);
    return c.next;
}

int command_check(struct command *command)
{
    struct gateway *gateway = command->gateway;
    char text[256];
    if (command->words_n > 2 || (command->words_n == 2 && command->words[1][0] != '/')) {
        fprintf(command->out, "usage: check [FILE]; FILE is an absolute path\n");
        return 2;
    }
    struct diagnostics *d = diagnostics_create();
    struct generation *next = d == NULL ? NULL : load_candidate(command, NULL, d);
    if (d != NULL)
        reload_print(d, gateway->generation->number, command->out);
    diagnostics_destroy(d);
    if (next == NULL)
        return GATEWAY_EXIT_CONFIG;
    struct snapshot_changes changes;
    if (snapshot_compare(gateway->generation->policy, next->policy, &changes))
        fprintf(command->out, "would make of rev %u %s a rev %u %s: %s; tests %u/%u\n",
                gateway->generation->number, snapshot_fingerprint(gateway->generation->policy),
                gateway->next_number, snapshot_fingerprint(next->policy),
                reload_changes(&changes, text, sizeof(text)), next->summary.tests_passed,
                next->summary.tests);
    foresight_print_publishers(gateway, next, command->out);
    foresight_print(gateway, next, command->out); /* takes it */
    return 0;
}

int command_test(struct command *command)
{
    if (command->words_n != 1) {
        fprintf(command->out, "usage: test\n");
        return 2;
    }
    struct diagnostics *d = diagnostics_create();
    struct generation *next = d == NULL ? NULL : load_candidate(command, command->out, d);
    if (next == NULL && d != NULL)
        reload_print(d, command->gateway->generation->number, command->out);
    else if (next != NULL)
        fprintf(command->out, "tests %u/%u\n", next->summary.tests_passed, next->summary.tests);
    int status = next == NULL ? GATEWAY_EXIT_CONFIG : 0;
    generation_destroy(next);
    diagnostics_destroy(d);
    return status;
}

/* ---- policy log, show, diff, restore ------------------------------------------------------------------- */

static void time_text(uint64_t wall_us, char text[32])
{
    struct tm tm;
    time_t seconds = (time_t)(wall_us / 1000000);
    localtime_r(&seconds, &tm);
    strftime(text, 32, "%Y-%m-%d %H:%M:%S", &tm);
}

static void log_json(struct command *command, const struct history_entry *entry, bool in_force)
{
    char text[1024];
    struct json j;
    json_init(&j, text, sizeof(text));
    json_open(&j, NULL, '{');
    json_number(&j, "revision", entry->number);
    json_number(&j, "time_us", entry->time_us);
    json_text(&j, "user", entry->user);
    json_text(&j, "fingerprint", entry->fingerprint);
    json_text(&j, "sha256", entry->sha256);
    json_number(&j, "roles", entry->roles);
    json_number(&j, "rules", entry->rules);
    json_number(&j, "devices", entry->devices);
    json_number(&j, "tests", entry->tests);
    json_boolean(&j, "in_force", in_force);
    json_close(&j, '}');
    fprintf(command->out, "%s\n", text);
}

static int policy_log(struct command *command)
{
    struct history_entry entries[HISTORY_MAX];
    const struct generation *now = command->gateway->generation;
    uint32_t n = history_list(state_of(command), entries);
    for (uint32_t i = 0; i < n; i++) {
        const struct history_entry *entry = &entries[i];
        bool in_force = entry->number == now->kept;
        char when[32];
        time_text(entry->time_us, when);
        if (command->json)
            log_json(command, entry, in_force);
        else
            fprintf(command->out,
                    "%srev %-6u %s  %-12s %s  %.12s  %u roles, %u rules, %u devices, %u tests\n",
                    in_force ? "* " : "  ", entry->number, when, entry->user, entry->fingerprint,
                    entry->sha256, entry->roles, entry->rules, entry->devices, entry->tests);
    }
    if (n == 0)
        fprintf(command->out, "no policy is kept in %s\n", state_of(command));
    return n == 0 ? 1 : 0;
}

static bool take_number(const char *word, uint32_t *number)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(word, &end, 10);
    *number = (uint32_t)value;
    return word[0] >= '0' && word[0] <= '9' && *end == '\0' && errno == 0 && value != 0 &&
           value <= UINT32_MAX;
}

static bool read_kept(struct command *command, uint32_t number, struct config_text *text)
{
    int result = history_read(state_of(command), number, text);
    if (result != 0)
        fprintf(command->out, "rev %u: %s\n", number,
                result == -ENOENT ? "is not kept; sallyportctl policy log tells which are"
                                  : strerror(-result));
    return result == 0;
}

static int policy_show(struct command *command, uint32_t number)
{
    struct config_text text;
    if (!read_kept(command, number, &text))
        return 1;
    fwrite(text.at, 1, text.len, command->out);
    config_text_fini(&text);
    return 0;
}

/* Which two: the ones named, or the newest before what is in force, and that. */
static bool which_two(struct command *command, uint32_t *from, uint32_t *to)
{
    struct history_entry entries[HISTORY_MAX];
    uint32_t n = history_list(state_of(command), entries), at = 0;
    *to = command->gateway->generation->kept;
    if (command->words_n == 4)
        return take_number(command->words[2], from) && take_number(command->words[3], to);
    if (command->words_n == 3)
        return take_number(command->words[2], from);
    while (at < n && entries[at].number >= *to)
        at++;
    *from = at < n ? entries[at].number : *to;
    return command->words_n == 2;
}

static int policy_diff(struct command *command, uint32_t from, uint32_t to)
{
    struct config_text before, after = {.at = NULL};
    if (!read_kept(command, from, &before))
        return 2;
    if (!read_kept(command, to, &after)) {
        config_text_fini(&before);
        return 2;
    }
    fprintf(command->out, "--- rev %u\n+++ rev %u\n", from, to);
    enum text_diff result = text_diff(before.at, before.len, after.at, after.len, command->out);
    if (result == TEXT_DIFF_TOO_MANY)
        fprintf(command->out, "more than %d lines differ; sallyportctl policy show prints each\n",
                TEXT_DIFF_EDITS_MAX);
    else if (result == TEXT_DIFF_NO_MEMORY)
        fprintf(command->out, "no memory to compare them\n");
    config_text_fini(&before);
    config_text_fini(&after);
    return result == TEXT_DIFF_SAME ? 0 : result == TEXT_DIFF_NO_MEMORY ? 2 : 1;
}

static int policy_restore(struct command *command, uint32_t number)
{
    struct config_text text;
    struct reload_request request = {.user = command->user, .restore = number};
    if (!command_reload_options(command, 3, &request)) {
        fprintf(command->out, "usage: policy restore REV [--wait] [--confirm TIME]\n");
        return 2;
    }
    if (!read_kept(command, number, &text))
        return 1;
    config_text_fini(&text);
    gateway_event(command->gateway, EVENT_ADMIN, OUTCOME_UNDECIDED, command->user, "policy restore");
    return reload_run(command->gateway, &request, command->out) ? 0 : GATEWAY_EXIT_CONFIG;
}

int command_policy(struct command *command)
{
    uint32_t number = 0, other = 0;
    const char *what = command->words_n > 1 ? command->words[1] : "";
    if (strcmp(what, "log") == 0 && command->words_n == 2)
        return policy_log(command);
    if (strcmp(what, "diff") == 0 && which_two(command, &number, &other))
        return policy_diff(command, number, other);
    bool named = command->words_n > 2 && take_number(command->words[2], &number);
    if (strcmp(what, "show") == 0 && named && command->words_n == 3)
        return policy_show(command, number);
    if (strcmp(what, "restore") == 0 && named && command->may_act)
        return policy_restore(command, number);
    if (strcmp(what, "restore") == 0 && named) {
        fprintf(command->out,
                "policy restore: not permitted for %s; ask as root or a member of sallyport-admin\n",
                command->user);
        return 4;
    }
    fprintf(command->out,
            "usage: policy log | diff [REV [REV]] | show REV | restore REV [--wait] [--confirm TIME]\n");
    return 2;
}
