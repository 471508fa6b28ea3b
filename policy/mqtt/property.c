/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/mqtt/property.h"

#include "policy/mqtt/topic_name.h"

enum kind {
    KIND_BYTE,
    KIND_U16,
    KIND_U32,
    KIND_VBI,
    KIND_STRING,
    KIND_TOPIC,
    KIND_BINARY,
    KIND_PAIR,
};

#define PLACE(t) (1u << MQTT_##t)
#define IN_WILL (1u << MQTT_PLACE_WILL)
#define IN_MESSAGE (PLACE(PUBLISH) | IN_WILL)
#define IN_HELLO (PLACE(CONNECT) | PLACE(CONNACK))
#define IN_ACK                                                                                               \
    (PLACE(PUBACK) | PLACE(PUBREC) | PLACE(PUBREL) | PLACE(PUBCOMP) | PLACE(SUBACK) | PLACE(UNSUBACK))
#define IN_LAST (PLACE(DISCONNECT) | PLACE(AUTH))
#define IN_ANY (IN_MESSAGE | IN_HELLO | IN_ACK | IN_LAST | PLACE(SUBSCRIBE) | PLACE(UNSUBSCRIBE))

/* MQTT 5.0 table 2-4, and the ranges that the sections of chapter 3 give. */
static const struct row {
    uint8_t id;
    uint8_t kind;
    uint16_t offset; /* of the field in struct mqtt_properties; none for what stays in `list` */
    uint16_t places;
    uint16_t not_from[2]; /* places where this sender may not use it */
    uint32_t min, max;    /* of numbers */
} rows[MQTT_PROP_COUNT] = {
#define FIELD(name) offsetof(struct mqtt_properties, name)
#define FLAG(field, places) KIND_BYTE, FIELD(field), places, {0, 0}, 0, 1
#define NUMBER(kind, field, places, min) kind, FIELD(field), places, {0, 0}, min, UINT32_MAX
#define TEXT(kind, field, places) kind, FIELD(field), places, {0, 0}, 0, 0
    [MQTT_PROP_PAYLOAD_FORMAT] = {0x01, FLAG(payload_format, IN_MESSAGE)},
    [MQTT_PROP_MESSAGE_EXPIRY] = {0x02, NUMBER(KIND_U32, message_expiry_s, IN_MESSAGE, 0)},
    [MQTT_PROP_CONTENT_TYPE] = {0x03, TEXT(KIND_STRING, content_type, IN_MESSAGE)},
    [MQTT_PROP_RESPONSE_TOPIC] = {0x08, TEXT(KIND_TOPIC, response_topic, IN_MESSAGE)},
    [MQTT_PROP_CORRELATION_DATA] = {0x09, TEXT(KIND_BINARY, correlation_data, IN_MESSAGE)},
    [MQTT_PROP_SUBSCRIPTION_ID] =
        {0x0B, KIND_VBI, 0, PLACE(PUBLISH) | PLACE(SUBSCRIBE), {PLACE(PUBLISH), 0}, 1, VBI_MAX},
    [MQTT_PROP_SESSION_EXPIRY] = {0x11,
                                  KIND_U32,
                                  FIELD(session_expiry_s),
                                  IN_HELLO | PLACE(DISCONNECT),
                                  {0, PLACE(DISCONNECT)},
                                  0,
                                  UINT32_MAX},
    [MQTT_PROP_ASSIGNED_CLIENT_ID] = {0x12, TEXT(KIND_STRING, assigned_client_id, PLACE(CONNACK))},
    [MQTT_PROP_SERVER_KEEP_ALIVE] = {0x13, NUMBER(KIND_U16, server_keep_alive_s, PLACE(CONNACK), 0)},
    [MQTT_PROP_AUTH_METHOD] = {0x15, TEXT(KIND_STRING, auth_method, IN_HELLO | PLACE(AUTH))},
    [MQTT_PROP_AUTH_DATA] = {0x16, TEXT(KIND_BINARY, auth_data, IN_HELLO | PLACE(AUTH))},
    [MQTT_PROP_REQUEST_PROBLEM] = {0x17, FLAG(request_problem, PLACE(CONNECT))},
    [MQTT_PROP_WILL_DELAY] = {0x18, NUMBER(KIND_U32, will_delay_s, IN_WILL, 0)},
    [MQTT_PROP_REQUEST_RESPONSE] = {0x19, FLAG(request_response, PLACE(CONNECT))},
    [MQTT_PROP_RESPONSE_INFO] = {0x1A, TEXT(KIND_STRING, response_info, PLACE(CONNACK))},
    [MQTT_PROP_SERVER_REFERENCE] = {0x1C,
                                    KIND_STRING,
                                    FIELD(server_reference),
                                    PLACE(CONNACK) | PLACE(DISCONNECT),
                                    {PLACE(DISCONNECT), 0},
                                    0,
                                    0},
    [MQTT_PROP_REASON_STRING] = {0x1F, TEXT(KIND_STRING, reason_string, PLACE(CONNACK) | IN_ACK | IN_LAST)},
    [MQTT_PROP_RECEIVE_MAXIMUM] = {0x21, NUMBER(KIND_U16, receive_maximum, IN_HELLO, 1)},
    [MQTT_PROP_TOPIC_ALIAS_MAX] = {0x22, NUMBER(KIND_U16, topic_alias_max, IN_HELLO, 0)},
    [MQTT_PROP_TOPIC_ALIAS] = {0x23, NUMBER(KIND_U16, topic_alias, PLACE(PUBLISH), 1)},
    [MQTT_PROP_MAXIMUM_QOS] = {0x24, FLAG(maximum_qos, PLACE(CONNACK))},
    [MQTT_PROP_RETAIN_AVAILABLE] = {0x25, FLAG(retain_available, PLACE(CONNACK))},
    [MQTT_PROP_USER_PROPERTY] = {0x26, KIND_PAIR, 0, IN_ANY, {0, 0}, 0, 0},
    [MQTT_PROP_MAX_PACKET_SIZE] = {0x27, NUMBER(KIND_U32, max_packet_bytes, IN_HELLO, 1)},
    [MQTT_PROP_WILDCARD_AVAILABLE] = {0x28, FLAG(wildcard_available, PLACE(CONNACK))},
    [MQTT_PROP_SUB_ID_AVAILABLE] = {0x29, FLAG(sub_id_available, PLACE(CONNACK))},
    [MQTT_PROP_SHARED_AVAILABLE] = {0x2A, FLAG(shared_available, PLACE(CONNACK))},
};

