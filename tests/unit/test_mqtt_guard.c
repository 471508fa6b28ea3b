/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The law of a session without its relay: every packet type in every state from both sides, what a check may
 * change, what happens when memory runs out (D1, D7, D8; traps part 2, "wrong packet for role or state"). */
#include "policy/access/identity.h"
#include "policy/mqtt/build.h"
#include "policy/mqtt/guard.h"
#include "tests/unit/memory_workspace.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/runner.h"

#include <stdio.h>

static struct memory_workspace memory;
static struct mqtt_guard guard;
static struct rate_buckets rates;
static struct identity identity;
static struct snapshot *snapshot;

static void on_problem(void *owner, const struct policy_problem *problem)
{
    (void)owner;
    fprintf(stderr, "%s\n", problem->text);
}

static struct mqtt_packet packet_of(enum mqtt_type type, enum mqtt_version version)
{
    struct mqtt_packet p;
    memset(&p, 0, sizeof(p));
    p.type = type;
    p.version = version;
    p.defect = OUTCOME_ALLOWED;
    p.packet_id = 1;
    if (type == MQTT_CONNECT) {
        p.connect.version = version;
        p.connect.clean_start = true;
        p.connect.keep_alive_s = 60;
        p.connect.client_id = bytes_of_text("app-1");
    } else if (type == MQTT_PUBLISH) {
        p.publish.topic = bytes_of_text("news/a");
        p.publish.qos = 1;
    } else if (type == MQTT_SUBSCRIBE || type == MQTT_UNSUBSCRIBE) {
        static const uint8_t subscribe[] = {0, 6, 'n', 'e', 'w', 's', '/', 'a', 0};
        p.list = bytes_of(subscribe, type == MQTT_SUBSCRIBE ? 9 : 8);
        p.list_count = 1;
    } else if (type == MQTT_SUBACK || type == MQTT_UNSUBACK) {
        p.list = bytes_of("", type == MQTT_SUBACK || version == MQTT_5 ? 1 : 0);
        p.list_count = (uint16_t)p.list.len;
    } else if (type == MQTT_AUTH) {
        p.reason_code = 0x18;
    }
    return p;
}

static struct guard_verdict check(enum mqtt_sender sender, struct mqtt_packet *p)
{
    struct guard_verdict v;
    mqtt_guard_check(&guard, sender, p, true, 1000000, &v);
    return v;
}

static void carry_out(enum mqtt_sender sender, enum mqtt_type type, enum mqtt_version version)
{
    struct mqtt_packet p = packet_of(type, version);
    struct guard_verdict v = check(sender, &p);
    CU_ASSERT_NOT_EQUAL(v.action, GUARD_CLOSE);
    mqtt_guard_advance(&guard, sender, &p, &v, 1000000);
}

