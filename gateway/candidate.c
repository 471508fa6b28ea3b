/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Beside the policy in force: on the worker, in the middle of packets. */
#include "gateway/candidate.h"

#include "policy/access/hash.h"
#include "policy/coap/publish.h"
#include "policy/mqtt/opinion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ROW_PROBES 32
#define CLIENT_PROBES 8
#define TOLD_EVERY_US UINT64_C(60000000) /* of a row that goes on */
#define TOLD_GAP_US UINT64_C(50000)      /* between any two events of a worker, */
#define TOLD_BURST 20                    /* of which so many may come at once */
#define SLOTS_MAX (1U << 16)

/* Who a session would be. */
struct slot {
    uint64_t session;
    uint64_t stamp;
    uint64_t hash;      /* of its identity under the policy in force */
    uint64_t window_us; /* in which it was seen last */
    uint32_t in_window; /* and how often */
    bool known;         /* what follows was made out */
    struct candidate_same same;
    enum outcome outcome;
    struct identity identity;
};

struct candidate_worker {
    const struct candidate *of;
    struct candidate_place place;
    uint32_t against;
    uint32_t slots_mask;
    struct slot *slots;
    size_t slots_bytes;
    uint64_t window_us; /* end of it */
    uint32_t in_window;
    uint64_t told_us; /* any event: the next not before */
    struct candidate_limits limits;
    struct candidate_counts counts;
    struct candidate_row rows[CANDIDATE_ROWS];
    struct candidate_client clients[CANDIDATE_CLIENTS];
};

/* ---- birth and death: control thread ------------------------------------------------------------------- */

