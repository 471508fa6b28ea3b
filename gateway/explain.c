/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/explain.h"

#include "gateway/cloud_roles.h"
#include "policy/access/template.h"
#include "policy/access/topic.h"
#include "policy/coap/guard.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- who ------------------------------------------------------------------------------------------------
 */

static void take_place(const struct gateway_config *config, uint32_t listener, struct client_facts *facts)
{
    const struct config_interface *interface = &config->interfaces[config->listeners[listener].interface];
    facts->listener = bytes_of_text(config->listeners[listener].name);
    facts->port = bytes_of_text(interface->name);
    facts->vlan = interface->vlan;
    if (interface->addresses_n > 0)
        memcpy(facts->source, interface->addresses[0].bytes, sizeof(facts->source));
}

/* A device of that name on this listener: its own MAC and address, where the table tells them. */
static struct client_facts usual_facts(const struct generation *generation, const struct explain_question *q,
                                       uint32_t listener)
{
    struct client_facts facts = {.client_id = bytes_of_text(q->client)};
    const struct policy_device *device = snapshot_device(generation->policy, bytes_of_text(q->client));
    take_place(generation->config, listener, &facts);
    if (q->user != NULL)
        facts.user = bytes_of_text(q->user);
    if (device == NULL)
        return facts;
    facts.has_mac = device->has_mac;
    memcpy(facts.mac, device->mac, sizeof(facts.mac));
    if (device->has_address)
        memcpy(facts.source, device->address, sizeof(facts.source));
    return facts;
}

static enum outcome identify(const struct generation *generation, const struct quarantine *quarantine,
                             struct explain_answer *out)
{
    struct identity *who = &out->identity;
    enum outcome outcome = identity_resolve(generation->policy, &out->facts, who);
    const struct quarantine_entry *entry = quarantine_find(quarantine, bytes_of(who->name, who->name_len));
    if (entry == NULL)
        entry = quarantine_find(quarantine, out->facts.client_id);
    out->reason = NULL;
    if (outcome == OUTCOME_QUARANTINED)
        out->reason = who->device->quarantine;
    if (outcome == OUTCOME_IDENTITY_MISMATCH)
        out->reason = identity_part_text(who->mismatch);
    if (outcome != OUTCOME_ALLOWED || entry == NULL)
        return outcome;
    out->reason = entry->reason;
    return OUTCOME_QUARANTINED;
}

/* The first listener of the protocol on which it would be let in; else what the first of them says. */
static enum outcome find_place(const struct generation *generation, const struct quarantine *quarantine,
                               const struct explain_question *q, struct explain_answer *out)
{
    const struct gateway_config *config = generation->config;
    enum config_protocol wanted = out->coap ? CONFIG_COAP : CONFIG_MQTT;
    uint32_t first = UINT32_MAX;
    for (uint32_t i = 0; i < config->listeners_n; i++) {
        if (config->listeners[i].protocol != wanted ||
            (q->listener != NULL && strcmp(q->listener, config->listeners[i].name) != 0))
            continue;
        out->facts = usual_facts(generation, q, i);
        if (identify(generation, quarantine, out) == OUTCOME_ALLOWED)
            return OUTCOME_ALLOWED;
        first = first == UINT32_MAX ? i : first;
    }
    if (first == UINT32_MAX) {
        out->identity.role = NULL;
        return OUTCOME_NO_LISTENER;
    }
    out->facts = usual_facts(generation, q, first);
    return identify(generation, quarantine, out);
}

/* ---- what -----------------------------------------------------------------------------------------------
 */

static struct bytes value_of(void *owner, struct bytes name)
{
    const struct explain_answer *a = owner;
    struct bytes value = bytes_equal(name, bytes_of_text("id"))
                             ? bytes_of(a->identity.name, a->identity.name_len)
                         : bytes_equal(name, bytes_of_text("client_id")) ? a->facts.client_id
                                                                         : bytes_of(NULL, 0);
    return value.len != 0 ? value : bytes_of(NULL, 0);
}

static bool expand(struct explain_answer *a, const char *text, uint8_t *to, size_t room, struct bytes *out)
{
    size_t n;
    if (!template_expand(bytes_of_text(text), value_of, a, to, room, &n))
        return false;
    *out = bytes_of(to, n);
    return true;
}

