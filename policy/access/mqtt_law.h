/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The settings of a role that say how strictly MQTT itself is held to, beside its rules and limits (D3, D8,
 * D11). Part of the snapshot (snapshot.h): immutable, read by any thread. Zero is the default of each, and
 * the stricter choice where one of them is.
 */
#ifndef POLICY_ACCESS_MQTT_LAW_H
#define POLICY_ACCESS_MQTT_LAW_H

#include <stdbool.h>
#include <stdint.h>

#define POLICY_RELEASE_DEFAULT_S 60
/* A payload that must be read is gathered first. Packets of a role that reads payloads are no larger. */
#define POLICY_HELD_BYTES_MAX (UINT32_C(16) << 20)

/* A client publishes with more in flight than it may (D8). */
enum policy_overrun {
    POLICY_OVERRUN_STANDARD = 0, /* version 5, which was told: DISCONNECT 0x93; 3.x: delay */
    POLICY_OVERRUN_DELAY,        /* it is not read until there is room (TCP back pressure) */
    POLICY_OVERRUN_DROP,         /* refused: 0x97 in version 5, acknowledged and dropped in 3.x */
    POLICY_OVERRUN_DISCONNECT,   /* the session ends in every version */
};

/* By which right a client may name a Response Topic, to which somebody else will publish at its request. */
enum policy_response {
    POLICY_RESPONSE_SUBSCRIBE = 0, /* it must be allowed to read there */
    POLICY_RESPONSE_PUBLISH,       /* to publish there itself, with QoS 0 and not retained */
    POLICY_RESPONSE_BOTH,
    POLICY_RESPONSE_ANY, /* not judged */
};

struct policy_mqtt_law {
    bool strict_strings;      /* control and non-characters are refused in strings (utf8.h: UTF8_STRICT) */
    bool pass_redirection;    /* 0x9C, 0x9D and Server Reference reach the client */
    enum policy_overrun over; /* inflight_over */
    enum policy_response response_topic;
    uint32_t release_s; /* a QoS 2 message that was received and not released is forgotten after it; 0: 60 */
};

#endif
