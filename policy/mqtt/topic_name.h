/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The syntax of topic names and topic filters (MQTT 5.0 s.4.7 and 4.8.2, MQTT 3.1.1 s.4.7; D1, D3).
 *
 * Only the form is judged here: what matches what, and who may use it, is of policy/access. Shared
 * subscriptions are taken alike in all versions, because brokers honour them in all. Both functions answer
 * OUTCOME_ALLOWED, OUTCOME_MALFORMED_STRING (not valid UTF-8 at `level`), or OUTCOME_BAD_TOPIC and
 * OUTCOME_BAD_FILTER. Pure; any thread.
 */
#ifndef POLICY_MQTT_TOPIC_NAME_H
#define POLICY_MQTT_TOPIC_NAME_H

#include "policy/bytes.h"
#include "policy/utf8.h"
#include "policy/verdict.h"

/* A name is not empty and has no wildcard. */
enum outcome mqtt_topic_name_check(struct bytes name, enum utf8_level level);

/*
 * A filter is not empty; `+` and `#` stand alone in their level, `#` only in the last. After "$share/" come a
 * group (not empty, no wildcard), '/', and a filter that is not shared again. `shared` tells such a one.
 */
enum outcome mqtt_topic_filter_check(struct bytes filter, enum utf8_level level, bool *shared);

#endif