/* Row of an identifier; MQTT_PROP_COUNT when there is none. An identifier of more than one byte (s.2.2.2.2
 * calls it a Variable Byte Integer) is none that exists. */
static unsigned int row_of(uint8_t id)
{
    /* One more than the row, so that a hole reads as zero. */
    static const uint8_t by_id[0x2B] = {
        [0x01] = 1 + MQTT_PROP_PAYLOAD_FORMAT,     [0x02] = 1 + MQTT_PROP_MESSAGE_EXPIRY,
        [0x03] = 1 + MQTT_PROP_CONTENT_TYPE,       [0x08] = 1 + MQTT_PROP_RESPONSE_TOPIC,
        [0x09] = 1 + MQTT_PROP_CORRELATION_DATA,   [0x0B] = 1 + MQTT_PROP_SUBSCRIPTION_ID,
        [0x11] = 1 + MQTT_PROP_SESSION_EXPIRY,     [0x12] = 1 + MQTT_PROP_ASSIGNED_CLIENT_ID,
        [0x13] = 1 + MQTT_PROP_SERVER_KEEP_ALIVE,  [0x15] = 1 + MQTT_PROP_AUTH_METHOD,
        [0x16] = 1 + MQTT_PROP_AUTH_DATA,          [0x17] = 1 + MQTT_PROP_REQUEST_PROBLEM,
        [0x18] = 1 + MQTT_PROP_WILL_DELAY,         [0x19] = 1 + MQTT_PROP_REQUEST_RESPONSE,
        [0x1A] = 1 + MQTT_PROP_RESPONSE_INFO,      [0x1C] = 1 + MQTT_PROP_SERVER_REFERENCE,
        [0x1F] = 1 + MQTT_PROP_REASON_STRING,      [0x21] = 1 + MQTT_PROP_RECEIVE_MAXIMUM,
        [0x22] = 1 + MQTT_PROP_TOPIC_ALIAS_MAX,    [0x23] = 1 + MQTT_PROP_TOPIC_ALIAS,
        [0x24] = 1 + MQTT_PROP_MAXIMUM_QOS,        [0x25] = 1 + MQTT_PROP_RETAIN_AVAILABLE,
        [0x26] = 1 + MQTT_PROP_USER_PROPERTY,      [0x27] = 1 + MQTT_PROP_MAX_PACKET_SIZE,
        [0x28] = 1 + MQTT_PROP_WILDCARD_AVAILABLE, [0x29] = 1 + MQTT_PROP_SUB_ID_AVAILABLE,
        [0x2A] = 1 + MQTT_PROP_SHARED_AVAILABLE,
    };
    if (id >= sizeof(by_id) || by_id[id] == 0)
        return MQTT_PROP_COUNT;
    return by_id[id] - 1u;
}

