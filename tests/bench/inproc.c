/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inproc: the gateway's own busy time per message (K1, K3), with the real worker, TCP, TLS and guard between
 * two peers in one process over net_ring. Only worker_iterate is timed; devices and cloud are not.
 *
 *   inproc [--plain] [--seconds S] [CONNECTIONS...]      default: 1 1000 (add 100000 for the full table: some
 * minutes, 4 GiB)
 */
#include "tests/scenario/world.h"

#include <rte_cycles.h>
#include <stdlib.h>

#define MESSAGE_PAYLOAD 64
#define ROUNDS 5

struct table {
    struct world *world;
    struct world_device **devices;
    uint32_t n;
    double seconds;
};

/* A QoS `qos` PUBLISH of 64 bytes to t/0123456789 in 3.1.1. */
static size_t make_message(uint8_t *to, uint8_t qos, uint16_t id)
{
    size_t n = 0;
    to[n++] = (uint8_t)(0x30 | qos << 1);
    to[n++] = (uint8_t)(2 + 12 + (qos > 0 ? 2 : 0) + MESSAGE_PAYLOAD);
    memcpy(to + n, "\0\14t/0123456789", 14);
    n += 14;
    if (qos > 0) {
        to[n++] = (uint8_t)(id >> 8);
        to[n++] = (uint8_t)id;
    }
    memset(to + n, 'x', MESSAGE_PAYLOAD);
    return n + MESSAGE_PAYLOAD;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(*values), compare);
    return values[ROUNDS / 2];
}

/*
 * One round: in each turn `segments` different connections (one after the other through all of them) send one
 * segment of `messages` messages. ns of worker time per message, counted at the cloud.
 */
static double round_ns(struct table *t, uint32_t segments, uint32_t messages, uint8_t qos)
{
    static uint32_t next;
    static uint16_t id;
    uint8_t batch[1400];
    uint64_t busy = 0;
    uint64_t before = world_cloud(t->world)->publishes;
    uint64_t until = rte_rdtsc() + (uint64_t)(t->seconds * (double)rte_get_tsc_hz());
    uint64_t sent = 0;
    while (rte_rdtsc() < until) {
        for (uint32_t s = 0; s < segments; s++) {
            size_t n = 0;
            for (uint32_t m = 0; m < messages; m++) {
                id = id == 60000 ? 1 : (uint16_t)(id + 1);
                n += make_message(batch + n, qos, id);
            }
            world_send(t->devices[next++ % t->n], batch, n);
            sent += messages;
        }
        for (int turns = 0; turns < 3; turns++)
            busy += world_turn(t->world, 5);
    }
    for (int i = 0; i < 50; i++)
        busy += world_turn(t->world, 1000);
    uint64_t got = world_cloud(t->world)->publishes - before;
    if (got != sent)
        printf("  (%llu sent, %llu arrived)\n", (unsigned long long)sent, (unsigned long long)got);
    return got == 0 ? 0 : (double)busy * 1e9 / (double)rte_get_tsc_hz() / (double)got;
}

/* Connections that were silent while others were measured have neighbours to find again: let them. */
static void wake(struct table *t)
{
    uint8_t message[128];
    for (uint32_t i = 0; i < t->n; i++) {
        world_send(t->devices[i], message, make_message(message, 0, 0));
        if (i < WORLD_SOURCES || i % 64 == 63)
            for (int k = 0; k < 20; k++)
                world_turn(t->world, i < WORLD_SOURCES ? 10000 : 50);
    }
    for (int k = 0; k < 200; k++)
        world_turn(t->world, 5000);
}

static void measure(struct table *t, const char *what, uint32_t segments, uint32_t messages, uint8_t qos,
                    double goal_ns)
{
    double values[ROUNDS];
    round_ns(t, segments, messages, qos); /* warm */
    for (int i = 0; i < ROUNDS; i++)
        values[i] = round_ns(t, segments, messages, qos);
    double ns = median(values);
    printf("%8u  %-44s %8.0f", t->n, what, ns);
    if (goal_ns > 0)
        printf("   goal %4.0f  %5.2f of it", goal_ns, ns / goal_ns);
    printf("   (%.0f to %.0f)\n", values[0], values[ROUNDS - 1]);
    fflush(stdout);
}