static void open_guard(enum mqtt_version version, enum guard_state state)
{
    struct policy_role_spec role = office_role();
    struct policy_spec spec = {.roles = &role, .roles_n = 1};
    struct client_facts facts = {
        .client_id = bytes_of_text("app-1"), .listener = bytes_of_text("mqtt"), .port = bytes_of_text("iot")};
    memory_workspace_init(&memory);
    memset(&rates, 0, sizeof(rates));
    snapshot = snapshot_create(&spec, 1, on_problem, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
    CU_ASSERT_EQUAL_FATAL(identity_resolve(snapshot, &facts, &identity), OUTCOME_ALLOWED);
    mqtt_guard_init(&guard, &memory.base);
    mqtt_guard_bind(&guard, identity.role, &identity.values, false, &rates);
    if (state == GUARD_CONNACK || state == GUARD_RUNNING)
        carry_out(MQTT_FROM_CLIENT, MQTT_CONNECT, version);
    if (state == GUARD_RUNNING)
        carry_out(MQTT_FROM_SERVER, MQTT_CONNACK, version);
    if (state == GUARD_OVER)
        guard.state = GUARD_OVER;
    CU_ASSERT_EQUAL(guard.state, state);
}

static void close_guard(void)
{
    mqtt_guard_fini(&guard);
    snapshot_destroy(snapshot);
    CU_ASSERT_EQUAL(memory.out, 0);
}

/* One letter per type from CONNECT to AUTH: F forwarded, A answered, D dropped, X the session ends. */
static void every_type_in_every_state(void)
{
    static const struct {
        const char *name;
        enum guard_state state;
        enum mqtt_sender sender;
        const char *actions;
    } rows[] = {
        {"CONNECT awaited, client", GUARD_CONNECT, MQTT_FROM_CLIENT, "FXXXXXXXXXXXXXX"},
        {"CONNECT awaited, upstream", GUARD_CONNECT, MQTT_FROM_SERVER, "XXXXXXXXXXXXXXX"},
        {"CONNACK awaited, client", GUARD_CONNACK, MQTT_FROM_CLIENT, "XXXXXXXXXXXXXXX"},
        {"CONNACK awaited, upstream", GUARD_CONNACK, MQTT_FROM_SERVER, "XFXXXXXXXXXXXXX"},
        /* PUBREC and PUBREL for nothing are answered; strange PUBACKs and PUBCOMPs are not [s.4.3.3]. */
        {"running, client", GUARD_RUNNING, MQTT_FROM_CLIENT, "XXFDAADFXFXFXFX"},
        {"running, upstream", GUARD_RUNNING, MQTT_FROM_SERVER, "XXFDAADXDXDXDFX"},
        {"over, client", GUARD_OVER, MQTT_FROM_CLIENT, "DDDDDDDDDDDDDDD"},
        {"over, upstream", GUARD_OVER, MQTT_FROM_SERVER, "DDDDDDDDDDDDDDD"},
    };
    static const char letters[] = {[GUARD_DROP] = 'D',
                                   [GUARD_FORWARD] = 'F',
                                   [GUARD_ANSWER] = 'A',
                                   [GUARD_CLOSE] = 'X',
                                   [GUARD_HOLD] = 'H'};
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++)
        for (int version = MQTT_3_1; version <= MQTT_5; version++)
            for (int type = MQTT_CONNECT; type <= MQTT_AUTH; type++) {
                open_guard((enum mqtt_version)version, rows[row].state);
                struct mqtt_packet p = packet_of((enum mqtt_type)type, (enum mqtt_version)version);
                struct guard_verdict v = check(rows[row].sender, &p);
                CU_ASSERT_EQUAL(letters[v.action], rows[row].actions[type - 1]);
                if (letters[v.action] != rows[row].actions[type - 1])
                    printf("%s: %s in version %d: %c\n", rows[row].name, mqtt_type_name((enum mqtt_type)type),
                           version, letters[v.action]);
                if (v.action == GUARD_CLOSE)
                    CU_ASSERT_TRUE(v.outcome != OUTCOME_ALLOWED &&
                                   (guard.version != MQTT_5 || v.code >= 0x80));
                mqtt_guard_abandon(&guard, &v);
                close_guard();
            }
}

/* A check that is not followed by advance has not happened. */
static void checks_change_nothing(void)
{
    open_guard(MQTT_5, GUARD_RUNNING);
    for (int i = 0; i < 3; i++) {
        struct mqtt_packet p = packet_of(MQTT_PUBLISH, MQTT_5);
        struct guard_verdict v = check(MQTT_FROM_CLIENT, &p);
        CU_ASSERT_EQUAL(v.action, GUARD_FORWARD);
        p = packet_of(MQTT_SUBSCRIBE, MQTT_5);
        v = check(MQTT_FROM_CLIENT, &p);
        CU_ASSERT_EQUAL(v.action, GUARD_FORWARD);
        mqtt_guard_abandon(&guard, &v);
        p = packet_of(MQTT_PINGRESP, MQTT_5);
        v = check(MQTT_FROM_SERVER, &p);
        CU_ASSERT_EQUAL(v.action, GUARD_DROP);
    }
    CU_ASSERT_TRUE(guard.up.used == 0 && guard.requests.used == 0 && guard.subscriptions.n == 0);
    carry_out(MQTT_FROM_CLIENT, MQTT_PUBLISH, MQTT_5);
    struct mqtt_packet p = packet_of(MQTT_SUBSCRIBE, MQTT_5);
    struct guard_verdict v = check(MQTT_FROM_CLIENT, &p); /* the identifier is in use now */
    CU_ASSERT_TRUE(v.action == GUARD_CLOSE && v.outcome == OUTCOME_BAD_PACKET_ID);
    close_guard();
}

