/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a role says of MQTT itself, and what the other side has announced (D3, D8, D11; traps 1.2 to 1.4). */
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/relay_steps.h"
#include "tests/unit/runner.h"

static struct relay_lab lab;

#define MINE "trucks/017/location"
#define SECOND UINT64_C(1000000)

static void open_as(const struct policy_role_spec *role)
{
    lab_open(&lab, role, 1);
}

/* A session whose CONNECT and CONNACK say what the test wants. */
static struct lab_session session_of(const struct mqtt_packet *connect, const struct mqtt_packet *connack)
{
    struct lab_session s = {.version = connect->version, .device = lab_accept(&lab, 17)};
    lab_send(s.device, connect);
    s.upstream = lab.dialled;
    lab_upstream_opens(s.upstream);
    s.upstream->out_read = s.upstream->out_n;
    lab_send(s.upstream, connack);
    return s;
}

/* ---- more in flight than allowed (D8) ----------------------------------------------------------------- */

static void answer_of_overrun(enum policy_overrun over, enum mqtt_version version, uint8_t qos)
{
    struct policy_role_spec role = office_role();
    role.inflight = 3;
    role.queue = 4;
    role.law.over = over;
    open_as(&role);
    struct lab_session s = lab_session(&lab, version, "app-1");
    for (uint16_t id = 1; id <= 4; id++)
        publish(&s, "news/a", qos, id);
    for (uint16_t id = 1; id <= 3; id++)
        CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, id));
    CU_ASSERT_TRUE(passed_nothing(&s));
    bool ends = over == POLICY_OVERRUN_DISCONNECT || (over == POLICY_OVERRUN_STANDARD && version == MQTT_5);
    enum mqtt_type type = qos == 2 ? MQTT_PUBREC : MQTT_PUBACK;
    if (ends) {
        if (version == MQTT_5) {
            CU_ASSERT_TRUE(told(&s, MQTT_DISCONNECT, 0, 0x93));
        }
        CU_ASSERT_TRUE(s.device->finished && told_nothing(&s));
    } else {
        CU_ASSERT_TRUE(told_nothing(&s) && !s.device->finished);
        CU_ASSERT_EQUAL(s.device->in_n != 0, over != POLICY_OVERRUN_DROP);
        for (uint16_t id = 1; id <= 3; id++) {
            ack(&s, s.upstream, type, id);
            CU_ASSERT_TRUE(told(&s, type, id, 0));
        }
        if (over == POLICY_OVERRUN_DROP) { /* refused, in its turn */
            CU_ASSERT_TRUE(told(&s, type, 4, version == MQTT_5 ? 0x97 : 0) && passed_nothing(&s));
        } else if (qos == 1 || version != MQTT_5) {
            CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 4));
        } else { /* three wait for PUBREL, which is the client's turn: nothing can make room but it */
            CU_ASSERT_TRUE(told(&s, MQTT_DISCONNECT, 0, 0x93));
        }
    }
    lab_close(&lab);
}

static void too_many_in_flight(void)
{
    for (int over = POLICY_OVERRUN_STANDARD; over <= POLICY_OVERRUN_DISCONNECT; over++)
        for (int version = MQTT_3_1; version <= MQTT_5; version++)
            for (uint8_t qos = 1; qos <= 2; qos++)
                answer_of_overrun((enum policy_overrun)over, (enum mqtt_version)version, qos);
}

/* Refusals that wait for their turn are bounded too. */
static void dropped_messages_are_bounded(void)
{
    struct policy_role_spec role = office_role();
    role.inflight = 3;
    role.queue = 4;
    role.law.over = POLICY_OVERRUN_DROP;
    open_as(&role);
    struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
    for (uint16_t id = 1; id <= 7; id++)
        publish(&s, "news/a", 1, id);
    CU_ASSERT_TRUE(told_nothing(&s) && !s.device->finished);
    publish(&s, "news/a", 1, 8);
    CU_ASSERT_TRUE(told(&s, MQTT_DISCONNECT, 0, 0x93));
    const struct event *event = lab_event_of(&lab, EVENT_LIMIT_EXCEEDED);
    CU_ASSERT_TRUE(event != NULL && event->outcome == OUTCOME_INFLIGHT_CAP);
    lab_close(&lab);
}

/* CVE-2026-95845. Deliveries that the device does not acknowledge: a 3.x upstream is not read beyond what may
 * be in flight and queued, one of 5.0 not beyond what it was told, or it is ended where the role says so. */
