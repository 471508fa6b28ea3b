/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/mqtt/packet.h"

#include "policy/mqtt/packet_parse.h"
#include "policy/mqtt/property.h"
#include "policy/mqtt/reason.h"
#include "policy/mqtt/topic_name.h"

/* ---- fixed header (s.2.1) ----------------------------------------------------------------------------- */

#define BIT(n) (1u << (n))
/* PUBLISH: QoS 0 without DUP [3.3.1-2], QoS 1 and 2, each with and without RETAIN; QoS 3 never [3.3.1-4].
 * MQTT 3.1 says of DUP only that it "applies" above QoS 0, so there it is ignored. */
#define PUBLISH_FLAGS                                                                                        \
    (BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(10) | BIT(11) | BIT(12) | BIT(13))
#define PUBLISH_FLAGS_3_1 (PUBLISH_FLAGS | BIT(8) | BIT(9))
#define FLAGS_DUP 0x08u
#define FLAGS_RETAIN 0x01u

static unsigned int publish_qos(unsigned int flags)
{
    return flags >> 1 & 3;
}

/* One bit per legal flag nibble, for types that exist in the version. */
static const uint16_t legal_flags[][16] = {
#define ALIKE                                                                                                \
    [MQTT_CONNACK] = BIT(0), [MQTT_PUBACK] = BIT(0), [MQTT_PUBREC] = BIT(0), [MQTT_PUBCOMP] = BIT(0),        \
    [MQTT_SUBACK] = BIT(0), [MQTT_UNSUBACK] = BIT(0), [MQTT_PINGREQ] = BIT(0), [MQTT_PINGRESP] = BIT(0),     \
    [MQTT_DISCONNECT] = BIT(0)
    [MQTT_VERSION_UNKNOWN] = {[MQTT_CONNECT] = BIT(0)},
    /* MQTT 3.1 re-sends of these carry DUP (3.1 s.2.1). */
    [MQTT_3_1] = {ALIKE, [MQTT_PUBLISH] = PUBLISH_FLAGS_3_1, [MQTT_PUBREL] = BIT(2) | BIT(10),
                  [MQTT_SUBSCRIBE] = BIT(2) | BIT(10), [MQTT_UNSUBSCRIBE] = BIT(2) | BIT(10)},
    [MQTT_3_1_1] = {ALIKE, [MQTT_PUBLISH] = PUBLISH_FLAGS, [MQTT_PUBREL] = BIT(2), [MQTT_SUBSCRIBE] = BIT(2),
                    [MQTT_UNSUBSCRIBE] = BIT(2)},
    [MQTT_5] = {ALIKE, [MQTT_PUBLISH] = PUBLISH_FLAGS, [MQTT_PUBREL] = BIT(2), [MQTT_SUBSCRIBE] = BIT(2),
                [MQTT_UNSUBSCRIBE] = BIT(2), [MQTT_AUTH] = BIT(0)},
};

/* One bit per type that a side sends. DISCONNECT of a server is of MQTT 5 alone (3.1.1 s.3.14). */
#define SENT_BY_BOTH                                                                                         \
    (BIT(MQTT_PUBLISH) | BIT(MQTT_PUBACK) | BIT(MQTT_PUBREC) | BIT(MQTT_PUBREL) | BIT(MQTT_PUBCOMP) |        \
     BIT(MQTT_AUTH))
#define SENT_BY_CLIENT                                                                                       \
    (SENT_BY_BOTH | BIT(MQTT_CONNECT) | BIT(MQTT_SUBSCRIBE) | BIT(MQTT_UNSUBSCRIBE) | BIT(MQTT_PINGREQ) |    \
     BIT(MQTT_DISCONNECT))
#define SENT_BY_SERVER                                                                                       \
    (SENT_BY_BOTH | BIT(MQTT_CONNACK) | BIT(MQTT_SUBACK) | BIT(MQTT_UNSUBACK) | BIT(MQTT_PINGRESP))

/* Why a header that the tables do not allow is wrong. */
static enum outcome header_fault(enum mqtt_type type, enum mqtt_version version, enum mqtt_sender sender)
{
    unsigned int sent = sender == MQTT_FROM_CLIENT ? SENT_BY_CLIENT : SENT_BY_SERVER;
    if (version == MQTT_5)
        sent |= BIT(MQTT_DISCONNECT);
    if (version == MQTT_VERSION_UNKNOWN && sender == MQTT_FROM_CLIENT && type != MQTT_CONNECT)
        return OUTCOME_FIRST_NOT_CONNECT;
    if (type == MQTT_RESERVED || (type == MQTT_AUTH && version != MQTT_5))
        return OUTCOME_MALFORMED_TYPE;
    if ((sent & BIT(type)) == 0)
        return OUTCOME_WRONG_DIRECTION;
    if (version == MQTT_VERSION_UNKNOWN && type != MQTT_CONNECT)
        return OUTCOME_PROTOCOL_ERROR;
    if (version != MQTT_VERSION_UNKNOWN && type == MQTT_CONNECT)
        return OUTCOME_SECOND_CONNECT;
    return OUTCOME_ALLOWED;
}

