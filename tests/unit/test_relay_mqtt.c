/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Relays: from CONNECT to a running session, and how sessions end (C, D2, D10, D11; traps 1.3, 1.4). */
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/runner.h"

static struct relay_lab lab;

static void open_lab(void)
{
    struct policy_role_spec roles[] = {truck_role(), office_role()};
    lab_open(&lab, roles, 2);
}

static bool has(const struct mqtt_packet *p, enum mqtt_property property)
{
    return (p->properties.present & MQTT_PROP_BIT(property)) != 0;
}

/* ---- CONNECT ------------------------------------------------------------------------------------------ */

static void connect_is_rebuilt(void)
{
    static const enum mqtt_version versions[] = {MQTT_3_1, MQTT_3_1_1, MQTT_5};
    for (int i = 0; i < 3; i++) {
        struct mqtt_packet p = lab_connect(versions[i], "truck-017");
        open_lab();
        p.connect.has_user_name = p.connect.has_password = true;
        p.connect.user_name = bytes_of_text("user");
        p.connect.password = bytes_of_text("secret");
        p.connect.keep_alive_s = 7200; /* above the role's 3600 */
        struct lab_stream *device = lab_accept(&lab, 17);
        lab_send(device, &p);
        CU_ASSERT_STRING_EQUAL(lab.identity, "truck-017");
        CU_ASSERT_EQUAL(lab.dialled->out_n, 0);
        lab_upstream_opens(lab.dialled);
        CU_ASSERT_TRUE(lab.dial_good);
        CU_ASSERT_TRUE_FATAL(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, &p));
        CU_ASSERT_EQUAL(p.connect.version, versions[i]);
        CU_ASSERT_TRUE(bytes_equal(p.connect.client_id, bytes_of_text("truck-017")));
        CU_ASSERT_TRUE(bytes_equal(p.connect.user_name, bytes_of_text("user")));
        CU_ASSERT_TRUE(bytes_equal(p.connect.password, bytes_of_text("secret")));
        CU_ASSERT_EQUAL(p.connect.keep_alive_s, 3600);
        CU_ASSERT_TRUE(p.connect.clean_start);
        CU_ASSERT_EQUAL(device->out_n, 0);
        lab_close(&lab);
    }
}

/* [MQTT-3.2.2-9 to -22]: the stricter of both sides; aliases end here; redirection is stripped. */
static void connack_is_the_stricter_of_both(void)
{
    struct mqtt_packet p = lab_connect(MQTT_5, "truck-017");
    open_lab();
    p.connect.keep_alive_s = 0;
    p.properties.present =
        MQTT_PROP_BIT(MQTT_PROP_RECEIVE_MAXIMUM) | MQTT_PROP_BIT(MQTT_PROP_TOPIC_ALIAS_MAX);
    p.properties.receive_maximum = 100;
    p.properties.topic_alias_max = 5;
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_send(device, &p);
    lab_upstream_opens(lab.dialled);
    CU_ASSERT_TRUE_FATAL(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, &p));
    CU_ASSERT_EQUAL(p.properties.receive_maximum, 3);
    CU_ASSERT_FALSE(has(&p, MQTT_PROP_TOPIC_ALIAS_MAX));
    p = lab_connack(MQTT_5, 0);
    p.properties.present =
        MQTT_PROP_BIT(MQTT_PROP_MAX_PACKET_SIZE) | MQTT_PROP_BIT(MQTT_PROP_RECEIVE_MAXIMUM) |
        MQTT_PROP_BIT(MQTT_PROP_SERVER_REFERENCE) | MQTT_PROP_BIT(MQTT_PROP_TOPIC_ALIAS_MAX) |
        MQTT_PROP_BIT(MQTT_PROP_SERVER_KEEP_ALIVE);
    p.properties.max_packet_bytes = 1000;
    p.properties.receive_maximum = 2;
    p.properties.topic_alias_max = 1000;
    p.properties.server_keep_alive_s = 600;
    p.properties.server_reference = bytes_of_text("evil.example");
    lab_send(lab.dialled, &p);
    CU_ASSERT_TRUE_FATAL(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p));
    CU_ASSERT_EQUAL(p.type, MQTT_CONNACK);
    CU_ASSERT_EQUAL(p.reason_code, 0);
    CU_ASSERT_TRUE(has(&p, MQTT_PROP_MAXIMUM_QOS));
    CU_ASSERT_EQUAL(p.properties.maximum_qos, 1);
    CU_ASSERT_EQUAL(p.properties.receive_maximum, 2);
    CU_ASSERT_EQUAL(p.properties.max_packet_bytes, 1000);
    CU_ASSERT_EQUAL(p.properties.topic_alias_max, GUARD_TOPIC_ALIASES);
    CU_ASSERT_TRUE(has(&p, MQTT_PROP_SERVER_KEEP_ALIVE));
    CU_ASSERT_EQUAL(p.properties.server_keep_alive_s, 600);
    CU_ASSERT_FALSE(has(&p, MQTT_PROP_SERVER_REFERENCE));
    CU_ASSERT_PTR_NOT_NULL(lab_event_of(&lab, EVENT_MQTT_CONNECT));
    lab_close(&lab);
}

