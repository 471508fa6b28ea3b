/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/learn_file.h"
#include "gateway/learn_private.h"

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
    case LEARN_DISK:
        return "its file in the state directory cannot be removed";
    }
    return "";
}

struct evidence *learn_reserve(const struct learning *role)
{
    struct evidence *evidence = mmap(NULL, sizeof(*evidence), PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (evidence == MAP_FAILED)
        return NULL;
    evidence_init(evidence, learn_hash, &role->key);
    return evidence;
}

void learn_release(const struct evidence *evidence)
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
static bool make_key(struct learning *role)
{
    uint8_t secret[16];
    if (role->has_key)
        return true;
    if (getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret))
        return false;
    role->key = siphash_key_of(secret);
    role->has_key = true;
    explicit_bzero(secret, sizeof(secret));
    return true;
}

bool learn_make_workers(struct gateway *gateway)
{
    struct learn *learn = &gateway->learn;
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        if (learn->worker[i] == NULL)
            learn->worker[i] = calloc(1, sizeof(*learn->worker[i]));
        if (learn->worker[i] == NULL)
            return false;
    }
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

enum learn_result learn_hand_over(struct gateway *gateway, struct learning *role, uint32_t worker,
                                  struct evidence *evidence)
{
    struct learn *learn = &gateway->learn;
    struct learn_change change = {.learn = learn->worker[worker],
                                  .place = learn_place(learn, role),
                                  .fresh = true,
                                  .role = {.active = role->active, .evidence = evidence}};
    struct evidence *old = role->evidence[worker];
    memcpy(change.role.name, role->name, sizeof(change.role.name));
    if (!worker_listens(gateway->workers[worker])) {
        learn_release(evidence);
        return LEARN_SILENT;
    }
    role->evidence[worker] = evidence;
    if (!ask_change(gateway, worker, &change))
        return LEARN_SILENT; /* it will be the worker's when it answers; the old one is never given back */
    learn_release(old);
    return LEARN_OK;
}

static enum learn_result start_on(struct gateway *gateway, struct learning *role, uint32_t worker)
{
    struct evidence *evidence = learn_reserve(role);
    return evidence == NULL ? LEARN_MEMORY : learn_hand_over(gateway, role, worker, evidence);
}

static void drop_earlier(const struct gateway *gateway, struct learning *role)
{
    for (uint32_t i = gateway->workers_n; i < LEARN_WORKERS_MAX; i++) {
        learn_release(role->evidence[i]);
        role->evidence[i] = NULL;
    }
}

static uint64_t until(uint64_t for_us)
{
    return for_us == 0 ? 0 : gateway_monotonic_us() + for_us;
}

enum learn_result learn_start(struct gateway *gateway, const char *name, const char *by, uint64_t for_us)
{
    struct learning *role = place_for(&gateway->learn, name);
    if (role == NULL)
        return LEARN_FULL;
    if (!learn_make_workers(gateway) || !make_key(role))
        return LEARN_MEMORY;
    drop_earlier(gateway, role);
    event_set_name(role->name, sizeof(role->name), bytes_of_text(name));
    event_set_name(role->by, sizeof(role->by), bytes_of_text(by));
    snprintf(role->fingerprint, sizeof(role->fingerprint), "%s",
             snapshot_fingerprint(gateway->generation->policy));
    role->revision = gateway->generation->number;
    role->active = true;
    role->started_us = gateway_wall_us();
    role->stopped_us = role->taken_up_us = role->kept_us = 0;
    role->keep_error = 0;
    role->keep_tried_us = gateway_monotonic_us();
    role->until_us = until(for_us);
    enum learn_result result = LEARN_OK;
    for (uint32_t i = 0; i < gateway->workers_n && result == LEARN_OK; i++)
        result = start_on(gateway, role, i);
    return result;
}