enum outcome mqtt_header_check(uint8_t first, enum mqtt_version version, enum mqtt_sender sender)
{
    enum mqtt_type type = first >> 4;
    if ((unsigned int)version >= sizeof(legal_flags) / sizeof(legal_flags[0]))
        return OUTCOME_BAD_PROTOCOL_VERSION;
    bool legal = (legal_flags[version][type] >> (first & 0x0F) & 1) != 0;
    if (type == MQTT_PUBLISH && legal)
        return OUTCOME_ALLOWED;
    enum outcome fault = header_fault(type, version, sender);
    if (fault != OUTCOME_ALLOWED)
        return fault;
    return legal ? OUTCOME_ALLOWED : OUTCOME_MALFORMED_FLAGS;
}

/* ---- PUBLISH ------------------------------------------------------------------------------------------ */

static enum read_result head_fault(struct mqtt_publish_head *head, enum outcome fault)
{
    head->fault = fault;
    return READ_MALFORMED;
}

/*
 * The property section, at `c`: adds its length and that of its length to head->bytes. Inlined, as its caller
 * is, so that on the common path a head never leaves the registers: half-written words read back whole cost 8
 * ns.
 */
static inline __attribute__((always_inline)) enum read_result head_properties(struct mqtt_publish_head *head,
                                                                              struct cursor c,
                                                                              uint32_t remaining_length,
                                                                              uint32_t limit_bytes)
{
    size_t left = cursor_left(&c);
    uint32_t len = 0;
    enum read_result result = cursor_vbi(&c, &len);
    if (result == READ_MALFORMED)
        return head_fault(head, OUTCOME_MALFORMED_PROPERTY);
    /* No overflow: the parts are at most 2^16 + 8 and 2^28. */
    if (result == READ_NEED_MORE)
        head->bytes += (uint32_t)left + 1;
    else
        head->bytes += (uint32_t)(left - cursor_left(&c)) + len;
    if (head->bytes > remaining_length)
        return head_fault(head, OUTCOME_MALFORMED_PROPERTY);
    if (head->bytes > limit_bytes)
        return head_fault(head, OUTCOME_PACKET_TOO_LARGE);
    return result == READ_OK ? cursor_bytes(&c, len, &head->properties) : READ_NEED_MORE;
}

static inline __attribute__((always_inline)) enum read_result
publish_head(struct mqtt_publish_head *head, struct bytes at_hand, uint8_t flags, enum mqtt_version version,
             uint32_t remaining_length, uint32_t limit_bytes)
{
    uint32_t most = remaining_length < limit_bytes ? remaining_length : limit_bytes;
    struct cursor c = cursor_of(bytes_of(at_hand.at, at_hand.len < most ? at_hand.len : most));
    uint16_t topic_bytes;
    uint32_t id_bytes = publish_qos(flags) != 0 ? 2 : 0;
    head->bytes = 2;
    head->named = 0;
    if (remaining_length < 2)
        return head_fault(head, OUTCOME_MALFORMED);
    if (limit_bytes < 2)
        return head_fault(head, OUTCOME_PACKET_TOO_LARGE);
    if (cursor_u16(&c, &topic_bytes) != READ_OK)
        return READ_NEED_MORE;
    head->bytes = 2 + topic_bytes + id_bytes;
    if (head->bytes > remaining_length)
        return head_fault(head, OUTCOME_MALFORMED);
    if (head->bytes > limit_bytes)
        return head_fault(head, OUTCOME_PACKET_TOO_LARGE);
    if (cursor_bytes(&c, topic_bytes, &head->topic) != READ_OK)
        return READ_NEED_MORE;
    head->packet_id = 0;
    if (id_bytes != 0 && cursor_u16(&c, &head->packet_id) != READ_OK)
        return READ_NEED_MORE;
    head->properties = bytes_of(NULL, 0);
    if (version != MQTT_5)
        return READ_OK;
    head->named = head->bytes;
    return head_properties(head, c, remaining_length, limit_bytes);
}

enum read_result mqtt_publish_head_parse(struct mqtt_publish_head *head, struct bytes at_hand, uint8_t flags,
                                         enum mqtt_version version, uint32_t remaining_length,
                                         uint32_t limit_bytes)
{
    return publish_head(head, at_hand, flags, version, remaining_length, limit_bytes);
}

