/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The form in which sessions go to their upstream, and that no name goes there twice (C3, C5). */
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/runner.h"

#include <stdio.h>
#include <unistd.h>

static struct relay_lab lab;

static bool has(const struct mqtt_packet *p, enum mqtt_property property)
{
    return (p->properties.present & MQTT_PROP_BIT(property)) != 0;
}

static void give_passwords(const char *text)
{
    char path[64];
    snprintf(path, sizeof(path), "/tmp/sallyport-shape-%d", (int)getpid());
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    fclose(file);
    struct diagnostics *d = diagnostics_create();
    ((struct generation *)(uintptr_t)lab.generation)->passwords[0] = secret_file_load(path, d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(lab.generation->passwords[0]);
    diagnostics_destroy(d);
    unlink(path);
}

static void drop_passwords(void)
{
    secret_file_destroy(lab.generation->passwords[0]);
    ((struct generation *)(uintptr_t)lab.generation)->passwords[0] = NULL;
}

/* The CONNECT that the upstream got. */
static bool upstream_connect(struct mqtt_packet *p)
{
    lab_upstream_opens(lab.dialled);
    return lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, p);
}

static void credentials_are_given(void)
{
    static const enum mqtt_version versions[] = {MQTT_3_1, MQTT_3_1_1, MQTT_5};
    for (int i = 0; i < 3; i++) {
        struct policy_role_spec role = truck_role();
        struct mqtt_packet p = lab_connect(versions[i], "truck-017");
        lab_open(&lab, &role, 1);
        lab.config->upstreams[0].user_name = "hub/${id}";
        lab.config->upstreams[0].client_id = "s7-${client_id}";
        give_passwords("truck-017:s3cret\n");
        p.connect.has_user_name = p.connect.has_password = true;
        p.connect.user_name = bytes_of_text("device");
        p.connect.password = bytes_of_text("its own");
        struct lab_stream *device = lab_accept(&lab, 17);
        lab_send(device, &p);
        CU_ASSERT_TRUE_FATAL(upstream_connect(&p));
        CU_ASSERT_TRUE(bytes_equal(p.connect.user_name, bytes_of_text("hub/truck-017")));
        CU_ASSERT_TRUE(bytes_equal(p.connect.password, bytes_of_text("s3cret")));
        CU_ASSERT_TRUE(bytes_equal(p.connect.client_id, bytes_of_text("s7-truck-017")));
        const struct event *event;
        while ((event = lab_event(&lab)) != NULL) /* no field has room for it, and none has it */
            CU_ASSERT_PTR_NULL(memmem(event, sizeof(*event), "s3cret", 6));
        drop_passwords();
        lab_close(&lab);
    }
}

