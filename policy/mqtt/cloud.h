/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What two clouds demand of whoever speaks MQTT to them, beyond the specification. Where a broker would
 * answer, these close the connection or say nothing; so what they do not take is refused or adapted here,
 * with a reason.
 *
 * "plain" demands nothing. AWS IoT Core: QoS 0 and 1, 7 slashes and 256 bytes of topic, no retained message
 * on reserved topics, 128 KiB of payload, 8 filters a SUBSCRIBE (longer ones go there in parts), 50
 * subscriptions, 100 unacknowledged messages each way, 128 bytes of client id, a keep-alive of 1200 s, 100
 * PUBLISH/s a connection. Azure IoT Hub: QoS 0 and 1, the hub's own topics of that device only (the Will
 * too), 256 KiB, a keep-alive of 1177 s. Names are judged as the cloud sees them, mount point included. Pure;
 * any thread.
 */
#ifndef POLICY_MQTT_CLOUD_H
#define POLICY_MQTT_CLOUD_H

#include "policy/access/rates.h"
#include "policy/bytes.h"
#include "policy/verdict.h"

enum cloud_profile {
    CLOUD_PLAIN = 0,
    CLOUD_AWS,
    CLOUD_AZURE,
    CLOUD_PROFILES,
};

/* 0: no limit of its own. */
struct cloud_limits {
    const char *name; /* "AWS IoT Core" */
    uint8_t max_qos;
    bool hub_topics;           /* only those of Azure IoT Hub */
    bool no_reserved_retained; /* no retained message on topics that begin with '$' */
    uint16_t inflight;
    uint16_t keepalive_max_s;
    uint16_t client_id_bytes;
    uint32_t topic_slashes;
    uint32_t topic_bytes;
    uint32_t payload_bytes;
    uint32_t filters; /* of one SUBSCRIBE */
    uint32_t subscriptions;
    struct rates rates; /* of one connection */
};

const struct cloud_limits *cloud_limits(enum cloud_profile profile);

/* One session as its cloud knows it; borrowed by the guard. */
struct cloud_session {
    enum cloud_profile profile;
    struct bytes client_id; /* as the cloud is told */
    struct bytes mount;     /* prefix of topics that do not begin with '$'; may be empty */
};

/* ALLOWED, TOPIC_TOO_DEEP, RETAIN_DENIED, PAYLOAD_TOO_LARGE, CLOUD_TOPIC. `topic` is the client's name. */
enum outcome cloud_judge_publish(const struct cloud_session *session, struct bytes topic, bool retain,
                                 bool will, uint32_t payload_bytes);
/* ALLOWED, TOPIC_TOO_DEEP, CLOUD_TOPIC. `filter`: the inner one of a shared subscription. */
enum outcome cloud_judge_filter(const struct cloud_session *session, struct bytes filter);

#endif
