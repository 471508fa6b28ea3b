/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CoAP relays under arbitrary datagrams and requests of devices, arbitrary answers of a server, arbitrary
 * packets of a broker, time that passes and policies that change. Whatever happens: what leaves is
 * well-formed CoAP; a device whose address has proved nothing is never sent more than three times what came
 * from it (E4); nothing but the answer to a good request leaves for what was sent to a group (E6); and time
 * alone brings all exchanges but observations to their end.
 */
#include "gateway/relay_coap.h"

#include "policy/coap/build.h"
#include "policy/mqtt/build.h"
#include "tests/fuzz/tape.h"
#include "tests/unit/coap_worker.h"

#include <stdio.h>
#include <stdlib.h>

#define S UINT64_C(1000000)
#define DEVICES 4
#define PINNED 3 /* of these, which are known by MAC and address */
#define DEVICE_IP 0x0a140010
#define SERVER_IP 0x0a1e0002
#define KEPT 16

struct kept {
    struct flow_key key;
    size_t n;
    uint8_t bytes[COAP_MESSAGE_MAX + 64];
};

struct world {
    uint64_t now_us;
    struct timer_wheel *timers;
    struct event_ring *events;
    struct gateway_config config;
    struct generation generation[2];
    const struct generation *current;
    struct coap_relays *relays;
    uint16_t next_port;
    struct kept up[KEPT]; /* the last datagrams toward the server */
    struct kept down[KEPT];
    uint32_t up_n, down_n;
    uint64_t received[DEVICES], sent[DEVICES];
    struct stream broker;
    uint8_t broker_out[64];
    size_t broker_room;
    bool broker_open;
};

static struct world world;
static struct gateway_config config; /* both generations' */
static const struct snapshot *snapshots[2];

static void fail(const char *what)
{
    fprintf(stderr, "fuzz_relay_coap: %s\n", what);
    abort();
}

/* ---- the worker ------------------------------------------------------------------------------------------
 */

static bool on_route(void *worker, struct flow_key *key, uint32_t *path)
{
    (void)worker;
    key->local = ip_address_v4(0x0a1e0001);
    key->interface = 1;
    *path = 9;
    return true;
}

static uint16_t on_port(void *worker)
{
    (void)worker;
    return (uint16_t)(20000 + world.next_port++ % 40000);
}

static void on_send(void *worker, uint32_t *path, const struct flow_key *key, const uint8_t *payload,
                    size_t n)
{
    (void)worker;
    (void)path;
    struct coap_message message;
    if (n > sizeof(world.up[0].bytes) || coap_parse(&message, bytes_of(payload, n)) != COAP_PARSE_OK)
        fail("what leaves is not CoAP");
    bool up = key->remote_port == 5683;
    struct kept *kept = up ? &world.up[world.up_n++ % KEPT] : &world.down[world.down_n++ % KEPT];
    kept->key = *key;
    kept->n = n;
    memcpy(kept->bytes, payload, n);
    if (up)
        return;
    if (ip_address_to_v4(&key->local) >= 0xE0000000)
        fail("an answer from a group");
    uint32_t who = ip_address_to_v4(&key->remote) - DEVICE_IP;
    if (who >= DEVICES)
        fail("an answer to nobody");
    world.sent[who] += n + 28;
    uint64_t most = world.received[who] * 3 < 136 ? 136 : world.received[who] * 3;
    if (who >= PINNED && world.sent[who] > most)
        fail("an amplified answer");
}

static size_t broker_room(const struct stream *s)
{
    (void)s;
    return world.broker_room;
}

static size_t broker_write(struct stream *s, const uint8_t *p, size_t n)
{
    (void)s;
    (void)p;
    n = n > world.broker_room ? world.broker_room : n;
    world.broker_room -= n;
    return n;
}

static void broker_nothing(struct stream *s)
{
    (void)s;
}

static void broker_abort(struct stream *s)
{
    (void)s;
    world.broker_open = false;
}