/* A CONNECT that is refused is answered, and nothing is dialled nor read any more [MQTT-3.1.4-6]. */
static void refused_connects(void)
{
    static const struct {
        const char *name;
        enum mqtt_version version;
        const char *client_id;
        uint8_t code;
        enum outcome outcome;
    } cases[] = {
        {"C1 no role, 5.0", MQTT_5, "visitor", 0x87, OUTCOME_NO_ROLE},
        {"C1 no role, 3.1.1", MQTT_3_1_1, "visitor", 5, OUTCOME_NO_ROLE},
        {"C1 no role, 3.1", MQTT_3_1, "visitor", 5, OUTCOME_NO_ROLE},
        {"no name", MQTT_5, "truck-#", 0x87, OUTCOME_NO_ROLE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mqtt_packet p = lab_connect(cases[i].version, cases[i].client_id);
        open_lab();
        struct lab_stream *device = lab_accept(&lab, 17);
        lab_send(device, &p);
        CU_ASSERT_EQUAL(lab.dials, 0);
        CU_ASSERT_TRUE_FATAL(lab_next(device, MQTT_FROM_SERVER, cases[i].version, &p));
        CU_ASSERT_EQUAL(p.type, MQTT_CONNACK);
        CU_ASSERT_EQUAL(p.reason_code, cases[i].code);
        CU_ASSERT_TRUE(device->finished);
        const struct event *event = lab_event_of(&lab, EVENT_MQTT_CONNECT_REFUSED);
        CU_ASSERT_PTR_NOT_NULL_FATAL(event);
        CU_ASSERT_EQUAL(event->outcome, cases[i].outcome);
        CU_ASSERT_TRUE(event->has_mac);
        CU_ASSERT_EQUAL(event->mac[5], 17);
        CU_ASSERT_STRING_EQUAL(event->client_id, cases[i].client_id);
        lab_close(&lab);
    }
}

static void malformed_first_packets(void)
{
    static const struct {
        const char *name;
        uint8_t bytes[24];
        uint8_t len;
        uint8_t answer_len; /* of what is said before the close */
        uint8_t answer[8];
    } cases[] = {
        {"PINGREQ first [MQTT-3.1.0-1]", {0xC0, 0}, 2, 0, {0}},
        {"five-byte length", {0x10, 0x80, 0x80, 0x80, 0x80, 1}, 6, 0, {0}},
        {"level 6: 0x84 [MQTT-3.1.2-2]",
         {0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 6, 2, 0, 60, 0, 1, 'x'},
         15,
         5,
         {0x20, 3, 0, 0x84, 0}},
        {"level 2: return code 1",
         {0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 2, 2, 0, 60, 0, 1, 'x'},
         15,
         4,
         {0x20, 2, 0, 1}},
        {"3.1.1 empty id without clean session [3.1.1: 3.1.3-8]",
         {0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 4, 0, 0, 60, 0, 0},
         14,
         4,
         {0x20, 2, 0, 2}},
        {"reserved flag", {0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 4, 3, 0, 60, 0, 0}, 14, 0, {0}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_lab();
        struct lab_stream *device = lab_accept(&lab, 17);
        lab_feed(device, cases[i].bytes, cases[i].len);
        lab_flush(&lab);
        CU_ASSERT_TRUE(device->finished);
        CU_ASSERT_EQUAL(device->out_n, cases[i].answer_len);
        CU_ASSERT_TRUE(memcmp(device->out, cases[i].answer, cases[i].answer_len) == 0);
        CU_ASSERT_EQUAL(lab.dials, 0);
        CU_ASSERT_PTR_NOT_NULL(lab_event_of(&lab, EVENT_PROTOCOL_ERROR));
        lab_close(&lab);
    }
}

/* Packets behind CONNECT wait in the device's window, and come in order (s.3.1.4). */
static void pipelined_packets_wait(void)
{
    struct mqtt_packet p = lab_connect(MQTT_3_1_1, "truck-017");
    open_lab();
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_send(device, &p);
    p = lab_publish(MQTT_3_1_1, "trucks/017/location", 0, 0);
    lab_send(device, &p);
    size_t kept = device->in_n;
    CU_ASSERT_TRUE(kept > 0);
    lab_upstream_opens(lab.dialled);
    CU_ASSERT_EQUAL(device->in_n, kept);
    CU_ASSERT_TRUE_FATAL(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, &p));
    CU_ASSERT_FALSE(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_3_1_1, &p));
    p = lab_connack(MQTT_3_1_1, 0);
    lab_send(lab.dialled, &p);
    CU_ASSERT_EQUAL(device->in_n, 0);
    CU_ASSERT_TRUE_FATAL(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_3_1_1, &p));
    CU_ASSERT_EQUAL(p.type, MQTT_PUBLISH);
    lab_close(&lab);
}

