/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A CONNECT whose first server fails goes to the next, and the device notices nothing (A7). */
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/runner.h"

static struct relay_lab lab;

static struct lab_stream *connect_with(uint8_t servers, enum mqtt_version version)
{
    struct mqtt_packet p = lab_connect(version, "truck-017");
    struct policy_role_spec role = truck_role();
    lab_open(&lab, &role, 1);
    lab.servers = servers;
    struct lab_stream *device = lab_accept(&lab, 17);
    lab_send(device, &p);
    return device;
}

static void runs(struct lab_stream *device, enum mqtt_version version)
{
    struct mqtt_packet p;
    lab_upstream_opens(lab.dialled);
    CU_ASSERT_TRUE(lab.dial_good);
    CU_ASSERT_TRUE_FATAL(lab_next(lab.dialled, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, &p));
    CU_ASSERT_EQUAL(p.type, MQTT_CONNECT);
    CU_ASSERT_TRUE(bytes_equal(p.connect.client_id, bytes_of_text("truck-017")));
    p = lab_connack(version, 0);
    lab_send(lab.dialled, &p);
    CU_ASSERT_TRUE_FATAL(lab_next(device, MQTT_FROM_SERVER, version, &p));
    CU_ASSERT_EQUAL(p.type, MQTT_CONNACK);
    CU_ASSERT_EQUAL(p.reason_code, 0);
}

static void the_next_server_takes_it(void)
{
    static const enum stream_end ends[] = {STREAM_END_REFUSED,    STREAM_END_UNREACHABLE,
                                           STREAM_END_RESET,      STREAM_END_TIMEOUT,
                                           STREAM_END_TLS_VERIFY, STREAM_END_TLS_PROTOCOL};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct lab_stream *device = connect_with(3, MQTT_5);
        lab_peer_closes(lab.dialled, ends[i]);
        CU_ASSERT_FALSE(lab.dial_good);
        CU_ASSERT_EQUAL(lab.dial_server, 0);
        CU_ASSERT_EQUAL(lab.dials, 2);
        CU_ASSERT_FALSE(device->finished);
        lab_peer_closes(lab.dialled, ends[i]);
        CU_ASSERT_EQUAL(lab.dial_server, 1);
        runs(device, MQTT_5);
        CU_ASSERT_EQUAL(lab.dial_server, 2);
        CU_ASSERT_PTR_NOT_NULL(
            lab_event_of(&lab, ends[i] >= STREAM_END_TLS_VERIFY ? EVENT_TLS_FAILED : EVENT_UPSTREAM_FAILED));
        lab_close(&lab);
    }
}

static void a_silent_server_has_its_time(void)
{
    struct lab_stream *device = connect_with(2, MQTT_3_1_1);
    lab_wait(&lab, 5100000);
    CU_ASSERT_FALSE(lab.dial_good);
    CU_ASSERT_EQUAL(lab.dial_results, 1);
    CU_ASSERT_EQUAL(lab.dials, 2);
    CU_ASSERT_FALSE(device->finished);
    runs(device, MQTT_3_1_1);
    lab_close(&lab);
}

/* B6: what the gateway itself made it wait comes on top, once, and a server is not blamed for it. */
static void what_is_ours_is_not_the_servers(void)
{
    struct lab_stream *device = connect_with(2, MQTT_3_1_1);
    lab.dialled->own_us = 4000000;
    lab_wait(&lab, 5100000);
    CU_ASSERT_EQUAL(lab.dials, 1);
    lab.dialled->own_us = 7000000;
    lab_wait(&lab, 4000000);
    CU_ASSERT_EQUAL(lab.dials, 1);
    lab_wait(&lab, 2800000); /* 11.9 s, of which 7 were ours */
    CU_ASSERT_EQUAL(lab.dials, 1);
    CU_ASSERT_EQUAL(lab.dial_results, 0);
    lab_wait(&lab, 200000);
    CU_ASSERT_EQUAL(lab.dials, 2);
    CU_ASSERT_EQUAL(lab.dial_results, 1);
    CU_ASSERT_FALSE(lab.dial_good);
    lab_wait(&lab, 4800000); /* the second starts afresh */
    CU_ASSERT_FALSE(device->finished);
    lab.dialled->own_us = 1000000;
    lab_wait(&lab, 1000000);
    runs(device, MQTT_3_1_1);
    lab_close(&lab);
}

