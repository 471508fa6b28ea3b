/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SUBSCRIBE and UNSUBSCRIBE through a relay, and what a new policy does to live sessions (D5, D8, D9, G3;
 * traps 1.2, 1.3). */
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/runner.h"

static struct relay_lab lab;

#define CMD "trucks/017/cmd/+"

static void open_lab(void)
{
    struct policy_role_spec roles[] = {truck_role(), office_role()};
    lab_open(&lab, roles, 2);
}

static void subscribe(struct lab_session *s, uint16_t id, uint8_t qos, const char *const *filters)
{
    struct mqtt_packet p = lab_subscribe(s->version, MQTT_SUBSCRIBE, id, qos, filters);
    lab_send(s->device, &p);
}

static void suback(struct lab_session *s, enum mqtt_type type, uint16_t id, const uint8_t *codes, size_t n)
{
    struct mqtt_packet p = lab_suback(s->version, type, id, codes, n);
    lab_send(s->upstream, &p);
}

static bool told_codes(struct lab_session *s, enum mqtt_type type, uint16_t id, const uint8_t *codes,
                       size_t n)
{
    struct mqtt_packet p;
    return lab_next(s->device, MQTT_FROM_SERVER, s->version, &p) && p.type == type && p.packet_id == id &&
           bytes_equal(p.list, bytes_of(codes, n));
}

/* The next packet upstream is this request for these filters, each with `qos`. */
static bool passed_filters(struct lab_session *s, enum mqtt_type type, uint16_t *id, uint8_t qos,
                           const char *const *filters)
{
    struct mqtt_packet p;
    struct mqtt_filter entry;
    if (!lab_next(s->upstream, MQTT_FROM_CLIENT, s->version, &p) || p.type != type)
        return false;
    struct cursor list = cursor_of(p.list);
    *id = p.packet_id;
    while (mqtt_filter_next(&list, type, &entry)) {
        if (*filters == NULL || !bytes_equal(entry.filter, bytes_of_text(*filters++)) ||
            (type == MQTT_SUBSCRIBE && entry.qos != qos))
            return false;
    }
    return *filters == NULL;
}

static bool passed_nothing(struct lab_session *s)
{
    return s->upstream->out_read == s->upstream->out_n;
}

static const char *const cmd_only[] = {CMD, NULL};
static const char *const others_only[] = {"#", NULL};
static const char *const mixed[] = {"#", CMD, "trucks/018/cmd/+", "trucks/017/cmd/stop", NULL};
static const char *const mixed_kept[] = {CMD, "trucks/017/cmd/stop", NULL};

/* ---- D5 ----------------------------------------------------------------------------------------------- */

/* One SUBACK, all codes in the order of the filters [MQTT-3.8.4-6]. */
static void some_filters_are_refused(void)
{
    for (int version = MQTT_3_1_1; version <= MQTT_5; version++) {
        uint8_t refused = version == MQTT_5 ? 0x87 : 0x80;
        uint16_t id = 0;
        open_lab();
        struct lab_session s = lab_session(&lab, (enum mqtt_version)version, "truck-017");
        subscribe(&s, 5, 1, mixed);
        CU_ASSERT_TRUE(passed_filters(&s, MQTT_SUBSCRIBE, &id, 1, mixed_kept));
        CU_ASSERT_EQUAL(id, 5);
        suback(&s, MQTT_SUBACK, 5, (const uint8_t[]){1, 0x80}, 2);
        CU_ASSERT_TRUE(told_codes(&s, MQTT_SUBACK, 5, (const uint8_t[]){refused, 1, refused, 0x80}, 4));
        const struct event *event = lab_event_of(&lab, EVENT_MQTT_SUBSCRIBE_DENIED);
        CU_ASSERT_PTR_NOT_NULL_FATAL(event);
        CU_ASSERT_EQUAL(event->topic_len, 1);
        CU_ASSERT_EQUAL(event->reason_code, refused);
        CU_ASSERT_PTR_NOT_NULL(lab_event_of(&lab, EVENT_MQTT_SUBSCRIBE_DENIED));
        CU_ASSERT_PTR_NULL(lab_event_of(&lab, EVENT_MQTT_SUBSCRIBE_DENIED));
        lab_close(&lab);
    }
}