static void upstreams_that_fail(void)
{
    static const struct {
        const char *name;
        bool dial_fails;
        bool opens;
        enum stream_end end;
        enum event_kind kind;
        enum outcome outcome;
    } cases[] = {
        {"cannot be tried", true, false, 0, EVENT_MQTT_CONNECT_REFUSED, OUTCOME_UPSTREAM_REFUSED},
        {"refused", false, false, STREAM_END_REFUSED, EVENT_UPSTREAM_FAILED, OUTCOME_UPSTREAM_REFUSED},
        {"certificate", false, false, STREAM_END_TLS_VERIFY, EVENT_TLS_FAILED, OUTCOME_UPSTREAM_TLS},
        {"no answer", false, false, STREAM_END_TIMEOUT, EVENT_UPSTREAM_FAILED, OUTCOME_UPSTREAM_TIMEOUT},
        {"before CONNACK", false, true, STREAM_END_RESET, EVENT_UPSTREAM_FAILED, OUTCOME_UPSTREAM_LOST},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (int five = 0; five < 2; five++) {
            enum mqtt_version version = five ? MQTT_5 : MQTT_3_1_1;
            struct mqtt_packet p = lab_connect(version, "truck-017");
            open_lab();
            lab.dial_fails = cases[i].dial_fails ? OUTCOME_UPSTREAM_REFUSED : OUTCOME_ALLOWED;
            struct lab_stream *device = lab_accept(&lab, 17);
            lab_send(device, &p);
            if (cases[i].opens)
                lab_upstream_opens(lab.dialled);
            if (!cases[i].dial_fails) {
                lab.dialled->reason = "certificate has expired";
                lab_peer_closes(lab.dialled, cases[i].end);
                CU_ASSERT_EQUAL(lab.dial_good, cases[i].opens);
            }
            CU_ASSERT_TRUE_FATAL(lab_next(device, MQTT_FROM_SERVER, version, &p));
            CU_ASSERT_EQUAL(p.reason_code, five ? 0x88 : 3);
            CU_ASSERT_TRUE(device->finished);
            const struct event *event = lab_event_of(&lab, cases[i].kind);
            CU_ASSERT_PTR_NOT_NULL_FATAL(event);
            CU_ASSERT_EQUAL(event->outcome, cases[i].outcome);
            if (cases[i].kind == EVENT_TLS_FAILED)
                CU_ASSERT_STRING_EQUAL(event->detail, "certificate has expired");
            lab_close(&lab);
        }
}

/* s.3.2.2.3.7: the identifier that the server gave is the client's from then on. */
static void assigned_client_id_is_bound(void)
{
    struct policy_role_spec role = office_role();
    struct mqtt_packet p = lab_connect(MQTT_5, "");
    role.match.client_id = NULL;
    role.match.any = true;
    role.id = "${source}";
    lab_open(&lab, &role, 1);
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_send(device, &p);
    CU_ASSERT_STRING_EQUAL(lab.identity, "10.20.0.17");
    lab_upstream_opens(lab.dialled);
    p = lab_connack(MQTT_5, 0);
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_ASSIGNED_CLIENT_ID);
    p.properties.assigned_client_id = bytes_of_text("auto-1");
    lab_send(lab.dialled, &p);
    CU_ASSERT_TRUE_FATAL(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p));
    CU_ASSERT_TRUE(bytes_equal(p.properties.assigned_client_id, bytes_of_text("auto-1")));
    uint32_t position = 0;
    struct relay_info info;
    CU_ASSERT_TRUE_FATAL(mqtt_relays_next(lab.relays, &position, &info));
    CU_ASSERT_STRING_EQUAL(info.client_id, "auto-1");
    CU_ASSERT_TRUE(info.running);
    lab_close(&lab);
}

