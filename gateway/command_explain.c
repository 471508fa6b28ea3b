/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * explain: the decision, the rule that made it, the nearest miss, and what the client is told (H1), from the
 * policy in force. Uses the facts of the live session where there is one.
 */
#include "gateway/command_explain.h"
#include "gateway/command_text.h"

#include "config/units.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char usage_text[] =
    "usage: explain CLIENT connect|publish|subscribe|GET|POST|PUT|DELETE|FETCH|PATCH|IPATCH|OBSERVE [TOPIC "
    "or PATH]\n"
    "       [--qos N] [--retain] [--will] [--payload SIZE] [--user NAME] [--listener NAME] [--why-not]\n"
    "       explain --event SEQUENCE|last [--why-not]\n";

static bool parse_action(const char *word, struct explain_question *q)
{
    static const struct {
        const char *word;
        enum acl_action action;
    } actions[] = {
        {"publish", ACL_PUBLISH}, {"subscribe", ACL_SUBSCRIBE}, {"GET", ACL_GET},     {"POST", ACL_POST},
        {"PUT", ACL_PUT},         {"DELETE", ACL_DELETE},       {"FETCH", ACL_FETCH}, {"PATCH", ACL_PATCH},
        {"IPATCH", ACL_IPATCH},   {"OBSERVE", ACL_OBSERVE}};
    q->connect = strcmp(word, "connect") == 0;
    if (q->connect)
        return true;
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (strcasecmp(actions[i].word, word) == 0) {
            q->action = actions[i].action;
            return true;
        }
    return false;
}

/* Option `name` that wants a value; answers whether both are good. */
static bool take_value(struct explain_question *q, const char *name, const char *value)
{
    uint64_t bytes;
    if (strcmp(name, "--qos") == 0) {
        q->qos = (uint8_t)(value[0] - '0');
        return value[0] >= '0' && value[0] <= '2' && value[1] == '\0';
    }
    if (strcmp(name, "--user") == 0)
        q->user = value;
    else if (strcmp(name, "--listener") == 0)
        q->listener = value;
    else if (strcmp(name, "--payload") == 0 && units_size(value, &bytes) == NULL && bytes <= UINT32_MAX)
        q->payload_bytes = (uint32_t)bytes;
    else
        return false;
    return true;
}

static bool parse_question(const struct command *command, struct explain_question *q, bool *why_not)
{
    uint32_t next = 3;
    *q = (struct explain_question){0};
    *why_not = false;
    if (command->words_n < 3 || !parse_action(command->words[2], q) || (!q->connect && command->words_n < 4))
        return false;
    q->client = command->words[1];
    if (!q->connect) {
        const char *topic = command->words[next++];
        q->topic = explain_is_coap(q) && topic[0] == '/' ? topic + 1 : topic;
    }
    for (; next < command->words_n; next++) {
        const char *word = command->words[next];
        if (strcmp(word, "--retain") == 0)
            q->retain = true;
        else if (strcmp(word, "--will") == 0)
            q->will = true;
        else if (strcmp(word, "--why-not") == 0)
            *why_not = true;
        else if (next + 1 == command->words_n || !take_value(q, word, command->words[++next]))
            return false;
    }
    return true;
}

/* Static: a worker that answers late still finds its own, and the name. */
static struct worker_request requests[WORKERS_MAX];
static struct session_facts found[WORKERS_MAX];
static char names[WORKERS_MAX][SESSION_FACT_MAX];

/* The facts of a live session, or NULL when it has none, or a question says otherwise. */
const struct client_facts *explain_live_facts(struct gateway *gateway, const struct explain_question *q)
{
    size_t len = strlen(q->client);
    if (q->user != NULL || q->listener != NULL || len >= SESSION_FACT_MAX)
        return NULL;
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        struct worker_request *request = &requests[i];
        if (!worker_listens(gateway->workers[i]))
            continue;
        memcpy(names[i], q->client, len + 1);
        request->kind = WORKER_FACTS;
        request->coap = explain_is_coap(q);
        request->name = bytes_of(names[i], len);
        request->position = 0;
        request->facts = &found[i];
        if (worker_ask(gateway->workers[i], request) && found[i].found)
            return &found[i].facts;
    }
    return NULL;
}

/* ---- two ways to say it ---------------------------------------------------------------------------------
 */

static void print_sentence(void *owner, const char *sentence)
{
    /* What a client asked for may be in it. */
    fputs("edit   ", owner);
    command_put_safe(owner, bytes_of_text(sentence));
    fputc('\n', owner);
}

static void print_rule(FILE *out, const char *what, const struct acl_rule *rule)
{
    fprintf(out, "%s   %s  %s:%u   %s", what, rule->id, rule->file, rule->line, rule->topic);
}