static void deliveries_not_acknowledged(void)
{
    for (int version = MQTT_3_1_1; version <= MQTT_5; version++)
        for (int over = POLICY_OVERRUN_STANDARD; over <= POLICY_OVERRUN_DISCONNECT; over++) {
            struct policy_role_spec role = office_role();
            uint16_t most = version == MQTT_5 ? 3 : 7;
            role.inflight = 3;
            role.queue = 4;
            role.law.over = (enum policy_overrun)over;
            open_as(&role);
            struct lab_session s = lab_session(&lab, (enum mqtt_version)version, "app-1");
            for (uint16_t id = 1; id <= 10; id++) {
                struct mqtt_packet p = lab_publish(s.version, "news/a", 1, id);
                lab_send(s.upstream, &p);
            }
            for (uint16_t id = 1; id <= most; id++)
                CU_ASSERT_TRUE(told(&s, MQTT_PUBLISH, id, 0));
            if (version == MQTT_5 && over == POLICY_OVERRUN_DISCONNECT) {
                CU_ASSERT_TRUE(told(&s, MQTT_DISCONNECT, 0, 0x82));
            } else {
                CU_ASSERT_TRUE(told_nothing(&s) && !s.device->finished && s.upstream->in_n != 0);
                ack(&s, s.device, MQTT_PUBACK, 1);
                CU_ASSERT_TRUE(passed(&s, MQTT_PUBACK, 1) && told(&s, MQTT_PUBLISH, (uint16_t)(most + 1), 0));
                CU_ASSERT_TRUE(told_nothing(&s));
            }
            lab_close(&lab);
        }
}

/* An upstream of 5.0 that goes beyond the Receive Maximum with QoS 2 (mosquitto 2.0.11 does): its PUBRELs lie
 * behind what it should not have sent. A client that takes more gets more; one that said how much gets no
 * more [MQTT-3.3.4-9]. */
static void deliveries_beyond_the_receive_maximum(void)
{
    for (int told_own = 0; told_own < 2; told_own++) {
        struct policy_role_spec role = office_role();
        role.inflight = 3;
        role.queue = 4;
        open_as(&role);
        struct mqtt_packet connect = lab_connect(MQTT_5, "app-1"), connack = lab_connack(MQTT_5, 0);
        connect.properties.present = told_own ? MQTT_PROP_BIT(MQTT_PROP_RECEIVE_MAXIMUM) : 0;
        connect.properties.receive_maximum = 3;
        struct lab_session s = session_of(&connect, &connack);
        for (uint16_t id = 1; id <= 4; id++) {
            struct mqtt_packet p = lab_publish(s.version, "news/a", 2, id);
            lab_send(s.upstream, &p);
        }
        ack(&s, s.upstream, MQTT_PUBREL, 1);
        s.device->out_read = 0;
        CU_ASSERT_TRUE(told(&s, MQTT_CONNACK, 0, 0));
        for (uint16_t id = 1; id <= 3; id++)
            CU_ASSERT_TRUE(told(&s, MQTT_PUBLISH, id, 0));
        CU_ASSERT_TRUE(told_nothing(&s));
        for (uint16_t id = 1; id <= 3; id++)
            ack(&s, s.device, MQTT_PUBREC, id);
        if (told_own) {
            CU_ASSERT_TRUE(told(&s, MQTT_DISCONNECT, 0, 0x82));
        } else {
            CU_ASSERT_TRUE(told(&s, MQTT_PUBLISH, 4, 0) && told(&s, MQTT_PUBREL, 1, 0) && told_nothing(&s));
        }
        lab_close(&lab);
    }
}

/* ---- QoS 2 that is never released --------------------------------------------------------------------- */