/* Rules see the identifier that was assigned; one that would make another client of it ends the session. */
static void assigned_client_ids(void)
{
    static const struct acl_rule_spec rules[] = {RULE("own", PUBLISH_BIT, "dev/${client_id}/up")};
    static const struct {
        const char *assigned;
        bool good;
    } cases[] = {{"auto-1", true}, {"fleet-1", false}, {"a/b", false}, {"#", false}, {"", false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct policy_role_spec roles[] = {office_role(), office_role()};
        struct mqtt_packet p = lab_connect(MQTT_5, "");
        roles[0].match.client_id = "fleet-*";
        roles[0].name = "fleet";
        roles[0].id = "${source}";
        roles[1].match = (struct policy_match){.any = true, .vlan = -1};
        roles[1].id = "${source}";
        roles[1].rules = rules;
        roles[1].rules_n = 1;
        lab_open(&lab, roles, 2);
        struct lab_stream *device = lab_accept(&lab, 17);
        lab_send(device, &p);
        struct lab_session s = {.version = MQTT_5, .device = device, .upstream = lab.dialled};
        lab_upstream_opens(s.upstream);
        p = lab_connack(MQTT_5, 0);
        p.properties.present = MQTT_PROP_BIT(MQTT_PROP_ASSIGNED_CLIENT_ID);
        p.properties.assigned_client_id = bytes_of_text(cases[i].assigned);
        lab_send(s.upstream, &p);
        CU_ASSERT_TRUE_FATAL(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p));
        CU_ASSERT_TRUE(p.type == MQTT_CONNACK && (p.reason_code == 0) == cases[i].good);
        CU_ASSERT_EQUAL(device->finished, !cases[i].good);
        s.upstream->out_read = s.upstream->out_n;
        if (cases[i].good) {
            p = lab_publish(MQTT_5, "dev/auto-1/up", 1, 1);
            lab_send(device, &p);
            CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p) && p.packet_id == 1);
            p = lab_publish(MQTT_5, "dev/auto-2/up", 1, 2);
            lab_send(device, &p);
            p = lab_publish(MQTT_5, "dev//up", 1, 3);
            lab_send(device, &p);
            CU_ASSERT_EQUAL(s.upstream->out_read, s.upstream->out_n);
        }
        lab_close(&lab);
    }
}

/* What a broker may not say before it said CONNACK, and lies in CONNACK. */
static void upstreams_that_break_the_protocol(void)
{
    for (int i = 0; i < 4; i++) {
        struct mqtt_packet p = lab_connect(MQTT_5, "truck-017");
        open_lab();
        struct lab_stream *device = lab_accept(&lab, 17);
        lab_send(device, &p);
        lab_upstream_opens(lab.dialled);
        if (i == 0) {
            p = lab_publish(MQTT_5, "trucks/017/cmd/x", 0, 0);
        } else {
            p = lab_connack(MQTT_5, 0);
            p.connack.session_present = i == 1; /* [MQTT-3.2.2-2]: clean start */
            if (i == 2) {
                p.properties.present = MQTT_PROP_BIT(MQTT_PROP_ASSIGNED_CLIENT_ID);
                p.properties.assigned_client_id = bytes_of_text("other");
            } else if (i == 3) {
                p.properties.present = MQTT_PROP_BIT(MQTT_PROP_AUTH_METHOD);
                p.properties.auth_method = bytes_of_text("SCRAM");
            }
        }
        lab_send(lab.dialled, &p);
        CU_ASSERT_TRUE_FATAL(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p));
        CU_ASSERT_EQUAL(p.type, MQTT_CONNACK);
        CU_ASSERT_TRUE(p.reason_code >= 0x80);
        CU_ASSERT_TRUE(device->finished && lab.dialled->finished);
        lab_close(&lab);
    }
}

