/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sweep: what a reload costs the packet path (G3, K5), with the real worker in one process. N sessions, some
 * of which publish in every turn; the longest iterations of the worker without a reload, with one that keeps
 * all, and with one that shuts half of them out.
 *
 *   sweep [SESSIONS [BULK]]      default 10000 sessions; BULK more rules and devices in the policy (G4, K5)
 */
#include "tests/scenario/world.h"

#include <rte_cycles.h>
#include <stdlib.h>
#include <time.h>

#define SPREAD 32 /* segments a turn */
#define ROUNDS 8
#define SAMPLES_MAX 100000

static const char policy_format[] =
    "roles = ( { name = \"d\"; match = { client_id = \"device-{n:%s}\"; }; max_qos = 1; inflight = 1000;\n"
    "  limits = { sessions = 10; }; rules = ( { id = \"all\"; allow = [ \"publish\", \"subscribe\" ]; topic "
    "= "
    "\"t/+\"; }, { id = \"own\"; allow = \"publish\"; topic = \"d/${n}/%s\"; } ); } );\n";
#define ANY "[0-9][0-9][0-9][0-9][0-9][0-9]"
#define EVEN "[0-9][0-9][0-9][0-9][0-9][02468]"

struct bench {
    struct world *world;
    struct world_device **devices;
    uint32_t n;
    uint32_t next;
    uint32_t samples;
    uint64_t cycles[SAMPLES_MAX]; /* of iterations that did something */
};

static uint32_t bulk; /* rules and devices beside: --bulk */
static double load_s, load_cpu_s;

/* The fleet's role, and behind it one with as many rules and devices as are asked for (G4). */
static const char *policy(const char *who, const char *what)
{
    static char *text;
    static size_t len;
    free(text);
    text = NULL;
    FILE *to = open_memstream(&text, &len);
    if (to == NULL)
        abort();
    fprintf(to, policy_format, who, what);
    if (bulk > 0) {
        fseek(to, -(long)strlen(" );\n"), SEEK_CUR);
        fputs(", { name = \"bulk\"; match = { client_id = \"bulk-{n}\"; }; rules = ( ", to);
        for (uint32_t i = 0; i < bulk; i++)
            fprintf(to, "%s{ id = \"b%u\"; allow = \"publish\"; topic = \"site/%u/%s/%u\"; }\n",
                    i == 0 ? "" : ", ", i, i / 100, what, i);
        fputs(" ); } );\ndevices = ( ", to);
        for (uint32_t i = 0; i < bulk; i++)
            fprintf(to, "%s{ id = \"bulk-%u\"; mac = \"00:1d:9c:%02x:%02x:%02x\"; }\n", i == 0 ? "" : ", ", i,
                    i >> 16, i >> 8 & 255, i & 255);
        fputs(" );\n", to);
    }
    fclose(to);
    return text;
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void note(struct bench *b, uint64_t cycles)
{
    if (cycles != 0 && b->samples < SAMPLES_MAX)
        b->cycles[b->samples++] = cycles;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double us(uint64_t cycles)
{
    return (double)cycles * 1e6 / (double)rte_get_tsc_hz();
}

/* One turn with traffic from devices that stay in any case. */
static void turn(struct bench *b)
{
    uint8_t message[80] = "\x30\x4e\0\14t/0123456789"; /* QoS 0, 3.1.1, 64 bytes */
    for (int i = 0; i < SPREAD; i++) {
        world_send(b->devices[b->next], message, sizeof(message));
        b->next = (b->next + 2) % (b->n & ~1u);
    }
    note(b, world_turn(b->world, 50));
}

static void report(struct bench *b, const char *what)
{
    static const double parts[] = {0.5, 0.9, 0.99, 0.999};
    qsort(b->cycles, b->samples, sizeof(b->cycles[0]), compare);
    printf("%-40s %7u", what, b->samples);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        printf(" %8.1f", us(b->cycles[(size_t)(parts[i] * (double)(b->samples - 1))]));
    printf(" %8.1f\n", us(b->cycles[b->samples - 1]));
    fflush(stdout);
    b->samples = 0;
}

static bool reload(struct bench *b, const char *text)
{
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
    if (!world_reload(b->world, text))
        return false;
    load_s = seconds(CLOCK_MONOTONIC) - wall;
    load_cpu_s = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
    note(b, world_reload_busy(b->world));
    for (uint32_t i = 0; i < b->n / 64 + 50; i++)
        turn(b);
    return true;
}

static bool log_all_in(struct bench *b)
{
    uint8_t connect[64] = "\x10\0\0\4MQTT\4\2\0\0\0";
    char name[32];
    for (uint32_t i = 0; i < b->n; i++) {
        b->devices[i] = world_connect(b->world, i);
        if (i % 64 == 63 || i < WORLD_SOURCES)
            for (int k = 0; k < 20; k++)
                world_turn(b->world, i < WORLD_SOURCES ? 10000 : 50);
    }
    for (int i = 0; i < 100; i++)
        world_turn(b->world, 1000);
    for (uint32_t i = 0; i < b->n; i++) {
        int id = snprintf(name, sizeof(name), "device-%06u", i);
        connect[1] = (uint8_t)(12 + id);
        connect[13] = (uint8_t)id;
        memcpy(connect + 14, name, (size_t)id);
        world_send(b->devices[i], connect, (size_t)(14 + id));
        world_turn(b->world, 5);
        for (int k = 0; i % 64 == 63 && k < 4; k++)
            world_turn(b->world, 50);
    }
    for (uint32_t i = 0; i < 4000 && world_cloud(b->world)->connects < b->n; i++)
        world_turn(b->world, 200);
    for (int i = 0; i < 200; i++)
        world_turn(b->world, 1000);
    return world_cloud(b->world)->connects >= b->n;
}

int main(int argc, char **argv)
{
    static struct bench b;
    b.n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10000;
    bulk = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    struct world_settings settings = {.connections = b.n, .policy = policy(ANY, "a")};
    b.world = b.n < 64 ? NULL : world_create(&settings);
    b.devices = calloc(b.n, sizeof(struct world_device *));
    if (b.world == NULL || b.devices == NULL || !log_all_in(&b)) {
        fprintf(stderr, "not all of %u sessions came up\n", b.n);
        return EXIT_FAILURE;
    }
    printf("%u sessions, %d messages a turn; iterations of the worker, us\n", b.n, SPREAD);
    printf("%-40s %7s %8s %8s %8s %8s %8s\n", "", "n", "p50", "p90", "p99", "p99.9", "longest");
    for (uint32_t i = 0; i < 500; i++) /* every session once: what was cold is warm */
        turn(&b);
    b.samples = 0;
    for (uint32_t i = 0; i < ROUNDS * (b.n / 64 + 50); i++)
        turn(&b);
    report(&b, "no reload");
    for (int i = 0; i < ROUNDS; i++)
        if (!reload(&b, policy(ANY, i % 2 ? "a" : "b")))
            return EXIT_FAILURE;
    report(&b, "reloads that keep all");
    if (!reload(&b, policy(EVEN, "a")))
        return EXIT_FAILURE;
    report(&b, "a reload that shuts half of them out");
    printf("the last load of %u rules and devices took %.2f s, %.2f s of processor time\n", bulk, load_s,
           load_cpu_s);
    return EXIT_SUCCESS;
}
