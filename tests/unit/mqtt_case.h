/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One row of a table of MQTT packets: fed in every way (mqtt_vector.h), compared with what should be
 * understood, and, when it was accepted, built again: the canonical bytes are those of the row itself unless
 * it says otherwise, and they decode to the same (D11).
 */
#ifndef TESTS_UNIT_MQTT_CASE_H
#define TESTS_UNIT_MQTT_CASE_H

#include "tests/unit/mqtt_vector.h"
#include "tests/unit/runner.h"

#define FROM_CLIENT MQTT_FROM_CLIENT
#define FROM_SERVER MQTT_FROM_SERVER

struct mqtt_case {
    const char *name;
    enum mqtt_sender sender;
    enum mqtt_version version;
    const char *packet;    /* notation */
    const char *events;    /* what the framer tells, without the last line's end */
    const char *canonical; /* notation; NULL: `packet` itself */
};

static inline bool same_bytes(struct vector a, struct vector b)
{
    return bytes_equal(bytes_of(a.at, a.len), bytes_of(b.at, b.len));
}

/* Decodes the one packet in `v` and builds it again; empty when either fails. */
static inline struct vector rebuilt(const struct mqtt_case *row, struct vector v)
{
    struct vector out = {0};
    struct mqtt_framer f;
    struct mqtt_packet packet;
    struct cursor in = cursor_of(bytes_of(v.at, v.len));
    mqtt_framer_init(&f, row->sender, row->version, UINT32_C(1) << 28, UINT32_C(1) << 28);
    if (mqtt_framer_next(&f, &in, &packet) != MQTT_STEP_PACKET)
        return out;
    enum mqtt_version version = packet.type == MQTT_CONNECT ? packet.connect.version : row->version;
    size_t bound = mqtt_build_bound(&packet);
    out.at = malloc(bound);
    out.room = bound;
    assert(out.at != NULL);
    out.len = mqtt_build(out.at, bound, &packet, version);
    if (out.len != 0 && packet.type == MQTT_PUBLISH)
        vector_add(&out, packet.publish.payload.at, packet.publish.payload.len);
    return out;
}

static inline void check_canonical(const struct mqtt_case *row, struct vector packet)
{
    struct vector expected = vector_of(row->canonical != NULL ? row->canonical : row->packet);
    struct vector once = rebuilt(row, packet);
    struct vector twice = rebuilt(row, once);
    if (!same_bytes(once, expected) || !same_bytes(twice, expected)) {
        fprintf(stderr, "\n%s: not built canonically:", row->name);
        for (size_t i = 0; i < once.len; i++)
            fprintf(stderr, " %02x", once.at[i]);
        fprintf(stderr, "\n");
        CU_FAIL("canonical form");
    }
    free(expected.at);
    free(once.at);
    free(twice.at);
}

/* Decodes `len` bytes as a body of their own, right before the end of allocated memory. */
static inline enum outcome decode_exact(const struct mqtt_case *row, uint8_t first, const uint8_t *at,
                                        size_t len, struct mqtt_packet *out, uint8_t **copy)
{
    *copy = malloc(len);
    assert(*copy != NULL);
    memcpy(*copy, at, len);
    return mqtt_packet_decode(out, first >> 4, first & 0x0F, bytes_of(*copy, len), (uint32_t)len,
                              row->version, row->sender, UTF8_SPEC);
}

/* What was accepted can be built, damaged or not. */
static inline bool accepted_and_sane(const struct mqtt_case *row, uint8_t first, const uint8_t *at,
                                     size_t len)
{
    struct mqtt_packet packet;
    uint8_t *copy;
    enum outcome outcome = decode_exact(row, first, at, len, &packet, &copy);
    if (outcome == OUTCOME_ALLOWED) {
        size_t bound = mqtt_build_bound(&packet);
        uint8_t *to = malloc(bound);
        CU_ASSERT_NOT_EQUAL(mqtt_build(to, bound, &packet, packet.version), 0);
        free(to);
    }
    free(copy);
    return outcome == OUTCOME_ALLOWED;
}

