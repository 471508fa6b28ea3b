/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a decision costs among 10, 1,000 and 100,000 rules and devices (G4, K5): ns per decision for names and
 * filters, bytes, and the CPU time of compiling. ns are medians over batches of 256 decisions, which leaves
 * out what the scheduler takes; "hot" repeats 64 requests, so that all is in the first-level cache, "spread"
 * goes over all rules at random. A random line of the same memory is timed beside them: what one miss costs
 * on this machine at this moment.
 */
#include "policy/access/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define REQUESTS 65536U
#define PASSES 5
#define BATCH 256U
#define BATCHES (REQUESTS / BATCH * PASSES)
#define TEXT_MAX 64
#define SPREAD REQUESTS
#define HOT 64U

struct site {
    const char *name;
    uint32_t n;
    struct acl_rule_spec *rules;
    char (*text)[TEXT_MAX];
    /* Writes the text of rule i; the topic or filter of a request about it. */
    void (*rule)(struct acl_rule_spec *rule, char *text, uint32_t i);
    void (*topic)(char *text, uint32_t i, uint32_t n);
    void (*filter)(char *text, uint32_t i, uint32_t n);
};

static uint64_t state = 1;

static uint32_t pick(uint32_t n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((state >> 33) % n);
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Of this process alone: what others take meanwhile does not count. */
static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* ---- two sites ------------------------------------------------------------------------------------------
 */

/* A line for each device: what a policy made by a script looks like. */
static void listed_rule(struct acl_rule_spec *rule, char *text, uint32_t i)
{
    snprintf(text, TEXT_MAX, "trucks/%06u/location", i);
    rule->actions = 1U << ACL_PUBLISH | 1U << ACL_SUBSCRIBE;
    rule->allow = true;
}

static void listed_topic(char *text, uint32_t i, uint32_t n)
{
    (void)n;
    snprintf(text, TEXT_MAX, "trucks/%06u/location", i);
}

/* Wildcards, '#' ends and denies among the lines. */
static void mixed_rule(struct acl_rule_spec *rule, char *text, uint32_t i)
{
    static const char *const form[10] = {
        "site/%u/line/%u/temp",   "site/%u/line/%u/state",    "site/%u/line/+/alarm/%u",
        "site/%u/pump/%u/#",      "site/+/unit-%u%u/set",     "site/%u/line/%u/rate",
        "site/%u/valve/%u/+/pos", "site/%u/line/%u/temp/raw", "log/%u/%u/${client_id}",
        "site/%u/line/%u/secret",
    };
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, TEXT_MAX, form[i % 10], i / 1000, i / 10 % 100);
#pragma GCC diagnostic pop
    rule->actions = 1U << ACL_PUBLISH | 1U << ACL_SUBSCRIBE;
    rule->allow = i % 10 != 9;
}

static void mixed_topic(char *text, uint32_t i, uint32_t n)
{
    static const char *const last[] = {"temp", "state", "rate", "temp/raw", "secret", "alarm", "other"};
    (void)n;
    if (i % 3 == 0)
        snprintf(text, TEXT_MAX, "site/%u/pump/%u/a/b", i / 1000, i / 10 % 100);
    else
        snprintf(text, TEXT_MAX, "site/%u/line/%u/%s", i / 1000, i / 10 % 100, last[i % 7]);
}

static void mixed_filter(char *text, uint32_t i, uint32_t n)
{
    (void)n;
    if (i % 3 == 0)
        snprintf(text, TEXT_MAX, "site/%u/pump/%u/+/b", i / 1000, i / 10 % 100);
    else
        snprintf(text, TEXT_MAX, "site/%u/line/%u/temp", i / 1000, i / 10 % 100);
}

/* ---- measuring ------------------------------------------------------------------------------------------
 */

struct questions {
    struct acl_request *request;
    char (*text)[TEXT_MAX];
    uint64_t allowed;
};

static struct questions ask(uint32_t n, enum acl_action action, void (*write)(char *, uint32_t, uint32_t))
{
    struct questions q = {calloc(REQUESTS, sizeof(*q.request)), calloc(REQUESTS, sizeof(*q.text)), 0};
    if (q.request == NULL || q.text == NULL)
        abort();
    for (uint32_t i = 0; i < REQUESTS; i++) {
        write(q.text[i], pick(n), n);
        q.request[i] = (struct acl_request){.action = action, .topic = bytes_of_text(q.text[i])};
    }
    return q;
}

static double batch_ns[BATCHES];

static double median_batch(void)
{
    qsort(batch_ns, BATCHES, sizeof(batch_ns[0]), compare_doubles);
    return batch_ns[BATCHES / 2] / BATCH;
}

