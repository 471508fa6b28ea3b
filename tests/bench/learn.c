/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What learning costs a message (policy/learn/evidence.h): ns of CPU, of a client that is known, for a shape
 * that is known, for one that a flood invents, and for a client that is new; beside SipHash of the same
 * bytes, which is part of each, and a decision of the rules is not (bench_acl). Also what mining a full role
 * takes.
 */
#include "dataplane/siphash.h"
#include "policy/access/acl.h"
#include "policy/learn/mining.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 2000000U
#define CLIENTS 1000U

static struct siphash_key key = {.k0 = 1, .k1 = 2};

static uint64_t hash(const void *k, const void *data, size_t n)
{
    return siphash_1_3(*(const struct siphash_key *)k, data, n);
}

static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void say(const char *what, double began, uint32_t n)
{
    printf("%-44s %8.1f ns\n", what, (cpu_ns() - began) / n);
}

static uint16_t client_of(struct evidence *e, uint32_t i)
{
    uint8_t address[16] = {(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16)};
    char name[32];
    snprintf(name, sizeof(name), "truck-%u", i);
    uint16_t client = evidence_client(e, bytes_of_text(name), address);
    if (client == EVIDENCE_NONE)
        return client;
    evidence_clear_values(e, client);
    evidence_value(e, client, bytes_of_text("client_id"), bytes_of_text(name), true);
    evidence_value(e, client, bytes_of_text("id"), bytes_of_text(name), true);
    evidence_value(e, client, bytes_of_text("mac"), bytes_of_text("00:1d:9c:00:00:01"), true);
    evidence_value(e, client, bytes_of_text("serial"), bytes_of_text(name + 6), true);
    return client;
}

int main(void)
{
    struct evidence *e = calloc(1, sizeof(*e));
    uint64_t sum = 0;
    char topic[64];
    if (e == NULL)
        return EXIT_FAILURE;
    evidence_init(e, hash, &key);
    printf("evidence of one role and worker: %zu KiB\n", sizeof(*e) / 1024);
    struct evidence_act act = {.action = ACL_PUBLISH, .qos = 1, .payload_bytes = 64};
    double began = cpu_ns();
    for (uint32_t i = 0; i < ROUNDS; i++)
        sum += hash(&key, "fleet/truck-123/telemetry/gps", 29 - (i & 1));
    say("SipHash-1-3 of a topic", began, ROUNDS);
    began = cpu_ns();
    for (uint32_t i = 0; i < CLIENTS; i++)
        client_of(e, i);
    say("a new client, with its values", began, CLIENTS);
    for (uint32_t i = 0; i < CLIENTS; i++)
        sum += client_of(e, i);
    static char topics[CLIENTS][64];
    for (uint32_t i = 0; i < CLIENTS; i++)
        snprintf(topics[i], sizeof(topics[i]), "fleet/truck-%u/telemetry/gps", i);
    began = cpu_ns();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t who = i % CLIENTS;
        act.topic = bytes_of_text(topics[who]);
        evidence_see(e, (uint16_t)who, &act);
    }
    say("a shape that is known, of 1,000 clients", began, ROUNDS);
    began = cpu_ns();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        int n = snprintf(topic, sizeof(topic), "flood/%u/telemetry/gps", i);
        act.topic = bytes_of(topic, (size_t)n);
        evidence_see(e, 7, &act);
    }
    say("an invented one, with writing it (snprintf)", began, ROUNDS);
    began = cpu_ns();
    for (uint32_t i = 0; i < ROUNDS; i++)
        sum += (uint64_t)snprintf(topic, sizeof(topic), "flood/%u/telemetry/gps", i);
    say("... of which snprintf", began, ROUNDS);
    for (uint32_t i = 0; i < EVIDENCE_TOPICS * 2; i++) {
        int n = snprintf(topic, sizeof(topic), "logs/%u/%u", i % 50, i);
        act.topic = bytes_of(topic, (size_t)n);
        evidence_see(e, (uint16_t)(i % CLIENTS), &act);
    }
    began = cpu_ns();
    struct mined *mined = mine((const struct evidence *const[]){e}, 1, MINING_SHARE_PERCENT);
    printf("mining %u shapes of %u clients: %.1f ms, %u findings (%llu)\n", e->topics_n, e->clients_n,
           (cpu_ns() - began) / 1e6, mined == NULL ? 0 : mined->findings_n, (unsigned long long)(sum & 1));
    mined_destroy(mined);
    free(e);
    return EXIT_SUCCESS;
}
