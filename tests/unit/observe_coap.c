/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each verdict about a CoAP request once. */
#include "tests/unit/coap_broker.h"
#include "tests/unit/observe_case.h"

#include "policy/access/acl_options.h"

#define ALL_METHODS (1 << ACL_GET | 1 << ACL_PUT | 1 << ACL_POST | 1 << ACL_OBSERVE)
#define ALLOW(id_, actions_, path_)                                                                          \
    .id = id_, .file = "f", .line = 1, .allow = true, .actions = (uint16_t)(actions_), .topic = path_,       \
    .retain = -1, .will = -1

static const struct acl_options asks_query = {.queries = {"unit=c"}, .queries_n = 1};
static const struct acl_options asks_format = {.formats = {50}, .formats_n = 1};
static const struct acl_options asks_no_block = {.block = ACL_BLOCK_NO};

static const struct acl_rule_spec coap_rules[] = {
    {ALLOW("own", ALL_METHODS, "own/+")},
    {.id = "secret",
     .file = "f",
     .line = 2,
     .actions = ALL_METHODS,
     .topic = "own/secret",
     .retain = -1,
     .will = -1},
    {ALLOW("small", ALL_METHODS, "small"), .payload_max = 4},
    {ALLOW("json", ALL_METHODS, "json"), .payload = ACL_PAYLOAD_JSON},
    {ALLOW("query", ALL_METHODS, "query"), .options = &asks_query},
    {ALLOW("format", ALL_METHODS, "format"), .options = &asks_format},
    {ALLOW("whole", ALL_METHODS, "whole"), .options = &asks_no_block},
};

static struct policy_role_spec coap_role(const struct observe_run *run)
{
    return (struct policy_role_spec){.name = "observed",
                                     .file = "f",
                                     .line = 1,
                                     .match = {.any = true, .vlan = -1},
                                     .mode = observe_mode(run),
                                     .max_qos = 2,
                                     .rules = coap_rules,
                                     .rules_n = sizeof(coap_rules) / sizeof(coap_rules[0])};
}

static void open_observed(const struct observe_run *run, const struct policy_role_spec *role)
{
    struct policy_device_spec device = {.id = "probe-1",
                                        .file = "f",
                                        .line = 2,
                                        .has_mac = true,
                                        .mac = {2, 0, 0, 0, 0, 1},
                                        .addresses_n = 1,
                                        .addresses = {{.bits = 128}}};
    struct ip_address address = ip_address_v4(DEVICE_IP);
    memcpy(device.addresses[0].address, address.bytes, 16);
    const struct policy_spec spec = {.roles = role, .roles_n = 1, .devices = &device, .devices_n = 1};
    open_rig();
    snapshot_destroy((struct snapshot *)(uintptr_t)rig.generation.policy);
    rig.generation.policy = snapshot_create(&spec, 1, NULL, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig.generation.policy);
    rig.config.observe = run->column == GATEWAY_OBSERVES;
}

static bool close_observed(struct observe_run *run, bool went_on)
{
    const struct event *event;
    run->seen.counted = coap_relays_counters(rig.relays)->requests[run->outcome];
    while ((event = event_ring_peek(rig.events)) != NULL) {
        if (event->outcome == run->outcome) {
            run->seen.enforced |= event->enforced;
            run->seen.recorded |= !event->enforced;
        }
        event_ring_pop(rig.events);
    }
    close_rig();
    return went_on;
}

/* What was sent since `from` reached the server. */
static bool reached_server(uint32_t from)
{
    struct ip_address server = ip_address_v4(SERVER_IP);
    for (uint32_t i = from; i < rig.sent_n; i++)
        if (ip_address_equal(&rig.sent[i].key.remote, &server))
            return true;
    return false;
}

/* A request; options in the order of their numbers. */
struct asking {
    uint8_t code;
    uint16_t mid;
    const char *path[4];
    const char *query;
    int format;      /* -1: none */
    int block1;      /* -1: none; its value */
    int observe;     /* -1: none */
    uint16_t option; /* another one, 0: none */
    const char *value;
    size_t payload_bytes;
    const char *payload;
};

static const struct asking plain = {
    .code = COAP_GET, .mid = 1, .path = {"own", "a"}, .format = -1, .block1 = -1, .observe = -1};