static void all_filters_are_refused(void)
{
    for (int version = MQTT_3_1; version <= MQTT_5; version++) {
        /* MQTT 3.1 has no code for a failure: granted, and never passed on. */
        uint8_t refused = version == MQTT_5 ? 0x87 : version == MQTT_3_1 ? 1 : 0x80;
        open_lab();
        struct lab_session s = lab_session(&lab, (enum mqtt_version)version, "truck-017");
        subscribe(&s, 5, 1, others_only);
        CU_ASSERT_TRUE(passed_nothing(&s));
        CU_ASSERT_TRUE(told_codes(&s, MQTT_SUBACK, 5, &refused, 1));
        lab_close(&lab);
    }
}

static void filters_of_every_shape(void)
{
    static const struct {
        const char *name;
        const char *filter;
        bool allowed;
    } cases[] = {
        {"granted", "trucks/+/location", true},
        {"narrower", "trucks/017/location", true},
        {"wider: containment, not a match", "trucks/#", false},
        {"share: judged by what is inside", "$share/g/trucks/+/location", true},
        {"share: wider inside", "$share/g/#", false},
        {"$SYS", "$SYS/#", false},
        {"case", "$Share/g/trucks/+/location", false},
        {"$queue", "$queue/trucks/+/location", true},
        {"$queue: wider inside", "$queue/#", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *const filters[] = {cases[i].filter, NULL};
        uint16_t id = 0;
        open_lab();
        struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
        subscribe(&s, 1, 0, filters);
        CU_ASSERT_EQUAL(passed_filters(&s, MQTT_SUBSCRIBE, &id, 0, filters), cases[i].allowed);
        CU_ASSERT_EQUAL(s.device->out_read == s.device->out_n, cases[i].allowed);
        lab_close(&lab);
    }
}

/* subscribe_mode = "filter": the wide filter passes, deliveries are trimmed. */
static void wide_filters_are_trimmed(void)
{
    struct policy_role_spec role = office_role();
    uint16_t id = 0;
    role.subscribe_mode = ACL_FILTER_TRIM;
    lab_open(&lab, &role, 1);
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "app-1");
    subscribe(&s, 1, 0, others_only);
    CU_ASSERT_TRUE(passed_filters(&s, MQTT_SUBSCRIBE, &id, 0, others_only));
    suback(&s, MQTT_SUBACK, 1, (const uint8_t[]){0}, 1);
    CU_ASSERT_TRUE(told_codes(&s, MQTT_SUBACK, 1, (const uint8_t[]){0}, 1));
    struct mqtt_packet p = lab_publish(MQTT_3_1_1, "locks/1/unlock", 0, 0);
    lab_send(s.upstream, &p);
    CU_ASSERT_EQUAL(s.device->out_read, s.device->out_n);
    p = lab_publish(MQTT_3_1_1, "trucks/017/location", 0, 0);
    lab_send(s.upstream, &p);
    CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_3_1_1, &p) && p.type == MQTT_PUBLISH);
    lab_close(&lab);
}

/* D8: a cap on QoS is applied to what is asked for. */
static void qos_is_lowered(void)
{
    uint16_t id = 0;
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    subscribe(&s, 1, 2, cmd_only);
    CU_ASSERT_TRUE(passed_filters(&s, MQTT_SUBSCRIBE, &id, 1, cmd_only));
    lab_close(&lab);
}

static void subscriptions_are_capped(void)
{
    static const char *const two[] = {"news/a", "news/b", NULL};
    static const char *const three[] = {"news/b", "news/c", "news/d", NULL};
    static const char *const kept[] = {"news/b", "news/c", NULL};
    static const char *const last[] = {"news/d", NULL};
    struct policy_role_spec role = office_role();
    uint16_t id = 0;
    role.limits.subscriptions = 3;
    lab_open(&lab, &role, 1);
    struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
    subscribe(&s, 1, 0, two);
    CU_ASSERT_TRUE(passed_filters(&s, MQTT_SUBSCRIBE, &id, 0, two));
    suback(&s, MQTT_SUBACK, 1, (const uint8_t[]){0, 0}, 2);
    CU_ASSERT_TRUE(told_codes(&s, MQTT_SUBACK, 1, (const uint8_t[]){0, 0}, 2));
    subscribe(&s, 2, 0, three); /* one is there already, one is new, one is too many */
    CU_ASSERT_TRUE(passed_filters(&s, MQTT_SUBSCRIBE, &id, 0, kept));
    suback(&s, MQTT_SUBACK, 2, (const uint8_t[]){0, 0x80}, 2);
    CU_ASSERT_TRUE(told_codes(&s, MQTT_SUBACK, 2, (const uint8_t[]){0, 0x80, 0x97}, 3));
    subscribe(&s, 3, 0, last); /* the upstream refused news/c: there is room */
    CU_ASSERT_TRUE(passed_filters(&s, MQTT_SUBSCRIBE, &id, 0, last));
    lab_close(&lab);
}

