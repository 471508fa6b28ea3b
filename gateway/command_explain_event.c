/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * explain --event: a refusal that was logged, as it was decided, and whether the policy in force would decide
 * the same of what was known then (H1).
 */
#include "gateway/command_explain.h"
#include "gateway/command_text.h"
#include "gateway/refusals.h"

#include "policy/coap/guard.h"

#include <stdlib.h>
#include <string.h>

/* What the policy in force says of it. */
struct today {
    struct explain_question q;
    struct explain_answer a;
    bool asked;      /* there is something to ask: who, and what */
    bool live;       /* by the facts of a live session */
    bool comparable; /* it was refused for what rules and identities decide */
    char topic[EVENT_TOPIC_MAX + 1];
};

static const struct refusal *find(struct command *command, bool *why_not)
{
    const struct refusals *refusals = command->gateway->refusals;
    const char *word = command->words[2];
    char *end;
    *why_not = command->words_n == 4;
    if (strcmp(word, "last") == 0)
        return refusals_last(refusals);
    unsigned long long sequence = strtoull(word, &end, 10);
    return *end == '\0' && word[0] >= '0' && word[0] <= '9' ? refusals_find(refusals, sequence) : NULL;
}

/* The question that the client asked; false: the event does not tell one. */
static bool question_of(const struct event *event, struct today *today)
{
    struct explain_question *q = &today->q;
    *q = (struct explain_question){.client = event->client_id[0] != '\0' ? event->client_id : event->identity,
                                   .topic = today->topic,
                                   .qos = event->qos < 3 ? event->qos : 0,
                                   .retain = event->retain,
                                   .payload_bytes = event->payload_bytes,
                                   .user = event->coap || event->user[0] == '\0' ? NULL : event->user,
                                   .listener = event->listener[0] == '\0' ? NULL : event->listener};
    memcpy(today->topic, event->topic, event->topic_len);
    today->topic[event->topic_len] = '\0';
    bool whole = event->topic_len != 0 && event->topic_len < EVENT_TOPIC_MAX &&
                 memchr(event->topic, '\0', event->topic_len) == NULL;
    switch (event->kind) {
    case EVENT_MQTT_CONNECT_REFUSED:
    case EVENT_IDENTITY_VIOLATION:
        q->connect = !event->coap;
        q->action = ACL_GET; /* of CoAP only who it is is asked */
        return true;
    case EVENT_MQTT_WILL_DENIED:
        q->will = true;
        q->action = ACL_PUBLISH;
        return whole;
    case EVENT_COAP_REQUEST_DENIED:
        return event->topic_len < EVENT_TOPIC_MAX && coap_action_of(event->coap_code, &q->action);
    case EVENT_MQTT_SUBSCRIBE_DENIED:
    case EVENT_MQTT_DELIVERY_DENIED:
        q->action = ACL_SUBSCRIBE;
        return whole;
    default:
        q->action = ACL_PUBLISH;
        return whole && event->mqtt_type == MQTT_PUBLISH;
    }
}

/* Refusals that rules and identities decide, which can be asked again; others depend on what came before. */
static bool is_comparable(const struct event *event)
{
    switch (event->outcome) {
    case OUTCOME_DEFAULT_DENY:
    case OUTCOME_RULE_DENY:
    case OUTCOME_NO_ROLE:
    case OUTCOME_QUARANTINED:
    case OUTCOME_IDENTITY_MISMATCH:
    case OUTCOME_CLIENT_ID_MISMATCH:
    case OUTCOME_UNSAFE_VARIABLE:
    case OUTCOME_QOS_CAP:
    case OUTCOME_RETAIN_DENIED:
    case OUTCOME_PAYLOAD_TOO_LARGE:
    case OUTCOME_CLOUD_TOPIC:
    case OUTCOME_BAD_TOPIC:
    case OUTCOME_BAD_FILTER:
        return event->kind != EVENT_MQTT_DELIVERY_DENIED;
    default:
        return false;
    }
}

/* What was known of it then: place, address, MAC, names; a live session's where a certificate or key tells
 * who it is, which events do not hold. */
static const struct client_facts *facts_of(struct gateway *gateway, const struct event *event,
                                           struct today *today, struct client_facts *facts)
{
    const struct gateway_config *config = gateway->generation->config;
    uint32_t i = 0;
    while (i < config->listeners_n &&
           strncmp(config->listeners[i].name, event->listener, sizeof(event->listener) - 1) != 0)
        i++;
    if (i == config->listeners_n)
        return NULL;
    if (config->listeners[i].security != CONFIG_SECURITY_NONE) {
        struct explain_question by_name = today->q;
        by_name.user = by_name.listener = NULL;
        const struct client_facts *live = explain_live_facts(gateway, &by_name);
        today->live = live != NULL;
        if (live != NULL)
            return live;
    }
    const struct config_interface *interface = &config->interfaces[config->listeners[i].interface];
    *facts = (struct client_facts){.listener = bytes_of_text(config->listeners[i].name),
                                   .port = bytes_of_text(interface->name),
                                   .vlan = interface->vlan,
                                   .has_mac = event->has_mac,
                                   .client_id = bytes_of_text(event->client_id)};
    memcpy(facts->source, event->source.bytes, sizeof(facts->source));
    memcpy(facts->mac, event->mac, sizeof(facts->mac));
    if (event->coap && event->client_id[0] == '\0') {
        const struct policy_device *device =
            snapshot_device_at(gateway->generation->policy, facts->has_mac, facts->mac, facts->source);
        facts->client_id = device == NULL ? bytes_of(NULL, 0) : bytes_of_text(device->id);
    }
    if (!event->coap && event->user[0] != '\0')
        facts->user = bytes_of_text(event->user);
    return facts;
}

