/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * explain: the decision, the rule that made it, the nearest miss, and what the client is told (H1), from the
 * policy in force. Uses the facts of the live session where there is one; else those of a device with that
 * client id on the first listener's network, with the MAC that the device table knows.
 */
#include "gateway/command.h"
#include "policy/access/identity.h"
#include "policy/access/topic.h"

#include <stdlib.h>
#include <string.h>

struct question {
    const char *client;
    const char *topic; /* NULL: connect */
    bool subscribe;
    uint8_t qos;
    bool retain;
    bool live;
};

static bool parse_question(const struct command *command, struct question *q)
{
    *q = (struct question){0};
    if (command->words_n < 3)
        return false;
    q->client = command->words[1];
    const char *action = command->words[2];
    uint32_t next = 3;
    if (strcmp(action, "connect") != 0) {
        q->subscribe = strcmp(action, "subscribe") == 0;
        if ((!q->subscribe && strcmp(action, "publish") != 0) || command->words_n < 4)
            return false;
        q->topic = command->words[next++];
    }
    for (; next < command->words_n; next++) {
        if (strcmp(command->words[next], "--retain") == 0) {
            q->retain = true;
        } else if (strcmp(command->words[next], "--qos") == 0 && next + 1 < command->words_n) {
            const char *qos = command->words[++next];
            if (qos[0] < '0' || qos[0] > '2' || qos[1] != '\0')
                return false;
            q->qos = (uint8_t)(qos[0] - '0');
        } else {
            return false;
        }
    }
    return true;
}

static void facts_of_listener(const struct gateway_config *config, uint16_t listener,
                              struct client_facts *facts)
{
    const struct config_interface *interface = &config->interfaces[config->listeners[listener].interface];
    facts->listener = bytes_of_text(config->listeners[listener].name);
    facts->port = bytes_of_text(interface->name);
    facts->vlan = interface->vlan;
    if (interface->addresses_n > 0)
        memcpy(facts->source, interface->addresses[0].bytes, sizeof(facts->source));
}

/* The facts to judge by: the live session's, or made up. `info` holds what facts point at. */
static void make_facts(struct gateway *gateway, struct question *q, struct relay_info *info,
                       struct client_facts *facts)
{
    const struct gateway_config *config = gateway->generation->config;
    *facts = (struct client_facts){.client_id = bytes_of_text(q->client)};
    q->live = command_find_session(gateway, q->client, info);
    if (q->live && info->origin.listener < config->listeners_n) {
        facts_of_listener(config, info->origin.listener, facts);
        facts->client_id = bytes_of_text(info->client_id);
        if (info->user[0] != '\0')
            facts->user = bytes_of_text(info->user);
        facts->has_mac = info->origin.has_mac;
        memcpy(facts->mac, info->origin.mac, sizeof(facts->mac));
        memcpy(facts->source, info->origin.key.remote.bytes, sizeof(facts->source));
        return;
    }
    if (config->listeners_n > 0)
        facts_of_listener(config, 0, facts);
    const struct policy_device *device =
        snapshot_device(gateway->generation->policy, bytes_of_text(q->client));
    if (device != NULL && device->has_mac) {
        facts->has_mac = true;
        memcpy(facts->mac, device->mac, sizeof(facts->mac));
    }
}

static void print_told(FILE *out, const struct question *q, enum outcome outcome)
{
    uint8_t code = outcome_mqtt5_code(outcome);
    if (q->topic == NULL)
        fprintf(out, "told   MQTT 5: CONNACK 0x%02X - MQTT 3.1.1: CONNACK %u\n", code,
                outcome_connack3_code(outcome));
    else if (q->subscribe)
        fprintf(out, "told   MQTT 5: SUBACK 0x%02X - MQTT 3.1.1: SUBACK 0x80\n", code);
    else if (q->qos == 0)
        fprintf(out, "told   nothing: QoS 0, message dropped\n");
    else
        fprintf(out, "told   MQTT 5: %s 0x%02X - MQTT 3.1.1: acknowledged, message dropped\n",
                q->qos == 1 ? "PUBACK" : "PUBREC", code);
}

static void print_near(FILE *out, const struct policy_role *role, const struct acl_values *values,
                       const struct acl_request *request)
{
    uint32_t level = 0;
    uint32_t rule = acl_nearest(role->acl, values, request, &level);
    if (rule == ACL_RULE_NONE)
        return;
    const struct acl_rule *near = acl_rule_at(role->acl, rule);
    fprintf(out, "near   %s  %s:%u   %s  differs at level %u\n", near->id, near->file, near->line,
            near->topic, level);
}

