/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A broker that a test plays behind the CoAP relays: packets out of what the gateway wrote, packets into it.
 */
#ifndef TESTS_UNIT_COAP_BROKER_H
#define TESTS_UNIT_COAP_BROKER_H

#include "policy/mqtt/build.h"
#include "policy/mqtt/frame.h"

#include "tests/unit/coap_rig.h"

#define BROKER_BYTES 65536

struct broker {
    struct stream stream;
    uint8_t out[BROKER_BYTES];
    size_t out_n;
    size_t read;
    size_t room;
    uint32_t dialled;
    bool open;
    bool refuse;     /* the next dial */
    uint64_t own_us; /* stream_own_us */
    enum mqtt_version version;
    char identity[128];
    struct mqtt_framer framer;
};

static struct broker broker;

static inline size_t broker_room(const struct stream *s)
{
    (void)s;
    return broker.room;
}

static inline size_t broker_write(struct stream *s, const uint8_t *p, size_t n)
{
    (void)s;
    if (n > broker.room)
        n = broker.room;
    CU_ASSERT_TRUE_FATAL(n <= sizeof(broker.out) - broker.out_n);
    memcpy(broker.out + broker.out_n, p, n);
    broker.out_n += n;
    broker.room -= n;
    return n;
}

static inline void broker_nothing(struct stream *s)
{
    (void)s;
}

static inline void broker_abort(struct stream *s)
{
    (void)s;
    broker.open = false;
}

static inline uint64_t broker_own_us(const struct stream *s, uint64_t now_us)
{
    (void)s;
    (void)now_us;
    return broker.own_us;
}

struct stream *broker_dial(void *worker, uint32_t upstream, const char *identity,
                           const struct flow_key *device, const struct stream_handler *handler, void *owner,
                           uint8_t *server, enum outcome *why)
{
    static const struct stream_ops ops = {.room = broker_room,
                                          .write = broker_write,
                                          .flush = broker_nothing,
                                          .resume = broker_nothing,
                                          .finish = broker_nothing,
                                          .abort = broker_abort,
                                          .own_us = broker_own_us};
    (void)worker;
    (void)upstream;
    (void)device;
    *server = 0;
    *why = OUTCOME_UPSTREAM_REFUSED;
    broker.dialled++;
    if (broker.refuse)
        return NULL;
    broker.stream = (struct stream){.ops = &ops, .handler = handler, .owner = owner};
    broker.out_n = broker.read = 0;
    broker.room = sizeof(broker.out);
    broker.open = true;
    snprintf(broker.identity, sizeof(broker.identity), "%s", identity);
    mqtt_framer_init(&broker.framer, MQTT_FROM_CLIENT, MQTT_VERSION_UNKNOWN, UINT32_MAX, 65536);
    return &broker.stream;
}

/* The next packet that the gateway wrote. */
static inline struct mqtt_packet broker_reads(enum mqtt_type type)
{
    struct mqtt_packet packet = {.type = MQTT_RESERVED};
    struct cursor in = cursor_of(bytes_of(broker.out + broker.read, broker.out_n - broker.read));
    enum mqtt_step step = mqtt_framer_next(&broker.framer, &in, &packet);
    broker.read = (size_t)(in.at - broker.out);
    CU_ASSERT_EQUAL(step, MQTT_STEP_PACKET);
    CU_ASSERT_EQUAL(packet.type, type);
    if (type == MQTT_CONNECT)
        broker.framer.version = broker.version = packet.connect.version;
    return packet;
}

static inline bool broker_read_all(void)
{
    return broker.read == broker.out_n;
}

/* In pieces of `cut` bytes; 0: whole. */
static size_t broker_cut;

static inline void broker_sends_bytes(const uint8_t *p, size_t n)
{
    size_t step = broker_cut == 0 ? n : broker_cut;
    for (size_t i = 0; i < n && broker.open; i += step)
        broker.stream.handler->data(broker.stream.owner, p + i, n - i < step ? n - i : step);
}

static inline void broker_sends(const struct mqtt_packet *packet, struct bytes payload)
{
    static uint8_t bytes[32768];
    size_t n = mqtt_build(bytes, sizeof(bytes), packet, broker.version);
    CU_ASSERT_TRUE_FATAL(n != 0 && payload.len <= sizeof(bytes) - n);
    if (payload.len != 0)
        memcpy(bytes + n, payload.at, payload.len);
    broker_sends_bytes(bytes, n + payload.len);
}

static inline void broker_connacks(uint8_t code)
{
    uint8_t bytes[16];
    broker_sends_bytes(bytes, mqtt_build_connack(bytes, sizeof(bytes), broker.version, code));
}

static inline void broker_acks(uint16_t id, uint8_t code)
{
    uint8_t bytes[16];
    broker_sends_bytes(bytes, mqtt_build_ack(bytes, sizeof(bytes), broker.version, MQTT_PUBACK, id, code));
}

static inline void broker_subacks(uint16_t id, uint8_t code)
{
    uint8_t bytes[16];
    broker_sends_bytes(bytes,
                       mqtt_build_suback(bytes, sizeof(bytes), broker.version, MQTT_SUBACK, id, &code, 1));
}

static inline void broker_pongs(void)
{
    uint8_t bytes[4];
    broker_sends_bytes(bytes, mqtt_build_ping(bytes, sizeof(bytes), MQTT_PINGRESP));
}

static inline void broker_publishes(const char *topic, uint8_t qos, struct bytes payload)
{
    static uint16_t id;
    struct mqtt_packet packet = {
        .type = MQTT_PUBLISH,
        .version = broker.version,
        .packet_id = qos > 0 ? ++id : 0,
        .publish = {.qos = qos, .topic = bytes_of_text(topic), .payload_bytes = (uint32_t)payload.len}};
    broker_sends(&packet, payload);
}

/* Opens the stream and the session. */
static inline void broker_opens(void)
{
    CU_ASSERT_TRUE_FATAL(broker.open);
    broker.stream.handler->opened(broker.stream.owner);
    struct mqtt_packet connect = broker_reads(MQTT_CONNECT);
    CU_ASSERT_TRUE(connect.connect.clean_start && connect.connect.keep_alive_s == 60);
    CU_ASSERT_TRUE(bytes_equal(connect.connect.client_id, bytes_of_text(broker.identity)));
    broker_connacks(0);
}

#endif
