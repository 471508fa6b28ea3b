/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What another role would say to a packet that a guard has judged (G6): its rules, its caps on QoS, retain,
 * topics, properties and payloads, its Will and keep-alive; with the session's own version and cloud. Rates,
 * what is in flight, how many subscriptions there are and passwords depend on what came before, and are left
 * out. Changes nothing of the guard; pure.
 */
#ifndef POLICY_MQTT_OPINION_H
#define POLICY_MQTT_OPINION_H

#include "policy/mqtt/guard.h"

struct opinion {
    enum outcome outcome; /* UNDECIDED: it would have to read a payload that is not at hand */
    bool enforced;        /* with a refusal: false when it would pass all the same (observe) */
    uint32_t rule;        /* of the other role, or ACL_RULE_NONE */
};

/* Who judges. */
struct opinion_of {
    const struct mqtt_guard *guard; /* the session's */
    const struct policy_role *role; /* the other, with the values of its variables */
    const struct acl_values *values;
    bool observe; /* the whole gateway would only observe */
};

/* A PUBLISH as the guard left it, of either side; `whole`: its payload is at hand. */
struct opinion opinion_publish(const struct opinion_of *of, enum mqtt_sender sender,
                               const struct mqtt_packet *packet, bool whole);
struct opinion opinion_subscribe(const struct opinion_of *of, struct bytes filter, uint8_t qos);
/* A CONNECT, with its Will if it brought one of its own (`will`). */
struct opinion opinion_connect(const struct opinion_of *of, const struct mqtt_packet *packet, bool will);

#endif
