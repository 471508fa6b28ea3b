/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a CoAP request and its answer cost the relay itself, in one process, for all four combinations of
 * plain and DTLS; and what a client takes in memory.
 *
 * Devices and the server are played here, outside of the time that is measured: records are made before and
 * read after. Each client has an identity and a leg of its own.
 *
 * Usage: bench_coap [CLIENTS [ROUNDS]]
 */
#include "gateway/relay_coap.h"

#include "policy/coap/build.h"
#include "policy/coap/message.h"
#include "tests/unit/coap_worker.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH 256
#define DATAGRAM 1500
#define QUEUE (BATCH * 16)
#define SECOND_US UINT64_C(1000000)

struct datagram {
    struct flow_key key;
    size_t n;
    uint8_t at[DATAGRAM];
};

struct queue {
    uint32_t n;
    struct datagram all[QUEUE];
};

/* One device, and the server's side of its leg. */
struct peer {
    uint32_t number;
    struct dtls_session *session; /* NULL: plain */
};

static struct bench {
    uint64_t now_us;
    struct timer_wheel *timers;
    struct event_ring *events;
    struct gateway_config config;
    struct generation generation;
    const struct generation *current;
    struct coap_relays *relays;
    uint32_t legs;
    bool secure_down, secure_up;
    struct dtls_context *device_context, *leg_context, *server_context;
    struct dtls_worker *worker; /* of the devices and of the server */
    struct dtls_server *server;
    struct peer *devices;
    uint32_t clients;
    struct queue to_server, to_devices, answers, requests, made;
    uint16_t mid;
    uint32_t answered;
    bool ending; /* goodbyes go nowhere */
    char keys[64];
} b;

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "bench_coap: %s\n", what);
    exit(1);
}

static void push(struct queue *q, const struct flow_key *key, const uint8_t *at, size_t n)
{
    if (b.ending)
        return;
    if (q->n == QUEUE || n > DATAGRAM)
        die("a queue is full");
    struct datagram *d = &q->all[q->n++];
    d->key = *key;
    d->n = n;
    memcpy(d->at, at, n);
}

/* ---- the gateway's surroundings --------------------------------------------------------------------------
 */

static bool on_route(void *worker, struct flow_key *key, uint32_t *path)
{
    (void)worker;
    /* Every leg gets an address and port of its own. */
    key->local = ip_address_v4(0x0a400000 + b.legs / 40000);
    key->interface = 1;
    *path = 1;
    return true;
}

static uint16_t on_port(void *worker)
{
    (void)worker;
    return (uint16_t)(10000 + b.legs++ % 40000);
}

static void on_send(void *worker, uint32_t *path, const struct flow_key *key, const uint8_t *at, size_t n)
{
    (void)worker;
    (void)path;
    push(key->interface == 1 ? &b.to_server : &b.to_devices, key, at, n);
}

static struct flow_key device_key(uint32_t number)
{
    struct flow_key key = {.local_port = b.secure_down ? 5684 : 5683, .remote_port = 40000, .protocol = 17};
    key.local = ip_address_v4(0xcb007107);
    key.remote = ip_address_v4(0x0a140000 + number);
    return key;
}

