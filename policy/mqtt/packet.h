/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A MQTT control packet as understood: the form between decoding and judging, and between judging and
 * building.
 *
 * Decoding takes the body of one frame (see frame.h) and answers a `struct mqtt_packet` whose strings and
 * lists are borrowed from that body, every one already checked: lengths end exactly, UTF-8 is valid (D3),
 * flags, identifiers, QoS, properties and reason codes are those that the protocol version allows for that
 * packet type and that sender (MQTT 5.0 ch.2 and 3, MQTT 3.1.1, MQTT 3.1). What it cannot know (state of the
 * session, rights) is the guard's. No allocation, no logging; pure; any thread.
 */
#ifndef POLICY_MQTT_PACKET_H
#define POLICY_MQTT_PACKET_H

#include "policy/bytes.h"
#include "policy/utf8.h"
#include "policy/verdict.h"

enum mqtt_type {
    MQTT_RESERVED = 0,
    MQTT_CONNECT = 1,
    MQTT_CONNACK = 2,
    MQTT_PUBLISH = 3,
    MQTT_PUBACK = 4,
    MQTT_PUBREC = 5,
    MQTT_PUBREL = 6,
    MQTT_PUBCOMP = 7,
    MQTT_SUBSCRIBE = 8,
    MQTT_SUBACK = 9,
    MQTT_UNSUBSCRIBE = 10,
    MQTT_UNSUBACK = 11,
    MQTT_PINGREQ = 12,
    MQTT_PINGRESP = 13,
    MQTT_DISCONNECT = 14,
    MQTT_AUTH = 15,
};

enum mqtt_version {
    MQTT_VERSION_UNKNOWN = 0, /* before CONNECT */
    MQTT_3_1 = 3,
    MQTT_3_1_1 = 4,
    MQTT_5 = 5,
};

/* Who sent a packet. */
enum mqtt_sender {
    MQTT_FROM_CLIENT = 0,
    MQTT_FROM_SERVER,
};

/* Bits of `mqtt_properties.present`, one per property of MQTT 5.0 s.2.2.2.2, in the order of their
 * identifiers. */
enum mqtt_property {
    MQTT_PROP_PAYLOAD_FORMAT = 0, /* 0x01 */
    MQTT_PROP_MESSAGE_EXPIRY,     /* 0x02 */
    MQTT_PROP_CONTENT_TYPE,       /* 0x03 */
    MQTT_PROP_RESPONSE_TOPIC,     /* 0x08 */
    MQTT_PROP_CORRELATION_DATA,   /* 0x09 */
    MQTT_PROP_SUBSCRIPTION_ID,    /* 0x0B, may repeat in PUBLISH */
    MQTT_PROP_SESSION_EXPIRY,     /* 0x11 */
    MQTT_PROP_ASSIGNED_CLIENT_ID, /* 0x12 */
    MQTT_PROP_SERVER_KEEP_ALIVE,  /* 0x13 */
    MQTT_PROP_AUTH_METHOD,        /* 0x15 */
    MQTT_PROP_AUTH_DATA,          /* 0x16 */
    MQTT_PROP_REQUEST_PROBLEM,    /* 0x17 */
    MQTT_PROP_WILL_DELAY,         /* 0x18 */
    MQTT_PROP_REQUEST_RESPONSE,   /* 0x19 */
    MQTT_PROP_RESPONSE_INFO,      /* 0x1A */
    MQTT_PROP_SERVER_REFERENCE,   /* 0x1C */
    MQTT_PROP_REASON_STRING,      /* 0x1F */
    MQTT_PROP_RECEIVE_MAXIMUM,    /* 0x21 */
    MQTT_PROP_TOPIC_ALIAS_MAX,    /* 0x22 */
    MQTT_PROP_TOPIC_ALIAS,        /* 0x23 */
    MQTT_PROP_MAXIMUM_QOS,        /* 0x24 */
    MQTT_PROP_RETAIN_AVAILABLE,   /* 0x25 */
    MQTT_PROP_USER_PROPERTY,      /* 0x26, may repeat, order is kept */
    MQTT_PROP_MAX_PACKET_SIZE,    /* 0x27 */
    MQTT_PROP_WILDCARD_AVAILABLE, /* 0x28 */
    MQTT_PROP_SUB_ID_AVAILABLE,   /* 0x29 */
    MQTT_PROP_SHARED_AVAILABLE,   /* 0x2A */
    MQTT_PROP_COUNT,
};
#define MQTT_PROP_BIT(p) (UINT32_C(1) << (p))

/*
 * Decoded properties. A field counts only when its bit is in `present`; to add or remove a property, set the
 * field and the bit. User properties and repeated subscription identifiers stay as the checked bytes of
 * `list` (the whole property section as received) and are rebuilt one by one, in order, by build.h when their
 * bit is set.
 */
