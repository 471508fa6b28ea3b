/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/access/snapshot_publishers.h"
#include "tests/unit/runner.h"

#define ROLES 20
#define RULES 8

/*
 * A policy in words: "t+p:own:a/${id}" is role t's rule "own", which allows (+) or denies (-) publish (p) or
 * subscribe (s). Behind the topic: " ~r" not retained, " ~0" QoS 0, " ~w" also as a Will, " ~u" UTF-8, " ~b"
 * at most 10 bytes, " ~e" enforced. "t!" the role only observes, "t@x" it takes x-*, "t=x" its ${id} is
 * "x-${client_id}", "t$x" its ${var.v} is "x".
 */
struct words {
    char text[512];
    struct policy_role_spec roles[ROLES];
    struct acl_rule_spec rules[ROLES][RULES];
    struct policy_variable vars[ROLES];
    char strings[ROLES][4][24];
    struct policy_spec spec;
};

static struct policy_role_spec *role_named(struct words *w, char name)
{
    uint32_t i = 0;
    while (i < w->spec.roles_n && w->roles[i].name[0] != name)
        i++;
    if (i == w->spec.roles_n) {
        w->spec.roles_n++;
        snprintf(w->strings[i][0], 24, "%c", name);
        snprintf(w->strings[i][1], 24, "%c-*", name);
        w->roles[i] = (struct policy_role_spec){.name = w->strings[i][0],
                                                .file = "f",
                                                .match = {.vlan = -1, .client_id = w->strings[i][1]},
                                                .max_qos = 2,
                                                .rules = w->rules[i]};
    }
    return &w->roles[i];
}

static void add_condition(struct acl_rule_spec *rule, char c)
{
    switch (c) {
    case 'r':
        rule->retain = 0;
        break;
    case '0':
        rule->qos_mask = 1;
        break;
    case 'w':
        rule->will = 1;
        break;
    case 'u':
        rule->payload = ACL_PAYLOAD_UTF8;
        break;
    case 'b':
        rule->payload_max = 10;
        break;
    default:
        rule->enforce = true;
        break;
    }
}

static void add_word(struct words *w, char *word)
{
    struct policy_role_spec *role = role_named(w, word[0]);
    size_t i = (size_t)(role - w->roles);
    if (word[0] == '~') {
        CU_FAIL_FATAL("a condition without a rule");
    } else if (word[1] == '!') {
        role->mode = POLICY_OBSERVE;
    } else if (word[1] == '@') {
        snprintf(w->strings[i][1], 24, "%s-*", word + 2);
    } else if (word[1] == '=') {
        snprintf(w->strings[i][2], 24, "%s-${client_id}", word + 2);
        role->id = w->strings[i][2];
    } else if (word[1] == '$') {
        w->vars[i] = (struct policy_variable){.name = "v", .value = word + 2};
        role->variables = &w->vars[i];
        role->variables_n = 1;
    } else {
        struct acl_rule_spec *rule = &w->rules[i][role->rules_n++];
        char *topic = strchr(word + 4, ':');
        CU_ASSERT_FATAL(topic != NULL && role->rules_n <= RULES);
        *topic = 0;
        word[3] = word[0]; /* no id is there twice */
        *rule = (struct acl_rule_spec){.id = word + 3,
                                       .file = "f",
                                       .line = role->rules_n,
                                       .allow = word[1] == '+',
                                       .actions = word[2] == 'p' ? 1U << ACL_PUBLISH : 1U << ACL_SUBSCRIBE,
                                       .topic = topic + 1,
                                       .retain = -1,
                                       .will = -1};
    }
}

static void told(void *owner, const struct policy_problem *problem)
{
    (void)owner;
    if (!problem->warning)
        fprintf(stderr, "  %s\n", problem->text);
}

