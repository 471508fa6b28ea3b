/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Topic aliases that a client has set on its connection (MQTT 5.0 s.3.3.2.3.4; requirement D6).
 *
 * The gateway ends aliases on each side: what a client abbreviates is judged and passed on with its full
 * name, and toward clients none are used. Memory comes from the workspace as aliases are set and goes back
 * with the connection ([MQTT-3.3.2-7]).
 */
#ifndef POLICY_MQTT_ALIAS_H
#define POLICY_MQTT_ALIAS_H

#include "policy/mqtt/workspace.h"

struct alias_entry {
    uint8_t *at;
    uint32_t capacity;
    uint16_t len; /* 0: not set */
};

struct alias_table {
    struct alias_entry *entries; /* NULL until the first is set */
    uint16_t maximum;            /* aliases go from 1 to this */
    uint32_t topic_bytes_max;    /* a longer topic is not kept: its alias is not set; 0: no such limit */
};

void alias_init(struct alias_table *table, uint16_t maximum);
void alias_fini(struct alias_table *table, struct mqtt_workspace *memory);
/* The topic, or empty when the alias is 0, too high or not set. */
struct bytes alias_get(const struct alias_table *table, uint16_t alias);
/* False when there is no memory or the topic is too long: the alias is then not set, whatever it was before.
 */
bool alias_set(struct alias_table *table, uint16_t alias, struct bytes topic, struct mqtt_workspace *memory);

#endif
