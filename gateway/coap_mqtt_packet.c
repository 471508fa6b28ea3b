/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the broker sends to the session of a CoAP identity. */
#include "gateway/coap_mqtt.h"

#define REFUSED_VERSION_5 0x84
#define REFUSED_VERSION_3 0x01

/* MQTT 5.0 reason codes as CoAP tells them; in 3.x a PUBACK is always success. */
static uint8_t code_of_reason(uint8_t reason)
{
    switch (reason) {
    case 0x87: /* not authorized */
        return COAP_FORBIDDEN;
    case 0x90: /* topic name invalid */
        return COAP_NOT_FOUND;
    case 0x97: /* quota exceeded */
        return COAP_UNAVAILABLE;
    case 0x99: /* payload format invalid */
        return COAP_UNSUPPORTED_FORMAT;
    default:
        return reason < 0x80 ? COAP_CHANGED : COAP_BAD_GATEWAY;
    }
}

static void take_puback(struct coap_mqtt *m, const struct mqtt_packet *packet)
{
    struct coap_flight *flight;
    TAILQ_FOREACH (flight, &m->leg->flying, of_leg) {
        if (flight->topic == NULL && flight->packet_id != 0 && flight->packet_id == packet->packet_id) {
            uint8_t code = code_of_reason(m->version == MQTT_5 ? packet->reason_code : 0);
            if (code == COAP_CHANGED)
                coap_count(m->leg->relays, COAP_COUNT_ACKNOWLEDGED);
            coap_mqtt_finish(flight, code);
            return;
        }
    }
}

static void take_pingresp(struct coap_mqtt *m)
{
    struct coap_flight *flight = TAILQ_FIRST(&m->leg->flying);
    if (m->pings_answered != m->pings_sent)
        m->pings_answered++;
    while (flight != NULL) {
        struct coap_flight *next = TAILQ_NEXT(flight, of_leg);
        if (flight->topic == NULL && flight->packet_id == 0 &&
            (int32_t)(m->pings_answered - flight->ping) >= 0) {
            coap_count(m->leg->relays, COAP_COUNT_ACKNOWLEDGED);
            coap_mqtt_finish(flight, COAP_CHANGED);
        }
        flight = next;
    }
    coap_mqtt_settle_topics(m);
}

static void take_connack(struct coap_mqtt *m, const struct mqtt_packet *packet)
{
    struct coap_leg *leg = m->leg;
    uint8_t code = packet->reason_code;
    bool too_new = m->version == MQTT_5 && (code == REFUSED_VERSION_5 || code == REFUSED_VERSION_3);
    if (m->connected) {
        coap_mqtt_fail(m, OUTCOME_UPSTREAM_PROTOCOL, COAP_BAD_GATEWAY, false, "a second CONNACK");
        return;
    }
    if (too_new) {
        leg->old_mqtt = true;
        coap_leg_hang_up(leg);
        coap_mqtt_turn(leg);
        return;
    }
    if (code != 0) {
        coap_mqtt_fail(m, OUTCOME_UPSTREAM_REFUSED, COAP_UNAVAILABLE, false,
                       "the broker refuses the session");
        return;
    }
    m->connected = true;
    m->inflight = COAP_MQTT_INFLIGHT;
    if ((packet->properties.present & MQTT_PROP_BIT(MQTT_PROP_RECEIVE_MAXIMUM)) != 0 &&
        packet->properties.receive_maximum < m->inflight)
        m->inflight = packet->properties.receive_maximum;
    if ((packet->properties.present & MQTT_PROP_BIT(MQTT_PROP_SERVER_KEEP_ALIVE)) != 0)
        m->keep_alive_s = packet->properties.server_keep_alive_s;
    leg->ready = true;
    leg->answered = true;
    leg->failures = 0;
    coap_leg_result(leg, true);
    coap_mqtt_turn(leg);
}

static void take_packet(struct coap_mqtt *m, const struct mqtt_packet *packet)
{
    if (!m->connected && packet->type != MQTT_CONNACK) {
        coap_mqtt_fail(m, OUTCOME_UPSTREAM_PROTOCOL, COAP_BAD_GATEWAY, false,
                       "the broker does not begin with CONNACK");
        return;
    }
    switch (packet->type) {
    case MQTT_CONNACK:
        take_connack(m, packet);
        return;
    case MQTT_PUBACK:
        take_puback(m, packet);
        return;
    case MQTT_SUBACK:
        coap_mqtt_take_suback(m, packet);
        return;
    case MQTT_PINGRESP:
        take_pingresp(m);
        return;
    case MQTT_PUBLISH:
        coap_mqtt_take_message(m, packet, true);
        return;
    case MQTT_UNSUBACK:
        return;
    case MQTT_DISCONNECT:
        coap_mqtt_fail(m, OUTCOME_UPSTREAM_LOST, COAP_UNAVAILABLE, false, "the broker ended the session");
        return;
    default:
        coap_mqtt_fail(m, OUTCOME_UPSTREAM_PROTOCOL, COAP_BAD_GATEWAY, false,
                       "the broker sent what it must not");
        return;
    }
}

static bool lend(struct coap_mqtt *m)
{
    struct packet_buffers *buffers = m->leg->relays->buffers;
    uint32_t given;
    uint8_t *old = m->framer.buffer;
    uint8_t *buffer = packet_buffer_get(buffers, m->framer.want, &given);
    if (buffer == NULL)
        return false;
    mqtt_framer_lend(&m->framer, buffer, given);
    if (old != NULL)
        packet_buffer_put(buffers, old);
    return true;
}

/* A message is wanted whole, unless it is more than is kept of any. */
static void take_head(struct coap_mqtt *m, struct cursor *in, const struct mqtt_packet *packet)
{
    if (packet->publish.payload_bytes <= COAP_MQTT_MESSAGE_BYTES)
        mqtt_framer_hold(&m->framer, in);
    else
        coap_mqtt_take_message(m, packet, false);
}

size_t coap_mqtt_data(void *owner, const uint8_t *p, size_t n)
{
    struct coap_mqtt *m = owner;
    struct coap_leg *leg = m->leg;
    struct cursor in = cursor_of(bytes_of(p, n));
    struct mqtt_packet packet;
    m->heard_us = coap_now(leg->relays);
    const uint64_t serial = m->serial;
    /* A packet may end the session, and another may lie where it was. */
    while (leg->mqtt == m && m->serial == serial) {
        switch (mqtt_framer_next(&m->framer, &in, &packet)) {
        case MQTT_STEP_FAULT:
            coap_mqtt_fail(m, OUTCOME_UPSTREAM_PROTOCOL, COAP_BAD_GATEWAY, false,
                           outcome_text(m->framer.fault));
            return n;
        case MQTT_STEP_NEED_MORE:
            if (mqtt_framer_idle(&m->framer) && m->framer.buffer != NULL)
                packet_buffer_put(leg->relays->buffers, mqtt_framer_reclaim(&m->framer));
            coap_mqtt_turn(leg);
            return n;
        case MQTT_STEP_NEED_BUFFER:
            if (lend(m))
                break;
            coap_mqtt_fail(m, OUTCOME_NO_RESOURCES, COAP_UNAVAILABLE, false,
                           "no memory for what the broker sends");
            return n;
        case MQTT_STEP_PUBLISH:
            take_head(m, &in, &packet);
            break;
        case MQTT_STEP_PAYLOAD:
            break;
        case MQTT_STEP_PACKET:
            take_packet(m, &packet);
            break;
        }
    }
    return n;
}