/* CVE-2023-28366: identifiers that are never released are not kept for ever. */
static void messages_not_released(void)
{
    struct policy_role_spec role = office_role();
    role.law.release_s = 40;
    open_as(&role);
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "app-1");
    publish(&s, "news/a", 2, 1);
    publish(&s, "secret/a", 2, 2); /* refused: ours */
    ack(&s, s.upstream, MQTT_PUBREC, 1);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBREC, 1, 0) && told(&s, MQTT_PUBREC, 2, 0));
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 1) && passed_nothing(&s));
    lab_wait(&lab, 39 * SECOND);
    CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->count[RELAY_RELEASES_FORGOTTEN], 0);
    lab_wait(&lab, 2 * SECOND);
    CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->count[RELAY_RELEASES_FORGOTTEN], 2);
    const struct event *event = lab_event_of(&lab, EVENT_LIMIT_EXCEEDED);
    CU_ASSERT_TRUE(event != NULL && event->outcome == OUTCOME_RELEASE_TIMEOUT);
    /* The upstream still knows it: a late PUBREL is not lost. */
    ack(&s, s.device, MQTT_PUBREL, 1);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBREL, 1));
    ack(&s, s.upstream, MQTT_PUBCOMP, 1);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBCOMP, 1, 0));
    lab_close(&lab);
}

/* In time, nothing is forgotten; and what the receiver owes is never. */
static void messages_released_late(void)
{
    struct policy_role_spec role = office_role();
    role.law.release_s = 40;
    open_as(&role);
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "app-1");
    struct mqtt_packet p = lab_publish(MQTT_3_1_1, "news/b", 2, 9);
    lab_send(s.upstream, &p);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBLISH, 9, 0));
    lab_wait(&lab, 50 * SECOND); /* the device owes PUBREC */
    ack(&s, s.device, MQTT_PUBREC, 9);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBREC, 9));
    lab_wait(&lab, 30 * SECOND);
    ack(&s, s.upstream, MQTT_PUBREL, 9);
    CU_ASSERT_TRUE(told(&s, MQTT_PUBREL, 9, 0));
    lab_wait(&lab, 50 * SECOND); /* the device owes PUBCOMP */
    ack(&s, s.device, MQTT_PUBCOMP, 9);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBCOMP, 9));
    CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->count[RELAY_RELEASES_FORGOTTEN], 0);
    lab_close(&lab);
}

/* A device that releases nothing goes on being served: its places come back. */
static void devices_that_never_release(void)
{
    struct policy_role_spec role = office_role();
    role.inflight = 2;
    role.queue = 2;
    role.law.release_s = 4;
    role.limits.keepalive_max_s = 3600;
    open_as(&role);
    struct mqtt_packet connect = lab_connect(MQTT_3_1_1, "app-1");
    struct mqtt_packet connack = lab_connack(MQTT_3_1_1, 0);
    connect.connect.keep_alive_s = 3000;
    struct lab_session s = session_of(&connect, &connack);
    for (uint16_t id = 1; id <= 20; id++) {
        publish(&s, "news/a", 2, id);
        CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, id));
        ack(&s, s.upstream, MQTT_PUBREC, id);
        lab_wait(&lab, 2 * SECOND);
    }
    CU_ASSERT_FALSE(s.device->finished);
    CU_ASSERT_TRUE(mqtt_relays_counters(lab.relays)->count[RELAY_RELEASES_FORGOTTEN] >= 16);
    lab_close(&lab);
}

/* ---- strings (D3) ------------------------------------------------------------------------------------- */

static void strict_strings(void)
{
    for (int strict = 0; strict < 2; strict++) {
        struct policy_role_spec role = office_role();
        role.law.strict_strings = strict != 0;
        open_as(&role);
        struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
        struct mqtt_packet p = lab_publish(MQTT_5, "news/\x01", 1, 4); /* from a broker */
        lab_send(s.upstream, &p);
        if (strict) {
            CU_ASSERT_TRUE(told_nothing(&s) && passed(&s, MQTT_PUBACK, 4));
        } else {
            CU_ASSERT_TRUE(told(&s, MQTT_PUBLISH, 4, 0) && passed_nothing(&s));
        }
        publish(&s, "news/\xEF\xBF\xBE", 1, 5); /* U+FFFE, from a device */
        if (strict) {
            CU_ASSERT_TRUE(told(&s, MQTT_DISCONNECT, 0, 0x81) && passed_nothing(&s));
        } else {
            CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 5));
        }
        lab_close(&lab);
    }
}

/* A broker's sentence with a control character: the acknowledgement passes without it, and the session lives.
 */
static void strict_reasons(void)
{
    struct policy_role_spec role = office_role();
    role.law.strict_strings = true;
    open_as(&role);
    struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
    publish(&s, "news/a", 1, 1);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 1));
    static const uint8_t puback[] = {0x40, 0x09, 0x00, 0x01, 0x10, 0x05, 0x1F, 0x00, 0x02, 'a', 0x07};
    lab_feed(s.upstream, puback, sizeof(puback));
    struct mqtt_packet p;
    CU_ASSERT_TRUE_FATAL(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p));
    CU_ASSERT_TRUE(p.type == MQTT_PUBACK && p.reason_code == 0x10 && p.properties.present == 0);
    CU_ASSERT_FALSE(s.device->finished);
    lab_close(&lab);
}

