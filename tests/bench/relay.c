/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the law of a session costs: framing, judging, rebuilding and handing over one PUBLISH, through the
 * real relay between two streams that only copy (K1's share of the relay). No TCP, no TLS.
 */
#include "gateway/relay_mqtt.h"
#include "policy/mqtt/build.h"
#include "tests/unit/relay_roles.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Medians over batches, which leaves out what the scheduler takes. */
#define BATCHES 1001u
#define BATCH 1000u

struct sink {
    struct stream base;
    uint64_t bytes;
    uint8_t memory[1 << 16];
};

static size_t sink_room(const struct stream *s)
{
    (void)s;
    return SIZE_MAX;
}

static size_t sink_write(struct stream *base, const uint8_t *p, size_t n)
{
    struct sink *s = (struct sink *)(void *)base;
    size_t at = s->bytes & 0x7FFF;
    if (n > sizeof(s->memory) - at)
        return 0;
    memcpy(s->memory + at, p, n);
    s->bytes += n;
    return n;
}

static void sink_nothing(struct stream *s)
{
    (void)s;
}

static const struct stream_ops sink_ops = {.room = sink_room,
                                           .write = sink_write,
                                           .flush = sink_nothing,
                                           .resume = sink_nothing,
                                           .finish = sink_nothing,
                                           .abort = sink_nothing};

static struct sink device = {.base.ops = &sink_ops}, upstream = {.base.ops = &sink_ops};
static uint64_t now_us = 10000000;
static struct mqtt_relays *relays;

static struct stream *on_dial(void *worker, uint32_t index, const char *identity, const struct flow_key *key,
                              const struct stream_handler *handler, void *owner, uint8_t *server,
                              enum outcome *why)
{
    (void)worker, (void)index, (void)identity, (void)key, (void)why;
    *server = 0;
    upstream.base.handler = handler;
    upstream.base.owner = owner;
    return &upstream.base;
}

static void on_dialled(void *worker, uint32_t index, uint8_t server, bool good)
{
    (void)worker, (void)index, (void)server, (void)good;
}

static void on_problem(void *owner, const struct policy_problem *problem)
{
    (void)owner;
    fprintf(stderr, "%s\n", problem->text);
}

static void feed(struct sink *s, const uint8_t *p, size_t n)
{
    if (s->base.handler->data(s->base.owner, p, n) != n) {
        fprintf(stderr, "not all was taken\n");
        exit(EXIT_FAILURE);
    }
}

static size_t build_publish(uint8_t *to, enum mqtt_version version, uint8_t qos)
{
    struct mqtt_packet p;
    memset(&p, 0, sizeof(p));
    p.type = MQTT_PUBLISH;
    p.version = version;
    p.packet_id = qos != 0 ? 1 : 0;
    p.publish.qos = qos;
    p.publish.topic = bytes_of_text("trucks/017/location");
    p.publish.payload_bytes = 64u - 23 - (qos != 0 ? 2 : 0) - (version == MQTT_5 ? 1 : 0); /* 64 with all */
    size_t n = mqtt_build(to, 64, &p, version);
    memset(to + n, 'x', p.publish.payload_bytes);
    return n + p.publish.payload_bytes;
}

static void connect_both(enum mqtt_version version)
{
    static const struct relay_origin origin = {.key.remote_port = 1};
    uint8_t bytes[128];
    struct mqtt_packet p;
    memset(&p, 0, sizeof(p));
    p.type = MQTT_CONNECT;
    p.connect.version = version;
    p.connect.clean_start = true;
    p.connect.client_id = bytes_of_text("truck-017");
    mqtt_relays_accept(relays, &device.base, &origin);
    feed(&device, bytes, mqtt_build(bytes, sizeof(bytes), &p, version));
    upstream.base.handler->opened(upstream.base.owner);
    memset(&p, 0, sizeof(p));
    p.type = MQTT_CONNACK;
    feed(&upstream, bytes, mqtt_build(bytes, sizeof(bytes), &p, version));
    mqtt_relays_flush(relays);
}

static double elapsed_ns(const struct timespec *from)
{
    struct timespec to;
    clock_gettime(CLOCK_MONOTONIC, &to);
    return (double)(to.tv_sec - from->tv_sec) * 1e9 + (double)(to.tv_nsec - from->tv_nsec);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *ns)
{
    qsort(ns, BATCHES, sizeof(*ns), by_value);
    return ns[BATCHES / 2] / BATCH;
}

static double publishes(enum mqtt_version version, unsigned int per_slice)
{
    static double ns[BATCHES];
    uint8_t slice[64 * 20];
    size_t n = 0;
    struct timespec from;
    for (unsigned int i = 0; i < per_slice; i++)
        n += build_publish(slice + n, version, 0);
    for (unsigned int batch = 0; batch < BATCHES; batch++) {
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (unsigned int i = 0; i < BATCH; i += per_slice) {
            feed(&device, slice, n);
            mqtt_relays_flush(relays);
        }
        ns[batch] = elapsed_ns(&from);
    }
    return median(ns);
}

static double round_trips(enum mqtt_version version)
{
    static const uint8_t puback[] = {0x40, 2, 0, 1};
    static double ns[BATCHES];
    uint8_t slice[64];
    size_t n = build_publish(slice, version, 1);
    struct timespec from;
    for (unsigned int batch = 0; batch < BATCHES; batch++) {
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (unsigned int i = 0; i < BATCH; i++) {
            feed(&device, slice, n);
            mqtt_relays_flush(relays);
            feed(&upstream, puback, sizeof(puback));
            mqtt_relays_flush(relays);
        }
        ns[batch] = elapsed_ns(&from);
    }
    return median(ns);
}

int main(int argc, char **argv)
{
    struct policy_role_spec role = truck_role();
    struct gateway_config *config = calloc(1, sizeof(*config));
    if (argc > 1 && strcmp(argv[1], "rate") == 0)
        role.limits.publishes =
            (struct rate){.amount = 1000000000, .period_us = 1000000, .burst = 1000000000};
    struct policy_spec spec = {.roles = &role, .roles_n = 1};
    struct generation generation = {.number = 1, .config = config};
    const struct generation *current = &generation;
    generation.policy = snapshot_create(&spec, 1, on_problem, NULL);
    if (config == NULL || generation.policy == NULL)
        return EXIT_FAILURE;
    config->interfaces_n = config->listeners_n = config->upstreams_n = 1;
    config->interfaces[0].name = config->listeners[0].name = config->upstreams[0].name = "x";
    struct mqtt_relays_config settings = {.sessions = 64,
                                          .buffer_bytes = 1 << 20,
                                          .timers = timer_wheel_create(now_us),
                                          .events = event_ring_create(64),
                                          .generation = &current,
                                          .now_us = &now_us,
                                          .dial = on_dial,
                                          .dialled = on_dialled};
    relays = mqtt_relays_create(&settings);
    if (relays == NULL || settings.timers == NULL || settings.events == NULL)
        return EXIT_FAILURE;
    printf("one session: %zu bytes\n", mqtt_relays_session_bytes());
    printf("%-8s %28s %28s %22s\n", "", "QoS 0, 1 per slice, ns", "QoS 0, 20 per slice, ns",
           "QoS 1 round trip, ns");
    for (int version = MQTT_3_1_1; version <= MQTT_5; version++) {
        connect_both((enum mqtt_version)version);
        printf("%-8s", version == MQTT_5 ? "5.0" : "3.1.1");
        printf(" %28.1f", publishes((enum mqtt_version)version, 1));
        printf(" %28.1f", publishes((enum mqtt_version)version, 20));
        printf(" %22.1f\n", round_trips((enum mqtt_version)version));
    }
    return EXIT_SUCCESS;
}
