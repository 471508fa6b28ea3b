/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test vectors of MQTT: a small notation for packets, and a feeder that cuts them into slices in every way
 * and writes down what the framer made of them.
 *
 * Notation: pairs of hex digits are bytes, 'text' is text, [ ... ] is preceded by its 16-bit length, < ... >
 * by its length as a Variable Byte Integer, { N ... } repeats what follows N (decimal) times. Blanks do not
 * count: 10 < ['MQTT'] 05 02 003C <> ['id'] >
 *
 * Every slice and every lent buffer is allocated at its exact size and freed as soon as the contract allows,
 * so that the sanitizer sees each byte too many and each borrowed byte that was used too long.
 */
#ifndef TESTS_UNIT_MQTT_VECTOR_H
#define TESTS_UNIT_MQTT_VECTOR_H

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/mqtt/build.h"
#include "policy/mqtt/frame.h"

/* ---- notation
 * ---------------------------------------------------------------------------------------------- */

struct vector {
    uint8_t *at;
    size_t len, room;
};

static inline void vector_add(struct vector *v, const void *at, size_t n)
{
    if (n == 0)
        return;
    if (n > v->room - v->len) {
        v->room = 2 * (v->len + n);
        v->at = realloc(v->at, v->room);
        assert(v->at != NULL);
    }
    memcpy(v->at + v->len, at, n);
    v->len += n;
}

static inline void vector_add_byte(struct vector *v, unsigned int byte)
{
    uint8_t b = (uint8_t)byte;
    vector_add(v, &b, 1);
}

static inline void vector_add_vbi(struct vector *v, size_t value)
{
    for (; value >= 0x80; value >>= 7)
        vector_add_byte(v, (unsigned int)(value | 0x80) & 0xFF);
    vector_add_byte(v, (unsigned int)value);
}

static inline unsigned int vector_hex(char c)
{
    return (unsigned int)(isdigit((unsigned char)c) ? c - '0' : toupper((unsigned char)c) - 'A' + 10);
}

/* Reads up to the closing character (or the end); answers what follows it. */
static inline const char *vector_read(struct vector *v, const char *text, char close)
{
    while (*text != close) {
        struct vector inner = {0};
        char c = *text++;
        assert(c != '\0');
        if (c == ' ' || c == '\n')
            continue;
        if (c == '\'') {
            const char *end = strchr(text, '\'');
            assert(end != NULL);
            vector_add(v, text, (size_t)(end - text));
            text = end + 1;
        } else if (c == '[') {
            text = vector_read(&inner, text, ']');
            vector_add_byte(v, inner.len >> 8 & 0xFF);
            vector_add_byte(v, inner.len & 0xFF);
            vector_add(v, inner.at, inner.len);
        } else if (c == '<') {
            text = vector_read(&inner, text, '>');
            vector_add_vbi(v, inner.len);
            vector_add(v, inner.at, inner.len);
        } else if (c == '{') {
            char *after;
            unsigned long times = strtoul(text, &after, 10);
            text = vector_read(&inner, after, '}');
            for (unsigned long i = 0; i < times; i++)
                vector_add(v, inner.at, inner.len);
        } else {
            assert(isxdigit((unsigned char)c) && isxdigit((unsigned char)*text));
            vector_add_byte(v, vector_hex(c) << 4 | vector_hex(*text++));
        }
        free(inner.at);
    }
    return close == '\0' ? text : text + 1;
}

static inline struct vector vector_of(const char *notation)
{
    struct vector v = {0};
    vector_read(&v, notation, '\0');
    return v;
}

/* ---- events in words
 * --------------------------------------------------------------------------------------- */

static inline void say(struct vector *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void say(struct vector *to, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    assert(n >= 0 && (size_t)n < sizeof(line));
    vector_add(to, line, (size_t)n);
}

static inline void say_bytes(struct vector *to, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.at[i] > 0x20 && bytes.at[i] < 0x7F && bytes.at[i] != '\\')
            vector_add_byte(to, bytes.at[i]);
        else
            say(to, "\\%02x", bytes.at[i]);
    }
}

