/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CoAP devices in front of a broker (E8): a leg whose upstream speaks MQTT. Private to the CoAP relays.
 *
 * Each identity has a MQTT session of its own (ADR 0007), dialled when something is to be sent, over TLS with
 * the identity's certificate where the upstream is secured: MQTT 5.0, or 3.1.1 when the broker knows no
 * other, with a clean start and with the identity as client identifier, unless the upstream's settings say
 * otherwise (C5). Requests wait on their leg like others:
 *
 *   POST, PUT   CON: PUBLISH with QoS 1; PUBACK makes it 2.04. NON: QoS 0 with a PINGREQ behind, whose
 * PINGRESP says that the broker has read it (MQTT 5.0 s.4.6), unless the device wants no answer. GET the
 * topic is subscribed to (its retained message comes with that), and answered from the last message for as
 * long as somebody asks at least every five minutes; 4.04 when there is none. Observe     likewise; each
 * message is a notification, confirmable when it came with QoS 1.
 *
 * An answer is 2.xx only when the broker has answered; a session that cannot be had or is lost is 5.03, a
 * broker that is silent 5.04. Bounds: 16 unacknowledged requests (fewer when the broker says so), 32 topics
 * and 64 KiB that wait to be written a session; messages of 16 KiB. A body in several blocks is gathered
 * first (coap_body.h); toward MQTT 5.0 its Content-Format goes with it as Content Type, and comes back so.
 */
#ifndef GATEWAY_COAP_MQTT_H
#define GATEWAY_COAP_MQTT_H

#include "gateway/relay_coap_private.h"
#include "policy/coap/format.h"
#include "policy/coap/publish.h"
#include "policy/mqtt/cloud.h"
#include "policy/mqtt/frame.h"

#define COAP_MQTT_INFLIGHT 16
#define COAP_MQTT_TOPICS 32
#define COAP_MQTT_OUT_BYTES (UINT32_C(64) << 10)
#define COAP_MQTT_MESSAGE_BYTES (UINT32_C(16) << 10)
/* A topic behind a mount point. */
#define COAP_MQTT_NAME_MAX 2048
#define COAP_MQTT_WAIT_US UINT64_C(30000000)
#define COAP_MQTT_KEEP_ALIVE_S 60

/* A topic that is subscribed to, and its last message. */
struct coap_mqtt_topic {
    TAILQ_ENTRY(coap_mqtt_topic) of_session;
    uint8_t *name;
    uint8_t *message; /* NULL when it is empty */
    uint16_t name_len;
    uint16_t message_len;
    uint16_t subscribe_id;
    bool acknowledged;
    bool ready; /* what is retained has come, or there is nothing */
    bool has_message;
    bool too_large;
    uint32_t ping; /* whose PINGRESP makes it ready */
    uint32_t sequence;
    uint32_t etag;
    uint32_t format; /* of its Content Type; COAP_FORMAT_NONE */
    uint32_t flights;
    uint64_t used_us;
};

struct coap_mqtt {
    struct coap_leg *leg;
    struct stream *stream;
    uint64_t serial;
    struct mqtt_framer framer;
    TAILQ_HEAD(, coap_mqtt_topic) topics;
    TAILQ_ENTRY(coap_mqtt) dirty;
    uint32_t topics_n;
    uint8_t *client_id; /* as the broker is told */
    uint16_t client_id_len;
    uint8_t profile;              /* enum cloud_profile */
    struct rate_bucket publishes; /* of this connection, where the profile has a rate */
    uint8_t *mount;               /* what its topics have in front at the broker; NULL: nothing */
    uint16_t mount_len;
    uint8_t *out; /* what the stream did not take */
    uint32_t out_from, out_to, out_room;
    uint32_t pings_sent, pings_answered;
    uint64_t dialled_us;
    uint64_t own_us; /* that the broker has on top (stream_own_us) */
    uint64_t wrote_us;
    uint64_t heard_us;
    uint32_t keep_alive_s;
    uint16_t next_id;
    uint16_t inflight;
    uint8_t version; /* enum mqtt_version */
    bool connected;
    bool is_dirty;
};