static void odd(struct coap_writer *w, const struct asking *a, uint16_t from, uint16_t to)
{
    if (a->option > from && a->option < to)
        coap_build_option(w, a->option, bytes_of_text(a->value));
}

/* True when it, or what it made way for, went to the server. */
static bool asks_from(uint8_t mac, const struct asking *a)
{
    static const uint8_t filler[COAP_MESSAGE_MAX];
    uint8_t bytes[COAP_MESSAGE_MAX];
    struct coap_writer w;
    uint32_t before = rig.sent_n;
    coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, a->code, a->mid, (const uint8_t *)&a->mid, 2);
    odd(&w, a, 0, COAP_OBSERVE);
    if (a->observe >= 0)
        coap_build_uint(&w, COAP_OBSERVE, (uint32_t)a->observe);
    for (int i = 0; i < 4 && a->path[i] != NULL; i++)
        coap_build_option(&w, COAP_URI_PATH, bytes_of_text(a->path[i]));
    if (a->format >= 0)
        coap_build_uint(&w, COAP_CONTENT_FORMAT, (uint32_t)a->format);
    if (a->query != NULL)
        coap_build_option(&w, COAP_URI_QUERY, bytes_of_text(a->query));
    odd(&w, a, COAP_URI_QUERY, COAP_BLOCK1);
    if (a->block1 >= 0)
        coap_build_uint(&w, COAP_BLOCK1, (uint32_t)a->block1);
    odd(&w, a, COAP_BLOCK1, UINT16_MAX);
    coap_build_payload(&w,
                       a->payload != NULL ? bytes_of_text(a->payload) : bytes_of(filler, a->payload_bytes));
    device_sends(0, mac, bytes, coap_build_end(&w));
    return reached_server(before);
}

static bool asks(const struct asking *a)
{
    return asks_from(1, a);
}

static bool asks_alone(struct observe_run *run, const struct asking *a)
{
    struct policy_role_spec role = coap_role(run);
    open_observed(run, &role);
    return close_observed(run, asks(a));
}

/* Many, each of which waits at the server; true when the last went there too. The server gets one at a time,
 * so that going on is not being refused. */
static bool asks_many(struct observe_run *run, const struct policy_role_spec *role, uint32_t n)
{
    struct asking a = plain;
    open_observed(run, role);
    for (uint32_t i = 0; i < n; i++) {
        a.mid = (uint16_t)(100 + i);
        (void)asks(&a);
    }
    uint64_t refused = 0;
    for (uint32_t i = 0; i < rig.sent_n; i++)
        refused += sent(i).code == COAP_UNAVAILABLE;
    return close_observed(run, refused == 0);
}

/* ---- rules (E2) -----------------------------------------------------------------------------------------
 */

OBSERVE_PROBE(coap_default_deny)
{
    struct asking a = plain;
    a.path[0] = "others";
    return asks_alone(run, &a);
}

OBSERVE_PROBE(coap_rule_deny)
{
    struct asking a = plain;
    a.path[1] = "secret";
    return asks_alone(run, &a);
}

OBSERVE_PROBE(coap_query_denied)
{
    struct asking a = plain;
    a.path[0] = "query";
    a.path[1] = NULL;
    a.query = "unit=f";
    return asks_alone(run, &a);
}

OBSERVE_PROBE(coap_format_denied)
{
    struct asking a = plain;
    a.code = COAP_PUT;
    a.path[0] = "format";
    a.path[1] = NULL;
    a.format = 0;
    a.payload = "x";
    return asks_alone(run, &a);
}

OBSERVE_PROBE(coap_block_denied)
{
    struct asking a = plain;
    a.code = COAP_PUT;
    a.path[0] = "whole";
    a.path[1] = NULL;
    a.block1 = 8;
    a.payload_bytes = 16;
    return asks_alone(run, &a);
}

OBSERVE_PROBE(coap_payload_too_large)
{
    struct asking a = plain;
    a.code = COAP_PUT;
    a.path[0] = "small";
    a.path[1] = NULL;
    a.payload = "12345";
    return asks_alone(run, &a);
}

OBSERVE_PROBE(coap_malformed_payload)
{
    struct asking a = plain;
    a.code = COAP_PUT;
    a.path[0] = "json";
    a.path[1] = NULL;
    a.payload = "{";
    return asks_alone(run, &a);
}

