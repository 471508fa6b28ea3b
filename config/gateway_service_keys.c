/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings of listeners and upstreams (operators' surface 2.3, 2.3a). */
#include "config/gateway_draft.h"
#include "config/rate_keys.h"

#include <string.h>

#define SECOND_US INT64_C(1000000)

/* ---- listeners ----------------------------------------------------------------------------------------- */

static struct draft_listener *draft_of_listener(struct schema_read *read, const void *listener)
{
    struct gateway_draft *draft = read->owner;
    return &draft->listeners[(const struct config_listener *)listener - draft->config->listeners];
}

static void set_listener_port(struct schema_read *read, const struct schema_value *value, void *into)
{
    draft_of_listener(read, into)->port = value->text;
}

static void set_listener_upstream(struct schema_read *read, const struct schema_value *value, void *into)
{
    draft_of_listener(read, into)->upstream = value->text;
}

static void set_listen(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct config_listener *listener = into;
    struct address_endpoint endpoint = {.any = false};
    const char *problem = address_parse_endpoint(value->text, true, &endpoint);
    if (problem != NULL) {
        schema_refuse(read, value, problem);
        return;
    }
    listener->any = endpoint.any;
    listener->has_address = endpoint.has_address;
    listener->port = endpoint.port;
    memcpy(listener->address, endpoint.address, 16);
}

static const char *const protocol_words[] = {"mqtt", "coap", NULL};
static const char *const security_words[] = {"none", "tls", "dtls", NULL};
static const char *const secured_words[] = {"tls", "dtls", NULL};
static const char *const tls_words[] = {"tls", NULL};
static const char *const dtls_words[] = {"dtls", NULL};
/* As enum config_dtls; an upstream has one of the first two. */
static const char *const dtls_version_words[] = {"1.2", "1.3", "1.2-1.3", NULL};
static const char *const dtls_one_version_words[] = {"1.2", "1.3", NULL};
#define SECURED .with = "security", .with_words = secured_words
static const char *const version_words[] = {"1.3", "1.2", NULL};
static const char *const listener_auth_words[] = {"cert", "psk", "password", "anonymous", NULL};

static void add_pin(struct schema_read *read, const struct schema_value *value, const char **pins)
{
    size_t prefix = strlen("sha256/");
    if (strncmp(value->text, "sha256/", prefix) != 0 || strlen(value->text) != prefix + 44 ||
        strchr(value->text, ',') != NULL)
        schema_refuse(read, value,
                      "a pin is \"sha256/\" and the base64 of a public key's SHA-256, 44 characters");
    else if (*pins == NULL)
        *pins = value->text;
    else
        *pins = arena_format(read->arena, "%s,%s", *pins, value->text);
}

static void set_listener_pin(struct schema_read *read, const struct schema_value *value, void *into)
{
    add_pin(read, value, &((struct config_listener *)into)->pins);
}

/* The bits of gateway_config.h are in the order of the words. */
static void set_auth(struct schema_read *read, const struct schema_value *value, void *into)
{
    static const enum feature needs[] = {FEATURE_CERTIFICATE_NAME, FEATURE_CERTIFICATE_NAME,
                                         FEATURE_PASSWORDS, FEATURE_PASSWORDS};
    struct config_listener *listener = into;
    for (unsigned int i = 0; listener_auth_words[i] != NULL; i++) {
        if (strcmp(listener_auth_words[i], value->text) != 0)
            continue;
        if (!feature_present(needs[i]))
            schema_error(read, value->origin, "'%s' is \"%s\"; %s is not in this version; remove it",
                         value->name, value->text, feature_text(needs[i]));
        listener->auth = (uint8_t)(listener->auth | 1U << i);
        return;
    }
    schema_refuse(read, value, "write \"cert\", \"psk\", \"password\" or \"anonymous\"");
}

static const struct schema_key listener_total_keys[] = {
    RATE_KEY_CONNECTS(struct config_listener, total),
    RATE_KEYS_CLIENT(struct config_listener, total),
    RATE_KEYS_OVER(struct config_listener, total),
};
static const struct schema_table listener_total_table = {.what = "total", SCHEMA_KEYS(listener_total_keys)};

static void set_listener_version(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct config_listener *listener = into;
    (void)read;
    listener->tls_1_2 = value->number == 1;
    listener->min_version_set = true;
}

static const struct schema_key source_limit_keys[] = {
    {.name = "connects",
     .type = SCHEMA_RATES,
     .fallback = "10/s",
     .example = "\"10/s burst 20\"",
     SCHEMA_INTO(struct config_listener, per_source.of[RATE_CONNECTS])},
    RATE_KEYS_CLIENT(struct config_listener, per_source),
    RATE_KEYS_OVER(struct config_listener, per_source),
    {.name = "sessions",
     .type = SCHEMA_NUMBER,
     .min = 0,
     .max = 1000000,
     .fallback = "0",
     .example = "100",
     SCHEMA_INTO(struct config_listener, sessions_per_source)},
    {.name = "handshakes",
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 65535,
     .fallback = "64",
     .example = "64",
     SCHEMA_INTO(struct config_listener, handshakes_per_source)},
};
static const struct schema_table source_limit_table = {.what = "limits", SCHEMA_KEYS(source_limit_keys)};

/* Of a DTLS listener: the same two, in the same place, which `limits` has filled with what is taken when
 * nothing is written. */
static const struct schema_key session_limit_keys[] = {
    {.name = "connects",
     .type = SCHEMA_RATES,
     .example = "\"10/s burst 20\"",
     SCHEMA_INTO(struct config_listener, per_source.of[RATE_CONNECTS])},
    {.name = "sessions",
     .type = SCHEMA_NUMBER,
     .min = 0,
     .max = 1000000,
     .example = "100",
     SCHEMA_INTO(struct config_listener, sessions_per_source)},
};
static const struct schema_table session_limit_table = {.what = "sources", SCHEMA_KEYS(session_limit_keys)};

#define PREFIX(member) SCHEMA_INTO(struct config_listener, prefix.member)

static const struct schema_key prefix_keys[] = {
    {.name = "v4",
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 32,
     .fallback = "24",
     .example = "24",
     PREFIX(v4_bits)},
    {.name = "v6",
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 128,
     .fallback = "64",
     .example = "64",
     PREFIX(v6_bits)},
    RATE_KEY("requests", SCHEMA_RATES, "\"200/s\"", PREFIX(rates.of[RATE_REQUESTS])),
    RATE_KEY("bytes", SCHEMA_BYTE_RATES, "\"64KiB/s\"", PREFIX(rates.of[RATE_BYTES])),
    RATE_KEYS_OVER(struct config_listener, prefix.rates),
    {.name = "exchanges",
     .type = SCHEMA_NUMBER,
     .min = 0,
     .max = 1000000,
     .fallback = "0",
     .example = "100",
     PREFIX(exchanges)},
    {.name = "observations",
     .type = SCHEMA_NUMBER,
     .min = 0,
     .max = 1000000,
     .fallback = "0",
     .example = "100",
     PREFIX(observations)},
};
static const struct schema_table prefix_table = {.what = "prefix", SCHEMA_KEYS(prefix_keys)};

static void set_proxy(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct config_listener *listener = into;
    if (strpbrk(value->text, "/@?#% ") != NULL)
        schema_refuse(read, value, "write a host, or a host and a port; for example \"coap.example:5683\"");
    else if (listener->proxy_n == GATEWAY_PROXY_HOSTS_MAX)
        schema_refuse(read, value, "a listener is the proxy of at most 8 hosts; remove some");
    else
        listener->proxy[listener->proxy_n++] = value->text;
}

static const char *const multicast_words[] = {"refuse", "answer", NULL};
static const char *const coap_listener_words[] = {"coap", NULL};
static const char *const mqtt_listener_words[] = {"mqtt", NULL};

static const struct schema_key listener_keys[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .required = true,
     .example = "\"mqtt\"",
     SCHEMA_INTO(struct config_listener, name)},
    {.name = "port", .type = SCHEMA_NAME, .required = true, .example = "\"iot\"", .set = set_listener_port},
    {.name = "protocol",
     .type = SCHEMA_WORD,
     .required = true,
     .words = protocol_words,
     .example = "\"mqtt\"",
     SCHEMA_INTO(struct config_listener, protocol)},
    {.name = "security",
     .type = SCHEMA_WORD,
     .required = true,
     .words = security_words,
     .example = "\"none\"",
     SCHEMA_INTO(struct config_listener, security)},
    {.name = "listen",
     .type = SCHEMA_TEXT,
     .required = true,
     .max = 63,
     .example = "\"any:1883\"",
     .set = set_listen},
    {.name = "auth", .type = SCHEMA_TEXTS, .max = 63, .example = "\"password\"", .set = set_auth},
    {.name = "upstream",
     .type = SCHEMA_NAME,
     .required = true,
     .example = "\"broker\"",
     .set = set_listener_upstream},
    {.name = "certificate",
     SECURED,
     .type = SCHEMA_PATH,
     .example = "\"tls/gw.pem\"",
     SCHEMA_INTO(struct config_listener, certificate)},
    {.name = "key",
     SECURED,
     .type = SCHEMA_PATH,
     .example = "\"tls/gw.key\"",
     SCHEMA_INTO(struct config_listener, key)},
    {.name = "key_password",
     .with = "security",
     .with_words = tls_words,
     .type = SCHEMA_PATH,
     .example = "\"tls/gw.pass\"",
     SCHEMA_INTO(struct config_listener, key_password)},
    {.name = "client_ca",
     SECURED,
     .type = SCHEMA_PATH,
     .example = "\"tls/fleet-ca.pem\"",
     SCHEMA_INTO(struct config_listener, client_ca)},
    {.name = "crl",
     SECURED,
     .type = SCHEMA_PATH,
     .example = "\"tls/fleet.crl\"",
     SCHEMA_INTO(struct config_listener, crl)},
    {.name = "pin",
     .with = "security",
     .with_words = dtls_words,
     .type = SCHEMA_TEXTS,
     .max = 63,
     .example = "\"sha256/...\"",
     .set = set_listener_pin},
    {.name = "ocsp_ask",
     SECURED,
     .type = SCHEMA_GROUP,
     .at = offsetof(struct config_listener, ocsp),
     .inside = &gateway_ocsp_keys},
    {.name = "min_version",
     .with = "security",
     .with_words = tls_words,
     .type = SCHEMA_WORD,
     .words = version_words,
     .example = "\"1.3\"",
     .set = set_listener_version},
    {.name = "dtls",
     .with = "security",
     .with_words = dtls_words,
     .type = SCHEMA_WORD,
     .words = dtls_version_words,
     .fallback = "1.2",
     .example = "\"1.3\"",
     SCHEMA_INTO(struct config_listener, dtls)},
    {.name = "connection_ids",
     .with = "security",
     .with_words = dtls_words,
     .type = SCHEMA_FLAG,
     .fallback = "false",
     .example = "true",
     SCHEMA_INTO(struct config_listener, connection_ids)},
    {.name = "resumption",
     .with = "security",
     .with_words = tls_words,
     .type = SCHEMA_FLAG,
     .fallback = "true",
     .idle_beside = "psk_file",
     SCHEMA_INTO(struct config_listener, resumption)},
    {.name = "proxy",
     .with = "protocol",
     .with_words = coap_listener_words,
     .type = SCHEMA_TEXTS,
     .max = 255,
     .example = "\"coap.example\"",
     .set = set_proxy},
    {.name = "multicast",
     .with = "protocol",
     .with_words = coap_listener_words,
     .type = SCHEMA_WORD,
     .words = multicast_words,
     .fallback = "refuse",
     .example = "\"answer\"",
     SCHEMA_INTO(struct config_listener, multicast)},
    {.name = "prefix",
     .with = "protocol",
     .with_words = coap_listener_words,
     .type = SCHEMA_GROUP,
     .inside = &prefix_table},
    {.name = "psk_file",
     SECURED,
     .type = SCHEMA_PATH,
     .example = "\"tls/probes.psk\"",
     SCHEMA_INTO(struct config_listener, psk_file)},
    {.name = "limits",
     .with = "protocol",
     .with_words = mqtt_listener_words,
     .type = SCHEMA_GROUP,
     .inside = &source_limit_table},
    {.name = "total",
     .with = "protocol",
     .with_words = mqtt_listener_words,
     .type = SCHEMA_GROUP,
     .inside = &listener_total_table},
    {.name = "sources",
     .with = "security",
     .with_words = dtls_words,
     .type = SCHEMA_GROUP,
     .inside = &session_limit_table},
};
const struct schema_table gateway_listener_keys = {
    .what = "listener", .label = "name", SCHEMA_KEYS(listener_keys)};