static uint32_t device_of(const struct flow_key *key)
{
    const uint8_t *a = key->remote.bytes + 12;
    uint32_t address = (uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 | (uint32_t)a[2] << 8 | a[3];
    return address - 0x0a140000;
}

static void arrive(const struct datagram *d)
{
    struct coap_arrival arrival = {
        .key = d->key, .path = 1, .payload = bytes_of(d->at, d->n), .has_mac = true};
    uint32_t number = device_of(&d->key);
    memcpy(arrival.mac, &number, sizeof(number));
    coap_relays_from_device(b.relays, &arrival);
}

/* ---- devices ---------------------------------------------------------------------------------------------
 */

static void device_sends(void *owner, const uint8_t *at, size_t n)
{
    const struct peer *device = owner;
    struct flow_key key = device_key(device->number);
    push(&b.made, &key, at, n);
}

static void nothing(void *owner)
{
    (void)owner;
}

static void device_received(void *owner, const uint8_t *message, size_t n)
{
    (void)owner;
    (void)message;
    (void)n;
    b.answered++;
}

static void ended(void *owner, enum dtls_end why, const char *reason)
{
    (void)owner;
    (void)why;
    die(reason);
}

static const struct dtls_handler device_handler = {
    .send = device_sends, .opened = nothing, .received = device_received, .closed = ended};

static size_t request(uint8_t out[64], uint16_t mid)
{
    struct coap_writer w;
    uint8_t token[2] = {(uint8_t)(mid >> 8), (uint8_t)mid};
    coap_build_start(&w, out, 64, COAP_CON, COAP_GET, mid, token, sizeof(token));
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("sensors"));
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("pressure"));
    return coap_build_end(&w);
}

static void ask(uint32_t number)
{
    uint8_t message[64];
    struct peer *device = &b.devices[number];
    size_t n = request(message, ++b.mid);
    if (device->session != NULL && !dtls_session_write(device->session, message, n))
        die("a device cannot write");
    if (device->session == NULL)
        device_sends(device, message, n);
}

/* ---- the server ------------------------------------------------------------------------------------------
 */

static size_t answer(const uint8_t *at, size_t n, uint8_t out[128])
{
    struct coap_message message;
    struct coap_writer w;
    static const uint8_t payload[48] = "{\"pressure\": 41.7, \"unit\": \"bar\", \"state\": \"ok\"}";
    if (coap_parse(&message, bytes_of(at, n)) != COAP_PARSE_OK)
        die("the server cannot read the request");
    coap_build_start(&w, out, 128, COAP_ACK, COAP_CONTENT, message.mid, message.token, message.token_len);
    coap_build_payload(&w, bytes_of(payload, sizeof(payload)));
    return coap_build_end(&w);
}

/* A flow as the other side sees it. */
static struct flow_key turned(const struct flow_key *key)
{
    return (struct flow_key){.local = key->remote,
                             .remote = key->local,
                             .local_port = key->remote_port,
                             .remote_port = key->local_port,
                             .interface = key->interface,
                             .protocol = 17};
}

static void server_sends(void *owner, uint32_t *path, const struct flow_key *key, const uint8_t *at, size_t n)
{
    struct flow_key back = turned(key);
    (void)owner;
    (void)path;
    push(&b.answers, &back, at, n);
}

static bool admit(void *owner, const struct flow_key *key, uint32_t listener)
{
    (void)owner;
    (void)key;
    (void)listener;
    return true;
}

static void quiet(void *owner, struct dtls_endpoint *endpoint)
{
    (void)owner;
    (void)endpoint;
}

static void server_received(void *owner, struct dtls_endpoint *endpoint, const uint8_t *message, size_t n)
{
    uint8_t out[128];
    (void)owner;
    dtls_endpoint_write(endpoint, out, answer(message, n, out));
}

static void server_failed(void *owner, const struct dtls_endpoint *endpoint, enum dtls_end why,
                          const char *reason)
{
    (void)owner;
    (void)endpoint;
    (void)why;
    die(reason);
}

static void server_capped(void *owner, const struct flow_key *key, uint32_t listener,
                          enum dtls_server_limit limit)
{
    (void)owner;
    (void)key;
    (void)listener;
    (void)limit;
    die("the server's cap was met");
}

static const struct dtls_server_handler server_handler = {.send = server_sends,
                                                          .admit = admit,
                                                          .opened = quiet,
                                                          .received = server_received,
                                                          .closed = quiet,
                                                          .failed = server_failed,
                                                          .capped = server_capped};

static void serve(const struct datagram *d)
{
    uint8_t out[128];
    if (!b.secure_up) {
        push(&b.answers, &d->key, out, answer(d->at, d->n, out));
        return;
    }
    struct dtls_arrival arrival = {
        .key = turned(&d->key), .path = 1, .datagram_max = 1400, .datagram = d->at, .n = d->n};
    dtls_server_input(b.server, b.server_context, &arrival);
}

