/* SPDX-License-Identifier: GPL-2.0-or-later */
/* learn: what clients of a role do, and the policy that allows just that (G6). */
#include "gateway/command_learn.h"
#include "gateway/json.h"

#include "config/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FOR_MIN_US UINT64_C(1000000)
#define FOR_MAX_US (UINT64_C(366) * 86400 * 1000000)

int learn_usage(struct command *command)
{
    fprintf(
        command->out,
        "usage: learn start ROLE|--all [--for TIME] [--resume] | status | report [ROLE] [--share PERCENT]\n"
        "       | write [ROLE] [--share PERCENT] | keep [ROLE] | stop [ROLE] | forget ROLE\n");
    return 2;
}

void learn_tell(struct command *command, const char *role, const char *what)
{
    char text[EVENT_DETAIL_MAX];
    snprintf(text, sizeof(text), "role %s: %s", role, what);
    gateway_event(command->gateway, EVENT_LEARN, OUTCOME_UNDECIDED, command->user, text);
}

bool learn_take_options(struct command *command, struct learn_options *options)
{
    *options = (struct learn_options){.share = MINING_SHARE_PERCENT};
    for (uint32_t i = 2; i < command->words_n; i++) {
        const char *word = command->words[i], *wrong = NULL;
        bool more = i + 1 < command->words_n;
        if (strcmp(word, "--all") == 0) {
            options->all = true;
        } else if (strcmp(word, "--resume") == 0) {
            options->resume = true;
        } else if (strcmp(word, "--for") == 0 && more) {
            wrong = units_duration(command->words[++i], &options->for_us);
            if (wrong == NULL && (options->for_us < FOR_MIN_US || options->for_us > FOR_MAX_US))
                wrong = "it is from 1s to 366d";
        } else if (strcmp(word, "--share") == 0 && more) {
            char *end;
            unsigned long share = strtoul(command->words[++i], &end, 10);
            options->share = (uint32_t)share;
            if (share < 1 || share > 100 || (*end != '\0' && strcmp(end, "%") != 0))
                wrong = "it is a number from 1 to 100";
        } else if (word[0] != '-' && options->role == NULL) {
            options->role = word;
        } else {
            return false;
        }
        if (wrong != NULL) {
            fprintf(command->out, "%s %s: %s\n", word, command->words[i], wrong);
            return false;
        }
    }
    return !(options->all && options->role != NULL);
}

/* ---- start, stop ----------------------------------------------------------------------------------------
 */

static bool has_role(const struct generation *generation, const char *name)
{
    for (uint32_t i = 0; i < snapshot_roles(generation->policy); i++)
        if (strcmp(snapshot_role(generation->policy, i)->name, name) == 0)
            return true;
    return false;
}

/* What became of a role. */
static void answer(struct command *command, const char *role, const char *text, bool good)
{
    char line[1024];
    struct json j;
    if (!command->json) {
        fprintf(command->out, "%s: %s\n", role, text);
        return;
    }
    json_init(&j, line, sizeof(line));
    json_open(&j, NULL, '{');
    json_text(&j, "role", role);
    json_boolean(&j, "done", good);
    json_text(&j, "result", text);
    json_close(&j, '}');
    fprintf(command->out, "%s\n", line);
}

static bool start_one(struct command *command, const char *name, const struct learn_options *options)
{
    if (strlen(name) >= EVENT_NAME_MAX) {
        answer(command, name, "its name is longer than 63 bytes", false);
        return false;
    }
    bool goes_on = options->resume && learn_find(&command->gateway->learn, name) != NULL;
    enum learn_result result = (options->resume ? learn_resume : learn_start)(command->gateway, name,
                                                                              command->user, options->for_us);
    learn_tell(command, name,
               result != LEARN_OK ? learn_result_text(result)
               : goes_on          ? "learning goes on"
                                  : "learning is started");
    answer(command, name,
           result != LEARN_OK ? learn_result_text(result)
           : goes_on          ? "is learned, beside what was seen before"
                              : "is learned",
           result == LEARN_OK);
    return result == LEARN_OK;
}