void *gateway_next_listener(struct schema_read *read, const config_setting_t *setting, void *into)
{
    struct gateway_draft *draft = into;
    struct gateway_config *config = draft->config;
    if (!gateway_keys_room(read, setting, config->listeners_n, GATEWAY_LISTENERS_MAX, "listeners"))
        return NULL;
    struct config_listener *listener = &config->listeners[config->listeners_n];
    listener->origin = load_origin(read->load, setting);
    draft->listeners[config->listeners_n++].setting = setting;
    return listener;
}

/* ---- upstreams ----------------------------------------------------------------------------------------- */

static void set_server(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct config_upstream *upstream = into;
    struct address_endpoint endpoint = {.port = 0};
    const char *problem = address_parse_endpoint(value->text, false, &endpoint);
    if (problem == NULL) {
        struct config_address host = {.bits = 128};
        memcpy(host.bytes, endpoint.address, 16);
        problem = address_check_host(&host);
    }
    if (problem == NULL && upstream->servers_n == GATEWAY_SERVERS_MAX)
        problem = "an upstream has at most 8 servers; remove some";
    if (problem != NULL) {
        schema_refuse(read, value, problem);
        return;
    }
    struct config_server *server = &upstream->servers[upstream->servers_n++];
    memcpy(server->address, endpoint.address, 16);
    server->port = endpoint.port;
}

