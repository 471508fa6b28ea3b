/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decode, build, decode: whatever is accepted is built, in no more than its bound, to bytes that mean the
 * same and that build to themselves (D11). Built for another version it must decode there too, or not be
 * built.
 *
 * Input: first byte of the fixed header, one byte of sender, version and level, then the body.
 */
#include "tests/unit/mqtt_vector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The body of a built packet, after its fixed header; the payload of a PUBLISH is appended by the caller. */
static struct bytes body_of(struct vector built)
{
    struct cursor c = cursor_of(bytes_of(built.at + 1, built.len - 1));
    uint32_t length;
    if (cursor_vbi(&c, &length) != READ_OK || length != cursor_left(&c))
        abort();
    return bytes_of(c.at, length);
}

static struct vector build(const struct mqtt_packet *packet, enum mqtt_version version)
{
    size_t bound = mqtt_build_bound(packet);
    struct vector out = {.at = malloc(bound), .room = bound};
    if (out.at == NULL)
        abort();
    out.len = mqtt_build(out.at, bound, packet, version);
    if (out.len != 0 && packet->type == MQTT_PUBLISH)
        vector_add(&out, packet->publish.payload.at, packet->publish.payload.len);
    return out;
}

static enum outcome decode(struct mqtt_packet *packet, unsigned int first, struct bytes body,
                           enum mqtt_version version, enum mqtt_sender sender, enum utf8_level level)
{
    memset(packet, 0xA5, sizeof(*packet));
    return mqtt_packet_decode(packet, first >> 4, first & 0x0F, body, (uint32_t)body.len, version, sender,
                              level);
}

static char *words_of(const struct mqtt_packet *packet)
{
    struct vector words = {0};
    say_packet(&words, packet);
    if (packet->type == MQTT_PUBLISH)
        say_bytes(&words, packet->publish.payload);
    vector_add_byte(&words, 0);
    return (char *)words.at;
}

static void check_same_version(const struct mqtt_packet *packet, enum mqtt_version before,
                               enum mqtt_sender sender, enum utf8_level level)
{
    struct mqtt_packet again;
    struct vector once = build(packet, packet->version);
    if (once.len == 0 || decode(&again, once.at[0], body_of(once), before, sender, level) != OUTCOME_ALLOWED)
        abort();
    char *words = words_of(packet), *words_again = words_of(&again);
    struct vector twice = build(&again, again.version);
    if (strcmp(words, words_again) != 0 ||
        !bytes_equal(bytes_of(once.at, once.len), bytes_of(twice.at, twice.len)))
        abort();
    free(words);
    free(words_again);
    free(once.at);
    free(twice.at);
}

static void check_other_version(const struct mqtt_packet *packet, enum mqtt_version version,
                                enum mqtt_sender sender, enum utf8_level level)
{
    struct mqtt_packet other;
    struct vector built = build(packet, version);
    /* A server's DISCONNECT is of MQTT 5 alone, and a client identifier may be one only there. */
    if (built.len != 0 && !(packet->type == MQTT_DISCONNECT && sender == MQTT_FROM_SERVER)) {
        enum mqtt_version before = packet->type == MQTT_CONNECT ? MQTT_VERSION_UNKNOWN : version;
        enum outcome outcome = decode(&other, built.at[0], body_of(built), before, sender, level);
        if (outcome != OUTCOME_ALLOWED && !(packet->type == MQTT_CONNECT && outcome == OUTCOME_BAD_CLIENT_ID))
            abort();
    }
    free(built.at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum mqtt_version versions[] = {MQTT_VERSION_UNKNOWN, MQTT_3_1, MQTT_3_1_1, MQTT_5};
    struct mqtt_packet packet;
    if (size < 2)
        return 0;
    enum mqtt_sender sender = (data[1] & 1) != 0 ? MQTT_FROM_SERVER : MQTT_FROM_CLIENT;
    enum mqtt_version version = versions[data[1] >> 1 & 3];
    enum utf8_level level = (data[1] & 8) != 0 ? UTF8_STRICT : UTF8_SPEC;
    if (decode(&packet, data[0], bytes_of(data + 2, size - 2), version, sender, level) != OUTCOME_ALLOWED)
        return 0;
    check_same_version(&packet, version, sender, level);
    for (size_t v = 1; v < 4; v++)
        check_other_version(&packet, versions[v], sender, level);
    return 0;
}
