/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings of sallyport.conf (operators' surface 2.3, 2.3a). */
#include "config/gateway_draft.h"

#include <string.h>
#include <sys/stat.h>

#define MIB (INT64_C(1) << 20)

static struct gateway_config *config_of(const struct schema_read *read)
{
    return ((struct gateway_draft *)read->owner)->config;
}

bool gateway_keys_room(struct schema_read *read, const config_setting_t *setting, uint32_t n, uint32_t max,
                       const char *what)
{
    if (n == max)
        schema_error(read, load_origin(read->load, setting), "there are more than %u %s; remove some", max,
                     what);
    return n < max;
}

/* ---- ports and routes ---------------------------------------------------------------------------------- */

static void set_vlan(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)read;
    ((struct config_interface *)into)->vlan = (uint16_t)value->number;
}

static void set_address(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct config_interface *interface = into;
    struct config_address address;
    const char *problem = address_parse_prefix(value->text, false, &address);
    if (problem == NULL)
        problem = address_check_host(&address);
    if (problem == NULL && interface->addresses_n == GATEWAY_ADDRESSES_MAX)
        problem = "a port has at most 8 addresses; remove some";
    if (problem != NULL)
        schema_refuse(read, value, problem);
    else
        interface->addresses[interface->addresses_n++] = address;
}

static void set_next_hop(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct config_interface *interface = into;
    uint8_t address[16];
    const char *problem = address_parse(value->text, address);
    bool v4 = problem == NULL && address_is_v4(address);
    bool *there = v4 ? &interface->has_next_hop : &interface->has_next_hop6;
    if (problem == NULL && *there)
        problem = "a port has one next hop for IPv4 and one for IPv6; remove one";
    if (problem != NULL) {
        schema_refuse(read, value, problem);
        return;
    }
    *there = true;
    memcpy(v4 ? interface->next_hop : interface->next_hop6, address, 16);
}

static void set_route_to(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct config_route *route = into;
    const char *problem = address_parse_prefix(value->text, true, &route->to);
    if (problem != NULL)
        schema_refuse(read, value, problem);
}

static void set_route_via(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct config_route *route = into;
    const char *problem = address_parse(value->text, route->via);
    if (problem != NULL)
        schema_refuse(read, value, problem);
}

static void set_route_port(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct gateway_draft *draft = read->owner;
    const struct config_route *route = into;
    draft->routes[route - draft->config->routes].port = value->text;
}

static const struct schema_key port_keys[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .required = true,
     .example = "\"iot\"",
     SCHEMA_INTO(struct config_interface, name)},
    {.name = "device",
     .type = SCHEMA_TEXT,
     .required = true,
     .max = 128,
     .example = "\"af_xdp:eth1\"",
     SCHEMA_INTO(struct config_interface, device)},
    {.name = "vlan", .type = SCHEMA_NUMBER, .min = 1, .max = 4094, .example = "20", .set = set_vlan},
    {.name = "mtu",
     .type = SCHEMA_NUMBER,
     .min = 1280,
     .max = 1500,
     .example = "1500",
     SCHEMA_INTO(struct config_interface, mtu)},
    {.name = "address",
     .type = SCHEMA_TEXTS,
     .required = true,
     .max = 63,
     .example = "[ \"10.20.0.1/22\" ]",
     .set = set_address},
    {.name = "next_hop", .type = SCHEMA_TEXTS, .max = 63, .example = "\"10.30.0.254\"", .set = set_next_hop},
};
static const struct schema_table port_table = {.what = "port", .label = "name", SCHEMA_KEYS(port_keys)};

static const struct schema_key route_keys[] = {
    {.name = "to",
     .type = SCHEMA_TEXT,
     .required = true,
     .max = 63,
     .example = "\"10.40.0.0/16\"",
     .set = set_route_to},
    {.name = "via",
     .type = SCHEMA_TEXT,
     .required = true,
     .max = 63,
     .example = "\"10.30.0.254\"",
     .set = set_route_via},
    {.name = "port", .type = SCHEMA_NAME, .required = true, .example = "\"wan\"", .set = set_route_port},
};
static const struct schema_table route_table = {.what = "route", .label = "to", SCHEMA_KEYS(route_keys)};