/* One session at a time: a second one is refused, which is a failure like any other. */
static struct stream *on_dial(void *worker, uint32_t upstream, const char *identity,
                              const struct flow_key *device, const struct stream_handler *handler,
                              void *owner, uint8_t *server, enum outcome *why)
{
    static const struct stream_ops ops = {
        broker_room, broker_write, broker_nothing, broker_nothing, broker_nothing, broker_abort, NULL};
    (void)worker;
    (void)upstream;
    (void)identity;
    (void)device;
    *server = 0;
    *why = OUTCOME_UPSTREAM_REFUSED;
    if (world.broker_open)
        return NULL;
    world.broker = (struct stream){.ops = &ops, .handler = handler, .owner = owner};
    world.broker_open = true;
    world.broker_room = 4096;
    return &world.broker;
}

static const struct snapshot *policy(uint32_t number, bool shared)
{
    static const struct acl_options few = {.queries_n = 1, .queries = {"a*"}, .block = ACL_BLOCK_NO};
    const uint16_t coap = (uint16_t)(((1 << ACL_ACTIONS) - 1) & ~3);
    const struct acl_rule_spec rules[] = {{.id = "a",
                                           .file = "f",
                                           .line = 1,
                                           .allow = true,
                                           .actions = coap,
                                           .topic = "a",
                                           .retain = -1,
                                           .will = -1,
                                           .shared = shared},
                                          {.id = "b",
                                           .file = "f",
                                           .line = 2,
                                           .allow = true,
                                           .actions = (uint16_t)(shared ? coap : coap & ~(1 << ACL_OBSERVE)),
                                           .topic = "b/+",
                                           .retain = -1,
                                           .will = -1},
                                          {.id = "c",
                                           .file = "f",
                                           .line = 3,
                                           .allow = true,
                                           .actions = 1 << ACL_GET,
                                           .topic = "c",
                                           .retain = -1,
                                           .will = -1,
                                           .options = &few},
                                          {.id = "p",
                                           .file = "f",
                                           .line = 4,
                                           .allow = true,
                                           .actions = 1 << ACL_PUBLISH | 1 << ACL_SUBSCRIBE,
                                           .topic = "t/#",
                                           .retain = -1,
                                           .will = -1}};
    static const struct topic_map maps[] = {{.file = "f", .line = 5, .path = "b/{x}", .topic = "t/${x}"},
                                            {.file = "f", .line = 6, .path = "a", .topic = "t"}};
    const struct policy_role_spec role = {.name = "r",
                                          .file = "f",
                                          .line = 1,
                                          .match = {.any = true, .vlan = -1},
                                          .rules = rules,
                                          .rules_n = 4,
                                          .maps = maps,
                                          .maps_n = 2,
                                          .max_qos = 2,
                                          .limits = {.exchanges = 8, .observations = 3, .transfers = 2}};
    static const char *const ids[PINNED] = {"one", "two", "three"};
    struct policy_device_spec devices[PINNED];
    for (uint32_t i = 0; i < PINNED; i++) {
        struct ip_address address = ip_address_v4(DEVICE_IP + i);
        devices[i] = (struct policy_device_spec){.id = ids[i],
                                                 .file = "f",
                                                 .line = 9 + i,
                                                 .has_mac = true,
                                                 .mac = {2, 0, 0, 0, 0, (uint8_t)i},
                                                 .addresses_n = 1,
                                                 .addresses = {{.bits = 128}}};
        memcpy(devices[i].addresses[0].address, address.bytes, 16);
    }
    const struct policy_spec spec = {.roles = &role, .roles_n = 1, .devices = devices, .devices_n = PINNED};
    const struct snapshot *snapshot = snapshot_create(&spec, number, NULL, NULL);
    if (snapshot == NULL)
        fail("the policy");
    return snapshot;
}