/* s.4.12 */
static void enhanced_authentication_passes(void)
{
    struct mqtt_packet p = lab_connect(MQTT_5, "truck-017");
    uint32_t method = MQTT_PROP_BIT(MQTT_PROP_AUTH_METHOD);
    open_lab();
    p.properties.present = method;
    p.properties.auth_method = bytes_of_text("SCRAM");
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_send(device, &p);
    lab_upstream_opens(lab.dialled);
    lab.dialled->out_read = lab.dialled->out_n;
    struct mqtt_packet auth = lab_plain(MQTT_5, MQTT_AUTH);
    auth.reason_code = 0x18;
    auth.properties.present = method;
    auth.properties.auth_method = bytes_of_text("SCRAM");
    lab_send(device, &auth); /* not its turn: it waits */
    CU_ASSERT_TRUE(device->in_n != 0);
    lab_send(lab.dialled, &auth);
    CU_ASSERT_TRUE_FATAL(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p));
    CU_ASSERT_EQUAL(p.type, MQTT_AUTH);
    CU_ASSERT_TRUE_FATAL(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_5, &p));
    CU_ASSERT_EQUAL(p.type, MQTT_AUTH);
    p = lab_connack(MQTT_5, 0);
    lab_send(lab.dialled, &p);
    CU_ASSERT_TRUE(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p));
    auth.reason_code = 0x19;
    auth.properties.auth_method = bytes_of_text("OTHER");
    lab_send(device, &auth); /* another method: never */
    CU_ASSERT_TRUE_FATAL(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p));
    CU_ASSERT_EQUAL(p.type, MQTT_DISCONNECT);
    CU_ASSERT_TRUE(p.reason_code >= 0x80);
    lab_close(&lab);
}

/* ---- Will (D10) --------------------------------------------------------------------------------------- */

static void wills_are_judged(void)
{
    static const struct {
        const char *name;
        const char *topic; /* NULL: no Will */
        uint8_t qos;
        bool retain;
        enum policy_will policy;
        enum outcome outcome;
        const char *response; /* NULL: no Response Topic */
    } cases[] = {
        {"allowed by a rule with will", "trucks/017/status", 1, true, POLICY_WILL_OPTIONAL, OUTCOME_ALLOWED},
        {"none", NULL, 0, false, POLICY_WILL_OPTIONAL, OUTCOME_ALLOWED},
        {"required", NULL, 0, false, POLICY_WILL_REQUIRED, OUTCOME_WILL_REQUIRED},
        {"forbidden", "trucks/017/status", 1, true, POLICY_WILL_FORBIDDEN, OUTCOME_DEFAULT_DENY},
        {"another's topic", "trucks/018/status", 1, true, POLICY_WILL_OPTIONAL, OUTCOME_DEFAULT_DENY},
        {"a rule without will", "trucks/017/location", 0, false, POLICY_WILL_OPTIONAL, OUTCOME_DEFAULT_DENY},
        {"QoS cap", "trucks/017/status", 2, true, POLICY_WILL_OPTIONAL, OUTCOME_QOS_CAP},
        {"a Response Topic that it may read (D11)", "trucks/017/status", 1, true, POLICY_WILL_OPTIONAL,
         OUTCOME_ALLOWED, "trucks/017/cmd/a"},
        {"another's Response Topic (D11)", "trucks/017/status", 1, true, POLICY_WILL_OPTIONAL,
         OUTCOME_DEFAULT_DENY, "trucks/018/cmd/a"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct policy_role_spec role = truck_role();
        struct mqtt_packet p = lab_connect(MQTT_5, "truck-017");
        role.will = cases[i].policy;
        lab_open(&lab, &role, 1);
        if (cases[i].topic != NULL) {
            p.connect.will.present = true;
            p.connect.will.topic = bytes_of_text(cases[i].topic);
            p.connect.will.payload = bytes_of_text("gone");
            p.connect.will.qos = cases[i].qos;
            p.connect.will.retain = cases[i].retain;
            p.connect.will.properties = (struct mqtt_properties){0};
        }
        if (cases[i].response != NULL) {
            p.connect.will.properties.present = MQTT_PROP_BIT(MQTT_PROP_RESPONSE_TOPIC);
            p.connect.will.properties.response_topic = bytes_of_text(cases[i].response);
        }
        struct lab_stream *device = lab_accept(&lab, 17);
        lab_send(device, &p);
        CU_ASSERT_EQUAL(lab.dials, cases[i].outcome == OUTCOME_ALLOWED);
        if (cases[i].outcome == OUTCOME_ALLOWED) {
            lab_upstream_opens(lab.dialled);
            CU_ASSERT_TRUE_FATAL(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, &p));
            CU_ASSERT_EQUAL(p.connect.will.present, cases[i].topic != NULL);
        } else {
            CU_ASSERT_TRUE_FATAL(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p));
            CU_ASSERT_EQUAL(p.reason_code, outcome_mqtt5_code(cases[i].outcome));
        }
        lab_close(&lab);
    }
}

