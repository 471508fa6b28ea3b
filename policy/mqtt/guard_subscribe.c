/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SUBSCRIBE and UNSUBSCRIBE, their acknowledgements, and the taking back of what is no longer allowed (D5,
 * D8, D9, G3). */
#include "policy/access/topic.h"
#include "policy/mqtt/build.h"
#include "policy/mqtt/guard_private.h"

/* True, with the session ended, when the identifier is in use [MQTT-2.2.1-3]. */
static bool id_in_use(struct mqtt_guard *g, uint16_t id, struct guard_verdict *v)
{
    if (inflight_find(&g->up, id) == NULL && !guard_id_taken(g, id))
        return false;
    guard_close(g, OUTCOME_BAD_PACKET_ID, v);
    return true;
}

/* ---- one filter --------------------------------------------------------------------------------------- */

enum outcome guard_judge_filter(const struct mqtt_guard *g, struct bytes filter, uint8_t qos, uint32_t *rule)
{
    struct topic_share share;
    *rule = ACL_RULE_NONE;
    if (!topic_share_parse(filter, &share))
        return OUTCOME_BAD_FILTER;
    struct acl_request request = {.action = ACL_SUBSCRIBE, .topic = share.inner, .qos = qos};
    enum outcome outcome = guard_judge_topic(g, filter);
    if (outcome == OUTCOME_ALLOWED && g->cloud != NULL)
        outcome = cloud_judge_filter(g->cloud, share.inner);
    if (outcome != OUTCOME_ALLOWED)
        return guard_unless_denied(g, outcome, &request, rule);
    struct acl_decision decision =
        acl_decide_filter(g->role->acl, g->values, &request, g->role->subscribe_mode);
    *rule = decision.rule;
    return decision.outcome;
}

/* A SUBSCRIBE being judged filter by filter. */
struct judging {
    struct mqtt_guard *g;
    struct mqtt_request *request;
    uint32_t entries_used; /* of the workspace's scratch */
    uint32_t kept;
    uint32_t kept_bytes;
    uint32_t fresh;    /* of those kept, how many are new subscriptions */
    enum outcome over; /* the rate that all of it is over, or OUTCOME_ALLOWED */
};

uint8_t guard_granted_qos(const struct mqtt_guard *g, uint8_t asked)
{
    return asked > g->role->max_qos && !g->observe ? g->role->max_qos : asked;
}

static void note_refusal(struct mqtt_workspace *w, const struct mqtt_refusal *refusal)
{
    if (w->refused_n < MQTT_REFUSALS_MAX)
        w->refused[w->refused_n] = *refusal;
    w->refused_n++;
}

/* `rule` decided about it, though a cap may refuse it all the same. */
static void note_judged(struct mqtt_workspace *w, const struct mqtt_refusal *refusal, uint32_t rule)
{
    if (w->judged_n < MQTT_JUDGED_MAX)
        w->judged[w->judged_n++] =
            (struct mqtt_judged){.outcome = refusal->outcome, .rule = rule, .enforced = refusal->enforced};
}

/* Keeps a filter: false when a table is full. */
static bool keep(struct judging *j, const struct mqtt_filter *entry)
{
    struct mqtt_workspace *w = j->g->workspace;
    struct mqtt_filter rewritten = *entry;
    rewritten.qos = guard_granted_qos(j->g, entry->qos);
    if (!subscriptions_reserve(&j->g->subscriptions, j->kept + 1, j->kept_bytes + (uint32_t)entry->filter.len,
                               w))
        return false;
    size_t n = mqtt_build_filter(w->entries + j->entries_used, w->entries_room - j->entries_used,
                                 MQTT_SUBSCRIBE, (enum mqtt_version)j->g->version, &rewritten);
    if (n == 0)
        return false;
    j->entries_used += (uint32_t)n;
    j->kept_bytes += (uint32_t)entry->filter.len;
    j->kept++;
    return true;
}

/* As with PUBLISH: where the role only observes, being over a rate does not hide what holds even so. */
static enum outcome judge_over(const struct judging *j, struct bytes filter, uint8_t qos, uint32_t *rule)
{
    if (j->over != OUTCOME_ALLOWED && !j->g->observe)
        return j->over;
    enum outcome outcome = guard_judge_filter(j->g, filter, qos, rule);
    if (j->over == OUTCOME_ALLOWED || (outcome != OUTCOME_ALLOWED && !guard_passes(j->g, outcome, *rule)))
        return outcome;
    *rule = ACL_RULE_NONE;
    return j->over;
}

