/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the settings of mosquitto.conf mean here (docs/operations.md, "Coming from mosquitto"). */
#include "config/address.h"
#include "gateway/ctl/import/mosquitto_conf_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void conf_refuse(struct conf_reader *r, const char *format, const char *value)
{
    r->failed = true;
    import_tell(r->run, DIAGNOSTIC_ERROR, r->file, r->line, format, r->word, value);
}

void conf_warn(struct conf_reader *r, const char *format, const char *value)
{
    import_tell(r->run, DIAGNOSTIC_WARNING, r->file, r->line, format, r->word, value);
}

/* ---- values -------------------------------------------------------------------------------------------- */

static bool flag_of(struct conf_reader *r, const char *value, bool *out)
{
    bool yes = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
    if (!yes && strcmp(value, "false") != 0 && strcmp(value, "0") != 0) {
        conf_refuse(r, "'%s' is '%.64s'; write true or false", value);
        return false;
    }
    *out = yes;
    return true;
}

static bool number_of(struct conf_reader *r, const char *value, uint32_t max, uint32_t *out)
{
    char *end;
    unsigned long number = isdigit((unsigned char)value[0]) ? strtoul(value, &end, 10) : 0;
    if (!isdigit((unsigned char)value[0]) || *end != '\0' || number > max) {
        conf_refuse(r, "'%s' is '%.64s', which is no number, or one that is too large; correct it", value);
        return false;
    }
    *out = (uint32_t)number;
    return true;
}

/* Relative names are told: the broker takes them from where it was started, which is not known here. */
const char *conf_path_of(struct conf_reader *r, const char *value)
{
    if (value[0] == '/')
        return arena_text(r->run->arena, value, strlen(value));
    const char *slash = strrchr(r->conf->file, '/');
    int directory = slash == NULL ? 1 : (int)(slash - r->conf->file);
    conf_warn(
        r,
        "'%s' is the relative name %.128s, which mosquitto takes from where it was started; it is taken from "
        "the directory of the configuration file here; write it whole",
        value);
    return arena_format(r->run->arena, "%.*s/%s", directory == 0 ? 0 : directory,
                        slash == NULL ? "." : r->conf->file, value);
}

static struct mosquitto_security *security_of(struct conf_reader *r)
{
    return r->conf->per_listener && r->listener != NULL ? &r->listener->security : &r->conf->security;
}

/* ---- listeners ----------------------------------------------------------------------------------------- */

static struct mosquitto_listener *new_listener(struct conf_reader *r)
{
    struct mosquitto_conf *conf = r->conf;
    if (conf->listeners_n == IMPORT_LISTENERS_MAX) {
        conf_refuse(r, "'%s': there are more than 32 listeners%s; remove some", "");
        return NULL;
    }
    struct mosquitto_listener *listener = &conf->listeners[conf->listeners_n++];
    *listener = (struct mosquitto_listener){.imported = true,
                                            .seen = {.file = r->file, .line = r->line, .max_qos = 2},
                                            .security = {.anonymous = -1}};
    return listener;
}

static void check_name(struct conf_reader *r)
{
    struct import_listener *own = &r->listener->seen;
    uint32_t twins = 0;
    for (uint32_t i = 0; i + 1 < r->conf->listeners_n; i++)
        twins += r->conf->listeners[i].seen.port == own->port;
    own->name = twins == 0 ? arena_format(r->run->arena, "mqtt-%u", own->port)
                           : arena_format(r->run->arena, "mqtt-%u-%u", own->port, twins + 1);
    if (own->name == NULL)
        r->failed = true;
}

