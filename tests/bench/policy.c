/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What loading a policy costs from its text to the compiled snapshot (G4, K5: 100,000 devices and 100,000
 * rules under 2 s): CPU time of reading, checking and compiling as a reload does it, and the memory of what
 * comes of it, at 10, 1,000 and 100,000 of each. Then, on the same snapshot, the whole way of a CONNECT
 * (role, device, variables) and of a PUBLISH among all rules.
 */
#include "config/policy_config.h"
#include "policy/access/identity.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOADS 3
#define DECISIONS 200000U

static const char box[] =
    "dataplane = { ports = ( { name = \"iot\"; device = \"af_xdp:eth1\"; vlan = 20; address = "
    "\"10.0.0.1/8\"; },\n"
    "  { name = \"wan\"; device = \"af_xdp:eth2\"; address = \"192.0.2.1/24\"; } ); };\n"
    "listeners = ( { name = \"mqtt\"; port = \"iot\"; protocol = \"mqtt\"; security = \"none\"; listen = "
    "\"any:1883\";\n"
    "  upstream = \"broker\"; } );\n"
    "upstreams = ( { name = \"broker\"; protocol = \"mqtt\"; security = \"none\"; servers = [ "
    "\"192.0.2.2:1883\" ]; } );\n";

static void require(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bench_policy: %s\n", what);
    exit(EXIT_FAILURE);
}

static double clock_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static FILE *open_new(const char *folder, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    require(file != NULL, "a file cannot be made");
    return file;
}

/* n rules for devices by name, and n devices, each with MAC, address and a variable. */
static void write_policy(const char *folder, uint32_t n)
{
    FILE *file = open_new(folder, "policy.d/10-rules.conf");
    fprintf(file, "roles = ( { name = \"fleet\"; match = { listener = \"mqtt\"; client_id = \"truck-{n}\"; "
                  "};\n  rules = (\n");
    for (uint32_t i = 0; i < n; i++)
        fprintf(file,
                "    { id = \"r%06u\"; allow = [ \"publish\", \"subscribe\" ]; topic = "
                "\"trucks/%06u/location\"; },\n",
                i, i);
    fprintf(file,
            "    { id = \"own\"; allow = \"publish\"; topic = \"own/${n}/${var.channel}\"; } ); } );\n");
    require(fclose(file) == 0, "write");
    file = open_new(folder, "policy.d/20-devices.conf");
    fprintf(file, "devices = (\n");
    for (uint32_t i = 0; i < n; i++)
        fprintf(file,
                "  { id = \"truck-%06u\"; mac = \"02:00:00:%02x:%02x:%02x\"; address = \"10.%u.%u.%u\"; vars "
                "= { channel = \"c%u\"; }; }%s\n",
                i, i >> 16, i >> 8 & 255, i & 255, 1 + (i >> 16), i >> 8 & 255, i & 255, i % 7,
                i + 1 == n ? "" : ",");
    fprintf(file, ");\n");
    require(fclose(file) == 0, "write");
}

static struct snapshot *load(const char *folder, struct policy_summary *summary)
{
    char config[512], policy[512], line[1024];
    snprintf(config, sizeof(config), "%s/sallyport.conf", folder);
    snprintf(policy, sizeof(policy), "%s/policy.d", folder);
    struct diagnostics *d = diagnostics_create();
    struct gateway_config *gateway = gateway_config_load(config, d);
    struct snapshot *snapshot = gateway == NULL ? NULL : policy_config_load(policy, gateway, 1, d, summary);
    for (size_t i = 0; snapshot == NULL && i < diagnostics_count(d) && i < 5; i++) {
        diagnostic_format(diagnostics_at(d, i), line, sizeof(line));
        fprintf(stderr, "%s\n", line);
    }
    require(snapshot != NULL, "the policy does not load");
    gateway_config_destroy(gateway);
    diagnostics_destroy(d);
    return snapshot;
}