static void make_config(void)
{
    static const char *const names[] = {"plain", "broker"};
    struct ip_address server = ip_address_v4(SERVER_IP);
    config.interfaces_n = 2;
    config.interfaces[0].name = "iot";
    config.interfaces[1].name = "wan";
    config.listeners_n = config.upstreams_n = 2;
    for (uint32_t i = 0; i < 2; i++) {
        config.listeners[i] = (struct config_listener){
            .name = names[i],
            .protocol = CONFIG_COAP,
            .port = 5683,
            .upstream = i,
            .multicast = true,
            .proxy_n = 1,
            .proxy = {"h"},
            .prefix = {.exchanges = 12, .observations = 5, .v4_bits = 24, .v6_bits = 64}};
        config.upstreams[i] = (struct config_upstream){.name = names[i],
                                                       .protocol = i == 0 ? CONFIG_COAP : CONFIG_MQTT,
                                                       .servers_n = 1,
                                                       .connect_timeout_us = 5 * S,
                                                       .cache_bytes = i == 0 ? 8192 : 0,
                                                       .nstart = 2};
        memcpy(config.upstreams[i].servers[0].address, server.bytes, 16);
        config.upstreams[i].servers[0].port = 5683;
        snapshots[i] = policy(i + 1, i == 0);
    }
}

static void open_world(void)
{
    memset(&world, 0, sizeof(world));
    world.now_us = 1000 * S;
    world.timers = timer_wheel_create(world.now_us);
    world.events = event_ring_create(64);
    for (uint32_t i = 0; i < 2; i++)
        world.generation[i] = (struct generation){.number = i + 1, .config = &config, .policy = snapshots[i]};
    world.current = &world.generation[0];
    struct coap_relays_config relays = {.clients = 8,
                                        .buffer_bytes = 1 << 20,
                                        .timers = world.timers,
                                        .events = world.events,
                                        .generation = &world.current,
                                        .now_us = &world.now_us,
                                        .secret =
                                            "a secret of sixty-four bytes, of which the last may be zeros",
                                        .route = on_route,
                                        .port = on_port,
                                        .datagram_max = coap_worker_datagram_max,
                                        .pick = coap_worker_pick,
                                        .result = coap_worker_result,
                                        .send = on_send,
                                        .dial = on_dial};
    world.relays = coap_relays_create(&relays);
    if (world.relays == NULL)
        fail("no memory");
}

static void wait_us(uint64_t us)
{
    uint64_t end_us = world.now_us + us;
    while (world.now_us < end_us) {
        uint64_t next_us = timer_wheel_next_us(world.timers);
        world.now_us = next_us > world.now_us && next_us < end_us ? next_us
                       : next_us <= world.now_us                  ? world.now_us + 1000
                                                                  : end_us;
        timer_wheel_advance(world.timers, world.now_us, 1000);
        coap_relays_flush(world.relays);
    }
}

/* ---- what devices do -------------------------------------------------------------------------------------
 */

static void device_sends(uint32_t who, uint16_t listener, bool group, struct bytes payload)
{
    struct coap_arrival arrival = {.key = {.local = ip_address_v4(group ? 0xE00001BB : 0xcb007107),
                                           .remote = ip_address_v4(DEVICE_IP + who),
                                           .local_port = 5683,
                                           .remote_port = 40000,
                                           .interface = 1,
                                           .protocol = 17},
                                   .listener = listener,
                                   .has_mac = true,
                                   .group = group,
                                   .mac = {2, 0, 0, 0, 0, (uint8_t)who},
                                   .payload = payload};
    world.received[who] += payload.len + 28;
    coap_relays_from_device(world.relays, &arrival);
}

static void put_path(struct coap_writer *w, uint8_t choice)
{
    static const char *const last[] = {"x", "y", "+", "#"};
    if (choice % 4 == 0)
        coap_build_option(w, COAP_URI_PATH, bytes_of_text("a"));
    else if (choice % 4 == 1)
        coap_build_option(w, COAP_URI_PATH, bytes_of_text("c"));
    else
        coap_build_option(w, COAP_URI_PATH, bytes_of_text("b"));
    if (choice % 4 > 1)
        coap_build_option(w, COAP_URI_PATH, bytes_of_text(last[choice / 4 % 4]));
}

