/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Topics that CoAP devices read and observe: subscriptions, last messages, answers made of them. */
#include "policy/coap/build.h"
#include "policy/mqtt/build.h"

#include "gateway/coap_mqtt.h"

#define BLOCK_BYTES 1024
#define SEQUENCE_MASK UINT32_C(0xFFFFFF)
#define SUBSCRIBE_ROOM (64 + COAP_MQTT_NAME_MAX)

/* ---- topics ----------------------------------------------------------------------------------------------
 */

static struct bytes name_of(const struct coap_mqtt_topic *topic)
{
    return bytes_of(topic->name, topic->name_len);
}

static struct coap_mqtt_topic *find(struct coap_mqtt *m, struct bytes name)
{
    struct coap_mqtt_topic *topic;
    TAILQ_FOREACH (topic, &m->topics, of_session)
        if (bytes_equal(name_of(topic), name))
            return topic;
    return NULL;
}

static void topic_free(struct coap_mqtt *m, struct coap_mqtt_topic *topic)
{
    struct coap_relays *r = m->leg->relays;
    TAILQ_REMOVE(&m->topics, topic, of_session);
    m->topics_n--;
    coap_drop_bytes(r, &topic->name, &topic->name_len);
    coap_drop_bytes(r, &topic->message, &topic->message_len);
    slab_free(r->topics, topic);
}

void coap_mqtt_free_topics(struct coap_mqtt *m)
{
    struct coap_mqtt_topic *topic;
    while ((topic = TAILQ_FIRST(&m->topics)) != NULL)
        topic_free(m, topic);
}

/* SUBSCRIBE or UNSUBSCRIBE for one topic. */
static bool ask(struct coap_mqtt *m, enum mqtt_type type, struct bytes name, uint16_t id)
{
    uint8_t entry[SUBSCRIBE_ROOM], bytes[SUBSCRIBE_ROOM + 16];
    const struct mqtt_filter filter = {.filter = name, .qos = 1};
    enum mqtt_version version = (enum mqtt_version)m->version;
    size_t n = mqtt_build_filter(entry, sizeof(entry), type, version, &filter);
    struct mqtt_packet packet = {
        .type = type, .version = version, .packet_id = id, .list = bytes_of(entry, n), .list_count = 1};
    return n != 0 && coap_mqtt_put(m, bytes, mqtt_build(bytes, sizeof(bytes), &packet, version));
}

static void forget(struct coap_mqtt *m, struct coap_mqtt_topic *topic)
{
    (void)ask(m, MQTT_UNSUBSCRIBE, name_of(topic), coap_mqtt_next_id(m)); /* else its messages are strays */
    topic_free(m, topic);
}

void coap_mqtt_expire_topics(struct coap_mqtt *m, uint64_t now_us)
{
    struct coap_mqtt_topic *topic = TAILQ_FIRST(&m->topics);
    while (topic != NULL) {
        struct coap_mqtt_topic *next = TAILQ_NEXT(topic, of_session);
        if (topic->flights == 0 && topic->used_us + COAP_IDLE_US <= now_us)
            forget(m, topic);
        topic = next;
    }
}

static bool room_for_another(struct coap_mqtt *m)
{
    struct coap_mqtt_topic *topic, *oldest = NULL;
    if (m->topics_n < COAP_MQTT_TOPICS)
        return true;
    TAILQ_FOREACH (topic, &m->topics, of_session)
        if (topic->flights == 0 && (oldest == NULL || topic->used_us < oldest->used_us))
            oldest = topic;
    if (oldest != NULL)
        forget(m, oldest);
    return oldest != NULL;
}

static struct coap_mqtt_topic *subscribe(struct coap_mqtt *m, struct bytes name)
{
    struct coap_relays *r = m->leg->relays;
    struct coap_mqtt_topic *topic = room_for_another(m) ? slab_alloc(r->topics) : NULL;
    if (topic == NULL)
        return NULL;
    TAILQ_INSERT_TAIL(&m->topics, topic, of_session);
    m->topics_n++;
    topic->subscribe_id = coap_mqtt_next_id(m);
    topic->sequence = (uint32_t)(coap_now(r) >> 14) & SEQUENCE_MASK;
    if (!coap_keep_bytes(r, &topic->name, &topic->name_len, name.at, name.len) ||
        !ask(m, MQTT_SUBSCRIBE, name, topic->subscribe_id)) {
        topic_free(m, topic);
        return NULL;
    }
    coap_count(r, COAP_COUNT_TOPICS);
    return topic;
}

/* ---- answers ---------------------------------------------------------------------------------------------
 */

static bool known(const struct coap_mapped *mapped, uint32_t etag)
{
    for (uint32_t i = 0; i < mapped->etags_n; i++)
        if (mapped->etags[i] == etag)
            return true;
    return false;
}

static void put_etag(struct coap_writer *w, uint32_t etag)
{
    const uint8_t value[4] = {(uint8_t)(etag >> 24), (uint8_t)(etag >> 16), (uint8_t)(etag >> 8),
                              (uint8_t)etag};
    coap_build_option(w, COAP_ETAG, bytes_of(value, sizeof(value)));
}

