/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The strings of a CONNECT once more (D3): it is decoded before anybody knows who sent it, at the level that
 * the specification asks for; a role may ask for more. Pure; any thread.
 */
#ifndef POLICY_MQTT_CONNECT_STRINGS_H
#define POLICY_MQTT_CONNECT_STRINGS_H

#include "policy/mqtt/packet.h"

/* True when client identifier, user name, Will topic and all text of the properties are valid at `level`. */
bool connect_strings_check(const struct mqtt_packet *connect, enum utf8_level level);

#endif
