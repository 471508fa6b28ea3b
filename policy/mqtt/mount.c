/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/mqtt/mount.h"

#include "policy/access/topic.h"
#include "policy/mqtt/build.h"

#define NAME_BYTES_MAX 65535

const char *mqtt_mount_check(struct bytes prefix)
{
    if (prefix.len == 0 || prefix.at[prefix.len - 1] != '/')
        return "a mount point ends with '/'; add it";
    if (prefix.at[0] == '$')
        return "a mount point does not begin with '$'; choose another name";
    if (memchr(prefix.at, '+', prefix.len) != NULL || memchr(prefix.at, '#', prefix.len) != NULL)
        return "a mount point holds no '+' or '#'; remove them";
    if (!utf8_check(prefix, UTF8_STRICT))
        return "a mount point is printable UTF-8; correct it";
    return NULL;
}

/* ---- up ----------------------------------------------------------------------------------------------- */

struct writer {
    uint8_t *at;
    size_t room;
};

static bool write(struct writer *w, struct bytes piece)
{
    if (piece.len > w->room)
        return false;
    if (piece.len != 0)
        memcpy(w->at, piece.at, piece.len);
    w->at += piece.len;
    w->room -= piece.len;
    return true;
}

/* `name`, whose part from `inner` on gets the prefix. */
static bool prefixed(struct writer *w, struct bytes prefix, struct bytes name, struct bytes inner,
                     struct bytes *out)
{
    uint8_t *begin = w->at;
    *out = name;
    if (inner.len != 0 && inner.at[0] == '$')
        return true;
    size_t before = (size_t)(inner.at - name.at);
    if (!write(w, bytes_of(name.at, before)) || !write(w, prefix) ||
        !write(w, bytes_of(inner.at, name.len - before)))
        return false;
    *out = bytes_of(begin, (size_t)(w->at - begin));
    return out->len <= NAME_BYTES_MAX;
}

static bool prefixed_topic(struct writer *w, struct bytes prefix, struct bytes *topic)
{
    struct bytes inner = *topic;
    (void)topic_publish_parse(*topic, &inner);
    return topic->len == 0 || prefixed(w, prefix, *topic, inner, topic);
}

static bool prefixed_response(struct writer *w, struct bytes prefix, struct mqtt_properties *properties)
{
    return (properties->present & MQTT_PROP_BIT(MQTT_PROP_RESPONSE_TOPIC)) == 0 ||
           prefixed_topic(w, prefix, &properties->response_topic);
}

/* Entries are built from names that are written to the end of the room first. */
static bool prefixed_list(struct writer *w, struct bytes prefix, struct mqtt_packet *p)
{
    struct cursor list = cursor_of(p->list);
    struct mqtt_filter entry;
    uint8_t *begin = w->at;
    while (mqtt_filter_next(&list, p->type, &entry)) {
        struct topic_share share = {.inner = entry.filter};
        struct writer name = *w;
        if (!topic_share_parse(entry.filter, &share))
            share.inner = entry.filter;
        /* Beyond where the entry itself will be written: at most this plus its length and options. */
        size_t most = entry.filter.len + prefix.len + 3;
        if (name.room < most)
            return false;
        name.at += most;
        name.room -= most;
        if (!prefixed(&name, prefix, entry.filter, share.inner, &entry.filter))
            return false;
        size_t n = mqtt_build_filter(w->at, most, p->type, p->version, &entry);
        if (n == 0)
            return false;
        w->at += n;
        w->room -= n;
    }
    p->list = bytes_of(begin, (size_t)(w->at - begin));
    return true;
}

bool mqtt_mount_up(struct bytes prefix, struct mqtt_packet *p, uint8_t *to, size_t room)
{
    struct writer w = {.at = to, .room = room};
    switch (p->type) {
    case MQTT_CONNECT:
        return !p->connect.will.present || (prefixed_topic(&w, prefix, &p->connect.will.topic) &&
                                            prefixed_response(&w, prefix, &p->connect.will.properties));
    case MQTT_PUBLISH:
        return prefixed_topic(&w, prefix, &p->publish.topic) && prefixed_response(&w, prefix, &p->properties);
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
        return prefixed_list(&w, prefix, p);
    default:
        return true;
    }
}

/* ---- down --------------------------------------------------------------------------------------------- */

/* False when it is outside. */
static bool strip(struct bytes prefix, struct bytes *name)
{
    if (name->len != 0 && name->at[0] == '$')
        return true;
    bool under = name->len > prefix.len && memcmp(name->at, prefix.at, prefix.len) == 0;
    /* What begins with '$' at the client would be taken for the upstream's own. */
    if (!under || name->at[prefix.len] == '$')
        return false;
    *name = bytes_of(name->at + prefix.len, name->len - prefix.len);
    return true;
}

static void strip_property(struct bytes prefix, struct mqtt_properties *properties,
                           enum mqtt_property property, struct bytes *value)
{
    if ((properties->present & MQTT_PROP_BIT(property)) != 0 && !strip(prefix, value))
        properties->present &= ~MQTT_PROP_BIT(property);
}

static void take_off(struct bytes prefix, struct bytes *name)
{
    struct bytes inner = *name;
    (void)topic_publish_parse(*name, &inner);
    if (strip(prefix, &inner))
        *name = inner;
}

void mqtt_mount_off(struct bytes prefix, struct mqtt_will *will)
{
    take_off(prefix, &will->topic);
    if ((will->properties.present & MQTT_PROP_BIT(MQTT_PROP_RESPONSE_TOPIC)) != 0)
        take_off(prefix, &will->properties.response_topic);
}

bool mqtt_mount_down(struct bytes prefix, struct mqtt_packet *p)
{
    struct mqtt_properties *properties = &p->properties;
    if (p->type == MQTT_CONNACK)
        strip_property(prefix, properties, MQTT_PROP_RESPONSE_INFO, &properties->response_info);
    if (p->type != MQTT_PUBLISH)
        return true;
    strip_property(prefix, properties, MQTT_PROP_RESPONSE_TOPIC, &properties->response_topic);
    return strip(prefix, &p->publish.topic);
}
