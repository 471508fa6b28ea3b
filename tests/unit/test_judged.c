/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the relays of both protocols make known of judged actions (G6): allows and refusals, each once. */
#include "tests/unit/coap_rig.h"
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"

#define SEEN_MAX 32

struct seen {
    enum judged_kind kind;
    enum acl_action action;
    enum outcome outcome;
    uint8_t qos;
    bool retain, enforced, again; /* again: of the session seen before it */
    char rule[32];
    char topic[64];
    char role[16];
};

static struct seen seen[SEEN_MAX];
static uint32_t seen_n;
static uint64_t last_session;
static struct relay_lab lab;

static void see(void *owner, const struct judged_action *action)
{
    CU_ASSERT_PTR_EQUAL(owner, seen);
    CU_ASSERT_TRUE_FATAL(seen_n < SEEN_MAX);
    struct seen *s = &seen[seen_n++];
    const struct policy_role *role = action->who->identity->role;
    *s = (struct seen){.kind = action->kind,
                       .action = action->action,
                       .outcome = action->outcome,
                       .qos = action->qos,
                       .retain = action->retain,
                       .enforced = action->enforced,
                       .again = action->who->session == last_session};
    last_session = action->who->session;
    snprintf(s->topic, sizeof(s->topic), "%.*s", (int)action->topic.len, (const char *)action->topic.at);
    snprintf(s->role, sizeof(s->role), "%s", role == NULL ? "" : role->name);
    if (action->rule != ACL_RULE_NONE)
        snprintf(s->rule, sizeof(s->rule), "%s", acl_rule_at(role->acl, action->rule)->id);
}

static void look(struct judged_observers *observers)
{
    seen_n = 0;
    last_session = 0;
    judged_set(observers, JUDGED_BY_LEARN, see, seen);
}

static void is(uint32_t i, enum judged_kind kind, enum outcome outcome, const char *topic, const char *rule)
{
    CU_ASSERT_TRUE_FATAL(i < seen_n);
    CU_ASSERT_EQUAL(seen[i].kind, kind);
    CU_ASSERT_EQUAL(seen[i].outcome, outcome);
    CU_ASSERT_STRING_EQUAL(seen[i].topic, topic);
    CU_ASSERT_STRING_EQUAL(seen[i].rule, rule);
}

/* ---- MQTT --------------------------------------------------------------------------------------------- */

static void open_lab(enum policy_mode mode)
{
    struct policy_role_spec roles[] = {truck_role(), office_role()};
    roles[0].mode = mode;
    lab_open(&lab, roles, 2);
    look(&lab.judged);
}

static void test_connect_and_will(void)
{
    for (int version = MQTT_3_1; version <= MQTT_5; version++) {
        open_lab(POLICY_ENFORCE);
        lab_session(&lab, (enum mqtt_version)version, "truck-017");
        CU_ASSERT_EQUAL(seen_n, 2);
        is(0, JUDGED_CONNECT, OUTCOME_ALLOWED, "", "");
        is(1, JUDGED_TERMS, OUTCOME_ALLOWED, "", "");
        CU_ASSERT_STRING_EQUAL(seen[0].role, "truck");
        struct mqtt_packet p = lab_connect((enum mqtt_version)version, "truck-018");
        p.connect.will = (struct mqtt_will){.present = true,
                                            .retain = true,
                                            .topic = bytes_of_text("trucks/018/status"),
                                            .payload = bytes_of_text("gone")};
        lab_send(lab_accept(&lab, 2), &p);
        CU_ASSERT_EQUAL(seen_n, 4);
        is(3, JUDGED_WILL, OUTCOME_ALLOWED, "trucks/018/status", "truck.status");
        CU_ASSERT_TRUE(seen[3].again && seen[3].retain && seen[3].action == ACL_PUBLISH);
        p.connect.client_id = bytes_of_text("truck-019"); /* somebody else's */
        lab_send(lab_accept(&lab, 3), &p);
        CU_ASSERT_EQUAL(seen_n, 6);
        is(5, JUDGED_WILL, OUTCOME_DEFAULT_DENY, "trucks/018/status", "");
        p.connect.client_id = bytes_of_text("nobody");
        lab_send(lab_accept(&lab, 4), &p);
        CU_ASSERT_EQUAL(seen_n, 7);
        is(6, JUDGED_CONNECT, OUTCOME_NO_ROLE, "", "");
        CU_ASSERT_TRUE(seen[6].enforced);
        CU_ASSERT_STRING_EQUAL(seen[6].role, "");
        lab_close(&lab);
    }
}

static void publish(struct lab_session *s, const char *topic, uint8_t qos, uint16_t id)
{
    struct mqtt_packet p = lab_publish(s->version, topic, qos, id);
    lab_send(s->device, &p);
}

/* A session whose CONNECT alone has been seen. */
static struct lab_session connected(enum mqtt_version version)
{
    struct lab_session s = lab_session(&lab, version, "truck-017");
    seen_n = 1;
    return s;
}