/* CONNECT comes before anybody knows how strict to be. */
static void strict_connects(void)
{
    static const struct {
        const char *name;
        const char *client_id, *user, *will;
    } cases[] = {
        {"all good", "app-1", "anna", "news/a"},
        {"client identifier", "app-\x01", "anna", "news/a"},
        {"user name", "app-1", "an\x7Fna", "news/a"},
        {"Will topic", "app-1", "anna", "news/\xC2\x80"},
    };
    for (int version = MQTT_3_1_1; version <= MQTT_5; version++)
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            struct policy_role_spec role = office_role();
            static const struct acl_rule_spec rules[] = {{.id = "will",
                                                          .file = "t.conf",
                                                          .line = 1,
                                                          .allow = true,
                                                          .actions = PUBLISH_BIT,
                                                          .topic = "news/#",
                                                          .retain = -1,
                                                          .will = 1}};
            struct mqtt_packet p = lab_connect((enum mqtt_version)version, cases[i].client_id);
            role.id = "fixed"; /* no name comes of it, which has its own rules */
            role.rules = rules;
            role.rules_n = 1;
            role.law.strict_strings = true;
            open_as(&role);
            struct lab_stream *device = lab_accept(&lab, 17);
            p.connect.has_user_name = true;
            p.connect.user_name = bytes_of_text(cases[i].user);
            p.connect.will.present = true;
            p.connect.will.topic = bytes_of_text(cases[i].will);
            lab_send(device, &p);
            CU_ASSERT_EQUAL(lab.dials, i == 0);
            if (i != 0) {
                CU_ASSERT_TRUE(lab_next(device, MQTT_FROM_SERVER, (enum mqtt_version)version, &p));
                CU_ASSERT_TRUE(p.type == MQTT_CONNACK && p.reason_code == (version == MQTT_5 ? 0x81 : 5));
            }
            lab_close(&lab);
        }
}

/* A new policy may ask for more from the next packet on (G3). */
static void strictness_follows_the_policy(void)
{
    struct policy_role_spec role = office_role();
    open_as(&role);
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "app-1");
    publish(&s, "news/\x01", 0, 0);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 0));
    role.law.strict_strings = true;
    lab_policy(&lab, &role, 1);
    publish(&s, "news/\x01", 0, 0);
    CU_ASSERT_TRUE(passed_nothing(&s) && s.device->finished);
    lab_close(&lab);
}

/* A name that an alias stood for before the policy asked for more is not let through by it. */
static void strictness_and_aliases(void)
{
    struct policy_role_spec role = office_role();
    open_as(&role);
    struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
    struct mqtt_packet p = lab_publish(MQTT_5, "news/\x01", 0, 0);
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_TOPIC_ALIAS);
    p.properties.topic_alias = 1;
    lab_send(s.device, &p);
    p.publish.topic = bytes_of(NULL, 0);
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 0) && passed(&s, MQTT_PUBLISH, 0));
    role.law.strict_strings = true;
    lab_policy(&lab, &role, 1);
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(told(&s, MQTT_DISCONNECT, 0, 0x81) && passed_nothing(&s));
    lab_close(&lab);
}

/* ---- redirection (D11) -------------------------------------------------------------------------------- */

static struct mqtt_packet redirection(enum mqtt_type type, uint8_t code)
{
    struct mqtt_packet p = lab_plain(MQTT_5, type);
    p.reason_code = code;
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_SERVER_REFERENCE);
    p.properties.server_reference = bytes_of_text("elsewhere.example:1883");
    return p;
}

