/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/learned_rules.h"

#include "config/policy_draft.h"
#include "policy/access/topic.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TOPIC_ROOM (MINED_TOPIC_MAX + 1)
#define NEGATIVE_MAX 8 /* tests of findings that are not proposed, of each role */

static bool is_coap(uint8_t action)
{
    return action != ACL_PUBLISH && action != ACL_SUBSCRIBE;
}

/* ---- texts ----------------------------------------------------------------------------------------------
 */

static void put_quoted(FILE *to, const char *before, struct bytes text)
{
    fprintf(to, "\"%s", before);
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '"' || text.at[i] == '\\')
            fputc('\\', to);
        fputc(text.at[i], to);
    }
    fputc('"', to);
}

/* In a comment: nothing that ends a line or moves a cursor. */
static void put_told(FILE *to, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        fputc(text.at[i] < 0x20 || text.at[i] == 0x7F ? '?' : text.at[i], to);
}

/* A text that configuration can hold. */
static bool can_be_said(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < 0x20 || text.at[i] == 0x7F)
            return false;
    return text.len != 0;
}

static void put_span(FILE *to, uint64_t us)
{
    uint64_t s = us / 1000000;
    if (s >= 2 * 86400)
        fprintf(to, "%" PRIu64 " days", s / 86400);
    else if (s >= 2 * 3600)
        fprintf(to, "%" PRIu64 " hours", s / 3600);
    else if (s >= 120)
        fprintf(to, "%" PRIu64 " minutes", s / 60);
    else
        fprintf(to, "%" PRIu64 " s", s);
}

static void put_evidence(FILE *to, const struct mined *mined, const struct finding *f)
{
    fprintf(to, "%u of %u clients, %u of %u addresses, %" PRIu64 " messages in ", f->clients_n,
            mined->clients_n, f->sources_n, mined->sources_n, f->messages);
    put_span(to, f->last_us - f->first_us);
    for (unsigned int i = 0; i < 3 && !is_coap(f->action); i++)
        if ((f->qos_seen >> i & 1) != 0)
            fprintf(to, ", QoS %u", i);
    fprintf(to, ", payload up to %u B%s%s", f->payload_seen, f->retain_seen ? ", retained" : "",
            f->will_seen ? ", as Will" : "");
    for (uint32_t i = 0; i < f->levels_n; i++)
        if (f->level[i].kind == MINED_ANY)
            fprintf(to, ", %u values at level %u", f->level[i].values, i + 1);
}

/* ---- rules ----------------------------------------------------------------------------------------------
 */

/* Twice what was seen, to a power of two: a device may say a little more tomorrow. */
static uint32_t payload_limit(uint32_t seen)
{
    uint32_t limit = 64;
    while (limit < (UINT32_C(1) << 28) && limit / 2 < seen)
        limit *= 2;
    return limit;
}

static void put_size(FILE *to, uint32_t bytes)
{
    if (bytes % (1U << 20) == 0)
        fprintf(to, "\"%uMiB\"", bytes >> 20);
    else if (bytes % 1024 == 0)
        fprintf(to, "\"%uKiB\"", bytes >> 10);
    else
        fprintf(to, "\"%uB\"", bytes);
}

static void put_qos(FILE *to, uint8_t mask, bool subscribe)
{
    const char *comma = "";
    if (subscribe) /* an upper bound */
        mask = (uint8_t)(mask >= 4 ? 7 : mask >= 2 ? 3 : 1);
    if (mask == 7)
        return;
    fprintf(to, "        qos = [ ");
    for (unsigned int i = 0; i < 3; i++)
        if ((mask >> i & 1) != 0) {
            fprintf(to, "%s%u", comma, i);
            comma = ", ";
        }
    fprintf(to, " ];\n");
}

/* CoAP methods of the same path go together; to observe is to GET. */
static uint32_t methods_of(const struct mined *mined, const struct finding *f, uint32_t *payload)
{
    uint32_t actions = 1u << f->action;
    *payload = f->payload_max;
    for (uint32_t i = 0; i < mined->proposed_n && is_coap(f->action); i++) {
        const struct finding *other = &mined->finding[i];
        if (!is_coap(other->action) || strcmp(other->topic, f->topic) != 0)
            continue;
        actions |= 1u << other->action;
        *payload = other->payload_max > *payload ? other->payload_max : *payload;
    }
    return (actions & 1u << ACL_OBSERVE) != 0 ? actions | 1u << ACL_GET : actions;
}

static bool said_before(const struct mined *mined, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++)
        if (is_coap(mined->finding[i].action) && is_coap(mined->finding[at].action) &&
            strcmp(mined->finding[i].topic, mined->finding[at].topic) == 0)
            return true;
    return false;
}

