/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rates over all kinds of packets, by client, source, role and listener, with every action (C6, F2, F3). */
#include "gateway/client_shares.h"
#include "gateway/rate_totals.h"
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/runner.h"

#include <stdio.h>

#define S UINT64_C(1000000)
#define MINE "trucks/017/location"

static struct relay_lab lab;

static const struct rate slow = {.amount = 1, .period_us = 10 * S, .burst = 2};

static bool reads(struct lab_stream *s, enum mqtt_sender sender, enum mqtt_version version,
                  enum mqtt_type type, uint8_t code)
{
    struct mqtt_packet p = {.type = MQTT_RESERVED};
    if (!lab_next(s, sender, version, &p) || p.type != type)
        return false;
    return (type == MQTT_SUBACK ? p.list.at[0] : p.reason_code) == code;
}

static bool told(struct lab_session *s, enum mqtt_type type, uint8_t code)
{
    return reads(s->device, MQTT_FROM_SERVER, s->version, type, code);
}

static bool passed(struct lab_session *s, enum mqtt_type type)
{
    return reads(s->upstream, MQTT_FROM_CLIENT, s->version, type, 0);
}

static bool quiet(const struct lab_stream *s)
{
    return s->out_read == s->out_n;
}

static void send(struct lab_session *s, enum mqtt_type type, uint16_t id)
{
    static const char *const filters[] = {"trucks/017/cmd/x", NULL};
    struct mqtt_packet p = type == MQTT_PUBLISH     ? lab_publish(s->version, MINE, id != 0, id)
                           : type == MQTT_SUBSCRIBE ? lab_subscribe(s->version, type, id, 0, filters)
                                                    : lab_plain(s->version, type);
    lab_send(s->device, &p);
}

/* Two pass, the third is over. */
static struct lab_session three_of(enum mqtt_version version, enum mqtt_type type, bool qos)
{
    struct lab_session s = lab_session(&lab, version, "truck-017");
    uint16_t id = type == MQTT_SUBSCRIBE || qos ? 1 : 0;
    for (uint16_t i = 0; i < 3; i++)
        send(&s, type, id != 0 ? (uint16_t)(id + i) : 0);
    struct mqtt_packet p = {.type = MQTT_RESERVED};
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, version, &p) && p.type == type);
    return s;
}

struct action {
    const char *name;
    enum policy_over_limit over;
    enum mqtt_version version;
    enum mqtt_type type;
    bool qos;
    bool waits;           /* stays where it is */
    enum mqtt_type tells; /* what the device hears, MQTT_RESERVED: nothing */
    uint8_t code;
    bool ends;
};

