/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was learned, into the state directory and out of it. */
#include "gateway/errand.h"
#include "gateway/learn_file.h"
#include "gateway/learn_private.h"
#include "gateway/metrics.h"

_Static_assert(LEARN_FILE_EVIDENCE == LEARN_WORKERS_MAX, "a file holds what all workers have seen");

/* ---- writing ------------------------------------------------------------------------------------------- */

/* The disk may take its time (errand.h). */
struct writing {
    const char *state;
    uint32_t place;
    struct learn_file head;
    const struct evidence *const *evidence;
    int result;
};

static void write_it(void *of)
{
    struct writing *w = of;
    w->result = learn_file_write(w->state, w->place, &w->head, w->evidence);
}

static uint64_t wall_of(uint64_t monotonic_us)
{
    uint64_t now_us = gateway_monotonic_us();
    return gateway_wall_us() + (monotonic_us > now_us ? monotonic_us - now_us : 0);
}

/* `meanwhile`: events of workers are to be drained. */
static int write_evidence(struct gateway *gateway, struct learning *role,
                          const struct evidence *const *evidence, uint32_t n, bool meanwhile)
{
    struct writing w = {.state = gateway->generation->config->state,
                        .place = learn_place(&gateway->learn, role),
                        .head = {.active = role->active,
                                 .started_us = role->started_us,
                                 .stopped_us = role->stopped_us,
                                 .until_us = role->until_us == 0 ? 0 : wall_of(role->until_us),
                                 .kept_us = gateway_wall_us(),
                                 .revision = role->revision,
                                 .key = role->key,
                                 .evidence_n = n},
                        .evidence = evidence};
    memcpy(w.head.role, role->name, sizeof(w.head.role));
    memcpy(w.head.by, role->by, sizeof(w.head.by));
    memcpy(w.head.fingerprint, role->fingerprint, sizeof(w.head.fingerprint));
    errand_run(write_it, &w, meanwhile ? gateway_drain_events : NULL, gateway);
    if (w.result == 0)
        role->kept_us = w.head.kept_us;
    return w.result;
}

static void count(const struct learn *learn)
{
    metrics_learn_update(&(struct metrics_learn){learn->kept, learn->not_kept, learn->refused});
}

/* Told when it begins to fail, not each time. */
static int settle(struct gateway *gateway, struct learning *role, int result)
{
    char text[EVENT_DETAIL_MAX];
    if (result != 0 && -result != role->keep_error) {
        snprintf(text, sizeof(text), "role %s: what was learned cannot be kept: %s", role->name,
                 strerror(-result));
        gateway_event(gateway, EVENT_LEARN, OUTCOME_UNDECIDED, role->by, text);
        gateway_say(gateway, 0, "learn: %s", text);
    }
    role->keep_error = -result;
    role->keep_tried_us = gateway_monotonic_us();
    gateway->learn.kept += result == 0;
    gateway->learn.not_kept += result != 0;
    count(&gateway->learn);
    return result;
}

/* Without what a worker has that does not answer the file stays as it is: it holds more. */
int learn_keep(struct gateway *gateway, struct learning *role)
{
    struct learn_copies copies;
    int result = -ENOMEM;
    if (learn_copy(gateway, role, &copies))
        result =
            copies.silent != 0 ? -EAGAIN : write_evidence(gateway, role, copies.evidence, copies.n, true);
    learn_copies_free(&copies);
    return settle(gateway, role, result);
}

void learn_keep_tick(struct gateway *gateway)
{
    uint64_t now_us = gateway_monotonic_us();
    for (uint32_t i = 0; i < LEARN_ROLES_MAX; i++) {
        struct learning *role = &gateway->learn.role[i];
        if (!role->active || now_us < role->keep_tried_us + LEARN_KEEP_US)
            continue;
        (void)learn_keep(gateway, role);
        return; /* the others at the next ticks */
    }
}

