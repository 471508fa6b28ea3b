/* SPDX-License-Identifier: GPL-2.0-or-later */
/* identity.h: from facts to role, name and variables (C1, C3, C4, C6; traps 1.2). */
#include "policy/access/identity.h"

#include "tests/unit/runner.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define P (1U << ACL_PUBLISH)

static void note(void *owner, const struct policy_problem *problem)
{
    fprintf(stderr, "%s:%u: %s\n", problem->file, problem->line, problem->text);
    ++*(uint32_t *)owner;
}

static struct policy_role_spec role_of(const char *name)
{
    struct policy_role_spec role = {.name = name, .file = "a.conf"};
    role.match.vlan = -1;
    return role;
}

static struct acl_rule_spec rule_of(const char *topic)
{
    return (struct acl_rule_spec){
        .id = topic, .file = "a.conf", .allow = true, .actions = P, .topic = topic, .retain = -1, .will = -1};
}

static struct snapshot *create(const struct policy_role_spec *roles, uint32_t roles_n,
                               const struct policy_device_spec *devices, uint32_t devices_n)
{
    const struct policy_spec spec = {roles, roles_n, devices, devices_n};
    uint32_t problems = 0;
    struct snapshot *s = snapshot_create(&spec, 3, note, &problems);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    return s;
}

static struct client_facts facts_of(const char *client_id)
{
    struct client_facts f = {
        .listener = bytes_of_text("mqtt"), .port = bytes_of_text("iot"), .vlan = 20, .has_mac = true};
    static const uint8_t mac[6] = {0x00, 0x1D, 0x9C, 0x00, 0x00, 0x01};
    static const uint8_t source[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 20, 0, 11};
    memcpy(f.mac, mac, sizeof(mac));
    memcpy(f.source, source, sizeof(source));
    if (client_id != NULL)
        f.client_id = bytes_of_text(client_id);
    return f;
}

static bool may_publish(const struct identity *who, const char *topic)
{
    struct acl_request request = {.action = ACL_PUBLISH, .topic = bytes_of_text(topic)};
    return acl_decide(who->role->acl, &who->values, &request).outcome == OUTCOME_ALLOWED;
}

static void fleet(void)
{
    struct acl_rule_spec rules[] = {rule_of("trucks/${serial}/location"), rule_of("by-id/${id}"),
                                    rule_of("ota/${var.channel}")};
    const struct policy_variable stable[] = {{"channel", "stable"}}, canary[] = {{"channel", "canary"}};
    struct policy_role_spec role = role_of("truck");
    role.match.listener = "mqtt";
    role.match.client_id = "truck-{serial:[0-9][0-9][0-9]}";
    role.id = "t${serial}";
    role.variables = stable;
    role.variables_n = 1;
    role.rules = rules;
    role.rules_n = COUNT(rules);
    struct policy_device_spec device = {.id = "t007", .variables = canary, .variables_n = 1};
    struct snapshot *s = create(&role, 1, &device, 1);
    char id[] = "truck-017";
    struct client_facts f = facts_of(id);
    struct identity who;
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    memset(id, 'x', sizeof(id) - 1); /* the packet is gone */
    CU_ASSERT_STRING_EQUAL(who.name, "t017");
    CU_ASSERT_EQUAL(who.name_len, 4);
    CU_ASSERT_EQUAL(who.generation, 3);
    CU_ASSERT_STRING_EQUAL(who.role->name, "truck");
    CU_ASSERT_PTR_NULL(who.device);
    CU_ASSERT_TRUE(may_publish(&who, "trucks/017/location"));
    CU_ASSERT_FALSE(may_publish(&who, "trucks/018/location"));
    CU_ASSERT_TRUE(may_publish(&who, "by-id/t017"));
    CU_ASSERT_TRUE(may_publish(&who, "ota/stable"));
    f = facts_of("truck-007");
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    CU_ASSERT_PTR_NOT_NULL(who.device);
    CU_ASSERT_TRUE(may_publish(&who, "ota/canary"));
    CU_ASSERT_FALSE(may_publish(&who, "ota/stable"));
    static const char *const strangers[] = {"truck-17",  "truck-0177", "xtruck-017",
                                            "truck-0+7", "truck-#",    ""};
    for (size_t i = 0; i < COUNT(strangers); i++) {
        f = facts_of(strangers[i]);
        CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_NO_ROLE);
        CU_ASSERT_PTR_NULL(who.role);
    }
    snapshot_destroy(s);
}