/* Topic and properties, once it is certain where they end. */
static enum outcome judge_head(struct mqtt_packet *out, const struct mqtt_publish_head *head,
                               const struct mqtt_parse *p)
{
    enum outcome outcome;
    if (head->topic.len != 0) {
        outcome = mqtt_topic_name_check(head->topic, p->level);
        if (outcome != OUTCOME_ALLOWED)
            return outcome;
    }
    if (head->properties.len != 0) {
        outcome =
            mqtt_properties_parse(&out->properties, head->properties, MQTT_PUBLISH, p->sender, p->level);
        if (outcome != OUTCOME_ALLOWED)
            return outcome;
    }
    /* [3.3.2-8]: an empty name is one only together with an alias. */
    if (head->topic.len == 0 && (out->properties.present & MQTT_PROP_BIT(MQTT_PROP_TOPIC_ALIAS)) == 0)
        return OUTCOME_BAD_TOPIC;
    return OUTCOME_ALLOWED;
}

/* Of the properties only what says that there are none: the rest counts only when `present` says so. */
static void clear(struct mqtt_packet *out, enum mqtt_type type, enum mqtt_version version)
{
    out->type = type;
    out->version = version;
    out->packet_id = 0;
    out->reason_code = 0;
    out->properties.present = 0;
    out->properties.user_property_count = 0;
    out->properties.list = bytes_of(NULL, 0);
    out->list = bytes_of(NULL, 0);
    out->list_count = 0;
}

/* What the fixed header and the first fields say. */
static enum outcome fill_publish(struct mqtt_packet *out, const struct mqtt_publish_head *head, uint8_t flags,
                                 uint32_t payload_bytes)
{
    out->publish.qos = (uint8_t)publish_qos(flags);
    out->publish.dup = (flags & FLAGS_DUP) != 0 && out->publish.qos != 0;
    out->publish.retain = (flags & FLAGS_RETAIN) != 0;
    out->publish.topic = head->topic;
    out->publish.payload_bytes = payload_bytes;
    out->packet_id = head->packet_id;
    return out->publish.qos != 0 && head->packet_id == 0 ? OUTCOME_BAD_PACKET_ID : OUTCOME_ALLOWED;
}

enum outcome mqtt_publish_defective(struct mqtt_packet *out, const struct mqtt_publish_head *head,
                                    uint8_t flags, enum mqtt_version version, uint32_t remaining_length)
{
    clear(out, MQTT_PUBLISH, version);
    out->remaining_length = remaining_length;
    out->defect = OUTCOME_ALLOWED;
    out->publish.payload = bytes_of(NULL, 0);
    enum outcome outcome = fill_publish(out, head, flags, remaining_length - head->named);
    if (outcome != OUTCOME_ALLOWED)
        return outcome;
    out->defect = (uint8_t)head->fault;
    return head->fault;
}

static enum outcome parse_publish(struct mqtt_packet *out, uint8_t flags, struct bytes body,
                                  uint32_t remaining_length, const struct mqtt_parse *p)
{
    struct mqtt_publish_head head;
    switch (publish_head(&head, body, flags, p->version, remaining_length, UINT32_MAX)) {
    case READ_MALFORMED:
        return head.named == 0 ? head.fault
                               : mqtt_publish_defective(out, &head, flags, p->version, remaining_length);
    case READ_NEED_MORE:
        return OUTCOME_MALFORMED;
    case READ_OK:
        break;
    }
    enum outcome outcome = fill_publish(out, &head, flags, remaining_length - head.bytes);
    size_t part = body.len - head.bytes;
    if (part > out->publish.payload_bytes)
        part = out->publish.payload_bytes;
    out->publish.payload = bytes_of(body.at + head.bytes, part);
    if (outcome != OUTCOME_ALLOWED)
        return outcome;
    outcome = judge_head(out, &head, p);
    out->defect = (uint8_t)outcome;
    return outcome;
}

/* ---- acknowledgements, DISCONNECT, AUTH --------------------------------------------------------------- */

static enum outcome parse_code(struct mqtt_packet *out, struct mqtt_parse *p)
{
    if (cursor_u8(&p->at, &out->reason_code) != READ_OK)
        return OUTCOME_MALFORMED;
    return mqtt_reason_allowed(out->type, p->sender, p->version, out->reason_code) ? OUTCOME_ALLOWED
                                                                                   : OUTCOME_BAD_REASON_CODE;
}

