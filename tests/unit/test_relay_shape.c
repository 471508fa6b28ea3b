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
    {"sessions are capped (C5)", sessions_are_capped},
    {"takeover (C3)", takeover},
    {"one name upstream (C3)", one_name_upstream},
    {"across workers (C3)", across_workers},
};

int main(void)
{
    return unit_run("relay_shape", tests, sizeof(tests) / sizeof(tests[0]));
}