/* Whatever cannot be remembered is refused or ends the session; nothing is forgotten half-way. */
static void without_memory(void)
{
    for (unsigned int grant = 0; grant < 4; grant++) {
        open_guard(MQTT_3_1_1, GUARD_RUNNING);
        memory.grant = grant;
        enum guard_action action = GUARD_FORWARD;
        for (uint16_t id = 1; id <= 40 && action == GUARD_FORWARD; id++) {
            struct mqtt_packet p = packet_of(MQTT_PUBLISH, MQTT_3_1_1);
            p.packet_id = id;
            struct guard_verdict v = check(MQTT_FROM_CLIENT, &p);
            action = v.action;
            CU_ASSERT_TRUE(action == GUARD_FORWARD ||
                           (action == GUARD_CLOSE && v.outcome == OUTCOME_NO_RESOURCES));
            if (action == GUARD_FORWARD)
                mqtt_guard_advance(&guard, MQTT_FROM_CLIENT, &p, &v, 1000000);
        }
        struct mqtt_packet p = packet_of(MQTT_SUBSCRIBE, MQTT_3_1_1);
        p.packet_id = 100;
        struct guard_verdict v = check(MQTT_FROM_CLIENT, &p);
        CU_ASSERT_TRUE(v.action != GUARD_FORWARD || memory.out != 0);
        mqtt_guard_abandon(&guard, &v);
        close_guard();
    }
}

/* An alias that could not be remembered ends the session when it is used, it is never another topic. */
static void aliases_without_memory(void)
{
    open_guard(MQTT_5, GUARD_RUNNING);
    memory.grant = 0;
    struct mqtt_packet p = packet_of(MQTT_PUBLISH, MQTT_5);
    p.publish.qos = 0;
    p.packet_id = 0;
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_TOPIC_ALIAS);
    p.properties.topic_alias = 1;
    struct mqtt_packet use = p;
    use.publish.topic = bytes_of(NULL, 0);
    struct guard_verdict v = check(MQTT_FROM_CLIENT, &p);
    CU_ASSERT_EQUAL(v.action, GUARD_FORWARD);
    mqtt_guard_advance(&guard, MQTT_FROM_CLIENT, &p, &v, 1000000);
    v = check(MQTT_FROM_CLIENT, &use);
    CU_ASSERT_TRUE(v.action == GUARD_CLOSE && v.outcome == OUTCOME_BAD_TOPIC_ALIAS && v.code == 0x94);
    close_guard();
}

/* What a version 5 client may be told in which packet (s.2.4): a code that it must not carry is replaced. */
static void codes_fit_their_packets(void)
{
    CU_ASSERT_EQUAL(mqtt_guard_code(MQTT_PUBACK, MQTT_5, OUTCOME_DEFAULT_DENY), 0x87);
    CU_ASSERT_EQUAL(mqtt_guard_code(MQTT_PUBACK, MQTT_5, OUTCOME_RATE_PUBLISHES), 0x97);
    CU_ASSERT_EQUAL(mqtt_guard_code(MQTT_PUBACK, MQTT_5, OUTCOME_PACKET_TOO_LARGE), 0x97);
    CU_ASSERT_EQUAL(mqtt_guard_code(MQTT_SUBACK, MQTT_5, OUTCOME_SUBSCRIPTION_CAP), 0x97);
    CU_ASSERT_EQUAL(mqtt_guard_code(MQTT_DISCONNECT, MQTT_5, OUTCOME_QOS_CAP), 0x9B);
    CU_ASSERT_EQUAL(mqtt_guard_code(MQTT_CONNACK, MQTT_5, OUTCOME_UPSTREAM_TLS), 0x88);
    CU_ASSERT_EQUAL(mqtt_guard_code(MQTT_CONNACK, MQTT_3_1_1, OUTCOME_UPSTREAM_TLS), 3);
    CU_ASSERT_EQUAL(mqtt_guard_code(MQTT_CONNACK, MQTT_3_1_1, OUTCOME_NO_ROLE), 5);
    CU_ASSERT_EQUAL(mqtt_guard_code(MQTT_PUBACK, MQTT_3_1_1, OUTCOME_DEFAULT_DENY), 0);
}

static const struct unit_test tests[] = {
    {"every type in every state (D1)", every_type_in_every_state},
    {"checks change nothing", checks_change_nothing},
    {"without memory", without_memory},
    {"aliases without memory (D6)", aliases_without_memory},
    {"codes fit their packets (D7)", codes_fit_their_packets},
};

int main(void)
{
    return unit_run("mqtt_guard", tests, sizeof(tests) / sizeof(tests[0]));
}