static void redirections(void)
{
    static const uint8_t codes[] = {0x9C, 0x9D};
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < 2; i++)
            for (int connack = 0; connack < 2; connack++) {
                struct policy_role_spec role = office_role();
                struct mqtt_packet connect = lab_connect(MQTT_5, "app-1");
                struct mqtt_packet p = redirection(connack ? MQTT_CONNACK : MQTT_DISCONNECT, codes[i]);
                struct lab_session s;
                role.law.pass_redirection = pass != 0;
                open_as(&role);
                if (connack) {
                    s = session_of(&connect, &p);
                } else {
                    s = lab_session(&lab, MQTT_5, "app-1");
                    lab_send(s.upstream, &p);
                }
                CU_ASSERT_TRUE_FATAL(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p));
                CU_ASSERT_EQUAL(p.reason_code, pass ? codes[i] : connack ? 0x88 : 0x8B);
                CU_ASSERT_EQUAL(p.properties.present, pass ? MQTT_PROP_BIT(MQTT_PROP_SERVER_REFERENCE) : 0);
                bool reported = false;
                const struct event *event;
                while ((event = lab_event(&lab)) != NULL)
                    reported |= event->outcome == OUTCOME_REDIRECT_STRIPPED;
                CU_ASSERT_EQUAL(reported, pass == 0);
                lab_close(&lab);
            }
}

/* ---- Response Topic (D11) ----------------------------------------------------------------------------- */

static void response_topics(void)
{
    static const struct {
        const char *topic;
        bool good[4]; /* by subscribe, publish, both, any */
    } cases[] = {
        {"trucks/017/cmd/answer", {true, false, false, true}},
        {"trucks/017/location", {false, true, false, true}},
        {"shared/017", {true, true, true, true}},
        {"trucks/018/cmd/stop", {false, false, false, true}},
        {"$SYS/broker", {false, false, false, true}},
        {"$delayed/5/shared/017", {true, true, true, true}},
        {"$delayed/5/trucks/018/cmd/stop", {false, false, false, true}},
        {"$delayed/x/shared/017", {false, false, false, true}},
    };
    static const struct acl_rule_spec rules[] = {
        RULE("out", PUBLISH_BIT, "trucks/017/location"),
        RULE("in", SUBSCRIBE_BIT, "trucks/017/cmd/+"),
        RULE("both", PUBLISH_BIT | SUBSCRIBE_BIT, "shared/017"),
    };
    for (int by = POLICY_RESPONSE_SUBSCRIBE; by <= POLICY_RESPONSE_ANY; by++)
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            struct policy_role_spec role = truck_role();
            struct mqtt_packet p = lab_publish(MQTT_5, MINE, 1, 1);
            role.match.client_id = "truck-017";
            role.rules = rules;
            role.rules_n = 3;
            role.law.response_topic = (enum policy_response)by;
            open_as(&role);
            struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
            p.properties.present = MQTT_PROP_BIT(MQTT_PROP_RESPONSE_TOPIC);
            p.properties.response_topic = bytes_of_text(cases[i].topic);
            lab_send(s.device, &p);
            if (cases[i].good[by]) {
                CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 1) && told_nothing(&s));
            } else {
                CU_ASSERT_TRUE(passed_nothing(&s) && lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p) &&
                               p.type == MQTT_PUBACK && p.reason_code >= 0x80);
            }
            lab_close(&lab);
        }
}

/* ---- $delayed ----------------------------------------------------------------------------------------- */

/* A broker that knows the prefix publishes to what is behind it: no way round a deny (traps 1.2). */
static void delayed_publishes(void)
{
    static const struct {
        const char *topic;
        uint8_t code;
    } cases[] = {
        {"$delayed/5/news/a", 0},    {"$delayed/5/secret/a", 0x87},
        {"$delayed/5/$SYS/a", 0x87}, {"$delayed/5/$delayed/5/news/a", 0x90},
        {"$delayed/x/news/a", 0x90}, {"$delayed/5", 0x90},
        {"$share/g/news/a", 0x87}, /* a name like any other to whoever publishes */
        {"$queue/news/a", 0x87},
    };
    struct policy_role_spec role = office_role();
    static const struct acl_rule_spec rules[] = {
        RULE("all", PUBLISH_BIT, "#"),
        {.id = "never",
         .file = "t.conf",
         .line = 2,
         .actions = PUBLISH_BIT,
         .topic = "secret/#",
         .retain = -1,
         .will = -1},
        RULE("delayed", PUBLISH_BIT, "$delayed/#"), /* means nothing: it is judged by what is behind */
    };
    role.rules = rules;
    role.rules_n = 3;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_as(&role);
        struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
        publish(&s, cases[i].topic, 1, 1);
        if (cases[i].code == 0) {
            CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 1) && told_nothing(&s));
        } else {
            CU_ASSERT_TRUE(told(&s, MQTT_PUBACK, 1, cases[i].code) && passed_nothing(&s));
        }
        lab_close(&lab);
        /* The same as a Will. */
        open_as(&role);
        struct mqtt_packet p = lab_connect(MQTT_5, "app-1");
        struct lab_stream *device = lab_accept(&lab, 17);
        p.connect.will.present = true;
        p.connect.will.topic = bytes_of_text(cases[i].topic);
        lab_send(device, &p);
        CU_ASSERT_EQUAL(lab.dials, 0); /* no rule allows it as a Will */
        lab_close(&lab);
    }
}