static double time_decisions(const struct acl *acl, const struct acl_values *values, struct questions *q,
                             uint32_t distinct, bool filters)
{
    uint64_t allowed = 0;
    for (uint32_t b = 0; b < BATCHES; b++) {
        double begin = now_ns();
        for (uint32_t i = b * BATCH; i < (b + 1) * BATCH; i++) {
            const struct acl_request *r = &q->request[i & (distinct - 1)];
            struct acl_decision d =
                filters ? acl_decide_filter(acl, values, r, ACL_FILTER_COVER) : acl_decide(acl, values, r);
            allowed += d.outcome == OUTCOME_ALLOWED;
        }
        batch_ns[b] = now_ns() - begin;
    }
    q->allowed = allowed / PASSES;
    return median_batch();
}

/* Lines of `bytes` visited in a random order, each leading to the next. */
static double time_line(size_t bytes)
{
    uint32_t n = (uint32_t)(bytes / 64), at = 0;
    uint32_t(*line)[16] = aligned_alloc(64, (size_t)n * 64);
    uint32_t *order = calloc(n, sizeof(*order));
    if (line == NULL || order == NULL)
        abort();
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = n - 1; i > 0; i--) {
        uint32_t k = pick(i), swap = order[i];
        order[i] = order[k];
        order[k] = swap;
    }
    for (uint32_t i = 0; i < n; i++)
        line[order[i]][0] = order[(i + 1) % n];
    for (uint32_t b = 0; b < BATCHES; b++) {
        double begin = now_ns();
        for (uint32_t i = 0; i < BATCH; i++)
            at = line[at][0];
        batch_ns[b] = now_ns() - begin;
    }
    free(order);
    free(line);
    return median_batch() + (at == UINT32_MAX ? 1 : 0);
}

static void measure(struct site *site, uint32_t n)
{
    const char *const variables[] = {"client_id"};
    struct acl_values values = {0};
    struct acl_problem problem;
    values.value[0] = bytes_of_text("truck-000017");
    site->rules = calloc(n, sizeof(*site->rules));
    site->text = calloc(n, sizeof(*site->text));
    if (site->rules == NULL || site->text == NULL)
        abort();
    for (uint32_t i = 0; i < n; i++) {
        site->rules[i] = (struct acl_rule_spec){.id = "r", .retain = -1, .will = -1, .topic = site->text[i]};
        site->rule(&site->rules[i], site->text[i], i);
    }
    double begin = cpu_ms();
    struct acl *acl = acl_compile(site->rules, n, variables, 1, &problem);
    double compiled_ms = cpu_ms() - begin;
    if (acl == NULL) {
        printf("%s: %s\n", site->name, problem.text);
        exit(EXIT_FAILURE);
    }
    struct questions names = ask(n, ACL_PUBLISH, site->topic), filters = ask(n, ACL_SUBSCRIBE, site->filter);
    double hot = time_decisions(acl, &values, &names, HOT, false);
    double spread = time_decisions(acl, &values, &names, SPREAD, false);
    double filter_hot = time_decisions(acl, &values, &filters, HOT, true);
    double filter_spread = time_decisions(acl, &values, &filters, SPREAD, true);
    double line = time_line(acl_memory_bytes(acl));
    printf("%-8s %8u %9.1f %9.1f %9.1f %9.1f %9.1f %10.1f %9.0f %8.1f %7.0f%%\n", site->name, n, hot, spread,
           filter_hot, filter_spread, line, (double)acl_memory_bytes(acl) / 1024,
           (double)acl_memory_bytes(acl) / n, compiled_ms, 100.0 * (double)names.allowed / REQUESTS);
    acl_destroy(acl);
    free(names.request);
    free(names.text);
    free(filters.request);
    free(filters.text);
    free(site->rules);
    free(site->text);
}

/* ---- devices --------------------------------------------------------------------------------------------
 */

static void told(void *owner, const struct policy_problem *problem)
{
    (void)owner;
    printf("%s:%u: %s\n", problem->file, problem->line, problem->text);
}

static double time_identities(const struct snapshot *s, char (*ids)[TEXT_MAX], uint32_t n)
{
    uint64_t allowed = 0;
    for (uint32_t b = 0; b < BATCHES; b++) {
        double begin = now_ns();
        for (uint32_t i = 0; i < BATCH; i++) {
            struct identity who;
            struct client_facts facts = {.listener = bytes_of_text("mqtt"),
                                         .client_id = bytes_of_text(ids[pick(n)])};
            allowed += identity_resolve(s, &facts, &who) == OUTCOME_ALLOWED;
        }
        batch_ns[b] = now_ns() - begin;
    }
    if (allowed != (uint64_t)BATCHES * BATCH)
        exit(EXIT_FAILURE);
    return median_batch();
}

