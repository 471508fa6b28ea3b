/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/mqtt/build.h"

#include "policy/mqtt/property.h"
#include "policy/mqtt/reason.h"
#include "policy/mqtt/writer.h"

#define FIXED_HEADER_BYTES_MAX 5

/* Lengths that have to be known before the first byte is written. */
struct sizes {
    size_t body; /* without the payload of a PUBLISH */
    size_t properties;
    size_t will_properties;
};

static struct writer writer_of(uint8_t *to, size_t room)
{
    return (struct writer){.at = to, .left = room};
}

static size_t written(const struct writer *w, const uint8_t *to)
{
    return w->failed ? 0 : (size_t)(w->at - to);
}

/* SUBSCRIBE, UNSUBSCRIBE and PUBREL have 0010 in their flags (s.2.1.3). */
static uint8_t fixed_flags(enum mqtt_type type)
{
    return type == MQTT_SUBSCRIBE || type == MQTT_UNSUBSCRIBE || type == MQTT_PUBREL ? 0x02 : 0x00;
}

static void build_header(struct writer *w, enum mqtt_type type, uint8_t flags, size_t remaining_length)
{
    writer_u8(w, (uint8_t)(type << 4 | flags));
    writer_vbi(w, remaining_length);
}

/* ---- PUBLISH ------------------------------------------------------------------------------------------ */

static bool publish_sayable(const struct mqtt_packet *packet, enum mqtt_version version)
{
    bool alias =
        version == MQTT_5 && (packet->properties.present & MQTT_PROP_BIT(MQTT_PROP_TOPIC_ALIAS)) != 0;
    return (packet->publish.topic.len != 0 || alias) && packet->publish.qos <= 2 &&
           (packet->publish.qos == 0 || packet->packet_id != 0);
}

static void measure_publish(struct sizes *s, const struct mqtt_packet *packet, enum mqtt_version version)
{
    s->body = 2 + packet->publish.topic.len + (packet->publish.qos != 0 ? 2 : 0);
    if (version != MQTT_5)
        return;
    s->properties =
        packet->properties.present != 0 ? mqtt_properties_size(&packet->properties, MQTT_PUBLISH) : 0;
    s->body += vbi_size(s->properties) + s->properties;
}

static void build_publish(struct writer *w, const struct mqtt_packet *packet, const struct sizes *s,
                          enum mqtt_version version)
{
    const struct mqtt_publish *publish = &packet->publish;
    uint8_t flags = (uint8_t)(publish->qos << 1 | (publish->retain ? 1 : 0));
    if (publish->qos != 0 && publish->dup)
        flags |= 0x08;
    build_header(w, MQTT_PUBLISH, flags, s->body + publish->payload_bytes);
    writer_block16(w, publish->topic);
    if (publish->qos != 0)
        writer_u16(w, packet->packet_id);
    if (version == MQTT_5)
        mqtt_properties_build(w, &packet->properties, s->properties, MQTT_PUBLISH);
}

/* ---- CONNECT and CONNACK ------------------------------------------------------------------------------ */

static bool connect_sayable(const struct mqtt_connect *connect, enum mqtt_version version)
{
    if (version != MQTT_3_1 && version != MQTT_3_1_1 && version != MQTT_5)
        return false;
    if (connect->will.present && (connect->will.topic.len == 0 || connect->will.qos > 2))
        return false;
    return version == MQTT_5 || connect->has_user_name || !connect->has_password;
}

static struct bytes protocol_name(enum mqtt_version version)
{
    return version == MQTT_3_1 ? bytes_of("MQIsdp", 6) : bytes_of("MQTT", 4);
}

static void measure_connect(struct sizes *s, const struct mqtt_packet *packet, enum mqtt_version version)
{
    const struct mqtt_connect *connect = &packet->connect;
    s->body = 2 + protocol_name(version).len + 1 + 1 + 2 + 2 + connect->client_id.len;
    if (version == MQTT_5) {
        s->properties = mqtt_properties_size(&packet->properties, MQTT_CONNECT);
        s->body += vbi_size(s->properties) + s->properties;
    }
    if (connect->will.present) {
        s->body += 2 + connect->will.topic.len + 2 + connect->will.payload.len;
        if (version == MQTT_5) {
            s->will_properties = mqtt_properties_size(&connect->will.properties, MQTT_PLACE_WILL);
            s->body += vbi_size(s->will_properties) + s->will_properties;
        }
    }
    if (connect->has_user_name)
        s->body += 2 + connect->user_name.len;
    if (connect->has_password)
        s->body += 2 + connect->password.len;
}