static void device_asks(void)
{
    static const uint8_t token[300] = {1};
    uint8_t bytes[COAP_MESSAGE_MAX], who = draw() % DEVICES, how = draw(), options = draw(), path = draw();
    static const uint16_t token_lens[] = {0, 1, 8, 13, 256, 257, 4, 2};
    struct coap_writer w;
    coap_build_start(&w, bytes, sizeof(bytes), (how & 1) != 0 ? COAP_CON : COAP_NON,
                     (uint8_t)(1 + (how >> 1) % 8), (uint16_t)(draw() % 16), token, token_lens[how >> 5]);
    if ((options & 1) != 0)
        coap_build_option(&w, COAP_ETAG, bytes_of("e", 1));
    if ((options & 2) != 0)
        coap_build_uint(&w, COAP_OBSERVE, draw() % 3);
    put_path(&w, path);
    if ((options & 4) != 0)
        coap_build_option(&w, COAP_URI_QUERY, draw_bytes(draw() % 4));
    if ((options & 8) != 0)
        coap_build_uint(&w, COAP_HOP_LIMIT, draw());
    if ((options & 16) != 0)
        coap_build_uint(&w, COAP_BLOCK2, draw());
    if ((options & 32) != 0)
        coap_build_uint(&w, COAP_BLOCK1, draw());
    if ((options & 64) != 0)
        coap_build_option(&w, COAP_PROXY_URI, bytes_of_text((how & 2) != 0 ? "coap://h/a" : "coap://i/%61"));
    if ((options & 128) != 0)
        coap_build_uint(&w, COAP_NO_RESPONSE, draw() % 32);
    coap_build_payload(&w, draw_bytes(draw() % 32));
    device_sends(who, path >> 7, (path & 64) != 0 && (path & 32) != 0, bytes_of(bytes, coap_build_end(&w)));
}

/* An ACK or RST for what was sent down lately. */
static void device_answers(void)
{
    uint8_t choice = draw(), empty[COAP_HEADER_BYTES];
    const struct kept *kept = &world.down[choice % KEPT];
    if (kept->n == 0)
        return;
    coap_build_empty(empty, (choice & 16) != 0 ? COAP_RST : COAP_ACK,
                     (uint16_t)(kept->bytes[2] << 8 | kept->bytes[3]));
    device_sends(ip_address_to_v4(&kept->key.remote) - DEVICE_IP, 0, false, bytes_of(empty, sizeof(empty)));
}

/* ---- what the server does --------------------------------------------------------------------------------
 */

static void server_answers(void)
{
    static const uint8_t codes[] = {
        COAP_CONTENT, COAP_VALID, COAP_CHANGED, COAP_NOT_FOUND, COAP_CONTINUE, COAP_INTERNAL_ERROR, 0, 0xE0};
    uint8_t choice = draw(), what = draw(), bytes[COAP_MESSAGE_MAX];
    const struct kept *kept = &world.up[choice % KEPT];
    struct coap_message request;
    struct coap_writer w;
    if (kept->n == 0 || coap_parse(&request, bytes_of(kept->bytes, kept->n)) != COAP_PARSE_OK)
        return;
    enum coap_type type = (enum coap_type)(choice >> 4 & 3);
    uint16_t mid = type == COAP_ACK || type == COAP_RST ? request.mid : draw();
    uint8_t code = codes[what % 8];
    coap_build_start(&w, bytes, sizeof(bytes), type, code, mid, request.token,
                     code == 0 ? 0 : request.token_len);
    if (code != 0 && (what & 8) != 0)
        coap_build_option(&w, COAP_ETAG, bytes_of((what & 128) != 0 ? "e" : "f", 1));
    if (code != 0 && (what & 16) != 0)
        coap_build_uint(&w, COAP_OBSERVE, draw());
    if (code != 0 && (what & 32) != 0)
        coap_build_uint(&w, COAP_MAX_AGE, draw());
    if (code != 0 && (what & 64) != 0)
        coap_build_uint(&w, COAP_BLOCK2, draw());
    if (code != 0)
        coap_build_payload(&w, draw_bytes(draw()));
    if (coap_relays_claims(world.relays, &kept->key))
        coap_relays_from_upstream(world.relays, &kept->key, bytes_of(bytes, coap_build_end(&w)));
}

static void server_raves(void)
{
    const struct kept *kept = &world.up[draw() % KEPT];
    if (kept->n != 0 && coap_relays_claims(world.relays, &kept->key))
        coap_relays_from_upstream(world.relays, &kept->key, draw_bytes(draw() % 64));
}