/* ---- sessions of one identity (C3, D9) ---------------------------------------------------------------- */

static void second_session_of_an_identity(void)
{
    struct mqtt_packet p = lab_connect(MQTT_5, "truck-017");
    open_lab();
    struct lab_session first = lab_session(&lab, MQTT_5, "truck-017");
    struct lab_stream *thief = lab_accept(&lab, 99);
    lab_send(thief, &p); /* from another address: refused, the first is not disturbed */
    CU_ASSERT_TRUE_FATAL(lab_next(thief, MQTT_FROM_SERVER, MQTT_5, &p));
    CU_ASSERT_EQUAL(p.reason_code, 0x87);
    CU_ASSERT_EQUAL(lab.dials, 1);
    CU_ASSERT_FALSE(first.device->finished);
    const struct event *event = lab_event_of(&lab, EVENT_MQTT_CONNECT_REFUSED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    CU_ASSERT_EQUAL(event->outcome, OUTCOME_SESSION_TAKEN);
    p = lab_connect(MQTT_5, "truck-017");
    struct lab_stream *again = lab_accept(&lab, 17);
    lab_send(again, &p); /* from its own place: it lost its connection and takes over */
    CU_ASSERT_EQUAL(lab.dials, 2);
    CU_ASSERT_TRUE_FATAL(lab_next(first.device, MQTT_FROM_SERVER, MQTT_5, &p));
    CU_ASSERT_EQUAL(p.type, MQTT_DISCONNECT);
    CU_ASSERT_EQUAL(p.reason_code, 0x8E);
    CU_ASSERT_TRUE(first.upstream->finished);
    CU_ASSERT_FALSE(again->finished);
    lab_close(&lab);
}

static void connect_rate_per_client(void)
{
    struct policy_role_spec role = truck_role();
    struct mqtt_packet p = lab_connect(MQTT_3_1_1, "truck-017");
    role.limits.rates.of[RATE_CONNECTS][0] = (struct rate){.amount = 2, .period_us = 1000000, .burst = 2};
    lab_open(&lab, &role, 1);
    for (int i = 0; i < 3; i++) {
        struct lab_stream *device = lab_accept(&lab, 17);
        p = lab_connect(MQTT_3_1_1, "truck-017");
        lab_send(device, &p);
        lab_peer_closes(device, STREAM_END_RESET);
    }
    CU_ASSERT_EQUAL(lab.dials, 2); /* reconnecting refills nothing */
    const struct event *event = lab_event_of(&lab, EVENT_MQTT_CONNECT_REFUSED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    CU_ASSERT_EQUAL(event->outcome, OUTCOME_RATE_CONNECTS);
    lab_wait(&lab, 600000);
    struct lab_stream *device = lab_accept(&lab, 17);
    p = lab_connect(MQTT_3_1_1, "truck-017");
    lab_send(device, &p);
    CU_ASSERT_EQUAL(lab.dials, 3);
    lab_close(&lab);
}

/* ---- ends --------------------------------------------------------------------------------------------- */

/* [MQTT-3.14.4-3]: DISCONNECT goes on; anything else must let the upstream publish the Will. */
static void ends_of_the_device(void)
{
    for (int way = 0; way < 3; way++) {
        struct mqtt_packet p = lab_plain(MQTT_5, MQTT_DISCONNECT);
        open_lab();
        struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
        if (way == 0)
            lab_send(s.device, &p);
        else if (way == 1)
            lab_peer_ends(s.device);
        else
            lab_peer_closes(s.device, STREAM_END_RESET);
        CU_ASSERT_EQUAL(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p), way == 0);
        CU_ASSERT_TRUE(s.upstream->finished);
        CU_ASSERT_FALSE(s.upstream->aborted);
        const struct event *event = lab_event_of(&lab, way == 0 ? EVENT_MQTT_END : EVENT_UNGRACEFUL_END);
        CU_ASSERT_PTR_NOT_NULL_FATAL(event);
        CU_ASSERT_EQUAL(event->outcome, way == 0 ? OUTCOME_CLIENT_DISCONNECT : OUTCOME_CLIENT_LOST);
        CU_ASSERT_STRING_EQUAL(event->role, "truck");
        lab_close(&lab);
    }
}

static void ends_of_the_upstream(void)
{
    for (int way = 0; way < 3; way++)
        for (int five = 0; five < 2; five++) {
            enum mqtt_version version = five ? MQTT_5 : MQTT_3_1_1;
            struct mqtt_packet p = lab_plain(MQTT_5, MQTT_DISCONNECT);
            if (way == 0 && !five)
                continue;
            open_lab();
            struct lab_session s = lab_session(&lab, version, "truck-017");
            p.reason_code = 0x9D; /* server moved: not past us */
            if (way == 0)
                lab_send(s.upstream, &p);
            else if (way == 1)
                lab_peer_ends(s.upstream);
            else
                lab_peer_closes(s.upstream, STREAM_END_RESET);
            CU_ASSERT_EQUAL(lab_next(s.device, MQTT_FROM_SERVER, version, &p), five == 1);
            if (five) {
                CU_ASSERT_EQUAL(p.type, MQTT_DISCONNECT);
                CU_ASSERT_TRUE(p.reason_code >= 0x80 && p.reason_code != 0x9D);
            }
            CU_ASSERT_TRUE(s.device->finished);
            lab_close(&lab);
        }
}

/* A side that does not close in its turn is cut off after a while. */
static void lingering_ends(void)
{
    struct mqtt_packet p = lab_plain(MQTT_3_1_1, MQTT_DISCONNECT);
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    lab_send(s.device, &p);
    CU_ASSERT_EQUAL(mqtt_relays_sessions(lab.relays), 1);
    lab_feed(s.device, (const uint8_t *)"whatever", 8); /* thrown away */
    CU_ASSERT_EQUAL(s.device->in_n, 0);
    lab_wait(&lab, 6000000);
    CU_ASSERT_TRUE(s.device->aborted && s.upstream->aborted);
    CU_ASSERT_EQUAL(mqtt_relays_sessions(lab.relays), 0);
    CU_ASSERT_EQUAL(lab.gone, 1);
    lab_close(&lab);
}

/* C6: by client id or identity; live sessions end when they are kicked or re-judged, new ones are refused. */
static void quarantine(void)
{
    struct mqtt_packet p;
    const struct quarantine_entry entry = {.name = "truck-017", .reason = "INC-4411", .by = "root"};
    struct quarantine *none = quarantine_create(), *list = quarantine_with(none, &entry);
    CU_ASSERT_PTR_NOT_NULL_FATAL(list);
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
    struct lab_session other = lab_session(&lab, MQTT_5, "truck-018");
    lab.quarantine = list;
    struct relay_kick kick = {
        .name = bytes_of_text("truck-017"), .why = OUTCOME_QUARANTINED, .detail = "INC-4411"};
    while (!mqtt_relays_kick(lab.relays, &kick, 1))
        continue;
    lab_flush(&lab);
    CU_ASSERT_EQUAL(kick.n, 1);
    CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p) && p.type == MQTT_DISCONNECT &&
                   p.reason_code == 0x87);
    CU_ASSERT_FALSE(other.device->finished);
    const struct event *event = lab_event_of(&lab, EVENT_MQTT_END);
    CU_ASSERT_TRUE(event != NULL && event->outcome == OUTCOME_QUARANTINED && event->reason_code == 0x87 &&
                   strcmp(event->detail, "INC-4411") == 0);
    struct lab_stream *again = lab_accept(&lab, 17);
    p = lab_connect(MQTT_5, "truck-017");
    lab_send(again, &p);
    CU_ASSERT_TRUE(lab_next(again, MQTT_FROM_SERVER, MQTT_5, &p) && p.type == MQTT_CONNACK &&
                   p.reason_code == 0x8A);
    event = lab_event_of(&lab, EVENT_MQTT_CONNECT_REFUSED);
    CU_ASSERT_TRUE(event != NULL && event->outcome == OUTCOME_QUARANTINED &&
                   strcmp(event->detail, "INC-4411") == 0);
    /* A reload keeps it, and so does a session that nobody kicked. */
    lab.quarantine = none;
    struct lab_session missed = lab_session(&lab, MQTT_5, "truck-017");
    lab.quarantine = list;
    struct policy_role_spec role = truck_role();
    lab_policy(&lab, &role, 1);
    CU_ASSERT_TRUE(missed.device->finished);
    lab.quarantine = none;
    CU_ASSERT_FALSE(lab_session(&lab, MQTT_5, "truck-017").device->finished); /* released */
    lab_close(&lab);
    quarantine_destroy(list);
    quarantine_destroy(none);
}

