/* SPDX-License-Identifier: GPL-2.0-or-later */
/* snapshot.h: all that can be wrong with a policy, and what is kept of a good one (C, F, G1, G4). */
#include "policy/access/snapshot.h"

#include "tests/unit/runner.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define P (1U << ACL_PUBLISH)
#define S (1U << ACL_SUBSCRIBE)

struct told {
    uint32_t n;
    struct policy_problem problem[32];
};

static void note(void *owner, const struct policy_problem *problem)
{
    struct told *told = owner;
    if (told->n < COUNT(told->problem))
        told->problem[told->n] = *problem;
    told->n++;
}

static struct acl_rule_spec rule_of(const char *id, bool allow, uint16_t actions, const char *topic,
                                    uint32_t line)
{
    return (struct acl_rule_spec){.id = id,
                                  .file = "a.conf",
                                  .line = line,
                                  .allow = allow,
                                  .actions = actions,
                                  .topic = topic,
                                  .retain = -1,
                                  .will = -1};
}

static struct policy_role_spec role_of(const char *name, uint32_t line)
{
    struct policy_role_spec role = {.name = name, .file = "a.conf", .line = line};
    role.match.vlan = -1;
    role.match.client_id = "*";
    return role;
}

static bool said(const struct told *told, uint32_t line, const char *text)
{
    for (uint32_t i = 0; i < told->n && i < COUNT(told->problem); i++)
        if (told->problem[i].line == line && strstr(told->problem[i].text, text) != NULL)
            return true;
    for (uint32_t i = 0; i < told->n && i < COUNT(told->problem); i++)
        fprintf(stderr, "%s:%u: %s\n", told->problem[i].file, told->problem[i].line, told->problem[i].text);
    fprintf(stderr, "not said at line %u: %s\n", line, text);
    return false;
}

static struct snapshot *create(const struct policy_role_spec *roles, uint32_t roles_n,
                               const struct policy_device_spec *devices, uint32_t devices_n,
                               struct told *told)
{
    const struct policy_spec spec = {roles, roles_n, devices, devices_n};
    told->n = 0;
    return snapshot_create(&spec, 7, note, told);
}