static void unsubscribe_always_passes(void)
{
    uint16_t id = 0;
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
    struct mqtt_packet p = lab_subscribe(MQTT_5, MQTT_UNSUBSCRIBE, 9, 0, mixed);
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(passed_filters(&s, MQTT_UNSUBSCRIBE, &id, 0, mixed));
    suback(&s, MQTT_UNSUBACK, 9, (const uint8_t[]){0x11, 0, 0x11, 0}, 4);
    CU_ASSERT_TRUE(told_codes(&s, MQTT_UNSUBACK, 9, (const uint8_t[]){0x11, 0, 0x11, 0}, 4));
    suback(&s, MQTT_UNSUBACK, 9, (const uint8_t[]){0}, 1); /* nobody asked */
    CU_ASSERT_EQUAL(s.device->out_read, s.device->out_n);
    lab_close(&lab);
}

static void wrong_acknowledgements(void)
{
    for (int i = 0; i < 2; i++) {
        struct mqtt_packet p;
        open_lab();
        struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
        subscribe(&s, 1, 0, cmd_only);
        if (i == 0)
            suback(&s, MQTT_SUBACK, 1, (const uint8_t[]){0, 0}, 2); /* one code too many */
        else
            suback(&s, MQTT_UNSUBACK, 1, (const uint8_t[]){0}, 1);
        CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p) && p.type == MQTT_DISCONNECT);
        CU_ASSERT_TRUE(s.upstream->finished);
        lab_close(&lab);
    }
}

/* ---- G3 ----------------------------------------------------------------------------------------------- */

static void a_new_policy_holds_from_the_next_packet(void)
{
    struct policy_role_spec role = truck_role();
    struct mqtt_packet p = lab_publish(MQTT_5, "trucks/017/location", 1, 1);
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p));
    role.rules++; /* without truck.location */
    role.rules_n--;
    lab_policy(&lab, &role, 1);
    p = lab_publish(MQTT_5, "trucks/017/location", 1, 2);
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(passed_nothing(&s));
    p = lab_ack(MQTT_5, MQTT_PUBACK, 1, 0); /* what was under way goes on */
    lab_send(s.upstream, &p);
    CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p) && p.packet_id == 1 &&
                   p.reason_code == 0);
    CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p) && p.packet_id == 2 &&
                   p.reason_code == 0x87);
    CU_ASSERT_FALSE(s.device->finished);
    lab_close(&lab);
}

/* Subscriptions that are no longer allowed are taken back, under an identifier of our own, whose answer the
 * device does not see; what meets that identifier goes by another one. */
static void lost_subscriptions_are_taken_back(void)
{
    struct policy_role_spec role = truck_role();
    struct mqtt_packet p;
    uint16_t id = 0, own = 0;
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
    subscribe(&s, 5, 1, mixed_kept);
    CU_ASSERT_TRUE(passed_filters(&s, MQTT_SUBSCRIBE, &id, 1, mixed_kept));
    suback(&s, MQTT_SUBACK, 5, (const uint8_t[]){1, 1}, 2);
    CU_ASSERT_TRUE(told_codes(&s, MQTT_SUBACK, 5, (const uint8_t[]){1, 1}, 2));
    role.rules_n = 2; /* without truck.cmd */
    lab_policy(&lab, &role, 1);
    CU_ASSERT_TRUE(passed_filters(&s, MQTT_UNSUBSCRIBE, &own, 0, mixed_kept));
    p = lab_publish(MQTT_5, "trucks/017/location", 1, own); /* meets our identifier */
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p) && p.type == MQTT_PUBLISH);
    uint16_t mapped = p.packet_id;
    CU_ASSERT_TRUE(mapped != own && mapped != 0);
    suback(&s, MQTT_UNSUBACK, own, (const uint8_t[]){0, 0}, 2);
    CU_ASSERT_EQUAL(s.device->out_read, s.device->out_n);
    p = lab_ack(MQTT_5, MQTT_PUBACK, mapped, 0);
    lab_send(s.upstream, &p);
    CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p) && p.type == MQTT_PUBACK &&
                   p.packet_id == own);
    p = lab_publish(MQTT_5, "trucks/017/cmd/stop", 0, 0); /* on its way since before */
    lab_send(s.upstream, &p);
    CU_ASSERT_EQUAL(s.device->out_read, s.device->out_n);
    lab_close(&lab);
}