/* The part of the message that is asked for (RFC 7959 s.2.4); false when there is no such part. */
static bool slice(const struct coap_mqtt_topic *topic, const struct coap_mapped *mapped, bool notifies,
                  struct bytes *part, struct coap_block *block)
{
    uint32_t bytes = mapped->block_bytes != 0 ? mapped->block_bytes : BLOCK_BYTES;
    uint32_t number = notifies ? 0 : mapped->block_number;
    uint64_t from = (uint64_t)number * bytes;
    if (from > topic->message_len || (from == topic->message_len && number > 0))
        return false;
    uint32_t left = topic->message_len - (uint32_t)from;
    *block = (struct coap_block){.number = number, .bytes = bytes, .more = left > bytes};
    *part = bytes_of(topic->message_len == 0 ? NULL : topic->message + from, left > bytes ? bytes : left);
    return true;
}

/* The answer, or the next notification, made of the last message. */
static size_t build(const struct coap_flight *flight, const struct coap_mqtt_topic *topic,
                    const struct coap_mapped *mapped, bool observing, uint8_t *to, size_t room)
{
    struct bytes token = coap_flight_token(flight), part;
    struct coap_block block;
    struct coap_writer w;
    bool notifies = observing && flight->x.replied;
    bool valid = !notifies && topic->has_message && known(mapped, topic->etag);
    if (!slice(topic, mapped, notifies, &part, &block))
        return 0;
    coap_build_start(&w, to, room, COAP_NON, valid ? COAP_VALID : COAP_CONTENT, 0, token.at,
                     (uint16_t)token.len);
    if (topic->has_message)
        put_etag(&w, topic->etag);
    if (observing)
        coap_build_uint(&w, COAP_OBSERVE, topic->sequence);
    if (!valid && topic->has_message && topic->format != COAP_FORMAT_NONE)
        coap_build_uint(&w, COAP_CONTENT_FORMAT, topic->format);
    if (!valid && (block.more || block.number > 0 || mapped->block_bytes != 0))
        coap_build_uint(&w, COAP_BLOCK2, coap_block_value(&block));
    if (!valid && block.more && block.number == 0)
        coap_build_uint(&w, COAP_SIZE2, topic->message_len);
    if (!valid)
        coap_build_payload(&w, part);
    return coap_build_end(&w);
}

/* A first answer. An observer of a topic without a message gets an empty one, and what comes then. */
static void answer(struct coap_flight *flight, struct coap_mqtt_topic *topic)
{
    struct coap_relays *r = flight->relays;
    uint8_t message[COAP_MESSAGE_MAX];
    struct bytes path, name, payload;
    struct coap_mapped mapped = coap_mqtt_mapped(flight, &path, &name, &payload);
    bool observing = flight->observe && !topic->too_large && mapped.block_number == 0;
    topic->used_us = coap_now(r);
    if (topic->too_large || (!topic->has_message && !observing)) {
        coap_mqtt_finish(flight, topic->too_large ? COAP_BAD_GATEWAY : COAP_NOT_FOUND);
        return;
    }
    size_t n = build(flight, topic, &mapped, observing, message, sizeof(message));
    if (n == 0) {
        coap_mqtt_finish(flight, COAP_BAD_OPTION); /* RFC 7959 s.2.4: a block that is not there */
        return;
    }
    coap_count(r, COAP_COUNT_RESPONSES);
    if (!observing) {
        coap_leg_remove(flight);
        coap_exchange_stop_up(&flight->x);
        coap_reply_message(flight, message, n, true);
        coap_flight_settle(flight);
        return;
    }
    coap_exchange_watch(&flight->x);
    coap_leg_place(flight, COAP_PLACE_LANDED);
    coap_flight_observing(flight, true);
    coap_reply_message(flight, message, n, true);
    coap_flight_settle(flight);
}

void coap_mqtt_read(struct coap_mqtt *m, struct coap_flight *flight)
{
    struct bytes path, name, payload;
    uint8_t mounted[COAP_MQTT_NAME_MAX];
    coap_mqtt_mapped(flight, &path, &name, &payload);
    name = coap_mqtt_mounted(m, name, mounted);
    struct coap_mqtt_topic *topic = name.len == 0 ? NULL : find(m, name);
    if (topic == NULL && name.len != 0)
        topic = subscribe(m, name);
    if (topic == NULL) {
        coap_mqtt_finish(flight, COAP_UNAVAILABLE);
        return;
    }
    flight->topic = topic;
    topic->flights++;
    topic->used_us = coap_now(flight->relays);
    if (topic->ready) {
        answer(flight, topic);
        return;
    }
    coap_leg_place(flight, COAP_PLACE_FLYING);
    coap_exchange_hand_over(&flight->x, coap_now(flight->relays) + COAP_MQTT_WAIT_US);
    coap_flight_settle(flight);
}

/* ---- what the broker says --------------------------------------------------------------------------------
 */