static void put_variable(void *owner, struct bytes name, struct bytes value)
{
    char *text = owner;
    snprintf(text + strlen(text), 512 - strlen(text), "%.*s=%.*s ", (int)name.len, (const char *)name.at,
             (int)value.len, (const char *)value.at);
}

/* G6: all that a template of the role could say, though its rules say none of it. */
static void all_variables(void)
{
    const struct policy_variable stable[] = {{"channel", "stable"}, {"line", "7"}};
    const struct policy_variable canary[] = {{"channel", "canary"}};
    struct acl_rule_spec rule = rule_of("t");
    struct policy_role_spec role = role_of("truck");
    role.match.client_id = "truck-{serial:[0-9][0-9][0-9]}";
    role.match.user = "*";
    role.id = "t${serial}";
    role.variables = stable;
    role.variables_n = 2;
    role.rules = &rule;
    role.rules_n = 1;
    struct policy_device_spec device = {.id = "t007", .variables = canary, .variables_n = 1};
    struct snapshot *s = create(&role, 1, &device, 1);
    struct identity who;
    char text[512] = "";
    struct client_facts f = facts_of("truck-017");
    f.user = bytes_of_text("u");
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    identity_variables(s, &f, &who, put_variable, text);
    CU_ASSERT_STRING_EQUAL(text, "client_id=truck-017 user=u id=t017 mac=00:1d:9c:00:00:01 listener=mqtt "
                                 "source=10.20.0.11 serial=017 var.channel=stable var.line=7 ");
    f = facts_of("truck-007");
    f.user = bytes_of_text("u");
    text[0] = '\0';
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    identity_variables(s, &f, &who, put_variable, text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "var.channel=canary var.line=7 "));
    snapshot_destroy(s);
}

/* C1: each condition alone, held and not held; a fact that is absent holds nothing. */
static void conditions(void)
{
    struct client_facts f = facts_of("c1");
    f.user = bytes_of_text("u1");
    f.cert_cn = bytes_of_text("cn1");
    f.cert_ou = bytes_of_text("ou1");
    f.psk_id = bytes_of_text("psk1");
    f.cert_san[0] = bytes_of_text("san1");
    f.cert_sans_n = 1;
    for (int which = 0; which < 11; which++)
        for (int good = 0; good < 3; good++) {
            struct policy_role_spec role = role_of("one");
            struct client_facts g = f;
            struct policy_match *m = &role.match;
            const char **text[] = {&m->listener, &m->port,    &m->mac,    &m->client_id, &m->user,
                                   &m->cert_cn,  &m->cert_ou, &m->psk_id, &m->cert_san};
            struct bytes *fact[] = {&g.listener, &g.port,    NULL,      &g.client_id,  &g.user,
                                    &g.cert_cn,  &g.cert_ou, &g.psk_id, &g.cert_san[0]};
            static const char *const right[] = {"mq*",     "io?", "00:1d:9c:*", "c1",  "u*",
                                                "cn[0-9]", "ou1", "psk*",       "san?"};
            bool wanted = good == 1;
            if (which < 9) {
                *text[which] = good == 0 ? "wrong" : good == 1 ? right[which] : "*";
                if (good == 2 && fact[which] != NULL)
                    *fact[which] = bytes_of(NULL, 0);
                else if (good == 2)
                    g.has_mac = false;
            } else if (which == 9) {
                m->vlan = good == 0 ? 21 : good == 1 ? 20 : 0;
            } else {
                m->sources_n = 1;
                m->sources[0] = (struct policy_source){
                    .address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 20, 0, 8}, .bits = 125};
                g.source[15] = good == 0 ? 16 : good == 1 ? 15 : 7;
            }
            struct snapshot *s = create(&role, 1, NULL, 0);
            struct identity who;
            enum outcome outcome = identity_resolve(s, &g, &who);
            CU_ASSERT_EQUAL(outcome == OUTCOME_ALLOWED, wanted);
            CU_ASSERT_EQUAL(outcome == OUTCOME_NO_ROLE, !wanted);
            snapshot_destroy(s);
        }
}