static void ask(struct gateway *gateway, const struct event *event, struct today *today)
{
    static struct client_facts facts;
    memset(today, 0, sizeof(*today));
    today->comparable = is_comparable(event);
    today->asked = question_of(event, today);
    if (!today->asked)
        return;
    const struct client_facts *known = facts_of(gateway, event, today, &facts);
    explain(gateway->generation, gateway->quarantine, &today->q, known, &today->a);
    if (event->coap && event->kind == EVENT_IDENTITY_VIOLATION && today->a.identity.role != NULL)
        today->a.rule = today->a.near = ACL_RULE_NONE;
}

/* "0x87", "4.03", or nothing. */
static const char *told_text(const struct event *event, char to[16])
{
    if (!event->told)
        snprintf(to, 16, "nothing");
    else if (event->coap)
        snprintf(to, 16, "%u.%02u", event->reason_code >> 5, event->reason_code & 31);
    else
        snprintf(to, 16, "0x%02X", event->reason_code);
    return to;
}

static bool is_same(const struct event *event, const struct today *today)
{
    return today->a.outcome == event->outcome;
}

static void print_text(struct command *command, const struct refusal *refusal, const struct today *today,
                       bool why_not)
{
    const struct event *event = &refusal->event;
    uint32_t now = command->gateway->generation->number;
    char text[COMMAND_TIME_BYTES], told[16];
    FILE *out = command->out;
    fprintf(out, "event  %llu  %s  ", (unsigned long long)refusal->sequence,
            command_time(event->time_us, text));
    command_put_safe(out, bytes_of_text(today->q.client == NULL ? "" : today->q.client));
    fputs("  ", out);
    command_put_safe(out, bytes_of(event->topic, event->topic_len));
    fprintf(out, "\nwas    %s: %s  (rev %u%s)\n", outcome_id(event->outcome), outcome_text(event->outcome),
            event->ruleset, event->enforced ? "" : ", recorded and not enforced");
    if (event->role[0] != '\0')
        fprintf(out, "       role %s  %s\n", event->role, refusal->role_at);
    if (event->rule[0] != '\0')
        fprintf(out, "       rule %s  %s\n", event->rule, refusal->rule_at);
    if (event->detail[0] != '\0') {
        fputs("       ", out);
        command_put_safe(out, bytes_of_text(event->detail));
        fputc('\n', out);
    }
    fprintf(out, "       the client was told %s\n", told_text(event, told));
    if (!today->asked) {
        fprintf(out, "now    rev %u cannot be asked: the event does not hold all of what was asked\n", now);
        return;
    }
    if (!today->comparable)
        fprintf(out, "now    rev %u: not a matter of rules; these alone say\n", now);
    else
        fprintf(out, "now    rev %u decides %s\n", now, is_same(event, today) ? "the same" : "otherwise");
    explain_print(command, &today->q, &today->a, today->live, why_not);
}

static void put_was(struct json *j, const struct refusal *refusal)
{
    const struct event *event = &refusal->event;
    char told[16];
    json_open(j, "was", '{');
    json_text(j, "cause", outcome_id(event->outcome));
    json_number(j, "policy_revision", event->ruleset);
    json_boolean(j, "enforced", event->enforced);
    json_text(j, "role", event->role);
    json_text(j, "role_at", refusal->role_at);
    json_text(j, "rule", event->rule);
    json_text(j, "rule_at", refusal->rule_at);
    json_text(j, "detail", event->detail);
    json_bytes(j, "topic", bytes_of(event->topic, event->topic_len));
    json_text(j, "told", told_text(event, told));
    json_close(j, '}');
}

static void print_json(struct command *command, const struct refusal *refusal, const struct today *today,
                       bool why_not)
{
    static char text[EXPLAIN_JSON_ROOM]; /* control thread */
    struct json j;
    json_init(&j, text, sizeof(text));
    json_open(&j, NULL, '{');
    json_number(&j, "event", refusal->sequence);
    json_number(&j, "time_us", refusal->event.time_us);
    put_was(&j, refusal);
    if (today->asked && today->comparable)
        json_boolean(&j, "same", is_same(&refusal->event, today));
    if (today->asked) {
        json_open(&j, "now", '{');
        explain_put(&j, command->gateway, &today->q, &today->a, today->live, why_not);
        json_close(&j, '}');
    }
    json_close(&j, '}');
    fprintf(command->out, "%s\n", j.full ? "{}" : text);
}

int command_explain_event(struct command *command)
{
    static struct today today; /* large; control thread */
    bool why_not;
    const struct refusal *refusal = find(command, &why_not);
    if (refusal == NULL) {
        fprintf(command->out,
                "%s is none of the last %d refusals in the event file since the gateway started\n",
                command->words[2], REFUSALS_MAX);
        return 2;
    }
    ask(command->gateway, &refusal->event, &today);
    if (command->json)
        print_json(command, refusal, &today, why_not);
    else
        print_text(command, refusal, &today, why_not);
    return today.asked && today.a.outcome == OUTCOME_ALLOWED ? 0 : 1;
}
