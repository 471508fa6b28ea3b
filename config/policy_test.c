/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy's own tests (G5), on the compiled snapshot and through the same functions as traffic.
 *
 * A test says who ("as" is the client id) and what; where the client comes from it need not say. What it
 * leaves out (listener, port, VLAN, source, MAC) is taken from each role in turn, until one takes the client:
 * `as = "truck-017"` means truck-017 at its usual place. Who it is (user, certificate) is never made up.
 */
#include "config/policy_option_keys.h"
#include "policy/access/identity.h"
#include "policy/access/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAC_TEXT_BYTES 17

/* Some MAC that a glob such as "00:1d:9c:*" takes: a '*' stands for as many zeros as are missing. */
static bool mac_of_glob(const char *glob, uint8_t mac[6])
{
    static const char zeros[] = "00:00:00:00:00:00";
    char text[MAC_TEXT_BYTES + 1];
    size_t fixed = 0, used = 0;
    for (const char *c = glob; *c != '\0'; c++) {
        if (*c == '[')
            c += strcspn(c, "]") - (strchr(c, ']') == NULL);
        fixed += *c != '*';
    }
    size_t fill = fixed < MAC_TEXT_BYTES ? MAC_TEXT_BYTES - fixed : 0;
    for (const char *c = glob; *c != '\0' && used < MAC_TEXT_BYTES; c++) {
        if (*c == '*') {
            for (; fill != 0 && used < MAC_TEXT_BYTES; fill--, used++)
                text[used] = zeros[used];
        } else if (*c == '[') {
            text[used++] = c[1];
            c += strcspn(c, "]") - (strchr(c, ']') == NULL);
        } else {
            text[used++] = *c == '?' ? '0' : *c;
        }
    }
    text[used] = '\0';
    return address_parse_mac(text, mac) == NULL;
}

/* Devices sorted by id. */
struct device_table {
    uint32_t n;
    const struct policy_device_spec *device[];
};

static int compare_devices(const void *a, const void *b)
{
    const struct policy_device_spec *const *x = a, *const *y = b;
    return strcmp((*x)->id, (*y)->id);
}

static int compare_id(const void *id, const void *device)
{
    return strcmp(id, (*(const struct policy_device_spec *const *)device)->id);
}

static struct device_table *sort_devices(const struct policy_draft *draft)
{
    size_t bytes = draft->devices_n * sizeof(const struct policy_device_spec *);
    struct device_table *table = malloc(sizeof(*table) + bytes);
    if (table == NULL)
        return NULL;
    table->n = draft->devices_n;
    for (uint32_t i = 0; i < table->n; i++)
        table->device[i] = &draft->devices[i].spec;
    qsort(table->device, table->n, sizeof(table->device[0]), compare_devices);
    return table;
}

static const struct policy_device_spec *find_device(const struct device_table *table, const char *id)
{
    const struct policy_device_spec *const *found =
        bsearch(id, table->device, table->n, sizeof(table->device[0]), compare_id);
    return found == NULL ? NULL : *found;
}

static struct bytes text_or_none(const char *text)
{
    return text == NULL ? bytes_of(NULL, 0) : bytes_of_text(text);
}

/* What the test tells, and for the rest a place at which `role` would take the client. */
static struct client_facts facts_for(const struct policy_test *test, const struct policy_match *role,
                                     const struct policy_device_spec *device)
{
    struct client_facts facts = {
        .listener = text_or_none(test->listener != NULL ? test->listener : role->listener),
        .port = text_or_none(test->port != NULL ? test->port : role->port),
        .vlan = (uint16_t)(test->vlan >= 0   ? test->vlan
                           : role->vlan >= 0 ? role->vlan
                           : device != NULL  ? device->vlan
                                             : 0),
        .client_id = bytes_of_text(test->as),
        .user = text_or_none(test->user),
        .cert_cn = text_or_none(test->cert_cn),
        .cert_ou = text_or_none(test->cert_ou),
        .cert_sans_n = test->cert_san != NULL,
        .cert_san = {text_or_none(test->cert_san)},
        .psk_id = text_or_none(test->psk_id),
        .source = {[10] = 0xFF, [11] = 0xFF},
    };
    if (test->has_source) {
        memcpy(facts.source, test->source, 16);
    } else if (device != NULL && device->addresses_n != 0) {
        memcpy(facts.source, device->addresses[0].address, 16);
    } else if (role->sources_n != 0) {
        memcpy(facts.source, role->sources[0].address, 16);
        facts.source[15] = (uint8_t)(facts.source[15] | (role->sources[0].bits < 128 ? 1 : 0));
    }
    if (test->has_mac) {
        facts.has_mac = true;
        memcpy(facts.mac, test->mac, 6);
    } else if (device != NULL && device->has_mac) {
        facts.has_mac = true;
        memcpy(facts.mac, device->mac, 6);
    } else if (role->mac != NULL) {
        facts.has_mac = mac_of_glob(role->mac, facts.mac);
    }
    return facts;
}

/*
 * The first role that takes the client at its place; else why the first one that came near did not. A role
 * that takes it at another role's place (as one for everybody would) does not count there.
 */