static void test_publish(void)
{
    open_lab(POLICY_ENFORCE);
    struct lab_session s = connected(MQTT_3_1_1);
    publish(&s, "trucks/017/location", 0, 0);
    is(1, JUDGED_PUBLISH, OUTCOME_ALLOWED, "trucks/017/location", "truck.location");
    CU_ASSERT_TRUE(seen[1].again);
    publish(&s, "trucks/018/location", 1, 3);
    is(2, JUDGED_PUBLISH, OUTCOME_DEFAULT_DENY, "trucks/018/location", "");
    CU_ASSERT_TRUE(seen[2].enforced && seen[2].qos == 1);
    publish(&s, "trucks/017/json", 1, 4); /* what it carries is no JSON: told once, when it is read */
    is(3, JUDGED_PUBLISH, OUTCOME_MALFORMED_PAYLOAD, "trucks/017/json", "truck.json");
    CU_ASSERT_EQUAL(seen_n, 4);
    judged_set(&lab.judged, JUDGED_BY_LEARN, NULL, NULL);
    publish(&s, "trucks/017/location", 0, 0);
    CU_ASSERT_EQUAL(seen_n, 4);
    lab_close(&lab);
}

/* G6: what passes because the role only observes is told as what it is. */
static void test_observe(void)
{
    open_lab(POLICY_OBSERVE);
    struct lab_session s = connected(MQTT_5);
    publish(&s, "trucks/018/location", 0, 0);
    is(1, JUDGED_PUBLISH, OUTCOME_DEFAULT_DENY, "trucks/018/location", "");
    CU_ASSERT_FALSE(seen[1].enforced);
    lab_close(&lab);
}

static void test_subscribe_and_delivery(void)
{
    static const char *const filters[] = {"#", "trucks/017/cmd/+", "$share/g/trucks/017/cmd/go", NULL};
    static const uint8_t codes[] = {0, 0};
    open_lab(POLICY_ENFORCE);
    struct lab_session s = connected(MQTT_5);
    struct mqtt_packet p = lab_subscribe(MQTT_5, MQTT_SUBSCRIBE, 5, 1, filters);
    lab_send(s.device, &p);
    CU_ASSERT_EQUAL(seen_n, 4);
    is(1, JUDGED_SUBSCRIBE, OUTCOME_DEFAULT_DENY, "#", "");
    is(2, JUDGED_SUBSCRIBE, OUTCOME_ALLOWED, "trucks/017/cmd/+", "truck.cmd");
    is(3, JUDGED_SUBSCRIBE, OUTCOME_ALLOWED, "$share/g/trucks/017/cmd/go", "truck.cmd");
    CU_ASSERT_TRUE(seen[1].enforced && seen[3].qos == 1 && seen[3].again);
    p = lab_suback(MQTT_5, MQTT_SUBACK, 5, codes, 2);
    lab_send(s.upstream, &p);
    p = lab_publish(MQTT_5, "trucks/017/cmd/go", 0, 0);
    lab_send(s.upstream, &p);
    is(4, JUDGED_DELIVERY, OUTCOME_ALLOWED, "trucks/017/cmd/go", "truck.cmd");
    CU_ASSERT_EQUAL(seen[4].action, ACL_SUBSCRIBE);
    p = lab_publish(MQTT_5, "elsewhere", 0, 0);
    lab_send(s.upstream, &p);
    is(5, JUDGED_DELIVERY, OUTCOME_DEFAULT_DENY, "elsewhere", "");
    CU_ASSERT_EQUAL(seen_n, 6);
    lab_close(&lab);
}

/* ---- CoAP --------------------------------------------------------------------------------------------- */

static void test_coap(void)
{
    open_rig();
    look(&rig.judged);
    device_asks(0, &get);
    is(0, JUDGED_REQUEST, OUTCOME_ALLOWED, "conf/probe-1", "own");
    CU_ASSERT_EQUAL(seen[0].action, ACL_GET);
    device_asks(0, &get); /* a repeat is not another action (s.4.5) */
    CU_ASSERT_EQUAL(seen_n, 1);
    struct request q = get;
    q.mid = 2;
    q.observe = 0;
    device_asks(0, &q);
    is(1, JUDGED_REQUEST, OUTCOME_ALLOWED, "conf/probe-1", "own");
    CU_ASSERT_TRUE(seen[1].again && seen[1].action == ACL_OBSERVE);
    q = get;
    q.mid = 3;
    q.code = COAP_DELETE;
    device_asks(0, &q);
    is(2, JUDGED_REQUEST, OUTCOME_DEFAULT_DENY, "conf/probe-1", "");
    CU_ASSERT_EQUAL(seen[2].action, ACL_DELETE);
    q = get;
    q.mid = 4;
    uint8_t bytes[64];
    struct coap_writer w;
    coap_build_start(&w, bytes, sizeof(bytes), COAP_CON, COAP_GET, 9, (const uint8_t *)"\x5A", 1);
    coap_build_option(&w, COAP_URI_PATH, bytes_of_text("conf"));
    device_sends(1, 9, bytes, coap_build_end(&w)); /* from a MAC that its device has not */
    is(3, JUDGED_REQUEST, OUTCOME_IDENTITY_MISMATCH, "", "");
    CU_ASSERT_TRUE(seen[3].enforced && !seen[3].again);
    CU_ASSERT_EQUAL(seen_n, 4);
    close_rig();
}

static const struct unit_test tests[] = {
    {"CONNECT and its Will (D10)", test_connect_and_will},
    {"PUBLISH, allowed and refused (D4)", test_publish},
    {"what is observed (G6)", test_observe},
    {"each filter and each delivery (D5)", test_subscribe_and_delivery},
    {"requests of CoAP (E2)", test_coap},
};

int main(void)
{
    return unit_run("judged", tests, sizeof(tests) / sizeof(tests[0]));
}
