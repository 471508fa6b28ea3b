/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/candidate_limits.h"

#include "policy/access/hash.h"

#include <stdio.h>
#include <sys/mman.h>

struct candidate_meter {
    uint64_t key; /* 0: free */
    uint64_t used_us;
    struct rate_buckets buckets;
};

static const struct candidate_view nothing = {.outcome = OUTCOME_ALLOWED, .state = CANDIDATE_ALLOW};

const char *candidate_state_text(uint8_t state)
{
    static const char *const texts[CANDIDATE_STATES] = {"allow", "observe", "delay", "deny", "disconnect"};
    return state < CANDIDATE_STATES ? texts[state] : "?";
}

const char *candidate_limit_text(uint8_t limit, char to[CANDIDATE_LIMIT_TEXT])
{
    static const char *const scopes[GUARD_SCOPES] = {
        [GUARD_CLIENT] = "limits",
        [GUARD_SOURCE] = "listener's per_source",
        [GUARD_ROLE] = "total",
        [GUARD_LISTENER] = "listener's total",
        [GUARD_UPSTREAM] = "listener's prefix",
    };
    static const char *const kinds[RATE_KINDS] = {"publishes", "bytes",    "subscribes",
                                                  "pings",     "connects", "requests"};
    static const char *const others[] = {"limits.packet",    "limits.subscriptions", "inflight",
                                         "limits.exchanges", "limits.observations",  "users_file"};
    if (limit == CANDIDATE_LIMIT_NONE || limit >= CANDIDATE_LIMITS)
        to[0] = '\0';
    else if (limit < CANDIDATE_LIMIT_RATES)
        snprintf(to, CANDIDATE_LIMIT_TEXT, "%s.%s", scopes[(limit - 1) / RATE_KINDS],
                 kinds[(limit - 1) % RATE_KINDS]);
    else
        snprintf(to, CANDIDATE_LIMIT_TEXT, "%s", others[limit - CANDIDATE_LIMIT_RATES]);
    return to;
}