/* Where a body of this type may end before its end: nowhere but in a payload, between the entries of a list,
 * or in the short forms of MQTT 5 and the missing strings of MQTT 3.1. */
static inline bool may_end_early(const struct mqtt_case *row, const struct mqtt_packet *whole,
                                 size_t body_len, size_t cut)
{
    switch (whole->type) {
    case MQTT_CONNECT:
        return whole->connect.version == MQTT_3_1;
    case MQTT_CONNACK:
        return false;
    case MQTT_PUBLISH:
        return cut >= body_len - whole->publish.payload_bytes;
    case MQTT_SUBSCRIBE:
    case MQTT_SUBACK:
    case MQTT_UNSUBSCRIBE:
    case MQTT_UNSUBACK:
        return cut > body_len - whole->list.len;
    case MQTT_AUTH:
        return cut == 0 && row->sender == MQTT_FROM_SERVER;
    default:
        return row->version == MQTT_5 && cut <= 3;
    }
}

/* Every body cut at every byte, and every pair of its bytes taken for a length that is off by one or huge. */
static inline void check_damaged(const struct mqtt_case *row, struct vector packet)
{
    struct cursor c = cursor_of(bytes_of(packet.at + 1, packet.len - 1));
    struct mqtt_packet whole;
    uint8_t *copy;
    uint32_t len = 0;
    CU_ASSERT_EQUAL_FATAL(cursor_vbi(&c, &len), READ_OK);
    uint8_t first = packet.at[0], *body = packet.at + (packet.len - len);
    CU_ASSERT_EQUAL_FATAL(decode_exact(row, first, body, len, &whole, &copy), OUTCOME_ALLOWED);
    for (size_t cut = 0; cut < len; cut++)
        if (accepted_and_sane(row, first, body, cut) && !may_end_early(row, &whole, len, cut)) {
            fprintf(stderr, "\n%s: accepted when cut at %zu\n", row->name, cut);
            CU_FAIL("cut");
        }
    free(copy);
    for (size_t i = 0; i + 1 < len; i++) {
        uint8_t high = body[i], low = body[i + 1];
        uint16_t was = (uint16_t)(high << 8 | low);
        const uint16_t lengths[] = {(uint16_t)(was + 1), (uint16_t)(was - 1), 0, 0x7FFF, 0xFFFF};
        for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
            body[i] = (uint8_t)(lengths[k] >> 8);
            body[i + 1] = (uint8_t)lengths[k];
            accepted_and_sane(row, first, body, len);
        }
        body[i] = high;
        body[i + 1] = low;
    }
}

static inline void check_case(const struct mqtt_case *row, enum utf8_level level)
{
    struct feed feed = {.sender = row->sender, .version = row->version, .utf8 = level};
    struct vector packet = vector_of(row->packet);
    char *events = feed_every_way(&feed, bytes_of(packet.at, packet.len));
    size_t n = strlen(row->events);
    bool as_expected =
        events != NULL && strncmp(events, row->events, n) == 0 && strcmp(events + n, "\n") == 0;
    if (!as_expected) {
        fprintf(stderr, "\n%s: expected\n%s\ngot\n%s", row->name, row->events,
                events != NULL ? events : "-\n");
        CU_FAIL("events");
    } else if (strncmp(row->events, "fault", 5) != 0) {
        check_canonical(row, packet);
        check_damaged(row, packet);
    }
    free(events);
    free(packet.at);
    CU_PASS("row done");
}

#define CHECK_CASES(rows)                                                                                    \
    for (size_t row_ = 0; row_ < sizeof(rows) / sizeof((rows)[0]); row_++)                                   \
    check_case(&(rows)[row_], UTF8_SPEC)

#endif
