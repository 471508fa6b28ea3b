/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/learn.h"

#include "gateway/gateway.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

_Static_assert(LEARN_WORKERS_MAX == WORKERS_MAX, "evidence of each worker");

/* Static: a worker that answers late still finds its own. */
static struct worker_request requests[WORKERS_MAX];

const char *learn_result_text(enum learn_result result)
{
    static char full[64];
    switch (result) {
    case LEARN_OK:
        return "ok";
    case LEARN_FULL:
        snprintf(full, sizeof(full), "%d roles are learned already; stop some", LEARN_ROLES_MAX);
        return full;
    case LEARN_MEMORY:
        return "out of memory";
    case LEARN_SILENT:
        return "a worker did not answer in time; try again";
    }
    return "";
}

static void *reserve(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static void release(const struct evidence *evidence)
{
    if (evidence != NULL)
        munmap((void *)(uintptr_t)evidence, sizeof(*evidence));
}

struct learning *learn_find(struct learn *learn, const char *role)
{
    for (uint32_t i = 0; i < LEARN_ROLES_MAX; i++)
        if (strcmp(learn->role[i].name, role) == 0 && role[0] != '\0')
            return &learn->role[i];
    return NULL;
}

/* The role's own place, a free one, or that of the one that was stopped first. */
static struct learning *place_for(struct learn *learn, const char *role)
{
    struct learning *place = learn_find(learn, role);
    for (uint32_t i = 0; i < LEARN_ROLES_MAX && place == NULL; i++)
        if (learn->role[i].name[0] == '\0')
            place = &learn->role[i];
    if (place != NULL)
        return place;
    for (uint32_t i = 0; i < LEARN_ROLES_MAX; i++)
        if (!learn->role[i].active && (place == NULL || learn->role[i].stopped_us < place->stopped_us))
            place = &learn->role[i];
    return place;
}

/* One key for all workers, so that a client of two of them is one. */
static bool make_workers(struct gateway *gateway)
{
    struct learn *learn = &gateway->learn;
    uint8_t secret[16];
    if (learn->worker[0] != NULL)
        return true;
    if (getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret))
        return false;
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        learn->worker[i] = calloc(1, sizeof(*learn->worker[i]));
        if (learn->worker[i] != NULL)
            learn->worker[i]->key = siphash_key_of(secret);
    }
    for (uint32_t i = 0; i < gateway->workers_n; i++)
        if (learn->worker[i] == NULL) {
            for (uint32_t k = 0; k < gateway->workers_n; k++) {
                free(learn->worker[k]);
                learn->worker[k] = NULL;
            }
            return false;
        }
    explicit_bzero(secret, sizeof(secret));
    return true;
}

static bool ask_change(struct gateway *gateway, uint32_t worker, const struct learn_change *change)
{
    struct worker_request *request = &requests[worker];
    if (!worker_listens(gateway->workers[worker]))
        return false;
    request->kind = WORKER_LEARN;
    request->learn = *change;
    return worker_ask(gateway->workers[worker], request);
}

/* Gives one worker an empty evidence instead of what it had. */
static enum learn_result start_on(struct gateway *gateway, struct learning *role, uint32_t worker)
{
    struct learn *learn = &gateway->learn;
    struct learn_change change = {.learn = learn->worker[worker],
                                  .place = (uint32_t)(role - learn->role),
                                  .fresh = true,
                                  .role = {.active = true}};
    struct evidence *old = role->evidence[worker];
    change.role.evidence = reserve(sizeof(struct evidence));
    if (change.role.evidence == NULL)
        return LEARN_MEMORY;
    memcpy(change.role.name, role->name, sizeof(change.role.name));
    evidence_init(change.role.evidence, learn_hash, &learn->worker[worker]->key);
    if (!worker_listens(gateway->workers[worker])) {
        release(change.role.evidence);
        return LEARN_SILENT;
    }
    role->evidence[worker] = change.role.evidence;
    if (!ask_change(gateway, worker, &change))
        return LEARN_SILENT; /* it will be the worker's when it answers; the old one is never given back */
    release(old);
    return LEARN_OK;
}

enum learn_result learn_start(struct gateway *gateway, const char *name, const char *by, uint64_t for_us)
{
    struct learning *role = place_for(&gateway->learn, name);
    if (role == NULL)
        return LEARN_FULL;
    if (!make_workers(gateway))
        return LEARN_MEMORY;
    event_set_name(role->name, sizeof(role->name), bytes_of_text(name));
    event_set_name(role->by, sizeof(role->by), bytes_of_text(by));
    role->active = true;
    role->started_us = gateway_wall_us();
    role->stopped_us = 0;
    role->until_us = for_us == 0 ? 0 : gateway_monotonic_us() + for_us;
    enum learn_result result = LEARN_OK;
    for (uint32_t i = 0; i < gateway->workers_n && result == LEARN_OK; i++)
        result = start_on(gateway, role, i);
    return result;
}

enum learn_result learn_stop(struct gateway *gateway, struct learning *role)
{
    enum learn_result result = LEARN_OK;
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        struct learn_change change = {.learn = gateway->learn.worker[i],
                                      .place = (uint32_t)(role - gateway->learn.role)};
        if (role->evidence[i] != NULL && !ask_change(gateway, i, &change))
            result = LEARN_SILENT;
    }
    if (result != LEARN_OK)
        return result;
    role->active = false;
    role->until_us = 0;
    role->stopped_us = gateway_wall_us();
    return LEARN_OK;
}

void learn_tick(struct gateway *gateway)
{
    for (uint32_t i = 0; i < LEARN_ROLES_MAX; i++) {
        struct learning *role = &gateway->learn.role[i];
        char text[EVENT_DETAIL_MAX];
        if (!role->active || role->until_us == 0 || gateway_monotonic_us() < role->until_us ||
            learn_stop(gateway, role) != LEARN_OK)
            continue;
        snprintf(text, sizeof(text), "role %s: its time is over", role->name);
        gateway_event(gateway, EVENT_LEARN, OUTCOME_UNDECIDED, role->by, text);
    }
}

bool learn_copy(struct gateway *gateway, const struct learning *role, struct learn_copies *copies)
{
    *copies = (struct learn_copies){0};
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        struct worker_request *request = &requests[i];
        if (role->evidence[i] == NULL)
            continue;
        if (!worker_listens(gateway->workers[i])) {
            copies->silent++;
            continue;
        }
        struct evidence *copy = reserve(sizeof(*copy));
        if (copy == NULL)
            return false;
        request->kind = WORKER_LEARN_COPY;
        request->learn = (struct learn_change){.learn = gateway->learn.worker[i],
                                               .place = (uint32_t)(role - gateway->learn.role)};
        request->evidence = copy;
        request->copied = 0;
        if (worker_ask(gateway->workers[i], request))
            copies->evidence[copies->n++] = copy;
        else
            copies->silent++; /* the copy is left to the worker that may still write to it */
    }
    return true;
}

void learn_copies_free(struct learn_copies *copies)
{
    for (uint32_t i = 0; i < copies->n; i++)
        release(copies->evidence[i]);
    copies->n = 0;
}

void learn_fini(struct learn *learn)
{
    for (uint32_t w = 0; w < LEARN_WORKERS_MAX; w++) {
        for (uint32_t i = 0; i < LEARN_ROLES_MAX; i++)
            release(learn->role[i].evidence[w]);
        free(learn->worker[w]);
    }
    memset(learn, 0, sizeof(*learn));
}