/* What the cloud behind the client's listener takes of it (policy/mqtt/cloud.h), before any rule is asked; as
 * the guard does it. `role` becomes the one that the cloud has made stricter. */
static enum outcome judge_cloud(const struct generation *generation, struct explain_answer *out,
                                const struct policy_role **role)
{
    const struct gateway_config *config = generation->config;
    const struct acl_request *request = &out->request;
    uint8_t client_id[256], mount[512];
    uint32_t i = 0;
    while (i < config->listeners_n &&
           !bytes_equal(out->facts.listener, bytes_of_text(config->listeners[i].name)))
        i++;
    if (i == config->listeners_n)
        return OUTCOME_ALLOWED;
    const struct config_upstream *upstream = &config->upstreams[config->listeners[i].upstream];
    struct cloud_session session = {.profile = upstream->profile, .client_id = out->facts.client_id};
    if (upstream->profile == CLOUD_PLAIN || out->identity.role->mode == POLICY_OBSERVE)
        return OUTCOME_ALLOWED;
    *role = cloud_roles_of(generation->cloud[config->listeners[i].upstream], out->identity.role);
    if (upstream->client_id != NULL &&
        !expand(out, upstream->client_id, client_id, sizeof(client_id), &session.client_id))
        return OUTCOME_BAD_CLIENT_ID;
    if (upstream->mount != NULL && !expand(out, upstream->mount, mount, sizeof(mount), &session.mount))
        return OUTCOME_UNSAFE_VARIABLE;
    struct topic_share share;
    if (request->action == ACL_SUBSCRIBE)
        return topic_share_parse(request->topic, &share) ? cloud_judge_filter(&session, share.inner)
                                                         : OUTCOME_BAD_FILTER;
    return cloud_judge_publish(&session, request->topic, request->retain, request->will,
                               request->payload_bytes);
}

static struct acl_decision decide_publish(const struct policy_role *role, struct explain_answer *out)
{
    struct acl_decision refused = {.outcome = OUTCOME_BAD_TOPIC, .rule = ACL_RULE_NONE};
    struct acl_request *request = &out->request;
    if (!topic_name_valid(request->topic) || !topic_publish_parse(request->topic, &request->topic))
        return refused;
    refused.outcome = OUTCOME_QOS_CAP;
    return request->qos > role->max_qos ? refused : acl_decide(role->acl, &out->identity.values, request);
}

static struct acl_decision decide_subscribe(const struct policy_role *role, struct explain_answer *out)
{
    struct topic_share share;
    struct acl_request *request = &out->request;
    if (!topic_share_parse(request->topic, &share) || !topic_filter_valid(share.inner))
        return (struct acl_decision){.outcome = OUTCOME_BAD_FILTER, .rule = ACL_RULE_NONE};
    request->topic = share.inner;
    request->qos = request->qos > role->max_qos ? role->max_qos : request->qos;
    return acl_decide_filter(role->acl, &out->identity.values, request, role->subscribe_mode);
}

static struct acl_decision decide(const struct generation *generation, const struct explain_question *q,
                                  struct explain_answer *out)
{
    const struct policy_role *role = out->identity.role;
    out->request = (struct acl_request){.action = q->action,
                                        .topic = bytes_of_text(q->topic),
                                        .qos = q->qos,
                                        .retain = q->retain,
                                        .will = q->will,
                                        .payload_bytes = q->payload_bytes};
    enum outcome cloud = out->coap ? OUTCOME_ALLOWED : judge_cloud(generation, out, &role);
    if (cloud != OUTCOME_ALLOWED)
        return (struct acl_decision){.outcome = cloud, .rule = ACL_RULE_NONE};
    if (q->action == ACL_PUBLISH)
        return decide_publish(role, out);
    if (q->action == ACL_SUBSCRIBE)
        return decide_subscribe(role, out);
    return acl_decide(role->acl, &out->identity.values, &out->request);
}

