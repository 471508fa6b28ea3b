/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CoAP relays between a device and a server that the test plays, on a clock that it moves. */
#ifndef TESTS_UNIT_COAP_RIG_H
#define TESTS_UNIT_COAP_RIG_H

#include "gateway/relay_coap.h"

#include "gateway/coap_proof.h"
#include "policy/coap/build.h"
#include "policy/coap/exchange.h"

#include "tests/unit/coap_worker.h"
#include "tests/unit/runner.h"

#define S UINT64_C(1000000)
#define SENT_MAX 64
#define DEVICE_IP 0x0a140011
#define SERVER_IP 0x0a1e0002
#define MEANT_IP 0xcb007107

struct sent {
    struct flow_key key;
    size_t n;
    uint8_t bytes[COAP_MESSAGE_MAX];
};

struct rig {
    uint64_t now_us;
    struct timer_wheel *timers;
    struct event_ring *events;
    struct gateway_config config;
    struct generation generation;
    const struct generation *current;
    struct coap_relays *relays;
    struct judged_observers judged;
    uint16_t next_port;
    uint32_t bad_results;
    uint32_t sent_n;
    struct sent sent[SENT_MAX];
};

static struct rig rig;

static inline bool on_route(void *worker, struct flow_key *key, uint32_t *path)
{
    (void)worker;
    key->local = ip_address_v4(0x0a1e0001);
    key->interface = 1;
    *path = 9;
    return true;
}

static inline uint16_t on_port(void *worker)
{
    (void)worker;
    return rig.next_port++;
}

static inline void on_result(void *worker, uint32_t upstream, uint8_t server, bool good)
{
    (void)worker;
    (void)upstream;
    (void)server;
    rig.bad_results += !good;
}

static inline void on_send(void *worker, uint32_t *path, const struct flow_key *key, const uint8_t *payload,
                           size_t n)
{
    (void)worker;
    (void)path;
    CU_ASSERT_TRUE_FATAL(rig.sent_n < SENT_MAX && n <= COAP_MESSAGE_MAX);
    struct sent *sent = &rig.sent[rig.sent_n++];
    sent->key = *key;
    sent->n = n;
    memcpy(sent->bytes, payload, n);
}

static const char *policy_listener; /* which the role asks for; NULL: any */

static inline const struct snapshot *policy(uint32_t number, bool observe)
{
    const struct acl_rule_spec rules[] = {{.id = "own",
                                           .file = "f",
                                           .line = 1,
                                           .allow = true,
                                           .topic = "conf/${id}",
                                           .retain = -1,
                                           .will = -1,
                                           .actions = (uint16_t)(1 << ACL_GET | 1 << ACL_PUT | 1 << ACL_POST |
                                                                 (observe ? 1 << ACL_OBSERVE : 0))}};
    const struct policy_role_spec role = {
        .name = "sensor",
        .file = "f",
        .line = 1,
        .match = {.any = policy_listener == NULL, .listener = policy_listener, .vlan = -1},
        .rules = rules,
        .rules_n = 1,
        .max_qos = 2,
        .limits = {.rates.of[RATE_REQUESTS][0] = {.amount = 100, .period_us = S, .burst = 20}}};
    const struct policy_device_spec devices[] = {
        {.id = "probe-1", .file = "f", .line = 2, .addresses_n = 1, .addresses = {{.bits = 128}}},
        {.id = "probe-2",
         .file = "f",
         .line = 3,
         .has_mac = true,
         .mac = {2, 0, 0, 0, 0, 2},
         .addresses_n = 1,
         .addresses = {{.bits = 128}}}};
    struct policy_device_spec placed[2];
    memcpy(placed, devices, sizeof(placed));
    struct ip_address first = ip_address_v4(DEVICE_IP), second = ip_address_v4(DEVICE_IP + 1);
    memcpy(placed[0].addresses[0].address, first.bytes, 16);
    memcpy(placed[1].addresses[0].address, second.bytes, 16);
    const struct policy_spec spec = {.roles = &role, .roles_n = 1, .devices = placed, .devices_n = 2};
    const struct snapshot *snapshot = snapshot_create(&spec, number, NULL, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
    return snapshot;
}

/* Defined by tests with a broker (coap_broker.h). */
struct stream *broker_dial(void *worker, uint32_t upstream, const char *identity,
                           const struct flow_key *device, const struct stream_handler *handler, void *owner,
                           uint8_t *server, enum outcome *why) __attribute__((weak));

static inline void open_rig(void)
{
    memset(&rig, 0, sizeof(rig));
    rig.now_us = 100 * S;
    rig.next_port = 20000;
    rig.timers = timer_wheel_create(rig.now_us);
    rig.events = event_ring_create(256);
    rig.config.interfaces_n = 2;
    rig.config.interfaces[0].name = "iot";
    rig.config.interfaces[1].name = "wan";
    rig.config.listeners_n = 1;
    rig.config.listeners[0] = (struct config_listener){.name = "coap", .protocol = CONFIG_COAP, .port = 5683};
    rig.config.upstreams_n = 1;
    rig.config.upstreams[0] =
        (struct config_upstream){.name = "cloud", .protocol = CONFIG_COAP, .servers_n = 1};
    struct ip_address server = ip_address_v4(SERVER_IP);
    memcpy(rig.config.upstreams[0].servers[0].address, server.bytes, 16);
    rig.config.upstreams[0].servers[0].port = 5683;
    rig.generation = (struct generation){.number = 1, .config = &rig.config, .policy = policy(1, true)};
    rig.current = &rig.generation;
    struct coap_relays_config config = {.clients = 64,
                                        .buffer_bytes = 1 << 20,
                                        .timers = rig.timers,
                                        .events = rig.events,
                                        .generation = &rig.current,
                                        .now_us = &rig.now_us,
                                        .secret =
                                            "a secret of sixty-four bytes, of which the last may be zeros",
                                        .route = on_route,
                                        .port = on_port,
                                        .datagram_max = coap_worker_datagram_max,
                                        .pick = coap_worker_pick,
                                        .result = on_result,
                                        .send = on_send,
                                        .dial = broker_dial,
                                        .judged = &rig.judged};
    rig.relays = coap_relays_create(&config);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig.relays);
}