static void build_connect(struct writer *w, const struct mqtt_packet *packet, const struct sizes *s,
                          enum mqtt_version version)
{
    const struct mqtt_connect *connect = &packet->connect;
    const struct mqtt_will *will = &connect->will;
    unsigned int flags = (connect->clean_start ? 0x02u : 0) | (connect->has_password ? 0x40u : 0) |
                         (connect->has_user_name ? 0x80u : 0);
    if (will->present)
        flags |= 0x04u | (unsigned int)will->qos << 3 | (will->retain ? 0x20u : 0);
    build_header(w, MQTT_CONNECT, 0, s->body);
    writer_block16(w, protocol_name(version));
    writer_u8(w, (uint8_t)version);
    writer_u8(w, (uint8_t)flags);
    writer_u16(w, connect->keep_alive_s);
    if (version == MQTT_5)
        mqtt_properties_build(w, &packet->properties, s->properties, MQTT_CONNECT);
    writer_block16(w, connect->client_id);
    if (will->present) {
        if (version == MQTT_5)
            mqtt_properties_build(w, &will->properties, s->will_properties, MQTT_PLACE_WILL);
        writer_block16(w, will->topic);
        writer_block16(w, will->payload);
    }
    if (connect->has_user_name)
        writer_block16(w, connect->user_name);
    if (connect->has_password)
        writer_block16(w, connect->password);
}

/* Return codes of 3.x end at 5, "not authorized". */
static uint8_t connack_code(enum mqtt_version version, uint8_t code)
{
    if (version == MQTT_5)
        return mqtt_reason_nearest(MQTT_CONNACK, code);
    return code <= 5 ? code : 5;
}

static void measure_connack(struct sizes *s, const struct mqtt_packet *packet, enum mqtt_version version)
{
    s->body = 2;
    if (version == MQTT_5) {
        s->properties = mqtt_properties_size(&packet->properties, MQTT_CONNACK);
        s->body += vbi_size(s->properties) + s->properties;
    }
}

static void build_connack(struct writer *w, const struct mqtt_packet *packet, const struct sizes *s,
                          enum mqtt_version version)
{
    uint8_t code = connack_code(version, packet->reason_code);
    bool present = packet->connack.session_present && code == 0 && version != MQTT_3_1;
    build_header(w, MQTT_CONNACK, 0, s->body);
    writer_u8(w, present ? 1 : 0);
    writer_u8(w, code);
    if (version == MQTT_5)
        mqtt_properties_build(w, &packet->properties, s->properties, MQTT_CONNACK);
}

/* ---- acknowledgements, DISCONNECT, AUTH --------------------------------------------------------------- */

static bool has_packet_id(enum mqtt_type type)
{
    return type != MQTT_DISCONNECT && type != MQTT_AUTH;
}

/* s.3.15.2.2.2: an AUTH names its method, but for the bare success of a server. */
static bool auth_sayable(const struct mqtt_packet *packet)
{
    bool bare = packet->reason_code == 0 && packet->properties.present == 0;
    if (!mqtt_reason_allowed(MQTT_AUTH, MQTT_FROM_CLIENT, MQTT_5, packet->reason_code) &&
        !mqtt_reason_allowed(MQTT_AUTH, MQTT_FROM_SERVER, MQTT_5, packet->reason_code))
        return false;
    return bare || (packet->properties.present & MQTT_PROP_BIT(MQTT_PROP_AUTH_METHOD)) != 0;
}

/* AUTH has no form with a code and no property length (s.3.15.2.2.1). */
static bool is_code_alone(const struct mqtt_packet *packet, const struct sizes *s)
{
    return s->properties == 0 && packet->type != MQTT_AUTH;
}

static void measure_code(struct sizes *s, const struct mqtt_packet *packet, enum mqtt_version version)
{
    s->body = has_packet_id(packet->type) ? 2 : 0;
    if (version != MQTT_5)
        return;
    s->properties = mqtt_properties_size(&packet->properties, packet->type);
    if (s->properties == 0 && mqtt_reason_nearest(packet->type, packet->reason_code) == 0)
        return;
    s->body += 1;
    if (!is_code_alone(packet, s))
        s->body += vbi_size(s->properties) + s->properties;
}

static void build_code(struct writer *w, const struct mqtt_packet *packet, const struct sizes *s,
                       enum mqtt_version version)
{
    uint8_t code = mqtt_reason_nearest(packet->type, packet->reason_code);
    build_header(w, packet->type, fixed_flags(packet->type), s->body);
    if (has_packet_id(packet->type))
        writer_u16(w, packet->packet_id);
    if (version != MQTT_5 || (s->properties == 0 && code == 0))
        return;
    writer_u8(w, code);
    if (!is_code_alone(packet, s))
        mqtt_properties_build(w, &packet->properties, s->properties, packet->type);
}

/* ---- SUBSCRIBE, UNSUBSCRIBE and their acknowledgements ------------------------------------------------ */

