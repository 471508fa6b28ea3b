/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rates of a session (F2, F3): of its client, its source, its role, its listener and its upstream at once.
 * Where the policy is to wait, a packet is not read before all rates let it pass; else it is read and judged.
 */
#include "policy/mqtt/guard_private.h"

static const char *const scope_texts[GUARD_SCOPES] = {
    [GUARD_CLIENT] = "of the client",     [GUARD_SOURCE] = "of the source",     [GUARD_ROLE] = "of the role",
    [GUARD_LISTENER] = "of the listener", [GUARD_UPSTREAM] = "of the upstream",
};

const char *mqtt_guard_scope_text(enum guard_scope scope)
{
    return scope < GUARD_SCOPES ? scope_texts[scope] : "";
}

/* ---- one meter ---------------------------------------------------------------------------------------- */

static bool allows(const struct guard_meter *m, enum rate_kind kind, uint64_t n, uint64_t now_us)
{
    return m->shared != NULL ? shared_buckets_allow(m->shared, m->rates, kind, n, now_us)
                             : rate_buckets_allow(m->own, m->rates, kind, n, now_us);
}

static bool take(const struct guard_meter *m, enum rate_kind kind, uint64_t n, uint64_t now_us)
{
    return m->shared != NULL ? shared_buckets_take(m->shared, m->rates, kind, n, now_us)
                             : rate_buckets_take(m->own, m->rates, kind, n, now_us);
}

static uint64_t ready_us(const struct guard_meter *m, enum rate_kind kind, uint64_t n, uint64_t now_us)
{
    return m->shared != NULL ? shared_buckets_ready_us(m->shared, m->rates, kind, n, now_us)
                             : rate_buckets_ready_us(m->own, m->rates, kind, n, now_us);
}

static uint64_t unpaid(const struct guard_meter *m)
{
    if (!rates_limit(m->rates, RATE_BYTES))
        return 0;
    return m->shared != NULL ? atomic_load_explicit(&m->shared->unpaid_bytes, memory_order_relaxed)
                             : m->own->unpaid_bytes;
}

static void add_unpaid(const struct guard_meter *m, uint64_t bytes)
{
    if (m->shared != NULL)
        atomic_fetch_add_explicit(&m->shared->unpaid_bytes, bytes, memory_order_relaxed);
    else
        m->own->unpaid_bytes += bytes;
}

static void forgive(const struct guard_meter *m, uint64_t bytes)
{
    add_unpaid(m, -bytes);
}

/* Pays what was taken before; another worker may have done so in the meantime. */
static bool pay(const struct guard_meter *m, uint64_t now_us)
{
    uint64_t bytes;
    if (m->shared != NULL)
        bytes = atomic_exchange_explicit(&m->shared->unpaid_bytes, 0, memory_order_relaxed);
    else
        bytes = unpaid(m);
    if (bytes == 0)
        return true;
    bool paid = take(m, RATE_BYTES, bytes, now_us);
    if (m->shared != NULL && !paid)
        add_unpaid(m, bytes);
    else if (m->shared == NULL && paid)
        m->own->unpaid_bytes = 0;
    return paid;
}

/* ---- all of a session --------------------------------------------------------------------------------- */

void mqtt_guard_meter(struct mqtt_guard *g, const struct guard_meter *meter)
{
    static const enum rate_kind kinds[] = {RATE_PUBLISHES, RATE_BYTES, RATE_SUBSCRIBES, RATE_PINGS};
    bool limits = false;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        limits |= rates_limit(meter->rates, kinds[i]);
    if (limits && g->meters_n < GUARD_SCOPES && (meter->own != NULL || meter->shared != NULL))
        g->meters[g->meters_n++] = *meter;
}

void mqtt_guard_count_bytes(struct mqtt_guard *g, size_t bytes)
{
    for (uint32_t i = 0; i < g->meters_n; i++)
        if (rates_limit(g->meters[i].rates, RATE_BYTES))
            add_unpaid(&g->meters[i], bytes);
}

/* What a packet counts as, beside its bytes; RATE_BYTES for one that has no rate of its own. */
static enum rate_kind kind_of(enum mqtt_type type)
{
    switch (type) {
    case MQTT_PUBLISH:
        return RATE_PUBLISHES;
    case MQTT_SUBSCRIBE:
        return RATE_SUBSCRIBES;
    case MQTT_PINGREQ:
        return RATE_PINGS;
    default:
        return RATE_BYTES;
    }
}

