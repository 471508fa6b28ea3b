/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mount point: a prefix that the topics of a client have at its upstream and not at the client (C5). Rules
 * are judged by the client's names; the prefix is put on after that and taken off before.
 *
 * A topic that begins with '$' is the upstream's own ("$aws/...", "$SYS/...") and stands outside. Filters
 * behind $share, $queue, $exclusive and $delayed get the prefix inside: "$share/g/a" becomes
 * "$share/g/PREFIXa". Pure; any thread.
 */
#ifndef POLICY_MQTT_MOUNT_H
#define POLICY_MQTT_MOUNT_H

#include "policy/mqtt/packet.h"

/* NULL when the prefix is sound: topic levels without wildcards that do not begin with '$', then '/'. Else
 * what is wrong; what to write. */
const char *mqtt_mount_check(struct bytes prefix);

/*
 * Puts the prefix on the topics of a packet of a client: PUBLISH (Response Topic too), the Will of CONNECT,
 * SUBSCRIBE, UNSUBSCRIBE. New text is written to `to`, which the packet then borrows. False, with the packet
 * of no more use, when `room` does not suffice or a topic becomes too long.
 */
bool mqtt_mount_up(struct bytes prefix, struct mqtt_packet *packet, uint8_t *to, size_t room);
/* The client's names again, of a Will that mqtt_mount_up has made; without what stands before a name
 * ("$delayed/n/"). */
void mqtt_mount_off(struct bytes prefix, struct mqtt_will *will);

/*
 * Takes the prefix off a packet of the upstream: the topic of PUBLISH, and of the Response Topic and
 * CONNACK's Response Information, which are removed when they lie elsewhere. False, with the topic as it was,
 * for a PUBLISH outside the mount point, or one that would become empty or begin with '$'.
 */
bool mqtt_mount_down(struct bytes prefix, struct mqtt_packet *packet);

#endif