static void *next_port(struct schema_read *read, const config_setting_t *setting, void *into)
{
    struct gateway_draft *draft = into;
    struct gateway_config *config = draft->config;
    if (!gateway_keys_room(read, setting, config->interfaces_n, GATEWAY_INTERFACES_MAX, "ports"))
        return NULL;
    struct config_interface *interface = &config->interfaces[config->interfaces_n];
    interface->origin = load_origin(read->load, setting);
    draft->interfaces[config->interfaces_n++].setting = setting;
    return interface;
}

static void *next_route(struct schema_read *read, const config_setting_t *setting, void *into)
{
    struct gateway_draft *draft = into;
    struct gateway_config *config = draft->config;
    if (!gateway_keys_room(read, setting, config->routes_n, GATEWAY_ROUTES_MAX, "routes"))
        return NULL;
    struct config_route *route = &config->routes[config->routes_n];
    route->origin = load_origin(read->load, setting);
    draft->routes[config->routes_n++].setting = setting;
    return route;
}

/* ---- dataplane ----------------------------------------------------------------------------------------- */

static void set_workers(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->workers = (uint32_t)value->number;
}

static void set_memory(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->memory_bytes = (uint64_t)value->number;
}

static void set_hugepages(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->hugepages = (int8_t)(value->number - 1); /* words: auto, no, yes */
}

static void set_idle(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->idle_adaptive = value->number == 0;
}

static void set_record_crypto(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->record_crypto = (uint8_t)value->number;
    config_of(read)->record_crypto_origin = value->origin;
}

static void set_handshake_threads(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->handshake_threads = (uint32_t)value->number;
}

static void set_password_threads(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->password_threads = (uint32_t)value->number;
}

static void set_eal(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->eal = value->text;
}

static void set_connections(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->connections = (uint32_t)value->number;
}

static void set_dtls_handshakes(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->dtls_handshakes = (uint32_t)value->number;
}

static void set_dtls_handshakes_per_source(struct schema_read *read, const struct schema_value *value,
                                           void *into)
{
    (void)into;
    config_of(read)->dtls_handshakes_per_source = (uint32_t)value->number;
}

static void set_dtls_idle(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->dtls_idle_us = (uint64_t)value->number;
}

static const char *const auto_words[] = {"auto", NULL};
static const char *const hugepages_words[] = {"auto", "no", "yes", NULL};
static const char *const record_crypto_words[] = {"auto", "ipsec-mb", "wolfcrypt", NULL};
static const char *const idle_words[] = {"adaptive", "poll", NULL};

static const struct schema_key capacity_keys[] = {
    {.name = "connections",
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 1000000,
     .fallback = "20000",
     .example = "20000",
     .set = set_connections},
    {.name = "dtls_handshakes",
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 65535,
     .fallback = "1024",
     .example = "1024",
     .set = set_dtls_handshakes},
    {.name = "dtls_handshakes_per_source",
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 65535,
     .fallback = "16",
     .example = "16",
     .set = set_dtls_handshakes_per_source},
    {.name = "dtls_idle",
     .type = SCHEMA_DURATION,
     .min = 10000000,
     .max = INT64_C(7) * 86400 * 1000000,
     .fallback = "1h",
     .example = "1h",
     .set = set_dtls_idle},
};
static const struct schema_table capacity_table = {.what = "limits", SCHEMA_KEYS(capacity_keys)};

static const struct schema_key dataplane_keys[] = {
    {.name = "workers",
     .type = SCHEMA_NUMBER_OR_WORD,
     .min = 1,
     .max = 64,
     .words = auto_words,
     .fallback = "auto",
     .set = set_workers},
    {.name = "memory",
     .type = SCHEMA_SIZE,
     .min = 64 * MIB,
     .max = INT64_C(1) << 40,
     .fallback = "256MiB",
     .example = "\"256MiB\"",
     .set = set_memory},
    {.name = "hugepages",
     .type = SCHEMA_WORD,
     .words = hugepages_words,
     .fallback = "auto",
     .example = "\"auto\"",
     .set = set_hugepages},
    {.name = "idle",
     .type = SCHEMA_WORD,
     .words = idle_words,
     .fallback = "adaptive",
     .example = "\"adaptive\"",
     .set = set_idle},
    {.name = "limits", .type = SCHEMA_GROUP, .inside = &capacity_table},
    {.name = "record_crypto",
     .type = SCHEMA_WORD,
     .words = record_crypto_words,
     .fallback = "auto",
     .example = "\"auto\"",
     .set = set_record_crypto},
    {.name = "handshake_threads",
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 64,
     .fallback = "1",
     .set = set_handshake_threads},
    {.name = "password_threads",
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 16,
     .fallback = "1",
     .set = set_password_threads},
    {.name = "eal", .type = SCHEMA_TEXT, .example = "\"--log-level=6\"", .set = set_eal},
    {.name = "ports", .type = SCHEMA_LIST, .required = true, .entry = next_port, .inside = &port_table},
    {.name = "routes", .type = SCHEMA_LIST, .entry = next_route, .inside = &route_table},
};
static const struct schema_table dataplane_table = {.what = "dataplane", SCHEMA_KEYS(dataplane_keys)};

