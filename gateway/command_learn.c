/* SPDX-License-Identifier: GPL-2.0-or-later */
/* learn: what clients of a role do, and the policy that allows just that (G6). */
#include "gateway/command.h"
#include "gateway/errand.h"
#include "gateway/history.h"
#include "gateway/json.h"
#include "gateway/learn.h"
#include "gateway/reload.h"

#include "config/learned_policy.h"
#include "config/units.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOR_MIN_US UINT64_C(1000000)
#define FOR_MAX_US (UINT64_C(366) * 86400 * 1000000)
#define CHECKS_MAX 8 /* of 1,000 tests that do not hold, each */

static int usage(struct command *command)
{
    fprintf(command->out,
            "usage: learn start ROLE|--all [--for TIME] | status | report [ROLE] [--share PERCENT]\n"
            "       | write [ROLE] [--share PERCENT] | stop [ROLE]\n");
    return 2;
}

static void tell(struct command *command, const char *role, const char *what)
{
    char text[EVENT_DETAIL_MAX];
    snprintf(text, sizeof(text), "role %s: %s", role, what);
    gateway_event(command->gateway, EVENT_LEARN, OUTCOME_UNDECIDED, command->user, text);
}

/* What may follow a verb, in any order. */
struct options {
    const char *role; /* NULL: all */
    bool all;
    uint64_t for_us;
    uint32_t share;
};