static void kept(void)
{
    struct acl_rule_spec rules[] = {rule_of("r.a", true, P, "t/${client_id}/${var.line}", 4)};
    const struct policy_variable vars[] = {{"line", "north"}};
    char name[] = "truck", id[] = "truck-001";
    struct policy_role_spec role = role_of(name, 3);
    role.rules = rules;
    role.rules_n = 1;
    role.variables = vars;
    role.variables_n = 1;
    role.max_qos = 1;
    role.will = POLICY_WILL_REQUIRED;
    role.subscribe_mode = ACL_FILTER_TRIM;
    role.limits.packet_bytes = 16384;
    struct policy_device_spec device = {
        .id = id, .quarantine = "stolen", .has_mac = true, .mac = {1, 2, 3, 4, 5, 6}};
    struct told told;
    struct snapshot *s = create(&role, 1, &device, 1, &told);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    memset(name, 'x', sizeof(name) - 1); /* nothing is borrowed */
    memset(id, 'x', sizeof(id) - 1);
    CU_ASSERT_EQUAL(snapshot_generation(s), 7);
    CU_ASSERT_EQUAL(strlen(snapshot_fingerprint(s)), 8);
    CU_ASSERT_EQUAL(snapshot_roles(s), 1);
    const struct policy_role *r = snapshot_role(s, 0);
    CU_ASSERT_STRING_EQUAL(r->name, "truck");
    CU_ASSERT_STRING_EQUAL(r->file, "a.conf");
    CU_ASSERT_EQUAL(r->line, 3);
    CU_ASSERT_EQUAL(r->max_qos, 1);
    CU_ASSERT_EQUAL(r->will, POLICY_WILL_REQUIRED);
    CU_ASSERT_EQUAL(r->subscribe_mode, ACL_FILTER_TRIM);
    CU_ASSERT_FALSE(r->holds_payload);
    CU_ASSERT_EQUAL(r->inflight, 20); /* D8 */
    CU_ASSERT_EQUAL(r->queue, 100);
    CU_ASSERT_EQUAL(r->limits.packet_bytes, 16384);
    CU_ASSERT_EQUAL(r->limits.subscriptions, 64);
    CU_ASSERT_EQUAL(r->limits.sessions, 1);
    CU_ASSERT_EQUAL(r->limits.topic_levels, 32);
    CU_ASSERT_EQUAL(r->limits.topic_bytes, 1024);
    CU_ASSERT_EQUAL(r->limits.user_properties, 16);
    CU_ASSERT_EQUAL(r->limits.keepalive_max_s, 3600);
    CU_ASSERT_EQUAL(r->limits.rates.of[RATE_PUBLISHES][0].amount, 0); /* unlimited */
    CU_ASSERT_EQUAL(acl_rules(r->acl), 1);
    CU_ASSERT_PTR_NULL(snapshot_role(s, 1));
    CU_ASSERT_EQUAL(snapshot_devices(s), 1);
    const struct policy_device *d = snapshot_device(s, bytes_of_text("truck-001"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    CU_ASSERT_STRING_EQUAL(d->quarantine, "stolen");
    CU_ASSERT_TRUE(d->has_mac && d->mac[5] == 6);
    CU_ASSERT_PTR_NULL(snapshot_device(s, bytes_of_text("truck-002")));
    CU_ASSERT_PTR_NULL(snapshot_device(s, bytes_of(NULL, 0)));
    CU_ASSERT_TRUE(snapshot_memory_bytes(s) > acl_memory_bytes(r->acl));
    snapshot_destroy(s);
    snapshot_destroy(NULL);
}

static void payload_held(void)
{
    struct acl_rule_spec rules[] = {rule_of("r.a", true, P, "t", 4)};
    struct policy_role_spec roles[] = {role_of("json", 1), role_of("utf8", 2), role_of("any", 3)};
    struct acl_rule_spec json = rules[0], plain = rules[0];
    json.payload = ACL_PAYLOAD_JSON;
    json.id = "r.json";
    plain.id = "r.plain";
    roles[0].rules = &json;
    roles[0].rules_n = 1;
    roles[1].payload_utf8 = true;
    roles[2].rules = &plain;
    roles[2].rules_n = 1;
    struct told told;
    struct snapshot *s = create(roles, 3, NULL, 0, &told);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_TRUE(snapshot_role(s, 0)->holds_payload);
    CU_ASSERT_TRUE(snapshot_role(s, 1)->holds_payload);
    CU_ASSERT_FALSE(snapshot_role(s, 2)->holds_payload);
    snapshot_destroy(s);
}

/* G1: all problems in one go, each at its line. */
static void problems_of_rules(void)
{
    struct acl_rule_spec first[] = {
        rule_of("depot.deny", false, P | S, "depot/#", 29),
        rule_of("depot.all", true, P, "depot/all", 31),
        rule_of("a.dup", true, P, "x", 32),
        rule_of("a.dup2", true, P, "x", 33),
    };
    struct acl_rule_spec second[] = {
        rule_of("b.hash", true, P, "a/#/b", 41),
        rule_of("b.var", true, P, "a/${clent_id}", 42),
        rule_of("b.chan", true, P, "a/${var.chanel}", 43),
        rule_of("b.cap", true, P, "a/${serail}", 44),
        rule_of("b.far", true, P, "a/${elsewhere}", 45),
        rule_of("b.hash", true, P, "fine", 46),
        rule_of("b.ok", true, P, "fine2", 47),
        rule_of("b.ok", true, P, "fine3", 48),
        rule_of(NULL, true, P, "fine4", 49),
    };
    const struct policy_variable vars[] = {{"channel", "stable"}};
    struct policy_role_spec role = role_of("one", 20);
    role.rules = first;
    role.rules_n = COUNT(first);
    struct told told;
    CU_ASSERT_PTR_NULL(create(&role, 1, NULL, 0, &told));
    CU_ASSERT_EQUAL(told.n, 2);
    CU_ASSERT_TRUE(
        said(&told, 31,
             "rule 'depot.all' can never decide; 'depot.deny' (line 29) covers it; delete one of them"));
    CU_ASSERT_TRUE(said(
        &told, 33, "rule 'a.dup2' can never decide; 'a.dup' (line 32) says the same; delete one of them"));
    role = role_of("two", 40);
    role.match.client_id = "truck-{serial}";
    role.rules = second;
    role.rules_n = COUNT(second);
    role.variables = vars;
    role.variables_n = 1;
    CU_ASSERT_PTR_NULL(create(&role, 1, NULL, 0, &told));
    CU_ASSERT_EQUAL(told.n, 7);
    CU_ASSERT_TRUE(said(&told, 41, "last level"));
    CU_ASSERT_TRUE(said(&told, 42, "did you mean '${client_id}'?"));
    CU_ASSERT_TRUE(said(&told, 43, "did you mean '${var.channel}'?"));
    CU_ASSERT_TRUE(said(&told, 44, "did you mean '${serial}'?"));
    CU_ASSERT_TRUE(said(&told, 45, "unknown variable '${elsewhere}'"));
    CU_ASSERT_TRUE(said(&told, 48, "rule 'b.ok' is there already (line 47)"));
    CU_ASSERT_TRUE(said(&told, 49, "id"));
}

static void problems_of_roles(void)
{
    struct policy_role_spec roles[] = {role_of("same", 1),     role_of("same", 2),  role_of("nobody", 3),
                                       role_of("both", 4),     role_of("globs", 5), role_of("caps", 6),
                                       role_of("ids", 7),      role_of("", 8),      role_of("vars", 9),
                                       role_of("clients", 10), role_of("any", 11),  role_of("late", 12)};
    const struct policy_variable vars[] = {{"a", "1"}, {"a", "2"}, {"b c", "3"}};
    roles[2].match.client_id = NULL;
    roles[3].match.any = true;
    roles[4].match.user = "[";
    roles[4].match.vlan = 4095;
    roles[5].match.client_id = "{user}-{n}";
    roles[5].match.cert_cn = "{n}";
    roles[6].id = "x-${id}";
    roles[8].variables = vars;
    roles[8].variables_n = COUNT(vars);
    roles[9].client_id = "${user}-{n}";
    roles[10].match.client_id = NULL;
    roles[10].match.any = true;
    struct told told;
    CU_ASSERT_PTR_NULL(create(roles, COUNT(roles), NULL, 0, &told));
    CU_ASSERT_TRUE(said(&told, 2, "is there already"));
    CU_ASSERT_TRUE(said(&told, 3, "nobody gets it"));
    CU_ASSERT_TRUE(said(&told, 4, "'any' beside other conditions"));
    CU_ASSERT_TRUE(said(&told, 5, "'match.user' of role 'globs'"));
    CU_ASSERT_TRUE(said(&told, 5, "VLAN 4095"));
    CU_ASSERT_TRUE(said(&told, 6, "capture '{user}'"));
    CU_ASSERT_TRUE(said(&told, 6, "'{n}' twice"));
    CU_ASSERT_TRUE(said(&told, 7, "which is itself"));
    CU_ASSERT_TRUE(said(&told, 8, "no name"));
    CU_ASSERT_TRUE(said(&told, 9, "'a' is twice"));
    CU_ASSERT_TRUE(said(&told, 9, "'b c'"));
    CU_ASSERT_TRUE(said(&told, 10, "do not go together"));
    CU_ASSERT_TRUE(said(&told, 12, "can never be given"));
}

static void problems_of_devices(void)
{
    struct acl_rule_spec rules[] = {rule_of("r", true, P, "t/${var.line}", 2)};
    struct policy_role_spec role = role_of("one", 1);
    const struct policy_variable bad[] = {{"line", "a/b"}}, other[] = {{"note", "a/b"}},
                                 good[] = {{"line", "ab"}};
    role.rules = rules;
    role.rules_n = 1;
    struct policy_device_spec devices[] = {
        {.id = "a", .file = "d.conf", .line = 1, .variables = good, .variables_n = 1},
        {.id = "a", .file = "d.conf", .line = 2},
        {.id = "", .file = "d.conf", .line = 3},
        {.id = "b", .file = "d.conf", .line = 4, .variables = bad, .variables_n = 1},
        {.id = "c", .file = "d.conf", .line = 5, .variables = other, .variables_n = 1},
        {.id = "d", .file = "d.conf", .line = 6, .addresses_n = 1, .addresses = {{.bits = 129}}},
    };
    struct told told;
    CU_ASSERT_PTR_NULL(create(&role, 1, devices, COUNT(devices), &told));
    CU_ASSERT_EQUAL(told.n, 4);
    CU_ASSERT_TRUE(said(&told, 2, "device 'a' is there already (line 1)"));
    CU_ASSERT_TRUE(said(&told, 3, "no id"));
    CU_ASSERT_TRUE(said(&told, 4, "stands in topics"));
    CU_ASSERT_TRUE(said(&told, 6, "address"));
    struct snapshot *s = create(&role, 1, devices, 1, &told);
    CU_ASSERT_PTR_NOT_NULL(s); /* ${var.line} is known through the device alone */
    snapshot_destroy(s);
    CU_ASSERT_PTR_NULL(create(&role, 1, NULL, 0, &told));
    CU_ASSERT_TRUE(said(&told, 2, "unknown variable '${var.line}'"));
}

/* What must be read is held in memory, which has an end (D1, D3). */
static void payloads_that_are_read(void)
{
    struct acl_rule_spec json = rule_of("r", true, P, "a", 2);
    json.payload = ACL_PAYLOAD_JSON;
    for (int reads = 0; reads < 3; reads++)
        for (int large = 0; large < 2; large++) {
            struct told told = {0};
            struct acl_rule_spec plain = rule_of("r", true, P, "a", 2);
            struct policy_role_spec role = role_of("one", 1);
            role.rules = reads == 1 ? &json : &plain;
            role.rules_n = 1;
            role.payload_utf8 = reads == 2;
            role.limits.packet_bytes = POLICY_HELD_BYTES_MAX + (uint32_t)large;
            struct snapshot *s = create(&role, 1, NULL, 0, &told);
            CU_ASSERT_EQUAL(s == NULL, reads != 0 && large);
            CU_ASSERT_TRUE(s != NULL || said(&told, 1, "write packet = \"16MiB\" or less"));
            snapshot_destroy(s);
        }
}

static void fingerprint_of(const struct policy_spec *spec, char out[9])
{
    struct told told = {0};
    struct snapshot *s = snapshot_create(spec, 1, note, &told);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    memcpy(out, snapshot_fingerprint(s), 9);
    snapshot_destroy(s);
}

static void fingerprints(void)
{
    struct acl_rule_spec rules[] = {rule_of("a", true, P, "a", 1), rule_of("b", true, P, "b", 2)};
    struct acl_rule_spec swapped[] = {rule_of("b", true, P, "b", 11), rule_of("a", true, P, "a", 12)};
    struct policy_role_spec roles[] = {role_of("one", 1), role_of("two", 2)};
    struct policy_device_spec devices[] = {{.id = "x"}, {.id = "y", .quarantine = "q"}};
    struct policy_device_spec devices_swapped[] = {{.id = "y", .quarantine = "q"}, {.id = "x"}};
    roles[0].rules = rules;
    roles[0].rules_n = 2;
    const struct policy_spec spec = {roles, 2, devices, 2};
    char base[9], other[9];
    fingerprint_of(&spec, base);
    /* Files, lines and the order of rules and devices mean nothing. */
    struct policy_role_spec same[] = {roles[0], roles[1]};
    same[0].rules = swapped;
    same[0].file = "b.conf";
    same[0].line = 77;
    const struct policy_spec moved = {same, 2, devices_swapped, 2};
    fingerprint_of(&moved, other);
    CU_ASSERT_STRING_EQUAL(base, other);
    /* Everything else does. */
    struct policy_role_spec changed[] = {roles[1], roles[0]};
    const struct policy_spec reordered = {changed, 2, devices, 2};
    fingerprint_of(&reordered, other);
    CU_ASSERT_STRING_NOT_EQUAL(base, other);
    const struct policy_spec fewer = {roles, 2, devices, 1};
    fingerprint_of(&fewer, other);
    CU_ASSERT_STRING_NOT_EQUAL(base, other);
    memcpy(changed, roles, sizeof(roles));
    changed[1].limits.rates.of[RATE_PUBLISHES][0].burst = 1;
    const struct policy_spec limits = {changed, 2, devices, 2};
    fingerprint_of(&limits, other);
    CU_ASSERT_STRING_NOT_EQUAL(base, other);
    for (int i = 0; i < 5; i++) {
        memcpy(changed, roles, sizeof(roles));
        changed[1].law = (struct policy_mqtt_law){.strict_strings = i == 0,
                                                  .pass_redirection = i == 1,
                                                  .over = i == 2,
                                                  .response_topic = i == 3,
                                                  .release_s = i == 4};
        fingerprint_of(&limits, other);
        CU_ASSERT_STRING_NOT_EQUAL(base, other);
    }
    rules[1].will = 1;
    fingerprint_of(&spec, other);
    CU_ASSERT_STRING_NOT_EQUAL(base, other);
}

/* C4: whose place it is, for protocols in which a device does not say who it is. */
static void devices_at(void)
{
#define V4(d)                                                                                                \
    {                                                                                                        \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 20, 0, d                                               \
    }
    static const uint8_t at[][16] = {V4(1), V4(2), V4(3), V4(4)};
    static const uint8_t mac[][6] = {{1}, {2}, {3}};
    struct policy_role_spec role = role_of("one", 1);
    struct policy_device_spec devices[] = {
        {.id = "both", .has_mac = true, .mac = {1}, .addresses_n = 1, .addresses = {{V4(1), 128}}},
        {.id = "mac", .has_mac = true, .mac = {2}},
        {.id = "address", .addresses_n = 1, .addresses = {{V4(3), 128}}},
        {.id = "prefix", .addresses_n = 1, .addresses = {{V4(4), 120}}},
    };
    static const struct {
        bool has_mac;
        uint8_t mac, at;
        const char *id;
    } t[] = {
        {true, 0, 0, "both"},     {true, 0, 3, "both"},  {true, 2, 0, "both"}, /* who took the address */
        {true, 1, 0, "both"},     {true, 1, 3, "mac"},   {true, 1, 2, "mac"},  {true, 2, 2, "address"},
        {false, 0, 2, "address"}, {false, 0, 0, "both"}, {false, 0, 3, NULL},  {true, 2, 3, NULL},
    };
    struct told told;
    struct snapshot *s = create(&role, 1, devices, COUNT(devices), &told);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    for (size_t i = 0; i < COUNT(t); i++) {
        const struct policy_device *d = snapshot_device_at(s, t[i].has_mac, mac[t[i].mac], at[t[i].at]);
        CU_ASSERT_EQUAL(d == NULL, t[i].id == NULL);
        if (d != NULL && t[i].id != NULL)
            CU_ASSERT_STRING_EQUAL(d->id, t[i].id);
    }
    snapshot_destroy(s);
}

/* G4: one role of 100,000 rules, a table of 100,000 devices. */
static void large(void)
{
    enum { N = 100000 };
    struct acl_rule_spec *rules = calloc(N, sizeof(*rules));
    struct policy_device_spec *devices = calloc(N, sizeof(*devices));
    char(*text)[32] = calloc(2 * N, sizeof(*text));
    for (uint32_t i = 0; i < N; i++) {
        snprintf(text[i], sizeof(text[i]), "d/%u/x", i);
        snprintf(text[N + i], sizeof(text[i]), "device-%u", i);
        rules[i] = rule_of(text[i], true, P, text[i], i);
        devices[i].id = text[N + i];
    }
    struct policy_role_spec role = role_of("big", 1);
    role.rules = rules;
    role.rules_n = N;
    struct told told;
    struct snapshot *s = create(&role, 1, devices, N, &told);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < N; i++) {
        const struct policy_device *d = snapshot_device(s, bytes_of_text(text[N + i]));
        wrong += d == NULL || strcmp(d->id, text[N + i]) != 0;
        wrong += snapshot_device(s, bytes_of_text(text[i])) != NULL;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    snapshot_destroy(s);
    free(rules);
    free(devices);
    free(text);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"what is kept, and the defaults (D8, D9)", kept},
        {"payloads that must be held", payload_held},
        {"problems of rules (G1)", problems_of_rules},
        {"problems of roles (G1)", problems_of_roles},
        {"problems of devices (G1)", problems_of_devices},
        {"devices by place (C4)", devices_at},
        {"payloads that are read (D1, D3)", payloads_that_are_read},
        {"fingerprints", fingerprints},
        {"100,000 rules and devices (G4)", large},
    };
    return unit_run("snapshot", tests, COUNT(tests));
}