/* ---- one turn of everything ------------------------------------------------------------------------------
 */

/* Nanoseconds that the gateway took to hand on what devices have made, and what the server answered. */
static double turn(void)
{
    double taken = 0, begun = now_ns();
    b.requests = b.made;
    b.made.n = 0;
    begun = now_ns();
    for (uint32_t i = 0; i < b.requests.n; i++)
        arrive(&b.requests.all[i]);
    taken += now_ns() - begun;
    for (uint32_t i = 0; i < b.to_server.n; i++)
        serve(&b.to_server.all[i]);
    b.to_server.n = 0;
    begun = now_ns();
    for (uint32_t i = 0; i < b.answers.n; i++)
        coap_relays_from_upstream(b.relays, &b.answers.all[i].key,
                                  bytes_of(b.answers.all[i].at, b.answers.all[i].n));
    taken += now_ns() - begun;
    b.answers.n = 0;
    for (uint32_t i = 0; i < b.to_devices.n; i++) {
        const struct datagram *d = &b.to_devices.all[i];
        struct peer *device = &b.devices[device_of(&d->key)];
        if (device->session == NULL)
            b.answered++;
        else
            dtls_session_input(device->session, d->at, d->n, b.now_us);
    }
    b.to_devices.n = 0;
    return taken;
}

static bool busy(void)
{
    return b.made.n + b.to_server.n + b.answers.n + b.to_devices.n > 0;
}

static void settle(void)
{
    for (int i = 0; i < 64 && busy(); i++)
        turn();
}

static void pass(uint64_t us)
{
    b.now_us += us;
    timer_wheel_advance(b.timers, b.now_us, 100000);
}

/* ---- the site --------------------------------------------------------------------------------------------
 */

static const struct snapshot *policy(void)
{
    const struct acl_rule_spec rules[] = {{.id = "read",
                                           .file = "f",
                                           .line = 1,
                                           .allow = true,
                                           .topic = "sensors/+",
                                           .retain = -1,
                                           .will = -1,
                                           .actions = 1 << ACL_GET}};
    const struct policy_role_spec role = {.name = "sensor",
                                          .file = "f",
                                          .line = 1,
                                          .match = {.any = true, .vlan = -1},
                                          .rules = rules,
                                          .rules_n = 1,
                                          .max_qos = 2};
    const struct policy_spec spec = {.roles = &role, .roles_n = 1};
    return snapshot_create(&spec, 1, NULL, NULL);
}