static void without_a_password_nothing_is_dialled(void)
{
    struct policy_role_spec role = truck_role();
    struct mqtt_packet p = lab_connect(MQTT_5, "truck-018");
    lab_open(&lab, &role, 1);
    lab.config->upstreams[0].user_name = "${id}";
    give_passwords("truck-017:s3cret\n");
    lab_send(lab_accept(&lab, 18), &p);
    CU_ASSERT_EQUAL(lab.dials, 0);
    const struct event *event = lab_event_of(&lab, EVENT_MQTT_CONNECT_REFUSED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    CU_ASSERT_EQUAL(event->outcome, OUTCOME_NO_PASSWORD);
    drop_passwords();
    lab_close(&lab);
}

/* A user name alone: the device's password goes no further. */
static void the_devices_password_stays_here(void)
{
    struct policy_role_spec role = truck_role();
    struct mqtt_packet p = lab_connect(MQTT_3_1_1, "truck-017");
    lab_open(&lab, &role, 1);
    lab.config->upstreams[0].user_name = "gateway";
    p.connect.has_user_name = p.connect.has_password = true;
    p.connect.user_name = bytes_of_text("device");
    p.connect.password = bytes_of_text("its own");
    lab_send(lab_accept(&lab, 17), &p);
    CU_ASSERT_TRUE_FATAL(upstream_connect(&p));
    CU_ASSERT_TRUE(bytes_equal(p.connect.user_name, bytes_of_text("gateway")));
    CU_ASSERT_FALSE(p.connect.has_password);
    lab_close(&lab);
}

/* ---- mount point -------------------------------------------------------------------------------------- */

static void both_directions_are_mounted(void)
{
    static const char *const filters[] = {"trucks/017/cmd/x", NULL};
    struct policy_role_spec role = truck_role();
    struct mqtt_packet p;
    lab_open(&lab, &role, 1);
    lab.config->upstreams[0].mount = "sites/${id}/";
    struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
    p = lab_publish(MQTT_5, "trucks/017/location", 1, 1);
    lab_send(s.device, &p);
    CU_ASSERT_TRUE_FATAL(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p));
    CU_ASSERT_TRUE(bytes_equal(p.publish.topic, bytes_of_text("sites/truck-017/trucks/017/location")));
    CU_ASSERT_TRUE(bytes_equal(p.publish.payload, bytes_of_text("payload")));
    /* Judged by the device's name: the mounted one is no topic of its. */
    p = lab_publish(MQTT_5, "sites/truck-017/trucks/017/location", 0, 0);
    lab_send(s.device, &p);
    CU_ASSERT_FALSE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p));
    p = lab_subscribe(MQTT_5, MQTT_SUBSCRIBE, 2, 1, filters);
    lab_send(s.device, &p);
    CU_ASSERT_TRUE_FATAL(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p));
    struct cursor list = cursor_of(p.list);
    struct mqtt_filter entry;
    CU_ASSERT_TRUE_FATAL(mqtt_filter_next(&list, MQTT_SUBSCRIBE, &entry));
    CU_ASSERT_TRUE(bytes_equal(entry.filter, bytes_of_text("sites/truck-017/trucks/017/cmd/x")));
    s.device->out_read = s.device->out_n;
    p = lab_publish(MQTT_5, "sites/truck-017/trucks/017/cmd/x", 1, 7);
    lab_send(s.upstream, &p);
    CU_ASSERT_TRUE_FATAL(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p));
    CU_ASSERT_TRUE(bytes_equal(p.publish.topic, bytes_of_text("trucks/017/cmd/x")));
    /* Of another site: acknowledged upstream, never delivered, told. */
    p = lab_publish(MQTT_5, "sites/truck-018/trucks/017/cmd/x", 1, 8);
    lab_send(s.upstream, &p);
    CU_ASSERT_FALSE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p));
    const struct event *event;
    do
        event = lab_event_of(&lab, EVENT_MQTT_DELIVERY_DENIED);
    while (event != NULL && event->outcome != OUTCOME_OUTSIDE_MOUNT);
    CU_ASSERT_PTR_NOT_NULL(event);
    /* Its acknowledgement waits for that of the one before it, which the device still owes. */
    p = lab_ack(MQTT_5, MQTT_PUBACK, 7, 0);
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p) && p.type == MQTT_PUBACK &&
                   p.packet_id == 7);
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p) && p.type == MQTT_PUBACK &&
                   p.packet_id == 8);
    lab_close(&lab);
}

/* A subscription that a new policy takes back is taken back by its mounted name. */
static void revoked_by_the_mounted_name(void)
{
    static const char *const filters[] = {"trucks/017/cmd/x", NULL};
    struct policy_role_spec role = truck_role();
    struct mqtt_packet p;
    uint8_t granted = 0;
    lab_open(&lab, &role, 1);
    lab.config->upstreams[0].mount = "m/";
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    p = lab_subscribe(MQTT_3_1_1, MQTT_SUBSCRIBE, 2, 0, filters);
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_3_1_1, &p));
    p = lab_suback(MQTT_3_1_1, MQTT_SUBACK, 2, &granted, 1);
    lab_send(s.upstream, &p);
    role.rules_n = 2; /* without truck.cmd */
    lab_policy(&lab, &role, 1);
    CU_ASSERT_TRUE_FATAL(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_3_1_1, &p));
    CU_ASSERT_EQUAL(p.type, MQTT_UNSUBSCRIBE);
    struct cursor list = cursor_of(p.list);
    struct mqtt_filter entry;
    CU_ASSERT_TRUE_FATAL(mqtt_filter_next(&list, MQTT_UNSUBSCRIBE, &entry));
    CU_ASSERT_TRUE(bytes_equal(entry.filter, bytes_of_text("m/trucks/017/cmd/x")));
    lab_close(&lab);
}