static struct snapshot *snapshot_of(struct words *w, const char *text)
{
    char *rest = w->text, *word;
    struct acl_rule_spec *last = NULL;
    memset(w, 0, sizeof(*w));
    w->spec.roles = w->roles;
    snprintf(w->text, sizeof(w->text), "%s", text);
    while ((word = strsep(&rest, " ")) != NULL) {
        if (word[0] == '~' && last != NULL) {
            add_condition(last, word[1]);
            continue;
        }
        add_word(w, word);
        struct policy_role_spec *role = role_named(w, word[0]);
        last = role->rules_n == 0 ? NULL : &w->rules[role - w->roles][role->rules_n - 1];
    }
    return snapshot_create(&w->spec, 1, told, NULL);
}

static void write_found(const struct new_publishers *found, char *to, size_t room)
{
    size_t n = 0;
    to[0] = 0;
    for (uint32_t i = 0; i < found->n && i < NEW_PUBLISHERS_KEPT; i++) {
        const struct new_publisher *p = &found->first[i];
        n += (size_t)snprintf(to + n, room - n, "%s%s%s.%s>%s.%s", n == 0 ? "" : " ",
                              p->why == NEW_PUBLISHER_ROLE      ? "new:"
                              : p->why == NEW_PUBLISHER_CLIENTS ? "clients:"
                                                                : "",
                              p->role->name, p->rule == NULL ? "*" : p->rule->id + 1,
                              p->subscriber == NULL ? "?" : p->subscriber->name,
                              p->subscription == NULL ? "*" : p->subscription->id + 1);
    }
}

#define OFFICE " o+s:all:a/#"