static void build_entry(struct writer *w, enum mqtt_type type, enum mqtt_version version,
                        const struct mqtt_filter *entry)
{
    unsigned int options = entry->qos & 3u;
    if (version == MQTT_5)
        options |= (entry->no_local ? 0x04u : 0) | (entry->retain_as_published ? 0x08u : 0) |
                   (entry->retain_handling & 3u) << 4;
    writer_block16(w, entry->filter);
    if (type == MQTT_SUBSCRIBE)
        writer_u8(w, (uint8_t)options);
}

static void measure_list(struct sizes *s, const struct mqtt_packet *packet, enum mqtt_version version)
{
    s->body = 2 + packet->list.len;
    if (version == MQTT_5) {
        s->properties = mqtt_properties_size(&packet->properties, packet->type);
        s->body += vbi_size(s->properties) + s->properties;
    } else if (packet->type == MQTT_UNSUBACK) {
        s->body = 2;
    }
}

static void build_subscribe(struct writer *w, const struct mqtt_packet *packet, const struct sizes *s,
                            enum mqtt_version version)
{
    struct cursor list = cursor_of(packet->list);
    struct mqtt_filter entry;
    build_header(w, packet->type, fixed_flags(packet->type), s->body);
    writer_u16(w, packet->packet_id);
    if (version == MQTT_5)
        mqtt_properties_build(w, &packet->properties, s->properties, packet->type);
    while (mqtt_filter_next(&list, packet->type, &entry))
        build_entry(w, packet->type, version, &entry);
}

static void build_list_code(struct writer *w, enum mqtt_type type, enum mqtt_version version, uint8_t code)
{
    if (version == MQTT_5)
        writer_u8(w, mqtt_reason_nearest(type, code));
    else if (code <= 2)
        writer_u8(w, code);
    else if (version == MQTT_3_1_1)
        writer_u8(w, 0x80);
    else
        w->failed = true;
}

static void build_suback(struct writer *w, const struct mqtt_packet *packet, const struct sizes *s,
                         enum mqtt_version version)
{
    build_header(w, packet->type, 0, s->body);
    writer_u16(w, packet->packet_id);
    if (version == MQTT_5)
        mqtt_properties_build(w, &packet->properties, s->properties, packet->type);
    else if (packet->type == MQTT_UNSUBACK)
        return;
    for (size_t i = 0; i < packet->list.len; i++)
        build_list_code(w, packet->type, version, packet->list.at[i]);
}

/* ---- any packet --------------------------------------------------------------------------------------- */

static bool list_sayable(const struct mqtt_packet *packet, enum mqtt_version version)
{
    bool empty_is_fine = packet->type == MQTT_UNSUBACK && version != MQTT_5;
    return packet->packet_id != 0 && (packet->list.len != 0 || empty_is_fine);
}

static bool sayable(const struct mqtt_packet *packet, enum mqtt_version version)
{
    switch (packet->type) {
    case MQTT_CONNECT:
        return connect_sayable(&packet->connect, version);
    case MQTT_PUBLISH:
        return publish_sayable(packet, version);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        return packet->packet_id != 0;
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        return list_sayable(packet, version);
    case MQTT_AUTH:
        return version == MQTT_5 && auth_sayable(packet);
    case MQTT_CONNACK:
    case MQTT_PINGREQ:
    case MQTT_PINGRESP:
    case MQTT_DISCONNECT:
        return true;
    case MQTT_RESERVED:
        break;
    }
    return false;
}

static void measure(struct sizes *s, const struct mqtt_packet *packet, enum mqtt_version version)
{
    *s = (struct sizes){0};
    switch (packet->type) {
    case MQTT_CONNECT:
        measure_connect(s, packet, version);
        break;
    case MQTT_CONNACK:
        measure_connack(s, packet, version);
        break;
    case MQTT_PUBLISH:
        measure_publish(s, packet, version);
        break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
    case MQTT_DISCONNECT:
    case MQTT_AUTH:
        measure_code(s, packet, version);
        break;
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        measure_list(s, packet, version);
        break;
    case MQTT_PINGREQ:
    case MQTT_PINGRESP:
    case MQTT_RESERVED:
        break;
    }
}

size_t mqtt_build_bound(const struct mqtt_packet *packet)
{
    struct sizes s;
    measure(&s, packet, MQTT_5);
    return FIXED_HEADER_BYTES_MAX + s.body + sizeof("MQIsdp") - sizeof("MQTT");
}

