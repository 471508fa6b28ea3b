/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device that closes its sending side and still listens (RFC 9293 s.3.6), across the relay. */
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/runner.h"

static struct relay_lab lab;

#define MINE "trucks/017/location"
#define SECOND UINT64_C(1000000)

static struct lab_session begin(enum mqtt_version version)
{
    struct policy_role_spec roles[] = {truck_role(), office_role()};
    lab_open(&lab, roles, 2);
    return lab_session(&lab, version, "truck-017");
}

static void publish_and_end(const struct lab_session *s)
{
    struct mqtt_packet publish = lab_publish(s->version, MINE, 1, 7);
    lab_send(s->device, &publish);
    lab_flush(&lab);
    lab_peer_ends(s->device);
    lab_flush(&lab);
}

/* The message goes up and the FIN behind it; the acknowledgement comes down, and then the other FIN. */
static void the_last_acknowledgement_still_comes(void)
{
    static const enum mqtt_version versions[] = {MQTT_3_1_1, MQTT_5};
    for (size_t v = 0; v < 2; v++) {
        struct lab_session s = begin(versions[v]);
        struct mqtt_packet packet, ack = lab_ack(s.version, MQTT_PUBACK, 0, 0);
        publish_and_end(&s);
        CU_ASSERT_TRUE(lab_next(s.upstream, MQTT_FROM_CLIENT, s.version, &packet));
        CU_ASSERT_EQUAL(packet.type, MQTT_PUBLISH);
        CU_ASSERT_FALSE(
            lab_next(s.upstream, MQTT_FROM_CLIENT, s.version, &packet)); /* no DISCONNECT: the Will */
        CU_ASSERT_TRUE(s.upstream->finished);
        CU_ASSERT_FALSE(s.device->finished);
        CU_ASSERT_PTR_NOT_NULL(lab_event_of(&lab, EVENT_UNGRACEFUL_END));
        ack.packet_id = 7;
        lab_send(s.upstream, &ack);
        lab_flush(&lab);
        CU_ASSERT_TRUE(lab_next(s.device, MQTT_FROM_SERVER, s.version, &packet));
        CU_ASSERT_EQUAL(packet.type, MQTT_PUBACK);
        CU_ASSERT_EQUAL(packet.packet_id, 7);
        CU_ASSERT_FALSE(s.device->finished);
        lab_peer_ends(s.upstream);
        lab_flush(&lab);
        CU_ASSERT_FALSE(
            lab_next(s.device, MQTT_FROM_SERVER, s.version, &packet)); /* it left first: nothing is told */
        CU_ASSERT_TRUE(s.device->finished);
        CU_ASSERT_PTR_NULL(lab_event(&lab)); /* one end, one event */
        lab_peer_closes(s.upstream, STREAM_END_DONE);
        lab_peer_closes(s.device, STREAM_END_DONE);
        lab_flush(&lab);
        CU_ASSERT_EQUAL(mqtt_relays_sessions(lab.relays), 0);
        lab_close(&lab);
    }
}

/* An upstream that never closes is waited for half a minute, whatever it says meanwhile. */
static void it_is_not_waited_for_ever(void)
{
    struct lab_session s = begin(MQTT_3_1_1);
    publish_and_end(&s);
    for (unsigned int i = 0; i < 29; i++) {
        struct mqtt_packet pong = lab_plain(s.version, MQTT_PINGRESP);
        lab_wait(&lab, SECOND);
        lab_send(s.upstream, &pong);
        lab_flush(&lab);
    }
    CU_ASSERT_FALSE(s.device->finished);
    lab_wait(&lab, 2 * SECOND);
    lab_flush(&lab);
    CU_ASSERT_TRUE(s.device->finished);
    lab_wait(&lab, 6 * SECOND);
    lab_flush(&lab);
    CU_ASSERT_EQUAL(mqtt_relays_sessions(lab.relays), 0);
    lab_close(&lab);
}

/* What would have to be written to a side that has been told of the end goes nowhere, and nothing piles up.
 */
static void nothing_is_written_behind_our_fin(void)
{
    struct lab_session s = begin(MQTT_3_1_1);
    publish_and_end(&s);
    size_t written = s.upstream->out_n;
    for (uint16_t id = 1; id <= 200; id++) { /* deliveries that the policy refuses are acknowledged by us */
        struct mqtt_packet publish = lab_publish(s.version, "elsewhere/018/secret", 1, id);
        lab_send(s.upstream, &publish);
        lab_flush(&lab);
    }
    CU_ASSERT_EQUAL(s.upstream->out_n, written);
    lab_peer_closes(s.upstream, STREAM_END_DONE);
    lab_flush(&lab);
    CU_ASSERT_TRUE(s.device->finished);
    lab_peer_closes(s.device, STREAM_END_DONE);
    lab_flush(&lab);
    CU_ASSERT_EQUAL(mqtt_relays_sessions(lab.relays), 0);
    lab_close(&lab);
}

/* Half a packet before the FIN is worth nothing, and half a message that is passing must not look whole. */
static void half_a_packet_ends_both(void)
{
    uint8_t bytes[256];
    struct lab_session s = begin(MQTT_3_1_1);
    struct mqtt_packet publish = lab_publish(s.version, MINE, 0, 0);
    publish.publish.payload_bytes = 1000;
    size_t n = mqtt_build(bytes, sizeof(bytes), &publish, s.version);
    lab_feed(s.device, bytes, n - 1);
    lab_flush(&lab);
    lab_peer_ends(s.device);
    lab_flush(&lab);
    CU_ASSERT_TRUE(s.upstream->finished);
    CU_ASSERT_TRUE(s.device->finished);
    lab_peer_closes(s.upstream, STREAM_END_DONE);
    lab_peer_closes(s.device, STREAM_END_DONE);
    lab_close(&lab);

    s = begin(MQTT_3_1_1);
    lab_feed(s.device, bytes, n);
    lab_feed(s.device, bytes, 10); /* of the payload */
    lab_flush(&lab);
    lab_peer_ends(s.device);
    lab_flush(&lab);
    CU_ASSERT_TRUE(s.upstream->aborted);
    CU_ASSERT_TRUE(s.device->finished);
    lab_peer_closes(s.device, STREAM_END_DONE);
    lab_close(&lab);
}

static void a_reset_ends_what_was_left(void)
{
    struct lab_session s = begin(MQTT_5);
    publish_and_end(&s);
    (void)lab_event_of(&lab, EVENT_UNGRACEFUL_END);
    lab_peer_closes(s.device, STREAM_END_RESET);
    lab_flush(&lab);
    CU_ASSERT_PTR_NULL(lab_event(&lab));
    lab_peer_closes(s.upstream, STREAM_END_DONE);
    lab_flush(&lab);
    CU_ASSERT_EQUAL(mqtt_relays_sessions(lab.relays), 0);
    lab_close(&lab);
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"RFC 9293 s.3.6: the last acknowledgement still comes", the_last_acknowledgement_still_comes},
        {"D2: it is not waited for for ever", it_is_not_waited_for_ever},
        {"nothing is written behind our FIN", nothing_is_written_behind_our_fin},
        {"D10: half a packet ends both sides", half_a_packet_ends_both},
        {"a reset ends what was left", a_reset_ends_what_was_left},
    };
    return unit_run("relay_half_close", tests, sizeof(tests) / sizeof(tests[0]));
}
