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
    }
    free(events);
    free(packet.at);
    CU_PASS("row done");
}

#define CHECK_CASES(rows)                                                                                    \
    for (size_t row_ = 0; row_ < sizeof(rows) / sizeof((rows)[0]); row_++)                                   \
    check_case(&(rows)[row_], UTF8_SPEC)

#endif