/* ---- limits (E3, E5) ------------------------------------------------------------------------------------
 */

OBSERVE_PROBE(coap_rate_requests)
{
    struct policy_role_spec role = coap_role(run);
    role.limits.rates.of[RATE_REQUESTS][0] = (struct rate){.amount = 1, .period_us = S, .burst = 2};
    return asks_many(run, &role, 3);
}

OBSERVE_PROBE(coap_rate_bytes)
{
    struct policy_role_spec role = coap_role(run);
    role.limits.rates.of[RATE_BYTES][0] = (struct rate){.amount = 1, .period_us = S, .burst = 40};
    return asks_many(run, &role, 4);
}

OBSERVE_PROBE(coap_exchange_cap)
{
    struct policy_role_spec role = coap_role(run);
    role.limits.exchanges = 2;
    return asks_many(run, &role, 3);
}

/* What one endpoint may have under way at all. */
OBSERVE_PROBE(coap_exchange_bound)
{
    struct policy_role_spec role = coap_role(run);
    return asks_many(run, &role, 20);
}

/* The device has a MAC of its own: it is where it says. */
OBSERVE_PROBE(coap_observation_cap)
{
    struct policy_role_spec role = coap_role(run);
    struct asking a = plain;
    role.limits.observations = 1;
    open_observed(run, &role);
    a.observe = 0;
    CU_ASSERT_TRUE(asks(&a));
    struct coap_message up = sent(0);
    uint8_t copy[128];
    memcpy(copy, rig.sent[rig.sent_n - 1].bytes, rig.sent[rig.sent_n - 1].n);
    coap_parse(&up, bytes_of(copy, rig.sent[rig.sent_n - 1].n));
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTENT, 1, 1);
    a.mid = 2;
    bool went_on = asks(&a);
    up = sent(0);
    return close_observed(run, went_on && coap_option_find(&up, COAP_OBSERVE) != NULL);
}

OBSERVE_PROBE(coap_transfer_cap)
{
    struct policy_role_spec role = coap_role(run);
    struct asking a = plain;
    role.limits.transfers = 1;
    open_observed(run, &role);
    a.code = COAP_PUT;
    a.block1 = 8;
    a.payload_bytes = 16;
    CU_ASSERT_TRUE(asks(&a));
    struct coap_message up = sent(0);
    uint8_t copy[128];
    memcpy(copy, rig.sent[rig.sent_n - 1].bytes, rig.sent[rig.sent_n - 1].n);
    coap_parse(&up, bytes_of(copy, rig.sent[rig.sent_n - 1].n));
    server_answers(&up, COAP_ACK, up.mid, COAP_CONTINUE, -1, 0);
    a.mid = 2;
    a.path[1] = "b";
    return close_observed(run, asks(&a));
}

OBSERVE_PROBE(coap_transfer_broken)
{
    struct asking a = plain;
    a.code = COAP_PUT;
    a.block1 = 1 << 4;
    a.payload_bytes = 16;
    return asks_alone(run, &a);
}

OBSERVE_PROBE(coap_packet_too_large)
{
    struct policy_role_spec role = coap_role(run);
    struct asking a = plain;
    role.limits.packet_bytes = 64;
    a.code = COAP_PUT;
    a.payload_bytes = 65;
    open_observed(run, &role);
    return close_observed(run, asks(&a));
}

OBSERVE_PROBE(coap_topic_too_deep)
{
    struct policy_role_spec role = coap_role(run);
    struct asking a = plain;
    role.limits.topic_levels = 2;
    a.path[2] = "b";
    open_observed(run, &role);
    return close_observed(run, asks(&a));
}

/* ---- who, and where (C4, E4, E6) ------------------------------------------------------------------------
 */

OBSERVE_PROBE(coap_identity_mismatch)
{
    struct policy_role_spec role = coap_role(run);
    open_observed(run, &role);
    return close_observed(run, asks_from(7, &plain));
}

/* Somebody whose address nobody vouches for wants to be told again and again. */
OBSERVE_PROBE(coap_unproved_address)
{
    struct policy_role_spec role = coap_role(run);
    uint8_t bytes[64];
    struct coap_writer w;
    open_observed(run, &role);
    coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_GET, 1, (const uint8_t *)"\x5A", 1);
    coap_build_uint(&w, COAP_OBSERVE, 0);
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("own"));
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("a"));
    device_sends(9, 9, bytes, coap_build_end(&w));
    return close_observed(run, reached_server(0));
}