/* Names are joined by ',' as TLS contexts take them. */
static void set_alpn(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct config_upstream *upstream = into;
    if (strchr(value->text, ',') != NULL)
        schema_refuse(read, value, "a protocol name holds no ','; write [ \"one\", \"other\" ]");
    else if (upstream->alpn == NULL)
        upstream->alpn = value->text;
    else
        upstream->alpn = arena_format(read->arena, "%s,%s", upstream->alpn, value->text);
}

static void set_pin(struct schema_read *read, const struct schema_value *value, void *into)
{
    add_pin(read, value, &((struct config_upstream *)into)->pins);
}

static const char *const ocsp_words[] = {"none", "stapled", "required", NULL};

static void set_ocsp(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)read;
    ((struct config_upstream *)into)->stapling = (uint8_t)value->number;
}

static void set_min_version(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)read;
    ((struct config_upstream *)into)->tls_1_2 = value->number == 1;
}

static const char *const balance_words[] = {"order", "round-robin", NULL};
static const char *const check_words[] = {"none", "tcp", "tls", "mqtt-ping", "coap-ping", NULL};
static const char *const active_words[] = {"tcp", "tls", "mqtt-ping", NULL};
#define CHECKED .with = "check", .with_words = active_words

static void set_check(struct schema_read *read, const struct schema_value *value, void *into)
{
    if (value->number > CONFIG_CHECK_MQTT_PING)
        schema_refuse(read, value, "servers of CoAP are not checked in this version; write \"none\"");
    else
        ((struct config_upstream *)into)->check = (enum config_check)value->number;
}

