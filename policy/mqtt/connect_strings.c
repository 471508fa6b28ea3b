/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/mqtt/connect_strings.h"

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
           user_properties_good(p, level);
}

bool connect_strings_check(const struct mqtt_packet *packet, enum utf8_level level)
{
    const struct mqtt_connect *c = &packet->connect;
    if (!utf8_check(c->client_id, level) || (c->has_user_name && !utf8_check(c->user_name, level)) ||
        !properties_good(&packet->properties, level))
        return false;
    return !c->will.present ||
           (utf8_check(c->will.topic, level) && properties_good(&c->will.properties, level));
}
