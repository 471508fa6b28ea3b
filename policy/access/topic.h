/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Topic names, topic filters and templates (MQTT 5.0 s.4.7, 4.8; requirements D4, D5).
 *
 * Levels are compared as bytes, without normalisation; empty levels count. Wildcards at the first level never
 * match a topic that begins with '$' (s.4.7.2). A shared subscription "$share/group/filter" is judged by its
 * inner filter, and so are "$queue/", "$exclusive/" and "$delayed/n/". A template is a filter with variables
 * ("trucks/${serial}/location"). These are the plain definitions, against which the compiled acl.h is tested.
 * Pure.
 */
#ifndef POLICY_ACCESS_TOPIC_H
#define POLICY_ACCESS_TOPIC_H

#include "policy/bytes.h"

#define TOPIC_LEVELS_MAX 64

/* Syntax only; UTF-8 has been checked before. */
bool topic_name_valid(struct bytes topic);
bool topic_filter_valid(struct bytes filter);
/* Number of levels: one more than the slashes. */
size_t topic_levels(struct bytes topic);

/* True when `filter` matches `topic`. */
bool topic_matches(struct bytes filter, struct bytes topic);
/* True when every topic that `inner` matches is matched by `outer`. */
bool topic_filter_contains(struct bytes outer, struct bytes inner);
/* True when some topic is matched by both. */
bool topic_filter_intersects(struct bytes a, struct bytes b);

/* What a SUBSCRIBE's filter really asks for. */
struct topic_share {
    bool shared;        /* $share or $queue */
    struct bytes group; /* of $share */
    struct bytes inner;
};
/* Takes the prefix off; false when it is malformed ("$share/g", "$share//x", "$share/+/x"). */
bool topic_share_parse(struct bytes filter, struct topic_share *out);

/* What a PUBLISH really names: "$delayed/n/topic" is published to `topic` n seconds later by brokers that
 * know it, so that it is judged by that. False when it is malformed. */
bool topic_publish_parse(struct bytes topic, struct bytes *inner);

/* Takes the next level off; false at the end. Start with *at_end = false. */
bool topic_next_level(struct cursor *c, bool *at_end, struct bytes *level);

#endif