static void wills_are_mounted(void)
{
    struct policy_role_spec role = truck_role();
    struct mqtt_packet p = lab_connect(MQTT_5, "truck-017");
    lab_open(&lab, &role, 1);
    lab.config->upstreams[0].mount = "m/";
    p.connect.will = (struct mqtt_will){
        .present = true, .topic = bytes_of_text("trucks/017/status"), .payload = bytes_of_text("gone")};
    lab_send(lab_accept(&lab, 17), &p);
    CU_ASSERT_TRUE_FATAL(upstream_connect(&p));
    CU_ASSERT_TRUE(bytes_equal(p.connect.will.topic, bytes_of_text("m/trucks/017/status")));
    CU_ASSERT_TRUE(bytes_equal(p.connect.will.payload, bytes_of_text("gone")));
    lab_close(&lab);
}

/* ---- clouds ------------------------------------------------------------------------------------------- */

static const struct acl_rule_spec all_rules[] = {
    RULE("all", PUBLISH_BIT | SUBSCRIBE_BIT, "t/#"),
    RULE("own", PUBLISH_BIT | SUBSCRIBE_BIT, "$aws/#"),
    RULE("hub", PUBLISH_BIT | SUBSCRIBE_BIT, "devices/#"),
};

static struct policy_role_spec all_role(void)
{
    struct policy_role_spec role = truck_role();
    role.rules = all_rules;
    role.rules_n = sizeof(all_rules) / sizeof(all_rules[0]);
    role.max_qos = 2;
    role.inflight = 500;
    role.limits.packet_bytes = 1U << 20;
    return role;
}

static void open_cloud(const struct policy_role_spec *role, enum cloud_profile profile)
{
    lab_open(&lab, role, 1);
    lab.config->upstreams[0].profile = profile;
    lab.config->upstreams[0].server_name = "hub.example";
    ((struct generation *)(uintptr_t)lab.generation)->cloud[0] =
        cloud_roles_create(lab.generation->policy, profile);
    CU_ASSERT_PTR_NOT_NULL_FATAL(lab.generation->cloud[0]);
}

static void close_cloud(void)
{
    struct cloud_roles *roles = lab.generation->cloud[0];
    lab_close(&lab);
    cloud_roles_destroy(roles);
}

static void aws_on_the_path(void)
{
    static const char *const filters[] = {"t/1", "t/2", "t/3", "t/4", "t/5",
                                          "t/6", "t/7", "t/8", "t/9", NULL};
    struct policy_role_spec role = all_role();
    struct mqtt_packet p = lab_connect(MQTT_5, "truck-017");
    open_cloud(&role, CLOUD_AWS);
    p.connect.keep_alive_s = 3600;
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_send(device, &p);
    CU_ASSERT_TRUE_FATAL(upstream_connect(&p));
    CU_ASSERT_EQUAL(p.connect.keep_alive_s, 1200);
    CU_ASSERT_EQUAL(p.properties.receive_maximum, 100);
    p = lab_connack(MQTT_5, 0);
    struct lab_session s = {.device = device, .upstream = lab.dialled, .version = MQTT_5};
    lab_send(s.upstream, &p);
    CU_ASSERT_TRUE_FATAL(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p));
    CU_ASSERT_TRUE(has(&p, MQTT_PROP_MAXIMUM_QOS) && p.properties.maximum_qos == 1);
    CU_ASSERT_TRUE(has(&p, MQTT_PROP_SERVER_KEEP_ALIVE) && p.properties.server_keep_alive_s == 1200);
    CU_ASSERT_EQUAL(p.properties.receive_maximum, 100);
    p = lab_publish(MQTT_5, "t/2/3/4/5/6/7/8/9", 1, 1);
    lab_send(device, &p);
    CU_ASSERT_TRUE(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p) && p.type == MQTT_PUBACK &&
                   p.reason_code == 0x90);
    p = lab_publish(MQTT_5, "$aws/x", 1, 2);
    p.publish.retain = true;
    lab_send(device, &p);
    CU_ASSERT_TRUE(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p) && p.type == MQTT_PUBACK &&
                   p.reason_code >= 0x80);
    CU_ASSERT_FALSE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p));
    p = lab_subscribe(MQTT_5, MQTT_SUBSCRIBE, 3, 2, filters);
    lab_send(device, &p);
    CU_ASSERT_TRUE_FATAL(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p));
    CU_ASSERT_EQUAL(p.list_count, 8);
    struct cursor list = cursor_of(p.list);
    struct mqtt_filter entry;
    while (mqtt_filter_next(&list, MQTT_SUBSCRIBE, &entry))
        CU_ASSERT_EQUAL(entry.qos, 1); /* asked for 2, never said */
    const uint8_t codes[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    CU_ASSERT_TRUE_FATAL(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p) && p.list_count == 1);
    uint16_t second = p.packet_id;
    p = lab_suback(MQTT_5, MQTT_SUBACK, 3, codes, 8);
    lab_send(s.upstream, &p);
    p = lab_suback(MQTT_5, MQTT_SUBACK, second, codes, 1);
    lab_send(s.upstream, &p);
    CU_ASSERT_TRUE_FATAL(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p) && p.type == MQTT_SUBACK);
    CU_ASSERT(p.list_count == 9 && p.list.at[7] == 1 && p.list.at[8] == 1);
    /* 100 a second are read, two were before; the next waits (nothing is lost). */
    p = lab_publish(MQTT_5, "t/1", 0, 0);
    for (int i = 0; i < 99; i++)
        lab_send(device, &p);
    int passed = 0;
    while (lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p))
        passed++;
    CU_ASSERT_EQUAL(passed, 98);
    lab_wait(&lab, 20000);
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p));
    close_cloud();
}