/* ---- the rest ------------------------------------------------------------------------------------------ */

static void set_name(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->name = value->text;
}

static void set_mode(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->observe = value->number == 1;
}

/* A word whose feature is not there. */
static void refuse_word(struct schema_read *read, const struct schema_value *value, enum feature feature,
                        const char *instead)
{
    if (!feature_present(feature))
        schema_error(read, value->origin, "'%s' is \"%s\"; %s is not in this version; write \"%s\"",
                     value->name, value->text, feature_text(feature), instead);
}

static void set_on_stall(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    if (value->number != 0)
        refuse_word(read, value, FEATURE_FAIL_OPEN, "closed");
}

static void set_confinement(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->confined = value->number == 0;
}

static const char *const confinement_words[] = {"full", "none", NULL};
static const char *const mode_words[] = {"enforce", "observe", NULL};
static const char *const stall_words[] = {"closed", "open", NULL};

static const struct schema_key gateway_group_keys[] = {
    {.name = "name", .type = SCHEMA_NAME, .example = "\"gw-yard-01\"", .set = set_name},
    {.name = "mode",
     .type = SCHEMA_WORD,
     .words = mode_words,
     .fallback = "enforce",
     .example = "\"enforce\"",
     .set = set_mode},
    {.name = "confinement",
     .type = SCHEMA_WORD,
     .words = confinement_words,
     .fallback = "full",
     .example = "\"full\"",
     .set = set_confinement},
    {.name = "on_stall",
     .type = SCHEMA_WORD,
     .words = stall_words,
     .fallback = "closed",
     .example = "\"closed\"",
     .set = set_on_stall},
};
static const struct schema_table gateway_group_table = {.what = "gateway", SCHEMA_KEYS(gateway_group_keys)};

static const char *const version_words[] = {"1.3", "1.2", NULL};

static void set_tls_version(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->tls.tls_1_2 = value->number == 1;
}

static void set_tls_file(struct schema_read *read, const struct schema_value *value, void *into)
{
    struct config_tls *tls = &config_of(read)->tls;
    (void)into;
    *(value->name[0] == 'k'                     ? &tls->key
      : strcmp(value->name, "certificate") == 0 ? &tls->certificate
      : strcmp(value->name, "client_ca") == 0   ? &tls->client_ca
                                                : &tls->crl) = value->text;
}

static const struct schema_key tls_keys[] = {
    {.name = "certificate", .type = SCHEMA_PATH, .example = "\"tls/gw.pem\"", .set = set_tls_file},
    {.name = "key", .type = SCHEMA_PATH, .example = "\"tls/gw.key\"", .set = set_tls_file},
    {.name = "client_ca", .type = SCHEMA_PATH, .example = "\"tls/fleet-ca.pem\"", .set = set_tls_file},
    {.name = "crl", .type = SCHEMA_PATH, .example = "\"tls/fleet.crl\"", .set = set_tls_file},
    {.name = "min_version",
     .type = SCHEMA_WORD,
     .words = version_words,
     .fallback = "1.3",
     .example = "\"1.3\"",
     .set = set_tls_version},
};
static const struct schema_table tls_table = {.what = "tls", SCHEMA_KEYS(tls_keys)};

static void refuse_directory(struct schema_read *read, const struct schema_value *value)
{
    struct stat st;
    if (stat(value->text, &st) == 0 && S_ISDIR(st.st_mode))
        schema_refuse(read, value, "it is a directory; name a file in it");
}

static void set_socket(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->control_socket = value->text;
    if (strlen(value->text) > 107)
        schema_refuse(read, value, "the name of a socket has at most 107 bytes; use a shorter directory");
    else
        refuse_directory(read, value);
}