/* Whether a packet over this rate waits, instead of being judged. */
static bool waits(const struct mqtt_guard *g, const struct guard_meter *m, enum rate_kind kind, bool qos)
{
    if (g->observe)
        return false;
    if (m->rates->over == POLICY_DROP)
        return kind == RATE_SUBSCRIBES || (kind == RATE_PUBLISHES && qos);
    return m->rates->over == POLICY_DELAY;
}

bool guard_meters_admit(struct mqtt_guard *g, uint8_t first_byte, uint64_t now_us, uint64_t *until_us)
{
    enum rate_kind kind = kind_of((enum mqtt_type)(first_byte >> 4));
    bool qos = (first_byte & 0x06) != 0;
    uint64_t due_us = now_us;
    for (uint32_t i = 0; i < g->meters_n; i++) {
        const struct guard_meter *m = &g->meters[i];
        if (!waits(g, m, kind, qos))
            continue;
        uint64_t bytes = unpaid(m), at_us = now_us;
        if (bytes != 0)
            at_us = ready_us(m, RATE_BYTES, bytes, now_us);
        due_us = at_us > due_us ? at_us : due_us;
        if (kind != RATE_BYTES && rates_limit(m->rates, kind))
            at_us = ready_us(m, kind, 1, now_us);
        due_us = at_us > due_us ? at_us : due_us;
    }
    if (due_us > now_us) {
        *until_us = due_us;
        return false;
    }
    for (uint32_t i = 0; i < g->meters_n; i++) {
        const struct guard_meter *m = &g->meters[i];
        if (!waits(g, m, kind, qos))
            continue;
        (void)pay(m, now_us);
        if (kind != RATE_BYTES && rates_limit(m->rates, kind))
            (void)take(m, kind, 1, now_us);
    }
    return true;
}

static enum outcome outcome_of(enum rate_kind kind)
{
    return kind == RATE_PUBLISHES    ? OUTCOME_RATE_PUBLISHES
           : kind == RATE_SUBSCRIBES ? OUTCOME_RATE_SUBSCRIBES
                                     : OUTCOME_RATE_PINGS;
}

static enum outcome judge(const struct guard_meter *m, enum rate_kind kind, uint64_t now_us)
{
    uint64_t bytes = unpaid(m);
    if (rates_limit(m->rates, kind) && !allows(m, kind, 1, now_us))
        return outcome_of(kind);
    /* A PINGREQ is too short to be refused for bytes. */
    return kind != RATE_PINGS && bytes != 0 && !allows(m, RATE_BYTES, bytes, now_us) ? OUTCOME_RATE_BYTES
                                                                                     : OUTCOME_ALLOWED;
}

enum outcome guard_meters_judge(struct mqtt_guard *g, enum rate_kind kind, uint8_t qos, uint64_t now_us,
                                struct guard_verdict *v)
{
    v->rate_kind = (uint8_t)kind;
    v->qos = qos;
    for (uint32_t i = 0; i < g->meters_n; i++) {
        const struct guard_meter *m = &g->meters[i];
        if (waits(g, m, kind, qos != 0))
            continue;
        v->counts = true;
        enum outcome outcome = judge(m, kind, now_us);
        if (outcome == OUTCOME_ALLOWED)
            continue;
        v->scope = m->scope;
        v->over = (uint8_t)m->rates->over;
        v->quarantine_us = m->rates->over == POLICY_QUARANTINE && !g->observe ? m->rates->quarantine_us : 0;
        return outcome;
    }
    return OUTCOME_ALLOWED;
}

void guard_meters_count(struct mqtt_guard *g, const struct guard_verdict *v, uint64_t now_us)
{
    enum rate_kind kind = (enum rate_kind)v->rate_kind;
    for (uint32_t i = 0; i < g->meters_n; i++) {
        const struct guard_meter *m = &g->meters[i];
        if (waits(g, m, kind, v->qos != 0))
            continue;
        if (rates_limit(m->rates, kind))
            (void)take(m, kind, 1, now_us);
        uint64_t bytes = unpaid(m);
        /* What was dropped for its bytes is forgiven, or nothing would ever pass again. */
        if (bytes != 0 && !pay(m, now_us) && v->outcome == OUTCOME_RATE_BYTES && v->scope == m->scope)
            forgive(m, bytes);
    }
}