#define PARTS 3

/* The parts of one SUBSCRIBE are answered in this order; the client is told once, behind the last, all codes
 * in the order of its filters [MQTT-3.8.4-6]. */
static void aws_in_parts(const uint8_t order[PARTS], enum mqtt_version version)
{
    static const char *const filters[] = {"t/0",  "t/1",  "no/1", "t/2",  "t/3",  "t/4",  "t/5",
                                          "t/6",  "t/7",  "t/8",  "t/9",  "no/2", "t/10", "t/11",
                                          "t/12", "t/13", "t/14", "t/15", "t/16", "no/3", NULL};
    static const uint16_t sizes[PARTS] = {8, 8, 1};
    struct policy_role_spec role = all_role();
    uint16_t ids[PARTS] = {0};
    uint8_t codes[8], refused = version == MQTT_5 ? 0x87 : 0x80;
    struct mqtt_packet p;
    open_cloud(&role, CLOUD_AWS);
    struct lab_session s = lab_session(&lab, version, "truck-017");
    p = lab_subscribe(version, MQTT_SUBSCRIBE, 7, 1, filters);
    lab_send(s.device, &p);
    for (size_t i = 0; i < PARTS; i++) {
        CU_ASSERT_TRUE_FATAL(lab_next(s.upstream, MQTT_FROM_CLIENT, version, &p));
        CU_ASSERT(p.type == MQTT_SUBSCRIBE && p.list_count == sizes[i]);
        ids[i] = p.packet_id;
    }
    CU_ASSERT(ids[0] == 7 && ids[1] != 7 && ids[2] != ids[1] && ids[2] != 7 &&
              !lab_next(s.upstream, MQTT_FROM_CLIENT, version, &p));
    for (size_t i = 0; i < PARTS; i++) {
        CU_ASSERT_FALSE(lab_next(s.device, MQTT_FROM_SERVER, version, &p));
        for (uint16_t k = 0; k < 8; k++)
            codes[k] = order[i] * 8 + k == 5 ? 0x80 : (uint8_t)(k & 1); /* the sixth is refused up there */
        p = lab_suback(version, MQTT_SUBACK, ids[order[i]], codes, sizes[order[i]]);
        lab_send(s.upstream, &p);
    }
    CU_ASSERT_TRUE_FATAL(lab_next(s.device, MQTT_FROM_SERVER, version, &p));
    CU_ASSERT(p.type == MQTT_SUBACK && p.packet_id == 7 && p.list_count == 20);
    for (uint32_t i = 0, at = 0; i < 20; i++) {
        bool ours = i == 2 || i == 11 || i == 19;
        CU_ASSERT_EQUAL(p.list.at[i], ours ? refused : at == 5 ? 0x80 : (at % 8) & 1);
        at += !ours;
    }
    /* All is settled: the identifiers are free, and a new policy finds sixteen subscriptions. */
    p = lab_subscribe(version, MQTT_UNSUBSCRIBE, 7, 0, (const char *const[]){"t/1", NULL});
    lab_send(s.device, &p);
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, version, &p) && p.packet_id == 7);
    CU_ASSERT_FALSE(s.device->finished);
    close_cloud();
}