static void put_rule(FILE *to, const struct learned_role *role, const struct finding *f, uint32_t number)
{
    const char *comma = "";
    uint32_t payload, actions = methods_of(role->mined, f, &payload);
    fprintf(to, "      {\n        # ");
    put_evidence(to, role->mined, f);
    fprintf(to, "\n        id = \"%s.learned-%u\";\n        allow = [ ", role->name, number);
    for (unsigned int i = 0; i < ACL_ACTIONS; i++)
        if ((actions >> i & 1) != 0) {
            fprintf(to, "%s\"%s\"", comma, policy_action_words[i]);
            comma = ", ";
        }
    fprintf(to, " ];\n        %s = ", is_coap(f->action) ? "path" : "topic");
    put_quoted(to, is_coap(f->action) ? "/" : "", bytes_of_text(f->topic));
    fprintf(to, ";\n");
    if (!is_coap(f->action))
        put_qos(to, f->qos_mask, f->action == ACL_SUBSCRIBE);
    if (f->action == ACL_PUBLISH) {
        fprintf(to, "        retain = %s;\n", f->retain ? "true" : "false");
        if (f->will)
            fprintf(to, "        will = true;\n");
    }
    if (f->action == ACL_PUBLISH || (is_coap(f->action) && payload != 0)) {
        fprintf(to, "        payload_max = ");
        put_size(to, payload_limit(payload));
        fprintf(to, ";\n");
    }
    fprintf(to, "      }");
}

void learned_rules_write(const struct learned_role *role, FILE *to, uint32_t *written)
{
    uint32_t number = 0;
    for (uint32_t i = 0; i < role->mined->proposed_n; i++) {
        if (said_before(role->mined, i))
            continue;
        if ((*written)++ != 0)
            fprintf(to, ",\n");
        put_rule(to, role, &role->mined->finding[i], ++number);
    }
}

static struct bytes name_of(const struct mined *mined, uint32_t client)
{
    struct bytes name = mined_value(mined, client, "client_id");
    return name.at != NULL ? name : mined_value(mined, client, "id");
}

void learned_findings_write(const struct learned_role *role, FILE *to)
{
    uint32_t told = 0, more = 0;
    for (uint32_t i = role->mined->proposed_n; i < role->mined->findings_n; i++) {
        const struct finding *f = &role->mined->finding[i];
        if (f->kind == FINDING_COVERED)
            continue;
        if (told == LEARNED_TOLD_MAX) {
            more++;
            continue;
        }
        told++;
        fprintf(to, "    # not allowed, %s: %s ", finding_text(f->kind), policy_action_words[f->action]);
        put_told(to, bytes_of_text(f->topic));
        if (f->example[0].there) {
            fprintf(to, " by ");
            put_told(to, name_of(role->mined, f->example[0].client));
        }
        fprintf(to, "; ");
        put_evidence(to, role->mined, f);
        fprintf(to, "\n");
    }
    if (more != 0)
        fprintf(to, "    # and %u more; sallyportctl learn report tells all\n", more);
}

/* ---- tests ----------------------------------------------------------------------------------------------
 */

struct writing {
    const struct learned_role *role;
    bool (*each)(void *owner, const char *text, bool positive);
    void *owner;
};

static void put_fact(FILE *to, const char *key, struct bytes value)
{
    if (!can_be_said(value))
        return;
    fprintf(to, "    %s = ", key);
    put_quoted(to, "", value);
    fprintf(to, ";\n");
}

/* Whether a test can say who it is. */
static bool can_be_tried(const struct mined *mined, uint32_t client)
{
    return can_be_said(name_of(mined, client));
}