static void judge_entry(struct judging *j, uint32_t ordinal, const struct mqtt_filter *entry)
{
    struct mqtt_guard *g = j->g;
    uint8_t qos = guard_granted_qos(g, entry->qos);
    struct mqtt_refusal refusal = {.filter = entry->filter, .enforced = true};
    bool fresh = !subscriptions_has(&g->subscriptions, entry->filter);
    refusal.rule = ACL_RULE_NONE;
    refusal.outcome = judge_over(j, entry->filter, qos, &refusal.rule);
    uint32_t decided_by = refusal.rule;
    if (refusal.outcome == OUTCOME_ALLOWED && fresh &&
        g->subscriptions.n + j->fresh >= g->role->limits.subscriptions) {
        refusal.outcome = OUTCOME_SUBSCRIPTION_CAP;
        refusal.rule = ACL_RULE_NONE;
    }
    if (refusal.outcome != OUTCOME_ALLOWED && guard_passes(g, refusal.outcome, refusal.rule))
        refusal.enforced = false;
    if (refusal.outcome == OUTCOME_ALLOWED || !refusal.enforced) {
        if (keep(j, entry)) {
            j->fresh += fresh;
        } else {
            refusal.outcome = OUTCOME_NO_RESOURCES;
            refusal.enforced = true;
        }
    }
    note_judged(g->workspace, &refusal, decided_by);
    if (refusal.outcome == OUTCOME_ALLOWED)
        return;
    if (refusal.enforced) {
        /* MQTT 3.1 has no code for it: the client believes it was granted. */
        refusal.code = g->version == MQTT_5     ? mqtt_guard_code(MQTT_SUBACK, MQTT_5, refusal.outcome)
                       : g->version == MQTT_3_1 ? qos
                                                : 0x80;
        j->request->codes[ordinal] = refusal.code;
    }
    note_refusal(g->workspace, &refusal);
}

/* ---- in parts ----------------------------------------------------------------------------------------- */

/* How many filters its upstream takes at a time. */
static uint32_t part_max(const struct mqtt_guard *g)
{
    uint32_t filters = g->cloud != NULL ? cloud_limits(g->cloud->profile)->filters : 0;
    return filters != 0 ? filters : UINT16_MAX;
}

/* The packet and its request are of the first `list_count` entries at most; what is left is the verdict's. */
static void cut_part(const struct mqtt_guard *g, struct bytes entries, struct mqtt_packet *p,
                     struct guard_verdict *v)
{
    struct cursor list = cursor_of(entries);
    struct mqtt_filter entry;
    uint16_t n = 0;
    while (n < part_max(g) && mqtt_filter_next(&list, MQTT_SUBSCRIBE, &entry))
        n++;
    v->rest = bytes_of(list.at, cursor_left(&list));
    p->list = bytes_of(entries.at, entries.len - v->rest.len);
    p->list_count = n;
    v->request->sent = n;
}

bool mqtt_guard_next_part(struct mqtt_guard *g, struct mqtt_packet *p, struct guard_verdict *v)
{
    if (v->rest.len == 0)
        return false;
    struct mqtt_request *before = v->request;
    uint16_t id = guard_free_id(g);
    struct mqtt_request *part = id != 0 ? requests_make(g->workspace, MQTT_SUBSCRIBE, 0, false) : NULL;
    if (part == NULL) {
        guard_close(g, OUTCOME_NO_RESOURCES, v);
        return true;
    }
    part->whole = before->whole != NULL ? before->whole : before;
    part->first = (uint16_t)(before->first + before->sent);
    part->wire = id;
    part->whole->unanswered++;
    v->request = part;
    p->packet_id = id;
    cut_part(g, v->rest, p, v);
    return true;
}

/* ---- SUBSCRIBE ---------------------------------------------------------------------------------------- */

static void answer_all(struct mqtt_guard *g, struct mqtt_packet *p, struct mqtt_request *request,
                       struct guard_verdict *v)
{
    memcpy(g->workspace->codes, request->codes, request->n);
    g->workspace->put(g->workspace, request);
    guard_answer(v, MQTT_SUBACK, p->packet_id, 0);
    v->answer.n = p->list_count;
}

