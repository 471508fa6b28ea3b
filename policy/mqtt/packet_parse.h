/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the decoders of this folder share: packet.c dispatches to packet_connect.c and packet_subscribe.c, and
 * frame.c needs the fixed header's law and the extent of a PUBLISH head before a packet is whole. Everybody
 * else uses packet.h and frame.h. Pure; any thread.
 */
#ifndef POLICY_MQTT_PACKET_PARSE_H
#define POLICY_MQTT_PACKET_PARSE_H

#include "policy/mqtt/packet.h"

/* A body being taken apart. */
struct mqtt_parse {
    struct cursor at;
    enum mqtt_version version;
    enum mqtt_sender sender;
    enum utf8_level level;
};

/* The fields of a PUBLISH before its payload, cut but not judged. */
struct mqtt_publish_head {
    struct bytes topic;
    struct bytes properties; /* without the length */
    uint16_t packet_id;
    uint32_t bytes;     /* of the head; when more is needed, how many at least */
    uint32_t named;     /* bytes of topic and identifier, once they are known; else 0 */
    enum outcome fault; /* with READ_MALFORMED */
};

/*
 * The first byte of a fixed header (s.2.1): OUTCOME_ALLOWED, or FIRST_NOT_CONNECT, SECOND_CONNECT,
 * WRONG_DIRECTION, MALFORMED_TYPE, MALFORMED_FLAGS.
 */
enum outcome mqtt_header_check(uint8_t first, enum mqtt_version version, enum mqtt_sender sender);

/*
 * Cuts the head out of `at_hand`, the bytes of the body that are there. The answer depends on the fields
 * alone, never on how much is at hand beyond them: a head that cannot end within `remaining_length` or
 * `limit_bytes` is refused by the first field that shows it.
 */
enum read_result mqtt_publish_head_parse(struct mqtt_publish_head *head, struct bytes at_hand, uint8_t flags,
                                         enum mqtt_version version, uint32_t remaining_length,
                                         uint32_t limit_bytes);

/*
 * A PUBLISH of which topic and identifier are known and the rest cannot be: its properties do not fit into
 * the packet or are longer than is put up with. Fills `out` in so far, with the fault as its defect (see
 * mqtt_packet_decode); OUTCOME_BAD_PACKET_ID when it cannot be acknowledged either.
 */
enum outcome mqtt_publish_defective(struct mqtt_packet *out, const struct mqtt_publish_head *head,
                                    uint8_t flags, enum mqtt_version version, uint32_t remaining_length);

enum outcome mqtt_connect_parse(struct mqtt_packet *out, struct mqtt_parse *p);
enum outcome mqtt_connack_parse(struct mqtt_packet *out, struct mqtt_parse *p);
/* SUBSCRIBE and UNSUBSCRIBE; SUBACK and UNSUBACK. The type is out->type. */
enum outcome mqtt_subscribe_parse(struct mqtt_packet *out, struct mqtt_parse *p);
enum outcome mqtt_suback_parse(struct mqtt_packet *out, struct mqtt_parse *p);

static inline enum outcome mqtt_parse_string(struct mqtt_parse *p, struct bytes *out)
{
    if (cursor_block16(&p->at, out) != READ_OK)
        return OUTCOME_MALFORMED;
    return utf8_check(*out, p->level) ? OUTCOME_ALLOWED : OUTCOME_MALFORMED_STRING;
}

static inline enum outcome mqtt_parse_packet_id(struct mqtt_parse *p, uint16_t *out)
{
    if (cursor_u16(&p->at, out) != READ_OK)
        return OUTCOME_MALFORMED;
    return *out != 0 ? OUTCOME_ALLOWED : OUTCOME_BAD_PACKET_ID;
}

static inline enum outcome mqtt_parse_end(const struct mqtt_parse *p)
{
    return cursor_left(&p->at) == 0 ? OUTCOME_ALLOWED : OUTCOME_MALFORMED;
}

#endif