/* ---- what the client announced ------------------------------------------------------------------------ */

/* [MQTT-3.1.2-24, -25]: what is too large for the client is thrown away, acknowledged, and not cut. */
static void deliveries_too_large_for_the_client(void)
{
    struct policy_role_spec role = office_role();
    struct mqtt_packet connect = lab_connect(MQTT_5, "app-1"), connack = lab_connack(MQTT_5, 0), p;
    connect.properties.present = MQTT_PROP_BIT(MQTT_PROP_MAX_PACKET_SIZE);
    connect.properties.max_packet_bytes = 40;
    open_as(&role);
    struct lab_session s = session_of(&connect, &connack);
    CU_ASSERT_TRUE(told(&s, MQTT_CONNACK, 0, 0));
    for (int large = 0; large < 2; large++)
        for (uint8_t qos = 0; qos <= 2; qos++) {
            p = lab_publish(MQTT_5, large ? "news/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" : "news/a", qos, qos);
            lab_send(s.upstream, &p);
            if (!large) {
                CU_ASSERT_TRUE(told(&s, MQTT_PUBLISH, qos, 0));
                if (qos != 0)
                    ack(&s, s.device, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, qos);
            }
            CU_ASSERT_TRUE(told_nothing(&s));
            if (qos != 0) {
                CU_ASSERT_TRUE(passed(&s, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, qos));
            }
            if (qos == 2) {
                ack(&s, s.upstream, MQTT_PUBREL, 2);
                if (!large) {
                    CU_ASSERT_TRUE(told(&s, MQTT_PUBREL, 2, 0));
                    ack(&s, s.device, MQTT_PUBCOMP, 2);
                }
                CU_ASSERT_TRUE(passed(&s, MQTT_PUBCOMP, 2));
            }
        }
    /* A streaming one too: nothing of it comes. */
    static const uint8_t head[] = {0x32, 0x80, 0x80, 0x04, 0, 6, 'n', 'e', 'w', 's', '/', 'a', 0, 7, 0};
    static const uint8_t zeros[65536 - 11];
    lab_feed(s.upstream, head, sizeof(head));
    lab_feed(s.upstream, zeros, sizeof(zeros));
    lab_flush(&lab);
    CU_ASSERT_TRUE(told_nothing(&s) && passed(&s, MQTT_PUBACK, 7));
    lab_close(&lab);
}

/* An acknowledgement goes without its Reason String rather than not at all [MQTT-3.4.2-2]. */
static void acknowledgements_are_shortened(void)
{
    struct policy_role_spec role = office_role();
    for (int i = 0; i < 3; i++) { /* it fits; too large; Request Problem Information 0 */
        struct mqtt_packet connect = lab_connect(MQTT_5, "app-1"), connack = lab_connack(MQTT_5, 0), p;
        connect.properties.present =
            i == 0 ? 0 : MQTT_PROP_BIT(i == 1 ? MQTT_PROP_MAX_PACKET_SIZE : MQTT_PROP_REQUEST_PROBLEM);
        connect.properties.max_packet_bytes = 40;
        open_as(&role);
        struct lab_session s = session_of(&connect, &connack);
        CU_ASSERT_TRUE(told(&s, MQTT_CONNACK, 0, 0));
        publish(&s, "news/a", 1, 1);
        p = lab_ack(MQTT_5, MQTT_PUBACK, 1, 0x10);
        p.properties.present = MQTT_PROP_BIT(MQTT_PROP_REASON_STRING);
        p.properties.reason_string = bytes_of_text("there is nobody here who would want to read this");
        lab_send(s.upstream, &p);
        CU_ASSERT_TRUE_FATAL(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p));
        CU_ASSERT_TRUE(p.type == MQTT_PUBACK && p.reason_code == 0x10);
        CU_ASSERT_EQUAL(p.properties.present, i == 0 ? MQTT_PROP_BIT(MQTT_PROP_REASON_STRING) : 0);
        lab_close(&lab);
    }
}

