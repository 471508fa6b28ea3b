/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/mqtt/packet_strings.h"

static bool good_if_there(const struct mqtt_properties *p, enum mqtt_property property, struct bytes text,
                          enum utf8_level level)
{
    return (p->present & MQTT_PROP_BIT(property)) == 0 || utf8_check(text, level);
}

static bool user_properties_good(const struct mqtt_properties *p, enum utf8_level level)
{
    struct cursor list = cursor_of(p->list);
    struct bytes name, value;
    if ((p->present & MQTT_PROP_BIT(MQTT_PROP_USER_PROPERTY)) == 0)
        return true;
    while (mqtt_user_property_next(&list, &name, &value))
        if (!utf8_check(name, level) || !utf8_check(value, level))
            return false;
    return true;
}

static bool properties_good(const struct mqtt_properties *p, enum utf8_level level)
{
    return good_if_there(p, MQTT_PROP_AUTH_METHOD, p->auth_method, level) &&
           good_if_there(p, MQTT_PROP_CONTENT_TYPE, p->content_type, level) &&
           good_if_there(p, MQTT_PROP_RESPONSE_TOPIC, p->response_topic, level) &&
           good_if_there(p, MQTT_PROP_RESPONSE_INFO, p->response_info, level) &&
           good_if_there(p, MQTT_PROP_ASSIGNED_CLIENT_ID, p->assigned_client_id, level) &&
           good_if_there(p, MQTT_PROP_SERVER_REFERENCE, p->server_reference, level) &&
           good_if_there(p, MQTT_PROP_REASON_STRING, p->reason_string, level) &&
           user_properties_good(p, level);
}

static bool connect_good(const struct mqtt_connect *c, enum utf8_level level)
{
    if (!utf8_check(c->client_id, level) || (c->has_user_name && !utf8_check(c->user_name, level)))
        return false;
    return !c->will.present ||
           (utf8_check(c->will.topic, level) && properties_good(&c->will.properties, level));
}

static bool filters_good(const struct mqtt_packet *packet, enum utf8_level level)
{
    struct cursor list = cursor_of(packet->list);
    struct mqtt_filter entry;
    while (mqtt_filter_next(&list, packet->type, &entry))
        if (!utf8_check(entry.filter, level))
            return false;
    return true;
}

bool packet_strings_check(const struct mqtt_packet *packet, enum utf8_level level)
{
    if (!properties_good(&packet->properties, level))
        return false;
    switch (packet->type) {
    case MQTT_CONNECT:
        return connect_good(&packet->connect, level);
    case MQTT_PUBLISH:
        return utf8_check(packet->publish.topic, level);
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
        return filters_good(packet, level);
    default:
        return true;
    }
}
