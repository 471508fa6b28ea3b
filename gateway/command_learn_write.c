/* SPDX-License-Identifier: GPL-2.0-or-later */
/* learn write: the policy that allows what was seen, with its tests. */
#include "gateway/command_learn.h"
#include "gateway/errand.h"
#include "gateway/history.h"
#include "gateway/json.h"
#include "gateway/reload.h"

#include "config/learned_policy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECKS_MAX 8 /* of 1,000 tests that do not hold, each */

/* What is being written: every role with its evidence. */
struct writing {
    uint32_t n;
    struct learned_role role[LEARN_ROLES_MAX];
    struct learn_copies copies[LEARN_ROLES_MAX];
    struct mined *mined[LEARN_ROLES_MAX];
};

static struct writing writing;

static int gather_one(struct command *command, struct learning *role, const struct learn_options *options)
{
    struct writing *w = &writing;
    w->mined[w->n] = learn_mine_role(command, role, options->share, &w->copies[w->n]);
    w->role[w->n] = (struct learned_role){.name = role->name,
                                          .mined = w->mined[w->n],
                                          .since_us = role->started_us,
                                          .until_us = learn_until_us(role)};
    return w->mined[w->n++] == NULL;
}

static void forget_writing(void)
{
    for (uint32_t i = 0; i < writing.n; i++) {
        mined_destroy(writing.mined[i]);
        learn_copies_free(&writing.copies[i]);
    }
    writing.n = 0;
}

/* To a file of the state directory, where the loader can read it. 0 or -errno. */
static int put_aside(const char *path, const struct learned_policy *policy)
{
    (void)unlink(path);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return -errno;
    size_t done = 0;
    int result = 0;
    while (done < policy->len && result == 0) {
        ssize_t n = write(file, policy->at + done, policy->len - done);
        if (n < 0 && errno != EINTR)
            result = -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    close(file);
    return result;
}

/* Loads what was made, and makes it again without the tests that do not hold, until it loads. */
static bool settle(struct command *command, const struct config_text *kept, struct learned_policy *policy)
{
    char path[PATH_MAX];
    uint32_t dropped = 1;
    bool good = false;
    snprintf(path, sizeof(path), "%s/learned.conf", command->gateway->generation->config->state);
    for (int i = 0; i < CHECKS_MAX && !good && dropped != 0; i++) {
        struct diagnostics *d = diagnostics_create();
        int result = d == NULL ? -ENOMEM : put_aside(path, policy);
        good = result == 0 && learned_policy_check(policy, path, d, &dropped);
        if (result != 0)
            fprintf(command->out, "%s: %s\n", path, strerror(-result));
        else if (!good && dropped == 0)
            reload_print(d, command->gateway->generation->number, command->out);
        diagnostics_destroy(d);
        if (result != 0 || (!good && dropped != 0 &&
                            !learned_policy_rewrite(kept->at, kept->len, writing.role, writing.n, policy)))
            break;
    }
    (void)unlink(path);
    return good;
}

static void write_policy(struct command *command, const struct learned_policy *policy)
{
    if (!command->json) {
        fprintf(command->out,
                "# %u rules, %u tests of what was seen, %u of what is refused; %u tests of rev %u do not "
                "hold any "
                "more\n",
                policy->rules, policy->tests_positive, policy->tests_negative, policy->tests_dropped,
                command->gateway->generation->number);
        fwrite(policy->at + policy->policy_at, 1, policy->len - policy->policy_at, command->out);
        return;
    }
    size_t room = (policy->len - policy->policy_at) * 6 + 1024 + LEARN_ROLES_MAX * 512;
    char *text = malloc(room);
    struct json j;
    if (text == NULL)
        return;
    json_init(&j, text, room);
    json_open(&j, NULL, '{');
    json_number(&j, "from_revision", command->gateway->generation->number);
    json_number(&j, "rules", policy->rules);
    json_number(&j, "tests_positive", policy->tests_positive);
    json_number(&j, "tests_negative", policy->tests_negative);
    json_number(&j, "tests_dropped", policy->tests_dropped);
    json_open(&j, "roles_unchanged", '[');
    for (uint32_t i = 0; i < writing.n; i++)
        if (writing.role[i].left)
            json_text(&j, NULL, writing.role[i].name);
    json_close(&j, ']');
    json_bytes(&j, "policy", bytes_of(policy->at + policy->policy_at, policy->len - policy->policy_at));
    json_close(&j, '}');
    fprintf(command->out, "%s\n", text);
    free(text);
}

/* What loads a policy stands behind all other threads (errand.h). */
struct errand {
    struct command *command;
    const struct config_text *kept;
    int status;
};

static int make_policy(struct command *command, const struct config_text *kept)
{
    struct learned_policy policy;
    bool good = learned_policy_make(kept->at, kept->len, writing.role, writing.n, &policy);
    if (!good)
        fprintf(command->out, "the policy of rev %u cannot be taken apart, or there is no memory\n",
                command->gateway->generation->number);
    for (uint32_t i = 0; i < writing.n && good; i++)
        if (!writing.role[i].found)
            fprintf(command->out, "# role %s is not in the policy any more; it is left out\n",
                    writing.role[i].name);
        else if (writing.role[i].left && !command->json)
            fprintf(command->out, "# of role %s nothing was found; it stays as it is\n",
                    writing.role[i].name);
    good = good && settle(command, kept, &policy);
    if (good)
        write_policy(command, &policy);
    learned_policy_fini(&policy);
    return good ? 0 : GATEWAY_EXIT_CONFIG;
}

static void run_errand(void *of)
{
    struct errand *errand = of;
    errand->status = make_policy(errand->command, errand->kept);
}

int learn_write(struct command *command)
{
    struct learn_options options;
    struct errand errand = {.command = command};
    struct config_text kept;
    const struct generation *generation = command->gateway->generation;
    if (!learn_take_options(command, &options) || options.all)
        return learn_usage(command);
    int status = learn_for_roles(command, &options, gather_one);
    if (status == 0) {
        int result = history_read(generation->config->state, generation->kept, &kept);
        errand.kept = &kept;
        if (result == 0) {
            errand_run(run_errand, &errand, gateway_drain_events, command->gateway);
            status = errand.status;
        } else {
            fprintf(command->out,
                    "the policy in force, rev %u, is not kept in %s (%s); make it writable and reload\n",
                    generation->number, generation->config->state, strerror(-result));
        }
        if (result == 0)
            config_text_fini(&kept);
        else
            status = 1;
    }
    forget_writing();
    learn_tell(command, options.role == NULL ? "(all)" : options.role,
               status == 0 ? "a policy is written" : "no policy is written");
    return status;
}