/* A SUBSCRIBE that met our identifier goes by another one, also after we are done with ours: nobody else's
 * packet may go by that [MQTT-2.2.1-3]. */
static void mapped_identifiers_of_requests(void)
{
    struct policy_role_spec role = office_role();
    struct mqtt_packet p;
    uint16_t own = 0, mapped = 0, id = 0;
    static const char *const news[] = {"news/#", NULL};
    static const char *const fleet[] = {"trucks/+/location", NULL};
    static const struct acl_rule_spec rules[] = {RULE("r", SUBSCRIBE_BIT, "trucks/+/location"),
                                                 RULE("p", PUBLISH_BIT, "news/#")};
    lab_open(&lab, &role, 1);
    struct lab_session s = lab_session(&lab, MQTT_5, "app-1");
    subscribe(&s, 5, 1, news);
    CU_ASSERT_TRUE(passed_filters(&s, MQTT_SUBSCRIBE, &id, 1, news));
    role.rules = rules;
    role.rules_n = 2;
    lab_policy(&lab, &role, 1);
    CU_ASSERT_TRUE(passed_filters(&s, MQTT_UNSUBSCRIBE, &own, 0, news));
    subscribe(&s, own, 1, fleet);
    CU_ASSERT_TRUE(passed_filters(&s, MQTT_SUBSCRIBE, &mapped, 1, fleet));
    CU_ASSERT_NOT_EQUAL(mapped, own);
    suback(&s, MQTT_UNSUBACK, own, (const uint8_t[]){0}, 1);
    p = lab_publish(MQTT_5, "news/a", 1, mapped);
    lab_send(s.device, &p);
    CU_ASSERT_TRUE_FATAL(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p));
    CU_ASSERT_NOT_EQUAL(p.packet_id, mapped);
    suback(&s, MQTT_SUBACK, mapped, (const uint8_t[]){1}, 1);
    CU_ASSERT_TRUE(told_codes(&s, MQTT_SUBACK, own, (const uint8_t[]){1}, 1));
    lab_close(&lab);
}

static void mapped_identifiers_in_qos_2(void)
{
    struct policy_role_spec role = office_role();
    struct mqtt_packet p;
    uint16_t own = 0, id = 0;
    static const char *const news[] = {"news/#", NULL};
    lab_open(&lab, &role, 1);
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "app-1");
    subscribe(&s, 5, 1, news);
    CU_ASSERT_TRUE(passed_filters(&s, MQTT_SUBSCRIBE, &id, 1, news));
    static const struct acl_rule_spec rules[] = {RULE("r", PUBLISH_BIT, "news/#")};
    role.rules = rules;
    role.rules_n = 1;
    lab_policy(&lab, &role, 1);
    CU_ASSERT_TRUE(passed_filters(&s, MQTT_UNSUBSCRIBE, &own, 0, news));
    p = lab_publish(MQTT_3_1_1, "news/a", 2, own);
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_3_1_1, &p));
    uint16_t mapped = p.packet_id;
    p = lab_publish(MQTT_3_1_1, "news/a", 1, mapped); /* the device uses that one itself now */
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_3_1_1, &p));
    uint16_t third = p.packet_id;
    CU_ASSERT_TRUE(third != mapped && third != own);
    struct mqtt_packet rec = lab_ack(MQTT_3_1_1, MQTT_PUBREC, mapped, 0);
    lab_send(s.upstream, &rec);
    CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_3_1_1, &p) && p.packet_id == own);
    p = lab_ack(MQTT_3_1_1, MQTT_PUBREL, own, 0);
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_3_1_1, &p) && p.packet_id == mapped);
    p = lab_ack(MQTT_3_1_1, MQTT_PUBCOMP, mapped, 0);
    lab_send(s.upstream, &p);
    CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_3_1_1, &p) && p.packet_id == own);
    p = lab_ack(MQTT_3_1_1, MQTT_PUBACK, third, 0);
    lab_send(s.upstream, &p);
    CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_3_1_1, &p) && p.packet_id == mapped);
    lab_close(&lab);
}

