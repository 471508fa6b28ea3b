/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a role says of sessions as such: what becomes of a second one of the same name (C3), and limits of
 * MQTT 5 that the gateway adds for devices that set none (C5). Part of the snapshot: immutable, read by any
 * thread.
 */
#ifndef POLICY_ACCESS_SESSION_POLICY_H
#define POLICY_ACCESS_SESSION_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* A second session with the same client identifier and identity. */
enum policy_takeover {
    POLICY_TAKEOVER_SAME_PLACE = 0, /* takes over from the same address and MAC, is refused from any other */
    POLICY_TAKEOVER_REFUSE,         /* is refused */
    POLICY_TAKEOVER_REPLACE,        /* takes over from anywhere */
};

struct policy_session {
    enum policy_takeover takeover;
    bool caps_expiry;
    uint32_t expiry_max_s; /* where it does: Session Expiry Interval at most */
    uint32_t packet_bytes; /* Maximum Packet Size that the upstream is told for the client; 0: the client's */
};

#endif