static void make_ready(struct coap_mqtt *m, struct coap_mqtt_topic *topic)
{
    struct coap_flight *flight = TAILQ_FIRST(&m->leg->flying);
    topic->ready = true;
    while (flight != NULL) {
        struct coap_flight *next = TAILQ_NEXT(flight, of_leg);
        if (flight->topic == topic)
            answer(flight, topic);
        flight = next;
    }
}

void coap_mqtt_settle_topics(struct coap_mqtt *m)
{
    struct coap_mqtt_topic *topic;
    TAILQ_FOREACH (topic, &m->topics, of_session)
        if (topic->acknowledged && !topic->ready && (int32_t)(m->pings_answered - topic->ping) >= 0)
            make_ready(m, topic);
}

static void refused(struct coap_mqtt *m, struct coap_mqtt_topic *topic)
{
    struct coap_flight *flight = TAILQ_FIRST(&m->leg->flying);
    while (flight != NULL) {
        struct coap_flight *next = TAILQ_NEXT(flight, of_leg);
        if (flight->topic == topic)
            coap_mqtt_finish(flight, COAP_FORBIDDEN);
        flight = next;
    }
    topic_free(m, topic);
}

void coap_mqtt_take_suback(struct coap_mqtt *m, const struct mqtt_packet *packet)
{
    struct coap_mqtt_topic *topic;
    TAILQ_FOREACH (topic, &m->topics, of_session)
        if (!topic->acknowledged && topic->subscribe_id == packet->packet_id)
            break;
    if (topic == NULL || packet->list.len != 1)
        return;
    if (packet->list.at[0] >= 0x80) {
        refused(m, topic);
        return;
    }
    /* What is retained comes with the subscription: before the answer to what is asked now. */
    topic->acknowledged = true;
    topic->ping = m->pings_sent + 1;
    topic->subscribe_id = 0;
    if (!coap_mqtt_ping(m))
        refused(m, topic);
}

static void notify(struct coap_mqtt *m, struct coap_mqtt_topic *topic, bool reliable)
{
    uint8_t message[COAP_MESSAGE_MAX];
    struct bytes path, name, payload;
    struct coap_flight *flight = TAILQ_FIRST(&m->leg->landed);
    while (flight != NULL) {
        struct coap_flight *next = TAILQ_NEXT(flight, of_leg);
        if (flight->topic == topic && flight->observing) {
            struct coap_mapped mapped = coap_mqtt_mapped(flight, &path, &name, &payload);
            size_t n = build(flight, topic, &mapped, true, message, sizeof(message));
            coap_count(flight->relays, COAP_COUNT_NOTIFICATIONS);
            if (topic->too_large || n == 0) {
                coap_mqtt_finish(flight, COAP_BAD_GATEWAY);
            } else {
                coap_reply_message(flight, message, n, reliable);
                coap_flight_settle(flight);
            }
        }
        flight = next;
    }
}

static void keep_message(struct coap_mqtt *m, struct coap_mqtt_topic *topic, const struct mqtt_packet *packet,
                         bool whole)
{
    const struct mqtt_publish *publish = &packet->publish;
    struct coap_relays *r = m->leg->relays;
    coap_drop_bytes(r, &topic->message, &topic->message_len);
    topic->has_message = true;
    topic->too_large = !whole;
    topic->format = (packet->properties.present & MQTT_PROP_BIT(MQTT_PROP_CONTENT_TYPE)) != 0
                        ? coap_format_of(packet->properties.content_type)
                        : COAP_FORMAT_NONE;
    if (whole && publish->payload.len != 0)
        topic->too_large = !coap_keep_bytes(r, &topic->message, &topic->message_len, publish->payload.at,
                                            publish->payload.len);
    topic->sequence = (topic->sequence + 1) & SEQUENCE_MASK;
    topic->etag = (uint32_t)siphash_2_4(r->key, topic->message, topic->message_len);
}

void coap_mqtt_take_message(struct coap_mqtt *m, const struct mqtt_packet *packet, bool whole)
{
    struct coap_relays *r = m->leg->relays;
    const struct mqtt_publish *publish = &packet->publish;
    uint8_t ack[8];
    if (publish->qos == 2) { /* nobody asked for it */
        coap_leg_fail(m->leg, OUTCOME_UPSTREAM_PROTOCOL, COAP_BAD_GATEWAY, false, "a message of QoS 2");
        return;
    }
    if (publish->qos == 1)
        coap_mqtt_put(m, ack,
                      mqtt_build_ack(ack, sizeof(ack), (enum mqtt_version)m->version, MQTT_PUBACK,
                                     packet->packet_id, 0));
    struct coap_mqtt_topic *topic = find(m, publish->topic);
    if (topic == NULL) {
        coap_count(r, COAP_COUNT_STRAY_UP);
        return;
    }
    coap_count(r, COAP_COUNT_MESSAGES);
    keep_message(m, topic, packet, whole);
    if (topic->ready)
        notify(m, topic, publish->qos > 0);
    else
        make_ready(m, topic);
}