static struct candidate_worker *create_worker(const struct candidate *of, uint32_t sessions)
{
    uint32_t slots = 64;
    while (slots < sessions && slots < SLOTS_MAX)
        slots *= 2;
    struct candidate_worker *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    w->of = of;
    w->slots_mask = slots - 1;
    w->slots_bytes = slots * sizeof(struct slot);
    void *at = mmap(NULL, w->slots_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
    if (at == MAP_FAILED || !candidate_limits_init(&w->limits, slots)) {
        if (at != MAP_FAILED)
            munmap(at, w->slots_bytes);
        free(w);
        return NULL;
    }
    w->slots = at;
    return w;
}

struct candidate *candidate_create(struct generation *next, uint32_t workers, uint32_t sessions,
                                   uint32_t sample)
{
    struct candidate *candidate = calloc(1, sizeof(*candidate));
    if (candidate == NULL)
        return NULL;
    candidate->sample = sample;
    candidate->workers_n = workers < CANDIDATE_WORKERS ? workers : CANDIDATE_WORKERS;
    candidate->totals = rate_totals_create(next->policy, next->config, NULL);
    if (candidate->totals == NULL) {
        free(candidate);
        return NULL;
    }
    for (uint32_t i = 0; i < candidate->workers_n; i++) {
        candidate->worker[i] = create_worker(candidate, sessions);
        if (candidate->worker[i] == NULL) {
            candidate_destroy(candidate);
            return NULL;
        }
    }
    candidate->next = next;
    return candidate;
}

void candidate_destroy(struct candidate *candidate)
{
    if (candidate == NULL)
        return;
    for (uint32_t i = 0; i < candidate->workers_n; i++)
        if (candidate->worker[i] != NULL) {
            munmap(candidate->worker[i]->slots, candidate->worker[i]->slots_bytes);
            candidate_limits_fini(&candidate->worker[i]->limits);
            free(candidate->worker[i]);
        }
    rate_totals_destroy(candidate->totals);
    generation_destroy(candidate->next);
    free(candidate->file);
    free(candidate->policy);
    free(candidate);
}

void candidate_take(struct candidate_worker *w, const struct candidate_place *place)
{
    w->place = *place;
}

/* ---- who it would be ----------------------------------------------------------------------------------- */

/* Whoever has no name is somebody else each time. */
static uint64_t hash_of(const struct judged_subject *who)
{
    const struct identity *identity = who->identity;
    return identity->name_len != 0
               ? hash_bytes((const uint8_t *)identity->name, identity->name_len, HASH_ODD_2)
               : hash_fold(who->session, HASH_ODD_2);
}

/* In the sample: the same clients in every worker, and those of a smaller share among those of a larger. */
static bool sampled(const struct candidate_worker *w, uint64_t hash)
{
    uint64_t share = w->of->sample;
    return hash_fold(hash, HASH_ODD_1) % CANDIDATE_SAMPLE_ALL < share >> w->counts.halved;
}

/* Another window has begun. */
static void turn_window(struct candidate_worker *w)
{
    uint64_t now_us = *w->place.now_us;
    if (now_us < w->window_us)
        return;
    if (w->in_window < CANDIDATE_MOST / 4 && w->counts.halved != 0)
        w->counts.halved--;
    w->window_us = now_us + CANDIDATE_WINDOW_US;
    w->in_window = 0;
}

/* False: enough for this window, of the session or of all. */
static bool has_time(struct candidate_worker *w, struct slot *slot)
{
    if (slot->window_us != w->window_us) {
        slot->window_us = w->window_us;
        slot->in_window = 0;
    }
    if (slot->in_window >= CANDIDATE_SESSION_MOST)
        return false;
    slot->in_window++;
    if (w->in_window++ < CANDIDATE_MOST)
        return true;
    if (w->in_window == CANDIDATE_MOST + 1 && w->counts.halved < 16)
        w->counts.halved++;
    return false;
}

/* NULL: it is not in the sample, or had enough. */
static struct slot *slot_of(struct candidate_worker *w, const struct judged_subject *who)
{
    struct slot *slot = &w->slots[hash_fold(who->session, HASH_ODD_1) & w->slots_mask];
    turn_window(w);
    if (slot->session != who->session || slot->stamp != who->stamp) {
        slot->session = who->session;
        slot->stamp = who->stamp;
        slot->hash = hash_of(who);
        slot->in_window = 0;
        slot->known = false;
    }
    if (!sampled(w, slot->hash) || !has_time(w, slot))
        return NULL;
    if (!slot->known) {
        slot->identity.role = NULL;
        slot->outcome = who->resolve(who->owner, w->of->next, &slot->identity);
        slot->known = true;
        slot->same = (struct candidate_same){.known = 0};
    }
    return slot;
}

/* ---- what it would say --------------------------------------------------------------------------------- */

/* Refusals that both can have an opinion of. */
static bool comparable(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_ALLOWED:
    case OUTCOME_DEFAULT_DENY:
    case OUTCOME_RULE_DENY:
    case OUTCOME_NO_ROLE:
    case OUTCOME_IDENTITY_MISMATCH:
    case OUTCOME_CLIENT_ID_MISMATCH:
    case OUTCOME_UNSAFE_VARIABLE:
    case OUTCOME_BAD_CLIENT_ID:
    case OUTCOME_CLOUD_TOPIC:
    case OUTCOME_WILL_REQUIRED:
    case OUTCOME_QOS_CAP:
    case OUTCOME_RETAIN_DENIED:
    case OUTCOME_PAYLOAD_TOO_LARGE:
    case OUTCOME_QUERY_DENIED:
    case OUTCOME_FORMAT_DENIED:
    case OUTCOME_BLOCK_DENIED:
    case OUTCOME_TOPIC_TOO_DEEP:
    case OUTCOME_PROPERTY_CAP:
    case OUTCOME_KEEPALIVE_RANGE:
    case OUTCOME_FILTER_TOO_WIDE:
    case OUTCOME_MALFORMED_PAYLOAD:
    case OUTCOME_NO_TOPIC:
    case OUTCOME_RATE_CONNECTS:
    case OUTCOME_RATE_PUBLISHES:
    case OUTCOME_RATE_BYTES:
    case OUTCOME_RATE_SUBSCRIBES:
    case OUTCOME_RATE_PINGS:
    case OUTCOME_RATE_REQUESTS:
    case OUTCOME_SUBSCRIPTION_CAP:
    case OUTCOME_INFLIGHT_CAP:
    case OUTCOME_BAD_CREDENTIALS:
        return true;
    default:
        return false;
    }
}