void guard_check_subscribe(struct mqtt_guard *g, struct mqtt_packet *p, uint64_t now_us,
                           struct guard_verdict *v)
{
    struct mqtt_workspace *w = g->workspace;
    struct judging j = {.g = g};
    struct cursor list = cursor_of(p->list);
    struct mqtt_filter entry;
    w->refused_n = 0;
    w->judged_n = 0;
    if (id_in_use(g, p->packet_id, v))
        return;
    j.over = guard_meters_judge(g, RATE_SUBSCRIBES, 0, now_us, v);
    if (j.over != OUTCOME_ALLOWED && guard_ends_session(v) && !g->observe) {
        guard_close(g, j.over, v);
        return;
    }
    uint16_t wire = guard_wire_id(g, p->packet_id);
    bool in_parts = p->list_count > part_max(g);
    j.request =
        p->list_count <= w->codes_room ? requests_make(w, MQTT_SUBSCRIBE, p->list_count, in_parts) : NULL;
    if (j.request == NULL || wire == 0) {
        if (j.request != NULL)
            w->put(w, j.request);
        guard_close(g, OUTCOME_NO_RESOURCES, v);
        return;
    }
    for (uint32_t i = 0; i < p->list_count && mqtt_filter_next(&list, MQTT_SUBSCRIBE, &entry); i++)
        judge_entry(&j, i, &entry);
    v->outcome = w->refused_n != 0 ? w->refused[0].outcome : OUTCOME_ALLOWED;
    v->rule = w->refused_n != 0 ? w->refused[0].rule : ACL_RULE_NONE;
    v->enforced = w->refused_n != 0 && w->refused[0].enforced;
    if (j.kept == 0) {
        answer_all(g, p, j.request, v);
        return;
    }
    j.request->id = p->packet_id;
    j.request->wire = wire;
    p->packet_id = wire;
    v->action = GUARD_FORWARD;
    v->record = GUARD_RECORD_REQUEST;
    v->request = j.request;
    cut_part(g, bytes_of(w->entries, j.entries_used), p, v);
}

/* ---- UNSUBSCRIBE: never refused ----------------------------------------------------------------------- */

void guard_check_unsubscribe(struct mqtt_guard *g, struct mqtt_packet *p, struct guard_verdict *v)
{
    if (id_in_use(g, p->packet_id, v))
        return;
    uint16_t wire = guard_wire_id(g, p->packet_id);
    struct mqtt_request *request = requests_make(g->workspace, MQTT_UNSUBSCRIBE, p->list_count, false);
    if (request == NULL || wire == 0 || p->list_count > g->workspace->codes_room) {
        if (request != NULL)
            g->workspace->put(g->workspace, request);
        guard_close(g, OUTCOME_NO_RESOURCES, v);
        return;
    }
    request->id = p->packet_id;
    request->wire = wire;
    p->packet_id = wire;
    guard_forward(v);
    v->record = GUARD_RECORD_REQUEST;
    v->request = request;
}

void guard_advance_request(struct mqtt_guard *g, const struct mqtt_packet *p, const struct guard_verdict *v)
{
    struct cursor list = cursor_of(p->list);
    struct mqtt_filter entry;
    const struct mqtt_request *whole = v->request->whole != NULL ? v->request->whole : v->request;
    requests_add(&g->requests, v->request);
    for (uint16_t i = v->request->first; mqtt_filter_next(&list, p->type, &entry); i++) {
        if (p->type == MQTT_SUBSCRIBE)
            subscriptions_add(&g->subscriptions, entry.filter, entry.qos, whole->id, i);
        else
            subscriptions_remove(&g->subscriptions, entry.filter);
    }
}

/* ---- SUBACK, UNSUBACK --------------------------------------------------------------------------------- */

static bool has_codes(const struct mqtt_guard *g, const struct mqtt_packet *p)
{
    return p->type == MQTT_SUBACK || g->version == MQTT_5;
}

/* What the upstream said of the filter that was passed on as number `at`, of which this answer may be. */
static uint8_t code_of(const struct mqtt_request *whole, const struct mqtt_request *part,
                       const uint8_t *answer, uint32_t at)
{
    if (at >= part->first && at - part->first < part->sent)
        return answer[at - part->first];
    return whole->codes[whole->n + at];
}

/* Puts our codes and the upstream's in the order of the filters. */
static void merge(struct mqtt_workspace *w, const struct mqtt_request *whole, const struct mqtt_request *part,
                  struct mqtt_packet *p)
{
    uint32_t theirs = 0;
    for (uint32_t i = 0; i < whole->n; i++)
        w->codes[i] =
            whole->codes[i] == REQUEST_ASKED ? code_of(whole, part, p->list.at, theirs++) : whole->codes[i];
    p->list = bytes_of(w->codes, whole->n);
    p->list_count = whole->n;
}

void guard_check_suback(struct mqtt_guard *g, struct mqtt_packet *p, struct guard_verdict *v)
{
    struct mqtt_request *request = requests_find_wire(&g->requests, p->packet_id);
    if (request == NULL) {
        guard_drop(OUTCOME_UNKNOWN_PACKET_ID, v);
        v->quiet = true;
        return;
    }
    bool fits = (p->type == MQTT_SUBACK) == (request->type == MQTT_SUBSCRIBE);
    if (!fits || (has_codes(g, p) && p->list.len != request->sent)) {
        guard_close(g, OUTCOME_UPSTREAM_PROTOCOL, v);
        return;
    }
    v->request = request;
    const struct mqtt_request *whole = request->whole != NULL ? request->whole : request;
    if (whole->id == 0 || whole->unanswered > 1) { /* we asked, the client did not; or others are to answer */
        guard_drop(OUTCOME_ALLOWED, v);
        v->quiet = true;
    } else {
        guard_forward(v);
        p->packet_id = whole->id;
        if (has_codes(g, p))
            merge(g->workspace, whole, request, p);
    }
    v->record = GUARD_RECORD_ANSWERED;
}