OBSERVE_PROBE(coap_multicast)
{
    struct policy_role_spec role = coap_role(run);
    uint8_t bytes[64];
    struct coap_writer w;
    open_observed(run, &role);
    coap_build_start(&w, bytes, sizeof(bytes), COAP_NON, COAP_GET, 1, (const uint8_t *)"\x5A", 1);
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("own"));
    struct coap_arrival arrival = {.key = {.local = ip_address_v4(UINT32_C(0xE00001BB)),
                                           .remote = ip_address_v4(DEVICE_IP),
                                           .local_port = 5683,
                                           .remote_port = 40000,
                                           .protocol = 17},
                                   .group = true,
                                   .has_mac = true,
                                   .mac = {2, 0, 0, 0, 0, 1},
                                   .payload = bytes_of(bytes, coap_build_end(&w))};
    coap_relays_from_device(rig.relays, &arrival);
    return close_observed(run, rig.sent_n != 0);
}

/* ---- the law of the protocol (E1, E2) -------------------------------------------------------------------
 */

static bool asks_oddly(struct observe_run *run, uint16_t option, const char *value)
{
    struct asking a = plain;
    a.option = option;
    a.value = value;
    return asks_alone(run, &a);
}

OBSERVE_PROBE(coap_bad_option)
{
    return asks_oddly(run, 2049, "x"); /* critical, and nobody knows it */
}

OBSERVE_PROBE(coap_proxy_refused)
{
    return asks_oddly(run, COAP_PROXY_URI, "coap://elsewhere/own/a");
}

OBSERVE_PROBE(coap_hop_limit)
{
    return asks_oddly(run, COAP_HOP_LIMIT, "\x01");
}

OBSERVE_PROBE(coap_malformed_string)
{
    return asks_oddly(run, COAP_URI_HOST, "\xc0\x80");
}

OBSERVE_PROBE(coap_bad_method)
{
    struct asking a = plain;
    a.code = 0x1e;
    return asks_alone(run, &a);
}

OBSERVE_PROBE(coap_bad_path)
{
    struct asking a = plain;
    a.path[1] = "..";
    return asks_alone(run, &a);
}

/* Toward a broker, by a path that no map knows. */
OBSERVE_PROBE(coap_no_topic)
{
    struct policy_role_spec role = coap_role(run);
    struct asking a = plain;
    memset(&broker, 0, sizeof(broker));
    open_observed(run, &role);
    rig.config.upstreams[0].protocol = CONFIG_MQTT;
    (void)asks(&a);
    return close_observed(run, broker.dialled != 0);
}

/* ---- a deny that holds even so --------------------------------------------------------------------------
 */

static bool asks_secret(struct observe_run *run, const struct policy_limits *limits, uint32_t before)
{
    struct acl_rule_spec strict[sizeof(coap_rules) / sizeof(coap_rules[0])];
    struct policy_role_spec role = coap_role(run);
    struct asking a = plain;
    memcpy(strict, coap_rules, sizeof(strict));
    strict[1].enforce = true;
    role.rules = strict;
    role.limits = *limits;
    open_observed(run, &role);
    for (uint32_t i = 0; i < before; i++) {
        a.mid = (uint16_t)(10 + i);
        (void)asks(&a);
    }
    a.mid = 1;
    a.code = COAP_PUT;
    a.path[1] = "secret";
    a.payload_bytes = 80;
    return close_observed(run, asks(&a));
}

OBSERVE_PROBE(coap_hidden_by_nothing)
{
    return asks_secret(run, &(struct policy_limits){0}, 0);
}

OBSERVE_PROBE(coap_hidden_by_depth)
{
    return asks_secret(run, &(struct policy_limits){.topic_levels = 1}, 0);
}

OBSERVE_PROBE(coap_hidden_by_size)
{
    return asks_secret(run, &(struct policy_limits){.packet_bytes = 64}, 0);
}

OBSERVE_PROBE(coap_hidden_by_rate)
{
    const struct policy_limits limits = {
        .rates.of[RATE_REQUESTS][0] = {.amount = 1, .period_us = S, .burst = 1}};
    return asks_secret(run, &limits, 2);
}