static bool log_all_in(struct table *t, bool tls)
{
    char name[32];
    uint64_t busy = 0;
    uint8_t connect[64] = "\x10\0\0\4MQTT\4\2\0\0\0";
    for (uint32_t i = 0; i < t->n; i++) {
        t->devices[i] = world_connect(t->world, i);
        if (i % 64 == 63 || i < WORLD_SOURCES) /* the first ones wait for each other's neighbour discovery */
            for (int k = 0; k < 20; k++)
                world_turn(t->world, i < WORLD_SOURCES ? 10000 : 50);
    }
    for (int i = 0; i < 100; i++)
        world_turn(t->world, 1000);
    for (uint32_t i = 0; i < t->n; i++) {
        int id = snprintf(name, sizeof(name), "device-%06u", i);
        connect[1] = (uint8_t)(12 + id);
        connect[13] = (uint8_t)id;
        memcpy(connect + 14, name, (size_t)id);
        world_send(t->devices[i], connect, (size_t)(14 + id));
        busy += world_turn(t->world, 5);
        if (i % 64 == 63)
            for (int k = 0; k < 4; k++)
                busy += world_turn(t->world, 50);
    }
    for (uint32_t i = 0; i < 4000 && world_cloud(t->world)->connects < t->n; i++)
        busy += world_turn(t->world, 200);
    for (int i = 0; i < 200; i++)
        busy += world_turn(t->world, 1000);
    double us = (double)busy * 1e6 / (double)rte_get_tsc_hz() / t->n;
    printf("%8u  %-44s %8.0f   goal  250 (4,000/s)\n", t->n,
           tls ? "full TLS connection, us each, CONNECT to CONNACK" : "plain connection, us each", us);
    return world_cloud(t->world)->connects >= t->n;
}

int main(int argc, char **argv)
{
    static const uint32_t few[] = {1, 1000};
    uint32_t counts[8];
    uint32_t counts_n = 0;
    struct table t = {.seconds = 0.3};
    bool tls = true;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--plain") == 0)
            tls = false;
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            t.seconds = strtod(argv[++i], NULL);
        else if (counts_n < 8)
            counts[counts_n++] = (uint32_t)strtoul(argv[i], NULL, 10);
    }
    if (counts_n == 0) {
        memcpy(counts, few, sizeof(few));
        counts_n = 2;
    }
    uint32_t most = counts[counts_n - 1];
    struct world_settings settings = {.tls = tls, .connections = most < 1000 ? 1000 : most};
    t.world = world_create(&settings);
    t.devices = calloc(most, sizeof(struct world_device *));
    if (t.world == NULL || t.devices == NULL || most == 0)
        return EXIT_FAILURE;
    t.n = most;
    printf("gateway's own busy time over net_ring, %s upstream, 64 B payload, median of %d\n",
           tls ? "TLS 1.3" : "plain", ROUNDS);
    printf("%8s  %-44s %8s\n", "conns", "what", "ns/msg");
    if (!log_all_in(&t, tls)) {
        printf("only %llu of %u connected\n", (unsigned long long)world_cloud(t.world)->connects, most);
        return EXIT_FAILURE;
    }
    for (uint32_t c = 0; c < counts_n; c++) {
        t.n = counts[c];
        uint32_t spread = t.n < 32 ? t.n : 32;
        wake(&t);
        measure(&t, "QoS 0, 1 message a segment, 1 segment a turn", 1, 1, 0, 0);
        measure(&t, "QoS 0, 1 message a segment, 32 segments a turn", spread == 1 ? 32 : spread, 1, 0, 300);
        measure(&t, "QoS 0, 16 messages a segment, 32 a turn", spread == 1 ? 8 : spread, 16, 0, 60);
        measure(&t, "QoS 1 round trip, 32 segments a turn", spread == 1 ? 8 : spread, 1, 1, 600);
    }
    printf("cloud: %llu publishes, %llu bad frames\n", (unsigned long long)world_cloud(t.world)->publishes,
           (unsigned long long)world_cloud(t.world)->bad_frames);
    return world_cloud(t.world)->bad_frames == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
