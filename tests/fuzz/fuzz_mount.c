/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mount points: packets of clients with the prefix on, built, decoded, and with it off again (C5); and what
 * an upstream sends with it off. Input: a byte of choices, the length of the prefix, the prefix, then a
 * stream of packets.
 *
 * What must hold: nothing is written past the room; what went up decodes, every topic in it lies below the
 * prefix or begins with '$', and taking the prefix off gives back the very topic; what comes down neither is
 * empty nor begins with '$' unless it did before.
 */
#include "policy/access/topic.h"
#include "policy/mqtt/build.h"
#include "policy/mqtt/cloud.h"
#include "policy/mqtt/frame.h"
#include "policy/mqtt/mount.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM (1U << 18)

static void require(bool good)
{
    if (!good)
        abort();
}

static bool outside(struct bytes name)
{
    return name.len == 0 || name.at[0] == '$';
}

static bool below(struct bytes prefix, struct bytes name, struct bytes rest)
{
    return name.len == prefix.len + rest.len && memcmp(name.at, prefix.at, prefix.len) == 0 &&
           (rest.len == 0 || memcmp(name.at + prefix.len, rest.at, rest.len) == 0);
}

/* Built and decoded again, as the upstream would. */
static bool again(const struct mqtt_packet *p, struct mqtt_packet *out, uint8_t *bytes)
{
    struct mqtt_framer f;
    size_t n = mqtt_build(bytes, ROOM, p, p->version);
    if (n == 0)
        return false;
    if (p->type == MQTT_PUBLISH && p->publish.payload.len != 0) {
        require(p->publish.payload.len <= ROOM - n);
        memcpy(bytes + n, p->publish.payload.at, p->publish.payload.len);
        n += p->publish.payload.len;
    }
    struct cursor in = {.at = bytes, .end = bytes + n};
    mqtt_framer_init(&f, MQTT_FROM_CLIENT, p->type == MQTT_CONNECT ? MQTT_VERSION_UNKNOWN : p->version,
                     UINT32_MAX, UINT32_MAX);
    out->version = MQTT_VERSION_UNKNOWN;
    return mqtt_framer_next(&f, &in, out) == MQTT_STEP_PACKET;
}

static void check_list(struct bytes prefix, const struct mqtt_packet *own, const struct mqtt_packet *up)
{
    struct cursor a = cursor_of(own->list), b = cursor_of(up->list);
    struct mqtt_filter x, y;
    require(own->list_count == up->list_count);
    while (mqtt_filter_next(&a, own->type, &x)) {
        struct topic_share sx, sy;
        require(mqtt_filter_next(&b, up->type, &y) && x.qos == y.qos);
        if (!topic_share_parse(x.filter, &sx))
            continue;
        require(topic_share_parse(y.filter, &sy) && sx.shared == sy.shared &&
                bytes_equal(sx.group, sy.group));
        require(outside(sx.inner) ? bytes_equal(x.filter, y.filter) : below(prefix, sy.inner, sx.inner));
    }
    require(!mqtt_filter_next(&b, up->type, &y));
}

static void check_up(struct bytes prefix, const struct mqtt_packet *own, uint8_t *names, uint8_t *bytes,
                     size_t room)
{
    struct mqtt_packet up = *own, seen, down;
    names[room] = 0xA5;
    bool good = mqtt_mount_up(prefix, &up, names, room);
    require(names[room] == 0xA5);
    if (!good || !again(&up, &seen, bytes))
        return;
    if (own->type == MQTT_SUBSCRIBE || own->type == MQTT_UNSUBSCRIBE)
        check_list(prefix, own, &seen);
    if (own->type != MQTT_PUBLISH || own->publish.topic.len == 0)
        return;
    struct bytes inner = own->publish.topic;
    (void)topic_publish_parse(own->publish.topic, &inner);
    down = seen;
    if (outside(own->publish.topic))
        return;
    require(below(prefix, seen.publish.topic, own->publish.topic) && bytes_equal(inner, own->publish.topic));
    require(mqtt_mount_down(prefix, &down) && bytes_equal(down.publish.topic, own->publish.topic));
}

static void check_down(struct bytes prefix, const struct mqtt_packet *theirs)
{
    struct mqtt_packet down = *theirs;
    if (theirs->type != MQTT_PUBLISH || !mqtt_mount_down(prefix, &down))
        return;
    require(down.publish.topic.len != 0);
    require(outside(theirs->publish.topic) == outside(down.publish.topic));
}

/* No answer is asked for but that nothing is read where it must not be. */
static void check_cloud(struct bytes prefix, const struct mqtt_packet *p)
{
    for (int profile = CLOUD_PLAIN; profile <= CLOUD_PROFILES; profile++) {
        struct cloud_session s = {
            .profile = (enum cloud_profile)profile, .client_id = prefix, .mount = prefix};
        if (p->type == MQTT_PUBLISH)
            (void)cloud_judge_publish(&s, p->publish.topic, p->publish.retain, false,
                                      p->publish.payload_bytes);
        struct cursor list = cursor_of(p->list);
        struct mqtt_filter entry;
        while (p->type == MQTT_SUBSCRIBE && mqtt_filter_next(&list, p->type, &entry))
            (void)cloud_judge_filter(&s, entry.filter);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum mqtt_version versions[] = {MQTT_3_1, MQTT_3_1_1, MQTT_5, MQTT_VERSION_UNKNOWN};
    static uint8_t names[ROOM + 1], bytes[ROOM];
    if (size < 2 || size > 60000 || (size_t)data[1] + 2 > size)
        return 0;
    struct bytes prefix = bytes_of(data + 2, data[1]);
    enum mqtt_sender sender = (data[0] & 4) != 0 ? MQTT_FROM_SERVER : MQTT_FROM_CLIENT;
    size_t room = (data[0] & 8) != 0 ? data[0] >> 4 : ROOM;
    if (mqtt_mount_check(prefix) != NULL)
        return 0;
    /* A copy of its own, so that reading past it is seen. */
    size_t n = size - 2 - prefix.len;
    uint8_t *copy = malloc(n + 1);
    require(copy != NULL);
    memcpy(copy, data + 2 + prefix.len, n);
    struct mqtt_framer f;
    struct mqtt_packet p;
    struct cursor in = {.at = copy, .end = copy + n};
    mqtt_framer_init(&f, sender, versions[data[0] & 3], UINT32_MAX, UINT32_MAX);
    p.version = MQTT_VERSION_UNKNOWN;
    while (mqtt_framer_next(&f, &in, &p) == MQTT_STEP_PACKET) {
        if (sender == MQTT_FROM_CLIENT)
            check_up(prefix, &p, names, bytes, room);
        else
            check_down(prefix, &p);
        if (p.type == MQTT_PUBLISH || p.type == MQTT_SUBSCRIBE)
            check_cloud(prefix, &p);
        if (p.type == MQTT_CONNECT)
            break;
    }
    free(copy);
    return 0;
}
