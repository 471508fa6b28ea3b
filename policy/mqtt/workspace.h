/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guards of one worker share: memory for tables that sessions have only while they need them, and
 * scratch for lists that are rewritten between a check and the building of the packet.
 *
 * Whoever owns the sessions fills this in (the gateway: from its packet_buffer pool). `get` and `put` must
 * not block or call into a system allocator; a NULL is an outcome like any other (NO_RESOURCES). Memory is
 * not cleared. Used by one thread.
 */
#ifndef POLICY_MQTT_WORKSPACE_H
#define POLICY_MQTT_WORKSPACE_H

#include "policy/bytes.h"
#include "policy/verdict.h"

/* So many filters of one SUBSCRIBE are told one by one, with what decided about them; the rest is not. */
#define MQTT_JUDGED_MAX 64

/* So many refused filters of one SUBSCRIBE are described one by one; the rest is counted. */
#define MQTT_REFUSALS_MAX 8

struct mqtt_refusal {
    struct bytes filter; /* borrowed from the packet as received */
    enum outcome outcome;
    uint32_t rule;
    uint8_t code;
    bool enforced; /* false: forwarded all the same (observe) */
};

/* What became of one filter. */
struct mqtt_judged {
    enum outcome outcome;
    uint32_t rule;
    bool enforced;
};

struct mqtt_workspace {
    /* At least `bytes`, aligned for anything; *capacity is what was given. NULL when there is none. */
    void *(*get)(struct mqtt_workspace *workspace, uint32_t bytes, uint32_t *capacity);
    void (*put)(struct mqtt_workspace *workspace, void *at);

    uint32_t held_bytes_max; /* of a packet that can be gathered for its payload to be read */
    uint8_t *entries;        /* scratch: entries of SUBSCRIBE and UNSUBSCRIBE */
    uint32_t entries_room;
    uint8_t *codes; /* scratch: codes of SUBACK and UNSUBACK */
    uint32_t codes_room;
    uint32_t refused_n; /* of the SUBSCRIBE checked last, those beyond the array included */
    struct mqtt_refusal refused[MQTT_REFUSALS_MAX];
    uint32_t judged_n; /* filters of the SUBSCRIBE checked last, in their order */
    struct mqtt_judged judged[MQTT_JUDGED_MAX];
};

#endif