static void clients_that_are_no_longer_allowed(void)
{
    for (int version = MQTT_3_1_1; version <= MQTT_5; version++) {
        struct policy_role_spec role = office_role();
        struct mqtt_packet p;
        open_lab();
        struct lab_session s = lab_session(&lab, (enum mqtt_version)version, "truck-017");
        lab_policy(&lab, &role, 1); /* no trucks any more */
        if (version == MQTT_5)
            CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p) && p.type == MQTT_DISCONNECT &&
                           p.reason_code == 0x98);
        CU_ASSERT_TRUE(s.device->finished && s.upstream->finished);
        const struct event *event = lab_event_of(&lab, EVENT_MQTT_END);
        CU_ASSERT_TRUE(event != NULL && event->outcome == OUTCOME_NO_ROLE);
        lab_close(&lab);
    }
}

static void a_listener_that_is_gone(void)
{
    struct policy_role_spec role = truck_role();
    open_lab();
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    lab.config->listeners[0].name = "another";
    lab_policy(&lab, &role, 1);
    CU_ASSERT_TRUE(s.device->finished);
    lab_close(&lab);
}

/* Every moment of a session can see a new policy. */
static void reloads_at_any_time(void)
{
    struct policy_role_spec role = truck_role();
    struct mqtt_packet p = lab_connect(MQTT_5, "truck-017");
    uint8_t bytes[256];
    open_lab();
    size_t n = mqtt_build(bytes, sizeof(bytes), &p, MQTT_5);
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_feed(device, bytes, n / 2);
    lab_policy(&lab, &role, 1);
    lab_feed(device, bytes + n / 2, n - n / 2);
    lab_policy(&lab, &role, 1);
    lab_upstream_opens(lab.dialled);
    lab_policy(&lab, &role, 1);
    p = lab_connack(MQTT_5, 0);
    lab_send(lab.dialled, &p);
    lab_policy(&lab, &role, 1);
    p = lab_plain(MQTT_5, MQTT_DISCONNECT);
    lab_send(device, &p);
    lab_policy(&lab, &role, 1);
    uint32_t position = 0;
    struct relay_info info;
    CU_ASSERT_TRUE(mqtt_relays_next(lab.relays, &position, &info));
    CU_ASSERT_FALSE(info.running);
    lab_wait(&lab, 1000000);
    CU_ASSERT_TRUE(device->finished);
    lab_close(&lab);
}

/* F2: a changed rate takes effect, and refills nothing. */
static void buckets_survive_reloads(void)
{
    struct policy_role_spec role = truck_role();
    struct mqtt_packet p = lab_publish(MQTT_3_1_1, "trucks/017/location", 0, 0);
    role.limits.rates.of[RATE_PUBLISHES][0] = (struct rate){.amount = 1, .period_us = 1000000, .burst = 2};
    lab_open(&lab, &role, 1);
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    for (int i = 0; i < 3; i++)
        lab_send(s.device, &p);
    CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->count[RELAY_PUBLISH_UP], 2);
    lab_policy(&lab, &role, 1);
    CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->count[RELAY_PUBLISH_UP], 2);
    role.limits.rates.of[RATE_PUBLISHES][0].amount = 0;
    lab_policy(&lab, &role, 1);
    CU_ASSERT_EQUAL(mqtt_relays_counters(lab.relays)->count[RELAY_PUBLISH_UP], 3);
    lab_close(&lab);
}

static const struct unit_test tests[] = {
    {"some filters are refused (D5)", some_filters_are_refused},
    {"all filters are refused (D5)", all_filters_are_refused},
    {"filters of every shape (D4, D5)", filters_of_every_shape},
    {"wide filters are trimmed (D5)", wide_filters_are_trimmed},
    {"QoS is lowered (D8)", qos_is_lowered},
    {"subscriptions are capped (D9)", subscriptions_are_capped},
    {"UNSUBSCRIBE always passes", unsubscribe_always_passes},
    {"wrong acknowledgements", wrong_acknowledgements},
    {"a new policy holds from the next packet (G3)", a_new_policy_holds_from_the_next_packet},
    {"lost subscriptions are taken back (G3)", lost_subscriptions_are_taken_back},
    {"mapped identifiers of requests (D5)", mapped_identifiers_of_requests},
    {"mapped identifiers in QoS 2", mapped_identifiers_in_qos_2},
    {"clients that are no longer allowed (G3)", clients_that_are_no_longer_allowed},
    {"a listener that is gone (G3)", a_listener_that_is_gone},
    {"reloads at any time (G2)", reloads_at_any_time},
    {"buckets survive reloads (F2)", buckets_survive_reloads},
};

int main(void)
{
    return unit_run("relay_subscribe", tests, sizeof(tests) / sizeof(tests[0]));
}