static void aws_many_filters(void)
{
    static const uint8_t orders[][PARTS] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        for (int version = MQTT_3_1_1; version <= MQTT_5; version++)
            aws_in_parts(orders[i], (enum mqtt_version)version);
}

/* A cloud that answers a part with too few codes; a session that ends with parts unanswered leaves nothing.
 */
static void aws_parts_end(void)
{
    static const char *const filters[] = {"t/1", "t/2", "t/3", "t/4", "t/5",
                                          "t/6", "t/7", "t/8", "t/9", NULL};
    struct policy_role_spec role = all_role();
    open_cloud(&role, CLOUD_AWS);
    struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
    struct mqtt_packet p = lab_subscribe(MQTT_5, MQTT_SUBSCRIBE, 65535, 1, filters);
    lab_send(s.device, &p); /* by the identifier that parts begin with */
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p) && p.packet_id == 65535);
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p) && p.packet_id == 65534);
    p = lab_subscribe(MQTT_5, MQTT_SUBSCRIBE, 65534, 1, (const char *const[]){"t/a", NULL});
    lab_send(s.device, &p); /* by the part's: goes by another */
    CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_5, &p) && p.packet_id == 65533);
    p = lab_suback(MQTT_5, MQTT_SUBACK, 65534, (const uint8_t[]){1, 1}, 2);
    lab_send(s.upstream, &p);
    CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_5, &p) && p.type == MQTT_DISCONNECT);
    close_cloud();
}

/* QoS 2 of a 3.1.1 device, which no CONNACK told of the cap: acknowledged here, never seen by the cloud. */
static void aws_never_sees_qos_2(void)
{
    struct policy_role_spec role = all_role();
    open_cloud(&role, CLOUD_AWS);
    struct lab_session s = lab_session(&lab, MQTT_3_1_1, "truck-017");
    struct mqtt_packet p = lab_publish(MQTT_3_1_1, "t/1", 2, 1);
    lab_send(s.device, &p);
    CU_ASSERT_FALSE(lab_next(s.upstream, MQTT_FROM_CLIENT, MQTT_3_1_1, &p));
    CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, MQTT_3_1_1, &p) && p.type == MQTT_PUBREC);
    close_cloud();
    char long_id[140];
    memset(long_id, 'x', sizeof(long_id));
    memcpy(long_id, "truck-017", 9);
    long_id[129] = 0;
    role.match.client_id = "truck-*";
    role.rules_n = 1;
    open_cloud(&role, CLOUD_AWS);
    p = lab_connect(MQTT_3_1_1, long_id);
    lab_send(lab_accept(&lab, 17), &p);
    CU_ASSERT_EQUAL(lab.dials, 0);
    close_cloud();
}

static void azure_on_the_path(void)
{
    static const char *const filters[] = {"devices/truck-017/messages/devicebound/#", "devices/#", NULL};
    struct policy_role_spec role = all_role();
    struct mqtt_packet p = lab_connect(MQTT_3_1_1, "truck-017");
    open_cloud(&role, CLOUD_AZURE);
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_send(device, &p);
    CU_ASSERT_TRUE_FATAL(upstream_connect(&p));
    CU_ASSERT_TRUE(
        bytes_equal(p.connect.user_name, bytes_of_text("hub.example/truck-017/?api-version=2021-04-12")));
    CU_ASSERT_FALSE(p.connect.has_password);
    p = lab_connack(MQTT_3_1_1, 0);
    lab_send(lab.dialled, &p);
    device->out_read = device->out_n;
    p = lab_publish(MQTT_3_1_1, "t/1", 1, 1);
    lab_send(device, &p);
    p = lab_publish(MQTT_3_1_1, "devices/truck-018/messages/events/", 1, 2);
    lab_send(device, &p);
    CU_ASSERT_FALSE(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_3_1_1, &p));
    p = lab_publish(MQTT_3_1_1, "devices/truck-017/messages/events/", 1, 3);
    lab_send(device, &p);
    CU_ASSERT_TRUE(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_3_1_1, &p) && p.type == MQTT_PUBLISH);
    p = lab_subscribe(MQTT_3_1_1, MQTT_SUBSCRIBE, 4, 1, filters);
    lab_send(device, &p);
    CU_ASSERT_TRUE(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_3_1_1, &p) && p.list_count == 1);
    close_cloud();
    /* A Will that the hub does not take. */
    p = lab_connect(MQTT_3_1_1, "truck-017");
    p.connect.will = (struct mqtt_will){
        .present = true, .topic = bytes_of_text("t/status"), .payload = bytes_of_text("gone")};
    role.max_qos = 1;
    open_cloud(&role, CLOUD_AZURE);
    lab_send(lab_accept(&lab, 17), &p);
    CU_ASSERT_EQUAL(lab.dials, 0);
    CU_ASSERT_PTR_NOT_NULL(lab_event_of(&lab, EVENT_MQTT_WILL_DENIED));
    close_cloud();
}