/* One role, its rules by variable, and n devices with a variable each: the fleet of requirement I1. */
static void measure_devices(uint32_t n)
{
    struct acl_rule_spec rules[] = {
        {.id = "a",
         .allow = true,
         .actions = 1,
         .topic = "trucks/${serial}/location",
         .retain = -1,
         .will = -1},
        {.id = "b",
         .allow = true,
         .actions = 1,
         .topic = "trucks/${serial}/${var.channel}",
         .retain = -1,
         .will = -1},
    };
    struct policy_role_spec role = {
        .name = "truck", .rules = rules, .rules_n = 2, .match = {.vlan = -1, .client_id = "truck-{serial}"}};
    const struct policy_variable variable[] = {{"channel", "stable"}};
    struct policy_device_spec *devices = calloc(n, sizeof(*devices));
    char(*ids)[TEXT_MAX] = calloc(n, sizeof(*ids));
    if (devices == NULL || ids == NULL)
        abort();
    for (uint32_t i = 0; i < n; i++) {
        snprintf(ids[i], sizeof(ids[i]), "truck-%06u", i);
        devices[i] = (struct policy_device_spec){.id = ids[i], .variables = variable, .variables_n = 1};
    }
    const struct policy_spec spec = {&role, 1, devices, n};
    double begin = cpu_ms();
    struct snapshot *s = snapshot_create(&spec, 1, told, NULL);
    double created_ms = cpu_ms() - begin;
    if (s == NULL)
        exit(EXIT_FAILURE);
    struct client_facts facts = {.listener = bytes_of_text("mqtt"), .client_id = bytes_of_text(ids[n / 2])};
    struct identity who;
    identity_resolve(s, &facts, &who);
    char topic[TEXT_MAX];
    snprintf(topic, sizeof(topic), "trucks/%06u/location", n / 2);
    struct questions q = ask(1, ACL_PUBLISH, listed_topic);
    for (uint32_t i = 0; i < REQUESTS; i++)
        q.request[i].topic = bytes_of_text(topic);
    double decide = time_decisions(who.role->acl, &who.values, &q, HOT, false);
    printf("%8u %12.1f %14.1f %10.1f %9.0f %10.1f\n", n, decide, time_identities(s, ids, n),
           (double)snapshot_memory_bytes(s) / 1024, (double)snapshot_memory_bytes(s) / n, created_ms);
    snapshot_destroy(s);
    free(q.request);
    free(q.text);
    free(devices);
    free(ids);
}

/* A whole policy as it is loaded: n rules and n devices checked, compiled and laid out (K5: under 2 s). */
static void measure_whole(uint32_t n)
{
    struct acl_rule_spec *rules = calloc(n, sizeof(*rules));
    struct policy_device_spec *devices = calloc(n, sizeof(*devices));
    char(*text)[TEXT_MAX] = calloc(2 * (size_t)n, sizeof(*text));
    struct policy_role_spec role = {
        .name = "all", .rules = rules, .rules_n = n, .match = {.vlan = -1, .client_id = "*"}};
    if (rules == NULL || devices == NULL || text == NULL)
        abort();
    for (uint32_t i = 0; i < n; i++) {
        rules[i] = (struct acl_rule_spec){.retain = -1, .will = -1, .id = text[i], .topic = text[i]};
        listed_rule(&rules[i], text[i], i);
        snprintf(text[n + i], TEXT_MAX, "truck-%06u", i);
        devices[i] = (struct policy_device_spec){.id = text[n + i], .has_mac = true};
    }
    const struct policy_spec spec = {&role, 1, devices, n};
    double begin = cpu_ms();
    struct snapshot *s = snapshot_create(&spec, 1, told, NULL);
    double created_ms = cpu_ms() - begin;
    if (s == NULL)
        exit(EXIT_FAILURE);
    printf("%8u rules and devices: %.0f ms to check and compile, %.1f MiB\n", n, created_ms,
           (double)snapshot_memory_bytes(s) / 1048576);
    snapshot_destroy(s);
    free(rules);
    free(devices);
    free(text);
}

int main(void)
{
    static const uint32_t sizes[] = {10, 1000, 100000};
    struct site sites[] = {
        {.name = "listed", .rule = listed_rule, .topic = listed_topic, .filter = listed_topic},
        {.name = "mixed", .rule = mixed_rule, .topic = mixed_topic, .filter = mixed_filter},
    };
    printf("ns per decision; listed: a line per device, mixed: wildcards, '#', denies, a variable\n");
    printf("%-8s %8s %9s %9s %9s %9s %9s %10s %9s %8s %8s\n", "site", "rules", "name hot", "spread", "filter",
           "spread", "a line", "KiB", "B/rule", "ms", "allowed");
    for (size_t s = 0; s < sizeof(sites) / sizeof(sites[0]); s++)
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
            measure(&sites[s], sizes[i]);
    printf("\nrules by variable, a table of devices\n");
    printf("%8s %12s %14s %10s %9s %10s\n", "devices", "ns decision", "ns identity", "KiB", "B/device", "ms");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        measure_devices(sizes[i]);
    printf("\n");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        measure_whole(sizes[i]);
    return EXIT_SUCCESS;
}