static void every_action(void)
{
    static const struct action actions[] = {
        {"delay, PUBLISH", POLICY_DELAY, MQTT_5, MQTT_PUBLISH, .waits = true},
        {"delay, SUBSCRIBE", POLICY_DELAY, MQTT_3_1_1, MQTT_SUBSCRIBE, .waits = true},
        {"delay, PINGREQ", POLICY_DELAY, MQTT_5, MQTT_PINGREQ, .waits = true},
        {"drop, QoS 0", POLICY_DROP, MQTT_5, MQTT_PUBLISH},
        {"drop, QoS 1 waits", POLICY_DROP, MQTT_3_1_1, MQTT_PUBLISH, .qos = true, .waits = true},
        {"drop, SUBSCRIBE waits", POLICY_DROP, MQTT_5, MQTT_SUBSCRIBE, .waits = true},
        {"drop, PINGREQ is answered here", POLICY_DROP, MQTT_3_1_1, MQTT_PINGREQ, .tells = MQTT_PINGRESP},
        {"quota, QoS 0", POLICY_QUOTA, MQTT_5, MQTT_PUBLISH},
        {"quota, SUBSCRIBE: 0x97", POLICY_QUOTA, MQTT_5, MQTT_SUBSCRIBE, .tells = MQTT_SUBACK, .code = 0x97},
        {"quota, SUBSCRIBE: 0x80", POLICY_QUOTA, MQTT_3_1_1, MQTT_SUBSCRIBE, .tells = MQTT_SUBACK,
         .code = 0x80},
        {"quota, PINGREQ", POLICY_QUOTA, MQTT_5, MQTT_PINGREQ, .tells = MQTT_PINGRESP},
        {"disconnect, PUBLISH", POLICY_DISCONNECT, MQTT_5, MQTT_PUBLISH, .tells = MQTT_DISCONNECT,
         .code = 0x96, .ends = true},
        {"disconnect, SUBSCRIBE", POLICY_DISCONNECT, MQTT_5, MQTT_SUBSCRIBE, .tells = MQTT_DISCONNECT,
         .code = 0x96, .ends = true},
        {"disconnect, PINGREQ in 3.1.1", POLICY_DISCONNECT, MQTT_3_1_1, MQTT_PINGREQ, .ends = true},
        {"quarantine, PUBLISH", POLICY_QUARANTINE, MQTT_5, MQTT_PUBLISH, .tells = MQTT_DISCONNECT,
         .code = 0x96, .ends = true},
        {"quarantine, SUBSCRIBE", POLICY_QUARANTINE, MQTT_5, MQTT_SUBSCRIBE, .tells = MQTT_DISCONNECT,
         .code = 0x96, .ends = true},
    };
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        const struct action *a = &actions[i];
        enum rate_kind kind = a->type == MQTT_PUBLISH     ? RATE_PUBLISHES
                              : a->type == MQTT_SUBSCRIBE ? RATE_SUBSCRIBES
                                                          : RATE_PINGS;
        struct policy_role_spec role = truck_role();
        role.limits.rates.of[kind][0] = slow;
        role.limits.rates.over = a->over;
        role.limits.rates.quarantine_us = 60 * S;
        lab_open(&lab, &role, 1);
        struct lab_session s = three_of(a->version, a->type, a->qos);
        struct mqtt_packet p;
        unsigned int before = 1;
        while (lab_next(s.upstream, MQTT_FROM_CLIENT, a->version, &p))
            before++;
        bool good = before == 2 && s.device->finished == a->ends && (s.device->in_n != 0) == a->waits;
        good &= a->tells == MQTT_RESERVED ? quiet(s.device) : told(&s, a->tells, a->code);
        if (a->waits) {
            CU_ASSERT_PTR_NULL(lab_event_of(&lab, EVENT_LIMIT_EXCEEDED));
            lab_wait(&lab, 11 * S);
            good &= lab_next(s.upstream, MQTT_FROM_CLIENT, a->version, &p) && p.type == a->type;
        } else {
            const struct event *event = lab_event_of(&lab, EVENT_LIMIT_EXCEEDED);
            good &= event != NULL && strcmp(event->detail, "of the client") == 0;
        }
        if (!good) {
            fprintf(stderr, "\n%s: %u passed, in %zu, finished %d\n", a->name, before, s.device->in_n,
                    s.device->finished);
            CU_FAIL("action");
        }
        lab_close(&lab);
    }
    CU_PASS("all were tried");
}