/* The codes of a part: of those that were passed on the answer is the upstream's own as long as other parts
 * are to answer, and the last one was merged. */
static void settle(struct mqtt_guard *g, const struct mqtt_packet *p, struct mqtt_request *whole,
                   const struct mqtt_request *part)
{
    uint16_t at = 0;
    bool merged = whole->id != 0 && whole->unanswered == 1;
    for (uint32_t i = 0; i < whole->n; i++) {
        if (whole->codes[i] != REQUEST_ASKED)
            continue;
        if (at >= part->first && at - part->first < part->sent) {
            uint8_t code = p->list.at[merged ? i : (uint32_t)(at - part->first)];
            subscriptions_settle(&g->subscriptions, whole->id, at, code < 0x80);
            if (whole->unanswered > 1)
                whole->codes[whole->n + at] = code;
        }
        at++;
    }
}

void guard_advance_answered(struct mqtt_guard *g, const struct mqtt_packet *p, const struct guard_verdict *v)
{
    struct mqtt_request *part = v->request;
    struct mqtt_request *whole = part->whole != NULL ? part->whole : part;
    if (p->type == MQTT_SUBACK)
        settle(g, p, whole, part);
    whole->unanswered--;
    if (part != whole)
        requests_remove(&g->requests, part, g->workspace);
    if (whole->unanswered == 0)
        requests_remove(&g->requests, whole, g->workspace);
    else if (part == whole)
        requests_unwire(&g->requests, whole);
}

/* ---- what is no longer allowed ------------------------------------------------------------------------ */

/* Moves lost subscriptions into the scratch as entries of an UNSUBSCRIBE; answers how many. */
static uint16_t collect_lost(struct mqtt_guard *g, uint32_t *bytes)
{
    struct mqtt_workspace *w = g->workspace;
    struct subscription subscription;
    uint32_t position = 0, before = 0, rule;
    uint16_t n = 0;
    while (n < UINT16_MAX && subscriptions_next(&g->subscriptions, &position, &subscription)) {
        enum outcome outcome = guard_judge_filter(g, subscription.filter, subscription.qos, &rule);
        if (outcome == OUTCOME_ALLOWED || guard_observes(g, rule)) {
            before = position;
            continue;
        }
        struct mqtt_filter entry = {.filter = subscription.filter};
        size_t used = mqtt_build_filter(w->entries + *bytes, w->entries_room - *bytes, MQTT_UNSUBSCRIBE,
                                        (enum mqtt_version)g->version, &entry);
        if (used == 0)
            break;
        *bytes += (uint32_t)used;
        subscriptions_remove(&g->subscriptions, subscription.filter);
        position = before;
        n++;
    }
    return n;
}

bool mqtt_guard_revoke(struct mqtt_guard *g, struct mqtt_packet *out, bool *again)
{
    uint32_t bytes = 0;
    *again = false;
    if (g->state != GUARD_RUNNING || g->subscriptions.n == 0)
        return false;
    struct mqtt_request *request =
        g->requests.used < REQUESTS_MAX ? requests_make(g->workspace, MQTT_UNSUBSCRIBE, 0, false) : NULL;
    uint16_t id = request != NULL ? guard_free_id(g) : 0;
    uint16_t n = id != 0 ? collect_lost(g, &bytes) : 0;
    if (n == 0) {
        *again = id == 0;
        if (request != NULL)
            g->workspace->put(g->workspace, request);
        return false;
    }
    request->wire = id;
    request->sent = n;
    requests_add(&g->requests, request);
    out->type = MQTT_UNSUBSCRIBE;
    out->version = (enum mqtt_version)g->version;
    out->packet_id = id;
    out->reason_code = 0;
    out->properties.present = 0;
    out->properties.user_property_count = 0;
    out->properties.list = bytes_of(NULL, 0);
    out->list = bytes_of(g->workspace->entries, bytes);
    out->list_count = n;
    return true;
}

uint32_t mqtt_guard_foresee(const struct mqtt_guard *guard, const struct policy_role *role,
                            const struct acl_values *values, bool observe)
{
    struct mqtt_guard other = *guard;
    struct subscription subscription;
    uint32_t position = 0, n = 0, rule;
    other.role = role;
    other.values = values;
    other.observe = observe || role->mode == POLICY_OBSERVE;
    while (subscriptions_next(&guard->subscriptions, &position, &subscription))
        n += guard_judge_filter(&other, subscription.filter, subscription.qos, &rule) != OUTCOME_ALLOWED &&
             !guard_observes(&other, rule);
    return n;
}