bool candidate_limits_init(struct candidate_limits *limits, uint32_t places)
{
    uint32_t n = 64;
    while (n < places)
        n *= 2;
    void *at = mmap(NULL, n * sizeof(struct candidate_meter), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *limits = (struct candidate_limits){.mask = n - 1, .meters = at == MAP_FAILED ? NULL : at};
    return limits->meters != NULL;
}

void candidate_limits_fini(struct candidate_limits *limits)
{
    if (limits->meters != NULL)
        munmap(limits->meters, (limits->mask + (size_t)1) * sizeof(struct candidate_meter));
    limits->meters = NULL;
}

/* ---- rates ----------------------------------------------------------------------------------------------
 */

/* The buckets of this name, or those that are least missed. */
static struct rate_buckets *buckets_of(struct candidate_limits *limits, uint64_t key, uint64_t now_us)
{
    struct candidate_meter *oldest = NULL;
    key = key == 0 ? 1 : key;
    for (uint32_t i = 0; i < CANDIDATE_METER_PROBES; i++) {
        struct candidate_meter *meter = &limits->meters[(key + i) & limits->mask];
        if (meter->key == key) {
            meter->used_us = now_us;
            return &meter->buckets;
        }
        if (oldest == NULL || (meter->key == 0 && oldest->key != 0) ||
            ((meter->key == 0) == (oldest->key == 0) && meter->used_us < oldest->used_us))
            oldest = meter;
    }
    limits->displaced += oldest->key != 0;
    *oldest = (struct candidate_meter){.key = key, .used_us = now_us};
    return &oldest->buckets;
}

/* One of the rates that an action counts against, and how. */
struct meter {
    uint8_t scope; /* enum guard_scope; GUARD_UPSTREAM: a prefix */
    const struct rates *rates;
    struct rate_buckets *own;
    struct shared_buckets *shared;
};

struct counting {
    uint32_t n;
    struct meter meter[GUARD_SCOPES];
    enum rate_kind kind; /* of one token, beside RATE_BYTES of `bytes` */
    uint32_t bytes;      /* 0: none */
};

/* False: no rate is about it. */
static bool kind_of(const struct judged_action *action, struct counting *c)
{
    c->bytes = action->bytes;
    switch (action->kind) {
    case JUDGED_CONNECT:
        c->kind = RATE_CONNECTS;
        c->bytes = 0; /* they are counted once it is in */
        return true;
    case JUDGED_PUBLISH:
        c->kind = RATE_PUBLISHES;
        return true;
    case JUDGED_SUBSCRIBE:
        c->kind = RATE_SUBSCRIBES;
        return true;
    case JUDGED_PING:
        c->kind = RATE_PINGS;
        return true;
    case JUDGED_REQUEST:
        c->kind = RATE_REQUESTS;
        return true;
    case JUDGED_WILL:
    case JUDGED_TERMS:
    case JUDGED_DELIVERY:
    case JUDGED_KINDS:
        break;
    }
    return false;
}

static bool limits_any(const struct rates *rates, const struct counting *c)
{
    return rates_limit(rates, c->kind) || (c->bytes != 0 && rates_limit(rates, RATE_BYTES));
}

static void add_own(struct candidate_limits *limits, const struct candidate_asked *asked, struct counting *c,
                    uint8_t scope, const struct rates *rates, uint64_t key)
{
    if (limits_any(rates, c))
        c->meter[c->n++] = (struct meter){
            .scope = scope,
            .rates = rates,
            .own = buckets_of(limits, hash_fold(key ^ (uint64_t)scope << 56, HASH_ODD_1), asked->now_us)};
}

static void add_shared(struct counting *c, uint8_t scope, const struct rates *rates,
                       struct shared_buckets *shared)
{
    if (shared != NULL && limits_any(rates, c))
        c->meter[c->n++] = (struct meter){.scope = scope, .rates = rates, .shared = shared};
}

static uint64_t key_of_client(const struct candidate_asked *asked)
{
    const struct identity *identity = asked->identity;
    return identity->name_len == 0
               ? hash_fold(asked->session, HASH_ODD_2)
               : hash_bytes((const uint8_t *)identity->name, identity->name_len, HASH_ODD_2);
}

/* The first bits of an address, of which IPv4's lie at its end. */
static uint64_t key_of_source(const uint8_t address[16], const struct config_prefix *prefix)
{
    static const uint8_t v4[12] = {[10] = 0xFF, [11] = 0xFF};
    uint8_t text[16];
    uint32_t bits = 128;
    if (prefix != NULL)
        bits = memcmp(address, v4, sizeof(v4)) == 0 ? 96U + prefix->v4_bits : prefix->v6_bits;
    for (uint32_t i = 0; i < sizeof(text); i++)
        text[i] = bits >= 8 * (i + 1) ? address[i]
                  : bits <= 8 * i     ? 0
                                      : (uint8_t)(address[i] & (0xFF << (8 * (i + 1) - bits)));
    return hash_bytes(text, sizeof(text), HASH_ODD_2);
}

static void gather(struct candidate_limits *limits, const struct candidate_asked *asked, struct counting *c)
{
    const struct judged_subject *who = asked->action->who;
    const struct policy_role *role = asked->identity->role;
    const struct config_listener *listener =
        who->listener == NULL ? NULL : who->listener(who->owner, asked->next);
    struct client_facts facts;
    add_own(limits, asked, c, GUARD_CLIENT, &role->limits.rates, key_of_client(asked));
    if (listener != NULL && asked->action->kind != JUDGED_CONNECT && who->facts(who->owner, &facts)) {
        if (who->coap)
            add_own(limits, asked, c, GUARD_UPSTREAM, &listener->prefix.rates,
                    key_of_source(facts.source, &listener->prefix));
        else
            add_own(limits, asked, c, GUARD_SOURCE, &listener->per_source, key_of_source(facts.source, NULL));
    }
    add_shared(c, GUARD_ROLE, &role->total, rate_totals_role(asked->totals, role->index));
    if (listener != NULL)
        add_shared(
            c, GUARD_LISTENER, &listener->total,
            rate_totals_listener(asked->totals, (uint32_t)(listener - asked->next->config->listeners)));
}

static bool allows(const struct meter *m, enum rate_kind kind, uint64_t n, uint64_t now_us)
{
    if (n == 0 || !rates_limit(m->rates, kind))
        return true;
    return m->shared != NULL ? shared_buckets_allow(m->shared, m->rates, kind, n, now_us)
                             : rate_buckets_allow(m->own, m->rates, kind, n, now_us);
}

static void take(const struct meter *m, enum rate_kind kind, uint64_t n, uint64_t now_us)
{
    if (n == 0 || !rates_limit(m->rates, kind))
        return;
    if (m->shared != NULL)
        (void)shared_buckets_take(m->shared, m->rates, kind, n, now_us);
    else
        (void)rate_buckets_take(m->own, m->rates, kind, n, now_us);
}

static enum outcome outcome_of(enum rate_kind kind)
{
    static const enum outcome outcomes[RATE_KINDS] = {
        [RATE_PUBLISHES] = OUTCOME_RATE_PUBLISHES,   [RATE_BYTES] = OUTCOME_RATE_BYTES,
        [RATE_SUBSCRIBES] = OUTCOME_RATE_SUBSCRIBES, [RATE_PINGS] = OUTCOME_RATE_PINGS,
        [RATE_CONNECTS] = OUTCOME_RATE_CONNECTS,     [RATE_REQUESTS] = OUTCOME_RATE_REQUESTS,
    };
    return outcomes[kind];
}

/* What a policy does about what is over a rate of its own (guard_meters.c, relay_coap_limits.c). */
static uint8_t state_over(const struct rates *rates, const struct judged_action *action)
{
    bool lasts = action->kind == JUDGED_SUBSCRIBE || (action->kind == JUDGED_PUBLISH && action->qos != 0);
    if (action->kind == JUDGED_CONNECT || action->who->coap)
        return CANDIDATE_DENY;
    switch (rates->over) {
    case POLICY_DELAY:
        return CANDIDATE_DELAY;
    case POLICY_DROP:
        return lasts ? CANDIDATE_DELAY : CANDIDATE_DENY;
    case POLICY_QUOTA:
        return CANDIDATE_DENY;
    case POLICY_DISCONNECT:
    case POLICY_QUARANTINE:
        break;
    }
    return CANDIDATE_END;
}

static struct candidate_view over(const struct meter *m, enum rate_kind kind,
                                  const struct candidate_asked *asked, bool observe)
{
    return (struct candidate_view){.outcome = outcome_of(kind),
                                   .state = observe ? CANDIDATE_OBSERVE : state_over(m->rates, asked->action),
                                   .limit = (uint8_t)(1 + m->scope * RATE_KINDS + (uint8_t)kind)};
}

/* When it came: what waited for a rate in force did so before now. */
static uint64_t came_us(const struct candidate_asked *asked)
{
    uint64_t since_us = asked->action->waited_since_us;
    return since_us != 0 ? since_us : asked->now_us;
}

static struct candidate_view judge_rates(const struct counting *c, const struct candidate_asked *asked,
                                         bool observe)
{
    uint64_t at_us = came_us(asked);
    for (uint32_t i = 0; i < c->n; i++) {
        if (!allows(&c->meter[i], c->kind, 1, at_us))
            return over(&c->meter[i], c->kind, asked, observe);
        /* A PINGREQ is too short to be refused for bytes. */
        if (c->kind != RATE_PINGS && !allows(&c->meter[i], RATE_BYTES, c->bytes, at_us))
            return over(&c->meter[i], RATE_BYTES, asked, observe);
    }
    return nothing;
}

static struct candidate_view ask_rates(struct candidate_limits *limits, const struct candidate_asked *asked,
                                       struct counting *c, bool observe)
{
    gather(limits, asked, c);
    struct candidate_view view = judge_rates(c, asked, observe);
    /* What has waited goes on now, as it would have. */
    if (view.outcome != OUTCOME_ALLOWED && asked->action->waited_since_us == 0)
        return view;
    for (uint32_t i = 0; i < c->n; i++) {
        take(&c->meter[i], c->kind, 1, asked->now_us);
        take(&c->meter[i], RATE_BYTES, c->bytes, asked->now_us);
    }
    return view;
}

/* ---- what is the same in both -----------------------------------------------------------------------------
 */

static bool equal_rates(const struct rates *a, const struct rates *b, const struct counting *c)
{
    return a->over == b->over && memcmp(a->of[c->kind], b->of[c->kind], sizeof(a->of[0])) == 0 &&
           (c->bytes == 0 || memcmp(a->of[RATE_BYTES], b->of[RATE_BYTES], sizeof(a->of[0])) == 0);
}

static bool compare_rates(const struct candidate_asked *asked, const struct counting *c)
{
    const struct judged_subject *who = asked->action->who;
    const struct policy_role *now = who->identity->role, *then = asked->identity->role;
    if (now == NULL || !equal_rates(&now->limits.rates, &then->limits.rates, c) ||
        !equal_rates(&now->total, &then->total, c) || strcmp(now->name, then->name) != 0)
        return false;
    if (who->listener == NULL)
        return true;
    const struct config_listener *here = who->listener(who->owner, asked->live);
    const struct config_listener *there = who->listener(who->owner, asked->next);
    return here != NULL && there != NULL && equal_rates(&here->total, &there->total, c) &&
           equal_rates(&here->per_source, &there->per_source, c) &&
           equal_rates(&here->prefix.rates, &there->prefix.rates, c) &&
           here->prefix.v4_bits == there->prefix.v4_bits && here->prefix.v6_bits == there->prefix.v6_bits;
}

static bool same_rates(const struct candidate_asked *asked, const struct counting *c)
{
    uint8_t bit = (uint8_t)(1u << c->kind);
    if ((asked->same->known & bit) == 0 && compare_rates(asked, c))
        asked->same->same |= bit;
    asked->same->known |= bit;
    return (asked->same->same & bit) != 0;
}

/* What a limit in force did that the candidate has too. */
static struct candidate_view as_live(enum outcome outcome, bool observe, uint8_t state)
{
    return (struct candidate_view){.outcome = outcome, .state = observe ? CANDIDATE_OBSERVE : state};
}

static bool is_rate(enum outcome outcome)
{
    return outcome == OUTCOME_RATE_CONNECTS || outcome == OUTCOME_RATE_PUBLISHES ||
           outcome == OUTCOME_RATE_BYTES || outcome == OUTCOME_RATE_SUBSCRIBES ||
           outcome == OUTCOME_RATE_PINGS || outcome == OUTCOME_RATE_REQUESTS;
}

static struct candidate_view judge_packet(struct candidate_limits *limits,
                                          const struct candidate_asked *asked, bool observe)
{
    const struct judged_action *action = asked->action;
    struct counting c = {.n = 0};
    if (!kind_of(action, &c))
        return nothing;
    if (!same_rates(asked, &c))
        return ask_rates(limits, asked, &c, observe);
    if (is_rate(action->outcome))
        return as_live(action->outcome, observe,
                       state_over(&(struct rates){.over = (enum policy_over_limit)action->over}, action));
    return action->waited_since_us != 0 ? as_live(outcome_of(c.kind), observe, CANDIDATE_DELAY) : nothing;
}

static struct candidate_view rates_view(struct candidate_limits *limits, const struct candidate_asked *asked,
                                        bool observe)
{
    if (asked->action->kind != JUDGED_SUBSCRIBE)
        return judge_packet(limits, asked, observe);
    if (asked->action->part == 0)
        asked->same->filters = judge_packet(limits, asked, observe);
    return asked->same->filters;
}

/* ---- sizes and caps --------------------------------------------------------------------------------------
 */

static struct candidate_view capped(enum outcome outcome, uint8_t limit, bool observe, uint8_t state)
{
    return (struct candidate_view){
        .outcome = outcome, .state = observe ? CANDIDATE_OBSERVE : state, .limit = limit};
}

/* What becomes of a message above the cap on what is in flight (mqtt_law.h). */
static uint8_t state_overrun(const struct policy_role *role)
{
    switch (role->law.over) {
    case POLICY_OVERRUN_DROP:
        return CANDIDATE_DENY;
    case POLICY_OVERRUN_DISCONNECT:
        return CANDIDATE_END;
    case POLICY_OVERRUN_STANDARD: /* version 5 would have been told, and keep to it */
    case POLICY_OVERRUN_DELAY:
        break;
    }
    return CANDIDATE_DELAY;
}

static bool same_subscriptions(const struct policy_role *now, const struct policy_role *then)
{
    return now != NULL && now->limits.subscriptions == then->limits.subscriptions;
}

static bool same_inflight(const struct policy_role *now, const struct policy_role *then)
{
    return now != NULL && now->inflight == then->inflight && now->law.over == then->law.over;
}

static struct candidate_view ask_session(const struct candidate_asked *asked, bool observe)
{
    const struct judged_action *action = asked->action;
    const struct policy_role *role = asked->identity->role, *now = action->who->identity->role;
    const struct mqtt_guard *g = action->guard;
    if (g == NULL)
        return nothing;
    if (action->outcome == OUTCOME_SUBSCRIPTION_CAP && same_subscriptions(now, role))
        return as_live(action->outcome, observe, CANDIDATE_DENY);
    if (action->outcome == OUTCOME_INFLIGHT_CAP && same_inflight(now, role))
        return as_live(action->outcome, observe, CANDIDATE_DENY);
    bool client = action->kind == JUDGED_PUBLISH || action->kind == JUDGED_SUBSCRIBE;
    if (client && !observe && action->bytes > role->limits.packet_bytes)
        return capped(OUTCOME_PACKET_TOO_LARGE, CANDIDATE_LIMIT_PACKET, observe, CANDIDATE_END);
    if (action->kind == JUDGED_SUBSCRIBE && !same_subscriptions(now, role) &&
        !subscriptions_has(&g->subscriptions, action->topic) &&
        g->subscriptions.n + action->part >= role->limits.subscriptions)
        return capped(OUTCOME_SUBSCRIPTION_CAP, CANDIDATE_LIMIT_SUBSCRIPTIONS, observe, CANDIDATE_DENY);
    if (action->kind == JUDGED_PUBLISH && action->qos != 0 && !action->again && !same_inflight(now, role) &&
        g->up.used >= role->inflight)
        return capped(OUTCOME_INFLIGHT_CAP, CANDIDATE_LIMIT_INFLIGHT, observe, state_overrun(role));
    return nothing;
}

struct candidate_view candidate_limits_caps(const struct policy_role *role, bool observe,
                                            const struct judged_action *action)
{
    if (role == NULL || action->kind != JUDGED_REQUEST)
        return nothing;
    if (action->exchanges >= role->limits.exchanges)
        return capped(OUTCOME_EXCHANGE_CAP, CANDIDATE_LIMIT_EXCHANGES, observe, CANDIDATE_DENY);
    if (action->observes && action->observations >= role->limits.observations)
        return capped(OUTCOME_OBSERVATION_CAP, CANDIDATE_LIMIT_OBSERVATIONS, observe, CANDIDATE_DENY);
    return nothing;
}

struct candidate_view candidate_limits_ask(struct candidate_limits *limits,
                                           const struct candidate_asked *asked)
{
    const struct policy_role *role = asked->identity->role;
    bool observe = asked->next->config->observe || role->mode == POLICY_OBSERVE;
    struct candidate_view rates = rates_view(limits, asked, observe);
    struct candidate_view session = ask_session(asked, observe);
    struct candidate_view caps = candidate_limits_caps(role, observe, asked->action);
    struct candidate_view worst = rates.state >= session.state ? rates : session;
    return worst.state >= caps.state ? worst : caps;
}

/* ---- passwords -------------------------------------------------------------------------------------------
 */

/* As relay_mqtt_auth.c asks; a certificate that proves enough goes without a user name. */
static bool asks(const struct config_listener *listener, bool named)
{
    if (listener == NULL || (listener->auth & CONFIG_AUTH_PASSWORD) == 0)
        return false;
    return named || (listener->auth & (CONFIG_AUTH_ANONYMOUS | CONFIG_AUTH_CERT)) == 0;
}

struct candidate_view candidate_limits_user(const struct generation *live, const struct generation *next,
                                            const struct judged_action *action)
{
    static const struct candidate_view refused = {
        .outcome = OUTCOME_BAD_CREDENTIALS, .state = CANDIDATE_DENY, .limit = CANDIDATE_LIMIT_USER};
    static const struct candidate_view undecided = {.outcome = OUTCOME_UNDECIDED};
    const struct judged_subject *who = action->who;
    const struct mqtt_connect *connect = &action->packet->connect;
    bool good = action->outcome != OUTCOME_BAD_CREDENTIALS;
    if (who->listener == NULL || !asks(who->listener(who->owner, next), connect->has_user_name))
        return nothing;
    const struct user *then = users_find(snapshot_users(next->policy), connect->user_name);
    const struct user *now = users_find(snapshot_users(live->policy), connect->user_name);
    if (!connect->has_user_name || !connect->has_password || then == NULL)
        return refused;
    bool same = now != NULL && user_digest(now) == user_digest(then);
    if (same && (action->password || !good))
        return good ? nothing : refused;
    return good && action->password ? refused : undecided;
}