void conf_set_listener(struct conf_reader *r, char *value)
{
    char *bind = value + strcspn(value, " ");
    uint32_t port;
    if (*bind != '\0')
        *bind++ = '\0';
    bind += strspn(bind, " ");
    r->bridge = NULL;
    r->conf->any_listener_line = true;
    r->listener = new_listener(r);
    if (r->listener == NULL || !number_of(r, value, 65535, &port))
        return;
    r->listener->seen.port = (uint16_t)port;
    check_name(r);
    if (port == 0 || *bind == '/') {
        r->listener->imported = false;
        conf_warn(r, "'%s %s' is a Unix socket, which nothing on the network reaches; it is left out", bind);
    } else if (*bind != '\0') {
        uint8_t address[16];
        const char *problem = address_parse(bind, address);
        if (problem != NULL)
            conf_warn(
                r,
                "'%s' is bound to '%.128s', which is a name; the listener takes all addresses of its port; "
                "write the address in the gateway's configuration",
                bind);
        else
            r->listener->seen.address = arena_text(r->run->arena, bind, strlen(bind));
    }
}

/* `port` and `bind_address`: the listener that needs no line of its own. */
struct mosquitto_listener *conf_default_listener(struct conf_reader *r)
{
    for (uint32_t i = 0; i < r->conf->listeners_n; i++)
        if (r->conf->listeners[i].security.plugin_at.line == UINT32_MAX)
            return &r->conf->listeners[i];
    struct mosquitto_listener *listener = new_listener(r);
    if (listener == NULL)
        return NULL;
    listener->security.plugin_at.line = UINT32_MAX; /* its mark */
    listener->seen.port = 1883;
    r->listener = listener;
    check_name(r);
    return listener;
}

void conf_set_port(struct conf_reader *r, char *value)
{
    uint32_t port;
    r->conf->any_listener_line = true;
    struct mosquitto_listener *listener = conf_default_listener(r);
    if (listener == NULL || !number_of(r, value, 65535, &port))
        return;
    listener->seen.port = (uint16_t)port;
    listener->imported = port != 0;
    check_name(r);
}

void conf_set_bind(struct conf_reader *r, char *value)
{
    uint8_t address[16];
    r->conf->any_listener_line = true;
    struct mosquitto_listener *listener = conf_default_listener(r);
    if (listener != NULL && address_parse(value, address) == NULL)
        listener->seen.address = arena_text(r->run->arena, value, strlen(value));
    else
        conf_warn(r, "'%s' is '%.128s', which is a name; the listener takes all addresses of its port",
                  value);
}

/* Of the current listener, or of the one that has no line. */
static struct mosquitto_listener *own_listener(struct conf_reader *r)
{
    return r->listener != NULL ? r->listener : conf_default_listener(r);
}

void conf_set_protocol(struct conf_reader *r, char *value)
{
    struct mosquitto_listener *listener = own_listener(r);
    if (listener == NULL || strcmp(value, "mqtt") == 0)
        return;
    if (strcmp(value, "websockets") != 0)
        conf_refuse(r, "'%s' is '%.64s'; write mqtt or websockets", value);
    else
        conf_warn(
            r,
            "'%s %s': the gateway speaks no WebSocket; the listener is left out, its clients stay where they "
            "are",
            value);
    listener->imported = false;
}

void conf_set_file(struct conf_reader *r, char *value)
{
    struct mosquitto_listener *listener = own_listener(r);
    const char *path = conf_path_of(r, value);
    if (listener == NULL || path == NULL)
        return;
    listener->tls_at = (struct config_origin){.file = r->file, .line = r->line};
    switch (r->word[0]) {
    case 'k': /* keyfile */
        listener->seen.key = path;
        break;
    case 'c':
        *(r->word[1] == 'a'   ? &listener->seen.client_ca /* cafile */
          : r->word[1] == 'r' ? &listener->seen.crl       /* crlfile */
                              : &listener->seen.certificate) = path;
        break;
    default:
        break;
    }
    listener->seen.tls = listener->seen.certificate != NULL;
}