static void begin(uint32_t clients, bool secure_down, bool secure_up)
{
    struct tls_error error = {.text = ""};
    b.now_us = 1000 * SECOND_US;
    b.clients = clients;
    b.secure_down = secure_down;
    b.secure_up = secure_up;
    b.legs = 0;
    b.mid = 0;
    b.ending = false;
    b.timers = timer_wheel_create(b.now_us);
    b.events = event_ring_create(4096);
    b.devices = calloc(clients, sizeof(*b.devices));
    memset(&b.config, 0, sizeof(b.config));
    memset(&b.generation, 0, sizeof(b.generation));
    b.config.interfaces_n = 2;
    b.config.interfaces[0].name = "iot";
    b.config.interfaces[1].name = "wan";
    b.config.listeners_n = 1;
    b.config.listeners[0] =
        (struct config_listener){.name = "coap",
                                 .protocol = CONFIG_COAP,
                                 .any = true,
                                 .security = secure_down ? CONFIG_SECURITY_DTLS : CONFIG_SECURITY_NONE,
                                 .port = secure_down ? 5684 : 5683};
    b.config.upstreams_n = 1;
    b.config.upstreams[0] =
        (struct config_upstream){.name = "cloud",
                                 .protocol = CONFIG_COAP,
                                 .security = secure_up ? CONFIG_SECURITY_DTLS : CONFIG_SECURITY_NONE,
                                 .servers_n = 1};
    struct ip_address server = ip_address_v4(0x0a1e0002);
    memcpy(b.config.upstreams[0].servers[0].address, server.bytes, 16);
    b.config.upstreams[0].servers[0].port = secure_up ? 5684 : 5683;
    struct dtls_settings client = {.psk_file = b.keys, .psk_id = "%s"};
    struct dtls_settings leg = {.psk_file = b.keys, .psk_id = "leg"};
    struct dtls_server_settings keyed = {.psk_file = b.keys};
    b.device_context = dtls_context_create(&client, &error);
    b.server_context = dtls_server_context_create(&keyed, &error);
    b.leg_context = dtls_context_create(&leg, &error);
    if (b.device_context == NULL || b.leg_context == NULL || b.server_context == NULL)
        die(error.text);
    b.generation = (struct generation){.number = 1, .config = &b.config, .policy = policy()};
    b.generation.upstream_dtls[0] = secure_up ? b.leg_context : NULL;
    b.generation.listener_dtls[0] = secure_down ? b.server_context : NULL;
    b.current = &b.generation;
    b.worker = dtls_worker_create(4096, NULL);
    struct dtls_server_config far = {.endpoints = clients + 64,
                                     .handshakes_per_source = 60000,
                                     .worker = b.worker,
                                     .timers = b.timers,
                                     .now_us = &b.now_us,
                                     .handler = &server_handler};
    b.server = dtls_server_create(&far);
    struct coap_relays_config config = {.clients = clients + 64,
                                        .buffer_bytes = UINT64_C(64) << 20,
                                        .timers = b.timers,
                                        .events = b.events,
                                        .generation = &b.current,
                                        .now_us = &b.now_us,
                                        .route = on_route,
                                        .port = on_port,
                                        .datagram_max = coap_worker_datagram_max,
                                        .pick = coap_worker_pick,
                                        .result = coap_worker_result,
                                        .send = on_send};
    memset(config.secret, 3, sizeof(config.secret));
    b.relays = coap_relays_create(&config);
    if (b.relays == NULL || b.server == NULL || b.generation.policy == NULL)
        die("no memory");
}

static void end(void)
{
    b.ending = true;
    for (uint32_t i = 0; i < b.clients; i++)
        if (b.devices[i].session != NULL)
            dtls_session_drop(b.devices[i].session);
    coap_relays_destroy(b.relays);
    dtls_server_destroy(b.server);
    b.made.n = b.to_server.n = b.to_devices.n = b.answers.n = 0;
    dtls_worker_destroy(b.worker);
    dtls_context_unref(b.device_context);
    dtls_context_unref(b.leg_context);
    dtls_context_unref(b.server_context);
    snapshot_destroy((struct snapshot *)(uintptr_t)b.generation.policy);
    event_ring_destroy(b.events);
    timer_wheel_destroy(b.timers);
    free(b.devices);
}

static void open_device(uint32_t number)
{
    struct tls_error error;
    char name[32];
    struct peer *device = &b.devices[number];
    device->number = number;
    snprintf(name, sizeof(name), "d%u", number);
    if (!b.secure_down)
        return;
    device->session =
        dtls_connect(b.worker, b.device_context, name, NULL, 1400, &device_handler, device, b.now_us, &error);
    if (device->session == NULL)
        die(error.text);
    settle();
    if (!dtls_session_open(device->session))
        die("a device's handshake did not end");
}

/* ---- what is measured ------------------------------------------------------------------------------------
 */

static double resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1)
        die("no /proc/self/statm");
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static int by_size(const void *a, const void *c)
{
    double x = *(const double *)a, y = *(const double *)c;
    return x < y ? -1 : x > y;
}

