/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Canonical encoding of MQTT packets: whatever leaves the gateway was built here from a decoded packet (D11).
 * Lengths are minimal, reserved bits are zero, properties are written once each in the order of their
 * identifiers with user properties last in their own order, and only those that the packet type and version
 * allow. What is built always decodes again (but for a client identifier that the caller
 * chose against the rules of the version); to that end a reason code that the packet type does not know
 * becomes the nearest one that it knows (reason.h).
 *
 * Every function writes into `to` and answers the bytes written, or 0 when `room` does not suffice or when
 * what was asked cannot be said in that version: a string above 65535 bytes, a topic or list that is empty
 * and must not be, QoS without an identifier, a failure code in a MQTT 3.1 SUBACK (nothing useful is in `to`
 * then). Pure; any thread.
 */
#ifndef POLICY_MQTT_BUILD_H
#define POLICY_MQTT_BUILD_H

#include "policy/mqtt/packet.h"

/* An upper bound of what mqtt_build needs for `packet` (payload of PUBLISH not included). */
size_t mqtt_build_bound(const struct mqtt_packet *packet);

/*
 * Builds any packet for `version`. PUBLISH: fixed header, topic, identifier, properties, for a payload of
 * packet->publish.payload_bytes, which the caller sends after it. SUBSCRIBE and UNSUBSCRIBE: all entries of
 * packet->list. A packet whose properties are empty takes the short form where one exists (MQTT 5.0
 * s.3.4.2.1). In 3.x, properties and codes that do not exist are left out.
 */
size_t mqtt_build(uint8_t *to, size_t room, const struct mqtt_packet *packet, enum mqtt_version version);

/* Answers that the gateway gives by itself. `code` is a MQTT 5 reason code; CONNACK in 3.x: its return code.
 */
size_t mqtt_build_connack(uint8_t *to, size_t room, enum mqtt_version version, uint8_t code);
size_t mqtt_build_ack(uint8_t *to, size_t room, enum mqtt_version version, enum mqtt_type type,
                      uint16_t packet_id, uint8_t reason_code);
size_t mqtt_build_suback(uint8_t *to, size_t room, enum mqtt_version version, enum mqtt_type type,
                         uint16_t packet_id, const uint8_t *codes, size_t n);
/* DISCONNECT; in 3.x a client's only (two bytes), and 0 for a server's, which does not exist. */
size_t mqtt_build_disconnect(uint8_t *to, size_t room, enum mqtt_version version, enum mqtt_sender sender,
                             uint8_t code);
size_t mqtt_build_ping(uint8_t *to, size_t room, enum mqtt_type type);

/*
 * A SUBSCRIBE or UNSUBSCRIBE made entry by entry: `entries` are encoded one after another by
 * mqtt_build_filter into a scratch buffer, which becomes packet->list for mqtt_build.
 */
size_t mqtt_build_filter(uint8_t *to, size_t room, enum mqtt_type type, enum mqtt_version version,
                         const struct mqtt_filter *entry);

#endif