static bool put_test(const struct writing *w, uint32_t client, const struct finding *f, struct bytes topic,
                     bool expect)
{
    static const struct {
        const char *key, *variable;
    } facts[] = {{"listener", "listener"}, {"user", "user"},         {"cert_cn", "cert.cn"},
                 {"cert_ou", "cert.ou"},   {"cert_san", "cert.san"}, {"psk_id", "psk.id"}};
    const struct mined *mined = w->role->mined;
    char *text = NULL;
    size_t len = 0;
    if (!can_be_said(topic) || !can_be_tried(mined, client))
        return true;
    FILE *to = open_memstream(&text, &len);
    if (to == NULL)
        return false;
    fprintf(to, "  {\n    as = ");
    put_quoted(to, "", name_of(mined, client));
    fprintf(to, ";\n    %s = ", policy_action_words[f->action]);
    put_quoted(to, is_coap(f->action) ? "/" : "", topic);
    fprintf(to, ";\n    expect = \"%s\";\n", expect ? "allow" : "deny");
    if (!is_coap(f->action) && (f->qos_mask & 1) == 0)
        fprintf(to, "    qos = %d;\n", (f->qos_mask & 2) != 0 ? 1 : 2);
    if (f->action == ACL_PUBLISH && f->retain)
        fprintf(to, "    retain = true;\n");
    if (f->action == ACL_PUBLISH && f->will && !f->message)
        fprintf(to, "    will = true;\n");
    if (expect && f->payload_max != 0 && f->action != ACL_SUBSCRIBE)
        fprintf(to, "    payload = \"%uB\";\n", f->payload_max);
    if (mined_value(mined, client, "client_id").at == NULL)
        put_fact(to, "source", mined_value(mined, client, "source"));
    if (mined_value(mined, client, "client_id").at == NULL)
        put_fact(to, "mac", mined_value(mined, client, "mac"));
    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
        put_fact(to, facts[i].key, mined_value(mined, client, facts[i].variable));
    fprintf(to, "  }");
    bool good = fclose(to) == 0 && w->each(w->owner, text, expect);
    free(text);
    return good;
}

static bool put_example(const struct writing *w, const struct finding *f, const struct mined_example *example)
{
    uint8_t topic[TOPIC_ROOM];
    size_t n = mined_example_topic(w->role->mined, example, example->client, topic, sizeof(topic));
    return n == 0 || put_test(w, example->client, f, bytes_of(topic, n), true);
}

/* The same for somebody else: a client that was seen, or a name that nobody has. */
static bool put_foreign(const struct writing *w, const struct finding *f)
{
    const struct mined *mined = w->role->mined;
    const struct mined_example *example = &f->example[0];
    uint8_t topic[TOPIC_ROOM];
    bool variable = false;
    size_t n = 0;
    for (uint32_t i = 0; i < f->levels_n; i++)
        variable = variable || f->level[i].kind == MINED_VARIABLE;
    if (!variable)
        return true;
    if (f->example[1].there)
        n = mined_example_topic(mined, example, f->example[1].client, topic, sizeof(topic));
    if (n == 0) { /* of one client only: the value with something behind it */
        char made[TOPIC_ROOM];
        size_t used = 0;
        for (uint32_t i = 0; i < f->levels_n && used < sizeof(made) - 512; i++) {
            const struct mined_level *level = &f->level[i];
            used += (size_t)snprintf(made + used, sizeof(made) - used, "%s%.*s", i == 0 ? "" : "/",
                                     level->kind == MINED_TEXT ? (int)level->text.len : 0,
                                     level->kind == MINED_TEXT ? (const char *)level->text.at : "");
            if (level->kind != MINED_TEXT)
                used += (size_t)snprintf(made + used, sizeof(made) - used, "not-this-client");
        }
        memcpy(topic, made, used);
        n = used;
    }
    if (mined_allows(mined, example->client, f->action, bytes_of(topic, n)))
        return true;
    return put_test(w, example->client, f, bytes_of(topic, n), false);
}

/* What was found and is not proposed is refused. */
static bool put_refused(const struct writing *w, const struct finding *f)
{
    const struct mined_example *example = &f->example[0];
    uint8_t topic[TOPIC_ROOM];
    size_t n = mined_example_topic(w->role->mined, example, example->client, topic, sizeof(topic));
    if (n == 0 || mined_allows(w->role->mined, example->client, f->action, bytes_of(topic, n)))
        return true;
    return put_test(w, example->client, f, bytes_of(topic, n), false);
}

bool learned_tests_each(const struct learned_role *role,
                        bool (*each)(void *owner, const char *text, bool positive), void *owner)
{
    const struct writing w = {.role = role, .each = each, .owner = owner};
    const struct mined *mined = role->mined;
    uint32_t refused = 0;
    for (uint32_t i = 0; i < mined->proposed_n; i++) {
        const struct finding *f = &mined->finding[i];
        for (uint32_t k = 0; k < MINING_EXAMPLES; k++)
            if (f->example[k].there && !put_example(&w, f, &f->example[k]))
                return false;
        if (f->example[0].there && !put_foreign(&w, f))
            return false;
    }
    for (uint32_t i = mined->proposed_n; i < mined->findings_n && refused < NEGATIVE_MAX; i++) {
        const struct finding *f = &mined->finding[i];
        if (f->kind == FINDING_COVERED || f->kind == FINDING_UNWRITABLE || !f->example[0].there)
            continue;
        if (!put_refused(&w, f))
            return false;
        refused++;
    }
    return true;
}
