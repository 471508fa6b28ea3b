/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of the relay do and expect, step by step. */
#ifndef TESTS_UNIT_RELAY_STEPS_H
#define TESTS_UNIT_RELAY_STEPS_H

#include "tests/unit/relay_lab.h"

static inline void publish(struct lab_session *s, const char *topic, uint8_t qos, uint16_t id)
{
    struct mqtt_packet p = lab_publish(s->version, topic, qos, id);
    lab_send(s->device, &p);
}

static inline void ack(struct lab_session *s, struct lab_stream *from, enum mqtt_type type, uint16_t id)
{
    struct mqtt_packet p = lab_ack(s->version, type, id, 0);
    lab_send(from, &p);
}

/* What the device was told next: type and id (and the code in version 5); false when it is something else. */
static inline bool told(struct lab_session *s, enum mqtt_type type, uint16_t id, uint8_t code)
{
    struct mqtt_packet p;
    return lab_next(s->device, MQTT_FROM_SERVER, s->version, &p) && p.type == type && p.packet_id == id &&
           p.reason_code == code;
}

static inline bool told_nothing(struct lab_session *s)
{
    return s->device->out_read == s->device->out_n;
}

static inline bool passed(struct lab_session *s, enum mqtt_type type, uint16_t id)
{
    struct mqtt_packet p;
    return lab_next(s->upstream, MQTT_FROM_CLIENT, s->version, &p) && p.type == type && p.packet_id == id;
}

static inline bool passed_nothing(struct lab_session *s)
{
    return s->upstream->out_read == s->upstream->out_n;
}

#endif
