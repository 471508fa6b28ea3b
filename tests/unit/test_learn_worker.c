/* SPDX-License-Identifier: GPL-2.0-or-later */
/* learn_worker.h: which judged actions are noted, of whom, under which name; over a reload (G6). */
#include "gateway/learn_worker.h"
#include "policy/learn/mining.h"
#include "tests/unit/runner.h"

#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct siphash_key key = {.k0 = 1, .k1 = 2};
static uint64_t now_us = 5;

static void no_problem(void *owner, const struct policy_problem *problem)
{
    (void)owner;
    fprintf(stderr, "%s\n", problem->text);
}

/* Two roles, in this order or the other. */
static struct snapshot *policy_of(bool turned, uint32_t number)
{
    static const char *const names[] = {"truck", "app"};
    struct policy_role_spec roles[2];
    struct acl_rule_spec rules[2];
    char ids[2][8];
    for (uint32_t i = 0; i < 2; i++) {
        const char *name = names[turned ? 1 - i : i];
        snprintf(ids[i], sizeof(ids[i]), "r%u", i);
        rules[i] = (struct acl_rule_spec){.id = ids[i],
                                          .file = "a",
                                          .allow = true,
                                          .actions = 1u << ACL_PUBLISH,
                                          .topic = "t",
                                          .retain = -1,
                                          .will = -1};
        roles[i] = (struct policy_role_spec){
            .name = name, .file = "a", .mode = POLICY_OBSERVE, .rules = &rules[i], .rules_n = 1};
        roles[i].match.vlan = -1;
        roles[i].match.client_id = strcmp(name, "truck") == 0 ? "truck-{serial:[0-9]*}" : "app-*";
    }
    const struct policy_spec spec = {.roles = roles, .roles_n = 2};
    return snapshot_create(&spec, number, no_problem, NULL);
}

struct rig {
    struct snapshot *policy;
    struct generation generation;
    const struct generation *current;
    struct learn_worker learn;
    struct judged_observers observers;
    struct evidence *evidence;
};

static struct rig *rig_create(void)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    if (rig == NULL)
        abort();
    rig->policy = policy_of(false, 1);
    rig->generation = (struct generation){.number = 1, .policy = rig->policy};
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig->generation.policy);
    rig->current = &rig->generation;
    rig->evidence = calloc(1, sizeof(*rig->evidence));
    evidence_init(rig->evidence, learn_hash, &key);
    rig->learn.generation = &rig->current;
    rig->learn.now_us = &now_us;
    struct learn_change change = {.learn = &rig->learn,
                                  .place = 3,
                                  .fresh = true,
                                  .role = {.name = "truck", .active = true, .evidence = rig->evidence}};
    learn_worker_change(&change, &rig->observers);
    return rig;
}

static void rig_destroy(struct rig *rig)
{
    snapshot_destroy(rig->policy);
    free(rig->evidence);
    free(rig);
}

static struct client_facts facts;
static uint32_t asked;

static bool facts_of(const void *owner, struct client_facts *out)
{
    (void)owner;
    *out = facts;
    asked++;
    return true;
}

static void act(struct rig *rig, const char *client, enum judged_kind kind, enum acl_action action,
                enum outcome outcome, const char *topic)
{
    struct identity identity;
    facts = (struct client_facts){.client_id = bytes_of_text(client), .source = {[15] = 9}};
    enum outcome known = identity_resolve(rig->generation.policy, &facts, &identity);
    CU_ASSERT_EQUAL(known, OUTCOME_ALLOWED);
    struct judged_subject who = {.session = (uint64_t)client[strlen(client) - 1],
                                 .stamp = rig->current->number,
                                 .identity = &identity,
                                 .facts = facts_of};
    if (judged_wanted(&rig->observers))
        judged_tell(&rig->observers, &(struct judged_action){.who = &who,
                                                             .kind = kind,
                                                             .action = action,
                                                             .outcome = outcome,
                                                             .topic = bytes_of_text(topic)});
}