/* Whether workers note what the role does, with the evidence that they have. */
static enum learn_result set_active(struct gateway *gateway, struct learning *role, bool active)
{
    enum learn_result result = LEARN_OK;
    for (uint32_t i = 0; i < gateway->workers_n; i++) {
        struct learn_change change = {.learn = gateway->learn.worker[i],
                                      .place = learn_place(&gateway->learn, role),
                                      .role = {.active = active}};
        if (role->evidence[i] != NULL && !ask_change(gateway, i, &change))
            result = LEARN_SILENT;
    }
    return result;
}

enum learn_result learn_resume(struct gateway *gateway, const char *name, const char *by, uint64_t for_us)
{
    struct learning *role = learn_find(&gateway->learn, name);
    if (role == NULL)
        return learn_start(gateway, name, by, for_us);
    enum learn_result result = role->active ? LEARN_OK : set_active(gateway, role, true);
    if (result != LEARN_OK)
        return result;
    role->active = true;
    role->stopped_us = 0;
    role->until_us = until(for_us);
    return LEARN_OK;
}

enum learn_result learn_stop(struct gateway *gateway, struct learning *role)
{
    enum learn_result result = set_active(gateway, role, false);
    if (result != LEARN_OK)
        return result;
    role->active = false;
    role->until_us = 0;
    role->stopped_us = gateway_wall_us();
    (void)learn_keep(gateway, role); /* a failure stays to be told */
    return LEARN_OK;
}

enum learn_result learn_forget(struct gateway *gateway, struct learning *role)
{
    enum learn_result result = LEARN_OK;
    role->active = false;
    role->name[0] = '\0';
    for (uint32_t i = 0; i < gateway->workers_n && result == LEARN_OK; i++)
        if (role->evidence[i] != NULL)
            result = learn_hand_over(gateway, role, i, NULL);
    drop_earlier(gateway, role);
    if (result == LEARN_OK &&
        learn_file_remove(gateway->generation->config->state, learn_place(&gateway->learn, role)) != 0)
        result = LEARN_DISK;
    return result;
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
    learn_keep_tick(gateway);
}

/* What a worker that answers has, in parts, between its iterations. */
static bool copy_of_worker(struct gateway *gateway, const struct learning *role, uint32_t worker,
                           struct evidence *copy)
{
    struct worker_request *request = &requests[worker];
    request->kind = WORKER_LEARN_COPY;
    request->learn = (struct learn_change){.learn = gateway->learn.worker[worker],
                                           .place = learn_place(&gateway->learn, role)};
    request->evidence = copy;
    request->copied = 0;
    return worker_ask(gateway->workers[worker], request);
}

bool learn_copy(struct gateway *gateway, const struct learning *role, struct learn_copies *copies)
{
    *copies = (struct learn_copies){0};
    for (uint32_t i = 0; i < LEARN_WORKERS_MAX; i++) {
        bool earlier = i >= gateway->workers_n;
        if (role->evidence[i] == NULL)
            continue;
        if (!earlier && !worker_listens(gateway->workers[i])) {
            copies->silent++;
            continue;
        }
        struct evidence *copy = learn_reserve(role);
        if (copy == NULL)
            return false;
        if (earlier)
            memcpy(copy, role->evidence[i], sizeof(*copy));
        if (earlier || copy_of_worker(gateway, role, i, copy))
            copies->evidence[copies->n++] = copy;
        else
            copies->silent++; /* the copy is left to the worker that may still write to it */
    }
    return true;
}

void learn_copies_free(struct learn_copies *copies)
{
    for (uint32_t i = 0; i < copies->n; i++)
        learn_release(copies->evidence[i]);
    copies->n = 0;
}

void learn_fini(struct learn *learn)
{
    for (uint32_t w = 0; w < LEARN_WORKERS_MAX; w++) {
        for (uint32_t i = 0; i < LEARN_ROLES_MAX; i++)
            learn_release(learn->role[i].evidence[w]);
        free(learn->worker[w]);
    }
    memset(learn, 0, sizeof(*learn));
}
