/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/event_log.h"
#include "gateway/json.h"
#include "policy/coap/message.h"
#include "policy/mqtt/guard.h"

#include <time.h>

struct event_traits {
    const char *dataset;
    const char *action;
    const char *category;
    const char *type;
};

#define EVENT_TRAITS(name, dataset, action, category, type) {dataset, action, category, type},
static const struct event_traits traits_table[EVENT_KIND_COUNT] = {EVENT_TABLE(EVENT_TRAITS)};
#undef EVENT_TRAITS

static void put_time(struct json *j, const char *key, uint64_t time_us)
{
    char text[48];
    char day[32];
    struct tm tm;
    time_t seconds = (time_t)(time_us / 1000000);
    gmtime_r(&seconds, &tm);
    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof(text), "%s.%06uZ", day, (unsigned int)(time_us % 1000000));
    json_text(j, key, text);
}

static void put_event(struct json *j, const struct event *event, const struct event_traits *traits,
                      uint64_t sequence)
{
    char dataset[32];
    snprintf(dataset, sizeof(dataset), "sallyport.%s", traits->dataset);
    json_open(j, "event", '{');
    json_text(j, "kind", event->kind == EVENT_WILL_STORM ? "alert" : "event");
    json_text(j, "module", "sallyport");
    json_text(j, "dataset", dataset);
    json_open(j, "category", '[');
    json_text(j, NULL, traits->category);
    json_close(j, ']');
    json_open(j, "type", '[');
    if (strcmp(traits->type, "denied") == 0 || strcmp(traits->type, "allowed") == 0)
        json_text(j, NULL, "access");
    json_text(j, NULL, traits->type);
    json_close(j, ']');
    json_text(j, "action", traits->action);
    if (event->kind == EVENT_POLICY_RELOADED)
        json_text(j, "outcome", "success");
    else if (event->kind == EVENT_POLICY_REFUSED)
        json_text(j, "outcome", "failure");
    if (event->outcome != OUTCOME_UNDECIDED)
        json_text(j, "reason", outcome_text(event->outcome));
    json_number(j, "sequence", sequence);
    json_close(j, '}');
}

static bool address_set(const struct ip_address *address)
{
    static const struct ip_address none;
    return !ip_address_equal(address, &none);
}

static void put_peer(struct json *j, const char *key, const struct ip_address *address, uint16_t port,
                     const uint8_t *mac)
{
    char text[IP_ADDRESS_TEXT];
    if (!address_set(address))
        return;
    json_open(j, key, '{');
    json_text(j, "ip", ip_address_format(address, text));
    if (port != 0)
        json_number(j, "port", port);
    if (mac != NULL) {
        char form[18];
        snprintf(form, sizeof(form), "%02X-%02X-%02X-%02X-%02X-%02X", mac[0], mac[1], mac[2], mac[3], mac[4],
                 mac[5]);
        json_text(j, "mac", form);
    }
    json_close(j, '}');
}

static void put_mqtt(struct json *j, const struct event *event)
{
    if (event->mqtt_version == 0 && event->client_id[0] == '\0')
        return;
    json_open(j, "mqtt", '{');
    if (event->mqtt_type != 0)
        json_text(j, "type", mqtt_type_name((enum mqtt_type)event->mqtt_type));
    if (event->mqtt_version != 0)
        json_number(j, "version", event->mqtt_version);
    if (event->client_id[0] != '\0')
        json_text(j, "client_id", event->client_id);
    if (event->topic_len != 0)
        json_bytes(j, "topic", bytes_of(event->topic, event->topic_len));
    if (event->mqtt_type == MQTT_PUBLISH) {
        json_number(j, "qos", event->qos);
        json_boolean(j, "retain", event->retain);
        json_number(j, "payload_bytes", event->payload_bytes);
    }
    if (event->will != GUARD_WILL_NONE)
        json_text(j, "will", event->will == GUARD_WILL_SUPPLIED ? "supplied" : "own");
    if (event->told)
        json_number(j, "reason_code", event->reason_code);
    json_close(j, '}');
}

static void put_coap(struct json *j, const struct event *event)
{
    char text[8];
    if (!event->coap || (event->coap_code == COAP_EMPTY && !event->told))
        return;
    json_open(j, "coap", '{');
    if (event->coap_code != COAP_EMPTY) {
        json_text(j, "method", coap_code_text(event->coap_code, text, sizeof(text)));
        json_bytes(j, "path", bytes_of(event->topic, event->topic_len));
        json_number(j, "payload_bytes", event->payload_bytes);
    }
    if (event->told)
        json_text(j, "code", coap_code_text(event->reason_code, text, sizeof(text)));
    json_close(j, '}');
}