static void set_state(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->state = value->text;
}

static const struct schema_key control_keys[] = {
    {.name = "socket", .type = SCHEMA_PATH, .fallback = "/run/sallyport/control.sock", .set = set_socket},
    {.name = "state",
     .type = SCHEMA_PATH,
     .fallback = "/var/lib/sallyport",
     .example = "\"/var/lib/sallyport\"",
     .set = set_state},
};
static const struct schema_table control_table = {.what = "control", SCHEMA_KEYS(control_keys)};

static const struct schema_key metrics_keys[] = {
    {.name = "listen", .type = SCHEMA_TEXT, .required = true, .max = 63, .example = "\"127.0.0.1:9465\""},
};
static const struct schema_table metrics_table = {.what = "metrics", SCHEMA_KEYS(metrics_keys)};

static void set_events_file(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->events.file = value->text;
    refuse_directory(read, value);
}

static void set_events_allowed(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->events.allowed_connect = value->number != 1; /* words: connect, none, all */
    config_of(read)->events.allowed_all = value->number == 2;
    enum feature feature = value->number == 1   ? FEATURE_EVENT_QUIET
                           : value->number == 2 ? FEATURE_EVENT_ALL
                                                : FEATURE_ALWAYS;
    if (!feature_present(feature))
        diagnostics_add(
            read->d, DIAGNOSTIC_WARNING, value->origin.file, value->origin.line,
            "'allowed' is \"%s\"; %s is not in this version for MQTT, which acts as with \"connect\"",
            value->text, feature_text(feature));
}

static void set_events_topics(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->events.topics_full = value->number == 0;
    if (value->number != 0)
        refuse_word(read, value, FEATURE_EVENT_TOPICS, "full");
}

static void set_will_storm(struct schema_read *read, const struct schema_value *value, void *into)
{
    (void)into;
    config_of(read)->events.will_storm = value->rate;
}

static const char *const allowed_words[] = {"connect", "none", "all", NULL};
static const char *const topics_words[] = {"full", "none", NULL};
static const char *const payload_words[] = {"never", NULL};

static const struct schema_key events_keys[] = {
    {.name = "file",
     .type = SCHEMA_PATH,
     .example = "\"/var/log/sallyport/events.json\"",
     .set = set_events_file},
    {.name = "allowed",
     .type = SCHEMA_WORD,
     .words = allowed_words,
     .fallback = "connect",
     .example = "\"connect\"",
     .set = set_events_allowed},
    {.name = "topics",
     .type = SCHEMA_WORD,
     .words = topics_words,
     .fallback = "full",
     .example = "\"full\"",
     .set = set_events_topics},
    {.name = "payload",
     .type = SCHEMA_WORD,
     .words = payload_words,
     .fallback = "never",
     .example = "\"never\""},
    {.name = "will_storm",
     .type = SCHEMA_RATE,
     .fallback = "100/min",
     .example = "\"50/min\"",
     .set = set_will_storm},
};
static const struct schema_table events_table = {.what = "events", SCHEMA_KEYS(events_keys)};

static const struct schema_key root_keys[] = {
    {.name = "schema", .type = SCHEMA_NUMBER, .min = 1, .max = 1, .fallback = "1"},
    {.name = "gateway", .type = SCHEMA_GROUP, .inside = &gateway_group_table},
    {.name = "dataplane",
     .type = SCHEMA_GROUP,
     .required = true,
     .example = "{ ports = ( ... ); }",
     .inside = &dataplane_table},
    {.name = "tls", .type = SCHEMA_GROUP, .feature = FEATURE_LISTENER_TLS, .inside = &tls_table},
    {.name = "listeners",
     .type = SCHEMA_LIST,
     .required = true,
     .entry = gateway_next_listener,
     .inside = &gateway_listener_keys},
    {.name = "upstreams",
     .type = SCHEMA_LIST,
     .required = true,
     .entry = gateway_next_upstream,
     .inside = &gateway_upstream_keys},
    {.name = "control", .type = SCHEMA_GROUP, .inside = &control_table},
    {.name = "metrics", .type = SCHEMA_GROUP, .feature = FEATURE_METRICS, .inside = &metrics_table},
    {.name = "events", .type = SCHEMA_GROUP, .inside = &events_table},
};
const struct schema_table gateway_keys = {SCHEMA_KEYS(root_keys)};