static inline bool is_number(enum kind kind)
{
    return kind <= KIND_VBI;
}

static enum read_result take_number(struct cursor *c, enum kind kind, uint32_t *value)
{
    uint8_t byte;
    uint16_t half;
    enum read_result result;
    switch (kind) {
    case KIND_BYTE:
        result = cursor_u8(c, &byte);
        if (result == READ_OK)
            *value = byte;
        return result;
    case KIND_U16:
        result = cursor_u16(c, &half);
        if (result == READ_OK)
            *value = half;
        return result;
    case KIND_U32:
        return cursor_u32(c, value);
    default:
        return cursor_vbi(c, value);
    }
}

static void *field_of(struct mqtt_properties *properties, const struct row *row)
{
    return (char *)properties + row->offset;
}

static const void *const_field_of(const struct mqtt_properties *properties, const struct row *row)
{
    return (const char *)properties + row->offset;
}

static enum outcome parse_number(struct mqtt_properties *out, struct cursor *c, const struct row *row)
{
    uint32_t value;
    if (take_number(c, row->kind, &value) != READ_OK)
        return OUTCOME_MALFORMED_PROPERTY;
    if (value < row->min || value > row->max)
        return row == &rows[MQTT_PROP_TOPIC_ALIAS] ? OUTCOME_BAD_TOPIC_ALIAS : OUTCOME_BAD_PROPERTY;
    switch ((enum kind)row->kind) {
    case KIND_BYTE:
        *(uint8_t *)field_of(out, row) = (uint8_t)value;
        break;
    case KIND_U16:
        *(uint16_t *)field_of(out, row) = (uint16_t)value;
        break;
    case KIND_U32:
        *(uint32_t *)field_of(out, row) = value;
        break;
    default: /* subscription identifiers are read out of `list` */
        break;
    }
    return OUTCOME_ALLOWED;
}

static enum outcome parse_pair(struct mqtt_properties *out, struct cursor *c, enum utf8_level level)
{
    struct bytes name, value;
    if (cursor_block16(c, &name) != READ_OK || cursor_block16(c, &value) != READ_OK)
        return OUTCOME_MALFORMED_PROPERTY;
    if (!utf8_check(name, level) || !utf8_check(value, level))
        return OUTCOME_MALFORMED_STRING;
    if (out->user_property_count == UINT16_MAX)
        return OUTCOME_PROPERTY_CAP;
    out->user_property_count++;
    return OUTCOME_ALLOWED;
}

static enum outcome parse_value(struct mqtt_properties *out, struct cursor *c, const struct row *row,
                                enum utf8_level level)
{
    struct bytes text;
    if (is_number(row->kind))
        return parse_number(out, c, row);
    if (row->kind == KIND_PAIR)
        return parse_pair(out, c, level);
    if (cursor_block16(c, &text) != READ_OK)
        return OUTCOME_MALFORMED_PROPERTY;
    *(struct bytes *)field_of(out, row) = text;
    if (row->kind == KIND_TOPIC)
        return mqtt_topic_name_check(text, level);
    return row->kind == KIND_BINARY || utf8_check(text, level) ? OUTCOME_ALLOWED : OUTCOME_MALFORMED_STRING;
}

/* What a server says for people to read, or to be followed at will. */
#define SPARE                                                                                                \
    (MQTT_PROP_BIT(MQTT_PROP_REASON_STRING) | MQTT_PROP_BIT(MQTT_PROP_USER_PROPERTY) |                       \
     MQTT_PROP_BIT(MQTT_PROP_SERVER_REFERENCE) | MQTT_PROP_BIT(MQTT_PROP_RESPONSE_INFO))