/* Code and properties, each of which may be left off at the end (s.3.4.2.1, 3.14.2.1). */
static enum outcome parse_code_and_properties(struct mqtt_packet *out, struct mqtt_parse *p)
{
    if (cursor_left(&p->at) == 0)
        return OUTCOME_ALLOWED;
    enum outcome outcome = parse_code(out, p);
    if (outcome != OUTCOME_ALLOWED || cursor_left(&p->at) == 0)
        return outcome;
    outcome = mqtt_properties_take(&out->properties, &p->at, out->type, p->sender, p->level);
    return outcome != OUTCOME_ALLOWED ? outcome : mqtt_parse_end(p);
}

static enum outcome parse_ack(struct mqtt_packet *out, struct mqtt_parse *p)
{
    enum outcome outcome = mqtt_parse_packet_id(p, &out->packet_id);
    if (outcome != OUTCOME_ALLOWED)
        return outcome;
    return p->version == MQTT_5 ? parse_code_and_properties(out, p) : mqtt_parse_end(p);
}

static enum outcome parse_disconnect(struct mqtt_packet *out, struct mqtt_parse *p)
{
    if (p->version == MQTT_5)
        return parse_code_and_properties(out, p);
    return cursor_left(&p->at) == 0 ? OUTCOME_ALLOWED : OUTCOME_MALFORMED_LENGTH;
}

/*
 * s.3.15.2.1 lets code and properties be left off together when the code is 0 and there are none, which only
 * makes sense of a server; every other AUTH must name its method (s.3.15.2.2.2).
 */
static enum outcome parse_auth(struct mqtt_packet *out, struct mqtt_parse *p)
{
    bool named;
    enum outcome outcome;
    if (cursor_left(&p->at) == 0)
        return p->sender == MQTT_FROM_SERVER ? OUTCOME_ALLOWED : OUTCOME_BAD_REASON_CODE;
    outcome = parse_code(out, p);
    if (outcome != OUTCOME_ALLOWED)
        return outcome;
    outcome = mqtt_properties_take(&out->properties, &p->at, MQTT_AUTH, p->sender, p->level);
    if (outcome != OUTCOME_ALLOWED)
        return outcome;
    named = (out->properties.present & MQTT_PROP_BIT(MQTT_PROP_AUTH_METHOD)) != 0;
    if (!named && (out->reason_code != 0 || out->properties.present != 0))
        return OUTCOME_AUTH_METHOD;
    return mqtt_parse_end(p);
}

static enum outcome parse_rest(struct mqtt_packet *out, struct mqtt_parse *p)
{
    switch (out->type) {
    case MQTT_CONNECT:
        return mqtt_connect_parse(out, p);
    case MQTT_CONNACK:
        return mqtt_connack_parse(out, p);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        return parse_ack(out, p);
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
        return mqtt_subscribe_parse(out, p);
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        return mqtt_suback_parse(out, p);
    case MQTT_PINGREQ:
    case MQTT_PINGRESP:
        return cursor_left(&p->at) == 0 ? OUTCOME_ALLOWED : OUTCOME_MALFORMED_LENGTH;
    case MQTT_DISCONNECT:
        return parse_disconnect(out, p);
    case MQTT_AUTH:
        return parse_auth(out, p);
    case MQTT_RESERVED:
    case MQTT_PUBLISH:
        break;
    }
    return OUTCOME_MALFORMED_TYPE;
}

enum outcome mqtt_packet_decode(struct mqtt_packet *out, enum mqtt_type type, uint8_t flags,
                                struct bytes body, uint32_t remaining_length, enum mqtt_version version,
                                enum mqtt_sender sender, enum utf8_level level)
{
    struct mqtt_parse p = {.at = cursor_of(body), .version = version, .sender = sender, .level = level};
    enum outcome outcome = mqtt_header_check((uint8_t)(type << 4 | (flags & 0x0F)), version, sender);
    out->defect = OUTCOME_ALLOWED;
    if (outcome != OUTCOME_ALLOWED)
        return outcome;
    clear(out, type, version);
    out->remaining_length = remaining_length;
    if (type == MQTT_PUBLISH)
        return parse_publish(out, flags, body, remaining_length, &p);
    if (body.len != remaining_length)
        return OUTCOME_MALFORMED_LENGTH;
    return parse_rest(out, &p);
}

const char *mqtt_type_name(enum mqtt_type type)
{
    static const char *const names[] = {
        "reserved",  "connect", "connack",     "publish",  "puback",  "pubrec",   "pubrel",     "pubcomp",
        "subscribe", "suback",  "unsubscribe", "unsuback", "pingreq", "pingresp", "disconnect", "auth",
    };
    return (unsigned int)type < sizeof(names) / sizeof(names[0]) ? names[type] : names[0];
}
