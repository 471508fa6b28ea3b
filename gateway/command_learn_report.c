/* SPDX-License-Identifier: GPL-2.0-or-later */
/* learn status, report: what was seen of a role, and what might be allowed of it. */
#include "gateway/command_learn.h"
#include "gateway/command_text.h"
#include "gateway/json.h"

#include <string.h>
#include <time.h>

/* NULL, told, when it is not to be had. The copies are the caller's to free, after it. */
struct mined *learn_mine_role(struct command *command, const struct learning *role, uint32_t share,
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

uint64_t learn_until_us(const struct learning *role)
{
    uint64_t until_us = role->active ? gateway_wall_us() : role->stopped_us;
    return until_us > role->started_us ? until_us : role->started_us; /* clocks are set */
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
    json_number(j, "seconds", (learn_until_us(role) - role->started_us) / 1000000);
    if (role->until_us != 0)
        json_number(j, "seconds_left", left_s(role));
    json_number(j, "begun_under", role->revision);
    json_text(j, "begun_under_policy", role->fingerprint);
    json_number(j, "taken_up_us", role->taken_up_us);
    json_number(j, "kept_us", role->kept_us);
    json_text(j, "keep_error", role->keep_error == 0 ? "" : strerror(role->keep_error));
    json_number(j, "clients", mined->clients_n);
    json_number(j, "addresses", mined->sources_n);
    json_number(j, "messages", mined->messages);
    json_number(j, "shapes", mined->shapes_n);
    json_number(j, "messages_no_place", mined->no_place);
    json_number(j, "messages_not_counted", mined->not_counted);
    json_number(j, "messages_too_long", mined->too_long);
    json_number(j, "workers_silent", copies->silent);
}

/* Since when, under which policy, and what would be left after a crash. */
static void print_since(struct command *command, const struct learning *role)
{
    const struct generation *generation = command->gateway->generation;
    FILE *out = command->out;
    char text[COMMAND_TIME_BYTES];
    bool other = strcmp(role->fingerprint, snapshot_fingerprint(generation->policy)) != 0;
    fprintf(out, "                 since %s", command_time(role->started_us, text));
    fprintf(out, " under rev %u %s%s", role->revision, role->fingerprint,
            other ? ", which is not in force now" : "");
    if (role->taken_up_us != 0)
        fprintf(out, ", taken up after a restart %s", command_time(role->taken_up_us, text));
    fprintf(out, role->kept_us == 0 ? ", not kept yet" : ", kept %s", command_time(role->kept_us, text));
    if (role->keep_error != 0)
        fprintf(out, "; not since: %s", strerror(role->keep_error));
    fputc('\n', out);
}

static void print_totals(struct command *command, const struct learning *role, const struct mined *mined)
{
    fprintf(command->out, "%-16s %s  ", role->name, role->active ? "learning" : "stopped ");
    command_put_duration(command->out, (learn_until_us(role) - role->started_us) / 1000000);
    if (role->active && role->until_us != 0) {
        fprintf(command->out, " (");
        command_put_duration(command->out, left_s(role));
        fprintf(command->out, " left)");
    }
    fprintf(command->out, "  %u clients at %u addresses, %llu messages, %u shapes of topics\n",
            mined->clients_n, mined->sources_n, (unsigned long long)mined->messages, mined->shapes_n);
    print_since(command, role);
    if (mined->no_place + mined->not_counted + mined->too_long != 0)
        fprintf(command->out,
                "                 not in it: %llu messages in topics beyond what is kept, %llu of clients "
                "beyond, "
                "%llu too long\n",
                (unsigned long long)mined->no_place, (unsigned long long)mined->not_counted,
                (unsigned long long)mined->too_long);
}

static int status_one(struct command *command, struct learning *role, const struct learn_options *options)
{
    struct learn_copies copies;
    struct mined *mined = learn_mine_role(command, role, options->share, &copies);
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

int learn_status(struct command *command)
{
    struct learn_options options;
    if (!learn_take_options(command, &options) || options.all)
        return learn_usage(command);
    return learn_for_roles(command, &options, status_one);
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

static void print_finding(struct command *command, const struct mined *mined, const struct finding *f)
{
    FILE *out = command->out;
    fprintf(out, "  %-9s ", actions[f->action]);
    command_put_safe(out, bytes_of_text(f->topic));
    fprintf(out, "\n            %u of %u clients, %u of %u addresses, %llu messages in ", f->clients_n,
            mined->clients_n, f->sources_n, mined->sources_n, (unsigned long long)f->messages);
    command_put_duration(out, (f->last_us - f->first_us) / 1000000);
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
        command_put_safe(out, client.at != NULL ? client : mined_value(mined, f->example[0].client, "id"));
        fprintf(out, " at ");
        command_put_safe(out, mined_value(mined, f->example[0].client, "source"));
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

static int report_one(struct command *command, struct learning *role, const struct learn_options *options)
{
    struct learn_copies copies;
    struct mined *mined = learn_mine_role(command, role, options->share, &copies);
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

int learn_report(struct command *command)
{
    struct learn_options options;
    if (!learn_take_options(command, &options) || options.all)
        return learn_usage(command);
    return learn_for_roles(command, &options, report_one);
}