static uint8_t state_of(enum outcome outcome, bool enforced)
{
    return outcome == OUTCOME_ALLOWED ? CANDIDATE_ALLOW : enforced ? CANDIDATE_DENY : CANDIDATE_OBSERVE;
}

static struct candidate_side side_of(const struct policy_role *role, enum outcome outcome, bool enforced,
                                     uint32_t rule)
{
    return (struct candidate_side){.role = role == NULL ? CANDIDATE_ROLE_NONE : role->index,
                                   .rule = role == NULL ? ACL_RULE_NONE : rule,
                                   .outcome = (uint8_t)outcome,
                                   .state = state_of(outcome, enforced)};
}

/* A client that may ask and not observe gets a plain answer: of the observing it is a refusal. */
static struct candidate_side request_side(const struct policy_role *role, enum outcome outcome, bool enforced,
                                          bool observe_denied, uint32_t rule)
{
    if (outcome == OUTCOME_ALLOWED && observe_denied)
        return side_of(role, OUTCOME_DEFAULT_DENY, enforced, ACL_RULE_NONE);
    return side_of(role, outcome, enforced, rule);
}

/* What the policy in force did: of CoAP's caps, what it is about to do. */
static struct candidate_side live_side(const struct candidate_worker *w, const struct judged_action *action)
{
    const struct policy_role *role = action->who->identity->role;
    const struct generation *live = *w->place.generation;
    struct candidate_side side =
        request_side(role, action->outcome, action->enforced, action->observe_denied, action->rule);
    bool ends = action->over == POLICY_DISCONNECT || action->over == POLICY_QUARANTINE;
    if (side.state == CANDIDATE_DENY && ends && !action->who->coap && action->kind != JUDGED_CONNECT &&
        outcome_group(action->outcome) == OUTCOME_OF_LIMIT)
        side.state = CANDIDATE_END;
    if (side.state == CANDIDATE_ALLOW && action->waited_since_us != 0)
        side.state = CANDIDATE_DELAY;
    if (side.state != CANDIDATE_ALLOW || role == NULL)
        return side;
    struct candidate_view caps =
        candidate_limits_caps(role, live->config->observe || role->mode == POLICY_OBSERVE, action);
    if (caps.state != CANDIDATE_ALLOW)
        side = (struct candidate_side){.role = role->index,
                                       .rule = ACL_RULE_NONE,
                                       .outcome = (uint8_t)caps.outcome,
                                       .state = caps.state};
    return side;
}

/* Whichever does more to it. */
static struct candidate_side with_limits(struct candidate_side side, const struct candidate_view *view)
{
    if (view->outcome == OUTCOME_ALLOWED || view->state < side.state || side.outcome == OUTCOME_UNDECIDED)
        return side;
    side.rule = ACL_RULE_NONE;
    side.outcome = (uint8_t)view->outcome;
    side.state = view->state;
    side.limit = view->limit;
    return side;
}

static struct candidate_side ask_coap(const struct candidate_worker *w, const struct slot *slot,
                                      const struct judged_action *action)
{
    const struct policy_role *role = slot->identity.role;
    bool observe = w->of->next->config->observe;
    struct coap_verdict v;
    struct coap_topic topic;
    coap_guard_request(role, &slot->identity.values, observe, action->port, action->message, &v);
    if (action->to_broker && coap_verdict_passes(&v))
        coap_publish_judge(role, &slot->identity.values, observe, action->message, NULL, &v, &topic);
    return request_side(role, v.outcome, v.enforced, v.observe_denied, v.rule);
}