/* ---- limits of MQTT 5 --------------------------------------------------------------------------------- */

static void sessions_are_capped(void)
{
    struct policy_role_spec role = truck_role();
    role.session.caps_expiry = true;
    role.session.expiry_max_s = 600;
    role.session.packet_bytes = 1024;
    struct mqtt_packet p = lab_connect(MQTT_5, "truck-017");
    lab_open(&lab, &role, 1);
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_SESSION_EXPIRY);
    p.properties.session_expiry_s = UINT32_MAX;
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_send(device, &p);
    CU_ASSERT_TRUE_FATAL(upstream_connect(&p));
    CU_ASSERT_EQUAL(p.properties.session_expiry_s, 600);
    CU_ASSERT_TRUE(has(&p, MQTT_PROP_MAX_PACKET_SIZE) && p.properties.max_packet_bytes == 1024);
    p = lab_connack(MQTT_5, 0);
    lab_send(lab.dialled, &p);
    CU_ASSERT_TRUE_FATAL(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p));
    CU_ASSERT_TRUE(has(&p, MQTT_PROP_SESSION_EXPIRY) && p.properties.session_expiry_s == 600);
    p = lab_plain(MQTT_5, MQTT_DISCONNECT);
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_SESSION_EXPIRY);
    p.properties.session_expiry_s = 86400;
    lab_send(device, &p);
    CU_ASSERT_TRUE_FATAL(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_5, &p));
    CU_ASSERT_EQUAL(p.properties.session_expiry_s, 600);
    lab_close(&lab);
    /* What asks for less, or for none, gets that. */
    p = lab_connect(MQTT_5, "truck-017");
    lab_open(&lab, &role, 1);
    p.properties.present = MQTT_PROP_BIT(MQTT_PROP_MAX_PACKET_SIZE);
    p.properties.max_packet_bytes = 512;
    lab_send(lab_accept(&lab, 17), &p);
    CU_ASSERT_TRUE_FATAL(upstream_connect(&p));
    CU_ASSERT_FALSE(has(&p, MQTT_PROP_SESSION_EXPIRY));
    CU_ASSERT_EQUAL(p.properties.max_packet_bytes, 512);
    lab_close(&lab);
}

/* ---- takeover ----------------------------------------------------------------------------------------- */

static void takeover(void)
{
    static const struct {
        enum policy_takeover policy;
        uint8_t host;
        bool replaces;
    } t[] = {
        {POLICY_TAKEOVER_SAME_PLACE, 17, true}, {POLICY_TAKEOVER_SAME_PLACE, 18, false},
        {POLICY_TAKEOVER_REFUSE, 17, false},    {POLICY_TAKEOVER_REFUSE, 18, false},
        {POLICY_TAKEOVER_REPLACE, 17, true},    {POLICY_TAKEOVER_REPLACE, 18, true},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct policy_role_spec role = truck_role();
        struct mqtt_packet p = lab_connect(MQTT_5, "truck-017");
        role.session.takeover = t[i].policy;
        lab_open(&lab, &role, 1);
        struct lab_session first = lab_session(&lab, MQTT_5, "truck-017");
        while (lab_event(&lab) != NULL)
            continue;
        lab_send(lab_accept(&lab, t[i].host), &p);
        CU_ASSERT_EQUAL(lab.dials, t[i].replaces ? 2 : 1);
        CU_ASSERT_EQUAL(first.upstream->finished, t[i].replaces);
        const struct event *event =
            lab_event_of(&lab, t[i].replaces ? EVENT_MQTT_END : EVENT_MQTT_CONNECT_REFUSED);
        CU_ASSERT_PTR_NOT_NULL_FATAL(event);
        CU_ASSERT_EQUAL(event->outcome, t[i].replaces ? OUTCOME_TAKEN_OVER : OUTCOME_SESSION_TAKEN);
        if (!t[i].replaces)
            CU_ASSERT_STRING_EQUAL(event->detail, "the session is held from 10.20.0.17 (02:00:00:00:00:11)");
        lab_close(&lab);
    }
}