static void first_role_wins(void)
{
    struct policy_role_spec roles[] = {role_of("narrow"), role_of("wide"), role_of("any")};
    roles[0].match.client_id = "a-*";
    roles[0].match.user = "u";
    roles[1].match.client_id = "a*";
    roles[2].match.any = true;
    struct snapshot *s = create(roles, 3, NULL, 0);
    struct identity who;
    struct client_facts f = facts_of("a-1");
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    CU_ASSERT_STRING_EQUAL(who.role->name, "wide");
    f.user = bytes_of_text("u");
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    CU_ASSERT_STRING_EQUAL(who.role->name, "narrow");
    f = facts_of("b");
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    CU_ASSERT_STRING_EQUAL(who.role->name, "any");
    snapshot_destroy(s);
    s = create(NULL, 0, NULL, 0);
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_NO_ROLE); /* an empty policy is closed */
    snapshot_destroy(s);
}

/* CVE-2017-7650, CVE-2026-85724, CVE-2026-95847, CVE-2026-44838, CVE-2026-67407. */
static void substitution(void)
{
    static const struct {
        const char *client_id;
        enum outcome in_topics, elsewhere;
    } t[] = {
        {"plain", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"#", OUTCOME_UNSAFE_VARIABLE, OUTCOME_ALLOWED},
        {"+", OUTCOME_UNSAFE_VARIABLE, OUTCOME_ALLOWED},
        {"a+b", OUTCOME_UNSAFE_VARIABLE, OUTCOME_ALLOWED},
        {"a/b", OUTCOME_UNSAFE_VARIABLE, OUTCOME_UNSAFE_VARIABLE},
        {"/", OUTCOME_UNSAFE_VARIABLE, OUTCOME_UNSAFE_VARIABLE},
        {"../../etc/passwd", OUTCOME_UNSAFE_VARIABLE, OUTCOME_UNSAFE_VARIABLE},
        {"..", OUTCOME_UNSAFE_VARIABLE, OUTCOME_UNSAFE_VARIABLE},
        {".", OUTCOME_UNSAFE_VARIABLE, OUTCOME_UNSAFE_VARIABLE},
        {"$SYS", OUTCOME_UNSAFE_VARIABLE, OUTCOME_ALLOWED},
        {"a\nb", OUTCOME_UNSAFE_VARIABLE, OUTCOME_UNSAFE_VARIABLE},
        {"a\x7F", OUTCOME_UNSAFE_VARIABLE, OUTCOME_UNSAFE_VARIABLE},
        {"a\xC2\x80", OUTCOME_UNSAFE_VARIABLE, OUTCOME_ALLOWED},
        {".*", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"%c", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"a${user}", OUTCOME_ALLOWED, OUTCOME_ALLOWED},
        {"", OUTCOME_BAD_CLIENT_ID, OUTCOME_BAD_CLIENT_ID},
    };
    struct acl_rule_spec in_topics = rule_of("c/${client_id}/x"), elsewhere = rule_of("c/x");
    struct policy_role_spec role = role_of("one");
    role.match.any = true;
    role.rules_n = 1;
    for (int uses = 0; uses < 2; uses++) {
        role.rules = uses ? &in_topics : &elsewhere;
        struct snapshot *s = create(&role, 1, NULL, 0);
        for (size_t i = 0; i < COUNT(t); i++) {
            struct client_facts f = facts_of(t[i].client_id);
            struct identity who;
            CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), uses ? t[i].in_topics : t[i].elsewhere);
            CU_ASSERT_STRING_EQUAL(who.role->name, "one"); /* for the event */
            CU_ASSERT_FALSE(may_publish(&who, "c/victim/x"));
        }
        struct client_facts f = facts_of(NULL);
        f.client_id = bytes_of("a\0b", 3);
        struct identity who;
        CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_UNSAFE_VARIABLE);
        snapshot_destroy(s);
    }
}

