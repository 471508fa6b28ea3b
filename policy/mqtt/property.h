/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The property section of MQTT 5 packets (s.2.2.2), read and written from one table: identifier, kind of
 * value, range, and the places where each property may stand. Used by the decoders and builders of this
 * folder only. Pure; any thread.
 *
 * A place is a packet type, or MQTT_PLACE_WILL for the Will's section of CONNECT.
 */
#ifndef POLICY_MQTT_PROPERTY_H
#define POLICY_MQTT_PROPERTY_H

#include "policy/mqtt/packet.h"
#include "policy/mqtt/writer.h"

#define MQTT_PLACE_WILL MQTT_RESERVED

/*
 * Reads a whole section (without its length) as `sender` may send it at `place`. Answers OUTCOME_ALLOWED;
 * OUTCOME_MALFORMED_PROPERTY: unknown, not of this place, cut short; OUTCOME_BAD_PROPERTY: repeated, value
 * out of range, or reserved for the other side; OUTCOME_BAD_TOPIC_ALIAS for alias 0; OUTCOME_BAD_TOPIC for a
 * Response Topic that is no topic name; OUTCOME_MALFORMED_STRING; OUTCOME_PROPERTY_CAP above 65535 user
 * properties. At UTF8_STRICT, Reason String, User Properties, Server Reference and Response Information of a
 * server that are well-formed but not strict are left out of `present` (all user properties at once): not
 * worth the session, except in a PUBLISH, which is refused as a whole.
 */
enum outcome mqtt_properties_parse(struct mqtt_properties *out, struct bytes section, enum mqtt_type place,
                                   enum mqtt_sender sender, enum utf8_level level);

/* Takes the length and the section from `c`, then as above. */
enum outcome mqtt_properties_take(struct mqtt_properties *out, struct cursor *c, enum mqtt_type place,
                                  enum mqtt_sender sender, enum utf8_level level);

/* Bytes of the section as mqtt_properties_build writes it, without its length. */
size_t mqtt_properties_size(const struct mqtt_properties *properties, enum mqtt_type place);

/* Writes length (`size`, from mqtt_properties_size) and section: those that may stand at `place`, in the
 * order of their identifiers, user properties last. */
void mqtt_properties_build(struct writer *w, const struct mqtt_properties *properties, size_t size,
                           enum mqtt_type place);

#endif