static struct acl_decision decide(const struct question *q, const struct policy_role *role,
                                  const struct acl_values *values, struct acl_request *request)
{
    *request = (struct acl_request){.action = q->subscribe ? ACL_SUBSCRIBE : ACL_PUBLISH,
                                    .topic = bytes_of_text(q->topic),
                                    .qos = q->qos,
                                    .retain = q->retain};
    struct acl_decision refused = {.outcome = q->subscribe ? OUTCOME_BAD_FILTER : OUTCOME_BAD_TOPIC,
                                   .rule = ACL_RULE_NONE};
    if (!q->subscribe) {
        if (!topic_name_valid(request->topic) || !topic_publish_parse(request->topic, &request->topic))
            return refused;
        if (q->qos > role->max_qos) {
            refused.outcome = OUTCOME_QOS_CAP;
            return refused;
        }
        return acl_decide(role->acl, values, request);
    }
    struct topic_share share;
    if (!topic_share_parse(request->topic, &share) || !topic_filter_valid(share.inner))
        return refused;
    request->topic = share.inner;
    if (request->qos > role->max_qos)
        request->qos = role->max_qos;
    return acl_decide_filter(role->acl, values, request, role->subscribe_trim);
}

/* Shut out by command, by either of its names; NULL: not. */
static const struct quarantine_entry *shut_out(const struct gateway *gateway, const struct identity *identity,
                                               const struct client_facts *facts)
{
    const struct quarantine_entry *entry =
        quarantine_find(gateway->quarantine, bytes_of(identity->name, identity->name_len));
    return entry != NULL ? entry : quarantine_find(gateway->quarantine, facts->client_id);
}

int command_explain(struct command *command)
{
    static struct identity identity; /* large; control thread only */
    struct question q;
    struct relay_info info;
    struct client_facts facts;
    if (!parse_question(command, &q)) {
        fprintf(
            command->out,
            "usage: explain CLIENT publish|subscribe TOPIC [--qos N] [--retain], explain CLIENT connect\n");
        return 2;
    }
    make_facts(command->gateway, &q, &info, &facts);
    enum outcome outcome = identity_resolve(command->gateway->generation->policy, &facts, &identity);
    const struct quarantine_entry *quarantined = shut_out(command->gateway, &identity, &facts);
    if (outcome == OUTCOME_ALLOWED && quarantined != NULL)
        outcome = OUTCOME_QUARANTINED;
    struct acl_decision decision = {.outcome = outcome, .rule = ACL_RULE_NONE};
    struct acl_request request;
    if (outcome == OUTCOME_ALLOWED && q.topic != NULL)
        decision = decide(&q, identity.role, &identity.values, &request);
    bool allowed = decision.outcome == OUTCOME_ALLOWED;
    fprintf(command->out, "%s  %s: %s\n", allowed ? "ALLOW" : "DENY ", outcome_id(decision.outcome),
            outcome_text(decision.outcome));
    if (identity.role != NULL && outcome != OUTCOME_NO_ROLE)
        fprintf(command->out, "role   %s  %s:%u   identity %s  (%s)%s\n", identity.role->name,
                identity.role->file, identity.role->line, identity.name,
                q.live ? "live session" : "no live session",
                identity.role->mode == POLICY_OBSERVE ? "  observe: recorded, not enforced" : "");
    if (outcome == OUTCOME_QUARANTINED)
        fprintf(command->out, "why    %s\n",
                identity.device != NULL && identity.device->quarantine != NULL ? identity.device->quarantine
                : quarantined != NULL                                          ? quarantined->reason
                                                                               : "");
    if (outcome == OUTCOME_IDENTITY_MISMATCH)
        fprintf(command->out, "why    %s\n", identity_part_text(identity.mismatch));
    if (decision.rule != ACL_RULE_NONE) {
        const struct acl_rule *rule = acl_rule_at(identity.role->acl, decision.rule);
        fprintf(command->out, "rule   %s  %s:%u   %s\n", rule->id, rule->file, rule->line, rule->topic);
    } else if (!allowed && outcome == OUTCOME_ALLOWED && q.topic != NULL) {
        print_near(command->out, identity.role, &identity.values, &request);
    }
    if (!allowed)
        print_told(command->out, &q, decision.outcome);
    return allowed ? 0 : 1;
}