void learn_keep_at_end(struct gateway *gateway)
{
    for (uint32_t i = 0; i < LEARN_ROLES_MAX; i++) {
        struct learning *role = &gateway->learn.role[i];
        const struct evidence *evidence[LEARN_WORKERS_MAX];
        uint32_t n = 0;
        bool kept = !role->active && role->kept_us >= role->stopped_us && role->kept_us != 0;
        if (role->name[0] == '\0' || kept)
            continue;
        for (uint32_t w = 0; w < LEARN_WORKERS_MAX; w++)
            if (role->evidence[w] != NULL)
                evidence[n++] = role->evidence[w];
        (void)settle(gateway, role, write_evidence(gateway, role, evidence, n, false));
    }
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static void forget(struct learning *role)
{
    for (uint32_t i = 0; i < LEARN_WORKERS_MAX; i++)
        learn_release(role->evidence[i]);
    memset(role, 0, sizeof(*role));
}

/* What a file says of a role; nothing of it is a worker's yet. */
static void take_head(struct learning *role, const struct learn_file *head)
{
    uint64_t now_us = gateway_wall_us();
    bool over = head->active && head->until_us != 0 && head->until_us <= now_us;
    memcpy(role->name, head->role, sizeof(role->name));
    memcpy(role->by, head->by, sizeof(role->by));
    memcpy(role->fingerprint, head->fingerprint, sizeof(role->fingerprint));
    role->revision = head->revision;
    role->active = head->active && !over;
    role->started_us = head->started_us;
    role->stopped_us = over ? head->until_us : head->stopped_us;
    role->until_us =
        role->active && head->until_us != 0 ? gateway_monotonic_us() + (head->until_us - now_us) : 0;
    role->taken_up_us = now_us;
    role->kept_us = head->kept_us;
    role->keep_tried_us = gateway_monotonic_us();
    role->key = head->key;
    role->has_key = true;
}

static int read_role(struct gateway *gateway, struct learning *role)
{
    struct learn_reading reading;
    int result =
        learn_file_open(gateway->generation->config->state, learn_place(&gateway->learn, role), &reading);
    if (result != 0)
        return result;
    if (learn_find(&gateway->learn, reading.head.role) != NULL)
        result = -EEXIST;
    else
        take_head(role, &reading.head);
    for (uint32_t i = 0; result == 0 && i < reading.head.evidence_n; i++) {
        role->evidence[i] = learn_reserve(role);
        if (role->evidence[i] == NULL)
            result = -ENOMEM;
        else if (!learn_file_next(&reading, role->evidence[i]))
            result = -EBADMSG;
    }
    if (result == 0 && cursor_left(&reading.rest) != 0)
        result = -EBADMSG;
    learn_file_close(&reading);
    return result;
}

/* Hands workers what is theirs; those that there were not before begin with nothing. */
static bool hand_out(struct gateway *gateway, struct learning *role)
{
    bool good = learn_make_workers(gateway);
    for (uint32_t i = 0; good && i < gateway->workers_n; i++) {
        struct evidence *evidence = role->evidence[i] != NULL ? role->evidence[i] : learn_reserve(role);
        role->evidence[i] = NULL;
        good = evidence != NULL && learn_hand_over(gateway, role, i, evidence) == LEARN_OK;
    }
    return good;
}

static void tell(struct gateway *gateway, const struct learning *role, const char *by, int result)
{
    char text[EVENT_DETAIL_MAX], file[32];
    snprintf(file, sizeof(file), "learned/%02u.evidence", learn_place(&gateway->learn, role));
    if (result == 0)
        snprintf(text, sizeof(text), "role %s: %s from %s", role->name,
                 role->active ? "learning goes on" : "what was learned is taken", file);
    else
        snprintf(text, sizeof(text), "%s is not taken: %s", file, learn_file_problem(result));
    gateway_event(gateway, EVENT_LEARN, OUTCOME_UNDECIDED, by, text);
    gateway_say(gateway, 0, "learn: %s", text);
}

void learn_take_up(struct gateway *gateway)
{
    for (uint32_t i = 0; i < LEARN_ROLES_MAX; i++) {
        struct learning *role = &gateway->learn.role[i];
        int result = read_role(gateway, role);
        if (result == -ENOENT)
            continue;
        if (result == 0 && !hand_out(gateway, role))
            result = -ENOMEM; /* what a worker may have stays reserved */
        tell(gateway, role, result == 0 ? role->by : "", result);
        if (result == -EACCES || result == -ENOTDIR) {
            gateway->learn.refused++;
            count(&gateway->learn);
            return; /* it is the folder: said once */
        }
        if (result == 0)
            continue;
        gateway->learn.refused++;
        count(&gateway->learn);
        if (result == -ENOMEM)
            memset(role, 0, sizeof(*role));
        else
            forget(role);
    }
}