static bool take_options(struct command *command, struct options *options)
{
    *options = (struct options){.share = MINING_SHARE_PERCENT};
    for (uint32_t i = 2; i < command->words_n; i++) {
        const char *word = command->words[i], *wrong = NULL;
        bool more = i + 1 < command->words_n;
        if (strcmp(word, "--all") == 0) {
            options->all = true;
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

static bool start_one(struct command *command, const char *name, uint64_t for_us)
{
    if (strlen(name) >= EVENT_NAME_MAX) {
        answer(command, name, "its name is longer than 63 bytes", false);
        return false;
    }
    enum learn_result result = learn_start(command->gateway, name, command->user, for_us);
    tell(command, name, result == LEARN_OK ? "learning is started" : learn_result_text(result));
    answer(command, name, result == LEARN_OK ? "is learned" : learn_result_text(result), result == LEARN_OK);
    return result == LEARN_OK;
}

static int start(struct command *command)
{
    const struct generation *generation = command->gateway->generation;
    struct options options;
    bool good = true;
    if (!take_options(command, &options) || options.all == (options.role != NULL))
        return usage(command);
    if (options.role != NULL && !has_role(generation, options.role)) {
        fprintf(command->out, "there is no role '%s' in rev %u; sallyportctl rules tells which there are\n",
                options.role, generation->number);
        return 1;
    }
    if (options.role != NULL)
        return start_one(command, options.role, options.for_us) ? 0 : 1;
    for (uint32_t i = 0; i < snapshot_roles(generation->policy); i++)
        good = start_one(command, snapshot_role(generation->policy, i)->name, options.for_us) && good;
    return good ? 0 : 1;
}

/* Calls `each` for the role that is meant, or for all that were ever learned; 1 when there is none. */
static int for_roles(struct command *command, const struct options *options,
                     int (*each)(struct command *command, struct learning *role,
                                 const struct options *options))
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

static int stop_one(struct command *command, struct learning *role, const struct options *options)
{
    (void)options;
    if (!role->active)
        return 0;
    enum learn_result result = learn_stop(command->gateway, role);
    tell(command, role->name, result == LEARN_OK ? "learning is stopped" : learn_result_text(result));
    answer(command, role->name,
           result == LEARN_OK ? "is no longer learned; what was seen stays until the gateway ends"
                              : learn_result_text(result),
           result == LEARN_OK);
    return result == LEARN_OK ? 0 : 1;
}

static int stop(struct command *command)
{
    struct options options;
    if (!take_options(command, &options) || options.all)
        return usage(command);
    return for_roles(command, &options, stop_one);
}

/* ---- what was seen --------------------------------------------------------------------------------------
 */

/* NULL, told, when it is not to be had. The copies are the caller's to free, after it. */
static struct mined *mine_role(struct command *command, const struct learning *role, uint32_t share,
                               struct learn_copies *copies)
{
    struct mined *mined =
        learn_copy(command->gateway, role, copies) ? mine(copies->evidence, copies->n, share) : NULL;
    if (mined == NULL)
        fprintf(command->out, "%s: out of memory\n", role->name);
    if (copies->silent != 0 && !command->json)
        fprintf(command->out, "%s: %u worker%s did not answer in time, what they saw is missing\n",
                role->name, copies->silent, copies->silent == 1 ? "" : "s");
    return mined;
}

static void print_duration(FILE *out, uint64_t s)
{
    if (s >= 86400)
        fprintf(out, "%llud %lluh", (unsigned long long)(s / 86400), (unsigned long long)(s / 3600 % 24));
    else if (s >= 3600)
        fprintf(out, "%lluh %llum", (unsigned long long)(s / 3600), (unsigned long long)(s / 60 % 60));
    else
        fprintf(out, "%llum %llus", (unsigned long long)(s / 60), (unsigned long long)(s % 60));
}

static uint64_t until_us(const struct learning *role)
{
    return role->active ? gateway_wall_us() : role->stopped_us;
}

static uint64_t left_s(const struct learning *role)
{
    uint64_t now_us = gateway_monotonic_us();
    return role->until_us > now_us ? (role->until_us - now_us) / 1000000 : 0;
}

static void totals_json(struct json *j, const struct learning *role, const struct mined *mined,
                        const struct learn_copies *copies)
{
    json_text(j, "role", role->name);
    json_boolean(j, "active", role->active);
    json_text(j, "by", role->by);
    json_number(j, "started_us", role->started_us);
    json_number(j, "seconds", (until_us(role) - role->started_us) / 1000000);
    if (role->until_us != 0)
        json_number(j, "seconds_left", left_s(role));
    json_number(j, "clients", mined->clients_n);
    json_number(j, "addresses", mined->sources_n);
    json_number(j, "messages", mined->messages);
    json_number(j, "shapes", mined->shapes_n);
    json_number(j, "messages_no_place", mined->no_place);
    json_number(j, "messages_not_counted", mined->not_counted);
    json_number(j, "messages_too_long", mined->too_long);
    json_number(j, "workers_silent", copies->silent);
}

static void print_totals(struct command *command, const struct learning *role, const struct mined *mined)
{
    fprintf(command->out, "%-16s %s  ", role->name, role->active ? "learning" : "stopped ");
    print_duration(command->out, (until_us(role) - role->started_us) / 1000000);
    if (role->active && role->until_us != 0) {
        fprintf(command->out, " (");
        print_duration(command->out, left_s(role));
        fprintf(command->out, " left)");
    }
    fprintf(command->out, "  %u clients at %u addresses, %llu messages, %u shapes of topics\n",
            mined->clients_n, mined->sources_n, (unsigned long long)mined->messages, mined->shapes_n);
    if (mined->no_place + mined->not_counted + mined->too_long != 0)
        fprintf(command->out,
                "                 not in it: %llu messages in topics beyond what is kept, %llu of clients "
                "beyond, "
                "%llu too long\n",
                (unsigned long long)mined->no_place, (unsigned long long)mined->not_counted,
                (unsigned long long)mined->too_long);
}

static int status_one(struct command *command, struct learning *role, const struct options *options)
{
    struct learn_copies copies;
    struct mined *mined = mine_role(command, role, options->share, &copies);
    char text[2048];
    struct json j;
    if (mined != NULL && command->json) {
        json_init(&j, text, sizeof(text));
        json_open(&j, NULL, '{');
        totals_json(&j, role, mined, &copies);
        json_number(&j, "proposed", mined->proposed_n);
        json_close(&j, '}');
        fprintf(command->out, "%s\n", text);
    } else if (mined != NULL) {
        print_totals(command, role, mined);
    }
    int status = mined == NULL;
    mined_destroy(mined);
    learn_copies_free(&copies);
    return status;
}

static int status(struct command *command)
{
    struct options options;
    if (!take_options(command, &options) || options.all)
        return usage(command);
    return for_roles(command, &options, status_one);
}

static const char *const actions[ACL_ACTIONS] = {
    [ACL_PUBLISH] = "publish", [ACL_SUBSCRIBE] = "subscribe", [ACL_GET] = "GET",     [ACL_POST] = "POST",
    [ACL_PUT] = "PUT",         [ACL_DELETE] = "DELETE",       [ACL_FETCH] = "FETCH", [ACL_PATCH] = "PATCH",
    [ACL_IPATCH] = "iPATCH",   [ACL_OBSERVE] = "OBSERVE",
};

static void example_json(struct json *j, const struct mined *mined, const struct mined_example *example)
{
    uint8_t topic[MINED_TOPIC_MAX];
    size_t n = mined_example_topic(mined, example, example->client, topic, sizeof(topic));
    struct bytes client = mined_value(mined, example->client, "client_id");
    json_open(j, NULL, '{');
    json_bytes(j, "client", client.at != NULL ? client : mined_value(mined, example->client, "id"));
    json_bytes(j, "address", mined_value(mined, example->client, "source"));
    json_bytes(j, "topic", bytes_of(topic, n));
    json_close(j, '}');
}

static void finding_json(struct command *command, const struct learning *role, const struct mined *mined,
                         const struct finding *f)
{
    static char text[32768];
    struct json j;
    json_init(&j, text, sizeof(text));
    json_open(&j, NULL, '{');
    json_text(&j, "role", role->name);
    json_text(&j, "finding", finding_id(f->kind));
    json_text(&j, "action", actions[f->action]);
    json_text(&j, "topic", f->topic);
    json_number(&j, "clients", f->clients_n);
    json_number(&j, "clients_of", mined->clients_n);
    json_number(&j, "addresses", f->sources_n);
    json_number(&j, "addresses_of", mined->sources_n);
    json_number(&j, "messages", f->messages);
    json_number(&j, "not_allowed_now", f->not_allowed);
    json_number(&j, "denied_now", f->denied);
    json_number(&j, "first_us", f->first_us);
    json_number(&j, "last_us", f->last_us);
    json_number(&j, "qos_seen", f->qos_seen);
    json_boolean(&j, "retain_seen", f->retain_seen);
    json_boolean(&j, "will_seen", f->will_seen);
    json_number(&j, "payload_seen", f->payload_seen);
    json_number(&j, "payload_of_several", f->payload_max);
    json_number(&j, "shapes", f->shapes_n);
    json_open(&j, "examples", '[');
    for (uint32_t i = 0; i < MINING_EXAMPLES; i++)
        if (f->example[i].there)
            example_json(&j, mined, &f->example[i]);
    json_close(&j, ']');
    json_close(&j, '}');
    if (!j.full)
        fprintf(command->out, "%s\n", text);
}

/* Topics and names come from clients. */
static void print_text(FILE *out, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        fputc(text.at[i] < 0x20 || text.at[i] >= 0x7F ? '?' : text.at[i], out);
}

static void print_finding(struct command *command, const struct mined *mined, const struct finding *f)
{
    FILE *out = command->out;
    fprintf(out, "  %-9s ", actions[f->action]);
    print_text(out, bytes_of_text(f->topic));
    fprintf(out, "\n            %u of %u clients, %u of %u addresses, %llu messages in ", f->clients_n,
            mined->clients_n, f->sources_n, mined->sources_n, (unsigned long long)f->messages);
    print_duration(out, (f->last_us - f->first_us) / 1000000);
    for (int i = 0; i < 3 && (f->action == ACL_PUBLISH || f->action == ACL_SUBSCRIBE); i++)
        if ((f->qos_seen >> i & 1) != 0)
            fprintf(out, ", QoS %d", i);
    fprintf(out, "%s%s, payload up to %u B",
            f->retain_seen ? (f->retain ? ", retained" : ", retained by one") : "",
            f->will_seen ? (f->will ? ", as Will" : ", as Will of one") : "", f->payload_seen);
    if (f->payload_max < f->payload_seen)
        fprintf(out, " by one, else %u B", f->payload_max);
    if (f->kind != FINDING_PROPOSED && f->example[0].there) {
        struct bytes client = mined_value(mined, f->example[0].client, "client_id");
        fprintf(out, "; by ");
        print_text(out, client.at != NULL ? client : mined_value(mined, f->example[0].client, "id"));
        fprintf(out, " at ");
        print_text(out, mined_value(mined, f->example[0].client, "source"));
    }
    fprintf(out, "\n");
}

static void print_findings(struct command *command, const struct mined *mined)
{
    enum finding_kind kind = FINDING_KINDS;
    for (uint32_t i = 0; i < mined->findings_n; i++) {
        const struct finding *f = &mined->finding[i];
        if (f->kind == FINDING_COVERED)
            continue;
        if (f->kind != kind)
            fprintf(command->out, "%s%s\n", f->kind == FINDING_PROPOSED ? "proposed" : "apart: ",
                    f->kind == FINDING_PROPOSED ? "" : finding_text(f->kind));
        kind = f->kind;
        print_finding(command, mined, f);
    }
}

static int report_one(struct command *command, struct learning *role, const struct options *options)
{
    struct learn_copies copies;
    struct mined *mined = mine_role(command, role, options->share, &copies);
    if (mined != NULL && !command->json) {
        print_totals(command, role, mined);
        print_findings(command, mined);
    }
    for (uint32_t i = 0; mined != NULL && command->json && i < mined->findings_n; i++)
        finding_json(command, role, mined, &mined->finding[i]);
    int status = mined == NULL;
    mined_destroy(mined);
    learn_copies_free(&copies);
    return status;
}

static int report(struct command *command)
{
    struct options options;
    if (!take_options(command, &options) || options.all)
        return usage(command);
    return for_roles(command, &options, report_one);
}

/* ---- write ----------------------------------------------------------------------------------------------
 */

/* What is being written: every role with its evidence. */
struct writing {
    uint32_t n;
    struct learned_role role[LEARN_ROLES_MAX];
    struct learn_copies copies[LEARN_ROLES_MAX];
    struct mined *mined[LEARN_ROLES_MAX];
};

static struct writing writing;

static int gather_one(struct command *command, struct learning *role, const struct options *options)
{
    struct writing *w = &writing;
    w->mined[w->n] = mine_role(command, role, options->share, &w->copies[w->n]);
    w->role[w->n] = (struct learned_role){.name = role->name,
                                          .mined = w->mined[w->n],
                                          .since_us = role->started_us,
                                          .until_us = until_us(role)};
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
    size_t room = (policy->len - policy->policy_at) * 6 + 1024;
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

static int write_learned(struct command *command)
{
    struct options options;
    struct errand errand = {.command = command};
    struct config_text kept;
    const struct generation *generation = command->gateway->generation;
    if (!take_options(command, &options) || options.all)
        return usage(command);
    int status = for_roles(command, &options, gather_one);
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
    tell(command, options.role == NULL ? "(all)" : options.role,
         status == 0 ? "a policy is written" : "no policy is written");
    return status;
}

int command_learn(struct command *command)
{
    static const struct {
        const char *name;
        bool acts;
        int (*run)(struct command *command);
    } verbs[] = {
        {"start", true, start},    {"stop", true, stop},           {"status", false, status},
        {"report", false, report}, {"write", true, write_learned},
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
    return usage(command);
}
