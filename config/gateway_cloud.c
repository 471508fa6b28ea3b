/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What two clouds demand of how one connects to them (B1, J): TLS with SNI, ports and ALPN names, user names.
 * A connection that breaks these is closed without a word, so they are told before anything runs.
 */
#include "config/gateway_cloud.h"

#include <string.h>

#define PORT_MQTTS 8883
#define PORT_HTTPS 443
#define AWS_CERTIFICATE_ALPN "x-amzn-mqtt-ca"
#define AWS_CUSTOM_ALPN "mqtt"

static struct config_origin at(const struct schema_read *read, const config_setting_t *setting,
                               const char *key)
{
    return schema_origin(read->load, setting, key);
}

static void check_aws_port(struct schema_read *read, const struct config_upstream *own,
                           const config_setting_t *setting, uint16_t port)
{
    bool certificate = own->certificate != NULL;
    const char *needed = certificate ? AWS_CERTIFICATE_ALPN : AWS_CUSTOM_ALPN;
    if (port != PORT_MQTTS && port != PORT_HTTPS) {
        schema_error(read, at(read, setting, "servers"),
                     "upstream '%s' names port %u; AWS IoT Core takes MQTT on 8883 and 443; correct it",
                     own->name, port);
        return;
    }
    bool named = own->alpn != NULL && strcmp(own->alpn, needed) == 0;
    if (port == PORT_HTTPS && !named)
        schema_error(read, at(read, setting, own->alpn != NULL ? "alpn" : "servers"),
                     "upstream '%s' is on port 443, where AWS IoT Core takes %s for the ALPN name %s only; "
                     "write alpn = "
                     "\"%s\";",
                     own->name, certificate ? "certificates" : "custom authentication", needed, needed);
    if (port == PORT_MQTTS && own->alpn != NULL && certificate && !named)
        schema_error(
            read, at(read, setting, "alpn"),
            "upstream '%s' has an ALPN name that AWS IoT Core does not know on port 8883; remove 'alpn'",
            own->name);
}

static void check_aws(struct schema_read *read, const struct config_upstream *own,
                      const config_setting_t *setting)
{
    for (uint32_t i = 0; i < own->servers_n; i++)
        check_aws_port(read, own, setting, own->servers[i].port);
    if (own->certificate == NULL && own->user_name == NULL)
        schema_error(read, at(read, setting, "profile"),
                     "upstream '%s' shows AWS IoT Core neither a certificate nor a user name; add "
                     "'certificate' and 'key'",
                     own->name);
}

static void check_azure(struct schema_read *read, const struct config_upstream *own,
                        const config_setting_t *setting)
{
    for (uint32_t i = 0; i < own->servers_n; i++)
        if (own->servers[i].port != PORT_MQTTS)
            schema_error(
                read, at(read, setting, "servers"),
                "upstream '%s' names port %u; Azure IoT Hub takes MQTT on 8883 only (443 is WebSocket); "
                "correct it",
                own->name, own->servers[i].port);
    if (own->user_name != NULL &&
        (strchr(own->user_name, '/') == NULL || strstr(own->user_name, "/?api-version=") == NULL))
        schema_error(
            read, at(read, setting, "user_name"),
            "'user_name' of upstream '%s' is not HUB/DEVICE/?api-version=2021-04-12, which Azure IoT Hub "
            "wants; remove it, it is made so by itself",
            own->name);
    if (own->certificate == NULL && own->password_file == NULL)
        schema_error(
            read, at(read, setting, "profile"),
            "upstream '%s' shows Azure IoT Hub neither a certificate nor a SAS token; add 'certificate' and "
            "'key', or 'password_file'",
            own->name);
    if (own->mount != NULL && strncmp(own->mount, "devices/", strlen("devices/")) != 0)
        schema_error(read, at(read, setting, "mount"),
                     "'mount' of upstream '%s' is \"%s\"; Azure IoT Hub takes topics below devices/ only; "
                     "write mount = "
                     "\"devices/${id}/messages/events/\"; or remove it",
                     own->name, own->mount);
}

void gateway_check_cloud(struct schema_read *read, const struct config_upstream *own,
                         const config_setting_t *setting)
{
    if (own->profile == CLOUD_PLAIN)
        return;
    if (own->security != CONFIG_SECURITY_TLS) {
        schema_error(read, at(read, setting, "security"),
                     "upstream '%s' is %s, which takes TLS only; write security = \"tls\";", own->name,
                     cloud_limits(own->profile)->name);
        return;
    }
    if (own->profile == CLOUD_AWS)
        check_aws(read, own, setting);
    else
        check_azure(read, own, setting);
}
