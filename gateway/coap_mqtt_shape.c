/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The form in which a CoAP identity goes to its broker, as the upstream's settings say (C5): its client
 * identifier, user name and password, and the mount point of its topics. There is no other client identifier
 * than the identity, so ${client_id} is that too.
 */
#include "policy/access/template.h"
#include "policy/mqtt/build.h"
#include "policy/mqtt/mount.h"

#include "gateway/coap_mqtt.h"

#define CONNECT_ROOM 4096
#define TEXT_ROOM 2048

static struct bytes value_of(void *owner, struct bytes name)
{
    const struct coap_leg *leg = owner;
    bool known = bytes_equal(name, bytes_of_text("id")) || bytes_equal(name, bytes_of_text("client_id"));
    return known && leg->identity[0] != '\0' ? bytes_of_text(leg->identity) : bytes_of(NULL, 0);
}

/* What stands in a topic must not open others. */
static struct bytes safe_value_of(void *owner, struct bytes name)
{
    struct bytes value = value_of(owner, name);
    return template_value_safe(value) ? value : bytes_of(NULL, 0);
}

static bool expand(struct coap_leg *leg, const char *text, struct bytes (*value)(void *, struct bytes),
                   uint8_t **at, size_t *room, struct bytes *out)
{
    size_t n;
    if (!template_expand(bytes_of_text(text), value, leg, *at, *room, &n))
        return false;
    *out = bytes_of(*at, n);
    *at += n;
    *room -= n;
    return true;
}

static const struct secret_file *passwords_of(const struct coap_leg *leg)
{
    const struct generation *generation = coap_generation(leg->relays);
    const struct config_upstream *upstream = coap_leg_upstream(leg);
    return upstream == NULL ? NULL : generation->passwords[upstream - generation->config->upstreams];
}

enum outcome coap_mqtt_shape(struct coap_mqtt *m, const struct config_upstream *upstream)
{
    struct coap_leg *leg = m->leg;
    const struct secret_file *passwords = passwords_of(leg);
    uint8_t text[TEXT_ROOM], *at = text;
    size_t room = sizeof(text);
    struct bytes mount;
    if (passwords != NULL && secret_file_find(passwords, bytes_of_text(leg->identity)).at == NULL)
        return OUTCOME_NO_PASSWORD;
    struct bytes client_id = bytes_of_text(leg->identity);
    uint32_t most = cloud_limits(upstream->profile)->client_id_bytes;
    if (upstream->client_id != NULL && !expand(leg, upstream->client_id, value_of, &at, &room, &client_id))
        return OUTCOME_BAD_CLIENT_ID;
    if (client_id.len == 0 || (most != 0 && client_id.len > most) || !utf8_check(client_id, UTF8_SPEC))
        return OUTCOME_BAD_CLIENT_ID;
    m->profile = (uint8_t)upstream->profile;
    if (!coap_keep_bytes(leg->relays, &m->client_id, &m->client_id_len, client_id.at, client_id.len))
        return OUTCOME_NO_RESOURCES;
    if (upstream->mount == NULL)
        return OUTCOME_ALLOWED;
    if (!expand(leg, upstream->mount, safe_value_of, &at, &room, &mount) || mqtt_mount_check(mount) != NULL)
        return OUTCOME_UNSAFE_VARIABLE;
    return coap_keep_bytes(leg->relays, &m->mount, &m->mount_len, mount.at, mount.len) ? OUTCOME_ALLOWED
                                                                                       : OUTCOME_NO_RESOURCES;
}

void coap_mqtt_unshape(struct coap_mqtt *m)
{
    coap_drop_bytes(m->leg->relays, &m->client_id, &m->client_id_len);
    coap_drop_bytes(m->leg->relays, &m->mount, &m->mount_len);
}

enum outcome coap_mqtt_cloud(struct coap_mqtt *m, const struct coap_mapped *mapped, struct bytes topic)
{
    const struct cloud_limits *limits = cloud_limits((enum cloud_profile)m->profile);
    const struct cloud_session session = {.profile = (enum cloud_profile)m->profile,
                                          .client_id = bytes_of(m->client_id, m->client_id_len),
                                          .mount = bytes_of(m->mount, m->mount_len)};
    if (!mapped->publish)
        return cloud_judge_filter(&session, topic);
    enum outcome outcome = cloud_judge_publish(&session, topic, mapped->retain, false, mapped->payload_len);
    bool limited = outcome == OUTCOME_ALLOWED && rates_limit(&limits->rates, RATE_PUBLISHES);
    if (limited &&
        !rate_limit_take(&m->publishes, &limits->rates.of[RATE_PUBLISHES][0], 1, coap_now(m->leg->relays)))
        return OUTCOME_RATE_PUBLISHES;
    return outcome;
}

bool coap_mqtt_connect(struct coap_mqtt *m)
{
    struct coap_leg *leg = m->leg;
    const struct config_upstream *upstream = coap_leg_upstream(leg);
    const struct secret_file *passwords = passwords_of(leg);
    uint8_t bytes[CONNECT_ROOM], text[TEXT_ROOM], *at = text;
    size_t room = sizeof(text);
    struct mqtt_packet packet = {.type = MQTT_CONNECT,
                                 .version = (enum mqtt_version)m->version,
                                 .connect = {.version = (enum mqtt_version)m->version,
                                             .clean_start = true,
                                             .keep_alive_s = COAP_MQTT_KEEP_ALIVE_S,
                                             .client_id = bytes_of(m->client_id, m->client_id_len)}};
    struct mqtt_connect *c = &packet.connect;
    if (upstream == NULL)
        return false;
    if (upstream->user_name != NULL) {
        if (!expand(leg, upstream->user_name, value_of, &at, &room, &c->user_name))
            return false;
        c->has_user_name = true;
    }
    if (passwords != NULL) {
        c->password = secret_file_find(passwords, bytes_of_text(leg->identity));
        c->has_password = c->password.at != NULL;
        if (!c->has_password)
            return false;
    }
    bool good =
        coap_mqtt_put(m, bytes, mqtt_build(bytes, sizeof(bytes), &packet, (enum mqtt_version)m->version));
    explicit_bzero(bytes, sizeof(bytes));
    return good;
}

struct bytes coap_mqtt_mounted(const struct coap_mqtt *m, struct bytes topic, uint8_t to[COAP_MQTT_NAME_MAX])
{
    if (m->mount == NULL || topic.len == 0 || topic.at[0] == '$')
        return topic;
    if (topic.len > COAP_MQTT_NAME_MAX - (size_t)m->mount_len)
        return bytes_of(NULL, 0);
    memcpy(to, m->mount, m->mount_len);
    memcpy(to + m->mount_len, topic.at, topic.len);
    return bytes_of(to, m->mount_len + topic.len);
}
