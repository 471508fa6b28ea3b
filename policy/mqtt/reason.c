/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/mqtt/reason.h"

#define TYPE(t) (1u << MQTT_##t)
#define ACKED (TYPE(PUBACK) | TYPE(PUBREC))
#define RELEASED (TYPE(PUBREL) | TYPE(PUBCOMP))

/* Per code: the types (one bit each) in which both sides, or only one of them, may use it. */
static const struct {
    uint16_t both, client, server;
} uses[0xA3] = {
    [0x00] = {ACKED | RELEASED | TYPE(DISCONNECT), 0,
              TYPE(CONNACK) | TYPE(SUBACK) | TYPE(UNSUBACK) | TYPE(AUTH)},
    [0x01] = {0, 0, TYPE(SUBACK)},
    [0x02] = {0, 0, TYPE(SUBACK)},
    [0x04] = {0, TYPE(DISCONNECT), 0},
    [0x10] = {0, 0, ACKED},
    [0x11] = {0, 0, TYPE(UNSUBACK)},
    [0x18] = {TYPE(AUTH), 0, 0},
    [0x19] = {0, TYPE(AUTH), 0},
    [0x80] = {ACKED | TYPE(DISCONNECT), 0, TYPE(CONNACK) | TYPE(SUBACK) | TYPE(UNSUBACK)},
    [0x81] = {TYPE(DISCONNECT), 0, TYPE(CONNACK)},
    [0x82] = {TYPE(DISCONNECT), 0, TYPE(CONNACK)},
    [0x83] = {ACKED | TYPE(DISCONNECT), 0, TYPE(CONNACK) | TYPE(SUBACK) | TYPE(UNSUBACK)},
    [0x84] = {0, 0, TYPE(CONNACK)},
    [0x85] = {0, 0, TYPE(CONNACK)},
    [0x86] = {0, 0, TYPE(CONNACK)},
    [0x87] = {ACKED, 0, TYPE(CONNACK) | TYPE(SUBACK) | TYPE(UNSUBACK) | TYPE(DISCONNECT)},
    [0x88] = {0, 0, TYPE(CONNACK)},
    [0x89] = {0, 0, TYPE(CONNACK) | TYPE(DISCONNECT)},
    [0x8A] = {0, 0, TYPE(CONNACK)},
    [0x8B] = {0, 0, TYPE(DISCONNECT)},
    /* s.2.4 gives 0x8C to DISCONNECT too; the table of s.3.14.2.1 forgot it. */
    [0x8C] = {0, 0, TYPE(CONNACK) | TYPE(DISCONNECT)},
    [0x8D] = {0, 0, TYPE(DISCONNECT)},
    [0x8E] = {0, 0, TYPE(DISCONNECT)},
    [0x8F] = {0, 0, TYPE(SUBACK) | TYPE(UNSUBACK) | TYPE(DISCONNECT)},
    [0x90] = {ACKED | TYPE(DISCONNECT), 0, TYPE(CONNACK)},
    [0x91] = {ACKED, 0, TYPE(SUBACK) | TYPE(UNSUBACK)},
    [0x92] = {RELEASED, 0, 0},
    [0x93] = {TYPE(DISCONNECT), 0, 0},
    [0x94] = {TYPE(DISCONNECT), 0, 0},
    [0x95] = {TYPE(DISCONNECT), 0, TYPE(CONNACK)},
    [0x96] = {TYPE(DISCONNECT), 0, 0},
    [0x97] = {ACKED | TYPE(DISCONNECT), 0, TYPE(CONNACK) | TYPE(SUBACK)},
    [0x98] = {TYPE(DISCONNECT), 0, 0},
    [0x99] = {ACKED | TYPE(DISCONNECT), 0, TYPE(CONNACK)},
    [0x9A] = {0, 0, TYPE(CONNACK) | TYPE(DISCONNECT)},
    [0x9B] = {0, 0, TYPE(CONNACK) | TYPE(DISCONNECT)},
    [0x9C] = {0, 0, TYPE(CONNACK) | TYPE(DISCONNECT)},
    [0x9D] = {0, 0, TYPE(CONNACK) | TYPE(DISCONNECT)},
    [0x9E] = {0, 0, TYPE(SUBACK) | TYPE(DISCONNECT)},
    [0x9F] = {0, 0, TYPE(CONNACK) | TYPE(DISCONNECT)},
    [0xA0] = {0, 0, TYPE(DISCONNECT)},
    [0xA1] = {0, 0, TYPE(SUBACK) | TYPE(DISCONNECT)},
    [0xA2] = {0, 0, TYPE(SUBACK) | TYPE(DISCONNECT)},
};

static bool allowed_5(enum mqtt_type type, enum mqtt_sender sender, uint8_t code)
{
    if (code >= sizeof(uses) / sizeof(uses[0]))
        return false;
    unsigned int types = uses[code].both;
    types |= sender == MQTT_FROM_CLIENT ? uses[code].client : uses[code].server;
    return (types >> type & 1) != 0;
}

bool mqtt_reason_allowed(enum mqtt_type type, enum mqtt_sender sender, enum mqtt_version version,
                         uint8_t code)
{
    if (version == MQTT_5)
        return allowed_5(type, sender, code);
    if (sender != MQTT_FROM_SERVER)
        return false;
    if (type == MQTT_CONNACK) /* 3.1.1 s.3.2.2.3; 6 to 255 are reserved */
        return code <= 5;
    if (type == MQTT_SUBACK) /* 3.1.1 s.3.9.3; MQTT 3.1 has no failure code */
        return code <= 2 || (code == 0x80 && version == MQTT_3_1_1);
    return false;
}

static bool allowed_by_either(enum mqtt_type type, uint8_t code)
{
    return allowed_5(type, MQTT_FROM_CLIENT, code) || allowed_5(type, MQTT_FROM_SERVER, code);
}

/* What says nearly the same and is known to more packet types. */
static uint8_t relative_of(uint8_t code)
{
    switch (code) {
    case 0x86: /* bad user name or password */
    case 0x8A: /* banned */
        return 0x87;
    case 0x93: /* receive maximum exceeded */
    case 0x95: /* packet too large */
    case 0x96: /* message rate too high */
    case 0x9F: /* connection rate exceeded */
        return 0x97;
    case 0x98: /* administrative action */
        return 0x87;
    case 0x9A: /* retain not supported */
    case 0x9B: /* QoS not supported */
        return 0x83;
    default:
        return 0x80;
    }
}

uint8_t mqtt_reason_nearest(enum mqtt_type type, uint8_t code)
{
    if (allowed_by_either(type, code))
        return code;
    if (code < 0x80)
        return 0x00;
    if (type == MQTT_PUBREL || type == MQTT_PUBCOMP)
        return 0x92;
    return allowed_by_either(type, relative_of(code)) ? relative_of(code) : 0x80;
}