/* As parse_value; a server's spare property that is only not strict is read all the same, and left out. */
static enum outcome parse_value_or_leave(struct mqtt_properties *out, struct cursor *c, unsigned int property,
                                         bool may_leave, enum utf8_level level, uint32_t *left_out)
{
    struct cursor again = *c;
    enum outcome outcome = parse_value(out, c, &rows[property], level);
    if (outcome != OUTCOME_MALFORMED_STRING || !may_leave || (SPARE & MQTT_PROP_BIT(property)) == 0)
        return outcome;
    *c = again;
    *left_out |= MQTT_PROP_BIT(property);
    return parse_value(out, c, &rows[property], UTF8_SPEC);
}

static bool may_repeat(unsigned int property, enum mqtt_type place)
{
    return property == MQTT_PROP_USER_PROPERTY ||
           (property == MQTT_PROP_SUBSCRIPTION_ID && place == MQTT_PUBLISH);
}

enum outcome mqtt_properties_parse(struct mqtt_properties *out, struct bytes section, enum mqtt_type place,
                                   enum mqtt_sender sender, enum utf8_level level)
{
    struct cursor c = cursor_of(section);
    uint8_t id;
    uint32_t left_out = 0;
    bool may_leave = sender == MQTT_FROM_SERVER && place != MQTT_PUBLISH && level == UTF8_STRICT;
    out->present = 0;
    out->user_property_count = 0;
    out->list = section;
    while (cursor_u8(&c, &id) == READ_OK) {
        unsigned int property = row_of(id);
        if (property == MQTT_PROP_COUNT || (rows[property].places >> place & 1) == 0)
            return OUTCOME_MALFORMED_PROPERTY;
        if ((rows[property].not_from[sender] >> place & 1) != 0)
            return OUTCOME_BAD_PROPERTY;
        if ((out->present & MQTT_PROP_BIT(property)) != 0 && !may_repeat(property, place))
            return OUTCOME_BAD_PROPERTY;
        enum outcome outcome = parse_value_or_leave(out, &c, property, may_leave, level, &left_out);
        if (outcome != OUTCOME_ALLOWED)
            return outcome;
        out->present |= MQTT_PROP_BIT(property);
    }
    out->present &= ~left_out;
    if ((left_out & MQTT_PROP_BIT(MQTT_PROP_USER_PROPERTY)) != 0)
        out->user_property_count = 0;
    /* s.3.1.2.11.10, 3.2.2.3.18: data without the method that it belongs to. */
    if ((out->present & MQTT_PROP_BIT(MQTT_PROP_AUTH_DATA)) != 0 &&
        (out->present & MQTT_PROP_BIT(MQTT_PROP_AUTH_METHOD)) == 0)
        return OUTCOME_BAD_PROPERTY;
    return OUTCOME_ALLOWED;
}

enum outcome mqtt_properties_take(struct mqtt_properties *out, struct cursor *c, enum mqtt_type place,
                                  enum mqtt_sender sender, enum utf8_level level)
{
    uint32_t len;
    struct bytes section;
    if (cursor_vbi(c, &len) != READ_OK || cursor_bytes(c, len, &section) != READ_OK)
        return OUTCOME_MALFORMED_PROPERTY;
    return mqtt_properties_parse(out, section, place, sender, level);
}

/* Steps over the next property of a checked list; false at the end. `value` is its bytes. */
static bool next_of_list(struct cursor *list, unsigned int *property, struct cursor *value)
{
    uint8_t id;
    uint32_t number;
    struct bytes text;
    if (cursor_u8(list, &id) != READ_OK)
        return false;
    *property = row_of(id);
    if (*property == MQTT_PROP_COUNT)
        return false;
    enum kind kind = rows[*property].kind;
    *value = *list;
    if (is_number(kind))
        return take_number(list, kind, &number) == READ_OK;
    if (cursor_block16(list, &text) != READ_OK)
        return false;
    return kind != KIND_PAIR || cursor_block16(list, &text) == READ_OK;
}

bool mqtt_user_property_next(struct cursor *list, struct bytes *name, struct bytes *value)
{
    unsigned int property;
    struct cursor c;
    while (next_of_list(list, &property, &c))
        if (property == MQTT_PROP_USER_PROPERTY)
            return cursor_block16(&c, name) == READ_OK && cursor_block16(&c, value) == READ_OK;
    return false;
}