void explain(const struct generation *generation, const struct quarantine *quarantine,
             const struct explain_question *q, const struct client_facts *live, struct explain_answer *out)
{
    *out = (struct explain_answer){.rule = ACL_RULE_NONE, .near = ACL_RULE_NONE, .coap = explain_is_coap(q)};
    if (live != NULL) {
        out->facts = *live;
        out->outcome = identify(generation, quarantine, out);
    } else {
        out->outcome = find_place(generation, quarantine, q, out);
    }
    if (out->outcome != OUTCOME_ALLOWED || q->connect)
        return;
    struct acl_decision decision = decide(generation, q, out);
    out->outcome = decision.outcome;
    out->rule = decision.rule;
    if (decision.outcome != OUTCOME_ALLOWED && decision.rule == ACL_RULE_NONE)
        out->near =
            acl_nearest(out->identity.role->acl, &out->identity.values, &out->request, &out->near_level);
}

/* ---- what the client is told ----------------------------------------------------------------------------
 */

void explain_told(const struct explain_question *q, const struct explain_answer *a, char *to, size_t room)
{
    uint8_t code = outcome_mqtt5_code(a->outcome), coap = coap_refusal_code(a->outcome);
    if (a->coap && a->outcome == OUTCOME_IDENTITY_MISMATCH)
        snprintf(to, room, "CoAP: nothing");
    else if (a->coap)
        snprintf(to, room, "CoAP: %u.%02u", coap >> 5, coap & 31);
    else if (q->connect || a->rule == ACL_RULE_NONE)
        snprintf(to, room, "MQTT 5: CONNACK 0x%02X - MQTT 3.1.1: CONNACK %u", code,
                 outcome_connack3_code(a->outcome));
    if (a->coap || q->connect)
        return;
    bool let_in = a->request.topic.at != NULL;
    if (!let_in)
        return;
    if (q->action == ACL_SUBSCRIBE)
        snprintf(to, room, "MQTT 5: SUBACK 0x%02X - MQTT 3.1.1: SUBACK 0x80", code);
    else if (q->will)
        snprintf(to, room, "MQTT 5: CONNACK 0x%02X - MQTT 3.1.1: CONNACK %u", code,
                 outcome_connack3_code(a->outcome));
    else if (q->qos == 0)
        snprintf(to, room, "nothing: QoS 0, message dropped");
    else
        snprintf(to, room, "MQTT 5: %s 0x%02X - MQTT 3.1.1: %s", q->qos == 1 ? "PUBACK" : "PUBREC", code,
                 a->identity.role->refusal == POLICY_REFUSE_DISCONNECT ? "connection closed"
                                                                       : "acknowledged, message dropped");
}

/* ---- what stands in the way -----------------------------------------------------------------------------
 */

struct way {
    void (*each)(void *owner, const char *sentence);
    void *owner;
};

