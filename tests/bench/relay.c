/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the law of a session costs: framing, judging, rebuilding and handing over one PUBLISH, through the
 * real relay between two streams that only copy (K1's share of the relay). No TCP, no TLS.
 */
#include "gateway/candidate.h"
#include "gateway/relay_mqtt.h"
#include "policy/mqtt/build.h"
#include "tests/unit/relay_roles.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Medians over batches, which leaves out what the scheduler takes. */
#define BATCHES 501u
#define BATCH 2000u
#define SESSIONS_MAX 100000u

/* A stream whose other end keeps nothing. */
struct sink {
    struct stream base;
    uint64_t bytes;
};

static uint8_t kept[1 << 17];

static size_t sink_room(const struct stream *s)
{
    (void)s;
    return SIZE_MAX;
}

static size_t sink_write(struct stream *base, const uint8_t *p, size_t n)
{
    struct sink *s = (struct sink *)(void *)base;
    if (n > sizeof(kept))
        return 0;
    memcpy(kept, p, n);
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

static struct sink *devices, *upstreams;
static uint32_t connected;
static uint64_t now_us = 10000000;
static struct mqtt_relays *relays;

static struct stream *on_dial(void *worker, uint32_t index, const char *identity, const struct flow_key *key,
                              const struct stream_handler *handler, void *owner, uint8_t *tried,
                              uint8_t *server, enum outcome *why)
{
    (void)worker, (void)index, (void)identity, (void)key, (void)tried, (void)why;
    *server = 0;
    upstreams[connected].base = (struct stream){.ops = &sink_ops, .handler = handler, .owner = owner};
    return &upstreams[connected].base;
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

static size_t build_publish(uint8_t *to, enum mqtt_version version, uint32_t session, uint8_t qos)
{
    char topic[32];
    snprintf(topic, sizeof(topic), "trucks/%06u/where", session);
    struct mqtt_packet p;
    memset(&p, 0, sizeof(p));
    p.type = MQTT_PUBLISH;
    p.version = version;
    p.packet_id = qos != 0 ? 1 : 0;
    p.publish.qos = qos;
    p.publish.topic = bytes_of_text(topic);
    p.publish.payload_bytes = 64u - 23 - (qos != 0 ? 2 : 0) - (version == MQTT_5 ? 1 : 0); /* 64 with all */
    size_t n = mqtt_build(to, 64, &p, version);
    memset(to + n, 'x', p.publish.payload_bytes);
    return n + p.publish.payload_bytes;
}

static void connect_next(enum mqtt_version version)
{
    static const struct relay_origin origin = {.key.remote_port = 1};
    struct sink *device = &devices[connected], *upstream = &upstreams[connected];
    uint8_t bytes[128];
    char client_id[32];
    struct mqtt_packet p;
    snprintf(client_id, sizeof(client_id), "truck-%06u", connected);
    memset(&p, 0, sizeof(p));
    p.type = MQTT_CONNECT;
    p.connect.version = version;
    p.connect.clean_start = true;
    p.connect.client_id = bytes_of_text(client_id);
    device->base.ops = &sink_ops;
    mqtt_relays_accept(relays, &device->base, &origin);
    feed(device, bytes, mqtt_build(bytes, sizeof(bytes), &p, version));
    upstream->base.handler->opened(upstream->base.owner);
    memset(&p, 0, sizeof(p));
    p.type = MQTT_CONNACK;
    feed(upstream, bytes, mqtt_build(bytes, sizeof(bytes), &p, version));
    mqtt_relays_flush(relays);
    connected++;
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

/* Each slice comes from the next session: one burst in the worker's sense ends after 32. */
static double publishes(enum mqtt_version version, unsigned int per_slice, uint32_t sessions)
{
    static double ns[BATCHES];
    uint8_t(*slices)[64 * 20] = calloc(sessions, sizeof(*slices));
    struct timespec from;
    uint32_t next = 0;
    if (slices == NULL)
        exit(EXIT_FAILURE);
    for (uint32_t session = 0; session < sessions; session++)
        for (unsigned int i = 0; i < per_slice; i++)
            (void)build_publish(slices[session] + 64 * i, version, session, 0);
    for (unsigned int batch = 0; batch < BATCHES; batch++) {
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (unsigned int i = 0; i < BATCH; i += per_slice) {
            feed(&devices[next], slices[next], 64 * per_slice);
            next = next + 1 == sessions ? 0 : next + 1;
            if (i % (32 * per_slice) == 0)
                mqtt_relays_flush(relays);
        }
        mqtt_relays_flush(relays);
        ns[batch] = elapsed_ns(&from);
    }
    free(slices);
    return median(ns);
}

static double round_trips(enum mqtt_version version)
{
    static const uint8_t puback[] = {0x40, 2, 0, 1};
    static double ns[BATCHES];
    uint8_t slice[64];
    size_t n = build_publish(slice, version, 0, 1);
    struct timespec from;
    for (unsigned int batch = 0; batch < BATCHES; batch++) {
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (unsigned int i = 0; i < BATCH; i++) {
            feed(&devices[0], slice, n);
            mqtt_relays_flush(relays);
            feed(&upstreams[0], puback, sizeof(puback));
            mqtt_relays_flush(relays);
        }
        ns[batch] = elapsed_ns(&from);
    }
    return median(ns);
}

static void measure(enum mqtt_version version, const struct mqtt_relays_config *settings)
{
    static const uint32_t sessions[] = {1, 1000, SESSIONS_MAX};
    relays = mqtt_relays_create(settings);
    if (relays == NULL)
        exit(EXIT_FAILURE);
    connected = 0;
    for (int i = 0; i < 3; i++) {
        while (connected < sessions[i])
            connect_next(version);
        printf("%-8s %10u %24.1f %26.1f", version == MQTT_5 ? "5.0" : "3.1.1", sessions[i],
               publishes(version, 1, sessions[i]), publishes(version, 20, sessions[i]));
        if (i == 0)
            printf(" %22.1f", round_trips(version));
        printf("\n");
    }
    mqtt_relays_destroy(relays);
}

/* Time goes on, so that all is judged: 5,000 actions in a window. */
static uint64_t judged_us = 1;

static void see(void *owner, const struct judged_action *action)
{
    judged_us += 20;
    candidate_see(owner, action);
}

static struct candidate *make_candidate(const struct policy_spec *spec, struct gateway_config *config,
                                        const struct generation *const *current, struct event_ring *events)
{
    struct generation *next = calloc(1, sizeof(*next));
    if (next == NULL)
        return NULL;
    next->config = config;
    next->policy = snapshot_create(spec, 2, on_problem, NULL);
    struct candidate *candidate = candidate_create(next, 1, SESSIONS_MAX, CANDIDATE_SAMPLE_ALL);
    const struct candidate_place place = {.generation = current, .now_us = &judged_us, .events = events};
    if (candidate != NULL)
        candidate_take(candidate->worker[0], &place);
    return candidate;
}

int main(int argc, char **argv)
{
    static const struct acl_rule_spec rules[] = {RULE("r", PUBLISH_BIT, "trucks/${serial}/where")};
    struct policy_role_spec role = truck_role();
    struct gateway_config *config = calloc(1, sizeof(*config));
    role.match.client_id = "truck-{serial}";
    role.rules = rules;
    role.rules_n = 1;
    if (argc > 1 && strcmp(argv[1], "rate") == 0)
        role.limits.rates.of[RATE_PUBLISHES][0] =
            (struct rate){.amount = 1000000000, .period_us = 1000000, .burst = 1000000000};
    struct policy_spec spec = {.roles = &role, .roles_n = 1};
    struct generation generation = {.number = 1, .config = config};
    const struct generation *current = &generation;
    struct judged_observers observers = {.n = 0};
    generation.policy = snapshot_create(&spec, 1, on_problem, NULL);
    devices = calloc(SESSIONS_MAX, sizeof(*devices));
    upstreams = calloc(SESSIONS_MAX, sizeof(*upstreams));
    if (config == NULL || generation.policy == NULL || devices == NULL || upstreams == NULL)
        return EXIT_FAILURE;
    config->interfaces_n = config->listeners_n = config->upstreams_n = 1;
    config->interfaces[0].name = config->listeners[0].name = config->upstreams[0].name = "x";
    struct mqtt_relays_config settings = {.sessions = SESSIONS_MAX,
                                          .buffer_bytes = 64 << 20,
                                          .timers = timer_wheel_create(now_us),
                                          .events = event_ring_create(64),
                                          .generation = &current,
                                          .now_us = &now_us,
                                          .dial = on_dial,
                                          .judged = &observers,
                                          .dialled = on_dialled};
    if (settings.timers == NULL || settings.events == NULL)
        return EXIT_FAILURE;
    printf("one session: %zu bytes\n", mqtt_relays_session_bytes());
    printf("%-8s %10s %24s %26s %22s\n", "", "sessions", "QoS 0, 1 per slice, ns", "QoS 0, 20 per slice, ns",
           "QoS 1 round trip, ns");
    measure(MQTT_3_1_1, &settings);
    measure(MQTT_5, &settings);
    struct candidate *candidate = make_candidate(&spec, config, &current, settings.events);
    if (candidate == NULL)
        return EXIT_FAILURE;
    judged_set(&observers, JUDGED_BY_CANDIDATE, see, candidate->worker[0]);
    printf("with a candidate that says the same of everything\n");
    measure(MQTT_3_1_1, &settings);
    measure(MQTT_5, &settings);
    printf("judged %llu, of which %llu differ\n",
           (unsigned long long)candidate_counts(candidate->worker[0])->judged,
           (unsigned long long)candidate_counts(candidate->worker[0])->differ);
    return EXIT_SUCCESS;
}
