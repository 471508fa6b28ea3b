/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CONNECT and CONNACK (MQTT 5.0 s.3.1, 3.2; MQTT 3.1.1 s.3.1, 3.2; MQTT 3.1 s.3.1, 3.2). */
#include "policy/mqtt/packet_parse.h"
#include "policy/mqtt/property.h"
#include "policy/mqtt/reason.h"
#include "policy/mqtt/topic_name.h"

#define CLIENT_ID_CHARACTERS_3_1 23

enum {
    FLAG_RESERVED = 0x01,
    FLAG_CLEAN = 0x02,
    FLAG_WILL = 0x04,
    FLAG_WILL_QOS = 0x18,
    FLAG_WILL_RETAIN = 0x20,
    FLAG_PASSWORD = 0x40,
    FLAG_USER_NAME = 0x80,
};

/* Name and level go together; bridges' levels with the top bit set (0x83, 0x84) are none of ours. */
static enum outcome parse_protocol(struct mqtt_packet *out, struct mqtt_parse *p)
{
    struct bytes name;
    uint8_t level;
    if (cursor_block16(&p->at, &name) != READ_OK || cursor_u8(&p->at, &level) != READ_OK)
        return OUTCOME_MALFORMED;
    bool known = bytes_equal(name, bytes_of("MQTT", 4))
                     ? level == MQTT_3_1_1 || level == MQTT_5
                     : level == MQTT_3_1 && bytes_equal(name, bytes_of("MQIsdp", 6));
    out->connect.version = (enum mqtt_version)level;
    if (!known)
        return OUTCOME_BAD_PROTOCOL_VERSION;
    out->version = (enum mqtt_version)level;
    p->version = out->version;
    return OUTCOME_ALLOWED;
}

/* [3.1.2-3, -11 to -15]. MQTT 3.1 leaves bit 0 unused and disregards the Will's bits when there is none. */
static enum outcome parse_flags(struct mqtt_packet *out, struct mqtt_parse *p, uint8_t *flags)
{
    struct mqtt_connect *connect = &out->connect;
    if (cursor_u8(&p->at, flags) != READ_OK || cursor_u16(&p->at, &connect->keep_alive_s) != READ_OK)
        return OUTCOME_MALFORMED;
    bool will = (*flags & FLAG_WILL) != 0;
    if (p->version == MQTT_3_1) {
        *flags &= (uint8_t)~FLAG_RESERVED;
        if (!will)
            *flags &= (uint8_t) ~(FLAG_WILL_QOS | FLAG_WILL_RETAIN);
    }
    if ((*flags & FLAG_RESERVED) != 0 || (!will && (*flags & (FLAG_WILL_QOS | FLAG_WILL_RETAIN)) != 0) ||
        (*flags & FLAG_WILL_QOS) == FLAG_WILL_QOS)
        return OUTCOME_MALFORMED;
    /* [3.1.1: 3.1.2-22], and MQTT 3.1 s.3.1; MQTT 5 allows a password alone. */
    if (p->version != MQTT_5 && (*flags & FLAG_PASSWORD) != 0 && (*flags & FLAG_USER_NAME) == 0)
        return OUTCOME_MALFORMED;
    connect->clean_start = (*flags & FLAG_CLEAN) != 0;
    connect->will.present = will;
    connect->will.qos = (uint8_t)((*flags & FLAG_WILL_QOS) >> 3);
    connect->will.retain = (*flags & FLAG_WILL_RETAIN) != 0;
    return OUTCOME_ALLOWED;
}

static size_t characters_of(struct bytes text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += (text.at[i] & 0xC0) != 0x80;
    return n;
}

static enum outcome parse_client_id(struct mqtt_packet *out, struct mqtt_parse *p)
{
    struct mqtt_connect *connect = &out->connect;
    enum outcome outcome = mqtt_parse_string(p, &connect->client_id);
    if (outcome != OUTCOME_ALLOWED)
        return outcome;
    size_t characters = characters_of(connect->client_id);
    if (p->version == MQTT_3_1 && (characters == 0 || characters > CLIENT_ID_CHARACTERS_3_1))
        return OUTCOME_BAD_CLIENT_ID;
    /* [3.1.1: 3.1.3-8] */
    if (p->version == MQTT_3_1_1 && characters == 0 && !connect->clean_start)
        return OUTCOME_BAD_CLIENT_ID;
    return OUTCOME_ALLOWED;
}