static void put_revision(struct json *j, const struct event_revision *revision)
{
    if (revision == NULL)
        return;
    json_open(j, "revision", '{');
    json_number(j, "from", revision->from);
    json_number(j, "to", revision->to);
    if (revision->sha256 != NULL && revision->sha256[0] != '\0')
        json_text(j, "sha256", revision->sha256);
    json_close(j, '}');
    if (revision->changes != NULL) {
        json_text(j, "changes", revision->changes);
        json_open(j, "tests", '{');
        json_number(j, "passed", revision->tests);
        json_number(j, "failed", 0);
        json_close(j, '}');
    }
    if (revision->confirm_by_us != 0)
        put_time(j, "confirm_by", revision->confirm_by_us);
    if (revision->settled) {
        json_open(j, "sessions", '{');
        json_number(j, "kept", revision->kept);
        json_number(j, "closed", revision->closed);
        json_number(j, "subscriptions_taken_back", revision->taken_back);
        json_close(j, '}');
    }
}

static void put_own(struct json *j, const struct event *event, const struct event_traits *traits)
{
    json_open(j, "sallyport", '{');
    if (strcmp(traits->type, "denied") == 0)
        json_text(j, "verdict", "deny");
    else if (strcmp(traits->type, "allowed") == 0)
        json_text(j, "verdict", "allow");
    if (event->outcome != OUTCOME_UNDECIDED)
        json_text(j, "cause", outcome_id(event->outcome));
    json_boolean(j, "enforced", event->enforced);
    if (event->listener[0] != '\0')
        json_text(j, "listener", event->listener);
    if (event->role[0] != '\0')
        json_text(j, "role", event->role);
    if (event->identity[0] != '\0')
        json_text(j, "identity", event->identity);
    if (event->session != 0)
        json_number(j, "session", event->session);
    if (event->repeats != 0)
        json_number(j, "repeats", event->repeats);
    if (event->detail[0] != '\0')
        json_text(j, "detail", event->detail);
    put_revision(j, event->revision);
    if (!event->coap)
        put_mqtt(j, event);
    put_coap(j, event);
    json_close(j, '}');
}

/* "41:9f2c41d0": the generation, and the policy that it was. */
static void put_ruleset(struct json *j, const struct event_log_config *config, uint32_t number)
{
    char text[32];
    const char *fingerprint = "";
    for (int i = 0; config->rulesets != NULL && i < EVENT_RULESETS; i++)
        if (config->rulesets[i].number == number)
            fingerprint = config->rulesets[i].fingerprint;
    snprintf(text, sizeof(text), "%u%s%s", number, fingerprint[0] != '\0' ? ":" : "", fingerprint);
    json_text(j, "ruleset", text);
}

static void put_names(struct json *j, const struct event *event, const struct event_log_config *config)
{
    const char *user = event->user[0] != '\0' ? event->user : event->identity;
    if (user[0] != '\0') {
        json_open(j, "user", '{');
        json_text(j, "name", user);
        if (event->has_uid) {
            char id[16];
            snprintf(id, sizeof(id), "%u", event->uid);
            json_text(j, "id", id);
        }
        json_close(j, '}');
    }
    if (event->rule[0] == '\0' && event->ruleset == 0)
        return;
    json_open(j, "rule", '{');
    if (event->rule[0] != '\0')
        json_text(j, "id", event->rule);
    if (event->ruleset != 0)
        put_ruleset(j, config, event->ruleset);
    json_close(j, '}');
}

bool event_format(const struct event *event, const struct event_log_config *config, uint64_t sequence,
                  char *to, size_t room)
{
    const struct event_traits *traits =
        &traits_table[event->kind < EVENT_KIND_COUNT ? event->kind : EVENT_NONE];
    struct json j;
    json_init(&j, to, room);
    json_open(&j, NULL, '{');
    put_time(&j, "@timestamp", event->time_us);
    json_open(&j, "ecs", '{');
    json_text(&j, "version", "8.11.0");
    json_close(&j, '}');
    put_event(&j, event, traits, sequence);
    json_open(&j, "observer", '{');
    json_text(&j, "name", config->observer);
    json_text(&j, "type", "gateway");
    json_text(&j, "version", config->version);
    json_close(&j, '}');
    put_peer(&j, "source", &event->source, event->source_port, event->has_mac ? event->mac : NULL);
    put_peer(&j, "destination", &event->destination, event->destination_port, NULL);
    if (address_set(&event->source)) {
        json_open(&j, "network", '{');
        json_text(&j, "transport", event->coap ? "udp" : "tcp");
        json_text(&j, "protocol", event->coap ? "coap" : "mqtt");
        json_close(&j, '}');
    }
    put_names(&j, event, config);
    put_own(&j, event, traits);
    json_close(&j, '}');
    return !j.full;
}