static double cost(uint32_t clients, uint32_t rounds)
{
    double *taken = calloc(rounds, sizeof(*taken));
    uint32_t at = 0;
    for (uint32_t r = 0; r < rounds; r++) {
        uint32_t n = clients < BATCH ? clients : BATCH;
        b.answered = 0;
        for (uint32_t i = 0; i < n; i++)
            ask(at++ % clients);
        taken[r] = turn();
        settle();
        if (b.answered != n)
            die("some were not answered");
        taken[r] /= n;
        pass(SECOND_US / 50);
    }
    qsort(taken, rounds, sizeof(*taken), by_size);
    double median = taken[rounds / 2];
    free(taken);
    return median;
}

static void measure(uint32_t clients, uint32_t rounds, bool secure_down, bool secure_up)
{
    begin(clients, secure_down, secure_up);
    for (uint32_t i = 0; i < clients; i++) {
        open_device(i);
        ask(i);
        settle();
        if (i % 64 == 0)
            pass(1000);
    }
    pass(300 * SECOND_US);                   /* what is remembered of these exchanges is forgotten */
    for (uint32_t i = 0; i < clients; i++) { /* and every leg is there again, if it had gone */
        ask(i);
        settle();
    }
    printf("%-6s -> %-6s %8u clients  %6.0f ns per request and answer\n", secure_down ? "DTLS" : "plain",
           secure_up ? "DTLS" : "plain", clients, cost(clients, rounds));
    fflush(stdout);
    end();
}

/* Devices forget their session as soon as it has been used: what stays is the gateway's, and for a secured
 * upstream the server's, which is told apart by being measured alone. */
static double footprint(uint32_t clients, bool secure_down, bool secure_up)
{
    begin(clients, secure_down, secure_up);
    double before = 0;
    const uint32_t warm = clients / 10;
    for (uint32_t i = 0; i < clients; i++) {
        if (i == warm) {
            malloc_trim(0);
            before = resident_bytes();
        }
        open_device(i);
        ask(i);
        settle();
        if (b.devices[i].session != NULL)
            dtls_session_drop(b.devices[i].session);
        b.devices[i].session = NULL;
        if (i % 64 == 0)
            pass(1000);
    }
    malloc_trim(0);
    double bytes = (resident_bytes() - before) / (clients - warm);
    printf("%-6s -> %-6s %8u clients  %6.0f bytes each (%u sessions with clients, %u legs)\n",
           secure_down ? "DTLS" : "plain", secure_up ? "DTLS" : "plain", clients, bytes,
           coap_relays_sessions(b.relays), coap_relays_legs(b.relays));
    fflush(stdout);
    end();
    return bytes;
}

int main(int argc, char **argv)
{
    uint32_t clients = argc > 1 ? (uint32_t)atoi(argv[1]) : 10000;
    uint32_t rounds = argc > 2 ? (uint32_t)atoi(argv[2]) : 200;
    strcpy(b.keys, "/tmp/bench-coap-XXXXXX");
    int fd = mkstemp(b.keys);
    if (clients < 100 || rounds == 0 || tls_library_init() != 0 || fd < 0)
        die("cannot begin");
    FILE *keys = fdopen(fd, "w");
    fprintf(keys, "leg:30313233343536373839616263646566\n");
    for (uint32_t i = 0; i < (clients < 1000 ? 1000 : clients); i++)
        fprintf(keys, "d%u:30313233343536373839616263%06x\n", i, i);
    fclose(keys);
    for (int i = 0; i < 4; i++)
        measure(1000, rounds, (i & 2) != 0, (i & 1) != 0);
    measure(clients, rounds, false, false);
    measure(clients, rounds, false, true);
    footprint(clients, false, false);
    footprint(clients, true, false);
    footprint(clients, false, true);
    size_t client, leg, exchange;
    coap_relays_bytes(&client, &leg, &exchange);
    printf("of these, tables: client %zu, leg %zu, exchange %zu, DTLS endpoint %zu, DTLS session %zu\n",
           client, leg, exchange, dtls_endpoint_bytes(), dtls_session_bytes());
    unlink(b.keys);
    tls_library_fini();
    return 0;
}