static const char *const coap_words[] = {"coap", NULL};
static const char *const mqtt_words[] = {"mqtt", NULL};
static const char *const profile_words[] = {
    [CLOUD_PLAIN] = "plain", [CLOUD_AWS] = "aws", [CLOUD_AZURE] = "azure", NULL};
#define OF_MQTT .with = "protocol", .with_words = mqtt_words

static const struct schema_key upstream_keys[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .required = true,
     .example = "\"broker\"",
     SCHEMA_INTO(struct config_upstream, name)},
    {.name = "protocol",
     .type = SCHEMA_WORD,
     .required = true,
     .words = protocol_words,
     .example = "\"mqtt\"",
     SCHEMA_INTO(struct config_upstream, protocol)},
    {.name = "security",
     .type = SCHEMA_WORD,
     .required = true,
     .words = security_words,
     .example = "\"tls\"",
     SCHEMA_INTO(struct config_upstream, security)},
    {.name = "servers",
     .type = SCHEMA_TEXTS,
     .required = true,
     .max = 63,
     .example = "[ \"10.30.0.2:8883\" ]",
     .set = set_server},
    {.name = "server_name",
     SECURED,
     .type = SCHEMA_TEXT,
     .max = 253,
     .example = "\"broker.example\"",
     SCHEMA_INTO(struct config_upstream, server_name)},
    {.name = "alpn", SECURED, .type = SCHEMA_TEXTS, .max = 255, .example = "\"mqtt\"", .set = set_alpn},
    {.name = "ca",
     SECURED,
     .type = SCHEMA_PATH,
     .example = "\"tls/cloud-ca.pem\"",
     SCHEMA_INTO(struct config_upstream, ca)},
    {.name = "certificate",
     SECURED,
     .type = SCHEMA_PATH,
     .example = "\"tls/devices/${id}.pem\"",
     SCHEMA_INTO(struct config_upstream, certificate)},
    {.name = "key",
     SECURED,
     .type = SCHEMA_PATH,
     .example = "\"tls/devices/${id}.key\"",
     SCHEMA_INTO(struct config_upstream, key)},
    {.name = "bundle",
     .with = "security",
     .with_words = tls_words,
     .type = SCHEMA_PATH,
     .example = "\"tls/devices.pem\"",
     SCHEMA_INTO(struct config_upstream, bundle)},
    {.name = "key_password",
     .with = "security",
     .with_words = tls_words,
     .type = SCHEMA_PATH,
     .example = "\"tls/keys.pass\"",
     SCHEMA_INTO(struct config_upstream, key_password)},
    {.name = "ocsp",
     .with = "security",
     .with_words = tls_words,
     .type = SCHEMA_WORD,
     .words = ocsp_words,
     .fallback = "none",
     .example = "\"stapled\"",
     .set = set_ocsp},
    {.name = "ocsp_ask",
     SECURED,
     .type = SCHEMA_GROUP,
     .at = offsetof(struct config_upstream, ocsp),
     .inside = &gateway_ocsp_keys},
    {.name = "pin", SECURED, .type = SCHEMA_TEXTS, .max = 63, .example = "\"sha256/...\"", .set = set_pin},
    {.name = "crl",
     SECURED,
     .type = SCHEMA_PATH,
     .feature = FEATURE_UPSTREAM_CRL,
     .example = "\"tls/cloud.crl\"",
     SCHEMA_INTO(struct config_upstream, crl)},
    {.name = "min_version",
     .with = "security",
     .with_words = tls_words,
     .type = SCHEMA_WORD,
     .words = version_words,
     .fallback = "1.3",
     .example = "\"1.3\"",
     .set = set_min_version},
    {.name = "dtls",
     .with = "security",
     .with_words = dtls_words,
     .type = SCHEMA_WORD,
     .words = dtls_one_version_words,
     .fallback = "1.2",
     .example = "\"1.3\"",
     SCHEMA_INTO(struct config_upstream, dtls)},
    {.name = "connection_ids",
     .with = "security",
     .with_words = dtls_words,
     .type = SCHEMA_FLAG,
     .fallback = "false",
     .example = "true",
     SCHEMA_INTO(struct config_upstream, connection_ids)},
    {.name = "resumption",
     SECURED,
     .type = SCHEMA_FLAG,
     .fallback = "true",
     .idle_beside = "psk_file",
     SCHEMA_INTO(struct config_upstream, resumption)},
    {.name = "connect_timeout",
     .type = SCHEMA_DURATION,
     .min = SECOND_US / 10,
     .max = 300 * SECOND_US,
     .fallback = "5s",
     SCHEMA_INTO(struct config_upstream, connect_timeout_us)},
    {.name = "dials",
     OF_MQTT,
     .type = SCHEMA_NUMBER,
     .min = 0,
     .max = 65535,
     .fallback = "64",
     SCHEMA_INTO(struct config_upstream, dials)},
    {.name = "profile",
     OF_MQTT,
     .type = SCHEMA_WORD,
     .words = profile_words,
     .fallback = "plain",
     .example = "\"aws\"",
     SCHEMA_INTO(struct config_upstream, profile)},
    {.name = "user_name",
     OF_MQTT,
     .type = SCHEMA_TEXT,
     .max = 512,
     .example = "\"${id}\"",
     SCHEMA_INTO(struct config_upstream, user_name)},
    {.name = "password_file",
     OF_MQTT,
     .type = SCHEMA_PATH,
     .example = "\"secrets/cloud.passwords\"",
     SCHEMA_INTO(struct config_upstream, password_file)},
    {.name = "client_id",
     OF_MQTT,
     .type = SCHEMA_TEXT,
     .max = 512,
     .example = "\"site7-${client_id}\"",
     SCHEMA_INTO(struct config_upstream, client_id)},
    {.name = "mount",
     OF_MQTT,
     .type = SCHEMA_TEXT,
     .max = 512,
     .example = "\"sites/7/\"",
     SCHEMA_INTO(struct config_upstream, mount)},
    {.name = "psk_id",
     SECURED,
     .type = SCHEMA_TEXT,
     .max = 128,
     .example = "\"${id}\"",
     SCHEMA_INTO(struct config_upstream, psk_id)},
    {.name = "psk_file",
     SECURED,
     .type = SCHEMA_PATH,
     .example = "\"tls/devices.psk\"",
     SCHEMA_INTO(struct config_upstream, psk_file)},
    {.name = "cache",
     .with = "protocol",
     .with_words = coap_words,
     .type = SCHEMA_SIZE,
     .min = 0,
     .max = 32 << 20,
     .fallback = "0B",
     .example = "\"1MiB\"",
     SCHEMA_INTO(struct config_upstream, cache_bytes)},
    {.name = "nstart",
     .with = "protocol",
     .with_words = coap_words,
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 64,
     .fallback = "1",
     .example = "1",
     SCHEMA_INTO(struct config_upstream, nstart)},
    {.name = "probing",
     .with = "protocol",
     .with_words = coap_words,
     .type = SCHEMA_BYTE_RATE,
     .fallback = "1B/s burst 1KiB",
     .example = "\"1B/s burst 1KiB\"",
     SCHEMA_INTO(struct config_upstream, probing)},
    {.name = "balance",
     .type = SCHEMA_WORD,
     .words = balance_words,
     .fallback = "order",
     .example = "\"round-robin\"",
     SCHEMA_INTO(struct config_upstream, balance)},
    {.name = "check",
     .type = SCHEMA_WORD,
     .words = check_words,
     .fallback = "none",
     .example = "\"mqtt-ping\"",
     .set = set_check},
    {.name = "check_interval",
     CHECKED,
     .type = SCHEMA_DURATION,
     .min = SECOND_US / 2,
     .max = 3600 * SECOND_US,
     .fallback = "10s",
     SCHEMA_INTO(struct config_upstream, check_interval_us)},
    {.name = "check_fall",
     CHECKED,
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 100,
     .fallback = "2",
     SCHEMA_INTO(struct config_upstream, check_fall)},
    {.name = "check_rise",
     CHECKED,
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 100,
     .fallback = "2",
     SCHEMA_INTO(struct config_upstream, check_rise)},
    {.name = "check_id",
     CHECKED,
     .type = SCHEMA_TEXT,
     .max = 64,
     .fallback = "sallyport-check",
     .example = "\"gw-yard-01\"",
     SCHEMA_INTO(struct config_upstream, check_id)},
};
const struct schema_table gateway_upstream_keys = {
    .what = "upstream", .label = "name", SCHEMA_KEYS(upstream_keys)};

void *gateway_next_upstream(struct schema_read *read, const config_setting_t *setting, void *into)
{
    struct gateway_draft *draft = into;
    struct gateway_config *config = draft->config;
    if (!gateway_keys_room(read, setting, config->upstreams_n, GATEWAY_UPSTREAMS_MAX, "upstreams"))
        return NULL;
    struct config_upstream *upstream = &config->upstreams[config->upstreams_n];
    upstream->origin = load_origin(read->load, setting);
    draft->upstreams[config->upstreams_n++].setting = setting;
    return upstream;
}
