/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The roles that the tests of the relay share. */
#ifndef TESTS_UNIT_RELAY_ROLES_H
#define TESTS_UNIT_RELAY_ROLES_H

#include "policy/access/snapshot.h"

#define PUBLISH_BIT (1u << ACL_PUBLISH)
#define SUBSCRIBE_BIT (1u << ACL_SUBSCRIBE)
#define RULE(id_, actions_, topic_)                                                                          \
    {                                                                                                        \
        .id = id_, .file = "t.conf", .line = __LINE__, .allow = true, .actions = (uint16_t)(actions_),       \
        .topic = topic_, .retain = -1, .will = -1                                                            \
    }

static const struct acl_rule_spec truck_rules[] = {
    RULE("truck.location", PUBLISH_BIT, "trucks/${serial}/location"),
    {.id = "truck.status",
     .file = "t.conf",
     .line = 2,
     .allow = true,
     .actions = PUBLISH_BIT,
     .topic = "trucks/${serial}/status",
     .retain = 1,
     .will = 1},
    RULE("truck.cmd", SUBSCRIBE_BIT, "trucks/${serial}/cmd/+"),
    {.id = "truck.json",
     .file = "t.conf",
     .line = 4,
     .allow = true,
     .actions = PUBLISH_BIT,
     .topic = "trucks/${serial}/json",
     .retain = -1,
     .will = -1,
     .payload = ACL_PAYLOAD_JSON},
};

/* A device of a fleet: QoS 1 at most, three messages in flight. */
static inline struct policy_role_spec truck_role(void)
{
    return (struct policy_role_spec){.name = "truck",
                                     .file = "t.conf",
                                     .line = 1,
                                     .match = {.client_id = "truck-{serial:[0-9][0-9][0-9]}", .vlan = -1},
                                     .max_qos = 1,
                                     .inflight = 3,
                                     .queue = 4,
                                     .rules = truck_rules,
                                     .rules_n = sizeof(truck_rules) / sizeof(truck_rules[0])};
}

static const struct acl_rule_spec office_rules[] = {
    RULE("office.read", SUBSCRIBE_BIT, "trucks/+/location"),
    RULE("office.news", PUBLISH_BIT | SUBSCRIBE_BIT, "news/#"),
};

/* An application: QoS 2, twenty in flight. */
static inline struct policy_role_spec office_role(void)
{
    return (struct policy_role_spec){.name = "office",
                                     .file = "t.conf",
                                     .line = 20,
                                     .match = {.client_id = "app-*", .vlan = -1},
                                     .max_qos = 2,
                                     .rules = office_rules,
                                     .rules_n = sizeof(office_rules) / sizeof(office_rules[0])};
}

#endif