static struct candidate_side ask_rules(const struct candidate_worker *w, const struct slot *slot,
                                       const struct judged_action *action)
{
    const struct policy_role *role = slot->identity.role;
    struct opinion_of of = {.guard = action->guard,
                            .role = role,
                            .values = &slot->identity.values,
                            .observe = w->of->next->config->observe};
    struct opinion o = {.outcome = slot->outcome, .enforced = true, .rule = ACL_RULE_NONE};
    if (slot->outcome == OUTCOME_ALLOWED) {
        switch (action->kind) {
        case JUDGED_CONNECT:
        case JUDGED_PING:
            o.outcome = OUTCOME_ALLOWED;
            break;
        case JUDGED_WILL:
        case JUDGED_TERMS:
            o = opinion_connect(&of, action->packet, action->kind == JUDGED_WILL);
            break;
        case JUDGED_PUBLISH:
            o = opinion_publish(&of, MQTT_FROM_CLIENT, action->packet, action->whole);
            break;
        case JUDGED_DELIVERY:
            o = opinion_publish(&of, MQTT_FROM_SERVER, action->packet, action->whole);
            break;
        case JUDGED_SUBSCRIBE:
            o = opinion_subscribe(&of, action->topic, action->qos);
            break;
        case JUDGED_REQUEST:
            return ask_coap(w, slot, action);
        case JUDGED_KINDS:
            break;
        }
    }
    return side_of(role, o.outcome, o.enforced, o.rule);
}

static struct candidate_side ask(struct candidate_worker *w, struct slot *slot,
                                 const struct judged_action *action)
{
    const struct candidate *of = w->of;
    struct candidate_view view = {.outcome = OUTCOME_ALLOWED};
    struct candidate_side side = ask_rules(w, slot, action);
    if (action->kind == JUDGED_CONNECT && action->packet != NULL) {
        view = candidate_limits_user(*w->place.generation, of->next, action);
        if (view.outcome == OUTCOME_UNDECIDED)
            side.outcome = OUTCOME_UNDECIDED;
        side = with_limits(side, &view);
    }
    if (slot->outcome != OUTCOME_ALLOWED || view.outcome != OUTCOME_ALLOWED)
        return side;
    bool all = of->sample == CANDIDATE_SAMPLE_ALL && w->counts.halved == 0;
    const struct candidate_asked asked = {.live = *w->place.generation,
                                          .next = of->next,
                                          .totals = all ? of->totals : NULL,
                                          .identity = &slot->identity,
                                          .session = slot->session,
                                          .same = &slot->same,
                                          .action = action,
                                          .now_us = *w->place.now_us};
    view = candidate_limits_ask(&w->limits, &asked);
    w->counts.displaced = w->limits.displaced;
    return with_limits(side, &view);
}

/* ---- what differs -------------------------------------------------------------------------------------- */

bool candidate_same(const struct candidate_row *a, const struct candidate_row *b)
{
    return a->kind == b->kind && a->action == b->action && a->live.role == b->live.role &&
           a->live.rule == b->live.rule && a->live.outcome == b->live.outcome &&
           a->live.state == b->live.state && a->next.role == b->next.role && a->next.rule == b->next.rule &&
           a->next.outcome == b->next.outcome && a->next.state == b->next.state &&
           a->next.limit == b->next.limit;
}

static uint64_t row_hash(const struct candidate_row *row)
{
    uint64_t h = (uint64_t)row->kind << 24 | (uint64_t)row->action << 16 | (uint64_t)row->live.outcome << 8 |
                 row->next.outcome;
    h = hash_fold(h ^ (uint64_t)row->live.role << 32 ^ row->live.rule, HASH_ODD_1);
    return hash_fold(h ^ (uint64_t)row->next.role << 32 ^ row->next.rule, HASH_ODD_2);
}

static struct candidate_row *find_row(struct candidate_worker *w, const struct candidate_row *like)
{
    uint64_t at = row_hash(like);
    for (uint32_t i = 0; i < ROW_PROBES; i++) {
        struct candidate_row *row = &w->rows[(at + i) % CANDIDATE_ROWS];
        if (row->count == 0 || candidate_same(row, like))
            return row;
    }
    return NULL;
}

