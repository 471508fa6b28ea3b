/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the probes of MQTT share: a role with a rule for each kind of condition, and its session. */
#ifndef TESTS_UNIT_OBSERVE_MQTT_H
#define TESTS_UNIT_OBSERVE_MQTT_H

#include "tests/unit/observe_case.h"
#include "tests/unit/relay_lab.h"
#include "tests/unit/relay_roles.h"
#include "tests/unit/relay_steps.h"
#include "tests/unit/runner.h"

#define SECOND UINT64_C(1000000)
#define A_HEAP 60 /* of what is only allowed a few of */

static struct relay_lab lab;

static const struct acl_rule_spec observe_rules[] = {
    RULE("own", PUBLISH_BIT | SUBSCRIBE_BIT, "own/#"),
    {.id = "live",
     .file = "t.conf",
     .line = 2,
     .allow = true,
     .actions = PUBLISH_BIT,
     .topic = "live/+",
     .will = -1},
    {.id = "small",
     .file = "t.conf",
     .line = 3,
     .allow = true,
     .actions = PUBLISH_BIT,
     .topic = "small/+",
     .retain = -1,
     .will = 1,
     .payload_max = 4},
    {.id = "json",
     .file = "t.conf",
     .line = 4,
     .allow = true,
     .actions = PUBLISH_BIT,
     .topic = "json/+",
     .retain = -1,
     .will = 1,
     .payload = ACL_PAYLOAD_JSON},
    {.id = "will",
     .file = "t.conf",
     .line = 5,
     .allow = true,
     .actions = PUBLISH_BIT,
     .topic = "will/+",
     .will = 1},
    {.id = "secret",
     .file = "t.conf",
     .line = 6,
     .actions = PUBLISH_BIT | SUBSCRIBE_BIT,
     .topic = "own/secret",
     .retain = -1,
     .will = -1},
};

static inline struct policy_role_spec observe_role(const struct observe_run *run)
{
    return (struct policy_role_spec){.name = "observed",
                                     .file = "t.conf",
                                     .line = 1,
                                     .match = {.client_id = "dev-*", .vlan = -1},
                                     .mode = observe_mode(run),
                                     .max_qos = 2,
                                     .limits = {.sessions = 8},
                                     .rules = observe_rules,
                                     .rules_n = sizeof(observe_rules) / sizeof(observe_rules[0])};
}

static inline void open_observed(const struct observe_run *run, const struct policy_role_spec *role)
{
    lab_open(&lab, role, 1);
    lab.config->observe = run->column == GATEWAY_OBSERVES;
}

static inline struct lab_session observed_session(const struct observe_run *run,
                                                  const struct policy_role_spec *role,
                                                  enum mqtt_version version)
{
    open_observed(run, role);
    return lab_session(&lab, version, "dev-1");
}

/* Ends the lab; what it told is in the run. Answers `went_on`. */
static inline bool close_observed(struct observe_run *run, bool went_on)
{
    const struct mqtt_relays_counters *counters = mqtt_relays_counters(lab.relays);
    const struct event *event;
    run->seen.counted = counters->from_device[run->outcome] + counters->from_upstream[run->outcome];
    lab_flush(&lab);
    while ((event = lab_event(&lab)) != NULL) {
        if (event->outcome != run->outcome)
            continue;
        run->seen.enforced |= event->enforced;
        run->seen.recorded |= !event->enforced;
    }
    lab_close(&lab);
    return went_on;
}

/* The device's session goes on. */
static inline bool alive(const struct lab_stream *device)
{
    return !device->finished && !device->gone && !device->aborted;
}

/* A packet of the type reached the upstream, however many others did. */
static inline bool reached(struct lab_session *s, enum mqtt_type type)
{
    struct mqtt_packet p;
    bool found = false;
    while (lab_next(s->upstream, MQTT_FROM_CLIENT, s->version, &p))
        found |= p.type == type;
    return found;
}

/* One CONNECT that the probe has made its own; true when it was passed on. */
static inline bool connects(const struct mqtt_packet *connect)
{
    unsigned int before = lab.dials;
    lab_send(lab_accept(&lab, 18), connect);
    return lab.dials > before;
}

#endif