void conf_set_listener_flag(struct conf_reader *r, char *value)
{
    struct mosquitto_listener *listener = own_listener(r);
    bool on = false;
    if (listener == NULL || !flag_of(r, value, &on))
        return;
    if (strcmp(r->word, "require_certificate") == 0) {
        listener->seen.require_certificate = on;
    } else if (strcmp(r->word, "use_identity_as_username") == 0) {
        listener->seen.certificate_is_user = on;
    } else if (on) {
        listener->imported = false;
        conf_warn(
            r,
            "'%s %s': the whole subject of a certificate is no user name here; the listener is left out; use "
            "its CN (use_identity_as_username)",
            value);
    }
}

void conf_set_psk_hint(struct conf_reader *r, char *value)
{
    struct mosquitto_listener *listener = own_listener(r);
    (void)value;
    if (listener != NULL)
        listener->seen.keys = true;
}

void conf_set_tls_version(struct conf_reader *r, char *value)
{
    struct mosquitto_listener *listener = own_listener(r);
    if (listener == NULL)
        return;
    if (strcmp(value, "tlsv1.3") == 0)
        listener->seen.only_1_3 = true;
    else if (strcmp(value, "tlsv1.2") != 0)
        conf_warn(r, "'%s' is '%.64s'; the gateway speaks TLS 1.2 and 1.3 only, older clients are refused",
                  value);
}

void conf_set_max_qos(struct conf_reader *r, char *value)
{
    struct mosquitto_listener *listener = own_listener(r);
    if (listener != NULL)
        (void)number_of(r, value, 2, &listener->seen.max_qos);
}

void conf_set_connections(struct conf_reader *r, char *value)
{
    if (strcmp(value, "-1") != 0)
        conf_warn(
            r,
            "'%s' is %s: a listener here has a limit for each source (limits.sessions), and the gateway one "
            "for all (limits.connections of a worker); set those",
            value);
}

/* ---- security ------------------------------------------------------------------------------------------ */

void conf_set_anonymous(struct conf_reader *r, char *value)
{
    bool on;
    if (flag_of(r, value, &on))
        security_of(r)->anonymous = on;
}

void conf_set_security_file(struct conf_reader *r, char *value)
{
    struct mosquitto_security *security = security_of(r);
    struct mosquitto_path *to = r->word[0] == 'a'   ? &security->acl_file
                                : r->word[1] == 'a' ? &security->password_file
                                                    : &security->psk_file;
    if (to->text != NULL)
        conf_refuse(r, "'%s' is there twice (%s); mosquitto takes the last one; remove the other", value);
    to->text = conf_path_of(r, value);
    to->at = (struct config_origin){.file = r->file, .line = r->line};
}

void conf_set_plugin(struct conf_reader *r, char *value)
{
    struct mosquitto_security *security = security_of(r);
    const char *name = strrchr(value, '/') != NULL ? strrchr(value, '/') + 1 : value;
    if (strncmp(name, "mosquitto_dynamic_security.", strlen("mosquitto_dynamic_security.")) != 0) {
        conf_refuse(
            r,
            "'%s %.160s' decides by rules that cannot be read here; import a copy of the file without it, if "
            "what it forbids need not be forbidden",
            value);
        return;
    }
    security->plugin.text = "dynamic-security";
    security->plugin.at = (struct config_origin){.file = r->file, .line = r->line};
}

void conf_set_plugin_option(struct conf_reader *r, char *value)
{
    struct mosquitto_security *security = security_of(r);
    const char *option = strstr(r->word, "_opt_") + strlen("_opt_");
    if (security->plugin.text == NULL || strcmp(option, "config_file") != 0) {
        conf_warn(r, "'%s' (%.64s) is an option of no plugin that is known; it is passed over", value);
        return;
    }
    security->plugin_config.text = conf_path_of(r, value);
    security->plugin_config.at = (struct config_origin){.file = r->file, .line = r->line};
}

void conf_set_per_listener(struct conf_reader *r, char *value)
{
    if (r->listener != NULL || r->conf->security.anonymous != -1 || r->conf->security.acl_file.text != NULL ||
        r->conf->security.password_file.text != NULL)
        conf_refuse(
            r, "'%s %.16s' stands behind settings that it changes; mosquitto wants it first, so move it up",
            value);
    (void)flag_of(r, value, &r->conf->per_listener);
}