/* ---- what the broker does --------------------------------------------------------------------------------
 */

static void broker_acts(void)
{
    uint8_t what = draw(), bytes[512];
    size_t n = 0;
    if (!world.broker_open)
        return;
    switch (what % 8) {
    case 0:
        world.broker.handler->opened(world.broker.owner);
        return;
    case 1:
        n = mqtt_build_connack(bytes, sizeof(bytes), MQTT_5, what > 240 ? 0x84 : 0);
        break;
    case 2:
        n = mqtt_build_ack(bytes, sizeof(bytes), MQTT_5, MQTT_PUBACK, draw() % 8 + 1, what > 200 ? 0x87 : 0);
        break;
    case 3: {
        uint8_t code = what > 200 ? 0x87 : 1;
        n = mqtt_build_suback(bytes, sizeof(bytes), MQTT_5, MQTT_SUBACK, draw() % 8 + 1, &code, 1);
        break;
    }
    case 4:
        n = mqtt_build_ping(bytes, sizeof(bytes), MQTT_PINGRESP);
        break;
    case 5: {
        struct bytes payload = draw_bytes(draw());
        struct mqtt_packet packet = {.type = MQTT_PUBLISH,
                                     .version = MQTT_5,
                                     .packet_id = (what & 8) != 0 ? 9 : 0,
                                     .publish = {.qos = (what & 8) != 0,
                                                 .topic = bytes_of_text((what & 16) != 0 ? "t/x" : "t"),
                                                 .payload_bytes = (uint32_t)payload.len}};
        n = mqtt_build(bytes, sizeof(bytes), &packet, MQTT_5);
        memcpy(bytes + n, payload.at, payload.len);
        n += payload.len;
        break;
    }
    case 6: {
        struct bytes raw = draw_bytes(draw() % 32);
        memcpy(bytes, raw.at, raw.len);
        n = raw.len;
        break;
    }
    case 7:
        if (what > 128) {
            world.broker_open = false;
            world.broker.handler->closed(world.broker.owner, STREAM_END_RESET);
        } else {
            world.broker_room = 64 + 8U * what;
            world.broker.handler->writable(world.broker.owner);
        }
        return;
    }
    size_t cut = what > 128 ? n / 2 : 0;
    if (cut != 0)
        world.broker.handler->data(world.broker.owner, bytes, cut);
    if (world.broker_open && n > cut)
        world.broker.handler->data(world.broker.owner, bytes + cut, n - cut);
}

static void move(void)
{
    struct event_ring *ring = world.events;
    switch (draw() % 8) {
    case 0:
    case 1:
        device_asks();
        break;
    case 2:
        device_answers();
        break;
    case 3:
        server_answers();
        break;
    case 4:
        broker_acts();
        break;
    case 5: {
        uint8_t who = draw();
        struct bytes raw = draw_bytes(draw() % 64);
        device_sends(who % DEVICES, who >> 7, (who & 64) != 0, raw);
        break;
    }
    case 6:
        wait_us((uint64_t)draw() * draw() * 10000);
        break;
    default:
        if (draw() % 2 == 0) {
            server_raves();
        } else {
            world.current = &world.generation[draw() % 2];
            coap_relays_sweep(world.relays, 100);
        }
        break;
    }
    coap_relays_flush(world.relays);
    while (event_ring_peek(ring) != NULL)
        event_ring_pop(ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (snapshots[0] == NULL)
        make_config();
    tape = data;
    tape_left = size;
    open_world();
    while (tape_left != 0)
        move();
    wait_us(700 * S);
    const struct coap_relays_counters *counters = coap_relays_counters(world.relays);
    uint64_t observing =
        counters->count[COAP_COUNT_OBSERVATIONS] - counters->count[COAP_COUNT_OBSERVATIONS_ENDED];
    if (coap_relays_exchanges(world.relays) > observing)
        fail("an exchange that does not end");
    coap_relays_destroy(world.relays);
    timer_wheel_destroy(world.timers);
    event_ring_destroy(world.events);
    return 0;
}