static void say(const struct way *way, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(const struct way *way, const char *format, ...)
{
    char text[640];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    way->each(way->owner, text);
}

/* For each role, the first thing that it asks and that does not hold. */
static void say_roles(const struct way *way, const struct generation *generation,
                      const struct explain_answer *a)
{
    for (uint32_t i = 0; i < snapshot_roles(generation->policy); i++) {
        const struct policy_role *role = snapshot_role(generation->policy, i);
        struct identity_unmet unmet;
        if (identity_unmet(generation->policy, i, &a->facts, &unmet))
            say(way, "role %s (%s:%u) asks %s%s%s; here it is %s", role->name, role->file, role->line,
                unmet.what, unmet.asked[0] == '\0' ? "" : " ", unmet.asked,
                unmet.is[0] == '\0' ? "not known" : unmet.is);
    }
}

static const char *action_word(enum acl_action action)
{
    static const char *const word[ACL_ACTIONS] = {[ACL_PUBLISH] = "publish", [ACL_SUBSCRIBE] = "subscribe",
                                                  [ACL_GET] = "GET",         [ACL_POST] = "POST",
                                                  [ACL_PUT] = "PUT",         [ACL_DELETE] = "DELETE",
                                                  [ACL_FETCH] = "FETCH",     [ACL_PATCH] = "PATCH",
                                                  [ACL_IPATCH] = "IPATCH",   [ACL_OBSERVE] = "OBSERVE"};
    return word[action];
}

static void say_no_rule(const struct way *way, const struct explain_question *q,
                        const struct explain_answer *a)
{
    const struct policy_role *role = a->identity.role;
    const struct acl_rule *near = a->near == ACL_RULE_NONE ? NULL : acl_rule_at(role->acl, a->near);
    const char *key = a->coap ? "path" : "topic", *slash = a->coap ? "/" : "";
    if (near == NULL)
        say(way, "no rule of role %s (%s:%u) allows any %s", role->name, role->file, role->line,
            action_word(q->action));
    else if (a->near_level == 0)
        say(way, "rule %s (%s:%u) fits but for its conditions: QoS, retain, Will, payload", near->id,
            near->file, near->line);
    else
        say(way, "rule %s (%s:%u, %s) differs at level %u", near->id, near->file, near->line, near->topic,
            a->near_level);
    say(way,
        "this alone would be allowed by one more rule of role %s (%s:%u): { id = \"%s.new\"; allow = \"%s\"; "
        "%s = \"%s%s\"; }",
        role->name, role->file, role->line, role->name, action_word(q->action), key, slash, q->topic);
}

static void say_condition(const struct way *way, const struct explain_question *q,
                          const struct explain_answer *a)
{
    const struct policy_role *role = a->identity.role;
    const struct acl_rule *rule = a->rule == ACL_RULE_NONE ? NULL : acl_rule_at(role->acl, a->rule);
    if (a->outcome == OUTCOME_QOS_CAP && rule == NULL)
        say(way, "max_qos of role %s (%s:%u) is %u; publish with that, or write max_qos = %u", role->name,
            role->file, role->line, role->max_qos, q->qos);
    else if (rule != NULL && a->outcome == OUTCOME_QOS_CAP)
        say(way, "qos of rule %s (%s:%u) does not hold %u; add it there", rule->id, rule->file, rule->line,
            q->qos);
    else if (rule != NULL && a->outcome == OUTCOME_RETAIN_DENIED)
        say(way, "rule %s (%s:%u) allows it not retained only; write retain = true", rule->id, rule->file,
            rule->line);
    else if (rule != NULL && a->outcome == OUTCOME_PAYLOAD_TOO_LARGE)
        say(way, "payload_max of rule %s (%s:%u) is %u bytes; raise it to %u", rule->id, rule->file,
            rule->line, rule->payload_max, q->payload_bytes);
    else
        say(way, "%s; another %s is needed", outcome_text(a->outcome), a->coap ? "path" : "topic");
}

void explain_why_not(const struct generation *generation, const struct explain_question *q,
                     const struct explain_answer *a, void (*each)(void *owner, const char *sentence),
                     void *owner)
{
    const struct way way = {.each = each, .owner = owner};
    const struct policy_role *role = a->identity.role;
    const struct acl_rule *rule = a->rule == ACL_RULE_NONE ? NULL : acl_rule_at(role->acl, a->rule);
    switch (a->outcome) {
    case OUTCOME_ALLOWED:
        break;
    case OUTCOME_NO_LISTENER:
        say(&way, "there is no listener %s%s for %s", q->listener == NULL ? "" : q->listener,
            q->listener == NULL ? "at all" : "", a->coap ? "CoAP" : "MQTT");
        break;
    case OUTCOME_NO_ROLE:
        say_roles(&way, generation, a);
        break;
    case OUTCOME_QUARANTINED:
        if (a->identity.device != NULL && a->identity.device->quarantine != NULL)
            say(&way, "'quarantine' of device %s in the policy; remove it there and reload",
                a->identity.device->id);
        else
            say(&way, "it was quarantined by command; sallyportctl release %s", q->client);
        break;
    case OUTCOME_IDENTITY_MISMATCH:
        say(&way, "%s; correct the entry of device %s, if that is wrong and not the client", a->reason,
            a->identity.device != NULL ? a->identity.device->id : q->client);
        break;
    case OUTCOME_RULE_DENY:
        if (rule != NULL)
            say(&way, "rule %s (%s:%u, %s) denies it, and no allow outweighs that; narrow it or delete it",
                rule->id, rule->file, rule->line, rule->topic);
        break;
    case OUTCOME_DEFAULT_DENY:
        say_no_rule(&way, q, a);
        break;
    default:
        if (role == NULL || a->request.topic.at == NULL)
            say(&way, "%s", outcome_text(a->outcome));
        else
            say_condition(&way, q, a);
        break;
    }
}