/* Two identities that come to the same name upstream: the second never gets there. */
static void one_name_upstream(void)
{
    struct policy_role_spec roles[] = {truck_role(), office_role()};
    struct mqtt_packet p = lab_connect(MQTT_5, "app-1");
    lab_open(&lab, roles, 2);
    lab.config->upstreams[0].client_id = "gateway";
    struct lab_session first = lab_session(&lab, MQTT_5, "truck-017");
    struct lab_stream *device = lab_accept(&lab, 18);
    lab_send(device, &p);
    CU_ASSERT_EQUAL(lab.dials, 1);
    CU_ASSERT_PTR_NOT_NULL(lab_event_of(&lab, EVENT_MQTT_CONNECT_REFUSED));
    lab_peer_closes(first.device, STREAM_END_RESET);
    lab_peer_closes(device, STREAM_END_DONE);
    lab_send(lab_accept(&lab, 18), &p);
    CU_ASSERT_EQUAL(lab.dials, 2);
    lab_close(&lab);
}

/* Another worker has the name, then wants it. */
static void across_workers(void)
{
    for (int replaces = 0; replaces < 2; replaces++) {
        struct policy_role_spec role = truck_role();
        struct mqtt_packet p = lab_connect(MQTT_5, "truck-017");
        role.session.takeover = replaces ? POLICY_TAKEOVER_REPLACE : POLICY_TAKEOVER_SAME_PLACE;
        lab_open(&lab, &role, 1);
        uint64_t key = session_claims_key(lab.claims, bytes_of_text("broker"), bytes_of_text("truck-017"));
        CU_ASSERT_EQUAL(session_claims_take(lab.claims, key, 1, false), CLAIM_HELD);
        struct lab_stream *device = lab_accept(&lab, 17);
        lab_send(device, &p);
        CU_ASSERT_EQUAL(lab.dials, 0);
        CU_ASSERT_EQUAL(session_claims_contested(lab.claims, key, 1), replaces);
        session_claims_release(lab.claims, key, 1);
        lab_peer_closes(device, STREAM_END_DONE);
        struct lab_session s = lab_session(&lab, MQTT_5, "truck-017");
        CU_ASSERT_EQUAL(session_claims_take(lab.claims, key, 1, replaces), CLAIM_TAKEN);
        lab_flush(&lab);
        CU_ASSERT_EQUAL(s.upstream->finished, replaces);
        CU_ASSERT_EQUAL(session_claims_take(lab.claims, key, 1, false), replaces ? CLAIM_HELD : CLAIM_TAKEN);
        lab_close(&lab);
    }
}

static const struct unit_test tests[] = {
    {"credentials are given (C5)", credentials_are_given},
    {"without a password nothing is dialled (C5)", without_a_password_nothing_is_dialled},
    {"the device's password stays here (C5)", the_devices_password_stays_here},
    {"both directions are mounted (C5)", both_directions_are_mounted},
    {"revoked by the mounted name (C5, G3)", revoked_by_the_mounted_name},
    {"Wills are mounted (C5, D10)", wills_are_mounted},
    {"AWS on the path (J, traps part 3)", aws_on_the_path},
    {"AWS: more than eight filters go in parts (traps part 3)", aws_many_filters},
    {"AWS: parts that do not end well", aws_parts_end},
    {"AWS never sees QoS 2 (J, traps part 3)", aws_never_sees_qos_2},
    {"Azure on the path (J, traps part 3)", azure_on_the_path},
    {"sessions are capped (C5)", sessions_are_capped},
    {"takeover (C3)", takeover},
    {"one name upstream (C3)", one_name_upstream},
    {"across workers (C3)", across_workers},
};

int main(void)
{
    return unit_run("relay_shape", tests, sizeof(tests) / sizeof(tests[0]));
}
