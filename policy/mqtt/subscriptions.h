/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The subscriptions that a client has made on its connection, as far as the upstream granted them: for the
 * cap (D9), and so that a reload can take back what is no longer allowed (G3). Filters are kept as written,
 * with their "$share/group/".
 *
 * A list in one piece of memory from the workspace, searched from the front: the cap keeps it short, and only
 * SUBSCRIBE, UNSUBSCRIBE and reloads look at it.
 */
#ifndef POLICY_MQTT_SUBSCRIPTIONS_H
#define POLICY_MQTT_SUBSCRIPTIONS_H

#include "policy/mqtt/workspace.h"

/* Of all filters together; more are refused. */
#define SUBSCRIPTIONS_BYTES_MAX 65536

struct subscriptions {
    uint8_t *at;
    uint32_t used; /* bytes */
    uint32_t capacity;
    uint16_t n;
};

struct subscription {
    struct bytes filter;
    uint8_t qos;
};

void subscriptions_fini(struct subscriptions *list, struct mqtt_workspace *memory);
bool subscriptions_has(const struct subscriptions *list, struct bytes filter);
/* Makes sure that `bytes` of filters in `n` entries can be added. */
bool subscriptions_reserve(struct subscriptions *list, uint32_t n, uint32_t bytes,
                           struct mqtt_workspace *memory);
/* After subscriptions_reserve: adds, or renews, entry `ordinal` of the SUBSCRIBE with packet identifier
 * `request`, whose acknowledgement is awaited. */
void subscriptions_add(struct subscriptions *list, struct bytes filter, uint8_t qos, uint16_t request,
                       uint16_t ordinal);
/* What the upstream said to that entry. A renewed subscription that is refused stays as it was. */
void subscriptions_settle(struct subscriptions *list, uint16_t request, uint16_t ordinal, bool granted);
void subscriptions_remove(struct subscriptions *list, struct bytes filter);
/* The entry at *position (0: the first), which is moved on; false at the end. */
bool subscriptions_next(const struct subscriptions *list, uint32_t *position, struct subscription *out);

#endif