static void names(void)
{
    struct policy_role_spec role = role_of("one");
    role.match.any = true;
    struct snapshot *s = create(&role, 1, NULL, 0);
    struct identity who;
    char longest[IDENTITY_NAME_MAX + 2];
    memset(longest, 'n', sizeof(longest));
    longest[IDENTITY_NAME_MAX + 1] = 0;
    struct client_facts f = facts_of(longest);
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_BAD_CLIENT_ID);
    longest[IDENTITY_NAME_MAX] = 0;
    f = facts_of(longest);
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    CU_ASSERT_STRING_EQUAL(who.name, longest);
    /* A protocol without client ids. */
    f = facts_of(NULL);
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    CU_ASSERT_STRING_EQUAL(who.name, "10.20.0.11");
    f.cert_cn = bytes_of_text("cn");
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    CU_ASSERT_STRING_EQUAL(who.name, "cn");
    f.psk_id = bytes_of_text("psk");
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    CU_ASSERT_STRING_EQUAL(who.name, "psk");
    snapshot_destroy(s);
    role.id = "${mac}-${source}-${listener}";
    s = create(&role, 1, NULL, 0);
    f = facts_of("x");
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    CU_ASSERT_STRING_EQUAL(who.name, "00:1d:9c:00:00:01-10.20.0.11-mqtt");
    static const uint8_t v6[16] = {0xFD, 0x20, [15] = 7};
    memcpy(f.source, v6, sizeof(v6));
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    CU_ASSERT_STRING_EQUAL(who.name, "00:1d:9c:00:00:01-fd20::7-mqtt");
    f.has_mac = false; /* a part that is not known leaves no name */
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_BAD_CLIENT_ID);
    snapshot_destroy(s);
}

/* C3: the client id is bound to the identity; values are never patterns. */
static void bound_client_ids(void)
{
    static const struct {
        const char *wanted, *cn, *client_id;
        bool fits;
    } t[] = {
        {"${cert.cn}", "truck-017", "truck-017", true},
        {"${cert.cn}", "truck-017", "truck-018", false},
        {"${cert.cn}", "*", "truck-018", false},
        {"${cert.cn}", "*", "*", true},
        {"${cert.cn}", "truck-?", "truck-1", false},
        {"${cert.cn}", "[a-z]", "b", false},
        {"${cert.cn}", "[a-z]", "[a-z]", true},
        {"${cert.cn}", "{x}", "b", false},
        {"${cert.cn}", "{x}", "{x}", true},
        {"${cert.cn}-*", "a", "a-1", true},
        {"${cert.cn}-*", "a", "b-1", false},
        {"${cert.cn}-*", "*", "b-1", false},
        {"${cert.cn}", NULL, "a", false},
        {"plc-*", NULL, "plc-1", true},
        {"plc-*", NULL, "pl-1", false},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct policy_role_spec role = role_of("one");
        role.match.any = true;
        role.client_id = t[i].wanted;
        struct snapshot *s = create(&role, 1, NULL, 0);
        struct client_facts f = facts_of(t[i].client_id);
        if (t[i].cn != NULL)
            f.cert_cn = bytes_of_text(t[i].cn);
        struct identity who;
        CU_ASSERT_EQUAL(identity_resolve(s, &f, &who),
                        t[i].fits ? OUTCOME_ALLOWED : OUTCOME_CLIENT_ID_MISMATCH);
        snapshot_destroy(s);
    }
    struct acl_rule_spec rule = rule_of("line/${n}");
    struct policy_role_spec role = role_of("one");
    role.match.any = true;
    role.client_id = "plc-{n}";
    role.id = "unit-${n}";
    role.rules = &rule;
    role.rules_n = 1;
    struct snapshot *s = create(&role, 1, NULL, 0);
    struct client_facts f = facts_of("plc-9");
    struct identity who;
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    CU_ASSERT_STRING_EQUAL(who.name, "unit-9");
    CU_ASSERT_TRUE(may_publish(&who, "line/9"));
    snapshot_destroy(s);
}