static void kick_and_drain(void)
{
    struct mqtt_packet p;
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
    CU_ASSERT_EQUAL(lab_kick(&lab, "truck-018"), 0);
    CU_ASSERT_EQUAL(lab_kick(&lab, "truck-017"), 1);
    CU_ASSERT_TRUE_FATAL(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p));
    CU_ASSERT_EQUAL(p.reason_code, 0x98);
    s = lab_session(&lab, MQTT_5, "truck-017");
    CU_ASSERT_FALSE(mqtt_relays_drain(lab.relays, OUTCOME_SHUTTING_DOWN, 100));
    CU_ASSERT_TRUE_FATAL(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p));
    CU_ASSERT_EQUAL(p.reason_code, 0x8B);
    CU_ASSERT_TRUE(lab_accept(&lab, 18)->aborted);
    lab_close(&lab);
}

static void a_session_is_small(void)
{
    CU_ASSERT_TRUE(mqtt_relays_session_bytes() <= 2048);
    printf("(%zu bytes) ", mqtt_relays_session_bytes());
}

static const struct unit_test tests[] = {
    {"CONNECT is rebuilt (D11)", connect_is_rebuilt},
    {"CONNACK is the stricter of both (D8, D11)", connack_is_the_stricter_of_both},
    {"refused CONNECTs (C1)", refused_connects},
    {"malformed first packets (D1, D2)", malformed_first_packets},
    {"pipelined packets wait (D2)", pipelined_packets_wait},
    {"upstreams that fail (A7, B1)", upstreams_that_fail},
    {"the assigned client id is bound (D12)", assigned_client_id_is_bound},
    {"assigned client ids and rules (D4)", assigned_client_ids},
    {"upstreams that break the protocol (D1)", upstreams_that_break_the_protocol},
    {"enhanced authentication passes (D12)", enhanced_authentication_passes},
    {"Wills are judged (D10)", wills_are_judged},
    {"second session of an identity (C3)", second_session_of_an_identity},
    {"connect rate per client (F2, F3)", connect_rate_per_client},
    {"ends of the device (D10)", ends_of_the_device},
    {"ends of the upstream (A7)", ends_of_the_upstream},
    {"lingering ends", lingering_ends},
    {"kick and drain (H1)", kick_and_drain},
    {"quarantine (C6, G3)", quarantine},
    {"a session is small (K3)", a_session_is_small},
};

int main(void)
{
    return unit_run("relay_mqtt", tests, sizeof(tests) / sizeof(tests[0]));
}
