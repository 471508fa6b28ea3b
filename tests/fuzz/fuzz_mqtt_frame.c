/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stream through the framer, in slices and whole: the events must be the same (D1).
 *
 * Input: one byte of sender, version, level, hold and defects, the sizes of the first slice and of the
 * others, one byte of limits, then the stream.
 */
#include "tests/unit/mqtt_vector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool ends_unfinished(const char *events)
{
    static const char unfinished[] = "unfinished\n";
    size_t len = strlen(events), n = sizeof(unfinished) - 1;
    return len >= n && strcmp(events + len - n, unfinished) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum mqtt_version versions[] = {MQTT_VERSION_UNKNOWN, MQTT_3_1, MQTT_3_1_1, MQTT_5};
    if (size < 5)
        return 0;
    struct feed feed = {
        .sender = (data[0] & 1) != 0 ? MQTT_FROM_SERVER : MQTT_FROM_CLIENT,
        .version = versions[data[0] >> 1 & 3],
        .utf8 = (data[0] & 8) != 0 ? UTF8_STRICT : UTF8_SPEC,
        .packet_limit_bytes = (data[3] & 15) == 15 ? 0 : 1u << (data[3] & 15),
        .head_limit_bytes = data[3] >> 4 == 15 ? 0 : 1u << (data[3] >> 4),
    };
    feed.pass_defects = (data[0] & 32) != 0;
    bool hold = (data[0] & 16) != 0;
    size_t first = data[1] != 0 ? data[1] : 1, rest = data[2] != 0 ? data[2] : 1;
    struct bytes stream = bytes_of(data + 4, size - 4);
    char *whole = feed_all(&feed, stream, stream.len, stream.len);
    feed.hold = hold;
    char *sliced = feed_all(&feed, stream, first, rest);
    /* Held, the last PUBLISH is not told before it is whole. */
    if (!(hold && ends_unfinished(whole)) && strcmp(whole, sliced) != 0) {
        fprintf(stderr, "whole:\n%ssliced:\n%s", whole, sliced);
        abort();
    }
    free(whole);
    free(sliced);
    return 0;
}