static const struct {
    const char *what, *before, *after, *found;
} table[] = {
    {"newly allowed", "t+p:1:a/x" OFFICE, "t+p:1:a/x t+p:2:a/y" OFFICE, "t.2>o.all"},
    {"the same", "t+p:1:a/x" OFFICE, "t+p:1:a/x" OFFICE, ""},
    {"narrowed", "t+p:1:a/+" OFFICE, "t+p:1:a/x" OFFICE, ""},
    {"narrowed to a variable", "t+p:1:a/+" OFFICE, "t+p:1:a/${client_id}" OFFICE, ""},
    {"widened from a variable", "t+p:1:a/${client_id}" OFFICE, "t+p:1:a/+" OFFICE, "t.1>o.all"},
    {"widened to '#'", "t+p:1:a/+" OFFICE, "t+p:1:a/#" OFFICE, "t.1>o.all"},
    {"another variable", "t+p:1:a/${client_id}" OFFICE, "t+p:1:a/${user}" OFFICE, "t.1>o.all"},
    {"the same variable, less", "t+p:1:a/x${user}/#" OFFICE, "t+p:1:a/x${user}/y" OFFICE, ""},
    {"moved", "t+p:1:a/x t+p:2:a/y" OFFICE, "t+p:2:a/y t+p:1:a/x" OFFICE, ""},
    {"renamed", "t+p:1:a/x" OFFICE, "t+p:other:a/x" OFFICE, ""},
    {"said by two together", "t+p:1:a/#" OFFICE, "t+p:1:a t+p:2:a/+/#" OFFICE, ""},
    {"two become one", "t+p:1:a t+p:2:a/+/#" OFFICE, "t+p:1:a/#" OFFICE, ""},
    {"a deny comes", "t+p:1:a/#" OFFICE, "t+p:1:a/# t-p:2:a/x" OFFICE, ""},
    {"a deny goes", "t+p:1:a/# t-p:2:a/x" OFFICE, "t+p:1:a/#" OFFICE, "t.1>o.all"},
    {"a deny goes from elsewhere", "t+p:1:a/# t-p:2:b/x" OFFICE, "t+p:1:a/#" OFFICE, ""},
    {"a deny of a variable goes", "t+p:1:a/7/# t-p:2:a/${user}/x" OFFICE, "t+p:1:a/7/#" OFFICE, "t.1>o.all"},
    {"a deny is renamed", "t+p:1:a/# t-p:2:a/x" OFFICE, "t+p:1:a/# t-p:other:a/x" OFFICE, ""},
    {"a deny is widened", "t+p:1:a/# t-p:2:a/x" OFFICE, "t+p:1:a/# t-p:2:a/+" OFFICE, ""},
    {"a deny is narrowed", "t+p:1:a/# t-p:2:a/+" OFFICE, "t+p:1:a/# t-p:2:a/x" OFFICE, "t.1>o.all"},
    {"a deny gets a condition", "t+p:1:a/# t-p:2:a/x" OFFICE, "t+p:1:a/# t-p:2:a/x ~r" OFFICE, "t.1>o.all"},
    {"a deny keeps its condition", "t+p:1:a/# t-p:2:a/x ~0" OFFICE, "t+p:1:a/# t-p:2:a/x ~0" OFFICE, ""},
    {"another condition", "t+p:1:a/# t-p:2:a/x ~0" OFFICE, "t+p:1:a/# t-p:2:a/x ~r" OFFICE, "t.1>o.all"},
    {"allowed, but denied", "t+p:1:b" OFFICE, "t+p:1:b t+p:2:a/# t-p:3:a t-p:4:a/+/#" OFFICE, ""},
    {"allowed, in part denied", "t+p:1:b" OFFICE, "t+p:1:b t+p:2:a/# t-p:3:a" OFFICE, "t.2>o.all"},
    {"a new role", "o+s:all:a/#", "o+s:all:a/# t+p:1:a/x", "new:t.1>o.all"},
    {"a role renamed", "u+p:1:a/x" OFFICE, "t+p:1:a/x" OFFICE, "new:t.1>o.all"},
    {"nobody subscribes", "t+p:1:b o+s:all:b/x", "t+p:1:b t+p:2:a/y o+s:all:b/x", ""},
    {"the role itself only", "t+p:1:b t+s:all:a/#", "t+p:1:b t+p:2:a/y t+s:all:a/#", ""},
    {"a subscriber comes", "t+p:1:a/x o+s:all:b", "t+p:1:a/x o+s:all:a/x", ""},
    {"a subscriber's variable", "t+p:1:b o+s:1:a/${user}/c", "t+p:1:b t+p:2:a/7/c o+s:1:a/${user}/c",
     "t.2>o.1"},
    {"a subscriber's variable, deeper", "t+p:1:b o+s:1:a/${user}/c", "t+p:1:b t+p:2:a/7/d o+s:1:a/${user}/c",
     ""},
    {"a publisher's variable", "t+p:1:b o+s:1:a/7", "t+p:1:b t+p:2:a/${user} o+s:1:a/7", "t.2>o.1"},
    {"'$' stays apart", "t+p:1:b o+s:1:#", "t+p:1:b t+p:2:$a/x o+s:1:#", ""},
    {"'$' by name", "t+p:1:b o+s:1:$a/+", "t+p:1:b t+p:2:$a/x o+s:1:$a/+", "t.2>o.1"},
    {"an empty first level", "t+p:1:b o+s:1:/+/c", "t+p:1:b t+p:2:/x/c o+s:1:/+/c", "t.2>o.1"},
    {"an empty first level, and none", "t+p:1:b o+s:1:/c", "t+p:1:b t+p:2:c o+s:1:/c", ""},
    {"retained too", "t+p:1:a/x ~r" OFFICE, "t+p:1:a/x" OFFICE, "t.1>o.all"},
    {"retained no more", "t+p:1:a/x" OFFICE, "t+p:1:a/x ~r" OFFICE, ""},
    {"a Will too", "t+p:1:a/x" OFFICE, "t+p:1:a/x ~w" OFFICE, "t.1>o.all"},
    {"with QoS 1 too", "t+p:1:a/x ~0" OFFICE, "t+p:1:a/x" OFFICE, "t.1>o.all"},
    {"with QoS 0 only", "t+p:1:a/x" OFFICE, "t+p:1:a/x ~0" OFFICE, ""},
    {"longer", "t+p:1:a/x ~b" OFFICE, "t+p:1:a/x" OFFICE, "t.1>o.all"},
    {"shorter", "t+p:1:a/x" OFFICE, "t+p:1:a/x ~b" OFFICE, ""},
    {"any payload", "t+p:1:a/x ~u" OFFICE, "t+p:1:a/x" OFFICE, "t.1>o.all"},
    {"text only", "t+p:1:a/x" OFFICE, "t+p:1:a/x ~u" OFFICE, ""},
    {"other clients, once", "t+p:1:a/x t+p:2:a/y" OFFICE, "t@q t+p:1:a/x t+p:2:a/y" OFFICE,
     "clients:t.1>o.all"},
    {"other clients, nobody subscribes", "t+p:1:c o+s:1:b", "t@q t+p:1:c o+s:1:b", ""},
    {"another identity", "t=x t+p:1:a/${id} t+p:2:a/y" OFFICE, "t=y t+p:1:a/${id} t+p:2:a/y" OFFICE,
     "t.1>o.all"},
    {"another value", "t$x t+p:1:a/${var.v} t+p:2:a/y" OFFICE, "t$y t+p:1:a/${var.v} t+p:2:a/y" OFFICE,
     "t.1>o.all"},
    {"the same value", "t$x t+p:1:a/${var.v}" OFFICE, "t$x t+p:1:a/${var.v}" OFFICE, ""},
    {"observed from now on", "t+p:1:a/x" OFFICE, "t! t+p:1:a/x" OFFICE, "t.*>o.all"},
    {"observed as it was", "t! t+p:1:a/x" OFFICE, "t! t+p:1:a/y" OFFICE, ""},
    {"observed no more", "t! t+p:1:a/x" OFFICE, "t+p:1:a/y" OFFICE, ""},
    {"what was enforced goes", "t! t+p:1:a/x t-p:2:a/y ~e" OFFICE, "t! t+p:1:a/x" OFFICE, "t.*>o.all"},
    {"what was not enforced goes", "t! t+p:1:a/x t-p:2:a/y" OFFICE, "t! t+p:1:a/x" OFFICE, ""},
    {"a subscriber that only observes", "t+p:1:a o! o+p:1:z", "t+p:1:a t+p:2:b o! o+p:1:z", "t.2>o.*"},
    {"six roles, the last subscribes", "t+p:1:z b+p:1:z c+p:1:z d+p:1:z e+p:1:z f+s:1:a",
     "t+p:1:z t+p:2:a b+p:1:z c+p:1:z d+p:1:z e+p:1:z e+p:2:a f+s:1:a", "t.2>f.1 e.2>f.1"},
    {"eighteen roles",
     "a+p:1:z b+p:1:z c+p:1:z d+p:1:z e+p:1:z f+p:1:z g+p:1:z h+p:1:z i+p:1:z j+p:1:z k+p:1:z l+p:1:z "
     "m+p:1:z "
     "n+p:1:z o+p:1:z p+p:1:z q+s:1:y r+p:1:z",
     "a+p:1:y b+p:1:z c+p:1:z d+p:1:z e+p:1:z f+p:1:z g+p:1:z h+p:1:z i+p:1:z j+p:1:z k+p:1:z l+p:1:z "
     "m+p:1:z "
     "n+p:1:z o+p:1:z p+p:1:y q+s:1:y q+p:2:y r+p:1:y",
     "a.1>q.1 p.1>q.1 r.1>q.1"},
};