/* C4, C6: what the table of devices asks. */
static void devices(void)
{
    struct policy_role_spec role = role_of("one");
    role.match.any = true;
    struct policy_device_spec table[] = {
        {.id = "pinned", .has_mac = true, .mac = {0x00, 0x1D, 0x9C, 0x00, 0x00, 0x01}},
        {.id = "other", .has_mac = true, .mac = {0x00, 0x1D, 0x9C, 0x00, 0x00, 0x02}},
        {.id = "here",
         .addresses_n = 2,
         .addresses = {{.address = {0xFD}, .bits = 8},
                       {.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 20, 0, 11}, .bits = 128}}},
        {.id = "there",
         .addresses_n = 1,
         .addresses = {{.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 20, 0, 12}, .bits = 128}}},
        {.id = "stolen", .quarantine = "INC-4411", .has_mac = true},
    };
    static const enum outcome wanted[] = {OUTCOME_ALLOWED, OUTCOME_IDENTITY_MISMATCH, OUTCOME_ALLOWED,
                                          OUTCOME_IDENTITY_MISMATCH, OUTCOME_QUARANTINED};
    struct snapshot *s = create(&role, 1, table, COUNT(table));
    for (size_t i = 0; i < COUNT(table); i++) {
        struct client_facts f = facts_of(table[i].id);
        struct identity who;
        if (i == 0)
            f.source[15] = 13; /* not the one of "here" */
        if (i == 2)
            f.mac[5] = 9; /* not the one of "pinned" */
        CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), wanted[i]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(who.device);
        CU_ASSERT_STRING_EQUAL(who.device->id, table[i].id);
        CU_ASSERT_STRING_EQUAL(who.name, table[i].id);
    }
    struct client_facts f = facts_of("pinned");
    struct identity who;
    f.has_mac = false; /* not known is not right */
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_IDENTITY_MISMATCH);
    f = facts_of("unlisted");
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    CU_ASSERT_PTR_NULL(who.device);
    snapshot_destroy(s);
}

/* C1 to C4: whatever part of a device's tuple does not hold is refused, and named. */
static void tuples(void)
{
    static const struct policy_source at_11 = {.address = {[10] = 0xFF, [11] = 0xFF, 10, 20, 0, 11},
                                               .bits = 128};
    struct policy_role_spec role = role_of("one");
    role.match.any = true;
    role.id = "${user}";
    const struct policy_device_spec table[] = {
        {.id = "hmi",
         .has_mac = true,
         .mac = {0x00, 0x1D, 0x9C, 0x00, 0x00, 0x01},
         .vlan = 20,
         .addresses_n = 1,
         .addresses = {at_11},
         .client_id = "panel-?",
         .user = "hmi"},
        {.id = "bare"},
        {.id = "shares", .has_mac = true, .mac = {0x00, 0x1D, 0x9C, 0x00, 0x00, 0x01}},
        {.id = "odd", .user = "even"},
    };
    struct snapshot *s = create(&role, 1, table, COUNT(table));
    static const struct {
        const char *user, *client_id;
        uint8_t mac, address, vlan;
        enum identity_part part;
    } t[] = {
        {"hmi", "panel-1", 1, 11, 20, IDENTITY_PART_NONE},
        {"hmi", "panel-1", 2, 11, 20, IDENTITY_PART_MAC},
        {"hmi", "panel-1", 1, 11, 21, IDENTITY_PART_VLAN},
        {"hmi", "panel-1", 1, 12, 20, IDENTITY_PART_ADDRESS},
        {"hmi", "panel-12", 1, 11, 20, IDENTITY_PART_CLIENT_ID},
        {"hmi", NULL, 1, 11, 20, IDENTITY_PART_CLIENT_ID},
        {"odd", "x", 3, 13, 20, IDENTITY_PART_USER},
        {"bare", "x", 3, 13, 20, IDENTITY_PART_NONE},
        {"bare", "x", 1, 13, 20, IDENTITY_PART_MAC_OF_ANOTHER},
        {"bare", "x", 3, 11, 20, IDENTITY_PART_ADDRESS_OF_ANOTHER},
        {"shares", "x", 1, 13, 20, IDENTITY_PART_NONE},
        {"shares", "x", 1, 11, 20, IDENTITY_PART_ADDRESS_OF_ANOTHER},
        {"unlisted", "x", 1, 11, 20, IDENTITY_PART_NONE},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        struct client_facts f = facts_of(t[i].client_id);
        struct identity who;
        f.user = bytes_of_text(t[i].user);
        f.mac[5] = t[i].mac;
        f.source[15] = t[i].address;
        f.vlan = t[i].vlan;
        bool fits = t[i].part == IDENTITY_PART_NONE;
        CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), fits ? OUTCOME_ALLOWED : OUTCOME_IDENTITY_MISMATCH);
        CU_ASSERT_EQUAL(who.mismatch, t[i].part);
        CU_ASSERT_EQUAL(identity_part_text(who.mismatch)[0] == 0, fits);
    }
    snapshot_destroy(s);
}