static uint64_t state = 1;

static uint32_t pick(uint32_t n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((state >> 33) % n);
}

/* ns for one CONNECT and one PUBLISH of a device of the table, picked at random. */
static void decide(const struct snapshot *snapshot, uint32_t n, double *connect_ns, double *publish_ns)
{
    char id[32], topic[64];
    double connect = 0, publish = 0;
    for (uint32_t i = 0; i < DECISIONS; i++) {
        uint32_t k = pick(n);
        static struct identity who;
        snprintf(id, sizeof(id), "truck-%06u", k);
        snprintf(topic, sizeof(topic), "trucks/%06u/location", k);
        struct client_facts facts = {
            .listener = bytes_of_text("mqtt"),
            .port = bytes_of_text("iot"),
            .vlan = 20,
            .has_mac = true,
            .mac = {2, 0, 0, (uint8_t)(k >> 16), (uint8_t)(k >> 8), (uint8_t)k},
            .source = {[10] = 0xFF, [11] = 0xFF, 10, (uint8_t)(1 + (k >> 16)), (uint8_t)(k >> 8), (uint8_t)k},
            .client_id = bytes_of_text(id)};
        struct acl_request request = {.action = ACL_PUBLISH, .topic = bytes_of_text(topic)};
        double begin = clock_ms(CLOCK_MONOTONIC);
        bool in = identity_resolve(snapshot, &facts, &who) == OUTCOME_ALLOWED;
        double middle = clock_ms(CLOCK_MONOTONIC);
        require(in, "a device is not let in");
        bool allowed = acl_decide(who.role->acl, &who.values, &request).outcome == OUTCOME_ALLOWED;
        publish += clock_ms(CLOCK_MONOTONIC) - middle;
        connect += middle - begin;
        require(allowed, "a device may not publish");
    }
    *connect_ns = connect * 1e6 / DECISIONS;
    *publish_ns = publish * 1e6 / DECISIONS;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void measure(const char *folder, uint32_t n)
{
    struct policy_summary summary;
    struct snapshot *snapshot = NULL;
    double best_ms = 0;
    write_policy(folder, n);
    for (int i = 0; i < LOADS; i++) {
        if (snapshot != NULL)
            snapshot_destroy(snapshot);
        double begin = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
        snapshot = load(folder, &summary);
        double ms = clock_ms(CLOCK_PROCESS_CPUTIME_ID) - begin;
        best_ms = i == 0 || ms < best_ms ? ms : best_ms;
    }
    double connect_ns, publish_ns;
    decide(snapshot, n, &connect_ns, &publish_ns);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%8u %8u %8u %10.0f %12.1f %10.0f %14.0f %14.0f\n", n, summary.rules, summary.devices, best_ms,
           (double)snapshot_memory_bytes(snapshot) / 1048576, (double)usage.ru_maxrss / 1024, connect_ns,
           publish_ns);
    snapshot_destroy(snapshot);
}

int main(void)
{
    static const uint32_t sizes[] = {10, 1000, 100000};
    char folder[] = "/tmp/sallyport-bench-XXXXXX", inner[64];
    require(mkdtemp(folder) != NULL, "a folder cannot be made");
    snprintf(inner, sizeof(inner), "%s/policy.d", folder);
    require(mkdir(inner, 0700) == 0, "a folder cannot be made");
    FILE *file = open_new(folder, "sallyport.conf");
    fputs(box, file);
    require(fclose(file) == 0, "write");
    printf("a policy from its text: CPU ms of the best of %d loads; the clock's own cost (two readings) is "
           "in the ns\n",
           LOADS);
    printf("%8s %8s %8s %10s %12s %10s %14s %14s\n", "n", "rules", "devices", "ms to load", "MiB snapshot",
           "MiB peak", "ns CONNECT", "ns PUBLISH");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        measure(folder, sizes[i]);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return EXIT_SUCCESS;
}