static void rows(void)
{
    static struct words b, a;
    char text[1024];
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct new_publishers found;
        struct snapshot *before = snapshot_of(&b, table[i].before);
        struct snapshot *after = snapshot_of(&a, table[i].after);
        CU_ASSERT_FATAL(before != NULL && after != NULL);
        CU_ASSERT_TRUE(snapshot_new_publishers(before, after, &found));
        write_found(&found, text, sizeof(text));
        if (strcmp(text, table[i].found) != 0)
            fprintf(stderr, "  %s: \"%s\", not \"%s\"\n", table[i].what, text, table[i].found);
        CU_ASSERT_STRING_EQUAL(text, table[i].found);
        snapshot_destroy(before);
        snapshot_destroy(after);
    }
}

/* ---- many rules -----------------------------------------------------------------------------------------
 */

#define MANY 100000U

static struct {
    struct acl_rule_spec rules[2][MANY];
    char topic[2][MANY][24];
    char id[2][MANY][12];
} many;

static struct snapshot *many_rules(const char *publish, const char *subscribe, uint32_t n)
{
    const char *const format[2] = {publish, subscribe};
    struct policy_role_spec roles[2];
    for (int r = 0; r < 2; r++) {
        for (uint32_t i = 0; i < n; i++) {
            snprintf(many.topic[r][i], 24, format[r], i);
            snprintf(many.id[r][i], 12, "%c%u", "ps"[r], i);
            many.rules[r][i] =
                (struct acl_rule_spec){.id = many.id[r][i],
                                       .file = "f",
                                       .line = i,
                                       .allow = true,
                                       .actions = r == 0 ? 1U << ACL_PUBLISH : 1U << ACL_SUBSCRIBE,
                                       .topic = many.topic[r][i],
                                       .retain = -1,
                                       .will = -1};
        }
        roles[r] = (struct policy_role_spec){.name = r == 0 ? "t" : "o",
                                             .file = "f",
                                             .match = {.vlan = -1, .client_id = r == 0 ? "t-*" : "o-*"},
                                             .max_qos = 2,
                                             .rules = many.rules[r],
                                             .rules_n = n};
    }
    struct policy_spec spec = {.roles = roles, .roles_n = 2};
    return snapshot_create(&spec, 1, told, NULL);
}