/* The gateway was short of something: the device hears that, and the event says so. */
static void what_is_ours_is_told_as_ours(void)
{
    struct mqtt_packet p;
    struct lab_stream *device = connect_with(2, MQTT_5);
    lab.dialled->reason = "no handshake thread was free in time";
    lab_peer_closes(lab.dialled, STREAM_END_ABORTED);
    const struct event *event = lab_event_of(&lab, EVENT_UPSTREAM_FAILED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    CU_ASSERT_EQUAL(event->outcome, OUTCOME_NO_RESOURCES);
    CU_ASSERT_STRING_EQUAL(event->detail, "no handshake thread was free in time");
    CU_ASSERT_TRUE_FATAL(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p));
    CU_ASSERT_EQUAL(p.reason_code, outcome_mqtt5_code(OUTCOME_NO_RESOURCES));
    lab_close(&lab);
}

static void when_none_is_left_the_device_hears_it(void)
{
    struct mqtt_packet p;
    struct lab_stream *device = connect_with(2, MQTT_5);
    lab_peer_closes(lab.dialled, STREAM_END_REFUSED);
    lab_peer_closes(lab.dialled, STREAM_END_REFUSED);
    CU_ASSERT_EQUAL(lab.dials, 2);
    CU_ASSERT_TRUE_FATAL(lab_next(device, MQTT_FROM_SERVER, MQTT_5, &p));
    CU_ASSERT_EQUAL(p.reason_code, 0x88);
    CU_ASSERT_TRUE(device->finished);
    lab_close(&lab);
}

/* What may be about this device's certificate is not tried elsewhere, nor held against the server. */
static void a_device_puts_no_server_out(void)
{
    static const enum stream_end ends[] = {STREAM_END_TLS_ALERT, STREAM_END_TLS_IDENTITY, STREAM_END_ABORTED};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct lab_stream *device = connect_with(2, MQTT_5);
        lab_peer_closes(lab.dialled, ends[i]);
        CU_ASSERT_EQUAL(lab.dials, 1);
        CU_ASSERT_EQUAL(lab.dial_results, 0);
        CU_ASSERT_TRUE(device->finished);
        lab_close(&lab);
    }
}

static void a_server_that_says_it_cannot_is_passed_over(void)
{
    static const struct {
        enum mqtt_version version;
        uint8_t code;
        bool blamed;
    } cases[] = {
        {MQTT_5, 0x88, true},  {MQTT_5, 0x89, true},   {MQTT_5, 0x87, false},  {MQTT_5, 0x85, false},
        {MQTT_3_1_1, 3, true}, {MQTT_3_1_1, 5, false}, {MQTT_3_1_1, 2, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lab_stream *device = connect_with(2, cases[i].version);
        struct mqtt_packet p = lab_connack(cases[i].version, cases[i].code);
        lab_upstream_opens(lab.dialled);
        CU_ASSERT_EQUAL(lab.dial_results, 1);
        lab_send(lab.dialled, &p);
        CU_ASSERT_EQUAL(lab.dial_results, cases[i].blamed ? 2 : 1);
        CU_ASSERT_EQUAL(lab.dial_good, !cases[i].blamed);
        CU_ASSERT_TRUE(device->finished);
        lab_close(&lab);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"A7: the next server takes it", the_next_server_takes_it},
        {"A7: a silent server", a_silent_server_has_its_time},
        {"B6: what is ours is not the server's", what_is_ours_is_not_the_servers},
        {"B6: what is ours is told as ours", what_is_ours_is_told_as_ours},
        {"A7: no server is left", when_none_is_left_the_device_hears_it},
        {"A7: one device puts no server out", a_device_puts_no_server_out},
        {"A7: servers that say they cannot", a_server_that_says_it_cannot_is_passed_over},
    };
    return unit_run("failover of a relay", tests, sizeof(tests) / sizeof(tests[0]));
}