/* C1: any of a certificate's alternative names may be the one that a role asks for; it alone is meant. */
static void alternative_names(void)
{
    struct acl_rule_spec rules[] = {rule_of("unit/${unit}"), rule_of("san/${cert.san}")};
    struct policy_role_spec roles[] = {role_of("unit"), role_of("other")};
    roles[0].match.cert_san = "{unit}.plant.example";
    roles[0].id = "${unit}";
    roles[1].match.any = true;
    for (size_t i = 0; i < COUNT(roles); i++) {
        roles[i].rules = &rules[i == 0 ? 0 : 1];
        roles[i].rules_n = i == 0 ? 2 : 1;
    }
    struct acl_rule_spec other = rule_of("san2/${cert.san}");
    roles[1].rules = &other;
    struct snapshot *s = create(roles, 2, NULL, 0);
    struct client_facts f = facts_of("c");
    struct identity who;
    f.cert_san[0] = bytes_of_text("first.example");
    f.cert_san[1] = bytes_of_text("u7.plant.example");
    f.cert_sans_n = 2;
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    CU_ASSERT_STRING_EQUAL(who.role->name, "unit");
    CU_ASSERT_STRING_EQUAL(who.name, "u7");
    CU_ASSERT_TRUE(may_publish(&who, "unit/u7"));
    CU_ASSERT_TRUE(may_publish(&who, "san/u7.plant.example"));
    f.cert_sans_n = 1;
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    CU_ASSERT_STRING_EQUAL(who.role->name, "other");
    CU_ASSERT_TRUE(may_publish(&who, "san2/first.example"));
    f.cert_sans_n = 0;
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    CU_ASSERT_FALSE(may_publish(&who, "san2/first.example"));
    snapshot_destroy(s);
}

/* Values that together do not fit what an identity keeps are refused, not cut. */
static void too_much_text(void)
{
    struct acl_rule_spec rules[] = {rule_of("a/${client_id}"), rule_of("b/${user}"), rule_of("c/${cert.cn}")};
    struct policy_role_spec role = role_of("one");
    role.match.any = true;
    role.id = "fixed";
    role.rules = rules;
    role.rules_n = COUNT(rules);
    struct snapshot *s = create(&role, 1, NULL, 0);
    char text[201];
    memset(text, 'v', 200);
    text[200] = 0;
    struct client_facts f = facts_of(text);
    struct identity who;
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    f.user = bytes_of(text, 184);
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_ALLOWED);
    f.cert_cn = bytes_of(text, 1);
    CU_ASSERT_EQUAL(identity_resolve(s, &f, &who), OUTCOME_BAD_CLIENT_ID);
    snapshot_destroy(s);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"all variables (G6)", all_variables},
        {"a fleet by one line (C1, I1)", fleet},
        {"each condition, held, not held, absent (C1)", conditions},
        {"the first role wins", first_role_wins},
        {"what is put into topics and names (CVE-2017-7650)", substitution},
        {"names", names},
        {"client ids bound to identities (C3)", bound_client_ids},
        {"the table of devices (C4, C6)", devices},
        {"a device's tuple (C1 to C4)", tuples},
        {"alternative names of certificates (C1)", alternative_names},
        {"too much text", too_much_text},
    };
    return unit_run("identity", tests, COUNT(tests));
}
