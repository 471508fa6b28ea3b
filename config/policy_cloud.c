/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a policy allows and its cloud does not take (policy/mqtt/cloud.h): warnings, since sessions are held
 * to the stricter of both, but devices that rely on it will not get it.
 */
#include "config/policy_draft.h"
#include "policy/mqtt/cloud.h"

#include <string.h>

/* A role and an upstream that it may come to. */
struct pair {
    const struct draft_role *role;
    const struct config_upstream *upstream;
    const struct cloud_limits *limits;
    struct diagnostics *d;
};

#define WARN(pair, at_line, ...)                                                                             \
    diagnostics_add((pair)->d, DIAGNOSTIC_WARNING, (pair)->role->spec.file, at_line, __VA_ARGS__)

static size_t slashes(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += *text == '/';
    return n;
}

/* Whether a topic of the policy can be one of the hub's: it names one, or leaves open which it is. */
static bool may_be_of_hub(const struct pair *pair, const char *topic)
{
    const char *mount = pair->upstream->mount;
    if (topic[0] != '$' && mount != NULL)
        return true; /* the mount point was checked */
    return strncmp(topic, "devices/", 8) == 0 || strncmp(topic, "$iothub/", 8) == 0 || topic[0] == '+' ||
           topic[0] == '#' || strncmp(topic, "${", 2) == 0;
}

static void check_topic(const struct pair *pair, uint32_t line, const char *what, const char *name,
                        const char *topic)
{
    size_t deep = slashes(topic);
    if (topic[0] != '$' && pair->upstream->mount != NULL)
        deep += slashes(pair->upstream->mount);
    if (pair->limits->topic_slashes != 0 && deep > pair->limits->topic_slashes)
        WARN(pair, line,
             "%s '%s' has a topic of %zu slashes at upstream '%s'; %s takes %u, so it is refused; shorten it",
             what, name, deep, pair->upstream->name, pair->limits->name, pair->limits->topic_slashes);
    if (pair->limits->hub_topics && !may_be_of_hub(pair, topic))
        WARN(pair, line,
             "%s '%s' has a topic that %s (upstream '%s') does not know, so it is refused; its topics begin "
             "with "
             "devices/ or $iothub/",
             what, name, pair->limits->name, pair->upstream->name);
}

static void check_rule(const struct pair *pair, const struct acl_rule_spec *rule)
{
    const struct cloud_limits *limits = pair->limits;
    bool mqtt = (rule->actions & (1u << ACL_PUBLISH | 1u << ACL_SUBSCRIBE)) != 0;
    if (!rule->allow || !mqtt || rule->topic == NULL)
        return;
    const char *id = rule->id != NULL ? rule->id : "?";
    check_topic(pair, rule->line, "rule", id, rule->topic);
    if ((rule->qos_mask & 4) != 0)
        WARN(pair, rule->line,
             "rule '%s' allows QoS 2, which %s (upstream '%s') does not know; write qos = [ 0, 1 ];", id,
             limits->name, pair->upstream->name);
    bool publishes = (rule->actions & (1u << ACL_PUBLISH)) != 0;
    if (limits->payload_bytes != 0 && publishes && rule->payload_max > limits->payload_bytes)
        WARN(pair, rule->line,
             "rule '%s' allows payloads of %u bytes; %s (upstream '%s') takes %u, so larger ones are refused",
             id, rule->payload_max, limits->name, pair->upstream->name, limits->payload_bytes);
    if (limits->no_reserved_retained && publishes && rule->topic[0] == '$' && rule->retain == 1)
        WARN(pair, rule->line,
             "rule '%s' allows a reserved topic retained, which %s (upstream '%s') does not take; "
             "remove 'retain'",
             id, limits->name, pair->upstream->name);
}

static void check_role(const struct pair *pair)
{
    const struct policy_role_spec *spec = &pair->role->spec;
    const struct cloud_limits *limits = pair->limits;
    if (spec->max_qos > limits->max_qos)
        WARN(pair, spec->line,
             "role '%s' allows QoS %u; %s (upstream '%s') takes %u, and the role is held to it; write "
             "max_qos = %u;",
             spec->name, spec->max_qos, limits->name, pair->upstream->name, limits->max_qos, limits->max_qos);
    if (limits->inflight != 0 && spec->inflight > limits->inflight)
        WARN(
            pair, spec->line,
            "role '%s' allows %u messages in flight; %s (upstream '%s') takes %u, and the role is held to it",
            spec->name, spec->inflight, limits->name, pair->upstream->name, limits->inflight);
    if (limits->keepalive_max_s != 0 && spec->limits.keepalive_min_s > limits->keepalive_max_s)
        WARN(pair, spec->line,
             "role '%s' asks for a keep-alive of %u s at least; %s (upstream '%s') takes %u s at most, which "
             "holds",
             spec->name, spec->limits.keepalive_min_s, limits->name, pair->upstream->name,
             limits->keepalive_max_s);
    if (limits->subscriptions != 0 && spec->limits.subscriptions > limits->subscriptions)
        WARN(pair, spec->line,
             "role '%s' allows %u subscriptions; %s (upstream '%s') takes %u, and the role is held to it; "
             "write limits = { subscriptions = %u; };",
             spec->name, spec->limits.subscriptions, limits->name, pair->upstream->name,
             limits->subscriptions, limits->subscriptions);
    if (limits->keepalive_max_s != 0 && spec->limits.keepalive_max_s > limits->keepalive_max_s)
        WARN(pair, spec->line,
             "role '%s' allows a keep-alive of %u s; %s (upstream '%s') takes %u s at most, which holds; "
             "end 'keepalive' in its limits there",
             spec->name, spec->limits.keepalive_max_s, limits->name, pair->upstream->name,
             limits->keepalive_max_s);
    const struct rate *own = &spec->limits.rates.of[RATE_PUBLISHES][0],
                      *most = &limits->rates.of[RATE_PUBLISHES][0];
    if (most->amount != 0 && own->amount != 0 &&
        (double)own->amount / (double)own->period_us > (double)most->amount / (double)most->period_us)
        WARN(pair, spec->line,
             "role '%s' allows more than the %llu messages a second that %s (upstream '%s') takes of one "
             "connection; what is more waits",
             spec->name, (unsigned long long)most->amount, limits->name, pair->upstream->name);
    if (spec->will == POLICY_WILL_SUPPLIED && spec->last_will.topic != NULL)
        check_topic(pair, spec->last_will.line, "the Will of role", spec->name, spec->last_will.topic);
    for (uint32_t i = 0; i < pair->role->rules_n; i++)
        check_rule(pair, &pair->role->rules[i]);
}

void policy_check_clouds(const struct policy_draft *draft, const struct gateway_config *gateway,
                         struct diagnostics *d)
{
    for (uint32_t r = 0; r < draft->roles_n; r++) {
        bool told[GATEWAY_UPSTREAMS_MAX] = {false};
        for (uint32_t i = 0; i < gateway->listeners_n; i++) {
            const struct config_listener *listener = &gateway->listeners[i];
            if (listener->upstream >= gateway->upstreams_n || listener->interface >= gateway->interfaces_n ||
                told[listener->upstream])
                continue;
            const struct config_upstream *upstream = &gateway->upstreams[listener->upstream];
            if (upstream->profile == CLOUD_PLAIN ||
                !policy_may_come(&draft->roles[r]->spec.match, gateway, listener))
                continue;
            struct pair pair = {.role = draft->roles[r],
                                .upstream = upstream,
                                .limits = cloud_limits(upstream->profile),
                                .d = d};
            told[listener->upstream] = true;
            check_role(&pair);
        }
    }
}