static int start(struct command *command)
{
    const struct generation *generation = command->gateway->generation;
    struct learn_options options;
    bool good = true;
    if (!learn_take_options(command, &options) || options.all == (options.role != NULL))
        return learn_usage(command);
    if (options.role != NULL && !has_role(generation, options.role)) {
        fprintf(command->out, "there is no role '%s' in rev %u; sallyportctl rules tells which there are\n",
                options.role, generation->number);
        return 1;
    }
    if (options.role != NULL)
        return start_one(command, options.role, &options) ? 0 : 1;
    for (uint32_t i = 0; i < snapshot_roles(generation->policy); i++)
        good = start_one(command, snapshot_role(generation->policy, i)->name, &options) && good;
    return good ? 0 : 1;
}

/* Calls `each` for the role that is meant, or for all that were ever learned; 1 when there is none. */
int learn_for_roles(struct command *command, const struct learn_options *options,
                    int (*each)(struct command *command, struct learning *role,
                                const struct learn_options *options))
{
    struct learn *learn = &command->gateway->learn;
    int status = -1;
    for (uint32_t i = 0; i < LEARN_ROLES_MAX; i++) {
        struct learning *role = &learn->role[i];
        if (role->name[0] == '\0' || (options->role != NULL && strcmp(options->role, role->name) != 0))
            continue;
        int one = each(command, role, options);
        status = status <= 0 ? one : status;
    }
    if (status < 0 && options->role != NULL)
        fprintf(command->out, "role '%s' was not learned; sallyportctl learn start %s\n", options->role,
                options->role);
    else if (status < 0 && !command->json)
        fprintf(command->out, "no role was learned; sallyportctl learn start ROLE\n");
    return status < 0 ? 1 : status;
}

static int stop_one(struct command *command, struct learning *role, const struct learn_options *options)
{
    (void)options;
    if (!role->active)
        return 0;
    enum learn_result result = learn_stop(command->gateway, role);
    learn_tell(command, role->name, result == LEARN_OK ? "learning is stopped" : learn_result_text(result));
    answer(command, role->name,
           result == LEARN_OK ? "is no longer learned; what was seen stays" : learn_result_text(result),
           result == LEARN_OK);
    return result == LEARN_OK ? 0 : 1;
}

static int stop(struct command *command)
{
    struct learn_options options;
    if (!learn_take_options(command, &options) || options.all)
        return learn_usage(command);
    return learn_for_roles(command, &options, stop_one);
}

static int keep_one(struct command *command, struct learning *role, const struct learn_options *options)
{
    (void)options;
    int result = learn_keep(command->gateway, role);
    answer(command, role->name,
           result == 0         ? "what was seen is kept"
           : result == -EAGAIN ? learn_result_text(LEARN_SILENT)
                               : strerror(-result),
           result == 0);
    return result == 0 ? 0 : 1;
}

static int keep(struct command *command)
{
    struct learn_options options;
    if (!learn_take_options(command, &options) || options.all)
        return learn_usage(command);
    return learn_for_roles(command, &options, keep_one);
}

static int forget_one(struct command *command, struct learning *role, const struct learn_options *options)
{
    enum learn_result result = learn_forget(command->gateway, role);
    learn_tell(command, options->role, result == LEARN_OK ? "is forgotten" : learn_result_text(result));
    answer(command, options->role, result == LEARN_OK ? "is forgotten" : learn_result_text(result),
           result == LEARN_OK);
    return result == LEARN_OK ? 0 : 1;
}

static int forget(struct command *command)
{
    struct learn_options options;
    if (!learn_take_options(command, &options) || options.role == NULL)
        return learn_usage(command);
    return learn_for_roles(command, &options, forget_one);
}

int command_learn(struct command *command)
{
    static const struct {
        const char *name;
        bool acts;
        int (*run)(struct command *command);
    } verbs[] = {
        {"start", true, start},
        {"stop", true, stop},
        {"keep", true, keep},
        {"forget", true, forget},
        {"status", false, learn_status},
        {"report", false, learn_report},
        {"write", true, learn_write},
    };
    const char *what = command->words_n > 1 ? command->words[1] : "";
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, what) != 0)
            continue;
        if (verbs[i].acts && !command->may_act)
            return command_refuse(command);
        if (verbs[i].acts)
            command_event(command);
        return verbs[i].run(command);
    }
    return learn_usage(command);
}