static void build_any(struct writer *w, const struct mqtt_packet *packet, const struct sizes *s,
                      enum mqtt_version version)
{
    switch (packet->type) {
    case MQTT_CONNECT:
        build_connect(w, packet, s, version);
        break;
    case MQTT_CONNACK:
        build_connack(w, packet, s, version);
        break;
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
        build_subscribe(w, packet, s, version);
        break;
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        build_suback(w, packet, s, version);
        break;
    case MQTT_PINGREQ:
    case MQTT_PINGRESP:
        build_header(w, packet->type, 0, 0);
        break;
    default:
        build_code(w, packet, s, version);
        break;
    }
}

size_t mqtt_build(uint8_t *to, size_t room, const struct mqtt_packet *packet, enum mqtt_version version)
{
    struct writer w = writer_of(to, room);
    struct sizes s;
    if (!sayable(packet, version))
        return 0;
    measure(&s, packet, version);
    size_t payload_bytes = packet->type == MQTT_PUBLISH ? packet->publish.payload_bytes : 0;
    size_t head_bytes = 1 + vbi_size(s.body + payload_bytes) + s.body;
    if (head_bytes > room)
        return 0;
    if (packet->type == MQTT_PUBLISH)
        build_publish(&w, packet, &s, version);
    else
        build_any(&w, packet, &s, version);
    /* A list that is not the checked one it should be would come out shorter than measured. */
    return written(&w, to) == head_bytes ? head_bytes : 0;
}

/* ---- the gateway's own answers ------------------------------------------------------------------------ */

size_t mqtt_build_connack(uint8_t *to, size_t room, enum mqtt_version version, uint8_t code)
{
    struct writer w = writer_of(to, room);
    build_header(&w, MQTT_CONNACK, 0, version == MQTT_5 ? 3 : 2);
    writer_u8(&w, 0);
    writer_u8(&w, connack_code(version, code));
    if (version == MQTT_5)
        writer_vbi(&w, 0);
    return written(&w, to);
}

size_t mqtt_build_ack(uint8_t *to, size_t room, enum mqtt_version version, enum mqtt_type type,
                      uint16_t packet_id, uint8_t reason_code)
{
    struct writer w = writer_of(to, room);
    if (type < MQTT_PUBACK || type > MQTT_PUBCOMP || packet_id == 0)
        return 0;
    uint8_t code = version == MQTT_5 ? mqtt_reason_nearest(type, reason_code) : 0;
    build_header(&w, type, fixed_flags(type), code != 0 ? 3 : 2);
    writer_u16(&w, packet_id);
    if (code != 0)
        writer_u8(&w, code);
    return written(&w, to);
}

size_t mqtt_build_suback(uint8_t *to, size_t room, enum mqtt_version version, enum mqtt_type type,
                         uint16_t packet_id, const uint8_t *codes, size_t n)
{
    struct writer w = writer_of(to, room);
    bool with_codes = type == MQTT_SUBACK || version == MQTT_5;
    if ((type != MQTT_SUBACK && type != MQTT_UNSUBACK) || packet_id == 0 || (with_codes && n == 0))
        return 0;
    build_header(&w, type, 0, 2u + (version == MQTT_5 ? 1 : 0) + (with_codes ? n : 0));
    writer_u16(&w, packet_id);
    if (version == MQTT_5)
        writer_vbi(&w, 0);
    for (size_t i = 0; with_codes && i < n; i++)
        build_list_code(&w, type, version, codes[i]);
    return written(&w, to);
}

size_t mqtt_build_disconnect(uint8_t *to, size_t room, enum mqtt_version version, enum mqtt_sender sender,
                             uint8_t code)
{
    struct writer w = writer_of(to, room);
    if (version != MQTT_5 && sender == MQTT_FROM_SERVER)
        return 0;
    if (version != MQTT_5)
        code = 0;
    else
        code = mqtt_reason_nearest(MQTT_DISCONNECT, code);
    /* The nearest is one of either side's: a client has fewer, and only it has 0x04. */
    if (code != 0 && !mqtt_reason_allowed(MQTT_DISCONNECT, sender, version, code))
        code = code < 0x80 ? 0 : 0x80;
    build_header(&w, MQTT_DISCONNECT, 0, code != 0 ? 1 : 0);
    if (code != 0)
        writer_u8(&w, code);
    return written(&w, to);
}

size_t mqtt_build_ping(uint8_t *to, size_t room, enum mqtt_type type)
{
    struct writer w = writer_of(to, room);
    if (type != MQTT_PINGREQ && type != MQTT_PINGRESP)
        return 0;
    build_header(&w, type, 0, 0);
    return written(&w, to);
}

size_t mqtt_build_filter(uint8_t *to, size_t room, enum mqtt_type type, enum mqtt_version version,
                         const struct mqtt_filter *entry)
{
    struct writer w = writer_of(to, room);
    if (entry->filter.len == 0)
        return 0;
    build_entry(&w, type, version, entry);
    return written(&w, to);
}