static void quarantine_lasts_its_time(void)
{
    struct policy_role_spec role = truck_role();
    role.limits.rates.of[RATE_PUBLISHES][0] = slow;
    role.limits.rates.over = POLICY_QUARANTINE;
    role.limits.rates.quarantine_us = 60 * S;
    lab_open(&lab, &role, 1);
    struct lab_session s = three_of(MQTT_5, MQTT_PUBLISH, false);
    CU_ASSERT_TRUE(s.device->finished);
    const struct event *event = lab_event_of(&lab, EVENT_QUARANTINED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    CU_ASSERT_STRING_EQUAL(event->detail, "too many messages of the client; refused for 60 s");
    lab_peer_closes(s.device, STREAM_END_DONE);
    lab_peer_closes(s.upstream, STREAM_END_DONE);
    struct mqtt_packet p = lab_connect(MQTT_5, "truck-017");
    for (int i = 0; i < 2; i++) {
        lab_wait(&lab, 29 * S);
        unsigned int dials = lab.dials;
        struct lab_stream *device = lab_accept(&lab, 17);
        lab_send(device, &p);
        CU_ASSERT_EQUAL(lab.dials, dials);
        CU_ASSERT_TRUE(reads(device, MQTT_FROM_SERVER, MQTT_5, MQTT_CONNACK, 0x8A));
        lab_peer_closes(device, STREAM_END_DONE);
    }
    lab_wait(&lab, 3 * S);
    s = lab_session(&lab, MQTT_5, "truck-017");
    CU_ASSERT_FALSE(s.device->finished);
    lab_close(&lab);
}

/* A role's total holds all its clients, and a reload neither refills it nor loses it. */
static void totals_are_shared(void)
{
    struct policy_role_spec role = truck_role();
    role.total.of[RATE_PUBLISHES][0] = slow;
    role.total.over = POLICY_QUOTA;
    for (int of_listener = 0; of_listener < 2; of_listener++) {
        struct policy_role_spec roles[] = {role};
        lab_open(&lab, roles, 1);
        if (of_listener != 0) {
            lab.config->listeners[0].total = role.total;
            roles[0].total = (struct rates){0};
        }
        lab_totals(&lab, roles, 1);
        struct lab_session a = lab_session(&lab, MQTT_5, "truck-017");
        struct lab_session b = lab_session(&lab, MQTT_5, "truck-018");
        send(&a, MQTT_PUBLISH, 1);
        struct mqtt_packet p = lab_publish(MQTT_5, "trucks/018/location", 1, 1);
        lab_send(b.device, &p);
        CU_ASSERT_TRUE(passed(&a, MQTT_PUBLISH) && passed(&b, MQTT_PUBLISH));
        p.packet_id = 2;
        lab_send(b.device, &p);
        CU_ASSERT_TRUE(quiet(b.upstream));
        const struct event *event = lab_event_of(&lab, EVENT_LIMIT_EXCEEDED);
        CU_ASSERT_PTR_NOT_NULL_FATAL(event);
        CU_ASSERT_STRING_EQUAL(event->detail, of_listener != 0 ? "of the listener" : "of the role");
        lab_totals(&lab, roles, 1);
        send(&a, MQTT_PUBLISH, 2);
        CU_ASSERT_TRUE(quiet(a.upstream));
        lab_close(&lab);
    }
}

static void a_source_is_held(void)
{
    struct policy_role_spec role = truck_role();
    lab_open(&lab, &role, 1);
    lab.config->listeners[0].per_source.of[RATE_PUBLISHES][0] = slow;
    lab.config->listeners[0].per_source.over = POLICY_DROP;
    struct lab_session a = lab_session(&lab, MQTT_5, "truck-017"); /* all from 10.20.0.17 */
    struct lab_session b = lab_session(&lab, MQTT_5, "truck-018");
    struct mqtt_packet p = lab_publish(MQTT_5, "trucks/018/location", 0, 0);
    send(&a, MQTT_PUBLISH, 0);
    lab_send(b.device, &p);
    CU_ASSERT_TRUE(passed(&a, MQTT_PUBLISH) && passed(&b, MQTT_PUBLISH));
    lab_send(b.device, &p);
    send(&a, MQTT_PUBLISH, 0);
    CU_ASSERT_TRUE(quiet(a.upstream) && quiet(b.upstream));
    const struct event *event = lab_event_of(&lab, EVENT_LIMIT_EXCEEDED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    CU_ASSERT_STRING_EQUAL(event->detail, "of the source");
    lab_close(&lab);
}

/* A role's total of connections, whoever they are from. */
static void connects_of_a_role(void)
{
    struct policy_role_spec role = truck_role();
    role.total.of[RATE_CONNECTS][0] = slow;
    lab_open(&lab, &role, 1);
    lab_totals(&lab, &role, 1);
    (void)lab_session(&lab, MQTT_5, "truck-001");
    (void)lab_session(&lab, MQTT_5, "truck-002");
    struct mqtt_packet p = lab_connect(MQTT_5, "truck-003");
    struct lab_stream *device = lab_accept(&lab, 3);
    unsigned int dials = lab.dials;
    lab_send(device, &p);
    CU_ASSERT_EQUAL(lab.dials, dials);
    CU_ASSERT_TRUE(reads(device, MQTT_FROM_SERVER, MQTT_5, MQTT_CONNACK, 0x9F));
    const struct event *event = lab_event_of(&lab, EVENT_MQTT_CONNECT_REFUSED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    CU_ASSERT_STRING_EQUAL(event->detail, "of the role");
    lab_close(&lab);
}

/* G6: observing, all passes and all is told. */
static void observed(void)
{
    struct policy_role_spec role = truck_role();
    role.mode = POLICY_OBSERVE;
    role.limits.rates.of[RATE_PINGS][0] = slow;
    role.limits.rates.of[RATE_SUBSCRIBES][0] = slow;
    role.limits.rates.over = POLICY_QUARANTINE;
    role.limits.rates.quarantine_us = 60 * S;
    lab_open(&lab, &role, 1);
    struct lab_session s = three_of(MQTT_5, MQTT_PINGREQ, false);
    CU_ASSERT_TRUE(passed(&s, MQTT_PINGREQ) && passed(&s, MQTT_PINGREQ));
    const struct event *event = lab_event_of(&lab, EVENT_LIMIT_EXCEEDED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    CU_ASSERT_FALSE(event->enforced);
    CU_ASSERT_FALSE(s.device->finished);
    for (uint16_t id = 1; id <= 3; id++) {
        struct mqtt_packet p;
        send(&s, MQTT_SUBSCRIBE, id);
        CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p) && p.type == MQTT_SUBSCRIBE);
    }
    lab_close(&lab);
}

/* ---- a client on two workers (F3, C6, D9) ---------------------------------------------------------------
 */

static struct relay_lab second;

static struct policy_role_spec roaming_role(void)
{
    struct policy_role_spec role = truck_role();
    role.match.client_id = "truck-{serial:[0-9][0-9][0-9]}*";
    role.id = "${user}";
    role.limits.sessions = 2;
    role.limits.rates.of[RATE_PUBLISHES][0] = slow;
    role.limits.rates.over = POLICY_QUOTA;
    return role;
}

static void open_workers(const struct policy_role_spec *role)
{
    static const uint8_t secret[16];
    lab_shares = client_shares_create(100, secret);
    CU_ASSERT_PTR_NOT_NULL_FATAL(lab_shares);
    lab_open(&lab, role, 1);
    lab_open(&second, role, 1);
}

static void close_workers(void)
{
    lab_close(&lab);
    lab_close(&second);
    client_shares_destroy(lab_shares);
    lab_shares = NULL;
}

/* One identity with two client identifiers, from two addresses. */
static struct lab_session roams(struct relay_lab *worker, const char *client_id, uint8_t address)
{
    struct mqtt_packet p = lab_connect(MQTT_5, client_id), connack = lab_connack(MQTT_5, 0);
    p.connect.has_user_name = true;
    p.connect.user_name = bytes_of_text("roamer");
    struct lab_session s = {.version = MQTT_5, .device = lab_accept(worker, address)};
    worker->dialled = NULL;
    lab_send(s.device, &p);
    s.upstream = worker->dialled;
    if (s.upstream == NULL)
        return s;
    lab_upstream_opens(s.upstream);
    s.upstream->out_read = s.upstream->out_n;
    lab_send(s.upstream, &connack);
    s.device->out_read = s.device->out_n;
    return s;
}

static void rates_of_two_workers(void)
{
    struct policy_role_spec role = roaming_role();
    open_workers(&role);
    struct lab_session a = roams(&lab, "truck-017", 17), b = roams(&second, "truck-017b", 18);
    CU_ASSERT_FATAL(a.upstream != NULL && b.upstream != NULL);
    struct mqtt_packet p = lab_publish(MQTT_5, MINE, 1, 1);
    lab_send(a.device, &p);
    lab_send(b.device, &p);
    CU_ASSERT_TRUE(passed(&a, MQTT_PUBLISH) && passed(&b, MQTT_PUBLISH));
    p = lab_publish(MQTT_5, MINE, 1, 2); /* a bucket of two is empty, for both */
    lab_send(a.device, &p);
    p = lab_publish(MQTT_5, MINE, 1, 2);
    lab_send(b.device, &p);
    p = lab_ack(MQTT_5, MQTT_PUBACK, 1, 0);
    lab_send(a.upstream, &p);
    p = lab_ack(MQTT_5, MQTT_PUBACK, 1, 0);
    lab_send(b.upstream, &p);
    CU_ASSERT_TRUE(told(&a, MQTT_PUBACK, 0) && told(&a, MQTT_PUBACK, 0x97));
    CU_ASSERT_TRUE(told(&b, MQTT_PUBACK, 0) && told(&b, MQTT_PUBACK, 0x97));
    close_workers();
}

static void sessions_of_two_workers(void)
{
    struct policy_role_spec role = roaming_role();
    open_workers(&role);
    struct lab_session a = roams(&lab, "truck-017", 17), b = roams(&second, "truck-017b", 18);
    struct lab_session third = roams(&second, "truck-017c", 19);
    CU_ASSERT_TRUE(a.upstream != NULL && b.upstream != NULL);
    CU_ASSERT_TRUE(third.upstream == NULL && told(&third, MQTT_CONNACK, 0x87));
    struct mqtt_packet bye = lab_plain(MQTT_5, MQTT_DISCONNECT);
    lab_send(a.device, &bye);
    third = roams(&second, "truck-017c", 20);
    CU_ASSERT_TRUE(third.upstream != NULL);
    close_workers();
}

/* A role that observes: each session goes on; one too many is told once, wherever it was found. */
static void observed_sessions_of_two_workers(void)
{
    struct policy_role_spec role = roaming_role();
    role.mode = POLICY_OBSERVE;
    open_workers(&role);
    struct lab_session a = roams(&lab, "truck-017", 17), b = roams(&second, "truck-017b", 18);
    CU_ASSERT_TRUE(a.upstream != NULL && b.upstream != NULL);
    CU_ASSERT_EQUAL(mqtt_relays_counters(second.relays)->from_device[OUTCOME_SESSION_TAKEN], 0);
    for (uint8_t i = 0; i < 3; i++) { /* the first by all workers together, the next by this one too */
        const char *const ids[] = {"truck-017c", "truck-017d", "truck-017e"};
        struct lab_session more = roams(&second, ids[i], (uint8_t)(19 + i));
        CU_ASSERT_PTR_NOT_NULL(more.upstream);
        CU_ASSERT_EQUAL(mqtt_relays_counters(second.relays)->from_device[OUTCOME_SESSION_TAKEN], i + 1);
    }
    close_workers();
}

static void quarantine_of_two_workers(void)
{
    struct policy_role_spec role = roaming_role();
    role.limits.rates.over = POLICY_QUARANTINE;
    role.limits.rates.quarantine_us = 60 * S;
    open_workers(&role);
    struct lab_session a = roams(&lab, "truck-017", 17);
    struct mqtt_packet p = lab_publish(MQTT_5, MINE, 0, 0);
    for (int i = 0; i < 3; i++)
        lab_send(a.device, &p);
    CU_ASSERT_TRUE(a.device->finished);
    struct lab_session b = roams(&second, "truck-017b", 18);
    CU_ASSERT_TRUE(b.upstream == NULL && b.device->finished);
    close_workers();
}

static const struct unit_test tests[] = {
    {"every action for every kind (F2, D7)", every_action},
    {"quarantine lasts its time (C6, F2)", quarantine_lasts_its_time},
    {"totals of roles and listeners are shared, and survive reloads (F2, F3)", totals_are_shared},
    {"a source is held, whoever it is (F2)", a_source_is_held},
    {"connections of a role (F2)", connects_of_a_role},
    {"observed (G6)", observed},
    {"a client's rates hold on two workers together (F3)", rates_of_two_workers},
    {"a client's sessions are counted over two workers (D9, F3)", sessions_of_two_workers},
    {"a client's sessions over two workers, observed (D9, F3, G6)", observed_sessions_of_two_workers},
    {"a client's quarantine holds on every worker (C6, F3)", quarantine_of_two_workers},
};

int main(void)
{
    return unit_run("relay_rates", tests, sizeof(tests) / sizeof(tests[0]));
}
