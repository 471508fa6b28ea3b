/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A CoAP request as a MQTT message (E8): which topic it is about, and whether it may.
 *
 * POST and PUT publish, a confirmable one with QoS 1 and any other with QoS 0; GET asks for the topic's last
 * message, and with Observe for those that come. The request has passed guard.h by its path; its topic, which
 * the role's maps tell (topic_map.h), is judged by the same role's rules for "publish" or "subscribe". Both
 * have to allow. Other methods mean nothing to a broker (4.05). A body in several blocks is gathered by the
 * caller: each block is judged by what has come so far, and the whole once more, which is when its content is
 * looked at. Answers go in blocks of the size that the client asks for. Pure.
 */
#ifndef POLICY_COAP_PUBLISH_H
#define POLICY_COAP_PUBLISH_H

#include "policy/coap/guard.h"

struct coap_topic {
    bool publish; /* else the last message is asked for */
    bool partial; /* a block of a body of several; the body was not there to be judged */
    bool retain;
    uint8_t qos;
    uint32_t len;
    uint8_t topic[TOPIC_MAP_BYTES_MAX];
};

/* Changes `verdict`, which has passed, when the topic does not. `body`: all of what was sent in several
 * blocks, of which the message is the last; NULL: the message stands for itself. */
void coap_publish_judge(const struct policy_role *role, const struct acl_values *values, bool observing,
                        const struct coap_message *message, const struct bytes *body,
                        struct coap_verdict *verdict, struct coap_topic *out);

#endif