struct mqtt_properties {
    uint32_t present;
    uint32_t message_expiry_s;
    uint32_t session_expiry_s;
    uint32_t will_delay_s;
    uint32_t max_packet_bytes;
    uint16_t server_keep_alive_s;
    uint16_t receive_maximum;
    uint16_t topic_alias_max;
    uint16_t topic_alias;
    uint16_t user_property_count;
    uint8_t payload_format;
    uint8_t request_problem;
    uint8_t request_response;
    uint8_t maximum_qos;
    uint8_t retain_available;
    uint8_t wildcard_available;
    uint8_t sub_id_available;
    uint8_t shared_available;
    struct bytes content_type;
    struct bytes response_topic;
    struct bytes correlation_data;
    struct bytes assigned_client_id;
    struct bytes auth_method;
    struct bytes auth_data;
    struct bytes response_info;
    struct bytes server_reference;
    struct bytes reason_string;
    struct bytes list;
};

struct mqtt_will {
    bool present;
    bool retain;
    uint8_t qos;
    struct bytes topic;
    struct bytes payload; /* binary data */
    struct mqtt_properties properties;
};

struct mqtt_connect {
    enum mqtt_version version;
    bool clean_start; /* clean session in 3.x */
    bool has_user_name;
    bool has_password;
    uint16_t keep_alive_s;
    struct bytes client_id;
    struct bytes user_name;
    struct bytes password; /* binary data */
    struct mqtt_will will;
};

struct mqtt_connack {
    bool session_present;
};

struct mqtt_publish {
    bool dup;
    bool retain;
    uint8_t qos;
    struct bytes topic;     /* empty only with a topic alias */
    struct bytes payload;   /* the part at hand, see frame.h */
    uint32_t payload_bytes; /* whole length of the payload */
};

/* One entry of SUBSCRIBE or UNSUBSCRIBE, read out of the checked body by mqtt_filter_next. */
struct mqtt_filter {
    struct bytes filter;
    uint8_t qos;
    bool no_local;
    bool retain_as_published;
    uint8_t retain_handling;
};

struct mqtt_packet {
    enum mqtt_type type;
    enum mqtt_version version;
    uint16_t packet_id;
    uint8_t reason_code;       /* CONNACK (return code in 3.x), acknowledgements, DISCONNECT, AUTH */
    uint8_t defect;            /* enum outcome: see mqtt_packet_decode */
    uint32_t remaining_length; /* as it was framed; 0: it was not */
    struct mqtt_properties properties;
    union {
        struct mqtt_connect connect;
        struct mqtt_connack connack;
        struct mqtt_publish publish;
    };
    /* SUBSCRIBE, UNSUBSCRIBE: the checked entries. SUBACK, UNSUBACK: one code a byte. */
    struct bytes list;
    uint16_t list_count;
};

/*
 * Decodes the body (what follows the fixed header) of one packet of `type` with fixed-header `flags`, as sent
 * by `sender` in `version`. MQTT_VERSION_UNKNOWN: only CONNECT decodes, and its own version is set in `out`;
 * in a known version a CONNECT is OUTCOME_SECOND_CONNECT. For PUBLISH `body` holds at least topic, identifier
 * and properties; `remaining_length` tells where the payload ends. Strings are checked at `level`; a Will
 * that MQTT 5 marks as text is checked, the payload of a PUBLISH is not (it may come in parts). Answers
 * OUTCOME_ALLOWED, or what is wrong, and then `out` is not to be used, but for a CONNECT: out->version is its
 * version once that was understood, and with OUTCOME_BAD_PROTOCOL_VERSION connect.version is the level as
 * received; and for a PUBLISH that is wrong in its topic or its properties only: then `defect` is what was
 * answered, and QoS, identifier and payload (empty where its begin cannot be found) are set all the same, so
 * that it can be acknowledged instead of coming again for ever (D3). Else `defect` is OUTCOME_ALLOWED.
 */
enum outcome mqtt_packet_decode(struct mqtt_packet *out, enum mqtt_type type, uint8_t flags,
                                struct bytes body, uint32_t remaining_length, enum mqtt_version version,
                                enum mqtt_sender sender, enum utf8_level level);

/* Takes the next entry from a checked list of SUBSCRIBE (or UNSUBSCRIBE when `type` says so). False at the
 * end. */
bool mqtt_filter_next(struct cursor *list, enum mqtt_type type, struct mqtt_filter *out);

/* Iterates user properties of a checked property list in order; false at the end. */
bool mqtt_user_property_next(struct cursor *list, struct bytes *name, struct bytes *value);
/* Iterates subscription identifiers likewise. */
bool mqtt_subscription_id_next(struct cursor *list, uint32_t *id);

const char *mqtt_type_name(enum mqtt_type type); /* "publish" */

#endif