bool mqtt_subscription_id_next(struct cursor *list, uint32_t *id)
{
    unsigned int property;
    struct cursor c;
    while (next_of_list(list, &property, &c))
        if (property == MQTT_PROP_SUBSCRIPTION_ID)
            return cursor_vbi(&c, id) == READ_OK;
    return false;
}

/* ---- building ----------------------------------------------------------------------------------------- */

static uint32_t present_at(const struct mqtt_properties *properties, enum mqtt_type place)
{
    uint32_t present = 0;
    for (uint32_t rest = properties->present; rest != 0; rest &= rest - 1) {
        unsigned int property = (unsigned int)__builtin_ctz(rest);
        if (property < MQTT_PROP_COUNT && (rows[property].places >> place & 1) != 0)
            present |= MQTT_PROP_BIT(property);
    }
    return present;
}

static size_t value_size(const struct mqtt_properties *properties, const struct row *row)
{
    switch ((enum kind)row->kind) {
    case KIND_BYTE:
        return 1;
    case KIND_U16:
        return 2;
    case KIND_U32:
        return 4;
    default:
        return 2 + ((const struct bytes *)const_field_of(properties, row))->len;
    }
}

/* What stays in the list as received: identifiers or user properties, all of them with their identifier byte.
 */
static size_t repeated_size(const struct mqtt_properties *properties, unsigned int property)
{
    struct cursor list = cursor_of(properties->list);
    struct bytes name, value;
    uint32_t id;
    size_t size = 0;
    if (property == MQTT_PROP_SUBSCRIPTION_ID)
        while (mqtt_subscription_id_next(&list, &id))
            size += 1 + vbi_size(id);
    else
        while (mqtt_user_property_next(&list, &name, &value))
            size += 1 + 2 + name.len + 2 + value.len;
    return size;
}

static bool is_repeated(unsigned int property)
{
    return property == MQTT_PROP_SUBSCRIPTION_ID || property == MQTT_PROP_USER_PROPERTY;
}

size_t mqtt_properties_size(const struct mqtt_properties *properties, enum mqtt_type place)
{
    size_t size = 0;
    for (uint32_t rest = present_at(properties, place); rest != 0; rest &= rest - 1) {
        unsigned int property = (unsigned int)__builtin_ctz(rest);
        size += is_repeated(property) ? repeated_size(properties, property)
                                      : 1 + value_size(properties, &rows[property]);
    }
    return size;
}

static void build_repeated(struct writer *w, const struct mqtt_properties *properties, unsigned int property)
{
    struct cursor list = cursor_of(properties->list);
    struct bytes name, value;
    uint32_t id;
    if (property == MQTT_PROP_SUBSCRIPTION_ID) {
        while (mqtt_subscription_id_next(&list, &id)) {
            writer_u8(w, rows[property].id);
            writer_vbi(w, id);
        }
        return;
    }
    while (mqtt_user_property_next(&list, &name, &value)) {
        writer_u8(w, rows[property].id);
        writer_block16(w, name);
        writer_block16(w, value);
    }
}

static void build_one(struct writer *w, const struct mqtt_properties *properties, unsigned int property)
{
    const struct row *row = &rows[property];
    const void *field = const_field_of(properties, row);
    writer_u8(w, row->id);
    switch ((enum kind)row->kind) {
    case KIND_BYTE:
        writer_u8(w, *(const uint8_t *)field);
        break;
    case KIND_U16:
        writer_u16(w, *(const uint16_t *)field);
        break;
    case KIND_U32:
        writer_u32(w, *(const uint32_t *)field);
        break;
    default:
        writer_block16(w, *(const struct bytes *)field);
        break;
    }
}

void mqtt_properties_build(struct writer *w, const struct mqtt_properties *properties, size_t size,
                           enum mqtt_type place)
{
    uint32_t present = present_at(properties, place);
    uint32_t user = present & MQTT_PROP_BIT(MQTT_PROP_USER_PROPERTY);
    writer_vbi(w, size);
    for (uint32_t rest = present & ~user; rest != 0; rest &= rest - 1) {
        unsigned int property = (unsigned int)__builtin_ctz(rest);
        if (is_repeated(property))
            build_repeated(w, properties, property);
        else
            build_one(w, properties, property);
    }
    if (user != 0)
        build_repeated(w, properties, MQTT_PROP_USER_PROPERTY);
}