static enum outcome parse_will(struct mqtt_will *will, struct mqtt_parse *p)
{
    enum outcome outcome;
    will->properties.present = 0;
    will->properties.user_property_count = 0;
    will->properties.list = bytes_of(NULL, 0);
    will->topic = bytes_of(NULL, 0);
    will->payload = bytes_of(NULL, 0);
    if (!will->present)
        return OUTCOME_ALLOWED;
    if (p->version == MQTT_5) {
        outcome = mqtt_properties_take(&will->properties, &p->at, MQTT_PLACE_WILL, p->sender, p->level);
        if (outcome != OUTCOME_ALLOWED)
            return outcome;
    }
    if (cursor_block16(&p->at, &will->topic) != READ_OK || cursor_block16(&p->at, &will->payload) != READ_OK)
        return OUTCOME_MALFORMED;
    outcome = mqtt_topic_name_check(will->topic, p->level);
    if (outcome != OUTCOME_ALLOWED)
        return outcome;
    /* s.3.1.3.2.3: a Will marked as text is text. */
    bool text = (will->properties.present & MQTT_PROP_BIT(MQTT_PROP_PAYLOAD_FORMAT)) != 0 &&
                will->properties.payload_format == 1;
    return !text || utf8_check(will->payload, UTF8_TEXT) ? OUTCOME_ALLOWED : OUTCOME_MALFORMED_PAYLOAD;
}

/* MQTT 3.1 s.3.1: the Remaining Length takes precedence over these flags, a missing string is allowed. */
static bool is_missing(const struct mqtt_parse *p)
{
    return p->version == MQTT_3_1 && cursor_left(&p->at) == 0;
}

static enum outcome parse_credentials(struct mqtt_connect *connect, struct mqtt_parse *p, uint8_t flags)
{
    connect->user_name = bytes_of(NULL, 0);
    connect->password = bytes_of(NULL, 0);
    connect->has_user_name = (flags & FLAG_USER_NAME) != 0 && !is_missing(p);
    if (connect->has_user_name) {
        enum outcome outcome = mqtt_parse_string(p, &connect->user_name);
        if (outcome != OUTCOME_ALLOWED)
            return outcome;
    }
    connect->has_password = (flags & FLAG_PASSWORD) != 0 && !is_missing(p);
    if (connect->has_password && cursor_block16(&p->at, &connect->password) != READ_OK)
        return OUTCOME_MALFORMED;
    return mqtt_parse_end(p);
}

enum outcome mqtt_connect_parse(struct mqtt_packet *out, struct mqtt_parse *p)
{
    uint8_t flags = 0;
    enum outcome outcome = parse_protocol(out, p);
    if (outcome == OUTCOME_ALLOWED)
        outcome = parse_flags(out, p, &flags);
    if (outcome == OUTCOME_ALLOWED && p->version == MQTT_5)
        outcome = mqtt_properties_take(&out->properties, &p->at, MQTT_CONNECT, p->sender, p->level);
    if (outcome == OUTCOME_ALLOWED)
        outcome = parse_client_id(out, p);
    if (outcome == OUTCOME_ALLOWED)
        outcome = parse_will(&out->connect.will, p);
    if (outcome == OUTCOME_ALLOWED)
        outcome = parse_credentials(&out->connect, p, flags);
    return outcome;
}

/* In MQTT 3.1 the first byte is reserved and not used. */
enum outcome mqtt_connack_parse(struct mqtt_packet *out, struct mqtt_parse *p)
{
    uint8_t flags;
    if (cursor_u8(&p->at, &flags) != READ_OK || cursor_u8(&p->at, &out->reason_code) != READ_OK)
        return OUTCOME_MALFORMED;
    if (p->version == MQTT_3_1)
        flags = 0;
    if ((flags & ~1) != 0)
        return OUTCOME_MALFORMED;
    /* A server of 3.x says so in its own form: return code 1, no properties (3.1.1 s.3.1.2.2). */
    if (p->version == MQTT_5 && cursor_left(&p->at) == 0 && out->reason_code == 0x01)
        return OUTCOME_BAD_PROTOCOL_VERSION;
    if (!mqtt_reason_allowed(MQTT_CONNACK, p->sender, p->version, out->reason_code))
        return OUTCOME_BAD_REASON_CODE;
    out->connack.session_present = flags != 0;
    if (out->connack.session_present && out->reason_code != 0) /* [3.2.2-6; 3.1.1: 3.2.2-4] */
        return OUTCOME_PROTOCOL_ERROR;
    if (p->version == MQTT_5) {
        enum outcome outcome =
            mqtt_properties_take(&out->properties, &p->at, MQTT_CONNACK, p->sender, p->level);
        if (outcome != OUTCOME_ALLOWED)
            return outcome;
    }
    return mqtt_parse_end(p);
}
