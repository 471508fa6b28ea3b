/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events: what happened, for people and machines that watch (H2, operators' surface 2.7).
 *
 * A worker fills in a slot of its own bounded single-producer ring and never waits: when the ring is full the
 * event is counted as dropped. The control thread drains all rings, folds repeats, and writes ECS JSON lines
 * (event_log.h). Strings are copied, cut to their field, and escaped only when written. Neither payloads nor
 * passwords have a field.
 *
 * EVENT(name, dataset, action, category, type)
 */
#ifndef GATEWAY_EVENT_H
#define GATEWAY_EVENT_H

#include "dataplane/address.h"
#include "policy/bytes.h"
#include "policy/verdict.h"

#define EVENT_TABLE(EVENT)                                                                                   \
    EVENT(NONE, "system", "none", "host", "info")                                                            \
    EVENT(CONNECTION_ACCEPTED, "session", "connection-accepted", "network", "connection")                    \
    EVENT(CONNECTION_REFUSED, "limit", "connection-refused", "network", "denied")                            \
    EVENT(MQTT_CONNECT, "session", "mqtt-connect", "session", "start")                                       \
    EVENT(MQTT_CONNECT_REFUSED, "session", "mqtt-connect", "session", "denied")                              \
    EVENT(MQTT_END, "session", "mqtt-disconnect", "session", "end")                                          \
    EVENT(MQTT_PUBLISH_DENIED, "decision", "mqtt-publish", "network", "denied")                              \
    EVENT(MQTT_SUBSCRIBE_DENIED, "decision", "mqtt-subscribe", "network", "denied")                          \
    EVENT(MQTT_DELIVERY_DENIED, "decision", "mqtt-deliver", "network", "denied")                             \
    EVENT(MQTT_PUBLISH_ALLOWED, "decision", "mqtt-publish", "network", "allowed")                            \
    EVENT(MQTT_WILL_DENIED, "decision", "mqtt-will", "network", "denied")                                    \
    EVENT(LIMIT_EXCEEDED, "limit", "limit-exceeded", "network", "denied")                                    \
    EVENT(PROTOCOL_ERROR, "protocol", "protocol-error", "network", "denied")                                 \
    EVENT(UNGRACEFUL_END, "session", "ungraceful-end", "session", "end")                                     \
    EVENT(TLS_FAILED, "tls", "tls-handshake", "network", "error")                                            \
    EVENT(UPSTREAM_FAILED, "upstream", "upstream-connect", "network", "error")                               \
    EVENT(UPSTREAM_DOWN, "upstream", "upstream-down", "network", "error")                                    \
    EVENT(UPSTREAM_UP, "upstream", "upstream-up", "network", "info")                                         \
    EVENT(POLICY_RELOADED, "policy", "policy-reload", "configuration", "change")                             \
    EVENT(POLICY_REFUSED, "policy", "policy-reload", "configuration", "error")                               \
    EVENT(POLICY_RETURNED, "policy", "policy-return", "configuration", "change")                             \
    EVENT(POLICY_CONFIRMED, "policy", "policy-confirm", "configuration", "change")                           \
    EVENT(POLICY_OBEYED, "policy", "policy-obeyed", "configuration", "info")                                 \
    EVENT(ADMIN, "admin", "admin-command", "configuration", "info")                                          \
    EVENT(STARTED, "system", "started", "host", "start")                                                     \
    EVENT(STOPPING, "system", "stopping", "host", "end")                                                     \
    EVENT(COAP_REQUEST_DENIED, "decision", "coap-request", "network", "denied")                              \
    EVENT(COAP_ALLOWED, "decision", "coap-request", "network", "allowed")                                    \
    EVENT(IDENTITY_VIOLATION, "identity", "identity-violation", "intrusion_detection", "denied")             \
    EVENT(WILL_CHANGED, "session", "will-changed", "session", "change")                                      \
    EVENT(QUARANTINED, "limit", "quarantined", "intrusion_detection", "denied")                              \
    EVENT(WILL_MISSING, "session", "will-missing", "session", "info")                                        \
    EVENT(WILL_STORM, "session", "will-storm", "session", "info")                                            \
    EVENT(CANDIDATE_DIFFERENCE, "candidate", "candidate-difference", "network", "info")                      \
    EVENT(STATUS_UNCHECKED, "tls", "certificate-unchecked", "network", "info")                               \
    EVENT(COAP_SESSION_LOST, "session", "coap-disconnect", "session", "end")                                 \
    EVENT(ADDRESS_CHANGED, "session", "address-changed", "session", "change")                                \
    EVENT(LEARN, "learn", "learn", "configuration", "info")

#define EVENT_ENUM(name, dataset, action, category, type) EVENT_##name,
enum event_kind { EVENT_TABLE(EVENT_ENUM) EVENT_KIND_COUNT };
#undef EVENT_ENUM

#define EVENT_TOPIC_MAX 256
#define EVENT_NAME_MAX 64
#define EVENT_DETAIL_MAX 160

/* One policy instead of another; of events of the control thread. */
struct event_revision {
    uint32_t from, to;
    const char *sha256;
    const char *changes;
    uint32_t tests;         /* that passed */
    uint64_t confirm_by_us; /* CLOCK_REALTIME; 0: it is final */
    bool settled;           /* the counts of sessions are told */
    uint64_t kept, closed, taken_back;
};

struct event {
    const struct event_revision *revision; /* borrowed while it is written; NULL in rings */
    uint64_t time_us;                      /* CLOCK_REALTIME microseconds */
    enum event_kind kind;
    enum outcome outcome;
    bool has_uid;
    uint32_t uid;  /* of whoever gave a command */
    bool enforced; /* false: only recorded (observe) */
    bool has_mac;
    uint8_t mqtt_type;
    uint8_t mqtt_version;
    uint8_t qos;
    bool retain;
    bool told;         /* reason_code was sent to the client */
    bool coap;         /* CoAP over UDP: `topic` is a path, reason_code a response code */
    uint8_t coap_code; /* the method; 0: none */
    uint8_t reason_code;
    uint8_t
        will; /* enum guard_will: a session that ends without DISCONNECT leaves this one to its upstream */
    uint8_t mac[6];
    uint16_t source_port;
    uint16_t destination_port;
    uint32_t repeats;
    uint32_t ruleset;                /* generation */
    uint32_t role_place, rule_place; /* in it, from 1; 0: none, or not told */
    uint32_t payload_bytes;
    uint64_t session; /* joins all events of one session; 0: none */
    struct ip_address source;
    struct ip_address destination;
    uint16_t topic_len;
    char client_id[EVENT_NAME_MAX];
    char user[EVENT_NAME_MAX];
    char identity[EVENT_NAME_MAX];
    char role[EVENT_NAME_MAX / 2];
    char rule[EVENT_NAME_MAX];
    char listener[EVENT_NAME_MAX / 2];
    char detail[EVENT_DETAIL_MAX]; /* a sentence: TLS reason, file:line of a refused policy */
    uint8_t topic[EVENT_TOPIC_MAX];
};

struct event_ring;

struct event_ring *event_ring_create(uint32_t slots);
void event_ring_destroy(struct event_ring *ring);
/* Producer: a cleared slot to fill in, or NULL (counted) when the ring is full; event_ring_commit publishes
 * it. */
struct event *event_ring_begin(struct event_ring *ring);
void event_ring_commit(struct event_ring *ring);
/* Consumer: the oldest event, or NULL; event_ring_pop lets it go. */
const struct event *event_ring_peek(struct event_ring *ring);
void event_ring_pop(struct event_ring *ring);
uint64_t event_ring_dropped(const struct event_ring *ring);

/* When something happened, for `time_us`: loop time, and what lies between it and CLOCK_REALTIME, which the
 * worker keeps up with (NULL: nothing does, as in tests). */
static inline uint64_t event_time_us(const uint64_t *wall_offset_us, uint64_t now_us)
{
    return wall_offset_us == NULL ? now_us : *wall_offset_us + now_us;
}

/* Copies bytes or text into a fixed field, cut and NUL-terminated; control bytes stay and are escaped by the
 * writer. */
void event_set_name(char *field, size_t room, struct bytes value);
void event_set_topic(struct event *event, struct bytes topic);

#endif