/* [MQTT-3.1.2-28] */
static void response_information_is_asked_for(void)
{
    struct policy_role_spec role = office_role();
    for (int asked = 0; asked < 2; asked++) {
        struct mqtt_packet connect = lab_connect(MQTT_5, "app-1"), connack = lab_connack(MQTT_5, 0), p;
        if (asked) {
            connect.properties.present = MQTT_PROP_BIT(MQTT_PROP_REQUEST_RESPONSE);
            connect.properties.request_response = 1;
        }
        connack.properties.present = MQTT_PROP_BIT(MQTT_PROP_RESPONSE_INFO);
        connack.properties.response_info = bytes_of_text("answers/app-1");
        open_as(&role);
        struct lab_session s = session_of(&connect, &connack);
        CU_ASSERT_TRUE_FATAL(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p));
        CU_ASSERT_EQUAL((p.properties.present & MQTT_PROP_BIT(MQTT_PROP_RESPONSE_INFO)) != 0, asked != 0);
        lab_close(&lab);
    }
}

/* ---- what the upstream announced ---------------------------------------------------------------------- */

/* [MQTT-3.2.2-11, -14]: the client was told; a breach does not reach the upstream. */
static void breaches_of_what_the_upstream_announced(void)
{
    static const struct {
        uint8_t qos;
        bool retain;
        uint8_t code;
    } cases[] = {{1, false, 0}, {2, false, 0x9B}, {0, true, 0x9A}, {1, true, 0x9A}};
    struct policy_role_spec role = office_role();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mqtt_packet connect = lab_connect(MQTT_5, "app-1"), connack = lab_connack(MQTT_5, 0), p;
        connack.properties.present =
            MQTT_PROP_BIT(MQTT_PROP_MAXIMUM_QOS) | MQTT_PROP_BIT(MQTT_PROP_RETAIN_AVAILABLE);
        connack.properties.maximum_qos = 1;
        open_as(&role);
        struct lab_session s = session_of(&connect, &connack);
        CU_ASSERT_TRUE_FATAL(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p));
        CU_ASSERT_EQUAL(p.properties.maximum_qos, 1);
        p = lab_publish(MQTT_5, "news/a", cases[i].qos, cases[i].qos != 0);
        p.publish.retain = cases[i].retain;
        lab_send(s.device, &p);
        if (cases[i].code == 0) {
            CU_ASSERT_TRUE(passed(&s, MQTT_PUBLISH, 1) && told_nothing(&s));
        } else {
            CU_ASSERT_TRUE(told(&s, MQTT_DISCONNECT, 0, cases[i].code) && passed_nothing(&s));
        }
        lab_close(&lab);
    }
}

static const struct unit_test tests[] = {
    {"too many in flight, by policy (D8)", too_many_in_flight},
    {"dropped messages are bounded (D8)", dropped_messages_are_bounded},
    {"deliveries not acknowledged (D8, CVE-2026-95845)", deliveries_not_acknowledged},
    {"[MQTT-3.3.4-9] deliveries beyond the Receive Maximum", deliveries_beyond_the_receive_maximum},
    {"messages not released (D8, CVE-2023-28366)", messages_not_released},
    {"messages released late (D12)", messages_released_late},
    {"devices that never release (D8)", devices_that_never_release},
    {"strict strings, both ways (D3)", strict_strings},
    {"strict sentences of a broker (D3)", strict_reasons},
    {"strict CONNECTs (D3)", strict_connects},
    {"strictness follows the policy (G3)", strictness_follows_the_policy},
    {"strictness and aliases (D3, D6)", strictness_and_aliases},
    {"redirections (D11)", redirections},
    {"response topics by right (D11)", response_topics},
    {"delayed publishes (D4)", delayed_publishes},
    {"deliveries too large for the client [MQTT-3.1.2-24]", deliveries_too_large_for_the_client},
    {"acknowledgements are shortened [MQTT-3.1.2-29, 3.4.2-2]", acknowledgements_are_shortened},
    {"response information is asked for [MQTT-3.1.2-28]", response_information_is_asked_for},
    {"breaches of what the upstream announced [MQTT-3.2.2-11, -14]", breaches_of_what_the_upstream_announced},
};

int main(void)
{
    return unit_run("relay_law", tests, sizeof(tests) / sizeof(tests[0]));
}