static struct new_publishers among_many(struct snapshot *before, struct snapshot *after)
{
    struct new_publishers found = {.n = 0};
    CU_ASSERT_FATAL(before != NULL && after != NULL);
    CU_ASSERT_TRUE(snapshot_new_publishers(before, after, &found));
    return found;
}

static void hundred_thousand(void)
{
    struct snapshot *small = many_rules("a/%u/x", "a/%u/+", 1000);
    struct snapshot *same = many_rules("a/%u/x", "a/%u/+", MANY);
    struct snapshot *apart = many_rules("a/%u/x", "b/%u/+", MANY);
    /* Each would have to look at all that is below "a": it is told, with nobody named. */
    struct snapshot *wide = many_rules("a/+/%u", "a/%u/c/d", MANY);
    struct new_publishers found = among_many(same, same);
    CU_ASSERT(found.n == 0 && !found.stopped);
    found = among_many(small, apart);
    CU_ASSERT(found.n == 0 && !found.stopped);
    found = among_many(small, same);
    CU_ASSERT(found.n == NEW_PUBLISHERS_MAX && found.stopped);
    CU_ASSERT_STRING_EQUAL(found.first[0].rule->id, "p1000");
    CU_ASSERT_STRING_EQUAL(found.first[15].subscription->id, "s1015");
    found = among_many(small, wide);
    CU_ASSERT(found.n == NEW_PUBLISHERS_MAX && found.stopped && found.first[0].subscriber == NULL);
    snapshot_destroy(small);
    snapshot_destroy(same);
    snapshot_destroy(apart);
    snapshot_destroy(wide);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"what is new to subscribers (G2)", rows},
        {"100,000 rules (G2, G4)", hundred_thousand},
    };
    return unit_run("snapshot_publishers", tests, sizeof(tests) / sizeof(tests[0]));
}