static void set_example(struct candidate_example *example, const struct judged_action *action)
{
    size_t n = action->topic.len < CANDIDATE_TOPIC_MAX ? action->topic.len : CANDIDATE_TOPIC_MAX;
    const struct identity *identity = action->who->identity;
    event_set_name(example->client, sizeof(example->client), bytes_of(identity->name, identity->name_len));
    example->qos = action->qos;
    example->retain = action->retain;
    example->topic_len = (uint16_t)n;
    if (n != 0)
        memcpy(example->topic, action->topic.at, n);
}

static void count_client(struct candidate_worker *w, const struct slot *slot, const struct candidate_row *row,
                         const struct judged_action *action)
{
    for (uint32_t i = 0; i < CLIENT_PROBES; i++) {
        struct candidate_client *client = &w->clients[(slot->hash + i) % CANDIDATE_CLIENTS];
        if (client->count != 0 && client->hash != slot->hash)
            continue;
        if (client->count++ == 0) {
            client->hash = slot->hash;
            client->kind = row->kind;
            client->action = row->action;
            client->from = row->live.state;
            client->to = row->next.state;
            set_example(&client->example, action);
        }
        return;
    }
    w->counts.clients_left++;
}

/* "allow -> deny by rule truck.t, policy.d/10.conf:4", "... by rate-publishes of limits.publishes, ...:2". */
static void set_detail(struct event *event, const struct candidate_row *row, const struct policy_role *next,
                       const struct acl_rule *rule)
{
    char limit[CANDIDATE_LIMIT_TEXT];
    const char *file = rule != NULL ? rule->file : next != NULL ? next->file : "the candidate";
    uint32_t line = rule != NULL ? rule->line : next != NULL ? next->line : 0;
    candidate_limit_text(row->next.limit, limit);
    if (rule != NULL)
        snprintf(event->detail, sizeof(event->detail), "%s -> %s by rule %.40s, %.60s:%u",
                 candidate_state_text(row->live.state), candidate_state_text(row->next.state), rule->id, file,
                 line);
    else
        snprintf(event->detail, sizeof(event->detail), "%s -> %s by %.30s of %s%s%.50s:%u",
                 candidate_state_text(row->live.state), candidate_state_text(row->next.state),
                 outcome_id((enum outcome)row->next.outcome), limit, limit[0] != '\0' ? ", " : "", file,
                 line);
}

/* Once for each row at first, then of what went on once a minute; never a flood. */
static void tell(struct candidate_worker *w, struct candidate_row *row, const struct judged_action *action)
{
    uint64_t now_us = *w->place.now_us;
    row->untold++;
    if (w->told_us > now_us + (TOLD_BURST - 1) * TOLD_GAP_US ||
        (row->told_us != 0 && now_us < row->told_us + TOLD_EVERY_US))
        return;
    struct event *event = event_ring_begin(w->place.events);
    if (event == NULL)
        return;
    const struct policy_role *live = action->who->identity->role;
    const struct policy_role *next =
        row->next.role == CANDIDATE_ROLE_NONE ? NULL : snapshot_role(w->of->next->policy, row->next.role);
    const struct acl_rule *rule =
        next == NULL || row->next.rule == ACL_RULE_NONE ? NULL : acl_rule_at(next->acl, row->next.rule);
    event->kind = EVENT_CANDIDATE_DIFFERENCE;
    event->outcome = (enum outcome)row->next.outcome;
    event->time_us = event_time_us(w->place.wall_offset_us, now_us);
    event->ruleset = (*w->place.generation)->number;
    event->repeats = (uint32_t)(row->untold - 1 < UINT32_MAX ? row->untold - 1 : UINT32_MAX);
    event->coap = action->who->coap;
    event->coap_code = action->message != NULL ? action->message->code : 0;
    event->mqtt_type = action->packet != NULL ? (uint8_t)action->packet->type : 0;
    event->mqtt_version = action->guard != NULL ? action->guard->version : 0;
    event->session = action->who->coap ? 0 : action->who->session;
    event->qos = action->qos;
    event->retain = action->retain;
    event->payload_bytes = action->payload_bytes;
    event_set_topic(event, action->topic);
    event_set_name(event->identity, sizeof(event->identity),
                   bytes_of(action->who->identity->name, action->who->identity->name_len));
    if (row->live.role != CANDIDATE_ROLE_NONE) {
        event_set_name(event->role, sizeof(event->role), bytes_of_text(live->name));
        if (row->live.rule != ACL_RULE_NONE)
            event_set_name(event->rule, sizeof(event->rule),
                           bytes_of_text(acl_rule_at(live->acl, row->live.rule)->id));
    }
    set_detail(event, row, next, rule);
    event_ring_commit(w->place.events);
    row->untold = 0;
    row->told_us = now_us;
    w->told_us = (w->told_us > now_us ? w->told_us : now_us) + TOLD_GAP_US;
}

