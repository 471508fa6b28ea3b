/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rules: what is in force, how often each rule decided, and which never did (H1). */
#include "gateway/command.h"
#include "gateway/json.h"

#include <string.h>

static const char *action_text(const struct acl_rule *rule)
{
    bool publish = (rule->actions & (1U << ACL_PUBLISH)) != 0,
         subscribe = (rule->actions & (1U << ACL_SUBSCRIBE)) != 0;
    return publish && subscribe ? "publish,subscribe"
           : publish            ? "publish"
           : subscribe          ? "subscribe"
                                : "coap";
}

static void print_rule(struct command *command, const struct policy_role *role, uint32_t number)
{
    const struct rule_hits *hits = command->gateway->generation->hits;
    const struct acl_rule *rule = acl_rule_at(role->acl, number);
    uint64_t n = rule_hits_sum(hits, role, number);
    uint64_t for_s = gateway_seconds_since(rule_hits_since_us(hits, role, number));
    if (!command->json) {
        fprintf(command->out, "  %-24s %-5s %-18s %10llu in %llus  %-40s %s:%u\n", rule->id,
                rule->allow ? "allow" : "deny", action_text(rule), (unsigned long long)n,
                (unsigned long long)for_s, rule->topic, rule->file, rule->line);
        return;
    }
    char text[4096];
    struct json j;
    json_init(&j, text, sizeof(text));
    json_open(&j, NULL, '{');
    json_text(&j, "role", role->name);
    json_text(&j, "rule", rule->id);
    json_boolean(&j, "allow", rule->allow);
    json_text(&j, "action", action_text(rule));
    json_text(&j, "topic", rule->topic);
    json_text(&j, "file", rule->file);
    json_number(&j, "line", rule->line);
    json_number(&j, "decided", n);
    json_number(&j, "counted_for_s", for_s);
    json_close(&j, '}');
    if (!j.full)
        fprintf(command->out, "%s\n", text);
}

static void print_role(FILE *out, const struct policy_role *role)
{
    fprintf(out, "%-16s %s:%u%s\n", role->name, role->file, role->line,
            role->mode == POLICY_OBSERVE ? "  (observe)" : "");
}

int command_rules(struct command *command)
{
    const struct generation *generation = command->gateway->generation;
    bool unused = command->words_n == 2 && strcmp(command->words[1], "--unused") == 0;
    if (command->words_n > 1 && !unused) {
        fprintf(command->out, "usage: rules [--unused]\n");
        return 2;
    }
    for (uint32_t r = 0; r < snapshot_roles(generation->policy); r++) {
        const struct policy_role *role = snapshot_role(generation->policy, r);
        bool named = command->json;
        if (!unused && !named) {
            print_role(command->out, role); /* also one without rules */
            named = true;
        }
        for (uint32_t i = 0; i < acl_rules(role->acl); i++) {
            if (unused && rule_hits_sum(generation->hits, role, i) != 0)
                continue;
            if (!named)
                print_role(command->out, role);
            named = true;
            print_rule(command, role, i);
        }
    }
    return 0;
}
