/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reason codes of MQTT 5.0 (s.2.4 and the tables of chapter 3) and return codes of MQTT 3.x: which packet
 * type may carry which, and from which side. Pure; any thread.
 */
#ifndef POLICY_MQTT_REASON_H
#define POLICY_MQTT_REASON_H

#include "policy/mqtt/packet.h"

/* True when `sender` may put `code` into a packet of `type`. In 3.x only CONNACK and SUBACK carry one. */
bool mqtt_reason_allowed(enum mqtt_type type, enum mqtt_sender sender, enum mqtt_version version,
                         uint8_t code);

/* `code` when either side may put it into a MQTT 5 packet of `type`, else the nearest that may be. A refusal
 * (0x80 and above) stays one. For types that carry a code, and not AUTH, which has none to refuse with. */
uint8_t mqtt_reason_nearest(enum mqtt_type type, uint8_t code);

#endif
