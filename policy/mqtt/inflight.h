/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PUBLISH exchanges with QoS 1 and 2 that are under way in one direction (MQTT 5.0 s.4.3, 4.4, 4.6; traps of
 * requirement D7).
 *
 * One table per direction of a session: "sender" is the side that publishes, "receiver" the one that
 * acknowledges. An entry is found by the sender's packet identifier; toward the receiver it may go by another
 * one (`wire`), because the gateway uses identifiers of its own there now and then. Entries remember the
 * order of their arrival, so that an answer that the gateway gives by itself can wait until the receiver's
 * answers to earlier messages have passed ([MQTT-4.6.0-2, -3]).
 *
 * Four entries live in the table itself; more take memory from the workspace, which goes back when the table
 * is empty. Above four it is an open-addressed hash on the low bits of the identifier: identifiers that count
 * up, as everybody's do, never collide, and chosen ones cost a scan of what the in-flight cap allows at most.
 */
#ifndef POLICY_MQTT_INFLIGHT_H
#define POLICY_MQTT_INFLIGHT_H

#include "policy/mqtt/workspace.h"

enum inflight_state {
    INFLIGHT_NONE = 0,
    INFLIGHT_PUBACK,      /* QoS 1 passed on; the receiver's PUBACK is awaited */
    INFLIGHT_PUBREC,      /* QoS 2 passed on; the receiver's PUBREC is awaited */
    INFLIGHT_PUBREL,      /* PUBREC passed back; the sender's PUBREL is awaited */
    INFLIGHT_PUBCOMP,     /* PUBREL passed on; the receiver's PUBCOMP is awaited */
    INFLIGHT_HELD_PUBACK, /* QoS 1 refused; our PUBACK waits for its turn */
    INFLIGHT_HELD_PUBREC, /* QoS 2 refused; our PUBREC waits for its turn */
    INFLIGHT_REFUSED,     /* QoS 2 refused with a PUBREC of ours; the sender's PUBREL is awaited */
};

struct inflight_entry {
    uint32_t order; /* of arrival */
    uint16_t id;    /* the sender's; 0: free */
    uint16_t wire;  /* the receiver's */
    uint8_t state;  /* enum inflight_state */
    uint8_t code;   /* of a held answer */
    uint8_t age;    /* ticks since the receiver had it, see inflight_age */
};

#define INFLIGHT_INLINE 4

struct inflight {
    struct inflight_entry *entries; /* NULL: `few` */
    uint32_t capacity;              /* of `entries`, a power of two */
    uint32_t next_order;
    uint16_t used;
    uint16_t waiting; /* of those, how many the receiver must act on */
    uint16_t held;    /* of those, answers of ours that wait */
    uint16_t mapped;  /* of those, with a wire identifier of its own */
    struct inflight_entry few[INFLIGHT_INLINE];
};

void inflight_init(struct inflight *table);
void inflight_fini(struct inflight *table, struct mqtt_workspace *memory);
/* Makes sure that one more can be added; false when there is no memory for it or all identifiers are used. */
bool inflight_reserve(struct inflight *table, struct mqtt_workspace *memory);
/* After inflight_reserve; `id` must not be there. */
struct inflight_entry *inflight_add(struct inflight *table, uint16_t id, uint16_t wire,
                                    enum inflight_state state, uint8_t code);
/* NULL when not there. Entries move when others are added or removed. */
struct inflight_entry *inflight_find(struct inflight *table, uint16_t id);
struct inflight_entry *inflight_find_wire(struct inflight *table, uint16_t wire);
void inflight_set(struct inflight *table, struct inflight_entry *entry, enum inflight_state state);
void inflight_remove(struct inflight *table, struct inflight_entry *entry, struct mqtt_workspace *memory);

/* How many exchanges of QoS 2 wait for the sender's PUBREL. */
static inline uint16_t inflight_unreleased(const struct inflight *table)
{
    return (uint16_t)(table->used - table->waiting - table->held);
}
/*
 * Makes those that wait for the sender's PUBREL one tick older and forgets those that are `most` ticks old
 * (1 to 255); answers how many were forgotten. The protocol gives no time in which a sender must release, so
 * that without it a sender that never does keeps the state of every identifier it ever used.
 */
uint16_t inflight_age(struct inflight *table, uint8_t most, struct mqtt_workspace *memory);

/* True when an answer of ours to a new message of this QoS has to wait for an earlier one. */
bool inflight_must_hold(const struct inflight *table, uint8_t qos);
/* The held answer whose turn it is, or NULL. */
struct inflight_entry *inflight_due(struct inflight *table);

#endif