static void print_text(FILE *out, const struct explain_question *q, const struct explain_answer *a, bool live)
{
    const struct policy_role *role = a->identity.role;
    char told[128];
    fprintf(out, "%s  %s: %s\n", a->outcome == OUTCOME_ALLOWED ? "ALLOW" : "DENY ", outcome_id(a->outcome),
            outcome_text(a->outcome));
    if (role != NULL) {
        fprintf(out, "role   %s  %s:%u   identity ", role->name, role->file, role->line);
        command_put_safe(out, bytes_of(a->identity.name, a->identity.name_len));
        fprintf(out, "  (%s)%s\n", live ? "live session" : "no live session",
                role->mode == POLICY_OBSERVE ? "  observe: recorded, not enforced" : "");
    }
    if (a->reason != NULL && a->reason[0] != '\0')
        fprintf(out, "why    %s\n", a->reason);
    if (a->rule != ACL_RULE_NONE) {
        print_rule(out, "rule", acl_rule_at(role->acl, a->rule));
        fputc('\n', out);
    }
    if (a->near != ACL_RULE_NONE) {
        print_rule(out, "near", acl_rule_at(role->acl, a->near));
        if (a->near_level == 0)
            fputs("  fits, but for a condition\n", out);
        else
            fprintf(out, "  differs at level %u\n", a->near_level);
    }
    if (a->outcome == OUTCOME_ALLOWED)
        return;
    explain_told(q, a, told, sizeof(told));
    fprintf(out, "told   %s\n", told);
}

static void json_rule(struct json *j, const char *key, const struct acl_rule *rule)
{
    json_open(j, key, '{');
    json_text(j, "id", rule->id);
    json_text(j, "file", rule->file);
    json_number(j, "line", rule->line);
    json_text(j, "topic", rule->topic);
    json_close(j, '}');
}

static void add_sentence(void *owner, const char *sentence)
{
    json_text(owner, NULL, sentence);
}

void explain_put(struct json *j, const struct gateway *gateway, const struct explain_question *q,
                 const struct explain_answer *a, bool live, bool why_not)
{
    const struct policy_role *role = a->identity.role;
    char told[128] = "";
    json_boolean(j, "allowed", a->outcome == OUTCOME_ALLOWED);
    json_text(j, "cause", outcome_id(a->outcome));
    json_boolean(j, "live", live);
    json_number(j, "policy_revision", gateway->generation->number);
    if (role != NULL) {
        json_text(j, "role", role->name);
        json_text(j, "identity", a->identity.name);
        json_boolean(j, "enforced", role->mode != POLICY_OBSERVE);
    }
    if (a->reason != NULL)
        json_text(j, "reason", a->reason);
    if (a->rule != ACL_RULE_NONE)
        json_rule(j, "rule", acl_rule_at(role->acl, a->rule));
    if (a->near != ACL_RULE_NONE) {
        json_rule(j, "near", acl_rule_at(role->acl, a->near));
        json_number(j, "differs_at_level", a->near_level);
    }
    if (a->outcome != OUTCOME_ALLOWED)
        explain_told(q, a, told, sizeof(told));
    json_text(j, "told", told);
    if (why_not) {
        json_open(j, "why_not", '[');
        explain_why_not(gateway->generation, q, a, add_sentence, j);
        json_close(j, ']');
    }
}

static void print_json(struct command *command, const struct explain_question *q,
                       const struct explain_answer *a, bool live, bool why_not)
{
    static char text[EXPLAIN_JSON_ROOM]; /* control thread */
    struct json j;
    json_init(&j, text, sizeof(text));
    json_open(&j, NULL, '{');
    explain_put(&j, command->gateway, q, a, live, why_not);
    json_close(&j, '}');
    fprintf(command->out, "%s\n", j.full ? "{}" : text);
}

void explain_print(struct command *command, const struct explain_question *q, const struct explain_answer *a,
                   bool live, bool why_not)
{
    print_text(command->out, q, a, live);
    if (why_not)
        explain_why_not(command->gateway->generation, q, a, print_sentence, command->out);
}

int command_explain(struct command *command)
{
    static struct explain_answer answer; /* large; control thread only */
    struct gateway *gateway = command->gateway;
    struct explain_question q;
    bool why_not;
    if (command->words_n >= 3 && strcmp(command->words[1], "--event") == 0 &&
        (command->words_n == 3 || (command->words_n == 4 && strcmp(command->words[3], "--why-not") == 0)))
        return command_explain_event(command);
    if (!parse_question(command, &q, &why_not)) {
        fputs(usage_text, command->out);
        return 2;
    }
    const struct client_facts *facts = explain_live_facts(gateway, &q);
    bool live = facts != NULL;
    explain(gateway->generation, gateway->quarantine, &q, facts, &answer);
    if (command->json)
        print_json(command, &q, &answer, live, why_not);
    else
        explain_print(command, &q, &answer, live, why_not);
    return answer.outcome == OUTCOME_ALLOWED ? 0 : 1;
}