static void differs(struct candidate_worker *w, const struct slot *slot, const struct candidate_row *like,
                    const struct judged_action *action)
{
    w->counts.differ++;
    count_client(w, slot, like, action);
    struct candidate_row *row = find_row(w, like);
    if (row == NULL) {
        w->counts.left_out++;
        return;
    }
    if (row->count == 0) {
        *row = *like;
        set_example(&row->example, action);
    }
    row->count++;
    uint64_t bit = slot->hash % (CANDIDATE_CLIENT_WORDS * 64);
    row->clients[bit / 64] |= UINT64_C(1) << (bit % 64);
    tell(w, row, action);
}

/* Another policy is in force: what was counted against the one before says nothing any more. */
static void begin_anew(struct candidate_worker *w, uint32_t number)
{
    w->against = number;
    memset(&w->counts, 0, sizeof(w->counts));
    memset(w->rows, 0, sizeof(w->rows));
    memset(w->clients, 0, sizeof(w->clients));
}

void candidate_see(void *owner, const struct judged_action *action)
{
    struct candidate_worker *w = owner;
    uint32_t number = (*w->place.generation)->number;
    if (w->against != number)
        begin_anew(w, number);
    if (!comparable(action->outcome)) {
        w->counts.passed_over++;
        return;
    }
    struct slot *slot = slot_of(w, action->who);
    if (slot == NULL) {
        w->counts.not_sampled++;
        return;
    }
    struct candidate_row row = {.kind = (uint8_t)action->kind,
                                .action = (uint8_t)action->action,
                                .live = live_side(w, action),
                                .next = ask(w, slot, action)};
    if (row.next.outcome == OUTCOME_UNDECIDED) {
        w->counts.undecided++;
        return;
    }
    w->counts.judged++;
    if (row.live.state != row.next.state)
        differs(w, slot, &row, action);
}

/* ---- for the report: on the worker, between two iterations --------------------------------------------- */

uint32_t candidate_against(const struct candidate_worker *w)
{
    return w->against;
}

const struct candidate_counts *candidate_counts(const struct candidate_worker *w)
{
    return &w->counts;
}

uint32_t candidate_rows(const struct candidate_worker *w, uint32_t *position, struct candidate_row *to,
                        uint32_t room)
{
    uint32_t n = 0;
    for (; *position < CANDIDATE_ROWS && n < room; ++*position)
        if (w->rows[*position].count != 0)
            to[n++] = w->rows[*position];
    return n;
}

uint32_t candidate_clients(const struct candidate_worker *w, uint32_t *position, struct candidate_client *to,
                           uint32_t room)
{
    uint32_t n = 0;
    for (; *position < CANDIDATE_CLIENTS && n < room; ++*position)
        if (w->clients[*position].count != 0)
            to[n++] = w->clients[*position];
    return n;
}

uint32_t candidate_clients_estimate(const uint64_t bits[CANDIDATE_CLIENT_WORDS])
{
    const uint32_t all = CANDIDATE_CLIENT_WORDS * 64;
    uint32_t set = 0;
    double draws = 0; /* that it takes on the average to have set as many bits */
    for (uint32_t i = 0; i < CANDIDATE_CLIENT_WORDS; i++)
        set += (uint32_t)__builtin_popcountll(bits[i]);
    for (uint32_t i = 0; i < set; i++)
        draws += (double)all / (all - i);
    return (uint32_t)(draws + 0.5);
}