static inline void close_rig(void)
{
    coap_relays_destroy(rig.relays);
    timer_wheel_destroy(rig.timers);
    event_ring_destroy(rig.events);
    snapshot_destroy((struct snapshot *)(uintptr_t)rig.generation.policy);
}

static inline void wait_us(uint64_t us)
{
    uint64_t end_us = rig.now_us + us;
    while (rig.now_us < end_us) {
        uint64_t step = end_us - rig.now_us < 5000 ? end_us - rig.now_us : 5000;
        rig.now_us += step;
        timer_wheel_advance(rig.timers, rig.now_us, 1000);
    }
}

/* A device's datagram; `who` is added to the address and is the last byte of the MAC. */
static inline void device_sends(uint32_t who, uint8_t mac, const uint8_t *bytes, size_t n)
{
    struct coap_arrival arrival = {.key = {.local = ip_address_v4(MEANT_IP),
                                           .remote = ip_address_v4(DEVICE_IP + who),
                                           .local_port = 5683,
                                           .remote_port = 40000,
                                           .protocol = 17},
                                   .has_mac = true,
                                   .mac = {2, 0, 0, 0, 0, mac},
                                   .payload = bytes_of(bytes, n)};
    coap_relays_from_device(rig.relays, &arrival);
}

struct request {
    enum coap_type type;
    uint8_t code;
    uint16_t mid;
    const char *id; /* of conf/ID */
    int observe;    /* -1: none */
    struct bytes echo;
};

/* Its bytes. */
static inline size_t request_build(const struct request *q, uint8_t *bytes, size_t room)
{
    struct coap_writer w;
    coap_build_start(&w, bytes, room, q->type, q->code, q->mid, (const uint8_t *)"\x5A", 1);
    if (q->observe >= 0)
        coap_build_uint(&w, COAP_OBSERVE, (uint32_t)q->observe);
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("conf"));
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text(q->id));
    if (q->echo.at != NULL)
        coap_build_option(&w, COAP_ECHO, q->echo);
    return coap_build_end(&w);
}

static inline void device_asks(uint32_t who, const struct request *q)
{
    uint8_t bytes[256];
    size_t n = request_build(q, bytes, sizeof(bytes));
    device_sends(who, (uint8_t)(who + 1), bytes, n);
}

static const struct request get = {
    .type = COAP_CON, .code = COAP_GET, .mid = 1, .id = "probe-1", .observe = -1};

/* What was sent `back` messages ago. */
static inline struct coap_message sent(uint32_t back)
{
    static const struct coap_message nothing;
    struct coap_message message = nothing;
    CU_ASSERT_TRUE_FATAL(rig.sent_n > back);
    const struct sent *s = &rig.sent[rig.sent_n - 1 - back];
    CU_ASSERT_EQUAL(coap_parse(&message, bytes_of(s->bytes, s->n)), COAP_PARSE_OK);
    return message;
}

/* The server answers the request that was sent last on its side. */
static inline void server_answers(const struct coap_message *request, enum coap_type type, uint16_t mid,
                                  uint8_t code, int observe, size_t payload)
{
    uint8_t bytes[COAP_MESSAGE_MAX];
    static const uint8_t filler[1024] = {'x'};
    struct coap_writer w;
    coap_build_start(&w, bytes, sizeof(bytes), type, code, mid, request->token, request->token_len);
    if (observe >= 0)
        coap_build_uint(&w, COAP_OBSERVE, (uint32_t)observe);
    coap_build_payload(&w, bytes_of(filler, payload));
    struct flow_key key = {.local = ip_address_v4(0x0a1e0001),
                           .remote = ip_address_v4(SERVER_IP),
                           .local_port = (uint16_t)(rig.next_port - 1),
                           .remote_port = 5683,
                           .interface = 1,
                           .protocol = 17};
    CU_ASSERT_TRUE(coap_relays_claims(rig.relays, &key));
    coap_relays_from_upstream(rig.relays, &key, bytes_of(bytes, coap_build_end(&w)));
}

static inline uint64_t counted(enum coap_counter counter)
{
    return coap_relays_counters(rig.relays)->count[counter];
}

#endif
