/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The strings of a packet once more (D3): a CONNECT is decoded before anybody knows who sent it, at the level
 * that the specification asks for, and a role may ask for more; of a role that only observes every packet is.
 * Pure; any thread.
 */
#ifndef POLICY_MQTT_PACKET_STRINGS_H
#define POLICY_MQTT_PACKET_STRINGS_H

#include "policy/mqtt/packet.h"

/* True when all that has to be text is valid at `level`: names, topics, filters and what stands in the
 * properties. Of a PUBLISH the topic is the one that goes on, not an alias of it. */
bool packet_strings_check(const struct mqtt_packet *packet, enum utf8_level level);

#endif