/* What is kept of a request until its turn: behind it lie path, topic and payload. */
struct coap_mapped {
    uint32_t payload_len;
    uint16_t path_len;
    uint16_t topic_len;
    bool publish;
    bool retain;
    uint8_t qos;
    uint8_t etags_n;
    uint16_t block_bytes; /* of Block2; 0: not asked */
    uint32_t block_number;
    uint32_t etags[4]; /* those of ours that the client has */
    uint32_t format;   /* Content-Format; COAP_FORMAT_NONE: none */
};

/* coap_mqtt.c, coap_mqtt_packet.c: the session */
bool coap_mqtt_keep(struct coap_flight *flight, const struct coap_message *message, struct bytes body,
                    const struct coap_verdict *verdict, const struct coap_topic *topic);
struct coap_mapped coap_mqtt_mapped(const struct coap_flight *flight, struct bytes *path, struct bytes *topic,
                                    struct bytes *payload);
bool coap_mqtt_dial(struct coap_leg *leg, uint32_t upstream);
/* Ends the session, if there is one; flights stay on the leg. Nothing is lost by going without DISCONNECT:
 * there is no Will, and what was not acknowledged is told as such. */
void coap_mqtt_hang_up(struct coap_leg *leg);
/* Sends what waits on the leg. */
void coap_mqtt_turn(struct coap_leg *leg);
void coap_mqtt_fire(struct coap_leg *leg, uint64_t now_us);
/* Whether what a flight observes is still allowed under the current generation. */
bool coap_mqtt_still_allowed(const struct coap_flight *flight);
/* The session is over; what waits on its leg is answered with `code`, or not at all (`silent`). */
static inline void coap_mqtt_fail(struct coap_mqtt *m, enum outcome why, uint8_t code, bool silent,
                                  const char *detail)
{
    coap_leg_fail(m->leg, why, code, silent, detail);
}
/* The stream's handler: bytes of the broker (stream.h). */
size_t coap_mqtt_data(void *owner, const uint8_t *p, size_t n);
/* Queues a packet whole, or answers false. */
bool coap_mqtt_put(struct coap_mqtt *m, const uint8_t *packet, size_t n);
bool coap_mqtt_ping(struct coap_mqtt *m);
uint16_t coap_mqtt_next_id(struct coap_mqtt *m);
/* Answers a flight with a bare code and ends it. */
void coap_mqtt_finish(struct coap_flight *flight, uint8_t code);

/* coap_mqtt_shape.c: how it goes to the broker */
/* What can be said before it is dialled: whether it may go at all, and its mount point. */
enum outcome coap_mqtt_shape(struct coap_mqtt *m, const struct config_upstream *upstream);
/* What the upstream's profile says of a message, or of reading a topic; ALLOWED, or why not. */
enum outcome coap_mqtt_cloud(struct coap_mqtt *m, const struct coap_mapped *mapped, struct bytes topic);
void coap_mqtt_unshape(struct coap_mqtt *m);
/* Writes CONNECT. */
bool coap_mqtt_connect(struct coap_mqtt *m);
/* The topic as the broker knows it, in `to` when it is another; len 0 when it is too long. */
struct bytes coap_mqtt_mounted(const struct coap_mqtt *m, struct bytes topic, uint8_t to[COAP_MQTT_NAME_MAX]);

/* coap_mqtt_topic.c: topics and their last messages */
/* A GET's turn: answers it, or lets it wait for the topic. */
void coap_mqtt_read(struct coap_mqtt *m, struct coap_flight *flight);
void coap_mqtt_take_suback(struct coap_mqtt *m, const struct mqtt_packet *packet);
void coap_mqtt_take_message(struct coap_mqtt *m, const struct mqtt_packet *packet, bool whole);
/* After a PINGRESP. */
void coap_mqtt_settle_topics(struct coap_mqtt *m);
void coap_mqtt_expire_topics(struct coap_mqtt *m, uint64_t now_us);
void coap_mqtt_free_topics(struct coap_mqtt *m);

#endif