void conf_set_mount(struct conf_reader *r, char *value)
{
    conf_refuse(
        r,
        "'%s %.128s' changes the topics that the access rules name; import a copy without the listener, "
        "and write mount at an upstream of the gateway for it",
        value);
}

/* ---- limits -------------------------------------------------------------------------------------------- */

void conf_set_limit(struct conf_reader *r, char *value)
{
    struct import_site *site = r->conf->site;
    uint32_t number;
    if (!number_of(r, value, 268435456, &number))
        return;
    if (strcmp(r->word, "max_inflight_messages") == 0) {
        site->unlimited_inflight = number == 0;
        site->max_inflight = number;
    } else if (strcmp(r->word, "max_queued_messages") == 0) {
        if (number == 0)
            conf_warn(r, "'%s' is %s, without limit; 65535 is the most here", value);
        site->max_queued = number == 0 || number > 65535 ? 65535 : number;
    } else if (strcmp(r->word, "max_keepalive") == 0) {
        if (number == 0 || number > 65535)
            conf_warn(r, "'%s' is %s; a client that asks for no keep-alive gets 18 hours here", value);
        site->keepalive_max_s = number == 0 || number > 65535 ? 65535 : number;
    } else if (strcmp(r->word, "max_packet_size") == 0) {
        site->packet_bytes = number == 0 || number < 64 ? 0 : number;
    } else {
        site->payload_max = number;
    }
}

void conf_set_expiration(struct conf_reader *r, char *value)
{
    static const struct {
        char unit;
        uint32_t seconds;
    } units[] = {{'h', 3600}, {'d', 86400}, {'w', 604800}, {'m', 2592000}, {'y', 31536000}};
    size_t n = strlen(value);
    uint32_t number, seconds = 0;
    for (size_t i = 0; n > 1 && i < sizeof(units) / sizeof(units[0]); i++)
        if (units[i].unit == value[n - 1])
            seconds = units[i].seconds;
    if (seconds == 0) {
        conf_refuse(r, "'%s' is '%.64s'; write a number and h, d, w, m or y", value);
        return;
    }
    value[n - 1] = '\0';
    if (!number_of(r, value, UINT32_MAX / seconds - 1, &number) || number == 0)
        return;
    r->conf->site->expiry_s = number * seconds;
    conf_warn(r,
              "'%s %s...' becomes a cap on what MQTT 5 clients may ask for (session.expiry); what 3.1.1 "
              "clients leave "
              "behind is still the broker's to expire",
              value);
}

/* ---- bridges ------------------------------------------------------------------------------------------- */

void conf_set_connection(struct conf_reader *r, char *value)
{
    r->bridge = arena_text(r->run->arena, value, strlen(value));
    conf_warn(
        r,
        "'%s %.128s' is a bridge, which stays with the broker: it is a client of another broker, not one of "
        "the gateway's; where it goes through the gateway, give it a user and a role as any client",
        value);
}

void conf_set_bridge(struct conf_reader *r, char *value)
{
    if (r->bridge == NULL)
        conf_refuse(r, "'%s' (%.64s) belongs to a bridge, but there is no 'connection' above it", value);
    else if (strcmp(r->word, "address") == 0 || strcmp(r->word, "addresses") == 0)
        conf_warn(
            r,
            "'%s %.128s': if all the bridge does is to carry devices' messages there, the gateway can do it "
            "with that server as its upstream, each device with a certificate of its own",
            value);
    else if (strcmp(r->word, "bridge_insecure") == 0 && value[0] != 'f' && value[0] != '0')
        conf_warn(
            r, "'%s %.16s': the bridge checks no name in its server's certificate; the gateway always does",
            value);
    else if (strcmp(r->word, "topic") == 0 && strncmp(value, "# ", 2) == 0)
        conf_warn(r, "'%s %.128s' carries every topic over the bridge; see which of them are needed", value);
}