static enum outcome identify(const struct policy_test *test, const struct snapshot *snapshot,
                             const struct policy_draft *draft, const struct device_table *devices,
                             struct identity *out)
{
    const struct policy_device_spec *device = find_device(devices, test->as);
    enum outcome nearest = OUTCOME_NO_ROLE;
    for (uint32_t i = 0; i < draft->roles_n; i++) {
        struct client_facts facts = facts_for(test, &draft->roles[i]->spec.match, device);
        enum outcome outcome = identity_resolve(snapshot, &facts, out);
        if (out->role == NULL || out->role->index != i)
            continue;
        if (outcome == OUTCOME_ALLOWED)
            return outcome;
        if (nearest == OUTCOME_NO_ROLE)
            nearest = outcome;
    }
    return nearest;
}

struct answer {
    enum outcome outcome;
    uint32_t rule;
};

static struct answer decide(const struct policy_test *test, const struct identity *identity)
{
    const struct policy_role *role = identity->role;
    struct acl_asked asked;
    struct acl_request request = {
        .action = test->action,
        .topic = bytes_of_text(test->topic),
        .qos = test->qos,
        .retain = test->retain,
        .will = test->will,
        .payload_bytes = test->payload_bytes,
        .asked = &asked,
    };
    policy_test_ask(test, &asked);
    struct topic_share share;
    struct answer answer = {.outcome = OUTCOME_BAD_FILTER, .rule = ACL_RULE_NONE};
    if (test->action == ACL_PUBLISH &&
        (!topic_name_valid(request.topic) || !topic_publish_parse(request.topic, &request.topic))) {
        answer.outcome = OUTCOME_BAD_TOPIC;
        return answer;
    }
    if (test->action == ACL_SUBSCRIBE) {
        if (!topic_filter_valid(request.topic) || !topic_share_parse(request.topic, &share))
            return answer;
        request.topic = share.inner;
    } else if (test->qos > role->max_qos) {
        answer.outcome = OUTCOME_QOS_CAP;
        return answer;
    }
    struct acl_decision decision =
        test->action == ACL_SUBSCRIBE
            ? acl_decide_filter(role->acl, &identity->values, &request, role->subscribe_mode)
            : acl_decide(role->acl, &identity->values, &request);
    return (struct answer){.outcome = decision.outcome, .rule = decision.rule};
}

/* "allow by truck.any (line 11)", "deny: no rule of the role allows this". */
static void describe(const struct policy_test *test, const struct identity *identity, struct answer answer,
                     char *to, size_t room)
{
    const char *verdict = answer.outcome == OUTCOME_ALLOWED ? "allow" : "deny";
    const struct acl_rule *rule = answer.rule == ACL_RULE_NONE || identity->role == NULL
                                      ? NULL
                                      : acl_rule_at(identity->role->acl, answer.rule);
    if (rule != NULL && answer.outcome != OUTCOME_ALLOWED && answer.outcome != OUTCOME_RULE_DENY)
        snprintf(to, room, "deny by %s (line %u): %s", rule->id, rule->line, outcome_text(answer.outcome));
    else if (rule != NULL && strcmp(rule->file, test->origin.file) == 0)
        snprintf(to, room, "%s by %s (line %u)", verdict, rule->id, rule->line);
    else if (rule != NULL)
        snprintf(to, room, "%s by %s (%s line %u)", verdict, rule->id, rule->file, rule->line);
    else if (answer.outcome == OUTCOME_ALLOWED)
        snprintf(to, room, "allow as %s", identity->role->name);
    else
        snprintf(to, room, "deny: %s", outcome_text(answer.outcome));
}

static const char *action_text(const struct policy_test *test)
{
    return test->connect ? "connect" : policy_action_words[test->action];
}

static bool run_one(const struct policy_test *test, const struct snapshot *snapshot,
                    const struct policy_draft *draft, const struct device_table *devices,
                    struct diagnostics *d, FILE *report)
{
    struct identity identity = {.role = NULL};
    struct answer answer = {.outcome = identify(test, snapshot, draft, devices, &identity),
                            .rule = ACL_RULE_NONE};
    if (answer.outcome == OUTCOME_ALLOWED && !test->connect)
        answer = decide(test, &identity);
    bool passed = (answer.outcome == OUTCOME_ALLOWED) == test->expect_allow;
    if (passed && report == NULL)
        return true;
    char got[256];
    describe(test, &identity, answer, got, sizeof(got));
    if (report != NULL)
        fprintf(report, "%s %s:%u %s %s%s%s: %s\n", passed ? "ok  " : "FAIL", test->origin.file,
                test->origin.line, test->as, action_text(test), test->connect ? "" : " ",
                test->connect ? "" : test->topic, got);
    if (passed)
        return true;
    diagnostics_add(d, DIAGNOSTIC_ERROR, test->origin.file, test->origin.line,
                    "test failed: %s %s%s%s expected %s, got %s", test->as, action_text(test),
                    test->connect ? "" : " ", test->connect ? "" : test->topic,
                    test->expect_allow ? "allow" : "deny", got);
    return false;
}

uint32_t policy_test_run(const struct policy_draft *draft, const struct snapshot *snapshot,
                         struct diagnostics *d, FILE *report)
{
    struct device_table *devices = sort_devices(draft);
    uint32_t passed = 0;
    for (uint32_t i = 0; devices != NULL && i < draft->tests_n; i++)
        passed += run_one(&draft->tests[i], snapshot, draft, devices, d, report);
    if (devices == NULL)
        diagnostics_add(d, DIAGNOSTIC_ERROR, "policy", 0, "no memory to run its tests");
    free(devices);
    return passed;
}