static void what_is_noted(void)
{
    static const struct {
        const char *name, *client;
        enum judged_kind kind;
        enum acl_action action;
        enum outcome outcome;
        const char *topic, *noted; /* "" nothing */
    } cases[] = {
        {"what went on", "truck-1", JUDGED_PUBLISH, ACL_PUBLISH, OUTCOME_ALLOWED, "a/truck-1",
         "a/${client_id}"},
        {"a capture", "truck-1", JUDGED_PUBLISH, ACL_PUBLISH, OUTCOME_DEFAULT_DENY, "a/1", "a/${serial}"},
        {"a Will (D10)", "truck-1", JUDGED_WILL, ACL_PUBLISH, OUTCOME_RETAIN_DENIED, "w", "w"},
        {"a filter", "truck-1", JUDGED_SUBSCRIBE, ACL_SUBSCRIBE, OUTCOME_DEFAULT_DENY, "a/+/#", "a/+/#"},
        {"a shared filter by its inner one (4.8.2)", "truck-1", JUDGED_SUBSCRIBE, ACL_SUBSCRIBE,
         OUTCOME_ALLOWED, "$share/g/a/b", "a/b"},
        {"what a rule denies", "truck-1", JUDGED_PUBLISH, ACL_PUBLISH, OUTCOME_RULE_DENY, "x", "x"},
        {"a CoAP path", "truck-1", JUDGED_REQUEST, ACL_PUT, OUTCOME_FORMAT_DENIED, "p/1", "p/${serial}"},
        {"no delivery", "truck-1", JUDGED_DELIVERY, ACL_SUBSCRIBE, OUTCOME_ALLOWED, "a", ""},
        {"no CONNECT", "truck-1", JUDGED_CONNECT, ACL_PUBLISH, OUTCOME_ALLOWED, "", ""},
        {"nothing that broke the protocol", "truck-1", JUDGED_PUBLISH, ACL_PUBLISH, OUTCOME_BAD_TOPIC, "a",
         ""},
        {"nothing over a rate", "truck-1", JUDGED_PUBLISH, ACL_PUBLISH, OUTCOME_RATE_PUBLISHES, "a", ""},
        {"no malformed share", "truck-1", JUDGED_SUBSCRIBE, ACL_SUBSCRIBE, OUTCOME_ALLOWED, "$share/g", ""},
        {"no other role", "app-1", JUDGED_PUBLISH, ACL_PUBLISH, OUTCOME_ALLOWED, "a", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rig *rig = rig_create();
        act(rig, cases[i].client, cases[i].kind, cases[i].action, cases[i].outcome, cases[i].topic);
        struct mined *mined = mine((const struct evidence *const[]){rig->evidence}, 1, 5);
        CU_ASSERT_PTR_NOT_NULL_FATAL(mined);
        const char *noted = mined->findings_n == 0 ? "" : mined->finding[0].topic;
        if (strcmp(noted, cases[i].noted) != 0)
            fprintf(stderr, "%s: %s\n", cases[i].name, noted);
        CU_ASSERT_STRING_EQUAL(noted, cases[i].noted);
        mined_destroy(mined);
        rig_destroy(rig);
    }
}

/* A session is asked who it is once, and again after a reload; a role is the one of that name. */
static void over_a_reload(void)
{
    struct rig *rig = rig_create();
    asked = 0;
    for (int i = 0; i < 10; i++)
        act(rig, "truck-1", JUDGED_PUBLISH, ACL_PUBLISH, OUTCOME_ALLOWED, "a");
    CU_ASSERT_EQUAL(asked, 1);
    snapshot_destroy(rig->policy);
    rig->policy = policy_of(true, 2);
    rig->generation = (struct generation){.number = 2, .policy = rig->policy};
    for (int i = 0; i < 10; i++) {
        act(rig, "truck-1", JUDGED_PUBLISH, ACL_PUBLISH, OUTCOME_ALLOWED, "a");
        act(rig, "app-2", JUDGED_PUBLISH, ACL_PUBLISH, OUTCOME_ALLOWED, "b");
    }
    CU_ASSERT_EQUAL(asked, 2);
    CU_ASSERT_EQUAL(rig->evidence->messages, 20);
    CU_ASSERT_EQUAL(rig->evidence->clients_n, 1);
    rig_destroy(rig);
}

/* Stopped, nobody looks; and nothing more is noted. */
static void stopped(void)
{
    struct rig *rig = rig_create();
    struct learn_change change = {.learn = &rig->learn, .place = 3};
    act(rig, "truck-1", JUDGED_PUBLISH, ACL_PUBLISH, OUTCOME_ALLOWED, "a");
    CU_ASSERT_EQUAL(rig->observers.n, 1);
    learn_worker_change(&change, &rig->observers);
    CU_ASSERT_EQUAL(rig->observers.n, 0);
    act(rig, "truck-1", JUDGED_PUBLISH, ACL_PUBLISH, OUTCOME_ALLOWED, "a");
    CU_ASSERT_EQUAL(rig->evidence->messages, 1);
    rig_destroy(rig);
}

/* Copied in parts, between which it goes on; nothing is displaced meanwhile. */
static void copied(void)
{
    struct rig *rig = rig_create();
    struct evidence *copy = calloc(1, sizeof(*copy));
    size_t position = 0;
    uint32_t parts = 1;
    for (; !learn_worker_copy(&rig->learn, 3, copy, &position); parts++) {
        CU_ASSERT_TRUE(rig->evidence->frozen);
        act(rig, "truck-1", JUDGED_PUBLISH, ACL_PUBLISH, OUTCOME_ALLOWED, "a");
    }
    CU_ASSERT_FALSE(rig->evidence->frozen);
    CU_ASSERT_EQUAL(parts, (sizeof(*copy) + LEARN_COPY_BYTES - 1) / LEARN_COPY_BYTES);
    struct mined *mined =
        mine((const struct evidence *const[]){copy}, 1, 5); /* whatever it holds, it is read */
    CU_ASSERT_PTR_NOT_NULL(mined);
    mined_destroy(mined);
    free(copy);
    rig_destroy(rig);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"what is noted", what_is_noted},
        {"a role by its name, over a reload", over_a_reload},
        {"stopped", stopped},
        {"copied in parts", copied},
    };
    return unit_run("learn_worker", tests, COUNT(tests));
}