static inline void say_field(struct vector *to, const char *name, struct bytes bytes)
{
    say(to, " %s=", name);
    say_bytes(to, bytes);
}

static inline void say_properties(struct vector *to, const struct mqtt_properties *p)
{
    struct cursor list = cursor_of(p->list);
    struct bytes name, value;
    uint32_t id;
#define HAS(property) ((p->present & MQTT_PROP_BIT(MQTT_PROP_##property)) != 0)
#define SAY_NUMBER(property, field)                                                                          \
    if (HAS(property))                                                                                       \
    say(to, " " #field "=%u", (unsigned int)p->field)
#define SAY_TEXT(property, field)                                                                            \
    if (HAS(property))                                                                                       \
    say_field(to, #field, p->field)
    SAY_NUMBER(PAYLOAD_FORMAT, payload_format);
    SAY_NUMBER(MESSAGE_EXPIRY, message_expiry_s);
    SAY_TEXT(CONTENT_TYPE, content_type);
    SAY_TEXT(RESPONSE_TOPIC, response_topic);
    SAY_TEXT(CORRELATION_DATA, correlation_data);
    while (HAS(SUBSCRIPTION_ID) && mqtt_subscription_id_next(&list, &id))
        say(to, " subscription_id=%u", id);
    SAY_NUMBER(SESSION_EXPIRY, session_expiry_s);
    SAY_TEXT(ASSIGNED_CLIENT_ID, assigned_client_id);
    SAY_NUMBER(SERVER_KEEP_ALIVE, server_keep_alive_s);
    SAY_TEXT(AUTH_METHOD, auth_method);
    SAY_TEXT(AUTH_DATA, auth_data);
    SAY_NUMBER(REQUEST_PROBLEM, request_problem);
    SAY_NUMBER(WILL_DELAY, will_delay_s);
    SAY_NUMBER(REQUEST_RESPONSE, request_response);
    SAY_TEXT(RESPONSE_INFO, response_info);
    SAY_TEXT(SERVER_REFERENCE, server_reference);
    SAY_TEXT(REASON_STRING, reason_string);
    SAY_NUMBER(RECEIVE_MAXIMUM, receive_maximum);
    SAY_NUMBER(TOPIC_ALIAS_MAX, topic_alias_max);
    SAY_NUMBER(TOPIC_ALIAS, topic_alias);
    SAY_NUMBER(MAXIMUM_QOS, maximum_qos);
    SAY_NUMBER(RETAIN_AVAILABLE, retain_available);
    SAY_NUMBER(MAX_PACKET_SIZE, max_packet_bytes);
    SAY_NUMBER(WILDCARD_AVAILABLE, wildcard_available);
    SAY_NUMBER(SUB_ID_AVAILABLE, sub_id_available);
    SAY_NUMBER(SHARED_AVAILABLE, shared_available);
    list = cursor_of(p->list);
    unsigned int users = 0;
    while (HAS(USER_PROPERTY) && mqtt_user_property_next(&list, &name, &value)) {
        say_field(to, "user", name);
        say_field(to, "is", value);
        users++;
    }
    assert(users == p->user_property_count);
}

static inline void say_connect(struct vector *to, const struct mqtt_packet *packet)
{
    const struct mqtt_connect *c = &packet->connect;
    say(to, " version=%u clean=%d keep_alive=%u", (unsigned int)c->version, c->clean_start, c->keep_alive_s);
    say_field(to, "id", c->client_id);
    if (c->has_user_name)
        say_field(to, "user_name", c->user_name);
    if (c->has_password)
        say_field(to, "password", c->password);
    say_properties(to, &packet->properties);
    if (!c->will.present)
        return;
    say(to, " will qos=%u retain=%d", c->will.qos, c->will.retain);
    say_field(to, "topic", c->will.topic);
    say_field(to, "payload", c->will.payload);
    say_properties(to, &c->will.properties);
}

static inline void say_list(struct vector *to, const struct mqtt_packet *packet)
{
    struct cursor list = cursor_of(packet->list);
    struct mqtt_filter entry;
    unsigned int n = 0;
    if (packet->type == MQTT_SUBACK || packet->type == MQTT_UNSUBACK) {
        for (; n < packet->list.len; n++)
            say(to, " %02x", packet->list.at[n]);
    } else {
        for (; mqtt_filter_next(&list, packet->type, &entry); n++) {
            say_field(to, "filter", entry.filter);
            if (packet->type == MQTT_SUBSCRIBE)
                say(to, " qos=%u%s%s rh=%u", entry.qos, entry.no_local ? " nl" : "",
                    entry.retain_as_published ? " rap" : "", entry.retain_handling);
        }
    }
    assert(n == packet->list_count);
}

/* One line, without its end; of a PUBLISH up to its payload. */
static inline void say_packet(struct vector *to, const struct mqtt_packet *packet)
{
    say(to, "%s", mqtt_type_name(packet->type));
    if (packet->packet_id != 0)
        say(to, " id=%u", packet->packet_id);
    if (packet->reason_code != 0)
        say(to, " code=%02x", packet->reason_code);
    switch (packet->type) {
    case MQTT_CONNECT:
        say_connect(to, packet);
        return;
    case MQTT_CONNACK:
        say(to, " present=%d", packet->connack.session_present);
        break;
    case MQTT_PUBLISH:
        say(to, " qos=%u dup=%d retain=%d", packet->publish.qos, packet->publish.dup, packet->publish.retain);
        say_field(to, "topic", packet->publish.topic);
        break;
    default:
        break;
    }
    say_properties(to, &packet->properties);
    say_list(to, packet);
    if (packet->type == MQTT_PUBLISH)
        say(to, " bytes=%u payload=", packet->publish.payload_bytes);
}

/* ---- feeding
 * ----------------------------------------------------------------------------------------------- */

struct feed {
    enum mqtt_sender sender;
    enum mqtt_version version;
    enum utf8_level utf8;
    uint32_t packet_limit_bytes, head_limit_bytes; /* 0: 2^28 and 2^20 */
    bool hold;                                     /* hold every PUBLISH that does not come whole */
    bool pass_defects;                             /* likewise of the framer; those are never held */
    bool skips;                                    /* private: the payload of such a one */
    uint32_t most_lent;                            /* out: the largest buffer asked for */
};

/* Takes one slice; false after a fault. */
static inline bool feed_slice(struct feed *feed, struct mqtt_framer *f, uint8_t **lent, const uint8_t *at,
                              size_t len, struct vector *events)
{
    uint8_t *slice = malloc(len);
    struct cursor in = {.at = slice, .end = slice + len};
    bool going = true;
    struct mqtt_packet packet;
    memset(&packet, 0xA5, sizeof(packet)); /* a field that was not set shows */
    assert(slice != NULL);
    memcpy(slice, at, len);
    for (;;) {
        enum mqtt_step step = mqtt_framer_next(f, &in, &packet);
        if (step == MQTT_STEP_NEED_MORE) {
            assert(cursor_left(&in) == 0);
            break;
        }
        if (step == MQTT_STEP_FAULT) {
            struct mqtt_packet again;
            assert(mqtt_framer_next(f, &in, &again) == MQTT_STEP_FAULT);
            say(events, "fault %s\n", outcome_id(f->fault));
            going = false;
            break;
        }
        if (step == MQTT_STEP_NEED_BUFFER) {
            uint8_t *bigger = malloc(f->want);
            assert(bigger != NULL);
            if (f->want > feed->most_lent)
                feed->most_lent = f->want;
            mqtt_framer_lend(f, bigger, f->want);
            free(*lent);
            *lent = bigger;
            continue;
        }
        bool publish = step != MQTT_STEP_PAYLOAD && packet.type == MQTT_PUBLISH;
        if (publish || step != MQTT_STEP_PAYLOAD)
            feed->skips = publish && packet.defect != OUTCOME_ALLOWED;
        if (publish && feed->skips) {
            say(events, "defect %s qos=%u id=%u", outcome_id((enum outcome)packet.defect), packet.publish.qos,
                packet.packet_id);
            say_field(events, "topic", packet.publish.topic);
            say(events, "\n");
        }
        if (step == MQTT_STEP_PUBLISH && feed->hold && !feed->skips) {
            mqtt_framer_hold(f, &in);
            continue;
        }
        if (feed->skips)
            goto idle;
        if (step != MQTT_STEP_PAYLOAD)
            say_packet(events, &packet);
        if (step == MQTT_STEP_PAYLOAD || packet.type == MQTT_PUBLISH)
            say_bytes(events, packet.publish.payload);
        if (step == MQTT_STEP_PACKET || (step == MQTT_STEP_PAYLOAD && f->payload_left == 0))
            say(events, "\n");
        if (step == MQTT_STEP_PACKET && packet.type == MQTT_CONNECT && f->version == MQTT_VERSION_UNKNOWN)
            f->version = packet.connect.version;
    idle:
        /* An idle framer owns nothing. */
        if (mqtt_framer_idle(f) && *lent != NULL) {
            assert(mqtt_framer_reclaim(f) == *lent);
            free(*lent);
            *lent = NULL;
        }
    }
    free(slice);
    return going;
}

/* Feeds `bytes` in slices: the first `first` bytes, then slices of `rest`. Answers the events as text that
 * ends with a zero byte; the caller frees it. */
static inline char *feed_all(struct feed *feed, struct bytes bytes, size_t first, size_t rest)
{
    struct vector events = {0};
    struct mqtt_framer f;
    uint8_t *lent = NULL;
    mqtt_framer_init(&f, feed->sender, feed->version,
                     feed->packet_limit_bytes != 0 ? feed->packet_limit_bytes : UINT32_C(1) << 28,
                     feed->head_limit_bytes != 0 ? feed->head_limit_bytes : UINT32_C(1) << 20);
    f.utf8 = feed->utf8;
    f.pass_defects = feed->pass_defects;
    feed->skips = false;
    size_t at = 0, n = first;
    bool going = true;
    while (going && at < bytes.len) {
        if (n > bytes.len - at)
            n = bytes.len - at;
        going = feed_slice(feed, &f, &lent, bytes.at + at, n, &events);
        at += n;
        n = rest;
    }
    if (going && !mqtt_framer_idle(&f))
        say(&events, "unfinished\n");
    if (lent != NULL)
        assert(mqtt_framer_reclaim(&f) == lent);
    free(lent);
    vector_add_byte(&events, 0);
    return (char *)events.at;
}

/*
 * Feeds `bytes` whole, split in two at every byte, one byte at a time, and the same with every PUBLISH held.
 * NULL when they do not all tell the same; the caller frees the text.
 */
static inline char *feed_every_way(struct feed *feed, struct bytes bytes)
{
    char *whole = feed_all(feed, bytes, bytes.len, bytes.len);
    bool alike = true;
    for (int hold = 0; hold < 2; hold++) {
        for (size_t split = 0; split < bytes.len; split++) {
            feed->hold = hold != 0;
            /* Split 0 stands for one byte at a time. */
            char *text = feed_all(feed, bytes, split == 0 ? 1 : split, split == 0 ? 1 : bytes.len);
            if (strcmp(text, whole) != 0) {
                fprintf(stderr, "split at %zu, hold %d:\n%swhole:\n%s", split, hold, text, whole);
                alike = false;
            }
            free(text);
        }
    }
    feed->hold = false;
    if (alike)
        return whole;
    free(whole);
    return NULL;
}

#endif
